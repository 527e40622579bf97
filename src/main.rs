//! placeholder
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|mode| mode == ekiden::cluster::local::SUPERVISE) {
        return ekiden::cluster::local::supervise_main();
    }
    ExitCode::SUCCESS
}
