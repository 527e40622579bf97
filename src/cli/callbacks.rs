//! The flags that say where events are sent: of `serve` and of `dev`.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::{Args, ValueEnum};

/// Where events are sent, beside the stream.
#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(super) struct CallbackArgs {
    /// Send every event to addresses, too: those of --`http_endpoints`, and those that clients name under
    /// /v2/eventSubscriptions
    #[arg(long, value_enum, value_name = "HOW")]
    event_subscriber: Option<EventSubscriber>,
    /// Addresses that events are sent to, with commas: `http://host:port/path`
    #[arg(long, value_name = "URLS", value_delimiter = ',', value_parser = endpoint, requires = "event_subscriber")]
    http_endpoints: Vec<String>,
}

/// How events are sent to others than those who read the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventSubscriber {
    /// By POST, each alone
    #[value(name = "http_callback")]
    HttpCallback,
}

impl CallbackArgs {
    /// Addresses that events are sent to from the start; nothing where events are sent nowhere.
    pub(super) fn fixed(&self) -> Option<BTreeSet<Arc<str>>> {
        let EventSubscriber::HttpCallback = self.event_subscriber?;
        Some(self.http_endpoints.iter().map(|address| address.as_str().into()).collect())
    }
}

/// An address of HTTP.
fn endpoint(text: &str) -> Result<String, &'static str> {
    if crate::api::is_address(text) {
        Ok(text.to_owned())
    } else {
        Err("write `http://host:port/path`, or `https://…`")
    }
}
