//! Reliable provisional responses: RFC 3262. Our numbers towards a caller, and the callee's as we have seen them.
//!
//! A response that is to arrive is repeated until its PRACK, T1 doubling without a cap, for 64*T1; one waits at a time (§3). Pure states
//! and times. Refuses to know: what the responses say, sockets.

use crate::message::Message;
use crate::transaction::timers::{Clocks, Fired, TimerSet};
use crate::wire::{HeaderName, Method, number};
use alloc::format;
use alloc::vec::Vec;
use model::{Instant, Span};

/// The reliable provisional responses of one INVITE that we have received.
#[derive(Clone, Debug)]
pub(crate) struct Reliable {
    rseq: u32,
    waits: bool,
    clocks: Clocks,
    /// What is repeated.
    pub(crate) bytes: Vec<u8>,
}

impl Reliable {
    /// None was sent yet. `first` is drawn by chance: numbers begin anywhere from 1 to 2³¹ − 1 (§3).
    pub(crate) fn new(first: u32) -> Self {
        // Half of the numbers are left for those that follow.
        Self { rseq: first % (1 << 30), waits: false, clocks: Clocks::OFF, bytes: Vec::new() }
    }

    /// The next one is sent now; its number.
    pub(crate) fn send(&mut self, now: Instant, timers: &TimerSet) -> u32 {
        self.rseq += 1;
        self.waits = true;
        self.clocks = Clocks::end(now, timers.t1.times(64)).repeating(now, timers.t1);
        self.rseq
    }

    /// Its PRACK came. False: it is for none that waits.
    pub(crate) fn acknowledge(&mut self, rseq: u32) -> bool {
        let waits = self.waits && self.rseq == rseq;
        if waits {
            self.waits = false;
            self.hush();
        }
        waits
    }

    /// A final response was sent, or the PRACK came: nothing is repeated any more. A PRACK that crosses the final response is still good.
    pub(crate) fn hush(&mut self) {
        self.clocks = Clocks::OFF;
        self.bytes = Vec::new();
    }

    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    pub(crate) fn expire(&mut self, now: Instant) -> Fired {
        let fired = self.clocks.fire(now, Span::from_secs(3_600));
        if fired == Fired::End {
            self.waits = false;
            self.hush();
        }
        fired
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.clocks.deadline()
    }
}

/// What a provisional response of the callee is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// It needs no PRACK.
    Unreliably,
    /// It is new, and owed a PRACK for this RSeq.
    New(u32),
    /// It was seen, or one before it was not: it is dropped without a PRACK, and comes again (§4).
    OutOfOrder,
}

/// Takes a provisional response in; `seen` is the RSeq of the last one in its dialog (RFC 3262 §4).
pub fn arrived(response: &Message, seen: &mut Option<u32>) -> Arrived {
    let rseq = response.header(HeaderName::RSeq).and_then(number).filter(|rseq| *rseq > 0);
    let (Some(rseq), true) = (rseq, response.requires(b"100rel")) else { return Arrived::Unreliably };
    match *seen {
        Some(last) if rseq != last.wrapping_add(1) => Arrived::OutOfOrder,
        _ => {
            *seen = Some(rseq);
            Arrived::New(rseq)
        }
    }
}

/// The RAck of a PRACK: the RSeq and the CSeq number of the INVITE it is for (RFC 3262 §7.2).
pub fn rack(prack: &Message) -> Option<(u32, u32)> {
    let value = prack.header(HeaderName::RAck)?;
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (rseq, cseq, method) = (number(words.next()?)?, number(words.next()?)?, words.next()?);
    (method == Method::Invite.as_str().as_bytes() && words.next().is_none()).then_some((rseq, cseq))
}

/// The value of a RAck.
pub fn rack_value(rseq: u32, cseq: u32) -> Vec<u8> {
    format!("{rseq} {cseq} INVITE").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::schedule;

    fn message(first: &str, extra: &str) -> Message {
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:1@e>;tag=2\r\nCall-ID: x\r\n\
             CSeq: 1 {}\r\n{extra}Content-Length: 0\r\n\r\n",
            if first.starts_with("PRACK") { "PRACK" } else { "INVITE" }
        );
        Message::parse(text.into_bytes()).unwrap()
    }

    /// §3: the pause doubles without a cap, and after 64*T1 it is over.
    #[test]
    fn it_is_repeated_until_its_prack() {
        let now = Instant::ZERO;
        let mut reliable = Reliable::new(7);
        assert_eq!(reliable.send(now, &TimerSet::default()), 8);
        let expected = (std::vec![500, 1_500, 3_500, 7_500, 15_500, 31_500], Some(32_000));
        assert_eq!(schedule(|now| reliable.expire(now), now), expected);
        assert!(!reliable.acknowledge(8), "too late");
        assert_eq!(reliable.send(now, &TimerSet::default()), 9);
        assert!(!reliable.acknowledge(8));
        assert!(reliable.acknowledge(9));
        assert!(!reliable.acknowledge(9), "a repeat");
        assert_eq!(reliable.deadline(), None);
        assert!(Reliable::new(u32::MAX).send(now, &TimerSet::default()) < 1 << 31);
        assert!(Reliable::new(0).send(now, &TimerSet::default()) > 0);
    }

    /// §4: the first number is whatever it is, then one after the other.
    #[test]
    fn repeats_and_gaps_are_dropped() {
        let ringing = |rseq: u32| message("SIP/2.0 180 Ringing", &format!("Require: 100rel\r\nRSeq: {rseq}\r\n"));
        let mut seen = None;
        assert_eq!(arrived(&message("SIP/2.0 180 Ringing", ""), &mut seen), Arrived::Unreliably);
        assert_eq!(arrived(&message("SIP/2.0 180 Ringing", "Require: 100rel\r\n"), &mut seen), Arrived::Unreliably);
        assert_eq!(arrived(&ringing(500), &mut seen), Arrived::New(500));
        assert_eq!(arrived(&ringing(500), &mut seen), Arrived::OutOfOrder);
        assert_eq!(arrived(&ringing(502), &mut seen), Arrived::OutOfOrder);
        assert_eq!(arrived(&ringing(501), &mut seen), Arrived::New(501));
        assert_eq!(arrived(&ringing(499), &mut seen), Arrived::OutOfOrder);
    }

    #[test]
    fn a_rack_names_the_response_and_its_invite_7_2() {
        let prack = |rack: &str| super::rack(&message("PRACK sip:1@e SIP/2.0", &format!("RAck: {rack}\r\n")));
        assert_eq!(prack("776656 1 INVITE"), Some((776_656, 1)));
        assert_eq!(prack("776656  1\t INVITE"), Some((776_656, 1)));
        for bad in ["", "1", "1 1", "1 1 BYE", "x 1 INVITE", "1 1 INVITE x", "99999999999 1 INVITE"] {
            assert_eq!(prack(bad), None, "{bad}");
        }
        assert_eq!(rack_value(7, 2), b"7 2 INVITE");
    }
}
