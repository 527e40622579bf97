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

/// Files as they were at some moment: before they were read, so that no change is missed.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    files: Vec<PathBuf>,
    known: Vec<Look>,
}

impl Followed {
    /// The files as they are now.
    pub(super) fn now(files: Vec<PathBuf>) -> Self {
        let known =
            files.iter().map(|file| std::fs::metadata(file).ok().map(|metadata| look(&metadata))).collect();
        Self { files, known }
    }

    /// Calls `changed` each time that one of the files has become another and none is being written any more. Never
    /// ends.
    pub(super) async fn follow(mut self, changed: impl Fn() + Send + Sync) {
        let mut last = self.known.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.looks().await;
            if now != self.known && now == last {
                self.known.clone_from(&now);
                changed();
            }
            last = now;
        }
    }

    async fn looks(&self) -> Vec<Look> {
        let mut looks = Vec::with_capacity(self.files.len());
        for file in &self.files {
            looks.push(tokio::fs::metadata(file).await.ok().map(|metadata| look(&metadata)));
        }
        looks
    }
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
