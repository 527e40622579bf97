//! What ends the connection for good, and what only looks like it.

use std::time::Duration;

use ekiden::cluster::Call;
use ekiden::cluster::mesos::{Credentials, MesosError};
use ekiden_kit::master::{FakeMesos, Fault, Options, Rule};
use ekiden_model::FrameworkId;

use crate::rig::{PATIENCE, Rig, kill, options};

async fn ended(rig: &Rig) -> MesosError {
    let ended = tokio::time::timeout(PATIENCE, rig.mesos.ended()).await;
    ended.unwrap_or_else(|_| panic!("it goes on: {:?}", *rig.mesos.status().borrow()))
}

#[tokio::test]
async fn a_framework_that_was_removed_is_not_taken_up_again() {
    let (rig, id) = Rig::subscribed(Options::default()).await;
    let rig = rig.listening();
    rig.fake.remove_framework(id.as_str());
    let error = ended(&rig).await;
    assert!(matches!(&error, MesosError::Removed { framework, .. } if framework == id.as_str()), "{error}");
    assert!(error.to_string().contains("move the state directory away"), "{error}");
}

#[tokio::test]
async fn of_two_schedulers_of_one_framework_the_first_gives_way_and_does_not_fight_back() {
    let (first, id) = Rig::subscribed(Options::default()).await;
    let second = options(&first.fake.address());
    let (second, mut events) = ekiden::cluster::mesos::start(second).expect("options");
    second.call(Call::Subscribe(Some(id.clone()))).await;
    assert!(matches!(ended(&first).await, MesosError::Superseded { .. }));
    assert!(events.recv().await.is_some());
    assert_eq!(first.fake.count("SUBSCRIBE"), 2, "one each");
    assert_eq!(first.fake.frameworks().get(id.as_str()), Some(&true), "the second one stays");
}

#[tokio::test]
async fn the_first_gives_way_even_when_it_hears_of_it_by_its_own_call() {
    let (mut first, id) = Rig::subscribed(Options::default()).await;
    first.drained().await;
    // Somebody subscribes as us, and what the master says of it does not arrive.
    first.fake.silent(true);
    let (second, _events) = ekiden::cluster::mesos::start(options(&first.fake.address())).expect("options");
    second.call(Call::Subscribe(Some(id))).await;
    first.seen_calls("SUBSCRIBE", 2).await;
    first.fake.silent(false);
    first.mesos.call(kill("nothing")).await;
    // The stream has ended: whether somebody else was there is found out by subscribing again.
    first.disconnected().await;
}

#[tokio::test]
async fn a_wrong_secret_is_tried_for_a_while_and_then_told() {
    let right = Some(("ekiden".to_owned(), "right".to_owned()));
    let fake = FakeMesos::start(Options { credentials: right, ..Options::default() }).await.expect("a port");
    let mut options = options(&fake.address());
    options.credentials = Some(Credentials { principal: "ekiden".to_owned(), secret: "wrong".into() });
    let rig = Rig::with(fake, options);
    rig.mesos.call(Call::Subscribe(None)).await;
    let error = ended(&rig).await;
    assert!(matches!(error, MesosError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
    assert!(rig.fake.count("SUBSCRIBE") > 1);
}

#[tokio::test]
async fn one_refusal_is_none() {
    for fault in [Fault::answer(401, "401 Unauthorized."), Fault::answer(403, "403 Forbidden.")] {
        let mut rig = Rig::new(Options::default()).await;
        rig.fake.script(Rule::next("SUBSCRIBE", fault));
        rig.mesos.call(Call::Subscribe(None)).await;
        rig.connected().await;
    }
}

#[tokio::test]
async fn a_role_that_the_acls_forbid_is_told() {
    let fake = Options { forbidden_roles: vec!["*".to_owned()], ..Options::default() };
    let rig = Rig::new(fake).await;
    rig.mesos.call(Call::Subscribe(None)).await;
    let error = ended(&rig).await;
    assert!(matches!(error, MesosError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("Not authorized"), "{error}");
}

#[tokio::test]
async fn calls_that_meet_a_stream_of_the_past_cost_the_connection_and_not_the_process() {
    for fault in [
        Fault::answer(
            400,
            "The stream ID 'a' included in this request didn't match the stream ID currently associated",
        ),
        Fault::answer(403, "Framework is not subscribed"),
        Fault::answer(503, "Service Unavailable"),
        Fault::HangUp,
    ] {
        let (mut rig, id) = Rig::subscribed(Options::default()).await;
        rig.fake.script(Rule::next("KILL", fault.clone()));
        rig.mesos.call(kill("one")).await;
        rig.disconnected().await;
        assert_eq!(rig.connected().await, id, "{fault:?}");
        assert_eq!(rig.fake.count("KILL"), 1, "a call is sent once: {fault:?}");
    }
}

#[tokio::test]
async fn a_call_that_the_master_finds_wrong_costs_that_call() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    rig.drained().await;
    rig.fake.script(Rule::next("KILL", Fault::answer(400, "Failed to validate scheduler::Call: what is this")));
    rig.mesos.call(kill("one")).await;
    rig.mesos.call(kill("two")).await;
    rig.seen_calls("KILL", 2).await;
    assert!(!rig.drained().await.contains(&ekiden_model::input::ClusterEvent::Disconnected));
}

#[tokio::test]
async fn shutting_down_sends_what_was_said_before_and_leaves_the_framework_alone() {
    let (rig, id) = Rig::subscribed(Options::default()).await;
    rig.fake.script(Rule::next("KILL", Fault::Late(Duration::from_millis(200))));
    for task in ["one", "two", "three"] {
        rig.mesos.call(kill(task)).await;
    }
    let Rig { fake, mesos, .. } = rig;
    mesos.shutdown().await;
    assert_eq!(fake.count("KILL"), 3);
    let away =
        fake.wait(PATIENCE, |fake| (fake.frameworks().get(id.as_str()) == Some(&false)).then_some(())).await;
    assert!(away.is_some(), "it is not removed, and not connected");
}

#[tokio::test]
async fn tearing_down_removes_the_framework_even_when_the_call_is_lost_once() {
    for lost in [Fault::HangUp, Fault::DoneAndHangUp] {
        let (rig, id) = Rig::subscribed(Options::default()).await;
        rig.fake.script(Rule::next("TEARDOWN", lost));
        let Rig { fake, mesos, .. } = rig.listening();
        let removed = tokio::time::timeout(PATIENCE, mesos.tear_down()).await;
        assert_eq!(removed.expect("in time"), Ok(()));
        assert_eq!(fake.frameworks().get(id.as_str()), None);
    }
}

#[tokio::test]
async fn a_master_that_cannot_be_named_is_told_at_once() {
    for wrong in ["", "http://", "zk://", "nonsense:port"] {
        let error = ekiden::cluster::mesos::start(options(wrong)).err();
        assert!(matches!(error, Some(MesosError::Master { .. })), "{wrong:?}: {error:?}");
    }
    let error = ekiden::cluster::mesos::start(options("zk://user:secret@:port/x")).err();
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn an_id_that_a_new_master_has_never_heard_of_is_ours_all_the_same() {
    let mut rig = Rig::new(Options::default()).await;
    let id = FrameworkId::new("from-the-store-0001");
    rig.mesos.call(Call::Subscribe(Some(id.clone()))).await;
    assert_eq!(rig.connected().await, id);
}
