//! Checks a tree against the shapes: unknown and missing fields, types, bounds, words, forms. All that is wrong is
//! reported, and reported once.

use super::code::Code;
use super::nearest::nearest;
use super::shape::{Field, Form, Kind, Shape};
use super::source::Source;
use super::tree::{Member, Node, Value};

/// What Marathon's API adds to an app when it shows one. People start from such an answer, so the message helps.
const REPORTED: [&str; 10] = [
    "deployments",
    "lastTaskFailure",
    "readinessCheckResults",
    "taskStats",
    "tasks",
    "tasksHealthy",
    "tasksRunning",
    "tasksStaged",
    "tasksStats",
    "tasksUnhealthy",
];

/// Most fields that a hint lists.
const LISTED_MAX: usize = 12;

/// Reports where `node` is not a `shape`.
pub(super) fn check_object(source: &mut Source<'_>, shape: &'static Shape, node: &Node) {
    let Value::Map(members) = &node.value else {
        let message = format!("expected {}, found {}", article(shape.name), found(source, node));
        source.report(Code::WrongType, node.span, message).hint(in_sentence(shape.doc));
        return;
    };
    for member in members {
        match shape.field(&member.key) {
            Some(field) if !member.value.is_null() => check_member(source, field, member),
            Some(_) => {}
            None => report_unknown(source, shape, member),
        }
    }
    for field in shape.fields.iter().filter(|field| field.required && node.get(field.name).is_none()) {
        let message = format!("{} without `{}`", article(shape.name), field.name);
        source.report(Code::MissingField, node.span, message).missing(field.name).hint(format!(
            "add `{}`: {}",
            field.name,
            in_sentence(field.doc)
        ));
    }
}

fn check_member(source: &mut Source<'_>, field: &'static Field, member: &Member) {
    let errors = source.errors();
    check(source, &field.kind, &member.value);
    let empty = match &member.value.value {
        Value::List(items) => items.is_empty(),
        Value::Map(members) => members.is_empty(),
        _ => false,
    };
    if empty || source.errors() > errors {
        return;
    }
    if let Some(why) = field.later {
        let message = format!("`{}` is not supported yet: {why}", field.name);
        source.report(Code::NotYet, member.key_span, message).hint(
            "the field is well-formed, but ekiden would have to ignore it, so the app is refused; remove it, or \
             keep this app where it is",
        );
    }
    if let Some(instead) = field.retired {
        let message = format!("`{}` is no longer supported", field.name);
        source.report(Code::Retired, member.key_span, message).hint(instead);
    }
}

/// Reports where `node` is not a `kind`.
pub(super) fn check(source: &mut Source<'_>, kind: &'static Kind, node: &Node) {
    match (kind, &node.value) {
        (Kind::Ignored, _) | (Kind::Flag, Value::Flag(_)) | (Kind::Nested(_), Value::Map(_)) => {}
        (Kind::Int(least, most), Value::Number(number)) => {
            check_int(source, node, *number, *least, *most);
        }
        (Kind::Number(least, most), Value::Number(number)) => {
            if !(*least..=*most).contains(number) {
                report_range(source, node, &bounds(*least, *most));
            }
        }
        (Kind::Text(form), Value::Text(text)) => check_text(source, form, node, text),
        (Kind::Word(words), Value::Text(word)) => check_word(source, words, node, word),
        (Kind::List(kind, least, most), Value::List(items)) => {
            if !(*least..=*most).contains(&items.len()) {
                let bounds = bounds(*least as f64, *most as f64);
                source
                    .report(Code::BadList, node.span, format!("list of {} where {bounds} may stand", items.len()))
                    .hint(format!("give {bounds}"));
            }
            for item in items {
                check(source, kind, item);
            }
        }
        (Kind::Map(kind), Value::Map(members)) => {
            for member in members.iter().filter(|member| !member.value.is_null()) {
                check(source, kind, &member.value);
            }
        }
        (Kind::Object(shape), Value::Map(_)) => check_object(source, shape, node),
        (Kind::Either(kinds), _) => match kinds.iter().find(|kind| kind.takes(node)) {
            Some(kind) => check(source, kind, node),
            None => report_type(source, kind, node),
        },
        _ => report_type(source, kind, node),
    }
}

impl Kind {
    /// Whether `node` has the JSON type of this kind.
    pub(super) fn takes(&self, node: &Node) -> bool {
        match &node.value {
            Value::Null => false,
            Value::Flag(_) => matches!(self, Self::Flag),
            Value::Number(_) => matches!(self, Self::Int(..) | Self::Number(..)),
            Value::Text(_) => matches!(self, Self::Text(_) | Self::Word(_)),
            Value::List(_) => matches!(self, Self::List(..)),
            Value::Map(_) => matches!(self, Self::Map(_) | Self::Object(_) | Self::Nested(_)),
        }
    }

    /// For people: "a whole number".
    fn wanted(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Int(..) => "a whole number".to_owned(),
            Self::Number(..) => "a number".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Self::List(kind, ..) => format!("a list, each of it {}", kind.wanted()),
            Self::Map(kind) => format!("a map from names to values, each {}", kind.wanted()),
            Self::Object(shape) => article(shape.name),
            Self::Nested(shape) => article(shape().name),
            Self::Either(kinds) => kinds.iter().map(Self::wanted).collect::<Vec<_>>().join(" or "),
            Self::Ignored => "anything".to_owned(),
        }
    }

    fn wants_text(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Either(kinds) => kinds.iter().any(Self::wants_text),
            _ => false,
        }
    }
}

fn check_int(source: &mut Source<'_>, node: &Node, number: f64, least: u32, most: u32) {
    if number.fract() != 0.0 && number.is_finite() {
        source
            .report(Code::WrongType, node.span, format!("expected a whole number, found {number}"))
            .hint(format!("give {}", bounds(f64::from(least), f64::from(most))));
    } else if !(f64::from(least)..=f64::from(most)).contains(&number) {
        report_range(source, node, &bounds(f64::from(least), f64::from(most)));
    }
}

fn report_range(source: &mut Source<'_>, node: &Node, bounds: &str) {
    let written = source.quote(node.span);
    source
        .report(Code::OutOfRange, node.span, format!("`{written}` is out of range"))
        .hint(format!("give {bounds}"));
}

fn check_text(source: &mut Source<'_>, form: &'static Form, node: &Node, text: &str) {
    let length = text.chars().count();
    if length < form.least {
        source.report(Code::BadText, node.span, "text is empty").hint(if form.says.is_empty() {
            "write something, or remove the field"
        } else {
            form.says
        });
    } else if length > form.most {
        source
            .report(Code::BadText, node.span, format!("text of {length} characters"))
            .hint(format!("shorten it to {} characters", form.most));
    } else if !form.matches(text) {
        let written = source.quote(node.span);
        source.report(Code::BadText, node.span, format!("`{written}` is malformed")).hint(form.says);
    }
}

fn check_word(source: &mut Source<'_>, words: &'static [&'static str], node: &Node, word: &str) {
    if words.contains(&word) {
        return;
    }
    let shown: String = word.chars().take(40).collect();
    let hint = match nearest(word, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of {}", Kind::Word(words).wanted()),
    };
    source.report(Code::UnknownWord, node.span, format!("`{shown}` is none of the words allowed here")).hint(hint);
}

fn report_type(source: &mut Source<'_>, kind: &'static Kind, node: &Node) {
    let message = format!("expected {}, found {}", kind.wanted(), found(source, node));
    let hint = retype(source, kind, node).unwrap_or_else(|| example(kind));
    source.report(Code::WrongType, node.span, message).hint(hint);
}

/// How to write what was probably meant.
fn retype(source: &Source<'_>, kind: &'static Kind, node: &Node) -> Option<String> {
    match (kind, &node.value) {
        (_, Value::Number(_) | Value::Flag(_)) if kind.wants_text() => {
            Some(format!("write it in quotes: \"{}\"", source.quote(node.span)))
        }
        (Kind::Flag, Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Some("write `true`, without quotes".to_owned()),
            "no" | "off" | "false" => Some("write `false`, without quotes".to_owned()),
            _ => None,
        },
        (Kind::Int(..) | Kind::Number(..), Value::Text(text)) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
            Some(format!("write `{text}`, without quotes"))
        }
        _ => None,
    }
}

/// How a value of this kind is written.
fn example(kind: &'static Kind) -> String {
    match kind {
        Kind::Flag => "write `true` or `false`".to_owned(),
        Kind::Int(least, most) => format!("give {}", bounds(f64::from(*least), f64::from(*most))),
        Kind::Number(least, most) => format!("give {}", bounds(*least, *most)),
        Kind::Text(_) => "write a text, in quotes where it has special characters".to_owned(),
        Kind::Word(words) => format!("write one of {}", Kind::Word(words).wanted()),
        Kind::List(..) => {
            "write a list, of one if need be: each item on a line after `-`, or all in `[ ]`".to_owned()
        }
        Kind::Map(_) => "write a map: `name: value` on lines of their own, or all in `{ }`".to_owned(),
        Kind::Object(shape) => in_sentence(shape.doc),
        Kind::Nested(shape) => in_sentence(shape().doc),
        Kind::Either(kinds) => kinds.iter().map(example).collect::<Vec<_>>().join("; or "),
        Kind::Ignored => "write anything".to_owned(),
    }
}

fn report_unknown(source: &mut Source<'_>, shape: &'static Shape, member: &Member) {
    if source.is_full() {
        source.report(Code::UnknownField, member.key_span, "");
        return;
    }
    let shown: String = member.key.chars().take(60).collect();
    let message = format!("unknown field `{shown}` in {}", article(shape.name));
    let known = || shape.fields.iter().filter(|field| field.legacy.is_none() && field.retired.is_none());
    let hint = if shape.name == "app" && REPORTED.contains(&&*member.key) {
        "remove it: Marathon's API reports it about a running app, nobody declares it".to_owned()
    } else if member.key == "<<" {
        "merge keys are not part of YAML 1.2; write the fields out".to_owned()
    } else if let Some(near) = nearest(&member.key, known().map(|field| field.name)) {
        format!("did you mean `{near}`?")
    } else {
        let names: Vec<_> = known().map(|field| field.name).collect();
        if names.len() <= LISTED_MAX {
            format!("{} has {}", article(shape.name), names.join(", "))
        } else {
            "text of your own goes into `labels`; manifests/schema/ekiden.schema.json lists all fields".to_owned()
        }
    };
    source.report(Code::UnknownField, member.key_span, message).hint(hint);
}

/// What stands there, for people.
fn found(source: &Source<'_>, node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Flag(flag) => format!("{flag}"),
        Value::Number(_) => format!("the number `{}`", source.quote(node.span)),
        Value::Text(_) => format!("the text `{}`", source.quote(node.span)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}

fn article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// A description as part of a hint: without its capital and its full stop.
fn in_sentence(doc: &str) -> String {
    let mut letters = doc.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn bounds(least: f64, most: f64) -> String {
    if most >= f64::from(i32::MAX) {
        format!("{least} or more")
    } else if least >= most {
        format!("{least}")
    } else {
        format!("{least} to {most}")
    }
}
