//! Playing a scenario.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::edit::{Edit, KillTasks};
use ekiden_model::effect::Effect;
use ekiden_model::input::Command as Order;
use ekiden_model::offer::Bundle;
use ekiden_model::{AgentId, App, AppId, Condition, Incarnation, PortSet, Resources, Role, Scalar, TaskId};

use super::app::described;
use super::parse::{Command, ScriptError, parse};
use crate::build::{AppBuilder, agent_with, app};
use crate::cluster::{Drain, Machine};
use crate::knobs::Knobs;
use crate::rng::Rng;
use crate::simulation::{BEGINNING, Simulation};
use crate::trace::Clock;

/// Lines of the log that are kept for a scenario that fails.
const LINES: usize = 400;

/// A scenario that was played.
#[derive(Debug)]
pub struct Played {
    /// What to compare with what is expected.
    pub transcript: String,
    /// The world as it was left.
    pub run: Simulation,
    /// What was expected and not so, or an invariant that broke.
    pub failures: Vec<String>,
}

/// Plays a scenario from the beginning.
pub fn play(script: &str) -> Result<Played, ScriptError> {
    let mut stage = Stage {
        run: Simulation::new(Rng::new(1), Knobs::calm(), LINES),
        transcript: String::new(),
        failures: Vec::new(),
        agents: 0,
        specs: BTreeMap::new(),
    };
    let commands = parse(script)?;
    if commands.first().is_some_and(|command| command.text == "remember") {
        stage.run.cluster.remember();
    }
    stage.run.record_story();
    stage.run.set_off();
    for command in commands {
        stage.line(&format!("> {}", command.text));
        stage.obey(&command)?;
        stage.tell();
    }
    if let Some(violation) = stage.run.line.violation.clone() {
        stage.failures.push(violation.to_string());
    }
    Ok(Played { transcript: stage.transcript, run: stage.run, failures: stage.failures })
}

struct Stage {
    run: Simulation,
    transcript: String,
    failures: Vec<String>,
    agents: u32,
    specs: BTreeMap<AppId, Arc<App>>,
}

impl Stage {
    fn line(&mut self, text: &str) {
        self.transcript.push_str(text);
        self.transcript.push('\n');
    }

    /// Adds what was announced and done since last time.
    fn tell(&mut self) {
        for (at, text) in self.run.take_story() {
            self.line(&format!("  {} {text}", Clock(at.since(BEGINNING))));
        }
    }

    fn obey(&mut self, command: &Command) -> Result<(), ScriptError> {
        match command.word(0)? {
            "agents" => self.agents(command)?,
            "declare" => {
                let id = app_of(command, 1)?;
                let base = self.specs.get(&id).map_or_else(|| app(id.as_str()), |spec| AppBuilder::from(spec));
                let built = described(base, command, 2)?.arc();
                self.specs.insert(id, built.clone());
                self.run.declare(built);
            }
            "withdraw" => {
                let id = app_of(command, 1)?;
                self.specs.remove(&id);
                self.run.withdraw(&id);
            }
            "run" => {
                let duration = command.duration_in(command.word(1)?)?;
                self.run.run_for(duration);
            }
            "crash" => {
                let task = self.task(command, 1)?;
                self.run.crash(&task);
            }
            "wedge" => {
                let task = self.task(command, 1)?;
                if let Some(task) = self.run.cluster.tasks.get_mut(&task) {
                    task.wedged = true;
                }
            }
            "sick" => {
                self.run.cluster.sick.insert(app_of(command, 1)?);
            }
            "well" => {
                self.run.cluster.sick.remove(&app_of(command, 1)?);
            }
            "cut" => self.run.cut_agent(&AgentId::new(command.word(1)?), Duration::from_secs(1_000_000)),
            "return" => {
                let id = AgentId::new(command.word(1)?);
                let cuts = self.run.cluster.agents.get(&id).map_or(0, |agent| agent.cuts);
                self.run.cluster.returns(&id, cuts, &mut self.run.line);
            }
            "reborn" => self.run.set_up_anew(&AgentId::new(command.word(1)?), Duration::from_secs(1)),
            "maintain" => self.maintain(command)?,
            "cancel" => {
                let agent = AgentId::new(command.word(1)?);
                self.run.cluster.schedule_maintenance(&agent, None, &mut self.run.line);
            }
            "take-down" => self.run.take_down(&AgentId::new(command.word(1)?)),
            "drain" => {
                let then_gone = command.words.get(2).is_some_and(|word| word == "gone");
                let drain = Drain { then_gone, grace: None };
                self.run.cluster.drain(&AgentId::new(command.word(1)?), drain, &mut self.run.line);
            }
            "activate" => self.run.cluster.activate(&AgentId::new(command.word(1)?), &mut self.run.line),
            "lose" => self.run.lose_agent(&AgentId::new(command.word(1)?)),
            "drop" => {
                let what = command.word(1)?;
                let certain = |wanted| if what == wanted { 1.0 } else { 0.0 };
                self.run.line.knobs.launch_lost = certain("launches");
                self.run.line.knobs.kill_lost = certain("kills");
            }
            // Before anything else: see `play`.
            "remember" => {}
            "wipe" => self.run.wipe_store(Duration::from_millis(500)),
            "copy" => self.run.copy_store(),
            "restore" => self.run.restore_copy(Duration::from_millis(500)),
            "failover" => {
                let registry = match command.word(1)? {
                    "registry" => true,
                    "forgetful" => false,
                    other => return Err(command.wrong(format!("`{other}` is no kind of master"))),
                };
                let back_within = command.duration_in(command.word(2)?)?;
                self.run.fail_over(registry, back_within, back_within);
            }
            "restart" => self.run.die(Duration::from_millis(500)),
            "restart-cut" => self.run.cut_next_step(command.number_at(1)?),
            "restart-after" => self.run.die_after(command.number_at(1)?),
            "stall" => self.run.stall_store(true),
            "unstall" => self.run.stall_store(false),
            "command" => self.order(command)?,
            "report" => self.report(&app_of(command, 1)?),
            "state" => self.state(&app_of(command, 1)?),
            "heal" => self.run.heal(),
            "expect" => self.expect(command)?,
            other => return Err(command.wrong(format!("`{other}` is no command"))),
        }
        Ok(())
    }

    fn agents(&mut self, command: &Command) -> Result<(), ScriptError> {
        let count: u32 = command.number_at(1)?;
        let (cpus, mem, disk) = (Scalar::whole(4), Scalar::whole(4096), Scalar::whole(10_000));
        let mut total = Resources { cpus, mem, disk, ..Resources::NONE };
        let mut ports = PortSet::from_ranges([31_000..=31_009]);
        let mut attributes = Vec::new();
        let mut reserved = None;
        for (name, value) in command.settings(2) {
            match name {
                "cpus" => total.cpus = Scalar::from_f64(command.number_in(value)?),
                "mem" => total.mem = Scalar::from_f64(command.number_in(value)?),
                "ports" => {
                    let (low, high) = value.split_once('-').unwrap_or((value, value));
                    ports = PortSet::from_ranges([command.number_in(low)?..=command.number_in(high)?]);
                }
                "reserved" => {
                    let wrong = || command.wrong(format!("`{value}` is no reservation such as prod,2,1024"));
                    let (role, amounts) = value.split_once(',').ok_or_else(wrong)?;
                    let (cpus, mem) = amounts.split_once(',').ok_or_else(wrong)?;
                    let cpus = Scalar::from_f64(command.number_in(cpus)?);
                    let mem = Scalar::from_f64(command.number_in(mem)?);
                    let resources = Resources { cpus, mem, ..Resources::NONE };
                    reserved = Some((Role::new(role.to_owned()), Bundle { resources, ports: PortSet::default() }));
                }
                _ => attributes.push((name, value)),
            }
        }
        for _ in 0..count {
            self.agents += 1;
            let name = format!("agent{}", self.agents);
            let agent = agent_with(&name, &name, &attributes);
            self.run.join(Machine { agent, total, ports: ports.clone(), reserved: reserved.clone() });
        }
        Ok(())
    }

    /// `maintain agent1 10s 60s`: from in 10 s on, for 60 s; without the last for ever.
    fn maintain(&mut self, command: &Command) -> Result<(), ScriptError> {
        let ahead = command.duration_in(command.word(2)?)?;
        let length = command.words.get(3).map(|length| command.duration_in(length)).transpose()?;
        let agent = AgentId::new(command.word(1)?);
        let window = Some((self.run.line.now + ahead, length));
        self.run.cluster.schedule_maintenance(&agent, window, &mut self.run.line);
        Ok(())
    }

    fn task(&self, command: &Command, first: usize) -> Result<TaskId, ScriptError> {
        let app = app_of(command, first)?;
        let slot = command.number_at(first + 1)?;
        self.run.task_in(&app, slot).ok_or_else(|| command.wrong("there is no such task"))
    }

    fn order(&mut self, command: &Command) -> Result<(), ScriptError> {
        let order = match command.word(1)? {
            "restart" => {
                let restart = vec![app_of(command, 2)?];
                Order::Edit(Box::new(Edit { restart, ..Edit::default() }))
            }
            "reset-backoff" => Order::ResetBackoff(app_of(command, 2)?),
            "kill" => Order::Kill(KillTasks { tasks: vec![self.task(command, 2)?], ..KillTasks::default() }),
            "adopt" => Order::Adopt,
            "disown" => Order::Disown,
            other => return Err(command.wrong(format!("`{other}` is no operator's command"))),
        };
        self.run.command(order);
        Ok(())
    }

    fn report(&mut self, id: &AppId) {
        let report = self.run.reconciler().map(|brain| brain.report(id)).unwrap_or_default();
        if report.is_empty() {
            self.line("  = nothing to wait for");
        }
        for reason in report.reasons {
            self.line(&format!("  = {reason}"));
        }
    }

    fn state(&mut self, id: &AppId) {
        let tasks = self.run.cluster.tasks.values().filter(|task| task.app == *id);
        let mut lines: Vec<String> = tasks
            .map(|task| {
                format!("  = {} {} {} on {}", task.key, task.revision, task.state.task_state(), task.agent)
            })
            .collect();
        lines.sort();
        if lines.is_empty() {
            lines.push("  = no tasks".to_owned());
        }
        self.line(&lines.join("\n"));
    }

    fn expect(&mut self, command: &Command) -> Result<(), ScriptError> {
        let failure = match command.word(1)? {
            "nothing" => {
                let agent = AgentId::new(command.word(3)?);
                let there = self.run.cluster.living().filter(|task| task.agent == agent);
                let tasks: Vec<String> = there.map(|task| task.id.to_string()).collect();
                (!tasks.is_empty()).then(|| format!("there is {}", tasks.join(" ")))
            }
            "safe-mode" => {
                let standstill = self.run.reconciler().and_then(ekiden_reconciler::Reconciler::standstill);
                standstill.is_none().then(|| "it is not in safe mode".to_owned())
            }
            "matched" => {
                let differing = self.run.compare().differing;
                (!differing.is_empty()).then(|| format!("{differing:?}"))
            }
            "reason" => {
                let id = app_of(command, 2)?;
                let wanted = command.words[3..].join(" ");
                let report = self.run.reconciler().map(|brain| brain.report(&id)).unwrap_or_default();
                let reasons: Vec<String> = report.reasons.iter().map(ToString::to_string).collect();
                let found = reasons.iter().any(|reason| reason.contains(&wanted));
                (!found).then(|| format!("the report says: {}", reasons.join("; ")))
            }
            number => {
                let count: usize = command.number_in(number)?;
                let id = app_of(command, 3)?;
                let only_first = match command.word(2)? {
                    "running" => false,
                    "first" => true,
                    other => return Err(command.wrong(format!("`{other}` is nothing to be counted"))),
                };
                let is_counted = |task: &&crate::cluster::SimTask| {
                    let replaces = task.key.incarnation != Incarnation::FIRST;
                    task.app == id && task.state == Condition::Running && !(only_first && replaces)
                };
                let running = self.run.cluster.living().filter(is_counted).count();
                (running != count).then(|| format!("{running} run"))
            }
        };
        if let Some(failure) = failure {
            self.line(&format!("  ! {failure}"));
            self.failures.push(format!("line {}: {}: {failure}", command.number, command.text));
        }
        Ok(())
    }
}

fn app_of(command: &Command, index: usize) -> Result<AppId, ScriptError> {
    let text = command.word(index)?;
    AppId::parse(text).map_err(|error| command.wrong(error.to_string()))
}

/// What is told of an effect that is not a write; writes are told by what they change.
pub(crate) fn effect_told(effect: &Effect) -> Vec<String> {
    match effect {
        Effect::Accept { tasks, .. } => {
            tasks.iter().map(|launch| format!("launch {} {}", launch.app.id, launch.instance)).collect()
        }
        Effect::Kill { task, .. } => vec![format!("kill {}", short(task))],
        Effect::StartProbe(app, probe) => vec![format!("probe {app} {} {:?}", probe.instance, probe.kind)],
        Effect::Revive(role) => vec![format!("revive {role}")],
        Effect::Suppress(role) => vec![format!("suppress {role}")],
        Effect::Survey { .. } => vec!["survey".to_owned()],
        Effect::Subscribe(Some(framework)) => vec![format!("subscribe as {framework}")],
        Effect::Subscribe(None) => vec!["subscribe as a new framework".to_owned()],
        Effect::Reconcile(tasks) => vec![format!("reconcile {} tasks", tasks.len())],
        _ => Vec::new(),
    }
}

/// A task by its app, slot and incarnation.
fn short(task: &TaskId) -> String {
    let path = task.as_str().split(".instance-").next().unwrap_or_default();
    task.instance().map_or_else(
        || task.to_string(),
        |(id, incarnation)| format!("/{} {}#{}", path.replace('_', "/"), id.slot.0, incarnation.0),
    )
}
