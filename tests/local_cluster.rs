//! The embedded cluster, driven as the reconciler drives it, with real processes.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "local_cluster/bench.rs"]
mod bench;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use bench::{Bench, app, dynamic_port, eventually, launch_from, options, processes_with, shell, templated};
use ekiden::cluster::Call;
use ekiden_model::app::{CheckAddress, CheckKind, Command, Container, ContainerKind, Fetch, HealthCheck};
use ekiden_model::input::ClusterEvent;
use ekiden_model::{AgentId, Condition, Offer, Port, Role, Slot, TaskId};
use rustix::process::{Pid, Signal};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const SLOW: Duration = Duration::from_secs(3600);

fn conditions(life: &[ekiden_model::input::TaskStatus]) -> Vec<Condition> {
    life.iter().map(|status| status.condition).collect()
}

/// A number for `sleep` that no other process sleeps for.
fn unique_sleep() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("86399.{}{count:03}", std::process::id())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_and_finishes() {
    let mut bench = Bench::new().await;
    let task = bench.launch(&shell("echo hello; echo trouble >&2")).await.task;
    let life = bench.life(&task).await;
    let expected = [Condition::Staging, Condition::Starting, Condition::Running, Condition::Finished];
    assert_eq!(conditions(&life), expected);
    assert_eq!(&*life[3].message, "Command exited with status 0");
    assert_eq!(bench.file(&task, "stdout"), "hello\n");
    assert_eq!(bench.file(&task, "stderr"), "trouble\n");
    let sandbox = bench.cluster.sandbox(&task).expect("kept");
    assert_eq!(sandbox, bench.work_dir.join(sandbox.parent().expect("agent")).join(task.as_str()));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_says_how() {
    let mut bench = Bench::new().await;
    for (command, message) in [
        ("exit 3", "Command exited with status 3"),
        ("kill -KILL $$", "Command terminated with signal Killed"),
        ("kill -SEGV $$", "Command terminated with signal Segmentation fault"),
    ] {
        let task = bench.launch(&shell(command)).await.task;
        assert_eq!(&*bench.until(&task, Condition::Failed).await.message, message);
    }
    let missing = app(Command::Args(vec!["/no/such/program".to_owned()]));
    let task = bench.launch(&missing).await.task;
    let failed = bench.until(&task, Condition::Failed).await;
    assert!(failed.message.starts_with("failed to start the command: No such file"), "{}", failed.message);
    let stranger = templated(shell("true"), |template| template.user = Some("no-such-user".to_owned()));
    let task = bench.launch(&stranger).await.task;
    let failed = bench.until(&task, Condition::Failed).await;
    assert!(failed.message.starts_with("user `no-such-user` is not in /etc/passwd"), "{}", failed.message);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_not_read_by_a_shell() {
    let mut bench = Bench::new().await;
    let args = ["printf", "%s|", "$HOME", "a b"].map(ToOwned::to_owned).to_vec();
    let task = bench.launch(&app(Command::Args(args))).await.task;
    bench.until(&task, Condition::Finished).await;
    assert_eq!(bench.file(&task, "stdout"), "$HOME|a b|");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_task_has_its_time() {
    let mut bench = Bench::new().await;
    let polite = shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    let task = bench.launch(&polite).await.task;
    bench.file_with_text(&task, "stdout").await;
    bench.kill(&task, Some(SLOW)).await;
    let life = bench.life(&task).await;
    assert_eq!(conditions(&life)[3..], [Condition::Killing, Condition::Killed]);
    assert_eq!(&*life[4].message, "Command exited with status 7");
    assert_eq!(bench.file(&task, "stdout"), "ready\nbye\n");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_of_a_killed_task_does_not_take_its_children_with_it() {
    let mut bench = Bench::new().await;
    // The shell dies of SIGTERM at once; its child needs a moment, and has it.
    let task = bench
        .launch(&shell(
            "sh -c 'trap \"sleep 0.2; echo saved; exit 0\" TERM; echo ready; while :; do sleep 0.01; done' & wait",
        ))
        .await
        .task;
    bench.file_with_text(&task, "stdout").await;
    bench.kill(&task, Some(SLOW)).await;
    assert_eq!(&*bench.until(&task, Condition::Killed).await.message, "Command terminated with signal Terminated");
    assert_eq!(bench.file(&task, "stdout"), "ready\nsaved\n");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ignores_sigterm_is_killed_after_its_grace_which_later_orders_can_only_shorten() {
    let mut bench = Bench::new().await;
    let task = bench.launch(&shell("trap '' TERM; echo ready; while :; do sleep 0.01; done")).await.task;
    bench.file_with_text(&task, "stdout").await;
    let asked = Instant::now();
    bench.kill(&task, Some(SLOW)).await;
    bench.until(&task, Condition::Killing).await;
    bench.kill(&task, Some(Duration::from_millis(200))).await;
    bench.kill(&task, Some(SLOW)).await;
    assert_eq!(&*bench.until(&task, Condition::Killed).await.message, "Command terminated with signal Killed");
    assert!(asked.elapsed() >= Duration::from_millis(200));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_finished_task_leaves_behind_ends_with_it() {
    let mut bench = Bench::new().await;
    let sleep = unique_sleep();
    let task = bench.launch(&shell(&format!("setsid sleep {sleep} & echo $! && exit 0"))).await.task;
    bench.until(&task, Condition::Finished).await;
    assert_eq!(processes_with(&sleep), Vec::<String>::new());
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_marathons() {
    let mut bench = Bench::new().await;
    let mut app = templated(shell("env"), |template| {
        template.ports = vec![dynamic_port(Some("http-api"), Some(8080)), dynamic_port(None, None)];
        template.env =
            BTreeMap::from([("PORT1".to_owned(), "mine".to_owned()), ("GREETING".to_owned(), "a b".to_owned())]);
    });
    app.labels =
        BTreeMap::from([("haproxy.0-mode".to_owned(), "http".to_owned()), ("tier".to_owned(), "1".to_owned())]);
    let launch = bench.launch(&app).await;
    let task = launch.task.clone();
    bench.until(&task, Condition::Finished).await;

    let output = bench.file(&task, "stdout");
    // `sh` sets these by itself.
    let of_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let seen: BTreeMap<&str, &str> = output
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !of_shell.contains(name))
        .collect();
    let port = |index: usize| launch.host_ports[index].expect("given").to_string();
    let (first, second) = (port(0), port(1));
    let both = format!("{first},{second}");
    let port_by_number = format!("PORT_{second}");
    let sandbox = bench.cluster.sandbox(&task).expect("kept").to_string_lossy().into_owned();
    let inherited = ["PATH", "HOME", "LANG"].map(|name| (name, std::env::var(name).ok()));
    let mut expected = BTreeMap::from([
        ("HOST", "127.0.0.1"),
        ("PORT", &first),
        ("PORT0", &first),
        ("PORT1", "mine"),
        ("PORTS", &both),
        ("PORT_8080", &first),
        (&port_by_number, &second),
        ("PORT_HTTP-API", &first),
        ("MESOS_TASK_ID", task.as_str()),
        ("MESOS_SANDBOX", &sandbox),
        ("MARATHON_APP_ID", "/test/app"),
        ("MARATHON_APP_VERSION", "2026-11-20T10:00:00.000Z"),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE"),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
        ("MARATHON_APP_RESOURCE_MEM", "32.0"),
        ("MARATHON_APP_RESOURCE_DISK", "0.0"),
        ("MARATHON_APP_RESOURCE_GPUS", "0"),
        ("MARATHON_APP_LABELS", "HAPROXY_0_MODE TIER"),
        ("MARATHON_APP_LABEL_HAPROXY_0_MODE", "http"),
        ("MARATHON_APP_LABEL_TIER", "1"),
        ("GREETING", "a b"),
    ]);
    expected.extend(inherited.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    // A name with a dash is no name to a shell; dash does not pass it on, and bash does.
    if !seen.contains_key("PORT_HTTP-API") {
        expected.remove("PORT_HTTP-API");
    }
    assert_eq!(seen, expected);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_as_its_user_where_that_is_possible() {
    let mut bench = Bench::new().await;
    let app = templated(shell("id -un; id -G; touch mine; echo $HOME"), |template| {
        template.user = Some("daemon".to_owned());
        template.fetch = vec![fetched("/etc/hostname".to_owned())];
    });
    // Others must be able to pass the folders above the sandbox.
    let above = bench.work_dir.parent().expect("a folder").to_owned();
    std::fs::set_permissions(above, PermissionsExt::from_mode(0o755)).expect("ours");
    let task = bench.launch(&app).await.task;
    if rustix::process::geteuid().is_root() {
        bench.until(&task, Condition::Finished).await;
        assert_eq!(bench.file(&task, "stdout"), "daemon\n1\n/usr/sbin\n");
        let sandbox = bench.cluster.sandbox(&task).expect("kept");
        for file in ["mine", "hostname", "stdout"] {
            let owner =
                std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(sandbox.join(file)).expect("there"));
            assert_eq!(owner, 1, "{file}");
        }
    } else {
        let failed = bench.until(&task, Condition::Failed).await;
        assert!(failed.message.starts_with("only root can run tasks as `daemon`"), "{}", failed.message);
    }
    bench.cluster.shutdown().await;
}

fn fetched(uri: String) -> Fetch {
    Fetch { uri, extract: true, executable: false, cache: false, dest_path: None }
}

/// A server on this machine that has one page for each path, and redirects `/moved` to `/page.txt`.
async fn web_server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let answer = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let (status, body) = match request.uri().path() {
                    "/page.txt" => (200, "the page"),
                    "/moved" => (302, ""),
                    "/never" => std::future::pending().await,
                    "/sick" => (500, "sick"),
                    _ => (404, "what?"),
                };
                let answer = hyper::Response::builder().status(status).header("Location", "/page.txt");
                Ok::<_, Infallible>(
                    answer.body(http_body_util::Full::new(bytes::Bytes::from(body))).expect("well-formed"),
                )
            });
            let connection = hyper_util::rt::TokioIo::new(connection);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(connection, answer));
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_fetched_unpacked_and_made_executable() {
    let mut bench = Bench::new().await;
    let port = web_server().await;
    let source = tempfile::tempdir().expect("a folder");
    let at = |name: &str| source.path().join(name).to_string_lossy().into_owned();
    std::fs::write(at("tool"), "#!/bin/sh\necho from the tool\n").expect("written");
    std::fs::set_permissions(at("tool"), PermissionsExt::from_mode(0o644)).expect("ours");
    std::fs::write(at("data.txt"), "packed\n").expect("written");
    let tar = std::process::Command::new("tar")
        .args(["-czf", &at("data.tgz"), "-C", &at(""), "data.txt"])
        .status()
        .expect("tar runs");
    assert!(tar.success());

    let app = templated(shell("./tool; cat data.txt conf/page page.txt"), |template| {
        template.fetch = vec![
            Fetch { executable: true, ..fetched(at("tool")) },
            fetched(format!("file://{}", at("data.tgz"))),
            fetched(format!("http://127.0.0.1:{port}/page.txt?version=1")),
            Fetch { dest_path: Some("conf/page".to_owned()), ..fetched(format!("http://127.0.0.1:{port}/moved")) },
        ];
    });
    let task = bench.launch(&app).await.task;
    bench.until(&task, Condition::Finished).await;
    assert_eq!(bench.file(&task, "stdout"), "from the tool\npacked\nthe pagethe page");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_fails_fails_the_task_and_says_why() {
    let mut bench = Bench::new().await;
    let port = web_server().await;
    let broken = tempfile::Builder::new().suffix(".zip").tempfile().expect("a file");
    let broken = broken.path().to_string_lossy().into_owned();
    for (uri, cause) in [
        (format!("http://127.0.0.1:{port}/nothing"), "the server answers 404 Not Found".to_owned()),
        ("/no/such/file".to_owned(), "No such file or directory (os error 2)".to_owned()),
        (
            "hdfs://host/file".to_owned(),
            "write an absolute path, or a URI that begins with file://, http:// or https://".to_owned(),
        ),
        (broken, "`unzip` exited with status 9; the task's stderr has its output".to_owned()),
    ] {
        let app = templated(shell("true"), |template| template.fetch = vec![fetched(uri.clone())]);
        let task = bench.launch(&app).await.task;
        let failed = bench.until(&task, Condition::Failed).await;
        assert_eq!(*failed.message, format!("failed to fetch `{uri}`: {cause}"));
    }
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_can_be_killed_while_it_is_fetched() {
    let mut bench = Bench::new().await;
    let port = web_server().await;
    let app = templated(shell("true"), |template| {
        template.fetch = vec![fetched(format!("http://127.0.0.1:{port}/never"))];
    });
    let task = bench.launch(&app).await.task;
    assert_eq!(bench.status(&task).await.condition, Condition::Staging);
    bench.kill(&task, None).await;
    let killed = bench.status(&task).await;
    assert_eq!(
        (killed.condition, &*killed.message),
        (Condition::Killed, "Killed before delivery to the executor")
    );
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_accept_leaves_is_offered_again_and_so_is_what_a_task_frees() {
    let mut bench = Bench::new().await;
    let app = templated(shell("sleep 3600"), |template| template.ports = vec![dynamic_port(None, None)]);
    let offer = bench.offer().await;
    let launch = launch_from(&offer, &app, Slot(0));
    bench.accept(&offer, vec![launch.clone()]).await;
    let rest = bench.offer().await;
    assert_ne!(rest.id, offer.id);
    let mut expected = offer.unreserved.clone();
    expected.resources -= &launch.claim.unreserved.resources;
    expected.ports.remove(launch.host_ports[0].expect("given"));
    assert_eq!(rest.unreserved, expected);

    bench.until(&launch.task, Condition::Running).await;
    bench.kill(&launch.task, None).await;
    let freed = bench.offer().await;
    assert_eq!(freed.unreserved, launch.claim.unreserved);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_outside_of_their_offer_are_refused_as_mesos_does() {
    let mut bench = Bench::new().await;
    let offer = bench.offer().await;
    let good = launch_from(&offer, &shell("true"), Slot(0));
    let mut greedy = launch_from(&offer, &shell("true"), Slot(1));
    greedy.claim.unreserved.resources.cpus = ekiden_model::Scalar::whole(101);
    let mut thief = launch_from(&offer, &shell("true"), Slot(2));
    thief.host_ports = vec![Port::new(80)];
    let docker = templated(shell("true"), |template| {
        template.container = Some(Container {
            kind: ContainerKind::Docker,
            image: Some("nginx".to_owned()),
            force_pull: false,
            privileged: false,
            parameters: Vec::new(),
            volumes: Vec::new(),
        });
    });
    let docker = launch_from(&offer, &docker, Slot(3));
    bench.accept(&offer, vec![good.clone(), greedy.clone(), thief.clone(), docker.clone(), good.clone()]).await;
    for (launch, message) in [
        (&greedy, "Task uses more resources 101 cpus"),
        (&thief, "Task uses host port 80 without claiming it"),
        (&docker, "this machine as a cluster runs plain processes"),
    ] {
        let status = bench.status(&launch.task).await;
        assert_eq!(status.condition, Condition::Error);
        assert!(status.message.starts_with(message), "{}", status.message);
        assert_eq!(status.reason.as_deref(), Some("REASON_TASK_INVALID"));
    }
    let duplicate = bench.until(&good.task, Condition::Error).await;
    assert_eq!(*duplicate.message, format!("Task has duplicate ID: {}", good.task));
    bench.until(&good.task, Condition::Finished).await;

    let late = launch_from(&offer, &shell("true"), Slot(4));
    bench.accept(&offer, vec![late.clone()]).await;
    let dropped = bench.status(&late.task).await;
    assert_eq!(dropped.condition, Condition::Dropped);
    assert_eq!(
        *dropped.message,
        format!("Task launched with invalid offers: Offer {} is no longer valid", offer.id)
    );
    assert_eq!(dropped.reason.as_deref(), Some("REASON_INVALID_OFFERS"));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_offer_comes_back_when_its_time_is_over_or_when_asked_for() {
    let mut bench = Bench::new().await;
    let decline = |offer: &Offer, refuse_for| Call::Decline { offers: vec![offer.id.clone()], refuse_for };
    let first = bench.offer().await;
    let declined = Instant::now();
    bench.cluster.call(decline(&first, Duration::from_millis(1200))).await;
    let second = bench.offer().await;
    assert!(declined.elapsed() >= Duration::from_millis(1200));
    assert_eq!(second.unreserved, first.unreserved);
    bench.cluster.call(decline(&second, SLOW)).await;
    bench.cluster.call(Call::Suppress(Role::any())).await;
    bench.cluster.call(Call::Revive(Role::new("web"))).await;
    assert_eq!(bench.offer().await.role, Role::new("web"));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reconciliation_answers_for_every_task() {
    let mut bench = Bench::new().await;
    let running = bench.launch(&shell("sleep 3600")).await;
    bench.until(&running.task, Condition::Running).await;
    let (gone, unknown) = (TaskId::new("gone"), TaskId::new("unknown"));
    let agent = running.agent.id.clone();
    let asked = vec![
        (running.task.clone(), agent.clone()),
        (gone.clone(), agent.clone()),
        (unknown.clone(), AgentId::new("of another run")),
    ];
    bench.cluster.call(Call::Reconcile(asked)).await;
    bench.wait_for("Reconciled", |bench| bench.reconciled == 1).await;
    for (task, condition) in
        [(&running.task, Condition::Running), (&gone, Condition::Gone), (&unknown, Condition::Gone)]
    {
        let status = bench.status(task).await;
        assert_eq!((status.condition, status.ack), (condition, None));
        assert_eq!(status.reason.as_deref(), Some("REASON_RECONCILIATION"));
    }
    bench.cluster.call(Call::Reconcile(Vec::new())).await;
    bench.wait_for("Reconciled", |bench| bench.reconciled == 2).await;
    assert_eq!(bench.status(&running.task).await.condition, Condition::Running);

    bench.cluster.call(Call::Kill { task: gone.clone(), agent: Some(agent), grace: None }).await;
    assert_eq!(bench.status(&gone).await.condition, Condition::Gone);
    bench.kill(&unknown, None).await;
    assert_eq!(bench.status(&unknown).await.condition, Condition::Gone, "no task outlives its run");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_repeated_until_it_is_acknowledged_and_the_next_waits() {
    let mut bench = Bench::with(|options| ekiden::cluster::local::LocalOptions {
        update_retry: Duration::from_millis(50),
        ..options
    })
    .await;
    bench.acknowledges = false;
    let launch = bench.launch(&shell("true")).await;
    assert_eq!(bench.status(&launch.task).await.condition, Condition::Staging);
    for condition in [Condition::Starting, Condition::Running, Condition::Finished] {
        let first = bench.status(&launch.task).await;
        let again = bench.status(&launch.task).await;
        assert_eq!(first.condition, condition);
        assert_eq!(again, first);
        bench.cluster.call(Call::Acknowledge(first.ack.expect("to be acknowledged"))).await;
    }
    bench.cluster.call(Call::Reconcile(vec![(launch.task.clone(), launch.agent.id.clone())])).await;
    bench.wait_for("Reconciled", |bench| bench.reconciled == 1).await;
    // A repetition may have been on its way when the last acknowledgement was.
    let mut last = bench.status(&launch.task).await;
    while last.ack.is_some() {
        last = bench.status(&launch.task).await;
    }
    assert_eq!(last.condition, Condition::Gone);
    bench.cluster.shutdown().await;
}

fn check(kind: CheckKind, max_failures: u32) -> HealthCheck {
    HealthCheck {
        kind,
        grace_period: Duration::ZERO,
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(20),
        delay: Duration::ZERO,
        max_failures,
        ignore_http_1xx: false,
        ipv6: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_check_runs_beside_its_task_and_ends_it_when_it_fails_too_often() {
    let mut bench = Bench::new().await;
    let mut app = shell("echo fine > health; echo ready; sleep 3600");
    let command = "test \"$MARATHON_APP_ID\" = /test/app && grep -q fine health".to_owned();
    app.health_checks = vec![check(CheckKind::Command { command }, 2)];
    let task = bench.launch(&app).await.task;
    bench.file_with_text(&task, "stdout").await;
    let mut status = bench.until(&task, Condition::Running).await;
    while status.healthy != Some(true) {
        status = bench.until(&task, Condition::Running).await;
    }
    std::fs::write(bench.cluster.sandbox(&task).expect("kept").join("health"), "sick").expect("written");
    let life = bench.life(&task).await;
    assert_eq!(conditions(&life), [Condition::Running, Condition::Killing, Condition::Killed]);
    assert!(life.iter().all(|status| status.healthy == Some(false)), "{life:?}");
    assert_eq!(&*life[0].message, "the check's command exited with status 1");
    assert_eq!(
        &*life[2].message,
        "Command terminated with signal Terminated because of 2 failed checks in a row: \
         the check's command exited with status 1"
    );
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_hangs_has_failed_and_leaves_nothing() {
    let mut bench = Bench::new().await;
    let mut app = shell("sleep 3600");
    let sleep = unique_sleep();
    let hanging = CheckKind::Command { command: format!("setsid sleep {sleep} & setsid sleep {sleep}") };
    app.health_checks = vec![HealthCheck { timeout: Duration::from_millis(100), ..check(hanging, 1) }];
    let task = bench.launch(&app).await.task;
    let killed = bench.until(&task, Condition::Killed).await;
    assert_eq!(
        &*killed.message,
        "Command terminated with signal Terminated because of a check that failed: no answer within 0.1 s"
    );
    eventually("the end of the check", || processes_with(&sleep).is_empty().then_some(())).await;
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_tcp_checks_ask_the_port() {
    let mut bench = Bench::new().await;
    let port = Port::new(web_server().await).expect("not 0");
    let address = CheckAddress::Port(port);
    let http = |path: &str| CheckKind::Http { tls: false, address, path: path.to_owned(), by_executor: true };
    let refused = CheckKind::Tcp { address: CheckAddress::Port(Port::new(1).expect("not 0")), by_executor: true };
    for (kind, healthy, message) in [
        (http("/moved"), true, ""),
        (http("/sick"), false, "/sick answers 500"),
        (CheckKind::Tcp { address, by_executor: true }, true, ""),
        (refused, false, "127.0.0.1:1 does not accept: Connection refused (os error 111)"),
    ] {
        let mut app = shell("sleep 3600");
        app.health_checks = vec![check(kind, 0)];
        let task = bench.launch(&app).await.task;
        let mut status = bench.until(&task, Condition::Running).await;
        while status.healthy.is_none() {
            status = bench.until(&task, Condition::Running).await;
        }
        assert_eq!(status.healthy, Some(healthy));
        assert!(status.message.ends_with(message), "{}", status.message);
        bench.kill(&task, Some(Duration::ZERO)).await;
    }
    bench.cluster.shutdown().await;
}

/// A server that speaks TLS with a certificate of its own making, and answers every request with 200.
async fn tls_server() -> u16 {
    let pem = include_bytes!("local_cluster/self_signed.pem");
    let certificate = CertificateDer::from_pem_slice(pem).expect("well-formed");
    let key = PrivateKeyDer::from_pem_slice(pem).expect("well-formed");
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a good configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // Who does not get through the handshake is who the test is about.
            let Ok(connection) = acceptor.accept(connection).await else { continue };
            let answer = hyper::service::service_fn(|_| async {
                Ok::<_, Infallible>(hyper::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
            });
            let connection = hyper_util::rt::TokioIo::new(connection);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(connection, answer));
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_takes_any_certificate_and_a_fetch_does_not() {
    let mut bench = Bench::new().await;
    let port = tls_server().await;
    let address = CheckAddress::Port(Port::new(port).expect("not 0"));
    let https = CheckKind::Http { tls: true, address, path: "/".to_owned(), by_executor: true };
    let mut app = shell("sleep 3600");
    app.health_checks = vec![check(https, 0)];
    let task = bench.launch(&app).await.task;
    assert_eq!(bench.until(&task, Condition::Running).await.healthy, None);
    let status = bench.until(&task, Condition::Running).await;
    assert_eq!((status.healthy, &*status.message), (Some(true), ""));

    let uri = format!("https://127.0.0.1:{port}/file");
    let app = templated(shell("true"), |template| template.fetch = vec![fetched(uri.clone())]);
    let task = bench.launch(&app).await.task;
    let failed = bench.until(&task, Condition::Failed).await;
    assert!(failed.message.starts_with(&format!("failed to fetch `{uri}`: ")), "{}", failed.message);
    assert!(failed.message.contains("certificate"), "{}", failed.message);
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_within_the_grace_period_say_nothing() {
    let mut bench = Bench::new().await;
    let mut app = shell("sleep 3600");
    // Fails twice, then is healthy.
    let command = "echo x >> tries; test $(wc -l < tries) -gt 2".to_owned();
    app.health_checks = vec![HealthCheck { grace_period: SLOW, ..check(CheckKind::Command { command }, 1) }];
    let task = bench.launch(&app).await.task;
    assert_eq!(bench.until(&task, Condition::Running).await.healthy, None);
    assert_eq!(bench.until(&task, Condition::Running).await.healthy, Some(true));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tasks_come_and_go() {
    let mut bench = Bench::new().await;
    let offer = bench.offer().await;
    let app = shell("true");
    let tasks: Vec<_> = (0..200).map(|slot| launch_from(&offer, &app, Slot(slot))).collect();
    bench.accept(&offer, tasks.clone()).await;
    for launch in &tasks {
        bench.until(&launch.task, Condition::Finished).await;
    }
    // In the end everything that was taken is on offer again.
    let all = offer.unreserved.resources;
    bench
        .wait_for("all resources back", |bench| {
            let mut sum = ekiden_model::Resources::NONE;
            bench.offers.iter().for_each(|offer| sum += &offer.unreserved.resources);
            sum == all
        })
        .await;
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_apart() {
    let mut bench = Bench::with(|options| ekiden::cluster::local::LocalOptions {
        agents: 3,
        attributes: "rack:r%d;zone:z1".parse().expect("well-formed"),
        ..options
    })
    .await;
    let offers = std::mem::take(&mut bench.offers);
    let hosts: Vec<&str> = offers.iter().map(|offer| &*offer.agent.hostname).collect();
    assert_eq!(hosts, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let racks: Vec<&str> = offers.iter().map(|offer| &*offer.agent.attributes["rack"]).collect();
    assert_eq!(racks, ["r1", "r2", "r3"]);
    for pair in offers.windows(2) {
        let shared = pair[0].unreserved.ports.iter().filter(|port| pair[1].unreserved.ports.contains(*port));
        assert_eq!(shared.count(), 0);
    }
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_every_task_and_cleans_up() {
    let mut bench = Bench::new().await;
    let sleep = unique_sleep();
    let task = bench.launch(&shell(&format!("setsid sleep {sleep} & echo ready; sleep {sleep}"))).await.task;
    bench.file_with_text(&task, "stdout").await;
    let work_dir = bench.work_dir.clone();
    bench.cluster.shutdown().await;
    assert_eq!(processes_with(&sleep), Vec::<String>::new());
    assert!(!work_dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_dropped_takes_its_tasks_with_it() {
    let mut bench = Bench::new().await;
    let sleep = unique_sleep();
    let task = bench.launch(&shell(&format!("trap '' TERM; echo ready; sleep {sleep}"))).await.task;
    bench.file_with_text(&task, "stdout").await;
    drop(bench);
    eventually("the end of the task", || processes_with(&sleep).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_its_supervisor_does_not_run_on() {
    let mut bench = Bench::new().await;
    let sleep = unique_sleep();
    let task = bench.launch(&shell(&format!("echo $PPID; sleep {sleep}"))).await.task;
    let supervisor = bench.file_with_text(&task, "stdout").await.trim().parse().expect("a process id");
    // The command may say something before its supervisor says that it has started.
    bench.until(&task, Condition::Running).await;
    rustix::process::kill_process(Pid::from_raw(supervisor).expect("not 0"), Signal::KILL).expect("ours");
    let failed = bench.until(&task, Condition::Failed).await;
    assert_eq!(&*failed.message, "Command ended together with its supervisor, which was killed");
    eventually("the end of the task", || processes_with(&sleep).is_empty().then_some(())).await;
    bench.cluster.shutdown().await;
}

/// Set, to where the cluster is to be, in the process that is to be killed.
const VICTIM: &str = "EKIDEN_TEST_VICTIM";

/// Runs twice: once as the test, and once, started by it, as the process that gets killed.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_leaves_no_process_behind() {
    if let Ok(dir) = std::env::var(VICTIM) {
        return run_until_killed(dir.as_ref()).await;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let mut victim = tokio::process::Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "kill_9_leaves_no_process_behind"])
        .env(VICTIM, dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let said = |who: &str| {
        let said = std::fs::read_to_string(dir.path().join(who)).ok()?;
        Some(said.strip_suffix('\n')?.to_owned())
    };
    let (sleep, _, supervisor) =
        eventually("the task and its daemons", || Some((said("child")?, said("daemon")?, said("task")?))).await;
    let command_of =
        |process: &str| std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    assert!(processes_with(&sleep).len() >= 3, "{:?}", processes_with(&sleep));
    assert!(command_of(&supervisor).starts_with("task-keeper"), "{}", command_of(&supervisor));
    victim.kill().await.expect("ours");
    eventually("the end of everything", || processes_with(&sleep).is_empty().then_some(())).await;
    let supervises = || command_of(&supervisor).starts_with("task-keeper");
    eventually("the end of the supervisor", || (!supervises()).then_some(())).await;
}

/// Launches a task with a child of its own and a daemon: twice forked, in a session of its own, deaf to SIGTERM.
async fn run_until_killed(dir: &std::path::Path) {
    let (cluster, mut events) = ekiden::cluster::local::start(options(&dir.join("work"))).await.expect("starts");
    let sleep = unique_sleep();
    let mark = |who: &str, what: &str| format!("echo {what} > {}/{who}", dir.display());
    let command = format!(
        "trap '' TERM HUP; {}; (setsid sh -c '{}; sleep {sleep}' &); sh -c '{}; sleep {sleep}' & sleep {sleep}",
        mark("task", "$PPID"),
        mark("daemon", &sleep),
        mark("child", &sleep)
    );
    while let Some(event) = events.recv().await {
        match event {
            ClusterEvent::Offers(offers) => {
                let offer = &offers[0];
                let tasks = vec![launch_from(offer, &shell(&command), Slot(0))];
                let (offers, agent) = (vec![offer.id.clone()], offer.agent.id.clone());
                cluster.call(Call::Accept { offers, agent, tasks }).await;
                cluster.call(Call::Suppress(Role::any())).await;
            }
            ClusterEvent::Status(status) => {
                if let Some(ack) = status.ack {
                    cluster.call(Call::Acknowledge(ack)).await;
                }
            }
            _ => {}
        }
    }
}
