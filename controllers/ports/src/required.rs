//! Host ports that declared apps cannot do without: a dynamic port is better taken from the others.

use std::collections::BTreeMap;

use ekiden_model::app::HostPort;
use ekiden_model::{AppId, AppState, Port};

/// Which host ports are required by how many apps. Kept in step by the reconciler, by [`RequiredPorts::note`] when an app
/// is declared, withdrawn or gets a service port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequiredPorts {
    by_app: BTreeMap<AppId, Vec<Port>>,
    apps: BTreeMap<Port, u32>,
}

impl RequiredPorts {
    /// Takes in what an app requires now; nothing, once it is not declared any more.
    pub fn note(&mut self, app: &AppState) {
        let now = required_by(app);
        let before = self.by_app.get(&app.id).map_or(&[][..], Vec::as_slice);
        if before == now {
            return;
        }
        for port in &now {
            *self.apps.entry(*port).or_default() += 1;
        }
        let before =
            if now.is_empty() { self.by_app.remove(&app.id) } else { self.by_app.insert(app.id.clone(), now) };
        for port in before.into_iter().flatten() {
            if let Some(apps) = self.apps.get_mut(&port) {
                *apps -= 1;
                if *apps == 0 {
                    self.apps.remove(&port);
                }
            }
        }
    }

    /// Whether some app can have this port only.
    pub fn contains(&self, port: Port) -> bool {
        self.apps.contains_key(&port)
    }
}

/// The fixed host ports of an app's declaration, and the service ports that must be its host ports, too.
fn required_by(app: &AppState) -> Vec<Port> {
    let declared = app.declared.iter().flat_map(|declared| &declared.app.template.ports).enumerate();
    let required = declared.filter_map(|(index, definition)| match definition.host_port {
        HostPort::Fixed(port) => Some(port),
        HostPort::ServicePort => {
            definition.service_port.or_else(|| app.service_ports.get(index).copied().flatten())
        }
        HostPort::Dynamic | HostPort::Unmapped => None,
    });
    required.collect()
}
