//! Calls that wait to be sent: bounded, in their order, and void with the subscription that they were made for.
//!
//! Acknowledgements wait apart. They come by the thousand, and have no order to keep: an agent sends the next update
//! of a task only when the one before is acknowledged. So no launch waits behind them.
//!
//! Putting one in never waits, whatever the master does: the reconciler's loop may be the very one whose events wait to
//! be taken. What there is no room for, and what nobody is connected to hear, is dropped and counted; whatever hung on
//! it is found out by the reconciliation that follows every connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ekiden_model::input::Ack;
use ekiden_model::{AgentId, OfferId, Role, TaskId};
use tokio::sync::{Notify, oneshot};

use super::super::Call;
use crate::telemetry::Metrics;

/// Most calls that wait. A reconciler with 100,000 tasks makes fewer in one step; beyond, the newest is dropped.
const MOST_WAITING: usize = 200_000;

/// While so many calls wait, no more events are read: most calls are answers to events (acknowledgements), and a master
/// that is slow in taking them should not be heard faster. The number is small enough for an acknowledgement to be
/// sent within seconds, that is before an agent repeats its update (10 s).
const MANY_WAITING: usize = 8_000;

/// When so few are left, events are read again.
const FEW_WAITING: usize = 2_000;

/// Most tasks asked about in one call: a master works on one call at a time, for everybody.
const TASKS_ASKED_AT_ONCE: usize = 1_000;

/// Most offers declined in one call. Thousands of agents offer at once, and are declined at once where nobody waits.
const DECLINED_AT_ONCE: usize = 1_000;

/// Begins the ids of tasks that never existed, by whose state is known that all answers to an implicit reconciliation
/// have come. No task of an app has such an id: theirs end with `._app.` and a number.
const MARKER: &str = "ekiden-reconciled.";

/// What waits to be sent.
#[derive(Debug)]
pub(super) enum Item {
    /// A call of the reconciler's.
    Call(Call),
    /// Asks for the state of a task that never existed; see [`MARKER`].
    Marker(TaskId),
    /// Maintenance may go ahead.
    AcceptInverse(Vec<OfferId>),
    /// Removes the framework; told when the master has taken the call.
    TearDown(oneshot::Sender<()>),
}

impl Item {
    /// What it is counted as.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Call(call) => kind(call),
            Self::Marker(_) => "reconcile",
            Self::AcceptInverse(_) => "accept_inverse",
            Self::TearDown(_) => "teardown",
        }
    }
}

/// The queue. Shared by who makes calls, who sends them, and who reads what the master says.
#[derive(Debug)]
pub(super) struct CallQueue {
    state: Mutex<State>,
    arrived: Notify,
    acks_arrived: Notify,
    changed: Notify,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiting: VecDeque<(u64, Item)>,
    /// The kind of the call that is being sent.
    sending: Option<&'static str>,
    acks: VecDeque<Ack>,
    /// How many acknowledgements are being sent.
    acking: usize,
    /// Counts what was ever put in.
    entered: u64,
    /// Of each role, the entry with the last word on whether it wants offers; those before it count no more.
    last_word: BTreeMap<Role, u64>,
    /// Counts markers, over all subscriptions.
    markers: u64,
    /// Waits for the next subscription, which it ends.
    tear_down: Option<oneshot::Sender<()>>,
}

impl CallQueue {
    pub(super) fn new(metrics: Metrics) -> Self {
        let [arrived, acks_arrived, changed] = [(); 3].map(|()| Notify::new());
        Self { state: Mutex::default(), arrived, acks_arrived, changed, metrics }
    }

    #[cfg(test)]
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on calls are taken in: somebody is subscribed.
    pub(super) fn open(&self) {
        let mut state = self.state();
        state.open = true;
        if let Some(taken) = state.tear_down.take() {
            state.enter(Item::TearDown(taken));
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// The subscription is over: what waits is void, and so is what is being sent.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.open = false;
        state.last_word.clear();
        let sending = state.sending.take();
        let waiting = std::mem::take(&mut state.waiting);
        let acks = std::mem::take(&mut state.acks).len() + std::mem::take(&mut state.acking);
        let acks = std::iter::repeat_n("acknowledge", acks);
        for kind in sending.into_iter().chain(waiting.iter().map(|(_, item)| item.kind())).chain(acks) {
            self.metrics.mesos_call_lost(kind);
        }
        // Whoever wants the framework removed wants it on the next subscription, too.
        state.tear_down = waiting.into_iter().rev().find_map(|(_, item)| match item {
            Item::TearDown(taken) => Some(taken),
            _ => None,
        });
        self.metrics.mesos_calls_waiting.set(0);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes a call in. The two that are no calls to a master do not belong here.
    pub(super) fn push(&self, call: Call) {
        match call {
            Call::Survey { .. } | Call::Subscribe(_) => {}
            Call::Reconcile(tasks) if tasks.is_empty() => {
                let marker = self.next_marker();
                self.enter([Item::Call(Call::Reconcile(tasks)), Item::Marker(marker)]);
            }
            Call::Reconcile(tasks) => {
                let asked = tasks.chunks(TASKS_ASKED_AT_ONCE);
                self.enter(asked.map(<[(TaskId, AgentId)]>::to_vec).map(Call::Reconcile).map(Item::Call));
            }
            Call::Acknowledge(ack) => self.enter_ack(ack),
            call => self.enter([Item::Call(call)]),
        }
    }

    /// Takes in the answer to inverse offers.
    pub(super) fn accept_inverse(&self, offers: Vec<OfferId>) {
        self.enter([Item::AcceptInverse(offers)]);
    }

    /// Asks for the framework's removal, now or as soon as somebody is subscribed.
    pub(super) fn tear_down(&self, taken: oneshot::Sender<()>) {
        let mut state = self.state();
        if state.open {
            state.enter(Item::TearDown(taken));
        } else {
            state.tear_down = Some(taken);
        }
        drop(state);
        self.arrived.notify_one();
        self.changed.notify_waiters();
    }

    /// Waits until the next subscription is wanted to remove the framework.
    pub(super) async fn removal_wanted(&self) {
        self.reached(|state| state.tear_down.is_some()).await;
    }

    /// The next one to send. Whoever takes it has sent the one before.
    pub(super) async fn next(&self) -> Item {
        loop {
            let arrived = self.arrived.notified();
            if let Some(item) = self.try_next() {
                return item;
            }
            arrived.await;
        }
    }

    /// The next acknowledgement to send. Several may be sent at once; each has its [`Self::acked`].
    pub(super) async fn next_ack(&self) -> Ack {
        loop {
            let arrived = self.acks_arrived.notified();
            if let Some(ack) = self.try_next_ack() {
                return ack;
            }
            arrived.await;
        }
    }

    /// One acknowledgement has been sent.
    pub(super) fn acked(&self) {
        let mut state = self.state();
        // Those of a subscription that is over count no more.
        state.acking = state.acking.saturating_sub(1);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits while so many calls wait that no more should be made.
    pub(super) async fn room(&self) {
        if self.state().len() < MANY_WAITING {
            return;
        }
        self.reached(|state| state.len() <= FEW_WAITING).await;
    }

    /// Waits until all that was taken in has been sent.
    pub(super) async fn sent(&self) {
        self.reached(|state| state.len() == 0 && state.sending.is_none() && state.acking == 0).await;
    }

    /// What a status of this task says about reconciliation: nothing, unless it is a marker; then, whether it is the
    /// last one that was asked about.
    pub(super) fn is_last_marker(&self, task: &TaskId) -> Option<bool> {
        let number = task.as_str().strip_prefix(MARKER)?;
        Some(number.parse() == Ok(self.state().markers))
    }

    fn try_next(&self) -> Option<Item> {
        let mut state = self.state();
        state.sending = None;
        let item = loop {
            let Some((number, item)) = state.waiting.pop_front() else { break None };
            if state.counts(number, &item) {
                state.sending = Some(item.kind());
                break Some(item);
            }
        };
        self.tell_length(&state);
        drop(state);
        self.changed.notify_waiters();
        item
    }

    fn try_next_ack(&self) -> Option<Ack> {
        let mut state = self.state();
        let ack = state.acks.pop_front()?;
        state.acking += 1;
        let is_last = state.acks.is_empty();
        self.tell_length(&state);
        drop(state);
        if !is_last {
            // However many came at once, there was one word of it.
            self.acks_arrived.notify_one();
        }
        self.changed.notify_waiters();
        Some(ack)
    }

    fn enter_ack(&self, ack: Ack) {
        let mut state = self.state();
        if state.open && state.len() < MOST_WAITING {
            state.acks.push_back(ack);
        } else {
            self.metrics.mesos_call_lost("acknowledge");
        }
        drop(state);
        self.acks_arrived.notify_one();
    }

    fn tell_length(&self, state: &State) {
        self.metrics.mesos_calls_waiting.set(i64::try_from(state.len()).unwrap_or(i64::MAX));
    }

    async fn reached(&self, enough: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Only from here on is a notification not missed.
            changed.as_mut().enable();
            if enough(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    fn enter(&self, items: impl IntoIterator<Item = Item>) {
        let mut state = self.state();
        for item in items {
            if state.open && state.len() < MOST_WAITING {
                state.enter(item);
            } else {
                self.metrics.mesos_call_lost(item.kind());
                tracing::debug!(kind = item.kind(), connected = state.open, "a call is dropped");
            }
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn next_marker(&self) -> TaskId {
        let mut state = self.state();
        state.markers += 1;
        TaskId::new(format!("{MARKER}{}", state.markers))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        self.waiting.len() + self.acks.len()
    }

    fn enter(&mut self, item: Item) {
        let Some(item) = self.joined(item) else { return };
        self.entered += 1;
        if let Some(role) = role(&item) {
            self.last_word.insert(role.clone(), self.entered);
        }
        self.waiting.push_back((self.entered, item));
    }

    /// A call that says no more than the one that waits before it could say as well becomes part of that one.
    fn joined(&mut self, item: Item) -> Option<Item> {
        let (Item::Call(Call::Decline { offers, refuse_for }), Some((_, last))) = (&item, self.waiting.back_mut())
        else {
            return Some(item);
        };
        match last {
            Item::Call(Call::Decline { offers: before, refuse_for: as_long })
                if as_long == refuse_for && before.len() + offers.len() <= DECLINED_AT_ONCE =>
            {
                before.extend_from_slice(offers);
                None
            }
            _ => Some(item),
        }
    }

    /// Whether an entry still counts. Of a role's the last one does, and its place is the last: a revival clears the
    /// refusals before it, and must not clear fewer of them than the reconciler meant.
    fn counts(&mut self, number: u64, item: &Item) -> bool {
        let Some(role) = role(item) else { return true };
        let counts = self.last_word.get(role) == Some(&number);
        if counts {
            self.last_word.remove(role);
        }
        counts
    }
}

fn role(item: &Item) -> Option<&Role> {
    match item {
        Item::Call(Call::Revive(role) | Call::Suppress(role)) => Some(role),
        _ => None,
    }
}

fn kind(call: &Call) -> &'static str {
    match call {
        Call::Survey { .. } => "survey",
        Call::Subscribe(_) => "subscribe",
        Call::Accept { .. } => "accept",
        Call::Decline { .. } => "decline",
        Call::Revive(_) => "revive",
        Call::Suppress(_) => "suppress",
        Call::Kill { .. } => "kill",
        Call::Acknowledge(_) => "acknowledge",
        Call::Reconcile(_) => "reconcile",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn queue() -> CallQueue {
        let queue = CallQueue::new(Metrics::default());
        queue.open();
        queue
    }

    fn kill(task: &str) -> Call {
        Call::Kill { task: TaskId::new(task), agent: None, grace: None }
    }

    fn decline(offer: &str) -> Call {
        Call::Decline { offers: vec![OfferId::new(offer)], refuse_for: Duration::from_secs(5) }
    }

    /// All that waits, as it would be sent.
    fn sent(queue: &CallQueue) -> Vec<String> {
        let shown = |item| match item {
            Item::Call(Call::Kill { task, .. }) => format!("kill {task}"),
            Item::Call(Call::Decline { offers, .. }) => format!("decline {}", offers[0]),
            Item::Call(Call::Revive(role)) => format!("revive {role}"),
            Item::Call(Call::Suppress(role)) => format!("suppress {role}"),
            Item::Call(Call::Reconcile(tasks)) => format!("reconcile {}", tasks.len()),
            other => other.kind().to_owned(),
        };
        std::iter::from_fn(|| queue.next().now_or_never()).map(shown).collect()
    }

    #[test]
    fn what_is_declined_alike_is_declined_in_one_call() {
        let queue = queue();
        let longer = Call::Decline { offers: vec![OfferId::new("o3")], refuse_for: Duration::from_secs(6) };
        for call in [decline("o1"), decline("o2"), longer, kill("a"), decline("o4")] {
            queue.push(call);
        }
        let declined = std::iter::from_fn(|| queue.next().now_or_never()).filter_map(|item| match item {
            Item::Call(Call::Decline { offers, .. }) => {
                Some(offers.iter().map(OfferId::as_str).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        });
        assert_eq!(declined.collect::<Vec<_>>(), ["o1 o2", "o3", "o4"]);
        for _ in 0..=DECLINED_AT_ONCE {
            queue.push(decline("o"));
        }
        assert_eq!(sent(&queue).len(), 2, "a call does not grow without end");
    }

    #[test]
    fn calls_leave_in_the_order_in_which_they_came() {
        let queue = queue();
        for call in [kill("a"), decline("o1"), kill("b")] {
            queue.push(call);
        }
        assert_eq!(sent(&queue), ["kill a", "decline o1", "kill b"]);
    }

    #[test]
    fn of_what_is_said_about_a_roles_offers_only_the_last_is_sent_and_in_its_own_place() {
        let queue = queue();
        let (a, b) = (Role::new("a"), Role::new("b"));
        for call in [
            Call::Revive(a.clone()),
            Call::Suppress(b.clone()),
            decline("o1"),
            Call::Suppress(a.clone()),
            Call::Revive(a.clone()),
            decline("o2"),
        ] {
            queue.push(call);
        }
        assert_eq!(sent(&queue), ["suppress b", "decline o1", "revive a", "decline o2"]);
        queue.push(Call::Suppress(a));
        assert_eq!(sent(&queue), ["suppress a"]);
    }

    #[test]
    fn nothing_made_for_one_subscription_is_sent_on_the_next() {
        let queue = queue();
        queue.push(kill("a"));
        queue.close();
        queue.push(kill("b"));
        queue.open();
        queue.push(kill("c"));
        assert_eq!(sent(&queue), ["kill c"]);
        assert!(queue.metrics.encode_text().contains("ekiden_mesos_calls_lost_total{kind=\"kill\"} 2"));
    }

    #[test]
    fn what_is_being_sent_as_the_subscription_ends_is_lost_too() {
        let queue = queue();
        queue.push(kill("a"));
        assert!(queue.next().now_or_never().is_some());
        queue.close();
        assert!(queue.metrics.encode_text().contains("ekiden_mesos_calls_lost_total{kind=\"kill\"} 1"));
    }

    #[test]
    fn a_removal_outlives_the_subscription() {
        let queue = CallQueue::new(Metrics::default());
        let (taken, _waits) = oneshot::channel();
        queue.tear_down(taken);
        assert_eq!(sent(&queue), [""; 0]);
        queue.open();
        queue.close();
        queue.open();
        assert_eq!(sent(&queue), ["teardown"]);
    }

    #[test]
    fn after_all_tasks_are_asked_about_comes_one_that_never_was() {
        let queue = queue();
        queue.push(Call::Reconcile(Vec::new()));
        queue.push(Call::Reconcile(Vec::new()));
        let markers: Vec<TaskId> = std::iter::from_fn(|| queue.next().now_or_never())
            .filter_map(|item| if let Item::Marker(task) = item { Some(task) } else { None })
            .collect();
        assert_eq!(markers.len(), 2);
        assert_eq!(queue.is_last_marker(&markers[0]), Some(false));
        assert_eq!(queue.is_last_marker(&markers[1]), Some(true));
        assert_eq!(queue.is_last_marker(&TaskId::new("web.instance-1._app.1")), None);
    }

    #[test]
    fn many_tasks_are_asked_about_in_portions() {
        let queue = queue();
        let tasks = (0..2500).map(|n| (TaskId::new(format!("t{n}")), AgentId::new("a")));
        queue.push(Call::Reconcile(tasks.collect()));
        assert_eq!(sent(&queue), ["reconcile 1000", "reconcile 1000", "reconcile 500"]);
    }

    #[tokio::test]
    async fn while_many_calls_wait_there_is_no_room_until_most_are_sent() {
        let queue = queue();
        assert!(queue.room().now_or_never().is_some());
        for _ in 0..MANY_WAITING {
            queue.push(kill("a"));
        }
        let room = queue.room();
        tokio::pin!(room);
        assert!(room.as_mut().now_or_never().is_none());
        for _ in 0..MANY_WAITING - FEW_WAITING {
            queue.next().await;
        }
        assert!(room.now_or_never().is_some());
    }

    #[test]
    fn acknowledgements_wait_apart_and_end_with_the_subscription_like_the_rest() {
        let queue = queue();
        let ack = |task: &str| {
            Call::Acknowledge(Ack { agent: AgentId::new("a"), task: TaskId::new(task), uuid: [1; 16].into() })
        };
        for call in [ack("t1"), kill("a"), ack("t2"), ack("t3")] {
            queue.push(call);
        }
        assert_eq!(sent(&queue), ["kill a"]);
        let taken = [queue.next_ack().now_or_never(), queue.next_ack().now_or_never()];
        assert_eq!(taken.map(|ack| ack.map(|ack| ack.task)), ["t1", "t2"].map(|task| Some(TaskId::new(task))));
        queue.acked();
        assert!(queue.sent().now_or_never().is_none());
        queue.close();
        assert!(queue.sent().now_or_never().is_some());
        assert!(queue.next_ack().now_or_never().is_none());
        assert!(queue.metrics.encode_text().contains("ekiden_mesos_calls_lost_total{kind=\"acknowledge\"} 2"));
    }

    #[test]
    fn the_queue_is_bounded() {
        let queue = queue();
        for _ in 0..MOST_WAITING + 3 {
            queue.push(kill("a"));
        }
        assert_eq!(queue.state().waiting.len(), MOST_WAITING);
        assert!(queue.metrics.encode_text().contains("ekiden_mesos_calls_lost_total{kind=\"kill\"} 3"));
    }
}
