//! Pods (§1.11).

use super::super::PODS;
use super::super::operation::Operation;
use super::super::parameters::authority;
use super::super::schema::{list, named, text, time};

pub(super) fn all() -> Operation {
    Operation::new(PODS, "All pods.").gives(200, "The pods.", list(named("PodInfo")))
}

pub(super) fn statuses() -> Operation {
    Operation::new(PODS, "How all pods are.").gives(200, "All of them.", list(named("PodStatus")))
}

pub(super) fn show() -> Operation {
    Operation::new(PODS, "One pod.").gives(200, "The pod.", named("PodInfo")).refuses(404, "There is no such pod.")
}

pub(super) fn status() -> Operation {
    Operation::new(PODS, "How a pod is.")
        .gives(200, "How it is.", named("PodStatus"))
        .refuses(404, "There is no such pod.")
}

pub(super) fn versions() -> Operation {
    Operation::new(PODS, "The versions of a pod that are remembered, the newest first.")
        .gives(200, "The versions.", list(time()))
        .refuses(404, "There is no such pod.")
}

pub(super) fn version() -> Operation {
    Operation::new(PODS, "A pod as it was declared then.")
        .gives(200, "The pod.", named("PodInfo"))
        .refuses(404, "There is no such pod, or it has no such version.")
        .refuses(422, "It is no version.")
}

pub(super) fn create() -> Operation {
    Operation::new(PODS, "A new pod. It is kept, and not run yet.")
        .gives(201, "It is kept.", named("PodInfo"))
        .heads(201, &["Location", "Marathon-Deployment-Id", "Warning"])
        .then(write)
        .refuses(409, "There is something of that name.")
}

pub(super) fn replace() -> Operation {
    Operation::new(PODS, "Another definition in place of the one that there is.")
        .gives(200, "It is kept.", named("PodInfo"))
        .heads(200, &["Marathon-Deployment-Id", "Warning"])
        .then(write)
        .refuses(404, "There is no such pod.")
        .refuses(409, "It is locked, or it kept changing meanwhile.")
}

fn write(operation: Operation) -> Operation {
    operation
        .asks(authority())
        .takes(named("Pod"))
        .refuses(400, "The body is no such JSON, or a parameter is not what it must be.")
        .refuses(422, "The pod cannot be meant so.")
}

pub(super) fn delete() -> Operation {
    Operation::new(PODS, "Removes a pod.")
        .asks(authority())
        .gives_nothing(202, "It goes.")
        .heads(202, &["Location", "Marathon-Deployment-Id"])
        .refuses(404, "There is no such pod.")
        .refuses(409, "It is locked.")
        .refuses(422, "An override lacks its reason or its end.")
}

pub(super) fn kill_instances() -> Operation {
    Operation::new(PODS, "Ends instances of a pod: of those that are named, none is there.")
        .takes(list(text()))
        .gives(200, "What was ended.", list(text()))
        .refuses(400, "The body is no list of ids.")
        .refuses(404, "There is no such pod.")
}

pub(super) fn kill_instance() -> Operation {
    Operation::new(PODS, "Ends one instance of a pod: none is there.").refuses(404, "There is no such instance.")
}
