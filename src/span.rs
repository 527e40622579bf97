//! Spans of time, as people write them: a plain number is in the unit that Marathon has for the flag; `500ms`, `30s`,
//! `5m`, `12h` and `7d` say their own.

use std::time::Duration;

/// A span whose plain number counts milliseconds.
pub(crate) fn millis(text: &str) -> Result<Duration, String> {
    span(text, 1)
}

/// A span whose plain number counts seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    span(text, 1000)
}

fn span(text: &str, plain_unit: u64) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" => Some(plain_unit),
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let millis = number.parse().ok().zip(unit).and_then(|(number, unit): (u64, u64)| number.checked_mul(unit));
    let what = if plain_unit == 1 { "milliseconds" } else { "seconds" };
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("write {what} as a whole number, or with a unit: 500ms, 30s, 5m, 12h, 7d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_in_marathons_unit_and_units_win() {
        assert_eq!(millis("300000"), Ok(Duration::from_secs(300)));
        assert_eq!(seconds("604800"), Ok(Duration::from_hours(168)));
        assert_eq!(seconds("7d"), seconds("604800"));
        assert_eq!(millis("5m"), millis("300000"));
        assert_eq!(seconds("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "-1", "5 weeks", "1.5s", "m", "99999999999999999999", "18446744073709551615d"] {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
    }
}
