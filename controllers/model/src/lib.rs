//! The words of Ekiden as types: what is declared, what we chose, what the cluster said.
//!
//! Every controller and the reconciler speak in these types and in no other. The crate owns no behaviour beyond what
//! keeps its values well-formed: it decides nothing, reads no clock, does no I/O, and knows neither JSON nor Mesos.
//!
//! Where to look: [`app`] is the declaration, [`revision`] and [`instance`] are what became of it, [`offer`] and
//! [`agent`] are the cluster, [`view`] is what a controller sees and [`action`] what it may say, [`report`] is why
//! something has not happened yet, [`input`] and [`effect`] are the reconciler's two borders, [`record`] is what
//! must survive a restart.

pub mod action;
pub mod adoption;
pub mod agent;
pub mod app;
pub mod app_state;
pub mod budget;
pub mod deployment;
pub mod edit;
pub mod effect;
pub mod event;
pub mod fingerprint;
pub mod fixed_hash;
pub mod health;
pub mod history;
pub mod id;
pub mod input;
pub mod instance;
pub mod limits;
pub mod memo;
pub mod offer;
pub mod port;
pub mod record;
pub mod report;
pub mod resources;
pub mod revision;
pub mod time;
mod uuid;
pub mod view;

pub use action::Action;
pub use adoption::{Adoption, Fate};
pub use agent::{Agent, AgentState, Agents};
pub use app::App;
pub use app_state::{AppState, Declared, Source};
pub use deployment::{Deployment, DeploymentId};
pub use effect::Effect;
pub use fingerprint::Fingerprint;
pub use history::History;
pub use id::{
    AgentId, AppId, AppKey, FrameworkId, GroupId, Incarnation, InstanceId, InstanceKey, OfferId, RevisionId, Role,
    Slot, TaskId,
};
pub use input::Input;
pub use instance::{Census, Condition, Goal, Instance, Instances, Tally};
pub use offer::{Offer, OfferBook};
pub use port::{Port, PortSet};
pub use report::{Reason, Report};
pub use resources::{Resources, Scalar};
pub use revision::Revision;
pub use time::Timestamp;
pub use view::{Again, Decision, View};
