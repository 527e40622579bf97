//! From saved file to started process, in `ekiden dev`: how long somebody waits who edits a manifest.
//!
//! `cargo bench --bench edit_to_start`. Each repetition saves a manifest of a new app, as an editor does (beside, then
//! renamed), and waits until the app's process has made a file. The debounce is part of what one waits, and is shown
//! apart: without it an edit would be followed while it is still going on.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ekiden::desired::WatchOptions;

/// Enough for a 99th percentile that is not the slowest one.
const REPETITIONS: usize = 200;

/// What was aimed at, beyond the debounce.
const AIM: Duration = Duration::from_millis(150);

/// How often the file is looked for: the error of the measurement.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// Nothing takes so long, unless it never happens.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let manifests = folder.path().join("manifests");
    std::fs::create_dir(&manifests)?;
    let mut dev = Dev::start(folder.path())?;
    let mut times = Vec::with_capacity(REPETITIONS);
    for repetition in 0..REPETITIONS {
        times.push(save_and_wait(&manifests, folder.path(), repetition)?);
        std::fs::remove_file(manifests.join("app.yaml"))?;
        wait(|| Ok(dev.status(&format!("/v2/apps/app-{repetition}"))? == 404))?;
    }
    dev.process.kill()?;
    dev.process.wait()?;

    times.sort_unstable();
    let debounce = WatchOptions::default().debounce.quiet;
    let mut out = std::io::stdout().lock();
    writeln!(out, "from saved file to started process, {REPETITIONS} times")?;
    for (name, at) in [("p50", REPETITIONS / 2), ("p99", REPETITIONS * 99 / 100 - 1), ("max", REPETITIONS - 1)] {
        let (time, beyond) = (times[at], times[at].saturating_sub(debounce));
        writeln!(out, "  {name}  {time:>9.1?}   beyond the debounce of {debounce:?}: {beyond:>9.1?}")?;
    }
    writeln!(out, "  aim  p99 of at most {AIM:?} beyond the debounce")?;
    Ok(())
}

fn save_and_wait(manifests: &Path, folder: &Path, repetition: usize) -> Result<Duration, Box<dyn Error>> {
    let started = folder.join(format!("started-{repetition}"));
    let text = format!(
        "id: app-{repetition}\ncmd: \": > '{}'; exec sleep 1000\"\ncpus: 0.01\nmem: 1\n",
        started.display()
    );
    let beside = manifests.join("app.tmp");
    std::fs::write(&beside, text)?;
    let saved = Instant::now();
    std::fs::rename(&beside, manifests.join("app.yaml"))?;
    wait(|| Ok(started.exists()))?;
    Ok(saved.elapsed())
}

fn wait(mut done: impl FnMut() -> Result<bool, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while !done()? {
        if began.elapsed() > PATIENCE {
            return Err("it did not happen".into());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(())
}

struct Dev {
    process: Child,
    address: String,
}

impl Dev {
    fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args(["dev", "manifests", "--http", "127.0.0.1:0"])
            .current_dir(folder)
            .env("TMPDIR", folder)
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(process.stderr.take().ok_or("piped")?).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("ekiden ")?.split_once(" at http://")?.1.to_owned()))
            .ok_or("it did not start")?;
        // Whatever else it says is read, or it would wait for us.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, address })
    }

    fn status(&self, path: &str) -> Result<u16, Box<dyn Error>> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.get(9..12).ok_or("no answer")?.parse()?)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It fails for a process that has ended, which is as well.
        let _ = self.process.kill();
    }
}
