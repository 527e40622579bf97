//! What is asked: manifests by their paths, or apps, or agents that would be gone.

use std::collections::{BTreeMap, BTreeSet};

use ekiden_model::{Agent, AgentId, Agents};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::NoPlan;
use crate::desired::Bounds;
use crate::manifest::{self, DeclaredApp, Reading, SourceText};

/// The members of a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    files: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    apps: Option<&'a RawValue>,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    lost: Vec<String>,
}

/// What is asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The apps.
    pub(super) apps: Vec<DeclaredApp>,
    /// Whether they are manifests; else they are what a client would send to the API.
    pub(super) by_files: bool,
    /// Whether what is declared now and is not among them would be declared no more.
    pub(super) prune: bool,
    /// Agents that would be gone, by id or host.
    lost: Vec<String>,
}

const FORMS: &str = "send `{\"files\": {\"prod/web.yaml\": \"…\"}}`, `{\"apps\": […]}`, a list of apps, or \
                     `{\"lost\": [\"host\"]}`";

impl Asked {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, NoPlan> {
        if body.trim_ascii_start().starts_with(b"[") {
            let apps = read_all([("", body)])?;
            return Ok(Self { apps, ..Self::default() });
        }
        let body: Body<'_> = serde_json::from_slice(body).map_err(|error| {
            let text = format!("the body cannot be read: {error}; {FORMS}");
            NoPlan::Body(text)
        })?;
        let by_files = body.files.is_some();
        let apps = match (&body.files, body.apps) {
            (Some(_), Some(_)) => {
                return Err(NoPlan::Body(format!("both `files` and `apps` are given: {FORMS}")));
            }
            (Some(files), None) => {
                for path in files.keys() {
                    check_path(path)?;
                }
                let most = Bounds::default().files;
                if files.len() > most {
                    return Err(NoPlan::Body(format!(
                        "{} files are more than the {most} that are read",
                        files.len()
                    )));
                }
                read_all(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())))?
            }
            (None, Some(apps)) => read_all([("", apps.get().as_bytes())])?,
            (None, None) if body.lost.is_empty() => {
                return Err(NoPlan::Body(format!("nothing is asked: {FORMS}")));
            }
            (None, None) => Vec::new(),
        };
        Ok(Self { apps, by_files, prune: body.prune, lost: body.lost })
    }

    /// The agents that would be gone. A host may have several, of which all are.
    pub(super) fn lost_of(&self, agents: &Agents) -> Result<BTreeSet<AgentId>, NoPlan> {
        let mut lost = BTreeSet::new();
        for name in &self.lost {
            let named = |agent: &Agent| agent.id.as_str() == name || *agent.hostname == **name;
            let found = agents.values().map(|state| &state.agent).filter(|agent| named(agent));
            let found: Vec<AgentId> = found.map(|agent| agent.id.clone()).collect();
            if found.is_empty() {
                return Err(NoPlan::Agent(name.clone()));
            }
            lost.extend(found);
        }
        Ok(lost)
    }
}

/// A path is that of a manifest in its directory.
fn check_path(path: &str) -> Result<(), NoPlan> {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path.split('/').all(is_part) && !path.contains(char::is_control) {
        return Ok(());
    }
    let text = format!("`{}` is no path of a manifest: write it as `prod/web.yaml`", path.escape_debug());
    Err(NoPlan::Body(text))
}

/// All apps, or all that is wrong.
fn read_all<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<DeclaredApp>, NoPlan> {
    let (mut apps, mut diagnostics) = (Vec::new(), Vec::new());
    for (path, bytes) in files {
        let Reading { apps: read, diagnostics: wrong } = manifest::read(&SourceText { path, bytes });
        apps.extend(read);
        diagnostics.extend(wrong);
    }
    diagnostics.extend(manifest::check_set(&apps));
    if diagnostics.is_empty() { Ok(apps) } else { Err(NoPlan::Manifests(diagnostics)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        match Asked::read(body.as_bytes()) {
            Err(NoPlan::Body(text)) => text,
            Err(NoPlan::Manifests(found)) => found.iter().map(ToString::to_string).collect(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn apps_come_as_files_as_members_or_as_a_list() {
        let files = r#"{"files": {"prod/web.yaml": "id: web\ncmd: x\n"}, "prune": true}"#;
        let asked = Asked::read(files.as_bytes()).expect("manifests");
        assert!(asked.by_files && asked.prune);
        assert_eq!((asked.apps[0].app.id.as_str(), asked.apps[0].line), ("/prod/web", 1));
        for body in [r#"{"apps": [{"id": "/web", "cmd": "x"}]}"#, r#"[{"id": "/web", "cmd": "x"}]"#] {
            let asked = Asked::read(body.as_bytes()).expect("apps");
            assert!(!asked.by_files && !asked.prune && asked.apps.len() == 1, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_what_to_send() {
        for body in ["", "{}", "7", r#"{"file": {}}"#, r#"{"files": {}, "apps": []}"#] {
            assert!(refused(body).contains("send `{"), "{body}: {}", refused(body));
        }
        for path in ["/etc/web.yaml", "../web.yaml", "a//b.yaml", ""] {
            let body = serde_json::json!({ "files": { path: "id: web\ncmd: x\n" } }).to_string();
            assert!(refused(&body).contains("no path of a manifest"), "{path}");
        }
        let twice = r#"{"files": {"a.yaml": "id: /web\ncmd: x\n", "b.yaml": "id: /web\ncmd: y\n"}}"#;
        assert!(refused(twice).contains("b.yaml:1"), "{}", refused(twice));
    }
}
