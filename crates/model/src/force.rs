//! How long an operator may put a tier first: long enough to be meant, short enough that nobody forgets it.

use crate::Span;

/// For how long a tier is forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForceLength(Span);

impl ForceLength {
    /// Shortest.
    pub const LEAST: Span = Span::from_secs(1);
    /// Longest: what is to stay longer belongs into the configuration.
    pub const MOST: Span = Span::from_secs(86_400);

    /// None when it is shorter or longer than may be.
    pub fn new(span: Span) -> Option<Self> {
        (Self::LEAST..=Self::MOST).contains(&span).then_some(Self(span))
    }

    /// As a span.
    pub const fn span(self) -> Span {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_to_a_day() {
        let known = [0, 1, 86_400, 86_401].map(|secs| ForceLength::new(Span::from_secs(secs)).map(ForceLength::span));
        assert_eq!(known, [None, Some(ForceLength::LEAST), Some(ForceLength::MOST), None]);
    }
}
