//! A restart with 100,000 stored instances: when it answers, and when it could launch.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use ekiden_kit::master::FakeMesos;

use crate::client::write;
use crate::fleet::{self, Fleet};
use crate::program::{PATIENCE, Program};
use crate::tell;

/// How many instances are stored.
const INSTANCES: u32 = 100_000;

/// Of each shape and end; the best of each time is told, since other work on the machine only ever adds.
const REPETITIONS: usize = 3;

/// What happened when, counted from the start of the process.
#[derive(Clone, Copy)]
struct Restart {
    /// One app was answered for.
    read: Duration,
    /// What it had taken of the processors by then.
    read_cpu: Duration,
    /// All apps were.
    listed: Duration,
    /// The first question about tasks reached the master.
    asked: Duration,
    /// The last one did; it answers each before it takes the next.
    answered: Duration,
    /// An instance more, which the manifests have come to ask for meanwhile, is launched.
    launched: Duration,
    /// What all of it has taken of the processors.
    launched_cpu: Duration,
}

impl Restart {
    /// When it could have launched with a master that answers at once.
    fn ready(self) -> Duration {
        self.launched.saturating_sub(self.answered.saturating_sub(self.asked))
    }
}

pub(crate) async fn measure() {
    tell(format_args!(
        "restart with {INSTANCES} stored instances, best of {REPETITIONS}; ready: less reconciliation"
    ));
    tell(format_args!(
        "{:>6} {:>5} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "apps", "each", "end", "one app", "(cpu)", "all apps", "asks", "is told", "launches", "(cpu)", "ready"
    ));
    for apps in [10_000, 1000] {
        let each = INSTANCES / apps;
        let folder = tempfile::tempdir().expect("a folder");
        let fleet = Fleet::leave(folder.path(), apps, each).await;
        let (path, text) = fleet::manifest(0, each + 1);
        write(&folder.path().join("manifests").join(path), &text);
        for (state, end) in [("state", "closed"), ("killed", "killed")] {
            let mut best = [Duration::MAX; 8];
            for _ in 0..REPETITIONS {
                let again = tempfile::tempdir().expect("a folder");
                link(folder.path(), again.path(), state);
                let restart = restart(again.path(), &fleet.master().await).await;
                let Restart { read, read_cpu, listed, asked, answered, launched, launched_cpu } = restart;
                let times = [read, read_cpu, listed, asked, answered, launched, launched_cpu, restart.ready()];
                for (best, time) in best.iter_mut().zip(times) {
                    *best = time.min(*best);
                }
            }
            let columns = best.map(|time| format!("{:>8}", format!("{} ms", time.as_millis()))).join(" ");
            tell(format_args!("{apps:>6} {each:>5} {end:>7} {columns}"));
        }
    }
    tell("     aim: one app 500 ms, ready 3000 ms");
}

/// The same manifests, and a copy of the store.
fn link(from: &Path, to: &Path, state: &str) {
    std::os::unix::fs::symlink(from.join("manifests"), to.join("manifests")).expect("linked");
    std::fs::create_dir(to.join("state")).expect("a folder");
    let copy = to.join("state/ekiden.redb");
    std::fs::copy(from.join(state).join("ekiden.redb"), &copy).expect("copied");
    // The store of a process that ran is on its disk: what is measured does not have to take it there.
    File::open(copy).and_then(|copy| copy.sync_all()).expect("on the disk");
}

async fn restart(folder: &Path, fake: &FakeMesos) -> Restart {
    let program = Program::start(folder, &fake.address());
    let launching = async {
        let arrived = fake.wait(PATIENCE, |fake| fake.calls("ACCEPT").first().map(|seen| seen.at)).await;
        arrived.unwrap_or_else(|| panic!("nothing is launched within {PATIENCE:?}:\n{}", program.log()))
    };
    let reading = async {
        let read = program.answers("/v2/apps/prod/team-7/service-7").await;
        let cpu = program.cpu_time();
        (read, cpu, program.answers("/v2/apps").await)
    };
    let (launched, (read, read_cpu, listed)) = tokio::join!(launching, reading);
    let launched_cpu = program.cpu_time();
    let questions = fake.calls("RECONCILE");
    let since = |at: Instant| at.saturating_duration_since(program.started);
    let asked = questions.first().map(|call| since(call.at)).expect("it asked");
    let answered = questions.last().map(|call| since(call.at)).expect("it asked");
    let launched = since(launched);
    let restart = Restart { read, read_cpu, listed, asked, answered, launched, launched_cpu };
    program.kill().await;
    restart
}
