//! "Did you mean": the known name that is nearest to an unknown one.

/// Longest word that is compared, in characters: the cost grows with its square, and names are shorter.
const LONGEST: usize = 64;

/// The one of `known` that `word` was probably meant to be.
///
/// At most a third of the letters may differ, so that `instnces` finds `instances` and `foo` finds nothing.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = simplify(word);
    if letters.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|name| (distance(&letters, &simplify(name)), name))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(letters.len())).div_ceil(3).min(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `health_checks`, `health-checks` and `HealthChecks` are all nearly `healthChecks`.
fn simplify(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The number of letters to insert, drop, replace or swap with their neighbour to turn `from` into `to`.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in to.iter().enumerate() {
            let replace = last[j] + usize::from(letter != other);
            let mut cost = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == to[j - 1] && from[i - 1] == *other {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["instances", "healthChecks", "cmd", "env"];
        assert_eq!(nearest("instnces", known), Some("instances"));
        assert_eq!(nearest("health_checks", known), Some("healthChecks"));
        assert_eq!(nearest("cdm", known), Some("cmd"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }
}
