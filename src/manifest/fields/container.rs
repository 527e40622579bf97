//! The fields of containers and volumes.

use super::super::shape::{Form, Kind, Shape, field};
use super::network::PORT_MAPPING;
use super::{A_TEXT, MANY, MOST, MOST_UNITS, SOME_TEXT, TEXT};

/// A path inside a container, or the name of a volume.
static PATH: Form = Form::any(1, 1024);
/// Docker's own syntax is checked by Docker; this keeps out what cannot be one.
static IMAGE: Form = Form::of(1, 1024, r"^\S+$", "an image is a word such as `registry.example/web:1.2`");

static A_PARAMETER: Kind = Kind::Object(&PARAMETER);
static A_PORT_MAPPING: Kind = Kind::Object(&PORT_MAPPING);
static A_VOLUME: Kind = Kind::Object(&VOLUME);
static A_CONSTRAINT: Kind = Kind::List(&A_TEXT, 2, 3);

pub(super) static CONTAINER: Shape = Shape {
    name: "container",
    doc: "The container to run in.",
    fields: &[
        field(
            "type",
            Kind::Word(&["DOCKER", "MESOS"]),
            "Who runs it: a Docker daemon on the agent, or Mesos itself.",
        )
        .or_word("DOCKER"),
        field("docker", Kind::Object(&DOCKER), "The image and how it is run."),
        field("volumes", Kind::List(&A_VOLUME, 0, MANY), "Folders to show inside."),
        field(
            "portMappings",
            Kind::List(&A_PORT_MAPPING, 0, MANY),
            "Ports inside, where there is a network of the container's own. Without it there is one, named \
             `default`; `[]` asks for none.",
        ),
        field("linuxInfo", Kind::Object(&LINUX_INFO), "Settings of the Linux kernel for a Mesos container.")
            .later("seccomp and IPC settings are not passed on to Mesos"),
    ],
};

static DOCKER: Shape = Shape {
    name: "docker container",
    doc: "The image and how it is run.",
    fields: &[
        field("image", Kind::Text(&IMAGE), "The image.").required(),
        field("forcePullImage", Kind::Flag, "Whether to pull an image that is there already.").or_flag(false),
        field("privileged", Kind::Flag, "`docker run --privileged`; Docker only.").or_flag(false),
        field("parameters", Kind::List(&A_PARAMETER, 0, MANY), "Further `docker run --key=value`; Docker only."),
        field("pullConfig", Kind::Object(&PULL_CONFIG), "How to log in to the registry.")
            .later("there is no store of secrets to take it from"),
        field("credential", Kind::Object(&CREDENTIAL), "How to log in to the registry.")
            .retired("Marathon dropped it in 1.5; put a `docker.tar.gz` with the registry's login into `fetch`"),
        field("network", Kind::Word(&["BRIDGE", "HOST", "NONE", "USER"]), "The network.").legacy("networks"),
        field("portMappings", Kind::List(&A_PORT_MAPPING, 0, MANY), "Ports inside.")
            .legacy("container.portMappings"),
    ],
};

static PARAMETER: Shape = Shape {
    name: "docker parameter",
    doc: "An argument of `docker run`.",
    fields: &[
        field("key", Kind::Text(&SOME_TEXT), "Its name, without dashes.").required(),
        field("value", Kind::Text(&TEXT), "Its value.").required(),
    ],
};

pub(super) static PULL_CONFIG: Shape = Shape {
    name: "pull config",
    doc: "How to log in to the registry.",
    fields: &[field("secret", Kind::Text(&SOME_TEXT), "Which of the app's `secrets`.").required()],
};

static CREDENTIAL: Shape = Shape {
    name: "credential",
    doc: "How to log in to the registry.",
    fields: &[
        field("principal", Kind::Text(&SOME_TEXT), "Who.").required(),
        field("secret", Kind::Text(&SOME_TEXT), "The password."),
    ],
};

pub(super) static LINUX_INFO: Shape = Shape {
    name: "set of Linux settings",
    doc: "Settings of the Linux kernel for a Mesos container.",
    fields: &[
        field("seccomp", Kind::Object(&SECCOMP), "Which system calls are allowed."),
        field("ipcInfo", Kind::Object(&IPC), "Who shares memory with whom."),
    ],
};

static SECCOMP: Shape = Shape {
    name: "seccomp setting",
    doc: "Exactly one of a profile's name and `unconfined: true`.",
    fields: &[
        field("profileName", Kind::Text(&SOME_TEXT), "The profile."),
        field("unconfined", Kind::Flag, "Whether everything is allowed.").or_flag(false),
    ],
};

static IPC: Shape = Shape {
    name: "IPC setting",
    doc: "Who shares memory with whom.",
    fields: &[
        field(
            "mode",
            Kind::Word(&["PRIVATE", "SHARE_PARENT"]),
            "Whether the container has a namespace of its own.",
        )
        .required(),
        field("shmSize", Kind::Int(0, MOST), "Size of /dev/shm, in MB; with `PRIVATE` only."),
    ],
};

static VOLUME: Shape = Shape {
    name: "volume",
    doc: "A folder to show inside: of the host, persistent, external, or a secret.",
    fields: &[
        field("containerPath", Kind::Text(&PATH), "Where inside.").required(),
        field("hostPath", Kind::Text(&PATH), "Which folder of the host."),
        field("mode", Kind::Word(&["RO", "RW"]), "Whether the container may write."),
        field("persistent", Kind::Object(&PERSISTENT), "Space on the agent that outlives the task.")
            .later("disk cannot be reserved"),
        field("external", Kind::Object(&EXTERNAL), "A volume of a storage provider.")
            .later("storage providers are not spoken to"),
        field("secret", Kind::Text(&SOME_TEXT), "Which of the app's `secrets`.")
            .later("there is no store of secrets to take it from"),
    ],
};

pub(super) static PERSISTENT: Shape = Shape {
    name: "persistent volume",
    doc: "Space on the agent that outlives the task.",
    fields: &[
        field("type", Kind::Word(&["root", "path", "mount"]), "Which kind of disk.").or_word("root"),
        field("size", Kind::Number(0.001, MOST_UNITS), "MiB at least.").required(),
        field("maxSize", Kind::Number(0.001, MOST_UNITS), "MiB at most; `mount` disks only."),
        field("profileName", Kind::Text(&SOME_TEXT), "The profile of the disk."),
        field("constraints", Kind::List(&A_CONSTRAINT, 0, MANY), "Which disks, by their path; not for `root`."),
    ],
};

static EXTERNAL: Shape = Shape {
    name: "external volume",
    doc: "A volume of a storage provider.",
    fields: &[
        field("name", Kind::Text(&SOME_TEXT), "The volume's name at its provider.").required(),
        field("provider", Kind::Word(&["dvdi", "csi"]), "The kind of provider.").required(),
        field("size", Kind::Number(0.001, MOST_UNITS), "GiB, where it is created."),
        field("shared", Kind::Flag, "Whether several apps may use it.").or_flag(false),
        field("options", Kind::Ignored, "For the provider."),
    ],
};
