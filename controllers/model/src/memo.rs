//! What was worked out once and can be worked out again: a cache inside a value that is otherwise plain data.
//!
//! A memo never changes what a value means. It is not part of its equality, a clone starts without it, and dropping
//! it at any moment changes no decision, only how long the next one takes. Whoever mutates the value keeps the memo
//! right or clears it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value worked out on demand behind a shared reference.
#[derive(Default)]
pub struct Memo<T>(Mutex<T>);

impl<T> Memo<T> {
    /// The memo, to be looked up or added to.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // What a panicking thread left behind is still only a cache of a pure function's values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memo, to be kept right while its owner changes.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Clone for Memo<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> PartialEq for Memo<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Memo<T> {}

impl<T> fmt::Debug for Memo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}
