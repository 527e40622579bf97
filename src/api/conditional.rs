//! Reads that cost nothing when nothing has changed: a tag for what is read (`ETag`), and 304 for whoever has it.
//!
//! A tag is made of what the answer depends on, without making the answer: the app's own last change for what shows one
//! app, the world's for what shows many. What depends on the clock as well has none. The tag is taken before the answer is
//! made, so that at worst it is older than what it stands on, and the client asks once more.

use std::hash::{Hash, Hasher};

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Request;
use super::reply::{self, Response};
use super::route::Endpoint;
use super::v2::apps::find_app;
use crate::runtime::Snapshot;

/// A tag as it is sent, quotes and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

/// What the answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Everything that is shown to readers.
    World,
    /// One app.
    App,
}

/// Whether answers of an endpoint have a tag.
pub(super) const fn is_tagged(endpoint: Endpoint) -> bool {
    scope(endpoint).is_some()
}

impl Tag {
    /// The tag of what is asked for; `None` if it has none.
    pub(super) fn of(endpoint: Endpoint, id: &str, request: &Request, snapshot: &Snapshot) -> Option<Self> {
        let (boot, world) = snapshot.revision();
        let changed = match scope(endpoint)? {
            // Lists of groups are asked for as if they were apps.
            Scope::App if !id.ends_with('*') => {
                let app = find_app(snapshot, id)?;
                // Of an app that is to go only its tasks are still shown.
                (endpoint != Endpoint::App || app.state.declared.is_some()).then(|| app.changed())?
            }
            Scope::App | Scope::World => world,
        };
        // Ages of tasks grow by themselves.
        if request.all("embed").any(|embed| embed.ends_with("taskStats")) {
            return None;
        }
        let form = form(request);
        let base = base(boot, changed);
        Some(Self(if form == 0 { format!("\"{base}\"") } else { format!("\"{base}.{form:x}\"") }))
    }

    /// 304, if this is what the client has.
    pub(super) fn unchanged(&self, headers: &HeaderMap) -> Option<Response> {
        let held = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let same = held.flat_map(|value| value.split(',')).map(str::trim).find(|held| self.is(held))?;
        let mut response = reply::empty(StatusCode::NOT_MODIFIED);
        // Its own form of the tag, by which it finds what it has.
        let tag = if same == "*" { &self.0 } else { same };
        response.headers_mut().insert(header::ETAG, HeaderValue::from_str(tag).ok()?);
        Some(response)
    }

    /// Whether a tag that a client sends is this one, in whatever coding it came.
    fn is(&self, held: &str) -> bool {
        // Without its quotes it is none.
        let is_quoted = held.strip_prefix("W/").unwrap_or(held).starts_with('"') && held.ends_with('"');
        held == "*" || is_quoted && within_quotes(held) == within_quotes(&self.0)
    }

    /// Adds the tag to an answer that went well.
    pub(super) fn add_to(&self, response: &mut Response) {
        if response.status() == StatusCode::OK
            && let Ok(tag) = HeaderValue::from_str(&self.0)
        {
            response.headers_mut().insert(header::ETAG, tag);
        }
    }
}

/// What a tag says, weak or strong, and in whatever coding the answer came that it was sent with.
pub(super) fn within_quotes(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    tag.strip_suffix("-gzip").unwrap_or(tag)
}

/// What the tags of all forms of an answer begin with: in which life of ekiden's, and when in it, what they show changed.
pub(super) fn base(boot: u64, changed: u64) -> String {
    format!("{boot:x}.{changed}")
}

/// What the answers of an endpoint depend on; nothing for those that depend on the clock, or on more than is in a snapshot.
const fn scope(endpoint: Endpoint) -> Option<Scope> {
    match endpoint {
        Endpoint::Apps
        | Endpoint::Tasks
        | Endpoint::Deployments
        | Endpoint::Group
        | Endpoint::GroupApps
        | Endpoint::GroupVersions
        | Endpoint::GroupVersion
        | Endpoint::Pods
        | Endpoint::PodStatuses
        | Endpoint::Pod
        | Endpoint::PodStatus
        | Endpoint::PodVersions
        | Endpoint::PodVersion => Some(Scope::World),
        Endpoint::App | Endpoint::AppTasks => Some(Scope::App),
        _ => None,
    }
}

/// Which of its forms is asked for: by query, and as text or JSON. Zero for the usual one.
fn form(request: &Request) -> u32 {
    let text = request.prefers_text();
    if request.query().is_empty() && !text {
        return 0;
    }
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    (request.query(), text).hash(&mut hasher);
    (hasher.finish() as u32) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_weak_and_compressed_and_in_its_quotes_only() {
        let tag = Tag("\"1a.2\"".to_owned());
        for held in ["*", "\"1a.2\"", "W/\"1a.2\"", "\"1a.2-gzip\"", "W/\"1a.2-gzip\""] {
            assert!(tag.is(held), "{held}");
        }
        for held in ["", "1a.2", "\"1a.2", "1a.2\"", "1a.2-gzip", "\"1a.3\"", "\"1a.2.5\"", "\"*\""] {
            assert!(!tag.is(held), "{held}");
        }
    }
}
