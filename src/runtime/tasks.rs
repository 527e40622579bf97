//! The long-lived tasks of the process. When one of them ends before its time, the process ends: half a reconciler
//! that looks alive is worse than none, and a supervisor can start a whole one.

use std::error::Error;
use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why a task failed, as far as it can tell.
pub type Cause = Box<dyn Error + Send + Sync>;

/// All long-lived tasks.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<(&'static str, Result<(), Cause>)>,
    stop: CancellationToken,
}

/// A task ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// With an error of its own.
    #[error("the {0} failed")]
    Failed(&'static str, #[source] Cause),
    /// Without one.
    #[error("the {0} ended unexpectedly; this is a bug")]
    Ended(&'static str),
    /// By a panic.
    #[error("a task panicked; this is a bug")]
    Panicked(#[source] tokio::task::JoinError),
}

impl Tasks {
    /// What tells every task to end.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a task that runs until it is told to stop.
    pub fn spawn<E: Into<Cause>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.set.spawn(async move { (name, task.await.map_err(Into::into)) });
    }

    /// Waits for a task to end although nobody told it to, and says why it did; for ever, if none does.
    pub async fn failure(&mut self) -> TaskError {
        match self.set.join_next().await {
            None => std::future::pending().await,
            Some(Ok((name, Err(cause)))) => TaskError::Failed(name, cause),
            Some(Ok((name, Ok(())))) => TaskError::Ended(name),
            Some(Err(panic)) => TaskError::Panicked(panic),
        }
    }

    /// Tells every task to end and waits until all have.
    pub async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.set.join_next().await {
            if let Ok((name, Err(cause))) = ended {
                tracing::warn!(task = name, cause = %cause, "a task failed while it was ending");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_is_noticed_and_named() {
        let mut tasks = Tasks::default();
        let stop = tasks.stop().clone();
        tasks.spawn("patient one", async move {
            stop.cancelled().await;
            Ok::<(), Cause>(())
        });
        tasks.spawn("weak one", async { Err("out of breath") });
        assert_eq!(tasks.failure().await.to_string(), "the weak one failed");
        tasks.end().await;
    }
}
