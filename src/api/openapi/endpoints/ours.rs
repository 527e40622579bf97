//! What Marathon has no place for: `/v1`.

use serde_json::json;

use super::super::operation::Operation;
use super::super::parameters::{header, page, query, several};
use super::super::schema::{count, described, named, nullable, object, path, text, time};
use super::super::{EKIDEN, OPERATE};

pub(super) fn apps() -> Operation {
    Operation::new(EKIDEN, "All apps, in brief; in pages if asked for.")
        .asks(page(text(), "Behind the app of this path, with which the last page ended."))
        .asks([several("embed", &["definition"], "`definition`: each with its definition, as a manifest has it.")])
        .gives(200, "The apps.", named("AppsInBrief"))
        .refuses(400, "`limit` or `after` is not what it must be.")
}

pub(super) fn app_status() -> Operation {
    Operation::new(EKIDEN, "Everything about an app: spec, target, observed, and what it waits for.")
        .gives(200, "How it is.", named("AppStatusNow"))
        .refuses(404, "There is no such app.")
}

pub(super) fn keep() -> Operation {
    let kept = object([("id", path()), ("keep", json!({ "const": true }))]);
    Operation::new(EKIDEN, "The app stays when its file goes, as one that the API declares.")
        .gives(200, "It stays.", kept)
        .refuses(404, "There is no such app.")
}

pub(super) fn history() -> Operation {
    Operation::new(EKIDEN, "What an app was, who changed it, and what came of it; the newest first.")
        .note("Also of apps that are gone.")
        .asks(page(time(), "Before this version, with which the last page ended."))
        .gives(200, "The versions.", named("AppHistory"))
        .refuses(400, "`limit` or `after` is not what it must be.")
        .refuses(404, "There was no such app.")
}

pub(super) fn watch() -> Operation {
    let lines = described(named("WatchLine"), "A value in each line.");
    let frames = described(text(), "Server-sent events: `data:` is a line of the other form, `id:` its revision.");
    Operation::new(EKIDEN, "All apps, deployments and the cluster as they are, and then every change.")
        .note(
            "Never ends by itself. Each line names the revision that has been told in full with it, from which one can go \
             on (`since`).",
        )
        .asks([
            query("since", text(), "Go on behind this revision, instead of beginning with all there is."),
            header("Last-Event-ID", "The same, as browsers send it. It counts more than `since`."),
            query("fields", json!({ "type": "string", "enum": ["brief", "status"], "default": "brief" }), "How apps are told."),
            query("id", json!({ "type": "array", "items": text() }), "Only the app of this path, or those below it."),
            query("label", text(), "Only apps with such labels, as in `GET /v2/apps`."),
            query("kinds", text(), "What is told, joined by commas: `apps`, `deployments`, `cluster`. All of it by default."),
        ])
        .gives_as(200, "The changes.", "application/x-ndjson", lines)
        .gives_as(200, "", "text/event-stream", frames)
        .refuses(400, "A parameter is not what it must be.")
        .refuses(410, "The changes since then are not known any more: begin anew, without `since`.")
}

pub(super) fn instances() -> Operation {
    Operation::new(EKIDEN, "All instances, those that are over until they are forgotten; in pages if asked for.")
        .asks([query("app", text(), "Those of this app.")])
        .asks(page(text(), "Behind the instance with which the last page ended, as its `next` says."))
        .gives(200, "The instances.", named("Instances"))
        .refuses(400, "`limit` is not what it must be.")
        .refuses(404, "There is no such app.")
}

pub(super) fn status() -> Operation {
    Operation::new(EKIDEN, "How ekiden is: its connection to the cluster, and what it knows yet.").gives(
        200,
        "How it is.",
        named("Status"),
    )
}

pub(super) fn uninstall() -> Operation {
    let gone = object([("uninstalled", nullable(text()))]);
    Operation::new(OPERATE, "Removes the framework, its apps and its tasks from the cluster, and ends.")
        .gives(200, "The framework that was.", gone)
        .refuses(409, "This is `ekiden dev`, or there is no connection to a master.")
        .refuses(502, "The master did not do it.")
}

pub(super) fn directory() -> Operation {
    Operation::new(OPERATE, "How the directory of manifests is.").gives(200, "How it is.", named("Directory"))
}

pub(super) fn confirm_prune() -> Operation {
    let stopping = object([("stopping", count())]);
    Operation::new(OPERATE, "Apps whose files vanished, too many at once to believe it, may go.").gives(
        200,
        "How many apps stop.",
        stopping,
    )
}

pub(super) fn adoption() -> Operation {
    Operation::new(OPERATE, "Tasks that the store knows nothing of, and what adopting them would do.").gives(
        200,
        "The tasks, in safe mode.",
        named("Adoption"),
    )
}

pub(super) fn adopt() -> Operation {
    Operation::new(OPERATE, "Those tasks are ours.").then(word_of_the_operator)
}

pub(super) fn disown() -> Operation {
    Operation::new(OPERATE, "Those tasks are not ours, and are left alone for ever.").then(word_of_the_operator)
}

fn word_of_the_operator(operation: Operation) -> Operation {
    operation
        .gives(200, "What is done now.", object([("plan", named("AdoptionPlan"))]))
        .refuses(409, "ekiden is not in safe mode, or another scheduler is connected as this framework.")
}

pub(super) fn plan() -> Operation {
    Operation::new(EKIDEN, "What would come of these manifests or apps, or of the loss of these agents.")
        .note("Nothing is stored, and nothing started: who may read may ask.")
        .takes(named("PlanAsked"))
        .gives(200, "The changes, and where instances would go.", named("Plan"))
        .refuses(400, "The body is none that can be read.")
        .gives(422, "The manifests are wrong, or there is no such agent.", named("WrongManifests"))
}

pub(super) fn state() -> Operation {
    let lines = described(text(), "A value in each line; the last one says that it is the last.");
    Operation::new(OPERATE, "All that is stored, as `ekiden state export` writes it.")
        .gives_as(200, "All of it.", "application/jsonl", lines)
        .refuses(404, "Nothing is kept beyond this process.")
}

pub(super) fn task_file() -> Operation {
    Operation::new(EKIDEN, "A piece of what a task wrote, of at most 1 MiB.")
        .asks([
            query(
                "offset",
                json!({ "type": "integer", "format": "int64", "default": 0 }),
                "Where the piece begins; from the end, if negative.",
            ),
            query(
                "limit",
                json!({ "type": "integer", "minimum": 0, "maximum": 1_048_576, "default": 1_048_576 }),
                "At most so many bytes.",
            ),
        ])
        .gives_as(200, "The piece.", "text/plain", text())
        .heads(200, &["X-Ekiden-Offset", "X-Ekiden-Size"])
        .refuses(400, "`offset` and `limit` are whole numbers.")
        .refuses(404, "There is no such task or file, or its sandbox is gone.")
}
