//! The writer's thread: takes all batches that wait, stores them in one transaction, and says so.

use std::sync::Arc;

use ekiden_model::input::WriteSeq;
use ekiden_model::record::Write;
use tokio::sync::{mpsc, watch};

use super::StoreError;
use super::disk::Disk;

/// Writes that are stored together or not at all.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) seq: WriteSeq,
    pub(super) writes: Vec<Write>,
}

/// Up to which batch everything is durable, or why nothing more will be.
///
/// Only the latest is kept: a reader that falls behind loses nothing, since each number includes those before it, and
/// the writer never waits for a reader that waits for the writer.
pub(super) type Progress = Result<WriteSeq, Arc<StoreError>>;

/// Most writes in one transaction. A transaction is one or two flushes whatever its size, so it pays to take all that
/// waits; the bound keeps one commit, and thus the wait of whoever comes next, well under a second.
const WRITES_PER_COMMIT: usize = 4096;

/// Runs until every sender is gone, or a write fails.
pub(super) fn run(disk: &Disk, mut queue: mpsc::Receiver<Batch>, report: &watch::Sender<Progress>) {
    while let Some(first) = queue.blocking_recv() {
        let group = with_all_that_waits(first, &mut queue);
        let last = group.last().map_or(WriteSeq(0), |batch| batch.seq);
        let outcome = disk.commit(group.iter().flat_map(|batch| &batch.writes));
        let failed = outcome.is_err();
        let progress = outcome.map(|()| last).map_err(Arc::new);
        report.send_modify(|reported| *reported = progress);
        if failed {
            return;
        }
    }
}

fn with_all_that_waits(first: Batch, queue: &mut mpsc::Receiver<Batch>) -> Vec<Batch> {
    let mut writes = first.writes.len();
    let mut group = vec![first];
    while writes < WRITES_PER_COMMIT {
        let Ok(next) = queue.try_recv() else { break };
        writes += next.writes.len();
        group.push(next);
    }
    group
}
