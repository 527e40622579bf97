//! Between Mesos' JSON (scheduler and operator API, version 1) and the model's words. Pure: bytes in, values out, and
//! back.
//!
//! Owns every name that Mesos gives to a field, and what a field that is missing or strange means. It does not decide
//! and does not remember; the one thing that Mesos wants to hear back word by word, how reserved resources came to be
//! reserved, is handed to whoever keeps outstanding offers ([`Reservations`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::input::{Ack, TaskStatus};
use ekiden_model::{AgentId, FrameworkId, Offer, OfferId, Role, TaskId, Timestamp};

use super::super::Call;
use super::FrameworkOptions;

/// As whom we subscribe.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameworkInfo<'a> {
    /// What the operator says about us.
    pub(super) options: &'a FrameworkOptions,
    /// Our id, unless we are new.
    pub(super) id: Option<&'a FrameworkId>,
    /// All of our roles.
    pub(super) roles: &'a BTreeSet<Role>,
    /// As whom we authenticate.
    pub(super) principal: Option<&'a str>,
}

/// The body of SUBSCRIBE.
pub(super) fn subscribe(_info: FrameworkInfo<'_>, _suppressed: &BTreeSet<Role>) -> Vec<u8> {
    Vec::new()
}

/// The body of UPDATE_FRAMEWORK, which adds roles.
pub(super) fn update_framework(_info: FrameworkInfo<'_>, _suppressed: &BTreeSet<Role>) -> Vec<u8> {
    Vec::new()
}

/// The body of a call; none for what is no call of Mesos' (a survey, and becoming a framework). Forgets the
/// reservations of offers that the call uses up.
pub(super) fn call(_framework: &FrameworkId, _call: &Call, _reservations: &mut Reservations) -> Option<Vec<u8>> {
    None
}

/// The body of a RECONCILE for a task that nobody ever had: its answer comes after those of the implicit
/// reconciliation asked for before.
pub(super) fn reconcile_marker(_framework: &FrameworkId, _marker: &TaskId) -> Vec<u8> {
    Vec::new()
}

/// The body of ACCEPT_INVERSE_OFFERS: maintenance may go ahead.
pub(super) fn accept_inverse(_framework: &FrameworkId, _offers: &[OfferId]) -> Vec<u8> {
    Vec::new()
}

/// The body of TEARDOWN.
pub(super) fn teardown(_framework: &FrameworkId) -> Vec<u8> {
    Vec::new()
}

/// How the reserved resources of outstanding offers came to be reserved, which a launch that uses them must repeat.
/// Empty while nothing is reserved for us. Clear it when a connection ends.
#[derive(Debug, Default)]
pub(super) struct Reservations {}

impl Reservations {
    /// Adds those of new offers.
    pub(super) fn extend(&mut self, _new: Self) {}

    /// Forgets those of an offer that is no more.
    pub(super) fn forget(&mut self, _offer: &OfferId) {}

    /// Forgets all.
    pub(super) fn clear(&mut self) {}
}

/// What a frame of the event stream says.
#[derive(Debug)]
pub(super) enum Event {
    /// We are subscribed.
    Subscribed {
        /// Our id from now on.
        framework: FrameworkId,
        /// How often to expect [`Event::Heartbeat`]; none, if there will be none.
        heartbeat: Option<Duration>,
    },
    /// Resources are offered.
    Offers(Vec<Offer>, Reservations),
    /// Agents are to go into maintenance.
    InverseOffers(Vec<InverseOffer>),
    /// An offer is taken back.
    Rescind(OfferId),
    /// A maintenance is called off, or not asked about any more.
    RescindInverse(OfferId),
    /// A task's state.
    Update(TaskStatus),
    /// A task's state that has no word here. It says nothing to anybody, but the update must be acknowledged, or no later
    /// one comes.
    StrangeUpdate {
        /// As Mesos wrote it.
        state: String,
        /// What to acknowledge, if anything.
        ack: Option<Ack>,
    },
    /// An agent is gone, or, if one is named, an executor on it.
    Failure {
        /// Which agent.
        agent: Option<AgentId>,
        /// Which executor.
        executor: Option<String>,
    },
    /// The master has had enough of us, and says why.
    Error(String),
    /// The master is there.
    Heartbeat,
    /// An executor says something to us. We have nothing to talk about.
    Message,
    /// How an operation on resources went. We ask for none that wants to know.
    OperationStatus,
    /// Something that did not exist when this was written: its name.
    Unknown(String),
}

/// An agent is to go into maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InverseOffer {
    /// Its id, for the answer.
    pub(super) id: OfferId,
    /// Which agent; none, if it is about all.
    pub(super) agent: Option<AgentId>,
    /// From when, and for how long (for ever when not given).
    pub(super) window: (Timestamp, Option<Duration>),
}

/// The master said something that cannot be understood: it, or something between us, is no Mesos 1.x master. Connecting
/// again is all that can be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// Not of the form expected.
    #[error("the master's answer is not what Mesos 1.11 says: {0}")]
    Json(#[from] serde_json::Error),
    /// Without what cannot be done without.
    #[error("the master's event {event} has no `{field}`")]
    Missing {
        /// Which event.
        event: &'static str,
        /// Which field.
        field: &'static str,
    },
}

/// Reads one frame.
pub(super) fn read_event(frame: &[u8]) -> Result<Event, WireError> {
    let _: serde_json::Value = serde_json::from_slice(frame)?;
    Ok(Event::Unknown(String::new()))
}

/// The operator calls that find out what runs for us, and their answers.
pub(super) mod survey {
    use std::sync::Arc;

    use ekiden_model::FrameworkId;
    use ekiden_model::input::Found;

    use super::WireError;

    /// The bodies of the calls whose answers [`read`] wants, in their order: GET_AGENTS, GET_FRAMEWORKS, GET_TASKS.
    pub(in super::super) const CALLS: [&str; 3] =
        [r#"{"type":"GET_AGENTS"}"#, r#"{"type":"GET_FRAMEWORKS"}"#, r#"{"type":"GET_TASKS"}"#];

    /// Whom to look for.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Wanted<'a> {
        /// Our name.
        pub(in super::super) name: &'a str,
        /// Our id, if we have one: then the name does not matter.
        pub(in super::super) id: Option<&'a FrameworkId>,
        /// Whether we are subscribed, so that whoever is connected as this framework is us.
        pub(in super::super) subscribed: bool,
    }

    /// Reads the answers to [`CALLS`].
    pub(in super::super) fn read(_wanted: Wanted<'_>, _answers: [&[u8]; 3]) -> Result<Found, WireError> {
        let _: Option<Arc<str>> = None;
        Ok(Found::default())
    }
}
