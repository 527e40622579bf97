//! Inputs and effects as lines of the log.

use ekiden_model::Input;
use ekiden_model::effect::Effect;
use ekiden_model::input::ClusterEvent;
use ekiden_model::record::{Record, Write};

use crate::timeline::Timeline;

pub(super) fn input_line(input: &Input, line: &mut Timeline) {
    match input {
        Input::Tick => line.log(format_args!("-> tick")),
        Input::Stored(seq) => line.log(format_args!("-> stored {}", seq.0)),
        Input::Command(request, command) => line.log(format_args!("-> {}: {command:?}", request.0)),
        Input::Probe(app, sample) => {
            line.log(format_args!("-> {app} {} {:?}: {:?}", sample.instance, sample.kind, sample.outcome));
        }
        Input::Desired(desired) => {
            for (app, _) in &desired.declare {
                line.log(format_args!(
                    "-> declared {} instances={} {:?}",
                    app.id, app.instances, app.template.command
                ));
            }
            for app in &desired.withdraw {
                line.log(format_args!("-> withdrawn {app}"));
            }
        }
        Input::Cluster(event) => match event {
            ClusterEvent::Status(status) => {
                let again = if status.ack.is_some() { "" } else { " (no ack)" };
                let word = match status.healthy {
                    Some(true) => " healthy",
                    Some(false) => " unhealthy",
                    None => "",
                };
                line.log(format_args!("-> {} {}{word}{again}", status.task, status.condition.task_state()));
            }
            ClusterEvent::Offers(offers) => {
                for offer in offers {
                    line.log(format_args!("-> offer {} of {}", offer.id, offer.agent.id));
                }
            }
            other => line.log(format_args!("-> {other:?}")),
        },
    }
}

pub(super) fn effect_line(effect: &Effect, line: &mut Timeline) {
    match effect {
        Effect::Survey { except: None } => line.log(format_args!("<- survey")),
        Effect::Survey { except: Some(except) } => line.log(format_args!("<- survey beside {except}")),
        Effect::Subscribe(framework) => line.log(format_args!("<- subscribe as {framework:?}")),
        Effect::Persist { seq, writes } => {
            line.log(format_args!("<- persist {}", seq.0));
            for write in writes {
                write_line(write, line);
            }
        }
        Effect::Accept { offers, agent, tasks } => {
            for task in tasks {
                let host = &task.agent.hostname;
                line.log(format_args!("<- launch {} on {agent} ({host}), {} offers", task.task, offers.len()));
            }
        }
        Effect::Decline { offers, refuse_for } => {
            for offer in offers {
                line.log(format_args!("<- decline {offer} for {refuse_for:?}"));
            }
        }
        Effect::Kill { task, .. } => line.log(format_args!("<- kill {task}")),
        Effect::Acknowledge(ack) => line.log(format_args!("<- acknowledge {}", ack.task)),
        Effect::StartProbe(app, probe) => {
            line.log(format_args!("<- probe {app} {} {:?}", probe.instance, probe.kind));
        }
        Effect::StopProbe(app, instance, kind) => line.log(format_args!("<- unprobe {app} {instance} {kind:?}")),
        Effect::Reconcile(tasks) => line.log(format_args!("<- reconcile {}", tasks.len())),
        Effect::Revive(role) => line.log(format_args!("<- revive {role}")),
        Effect::Suppress(role) => line.log(format_args!("<- suppress {role}")),
        Effect::Notify(_) => {}
        Effect::Answer(request, answer) => line.log(format_args!("<- answer {}: {answer:?}", request.0)),
    }
}

fn write_line(write: &Write, line: &mut Timeline) {
    match write {
        Write::DeleteApp(app) => line.log(format_args!("     delete {app}")),
        Write::Delete(key) => line.log(format_args!("     delete {key:?}")),
        Write::Put(Record::Version(app, version)) => {
            line.log(format_args!("     {app} version {} {:?}", version.at, version.progress));
        }
        Write::Put(Record::Deployment(deployment)) => {
            line.log(format_args!("     deployment {} of {:?}", deployment.id, deployment.changes.keys()));
        }
        Write::Put(Record::Group(group)) => line.log(format_args!("     group {}", group.id)),
        Write::Put(Record::Pod(pod)) => line.log(format_args!("     pod {}", pod.id)),
        Write::Put(Record::Installation(installation)) => {
            line.log(format_args!("     installation births={}", installation.births));
        }
        Write::Put(Record::App(app)) => {
            let targets =
                app.revisions.iter().map(|revision| (revision.id.0, revision.target)).collect::<Vec<_>>();
            let phase = app.rollout.as_ref().map(|rollout| rollout.phase);
            line.log(format_args!(
                "     {} declared={} targets={targets:?} {phase:?} failures={}",
                app.id,
                app.declared.is_some(),
                app.backoff.failures
            ));
        }
        Write::Put(Record::Slot(slot)) => {
            if slot.instances.is_empty() {
                line.log(format_args!("     {} {} empty", slot.app, slot.slot.0));
            }
            for one in &slot.instances {
                let kill = one.kill.as_ref().map(|order| order.cause);
                line.log(format_args!(
                    "     {} {} {} {:?} {:?} {:?} {kill:?}",
                    slot.app, one.key, one.revision, one.goal, one.condition, one.health.verdict
                ));
            }
        }
    }
}
