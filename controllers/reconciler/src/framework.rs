//! As whom the cluster knows us: which framework we become, and when we become none.
//!
//! Whoever subscribes as a new framework is a stranger to the tasks of the old one: it would launch everything a second
//! time. So the name under which our tasks run is durable, and a store without one asks what runs before it takes one.
//!
//! ```text
//!  a name on record ────────────────────────────────────────► subscribe as that
//!  none ─► survey ─► nothing runs ──────────────────────────► subscribe as new
//!                 ─► only what is on record runs ───────────► subscribe as the framework found
//!                 ─► anything else, or somebody is connected ► safe mode, until an operator says whose it is
//! ```
//!
//! A connection that is lost before the name is told may have made one: then it is asked again what there is.

use std::time::Duration;

use ekiden_model::input::Found;
use ekiden_model::{Effect, FrameworkId, Timestamp};

use crate::Reconciler;
use crate::cluster::Connection;
use crate::identity::Identity;
use crate::safe_mode::SafeMode;

/// How long an answer to a survey is waited for before it is asked again.
pub(crate) const SURVEY_AGAIN: Duration = Duration::from_secs(60);

/// How far we have come with becoming a framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Membership {
    /// We have not begun.
    None,
    /// We have asked what the cluster runs for us.
    Surveying {
        /// When to ask again.
        again: Timestamp,
    },
    /// We have said who we are.
    Subscribed,
    /// The cluster took us for somebody else. We have said again who we are.
    Estranged {
        /// For whom.
        taken_for: FrameworkId,
    },
}

impl Reconciler {
    /// The first thing that is done, and what is done again when nobody answers.
    pub(crate) fn join_when_due(&mut self) {
        match &self.membership {
            Membership::None => match self.installation.framework.clone() {
                Some(framework) => self.subscribe(Some(framework)),
                None => self.survey(),
            },
            Membership::Surveying { again } if *again <= self.now && self.safe_mode.is_none() => self.survey(),
            _ => {}
        }
        self.survey_in_safe_mode_when_due();
    }

    fn survey(&mut self) {
        self.membership = Membership::Surveying { again: self.now + SURVEY_AGAIN };
        self.push_survey();
    }

    /// Asks who there is, but for the one that is somebody else's.
    pub(crate) fn push_survey(&mut self) {
        self.journal.push(Effect::Survey { except: self.installation.disowned_framework.clone() });
    }

    /// Leaves after everything that was written so far, as every effect does.
    pub(crate) fn subscribe(&mut self, framework: Option<FrameworkId>) {
        self.membership = Membership::Subscribed;
        self.journal.push(Effect::Subscribe(framework));
    }

    /// When something is to be asked again.
    pub(crate) fn membership_wake(&self) -> Option<Timestamp> {
        let survey = match &self.membership {
            Membership::Surveying { again } if self.safe_mode.is_none() => Some(*again),
            _ => None,
        };
        survey.into_iter().chain(self.safe_mode.as_ref().and_then(SafeMode::survey_at)).min()
    }

    /// Whether what the cluster says at present is said to us.
    pub(crate) fn is_member(&self) -> bool {
        self.membership == Membership::Subscribed
    }

    /// A connection without a word about who we are: this cluster has no memory, so there is nothing to find in it.
    pub(crate) fn connected_unasked(&mut self) {
        if matches!(self.membership, Membership::None | Membership::Surveying { .. }) && self.safe_mode.is_none() {
            self.membership = Membership::Subscribed;
        }
    }

    /// The cluster says who we are. That it is somebody else than we said must not happen: what it told from now on would
    /// be about another's tasks, and it would call all of ours unknown. We take nothing from it and say again who we are.
    pub(crate) fn fold_registered(&mut self, framework: FrameworkId) {
        match &self.installation.framework {
            None if !self.is_member() => {}
            None => {
                self.installation.framework = Some(framework);
                self.journal.note_installation();
            }
            Some(ours) if *ours == framework => {
                if matches!(self.membership, Membership::Estranged { .. }) {
                    self.membership = Membership::Subscribed;
                    self.touch_all();
                }
            }
            Some(ours) => {
                let ours = ours.clone();
                self.lose_connection();
                self.journal.push(Effect::Subscribe(Some(ours)));
                self.membership = Membership::Estranged { taken_for: framework };
                self.touch_all();
            }
        }
    }

    /// The connection is lost, perhaps with the name that the cluster has just given us. To subscribe as new once more
    /// would leave a framework behind that is nobody's.
    pub(crate) fn fold_disconnected(&mut self) {
        self.lose_connection();
        if self.is_member() && self.installation.framework.is_none() {
            self.membership = Membership::None;
        }
    }

    /// There is no connection (any more): offers are void, and nothing is evidence.
    pub(crate) fn lose_connection(&mut self) {
        self.book.clear();
        self.promised.clear();
        self.cluster = Connection::default();
    }

    pub(crate) fn fold_found(&mut self, found: Found) {
        self.outlive_those_beside(&found);
        if self.safe_mode.is_some() {
            self.found_in_safe_mode(found);
        } else if matches!(self.membership, Membership::Surveying { .. }) {
            self.found_before_subscribing(found);
        }
        // Else it is an answer that nobody waits for any more.
    }

    fn found_before_subscribing(&mut self, found: Found) {
        let disowned = self.installation.disowned_framework.as_ref();
        if found.framework.is_some() && found.framework.as_ref() == disowned {
            // An answer of before it was disowned, which says nothing of one that there may be beside it.
            self.survey();
            return;
        }
        let mut tasks = found.tasks.iter().map(|found| self.identify(&found.task));
        let all_on_record = tasks.all(|task| matches!(task, Identity::Known(..) | Identity::Forgotten));
        if all_on_record && found.connected_from.is_none() {
            // Of a framework without tasks, too: should its agents be late to tell of some, they are told to us.
            self.subscribe(found.framework);
        } else {
            self.enter_safe_mode(SafeMode::before_subscribing(found, self.now));
        }
    }
}
