//! Whose fault an error is: the instance's, which counts, or the checker's, which does not.

use std::fmt;
use std::io;
use std::sync::Arc;

use ekiden_model::health::Outcome;
use rustix::io::Errno;

/// Longest text of a cause, in characters: it is stored with the instance and shown in a line.
const TEXT_MAX: usize = 160;

/// What it means that a connection could not be opened.
pub(super) fn connecting(error: &io::Error) -> Outcome {
    let checkers = match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => {
            "the checker is out of file descriptors: raise its limit (`ulimit -n`)"
        }
        Some(Errno::ADDRNOTAVAIL) => {
            "the checker is out of local ports: widen `net.ipv4.ip_local_port_range`, or probe less often"
        }
        Some(Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN) => "the checker is out of memory for connections",
        Some(Errno::NETUNREACH | Errno::NETDOWN) => "the checker has no route to the host",
        Some(Errno::ACCESS | Errno::PERM) => "the checker's own firewall forbids the connection",
        Some(Errno::CONNREFUSED) => return Outcome::Failure("connection refused".into()),
        _ => return Outcome::Failure(text(format_args!("cannot connect: {error}"))),
    };
    Outcome::NoResult(checkers.into())
}

/// A text for people, no longer than a line: what comes from the other side may be of any length.
pub(super) fn text(text: fmt::Arguments<'_>) -> Arc<str> {
    let text = text.to_string();
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_checker_lacks_is_not_held_against_the_instance() {
        let ours = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NETUNREACH];
        for errno in ours {
            assert!(matches!(connecting(&errno.into()), Outcome::NoResult(_)), "{errno}");
        }
        for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            assert!(matches!(connecting(&errno.into()), Outcome::Failure(_)), "{errno}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let long = "ß".repeat(TEXT_MAX + 1);
        assert_eq!(text(format_args!("{long}")).chars().count(), TEXT_MAX + 1);
        assert!(text(format_args!("{long}")).ends_with('…'));
        assert_eq!(&*text(format_args!("short")), "short");
    }
}
