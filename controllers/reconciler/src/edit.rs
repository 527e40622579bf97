//! Requests: what somebody asks for through the API, checked against the world as it is, followed, and answered.
//!
//! A request is followed as a whole or refused as a whole. Its answer leaves through the journal like any other effect,
//! so that it is given when what it changed is durable.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::app::App;
use ekiden_model::app_state::{Backoff, Override, Source};
use ekiden_model::deployment::Progress;
use ekiden_model::edit::{
    Answer, Authority, Edit, Group, GroupEdit, GroupVersion, KillTasks, POD_VERSIONS_KEPT, Pod, PodEdit, Refusal,
    RequestId,
};
use ekiden_model::history::{Cause, VERSIONS_KEPT, Why};
use ekiden_model::input::Command;
use ekiden_model::instance::{Goal, KillOrder};
use ekiden_model::record::LISTENERS_MAX;
use ekiden_model::report::KillCause;
use ekiden_model::{AppId, DeploymentId, Effect, TaskId};

use crate::Reconciler;
use crate::change::ChangeSet;
use crate::identity::Identity;

impl Reconciler {
    pub(crate) fn fold_command(&mut self, request: RequestId, command: Command) {
        let answer = match command {
            Command::Adopt | Command::Disown => {
                self.fold_word(&command);
                Ok(Answer::Done)
            }
            Command::ResetBackoff(id) => self.reset_backoff(&id),
            Command::Edit(edit) => self.edit(*edit),
            Command::Kill(kill) => self.kill_tasks(&kill),
            Command::Cancel(deployment, authority) => self.cancel(deployment, &authority),
            Command::Abandon(deployment) => {
                let known = self.abandon(deployment);
                known.then_some(Answer::Done).ok_or(Refusal::NoSuchDeployment(deployment))
            }
            Command::Keep(id) => self.keep(&id),
            Command::EnforceRole(group, enforce_role) => {
                let set = self.begin_changes();
                self.last_version = set.version;
                let said = self.groups.get(&group).and_then(|group| group.last());
                let dependencies = said.map(|said| said.dependencies.clone()).unwrap_or_default();
                self.edit_group(&set, GroupEdit::Put { id: group, dependencies, enforce_role });
                Ok(Answer::Done)
            }
            Command::Listen(address) => self.listen(address),
            Command::Unlisten(address) => {
                if self.installation.listeners.remove(&address) {
                    self.note_listeners();
                }
                Ok(Answer::Done)
            }
        };
        self.journal.push(Effect::Answer(request, answer.unwrap_or_else(Answer::Refused)));
    }

    /// What somebody wants to have sent events to.
    pub fn listeners(&self) -> &BTreeSet<Arc<str>> {
        &self.installation.listeners
    }

    fn edit(&mut self, edit: Edit) -> Result<Answer, Refusal> {
        for (id, version) in &edit.made_from {
            // Apps and pods share one space of names.
            let pod = || self.pods.get(id).and_then(|pod| pod.last()).map(|(version, _)| *version);
            let is = self.declared(id).map(|declared| declared.version).or_else(pod);
            if is != *version {
                return Err(Refusal::Stale(id.clone()));
            }
        }
        for app in &edit.declare {
            let says_something = self.declared(&app.id).is_none_or(|declared| declared.app != *app);
            self.may_change(&app.id, &edit.authority, says_something)?;
        }
        for id in &edit.withdraw {
            self.declared(id).ok_or_else(|| Refusal::NoSuchApp(id.clone()))?;
            self.may_withdraw(id, &edit.authority)?;
        }
        for id in &edit.restart {
            self.declared(id).ok_or_else(|| Refusal::NoSuchApp(id.clone()))?;
            self.is_free(id, &edit.authority)?;
        }
        let gone = edit.pods.iter().find_map(|pod| match pod {
            PodEdit::Remove(id) if !self.pods.contains_key(id) => Some(id.clone()),
            _ => None,
        });
        if let Some(id) = gone {
            return Err(Refusal::NoSuchPod(id));
        }
        let mut set = self.begin_changes();
        for app in &edit.declare {
            self.declare_by_request(&mut set, app, &edit.authority, &Why::Declared);
        }
        for id in &edit.withdraw {
            let cause = self.cause_of(id, &edit.authority, Why::Withdrawn);
            self.withdraw(&mut set, id, cause);
        }
        for id in &edit.restart {
            let cause = self.cause_of(id, &edit.authority, Why::Restarted);
            self.restart(&mut set, id, cause);
        }
        for group in edit.groups {
            self.edit_group(&set, group);
        }
        for pod in edit.pods {
            self.edit_pod(&set, pod);
        }
        Ok(self.deployed(set))
    }

    fn deployed(&mut self, set: ChangeSet) -> Answer {
        let answer = Answer::Deployed { deployment: set.id, version: set.version };
        self.end_changes_as_told(set);
        answer
    }

    /// Declares an app as somebody wants it: instead of what its file says, where it has one.
    fn declare_by_request(&mut self, set: &mut ChangeSet, app: &Arc<App>, authority: &Authority, why: &Why) {
        let over = self.override_of(app, authority);
        let why = match &over {
            Some(over) => Why::Overridden { until: over.until, reason: over.reason.clone() },
            None => why.clone(),
        };
        let cause = self.cause_of(&app.id, authority, why);
        self.declare(set, app, over, cause);
    }

    fn override_of(&self, app: &App, authority: &Authority) -> Option<Override> {
        let declared = self.declared(&app.id).filter(|declared| declared.source != Source::Api)?;
        let file = declared.over.as_ref().map_or(&declared.app, |over| &over.file).clone();
        if *file == *app {
            // What is asked for is what the file says: nothing is overridden.
            return None;
        }
        let Some(asked) = &authority.over else { return declared.over.clone() };
        let (reason, by) = (asked.reason.clone(), authority.by.clone());
        // A clock that was set back shows that time later than it showed all that is on record.
        let until = self.time.inside(asked.until);
        Some(Override { file, reason, by, since: self.now, until })
    }

    fn cause_of(&self, id: &AppId, authority: &Authority, why: Why) -> Cause {
        let source = self.declared(id).map_or(Source::Api, |declared| declared.source.clone());
        Cause { source, commit: None, by: authority.by.clone(), why }
    }

    /// Whether somebody may change what is declared of an app.
    fn may_change(&self, id: &AppId, authority: &Authority, says_something: bool) -> Result<(), Refusal> {
        self.is_free(id, authority)?;
        match self.declared(id).map(|declared| &declared.source) {
            Some(Source::File { path, line }) if authority.over.is_none() && says_something => {
                Err(Refusal::OwnedByFile { app: id.clone(), path: path.clone(), line: *line })
            }
            _ => Ok(()),
        }
    }

    fn may_withdraw(&self, id: &AppId, authority: &Authority) -> Result<(), Refusal> {
        self.is_free(id, authority)?;
        match self.declared(id).map(|declared| &declared.source) {
            Some(Source::File { path, line }) => {
                let (app, path, line) = (id.clone(), path.clone(), *line);
                Err(if authority.over.is_some() {
                    Refusal::CannotOverrideAway { app, path, line }
                } else {
                    Refusal::OwnedByFile { app, path, line }
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether no deployment keeps an app from being changed. None does, unless the operator wants it so.
    fn is_free(&self, id: &AppId, authority: &Authority) -> Result<(), Refusal> {
        match self.deployments.of_app.get(id) {
            Some(deployment) if self.settings.deployment_locks && !authority.force => {
                Err(Refusal::Locked(BTreeSet::from([*deployment])))
            }
            _ => Ok(()),
        }
    }

    /// Whether the group at the top that an app is in has its name for the role of its apps (Marathon §2.8).
    pub(crate) fn enforces_group_role(&self, app: &AppId) -> bool {
        let top = app.group().top();
        let said = top.and_then(|top| self.groups.get(&top)).and_then(|group| group.last());
        said.is_some_and(|said| said.enforce_role)
    }

    fn edit_group(&mut self, set: &ChangeSet, edit: GroupEdit) {
        let id = match edit {
            GroupEdit::Put { id, dependencies, enforce_role } => {
                let group = Arc::make_mut(&mut self.groups)
                    .entry(id.clone())
                    .or_insert_with(|| Arc::new(Group { id: id.clone(), versions: Vec::new() }));
                let versions = &mut Arc::make_mut(group).versions;
                versions.push(GroupVersion { at: set.version, dependencies, enforce_role });
                if versions.len() > VERSIONS_KEPT {
                    versions.remove(0);
                }
                id
            }
            GroupEdit::Remove(id) => {
                Arc::make_mut(&mut self.groups).remove(&id);
                id
            }
        };
        self.journal.note_group(&id);
        self.shelf_is_news = true;
    }

    fn edit_pod(&mut self, set: &ChangeSet, edit: PodEdit) {
        let id = match edit {
            PodEdit::Put { id, definition } => {
                let pod = Arc::make_mut(&mut self.pods)
                    .entry(id.clone())
                    .or_insert_with(|| Arc::new(Pod { id: id.clone(), versions: Vec::new() }));
                let pod = Arc::make_mut(pod);
                pod.versions.push((set.version, definition));
                if pod.versions.len() > POD_VERSIONS_KEPT {
                    pod.versions.remove(0);
                }
                id
            }
            PodEdit::Remove(id) => {
                Arc::make_mut(&mut self.pods).remove(&id);
                id
            }
        };
        self.journal.note_pod(&id);
        self.shelf_is_news = true;
    }

    fn reset_backoff(&mut self, id: &AppId) -> Result<Answer, Refusal> {
        let entry = self.apps.get_mut(id).ok_or_else(|| Refusal::NoSuchApp(id.clone()))?;
        entry.state.backoff = Backoff { configured: entry.state.backoff.configured, ..Backoff::default() };
        self.journal.note_app(id);
        self.changed(id);
        Ok(Answer::Done)
    }

    fn kill_tasks(&mut self, kill: &KillTasks) -> Result<Answer, Refusal> {
        if !kill.scale {
            for task in &kill.tasks {
                self.kill_by_command(task);
            }
            return Ok(Answer::Done);
        }
        let mut killed: Vec<(AppId, u32)> = Vec::new();
        for id in self.apps_of(&kill.tasks) {
            self.may_change(&id, &kill.authority, true)?;
            let wanted = kill.tasks.iter().filter(|task| self.wants(&id, task)).count();
            killed.push((id, u32::try_from(wanted).unwrap_or(u32::MAX)));
        }
        let mut set = self.begin_changes();
        for (id, fewer) in killed {
            let Some(declared) = self.declared(&id) else { continue };
            let instances = declared.app.instances.saturating_sub(fewer);
            let app = Arc::new(App { instances, ..App::clone(&declared.app) });
            self.declare_by_request(&mut set, &app, &kill.authority, &Why::Scaled);
        }
        for task in &kill.tasks {
            self.kill_by_command(task);
        }
        Ok(self.deployed(set))
    }

    /// The declared apps whose tasks these are.
    fn apps_of(&self, tasks: &[TaskId]) -> BTreeSet<AppId> {
        let known = tasks.iter().filter_map(|task| match self.identify(task) {
            Identity::Known(id, _) => Some(id),
            _ => None,
        });
        known.filter(|id| self.declared(id).is_some()).collect()
    }

    /// Whether a task is of that app, lives, and is to live.
    fn wants(&self, app: &AppId, task: &TaskId) -> bool {
        match self.identify(task) {
            Identity::Known(id, key) if id == *app => self
                .apps
                .get(app)
                .and_then(|entry| entry.state.instances.get(key))
                .is_some_and(|instance| instance.goal == Goal::Running && instance.condition.is_live()),
            _ => false,
        }
    }

    /// An operator's kill is no disruption that we chose, so it takes no permit; whoever orders it has said so.
    fn kill_by_command(&mut self, task: &TaskId) {
        let Identity::Known(id, key) = self.identify(task) else { return };
        let Some(entry) = self.apps.get_mut(&id) else { return };
        let now = self.now;
        let agent = entry.state.instances.update(key, |instance| {
            instance.goal = instance.goal.max(Goal::Decommissioned);
            instance.kill = Some(KillOrder { cause: KillCause::Operator, at: now, sent: now });
            instance.agent.id.clone()
        });
        let grace = entry.state.declared.as_ref().and_then(|declared| declared.app.kill_grace);
        self.journal.note_slot(&id, key.slot);
        // In safe mode the order is kept, and sent when it is over: as the repetition of one that was not answered.
        if !self.is_safe_mode() {
            self.journal.push(Effect::Kill { task: task.clone(), agent, grace });
        }
        self.changed(&id);
    }

    /// Turns a deployment round: what was declared before holds again, of all that was not changed again since.
    fn cancel(&mut self, id: DeploymentId, authority: &Authority) -> Result<Answer, Refusal> {
        let course = self.deployments.open.get(&id).ok_or(Refusal::NoSuchDeployment(id))?;
        let deployment = course.deployment.clone();
        let is_changed_since = |app| matches!(self.progress(&deployment, app), Progress::Superseded(_));
        let changed: Vec<_> = deployment.changes.iter().filter(|(app, _)| !is_changed_since(app)).collect();
        // Whoever turns a deployment round may, even where deployments lock: it is the one that holds the lock.
        let authority = Authority { force: true, ..authority.clone() };
        for (app, change) in &changed {
            match &change.before {
                Some(_) => self.may_change(app, &authority, true)?,
                None => self.may_withdraw(app, &authority)?,
            }
        }
        let mut set = self.begin_changes();
        for (app, change) in changed {
            let why = Why::RolledBack(id);
            if let Some(before) = &change.before {
                self.declare_by_request(&mut set, before, &authority, &why);
            } else {
                let cause = self.cause_of(app, &authority, why);
                self.withdraw(&mut set, app, cause);
            }
        }
        // What was restarted, and not changed, has nothing to go back to, and is not followed any longer either.
        let answer = self.deployed(set);
        self.abandon(id);
        Ok(answer)
    }

    fn keep(&mut self, id: &AppId) -> Result<Answer, Refusal> {
        let declared = self.declared_mut(id).ok_or_else(|| Refusal::NoSuchApp(id.clone()))?;
        if declared.source != Source::Api {
            declared.keep = true;
            self.journal.note_app(id);
            self.changed(id);
        }
        Ok(Answer::Done)
    }

    fn listen(&mut self, address: Arc<str>) -> Result<Answer, Refusal> {
        let listeners = &mut self.installation.listeners;
        if !listeners.contains(&address) {
            if listeners.len() >= LISTENERS_MAX {
                return Err(Refusal::TooMany { what: "event subscriptions", most: LISTENERS_MAX });
            }
            listeners.insert(address);
            self.note_listeners();
        }
        Ok(Answer::Done)
    }

    fn note_listeners(&mut self) {
        self.journal.note_installation();
        self.shelf_is_news = true;
    }
}
