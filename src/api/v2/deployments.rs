//! Deployments: what change sets are on their way, in Marathon's form (§1.6, §4.2), and turning them round.

use std::collections::BTreeMap;

use ekiden_model::deployment::{Change, Deployment, DeploymentAction, Stage};
use ekiden_model::edit::{Answer, Refusal};
use ekiden_model::input::Command;
use ekiden_model::{AppId, DeploymentId};
use http::StatusCode;
use serde_json::{Value, json};

use super::apps::readiness_results;
use super::change;
use crate::api::reply::{self, Response};
use crate::api::{Api, Request};
use crate::runtime::Snapshot;

/// Everything that is under way.
pub(in crate::api) fn list(api: &Api) -> Response {
    let snapshot = api.snapshots.latest();
    let under_way: Vec<Value> =
        snapshot.shelf.deployments.values().map(|course| shown(&course.deployment, &snapshot)).collect();
    reply::json(&under_way)
}

/// Turns a deployment round; with `force`, only follows it no longer (§4.3).
pub(in crate::api) async fn cancel(api: &Api, id: &str, request: &Request) -> Response {
    let no_such = || reply::not_found(&format!("DeploymentPlan '{id}' does not exist"));
    let Ok(deployment) = id.parse::<DeploymentId>() else { return no_such() };
    let authority = match change::authority(request) {
        Ok(authority) => authority,
        Err(refusal) => return *refusal,
    };
    let force = authority.force;
    let command = if force { Command::Abandon(deployment) } else { Command::Cancel(deployment, authority) };
    match change::carry_out(api, command).await {
        Err(response) => *response,
        Ok(Answer::Refused(Refusal::NoSuchDeployment(_))) => no_such(),
        Ok(Answer::Refused(refusal)) => change::refused(&refusal),
        Ok(Answer::Deployed { deployment, version }) => change::deployed(StatusCode::OK, deployment, version),
        Ok(Answer::Done) => reply::empty(StatusCode::ACCEPTED),
    }
}

/// One deployment.
pub(in crate::api) fn shown(deployment: &Deployment, snapshot: &Snapshot) -> Value {
    let steps = Steps::of(deployment);
    let followed = |app: &AppId| snapshot.app(app).filter(|app| app.deployment == Some(deployment.id));
    let current = steps.first(|app| followed(app).is_some());
    let actions = |step: &Step<'_>| -> Vec<Value> {
        let under_way = step.changes.keys().filter_map(|app| followed(app).map(|state| (app, state)));
        under_way
            .map(|(app, state)| {
                let readiness = readiness_results(&state.state);
                json!({ "action": step.action(app), "app": app.as_str(), "readinessCheckResults": readiness })
            })
            .collect()
    };
    json!({
        "id": deployment.id.to_string(),
        "version": deployment.version.to_string(),
        "affectedApps": deployment.changes.keys().map(AppId::as_str).collect::<Vec<_>>(),
        "affectedPods": [],
        "steps": steps.shown(),
        "currentActions": steps.0.get(current).map(actions).unwrap_or_default(),
        "currentStep": (current + 1).min(steps.0.len()),
        "totalSteps": steps.0.len(),
    })
}

/// The steps of a change set, as Marathon numbers them.
pub(super) fn steps(deployment: &Deployment) -> Value {
    Steps::of(deployment).shown()
}

/// The plan as events tell it: what clients read of it is the id and the actions.
pub(super) fn plan(deployment: &Deployment) -> Value {
    let version = deployment.version.to_string();
    let group = json!({
        "id": "/", "apps": [], "groups": [], "pods": [], "dependencies": [], "version": version,
    });
    json!({
        "id": deployment.id.to_string(),
        "version": version,
        "original": group,
        "target": group,
        "steps": Steps::of(deployment).shown(),
    })
}

/// A deployment's steps as Marathon builds them: what goes, what is new, and then level by level what is scaled or
/// replaced.
pub(super) struct Steps<'a>(Vec<Step<'a>>);

struct Step<'a> {
    stage: Stage,
    changes: BTreeMap<&'a AppId, &'a Change>,
}

impl<'a> Steps<'a> {
    pub(super) fn of(deployment: &'a Deployment) -> Self {
        let mut stages: BTreeMap<Stage, BTreeMap<&AppId, &Change>> = BTreeMap::new();
        for (app, change) in &deployment.changes {
            let in_stages: &[Stage] = match change.action {
                DeploymentAction::Stop => &[Stage::Stop],
                DeploymentAction::Start => &[Stage::Start, Stage::Level(change.step)],
                DeploymentAction::Scale | DeploymentAction::Restart => &[Stage::Level(change.step)],
            };
            for stage in in_stages {
                stages.entry(*stage).or_default().insert(app, change);
            }
        }
        Self(stages.into_iter().map(|(stage, changes)| Step { stage, changes }).collect())
    }

    /// The first step of which something is under way; one more than there are, when nothing is. Registering what is
    /// new is through at once.
    pub(super) fn first(&self, is_under_way: impl Fn(&AppId) -> bool) -> usize {
        let takes_time =
            |step: &Step<'_>| step.stage != Stage::Start && step.changes.keys().any(|app| is_under_way(app));
        self.0.iter().position(takes_time).unwrap_or(self.len())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where in the order a step stands; nothing where there is no such step.
    pub(super) fn place(&self, stage: Stage) -> Option<usize> {
        self.0.iter().position(|step| step.stage == stage)
    }

    /// A step with its actions; one without any, when there is no such step.
    pub(super) fn at(&self, index: usize) -> Value {
        self.0.get(index).map_or_else(|| json!({ "actions": [] }), Step::shown)
    }

    fn shown(&self) -> Value {
        self.0.iter().map(Step::shown).collect()
    }
}

impl Step<'_> {
    fn shown(&self) -> Value {
        let actions = self.changes.keys().map(|app| json!({ "action": self.action(app), "app": app.as_str() }));
        json!({ "actions": actions.collect::<Vec<_>>() })
    }

    fn action(&self, app: &AppId) -> &'static str {
        match (self.stage, self.changes.get(app).map(|change| change.action)) {
            (Stage::Stop, _) => "StopApplication",
            (Stage::Start, _) => "StartApplication",
            (Stage::Level(_), Some(DeploymentAction::Restart)) => "RestartApplication",
            (Stage::Level(_), _) => "ScaleApplication",
        }
    }
}
