//! A web server that runs as a task and answers which version of itself it is: this very test program, started again.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::send;

/// With `PORT0` in its environment it serves there until it is killed. Without, it is a test of that server.
#[tokio::test]
async fn the_server_used_as_a_task_answers_its_version() {
    let version = std::env::var("TASK_VERSION").unwrap_or_else(|_| "v0".to_owned());
    let port = std::env::var("PORT0").ok();
    let listener = TcpListener::bind(format!("0.0.0.0:{}", port.as_deref().unwrap_or("0"))).await.expect("a port");
    let address = format!("127.0.0.1:{}", listener.local_addr().expect("bound").port());
    let serving = tokio::spawn(serve(listener, version));
    if port.is_some() {
        serving.await.expect("it serves until it is killed");
    } else {
        assert_eq!(ask(&address).await.as_deref(), Some("v0"));
    }
}

/// The app `web`, of three instances, which answer this.
pub(crate) fn manifest(version: &str) -> String {
    let program = std::env::current_exe().expect("this program");
    let (_, module) = module_path!().split_once("::").expect("a module of the test program");
    let test = format!("{module}::the_server_used_as_a_task_answers_its_version");
    serde_json::json!({
        "id": "web",
        "cmd": format!("TASK_VERSION={version} exec '{}' --exact {test} --nocapture", program.display()),
        "instances": 3,
        "cpus": 0.1,
        "mem": 16,
        "portDefinitions": [{ "port": 0, "name": "http" }],
        "upgradeStrategy": { "minimumHealthCapacity": 1.0, "maximumOverCapacity": 0.4 },
        "healthChecks": [{
            "protocol": "HTTP", "path": "/", "portIndex": 0,
            "gracePeriodSeconds": 20, "intervalSeconds": 1, "timeoutSeconds": 2, "maxConsecutiveFailures": 3,
        }],
    })
    .to_string()
}

/// What the server there answers; nothing when it does not.
pub(crate) async fn ask(address: &str) -> Option<String> {
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = tokio::time::timeout(Duration::from_secs(2), send(address, &request)).await.ok()?.ok()?;
    answer.head.starts_with("http/1.1 200").then_some(answer.body)
}

async fn serve(listener: TcpListener, version: String) {
    let version: Arc<str> = version.into();
    while let Ok((mut stream, _)) = listener.accept().await {
        let version = Arc::clone(&version);
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let length = version.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{version}");
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}
