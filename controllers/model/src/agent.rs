//! Agents: the machines that run tasks.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::app::{Constraint, Field};
use crate::id::AgentId;
use crate::limits::Settings;
use crate::memo::Memo;
use crate::time::Timestamp;

/// What does not change about an agent while it keeps its id. Shared by everything that names the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id; a new one when it is set up anew.
    pub id: AgentId,
    /// The name that tasks and clients reach it by.
    pub hostname: Arc<str>,
    /// Attributes, printed as constraints see them: scalars as `0.###`, sets as `{a,b}`, ranges as `[1-2]` (§4.9).
    pub attributes: BTreeMap<String, Arc<str>>,
    /// Its fault domain's region.
    pub region: Option<Arc<str>>,
    /// Its fault domain's zone.
    pub zone: Option<Arc<str>>,
}

impl Agent {
    /// The value that a constraint on `field` looks at.
    pub fn value(&self, field: &Field) -> Option<&Arc<str>> {
        match field {
            Field::Hostname => Some(&self.hostname),
            Field::Region => self.region.as_ref(),
            Field::Zone => self.zone.as_ref(),
            Field::Attribute(name) => self.attributes.get(name),
        }
    }
}

/// An agent and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    /// Which agent.
    pub agent: Arc<Agent>,
    /// How it is, as far as we were told.
    pub presence: Presence,
    /// Planned unavailability, as last told by an offer or an announcement.
    pub maintenance: Option<Window>,
}

/// Planned unavailability: from when, and for how long (for ever when not given).
pub type Window = (Timestamp, Option<Duration>);

/// The time in which an agent is to be left because of a [`Window`]: nothing is placed on it, and what is there moves
/// away. From `ahead` before the window's beginning (Marathon's `--draining_seconds`, §4.11) to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    from: Timestamp,
    until: Timestamp,
}

impl Leave {
    /// For a window, beginning so long ahead of it.
    pub fn of((begin, length): Window, ahead: Duration) -> Self {
        Self { from: begin - ahead, until: length.map_or(Timestamp::NEVER, |length| begin + length) }
    }

    /// Whether the agent is to be left at `now`.
    pub fn is_on(self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// When that next changes, if it does.
    pub fn next_change(self, now: Timestamp) -> Option<Timestamp> {
        let ahead = [self.from, self.until].into_iter().filter(|at| *at > now && *at < Timestamp::NEVER);
        ahead.min()
    }
}

/// Whether an agent is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It offers, or its tasks report.
    Present,
    /// Mesos lost contact with it at that time. Its tasks may run on.
    Unreachable(Timestamp),
}

/// All agents that we know of, by id. An agent is known from its first offer until Mesos says that it is gone.
///
/// A map, with a memory of what was found out about all agents together; whoever changes the map clears it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agents {
    all: BTreeMap<AgentId, AgentState>,
    changes: u64,
    surveys: Memo<Vec<Survey>>,
    matching: Memo<Vec<Matching>>,
    leaving: Memo<Option<(Duration, Timestamp, Leaving)>>,
    vanished: Memo<Option<(Rule, Option<Vanished>)>>,
}

/// The agents that are to be left at a moment, whatever else is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Which. The same set in memory as long as nothing changes.
    pub agents: Arc<BTreeSet<AgentId>>,
    /// When the next agent begins or ceases to be one of them; never, if none does.
    pub until: Timestamp,
}

/// Many agents that stopped answering at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished {
    /// How many, within a window.
    pub agents: u32,
    /// How many there would be with them.
    pub of: u32,
    /// When the last of them did.
    pub last: Timestamp,
}

/// What counts as many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rule {
    window: Duration,
    minimum: u32,
    share: f64,
}

/// The agents that are present, are not among some, and on which these constraints hold.
struct Matching {
    constraints: Vec<Constraint>,
    except: Arc<BTreeSet<AgentId>>,
    agents: Arc<BTreeSet<AgentId>>,
}

/// The answer to a question about all agents but some: how many values of a field they have.
struct Survey {
    constraints: Vec<Constraint>,
    field: Field,
    except: Arc<BTreeSet<AgentId>>,
    answer: u32,
}

/// Most answers kept: one per distinct set of constraints that global apps and GROUP_BY without a number ask about.
const SURVEYS_KEPT: usize = 64;

impl Agents {
    /// No agents.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often they were changed: while it stays, they are what they were, and none need be looked at to know it.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The agents that are to be left at `now`, beginning so long ahead of their windows.
    ///
    /// Remembered until an agent changes or the time comes, and most of the time there is none.
    pub fn leaving(&self, now: Timestamp, ahead: Duration) -> Leaving {
        let mut memo = self.leaving.lock();
        let holds =
            |known: &&(Duration, Timestamp, Leaving)| known.0 == ahead && known.1 <= now && now < known.2.until;
        if let Some((.., known)) = memo.as_ref().filter(holds) {
            return known.clone();
        }
        let windows = self.all.iter().filter_map(|(id, state)| Some((id, Leave::of(state.maintenance?, ahead))));
        let (mut agents, mut until) = (BTreeSet::new(), Timestamp::NEVER);
        for (id, leave) in windows {
            if leave.is_on(now) {
                agents.insert(id.clone());
            }
            until = leave.next_change(now).map_or(until, |change| until.min(change));
        }
        let found = Leaving { agents: Arc::new(agents), until };
        *memo = Some((ahead, now, found.clone()));
        found
    }

    /// The agents that are present, are not `except` and `admits` admits, which must depend on the constraints and the
    /// agent alone: they are remembered until an agent changes.
    pub fn matching(
        &self,
        constraints: &[Constraint],
        except: &Arc<BTreeSet<AgentId>>,
        admits: impl Fn(&Agent) -> bool,
    ) -> Arc<BTreeSet<AgentId>> {
        let mut matching = self.matching.lock();
        let same = |known: &&Matching| known.constraints == constraints && known.except == *except;
        if let Some(known) = matching.iter().find(same) {
            return known.agents.clone();
        }
        let present = self.all.values().filter(|state| state.presence == Presence::Present);
        let present = present.filter(|state| !except.contains(&state.agent.id));
        let admitted = present.filter(|state| admits(&state.agent)).map(|state| state.agent.id.clone());
        let found: Arc<BTreeSet<AgentId>> = Arc::new(admitted.collect());
        if matching.len() == SURVEYS_KEPT {
            matching.remove(0);
        }
        let (constraints, except) = (constraints.to_vec(), except.clone());
        matching.push(Matching { constraints, except, agents: found.clone() });
        found
    }

    /// The agents that stopped answering at once, if they were more than `breaker_share` of all and more than
    /// `breaker_minimum`: within one `breaker_window`, the last in which so many did. Remembered until an agent changes.
    ///
    /// Only those that are still unreachable count, so a burst is over when enough of them are back. All are those
    /// that answer and those of the burst: ids that were left behind long ago make no cluster larger. Agents that are
    /// gone for good count on neither side: that is an operator's word about one machine and not the absence of an
    /// answer, and there is nothing about its instances to be waited for.
    pub fn vanished(&self, settings: &Settings) -> Option<Vanished> {
        let rule = Rule {
            window: settings.breaker_window,
            minimum: settings.breaker_minimum,
            share: settings.breaker_share,
        };
        let mut memo = self.vanished.lock();
        if let Some((_, known)) = memo.as_ref().filter(|(known, _)| *known == rule) {
            return *known;
        }
        let mut lost: Vec<Timestamp> = self.all.values().filter_map(AgentState::unreachable_since).collect();
        lost.sort_unstable();
        let found = rule.last_burst(&lost, self.all.len() - lost.len());
        *memo = Some((rule, found));
        found
    }

    /// The answer of `count`, which must depend on these agents without `except`, the constraints and the field alone: it
    /// is remembered until an agent changes.
    pub fn survey(
        &self,
        constraints: &[Constraint],
        field: &Field,
        except: &Arc<BTreeSet<AgentId>>,
        count: impl FnOnce(&BTreeMap<AgentId, AgentState>) -> u32,
    ) -> u32 {
        let mut surveys = self.surveys.lock();
        let same = |survey: &&Survey| {
            survey.constraints == constraints && survey.field == *field && survey.except == *except
        };
        if let Some(known) = surveys.iter().find(same) {
            return known.answer;
        }
        let answer = count(&self.all);
        if surveys.len() == SURVEYS_KEPT {
            surveys.remove(0);
        }
        let (constraints, field, except) = (constraints.to_vec(), field.clone(), except.clone());
        surveys.push(Survey { constraints, field, except, answer });
        answer
    }
}

impl AgentState {
    fn unreachable_since(&self) -> Option<Timestamp> {
        match self.presence {
            Presence::Present => None,
            Presence::Unreachable(since) => Some(since),
        }
    }
}

impl Rule {
    /// The last burst among losses at these times, earliest first, beside so many agents that are present.
    ///
    /// Worked example, a window of 60 s, share 0.5, minimum 3, and 4 present: of losses at 0, 10, 20, 30 and 40 s, the
    /// window that ends at 40 s has 5 of 9, which is the first with more than half. Another at 90 s has only itself and
    /// those at 40 s: the burst ended at 40 s.
    fn last_burst(&self, lost: &[Timestamp], present: usize) -> Option<Vanished> {
        let mut first = 0;
        let mut burst = None;
        for (index, at) in lost.iter().enumerate() {
            while lost[first] + self.window <= *at {
                first += 1;
            }
            let agents = index + 1 - first;
            let of = present + agents;
            if agents > self.minimum as usize && agents as f64 > self.share * of as f64 {
                burst = Some(Vanished { agents: agents as u32, of: of as u32, last: *at });
            }
        }
        burst
    }
}

impl Deref for Agents {
    type Target = BTreeMap<AgentId, AgentState>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl DerefMut for Agents {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.changes += 1;
        self.surveys.get_mut().clear();
        self.matching.get_mut().clear();
        *self.leaving.get_mut() = None;
        *self.vanished.get_mut() = None;
        &mut self.all
    }
}

impl<'a> IntoIterator for &'a Agents {
    type Item = (&'a AgentId, &'a AgentState);
    type IntoIter = btree_map::Iter<'a, AgentId, AgentState>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl FromIterator<(AgentId, AgentState)> for Agents {
    fn from_iter<T: IntoIterator<Item = (AgentId, AgentState)>>(agents: T) -> Self {
        Self { all: agents.into_iter().collect(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(present: usize, lost: &[i64]) -> Agents {
        let agent = |id: String| Agent {
            id: AgentId::new(id.clone()),
            hostname: id.into(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
        };
        let present = (0..present).map(|index| (format!("p{index}"), Presence::Present));
        let at = |seconds: &i64| Presence::Unreachable(Timestamp::from_millis(seconds * 1000));
        let lost = lost.iter().enumerate().map(|(index, seconds)| (format!("l{index}"), at(seconds)));
        let state = |(id, presence): (String, Presence)| {
            let agent = Arc::new(agent(id));
            (agent.id.clone(), AgentState { agent, presence, maintenance: None })
        };
        present.chain(lost).map(state).collect()
    }

    fn vanished(present: usize, lost: &[i64]) -> Option<(u32, u32, i64)> {
        let found = agents(present, lost).vanished(&Settings::default());
        found.map(|burst| (burst.agents, burst.of, burst.last.as_millis() / 1000))
    }

    #[test]
    fn many_at_once_are_more_than_the_share_and_the_minimum_within_a_window() {
        assert_eq!(vanished(4, &[0, 10, 20, 30, 40]), Some((5, 9, 40)));
        assert_eq!(vanished(4, &[0, 10, 20, 30]), None, "4 of 8 are not more than half");
        assert_eq!(vanished(0, &[0, 10, 20]), None, "3 are not more than the minimum");
        assert_eq!(vanished(0, &[0, 10, 20, 60]), None, "a window ends before a minute has passed");
        assert_eq!(vanished(0, &[0, 10, 20, 59]), Some((4, 4, 59)));
    }

    #[test]
    fn one_that_vanishes_later_belongs_to_it_only_while_it_goes_on() {
        assert_eq!(vanished(4, &[0, 10, 20, 30, 40, 50]), Some((6, 10, 50)));
        assert_eq!(vanished(4, &[0, 10, 20, 30, 40, 90]), Some((5, 9, 40)));
    }

    #[test]
    fn ids_that_were_left_behind_make_no_cluster_larger() {
        let long_ago: Vec<i64> = (0..50).map(|day| day * 86_400).collect();
        let now = 60 * 86_400;
        let lost: Vec<i64> = long_ago.into_iter().chain([now; 5]).collect();
        assert_eq!(vanished(4, &lost), Some((5, 9, now)));
    }

    #[test]
    fn an_agent_is_left_from_ahead_of_its_window_to_its_end() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let ahead = Duration::from_secs(10);
        let leave = Leave::of((at(100), Some(Duration::from_secs(50))), ahead);
        assert!(!leave.is_on(at(89)) && leave.is_on(at(90)) && leave.is_on(at(149)) && !leave.is_on(at(150)));
        assert_eq!(leave.next_change(at(0)), Some(at(90)));
        assert_eq!(leave.next_change(at(90)), Some(at(150)));
        assert_eq!(leave.next_change(at(150)), None);
        assert_eq!(Leave::of((at(100), None), ahead).next_change(at(90)), None);
    }

    #[test]
    fn who_is_to_be_left_follows_the_time_and_the_windows() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut agents = agents(3, &[]);
        let ids = |leaving: &Leaving| leaving.agents.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(agents.leaving(at(0), Duration::ZERO).until, Timestamp::NEVER);
        for (id, begin) in [("p0", 100), ("p2", 200)] {
            if let Some(state) = agents.get_mut(&AgentId::new(id)) {
                state.maintenance = Some((at(begin), Some(Duration::from_secs(300))));
            }
        }
        let now = |seconds| agents.leaving(at(seconds), Duration::ZERO);
        assert_eq!((ids(&now(99)), now(99).until), (vec![], at(100)));
        assert_eq!((ids(&now(100)), now(100).until), (vec!["p0".to_owned()], at(200)));
        assert!(Arc::ptr_eq(&now(100).agents, &now(199).agents), "nothing has changed");
        assert_eq!((ids(&now(450)), now(450).until), (vec!["p2".to_owned()], at(500)));
        assert_eq!(ids(&agents.leaving(at(99), Duration::from_secs(1))), ["p0"]);
        if let Some(state) = agents.get_mut(&AgentId::new("p2")) {
            state.maintenance = None;
        }
        assert_eq!(ids(&agents.leaving(at(450), Duration::ZERO)), [""; 0]);
    }

    #[test]
    fn what_was_found_out_is_forgotten_with_every_change() {
        let mut agents = agents(4, &[0, 0, 0, 0, 0]);
        let settings = Settings::default();
        assert!(agents.vanished(&settings).is_some());
        assert!(agents.vanished(&Settings { breaker_minimum: 5, ..settings.clone() }).is_none());
        if let Some(state) = agents.get_mut(&AgentId::new("l0")) {
            state.presence = Presence::Present;
        }
        assert!(agents.vanished(&settings).is_none());
    }
}
