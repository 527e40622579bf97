//! An answer that goes on: its lines, as they come.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::ekiden::Ekiden;
use crate::ekiden::client::PATIENCE;

/// A stream of lines.
pub(crate) struct Lines {
    /// Status and headers, in lower case.
    pub(crate) head: String,
    reader: BufReader<TcpStream>,
}

impl Lines {
    /// Asks for a stream, with further headers (each with its line break).
    pub(crate) async fn open(ekiden: &Ekiden, path: &str, headers: &str) -> Self {
        let address = ekiden.address();
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut lines = Self { head: String::new(), reader: BufReader::new(stream) };
        loop {
            let line = lines.raw().await.expect("a head");
            if line.is_empty() {
                return lines;
            }
            lines.head.push_str(&line.to_lowercase());
            lines.head.push('\n');
        }
    }

    /// The next line, sizes of chunks left out; nothing when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            let line = self.raw().await?;
            let is_size = !line.is_empty() && line.len() <= 6 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_size {
                return Some(line);
            }
        }
    }

    /// The next line that begins so, without its beginning.
    pub(crate) async fn beginning(&mut self, start: &str) -> String {
        loop {
            let line = self.next().await.unwrap_or_else(|| panic!("the stream ended without `{start}`"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    async fn raw(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.reader.read_line(&mut line)).await;
        let count = read.expect("a line in time").expect("readable");
        (count > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
