//! Input that nobody means well with: always an answer, soon, and never a panic.

use std::time::{Duration, Instant};

use ekiden::manifest::{self, Code, SourceText};
use proptest::prelude::*;

use super::{codes, read};

/// Reads, checks, renders: everything that a hostile file could trip up.
fn survive(path: &str, bytes: &[u8]) -> manifest::Reading {
    let reading = manifest::read(&SourceText { path, bytes });
    for diagnostic in &reading.diagnostics {
        assert!(!diagnostic.render(false).is_empty() && !diagnostic.render(true).is_empty());
        assert!(diagnostic.hint.is_some(), "no hint: {diagnostic}");
        assert!(diagnostic.to_json().is_object());
    }
    manifest::check_set(&reading.apps);
    reading
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        for depth in [70, 300, 100_000] {
            let text = open.repeat(depth) + &close.repeat(depth);
            let reading = survive("deep.yaml", text.as_bytes());
            assert!(!reading.diagnostics.is_empty(), "{open} × {depth}");
        }
    }
    let block: String = (0..200).map(|depth| " ".repeat(depth) + "a:\n").collect();
    assert_eq!(codes(&block), [Code::TooDeep]);
}

#[test]
fn bombs_of_aliases_and_copies_of_large_texts_are_refused() {
    let texts = format!("- &a {}\n{}", "x".repeat(100_000), "- *a\n".repeat(1000));
    assert_eq!(codes(&texts), [Code::TooManyValues]);
    assert_eq!(codes("&a [*a]"), [Code::BadAlias]);
    assert_eq!(codes("&a {b: &b [*a, *b]}"), [Code::BadAlias, Code::BadAlias]);
}

#[test]
fn aliases_in_good_faith_are_fine() {
    let reading = read("a.yaml", "- id: a\n  cmd: x\n  env: &env {A: b}\n- id: b\n  cmd: x\n  env: *env\n");
    assert!(reading.diagnostics.is_empty());
    assert_eq!(reading.apps[0].app.template.env, reading.apps[1].app.template.env);
}

#[test]
fn what_is_no_text_is_refused() {
    for bytes in [&b"\xff\xfe"[..], b"id: a\0", b"\0", &[0x80; 100]] {
        let reading = survive("binary.yaml", bytes);
        assert_eq!(reading.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::NotText]);
    }
    assert!(survive("bom.yaml", b"\xef\xbb\xbfid: a\ncmd: x\n").diagnostics.is_empty());
}

#[test]
fn terminals_are_safe_from_what_manifests_hold() {
    let reading = read("a.yaml", "\"\\e[31mred\": 1\nid: \"\\e]0;title\\a\"\ncmd: x\nenv: {\"\\e[2J=\": x}\n");
    assert!(!reading.diagnostics.is_empty());
    for diagnostic in &reading.diagnostics {
        assert!(!diagnostic.render(false).contains('\u{1b}'), "{:?}", diagnostic.render(false));
    }
}

#[test]
fn large_files_are_read_in_seconds_and_their_errors_bounded() {
    let begin = Instant::now();
    let wide: String = "[".to_owned() + &"{\"id\": 5},".repeat(400_000) + "]";
    let reading = survive("wide.json", &wide.as_bytes()[..manifest::SOURCE_MAX_BYTES.min(wide.len())]);
    assert!(reading.diagnostics.len() <= 101, "{}", reading.diagnostics.len());
    let keys: Vec<String> = (0..200_000).map(|key| format!("k{key}: 1")).collect();
    let keys = keys.join("\n");
    assert!(survive("keys.yaml", keys.as_bytes()).diagnostics.len() <= 101);
    let twice = format!("{{{keys}}}", keys = keys.replace('\n', ", ").repeat(2));
    assert!(
        survive("twice.yaml", &twice.as_bytes()[..manifest::SOURCE_MAX_BYTES.min(twice.len())]).diagnostics.len()
            <= 101
    );
    let minified: Vec<_> =
        (0..20_000).map(|app| format!(r#"{{"id":"/a/{app}","cmd":"sleep 1","cpus":0.1}}"#)).collect();
    assert_eq!(survive("minified.json", format!("[{}]", minified.join(",")).as_bytes()).apps.len(), 20_000);
    // Far above what it takes, far below what quadratic work would.
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

/// Good manifests to be damaged.
const SEEDS: [&str; 4] = [
    include_str!("../../manifests/examples/shop.yaml"),
    include_str!("../../manifests/examples/rolling.yaml"),
    include_str!("../../manifests/examples/docker/bridge.yaml"),
    include_str!("../../manifests/examples/from-marathon.json"),
];

/// What is worth putting into a manifest to confuse its reader.
const SPLINTERS: [&str; 24] = [
    "*a",
    "&a ",
    "!!str ",
    "---\n",
    "...\n",
    "? ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "|\n",
    ">\n",
    "\t",
    "null",
    "~",
    "\u{feff}",
    "é",
    "%YAML 9.9\n",
    "<<: ",
    "1e999",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        survive("random.yaml", &bytes);
    }

    #[test]
    fn random_punctuation_is_survived(text in r#"[-\[\]{}:,&*!|>'"%@?#a-c0-2 \n\t]{0,200}"#) {
        survive("random.yaml", text.as_bytes());
    }

    #[test]
    fn damaged_manifests_are_survived(
        seed in 0..SEEDS.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0..40usize, 0..SPLINTERS.len()), 1..6),
    ) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        for (at, cut, splinter) in damage {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, SPLINTERS[splinter].chars());
        }
        let text: String = text.into_iter().collect();
        survive("damaged.yaml", text.as_bytes());
        let _ = manifest::read_app_json(text.as_bytes(), &ekiden_model::GroupId::root());
    }
}
