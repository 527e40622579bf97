//! Numbers that an operator can set and controllers need. Defaults are Marathon's where it has them (§5).

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::id::Role;

/// Settings of the brain.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The role of apps that name none (`--mesos_role`).
    pub default_role: Role,
    /// Where service ports come from, inclusive (`--local_port_min`, `--local_port_max`).
    pub service_ports: RangeInclusive<u16>,
    /// A launch that nobody confirmed for so long, or that stays in staging for so long, is killed and retried
    /// (`--task_launch_timeout`).
    pub launch_timeout: Duration,
    /// A kill that was not answered is sent again after this.
    pub kill_retry: Duration,
    /// Once the cluster has answered for every task, it is asked about all of them again after this
    /// (`--reconciliation_interval`): whatever message was lost for good comes to light then.
    pub reconcile_every: Duration,
    /// An offer that nothing wants is declined for this long (`--decline_offer_duration`).
    pub decline_for: Duration,
    /// So long before an agent's announced maintenance its instances begin to move away, and nothing is placed on it
    /// any more (`--draining_seconds`).
    pub drain_before: Duration,
    /// Whether announced maintenance is heeded at all (`--maintenance_mode`). That an operator drains an agent always is.
    pub heed_maintenance: bool,
    /// Whose resources an app uses that does not say so itself (`--accepted_resource_roles_default_behavior`).
    pub accepted_roles: AcceptedRoles,
    /// Most instances that are launched from all offers at hand of one agent together, of whatever apps
    /// (`--max_instances_per_offer`); what is left of them is offered again. Marathon's default of 5 spreads launches over
    /// agents; here that is the search's own doing, and nothing bounds it.
    pub launches_per_lot: u32,
    /// Most instances of one app that are placed before other apps get their turn.
    pub launches_per_turn: u32,
    /// Share of an app's instances that may become condemned within [`Self::breaker_window`] before the breaker
    /// stops kills for health; it takes more than [`Self::breaker_minimum`] of them, too. The same for the cluster's
    /// agents that may stop answering before their instances' replacement waits ([`Agents::vanished`]).
    ///
    /// [`Agents::vanished`]: crate::agent::Agents::vanished
    pub breaker_share: f64,
    /// See [`Self::breaker_share`].
    pub breaker_minimum: u32,
    /// See [`Self::breaker_share`].
    pub breaker_window: Duration,
    /// Whether an app that is under deployment can only be changed by force, as in Marathon (`--deployment_locks`).
    pub deployment_locks: bool,
    /// Whether a group at the top that is made through the API has its name for the role of its apps, unless it says
    /// otherwise (`--new_group_enforce_role=top`).
    pub new_groups_enforce_role: bool,
}

/// Whose resources are used: what is everybody's, what is reserved to the app's role, or both. For an app of the role `*`
/// that is all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcceptedRoles {
    /// Both.
    #[default]
    Any,
    /// Everybody's.
    Unreserved,
    /// What is reserved to the app's role.
    Reserved,
}

impl AcceptedRoles {
    /// Whether an app of `role` may use what is offered as `of`: that role, or `*`.
    pub fn accept(self, role: &Role, of: &Role) -> bool {
        match self {
            Self::Any => true,
            Self::Unreserved => *of == Role::any(),
            Self::Reserved => of == role,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_role: Role::any(),
            service_ports: 10_000..=20_000,
            launch_timeout: Duration::from_secs(300),
            kill_retry: Duration::from_secs(30),
            reconcile_every: Duration::from_secs(600),
            decline_for: Duration::from_secs(120),
            drain_before: Duration::ZERO,
            heed_maintenance: true,
            accepted_roles: AcceptedRoles::Any,
            launches_per_lot: u32::MAX,
            launches_per_turn: 16,
            breaker_share: 0.5,
            breaker_minimum: 3,
            breaker_window: Duration::from_secs(60),
            deployment_locks: false,
            new_groups_enforce_role: false,
        }
    }
}
