//! The queue: apps with instances that wait for a place (§1.8).

use std::time::Duration;

use ekiden_model::input::Command;
use ekiden_model::offer::{Bundle, Spare};
use ekiden_model::report::{Reason, Refusal, Refusals};
use ekiden_model::{OfferId, Resources, Scalar, Timestamp};
use ekiden_reconciler::forecast::{Refused, refused};
use http::StatusCode;
use serde_json::{Value, json};

use super::apps::{definition, find_app};
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::AppSnapshot;
use crate::runtime::clock::wall;
use crate::runtime::turn::Look;

/// Marathon's reasons, in the order of its funnel. Every one is listed, zeros too: clients draw them all.
const FUNNEL: [&str; 10] = [
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "AgentMaintenance",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
    "DeclinedScarceResources",
];

/// How long somebody may wait for others who look.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// Most apps for which offers are looked through, and most agents whose offers are told for each. A client reads a few;
/// all for all would be seconds of work.
const APPS_WITH_OFFERS: usize = 100;
const OFFERS_TOLD: usize = 100;

/// Everything that waits for a place.
pub(in crate::api) async fn list(api: &Api, request: &Request) -> Response {
    let now = wall();
    if !request.all("embed").any(|embed| embed == "lastUnusedOffers") {
        let snapshot = api.snapshots.latest();
        let queue: Vec<Value> = snapshot.apps().into_iter().filter_map(|app| item(app, now)).collect();
        return reply::json(&json!({ "queue": queue }));
    }
    let look = match tokio::time::timeout(LOOK_WITHIN, api.requests.look()).await {
        Ok(Ok(look)) => look,
        Ok(Err(closing)) => return reply::message(StatusCode::SERVICE_UNAVAILABLE, &closing.to_string()),
        Err(_) => {
            let text = "others look through the offers, or make plans: ask again in a moment";
            return reply::message(StatusCode::SERVICE_UNAVAILABLE, text);
        }
    };
    match tokio::task::spawn_blocking(move || with_offers(&look, now)).await {
        Ok(queue) => reply::json(&json!({ "queue": queue })),
        Err(_) => reply::message(StatusCode::INTERNAL_SERVER_ERROR, "ekiden failed to look through the offers"),
    }
}

/// The queue, with the last offers that each app has no use for.
fn with_offers(look: &Look, now: Timestamp) -> Vec<Value> {
    let queued = look.snapshot.apps().into_iter().filter_map(|app| Some((app, item(app, now)?)));
    let shown = queued.enumerate().map(|(index, (app, mut item))| {
        let refused =
            if index < APPS_WITH_OFFERS { refused(&look.outset, &app.state, OFFERS_TOLD) } else { Vec::new() };
        item["lastUnusedOffers"] = refused.iter().map(unused_offer).collect();
        item
    });
    shown.collect()
}

fn unused_offer(refused: &Refused) -> Value {
    let Spare { agent, role, offer, unreserved, reserved, at, .. } = &refused.spare;
    let resources: Vec<Value> = [(unreserved, "*"), (reserved, role.as_str())]
        .into_iter()
        .flat_map(|(bundle, role)| resources(bundle, role))
        .collect();
    let attributes = agent.attributes.iter().map(|(name, value)| json!({ "name": name, "text": value }));
    let reasons: Vec<&str> = refused.why.iter().map(Refusal::marathon_name).collect();
    json!({
        "offer": {
            "id": offer.as_ref().map_or("", OfferId::as_str),
            "agentId": agent.id.as_str(),
            "hostname": agent.hostname,
            "resources": resources,
            "attributes": attributes.collect::<Vec<_>>(),
        },
        "reason": reasons,
        "timestamp": at.to_string(),
    })
}

fn resources(bundle: &Bundle, role: &str) -> Vec<Value> {
    let Resources { cpus, mem, disk, gpus } = bundle.resources;
    let scalars = [("cpus", cpus), ("mem", mem), ("disk", disk), ("gpus", gpus)].into_iter();
    let scalars = scalars.filter(|(_, have)| *have > Scalar::ZERO);
    let mut shown: Vec<Value> =
        scalars.map(|(name, have)| json!({ "name": name, "role": role, "scalar": have.as_f64() })).collect();
    if !bundle.ports.is_empty() {
        let ranges = bundle.ports.ranges().map(|range| json!({ "begin": range.start(), "end": range.end() }));
        shown.push(json!({ "name": "ports", "role": role, "ranges": ranges.collect::<Vec<_>>() }));
    }
    shown
}

/// Forgets an app's wait after failures.
pub(in crate::api) async fn reset_delay(api: &Api, id: &str) -> Response {
    let app = {
        let snapshot = api.snapshots.latest();
        let queued = find_app(&snapshot, id).filter(|app| missing(app) > 0);
        queued.map(|app| app.state.id.clone())
    };
    let Some(app) = app else {
        return reply::not_found(&format!("Application /{id} not found in tasks queue."));
    };
    match api.requests.carry_out(Command::ResetBackoff(app)).await {
        Ok(_) => reply::empty(StatusCode::NO_CONTENT),
        Err(closing) => reply::message(StatusCode::SERVICE_UNAVAILABLE, &closing.to_string()),
    }
}

/// How many instances wait for a place, or for the end of their backoff.
fn missing(app: &AppSnapshot) -> u32 {
    let waiting = app.report.reasons.iter().map(|reason| match reason {
        Reason::AwaitingOffers { missing, .. } | Reason::BackingOff { missing, .. } => *missing,
        _ => 0,
    });
    waiting.max().unwrap_or(0)
}

fn item(app: &AppSnapshot, now: Timestamp) -> Option<Value> {
    let declared = app.state.declared.as_ref()?;
    let count = missing(app);
    if count == 0 {
        return None;
    }
    let refusals = app.report.reasons.iter().find_map(|reason| match reason {
        Reason::AwaitingOffers { refusals, .. } => Some(refusals),
        _ => None,
    });
    let left = app.state.backoff.until.map_or(0, |until| until.since(now).as_millis().div_ceil(1000) as u64);
    let since = app.state.rollout.as_ref().map_or(declared.version, |rollout| rollout.since);
    let refused = refusals.map_or(0, Refusals::lots);
    let rows = funnel(refusals);
    let mut item = json!({
        "app": definition(declared, &app.state.service_ports),
        "count": count,
        "since": since.to_string(),
        "delay": { "timeLeftSeconds": left, "overdue": left == 0 },
        "processedOffersSummary": {
            "processedOffersCount": refused,
            "unusedOffersCount": refused,
            "rejectSummaryLastOffers": rows,
            "rejectSummaryLaunchAttempt": rows,
        },
    });
    // Marathon 1.9 and later always say it; a widely used client knows of no such member (clients.md §4).
    if let Some(role) = &declared.app.template.role {
        item["role"] = json!(role.as_str());
    }
    Some(item)
}

/// The rows of the funnel: each reason declined some of those offers that the earlier ones let through.
///
/// Of 5 offers, 2 break a constraint and 3 lack cpus: role 0 of 5, constraint 2 of 5, …, cpus 3 of 3, memory 0 of 0.
fn funnel(refusals: Option<&Refusals>) -> Vec<Value> {
    let mut processed = refusals.map_or(0, Refusals::lots);
    FUNNEL
        .iter()
        .map(|reason| {
            let declined: u32 = refusals
                .iter()
                .flat_map(|refusals| refusals.rows())
                .filter(|(refusal, _)| refusal.marathon_name() == *reason)
                .map(|(_, hosts)| hosts.count())
                .sum();
            let row = json!({ "reason": reason, "declined": declined, "processed": processed });
            processed = processed.saturating_sub(declined);
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ekiden_model::report::Shortage;

    use super::*;

    #[test]
    fn the_funnel_lists_every_reason_and_counts_what_the_earlier_ones_left() {
        let mut refusals = Refusals::default();
        let host = "node1".into();
        refusals.add(Refusal::AgentTaken, &host);
        refusals.add(Refusal::AgentTaken, &host);
        let shortage = Shortage { needs: Scalar::whole(2), largest: Scalar::whole(1) };
        for _ in 0..3 {
            refusals.add(Refusal::Cpus(shortage), &host);
        }
        let rows = funnel(Some(&refusals));
        assert_eq!(rows.len(), FUNNEL.len());
        assert_eq!(rows[1], json!({ "reason": "UnfulfilledConstraint", "declined": 2, "processed": 5 }));
        assert_eq!(rows[4], json!({ "reason": "InsufficientCpus", "declined": 3, "processed": 3 }));
        assert_eq!(rows[9], json!({ "reason": "DeclinedScarceResources", "declined": 0, "processed": 0 }));
        assert!(funnel(None).iter().all(|row| row["processed"] == 0));
    }
}
