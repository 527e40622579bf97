//! What each agent has: given in Mesos' own notation, or found out from this machine.
//!
//! Amounts are bookkeeping: they decide what is offered and what a launch may take, but nothing holds a running
//! task to them. Ports are bookkeeping, too: a task gets those that it was given and that nobody used when Ekiden
//! started.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use ekiden_model::offer::Bundle;
use ekiden_model::{PortSet, Resources, Scalar};

use super::LocalError;
use super::used_ports::used_ports;

/// Mesos' default port range (`--resources` of an agent).
const DEFAULT_PORTS: std::ops::RangeInclusive<u16> = 31_000..=32_000;
/// What Mesos' agent leaves to the machine itself: 1 GiB of memory and 5 GiB of disk, or half where there is less
/// than twice that.
const MEM_KEPT_MIB: u64 = 1024;
const DISK_KEPT_MIB: u64 = 5 * 1024;

/// The resources of one agent, in the notation of Mesos' `--resources`:
/// `cpus:4;mem:4096;disk:10000;ports:[31000-31999]`.
///
/// What is left out is found out from the machine and split between the agents. Ports are always split: the agents
/// share this machine's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentResources {
    /// Processors.
    pub cpus: Option<Scalar>,
    /// Memory, MiB.
    pub mem: Option<Scalar>,
    /// Disk, MiB.
    pub disk: Option<Scalar>,
    /// Graphics processors; none unless given.
    pub gpus: Option<Scalar>,
    /// Ports of all agents together.
    pub ports: Option<PortSet>,
}

impl FromStr for AgentResources {
    type Err = LocalError;

    fn from_str(text: &str) -> Result<Self, LocalError> {
        let mut given = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = |why: &'static str| LocalError::Resources { part: part.to_owned(), why };
            let (name, value) = part.split_once(':').ok_or_else(|| wrong("write it as `name:value`"))?;
            let (name, value) = (name.trim(), value.trim());
            if name == "ports" {
                let ports = ranges(value).ok_or_else(|| wrong("write ports as `[31000-31999,33000-33010]`"))?;
                given.ports = Some(ports);
                continue;
            }
            let amount = match name {
                "cpus" => &mut given.cpus,
                "mem" => &mut given.mem,
                "disk" => &mut given.disk,
                "gpus" => &mut given.gpus,
                _ if name.contains('(') => return Err(wrong("agents of this machine have no reserved resources")),
                _ => return Err(wrong("an agent has `cpus`, `mem`, `disk`, `gpus` and `ports`")),
            };
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            *amount =
                Some(Scalar::from_f64(number.ok_or_else(|| wrong("write the amount as a number, 0 or more"))?));
        }
        Ok(given)
    }
}

/// `[31000-31999,33000]`
fn ranges(value: &str) -> Option<PortSet> {
    let list = value.strip_prefix('[')?.strip_suffix(']')?;
    let mut ranges = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (low, high) = (low.trim().parse::<u16>().ok()?, high.trim().parse::<u16>().ok()?);
        (low <= high).then_some(())?;
        ranges.push(low..=high);
    }
    Some(PortSet::from_ranges(ranges))
}

/// What each of `agents` agents has, whose sandboxes are in `work_dir`.
pub(super) fn shares(given: &AgentResources, agents: u32, work_dir: &Path) -> Result<Vec<Bundle>, LocalError> {
    let split = |machine: Scalar| Scalar(machine.0 / u64::from(agents));
    let resources = Resources {
        cpus: given.cpus.map_or_else(|| machine_cpus().map(split), Ok)?,
        mem: given.mem.map_or_else(|| machine_mem().map(split), Ok)?,
        disk: given.disk.map_or_else(|| free_disk(work_dir).map(split), Ok)?,
        gpus: given.gpus.unwrap_or_default(),
    };
    let mut ports = given.ports.clone().unwrap_or_else(|| PortSet::from_ranges([DEFAULT_PORTS]));
    for port in used_ports() {
        ports.remove(port);
    }
    Ok(split_ports(&ports, agents).into_iter().map(|ports| Bundle { resources, ports }).collect())
}

/// As even as can be, in order: 1001 ports for 4 agents are 251, 250, 250 and 250.
fn split_ports(ports: &PortSet, agents: u32) -> Vec<PortSet> {
    let (each, more) = (ports.len() / agents as usize, ports.len() % agents as usize);
    let mut rest = ports.iter();
    (0..agents as usize).map(|agent| rest.by_ref().take(each + usize::from(agent < more)).collect()).collect()
}

fn machine_cpus() -> Result<Scalar, LocalError> {
    let cpus = std::thread::available_parallelism().map_err(|cause| LocalError::Detect { what: "cpus", cause })?;
    Ok(Scalar::whole(cpus.get() as u64))
}

fn machine_mem() -> Result<Scalar, LocalError> {
    let meminfo =
        fs::read_to_string("/proc/meminfo").map_err(|cause| LocalError::Detect { what: "mem", cause })?;
    let total_kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let none =
        || LocalError::Detect { what: "mem", cause: std::io::Error::other("/proc/meminfo has no MemTotal") };
    Ok(Scalar::whole(less_what_is_kept(total_kib.ok_or_else(none)? / 1024, MEM_KEPT_MIB)))
}

fn free_disk(work_dir: &Path) -> Result<Scalar, LocalError> {
    let stat =
        rustix::fs::statvfs(work_dir).map_err(|cause| LocalError::Detect { what: "disk", cause: cause.into() })?;
    let free_mib = (u128::from(stat.f_bavail) * u128::from(stat.f_frsize)) >> 20;
    Ok(Scalar::whole(less_what_is_kept(u64::try_from(free_mib).unwrap_or(u64::MAX >> 20), DISK_KEPT_MIB)))
}

fn less_what_is_kept(mib: u64, kept: u64) -> u64 {
    if mib >= 2 * kept { mib - kept } else { mib / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ekiden_model::Port;

    #[test]
    fn mesos_notation_is_read() {
        let given: AgentResources = "cpus:1.5; mem:64;ports:[31000-31009, 32000]".parse().expect("well-formed");
        assert_eq!(given.cpus, Some(Scalar(1500)));
        assert_eq!(given.mem, Some(Scalar::whole(64)));
        assert_eq!(given.disk, None);
        assert_eq!(given.ports.expect("given").to_string(), "31000-31009,32000");
        assert_eq!("".parse::<AgentResources>().expect("nothing is given"), AgentResources::default());
    }

    #[test]
    fn mistakes_are_told() {
        let told = |text: &str| text.parse::<AgentResources>().expect_err("a mistake").to_string();
        assert_eq!(
            told("cpus:4;ram:8"),
            "resource `ram:8`: an agent has `cpus`, `mem`, `disk`, `gpus` and `ports`"
        );
        assert_eq!(told("cpus"), "resource `cpus`: write it as `name:value`");
        assert_eq!(told("cpus:-1"), "resource `cpus:-1`: write the amount as a number, 0 or more");
        assert_eq!(told("ports:[2-1]"), "resource `ports:[2-1]`: write ports as `[31000-31999,33000-33010]`");
        assert_eq!(
            told("cpus(web):1"),
            "resource `cpus(web):1`: agents of this machine have no reserved resources"
        );
    }

    #[test]
    fn ports_are_split_and_nothing_else_that_is_given() {
        let ports = PortSet::from_ranges([1..=5, 10..=14]);
        let split = split_ports(&ports, 3);
        assert_eq!(split.iter().map(PortSet::to_string).collect::<Vec<_>>(), ["1-4", "5,10-11", "12-14"]);

        let given: AgentResources = "cpus:2;mem:64;disk:10;ports:[]".parse().expect("well-formed");
        let shares = shares(&given, 2, Path::new("/")).expect("nothing to find out");
        assert!(shares.iter().all(|share| share.resources.cpus == Scalar::whole(2)), "{shares:?}");
    }

    #[test]
    fn this_machine_has_something_to_offer() {
        let shares = shares(&AgentResources::default(), 2, Path::new("/")).expect("found out");
        assert!(shares.iter().all(|share| share.resources.cpus > Scalar::ZERO), "{shares:?}");
        assert!(shares.iter().all(|share| share.resources.mem > Scalar::ZERO), "{shares:?}");
        assert!(shares.iter().all(|share| share.ports.len() > 100), "{shares:?}");
        assert_eq!(less_what_is_kept(1500, 1024), 750);
        assert_eq!(less_what_is_kept(4096, 1024), 3072);
    }

    #[test]
    fn a_port_in_use_is_not_offered() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let given = AgentResources { ports: Some(PortSet::from_ranges([port..=port])), ..Default::default() };
        let shares = shares(&given, 1, Path::new("/")).expect("found out");
        assert!(!shares[0].ports.contains(Port::new(port).expect("not 0")), "{shares:?}");
    }
}
