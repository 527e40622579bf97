//! What an unquoted YAML scalar means: YAML 1.2's core schema, of which JSON's literals are a part.

use std::borrow::Cow;

use super::tree::Value;

/// The value of the plain scalar `text`. `yes`, `no`, `on` and `off` are texts: YAML 1.1's booleans are a trap.
pub(super) fn plain(text: Cow<'_, str>) -> Value<'_> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        _ => number(&text).map_or_else(|| Value::Text(text), Value::Number),
    }
}

fn number(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return whole(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return whole(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    // Rust reads more than YAML calls a number (`inf`, `nan`, `infinity`): letters other than the exponent's are out.
    let looks_right = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().any(|c| c.is_ascii_digit())
        && unsigned.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-'));
    if looks_right { text.parse().ok() } else { None }
}

fn whole(digits: &str, radix: u32) -> Option<f64> {
    let plain_digits = digits.bytes().all(|c| c.is_ascii_alphanumeric());
    u64::from_str_radix(digits, radix).ok().filter(|_| plain_digits).map(|number| number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for text in
            ["yes", "no", "on", "1_000", "1.2.3", "inf", "nan", "-", "+", ".", "e5", "0x", "12:30", "-.nan"]
        {
            assert_eq!(plain(text.into()), Value::Text(text.into()), "{text}");
        }
        for (text, number) in
            [("1", 1.0), ("-1.5e3", -1500.0), ("+7", 7.0), (".5", 0.5), ("0x1F", 31.0), ("0o17", 15.0)]
        {
            assert_eq!(plain(text.into()), Value::Number(number), "{text}");
        }
        assert_eq!(plain("".into()), Value::Null);
        assert_eq!(plain("True".into()), Value::Flag(true));
    }
}
