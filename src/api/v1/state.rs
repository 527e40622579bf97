//! `GET /v1/state`: all that is stored, as `ekiden state export` writes it.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use warp::Reply;

use crate::api::{Api, Response, reply};
use crate::store::ExportError;

/// Pieces that wait for the client.
const PIECES: usize = 16;

/// A client that takes nothing for so long is gone. While it is there, the store keeps what it replaces.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// What is stored at this moment. An answer that fails half-way ends without the last line, which says so.
pub(in crate::api) fn export(api: &Api) -> Response {
    let Some(export) = api.export.clone() else {
        return reply::not_found("nothing is kept beyond this process: ekiden was started without --state");
    };
    let (pieces, body) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES);
    let client = Client { pieces, runtime: Handle::current() };
    tokio::task::spawn_blocking(move || match export.write(client) {
        Ok(()) => {}
        Err(ExportError::Write(cause)) => tracing::debug!(%cause, "the client of an export went away"),
        Err(error) => tracing::error!(cause = %error, "an export of the state has failed"),
    });
    let mut response = warp::reply::stream(ReceiverStream::new(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    response
}

/// The way to a client, for a thread that may wait.
struct Client {
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    runtime: Handle,
}

impl Write for Client {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let sent = self.pieces.send_timeout(Ok(Bytes::copy_from_slice(data)), TAKEN_WITHIN);
        match self.runtime.block_on(sent) {
            Ok(()) => Ok(data.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
