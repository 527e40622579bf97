//! Removing us from the cluster: through the server that runs, or, when none does, by ourselves.
//!
//! Either way the store is put aside afterwards under another name: nothing in it is true any more, and whoever starts
//! ekiden again begins anew.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ekiden_model::input::ClusterEvent;
use ekiden_model::record::Record;
use ekiden_model::{AppId, FrameworkId};
use tokio::sync::{mpsc, oneshot};

use super::clock::wall;
use super::server::{ServerError, open, store_file};
use super::tasks::Cause;
use crate::cluster::Call;
use crate::cluster::mesos::{self, Mesos, MesosError, MesosOptions};
use crate::store::Store;

/// A master that is there takes us in within this; longer, and somebody should look at it.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(60);

/// A master that has taken us in takes one more call within this.
pub(super) const REMOVED_WITHIN: Duration = Duration::from_secs(20);

/// How stores that were put aside are called.
const ASIDE: &str = "uninstalled-";

/// The asking end of the way to a running server. Asked once, answered once, and then it ends.
#[derive(Debug, Clone)]
pub struct Uninstalls(mpsc::Sender<Uninstall>);

/// The server's end.
#[derive(Debug)]
pub struct Uninstalling(mpsc::Receiver<Uninstall>);

/// Somebody who asked, and waits.
#[derive(Debug)]
pub struct Uninstall(oneshot::Sender<Result<(), String>>);

/// Why a running server did not remove us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UninstallError {
    /// Somebody else has asked already, or the process ends anyway.
    #[error("ekiden is ending already")]
    Ending,
    /// The cluster did not do it.
    #[error("the framework could not be removed ({0}): its tasks run on; start ekiden again and ask again")]
    Failed(String),
}

/// Why we could not remove us by ourselves.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// Nothing to go by.
    #[error("there is no store in {}: nothing was installed from here, or `--state` names another folder", .0.display())]
    NoStore(PathBuf),
    /// Nothing to remove.
    #[error("this store was never connected to a master: there is no framework to remove")]
    NeverRegistered,
    /// The store is not to be had.
    #[error(transparent)]
    Store(#[from] ServerError),
    /// The master does not do it.
    #[error("the framework could not be removed")]
    Mesos(#[from] MesosError),
    /// The master does not answer.
    #[error("no master has answered within {} s: is `--master` right? nothing was removed", .0.as_secs())]
    Silent(Duration),
}

impl Uninstalls {
    /// Both ends.
    pub fn new() -> (Self, Uninstalling) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), Uninstalling(receiver))
    }

    /// Asks, and waits until it is done. The server ends afterwards, whatever came of it.
    pub async fn ask(&self) -> Result<(), UninstallError> {
        let (done, answer) = oneshot::channel();
        self.0.try_send(Uninstall(done)).map_err(|_| UninstallError::Ending)?;
        answer.await.map_err(|_| UninstallError::Ending)?.map_err(UninstallError::Failed)
    }
}

impl Uninstalling {
    /// Waits until somebody asks.
    pub async fn next(&mut self) -> Uninstall {
        match self.0.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

impl Uninstall {
    /// Tells who asked what came of it.
    pub fn answer(self, outcome: &Result<(), Cause>) {
        // A client that has gone away learns it from the cluster.
        let _ = self.0.send(outcome.as_ref().copied().map_err(ToString::to_string));
    }
}

/// What would go, by what the store says.
#[derive(Debug)]
pub struct Doomed {
    /// As whom Mesos knows us.
    pub framework: FrameworkId,
    /// The apps.
    pub apps: Vec<AppId>,
    /// Tasks that have not ended, as far as is known here.
    pub tasks: usize,
    file: PathBuf,
    store: Store,
}

impl Doomed {
    /// Looks into the store in the folder; nobody else may have it open.
    pub async fn find(state: &Path) -> Result<Self, RemovalError> {
        let file = store_file(state);
        if !file.exists() {
            return Err(RemovalError::NoStore(state.to_owned()));
        }
        let opened = open(Some(file.clone()), |records| records.collect::<Vec<_>>()).await?;
        let (mut framework, mut apps, mut tasks) = (None, Vec::new(), 0);
        for record in opened.records {
            match record {
                Record::Installation(installation) => framework = installation.framework,
                Record::App(app) => apps.push(app.id),
                Record::Slot(slot) => {
                    tasks += slot.instances.iter().filter(|instance| instance.condition.is_live()).count();
                }
                _ => {}
            }
        }
        let framework = framework.ok_or(RemovalError::NeverRegistered)?;
        Ok(Self { framework, apps, tasks, file, store: opened.store })
    }

    /// Has Mesos end all tasks and forget the framework; says where the store was put.
    pub async fn remove(self, options: MesosOptions) -> Result<PathBuf, RemovalError> {
        let (mesos, mut events) = mesos::start(options)?;
        mesos.call(Call::Subscribe(Some(self.framework))).await;
        let subscribed = tokio::time::timeout(SUBSCRIBED_WITHIN, subscribed(&mesos, &mut events));
        match subscribed.await {
            Err(_) => return Err(RemovalError::Silent(SUBSCRIBED_WITHIN)),
            Ok(Ok(())) => tokio::time::timeout(REMOVED_WITHIN, mesos.tear_down())
                .await
                .map_err(|_| RemovalError::Silent(REMOVED_WITHIN))??,
            // Somebody has done it before us.
            Ok(Err(MesosError::Removed { .. })) => {}
            Ok(Err(error)) => return Err(error.into()),
        }
        self.store.close().await.map_err(ServerError::NotStored)?;
        Ok(put_aside(&self.file)?)
    }
}

async fn subscribed(mesos: &Mesos, events: &mut mpsc::Receiver<ClusterEvent>) -> Result<(), MesosError> {
    let connected = async {
        loop {
            match events.recv().await {
                Some(ClusterEvent::Connected) => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = connected => Ok(()),
        error = mesos.ended() => Err(error),
    }
}

/// Gives the store's file another name, and says which.
pub(super) fn put_aside(store: &Path) -> Result<PathBuf, ServerError> {
    let now = wall().to_string().replace(':', "-");
    let aside = store.with_file_name(format!("{ASIDE}{now}.redb"));
    let folder = store.parent().unwrap_or(Path::new("."));
    let moved = std::fs::rename(store, &aside).and_then(|()| File::open(folder)?.sync_all());
    moved.map_err(|error| ServerError::PutAside(store.to_owned(), error))?;
    Ok(aside)
}

/// The store that was put aside last in this folder.
pub(super) fn last_put_aside(state: &Path) -> io::Result<Option<PathBuf>> {
    let mut last = None;
    for entry in std::fs::read_dir(state)? {
        let path = entry?.path();
        let is_aside = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(ASIDE));
        last = last.max(is_aside.then_some(path));
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_put_aside_is_found_and_the_next_one_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(last_put_aside(folder.path()).expect("readable"), None);
        let file = store_file(folder.path());
        std::fs::write(&file, "memories").expect("written");
        let aside = put_aside(&file).expect("it can be renamed");
        assert!(!file.exists());
        assert_eq!(std::fs::read_to_string(&aside).expect("kept"), "memories");
        assert_eq!(last_put_aside(folder.path()).expect("readable"), Some(aside));
    }

    #[tokio::test]
    async fn who_asks_hears_what_came_of_it_and_a_second_one_is_refused() {
        let (uninstalls, mut uninstalling) = Uninstalls::new();
        let serving = async {
            let asked = uninstalling.next().await;
            asked.answer(&Err("no master".into()));
        };
        let (answer, ()) = tokio::join!(uninstalls.ask(), serving);
        assert_eq!(answer, Err(UninstallError::Failed("no master".to_owned())));
        drop(uninstalling);
        assert_eq!(uninstalls.ask().await, Err(UninstallError::Ending));
    }

    #[tokio::test]
    async fn without_a_store_there_is_nothing_to_remove() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Doomed::find(folder.path()).await.expect_err("nothing is there");
        assert!(matches!(error, RemovalError::NoStore(_)), "{error}");
        assert!(!store_file(folder.path()).exists(), "looking makes none");
        drop(Store::open(&store_file(folder.path())).expect("a new store"));
        assert!(matches!(Doomed::find(folder.path()).await, Err(RemovalError::NeverRegistered)));
    }
}
