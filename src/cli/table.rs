//! Tables for people: columns as wide as they must be, two spaces apart.

use super::terminal::{Terminal, Tone};

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A cell with a tone.
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone: Some(tone) }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: None }
    }
}

/// Lays out `rows` under `header`.
pub(super) fn table(terminal: &Terminal, header: &[&str], rows: &[Vec<Cell>]) -> String {
    let header: Vec<Cell> = header.iter().map(|name| Cell::toned(*name, Tone::Faint)).collect();
    let all = || std::iter::once(&header).chain(rows);
    let widths: Vec<usize> = (0..header.len())
        .map(|at| all().filter_map(|row| row.get(at)).map(Cell::width).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let last = at + 1 == row.len();
            let pad = if last { 0 } else { widths.get(at).copied().unwrap_or(0) + 2 - cell.width() };
            match cell.tone {
                Some(tone) => line.push_str(&terminal.toned(tone, &cell.text)),
                None => line.push_str(&cell.text),
            }
            line.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How long ago something was, in the largest unit that says enough: `12s`, `5m`, `3h`, `2d`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            vec![vec!["/a".into(), "10/10".into(), "x".into()], vec!["/long".into(), "1/1".into(), "".into()]];
        let text = table(&Terminal::piped(), &["APP", "RUNNING", "WAITS FOR"], &rows);
        assert_eq!(text, "APP    RUNNING  WAITS FOR\n/a     10/10    x\n/long  1/1\n");
        assert_eq!(
            (age(119), age(7199), age(86_400), age(172_800)),
            ("119s".into(), "119m".into(), "24h".into(), "2d".into())
        );
    }
}
