//! How an instance behaves, said by its own command: what a person would put into the program is put into the words
//! of `cmd`, so that another command is another behaviour and a rollout can be good or bad.
//!
//! | word | meaning |
//! |---|---|
//! | `start=2s` | from launch to running |
//! | `stuck` | it never starts |
//! | `crash=5s` `finish=5s` | it ends so long after it runs, with failure or success |
//! | `healthy=3s` | checks succeed only so long after it runs |
//! | `unhealthy` | checks never succeed |
//! | `ready=3s` `unready` | the same for readiness |
//! | `stop=500ms` `stubborn` | from SIGTERM to its end; only SIGKILL ends it |
//!
//! All other words are ignored, as `run v2` shows.

use std::time::Duration;

use ekiden_model::app::Command;

/// How an instance behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// From launch to running; never, when there is none.
    pub start: Option<Duration>,
    /// It fails so long after it runs.
    pub crash: Option<Duration>,
    /// It ends with success so long after it runs.
    pub finish: Option<Duration>,
    /// Checks succeed so long after it runs; never, when there is none.
    pub healthy: Option<Duration>,
    /// Readiness, likewise.
    pub ready: Option<Duration>,
    /// From SIGTERM to its end; only SIGKILL ends it, when there is none.
    pub stop: Option<Duration>,
}

impl Behaviour {
    /// Starts in half a second, is healthy at once, stops when told.
    pub const GOOD: Self = Self {
        start: Some(Duration::from_millis(500)),
        crash: None,
        finish: None,
        healthy: Some(Duration::ZERO),
        ready: Some(Duration::ZERO),
        stop: Some(Duration::from_millis(100)),
    };

    /// What `command` says.
    pub fn of(command: &Command) -> Self {
        let mut behaviour = Self::GOOD;
        let Command::Shell(words) = command else { return behaviour };
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let time = parse_duration(value);
            match name {
                "start" => behaviour.start = time.or(behaviour.start),
                "stuck" => behaviour.start = None,
                "crash" => behaviour.crash = time,
                "finish" => behaviour.finish = time,
                "healthy" => behaviour.healthy = time.or(behaviour.healthy),
                "unhealthy" => behaviour.healthy = None,
                "ready" => behaviour.ready = time.or(behaviour.ready),
                "unready" => behaviour.ready = None,
                "stop" => behaviour.stop = time.or(behaviour.stop),
                "stubborn" => behaviour.stop = None,
                _ => {}
            }
        }
        behaviour
    }
}

/// Reads `1500ms`, `10s`, `2m` or `1h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        "h" => Some(Duration::from_secs(number * 3600)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_how_it_behaves() {
        let behaviour = Behaviour::of(&Command::Shell("run v2 start=2s crash=5s unhealthy".into()));
        assert_eq!(behaviour.start, Some(Duration::from_secs(2)));
        assert_eq!(behaviour.crash, Some(Duration::from_secs(5)));
        assert_eq!(behaviour.healthy, None);
        assert_eq!(Behaviour::of(&Command::Image), Behaviour::GOOD);
        assert_eq!(parse_duration("3 s"), None);
    }
}
