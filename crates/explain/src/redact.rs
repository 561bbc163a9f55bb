//! Numbers of people, fit for a log: only the end is shown.
//!
//! Enough to tell two calls apart beside their reference, too little to know who called. Refuses to know: numbering plans.

use core::fmt;

/// How many characters at the end are shown.
const SHOWN: usize = 3;

/// Shows the last three characters of a number, and none of a number that has no more than three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")?;
        let hidden = self.0.chars().count().saturating_sub(SHOWN);
        if hidden == 0 {
            return Ok(());
        }
        self.0.chars().skip(hidden).filter(|c| !c.is_control()).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn only_the_end_is_shown_and_of_a_short_number_nothing() {
        let shown = ["+4722334455", "112", "1234", "", "håkon"].map(|number| format!("{}", Redacted(number)));
        assert_eq!(shown, ["…455", "…", "…234", "…", "…kon"]);
        assert_eq!(format!("{:?}", Redacted("+4722334455")), "…455", "a derived Debug would show everything");
    }
}
