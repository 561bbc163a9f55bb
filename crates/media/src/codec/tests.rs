//! Packets into packets: order, loss, pauses, lengths, noise; and every codec into every other.

mod order;
mod pairs;
pub(super) mod signal;

use super::*;
use crate::rtp::Header;
use crate::speech::Format;
use model::{Instant, Span};
use std::vec::Vec;

/// Payload type of comfort noise (RFC 3551 §6).
const NOISE: u8 = 13;

/// A format as its side would name it.
fn format(codec: Codec, packet_ms: u8) -> Format {
    let payload_type = codec.fixed_payload_type().unwrap_or(if codec == Codec::Opus { 111 } else { 97 });
    Format { codec, payload_type, clock: codec.clock().unwrap_or(16_000), packet_ms }
}

/// A packet on its way.
#[derive(Clone, Debug)]
struct Packet {
    header: Header,
    payload: Vec<u8>,
}

/// A packetizer's packets of some sound, given to it in pieces of this many samples.
fn packets(packetizer: &mut Packetizer, sound: &[i16], piece: usize) -> Vec<Packet> {
    let mut made = Vec::new();
    for (n, samples) in sound.chunks(piece).enumerate() {
        let mut samples = samples.to_vec();
        let sound = Sound { at: (n * piece) as u64, samples: &mut samples, origin: Origin::Spoken };
        packetizer.put(&sound, &mut |packet| keep(&mut made, &packet));
    }
    made
}

/// With the numbers that a relay would give.
fn keep(made: &mut Vec<Packet>, packet: &Encoded<'_>) {
    let (marker, payload_type) = (packet.marker, packet.payload_type);
    let sequence = made.last().map_or(65_500, |last| last.header.sequence.wrapping_add(1));
    let timestamp = packet.timestamp.wrapping_add(u32::MAX - 1_000);
    let header = Header { marker, payload_type, sequence, timestamp, ssrc: 7 };
    made.push(Packet { header, payload: packet.payload.to_vec() });
}

/// What was heard: pieces with their place and origin.
type Heard = Vec<(u64, Origin, Vec<i16>)>;

/// What a depacketizer makes of packets that come each after 20 ms.
fn hear(depacketizer: &mut Depacketizer, packets: &[Packet]) -> Heard {
    let mut heard = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        let now = Instant::ZERO + Span::from_millis(20 * n as u64);
        take(depacketizer, now, packet, &mut heard);
    }
    heard
}

fn take(depacketizer: &mut Depacketizer, now: Instant, packet: &Packet, heard: &mut Heard) {
    depacketizer.take(now, &packet.header, &packet.payload, &mut |sound: Sound<'_>| {
        heard.push((sound.at, sound.origin, sound.samples.to_vec()));
    });
}

/// All of it in one line, pauses as silence.
fn line(heard: &Heard) -> Vec<i16> {
    let mut line = Vec::new();
    for (at, _, samples) in heard {
        assert!(*at >= line.len() as u64, "sound never goes back");
        line.resize(*at as usize, 0);
        line.extend_from_slice(samples);
    }
    line
}
