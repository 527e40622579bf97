//! Paths below `/v2/pods`: an id, and after `::` what of the pod is meant (§1.11). Some clients put a slash before it.

/// What a path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// Of which pod; all of them when empty.
    pub(super) id: &'a str,
    /// What of it.
    pub(super) part: Part<'a>,
}

/// What of a pod is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Itself.
    Definition,
    /// How it is.
    Status,
    /// When it was changed.
    Versions,
    /// What it was then.
    Version(&'a str),
    /// What runs of it.
    Instances,
    /// One of these.
    Instance(&'a str),
}

impl<'a> Place<'a> {
    /// Reads a path, as the table of routes leaves it: without a slash at either end.
    pub(super) fn parse(path: &'a str) -> Self {
        // No id has a colon.
        let (id, part) = path.split_once("::").map_or((path, None), |(id, part)| (id, Some(part)));
        let (name, rest) = part.map_or((None, None), |part| match part.split_once('/') {
            Some((name, rest)) => (Some(name), Some(rest)),
            None => (Some(part), None),
        });
        let part = match (name, rest) {
            (None, _) => Part::Definition,
            (Some("status"), None) => Part::Status,
            (Some("versions"), None) => Part::Versions,
            (Some("versions"), Some(version)) => Part::Version(version),
            (Some("instances"), None) => Part::Instances,
            (Some("instances"), Some(instance)) => Part::Instance(instance),
            // What nobody knows is no pod either.
            (Some(_), _) => return Self { id: path, part: Part::Definition },
        };
        Self { id: id.trim_end_matches('/'), part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_is_behind_two_colons_with_and_without_a_slash() {
        let parsed = |path| {
            let Place { id, part } = Place::parse(path);
            (id, part)
        };
        assert_eq!(parsed("a/b"), ("a/b", Part::Definition));
        assert_eq!(parsed("::status"), ("", Part::Status));
        assert_eq!(parsed("a/b::status"), ("a/b", Part::Status));
        assert_eq!(parsed("a/b/::status"), ("a/b", Part::Status));
        assert_eq!(parsed("a::versions"), ("a", Part::Versions));
        assert_eq!(parsed("a::versions/2026"), ("a", Part::Version("2026")));
        assert_eq!(parsed("a/::instances/a.instance-1"), ("a", Part::Instance("a.instance-1")));
        assert_eq!(parsed("a::instances"), ("a", Part::Instances));
        assert_eq!(parsed("a::moods"), ("a::moods", Part::Definition));
    }
}
