//! The client transaction of every request but INVITE and ACK: RFC 3261 17.1.2.
//!
//! Pure states and times. Refuses to know: messages, tags, sockets.

use super::timers::{Clocks, Fired, TimerSet};
use model::{Instant, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No answer yet; Timers E and F.
    Trying,
    /// A provisional came; Timers E (at T2) and F.
    Proceeding,
    /// A final came; Timer K.
    Completed,
}

/// One request on its way.
#[derive(Clone, Debug)]
pub(crate) struct RequestClient {
    state: State,
    clocks: Clocks,
    timers: TimerSet,
    reliable: bool,
}

impl RequestClient {
    /// The request has just been sent.
    pub(crate) fn new(now: Instant, timers: &TimerSet, reliable: bool) -> Self {
        let timer_e = if reliable { Span::ZERO } else { timers.t1 };
        let clocks = Clocks::end(now, timers.timer_b).repeating(now, timer_e);
        Self { state: State::Trying, clocks, timers: *timers, reliable }
    }

    /// A response with this code came; true when the user is to see it.
    pub(crate) fn response(&mut self, now: Instant, code: u16) -> bool {
        match (self.state, code) {
            (State::Completed, _) => return false,
            (_, ..200) => {
                self.state = State::Proceeding;
                self.clocks.pace(self.timers.t2);
            }
            _ => {
                self.state = State::Completed;
                let timer_k = if self.reliable { Span::ZERO } else { self.timers.t4 };
                self.clocks = Clocks::end(now, timer_k);
            }
        }
        true
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.state != State::Completed
    }

    /// Not one response yet.
    pub(crate) fn is_unheard(&self) -> bool {
        self.state == State::Trying
    }

    /// Time has passed. `End` while `is_pending` means no reply.
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
    use crate::transaction::schedule;
    use std::vec;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn timer_e_doubles_up_to_t2_until_timer_f_17_1_2_2() {
        let mut machine = RequestClient::new(at(0), &TimerSet::default(), false);
        let (repeats, end) = schedule(|now| machine.expire(now), at(0));
        assert_eq!(repeats, vec![500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!(end, Some(32_000));
        let mut machine = RequestClient::new(at(0), &TimerSet::default(), true);
        assert_eq!(schedule(|now| machine.expire(now), at(0)), (vec![], Some(32_000)));
    }

    #[test]
    fn in_proceeding_timer_e_goes_at_t2_17_1_2_2() {
        let mut machine = RequestClient::new(at(0), &TimerSet::default(), false);
        assert!(machine.response(at(100), 100));
        let (repeats, end) = schedule(|now| machine.expire(now), at(0));
        assert_eq!(repeats, vec![500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500]);
        assert_eq!(end, Some(32_000));
    }

    #[test]
    fn timer_k_absorbs_repeated_finals_17_1_2_2() {
        let mut machine = RequestClient::new(at(0), &TimerSet::default(), false);
        assert!(machine.response(at(100), 200));
        assert!(!machine.response(at(200), 200) && !machine.response(at(200), 100));
        assert_eq!(schedule(|now| machine.expire(now), at(100)), (vec![], Some(5_100)));
        let mut machine = RequestClient::new(at(0), &TimerSet::default(), true);
        machine.response(at(100), 500);
        assert_eq!(machine.deadline(), Some(at(100)));
    }
}
