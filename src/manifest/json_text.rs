//! JSON to a tree.
//!
//! All JSON that people write is YAML, too, but not all that programs write: YAML refuses some characters in texts,
//! and keys of more than 1024. What was stored must be read back whatever it holds, so JSON has a reader of its own.
//! It tells no mistakes: what it cannot read is read as YAML, which does.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::IgnoredAny;

use super::tree::{DEPTH_MAX, EXPANDED_MAX_BYTES, Member, NODE_COST, Node, Span, Value, is_same};

/// The value that `text` holds, if it is JSON, without a key twice and within the bounds of a tree.
pub(super) fn document(text: &str) -> Option<Node<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        column: 1,
        counted: 0,
        left: EXPANDED_MAX_BYTES.saturating_sub(text.len()),
        members: Vec::with_capacity(MEMBERS),
        items: Vec::new(),
    };
    reader.skip_space();
    // A lone scalar is no manifest; and most YAML is told from JSON here.
    matches!(reader.peek(), Some(b'{' | b'[')).then_some(())?;
    let node = reader.node(0)?;
    reader.skip_space();
    (reader.at == text.len()).then_some(node)
}

/// Members of an app and of what is in it that are read at one time; more take more room.
const MEMBERS: usize = 48;

struct Reader<'a> {
    text: &'a str,
    /// The byte to read next.
    at: usize,
    /// The line and column of the byte `counted`, from which columns are counted on.
    line: u32,
    column: u32,
    counted: usize,
    /// What the values still to come may cost.
    left: usize,
    /// Of the maps and lists that have begun and not ended, those within others last. How many there are shows at the end,
    /// and then each gets a list that is neither too large nor was ever too small.
    members: Vec<Member<'a>>,
    items: Vec<Node<'a>>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn skip_space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.at += 1;
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
                self.counted = self.at;
            }
        }
    }

    /// From here on; the end is yet to be found.
    fn span(&mut self) -> Span {
        let passed = self.text.get(self.counted..self.at).unwrap_or_default();
        let passed = if passed.is_ascii() { passed.len() } else { passed.chars().count() };
        self.column += passed as u32;
        self.counted = self.at;
        Span { line: self.line, column: self.column, start: self.at as u32, end: self.at as u32 + 1, map: false }
    }

    fn node(&mut self, depth: usize) -> Option<Node<'a>> {
        self.left = self.left.checked_sub(NODE_COST)?;
        let mut span = self.span();
        let value = match self.peek()? {
            b'{' if depth < DEPTH_MAX => {
                span.map = true;
                Value::Map(self.members(depth)?)
            }
            b'[' if depth < DEPTH_MAX => Value::List(self.items(depth)?),
            b'"' => Value::Text(self.string()?),
            _ => self.literal()?,
        };
        if !matches!(value, Value::Map(_) | Value::List(_)) {
            span.end = self.at as u32;
        }
        Some(Node { span, value })
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Node<'a>>> {
        let first = self.items.len();
        self.take(b'[')?;
        self.skip_space();
        if self.take(b']').is_some() {
            return Some(Vec::new());
        }
        loop {
            self.skip_space();
            let item = self.node(depth + 1)?;
            self.items.push(item);
            self.skip_space();
            if self.take(b',').is_none() {
                return self.take(b']').map(|()| self.items.drain(first..).collect());
            }
        }
    }

    fn members(&mut self, depth: usize) -> Option<Vec<Member<'a>>> {
        let first = self.members.len();
        self.take(b'{')?;
        self.skip_space();
        if self.take(b'}').is_some() {
            return Some(Vec::new());
        }
        loop {
            self.skip_space();
            self.left = self.left.checked_sub(NODE_COST)?;
            let mut key_span = self.span();
            let key = self.string()?;
            key_span.end = self.at as u32;
            self.skip_space();
            self.take(b':')?;
            self.skip_space();
            let value = self.node(depth + 1)?;
            self.members.push(Member { key, key_span, value });
            self.skip_space();
            if self.take(b',').is_none() {
                self.take(b'}')?;
                return (!has_a_key_twice(&self.members[first..])).then(|| self.members.drain(first..).collect());
            }
        }
    }

    /// A text; one with a NUL is left to be told as a mistake.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        self.take(b'"')?;
        let mut is_plain = true;
        loop {
            // Below the space JSON refuses what stands as it is.
            let rest = self.text.as_bytes().get(self.at..)?;
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
            self.at += plain + 1;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
            is_plain = false;
        }
        if is_plain {
            return self.text.get(start + 1..self.at - 1).map(Cow::Borrowed);
        }
        let text: String = serde_json::from_str(self.text.get(start..self.at)?).ok()?;
        (!text.contains('\0')).then_some(Cow::Owned(text))
    }

    fn literal(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let text: &'a str = self.text.get(start..self.at)?;
        match text {
            "null" => Some(Value::Null),
            "true" => Some(Value::Flag(true)),
            "false" => Some(Value::Flag(false)),
            // Most numbers are whole and short: no other way of reading them has another outcome.
            _ if is_short_and_whole(text) => text.parse::<u32>().ok().map(|number| Value::Number(number.into())),
            _ => {
                // JSON decides what a number is, the standard library what its nearest float is.
                serde_json::from_str::<IgnoredAny>(text).ok()?;
                text.parse().ok().map(Value::Number)
            }
        }
    }
}

fn is_short_and_whole(text: &str) -> bool {
    let digits = text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text.len() == 1 || !text.starts_with('0'))
}

/// Most members of which each is compared with each, which for few is faster than to sort them out.
const COMPARED_MAX: usize = 32;

fn has_a_key_twice(members: &[Member<'_>]) -> bool {
    if members.len() > COMPARED_MAX {
        let mut keys = HashSet::with_capacity(members.len());
        return !members.iter().all(|member| keys.insert(&*member.key));
    }
    let mut rest = members;
    while let [first, after @ ..] = rest {
        if after.iter().any(|member| is_same(&member.key, &first.key)) {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let node = document("{\n\t\"ü\": 1, \"b\": [true,\r\n {\"c\": \"d\"}]}").expect("JSON");
        let members = node.as_map().expect("a map");
        assert_eq!((members[0].value.span.line, members[0].value.span.column), (2, 7));
        assert_eq!((members[1].key_span.line, members[1].key_span.column), (2, 10));
        let list = members[1].value.as_list().expect("a list");
        assert_eq!((list[0].span.line, list[0].span.column), (2, 16));
        assert_eq!((list[1].span.line, list[1].span.column, list[1].span.map), (3, 2, true));
        let text = &list[1].as_map().expect("a map")[0].value.span;
        assert_eq!((text.column, text.end - text.start), (8, 3));
    }

    #[test]
    fn what_is_no_json_is_left_to_yaml() {
        let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
        let many: Vec<_> = (0..=COMPARED_MAX).map(|key| format!("\"{key}\":0")).collect();
        let twice = format!("{{{},\"7\":0}}", many.join(","));
        assert!(document(&twice.replace("\"7\":0}", "\"x\":0}")).is_some());
        for text in [
            "",
            "1",
            "{a: 1}",
            "[1,]",
            "{\"a\": 1,}",
            "[1] 2",
            "[01]",
            "[nan]",
            "[1",
            "{\"a\"",
            "[\"a",
            "[\"a\\",
            "[\"\\",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"b\":1,\"\\u0061\":1}",
            &twice,
            "[\"\\u0000\"]",
            "[\"\n\"]",
            "[+1]",
            "[.5]",
            "[tru]",
            "# c\n[]",
            "{\"a\" 1}",
            "[1 2]",
            &deep,
        ] {
            assert_eq!(document(text), None, "{text}");
        }
    }
}
