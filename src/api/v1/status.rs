//! `GET /v1/status`: how we are. The connection to the cluster, and whether everything is known that decisions rest on.

use ekiden_model::Reason;
use ekiden_model::view::Settled;
use serde_json::{Value, json};

use super::reasons;
use crate::api::Api;
use crate::api::reply::{self, Response};
use crate::cluster::mesos::ConnectionStatus;
use crate::runtime::AppSnapshot;

/// How we are.
pub(in crate::api) fn show(api: &Api) -> Response {
    let snapshot = api.snapshots.latest();
    let link = &snapshot.link;
    let waits_for = match snapshot.settled {
        Settled::Yes => None,
        Settled::No(why) => Some(why.to_owned()),
        Settled::Unanswered { tasks, since } => Some(Reason::Unanswered { tasks, since }.to_string()),
    };
    let apps = snapshot.apps();
    let live = |app: &&std::sync::Arc<AppSnapshot>| {
        app.state.instances.iter().filter(|instance| instance.condition.is_live()).count()
    };
    let tasks: usize = apps.iter().map(live).sum();
    let directory = api.directory.status().borrow().clone();
    reply::json(&json!({
        "at": snapshot.at.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "cluster": {
            "name": api.introduction.config.get("framework_name"),
            "framework": link.framework.as_ref().map(ToString::to_string),
            "masters": api.introduction.config.get("master"),
            "connected": link.connected,
            "since": link.since.map(|since| since.to_string()),
            "connection": (api.connection)().as_ref().map(connection),
            "agents": snapshot.agents.len(),
        },
        "settled": waits_for.is_none(),
        "waitsFor": waits_for,
        "safeMode": snapshot.standstill.as_ref().map(reasons::one),
        "apps": apps.len(),
        "tasks": tasks,
        "directory": {
            "root": directory.root.to_string_lossy(),
            "files": directory.files,
            "errors": directory.diagnostics.len(),
            "pendingPrune": directory.pending_prune.map(|prune| prune.to_string()),
        },
    }))
}

fn connection(status: &ConnectionStatus) -> Value {
    match status {
        ConnectionStatus::NotWanted => json!({ "state": "not wanted yet" }),
        ConnectionStatus::Trying { what, since } => {
            json!({ "state": "trying", "what": what, "since": since.to_string() })
        }
        ConnectionStatus::Subscribed { master, since } => {
            json!({ "state": "subscribed", "master": master, "since": since.to_string() })
        }
    }
}
