//! Tasks, the queue and deployments (§1.6–§1.8).

use serde_json::{Value, json};

use super::super::operation::Operation;
use super::super::parameters::{authority, flag, query, several};
use super::super::schema::{closed, either, list, named, text};
use super::super::{DEPLOYMENTS, QUEUE, TASKS};

fn networks() -> Value {
    let text_of_names = json!({ "type": "array", "items": { "type": "string" } });
    let about = "In lines of text, also apps on these container networks; `*` for all.";
    query("containerNetworks", text_of_names, about)
}

fn several_tasks() -> Value {
    closed([("tasks", list(named("Task")))])
}

pub(super) fn tasks() -> Operation {
    Operation::new(TASKS, "All tasks that are not over; as lines for scripts for who asks for text.")
        .asks([several("status", &["running", "staging"], "Those in these states."), networks()])
        .gives(200, "The tasks.", several_tasks())
        .gives_as(200, "", "text/plain", text())
}

pub(super) fn tasks_of_app() -> Operation {
    Operation::new(TASKS, "The tasks of an app, or of all apps below a group (`<group>/*`).")
        .asks([networks()])
        .gives(200, "The tasks.", several_tasks())
        .gives_as(200, "", "text/plain", text())
        .refuses(404, "There is no such app.")
}

pub(super) fn kill_tasks_of_app() -> Operation {
    Operation::new(TASKS, "Ends the tasks of an app.")
        .asks([query("host", text(), "Those on this host.")])
        .gives(200, "What was ended; with `scale`, the deployment.", either([several_tasks(), named("Deployed")]))
        .then(killing)
        .refuses(404, "There is no such app.")
}

pub(super) fn kill_task_of_app() -> Operation {
    let one = closed([("task", named("Task"))]);
    Operation::new(TASKS, "Ends one task of an app.")
        .gives(200, "What was ended; with `scale`, the deployment.", either([one, named("Deployed")]))
        .then(killing)
        .refuses(404, "There is no such app, or it has no such task.")
}

pub(super) fn kill_tasks() -> Operation {
    let body = json!({ "type": "object", "required": ["ids"], "properties": { "ids": list(text()) } });
    Operation::new(TASKS, "Ends tasks.")
        .takes(body)
        .gives(200, "What was ended; with `scale`, the deployment.", either([several_tasks(), named("Deployed")]))
        .then(killing)
        .refuses(404, "An app that is to be scaled has gone.")
}

fn killing(operation: Operation) -> Operation {
    operation
        .asks([
            flag("scale", false, "Whether the apps get so many instances less, instead of others for them."),
            flag("wipe", false, "Accepted; nothing outlives a task, so to wipe is to kill. Not with `scale`."),
        ])
        .asks(authority())
        .refuses(400, "The body is no such JSON, or parameters are not what they must be.")
        .refuses(409, "It would scale an app that a file declares, or that is locked.")
        .refuses(422, "An override lacks its reason or its end.")
}

pub(super) fn queue() -> Operation {
    Operation::new(QUEUE, "Apps with instances that wait for a place, and why.")
        .asks([several("embed", &["lastUnusedOffers"], "What is shown beside what is always there.")])
        .gives(200, "The queue.", closed([("queue", list(named("QueueItem")))]))
}

pub(super) fn reset_delay() -> Operation {
    Operation::new(QUEUE, "Forgets an app's wait after failures.")
        .gives_nothing(204, "It waits no more.")
        .refuses(404, "There is no such app in the queue.")
}

pub(super) fn deployments() -> Operation {
    Operation::new(DEPLOYMENTS, "What is under way.").gives(200, "The deployments.", list(named("Deployment")))
}

pub(super) fn cancel_deployment() -> Operation {
    Operation::new(DEPLOYMENTS, "Turns a deployment round; with `force`, only follows it no longer.")
        .asks(authority())
        .gives(200, "It goes back, by another deployment.", named("Deployed"))
        .heads(200, &["Marathon-Deployment-Id"])
        .gives_nothing(202, "It is followed no longer.")
        .refuses(404, "There is no such deployment.")
        .refuses(409, "A file declares what would go back.")
        .refuses(422, "An override lacks its reason or its end.")
}
