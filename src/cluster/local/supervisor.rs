//! Ekiden's end of a supervised process: starts the supervisor, gives orders, hears reports.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::protocol::{End, Order, Report, Spec};
use super::supervise::{PROCESS_NAME, SUPERVISE};

/// A supervisor says within milliseconds that its task runs. One that has not after this time never will: it hangs
/// on a dead network file system, or is no supervisor at all.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A process and everything that descends from it. Dropping this kills them all at once.
pub(super) struct Supervised {
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    supervisor: Child,
    pid: Pid,
    end: Option<End>,
}

/// Why a process did not start. Displayed as a sentence fragment, to stand after what was tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("its supervisor {program} cannot be started: {cause}")]
    Supervisor { program: PathBuf, cause: io::Error },
    #[error("its supervisor died before it said anything")]
    Silent,
    #[error("its supervisor has said nothing for {} s", START_TIMEOUT.as_secs())]
    TooSlow,
    #[error("{0}")]
    Refused(String),
}

impl Supervised {
    /// Starts what `spec` says under the supervisor `program`; returns when it runs.
    pub(super) async fn start(program: &Path, spec: &Spec) -> Result<Self, StartError> {
        let not_started = |cause| StartError::Supervisor { program: program.to_owned(), cause };
        let mut supervisor = Command::new(program)
            .arg0(PROCESS_NAME)
            .arg(SUPERVISE)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(not_started)?;
        let (Some(mut orders), Some(reports)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            return Err(StartError::Silent);
        };
        let mut reports = BufReader::new(reports).lines();
        say(&mut orders, spec).await.map_err(not_started)?;
        match timeout(START_TIMEOUT, next(&mut reports)).await.map_err(|_| StartError::TooSlow)? {
            Some(Report::Started(pid)) => match Pid::from_raw(pid) {
                Some(pid) => Ok(Self { orders, reports, supervisor, pid, end: None }),
                None => Err(StartError::Silent),
            },
            Some(Report::Refused(cause)) => Err(StartError::Refused(cause)),
            Some(Report::Ended(_)) | None => Err(StartError::Silent),
        }
    }

    /// How it ended, once nothing of it is left. May be cancelled and asked again.
    pub(super) async fn ended(&mut self) -> End {
        let end = match (self.end, next(&mut self.reports).await) {
            (Some(end), _) | (None, Some(Report::Ended(end))) => end,
            (None, _) => {
                // Somebody killed the supervisor. The task must not run on unwatched.
                let _ended = rustix::process::kill_process_group(self.pid, Signal::KILL);
                End::Lost
            }
        };
        self.end = Some(end);
        // It has nothing more to do than exit; its own status tells nothing.
        let _exited = self.supervisor.wait().await;
        end
    }

    /// SIGTERM now, SIGKILL after `grace`. A later order can only shorten the time.
    pub(super) async fn kill(&mut self, grace: Duration) {
        // Who cannot be told any more has ended, which is what `ended` finds.
        let _ended = say(&mut self.orders, &Order::Kill(grace)).await;
    }
}

async fn say(orders: &mut ChildStdin, what: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    orders.write_all(&line).await?;
    orders.flush().await
}

async fn next(reports: &mut Lines<BufReader<ChildStdout>>) -> Option<Report> {
    let line = reports.next_line().await.ok()??;
    serde_json::from_str(&line).ok()
}
