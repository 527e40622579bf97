//! What was exported comes back; what is not as it was exported is refused, and nothing is changed.

use std::path::Path;

use ekiden::store::{self, DumpError, ImportError, Imported, Opened, Store, StoreError};
use ekiden_model::input::WriteSeq;
use ekiden_model::record::{Installation, Record, Write};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{Expected, Place, any_app_record, any_write, filled, reopen, slot};

fn export(path: &Path) -> Vec<u8> {
    let mut lines = Vec::new();
    store::export(path, &mut lines).unwrap();
    lines
}

fn import(path: &Path, lines: &[u8]) -> Result<Imported, ImportError> {
    store::import(path, lines)
}

fn text(lines: &[u8]) -> &str {
    std::str::from_utf8(lines).unwrap()
}

fn put(path: &Path, writes: Vec<Write>) {
    let put_all = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Opened { store, .. } = Store::open(path).unwrap();
        runtime.block_on(async {
            store.persist(WriteSeq(1), writes).await.unwrap();
            store.close().await.unwrap();
        });
    };
    // On a thread of its own: the test's may be driving a runtime already.
    std::thread::scope(|scope| scope.spawn(put_all).join().unwrap());
}

/// Slots whose app there is: what the reconciler makes.
fn without_orphans(records: Vec<Record>) -> Vec<Record> {
    let apps: Vec<String> = records
        .iter()
        .filter_map(|record| if let Record::App(app) = record { Some(app.id.to_string()) } else { None })
        .collect();
    let kept = |record: &Record| !matches!(record, Record::Slot(slot) if !apps.contains(&slot.app.to_string()));
    records.into_iter().filter(kept).collect()
}

/// The store of [`filled`], and its app.
async fn filled_with_app(path: &Path) -> Vec<u8> {
    filled(path).await;
    let app = serde_json::json!({
        "id": "/prod/web", "birth": 1, "key": null, "declared": null, "revisions": [], "rollout": null,
        "servicePorts": [],
        "backoff": { "failures": 0, "delayNanos": 0, "until": null, "reference": null, "configured": null },
        "lastFailure": null, "condemned": [],
    });
    // By way of an import, since a record is made most easily of its JSON.
    let lines = export(path);
    let lines: Vec<&str> = text(&lines).lines().collect();
    let key = "/prod/web";
    let sum = crc32(&format!("1 {key} {app}"));
    let app = format!(r#"{{"key":"{key}","version":1,"checksum":"{sum}","record":{app}}}"#);
    let records = [&[lines[1], &app], &lines[2..lines.len() - 1]].concat();
    announced(&records)
}

/// An export of these lines, with a first and a last line that fit them.
fn announced(records: &[&str]) -> Vec<u8> {
    let installation: serde_json::Value = serde_json::from_str(records[0]).unwrap();
    let realm = installation["record"]["realm"].as_u64().unwrap();
    let count = records.len();
    let mut lines = format!(r#"{{"ekiden":"state","format":1,"realm":"{realm:016x}","records":{count}}}"#) + "\n";
    for record in records {
        lines += record;
        lines.push('\n');
    }
    let sum = crc32(&lines);
    lines += format!(r#"{{"end":"state","records":{count},"checksum":"{sum}"}}"#).as_str();
    lines.push('\n');
    lines.into_bytes()
}

fn crc32(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_exported_comes_back(writes in vec(any_write(), 0..20), apps in vec(any_app_record(), 0..4)) {
        let (there, here) = (Place::new(), Place::new());
        let mut expected = Expected::of(reopen(&there.path).unwrap());
        writes.into_iter().chain(apps.into_iter().map(Write::Put)).for_each(|write| expected.write(write));
        let records = without_orphans(expected.records());
        put(&there.path, records.iter().cloned().map(Write::Put).collect());

        let lines = export(&there.path);
        let imported = import(&here.path, &lines).unwrap();
        prop_assert!(matches!(imported, Imported::Placed(_)));
        prop_assert_eq!(Expected::of(reopen(&here.path).unwrap()).records(), records);
        prop_assert!(export(&here.path) == lines, "exported again, it is another");
    }
}

#[tokio::test]
async fn an_export_that_was_cut_anywhere_is_refused() {
    let (there, here) = (Place::new(), Place::new());
    let lines = filled_with_app(&there.path).await;
    for length in (0..lines.len()).step_by(61).chain([lines.len() - 1]) {
        let error = import(&here.path, &lines[..length]).unwrap_err();
        let told = matches!(error, ImportError::Dump(DumpError::Cut { .. } | DumpError::Foreign { .. }));
        assert!(told, "{length}: {error:?}");
        assert!(!here.path.exists(), "{length}: something was written");
    }
    assert!(matches!(import(&here.path, &lines).unwrap(), Imported::Placed(summary) if summary.slots == 100));
    assert_eq!(reopen(&here.path).unwrap().len(), 102);
    let left: Vec<_> = std::fs::read_dir(here.path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn no_byte_of_an_export_changes_unnoticed() {
    let (there, here) = (Place::new(), Place::new());
    let lines = filled_with_app(&there.path).await;
    for at in (0..lines.len()).step_by(13) {
        let mut flipped = lines.clone();
        flipped[at] ^= 1 << (at % 7);
        let error = import(&here.path, &flipped).unwrap_err();
        assert!(matches!(error, ImportError::Dump(_)), "byte {at}: {error:?}");
        assert!(!here.path.exists(), "byte {at}: something was written");
    }
}

#[tokio::test]
async fn lines_that_do_not_fit_each_other_are_refused_though_their_sums_are_right() {
    let (there, here) = (Place::new(), Place::new());
    let lines = filled_with_app(&there.path).await;
    let lines: Vec<&str> = text(&lines).lines().collect();
    let records = &lines[1..lines.len() - 1];
    let (installation, app, slots) = (records[0], records[1], &records[2..]);
    let sum = crc32("2 /prod/web {}");
    let newer = format!(r#"{{"key":"/prod/web","version":2,"checksum":"{sum}","record":{{}}}}"#);
    let cases: [(&[&str], &str); 5] = [
        (&[installation, app, slots[1], slots[0]], "out of order"),
        (&[installation, app, slots[0], slots[0]], "there twice"),
        (&[installation, slots[0]], "instances of /prod/web, but not the app itself"),
        (&[installation, app, "{}"], "line 4 of the export is damaged (missing field `key`"),
        (&[installation, &newer], "line 3 was written by a newer ekiden (version 2; this one reads up to 1)"),
    ];
    for (records, problem) in cases {
        let error = import(&here.path, &announced(records)).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}, not {problem}");
    }
    // Only the whole of it is good.
    let headless = lines[1..].join("\n") + "\n";
    let twice = format!("{0}\n{0}\n", lines.join("\n"));
    let other = lines.join("\n").replacen(r#""format":1"#, r#""format":9"#, 1) + "\n";
    let cases = [
        (headless.as_str(), "its first line is none of ekiden's"),
        (&twice, "there is something after the end"),
        (&other, "line 1 was written by a newer ekiden (version 9"),
        ("id: /web\ncmd: sleep 1000\n", "this is no export of ekiden's state"),
    ];
    for (text, problem) in cases {
        let error = import(&here.path, text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}, not {problem}");
    }
    assert!(!here.path.exists(), "something was written");
}

#[tokio::test]
async fn a_state_that_is_there_is_never_written_over() {
    let (there, here) = (Place::new(), Place::new());
    let lines = filled_with_app(&there.path).await;
    // A store that was merely made has nothing to lose.
    reopen(&here.path).unwrap();
    assert!(matches!(import(&here.path, &lines).unwrap(), Imported::Placed(_)));
    assert!(matches!(import(&here.path, &lines).unwrap(), Imported::Same(_)));

    let known = Place::new();
    let Record::Installation(made) = reopen(&known.path).unwrap().remove(0) else { panic!("no installation") };
    let framework = Some(ekiden_model::FrameworkId::new("f-1"));
    put(&known.path, vec![Write::Put(Record::Installation(Box::new(Installation { framework, ..*made })))]);
    for place in [&there, &known] {
        let before = std::fs::read(&place.path).unwrap();
        let error = import(&place.path, &lines).unwrap_err();
        assert!(matches!(error, ImportError::Store(StoreError::NotEmpty { .. })), "{error:?}");
        assert!(error.to_string().contains("holds a state already"), "{error}");
        assert_eq!(std::fs::read(&place.path).unwrap(), before, "the file was touched");
    }
}

#[tokio::test]
async fn a_store_in_use_is_exported_by_whoever_uses_it_and_by_nobody_else() {
    let place = Place::new();
    let lines = filled_with_app(&place.path).await;
    let copy = Place::new();
    import(&copy.path, &lines).unwrap();
    let Opened { store, .. } = Store::open(&copy.path).unwrap();
    let mut live = Vec::new();
    store.export().unwrap().write(&mut live).unwrap();
    assert_eq!(text(&live), text(&lines));
    let in_use = |error: StoreError| assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    in_use(store::check(&copy.path).unwrap_err());
    match import(&copy.path, &lines) {
        Err(ImportError::Store(error)) => in_use(error),
        other => panic!("{other:?}"),
    }
    store.persist(WriteSeq(1), vec![slot("/prod/web", 7000)]).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store::check(&copy.path).unwrap().slots, 101);
    assert!(Store::in_memory().unwrap().store.export().is_none());
}

#[test]
fn what_is_not_there_is_neither_checked_nor_exported_nor_made() {
    let place = Place::new();
    let error = store::check(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    assert!(store::export(&place.path, Vec::new()).is_err());
    assert!(!place.path.exists());
}
