//! One process: a master, an agent, ZooKeeper, ekiden.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{LOOK_EVERY, PATIENCE};

/// A process that can be stopped and started again just as it was.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts it in this folder, where its log is, too.
    pub(crate) fn start(name: &str, folder: &Path, program: &Path, arguments: Vec<String>) -> Self {
        let log = folder.join(format!("{name}.log"));
        let mut process =
            Self { program: program.to_owned(), arguments, folder: folder.to_owned(), log, child: None };
        process.start_again();
        process
    }

    /// Starts it as before, after it has ended.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.log.display());
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", self.program.display())));
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("signalled");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        // It fails for one that has ended, which is as well.
        let _ = child.kill();
        child.wait().expect("ended");
    }

    /// Whether it has ended by itself, or by a signal it was sent.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits until it has ended.
    pub(crate) async fn until_ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "{} runs on", self.log.display());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }
}
