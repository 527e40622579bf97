//! Taking over tasks that the cluster runs and the store knows nothing of.
//!
//! Their ids tell which app and slot they were, the survey tells the rest, and what a task does not tell is decided by
//! what is declared now. All of it is one batch of writes: a crash finds everything taken over, or nothing and safe mode
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::agent::{AgentState, Presence};
use ekiden_model::health::{Health, Verdict};
use ekiden_model::input::FoundTask;
use ekiden_model::record::KEPT_OF_ADOPTION;
use ekiden_model::revision::Standing;
use ekiden_model::{
    Adoption, AppId, AppKey, AppState, Condition, Declared, Fate, Goal, Incarnation, Instance, InstanceKey,
    Revision, RevisionId, Timestamp,
};

use crate::Reconciler;
use crate::framework::Membership;
use crate::identity::Identity;

impl Reconciler {
    /// What adopting would do, while we are in safe mode.
    pub fn adoption(&self) -> Option<Adoption> {
        let safe_mode = self.safe_mode.as_ref()?;
        Some(Adoption {
            framework: safe_mode.found.framework.clone(),
            connected_from: safe_mode.found.connected_from.clone(),
            awaiting: self.adoption_awaits(),
            is_ordered: safe_mode.is_to_adopt(),
            tasks: self.fates(&safe_mode.found.tasks),
        })
    }

    /// What becomes of each task that is not on record.
    fn fates(&self, found: &[FoundTask]) -> Vec<(FoundTask, Fate)> {
        let live = || found.iter().filter(|found| found.condition.is_live());
        let keys = self.keys_to_take(live());
        let mut fates = Vec::new();
        for found in live() {
            let fate = match self.identify(&found.task) {
                Identity::Known(..) => continue,
                Identity::Stranger => Fate::LeftAlone,
                Identity::Forgotten => Fate::Ended,
                Identity::Foreign => self.fate_of(found, &keys),
            };
            fates.push((found.clone(), fate));
        }
        fates.sort_by(|(a, _), (b, _)| a.task.cmp(&b.task));
        fates
    }

    fn fate_of(&self, found: &FoundTask, keys: &BTreeMap<AppId, AppKey>) -> Fate {
        let Some((instance, _)) = found.task.instance() else { return Fate::LeftAlone };
        let Some(app) = found.task.app().filter(|app| keys.get(app) == Some(&instance.app)) else {
            return Fate::Ended;
        };
        let declared = self.apps.get(&app).and_then(|entry| entry.state.declared.as_ref());
        let as_declared = declared.map(|declared| declared.app.fingerprint());
        if found.template.is_some() && found.template == as_declared { Fate::Kept } else { Fate::Replaced }
    }

    /// By declared app, the key whose tasks it takes over. An app that has instances on record keeps the key that it
    /// has; else, of several keys for one path, it takes the one with the most tasks: the others' are of apps that were
    /// deleted before.
    fn keys_to_take<'a>(&self, found: impl Iterator<Item = &'a FoundTask>) -> BTreeMap<AppId, AppKey> {
        let mut tasks: BTreeMap<AppId, BTreeMap<AppKey, u32>> = BTreeMap::new();
        for found in found {
            if let (Some((instance, _)), Some(app)) = (found.task.instance(), found.task.app()) {
                *tasks.entry(app).or_default().entry(instance.app).or_default() += 1;
            }
        }
        let mut keys = BTreeMap::new();
        for (app, counts) in tasks {
            let Some(entry) = self.apps.get(&app).filter(|entry| entry.state.declared.is_some()) else { continue };
            let own = entry.state.key;
            let most = counts.into_iter().max_by_key(|(key, count)| (*count, *key == own, *key));
            let key = if entry.state.instances.is_empty() { most.map(|(key, _)| key) } else { Some(own) };
            keys.extend(key.map(|key| (app, key)));
        }
        keys
    }

    /// Takes over what was found. Nothing leaves before all of it is durable.
    pub(crate) fn adopt(&mut self) {
        let Some(safe_mode) = self.safe_mode.take() else { return };
        let fates = self.fates(&safe_mode.found.tasks);
        let highest = fates.iter().filter_map(|(found, _)| Some(found.task.instance()?.1)).max();
        self.begin_life(highest);
        let mut taken: BTreeMap<AppId, Vec<(&FoundTask, Fate)>> = BTreeMap::new();
        for (found, fate) in &fates {
            match (fate, found.task.app()) {
                (Fate::Kept | Fate::Replaced, Some(app)) => taken.entry(app).or_default().push((found, *fate)),
                (Fate::Ended, _) => self.note_unwanted(found),
                _ => {}
            }
        }
        for (app, found) in taken {
            self.take_over(&app, &found);
        }
        if matches!(self.membership, Membership::Surveying { .. }) {
            self.installation.framework.clone_from(&safe_mode.found.framework);
            self.journal.note_installation();
            self.subscribe(safe_mode.found.framework);
        }
        self.after_safe_mode();
    }

    /// Whatever was launched before, up to `highest` and perhaps further, no id of it is given again.
    pub(crate) fn begin_life(&mut self, highest: Option<Incarnation>) {
        let on_record = self.apps.iter().flat_map(|entry| entry.state.instances.last_incarnations());
        let highest = on_record.map(|(_, last)| last).chain(highest).map(Incarnation::life).max();
        let life = highest.unwrap_or(0) + 1;
        if life <= self.installation.life {
            // It has begun when the first of those tasks was told of, and nothing was launched in it.
            return;
        }
        self.installation.life = life;
        self.journal.note_installation();
        if let Some(before) = Incarnation::before_life(self.installation.life) {
            for entry in self.apps.each_mut() {
                entry.state.instances.launch_after(before);
            }
        }
    }

    /// There is, or was, a task of that incarnation that the store knows nothing of. Where one was, others may have been
    /// that are over; and should we die before somebody says whose it is, it may be over, too, and tell nobody. So the
    /// life in which it was launched ends here, durably.
    pub(crate) fn outlive(&mut self, incarnation: Incarnation) {
        if incarnation.life() >= self.installation.life {
            self.begin_life(Some(incarnation));
        }
    }

    /// A task that is to be ended: from now on it is one of those that were ours.
    fn note_unwanted(&mut self, found: &FoundTask) {
        let Some((instance, incarnation)) = found.task.instance() else { return };
        if let Some(app) = self.keys.get(&instance.app).cloned()
            && let Some(entry) = self.apps.get_mut(&app)
        {
            entry.state.instances.note_incarnation(instance.slot, incarnation);
            self.journal.note_slot(&app, instance.slot);
        } else {
            self.note_predecessor(instance.app);
        }
    }

    /// An app of that key is no more, and its tasks were ours.
    pub(crate) fn note_predecessor(&mut self, key: AppKey) {
        if self.installation.predecessors.len() < KEPT_OF_ADOPTION {
            self.installation.predecessors.insert(key);
            self.journal.note_installation();
        }
    }

    /// The tasks become instances of the app.
    fn take_over(&mut self, id: &AppId, found: &[(&FoundTask, Fate)]) {
        let Some(entry) = self.apps.get_mut(id) else { return };
        let Some((instance, _)) = found.first().and_then(|(found, _)| found.task.instance()) else { return };
        let app = &mut entry.state;
        if app.key != instance.app {
            self.keys.remove(&app.key);
            self.keys.insert(instance.app, id.clone());
            (app.key, app.is_adopted) = (instance.app, true);
        }
        let fates: BTreeSet<Fate> = found.iter().map(|(_, fate)| *fate).collect();
        let Some(revisions) = revisions_for(app, &fates) else { return };
        for (found, fate) in found {
            let Some((instance, incarnation)) = found.task.instance() else { continue };
            let key = InstanceKey { slot: instance.slot, incarnation };
            let revision = if *fate == Fate::Kept { revisions.declared } else { revisions.differing };
            app.instances.insert(instance_of(found, key, revision, self.now));
        }
        // What runs is what is meant to, until `upgrade` decides otherwise: an old record's targets are not about it, and
        // a rollout that is paused would not set others.
        let runs = |revision: RevisionId| app.instances.census(revision).wanted;
        let targets: Vec<u32> = app.revisions.iter().map(|revision| runs(revision.id)).collect();
        for (revision, target) in app.revisions.iter_mut().zip(targets) {
            revision.target = target;
        }
        self.journal.note_app(id);
        for (found, _) in found {
            let Some((instance, incarnation)) = found.task.instance() else { continue };
            let key = InstanceKey { slot: instance.slot, incarnation };
            self.journal.note_slot(id, key.slot);
            let agent = &found.agent;
            self.placed.entry(agent.id.clone()).or_default().insert((id.clone(), key));
            if !self.agents.contains_key(&agent.id) {
                self.assumed.insert(agent.id.clone());
                let presence = match found.condition {
                    Condition::Unreachable => Presence::Unreachable(self.now),
                    _ => Presence::Present,
                };
                let state = AgentState { agent: agent.clone(), presence, maintenance: None };
                self.agents.insert(agent.id.clone(), state);
                self.agents_changed();
            }
            let taken = self.apps.get(id).and_then(|entry| entry.state.instances.get(key)).cloned();
            if let Some(instance) = taken {
                self.notify_instance(id, found.task.clone(), &instance);
            }
        }
    }
}

/// The revisions that tasks are taken over into.
struct Revisions {
    declared: RevisionId,
    /// Stands for whatever is not declared.
    differing: RevisionId,
}

/// The revisions for tasks of these fates, opened where they are missing.
///
/// Of what differs we know no more than that. It becomes a revision of the declared template that somebody has asked
/// to restart since: so the rollout that replaces it is one that there is a rule for.
fn revisions_for(app: &mut AppState, fates: &BTreeSet<Fate>) -> Option<Revisions> {
    let declared = app.declared.as_mut()?;
    let kept = app.revisions.iter().map(|revision| revision.id);
    let highest = kept.chain(app.rollout.iter().map(|rollout| rollout.highest)).max();
    let mut next = highest.map_or(1, |id| id.0 + 1);
    let mut open = |declared: &Declared, restarts: u32| {
        let id = RevisionId(next);
        next += 1;
        let version = declared.version - Duration::from_millis(u64::from(declared.restarts - restarts));
        let app = Arc::clone(&declared.app);
        Revision { id, version, app, restarts, target: 0, standing: Standing::Unproven }
    };
    let mut differing = None;
    if fates.contains(&Fate::Replaced) {
        let restarts = declared.restarts;
        declared.restarts += 1;
        // Nobody has asked for that restart: it is to set the differing one apart, and puts no other behind. Who goes back
        // to what an older one of them runs finds it as before.
        for revision in app.revisions.iter_mut().filter(|revision| revision.restarts == restarts) {
            revision.restarts += 1;
        }
        let revision = open(declared, restarts);
        differing = Some(revision.id);
        app.revisions.insert(0, revision);
    }
    let asked_for =
        |revision: &&Revision| revision.restarts >= declared.restarts && revision.app.same_revision(&declared.app);
    let existing = app.revisions.iter().rev().find(asked_for).map(|revision| revision.id);
    let declared = match existing {
        Some(id) => id,
        None if fates.contains(&Fate::Kept) => {
            let revision = open(declared, declared.restarts);
            let id = revision.id;
            app.revisions.push(revision);
            id
        }
        None => differing?,
    };
    if let (Some(rollout), Some(revision)) = (&mut app.rollout, app.revisions.iter().map(|one| one.id).max()) {
        rollout.highest = rollout.highest.max(revision);
    }
    Some(Revisions { declared, differing: differing.unwrap_or(declared) })
}

/// A running task that is taken over counts as healthy until a check says otherwise: it served until now, and whoever
/// served is not to be replaced for nothing, nor paid for by nobody. So does one that does not answer, from when it is
/// back: else a rollout would end all that come back at once, before a check has had time to say that they serve.
fn instance_of(found: &FoundTask, key: InstanceKey, revision: RevisionId, now: Timestamp) -> Instance {
    // The cluster's clock may be ahead of ours. And who does not answer is waited for from now on, since until now nobody
    // has: what the cluster tells may be since when the task ran.
    let since = if found.condition == Condition::Unreachable { now } else { found.since.min(now) };
    let runs = found.condition == Condition::Running;
    let may_run = runs || found.condition == Condition::Unreachable;
    let serves = may_run && found.healthy != Some(false);
    let verdict = if serves { Verdict::Healthy } else { Verdict::Unknown };
    Instance {
        key,
        revision,
        goal: Goal::Running,
        condition: found.condition,
        since,
        agent: found.agent.clone(),
        role: found.role.clone(),
        host_ports: found.host_ports.clone(),
        staged: found.since.min(now),
        started: runs.then_some(since),
        health: Health { verdict, ..Health::default() },
        kill: None,
        message: Some("taken over".into()),
    }
}
