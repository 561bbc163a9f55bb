//! What relaying and measuring a packet costs. Printed, never asserted: `cargo bench -p media --bench relay`; a number makes it relay so
//! many packets and nothing else, for `valgrind --tool=callgrind`.
#![allow(clippy::expect_used, clippy::disallowed_methods)]

use media::{Component, Forward, Packet, PairId, Peer, Relay, rtp};
use model::{Instant, Span};
use std::net::SocketAddr;

/// Calls, each with a side that speaks and one that does too.
const CALLS: u32 = 500;
const PACKETS: u32 = 5_000_000;
const ROUNDS: usize = 5;

struct Bench {
    relay: Relay,
    now: Instant,
    packet: [u8; 172],
    next: u32,
}

fn addr(side: u32) -> SocketAddr {
    SocketAddr::from(([10, 0, (side >> 8) as u8, side as u8], 4_000))
}

impl Bench {
    fn new() -> Self {
        let mut relay = Relay::new(2 * CALLS as usize);
        for call in 0..CALLS {
            relay.join(PairId(2 * call), PairId(2 * call + 1)).expect("free");
            for side in [2 * call, 2 * call + 1] {
                relay.expect(PairId(side), &Peer { rtp: addr(side), rtcp: None, mux: false });
            }
        }
        Self { relay, now: Instant::ZERO + Span::from_secs(1), packet: [0x2b; 172], next: 0 }
    }

    /// One packet of the next side: 20 ms of G.711 from each, in turn.
    fn relay(&mut self) -> bool {
        let (side, turn) = (self.next % (2 * CALLS), self.next / (2 * CALLS));
        let header = rtp::Header {
            marker: false,
            payload_type: 8,
            sequence: turn as u16,
            timestamp: turn.wrapping_mul(160),
            ssrc: side,
        };
        rtp::write(self.packet.first_chunk_mut().expect("a header"), &header);
        self.now += Span::from_micros(20);
        self.next = self.next.wrapping_add(1);
        let mut packet = Packet::whole(&mut self.packet);
        matches!(
            self.relay.forward(self.now, PairId(side), Component::Rtp, addr(side), &mut packet),
            Forward::Send { .. }
        )
    }
}

fn main() {
    let mut bench = Bench::new();
    let asked = std::env::args().skip(1).find_map(|word| word.parse::<u32>().ok());
    if let Some(packets) = asked {
        let sent = (0..packets).filter(|_| bench.relay()).count();
        println!("{sent} of {packets} packets relayed");
        return;
    }
    let rounds = (0..ROUNDS).map(|_| {
        let began = std::time::Instant::now();
        let sent = (0..PACKETS).filter(|_| bench.relay()).count();
        assert_eq!(sent, PACKETS as usize, "all are relayed");
        began.elapsed().as_nanos() as f64 / f64::from(PACKETS)
    });
    println!("{:.1} ns a packet, the making of it included", rounds.fold(f64::INFINITY, f64::min));
}
