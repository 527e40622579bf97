//! Groups, and pods in them, as they are shown.

use serde_json::json;

use super::super::schema::{Member, closed, described, flag, list, named, object, path, text, time, word};

pub(super) fn all() -> Vec<Member> {
    let group = closed([
        ("id", path()),
        ("apps?", list(named("AppInGroup"))),
        ("pods?", list(named("PodStatus"))),
        ("groups?", list(named("Group"))),
        ("dependencies", list(path())),
        ("version", time()),
        ("enforceRole?", flag()),
    ]);
    let pod = json!({ "allOf": [named("ShownPod"), object([("version", time())])] });
    let status = closed([
        ("id", path()),
        ("spec", named("PodInfo")),
        ("status", word(&["STABLE", "DEGRADED"])),
        ("statusSince", time()),
        ("message", text()),
        ("instances", list(json!({}))),
        ("terminationHistory", list(json!({}))),
        ("lastUpdated", time()),
        ("lastChanged", time()),
    ]);
    vec![
        ("Group", described(group, "A group. Of apps, pods and groups those are shown that were asked for.")),
        ("PodInfo", described(pod, "A pod: its definition, all defaults written out, and its version.")),
        ("PodStatus", described(status, "How a pod is. Nothing of it runs yet.")),
    ]
}
