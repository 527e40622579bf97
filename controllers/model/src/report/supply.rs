//! How it stands with offers to a role to which none is at hand.

use std::fmt;

use crate::time::Timestamp;

/// Why there are no offers to a role, as far as it can be told from this side. Points in time, not ages: a report that
/// changed with every second would be told anew with every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// There is no connection to a master.
    Disconnected {
        /// Since when; not known where there has not been one since the start.
        since: Option<Timestamp>,
    },
    /// Nothing was offered to any role of ours since offers to this one were asked for.
    Nothing {
        /// When they were.
        since: Timestamp,
    },
    /// Nothing was offered to this role since offers to it were asked for, though others of our roles had offers.
    OtherRolesOnly {
        /// When they were.
        since: Timestamp,
    },
    /// What was offered to this role was used up, given back or taken back.
    Over {
        /// When something last came.
        since: Timestamp,
    },
}

impl Supply {
    /// Since when it has been so.
    pub fn since(self) -> Option<Timestamp> {
        match self {
            Self::Disconnected { since } => since,
            Self::Nothing { since } | Self::OtherRolesOnly { since } | Self::Over { since } => Some(since),
        }
    }
}

impl fmt::Display for Supply {
    /// What follows on "offers to role R: ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected { since: None } => f.write_str("none, without a connection to a master so far"),
            Self::Disconnected { since: Some(since) } => {
                write!(f, "none, without a connection to a master since {since}")
            }
            Self::Nothing { since } => write!(
                f,
                "none since they were asked for at {since}, nor to another role: are there agents with free \
                 resources, and has the role quota?"
            ),
            Self::OtherRolesOnly { since } => write!(
                f,
                "none since they were asked for at {since}, while other roles get some: look at the role's quota and \
                 at what is reserved"
            ),
            Self::Over { since } => {
                write!(f, "none since {since}: all is in use, or offered to others for now")
            }
        }
    }
}
