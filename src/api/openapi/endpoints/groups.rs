//! Groups (§1.5).

use super::super::GROUPS;
use super::super::operation::Operation;
use super::super::parameters::{authority, embed, flag};
use super::super::schema::{self, closed, either, list, named, object, time};
use super::apps::deployed;

/// What can be shown of groups.
const EMBEDS: [&str; 11] = [
    "group.groups",
    "group.apps",
    "group.pods",
    "group.apps.tasks",
    "group.apps.counts",
    "group.apps.deployments",
    "group.apps.readiness",
    "group.apps.lastTaskFailure",
    "group.apps.failures",
    "group.apps.taskStats",
    "apps.tasks",
];

pub(super) fn show() -> Operation {
    Operation::new(GROUPS, "A group and all that is in it.")
        .asks([embed(&EMBEDS)])
        .gives(200, "The group.", named("Group"))
        .refuses(404, "There is no such group.")
}

pub(super) fn apps() -> Operation {
    Operation::new(GROUPS, "All apps of a group, at any depth.")
        .asks([embed(&EMBEDS)])
        .gives(200, "The apps.", closed([("apps", list(named("AppInGroup")))]))
        .refuses(404, "There is no such group.")
}

pub(super) fn versions() -> Operation {
    Operation::new(GROUPS, "The versions of a group that are remembered, the newest first.")
        .gives(200, "The versions.", list(time()))
        .refuses(404, "There is no such group.")
}

pub(super) fn version() -> Operation {
    Operation::new(GROUPS, "A group as it was then.")
        .asks([embed(&EMBEDS)])
        .gives(200, "The group.", named("Group"))
        .refuses(404, "There is no such group, or it has no such version.")
        .refuses(422, "It is no version.")
}

pub(super) fn create() -> Operation {
    Operation::new(GROUPS, "A new group, with all that is to be in it.")
        .asks(authority())
        .takes(named("GroupUpdate"))
        .gives(201, "It is declared, and on its way.", named("Deployed"))
        .heads(201, &["Location", "Marathon-Deployment-Id"])
        .refuses(400, "The body is no such JSON, or a parameter is not what it must be.")
        .refuses(404, "It is no path of a group.")
        .refuses(409, "There is something of that name, or a file declares what would change.")
        .refuses(422, "The group cannot be meant so.")
}

pub(super) fn put() -> Operation {
    let dry = closed([("steps", list(named("Step")))]);
    Operation::new(GROUPS, "Changes a group, or makes it; goes back to a version; or scales all that is in it.")
        .asks(authority())
        .asks([flag("dryRun", false, "Whether it is only told what would be done.")])
        .takes(named("GroupUpdate"))
        .gives(200, "It is on its way; with `dryRun`, the steps.", either([named("Deployed"), dry]))
        .heads(200, &["Marathon-Deployment-Id"])
        .refuses(400, "The body is no such JSON, or a parameter is not what it must be.")
        .refuses(404, "The group has no such version.")
        .refuses(409, "A file declares what would change, or it is locked, or it kept changing meanwhile.")
        .refuses(422, "The group cannot be meant so.")
}

pub(super) fn patch() -> Operation {
    Operation::new(GROUPS, "Whether a group at the top gives its apps its name for a role.")
        .takes(object([("enforceRole", schema::flag())]))
        .gives_nothing(200, "So it is, for apps that are declared from now on.")
        .refuses(400, "The body is no such JSON.")
        .refuses(404, "There is no such group.")
        .refuses(422, "The group is not at the top.")
}

pub(super) fn delete() -> Operation {
    Operation::new(GROUPS, "Removes a group and all that is in it. The group of everything is emptied.")
        .asks(authority())
        .then(deployed)
        .refuses(404, "There is no such group.")
        .refuses(422, "What is left cannot be so, or an override lacks its reason or its end.")
}
