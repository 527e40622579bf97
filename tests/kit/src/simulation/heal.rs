//! The end of every run: the faults stop, and then everything must come right (L1), come to rest (L2), and until it has
//! say why not (L3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::agent::Leave;
use ekiden_model::app::{Constraint, Operator};
use ekiden_model::record::Record;
use ekiden_model::revision::Phase;
use ekiden_model::{AgentId, App, AppId, Reason, Report, Resources};

use super::Simulation;
use crate::build::AppBuilder;
use crate::cluster::{Link, SimAgent, SimTask};
use crate::invariants::{Excuse, holds};
use crate::timeline::Happening;

/// By when everything must have come right. The longest chain of waits in a drawn world: an agent's expunging (60 s), a
/// launch that is overdue (60 s), a breaker's window (60 s), the longest backoff (20 s), a rollout of six instances one
/// by one with 12 s to health each, and the deadline of one (60 s) with its way back; twice.
const BOUND: Duration = Duration::from_secs(20 * 60);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What may still be on its way when everything matches: the last declines and acknowledgements.
const SETTLING: Duration = Duration::from_secs(40);
/// What a difference begins with that is none, but for its report.
const SILENT: &str = "it matches, and its report says otherwise";
/// How long nothing may happen then.
const IDLE: Duration = Duration::from_secs(90);

/// How far everything has come.
#[derive(Debug, Default)]
pub struct Healed {
    /// What differs, by app.
    pub differing: BTreeMap<AppId, String>,
    /// Which of these may.
    pub excused: BTreeMap<AppId, Excuse>,
}

impl Simulation {
    /// The whole run: faults for as long as the knobs say, then healing. Returns how many apps stayed excused.
    pub(super) fn whole(&mut self) -> usize {
        self.run_for(self.line.knobs.length);
        self.heal();
        let healed = self.converge();
        if !healed.differing.is_empty() && self.line.violation.is_none() {
            // Whoever stands still, because somebody or its failure said so, is set going again.
            let still: Vec<AppId> = healed
                .excused
                .iter()
                .filter(|(_, excuse)| **excuse == Excuse::StandsStill)
                .map(|(id, _)| id.clone())
                .collect();
            if !still.is_empty() {
                self.line.log(format_args!("set going again: {still:?}"));
                let apps = still.iter().filter_map(|id| self.declared.get(id).cloned());
                let going = apps.map(|app| AppBuilder::from(&app).cmd("run healed").paused(false).arc()).collect();
                self.declare_all(going);
                return self.converge().excused.len();
            }
        }
        healed.excused.len()
    }

    /// The faults stop. What they did stays.
    pub fn heal(&mut self) {
        if self.line.violation.is_some() {
            return;
        }
        self.line.log(format_args!("heal"));
        self.healing = true;
        self.line.knobs.heal();
        self.recover();
        self.cluster.benign = true;
        self.cluster.sick.clear();
        if self.cluster.memory.is_some() && self.story.is_none() {
            self.line.after(Duration::from_secs(5), Happening::Operator);
        }
        let agents: Vec<_> = self.cluster.agents.keys().cloned().collect();
        let mut lost = 0;
        for id in agents {
            let Some(agent) = self.cluster.agents.get_mut(&id) else { continue };
            agent.foreign = Resources::NONE;
            agent.drain = None;
            match agent.link {
                Link::Up => {}
                Link::Unregistered => self.line.after(Duration::from_secs(2), Happening::Registers(id)),
                Link::Cut | Link::Unreachable => {
                    let cut = agent.cuts;
                    self.line.after(Duration::from_secs(2), Happening::Returns(id, cut));
                }
                Link::Abandoned => {
                    self.cluster.declare_gone(&id, &mut self.line);
                    lost += 1;
                }
                Link::Gone => lost += 1,
            }
        }
        self.line.log(format_args!("{lost} agents are lost"));
        // Only agents that are to be left for ever stay so: a window that begins or ends later would be a fault of its own.
        // And none does where a global app stays at its floor on such agents.
        let global = self.declared.values().any(|app| app.is_global());
        let drain_before = self.settings.drain_before;
        let ids: Vec<_> = self.cluster.agents.keys().cloned().collect();
        for id in ids {
            let window = self.cluster.agents[&id].window.filter(|(_, length)| length.is_none());
            // By a clock that was set back since it was told, it has perhaps yet to begin.
            let is_on = window.is_some_and(|window| Leave::of(window, drain_before).is_on(self.told_now()));
            if global || !is_on || !self.ledger.is_left(&id, drain_before, true) {
                self.cluster.schedule_maintenance(&id, None, &mut self.line);
            }
        }
        self.cluster.want_allocation(&mut self.line);
        if self.process.is_none() {
            self.line.after(Duration::from_secs(1), Happening::Start);
        }
        // What nobody replaces for its health gets well by itself.
        let nobody_replaces = |task: &SimTask, declared: &BTreeMap<AppId, Arc<App>>| {
            declared.get(&task.app).is_none_or(|app| app.health_checks.iter().all(|check| check.max_failures == 0))
        };
        for task in self.cluster.tasks.values_mut() {
            if nobody_replaces(task, &self.declared) {
                task.wedged = false;
            }
        }
    }

    /// L1 and L3, then L2: runs until everything matches or may differ, within the bound; then nothing may happen. What
    /// holds instead of a file differs until it is due, and the bound counts from then.
    pub fn converge(&mut self) -> Healed {
        let mut deadline = self.line.now + BOUND;
        let mut healed = Healed::default();
        while self.line.violation.is_none() {
            self.run_for(LOOK_EVERY);
            healed = self.compare();
            if healed.differing.is_empty() {
                self.rest();
                return healed;
            }
            let overridden_for = self.ledger.overridden_for(self.told_now());
            if overridden_for > Duration::ZERO {
                deadline = self.line.now + overridden_for + BOUND;
            }
            if self.line.now >= deadline {
                self.judge(&healed);
                return healed;
            }
        }
        healed
    }

    /// How far everything has come.
    pub fn compare(&mut self) -> Healed {
        let mut healed = Healed::default();
        let declared = self.declared.clone();
        let reports = |run: &Self, id: &AppId| run.reconciler().map_or(Report::empty(), |brain| brain.report(id));
        for (id, app) in &declared {
            let count = if app.is_global() { self.matching_agents(app) } else { app.instances };
            let report = reports(self, id);
            let phase = self.reconciler().and_then(|brain| brain.app(id)?.rollout.as_ref().map(|one| one.phase));
            let check = self.check();
            let tasks: Vec<&SimTask> = check
                .cluster
                .tasks
                .values()
                .filter(|task| task.app == *id && check.ledger.whose(&task.id).is_some())
                .collect();
            let waits = report.reasons.iter().any(|reason| !is_history(reason));
            let mut difference = match check.matches(app, count, &tasks) {
                Ok(()) if !waits => continue,
                Ok(()) => SILENT.to_owned(),
                Err(difference) => difference,
            };
            let excuse = excuse_of(&report, phase, || check.has_room(app, count));
            for reason in &report.reasons {
                difference.push_str("; ");
                difference.push_str(&reason.to_string());
            }
            healed.differing.insert(id.clone(), difference);
            if let Some(excuse) = excuse {
                healed.excused.insert(id.clone(), excuse);
            }
        }
        let waits_for_others: Vec<(AppId, BTreeSet<AppId>)> = healed
            .differing
            .keys()
            .map(|id| (id.clone(), dependencies(&reports(self, id))))
            .filter(|(_, others)| !others.is_empty())
            .collect();
        for (id, others) in waits_for_others {
            if others.iter().any(|other| healed.differing.contains_key(other) || self.stands_still(other)) {
                healed.excused.entry(id).or_insert(Excuse::Dependency);
            }
        }
        if let Err(left) = self.check().left_over(&declared) {
            healed.differing.insert(crate::build::app_id("/left-over"), left);
        }
        let open = self.open_ends(&healed);
        if !open.is_empty() {
            healed.differing.insert(crate::build::app_id("/open-ends"), open.join("; "));
        }
        healed
    }

    /// Whether an app's rollout is paused or has failed. All of its tasks may run what is declared all the same: those that
    /// were taken over are of another revision by the books, and so are those of before a restart. Who depends on it waits
    /// for somebody to set it going, and so does its deployment while it is paused.
    fn stands_still(&self, id: &AppId) -> bool {
        let rollout = self.reconciler().and_then(|brain| brain.app(id)?.rollout.as_ref());
        rollout.is_some_and(|rollout| matches!(rollout.phase, Phase::Paused | Phase::Failed))
    }

    /// What is to be over although every app may be as declared: requests that wait for their answer, what holds instead of
    /// a file, and deployments of apps that match.
    fn open_ends(&self, healed: &Healed) -> Vec<String> {
        let requests = self.ledger.requests.iter();
        let mut open: Vec<String> = requests
            .map(|(request, asked)| format!("request {} is not answered: {:?}", request.0, asked.command))
            .collect();
        let records = &self.store.durable;
        let overridden = records.apps.values().filter_map(|record| {
            let over = record.declared.as_ref()?.over.as_ref()?;
            Some(format!("{} is overridden until {}", record.id, over.until))
        });
        open.extend(overridden);
        for record in records.others.values() {
            let Record::Deployment(deployment) = record else { continue };
            let mut under_way =
                deployment.changes.keys().filter(|app| records.is_under_way(deployment, app)).peekable();
            if under_way.peek().is_none() {
                open.push(format!("deployment {} has nothing on its way, and is not over", deployment.id));
            }
            let through = under_way.filter(|app| !healed.differing.contains_key(*app) && !self.stands_still(app));
            open.extend(through.map(|app| format!("{app} matches and is on its way in {}", deployment.id)));
        }
        open
    }

    /// On how many agents a global app is to run, in truth, those left out that are to be left.
    fn matching_agents(&self, app: &App) -> u32 {
        let alone = |rule: &&Constraint| {
            matches!(
                rule.operator,
                Operator::Like(_) | Operator::Unlike(_) | Operator::Is(_) | Operator::Cluster(Some(_))
            )
        };
        let is_left =
            |agent: &SimAgent| self.ledger.is_left(&agent.machine.agent.id, self.settings.drain_before, true);
        let up = self.cluster.agents.values().filter(|agent| agent.link == Link::Up && agent.drain.is_none());
        // An agent shows itself by what it offers, or by a task on record.
        let is_known =
            |id: &AgentId| self.ledger.agents.contains_key(id) || self.cluster.has_something_to_offer(id);
        let up = up.filter(|agent| !is_left(agent) && is_known(&agent.machine.agent.id));
        let matching = up.filter(|agent| {
            let mut rules = app.constraints.iter().filter(alone);
            rules.all(|rule| holds(rule, &agent.machine.agent, std::iter::empty(), 0))
        });
        matching.count() as u32
    }

    /// L1: what differs at last must have an excuse. L3: whoever differs says why.
    fn judge(&mut self, healed: &Healed) {
        for (id, difference) in &healed.differing {
            if healed.excused.contains_key(id) {
                continue;
            }
            let unexplained = self.declared.contains_key(id)
                && self.reconciler().is_some_and(|brain| brain.report(id).is_empty());
            let rolling = difference.contains("older revision");
            let l3 = difference.starts_with(SILENT) || (unexplained && rolling);
            let invariant = if l3 { "L3" } else { "L1" };
            self.line.violate(invariant, format!("{id} never came right: {difference}"));
        }
    }

    fn is_global(&self, id: &AppId) -> bool {
        self.declared.get(id).is_some_and(|app| app.is_global())
    }

    /// L2: everything matches, so nothing happens.
    fn rest(&mut self) {
        self.run_for(SETTLING);
        let before = self.effects;
        self.run_for(IDLE);
        if self.line.violation.is_some() {
            return;
        }
        let still = self.compare();
        // A machine that was on its way has joined, and a global app has no instance there: its rack is full, or its
        // rollout stands still and starts nothing.
        let may_lack_one = |id: &AppId| {
            matches!(still.excused.get(id), Some(Excuse::NoRoom | Excuse::StandsStill)) && self.is_global(id)
        };
        if let Some((id, difference)) = still.differing.iter().find(|(id, _)| !may_lack_one(id)) {
            self.line.violate("L1", format!("{id} matched and does not any more: {difference}"));
            return;
        }
        // A global app goes on being offered agents, and returns what it does not need.
        let global = self.declared.values().any(|app| app.is_global());
        if self.effects != before && !global {
            let count = self.effects - before;
            self.line.violate("L2", format!("{count} effects although everything matches"));
        }
    }
}

/// What a report may go on saying although everything matches.
fn is_history(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::RolledBack { .. }
            | Reason::RolloutFailed { .. }
            | Reason::Paused { .. }
            | Reason::BackingOff { .. }
    )
}

fn excuse_of(report: &Report, phase: Option<Phase>, has_room: impl Fn() -> bool) -> Option<Excuse> {
    let says = |wanted: fn(&Reason) -> bool| report.reasons.iter().any(wanted);
    if says(|reason| matches!(reason, Reason::AwaitingOffers { .. })) && !has_room() {
        return Some(Excuse::NoRoom);
    }
    let stands = match phase {
        Some(Phase::Paused) => says(|reason| matches!(reason, Reason::Paused { .. })),
        Some(Phase::Failed) => says(|reason| matches!(reason, Reason::RolloutFailed { .. })),
        Some(Phase::RollingBack { .. } | Phase::Complete) => {
            says(|reason| matches!(reason, Reason::RolledBack { .. }))
        }
        Some(Phase::Waiting | Phase::Rolling) | None => false,
    };
    let no_port =
        |reason: &Reason| matches!(reason, Reason::ServicePortTaken { .. } | Reason::ServicePortsExhausted { .. });
    if says(no_port) {
        return Some(Excuse::NoRoom);
    }
    stands.then_some(Excuse::StandsStill)
}

fn dependencies(report: &Report) -> BTreeSet<AppId> {
    let named = report.reasons.iter().filter_map(|reason| match reason {
        Reason::AwaitingDependency { app, .. } => Some(app.clone()),
        _ => None,
    });
    named.collect()
}
