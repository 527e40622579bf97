//! The kit in `kit/`, which has real Mesos masters and agents: made ready by the first test that needs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The kit, as it lies in the checkout.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mesos/kit");

/// The kit made ready. The first time takes 27 MB of download and some 15 seconds, told on stderr as it goes on.
static READY: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    // Beside what cargo builds, wherever that is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
    let ready = target.join("mesos-kit");
    let setup = format!("{SOURCE}/setup");
    let status = Command::new(&setup).arg(&ready).status().map_err(|error| format!("{setup}: {error}"))?;
    if status.success() {
        Ok(ready)
    } else {
        Err(format!("{setup} failed ({status}), and has said why on stderr"))
    }
});

/// The program that runs masters and agents. Without it no test here can go on, and none is passed over.
pub(crate) fn launcher() -> PathBuf {
    match &*READY {
        Ok(ready) => ready.join("mesos-cluster"),
        Err(problem) => panic!("there is no Mesos to test with: {problem}"),
    }
}

/// The program that ends all that works in a folder.
pub(crate) fn reaper() -> PathBuf {
    Path::new(SOURCE).join("reaper")
}
