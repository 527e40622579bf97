//! A directory of manifests as its users see it: files are written, renamed and broken, and change sets come out.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden::desired::{
    Bounds, Debounce, DesiredStream, DirectoryHandle, DirectoryStatus, Following, PrunePolicy, Scanner, Summary,
    WatchOptions, plan, read_directory, watch,
};
use ekiden_model::app_state::Source;
use ekiden_model::input::Desired;
use ekiden_model::{App, AppId};
use futures_util::StreamExt;
use tempfile::TempDir;

// ---- A directory to play with ---------------------------------------------------------------------------------------

struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// As editors save: a temporary file, renamed.
    fn save(&self, path: &str, content: impl AsRef<[u8]>) {
        self.write(".save.tmp", content);
        std::fs::rename(self.root().join(".save.tmp"), self.root().join(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.root().join(path)).unwrap();
    }

    fn read(&self) -> (Vec<String>, Vec<String>) {
        self.read_within(&Bounds::default())
    }

    /// The ids that are declared, and codes with paths of what is wrong.
    fn read_within(&self, bounds: &Bounds) -> (Vec<String>, Vec<String>) {
        let reading = read_directory(self.root(), bounds);
        let ids = reading.apps.iter().map(|app| app.app.id.to_string()).collect();
        let findings = reading.diagnostics.iter().map(|found| format!("{} {}", found.code, found.path));
        (ids, findings.collect())
    }
}

fn app(id: &str) -> String {
    format!("id: {id}\ncmd: sleep 100\n")
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    ids.into_iter().map(str::to_owned).collect()
}

// ---- Reading --------------------------------------------------------------------------------------------------------

#[test]
fn manifests_are_found_by_their_names_and_read_in_order() {
    let dir = Directory::new();
    dir.write("prod/web.yaml", app("web"));
    dir.write("prod/db/main.yml", app("main"));
    dir.write("api.json", r#"{"id": "api", "cmd": "sleep 100"}"#);
    dir.write("LOUD.YAML", app("loud"));
    for other in [
        ".git/config.yaml",
        ".hidden.yaml",
        "README.md",
        "web.yaml~",
        "web.yaml.swp",
        "#web.yaml#",
        "4913",
        "web_BASE_4711.yaml",
        "web_REMOTE_4711.yaml",
    ] {
        dir.write(other, "no manifest: [");
    }
    let reading = read_directory(dir.root(), &Bounds::default());
    assert_eq!(reading.diagnostics, []);
    let files: Vec<&str> = reading.files.iter().map(|path| &**path).collect();
    assert_eq!(files, ["LOUD.YAML", "api.json", "prod/db/main.yml", "prod/web.yaml"]);
    assert_eq!(dir.read().0, ids(["/loud", "/api", "/prod/db/main", "/prod/web"]));
}

#[test]
fn what_is_no_file_is_told_and_nothing_else_is_lost() {
    let outside = Directory::new();
    outside.write("secret.yaml", app("/secret"));
    outside.write("folder/more.yaml", app("/more"));
    let dir = Directory::new();
    dir.write("good.yaml", app("good"));
    dir.write("real/inside.yaml", app("/inside"));
    let link = |target: &Path, name: &str| symlink(target, dir.root().join(name)).unwrap();
    link(&outside.root().join("secret.yaml"), "leaves.yaml");
    link(Path::new("../../../../../../../../etc/passwd"), "up.yaml");
    link(&outside.root().join("folder"), "folder");
    link(Path::new("nowhere"), "broken.yaml");
    link(Path::new("circle.yaml"), "circle.yaml");
    link(Path::new("nowhere"), "no-manifest");
    link(Path::new("/dev/zero"), "zero.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.root().join("pipe.yaml"), 0o600.into()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.root().join("pipe"), 0o600.into()).unwrap();
    let _socket = UnixListener::bind(dir.root().join("socket.yaml")).unwrap();
    link(Path::new("pipe"), "to-pipe.yaml");
    dir.write("large.yaml", "#".repeat((4 << 20) + 1));
    let (apps, findings) = dir.read();
    assert_eq!(apps, ids(["/good", "/inside"]));
    let expected = [
        "E0013 broken.yaml",
        "E0013 circle.yaml",
        "E0015 folder",
        "E0001 large.yaml",
        "E0014 leaves.yaml",
        "E0015 pipe.yaml",
        "E0015 socket.yaml",
        "E0015 to-pipe.yaml",
        "E0014 up.yaml",
        "E0014 zero.yaml",
    ];
    assert_eq!(findings, expected);
}

#[test]
fn links_within_the_directory_are_followed() {
    // As Kubernetes mounts a volume of files.
    let dir = Directory::new();
    dir.write("..2026_11_20/web.yaml", app("/web"));
    symlink("..2026_11_20", dir.root().join("..data")).unwrap();
    symlink("..data/web.yaml", dir.root().join("web.yaml")).unwrap();
    assert_eq!(dir.read(), (ids(["/web"]), Vec::new()));
}

#[test]
fn bounds_stop_a_scan_with_what_was_read_so_far() {
    let dir = Directory::new();
    for name in ["a", "b", "c", "d"] {
        dir.write(&format!("{name}.yaml"), app(name));
    }
    dir.write("e/f/g/deep.yaml", app("deep"));
    let bounds = Bounds::default();
    let size = app("a").len() as u64;
    let read = |bounds: Bounds| dir.read_within(&bounds);
    let deep = read(Bounds { depth: 2, ..bounds });
    assert_eq!(deep, (ids(["/a", "/b", "/c", "/d"]), ids(["E0016 e/f/g"])));
    let many = read(Bounds { files: 2, ..bounds });
    assert_eq!(many, (ids(["/a", "/b"]), ids(["E0016 c.yaml"])));
    let heavy = read(Bounds { total_bytes: size * 3, ..bounds });
    assert_eq!(heavy, (ids(["/a", "/b", "/c"]), ids(["E0016 d.yaml"])));
    let crowded = read(Bounds { entries: 5, ..bounds });
    assert_eq!(crowded, (ids(["/a", "/b", "/c", "/d"]), ids(["E0016 e/"])));
}

#[test]
fn a_directory_that_is_none_is_one_finding() {
    let dir = Directory::new();
    dir.write("file", "");
    for (root, says) in [("missing", "No such file"), ("file", "Not a directory")] {
        let reading = read_directory(&dir.root().join(root), &Bounds::default());
        let [finding] = &reading.diagnostics[..] else { panic!("{:?}", reading.diagnostics) };
        assert_eq!(finding.code.as_str(), "E0013");
        assert!(finding.to_string().contains(says), "{finding}");
        assert!(finding.render(false).contains("error[E0013]"), "{}", finding.render(false));
        assert_eq!(finding.to_json()["code"], "E0013");
    }
}

#[test]
fn errors_of_all_files_are_told_at_once() {
    let dir = Directory::new();
    dir.write("a.yaml", "id: a\ncmdd: x\n");
    dir.write("b.yaml", app("/same"));
    dir.write("c.yaml", app("/same"));
    dir.write("d.yaml", "[");
    let (_, findings) = dir.read();
    let files: Vec<&str> = findings.iter().map(|finding| &finding[6..]).collect();
    assert_eq!(files.iter().filter(|file| **file == "a.yaml").count(), findings.len() - 2, "{findings:?}");
    assert!(findings.last().unwrap().starts_with("E0203"), "{findings:?}");
    assert!(files.contains(&"d.yaml"), "{findings:?}");
}

#[test]
fn a_file_is_parsed_once_per_content() {
    let dir = Directory::new();
    for name in ["a", "b", "c"] {
        dir.write(&format!("{name}.yaml"), app(name));
    }
    let mut scanner = Scanner::new(Bounds::default());
    let mut parsed = || {
        let scan = scanner.scan(dir.root()).unwrap();
        assert!(scan.settled);
        scan.parsed
    };
    assert_eq!(parsed(), 3);
    assert_eq!(parsed(), 0);
    dir.save("b.yaml", app("b"));
    assert_eq!(parsed(), 0, "the same content under a new inode");
    // Within one tick of the clock, and of the same length.
    dir.write("b.yaml", app("x"));
    assert_eq!(parsed(), 1);
    dir.remove("a.yaml");
    assert_eq!(parsed(), 0);
    dir.write("a.yaml", app("a"));
    assert_eq!(parsed(), 1, "what is gone is forgotten");
}

// ---- Following ------------------------------------------------------------------------------------------------------

struct Followed {
    handle: DirectoryHandle,
    changes: DesiredStream,
    /// What a reader of the change sets believes.
    declared: BTreeMap<AppId, (Arc<App>, Source)>,
}

/// Long enough for a loaded machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> WatchOptions {
    // The timer is out of the way, so that events have to do.
    WatchOptions { rescan: Duration::from_secs(3600), ..WatchOptions::default() }
}

impl Followed {
    async fn new(root: &Path, options: WatchOptions) -> Self {
        let (handle, changes) = watch(root, options);
        let mut followed = Self { handle, changes, declared: BTreeMap::new() };
        assert!(followed.change().await.complete);
        followed
    }

    async fn change(&mut self) -> Desired {
        let change = tokio::time::timeout(PATIENCE, self.changes.next()).await;
        let change = change.expect("there is a change").expect("the stream does not end");
        for (app, source) in &change.declare {
            self.declared.insert(app.id.clone(), (app.clone(), source.clone()));
        }
        for id in &change.withdraw {
            assert!(self.declared.remove(id).is_some(), "{id} was not declared");
        }
        change
    }

    /// Waits until the status is as described; no change set may come meanwhile.
    async fn status(&mut self, is: impl FnMut(&DirectoryStatus) -> bool) -> DirectoryStatus {
        let mut status = self.handle.status();
        tokio::select! {
            found = tokio::time::timeout(PATIENCE, status.wait_for(is)) => {
                found.expect("the status becomes so").expect("the status goes on").clone()
            }
            change = self.changes.next() => panic!("unexpected change {change:?}"),
        }
    }

    /// Passes once everything that was done before has been scanned without a change: a file that is written now is
    /// the next thing that is told.
    async fn nothing_changes(&mut self, dir: &Directory) {
        dir.write("zz-marker.yaml", app("/zz-marker"));
        assert_eq!(declared(&self.change().await), ["/zz-marker"]);
        dir.remove("zz-marker.yaml");
        assert_eq!(withdrawn(&self.change().await), ["/zz-marker"]);
    }

    fn ids(&self) -> Vec<&str> {
        self.declared.keys().map(AppId::as_str).collect()
    }
}

fn declared(change: &Desired) -> Vec<&str> {
    change.declare.iter().map(|(app, _)| app.id.as_str()).collect()
}

fn withdrawn(change: &Desired) -> Vec<&str> {
    change.withdraw.iter().map(AppId::as_str).collect()
}

#[tokio::test]
async fn edits_are_followed_one_change_set_each() {
    let dir = Directory::new();
    dir.write("web.yaml", app("web"));
    let mut followed = Followed::new(dir.root(), options()).await;
    assert_eq!(followed.ids(), ["/web"]);
    dir.save("web.yaml", "id: web\ncmd: sleep 100\ninstances: 3\n");
    let change = followed.change().await;
    assert_eq!((declared(&change), withdrawn(&change)), (vec!["/web"], vec![]));
    assert_eq!(followed.declared[&AppId::parse("/web").unwrap()].0.instances, 3);
    dir.write("new/folder/api.yaml", app("api"));
    assert_eq!(declared(&followed.change().await), ["/new/folder/api"]);
    // The folder that has just come into being is watched as well.
    dir.write("new/folder/api.yaml", "id: api\ncmd: sleep 200\n");
    assert_eq!(declared(&followed.change().await), ["/new/folder/api"]);
    dir.remove("web.yaml");
    assert_eq!(withdrawn(&followed.change().await), ["/web"]);
    let status = followed.status(|status| status.apps == 1).await;
    assert_eq!((status.files, &*status.diagnostics, status.following), (1, &[][..], Following::Events));
    assert!(status.last_scan.is_some());
}

#[tokio::test]
async fn a_checkout_of_hundreds_of_files_is_one_change_set() {
    let dir = Directory::new();
    let path = |number: usize| format!("group-{}/app-{number}.yaml", number % 20);
    for number in 0..400 {
        dir.write(&path(number), app(&format!("a{number}")));
    }
    let mut followed = Followed::new(dir.root(), options()).await;
    assert_eq!(followed.declared.len(), 400);
    // As git does: each file removed and written anew; some come, some go, one moves.
    for number in 0..400 {
        dir.remove(&path(number));
        if number >= 50 {
            dir.write(&path(number), format!("id: a{number}\ncmd: sleep 200\n"));
        }
    }
    for number in 400..450 {
        dir.write(&path(number), app(&format!("a{number}")));
    }
    dir.remove(&path(399));
    dir.write("moved.yaml", "id: /group-19/a399\ncmd: sleep 200\n");
    let change = followed.change().await;
    assert_eq!((change.declare.len(), change.withdraw.len()), (400, 50));
    followed.nothing_changes(&dir).await;
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_version() {
    let dir = Directory::new();
    dir.write("web.yaml", app("web"));
    dir.write("api.yaml", app("api"));
    let mut followed = Followed::new(dir.root(), options()).await;
    for broken in ["id: web\ncmdd: x\n", "id: web\ncmd: [\n", "", "\n\n", "\u{0}"] {
        dir.write("web.yaml", broken);
        let status = followed.status(|status| !status.diagnostics.is_empty()).await;
        assert_eq!(status.stale, ["web.yaml".into()], "{broken:?}");
        assert_eq!(status.apps, 2);
        dir.write("web.yaml", app("web"));
        followed.status(|status| status.diagnostics.is_empty()).await;
    }
    dir.write("web.yaml", "id: web\ncmdd: x\n");
    dir.write("api.yaml", "id: api\ncmd: sleep 300\n");
    assert_eq!(declared(&followed.change().await), ["/api"]);
}

#[tokio::test]
async fn a_directory_that_vanishes_withdraws_nothing() {
    let place = Directory::new();
    let root = place.root().join("manifests");
    place.write("manifests/web.yaml", app("web"));
    let mut followed = Followed::new(&root, options()).await;
    std::fs::rename(&root, place.root().join("away")).unwrap();
    let status = followed.status(|status| !status.diagnostics.is_empty()).await;
    assert_eq!((status.diagnostics[0].code.as_str(), status.apps), ("E0013", 1));
    std::fs::rename(place.root().join("away"), &root).unwrap();
    followed.status(|status| status.diagnostics.is_empty()).await;
    // It is another folder than the one that was watched at first, and it is watched.
    place.write("manifests/api.yaml", app("api"));
    assert_eq!(declared(&followed.change().await), ["/api"]);
}

#[tokio::test]
async fn a_directory_may_come_into_being_later() {
    let place = Directory::new();
    let root = place.root().join("manifests");
    let (handle, changes) = watch(&root, options());
    let mut followed = Followed { handle, changes, declared: BTreeMap::new() };
    followed.status(|status| !status.diagnostics.is_empty()).await;
    place.write("manifests/web.yaml", app("web"));
    let change = followed.change().await;
    assert!(change.complete);
    if change.declare.is_empty() {
        followed.change().await;
    }
    assert_eq!(followed.ids(), ["/web"]);
}

#[tokio::test]
async fn a_root_that_is_a_link_may_be_swapped() {
    let place = Directory::new();
    place.write("one/web.yaml", app("web"));
    place.write("two/web.yaml", "id: web\ncmd: sleep 200\n");
    let root = place.root().join("current");
    symlink("one", &root).unwrap();
    let mut followed = Followed::new(&root, options()).await;
    symlink("two", place.root().join("next")).unwrap();
    std::fs::rename(place.root().join("next"), &root).unwrap();
    assert_eq!(declared(&followed.change().await), ["/web"]);
    place.write("two/api.yaml", app("api"));
    assert_eq!(declared(&followed.change().await), ["/api"]);
}

#[tokio::test]
async fn a_large_loss_waits_for_a_confirmation() {
    let dir = Directory::new();
    for number in 0..8 {
        dir.write(&format!("{number}.yaml"), app(&format!("a{number}")));
    }
    let mut followed = Followed::new(dir.root(), options()).await;
    (0..5).for_each(|number| dir.remove(&format!("{number}.yaml")));
    let status = followed.status(|status| status.pending_prune.is_some()).await;
    let pending = status.pending_prune.unwrap();
    assert_eq!((pending.apps.len(), pending.of, status.apps), (5, 8, 8));
    let handle = followed.handle.clone();
    let (confirmed, change) = tokio::join!(handle.confirm_prune(), followed.change());
    assert_eq!((confirmed, withdrawn(&change)), (5, vec!["/a0", "/a1", "/a2", "/a3", "/a4"]));
    let status = followed.status(|status| status.pending_prune.is_none()).await;
    assert_eq!(status.apps, 3);
}

#[tokio::test]
async fn confirming_without_a_question_stops_nothing() {
    let dir = Directory::new();
    dir.write("web.yaml", app("web"));
    let mut followed = Followed::new(dir.root(), options()).await;
    let handle = followed.handle.clone();
    tokio::select! {
        confirmed = handle.confirm_prune() => assert_eq!(confirmed, 0),
        change = followed.change() => panic!("unexpected change {change:?}"),
    }
}

#[tokio::test]
async fn git_is_waited_for_but_not_for_ever() {
    let dir = Directory::new();
    dir.write("web.yaml", app("web"));
    let patience = Duration::from_millis(700);
    let debounce = Debounce { quiet: Duration::from_millis(50), at_most: Duration::from_millis(100) };
    let mut followed = Followed::new(dir.root(), WatchOptions { patience, debounce, ..options() }).await;
    followed.nothing_changes(&dir).await;
    dir.write(".git/index.lock", "");
    let begun = Instant::now();
    dir.write("web.yaml", "id: web\ncmd: sleep 200\n");
    assert_eq!(declared(&followed.change().await), ["/web"]);
    assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_directory_that_never_holds_still_is_followed() {
    let dir = Directory::new();
    dir.write("web.yaml", app("web"));
    dir.write("api.yaml", app("api"));
    let patience = Duration::from_millis(700);
    let debounce = Debounce { quiet: Duration::from_millis(100), at_most: Duration::from_millis(200) };
    let mut followed = Followed::new(dir.root(), WatchOptions { patience, debounce, ..options() }).await;
    followed.nothing_changes(&dir).await;
    let noise = async {
        loop {
            dir.write("noise.log", "more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let edits = async {
        let begun = Instant::now();
        dir.remove("api.yaml");
        dir.write("web.yaml", "id: web\ncmd: sleep 200\n");
        // An edit is followed at once; a loss is only believed when patience is at an end.
        let change = followed.change().await;
        assert_eq!((declared(&change), withdrawn(&change)), (vec!["/web"], vec![]));
        let change = followed.change().await;
        assert_eq!((declared(&change), withdrawn(&change)), (vec![], vec!["/api"]));
        assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
    };
    tokio::select! {
        () = edits => {}
        () = noise => unreachable!(),
    }
}

#[tokio::test]
async fn what_was_known_before_is_gone_on_from() {
    let dir = Directory::new();
    let before = Directory::new();
    before.write("kept.yaml", app("kept"));
    before.write("broken.yaml", app("broken"));
    before.write("gone.yaml", app("gone"));
    let known = read_directory(before.root(), &Bounds::default())
        .apps
        .into_iter()
        .map(|app| (app.app, Source::File { path: app.path, line: app.line }))
        .collect();
    dir.write("kept.yaml", app("kept"));
    dir.write("broken.yaml", "id: [");
    let (handle, changes) = watch(dir.root(), WatchOptions { known, ..options() });
    let mut followed = Followed { handle, changes, declared: BTreeMap::new() };
    let first = followed.change().await;
    // What is gone is only believed to be so once the directory has held still.
    assert_eq!((declared(&first), withdrawn(&first)), (vec!["/broken", "/gone", "/kept"], vec![]));
    let second = followed.change().await;
    assert_eq!((declared(&second), withdrawn(&second)), (vec![], vec!["/gone"]));
}

#[tokio::test]
async fn without_events_the_timer_finds_changes() {
    let dir = Directory::new();
    dir.write("web.yaml", app("web"));
    let rescan = Duration::from_millis(50);
    let mut followed = Followed::new(dir.root(), WatchOptions { rescan, ..options() }).await;
    let scanned = followed.handle.status().borrow().last_scan.unwrap();
    followed.status(|status| status.last_scan.is_some_and(|scan| scan.at > scanned.at)).await;
    dir.write("web.yaml", "id: web\ncmd: sleep 200\n");
    assert_eq!(declared(&followed.change().await), ["/web"]);
}

#[tokio::test]
async fn an_unreadable_folder_keeps_its_apps() {
    let dir = Directory::new();
    dir.write("team/web.yaml", app("web"));
    dir.write("api.yaml", app("api"));
    let mut followed = Followed::new(dir.root(), options()).await;
    let team = dir.root().join("team");
    std::fs::set_permissions(&team, PermissionsExt::from_mode(0o000)).unwrap();
    // The superuser reads everything; then there is nothing to find.
    if std::fs::read_dir(&team).is_err() {
        let status = followed.status(|status| !status.diagnostics.is_empty()).await;
        assert_eq!((status.diagnostics[0].code.as_str(), status.apps), ("E0013", 2));
    }
    std::fs::set_permissions(&team, PermissionsExt::from_mode(0o755)).unwrap();
    followed.nothing_changes(&dir).await;
}

#[tokio::test]
async fn a_small_share_goes_without_a_question() {
    let dir = Directory::new();
    for number in 0..9 {
        dir.write(&format!("{number}.yaml"), app(&format!("a{number}")));
    }
    let prune = PrunePolicy::default();
    let mut followed = Followed::new(dir.root(), WatchOptions { prune, ..options() }).await;
    (0..4).for_each(|number| dir.remove(&format!("{number}.yaml")));
    assert_eq!(followed.change().await.withdraw.len(), 4);
}

// ---- Planning -------------------------------------------------------------------------------------------------------

fn apps(text: &str) -> Vec<Arc<App>> {
    let dir = Directory::new();
    dir.write("apps.yaml", text);
    let reading = read_directory(dir.root(), &Bounds::default());
    assert_eq!(reading.diagnostics, []);
    reading.apps.into_iter().map(|app| app.app).collect()
}

#[test]
fn a_plan_says_per_app_what_would_happen() {
    let old = apps(
        "- {id: /label, cmd: x, labels: {a: '1', b: '2'}}\n- {id: /old, cmd: x}\n- {id: /roll, cmd: sleep 1, env: {A: s3cret}}\n\
         - {id: /same, cmd: x}\n- {id: /scale, cmd: x, instances: 2}\n",
    );
    let new = apps(
        "- {id: /label, cmd: x, labels: {a: '1', b: '3', c: '4'}}\n- {id: /new, cmd: x, instances: 3}\n\
         - {id: /roll, cmd: \"sleep 2\\e[2J\", env: {A: t0ken}, instances: 4}\n- {id: /same, cmd: x}\n- {id: /scale, cmd: x, instances: 5}\n",
    );
    let current = old.into_iter().map(|app| (app.id.clone(), app)).collect();
    let changes = plan(&current, &new);
    let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let expected = "\
~ /label: in place, nothing restarts
    labels: b=2 -> b=3, c=4
+ /new: create, 3 instances
- /old: stop, 1 instance
~ /roll: roll, every instance is replaced
    cmd: sleep 1 -> sleep 2\u{fffd}[2J
    env: A
    instances: 1 -> 4
~ /scale: scale
    instances: 2 -> 5";
    assert_eq!(text.join("\n"), expected);
    assert_eq!(
        Summary(&changes).to_string(),
        "1 to create, 1 to scale, 1 to change in place, 1 to roll, 1 to stop"
    );
    let json = serde_json::to_value(&changes).unwrap();
    assert_eq!(json[1], serde_json::json!({"app": "/new", "kind": {"create": {"instances": 3}}, "fields": []}));
    assert_eq!(
        json[4],
        serde_json::json!({"app": "/scale", "kind": "scale",
            "fields": [{"field": "instances", "takes": "scale", "old": "2", "new": "5"}]})
    );
    assert_eq!(plan(&new.iter().map(|app| (app.id.clone(), app.clone())).collect(), &new), []);
    assert_eq!(Summary(&[]).to_string(), "no changes");
}
