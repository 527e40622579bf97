//! Notices when files have become others: credentials and certificates are replaced while we run.
//!
//! Files are looked at once a second, and not watched: tools that renew certificates swap links to folders, and a watch
//! of what a link meant yesterday sees nothing. What is still being written is left alone until it rests.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a file looks like from outside; nothing when there is none.
type Look = Option<(u64, u64, u64, i64, i64)>;

/// Calls `changed` each time that one of the files has become another and none is being written any more. Never ends.
pub(super) async fn follow(files: Vec<PathBuf>, changed: impl Fn() + Send + Sync) {
    let mut known = looks(&files).await;
    let mut last = known.clone();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = looks(&files).await;
        if now != known && now == last {
            changed();
            known.clone_from(&now);
        }
        last = now;
    }
}

async fn looks(files: &[PathBuf]) -> Vec<Look> {
    let mut looks = Vec::with_capacity(files.len());
    for file in files {
        looks.push(tokio::fs::metadata(file).await.ok().map(|metadata| look(&metadata)));
    }
    looks
}

fn look(file: &Metadata) -> (u64, u64, u64, i64, i64) {
    // The time of the last change of the entry itself, too: a copy may keep the times of what it was copied from.
    let nanos = |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
    (
        file.dev(),
        file.ino(),
        file.len(),
        nanos(file.mtime(), file.mtime_nsec()),
        nanos(file.ctime(), file.ctime_nsec()),
    )
}
