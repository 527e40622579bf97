//! What would become of tasks that the cluster runs and the store knows nothing of, should an operator adopt them.
//!
//! Shown before it is done, and computed by the same rule as what is done then.

use std::sync::Arc;

use crate::id::FrameworkId;
use crate::input::FoundTask;

/// An adoption: what is known of the tasks, and what adopting would do with each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Adoption {
    /// As which framework the tasks run; none, if the cluster has not told of it yet.
    pub framework: Option<FrameworkId>,
    /// Where another scheduler is connected as that framework, if one is: nothing can be adopted from it.
    pub connected_from: Option<Arc<str>>,
    /// What adopting still waits for, as a fragment: without the declarations, every task would be one too many.
    pub awaiting: Option<&'static str>,
    /// Whether the operator has said that it shall be done, and it waits for the cluster to tell once more what runs.
    pub is_ordered: bool,
    /// The tasks, in the order of their ids.
    pub tasks: Vec<(FoundTask, Fate)>,
}

/// What adopting does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It becomes an instance of its app, of the revision that is declared.
    Kept,
    /// It becomes an instance of its app, of a revision of which only is known that it is not the declared one: a rollout
    /// replaces it, within the app's floor.
    Replaced,
    /// It is ended: no manifest declares its app, or it belongs to an app of that path that was deleted before.
    Ended,
    /// It is left alone: its id was not made by any ekiden.
    LeftAlone,
}

impl Fate {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Replaced => "replaced",
            Self::Ended => "ended",
            Self::LeftAlone => "leftAlone",
        }
    }
}
