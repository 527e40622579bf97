//! Placement constraints as declared (§2.6). What they mean for an offer is decided where instances are placed.

use std::fmt;

use regex::Regex;

/// One constraint: a field of the agent and what must hold for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// What of the agent is looked at.
    pub field: Field,
    /// What must hold.
    pub operator: Operator,
}

/// What of the agent a constraint looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `hostname` or `@hostname`
    Hostname,
    /// `@region`
    Region,
    /// `@zone`
    Zone,
    /// Any other name is an attribute's.
    Attribute(String),
}

impl Field {
    /// Reads Marathon's name of a field.
    pub fn parse(name: &str) -> Self {
        match name {
            "hostname" | "@hostname" => Self::Hostname,
            "@region" => Self::Region,
            "@zone" => Self::Zone,
            _ => Self::Attribute(name.to_owned()),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hostname => "hostname",
            Self::Region => "@region",
            Self::Zone => "@zone",
            Self::Attribute(name) => name,
        })
    }
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// No two instances on one value.
    Unique,
    /// All instances on one value: the given one, or the first one's.
    Cluster(Option<String>),
    /// Spread evenly over the values; the number is how many values to expect.
    GroupBy(Option<u32>),
    /// At most so many instances per value.
    MaxPer(u32),
    /// The whole value matches.
    Like(Pattern),
    /// The whole value does not match, or there is none.
    Unlike(Pattern),
    /// The value is this.
    Is(String),
}

impl Operator {
    /// As Marathon writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster(_) => "CLUSTER",
            Self::GroupBy(_) => "GROUP_BY",
            Self::MaxPer(_) => "MAX_PER",
            Self::Like(_) => "LIKE",
            Self::Unlike(_) => "UNLIKE",
            Self::Is(_) => "IS",
        }
    }

    /// The third member of the constraint, if there is one.
    pub fn value(&self) -> Option<String> {
        match self {
            Self::Unique => None,
            Self::Cluster(value) => value.clone(),
            Self::GroupBy(count) => count.map(|count| count.to_string()),
            Self::MaxPer(count) => Some(count.to_string()),
            Self::Like(pattern) | Self::Unlike(pattern) => Some(pattern.source().to_owned()),
            Self::Is(value) => Some(value.clone()),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.name(), self.field)?;
        self.operator.value().map_or(Ok(()), |value| write!(f, " {value}"))
    }
}

/// A regular expression that a whole value must match.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    whole: Regex,
}

/// The pattern is no regular expression, or too large a one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no regular expression: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

/// Largest compiled pattern, in bytes. Patterns come from users; matching is linear in the value, compiling is not.
const PATTERN_MAX_BYTES: usize = 256 << 10;

impl Pattern {
    /// Compiles `source`.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        regex::RegexBuilder::new(&format!("^(?:{source})$"))
            .size_limit(PATTERN_MAX_BYTES)
            .build()
            .map(|whole| Self { source: source.to_owned(), whole })
            .map_err(|error| PatternError {
                pattern: source.to_owned(),
                reason: error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            })
    }

    /// As the user wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether all of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}
