//! Servers for clients, and the scripts that drive them.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::ekiden::Ekiden;
use crate::kit::{self, SOURCE};

/// A script waits with patience of its own and says what it waits for; this is for one that hangs.
const ENDS_WITHIN: Duration = Duration::from_secs(240);

/// A server without any app, with host ports of its own.
pub(crate) async fn server(ports: &str) -> Ekiden {
    Ekiden::start(ports, &[]).await
}

/// Runs a script of `python/` with the server's address, which must end well.
pub(crate) async fn python(ekiden: &Ekiden, name: &str) {
    run(python_command(name).arg(&ekiden.server), ekiden).await;
}

/// Runs a script of `javascript/` with the server's address, which must end well.
pub(crate) async fn javascript(ekiden: &Ekiden, name: &str) {
    let mut node = Command::new("node");
    node.env("NODE_PATH", kit::part("javascript/node_modules")).arg(format!("{SOURCE}/javascript/{name}"));
    run(node.arg(&ekiden.server), ekiden).await;
}

/// A script of `python/`, with the packages of the kit.
pub(crate) fn python_command(name: &str) -> Command {
    python_with([OsStr::new(&format!("{SOURCE}/python/{name}"))])
}

/// Python with the packages of the kit. It writes nothing into the checkout.
pub(crate) fn python_with<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut python = Command::new("/usr/bin/python3");
    python.env("PYTHONPATH", kit::part("python")).arg("-B").args(arguments);
    python
}

/// Runs a program to its end, which must be a good one.
pub(crate) async fn run(command: &mut Command, ekiden: &Ekiden) {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(ENDS_WITHIN, running).await;
    let Ok(ended) = ended else { panic!("{command:?} did not end within {ENDS_WITHIN:?}\n{}", ekiden.log()) };
    let ended = ended.expect("the program starts");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?}: {}\n{out}\n{err}\n{}", ended.status, ekiden.log());
}
