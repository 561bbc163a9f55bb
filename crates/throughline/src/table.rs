//! Aligned columns, and times as people say them.
//!
//! Refuses to know: what is in the columns.

use model::Span;

/// Lines with columns as wide as their widest cell, two spaces apart. Columns whose number is in `right` end flush.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// A time in its two largest units.
pub(crate) fn rough(span: Span) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => two(s / 60, "min", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s / 60 % 60, "min"),
        _ => two(s / 86_400, "d", s / 3_600 % 24, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, lesser: &str) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {lesser}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["acme".into(), "7".into()], vec!["globex-oslo".into(), "120".into()]];
        assert_eq!(
            table(&["NAME", "CALLS"], &rows, &[1]),
            "NAME         CALLS\nacme             7\nglobex-oslo    120\n"
        );
    }

    #[test]
    fn times_are_rough() {
        let said = [0, 59, 60, 61, 3_600, 3_661, 90_000].map(|s| rough(Span::from_secs(s)));
        assert_eq!(said, ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 d 1 h"]);
    }
}
