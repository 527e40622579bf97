//! `FrameworkInfo`: as whom we subscribe, and what we are able to hear.

use std::collections::BTreeSet;

use ekiden_model::{FrameworkId, Role};
use serde::Serialize;

use super::super::FrameworkOptions;
use super::values::{Value, id};

/// As whom we subscribe.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct FrameworkInfo<'a> {
    /// What the operator says about us.
    pub(in super::super) options: &'a FrameworkOptions,
    /// Our id, unless we are new.
    pub(in super::super) id: Option<&'a FrameworkId>,
    /// All of our roles.
    pub(in super::super) roles: &'a BTreeSet<Role>,
    /// As whom we authenticate, if at all.
    pub(in super::super) principal: Option<&'a str>,
}

/// What Mesos may tell and give us: tasks on agents that do not answer, offers per role, tasks that are ending, agents
/// of other regions, and reservations within reservations. Draining an agent asks for nothing more.
const CAPABILITIES: [Capability; 5] = [
    Capability { kind: "PARTITION_AWARE" },
    Capability { kind: "MULTI_ROLE" },
    Capability { kind: "TASK_KILLING_STATE" },
    Capability { kind: "REGION_AWARE" },
    Capability { kind: "RESERVATION_REFINEMENT" },
];

#[derive(Debug, Serialize)]
struct Capability {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// SUBSCRIBE and `UPDATE_FRAMEWORK` say the same.
#[derive(Debug, Serialize)]
pub(super) struct Subscription<'a> {
    framework_info: Info<'a>,
    /// Roles for which to make no offers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressed_roles: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct Info<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value<&'a str>>,
    name: &'a str,
    user: &'a str,
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    webui_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    roles: Vec<&'a str>,
    failover_timeout: f64,
    checkpoint: bool,
    capabilities: [Capability; 5],
}

impl<'a> Subscription<'a> {
    pub(super) fn new(info: FrameworkInfo<'a>, suppressed: &'a BTreeSet<Role>) -> Self {
        let options = info.options;
        let framework_info = Info {
            id: info.id.map(|framework| id(framework.as_str())),
            name: &options.name,
            user: &options.user,
            hostname: &options.hostname,
            webui_url: options.webui_url.as_deref(),
            principal: info.principal,
            roles: info.roles.iter().map(Role::as_str).collect(),
            failover_timeout: options.failover_timeout.as_secs_f64(),
            checkpoint: options.checkpoint,
            capabilities: CAPABILITIES,
        };
        Self { framework_info, suppressed_roles: suppressed.iter().map(Role::as_str).collect() }
    }
}
