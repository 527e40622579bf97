//! What becomes of scans: every rule of the intent, and random histories of a directory.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::manifest::{Code, SourceText};

/// A scan of files with these contents, each at its path.
fn scan<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Scan {
    let mut scan = Scan { settled: true, ..Scan::default() };
    for (path, text) in files {
        let reading = manifest::read(&SourceText { path, bytes: text.as_bytes() });
        scan.files.push(ScannedFile { path: path.into(), content: Content::Read(Arc::new(reading)) });
    }
    scan
}

/// A file that declares these apps.
fn apps<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let lines = ids.into_iter().map(|id| format!("- {{id: {id}, cmd: sleep 100}}\n"));
    lines.collect::<String>()
}

const BROKEN: &str = "id: [";

/// What a change set says, briefly: `+/a -/b`.
fn told(change: Option<Desired>) -> String {
    let Some(Desired { declare, withdraw, complete, commit: _ }) = change else { return "nothing".to_owned() };
    assert!(complete);
    let declare = declare.iter().map(|(app, _)| format!("+{}", app.id));
    let withdraw = withdraw.iter().map(|id| format!("-{id}"));
    declare.chain(withdraw).collect::<Vec<_>>().join(" ")
}

fn codes(intent: &Intent) -> Vec<&str> {
    intent.diagnostics().iter().map(|diagnostic| diagnostic.code.as_str()).collect()
}

fn intent() -> Intent {
    Intent::new(PrunePolicy::default())
}

#[test]
fn the_first_answer_is_complete_even_when_it_is_empty() {
    let mut intent = intent();
    let first = intent.observe(&scan([]));
    assert_eq!(first, Some(Desired { complete: true, ..Desired::default() }));
    assert_eq!(intent.observe(&scan([])), None);
}

#[test]
fn the_same_again_is_nothing_to_say() {
    let mut intent = intent();
    let ab = apps(["/a", "/b"]);
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*ab)]))), "+/a +/b");
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*ab)]))), "nothing");
}

#[test]
fn an_app_may_move_to_another_file() {
    let mut intent = intent();
    let (a, b) = (apps(["/a"]), apps(["/b"]));
    intent.observe(&scan([("x.yaml", &*a), ("y.yaml", &*b)]));
    let both = apps(["/b", "/a"]);
    let change = intent.observe(&scan([("y.yaml", &*both)])).unwrap();
    assert_eq!(change.withdraw, []);
    let sources: Vec<_> = change.declare.iter().map(|(app, source)| (app.id.as_str(), source.clone())).collect();
    assert_eq!(sources, [("/a", Source::File { path: "y.yaml".into(), line: 2 })]);
}

#[test]
fn a_broken_file_holds_back_all_of_its_own_and_nothing_else() {
    let mut intent = intent();
    let (ab, c) = (apps(["/a", "/b"]), apps(["/c"]));
    intent.observe(&scan([("x.yaml", &*ab), ("y.yaml", &*c)]));
    // `/n` is good by itself, but the file is not, and whoever is editing it is not done.
    let half = format!("{}- {{id: /b, cmdd: x}}\n", apps(["/n"]));
    let cd = apps(["/c", "/d"]);
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*half), ("y.yaml", &*cd)]))), "+/d");
    assert_eq!(intent.stale(), ["x.yaml".into()]);
    assert!(!codes(&intent).is_empty());
    assert_eq!(told(intent.observe(&scan([("y.yaml", &*cd)]))), "-/a -/b");
    assert!(intent.diagnostics().is_empty() && intent.stale().is_empty());
}

#[test]
fn a_file_that_was_never_good_declares_nothing() {
    let mut intent = intent();
    assert_eq!(told(intent.observe(&scan([("x.yaml", BROKEN)]))), "");
    assert!(intent.stale().is_empty());
    let a = apps(["/a"]);
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*a)]))), "+/a");
}

#[test]
fn an_app_in_two_files_stays_as_it_was() {
    let mut intent = intent();
    let a = apps(["/a"]);
    intent.observe(&scan([("x.yaml", &*a)]));
    let other = "[{id: /a, cmd: sleep 200}, {id: /b, cmd: sleep 100}]";
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*a), ("y.yaml", other)]))), "+/b");
    assert_eq!(codes(&intent), ["E0203"]);
    let rendered = intent.diagnostics()[0].render(false);
    assert!(rendered.contains("x.yaml") && rendered.contains("y.yaml"), "{rendered}");
    // Nor is an edit of the first followed before there is one again.
    let edited = "[{id: /a, cmd: sleep 300}]";
    assert_eq!(told(intent.observe(&scan([("x.yaml", edited), ("y.yaml", other)]))), "nothing");
    let change = intent.observe(&scan([("y.yaml", other)])).unwrap();
    assert_eq!((change.declare.len(), change.withdraw.len()), (1, 0));
}

#[test]
fn an_app_that_was_always_in_two_files_is_not_started() {
    let mut intent = intent();
    let (a, ab) = (apps(["/a"]), apps(["/a", "/b"]));
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*a), ("y.yaml", &*ab)]))), "+/b");
    assert_eq!(told(intent.observe(&scan([("y.yaml", &*ab)]))), "+/a");
}

#[test]
fn apps_that_would_wait_for_each_other_stay_as_they_were() {
    let mut intent = intent();
    let before = "[{id: /a, cmd: x}, {id: /b, cmd: x, dependencies: [/a]}]";
    intent.observe(&scan([("x.yaml", before)]));
    let after = "[{id: /a, cmd: x, dependencies: [/b]}, {id: /b, cmd: y, dependencies: [/a]}, {id: /c, cmd: x}]";
    assert_eq!(told(intent.observe(&scan([("x.yaml", after)]))), "+/c");
    assert_eq!(codes(&intent), ["E0205"]);
}

#[test]
fn nothing_is_withdrawn_before_the_directory_holds_still() {
    let mut intent = intent();
    let (a, b) = (apps(["/a"]), apps(["/b"]));
    intent.observe(&scan([("x.yaml", &*a), ("y.yaml", &*b)]));
    let c = apps(["/c"]);
    let halfway = Scan { settled: false, ..scan([("y.yaml", &*c)]) };
    assert_eq!(told(intent.observe(&halfway)), "+/c");
    assert_eq!(told(intent.observe(&scan([("y.yaml", &*c)]))), "-/a -/b");
}

#[test]
fn what_was_not_seen_is_not_gone() {
    let mut intent = intent();
    let (a, b, c) = (apps(["/a"]), apps(["/b"]), apps(["/c"]));
    intent.observe(&scan([("t/x.yaml", &*a), ("tx.yaml", &*b), ("z.yaml", &*c)]));
    let unseen = Scan { unseen: vec!["t/".to_owned()], ..scan([("z.yaml", &*c)]) };
    assert_eq!(told(intent.observe(&unseen)), "-/b");
    assert_eq!(intent.stale(), ["t/x.yaml".into()]);
    let cut_short = Scan { cut_short: true, ..scan([]) };
    assert_eq!(told(intent.observe(&cut_short)), "nothing");
    let mut unreadable = scan([]);
    unreadable.files.push(ScannedFile { path: "t/x.yaml".into(), content: Content::Unreadable });
    assert_eq!(told(intent.observe(&unreadable)), "-/c");
}

#[test]
fn an_unreadable_directory_withdraws_nothing() {
    let mut intent = intent();
    let a = apps(["/a"]);
    intent.observe(&scan([("x.yaml", &*a)]));
    intent.lost_sight(Diagnostic::whole_file(Code::Unreadable, &"manifests".into(), "it is gone"));
    assert_eq!((intent.apps(), codes(&intent)), (1, vec!["E0013"]));
    assert_eq!(told(intent.observe(&scan([("x.yaml", &*a)]))), "nothing");
    assert!(intent.diagnostics().is_empty());
}

/// Eight apps in a file each, less the first `gone`, and `new` further ones.
fn eight(gone: usize, new: usize) -> Scan {
    let names: Vec<String> = (gone..8 + new).map(|number| format!("a{number}")).collect();
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}.yaml"), apps([&**name]))).collect();
    scan(files.iter().map(|(path, text)| (&**path, &**text)))
}

#[test]
fn more_than_half_of_all_apps_are_not_withdrawn_before_somebody_confirms() {
    let mut intent = intent();
    intent.observe(&eight(0, 0));
    assert_eq!(told(intent.observe(&eight(5, 0))), "nothing");
    let pending = intent.pending_prune().unwrap();
    assert_eq!(pending.to_string().split(':').next(), Some("5 of 8 apps are declared no more"));
    // New apps do not answer the question, however many; a further loss joins it.
    assert_eq!(told(intent.observe(&eight(5, 1))), "+/a8");
    assert_eq!(told(intent.observe(&eight(6, 1))), "nothing");
    assert_eq!(intent.pending_prune().map(|pending| pending.apps.len()), Some(6));
    assert_eq!(told(intent.confirm_prune()), "-/a0 -/a1 -/a2 -/a3 -/a4 -/a5");
    assert_eq!((intent.confirm_prune(), intent.pending_prune()), (None, None));
    assert_eq!(told(intent.observe(&eight(6, 1))), "nothing");
}

#[test]
fn files_that_come_back_take_the_question_back() {
    let mut intent = intent();
    intent.observe(&eight(0, 0));
    intent.observe(&eight(8, 0));
    assert_eq!(intent.pending_prune().map(|pending| pending.apps.len()), Some(8));
    assert_eq!(told(intent.observe(&eight(1, 0))), "-/a0", "few enough are left to do without a question");
    assert_eq!((intent.pending_prune(), intent.apps()), (None, 7));
}

#[test]
fn what_is_declared_again_is_not_pruned_even_when_all_else_is_unclear() {
    let mut intent = intent();
    intent.observe(&eight(0, 0));
    intent.observe(&eight(8, 0));
    let halfway = Scan { settled: false, ..eight(2, 0) };
    assert_eq!(told(intent.observe(&halfway)), "nothing");
    assert_eq!(told(intent.confirm_prune()), "-/a0 -/a1");
}

#[test]
fn a_loss_below_the_share_or_of_few_needs_no_confirmation() {
    let mut intent = intent();
    intent.observe(&eight(0, 1));
    assert_eq!(told(intent.observe(&eight(4, 1))), "-/a0 -/a1 -/a2 -/a3", "4 of 9");
    assert_eq!(told(intent.observe(&eight(7, 1))), "-/a4 -/a5 -/a6", "3 of 5");
}

#[test]
fn what_the_store_knows_is_gone_on_from() {
    let mut before = intent();
    let change = before.observe(&eight(0, 0)).unwrap();
    let api = (change.declare[0].0.clone(), Source::Api);
    let known = change.declare.into_iter().skip(1).chain([api]);
    let mut intent = Intent::resume(PrunePolicy::default(), known);
    assert_eq!(intent.apps(), 7, "what the API declared is not the files' to withdraw");
    assert_eq!(told(intent.observe(&eight(3, 0))), "+/a3 +/a4 +/a5 +/a6 +/a7 -/a1 -/a2");
}

// ---- Whatever happens -----------------------------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum File {
    Broken,
    Unreadable,
    Declares(BTreeMap<u8, bool>),
}

fn any_directory() -> impl Strategy<Value = BTreeMap<u8, File>> {
    let file = prop_oneof![
        1 => Just(File::Broken),
        1 => Just(File::Unreadable),
        6 => btree_map(0_u8..12, any::<bool>(), 0..5).prop_map(File::Declares),
    ];
    btree_map(0_u8..6, file, 0..6)
}

#[derive(Debug, Clone)]
struct Step {
    files: BTreeMap<u8, File>,
    settled: bool,
    cut_short: bool,
    unseen: BTreeSet<u8>,
    confirm: bool,
}

fn any_step() -> impl Strategy<Value = Step> {
    let rarely = || proptest::bool::weighted(0.15);
    (any_directory(), rarely(), rarely(), btree_set(0_u8..6, 0..2), rarely()).prop_map(
        |(files, unsettled, cut_short, unseen, confirm)| Step {
            files,
            settled: !unsettled,
            cut_short,
            unseen,
            confirm,
        },
    )
}

impl Step {
    fn scan(&self) -> Scan {
        let mut found = Scan { settled: self.settled, cut_short: self.cut_short, ..Scan::default() };
        found.unseen = self.unseen.iter().map(|file| format!("{file}/")).collect();
        for (file, content) in self.files.iter().filter(|(file, _)| !self.unseen.contains(file)) {
            let path = format!("{file}/x.yaml");
            let text = match content {
                File::Broken => BROKEN.to_owned(),
                File::Declares(apps) if apps.is_empty() => "[]".to_owned(),
                File::Declares(apps) => {
                    let line = |(app, changed)| format!("- {{id: /a{app}, cmd: sleep {}}}", u8::from(changed));
                    apps.iter().map(|(app, changed)| line((*app, *changed))).collect::<Vec<_>>().join("\n")
                }
                File::Unreadable => {
                    found.files.push(ScannedFile { path: path.into(), content: Content::Unreadable });
                    continue;
                }
            };
            found.files.extend(scan([(&*path, &*text)]).files);
        }
        found
    }
}

fn good(scan: &Scan) -> impl Iterator<Item = &DeclaredApp> {
    scan.files.iter().flat_map(|file| match &file.content {
        Content::Read(reading) if reading.diagnostics.is_empty() => &reading.apps[..],
        _ => &[],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_to_files_nothing_is_lost_that_should_not_be(steps in vec(any_step(), 1..12)) {
        let mut intent = intent();
        let mut heard: BTreeMap<AppId, (Arc<App>, Source)> = BTreeMap::new();
        for step in &steps {
            let scan = step.scan();
            let before = heard.len();
            let change = intent.observe(&scan).unwrap_or_default();
            for id in &change.withdraw {
                prop_assert!(heard.remove(id).is_some(), "{id} was never declared");
                prop_assert!(good(&scan).all(|app| app.app.id != *id), "{id} is declared");
            }
            let lost = change.withdraw.len();
            prop_assert!(lost == 0 || (scan.settled && !scan.cut_short));
            prop_assert!(lost <= 3 || lost * 2 <= before, "{lost} of {before} went without a question");
            heard.extend(change.declare.into_iter().map(|(app, source)| (app.id.clone(), (app, source))));
            prop_assert_eq!(intent.observe(&scan), None, "a second look finds more");
            if step.confirm && let Some(change) = intent.confirm_prune() {
                change.withdraw.iter().for_each(|id| _ = heard.remove(id));
                prop_assert_eq!(intent.observe(&scan), None, "confirming is not the end of it");
            }
            prop_assert_eq!(heard.len(), intent.apps());
        }
        // And once all is well, what is declared is what the files say.
        let mut last = steps[steps.len() - 1].clone();
        let mut seen = BTreeSet::new();
        for file in last.files.values_mut() {
            match file {
                File::Declares(apps) => apps.retain(|app, _| seen.insert(*app)),
                other => *other = File::Declares(BTreeMap::new()),
            }
        }
        let scan = Step { settled: true, cut_short: false, unseen: BTreeSet::new(), ..last }.scan();
        for change in [intent.observe(&scan), intent.confirm_prune()].into_iter().flatten() {
            change.withdraw.iter().for_each(|id| _ = heard.remove(id));
            heard.extend(change.declare.into_iter().map(|(app, source)| (app.id.clone(), (app, source))));
        }
        let source = |app: &DeclaredApp| Source::File { path: app.path.clone(), line: app.line };
        let said: BTreeMap<_, _> =
            good(&scan).map(|app| (app.app.id.clone(), (app.app.clone(), source(app)))).collect();
        prop_assert_eq!(heard, said);
    }
}
