//! From one instance to a hundred, by ekiden and by a program that does nothing else.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::serve::Serve;
use crate::tap::{Passed, Tap};
use crate::{bare, local, tell};

/// How many instances.
const INSTANCES: usize = 100;

/// How many agents, of 4 cpus each.
const AGENTS: usize = 4;

pub(crate) async fn measure() {
    let mut cluster = Cluster::new();
    let bare = bare::launch(&local::start(&mut cluster, AGENTS).await, INSTANCES).await;
    drop(cluster);

    let mut cluster = Cluster::new();
    let tap = Tap::before(local::start(&mut cluster, AGENTS).await).await;
    let manifest = |instances: usize| {
        format!(
            "id: light\ncmd: exec sleep 1000\ninstances: {instances}\ncpus: 0.01\nmem: 8\nportDefinitions: []\n"
        )
    };
    let mut ekiden = Serve::start(&mut cluster, tap.address(), &manifest(1)).await;
    ekiden.until_running("light", 1).await;
    tap.clear();
    let saved = ekiden.save(&manifest(INSTANCES));
    tap.until(Passed::Running, INSTANCES - 1).await;
    let notes = tap.notes();
    let last = |kind: Passed| {
        notes.iter().rfind(|(_, passed)| *passed == kind).map(|(at, _)| *at - saved).unwrap_or_default()
    };
    let count = |kind: Passed| notes.iter().filter(|(_, passed)| *passed == kind).count();
    let queueing = last(Passed::Launch).saturating_sub(waiting_for_offers(&notes));

    tell(format_args!("scale 1 to {INSTANCES} of a light command, {AGENTS} agents"));
    let (launches, accepts) = (count(Passed::Launch), count(Passed::Accept));
    tell(format_args!(
        "  last of {launches} launches sent after {:>9.1?} (in {accepts} ACCEPTs)",
        last(Passed::Launch)
    ));
    tell(format_args!("  of that without waiting for offers {queueing:>9.1?}   aim: 1 s"));
    tell(format_args!("  all running after      {:>9.1?}", last(Passed::Running)));
    tell(format_args!(
        "  a bare loop: last launch sent after {:.1?}, all running after {:.1?} from its first offers",
        bare.launched, bare.running
    ));
}

/// How long offers were asked for and none had come: from each REVIVE to the next offers.
fn waiting_for_offers(notes: &[(Instant, Passed)]) -> Duration {
    let mut waited = Duration::ZERO;
    let mut asked: Option<Instant> = None;
    for (at, passed) in notes {
        match passed {
            Passed::Revive => asked = asked.or(Some(*at)),
            Passed::Offers => waited += asked.take().map_or(Duration::ZERO, |asked| *at - asked),
            _ => {}
        }
    }
    waited
}
