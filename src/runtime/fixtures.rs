//! Apps for this crate's own tests.

use std::sync::Arc;

use ekiden_model::app::{App, Command, Template, UnreachableStrategy};
use ekiden_model::id::AppKey;
use ekiden_model::{AppId, AppState, Declared, Resources, Scalar, Source, Timestamp};

/// A declaration of one `sleep`.
pub(crate) fn app(id: &str) -> App {
    let template = Template {
        resources: Resources { cpus: Scalar::from_f64(0.1), mem: Scalar::whole(32), ..Resources::NONE },
        ..Template::new(Command::Shell("sleep 60".to_owned()))
    };
    App { unreachable: UnreachableStrategy::Disabled, ..App::new(AppId::parse(id).expect("a good id"), template) }
}

/// The state of an app that was declared in a file and nothing else happened to.
pub(crate) fn app_state(id: &str) -> AppState {
    let app = app(id);
    let id = app.id.clone();
    let version = Timestamp::from_millis(1_795_168_800_000);
    let declared = Declared::first(Arc::new(app), version, Source::File { path: "apps.yaml".into(), line: 3 });
    let mut state = AppState::new(id.clone(), AppKey::new(1, 1, &id), 1);
    state.declared = Some(declared);
    state
}
