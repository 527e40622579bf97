//! What distinguishes two declarations, for people and programs: the fields, and the texts line by line.

use ekiden_model::app::App;
use serde_json::{Map, Value, json};
use similar::Algorithm;

use crate::desired::field_diffs;
use crate::manifest;

/// Lines around a change.
const CONTEXT: usize = 3;

/// The fields that differ: what each was and is, where that is told in a few words, and what following it takes.
pub(super) fn fields(old: &App, new: &App) -> Value {
    json!(field_diffs(old, new))
}

/// The texts as manifests would have them, as a unified diff. Empty, where nothing differs. Values of the environment may
/// be secrets, and diffs are pasted into reviews: of those it is only told that they differ.
pub(super) fn lines(old: Option<&App>, new: Option<&App>) -> String {
    let (mut old, mut new) = (definition(old), definition(new));
    hide(&mut old, &mut new);
    let text = |definition: &Option<Value>| definition.as_ref().map_or_else(String::new, |d| format!("{d:#}\n"));
    similar::udiff::unified_diff(Algorithm::Myers, &text(&old), &text(&new), CONTEXT, None)
}

fn definition(app: Option<&App>) -> Option<Value> {
    app.map(manifest::app_to_json)
}

fn hide(old: &mut Option<Value>, new: &mut Option<Value>) {
    let known = old.as_mut().and_then(environment).map(|env| {
        let known = env.clone();
        env.values_mut().for_each(|value| *value = json!("(hidden)"));
        known
    });
    let known = known.unwrap_or_default();
    for (name, value) in new.as_mut().and_then(environment).into_iter().flatten() {
        let differs = known.get(name).is_some_and(|old| old != value);
        *value = json!(if differs { "(hidden; another)" } else { "(hidden)" });
    }
}

fn environment(definition: &mut Value) -> Option<&mut Map<String, Value>> {
    definition.get_mut("env")?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::runtime::fixtures;

    #[test]
    fn values_of_the_environment_are_hidden_and_that_they_differ_is_not() {
        let mut old = fixtures::app("/web");
        Arc::make_mut(&mut old.template).env = [("SAME", "secret-0"), ("OTHER", "secret-1"), ("GONE", "secret-2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let mut new = old.clone();
        new.instances = 7;
        let env = &mut Arc::make_mut(&mut new.template).env;
        env.insert("OTHER".to_owned(), "secret-3".to_owned());
        env.remove("GONE");
        let lines = lines(Some(&old), Some(&new));
        assert!(!lines.contains("secret"), "{lines}");
        for line in
            ["+    \"OTHER\": \"(hidden; another)\"", "-    \"GONE\": \"(hidden)\"", "+  \"instances\": 7,"]
        {
            assert!(lines.contains(line), "{line} in {lines}");
        }
        assert!(!lines.contains("+    \"SAME\""), "{lines}");
    }

    #[test]
    fn what_is_the_same_has_no_difference() {
        let app = fixtures::app("/web");
        assert_eq!(lines(Some(&app), Some(&app)), "");
        assert_eq!(fields(&app, &app), json!([]));
    }
}
