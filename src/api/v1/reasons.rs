//! Reports as JSON: each reason with its kind, its numbers, and the text that people read.

use ekiden_model::FrameworkId;
use ekiden_model::report::{
    Awaited, Failure, FailureCause, Hosts, LeftAgents, Reason, Refusal, Refusals, Report, Shortage, Supply,
};
use serde_json::{Value, json};

/// All reasons of a report, most important first.
pub fn all(report: &Report) -> Vec<Value> {
    report.reasons.iter().map(one).collect()
}

/// One reason.
pub(super) fn one(reason: &Reason) -> Value {
    let (kind, details) = match reason {
        Reason::AwaitingOffers { missing, wanted, refusals } => {
            ("awaitingOffers", json!({ "missing": missing, "wanted": wanted, "refusals": rows(refusals) }))
        }
        Reason::NothingOffered { role, supply } => {
            let kind = match supply {
                Supply::Disconnected { .. } => "disconnected",
                Supply::Nothing { .. } => "nothing",
                Supply::OtherRolesOnly { .. } => "otherRolesOnly",
                Supply::Over { .. } => "over",
            };
            let since = supply.since().map(|since| since.to_string());
            ("nothingOffered", json!({ "role": role.as_str(), "supply": kind, "since": since }))
        }
        Reason::Draining(left) => ("draining", draining(left)),
        Reason::BackingOff { until, failures, missing } => {
            ("backingOff", json!({ "until": until.to_string(), "failures": failures, "missing": missing }))
        }
        Reason::AwaitingDependency { app, healthy, wanted } => {
            ("awaitingDependency", json!({ "app": app.as_str(), "healthy": healthy, "wanted": wanted }))
        }
        Reason::Starting { count } => ("starting", json!({ "count": count })),
        Reason::AwaitingHealth { count, revision } => {
            ("awaitingHealth", json!({ "count": count, "revision": revision.0 }))
        }
        Reason::AwaitingReadiness { count, revision } => {
            ("awaitingReadiness", json!({ "count": count, "revision": revision.0 }))
        }
        Reason::AtFloor { healthy, floor } => ("atFloor", json!({ "healthy": healthy, "floor": floor })),
        Reason::FailingChecks { count, running, last } => {
            ("failingChecks", json!({ "count": count, "running": running, "last": last }))
        }
        Reason::UnreachablePort { index } => ("unreachablePort", json!({ "index": index })),
        Reason::SafeMode { tasks, framework, connected_from } => {
            let framework = framework.as_ref().map(FrameworkId::as_str);
            ("safeMode", json!({ "tasks": tasks, "framework": framework, "connectedFrom": connected_from }))
        }
        Reason::Ending { count } => ("ending", json!({ "count": count })),
        Reason::Unreachable { count, hosts, until } => (
            "unreachable",
            json!({ "count": count, "hosts": named(hosts), "until": until.map(|until| until.to_string()) }),
        ),
        Reason::BreakerOpen { condemned, instances, until } => {
            ("breakerOpen", json!({ "condemned": condemned, "instances": instances, "until": until.to_string() }))
        }
        Reason::AgentsVanished { agents, of, held, until } => {
            ("agentsVanished", json!({ "agents": agents, "of": of, "held": held, "until": until.to_string() }))
        }
        Reason::Paused { to, updated, wanted } => {
            ("paused", json!({ "to": to.0, "updated": updated, "wanted": wanted }))
        }
        Reason::RollingOut { to, updated, wanted } => {
            ("rollingOut", json!({ "to": to.0, "updated": updated, "wanted": wanted }))
        }
        Reason::RolloutFailed { revision, at, last } => (
            "rolloutFailed",
            json!({ "revision": revision.0, "at": at.to_string(), "lastFailure": last.as_ref().map(failure) }),
        ),
        Reason::RolledBack { failed, to } => ("rolledBack", json!({ "failed": failed.0, "to": to.0 })),
        Reason::Unsupported { what } => ("unsupported", json!({ "what": what })),
        Reason::ServicePortsExhausted { low, high, index } => {
            ("servicePortsExhausted", json!({ "low": low, "high": high, "index": index }))
        }
        Reason::ServicePortTaken { port, by } => ("servicePortTaken", json!({ "port": port, "by": by.as_str() })),
        Reason::Estranged { framework, taken_for } => {
            ("estranged", json!({ "framework": framework.as_str(), "takenFor": taken_for.as_str() }))
        }
        Reason::NotSettled { awaiting } => ("notSettled", json!({ "awaiting": awaiting })),
        Reason::Unanswered { tasks, since } => {
            ("unanswered", json!({ "tasks": tasks, "since": since.to_string() }))
        }
    };
    json!({ "kind": kind, "text": reason.to_string(), "details": details })
}

/// The end of an instance that was not wanted.
pub(super) fn failure(failure: &Failure) -> Value {
    json!({
        "at": failure.at.to_string(),
        "task": failure.task.as_str(),
        "revision": failure.revision.0,
        "host": failure.host,
        "state": failure.condition.task_state(),
        "message": failure.message,
        "cause": match failure.cause {
            FailureCause::App => "app",
            FailureCause::Infrastructure => "infrastructure",
        },
    })
}

/// The hosts that are known by name, of however many.
fn named(hosts: &Hosts) -> Vec<&str> {
    hosts.names().map(|name| &**name).collect()
}

fn draining(left: &LeftAgents) -> Value {
    let agents = left.agents().iter().map(|agent| {
        json!({
            "host": agent.host,
            "begin": agent.begin.to_string(),
            "end": agent.end.map(|end| end.to_string()),
            "instances": agent.instances,
        })
    });
    let awaiting = match left.awaiting() {
        Awaited::Settled => "settled",
        Awaited::Backoff => "backoff",
        Awaited::Place => "place",
        Awaited::Replacements => "replacements",
        Awaited::Floor { .. } => "floor",
        Awaited::Rollout => "rollout",
        Awaited::End => "end",
    };
    json!({
        "instances": left.instances(),
        "agents": agents.collect::<Vec<_>>(),
        "moreAgents": left.more(),
        "awaiting": awaiting,
    })
}

fn rows(refusals: &Refusals) -> Vec<Value> {
    refusals
        .rows()
        .map(|(refusal, hosts)| {
            let (reason, agents, hosts) = (refusal.marathon_name(), hosts.count(), named(hosts));
            let mut row = json!({ "reason": reason, "agents": agents, "hosts": hosts });
            match refusal {
                Refusal::Role(role) => row["role"] = json!(role.as_str()),
                Refusal::Constraint(constraint) => row["constraint"] = json!(constraint.to_string()),
                Refusal::Cpus(shortage)
                | Refusal::Mem(shortage)
                | Refusal::Disk(shortage)
                | Refusal::Gpus(shortage) => {
                    let Shortage { needs, largest } = shortage;
                    row["needs"] = json!(needs.as_f64());
                    row["largest"] = json!(largest.as_f64());
                }
                Refusal::Ports(what) => row["lacks"] = json!(what),
                Refusal::AgentTaken | Refusal::Maintenance | Refusal::ScarceGpus => {}
            }
            row
        })
        .collect()
}
