//! Deployments: Marathon's view of what is under way (§1.6). We have none; each app's passage is shown as one.

use ekiden_model::id::AppKey;
use ekiden_model::revision::{Phase, Standing};
use ekiden_model::{AppId, AppState, Timestamp};
use serde_json::{Value, json};

use crate::api::Api;
use crate::api::reply::{self, Response};

/// Everything that is under way.
pub(in crate::api) fn list(api: &Api) -> Response {
    let snapshot = api.snapshots.latest();
    let under_way: Vec<Value> =
        snapshot.apps().into_iter().filter_map(|app| Deployment::of(&app.state)).map(|d| d.shown()).collect();
    reply::json(&under_way)
}

/// One app's passage, as a deployment.
pub(super) struct Deployment<'a> {
    app: &'a AppId,
    version: Timestamp,
    actions: &'static [&'static str],
}

impl<'a> Deployment<'a> {
    /// The passage that `state` is in; nothing when it has arrived, or failed.
    pub(super) fn of(state: &'a AppState) -> Option<Self> {
        let Some(declared) = &state.declared else {
            let version = state.newest().map_or(Timestamp::EPOCH, |revision| revision.version);
            return Some(Self { app: &state.id, version, actions: &["StopApplication"] });
        };
        let phase = state.rollout.as_ref().map(|rollout| rollout.phase);
        if matches!(phase, Some(Phase::Complete | Phase::Failed)) {
            return None;
        }
        let actions: &[&str] = match state.revisions.as_slice() {
            [] => &["StartApplication", "ScaleApplication"],
            [only] if matches!(only.standing, Standing::Unproven) => &["StartApplication", "ScaleApplication"],
            [_] => &["ScaleApplication"],
            _ => &["RestartApplication"],
        };
        Some(Self { app: &state.id, version: declared.version, actions })
    }

    /// Its id.
    pub(super) fn id(&self) -> String {
        deployment_id(self.app, self.version)
    }

    fn shown(&self) -> Value {
        let steps: Vec<Value> = self.actions.iter().map(|action| step(action, self.app)).collect();
        let current: Vec<Value> = self
            .actions
            .last()
            .map(|action| json!({ "action": action, "app": self.app.as_str(), "readinessCheckResults": [] }))
            .into_iter()
            .collect();
        json!({
            "id": self.id(),
            "version": self.version.to_string(),
            "affectedApps": [self.app.as_str()],
            "affectedPods": [],
            "steps": steps,
            "currentActions": current,
            "currentStep": self.actions.len(),
            "totalSteps": self.actions.len(),
        })
    }
}

/// One step of one action.
pub(super) fn step(action: &str, app: &AppId) -> Value {
    json!({ "actions": [{ "action": action, "app": app.as_str() }] })
}

/// The id of an app's passage to a version: the same whenever and by whomever it is asked for, also after a restart.
pub(super) fn deployment_id(app: &AppId, version: Timestamp) -> String {
    // An app's key is a hash in the form of a uuid; so is this, of another kind of realm.
    let realm = u64::from_be_bytes(*b"deployed");
    let key = AppKey::new(realm, version.as_millis().unsigned_abs(), app);
    ekiden_model::InstanceId { app: key, slot: ekiden_model::Slot(0) }.uuid()
}
