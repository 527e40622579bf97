//! The `ekiden` binary: the command line, or, in a hidden mode, the supervisor beside one task.

use std::process::ExitCode;

use ekiden::cluster::local::{SUPERVISE, supervise_main};
use mimalloc::MiMalloc;

/// Small values live and die on different threads here (the loop makes what the API's threads let go), and by the million
/// after a restart: glibc's allocator takes locks and consolidates for that, which readers notice.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|mode| mode == SUPERVISE) {
        return supervise_main();
    }
    ekiden::cli::run(std::env::args_os())
}
