//! The life of one task: sandbox, fetch, process, checks, end. What an agent and its command executor do in Mesos.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ekiden_model::app::{Command, ContainerKind, DEFAULT_KILL_GRACE, NetworkMode, Template};
use ekiden_model::effect::TaskLaunch;
use ekiden_model::{Condition, TaskId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::{self, Checker, Verdict};
use super::fetch::{FetchError, fetch};
use super::protocol::{End, Program, Spec, UserIds};
use super::sandbox;
use super::supervisor::{StartError, Supervised};
use super::user::{UserError, account};
use crate::cluster::environment;

/// One step in the life of a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) condition: Condition,
    pub(super) message: Arc<str>,
    pub(super) reason: Option<&'static str>,
    pub(super) healthy: Option<bool>,
}

impl Step {
    fn new(condition: Condition, message: impl Into<Arc<str>>) -> Self {
        Self { condition, message: message.into(), reason: None, healthy: None }
    }

    fn checked(self, healthy: bool) -> Self {
        Self { healthy: Some(healthy), ..self }
    }

    fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// An order to end a task: when it gets SIGKILL. Later orders can only bring it forward.
pub(super) type KillOrder = Option<Instant>;

/// What an executor needs to know.
pub(super) struct Executor {
    pub(super) launch: TaskLaunch,
    pub(super) sandbox: PathBuf,
    pub(super) supervisor: PathBuf,
    /// What every task has of Ekiden's own environment.
    pub(super) inherited: Arc<BTreeMap<String, String>>,
    /// How many files every task may have open.
    pub(super) open_files: Option<u64>,
}

/// Why a task did not come to run. Displayed as a sentence.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("the sandbox {path} cannot be made: {cause}")]
    Sandbox { path: PathBuf, cause: std::io::Error },
    #[error("{0}")]
    User(#[from] UserError),
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("failed to start the command: {0}")]
    Start(#[from] StartError),
}

/// What this machine cannot do for a task, if there is anything: the message of its `TASK_ERROR`.
pub(super) fn unsupported(template: &Template) -> Option<&'static str> {
    let bare = |container: &ekiden_model::app::Container| {
        container.kind == ContainerKind::Mesos && container.image.is_none() && container.volumes.is_empty()
    };
    if template.container.as_ref().is_some_and(|container| !bare(container)) {
        Some("this machine as a cluster runs plain processes; container images and volumes need Mesos")
    } else if template.networks.iter().any(|network| network.mode != NetworkMode::Host) {
        Some("this machine as a cluster has the host's network only; bridge and container networks need Mesos")
    } else if !matches!(template.executor.as_str(), "" | "//cmd") {
        Some("this machine as a cluster has the command executor only; leave `executor` out")
    } else if template.tty {
        Some("this machine as a cluster gives tasks no terminal; leave `tty` out")
    } else if template.command == Command::Image {
        Some("without a container image there must be `cmd` or `args`")
    } else {
        None
    }
}

impl Executor {
    /// Lives the task's life and tells its steps. The last one is terminal, and nothing of the task is left then.
    pub(super) async fn run(self, mut kills: watch::Receiver<KillOrder>, steps: mpsc::Sender<(TaskId, Step)>) {
        let task = self.launch.task.clone();
        let tell = Tell { task, steps };
        let last = self.live(&mut kills, &tell).await;
        tell.step(last).await;
    }

    async fn live(&self, kills: &mut watch::Receiver<KillOrder>, tell: &Tell) -> Step {
        let prepared = tokio::select! {
            biased;
            _ = kills.wait_for(Option::is_some) => {
                return Step::new(Condition::Killed, "Killed before delivery to the executor")
                    .because("REASON_TASK_KILLED_DURING_LAUNCH");
            }
            prepared = self.prepare() => prepared,
        };
        let failed = |error: LaunchError| {
            Step::new(Condition::Failed, error.to_string()).because("REASON_CONTAINER_LAUNCH_FAILED")
        };
        let spec = match prepared {
            Ok(spec) => spec,
            Err(error) => return failed(error),
        };
        tell.step(Step::new(Condition::Starting, "")).await;
        let process = match Supervised::start(&self.supervisor, &spec).await {
            Ok(process) => process,
            Err(error) => return failed(error.into()),
        };
        tell.step(Step::new(Condition::Running, "")).await;
        self.attend(process, &spec, kills, tell).await
    }

    /// Makes the sandbox and brings into it what the task needs.
    async fn prepare(&self) -> Result<Spec, LaunchError> {
        let template = &self.launch.app.template;
        let account = account(template.user.as_deref())?;
        let user = account.as_ref().map(|account| account.ids);
        self.blocking(user, sandbox::create).await?;
        let mut env = (*self.inherited).clone();
        if let Some(account) = account {
            env.insert("HOME".to_owned(), account.home);
        }
        env.insert("MESOS_SANDBOX".to_owned(), self.sandbox.to_string_lossy().into_owned());
        let spec = Spec {
            program: match &template.command {
                Command::Shell(line) => Program::Shell(line.clone()),
                Command::Args(args) => Program::Args(args.clone()),
                Command::Image => Program::Args(Vec::new()),
            },
            env,
            user,
            dir: self.sandbox.clone(),
            stdout: Some(self.sandbox.join("stdout")),
            stderr: Some(self.sandbox.join("stderr")),
            open_files: self.open_files,
        };
        // The app's own variables are for the app: a PATH of its own must not change which tar unpacks it.
        for item in &template.fetch {
            fetch(item, &self.supervisor, &spec).await?;
        }
        if let Some(user) = user.filter(|_| !template.fetch.is_empty()) {
            self.blocking(Some(user), |folder, user| user.map_or(Ok(()), |user| sandbox::give_to(folder, user)))
                .await?;
        }
        let mut spec = spec;
        spec.env.extend(environment::of(&self.launch, ""));
        Ok(spec)
    }

    async fn blocking(
        &self,
        user: Option<UserIds>,
        work: impl FnOnce(&Path, Option<UserIds>) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), LaunchError> {
        let folder = self.sandbox.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder, user)).await;
        done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|cause| LaunchError::Sandbox { path: self.sandbox.clone(), cause })
    }

    /// Stays with the process until it ends: checks it, and kills it when told to or when a check says so.
    async fn attend(
        &self,
        mut process: Supervised,
        spec: &Spec,
        kills: &mut watch::Receiver<KillOrder>,
        tell: &Tell,
    ) -> Step {
        let mut checks = Checks::start(self, spec);
        let mut killed = Killed::No;
        let mut deserted = false;
        let end = loop {
            tokio::select! {
                end = process.ended() => break end,
                order = next_order(kills), if !deserted => {
                    checks.stop();
                    if matches!(killed, Killed::No) {
                        tell.step(Step::new(Condition::Killing, "")).await;
                        killed = Killed::Ordered;
                    }
                    // Who could give another order being gone is the last order of all.
                    deserted = order.is_none();
                    let grace = order.map(|kill_at| kill_at.saturating_duration_since(Instant::now()));
                    process.kill(grace.unwrap_or_default()).await;
                }
                verdict = check::next(&mut checks.verdicts) => {
                    if let Some(healthy) = checks.changed_by(&verdict) {
                        let step = Step::new(Condition::Running, verdict.cause.clone()).checked(healthy);
                        tell.step(step.because("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED")).await;
                    }
                    if let Some(failures) = verdict.fatal {
                        checks.stop();
                        tell.step(Step::new(Condition::Killing, verdict.cause.clone()).checked(false)).await;
                        killed = Killed::Unhealthy { failures, cause: verdict.cause };
                        process.kill(self.launch.app.kill_grace.unwrap_or(DEFAULT_KILL_GRACE)).await;
                    }
                }
            }
        };
        ended(end, killed)
    }
}

/// Whether, and why, a task was killed before it ended.
enum Killed {
    No,
    Ordered,
    Unhealthy { failures: u32, cause: Arc<str> },
}

fn ended(end: End, killed: Killed) -> Step {
    match (killed, end) {
        (Killed::Unhealthy { failures, cause }, end) => {
            let times = if failures == 1 {
                "a check that failed".to_owned()
            } else {
                format!("{failures} failed checks in a row")
            };
            let message = format!("Command {end} because of {times}: {cause}");
            Step::new(Condition::Killed, message).checked(false)
        }
        (Killed::Ordered, end) => Step::new(Condition::Killed, format!("Command {end}")),
        (Killed::No, End::Exited(0)) => Step::new(Condition::Finished, format!("Command {end}")),
        (Killed::No, End::Lost) => {
            Step::new(Condition::Failed, format!("Command {end}")).because("REASON_EXECUTOR_TERMINATED")
        }
        (Killed::No, end) => Step::new(Condition::Failed, format!("Command {end}")),
    }
}

/// The next order to end; none when nobody is left to give one.
async fn next_order(kills: &mut watch::Receiver<KillOrder>) -> KillOrder {
    loop {
        kills.changed().await.ok()?;
        if let order @ Some(_) = *kills.borrow_and_update() {
            return order;
        }
    }
}

/// The executor's checks of one task, and what they said last.
struct Checks {
    watchers: JoinSet<()>,
    verdicts: mpsc::Receiver<Verdict>,
    latest: Vec<Option<bool>>,
    told: Option<bool>,
}

impl Checks {
    fn start(executor: &Executor, spec: &Spec) -> Self {
        let mut watchers = JoinSet::new();
        // A check waits until its verdict is heard; more than one for each is never under way.
        let (sender, verdicts) = mpsc::channel(1);
        let beside = Spec { stdout: None, stderr: None, ..spec.clone() };
        let mut latest = Vec::new();
        for (index, check) in executor.launch.app.executor_checks().enumerate() {
            let checker = Checker::new(index, check, &executor.launch, &beside, executor.supervisor.clone());
            watchers.spawn(checker.watch(sender.clone()));
            latest.push(None);
        }
        Self { watchers, verdicts, latest, told: None }
    }

    /// What all checks together say, where that has changed: healthy when each says so, unhealthy when one does
    /// not.
    fn changed_by(&mut self, verdict: &Verdict) -> Option<bool> {
        if let Some(latest) = self.latest.get_mut(verdict.check) {
            *latest = Some(verdict.healthy);
        }
        let all = if self.latest.contains(&Some(false)) {
            Some(false)
        } else {
            self.latest.iter().all(|latest| *latest == Some(true)).then_some(true)
        };
        let changed = all.filter(|_| all != self.told);
        self.told = all;
        changed
    }

    fn stop(&mut self) {
        self.watchers.abort_all();
        self.verdicts.close();
        while self.verdicts.try_recv().is_ok() {}
    }
}

struct Tell {
    task: TaskId,
    steps: mpsc::Sender<(TaskId, Step)>,
}

impl Tell {
    async fn step(&self, step: Step) {
        // Where nobody listens any more the cluster is shutting down, and this task is among those it kills.
        let _unheard = self.steps.send((self.task.clone(), step)).await;
    }
}
