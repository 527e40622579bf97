//! A Mesos cluster of its own for each test: real masters, agents and ZooKeeper, each a process that can be killed, stopped
//! for a while and started again. All they leave behind, tasks too, ends with the test, however it ends.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{self, PATIENCE, send};
use crate::kit;
use crate::ports::Ports;
use crate::process::Process;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How much of each log a failed test shows.
const TAIL_LINES: usize = 25;

/// What makes masters quick: offers ten times a second, and an agent that does not answer is given up after 2 to 3 seconds.
const QUICK: [&str; 3] =
    ["--allocation_interval=100ms", "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2"];

/// The names of masters that are elected.
const MASTERS: [&str; 3] = ["master-1", "master-2", "master-3"];

/// Masters, agents, and what they need.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    reaper: Child,
    ports: Ports,
    processes: BTreeMap<String, Process>,
    /// Their ports, by name.
    masters: BTreeMap<String, u16>,
    agents: BTreeMap<String, u16>,
    zookeeper: Option<u16>,
}

impl Cluster {
    /// Nothing yet, but a folder and ports.
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("ekiden-mesos-").expect("a folder").keep();
        let mut reaper = Command::new(kit::reaper());
        let reaper =
            reaper.arg(&folder).stdin(Stdio::piped()).current_dir("/").spawn().expect("the reaper starts");
        let none = BTreeMap::new();
        Self {
            folder,
            reaper,
            ports: Ports::take(),
            processes: BTreeMap::new(),
            masters: none.clone(),
            agents: none,
            zookeeper: None,
        }
    }

    /// A master that leads by being the only one, and so many agents, each a process.
    pub(crate) async fn of(agents: u16) -> Self {
        let mut cluster = Self::new();
        cluster.master("master", &[]).await;
        for number in 1..=agents {
            cluster.agent(&format!("agent-{number}"), &[]).await;
        }
        cluster
    }

    /// Three masters, one of them elected through ZooKeeper, and an agent.
    pub(crate) async fn elected() -> Self {
        let mut cluster = Self::new();
        cluster.zookeeper().await;
        for name in MASTERS {
            cluster.master(name, &["--quorum=2"]).await;
        }
        // A master whose log is not complete yet is no help when the leader dies.
        for (name, &port) in &cluster.masters {
            let what = format!("{name} has the whole log");
            let complete = cluster.until(&what, async || {
                (get(port, "/metrics/snapshot").await?["registrar/log/recovered"].as_f64()? > 0.0).then_some(())
            });
            complete.await;
        }
        cluster.agent("agent-1", &[]).await;
        cluster
    }

    /// Where everything is. A process that works in it ends with the test.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a ZooKeeper of one server.
    pub(crate) async fn zookeeper(&mut self) {
        let port = self.ports.server();
        let settings = format!(
            "tickTime=250\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n",
            self.folder.join("zookeeper").display()
        );
        let file = self.folder.join("zoo.cfg");
        std::fs::write(&file, settings).expect("written");
        let main = "org.apache.zookeeper.server.ZooKeeperServerMain";
        let arguments = ["-Xmx128m", "-cp", "/usr/share/java/zookeeper.jar", main, &file.display().to_string()];
        self.start("zookeeper", Path::new("java"), arguments.map(str::to_owned).to_vec());
        self.zookeeper = Some(port);
        self.until_zookeeper_answers().await;
    }

    /// Starts a master; with ZooKeeper, if there is one by then.
    pub(crate) async fn master(&mut self, name: &str, flags: &[&str]) {
        let port = self.ports.server();
        let mut arguments = self.arguments("master", name, port);
        if let Some(zookeeper) = self.zookeeper {
            arguments.push(format!("--zk=zk://127.0.0.1:{zookeeper}/mesos"));
            arguments.push("--zk_session_timeout=2secs".to_owned());
        }
        arguments.extend(QUICK.iter().chain(flags).map(|&flag| flag.to_owned()));
        self.start(name, &kit::launcher(), arguments);
        self.masters.insert(name.to_owned(), port);
        self.until_answers(name, port).await;
    }

    /// Starts an agent, and waits until the master has it. Its tasks have ports of their own, its host an address of its own.
    pub(crate) async fn agent(&mut self, name: &str, flags: &[&str]) {
        let number = u16::try_from(self.agents.len()).expect("few") + 1;
        let port = self.ports.server();
        let mut arguments = self.arguments("agent", name, port);
        arguments.push(format!("--master={}", self.address()));
        arguments.push(format!("--hostname=127.0.0.{}", 10 + number));
        // Whoever runs the tests runs the tasks, root or not.
        arguments.push("--switch_user=false".to_owned());
        arguments.push(format!("--resources=cpus:4;mem:4096;disk:10000;ports:[{}]", self.ports.tasks(number)));
        if self.zookeeper.is_some() {
            arguments.push("--zk_session_timeout=2secs".to_owned());
        }
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        self.start(name, &kit::launcher(), arguments);
        self.agents.insert(name.to_owned(), port);
        self.until_answers(name, port).await;
        self.until_registered(name).await;
    }

    /// A port for one more server.
    pub(crate) fn port(&mut self) -> u16 {
        self.ports.server()
    }

    /// The ports for the tasks of an agent, from 1 on, the way Mesos writes ranges.
    pub(crate) fn tasks(&self, agent: u16) -> String {
        self.ports.tasks(agent)
    }

    /// What `--master` is told: one address, or where ZooKeeper is.
    pub(crate) fn address(&self) -> String {
        let lone = || format!("127.0.0.1:{}", self.masters.values().next().expect("a master"));
        self.zookeeper.map_or_else(lone, |port| format!("zk://127.0.0.1:{port}/mesos"))
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, name: &str) {
        self.process(name).kill();
    }

    /// Stops it from doing anything, as a machine without a network does.
    pub(crate) fn freeze(&mut self, name: &str) {
        self.process(name).signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&mut self, name: &str) {
        self.process(name).signal(Signal::CONT);
    }

    /// Starts it again as it was, and waits until it answers.
    pub(crate) async fn start_again(&mut self, name: &str) {
        self.process(name).start_again();
        match self.masters.get(name).or_else(|| self.agents.get(name)) {
            Some(&port) => self.until_answers(name, port).await,
            None => self.until_zookeeper_answers().await,
        }
    }

    /// Takes from an agent that has been killed its tasks and all that it knew, as setting up its machine anew does: it
    /// comes back as another one.
    pub(crate) fn set_up_anew(&mut self, name: &str) {
        let status = Command::new(kit::reaper()).arg(self.folder.join(name)).stdin(Stdio::null()).status();
        assert!(status.expect("the reaper starts").success());
    }

    /// What the leading master says at a path.
    pub(crate) async fn ask(&self, path: &str) -> Option<Value> {
        for &port in self.masters.values() {
            // One that does not lead sends us away; one that has been killed does not answer.
            if let Some(answer) = get(port, path).await {
                return Some(answer);
            }
        }
        None
    }

    /// Its `/state`.
    pub(crate) async fn state(&self) -> Value {
        self.until("a leading master", async || self.ask("/master/state").await).await
    }

    /// The name of the leading master.
    pub(crate) async fn leader(&self) -> String {
        self.until("a leading master", async || {
            for (name, &port) in &self.masters {
                if get(port, "/master/state").await.is_some() {
                    return Some(name.clone());
                }
            }
            None
        })
        .await
    }

    /// An operator's call, such as `DRAIN_AGENT`.
    pub(crate) async fn operate(&self, call: &Value) -> Option<Value> {
        let leader = self.masters[&self.leader().await];
        let (address, body) = (format!("127.0.0.1:{leader}"), call.to_string());
        let request = format!(
            "POST /api/v1 HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = send(&address, &request).await.expect("the master answers");
        assert!(answer.status == 200 || answer.status == 202, "{call}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).ok()
    }

    /// Subscribes as this framework, whoever is it already, for as long as what comes back is kept.
    pub(crate) async fn subscribe_as(&self, framework: &Value) -> TcpStream {
        let leader = self.masters[&self.leader().await];
        let id = json!({ "value": framework });
        let info = json!({ "id": id, "name": "another", "user": "nobody", "failover_timeout": 600.0 });
        let call = json!({ "type": "SUBSCRIBE", "framework_id": id, "subscribe": { "framework_info": info } });
        let (address, body) = (format!("127.0.0.1:{leader}"), call.to_string());
        let request = format!(
            "POST /api/v1/scheduler HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Accept: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&address).await.expect("the master takes connections");
        stream.write_all(request.as_bytes()).await.expect("written");
        stream
    }

    /// Waits until the leading master has an agent, and says under which id.
    pub(crate) async fn until_registered(&self, name: &str) -> String {
        let port = self.agents[name];
        self.until(&format!("{name} is registered"), async || {
            let state = self.ask("/master/state").await?;
            let agents = state["slaves"].as_array()?.clone();
            let ours =
                agents.iter().find(|agent| agent["active"] == json!(true) && agent["port"] == json!(port))?;
            Some(ours["id"].as_str()?.to_owned())
        })
        .await
    }

    /// Waits until the master has given an agent up.
    pub(crate) async fn until_unreachable(&self, name: &str) {
        let port = self.agents[name];
        self.until(&format!("{name} is given up"), async || {
            let state = self.ask("/master/state").await?;
            let agents = state["slaves"].as_array()?;
            agents
                .iter()
                .all(|agent| agent["port"] != json!(port) || agent["active"] == json!(false))
                .then_some(())
        })
        .await;
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn arguments(&self, mode: &str, name: &str, port: u16) -> Vec<String> {
        let work = self.folder.join(name).display().to_string();
        [mode, &format!("--port={port}"), &format!("--work_dir={work}")].map(str::to_owned).to_vec()
    }

    fn start(&mut self, name: &str, program: &Path, arguments: Vec<String>) {
        let process = Process::start(name, &self.folder, program, arguments);
        assert!(self.processes.insert(name.to_owned(), process).is_none(), "there are two of {name}");
    }

    fn process(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    async fn until_answers(&mut self, name: &str, port: u16) {
        let deadline = Instant::now() + PATIENCE;
        while get(port, "/version").await.is_none() {
            assert!(self.process(name).ended().is_none(), "{name} has ended");
            assert!(Instant::now() < deadline, "{name} does not answer");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a process has ended by itself.
    pub(crate) async fn until_ended(&mut self, name: &str) {
        self.process(name).until_ended().await;
    }

    async fn until_zookeeper_answers(&self) {
        let port = self.zookeeper.expect("there is a ZooKeeper");
        self.until("ZooKeeper answers", async || {
            // One that begins takes connections, and may forget them.
            let answer = tokio::time::timeout(Duration::from_secs(1), ask_zookeeper(port)).await.ok()?.ok()?;
            answer.contains("Mode: standalone").then_some(())
        })
        .await;
    }
}

impl Drop for Cluster {
    /// Shows the ends of all logs, if the test has failed, and waits until nothing is left of it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_logs(&self.folder);
        }
        drop(self.reaper.stdin.take());
        // It ends our own processes, too; those are zombies until they are waited for.
        let _ = self.reaper.wait();
        for process in self.processes.values_mut() {
            process.ended();
        }
    }
}

/// How ZooKeeper is, in its words.
async fn ask_zookeeper(port: u16) -> std::io::Result<String> {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"srvr").await?;
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// JSON, from whoever listens there.
async fn get(port: u16, path: &str) -> Option<Value> {
    let address = format!("127.0.0.1:{port}");
    // One that is stopped takes connections, and is silent.
    let answer = client::get(&address, path, "application/json");
    let answer = tokio::time::timeout(Duration::from_secs(2), answer).await.ok()?.ok()?;
    (answer.status == 200).then(|| serde_json::from_str(&answer.body).ok()).flatten()
}

/// The ends of the logs below a folder: of processes, and what executors wrote to stderr.
#[expect(clippy::print_stderr, reason = "what a failed test shows")]
fn show_logs(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link leads to what is seen anyway.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension() == Some(OsStr::new("log")) || path.file_name() == Some(OsStr::new("stderr"))
            {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                if !lines.is_empty() {
                    eprintln!("== {}", path.display());
                    eprintln!("{}", lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"));
                }
            }
        }
    }
}
