//! Deployments: which change sets are on their way, and how far.
//!
//! They follow what the controllers do and influence nothing of it. An app is part of one deployment at most: what
//! changes it next takes it out of the one before.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::deployment::{Deployment, Progress};
use ekiden_model::event::Event;
use ekiden_model::instance::Goal;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::view::Settled;
use ekiden_model::{AppId, Condition, DeploymentId, Effect};

use crate::Reconciler;
use crate::change::ChangeSet;

/// Those that are not over.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    pub(crate) open: BTreeMap<DeploymentId, Arc<Deployment>>,
    /// The one that each app is part of and not through with.
    pub(crate) of_app: BTreeMap<AppId, DeploymentId>,
}

impl Deployments {
    /// One that was stored.
    pub(crate) fn restore(&mut self, deployment: Deployment) {
        let under_way = deployment.changes.iter().filter(|(_, change)| change.progress == Progress::UnderWay);
        self.of_app.extend(under_way.map(|(app, _)| (app.clone(), deployment.id)));
        self.open.insert(deployment.id, Arc::new(deployment));
    }
}

impl Reconciler {
    /// The deployments that are not over, by their ids.
    pub fn deployments(&self) -> &BTreeMap<DeploymentId, Arc<Deployment>> {
        &self.deployments.open
    }

    /// The deployment that an app is part of and not through with.
    pub fn deployment_of(&self, app: &AppId) -> Option<DeploymentId> {
        self.deployments.of_app.get(app).copied()
    }

    /// A change set is on its way.
    pub(crate) fn deploy(&mut self, set: ChangeSet) {
        let mut deployment = Deployment { id: set.id, version: set.version, changes: set.changes };
        deployment.order(|id| self.declared(id).map(|declared| &*declared.app));
        for app in deployment.changes.keys() {
            self.progressed(app, &Progress::Superseded(self.now));
        }
        let id = deployment.id;
        let shared = Arc::new(deployment.clone());
        self.journal.push(Effect::Notify(Event::DeploymentStarted(shared)));
        self.deployments.restore(deployment);
        self.end_deployment_that_is_over(id);
        self.note_deployment(id);
    }

    /// Looks how far an app is that was just visited.
    pub(crate) fn follow_deployment(&mut self, id: &AppId, wanted: u32) {
        if !self.deployments.of_app.contains_key(id) || self.is_safe_mode() || self.settled_of(id) != Settled::Yes
        {
            return;
        }
        let Some(app) = self.apps.get(id).map(|entry| &entry.state) else { return };
        let Some(declared) = &app.declared else { return };
        let Some(rollout) = &app.rollout else { return };
        let is_current = app.newest().is_some_and(|newest| {
            newest.id == rollout.to
                && newest.restarts == declared.restarts
                && newest.app.same_revision(&declared.app)
        });
        let went_back = app.newest().is_some_and(|newest| {
            newest.id != rollout.to
                && matches!(newest.standing, Standing::Failed(_))
                && newest.restarts == declared.restarts
                && newest.app.same_revision(&declared.app)
        });
        let is_over = |instance: &ekiden_model::Instance| {
            instance.goal == Goal::Running
                || instance.condition == Condition::Unreachable
                || instance.condition.is_terminal()
        };
        let progress = match rollout.phase {
            Phase::Complete if is_current && rollout.wanted == wanted && app.instances.iter().all(is_over) => {
                Progress::Complete(self.now)
            }
            // It went back before this change, which did not ask for another try: what is declared is not there.
            Phase::Complete if went_back && rollout.wanted == wanted && app.instances.iter().all(is_over) => {
                let reason = format!("what is declared made no progress before: it runs {}", rollout.to);
                Progress::Failed(self.now, reason.into())
            }
            Phase::Failed if is_current => Progress::Failed(self.now, "no progress before the deadline".into()),
            Phase::RollingBack { failed } if app.newest().is_some_and(|newest| newest.id == failed) => {
                let reason = format!("no progress before the deadline: it goes back to {}", rollout.to);
                Progress::Failed(self.now, reason.into())
            }
            _ => return,
        };
        self.progressed(id, &progress);
    }

    /// An app is through with the deployment that it is part of, if it is part of one.
    pub(crate) fn progressed(&mut self, app: &AppId, progress: &Progress) {
        let Some(id) = self.deployments.of_app.remove(app) else { return };
        let Some(deployment) = self.deployments.open.get_mut(&id) else { return };
        let version = deployment.version;
        if let Some(change) = Arc::make_mut(deployment).changes.get_mut(app) {
            change.progress = progress.clone();
        }
        if !matches!(progress, Progress::Superseded(_)) {
            let step = Event::DeploymentStep(deployment.clone(), app.clone());
            self.journal.push(Effect::Notify(step));
        }
        if let Some(entry) = self.apps.get_mut(app)
            && Arc::make_mut(&mut entry.state.history).note(version, progress)
        {
            self.journal.note_version(app, version);
            self.touch(app);
        }
        self.end_deployment_that_is_over(id);
        self.note_deployment(id);
    }

    /// Ends one whatever it has come to; says whether there was such a one.
    pub(crate) fn abandon(&mut self, id: DeploymentId) -> bool {
        let Some(deployment) = self.deployments.open.get(&id).cloned() else { return false };
        for (app, change) in &deployment.changes {
            if change.progress == Progress::UnderWay {
                self.progressed(app, &Progress::Failed(self.now, "nobody follows it any longer".into()));
            }
        }
        true
    }

    fn end_deployment_that_is_over(&mut self, id: DeploymentId) {
        let Some(deployment) = self.deployments.open.get(&id) else { return };
        let Some(ending) = deployment.ending() else { return };
        let event = Event::DeploymentEnded(deployment.clone(), ending);
        self.deployments.open.remove(&id);
        self.journal.push(Effect::Notify(event));
    }

    fn note_deployment(&mut self, id: DeploymentId) {
        self.shelf_is_news = true;
        self.journal.note_deployment(id);
    }
}
