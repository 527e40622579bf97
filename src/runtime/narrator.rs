//! Tells the log what happens, one line per notable event: what somebody who watches the terminal wants to read.

use std::sync::Arc;

use ekiden_model::event::Event;
use ekiden_model::health::Verdict;
use ekiden_model::instance::Condition;
use ekiden_model::report::{Reason, Report};
use ekiden_model::{AppId, Port, RevisionId};

use tokio::sync::watch;

use super::snapshot::AppSnapshot;
use crate::desired::DirectoryStatus;
use crate::telemetry::Metrics;

/// The app that an event is about; nothing where it is about several.
pub(super) fn subject(event: &Event) -> Option<&AppId> {
    match event {
        Event::DeploymentStarted(_)
        | Event::DeploymentStep(..)
        | Event::DeploymentEnded(..)
        | Event::UnknownTerminated { .. } => None,
        Event::DesiredChanged { app, .. }
        | Event::RolloutStarted { app, .. }
        | Event::RolloutComplete { app, .. }
        | Event::RolloutFailed { app, .. }
        | Event::InstanceChanged { app, .. }
        | Event::HealthChanged { app, .. }
        | Event::Killing { app, .. }
        | Event::CheckAdded { app, .. }
        | Event::CheckRemoved { app }
        | Event::CheckFailed { app, .. }
        | Event::AppTerminated { app } => Some(app),
    }
}

/// One line for an event. For an app without checks, running is being healthy, and is not said twice.
pub(super) fn tell(event: &Event, checked: bool) {
    match event {
        // What follows of it for each app is told anyway.
        Event::DeploymentStarted(deployment) => {
            tracing::debug!(deployment = %deployment.id, apps = deployment.changes.len(), "deployment started");
        }
        Event::DeploymentStep(deployment, step, end) => {
            tracing::debug!(deployment = %deployment.id, ?step, ?end, "deployment has come to the end of a step");
        }
        Event::DeploymentEnded(deployment, ending) => {
            tracing::debug!(deployment = %deployment.id, ?ending, "deployment ended");
        }
        Event::DesiredChanged { app, version: Some(version) } => {
            tracing::info!(app = %app, version = %version, "declared");
        }
        Event::DesiredChanged { app, version: None } => tracing::info!(app = %app, "no longer declared"),
        // The first one comes with the declaration, which was just told.
        Event::RolloutStarted { app, to, .. } if *to == RevisionId(1) => {
            tracing::debug!(app = %app, revision = %to, "rollout started");
        }
        Event::RolloutStarted { app, to, .. } => tracing::info!(app = %app, revision = %to, "rollout started"),
        Event::RolloutComplete { app, to, .. } => tracing::info!(app = %app, revision = %to, "rollout complete"),
        Event::RolloutFailed { app, to, reason, .. } => {
            tracing::warn!(app = %app, revision = %to, reason = %reason, "rollout failed");
        }
        Event::InstanceChanged { app, instance, condition, host, ports, message, .. } => {
            let state = condition.task_state();
            match condition {
                Condition::Running => {
                    tracing::info!(app = %app, instance = %instance, host = %host, ports = %listed(ports), "running");
                }
                Condition::Failed | Condition::Error | Condition::Unreachable | Condition::Gone => {
                    tracing::warn!(app = %app, instance = %instance, host = %host, state, "{message}");
                }
                Condition::Finished | Condition::Killed => {
                    tracing::info!(app = %app, instance = %instance, host = %host, state, "{message}");
                }
                _ => tracing::debug!(app = %app, instance = %instance, host = %host, state, "{message}"),
            }
        }
        Event::HealthChanged { app, instance, verdict, .. } => match verdict {
            _ if !checked => {}
            Verdict::Healthy => tracing::info!(app = %app, instance = %instance, "healthy"),
            Verdict::Unhealthy => tracing::warn!(app = %app, instance = %instance, "unhealthy"),
            Verdict::Condemned => tracing::warn!(app = %app, instance = %instance, "unhealthy for too long"),
            Verdict::Unknown => tracing::debug!(app = %app, instance = %instance, "health is not known"),
        },
        Event::Killing { app, instance, cause, .. } => {
            tracing::info!(app = %app, instance = %instance, cause = %cause, "stopping");
        }
        // Part of the declaration, which was just told; and what follows of a failure is told.
        Event::CheckAdded { app, .. } | Event::CheckRemoved { app } | Event::CheckFailed { app, .. } => {
            tracing::debug!(app = %app, "{event:?}");
        }
        Event::UnknownTerminated { task, condition } => {
            tracing::debug!(task = %task, state = condition.task_state(), "a task has ended that is not known");
        }
        Event::AppTerminated { app } => tracing::info!(app = %app, "gone: its last instance has ended"),
    }
}

/// One line when an app begins to wait for something of another kind than before. Numbers in a reason change all the
/// time and are for whoever asks (`ekiden explain`).
pub(super) fn tell_report(before: Option<&Report>, app: Option<&AppSnapshot>) {
    let Some(app) = app else { return };
    let known = |reason: &Reason| {
        before.is_some_and(|before| {
            before.reasons.iter().any(|old| std::mem::discriminant(old) == std::mem::discriminant(reason))
        })
    };
    for reason in app.report.reasons.iter().filter(|reason| !is_passing(reason) && !known(reason)) {
        tracing::info!(app = %app.state.id, "{reason}");
    }
}

/// Tells what is wrong with the directory, each time it changes; until the directory is not followed any more.
pub(super) async fn tell_directory(mut status: watch::Receiver<DirectoryStatus>, metrics: Metrics) {
    let mut told = Arc::from([]);
    let mut pending = None;
    loop {
        let now = status.borrow_and_update().clone();
        metrics.manifest_diagnostics.set(i64::try_from(now.diagnostics.len()).unwrap_or(i64::MAX));
        if now.diagnostics != told {
            for finding in now.diagnostics.iter().filter(|finding| !told.contains(finding)) {
                tracing::error!(file = %finding.path, code = %finding.code, "{finding}");
            }
            if now.diagnostics.is_empty() {
                tracing::info!("all manifests are well-formed again");
            }
            told = now.diagnostics;
        }
        if now.pending_prune != pending {
            if let Some(prune) = &now.pending_prune {
                tracing::warn!("{prune}");
            }
            pending = now.pending_prune;
        }
        if status.changed().await.is_err() {
            // The stream has ended; the loop says so and ends the process.
            return std::future::pending().await;
        }
    }
}

/// What every start and stop goes through is not worth a line; nor is that nothing is offered, until it is and refused.
fn is_passing(reason: &Reason) -> bool {
    if let Reason::AwaitingOffers { refusals, .. } = reason {
        return refusals.lots() == 0;
    }
    matches!(
        reason,
        Reason::Starting { .. }
            | Reason::NothingOffered { .. }
            | Reason::Ending { .. }
            | Reason::RollingOut { .. }
            | Reason::AwaitingHealth { .. }
            | Reason::AwaitingReadiness { .. }
            | Reason::AtFloor { .. }
            | Reason::NotSettled { .. }
            | Reason::Unanswered { .. }
    )
}

fn listed(ports: &[Port]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    if ports.is_empty() { "none".to_owned() } else { ports.join(",") }
}
