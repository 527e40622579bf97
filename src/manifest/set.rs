//! What only shows when all declarations stand side by side: two of one id, an app with the id of a group, and apps
//! that wait for each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::DeclaredApp;
use super::code::Code;
use super::diagnostic::Diagnostic;
use super::source::ERRORS_MAX;
use super::tree::Span;

/// Most apps of a cycle that are told: whoever can break one of a thousand finds the place in these.
const CYCLE_SHOWN: usize = 12;

/// What is wrong with `apps` together.
pub(super) fn check(apps: &[DeclaredApp]) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&str, &DeclaredApp> = BTreeMap::new();
    let mut found = Vec::new();
    for app in apps {
        match first.get(app.app.id.as_str()) {
            None => _ = first.insert(app.app.id.as_str(), app),
            Some(other) => found.push(
                at(app, Code::DuplicateId, format!("app `{}` is declared twice", app.app.id))
                    .related_to(other, "also declared here")
                    .hint("remove one of the two, or give it another id"),
            ),
        }
    }
    apps_that_are_groups(&first, &mut found);
    cycles(&first, &mut found);
    found.truncate(ERRORS_MAX);
    found
}

fn apps_that_are_groups(apps: &BTreeMap<&str, &DeclaredApp>, found: &mut Vec<Diagnostic>) {
    for (id, app) in apps {
        let below = format!("{id}/");
        let member = apps.range(below.as_str()..).next().filter(|(other, _)| other.starts_with(&below));
        if let Some((other, member)) = member {
            found.push(
                at(app, Code::AppIsGroup, format!("`{id}` is an app and the group of `{other}`"))
                    .related_to(member, format!("app `{other}` is here"))
                    .hint("ids are paths: give one of the two another id"),
            );
        }
    }
}

/// Apps and groups by their path; an app leads to what it depends on, a group to what is in it.
///
/// With groups as nodes of their own, an app that depends on a group of a thousand apps is one edge and not a thousand.
struct Graph<'a> {
    apps: &'a BTreeMap<&'a str, &'a DeclaredApp>,
    members: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn new(apps: &'a BTreeMap<&'a str, &'a DeclaredApp>) -> Self {
        let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut linked = BTreeSet::new();
        for id in apps.keys().copied() {
            let mut child = id;
            while child != "/" && linked.insert(child) {
                let parent = child.rfind('/').map_or("/", |slash| if slash == 0 { "/" } else { &child[..slash] });
                members.entry(parent).or_default().push(child);
                child = parent;
            }
        }
        Self { apps, members }
    }

    fn successors(&self, node: &str) -> Vec<&'a str> {
        let dependencies = self.apps.get(node).into_iter().flat_map(|app| &app.app.dependencies);
        let members = self.members.get(node).into_iter().flatten().copied();
        dependencies.map(|dependency| dependency.0.as_str()).chain(members).collect()
    }
}

/// Depth-first, without recursion: a chain of ten thousand apps is no reason to overflow a stack.
fn cycles(apps: &BTreeMap<&str, &DeclaredApp>, found: &mut Vec<Diagnostic>) {
    let graph = Graph::new(apps);
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in apps.keys().copied() {
        let mut path: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut on_path: HashMap<&str, usize> = HashMap::new();
        let mut next = (!done.contains(start)).then_some(start);
        loop {
            if let Some(node) = next.take() {
                on_path.insert(node, path.len());
                path.push((node, graph.successors(node)));
            }
            let Some((node, left)) = path.last_mut() else { break };
            let node = *node;
            match left.pop() {
                None => {
                    done.insert(node);
                    on_path.remove(node);
                    path.pop();
                }
                Some(successor) => match on_path.get(successor) {
                    Some(begin) if found.len() < ERRORS_MAX => {
                        let circle: Vec<&str> = path[*begin..].iter().map(|(node, _)| *node).collect();
                        found.extend(report_cycle(apps, &circle));
                    }
                    None if !done.contains(successor) => next = Some(successor),
                    _ => {}
                },
            }
        }
    }
}

fn report_cycle(apps: &BTreeMap<&str, &DeclaredApp>, circle: &[&str]) -> Option<Diagnostic> {
    let mut members: Vec<&DeclaredApp> = circle.iter().filter_map(|id| apps.get(id).copied()).collect();
    // The same circle is told the same way wherever it was entered.
    let begin = members.iter().enumerate().min_by_key(|(_, app)| &app.app.id).map(|(index, _)| index)?;
    members.rotate_left(begin);
    let (head, others) = members.split_first()?;
    let mut ids: Vec<_> = members.iter().take(CYCLE_SHOWN).map(|app| app.app.id.as_str()).collect();
    if members.len() > CYCLE_SHOWN {
        ids.push("…");
    }
    ids.push(head.app.id.as_str());
    let mut diagnostic =
        at(head, Code::DependencyCycle, format!("apps wait for each other: {}", ids.join(" -> ")));
    for other in others.iter().take(CYCLE_SHOWN) {
        diagnostic = diagnostic.related_to(other, format!("app `{}` is here", other.app.id));
    }
    Some(diagnostic.hint("remove one of these dependencies; none of the apps could ever start"))
}

fn at(app: &DeclaredApp, code: Code, message: String) -> Diagnostic {
    let span = Span { line: app.line, column: app.column, ..Span::default() };
    Diagnostic { snippet: app.snippet.clone(), ..Diagnostic::new(code, &app.path, "", span, message) }
}

impl Diagnostic {
    fn related_to(mut self, app: &DeclaredApp, what: impl Into<String>) -> Self {
        self.related.push((Arc::clone(&app.path), app.line, app.column, what.into()));
        self
    }
}
