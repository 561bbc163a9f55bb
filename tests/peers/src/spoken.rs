//! What a caller says, as a capture for SIPp to play: A-law sound, and digits as telephone-events (RFC 4733).
//!
//! It is written by hand, packet by packet, so that a test knows what was said to the millisecond. Refuses to know: addresses, for SIPp puts
//! in its own.

use media::dtmf::telephone_event::Block;
use media::tone::{FRAME, Generator};
use media::{Digit, g711, rtp};
use std::time::Duration;

/// Packets of so many milliseconds.
const PACKET_MS: u32 = 20;
/// The payload types that SIPp's callers describe.
const SOUND: u8 = 8;
const EVENTS: u8 = 101;
/// Before the audio in each packet: Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;

/// What is said, so far.
#[derive(Debug, Default)]
pub struct Spoken {
    capture: Vec<u8>,
    packets: u16,
    frames: u32,
}

impl Spoken {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { capture: file_head(), ..Self::default() }
    }

    /// A tone; 0 Hz is silence.
    pub fn tone(mut self, hz: u16, ms: u32) -> Self {
        let mut generator = Generator::new(hz);
        for _ in 0..ms / PACKET_MS {
            let sound = generator.frame().map(g711::encode_a);
            let timestamp = self.frames * FRAME as u32;
            self.packet(SOUND, false, timestamp, &sound);
            self.frames += 1;
        }
        self
    }

    /// Keys one after the other, each pressed for so long and followed by silence: while one is, there is no sound.
    pub fn keys(mut self, keys: &str, ms: u32, gap_ms: u32) -> Self {
        for key in keys.bytes() {
            let code = Digit::of_key(key).expect("a key of a telephone").event();
            let (timestamp, updates) = (self.frames * FRAME as u32, ms / PACKET_MS);
            for update in 1..=updates {
                let end = update == updates;
                let duration = (update as usize * FRAME) as u16;
                // Its end is said three times (RFC 4733 §2.5.1.4).
                for _ in 0..if end { 3 } else { 1 } {
                    let block = Block { code, end, volume: 10, duration };
                    self.packet(EVENTS, update == 1, timestamp, &block.write());
                }
                self.frames += 1;
            }
            self = self.tone(0, gap_ms);
        }
        self
    }

    /// The file.
    pub fn capture(self) -> Vec<u8> {
        self.capture
    }

    fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) {
        let mut head = [0; rtp::HEADER];
        rtp::write(&mut head, &rtp::Header { marker, payload_type, sequence: self.packets, timestamp, ssrc: 0x5157 });
        self.packets += 1;
        let (udp, ip) = (8 + head.len() + payload.len(), 28 + head.len() + payload.len());
        let mut packet = vec![0; HEADERS];
        packet[12..16].copy_from_slice(&[0x08, 0, 0x45, 0]);
        packet[16..18].copy_from_slice(&(ip as u16).to_be_bytes());
        packet[22..24].copy_from_slice(&[64, 17]);
        packet[38..40].copy_from_slice(&(udp as u16).to_be_bytes());
        packet.extend_from_slice(&head);
        packet.extend_from_slice(payload);
        let at = Duration::from_millis(u64::from(self.frames * PACKET_MS));
        let length = packet.len() as u32;
        for word in [at.as_secs() as u32, at.subsec_micros(), length, length] {
            self.capture.extend_from_slice(&word.to_le_bytes());
        }
        self.capture.extend_from_slice(&packet);
    }
}

/// Of a capture of Ethernet with microseconds, version 2.4.
fn file_head() -> Vec<u8> {
    let words: [u32; 6] = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, 1];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
