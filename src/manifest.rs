//! Manifests: bytes become apps, or diagnostics that say what to do.
//!
//! A file is read in three steps, each of which goes on after a mistake so that all of a file's mistakes are told at
//! once: `yaml` and `json_text` make a tree whose every key and value knows its place; `shapes` checks the tree
//! against the tables in `fields`; `app` and `group` turn legacy forms into modern ones, fill in defaults and check
//! what fields mean for each other. Nothing here touches a file system or knows of a cluster, nor decides whether a
//! cluster can run an app.

mod app;
mod code;
mod diagnostic;
mod fields;
mod filled;
mod group;
mod json;
mod json_text;
mod nearest;
mod object;
mod pod;
mod scalar;
mod schema;
mod set;
mod shape;
mod shapes;
mod source;
mod tree;
mod yaml;

use std::sync::Arc;

use ekiden_model::app::App;
use ekiden_model::history::Definition;
use ekiden_model::id::GroupId;

pub use code::Code;
pub use diagnostic::{Diagnostic, Snippet};
pub use pod::PodDefinition;

use group::Found;
pub(crate) use nearest::nearest;
use source::Source;

/// Largest file or request that is read. A thousand apps of 4 KiB each; larger files take longer to parse than a
/// person waits for.
pub const SOURCE_MAX_BYTES: usize = 4 << 20;

/// One file of the directory of manifests.
#[derive(Debug, Clone, Copy)]
pub struct SourceText<'a> {
    /// Its path relative to that directory, with `/` between the parts: `prod/web.yaml`.
    pub path: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// An app and where it was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredApp {
    /// The app.
    pub app: Arc<App>,
    /// The file.
    pub path: Arc<str>,
    /// Where its id stands, from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The line of its id, for mistakes that show only beside other files.
    pub snippet: Option<Snippet>,
}

/// What a file declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The apps that are good.
    pub apps: Vec<DeclaredApp>,
    /// What is wrong with the others.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a file. Relative ids are resolved against its folder: `id: web` in `prod/web.yaml` is `/prod/web`.
pub fn read(source: &SourceText<'_>) -> Reading {
    let path: Arc<str> = source.path.into();
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let text = match text(&path, source.bytes) {
        Ok(text) => text,
        Err(diagnostic) => return Reading { apps: Vec::new(), diagnostics: vec![*diagnostic] },
    };
    let (found, diagnostics) = read_found(&path, text, &group::surroundings(folder));
    let apps = found.into_iter().map(|(app, span)| DeclaredApp {
        app,
        path: Arc::clone(&path),
        line: span.line,
        column: span.column,
        snippet: Snippet::of(text, span),
    });
    Reading { apps: apps.collect(), diagnostics }
}

/// What is wrong with declarations beside each other, whatever files they come from: duplicate ids, apps with the id
/// of a group, apps that wait for each other.
pub fn check_set(apps: &[DeclaredApp]) -> Vec<Diagnostic> {
    set::check(apps)
}

#[cfg(test)]
pub(crate) use fields::app_fields;

/// Reads the one app of a request's body; its id may be relative to `id_base`.
pub fn read_app_json(body: &[u8], id_base: &GroupId) -> Result<Arc<App>, Vec<Diagnostic>> {
    let path: Arc<str> = "".into();
    let around = app::Surroundings { group: id_base.clone(), ..group::surroundings("") };
    let text = text(&path, body).map_err(|diagnostic| vec![*diagnostic])?;
    let (mut found, mut diagnostics) = read_found(&path, text, &around);
    if found.len() > 1 {
        let message = format!("{} apps where one is expected", found.len());
        diagnostics.push(
            Diagnostic::whole_file(Code::BadList, &path, message).hint("send one app, not a list or a group"),
        );
    }
    match found.pop() {
        Some((app, _)) if diagnostics.is_empty() => Ok(app),
        _ => Err(diagnostics),
    }
}

/// Reads the one pod of a request's body; its id may be relative to `id_base`. What a pod asks for and nothing here could
/// do is no mistake: nothing runs a pod yet.
pub fn read_pod_json(body: &[u8], id_base: &GroupId) -> Result<PodDefinition, Vec<Diagnostic>> {
    let path: Arc<str> = "".into();
    let text = text(&path, body).map_err(|diagnostic| vec![*diagnostic])?;
    let mut source = Source::new(&path, text);
    let documents = json_text::document(text).map_or_else(|| yaml::documents(&mut source), |node| vec![node]);
    let mut pods = Vec::new();
    for document in &documents {
        pods.extend(pod::build(&mut source, document, id_base));
        source.name_fields(document);
    }
    let mut diagnostics = source.finish();
    diagnostics.retain(|diagnostic| diagnostic.code != Code::NotYet);
    match pods.pop() {
        Some(pod) if diagnostics.is_empty() && pods.is_empty() => Ok(pod),
        _ => Err(diagnostics),
    }
}

/// `app` in Marathon's form, all defaults written out; [`read_app_json`] reads it back to an equal app.
pub fn app_to_json(app: &App) -> serde_json::Value {
    json::app(app)
}

/// A health check, as it is in the JSON of its app.
pub fn health_check_to_json(check: &ekiden_model::app::HealthCheck) -> serde_json::Value {
    json::health_check(check)
}

/// The app of a definition that is remembered; nothing where an earlier ekiden wrote what this one refuses.
pub fn read_definition(definition: &Definition) -> Option<Arc<App>> {
    match definition {
        Definition::Known(app) => Some(app.clone()),
        Definition::Written(text) => read_app_json(text.as_bytes(), &GroupId::root()).ok(),
    }
}

/// The JSON Schema of a manifest file, for editors.
pub fn schema() -> serde_json::Value {
    schema::file()
}

/// The JSON Schema of [`PodDefinition::json`]: a pod with all defaults written out.
pub fn pod_schema() -> serde_json::Value {
    pod::shown()
}

/// The page about an error code such as `E0102`.
pub fn explain_code(code: &str) -> Option<&'static str> {
    Code::parse(code).map(Code::page)
}

fn read_found(path: &Arc<str>, text: &str, around: &app::Surroundings) -> (Vec<Found>, Vec<Diagnostic>) {
    let mut source = Source::new(path, text);
    let mut found = Vec::new();
    let documents = json_text::document(text).map_or_else(|| yaml::documents(&mut source), |node| vec![node]);
    for document in &documents {
        group::document(&mut source, document, around, &mut found);
        source.name_fields(document);
    }
    let mut diagnostics = source.finish();
    if diagnostics.is_empty() && documents.iter().all(tree::Node::is_null) {
        // A file that an editor has just emptied, or not filled yet, must not stop the apps it declared.
        diagnostics.push(
            Diagnostic::whole_file(Code::NothingDeclared, path, "nothing is declared here".to_owned())
                .hint("declare an app, or delete the file; `[]` declares nothing on purpose"),
        );
    }
    (found, diagnostics)
}

fn text<'a>(path: &Arc<str>, bytes: &'a [u8]) -> Result<&'a str, Box<Diagnostic>> {
    if bytes.len() > SOURCE_MAX_BYTES {
        let message = format!("{} bytes are more than the {SOURCE_MAX_BYTES} that are read", bytes.len());
        let diagnostic = Diagnostic::whole_file(Code::FileTooLarge, path, message).hint("split the file");
        return Err(Box::new(diagnostic));
    }
    // Editors on Windows begin files with a mark that is no part of the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = str::from_utf8(bytes).map_err(|error| (error.valid_up_to(), "is not UTF-8"));
    let text = text.and_then(|text| text.find('\0').map_or(Ok(text), |at| Err((at, "is a NUL"))));
    text.map_err(|(at, what)| {
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        let message = format!("byte {at}, in line {line}, {what}");
        let diagnostic = Diagnostic::whole_file(Code::NotText, path, message)
            .hint("save the file as UTF-8 text, or move it out of the directory");
        Box::new(diagnostic)
    })
}
