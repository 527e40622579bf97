//! The whole program against a fake Mesos: a restart with 100,000 stored instances, 2,000 agents that offer at once, and
//! the API of 10,000 apps under load.
//!
//! The program is the one that was built, with a store and manifests as it leaves them itself; the fake masters and agents
//! are those of the kit, in this process, and take their share of the same processors. Parts can be chosen by name:
//! `cargo bench --bench fake -- restart offers api`.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has nothing to print")]

#[path = "../../tests/support/client.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod client;

#[path = "../support/processor.rs"]
#[expect(dead_code, reason = "what is measured here is another process")]
mod processor;

mod api;
mod fleet;
mod offers;
mod program;
mod restart;

use std::fmt::Display;
use std::io::Write;
use std::sync::LazyLock;

use ekiden_kit::master::{FakeMesos, Options};
use tokio::runtime::{Builder, Runtime};

#[tokio::main]
async fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|name| name == part);
    if wanted("restart") {
        restart::measure().await;
    }
    if wanted("offers") {
        offers::measure().await;
    }
    if wanted("api") {
        api::measure().await;
    }
}

/// Where masters and agents live: a thread of their own, so that no client's time counts theirs as ekiden's.
static ELSEWHERE: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread for the masters")
});

async fn start_masters(options: Options) -> FakeMesos {
    let starting = ELSEWHERE.spawn(FakeMesos::start(options));
    starting.await.expect("no panic").expect("a port")
}

/// One line of the result.
fn tell(line: impl Display) {
    writeln!(std::io::stdout(), "{line}").expect("there is somebody to tell");
}
