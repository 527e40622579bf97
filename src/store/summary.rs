//! What is in a store, in a few numbers.

use std::borrow::Borrow;
use std::fmt;

use ekiden_model::record::{Installation, Record};

/// What a store holds, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// What tells this installation's tasks from all others.
    pub realm: u64,
    /// How many apps were ever declared.
    pub births: u64,
    /// As whom the cluster knows it.
    pub framework: Option<String>,
    /// Apps there are, those that are to stop among them.
    pub apps: usize,
    /// Slots, empty ones among them.
    pub slots: usize,
    /// Instances, ended ones that are not forgotten among them.
    pub instances: usize,
}

impl Summary {
    /// Of all records of a store.
    pub(super) fn of(records: impl IntoIterator<Item: Borrow<Record>>) -> Self {
        let mut summary = Self::default();
        for record in records {
            match record.borrow() {
                Record::Installation(installation) => {
                    summary.realm = installation.realm;
                    summary.births = installation.births;
                    summary.framework = installation.framework.as_ref().map(ToString::to_string);
                }
                Record::App(_) => summary.apps += 1,
                Record::Slot(slot) => {
                    summary.slots += 1;
                    summary.instances += slot.instances.len();
                }
                Record::Version(..) | Record::Deployment(_) | Record::Group(_) | Record::Pod(_) => {}
            }
        }
        summary
    }
}

/// Whether nothing was ever declared, nor any cluster joined: what is lost with it, nobody misses.
pub(super) fn are_unused(records: &[Record]) -> bool {
    let [Record::Installation(installation)] = records else { return false };
    // How often it was started says nothing.
    **installation == Installation { life: installation.life, ..Installation::new(installation.realm) }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: usize, noun| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        write!(f, "{} with {}", counted(self.apps, "app"), counted(self.instances, "instance"))?;
        match &self.framework {
            Some(framework) => write!(f, ", framework {framework}"),
            None => write!(f, ", no framework"),
        }
    }
}
