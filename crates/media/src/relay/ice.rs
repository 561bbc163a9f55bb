//! Sides that speak ICE: their checks are answered here and tell where the side is.
//!
//! Refuses to know: what a check looks like.

use super::{Component, Dropped, Forward, PairId, Relay};
use crate::packet::Packet;
use crate::stun::IceLite;
use alloc::boxed::Box;
use core::net::SocketAddr;
use model::Instant;

impl Relay {
    /// Checks of `side` are answered from now on, or no longer. Another one than before is a restart.
    pub fn ice(&mut self, side: PairId, ice: Option<Box<IceLite>>) {
        if let Some(side) = self.side(side) {
            side.ice = ice;
        }
    }

    /// What `side` told of itself by ICE, to be changed: the name of its peer becomes known by an answer.
    pub fn ice_of(&mut self, side: PairId) -> Option<&mut IceLite> {
        self.side(side)?.ice.as_deref_mut()
    }

    /// The peer of `side` has proven to be there: media goes to it, and its packets are heard. By a handshake whose certificate is the one
    /// that its description names, as by a check.
    pub fn prove(&mut self, now: Instant, side: PairId, at: SocketAddr) {
        if let Some(side) = self.side(side) {
            side.latch.prove(now, at);
        }
    }

    /// Answers a check in its place.
    #[cold]
    pub(super) fn check(&mut self, now: Instant, pair: PairId, from: SocketAddr, packet: &mut Packet<'_>) -> Forward {
        let Some(side) = self.side(pair) else { return self.drop(Dropped::NoAnchor) };
        let Some(ice) = side.ice.as_mut() else { return self.drop(Dropped::NotRtp) };
        let Ok(checked) = ice.check(now, from, packet) else { return self.drop(Dropped::BadCheck) };
        if checked.select || !side.latch.is_latched() {
            side.latch.prove(now, from);
        }
        self.counters.checks += 1;
        Forward::Send { pair, component: Component::Rtp, to: from }
    }
}
