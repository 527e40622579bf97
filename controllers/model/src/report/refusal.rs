//! Why offers were refused, in the order in which they are asked (Marathon's funnel, §1.8).

use std::fmt;
use std::sync::Arc;

use super::Hosts;
use super::reason::plural;
use crate::app::Constraint;
use crate::id::Role;
use crate::resources::Scalar;

/// Why one lot of offers does not do. It is counted under the first reason in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Offered to another role, or of a role that the app does not accept.
    Role(Role),
    /// A constraint does not hold.
    Constraint(Constraint),
    /// The agent already has its one instance (global placement).
    AgentTaken,
    /// The agent goes into maintenance.
    Maintenance,
    /// Too little processor.
    Cpus(Shortage),
    /// Too little memory, MiB.
    Mem(Shortage),
    /// Too little disk, MiB.
    Disk(Shortage),
    /// Too few graphics processors.
    Gpus(Shortage),
    /// A wanted port is not offered, or there are too few; the text names what is missing.
    Ports(String),
    /// An agent with graphics processors is kept for those who need them.
    ScarceGpus,
}

/// What was needed, and the most that any refused lot had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What an instance needs.
    pub needs: Scalar,
    /// The most that one of the refused lots had.
    pub largest: Scalar,
}

impl Refusal {
    /// Marathon's name of the reason, as `/v2/queue` shows it.
    pub fn marathon_name(&self) -> &'static str {
        match self {
            Self::Role(_) => "UnfulfilledRole",
            Self::Constraint(_) | Self::AgentTaken => "UnfulfilledConstraint",
            Self::Maintenance => "AgentMaintenance",
            Self::Cpus(_) => "InsufficientCpus",
            Self::Mem(_) => "InsufficientMemory",
            Self::Disk(_) => "InsufficientDisk",
            Self::Gpus(_) => "InsufficientGpus",
            Self::Ports(_) => "InsufficientPorts",
            Self::ScarceGpus => "DeclinedScarceResources",
        }
    }

    /// Its place in the funnel, and among those of the same place.
    fn rank(&self) -> (u8, String) {
        match self {
            Self::Role(role) => (0, role.to_string()),
            Self::Constraint(constraint) => (1, constraint.to_string()),
            Self::AgentTaken => (2, String::new()),
            Self::Maintenance => (3, String::new()),
            Self::Cpus(_) => (4, String::new()),
            Self::Mem(_) => (5, String::new()),
            Self::Disk(_) => (6, String::new()),
            Self::Gpus(_) => (7, String::new()),
            Self::Ports(what) => (8, what.clone()),
            Self::ScarceGpus => (9, String::new()),
        }
    }

    /// Whether two refusals are counted in one row.
    fn same_row(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Constraint(a), Self::Constraint(b)) => a == b,
            (Self::Role(a), Self::Role(b)) => a == b,
            (Self::Ports(a), Self::Ports(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    fn absorb(&mut self, other: &Self) {
        match (self, other) {
            (Self::Cpus(a), Self::Cpus(b))
            | (Self::Mem(a), Self::Mem(b))
            | (Self::Disk(a), Self::Disk(b))
            | (Self::Gpus(a), Self::Gpus(b)) => a.largest = a.largest.max(b.largest),
            _ => {}
        }
    }
}

/// All refusals of one look at the offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusals {
    rows: Vec<(Refusal, Hosts)>,
    lots: u32,
}

impl Refusals {
    /// Counts one refused lot, of the agent on `host`.
    pub fn add(&mut self, refusal: Refusal, host: &Arc<str>) {
        self.lots += 1;
        if let Some((row, hosts)) = self.rows.iter_mut().find(|(row, _)| row.same_row(&refusal)) {
            row.absorb(&refusal);
            hosts.add(host);
        } else {
            let rank = refusal.rank();
            let at = self.rows.partition_point(|(row, _)| row.rank() < rank);
            self.rows.insert(at, (refusal, [host].into_iter().collect()));
        }
    }

    /// The reasons with the agents whose lots each refused, in the order of the funnel.
    pub fn rows(&self) -> impl Iterator<Item = (&Refusal, &Hosts)> {
        self.rows.iter().map(|(refusal, hosts)| (refusal, hosts))
    }

    /// How many lots were looked at and refused.
    pub fn lots(&self) -> u32 {
        self.lots
    }

    /// Whether none of them was offered to the app's own role, so that it was offered nothing at all.
    pub fn are_of_other_roles(&self) -> bool {
        self.rows.iter().all(|(refusal, _)| matches!(refusal, Refusal::Role(_)))
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return f.write_str("nothing is offered");
        }
        let mut rows: Vec<&(Refusal, Hosts)> = self.rows.iter().collect();
        rows.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.count()));
        for (index, (refusal, hosts)) in rows.into_iter().enumerate() {
            let semicolon = if index == 0 { "" } else { "; " };
            let count = &hosts.count();
            let subject = format!("{count} {}", plural(*count, "agent", "agents"));
            let lacks = plural(*count, "lacks", "lack");
            let refuses = plural(*count, "refuses", "refuse");
            let shortage = |what: &str, s: &Shortage| {
                format!("{subject} {lacks} {what} (largest has {}, needs {})", s.largest, s.needs)
            };
            let text = match refusal {
                Refusal::Role(role) => {
                    format!("{subject} {} only to role {role}", plural(*count, "offers", "offer"))
                }
                Refusal::Constraint(constraint) => format!("{subject} {refuses} constraint {constraint}"),
                Refusal::AgentTaken => {
                    format!("{subject} already {} its one instance", plural(*count, "has", "have"))
                }
                Refusal::Maintenance => format!("{subject} {} into maintenance", plural(*count, "goes", "go")),
                Refusal::Cpus(s) => shortage("cpus", s),
                Refusal::Mem(s) => shortage("mem", s),
                Refusal::Disk(s) => shortage("disk", s),
                Refusal::Gpus(s) => shortage("gpus", s),
                Refusal::Ports(what) => format!("{subject} {lacks} {what}"),
                Refusal::ScarceGpus => {
                    format!("{subject} {} kept for those who need gpus", plural(*count, "is", "are"))
                }
            };
            write!(f, "{semicolon}{text}: {hosts}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn rows_come_in_the_order_of_the_funnel_whatever_was_seen_first() {
        let ports = |what: &str| Refusal::Ports(what.to_owned());
        let all = [ports("port 9"), Refusal::Maintenance, ports("port 8"), Refusal::Role(Role::any())];
        let rows = |order: &[usize]| {
            let mut refusals = Refusals::default();
            for at in order {
                refusals.add(all[*at].clone(), &host("node1"));
            }
            refusals.rows().map(|(row, _)| row.clone()).collect::<Vec<_>>()
        };
        assert_eq!(rows(&[0, 1, 2, 3]), [all[3].clone(), all[1].clone(), all[2].clone(), all[0].clone()]);
        assert_eq!(rows(&[0, 1, 2, 3]), rows(&[3, 2, 1, 0]));
    }

    #[test]
    fn refusals_read_as_a_sentence() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.to_string(), "nothing is offered");
        for (largest, name) in [(0.1, "node2"), (0.3, "node1")] {
            let shortage = Shortage { needs: Scalar::from_f64(0.5), largest: Scalar::from_f64(largest) };
            refusals.add(Refusal::Cpus(shortage), &host(name));
        }
        let unique = Constraint { field: crate::app::Field::Hostname, operator: crate::app::Operator::Unique };
        refusals.add(Refusal::Constraint(unique), &host("node3"));
        assert_eq!(
            refusals.to_string(),
            "2 agents lack cpus (largest has 0.3, needs 0.5): node1 and node2; \
             1 agent refuses constraint UNIQUE hostname: node3"
        );
        assert_eq!(refusals.lots(), 3);
    }

    #[test]
    fn offers_to_other_roles_are_told_from_offers_that_do_not_do() {
        let mut refusals = Refusals::default();
        assert!(refusals.are_of_other_roles());
        refusals.add(Refusal::Role(Role::new("prod")), &host("node1"));
        assert!(refusals.are_of_other_roles());
        refusals.add(Refusal::AgentTaken, &host("node1"));
        assert!(!refusals.are_of_other_roles());
    }
}
