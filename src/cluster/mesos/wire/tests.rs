//! What a real master said, read; and what is said to it, written. `data` holds frames and answers as a Mesos 1.11
//! master sent them.

mod calls;
mod cost;
mod hostile;
mod launches;
mod reading;
mod surveys;
