//! Decisions, as their announcement shows them: launches (S1, S4, S8), kills (S2, S7, S10), instances that are
//! forgotten (S7), and the size of what is kept (S9).

use std::collections::BTreeSet;

use ekiden_model::app::{Operator, UnreachableStrategy};
use ekiden_model::app_state::CONDEMNED_KEPT;
use ekiden_model::record::{Record, Write};
use ekiden_model::report::KillCause;
use ekiden_model::revision::Phase;
use ekiden_model::{App, AppId, Condition, Goal, Instance, InstanceKey, TaskId, Timestamp};

use super::constraints::holds;
use super::{Check, Found};

/// How many instances an app shall have, where the declaration itself does not say: global placement.
pub type Desired<'a> = &'a dyn Fn(&AppId) -> u32;

/// Most revisions that an app may keep: the one that runs, the one it goes to, the one it could go back to, and as
/// many again of superseded ones whose instances are still ending.
const REVISIONS_KEPT: usize = 12;

/// What one batch of writes decides about one app.
#[derive(Default)]
struct Decided {
    launches: Vec<Instance>,
    taken_over: Vec<Instance>,
    kills: Vec<Instance>,
    forgotten: Vec<Instance>,
}

impl Check<'_> {
    /// Looks at a batch, and takes it into the books.
    pub fn announced(&mut self, writes: &[Write], desired: Desired<'_>) -> Found {
        let mut found = Vec::new();
        let mut touched: BTreeSet<AppId> = BTreeSet::new();
        for write in writes {
            match write {
                Write::Put(Record::Slot(slot)) => touched.insert(slot.app.clone()),
                Write::Put(Record::App(app)) => touched.insert(app.id.clone()),
                Write::DeleteApp(app) => touched.insert(app.clone()),
                Write::Put(
                    Record::Installation(_)
                    | Record::Version(..)
                    | Record::Deployment(_)
                    | Record::Group(_)
                    | Record::Pod(_),
                )
                | Write::Delete(_) => false,
            };
        }
        let before: Vec<(AppId, Vec<Instance>)> =
            touched.iter().map(|app| (app.clone(), self.instances(app))).collect();
        // Ids are needed for what is about to be deleted, too.
        let ids: Vec<Vec<Option<TaskId>>> = before
            .iter()
            .map(|(app, instances)| instances.iter().map(|one| self.ledger.task_id(app, one.key)).collect())
            .collect();
        self.ended_overrides(writes, &mut found);
        for write in writes {
            self.ledger.note_declared(write);
            self.ledger.announced.apply(write);
            self.note_key(write);
            if let Write::Put(Record::Installation(installation)) = write {
                self.ledger.strangers.extend(installation.disowned.iter().cloned());
            }
        }
        self.change_sets(writes, &mut found);
        for ((app, old), ids) in before.iter().zip(&ids) {
            let decided = self.decided(app, old);
            for instance in &decided.taken_over {
                if !self.ledger.agents.contains_key(&instance.agent.id) {
                    self.ledger.agents.insert(instance.agent.id.clone(), None);
                    self.ledger.assumed.insert(instance.agent.id.clone());
                }
                self.taken_over(app, instance);
            }
            for instance in &decided.launches {
                self.forget_namesake(app, instance.key);
            }
            self.launches(app, &decided, desired, &mut found);
            self.vanished(app, old, &decided.launches, &mut found);
            self.kills(app, old, &decided, desired, &mut found);
            for instance in &decided.forgotten {
                let id = old.iter().position(|one| one.key == instance.key).and_then(|at| ids[at].as_ref());
                self.forgotten(app, instance, id, &mut found);
            }
            self.sizes(app, desired, &mut found);
        }
        found
    }

    /// Of a task that was over before any process whose store does not know it was told of it, nobody can know: another
    /// one may get its id, of which nothing is told yet.
    fn forget_namesake(&mut self, app: &AppId, key: InstanceKey) {
        let Some(task) = self.ledger.task_id(app, key) else { return };
        let lives = self.cluster.tasks.get(&task).is_some_and(|task| task.state.is_live());
        let is_disowned =
            self.ledger.announced.installation.as_ref().is_some_and(|one| one.disowned.contains(&task));
        if !lives && !is_disowned {
            // What ran under it was another framework's.
            self.ledger.strangers.remove(&task);
        }
        if !lives && self.ledger.unknown.contains(&task) && !self.ledger.unknown_noted.contains(&task) {
            self.ledger.unknown.remove(&task);
            self.ledger.launched.remove(&task);
            self.ledger.told.remove(&task);
        }
    }

    fn taken_over(&mut self, app: &AppId, instance: &Instance) {
        let Some(task) = self.ledger.task_id(app, instance.key) else { return };
        // The books of an older store may have forgotten it; from now on its id is not to be given again.
        self.ledger.launched.insert(task.clone());
        // Its grace period counts from when it ran by the cluster's clock, whatever a store that is no more has made of it.
        if let Some(told) = self.ledger.told.get_mut(&task) {
            told.running = instance.started;
        }
        let runs = self.cluster.tasks.get(&task).map(|task| &task.declared);
        let declared = self.ledger.declared.get(app);
        let as_declared = runs.zip(declared).is_some_and(|(runs, declared)| runs.same_revision(declared));
        self.ledger.taken_over.insert(task, as_declared);
    }

    fn note_key(&mut self, write: &Write) {
        if let Write::Put(Record::App(app)) = write
            && let Some(key) = self.ledger.key_of(app)
        {
            self.ledger.keys.insert(key, app.id.clone());
        }
    }

    pub(super) fn instances(&self, app: &AppId) -> Vec<Instance> {
        self.ledger.announced.slots_of(app).flat_map(|slot| slot.instances.iter().cloned()).collect()
    }

    fn decided(&self, app: &AppId, old: &[Instance]) -> Decided {
        let mut decided = Decided::default();
        let was = |key: InstanceKey| old.iter().find(|instance| instance.key == key);
        let now = self.ledger.announced.slots_of(app).flat_map(|slot| &slot.instances);
        for instance in now {
            match was(instance.key) {
                // Nobody can tell anything yet of one that is about to be launched: it was taken over.
                None if instance.condition != Condition::Provisioned => decided.taken_over.push(instance.clone()),
                None => decided.launches.push(instance.clone()),
                Some(before) if before.goal == Goal::Running && instance.goal != Goal::Running => {
                    decided.kills.push(instance.clone());
                }
                Some(_) => {}
            }
        }
        let gone = |instance: &&Instance| self.ledger.announced.instance(app, instance.key).is_none();
        decided.forgotten = old.iter().filter(gone).cloned().collect();
        decided
    }

    /// S1: with what this batch launches, the app has no more instances than its ceiling. Counted are instances that
    /// shall run and, in truth, live or are on their way; not those that were ever called unreachable, whose
    /// replacements are counted apart. What was declared decides, not what Ekiden makes of it. A global app shall have one
    /// instance on every agent that matches and is to stay, so what is still on agents that are to be left is not too
    /// many; but no agent gets a second one.
    ///
    /// S4: nothing goes to an agent that is to be left, and every constraint holds between what is launched and what else
    /// of its revision shall run, on agents that answer and are to stay. An even distribution may also be one over all that live, since they are where they are.
    ///
    /// S8: no launch before the app's wait after failures is over.
    fn launches(&self, app: &AppId, decided: &Decided, desired: Desired<'_>, found: &mut Found) {
        let Some(first) = decided.launches.first() else { return };
        let Some(declared) = self.ledger.declared.get(app) else {
            found.push(("S1", format!("{app} {} is launched and not declared", first.key)));
            return;
        };
        let count = wanted_count(declared, desired);
        let placed = self.instances(app);
        let mut wanted = self.living_wanted(app);
        if declared.is_global() {
            let is_left = |key: &InstanceKey| placed.iter().any(|one| one.key == *key && self.is_left(one));
            one_per_agent(app, &decided.launches, &placed, &wanted, found);
            wanted.retain(|key| !is_left(key));
        }
        let ceiling = declared.bounds(count).ceiling as usize;
        if wanted.len() > ceiling {
            let launched: Vec<String> = decided.launches.iter().map(|one| one.key.to_string()).collect();
            let all: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            found.push((
                "S1",
                format!(
                    "{app} launches {} and has {} of at most {ceiling}: {}",
                    launched.join(" "),
                    wanted.len(),
                    all.join(" ")
                ),
            ));
        }
        for launch in &decided.launches {
            if self.is_certainly_left(launch) {
                let text = format!("{app} {} goes to {}, which is to be left", launch.key, launch.agent.id);
                found.push(("S4", text));
            }
            let others: Vec<&Instance> = placed
                .iter()
                .filter(|other| other.key != launch.key && other.is_wanted() && other.revision == launch.revision)
                .filter(|other| other.condition != Condition::Unreachable)
                .filter(|other| !self.ledger.is_away(&other.agent.id) && !self.is_left(other))
                .collect();
            let all = placed.iter().filter(|other| other.key != launch.key && other.condition.is_live());
            let all: Vec<&Instance> = all.filter(|other| other.revision == launch.revision).collect();
            // A rollout that stands still may have more than the declared: so many are to be distributed, then.
            let placed = count.max(others.len() as u32 + 1);
            for constraint in &declared.constraints {
                let beside = |others: &[&Instance]| {
                    holds(constraint, &launch.agent, others.iter().map(|other| &*other.agent), placed)
                };
                let excused = match constraint.operator {
                    // A value that only ending or unreachable instances have is still in use; and one that the cluster is
                    // ending gives its place to its replacement, so that the distribution is even when it is gone.
                    Operator::GroupBy(_) => {
                        let stays = |other: &&&Instance| other.condition != Condition::Killing;
                        let staying: Vec<&Instance> = others.iter().filter(stays).copied().collect();
                        beside(&all) || beside(&staying)
                    }
                    // One that is waited for on an agent that does not answer pins the others to its value, even if only
                    // its agent's silence is told so far; so does one on an agent that is to be left in a few seconds, or
                    // was a few seconds ago, since until then it counts as any.
                    Operator::Cluster(None) => {
                        let pins = |one: &&Instance| {
                            let is_away = self.ledger.is_away(&one.agent.id);
                            let waited_for = one.condition == Condition::Unreachable || is_away;
                            one.is_wanted() && (waited_for || !self.is_certainly_left(one))
                        };
                        all.iter().filter(|one| pins(one)).any(|one| beside(&[*one]))
                    }
                    _ => false,
                };
                if !beside(&others) && !excused {
                    let hosts: Vec<&str> = others.iter().map(|other| &*other.agent.hostname).collect();
                    let text = format!(
                        "{app} {} goes to {} against {constraint}; others are on {}",
                        launch.key,
                        launch.agent.hostname,
                        hosts.join(" ")
                    );
                    found.push(("S4", text));
                }
            }
        }
        if let Some(waiting) = self.ledger.backoff.get(app)
            && self.now < waiting.until
        {
            let (failures, until) = (waiting.failures, waiting.until);
            found.push(("S8", format!("{app} {} is launched before {until} ({failures} failures)", first.key)));
        }
    }

    /// Whether an instance is on an agent that is, or is about, to be left.
    pub(super) fn is_left(&self, instance: &Instance) -> bool {
        self.ledger.is_left(&instance.agent.id, self.settings.drain_before, false)
    }

    /// Whether an instance is on an agent that is to be left, whatever a few seconds of the clock make of it.
    fn is_certainly_left(&self, instance: &Instance) -> bool {
        self.ledger.is_left(&instance.agent.id, self.settings.drain_before, true)
    }

    /// The instances of an app that shall run, were never unreachable, are not being ended by the cluster, and in truth
    /// live or are on their way.
    pub(super) fn living_wanted(&self, app: &AppId) -> Vec<InstanceKey> {
        let counts = |instance: &Instance| {
            let Some(id) = self.ledger.task_id(app, instance.key) else { return true };
            let told_unreachable = self
                .ledger
                .told
                .get(&id)
                .is_some_and(|told| told.ever_unreachable || told.condition == Condition::Killing);
            let dead = self.ledger.launched.contains(&id)
                && self.cluster.tasks.get(&id).is_none_or(|task| task.state.is_terminal());
            let lost = self.cluster.tasks.get(&id).is_some_and(|task| task.ever_unreachable);
            !(told_unreachable || dead || lost || self.ledger.is_away(&instance.agent.id))
        };
        self.instances(app)
            .iter()
            .filter(|instance| instance.goal == Goal::Running && instance.condition.is_live() && counts(instance))
            .map(|instance| instance.key)
            .collect()
    }

    /// S2: if this batch orders healthy instances to end, no fewer healthy ones than the floor are left. *Healthy* is
    /// what was told: runs, and the last result of each check is a success; among what is left, also who is healthy in
    /// truth, since an edit of the checks makes what was told of them worthless. An instance lost without our doing lowers
    /// what is left, so that such losses are paid first; one that its checks condemned is no loss.
    ///
    /// S7: each kill has a cause that holds.
    ///
    /// S10: kills for health stay under the breaker.
    fn kills(
        &mut self,
        app: &AppId,
        old: &[Instance],
        decided: &Decided,
        desired: Desired<'_>,
        found: &mut Found,
    ) {
        if decided.kills.is_empty() {
            return;
        }
        let early = decided.kills.iter().filter(|one| !by_operator(one));
        let keys: Vec<String> = early.map(|one| one.key.to_string()).collect();
        if !keys.is_empty() && !self.ledger.is_settled() {
            found.push(("S7", format!("{app} {} is ordered to end before all is known", keys.join(" "))));
        }
        for kill in &decided.kills {
            if let Some(wrong) = self.wrong_cause(app, old, kill, desired) {
                found.push(("S7", format!("{app} {} is ordered to end: {wrong}", kill.key)));
            }
        }
        let Some(declared) = self.ledger.declared.get(app).cloned() else { return };
        let count = wanted_count(&declared, desired);
        self.breaker(app, count, decided, found);
        let healthy = |instance: &Instance| {
            let Some(id) = self.ledger.task_id(app, instance.key) else { return false };
            self.ledger.told_healthy(&declared, instance.revision, &id)
        };
        let condemned = |instance: &Instance| {
            let Some(id) = self.ledger.task_id(app, instance.key) else { return false };
            self.ledger.told_condemned(&declared, &id)
        };
        let truly = |instance: &Instance| {
            let task = self.ledger.task_id(app, instance.key).and_then(|id| self.cluster.tasks.get(&id));
            task.is_some_and(|task| task.state == Condition::Running)
        };
        let well = |instance: &Instance| {
            let task = self.ledger.task_id(app, instance.key).and_then(|id| self.cluster.tasks.get(&id));
            task.is_some_and(|task| self.cluster.is_healthy(task, self.world_now))
        };
        let victims: Vec<&Instance> = decided
            .kills
            .iter()
            .filter(|one| !by_operator(one) && healthy(one) && !condemned(one) && truly(one))
            .collect();
        let floor = declared.bounds(count).floor as usize;
        let left = self
            .instances(app)
            .iter()
            .filter(|one| one.goal == Goal::Running && one.condition.is_live())
            .filter(|one| healthy(one) || well(one))
            .count();
        if !victims.is_empty() && left < floor {
            let keys: Vec<String> = victims.iter().map(|one| one.key.to_string()).collect();
            let cause = victims[0].kill.as_ref().map_or("no cause".to_owned(), |kill| kill.cause.to_string());
            found.push((
                "S2",
                format!("{app} {} ends ({cause}) and leaves {left} healthy of at least {floor}", keys.join(" ")),
            ));
        }
    }

    fn wrong_cause(&self, app: &AppId, old: &[Instance], kill: &Instance, desired: Desired<'_>) -> Option<String> {
        let Some(order) = &kill.kill else { return Some("its record names no cause".to_owned()) };
        let id = self.ledger.task_id(app, kill.key)?;
        let told = self.ledger.told.get(&id).cloned().unwrap_or_default();
        let declared = self.ledger.declared.get(app);
        let holds = match (order.cause, declared) {
            (KillCause::Removed, declared) => declared.is_none(),
            (KillCause::Operator, _) => self.ledger.operator_kills.contains_key(&id),
            (KillCause::Unreachable, _) => {
                told.ever_unreachable || self.ledger.unreachable.contains(&kill.agent.id)
            }
            (KillCause::Returned, _) => {
                let later = |one: &&Instance| one.key.incarnation > kill.key.incarnation;
                beside(old, kill).filter(later).any(|later| self.may_be_double(app, kill, later))
            }
            (KillCause::Redundant, _) => {
                let earlier = |one: &&Instance| one.key.incarnation < kill.key.incarnation;
                beside(old, kill).filter(earlier).any(|earlier| self.may_be_double(app, earlier, kill))
            }
            (KillCause::Overdue, _) => told.running.is_none(),
            (KillCause::ScaledIn, Some(declared)) => {
                let wanted = old.iter().filter(|one| one.is_wanted()).count();
                wanted > wanted_count(declared, desired) as usize
            }
            (KillCause::Replaced, Some(declared)) => {
                let rollout = self.ledger.announced.apps.get(app).map(|record| record.rollout.as_ref());
                let leads_away =
                    rollout.is_some_and(|rollout| rollout.is_none_or(|rollout| rollout.to != kill.revision));
                let goes_back = rollout
                    .flatten()
                    .is_some_and(|rollout| matches!(rollout.phase, Phase::RollingBack { .. } | Phase::Failed));
                leads_away && (goes_back || !self.was_adopted_as_declared(declared, &id))
            }
            (KillCause::Unhealthy, Some(declared)) => self.ledger.told_condemned(declared, &id),
            (KillCause::Misplaced, Some(declared)) => declared.is_global(),
            (KillCause::Draining, Some(_)) => self.is_left(kill),
            (_, None) => true,
        };
        (!holds).then(|| format!("`{}`, which is not so", order.cause))
    }

    /// S7, after an adoption: whether a task that was taken over ran, in truth, the revision that was declared, and it still
    /// is. Nobody wants it replaced, then, unless somebody has asked for a restart since.
    fn was_adopted_as_declared(&self, declared: &App, task: &TaskId) -> bool {
        let runs = self.cluster.tasks.get(task).map(|task| &task.declared);
        self.ledger.taken_over.get(task) == Some(&true) && runs.is_some_and(|runs| runs.same_revision(declared))
    }

    /// Whether there may be a replacement of an instance although it lives: it was unreachable, or its agent was to be
    /// left; or one of the two was taken over, and nobody knows why there are two.
    fn may_be_double(&self, app: &AppId, instance: &Instance, replacement: &Instance) -> bool {
        let ids = [instance, replacement].map(|one| self.ledger.task_id(app, one.key));
        let was_taken_over = ids.iter().flatten().any(|id| self.ledger.taken_over.contains_key(id));
        let told = ids[0].as_ref().and_then(|id| self.ledger.told.get(id));
        was_taken_over
            || told.is_some_and(|told| told.ever_unreachable)
            || self.ledger.planned.contains(&instance.agent.id)
    }

    /// S10: within the breaker's window, no more instances of an app are ordered to end for their health than twice its
    /// share (or its minimum, where that is more). Twice, because the breaker counts when instances were condemned: what
    /// was condemned earlier and held back for another reason may be ordered to end beside it. The share is of the
    /// instances there are, which in a rollout are as many as the ceiling allows.
    fn breaker(&mut self, app: &AppId, count: u32, decided: &Decided, found: &mut Found) {
        let unhealthy =
            |instance: &&Instance| instance.kill.as_ref().is_some_and(|order| order.cause == KillCause::Unhealthy);
        let now = self.now;
        let kills: Vec<InstanceKey> = decided.kills.iter().filter(unhealthy).map(|one| one.key).collect();
        if kills.is_empty() {
            return;
        }
        let window = self.settings.breaker_window;
        let times = self.ledger.health_kills.entry(app.clone()).or_default();
        times.extend(kills.into_iter().map(|key| (key, now)));
        times.retain(|_, at| now.since(*at) < window);
        let ceiling = self.ledger.declared.get(app).map_or(count, |declared| declared.bounds(count).ceiling);
        let share = (f64::from(ceiling) * self.settings.breaker_share).floor() as usize;
        let most = 2 * share.max(self.settings.breaker_minimum as usize) + 1;
        if times.len() > most {
            let text = format!("{app}: {} kills for health within {window:?}, at most {most}", times.len());
            found.push(("S10", text));
        }
    }

    /// S7: an instance is forgotten only when it is over, by what was told; or unreachable for good.
    fn forgotten(&self, app: &AppId, instance: &Instance, id: Option<&TaskId>, found: &mut Found) {
        let Some(id) = id else { return };
        let told = self.ledger.told.get(id);
        // A launch that was never sent is nothing to be forgotten.
        let over = !self.ledger.launched.contains(id)
            || told.is_some_and(|told| {
                let for_good = told.unreachable_since.is_some_and(|since| self.is_for_good(app, instance, since));
                told.condition.is_terminal() || for_good
            });
        if !over {
            let condition = told.map_or("nothing told", |told| told.condition.task_state());
            found.push(("S7", format!("{app} {} is forgotten: {condition}", instance.key)));
        }
    }

    /// Whether an instance that is unreachable since then may be given up: it is to end anyway, or its app says that it
    /// has waited long enough.
    fn is_for_good(&self, app: &AppId, instance: &Instance, since: Timestamp) -> bool {
        let strategy = self.ledger.declared.get(app).map(|declared| declared.unreachable);
        match strategy {
            Some(UnreachableStrategy::Replace { expunge_after, .. }) if instance.goal == Goal::Running => {
                self.now >= since + expunge_after
            }
            Some(UnreachableStrategy::Disabled) => instance.goal != Goal::Running,
            Some(UnreachableStrategy::Replace { .. }) | None => true,
        }
    }

    /// S9: what is kept of an app is bounded.
    fn sizes(&self, app: &AppId, desired: Desired<'_>, found: &mut Found) {
        let Some(record) = self.ledger.announced.apps.get(app) else { return };
        if record.revisions.len() > REVISIONS_KEPT {
            found.push(("S9", format!("{app} keeps {} revisions", record.revisions.len())));
        }
        let count = self.ledger.declared.get(app).map_or(0, |declared| wanted_count(declared, desired));
        let over = self.instances(app).iter().filter(|one| one.condition.is_terminal()).count();
        // Terminal instances are forgotten as soon as their end is written: a batch's worth may be on its way.
        let most = CONDEMNED_KEPT.min(4 * count as usize + 32);
        if over > most {
            found.push(("S9", format!("{app} keeps {over} instances that are over")));
        }
    }
}

/// The wanted instances of its revision in the slot of one that ends.
fn beside<'a>(old: &'a [Instance], kill: &Instance) -> impl Iterator<Item = &'a Instance> {
    let (key, revision) = (kill.key, kill.revision);
    let same = move |one: &&Instance| one.key.slot == key.slot && one.revision == revision;
    old.iter().filter(same).filter(move |one| one.key != key && one.is_wanted())
}

/// An operator who ends an instance has said so: that needs no permit and waits for nothing.
fn by_operator(instance: &Instance) -> bool {
    instance.kill.as_ref().is_some_and(|order| order.cause == KillCause::Operator)
}

/// How many instances an app shall have.
fn wanted_count(app: &App, desired: Desired<'_>) -> u32 {
    if app.is_global() { desired(&app.id) } else { app.instances }
}

/// S1 for a global app: what is launched goes to an agent that has no other living instance that shall run.
fn one_per_agent(
    app: &AppId,
    launches: &[Instance],
    placed: &[Instance],
    wanted: &[InstanceKey],
    found: &mut Found,
) {
    for launch in launches {
        let is_second = |one: &&Instance| {
            one.key != launch.key && one.agent.id == launch.agent.id && wanted.contains(&one.key)
        };
        if let Some(first) = placed.iter().find(is_second) {
            let text = format!("{app} {} goes to {}, which has {}", launch.key, launch.agent.id, first.key);
            found.push(("S1", text));
        }
    }
}
