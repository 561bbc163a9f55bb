//! Outages: who fails, how, from when to when, and whether in turns.
//!
//! Times count from the end of the warm-up. Refuses to know: what a call makes of it.

use super::kind::Kind;
use model::{Instant, Span};
use std::fmt;

/// One outage of one trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Name of the trunk.
    pub trunk: String,
    /// How.
    pub kind: Kind,
    /// First moment of it.
    pub start: Span,
    /// First moment after it.
    pub end: Span,
    /// In turns, bad first; none is all the time.
    pub flap: Option<Flap>,
    /// Down would be a false alarm.
    pub harmless: bool,
}

/// Bad and good in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flap {
    /// One bad and one good time together.
    pub period: Span,
    /// Of it bad.
    pub bad: Span,
}

impl Outage {
    /// Whether it is in force.
    pub const fn holds(&self, at: Span) -> bool {
        let (at_us, start) = (at.as_micros(), self.start.as_micros());
        if at_us < start || at_us >= self.end.as_micros() {
            return false;
        }
        match self.flap {
            Some(Flap { period, bad }) if period.as_micros() > 0 => {
                (at_us - start) % period.as_micros() < bad.as_micros()
            }
            _ => true,
        }
    }

    /// Whether it has begun anew, after `from` and not after `to`, when its times count from `zero`. These are moments rather than times
    /// since `zero`, of which there are none in the warm-up.
    pub fn began_between(&self, zero: Instant, from: Instant, to: Instant) -> bool {
        let (from, to) = (from.as_micros(), to.as_micros());
        let (start, end) = ((zero + self.start).as_micros(), (zero + self.end).as_micros());
        if to < start || end <= start {
            return false;
        }
        let to = to.min(end - 1);
        match self.flap {
            Some(Flap { period, .. }) if period.as_micros() > 0 => {
                let last = start + (to - start) / period.as_micros() * period.as_micros();
                last > from
            }
            _ => start > from,
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.trunk, self.kind)?;
        match self.flap {
            Some(Flap { period, bad }) => write!(f, ", {bad} of every {period}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(flap: Option<Flap>) -> Outage {
        let (start, end) = (Span::from_secs(10), Span::from_secs(70));
        Outage { trunk: "acme".into(), kind: Kind::Silent, start, end, flap, harmless: false }
    }

    #[test]
    fn an_outage_holds_from_its_start_to_before_its_end() {
        let held: Vec<bool> = [9, 10, 69, 70].map(|s| outage(None).holds(Span::from_secs(s))).into();
        assert_eq!(held, [false, true, true, false]);
    }

    #[test]
    fn a_flapping_one_is_bad_first_in_every_period() {
        let flaps = outage(Some(Flap { period: Span::from_secs(20), bad: Span::from_secs(5) }));
        let held: Vec<bool> = [10, 14, 15, 29, 30, 35].map(|s| flaps.holds(Span::from_secs(s))).into();
        assert_eq!(held, [true, true, false, false, true, false]);
    }

    #[test]
    fn beginnings_are_found_between_two_moments() {
        let (s, once) = (Span::from_secs, outage(None));
        let began = |outage: &Outage, from, to| {
            let (zero, at) = (Instant::ZERO + s(60), |after| Instant::ZERO + s(60) + s(after));
            outage.began_between(zero, at(from), at(to))
        };
        assert!(began(&once, 9, 10) && !began(&once, 10, 60));
        let flaps = outage(Some(Flap { period: s(20), bad: s(5) }));
        assert!(began(&flaps, 25, 31) && !began(&flaps, 31, 45));
        assert!(began(&flaps, 31, 300) && !began(&flaps, 80, 300));
    }
}
