//! The life of the connection: subscribe, tell what the master says, lose it, subscribe again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ekiden_model::input::ClusterEvent;
use ekiden_model::{FrameworkId, Role, Timestamp};
use http::StatusCode;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::super::Call;
use super::address::Endpoint;
use super::backoff::Backoff;
use super::detector::Detector;
use super::http::{Fault, Transport};
use super::listener::{Listener, Subscribed, Unheard};
use super::queue::CallQueue;
use super::sender::Sender;
use super::subscription::Subscription;
use super::trouble::Trouble;
use super::watched::first;
use super::wire::{self, FrameworkInfo, Reservations};
use super::{ConnectionStatus, FrameworkOptions, MesosError, Subscriber};
use crate::telemetry::Metrics;

/// A connection that lived for so long was a good one: the next is tried at once, and waits begin anew.
const STEADY: Duration = Duration::from_secs(5);

/// So many refusals in a row (about three seconds) are meant. One alone may come of a master that is being set up.
pub(super) const REFUSALS: u32 = 5;

/// How long a master that no longer takes our calls is given to say why. Another scheduler in our place must not be
/// thrown out because we did not wait to hear of it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// As whom the cluster knows us at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// Our id, once there is one.
    pub(super) framework: Option<FrameworkId>,
    /// Whether we are subscribed.
    pub(super) subscribed: bool,
}

/// The connection, and what outlives each of its subscriptions.
pub(super) struct Connection {
    pub(super) options: Arc<FrameworkOptions>,
    pub(super) principal: Option<String>,
    pub(super) transport: Arc<Transport>,
    pub(super) detector: Detector,
    pub(super) queue: Arc<CallQueue>,
    pub(super) events: mpsc::Sender<ClusterEvent>,
    /// As whom to subscribe, once that is known.
    pub(super) wanted: watch::Receiver<Option<Subscriber>>,
    pub(super) identity: watch::Sender<Identity>,
    pub(super) status: watch::Sender<ConnectionStatus>,
    /// Why it has ended for good.
    pub(super) ended: watch::Sender<Option<MesosError>>,
    pub(super) metrics: Metrics,
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Unheard(#[from] Unheard),
    #[error("another master leads now")]
    Elsewhere,
    #[error("we are to be framework {0}")]
    Another(FrameworkId),
}

/// A subscription that is over, or never was.
struct Lost {
    cause: Cause,
    /// How long it lived, if it did.
    lived: Option<Duration>,
}

impl Connection {
    /// Stays connected until that is of no use any more.
    pub(super) async fn run(mut self) {
        let mut framework = self.told_to_subscribe().await;
        let roles = Arc::new(Mutex::new(BTreeSet::from([self.options.role.clone()])));
        let mut listener = Listener::new(self.queue.clone(), self.events.clone(), self.metrics.clone());
        let mut trouble = Trouble::new("the connection to Mesos");
        let (mut backoff, mut refusals) = (Backoff::default(), 0);
        loop {
            let master = self.find_master().await;
            let lost = self.attempt(&master, &mut framework, &roles, &mut listener, &mut trouble).await;
            if lost.lived.is_some() {
                refusals = 0;
            }
            refusals += u32::from(lost.cause.refusal().is_some());
            if let Some(error) = lost.cause.fatal(framework.as_ref(), refusals) {
                // Who waits for the end tells people. Told first, it does not hang on anybody reading events.
                self.ended.send_replace(Some(error));
                if lost.lived.is_some() {
                    listener.tell(ClusterEvent::Disconnected).await;
                }
                return;
            }
            if lost.lived.is_some() {
                self.tell_of_loss().await;
            }
            if let Cause::Another(wanted) = lost.cause {
                framework = Some(wanted);
                continue;
            }
            let what = format!("not connected to Mesos: {}", lost.cause);
            trouble.tell(&what);
            self.tell_status(ConnectionStatus::Trying { what, since: now() });
            if lost.lived.is_some_and(|lived| lived >= STEADY) {
                backoff.reset();
                continue;
            }
            let is_open = framework.is_none() && lost.cause.leaves_open_whether_there_is_a_framework();
            // Of several masters the next may know better; only when all have been asked there is a pause.
            if lost.lived.is_some() || self.detector.failed() {
                tokio::select! {
                    () = tokio::time::sleep(backoff.wait()) => {}
                    () = self.detector.changed(&master) => backoff.reset(),
                }
            }
            if is_open {
                framework = self.told_anew_to_subscribe().await;
            }
        }
    }

    async fn told_to_subscribe(&mut self) -> Option<FrameworkId> {
        first(&mut self.wanted, |wanted| wanted.as_ref().map(|wanted| wanted.id().cloned())).await
    }

    /// Perhaps the master has made a framework of us that nobody knows the name of. As whom to subscribe is to be decided
    /// again, by whoever can find that out.
    async fn told_anew_to_subscribe(&mut self) -> Option<FrameworkId> {
        self.wanted.mark_unchanged();
        self.tell_of_loss().await;
        // When nobody can tell us any more, nobody wants us, either.
        _ = self.wanted.changed().await;
        self.told_to_subscribe().await
    }

    async fn find_master(&mut self) -> Endpoint {
        let place = self.detector.place();
        tokio::select! {
            biased;
            master = self.detector.master() => return master,
            () = std::future::ready(()) => {}
        }
        self.tell_status(ConnectionStatus::Trying {
            what: format!("{place} names no leading master"),
            since: now(),
        });
        self.detector.master().await
    }

    /// Subscribes, and stays subscribed for as long as it lasts.
    async fn attempt(
        &mut self,
        master: &Endpoint,
        framework: &mut Option<FrameworkId>,
        roles: &Arc<Mutex<BTreeSet<Role>>>,
        listener: &mut Listener,
        trouble: &mut Trouble,
    ) -> Lost {
        let opened = self.open(master, framework.as_ref(), roles, listener).await;
        let (subscription, subscribed) = match opened {
            Ok(opened) => opened,
            Err(cause) => return Lost { cause, lived: None },
        };
        trouble.over();
        *framework = Some(subscribed.framework.clone());
        let began = Instant::now();
        let sender = self.begin(&subscription, &subscribed.framework, roles, listener).await;
        let cause = self.stay(master, subscription, sender, listener, &subscribed).await;
        self.queue.close();
        self.metrics.mesos_connected.set(0);
        self.identity.send_modify(|identity| identity.subscribed = false);
        Lost { cause, lived: Some(began.elapsed()) }
    }

    async fn open(
        &self,
        master: &Endpoint,
        framework: Option<&FrameworkId>,
        roles: &Arc<Mutex<BTreeSet<Role>>>,
        listener: &Listener,
    ) -> Result<(Subscription, Subscribed), Cause> {
        let body = {
            let roles = roles.lock().unwrap_or_else(PoisonError::into_inner);
            let info = FrameworkInfo {
                options: &self.options,
                id: framework,
                roles: &roles,
                principal: self.principal.as_deref(),
            };
            // A new connection begins with offers for all roles; the reconciler says which it has no use for.
            wire::subscribe(info, &BTreeSet::new())
        };
        let mut subscription =
            Subscription::open(&self.transport, master, body.into(), self.metrics.clone()).await?;
        let subscribed = listener.subscribed(&mut subscription).await?;
        Ok((subscription, subscribed))
    }

    /// Opens the way for calls, and tells that we are connected.
    async fn begin(
        &self,
        subscription: &Subscription,
        framework: &FrameworkId,
        roles: &Arc<Mutex<BTreeSet<Role>>>,
        listener: &mut Listener,
    ) -> AbortOnDropHandle<Fault> {
        let master = subscription.master().clone();
        tracing::info!(%master, %framework, "subscribed");
        let reservations = Arc::new(Mutex::new(Reservations::default()));
        listener.begin(reservations.clone());
        let sender = Sender {
            options: self.options.clone(),
            principal: self.principal.clone(),
            framework: framework.clone(),
            master: master.clone(),
            stream: subscription.stream().clone(),
            transport: self.transport.clone(),
            queue: self.queue.clone(),
            reservations,
            roles: roles.clone(),
            metrics: self.metrics.clone(),
        };
        self.metrics.mesos_subscriptions.inc();
        self.metrics.mesos_connected.set(1);
        self.identity.send_replace(Identity { framework: Some(framework.clone()), subscribed: true });
        self.tell_status(ConnectionStatus::Subscribed { master: master.to_string(), since: now() });
        self.queue.open();
        // A master that has not noticed that we were away still heeds the refusals of before, which nobody here
        // remembers.
        for role in roles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            self.queue.push(Call::Revive(role.clone()));
        }
        let sender = AbortOnDropHandle::new(tokio::spawn(sender.run()));
        listener.tell(ClusterEvent::Registered(framework.clone())).await;
        listener.tell(ClusterEvent::Connected).await;
        sender
    }

    /// Listens and sends until one of them fails, or there is a reason to be elsewhere.
    async fn stay(
        &mut self,
        master: &Endpoint,
        mut subscription: Subscription,
        mut sender: AbortOnDropHandle<Fault>,
        listener: &mut Listener,
        subscribed: &Subscribed,
    ) -> Cause {
        let silence = subscribed.silence;
        let current = &subscribed.framework;
        let other = |wanted: &Option<Subscriber>| {
            wanted.as_ref().and_then(Subscriber::id).filter(|wanted| *wanted != current).cloned()
        };
        let fault = tokio::select! {
            unheard = listener.listen(&mut subscription, silence) => return unheard.into(),
            ended = &mut sender => ended,
            () = self.detector.changed(master) => return Cause::Elsewhere,
            wanted = first(&mut self.wanted, other) => return Cause::Another(wanted),
        };
        if let Ok(unheard @ Unheard::Said(_)) =
            timeout(LAST_WORDS, listener.listen(&mut subscription, silence)).await
        {
            return unheard.into();
        }
        match fault {
            Ok(fault) => fault.into(),
            Err(crash) => Fault::Broken { master: master.clone(), cause: crash.to_string() }.into(),
        }
    }

    /// Tells that the connection is lost, and waits until that is known: calls decided before it was are void, and the
    /// queue, closed, drops them. Who wants the framework removed decides nothing more, and need not read.
    async fn tell_of_loss(&self) {
        let known = async {
            // Where nobody listens any more nobody decides either.
            if self.events.send(ClusterEvent::Disconnected).await.is_ok() {
                _ = self.events.reserve_many(self.events.max_capacity()).await;
            }
        };
        tokio::select! {
            biased;
            () = known => {}
            () = self.queue.removal_wanted() => {}
        }
    }

    fn tell_status(&self, status: ConnectionStatus) {
        self.status.send_if_modified(|told| {
            // Trying goes on since it began.
            let status = match (&*told, status) {
                (ConnectionStatus::Trying { since, .. }, ConnectionStatus::Trying { what, .. }) => {
                    ConnectionStatus::Trying { what, since: *since }
                }
                (_, status) => status,
            };
            let differs = *told != status;
            *told = status;
            differs
        });
    }
}

impl Cause {
    /// Whether the master may have taken our call, and made a framework of us, although we heard of none.
    fn leaves_open_whether_there_is_a_framework(&self) -> bool {
        match self {
            Self::Fault(Fault::Broken { .. } | Fault::Silent { .. } | Fault::TooMuch { .. })
            | Self::Unheard(Unheard::Cut(_) | Unheard::Garbled(_)) => true,
            // It was not reached, or it has said that it did nothing.
            Self::Fault(
                Fault::Unreachable { .. } | Fault::Circle { .. } | Fault::Astray { .. } | Fault::Answer { .. },
            )
            | Self::Unheard(Unheard::Said(_))
            | Self::Elsewhere
            | Self::Another(_) => false,
        }
    }

    /// What the master says, if it does not let us in.
    fn refusal(&self) -> Option<String> {
        match self {
            Self::Fault(fault) if fault.is_refusal() => Some(fault.to_string()),
            // Whom we authenticate as, and who we say we are, differ.
            Self::Fault(fault @ Fault::Answer { status: StatusCode::BAD_REQUEST, text, .. })
                if text.contains("principal") =>
            {
                Some(fault.to_string())
            }
            Self::Unheard(Unheard::Said(text)) if text.to_ascii_lowercase().contains("authorized") => {
                Some(text.clone())
            }
            _ => None,
        }
    }

    /// What no new attempt can mend (the texts: Mesos, `src/master/master.cpp`).
    fn fatal(&self, framework: Option<&FrameworkId>, refusals: u32) -> Option<MesosError> {
        let framework = framework.map(ToString::to_string).unwrap_or_default();
        if let Self::Unheard(Unheard::Said(text)) = self {
            let (said, message) = (text.to_ascii_lowercase(), text.clone());
            if said.contains("has been removed") || said.contains("completed framework") {
                return Some(MesosError::Removed { framework, message });
            }
            if said.contains("failed over") {
                return Some(MesosError::Superseded { framework, message });
            }
        }
        let message = self.refusal()?;
        (refusals >= REFUSALS).then_some(MesosError::Refused { message })
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, refusals: u32) -> Option<MesosError> {
        Cause::Unheard(Unheard::Said(text.to_owned())).fatal(Some(&FrameworkId::new("f")), refusals)
    }

    #[test]
    fn what_ends_us_is_told_from_what_passes() {
        assert!(matches!(said("Framework has been removed", 0), Some(MesosError::Removed { .. })));
        assert!(matches!(
            said("Completed framework attempted to re-register", 0),
            Some(MesosError::Removed { .. })
        ));
        assert!(matches!(said("Framework failed over", 0), Some(MesosError::Superseded { .. })));
        assert_eq!(said("Not authorized to use role 'x'", 1), None);
        assert!(matches!(said("Not authorized to use role 'x'", REFUSALS), Some(MesosError::Refused { .. })));
        assert_eq!(said("Something else", REFUSALS), None);
    }

    #[test]
    fn a_master_that_refuses_us_again_and_again_means_it() {
        let master = Endpoint { tls: false, host: "m1".into(), port: 5050 };
        let answer = |status| Cause::Fault(Fault::Answer { master: master.clone(), status, text: String::new() });
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            assert_eq!(answer(status).fatal(None, REFUSALS - 1), None);
            assert!(matches!(answer(status).fatal(None, REFUSALS), Some(MesosError::Refused { .. })));
        }
        assert_eq!(answer(StatusCode::SERVICE_UNAVAILABLE).fatal(None, REFUSALS), None);
    }
}
