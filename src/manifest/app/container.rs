//! Containers and their volumes. Whether a cluster can run them is decided elsewhere.

use ekiden_model::app::{Container, ContainerKind, HostVolume, NetworkMode};

use super::networks::Networks;
use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;

pub(super) fn read(source: &mut Source<'_>, app: Object<'_>, networks: &Networks) -> Option<Container> {
    let Some(container) = app.object("container") else {
        // A network of the container's own takes a container: Mesos' own one, around a plain process.
        let own_network = networks.mode != NetworkMode::Host && !app.has("container");
        return own_network.then(|| Container {
            kind: ContainerKind::Mesos,
            image: None,
            force_pull: false,
            privileged: false,
            parameters: Vec::new(),
            volumes: Vec::new(),
        });
    };
    let docker = container.object("docker");
    let kind = match container.text("type") {
        Some("MESOS") => ContainerKind::Mesos,
        _ => ContainerKind::Docker,
    };
    match kind {
        ContainerKind::Docker if !container.has("docker") => {
            source
                .report(Code::MissingField, container.span(), "a Docker container without an image")
                .hint("add `docker: {image: …}`, or set `type` to `MESOS` for a container without an image");
        }
        ContainerKind::Docker => no_gpus(source, app),
        ContainerKind::Mesos => docker_only(source, docker),
    }
    Some(Container {
        kind,
        image: docker.and_then(|docker| docker.owned_text("image")),
        force_pull: docker.is_some_and(|docker| docker.flag("forcePullImage")),
        privileged: docker.is_some_and(|docker| docker.flag("privileged")),
        parameters: docker.map(parameters).unwrap_or_default(),
        volumes: container.objects("volumes").into_iter().map(|volume| host_volume(source, volume)).collect(),
    })
}

fn no_gpus(source: &mut Source<'_>, app: Object<'_>) {
    if app.number("gpus").is_some_and(|gpus| gpus > 0.0) {
        source
            .report(Code::WrongContainer, app.key_span("gpus"), "`gpus` with a Docker container")
            .hint("Mesos gives graphics processors to its own containers only: set `container.type` to `MESOS`");
    }
}

fn docker_only(source: &mut Source<'_>, docker: Option<Object<'_>>) {
    let Some(docker) = docker else { return };
    let asked = [("privileged", docker.flag("privileged")), ("parameters", docker.has_some("parameters"))];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        source
            .report(Code::WrongContainer, docker.key_span(name), format!("`{name}` with a Mesos container"))
            .hint(format!("remove `{name}`, or set `container.type` to `DOCKER`"));
    }
}

fn parameters(docker: Object<'_>) -> Vec<(String, String)> {
    let pairs = docker.objects("parameters").into_iter();
    pairs.filter_map(|pair| Some((pair.owned_text("key")?, pair.owned_text("value")?))).collect()
}

/// A folder of the host. The other kinds are checked and then refused by their fields.
fn host_volume(source: &mut Source<'_>, volume: Object<'_>) -> HostVolume {
    let kinds = ["hostPath", "persistent", "external", "secret"];
    let given: Vec<_> = kinds.into_iter().filter(|name| volume.has(name)).collect();
    if given.len() != 1 {
        let message = if given.is_empty() {
            "a volume that says not what to show".to_owned()
        } else {
            format!("a volume of {} kinds: {}", given.len(), given.join(", "))
        };
        source
            .report(Code::BadVolume, volume.span(), message)
            .hint("give exactly one of `hostPath`, `persistent`, `external` and `secret`");
    }
    if given == ["hostPath"] && !volume.has("mode") {
        source
            .report(Code::BadVolume, volume.span(), "a folder of the host without `mode`")
            .hint("add `mode: RO`, or `mode: RW` when the container may write");
    }
    if let Some(persistent) = volume.object("persistent") {
        check_persistent(source, volume, persistent);
    }
    HostVolume {
        container_path: volume.owned_text("containerPath").unwrap_or_default(),
        host_path: volume.owned_text("hostPath").unwrap_or_default(),
        writable: volume.text("mode") == Some("RW"),
    }
}

fn check_persistent(source: &mut Source<'_>, volume: Object<'_>, persistent: Object<'_>) {
    if volume.text("containerPath").is_some_and(|path| matches!(path, "." | "..") || path.contains('/')) {
        source
            .report(
                Code::BadVolume,
                volume.value_span("containerPath"),
                "a persistent volume lies directly in the sandbox",
            )
            .hint("write a name without slashes; mount it elsewhere by a second volume with it as `hostPath`");
    }
    if volume.text("mode") == Some("RO") {
        source
            .report(Code::BadVolume, volume.value_span("mode"), "a persistent volume that cannot be written")
            .hint("write `mode: RW`");
    }
    let kind = persistent.text("type");
    if let Some(most) = persistent.number("maxSize") {
        if kind != Some("mount") {
            source
                .report(Code::BadVolume, persistent.key_span("maxSize"), "`maxSize` is for disks of type `mount`")
                .hint("remove it, or set `type` to `mount`");
        } else if persistent.number("size").is_some_and(|size| size > most) {
            source
                .report(Code::BadVolume, persistent.value_span("maxSize"), "`maxSize` is less than `size`")
                .hint("raise `maxSize`");
        }
    }
    if kind == Some("root") && persistent.has_some("constraints") {
        source
            .report(Code::BadVolume, persistent.key_span("constraints"), "constraints on a disk of type `root`")
            .hint("there is one such disk per agent: remove them, or set `type` to `path` or `mount`");
    }
}
