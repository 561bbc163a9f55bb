//! SRTP and SRTCP of one side (RFC 3711; suites of RFC 4568, 6188, 7714): in place, nothing allocated, nothing believed before it
//! is authentic.
//!
//! A [`Security`] is what the edge shares with one peer: keys to hear it by, keys to speak to it by. It is made of master keys that
//! came in SDP ([`sdes`]) or out of a DTLS handshake (RFC 5764), it is renewed when they change, and it goes on unchanged when they
//! are told again. Refuses to know: who the peer is, how the keys came about, addresses.

mod derive;
mod inbound;
mod key;
mod outbound;
pub mod sdes;
mod secrets;
mod session;
mod suite;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod window;

use crate::packet::Packet;
use crate::rtp;
use inbound::Inbound;
pub use key::{MasterKey, WrongLength};
use outbound::Outbound;
pub use secrets::Secrets;
pub use suite::Suite;

/// Why a packet was not unprotected or not protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Its tag is not one that our peer could have made: forged, damaged, or of other keys.
    Unauthentic,
    /// It was here before, or is too old to know. Outwards: its numbers have been used, and a keystream is never used twice.
    Replayed,
    /// There are no keys yet, or they may protect no more (RFC 3711 §9.2).
    NoKey,
}

/// What is shared with one peer.
#[derive(Debug, Default)]
pub struct Security {
    inbound: Option<Inbound>,
    outbound: Option<Outbound>,
}

impl Security {
    /// Keys are to come: until then nothing passes either way.
    pub const fn pending() -> Self {
        Self { inbound: None, outbound: None }
    }

    /// With the keys of both.
    pub fn new(suite: Suite, theirs: &MasterKey, ours: &MasterKey) -> Self {
        Self { inbound: Some(Inbound::new(suite, theirs)), outbound: Some(Outbound::new(suite, ours)) }
    }

    /// Keys of both are there.
    pub const fn is_keyed(&self) -> bool {
        self.inbound.is_some() && self.outbound.is_some()
    }

    /// Goes on with other keys. A direction whose key is told again goes on as if nothing had been said, since its key must not be
    /// used from the start once more. One with a new key keeps its rollover counters (RFC 3711 §3.3.1: a new key does not reset them).
    pub fn renew(&mut self, new: Self) {
        match (&mut self.inbound, new.inbound) {
            (Some(old), Some(new)) => old.renew(new),
            (old @ None, new) => *old = new,
            (Some(_), None) => {}
        }
        match (&mut self.outbound, new.outbound) {
            (Some(old), Some(new)) => old.renew(new),
            (old @ None, new) => *old = new,
            (Some(_), None) => {}
        }
    }

    /// Makes RTP in the clear of what came in.
    ///
    /// # Errors
    /// It is not authentic, was here before, or there are no keys. Nothing but the packet's bytes has changed then.
    #[inline]
    pub fn unprotect(&mut self, header: &rtp::Header, packet: &mut Packet<'_>) -> Result<(), Refused> {
        self.inbound.as_mut().ok_or(Refused::NoKey)?.unprotect(header, packet)
    }

    /// Makes SRTP of what goes out.
    ///
    /// # Errors
    /// Its numbers were used before, there are no keys, or there is no room for the tag.
    #[inline]
    pub fn protect(&mut self, header: &rtp::Header, packet: &mut Packet<'_>) -> Result<(), Refused> {
        self.outbound.as_mut().ok_or(Refused::NoKey)?.protect(header, packet)
    }

    /// Makes RTCP in the clear of what came in.
    ///
    /// # Errors
    /// As [`Security::unprotect`].
    pub fn unprotect_report(&mut self, packet: &mut Packet<'_>) -> Result<(), Refused> {
        self.inbound.as_mut().ok_or(Refused::NoKey)?.unprotect_report(packet)
    }

    /// Makes SRTCP of what goes out.
    ///
    /// # Errors
    /// As [`Security::protect`].
    pub fn protect_report(&mut self, packet: &mut Packet<'_>) -> Result<(), Refused> {
        self.outbound.as_mut().ok_or(Refused::NoKey)?.protect_report(packet)
    }
}
