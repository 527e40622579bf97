//! The event stream: what the master says, frame by frame.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ekiden_model::input::{Ack, FrameworkMessage, TaskStatus};
use ekiden_model::{AgentId, FrameworkId, Offer, OfferId, Timestamp};
use serde::Deserialize;

use super::WireError;
use super::offer::{self, OfferInfo};
use super::resources::Reservations;
use super::status::Status;
use super::values::{Number, Text, Unavailability, Value};

/// Most bytes kept of what an executor says: events are kept for a while, and each byte becomes a number in a list.
const DATA_MAX_BYTES: usize = 10_000;

/// What a frame of the event stream says.
#[derive(Debug)]
pub(in super::super) enum Event {
    /// We are subscribed.
    Subscribed {
        /// Our id from now on.
        framework: FrameworkId,
        /// How often to expect [`Event::Heartbeat`]; none, if there will be none.
        heartbeat: Option<Duration>,
    },
    /// Resources are offered; and how those among them that are reserved came to be.
    Offers(Vec<Offer>, Reservations),
    /// Agents are to go into maintenance.
    InverseOffers(Vec<InverseOffer>),
    /// An offer is taken back.
    Rescind(OfferId),
    /// A maintenance is called off, or not asked about any more.
    RescindInverse(OfferId),
    /// A task's state.
    Update(TaskStatus),
    /// A task's state that has no word here. It says nothing to anybody, but it must be acknowledged, or no later one
    /// comes.
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
    /// An executor says something to us. Ours have nothing to say, those of tasks that we have taken over may.
    Message(FrameworkMessage),
    /// How an operation on resources went. We ask for none that would tell.
    OperationStatus,
    /// Something that did not exist when this was written: its name.
    Unknown(String),
}

/// An agent is to go into maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct InverseOffer {
    /// Its id, for the answer.
    pub(in super::super) id: OfferId,
    /// Which agent; none, if it is about all.
    pub(in super::super) agent: Option<AgentId>,
    /// From when, and for how long (for ever when not given).
    pub(in super::super) window: (Timestamp, Option<Duration>),
}

/// Every field that some event has. Which of them are there is for the type to say; one struct of options is read in
/// one pass over the frame, where a tagged enum would copy all of it first.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    subscribed: Option<Subscribed<'a>>,
    #[serde(borrow)]
    offers: Option<Offers<'a>>,
    #[serde(borrow)]
    inverse_offers: Option<InverseOffers<'a>>,
    #[serde(borrow)]
    rescind: Option<Rescind<'a>>,
    #[serde(borrow)]
    rescind_inverse_offer: Option<RescindInverse<'a>>,
    #[serde(borrow)]
    update: Option<Update<'a>>,
    #[serde(borrow)]
    failure: Option<Failure<'a>>,
    #[serde(borrow)]
    error: Option<ErrorText<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Subscribed<'a> {
    #[serde(borrow)]
    framework_id: Value<Text<'a>>,
    heartbeat_interval_seconds: Option<Number>,
}

#[derive(Deserialize)]
struct Offers<'a> {
    #[serde(borrow, default)]
    offers: Vec<OfferInfo<'a>>,
}

#[derive(Deserialize)]
struct InverseOffers<'a> {
    #[serde(borrow, default)]
    inverse_offers: Vec<InverseOfferInfo<'a>>,
}

#[derive(Deserialize)]
struct InverseOfferInfo<'a> {
    #[serde(borrow)]
    id: Value<Text<'a>>,
    #[serde(borrow)]
    agent_id: Option<Value<Text<'a>>>,
    unavailability: Unavailability,
}

#[derive(Deserialize)]
struct Rescind<'a> {
    #[serde(borrow)]
    offer_id: Value<Text<'a>>,
}

#[derive(Deserialize)]
struct RescindInverse<'a> {
    #[serde(borrow)]
    inverse_offer_id: Value<Text<'a>>,
}

#[derive(Deserialize)]
struct Update<'a> {
    #[serde(borrow)]
    status: Status<'a>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    agent_id: Option<Value<Text<'a>>>,
    #[serde(borrow)]
    executor_id: Option<Value<Text<'a>>>,
}

#[derive(Deserialize)]
struct ErrorText<'a> {
    #[serde(borrow)]
    message: Text<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    agent_id: Value<Text<'a>>,
    #[serde(borrow)]
    executor_id: Value<Text<'a>>,
    #[serde(borrow)]
    data: Text<'a>,
}

/// Reads one frame.
pub(in super::super) fn read_event(frame: &[u8]) -> Result<Event, WireError> {
    let frame: Frame<'_> = serde_json::from_slice(frame)?;
    Ok(match &*frame.kind.0 {
        "SUBSCRIBED" => frame.subscribed.ok_or(WireError::Missing("subscribed"))?.event(),
        "OFFERS" => {
            let (offers, reservations) = offer::read(frame.offers.map(|list| list.offers).unwrap_or_default());
            Event::Offers(offers, reservations)
        }
        "INVERSE_OFFERS" => {
            let list = frame.inverse_offers.map(|list| list.inverse_offers).unwrap_or_default();
            Event::InverseOffers(list.into_iter().map(InverseOffer::from).collect())
        }
        "RESCIND" => Event::Rescind(offer_id(&frame.rescind.ok_or(WireError::Missing("rescind"))?.offer_id)),
        "RESCIND_INVERSE_OFFER" => {
            let rescind = frame.rescind_inverse_offer.ok_or(WireError::Missing("rescind_inverse_offer"))?;
            Event::RescindInverse(offer_id(&rescind.inverse_offer_id))
        }
        "UPDATE" => frame.update.ok_or(WireError::Missing("update"))?.status.event(),
        "FAILURE" => frame.failure.ok_or(WireError::Missing("failure"))?.event(),
        "ERROR" => Event::Error(frame.error.map_or_else(String::new, |error| error.message.0.into_owned())),
        "HEARTBEAT" => Event::Heartbeat,
        "MESSAGE" => frame.message.ok_or(WireError::Missing("message"))?.event()?,
        "UPDATE_OPERATION_STATUS" => Event::OperationStatus,
        other => Event::Unknown(other.to_owned()),
    })
}

fn offer_id(id: &Value<Text<'_>>) -> OfferId {
    OfferId::new(&*id.value.0)
}

impl Subscribed<'_> {
    fn event(self) -> Event {
        let seconds = self.heartbeat_interval_seconds.map_or(0.0, |seconds| seconds.0);
        Event::Subscribed {
            framework: FrameworkId::new(&*self.framework_id.value.0),
            heartbeat: Duration::try_from_secs_f64(seconds).ok().filter(|interval| !interval.is_zero()),
        }
    }
}

impl Failure<'_> {
    fn event(self) -> Event {
        Event::Failure {
            agent: self.agent_id.map(|id| AgentId::new(&*id.value.0)),
            executor: self.executor_id.map(|id| id.value.0.into_owned()),
        }
    }
}

impl Message<'_> {
    fn event(self) -> Result<Event, WireError> {
        let mut data = BASE64_STANDARD.decode(self.data.0.as_bytes()).map_err(|_| WireError::Missing("data"))?;
        data.truncate(DATA_MAX_BYTES);
        Ok(Event::Message(FrameworkMessage {
            agent: AgentId::new(&*self.agent_id.value.0),
            executor: self.executor_id.value.0.as_ref().into(),
            data: data.into(),
        }))
    }
}

impl From<InverseOfferInfo<'_>> for InverseOffer {
    fn from(info: InverseOfferInfo<'_>) -> Self {
        Self {
            id: offer_id(&info.id),
            agent: info.agent_id.map(|id| AgentId::new(&*id.value.0)),
            window: info.unavailability.window(),
        }
    }
}
