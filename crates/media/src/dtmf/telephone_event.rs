//! Digits as telephone-events beside the sound: RFC 4733.
//!
//! An event is known by its timestamp, and every packet of it says all there is to say of it so far: one that gets through is enough.
//! Refuses to know: sequence numbers, which payload type events have, what sound goes on meanwhile.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use crate::digit::Digit;
use model::Span;
pub use receiver::{Receiver, Refused};
pub use sender::{Event, QueueFull, Sender};

/// Bytes that say one event.
pub const LENGTH: usize = 4;
/// Longest duration one segment of an event may say (RFC 4733 §2.5.1.3).
const SEGMENT_MAX: u32 = 0xffff;

/// One event of a payload: RFC 4733 §2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its code: 0 to 15 are the digits.
    pub code: u8,
    /// It is over.
    pub end: bool,
    /// Its power, in dBm0 without the minus.
    pub volume: u8,
    /// How long it has lasted, in ticks.
    pub duration: u16,
}

impl Block {
    /// By its four bytes.
    pub const fn read(bytes: [u8; LENGTH]) -> Self {
        Self {
            code: bytes[0],
            end: bytes[1] & 0x80 != 0,
            volume: bytes[1] & 0x3f,
            duration: u16::from_be_bytes([bytes[2], bytes[3]]),
        }
    }

    /// Its four bytes.
    pub const fn write(self) -> [u8; LENGTH] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, (self.end as u8) << 7 | self.volume & 0x3f, high, low]
    }

    /// The digit it is of; none for a flash, a fax tone and the like.
    pub const fn digit(self) -> Option<Digit> {
        Digit::of_event(self.code)
    }
}

/// So many ticks, as time.
pub(crate) fn span(ticks: u32, clock: u32) -> Span {
    Span::from_micros(u64::from(ticks) * 1_000_000 / u64::from(clock.max(1)))
}

/// So much time, as ticks; as many as fit.
pub(crate) fn ticks(span: Span, clock: u32) -> u32 {
    u32::try_from(span.as_micros().saturating_mul(u64::from(clock)) / 1_000_000).unwrap_or(u32::MAX)
}
