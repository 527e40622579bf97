//! A line that is typed and not shown.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

/// What makes a key of the terminal's do nothing.
const NO_KEY: u8 = 0;

/// While it lives, the terminal at stdin does not show what is typed; after it, it is as it was.
pub(super) struct Hidden(Termios);

impl Hidden {
    /// From now on; what was typed before is forgotten.
    pub(super) fn line() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
        // These keys' signals would end or stop us without a word, and leave a terminal that shows nothing.
        for key in [SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP] {
            hidden.special_codes[key] = NO_KEY;
        }
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }

    /// Waits for the line; without its end.
    pub(super) async fn typed(self) -> io::Result<String> {
        let (read, line) = oneshot::channel();
        // A thread that nobody waits for: nothing ends its read of the terminal but a line, or the process' end.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = read.send(io::stdin().read_line(&mut line).map(|_| line));
        });
        let line = line.await.map_err(io::Error::other)??;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nobody is left to be told; `reset` mends a terminal that stays mute.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
