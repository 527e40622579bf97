//! A restart with 100,000 stored instances, phase by phase: verifying and reading the store while the reconciler is
//! restored of it, the first snapshot for readers, and all apps looked at once. Closed properly and killed. And how long
//! a write takes to be durable beside 100,000 others, at 100 a second.
//!
//! `cargo bench --bench store`. What a whole process makes of it, with a master, is measured elsewhere; here it shows
//! where the time goes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden::manifest;
use ekiden::runtime::snapshot::{AppSnapshot, Publisher};
use ekiden::store::{Opened, Store};
use ekiden_model::app_state::{Backoff, Declared, Source};
use ekiden_model::health::{CheckState, Health, Readiness, Verdict};
use ekiden_model::input::{Abilities, Input, WriteSeq};
use ekiden_model::limits::Settings;
use ekiden_model::record::{AppRecord, Installation, Record, SlotRecord, Write as Change};
use ekiden_model::revision::{Phase, Revision, Rollout, Standing};
use ekiden_model::{
    Agent, AgentId, App, AppId, Condition, Effect, Fingerprint, GroupId, Incarnation, Instance, InstanceKey, Port,
    RevisionId, Role, Slot, Timestamp,
};
use ekiden_reconciler::Reconciler;

type Error = Box<dyn std::error::Error>;

const INSTANCES: u32 = 100_000;
const AGENTS: u32 = 2000;
/// Of each shape; the best is told, since other work on the machine only ever adds.
const REPETITIONS: usize = 5;
/// Writes that are timed.
const WRITES: u64 = 1000;
/// Records per batch while the store is filled.
const BATCH: usize = 4096;

fn main() -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>8} {:>10} {:>8} {:>8} {:>9} {:>10} {:>9}   (100,000 instances; best of {REPETITIONS})",
        "apps", "each", "file", "end", "restored", "published", "visited"
    )?;
    let mut beside_others = None;
    for apps in [1000, 10_000] {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ekiden.redb");
        fill(&path, apps, INSTANCES / apps)?;
        let size = std::fs::metadata(&path)?.len() >> 20;
        let killed = folder.path().join("killed.redb");
        leave_open(&path, &killed)?;
        for (file, end) in [(&path, "closed"), (&killed, "killed")] {
            let mut best: Option<[Duration; 3]> = None;
            for _ in 0..REPETITIONS {
                let again = folder.path().join("again.redb");
                std::fs::copy(file, &again)?;
                std::fs::File::open(&again)?.sync_all()?;
                let took = restart(&again)?;
                best = Some(best.map_or(took, |best| if took[2] < best[2] { took } else { best }));
            }
            let [restored, published, visited] = best.unwrap_or_default().map(|phase| phase.as_millis());
            writeln!(
                out,
                "{apps:>8} {:>10} {size:>5} MB {end:>8} {restored:>6} ms {published:>7} ms {visited:>6} ms",
                INSTANCES / apps
            )?;
        }
        if apps == 1000 {
            beside_others = Some(durable_writes(&path)?);
        }
    }
    if let Some([median, p99, longest]) = beside_others {
        writeln!(
            out,
            "\n{WRITES} durable writes at 100/s, with 100,000 instances in the file: p50 {median:.1?}, p99 {p99:.1?}, \
             longest {longest:.1?}"
        )?;
    }
    Ok(())
}

/// A copy of the file as a process leaves it that is killed while it has it open.
fn leave_open(path: &Path, copy: &Path) -> Result<(), Error> {
    let Opened { store, mut stored, .. } = Store::open(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let app = app(0, 1)?;
        store.persist(WriteSeq(1), vec![Change::Put(Record::App(Box::new(app_record(&app, 0))))]).await?;
        stored.next().await?;
        std::fs::copy(path, copy)?;
        store.close().await?;
        Ok(())
    })
}

/// The median, the 99th percentile and the longest of the times from handing in a status' worth of writing to the word
/// that it is durable.
fn durable_writes(path: &Path) -> Result<[Duration; 3], Error> {
    let Opened { store, mut stored, .. } = Store::open(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut times = runtime.block_on(async {
        let (app, agent) = (app(0, 1)?, agent(0));
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let mut times = Vec::new();
        for seq in 1..=WRITES {
            ticks.tick().await;
            let begun = Instant::now();
            let slot = slot_record(&app.id, (seq % 100) as u32, &agent);
            store.persist(WriteSeq(seq), vec![Change::Put(Record::Slot(slot))]).await?;
            while stored.next().await?.0 < seq {}
            times.push(begun.elapsed());
        }
        store.close().await?;
        Ok::<_, Error>(times)
    })?;
    times.sort_unstable();
    Ok([times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1]])
}

/// When each phase was over, counted from the start.
fn restart(path: &Path) -> Result<[Duration; 3], Error> {
    let start = Instant::now();
    let abilities =
        Abilities { docker: false, mesos_images: false, networks: false, kill_grace: Duration::from_secs(3) };
    let fresh = Installation::new(1);
    let opened =
        Store::open_into(path, |records| Reconciler::restore(Settings::default(), abilities, fresh, records))?;
    let (mut reconciler, store) = (opened.records?, opened.store);
    let restored = start.elapsed();
    let (mut publisher, readers) = Publisher::new();
    let mut first_seen = None;
    let mut now = at(1_000_000);
    let mut seq = None;
    loop {
        for effect in reconciler.step(now, vec![seq.take().map_or(Input::Tick, Input::Stored)]) {
            if let Effect::Persist { seq: batch, .. } = effect {
                seq = Some(batch);
            }
        }
        for id in reconciler.take_touched() {
            let app = reconciler
                .outlook(&id)
                .map(|(state, report, desired)| AppSnapshot::new(state.clone(), report, desired, None));
            publisher.put(&id, app);
        }
        publisher.publish(now, reconciler.settled());
        first_seen.get_or_insert_with(|| start.elapsed());
        match reconciler.next_wake() {
            Some(wake) if wake <= now => now = now + Duration::from_millis(1),
            _ if seq.is_some() => {}
            _ => break,
        }
    }
    let visited = start.elapsed();
    let shown: usize = readers.latest().apps().iter().map(|app| app.state.instances.len()).sum();
    assert_eq!(shown, INSTANCES as usize, "not all is shown");
    drop(store);
    Ok([restored, first_seen.unwrap_or_default(), visited])
}

fn fill(path: &Path, apps: u32, each: u32) -> Result<(), Error> {
    let Opened { store, .. } = Store::open(path)?;
    let agents: Vec<Arc<Agent>> = (0..AGENTS).map(agent).collect();
    let mut writes = Vec::new();
    let mut seq = 0;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for number in 0..apps {
            let app = app(number, each)?;
            writes.push(Change::Put(Record::App(Box::new(app_record(&app, number)))));
            for slot in 0..each {
                let agent = &agents[((number * each + slot) % AGENTS) as usize];
                writes.push(Change::Put(Record::Slot(slot_record(&app.id, slot, agent))));
            }
            if writes.len() >= BATCH || number + 1 == apps {
                seq += 1;
                store.persist(WriteSeq(seq), std::mem::take(&mut writes)).await?;
            }
        }
        store.close().await?;
        Ok(())
    })
}

fn app(number: u32, instances: u32) -> Result<Arc<App>, Error> {
    let definition = serde_json::json!({
        "id": format!("/prod/team-{}/service-{number}", number % 50),
        "cmd": "exec /usr/bin/service --listen 0.0.0.0:$PORT0 --admin 0.0.0.0:$PORT1",
        "instances": instances,
        "cpus": 0.5,
        "mem": 256,
        "env": { "LOG_LEVEL": "info", "DATABASE": format!("postgres://db-{number}.internal/prod") },
        "labels": { "owner": "team", "HAPROXY_GROUP": "external" },
        "portDefinitions": [{ "port": 0, "name": "http" }, { "port": 0, "name": "admin" }],
        "healthChecks": [{ "protocol": "HTTP", "path": "/health", "portIndex": 0 }],
        "constraints": [["rack", "GROUP_BY", "4"]],
    });
    manifest::read_app_json(definition.to_string().as_bytes(), &GroupId::root())
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<String>().into())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn agent(number: u32) -> Arc<Agent> {
    Arc::new(Agent {
        id: AgentId::new(format!("3f0ca1c2-7f4b-4b0e-9a2c-1f0d6c1b2a3e-S{number}")),
        hostname: format!("node-{number:05}.example.internal").into(),
        attributes: [("rack", format!("r{}", number % 40)), ("class", "standard".to_owned())]
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into(),
        region: Some("eu-1".into()),
        zone: Some(format!("eu-1{}", number % 3).into()),
    })
}

fn app_record(app: &Arc<App>, number: u32) -> AppRecord {
    let declared = Declared {
        app: app.clone(),
        version: at(0),
        scaled: at(0),
        configured: at(0),
        source: Source::File { path: format!("prod/service-{number}.yaml").into(), line: 1 },
        restarts: 0,
        over: None,
        keep: false,
    };
    let revision = Revision {
        id: RevisionId(1),
        version: at(0),
        app: app.clone(),
        restarts: 0,
        target: app.instances,
        standing: Standing::Proven(at(60)),
    };
    let rollout = Rollout {
        to: RevisionId(1),
        phase: Phase::Complete,
        since: at(0),
        progress: at(60),
        best: app.instances,
        held: None,
        wanted: app.instances,
        highest: RevisionId(1),
    };
    AppRecord {
        id: app.id.clone(),
        birth: u64::from(number) + 1,
        key: None,
        declared: Some(declared),
        revisions: vec![revision],
        rollout: Some(rollout),
        service_ports: vec![Port::new(10_000 + (number % 10_000) as u16), None],
        backoff: Backoff::default(),
        last_failure: None,
        condemned: Vec::new(),
    }
}

fn slot_record(app: &AppId, slot: u32, agent: &Arc<Agent>) -> SlotRecord {
    let check = CheckState {
        question: Fingerprint::from_u64(0x1234_5678_9abc_def0),
        first_success: Some(at(20)),
        last_success: Some(at(20)),
        last_failure: None,
        last_failure_cause: None,
        consecutive_failures: 0,
    };
    let instance = Instance {
        key: InstanceKey { slot: Slot(slot), incarnation: Incarnation::FIRST },
        revision: RevisionId(1),
        goal: ekiden_model::Goal::Running,
        condition: Condition::Running,
        since: at(10),
        agent: agent.clone(),
        role: Role::any(),
        host_ports: vec![Port::new(31_000 + (slot % 500) as u16), Port::new(31_500 + (slot % 500) as u16)],
        staged: at(1),
        started: Some(at(10)),
        health: Health { verdict: Verdict::Healthy, checks: vec![check], readiness: Readiness::Ready },
        kill: None,
        message: None,
    };
    SlotRecord { app: app.clone(), slot: Slot(slot), last: Incarnation::FIRST, instances: vec![instance] }
}
