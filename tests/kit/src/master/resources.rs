//! Resources as Mesos counts them: scalars in thousandths, ranges of whole numbers, each apart per role that it is
//! reserved for.
//!
//! Knows JSON in the post-reservation-refinement form only (`reservations`, `allocation_info`), which is what a framework
//! with `RESERVATION_REFINEMENT` sees. Persistent volumes, sets and dynamic reservations are not known.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// What an agent has, an offer holds or a task takes. No part of it is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Resources {
    parts: BTreeMap<Kind, Amount>,
}

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    name: String,
    reserved: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Amount {
    /// Thousandths.
    Scalar(i64),
    /// First and last of each, in order, apart from each other.
    Ranges(Vec<(u64, u64)>),
}

impl Resources {
    /// So much of a scalar resource, in addition.
    pub(super) fn add_scalar(&mut self, name: &str, amount: f64, reserved: Option<&str>) {
        self.add_amount(Kind::new(name, reserved), Amount::Scalar((amount * 1000.0).round() as i64));
    }

    /// A range, in addition.
    pub(super) fn add_range(&mut self, name: &str, first: u64, last: u64, reserved: Option<&str>) {
        self.add_amount(Kind::new(name, reserved), Amount::Ranges(vec![(first, last)]));
    }

    /// Both together.
    pub(super) fn add(&mut self, other: &Self) {
        for (kind, amount) in &other.parts {
            self.add_amount(kind.clone(), amount.clone());
        }
    }

    /// What is left without `other`; what is not there cannot be taken away.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut parts = BTreeMap::new();
        for (kind, amount) in &self.parts {
            let left = match (amount, other.parts.get(kind)) {
                (Amount::Scalar(have), Some(Amount::Scalar(take))) => Amount::Scalar(have - take),
                (Amount::Ranges(have), Some(Amount::Ranges(take))) => Amount::Ranges(minus(have, take)),
                (amount, _) => amount.clone(),
            };
            if !left.is_empty() {
                parts.insert(kind.clone(), left);
            }
        }
        Self { parts }
    }

    /// Whether all of `other` is in this.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.parts.iter().all(|(kind, amount)| match (self.parts.get(kind), amount) {
            (Some(Amount::Scalar(have)), Amount::Scalar(want)) => have >= want,
            (Some(Amount::Ranges(have)), Amount::Ranges(want)) => minus(want, have).is_empty(),
            _ => false,
        })
    }

    /// The part that may be offered to a role: what is reserved for it, and what is reserved for nobody.
    pub(super) fn for_role(&self, role: &str) -> Self {
        let may = |kind: &Kind| kind.reserved.as_deref().is_none_or(|reserved| reserved == role);
        Self {
            parts: self.parts.iter().filter(|(kind, _)| may(kind)).map(|(k, a)| (k.clone(), a.clone())).collect(),
        }
    }

    /// Whether it is worth an offer: Mesos makes none without some cpus or memory.
    pub(super) fn is_offerable(&self) -> bool {
        self.scalar("cpus") >= 0.01 || self.scalar("mem") >= 32.0
    }

    /// How much of a scalar resource there is, reserved or not.
    pub(super) fn scalar(&self, name: &str) -> f64 {
        let parts = self.parts.iter().filter(|(kind, _)| kind.name == name);
        parts
            .map(|(_, amount)| if let Amount::Scalar(thousandths) = amount { *thousandths } else { 0 })
            .sum::<i64>() as f64
            / 1000.0
    }

    /// Reads the resources of a `TaskInfo`, and the role they are said to be allocated to.
    pub(super) fn read(resources: &Value) -> Result<(Self, Option<String>), String> {
        let mut read = Self::default();
        let mut role = None;
        for resource in resources.as_array().map(Vec::as_slice).unwrap_or_default() {
            let name = resource["name"].as_str().ok_or("a resource without a name")?;
            let reserved = resource["reservations"].as_array().and_then(|list| list.last());
            let reserved = reserved.and_then(|reservation| reservation["role"].as_str());
            if let Some(allocated) = resource["allocation_info"]["role"].as_str() {
                role = Some(allocated.to_owned());
            }
            match resource["type"].as_str() {
                Some("SCALAR") => {
                    let amount = resource["scalar"]["value"].as_f64().ok_or("a scalar without a value")?;
                    read.add_scalar(name, amount, reserved);
                }
                Some("RANGES") => {
                    for range in resource["ranges"]["range"].as_array().map(Vec::as_slice).unwrap_or_default() {
                        let (Some(first), Some(last)) = (range["begin"].as_u64(), range["end"].as_u64()) else {
                            return Err("a range without its ends".to_owned());
                        };
                        read.add_range(name, first, last, reserved);
                    }
                }
                other => return Err(format!("a resource of type {other:?}")),
            }
        }
        Ok((read, role))
    }

    /// As Mesos writes them, allocated to a role or not.
    pub(super) fn to_json(&self, allocated: Option<&str>) -> Value {
        let parts = self.parts.iter().map(|(kind, amount)| {
            let mut resource = match amount {
                Amount::Scalar(thousandths) => {
                    json!({"name": kind.name, "type": "SCALAR", "scalar": {"value": *thousandths as f64 / 1000.0}})
                }
                Amount::Ranges(ranges) => {
                    let ranges: Vec<_> =
                        ranges.iter().map(|(first, last)| json!({"begin": first, "end": last})).collect();
                    json!({"name": kind.name, "type": "RANGES", "ranges": {"range": ranges}})
                }
            };
            if let Some(role) = &kind.reserved {
                resource["reservations"] = json!([{"role": role, "type": "STATIC"}]);
            }
            if let Some(role) = allocated {
                resource["allocation_info"] = json!({"role": role});
            }
            resource
        });
        parts.collect()
    }

    /// As `/state` writes them.
    pub(super) fn summary(&self) -> Value {
        let mut summary = json!({"disk": 0.0, "mem": 0.0, "gpus": 0.0, "cpus": 0.0});
        for name in ["disk", "mem", "gpus", "cpus"] {
            summary[name] = json!(self.scalar(name));
        }
        let ports: Vec<(u64, u64)> = self
            .parts
            .iter()
            .filter(|(kind, _)| kind.name == "ports")
            .flat_map(|(_, amount)| if let Amount::Ranges(ranges) = amount { ranges.clone() } else { Vec::new() })
            .collect();
        if !ports.is_empty() {
            summary["ports"] = json!(show_ranges(&ports));
        }
        summary
    }

    fn add_amount(&mut self, kind: Kind, amount: Amount) {
        let sum = match (self.parts.remove(&kind), amount) {
            (Some(Amount::Scalar(have)), Amount::Scalar(more)) => Amount::Scalar(have + more),
            (Some(Amount::Ranges(mut have)), Amount::Ranges(more)) => {
                have.extend(more);
                Amount::Ranges(joined(have))
            }
            (_, amount) => amount,
        };
        if !sum.is_empty() {
            self.parts.insert(kind, sum);
        }
    }
}

/// As Mesos' messages write them.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (kind, amount)) in self.parts.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            let amount = match amount {
                Amount::Scalar(thousandths) => format!("{}", *thousandths as f64 / 1000.0),
                Amount::Ranges(ranges) => show_ranges(ranges),
            };
            write!(f, "{separator}{}:{amount}", kind.name)?;
        }
        Ok(())
    }
}

impl Kind {
    fn new(name: &str, reserved: Option<&str>) -> Self {
        Self { name: name.to_owned(), reserved: reserved.map(str::to_owned) }
    }
}

impl Amount {
    fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(thousandths) => *thousandths <= 0,
            Self::Ranges(ranges) => ranges.is_empty(),
        }
    }
}

fn show_ranges(ranges: &[(u64, u64)]) -> String {
    let ranges: Vec<_> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    format!("[{}]", ranges.join(", "))
}

fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Both in order, as all ranges here are: one walk over the two, since an agent with a hundred tasks has a hundred holes.
fn minus(from: &[(u64, u64)], take: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::with_capacity(from.len() + take.len());
    let mut takes = take.iter().peekable();
    for &(mut begin, end) in from {
        while takes.next_if(|(_, last)| *last < begin).is_some() {}
        loop {
            match takes.peek() {
                Some(&&(first, last)) if first <= end => {
                    if begin < first {
                        left.push((begin, first - 1));
                    }
                    // It may reach into the next range, too.
                    if last >= end {
                        break;
                    }
                    begin = last + 1;
                    takes.next();
                }
                _ => {
                    left.push((begin, end));
                    break;
                }
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(cpus: f64, ports: &[(u64, u64)]) -> Resources {
        let mut resources = Resources::default();
        resources.add_scalar("cpus", cpus, None);
        for (first, last) in ports {
            resources.add_range("ports", *first, *last, None);
        }
        resources
    }

    #[test]
    fn what_is_taken_and_given_back_is_what_it_was() {
        let all = some(4.0, &[(31_000, 32_000)]);
        let task = some(0.1, &[(31_001, 31_001)]);
        let mut left = all.without(&task);
        assert_eq!(left, some(3.9, &[(31_000, 31_000), (31_002, 32_000)]));
        assert!(all.contains(&task) && !left.contains(&task), "port 31001 is taken");
        left.add(&task);
        assert_eq!(left, all);
    }

    #[test]
    fn ranges_are_taken_from_ranges_wherever_they_meet() {
        let from = [(1, 4), (6, 6), (8, 20)];
        for (take, left) in [
            (vec![], from.to_vec()),
            (vec![(1, 20)], vec![]),
            (vec![(0, 1), (3, 8)], vec![(2, 2), (9, 20)]),
            (vec![(4, 6), (9, 9), (11, 12), (20, 25)], vec![(1, 3), (8, 8), (10, 10), (13, 19)]),
            (vec![(5, 5), (7, 7), (21, 30)], from.to_vec()),
        ] {
            assert_eq!(minus(&from, &take), left, "without {take:?}");
        }
    }

    #[test]
    fn a_role_sees_what_is_its_own_and_nobodys() {
        let mut resources = some(1.0, &[]);
        resources.add_scalar("cpus", 2.0, Some("web"));
        assert!((resources.for_role("web").scalar("cpus") - 3.0).abs() < 1e-9);
        assert_eq!(resources.for_role("db"), some(1.0, &[]));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut resources = some(0.25, &[(1, 2), (5, 5)]);
        resources.add_scalar("mem", 64.0, Some("web"));
        let (read, role) = Resources::read(&resources.to_json(Some("web"))).unwrap_or_default();
        assert_eq!((read, role.as_deref()), (resources, Some("web")));
    }
}
