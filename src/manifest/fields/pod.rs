//! The fields of pods. Pods are not run yet; their definitions are checked all the same, so that a typing error is
//! not mistaken for what is missing in ekiden.

use super::super::shape::{Form, Kind, Shape, field};
use super::app::{EXECUTOR_RESOURCES, FETCH, RESOURCE_LIMITS, SECRET, UNREACHABLE, VALUE};
use super::check::{COMMAND_LINE, HTTP_PATH};
use super::container::{LINUX_INFO, PERSISTENT, PULL_CONFIG};
use super::network::NETWORK;
use super::{A_TEXT, ID, LABELS, MANY, MOST, MOST_UNITS, ROLE, SECONDS, SOME_SECONDS, SOME_TEXT};

static NAME: Form = Form::of(
    1,
    63,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "use lower-case letters, digits and `-`, beginning and ending with a letter or digit",
);

static A_ROLE: Kind = Kind::Text(&ROLE);
static A_SECRET: Kind = Kind::Object(&SECRET);
static A_NETWORK: Kind = Kind::Object(&NETWORK);
static A_CONTAINER: Kind = Kind::Object(&CONTAINER);
static A_VOLUME: Kind = Kind::Object(&VOLUME);
static A_MOUNT: Kind = Kind::Object(&MOUNT);
static AN_ENDPOINT: Kind = Kind::Object(&ENDPOINT);
static AN_ARTIFACT: Kind = Kind::Object(&FETCH);
static A_CONSTRAINT: Kind = Kind::Object(&CONSTRAINT);
static A_PROTOCOL: Kind = Kind::Word(&["tcp", "udp"]);
static AN_UNREACHABLE: [Kind; 2] = [Kind::Word(&["disabled"]), Kind::Object(&UNREACHABLE)];

/// A pod.
pub(in super::super) static POD: Shape = Shape {
    name: "pod",
    doc: "Containers that are placed, started and stopped together.",
    fields: &[
        field("id", Kind::Text(&ID), "Where the pod stands in the tree of groups.").required(),
        field("labels", LABELS, "Free text for people and programs."),
        field("user", Kind::Text(&SOME_TEXT), "The system user to run as."),
        field("role", Kind::Text(&ROLE), "The Mesos role to run under."),
        field("environment", Kind::Map(&VALUE), "Environment variables of all containers."),
        field("secrets", Kind::Map(&A_SECRET), "Secrets that variables and volumes refer to."),
        field("containers", Kind::List(&A_CONTAINER, 1, MANY), "The containers.").required(),
        field("volumes", Kind::List(&A_VOLUME, 0, MANY), "Volumes that containers mount."),
        field("networks", Kind::List(&A_NETWORK, 0, MANY), "Networks to join; the host's own when left out."),
        field("scaling", Kind::Object(&SCALING), "How many instances."),
        field("scheduling", Kind::Object(&SCHEDULING), "How instances are placed and replaced."),
        field("executorResources", Kind::Object(&EXECUTOR_RESOURCES), "What the executor takes for itself."),
        field("linuxInfo", Kind::Object(&LINUX_INFO), "Settings of the Linux kernel."),
        field("legacySharedCgroups", Kind::Flag, "Whether containers may borrow memory from each other."),
        field("version", Kind::Ignored, "Written by Marathon; ignored."),
    ],
};

static CONTAINER: Shape = Shape {
    name: "container of a pod",
    doc: "One of a pod's containers.",
    fields: &[
        field("name", Kind::Text(&NAME), "Its name.").required(),
        field("exec", Kind::Object(&EXEC), "What it runs."),
        field("resources", Kind::Object(&RESOURCES), "What it takes of the agent.").required(),
        field("resourceLimits", Kind::Object(&RESOURCE_LIMITS), "How far it may go beyond what it requests."),
        field("image", Kind::Object(&IMAGE), "Its image."),
        field("endpoints", Kind::List(&AN_ENDPOINT, 0, MANY), "Its ports."),
        field("environment", Kind::Map(&VALUE), "Its environment variables."),
        field("labels", LABELS, "Free text for people and programs."),
        field("artifacts", Kind::List(&AN_ARTIFACT, 0, MANY), "Files to bring into its sandbox."),
        field("healthCheck", Kind::Object(&HEALTH_CHECK), "How its health is checked."),
        field("check", Kind::Object(&CHECK), "A check whose result is only shown."),
        field("volumeMounts", Kind::List(&A_MOUNT, 0, MANY), "Where it mounts the pod's volumes."),
        field("lifecycle", Kind::Object(&LIFECYCLE), "How it is stopped."),
        field("linuxInfo", Kind::Object(&LINUX_INFO), "Settings of the Linux kernel."),
        field("user", Kind::Text(&SOME_TEXT), "The system user to run as."),
        field("tty", Kind::Flag, "Whether it gets a terminal.").or_flag(false),
    ],
};

static EXEC: Shape = Shape {
    name: "execution",
    doc: "What a container runs.",
    fields: &[
        field("command", Kind::Object(&COMMAND_LINE), "The command.").required(),
        field("overrideEntrypoint", Kind::Flag, "Whether it replaces the entry point of the image."),
    ],
};

static RESOURCES: Shape = Shape {
    name: "set of resources",
    doc: "What a container takes of the agent.",
    fields: &[
        field("cpus", Kind::Number(0.001, MOST_UNITS), "Processors.").or(1.0),
        field("mem", Kind::Number(0.0, MOST_UNITS), "Memory, in MiB.").or(128.0),
        field("disk", Kind::Number(0.0, MOST_UNITS), "Disk, in MiB.").or(0.0),
        field("gpus", Kind::Int(0, MOST), "Graphics processors.").or(0.0),
    ],
};

static IMAGE: Shape = Shape {
    name: "image",
    doc: "The image of a container.",
    fields: &[
        field("kind", Kind::Word(&["DOCKER"]), "Its kind.").required(),
        field("id", Kind::Text(&SOME_TEXT), "Its name.").required(),
        field("forcePull", Kind::Flag, "Whether to pull one that is there already.").or_flag(false),
        field("pullConfig", Kind::Object(&PULL_CONFIG), "How to log in to the registry."),
        field("labels", LABELS, "Free text."),
    ],
};

static ENDPOINT: Shape = Shape {
    name: "endpoint",
    doc: "A port of a container.",
    fields: &[
        field("name", Kind::Text(&NAME), "Its name.").required(),
        field("containerPort", Kind::Int(0, 65_535), "The port inside."),
        field("hostPort", Kind::Int(0, 65_535), "The port on the agent."),
        field("protocol", Kind::List(&A_PROTOCOL, 0, 2), "What is spoken on it; TCP when left out."),
        field("labels", LABELS, "For discovery."),
        field("networkNames", Kind::List(&A_TEXT, 0, MANY), "Which of several networks it belongs to."),
    ],
};

static HEALTH_CHECK: Shape = Shape {
    name: "health check of a container",
    doc: "Exactly one of `http`, `tcp` and `exec`, and how often it may fail.",
    fields: &[
        field("http", Kind::Object(&HTTP), "A request."),
        field("tcp", Kind::Object(&TCP), "A connection."),
        field("exec", Kind::Object(&EXEC_CHECK), "A command."),
        field("gracePeriodSeconds", SECONDS, "How long failures do not count while there was no success yet.")
            .or(300.0),
        field("intervalSeconds", SOME_SECONDS, "Time between two probes.").or(60.0),
        field("maxConsecutiveFailures", Kind::Int(0, MOST), "How many failures in a row a container survives.")
            .or(3.0),
        field("timeoutSeconds", SOME_SECONDS, "An answer after this is a failure.").or(20.0),
        field("delaySeconds", SECONDS, "Time to the first probe.").or(15.0),
    ],
};

static CHECK: Shape = Shape {
    name: "check of a container",
    doc: "A check whose result is only shown: exactly one of `http`, `tcp` and `exec`.",
    fields: &[
        field("http", Kind::Object(&HTTP), "A request."),
        field("tcp", Kind::Object(&TCP), "A connection."),
        field("exec", Kind::Object(&EXEC_CHECK), "A command."),
        field("intervalSeconds", SOME_SECONDS, "Time between two.").or(60.0),
        field("timeoutSeconds", SOME_SECONDS, "An answer after this is none.").or(20.0),
        field("delaySeconds", SECONDS, "Time to the first.").or(15.0),
    ],
};

static HTTP: Shape = Shape {
    name: "http check of an endpoint",
    doc: "A request.",
    fields: &[
        field("endpoint", Kind::Text(&NAME), "The name of the endpoint.").required(),
        field("path", Kind::Text(&HTTP_PATH), "The path of the request.").or_word("/"),
        field("scheme", Kind::Word(&["HTTP", "HTTPS"]), "How it is asked.").or_word("HTTP"),
    ],
};

static TCP: Shape = Shape {
    name: "tcp check of an endpoint",
    doc: "A connection.",
    fields: &[field("endpoint", Kind::Text(&NAME), "The name of the endpoint.").required()],
};

static EXEC_CHECK: Shape = Shape {
    name: "exec check of a container",
    doc: "A command.",
    fields: &[field("command", Kind::Object(&COMMAND_LINE), "The command.").required()],
};

static MOUNT: Shape = Shape {
    name: "volume mount",
    doc: "Where a container mounts one of the pod's volumes.",
    fields: &[
        field("name", Kind::Text(&NAME), "Which of the pod's volumes.").required(),
        field("mountPath", Kind::Text(&SOME_TEXT), "Where.").required(),
        field("readOnly", Kind::Flag, "Whether it may only be read.").or_flag(false),
    ],
};

static LIFECYCLE: Shape = Shape {
    name: "life cycle",
    doc: "How a container is stopped.",
    fields: &[field(
        "killGracePeriodSeconds",
        Kind::Number(0.0, MOST_UNITS),
        "How long it has between SIGTERM and SIGKILL.",
    )],
};

static VOLUME: Shape = Shape {
    name: "volume of a pod",
    doc: "A volume that containers mount: ephemeral, a folder of the host, a secret, or persistent.",
    fields: &[
        field("name", Kind::Text(&NAME), "Its name.").required(),
        field("host", Kind::Text(&SOME_TEXT), "Which folder of the host."),
        field("secret", Kind::Text(&SOME_TEXT), "Which of the pod's `secrets`."),
        field("persistent", Kind::Object(&PERSISTENT), "Space on the agent that outlives the instance."),
    ],
};

static SCALING: Shape = Shape {
    name: "scaling",
    doc: "How many instances.",
    fields: &[
        field("kind", Kind::Word(&["fixed"]), "How their number is found.").or_word("fixed"),
        field("instances", Kind::Int(0, MOST), "How many.").or(1.0),
    ],
};

static SCHEDULING: Shape = Shape {
    name: "scheduling",
    doc: "How instances are placed and replaced.",
    fields: &[
        field("backoff", Kind::Object(&BACKOFF), "The wait after failures."),
        field("upgrade", Kind::Object(&UPGRADE), "How many instances a rollout may miss or have too many."),
        field("placement", Kind::Object(&PLACEMENT), "Where instances may run."),
        field(
            "killSelection",
            Kind::Word(&["YOUNGEST_FIRST", "OLDEST_FIRST"]),
            "Who goes first when there are too many.",
        )
        .or_word("YOUNGEST_FIRST"),
        field(
            "unreachableStrategy",
            Kind::Either(&AN_UNREACHABLE),
            "What becomes of instances whose agent does not answer.",
        ),
    ],
};

static BACKOFF: Shape = Shape {
    name: "backoff",
    doc: "The wait after failures.",
    fields: &[
        field("backoff", Kind::Number(0.0, MOST_UNITS), "Seconds after the first failure.").or(1.0),
        field("backoffFactor", Kind::Number(1.0, 1e6), "What each further failure multiplies it by.").or(1.15),
        field("maxLaunchDelay", Kind::Number(0.0, MOST_UNITS), "Seconds at most.").or(300.0),
    ],
};

static UPGRADE: Shape = Shape {
    name: "upgrade",
    doc: "How many instances a rollout may miss or have too many, as shares.",
    fields: &[
        field("minimumHealthCapacity", Kind::Number(0.0, 1.0), "The share that stays healthy.").or(1.0),
        field("maximumOverCapacity", Kind::Number(0.0, 1.0), "The share that may run beyond.").or(1.0),
    ],
};

static PLACEMENT: Shape = Shape {
    name: "placement of a pod",
    doc: "Where instances may run.",
    fields: &[
        field("constraints", Kind::List(&A_CONSTRAINT, 0, MANY), "What must hold of an agent."),
        field("acceptedResourceRoles", Kind::List(&A_ROLE, 0, MANY), "Whose resources may be used."),
    ],
};

static CONSTRAINT: Shape = Shape {
    name: "constraint",
    doc: "What must hold of an agent.",
    fields: &[
        field("fieldName", Kind::Text(&SOME_TEXT), "What of the agent is looked at.").required(),
        field(
            "operator",
            Kind::Word(&["UNIQUE", "CLUSTER", "GROUP_BY", "MAX_PER", "LIKE", "UNLIKE", "IS"]),
            "What must hold of it.",
        )
        .required(),
        field("value", Kind::Text(&SOME_TEXT), "The operator's value."),
    ],
};
