//! Commands of the binary, run against a running ekiden.

use std::process::Output;

use tokio::process::Command;

use crate::ekiden::Ekiden;

impl Ekiden {
    /// Runs another command of the binary against this server.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("EKIDEN_SERVER", &self.server)
            .output()
            .await
            .expect("the binary starts")
    }
}
