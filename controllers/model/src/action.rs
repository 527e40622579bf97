//! What controllers may say. An action is so specific that carrying it out needs no choice.
//!
//! Each verb belongs to exactly one controller (see the table in `controllers/README.md`); the reconciler refuses,
//! as a bug, an action from another.

use std::time::Duration;

use crate::app_state::Backoff;
use crate::health::Health;
use crate::id::{InstanceKey, OfferId, RevisionId, Role};
use crate::instance::Goal;
use crate::offer::{Claim, LotIx};
use crate::port::Port;
use crate::report::KillCause;
use crate::revision::{Revision, Rollout, Standing};
use crate::time::Timestamp;

/// One thing to be done about one app, or (last group) about the offers of a role.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `ports`: the app's `index`-th port gets this service port.
    Lease {
        /// Which of the app's ports, from 0.
        index: u32,
        /// The service port.
        port: Port,
    },
    /// `ports`: the app's `index`-th port has no service port any more.
    Release {
        /// Which of the app's ports, from 0.
        index: u32,
    },

    /// `health`: this is what is now known of an instance.
    Judge {
        /// Which instance.
        instance: InstanceKey,
        /// All that is known of it.
        health: Health,
    },
    /// `health`: these condemnations are what the breaker remembers.
    Remember {
        /// When instances became condemned, oldest first.
        condemned: Vec<Timestamp>,
    },
    /// `health`: probe this, until told to stop. Replaces the probe of the same instance and kind.
    StartProbe(Box<crate::effect::Probe>),
    /// `health`: do not probe this any more.
    StopProbe {
        /// Which instance.
        instance: InstanceKey,
        /// Which check of it.
        kind: crate::health::ProbeKind,
    },

    /// `upgrade`: the app has a new revision; it becomes the newest.
    OpenRevision(Box<Revision>),
    /// `upgrade`: the app shall have so many instances of this revision.
    SetTarget {
        /// Which revision.
        revision: RevisionId,
        /// How many.
        target: u32,
    },
    /// `upgrade`: this is now known of a revision.
    Stand {
        /// Which revision.
        revision: RevisionId,
        /// What is known of it.
        standing: Standing,
    },
    /// `upgrade`: the passage stands here. Pausing, failing and rolling back are phases of it.
    Pass(Box<Rollout>),
    /// `upgrade`: nothing needs this revision any more.
    DropRevision {
        /// Which revision.
        revision: RevisionId,
    },

    /// `instances`: launch this.
    Launch(Box<Launch>),
    /// `instances`: end this instance. Repeated for one that is being ended already, it sends the kill again.
    Kill {
        /// Which instance.
        instance: InstanceKey,
        /// What is wanted of it now.
        goal: Goal,
        /// Why.
        cause: KillCause,
    },
    /// `instances`: nothing more is to be known or done about this instance.
    Forget {
        /// Which instance.
        instance: InstanceKey,
    },
    /// `instances`: the wait after failures is now this.
    BackOff(Backoff),

    /// `instances`: return these offers, all of one lot.
    Decline {
        /// Which lot.
        lot: LotIx,
        /// Its offers.
        offers: Vec<OfferId>,
        /// How long not to be offered the same again.
        refuse_for: Duration,
    },
    /// `instances`: ask for offers to this role.
    Revive {
        /// Which role.
        role: Role,
    },
    /// `instances`: no more offers to this role, please.
    Suppress {
        /// Which role.
        role: Role,
    },
}

/// A launch, with everything chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The slot and its next incarnation.
    pub instance: InstanceKey,
    /// What it runs.
    pub revision: RevisionId,
    /// Where.
    pub lot: LotIx,
    /// What it takes there, ports included.
    pub claim: Claim,
    /// The host ports, in the order of the app's ports; `None` for those not mapped to the host.
    pub host_ports: Vec<Option<Port>>,
}
