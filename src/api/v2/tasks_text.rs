//! Tasks as lines for scripts: what `GET /v2/tasks` and `GET /v2/apps/{id}/tasks` answer to `Accept: text/plain` (§1.4).
//!
//! Old bridges to HAProxy cut these lines at blanks. A line is `<app>\t<service port>\t<host:port>\t…`, one per service
//! port; an app without any has `<app>\t \t<host> <host> …`. Only what runs is named. Where Marathon names port 0 for a task
//! of an earlier version that has no such port, we leave the task out: nothing can be reached there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use ekiden_model::app::NetworkMode;
use ekiden_model::{AppState, Condition, Instance, Port};
use http::StatusCode;

use crate::api::Request;
use crate::api::reply::{self, Response};
use crate::runtime::AppSnapshot;

/// The lines of some apps.
pub(super) fn show(apps: &[&Arc<AppSnapshot>], request: &Request) -> Response {
    let networks: BTreeSet<&str> = request.all("containerNetworks").flat_map(|names| names.split(',')).collect();
    let mut text = String::new();
    for app in apps {
        add_lines(&mut text, &app.state, &networks);
    }
    reply::with_body(StatusCode::OK, "text/plain", text)
}

fn add_lines(text: &mut String, app: &AppState, networks: &BTreeSet<&str>) {
    if !is_listed(app, networks) {
        return;
    }
    let name = app.id.as_str().trim_start_matches('/').replace('/', "_");
    let running = || app.instances.iter().filter(|instance| instance.condition == Condition::Running);
    // Writing to a string cannot fail.
    if app.service_ports.is_empty() {
        let hosts = running().fold(String::new(), |hosts, instance| hosts + &instance.agent.hostname + " ");
        let _ = writeln!(text, "{name}\t \t{hosts}");
    }
    for (index, port) in app.service_ports.iter().enumerate() {
        let _ = write!(text, "{name}\t{}\t", port.map_or(0, Port::get));
        for (instance, port) in running().filter_map(|instance| Some((instance, host_port(instance, index)?))) {
            let _ = write!(text, "{}:{}\t", instance.agent.hostname, port.get());
        }
        text.push('\n');
    }
}

fn host_port(instance: &Instance, index: usize) -> Option<Port> {
    instance.host_ports.get(index).copied().flatten()
}

/// Apps on networks of their own are listed for those who ask for the network by name, or for all with `*`. Of their
/// tasks those have a place in the line that are mapped to a port of their host.
fn is_listed(app: &AppState, networks: &BTreeSet<&str>) -> bool {
    let Some(declared) = &app.declared else { return false };
    let networks_of_app = &declared.app.template.networks;
    networks_of_app.iter().all(|network| {
        network.mode != NetworkMode::Container
            || networks.contains("*")
            || network.name.as_deref().is_some_and(|name| networks.contains(name))
    })
}
