//! Apps for this crate's own tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{
    App, BackoffPolicy, Capacity, Command, Fraction, KillSelection, Limits, Network, NetworkMode, Placement,
    PlacementMode, RolloutPolicy, Strategy, Template, UnreachableStrategy,
};
use ekiden_model::id::AppKey;
use ekiden_model::{AppId, AppState, Declared, Resources, Scalar, Source, Timestamp};

/// A declaration of one `sleep`.
pub(crate) fn app(id: &str) -> App {
    let template = Template {
        command: Command::Shell("sleep 60".to_owned()),
        user: None,
        env: BTreeMap::new(),
        resources: Resources { cpus: Scalar::from_f64(0.1), mem: Scalar::whole(32), ..Resources::NONE },
        limits: Limits::default(),
        executor: String::new(),
        role: None,
        fetch: Vec::new(),
        container: None,
        networks: vec![Network { mode: NetworkMode::Host, name: None, labels: BTreeMap::new() }],
        ports: Vec::new(),
        require_ports: false,
        check: None,
        tty: false,
    };
    App {
        id: AppId::parse(id).expect("a good id"),
        template: Arc::new(template),
        instances: 1,
        labels: BTreeMap::new(),
        constraints: Vec::new(),
        accepted_roles: None,
        placement: Placement { strategy: Strategy::Spread, mode: PlacementMode::Replicated },
        dependencies: BTreeSet::new(),
        health_checks: Vec::new(),
        readiness: None,
        capacity: Capacity::Marathon { minimum_health: Fraction::ONE, maximum_over: Fraction::ONE },
        rollout: RolloutPolicy::default(),
        backoff: BackoffPolicy { base: Duration::from_secs(1), factor: 1.15, max: Duration::from_secs(300) },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace: None,
        unreachable: UnreachableStrategy::Disabled,
    }
}

/// The state of an app that was declared in a file and nothing else happened to.
pub(crate) fn app_state(id: &str) -> AppState {
    let app = app(id);
    let id = app.id.clone();
    let version = Timestamp::from_millis(1_795_168_800_000);
    let declared = Declared {
        app: Arc::new(app),
        version,
        scaled: version,
        configured: version,
        source: Source::File { path: "apps.yaml".into(), line: 3 },
        restarts: 0,
    };
    let mut state = AppState::new(id.clone(), AppKey::new(1, 1, &id), 1);
    state.declared = Some(declared);
    state
}
