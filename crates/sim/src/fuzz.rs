//! Bodies of the fuzz targets: the parser, and a whole shard on arbitrary inputs.
//!
//! They live here so that plain tests run them too, on seeded mutants. Refuses to know: who makes the bytes.

use crate::town::CONFIG;
use core::net::SocketAddr;
use edge::{Control, Input, Shard, ShardConfig, ShardLimits};
use media::{Component, PairId};
use model::{Instant, ListenId, Seq, ShardId, SocketId, Span, TransportFault, Wall};
use sip::{Flow, Message, Transport};
use std::sync::Arc;

/// Calls and transactions the fuzzed shard may hold.
const LIMITS: (usize, usize) = (32, 256);

/// The parser: never panics; what it accepts, it keeps byte for byte.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn parse(bytes: &[u8]) {
    let scanned = sip::scan(bytes);
    let Ok(message) = Message::parse(bytes.to_vec()) else { return };
    assert_eq!(message.bytes(), &bytes[..message.bytes().len()], "accepted bytes are kept");
    assert!(scanned.is_some(), "what parses can be steered");
    let again = Message::parse(message.bytes().to_vec());
    assert!(again.is_ok_and(|again| again.bytes() == message.bytes()), "parse ∘ write = id");
    if let Ok(sdp) = media::sdp::Sdp::parse(message.body()) {
        assert!(sdp.streams().len() <= 64, "streams are limited");
    }
}

/// A whole shard: the bytes are a script of inputs. Never panics, never holds more than its limits, and says nothing
/// that is not SIP.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn shard(script: &[u8]) {
    run(script);
}

/// Runs the script; the most calls that the shard held.
#[allow(clippy::panic, reason = "a fuzz body that cannot begin has found a fault")]
fn run(script: &[u8]) -> u64 {
    let Ok(settings) = crate::variety::Variety::plain().settings(true, None) else {
        panic!("the simulator's configuration compiles:\n{CONFIG}")
    };
    let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
    let limits = ShardLimits { calls: LIMITS.0, transactions: LIMITS.1, pairs: 64, probes: 8 };
    let config = ShardConfig { shard: ShardId(0), shards: 1, node: 1, key: 7, seed: 7, limits };
    let mut shard = Shard::new(&config, Arc::clone(control.snapshot()));
    for listen in 0..2u16 {
        let rtp = |n: u16| SocketAddr::from(([10, 0, listen as u8, 1], 20_000 + 2 * n));
        let pairs = (0..16).map(|n| (PairId(u32::from(listen) * 16 + u32::from(n)), rtp(n))).collect();
        shard.handle(Instant::ZERO, Input::Ports { listen: ListenId(listen), pairs });
    }
    let mut now = Instant::ZERO;
    let (mut rest, mut most) = (script, 0);
    while let [kind, length, tail @ ..] = rest {
        let (chunk, next) = tail.split_at(usize::from(*length).saturating_mul(8).min(tail.len()));
        rest = next;
        now += Span::from_millis(u64::from(*kind) * 4);
        step(&mut shard, now, *kind, chunk);
        most = most.max(drain(&mut shard));
    }
    shard.handle(now + Span::from_secs(7_200 * 12), Input::Tick);
    most.max(drain(&mut shard))
}

fn step(shard: &mut Shard, now: Instant, kind: u8, chunk: &[u8]) {
    // Mostly from the PBX and a carrier, so that more than admission is reached.
    let (socket, peer) = match kind % 3 {
        0 => (SocketId(0), SocketAddr::from(([10, 0, 0, 20], 5060))),
        1 => (SocketId(1), SocketAddr::from(([10, 0, 1, 31], 5060))),
        _ => (SocketId(0), SocketAddr::from(([192, 0, 2, 9], 5060))),
    };
    match kind % 8 {
        0 => shard.handle(now, Input::Tick),
        1 => {
            let fault = TransportFault::PortUnreachable;
            shard.handle(now, Input::Undeliverable { socket, peer, sent: chunk, fault });
        }
        2 => {
            let mut packet = chunk.to_vec();
            let component = if chunk.len().is_multiple_of(2) { Component::Rtp } else { Component::Rtcp };
            // Any verdict will do; that it is reached without harm is the point.
            let _verdict = shard.relay(now, PairId(u32::from(kind)), component, peer, &mut packet);
        }
        3 => shard.handle(now, Input::Look { ticket: u64::from(kind), call: None }),
        _ => {
            let flow = Flow { socket, peer, transport: Transport::Udp };
            shard.handle(now, Input::Datagram { flow, bytes: chunk });
        }
    }
}

/// Takes what it says; the calls it holds.
fn drain(shard: &mut Shard) -> u64 {
    while let Some(output) = shard.poll() {
        if let edge::Output::Datagram(transmit) = output {
            // The answer to what cannot be read quotes it, faults and all.
            let refusals: [&[u8]; 2] = [b"SIP/2.0 4", b"SIP/2.0 505"];
            let quotes = refusals.iter().any(|start| transmit.bytes.starts_with(start));
            let sent = Message::parse(transmit.bytes.clone());
            assert!(quotes || sent.is_ok(), "{sent:?}: {}", transmit.bytes.escape_ascii());
        }
    }
    let view = shard.view();
    assert!(view.calls <= LIMITS.0 as u64 && view.transactions <= LIMITS.1 as u64, "limits hold: {view:?}");
    view.calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Rng;

    /// With some bytes behind the body, which a datagram may have (RFC 3261 §18.3): a script cuts to eights.
    fn invite() -> String {
        let body =
            "v=0\r\no=- 1 1 IN IP4 10.0.0.20\r\ns=-\r\nc=IN IP4 10.0.0.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
        format!(
            "INVITE sip:+4722334455@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.20:5060;branch=z9hG4bK1\r\n\
             From: <sip:a@10.0.0.20>;tag=1\r\nTo: <sip:b@10.0.0.1>\r\nCall-ID: fuzz\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@10.0.0.20>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}        ",
            body.len()
        )
    }

    fn mutant(rng: &mut Rng) -> Vec<u8> {
        if rng.below(16) == 0 {
            return (0..rng.below(600)).map(|_| rng.next_u64() as u8).collect();
        }
        let methods = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE"];
        // Every other one is an INVITE, since nothing else begins anything.
        let method = if rng.below(2) == 0 { "INVITE" } else { methods[rng.below(6) as usize] };
        let mut text = invite().replace("INVITE", method).replace("fuzz", &format!("fuzz{}", rng.below(4)));
        if rng.below(2) == 0 {
            text = text.replace("bK1", &format!("bK{}", rng.below(99)));
        }
        let mut bytes = text.into_bytes();
        for _ in 0..rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        bytes
    }

    #[test]
    fn the_parser_takes_any_bytes() {
        let mut rng = Rng::new(11);
        assert!(Message::parse(invite().into_bytes()).is_ok(), "what is mutated is well formed");
        parse(invite().as_bytes());
        for _ in 0..20_000 {
            parse(&mutant(&mut rng));
        }
    }

    #[test]
    fn a_shard_takes_any_inputs() {
        let mut busy = 0;
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut script = Vec::new();
            for _ in 0..40 {
                let bytes = mutant(&mut rng);
                script.push(rng.next_u64() as u8);
                script.push((bytes.len() / 8) as u8);
                script.extend(&bytes[..bytes.len() / 8 * 8]);
            }
            busy += u32::from(run(&script) > 0);
        }
        assert!(busy > 100, "{busy} of 200 scripts get calls through: the others test the parser again");
    }
}
