//! Sides whose packets are secured: what comes in is unprotected before anything of it is believed, what goes out is protected last.
//!
//! A packet latches, is counted and is heard only after its tag was found true; a stranger's costs one comparison of addresses, or one
//! tag. What the relay renumbers it has renumbered before it protects. Refuses to know: how keys came about.

use super::{Component, Dropped, Forward, PairId, Relay};
use crate::anchor::Side;
use crate::packet::Packet;
use crate::srtp::{Refused, Security};
use crate::{rtcp, rtp};
use alloc::boxed::Box;
use core::net::SocketAddr;
use model::Instant;

impl From<Refused> for Dropped {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Unauthentic => Self::Unauthentic,
            Refused::Replayed => Self::Replayed,
            Refused::NoKey => Self::NoKey,
        }
    }
}

impl Relay {
    /// What comes from `side` is unprotected and what goes to it protected from now on, or no longer. When it is secured already it goes
    /// on with the new keys: rollover counters stay, and a key that is told again goes on where it was (see [`Security::renew`]). Once
    /// it is said to be secured no more, none of the keys it had may be used again. Keys that come here end what a handshake was to give.
    pub fn secure(&mut self, side: PairId, security: Option<Box<Security>>) {
        let pending = security.as_deref().is_some_and(|security| !security.is_keyed());
        self.key(side, security);
        if let (false, Some(side)) = (pending, self.side(side)) {
            (side.shaking, side.shaken_with, side.unshaken) = (None, None, None);
            (side.report_shaking, side.report_security) = (None, None);
        }
    }

    /// As [`Relay::secure`], by keys of whatever kind.
    pub(super) fn key(&mut self, side: PairId, security: Option<Box<Security>>) {
        let Some(side) = self.side(side) else { return };
        match (&mut side.security, security) {
            (Some(old), Some(new)) => old.renew(*new),
            (old, new) => *old = new,
        }
    }

    /// Whether `side` is secured, and keys of both directions are there.
    pub fn is_secured(&self, side: PairId) -> bool {
        let side = self.sides.get(side.index()).and_then(Option::as_ref);
        side.and_then(|side| side.security.as_deref()).is_some_and(Security::is_keyed)
    }

    /// A packet of ours that leaves as it is: what answers a handshake.
    pub(super) fn give(&mut self, pair: PairId, component: Component, to: SocketAddr, packet: &[u8]) {
        if self.outbox.push(pair, component, to, packet).is_err() {
            self.counters.unsent += 1;
        }
    }

    /// Protects what goes to `out`, if it is to be; the verdict when it cannot be.
    #[inline]
    pub(super) fn seal(&mut self, out: PairId, packet: &mut Packet<'_>) -> Result<(), Forward> {
        let Some(security) = self.side(out).and_then(|side| side.security.as_mut()) else { return Ok(()) };
        seal(security, packet).map_err(|why| self.drop(why.into()))
    }

    /// As [`Relay::seal`], for a report that leaves by this port.
    pub(super) fn seal_report(
        &mut self,
        (out, component): (PairId, Component),
        packet: &mut Packet<'_>,
    ) -> Result<(), Forward> {
        let Some(side) = self.side(out).filter(|side| side.security.is_some()) else { return Ok(()) };
        let sealed = side.security_at(component).ok_or(Refused::NoKey).and_then(|keys| keys.protect_report(packet));
        sealed.map_err(|why| self.drop(why.into()))
    }

    /// Sends a packet that we have made: protected when its listener is secured.
    pub(super) fn make(&mut self, pair: PairId, component: Component, to: SocketAddr, packet: &[u8]) {
        let side = self.sides.get_mut(pair.index()).and_then(Option::as_mut);
        let secured = side.as_ref().is_some_and(|side| side.security.is_some());
        let pushed = match side.and_then(|side| side.security_at(component)) {
            // An empty datagram keeps a way open and says nothing.
            Some(security) if !packet.is_empty() => {
                self.outbox.push_changed(pair, component, to, packet, |packet| seal_made(security, packet))
            }
            None if secured => {
                self.counters.no_key += 1;
                return;
            }
            _ => self.outbox.push(pair, component, to, packet),
        };
        if pushed.is_err() {
            self.counters.unsent += 1;
        }
    }
}

#[inline]
fn seal(security: &mut Security, packet: &mut Packet<'_>) -> Result<(), Refused> {
    let header = rtp::read(packet.bytes()).ok_or(Refused::NoKey)?;
    security.protect(&header, packet)
}

fn seal_made(security: &mut Security, packet: &mut Packet<'_>) -> Result<(), Refused> {
    if rtcp::is_rtcp(packet.bytes()) { security.protect_report(packet) } else { seal(security, packet) }
}

impl Side {
    /// Whether an RTP packet is this side's. It is in the clear then.
    #[inline]
    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: SocketAddr,
        header: &rtp::Header,
        packet: &mut Packet<'_>,
    ) -> Result<(), Dropped> {
        if self.security.is_some() {
            return self.admit_secured(now, from, header, packet);
        }
        if self.latch.accepts(now, from, (header.ssrc, header.sequence)) {
            Ok(())
        } else {
            self.counters.refused += 1;
            Err(Dropped::ThirdParty)
        }
    }

    fn admit_secured(
        &mut self,
        now: Instant,
        from: SocketAddr,
        header: &rtp::Header,
        packet: &mut Packet<'_>,
    ) -> Result<(), Dropped> {
        let Some(security) = self.security.as_mut() else { return Err(Dropped::NoKey) };
        // What the latch would make of it, before it is known to be true.
        let mut latch = self.latch.clone();
        let accepted = latch.accepts(now, from, (header.ssrc, header.sequence));
        if !accepted && latch == self.latch {
            self.counters.refused += 1;
            return Err(Dropped::ThirdParty);
        }
        if let Err(why) = security.unprotect(header, packet) {
            self.counters.refused += 1;
            return Err(why.into());
        }
        self.latch = latch;
        if accepted {
            Ok(())
        } else {
            self.counters.refused += 1;
            Err(Dropped::ThirdParty)
        }
    }

    /// What protects packets at this port. Keys of a handshake are for the port that it was made by (RFC 5764 §4.1), those of a description
    /// for both.
    fn security_at(&mut self, component: Component) -> Option<&mut Security> {
        let apart = component == Component::Rtcp && (self.shaking.is_some() || self.shaken_with.is_some());
        if apart { self.report_security.as_deref_mut() } else { self.security.as_deref_mut() }
    }

    /// Whether a report is this side's. It is in the clear then.
    pub(super) fn admit_report(
        &mut self,
        from: SocketAddr,
        own_port: bool,
        packet: &mut Packet<'_>,
    ) -> Result<(), Dropped> {
        if self.security.is_none() {
            if self.reports(from, own_port) {
                return Ok(());
            }
            self.counters.refused += 1;
            return Err(Dropped::ThirdParty);
        }
        let (latch, heard) = (self.latch.clone(), self.rtcp_heard);
        let reports = self.reports(from, own_port);
        let component = if own_port { Component::Rtcp } else { Component::Rtp };
        let unprotected = match self.security_at(component) {
            _ if !reports => Err(Dropped::ThirdParty),
            Some(security) => security.unprotect_report(packet).map_err(Dropped::from),
            None => Err(Dropped::NoKey),
        };
        let whole = unprotected.and_then(|()| rtcp::is_rtcp(packet.bytes()).then_some(()).ok_or(Dropped::NotRtp));
        if whole.is_err() {
            (self.latch, self.rtcp_heard) = (latch, heard);
            self.counters.refused += 1;
        }
        whole
    }
}
