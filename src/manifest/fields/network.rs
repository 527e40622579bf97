//! The fields of networks and ports.

use super::super::shape::{Form, Kind, Shape, field};
use super::{A_TEXT, LABELS, MANY, NAME};

static NETWORK_NAME: Form = Form::of(
    1,
    255,
    "^[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
    "use lower-case letters, digits, `-` and `_`, beginning and ending with a letter or digit",
);
static A_NETWORK_NAME: Kind = Kind::Text(&NETWORK_NAME);
static A_DISCOVERY_PORT: Kind = Kind::Object(&DISCOVERY_PORT);

const PROTOCOL: Kind = Kind::Word(&["tcp", "udp", "udp,tcp"]);

pub(super) static NETWORK: Shape = Shape {
    name: "network",
    doc: "A network to join.",
    fields: &[
        field(
            "mode",
            Kind::Word(&["container", "container/bridge", "host"]),
            "`host` is the agent's own network, `container/bridge` a bridge on the agent with mapped ports, \
             `container` a named network with addresses of its own.",
        )
        .or_word("container"),
        field("name", Kind::Text(&NETWORK_NAME), "Which network; in `container` mode only, and needed there."),
        field("labels", LABELS, "For the network's provider; not in `host` mode."),
    ],
};

pub(super) static PORT_DEFINITION: Shape = Shape {
    name: "port definition",
    doc: "A port on the host's network.",
    fields: &[
        field(
            "port",
            Kind::Int(0, 65_535),
            "The port that load balancers present, and with `requirePorts` the host's; 0 for one that ekiden \
             chooses.",
        )
        .or(0.0),
        field("protocol", PROTOCOL, "What is spoken on it.").or_word("tcp"),
        field("name", Kind::Text(&NAME), "Its name, for readiness checks, discovery and `$PORT_NAME`."),
        field("labels", LABELS, "For discovery."),
    ],
};

pub(super) static PORT_MAPPING: Shape = Shape {
    name: "port mapping",
    doc: "A port inside a container, and what leads to it.",
    fields: &[
        field("containerPort", Kind::Int(0, 65_535), "The port inside; 0 for the same as the host port.").or(0.0),
        field(
            "hostPort",
            Kind::Int(0, 65_535),
            "The port on the agent; 0 for any. Left out, it is 0 in `container/bridge` mode, and none in \
             `container` mode.",
        ),
        field(
            "servicePort",
            Kind::Int(0, 65_535),
            "The port that load balancers present; 0 for one that ekiden chooses.",
        )
        .or(0.0),
        field("protocol", PROTOCOL, "What is spoken on it.").or_word("tcp"),
        field("name", Kind::Text(&NAME), "Its name, for readiness checks, discovery and `$PORT_NAME`."),
        field("labels", LABELS, "For discovery."),
        field("networkNames", Kind::List(&A_NETWORK_NAME, 0, MANY), "Which of several networks it belongs to."),
    ],
};

pub(super) static IP_ADDRESS: Shape = Shape {
    name: "ip address",
    doc: "Marathon's form before 1.5 of a network with addresses of its own.",
    fields: &[
        field("networkName", Kind::Text(&NETWORK_NAME), "Which network."),
        field("labels", LABELS, "For the network's provider."),
        field("groups", Kind::List(&A_TEXT, 0, MANY), "Network isolation groups.")
            .retired("Marathon dropped isolation groups in 1.5; use the labels that the network's provider knows"),
        field("discovery", Kind::Object(&DISCOVERY), "Ports inside the container."),
    ],
};

static DISCOVERY: Shape = Shape {
    name: "discovery",
    doc: "Ports inside the container.",
    fields: &[field("ports", Kind::List(&A_DISCOVERY_PORT, 0, MANY), "The ports.")],
};

static DISCOVERY_PORT: Shape = Shape {
    name: "discovery port",
    doc: "A port inside the container.",
    fields: &[
        field("number", Kind::Int(0, 65_535), "The port.").required(),
        field("name", Kind::Text(&NAME), "Its name.").required(),
        field("protocol", PROTOCOL, "What is spoken on it.").or_word("tcp"),
        field("labels", LABELS, "For discovery."),
    ],
};
