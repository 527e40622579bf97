//! Which commit the directory of manifests is at, where it lies in a git checkout: told beside each change, for people.
//!
//! git itself is asked, as a process that may take only so long, so that everything that git knows of (worktrees,
//! packed refs, other hashes) is right. It is told to touch nothing and to run nothing that the checkout's own
//! configuration names. Where there is no git, no checkout or no answer, nothing is known and nothing else is different.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app_state::Source;
use ekiden_model::history::Commit;
use ekiden_model::input::Desired;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// git has answered by then, or is not waited for: a change must not wait for what is only told beside it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Of more files than this, git is asked about the whole directory.
const FILES_NAMED: usize = 100;

/// Longest name of an author that is kept, in characters.
const AUTHOR_CHARS: usize = 200;

/// The commit that a change in the directory `root` comes from. Where a file of it is not as it was committed, the hash ends
/// with `-dirty`, as in `git describe`.
pub(super) async fn commit_of(root: &Path, change: &Desired) -> Option<Arc<Commit>> {
    if !is_in_checkout(root).await {
        return None;
    }
    let asked = async {
        let (mut hash, author) = head(root).await?;
        if is_dirty(root, change).await? {
            hash.push_str("-dirty");
        }
        Some(Arc::new(Commit { hash: hash.into(), author: author.into() }))
    };
    let commit = tokio::time::timeout(ANSWERS_WITHIN, asked).await;
    if commit.is_err() {
        tracing::debug!("git has not said in time which commit the directory is at");
    }
    commit.ok()?
}

/// Without a `.git` on the way up, no process is started.
async fn is_in_checkout(root: &Path) -> bool {
    let candidates: Vec<PathBuf> = root.ancestors().map(|folder| folder.join(".git")).collect();
    for candidate in candidates {
        if tokio::fs::metadata(&candidate).await.is_ok() {
            return true;
        }
    }
    false
}

/// The hash and the author of the commit that is checked out.
async fn head(root: &Path) -> Option<(String, String)> {
    let answer = git(root, &["cat-file", "--batch"], b"HEAD\n").await?;
    read_head(&String::from_utf8_lossy(&answer))
}

/// Reads `HASH commit SIZE`, and of the headers that follow the author's.
fn read_head(answer: &str) -> Option<(String, String)> {
    let mut lines = answer.lines();
    let mut first = lines.next()?.split(' ');
    let hash =
        first.next().filter(|hash| hash.len() >= 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    if first.next() != Some("commit") {
        return None;
    }
    let author = lines.take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix("author "))?;
    // `Ann <ann@example.com> 1795168800 +0100`: who, without when.
    let who = author.rfind('>').map_or(author, |end| &author[..=end]);
    let who = who.chars().filter(|c| !c.is_control()).take(AUTHOR_CHARS).collect();
    Some((hash.to_owned(), who))
}

/// Whether a file of the change is not as it was committed.
async fn is_dirty(root: &Path, change: &Desired) -> Option<bool> {
    let files = change.declare.iter().filter_map(|(_, source)| match source {
        Source::File { path, .. } => Some(&**path),
        Source::Api => None,
    });
    let mut files: Vec<&str> = files.collect();
    files.dedup();
    if files.is_empty() || files.len() > FILES_NAMED {
        files = vec!["."];
    }
    let status =
        ["--literal-pathspecs", "status", "--porcelain", "-z", "--untracked-files=all", "--ignored=matching"];
    let arguments: Vec<&str> = status.into_iter().chain(["--"]).chain(files).collect();
    Some(!git(root, &arguments, b"").await?.is_empty())
}

/// What git says; nothing when it says that something is wrong.
async fn git(root: &Path, arguments: &[&str], input: &'static [u8]) -> Option<Vec<u8>> {
    let mut git = Command::new("git");
    // Nothing of the checkout's configuration that would run a program; no lock that others would wait for, and that we
    // take for a sign of git at work; no question to a terminal, and no fetch of what is missing.
    git.args(["--no-pager", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"])
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(root)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(inherited);
    }
    let mut running = git.spawn().ok()?;
    let mut stdin = running.stdin.take()?;
    stdin.write_all(input).await.ok()?;
    drop(stdin);
    let output = running.wait_with_output().await.ok()?;
    output.status.success().then_some(output.stdout)
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use ekiden_model::App;

    use super::*;
    use crate::runtime::fixtures;

    fn run(root: &Path, arguments: &[&str]) {
        let ran = Process::new("git")
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(root)
            .output()
            .expect("git is installed");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    fn change(path: &str) -> Desired {
        let app: Arc<App> = Arc::new(fixtures::app("/web"));
        Desired { declare: vec![(app, Source::File { path: path.into(), line: 1 })], ..Desired::default() }
    }

    #[tokio::test]
    async fn a_change_is_told_with_the_commit_it_comes_from() {
        let folder = tempfile::tempdir().expect("a folder");
        let manifests = folder.path().join("apps");
        std::fs::create_dir(&manifests).expect("made");
        std::fs::write(manifests.join("web.yaml"), "id: web\n").expect("written");
        assert_eq!(commit_of(&manifests, &change("web.yaml")).await, None, "no checkout");

        run(folder.path(), &["init", "-q"]);
        run(folder.path(), &["add", "."]);
        run(folder.path(), &["commit", "-q", "-m", "web"]);
        let commit = commit_of(&manifests, &change("web.yaml")).await.expect("a commit");
        assert_eq!(&*commit.author, "Ann <ann@example.com>");
        assert!(commit.hash.len() >= 40 && !commit.hash.ends_with("-dirty"), "{}", commit.hash);

        std::fs::write(manifests.join("other.yaml"), "id: other\n").expect("written");
        assert_eq!(commit_of(&manifests, &change("web.yaml")).await, Some(commit.clone()), "its file is clean");
        let dirty = commit_of(&manifests, &change("other.yaml")).await.expect("a commit");
        assert_eq!(*dirty.hash, format!("{}-dirty", commit.hash));
    }

    #[test]
    fn what_is_no_commit_is_none() {
        for text in ["", "HEAD missing\n", "HEAD ambiguous\n", "c0ffee commit 9\nauthor Ann <a> 1 +0\n"] {
            assert_eq!(read_head(text), None, "{text}");
        }
        let hash = "0123456789012345678901234567890123456789";
        assert_eq!(read_head(&format!("{hash} tag 9\nauthor Ann <a> 1 +0\n")), None);
        let in_message = format!("{hash} commit 9\ntree x\n\nauthor Eve <e> 1 +0\n");
        assert_eq!(read_head(&in_message), None);
    }
}
