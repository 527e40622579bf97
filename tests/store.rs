//! The store as its users see it: what was stored comes back, whatever happened in between; what is damaged is refused.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "store/dump.rs"]
mod dump;
#[path = "store/full.rs"]
mod full;
#[path = "support/small_disk.rs"]
mod small_disk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ekiden::desired::{Bounds, read_directory};
use ekiden::manifest;
use ekiden::store::{Opened, Store, StoreError, Stored};
use ekiden_model::Fingerprint;
use ekiden_model::app_state::{Backoff, Declared, Override, Source};
use ekiden_model::deployment::{Change, Deployment, DeploymentAction, DeploymentId, Progress};
use ekiden_model::edit::{Group, GroupVersion, Pod};
use ekiden_model::health::{CheckState, Health, Readiness, Verdict};
use ekiden_model::history::{Cause, Commit, Definition, Version, Why};
use ekiden_model::input::WriteSeq;
use ekiden_model::instance::KillOrder;
use ekiden_model::record::{AppRecord, Installation, Record, RecordKey, SlotRecord, Write};
use ekiden_model::report::{Failure, FailureCause, KillCause};
use ekiden_model::revision::{Phase, Revision, Rollout, Standing};
use ekiden_model::{
    Agent, AgentId, App, AppId, AppKey, Condition, FrameworkId, Goal, GroupId, Incarnation, Instance, InstanceKey,
    Port, RevisionId, Role, Slot, TaskId, Timestamp,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

// ---- What is stored -------------------------------------------------------------------------------------------------

fn any_time() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000_000).prop_map(Timestamp::from_millis)
}

fn any_text() -> impl Strategy<Value = Arc<str>> {
    // Quotes, control characters and all: what agents and probes say is anybody's text.
    "\\PC{0,12}|[\"\\\\\n\t\u{0}]{1,4}".prop_map(Arc::from)
}

fn any_port() -> impl Strategy<Value = Option<Port>> {
    any::<u16>().prop_map(Port::new)
}

fn any_id() -> impl Strategy<Value = AppId> {
    // Ids that are prefixes of each other, and sort around the separator.
    proptest::sample::select(vec!["/a", "/a/b", "/a-b", "/a.b", "/ab", "/prod/web", "/prod/web/v2"])
        .prop_map(|text| AppId::parse(text).unwrap())
}

fn app(id: &AppId, cmd: &str, instances: u32) -> Arc<App> {
    let json = serde_json::json!({ "id": id.as_str(), "cmd": cmd, "instances": instances });
    let text = json.to_string();
    let reading = manifest::read(&manifest::SourceText { path: "test.json", bytes: text.as_bytes() });
    reading.apps[0].app.clone()
}

fn any_app(id: AppId) -> impl Strategy<Value = Arc<App>> {
    ("[a-z\"]{1,8}", 0_u32..1000).prop_map(move |(cmd, instances)| app(&id, &cmd, instances))
}

fn any_condition() -> impl Strategy<Value = Condition> {
    use Condition::*;
    proptest::sample::select(vec![
        Provisioned,
        Staging,
        Starting,
        Running,
        Killing,
        Unreachable,
        Finished,
        Failed,
        Error,
        Killed,
        Gone,
        Dropped,
        Unknown,
        Lost,
    ])
}

fn any_kill() -> impl Strategy<Value = KillOrder> {
    use KillCause::*;
    let causes = vec![
        Removed,
        ScaledIn,
        Replaced,
        Unhealthy,
        Overdue,
        Returned,
        Redundant,
        Unreachable,
        Operator,
        Misplaced,
        Draining,
    ];
    (proptest::sample::select(causes), any_time(), any_time()).prop_map(|(cause, at, sent)| KillOrder {
        cause,
        at,
        sent,
    })
}

fn any_health() -> impl Strategy<Value = Health> {
    use Verdict::*;
    let check = (
        any::<u64>().prop_map(Fingerprint::from_u64),
        option::of(any_time()),
        option::of(any_time()),
        option::of(any_time()),
        option::of(any_text()),
        any::<u32>(),
    )
        .prop_map(
            |(question, first_success, last_success, last_failure, last_failure_cause, consecutive_failures)| {
                CheckState {
                    question,
                    first_success,
                    last_success,
                    last_failure,
                    last_failure_cause,
                    consecutive_failures,
                }
            },
        );
    let readiness = prop_oneof![
        Just(Readiness::Unasked),
        option::of(any::<u16>()).prop_map(Readiness::NotReady),
        Just(Readiness::Ready)
    ];
    let verdict = proptest::sample::select(vec![Unknown, Healthy, Unhealthy, Condemned]);
    (verdict, vec(check, 0..3), readiness).prop_map(|(verdict, checks, readiness)| Health {
        verdict,
        checks,
        readiness,
    })
}

fn any_agent() -> impl Strategy<Value = Arc<Agent>> {
    let maybe_text = || option::of(any_text());
    ("[a-z]{1,3}", any_text(), btree_map("[a-z]{1,3}", any_text(), 0..3), maybe_text(), maybe_text()).prop_map(
        |(id, hostname, attributes, region, zone)| {
            Arc::new(Agent { id: AgentId::new(id), hostname, attributes, region, zone })
        },
    )
}

fn any_instance() -> impl Strategy<Value = Instance> {
    let what = (any::<u32>(), 1..u32::MAX, 1_u32..9, any_condition(), any_time());
    let goal = proptest::sample::select(vec![Goal::Running, Goal::Stopped, Goal::Decommissioned]);
    let place = (any_agent(), "[a-z*]{1,4}", vec(any_port(), 0..4), any_time(), option::of(any_time()));
    (what, goal, place, any_health(), option::of(any_kill()), option::of(any_text())).prop_map(
        |((slot, incarnation, revision, condition, since), goal, place, health, kill, message)| {
            let (agent, role, host_ports, staged, started) = place;
            let incarnation = Incarnation(incarnation.try_into().unwrap());
            Instance {
                key: InstanceKey { slot: Slot(slot), incarnation },
                revision: RevisionId(revision),
                goal,
                condition,
                since,
                agent,
                role: Role::new(role),
                host_ports,
                staged,
                started,
                health,
                kill,
                message,
            }
        },
    )
}

fn any_slot() -> impl Strategy<Value = Record> {
    (any_id(), any::<u32>(), 1..u32::MAX, vec(any_instance(), 0..3)).prop_map(|(app, slot, last, instances)| {
        Record::Slot(SlotRecord { app, slot: Slot(slot), last: Incarnation(last.try_into().unwrap()), instances })
    })
}

fn any_declared(id: AppId) -> impl Strategy<Value = Declared> {
    let source = prop_oneof![
        Just(Source::Api),
        (any_text(), any::<u32>()).prop_map(|(path, line)| Source::File { path, line })
    ];
    let over = option::of((any_app(id.clone()), any_text(), option::of(any_text()), any_time(), any_time()))
        .prop_map(|over| over.map(|(file, reason, by, since, until)| Override { file, reason, by, since, until }));
    let times = (any_time(), any_time(), any_time());
    (any_app(id), times, source, any::<u32>(), over, any::<bool>()).prop_map(
        |(app, (version, scaled, configured), source, restarts, over, keep)| Declared {
            app,
            version,
            scaled,
            configured,
            source,
            restarts,
            over,
            keep,
        },
    )
}

fn any_deployment_id() -> impl Strategy<Value = DeploymentId> {
    (any::<u64>(), any_time()).prop_map(|(realm, version)| DeploymentId::new(realm, version))
}

fn any_progress() -> impl Strategy<Value = Progress> {
    prop_oneof![
        Just(Progress::UnderWay),
        any_time().prop_map(Progress::Complete),
        (any_time(), any_text()).prop_map(|(at, reason)| Progress::Failed(at, reason)),
        any_time().prop_map(Progress::Superseded),
    ]
}

fn any_cause() -> impl Strategy<Value = Cause> {
    let source = prop_oneof![
        Just(Source::Api),
        (any_text(), any::<u32>()).prop_map(|(path, line)| Source::File { path, line })
    ];
    let commit = option::of((any_text(), any_text()).prop_map(|(hash, author)| Arc::new(Commit { hash, author })));
    let why = prop_oneof![
        proptest::sample::select(vec![
            Why::Declared,
            Why::Restarted,
            Why::Scaled,
            Why::OverrideOver,
            Why::Withdrawn
        ]),
        any_deployment_id().prop_map(Why::RolledBack),
        (any_time(), any_text()).prop_map(|(until, reason)| Why::Overridden { until, reason }),
    ];
    (source, commit, option::of(any_text()), why).prop_map(|(source, commit, by, why)| Cause {
        source,
        commit,
        by,
        why,
    })
}

fn any_version() -> impl Strategy<Value = Record> {
    any_id().prop_flat_map(|id| {
        let parts =
            (any_time(), option::of(any_app(id.clone())), any_cause(), any_deployment_id(), any_progress());
        parts.prop_map(move |(at, app, cause, deployment, progress)| {
            Record::Version(
                id.clone(),
                Box::new(Version { at, app: app.map(Definition::Known), cause, deployment, progress }),
            )
        })
    })
}

fn any_deployment() -> impl Strategy<Value = Record> {
    let actions =
        vec![DeploymentAction::Start, DeploymentAction::Scale, DeploymentAction::Restart, DeploymentAction::Stop];
    let change = any_id().prop_flat_map(move |id| {
        let action = proptest::sample::select(actions.clone());
        (action, option::of(any_app(id.clone())), any::<u32>())
            .prop_map(move |(action, before, step)| (id.clone(), Change { action, before, step }))
    });
    (any_deployment_id(), any_time(), vec(change, 0..3)).prop_map(|(id, version, changes)| {
        let changes = changes.into_iter().collect();
        Record::Deployment(Box::new(Deployment { id, version, changes }))
    })
}

fn any_group_id() -> impl Strategy<Value = GroupId> {
    any_id().prop_map(|id| GroupId::resolve(id.as_str(), &GroupId::root()).unwrap())
}

fn any_shelved() -> impl Strategy<Value = Record> {
    let said = (any_time(), btree_set(any_group_id(), 0..3), any::<bool>())
        .prop_map(|(at, dependencies, enforce_role)| GroupVersion { at, dependencies, enforce_role });
    let group = (any_group_id(), vec(said, 1..3));
    let pod = (any_id(), vec((any_time(), any_text()), 1..3));
    prop_oneof![
        group.prop_map(|(id, versions)| Record::Group(Group { id, versions })),
        pod.prop_map(|(id, versions)| Record::Pod(Pod { id, versions })),
    ]
}

fn any_revision(id: AppId) -> impl Strategy<Value = Revision> {
    let standing = prop_oneof![
        Just(Standing::Unproven),
        any_time().prop_map(Standing::Proven),
        any_time().prop_map(Standing::Failed)
    ];
    (1_u32..99, any_time(), any_app(id), any::<u32>(), any::<u32>(), standing).prop_map(
        |(id, version, app, restarts, target, standing)| Revision {
            id: RevisionId(id),
            version,
            app,
            restarts,
            target,
            standing,
        },
    )
}

fn any_rollout() -> impl Strategy<Value = Rollout> {
    use Phase::*;
    let phases = vec![Waiting, Rolling, Paused, Complete, Failed, RollingBack { failed: RevisionId(3) }];
    let held = (option::of(any_time()), any::<u32>(), 1_u32..99);
    (1_u32..99, proptest::sample::select(phases), any_time(), any_time(), any::<u32>(), held).prop_map(
        |(to, phase, since, progress, best, (held, wanted, highest))| {
            let (to, highest) = (RevisionId(to), RevisionId(highest));
            Rollout { to, phase, since, progress, best, held, wanted, highest }
        },
    )
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let cause = proptest::sample::select(vec![FailureCause::App, FailureCause::Infrastructure]);
    (any_time(), any_text(), 1_u32..9, any_text(), any_condition(), any_text(), cause).prop_map(
        |(at, task, revision, host, condition, message, cause)| Failure {
            at,
            task: TaskId::new(task),
            revision: RevisionId(revision),
            host,
            condition,
            message,
            cause,
        },
    )
}

fn any_backoff() -> impl Strategy<Value = Backoff> {
    let maybe_time = || option::of(any_time());
    (any::<u32>(), any::<u64>(), maybe_time(), maybe_time(), maybe_time()).prop_map(
        |(failures, nanos, until, reference, configured)| Backoff {
            failures,
            delay: Duration::from_nanos(nanos),
            until,
            reference,
            configured,
        },
    )
}

fn any_app_record() -> impl Strategy<Value = Record> {
    any_id().prop_flat_map(|id| {
        (
            (any::<u64>(), option::of(any_key())),
            option::of(any_declared(id.clone())),
            vec(any_revision(id.clone()), 0..3),
            option::of(any_rollout()),
            vec(any_port(), 0..3),
            any_backoff(),
            option::of(any_failure()),
            vec(any_time(), 0..3),
        )
            .prop_map(
                move |(
                    (birth, key),
                    declared,
                    revisions,
                    rollout,
                    service_ports,
                    backoff,
                    last_failure,
                    condemned,
                )| {
                    Record::App(Box::new(AppRecord {
                        id: id.clone(),
                        birth,
                        key,
                        declared,
                        revisions,
                        rollout,
                        service_ports,
                        backoff,
                        last_failure,
                        condemned,
                    }))
                },
            )
    })
}

fn any_key() -> impl Strategy<Value = AppKey> {
    any::<u128>().prop_map(AppKey::from_bits)
}

fn any_installation() -> impl Strategy<Value = Record> {
    let framework = || option::of(any_text().prop_map(FrameworkId::new));
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>());
    let disowned = btree_set(any_text().prop_map(TaskId::new), 0..3);
    let sets = (btree_set(any_key(), 0..3), disowned, btree_set(any_text(), 0..3));
    (numbers, framework(), framework(), sets).prop_map(
        |((realm, births, life), framework, disowned_framework, (predecessors, disowned, listeners))| {
            Record::Installation(Box::new(Installation {
                realm,
                births,
                framework,
                life,
                predecessors,
                disowned_framework,
                disowned,
                listeners,
            }))
        },
    )
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![any_installation(), any_app_record(), any_slot(), any_version(), any_deployment(), any_shelved()]
}

fn any_write() -> impl Strategy<Value = Write> {
    let named = any_record().prop_filter_map("it goes with its app", |record| RecordKey::of(&record));
    prop_oneof![
        9 => any_record().prop_map(Write::Put),
        1 => any_id().prop_map(Write::DeleteApp),
        1 => named.prop_map(Write::Delete),
    ]
}

// ---- What is expected -----------------------------------------------------------------------------------------------

/// What the store is to hold, kept in the simplest way.
#[derive(Default)]
struct Expected(std::collections::BTreeMap<String, Record>);

/// Definitions of the past are not read at a start, and compared when they are.
fn with_definition(record: Record) -> Record {
    match record {
        Record::Version(app, mut version) => {
            let known = version.app.as_ref().map(|then| manifest::read_definition(then).unwrap());
            version.app = known.map(Definition::Known);
            Record::Version(app, version)
        }
        other => other,
    }
}

fn name_of(key: &RecordKey) -> String {
    match key {
        RecordKey::Version(app, at) => format!("{app}!{:016}", at.as_millis()),
        RecordKey::Deployment(id) => format!("$deployment/{id}"),
        RecordKey::Group(id) => format!("$group/{id}"),
        RecordKey::Pod(id) => format!("$pod/{id}"),
    }
}

impl Expected {
    fn of(records: Vec<Record>) -> Self {
        let mut expected = Self::default();
        for record in records {
            expected.write(Write::Put(record));
        }
        expected
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Put(record) => {
                let record = with_definition(record);
                let key = match &record {
                    Record::Installation(_) => String::new(),
                    Record::App(app) => app.id.to_string(),
                    Record::Slot(slot) => format!("{}#{:010}", slot.app, slot.slot.0),
                    other => name_of(&RecordKey::of(other).unwrap()),
                };
                self.0.insert(key, record);
            }
            Write::Delete(key) => _ = self.0.remove(&name_of(&key)),
            Write::DeleteApp(id) => {
                let slots = format!("{id}#");
                self.0.retain(|key, _| key != id.as_str() && !key.starts_with(&slots));
            }
        }
    }

    fn records(&self) -> Vec<Record> {
        self.0.values().cloned().collect()
    }
}

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ekiden.db");
        Self { _folder: folder, path }
    }
}

fn reopen(path: &Path) -> Result<Vec<Record>, StoreError> {
    Store::open(path).map(|opened| opened.records)
}

async fn stored_up_to(stored: &mut Stored, seq: WriteSeq) {
    let reached = async { while stored.next().await.unwrap() < seq {} };
    tokio::time::timeout(Duration::from_secs(20), reached).await.expect("the store says what it has stored");
}

fn slot(app: &str, number: u32) -> Write {
    let record = SlotRecord {
        app: AppId::parse(app).unwrap(),
        slot: Slot(number),
        last: Incarnation::FIRST,
        instances: Vec::new(),
    };
    Write::Put(Record::Slot(record))
}

/// A store with a hundred slots in it.
async fn filled(path: &Path) -> Vec<Record> {
    let Opened { store, records, .. } = Store::open(path).unwrap();
    let mut expected = Expected::of(records);
    let writes: Vec<Write> = (0..100).map(|number| slot("/prod/web", number)).collect();
    writes.iter().cloned().for_each(|write| expected.write(write));
    store.persist(WriteSeq(1), writes).await.unwrap();
    store.close().await.unwrap();
    expected.records()
}

// ---- Tests ----------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_stored_comes_back(batches in vec(vec(any_write(), 0..6), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let place = Place::new();
        let Opened { store, records, .. } = Store::open(&place.path).unwrap();
        let mut expected = Expected::of(records);
        runtime.block_on(async {
            for (seq, batch) in (1..).zip(batches) {
                batch.iter().cloned().for_each(|write| expected.write(write));
                store.persist(WriteSeq(seq), batch).await.unwrap();
            }
            store.close().await.unwrap();
        });
        let found = reopen(&place.path).unwrap();
        prop_assert_eq!(Expected::of(found.clone()).records(), expected.records());
        prop_assert!(matches!(found.first(), Some(Record::Installation(_))));
    }
}

#[test]
fn a_new_store_draws_its_realm_once() {
    let place = Place::new();
    let first = reopen(&place.path).unwrap();
    let [Record::Installation(installation)] = &first[..] else { panic!("{first:?}") };
    assert_eq!(installation.births, 0);
    assert_eq!(reopen(&place.path).unwrap(), first);
    let other = reopen(&Place::new().path).unwrap();
    assert_ne!(other, first, "two installations have one realm");
    let left: Vec<_> = std::fs::read_dir(place.path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn an_app_is_deleted_with_its_slots_and_nothing_else() {
    let place = Place::new();
    let Opened { store, .. } = Store::open(&place.path).unwrap();
    let all = ["/a", "/a-b", "/a.b", "/a/b", "/ab"];
    store.persist(WriteSeq(1), all.iter().map(|app| slot(app, u32::MAX)).collect()).await.unwrap();
    store.persist(WriteSeq(2), vec![slot("/a", 0), Write::DeleteApp(AppId::parse("/a").unwrap())]).await.unwrap();
    store.close().await.unwrap();
    let left: Vec<String> = reopen(&place.path)
        .unwrap()
        .iter()
        .filter_map(|record| match record {
            Record::Slot(slot) => Some(slot.app.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(left, ["/a-b", "/a.b", "/a/b", "/ab"]);
}

#[tokio::test]
async fn what_was_reported_survives_an_end_without_a_close() {
    let place = Place::new();
    let Opened { store, mut stored, .. } = Store::open(&place.path).unwrap();
    for seq in 1..=40 {
        store.persist(WriteSeq(seq), vec![slot("/a", seq as u32), slot("/b", seq as u32)]).await.unwrap();
    }
    stored_up_to(&mut stored, WriteSeq(40)).await;
    // The file as a process leaves it that is killed now: the store is still open.
    let copy = place.path.with_extension("copy");
    std::fs::copy(&place.path, &copy).unwrap();
    assert_eq!(reopen(&copy).unwrap().len(), 81);
    drop(store);
}

#[tokio::test]
async fn a_store_is_open_once() {
    let place = Place::new();
    let Opened { store, .. } = Store::open(&place.path).unwrap();
    let error = reopen(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("is in use by another ekiden"), "{error}");
    store.close().await.unwrap();
    reopen(&place.path).unwrap();
}

#[tokio::test]
async fn a_truncated_file_is_refused_and_left_alone() {
    let place = Place::new();
    filled(&place.path).await;
    let whole = std::fs::read(&place.path).unwrap();
    let lengths = [0, 1, 100, 320, 4095, 4096, 8192, whole.len() / 2, whole.len() - 4096, whole.len() - 1];
    for length in lengths {
        std::fs::write(&place.path, &whole[..length]).unwrap();
        let error = reopen(&place.path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. } | StoreError::Record { .. }), "{length}: {error}");
        assert_eq!(std::fs::read(&place.path).unwrap(), &whole[..length], "{length}: the file was touched");
    }
    std::fs::write(&place.path, &whole).unwrap();
    assert_eq!(reopen(&place.path).unwrap().len(), 101);
}

#[tokio::test]
async fn a_flipped_bit_is_refused_or_without_effect() {
    let place = Place::new();
    let before = filled(&place.path).await;
    let closed = std::fs::read(&place.path).unwrap();
    // As it is found after a crash: redb then decides which of its two last commits is the valid one.
    let Opened { store, mut stored, .. } = Store::open(&place.path).unwrap();
    let one_more = slot("/prod/web", 100);
    store.persist(WriteSeq(2), vec![one_more.clone()]).await.unwrap();
    stored_up_to(&mut stored, WriteSeq(2)).await;
    let crashed = std::fs::read(&place.path).unwrap();
    drop(store);
    let mut after = Expected::of(before.clone());
    after.write(one_more);
    for (whole, expected) in [(closed, before), (crashed, after.records())] {
        let mut refused = 0;
        // Prime steps, so that every offset within a page has its turn; the header more closely.
        for at in (0..512).step_by(7).chain((512..whole.len()).step_by(8191)) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(&place.path, &flipped).unwrap();
            match reopen(&place.path) {
                // A page that nothing uses.
                Ok(records) => assert_eq!(records, expected, "byte {at}"),
                Err(error) => {
                    refused += 1;
                    assert!(!matches!(error, StoreError::Newer { .. }), "byte {at}: {error}");
                    assert_eq!(std::fs::read(&place.path).unwrap(), flipped, "byte {at}: the file was touched");
                }
            }
        }
        assert!(refused > 10, "only {refused} were refused");
    }
}

#[tokio::test]
async fn pages_that_only_lead_to_records_are_guarded_too() {
    const PAGE: usize = 4096;
    let place = Place::new();
    let Opened { store, mut stored, .. } = Store::open(&place.path).unwrap();
    store.persist(WriteSeq(1), (0..1000).map(|number| slot("/prod/web", number)).collect()).await.unwrap();
    stored_up_to(&mut stored, WriteSeq(1)).await;
    let crashed = std::fs::read(&place.path).unwrap();
    store.close().await.unwrap();
    let closed = std::fs::read(&place.path).unwrap();
    let key = b"/prod/web#0000000";
    for (end, whole) in [("crashed", crashed), ("closed", closed)] {
        // Reading all records passes by what stands there; a write would go astray. A value begins with its version.
        let leading = whole.chunks(PAGE).enumerate().filter_map(|(number, page)| {
            let holds_values = page.windows(2).any(|bytes| bytes == b"1 ");
            let at = page.windows(key.len()).position(|bytes| bytes == key);
            at.filter(|_| !holds_values).map(|at| number * PAGE + at + key.len())
        });
        let refused = leading.filter(|at| {
            let mut forged = whole.clone();
            forged[*at] ^= 1;
            std::fs::write(&place.path, &forged).unwrap();
            matches!(reopen(&place.path), Err(StoreError::Damaged { .. }))
        });
        assert!(refused.count() > 0, "{end}");
    }
}

#[tokio::test]
async fn records_come_in_their_order_and_count_only_if_all_are_good() {
    // Of some forty bytes each: more than a thread makes records of at a time, many times over.
    const SLOTS: u32 = 40_000;
    let place = Place::new();
    let Opened { store, .. } = Store::open(&place.path).unwrap();
    store.persist(WriteSeq(1), (0..SLOTS).map(|number| slot("/prod/web", number)).collect()).await.unwrap();
    store.close().await.unwrap();

    let slot_of = |record: &Record| if let Record::Slot(slot) = record { Some(slot.slot.0) } else { None };
    let all = Store::open_into(&place.path, |records| records.map(|record| slot_of(&record)).collect::<Vec<_>>());
    let expected: Vec<_> = std::iter::once(None).chain((0..SLOTS).map(Some)).collect();
    assert_eq!(all.unwrap().records, expected);
    let first = Store::open_into(&place.path, |records| records.next().is_some());
    assert!(first.unwrap().records, "whoever takes up one only is given one only");

    // The last one, which comes long after the first ones were taken up.
    let mut whole = std::fs::read(&place.path).unwrap();
    let key = format!("/prod/web#{:010}", SLOTS - 1);
    let at = whole.windows(key.len()).rposition(|bytes| bytes == key.as_bytes()).unwrap();
    whole[at + key.len() + 1] ^= 1;
    std::fs::write(&place.path, &whole).unwrap();
    let mut taken_up = 0;
    let refused = Store::open_into(&place.path, |records| taken_up = records.count());
    assert!(matches!(refused, Err(StoreError::Damaged { .. } | StoreError::Record { .. })), "{:?}", refused.err());
    assert!(taken_up > 0, "nothing was taken up before");
    let refused = Store::open_into(&place.path, |records| records.next().is_some());
    assert!(refused.is_err(), "what nobody takes up is looked at all the same");
}

/// What is wrong with whoever takes records up is not taken for damage of the file, and nobody waits for ever.
#[tokio::test]
#[should_panic(expected = "not of the file")]
async fn a_panic_of_whoever_takes_records_up_is_his_own() {
    let place = Place::new();
    filled(&place.path).await;
    let _ = Store::open_into(&place.path, |records| {
        assert!(records.next().is_none(), "not of the file");
    });
}

#[tokio::test]
async fn every_byte_of_a_record_is_guarded() {
    let place = Place::new();
    filled(&place.path).await;
    let whole = std::fs::read(&place.path).unwrap();
    // Its last incarnation is the first one, and there are no instances.
    let mut value = format!("1 {:08x} ", crc32fast::hash(b"1 /prod/web#0000000042 \x01\x00")).into_bytes();
    value.extend([1, 0]);
    // Present copies and stale ones, which nothing reads, look alike: at least one of them must matter.
    let places: Vec<usize> = (0..whole.len()).filter(|at| whole[*at..].starts_with(&value)).collect();
    let refused = places.iter().filter(|at| {
        let mut forged = whole.clone();
        // It would be the second one.
        forged[**at + value.len() - 2] = 2;
        std::fs::write(&place.path, &forged).unwrap();
        reopen(&place.path).is_err()
    });
    assert_eq!(refused.count(), 1, "of {}", places.len());
}

#[tokio::test]
async fn definitions_come_back_with_all_that_they_say() {
    let reading = read_directory(Path::new("manifests/examples"), &Bounds::default());
    assert!(reading.apps.len() > 5, "{:?}", reading.diagnostics);
    let place = Place::new();
    let Opened { store, .. } = Store::open(&place.path).unwrap();
    let time = Timestamp::from_millis(1);
    let record = |app: &Arc<App>| {
        let source = Source::File { path: "x.yaml".into(), line: 1 };
        let declared = Declared::first(app.clone(), time, source);
        let revision = Revision {
            id: RevisionId(1),
            version: time,
            app: app.clone(),
            restarts: 0,
            target: 1,
            standing: Standing::Unproven,
        };
        Record::App(Box::new(AppRecord {
            id: app.id.clone(),
            birth: 1,
            key: None,
            declared: Some(declared),
            revisions: vec![revision],
            rollout: None,
            service_ports: Vec::new(),
            backoff: Backoff::default(),
            last_failure: None,
            condemned: Vec::new(),
        }))
    };
    let mut expected: Vec<Record> = reading.apps.iter().map(|app| record(&app.app)).collect();
    store.persist(WriteSeq(1), expected.iter().cloned().map(Write::Put).collect()).await.unwrap();
    store.close().await.unwrap();
    let mut found = reopen(&place.path).unwrap().split_off(1);
    let id = |record: &Record| if let Record::App(app) = record { app.id.clone() } else { unreachable!() };
    expected.sort_by_key(id);
    found.sort_by_key(id);
    assert_eq!(found, expected);
    let Record::App(app) = &found[0] else { unreachable!() };
    let declared = app.declared.as_ref().unwrap();
    assert!(Arc::ptr_eq(&declared.app, &app.revisions[0].app), "one definition is kept once");
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let place = Place::new();
    std::fs::write(&place.path, "id: /web\ncmd: sleep 100\n".repeat(400)).unwrap();
    let error = reopen(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let error = reopen(place.path.parent().unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    let error = reopen(&place.path.with_file_name("no").join("such").join("folder")).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
}

#[tokio::test]
async fn a_store_in_memory_reports_at_once() {
    let Opened { store, records, mut stored } = Store::in_memory().unwrap();
    let [Record::Installation(installation)] = &records[..] else { panic!("{records:?}") };
    assert_eq!(installation.births, 0);
    store.persist(WriteSeq(1), vec![slot("/a", 0)]).await.unwrap();
    store.persist(WriteSeq(2), vec![slot("/a", 1)]).await.unwrap();
    assert_eq!(stored.next().await.unwrap(), WriteSeq(2));
    store.close().await.unwrap();
    assert!(matches!(*stored.next().await.unwrap_err(), StoreError::Stopped));
}

#[tokio::test]
async fn nobody_has_to_listen() {
    let place = Place::new();
    let Opened { store, stored, .. } = Store::open(&place.path).unwrap();
    drop(stored);
    for seq in 1..=600 {
        store.persist(WriteSeq(seq), vec![slot("/a", seq as u32)]).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(reopen(&place.path).unwrap().len(), 601);
}
