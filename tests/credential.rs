//! `ekiden credential` on a terminal: what is typed there is not shown, and the terminal is left as it was.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::os::fd::OwnedFd;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, SpecialCodeIndex, Termios, tcgetattr};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// A loaded machine may take its time, a broken build forever.
const PATIENCE: Duration = Duration::from_secs(60);

/// `ekiden credential`, whose stdin is a terminal.
struct Asked {
    process: Child,
    /// Where a person would sit.
    keyboard: OwnedFd,
    terminal: OwnedFd,
    before: Termios,
}

impl Asked {
    fn start() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("ours");
        let terminal =
            ioctl_tiocgptpeer(&keyboard, OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("its other end");
        let before = tcgetattr(&terminal).expect("a terminal");
        let stdin = terminal.try_clone().expect("another handle");
        let process = Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(["credential", "ann", "--scope", "read"])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        Self { process, keyboard, terminal, before }
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.terminal).expect("a terminal")
    }

    /// Waits until it asks: what is typed from then on counts, and is not shown.
    async fn asks(&mut self, question: &str) {
        let stderr = self.process.stderr.as_mut().expect("piped");
        let mut said = String::new();
        while !said.ends_with(question) {
            let byte = tokio::time::timeout(PATIENCE, stderr.read_u8()).await;
            said.push(byte.unwrap_or_else(|_| panic!("it says: {said}")).expect("it runs").into());
        }
        assert!(!self.modes().local_modes.contains(LocalModes::ECHO));
    }

    fn types(&self, text: &str) {
        let written = rustix::io::write(&self.keyboard, text.as_bytes()).expect("somebody reads");
        assert_eq!(written, text.len());
    }

    /// How it ends, and that the terminal is as it was.
    async fn ended(self) -> Output {
        let Self { process, terminal, before, keyboard: _keyboard } = self;
        let output = tokio::time::timeout(PATIENCE, process.wait_with_output()).await;
        let output = output.expect("in time").expect("it has ended");
        let after = tcgetattr(&terminal).expect("a terminal");
        assert_eq!(after.local_modes, before.local_modes);
        for key in [SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP, SpecialCodeIndex::VINTR] {
            assert_eq!(after.special_codes[key], before.special_codes[key], "{key:?}");
        }
        output
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Types a password, and then another or the same.
async fn typed(first: &str, second: &str) -> Output {
    let mut asked = Asked::start();
    for (question, answer) in [("password: ", first), ("again: ", second)] {
        asked.asks(question).await;
        asked.types(&format!("{answer}\n"));
    }
    asked.ended().await
}

#[tokio::test]
async fn a_password_is_typed_twice_and_not_shown() {
    let output = typed("hush", "hush").await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("ann"), "{}", text(&output.stdout));
}

#[tokio::test]
async fn two_passwords_that_differ_are_refused() {
    let output = typed("hush", "hash").await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{}", text(&output.stderr));
}

#[tokio::test]
async fn a_signal_while_it_asks_leaves_the_terminal_as_it_was() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut asked = Asked::start();
        asked.asks("password: ").await;
        asked.types("hu");
        let own = asked.process.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
        kill_process(own, signal).expect("ours");
        let output = asked.ended().await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{signal:?}");
        assert!(text(&output.stderr).contains("ended by SIG"), "{}", text(&output.stderr));
    }
}
