//! A fake Mesos to try things against by hand: `cargo run -p ekiden-kit --bin fake_mesos -- 3` has three agents.

use std::io::Write as _;

use ekiden_kit::master::{AgentSpec, FakeMesos, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(1), |count| count.parse())?;
    let agents = (0..count).map(|number| AgentSpec::new(&format!("agent-{number}.test"))).collect();
    let fake = FakeMesos::start(Options { agents, ..Options::default() }).await?;
    writeln!(std::io::stdout(), "{}", fake.address())?;
    std::future::pending().await
}
