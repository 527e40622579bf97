//! The simulated cluster: a Mesos master, its agents and their tasks. This is the ground truth that invariants are
//! checked against; it knows nothing of what Ekiden thinks.
//!
//! It behaves as Mesos does where a framework can tell (`docs/scheduler-http-api.md` and the master's code):
//! allocation in cycles, offers whole per agent, filters that a decline leaves and a revive ends, updates repeated
//! until acknowledged and in order per task, reconciliation answered from the oldest unacknowledged update.

mod calls;
mod maintenance;
mod memory;
mod offers;
mod task;
mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::agent::Window;
use ekiden_model::input::ClusterEvent;
use ekiden_model::offer::Bundle;
use ekiden_model::{
    Agent, AgentId, AppId, InstanceKey, OfferId, Port, PortSet, Resources, Role, TaskId, Timestamp,
};

pub use maintenance::Drain;
pub use memory::Memory;
pub use offers::{Filter, SimOffer, Spent};
pub use task::SimTask;
pub use updates::Update;

use crate::timeline::{Happening, Timeline};

/// How long a master waits for an agent before it calls it unreachable: 5 pings of 15 s in Mesos, less here, so that
/// runs are short.
const NOTICE_AFTER: Duration = Duration::from_secs(15);

/// A machine that could be an agent.
#[derive(Debug, Clone)]
pub struct Machine {
    /// As it registers.
    pub agent: Arc<Agent>,
    /// What it has.
    pub total: Resources,
    /// The ports it has.
    pub ports: PortSet,
    /// What of its beside that is reserved, and to which role.
    pub reserved: Option<(Role, Bundle)>,
}

/// Whether an agent can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It can.
    Up,
    /// It can, and the master, a new one, has not heard of it yet.
    Unregistered,
    /// It cannot, and the master has not noticed yet.
    Cut,
    /// It cannot, and the master has said so.
    Unreachable,
    /// It will never be seen again, and the master has not been told: its machine lives on under another id.
    Abandoned,
    /// It will never be seen again, and the master has said so.
    Gone,
}

/// An agent.
#[derive(Debug)]
pub struct SimAgent {
    /// What it is.
    pub machine: Machine,
    /// Whether it can be reached.
    pub link: Link,
    /// What other frameworks have of it.
    pub foreign: Resources,
    /// Tasks that hold resources of it, or whose end is not acknowledged.
    pub tasks: BTreeSet<TaskId>,
    /// Counts its partitions, so that what belongs to an earlier one is ignored.
    pub cuts: u64,
    /// Its place in the schedule of maintenance.
    pub window: Option<Window>,
    /// An operator drains it.
    pub drain: Option<Drain>,
}

/// The cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    /// The agents, those that are gone included.
    pub agents: BTreeMap<AgentId, SimAgent>,
    /// Tasks that live, or whose end is not acknowledged.
    pub tasks: BTreeMap<TaskId, SimTask>,
    /// The task of the latest launch of an instance.
    pub by_instance: BTreeMap<(AppId, InstanceKey), TaskId>,
    /// The outstanding offers.
    pub offers: BTreeMap<OfferId, SimOffer>,
    /// What became of the other offers.
    pub spent: BTreeMap<OfferId, Spent>,
    /// Roles that offers are made to: the default one, and those that were asked for.
    pub roles: Vec<Role>,
    /// Roles that asked for no offers.
    pub suppressed: BTreeSet<Role>,
    /// What declines left behind.
    pub filters: Vec<Filter>,
    /// The present connection to Ekiden, if there is one.
    pub connection: Option<u64>,
    /// What the master remembers of frameworks, if it does.
    pub memory: Option<Memory>,
    /// Apps whose instances are unhealthy, all of them.
    pub sick: BTreeSet<AppId>,
    /// Nothing goes wrong by itself any more, whatever a command says.
    pub benign: bool,
    allocation_due: bool,
    last_event: Timestamp,
    last_call: Timestamp,
    last_of_task: BTreeMap<TaskId, Timestamp>,
}

impl Cluster {
    /// Adds an agent, and offers it.
    pub fn join(&mut self, machine: Machine, line: &mut Timeline) {
        line.log(format_args!(
            "{} ({}) joins: {}, ports {}, {:?}",
            machine.agent.id, machine.agent.hostname, machine.total, machine.ports, machine.agent.attributes
        ));
        if let Some((role, reserved)) = &machine.reserved {
            line.log(format_args!("  reserved to {role}: {}, ports {}", reserved.resources, reserved.ports));
        }
        let agent = SimAgent {
            link: Link::Up,
            foreign: Resources::NONE,
            tasks: BTreeSet::new(),
            cuts: 0,
            window: None,
            drain: None,
            machine,
        };
        self.agents.insert(agent.machine.agent.id.clone(), agent);
        self.want_allocation(line);
    }

    /// A message to Ekiden, in order with all messages that are not statuses.
    fn tell(&mut self, event: ClusterEvent, line: &mut Timeline) {
        let Some(connection) = self.connection else { return };
        let at = (line.now + line.jitter(1, 8)).max(self.last_event);
        self.last_event = at;
        line.at(at, Happening::Arrive(connection, event));
    }

    /// When a call that Ekiden makes now arrives: calls stay in order.
    pub fn call_arrives(&mut self, line: &mut Timeline) -> Timestamp {
        self.last_call = (line.now + line.jitter(1, 5)).max(self.last_call);
        self.last_call
    }

    /// The connection stands.
    pub fn connect(&mut self, connection: u64, line: &mut Timeline) {
        self.connection = Some(connection);
        self.suppressed.clear();
        self.filters.clear();
        self.tell_schedule(line);
        self.want_allocation(line);
    }

    /// The connection is lost, and with it all offers.
    pub fn disconnect(&mut self) {
        self.connection = None;
        for (offer, _) in std::mem::take(&mut self.offers) {
            self.spent.insert(offer, Spent::Rescinded);
        }
    }

    /// An agent is cut off; its tasks run on.
    pub fn cut(&mut self, id: &AgentId, line: &mut Timeline) -> Option<u64> {
        let agent = self.agents.get_mut(id).filter(|agent| agent.link == Link::Up)?;
        agent.link = Link::Cut;
        agent.cuts += 1;
        let cut = agent.cuts;
        line.log(format_args!("{id} is cut off"));
        line.after(NOTICE_AFTER, Happening::Noticed(id.clone(), cut));
        Some(cut)
    }

    /// The master notices that an agent does not answer.
    pub fn noticed(&mut self, id: &AgentId, cut: u64, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.link != Link::Cut || agent.cuts != cut {
            return;
        }
        agent.link = Link::Unreachable;
        line.log(format_args!("{id} is unreachable"));
        let tasks: Vec<TaskId> = agent.tasks.iter().cloned().collect();
        self.rescind_agent(id, line);
        self.tell(ClusterEvent::AgentUnreachable(id.clone()), line);
        for task in tasks {
            self.tell_unreachable(&task, line);
        }
    }

    /// A cut-off agent is back.
    pub fn returns(&mut self, id: &AgentId, cut: u64, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if !matches!(agent.link, Link::Cut | Link::Unreachable) || agent.cuts != cut {
            return;
        }
        line.log(format_args!("{id} is back"));
        agent.link = Link::Up;
        let tasks: Vec<TaskId> = agent.tasks.iter().cloned().collect();
        for task in tasks {
            self.tell_present(&task, line);
        }
        self.want_allocation(line);
    }

    /// An agent's tasks all die; `reach` says how it can be reached afterwards.
    pub fn kill_agent(&mut self, id: &AgentId, reach: Link, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        line.log(format_args!("{id} dies and is {reach:?}"));
        agent.link = reach;
        agent.cuts += 1;
        agent.foreign = Resources::NONE;
        agent.window = agent.window.filter(|_| reach == Link::Up);
        let tasks: Vec<TaskId> = std::mem::take(&mut agent.tasks).into_iter().collect();
        self.rescind_agent(id, line);
        match reach {
            Link::Gone => self.tell(ClusterEvent::AgentGone(id.clone()), line),
            Link::Unreachable | Link::Abandoned => self.tell(ClusterEvent::AgentUnreachable(id.clone()), line),
            Link::Up | Link::Unregistered | Link::Cut => {}
        }
        for task in tasks {
            self.lose(&task, reach, line);
        }
        self.want_allocation(line);
    }

    /// An operator says of an agent that will never be seen again that it is gone.
    pub fn declare_gone(&mut self, id: &AgentId, line: &mut Timeline) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.link == Link::Gone {
            return;
        }
        agent.link = Link::Gone;
        line.log(format_args!("{id} is declared gone"));
        self.tell(ClusterEvent::AgentGone(id.clone()), line);
    }

    /// The instances that live, in truth.
    pub fn living(&self) -> impl Iterator<Item = &SimTask> {
        self.tasks.values().filter(|task| task.state.is_live())
    }

    /// The live task that holds a port of a host, if any.
    pub fn holder(&self, hostname: &str, port: Port, except: &TaskId) -> Option<&SimTask> {
        self.living()
            .find(|task| task.id != *except && &*task.hostname == hostname && task.host_ports.contains(&port))
    }
}
