//! The INVITE client transaction: RFC 3261 17.1.1 as corrected by RFC 6026 7.2 and 8.4, with CANCEL's timing (9.1).
//!
//! Pure states and times. Refuses to know: messages, tags, sockets; its owner sends what the machine asks for.

use super::timers::{Clocks, Fired, TimerSet};
use model::{Instant, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No answer yet; Timers A and B.
    Calling,
    /// A provisional came; no timer, unless a CANCEL was sent.
    Proceeding,
    /// 3xx-6xx came and was acknowledged; Timer D.
    Completed,
    /// A 2xx came; Timer M.
    Accepted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// Held back until the first provisional: 9.1 forbids it before.
    Wanted,
    Sent,
}

/// What to do with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Tell the user.
    Tell,
    /// Acknowledge and tell the user: the first 3xx-6xx (17.1.1.3).
    AckAndTell,
    /// Send the same ACK again: a repeated 3xx-6xx.
    AckAgain,
    /// A 2xx: its To tag says whether it is new, a repeat, or of another fork (RFC 6026 7.2).
    Success,
    /// Drop it.
    Absorb,
}

/// One INVITE on its way.
#[derive(Clone, Debug)]
pub(crate) struct InviteClient {
    state: State,
    cancel: Cancel,
    clocks: Clocks,
    timers: TimerSet,
    reliable: bool,
    /// It was sent more than once.
    repeated: bool,
}

impl InviteClient {
    /// The INVITE has just been sent.
    pub(crate) fn new(now: Instant, timers: &TimerSet, reliable: bool) -> Self {
        let timer_a = if reliable { Span::ZERO } else { timers.t1 };
        let clocks = Clocks::end(now, timers.timer_b).repeating(now, timer_a);
        Self { state: State::Calling, cancel: Cancel::No, clocks, timers: *timers, reliable, repeated: false }
    }

    /// A response with this code came.
    pub(crate) fn response(&mut self, now: Instant, code: u16) -> Heard {
        match (self.state, code) {
            (State::Calling, ..200) => {
                self.state = State::Proceeding;
                self.clocks = Clocks::OFF;
                Heard::Tell
            }
            (State::Proceeding, ..200) => Heard::Tell,
            (State::Calling | State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                self.clocks = Clocks::end(now, self.timers.peers_life());
                Heard::Success
            }
            (State::Calling | State::Proceeding, _) => {
                self.state = State::Completed;
                let timer_d = if self.reliable { Span::ZERO } else { self.timers.peers_life() };
                self.clocks = Clocks::end(now, timer_d);
                Heard::AckAndTell
            }
            (State::Accepted, 200..300) => Heard::Success,
            (State::Completed, 300..) => Heard::AckAgain,
            (State::Completed | State::Accepted, _) => Heard::Absorb,
        }
    }

    /// The user gives the call up. Whether a CANCEL goes out is asked by `cancel_due`.
    pub(crate) fn cancel(&mut self) {
        if self.is_pending() && self.cancel == Cancel::No {
            self.cancel = Cancel::Wanted;
        }
    }

    /// Whether the CANCEL is to be sent now; true once. From then on the INVITE has 64*T1 to end (9.1), and 32 s at least: a T1 that
    /// follows a quick round trip says nothing of how long the peer may take.
    pub(crate) fn cancel_due(&mut self, now: Instant) -> bool {
        let due = self.cancel == Cancel::Wanted && self.state == State::Proceeding;
        if due {
            self.cancel = Cancel::Sent;
            self.clocks = Clocks::end(now, self.timers.peers_life());
        }
        due
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// A provisional response came, nothing final yet, and it is still wanted.
    pub(crate) fn is_ringing(&self) -> bool {
        self.state == State::Proceeding && self.cancel == Cancel::No
    }

    /// Nobody has given it up.
    pub(crate) fn is_wanted(&self) -> bool {
        self.cancel == Cancel::No
    }

    /// Not one response yet.
    pub(crate) fn is_unheard(&self) -> bool {
        self.state == State::Calling
    }

    /// Its base values, which its CANCEL shares.
    pub(crate) fn timers(&self) -> TimerSet {
        self.timers
    }

    /// The connection that carried it is dead, and nobody knows how far it came: as good as a copy sent before.
    pub(crate) fn may_have_arrived(&mut self) {
        self.repeated = true;
    }

    /// The network refused a copy of it, and nobody has answered. True when that ends it: no other copy was sent. Otherwise one sent
    /// before may have come through, so that it is given up, and whatever answers until Timer B is cancelled, or ended by the user.
    pub(crate) fn refused(&mut self) -> bool {
        self.clocks.hush();
        self.cancel();
        !self.repeated
    }

    /// Time has passed. `End` while `is_pending` means no reply.
    pub(crate) fn expire(&mut self, now: Instant) -> Fired {
        // Timer A doubles without a cap (17.1.1.2); Timer B ends it.
        let fired = self.clocks.fire(now, Span::MAX);
        self.repeated |= fired == Fired::Repeat;
        fired
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
    fn timer_a_doubles_until_timer_b_17_1_1_2() {
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
        let (repeats, end) = schedule(|now| machine.expire(now), Instant::ZERO);
        assert_eq!(repeats, vec![500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(end, Some(32_000));
        assert!(machine.is_pending());
    }

    #[test]
    fn a_reliable_transport_repeats_nothing_17_1_1_2() {
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), true);
        assert_eq!(schedule(|now| machine.expire(now), Instant::ZERO), (vec![], Some(32_000)));
    }

    #[test]
    fn timer_b_is_the_trunks_own() {
        let timers = TimerSet { t1: Span::from_millis(200), timer_b: Span::from_secs(2), ..TimerSet::default() };
        let mut machine = InviteClient::new(Instant::ZERO, &timers, false);
        assert_eq!(schedule(|now| machine.expire(now), Instant::ZERO), (vec![200, 600, 1_400], Some(2_000)));
    }

    #[test]
    fn a_provisional_stops_every_timer_17_1_1_2() {
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
        assert_eq!(machine.response(at(100), 100), Heard::Tell);
        assert_eq!(machine.deadline(), None);
        assert_eq!(machine.response(at(200), 180), Heard::Tell);
        assert_eq!(machine.response(at(99_000), 486), Heard::AckAndTell);
    }

    #[test]
    fn timer_d_absorbs_and_acknowledges_repeats_17_1_1_2() {
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
        assert_eq!(machine.response(at(10), 503), Heard::AckAndTell);
        assert_eq!(machine.response(at(510), 503), Heard::AckAgain);
        assert_eq!(machine.response(at(520), 180), Heard::Absorb);
        assert_eq!(machine.response(at(520), 200), Heard::Absorb);
        assert_eq!(schedule(|now| machine.expire(now), at(10)), (vec![], Some(32_010)));
        // A small T1 of ours says nothing about the peer's Timer H.
        let quick = TimerSet { t1: Span::from_millis(50), ..TimerSet::default() };
        let mut machine = InviteClient::new(Instant::ZERO, &quick, false);
        machine.response(at(0), 503);
        assert_eq!(machine.deadline(), Some(at(32_000)));
        let mut machine = InviteClient::new(Instant::ZERO, &quick, true);
        machine.response(at(7), 503);
        assert_eq!(machine.deadline(), Some(at(7)));
    }

    #[test]
    fn timer_m_takes_every_2xx_rfc_6026_7_2() {
        // A small T1 of ours says nothing about how long the peer repeats its 2xx (13.3.1.4).
        for (reliable, t1) in [(false, 500), (true, 500), (false, 80)] {
            let timers = TimerSet { t1: Span::from_millis(t1), ..TimerSet::default() };
            let mut machine = InviteClient::new(Instant::ZERO, &timers, reliable);
            assert_eq!(machine.response(at(100), 200), Heard::Success);
            assert_eq!(machine.response(at(600), 200), Heard::Success);
            assert_eq!(machine.response(at(700), 180), Heard::Absorb);
            assert_eq!(machine.response(at(700), 486), Heard::Absorb);
            assert_eq!(machine.deadline(), Some(at(32_100)));
        }
    }

    #[test]
    fn a_cancel_waits_for_the_first_provisional_9_1() {
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
        machine.cancel();
        assert!(!machine.cancel_due(at(1)));
        machine.response(at(100), 100);
        assert!(machine.cancel_due(at(100)));
        assert!(!machine.cancel_due(at(100)));
        machine.response(at(200), 183);
        assert!(!machine.cancel_due(at(200)));
        assert_eq!(machine.expire(at(32_099)), Fired::Nothing);
        assert_eq!(machine.expire(at(32_100)), Fired::End);
        let quick = TimerSet { t1: Span::from_millis(80), ..TimerSet::default() };
        let mut machine = InviteClient::new(Instant::ZERO, &quick, false);
        machine.response(at(0), 180);
        machine.cancel();
        assert!(machine.cancel_due(at(10)));
        assert_eq!(machine.deadline(), Some(at(32_010)));
    }

    #[test]
    fn a_refusal_by_the_network_ends_what_was_sent_once() {
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
        assert!(machine.refused());
        let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
        assert_eq!(machine.expire(at(500)), Fired::Repeat);
        assert!(!machine.refused());
        assert_eq!(machine.deadline(), Some(at(32_000)), "no more copies, and Timer B stays");
        machine.response(at(900), 180);
        assert!(machine.cancel_due(at(900)));
    }

    #[test]
    fn a_final_response_makes_the_cancel_void_9_1() {
        for code in [200, 486] {
            let mut machine = InviteClient::new(Instant::ZERO, &TimerSet::default(), false);
            machine.cancel();
            machine.response(at(100), code);
            assert!(!machine.cancel_due(at(100)));
            machine.cancel();
            assert!(!machine.cancel_due(at(200)));
        }
    }
}
