//! Faults that come at moments of their own. (Those of single messages are drawn where the message is.)

use std::time::Duration;

use ekiden_model::{AgentId, AppId, Condition, OfferId, Resources, Scalar, TaskId};

use super::Simulation;
use crate::cluster::{Drain, Link};
use crate::knobs::Fault;
use crate::timeline::Happening;

impl Simulation {
    pub(super) fn next_fault(&mut self) {
        if self.line.knobs.faults.is_empty() {
            return;
        }
        let mean = self.line.knobs.fault_every.as_millis() as u64;
        let wait = self.line.rng.millis(mean / 10, mean * 2);
        self.line.after(wait, Happening::Fault);
    }

    pub(super) fn fault(&mut self) {
        if self.healing {
            return;
        }
        self.next_fault();
        if self.cluster.memory.is_some() && self.line.rng.chance(0.5) {
            self.copy_store();
        }
        let faults = self.line.knobs.faults.clone();
        let Some(fault) = self.line.rng.pick(&faults).copied() else { return };
        self.line.log(format_args!("fault: {fault:?}"));
        let for_a_while = self.line.rng.millis(2_000, 60_000);
        match fault {
            Fault::TaskCrash => {
                if let Some(task) = self.some_task() {
                    self.crash(&task);
                }
            }
            Fault::AgentCut => {
                if let Some(agent) = self.some_agent().filter(|agent| !self.runs_what_nobody_was_told_of(agent)) {
                    self.cut_agent(&agent, for_a_while);
                }
            }
            Fault::AgentReborn => self.rebirth(),
            Fault::AgentReboot => {
                if let Some(agent) = self.some_agent() {
                    self.cluster.kill_agent(&agent, Link::Up, &mut self.line);
                }
            }
            Fault::AgentGone => {
                if let Some(agent) = self.some_agent() {
                    self.lose_agent(&agent);
                    let machine = self.draw_machine();
                    self.line.after(for_a_while, Happening::Joins(Box::new(machine)));
                }
            }
            Fault::ForeignLoad => self.load(for_a_while),
            Fault::Rescind => {
                let offers: Vec<OfferId> = self.cluster.offers.keys().cloned().collect();
                if let Some(offer) = self.line.rng.pick(&offers).cloned() {
                    self.cluster.rescind(&offer, &mut self.line);
                }
            }
            Fault::Disconnect => self.disconnect(for_a_while / 4),
            // What a store does not know and no master tells of is known to nobody (docs/safe-mode.md, limits): both at
            // once would show what everybody knows.
            Fault::MasterFailover if !self.is_told_of_all_unknown() => {}
            Fault::MasterFailover => {
                let registry = self.line.rng.chance(0.5);
                let no_offers_for = self.line.rng.millis(1_000, 60_000);
                self.fail_over(registry, for_a_while * 2, no_offers_for);
            }
            Fault::StoreWiped => self.wipe_store(for_a_while / 10),
            // What runs on agents that a new master has not heard of yet would get its ids given again
            // (docs/safe-mode.md, limits).
            Fault::StoreOld if self.cluster.agents.values().any(|agent| agent.link == Link::Unregistered) => {}
            Fault::StoreOld => self.restore_copy(for_a_while / 10),
            Fault::ClockJump => {
                let (jump, back) = (self.line.rng.between(1, 3_600_000), self.line.rng.chance(0.5));
                let jump = i64::try_from(jump).unwrap_or(0);
                self.jump_clock(if back { -jump } else { jump });
            }
            Fault::Wedge => {
                let task = self.some_task().and_then(|task| self.cluster.tasks.get_mut(&task));
                if let Some(task) = task {
                    task.wedged = true;
                }
            }
            Fault::Sick => {
                let apps: Vec<AppId> = self.declared.keys().cloned().collect();
                if let Some(app) = self.line.rng.pick(&apps).cloned() {
                    self.cluster.sick.insert(app.clone());
                    self.line.after(for_a_while, Happening::Well(app));
                }
            }
            Fault::Flap | Fault::Overload | Fault::StoreStall => {
                match fault {
                    Fault::Flap => self.flapping = true,
                    Fault::Overload => self.overload = true,
                    _ => self.store_stalled = true,
                }
                self.line.after(for_a_while / 2, Happening::Recover);
            }
            Fault::Maintenance => {
                if let Some(agent) = self.some_agent() {
                    self.announce_maintenance(&agent, for_a_while);
                }
            }
            Fault::MaintenanceOfAll => {
                let begin = self.line.now + for_a_while / 4;
                for agent in self.reachable() {
                    let window = Some((begin, Some(Duration::from_secs(120))));
                    self.cluster.schedule_maintenance(&agent, window, &mut self.line);
                    self.line.after(for_a_while, Happening::Cancelled(agent));
                }
            }
            Fault::DrainAgent => {
                if let Some(agent) = self.some_agent() {
                    let then_gone = self.line.rng.chance(0.3);
                    let drain = Drain { then_gone, grace: None };
                    self.cluster.drain(&agent, drain, &mut self.line);
                    if then_gone {
                        let machine = self.draw_machine();
                        self.line.after(for_a_while, Happening::Joins(Box::new(machine)));
                    } else {
                        self.line.after(for_a_while, Happening::Activated(agent));
                    }
                }
            }
            Fault::StoreFail | Fault::Restart => self.die(for_a_while / 10),
            Fault::MassCut => {
                let agents = self.reachable().into_iter().enumerate().filter(|(index, _)| index % 3 != 2);
                let agents =
                    agents.map(|(_, agent)| agent).filter(|agent| !self.runs_what_nobody_was_told_of(agent));
                for agent in agents.collect::<Vec<AgentId>>() {
                    self.cut_agent(&agent, for_a_while);
                }
            }
        }
    }

    fn reachable(&self) -> Vec<AgentId> {
        let up = self.cluster.agents.iter().filter(|(_, agent)| agent.link == Link::Up);
        up.map(|(id, _)| id.clone()).collect()
    }

    /// Whether an agent runs a task that the store does not know and no process was told of: if it stopped answering now,
    /// no reconciliation would tell of it (docs/safe-mode.md, limits).
    fn runs_what_nobody_was_told_of(&self, agent: &AgentId) -> bool {
        let untold = self.visible_unknown().into_iter().filter(|task| !self.ledger.unknown_noted.contains(task));
        untold.filter_map(|task| self.cluster.tasks.get(&task)).any(|task| task.agent == *agent)
    }

    fn some_agent(&mut self) -> Option<AgentId> {
        let agents = self.reachable();
        self.line.rng.pick(&agents).cloned()
    }

    fn some_task(&mut self) -> Option<TaskId> {
        let running: Vec<TaskId> = self
            .cluster
            .living()
            .filter(|task| task.state == Condition::Running && self.ledger.whose(&task.id).is_some())
            .map(|task| task.id.clone())
            .collect();
        self.line.rng.pick(&running).cloned()
    }

    /// A task fails by itself.
    pub fn crash(&mut self, task: &TaskId) {
        self.cluster.end(task, Condition::Failed, "exited with status 1", &mut self.line);
    }

    /// An agent is cut off for a while.
    pub fn cut_agent(&mut self, agent: &AgentId, back_after: Duration) {
        if let Some(cut) = self.cluster.cut(agent, &mut self.line) {
            self.line.after(back_after, Happening::Returns(agent.clone(), cut));
        }
    }

    /// An agent is gone for good, with its tasks.
    pub fn lose_agent(&mut self, agent: &AgentId) {
        self.cluster.kill_agent(agent, Link::Gone, &mut self.line);
    }

    /// A window is announced, and what becomes of it is settled.
    fn announce_maintenance(&mut self, agent: &AgentId, for_a_while: Duration) {
        let (ahead, length) = (self.line.rng.millis(0, 40_000), self.line.rng.millis(10_000, 120_000));
        let length = self.line.rng.chance(0.7).then_some(length);
        let begin = self.line.now + ahead;
        self.cluster.schedule_maintenance(agent, Some((begin, length)), &mut self.line);
        match self.line.rng.below(4) {
            0 => self.line.after(for_a_while, Happening::Cancelled(agent.clone())),
            1 => self.line.after(ahead + for_a_while / 2, Happening::TakenDown(agent.clone())),
            // It stays on the schedule.
            _ => {}
        }
    }

    /// An agent is taken down for its maintenance, if it is still to be; it comes back under another id. Not while faults
    /// heal: it would be one more.
    pub fn take_down(&mut self, agent: &AgentId) {
        if self.healing {
            return;
        }
        let planned = self.cluster.agents.get(agent).filter(|one| one.window.is_some() && one.link == Link::Up);
        let Some(host) = planned.map(|agent| agent.machine.agent.hostname.clone()) else { return };
        self.cluster.kill_agent(agent, Link::Gone, &mut self.line);
        self.join_again(&host, Duration::from_secs(20));
    }

    /// An agent is set up anew: its tasks are dead, and it comes back under another id and the same name.
    fn rebirth(&mut self) {
        let Some(agent) = self.some_agent() else { return };
        let wait = self.line.rng.millis(2_000, 20_000);
        self.set_up_anew(&agent, wait);
    }

    /// An agent dies without anybody being told, and joins under another id and the same name after a while.
    pub fn set_up_anew(&mut self, agent: &AgentId, back_after: Duration) {
        let Some(host) = self.cluster.agents.get(agent).map(|agent| agent.machine.agent.hostname.clone()) else {
            return;
        };
        self.cluster.kill_agent(agent, Link::Abandoned, &mut self.line);
        self.join_again(&host, back_after);
    }

    fn join_again(&mut self, host: &str, after: Duration) {
        self.machines += 1;
        let id = format!("agent{}", self.machines);
        let reborn = self.machine_named(&id, host);
        self.line.after(after, Happening::Joins(Box::new(reborn)));
    }

    /// Other frameworks take two thirds of what an agent has left.
    fn load(&mut self, for_a_while: Duration) {
        let Some(id) = self.some_agent() else { return };
        self.cluster.rescind_agent(&id, &mut self.line);
        let Some(free) = self.cluster.free(&id) else { return };
        let part = |amount: Scalar| Scalar(amount.0 * 2 / 3);
        if let Some(agent) = self.cluster.agents.get_mut(&id) {
            agent.foreign +=
                &Resources { cpus: part(free.resources.cpus), mem: part(free.resources.mem), ..Resources::NONE };
            self.line.after(for_a_while, Happening::Unload(id));
        }
    }

    pub(super) fn unload(&mut self, agent: &AgentId) {
        if let Some(agent) = self.cluster.agents.get_mut(agent) {
            agent.foreign = Resources::NONE;
        }
        self.cluster.want_allocation(&mut self.line);
    }

    /// Ekiden's clock jumps.
    pub fn jump_clock(&mut self, millis: i64) {
        self.line.log(format_args!("the clock jumps by {millis} ms"));
        self.skew += millis;
        // A sleeping process does not notice a jump of the wall clock; the next thing that happens wakes it.
        self.receive(ekiden_model::Input::Tick);
    }

    pub(super) fn recover(&mut self) {
        self.flapping = false;
        self.overload = false;
        self.store_stalled = false;
        self.store_next();
    }
}
