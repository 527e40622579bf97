//! `POST /v1/uninstall`: the operator's word that the framework, its apps and its tasks shall go.

use http::StatusCode;
use serde_json::json;

use crate::api::Api;
use crate::api::reply::{self, Response};
use crate::runtime::uninstall::UninstallError;

/// Removes us from the cluster; the process ends afterwards.
pub(in crate::api) async fn carry_out(api: &Api) -> Response {
    let Some(uninstalls) = &api.uninstalls else {
        let text = "this is `ekiden dev`: nothing outlives it, so ending it (Ctrl-C) is all there is to do";
        return reply::message(StatusCode::CONFLICT, text);
    };
    let snapshot = api.snapshots.latest();
    if !snapshot.link.connected {
        let text = "there is no connection to a master, so nothing can be removed: ask again once `ekiden get status` \
                    says that there is";
        return reply::message(StatusCode::CONFLICT, text);
    }
    let framework = snapshot.link.framework.as_ref().map(ToString::to_string);
    match uninstalls.ask().await {
        Ok(()) => reply::json(&json!({ "uninstalled": framework })),
        Err(error @ UninstallError::Ending) => reply::message(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(error @ UninstallError::Failed(_)) => reply::message(StatusCode::BAD_GATEWAY, &error.to_string()),
    }
}
