//! The queue: apps with instances that wait for a place (§1.8).

use ekiden_model::Timestamp;
use ekiden_model::input::Command;
use ekiden_model::report::{Reason, Refusals};
use http::StatusCode;
use serde_json::{Value, json};

use super::apps::{definition, find_app};
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::AppSnapshot;
use crate::runtime::clock::wall;

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

/// Everything that waits for a place.
pub(in crate::api) fn list(api: &Api, request: &Request) -> Response {
    let with_offers = request.all("embed").any(|embed| embed == "lastUnusedOffers");
    let snapshot = api.snapshots.latest();
    let now = wall();
    let queue: Vec<Value> = snapshot.apps().into_iter().filter_map(|app| item(app, with_offers, now)).collect();
    reply::json(&json!({ "queue": queue }))
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

fn item(app: &AppSnapshot, with_offers: bool, now: Timestamp) -> Option<Value> {
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
    if with_offers {
        // The refused offers themselves are not kept, only why they were refused.
        item["lastUnusedOffers"] = json!([]);
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
    use ekiden_model::Scalar;
    use ekiden_model::report::{Refusal, Shortage};

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
