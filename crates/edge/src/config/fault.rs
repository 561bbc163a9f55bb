//! Faults: what is wrong in a configuration text, where, and what was probably meant.
//!
//! Every fault of a text is collected before any is shown. Refuses to know: how they are printed (see `render`).

use core::fmt;
use core::ops::Range;
use model::Name;

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but will do something that was hardly meant.
    Warning,
}

impl Severity {
    /// The word people see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the file.
    pub file: Name,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The words at fault, in bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What was expected there.
    pub expected: String,
    /// What was probably meant.
    pub fix: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

/// The fault in one line, as for a log.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.file, self.line, self.column, self.severity.word(), self.what)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None if self.expected.is_empty() => Ok(()),
            None => write!(f, "; expected {}", self.expected),
        }
    }
}

/// Faults kept of one text; who has more repairs these first.
const MOST: usize = 500;

/// Faults as they are found.
#[derive(Debug)]
pub struct Faults<'t> {
    text: &'t str,
    file: Name,
    list: Vec<Fault>,
    /// Faults beyond the limit.
    more: usize,
}

impl<'t> Faults<'t> {
    /// None yet.
    pub fn new(text: &'t str, file: &str) -> Self {
        Self { text, file: Name::from(file), list: Vec::new(), more: 0 }
    }

    /// The configuration cannot be used.
    pub fn error(&mut self, at: &Range<usize>, what: impl Into<String>, expected: impl Into<String>, fix: Fix) {
        self.push(Severity::Error, at, what.into(), expected.into(), fix);
    }

    /// It can be used; someone should think again.
    pub fn warn(&mut self, at: &Range<usize>, what: impl Into<String>, expected: impl Into<String>, fix: Fix) {
        self.push(Severity::Warning, at, what.into(), expected.into(), fix);
    }

    /// Whether the text cannot be used.
    pub fn any_error(&self) -> bool {
        self.more > 0 || self.list.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// All of them in the order of the text; the same fault at the same place once.
    pub fn done(mut self) -> Vec<Fault> {
        self.list.sort_by(|a, b| (a.span.start, a.severity, &a.what).cmp(&(b.span.start, b.severity, &b.what)));
        self.list.dedup_by(|a, b| a.span == b.span && a.what == b.what);
        if self.more > 0 {
            let (end, more) = (self.text.len(), core::mem::take(&mut self.more));
            self.list.pop();
            let what = format!("{} more faults are not shown", more + 1);
            self.push(Severity::Error, &(end..end), what, String::new(), Some(String::from("repair these first")));
        }
        self.list
    }

    fn push(&mut self, severity: Severity, at: &Range<usize>, what: String, expected: String, fix: Fix) {
        if self.list.len() >= MOST {
            self.more += 1;
            return;
        }
        let span = self.clamp(at);
        let (line, column) = position(self.text, span.start);
        let file = self.file.clone();
        self.list.push(Fault { file, line, column, span, what, expected, fix, severity });
    }

    /// A span that lies within the text and on character boundaries, whatever it came from.
    fn clamp(&self, at: &Range<usize>) -> Range<usize> {
        let down = |mut index: usize| {
            index = index.min(self.text.len());
            while !self.text.is_char_boundary(index) {
                index -= 1;
            }
            index
        };
        let start = down(at.start);
        start..down(at.end).max(start)
    }
}

/// What was probably meant, if that can be said.
pub type Fix = Option<String>;

/// Line and column, both from 1, the column in characters.
fn position(text: &str, index: usize) -> (u32, u32) {
    let before = &text[..index];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..].chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("a\nbø = 1", 5), (2, 3));
        assert_eq!(position("a\n\n", 3), (3, 1));
    }

    #[test]
    fn order_is_of_the_text_and_spans_are_made_safe() {
        let mut faults = Faults::new("ø = 1\n", "x.toml");
        faults.warn(&(3..99), "late", "", None);
        faults.error(&(1..1), "early", "less", None);
        faults.error(&(1..1), "early", "less", None);
        assert!(faults.any_error());
        let list = faults.done();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].to_string(), "x.toml:1:1: error: early; expected less");
        assert_eq!(list[1].span, 3..7);
    }

    #[test]
    fn there_is_a_limit_and_it_is_told() {
        let mut faults = Faults::new("", "x.toml");
        (0..MOST + 7).for_each(|n| faults.warn(&(0..0), n.to_string(), "", None));
        let list = faults.done();
        assert_eq!(list.len(), MOST);
        assert_eq!(list[MOST - 1].what, "8 more faults are not shown");
    }
}
