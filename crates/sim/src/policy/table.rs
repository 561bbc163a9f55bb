//! The policy table: every kind of outage under four policies, in figures that a caller or an operator would notice.
//!
//! Each cell is drawn from five seeds: times and counts are the middle one, the worst delay, changes and false alarms the worst one.
//! Refuses to know: what figures would be good.

use super::kind::Kind;
use super::outage::{Flap, Outage};
use super::peer::Peer;
use super::report::Report;
use super::run::{Policy, run, settings};
use super::scenario::{CallLaw, Scenario, TrunkLaw};
use core::fmt::Write as _;
use model::Span;

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
const START: Span = Span::from_secs(60);
const MINUTE: u64 = 60;

/// One kind of outage.
#[derive(Clone, Debug)]
pub struct Row {
    /// As the table calls it.
    pub name: &'static str,
    /// The scenario.
    pub scenario: Scenario,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// Start of the outage to the first doubt.
    pub suspect: Option<Span>,
    /// Start of the outage to the first Down.
    pub down: Option<Span>,
    /// Calls.
    pub calls: u64,
    /// Calls lost.
    pub lost: u64,
    /// The longest any caller waited more than usual.
    pub worst: Span,
    /// Attempts that the outage touched.
    pub attempts: u64,
    /// Changes of the active tier.
    pub changes: u32,
    /// Times a trunk went Down that should not.
    pub false_downs: u32,
    /// Alarms that the fault is likely ours.
    pub alarms: u64,
}

/// The outages of the table.
pub fn rows() -> Vec<Row> {
    let grey = |prefix: Option<&str>, share| Kind::Grey { code: 500, prefix: prefix.map(str::to_owned), share };
    let none = Kind::Unavailable { retry_after: None };
    let asks = Kind::Unavailable { retry_after: Some(Span::from_secs(30)) };
    let mut both = row("both silent, 5 calls/s", 5, Kind::Silent, 3 * MINUTE);
    let other = both.scenario.outages.iter().map(|outage| Outage { trunk: "globex".to_owned(), ..outage.clone() });
    let other: Vec<Outage> = other.collect();
    both.scenario.outages.extend(other);
    let mut flapping = row("silent 10 s of every 20 s, 5 calls/s", 5, Kind::Silent, 10 * MINUTE);
    let flap = Flap { period: Span::from_secs(20), bad: Span::from_secs(10) };
    flapping.scenario.outages.iter_mut().for_each(|outage| outage.flap = Some(flap));
    let mut prefix = row("grey for one prefix, 5 calls/s", 5, grey(Some("+4790"), 100), 3 * MINUTE);
    prefix.scenario.calls.numbers = vec![("+4722".to_owned(), 4), ("+4790".to_owned(), 1)];
    let mut half = row("half the capacity, 5 calls/s", 5, Kind::Capacity { share: 50 }, 3 * MINUTE);
    half.scenario.trunks[0].cps = Some(12);
    let mut weather = row("2 % of packets lost, 2 calls/s", 2, Kind::Lossy { permille: 20 }, 60 * MINUTE);
    weather.scenario.length = Span::from_secs(61 * MINUTE);
    let spike = Kind::Slow { added: Span::from_millis(800) };
    let mut calm = row("nothing, 5 in 1000 calls fail, 2 calls/s", 2, Kind::Silent, 1);
    calm.scenario.outages.clear();
    calm.scenario.length = Span::from_secs(60 * MINUTE);
    calm.scenario.trunks.iter_mut().for_each(|trunk| trunk.fault_permille = 5);
    vec![
        row("silent, 1 call/s", 1, Kind::Silent, 3 * MINUTE),
        row("silent, no calls", 0, Kind::Silent, 3 * MINUTE),
        row("refuse, 5 calls/s", 5, Kind::Refuse, 3 * MINUTE),
        row("503, 5 calls/s", 5, none, 3 * MINUTE),
        row("503 with Retry-After 30 s, 5 calls/s", 5, asks, 3 * MINUTE),
        row("stall, 5 calls/s", 5, Kind::Stall, 3 * MINUTE),
        row("slow by 3 s, 5 calls/s", 5, Kind::Slow { added: Span::from_secs(3) }, 3 * MINUTE),
        row("40 % of packets lost, 5 calls/s", 5, Kind::Lossy { permille: 400 }, 3 * MINUTE),
        row("grey, 5 calls/s", 5, grey(None, 100), 3 * MINUTE),
        row("grey for 30 % of calls, 5 calls/s", 5, grey(None, 30), 3 * MINUTE),
        prefix,
        row("no audio, 5 calls/s", 5, Kind::NoAudio, 3 * MINUTE),
        half,
        row("dns, 5 calls/s", 5, Kind::Dns, 3 * MINUTE),
        both,
        flapping,
        row("800 ms slower for 3 s, 5 calls/s", 5, spike, 3),
        weather,
        calm,
    ]
}

/// Two carriers, one after the other; the first fails one minute after the start, for `seconds`.
fn row(name: &'static str, per_second: u64, kind: Kind, seconds: u64) -> Row {
    let first = TrunkLaw::new("acme");
    let second = TrunkLaw { tier: 1, ..TrunkLaw::new("globex") };
    let end = START + Span::from_secs(seconds);
    let harmless = kind.is_harmless();
    let outage = Outage { trunk: "acme".to_owned(), kind, start: START, end, flap: None, harmless };
    let scenario = Scenario {
        warm: Span::from_secs(150),
        length: end + Span::from_secs(2 * MINUTE),
        calls: CallLaw { per_hour: per_second * 3_600, ..CallLaw::default() },
        outages: vec![outage],
        ..Scenario::new(vec![first, second])
    };
    Row { name, scenario }
}

/// The policies of the table, by name.
///
/// # Errors
/// The rendered faults, when the scenario's default policy does not compile.
pub fn policies(scenario: &Scenario) -> Result<Vec<(&'static str, Policy)>, String> {
    let settings = settings(scenario)?;
    let peers = [Peer::kamailio(), Peer::tuned_kamailio(), Peer::border_controller()];
    let ours = ("throughline", Policy::Edge(settings.clone()));
    let theirs = peers.into_iter().map(|peer| (peer.name, Policy::Peer(settings.clone(), peer)));
    Ok(std::iter::once(ours).chain(theirs).collect())
}

impl Row {
    /// One line of the table.
    ///
    /// # Errors
    /// When scenario and policy do not fit.
    pub fn cells(&self, policy: &Policy) -> Result<Cells, String> {
        let reports: Vec<Report> =
            SEEDS.iter().map(|seed| run(&self.scenario, policy, *seed)).collect::<Result<_, _>>()?;
        let never = |span: Option<Span>| span.unwrap_or(Span::MAX);
        let first = |report: &Report, pick: fn(&super::report::OutageReport) -> Option<Span>| {
            report.outages.first().and_then(pick)
        };
        let time = |pick: fn(&super::report::OutageReport) -> Option<Span>| {
            let middle = middle(reports.iter().map(|report| never(first(report, pick))));
            middle.filter(|span| *span != Span::MAX)
        };
        let count = |pick: fn(&Report) -> u64| middle(reports.iter().map(pick)).unwrap_or(0);
        Ok(Cells {
            suspect: time(|outage| outage.suspect),
            down: time(|outage| outage.down),
            calls: count(|report| report.calls),
            lost: count(Report::lost),
            worst: reports.iter().map(|report| report.worst).max().unwrap_or(Span::ZERO),
            attempts: count(Report::touched),
            changes: reports.iter().map(|report| report.changes).max().unwrap_or(0),
            false_downs: reports.iter().map(|report| report.false_downs).max().unwrap_or(0),
            alarms: reports.iter().map(|report| report.alarms).max().unwrap_or(0),
        })
    }
}

fn middle<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    let place = values.len() / 2;
    values.into_iter().nth(place)
}

/// The whole table as text.
///
/// # Errors
/// When a row's scenario and policy do not fit, which only a fault in this file can cause.
pub fn table() -> Result<String, String> {
    let mut out = String::from(
        "Outage kinds under four policies; made by `throughline simulate --table`, kept by `make policy-table`.\n\
         Two carriers in two tiers, Poisson calls, callers wait 15 s for ringing. The first carrier fails one minute after two and a\n\
         half of learning, for three minutes unless told otherwise. Five seeds: worst delay, changes and false Downs are the worst of\n\
         them, all else the middle one. Suspect and Down in seconds after the start of the outage; worst: the longest that any caller\n\
         waited more than usual, in ms; touched: attempts that the outage hit; changes: of the tier that carries calls.\n",
    );
    for row in rows() {
        let _ok = writeln!(
            out,
            "\n{:<42} {:>8} {:>8} {:>6} {:>6} {:>8} {:>8} {:>8} {:>6}",
            row.name, "Suspect", "Down", "calls", "lost", "worst", "touched", "changes", "false"
        );
        for (name, policy) in policies(&row.scenario)? {
            let cells = row.cells(&policy)?;
            let _ok = writeln!(
                out,
                "  {name:<40} {:>8} {:>8} {:>6} {:>6} {:>8} {:>8} {:>8} {:>6}",
                seconds(cells.suspect),
                seconds(cells.down),
                cells.calls,
                cells.lost,
                cells.worst.as_millis(),
                cells.attempts,
                cells.changes,
                cells.false_downs
            );
        }
    }
    Ok(out)
}

fn seconds(span: Option<Span>) -> String {
    span.map_or_else(
        || String::from("-"),
        |span| format!("{}.{:02}", span.as_secs(), span.as_micros() % 1_000_000 / 10_000),
    )
}
