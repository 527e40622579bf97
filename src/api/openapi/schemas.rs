//! All schemas with a name.

mod app;
mod group;
mod ours;
mod plan;
mod requests;
mod running;
mod server;

use serde_json::{Map, Value};

/// All of them, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all: Vec<(String, Value)> = requests::all();
    let named = [app::all(), group::all(), running::all(), server::all(), ours::all(), plan::all()];
    all.extend(named.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)));
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    debug_assert!(all.is_sorted_by(|(one, _), (next, _)| one < next), "a name that two schemas have");
    all.into_iter().collect()
}
