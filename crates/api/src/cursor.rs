//! Where a page of calls ended, as text that the next page is asked for with: microseconds, a dash, the call.
//!
//! Whoever reads it need not understand it. Refuses to know: which calls there are.

use crate::fault::{Fault, Kind};
use crate::routes::{reference, short};
use model::{CallRef, Instant};

/// Digits of the microseconds at most, and of the reference: what a description of the API can say.
const DIGITS: (usize, usize) = (19, 16);

/// When the call's INVITE came since the edge was started, and its reference.
pub(crate) type Place = (Instant, CallRef);

pub(crate) fn write((invited, call): Place) -> String {
    format!("{}-{call}", invited.as_micros())
}

pub(crate) fn parse(text: &str) -> Result<Place, Fault> {
    let place = || {
        let (invited, call) = text.split_once('-')?;
        let digits = invited.bytes().all(|byte| byte.is_ascii_digit());
        let short = invited.len() <= DIGITS.0 && call.len() <= DIGITS.1;
        let invited = invited.parse().ok().filter(|_| digits && short)?;
        Some((Instant::from_micros(invited), reference(call).ok()?))
    };
    place().ok_or_else(|| {
        let hint = "`next` of the page before, as it was told; or leave it out for the first page";
        Fault::new(Kind::Invalid, format!("`after` is `{}`, which ends no page", short(text)), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for place in [(0, 0), (112_345_000, 0xdead_beef), (9_999_999_999_999_999_999, u64::MAX)] {
            let place = (Instant::from_micros(place.0), CallRef(place.1));
            assert_eq!(parse(&write(place)).expect("a place"), place);
        }
    }

    #[test]
    fn what_ends_no_page_is_refused() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-1",
            "1-+1",
            "1-xyz",
            "1-00000000000000001",
            "00000000000000000001-1",
            "1-1-1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
