//! Sends calls, one after the other, each when the master has taken the one before: over one connection, which is not
//! the subscription's (Mesos: `docs/scheduler-http-api.md`, "Calls").
//!
//! Acknowledgements, which come by the thousand and need no order, have connections of their own.
//!
//! A call is sent at most once. When it is not known whether the master has taken one, the whole subscription is given
//! up: the next one is reconciled, and that finds out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ekiden_model::{FrameworkId, Role};
use http::StatusCode;
use http::header::HeaderValue;
use tokio::task::JoinSet;

use super::super::Call;
use super::FrameworkOptions;
use super::address::Endpoint;
use super::http::{Fault, Line, Transport};
use super::queue::{CallQueue, Item};
use super::trouble::Samples;
use super::wire::{self, FrameworkInfo, Reservations};
use crate::telemetry::Metrics;

/// Where calls go.
pub(super) const SCHEDULER: &str = "/api/v1/scheduler";

/// The longest answer to a call; there is none, unless it is a refusal.
const LONGEST_ANSWER: usize = 1 << 20;

/// Connections over which acknowledgements are sent. One carries as many in a second as there are round trips in it: a
/// thousand or two in a network, and an agent that waits for its acknowledgement holds the next update back.
const ACK_LINES: usize = 4;

/// What calls of one subscription are sent with.
pub(super) struct Sender {
    pub(super) options: Arc<FrameworkOptions>,
    pub(super) principal: Option<String>,
    pub(super) framework: FrameworkId,
    /// Who leads.
    pub(super) master: Endpoint,
    /// Ties calls to the subscription.
    pub(super) stream: HeaderValue,
    pub(super) transport: Arc<Transport>,
    pub(super) queue: Arc<CallQueue>,
    pub(super) reservations: Arc<Mutex<Reservations>>,
    /// The roles that Mesos knows as ours. Those that an app brings are added when they are first revived.
    pub(super) roles: Arc<Mutex<BTreeSet<Role>>>,
    pub(super) metrics: Metrics,
}

/// What one subscription's calls need to remember.
#[derive(Default)]
struct Open {
    line: Option<Line>,
    /// The roles that want no offers.
    suppressed: BTreeSet<Role>,
    refused: Samples,
}

/// What a master makes of a call.
enum Taken {
    Yes,
    /// This one not, for a reason of its own.
    No(Fault),
}

impl Sender {
    /// Sends for as long as it works. Why it does not any more is returned: the subscription is lost with it.
    pub(super) async fn run(self) -> Fault {
        let sender = Arc::new(self);
        let mut lines = JoinSet::new();
        for _ in 0..ACK_LINES {
            lines.spawn(sender.clone().send_acks());
        }
        lines.spawn(sender.clone().send_calls());
        match lines.join_next().await {
            Some(Ok(fault)) => fault,
            crashed => {
                let cause = crashed.map(|crash| format!("{crash:?}")).unwrap_or_default();
                tracing::error!(%cause, "sending calls has crashed");
                Fault::Broken { master: sender.master.clone(), cause }
            }
        }
    }

    async fn send_calls(self: Arc<Self>) -> Fault {
        let mut open = Open::default();
        loop {
            let item = self.queue.next().await;
            if let Err(fault) = self.send(&mut open, item).await {
                return fault;
            }
        }
    }

    async fn send_acks(self: Arc<Self>) -> Fault {
        let mut open = Open::default();
        loop {
            let ack = Item::Call(Call::Acknowledge(self.queue.next_ack().await));
            if let Err(fault) = self.send(&mut open, ack).await {
                return fault;
            }
            self.queue.acked();
        }
    }

    async fn send(&self, open: &mut Open, item: Item) -> Result<(), Fault> {
        match &item {
            Item::Call(Call::Revive(role)) => {
                open.suppressed.remove(role);
                if !self.add_role(open, role).await? {
                    return Ok(());
                }
            }
            // Mesos makes no offers for a role that it does not know of us.
            Item::Call(Call::Suppress(role)) if !self.has(role) => return Ok(()),
            Item::Call(Call::Suppress(role)) => _ = open.suppressed.insert(role.clone()),
            _ => {}
        }
        let Some(body) = self.body(&item) else { return Ok(()) };
        match self.post(&mut open.line, item.kind(), body).await? {
            Taken::Yes => {
                if let Item::TearDown(taken) = item {
                    // Nobody waits any more: it is removed all the same.
                    _ = taken.send(());
                }
            }
            Taken::No(fault) => {
                self.metrics.mesos_call_lost(item.kind());
                if open.refused.is_due(item.kind()) {
                    tracing::error!(call = item.kind(), "the master does not take a call: {fault}");
                }
            }
        }
        Ok(())
    }

    fn body(&self, item: &Item) -> Option<Vec<u8>> {
        match item {
            Item::Call(call) => {
                let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
                wire::call(&self.framework, call, &self.options.env_vars_prefix, &mut reservations)
            }
            Item::Marker(task) => Some(wire::reconcile_marker(&self.framework, task)),
            Item::AcceptInverse(offers) => Some(wire::accept_inverse(&self.framework, offers)),
            Item::TearDown(_) => Some(wire::teardown(&self.framework)),
        }
    }

    /// Makes sure that Mesos knows the role as ours. `false`: it does not let us have it.
    async fn add_role(&self, open: &mut Open, role: &Role) -> Result<bool, Fault> {
        if self.has(role) {
            return Ok(true);
        }
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        roles.insert(role.clone());
        let info = FrameworkInfo {
            options: &self.options,
            id: Some(&self.framework),
            roles: &roles,
            principal: self.principal.as_deref(),
        };
        let body = wire::update_framework(info, &open.suppressed);
        match self.post(&mut open.line, "update_framework", body).await? {
            Taken::Yes => {
                self.roles.lock().unwrap_or_else(PoisonError::into_inner).insert(role.clone());
                Ok(true)
            }
            Taken::No(fault) => {
                self.metrics.mesos_call_lost("revive");
                if open.refused.is_due("update_framework") {
                    tracing::error!(%role, "its apps wait in vain: the master does not let us have this role: {fault}");
                }
                Ok(false)
            }
        }
    }

    fn has(&self, role: &Role) -> bool {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner).contains(role)
    }

    async fn post(&self, line: &mut Option<Line>, kind: &'static str, body: Vec<u8>) -> Result<Taken, Fault> {
        let began = Instant::now();
        let line = self.ready(line).await?;
        let answer = line.post(SCHEDULER, Some(&self.stream), body.into()).await?;
        if answer.status().is_success() {
            line.body(answer, LONGEST_ANSWER).await?;
            self.metrics.mesos_call_sent(kind, began.elapsed());
            return Ok(Taken::Yes);
        }
        let fault = line.refusal(answer).await;
        if is_about_this_call(&fault) { Ok(Taken::No(fault)) } else { Err(fault) }
    }

    /// A connection that can take a call. One that was closed while it was idle is opened anew: nothing was under way.
    async fn ready<'a>(&self, line: &'a mut Option<Line>) -> Result<&'a mut Line, Fault> {
        if let Some(open) = line
            && !open.is_ready().await
        {
            *line = None;
        }
        match line {
            Some(line) => Ok(line),
            None => Ok(line.insert(self.transport.connect(&self.master).await?)),
        }
    }
}

/// Whether a refusal is about what was sent, so that the next call may fare better; otherwise it is about us, who are
/// not, or no longer, subscribed there (Mesos: `src/master/http.cpp`).
fn is_about_this_call(fault: &Fault) -> bool {
    let Fault::Answer { status, text, .. } = fault else { return false };
    match *status {
        StatusCode::BAD_REQUEST => {
            let text = text.to_ascii_lowercase();
            !text.contains("stream") && !text.contains("framework cannot be found")
        }
        // To an authenticated framework a single call may be forbidden (a role, a task's user).
        StatusCode::FORBIDDEN => !text.contains("not subscribed") && !text.contains("not connected"),
        status => status.is_client_error() && status != StatusCode::UNAUTHORIZED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Fault {
        let master = Endpoint { tls: false, host: "m1".into(), port: 5050 };
        Fault::Answer { master, status: StatusCode::from_u16(status).expect("a status"), text: text.to_owned() }
    }

    #[test]
    fn a_refused_call_is_told_from_a_lost_subscription() {
        for (status, text) in [
            (400, "The stream ID 'x' included in this request didn't match the stream ID currently associated"),
            (400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"),
            (400, "Framework cannot be found"),
            (403, "Framework is not subscribed"),
            (401, ""),
            (503, "Master is not the leader"),
            (307, ""),
            (500, ""),
        ] {
            assert!(!is_about_this_call(&answer(status, text)), "{status} {text}");
        }
        for (status, text) in [
            (400, "Failed to validate scheduler::Call: Expecting 'kill' to be present"),
            (403, "Not authorized to use roles '{x}'"),
            (413, ""),
        ] {
            assert!(is_about_this_call(&answer(status, text)), "{status} {text}");
        }
    }
}
