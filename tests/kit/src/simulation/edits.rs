//! Edits of the manifests, and operators' commands, in the middle of everything.

use std::sync::Arc;

use ekiden_model::edit::{Edit, KillTasks};
use ekiden_model::input::{Command, Desired};
use ekiden_model::{App, AppId, Input, TaskId};

use super::Simulation;
use super::draw::{draw_capacity, draw_constraint};
use super::process::source;
use crate::build::AppBuilder;
use crate::timeline::Happening;

/// How many earlier declarations are kept to go back to.
const HISTORY_KEPT: usize = 32;

impl Simulation {
    /// Somebody declares an app, or changes it.
    pub fn declare(&mut self, app: Arc<App>) {
        self.declare_all(vec![app]);
    }

    /// Somebody declares some apps at once.
    pub fn declare_all(&mut self, apps: Vec<Arc<App>>) {
        let mut declare = Vec::new();
        let (theirs, files): (Vec<_>, Vec<_>) = apps.into_iter().partition(|app| self.clients.owns(&app.id));
        self.ask_for_all(theirs);
        for app in files {
            if let Some(before) = self.declared.insert(app.id.clone(), app.clone()) {
                self.put_aside(before);
            }
            declare.push((app.clone(), source(app.id.as_str())));
        }
        if !declare.is_empty() {
            self.receive(Input::Desired(Desired { declare, ..Desired::default() }));
        }
    }

    /// An earlier declaration may be gone back to.
    pub(super) fn put_aside(&mut self, before: Arc<App>) {
        if self.history.len() == HISTORY_KEPT {
            self.history.remove(0);
        }
        self.history.push(before);
    }

    /// Somebody removes an app.
    pub fn withdraw(&mut self, id: &AppId) {
        if self.clients.owns(id) {
            self.ask_to_withdraw(id);
            return;
        }
        if self.is_perhaps_kept(id) {
            return;
        }
        if self.inherits(id) {
            self.receive(Input::Desired(Desired { withdraw: vec![id.clone()], ..Desired::default() }));
            return;
        }
        if let Some(before) = self.declared.remove(id) {
            self.history.push(before);
        }
        self.receive(Input::Desired(Desired { withdraw: vec![id.clone()], ..Desired::default() }));
    }

    /// Somebody wants all instances of an app replaced.
    pub fn restart(&mut self, app: AppId) {
        self.command(Command::Edit(Box::new(Edit { restart: vec![app], ..Edit::default() })));
    }

    /// Somebody wants a task ended.
    pub fn kill(&mut self, task: TaskId) {
        self.command(Command::Kill(KillTasks { tasks: vec![task], ..KillTasks::default() }));
    }

    pub(super) fn next_edit(&mut self) {
        let mean = self.line.knobs.edit_every.as_millis() as u64;
        let wait = self.line.rng.millis(mean / 4, mean + mean * 3 / 4);
        self.line.after(wait, Happening::Edit);
    }

    pub(super) fn edit(&mut self) {
        if self.healing {
            return;
        }
        self.next_edit();
        if self.ask_something() {
            return;
        }
        let ids: Vec<AppId> = self.declared.keys().cloned().collect();
        let Some(id) = self.line.rng.pick(&ids).cloned() else {
            self.declare_something();
            return;
        };
        let Some(app) = self.declared.get(&id).cloned() else { return };
        let kind = self.line.rng.below(20);
        self.line.log(format_args!("edit {kind} of {id}"));
        match kind {
            0..=3 => self.scale(&app),
            4..=7 => {
                let command = self.draw_command();
                self.declare(AppBuilder::from(&app).cmd(&command).arc());
            }
            8 => self.in_place(&app),
            9 => self.withdraw(&id),
            10 => {
                self.withdraw(&id);
                let again = self.draw_app(id.as_str());
                self.declare(again);
            }
            11 => {
                let paused = !app.rollout.paused;
                let built = AppBuilder::from(&app).paused(paused);
                let command = self.draw_command();
                let built = if paused { built.cmd(&command) } else { built };
                self.declare(built.arc());
            }
            12 | 13 => self.revert(&id),
            14 => {
                let built = AppBuilder::from(&app).independent();
                let first = ids.first().filter(|first| **first < id);
                let built = first.map_or(built.clone(), |first| built.depends_on(first.as_str()));
                self.declare(built.arc());
            }
            15 => {
                let built = draw_constraint(AppBuilder::from(&app).unconstrained(), &mut self.line.rng);
                self.declare(built.arc());
            }
            16 => {
                let built = draw_capacity(AppBuilder::from(&app), &mut self.line.rng);
                self.declare(built.arc());
            }
            17 => self.declare_something(),
            18 => {
                // Several changes at once, as a checkout of another branch makes them.
                let all: Vec<Arc<App>> = self.declared.values().cloned().collect();
                let changed = all.into_iter().map(|app| {
                    let command = self.draw_command();
                    AppBuilder::from(&app).cmd(&command).arc()
                });
                let changed = changed.collect();
                self.declare_all(changed);
            }
            _ => self.operate(&id),
        }
    }

    fn declare_something(&mut self) {
        let id = format!("/app{}", self.line.rng.below(6));
        let app = self.draw_app(&id);
        self.declare(app);
    }

    fn scale(&mut self, app: &App) {
        let count = self.line.rng.between(0, 6) as u32;
        self.declare(AppBuilder::from(app).instances(count).arc());
    }

    fn in_place(&mut self, app: &App) {
        let rng = &mut self.line.rng;
        let built = AppBuilder::from(app).label("edit", &rng.below(1000).to_string());
        let built = if rng.chance(0.5) {
            built.check_timing(rng.millis(1_000, 8_000), rng.millis(2_000, 6_000), rng.below(4) as u32)
        } else {
            built.kill_grace(rng.millis(100, 5_000))
        };
        self.declare(built.arc());
    }

    fn revert(&mut self, id: &AppId) {
        let earlier: Vec<Arc<App>> = self.history.iter().filter(|app| app.id == *id).cloned().collect();
        if let Some(app) = self.line.rng.pick(&earlier).cloned() {
            // A cycle could come of an earlier dependency beside later ones; what validation refuses is not tried.
            self.declare(app);
        }
    }

    fn operate(&mut self, id: &AppId) {
        let tasks: Vec<TaskId> =
            self.cluster.living().filter(|task| task.app == *id).map(|task| task.id.clone()).collect();
        match self.line.rng.below(3) {
            0 => self.restart(id.clone()),
            1 => self.command(Command::ResetBackoff(id.clone())),
            _ => {
                if let Some(task) = self.line.rng.pick(&tasks).cloned() {
                    self.kill(task);
                }
            }
        }
    }
}
