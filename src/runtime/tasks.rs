//! The long-lived tasks of the process. When one of them ends before its time, the process ends: half a reconciler
//! that looks alive is worse than none, and a supervisor can start a whole one.

use std::error::Error;
use std::future::Future;
use std::io;

use tokio::runtime;
use tokio::sync::oneshot;
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

    /// Starts one on threads of its own: however busy it is, the others have the processors no later than any two
    /// processes have. Fails when the system has no threads left.
    pub fn spawn_apart<E: Into<Cause>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> io::Result<()> {
        let threads = runtime::Builder::new_multi_thread().enable_all().thread_name(name).build()?;
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let outcome = threads.block_on(task).map_err(Into::into);
            // Whoever waited for it has ended, too.
            let _ = end.send(outcome);
        })?;
        self.spawn(name, async move { ended.await.unwrap_or_else(|_| Err("it panicked; this is a bug".into())) });
        Ok(())
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

    #[tokio::test]
    async fn a_task_with_threads_of_its_own_keeps_nobody_waiting_and_is_noticed_too() {
        let mut tasks = Tasks::default();
        let (busy, is_busy) = std::sync::mpsc::channel();
        let (enough, is_enough) = std::sync::mpsc::channel::<()>();
        tasks
            .spawn_apart("busy one", async move {
                busy.send(()).expect("somebody waits");
                // It blocks its thread until the task below, on the only thread of this test, has had its turn.
                is_enough.recv().map_err(|_| "nobody else had a turn")
            })
            .expect("threads");
        is_busy.recv().expect("it began");
        tokio::spawn(async move { enough.send(()) }).await.expect("no panic").expect("it waits");
        assert_eq!(tasks.failure().await.to_string(), "the busy one ended unexpectedly; this is a bug");

        tasks.spawn_apart("weak one", async { panic!("out of breath") as Result<(), Cause> }).expect("threads");
        assert_eq!(tasks.failure().await.to_string(), "the weak one failed");
        tasks.end().await;
    }
}
