//! Time as values: a monotonic instant, a span, a wall-clock stamp, all in microseconds.
//!
//! Pure code never reads a clock; whoever drives it passes `Instant`s in. Arithmetic saturates, because a
//! timer that overflows must become "never", not a panic in a live call.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use serde::{Deserialize, Serialize};

/// Monotonic time in microseconds since the driver's own start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

/// Wall-clock time in microseconds since 1970-01-01T00:00:00Z. Only ever printed or stored, never compared with a timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(i64);

impl Instant {
    /// The driver's start.
    pub const ZERO: Self = Self(0);
    /// Later than every timer.
    pub const FAR: Self = Self(u64::MAX);

    /// Microseconds since the driver's start.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the driver's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is in the future.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any call.
    pub const MAX: Self = Self(u64::MAX);

    /// From microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// From milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// From seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }

    /// In microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// In whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// In whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// `self` times `factor`, saturating.
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// `self` scaled by `percent` of one hundred, saturating.
    pub const fn percent(self, percent: u64) -> Self {
        Self(self.0 / 100 * percent + self.0 % 100 * percent / 100)
    }
}

impl Wall {
    /// Microseconds since the Unix epoch.
    pub const fn from_micros(us: i64) -> Self {
        Self(us)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Civil date and time in UTC: year, month, day, hour, minute, second, millisecond.
    pub const fn civil(self) -> (i64, u32, u32, u32, u32, u32, u32) {
        let ms = self.0.div_euclid(1_000);
        let days = ms.div_euclid(86_400_000);
        let rest = ms.rem_euclid(86_400_000) as u32;
        let (year, month, day) = civil_from_days(days);
        (year, month, day, rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000)
    }
}

/// Days since 1970-01-01 to a proleptic Gregorian date, by eras of 400 years that begin on 1 March.
const fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

impl Add<Span> for Instant {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Instant {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// As a person would say it: `250 ms`, `1.5 s`, `2 min`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0 s"),
            us if us < 1_000 => write!(f, "{us} µs"),
            us if us < 1_000_000 && us % 1_000 != 0 => write!(f, "{}.{} ms", us / 1_000, us % 1_000 / 100),
            us if us < 1_000_000 => write!(f, "{} ms", us / 1_000),
            us if us % 60_000_000 == 0 => write!(f, "{} min", us / 60_000_000),
            us if us % 1_000_000 == 0 => write!(f, "{} s", us / 1_000_000),
            us => write!(f, "{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3339 in UTC with milliseconds.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second, ms) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn spans_read_as_people_say_them() {
        let said =
            [0, 900, 2_500, 250_000, 1_500_000, 30_000_000, 120_000_000].map(|us| Span::from_micros(us).to_string());
        assert_eq!(said, ["0 s", "900 µs", "2.5 ms", "250 ms", "1.5 s", "30 s", "2 min"]);
    }

    #[test]
    fn wall_is_rfc_3339() {
        assert_eq!(Wall::from_micros(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Wall::from_micros(1_709_164_799_123_456).to_string(), "2024-02-28T23:59:59.123Z");
        assert_eq!(Wall::from_micros(1_709_164_800_000_000).to_string(), "2024-02-29T00:00:00.000Z");
        assert_eq!(Wall::from_micros(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::FAR + Span::MAX, Instant::FAR);
        assert_eq!(Instant::ZERO.since(Instant::FAR), Span::ZERO);
        assert_eq!(Span::MAX.times(2), Span::MAX);
        assert_eq!(Span::from_secs(5).percent(20), Span::from_secs(1));
    }
}
