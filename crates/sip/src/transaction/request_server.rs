//! The server transaction of every request but INVITE, ACK and CANCEL: RFC 3261 17.2.2, RFC 4320 4.
//!
//! Pure states and times. Refuses to know: messages, tags, sockets.

use super::timers::{Clocks, Fired, TimerSet};
use model::{Instant, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing sent yet.
    Trying,
    /// A provisional was sent.
    Proceeding,
    /// The final was sent; Timer J.
    Completed,
}

/// One request that came in.
#[derive(Clone, Debug)]
pub(crate) struct RequestServer {
    state: State,
    clocks: Clocks,
    timers: TimerSet,
    reliable: bool,
}

impl RequestServer {
    /// The request has just come. It is dropped unanswered after 64*T1: by then the client has given up, and a late
    /// answer only confuses (RFC 4320 4.1 and 4.2).
    pub(crate) fn new(now: Instant, timers: &TimerSet, reliable: bool) -> Self {
        Self { state: State::Trying, clocks: Clocks::end(now, timers.life()), timers: *timers, reliable }
    }

    /// The user answers with this code. False: a final response was given before, nothing may be sent.
    pub(crate) fn respond(&mut self, now: Instant, code: u16) -> bool {
        if self.state == State::Completed {
            return false;
        }
        if code < 200 {
            self.state = State::Proceeding;
        } else {
            self.state = State::Completed;
            let timer_j = if self.reliable { Span::ZERO } else { self.timers.life() };
            self.clocks = Clocks::end(now, timer_j);
        }
        true
    }

    /// The same request came again. Whether there is a response to send again (17.2.2).
    pub(crate) fn repeated(&self) -> bool {
        self.state != State::Trying
    }

    /// No final response was given.
    pub(crate) fn is_pending(&self) -> bool {
        self.state != State::Completed
    }

    /// Time has passed. `End` while `is_pending` means the user never answered.
    pub(crate) fn expire(&mut self, now: Instant) -> Fired {
        self.clocks.fire(now, self.timers.t2)
    }

    /// When `expire` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.clocks.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn timer_j_absorbs_repeated_requests_17_2_2() {
        let mut machine = RequestServer::new(at(0), &TimerSet::default(), false);
        assert!(!machine.repeated());
        assert!(machine.respond(at(10), 100));
        assert!(machine.repeated() && machine.is_pending());
        assert!(machine.respond(at(20), 200));
        assert!(machine.repeated() && !machine.is_pending());
        assert!(!machine.respond(at(30), 200));
        assert_eq!(machine.expire(at(32_019)), Fired::Nothing);
        assert_eq!(machine.expire(at(32_020)), Fired::End);
        let mut machine = RequestServer::new(at(0), &TimerSet::default(), true);
        machine.respond(at(20), 200);
        assert_eq!(machine.deadline(), Some(at(20)));
    }

    #[test]
    fn what_nobody_answers_ends_after_64_t1_rfc_4320() {
        let mut machine = RequestServer::new(at(0), &TimerSet::default(), false);
        assert_eq!(machine.expire(at(31_999)), Fired::Nothing);
        assert_eq!(machine.expire(at(32_000)), Fired::End);
        assert!(machine.is_pending());
    }
}
