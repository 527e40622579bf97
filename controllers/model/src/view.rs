//! What a controller sees, and how it answers.

use crate::action::Action;
use crate::agent::Agents;
use crate::app_state::AppState;
use crate::health::{Outcome, ProbeKind};
use crate::id::{AppId, InstanceKey};
use crate::limits::Settings;
use crate::offer::{Lot, OfferBook};
use crate::port::Port;
use crate::report::Report;
use crate::time::Timestamp;

/// Everything a controller may know about one app and its surroundings, at one moment. Level-triggered: it does not
/// say why the controller is asked.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The app.
    pub app: &'a AppState,
    /// How many instances the app shall have: as declared, or the number of matching agents for a global one; 0 when
    /// it is no longer declared.
    pub desired: u32,
    /// The apps it depends on, as far as they are declared.
    pub dependencies: &'a [DependencyState],
    /// Probe results that nobody has judged yet, oldest first.
    pub samples: &'a [Sample],
    /// The offers at hand.
    pub book: &'a OfferBook,
    /// The agents we know.
    pub agents: &'a Agents,
    /// Service ports and their holders.
    pub service_ports: &'a dyn ServicePorts,
    /// How host ports are chosen: `ports` decides, `instances` asks.
    pub host_ports: &'a dyn HostPorts,
    /// What must be known before anything is killed or forgotten.
    pub settled: Settled,
    /// What the cluster cannot run, whatever it offers: the part of this app's template, as a fragment
    /// (`a Docker container`); `None` when it can run it.
    pub unsupported: Option<&'static str>,
    /// Most launches in this decision.
    pub launches: u32,
    /// A number that differs from decision to decision and is the same in a replay: for choosing among equals.
    pub entropy: u64,
    /// The operator's settings.
    pub settings: &'a Settings,
}

/// Whether absence is evidence yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Settled {
    /// All is known: the store is loaded, the directory read in full, and Mesos has answered for every task.
    #[default]
    Yes,
    /// Not yet, with what is missing as a fragment.
    No(&'static str),
    /// Not for this app: the cluster was asked about tasks of it and has not answered.
    Unanswered {
        /// About how many.
        tasks: u32,
        /// Since when it is asked.
        since: Timestamp,
    },
}

/// A dependency, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyState {
    /// Which app.
    pub app: AppId,
    /// Its healthy instances, of any revision.
    pub healthy: u32,
    /// How many it shall have.
    pub wanted: u32,
    /// Whether its dependents may start: it is at its latest revision, with all instances healthy and ready.
    pub satisfied: bool,
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Of which instance.
    pub instance: InstanceKey,
    /// Of which of its checks.
    pub kind: ProbeKind,
    /// When the probe ended.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// The status of an HTTP answer, where there was one.
    pub http_status: Option<u16>,
}

/// Who holds which service port, over all apps.
pub trait ServicePorts {
    /// Who holds `port`.
    fn holder(&self, port: Port) -> Option<&AppId>;

    /// The first port of the range that nobody holds.
    fn first_free(&self, range: std::ops::RangeInclusive<u16>) -> Option<Port>;
}

/// How host ports are chosen within one lot of offers.
pub trait HostPorts {
    /// Chooses the host ports of one instance of `app` in `lot`, in the order of the app's ports; `Err` says what is
    /// missing, as a fragment after "lacks": `port 8080`, `2 ports`.
    ///
    /// `taken` are ports of the lot that are no longer free, because launches of the same decision have them;
    /// `entropy` varies the choice among equals.
    fn choose(
        &self,
        app: &AppState,
        template: &crate::app::Template,
        lot: &Lot,
        taken: &[Port],
        entropy: u64,
    ) -> Result<Vec<Option<Port>>, String>;
}

/// What a controller decides.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a decision that nobody follows changes nothing"]
pub struct Decision {
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
    /// What is waited for.
    pub report: Report,
    /// When to ask again.
    pub again: Again,
}

/// When a controller wants to be asked again, other than after any change of what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Not before something changes.
    OnChange,
    /// At that time, changed or not.
    At(Timestamp),
}

impl Again {
    /// The earlier of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(a), Self::At(b)) => Self::At(a.min(b)),
            (at @ Self::At(_), Self::OnChange) | (Self::OnChange, at) => at,
        }
    }
}

impl Decision {
    /// Nothing to do, nothing to wait for.
    pub const fn idle() -> Self {
        Self { actions: Vec::new(), report: Report::empty(), again: Again::OnChange }
    }

    /// Asks again at `at`, or earlier if that was asked for already.
    pub fn wake(&mut self, at: Timestamp) {
        self.again = self.again.or(Again::At(at));
    }
}
