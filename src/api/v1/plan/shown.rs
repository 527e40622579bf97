//! A plan as JSON.

use std::collections::BTreeSet;

use ekiden_model::agent::Presence;
use ekiden_model::{Agent, AgentId, AppId, Port, Reason, Resources, Timestamp};
use ekiden_reconciler::forecast::{Forecast, Outlook, Outset, Start, Stop};
use serde_json::{Value, json};

use super::comparison::Comparison;
use crate::api::v1::provenance::source;
use crate::api::v1::{diff, reasons};
use crate::desired::{PlannedChange, Summary};
use crate::runtime::Snapshot;

/// What is known of free resources.
#[derive(Debug)]
pub(super) struct Known {
    /// Agents that could be used.
    agents: usize,
    /// Those of which it is known what they have to spare.
    told: usize,
    /// How old the oldest word of it is.
    since: Option<Timestamp>,
    /// Agents that would be gone.
    lost: Vec<Value>,
    /// Why nothing can be foreseen at all.
    standstill: Option<String>,
}

impl Known {
    /// Counts.
    pub(super) fn of(outset: &Outset, snapshot: &Snapshot, lost: &BTreeSet<AgentId>) -> Self {
        let usable: BTreeSet<&AgentId> = outset
            .agents
            .iter()
            .filter(|(id, state)| state.presence == Presence::Present && !lost.contains(*id))
            .map(|(id, _)| id)
            .collect();
        let spares = || outset.spares.iter().filter(|spare| usable.contains(&spare.agent.id));
        let told: BTreeSet<&AgentId> = spares().map(|spare| &spare.agent.id).collect();
        Self {
            agents: usable.len(),
            told: told.len(),
            since: spares().map(|spare| spare.at).min(),
            lost: lost.iter().filter_map(|id| outset.agents.get(id)).map(|state| agent(&state.agent)).collect(),
            standstill: snapshot.standstill.as_ref().map(ToString::to_string),
        }
    }

    /// Why no placement is known; nothing if it is.
    fn why_not(&self, found: &Forecast) -> Option<String> {
        if let Some(standstill) = &self.standstill {
            return Some(standstill.clone());
        }
        let waits =
            |reason: &Reason| matches!(reason, Reason::AwaitingOffers { .. } | Reason::NothingOffered { .. });
        let anybody_waits = found.apps.values().any(|outlook| outlook.report.reasons.iter().any(waits));
        // Where no agent is left, it is known that there is no room.
        (self.told == 0 && self.agents > 0 && anybody_waits).then(|| {
            "no agent has offered anything since ekiden started, because nothing needed it: what is free is not known"
                .to_owned()
        })
    }
}

/// The whole answer.
pub(super) fn plan(comparison: &Comparison, found: &Forecast, known: &Known, snapshot: &Snapshot) -> Value {
    let why_not = known.why_not(found);
    let foreseen = |id: &AppId| match (&why_not, found.apps.get(id)) {
        (Some(_), _) | (None, None) => Value::Null,
        (None, Some(outlook)) => placement(outlook),
    };
    let changes: Vec<Value> = comparison
        .changes
        .iter()
        .map(|planned| {
            let mut shown = change(comparison, planned);
            shown["placement"] = foreseen(&planned.app);
            shown
        })
        .collect();
    let shown: BTreeSet<&AppId> = comparison.changes.iter().map(|change| &change.app).collect();
    let others: Vec<Value> = found
        .apps
        .iter()
        .filter(|(id, outlook)| why_not.is_none() && !shown.contains(id) && is_affected(outlook))
        .map(|(id, _)| json!({ "app": id.as_str(), "placement": foreseen(id) }))
        .collect();
    json!({
        "at": snapshot.at.to_string(),
        "revision": snapshot.world_revision().to_string(),
        "summary": Summary(&comparison.changes).to_string(),
        "changes": changes,
        "others": others,
        "lost": known.lost,
        "placementKnown": why_not.is_none(),
        "why": why_not,
        "complete": found.complete,
        "resources": {
            "agents": known.agents,
            "known": known.told,
            "since": known.since.map(|since| since.to_string()),
        },
    })
}

/// Whether something would become of an app that nobody changes. What it waits for anyway is no news.
fn is_affected(outlook: &Outlook) -> bool {
    !(outlook.rounds.is_empty() && outlook.lost.is_empty())
}

fn change(comparison: &Comparison, planned: &PlannedChange) -> Value {
    let now = comparison.now.get(&planned.app);
    let next = comparison.next.get(&planned.app);
    let mut shown = json!(planned);
    shown["text"] = json!(planned.to_string());
    shown["diff"] = json!(diff::lines(now.map(|now| &*now.app), next.map(|(app, _)| &**app)));
    shown["owner"] = json!(now.map(|now| source(&now.source)));
    shown["source"] = json!(next.map(|(_, from)| source(from)));
    shown["conflicts"] = json!(comparison.conflicts.get(&planned.app).map_or(&[][..], Vec::as_slice));
    shown
}

fn placement(outlook: &Outlook) -> Value {
    let steps = outlook
        .rounds
        .iter()
        .map(|round| json!({ "starts": round.starts, "stops": round.stops, "healthy": round.healthy }));
    json!({
        "starts": outlook.starts.iter().map(start).collect::<Vec<_>>(),
        "stops": outlook.stops.iter().map(stop).collect::<Vec<_>>(),
        "lost": outlook.lost.iter().map(stop).collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
        "floor": outlook.bounds.map(|bounds| bounds.floor),
        "ceiling": outlook.bounds.map(|bounds| bounds.ceiling),
        "missing": missing(outlook),
        "waitingFor": reasons::all(&outlook.report),
    })
}

/// How many instances would find no place.
fn missing(outlook: &Outlook) -> u32 {
    let missing = outlook.report.reasons.iter().map(|reason| match reason {
        Reason::AwaitingOffers { missing, .. } => *missing,
        _ => 0,
    });
    missing.max().unwrap_or(0)
}

fn start(start: &Start) -> Value {
    let Resources { cpus, mem, disk, gpus } = start.resources;
    let ports: Vec<Option<u16>> = start.host_ports.iter().map(|port| port.map(Port::get)).collect();
    json!({
        "slot": start.instance.slot.0,
        "agent": agent(&start.agent),
        "role": start.role.as_str(),
        "resources": {
            "cpus": cpus.as_f64(), "mem": mem.as_f64(), "disk": disk.as_f64(), "gpus": gpus.as_f64(),
        },
        "ports": ports,
        "step": start.round + 1,
    })
}

fn stop(stop: &Stop) -> Value {
    json!({
        "slot": stop.instance.slot.0,
        "task": stop.task.as_str(),
        "agent": agent(&stop.agent),
        "cause": stop.cause.map(|cause| cause.to_string()),
        "step": stop.cause.map(|_| stop.round + 1),
    })
}

fn agent(agent: &Agent) -> Value {
    json!({ "id": agent.id.as_str(), "host": agent.hostname, "region": agent.region, "zone": agent.zone })
}
