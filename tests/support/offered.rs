//! The API over a world that stands still: nobody decides, and nothing is stored.

use std::path::Path;
use std::sync::Arc;

use ekiden::api::{Api, Introduction, Terms};
use ekiden::desired::{self, WatchOptions};
use ekiden::runtime::{EventLog, Requests, Snapshots};
use ekiden::telemetry::Metrics;
use ekiden_model::limits::Settings;
use tokio_util::sync::CancellationToken;

/// What is served of this world. Who writes to it is never answered, since nobody takes requests in; the folder of
/// manifests is not read.
pub(crate) fn offered(
    snapshots: Snapshots,
    events: EventLog,
    folder: &Path,
    terms: Terms,
    stop: CancellationToken,
) -> Api {
    let (requests, _) = Requests::new();
    let (directory, _) = desired::watch(folder, WatchOptions::default());
    Api {
        snapshots,
        events,
        requests,
        sandboxes: Arc::new(|_| None),
        connection: Arc::new(|| None),
        directory,
        export: None,
        metrics: Metrics::default(),
        settings: Settings::default(),
        introduction: Arc::new(Introduction::default()),
        uninstalls: None,
        callbacks: None,
        terms,
        stop,
    }
}
