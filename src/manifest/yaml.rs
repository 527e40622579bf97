//! YAML 1.2 to trees, within bounds that hostile input cannot leave.
//!
//! Knows nothing of apps. It reads parser events rather than going through serde, because only they say where keys
//! stand, and because the parser goes on with the next document after a syntax error.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput};

use super::code::Code;
use super::scalar;
use super::source::Source;
use super::tree::{DEPTH_MAX, EXPANDED_MAX_BYTES, Member, NODE_COST, Node, Span, Value};

/// Most documents in one file: a thousand apps, one each, is what people have been seen to generate.
const DOCUMENTS_MAX: usize = 1000;

/// The documents of `source`; those with mistakes are left out and the mistakes noted.
pub(super) fn documents<'t>(source: &mut Source<'t>) -> Vec<Node<'t>> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        // One more than ours, so that it is our message that people see.
        flow_nesting_limit: DEPTH_MAX + 1,
        block_nesting_limit: DEPTH_MAX + 1,
    };
    let parser = Parser::new_from_str_with_options(source.text, options);
    let mut reader = Reader { parser, anchors: HashMap::new(), left: EXPANDED_MAX_BYTES };
    let mut documents = Vec::new();
    let mut seen = 0;
    loop {
        match reader.next() {
            Ok((Event::StreamEnd, _)) => break,
            Ok((Event::DocumentStart(..), span)) if seen == DOCUMENTS_MAX => {
                source
                    .report(
                        Code::TooManyDocuments,
                        span,
                        format!("more than {DOCUMENTS_MAX} documents in one file"),
                    )
                    .hint("split the file");
                break;
            }
            Ok((Event::DocumentStart(..), _)) => {
                seen += 1;
                let errors = source.errors();
                match reader.document(source) {
                    Ok(node) if source.errors() == errors => documents.push(node),
                    Ok(_) => {}
                    Err(Stop::Document) => {
                        if !matches!(reader.parser.proceed_next_document(), Ok(true)) {
                            break;
                        }
                    }
                    Err(Stop::File) => break,
                }
            }
            Ok(_) => {}
            Err(error) => {
                report_syntax(source, &error);
                if !matches!(reader.parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    documents
}

/// Why reading stops early; what is wrong has been noted.
enum Stop {
    /// The rest of this document cannot be made sense of.
    Document,
    /// The rest of the file must not be read.
    File,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// The values that aliases may stand for, and what each costs.
    anchors: HashMap<usize, (Node<'a>, usize)>,
    /// What the values still to come may cost.
    left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ScanError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => Err(error),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self, source: &mut Source<'_>) -> Result<Node<'a>, Stop> {
        self.anchors.clear();
        let (event, span) = self.next_in_document(source)?;
        self.node(source, event, span, 0)
    }

    fn next_in_document(&mut self, source: &mut Source<'_>) -> Result<(Event<'a>, Span), Stop> {
        self.next().map_err(|error| {
            report_syntax(source, &error);
            Stop::Document
        })
    }

    fn node(
        &mut self,
        source: &mut Source<'_>,
        event: Event<'a>,
        mut span: Span,
        depth: usize,
    ) -> Result<Node<'a>, Stop> {
        let before = self.left;
        if let Some(tag) = event.tag() {
            source
                .report(Code::Tag, span, format!("tag `{}` on a value", tag.original()))
                .hint("remove the tag; write texts in quotes and other values as they are");
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                self.pay(source, span, NODE_COST + text.len())?;
                (scalar_value(source, text, style, span), anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(source, span, depth)?;
                (Value::List(self.items(source, depth)?), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(source, span, depth)?;
                let members = self.members(source, depth)?;
                span.map = true;
                // Without braces a map begins with its first key: that is what to point at.
                if let Some(first) = members.first().filter(|first| first.key_span.start == span.start) {
                    span.end = first.key_span.end;
                }
                (Value::Map(members), anchor)
            }
            Event::Alias(anchor) => return self.alias(source, anchor, span),
            Event::UnresolvedAlias(name) => {
                source
                    .report(Code::BadAlias, span, format!("alias `*{name}` of an anchor that is not there"))
                    .hint(format!(
                        "write `&{name}` before the value it stands for, further up in the same document"
                    ));
                (Value::Null, 0)
            }
            _ => (Value::Null, 0),
        };
        let node = Node { span, value };
        if anchor != 0 {
            // The copy is paid for, too: anchors within anchors would otherwise multiply the file by its depth.
            let cost = before - self.left;
            self.pay(source, span, cost)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        Ok(node)
    }

    fn items(&mut self, source: &mut Source<'_>, depth: usize) -> Result<Vec<Node<'a>>, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next_in_document(source)? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(source, event, span, depth + 1)?),
            }
        }
    }

    fn members(&mut self, source: &mut Source<'_>, depth: usize) -> Result<Vec<Member<'a>>, Stop> {
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut keys: HashMap<Cow<'a, str>, Span> = HashMap::new();
        loop {
            let (event, key_span) = self.next_in_document(source)?;
            let key = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok(members),
                Event::Scalar(text, _, _, None) => {
                    self.pay(source, key_span, NODE_COST + 2 * text.len())?;
                    refuse_nul(source, &text, key_span);
                    Some(text)
                }
                other => {
                    // Read it all the same, to find what follows it.
                    self.node(source, other, key_span, depth + 1)?;
                    source
                        .report(Code::KeyNotText, key_span, "key that is no plain text")
                        .hint("write the key as a text, in quotes where it has special characters");
                    None
                }
            };
            let (event, span) = self.next_in_document(source)?;
            let value = self.node(source, event, span, depth + 1)?;
            let Some(key) = key else { continue };
            if let Some(first) = keys.get(&key) {
                source
                    .report(Code::DuplicateKey, key_span, format!("key `{key}` stands twice"))
                    .related(*first, "first here")
                    .hint("remove one of the two");
            } else {
                keys.insert(key.clone(), key_span);
                members.push(Member { key, key_span, value });
            }
        }
    }

    fn alias(&mut self, source: &mut Source<'_>, anchor: usize, span: Span) -> Result<Node<'a>, Stop> {
        let Some((node, cost)) = self.anchors.get(&anchor) else {
            source
                .report(Code::BadAlias, span, "alias inside the value that it stands for")
                .hint("write the value out");
            return Ok(Node { span, value: Value::Null });
        };
        let cost = *cost;
        // Errors in what the alias stands for are shown where it is written.
        let node = node.clone();
        self.pay(source, span, cost)?;
        Ok(node)
    }

    fn enter(&mut self, source: &mut Source<'_>, span: Span, depth: usize) -> Result<(), Stop> {
        if depth >= DEPTH_MAX {
            source
                .report(Code::TooDeep, span, format!("lists and maps nested more than {DEPTH_MAX} deep"))
                .hint("no manifest needs this; look for a bracket or an indentation too many");
            return Err(Stop::Document);
        }
        self.pay(source, span, NODE_COST)
    }

    fn pay(&mut self, source: &mut Source<'_>, span: Span, cost: usize) -> Result<(), Stop> {
        let Some(left) = self.left.checked_sub(cost) else {
            source
                .report(Code::TooManyValues, span, "more values than a file may hold, aliases written out")
                .hint("split the file, or use fewer aliases of aliases");
            return Err(Stop::File);
        };
        self.left = left;
        Ok(())
    }
}

fn scalar_value<'a>(source: &mut Source<'_>, text: Cow<'a, str>, style: ScalarStyle, span: Span) -> Value<'a> {
    refuse_nul(source, &text, span);
    if style == ScalarStyle::Plain { scalar::plain(text) } else { Value::Text(text) }
}

fn refuse_nul(source: &mut Source<'_>, text: &str, span: Span) {
    if text.contains('\0') {
        source
            .report(Code::BadText, span, "text with a NUL character")
            .hint("remove it: neither commands nor environments can hold one");
    }
}

fn report_syntax(source: &mut Source<'_>, error: &ScanError) {
    let at = mark(error.marker());
    if matches!(error.kind(), granit_parser::ErrorKind::RecursionLimitExceeded) {
        source
            .report(Code::TooDeep, at, format!("lists and maps nested more than {DEPTH_MAX} deep"))
            .hint("no manifest needs this; look for a bracket or an indentation too many");
        return;
    }
    source.report(Code::Syntax, at, format!("neither YAML nor JSON: {}", error.info())).hint(
        "look at this line and the one before it: indentation, quotes, brackets, and a space after each colon",
    );
}

fn place(span: &granit_parser::Span) -> Span {
    let start = mark(&span.start);
    let end = span.end.byte_offset().map_or(start.end, |end| end as u32);
    Span { end: end.max(start.start), ..start }
}

fn mark(marker: &Marker) -> Span {
    let start = marker.byte_offset().unwrap_or_default() as u32;
    Span { line: marker.line() as u32, column: marker.col() as u32 + 1, start, end: start, map: false }
}
