//! What Ekiden says about itself: log lines on stderr, and numbers.
//!
//! Neither is a source of truth, and nothing is decided by them: why an app is not where it should be is told by
//! reports, not by logs.

mod dropwizard;
mod levels;
mod logging;
mod metrics;

pub use levels::{Change, LEVELS, LevelError, Levels, levels};
pub use logging::{LogFormat, TelemetryError, init};
pub use metrics::{Metrics, ProbeOutcome, TEXT_CONTENT_TYPE};
