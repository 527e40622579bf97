//! `GET /v1/tasks/{task}/files/{stdout|stderr}?offset=&limit=`: a piece of what a task wrote.
//!
//! Only these two names exist, so no path leads out of a sandbox; and a piece is bounded, so that a log of any size
//! can be read. A negative offset counts from the end. The answer says where its piece begins and how long the file
//! is, so that a reader can go on from there.

use std::io::SeekFrom;
use std::path::Path;

use ekiden_model::TaskId;
use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::reply::{self, Response};
use super::{Api, Request};

/// Most bytes in one answer.
const PIECE_MAX_BYTES: u64 = 1 << 20;

/// A piece of a file, and where it is.
struct Piece {
    bytes: Vec<u8>,
    offset: u64,
    size: u64,
}

/// Reads a piece.
pub(super) async fn read(api: &Api, task: &str, file: &str, request: &Request) -> Response {
    if !matches!(file, "stdout" | "stderr") {
        return reply::not_found("a task has the files `stdout` and `stderr`");
    }
    let numbers = (number(request, "offset"), number(request, "limit"));
    let (Ok(offset), Ok(limit)) = numbers else {
        return reply::message(StatusCode::BAD_REQUEST, "`offset` and `limit` are whole numbers");
    };
    let limit = limit.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(PIECE_MAX_BYTES).min(PIECE_MAX_BYTES);
    let Some(sandbox) = (api.sandboxes)(&TaskId::new(task)) else {
        return reply::not_found(&format!("task {task} is not known, or its sandbox is gone"));
    };
    match piece(&sandbox.join(file), offset.unwrap_or(0), limit).await {
        Ok(piece) => shown(piece),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            reply::not_found(&format!("task {task} has no {file} yet"))
        }
        Err(error) => {
            let text = format!("{file} of task {task} cannot be read: {error}");
            reply::message(StatusCode::INTERNAL_SERVER_ERROR, &text)
        }
    }
}

fn number(request: &Request, name: &str) -> Result<Option<i64>, std::num::ParseIntError> {
    request.one(name).map(str::parse).transpose()
}

async fn piece(path: &Path, offset: i64, limit: u64) -> std::io::Result<Piece> {
    let mut file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let offset = match u64::try_from(offset) {
        Ok(offset) => offset.min(size),
        Err(_) => size.saturating_sub(offset.unsigned_abs()),
    };
    file.seek(SeekFrom::Start(offset)).await?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).await?;
    Ok(Piece { bytes, offset, size })
}

fn shown(piece: Piece) -> Response {
    let mut response = reply::with_body(StatusCode::OK, "text/plain; charset=utf-8", piece.bytes);
    response.headers_mut().insert("x-ekiden-offset", HeaderValue::from(piece.offset));
    response.headers_mut().insert("x-ekiden-size", HeaderValue::from(piece.size));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_is_cut_out_from_either_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stdout");
        std::fs::write(&path, "0123456789").expect("written");
        for (offset, limit, expected, at) in
            [(0, 4, "0123", 0), (8, 4, "89", 8), (-3, 2, "78", 7), (-99, 2, "01", 0), (99, 2, "", 10)]
        {
            let piece = piece(&path, offset, limit).await.expect("readable");
            assert_eq!((piece.bytes.as_slice(), piece.offset, piece.size), (expected.as_bytes(), at, 10));
        }
    }
}
