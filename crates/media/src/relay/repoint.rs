//! A side gets another pair: the next attempt of a hunt leaves by another listen, a live leg moves to another interface.
//!
//! All that is known of it goes along, and so does what is due at it by time: what the agenda has for the pair that it leaves says nothing
//! any more. Refuses to know: why it moves.

use super::{NotFree, PairId, Relay};
use crate::agenda::Task;

impl Relay {
    /// Replaces the pair joined to `first`. What `first` sent and heard goes on.
    ///
    /// # Errors
    /// The new pair is not free, or `first` is not joined.
    pub fn repoint(&mut self, first: PairId, second: PairId) -> Result<(), NotFree> {
        let old = self.side(first).map(|side| side.peer).ok_or(NotFree(first))?;
        if !self.is_free(second) {
            return Err(NotFree(second));
        }
        if self.sides.len() <= second.index() {
            self.sides.resize_with(second.index() + 1, || None);
        }
        self.sides[second.index()] = self.sides[old.index()].take();
        if let Some(side) = self.side(first) {
            side.peer = second;
        }
        self.tasks_follow(second);
        for (pair, _) in self.unfinished.iter_mut().filter(|(pair, _)| *pair == old) {
            *pair = second;
        }
        self.events_follow(old, second);
        Ok(())
    }

    /// What is due at a side that has another pair now. One more than there is at a time: those of the pair it left find nobody there, or
    /// somebody with times of his own.
    fn tasks_follow(&mut self, pair: PairId) {
        let Some(Some(side)) = self.sides.get(pair.index()) else { return };
        let due = [
            (Some(side.kept_alive.0), Task::KeepAlive),
            (Some(side.reports.due), Task::Report),
            (side.comfort.as_ref().map(|comfort| comfort.due()), Task::Comfort),
            (side.treatment_due, Task::Treatment),
            (side.shaking.as_ref().map(|shaking| shaking.due()), Task::Handshake),
            (side.report_shaking.as_ref().map(|shaking| shaking.due()), Task::Handshake),
        ];
        for (at, task) in due {
            if let Some(at) = at {
                self.agenda.set(at, pair, task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::Law;
    use crate::relay::{Component, Peer};
    use crate::{Packet, rtcp, rtp};
    use core::net::SocketAddr;
    use model::{Instant, Span};
    use std::vec::Vec;

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);
    const C: PairId = PairId(7);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_secs(100) + Span::from_millis(ms)
    }

    fn of_b(step: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 1], 6_000 + step))
    }

    fn of_a() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4_000))
    }

    fn anchored() -> Relay {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        for (side, rtp) in [(A, of_a()), (B, of_b(0))] {
            relay.expect(side, &Peer { rtp, rtcp: None, mux: false });
        }
        relay.tick(at(0));
        relay
    }

    fn speaks(relay: &mut Relay, ms: u64, n: u16) -> rtp::Header {
        let mut bytes = [0x2b; 172];
        let header =
            rtp::Header { marker: false, payload_type: 8, sequence: n, timestamp: u32::from(n) * 160, ssrc: 7 };
        rtp::write(bytes.first_chunk_mut().unwrap(), &header);
        relay.forward(at(ms), A, Component::Rtp, of_a(), &mut Packet::whole(&mut bytes));
        rtp::read(&bytes).unwrap()
    }

    fn reports(relay: &mut Relay, ms: u64, pair: PairId) {
        let mut bytes = Vec::new();
        rtcp::push_receiver(&mut bytes, 9, &[]);
        relay.forward(at(ms), pair, Component::Rtcp, of_b(1), &mut Packet::whole(&mut bytes));
    }

    fn made(relay: &mut Relay, ms: u64) -> Vec<(PairId, Component, Vec<u8>)> {
        relay.tick(at(ms));
        core::iter::from_fn(|| relay.poll_made().map(|one| (one.pair, one.component, one.packet.to_vec()))).collect()
    }

    /// Packets that were made for a side until then, looked at every 20 ms.
    fn made_until(relay: &mut Relay, from: u64, until: u64) -> Vec<(PairId, Component, Vec<u8>)> {
        (from..until).step_by(20).flat_map(|ms| made(relay, ms)).collect()
    }

    #[test]
    fn keep_alives_and_reports_go_on_at_the_new_pair_and_none_come_from_the_old() {
        let mut relay = anchored();
        for n in 0..50 {
            speaks(&mut relay, 20 * u64::from(n), n);
        }
        reports(&mut relay, 1_000, B);
        relay.repoint(A, C).unwrap();
        // Somebody else has the old pair meanwhile, who says nothing and reports nothing.
        relay.join(B, PairId(9)).unwrap();
        relay.expect(B, &Peer { rtp: of_b(50), rtcp: None, mux: false });
        for second in 1..=60 {
            reports(&mut relay, second * 1_000, C);
            let made = made_until(&mut relay, second * 1_000, second * 1_000 + 1_000);
            assert!(second > 14 || made.iter().all(|(pair, ..)| *pair != B), "{second}: {made:?}");
            assert!(made.iter().all(|(pair, component, _)| *pair != B || *component == Component::Rtp), "{made:?}");
        }
        let reported = relay.counters().reports;
        assert!((8..=24).contains(&reported), "{reported} within a minute, one every 2.5 to 7.5 s");
        // Every 15 s: three or four times for C, for B and for A, to whom nobody speaks.
        assert!((9..=12).contains(&relay.counters().kept_alive), "{}", relay.counters().kept_alive);
    }

    #[test]
    fn comfort_goes_on_at_the_new_pair_as_the_same_stream() {
        let mut relay = anchored();
        let last = speaks(&mut relay, 0, 100);
        relay.comfort(at(20), B, &Law::A.format(), None).unwrap();
        let before = made_until(&mut relay, 20, 520);
        relay.repoint(A, C).unwrap();
        let after = made_until(&mut relay, 520, 1_020);
        let of = |made: &[(PairId, Component, Vec<u8>)], pair| made.iter().filter(|one| one.0 == pair).count();
        assert_eq!((of(&before, B), of(&after, C), of(&after, B)), (25, 25, 0));
        let mut heard = last;
        for (_, _, packet) in before.iter().chain(&after) {
            let next = rtp::read(packet).unwrap();
            assert_eq!((next.ssrc, next.sequence, next.timestamp), (7, heard.sequence + 1, heard.timestamp + 160));
            heard = next;
        }
        let next = speaks(&mut relay, 1_020, 151);
        assert_eq!((next.ssrc, next.sequence, next.timestamp), (7, heard.sequence + 1, heard.timestamp + 160));
        assert!(made_until(&mut relay, 1_020, 1_500).is_empty(), "whose voice is heard needs nobody to stand in");
    }

    #[test]
    fn a_pair_that_is_gone_back_to_has_its_tasks_once() {
        let mut relay = anchored();
        relay.comfort(at(20), B, &Law::A.format(), None).unwrap();
        relay.repoint(A, C).unwrap();
        relay.repoint(A, B).unwrap();
        assert_eq!(made_until(&mut relay, 20, 520).len(), 25);
        relay.release(A);
        assert!(made_until(&mut relay, 520, 40_000).is_empty());
        assert_eq!(relay.deadline(), None, "nothing is left of a call that is over");
    }
}
