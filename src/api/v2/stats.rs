//! Counts of an app's tasks, and Marathon's `taskStats` (§1.4).

use std::time::Duration;

use ekiden_model::health::Verdict;
use ekiden_model::{AppState, Condition, Instance, Timestamp};
use serde_json::{Map, Value, json};

/// How many of some instances are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::api) struct Counts {
    /// Launched and not running yet.
    pub(in crate::api) staged: u32,
    /// Running.
    pub(in crate::api) running: u32,
    /// Running, and their checks say so.
    pub(in crate::api) healthy: u32,
    /// Running, and their checks say that they should not be trusted.
    pub(in crate::api) unhealthy: u32,
}

impl Counts {
    /// Counts instances of an app; those without checks are neither healthy nor unhealthy, as in Marathon.
    pub(in crate::api) fn of<'a>(instances: impl Iterator<Item = &'a Instance>, checked: bool) -> Self {
        let mut counts = Self::default();
        for instance in instances {
            match instance.condition {
                condition if condition.is_starting() => counts.staged += 1,
                Condition::Running => counts.running += 1,
                _ => continue,
            }
            match instance.health.verdict {
                Verdict::Healthy if checked => counts.healthy += 1,
                Verdict::Unhealthy | Verdict::Condemned if checked => counts.unhealthy += 1,
                _ => {}
            }
        }
        counts
    }
}

/// `taskStats`: the counts and ages of those started after the last scaling, of today's and of earlier versions.
pub(super) fn task_stats(app: &AppState, now: Timestamp) -> Value {
    let Some(declared) = &app.declared else { return json!({}) };
    let checked = !declared.app.health_checks.is_empty();
    let newest = app.newest().map(|revision| revision.id);
    let mut stats = Map::new();
    let mut add = |name: &str, chosen: &dyn Fn(&Instance) -> bool| {
        let chosen: Vec<&Instance> = app.instances.iter().filter(|i| i.condition.is_live() && chosen(i)).collect();
        if !chosen.is_empty() {
            stats.insert(name.to_owned(), summary(&chosen, checked, now));
        }
    };
    add("startedAfterLastScaling", &|instance| instance.staged >= declared.scaled);
    add("withLatestConfig", &|instance| Some(instance.revision) == newest);
    add("withOutdatedConfig", &|instance| Some(instance.revision) != newest);
    add("totalSummary", &|_| true);
    Value::Object(stats)
}

fn summary(instances: &[&Instance], checked: bool, now: Timestamp) -> Value {
    let counts = Counts::of(instances.iter().copied(), checked);
    let mut stats = json!({ "counts": {
        "staged": counts.staged,
        "running": counts.running,
        "healthy": counts.healthy,
        "unhealthy": counts.unhealthy,
    }});
    let mut ages: Vec<f64> =
        instances.iter().filter_map(|i| i.started).map(|at| Duration::as_secs_f64(&now.since(at))).collect();
    ages.sort_unstable_by(f64::total_cmp);
    if let (false, Some(median)) = (ages.is_empty(), ages.get(ages.len() / 2)) {
        let average = ages.iter().sum::<f64>() / ages.len() as f64;
        stats["lifeTime"] = json!({ "averageSeconds": average, "medianSeconds": median });
    }
    json!({ "stats": stats })
}
