//! Placement constraints: three texts become an operator with its value.

use ekiden_model::app::{Constraint, Field, Operator, Pattern};

use crate::manifest::code::Code;
use crate::manifest::nearest::nearest;
use crate::manifest::object::Object;
use crate::manifest::source::Source;
use crate::manifest::tree::{Node, Span};

const OPERATORS: [&str; 7] = ["UNIQUE", "CLUSTER", "GROUP_BY", "MAX_PER", "LIKE", "UNLIKE", "IS"];

pub(super) fn read(source: &mut Source<'_>, app: Object<'_>) -> Vec<Constraint> {
    app.items("constraints").iter().filter_map(|item| constraint(source, item)).collect()
}

fn constraint(source: &mut Source<'_>, item: &Node) -> Option<Constraint> {
    let [field, operator, rest @ ..] = item.as_list()? else { return None };
    let value = rest.first().and_then(|node| Some((node.as_text()?, node.span)));
    if value.is_none() && !rest.is_empty() {
        return None;
    }
    let name = field.as_text()?;
    if name.is_empty() {
        source
            .report(Code::BadConstraint, field.span, "a constraint on nothing")
            .hint("write `hostname`, `@region`, `@zone` or the name of an attribute of the agents");
        return None;
    }
    let operator = parse(source, operator, value, item.span)?;
    Some(Constraint { field: Field::parse(name), operator })
}

/// Checks a constraint whose parts have names, as pods write it.
pub(in crate::manifest) fn check_named(source: &mut Source<'_>, constraint: Object<'_>) {
    let Some(operator) = constraint.node("operator") else { return };
    let value = constraint.node("value").and_then(|value| Some((value.as_text()?, value.span)));
    parse(source, operator, value, constraint.span());
}

fn parse(source: &mut Source<'_>, operator: &Node, value: Option<(&str, Span)>, whole: Span) -> Option<Operator> {
    let name = operator.as_text()?;
    let text = value.map(|(text, _)| text);
    let at = value.map_or(whole, |(_, span)| span);
    if text.is_none() && matches!(name, "MAX_PER" | "LIKE" | "UNLIKE" | "IS") {
        source
            .report(Code::BadConstraint, whole, format!("{name} without a value"))
            .hint("add a third item to the constraint");
        return None;
    }
    let given = text.unwrap_or_default();
    match name {
        "UNIQUE" => {
            if value.is_some() {
                source
                    .report(Code::BadConstraint, at, "UNIQUE takes no value")
                    .hint("remove the value; for several instances per value use MAX_PER");
            }
            Some(Operator::Unique)
        }
        "CLUSTER" => Some(Operator::Cluster(text.filter(|text| !text.is_empty()).map(str::to_owned))),
        "GROUP_BY" => match text {
            None => Some(Operator::GroupBy(None)),
            Some(text) => count(source, name, text, at).map(|count| Operator::GroupBy(Some(count))),
        },
        "MAX_PER" => count(source, name, given, at).map(Operator::MaxPer),
        "LIKE" => pattern(source, given, at).map(Operator::Like),
        "UNLIKE" => pattern(source, given, at).map(Operator::Unlike),
        "IS" => is(source, given, at),
        _ => {
            let near = nearest(name, OPERATORS).map(|near| format!("did you mean {near}?"));
            source
                .report(Code::BadConstraint, operator.span, format!("`{name}` is no operator"))
                .hint(near.unwrap_or_else(|| format!("write one of {}", OPERATORS.join(", "))));
            None
        }
    }
}

fn count(source: &mut Source<'_>, name: &str, text: &str, at: Span) -> Option<u32> {
    let count = text.trim().parse().ok().filter(|count| *count > 0);
    if count.is_none() {
        source
            .report(Code::BadConstraint, at, format!("`{text}` is no number for {name}"))
            .hint("write a whole number of 1 or more, in quotes");
    }
    count
}

fn pattern(source: &mut Source<'_>, text: &str, at: Span) -> Option<Pattern> {
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            source.report(Code::BadConstraint, at, error.to_string()).hint(
                "the whole value must match; look-around and back-references of Java's expressions are not \
                 supported",
            );
            None
        }
    }
}

fn is(source: &mut Source<'_>, text: &str, at: Span) -> Option<Operator> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-'));
    if !fits {
        source
            .report(Code::BadConstraint, at, format!("`{text}` cannot be the value of an attribute"))
            .hint("use letters, digits, `_`, `/`, `.` and `-`; for patterns use LIKE");
    }
    fits.then(|| Operator::Is(text.to_owned()))
}
