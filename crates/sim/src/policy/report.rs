//! What came of a run, as text and as JSON.
//!
//! Refuses to know: how it came about, how it is drawn.

use super::outage::Outage;
use super::tally::{Column, Seen, Spread, Stretch, Tally};
use core::fmt::Write as _;
use decide::{Cause, Change};
use model::{Instant, Name, Span};
use serde_json::{Value, json};

/// Decisions kept of one run; of more only the number is told.
const MOMENTS_MAX: usize = 2_000;
/// Of them shown in the text.
const SHOWN: usize = 60;

/// Something that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When; since the end of the warm-up in a report.
    pub at: Instant,
    /// The sentence.
    pub sentence: String,
    /// It was carried out.
    pub change: bool,
    /// It says that the fault is likely ours.
    pub alarm: bool,
    /// What the sentence tells, when the edge's own decider decided it.
    pub decided: Option<Decided>,
}

/// A decision without its evidence: about whom, what, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The trunk.
    pub trunk: Name,
    /// What changes.
    pub change: Change,
    /// Why.
    pub cause: Cause,
}

/// Decisions in order, up to a limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    moments: Vec<Moment>,
    more: u64,
    alarms: u64,
    enforced: u64,
}

impl Journal {
    pub(super) fn push(&mut self, moment: Moment, zero: Instant) {
        self.alarms += u64::from(moment.alarm);
        self.enforced += u64::from(moment.change);
        if self.moments.len() < MOMENTS_MAX {
            let at = Instant::ZERO + moment.at.since(zero);
            self.moments.push(Moment { at, ..moment });
        } else {
            self.more += 1;
        }
    }
}

/// One outage and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageReport {
    /// The outage.
    pub outage: Outage,
    /// Attempts that it touched.
    pub attempts: u64,
    /// Its start to the first doubt.
    pub suspect: Option<Span>,
    /// Its start to the first Down.
    pub down: Option<Span>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The policy.
    pub title: String,
    /// The seed.
    pub seed: u64,
    /// How long was watched.
    pub length: Span,
    /// Calls.
    pub calls: u64,
    /// Of them callers who tried again.
    pub redials: u64,
    /// Answered.
    pub answered: u64,
    /// Busy, refused by the called party, or rung in vain.
    pub called_party: u64,
    /// Refused because no trunk carried them.
    pub refused: u64,
    /// Given up by their callers: before anything rang, or when it rang at a trunk that was gone.
    pub gave_up: u64,
    /// Answered without audio.
    pub mute: u64,
    /// Attempts.
    pub attempts: u64,
    /// Delay added to calls that reached somebody.
    pub delays: Spread,
    /// The longest any caller waited more than usual, those who waited in vain included.
    pub worst: Span,
    /// Changes of the tier that carries calls.
    pub changes: u32,
    /// Times a trunk went Down.
    pub downs: u32,
    /// Of them without an outage that deserved it.
    pub false_downs: u32,
    /// Times a trunk in good standing fell into doubt or Down without an outage that deserved it: calls moved for nothing.
    pub false_doubts: u32,
    /// It is known which outages there were, so that a false Down can be told from a true one.
    pub judged: bool,
    /// Alarms that the fault is likely ours.
    pub alarms: u64,
    /// Decisions carried out.
    pub decisions: u64,
    /// Each outage.
    pub outages: Vec<OutageReport>,
    /// Decisions, in order.
    pub moments: Vec<Moment>,
    /// Decisions beyond those kept.
    pub more: u64,
    touched: u64,
    pub(super) trunks: Vec<Name>,
    pub(super) columns: Vec<Column>,
    pub(super) stretches: Vec<Vec<Stretch>>,
}

impl Report {
    pub(super) fn new(
        title: &str,
        seed: u64,
        length: Span,
        trunks: Vec<(usize, Name)>,
        tally: Tally,
        journal: Journal,
    ) -> Self {
        let outage = |(_, outage, seen): (usize, Outage, Seen)| OutageReport {
            outage,
            attempts: seen.attempts,
            suspect: seen.suspect,
            down: seen.down,
        };
        let stretches = trunks.iter().map(|(index, _)| tally.stretches[*index].clone()).collect();
        Self {
            title: title.to_owned(),
            seed,
            length,
            calls: tally.calls,
            redials: tally.redials,
            answered: tally.answered,
            called_party: tally.called_party,
            refused: tally.refused,
            gave_up: tally.gave_up,
            mute: tally.mute,
            attempts: tally.attempts,
            delays: tally.delays,
            worst: tally.worst,
            changes: tally.changes,
            downs: tally.downs,
            false_downs: tally.false_downs,
            false_doubts: tally.false_doubts,
            judged: true,
            alarms: journal.alarms,
            decisions: journal.enforced,
            outages: tally.outages.into_iter().map(outage).collect(),
            moments: journal.moments,
            more: journal.more,
            touched: tally.touched,
            trunks: trunks.into_iter().map(|(_, name)| name).collect(),
            columns: tally.columns,
            stretches,
        }
    }

    /// Calls that were lost, however.
    pub const fn lost(&self) -> u64 {
        self.refused + self.gave_up + self.mute
    }

    /// Attempts that outages touched, each counted once even where outages overlap.
    pub const fn touched(&self) -> u64 {
        self.touched
    }

    /// Calls that each trunk carried, and its attempts.
    pub fn carried(&self) -> Vec<(Name, u64, u64)> {
        let sums = self.stretches.iter().map(|stretches| {
            stretches.iter().fold((0, 0), |(carried, tried), stretch| {
                (carried + u64::from(stretch.carried), tried + u64::from(stretch.tried))
            })
        });
        self.trunks.iter().cloned().zip(sums).map(|(name, (carried, tried))| (name, carried, tried)).collect()
    }

    /// How often a trunk went Down, and how often for nothing when that is known.
    pub(super) fn went_down(&self) -> String {
        if self.judged {
            return format!("{} Down, {} of them false", self.downs, self.false_downs);
        }
        format!("{} Down", self.downs)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a `String` cannot fail.
        let _ok = writeln!(
            out,
            "{}, seed {}, {}: {} calls, {} lost ({} refused, {} given up, {} without audio)",
            self.title,
            self.seed,
            self.length,
            self.calls,
            self.lost(),
            self.refused,
            self.gave_up,
            self.mute
        );
        let [p50, p95, p99] = [500, 950, 990].map(|permille| self.delays.permille(permille));
        let _ok = writeln!(
            out,
            "{} answered, {} ended by the called party; added to set-up: p50 {p50}, p95 {p95}, p99 {p99}, most {}",
            self.answered,
            self.called_party,
            self.delays.max()
        );
        let _ok = writeln!(
            out,
            "{} attempts, {} of them touched by an outage; {} changes of the active tier; {}; {} decisions, {} alarms",
            self.attempts,
            self.touched(),
            self.changes,
            self.went_down(),
            self.decisions,
            self.alarms
        );
        for (name, carried, tried) in self.carried() {
            let _ok = writeln!(out, "trunk {name}: {carried} calls reached somebody, {tried} attempts");
        }
        for outage in &self.outages {
            let after = |span: Option<Span>| span.map_or_else(|| String::from("never"), |span| format!("after {span}"));
            let (suspect, down) = (after(outage.suspect), after(outage.down));
            let (start, end) = (outage.outage.start, outage.outage.end);
            let _ok = writeln!(
                out,
                "outage {} from {start} to {end}: Suspect {suspect}, Down {down}, {} attempts touched",
                outage.outage, outage.attempts
            );
        }
        for moment in self.moments.iter().take(SHOWN) {
            let _ok = writeln!(out, "  {}", moment.sentence);
        }
        let hidden = self.moments.len().saturating_sub(SHOWN) as u64 + self.more;
        if hidden > 0 {
            let _ok = writeln!(out, "  and {hidden} more decisions; --json shows up to {MOMENTS_MAX}");
        }
        out
    }

    /// For machines: times in microseconds.
    pub fn json(&self) -> Value {
        let us = |span: Option<Span>| span.map(Span::as_micros);
        let outages = self.outages.iter().map(|outage| {
            json!({
                "trunk": outage.outage.trunk, "kind": outage.outage.to_string(),
                "start_us": outage.outage.start.as_micros(), "end_us": outage.outage.end.as_micros(),
                "suspect_us": us(outage.suspect), "down_us": us(outage.down), "attempts": outage.attempts,
            })
        });
        let moments = self.moments.iter().map(|moment| {
            let decided = moment.decided.as_ref();
            json!({
                "at_us": moment.at.as_micros(), "sentence": moment.sentence, "enforced": moment.change, "alarm": moment.alarm,
                "trunk": decided.map(|decided| decided.trunk.as_str()), "change": decided.map(|decided| decided.change),
                "cause": decided.map(|decided| decided.cause),
            })
        });
        let trunks = self
            .carried()
            .into_iter()
            .map(|(name, carried, tried)| json!({ "trunk": name.as_str(), "carried": carried, "attempts": tried }));
        let delay = |permille| self.delays.permille(permille).as_micros();
        json!({
            "policy": self.title, "seed": self.seed, "length_us": self.length.as_micros(),
            "calls": self.calls, "redials": self.redials, "answered": self.answered, "called_party": self.called_party,
            "lost": self.lost(), "refused": self.refused, "gave_up": self.gave_up, "without_audio": self.mute,
            "attempts": self.attempts, "touched": self.touched(),
            "added_us": { "p50": delay(500), "p95": delay(950), "p99": delay(990), "max": self.delays.max().as_micros() },
            "worst_us": self.worst.as_micros(), "changes": self.changes, "downs": self.downs,
            "false_downs": self.judged.then_some(self.false_downs),
            "false_doubts": self.judged.then_some(self.false_doubts), "alarms": self.alarms, "decisions": self.decisions,
            "trunks": trunks.collect::<Vec<_>>(), "outages": outages.collect::<Vec<_>>(),
            "moments": moments.collect::<Vec<_>>(), "moments_not_kept": self.more,
        })
    }
}
