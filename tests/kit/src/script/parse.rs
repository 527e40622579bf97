//! Reading a scenario.

use std::time::Duration;

use crate::behaviour::parse_duration;

/// One line of a scenario, in words. Values with blanks stand in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line's number, from 1.
    pub number: usize,
    /// The line itself.
    pub text: String,
    /// Its words.
    pub words: Vec<String>,
}

/// A line that says nothing, or something impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: `{text}`: {wrong}")]
pub struct ScriptError {
    /// The line's number, from 1.
    pub number: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub wrong: String,
}

/// The commands of a scenario.
pub fn parse(script: &str) -> Result<Vec<Command>, ScriptError> {
    let mut commands = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let text = line.split_once(" #").map_or(line, |(before, _)| before).trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let command = Command { number: index + 1, text: text.to_owned(), words: Vec::new() };
        let words = words(text).ok_or_else(|| command.wrong("a quote is not closed"))?;
        commands.push(Command { words, ..command });
    }
    Ok(commands)
}

/// Splits at blanks, except within double quotes, which are left out.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    (!quoted).then_some(words)
}

impl Command {
    /// An error about this line.
    pub(super) fn wrong(&self, wrong: impl Into<String>) -> ScriptError {
        ScriptError { number: self.number, text: self.text.clone(), wrong: wrong.into() }
    }

    /// The word at `index`.
    pub(super) fn word(&self, index: usize) -> Result<&str, ScriptError> {
        self.words.get(index).map(String::as_str).ok_or_else(|| self.wrong(format!("word {index} is missing")))
    }

    /// The number at `index`.
    pub(super) fn number_at<T: std::str::FromStr>(&self, index: usize) -> Result<T, ScriptError> {
        self.number_in(self.word(index)?)
    }

    /// The number that a text is.
    pub(super) fn number_in<T: std::str::FromStr>(&self, text: &str) -> Result<T, ScriptError> {
        text.parse().map_err(|_| self.wrong(format!("`{text}` is no number")))
    }

    /// The duration that a text is.
    pub(super) fn duration_in(&self, text: &str) -> Result<Duration, ScriptError> {
        parse_duration(text).ok_or_else(|| self.wrong(format!("`{text}` is no duration such as 10s")))
    }

    /// The `name=value` pairs from the word at `first` on; a word without `=` has an empty value.
    pub(super) fn settings(&self, first: usize) -> Vec<(&str, &str)> {
        self.words.iter().skip(first).map(|word| word.split_once('=').unwrap_or((word, ""))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_falls_into_words() {
        let commands = parse("# nothing\n\ndeclare /web cmd=\"run v2\" # new\n").expect("a good script");
        assert_eq!(commands.len(), 1);
        assert_eq!(commands[0].words, ["declare", "/web", "cmd=run v2"]);
        assert_eq!(commands[0].settings(2), [("cmd", "run v2")]);
        let error = parse("run \"10s").expect_err("an open quote");
        assert_eq!(error.to_string(), "line 1: `run \"10s`: a quote is not closed");
    }
}
