//! The master: takes calls, makes offers, keeps the tasks, sends events. One loop owns all of it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::DEFAULT_KILL_GRACE;
use ekiden_model::effect::TaskLaunch;
use ekiden_model::input::{Ack, ClusterEvent, TaskStatus};
use ekiden_model::offer::Bundle;
use ekiden_model::{AgentId, AppId, Condition, OfferId, Slot, TaskId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::allocator::{Accepted, Allocator, holds, subtract};
use super::executor::{Executor, KillOrder, Step, unsupported};
use super::sandbox::Sandboxes;
use super::updates::Updates;
use crate::cluster::Call;

/// How long freed resources are gathered before they are offered: the tasks of one kill or of one rollout step end
/// within a few milliseconds of each other, and one offer for all of them places better than one for each.
const GATHER: Duration = Duration::from_millis(5);

/// An accept without tasks, which declines without saying so, is a refusal for this long: Mesos' default filter.
const DEFAULT_REFUSAL: Duration = Duration::from_secs(5);

/// Most events that wait for the reader before answers to reconciliation are left out: more than one round of
/// answers at the largest number of tasks that one machine runs. What is left out is asked for again by the next
/// reconciliation.
const MOST_WAITING_FOR_ANSWERS: usize = 20_000;

/// Most ended tasks whose last update nobody acknowledged. Beyond, the oldest is forgotten; reconciliation answers
/// for it that it is gone.
const MOST_UNACKNOWLEDGED: usize = 10_000;

/// Most steps of tasks that wait for the loop. Executors wait when it is full.
pub(super) const STEPS_QUEUE: usize = 1024;

/// The longest that a task is given when the whole cluster ends: somebody waits for the prompt.
const SHUTDOWN_GRACE: Duration = DEFAULT_KILL_GRACE;

/// The longest grace, and the longest refusal. Longer ones are meant as for ever, which this is on a machine that
/// somebody develops on; and adding it to any point in time gives another.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

pub(super) struct Master {
    pub(super) allocator: Allocator,
    pub(super) sandboxes: Arc<Sandboxes>,
    pub(super) supervisor: PathBuf,
    pub(super) inherited: Arc<BTreeMap<String, String>>,
    pub(super) open_files: Option<u64>,
    pub(super) update_retry: Duration,
    pub(super) steps: mpsc::Sender<(TaskId, Step)>,
    pub(super) state: State,
}

/// What begins empty.
#[derive(Default)]
pub(super) struct State {
    tasks: BTreeMap<TaskId, Task>,
    /// Tasks whose last update is not acknowledged, in the order of their ends; some have been since.
    unacknowledged: VecDeque<TaskId>,
    executors: JoinSet<()>,
    /// Events that the reader has not taken yet. The loop never waits for the reader: the reader may wait for it.
    outbox: VecDeque<ClusterEvent>,
    offer_at: Option<Instant>,
    retry_at: Option<Instant>,
    updates_made: u128,
}

struct Task {
    agent: AgentId,
    app: AppId,
    slot: Slot,
    /// What it holds; nothing once it has ended.
    used: Bundle,
    kill_grace: Duration,
    kills: watch::Sender<KillOrder>,
    updates: Updates,
    /// The state that the reader was told last.
    told: Step,
}

impl Task {
    /// Gives the task this long from now, or as long as it was given before, whichever is over first.
    fn order_to_end(&self, grace: Duration) {
        let kill_at = Instant::now() + grace.min(LONGEST_WAIT);
        self.kills.send_if_modified(|order| {
            let sooner = order.is_none_or(|ordered| kill_at < ordered);
            if sooner {
                *order = Some(kill_at);
            }
            sooner
        });
    }
}

impl Master {
    /// Runs until told to stop or until nobody can call any more.
    pub(super) async fn run(
        mut self,
        events: mpsc::Sender<ClusterEvent>,
        mut calls: mpsc::Receiver<Call>,
        mut steps: mpsc::Receiver<(TaskId, Step)>,
        mut told_to_stop: oneshot::Receiver<()>,
    ) {
        self.send(ClusterEvent::Connected);
        self.make_offers();
        let graceful = loop {
            let offer_at = self.state.offer_at.into_iter().chain(self.allocator.next_refusal_end()).min();
            tokio::select! {
                told = &mut told_to_stop => break told.is_ok(),
                room = events.reserve(), if !self.state.outbox.is_empty() => match room {
                    Ok(room) => if let Some(event) = self.state.outbox.pop_front() { room.send(event) },
                    Err(_) => break false,
                },
                call = calls.recv() => match call {
                    Some(call) => self.call(call),
                    None => break false,
                },
                Some((task, step)) = steps.recv() => self.step(&task, step),
                Some(_) = self.state.executors.join_next() => {}
                () = at(offer_at) => self.make_offers(),
                () = at(self.state.retry_at) => self.repeat_updates(),
            }
        };
        self.stop(graceful, steps).await;
    }

    fn call(&mut self, call: Call) {
        match call {
            // This machine has one framework, which is connected from the start and leaves no task behind.
            Call::Survey { .. } | Call::Subscribe(_) => {}
            Call::Accept { offers, agent, tasks } => self.accept(&offers, &agent, tasks),
            Call::Decline { offers, refuse_for } => {
                self.allocator.decline(&offers, refuse_for.min(LONGEST_WAIT), Instant::now());
                // There may be another role to offer it to.
                self.offer_soon();
            }
            Call::Revive(role) => {
                self.allocator.revive(role);
                self.offer_soon();
            }
            Call::Suppress(role) => self.allocator.suppress(role),
            Call::Kill { task, agent: _, grace } => self.kill(&task, grace),
            Call::Acknowledge(ack) => self.acknowledge(&ack),
            Call::Reconcile(tasks) => self.reconcile(tasks),
        }
    }

    fn accept(&mut self, offers: &[OfferId], agent: &AgentId, tasks: Vec<TaskLaunch>) {
        if tasks.is_empty() {
            self.allocator.decline(offers, DEFAULT_REFUSAL, Instant::now());
            return;
        }
        match self.allocator.accept(offers, agent) {
            Ok(accepted) => self.launch_from(accepted, agent, tasks),
            Err(invalid) => {
                let message: Arc<str> = format!("Task launched with invalid offers: {invalid}").into();
                for launch in tasks {
                    let status =
                        unacked(&launch.task, Condition::Dropped, message.clone(), Some("REASON_INVALID_OFFERS"));
                    self.send(ClusterEvent::Status(status));
                }
            }
        }
        self.offer_soon();
    }

    fn launch_from(&mut self, accepted: Accepted, agent: &AgentId, tasks: Vec<TaskLaunch>) {
        let Accepted { role, bundle: mut left } = accepted;
        for launch in tasks {
            let problem = if self.state.tasks.contains_key(&launch.task) {
                Some(format!("Task has duplicate ID: {}", launch.task))
            } else if launch.role != role {
                Some(format!("Task uses role {} but the offer is to role {role}", launch.role))
            } else {
                invalid(&launch, &left)
            };
            if let Some(message) = problem {
                let status = unacked(&launch.task, Condition::Error, message.into(), Some("REASON_TASK_INVALID"));
                self.send(ClusterEvent::Status(status));
                continue;
            }
            subtract(&mut left, &launch.claim.unreserved);
            self.launch(launch, agent);
        }
        self.allocator.give_back(agent, &left);
    }

    fn launch(&mut self, launch: TaskLaunch, agent: &AgentId) {
        let (kills, orders) = watch::channel(None);
        let task = Task {
            agent: agent.clone(),
            app: launch.app.id.clone(),
            slot: launch.instance.slot,
            used: launch.claim.unreserved.clone(),
            kill_grace: launch.app.kill_grace.unwrap_or(DEFAULT_KILL_GRACE),
            kills,
            updates: Updates::new(self.update_retry),
            told: Step { condition: Condition::Staging, message: "".into(), reason: None, healthy: None },
        };
        self.state.tasks.insert(launch.task.clone(), task);
        // As Mesos' master: it is no update, so nothing is to be acknowledged.
        self.send(ClusterEvent::Status(unacked(&launch.task, Condition::Staging, "".into(), None)));
        let executor = Executor {
            sandbox: self.sandboxes.assign(agent, &launch.task),
            supervisor: self.supervisor.clone(),
            inherited: self.inherited.clone(),
            open_files: self.open_files,
            launch,
        };
        self.state.executors.spawn(executor.run(orders, self.steps.clone()));
    }

    fn kill(&mut self, id: &TaskId, grace: Option<Duration>) {
        match self.state.tasks.get(id) {
            Some(task) => {
                task.order_to_end(grace.unwrap_or(task.kill_grace));
            }
            None => self.answer(id),
        }
    }

    fn acknowledge(&mut self, ack: &Ack) {
        let Some(task) = self.state.tasks.get_mut(&ack.task) else { return };
        if task.updates.acknowledge(&ack.uuid) {
            self.state.tasks.remove(&ack.task);
        } else {
            self.send_due(&ack.task);
        }
    }

    fn reconcile(&mut self, asked: Vec<(TaskId, AgentId)>) {
        if asked.is_empty() {
            let all: Vec<TaskId> = self.state.tasks.keys().cloned().collect();
            for id in all {
                self.answer(&id);
            }
        }
        for (id, _) in asked {
            self.answer(&id);
        }
        self.send(ClusterEvent::Reconciled);
    }

    /// Tells what the reader was told last, so that an answer never overtakes an update.
    fn answer(&mut self, id: &TaskId) {
        if self.state.outbox.len() >= MOST_WAITING_FOR_ANSWERS {
            tracing::warn!(task = %id, "reconciliation is not answered: too many events wait already");
            return;
        }
        let status = match self.state.tasks.get(id) {
            Some(task) => TaskStatus {
                healthy: task.told.healthy,
                ..reconciled(id, task.told.condition, "Reconciliation: Latest task state")
            },
            // Of a task of another run Mesos would say that it does not know; here none outlives its run.
            None => reconciled(id, Condition::Gone, "Reconciliation: Task is unknown to the agent"),
        };
        self.send(ClusterEvent::Status(status));
    }

    fn step(&mut self, id: &TaskId, step: Step) {
        let uuid = self.next_uuid();
        let Some(task) = self.state.tasks.get_mut(id) else { return };
        let ended = step.condition.is_terminal();
        task.updates.push(TaskStatus {
            task: id.clone(),
            condition: step.condition,
            message: step.message,
            reason: step.reason.map(Into::into),
            healthy: step.healthy,
            ack: Some(Ack { agent: task.agent.clone(), task: id.clone(), uuid }),
        });
        if ended {
            let used = std::mem::take(&mut task.used);
            self.allocator.give_back(&task.agent, &used);
            remove_folders(self.sandboxes.retire(&task.app, task.slot, id));
            self.state.unacknowledged.push_back(id.clone());
            self.forget_unacknowledged();
            self.offer_soon();
        }
        self.send_due(id);
    }

    fn forget_unacknowledged(&mut self) {
        self.state.unacknowledged.retain(|id| self.state.tasks.contains_key(id));
        if self.state.unacknowledged.len() > MOST_UNACKNOWLEDGED
            && let Some(oldest) = self.state.unacknowledged.pop_front()
        {
            tracing::warn!(task = %oldest, "forgotten: nobody acknowledges that it has ended");
            self.state.tasks.remove(&oldest);
        }
    }

    fn send_due(&mut self, id: &TaskId) {
        let Some(task) = self.state.tasks.get_mut(id) else { return };
        let now = Instant::now();
        let due = task.updates.due(now);
        self.state.retry_at = self.state.retry_at.into_iter().chain(task.updates.next_due(now)).min();
        if let Some(status) = due {
            task.told = Step {
                condition: status.condition,
                message: status.message.clone(),
                reason: None,
                healthy: status.healthy.or(task.told.healthy),
            };
            self.send(ClusterEvent::Status(status));
        }
    }

    fn repeat_updates(&mut self) {
        self.state.retry_at = None;
        let all: Vec<TaskId> = self.state.tasks.keys().cloned().collect();
        for id in all {
            self.send_due(&id);
        }
    }

    fn offer_soon(&mut self) {
        self.state.offer_at.get_or_insert_with(|| Instant::now() + GATHER);
    }

    fn make_offers(&mut self) {
        self.state.offer_at = None;
        let offers = self.allocator.offer(Instant::now());
        if !offers.is_empty() {
            self.send(ClusterEvent::Offers(offers));
        }
    }

    fn send(&mut self, event: ClusterEvent) {
        self.state.outbox.push_back(event);
    }

    fn next_uuid(&mut self) -> Arc<[u8]> {
        self.state.updates_made += 1;
        self.state.updates_made.to_be_bytes().as_slice().into()
    }

    /// Ends every task: with a little grace, or, where nobody is left who would want it, at once.
    async fn stop(mut self, graceful: bool, mut steps: mpsc::Receiver<(TaskId, Step)>) {
        if graceful {
            for task in self.state.tasks.values() {
                task.order_to_end(task.kill_grace.min(SHUTDOWN_GRACE));
            }
        } else {
            // Without anybody to give orders, executors give the last one themselves.
            self.state.tasks.clear();
        }
        loop {
            tokio::select! {
                joined = self.state.executors.join_next() => if joined.is_none() { break },
                Some(_) = steps.recv() => {}
            }
        }
        let sandboxes = self.sandboxes.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || sandboxes.close()).await {
            tracing::warn!(%error, "sandboxes are left behind");
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What is wrong with a launch, in Mesos' words where it has some.
fn invalid(launch: &TaskLaunch, left: &Bundle) -> Option<String> {
    let claim = &launch.claim.unreserved;
    if !launch.claim.reserved.is_empty() {
        return Some("Task uses reserved resources, of which agents of this machine have none".to_owned());
    }
    if !holds(left, claim) {
        let shown = |bundle: &Bundle| format!("{}, ports {:?}", bundle.resources, bundle.ports);
        return Some(format!("Task uses more resources {} than available {}", shown(claim), shown(left)));
    }
    if let Some(port) = launch.host_ports.iter().flatten().find(|port| !claim.ports.contains(**port)) {
        return Some(format!("Task uses host port {port} without claiming it"));
    }
    unsupported(&launch.app.template).map(ToOwned::to_owned)
}

/// A status that the master makes by itself: nothing to acknowledge, sent once.
fn unacked(task: &TaskId, condition: Condition, message: Arc<str>, reason: Option<&str>) -> TaskStatus {
    TaskStatus { task: task.clone(), condition, message, reason: reason.map(Into::into), healthy: None, ack: None }
}

fn reconciled(task: &TaskId, condition: Condition, message: &'static str) -> TaskStatus {
    unacked(task, condition, message.into(), Some("REASON_RECONCILIATION"))
}

/// Beside the loop: a sandbox may be large.
fn remove_folders(folders: Vec<PathBuf>) {
    if folders.is_empty() {
        return;
    }
    tokio::task::spawn_blocking(move || {
        for folder in folders {
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::warn!(folder = %folder.display(), %error, "an old sandbox cannot be removed");
            }
        }
    });
}
