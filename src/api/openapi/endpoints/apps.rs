//! Apps and their versions (§1.4).

use serde_json::json;

use super::super::APPS;
use super::super::operation::Operation;
use super::super::parameters::{authority, embed, flag, preconditions, query};
use super::super::schema::{closed, described, either, list, named, text, time};

/// What can be shown of apps beside what is always there.
const EMBEDS: [&str; 8] = [
    "apps.tasks",
    "apps.counts",
    "apps.deployments",
    "apps.readiness",
    "apps.lastTaskFailure",
    "apps.failures",
    "apps.taskStats",
    "app.tasks",
];

pub(super) fn all() -> Operation {
    Operation::new(APPS, "All apps, or those that the filters leave.")
        .asks([
            query("cmd", text(), "Those whose command contains this, in any case."),
            query("id", text(), "Those whose path contains this, in any case."),
            query(
                "label",
                text(),
                "Those whose labels are so: `key`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, joined \
                 by commas.",
            ),
            embed(&EMBEDS),
        ])
        .gives(200, "The apps.", closed([("apps", list(named("AppInfo")))]))
        .refuses(422, "`label` is no selector.")
}

pub(super) fn show() -> Operation {
    let one = closed([("app", named("AppInfo"))]);
    let below = closed([("*", list(named("AppInfo")))]);
    Operation::new(APPS, "One app, with its tasks and its last failure; or all apps below a group (`<group>/*`).")
        .asks([embed(&EMBEDS)])
        .gives(200, "The app, or the apps.", either([one, below]))
        .refuses(404, "There is no such app.")
}

pub(super) fn create() -> Operation {
    Operation::new(APPS, "A new app.")
        .note("Members that nobody knows are left out, so that an app can be sent as it was shown.")
        .asks(authority())
        .takes(named("App"))
        .gives(201, "It is declared, and on its way.", named("AppInfo"))
        .heads(201, &["Location", "Marathon-Deployment-Id"])
        .refuses(400, "The body is no such JSON, or a parameter is not what it must be.")
        .refuses(409, "There is an app, group or pod of that name.")
        .refuses(422, "The app cannot be meant so.")
}

pub(super) fn put_all() -> Operation {
    Operation::new(APPS, "Changes apps, or makes them, all in one deployment.").then(many)
}

pub(super) fn patch_all() -> Operation {
    Operation::new(APPS, "Changes apps that there are, all in one deployment.").then(many)
}

pub(super) fn put() -> Operation {
    Operation::new(APPS, "Changes an app, or makes it.")
        .then(one)
        .gives(201, "It is declared, and on its way.", named("Deployed"))
        .heads(201, &["Location", "Marathon-Deployment-Id"])
}

pub(super) fn patch() -> Operation {
    Operation::new(APPS, "Changes an app that there is.").then(one)
}

fn many(operation: Operation) -> Operation {
    let update = json!({ "allOf": [named("AppUpdate"), { "required": ["id"] }] });
    operation.takes(list(update)).then(change)
}

fn one(operation: Operation) -> Operation {
    operation
        .takes(described(
            named("AppUpdate"),
            "The members that change; or nothing but `version`, to go back to that one.",
        ))
        .then(change)
}

fn change(operation: Operation) -> Operation {
    operation
        .asks(authority())
        .asks([flag("partialUpdate", true, "Whether members that are not sent stay as they are.")])
        .asks(preconditions())
        .then(deployed)
        .refuses(400, "The body is no such JSON, or a parameter is not what it must be.")
        .refuses(404, "There is no such app, or it has no such version.")
        .refuses(412, "It is not the version that `If-Match` or `If-None-Match` asks for.")
        .refuses(422, "The app cannot be meant so.")
}

pub(super) fn delete() -> Operation {
    Operation::new(APPS, "Removes an app.").then(whole)
}

pub(super) fn restart() -> Operation {
    Operation::new(APPS, "Replaces all instances of an app.").then(whole)
}

fn whole(operation: Operation) -> Operation {
    operation
        .asks(authority())
        .asks(preconditions())
        .then(deployed)
        .refuses(404, "There is no such app.")
        .refuses(412, "It is not the version that `If-Match` or `If-None-Match` asks for.")
        .refuses(422, "An override lacks its reason or its end.")
}

/// What writes are answered with that begin a deployment, and what keeps them from it.
pub(super) fn deployed(operation: Operation) -> Operation {
    operation
        .gives(200, "It is declared, and on its way.", named("Deployed"))
        .heads(200, &["Marathon-Deployment-Id"])
        .refuses(409, "A file declares it, or it is locked, or it kept changing meanwhile.")
}

pub(super) fn versions() -> Operation {
    Operation::new(APPS, "The versions of an app that are remembered, the newest first.")
        .gives(200, "The versions.", closed([("versions", list(time()))]))
        .refuses(404, "There is no such app.")
}

pub(super) fn version() -> Operation {
    Operation::new(APPS, "An app as it was declared then.")
        .gives(200, "The definition.", named("AppVersion"))
        .refuses(404, "There is no such app, or it has no such version.")
        .refuses(422, "It is no version.")
}
