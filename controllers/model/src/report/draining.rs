//! Instances that are to leave their agents, because those go into maintenance or are drained.

use std::fmt;
use std::sync::Arc;

use super::reason::plural;
use crate::time::Timestamp;

/// Most agents that are told of one by one.
const NAMED: usize = 3;

/// Which agents an app is to leave, and what that waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAgents {
    agents: Vec<LeftAgent>,
    more: u32,
    instances: u32,
    awaiting: Awaited,
}

/// An agent that is to be left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftAgent {
    /// When its maintenance begins, or began.
    pub begin: Timestamp,
    /// When that is over; not known where nobody said so, as of an agent that is being drained.
    pub end: Option<Timestamp>,
    /// Its host.
    pub host: Arc<str>,
    /// Instances that are still there.
    pub instances: u32,
}

/// What the instances that are still there wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Until all is known nothing is stopped.
    Settled,
    /// The wait after failures holds up their replacements.
    Backoff,
    /// No other agent has had a place for the replacements so far.
    Place,
    /// The replacements are on their way, or not healthy yet.
    Replacements,
    /// So many are healthy, and no fewer than so many must be.
    Floor {
        /// Healthy instances.
        healthy: u32,
        /// How many must stay.
        floor: u32,
    },
    /// The rollout under way replaces them.
    Rollout,
    /// They have been told to end.
    End,
}

impl LeftAgents {
    /// These agents, of which those with the earliest windows are told of one by one; `None` when there is none.
    pub fn new(mut agents: Vec<LeftAgent>, awaiting: Awaited) -> Option<Self> {
        if agents.is_empty() {
            return None;
        }
        agents.sort_unstable();
        let instances = agents.iter().map(|agent| agent.instances).sum();
        let more = agents.len().saturating_sub(NAMED) as u32;
        agents.truncate(NAMED);
        Some(Self { agents, more, instances, awaiting })
    }

    /// The agents that are told of one by one, earliest window first.
    pub fn agents(&self) -> &[LeftAgent] {
        &self.agents
    }

    /// How many others there are.
    pub fn more(&self) -> u32 {
        self.more
    }

    /// How many instances are still there, on all of them.
    pub fn instances(&self) -> u32 {
        self.instances
    }

    /// What they wait for.
    pub fn awaiting(&self) -> Awaited {
        self.awaiting
    }
}

impl fmt::Display for LeftAgents {
    /// `2 instances are to leave node1 (maintenance from … until …): replacements have found no place yet`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.instances;
        write!(f, "{count} {} to leave ", plural(count, "instance is", "instances are"))?;
        for (index, LeftAgent { begin, end, host, instances }) in self.agents.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{host} (")?;
            if *instances != count {
                write!(f, "{instances} there, ")?;
            }
            write!(f, "maintenance from {begin}")?;
            match end {
                Some(end) => write!(f, " until {end})")?,
                None => f.write_str(")")?,
            }
        }
        if self.more > 0 {
            write!(f, " and {} more {}", self.more, plural(self.more, "agent", "agents"))?;
        }
        write!(f, ": {}", self.awaiting)
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => f.write_str("nothing is stopped before all is known"),
            Self::Backoff => f.write_str("replacements wait after failures"),
            Self::Place => f.write_str("replacements have found no place yet"),
            Self::Replacements => f.write_str("replacements are not healthy yet"),
            Self::Floor { healthy, floor } => write!(f, "{healthy} healthy, at least {floor} must be"),
            Self::Rollout => f.write_str("the rollout under way replaces them"),
            Self::End => f.write_str("they are ending"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(host: &str, begin: i64, end: Option<i64>, instances: u32) -> LeftAgent {
        let at = |second: i64| Timestamp::from_millis(second * 1000);
        LeftAgent { begin: at(begin), end: end.map(at), host: host.into(), instances }
    }

    fn told(agents: Vec<LeftAgent>, awaiting: Awaited) -> String {
        LeftAgents::new(agents, awaiting).map(|left| left.to_string()).unwrap_or_default()
    }

    #[test]
    fn it_says_who_leaves_what_until_when_and_what_for() {
        assert_eq!(
            told(vec![agent("node1", 60, Some(3660), 1)], Awaited::Floor { healthy: 3, floor: 3 }),
            "1 instance is to leave node1 (maintenance from 1970-01-01T00:01:00.000Z until \
             1970-01-01T01:01:00.000Z): 3 healthy, at least 3 must be"
        );
        assert_eq!(
            told(vec![agent("node2", 60, None, 2), agent("node1", 0, None, 1)], Awaited::Place),
            "3 instances are to leave node1 (1 there, maintenance from 1970-01-01T00:00:00.000Z), \
             node2 (2 there, maintenance from 1970-01-01T00:01:00.000Z): replacements have found no place yet"
        );
    }

    #[test]
    fn of_many_agents_the_earliest_are_named() {
        let many = (0..5).map(|number| agent(&format!("node{number}"), 100 - number, None, 1)).collect();
        let left = LeftAgents::new(many, Awaited::End).expect("some");
        let hosts: Vec<&str> = left.agents().iter().map(|agent| &*agent.host).collect();
        assert_eq!((hosts, left.more(), left.instances()), (vec!["node4", "node3", "node2"], 2, 5));
        assert!(left.to_string().contains(" and 2 more agents: they are ending"), "{left}");
    }
}
