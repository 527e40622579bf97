//! What distinguishes the agents for constraints.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use ekiden_model::Scalar;

use super::LocalError;

/// Attributes of the agents, in the notation of Mesos' `--attributes`: `rack:r%d;zone:z1`. Where `%d` is written,
/// each agent has its number: `r1`, `r2`, …
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentAttributes(BTreeMap<String, String>);

impl FromStr for AgentAttributes {
    type Err = LocalError;

    fn from_str(text: &str) -> Result<Self, LocalError> {
        let mut given = BTreeMap::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let named = part.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
            let (name, value) = named
                .filter(|(name, value)| !name.is_empty() && !value.is_empty())
                .ok_or_else(|| LocalError::Attribute(part.to_owned()))?;
            given.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(given))
    }
}

impl AgentAttributes {
    /// The attributes of the agent with this number, as constraints see them: `1.50` is the scalar `1.5`.
    pub(super) fn of_agent(&self, number: u32) -> BTreeMap<String, Arc<str>> {
        self.0.iter().map(|(name, value)| (name.clone(), normalise(&numbered(value, number)))).collect()
    }
}

/// `r%d` is `r3` on the third agent.
pub(super) fn numbered(pattern: &str, number: u32) -> String {
    pattern.replace("%d", &number.to_string())
}

fn normalise(value: &str) -> Arc<str> {
    let is_number = value.starts_with(|c: char| c.is_ascii_digit());
    match value.parse::<f64>() {
        Ok(number) if is_number => Scalar::from_f64(number).to_string().into(),
        _ => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_has_its_own() {
        let given: AgentAttributes = "rack:r%d; zone:z1;speed:1.50".parse().expect("well-formed");
        let second = given.of_agent(2);
        let shown: Vec<_> = second.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["rack=r2", "speed=1.5", "zone=z1"]);
        assert!("rack".parse::<AgentAttributes>().is_err());
        assert!("rack:".parse::<AgentAttributes>().is_err());
    }
}
