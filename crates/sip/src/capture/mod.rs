//! What was said on the wire, kept for a while and written so that others can read it: a ring bounded in bytes, files of pcap, packets of HEP3.
//!
//! It is kept as it was said, and masked whenever it leaves. Refuses to know: sockets, files, what a call is.

pub mod hep;
mod mask;
pub mod pcap;
mod ring;

use mask::mask;
pub use ring::Ring;

use crate::Transport;
use alloc::vec::Vec;
use core::net::SocketAddr;
use model::{Instant, Wall};

/// One message that has passed between the edge and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed<B> {
    /// When.
    pub at: Instant,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// By what.
    pub transport: Transport,
    /// The message.
    pub bytes: B,
}

impl Passed<&[u8]> {
    /// The same, for longer than what it was read from.
    pub fn to_owned(self) -> Passed<Vec<u8>> {
        let Self { at, from, to, transport, bytes } = self;
        Passed { at, from, to, transport, bytes: bytes.to_vec() }
    }
}

/// Seconds since 1970, which fit until 2106, and the microseconds beyond, of an instant where `zero` is the time at which instants began.
fn civil(zero: Wall, at: Instant) -> (u32, u32) {
    let micros = zero.as_micros().saturating_add_unsigned(at.as_micros());
    let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or_default();
    (seconds, micros.rem_euclid(1_000_000) as u32)
}
