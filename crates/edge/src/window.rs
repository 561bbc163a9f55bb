//! Failback windows: hours of the day, on days of the week, by the clock of a named time zone.
//!
//! A window is open whenever the clock there shows a time in it. So where clocks are put forward, times that are never
//! shown open nothing, and where they are put back, what is shown twice counts twice. The time-zone rules are compiled in,
//! that the same text means the same on every machine; the wall clock is passed in, and asked anew every minute, since it
//! may be set. Refuses to know: clocks, files, what a window is good for.

use decide::{Engine, Window};
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _};
use model::{GroupId, Instant, Span, Wall};

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Changes are looked for so many days ahead: a weekly window that falls into a gap of the clock opens a week later.
const AHEAD_DAYS: i64 = 16;
/// A wall clock that has been set is noticed within this time.
const LOOK: Span = Span::from_secs(60);

/// Hours on some days of the week in one time zone, such as `Mon-Fri 22:00-06:00 Europe/Oslo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Bit 0 is Monday. Hours over midnight belong to the day on which they begin.
    days: u8,
    /// Minute of the day.
    opens: u16,
    /// Minute of the day, up to 24:00; not after `opens` means on the next day.
    closes: u16,
    zone: TimeZone,
}

/// All windows of one group: it may come back in any of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Calendar(pub Vec<Hours>);

/// Names of all time zones known.
pub(crate) fn zones() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect()
}

impl Hours {
    /// From `opens` to `closes`, minutes of the day, on days of which bit 0 is Monday. None where there is no such zone, day
    /// or minute, or where it would never open.
    pub fn new(days: u8, opens: u16, closes: u16, zone: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(zone).ok()?;
        let days = days & 0x7f;
        (days != 0 && opens < DAY && closes <= DAY && opens != closes).then_some(Self { days, opens, closes, zone })
    }

    /// How long it is open at a stretch, where no clock is changed.
    pub fn length(&self) -> Span {
        let minutes = if self.opens < self.closes { self.closes - self.opens } else { DAY + self.closes - self.opens };
        Span::from_secs(u64::from(minutes) * 60)
    }

    fn open_at(&self, at: Timestamp) -> bool {
        let shown = self.zone.to_datetime(at);
        let minute = shown.hour().unsigned_abs() as u16 * 60 + shown.minute().unsigned_abs() as u16;
        let on = |day: Weekday| self.days & (1 << day.to_monday_zero_offset()) != 0;
        if self.opens < self.closes {
            return on(shown.weekday()) && (self.opens..self.closes).contains(&minute);
        }
        (on(shown.weekday()) && minute >= self.opens) || (on(shown.weekday().previous()) && minute < self.closes)
    }

    /// Every instant at which it may open or close within the days ahead: its hours, and the changes of the clock.
    fn edges(&self, from: Timestamp, into: &mut Vec<Timestamp>) {
        let today = self.zone.to_datetime(from).date();
        for ahead in -1..=AHEAD_DAYS {
            let Ok(date) = today.checked_add(ahead.days()) else { continue };
            into.extend([self.opens, self.closes].into_iter().flat_map(|minute| self.shown_at(date, minute)).flatten());
        }
        let end = from.as_second().saturating_add(AHEAD_DAYS * 86_400);
        let transitions = self.zone.following(from).map(|transition| transition.timestamp());
        into.extend(transitions.take_while(|at| at.as_second() <= end));
    }

    /// When the clock shows this minute of this day: once, never or twice.
    fn shown_at(&self, date: Date, minute: u16) -> [Option<Timestamp>; 2] {
        let (date, minute) = if minute == DAY { (date.tomorrow().unwrap_or(date), 0) } else { (date, minute) };
        let at: DateTime = date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
        let (first, second) = match self.zone.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Unambiguous { offset } => (Some(offset), None),
            AmbiguousOffset::Fold { before, after } => (Some(before), Some(after)),
            AmbiguousOffset::Gap { .. } => (None, None),
        };
        [first, second].map(|offset| offset?.to_timestamp(at).ok())
    }
}

impl Calendar {
    /// Whether any window is open at this time, and when that changes next; none when it never does.
    pub fn at(&self, wall: Wall) -> (bool, Option<Wall>) {
        let Ok(now) = Timestamp::from_microsecond(wall.as_micros()) else { return (false, None) };
        let open = self.open_at(now);
        let mut edges = Vec::new();
        self.0.iter().for_each(|hours| hours.edges(now, &mut edges));
        edges.retain(|edge| *edge > now);
        edges.sort_unstable();
        let change = edges.into_iter().find(|edge| self.open_at(*edge) != open);
        (open, change.map(|at| Wall::from_micros(at.as_microsecond())))
    }

    fn open_at(&self, at: Timestamp) -> bool {
        self.0.iter().any(|hours| hours.open_at(at))
    }
}

/// When to read the wall clock again on behalf of the groups that have windows.
#[derive(Debug, Default)]
pub(crate) struct WindowTimer {
    due: Option<Instant>,
}

impl WindowTimer {
    /// With a new configuration everything is told at once.
    pub(crate) fn reset(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// When [`WindowTimer::tick`] has something to do.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Tells the engine of each window when it is time: at every change, and every minute in case the clock was set.
    pub(crate) fn tick(&mut self, now: Instant, wall: Wall, windows: &[(GroupId, Calendar)], engine: &mut Engine) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = (!windows.is_empty()).then_some(now + LOOK);
        for (group, calendar) in windows {
            let (open, changes) = calendar.at(wall);
            // `at` speaks of later than `wall`, so the difference is above zero.
            let left = changes.map(|at| Span::from_micros(at.as_micros().abs_diff(wall.as_micros())));
            let changes = left.map(|left| now + left);
            self.due = self.due.min(changes.or(self.due));
            engine.set_window(now, *group, Window { open, changes });
        }
    }
}

#[cfg(test)]
mod tests;
