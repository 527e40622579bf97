//! The HTTP API: Marathon's under `/v2`, ours under `/v1`, both read from the latest snapshot.
//!
//! A request is matched against the one table of routes ([`route::ROUTES`]) and answered by a plain function per
//! endpoint. Handlers read snapshots and hand requests to the loop; they decide nothing and hold nothing up. Errors
//! are replies: nothing a client sends makes a handler fail in any other way.

pub mod access;
mod caught;
mod certificate;
mod conditional;
mod files;
mod follow;
mod gzip;
mod index;
pub mod openapi;
mod patience;
mod places;
mod reply;
mod request;
pub mod route;
mod serve;
mod system;
mod terms;
pub mod v1;
mod v2;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden_model::TaskId;
use ekiden_model::input::Command;
use ekiden_model::limits::Settings;
use tokio_util::sync::CancellationToken;

pub use certificate::{CertificateError, CertificateFiles};
pub use reply::Response;
pub use request::{Caller, Request};
pub use serve::{BindError, Exposure, HttpOptions, Listeners, bind, serve};
pub use terms::{Addresses, Terms};
pub use v2::callbacks::is_address;
pub use v2::events::frames as event_frames;

use crate::cluster::mesos::ConnectionStatus;
use crate::desired::DirectoryHandle;
use crate::runtime::turn::Requests;
use crate::runtime::uninstall::Uninstalls;
use crate::runtime::{EventLog, Snapshots};
use crate::store::Export;
use crate::telemetry::Metrics;
use caught::{body_caught, caught};
use conditional::Tag;
use route::{Endpoint, Found, Need, Route, Verb};

/// An answer takes at most so long, streams apart; reading the request's body has a limit of its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Finds the sandbox of a task.
pub type Sandboxes = Arc<dyn Fn(&TaskId) -> Option<PathBuf> + Send + Sync>;

/// Says how the driver's connection is; nothing for a cluster that is always there.
pub type Connection = Arc<dyn Fn() -> Option<ConnectionStatus> + Send + Sync>;

/// How we introduce ourselves.
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// Where others find this machine, if they can (`--hostname`).
    pub hostname: Option<String>,
    /// What `/v2/info` says in `marathon_config`, by Marathon's names; what is not here is `null` there.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Every setting by name, with its `value` and where that comes `from`, secrets apart (`/config`).
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    /// The world.
    pub snapshots: Snapshots,
    /// What happened.
    pub events: EventLog,
    /// The way to the loop.
    pub requests: Requests,
    /// Where tasks' files are.
    pub sandboxes: Sandboxes,
    /// What is done to be connected.
    pub connection: Connection,
    /// The directory of manifests.
    pub directory: DirectoryHandle,
    /// What is stored; nothing when nothing is kept.
    pub export: Option<Export>,
    /// Our numbers.
    pub metrics: Metrics,
    /// The settings, for whoever asks.
    pub settings: Settings,
    /// Who we are.
    pub introduction: Arc<Introduction>,
    /// The way to be removed from the cluster, if it remembers us.
    pub uninstalls: Option<Uninstalls>,
    /// Addresses named on the command line that events are sent to; nothing where events are sent nowhere
    /// (`--event_subscriber`).
    pub callbacks: Option<Arc<BTreeSet<Arc<str>>>>,
    /// Where it is offered, and on which terms.
    pub terms: Terms,
    /// Ends the streams.
    pub stop: CancellationToken,
}

impl Api {
    /// Answers one request.
    pub async fn answer(&self, mut request: Request) -> Response {
        let began = Instant::now();
        let method = known(&request.method);
        let found = route::find(&request.method, &request.path);
        let pattern = match &found {
            Found::Route(route, _) => route.path,
            Found::Options(_) | Found::OtherMethods(_) | Found::Nothing => "none",
        };
        let mut response = caught(self.answer_found(found, &mut request), &self.metrics).await;
        let Request { path, headers: asked, .. } = &request;
        if self.terms.compresses && method != "HEAD" {
            response = gzip::compressed(response, asked);
        }
        if method == "HEAD" {
            response = reply::without_body(response);
        }
        response = body_caught(response, &self.metrics);
        self.terms.add_cross_origin(&mut response, asked);
        tracing::debug!(method, path, status = response.status().as_u16(), took = ?began.elapsed(), "answered");
        self.metrics.requested(method, pattern, response.status().as_u16(), began.elapsed());
        reply::with_common_headers(response, self.terms.leader())
    }

    /// Where others find this API, as `host:port`.
    fn leader(&self) -> String {
        self.terms.addresses.leader(self.introduction.hostname.as_deref())
    }

    async fn answer_found(&self, found: Found, request: &mut Request) -> Response {
        let need = match &found {
            Found::Route(route, _) => route.need(),
            // What a browser asks before a page of another site may read; it says nothing that is not documented.
            Found::Options(_) => Need::Nothing,
            Found::OtherMethods(_) | Found::Nothing => Need::Read,
        };
        match self.let_in(request, need).await {
            Ok(name) => request.credential = name,
            Err(refusal) => return *refusal,
        }
        match found {
            Found::Route(route, captures) => self.answer_route(route, &captures, request).await,
            Found::Options(allowed) => reply::options(&allowed),
            Found::OtherMethods(allowed) => reply::method_not_allowed(&allowed),
            Found::Nothing => reply::not_found(&format!("nothing is at {}", request.path)),
        }
    }

    /// Refuses whoever may not ask for this; says by what name somebody may.
    async fn let_in(&self, request: &Request, need: Need) -> Result<Option<Arc<str>>, Box<Response>> {
        let remote = request.caller.map(|caller| caller.remote.ip());
        let mut name = None;
        match &self.terms.access {
            Some(access) => name = access.check(&request.headers, remote, need).await?,
            // Who can be reached by others is called by names that nobody here knows; and who asks for credentials is
            // not harmed by a page that has none.
            None if request.caller.is_some_and(|caller| caller.to_loopback) => request.check_host()?,
            None => {}
        }
        if !request.only_reads() {
            self.terms.check_origin(&request.headers)?;
        }
        Ok(name)
    }

    async fn answer_route(&self, route: &Route, captures: &[String], request: &mut Request) -> Response {
        // Load balancers take a ping that is not answered for a sign that we are dead.
        let place = if route.need() == Need::Nothing { Ok(None) } else { self.terms.place() };
        let _place = match place {
            Ok(place) => place,
            Err(refusal) => return *refusal,
        };
        if let Err(refusal) = request.read_body().await {
            return *refusal;
        }
        let first = captures.first().map_or("", String::as_str);
        let tag = match route.verb {
            Verb::Get => Tag::of(route.endpoint, first, request, &self.snapshots.latest()),
            _ => None,
        };
        if let Some(unchanged) = tag.as_ref().and_then(|tag| tag.unchanged(&request.headers)) {
            return unchanged;
        }
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.dispatch(route.endpoint, captures, request)).await;
        let mut response = answer.unwrap_or_else(|_| {
            reply::message(http::StatusCode::SERVICE_UNAVAILABLE, "the answer took too long: ask again")
        });
        if let Some(tag) = tag {
            tag.add_to(&mut response);
        }
        response
    }

    async fn dispatch(&self, endpoint: Endpoint, captures: &[String], request: &Request) -> Response {
        let first = captures.first().map_or("", String::as_str);
        let second = captures.get(1).map_or("", String::as_str);
        match endpoint {
            Endpoint::Index => index::show(request),
            Endpoint::Ping => system::ping(request),
            Endpoint::Metrics => system::metrics(self, request),
            Endpoint::MetricsText => system::metrics_text(self),
            Endpoint::Config => system::config(self),
            Endpoint::Logging => v2::logging::show(),
            Endpoint::ChangeLogging => v2::logging::change(request),
            Endpoint::Info => v2::info::show(self),
            Endpoint::Apps => v2::apps::list(self, request),
            Endpoint::CreateApp => v2::app_writes::create(self, request).await,
            Endpoint::PutApps => v2::app_writes::put_all(self, request).await,
            Endpoint::PatchApps => v2::app_writes::patch_all(self, request).await,
            Endpoint::PutApp => v2::app_writes::put(self, first, request).await,
            Endpoint::PatchApp => v2::app_writes::patch(self, first, request).await,
            Endpoint::DeleteApp => v2::app_writes::delete(self, first, request).await,
            Endpoint::RestartApp => v2::app_writes::restart(self, first, request).await,
            Endpoint::AppVersions => v2::versions::list(self, first),
            Endpoint::AppVersion => v2::versions::show(self, first, second),
            Endpoint::KillAppTasks => v2::kills::of_app(self, first, request).await,
            Endpoint::KillAppTask => v2::kills::one(self, first, second, request).await,
            Endpoint::KillTasks => v2::kills::many(self, request).await,
            Endpoint::AppTasks => v2::tasks::of_app(self, first, request),
            Endpoint::App => v2::apps::show(self, first, request),
            Endpoint::Tasks => v2::tasks::list(self, request),
            Endpoint::Queue => v2::queue::list(self, request).await,
            Endpoint::QueueDelay => v2::queue::reset_delay(self, first).await,
            Endpoint::Deployments => v2::deployments::list(self),
            Endpoint::CancelDeployment => v2::deployments::cancel(self, first, request).await,
            Endpoint::Group => v2::groups::show(self, first, request),
            Endpoint::GroupApps => v2::groups::apps(self, first, request),
            Endpoint::GroupVersions => v2::groups::versions(self, first),
            // Of the group of everything only the version is in the path.
            Endpoint::GroupVersion if captures.len() == 1 => v2::groups::version(self, "", first, request),
            Endpoint::GroupVersion => v2::groups::version(self, first, second, request),
            Endpoint::CreateGroup => v2::groups::create(self, first, request).await,
            Endpoint::PutGroup => v2::groups::put(self, first, request).await,
            Endpoint::PatchGroup => v2::groups::patch(self, first, request).await,
            Endpoint::DeleteGroup => v2::groups::delete(self, first, request).await,
            Endpoint::Pods => v2::pods::list(self),
            Endpoint::PodStatuses => v2::pods::statuses(self),
            Endpoint::Pod => v2::pods::show(self, first),
            Endpoint::PodStatus => v2::pods::show_status(self, first),
            Endpoint::PodVersions => v2::pods::versions(self, first),
            Endpoint::PodVersion => v2::pods::version(self, first, second),
            Endpoint::KillPodInstances => v2::pods::kill_instances(self, first, request),
            Endpoint::KillPodInstance => v2::pods::kill_instance(self, first, second),
            Endpoint::CreatePod => v2::pods::create(self, request).await,
            Endpoint::PutPod => v2::pods::replace(self, first, request).await,
            Endpoint::DeletePod => v2::pods::delete(self, first, request).await,
            Endpoint::Leader => v2::leader::show(self),
            Endpoint::Abdicate => v2::leader::abdicate(),
            Endpoint::Plugins => v2::leader::plugins(),
            Endpoint::Events => v2::events::stream(self, request),
            Endpoint::Callbacks => v2::callbacks::list(self),
            Endpoint::AddCallback => v2::callbacks::add(self, request).await,
            Endpoint::RemoveCallback => v2::callbacks::remove(self, request).await,
            Endpoint::OurApps => v1::apps::list(self, request),
            Endpoint::OurAppStatus => v1::apps::status(self, first),
            Endpoint::KeepApp => v1::apps::keep(self, first).await,
            Endpoint::OurAppHistory => v1::history::show(self, first, request),
            Endpoint::Watch => v1::watch::stream(self, request),
            Endpoint::Plan => v1::plan::foresee(self, request).await,
            Endpoint::OurInstances => v1::instances::list(self, request),
            Endpoint::OurStatus => v1::status::show(self),
            Endpoint::Uninstall => v1::uninstall::carry_out(self).await,
            Endpoint::Directory => v1::directory::show(self),
            Endpoint::ConfirmPrune => v1::directory::confirm_prune(self).await,
            Endpoint::Adoption => v1::adoption::show(self),
            Endpoint::Adopt => v1::adoption::say(self, Command::Adopt).await,
            Endpoint::Disown => v1::adoption::say(self, Command::Disown).await,
            Endpoint::State => v1::state::export(self),
            Endpoint::TaskFile => files::read(self, first, second, request).await,
            Endpoint::OpenApi => openapi::show(),
        }
    }
}

/// The method's name, for counting: whatever a client may invent is `other`.
fn known(method: &http::Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}
