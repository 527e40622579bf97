//! How the process ends, in a number: for whoever starts it again, or should not.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use crate::api::BindError;
use crate::cluster::mesos::MesosError;
use crate::config::ConfigError;
use crate::runtime::server::ServerError;
use crate::store::StoreError;

/// Every way to end. The numbers from 64 to 78 are those of `sysexits.h`, as far as it has a word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Well,
    /// Failed, for a reason that the message gives.
    Failed,
    /// `plan`, `diff`: something would change.
    Changes,
    /// `--wait`: what was waited for was not there in time.
    Unfinished,
    /// The command line is wrong.
    Usage,
    /// The directory with the manifests is none.
    Manifests,
    /// The address for the API cannot be had.
    Address,
    /// The store is damaged, newer than this ekiden, or cannot be opened.
    Store,
    /// Nothing more can be stored: the disk is full, or broken.
    Full,
    /// Another ekiden has the store open.
    InUse,
    /// The master refuses us.
    Refused,
    /// The config file is wrong, or that of the credentials or certificate.
    Config,
    /// Mesos has removed the framework.
    Removed,
    /// Another scheduler runs as this framework.
    Superseded,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 14] = [
        Self::Well,
        Self::Failed,
        Self::Changes,
        Self::Unfinished,
        Self::Usage,
        Self::Manifests,
        Self::Address,
        Self::Store,
        Self::Full,
        Self::InUse,
        Self::Refused,
        Self::Config,
        Self::Removed,
        Self::Superseded,
    ];

    /// The number.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Unfinished => 3,
            Self::Usage => 64,
            Self::Manifests => 66,
            Self::Address => 69,
            Self::Store => 73,
            Self::Full => 74,
            Self::InUse => 75,
            Self::Refused => 77,
            Self::Config => 78,
            Self::Removed => 80,
            Self::Superseded => 81,
        }
    }

    /// What it means, in a few words.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Well => "done",
            Self::Failed => "failed",
            Self::Changes => "`plan` or `diff` found changes",
            Self::Unfinished => "`--wait`: not there before the deadline",
            Self::Usage => "wrong usage",
            Self::Manifests => "no such directory of manifests",
            Self::Address => "the address for HTTP cannot be had",
            Self::Store => "the store is damaged, too new, or cannot be opened",
            Self::Full => "nothing more can be stored",
            Self::InUse => "another ekiden uses the store",
            Self::Refused => "the master refuses us",
            Self::Config => "the config file, or that of credentials or certificate, is wrong",
            Self::Removed => "Mesos has removed the framework",
            Self::Superseded => "another scheduler has taken over",
        }
    }

    /// The list for help pages.
    pub(super) fn listed() -> String {
        let lines = Self::ALL.iter().map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.collect::<String>())
    }

    /// What a failure means for whoever started us: the first of its causes that has a number of its own.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(exit) = Self::of_one(error) {
                return exit;
            }
            cause = error.source();
        }
        Self::Failed
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        let store = error.downcast_ref::<StoreError>();
        let store = store.or_else(|| error.downcast_ref::<Arc<StoreError>>().map(|error| &**error));
        if let Some(error) = store {
            return Some(Self::of_store(error));
        }
        match error.downcast_ref::<BindError>() {
            Some(BindError::Credentials(_) | BindError::Certificate(_)) => return Some(Self::Config),
            Some(BindError::Nowhere) => return Some(Self::Usage),
            Some(BindError::Public(..) | BindError::Refused(..)) => return Some(Self::Address),
            None => {}
        }
        if error.is::<ConfigError>() {
            return Some(Self::Config);
        }
        if error.is::<super::UsageError>() {
            return Some(Self::Usage);
        }
        match error.downcast_ref::<ServerError>() {
            Some(ServerError::NoDirectory(_)) => return Some(Self::Manifests),
            Some(ServerError::Folder(..) | ServerError::Restore(_) | ServerError::PutAside(..)) => {
                return Some(Self::Store);
            }
            _ => {}
        }
        match error.downcast_ref::<MesosError>()? {
            MesosError::Master { .. } | MesosError::Certificates { .. } => Some(Self::Usage),
            MesosError::Removed { .. } => Some(Self::Removed),
            MesosError::Refused { .. } => Some(Self::Refused),
            MesosError::Superseded { .. } => Some(Self::Superseded),
        }
    }

    fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::InUse { .. } => Self::InUse,
            StoreError::Full { .. } | StoreError::Write { .. } | StoreError::Stopped => Self::Full,
            _ => Self::Store,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;
    use crate::runtime::tasks::TaskError;
    use crate::runtime::uninstall::RemovalError;

    #[test]
    fn every_way_to_end_has_a_number_of_its_own() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.is_sorted());
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    }

    #[test]
    fn the_number_is_that_of_the_cause_however_deep() {
        let path = || PathBuf::from("ekiden.redb");
        let full = || StoreError::Full { path: path(), source: std::io::ErrorKind::StorageFull.into() };
        let framework = || "f-1".to_owned();
        let removed = MesosError::Removed { framework: framework(), message: String::new() };
        let superseded = MesosError::Superseded { framework: framework(), message: String::new() };
        let in_use = || ServerError::Store(Arc::new(StoreError::InUse { path: path() }));
        let cases: [(Box<dyn Error>, Exit); 8] = [
            (Box::new(in_use()), Exit::InUse),
            (Box::new(RemovalError::Store(in_use())), Exit::InUse),
            (Box::new(ServerError::NotStored(Arc::new(full()))), Exit::Full),
            (Box::new(TaskError::Failed("loop", Box::new(Arc::new(full())))), Exit::Full),
            (Box::new(ServerError::Cluster { what: "gone", source: removed.into() }), Exit::Removed),
            (Box::new(ServerError::Cluster { what: "gone", source: superseded.into() }), Exit::Superseded),
            (Box::new(ServerError::NoDirectory(path())), Exit::Manifests),
            (Box::new(TaskError::Ended("loop")), Exit::Failed),
        ];
        for (error, expected) in cases {
            assert_eq!(Exit::of(&*error), expected, "{error:?}");
        }
    }
}
