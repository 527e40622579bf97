//! The latest events, kept so that a listener who was cut off can go on where it stopped.
//!
//! It owns the numbering of events and nothing of their meaning: how an event looks to a client is the API's work, done
//! once per event and kept beside it for all.
//!
//! A listener has a place in the log and no queue, so a thousand of them cost a thousand numbers. What happens within one
//! [`BEAT`] is read as one batch: the first event after a pause goes out at once, and under load all listeners read the
//! same batches, which are put into one piece of text once.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ekiden_model::app::App;
use ekiden_model::event::Event;
use ekiden_model::id::AppKey;
use ekiden_model::{FrameworkId, GroupId, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// How many events are kept: several minutes of a large cluster's busy times, some 10 MB.
pub const EVENTS_KEPT: usize = 10_000;

/// Most bytes of text that are kept with them. Where plans of thousands of apps make more, fewer events are kept.
pub const EVENTS_MAX_BYTES: usize = 64 << 20;

/// How far a listener may fall behind before it is cut off. (Marathon's 1024, §1.9, is half a second of the load that
/// this is built for.) It is less than what is kept: a listener that was cut off can come back and resume.
pub const LISTENER_BACKLOG: u64 = 4096;

/// What happens within this is told together.
pub const BEAT: Duration = Duration::from_millis(40);

/// Most events in one batch.
const BATCH: u64 = 512;

/// How many batches are kept as text: those of listeners with different filters, and of some that lag.
const TEXTS_KEPT: usize = 8;

/// An event's number. Those of one process count up; `boot` tells processes apart, so that a number of an earlier
/// process is never taken for one of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// When the process started, in milliseconds.
    pub boot: u64,
    /// 1, 2, 3, …
    pub number: u64,
}

/// How far a listener has come: an event, or some of the frames of the one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// This event and all before it have been read.
    pub event: EventId,
    /// And so many frames of the next one.
    pub frames: usize,
}

/// The text is no event's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event's id looks like `1795168800000-42`")]
pub struct PositionError;

/// What listeners are told of.
#[derive(Debug, Clone, PartialEq)]
pub enum Occurrence {
    /// A fact, and the key of the app it is about, for as long as there was one: what its instance ids are made of.
    Fact(Event, Option<AppKey>),
    /// One app was written through the API (`api_post_event`).
    AppPosted {
        /// The client's address.
        client: Arc<str>,
        /// What was asked for.
        uri: Arc<str>,
        /// The app as it is declared now.
        app: Arc<App>,
        /// Its version, where the write has given it one.
        version: Option<Timestamp>,
    },
    /// A pod was written through the API (`pod_created_event`, `pod_updated_event`, `pod_deleted_event`).
    PodPosted {
        /// What was done.
        change: PodChange,
        /// The client's address.
        client: Arc<str>,
        /// What was asked for.
        uri: Arc<str>,
    },
    /// A change set was refused (`group_change_failed`).
    GroupChangeFailed {
        /// The group that holds all that it was about.
        group: GroupId,
        /// Why.
        reason: Arc<str>,
    },
    /// The cluster knows us for the first time (`scheduler_registered_event`).
    Registered {
        /// As this framework.
        framework: Option<FrameworkId>,
        /// Its master.
        master: Option<Arc<str>>,
    },
    /// We are connected again (`scheduler_reregistered_event`).
    Reregistered {
        /// With this master.
        master: Option<Arc<str>>,
    },
    /// The connection is lost (`scheduler_disconnected_event`).
    Disconnected,
    /// Somebody listens to events (`event_stream_attached`).
    Attached {
        /// From where.
        remote: Arc<str>,
    },
    /// And does so no more (`event_stream_detached`).
    Detached {
        /// From where.
        remote: Arc<str>,
    },
    /// Events are sent to an address, too (`subscribe_event`).
    Subscribed {
        /// Who wants it so.
        client: Arc<str>,
        /// The address.
        callback: Arc<str>,
    },
    /// And no more (`unsubscribe_event`).
    Unsubscribed {
        /// Who wants it so.
        client: Arc<str>,
        /// The address.
        callback: Arc<str>,
    },
}

/// What was done to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodChange {
    /// It is new.
    Created,
    /// It is another.
    Updated,
    /// It is gone.
    Deleted,
}

/// One event in the log.
#[derive(Debug)]
pub struct Logged {
    /// Its number.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub what: Occurrence,
    frames: OnceLock<Box<[Frame]>>,
    /// The bytes of all frames there are, of this log.
    held: Arc<AtomicUsize>,
}

/// An event as clients get it: several frames for one event of ours, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Of which type it is, as one bit.
    pub kind: u32,
    /// The frame.
    pub text: Bytes,
    /// Where in `text` the event itself is.
    pub data: Range<usize>,
    /// The frame for those who want plans without what they can do without; the same, where there is nothing of it.
    pub light: Option<Bytes>,
}

/// Which frames a listener wants, in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The types, as bits.
    pub kinds: u32,
    /// The light form.
    pub light: bool,
}

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub struct EventLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    boot: u64,
    ring: Mutex<Ring>,
    texts: Mutex<VecDeque<(Batch, Wanted, Bytes)>>,
    held: Arc<AtomicUsize>,
    /// The number of the last event.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    kept: VecDeque<Arc<Logged>>,
    /// Up to which event listeners may read.
    told: u64,
    /// Until when the next batch is open for more.
    open_until: Option<Instant>,
}

impl Ring {
    /// The number of the oldest event that is kept; of the next one, if none is.
    fn first(&self) -> u64 {
        self.last + 1 - self.kept.len() as u64
    }

    fn tell(&mut self, now: Instant) {
        if self.told < self.last && self.open_until.is_none_or(|until| until <= now) {
            self.told = self.last;
            self.open_until = Some(now + BEAT);
        }
    }
}

/// Events that follow each other, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// After this one.
    pub after: u64,
    /// Up to this one.
    pub to: u64,
}

/// A listener's place in the log.
#[derive(Debug)]
pub struct Subscription {
    log: EventLog,
    news: watch::Receiver<u64>,
    after: u64,
    /// How far behind it may be: far, as long as it catches up with what it has missed.
    allowed: u64,
    /// Whether events between the one it named and the first that it gets are no longer kept.
    pub gap: bool,
    /// How many frames of the first event that it gets it has already.
    pub has_frames: usize,
}

/// The listener is too slow: it may come back, and resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were not read in time")]
pub struct TooSlow(pub u64);

impl EventLog {
    /// An empty log of a process that started at `boot`.
    pub fn new(boot: Timestamp) -> Self {
        let boot = u64::try_from(boot.as_millis()).unwrap_or(0);
        let (news, _) = watch::channel(0);
        let held = Arc::default();
        Self(Arc::new(Shared { boot, ring: Mutex::default(), texts: Mutex::default(), held, news }))
    }

    /// Adds a fact and tells the listeners.
    pub fn push(&self, at: Timestamp, event: Event, key: Option<AppKey>) {
        self.say(at, Occurrence::Fact(event, key));
    }

    /// Adds an event and tells the listeners.
    pub fn say(&self, at: Timestamp, what: Occurrence) -> EventId {
        let mut ring = self.ring();
        ring.last += 1;
        let id = EventId { boot: self.0.boot, number: ring.last };
        let (frames, held) = (OnceLock::new(), Arc::clone(&self.0.held));
        ring.kept.push_back(Arc::new(Logged { id, at, what, frames, held }));
        while ring.kept.len() > EVENTS_KEPT
            || (ring.kept.len() > 1 && self.0.held.load(Ordering::Relaxed) > EVENTS_MAX_BYTES)
        {
            ring.kept.pop_front();
        }
        // Under the lock, so that numbers are told in their order.
        self.0.news.send_replace(id.number);
        id
    }

    /// Listens from now on; after `position`, where one is given.
    pub fn subscribe(&self, position: Option<Position>) -> Subscription {
        let ring = self.ring();
        let news = self.0.news.subscribe();
        let (oldest, last) = (ring.first() - 1, ring.last);
        let (after, gap, has_frames) = match position {
            None => (last, false, 0),
            Some(at) if at.event.boot != self.0.boot || at.event.number > last => (oldest, true, 0),
            Some(at) if at.event.number < oldest => (oldest, true, 0),
            Some(at) => (at.event.number, false, at.frames),
        };
        let allowed = last - after + LISTENER_BACKLOG;
        Subscription { log: self.clone(), news, after, allowed, gap, has_frames }
    }

    /// The number of the latest event.
    pub fn latest(&self) -> EventId {
        EventId { boot: self.0.boot, number: self.ring().last }
    }

    /// The events of a batch, as far as they are still kept.
    pub fn events(&self, batch: Batch) -> Vec<Arc<Logged>> {
        let ring = self.ring();
        let first = ring.first();
        let skip = (batch.after + 1).saturating_sub(first) as usize;
        let count = (batch.to + 1).saturating_sub(first.max(batch.after + 1)) as usize;
        ring.kept.iter().skip(skip).take(count).cloned().collect()
    }

    /// The text of a batch for all who want the same of it, put together by `text` for the first of them.
    pub fn text(&self, batch: Batch, wanted: Wanted, text: impl FnOnce(&[Arc<Logged>]) -> Bytes) -> Bytes {
        // Held meanwhile: the others wait for the text instead of making it, too.
        let mut texts = self.0.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, text)) = texts.iter().find(|(of, form, _)| *of == batch && *form == wanted) {
            return text.clone();
        }
        let text = text(&self.events(batch));
        if texts.len() == TEXTS_KEPT {
            texts.pop_back();
        }
        texts.push_front((batch, wanted, text.clone()));
        text
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next batch, once there is one. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Result<Batch, TooSlow> {
        loop {
            // Before the look: what comes after it wakes us.
            self.news.mark_unchanged();
            match self.look()? {
                Look::Batch(batch) => {
                    self.after = batch.to;
                    return Ok(batch);
                }
                Look::Later(at) => tokio::time::sleep_until(at).await,
                // The log lives for as long as we do, since we hold it.
                Look::Nothing => _ = self.news.changed().await,
            }
        }
    }

    fn look(&mut self) -> Result<Look, TooSlow> {
        let mut ring = self.log.ring();
        ring.tell(Instant::now());
        let behind = ring.last - self.after;
        if behind > self.allowed || self.after + 1 < ring.first() {
            return Err(TooSlow(behind));
        }
        self.allowed = self.allowed.min(behind + LISTENER_BACKLOG);
        Ok(if self.after < ring.told {
            Look::Batch(Batch { after: self.after, to: ring.told.min(self.after + BATCH) })
        } else {
            let open_until = ring.open_until.filter(|_| behind > 0);
            open_until.map_or(Look::Nothing, Look::Later)
        })
    }
}

/// What a listener finds.
enum Look {
    Batch(Batch),
    /// Something, which is told then.
    Later(Instant),
    Nothing,
}

impl Logged {
    /// Its frames, made by `render` for whoever asks first.
    pub fn frames(&self, render: impl FnOnce(&Self) -> Vec<Frame>) -> &[Frame] {
        self.frames.get_or_init(|| {
            let frames: Box<[Frame]> = render(self).into();
            self.held.fetch_add(size(&frames), Ordering::Relaxed);
            frames
        })
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        if let Some(frames) = self.frames.get() {
            self.held.fetch_sub(size(frames), Ordering::Relaxed);
        }
    }
}

fn size(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.text.len() + frame.light.as_ref().map_or(0, Bytes::len)).sum()
}

impl Frame {
    /// The frame as a listener wants it, if it wants it.
    pub fn wanted(&self, wanted: Wanted) -> Option<&Bytes> {
        let form = if wanted.light { self.light.as_ref().unwrap_or(&self.text) } else { &self.text };
        (self.kind & wanted.kinds != 0).then_some(form)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.number)
    }
}

impl fmt::Display for Position {
    /// `7-3` after an event, `7-3.1` after the first frame of the next one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.frames {
            0 => self.event.fmt(f),
            frames => write!(f, "{}.{frames}", self.event),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (boot, rest) = text.trim().split_once('-').ok_or(PositionError)?;
        let (number, frames) = rest.split_once('.').unwrap_or((rest, "0"));
        let event = EventId {
            boot: boot.parse().map_err(|_| PositionError)?,
            number: number.parse().map_err(|_| PositionError)?,
        };
        Ok(Self { event, frames: frames.parse().map_err(|_| PositionError)? })
    }
}

#[cfg(test)]
mod tests {
    use ekiden_model::AppId;

    use super::*;

    fn push(log: &EventLog) {
        let app = AppId::parse("/web").expect("a good id");
        log.push(Timestamp::EPOCH, Event::AppTerminated { app }, None);
    }

    fn log_of(count: u64) -> EventLog {
        let log = EventLog::new(Timestamp::from_millis(7));
        (0..count).for_each(|_| push(&log));
        log
    }

    fn after(boot: u64, number: u64) -> Position {
        Position { event: EventId { boot, number }, frames: 0 }
    }

    /// All that is there to be read now.
    async fn numbers(subscription: &mut Subscription) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Ok(Ok(batch)) = tokio::time::timeout(Duration::from_secs(1), subscription.next()).await {
            numbers.extend(subscription.log.events(batch).iter().map(|logged| logged.id.number));
        }
        numbers
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_goes_on_where_it_stopped() {
        let log = log_of(5);
        let mut resumed = log.subscribe(Some("7-3".parse().expect("an id")));
        assert_eq!((numbers(&mut resumed).await, resumed.gap, resumed.has_frames), (vec![4, 5], false, 0));
        let within = log.subscribe(Some("7-3.1".parse().expect("an id")));
        assert_eq!((within.gap, within.has_frames), (false, 1));
        let mut new = log.subscribe(None);
        assert_eq!(numbers(&mut new).await, Vec::<u64>::new());
        push(&log);
        assert_eq!((numbers(&mut new).await, numbers(&mut resumed).await), (vec![6], vec![6]));
        for wrong in ["seven", "7", "7-", "7-3.x"] {
            assert_eq!(wrong.parse::<Position>(), Err(PositionError), "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_longer_kept_or_of_another_process_is_told_as_a_gap() {
        let log = log_of(EVENTS_KEPT as u64 + 10);
        let mut early = log.subscribe(Some(after(7, 5)));
        assert!(early.gap);
        assert_eq!(numbers(&mut early).await.len(), EVENTS_KEPT);
        assert!(!log.subscribe(Some(after(7, 10))).gap);
        for foreign in [after(6, 3), after(7, 99_999)] {
            let mut foreign = log.subscribe(Some(foreign));
            assert!(foreign.gap && numbers(&mut foreign).await.len() == EVENTS_KEPT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_is_too_slow_is_cut_off_and_one_that_catches_up_is_not() {
        let log = log_of(LISTENER_BACKLOG * 2);
        let mut slow = log.subscribe(None);
        let mut resumes = log.subscribe(Some(after(7, 0)));
        (0..=LISTENER_BACKLOG).for_each(|_| push(&log));
        assert_eq!(slow.next().await, Err(TooSlow(LISTENER_BACKLOG + 1)));
        let first = resumes.next().await;
        assert!(first.is_err(), "more than it may be behind has come meanwhile: {first:?}");
        let mut resumes = log.subscribe(Some(after(7, 0)));
        assert!(resumes.next().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_event_comes_at_once_and_those_of_a_beat_together() {
        let log = log_of(0);
        let mut listener = log.subscribe(None);
        let began = Instant::now();
        push(&log);
        assert_eq!(listener.next().await, Ok(Batch { after: 0, to: 1 }));
        assert_eq!(began.elapsed(), Duration::ZERO);
        push(&log);
        push(&log);
        assert_eq!(listener.next().await, Ok(Batch { after: 1, to: 3 }));
        assert!(began.elapsed() >= BEAT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_put_together_once_for_all_who_want_the_same() {
        let log = log_of(3);
        let (batch, all) = (Batch { after: 0, to: 3 }, Wanted { kinds: u32::MAX, light: false });
        let text = |logged: &[Arc<Logged>]| Bytes::from(logged.len().to_string());
        assert_eq!(log.text(batch, all, text), "3");
        assert_eq!(log.text(batch, all, |_| Bytes::from_static(b"again")), "3");
        assert_eq!(log.text(batch, Wanted { light: true, ..all }, |_| Bytes::from_static(b"light")), "light");
    }

    #[test]
    fn what_is_kept_is_bounded_by_its_bytes_too() {
        let log = log_of(3);
        let large = Bytes::from(vec![b' '; EVENTS_MAX_BYTES / 2]);
        let frame = Frame { kind: 1, text: large, data: 0..0, light: None };
        for logged in log.events(Batch { after: 0, to: 3 }) {
            logged.frames(|_| vec![frame.clone()]);
        }
        push(&log);
        assert_eq!(log.ring().first(), 2, "one had to go");
        drop(log);
    }
}
