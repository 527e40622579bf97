//! What is executed, and what is fetched before.

use ekiden_model::app::{Command, Container, Fetch};

use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;

/// Names by which Mesos' fetcher knows an archive; legacy `uris` are unpacked when they end so.
const ARCHIVES: [&str; 9] = [".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip", ".tar", ".gz"];

pub(super) fn read(source: &mut Source<'_>, app: Object<'_>, container: Option<&Container>) -> Command {
    if app.has("cmd") && app.has_some("args") {
        source
            .report(Code::Exclusive, app.key_span("args"), "both `cmd` and `args`")
            .related(app.key_span("cmd"), "`cmd` is here")
            .hint("`cmd` is run by a shell, `args` without one: remove one of the two");
    }
    if let Some(command) = app.text("cmd") {
        return Command::Shell(command.to_owned());
    }
    if app.has_some("args") {
        return Command::Args(app.texts("args").map(|(text, _)| text.to_owned()).collect());
    }
    // A broken container or command has been reported; what it lacks is no second mistake.
    let unreadable = app.has("cmd") || app.object("container").is_some_and(|container| container.has("docker"));
    if !unreadable && container.and_then(|container| container.image.as_ref()).is_none() {
        source
            .report(Code::NothingToRun, app.span(), "an app with nothing to run")
            .hint("add `cmd`, or `args`, or a `container` with an image");
    }
    Command::Image
}

pub(super) fn fetch(source: &mut Source<'_>, app: Object<'_>) -> Vec<Fetch> {
    if app.has_some("uris") && app.has_some("fetch") {
        source
            .report(Code::Exclusive, app.key_span("uris"), "both `uris` and `fetch`")
            .related(app.key_span("fetch"), "`fetch` is here")
            .hint("`uris` is the old form of `fetch`: move its items there");
    }
    let legacy = app.texts("uris").map(|(uri, _)| Fetch {
        uri: uri.to_owned(),
        extract: ARCHIVES.iter().any(|ending| uri.ends_with(ending)),
        executable: false,
        cache: false,
        dest_path: None,
    });
    let modern = app.objects("fetch").into_iter().map(|fetch| Fetch {
        uri: fetch.owned_text("uri").unwrap_or_default(),
        extract: fetch.flag("extract"),
        executable: fetch.flag("executable"),
        cache: fetch.flag("cache"),
        dest_path: fetch.owned_text("destPath"),
    });
    legacy.chain(modern).collect()
}
