//! How a request finds its row: by its first two segments to the few rows that begin so, then by one look at each.
//!
//! Paths are matched as Marathon's clients write them: doubled and trailing slashes do not matter, and an app's id may
//! be any number of segments, recognised as what is left between the fixed ones. Patterns are taken apart once; a row
//! that does not match costs no allocation.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::Method;

use super::{ROUTES, Route};

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// This, with what the braces stand for. Ids come without a leading slash.
    Route(&'static Route, Vec<String>),
    /// Something, and the client only asks by which methods it can be had.
    Options(Vec<&'static str>),
    /// Something, but not for this method; the methods it has.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Finds the row for a request.
pub fn find(method: &Method, path: &str) -> Found {
    TABLE.find(method, path)
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::of(ROUTES));

/// The first two segments of a path; what a path does not have is empty, as no segment is.
type Stem<'a> = (&'a str, &'a str);

/// Stands for the second segment of rows that have a brace there.
const ANYTHING: &str = "{}";

/// All rows, by how they begin.
struct Table(HashMap<Stem<'static>, Vec<Pattern>>);

/// A row, taken apart.
struct Pattern {
    route: &'static Route,
    parts: Vec<Part>,
    greedy: bool,
}

/// What a segment has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// This.
    Fixed(&'static str),
    /// Anything.
    One,
    /// Anything, as many as the neighbours leave, and at least one.
    Many,
}

impl Table {
    fn of(routes: &'static [Route]) -> Self {
        let mut table: HashMap<_, Vec<Pattern>> = HashMap::new();
        for route in routes {
            let segments = segments(route.path);
            let pattern = Pattern::of(route, &segments);
            let (first, second) = stem(&segments);
            let second = if second.starts_with('{') { ANYTHING } else { second };
            table.entry((first, second)).or_default().push(pattern);
        }
        Self(table)
    }

    fn find(&self, method: &Method, path: &str) -> Found {
        let segments = segments(path);
        let mut others: Vec<&'static str> = Vec::new();
        let (first, second) = stem(&segments);
        let rows = [(first, second), (first, ANYTHING)].into_iter().filter_map(|stem| self.0.get(&stem)).flatten();
        for pattern in rows.filter(|row| row.matches(&segments)) {
            let methods = pattern.route.verb.methods();
            if methods.contains(&method.as_str()) {
                return Found::Route(pattern.route, pattern.captures(&segments));
            }
            for method in methods {
                if !others.contains(method) {
                    others.push(method);
                }
            }
        }
        if others.is_empty() {
            return Found::Nothing;
        }
        others.push("OPTIONS");
        if method == Method::OPTIONS { Found::Options(others) } else { Found::OtherMethods(others) }
    }
}

impl Pattern {
    fn of(route: &'static Route, segments: &[&'static str]) -> Self {
        let part = |segment: &&'static str| match segment {
            many if many.ends_with("*}") => Part::Many,
            one if one.starts_with('{') => Part::One,
            fixed => Part::Fixed(fixed),
        };
        let parts: Vec<Part> = segments.iter().map(part).collect();
        // Of two that are greedy nobody could say which takes what.
        debug_assert!(parts.iter().filter(|part| **part == Part::Many).count() <= 1, "{}", route.path);
        Self { route, greedy: parts.contains(&Part::Many), parts }
    }

    fn matches(&self, segments: &[&str]) -> bool {
        let spare = segments.len().checked_sub(self.parts.len());
        spare.is_some_and(|spare| self.greedy || spare == 0)
            && self.widths(segments).all(|(part, here)| match part {
                Part::Fixed(text) => here == [text],
                Part::One | Part::Many => true,
            })
    }

    /// What the braces stand for, in a path that matches.
    fn captures(&self, segments: &[&str]) -> Vec<String> {
        let captured = self.widths(segments).filter(|(part, _)| !matches!(part, Part::Fixed(_)));
        captured.map(|(_, here)| here.join("/")).collect()
    }

    /// Each part with the segments that are its.
    fn widths<'a>(&'a self, segments: &'a [&'a str]) -> impl Iterator<Item = (Part, &'a [&'a str])> {
        let spare = segments.len().saturating_sub(self.parts.len());
        let mut rest = segments;
        self.parts.iter().map_while(move |part| {
            let width = if *part == Part::Many { spare + 1 } else { 1 };
            let (here, after) = rest.split_at_checked(width)?;
            rest = after;
            Some((*part, here))
        })
    }
}

/// How a path begins.
fn stem<'a>(segments: &[&'a str]) -> Stem<'a> {
    let at = |index: usize| segments.get(index).copied().unwrap_or_default();
    (at(0), at(1))
}

/// The segments of a path; of pods, what is behind `::` is one, too.
fn segments(path: &str) -> Vec<&str> {
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if stem(&segments) == ("v2", "pods") {
        let cut = |segment: &&str| segment.find("::").filter(|at| *at > 0);
        let first = segments.iter().enumerate().find_map(|(index, segment)| Some((index, cut(segment)?)));
        if let Some((index, at)) = first {
            let (id, word) = segments[index].split_at(at);
            segments.splice(index..=index, [id, word]);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::super::{Endpoint, Verb};
    use super::*;

    fn endpoint(path: &str) -> Option<(Endpoint, Vec<String>)> {
        match find(&Method::GET, path) {
            Found::Route(route, captures) => Some((route.endpoint, captures)),
            Found::Options(_) | Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn ids_are_greedy_and_slashes_do_not_matter() {
        let web = || vec!["prod/web".to_owned()];
        for path in ["/v2/apps/prod/web", "/v2/apps//prod/web", "//v2/apps/prod//web/"] {
            assert_eq!(endpoint(path), Some((Endpoint::App, web())), "{path}");
        }
        assert_eq!(endpoint("/v2/apps//prod/web/tasks"), Some((Endpoint::AppTasks, web())));
        assert_eq!(endpoint("/v2/apps/prod/*"), Some((Endpoint::App, vec!["prod/*".to_owned()])));
        assert_eq!(endpoint("/v2/apps/"), Some((Endpoint::Apps, Vec::new())));
        assert_eq!(endpoint("/"), Some((Endpoint::Index, Vec::new())));
        assert_eq!(endpoint("/v1/apps/a/b/status"), Some((Endpoint::OurAppStatus, vec!["a/b".to_owned()])));
        let file = vec!["t.1".to_owned(), "stdout".to_owned()];
        assert_eq!(endpoint("/v1/tasks/t.1/files/stdout"), Some((Endpoint::TaskFile, file)));
    }

    #[test]
    fn what_is_not_there_and_what_is_not_done_are_told_apart() {
        assert_eq!(find(&Method::GET, "/v3/apps"), Found::Nothing);
        assert_eq!(endpoint("/v1/tasks/t.1/files/a/b"), None);
        assert_eq!(find(&Method::PUT, "/v2/queue"), Found::OtherMethods(vec!["GET", "HEAD", "OPTIONS"]));
        assert_eq!(find(&Method::GET, "/v2/queue/a/delay"), Found::OtherMethods(vec!["DELETE", "OPTIONS"]));
        assert_eq!(find(&Method::OPTIONS, "/v2/queue"), Found::Options(vec!["GET", "HEAD", "OPTIONS"]));
        let adoption = vec!["GET", "HEAD", "POST", "DELETE", "OPTIONS"];
        assert_eq!(find(&Method::PUT, "/v1/adoption"), Found::OtherMethods(adoption));
    }

    /// Rows as they will be for pods: which endpoint does not matter, so the paths themselves are compared.
    static PODS: &[Route] = &[
        Route { endpoint: Endpoint::App, verb: Verb::Head, path: "/v2/pods" },
        Route { endpoint: Endpoint::App, verb: Verb::Get, path: "/v2/pods/::status" },
        Route { endpoint: Endpoint::App, verb: Verb::Get, path: "/v2/pods/{id*}::status" },
        Route { endpoint: Endpoint::App, verb: Verb::Get, path: "/v2/pods/{id*}::versions" },
        Route { endpoint: Endpoint::App, verb: Verb::Get, path: "/v2/pods/{id*}::versions/{version}" },
        Route { endpoint: Endpoint::App, verb: Verb::Delete, path: "/v2/pods/{id*}::instances/{instance}" },
        Route { endpoint: Endpoint::App, verb: Verb::Put, path: "/v2/pods/{id*}" },
    ];

    #[test]
    fn what_is_behind_two_colons_is_a_segment_with_and_without_a_slash_before_it() {
        let table = Table::of(PODS);
        let found = |method: Method, path: &str| match table.find(&method, path) {
            Found::Route(route, captures) => Some((route.path, captures)),
            _ => None,
        };
        let ab = "a/b".to_owned();
        for path in ["/v2/pods/a/b::status", "/v2/pods//a/b/::status", "/v2/pods/a/b::status/"] {
            assert_eq!(found(Method::GET, path), Some((PODS[2].path, vec![ab.clone()])), "{path}");
        }
        assert_eq!(found(Method::GET, "/v2/pods/::status"), Some((PODS[1].path, Vec::new())));
        assert_eq!(found(Method::GET, "/v2/pods/a/b::versions"), Some((PODS[3].path, vec![ab.clone()])));
        let version = "2026-11-21T15:00:00.000Z".to_owned();
        let path = format!("/v2/pods/a/b::versions/{version}");
        assert_eq!(found(Method::GET, &path), Some((PODS[4].path, vec![ab.clone(), version])));
        let path = "/v2/pods/a/b::instances/a.instance-1";
        let instance = "a.instance-1".to_owned();
        assert_eq!(found(Method::DELETE, path), Some((PODS[5].path, vec![ab.clone(), instance])));
        assert_eq!(found(Method::PUT, "/v2/pods/a/b"), Some((PODS[6].path, vec![ab])));
        assert_eq!(found(Method::HEAD, "/v2/pods/"), Some((PODS[0].path, Vec::new())));
        assert_eq!(table.find(&Method::GET, "/v2/pods"), Found::OtherMethods(vec!["HEAD", "OPTIONS"]));
        assert_eq!(found(Method::GET, "/v2/pods/a::nothing"), None);
    }
}
