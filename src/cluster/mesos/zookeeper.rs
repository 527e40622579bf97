//! The leading master, as ZooKeeper knows it.
//!
//! Masters stand for election by making ephemeral, numbered nodes in one folder; the one with the lowest number leads,
//! and its content, JSON, says where it listens (Mesos: `src/master/contender/zookeeper.cpp`,
//! `src/master/detector/zookeeper.cpp`). This module reads, and writes nothing.
//!
//! ZooKeeper is asked for the way, not for permission: while it is away, or our session is, what was known last stays
//! known, and a connection that lives goes on.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use zookeeper_client::{Client, Error, EventType, OneshotWatcher, SessionState};

use super::address::{Endpoint, Ensemble};
use super::backoff::Backoff;
use super::trouble::Trouble;

/// What masters' nodes are called, up to their number; others in the folder belong to the replicated log.
const CANDIDATE: &str = "json.info_";

/// For how long ZooKeeper may hear nothing of us. We own nothing there, so nothing hangs on it.
const SESSION: Duration = Duration::from_secs(10);

/// How long one server is given to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// How long to wait when there is no candidate's folder to watch: no master has ever started there.
const FOLDER_MISSING: Duration = Duration::from_secs(1);

/// Follows the election for as long as somebody wants to know, and puts the leader into `leader`. Before the first
/// answer and while nobody leads it is `None`; while ZooKeeper does not answer, what it was.
pub(super) async fn follow(ensemble: Ensemble, tls: bool, leader: watch::Sender<Option<Endpoint>>) {
    let mut backoff = Backoff::default();
    let mut trouble = Trouble::new("ZooKeeper");
    loop {
        let followed =
            Follower { ensemble: &ensemble, tls, leader: &leader, backoff: &mut backoff, trouble: &mut trouble };
        let lost = tokio::select! {
            lost = followed.run() => lost,
            () = leader.closed() => return,
        };
        let wait = backoff.wait();
        trouble.tell(&format!("{ensemble} does not say who leads: {lost}"));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = leader.closed() => return,
        }
    }
}

struct Follower<'a> {
    ensemble: &'a Ensemble,
    tls: bool,
    leader: &'a watch::Sender<Option<Endpoint>>,
    backoff: &'a mut Backoff,
    trouble: &'a mut Trouble,
}

impl Follower<'_> {
    /// Follows within one session, until that is over.
    async fn run(self) -> Error {
        let client = match connect(self.ensemble).await {
            Ok(client) => client,
            Err(error) => return error,
        };
        loop {
            let (leader, watcher) = match elected(&client, &self.ensemble.path, self.tls).await {
                Ok(found) => found,
                Err(Error::NoNode) => {
                    publish(self.leader, None);
                    tokio::time::sleep(FOLDER_MISSING).await;
                    continue;
                }
                Err(error) => return error,
            };
            self.backoff.reset();
            self.trouble.over();
            publish(self.leader, leader);
            let event = watcher.changed().await;
            if event.event_type == EventType::Session && event.session_state != SessionState::SyncConnected {
                return Error::SessionExpired;
            }
        }
    }
}

async fn connect(ensemble: &Ensemble) -> Result<Client, Error> {
    let mut connector = Client::connector().with_session_timeout(SESSION).with_connection_timeout(CONNECT);
    if let Some(login) = &ensemble.login {
        connector = connector.with_auth("digest", login.as_bytes());
    }
    connector.connect(&ensemble.servers).await
}

/// Who leads, and what tells when that may have changed.
async fn elected(client: &Client, path: &str, tls: bool) -> Result<(Option<Endpoint>, OneshotWatcher), Error> {
    let (first, content, watcher) = loop {
        let (nodes, _, watcher) = client.get_and_watch_children(path).await?;
        let Some(first) = lowest(&nodes) else { return Ok((None, watcher)) };
        match client.get_data(&format!("{path}/{first}")).await {
            Ok((content, _)) => break (first.clone(), content, watcher),
            // It went between the two questions: another one is the first by now.
            Err(Error::NoNode) => {}
            Err(error) => return Err(error),
        }
    };
    match endpoint(&content, tls) {
        Ok(leader) => Ok((Some(leader), watcher)),
        Err(cause) => {
            tracing::error!(node = %first, %cause, "ZooKeeper names a leading master that cannot be understood");
            Ok((None, watcher))
        }
    }
}

/// The candidate that came first. Numbers have ten digits; they are compared as numbers all the same, since ZooKeeper
/// lets them overflow.
fn lowest(nodes: &[String]) -> Option<&String> {
    let number = |node: &&String| node.strip_prefix(CANDIDATE).and_then(|number| number.parse::<i64>().ok());
    nodes.iter().filter_map(|node| number(&node).map(|number| (number, node))).min().map(|(_, node)| node)
}

/// `MasterInfo`, as far as we need it (Mesos: `include/mesos/mesos.proto`).
#[derive(Deserialize)]
struct MasterInfo {
    address: Option<Address>,
    hostname: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize)]
struct Address {
    hostname: Option<String>,
    ip: Option<String>,
    port: u16,
}

/// Where the master of this node listens: at its address, as for Mesos' own agents; with TLS at its name, which is what
/// certificates are made for.
fn endpoint(content: &[u8], tls: bool) -> Result<Endpoint, String> {
    let info: MasterInfo = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let (ip, hostname, port) = match info.address {
        Some(address) => (address.ip, address.hostname.or(info.hostname), Some(address.port)),
        None => (None, info.hostname, info.port),
    };
    let host = if tls { hostname.or(ip) } else { ip.or(hostname) };
    let host = host.filter(|host| !host.is_empty()).ok_or("it has no address")?;
    let port = port.filter(|port| *port != 0).ok_or("it has no port")?;
    Ok(Endpoint { tls, host: host.into(), port })
}

fn publish(leader: &watch::Sender<Option<Endpoint>>, found: Option<Endpoint>) {
    leader.send_if_modified(|known| {
        let differs = *known != found;
        if differs {
            if let Some(master) = &found {
                tracing::info!(%master, "ZooKeeper names the leading master")
            } else {
                tracing::warn!("according to ZooKeeper no master leads")
            }
            *known = found;
        }
        differs
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_leads_and_other_nodes_do_not() {
        let nodes =
            ["log_replicas", "json.info_0000000012", "json.info_0000000009", "info_0000000001", "json.info_x"];
        let nodes = nodes.map(str::to_owned);
        assert_eq!(lowest(&nodes).map(String::as_str), Some("json.info_0000000009"));
        assert_eq!(lowest(&nodes[..1]), None);
    }

    #[test]
    fn a_node_says_where_the_master_listens() {
        let node = br#"{"address":{"hostname":"m1.example","ip":"10.0.0.1","port":5050},"capabilities":[],
            "hostname":"m1.example","id":"b7","ip":16777226,"pid":"master@10.0.0.1:5050","port":5050,"version":"1.11.0"}"#;
        assert_eq!(endpoint(node, false).map(|master| master.to_string()), Ok("http://10.0.0.1:5050".to_owned()));
        assert_eq!(
            endpoint(node, true).map(|master| master.to_string()),
            Ok("https://m1.example:5050".to_owned())
        );
        assert!(endpoint(b"", false).is_err());
        assert!(endpoint(br#"{"hostname":"m1"}"#, false).is_err());
    }
}
