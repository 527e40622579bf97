//! The driver, connected to a fake Mesos, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use ekiden::cluster::Call;
use ekiden::cluster::mesos::{self, FrameworkOptions, Mesos, MesosOptions};
use ekiden::telemetry::Metrics;
use ekiden_kit::master::{FakeMesos, Options};
use ekiden_model::app::App;
use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::{ClusterEvent, TaskStatus};
use ekiden_model::offer::{Bundle, Claim};
use ekiden_model::{
    AgentId, FrameworkId, Incarnation, InstanceKey, Offer, OfferId, RevisionId, Role, Slot, TaskId, Timestamp,
};
use tokio::sync::mpsc;

/// Whatever is waited for takes milliseconds; a loaded machine may take its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// So long nothing happens that should not: what would be wrong takes milliseconds, too.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

/// A driver and its master.
pub(crate) struct Rig {
    pub(crate) fake: FakeMesos,
    pub(crate) mesos: Mesos,
    events: mpsc::Receiver<ClusterEvent>,
}

/// How the tests introduce themselves.
pub(crate) fn options(master: &str) -> MesosOptions {
    MesosOptions {
        master: master.to_owned(),
        framework: FrameworkOptions {
            name: "under-test".to_owned(),
            user: "nobody".to_owned(),
            hostname: "here.test".to_owned(),
            webui_url: None,
            role: Role::any(),
            failover_timeout: Duration::from_secs(600),
            checkpoint: true,
            env_vars_prefix: String::new(),
        },
        credentials: None,
        certificate_authority: None,
        metrics: Metrics::default(),
    }
}

impl Rig {
    /// A fake Mesos, and a driver that knows its address and has been told nothing yet.
    pub(crate) async fn new(fake: Options) -> Self {
        let fake = FakeMesos::start(fake).await.expect("a port on loopback");
        let options = options(&fake.address());
        Self::with(fake, options)
    }

    pub(crate) fn with(fake: FakeMesos, options: MesosOptions) -> Self {
        let (mesos, events) = mesos::start(options).expect("options that make sense");
        Self { fake, mesos, events }
    }

    /// One that is subscribed as a new framework.
    pub(crate) async fn subscribed(fake: Options) -> (Self, FrameworkId) {
        let mut rig = Self::new(fake).await;
        rig.mesos.call(Call::Subscribe(None)).await;
        let id = rig.connected().await;
        (rig, id)
    }

    /// The next event, if one comes in that time.
    pub(crate) async fn event_within(&mut self, time: Duration) -> Option<ClusterEvent> {
        tokio::time::timeout(time, self.events.recv()).await.ok().flatten()
    }

    /// Events up to the first of which `find` makes something.
    pub(crate) async fn until<T>(&mut self, what: &str, mut find: impl FnMut(&ClusterEvent) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(event) = self.events.recv().await {
                if let Some(found) = find(&event) {
                    return Some(found);
                }
                passed.push(event);
            }
            None
        });
        match found.await {
            Ok(Some(found)) => found,
            ended => {
                let ended = if ended.is_ok() { "the events have ended" } else { "never" };
                panic!("{what}: {ended}\n{}\n{}", self.mesos_says(), shown(&passed))
            }
        }
    }

    /// What comes until nothing has come for a while.
    pub(crate) async fn drained(&mut self) -> Vec<ClusterEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.event_within(QUIET).await {
            events.push(event);
        }
        events
    }

    /// Waits until it is (again) connected; as whom.
    pub(crate) async fn connected(&mut self) -> FrameworkId {
        let mut registered = None;
        self.until("connected", |event| match event {
            ClusterEvent::Registered(id) => {
                registered = Some(id.clone());
                None
            }
            ClusterEvent::Connected => Some(registered.clone().expect("registered before it is connected")),
            _ => None,
        })
        .await
    }

    /// Waits until it is not.
    pub(crate) async fn disconnected(&mut self) {
        self.until("disconnected", |event| (*event == ClusterEvent::Disconnected).then_some(())).await;
    }

    /// Waits for an offer.
    pub(crate) async fn offer(&mut self) -> Offer {
        self.until("an offer", |event| match event {
            ClusterEvent::Offers(offers) => offers.first().cloned(),
            _ => None,
        })
        .await
    }

    /// Waits for a status of a task.
    pub(crate) async fn status(&mut self, task: &TaskId) -> TaskStatus {
        self.until(&format!("a status of {task}"), |event| match event {
            ClusterEvent::Status(status) if status.task == *task => Some(status.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the master sees something.
    pub(crate) async fn seen<T>(&self, what: &str, found: impl FnMut(&FakeMesos) -> Option<T>) -> T {
        let found = self.fake.wait(PATIENCE, found).await;
        found.unwrap_or_else(|| panic!("{what}: never\n{}\n{:#?}", self.mesos_says(), kinds(&self.fake)))
    }

    /// Waits until the master has seen so many calls of a kind.
    pub(crate) async fn seen_calls(&self, kind: &str, count: usize) {
        self.seen(&format!("{count} {kind}"), |fake| (fake.count(kind) >= count).then_some(())).await;
    }

    /// Launches an app on an offer.
    pub(crate) async fn launch(&self, offer: &Offer, app: &App, slot: u32) -> TaskId {
        let launch = launch_from(offer, app, Slot(slot));
        let task = launch.task.clone();
        self.mesos
            .call(Call::Accept {
                offers: vec![offer.id.clone()],
                agent: offer.agent.id.clone(),
                tasks: vec![launch],
            })
            .await;
        task
    }

    /// Takes events from now on, and drops them.
    pub(crate) fn listening(self) -> Self {
        let Self { fake, mesos, mut events } = self;
        let (_, none) = mpsc::channel(1);
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        Self { fake, mesos, events: none }
    }

    fn mesos_says(&self) -> String {
        format!("{:?}", *self.mesos.status().borrow())
    }
}

/// The kinds of all calls, in order.
pub(crate) fn kinds(fake: &FakeMesos) -> Vec<String> {
    fake.seen().into_iter().map(|seen| seen.call).collect()
}

/// A kill of a task that nobody runs.
pub(crate) fn kill(task: &str) -> Call {
    Call::Kill { task: TaskId::new(task), agent: Some(AgentId::new("somewhere")), grace: None }
}

/// A refusal of an offer that nobody made.
pub(crate) fn decline(offer: &str) -> Call {
    Call::Decline { offers: vec![OfferId::new(offer)], refuse_for: Duration::from_secs(5) }
}

fn launch_from(offer: &Offer, app: &App, slot: Slot) -> TaskLaunch {
    let host_ports: Vec<_> =
        (0..app.template.ports.len()).map(|index| offer.unreserved.ports.nth(index)).collect();
    let ports = host_ports.iter().flatten().copied().collect();
    TaskLaunch {
        task: TaskId::new(format!("app.instance-{:08}-0000-0000-0000-000000000000._app.1", slot.0)),
        instance: InstanceKey { slot, incarnation: Incarnation::FIRST },
        revision: RevisionId(1),
        version: Timestamp::from_millis(1_795_168_800_000),
        app: Arc::new(app.clone()),
        enforces_group_role: false,
        agent: offer.agent.clone(),
        role: offer.role.clone(),
        claim: Claim {
            unreserved: Bundle { resources: app.template.resources, ports },
            reserved: Bundle::default(),
        },
        host_ports,
        service_ports: app.template.ports.iter().map(|port| port.service_port).collect(),
    }
}

fn shown(events: &[ClusterEvent]) -> String {
    let shown: Vec<String> = events.iter().map(|event| format!("{event:.300?}")).collect();
    shown.join("\n")
}
