//! What the relay hears of a side, for whoever watches over a call. Asked now and then, never per packet.
//!
//! Refuses to know: what to do about it.

use super::{PairId, Relay};
use crate::speech::{Format, Speech};
use crate::watch::Heard;
use model::{Instant, Mos};

impl Relay {
    /// What is heard of `side`; none when it is joined to nothing.
    pub fn heard(&self, now: Instant, side: PairId) -> Option<Heard> {
        Some(self.sides.get(side.index())?.as_ref()?.heard(now))
    }

    /// How `side` sounds of late, as an estimate; none when too little was heard of it, or its codec is not known.
    pub fn mos(&self, now: Instant, side: PairId) -> Option<Mos> {
        self.sides.get(side.index())?.as_ref()?.watch.mos(now)
    }

    /// What `side` sends and is sent its sound by, as its description says: without it, payload types mean what RFC 3551 §6 says.
    pub fn speaks(&mut self, side: PairId, speech: &Speech) {
        if let Some(side) = self.side(side) {
            side.watch.speaks(speech);
            side.spoken_to = speech.formats.first().copied();
        }
    }

    /// The format that `side` is spoken to in, where its description was understood.
    pub fn spoken_to(&self, side: PairId) -> Option<Format> {
        self.sides.get(side.index())?.as_ref()?.spoken_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::Law;
    use crate::relay::{Component, Peer};
    use crate::{Packet, Shape, rtp};
    use model::Span;

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn speaks(relay: &mut Relay, side: PairId, n: u16) {
        let mut bytes = [0x2b; 172];
        let timestamp = u32::from(n) * 160;
        let header = rtp::Header { marker: false, payload_type: 8, sequence: n, timestamp, ssrc: 7 };
        rtp::write(bytes.first_chunk_mut().unwrap(), &header);
        let from = if side == A { "192.0.2.1:4000" } else { "198.51.100.1:6000" };
        let mut packet = Packet::whole(&mut bytes);
        relay.forward(at(20 * u64::from(n)), side, Component::Rtp, from.parse().unwrap(), &mut packet);
    }

    #[test]
    fn each_side_is_heard_for_itself_and_counted_at_the_end() {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        for (side, rtp) in [(A, "192.0.2.1:4000"), (B, "198.51.100.1:6000")] {
            relay.expect(side, &Peer { rtp: rtp.parse().unwrap(), rtcp: None, mux: false });
        }
        (0..50).filter(|n| n % 10 != 5).for_each(|n| speaks(&mut relay, A, n));
        let now = at(1_000);
        let (first, second) = (relay.heard(now, A).unwrap(), relay.heard(now, B).unwrap());
        assert_eq!((first.packets, first.loss_permille, first.opaque), (45, Some(100), false));
        assert_eq!((second.packets, second.last), (0, None), "one-way");
        assert!(
            second.is_silent(Span::from_secs(3), Span::from_secs(3))
                && !first.is_silent(Span::from_secs(3), now.since(at(0)))
        );
        // What the relay says itself is no voice of the side it stands for.
        relay.comfort(now, A, &Law::A.format(), None).unwrap();
        relay.tick(at(1_100));
        assert_eq!(relay.heard(at(1_100), B).unwrap().packets, 0);
        relay.hold(B, true);
        relay.shape(A, Shape::Opaque);
        assert!(relay.heard(now, B).unwrap().held && relay.heard(now, A).unwrap().opaque);
        assert_eq!(relay.heard(now, PairId(9)), None);
        let counted = relay.release(A);
        let quality = counted.first.quality.unwrap();
        assert_eq!((quality.missing, quality.packets, counted.second.quality), (5, 45, None));
    }
}
