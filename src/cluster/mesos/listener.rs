//! What the master says, event by event, told to whoever decides.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ekiden_model::FrameworkId;
use ekiden_model::input::{ClusterEvent, TaskStatus};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::Call;
use super::maintenance::Windows;
use super::queue::CallQueue;
use super::subscription::{Cut, Subscription};
use super::wire::{self, Event, InverseOffer, Reservations, WireError};
use crate::telemetry::Metrics;

/// How many heartbeats may be missed.
const HEARTBEATS_MISSED: u32 = 4;

/// How long the confirmation of a subscription may take; the master asks its authorizer before.
const CONFIRMATION: Duration = Duration::from_secs(15);

/// With a master that promises no heartbeats silence says little, but for ever is too long.
const SILENCE_ALLOWED: Duration = Duration::from_hours(1);

/// The confirmation of a subscription.
#[derive(Debug)]
pub(super) struct Subscribed {
    /// Our id from now on.
    pub(super) framework: FrameworkId,
    /// Silence for so long means that the master is gone.
    pub(super) silence: Duration,
}

/// Why nothing more is heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    /// The stream is cut.
    #[error(transparent)]
    Cut(#[from] Cut),
    /// What came is nothing that a master would send: something between us garbles it.
    #[error(transparent)]
    Garbled(#[from] WireError),
    /// The master has had enough of us.
    #[error("the master says: {0}")]
    Said(String),
}

/// Tells events on.
pub(super) struct Listener {
    queue: Arc<CallQueue>,
    events: mpsc::Sender<ClusterEvent>,
    reservations: Arc<Mutex<Reservations>>,
    windows: Windows,
    metrics: Metrics,
}

impl Listener {
    pub(super) fn new(queue: Arc<CallQueue>, events: mpsc::Sender<ClusterEvent>, metrics: Metrics) -> Self {
        Self { queue, events, reservations: Arc::default(), windows: Windows::default(), metrics }
    }

    /// A subscription begins; offers are noted there from now on.
    pub(super) fn begin(&mut self, reservations: Arc<Mutex<Reservations>>) {
        self.reservations = reservations;
        self.windows.heard_of_all(Instant::now());
    }

    /// Waits for the confirmation, which comes first.
    pub(super) async fn subscribed(&self, subscription: &mut Subscription) -> Result<Subscribed, Unheard> {
        loop {
            match self.event(subscription, CONFIRMATION).await? {
                Some(Event::Subscribed { framework, heartbeat }) => {
                    let silence = heartbeat.map_or(SILENCE_ALLOWED, |every| every * HEARTBEATS_MISSED);
                    return Ok(Subscribed { framework, silence });
                }
                Some(Event::Error(text)) => return Err(Unheard::Said(text)),
                Some(other) => tracing::debug!(event = kind(&other), "came before the confirmation"),
                None => {}
            }
        }
    }

    /// Tells all that comes until nothing more does. May be dropped between two events.
    pub(super) async fn listen(&mut self, subscription: &mut Subscription, silence: Duration) -> Unheard {
        loop {
            self.queue.room().await;
            match self.event(subscription, silence).await {
                Ok(Some(Event::Error(text))) => return Unheard::Said(text),
                Ok(Some(event)) => self.take(event).await,
                Ok(None) => {}
                Err(unheard) => return unheard,
            }
        }
    }

    /// Tells the reconciler. Waits for it if it is behind; it never waits for us.
    pub(super) async fn tell(&self, event: ClusterEvent) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("nobody listens to the cluster any more");
        }
    }

    /// The next event; none, if it is one that cannot be read. JSON of an unexpected form is not worth the connection:
    /// the next subscription would bring the same again.
    async fn event(&self, subscription: &mut Subscription, silence: Duration) -> Result<Option<Event>, Unheard> {
        let frame = subscription.frame(silence).await?;
        let event = match wire::read_event(&frame) {
            Ok(event) => event,
            Err(WireError::Json(error)) if !error.is_data() => return Err(WireError::Json(error).into()),
            Err(error) => {
                self.metrics.mesos_event("unreadable");
                tracing::error!(%error, "an event of the master's is left out");
                return Ok(None);
            }
        };
        self.metrics.mesos_event(kind(&event));
        Ok(Some(event))
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Offers(offers, reservations) => {
                self.reservations().extend(reservations);
                self.tell(ClusterEvent::Offers(offers)).await;
            }
            Event::Rescind(offer) => {
                self.reservations().forget(&offer);
                self.tell(ClusterEvent::Rescinded(offer)).await;
            }
            Event::InverseOffers(offers) => self.take_inverse(offers).await,
            Event::RescindInverse(offer) => {
                if let Some(agent) = self.windows.called_off(&offer) {
                    self.tell(ClusterEvent::Maintenance(agent, None)).await;
                }
            }
            Event::Update(status) => self.take_status(status).await,
            Event::StrangeUpdate { state, ack } => {
                tracing::warn!(%state, "a task is in a state that is not known here; it is acknowledged and left alone");
                if let Some(ack) = ack {
                    self.queue.push(Call::Acknowledge(ack));
                }
            }
            // With an executor it is about that executor alone, whose tasks have statuses of their own.
            Event::Failure { agent: Some(agent), executor: None } => {
                self.tell(ClusterEvent::AgentUnreachable(agent)).await;
            }
            Event::Message(message) => self.tell(ClusterEvent::Message(message)).await,
            Event::Heartbeat => self.close_windows().await,
            Event::Unknown(name) => tracing::debug!(%name, "an event that is not known here"),
            Event::Subscribed { .. } | Event::Failure { .. } | Event::Error(_) | Event::OperationStatus => {}
        }
    }

    async fn take_status(&self, status: TaskStatus) {
        match self.queue.is_last_marker(&status.task) {
            None => self.tell(ClusterEvent::Status(status)).await,
            Some(true) => self.tell(ClusterEvent::Reconciled).await,
            // More has been asked since.
            Some(false) => {}
        }
    }

    async fn take_inverse(&mut self, offers: Vec<InverseOffer>) {
        self.queue.accept_inverse(offers.iter().map(|offer| offer.id.clone()).collect());
        let now = Instant::now();
        for InverseOffer { id, agent, window } in offers {
            // One that is about all agents at once is of no use to anybody, and no master makes one.
            if let Some(agent) = agent
                && self.windows.announced(id, agent.clone(), window, now)
            {
                self.tell(ClusterEvent::Maintenance(agent, Some(window))).await;
            }
        }
    }

    async fn close_windows(&mut self) {
        for agent in self.windows.fallen_silent(Instant::now()) {
            self.tell(ClusterEvent::Maintenance(agent, None)).await;
        }
    }

    fn reservations(&self) -> std::sync::MutexGuard<'_, Reservations> {
        self.reservations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Subscribed { .. } => "subscribed",
        Event::Offers(..) => "offers",
        Event::InverseOffers(_) => "inverse_offers",
        Event::Rescind(_) => "rescind",
        Event::RescindInverse(_) => "rescind_inverse_offer",
        Event::Update(_) | Event::StrangeUpdate { .. } => "update",
        Event::Failure { .. } => "failure",
        Event::Error(_) => "error",
        Event::Heartbeat => "heartbeat",
        Event::Message(_) => "message",
        Event::OperationStatus => "update_operation_status",
        Event::Unknown(_) => "unknown",
    }
}
