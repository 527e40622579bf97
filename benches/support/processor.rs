//! What was taken of the processors: nearly the same on a machine that is busy with other things as on a quiet one.

use std::time::Duration;

/// How long this thread has been on a processor, to the nanosecond; nothing, where the system does not say.
pub(crate) fn of_this_thread() -> Duration {
    // Linux: the first number.
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// How long a process has been, all of its threads together and those that have ended, too; to ten milliseconds.
pub(crate) fn of_process(id: u32) -> Duration {
    // Linux: behind the name, which stands in parentheses and may hold any others, the twelfth and thirteenth number, in
    // hundredths of a second.
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let numbers = text.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let hundredths: u64 = numbers.skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * hundredths)
}
