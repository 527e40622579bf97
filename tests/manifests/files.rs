//! The files of `manifests/` and `docs/errors/`: examples are good, wrong files get the text beside them, and what is
//! generated is fresh.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ekiden::manifest::{self, Code, DeclaredApp, SOURCE_MAX_BYTES, SourceText};
use ekiden_model::Scalar;
use ekiden_model::app::HostPort;

use super::shown;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(name)
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)));
    files.sort();
    files
}

/// What is said about a file that declares everything there is.
fn verdict(path: &str, bytes: &[u8]) -> String {
    let reading = manifest::read(&SourceText { path, bytes });
    let mut diagnostics = reading.diagnostics;
    diagnostics.extend(manifest::check_set(&reading.apps));
    if let Some(last) = diagnostics.pop_if(|last| last.code == Code::TooManyErrors) {
        assert_eq!(diagnostics.len(), 100);
        return shown(&[last]);
    }
    shown(&diagnostics)
}

/// Wrong files that are too large to be kept as such.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    let mut unknown = String::from("id: web\ncmd: sleep 1000\n");
    for number in 0..150 {
        writeln!(unknown, "field-{number}: 1").expect("writing to a string");
    }
    vec![
        ("E0001-file-too-large", vec![b'#'; SOURCE_MAX_BYTES + 1]),
        ("E0004-too-many-documents", "--- []\n".repeat(1001).into_bytes()),
        ("E0012-too-many-errors", unknown.into_bytes()),
    ]
}

#[test]
fn every_wrong_file_gets_the_text_beside_it_and_every_code_has_one() {
    let folder = folder("invalid");
    // What is wrong with a directory is found, and tested, where directories are read.
    let of_directories = [Code::Unreadable, Code::OutsideDirectory, Code::NotAFile, Code::TooManyFiles];
    let in_files = Code::ALL.iter().filter(|code| !of_directories.contains(code));
    let mut unseen: BTreeSet<&str> = in_files.map(|code| code.as_str()).collect();
    let kept = files(&folder, &["yaml", "json"]).into_iter().map(|file| {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let path = file.file_name().expect("a name").to_string_lossy().into_owned();
        (name, path, std::fs::read(&file).expect("a readable file"))
    });
    let made = made().into_iter().map(|(name, bytes)| (name.to_owned(), format!("{name}.yaml"), bytes));
    for (name, path, bytes) in kept.chain(made) {
        let verdict = verdict(&path, &bytes);
        let code = name.split('-').next().expect("a code");
        assert!(verdict.contains(&format!("error[{code}]")), "{name} does not get {code}:\n{verdict}");
        unseen.remove(code);
        expectorate::assert_contents(folder.join(format!("{name}.txt")), &verdict);
    }
    assert!(unseen.is_empty(), "no wrong file for {unseen:?}");
}

#[test]
fn every_code_has_a_page_with_its_title() {
    for code in Code::ALL {
        let page = manifest::explain_code(code.as_str()).expect("a page");
        assert!(page.starts_with(&format!("# {code}: {}\n", code.title())), "{code}: {page}");
        assert!(page.contains("**What to do.**"), "{code} says not what to do");
    }
    assert_eq!(manifest::explain_code("E9999"), None);
    let pages = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors"), &["md"]);
    assert_eq!(pages.len(), Code::ALL.len(), "a page without a code");
}

fn examples(name: &str) -> Vec<DeclaredApp> {
    let root = folder("examples");
    let mut apps = Vec::new();
    for file in files(&root.join(name), &["yaml", "json"]) {
        let path = file.strip_prefix(&root).expect("below the folder").to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).expect("a readable file");
        let reading = manifest::read(&SourceText { path: &path, bytes: &bytes });
        assert!(reading.diagnostics.is_empty(), "{}", shown(&reading.diagnostics));
        assert!(!reading.apps.is_empty(), "{path} declares nothing");
        apps.extend(reading.apps);
    }
    apps
}

#[test]
fn examples_are_good_and_fit_on_one_small_machine() {
    let plain = examples("");
    let docker = examples("docker");
    assert!(docker.iter().all(|app| app.app.template.container.is_some()));
    let all: Vec<DeclaredApp> = plain.iter().chain(&docker).cloned().collect();
    assert_eq!(shown(&manifest::check_set(&all)), "");

    let instances = |app: &DeclaredApp| u64::from(app.app.instances);
    let cpus: u64 = plain.iter().map(|app| app.app.template.resources.cpus.0 * instances(app)).sum();
    let mem: u64 = plain.iter().map(|app| app.app.template.resources.mem.0 * instances(app)).sum();
    assert!(cpus < Scalar::whole(2).0 && mem < Scalar::whole(1024).0, "{cpus} {mem}");

    for app in &all {
        for port in &app.app.template.ports {
            if let HostPort::Fixed(port) = port.host_port {
                assert!((31_000..=32_000).contains(&port.get()), "{} takes {port}", app.app.id);
            }
        }
    }
}

#[test]
fn the_schema_is_fresh_and_refers_to_nothing_missing() {
    let schema = manifest::schema();
    let mut text = serde_json::to_string_pretty(&schema).expect("a value");
    text.push('\n');
    expectorate::assert_contents(folder("schema").join("ekiden.schema.json"), &text);
    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().expect("a pointer");
        assert!(schema.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}
