//! Scenarios: what happens, written down line by line, and a transcript of what Ekiden made of it.
//!
//! A scenario is a text file, one command per line, `#` for comments:
//!
//! | command | what it does |
//! |---|---|
//! | `agents 3 cpus=4 mem=4096 ports=31000-31009 rack=r1` | three more agents; any other `name=value` is an attribute |
//! | `agents 1 reserved=prod,2,1024` | an agent that has 2 cpus and 1024 MiB more, for one role |
//! | `declare /web instances=3 cmd="run v1" …` | declares or changes an app; what is not named stays as it is |
//! | `withdraw /web` | removes it |
//! | `run 10s` | time passes |
//! | `crash /web 0` · `wedge /web 0` | the task in a slot fails; or turns unhealthy until it is replaced |
//! | `sick /web` · `well /web` | all instances are unhealthy; or no longer |
//! | `cut agent1` · `return agent1` · `lose agent1` | an agent does not answer, answers again, is gone for good |
//! | `reborn agent1` | it dies, nobody is told, and it comes back under a new id |
//! | `maintain agent1 10s 60s` · `cancel agent1` · `take-down agent1` | its maintenance is announced; cancelled; it is taken down for it |
//! | `drain agent1` · `drain agent1 gone` · `activate agent1` | Mesos ends what it runs, and declares it gone; it is used again |
//! | `drop launches` · `drop kills` · `drop nothing` | these calls get lost from now on |
//! | `restart` | Ekiden dies at once and starts again |
//! | `restart-cut 1` | … in its next step, after so many effects |
//! | `restart-after 7` | … after so many more effects, over all steps |
//! | `command restart /web` · `command kill /web 0` · `command reset-backoff /web` | an operator's command |
//! | `stall store` · `unstall store` | the store takes no writes; or does again |
//! | `report /web` | what Ekiden says it waits for |
//! | `state /web` | its instances, as they are in truth |
//! | `heal` | all faults end |
//! | `expect matched` · `expect 3 running /web` · `expect reason /web backing off` | fails the scenario if it is not so |
//! | `expect nothing on agent1` | no task lives there |
//! | `expect 3 first /web` | as many that run have never been replaced |
//!
//! The transcript shows each command and, indented below it, what Ekiden announced and did, one line each with the time
//! since the beginning.

mod app;
mod parse;
mod play;
mod tell;

pub use parse::{Command, ScriptError, parse};
pub(crate) use play::effect_told;
pub use play::{Played, play};
pub(crate) use tell::changes;
