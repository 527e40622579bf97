//! Telling listeners who has written what: `api_post_event`, and the events of pods (§4.16).

use std::sync::Arc;

use ekiden_model::Timestamp;
use ekiden_model::app::App;

use crate::api::{Api, Request};
use crate::runtime::clock::wall;
use crate::runtime::event_log::{Occurrence, PodChange};

/// One app was written.
pub(super) fn app(api: &Api, request: &Request, app: Arc<App>, version: Timestamp) {
    let (client, uri) = (client(request), uri(request));
    api.events.say(wall(), Occurrence::AppPosted { client, uri, app, version: Some(version) });
}

/// A pod was written.
pub(super) fn pod(api: &Api, request: &Request, change: PodChange) {
    api.events.say(wall(), Occurrence::PodPosted { change, client: client(request), uri: uri(request) });
}

/// The client's address, without its port.
pub(super) fn client(request: &Request) -> Arc<str> {
    request.caller.map(|caller| caller.remote.ip().to_string()).unwrap_or_default().into()
}

fn uri(request: &Request) -> Arc<str> {
    request.path.as_str().into()
}
