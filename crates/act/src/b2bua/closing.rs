//! The end of all calls, when the edge itself must end: each side is told by BYE, or its INVITE refused, and why.
//!
//! A few at a time, so that the last of thousands is heard as well as the first. Refuses to know: why the edge ends.

use super::{B2bua, World, reason};
use model::{AttemptOutcome, Span};

/// Calls ended at once, and the pause before the next ones: ten thousand a second.
const AT_ONCE: usize = 200;
const PAUSE: Span = Span::from_millis(20);
/// What both sides and the record are told.
const CLOSED: &str = "the edge is being shut down";

impl B2bua {
    /// Takes no new calls and ends those there are, the oldest places first; `expire` goes on with it.
    pub fn close(&mut self, world: &mut World<'_>) {
        self.draining = true;
        self.closing = Some(world.now);
        self.close_some(world);
    }

    /// Ends the next ones when their time has come.
    pub(super) fn close_some(&mut self, world: &mut World<'_>) {
        if self.closing.is_none_or(|at| at > world.now) {
            return;
        }
        let slots: alloc::vec::Vec<usize> = self.calls.iter().map(|(slot, _)| slot).take(AT_ONCE).collect();
        for slot in slots {
            if self.calls.get(slot).is_some_and(|call| call.callee.is_some()) {
                self.end_both(world, slot, CLOSED);
            } else {
                self.abandon_attempts(world, slot, &reason(503, CLOSED));
                self.refuse_call(world, slot, 503, None);
            }
        }
        self.closing = (!self.calls.is_empty()).then(|| world.now + PAUSE);
    }

    /// Whoever rings is left, and nothing is said against his trunk.
    pub(super) fn abandon_attempts(&mut self, world: &mut World<'_>, slot: usize, why: &[u8]) {
        for index in self.running(slot) {
            let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { continue };
            let after = world.now.since(attempt.sent);
            let outcome = AttemptOutcome::Abandoned { after, progressed: attempt.progress.is_some() };
            self.cancel_attempt(world, slot, index, why);
            self.close_attempt(world, slot, index, outcome);
        }
    }
}
