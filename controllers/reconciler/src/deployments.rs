//! Deployments: which change sets are on their way, and how far.
//!
//! They follow what the controllers do and influence nothing of it. An app is part of one deployment at most: what
//! changes it next takes it out of the one before.

use std::collections::BTreeMap;
use std::sync::Arc;

use ekiden_model::deployment::{Course, Deployment, Progress};
use ekiden_model::event::Event;
use ekiden_model::instance::Goal;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::view::Settled;
use ekiden_model::{AppId, Condition, DeploymentId, Effect};

use crate::Reconciler;
use crate::change::ChangeSet;

/// Those that are not over.
///
/// How far one is, is kept in the histories of its apps and counted here: what an app's progress costs does not depend on
/// how many apps were changed with it.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    /// Shared with readers, and copied when it changes.
    pub(crate) open: Arc<BTreeMap<DeploymentId, Arc<Course>>>,
    /// The one that each app is part of and not through with.
    pub(crate) of_app: BTreeMap<AppId, DeploymentId>,
}

impl Reconciler {
    /// The deployments that are not over, by their ids.
    pub fn deployments(&self) -> &Arc<BTreeMap<DeploymentId, Arc<Course>>> {
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
        let deployment = Arc::new(deployment);
        self.journal.push(Effect::Notify(Event::DeploymentStarted(deployment.clone())));
        let id = deployment.id;
        self.deployments.of_app.extend(deployment.changes.keys().map(|app| (app.clone(), id)));
        self.journal.note_deployment(id);
        self.put_course(Course::new(deployment));
        self.end_deployment_that_is_over(id);
    }

    /// Goes on with one that was stored, from where the histories of its apps say that it is.
    pub(crate) fn restore_deployment(&mut self, deployment: Deployment) {
        let id = deployment.id;
        let mut course = Course::new(Arc::new(deployment));
        let deployment = course.deployment.clone();
        for app in deployment.changes.keys() {
            match self.progress(&deployment, app) {
                Progress::UnderWay => _ = self.deployments.of_app.insert(app.clone(), id),
                over => _ = course.note(app, &over),
            }
        }
        self.put_course(course);
        self.end_deployment_that_is_over(id);
    }

    /// How far an app is on the way that a deployment set. One whose history does not go back so far has been changed
    /// since, many times.
    pub(crate) fn progress(&self, deployment: &Deployment, app: &AppId) -> Progress {
        let entry = self.apps.get(app);
        let history = entry.map(|entry| &entry.state.history).or_else(|| self.departed.get(app));
        let version = history.and_then(|history| history.get(deployment.version));
        version.map_or(Progress::Superseded(deployment.version), |version| version.progress.clone())
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
        let Some(course) = Arc::make_mut(&mut self.deployments.open).get_mut(&id) else { return };
        let course = Arc::make_mut(course);
        let deployment = course.deployment.clone();
        if let Some((stage, end)) = course.note(app, progress) {
            self.journal.push(Effect::Notify(Event::DeploymentStep(deployment.clone(), stage, end)));
        }
        self.shelf_is_news = true;
        if let Some(entry) = self.apps.get_mut(app)
            && Arc::make_mut(&mut entry.state.history).note(deployment.version, progress)
        {
            self.journal.note_version(app, deployment.version);
        }
        self.touch(app);
        self.end_deployment_that_is_over(id);
    }

    /// Ends one whatever it has come to; says whether there was such a one.
    pub(crate) fn abandon(&mut self, id: DeploymentId) -> bool {
        let Some(deployment) = self.deployments.open.get(&id).map(|course| course.deployment.clone()) else {
            return false;
        };
        for app in deployment.changes.keys() {
            if self.deployment_of(app) == Some(id) {
                self.progressed(app, &Progress::Failed(self.now, "nobody follows it any longer".into()));
            }
        }
        true
    }

    fn end_deployment_that_is_over(&mut self, id: DeploymentId) {
        let Some(course) = self.deployments.open.get(&id) else { return };
        let Some(ending) = course.ending() else { return };
        let event = Event::DeploymentEnded(course.deployment.clone(), ending);
        Arc::make_mut(&mut self.deployments.open).remove(&id);
        self.shelf_is_news = true;
        self.journal.note_deployment(id);
        self.journal.push(Effect::Notify(event));
    }

    fn put_course(&mut self, course: Course) {
        self.shelf_is_news = true;
        Arc::make_mut(&mut self.deployments.open).insert(course.deployment.id, Arc::new(course));
    }
}
