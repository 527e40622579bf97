//! Enums without values: by their names in JSON, by their place in what is packed. What comes later is added at the end.

use ekiden_model::health::Verdict as ModelVerdict;
use ekiden_model::instance::{Condition as ModelCondition, Goal as ModelGoal};
use ekiden_model::report::{FailureCause as ModelFailureCause, KillCause as ModelKillCause};
use serde::{Deserialize, Serialize};

/// An enum of our own with the variants of the model's. A variant added there fails to compile here, and with it comes
/// the question of a new version.
macro_rules! names {
    ($name:ident = $model:ident { $($variant:ident),* $(,)? }) => {
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) enum $name { $($variant),* }

        impl From<$model> for $name {
            fn from(model: $model) -> Self {
                match model { $($model::$variant => Self::$variant),* }
            }
        }

        impl From<$name> for $model {
            fn from(kept: $name) -> Self {
                match kept { $($name::$variant => Self::$variant),* }
            }
        }
    };
}

names!(Goal = ModelGoal { Running, Stopped, Decommissioned });
names!(Verdict = ModelVerdict { Unknown, Healthy, Unhealthy, Condemned });
names!(FailureCause = ModelFailureCause { App, Infrastructure });
names!(
    KillCause = ModelKillCause {
        Removed,
        ScaledIn,
        Replaced,
        Unhealthy,
        Overdue,
        Returned,
        Redundant,
        Unreachable,
        Operator,
        Misplaced,
        Draining,
    }
);
names!(
    Condition = ModelCondition {
        Provisioned,
        Staging,
        Starting,
        Running,
        Killing,
        Unreachable,
        Finished,
        Failed,
        Error,
        Killed,
        Gone,
        Dropped,
        Unknown,
        Lost,
    }
);
