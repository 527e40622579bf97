//! Every number that Ekiden publishes, in one place: its name, its labels, and who counts it.
//!
//! Names are `ekiden_<noun>_<unit>`, with `_total` for what only grows. Labels take their values from closed lists, so
//! that the number of series is bounded: never an app, an agent or a path that somebody typed.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ekiden_model::effect::Effect;
use ekiden_model::event::Event;
use ekiden_model::health::Outcome;
use ekiden_model::input::ClusterEvent;
use ekiden_model::report::KillCause;
use ekiden_model::{Condition, Input};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::dropwizard;

/// The media type of [`Metrics::encode_text`].
pub const TEXT_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The numbers of one Ekiden. Clones count into the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,

    /// Steps of the reconciler. Counted by the runtime, as are the next six.
    pub steps: Counter,
    /// How long a step took.
    pub step_seconds: Histogram,
    /// How long the loop was busy with one turn: a step, the start of its effects, and showing readers what changed.
    pub turn_seconds: Histogram,
    /// The longest of them since the start.
    pub longest_turn_seconds: Gauge<f64, AtomicU64>,
    /// Apps that controllers were asked about.
    pub app_visits: Counter,
    inputs: Family<Kind, Counter>,
    effects: Family<Kind, Counter>,
    launches: Counter,
    kills: Family<Cause, Counter>,

    /// Apps that are declared, or not yet forgotten.
    pub apps: Gauge,
    instances: Family<State, Gauge>,
    /// Agents that we know.
    pub agents: Gauge,
    /// Offers at hand.
    pub offers: Gauge,

    probes: Family<ProbeResult, Counter>,
    /// How much later than planned a probe began.
    pub probe_slip_seconds: Histogram,
    /// How long a probe took.
    pub probe_seconds: Histogram,
    /// Probes that are made again and again.
    pub probes_active: Gauge,
    /// Results of probes that nobody had room for.
    pub probe_results_dropped: Counter,

    /// How long a batch of writes took to be durable. Counted by the loop, as is the next.
    pub store_batch_seconds: Histogram,
    /// Records written.
    pub store_writes: Counter,

    /// Whether we are subscribed with a Mesos master: 0 or 1. Counted by its driver, as are the next eight.
    pub mesos_connected: Gauge,
    /// Subscriptions that a master has confirmed.
    pub mesos_subscriptions: Counter,
    /// Bytes of the stream of events.
    pub mesos_received_bytes: Counter,
    /// Calls that wait to be sent.
    pub mesos_calls_waiting: Gauge,
    mesos_events: Family<Kind, Counter>,
    mesos_calls: Family<Kind, Counter>,
    mesos_calls_lost: Family<Kind, Counter>,
    mesos_call_seconds: Histogram,

    http_requests: Family<Request, Counter>,
    /// How long an HTTP request took to its answer's first byte.
    pub http_request_seconds: Histogram,
    /// Requests that made a handler panic: each is a bug. Counted by the API, as are the next two.
    pub http_panics: Counter,
    /// Event streams that are open.
    pub event_streams: Gauge,
    /// Events that a reader was too slow for.
    pub events_dropped: Counter,
    /// Events that a callback address did not take.
    pub callbacks_dropped: Counter,

    /// What is wrong with the manifests at present: diagnostics shown.
    pub manifest_diagnostics: Gauge,
    /// Changes of what is declared that were taken in.
    pub desired_changes: Counter,
}

/// What came of a probe, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// See [`Outcome::Success`].
    Success,
    /// See [`Outcome::Failure`].
    Failure,
    /// See [`Outcome::NoResult`].
    NoResult,
}

impl ProbeOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::NoResult => "no_result",
        }
    }
}

impl From<&Outcome> for ProbeOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Failure(_) => Self::Failure,
            Outcome::NoResult(_) => Self::NoResult,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeResult {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// From 0.1 ms to 13 s in steps of two: a step at one end, a slow disk or a hung server at the other.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Registry::default())
    }
}

impl Metrics {
    /// Registers all numbers in `registry`, beside what is in it already.
    pub fn new(mut registry: Registry) -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            steps: Counter::default(),
            step_seconds: durations(),
            turn_seconds: durations(),
            longest_turn_seconds: Gauge::default(),
            app_visits: Counter::default(),
            inputs: Family::default(),
            effects: Family::default(),
            launches: Counter::default(),
            kills: Family::default(),
            apps: Gauge::default(),
            instances: Family::default(),
            agents: Gauge::default(),
            offers: Gauge::default(),
            probes: Family::default(),
            probe_slip_seconds: durations(),
            probe_seconds: durations(),
            probes_active: Gauge::default(),
            probe_results_dropped: Counter::default(),
            store_batch_seconds: durations(),
            store_writes: Counter::default(),
            mesos_connected: Gauge::default(),
            mesos_subscriptions: Counter::default(),
            mesos_received_bytes: Counter::default(),
            mesos_calls_waiting: Gauge::default(),
            mesos_events: Family::default(),
            mesos_calls: Family::default(),
            mesos_calls_lost: Family::default(),
            mesos_call_seconds: durations(),
            http_requests: Family::default(),
            http_request_seconds: durations(),
            http_panics: Counter::default(),
            event_streams: Gauge::default(),
            events_dropped: Counter::default(),
            callbacks_dropped: Counter::default(),
            manifest_diagnostics: Gauge::default(),
            desired_changes: Counter::default(),
        };
        metrics.register(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("ekiden");
        r.register("steps", "Steps of the reconciler", self.steps.clone());
        r.register_with_unit("step", "Duration of a step", Unit::Seconds, self.step_seconds.clone());
        r.register_with_unit("turn", "Time the loop was busy at once", Unit::Seconds, self.turn_seconds.clone());
        let longest = self.longest_turn_seconds.clone();
        r.register_with_unit("longest_turn", "The longest time the loop was busy at once", Unit::Seconds, longest);
        r.register("app_visits", "Apps that controllers were asked about", self.app_visits.clone());
        r.register("inputs", "Inputs of the reconciler, by kind", self.inputs.clone());
        r.register("effects", "Effects of the reconciler, by kind", self.effects.clone());
        r.register("launches", "Tasks launched", self.launches.clone());
        r.register("kills", "Instances that were told to end, by cause", self.kills.clone());
        r.register("apps", "Apps, those not yet forgotten included", self.apps.clone());
        r.register("instances", "Instances, by the state of their task", self.instances.clone());
        r.register("agents", "Agents known", self.agents.clone());
        r.register("offers", "Offers at hand", self.offers.clone());
        r.register("probes", "Probes made, by outcome", self.probes.clone());
        let slip = self.probe_slip_seconds.clone();
        r.register_with_unit("probe_slip", "How much later than planned a probe began", Unit::Seconds, slip);
        r.register_with_unit("probe", "Duration of a probe", Unit::Seconds, self.probe_seconds.clone());
        r.register("probes_active", "Probes made again and again at present", self.probes_active.clone());
        let dropped = self.probe_results_dropped.clone();
        r.register("probe_results_dropped", "Results of probes that there was no room for", dropped);
        let batch = self.store_batch_seconds.clone();
        r.register_with_unit("store_batch", "Time until a batch of writes was durable", Unit::Seconds, batch);
        r.register("store_writes", "Records written to the store", self.store_writes.clone());
        r.register(
            "mesos_connected",
            "Whether we are subscribed with a Mesos master",
            self.mesos_connected.clone(),
        );
        let subscriptions = self.mesos_subscriptions.clone();
        r.register("mesos_subscriptions", "Subscriptions that a master has confirmed", subscriptions);
        let received = self.mesos_received_bytes.clone();
        r.register_with_unit("mesos_received", "Bytes of the stream of events", Unit::Bytes, received);
        let waiting = self.mesos_calls_waiting.clone();
        r.register("mesos_calls_waiting", "Calls that wait to be sent to the master", waiting);
        r.register("mesos_events", "Events of the master's, by kind", self.mesos_events.clone());
        r.register("mesos_calls", "Calls that the master has taken, by kind", self.mesos_calls.clone());
        let lost = self.mesos_calls_lost.clone();
        r.register("mesos_calls_lost", "Calls dropped, refused or lost with a connection, by kind", lost);
        let call = self.mesos_call_seconds.clone();
        r.register_with_unit("mesos_call", "Time until the master had taken a call", Unit::Seconds, call);
        r.register("http_requests", "HTTP requests, by method, route and status", self.http_requests.clone());
        let request = self.http_request_seconds.clone();
        r.register_with_unit("http_request", "Time until a request was answered", Unit::Seconds, request);
        r.register("http_panics", "HTTP requests that made a handler panic", self.http_panics.clone());
        r.register("event_streams", "Event streams open", self.event_streams.clone());
        r.register("events_dropped", "Events that a reader was too slow for", self.events_dropped.clone());
        let refused = "Events that an address did not take to which they are sent";
        r.register("callbacks_dropped", refused, self.callbacks_dropped.clone());
        let diagnostics = self.manifest_diagnostics.clone();
        r.register("manifest_diagnostics", "What is wrong with the manifests at present", diagnostics);
        r.register("desired_changes", "Changes of what is declared", self.desired_changes.clone());
    }

    /// Counts an input.
    pub fn input(&self, input: &Input) {
        self.inputs.get_or_create(&Kind { kind: input_kind(input) }).inc();
    }

    /// Counts a turn of the loop.
    pub fn turned(&self, took: Duration) {
        let took = took.as_secs_f64();
        self.turn_seconds.observe(took);
        // One loop counts, so nothing comes between reading and writing.
        if took > self.longest_turn_seconds.get() {
            self.longest_turn_seconds.set(took);
        }
    }

    /// Counts an effect; launches and kills in it as such, too. A kill is counted when it is told of and not when it is
    /// sent, which may be many times.
    pub fn effect(&self, effect: &Effect) {
        self.effects.get_or_create(&Kind { kind: effect_kind(effect) }).inc();
        match effect {
            Effect::Accept { tasks, .. } => {
                self.launches.inc_by(tasks.len() as u64);
            }
            Effect::Notify(Event::Killing { cause, .. }) => {
                self.kills.get_or_create(&Cause { cause: kill_cause(*cause) }).inc();
            }
            _ => {}
        }
    }

    /// So many instances are in this condition.
    pub fn instances(&self, condition: Condition, count: usize) {
        let gauge = self.instances.get_or_create_owned(&State { state: condition.task_state() });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a probe.
    pub fn probed(&self, outcome: ProbeOutcome, took: Duration, slip: Duration) {
        self.probes.get_or_create(&ProbeResult { outcome: outcome.as_str() }).inc();
        self.probe_seconds.observe(took.as_secs_f64());
        self.probe_slip_seconds.observe(slip.as_secs_f64());
    }

    /// Counts an event of a Mesos master's. `kind` is its type.
    pub fn mesos_event(&self, kind: &'static str) {
        self.mesos_events.get_or_create(&Kind { kind }).inc();
    }

    /// Counts a call that the master has taken. `kind` is its type.
    pub fn mesos_call_sent(&self, kind: &'static str, took: Duration) {
        self.mesos_calls.get_or_create(&Kind { kind }).inc();
        self.mesos_call_seconds.observe(took.as_secs_f64());
    }

    /// Counts a call that the master has not taken, or perhaps not.
    pub fn mesos_call_lost(&self, kind: &'static str) {
        self.mesos_calls_lost.get_or_create(&Kind { kind }).inc();
    }

    /// Counts an HTTP request. `route` is the pattern and not the path, `/v2/apps/{id}`; a method that no route has is
    /// `other`.
    pub fn requested(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        self.http_requests.get_or_create(&Request { method, route, status }).inc();
        self.http_request_seconds.observe(took.as_secs_f64());
    }

    /// As `OpenMetrics` text, which Prometheus and whoever reads its format understand.
    pub fn encode_text(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// As Marathon's `GET /metrics` answers.
    pub fn to_marathon_json(&self) -> serde_json::Value {
        dropwizard::from_text(&self.encode_text())
    }
}

fn input_kind(input: &Input) -> &'static str {
    match input {
        Input::Desired(_) => "desired",
        Input::Probe(..) => "probe",
        Input::Stored(_) => "stored",
        Input::Command(..) => "command",
        Input::Tick => "tick",
        Input::Cluster(event) => match event {
            ClusterEvent::Registered(_) => "registered",
            ClusterEvent::Found(_) => "found",
            ClusterEvent::Maintenance(..) => "maintenance",
            ClusterEvent::Connected => "connected",
            ClusterEvent::Disconnected => "disconnected",
            ClusterEvent::Offers(_) => "offers",
            ClusterEvent::Rescinded(_) => "rescinded",
            ClusterEvent::Status(_) => "status",
            ClusterEvent::AgentUnreachable(_) => "agent_unreachable",
            ClusterEvent::AgentGone(_) => "agent_gone",
            ClusterEvent::Reconciled => "reconciled",
            ClusterEvent::Message(_) => "message",
        },
    }
}

fn effect_kind(effect: &Effect) -> &'static str {
    match effect {
        Effect::Persist { .. } => "persist",
        Effect::Survey { .. } => "survey",
        Effect::Subscribe(_) => "subscribe",
        Effect::Accept { .. } => "accept",
        Effect::Decline { .. } => "decline",
        Effect::Revive(_) => "revive",
        Effect::Suppress(_) => "suppress",
        Effect::Kill { .. } => "kill",
        Effect::Acknowledge(_) => "acknowledge",
        Effect::Reconcile(_) => "reconcile",
        Effect::StartProbe(..) => "start_probe",
        Effect::StopProbe(..) => "stop_probe",
        Effect::Notify(_) => "notify",
        Effect::Answer(..) => "answer",
    }
}

fn kill_cause(cause: KillCause) -> &'static str {
    match cause {
        KillCause::Removed => "removed",
        KillCause::ScaledIn => "scaled_in",
        KillCause::Replaced => "replaced",
        KillCause::Unhealthy => "unhealthy",
        KillCause::Overdue => "overdue",
        KillCause::Returned => "returned",
        KillCause::Redundant => "redundant",
        KillCause::Unreachable => "unreachable",
        KillCause::Operator => "operator",
        KillCause::Misplaced => "misplaced",
        KillCause::Draining => "draining",
    }
}

/// An effect that tells of a kill.
#[cfg(test)]
pub(super) fn killing(cause: KillCause) -> Effect {
    Effect::Notify(Event::Killing {
        app: ekiden_model::AppId::resolve("web", &ekiden_model::GroupId::root()).expect("a good id"),
        instance: ekiden_model::InstanceKey {
            slot: ekiden_model::Slot(0),
            incarnation: ekiden_model::Incarnation::FIRST,
        },
        cause,
        version: ekiden_model::Timestamp::EPOCH,
        agent: "a-1".into(),
        host: "node-1".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_names_units_and_labels() {
        let metrics = Metrics::default();
        metrics.steps.inc();
        metrics.effect(&killing(KillCause::Unhealthy));
        metrics.input(&Input::Cluster(ClusterEvent::Reconciled));
        metrics.effect(&Effect::Acknowledge(ekiden_model::input::Ack {
            agent: ekiden_model::AgentId::new("a1"),
            task: ekiden_model::TaskId::new("t1"),
            uuid: [].into(),
        }));
        metrics.probed(ProbeOutcome::NoResult, Duration::from_millis(3), Duration::ZERO);
        metrics.instances(Condition::Running, 7);
        metrics.requested("GET", "/v2/apps/{id}", 404, Duration::from_millis(1));
        let text = metrics.encode_text();
        for line in [
            "ekiden_steps_total 1",
            "ekiden_kills_total{cause=\"unhealthy\"} 1",
            "ekiden_inputs_total{kind=\"reconciled\"} 1",
            "ekiden_effects_total{kind=\"acknowledge\"} 1",
            "ekiden_effects_total{kind=\"notify\"} 1",
            "ekiden_probes_total{outcome=\"no_result\"} 1",
            "ekiden_probe_seconds_count 1",
            "ekiden_instances{state=\"TASK_RUNNING\"} 7",
            "ekiden_http_requests_total{method=\"GET\",route=\"/v2/apps/{id}\",status=\"404\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
        }
    }

    #[test]
    fn a_registry_of_somebody_else_keeps_what_is_in_it() {
        let mut registry = Registry::default();
        let theirs: Counter = Counter::default();
        registry.register("theirs", "Somebody else's", theirs.clone());
        theirs.inc();
        let text = Metrics::new(registry).encode_text();
        assert!(text.contains("theirs_total 1") && text.contains("ekiden_apps 0"), "{text}");
    }
}
