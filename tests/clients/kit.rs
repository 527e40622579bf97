//! What `kit/setup` fetches, made ready by the first test that needs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The scripts and the kit, as they lie in the checkout.
pub(crate) const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// The kit made ready. The first time takes 30 MB of download and some 45 seconds, told on stderr as it goes on.
static READY: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    // Beside what cargo builds, wherever that is.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
    let ready = target.join("clients");
    let setup = format!("{SOURCE}/kit/setup");
    let status = Command::new(&setup).arg(&ready).status().map_err(|error| format!("{setup}: {error}"))?;
    if status.success() {
        Ok(ready)
    } else {
        Err(format!("{setup} failed ({status}), and has said why on stderr"))
    }
});

/// A file or folder of the kit. Without it no test here can go on, and none is passed over.
pub(crate) fn part(name: &str) -> PathBuf {
    match &*READY {
        Ok(ready) => ready.join(name),
        Err(problem) => panic!("there are no clients to test with: {problem}"),
    }
}
