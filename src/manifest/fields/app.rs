//! The fields of an app.

use super::super::shape::{Form, Kind, Shape, field};
use super::check::{CHECK, HEALTH_CHECK, READINESS_CHECK};
use super::container::CONTAINER;
use super::network::{IP_ADDRESS, NETWORK, PORT_DEFINITION};
use super::{A_TEXT, ID, LABELS, MANY, MOST, MOST_UNITS, ROLE, SECONDS, SOME_SECONDS, SOME_TEXT, TEXT, URI};

/// Marathon's rule for the path of an executor, written as it is meant.
static EXECUTOR: Form =
    Form::of(0, 1024, "^(//cmd|/?[^/]+(/[^/]+)*)?$", "write `//cmd`, the path of an executor, or leave it out");
static SHARE: Form = Form::of(1, 4, "^(100|[1-9]?[0-9])%$", "write a number, or a share from \"0%\" to \"100%\"");

static A_URI: Kind = Kind::Text(&URI);
static AN_ID: Kind = Kind::Text(&ID);
static A_ROLE: Kind = Kind::Text(&ROLE);
static A_PORT: Kind = Kind::Int(0, 65_535);
static A_LIMIT: [Kind; 2] = [Kind::Number(0.0, MOST_UNITS), Kind::Word(&["unlimited"])];
static A_COUNT: [Kind; 2] = [Kind::Int(0, MOST), Kind::Text(&SHARE)];
static A_FETCH: Kind = Kind::Object(&FETCH);
static A_CONSTRAINT: Kind = Kind::List(&A_TEXT, 2, 3);
static A_HEALTH_CHECK: Kind = Kind::Object(&HEALTH_CHECK);
static A_READINESS_CHECK: Kind = Kind::Object(&READINESS_CHECK);
static A_NETWORK: Kind = Kind::Object(&NETWORK);
static A_PORT_DEFINITION: Kind = Kind::Object(&PORT_DEFINITION);
static A_SECRET: Kind = Kind::Object(&SECRET);
pub(super) static VALUE: Kind = Kind::Either(&[Kind::Text(&TEXT), Kind::Object(&SECRET_VALUE)]);
static AN_UNREACHABLE: [Kind; 2] = [Kind::Word(&["disabled"]), Kind::Object(&UNREACHABLE)];

/// An app.
pub(in super::super) static APP: Shape = Shape {
    name: "app",
    doc: "A long-running application: what to run, how many, where, how to check and how to upgrade it.",
    fields: &[
        field(
            "id",
            Kind::Text(&ID),
            "Where the app stands in the tree of groups: `/prod/web`, or relative to the folder of the file or \
             to the group around it.",
        )
        .required(),
        field("cmd", Kind::Text(&SOME_TEXT), "The command, run by `/bin/sh -c`. Excludes `args`."),
        field(
            "args",
            Kind::List(&A_TEXT, 0, MANY),
            "The command and its arguments, run without a shell; with an image, the arguments of its entry \
             point. Excludes `cmd`.",
        ),
        field("instances", Kind::Int(0, MOST), "How many instances to keep running.").or(1.0),
        field("cpus", Kind::Number(0.001, MOST_UNITS), "Processors per instance.").or(1.0),
        field("mem", Kind::Number(0.0, MOST_UNITS), "Memory per instance, in MiB.").or(128.0),
        field("disk", Kind::Number(0.0, MOST_UNITS), "Disk per instance, in MiB.").or(0.0),
        field("gpus", Kind::Int(0, MOST), "Graphics processors per instance; not with a Docker container.")
            .or(0.0),
        field(
            "resourceLimits",
            Kind::Object(&RESOURCE_LIMITS),
            "How far an instance may go beyond what it requests.",
        ),
        field("user", Kind::Text(&SOME_TEXT), "The system user to run as; the cluster's default when left out."),
        field("env", Kind::Map(&VALUE), "Environment variables."),
        field("secrets", Kind::Map(&A_SECRET), "Secrets that variables and volumes refer to.")
            .later("there is no store of secrets to take them from"),
        field(
            "labels",
            LABELS,
            "Free text for people and programs; load balancers configure themselves from it. A change restarts \
             nothing.",
        ),
        field("fetch", Kind::List(&A_FETCH, 0, MANY), "Files to bring into the sandbox before the start."),
        field(
            "constraints",
            Kind::List(&A_CONSTRAINT, 0, MANY),
            "Where instances may run, as `[field, OPERATOR, value]`; operators are UNIQUE, CLUSTER, GROUP_BY, \
             MAX_PER, LIKE, UNLIKE and IS. All must hold.",
        ),
        field("placement", Kind::Object(&PLACEMENT), "Which agents are preferred, and how instances are counted."),
        field(
            "acceptedResourceRoles",
            Kind::List(&A_ROLE, 1, MANY),
            "Whose resources may be used: `*`, the app's own role, or both.",
        ),
        field("role", Kind::Text(&ROLE), "The Mesos role to run under; the cluster's default when left out."),
        field(
            "dependencies",
            Kind::List(&AN_ID, 0, MANY),
            "Apps and groups that must be healthy before this one starts.",
        ),
        field(
            "healthChecks",
            Kind::List(&A_HEALTH_CHECK, 0, MANY),
            "Checks of running instances; those that fail too often are replaced.",
        ),
        field(
            "readinessChecks",
            Kind::List(&A_READINESS_CHECK, 0, 1),
            "What a new instance must answer before its rollout goes on.",
        ),
        field("check", Kind::Object(&CHECK), "A check whose result is only shown."),
        field(
            "upgradeStrategy",
            Kind::Object(&UPGRADE_STRATEGY),
            "How many instances a rollout may miss or have too many, as shares. Excludes `rollout.maxSurge` and \
             `rollout.maxUnavailable`.",
        ),
        field("rollout", Kind::Object(&ROLLOUT), "How new revisions replace old ones."),
        field("backoffSeconds", SECONDS, "The wait after the first failure.").or(1.0),
        field("backoffFactor", Kind::Number(1.0, 1e6), "What each further failure multiplies the wait by.")
            .or(1.15),
        field("maxLaunchDelaySeconds", SECONDS, "The longest wait after failures.").or(300.0),
        field(
            "killSelection",
            Kind::Word(&["YOUNGEST_FIRST", "OLDEST_FIRST"]),
            "Who goes first when there are too many instances.",
        )
        .or_word("YOUNGEST_FIRST"),
        field(
            "taskKillGracePeriodSeconds",
            SECONDS,
            "How long a task has between SIGTERM and SIGKILL; the cluster's own time when left out.",
        ),
        field(
            "unreachableStrategy",
            Kind::Either(&AN_UNREACHABLE),
            "What becomes of instances whose agent does not answer.",
        ),
        field("networks", Kind::List(&A_NETWORK, 0, MANY), "Networks to join; the host's own when left out."),
        field(
            "portDefinitions",
            Kind::List(&A_PORT_DEFINITION, 0, MANY),
            "Ports on the host's network. Without it there is one, named `default`; `[]` asks for none.",
        ),
        field("requirePorts", Kind::Flag, "Whether the ports of `portDefinitions` are the host's ports, too.")
            .or_flag(false),
        field("container", Kind::Object(&CONTAINER), "The container to run in; a plain process when left out."),
        field("tty", Kind::Flag, "Whether the process gets a terminal.").or_flag(false),
        field("executor", Kind::Text(&EXECUTOR), "A custom Mesos executor."),
        field("executorResources", Kind::Object(&EXECUTOR_RESOURCES), "What a custom executor takes for itself.")
            .later("only custom executors have resources of their own"),
        field("residency", Kind::Object(&RESIDENCY), "How an app with persistent volumes is kept in place.")
            .later("it takes persistent volumes"),
        field("uris", Kind::List(&A_URI, 0, MANY), "Files to fetch.").legacy("fetch"),
        field("ports", Kind::List(&A_PORT, 0, MANY), "Ports on the host's network.").legacy("portDefinitions"),
        field("ipAddress", Kind::Object(&IP_ADDRESS), "An address of the app's own.").legacy("networks"),
        field("storeUrls", Kind::List(&A_URI, 0, MANY), "Files for Marathon's artifact store.")
            .retired("Marathon dropped its artifact store in 1.5; list the files in `fetch`"),
        field("version", Kind::Ignored, "Written by Marathon; ignored."),
        field("versionInfo", Kind::Ignored, "Written by Marathon; ignored."),
    ],
};

pub(super) static RESOURCE_LIMITS: Shape = Shape {
    name: "set of resource limits",
    doc: "Upper bounds beyond the request, at least as large as it.",
    fields: &[
        field("cpus", Kind::Either(&A_LIMIT), "Processors at most, or `unlimited`."),
        field("mem", Kind::Either(&A_LIMIT), "MiB of memory at most, or `unlimited`."),
    ],
};

pub(super) static SECRET: Shape = Shape {
    name: "secret",
    doc: "Where a secret comes from.",
    fields: &[field("source", Kind::Text(&SOME_TEXT), "Its name in the store of secrets.").required()],
};

static SECRET_VALUE: Shape = Shape {
    name: "secret value",
    doc: "A value that is taken from `secrets`.",
    fields: &[field("secret", Kind::Text(&SOME_TEXT), "Which of the app's `secrets`.")
        .required()
        .later("there is no store of secrets to take it from")],
};

pub(super) static FETCH: Shape = Shape {
    name: "file to fetch",
    doc: "One file for the sandbox.",
    fields: &[
        field("uri", Kind::Text(&URI), "Where it comes from.").required(),
        field("extract", Kind::Flag, "Whether an archive is unpacked.").or_flag(true),
        field("executable", Kind::Flag, "Whether it is made executable; then it is not unpacked.").or_flag(false),
        field("cache", Kind::Flag, "Whether the agent keeps it for the next task.").or_flag(false),
        field("destPath", Kind::Text(&URI), "Its name in the sandbox; the last part of the URI when left out."),
    ],
};

static PLACEMENT: Shape = Shape {
    name: "placement",
    doc: "Which agents are preferred, and how instances are counted.",
    fields: &[
        field(
            "strategy",
            Kind::Word(&["spread", "binpack", "random"]),
            "`spread` prefers the agent with the fewest instances of the app, `binpack` the fullest one, \
             `random` any.",
        )
        .or_word("spread"),
        field(
            "mode",
            Kind::Word(&["replicated", "global"]),
            "`replicated` runs `instances` of them, `global` one on every agent that matches.",
        )
        .or_word("replicated"),
    ],
};

static UPGRADE_STRATEGY: Shape = Shape {
    name: "upgrade strategy",
    doc: "How many instances a rollout may miss or have too many, as shares of `instances`.",
    fields: &[
        field("minimumHealthCapacity", Kind::Number(0.0, 1.0), "The share that stays healthy.").or(1.0),
        field("maximumOverCapacity", Kind::Number(0.0, 1.0), "The share that may run beyond `instances`.").or(1.0),
    ],
};

static ROLLOUT: Shape = Shape {
    name: "rollout",
    doc: "How new revisions replace old ones.",
    fields: &[
        field(
            "progressDeadlineSeconds",
            SOME_SECONDS,
            "Without progress for so long, a rollout has failed; never when left out.",
        ),
        field("paused", Kind::Flag, "Whether rollouts stand still.").or_flag(false),
        field("autoRollback", Kind::Flag, "Whether a failed rollout goes back to the last healthy revision.")
            .or_flag(false),
        field(
            "maxSurge",
            Kind::Either(&A_COUNT),
            "How many may run beyond `instances`: a number, or a share rounded up. 0 when only `maxUnavailable` \
             is given. Excludes `upgradeStrategy`.",
        ),
        field(
            "maxUnavailable",
            Kind::Either(&A_COUNT),
            "How many of `instances` may be missing: a number, or a share rounded down. 0 when only `maxSurge` \
             is given. Excludes `upgradeStrategy`.",
        ),
    ],
};

pub(super) static UNREACHABLE: Shape = Shape {
    name: "unreachable strategy",
    doc: "When an instance is replaced, and when forgotten, after its agent stopped answering.",
    fields: &[
        field("inactiveAfterSeconds", SECONDS, "Unreachable for so long, it gets a replacement.").or(0.0),
        field(
            "expungeAfterSeconds",
            SECONDS,
            "Unreachable for so long, it is forgotten, and killed should it return.",
        )
        .or(0.0),
    ],
};

pub(super) static EXECUTOR_RESOURCES: Shape = Shape {
    name: "set of executor resources",
    doc: "What a custom executor takes for itself.",
    fields: &[
        field("cpus", Kind::Number(0.1, MOST_UNITS), "Processors.").or(0.1),
        field("mem", Kind::Number(32.0, MOST_UNITS), "Memory, in MiB.").or(32.0),
        field("disk", Kind::Number(10.0, MOST_UNITS), "Disk, in MiB.").or(10.0),
    ],
};

static RESIDENCY: Shape = Shape {
    name: "residency",
    doc: "How an app with persistent volumes is kept in place.",
    fields: &[
        field("relaunchEscalationTimeoutSeconds", SECONDS, "Without effect since Marathon 1.5.").or(3600.0),
        field(
            "taskLostBehavior",
            Kind::Word(&["WAIT_FOREVER", "RELAUNCH_AFTER_TIMEOUT"]),
            "Without effect since Marathon 1.5.",
        )
        .or_word("WAIT_FOREVER"),
    ],
};
