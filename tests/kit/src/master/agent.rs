//! What an agent has and says of itself.

use serde_json::{Value, json};

use super::resources::Resources;

/// An agent: 4 cpus, 4096 MB, 10,000 MB of disk and ports 31000 to 32000, if nothing else is said.
#[derive(Debug, Clone)]
pub struct AgentSpec {
    /// Its host's name.
    pub hostname: String,
    /// Its host's address, also of what runs on it.
    pub ip: String,
    /// Text attributes.
    pub attributes: Vec<(String, String)>,
    /// Its fault domain: region and zone.
    pub domain: Option<(String, String)>,
    resources: Resources,
}

impl AgentSpec {
    /// One with what any has.
    pub fn new(hostname: &str) -> Self {
        let mut resources = Resources::default();
        resources.add_scalar("cpus", 4.0, None);
        resources.add_scalar("mem", 4096.0, None);
        resources.add_scalar("disk", 10_000.0, None);
        resources.add_range("ports", 31_000, 32_000, None);
        let ip = "127.0.0.1".to_owned();
        Self { hostname: hostname.to_owned(), ip, attributes: Vec::new(), domain: None, resources }
    }

    /// One attribute more.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its fault domain.
    #[must_use]
    pub fn in_domain(self, region: &str, zone: &str) -> Self {
        Self { domain: Some((region.to_owned(), zone.to_owned())), ..self }
    }

    /// Of this, so much more, for nobody in particular.
    #[must_use]
    pub fn with(mut self, scalar: &str, amount: f64) -> Self {
        self.resources.add_scalar(scalar, amount, None);
        self
    }

    /// Of this, so much more, for one role only.
    #[must_use]
    pub fn reserve(mut self, role: &str, scalar: &str, amount: f64) -> Self {
        self.resources.add_scalar(scalar, amount, Some(role));
        self
    }

    /// These ports more, for one role only.
    #[must_use]
    pub fn reserve_ports(mut self, role: &str, first: u16, last: u16) -> Self {
        self.resources.add_range("ports", first.into(), last.into(), Some(role));
        self
    }

    pub(super) fn resources(&self) -> Resources {
        self.resources.clone()
    }

    pub(super) fn attributes_json(&self) -> Value {
        let shown =
            |(name, value): &(String, String)| json!({"name": name, "type": "TEXT", "text": {"value": value}});
        self.attributes.iter().map(shown).collect()
    }

    pub(super) fn domain_json(&self) -> Option<Value> {
        let (region, zone) = self.domain.as_ref()?;
        Some(json!({"fault_domain": {"region": {"name": region}, "zone": {"name": zone}}}))
    }
}
