//! What goes wrong with requests, by script.
//!
//! Owns the rules and which of them a request meets. What goes wrong with a stream that is open (cut, silent, garbage) is
//! done to it at once, by [`super::FakeMesos`].

use std::time::Duration;

/// What may happen to a request in place of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 202, and nothing comes of it, as when a message between master and agent is lost. The offers of an `ACCEPT` are
    /// used up, and what they held is offered anew.
    Lost,
    /// `ACCEPT` only: the master launches, the agent never hears of it. The task stays `TASK_STAGING` in the master's
    /// memory.
    LostAtAgent,
    /// This answer, and nothing is done.
    Answer {
        /// Its status.
        status: u16,
        /// A `Location`, for those that have one.
        location: Option<String>,
        /// Its text.
        body: String,
    },
    /// It is done as it should be, and answered so late.
    Late(Duration),
    /// The connection is closed without an answer, and nothing is done.
    HangUp,
    /// It is done, and the connection closed without an answer.
    DoneAndHangUp,
    /// There is never an answer, and nothing is done: a half-open connection.
    Never,
}

impl Fault {
    /// This answer with a text of Mesos' manner.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::Answer { status, location: None, body: body.to_owned() }
    }

    /// A redirection, as a master that does not lead makes it: `//host:port/path`.
    pub fn redirect(address: &str, path: &str) -> Self {
        Self::Answer { status: 307, location: Some(format!("//{address}{path}")), body: String::new() }
    }
}

/// Which requests meet a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The type of the call (`ACCEPT`, `GET_TASKS`, …; for `/state` that path); every request when empty.
    pub call: String,
    /// What happens to it.
    pub fault: Fault,
    /// How many such requests are spared first.
    pub skip: u32,
    /// How many meet it after that.
    pub times: u32,
}

impl Rule {
    /// The next call of this type meets this fault.
    pub fn next(call: &str, fault: Fault) -> Self {
        Self { call: call.to_owned(), fault, skip: 0, times: 1 }
    }

    /// All calls of this type meet this fault, until the rules are cleared.
    pub fn always(call: &str, fault: Fault) -> Self {
        Self { times: u32::MAX, ..Self::next(call, fault) }
    }

    /// So many of them.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Not before so many were spared.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

/// The rules in force, in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

impl Script {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What happens to this request; uses up the rule that says so.
    pub(super) fn meet(&mut self, call: &str) -> Option<Fault> {
        let matching = |rule: &&mut Rule| rule.call.is_empty() || rule.call == call;
        for rule in self.rules.iter_mut().filter(matching) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rule.times > 0 {
                rule.times -= u32::from(rule.times != u32::MAX);
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_spares_then_strikes_then_is_used_up() {
        let mut script = Script::default();
        script.add(Rule::next("KILL", Fault::Lost).after(1).times(2));
        let met: Vec<bool> = (0..5).map(|_| script.meet("KILL").is_some()).collect();
        assert_eq!(met, [false, true, true, false, false]);
        assert_eq!(script.meet("ACCEPT"), None);
    }
}
