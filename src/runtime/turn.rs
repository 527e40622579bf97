//! The loop itself: take in everything that waits, step once, carry out the effects, publish.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden_model::edit::{Answer, Edit, Refusal, RequestId};
use ekiden_model::effect::{Effect, Probe};
use ekiden_model::event::Event;
use ekiden_model::health::ProbeKind;
use ekiden_model::input::{ClusterEvent, Command, Input, WriteSeq};
use ekiden_model::record::Write;
use ekiden_model::{AppId, Condition, GroupId, InstanceKey, Timestamp};
use ekiden_reconciler::Reconciler;
use ekiden_reconciler::forecast::Outset;
use futures_util::stream::{BoxStream, StreamExt, once, select_all};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::event_log::{EventLog, Occurrence};
use super::snapshot::{AppSnapshot, Link, Publisher, Shelf, Snapshot};
use super::tasks::Cause;
use super::{Clock, narrator};
use crate::cluster::Call;
use crate::telemetry::Metrics;

/// Most arrivals taken into one step. A git checkout of 10,000 apps is one arrival; so many are reached only by
/// status updates after a large outage, and then the effects of one step should not wait for all of them.
const BATCH: usize = 4096;

/// Never sleeps longer than this, so that a machine that was suspended, or whose clock was set forward, notices soon.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Requests that may wait for the loop. Whoever asks waits when there are more; HTTP has its own limit before this.
const REQUESTS_WAITING: usize = 64;

/// One thing that reaches the loop.
#[derive(Debug)]
pub enum Arrival {
    /// Something happened.
    Input(Input),
    /// Somebody wants something, and waits for the answer.
    Request(Request),
    /// Somebody wants to foresee something.
    Look(oneshot::Sender<(Arc<Snapshot>, Outset)>),
    /// A source that must not end has ended.
    Ended(&'static str),
}

/// A command and who waits for it.
#[derive(Debug)]
pub struct Request {
    command: Command,
    answer: oneshot::Sender<Answer>,
}

/// What a forecast begins with: the world as readers see it, and what only the loop knows of that same moment.
#[derive(Debug)]
pub struct Look {
    /// The world.
    pub snapshot: Arc<Snapshot>,
    /// The rest. Its apps are to be added.
    pub outset: Outset,
    /// One forecast is made at a time, since each may take a core for seconds: others wait until this is dropped.
    pub turn: OwnedSemaphorePermit,
}

/// The way to ask the loop for something.
#[derive(Debug, Clone)]
pub struct Requests {
    arrivals: mpsc::Sender<Arrival>,
    looks: Arc<Semaphore>,
}

/// The loop is ending and takes no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ekiden is shutting down: ask again once it is back")]
pub struct Closing;

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// A source of inputs is gone, so decisions would rest on what is no longer so.
    #[error("the {0} has stopped talking to us")]
    SourceEnded(&'static str),
    /// An effect could not be carried out.
    #[error("a decision could not be carried out")]
    Hands(#[source] Cause),
}

/// What carries out effects. Each method returns as soon as the work is under way; what comes of it is an input.
pub trait Hands: Send {
    /// Makes the writes durable and then says [`Input::Stored`].
    fn persist(&mut self, seq: WriteSeq, writes: Vec<Write>) -> impl Future<Output = Result<(), Cause>> + Send;

    /// Tells the cluster. It takes calls in even while its own events wait for us, or both would wait for ever.
    fn call(&mut self, call: Call) -> impl Future<Output = Result<(), Cause>> + Send;

    /// Starts probing.
    fn start_probe(&mut self, app: AppId, probe: Probe) -> impl Future<Output = ()> + Send;

    /// Stops probing.
    fn stop_probe(
        &mut self,
        app: AppId,
        instance: InstanceKey,
        kind: ProbeKind,
    ) -> impl Future<Output = ()> + Send;

    /// The master we are connected with, for people; nothing for a cluster that has none.
    fn master(&self) -> Option<Arc<str>> {
        None
    }
}

/// The loop and all it owns.
#[derive(Debug)]
pub struct Turn<H> {
    reconciler: Reconciler,
    hands: H,
    clock: Clock,
    events: EventLog,
    publisher: Publisher,
    metrics: Metrics,
    link: Link,
    /// The last request taken in.
    asked: RequestId,
    /// Who waits for the answer to which request.
    waiting: BTreeMap<RequestId, Waiting>,
    /// Whether the cluster knows us, so that the next connection is not the first.
    registered: bool,
    /// Batches that are not known to be durable, and since when they are on their way.
    unstored: VecDeque<(WriteSeq, Instant)>,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    /// The group that holds all that was to be changed, where somebody wants something changed.
    group: Option<GroupId>,
}

/// Turns a source of inputs into arrivals, the last of which says that the source has ended.
pub fn essential(
    name: &'static str,
    source: impl futures_util::Stream<Item = Input> + Send + 'static,
) -> BoxStream<'static, Arrival> {
    source.map(Arrival::Input).chain(once(async move { Arrival::Ended(name) })).boxed()
}

impl Requests {
    /// A way to ask, and the arrivals that come of it.
    pub fn new() -> (Self, BoxStream<'static, Arrival>) {
        let (sender, receiver) = mpsc::channel(REQUESTS_WAITING);
        let requests = Self { arrivals: sender, looks: Arc::new(Semaphore::new(1)) };
        (requests, ReceiverStream::new(receiver).boxed())
    }

    /// Hands in a command and waits for its answer, which comes when what it changed is durable.
    pub async fn carry_out(&self, command: Command) -> Result<Answer, Closing> {
        let (answer, answered) = oneshot::channel();
        self.arrivals.send(Arrival::Request(Request { command, answer })).await.map_err(|_| Closing)?;
        answered.await.map_err(|_| Closing)
    }

    /// What a forecast begins with, once nobody else makes one. It costs the loop a copy of what is free, and nothing
    /// unless somebody asks.
    pub async fn look(&self) -> Result<Look, Closing> {
        let turn = Arc::clone(&self.looks).acquire_owned().await.map_err(|_| Closing)?;
        let (answer, answered) = oneshot::channel();
        self.arrivals.send(Arrival::Look(answer)).await.map_err(|_| Closing)?;
        let (snapshot, outset) = answered.await.map_err(|_| Closing)?;
        Ok(Look { snapshot, outset, turn })
    }
}

impl<H: Hands> Turn<H> {
    /// A loop around `reconciler`.
    pub fn new(
        reconciler: Reconciler,
        hands: H,
        clock: Clock,
        events: EventLog,
        publisher: Publisher,
        metrics: Metrics,
    ) -> Self {
        let (link, asked, waiting) = (Link::default(), RequestId::default(), BTreeMap::new());
        let registered = reconciler.installation().framework.is_some();
        Self {
            reconciler,
            hands,
            clock,
            events,
            publisher,
            metrics,
            link,
            asked,
            waiting,
            registered,
            unstored: VecDeque::new(),
        }
    }

    /// Runs until `stop`, or until something is wrong that only a new process can mend.
    pub async fn run(
        mut self,
        sources: Vec<BoxStream<'static, Arrival>>,
        stop: CancellationToken,
    ) -> Result<(), TurnError> {
        let mut arrivals = select_all(sources).ready_chunks(BATCH);
        // What was restored is shown to readers before anything happens to it, and then worked on at once.
        let now = self.clock.now();
        self.publish(now);
        self.step(vec![Input::Tick]).await?;
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = arrivals.next() => batch.ok_or(TurnError::SourceEnded("list of sources"))?,
                () = until(self.pause()) => Vec::new(),
            };
            self.take_in(batch).await?;
        }
    }

    /// How long there is nothing to do, unless something happens.
    fn pause(&mut self) -> Duration {
        let wake = self.reconciler.next_wake().map(|wake| wake.since(self.clock.now()));
        wake.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    async fn take_in(&mut self, batch: Vec<Arrival>) -> Result<(), TurnError> {
        let mut inputs = Vec::with_capacity(batch.len().max(1));
        let mut looks = Vec::new();
        for arrival in batch {
            match arrival {
                Arrival::Input(input) => inputs.push(input),
                Arrival::Request(request) => {
                    self.asked = RequestId(self.asked.0 + 1);
                    let group = match &request.command {
                        Command::Edit(edit) => Some(group_of(edit)),
                        _ => None,
                    };
                    inputs.push(Input::Command(self.asked, request.command));
                    self.waiting.insert(self.asked, Waiting { answer: request.answer, group });
                }
                Arrival::Look(look) => looks.push(look),
                Arrival::Ended(source) => return Err(TurnError::SourceEnded(source)),
            }
        }
        if inputs.is_empty() {
            inputs.push(Input::Tick);
        }
        self.step(inputs).await?;
        // Once the step is published, so that both halves are of one moment.
        for look in looks {
            // Who has gone away no longer waits.
            let _ = look.send((self.publisher.latest(), self.reconciler.outset()));
        }
        Ok(())
    }

    async fn step(&mut self, inputs: Vec<Input>) -> Result<(), TurnError> {
        let (now, turned) = (self.clock.now(), Instant::now());
        let turns: Vec<bool> = inputs.iter().filter_map(turns_of_connection).collect();
        for input in &inputs {
            self.metrics.input(input);
            match input {
                Input::Desired(_) => _ = self.metrics.desired_changes.inc(),
                Input::Stored(seq) => self.stored(*seq),
                Input::Cluster(ClusterEvent::Connected) => self.connected(now, true),
                Input::Cluster(ClusterEvent::Disconnected) => self.connected(now, false),
                _ => {}
            }
        }
        let (began, visited) = (Instant::now(), self.reconciler.work().apps_visited);
        let effects = self.reconciler.step(now, inputs);
        self.metrics.steps.inc();
        self.metrics.step_seconds.observe(began.elapsed().as_secs_f64());
        self.metrics.app_visits.inc_by(self.reconciler.work().apps_visited - visited);
        let (mut facts, mut answers) = (Vec::new(), Vec::new());
        for effect in effects {
            self.metrics.effect(&effect);
            match effect {
                Effect::Notify(event) => facts.push(event),
                Effect::Answer(request, answer) => answers.push((request, answer)),
                effect => self.carry_out(effect).await.map_err(TurnError::Hands)?,
            }
        }
        for connected in turns {
            self.tell_of_connection(now, connected);
        }
        self.tell(now, facts);
        self.publish(now);
        // Last, so that whoever is answered and looks finds what was answered.
        for (request, answer) in answers {
            if let Some(waiting) = self.waiting.remove(&request) {
                self.tell_of_refusal(now, waiting.group, &answer);
                // A client that has gone away no longer waits.
                let _ = waiting.answer.send(answer);
            }
        }
        self.metrics.turned(turned.elapsed());
        Ok(())
    }

    fn connected(&mut self, now: Timestamp, connected: bool) {
        if self.link.connected && !connected {
            tracing::warn!("the connection to the cluster is lost: tasks run on, nothing is launched meanwhile");
        }
        if self.link.connected != connected {
            (self.link.connected, self.link.since) = (connected, Some(now));
        }
    }

    fn tell_of_connection(&mut self, now: Timestamp, connected: bool) {
        let what = if !connected {
            Occurrence::Disconnected
        } else if std::mem::replace(&mut self.registered, true) {
            Occurrence::Reregistered { master: self.hands.master() }
        } else {
            let framework = self.reconciler.installation().framework.clone();
            Occurrence::Registered { framework, master: self.hands.master() }
        };
        self.events.say(now, what);
    }

    /// Marathon tells of changes that were refused, too. One that was made from what has changed meanwhile is made again.
    fn tell_of_refusal(&self, now: Timestamp, group: Option<GroupId>, answer: &Answer) {
        if let (Some(group), Answer::Refused(refusal)) = (group, answer)
            && !matches!(refusal, Refusal::Stale(_))
        {
            self.events.say(now, Occurrence::GroupChangeFailed { group, reason: refusal.to_string().into() });
        }
    }

    /// Tells listeners and the log what happened.
    fn tell(&self, now: Timestamp, facts: Vec<Event>) {
        for event in facts {
            let app = narrator::subject(&event).and_then(|app| self.reconciler.app(app));
            let declared = app.and_then(|app| app.declared.as_ref());
            narrator::tell(&event, declared.is_some_and(|declared| !declared.app.health_checks.is_empty()));
            self.events.push(now, event, app.map(|app| app.key));
        }
    }

    /// Shows readers what the step has changed, and counts it.
    fn publish(&mut self, now: Timestamp) {
        let touched: BTreeSet<AppId> = self.reconciler.take_touched().into_iter().collect();
        let settled = self.reconciler.settled();
        self.link.framework.clone_from(&self.reconciler.installation().framework);
        let link_is_news = self.publisher.put_link(&self.link);
        let stands = self.reconciler.take_standstill_news();
        if stands {
            self.publisher.put_standstill(self.reconciler.standstill(), self.reconciler.adoption());
        }
        let shelf_is_news = self.reconciler.take_shelf_news();
        if shelf_is_news {
            self.publisher.put_shelf(Shelf {
                deployments: self.reconciler.deployments().clone(),
                departed: self.reconciler.departed().clone(),
                groups: self.reconciler.groups().clone(),
                pods: self.reconciler.pods().clone(),
                listeners: self.reconciler.listeners().clone(),
            });
        }
        let agents_are_news = self.publisher.put_agents(self.reconciler.agents());
        for id in &touched {
            let app = self.reconciler.outlook(id).map(|(state, report, desired)| {
                AppSnapshot::new(state.clone(), report, desired, self.reconciler.deployment_of(id))
            });
            narrator::tell_report(self.publisher.last(id).map(|app| &app.report), app.as_ref());
            self.publisher.put(id, app);
        }
        let is_news = !touched.is_empty() || shelf_is_news || agents_are_news || link_is_news || stands;
        if is_news || settled != self.publisher.settled() || !self.publisher.has_published() {
            self.publisher.publish(now, settled);
        }
        self.count();
    }

    fn count(&self) {
        let mut by_state: BTreeMap<&str, (Condition, usize)> = BTreeMap::new();
        for (condition, count) in self.publisher.instances() {
            // Two conditions may have one name: a launch that nobody has confirmed counts as staging.
            by_state.entry(condition.task_state()).or_insert((condition, 0)).1 += count;
        }
        for (condition, count) in by_state.into_values() {
            self.metrics.instances(condition, count);
        }
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.apps.set(gauge(self.publisher.apps()));
        self.metrics.agents.set(gauge(self.reconciler.agents().len()));
        self.metrics.offers.set(gauge(self.reconciler.book().len()));
    }

    /// All batches up to this one are durable.
    fn stored(&mut self, last: WriteSeq) {
        while let Some((_, since)) = self.unstored.pop_front_if(|(seq, _)| *seq <= last) {
            self.metrics.store_batch_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), Cause> {
        let call = match effect {
            Effect::Persist { seq, writes } => {
                self.metrics.store_writes.inc_by(writes.len() as u64);
                self.unstored.push_back((seq, Instant::now()));
                return self.hands.persist(seq, writes).await;
            }
            Effect::StartProbe(app, probe) => {
                self.hands.start_probe(app, *probe).await;
                return Ok(());
            }
            Effect::StopProbe(app, instance, kind) => {
                self.hands.stop_probe(app, instance, kind).await;
                return Ok(());
            }
            Effect::Notify(_) | Effect::Answer(..) => return Ok(()),
            Effect::Survey { except } => Call::Survey { except },
            Effect::Subscribe(framework) => Call::Subscribe(framework),
            Effect::Accept { offers, agent, tasks } => Call::Accept { offers, agent, tasks },
            Effect::Decline { offers, refuse_for } => Call::Decline { offers, refuse_for },
            Effect::Revive(role) => Call::Revive(role),
            Effect::Suppress(role) => Call::Suppress(role),
            Effect::Kill { task, agent, grace } => Call::Kill { task, agent, grace },
            Effect::Acknowledge(ack) => Call::Acknowledge(ack),
            Effect::Reconcile(tasks) => Call::Reconcile(tasks),
        };
        self.hands.call(call).await
    }
}

/// The innermost group that holds all that somebody wants changed.
fn group_of(edit: &Edit) -> GroupId {
    let declared = edit.declare.iter().map(|app| &app.id);
    GroupId::common(declared.chain(&edit.withdraw).chain(&edit.restart))
}

/// Whether this is a connection won or lost.
fn turns_of_connection(input: &Input) -> Option<bool> {
    match input {
        Input::Cluster(ClusterEvent::Connected) => Some(true),
        Input::Cluster(ClusterEvent::Disconnected) => Some(false),
        _ => None,
    }
}

/// Waits; with nothing to wait for, at least lets other tasks run.
async fn until(pause: Duration) {
    if pause.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::Source;
    use ekiden_model::input::{Abilities, Desired};
    use ekiden_model::limits::Settings;
    use ekiden_model::record::Installation;

    use super::*;
    use crate::runtime::event_log::Batch;
    use crate::runtime::{Snapshots, fixtures};

    /// Hands that note what they are told to write; what is durable is up to the test.
    struct Notes {
        written: mpsc::UnboundedSender<WriteSeq>,
    }

    impl Hands for Notes {
        async fn persist(&mut self, seq: WriteSeq, _writes: Vec<Write>) -> Result<(), Cause> {
            self.written.send(seq).map_err(Into::into)
        }

        async fn call(&mut self, _call: Call) -> Result<(), Cause> {
            Ok(())
        }

        async fn start_probe(&mut self, _app: AppId, _probe: Probe) {}

        async fn stop_probe(&mut self, _app: AppId, _instance: InstanceKey, _kind: ProbeKind) {}
    }

    fn turn() -> (Turn<Notes>, mpsc::UnboundedReceiver<WriteSeq>, Snapshots) {
        let abilities =
            Abilities { docker: false, mesos_images: false, networks: false, kill_grace: Duration::from_secs(3) };
        let fresh = Installation::new(1);
        let reconciler =
            Reconciler::restore(Settings::default(), abilities, fresh, Vec::new()).expect("an empty store");
        let (written, writes) = mpsc::unbounded_channel();
        let (publisher, snapshots) = Publisher::new();
        let mut clock = Clock::start();
        let events = EventLog::new(clock.now());
        (Turn::new(reconciler, Notes { written }, clock, events, publisher, Metrics::default()), writes, snapshots)
    }

    #[tokio::test]
    async fn a_source_that_ends_ends_the_loop_and_is_named() {
        let (turn, _writes, _snapshots) = turn();
        let sources = vec![essential("cluster", futures_util::stream::empty())];
        let ended = turn.run(sources, CancellationToken::new()).await;
        assert_eq!(ended.expect_err("it must not run on").to_string(), "the cluster has stopped talking to us");
    }

    #[tokio::test]
    async fn listeners_are_told_of_the_connection_and_of_changes_that_were_refused() {
        let (mut turn, mut writes, _snapshots) = turn();
        let log = turn.events.clone();
        for connected in [ClusterEvent::Connected, ClusterEvent::Disconnected, ClusterEvent::Connected] {
            turn.step(vec![Input::Cluster(connected)]).await.expect("carried out");
        }
        let unknown = ["/prod/web", "/prod/db/main"].map(|id| AppId::parse(id).expect("a good id"));
        let edit = Edit { withdraw: unknown.into(), ..Edit::default() };
        let (answer, mut answered) = oneshot::channel();
        let request = Request { command: Command::Edit(Box::new(edit)), answer };
        turn.take_in(vec![Arrival::Request(request)]).await.expect("carried out");
        while let Ok(seq) = writes.try_recv() {
            turn.step(vec![Input::Stored(seq)]).await.expect("carried out");
        }
        let answer = answered.try_recv();
        assert!(matches!(answer, Ok(Answer::Refused(_))), "{answer:?}");

        let all = log.events(Batch { after: 0, to: log.latest().number });
        let told: Vec<&Occurrence> = all.iter().map(|logged| &logged.what).collect();
        let [
            Occurrence::Registered { .. },
            Occurrence::Disconnected,
            Occurrence::Reregistered { .. },
            Occurrence::GroupChangeFailed { group, .. },
        ] = told[..]
        else {
            panic!("{told:?}");
        };
        assert_eq!(group.as_str(), "/prod");
    }

    #[tokio::test]
    async fn a_request_is_answered_when_all_before_it_is_durable_and_the_loop_ends_when_told_to() {
        let (turn, mut writes, snapshots) = turn();
        let (requests, arrivals) = Requests::new();
        let (happens, inputs) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let sources = vec![essential("test", ReceiverStream::new(inputs)), arrivals];
        let running = tokio::spawn(turn.run(sources, stop.clone()));

        let declared = Arc::new(fixtures::app("/web"));
        let app = declared.id.clone();
        let desired =
            Desired { declare: vec![(declared, Source::Api)], withdraw: Vec::new(), complete: true, commit: None };
        happens.send(Input::Desired(desired)).await.expect("it listens");
        let mut last = writes.recv().await.expect("the declaration is written");
        assert!(snapshots.latest().app(&app).is_some(), "readers see it");

        let asked = requests.carry_out(Command::ResetBackoff(app.clone()));
        tokio::pin!(asked);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut asked).await;
        assert!(early.is_err(), "answered before anything was durable");
        while let Ok(seq) = writes.try_recv() {
            last = seq;
        }
        happens.send(Input::Stored(last)).await.expect("it listens");
        assert_eq!(asked.await, Ok(Answer::Done));
        stop.cancel();
        assert!(running.await.expect("no panic").is_ok());
        assert_eq!(requests.carry_out(Command::ResetBackoff(app)).await, Err(Closing));
    }
}
