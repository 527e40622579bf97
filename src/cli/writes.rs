//! The flags that say what comes of what is written through the API: of `serve` and of `dev`.

use clap::{ArgAction, Args, ValueEnum};
use ekiden_model::limits::Settings;

/// What comes of what is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Writing")]
pub(super) struct WriteArgs {
    /// Which groups that are made through the API have their name for the role of their apps, unless they say otherwise:
    /// none, or those at the top
    #[arg(long, value_enum, value_name = "off|top", default_value_t = EnforceRole::Off)]
    new_group_enforce_role: EnforceRole,
    /// While a deployment changes an app, nobody else changes it, unless with `force`: 409, as Marathon answers
    #[arg(
        long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true"
    )]
    deployment_locks: bool,
}

/// Marathon's names for which groups have a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EnforceRole {
    /// None
    Off,
    /// Those at the top
    Top,
}

impl WriteArgs {
    /// The settings with what was said here.
    pub(super) fn added_to(&self, settings: Settings) -> Settings {
        Settings {
            new_groups_enforce_role: self.new_group_enforce_role == EnforceRole::Top,
            deployment_locks: self.deployment_locks,
            ..settings
        }
    }
}
