//! What the transcript tells: the difference between what Ekiden had announced before and after.

use std::fmt::Write as _;

use ekiden_model::app_state::Backoff;
use ekiden_model::health::{Readiness, Verdict};
use ekiden_model::record::AppRecord;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::{AppId, Instance, Timestamp};

use crate::store::Records;
use crate::trace::Clock;

/// The lines for one app.
pub(crate) fn changes(app: &AppId, before: &Records, after: &Records, began: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    app_changes(app, before.apps.get(app), after.apps.get(app), began, &mut lines);
    let old: Vec<&Instance> = before.slots_of(app).flat_map(|slot| &slot.instances).collect();
    let new: Vec<&Instance> = after.slots_of(app).flat_map(|slot| &slot.instances).collect();
    for instance in &new {
        let was = old.iter().find(|was| was.key == instance.key);
        instance_changes(app, was.copied(), instance, &mut lines);
    }
    for was in old {
        if !new.iter().any(|instance| instance.key == was.key) {
            lines.push(format!("{app} {} is forgotten", was.key));
        }
    }
    lines
}

fn app_changes(
    app: &AppId,
    old: Option<&AppRecord>,
    new: Option<&AppRecord>,
    began: Timestamp,
    lines: &mut Vec<String>,
) {
    let Some(new) = new else {
        lines.extend(old.map(|_| format!("{app} is forgotten")));
        return;
    };
    match (old.is_some_and(|old| old.declared.is_some()), new.declared.is_some()) {
        (false, true) => lines.push(format!("{app} is declared")),
        (true, false) => lines.push(format!("{app} is withdrawn")),
        _ => {}
    }
    for revision in &new.revisions {
        let was = old.and_then(|old| old.revisions.iter().find(|was| was.id == revision.id));
        if was.is_none() {
            lines.push(format!("{app} opens {}", revision.id));
        }
        if was.map_or(0, |was| was.target) != revision.target {
            lines.push(format!("{app} {} shall have {}", revision.id, revision.target));
        }
        let stood = was.map_or(Standing::Unproven, |was| was.standing);
        match (stood, revision.standing) {
            (Standing::Unproven | Standing::Failed(_), Standing::Proven(_)) => {
                lines.push(format!("{app} {} is proven", revision.id));
            }
            (Standing::Unproven | Standing::Proven(_), Standing::Failed(_)) => {
                lines.push(format!("{app} {} has failed", revision.id));
            }
            _ => {}
        }
    }
    for was in old.iter().flat_map(|old| &old.revisions) {
        if !new.revisions.iter().any(|revision| revision.id == was.id) {
            lines.push(format!("{app} {} is dropped", was.id));
        }
    }
    let stage = |record: &AppRecord| record.rollout.as_ref().map(|rollout| (rollout.to, rollout.phase));
    if let Some((to, phase)) = stage(new)
        && old.and_then(stage) != Some((to, phase))
    {
        lines.push(format!("{app} rollout to {to}: {}", phase_name(phase)));
    }
    let waited = old.map_or(Backoff::default(), |old| old.backoff);
    if new.backoff.failures != waited.failures {
        let mut line = format!("{app} has {} failures", new.backoff.failures);
        if let Some(until) = new.backoff.until {
            // Writing to a string cannot fail.
            let _ = write!(line, ", waits until {}", Clock(until.since(began)));
        }
        lines.push(line);
    }
}

fn instance_changes(app: &AppId, was: Option<&Instance>, instance: &Instance, lines: &mut Vec<String>) {
    let key = instance.key;
    if was.is_none() {
        let ports: Vec<String> = instance.host_ports.iter().flatten().map(ToString::to_string).collect();
        let ports = if ports.is_empty() { String::new() } else { format!(" port {}", ports.join(",")) };
        lines.push(format!("{app} {key} is placed: {} on {}{ports}", instance.revision, instance.agent.id));
    }
    if let Some(kill) = &instance.kill
        && was.and_then(|was| was.kill.as_ref()).is_none_or(|before| before.cause != kill.cause)
    {
        lines.push(format!("{app} {key} shall end: {}", kill.cause));
    }
    if was.is_some_and(|was| was.condition != instance.condition) {
        lines.push(format!("{app} {key} {}", instance.condition.task_state()));
    }
    let verdict = was.map_or(Verdict::Unknown, |was| was.health.verdict);
    if instance.health.verdict != verdict {
        lines.push(format!("{app} {key} is {}", verdict_name(instance.health.verdict)));
    }
    let was_ready = was.is_some_and(|was| was.health.readiness == Readiness::Ready);
    if instance.health.readiness == Readiness::Ready && !was_ready {
        lines.push(format!("{app} {key} is ready"));
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "not known to be healthy",
        Verdict::Healthy => "healthy",
        Verdict::Unhealthy => "unhealthy",
        Verdict::Condemned => "condemned",
    }
}

fn phase_name(phase: Phase) -> String {
    match phase {
        Phase::Waiting => "waits for dependencies".to_owned(),
        Phase::Rolling => "rolling".to_owned(),
        Phase::Paused => "paused".to_owned(),
        Phase::Complete => "complete".to_owned(),
        Phase::Failed => "failed".to_owned(),
        Phase::RollingBack { failed } => format!("rolling back from {failed}"),
    }
}
