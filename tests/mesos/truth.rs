//! What really runs: as the leading master has it, task by task, and as the processes of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;

/// States of a task that is on its way up, there, or on its way down. Of an unreachable one its processes tell.
const LIVE: [&str; 4] = ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"];

/// A task, as Mesos has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// `TASK_RUNNING`, for example.
    pub(crate) state: String,
    /// The id of its agent.
    pub(crate) agent: String,
}

/// All processes of a task: its executor, its command, and what that has started.
pub(crate) type Processes = BTreeSet<u32>;

/// All that runs, by task.
pub(crate) type Running = BTreeMap<String, Processes>;

/// The tasks of all frameworks that the master has, over or not.
pub(crate) async fn tasks(cluster: &Cluster) -> BTreeMap<String, Task> {
    let state = cluster.state().await;
    let frameworks = state["frameworks"].as_array().into_iter().flatten();
    let tasks = frameworks.flat_map(|framework| {
        ["tasks", "unreachable_tasks", "completed_tasks"].map(|kind| framework[kind].as_array().cloned())
    });
    tasks.flatten().flatten().map(|task| (text(&task["id"]), task_of(&task))).collect()
}

/// Those that run, as far as the master can tell.
pub(crate) async fn live(cluster: &Cluster) -> BTreeMap<String, Task> {
    let mut tasks = tasks(cluster).await;
    tasks.retain(|_, task| LIVE.contains(&task.state.as_str()));
    tasks
}

/// What runs in the sandboxes of the cluster's agents, by task.
pub(crate) fn processes(cluster: &Cluster) -> Running {
    let mut found: Running = BTreeMap::new();
    for process in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(place) = std::fs::read_link(process.path().join("cwd")) else { continue };
        if let (true, Some(task)) = (place.starts_with(cluster.folder()), task_at(&place)) {
            found.entry(task).or_default().insert(pid);
        }
    }
    found
}

/// Waits until these apps run so many instances each and no other task runs: as ekiden says, as Mesos says, and as the
/// processes are. Says which they are.
pub(crate) async fn until_exactly(cluster: &Cluster, ekiden: &Ekiden, declared: &[(&str, usize)]) -> Running {
    for &(app, count) in declared {
        ekiden.until_running(app, count).await;
    }
    cluster
        .until(&format!("Mesos and the machine run {declared:?}"), async || {
            let mut said = BTreeSet::new();
            for &(app, count) in declared {
                let tasks = ekiden.tasks(app).await;
                if tasks.len() != count {
                    return None;
                }
                said.extend(tasks.iter().map(|task| text(&task["id"])));
            }
            let known = live(cluster).await;
            let run = processes(cluster);
            let all_run = known.values().all(|task| task.state == "TASK_RUNNING");
            (all_run && said.iter().eq(known.keys()) && said.iter().eq(run.keys())).then_some(run)
        })
        .await
}

/// The app whose task it is, as task ids have it.
pub(crate) fn app_of(task: &str) -> &str {
    task.split_once(".instance-").map_or(task, |(app, _)| app)
}

/// The part of these that is an app's.
pub(crate) fn of_app<T: Clone>(tasks: &BTreeMap<String, T>, app: &str) -> BTreeMap<String, T> {
    tasks.iter().filter(|(task, _)| app_of(task) == app).map(|(task, what)| (task.clone(), what.clone())).collect()
}

fn task_of(task: &Value) -> Task {
    Task { state: text(&task["state"]), agent: text(&task["slave_id"]) }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The task in whose sandbox a place is: command tasks have an executor each, with the task's id.
fn task_at(place: &Path) -> Option<String> {
    let mut names = place.iter().map(|name| name.to_string_lossy());
    names.find(|name| name == "executors")?;
    names.next().map(std::borrow::Cow::into_owned)
}
