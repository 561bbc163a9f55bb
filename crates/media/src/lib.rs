//! Media: SDP, RTP and RTCP, SRTP, the latch, the anchor and its relay; codecs; tones for agents.
//!
//! The relay touches a packet without allocating, locking or looking anything up by name. Refuses to know: SIP, sockets,
//! clocks, what a call is.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod agenda;
mod anchor;
mod arrival;
pub mod codec;
mod comfort;
mod digit;
pub mod dtls;
pub mod dtmf;
mod keying;
mod latch;
mod outbox;
mod outgo;
mod packet;
pub mod player;
pub mod quality;
pub mod recording;
mod relay;
mod reports;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod speech;
pub mod srtp;
pub mod stun;
pub mod tone;
mod treatment;
mod watch;
pub mod xr;

pub use anchor::{AnchorCounters, Shape, SideCounters};
pub use codec::g711;
pub use digit::Digit;
pub use keying::Keying;
pub use latch::Latch;
pub use outbox::Made;
pub use packet::{NoRoom, Packet};
pub use relay::{
    Blocked, Component, Counters, Dropped, Forward, MediaEvent, NotDialled, NotFree, PairId, Peer, Presence, Relay,
    TooMany, Unshaken,
};
pub use speech::{Codec, Digits, Format, Speech};
pub use treatment::Unsupported;
pub use watch::Heard;
