//! What calls say about one target: rows, lateness, the window, and the attempts that are still under way.
//!
//! Overlapping calls are ordered by when they were sent, not by when they ended. Refuses to know: probes, limits.

use crate::blame::BlamePolicy;
use crate::classify::was_heard;
use crate::streak::Row;
use crate::window::{Delays, KNOWN, Window};
use alloc::vec::Vec;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{AttemptOutcome, Blame, CallEvidence, CallRef, Instant, Pace, Share, Span, TargetId};

/// Late calls within this time belong together.
const CORRELATION: Span = Span::from_secs(10);
/// Late calls remembered per target; a limit above it is never reached.
const LATE_KEPT: usize = 64;
/// A first reply is not late before this, however quick the target usually is. T1 follows the round trip, so that one lost packet is
/// repaired by then.
const REPLY_FLOOR: Span = Span::from_millis(250);
/// A first reply is late after this while the target's own times are not known: one lost packet is no sign yet, and it is repeated
/// after T1 (500 ms, RFC 3261 §17.1.1.2).
const REPLY_COLD: Span = Span::from_millis(500);
/// Ringing is not late before this.
const PROGRESS_FLOOR: Span = Span::from_millis(1_000);
/// Ringing is late after this while the target's own times are not known: abroad it may take that long.
const PROGRESS_COLD: Span = Span::from_millis(4_000);
/// A caller who gave up later than this, having heard nothing at all, was left waiting by the trunk.
const PATIENCE: Span = Span::from_millis(1_000);
/// A change of health with nothing bad for so long before it is a return, and a return begins with a clean sheet:
/// what happened before has been judged.
const QUIET: Span = Span::from_secs(1);

/// Older than any attempt that still rings.
const RING_MAX: Span = Span::from_secs(600);
/// Those that cannot ring any more are looked for so often at most.
const SWEEP_EVERY: Span = Span::from_secs(1);

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) started: Instant,
    pub(crate) replied: bool,
    pub(crate) progressed: bool,
}

/// Attempts under way, over all targets. When full, further ones are judged by their end alone.
#[derive(Clone, Debug)]
pub(crate) struct UnderWay {
    map: HashMap<(TargetId, CallRef), Attempt, FixedState>,
    limit: usize,
    /// When those that cannot ring any more were looked for last: not at every start while it is full.
    swept: Instant,
}

impl UnderWay {
    pub(crate) fn new(limit: usize, seed: u64) -> Self {
        Self { map: HashMap::with_hasher(FixedState::with_seed(seed)), limit, swept: Instant::ZERO }
    }

    /// False when it is full.
    pub(crate) fn start(&mut self, target: TargetId, call: CallRef, started: Instant) -> bool {
        if self.map.len() >= self.limit && started.since(self.swept) >= SWEEP_EVERY {
            self.swept = started;
            self.retain(|_, began| started.since(began) < RING_MAX);
        }
        let room = self.map.len() < self.limit;
        if room {
            self.map.insert((target, call), Attempt { started, replied: false, progressed: false });
        }
        room
    }

    /// The attempt; one that is not known is taken to have started at `started`.
    pub(crate) fn get(&mut self, target: TargetId, call: CallRef, started: Instant) -> Attempt {
        let unknown = Attempt { started, replied: false, progressed: false };
        self.map.get(&(target, call)).copied().unwrap_or(unknown)
    }

    pub(crate) fn update(&mut self, target: TargetId, call: CallRef, attempt: Attempt) {
        if let Some(known) = self.map.get_mut(&(target, call)) {
            *known = attempt;
        }
    }

    pub(crate) fn end(&mut self, target: TargetId, call: CallRef) {
        self.map.remove(&(target, call));
    }

    /// Forgets all others.
    pub(crate) fn retain(&mut self, keep: impl Fn(TargetId, Instant) -> bool) {
        self.map.retain(|(target, _), attempt| keep(*target, attempt.started));
    }
}

/// What is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    /// Any reply at all.
    Reply,
    /// Anything after 100.
    Progress,
}

#[derive(Clone, Copy, Debug)]
struct Late {
    call: CallRef,
    started: Instant,
    at: Instant,
    lacking: Lacking,
    waiting: bool,
}

/// Everything calls have said about one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    silent: Row,
    blamed: Row,
    late: Vec<Late>,
    good_in_row: u32,
    good_since_mark: u32,
    mark: Instant,
    /// End of the last long silence.
    resumed: Instant,
    /// The last silence of any length: since when, until when.
    silence: (Instant, Instant),
    blames: BlamePolicy,
    window: Window,
    /// INVITE to first reply.
    delays: Delays,
    /// INVITE to ringing or answer (RFC 6076 §4.3).
    post_dial: Delays,
    last_bad: Option<(Instant, AttemptOutcome)>,
    last_good: Option<Instant>,
    last: Option<(Instant, AttemptOutcome)>,
}

impl Calls {
    /// The first response of any kind. It proves that the target replies, not yet that it carries calls. Says whether the usual
    /// delay is another one by it.
    pub(crate) fn first_reply(&mut self, attempt: &mut Attempt, after: Span) -> bool {
        let before = self.pace();
        if !attempt.replied {
            attempt.replied = true;
            if self.teaches(attempt) {
                self.delays.add(after);
            }
        }
        self.late.retain(|late| late.lacking == Lacking::Progress || late.started > attempt.started);
        self.silent.good(attempt.started);
        self.pace() != before
    }

    /// Ringing, early media or an answer: the call reached someone. Says whether the usual delay is another one by it.
    pub(crate) fn progress(&mut self, at: Instant, attempt: &mut Attempt) -> bool {
        attempt.replied = true;
        if attempt.progressed {
            return false;
        }
        attempt.progressed = true;
        self.window.add(at, 0, 1);
        self.good(at, attempt.started);
        let before = self.pace();
        if self.teaches(attempt) {
            self.post_dial.add(at.since(attempt.started));
        }
        self.pace() != before
    }

    /// What was sent into a silence under way says how long that lasted, and not how soon the target reacts; cf. RFC 6298 §3. One that
    /// is merely slow is silent no longer than for its own reply, so that it is learned.
    fn teaches(&self, attempt: &Attempt) -> bool {
        let (began, ended) = self.silence;
        attempt.started <= began || attempt.started >= ended
    }

    /// How soon calls usually hear anything, and something more than 100.
    pub(crate) fn pace(&self) -> Pace {
        Pace { first_reply: self.delays.usual(KNOWN), progress: self.post_dial.usual(KNOWN) }
    }

    /// Still waited for. Says whether that is later than usual here.
    pub(crate) fn waits(&mut self, at: Instant, call: CallRef, attempt: Attempt, after: Span, trying: bool) -> bool {
        let (lacking, usual) = if trying || attempt.replied {
            (Lacking::Progress, self.post_dial.late_after(KNOWN, PROGRESS_FLOOR).unwrap_or(PROGRESS_COLD))
        } else {
            (Lacking::Reply, self.delays.late_after(KNOWN, REPLY_FLOOR).unwrap_or(REPLY_COLD))
        };
        let late = after >= usual && attempt.started >= self.resumed;
        if late {
            self.note_late(Late { call, started: attempt.started, at, lacking, waiting: true });
        }
        late
    }

    /// An attempt has ended. Says whether that was bad for the trunk.
    pub(crate) fn ended(&mut self, at: Instant, call: CallRef, attempt: Attempt, outcome: AttemptOutcome) -> bool {
        for late in self.late.iter_mut().filter(|late| late.call == call) {
            late.waiting = false;
        }
        self.last = Some((at, outcome));
        let left_stalled = !attempt.progressed && self.is_stalled(call, attempt.started);
        if was_heard(&outcome) {
            self.late.retain(|late| late.lacking == Lacking::Progress || late.started > attempt.started);
        }
        if attempt.started < self.resumed && is_of_silence(&outcome) {
            return false;
        }
        match self.blames.blame(&outcome) {
            Blame::Trunk => {
                self.bad(at, call, attempt, outcome);
                true
            }
            Blame::None | Blame::Called => {
                if !attempt.progressed {
                    self.window.add(at, 0, 1);
                    self.good(at, attempt.started);
                }
                false
            }
            Blame::Caller => self.given_up(at, call, attempt, outcome),
            Blame::Us => {
                // Another attempt was ahead since this one was overdue, or the hunt was over. That is nothing new against the target, so
                // no moment of it is noted; but a call it did not carry is in the row, or quiet alone would bring back one whose probes
                // are always good.
                let left = matches!(outcome, AttemptOutcome::Outrun { .. } | AttemptOutcome::CutShort { .. });
                if left_stalled && left {
                    self.blamed.bad(attempt.started);
                }
                false
            }
        }
    }

    /// Whether this attempt got a first reply, and nothing more for longer than usual.
    fn is_stalled(&self, call: CallRef, started: Instant) -> bool {
        let is_it = |late: &Late| late.call == call && late.started == started && late.lacking == Lacking::Progress;
        self.late.iter().any(is_it)
    }

    fn bad(&mut self, at: Instant, call: CallRef, attempt: Attempt, outcome: AttemptOutcome) {
        self.last_bad = Some((at, outcome));
        self.good_in_row = 0;
        // An attempt that rang was counted then.
        self.window.add(at, 1, u32::from(!attempt.progressed));
        let lacking = match outcome {
            // Silence has a row of its own: it may be mere lateness, which a late reply takes back.
            AttemptOutcome::NoReply { .. } | AttemptOutcome::WentSilent { .. } => Lacking::Reply,
            AttemptOutcome::Stalled { .. } => {
                self.blamed.bad(attempt.started);
                Lacking::Progress
            }
            // It spoke, or the network did: whatever it is, it is not silence.
            _ => {
                self.blamed.bad(attempt.started);
                self.silent.good(attempt.started);
                return;
            }
        };
        self.silent.bad(attempt.started);
        self.note_late(Late { call, started: attempt.started, at, lacking, waiting: false });
    }

    /// The caller gave up. After a long silence that is the trunk's lateness, though no failed call of it.
    fn given_up(&mut self, at: Instant, call: CallRef, attempt: Attempt, outcome: AttemptOutcome) -> bool {
        let AttemptOutcome::Abandoned { after, progressed } = outcome else { return false };
        let unheard = !progressed && !attempt.replied && attempt.started >= self.resumed;
        let silent = unheard && after >= self.delays.late_after(KNOWN, REPLY_FLOOR).unwrap_or(PATIENCE);
        if silent {
            let lacking = Lacking::Reply;
            self.note_late(Late { call, started: attempt.started, at, lacking, waiting: false });
        }
        silent
    }

    fn good(&mut self, at: Instant, started: Instant) {
        self.last_good = Some(at);
        self.late.retain(|late| late.started > started);
        self.silent.good(started);
        if self.blamed.good(started) {
            self.good_in_row = self.good_in_row.saturating_add(1);
        }
        if started >= self.mark {
            self.good_since_mark = self.good_since_mark.saturating_add(1);
        }
    }

    /// A call is late once, however often that is said.
    fn note_late(&mut self, late: Late) {
        self.late.retain(|known| known.call != late.call);
        if self.late.len() == LATE_KEPT {
            self.late.remove(0);
        }
        self.late.push(late);
    }

    /// Health has changed; `last_bad` is when anything last counted against the target. Says whether that was long enough ago for the
    /// target to be returning.
    pub(crate) fn mark(&mut self, now: Instant, last_bad: Option<Instant>) -> bool {
        self.mark = now;
        self.good_since_mark = 0;
        let returns = last_bad.is_none_or(|bad| now.since(bad) >= QUIET);
        if returns {
            self.silent = Row::default();
            self.blamed = Row::default();
            self.late.clear();
            self.window = Window::default();
        }
        returns
    }

    /// What this trunk means by its codes.
    pub(crate) fn blames(&mut self, policy: BlamePolicy) {
        self.blames = policy;
    }

    /// Attempts of the last minute, and those of them that failed by the trunk's fault.
    pub(crate) fn failed_share(&mut self, now: Instant) -> Share {
        self.window.share(now)
    }

    /// A silence is over.
    pub(crate) const fn heard_again(&mut self, since: Instant, now: Instant) {
        self.silence = (since, now);
    }

    /// A long silence is over: what was sent into it has been judged.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.resumed = now;
        self.silent = Row::default();
        self.blamed = Row::default();
        self.late.clear();
        self.window = Window::default();
    }

    /// When a call reached someone for the last time.
    pub(crate) const fn last_good(&self) -> Option<Instant> {
        self.last_good
    }

    /// Silent or late calls in a row.
    pub(crate) fn unanswered(&self, now: Instant) -> u32 {
        self.late_count(now).max(self.silent.count())
    }

    fn late_count(&self, now: Instant) -> u32 {
        self.late.iter().filter(|late| now.since(late.at) < CORRELATION).count() as u32
    }

    /// Of the late ones, those without any reply at all.
    fn unheard(&self, now: Instant) -> u32 {
        let recent = self.late.iter().filter(|late| now.since(late.at) < CORRELATION);
        recent.filter(|late| late.lacking == Lacking::Reply).count() as u32
    }

    pub(crate) fn evidence(&mut self, now: Instant) -> CallEvidence {
        let waiting = self.late.iter().rev().find(|late| late.waiting);
        CallEvidence {
            silent_in_row: self.silent.count(),
            late: self.late_count(now),
            unheard: self.unheard(now),
            blamed_in_row: self.blamed.count(),
            good_in_row: self.good_in_row,
            good_since_mark: self.good_since_mark,
            late_by: waiting.map(|late| now.since(late.started)),
            window: self.window.share(now),
            last_bad: self.last_bad,
            last: self.last,
            usual: self.pace(),
        }
    }
}

/// It ended since nothing came, as against something bad that did.
const fn is_of_silence(outcome: &AttemptOutcome) -> bool {
    matches!(
        outcome,
        AttemptOutcome::NoReply { .. } | AttemptOutcome::WentSilent { .. } | AttemptOutcome::Stalled { .. }
    )
}
