//! The connection is lost in every way there is, told once, and mended as the same framework.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ekiden::cluster::Call;
use ekiden::cluster::mesos::Credentials;
use ekiden_kit::master::{FakeMesos, Fault, Options, Rule, unknown_event};
use ekiden_model::FrameworkId;
use ekiden_model::input::ClusterEvent;
use serde_json::json;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::rig::{PATIENCE, Rig, options};

/// Does it, and expects one loss and one return as the same framework.
async fn lost_and_mended(rig: &mut Rig, what: impl AsyncFnOnce(&FakeMesos)) {
    let id = rig.fake.frameworks().into_keys().next().expect("a framework");
    let before = rig.fake.count("SUBSCRIBE");
    what(&rig.fake).await;
    rig.disconnected().await;
    let again = rig.connected().await;
    assert_eq!(again.as_str(), id);
    let changes = |event: &ClusterEvent| matches!(event, ClusterEvent::Connected | ClusterEvent::Disconnected);
    assert!(!rig.drained().await.iter().any(changes), "told once");
    let subscriptions = rig.fake.calls("SUBSCRIBE");
    assert!(subscriptions.len() > before);
    for seen in &subscriptions[before..] {
        assert_eq!(seen.body["subscribe"]["framework_info"]["id"]["value"], *id, "the same one");
        assert_eq!(seen.stream, None, "a new subscription names no stream");
    }
}

#[tokio::test]
async fn a_subscription_registers_and_connects_once_with_all_that_mesos_should_know() {
    let (mut rig, id) = Rig::subscribed(Options::default()).await;
    assert!(matches!(rig.drained().await.as_slice(), [ClusterEvent::Offers(_)]));
    let subscriptions = rig.fake.calls("SUBSCRIBE");
    let info = &subscriptions[0].body["subscribe"]["framework_info"];
    assert_eq!((subscriptions.len(), info["id"].is_null()), (1, true), "a new framework, once");
    assert_eq!(rig.fake.frameworks().into_iter().collect::<Vec<_>>(), [(id.to_string(), true)]);
    assert_eq!(info["name"], "under-test");
    assert_eq!(info["checkpoint"], true);
    assert_eq!(info["failover_timeout"], 600.0);
    for capability in
        ["PARTITION_AWARE", "MULTI_ROLE", "TASK_KILLING_STATE", "REGION_AWARE", "RESERVATION_REFINEMENT"]
    {
        let listed = info["capabilities"].as_array().expect("a list");
        assert!(listed.contains(&json!({"type": capability})), "{capability}");
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_master_before_it_is_decided_as_whom() {
    let rig = Rig::new(Options::default()).await;
    tokio::time::sleep(crate::rig::QUIET).await;
    assert_eq!(rig.fake.seen().len(), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_is_mended() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    lost_and_mended(&mut rig, async |fake| fake.break_streams()).await;
    lost_and_mended(&mut rig, async |fake| fake.end_streams()).await;
}

#[tokio::test]
async fn a_frame_cut_in_its_middle_is_never_half_an_event() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    let half = b"70\n{\"type\":\"RESCIND\",\"rescind\":{\"offer_id\"".as_slice();
    lost_and_mended(&mut rig, async |fake| {
        fake.write_raw(half);
        fake.break_streams();
    })
    .await;
}

#[tokio::test]
async fn a_length_beyond_reason_is_not_waited_for() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    for length in [b"99999999999999\n".as_slice(), b"999999999999999999999999999999999999999999"] {
        lost_and_mended(&mut rig, async |fake| fake.write_raw(length)).await;
    }
}

#[tokio::test]
async fn garbage_ends_the_stream() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    for garbage in [b"HTTP/1.1 200 OK\r\n".as_slice(), b"5\n{\"a\":", b"-4\n{}{}"] {
        lost_and_mended(&mut rig, async |fake| fake.write_raw(garbage)).await;
    }
}

#[tokio::test]
async fn silence_is_a_loss_and_a_heartbeat_is_not() {
    let options = Options { heartbeat: Duration::from_millis(100), ..Options::default() };
    let (mut rig, _) = Rig::subscribed(options).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lost = rig.drained().await;
    assert!(!lost.contains(&ClusterEvent::Disconnected), "ten heartbeats have come: {lost:?}");
    rig.fake.silent(true);
    rig.disconnected().await;
    rig.fake.silent(false);
    rig.connected().await;
}

#[tokio::test]
async fn events_of_types_to_come_and_events_that_cannot_be_read_cost_nothing_but_themselves() {
    let (mut rig, _) = Rig::subscribed(Options::default()).await;
    rig.offer().await;
    rig.fake.tell(&unknown_event());
    rig.fake.tell(&json!({"type": "UPDATE", "update": {"status": {"state": "TASK_DANCING"}}}));
    rig.fake.tell(&json!({"type": "OFFERS"}));
    rig.fake.tell(&json!({}));
    rig.fake.rescind_offers();
    rig.until("what came after", |event| match event {
        ClusterEvent::Rescinded(_) => Some(()),
        ClusterEvent::Disconnected => panic!("disconnected"),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_master_that_does_not_lead_is_asked_who_does() {
    let fake = FakeMesos::start(Options::default()).await.expect("a port");
    let standby = fake.add_master().await.expect("a port");
    let options = options(&fake.addresses()[standby]);
    let mut rig = Rig::with(fake, options);
    rig.mesos.call(Call::Subscribe(None)).await;
    let id = rig.connected().await;
    let at: Vec<usize> = rig.fake.calls("SUBSCRIBE").iter().map(|seen| seen.master).collect();
    assert_eq!(at, [standby, 0]);

    // The other one leads now, and knows nothing.
    rig.fake.fail_over(standby);
    rig.disconnected().await;
    assert_eq!(rig.connected().await, id);
    assert_eq!(rig.fake.calls("SUBSCRIBE").last().map(|seen| seen.master), Some(standby));
}

#[tokio::test]
async fn masters_that_redirect_in_a_circle_are_not_followed_round_and_round() {
    let rig = Rig::new(Options::default()).await;
    let circle = Fault::redirect(&rig.fake.address(), "/api/v1/scheduler");
    rig.fake.script(Rule::always("SUBSCRIBE", circle));
    rig.mesos.call(Call::Subscribe(None)).await;
    rig.seen_calls("SUBSCRIBE", 3).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Some a round; rounds after 0.1, 0.2, 0.4 s, …
    let asked = rig.fake.count("SUBSCRIBE");
    assert!(asked < 50, "asked {asked} times in a second");
    rig.fake.clear_script();
    let mut rig = rig;
    rig.connected().await;
}

#[tokio::test]
async fn a_master_that_is_busy_is_asked_again_with_pauses() {
    let mut rig = Rig::new(Options::default()).await;
    let busy = Fault::answer(503, "Master has not finished recovery");
    rig.fake.script(Rule::next("SUBSCRIBE", busy).times(3));
    rig.mesos.call(Call::Subscribe(None)).await;
    rig.connected().await;
    let at: Vec<_> = rig.fake.calls("SUBSCRIBE").iter().map(|seen| seen.at).collect();
    let pauses: Vec<Duration> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses.len(), 3);
    for (pause, least) in pauses.iter().zip([100, 200, 400]) {
        assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
    }
}

#[tokio::test]
async fn of_several_masters_the_next_is_asked_when_one_is_dead() {
    let fake = FakeMesos::start(Options::default()).await.expect("a port");
    let other = fake.add_master().await.expect("a port");
    fake.fail_over(other);
    fake.stop_master(0);
    fake.wait(PATIENCE, |fake| std::net::TcpStream::connect(&fake.addresses()[0]).is_err().then_some(())).await;
    let options = options(&fake.addresses().join(","));
    let mut rig = Rig::with(fake, options);
    rig.mesos.call(Call::Subscribe(None)).await;
    rig.connected().await;
}

#[tokio::test]
async fn a_master_that_is_restarted_finds_us_again_with_its_memory_empty() {
    let (mut rig, id) = Rig::subscribed(Options::default()).await;
    rig.fake.stop_master(0);
    rig.disconnected().await;
    rig.fake.fail_over(0);
    rig.fake.start_master(0).await.expect("the port that it had");
    assert_eq!(rig.connected().await, id);
}

#[tokio::test]
async fn a_master_that_takes_the_connection_and_says_nothing_is_given_up() {
    let mut rig = Rig::new(Options::default()).await;
    rig.fake.script(Rule::next("SUBSCRIBE", Fault::Never));
    rig.mesos.call(Call::Subscribe(Some(FrameworkId::new("ours")))).await;
    rig.connected().await;
    assert_eq!(rig.fake.count("SUBSCRIBE"), 2);
}

#[tokio::test]
async fn a_late_answer_to_subscribe_is_waited_for() {
    let mut rig = Rig::new(Options::default()).await;
    rig.fake.script(Rule::next("SUBSCRIBE", Fault::Late(Duration::from_secs(1))));
    rig.mesos.call(Call::Subscribe(None)).await;
    rig.connected().await;
    assert_eq!(rig.fake.count("SUBSCRIBE"), 1);
}

#[tokio::test]
async fn every_request_carries_the_credentials_over_https_and_nobody_is_shown_them() {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, pem(&key)).expect("written");
    let fake = Options {
        tls: Some(server_config(&key)),
        credentials: Some(("ekiden".to_owned(), "open sesame".to_owned())),
        ..Options::default()
    };
    let fake = FakeMesos::start(fake).await.expect("a port");
    let mut options = options(&format!("https://{}", fake.address()));
    options.credentials = Some(Credentials { principal: "ekiden".to_owned(), secret: "open sesame".into() });
    options.certificate_authority = Some(authority);
    assert!(!format!("{options:?}").contains("sesame"));
    let mut rig = Rig::with(fake, options);
    rig.mesos.call(Call::Survey { except: None }).await;
    rig.mesos.call(Call::Subscribe(None)).await;
    rig.connected().await;
    rig.mesos.call(crate::rig::kill("nothing")).await;
    rig.seen_calls("KILL", 1).await;
    rig.seen_calls("GET_TASKS", 1).await;
    for seen in rig.fake.seen() {
        assert_eq!(seen.authorization.as_deref(), Some("Basic ZWtpZGVuOm9wZW4gc2VzYW1l"), "{}", seen.call);
    }
    let subscribe = &rig.fake.calls("SUBSCRIBE")[0];
    assert_eq!(subscribe.body["subscribe"]["framework_info"]["principal"], "ekiden");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_spoken_to() {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let fake = Options { tls: Some(server_config(&key)), ..Options::default() };
    let fake = FakeMesos::start(fake).await.expect("a port");
    let options = options(&format!("https://{}", fake.address()));
    let mut rig = Rig::with(fake, options);
    rig.mesos.call(Call::Subscribe(None)).await;
    assert_eq!(rig.event_within(Duration::from_secs(1)).await, None);
    assert_eq!(rig.fake.seen().len(), 0);
}

fn server_config(key: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Arc<ServerConfig> {
    let certificate: CertificateDer<'static> = key.cert.der().clone();
    let secret = PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], secret);
    Arc::new(config.expect("a certificate and its key"))
}

fn pem(key: &rcgen::CertifiedKey<rcgen::KeyPair>) -> String {
    let encoded = STANDARD.encode(key.cert.der());
    format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")
}
