//! The INVITE server transaction: RFC 3261 17.2.1 as corrected by RFC 6026 7.1, with the repeats of a 2xx (13.3.1.4).
//!
//! RFC 3261 lets the user of the transaction repeat the 2xx; here the machine does it, so that there is one retransmitter.
//! Pure states and times. Refuses to know: messages, tags, sockets.

use super::timers::{Clocks, Fired, TimerSet};
use model::{Instant, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response yet; no timer.
    Proceeding,
    /// 3xx-6xx sent; Timers G and H.
    Completed,
    /// The ACK for it came; Timer I.
    Confirmed,
    /// 2xx sent and repeated; Timer L.
    Accepted,
    /// 2xx sent and acknowledged; Timer L.
    Settled,
}

/// What an ACK with the INVITE's own branch meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    /// For a 3xx-6xx: ends here (17.2.1).
    Absorbed,
    /// For a 2xx, by a peer that gave it the INVITE's branch: the user must see it (RFC 6026 7.1).
    ForUser,
    /// For nothing we have answered.
    Stray,
}

/// One INVITE that came in.
#[derive(Clone, Debug)]
pub(crate) struct InviteServer {
    state: State,
    clocks: Clocks,
    timers: TimerSet,
    reliable: bool,
}

impl InviteServer {
    /// The INVITE has just come.
    pub(crate) fn new(timers: &TimerSet, reliable: bool) -> Self {
        Self { state: State::Proceeding, clocks: Clocks::OFF, timers: *timers, reliable }
    }

    /// The user answers with this code. False: a final response was given before, nothing may be sent.
    pub(crate) fn respond(&mut self, now: Instant, code: u16) -> bool {
        if self.state != State::Proceeding {
            return false;
        }
        match code {
            ..200 => {}
            200..300 => {
                self.state = State::Accepted;
                self.clocks = Clocks::end(now, self.timers.life()).repeating(now, self.timers.t1);
            }
            _ => {
                self.state = State::Completed;
                let timer_g = if self.reliable { Span::ZERO } else { self.timers.t1 };
                self.clocks = Clocks::end(now, self.timers.life()).repeating(now, timer_g);
            }
        }
        true
    }

    /// The same INVITE came again. Whether the last response is to be sent again: in Accepted it is not, for the 2xx
    /// has a pace of its own (RFC 6026 7.1).
    pub(crate) fn repeated(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed)
    }

    /// An ACK with the INVITE's branch came.
    pub(crate) fn ack(&mut self, now: Instant) -> Acked {
        match self.state {
            State::Proceeding => Acked::Stray,
            State::Completed => {
                self.state = State::Confirmed;
                let timer_i = if self.reliable { Span::ZERO } else { self.timers.t4 };
                self.clocks = Clocks::end(now, timer_i);
                Acked::Absorbed
            }
            State::Confirmed => Acked::Absorbed,
            State::Accepted | State::Settled => Acked::ForUser,
        }
    }

    /// The user has seen the ACK for its 2xx: the repeats stop, Timer L goes on. True when they were running.
    pub(crate) fn confirm(&mut self) -> bool {
        let repeating = self.state == State::Accepted;
        if repeating {
            self.state = State::Settled;
            self.clocks.hush();
        }
        repeating
    }

    /// No final response was given.
    pub(crate) fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    /// The 2xx has not been acknowledged.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.state == State::Accepted
    }

    /// The 3xx-6xx has not been acknowledged.
    pub(crate) fn is_unacknowledged(&self) -> bool {
        self.state == State::Completed
    }

    /// Time has passed.
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

    /// T1 doubling up to T2, for 64*T1.
    const CAPPED: [u64; 10] = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn timers_g_and_h_17_2_1() {
        let mut machine = InviteServer::new(&TimerSet::default(), false);
        assert!(machine.respond(at(0), 486));
        assert_eq!(schedule(|now| machine.expire(now), at(0)), (CAPPED.to_vec(), Some(32_000)));
        let mut machine = InviteServer::new(&TimerSet::default(), true);
        assert!(machine.respond(at(0), 486));
        assert_eq!(schedule(|now| machine.expire(now), at(0)), (vec![], Some(32_000)));
    }

    #[test]
    fn timer_i_absorbs_repeated_acks_17_2_1() {
        let mut machine = InviteServer::new(&TimerSet::default(), false);
        machine.respond(at(0), 486);
        assert!(machine.repeated());
        assert_eq!(machine.ack(at(600)), Acked::Absorbed);
        assert_eq!(machine.ack(at(700)), Acked::Absorbed);
        assert!(!machine.repeated());
        assert_eq!(schedule(|now| machine.expire(now), at(600)), (vec![], Some(5_600)));
        let mut machine = InviteServer::new(&TimerSet::default(), true);
        machine.respond(at(0), 486);
        machine.ack(at(600));
        assert_eq!(machine.deadline(), Some(at(600)));
    }

    #[test]
    fn a_2xx_is_repeated_on_every_transport_13_3_1_4() {
        for reliable in [false, true] {
            let mut machine = InviteServer::new(&TimerSet::default(), reliable);
            assert!(machine.respond(at(0), 200));
            assert!(!machine.repeated());
            assert_eq!(schedule(|now| machine.expire(now), at(0)), (CAPPED.to_vec(), Some(32_000)));
            assert!(machine.is_unconfirmed());
        }
    }

    #[test]
    fn after_confirm_only_timer_l_runs_rfc_6026_7_1() {
        let mut machine = InviteServer::new(&TimerSet::default(), false);
        machine.respond(at(0), 200);
        assert_eq!(machine.expire(at(500)), Fired::Repeat);
        assert_eq!(machine.ack(at(600)), Acked::ForUser);
        assert!(machine.confirm());
        assert!(!machine.confirm());
        assert_eq!(schedule(|now| machine.expire(now), at(600)), (vec![], Some(32_000)));
        assert!(!machine.is_unconfirmed());
    }

    #[test]
    fn only_one_final_response() {
        for first in [200, 486] {
            let mut machine = InviteServer::new(&TimerSet::default(), false);
            assert!(machine.respond(at(0), 180));
            assert!(machine.respond(at(0), 183));
            assert_eq!(machine.deadline(), None);
            assert!(machine.respond(at(0), first));
            assert!(!machine.respond(at(1), 180) && !machine.respond(at(1), 200) && !machine.respond(at(1), 500));
        }
    }

    #[test]
    fn an_ack_before_any_final_is_stray() {
        assert_eq!(InviteServer::new(&TimerSet::default(), false).ack(at(1)), Acked::Stray);
    }
}
