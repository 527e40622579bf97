//! The environment that Marathon gives to a task (§3.1), name by name.
//!
//! A pure function, because every cluster uses it: the embedded one passes the result to a process, Mesos' driver
//! puts it into the task's `CommandInfo`. What the agent adds by itself (`MESOS_SANDBOX`, `PATH` …) is not here.

use std::collections::BTreeMap;

use ekiden_model::app::{ContainerKind, HostPort, NetworkMode, PortDefinition, Template};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::{App, Port};

/// The variables of a task: those that Marathon makes, then the app's own, which win. `prefix` comes before `HOST` and all
/// that begins with `PORT`, and before nothing else (Marathon's `--env_vars_prefix`).
pub fn of(launch: &TaskLaunch, prefix: &str) -> BTreeMap<String, String> {
    let mut placed = BTreeMap::from([("HOST".to_owned(), launch.agent.hostname.to_string())]);
    add_ports(&mut placed, &launch.app.template, &launch.host_ports);
    let mut env: BTreeMap<String, String> =
        placed.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect();
    env.insert("MESOS_TASK_ID".to_owned(), launch.task.to_string());
    env.insert("MARATHON_APP_ID".to_owned(), launch.app.id.to_string());
    env.insert("MARATHON_APP_VERSION".to_owned(), launch.version.to_string());
    let enforced = if launch.enforces_group_role { "TRUE" } else { "FALSE" };
    env.insert("MARATHON_APP_ENFORCE_GROUP_ROLE".to_owned(), enforced.to_owned());
    add_resources(&mut env, &launch.app.template);
    add_labels(&mut env, &launch.app);
    env.extend(launch.app.template.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    env
}

/// An app of two ports, `8080` named `http` and `0`, that got the host ports 31005 and 31009, sees
/// `PORT0=31005 PORT1=31009 PORT=31005 PORTS=31005,31009 PORT_8080=31005 PORT_31009=31009 PORT_HTTP=31005`.
fn add_ports(env: &mut BTreeMap<String, String>, template: &Template, host_ports: &[Option<Port>]) {
    if template.ports.is_empty() {
        return;
    }
    for (index, definition) in template.ports.iter().enumerate() {
        let on_host = host_ports.get(index).copied().flatten();
        // Without a port on the host it is the one inside the container that means something to the task.
        let Some(effective) = on_host.or(definition.container_port) else { continue };
        let asked_for = requested(definition, template).unwrap_or(effective);
        env.insert(format!("PORT{index}"), effective.to_string());
        env.insert(format!("PORT_{asked_for}"), effective.to_string());
        if let Some(name) = &definition.name {
            env.insert(format!("PORT_{}", name.to_uppercase()), effective.to_string());
        }
    }
    let on_host: Vec<String> = host_ports.iter().flatten().map(Port::to_string).collect();
    if let Some(first) = on_host.first() {
        env.insert("PORT".to_owned(), first.clone());
    }
    env.insert("PORTS".to_owned(), on_host.join(","));
}

/// The number that the declaration writes for a port: the container's where the network has an inside, the service
/// port on the host's own network; none for 0.
fn requested(definition: &PortDefinition, template: &Template) -> Option<Port> {
    if template.networks.iter().any(|network| network.mode != NetworkMode::Host) {
        return definition.container_port;
    }
    match definition.host_port {
        HostPort::Fixed(port) => Some(port),
        HostPort::Unmapped | HostPort::Dynamic | HostPort::ServicePort => definition.service_port,
    }
}

fn add_resources(env: &mut BTreeMap<String, String>, template: &Template) {
    let resources = &template.resources;
    // Marathon prints doubles with at least one decimal, `1.0`, and gpus as an integer; so does Rust's debug form.
    for (name, amount) in [("CPUS", resources.cpus), ("MEM", resources.mem), ("DISK", resources.disk)] {
        env.insert(format!("MARATHON_APP_RESOURCE_{name}"), format!("{:?}", amount.as_f64()));
    }
    env.insert("MARATHON_APP_RESOURCE_GPUS".to_owned(), resources.gpus.to_string());
    let image = template.container.as_ref().filter(|container| container.kind == ContainerKind::Docker);
    if let Some(image) = image.and_then(|container| container.image.as_ref()) {
        env.insert("MARATHON_APP_DOCKER_IMAGE".to_owned(), image.clone());
    }
}

/// Marathon's bound on a label's value. With `MARATHON_APP_LABEL_` before it, it bounds the key, too.
const LABEL_MAX_BYTES: usize = 512;
const LABEL_PREFIX: &str = "MARATHON_APP_LABEL_";

fn add_labels(env: &mut BTreeMap<String, String>, app: &App) {
    let mut names = Vec::new();
    for (key, value) in &app.labels {
        if key.len() < LABEL_MAX_BYTES - LABEL_PREFIX.len() && value.len() < LABEL_MAX_BYTES {
            let name = label_name(key);
            env.insert(format!("{LABEL_PREFIX}{name}"), value.clone());
            names.push(name);
        }
    }
    // Keys that differ only in what a variable's name cannot hold become one.
    names.dedup();
    env.insert("MARATHON_APP_LABELS".to_owned(), names.join(" "));
}

/// `haproxy.0-mode` becomes `HAPROXY_0_MODE`; a run of other characters becomes one underscore.
fn label_name(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut in_run = false;
    for c in key.chars() {
        let fits = c.is_ascii_alphanumeric() || c == '_';
        if fits {
            name.push(c.to_ascii_uppercase());
        } else if !in_run {
            name.push('_');
        }
        in_run = !fits;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use ekiden_model::Resources;
    use ekiden_model::app::{Command, Network};

    fn port(number: u16) -> Option<Port> {
        Port::new(number)
    }

    fn definition(name: Option<&str>, container_port: Option<Port>, host_port: HostPort) -> PortDefinition {
        PortDefinition {
            name: name.map(ToOwned::to_owned),
            container_port,
            service_port: port(10_000),
            ..PortDefinition::new(host_port)
        }
    }

    fn ports_of(mode: NetworkMode, ports: Vec<PortDefinition>, host_ports: &[Option<Port>]) -> String {
        let template = Template {
            resources: Resources::NONE,
            networks: vec![Network { mode, name: None, labels: BTreeMap::new() }],
            ports,
            ..Template::new(Command::Image)
        };
        let mut env = BTreeMap::new();
        add_ports(&mut env, &template, host_ports);
        env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_port_of_the_host_is_known_by_its_service_port() {
        let ports = vec![definition(None, None, HostPort::Dynamic)];
        let env = ports_of(NetworkMode::Host, ports, &[port(31_005)]);
        assert_eq!(env, "PORT=31005 PORT0=31005 PORTS=31005 PORT_10000=31005");
    }

    #[test]
    fn a_port_of_a_container_is_known_by_its_number_inside() {
        let ports = vec![
            definition(None, port(9000), HostPort::Unmapped),
            definition(Some("http-api"), port(80), HostPort::Dynamic),
            definition(None, None, HostPort::Dynamic),
        ];
        let env = ports_of(NetworkMode::Bridge, ports, &[None, port(31_001), port(31_002)]);
        let expected = "PORT=31001 PORT0=9000 PORT1=31001 PORT2=31002 PORTS=31001,31002 \
                        PORT_31002=31002 PORT_80=31001 PORT_9000=9000 PORT_HTTP-API=31001";
        assert_eq!(env, expected);
    }

    #[test]
    fn an_app_without_ports_has_no_variables_for_them() {
        assert_eq!(ports_of(NetworkMode::Host, Vec::new(), &[]), "");
    }

    #[test]
    fn label_names_fit_a_variable() {
        assert_eq!(label_name("haproxy.0-mode"), "HAPROXY_0_MODE");
        assert_eq!(label_name("a  /b_"), "A_B_");
        assert_eq!(label_name("ключ"), "_");
    }
}
