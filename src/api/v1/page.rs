//! Lists in pages: `?limit=` at most so many, `?after=` behind that one.

use ekiden_model::AppId;
use http::StatusCode;

use crate::api::Request;
use crate::api::reply::{self, Response};

/// What part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// At most so many.
    limit: Option<usize>,
    /// Behind the entry of this name.
    pub(super) after: Option<String>,
}

impl Page {
    /// What a request asks for.
    pub(super) fn of(request: &Request) -> Result<Self, Box<Response>> {
        let limit = match request.one("limit").map(str::parse) {
            None => None,
            Some(Ok(limit)) if limit > 0 => Some(limit),
            Some(_) => {
                let text = "`limit` is how many entries are shown at most: a whole number from 1";
                return Err(Box::new(reply::message(StatusCode::BAD_REQUEST, text)));
            }
        };
        Ok(Self { limit, after: request.one("after").map(str::to_owned) })
    }

    /// The app behind which the page begins.
    pub(super) fn after_app(&self) -> Result<Option<AppId>, Box<Response>> {
        self.after.as_deref().map(AppId::parse).transpose().map_err(|error| {
            let text = format!("`after` is the id that the last page ended with: {error}");
            Box::new(reply::message(StatusCode::BAD_REQUEST, &text))
        })
    }

    /// The page of entries that come behind its beginning; and whether there are more.
    pub(super) fn cut<T>(&self, mut entries: Vec<T>) -> (Vec<T>, bool) {
        let more = self.limit.is_some_and(|limit| entries.len() > limit);
        if let Some(limit) = self.limit {
            entries.truncate(limit);
        }
        (entries, more)
    }
}
