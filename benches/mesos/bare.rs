//! The least that a framework can do: subscribe, launch all at once, acknowledge. What it takes is Mesos' own time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// How long it took, from the first offers on.
pub(crate) struct Took {
    /// Until the last launch was sent.
    pub(crate) launched: Duration,
    /// Until all ran.
    pub(crate) running: Duration,
}

struct Framework {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    stream: String,
    id: Value,
}

impl Framework {
    async fn post(&self, body: &Value) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::post(&self.url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json");
        if !self.stream.is_empty() {
            request = request.header("Mesos-Stream-Id", &self.stream);
        }
        let request = request.body(Full::from(body.to_string())).expect("a request");
        let answer = self.client.request(request).await.expect("the master answers");
        assert!(answer.status().is_success(), "{body}: {}", answer.status());
        answer
    }

    async fn call(&self, mut body: Value) {
        body["framework_id"] = self.id.clone();
        self.post(&body).await;
    }
}

/// Launches so many tasks, spread over what is offered first, and waits until all run.
pub(crate) async fn launch(master: &str, count: usize) -> Took {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{master}/api/v1/scheduler");
    let mut framework = Framework { client, url, stream: String::new(), id: Value::Null };
    let info = json!({"user": "root", "name": "bare", "roles": ["*"],
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}]});
    let subscribed = framework.post(&json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})).await;
    let stream = subscribed.headers().get("Mesos-Stream-Id").expect("a stream");
    framework.stream = stream.to_str().expect("text").to_owned();

    let (mut body, mut bytes) = (subscribed.into_body(), Vec::new());
    let (mut began, mut launched, mut running) = (None, Duration::ZERO, 0);
    loop {
        let event = next(&mut body, &mut bytes).await;
        match event["type"].as_str().expect("a type") {
            "SUBSCRIBED" => framework.id = event["subscribed"]["framework_id"].clone(),
            "OFFERS" if began.is_none() => {
                let now = *began.insert(Instant::now());
                let offers = event["offers"]["offers"].as_array().expect("offers");
                for (index, offer) in offers.iter().enumerate() {
                    let share = (index * count / offers.len())..((index + 1) * count / offers.len());
                    framework.call(accept(offer, share)).await;
                }
                launched = now.elapsed();
            }
            "UPDATE" => {
                let status = &event["update"]["status"];
                framework
                    .call(json!({"type": "ACKNOWLEDGE", "acknowledge":
                        {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]}}))
                    .await;
                running += usize::from(status["state"] == "TASK_RUNNING");
                if running == count {
                    framework.call(json!({"type": "TEARDOWN"})).await;
                    return Took { launched, running: began.expect("launched").elapsed() };
                }
            }
            _ => {}
        }
    }
}

fn accept(offer: &Value, tasks: std::ops::Range<usize>) -> Value {
    let resource = |name: &str, amount: f64| {
        let role = json!({"role": "*"});
        json!({"name": name, "type": "SCALAR", "scalar": {"value": amount}, "allocation_info": role})
    };
    let tasks: Vec<Value> = tasks
        .map(|number| {
            json!({"name": "light", "task_id": {"value": format!("light-{number}")}, "agent_id": offer["agent_id"],
                "resources": [resource("cpus", 0.01), resource("mem", 8.0)], "command": {"value": "exec sleep 1000"}})
        })
        .collect();
    json!({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 3600.0},
        "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}]}})
}

/// The next record of the stream: its length in decimal digits, a line feed, and so many bytes.
async fn next(body: &mut hyper::body::Incoming, bytes: &mut Vec<u8>) -> Value {
    loop {
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let length: usize = std::str::from_utf8(&bytes[..end]).expect("digits").parse().expect("a length");
            if bytes.len() > end + length {
                let event = serde_json::from_slice(&bytes[end + 1..=end + length]).expect("JSON");
                bytes.drain(..=end + length);
                return event;
            }
        }
        let frame = body.frame().await.expect("the stream goes on").expect("unbroken");
        bytes.extend_from_slice(frame.data_ref().expect("no trailers"));
    }
}
