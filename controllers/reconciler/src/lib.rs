//! The reconciler: folds what happened into the world, asks the controllers, and says what is to be done.

use ekiden_model::input::Abilities;
use ekiden_model::limits::Settings;
use ekiden_model::record::{Installation, Record};
use ekiden_model::view::Settled;
use ekiden_model::{Agents, AppId, AppState, Effect, Input, OfferBook, Report, Timestamp};

/// The brain. Synchronous and deterministic: the same inputs at the same times give the same effects.
#[derive(Debug)]
pub struct Reconciler {
    agents: Agents,
}

/// How much was looked at, ever: shows that work follows the change and not the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Apps that controllers were asked about.
    pub apps_visited: u64,
    /// Instances of those apps.
    pub instances_visited: u64,
}

/// Why a reconciler cannot start from these records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There are apps or slots, but not the record of the installation they belong to.
    #[error("the store has apps but no installation record: it is damaged or not a store of ekiden")]
    NoInstallation,
    /// A slot without its app.
    #[error("the store has instances of {0} but not the app itself")]
    OrphanSlot(AppId),
}

impl Reconciler {
    /// Starts from what was stored; from nothing, as the new installation `fresh`.
    pub fn restore(
        _settings: Settings,
        _abilities: Abilities,
        _fresh: Installation,
        _records: Vec<Record>,
    ) -> Result<Self, RestoreError> {
        Ok(Self { agents: Agents::new() })
    }

    /// Takes in what happened, in order, and says what is to be done, in order. Work is bounded: when there is more
    /// to do, [`Reconciler::next_wake`] is `now`.
    pub fn step(&mut self, _now: Timestamp, _inputs: Vec<Input>) -> Vec<Effect> {
        Vec::new()
    }

    /// When [`Reconciler::step`] wants to be called although nothing happened; never, if nothing is to come.
    pub fn next_wake(&self) -> Option<Timestamp> {
        None
    }

    /// The apps that changed in any way since this was last asked, withdrawn and forgotten ones included.
    pub fn take_touched(&mut self) -> Vec<AppId> {
        Vec::new()
    }

    /// One app.
    pub fn app(&self, _id: &AppId) -> Option<&AppState> {
        None
    }

    /// All apps, by id.
    pub fn apps(&self) -> impl Iterator<Item = &AppState> {
        std::iter::empty()
    }

    /// What an app waits for, by all controllers together; empty when all is as declared.
    pub fn report(&self, _id: &AppId) -> Report {
        Report::empty()
    }

    /// How many instances an app shall have.
    pub fn desired(&self, _id: &AppId) -> u32 {
        0
    }

    /// The agents we know.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// The offers at hand.
    pub fn book(&self) -> &OfferBook {
        unimplemented!("lands with the reconciler")
    }

    /// Whether absence is evidence yet.
    pub fn settled(&self) -> Settled {
        Settled::Yes
    }

    /// How much was looked at, ever.
    pub fn work(&self) -> Work {
        Work::default()
    }
}
