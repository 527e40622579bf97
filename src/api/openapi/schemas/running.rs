//! What is under way: tasks, deployments, the queue.

use ekiden_model::Condition;
use serde_json::{Value, json};

use super::super::schema::{
    Member, closed, count, described, flag, list, named, path, port, text, time, uuid, word,
};

pub(super) fn all() -> Vec<Member> {
    vec![
        ("Task", described(task(), "A task that is not over.")),
        (
            "HealthCheckResult",
            described(health_check_result(), "What a task answered to one of its app's checks."),
        ),
        (
            "Deployed",
            described(closed([("version", time()), ("deploymentId", uuid())]), "What a write has begun."),
        ),
        ("Deployment", described(deployment(), "A change set on its way.")),
        ("Step", closed([("actions", list(closed([("action", action()), ("app", path())])))])),
        ("QueueItem", described(queue_item(), "An app with instances that wait for a place.")),
        ("RejectRow", closed([("reason", text()), ("declined", count()), ("processed", count())])),
    ]
}

fn task() -> Value {
    let living =
        [Condition::Staging, Condition::Starting, Condition::Running, Condition::Killing, Condition::Unreachable];
    let state = word(&living.map(Condition::task_state));
    closed([
        ("id", text()),
        ("appId", path()),
        ("host", text()),
        ("slaveId", text()),
        ("state", state),
        ("stagedAt", time()),
        ("startedAt?", time()),
        ("version?", time()),
        ("ports", list(port())),
        ("servicePorts", list(port())),
        ("ipAddresses", list(json!({}))),
        ("healthCheckResults", list(named("HealthCheckResult"))),
        ("localVolumes", list(json!({}))),
        ("region?", text()),
        ("zone?", text()),
        ("role", text()),
    ])
}

fn health_check_result() -> Value {
    closed([
        ("alive", flag()),
        ("consecutiveFailures", count()),
        ("firstSuccess?", time()),
        ("lastSuccess?", time()),
        ("lastFailure?", time()),
        ("lastFailureCause?", text()),
        ("instanceId", text()),
    ])
}

fn action() -> Value {
    word(&["StopApplication", "StartApplication", "RestartApplication", "ScaleApplication"])
}

fn deployment() -> Value {
    let current =
        closed([("action", action()), ("app", path()), ("readinessCheckResults", list(named("ReadinessResult")))]);
    closed([
        ("id", uuid()),
        ("version", time()),
        ("affectedApps", list(path())),
        ("affectedPods", list(path())),
        ("steps", list(named("Step"))),
        ("currentActions", list(current)),
        ("currentStep", count()),
        ("totalSteps", count()),
    ])
}

fn queue_item() -> Value {
    let summary = closed([
        ("processedOffersCount", count()),
        ("unusedOffersCount", count()),
        ("rejectSummaryLastOffers", list(named("RejectRow"))),
        ("rejectSummaryLaunchAttempt", list(named("RejectRow"))),
    ]);
    closed([
        ("app", named("AppVersion")),
        ("count", count()),
        ("since", time()),
        ("delay", closed([("timeLeftSeconds", count()), ("overdue", flag())])),
        ("processedOffersSummary", summary),
        ("role?", text()),
        ("lastUnusedOffers?", list(json!({}))),
    ])
}
