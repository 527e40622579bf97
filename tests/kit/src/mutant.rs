//! Known-bad variants of Ekiden, to show that the simulator sees what it is there to see.
//!
//! Each is planted at the border between the reconciler and the world: an input that says more than is true, or an
//! effect that is carried out otherwise than meant. So the code that is tested stays free of hooks. What a variant
//! stands for is the mistake inside Ekiden that would look the same from outside.

use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{App, Capacity, Count};
use ekiden_model::edit::Edit;
use ekiden_model::input::Command;

/// A known-bad variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Status updates are acknowledged as soon as they arrive.
    AcknowledgeBeforeDurable,
    /// The store says that all is durable before it is, so that launches overtake their records.
    LaunchBeforeDurable,
    /// The floor of every app is taken for 0.
    KillWithoutFloor,
    /// Every app is taken to allow many instances beyond those declared.
    LaunchBeyondCeiling,
    /// An unreachable instance is taken to be gone: it, and the port that it holds, are forgotten.
    ForgetUnreachable,
    /// A launch takes the port of another task, which is not on offer.
    TakeUsedPort,
    /// A launch is sent a second time.
    LaunchTwice,
    /// The record of a slot is left out of a batch.
    DropSlotWrite,
    /// After a restart, apps that were not declared again yet are taken for withdrawn.
    IgnoreSettled,
    /// The wait after a failure is forgotten at once.
    SkipBackoff,
    /// A failed health check is taken for a success.
    HealthyForCondemned,
    /// Constraints are not looked at.
    IgnoreConstraints,
    /// The breaker of kills for health never opens.
    NoBreaker,
    /// Kills are decided and not sent.
    SwallowKills,
    /// Every tick asks for offers.
    NeverIdle,
    /// Updates are never acknowledged.
    NeverAcknowledge,
    /// Every task that the cluster reports and the store does not know is killed.
    KillUnknown,
    /// What is on an agent that is to be left is ended at once, whatever the floor.
    DrainAtOnce,
    /// Announced maintenance is not heeded: instances go where they are to leave.
    PlaceOnLeaving,
    /// What the cluster found to run is taken for nothing, so that a lost store begins as a new framework.
    SubscribeAsNew,
    /// Safe mode ends although no operator has said so.
    LaunchInSafeMode,
    /// What an adopted task runs is not looked at, so that all of them are replaced.
    RestartAdopted,
    /// Tasks that the store knows nothing of are killed while nobody has said whose they are.
    KillForeign,
    /// Versions are not written, although those who made them are told that they are kept.
    DropVersionWrite,
    /// A request is answered a second time.
    AnswerTwice,
    /// Requests are never answered.
    NeverAnswer,
    /// What a later change set takes from a deployment is followed by it all the same.
    FollowSuperseded,
    /// The end of a deployment is not written.
    NeverEndDeployment,
    /// A deployment that is to be turned round is only followed no longer.
    CancelForward,
    /// What holds instead of a file goes on to hold.
    OverrideForGood,
}

/// All of them, each with the invariants of which one must break.
pub const MUTANTS: [(Mutant, &[&str]); 30] = [
    (Mutant::AcknowledgeBeforeDurable, &["S5"]),
    (Mutant::LaunchBeforeDurable, &["S5"]),
    (Mutant::KillWithoutFloor, &["S2"]),
    (Mutant::LaunchBeyondCeiling, &["S1"]),
    (Mutant::ForgetUnreachable, &["S7"]),
    (Mutant::TakeUsedPort, &["S3"]),
    (Mutant::LaunchTwice, &["S6"]),
    (Mutant::DropSlotWrite, &["S5"]),
    (Mutant::IgnoreSettled, &["S7"]),
    (Mutant::SkipBackoff, &["S8"]),
    (Mutant::HealthyForCondemned, &["L1", "S2"]),
    (Mutant::IgnoreConstraints, &["S4"]),
    (Mutant::NoBreaker, &["S10"]),
    (Mutant::SwallowKills, &["L1"]),
    (Mutant::NeverIdle, &["L2"]),
    (Mutant::NeverAcknowledge, &["L1"]),
    (Mutant::KillUnknown, &["S7"]),
    (Mutant::DrainAtOnce, &["S2"]),
    (Mutant::PlaceOnLeaving, &["S4"]),
    (Mutant::SubscribeAsNew, &["S7"]),
    (Mutant::LaunchInSafeMode, &["S7"]),
    (Mutant::RestartAdopted, &["S7"]),
    (Mutant::KillForeign, &["S7"]),
    (Mutant::DropVersionWrite, &["S5"]),
    (Mutant::AnswerTwice, &["S11"]),
    (Mutant::NeverAnswer, &["L1"]),
    (Mutant::FollowSuperseded, &["S11"]),
    (Mutant::NeverEndDeployment, &["L1"]),
    (Mutant::CancelForward, &["S11"]),
    (Mutant::OverrideForGood, &["S11"]),
];

impl Mutant {
    /// Whether it can only show where the cluster remembers frameworks and the store is lost.
    pub fn needs_memory(self) -> bool {
        matches!(self, Self::SubscribeAsNew | Self::LaunchInSafeMode | Self::RestartAdopted | Self::KillForeign)
    }

    /// Whether it can only show where there are clients of the API.
    pub fn needs_requests(self) -> bool {
        matches!(
            self,
            Self::DropVersionWrite
                | Self::AnswerTwice
                | Self::NeverAnswer
                | Self::FollowSuperseded
                | Self::NeverEndDeployment
                | Self::CancelForward
                | Self::OverrideForGood
        )
    }

    /// The command as the variant takes it.
    pub fn command(self, command: Command) -> Command {
        match command {
            // An edit that says nothing: so its answer is one that is expected.
            Command::Cancel(_, authority) if self == Self::CancelForward => {
                Command::Edit(Box::new(Edit { authority, ..Edit::default() }))
            }
            Command::Edit(mut edit) if self == Self::OverrideForGood => {
                if let Some(over) = &mut edit.authority.over {
                    over.until = over.until + Duration::from_secs(3600);
                }
                Command::Edit(edit)
            }
            other => other,
        }
    }

    /// The declaration as the variant takes it.
    pub fn declaration(self, app: &Arc<App>) -> Arc<App> {
        let mut changed = (**app).clone();
        match self {
            Self::KillWithoutFloor => {
                let max_surge = Count::Whole(0);
                changed.capacity = Capacity::Counted { max_surge, max_unavailable: Count::Whole(u32::MAX) };
            }
            Self::LaunchBeyondCeiling => {
                let bounds = app.capacity.bounds(app.instances);
                changed.capacity = Capacity::Counted {
                    max_surge: Count::Whole(app.instances + 8),
                    max_unavailable: Count::Whole(app.instances.saturating_sub(bounds.floor)),
                };
            }
            Self::IgnoreConstraints => changed.constraints.clear(),
            _ => return app.clone(),
        }
        Arc::new(changed)
    }
}
