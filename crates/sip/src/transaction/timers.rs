//! The timers of RFC 3261 §17 and RFC 6026, all in one table, and the two clocks every state runs on.
//!
//! | timer | runs in | value | what it does |
//! |---|---|---|---|
//! | A | INVITE client, Calling | T1, doubling without cap; off on reliable transports | repeats the INVITE (17.1.1.2) |
//! | B | INVITE client, Calling | `timer_b` (64*T1) | no answer at all: `NoReply` (17.1.1.2) |
//! | D | INVITE client, Completed | 32 s and never less than 64*T1; 0 if reliable | absorbs repeated finals (17.1.1.2) |
//! | E | other client, Trying; Proceeding | T1 doubling up to T2; then T2; off if reliable | repeats the request (17.1.2.2) |
//! | F | other client, Trying and Proceeding | `timer_b` (64*T1) | no final: `NoReply` (17.1.2.2) |
//! | G | INVITE server, Completed | T1 doubling up to T2; off if reliable | repeats a 3xx-6xx (17.2.1) |
//! | H | INVITE server, Completed | 64*T1 | the ACK never came (17.2.1) |
//! | I | INVITE server, Confirmed | T4; 0 if reliable | absorbs repeated ACKs (17.2.1) |
//! | J | other server, Completed | 64*T1; 0 if reliable | absorbs repeated requests (17.2.2) |
//! | K | other client, Completed | T4; 0 if reliable | absorbs repeated finals (17.1.2.2) |
//! | L | INVITE server, Accepted | 64*T1 | absorbs repeated INVITEs after a 2xx (RFC 6026 7.1) |
//! | M | INVITE client, Accepted | 32 s and never less than 64*T1 | takes repeated and forked 2xx (RFC 6026 7.2) |
//!
//! Three more clocks have no letter: the 2xx is repeated T1 doubling up to T2, on every transport, for 64*T1 (13.3.1.4);
//! after a CANCEL the INVITE gets as long as Timer D to end (9.1); a request other than INVITE that the user never answers is dropped
//! after 64*T1, for no answer can help any more (RFC 4320 4.1). Timer C belongs to the user of the transactions.
//! Refuses to know: messages.

use model::{Instant, Span};

/// The four base values, per request. Timers B and F follow `timer_b`, all others follow T1, T2 and T4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerSet {
    /// Round-trip estimate, 500 ms.
    pub t1: Span,
    /// Longest pause between repeats, 4 s.
    pub t2: Span,
    /// Longest life of a datagram in the network, 5 s.
    pub t4: Span,
    /// How long to wait for the first answer to an INVITE (Timer B), or for the final one to any other request (Timer F): 32 s.
    pub timer_b: Span,
}

impl Default for TimerSet {
    fn default() -> Self {
        Self {
            t1: Span::from_millis(500),
            t2: Span::from_secs(4),
            t4: Span::from_secs(5),
            timer_b: Span::from_secs(32),
        }
    }
}

impl TimerSet {
    /// 64*T1, the life of most states.
    pub(crate) fn life(&self) -> Span {
        self.t1.times(64)
    }

    /// How long a peer may go on repeating what it said, for Timers D and M: 32 s at least whatever T1 is, because they mirror timers of a
    /// peer that has its own T1.
    pub(crate) fn peers_life(&self) -> Span {
        self.life().max(Span::from_secs(32))
    }
}

/// What a machine wants done when time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fired {
    /// Nothing was due.
    Nothing,
    /// Send the last message again.
    Repeat,
    /// The state's time is up.
    End,
}

/// The two clocks of a state: one repeats a message, one ends the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    repeat_at: Instant,
    interval: Span,
    end_at: Instant,
}

impl Clocks {
    /// Neither runs.
    pub(crate) const OFF: Self = Self { repeat_at: Instant::FAR, interval: Span::ZERO, end_at: Instant::FAR };

    /// Only the state's end.
    pub(crate) fn end(now: Instant, after: Span) -> Self {
        Self { end_at: now + after, ..Self::OFF }
    }

    /// Repeats after `interval`; a zero interval never repeats.
    pub(crate) fn repeating(self, now: Instant, interval: Span) -> Self {
        let repeat_at = if interval == Span::ZERO { Instant::FAR } else { now + interval };
        Self { repeat_at, interval, ..self }
    }

    /// No more repeats, the end stays.
    pub(crate) fn hush(&mut self) {
        self.repeat_at = Instant::FAR;
    }

    /// From the next repeat on, the pause is `interval`.
    pub(crate) fn pace(&mut self, interval: Span) {
        self.interval = interval;
    }

    /// The earlier of both.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let at = self.repeat_at.min(self.end_at);
        (at < Instant::FAR).then_some(at)
    }

    /// What is due; the pause doubles up to `cap` after a repeat. The end wins over a repeat due at the same time.
    pub(crate) fn fire(&mut self, now: Instant, cap: Span) -> Fired {
        if self.end_at <= now {
            *self = Self::OFF;
            return Fired::End;
        }
        if self.repeat_at > now {
            return Fired::Nothing;
        }
        self.interval = self.interval.times(2).min(cap);
        if self.interval == Span::ZERO {
            // A T2 of zero means no repeats, not endless ones.
            self.hush();
            return Fired::Nothing;
        }
        // From the planned time, so that a late tick does not stretch the schedule; from now when that has passed as well.
        let planned = self.repeat_at + self.interval;
        self.repeat_at = if planned > now { planned } else { now + self.interval };
        Fired::Repeat
    }
}
