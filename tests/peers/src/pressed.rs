//! How long keys were pressed, as the peer that was pressed has told it: by events, by INFO, or by tones.
//!
//! Under load a PBX presses longer than it was asked to; what it has sent is the truth that what arrives is held to. Refuses to know: which
//! keys they were, and what has become of them.

use crate::wire::{Wire, frame};
use media::rtp;
use media::tone::is_loud;
use std::collections::BTreeMap;

/// The payload type that the peers here give to events.
const EVENTS: u8 = 101;
/// Ticks of a millisecond, of events and of A-law.
const TICKS_MS: u32 = 8;

/// How a peer tells of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// RFC 4733.
    Events,
    /// RFC 6086, application/dtmf-relay.
    Info,
    /// In the sound.
    Tones,
}

/// Milliseconds of each key that was told of in a capture, in order; behind those told by tones, of other tones.
pub fn pressed(wire: &Wire, by: By) -> Vec<u32> {
    let packets = wire.packets();
    match by {
        By::Events => events(&packets),
        By::Info => infos(&packets),
        By::Tones => tones(&packets),
    }
}

/// Each event says its length at its end, three times under one timestamp (RFC 4733 §2.5.1.4).
fn events(packets: &[Vec<u8>]) -> Vec<u32> {
    let mut lengths = BTreeMap::new();
    for packet in packets {
        let header = rtp::read(packet).filter(|header| header.payload_type == EVENTS);
        if let (Some(header), Some([_, flags, high, low])) = (header, rtp::payload(packet))
            && flags & 0x80 != 0
        {
            lengths.insert(header.timestamp, u32::from(u16::from_be_bytes([*high, *low])) / TICKS_MS);
        }
    }
    lengths.into_values().collect()
}

/// One that is sent again has its CSeq.
fn infos(packets: &[Vec<u8>]) -> Vec<u32> {
    let mut lengths = BTreeMap::new();
    for packet in packets.iter().filter(|packet| packet.starts_with(b"INFO ")) {
        let text = String::from_utf8_lossy(packet);
        let number = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().split(' ').next()?.parse::<u32>().ok()
        };
        if let (Some(sequence), Some(ms)) = (number("CSeq:"), number("Duration=")) {
            lengths.insert(sequence, ms);
        }
    }
    lengths.into_values().collect()
}

/// Loud frames that follow each other.
fn tones(packets: &[Vec<u8>]) -> Vec<u32> {
    let mut lengths = Vec::new();
    let mut next = None;
    for packet in packets {
        let (Some(header), Some(frame)) = (rtp::read(packet), frame(packet)) else { continue };
        if !is_loud(&frame) {
            continue;
        }
        match lengths.last_mut() {
            Some(length) if next == Some(header.timestamp) => *length += 20,
            _ => lengths.push(20),
        }
        next = Some(header.timestamp.wrapping_add(frame.len() as u32));
    }
    lengths
}
