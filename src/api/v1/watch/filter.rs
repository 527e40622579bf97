//! What a watcher wants to hear of.

use ekiden_model::{AppId, GroupId};
use http::StatusCode;

use crate::api::Request;
use crate::api::reply::{self, Response};
use crate::api::v2::selector::Selector;
use crate::runtime::AppSnapshot;

/// What is told.
#[derive(Debug)]
pub(super) struct Filter {
    /// The app of such a path, or all below it; all apps, if none is given.
    paths: Vec<GroupId>,
    labels: Option<Selector>,
    /// Apps.
    pub(super) apps: bool,
    /// Deployments.
    pub(super) deployments: bool,
    /// How we stand with the cluster.
    pub(super) cluster: bool,
}

impl Filter {
    /// What a request asks for.
    pub(super) fn of(request: &Request) -> Result<Self, Box<Response>> {
        let wrong = |text: String| Box::new(reply::message(StatusCode::BAD_REQUEST, &text));
        let paths = request.all("id").map(|id| {
            GroupId::resolve(id, &GroupId::root()).map_err(|error| wrong(format!("`id={id}`: {error}")))
        });
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let labels = request.one("label").map(Selector::parse).transpose();
        let labels = labels.map_err(|error| wrong(error.to_string()))?;
        let mut filter = Self { paths, labels, apps: false, deployments: false, cluster: false };
        for kind in request.all("kinds").flat_map(|kinds| kinds.split(',')).map(str::trim) {
            match kind {
                "apps" => filter.apps = true,
                "deployments" => filter.deployments = true,
                "cluster" => filter.cluster = true,
                _ => return Err(wrong(format!("`kinds={kind}`: there are `apps`, `deployments` and `cluster`"))),
            }
        }
        if request.all("kinds").next().is_none() {
            (filter.apps, filter.deployments, filter.cluster) = (true, true, true);
        }
        Ok(filter)
    }

    /// Whether an app of that name may be wanted.
    pub(super) fn is_path_wanted(&self, id: &AppId) -> bool {
        self.apps
            && (self.paths.is_empty()
                || self.paths.iter().any(|path| path.contains(id) || path.as_str() == id.as_str()))
    }

    /// Whether an app is wanted.
    pub(super) fn is_wanted(&self, app: &AppSnapshot) -> bool {
        let declared = app.state.declared.as_ref();
        let has = |labels: &Selector| declared.is_some_and(|declared| labels.matches(&declared.app.labels));
        self.is_path_wanted(&app.state.id) && self.labels.as_ref().is_none_or(has)
    }

    /// Whether it depends on more than an app's name if it is wanted, so that an app may be wanted no more.
    pub(super) fn looks_inside(&self) -> bool {
        self.labels.is_some()
    }
}
