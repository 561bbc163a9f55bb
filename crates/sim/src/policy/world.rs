//! The world of a run: one queue of events, calls that hunt, carriers that fail, and a mind that decides.
//!
//! A call has one event at a time, the next thing that will happen to it; so the queue stays as short as the calls are few. The hunt
//! is that of `act/b2bua/hunt.rs`: deadlines, the look every half second, the questions to a trunk that is silent while it rings.
//! Refuses to know: where its laws came from, how its figures are shown.

use super::arrivals::Calls;
use super::carrier::{Call, Carrier, Timetable};
use super::dice::Dice;
use super::hunt::{Hunt, Step};
use super::mind::{Clock, Limits, Mind, Told, decision};
use super::report::{Decided, Journal, Moment};
use super::scenario::Redial;
use super::tally::Tally;
use decide::{Change, Facts, Next, SoFar};
use explain::{Alarm, AlarmRecord, Record, sentence};
use model::{
    AttemptOutcome, CallRef, Health, Instant, MediaOutcome, Name, Observed, ProbeResult, Signal, Span, TargetId,
    TrunkId,
};
use std::collections::BinaryHeap;

#[cfg(test)]
mod tests;

/// A waiting attempt is looked at so often, as `act` does it.
const WATCH: Span = Span::from_millis(500);
/// A silent trunk with a ringing call is asked so often, at such a distance, as `act` does it.
const QUESTIONS: Span = Span::from_millis(600);
/// One-way audio is known after so long.
const UNHEARD: Span = Span::from_secs(5);
/// After the last call came, the calls in progress are followed to their answer, but no longer than this.
const AFTERMATH: Span = Span::from_secs(200);

enum What {
    Arrive {
        number: u16,
        tries: u8,
    },
    Step {
        slot: u32,
    },
    Release {
        trunk: TrunkId,
        call: u64,
        mute: bool,
    },
    Unheard {
        trunk: TrunkId,
        call: u64,
    },
    Probed {
        order: u64,
        target: TargetId,
        result: ProbeResult,
    },
    /// A reply to an attempt that was left: its trunk is slow, not dead.
    LateReply {
        target: TargetId,
        call: CallRef,
        after: Span,
    },
}

struct Event {
    at: Instant,
    number: u64,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    /// The heap gives out its greatest: the earliest, and of those the first that was put in.
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// What a world is made of.
pub(super) struct Parts {
    pub(super) mind: Mind,
    pub(super) carriers: Vec<Option<Carrier>>,
    pub(super) names: Vec<Name>,
    pub(super) source: Source,
    pub(super) numbers: Vec<String>,
    pub(super) from: TrunkId,
    pub(super) patience: Span,
    pub(super) redial: Option<Redial>,
    pub(super) tally: Tally,
    pub(super) clock: Clock,
    pub(super) end: Instant,
    pub(super) seed: u64,
}

/// Where calls come from.
pub(super) enum Source {
    Law(Calls),
    /// When, and whom each dials, as a place in the list of numbers; in order of time.
    List(std::vec::IntoIter<(Instant, u16)>),
}

impl Source {
    fn next(&mut self) -> Option<(Instant, u16)> {
        match self {
            Self::Law(calls) => calls.next(),
            Self::List(list) => list.next(),
        }
    }
}

pub(super) struct World {
    parts: Parts,
    now: Instant,
    queue: BinaryHeap<Event>,
    numbered: u64,
    hunts: Vec<Option<Hunt>>,
    free: Vec<u32>,
    calls: u64,
    luck: u64,
    pub(super) journal: Journal,
}

impl World {
    pub(super) fn new(parts: Parts) -> Self {
        let luck = parts.seed ^ 0x7472_756e;
        let mut world = Self {
            parts,
            now: Instant::ZERO,
            queue: BinaryHeap::new(),
            numbered: 0,
            hunts: Vec::new(),
            free: Vec::new(),
            calls: 0,
            luck,
            journal: Journal::default(),
        };
        world.drain();
        world.arrival();
        world
    }

    /// Runs to the end, and as much longer as the last calls need.
    pub(super) fn run(mut self) -> (Tally, Journal) {
        let last = self.parts.end + AFTERMATH;
        loop {
            let event = self.queue.peek().map(|event| event.at);
            let due = self.parts.mind.due();
            let Some(next) = [event, due].into_iter().flatten().min() else { break };
            let over = next > self.parts.end && self.hunts.iter().all(Option::is_none);
            if next > last || over {
                break;
            }
            self.now = self.now.max(next);
            if event == Some(next) {
                if let Some(event) = self.queue.pop() {
                    self.happen(event.number, event.what);
                }
            } else {
                self.parts.mind.tick(self.now);
                self.drain();
            }
        }
        self.parts.tally.fill(self.parts.end);
        (self.parts.tally, self.journal)
    }

    /// Returns the event's number.
    fn push(&mut self, at: Instant, what: What) -> u64 {
        self.numbered += 1;
        self.queue.push(Event { at, number: self.numbered, what });
        self.numbered
    }

    fn happen(&mut self, event: u64, what: What) {
        match what {
            What::Arrive { number, tries } => {
                if tries == 0 {
                    self.arrival();
                }
                self.call(number, tries);
            }
            What::Step { slot } => {
                let current = self.hunts.get(slot as usize).and_then(Option::as_ref);
                if current.is_some_and(|hunt| hunt.turn == event) {
                    self.step(slot);
                }
            }
            What::Release { trunk, call, mute } => {
                self.parts.mind.end(trunk);
                if let Some(carrier) = self.carrier(trunk) {
                    carrier.released();
                }
                if !mute {
                    self.signal(trunk, 0, Observed::Media { call: CallRef(call), outcome: MediaOutcome::Good });
                }
            }
            What::Unheard { trunk, call } => {
                let outcome = MediaOutcome::Silent { after: UNHEARD };
                self.signal(trunk, 0, Observed::Media { call: CallRef(call), outcome });
            }
            What::LateReply { target, call, after } => {
                self.signal(target.trunk, target.index, Observed::FirstReply { call, after });
            }
            What::Probed { order, target, result } => {
                let what = Observed::Probe { order, result };
                self.signal(target.trunk, target.index, what);
            }
        }
    }

    fn arrival(&mut self) {
        if let Some((at, number)) = self.parts.source.next() {
            self.push(at, What::Arrive { number, tries: 0 });
        }
    }

    fn carrier(&mut self, trunk: TrunkId) -> Option<&mut Carrier> {
        self.parts.carriers.get_mut(trunk.index()).and_then(Option::as_mut)
    }

    fn signal(&mut self, trunk: TrunkId, index: u8, what: Observed) {
        let target = TargetId { trunk, index };
        self.parts.mind.signal(self.now, Signal { at: self.now, target, what });
        self.drain();
    }

    /// Does what the mind says.
    fn drain(&mut self) {
        while let Some(told) = self.parts.mind.poll() {
            match told {
                Told::Probe { order, target, waits } => self.probe(order, target, waits),
                Told::Changed => {
                    let active = self.parts.mind.active(self.now);
                    self.parts.tally.active(self.now, active);
                    self.ask_after();
                }
                Told::Entry(entry) => {
                    if let Record::Alarm(AlarmRecord { what: Alarm::SuspectOurselves { .. }, over: false }) =
                        &entry.record
                    {
                        self.note(Moment {
                            at: self.now,
                            sentence: sentence(&entry),
                            change: false,
                            alarm: true,
                            decided: None,
                        });
                    }
                    let Some((trunk, decision)) = decision(&entry) else { continue };
                    if let (Change::Health { to, .. }, true) = (decision.change, decision.enforced()) {
                        self.parts.tally.health(self.now, trunk.index(), to);
                    }
                    let name = self.parts.names[trunk.index()].clone();
                    let decided = Some(Decided { trunk: name, change: decision.change, cause: decision.cause });
                    let change = decision.enforced();
                    self.note(Moment { at: self.now, sentence: sentence(&entry), change, alarm: false, decided });
                }
                Told::Said { target, to, words } => {
                    self.parts.tally.health(self.now, target.trunk.index(), to);
                    let active = self.parts.mind.active(self.now);
                    self.parts.tally.active(self.now, active);
                    let name = &self.parts.names[target.trunk.index()];
                    let sentence = format!("trunk {name} at {}: {words}", self.parts.clock.wall(self.now));
                    self.note(Moment { at: self.now, sentence, change: true, alarm: false, decided: None });
                }
            }
        }
    }

    fn note(&mut self, moment: Moment) {
        if self.parts.tally.watches(self.now) {
            self.journal.push(moment, self.parts.clock.zero);
        }
    }

    fn probe(&mut self, order: u64, target: TargetId, waits: Span) {
        let (now, icmp) = (self.now, self.parts.mind.hears_icmp());
        let Some(Some(carrier)) = self.parts.carriers.get_mut(target.trunk.index()) else { return };
        // By the quarter second in which it is sent, so that a policy with more probes has the same luck with those it shares.
        let mut dice = Dice::of(!self.luck, u64::from(target.trunk.0), now.as_micros() / 250_000);
        if let Some((at, result)) = carrier.options(&mut dice, now, waits, icmp) {
            self.push(at, What::Probed { order, target, result });
        }
    }

    fn call(&mut self, number: u16, tries: u8) {
        let now = self.now;
        let facts = Facts { from: self.parts.from, number: &self.parts.numbers[usize::from(number)], emergency: false };
        let plan = self.parts.mind.plan(now, &facts);
        let active = self.parts.mind.active(now);
        self.parts.tally.active(now, active);
        self.parts.tally.call(now);
        self.parts.tally.redials += u64::from(tries > 0 && self.parts.tally.watches(now));
        self.calls += 1;
        if plan.is_empty() {
            self.parts.tally.lost(now, now, Span::ZERO, false);
            return self.redial(number, tries);
        }
        let nothing = Timetable {
            reply: None,
            progress: None,
            end: None,
            nominal: Span::ZERO,
            talk: Span::ZERO,
            mute: false,
            vain: false,
            hit: false,
        };
        let zero = Span::ZERO;
        let limits = Limits { first_reply: zero, progress: zero, ring: zero, t1: zero, rest: zero };
        let hunt = Hunt {
            began: now,
            hunt_from: now,
            number,
            tries,
            call: self.calls,
            luck: now.as_micros(),
            plan,
            at: 0,
            turn: 0,
            outcomes: Vec::new(),
            relayed: false,
            sent: now,
            table: nothing,
            limits,
            replied: None,
            progressed: None,
            watch: Instant::FAR,
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.hunts.push(None);
                self.hunts.len() as u32 - 1
            }
        };
        self.hunts[slot as usize] = Some(hunt);
        self.attempt(slot);
    }

    /// Tries the candidate whose turn it is.
    fn attempt(&mut self, slot: u32) {
        let now = self.now;
        let Some(hunt) = self.hunts[slot as usize].as_mut() else { return };
        let target = hunt.plan[hunt.at].target;
        let left = hunt.plan.len() - hunt.at - 1;
        let limits = self.parts.mind.limits(target, left, now.since(hunt.hunt_from));
        let number = &self.parts.numbers[usize::from(hunt.number)];
        let hears_icmp = self.parts.mind.hears_icmp();
        let call = Call { sent: now, number, t1: limits.t1, repeats: limits.first_reply.min(limits.rest), hears_icmp };
        let Some(Some(carrier)) = self.parts.carriers.get_mut(target.trunk.index()) else { return };
        let mut dice = Dice::of(self.luck, hunt.luck, u64::from(target.trunk.0));
        hunt.table = carrier.invite(&mut dice, &call);
        (hunt.sent, hunt.limits, hunt.replied, hunt.progressed) = (now, limits, None, None);
        hunt.watch = if self.parts.mind.watches() { now + WATCH } else { Instant::FAR };
        let (call, hit) = (CallRef(hunt.call), hunt.table.hit);
        self.parts.tally.attempt(now, target.trunk.index(), hit);
        self.parts.mind.begin(now, target.trunk);
        self.signal(target.trunk, target.index, Observed::AttemptStarted { call });
        self.plan_step(slot);
    }

    /// Puts the next thing that will happen to a call into the queue.
    fn plan_step(&mut self, slot: u32) {
        let patience = self.parts.patience;
        let Some(hunt) = self.hunts[slot as usize].as_ref() else { return };
        let at = hunt.next(patience).0;
        let turn = self.push(at, What::Step { slot });
        if let Some(hunt) = self.hunts[slot as usize].as_mut() {
            hunt.turn = turn;
        }
    }

    fn step(&mut self, slot: u32) {
        let patience = self.parts.patience;
        let Some(hunt) = self.hunts[slot as usize].as_mut() else { return };
        let (now, call) = (self.now, CallRef(hunt.call));
        let target = hunt.plan[hunt.at].target;
        let after = now.since(hunt.sent);
        let (_, step) = hunt.next(patience);
        match step {
            Step::Reply => {
                hunt.replied = Some(now);
                self.signal(target.trunk, target.index, Observed::FirstReply { call, after });
            }
            Step::Progress => {
                hunt.progressed = Some(now);
                let first = !core::mem::replace(&mut hunt.relayed, true);
                let added = now.since(hunt.began) - hunt.table.nominal;
                let began = hunt.began;
                self.signal(target.trunk, target.index, Observed::Progress { call, after });
                if first {
                    self.parts.tally.reached(began, target.trunk.index(), added);
                }
                // Only what a silent trunk does to a ringing call is left to look for, and that begins with a change of the table.
                if let Some(hunt) = self.hunts[slot as usize].as_mut() {
                    hunt.watch = Instant::FAR;
                }
                self.ask_one(slot);
            }
            Step::End => {
                let Some((_, outcome)) = hunt.table.end else { return };
                if outcome == AttemptOutcome::Answered && hunt.progressed.is_none() {
                    hunt.progressed = Some(now);
                    self.signal(target.trunk, target.index, Observed::Progress { call, after });
                }
                return self.over(slot, outcome);
            }
            Step::Overdue => {
                let outcome = match (hunt.replied, hunt.progressed) {
                    (_, Some(_)) => AttemptOutcome::RingTimeout { after },
                    (replied, None) if hunt.is_cut_short() => {
                        AttemptOutcome::CutShort { after, replied: replied.is_some() }
                    }
                    (Some(_), None) => AttemptOutcome::Stalled { after },
                    (None, None) => AttemptOutcome::NoReply { after },
                };
                return self.over(slot, outcome);
            }
            Step::Watch if hunt.progressed.is_some() => return self.over(slot, AttemptOutcome::WentSilent { after }),
            Step::Watch => {
                hunt.watch = now + WATCH;
                let trying = hunt.replied.is_some();
                self.signal(target.trunk, target.index, Observed::Waiting { call, after, trying });
                if self.has_better(slot) {
                    let silent = AttemptOutcome::NoReply { after };
                    let outcome = if trying { AttemptOutcome::Stalled { after } } else { silent };
                    return self.over(slot, outcome);
                }
            }
            Step::GiveUp => {
                let outcome = AttemptOutcome::Abandoned { after, progressed: false };
                return self.over(slot, outcome);
            }
        }
        self.plan_step(slot);
    }

    /// The attempt's target is in doubt or down, and a candidate to come is well.
    fn has_better(&self, slot: u32) -> bool {
        let Some(hunt) = self.hunts[slot as usize].as_ref() else { return false };
        let target = hunt.plan[hunt.at].target;
        let health = |target: TargetId| self.parts.mind.health(target);
        matches!(health(target), Health::Suspect | Health::Down)
            && hunt.plan[hunt.at + 1..].iter().any(|next| {
                next.target.trunk != target.trunk && matches!(health(next.target), Health::Up | Health::Unknown)
            })
    }

    /// The table has changed: whoever rings at a trunk that has fallen silent is asked after.
    fn ask_after(&mut self) {
        if !self.parts.mind.watches() {
            return;
        }
        for slot in 0..self.hunts.len() as u32 {
            self.ask_one(slot);
        }
    }

    /// Three questions; whoever answers one is left in peace.
    fn ask_one(&mut self, slot: u32) {
        let Some(hunt) = self.hunts[slot as usize].as_ref() else { return };
        let target = hunt.plan[hunt.at].target;
        if hunt.progressed.is_none() || hunt.watch != Instant::FAR || !self.parts.mind.is_silent(target) {
            return;
        }
        if !self.has_better(slot) {
            return;
        }
        let gone = self.now + QUESTIONS;
        let Some(Some(carrier)) = self.parts.carriers.get(target.trunk.index()) else { return };
        let answers = carrier.is_reachable(self.now) || carrier.is_reachable(gone);
        if let (false, Some(hunt)) = (answers, self.hunts[slot as usize].as_mut()) {
            hunt.watch = gone;
            self.plan_step(slot);
        }
    }

    /// The running attempt is over.
    fn over(&mut self, slot: u32, outcome: AttemptOutcome) {
        let now = self.now;
        let Some(hunt) = self.hunts[slot as usize].as_mut() else { return };
        let (call, target) = (CallRef(hunt.call), hunt.plan[hunt.at].target);
        hunt.outcomes.push(outcome);
        if matches!(outcome, AttemptOutcome::WentSilent { .. }) {
            // Its caller has a hunt before him again.
            hunt.hunt_from = now;
        }
        let so_far = SoFar {
            elapsed: now.since(hunt.hunt_from),
            left: hunt.plan.len() - hunt.at - 1,
            progress_relayed: hunt.relayed,
        };
        if outcome != AttemptOutcome::Answered {
            self.parts.mind.end(target.trunk);
        }
        let late = hunt.table.reply.filter(|at| matches!(outcome, AttemptOutcome::NoReply { .. }) && *at > now);
        let sent = hunt.sent;
        self.signal(target.trunk, target.index, Observed::Attempt { call, outcome });
        if let Some(at) = late {
            self.push(at, What::LateReply { target, call, after: at.since(sent) });
        }
        match self.parts.mind.after(target, &outcome, &so_far) {
            Next::Next => {
                if let Some(hunt) = self.hunts[slot as usize].as_mut() {
                    hunt.at += 1;
                }
                self.attempt(slot);
            }
            Next::Stop { .. } => self.finish(slot, outcome),
        }
    }

    /// The call is set up, or is not to be.
    fn finish(&mut self, slot: u32, outcome: AttemptOutcome) {
        let now = self.now;
        let Some(hunt) = self.hunts[slot as usize].take() else { return };
        self.free.push(slot);
        let trunk = hunt.plan[hunt.at].target.trunk;
        let code = decide::final_code(&hunt.outcomes);
        let added = now.since(hunt.began) - hunt.table.nominal;
        let watched = self.parts.tally.watches(hunt.began);
        match outcome {
            AttemptOutcome::Answered => {
                self.parts.tally.answered += u64::from(watched);
                if !hunt.relayed {
                    self.parts.tally.reached(hunt.began, trunk.index(), added);
                }
                if hunt.table.mute {
                    self.parts.tally.unheard(hunt.began, now);
                    self.push(now + UNHEARD, What::Unheard { trunk, call: hunt.call });
                }
                if let Some(carrier) = self.carrier(trunk) {
                    carrier.carries();
                }
                // Whoever hears nothing does not talk for long.
                let talk = if hunt.table.mute { UNHEARD + UNHEARD } else { hunt.table.talk };
                self.push(now + talk, What::Release { trunk, call: hunt.call, mute: hunt.table.mute });
            }
            AttemptOutcome::Abandoned { progressed: false, .. } => {
                self.parts.tally.lost(hunt.began, now, now.since(hunt.began), true);
                self.redial(hunt.number, hunt.tries);
            }
            AttemptOutcome::Abandoned { .. } | AttemptOutcome::RingTimeout { .. } if hunt.table.vain => {
                // He heard ringing all the while, so nothing was added to his set-up.
                self.parts.tally.lost(hunt.began, now, Span::ZERO, true);
                self.redial(hunt.number, hunt.tries);
            }
            AttemptOutcome::Abandoned { .. } | AttemptOutcome::RingTimeout { .. } => {
                self.parts.tally.called_party += u64::from(watched);
            }
            _ if matches!(code, 408 | 500..=599) => {
                let waited = if hunt.relayed { Span::ZERO } else { now.since(hunt.began) };
                self.parts.tally.lost(hunt.began, now, waited, false);
                self.redial(hunt.number, hunt.tries);
            }
            _ => {
                self.parts.tally.called_party += u64::from(watched);
                if !hunt.relayed {
                    self.parts.tally.reached(hunt.began, trunk.index(), added);
                }
            }
        }
    }

    fn redial(&mut self, number: u16, tries: u8) {
        let Some(redial) = self.parts.redial.filter(|redial| tries < redial.tries) else { return };
        let mut dice = Dice::of(self.luck, self.now.as_micros(), u64::MAX);
        if dice.below(100) < u64::from(redial.share) && self.now < self.parts.end {
            let after = dice.about(redial.after);
            self.push(self.now + after, What::Arrive { number, tries: tries + 1 });
        }
    }
}
