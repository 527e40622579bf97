//! Label selectors (§1.4): `k`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, joined by commas, all to hold.
//!
//! As in Marathon, a selector never matches an app that lacks the label, not even `!=`.

use std::collections::BTreeMap;

/// All terms of a selector.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) struct Selector(Vec<Term>);

#[derive(Debug, PartialEq, Eq)]
struct Term {
    key: String,
    values: Option<Vec<String>>,
    negated: bool,
}

/// The text is no selector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no label selector: write `key`, `key==value`, `key!=value`, `key in (a,b)` or `key notin (a,b)`"
)]
pub(in crate::api) struct SelectorError(String);

impl Selector {
    /// Reads a selector.
    pub(in crate::api) fn parse(text: &str) -> Result<Self, SelectorError> {
        let refused = || SelectorError(text.to_owned());
        let mut terms = Vec::new();
        let mut rest = Reader { rest: text };
        loop {
            terms.push(rest.term().ok_or_else(refused)?);
            rest.skip_spaces();
            if rest.rest.is_empty() {
                return Ok(Self(terms));
            }
            rest.take(",").ok_or_else(refused)?;
        }
    }

    /// Whether an app with these labels is meant.
    pub(in crate::api) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|term| {
            labels.get(&term.key).is_some_and(|label| {
                term.values.as_ref().is_none_or(|values| values.contains(label) != term.negated)
            })
        })
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.skip_spaces();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// A run of plain characters; others are escaped with `\`.
    fn word(&mut self) -> Option<String> {
        self.skip_spaces();
        let mut word = String::new();
        let mut characters = self.rest.chars();
        loop {
            let before = characters.as_str();
            match characters.next() {
                Some('\\') => word.push(characters.next()?),
                Some(c) if c.is_ascii_alphanumeric() || "-_.".contains(c) => word.push(c),
                _ => {
                    self.rest = before;
                    return (!word.is_empty()).then_some(word);
                }
            }
        }
    }

    fn term(&mut self) -> Option<Term> {
        let key = self.word()?;
        for (token, negated) in [("==", false), ("!=", true)] {
            if self.take(token).is_some() {
                let value = self.word()?;
                return Some(Term { key, values: Some(vec![value]), negated });
            }
        }
        for (token, negated) in [("notin", true), ("in", false)] {
            if self.take(token).is_some() {
                let values = self.set()?;
                return Some(Term { key, values: Some(values), negated });
            }
        }
        Some(Term { key, values: None, negated: false })
    }

    fn set(&mut self) -> Option<Vec<String>> {
        self.take("(")?;
        let mut values = vec![self.word()?];
        while self.take(",").is_some() {
            values.push(self.word()?);
        }
        self.take(")")?;
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_as_marathons_do() {
        let labels = BTreeMap::from([("tier".to_owned(), "web".to_owned()), ("a/b".to_owned(), "x y".to_owned())]);
        let matches = |text: &str| Selector::parse(text).map(|selector| selector.matches(&labels));
        for (text, expected) in [
            ("tier", true),
            ("team", false),
            ("tier==web", true),
            ("tier != web", false),
            ("tier!=db", true),
            ("team!=db", false),
            ("tier in (db, web)", true),
            ("tier notin (db,web)", false),
            ("tier==web,team", false),
            (r"a\/b==x\ y, tier", true),
        ] {
            assert_eq!(matches(text), Ok(expected), "{text}");
        }
        for text in ["", "tier==", "tier in web", "tier in (web", "==web", "tier web", "tier,"] {
            assert!(matches(text).is_err(), "{text}");
        }
    }
}
