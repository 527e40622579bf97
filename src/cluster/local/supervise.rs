//! The supervisor: a small process of its own beside every task, so that none outlives Ekiden, however Ekiden
//! ends.
//!
//! ```text
//!            stdin: what to run, orders; its end means that Ekiden is gone
//!   ekiden ───────────────────────────────► supervisor ──fork──► task (a process group of its own)
//!          ◄───────────────────────────────     ▲                  └─► whatever it starts
//!            stdout: started, ended             └── adopts what loses its parent (subreaper)
//! ```
//!
//! It is Ekiden's own binary started in a hidden mode. The pipe is what tells that Ekiden is gone, not the
//! parent's death signal: that one comes when the *thread* dies which started the process, and would kill the
//! supervisor, which is the one process that must not be killed before it has killed the others.
//!
//! The supervisor owns what happens to the processes; it does not decide when. It is a single thread, and only it
//! reaps: so a process id that it signals cannot have been given to somebody else meanwhile.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::descendants::descendants;
use super::open_files;
use super::output::{Output, TRIM_INTERVAL};
use super::protocol::{End, Order, Program, Report, Spec};

/// The first argument that makes Ekiden's binary a supervisor.
pub const SUPERVISE: &str = "__supervise";

/// What the supervisor calls itself, so that `pkill -9 ekiden` and `killall -9 ekiden` miss it: it is what cleans
/// up after them. At most 15 bytes, as the kernel keeps no more.
pub(super) const PROCESS_NAME: &str = "task-keeper";

/// Time between two rounds of SIGKILL. A process that forks faster than one round kills is caught by the next; a
/// round costs a few file reads per process, so 10 ms is little load and no delay that anybody notices.
const KILL_ROUND: Duration = Duration::from_millis(10);

/// Runs one task by the instructions on stdin. For `main` to call, before any thread is started, when the first
/// argument is [`SUPERVISE`].
pub fn supervise_main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let supervised = detach().and(runtime).and_then(|runtime| runtime.block_on(supervise()));
    match supervised {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where there is nobody to hear it any more, saying it is all that can be done.
            let _unheard = report(&Report::Refused(format!("the supervisor cannot work: {error}")));
            ExitCode::FAILURE
        }
    }
}

/// Leaves Ekiden's terminal, so that Ctrl-C there reaches Ekiden alone, and adopts the orphans to come.
fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Only a name; where /proc is not writable the old one does.
    let _kept = fs::write("/proc/self/comm", PROCESS_NAME);
    Ok(())
}

async fn supervise() -> io::Result<()> {
    let mut child_changed = signal(SignalKind::child())?;
    let mut told_to_end =
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
    let stdin = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut orders: Orders = BufReader::new(stdin).lines();

    let Some(spec) = orders.next_line().await? else { return Ok(()) };
    let (leader, mut outputs) =
        match serde_json::from_str(&spec).map_err(io::Error::other).and_then(|spec| start(&spec)) {
            Ok(started) => started,
            Err(cause) => return report(&Report::Refused(cause.to_string())),
        };
    let mut family = Family { leader, end: None };
    // The pipe says whether Ekiden is there, whatever becomes of this line.
    let _unheard = report(&Report::Started(leader.as_raw_nonzero().get()));

    let mut look_at_outputs = interval(TRIM_INTERVAL);
    look_at_outputs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listening = true;
    let mut terminated = false;
    let mut kill_at: Option<Instant> = None;
    while family.reap()? {
        if family.end.is_some() && !terminated {
            // The task has ended by itself: what it left behind does not get a say.
            kill_at.get_or_insert_with(Instant::now);
        }
        let [term, int, hangup] = &mut told_to_end;
        tokio::select! {
            _ = child_changed.recv() => {}
            order = next_order(&mut orders), if listening => match order {
                Some(Order::Kill(grace)) => {
                    if !terminated {
                        family.signal(Signal::TERM);
                    }
                    terminated = true;
                    let then = Instant::now() + grace;
                    kill_at = Some(kill_at.map_or(then, |known| known.min(then)));
                }
                None => {
                    listening = false;
                    kill_at = Some(Instant::now());
                }
            },
            _ = look_at_outputs.tick(), if !outputs.is_empty() => {
                // Where one cannot be cut, on a full disk say, the task goes on as it would without us.
                for output in &mut outputs {
                    let _uncut = output.trim();
                }
            }
            _ = term.recv() => kill_at = Some(Instant::now()),
            _ = int.recv() => kill_at = Some(Instant::now()),
            _ = hangup.recv() => kill_at = Some(Instant::now()),
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                family.signal(Signal::KILL);
                kill_at = Some(Instant::now() + KILL_ROUND);
            }
        }
    }
    let _unheard = report(&Report::Ended(family.end.unwrap_or(End::Lost)));
    Ok(())
}

type Orders = Lines<BufReader<pipe::Receiver>>;

/// The next order; none when there is no Ekiden any more, or none that can be understood.
async fn next_order(orders: &mut Orders) -> Option<Order> {
    let line = orders.next_line().await.ok()??;
    serde_json::from_str(&line).ok()
}

/// The task's first process and everything that descends from it.
struct Family {
    leader: Pid,
    end: Option<End>,
}

impl Family {
    /// Reaps who has ended; says whether anybody is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.leader => self.end = end_of(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return Ok(true),
                Err(rustix::io::Errno::CHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Signals everybody once.
    fn signal(&self, signal: Signal) {
        // A failure means that the receiver has just ended, which is what the next reaping finds.
        if self.end.is_none() {
            let _ended = rustix::process::kill_process_group(self.leader, signal);
        }
        for process in descendants(rustix::process::getpid()) {
            let has_it = self.end.is_none() && rustix::process::getpgid(Some(process)) == Ok(self.leader);
            if !has_it {
                let _ended = rustix::process::kill_process(process, signal);
            }
        }
    }
}

fn end_of(status: WaitStatus) -> Option<End> {
    status.exit_status().map(End::Exited).or(status.terminating_signal().map(End::Signaled))
}

fn start(spec: &Spec) -> io::Result<(Pid, Vec<Output>)> {
    let mut command = match &spec.program {
        Program::Shell(line) => {
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(line);
            command
        }
        Program::Args(args) => {
            let (program, args) = args.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
            let mut command = Command::new(program);
            command.args(args);
            command
        }
    };
    command.env_clear().envs(&spec.env).current_dir(&spec.dir).process_group(0);
    let stdout = spec.stdout.as_deref().map(Output::open).transpose()?;
    let stderr = spec.stderr.as_deref().map(Output::open).transpose()?;
    let written_to = |output: &Option<Output>| output.as_ref().map_or_else(|| Ok(Stdio::null()), Output::stdio);
    command.stdin(Stdio::null()).stdout(written_to(&stdout)?).stderr(written_to(&stderr)?);
    if let Some(user) = spec.user {
        command.uid(user.uid).gid(user.gid);
    }
    if let Some(limit) = spec.open_files {
        open_files::restore(limit)?;
    }
    // Reaped by `Family::reap`, together with those that are adopted.
    let leader = command.spawn().map(|child| Pid::from_child(&child))?;
    Ok((leader, stdout.into_iter().chain(stderr).collect()))
}

fn report(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}
