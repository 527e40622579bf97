//! Writing through the API of a running ekiden.

use serde_json::Value;

use crate::ekiden::Ekiden;
use crate::ekiden::client::{self, Answer};

impl Ekiden {
    /// Sends JSON, if any.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let (address, length) = (self.address(), body.len());
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{kind}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        client::send(address, &request)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// Sends JSON, if any, and reads the answer as JSON.
    pub(crate) async fn write_json(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, path, &body).await;
        let read = serde_json::from_str(&answer.body).unwrap_or_else(|_| Value::String(answer.body.clone()));
        (answer.status, read)
    }
}
