//! A client of HTTP as plain as can be, and how long tests wait.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Whatever is waited for takes a second or two; a loaded machine may take its time, a broken build forever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long an answer may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks for what is at a path.
pub(crate) async fn get(address: &str, path: &str, accept: &str) -> std::io::Result<Answer> {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    send(address, &request).await
}

/// One request on one connection. Whoever does not answer at all is not waited for.
pub(crate) async fn send(address: &str, request: &str) -> std::io::Result<Answer> {
    tokio::time::timeout(ANSWERS_WITHIN, exchange(address, request)).await?
}

async fn exchange(address: &str, request: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// Waits until `look` finds what it looks for. If it never does, the test fails with what `state` says there is instead.
pub(crate) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
    state: impl AsyncFnOnce() -> String,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}\n{}", state().await);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// These tasks, if they are so many, and none is on its way up or down.
pub(crate) fn all_run(tasks: Vec<Value>, count: usize) -> Option<Vec<Value>> {
    let all_run = tasks.iter().all(|task| task["state"] == "TASK_RUNNING");
    (tasks.len() == count && all_run).then_some(tasks)
}

/// Writes a file, and makes the folders it is in.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}
