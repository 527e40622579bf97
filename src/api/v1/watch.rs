//! `GET /v1/watch`: everything as it is, and then every change. `?since=` a revision goes on from there.
//!
//! A watcher holds a number and a filter. What it is told next is found when it is ready for it, so several changes of one
//! app may be told as one, and a slow watcher costs nothing; it is told what is so, and misses only what is over.
//!
//! Each thing told names the revision that the watcher has come to with it: everything before it has been told. It is
//! what to go on from.

mod filter;
mod line;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ekiden_model::deployment::Course;
use ekiden_model::view::Settled;
use ekiden_model::{AppId, DeploymentId};
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::time::Instant;
use warp::Reply;

use super::{apps, reasons};
use crate::api::reply::{self, Response};
use crate::api::v2::deployments;
use crate::api::{Api, Request};
use crate::runtime::changes::{Forgotten, WorldRevision};
use crate::runtime::event_log::BEAT;
use crate::runtime::{AppSnapshot, Snapshot, Snapshots};
use filter::Filter;
use line::{Form, text};

/// Nobody waits longer than this to hear how far it has come, changes or not.
const BOOKMARK_EVERY: Duration = Duration::from_secs(10);

/// So much is put together at once.
const CHUNK: usize = 64 << 10;

/// Everything, and then every change.
pub(in crate::api) fn stream(api: &Api, request: &Request) -> Response {
    let form = if request.accepts("text/event-stream") { Form::Frames } else { Form::Lines };
    let filter = match Filter::of(request) {
        Ok(filter) => filter,
        Err(refusal) => return *refusal,
    };
    let fields = match request.one("fields") {
        None | Some("brief") => Fields::Brief,
        Some("status") => Fields::Status,
        Some(other) => {
            let text = format!("`fields={other}`: there are `brief` and `status`");
            return reply::message(StatusCode::BAD_REQUEST, &text);
        }
    };
    let since = request.header("last-event-id").or(request.one("since"));
    let since = match since.map(str::parse::<WorldRevision>).transpose() {
        Ok(since) => since,
        Err(error) => return reply::message(StatusCode::BAD_REQUEST, &format!("`since`: {error}")),
    };
    let snapshot = api.snapshots.latest();
    let mut watcher = Watcher::new(api, form, filter, fields, snapshot);
    if since.is_some_and(|since| watcher.go_on(since).is_err()) {
        let text = "the changes since then are not known any more: read everything anew, without `since`";
        return reply::message(StatusCode::GONE, text);
    }
    let stop = api.stop.clone();
    let chunks = stream::unfold((watcher, stop), |(mut watcher, stop)| async move {
        let chunk = stop.run_until_cancelled(watcher.next()).await??;
        Some((Ok::<_, Infallible>(chunk), (watcher, stop)))
    });
    let mut response = warp::reply::stream(chunks).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// How an app is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fields {
    /// As in the list of all.
    Brief,
    /// As in its status.
    Status,
}

/// One client.
struct Watcher {
    api: Api,
    snapshots: Snapshots,
    form: Form,
    filter: Filter,
    fields: Fields,
    /// Apps that are to be told as they were when the client came.
    first: VecDeque<Arc<AppSnapshot>>,
    /// Whether it was said that this was all.
    synced: bool,
    /// All changes up to this revision have been told.
    come_to: u64,
    /// Changes that are about to be told, from a snapshot, in their order.
    changes: VecDeque<(u64, AppId)>,
    snapshot: Arc<Snapshot>,
    /// The apps that it was told of, where what is wanted can cease to be.
    known: Option<BTreeSet<AppId>>,
    deployments: Arc<BTreeMap<DeploymentId, Arc<Course>>>,
    cluster: Option<Value>,
    looked: Instant,
    told: Instant,
    over: bool,
}

impl Watcher {
    /// One that is told everything first.
    fn new(api: &Api, form: Form, filter: Filter, fields: Fields, snapshot: Arc<Snapshot>) -> Self {
        let now = Instant::now();
        Self {
            api: api.clone(),
            snapshots: api.snapshots.clone(),
            form,
            first: snapshot.apps().into_iter().filter(|app| filter.is_wanted(app)).cloned().collect(),
            synced: false,
            come_to: snapshot.world_revision().number,
            changes: VecDeque::new(),
            snapshot,
            known: filter.looks_inside().then(BTreeSet::new),
            filter,
            fields,
            deployments: Arc::default(),
            cluster: None,
            looked: now,
            told: now,
            over: false,
        }
    }

    /// Is told what has changed since then, instead of everything.
    fn go_on(&mut self, since: WorldRevision) -> Result<(), Forgotten> {
        let now = self.snapshot.world_revision();
        if since.boot != now.boot || since.number > now.number {
            return Err(Forgotten);
        }
        self.changes = self.snapshots.changes(since.number, &self.snapshot)?.into();
        self.first.clear();
        self.come_to = since.number;
        // The client may know any app.
        if let Some(known) = &mut self.known {
            known.extend(self.changes.iter().map(|(_, id)| id.clone()));
            known.extend(self.snapshot.apps().into_iter().map(|app| app.state.id.clone()));
        }
        Ok(())
    }

    /// What is to be sent next; nothing when it is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.over {
                return None;
            }
            let mut out = BytesMut::new();
            if !self.first.is_empty() {
                self.tell_first(&mut out);
            } else if !self.changes.is_empty() {
                self.tell_changes(&mut out);
            } else if self.synced {
                self.look(&mut out).await;
            } else {
                self.tell_synced(&mut out);
            }
            if out.is_empty() && self.told.elapsed() >= BOOKMARK_EVERY {
                self.form.write(&mut out, "bookmark", Some(self.revision(self.come_to)), &[]);
            }
            if !out.is_empty() {
                self.told = Instant::now();
                return Some(out.freeze());
            }
        }
    }

    /// Everything as it is, a piece at a time.
    fn tell_first(&mut self, out: &mut BytesMut) {
        while let Some(app) = self.first.pop_front() {
            self.tell_app(out, &app, None);
            if out.len() >= CHUNK {
                return;
            }
        }
    }

    /// That this was all: what comes now is news. Who went on learns here which deployments are over.
    fn tell_synced(&mut self, out: &mut BytesMut) {
        self.synced = true;
        self.come_to = self.snapshot.world_revision().number;
        self.tell_others(out, None);
        let open: Vec<String> = self.deployments.keys().map(ToString::to_string).collect();
        let members: &[(&str, Bytes)] =
            if self.filter.deployments { &[("deployments", text(&json!(open)))] } else { &[] };
        self.form.write(out, "synced", Some(self.revision(self.come_to)), members);
    }

    /// Waits for another snapshot, and finds what is to be told of it.
    async fn look(&mut self, out: &mut BytesMut) {
        // Several publications within a moment are one change for whoever is told.
        tokio::time::sleep_until(self.looked + BEAT).await;
        let latest = self.snapshots.latest();
        if latest.world_revision().number == self.come_to {
            let bookmark = self.told + BOOKMARK_EVERY;
            // What is published between the look and the wait ends it at once.
            let _ = tokio::time::timeout_at(bookmark, self.until_news()).await;
        }
        self.looked = Instant::now();
        let latest = self.snapshots.latest();
        let Ok(changes) = self.snapshots.changes(self.come_to, &latest) else {
            let message = json!("it took too long: read everything anew, without `since`");
            self.form.write(out, "expired", None, &[("message", text(&message))]);
            self.over = true;
            return;
        };
        self.changes = changes.into();
        self.snapshot = latest;
        let before = self.revision(self.come_to);
        self.tell_others(out, Some(before));
        if self.changes.is_empty() {
            self.come_to = self.snapshot.world_revision().number;
        }
    }

    async fn until_news(&mut self) {
        while self.snapshots.latest().world_revision().number == self.come_to {
            self.snapshots.next().await;
        }
    }

    fn tell_changes(&mut self, out: &mut BytesMut) {
        while let Some((revision, id)) = self.changes.pop_front() {
            // With the last change of a revision, it has been told in full.
            if self.changes.front().is_none_or(|(next, _)| *next > revision) {
                self.come_to = revision;
            }
            if self.changes.is_empty() {
                self.come_to = self.snapshot.world_revision().number;
            }
            let come_to = Some(self.revision(self.come_to));
            match self.snapshot.app(&id).cloned() {
                Some(app) if self.filter.is_wanted(&app) => self.tell_app(out, &app, come_to),
                gone => self.tell_gone(out, &id, gone.is_some(), come_to),
            }
            if out.len() >= CHUNK {
                return;
            }
        }
    }

    fn tell_app(&mut self, out: &mut BytesMut, app: &AppSnapshot, come_to: Option<WorldRevision>) {
        if let Some(known) = &mut self.known {
            known.insert(app.state.id.clone());
        }
        let shown = match self.fields {
            Fields::Brief => apps::brief_text(app),
            Fields::Status => text(&apps::status_of(app, &self.api.directory.status().borrow())),
        };
        let id = text(&json!(app.state.id.as_str()));
        self.form.write(out, "app", come_to, &[("id", id), ("app", shown)]);
    }

    /// An app is no more, or is not what is wanted.
    fn tell_gone(&mut self, out: &mut BytesMut, id: &AppId, is_there: bool, come_to: Option<WorldRevision>) {
        let was_told = match &mut self.known {
            Some(known) => known.remove(id),
            None => !is_there && self.filter.is_path_wanted(id),
        };
        if was_told && self.filter.is_path_wanted(id) {
            self.form.write(out, "gone", come_to, &[("id", text(&json!(id.as_str())))]);
        }
    }

    /// Deployments and the cluster, as far as they are others than the watcher knows.
    fn tell_others(&mut self, out: &mut BytesMut, come_to: Option<WorldRevision>) {
        if self.filter.deployments {
            self.tell_deployments(out, come_to);
        }
        if self.filter.cluster {
            let cluster = cluster(&self.snapshot);
            if self.cluster.as_ref() != Some(&cluster) {
                self.form.write(out, "cluster", come_to, &[("cluster", text(&cluster))]);
                self.cluster = Some(cluster);
            }
        }
    }

    fn tell_deployments(&mut self, out: &mut BytesMut, come_to: Option<WorldRevision>) {
        let open = &self.snapshot.shelf.deployments;
        if Arc::ptr_eq(&self.deployments, open) {
            return;
        }
        for id in self.deployments.keys().filter(|id| !open.contains_key(id)) {
            self.form.write(out, "deploymentGone", come_to, &[("id", text(&json!(id.to_string())))]);
        }
        // What we hold on to is copied when it changes.
        let is_news =
            |id: &DeploymentId, course| !self.deployments.get(id).is_some_and(|known| Arc::ptr_eq(known, course));
        for (id, course) in open.iter().filter(|(id, course)| is_news(id, course)) {
            let shown = text(&deployments::shown(&course.deployment, &self.snapshot));
            let id = text(&json!(id.to_string()));
            self.form.write(out, "deployment", come_to, &[("id", id), ("deployment", shown)]);
        }
        self.deployments = open.clone();
    }

    fn revision(&self, number: u64) -> WorldRevision {
        WorldRevision { number, ..self.snapshot.world_revision() }
    }
}

/// How we stand with the cluster.
fn cluster(snapshot: &Snapshot) -> Value {
    json!({
        "connected": snapshot.link.connected,
        "since": snapshot.link.since.map(|since| since.to_string()),
        "framework": snapshot.link.framework.as_ref().map(ToString::to_string),
        "settled": matches!(snapshot.settled, Settled::Yes),
        "safeMode": snapshot.standstill.as_ref().map(reasons::one),
    })
}
