//! Waiting for a value that others change.

use tokio::sync::watch;

/// Waits until `pick` finds something in the value, now or later. For ever, when nobody can change it any more.
pub(super) async fn first<T, U>(watched: &mut watch::Receiver<T>, pick: impl Fn(&T) -> Option<U>) -> U {
    loop {
        if let Some(found) = pick(&watched.borrow_and_update()) {
            return found;
        }
        if watched.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
