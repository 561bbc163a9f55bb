//! A hundred live calls lose their audio at once, on real sockets: moved to the other interface, or reached again by the backup carrier.
//!
//! `bench/rescue [CALLS]`. What counts is the tone that is heard, not that packets come. Needs root, for a network namespace, and the built
//! edge.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{CallNo, Dial, Heard, Report, Spell};
use interop::agents::{agent, expect, plays};
use interop::edge::{CONFIG, Edge};
use interop::namespace::{self, Way};
use interop::{http, let_pass};
use model::{Instant, Span};
use node::lab::{LiveAgent, Order};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
/// Silence after which a party is missed: the usual setting.
const LIMIT: Span = Span::from_secs(3);
/// So soon after that audio must be back.
const MARK: Span = Span::from_secs(2);
/// So many of a thousand calls must reach it.
const SHARE: usize = 990;
/// Calls that are placed before the first of them is answered.
const AT_ONCE: usize = 20;
/// What everybody says.
const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;
/// Acme's line of the configuration.
const AT: &str = "at = \"sip:127.0.0.31:5060\"";

/// How the primary carrier is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// Its audio, by the first interface.
    Audio,
    /// Nothing reaches it and nothing comes from it.
    Cut,
    /// Its process is gone: its ports refuse.
    Killed,
}

impl Lost {
    const fn word(self) -> &'static str {
        match self {
            Self::Audio => "audio by one interface",
            Self::Cut => "carrier, cut off",
            Self::Killed => "carrier, killed",
        }
    }
}

/// One call by its number.
#[derive(Clone, Debug)]
struct Fate {
    /// From the limit until the office has heard a tone again, and the far side; none when it never has.
    back: [Option<Span>; 2],
    /// From the limit until the office has heard anything again.
    sound: Option<Span>,
    office: Heard,
}

fn number(index: usize) -> String {
    format!("+4722{index:06}")
}

/// All calls are up; each by the number that the office has for it, which it gives in order.
fn place(office: &LiveAgent, count: usize) -> BTreeMap<CallNo, usize> {
    let mut calls = BTreeMap::new();
    let all: Vec<usize> = (0..count).collect();
    for some in all.chunks(AT_ONCE) {
        for index in some {
            office.order(Order::Dial(Dial {
                to: LAN.parse().expect("an address"),
                number: number(*index),
                mark: String::new(),
                late_offer: false,
                tone_hz: OFFICE_HZ,
                presses: Vec::new(),
                hang_up_after: None,
                give_up_after: None,
            }));
        }
        for _ in some {
            let call = expect(office, "an answer", |report| match report {
                Report::Answered { call, .. } => Some(*call),
                _ => None,
            });
            calls.insert(call, call.0 as usize - 1);
        }
    }
    calls
}

/// What everybody has heard, by the number that was called; ends when nothing more is reported for a while.
fn told(of: &LiveAgent, named: &mut BTreeMap<CallNo, usize>) -> BTreeMap<usize, Heard> {
    let mut heard = BTreeMap::new();
    while let Ok(report) = of.reports.recv_timeout(Duration::from_secs(3)) {
        match report {
            Report::Incoming { call, number } => {
                let index = number.strip_prefix("+4722").and_then(|index| index.parse().ok());
                named.extend(index.map(|index: usize| (call, index)));
            }
            Report::Ended { call, heard: what, .. } => {
                heard.extend(named.get(&call).map(|index| (*index, what)));
            }
            _ => {}
        }
    }
    heard
}

/// The first tone that begins after this.
fn tone_after(heard: &Heard, tone_hz: u16, at: Instant) -> Option<&Spell> {
    heard.spells.iter().find(|spell| spell.tone_hz == Some(tone_hz) && spell.until > at)
}

/// The last that was heard of acme before the loss could be noticed.
fn last_of_acme(heard: &Heard, lost: Instant) -> Option<Instant> {
    let before = heard.spells.iter().filter(|spell| spell.tone_hz == Some(ACME_HZ) && spell.from <= lost);
    before.map(|spell| spell.until).max()
}

/// From `at` by one clock to `then` by another one's, each after the moment that both know.
fn between((at, zero): (Instant, Instant), (then, its_zero): (Instant, Instant)) -> Span {
    Span::from_micros(then.since(its_zero).as_micros().saturating_sub(at.since(zero).as_micros()))
}

fn lose(lost: Lost) {
    match lost {
        Lost::Audio => namespace::cut_audio("127.0.0.31", "127.0.0.11"),
        Lost::Cut => {
            namespace::mute("127.0.0.31", &[Way::From, Way::To]);
            namespace::black_hole("127.0.0.31");
        }
        Lost::Killed => {}
    }
}

fn config(lost: Lost) -> String {
    if lost != Lost::Audio {
        return CONFIG.replace(AT, &format!("{AT}\nrescue = \"on\""));
    }
    let second = "[listen.wan2]\nsip = [\"udp:127.0.0.12:5060\"]\nmedia = \"127.0.0.12:30000-37999\"\n\n[trunk.office]";
    CONFIG.replace(AT, &format!("{AT}\nmedia = [\"wan\", \"wan2\"]")).replace("[trunk.office]", second)
}

/// All calls lose their carrier, or its audio; what became of each.
fn run(lost: Lost, count: usize) -> Vec<Fate> {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = agent("acme", 31, plays(ACME_HZ));
    let globex = agent("globex", 32, plays(GLOBEX_HZ));
    let _edge = Edge::start(&config(lost));
    let mut placed = place(&office, count);
    let_pass(Duration::from_secs(2));
    // Each has a clock of its own; what they show now is the same moment.
    let zero = (office.now(), acme.now(), globex.now());
    let mut acme = Some(acme);
    lose(lost);
    if lost == Lost::Killed {
        acme = None;
    }
    let_pass(Duration::from_secs(9));
    for metric in ["call_audio_moved", "call_audio_waited", "call_rescued", "call_rescues_failed", "call_no_ports"] {
        eprintln!("{} {metric}: {}", lost.word(), http::metric(&format!("throughline_{metric}")));
    }
    for call in placed.keys() {
        office.order(Order::HangUp(*call));
    }
    let offices = told(&office, &mut placed);
    let (far, far_zero) = match (lost, &acme) {
        (Lost::Audio, Some(acme)) => (told(acme, &mut BTreeMap::new()), zero.1),
        _ => (told(&globex, &mut BTreeMap::new()), zero.2),
    };
    offices.into_iter().map(|(index, heard)| fate(lost, heard, far.get(&index), (zero.0, far_zero))).collect()
}

fn fate(lost: Lost, office: Heard, far: Option<&Heard>, (zero, far_zero): (Instant, Instant)) -> Fate {
    let Some(last) = last_of_acme(&office, zero) else { return Fate { back: [None; 2], sound: None, office } };
    let limit = last + LIMIT;
    let again = if lost == Lost::Audio { ACME_HZ } else { GLOBEX_HZ };
    let heard = tone_after(&office, again, limit).map(|spell| spell.from.since(limit));
    let sound = office.spells.iter().find(|spell| spell.until > limit).map(|spell| spell.from.since(limit));
    // The far side has missed the office until the packets that it hears after the limit.
    let far_limit = far_zero + limit.since(zero);
    let far = far.and_then(|far| tone_after(far, OFFICE_HZ, far_limit));
    let far = far.map(|spell| between((limit, zero), (spell.from.max(far_limit), far_zero)));
    Fate { back: [heard, far], sound, office }
}

/// The value below which so many of a hundred are.
fn percentile(sorted: &[Span], percent: usize) -> Span {
    let at = (sorted.len() * percent).div_ceil(100).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(Span::ZERO)
}

/// One row of the table, and whether the mark was reached.
fn row(lost: Lost, count: usize, fates: &[Fate]) -> bool {
    let both = |fate: &Fate| Some(fate.back[0]?.max(fate.back[1]?));
    let sorted = |mut spans: Vec<Span>| {
        spans.sort_unstable();
        spans
    };
    let back = sorted(fates.iter().filter_map(both).collect());
    let sound = sorted(fates.iter().filter_map(|fate| fate.sound).collect());
    let in_time = back.iter().filter(|took| **took <= MARK).count();
    let torn = fates.iter().filter(|fate| is_torn(lost, fate)).count();
    let clicks = fates.iter().filter(|fate| has_clicks(fate)).count();
    println!(
        "| {} | {count} | {in_time} | {} | {} | {} | {} | {torn} | {clicks} |",
        lost.word(),
        percentile(&back, 50),
        percentile(&back, 95),
        percentile(&back, 100),
        percentile(&sound, 95),
    );
    for fate in fates.iter().filter(|fate| both(fate).is_none_or(|took| took > MARK)).take(3) {
        eprintln!("late: {fate:?}");
    }
    for fate in fates.iter().filter(|fate| is_torn(lost, fate) || has_clicks(fate)).take(3) {
        eprintln!("not one stream: {fate:?}");
    }
    fates.len() == count && in_time * 1_000 >= count * SHARE && torn == 0 && clicks == 0
}

/// Beside the outage itself the clock of the stream jumps by more than a packet and 60 ms.
fn has_clicks(fate: &Fate) -> bool {
    fate.office.stream.jumps.iter().any(|jump| *jump < LIMIT)
}

/// Another source, or numbers missing that no outage explains: of a rescue none may be, for nothing is lost of what is made here.
fn is_torn(lost: Lost, fate: &Fate) -> bool {
    fate.office.stream.changes > 0 || lost != Lost::Audio && fate.office.stream.missing > 0
}

fn main() -> ExitCode {
    let count = std::env::args().nth(1).map_or(100, |word| word.parse().expect("a number of calls"));
    println!(
        "| lost | calls | heard on both sides in time | median | 95 % | worst | any sound again, 95 % | torn streams | clicks |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    let reached = [Lost::Audio, Lost::Cut, Lost::Killed].map(|lost| row(lost, count, &run(lost, count)));
    if reached == [true; 3] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
