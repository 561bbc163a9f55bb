//! What was said on the wire, kept for a while and written so that others can read it: a ring bounded in bytes, files of pcap, packets of HEP3.
//!
//! It is kept as it was said, and masked whenever it leaves. Refuses to know: sockets, files, what a call is.

pub mod hep;
mod mask;
pub mod pcap;
mod ring;

pub use mask::mask;
pub use ring::Ring;

use crate::Transport;
use core::net::SocketAddr;
use model::Wall;

/// One message that has passed between the edge and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed<'a> {
    /// When.
    pub at: Wall,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// By what.
    pub transport: Transport,
    /// The message.
    pub bytes: &'a [u8],
}
