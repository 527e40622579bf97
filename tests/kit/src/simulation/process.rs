//! Ekiden's process: what `src/runtime` does around the reconciler. It can die at any effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app_state::Source;
use ekiden_model::deployment::Progress;
use ekiden_model::edit::RequestId;
use ekiden_model::effect::{Effect, Probe};
use ekiden_model::health::{Outcome, ProbeKind};
use ekiden_model::input::{ClusterEvent, Command, Desired, TaskStatus, WriteSeq};
use ekiden_model::record::{AppRecord, Installation, Record, RecordKey, Write};
use ekiden_model::view::Sample;
use ekiden_model::{AppId, Condition, Input, Instance, InstanceKey, Timestamp};
use ekiden_reconciler::Reconciler;

use super::Simulation;
use super::lines::{effect_line, input_line};
use crate::mutant::Mutant;
use crate::timeline::Happening;

/// Most steps in a row that nothing led to, that did nothing, and that wanted another at once: whoever wants more is not
/// going to stop by itself.
const SPINS_MAX: u32 = 50;

/// Most steps within ten seconds: a drawn world has some 30 instances, of which each is probed every two seconds at most
/// and changes a few times a minute. Ten times that is somebody who talks to himself.
const STEPS_IN_TEN_SECONDS: u32 = 3_000;

/// Most effects of one step (S9): a step makes 512 visits at most, each with some launches.
const EFFECTS_MAX: usize = 20_000;

/// A running Ekiden.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) reconciler: Reconciler,
    pub(super) inbox: Vec<Input>,
    /// Whether it has said which framework it is.
    pub(super) has_subscribed: bool,
    probes: BTreeMap<(AppId, InstanceKey, ProbeKind), (u64, Probe)>,
    step_due: bool,
    wake: u64,
    last_seq: WriteSeq,
    spins: u32,
    /// Steps since that moment.
    lately: (Timestamp, u32),
}

impl Simulation {
    /// Ekiden starts: from what the store has.
    pub(super) fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let fresh = Installation::new(self.line.rng.next());
        let settings = if self.has(Mutant::NoBreaker) {
            ekiden_model::limits::Settings { breaker_minimum: u32::MAX, ..self.settings.clone() }
        } else {
            self.settings.clone()
        };
        let records = self.store.durable.to_vec();
        let reconciler = match Reconciler::restore(settings, Self::abilities(), fresh, records) {
            Ok(reconciler) => reconciler,
            Err(error) => {
                self.line.violate("S5", format!("what is durable cannot be restored: {error}"));
                return;
            }
        };
        self.lives += 1;
        self.line.log(format_args!("ekiden starts (life {})", self.lives));
        self.ledger.restarted(&self.store.durable);
        self.process = Some(Process {
            reconciler,
            inbox: Vec::new(),
            has_subscribed: false,
            probes: BTreeMap::new(),
            step_due: false,
            wake: 0,
            last_seq: WriteSeq::default(),
            spins: 0,
            lately: (self.line.now, 0),
        });
        let desired = self.whole_directory();
        if self.has(Mutant::IgnoreSettled) && self.lives > 1 {
            self.premature = true;
        } else {
            // Read while we connect: sometimes all at once, sometimes in parts, and the last part says that it is.
            let parts = if self.line.knobs.jitter && self.line.rng.chance(0.3) { 2 } else { 1 };
            for part in split(desired, parts) {
                self.receive(Input::Desired(part));
            }
        }
        self.send_again();
        self.want_step();
        if self.cluster.memory.is_none() {
            let delay = self.line.jitter(5, 2_000);
            self.line.after(delay, Happening::Connect(self.lives));
        }
    }

    /// All that is declared, and what is no longer.
    fn whole_directory(&self) -> Desired {
        let files = self.declared.values().filter(|app| !self.clients.owns(&app.id));
        let by_api =
            |record: &AppRecord| record.declared.as_ref().is_some_and(|declared| declared.source == Source::Api);
        let gone = |record: &&AppRecord| {
            !by_api(record) && (self.clients.owns(&record.id) || !self.declared.contains_key(&record.id))
        };
        Desired {
            declare: files.map(|app| (app.clone(), source(app.id.as_str()))).collect(),
            withdraw: self.store.durable.apps.values().filter(gone).map(|record| record.id.clone()).collect(),
            complete: true,
            commit: None,
        }
    }

    pub(super) fn connect(&mut self, life: u64) {
        if self.process.is_none() || life != self.lives || self.cluster.connection.is_some() {
            return;
        }
        let has_subscribed = self.process.as_ref().is_some_and(|process| process.has_subscribed);
        if self.cluster.memory.is_some() && !has_subscribed {
            return;
        }
        self.connections += 1;
        self.line.log(format_args!("connected ({})", self.connections));
        self.cluster.connect(self.connections, &mut self.line);
        if let Some(framework) = self.cluster.memory.as_ref().and_then(|memory| memory.current.clone()) {
            self.receive(Input::Cluster(ClusterEvent::Registered(framework)));
        }
        self.receive(Input::Cluster(ClusterEvent::Connected));
        if self.has(Mutant::IgnoreSettled) {
            self.receive(Input::Desired(self.whole_directory()));
        }
    }

    /// The master breaks the connection.
    pub(super) fn disconnect(&mut self, back_after: Duration) {
        if self.cluster.connection.is_some() {
            self.line.log(format_args!("disconnected"));
            self.cluster.disconnect();
            self.receive(Input::Cluster(ClusterEvent::Disconnected));
            self.line.after(back_after, Happening::Connect(self.lives));
        }
    }

    /// Ekiden dies: whatever is not durable is lost, and some of what is on its way to the store becomes durable.
    pub fn die(&mut self, down_for: Duration) {
        if self.process.take().is_none() {
            return;
        }
        let kept = self.line.rng.below(self.store.in_flight.len() as u64 + 1) as usize;
        self.line.log(format_args!("ekiden dies; {kept} of {} batches survive", self.store.in_flight.len()));
        self.store.crash(kept);
        self.store_busy = false;
        self.cluster.disconnect();
        // Which roles a new process asks for is up to it.
        self.cluster.roles.truncate(1);
        self.give_up();
        self.line.after(down_for, Happening::Start);
    }

    /// Something arrives for Ekiden.
    pub(super) fn receive(&mut self, input: Input) {
        let Some(process) = &mut self.process else { return };
        process.inbox.push(input);
        self.want_step();
    }

    fn want_step(&mut self) {
        let Some(process) = &mut self.process else { return };
        if !process.step_due {
            process.step_due = true;
            // What arrives meanwhile is taken together, as the runtime's loop does.
            let delay = self.line.jitter(0, 4);
            self.line.after(delay, Happening::Step);
        }
    }

    pub(super) fn wake(&mut self, number: u64) {
        if self.process.as_ref().is_some_and(|process| process.wake == number) {
            self.want_step();
        }
    }

    /// The reconciler takes what has arrived, and what it wants is carried out.
    pub(super) fn step(&mut self) {
        let told_now = self.told_now();
        let now = self.line.now;
        let Some(process) = &mut self.process else { return };
        process.step_due = false;
        let mut inputs = std::mem::take(&mut process.inbox);
        if inputs.is_empty() {
            inputs.push(Input::Tick);
        }
        let for_nothing = inputs == [Input::Tick];
        let (since, count) = process.lately;
        let fresh = now.since(since) > Duration::from_secs(10);
        process.lately = if fresh { (now, 1) } else { (since, count + 1) };
        let restless = process.lately.1 > STEPS_IN_TEN_SECONDS;
        self.ledger.take_in(told_now, &inputs);
        for input in &inputs {
            input_line(input, &mut self.line);
        }
        let inputs = self.mutated_inputs(inputs);
        let Some(process) = &mut self.process else { return };
        self.steps += 1;
        let mut effects = process.reconciler.step(told_now, inputs);
        let refused = process.reconciler.work().actions_refused;
        if refused > 0 {
            self.line.violate("X", format!("{refused} actions were refused"));
        }
        let spins = for_nothing
            && effects.is_empty()
            && process.reconciler.next_wake().is_some_and(|wake| wake <= told_now);
        process.spins = if spins { process.spins + 1 } else { 0 };
        let spun = process.spins;
        if restless {
            self.line.violate("L2", format!("more than {STEPS_IN_TEN_SECONDS} steps within ten seconds"));
        }
        if spun > SPINS_MAX {
            self.line.violate("L2", format!("more than {SPINS_MAX} steps in a row did nothing and want another"));
        }
        if effects.len() > EFFECTS_MAX {
            self.line.violate("S9", format!("{} effects in one step", effects.len()));
        }
        self.mutate_effects(&mut effects);
        let by_chance = self.line.rng.chance(self.line.knobs.step_cut);
        let carried_out = if by_chance {
            self.line.rng.below(effects.len() as u64 + 1) as usize
        } else if effects.is_empty() {
            0
        } else {
            self.cut_after.unwrap_or(effects.len())
        };
        let (carried_out, doomed) = self.count_down(carried_out, effects.len());
        let cut = doomed || by_chance || (!effects.is_empty() && self.cut_after.take().is_some());
        for effect in effects.into_iter().take(carried_out) {
            // To ask now and then how all tasks are is no restlessness.
            self.effects += u64::from(!matches!(effect, Effect::Reconcile(_)));
            self.carry_out(effect);
        }
        if cut {
            let down_for = self.line.jitter(100, 5_000);
            self.die(down_for);
            return;
        }
        self.look_ahead(told_now);
    }

    /// How many of a step's effects are carried out where a death after so many was ordered, and whether it comes now.
    fn count_down(&mut self, carried_out: usize, all: usize) -> (usize, bool) {
        match self.dies_after {
            Some(left) if left < all => {
                self.dies_after = None;
                (left.min(carried_out), true)
            }
            Some(left) => {
                self.dies_after = Some(left - carried_out);
                (carried_out, false)
            }
            None => (carried_out, false),
        }
    }

    /// When the reconciler wants to be asked again.
    fn look_ahead(&mut self, told_now: Timestamp) {
        let number = self.line.number();
        let Some(process) = &mut self.process else { return };
        let _ = process.reconciler.take_touched();
        process.wake = number;
        let Some(wake) = process.reconciler.next_wake() else { return };
        let wait = wake.since(told_now);
        self.line.after(wait, Happening::Wake(number));
    }

    fn carry_out(&mut self, effect: Effect) {
        effect_line(&effect, &mut self.line);
        self.tell_effect(&effect);
        let found = match &effect {
            Effect::Persist { seq, writes } => {
                let before = self.announced_before();
                let found = self.announce(*seq, writes);
                if let Some(before) = before {
                    self.tell_writes(&before, writes);
                }
                self.persist(*seq, writes.clone());
                found
            }
            Effect::Accept { tasks, .. } => {
                self.must_stand_still("tasks are launched");
                let mut check = self.check();
                tasks.iter().flat_map(|launch| check.launch(launch)).collect()
            }
            Effect::Kill { task, .. } => {
                self.must_stand_still("a task is killed");
                self.check().kill(task)
            }
            Effect::Acknowledge(ack) => self.check().acknowledge(ack),
            Effect::Answer(request, answer) => self.answered(*request, answer),
            _ => Vec::new(),
        };
        for (invariant, text) in found {
            self.line.violate(invariant, text);
        }
        match effect {
            Effect::StartProbe(app, probe) => self.start_probe(app, *probe),
            Effect::StopProbe(app, instance, kind) => {
                if let Some(process) = &mut self.process {
                    process.probes.remove(&(app, instance, kind));
                }
            }
            Effect::Persist { .. } | Effect::Notify(_) | Effect::Answer(..) => {}
            Effect::Survey { except } => self.survey(except),
            Effect::Subscribe(framework) => self.subscribe(framework),
            call => {
                if let Some(connection) = self.cluster.connection {
                    let at = self.cluster.call_arrives(&mut self.line);
                    self.line.at(at, Happening::Call(connection, Box::new(call)));
                }
            }
        }
    }

    fn announce(&mut self, seq: WriteSeq, writes: &[Write]) -> crate::invariants::Found {
        let now = self.ledger.now;
        let Some(process) = &mut self.process else { return Vec::new() };
        let in_order = seq > process.last_seq;
        process.last_seq = seq;
        let reconciler = &process.reconciler;
        let mut check = crate::invariants::Check {
            cluster: &self.cluster,
            ledger: &mut self.ledger,
            store: &self.store,
            settings: &self.settings,
            now,
            world_now: self.line.now,
        };
        let mut found = check.announced(writes, &|app| reconciler.desired(app));
        if !in_order {
            found.push(("S5", format!("batch {} comes after a later one", seq.0)));
        }
        found
    }

    fn persist(&mut self, seq: WriteSeq, mut writes: Vec<Write>) {
        if self.has(Mutant::DropSlotWrite) && self.line.rng.chance(0.3) {
            writes.retain(|write| !matches!(write, Write::Put(Record::Slot(_))));
        }
        self.mutate_writes(&mut writes);
        self.store.in_flight.push_back((seq, writes));
        if self.has(Mutant::LaunchBeforeDurable) {
            self.receive(Input::Stored(seq));
        }
        self.store_next();
    }

    /// The store takes up the next batch, if it is not busy with one.
    pub(super) fn store_next(&mut self) {
        if self.store_busy || self.store_stalled || self.store.in_flight.is_empty() {
            return;
        }
        self.store_busy = true;
        let slow = self.line.rng.chance(self.line.knobs.store_slow);
        let takes = if slow { self.line.rng.millis(500, 8_000) } else { self.line.jitter(1, 6) };
        self.line.after(takes, Happening::Stored(self.lives));
    }

    pub(super) fn stored(&mut self, life: u64) {
        if life != self.lives || self.process.is_none() {
            return;
        }
        self.store_busy = false;
        if let Some(seq) = self.store.complete_one() {
            self.line.log(format_args!("stored {}", seq.0));
            self.receive(Input::Stored(seq));
        }
        self.store_next();
    }

    fn start_probe(&mut self, app: AppId, probe: Probe) {
        let number = self.line.number();
        let first = self.line.jitter(20, 500).min(probe.first_after.max(Duration::from_millis(20)));
        let (instance, kind) = (probe.instance, probe.kind);
        let due = Happening::Probe(self.lives, app.clone(), instance, kind, number);
        self.line.after(first, due);
        if let Some(process) = &mut self.process {
            process.probes.insert((app, instance, kind), (number, probe));
        }
    }

    pub(super) fn probe(&mut self, life: u64, app: &AppId, instance: InstanceKey, kind: ProbeKind, number: u64) {
        if life != self.lives {
            return;
        }
        let Some(process) = &self.process else { return };
        let key = (app.clone(), instance, kind);
        let Some((current, probe)) = process.probes.get(&key).filter(|(current, _)| *current == number) else {
            return;
        };
        let again = Happening::Probe(life, app.clone(), instance, kind, *current);
        let interval = probe.interval;
        let (outcome, http_status) = self.ask(app, instance, kind);
        self.line.after(interval, again);
        let sample = Sample { instance, kind, at: self.told_now(), outcome, http_status };
        self.receive(Input::Probe(app.clone(), sample));
    }

    /// What a probe finds, in truth; unless the checker is the one that is ill.
    fn ask(&mut self, app: &AppId, instance: InstanceKey, kind: ProbeKind) -> (Outcome, Option<u16>) {
        if self.overload || self.line.rng.chance(self.line.knobs.probe_lost) {
            return (Outcome::NoResult("the checker is overloaded".into()), None);
        }
        let flap = self.flapping && self.line.rng.chance(0.4);
        let task = self.ledger.task_id(app, instance);
        let Some(task) = task.and_then(|task| self.cluster.tasks.get(&task)) else {
            return (Outcome::Failure("connection refused".into()), None);
        };
        let now = self.line.now;
        let reachable =
            self.cluster.agents.get(&task.agent).is_some_and(|agent| agent.link == crate::cluster::Link::Up);
        let well = match kind {
            ProbeKind::Health(_) => self.cluster.is_healthy(task, now),
            ProbeKind::Readiness => self.cluster.is_ready(task, now),
        };
        if !reachable {
            (Outcome::Failure("timed out".into()), None)
        } else if well && !flap {
            (Outcome::Success, Some(200))
        } else {
            (Outcome::Failure("503 Service Unavailable".into()), Some(503))
        }
    }

    fn mutated_inputs(&mut self, inputs: Vec<Input>) -> Vec<Input> {
        let Some(mutant) = self.mutant else { return inputs };
        let mut mutated = Vec::new();
        if std::mem::take(&mut self.premature) {
            let withdraw = self.store.durable.apps.keys().cloned().collect();
            let answers = self.answers_on_record();
            mutated.push(Input::Desired(Desired { declare: Vec::new(), withdraw, complete: true, commit: None }));
            mutated.push(Input::Cluster(ClusterEvent::Connected));
            mutated.extend(answers);
            mutated.push(Input::Cluster(ClusterEvent::Reconciled));
        }
        for input in inputs {
            match input {
                Input::Desired(desired) => {
                    let declare =
                        desired.declare.iter().map(|(app, from)| (mutant.declaration(app), from.clone()));
                    mutated.push(Input::Desired(Desired { declare: declare.collect(), ..desired }));
                }
                Input::Probe(app, sample)
                    if mutant == Mutant::HealthyForCondemned && matches!(sample.outcome, Outcome::Failure(_)) =>
                {
                    let outcome = Outcome::Success;
                    mutated.push(Input::Probe(app, Sample { outcome, http_status: Some(200), ..sample }));
                }
                Input::Stored(_) if mutant == Mutant::LaunchBeforeDurable => {
                    if !mutated.contains(&input) {
                        mutated.push(input);
                    }
                }
                Input::Cluster(ClusterEvent::Maintenance(..)) if mutant == Mutant::PlaceOnLeaving => {}
                Input::Cluster(ClusterEvent::Offers(mut offers)) if mutant == Mutant::PlaceOnLeaving => {
                    for offer in &mut offers {
                        offer.maintenance = None;
                    }
                    mutated.push(Input::Cluster(ClusterEvent::Offers(offers)));
                }
                Input::Cluster(ClusterEvent::Status(mut status)) => {
                    if mutant == Mutant::ForgetUnreachable && status.condition == Condition::Unreachable {
                        status.condition = Condition::Gone;
                    }
                    let failed = matches!(status.condition, Condition::Failed | Condition::Finished);
                    let app = self.ledger.whose(&status.task).map(|(app, _)| app);
                    mutated.push(Input::Cluster(ClusterEvent::Status(status)));
                    if let Some(app) = app.filter(|_| failed && mutant == Mutant::SkipBackoff) {
                        self.receive(Input::Tick);
                        mutated.push(Input::Command(RequestId::default(), Command::ResetBackoff(app)));
                    }
                }
                Input::Command(request, command) => {
                    mutated.push(Input::Command(request, mutant.command(command)));
                }
                Input::Cluster(event @ ClusterEvent::Found(_)) => mutated.extend(self.mutate_found(event)),
                other => mutated.push(other),
            }
        }
        mutated
    }

    /// That every task on record is as it is on record.
    fn answers_on_record(&self) -> Vec<Input> {
        let slots = self.store.durable.slots.values();
        let all = slots.flat_map(|slot| slot.instances.iter().map(|one| (&slot.app, one)));
        let launched = all.filter(|(_, one)| one.condition.is_live() && one.condition != Condition::Provisioned);
        let answer = |(app, one): (&AppId, &Instance)| {
            let task = self.ledger.task_id(app, one.key)?;
            let (message, reason) = (Arc::from(""), None);
            let status = TaskStatus { task, condition: one.condition, message, reason, healthy: None, ack: None };
            Some(Input::Cluster(ClusterEvent::Status(status)))
        };
        launched.filter_map(answer).collect()
    }

    /// What reaches the store of what was to be written.
    fn mutate_writes(&self, writes: &mut Vec<Write>) {
        match self.mutant {
            Some(Mutant::DropVersionWrite) => {
                writes.retain(|write| !matches!(write, Write::Put(Record::Version(..))));
            }
            Some(Mutant::NeverEndDeployment) => {
                writes.retain(|write| !matches!(write, Write::Delete(RecordKey::Deployment(_))));
            }
            _ => {}
        }
    }

    fn mutate_effects(&mut self, effects: &mut Vec<Effect>) {
        let Some(mutant) = self.mutant else { return };
        match mutant {
            Mutant::AcknowledgeBeforeDurable => {
                let known: Vec<_> =
                    self.ledger.unacknowledged.iter().map(|(uuid, (task, _))| (uuid, task)).collect();
                let agent = |task| self.cluster.tasks.get(task).map(|task| task.agent.clone());
                let acks = known.into_iter().filter_map(|(uuid, task)| {
                    let agent = agent(task)?;
                    Some(ekiden_model::input::Ack { agent, task: task.clone(), uuid: uuid.clone() })
                });
                let mut early: Vec<Effect> = acks.map(Effect::Acknowledge).collect();
                early.append(effects);
                *effects = early;
            }
            Mutant::LaunchTwice => {
                let accept = effects.iter().find(|effect| matches!(effect, Effect::Accept { .. })).cloned();
                if let Some(again) = std::mem::replace(&mut self.again, accept) {
                    effects.push(again);
                }
            }
            Mutant::TakeUsedPort => {
                let launches = effects.iter_mut().filter_map(|effect| match effect {
                    Effect::Accept { tasks, .. } => Some(tasks),
                    _ => None,
                });
                for launch in launches.flatten() {
                    let host = &launch.agent.hostname;
                    let mut neighbours = self.cluster.living().filter(|task| task.hostname == *host);
                    let used = neighbours.find_map(|task| task.host_ports.first().copied());
                    if let (Some(used), Some(port)) = (used, launch.host_ports.first_mut()) {
                        *port = Some(used);
                        launch.claim.unreserved.ports = [used].into_iter().collect();
                    }
                }
            }
            Mutant::KillForeign => {
                let foreign = self.visible_unknown().into_iter().next().filter(|_| !self.ledger.word_given);
                effects.extend(foreign.map(|task| Effect::Kill { task, agent: None, grace: None }));
            }
            Mutant::AnswerTwice => {
                let answer = effects.iter().find(|effect| matches!(effect, Effect::Answer(..))).cloned();
                effects.extend(answer);
            }
            Mutant::NeverAnswer => effects.retain(|effect| !matches!(effect, Effect::Answer(..))),
            Mutant::FollowSuperseded => {
                let is_end = |write: &Write| matches!(write, Write::Delete(RecordKey::Deployment(_)));
                for effect in effects.iter_mut() {
                    if let Effect::Persist { writes, .. } = effect {
                        writes.retain(|write| !is_end(write));
                        for write in writes {
                            if let Write::Put(Record::Version(_, version)) = write
                                && matches!(version.progress, Progress::Superseded(_))
                            {
                                version.progress = Progress::UnderWay;
                            }
                        }
                    }
                }
            }
            Mutant::SwallowKills => effects.retain(|effect| !matches!(effect, Effect::Kill { .. })),
            Mutant::NeverAcknowledge => effects.retain(|effect| !matches!(effect, Effect::Acknowledge(_))),
            Mutant::NeverIdle => effects.push(Effect::Revive(ekiden_model::Role::any())),
            Mutant::DrainAtOnce => {
                let before = self.settings.drain_before;
                let there = self.cluster.living().filter(|task| self.ledger.is_left(&task.agent, before, true));
                let ours =
                    there.filter(|task| task.state == Condition::Running && self.ledger.whose(&task.id).is_some());
                let tasks: Vec<_> = ours.map(|task| task.id.clone()).collect();
                effects.extend(tasks.into_iter().map(|task| Effect::Kill { task, agent: None, grace: None }));
            }
            Mutant::KillUnknown => {
                let strange = self.ledger.told.keys().find(|task| self.ledger.whose(task).is_none()).cloned();
                if let Some(task) = strange {
                    effects.push(Effect::Kill { task, agent: None, grace: None });
                }
            }
            _ => {}
        }
    }
}

/// The file that an app is declared in.
pub(super) fn source(id: &str) -> Source {
    Source::File { path: Arc::from(format!("{}.json", &id[1..])), line: 1 }
}

/// One change set, or the same in parts of which the last is complete.
fn split(whole: Desired, parts: usize) -> Vec<Desired> {
    if parts < 2 {
        return vec![whole];
    }
    let mut first = whole.declare;
    let second = first.split_off(first.len() / 2);
    vec![
        Desired { declare: first, withdraw: Vec::new(), complete: false, commit: None },
        Desired { declare: second, withdraw: whole.withdraw, complete: true, commit: None },
    ]
}
