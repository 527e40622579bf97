//! Log lines about what goes wrong again and again: once when it begins, once when it changes, now and then while it
//! lasts, and once when it is over. And about many things that go wrong in the same way: one line for some of them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// What lasts is said again after so long.
const AGAIN: Duration = Duration::from_mins(5);

/// One thing that may go wrong many times in a row.
#[derive(Debug)]
pub(super) struct Trouble {
    with: &'static str,
    now: Option<Now>,
}

#[derive(Debug)]
struct Now {
    text: String,
    since: Instant,
    told: Instant,
    times: u64,
}

impl Trouble {
    /// No trouble yet with that.
    pub(super) fn new(with: &'static str) -> Self {
        Self { with, now: None }
    }

    /// It went wrong, like this. Whether that was worth a line is returned.
    pub(super) fn tell(&mut self, text: &str) -> bool {
        let at = Instant::now();
        let now = self.now.get_or_insert_with(|| Now { text: String::new(), since: at, told: at, times: 0 });
        now.times += 1;
        let is_news = now.text != text || at - now.told >= AGAIN;
        if is_news {
            text.clone_into(&mut now.text);
            now.told = at;
            tracing::warn!(times = now.times, "{text}");
        }
        is_news
    }

    /// It goes well.
    pub(super) fn over(&mut self) {
        if let Some(was) = self.now.take() {
            let seconds = was.since.elapsed().as_secs_f64();
            tracing::info!(seconds, times = was.times, "{} is back", self.with);
        }
    }
}

/// Of things of one kind, which may go wrong by the thousand, one in so long a time is told.
const BETWEEN_KINDS: Duration = Duration::from_secs(10);

/// Which kinds of things went wrong lately.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<&'static str, Instant>);

impl Samples {
    /// Something of this kind went wrong: whether it is to be told.
    pub(super) fn is_due(&mut self, kind: &'static str) -> bool {
        let now = Instant::now();
        let is_due = self.0.get(kind).is_none_or(|told| now - *told >= BETWEEN_KINDS);
        if is_due {
            self.0.insert(kind, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_each_kind_one_is_told_in_ten_seconds() {
        let mut samples = Samples::default();
        assert!(samples.is_due("kill"));
        assert!(!samples.is_due("kill"));
        assert!(samples.is_due("accept"));
        tokio::time::advance(BETWEEN_KINDS).await;
        assert!(samples.is_due("kill"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_in_the_same_way_is_told_once_and_again_after_a_long_time() {
        let mut trouble = Trouble::new("the master");
        assert!(trouble.tell("it is away"));
        assert!(!trouble.tell("it is away"));
        assert!(trouble.tell("it is ill"));
        assert!(!trouble.tell("it is ill"));
        tokio::time::advance(AGAIN).await;
        assert!(trouble.tell("it is ill"));
        assert!(!trouble.tell("it is ill"));
        trouble.over();
        assert!(trouble.tell("it is ill"));
    }
}
