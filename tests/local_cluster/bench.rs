//! What the tests of the embedded cluster stand on: a cluster, what it has said so far, and apps to launch.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ekiden::cluster::Call;
use ekiden::cluster::local::{LocalCluster, LocalOptions, start};
use ekiden_model::app::{Capacity, Command, Count, HostPort, PortDefinition, Template, UnreachableStrategy};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::{ClusterEvent, TaskStatus};
use ekiden_model::offer::{Bundle, Claim};
use ekiden_model::{
    App, AppId, Condition, Incarnation, InstanceKey, Offer, Resources, RevisionId, Role, Scalar, Slot, TaskId,
    Timestamp,
};
use tokio::sync::mpsc;

/// Nothing here takes a second; a machine that is busy with something else gets this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running cluster and its reader.
pub(crate) struct Bench {
    pub(crate) cluster: LocalCluster,
    events: mpsc::Receiver<ClusterEvent>,
    /// Offers that were made and not used yet.
    pub(crate) offers: Vec<Offer>,
    /// Statuses that nobody has looked at yet, per task.
    statuses: BTreeMap<TaskId, VecDeque<TaskStatus>>,
    /// Whether statuses are acknowledged as they come.
    pub(crate) acknowledges: bool,
    pub(crate) reconciled: usize,
    _dir: tempfile::TempDir,
    pub(crate) work_dir: PathBuf,
}

/// Options of a cluster whose resources do not depend on this machine.
pub(crate) fn options(work_dir: &Path) -> LocalOptions {
    LocalOptions {
        resources: Some("cpus:100;mem:100000;disk:100000".parse().expect("well-formed")),
        supervisor: Some(env!("CARGO_BIN_EXE_ekiden").into()),
        ..LocalOptions::new(work_dir)
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    /// With options of its own; one offer of each agent is there already.
    pub(crate) async fn with(change: impl FnOnce(LocalOptions) -> LocalOptions) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let work_dir = dir.path().join("work");
        let options = change(options(&work_dir));
        let agents = options.agents as usize;
        let (cluster, events) = start(options).await.expect("the cluster starts");
        let mut bench = Self {
            cluster,
            events,
            offers: Vec::new(),
            statuses: BTreeMap::new(),
            acknowledges: true,
            reconciled: 0,
            _dir: dir,
            work_dir,
        };
        bench.wait_for("the first offers", |bench| bench.offers.len() >= agents).await;
        bench
    }

    /// Reads events until `done`.
    pub(crate) async fn wait_for(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !done(self) {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("no {what}; unread: {:?}", self.statuses));
            self.take(event.expect("the cluster runs")).await;
        }
    }

    async fn take(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Offers(offers) => self.offers.extend(offers),
            ClusterEvent::Status(status) => {
                if let Some(ack) = status.ack.clone().filter(|_| self.acknowledges) {
                    self.cluster.call(Call::Acknowledge(ack)).await;
                }
                self.statuses.entry(status.task.clone()).or_default().push_back(status);
            }
            ClusterEvent::Reconciled => self.reconciled += 1,
            ClusterEvent::Connected => {}
            other => panic!("an agent of this machine cannot do this: {other:?}"),
        }
    }

    /// The next status of a task.
    pub(crate) async fn status(&mut self, task: &TaskId) -> TaskStatus {
        let has_one = |bench: &Self| bench.statuses.get(task).is_some_and(|statuses| !statuses.is_empty());
        self.wait_for(&format!("status of {task}"), has_one).await;
        self.statuses.get_mut(task).and_then(VecDeque::pop_front).expect("just seen")
    }

    /// The status with which the task got to `condition`, whatever came before.
    pub(crate) async fn until(&mut self, task: &TaskId, condition: Condition) -> TaskStatus {
        loop {
            let status = self.status(task).await;
            if status.condition == condition {
                return status;
            }
            assert!(status.condition.is_live(), "ended as {status:?}, not as {condition:?}");
        }
    }

    /// All statuses up to and including the terminal one.
    pub(crate) async fn life(&mut self, task: &TaskId) -> Vec<TaskStatus> {
        let mut life = Vec::new();
        loop {
            let status = self.status(task).await;
            let ended = status.condition.is_terminal();
            life.push(status);
            if ended {
                return life;
            }
        }
    }

    /// An offer, when there is one.
    pub(crate) async fn offer(&mut self) -> Offer {
        self.wait_for("offer", |bench| !bench.offers.is_empty()).await;
        self.offers.remove(0)
    }

    /// Launches one instance of `app` from the next offer.
    pub(crate) async fn launch(&mut self, app: &App) -> TaskLaunch {
        let offer = self.offer().await;
        let launch = launch_from(&offer, app, Slot(0));
        self.accept(&offer, vec![launch.clone()]).await;
        launch
    }

    pub(crate) async fn accept(&self, offer: &Offer, tasks: Vec<TaskLaunch>) {
        let (offers, agent) = (vec![offer.id.clone()], offer.agent.id.clone());
        self.cluster.call(Call::Accept { offers, agent, tasks }).await;
    }

    pub(crate) async fn kill(&self, task: &TaskId, grace: Option<Duration>) {
        self.cluster.call(Call::Kill { task: task.clone(), agent: None, grace }).await;
    }

    /// A file of a task's sandbox, as text; empty before there is one.
    pub(crate) fn file(&self, task: &TaskId, name: &str) -> String {
        let sandbox = self.cluster.sandbox(task);
        sandbox.and_then(|sandbox| std::fs::read_to_string(sandbox.join(name)).ok()).unwrap_or_default()
    }

    /// Waits until a file of a task's sandbox has something in it.
    pub(crate) async fn file_with_text(&self, task: &TaskId, name: &str) -> String {
        let text = || Some(self.file(task, name)).filter(|text| text.ends_with('\n'));
        eventually(&format!("{name} of {task}"), text).await
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        pause.tick().await;
    }
}

/// The processes that have `text` in their command line.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    processes
        .filter(|process| process.file_name().to_string_lossy().bytes().all(|c| c.is_ascii_digit()))
        .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|command| command.contains(text))
        .collect()
}

/// An app that runs a shell command.
pub(crate) fn shell(command: &str) -> App {
    app(Command::Shell(command.to_owned()))
}

pub(crate) fn app(command: Command) -> App {
    App {
        capacity: Capacity::Counted { max_surge: Count::Whole(1), max_unavailable: Count::Whole(0) },
        unreachable: UnreachableStrategy::Disabled,
        ..App::new(
            AppId::parse("/test/app").expect("a good id"),
            Template {
                resources: Resources { cpus: Scalar(100), mem: Scalar::whole(32), ..Resources::NONE },
                ..Template::new(command)
            },
        )
    }
}

/// The same app with another template.
pub(crate) fn templated(app: App, change: impl FnOnce(&mut Template)) -> App {
    let mut template = (*app.template).clone();
    change(&mut template);
    App { template: Arc::new(template), ..app }
}

pub(crate) fn dynamic_port(name: Option<&str>, service_port: Option<u16>) -> PortDefinition {
    PortDefinition {
        name: name.map(ToOwned::to_owned),
        service_port: service_port.and_then(ekiden_model::Port::new),
        ..PortDefinition::new(HostPort::Dynamic)
    }
}

/// A launch that takes its ports from the beginning of the offer.
pub(crate) fn launch_from(offer: &Offer, app: &App, slot: Slot) -> TaskLaunch {
    let host_ports: Vec<_> =
        (0..app.template.ports.len()).map(|index| offer.unreserved.ports.nth(index)).collect();
    let ports = host_ports.iter().flatten().copied().collect();
    TaskLaunch {
        task: new_task_id(slot),
        instance: InstanceKey { slot, incarnation: Incarnation::FIRST },
        revision: RevisionId(1),
        version: Timestamp::from_millis(1_795_168_800_000),
        app: Arc::new(app.clone()),
        enforces_group_role: false,
        agent: offer.agent.clone(),
        role: Role::any(),
        claim: Claim {
            unreserved: Bundle { resources: app.template.resources, ports },
            reserved: Bundle::default(),
        },
        host_ports,
        service_ports: app.template.ports.iter().map(|port| port.service_port).collect(),
    }
}

fn new_task_id(slot: Slot) -> TaskId {
    static LAUNCHES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let launch = LAUNCHES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    TaskId::new(format!("test_app.instance-{:08}._app.{launch}", slot.0))
}
