//! One process of a cluster: a master, an agent, ZooKeeper.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

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

    /// Sends a signal that ends it, and waits until it has ended.
    pub(crate) fn end(&mut self, signal: Signal) {
        self.signal(signal);
        self.child.take().expect("it runs").wait().expect("ended");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }
}
