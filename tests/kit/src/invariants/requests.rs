//! Requests: their answers (S5, S11), the deployments that they are the beginning of (S11), and what holds for a while
//! instead of a file (S11).

use std::collections::BTreeMap;

use ekiden_model::edit::{Answer, Edit, KillTasks, RequestId};
use ekiden_model::history::Why;
use ekiden_model::input::Command;
use ekiden_model::record::{Record, RecordKey, Write};
use ekiden_model::{App, AppId, DeploymentId, TaskId, Timestamp};

use super::{Check, Found};

impl Check<'_> {
    /// S11: a request is answered once, with an answer that can be given to it. S5: what an answer promises is durable
    /// when it leaves.
    pub fn answer(&mut self, request: RequestId, answer: &Answer) -> Found {
        if request == RequestId::default() {
            // Nobody's: a planted one.
            return Vec::new();
        }
        let Some(asked) = self.ledger.requests.remove(&request) else {
            return vec![("S11", format!("request {} is answered, and nobody waits for that", request.0))];
        };
        let mut found = Vec::new();
        match (&asked.command, answer) {
            (Command::Kill(kill), Answer::Refused(_)) => self.ledger.kill_refused(kill),
            (_, Answer::Refused(_)) => {}
            (Command::Edit(edit), Answer::Deployed { version, .. }) => {
                self.promised(edit, *version, &mut found);
                self.overridden(edit, *version, &mut found);
            }
            (Command::Kill(kill), Answer::Deployed { version, .. }) if kill.scale => {
                self.scaled(kill, *version, &mut found);
            }
            (Command::Cancel(deployment, _), Answer::Deployed { version, .. }) => {
                self.went_back(*deployment, *version, &mut found);
            }
            (Command::Abandon(deployment), Answer::Done) => self.is_over(*deployment, &mut found),
            (Command::Kill(kill), Answer::Done) if !kill.scale => {}
            (Command::Edit(_) | Command::Kill(_) | Command::Cancel(..), _) | (_, Answer::Deployed { .. }) => {
                found.push(("S11", format!("{:?} is answered with {answer:?}", asked.command)));
            }
            (_, Answer::Done) => {}
        }
        found
    }

    /// S5: of every app of an edit the version is durable that it asked for, and the app's own record is of that one or of a
    /// later one.
    fn promised(&self, edit: &Edit, version: Timestamp, found: &mut Found) {
        let declared = edit.declare.iter().map(|app| (&app.id, Some(app)));
        for (id, app) in declared.chain(edit.withdraw.iter().map(|id| (id, None))) {
            let held = self.store.durable.as_of(id, version);
            if held.and_then(|held| held.known()) != app {
                found.push(("S5", format!("{id} is answered for and not durable as of {version}")));
                continue;
            }
            let at = held.map_or(version, |held| held.at);
            let record = self.store.durable.apps.get(id).and_then(|record| record.declared.as_ref());
            let shows = match record {
                Some(record) if record.version == at => Some(&record.app) == app,
                Some(record) => record.version > at,
                None => {
                    let later = self.store.durable.versions(id).filter(|held| held.at > at);
                    app.is_none() || later.into_iter().any(|held| held.app.is_none())
                }
            };
            if !shows {
                found.push(("S5", format!("{id} is answered for as of {at}, and its record is another")));
            }
        }
        for id in &edit.restart {
            if !self.store.durable.versions(id).any(|held| held.at == version) {
                found.push(("S5", format!("{id} is to be restarted as of {version}, which is not durable")));
            }
        }
    }

    /// S5: an app has at most so many instances fewer as tasks of it were to go, and is the same otherwise.
    fn scaled(&self, kill: &KillTasks, version: Timestamp, found: &mut Found) {
        let apps: Vec<AppId> = kill.tasks.iter().filter_map(TaskId::app).collect();
        for id in &apps {
            let Some(after) = self.store.durable.versions(id).find(|held| held.at == version) else { continue };
            let before = self.store.durable.versions(id).take_while(|held| held.at < version).last();
            let (Some(after), Some(before)) = (after.known(), before.and_then(|before| before.known())) else {
                continue;
            };
            let fewer = apps.iter().filter(|app| *app == id).count() as u32;
            let least = before.instances.saturating_sub(fewer);
            let as_before = App { instances: before.instances, ..App::clone(after) };
            if as_before != **before || !(least..=before.instances).contains(&after.instances) {
                let (was, is) = (before.instances, after.instances);
                found.push(("S5", format!("{id} had {was} instances and {fewer} were to go: it has {is}")));
            }
        }
    }

    /// S11: a deployment that was turned round is over, and of each of its apps what was declared before is declared
    /// again, unless something else came between.
    fn went_back(&self, id: DeploymentId, version: Timestamp, found: &mut Found) {
        let changes = self.ledger.deployments.get(&id).into_iter().flat_map(|deployment| {
            deployment.changes.iter().map(|(app, change)| (app, change, deployment.version))
        });
        for (app, change, changed) in changes {
            let between = |held: &ekiden_model::history::Version| held.at > changed && held.at < version;
            let is_later = self.store.durable.versions(app).any(between);
            let holds = self.store.durable.as_of(app, version).and_then(|held| held.known());
            if !is_later && holds != change.before.as_ref() {
                found.push(("S11", format!("{app} is not what it was before {id}, which was turned round")));
            }
        }
        self.is_over(id, found);
    }

    fn is_over(&self, id: DeploymentId, found: &mut Found) {
        if self.store.durable.others.contains_key(&RecordKey::Deployment(id)) {
            found.push(("S11", format!("deployment {id} is to be over, and is on record")));
        }
    }

    /// S11: what holds instead of a file does so until the time that was asked for, by a clock that never went back; or
    /// until another, which somebody has asked for since. Answers are given in the order in which requests came, so whoever
    /// came later waits for his own still.
    fn overridden(&self, edit: &Edit, version: Timestamp, found: &mut Found) {
        let Some(wanted) = &edit.authority.over else { return };
        if self.ledger.clock_went_back() {
            return;
        }
        for app in &edit.declare {
            let record = self.store.durable.apps.get(&app.id).and_then(|record| record.declared.as_ref());
            let over = record.filter(|record| record.version == version).and_then(|record| record.over.as_ref());
            let is_as_asked = |until: Timestamp| until == wanted.until || self.is_asked_since(&app.id, until);
            if let Some(over) = over.filter(|over| !is_as_asked(over.until)) {
                let (is, wanted) = (over.until, wanted.until);
                found.push(("S11", format!("{} is overridden until {is} and not until {wanted}", app.id)));
            }
        }
    }

    /// Whether somebody who waits for an answer has asked for something to hold instead of an app's file until then.
    fn is_asked_since(&self, app: &AppId, until: Timestamp) -> bool {
        self.ledger.requests.values().any(|asked| {
            let Command::Edit(edit) = &asked.command else { return false };
            let is_until = edit.authority.over.as_ref().is_some_and(|over| over.until == until);
            is_until && edit.declare.iter().any(|declared| declared.id == *app)
        })
    }

    /// S11: what held instead of a file ends not before it is due, and what the file says is what holds then. Looked at
    /// before the batch is in the books.
    pub(super) fn ended_overrides(&self, writes: &[Write], found: &mut Found) {
        let versions = writes.iter().filter_map(|write| match write {
            Write::Put(Record::Version(app, version)) => Some((app, &**version)),
            _ => None,
        });
        let new = versions
            .filter(|(app, version)| self.ledger.announced.versions(app).all(|held| held.at != version.at));
        let new: Vec<_> = new.collect();
        for (app, version) in new.iter().filter(|(_, version)| version.cause.why == Why::OverrideOver) {
            // Of one that began since the last batch the books know nothing.
            let began_since = new.iter().any(|(other, began)| other == app && began.at < version.at);
            let Some(over) = self.ledger.overrides.get(*app).filter(|_| !began_since) else { continue };
            if version.at < over.until && !self.ledger.is_asked_too_late(app) {
                let (at, until) = (version.at, over.until);
                found.push(("S11", format!("{app} is overridden until {until}, and no more at {at}")));
            }
            if version.known() != Some(&over.file) {
                found.push(("S11", format!("{app} is overridden no more, and not what its file says")));
            }
        }
    }

    /// S11: no app is on its way in two deployments, and nothing holds instead of a file when that is over.
    pub(super) fn change_sets(&mut self, writes: &[Write], found: &mut Found) {
        let mut of_app: BTreeMap<&AppId, DeploymentId> = BTreeMap::new();
        let deployments = writes.iter().any(|write| matches!(write, Write::Put(Record::Deployment(_))));
        for record in self.ledger.announced.others.values().filter(|_| deployments) {
            let Record::Deployment(deployment) = record else { continue };
            let announced = &self.ledger.announced;
            for app in deployment.changes.keys().filter(|app| announced.is_under_way(deployment, app)) {
                if let Some(other) = of_app.insert(app, deployment.id) {
                    found.push(("S11", format!("{app} is on its way in {other} and in {}", deployment.id)));
                }
            }
        }
        for write in writes {
            let Write::Put(Record::App(record)) = write else { continue };
            let over = record.declared.as_ref().and_then(|declared| declared.over.as_ref());
            // By a clock that went back it is another time for the process than for the books.
            if let Some(over) = over.filter(|over| over.until <= self.now && !self.ledger.clock_went_back()) {
                found.push(("S11", format!("{} is overridden, and was to be until {}", record.id, over.until)));
            }
            self.ledger.note_override(record);
        }
        for write in writes {
            if let Write::Put(Record::Deployment(deployment)) = write {
                self.ledger.deployments.insert(deployment.id, (**deployment).clone());
            }
        }
    }
}
