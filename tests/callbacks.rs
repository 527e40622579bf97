//! Events sent to addresses, by the real binary: from a cluster of Mesos, under TLS, and by `ekiden dev`.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/ekiden.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod ekiden;
#[path = "callbacks/receiver.rs"]
mod receiver;
#[path = "support/writes.rs"]
mod writes;

use std::sync::Arc;

use base64::Engine;
use ekiden::Ekiden;
use ekiden::client::write;
use ekiden_kit::master::{AgentSpec, FakeMesos, Options};
use receiver::Receiver;
use serde_json::{Value, json};
use tempfile::TempDir;

const WEB: &str = "id: web\ncmd: exec sleep 1000\ninstances: 1\ncpus: 0.1\nmem: 16\n";

fn folder() -> Arc<TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("manifests/web.yaml"), WEB);
    Arc::new(folder)
}

/// `ekiden serve` that sends events there.
async fn serving(mesos: &FakeMesos, address: &str, variables: &[(&str, &str)]) -> Ekiden {
    let master = mesos.address();
    let arguments = [
        &["serve", "--manifests", "manifests", "--state", "state", "--http", "127.0.0.1:0"][..],
        &["--master", &master, "--event_subscriber", "http_callback", "--http_endpoints", address],
    ];
    Ekiden::spawn_with(folder(), &arguments.concat(), variables).await
}

async fn mesos() -> FakeMesos {
    let options = Options { agents: vec![AgentSpec::new("agent-0.test")], ..Options::default() };
    FakeMesos::start(options).await.expect("a port")
}

/// What an executor says arrives, however often it has to say it until somebody listens.
async fn hears_of_an_executor(ekiden: &Ekiden, mesos: &FakeMesos, receiver: &Receiver) -> Value {
    ekiden.until_running("web", 1).await;
    let data = base64::engine::general_purpose::STANDARD.encode([104, 255]);
    let message = json!({ "agent_id": { "value": "S7" }, "executor_id": { "value": "E7" }, "data": data });
    ekiden
        .until("the message is passed on", async || {
            mesos.tell(&json!({ "type": "MESSAGE", "message": message }));
            receiver.event("framework_message_event", |_| true)
        })
        .await
}

#[tokio::test]
async fn what_happens_on_mesos_is_sent_to_addresses_of_the_command_line_and_of_clients() {
    let (mesos, fixed, named) = (mesos().await, Receiver::start(None).await, Receiver::start(None).await);
    let ekiden = serving(&mesos, &format!("http://{}/events?from=ekiden", fixed.address), &[]).await;
    let event = hears_of_an_executor(&ekiden, &mesos, &fixed).await;
    let told = (&event["executorId"], &event["slaveId"], &event["message"]);
    assert_eq!(told, (&json!("E7"), &json!("S7"), &json!([104, -1])));
    assert!(fixed.paths().iter().all(|path| path == "/events?from=ekiden"), "{:?}", fixed.paths());

    let subscription = format!("/v2/eventSubscriptions?callbackUrl=http://{}/", named.address);
    assert_eq!(ekiden.send("POST", &subscription, "").await.status, 200);
    hears_of_an_executor(&ekiden, &mesos, &named).await;
    let app = json!({ "id": "late", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16 });
    let (status, made) = ekiden.write_json("POST", "/v2/apps", &app).await;
    assert_eq!(status, 201, "{made}");
    for receiver in [&fixed, &named] {
        let is_its = |event: &Value| event["id"] == made["deployments"][0]["id"];
        ekiden.until("its deployment is told", async || receiver.event("deployment_success", is_its)).await;
    }
    assert_eq!(ekiden.send("DELETE", &subscription, "").await.status, 200);
}

#[tokio::test]
async fn an_address_under_tls_is_trusted_by_the_authority_that_is_named() {
    let authority = tempfile::tempdir().expect("a folder");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let file = authority.path().join("authority.pem");
    write(&file, &receiver::pem(pair.cert.der()));
    let receiver = Receiver::start(Some(pair)).await;
    let mesos = mesos().await;
    let address = format!("https://localhost:{}/", receiver.address.port());
    let ekiden = serving(&mesos, &address, &[("SSL_CERT_FILE", &file.to_string_lossy())]).await;
    hears_of_an_executor(&ekiden, &mesos, &receiver).await;
}

#[tokio::test]
async fn dev_sends_events_too() {
    let receiver = Receiver::start(None).await;
    let address = format!("http://{}/", receiver.address);
    let flags = ["--event_subscriber", "http_callback", "--http_endpoints", &address];
    let ekiden = Ekiden::start_in(folder(), "42870-42879", &flags).await;
    ekiden.until_running("web", 1).await;
    assert_eq!(ekiden.json("/v2/eventSubscriptions").await, json!({ "callbackUrls": [address] }));
    let app = json!({ "id": "late", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16 });
    assert_eq!(ekiden.write_json("POST", "/v2/apps", &app).await.0, 201);
    let is_its = |event: &Value| event["appDefinition"]["id"] == "/late";
    ekiden.until("it is told", async || receiver.event("api_post_event", is_its)).await;
}
