//! The `ekiden` binary: the command line, or, in a hidden mode, the supervisor beside one task.

use std::process::ExitCode;

use ekiden::cluster::local::{SUPERVISE, supervise_main};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|mode| mode == SUPERVISE) {
        return supervise_main();
    }
    ekiden::cli::run(std::env::args_os())
}
