//! The fields of checks.

use super::super::shape::{Form, Kind, Shape, field};
use super::{A_TEXT, MANY, SECONDS, SOME_SECONDS, SOME_TEXT};

/// The path of a check. It is put into a request line as it is.
pub(super) static HTTP_PATH: Form = Form::of(0, 1024, r"^[!-~]*$", "write a path as in a URL, with spaces as %20");

static A_STATUS: Kind = Kind::Int(100, 999);

pub(super) static HEALTH_CHECK: Shape = Shape {
    name: "health check",
    doc: "What is asked of a running instance, and how often it may fail.",
    fields: &[
        field(
            "protocol",
            Kind::Word(&["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"]),
            "How it is asked: by ekiden, or by Mesos' executor (COMMAND and MESOS_…).",
        )
        .or_word("HTTP"),
        field("path", Kind::Text(&HTTP_PATH), "The path of the request; HTTP only. `/` when left out."),
        field(
            "portIndex",
            Kind::Int(0, 65_535),
            "Which of the app's ports, from 0; 0 when neither this nor `port` is given.",
        ),
        field("port", Kind::Int(1, 65_535), "The port's number. Excludes `portIndex`."),
        field("command", Kind::Object(&COMMAND), "The command; with `protocol: COMMAND` only."),
        field("gracePeriodSeconds", SECONDS, "How long failures do not count while there was no success yet.")
            .or(300.0),
        field("intervalSeconds", SOME_SECONDS, "Time between two probes.").or(60.0),
        field("timeoutSeconds", SOME_SECONDS, "An answer after this is a failure.").or(20.0),
        field("delaySeconds", SECONDS, "Time to the first probe; executors' checks only.").or(15.0),
        field(
            "maxConsecutiveFailures",
            Kind::Int(0, super::MOST),
            "How many failures in a row an instance survives; 0: never replaced for its health.",
        )
        .or(3.0),
        field(
            "ignoreHttp1xx",
            Kind::Flag,
            "Whether an answer of 100 to 199 is no answer at all; HTTP by ekiden only.",
        )
        .or_flag(false),
        field("ipProtocol", Kind::Word(&["IPv4", "IPv6"]), "IPv6 is for executors' checks of Docker containers.")
            .or_word("IPv4"),
    ],
};

static COMMAND: Shape = Shape {
    name: "check command",
    doc: "A command that exits with 0 when all is well.",
    fields: &[field("value", Kind::Text(&SOME_TEXT), "The command, run by a shell.").required()],
};

pub(super) static READINESS_CHECK: Shape = Shape {
    name: "readiness check",
    doc: "What a new instance must answer before its rollout goes on.",
    fields: &[
        field("name", Kind::Text(&SOME_TEXT), "For people.").or_word("readinessCheck"),
        field("protocol", Kind::Word(&["HTTP", "HTTPS"]), "How it is asked.").or_word("HTTP"),
        field("path", Kind::Text(&HTTP_PATH), "The path of the request.").or_word("/"),
        field("portName", Kind::Text(&SOME_TEXT), "The name of the port that is asked.").or_word("http-api"),
        field("intervalSeconds", SOME_SECONDS, "Time between two probes.").or(30.0),
        field("timeoutSeconds", SOME_SECONDS, "An answer after this is none; less than the interval.").or(10.0),
        field(
            "httpStatusCodesForReady",
            Kind::List(&A_STATUS, 0, MANY),
            "The answers that mean ready; 200 when left out.",
        ),
        field("preserveLastResponse", Kind::Flag, "Whether the last answer is shown.").or_flag(false),
    ],
};

pub(super) static CHECK: Shape = Shape {
    name: "check",
    doc: "A check whose result is only shown: exactly one of `http`, `tcp` and `exec`.",
    fields: &[
        field("http", Kind::Object(&HTTP), "A request."),
        field("tcp", Kind::Object(&TCP), "A connection."),
        field("exec", Kind::Object(&EXEC), "A command."),
        field("intervalSeconds", SOME_SECONDS, "Time between two.").or(60.0),
        field("timeoutSeconds", SOME_SECONDS, "An answer after this is none.").or(20.0),
        field("delaySeconds", SECONDS, "Time to the first.").or(15.0),
    ],
};

static HTTP: Shape = Shape {
    name: "http check",
    doc: "A request.",
    fields: &[
        field("portIndex", Kind::Int(0, 65_535), "Which of the app's ports, from 0."),
        field("port", Kind::Int(1, 65_535), "The port's number. Excludes `portIndex`."),
        field("path", Kind::Text(&HTTP_PATH), "The path of the request.").or_word("/"),
        field("scheme", Kind::Word(&["HTTP", "HTTPS"]), "How it is asked.").or_word("HTTP"),
    ],
};

static TCP: Shape = Shape {
    name: "tcp check",
    doc: "A connection.",
    fields: &[
        field("portIndex", Kind::Int(0, 65_535), "Which of the app's ports, from 0."),
        field("port", Kind::Int(1, 65_535), "The port's number. Excludes `portIndex`."),
    ],
};

static EXEC: Shape = Shape {
    name: "exec check",
    doc: "A command.",
    fields: &[field("command", Kind::Object(&COMMAND_LINE), "The command.").required()],
};

pub(super) static COMMAND_LINE: Shape = Shape {
    name: "command",
    doc: "Exactly one of `shell` and `argv`.",
    fields: &[
        field("shell", Kind::Text(&SOME_TEXT), "A command, run by a shell."),
        field("argv", Kind::List(&A_TEXT, 1, MANY), "A command and its arguments, run without a shell.")
            .later("checks run through a shell; write the command as `shell`"),
    ],
};
