//! Lands with its issue.
/// x
pub fn app_to_json(_app: &ekiden_model::App) -> serde_json::Value { serde_json::json!({"id": _app.id.as_str()}) }
