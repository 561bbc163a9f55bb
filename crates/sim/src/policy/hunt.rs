//! One call on its hunt: the attempt that runs, and what happens to it next.
//!
//! Refuses to know: who decides, how carriers behave.

use super::carrier::Timetable;
use super::mind::Limits;
use decide::Candidate;
use model::{AttemptOutcome, Instant, Span};

/// A call that hunts or rings.
pub(super) struct Hunt {
    pub(super) began: Instant,
    pub(super) hunt_from: Instant,
    pub(super) number: u16,
    pub(super) tries: u8,
    pub(super) call: u64,
    /// By when it came, so that it is the same under every policy.
    pub(super) luck: u64,
    pub(super) plan: Vec<Candidate>,
    pub(super) at: usize,
    /// Number of the one event that is its next: numbers are never used twice, so no event left over from elsewhere is taken for it.
    pub(super) turn: u64,
    pub(super) outcomes: Vec<AttemptOutcome>,
    pub(super) relayed: bool,
    // The running attempt.
    pub(super) sent: Instant,
    pub(super) table: Timetable,
    pub(super) limits: Limits,
    pub(super) replied: Option<Instant>,
    pub(super) progressed: Option<Instant>,
    pub(super) watch: Instant,
}

/// What happens next to a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Step {
    // In the order in which they count at the same moment.
    Reply,
    Progress,
    End,
    Overdue,
    Watch,
    GiveUp,
}

impl Hunt {
    /// When it would be overdue, had the hunt all the time there is.
    fn own_deadline(&self) -> Instant {
        self.replied.map_or(self.sent + self.limits.first_reply, |at| at + self.limits.progress)
    }

    /// The hunt's end comes before its own deadline.
    pub(super) fn is_cut_short(&self) -> bool {
        self.sent + self.limits.rest < self.own_deadline()
    }

    /// The next thing that will happen, and when.
    pub(super) fn next(&self, patience: Span) -> (Instant, Step) {
        let reply = self.table.reply.filter(|_| self.replied.is_none()).map(|at| (at, Step::Reply));
        let progress = self.table.progress.filter(|_| self.progressed.is_none()).map(|at| (at, Step::Progress));
        let end = self.table.end.map(|(at, _)| (at, Step::End));
        let overdue = match (self.replied, self.progressed) {
            (_, Some(at)) => at + self.limits.ring,
            _ => self.own_deadline().min(self.sent + self.limits.rest),
        };
        let give_up = (!self.relayed).then(|| (self.began + patience, Step::GiveUp));
        let always = [(overdue, Step::Overdue), (self.watch, Step::Watch)];
        let first = [reply, progress, end, give_up].into_iter().flatten().chain(always).min();
        first.unwrap_or((overdue, Step::Overdue))
    }
}
