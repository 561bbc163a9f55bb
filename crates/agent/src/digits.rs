//! Digits of a call: those it presses, as events beside its sound or by INFO, and those that it was told of.
//!
//! While a key is down events take the place of sound, in the same stream (RFC 4733 §2.5.1.1). Refuses to know: requests and responses.

use crate::offer::EVENTS;
use alloc::vec::Vec;
use media::dtmf::Told;
use media::dtmf::telephone_event::{Block, Receiver};
use media::{Digit, rtp};
use model::{Instant, Span};

/// Ticks in a second of the events' clock, that of G.711.
const CLOCK: u32 = 8_000;
/// Ticks in a packet.
const STEP: u16 = 160;
/// Packets while a key is down, and packets that say that it is let go (RFC 4733 §2.5.1.4).
const DOWN: u16 = 5;
const ENDS: u16 = 3;
/// Power that is said, in dBm0 without the minus.
const VOLUME: u8 = 10;
/// Digits that are remembered of a call; those that come later are not.
const KEPT: usize = 64;

/// By which way a digit is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitWay {
    /// As a telephone-event beside the sound (RFC 4733).
    Event,
    /// By an INFO request with `application/dtmf-relay`.
    Info,
}

/// A key that is pressed in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPress {
    /// So long after the answer.
    pub after: Span,
    /// Which.
    pub digit: Digit,
    /// How it is told.
    pub way: DigitWay,
}

/// The digits of one call.
#[derive(Clone, Debug)]
pub(crate) struct Digits {
    /// Number of events where they are sent to, as the peer has described them.
    pub(crate) event_type: Option<u8>,
    pub(crate) heard: Vec<(Digit, DigitWay)>,
    receiver: Receiver,
    pressed: Option<Pressed>,
}

/// A key that is down, or whose end is being said.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    digit: Digit,
    /// Timestamp of its first packet: that of all of them.
    timestamp: Option<u32>,
    packets: u16,
}

impl Digits {
    pub(crate) fn new() -> Self {
        Self { event_type: None, heard: Vec::new(), receiver: Receiver::new(CLOCK), pressed: None }
    }

    /// A key goes down.
    pub(crate) fn press(&mut self, digit: Digit) {
        self.pressed = Some(Pressed { digit, timestamp: None, packets: 0 });
    }

    /// What is sent in place of this packet of sound while a key is down; none when it is sent as it is.
    pub(crate) fn in_place_of(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (payload_type, header) = (self.event_type?, rtp::read(packet)?);
        let pressed = self.pressed.as_mut()?;
        let timestamp = *pressed.timestamp.get_or_insert(header.timestamp);
        let marker = pressed.packets == 0;
        pressed.packets += 1;
        let block = Block {
            code: pressed.digit.event(),
            end: pressed.packets > DOWN,
            volume: VOLUME,
            duration: pressed.packets.min(DOWN + 1) * STEP,
        };
        if pressed.packets >= DOWN + ENDS {
            self.pressed = None;
        }
        let mut head = [0; rtp::HEADER];
        rtp::write(&mut head, &rtp::Header { marker, payload_type, timestamp, ..header });
        Some([&head[..], &block.write()].concat())
    }

    /// A packet came; false when it is of no event.
    pub(crate) fn hear(&mut self, now: Instant, packet: &[u8]) -> bool {
        let Some(header) = rtp::read(packet).filter(|header| header.payload_type == EVENTS) else { return false };
        let Some(payload) = rtp::payload(packet) else { return true };
        let mut began = None;
        // One that says no digit is a flash, or too late.
        let _no_digit = self.receiver.take(now, &header, payload, &mut |told| {
            if let Told::Began { digit } = told {
                began = Some(digit);
            }
        });
        if let Some(digit) = began {
            self.told(digit, DigitWay::Event);
        }
        true
    }

    /// It was told of a digit.
    pub(crate) fn told(&mut self, digit: Digit, way: DigitWay) {
        if self.heard.len() < KEPT {
            self.heard.push((digit, way));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use media::player::ToneTalker;

    #[test]
    fn a_key_is_told_once_in_the_stream_of_the_sound_4733_2_5_1() {
        let (mut talker, mut digits, mut peer) = (ToneTalker::new(440, 7), Digits::new(), Digits::new());
        let five = Digit::of_key(b'5').unwrap();
        digits.press(five);
        assert_eq!(digits.in_place_of(&talker.next_packet()), None, "nobody has described events");
        digits.event_type = Some(EVENTS);
        let mut headers = Vec::new();
        for packet in 0..12u64 {
            let sound = talker.next_packet();
            let Some(event) = digits.in_place_of(&sound) else { continue };
            let (before, now) = (rtp::read(&sound).unwrap(), rtp::read(&event).unwrap());
            assert_eq!((before.sequence, before.ssrc), (now.sequence, now.ssrc), "the stream goes on");
            headers.push((now.timestamp, now.marker, event[13] >> 7));
            assert!(peer.hear(Instant::ZERO + Span::from_millis(20 * packet), &event));
        }
        assert_eq!(headers.len(), usize::from(DOWN + ENDS));
        assert!(headers.iter().all(|(timestamp, ..)| *timestamp == headers[0].0), "all of one event: {headers:?}");
        assert_eq!(headers.iter().filter(|(_, marker, _)| *marker).count(), 1);
        assert_eq!(headers.iter().filter(|(.., end)| *end == 1).count(), usize::from(ENDS));
        assert_eq!(peer.heard, [(five, DigitWay::Event)]);
        assert!(!peer.hear(Instant::ZERO, &talker.next_packet()), "sound is no event");
    }
}
