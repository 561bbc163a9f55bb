//! Windows against the calendar of real places, and against minutes counted one by one.

use super::*;
use crate::config::{Settings, compile};
use crate::{By, Control, ControlInput, ControlOutput, TrunkAct};
use decide::{Change, Decision, Veto};
use explain::Record;
use model::{Health, Observed, ProbeResult, Seq, Signal, TargetId, TransportFault, TrunkId};
use proptest::prelude::*;
use std::sync::Arc;

const ALL: u8 = 0x7f;
const SATURDAY: u8 = 1 << 5;
const SUNDAY: u8 = 1 << 6;
const WORKDAYS: u8 = 0x1f;

fn wall(text: &str) -> Wall {
    Wall::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

fn oslo(days: u8, opens: (u16, u16), closes: (u16, u16)) -> Hours {
    Hours::new(days, opens.0 * 60 + opens.1, closes.0 * 60 + closes.1, "Europe/Oslo").unwrap()
}

/// Every change between two times, as the calendar tells them one after the other.
fn changes(hours: &[Hours], from: &str, to: &str) -> Vec<(String, bool)> {
    let calendar = Calendar(hours.to_vec());
    let (mut list, mut now) = (Vec::new(), wall(from));
    while let Some(next) = calendar.at(now).1.filter(|next| *next <= wall(to)) {
        assert!(next > now);
        list.push((next.to_string().replace(":00.000Z", "Z"), calendar.at(next).0));
        now = next;
    }
    list
}

fn said(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(at, open)| ((*at).to_owned(), *open)).collect()
}

#[test]
fn a_night_is_an_hour_shorter_in_spring_and_longer_in_autumn() {
    let night = [oslo(ALL, (22, 0), (6, 0))];
    let spring = changes(&night, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(spring, said(&[("2026-03-28T21:00Z", true), ("2026-03-29T04:00Z", false)]));
    let autumn = changes(&night, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn, said(&[("2026-10-24T20:00Z", true), ("2026-10-25T05:00Z", false)]));
}

#[test]
fn times_that_the_clock_does_not_show_open_nothing() {
    // On 29 March 2026 the clock goes from 02:00 to 03:00, at 01:00 UTC.
    let (from, to) = ("2026-03-29T00:00:00Z", "2026-03-30T02:00:00Z");
    let inside = changes(&[oslo(ALL, (2, 15), (2, 45))], from, to);
    assert_eq!(inside, said(&[("2026-03-30T00:15Z", true), ("2026-03-30T00:45Z", false)]));
    let begins = changes(&[oslo(SUNDAY, (2, 30), (4, 0))], from, to);
    assert_eq!(begins, said(&[("2026-03-29T01:00Z", true), ("2026-03-29T02:00Z", false)]));
    let ends = changes(&[oslo(SUNDAY, (1, 30), (2, 30))], from, to);
    assert_eq!(ends, said(&[("2026-03-29T00:30Z", true), ("2026-03-29T01:00Z", false)]));
    // A weekly one is found although it is skipped for a week.
    let calendar = Calendar(vec![oslo(SUNDAY, (2, 15), (2, 45))]);
    assert_eq!(calendar.at(wall("2026-03-22T02:00:00Z")), (false, Some(wall("2026-04-05T00:15:00Z"))));
}

#[test]
fn times_that_the_clock_shows_twice_count_twice() {
    // On 25 October 2026 the clock goes from 03:00 back to 02:00, at 01:00 UTC.
    let twice = changes(&[oslo(ALL, (2, 15), (2, 45))], "2026-10-25T00:00:00Z", "2026-10-25T12:00:00Z");
    let both = [
        ("2026-10-25T00:15Z", true),
        ("2026-10-25T00:45Z", false),
        ("2026-10-25T01:15Z", true),
        ("2026-10-25T01:45Z", false),
    ];
    assert_eq!(twice, said(&both));
}

#[test]
fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
    let nights = [oslo(WORKDAYS, (22, 0), (6, 0))];
    let weekend = changes(&nights, "2026-01-09T12:00:00Z", "2026-01-13T12:00:00Z");
    let friday_and_monday = [
        ("2026-01-09T21:00Z", true),
        ("2026-01-10T05:00Z", false),
        ("2026-01-12T21:00Z", true),
        ("2026-01-13T05:00Z", false),
    ];
    assert_eq!(weekend, said(&friday_and_monday));
    let days = [oslo(SATURDAY | SUNDAY, (0, 0), (24, 0))];
    let whole = changes(&days, "2026-01-09T12:00:00Z", "2026-01-15T12:00:00Z");
    assert_eq!(whole, said(&[("2026-01-09T23:00Z", true), ("2026-01-11T23:00Z", false)]));
    let together = changes(&[nights, days].concat(), "2026-01-09T12:00:00Z", "2026-01-12T12:00:00Z");
    assert_eq!(together, said(&[("2026-01-09T21:00Z", true), ("2026-01-11T23:00Z", false)]));
}

#[test]
fn what_never_changes_says_so() {
    assert_eq!(Calendar(vec![oslo(ALL, (0, 0), (24, 0))]).at(wall("2026-05-05T05:05:05Z")), (true, None));
    assert_eq!(Calendar::default().at(wall("2026-05-05T05:05:05Z")), (false, None));
    assert_eq!(Calendar::default().at(Wall::from_micros(i64::MAX)), (false, None), "a clock beyond the calendar");
    assert_eq!(Hours::new(0, 0, 60, "UTC"), None, "no day");
    assert_eq!(Hours::new(ALL, 60, 60, "UTC"), None, "never open");
    assert_eq!(Hours::new(ALL, 0, 60, "Europe/Olso"), None);
}

const ZONES: [&str; 7] = [
    "Europe/Oslo",
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Havana",
    "Africa/Casablanca",
];

/// Which minutes of the week the windows cover, counted one by one from where each begins.
fn minutes(windows: &[(u8, u16, u16)]) -> Vec<bool> {
    let mut week = vec![false; 7 * 1_440];
    for (days, opens, closes) in windows {
        for day in (0..7).filter(|day| days & (1 << day) != 0) {
            let mut minute = *opens;
            loop {
                let at = (usize::from(minute) + day * 1_440) % week.len();
                week[at] = true;
                minute += 1;
                if minute % 1_440 == closes % 1_440 {
                    break;
                }
            }
        }
    }
    week
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn open_and_changes_agree_with_counting_minutes(
        windows in proptest::collection::vec((1_u8..128, 0_u16..1_440, 0_u16..=1_440), 1..4),
        zone in 0..ZONES.len(),
        start in 0_i64..525_600,
        second in 0_i64..60,
    ) {
        let windows: Vec<_> = windows.into_iter().filter(|(_, opens, closes)| opens != closes).collect();
        prop_assume!(!windows.is_empty());
        let hours = windows.iter().map(|(days, opens, closes)| Hours::new(*days, *opens, *closes, ZONES[zone]).unwrap());
        let calendar = Calendar(hours.collect());
        let week = minutes(&windows);
        let clock = TimeZoneDatabase::bundled().get(ZONES[zone]).unwrap();
        let covered = |at: Timestamp| {
            let shown = clock.to_datetime(at);
            let day = shown.weekday().to_monday_zero_offset() as usize;
            week[day * 1_440 + shown.hour() as usize * 60 + shown.minute() as usize]
        };
        let first = wall("2026-01-01T00:00:00Z").as_micros() / 1_000_000 + start * 60;
        let now = Timestamp::from_second(first + second).unwrap();
        let (open, change) = calendar.at(Wall::from_micros(now.as_microsecond()));
        prop_assert_eq!(open, covered(now));
        let stepped = (1..15 * 1_440).map(|minute| Timestamp::from_second(first + minute * 60).unwrap());
        let counted = stepped.into_iter().find(|at| covered(*at) != open);
        prop_assert_eq!(change, counted.map(|at| Wall::from_micros(at.as_microsecond())));
    }
}

const TEXT: &str = r#"
[listen.lan]
sip = ["udp:192.0.2.10:5060"]

[trunk.office]
at = ["sip:192.0.2.20:5060"]
listen = "lan"

[trunk.acme]
at = ["sip:192.0.2.31:5060"]
listen = "lan"

[trunk.globex]
at = ["sip:192.0.2.32:5060"]
listen = "lan"

[group.carriers]
tiers = [["acme"], ["globex"]]
failback = { window = "22:00-06:00 Europe/Oslo" }

[[route]]
from = ["office"]
to = "carriers"
"#;

const ACME: TargetId = TargetId { trunk: TrunkId(1), index: 0 };

fn settings() -> Arc<Settings> {
    Arc::new(compile(TEXT, "edge.toml", &|_| None, None).settings.unwrap())
}

/// Control on a clock whose wall may be set, with carriers that answer every probe.
struct World {
    control: Control,
    now: Instant,
    /// What the wall clock shows at `Instant::ZERO`.
    epoch: Wall,
    decisions: Vec<(Instant, Decision)>,
}

impl World {
    fn new(begin: &str) -> Self {
        let epoch = wall(begin);
        let control = Control::new(Instant::ZERO, epoch, settings(), 7, Seq(1));
        let mut world = Self { control, now: Instant::ZERO, epoch, decisions: Vec::new() };
        world.drain();
        world
    }

    fn wall(&self) -> Wall {
        Wall::from_micros(self.epoch.as_micros() + self.now.as_micros() as i64)
    }

    fn tell(&mut self, input: ControlInput) {
        self.control.handle(self.now, self.wall(), input);
        self.drain();
    }

    fn see(&mut self, what: Observed) {
        self.tell(ControlInput::Signal(Signal { at: self.now, target: ACME, what }));
    }

    fn drain(&mut self) {
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Probe(order) => {
                    let result = ProbeResult::Answered { code: 200, rtt: Span::from_millis(3) };
                    let what = Observed::Probe { order: order.order, result };
                    let signal = Signal { at: self.now, target: order.target, what };
                    self.control.handle(self.now, self.wall(), ControlInput::Signal(signal));
                }
                ControlOutput::Entry(entry) => {
                    if let Record::Decision { decision, .. } = &entry.record {
                        self.decisions.push((self.now, decision.clone()));
                    }
                }
                ControlOutput::Update(_)
                | ControlOutput::TestCall(_)
                | ControlOutput::Tested { .. }
                | ControlOutput::Lookup(_)
                | ControlOutput::Bindings { .. }
                | ControlOutput::Forgive(_)
                | ControlOutput::Drill(_)
                | ControlOutput::Keep(_) => {}
            }
        }
    }

    /// Lets time pass by the machine's own deadlines. Returns how many there were.
    fn until(&mut self, end: Instant) -> u32 {
        let mut ticks = 0;
        while let Some(due) = self.control.deadline().filter(|due| *due <= end) {
            assert!(due >= self.now, "a deadline in the past would never end");
            self.now = due;
            self.tell(ControlInput::Tick);
            ticks += 1;
        }
        self.now = end;
        ticks
    }

    /// acme dies and is on Probation again.
    fn recover(&mut self) {
        let fault = TransportFault::PortUnreachable;
        (0..3).for_each(|_| self.see(Observed::Transport { fault }));
        assert_eq!(self.control.snapshot().table.health(ACME), Health::Down);
        self.until(self.now + Span::from_secs(60));
        assert_eq!(self.control.snapshot().table.health(ACME), Health::Probation);
    }

    fn share(&self) -> u8 {
        self.control.snapshot().table.share(ACME)
    }

    fn begun(&self) -> Option<Instant> {
        let first =
            |decision: &Decision| decision.enforced() && matches!(decision.change, Change::Share { from: 0, .. });
        self.decisions.iter().find(|(_, decision)| first(decision)).map(|(at, _)| *at)
    }
}

const HOUR: Span = Span::from_secs(3_600);

#[test]
fn calls_return_when_the_window_opens_and_not_before() {
    // 12:00 by the clock of Oslo.
    let mut world = World::new("2026-01-07T11:00:00Z");
    world.until(Instant::ZERO + Span::from_secs(10));
    world.recover();
    world.until(Instant::ZERO + HOUR.times(9));
    assert_eq!((world.share(), world.begun()), (0, None));
    let vetoes = world.decisions.iter().filter_map(|(at, decision)| Some((*at, decision.veto?)));
    let vetoes: Vec<_> = vetoes.collect();
    let [(at, Veto::OutsideWindow { opens_in: Some(left) })] = vetoes[..] else { panic!("said once: {vetoes:?}") };
    assert_eq!(at + left, Instant::ZERO + HOUR.times(10));
    world.until(Instant::ZERO + HOUR.times(11));
    assert_eq!(world.begun(), Some(Instant::ZERO + HOUR.times(10)), "to the microsecond");
    assert_eq!(world.control.snapshot().table.health(ACME), Health::Up);
}

#[test]
fn what_has_begun_goes_on_when_the_window_closes() {
    // 05:58:10 by the clock of Oslo: Probation begins at second 40, the first step at 100, and at 110 the window closes.
    let mut world = World::new("2026-01-07T04:58:10Z");
    world.until(Instant::ZERO + Span::from_secs(10));
    world.recover();
    world.until(Instant::ZERO + Span::from_secs(105));
    assert_eq!(world.share(), 5);
    world.until(Instant::ZERO + Span::from_secs(300));
    assert_eq!(world.control.snapshot().table.health(ACME), Health::Up, "though the window has closed");
}

#[test]
fn a_clock_that_is_set_is_noticed_within_a_minute() {
    let mut world = World::new("2026-01-07T11:00:00Z");
    world.until(Instant::ZERO + Span::from_secs(10));
    world.recover();
    world.until(Instant::ZERO + Span::from_secs(300));
    assert_eq!(world.share(), 0);
    // Set from noon to night.
    world.epoch = wall("2026-01-07T21:30:00Z");
    let set = world.now;
    world.until(set + Span::from_secs(60));
    assert!(world.begun().is_some_and(|at| at.since(set) <= Span::from_secs(60)));
    // Set back and forth without end, it makes no storm of deadlines.
    for turn in 0..20 {
        world.epoch = wall(if turn % 2 == 0 { "2026-01-07T10:00:00Z" } else { "2026-01-07T21:30:00Z" });
        let ticks = world.until(world.now + Span::from_secs(60));
        assert!(ticks < 60, "{ticks} ticks within a minute");
    }
}

#[test]
fn a_reload_keeps_the_window_and_the_operator_needs_none() {
    let mut world = World::new("2026-01-07T11:00:00Z");
    world.until(Instant::ZERO + Span::from_secs(10));
    world.recover();
    world.tell(ControlInput::Reload(Ok(settings())));
    world.until(Instant::ZERO + HOUR);
    assert_eq!((world.share(), world.begun()), (0, None));
    world.tell(ControlInput::Operate { trunk: ACME.trunk, act: TrunkAct::Restore, by: By::way("api") });
    assert_eq!(world.share(), 100, "restored at once");
}

#[test]
fn outside_its_window_it_comes_back_all_the_same_when_nobody_else_is_left() {
    let mut world = World::new("2026-01-07T11:00:00Z");
    world.until(Instant::ZERO + Span::from_secs(10));
    world.recover();
    world.until(Instant::ZERO + Span::from_secs(300));
    let globex = TargetId { trunk: TrunkId(2), index: 0 };
    let what = Observed::Transport { fault: TransportFault::PortUnreachable };
    (0..3).for_each(|_| world.tell(ControlInput::Signal(Signal { at: world.now, target: globex, what })));
    assert_eq!(world.control.snapshot().table.health(globex), Health::Down);
    assert!(world.share() > 0, "its failback asks nobody now");
}
