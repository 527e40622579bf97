//! Clients of the API: some apps are theirs, they send edits and orders, and what they were not answered they send again
//! to the next process. What they know to hold is what they were told so.

use std::collections::BTreeSet;
use std::sync::Arc;

use ekiden_model::app_state::Source;
use ekiden_model::edit::{Answer, Authority, Edit, KillTasks, OverrideAsked, Refusal, RequestId};
use ekiden_model::input::Command;
use ekiden_model::record::AppRecord;
use ekiden_model::{App, AppId, DeploymentId, Input, TaskId, Timestamp};

use super::Simulation;
use crate::build::AppBuilder;
use crate::invariants::Found;
use crate::ledger::Asked;
use crate::rng::Rng;
use crate::store::Records;

/// How many apps there may be; see [`Simulation::declare_something`].
const APPS: u64 = 6;

/// The clients, together.
#[derive(Debug)]
pub(super) struct Clients {
    /// Drawn from apart, so that runs without clients stay what they are.
    rng: Rng,
    /// Apps that they declare.
    owned: BTreeSet<AppId>,
    /// Apps of files that they take over when their files say no more.
    kept: BTreeSet<AppId>,
    /// Requests made so far: they number themselves.
    made: u64,
}

impl Default for Clients {
    fn default() -> Self {
        Self { rng: Rng::new(0), owned: BTreeSet::new(), kept: BTreeSet::new(), made: 0 }
    }
}

impl Clients {
    pub(super) fn owns(&self, app: &AppId) -> bool {
        self.owned.contains(app)
    }
}

impl Simulation {
    /// Gives some of the apps that were drawn to clients: nobody but they declares those.
    pub(super) fn draw_clients(&mut self, seed: u64) {
        if !self.line.knobs.requests {
            return;
        }
        let mut rng = Rng::new(seed.rotate_left(16));
        // There is more to be edited, and more to edit it.
        self.line.knobs.edit_every /= 2;
        let ids = (0..APPS).map(|number| crate::build::app_id(&format!("/app{number}")));
        self.clients.owned = ids.filter(|_| rng.chance(0.5)).collect();
        self.settings.deployment_locks = rng.chance(0.2);
        self.clients.rng = rng;
        let (theirs, files) =
            std::mem::take(&mut self.declared).into_iter().partition(|(id, _)| self.clients.owns(id));
        self.declared = files;
        self.ask_for_all(theirs.into_values().collect());
    }

    /// An operator, or a program, wants something.
    pub fn command(&mut self, command: Command) {
        let is_up = self.process.is_some();
        // Whose tasks those are that nobody knows is asked anew by the next process.
        let again = self.line.knobs.requests && !matches!(command, Command::Adopt | Command::Disown);
        if !is_up && !again {
            return;
        }
        self.clients.made += 1;
        let request = RequestId(self.clients.made);
        let asked = Asked { command, again, times: 0 };
        self.ledger.requests.insert(request, asked);
        self.send(request);
    }

    fn send(&mut self, request: RequestId) {
        let is_up = self.process.is_some();
        let Some(asked) = self.ledger.requests.get_mut(&request).filter(|_| is_up) else { return };
        asked.times += 1;
        let command = asked.command.clone();
        self.receive(Input::Command(request, command));
    }

    /// The process is dead: who does not repeat what was not answered, gives it up.
    pub(super) fn give_up(&mut self) {
        self.ledger.requests.retain(|_, asked| asked.again);
    }

    /// The next process is asked what the one before did not answer, in the same order.
    pub(super) fn send_again(&mut self) {
        let open: Vec<RequestId> = self.ledger.requests.keys().copied().collect();
        for request in open {
            self.send(request);
        }
    }

    /// Apps are declared by their clients.
    pub(super) fn ask_for_all(&mut self, apps: Vec<Arc<App>>) {
        if apps.is_empty() {
            return;
        }
        let made_from = apps.iter().map(|app| (app.id.clone(), self.version_of(&app.id))).collect();
        // Before Ekiden runs there is nothing that an edit could be made from.
        let careful = self.process.is_some() && self.clients.rng.chance(0.5);
        let made_from = if careful { made_from } else { Vec::new() };
        let authority = self.draw_authority();
        self.command(Command::Edit(Box::new(Edit { declare: apps, made_from, authority, ..Edit::default() })));
    }

    /// An app's client wants it no more.
    pub(super) fn ask_to_withdraw(&mut self, id: &AppId) {
        let authority = self.draw_authority();
        let edit = Edit { withdraw: vec![id.clone()], authority, ..Edit::default() };
        self.command(Command::Edit(Box::new(edit)));
    }

    /// The file of an app says nothing of it any more; says whether the app is one of the clients' from now on.
    pub(super) fn inherits(&mut self, id: &AppId) -> bool {
        let inherits = self.clients.kept.remove(id);
        if inherits {
            self.clients.owned.insert(id.clone());
        }
        inherits
    }

    /// Whether somebody has asked for an app to be kept, and does not know whether it is.
    pub(super) fn is_perhaps_kept(&self, id: &AppId) -> bool {
        let mut open = self.ledger.requests.values();
        open.any(|asked| matches!(&asked.command, Command::Keep(kept) if kept == id))
    }

    /// Whether something else holds than an app's file says, or somebody has asked for that and was not answered yet: who
    /// has the app kept then, keeps what is nobody's word alone.
    fn is_perhaps_overridden(&self, id: &AppId) -> bool {
        let mut open = self.ledger.requests.values();
        let asks = |edit: &Edit| edit.authority.over.is_some() && edit.declare.iter().any(|app| app.id == *id);
        self.ledger.overrides.contains_key(id)
            || open.any(|asked| matches!(&asked.command, Command::Edit(edit) if asks(edit)))
    }

    /// As the snapshot for readers shows it.
    fn version_of(&self, id: &AppId) -> Option<Timestamp> {
        self.reconciler()?.app(id)?.declared.as_ref().map(|declared| declared.version)
    }

    fn draw_authority(&mut self) -> Authority {
        // What is asked for at the end is to be had.
        let force = self.healing || self.clients.rng.chance(0.3);
        Authority { by: Some("client".into()), over: None, force }
    }

    /// A client wants something beside an edit of an app of its own.
    pub(super) fn ask_something(&mut self) -> bool {
        if !self.line.knobs.requests || !self.clients.rng.chance(0.35) {
            return false;
        }
        let ids: Vec<AppId> = self.declared.keys().cloned().collect();
        let Some(id) = self.clients.rng.pick(&ids).cloned() else { return false };
        let tasks: Vec<TaskId> =
            self.cluster.living().filter(|task| task.app == id).map(|task| task.id.clone()).collect();
        let open: Vec<DeploymentId> =
            self.reconciler().map(|brain| brain.deployments().keys().copied().collect()).unwrap_or_default();
        let kind = self.clients.rng.below(12);
        self.line.log(format_args!("request {kind} about {id}"));
        let authority = self.draw_authority();
        match kind {
            0..=3 => self.override_file(&id, authority),
            4..=6 => {
                if let Some(deployment) = self.clients.rng.pick(&open).copied() {
                    self.command(Command::Cancel(deployment, authority));
                }
            }
            7 => {
                if let Some(deployment) = self.clients.rng.pick(&open).copied() {
                    self.command(Command::Abandon(deployment));
                }
            }
            8 | 9 => {
                let some = self.clients.rng.between(1, 2) as usize;
                let tasks = tasks.into_iter().take(some).collect();
                self.command(Command::Kill(KillTasks { tasks, scale: true, authority }));
            }
            10 if self.is_perhaps_overridden(&id) => {}
            10 => {
                self.clients.kept.retain(|kept| *kept != id);
                self.command(Command::Keep(id));
            }
            _ => {
                let restart = vec![id];
                self.command(Command::Edit(Box::new(Edit { restart, authority, ..Edit::default() })));
            }
        }
        true
    }

    /// Something else than a file says is to hold for a while; or is to hold, and may not.
    fn override_file(&mut self, id: &AppId, mut authority: Authority) {
        let Some(app) = self.declared.get(id).cloned() else { return };
        // What an app that changes hands while it is overridden is declared as is nobody's word alone.
        if self.clients.owns(id) || self.clients.kept.contains(id) || self.is_perhaps_kept(id) {
            return;
        }
        if self.clients.rng.chance(0.85) {
            let until = self.told_now() + self.clients.rng.millis(2_000, 60_000);
            authority.over = Some(OverrideAsked { reason: "a trial".into(), until });
        }
        let built = AppBuilder::from(&app);
        let built = match self.clients.rng.below(3) {
            0 => built.instances(self.clients.rng.below(6) as u32),
            1 => built.label("over", &self.clients.rng.below(1000).to_string()),
            _ => built.cmd(&format!("run override{}", self.clients.made)),
        };
        let declare = vec![built.arc()];
        self.command(Command::Edit(Box::new(Edit { declare, authority, ..Edit::default() })));
    }

    /// Somebody is answered.
    pub(super) fn answered(&mut self, request: RequestId, answer: &Answer) -> Found {
        let asked = self.ledger.requests.get(&request).cloned();
        let found = self.check().answer(request, answer);
        if let Some(asked) = asked {
            self.learn(&asked, answer);
        }
        found
    }

    /// What a client knows when it was answered.
    fn learn(&mut self, asked: &Asked, answer: &Answer) {
        match (&asked.command, answer) {
            (Command::Keep(id), Answer::Done) if !self.clients.owns(id) => {
                self.clients.kept.insert(id.clone());
            }
            (command, Answer::Deployed { version, .. }) => self.look_again(command, *version),
            // Nothing was done now. Perhaps it was, when it was asked for before, and nobody lived to say so.
            (command, Answer::Refused(refusal)) => {
                if asked.times > 1 {
                    self.look_again(command, Timestamp::NEVER);
                }
                if let (Command::Edit(edit), Refusal::Stale(_)) = (command, refusal) {
                    let declare = edit.declare.iter().filter(|app| self.clients.owns(&app.id)).cloned();
                    self.ask_for_all(declare.collect());
                }
            }
            (_, Answer::Done) => {}
        }
    }

    /// What is declared of the apps that a request was about, as of a version.
    fn look_again(&mut self, command: &Command, version: Timestamp) {
        let about: Vec<AppId> = match command {
            Command::Edit(edit) => {
                let declared = edit.declare.iter().map(|app| app.id.clone());
                declared.chain(edit.withdraw.iter().cloned()).collect()
            }
            Command::Kill(kill) => kill.tasks.iter().filter_map(TaskId::app).collect(),
            Command::Cancel(..) => self.store.durable.apps.keys().chain(&self.clients.owned).cloned().collect(),
            _ => Vec::new(),
        };
        // What no file declares any more, and somebody asks for or brings back, is his from then on.
        let is_by_api = |id: &&AppId| {
            let record = self.store.durable.apps.get(*id).and_then(|record| record.declared.as_ref());
            record.is_some_and(|declared| declared.source == Source::Api) && !self.declared.contains_key(*id)
        };
        let brought_back: Vec<AppId> = about.iter().filter(is_by_api).cloned().collect();
        self.clients.owned.extend(brought_back);
        let theirs: Vec<AppId> = about.into_iter().filter(|id| self.clients.owns(id)).collect();
        for id in theirs {
            let held = self.store.durable.as_of(&id, version).and_then(|held| held.known().cloned());
            self.holds(&id, held);
        }
    }

    /// This, or nothing, is declared of an app.
    fn holds(&mut self, id: &AppId, held: Option<Arc<App>>) {
        let before = self.declared.remove(id);
        self.declared.extend(held.map(|app| (id.clone(), app)));
        if let Some(before) = before.filter(|before| self.declared.get(id) != Some(before)) {
            self.put_aside(before);
        }
    }

    /// What clients were told and is not in the store any more holds no longer.
    pub(super) fn look_at_other_store(&mut self, records: &Records) {
        for id in self.clients.owned.clone() {
            let declared = records.apps.get(&id).and_then(|record| record.declared.as_ref());
            let stays = declared.filter(|declared| declared.source == Source::Api || declared.keep);
            let app = stays.map(|declared| declared.app.clone());
            self.holds(&id, app);
        }
        let is_kept = |record: &&AppRecord| record.declared.as_ref().is_some_and(|declared| declared.keep);
        let kept = records.apps.values().filter(|record| !self.clients.owns(&record.id)).filter(is_kept);
        // Whose file was removed since is inherited by who had it kept: the copy holds that word, and no file says more.
        let (kept, inherited): (Vec<_>, Vec<_>) = kept.partition(|record| self.declared.contains_key(&record.id));
        for record in inherited {
            self.clients.owned.insert(record.id.clone());
            self.holds(&record.id, record.declared.as_ref().map(|declared| declared.app.clone()));
        }
        self.clients.kept = kept.into_iter().map(|record| record.id.clone()).collect();
    }
}
