//! Builds an app from its tree: legacy forms become modern ones, defaults are filled in, and what fields mean for
//! each other is checked. Types, bounds and names of fields are checked by their shapes before that.

mod capacity;
mod checks;
mod command;
pub(super) mod constraints;
mod container;
pub(super) mod networks;
mod placement;
mod ports;
mod roles;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{
    App, BackoffPolicy, Capacity, Count, Dependency, Fraction, KillSelection, Limit, Limits, RolloutPolicy,
    Template, UnreachableStrategy,
};
use ekiden_model::id::{AppId, GroupId, Role};
use ekiden_model::resources::{Resources, Scalar};

use super::code::Code;
use super::fields::APP;
use super::object::Object;
use super::shapes::check_object;
use super::source::Source;
use super::tree::{Node, Span};

/// What an app takes from where it stands.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// What its id is relative to.
    pub(super) group: GroupId,
    /// The folder of the file, where it cannot be a group: then nothing can be relative to it.
    pub(super) bad_folder: Option<String>,
    /// Whether the app must lie in `group`: a file's folder does not bind, a group does.
    pub(super) bound: bool,
    /// What the groups around it depend on.
    pub(super) dependencies: BTreeSet<Dependency>,
    /// The role that a group around it enforces.
    pub(super) role: Option<Role>,
}

/// The app that `node` declares and where its id stands; nothing when something is wrong with it, which is noted.
pub(super) fn build(source: &mut Source<'_>, node: &Node, around: &Surroundings) -> Option<(App, Span)> {
    let errors = source.errors();
    check_object(source, &APP, node);
    let object = Object::new(&APP, node)?;
    // Everything is looked at even when the id is bad: all that is wrong is said at once.
    let id = app_id(source, object, around).or_else(|| AppId::parse("/unnamed").ok())?;
    let app = read(source, object, around, id);
    (source.errors() == errors).then(|| (app, object.value_span("id")))
}

fn app_id(source: &mut Source<'_>, app: Object<'_>, around: &Surroundings) -> Option<AppId> {
    let text = app.text("id")?;
    let span = app.value_span("id");
    if let Some(folder) = around.bad_folder.as_ref().filter(|_| !text.starts_with('/')) {
        source
            .report(
                Code::BadId,
                span,
                format!("id `{text}` is relative to the folder `{folder}`, which is no group"),
            )
            .hint(
                "write an absolute id, as in `/web`, or rename the folder: lower-case letters, digits, `-` and \
                 `.`",
            );
        return None;
    }
    match AppId::resolve(text, &around.group) {
        Ok(id) if around.bound && !around.group.contains(&id) => {
            source
                .report(Code::OutsideGroup, span, format!("app `{id}` lies outside its group `{}`", around.group))
                .hint("write an id relative to the group, or move the app out of it");
            None
        }
        Ok(id) => Some(id),
        Err(error) => {
            source.report(Code::BadId, span, format!("`{text}` is no id of an app")).hint(error.to_string());
            None
        }
    }
}

fn read(source: &mut Source<'_>, app: Object<'_>, around: &Surroundings, id: AppId) -> App {
    let networks = networks::read(source, app);
    let ports = ports::read(source, app, &networks);
    let container = container::read(source, app, &networks);
    let resources = resources(app);
    let role = roles::role(source, app, around);
    let instances = app.int("instances").unwrap_or(1);
    let capacity = capacity::read(source, app);
    single_instance(source, app, instances, &capacity);
    let health_checks = checks::health(source, app, &ports, container.as_ref());
    let readiness = checks::readiness(source, app, &ports);
    let check = checks::informational(source, app, &ports, container.as_ref());
    executor(source, app);
    App {
        instances,
        labels: app.text_map("labels"),
        constraints: constraints::read(source, app),
        accepted_roles: roles::accepted(source, app, role.as_ref()),
        placement: placement::read(app),
        dependencies: dependencies(source, app, around, &id),
        health_checks,
        readiness,
        capacity,
        rollout: rollout(app),
        backoff: backoff(app),
        kill_selection: match app.text("killSelection") {
            Some("OLDEST_FIRST") => KillSelection::OldestFirst,
            _ => KillSelection::YoungestFirst,
        },
        kill_grace: app.int("taskKillGracePeriodSeconds").map(seconds),
        unreachable: unreachable(source, app),
        template: Arc::new(Template {
            command: command::read(source, app, container.as_ref()),
            user: app.owned_text("user"),
            env: env(source, app),
            resources,
            limits: limits(source, app, &resources),
            executor: String::new(),
            role,
            fetch: command::fetch(source, app),
            container,
            networks: networks.list,
            ports,
            require_ports: app.flag("requirePorts"),
            check,
            tty: app.flag("tty"),
        }),
        id,
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

fn amount(object: Object<'_>, name: &str) -> Scalar {
    object.number(name).map_or(Scalar::ZERO, Scalar::from_f64)
}

fn resources(app: Object<'_>) -> Resources {
    Resources {
        cpus: amount(app, "cpus"),
        mem: amount(app, "mem"),
        disk: amount(app, "disk"),
        gpus: amount(app, "gpus"),
    }
}

fn limits(source: &mut Source<'_>, app: Object<'_>, request: &Resources) -> Limits {
    let Some(limits) = app.object("resourceLimits") else { return Limits::default() };
    let mut limit = |name: &str, request: Scalar| {
        let limit = match (limits.text(name), limits.number(name)) {
            (Some("unlimited"), _) => Limit::Unlimited,
            (_, Some(number)) => Limit::At(Scalar::from_f64(number)),
            _ => Limit::Request,
        };
        if matches!(limit, Limit::At(limit) if limit < request) {
            source
                .report(
                    Code::LimitBelowRequest,
                    limits.value_span(name),
                    format!("limit of `{name}` below the {request} that the app requests"),
                )
                .related(app.value_span(name), format!("`{name}` is requested here"))
                .hint("raise the limit, or lower the request");
        }
        limit
    };
    Limits { cpus: limit("cpus", request.cpus), mem: limit("mem", request.mem) }
}

fn env(source: &mut Source<'_>, app: Object<'_>) -> std::collections::BTreeMap<String, String> {
    for member in app.members("env") {
        if member.key.is_empty() || member.key.contains(['=', '\0']) {
            source
                .report(Code::BadText, member.key_span, format!("`{}` cannot name a variable", member.key))
                .hint("a name is at least one character, and none is `=`");
        }
    }
    app.text_map("env")
}

fn executor(source: &mut Source<'_>, app: Object<'_>) {
    if app.text("executor").is_some_and(|executor| !matches!(executor, "" | "//cmd")) {
        source
            .report(
                Code::NotYet,
                app.key_span("executor"),
                "`executor` is not supported yet: only Mesos' own executor is used",
            )
            .hint("remove it, or keep this app where it is");
    }
}

fn rollout(app: Object<'_>) -> RolloutPolicy {
    app.object("rollout").map_or_else(RolloutPolicy::default, |rollout| RolloutPolicy {
        progress_deadline: rollout.int("progressDeadlineSeconds").map(seconds),
        paused: rollout.flag("paused"),
        auto_rollback: rollout.flag("autoRollback"),
    })
}

fn backoff(app: Object<'_>) -> BackoffPolicy {
    BackoffPolicy {
        base: seconds(app.int("backoffSeconds").unwrap_or_default()),
        factor: app.number("backoffFactor").unwrap_or(1.0),
        max: seconds(app.int("maxLaunchDelaySeconds").unwrap_or_default()),
    }
}

pub(super) fn unreachable(source: &mut Source<'_>, app: Object<'_>) -> UnreachableStrategy {
    if app.text("unreachableStrategy") == Some("disabled") {
        return UnreachableStrategy::Disabled;
    }
    let strategy = app.object("unreachableStrategy");
    let time = |name| seconds(strategy.and_then(|strategy| strategy.int(name)).unwrap_or_default());
    let (inactive_after, expunge_after) = (time("inactiveAfterSeconds"), time("expungeAfterSeconds"));
    if let Some(strategy) = strategy.filter(|_| inactive_after > expunge_after) {
        source
            .report(
                Code::BadTiming,
                strategy.value_span("inactiveAfterSeconds"),
                format!(
                    "an instance would be forgotten after {} s, before it is replaced after {} s",
                    expunge_after.as_secs(),
                    inactive_after.as_secs()
                ),
            )
            .hint("make `expungeAfterSeconds` at least as large as `inactiveAfterSeconds`");
    }
    UnreachableStrategy::Replace { inactive_after, expunge_after }
}

fn single_instance(source: &mut Source<'_>, app: Object<'_>, instances: u32, capacity: &Capacity) {
    const LABEL: &str = "MARATHON_SINGLE_INSTANCE_APP";
    let label = app.members("labels").iter().find(|member| member.key == LABEL);
    let Some(label) = label.filter(|label| label.value.as_text() == Some("true")) else { return };
    if instances > 1 {
        source
            .report(
                Code::SingleInstance,
                app.value_span("instances"),
                format!("{instances} instances of an app that says it runs at most one"),
            )
            .related(label.key_span, "said here")
            .hint(format!("set `instances` to 1, or remove the label `{LABEL}`"));
    }
    let old_stops_first = match capacity {
        Capacity::Marathon { minimum_health, maximum_over } => {
            (*minimum_health, *maximum_over) == (Fraction::ZERO, Fraction::ZERO)
        }
        Capacity::Counted { max_surge, .. } => {
            matches!(max_surge, Count::Whole(0) | Count::Share(Fraction::ZERO))
        }
    };
    if !old_stops_first {
        source
            .report(
                Code::SingleInstance,
                app.key_span("upgradeStrategy"),
                "an app that says it runs at most one instance would run two during a rollout",
            )
            .related(label.key_span, "said here")
            .hint(
                "add `upgradeStrategy: {minimumHealthCapacity: 0, maximumOverCapacity: 0}`, so that the old \
                 instance stops first",
            );
    }
}

/// The app's own dependencies and those of the groups around it.
fn dependencies(
    source: &mut Source<'_>,
    app: Object<'_>,
    around: &Surroundings,
    id: &AppId,
) -> BTreeSet<Dependency> {
    // What a group depends on may lie in the group itself: then everything else there waits for it.
    let inherited = around.dependencies.iter().filter(|dependency| !dependency.includes(id));
    let mut all: BTreeSet<_> = inherited.cloned().collect();
    for (text, span) in app.texts("dependencies") {
        all.extend(dependency(source, text, span, id.as_str(), &around.group));
    }
    all
}

/// A dependency of what has the path `own` and lies in `group`.
///
/// Marathon resolves a relative one against the own path: `../db` in `/prod/web` is `/prod/db`. A bare `db` would
/// thus lie below what depends on it, which is never meant; it is taken as the neighbour `/prod/db`.
pub(super) fn dependency(
    source: &mut Source<'_>,
    text: &str,
    span: Span,
    own: &str,
    group: &GroupId,
) -> Option<Dependency> {
    let from_own = if text.starts_with("..") { format!("{own}/{text}") } else { text.to_owned() };
    match GroupId::resolve(&from_own, group) {
        Ok(id) => Some(Dependency(id)),
        Err(error) => {
            source
                .report(Code::BadId, span, format!("`{text}` is no id of an app or group"))
                .hint(error.to_string());
            None
        }
    }
}
