//! Rules of the house that no compiler checks.

#![expect(clippy::expect_used, reason = "a test that cannot read the project has nothing to say")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} file below {folder}: the rule would check nothing");
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a text file of the project")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn the_brain_reads_no_clock_does_no_io_and_draws_no_lots() {
    let banned = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant::now",
        "rand::",
        "tokio",
        "RandomState",
        "HashMap::new",
        "HashSet::new",
        "println!",
    ];
    let mut found = Vec::new();
    for path in files_below("controllers", "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in banned.iter().filter(|word| code.contains(**word)) {
                found.push(format!("{}:{}: `{word}`: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "decide pure, act at the edge:\n{}", found.join("\n"));
}

#[test]
fn controllers_do_not_know_each_other() {
    let siblings = ["ports", "health", "upgrade", "instances"];
    for controller in siblings {
        let manifest = read(&root().join("controllers").join(controller).join("Cargo.toml"));
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for other in siblings.iter().chain(&["reconciler"]).filter(|other| **other != controller) {
            let name = format!("ekiden-{other}");
            assert!(!dependencies.contains(&name), "controllers/{controller} depends on {name}");
        }
    }
}

#[test]
fn every_module_says_what_it_owns() {
    let folders = ["controllers", "src", "tests/kit"];
    let silent: Vec<String> = folders
        .iter()
        .flat_map(|folder| files_below(folder, "rs"))
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| shown(&path))
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}

#[test]
fn only_the_manifest_module_knows_yaml() {
    let strangers: Vec<String> = files_below("src", "rs")
        .into_iter()
        .filter(|path| !shown(path).starts_with("src/manifest"))
        .filter(|path| read(path).contains("serde_saphyr"))
        .map(|path| shown(&path))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?} read YAML themselves");
}

#[test]
fn nothing_is_ignored_allowed_or_left_to_do() {
    let banned =
        [concat!("#[", "ignore"), concat!("#[", "allow("), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut found = Vec::new();
    for path in ["controllers", "src", "tests", "benches"].iter().flat_map(|folder| files_below(folder, "rs")) {
        for (number, line) in read(&path).lines().enumerate() {
            if banned.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
