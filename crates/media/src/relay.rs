//! The relay table of one shard: what comes in at a pair of ports leaves by the pair it is joined to.
//!
//! `forward` is the path every packet takes: an index into a table, a comparison of addresses, no allocation, no lock, no hash.
//! What the relay makes itself, by time or out of a packet, waits in an outbox of fixed size. Refuses to know: sockets, calls.

mod counters;
mod handshake;
mod ice;
mod interwork;
mod keepalive;
mod listening;
mod presence;
mod repoint;
mod reporting;
mod secured;
mod succession;
#[cfg(test)]
mod tests;

use crate::agenda::{Agenda, Task};
use crate::anchor::{AnchorCounters, Shape, Side};
use crate::codec::NoCodec;
use crate::comfort::Comfort;
use crate::keying::Keying;
use crate::outbox::{Made, Outbox};
use crate::packet::Packet;
use crate::recording::Recording;
use crate::speech::Format;
use crate::{rtcp, rtp, stun};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
pub use counters::Counters;
pub(crate) use handshake::Shaking;
pub use handshake::{TooMany, Unshaken};
use interwork::Interworking;
pub use interwork::{MediaEvent, NotDialled};
use model::{Instant, Span};
pub use presence::Presence;

/// A pair of local ports, RTP and RTCP: its place in the tables of relay and node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairId(pub u32);

impl PairId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which port of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// The even one.
    Rtp,
    /// One above it.
    Rtcp,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// It leaves.
    Send {
        /// By this pair.
        pair: PairId,
        /// By this port of it.
        component: Component,
        /// To this address.
        to: SocketAddr,
    },
    /// Nothing of it goes on as it is: what was made of it is to be had by [`Relay::poll_made`].
    Made,
    /// It is for us: whoever keeps the pair listens to it.
    Local,
    /// It does not, for this reason.
    Drop(Dropped),
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// No call uses the pair.
    NoAnchor,
    /// It is not the peer who speaks.
    ThirdParty,
    /// Neither RTP nor RTCP.
    NotRtp,
    /// The other side has not said where it listens.
    NoPeer,
    /// Early media that may not be heard.
    Gated,
    /// Of a secured side, and its tag is wrong.
    Unauthentic,
    /// Of a secured side, and it was here before.
    Replayed,
    /// Of a secured side or for one, and there is no key for it yet, or no more.
    NoKey,
    /// A check of ICE that is not authentic, or not understood.
    BadCheck,
    /// A drill blocks it.
    Drilled,
}

/// What a drill keeps from passing at one side, as a firewall would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Blocked {
    /// What it sends comes no further than here.
    pub from: bool,
    /// What it is sent leaves as far as anyone here can tell, and never arrives.
    pub to: bool,
}

/// Where a side wants its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP, when the SDP says; else one above RTP.
    pub rtcp: Option<SocketAddr>,
    /// RTCP on the RTP port (RFC 5761).
    pub mux: bool,
}

/// A pair is joined already, or beyond the table's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFree(pub PairId);

/// The relay table.
#[derive(Debug)]
pub struct Relay {
    /// Each of its own, so that what a call took is given back when it ends.
    sides: Vec<Option<Box<Side>>>,
    /// Pairs that are joined to none, and whose packets are for us; few.
    local: Vec<PairId>,
    limit: usize,
    agenda: Agenda,
    outbox: Outbox,
    interworking: Interworking,
    /// Room for the report that is being made.
    report: Vec<u8>,
    counters: Counters,
    /// Sides whose handshake is not over, some of them perhaps by now; few.
    unfinished: Vec<(PairId, Component)>,
    /// What keys are made with.
    pub(crate) keying: Option<Keying>,
}

impl Relay {
    /// For pairs numbered below `limit`.
    pub fn new(limit: usize) -> Self {
        Self {
            sides: Vec::new(),
            local: Vec::new(),
            limit,
            agenda: Agenda::default(),
            outbox: Outbox::new(),
            interworking: Interworking::default(),
            report: Vec::new(),
            counters: Counters::default(),
            unfinished: Vec::new(),
            keying: None,
        }
    }

    /// Joins two pairs: what comes in at one leaves by the other.
    ///
    /// # Errors
    /// One of them is joined already or numbered beyond the limit.
    pub fn join(&mut self, first: PairId, second: PairId) -> Result<(), NotFree> {
        for pair in [first, second] {
            if !self.is_free(pair) || first == second {
                return Err(NotFree(pair));
            }
        }
        let length = first.index().max(second.index()) + 1;
        if self.sides.len() < length {
            self.sides.resize_with(length, || None);
        }
        self.sides[first.index()] = Some(Box::new(Side::new(second)));
        self.sides[second.index()] = Some(Box::new(Side::new(first)));
        self.begin_to_keep_alive(first);
        self.begin_to_keep_alive(second);
        self.begin_to_report(first);
        self.begin_to_report(second);
        Ok(())
    }

    /// The SDP of `side` says where it wants its media. What is latched stays until the new address speaks.
    pub fn expect(&mut self, side: PairId, peer: &Peer) {
        if let Some(side) = self.side(side) {
            side.expect(peer.rtp, peer.rtcp, peer.mux);
        }
    }

    /// What the packets that come in at `side` are. Until it is said they are RTP in the clear.
    pub fn shape(&mut self, side: PairId, shape: Shape) {
        if let Some(side) = self.side(side) {
            side.shape = shape;
        }
    }

    /// Silence of `side` from here to its next packet is meant: a description has changed.
    pub fn pause(&mut self, side: PairId) {
        if let Some(side) = self.side(side) {
            side.pause();
        }
    }

    /// `side` is on hold, or no longer: what it sends meanwhile is relayed, its silence is no gap.
    pub fn hold(&mut self, side: PairId, on: bool) {
        if let Some(side) = self.side(side) {
            side.hold(on);
        }
    }

    /// What `side` sends is not to be heard, or is again: early media that its trunk may not give (RFC 5009 §4). It latches nothing
    /// meanwhile. Reports and handshakes pass, for they are no media.
    pub fn gate(&mut self, side: PairId, on: bool) {
        if let Some(side) = self.side(side) {
            side.gated = on;
        }
    }

    /// A drill blocks the audio of `side` from now on, or lets it pass again; reports are blocked with it, as by the port range they share.
    pub fn block(&mut self, side: PairId, blocked: Blocked) {
        if let Some(side) = self.side(side) {
            side.blocked = blocked;
        }
    }

    /// `side` hears the recording from now on, or comfort noise, in this format, until its other side is heard again. The stream it has
    /// heard so far goes on.
    ///
    /// # Errors
    /// The format cannot be made here: the side hears nothing.
    pub fn comfort(
        &mut self,
        now: Instant,
        side: PairId,
        format: &Format,
        recording: Option<&Recording>,
    ) -> Result<(), NoCodec> {
        self.outbox.make_room();
        let vocoders = self.interworking.vocoders();
        // What nobody here has the keys of cannot be spoken for.
        let Some(listener) = self.side(side).filter(|listener| listener.is_clear()) else { return Ok(()) };
        if listener.comfort.as_ref().is_some_and(|comfort| comfort.format() == format) {
            return Ok(());
        }
        // A source of its own; the listener knows it by the name of the stream it has heard.
        let ssrc = side.0.wrapping_mul(0x9e37_79b9) ^ now.as_micros() as u32;
        listener.comfort = Some(Comfort::new(now, format, recording, &*vocoders, ssrc)?);
        self.agenda.set(now, side, Task::Comfort);
        Ok(())
    }

    /// `side` hears nothing of ours any more.
    pub fn end_comfort(&mut self, side: PairId) {
        if let Some(listener) = self.side(side) {
            listener.comfort = None;
        }
    }

    /// How long nothing of `side` was relayed; `None` before its first packet and while silence is meant.
    pub fn silence(&self, now: Instant, side: PairId) -> Option<Span> {
        self.sides.get(side.index())?.as_ref()?.silence(now)
    }

    /// Ends an anchor and says what it counted.
    pub fn release(&mut self, first: PairId) -> AnchorCounters {
        let Some(side) = self.sides.get_mut(first.index()).and_then(Option::take) else {
            return AnchorCounters::default();
        };
        let other = self.sides.get_mut(side.peer.index()).and_then(Option::take);
        AnchorCounters {
            first: side.counted(other.as_deref()),
            second: other.as_ref().map(|other| other.counted(Some(&side))).unwrap_or_default(),
        }
    }

    /// What an anchor has counted so far.
    pub fn counted(&self, first: PairId) -> AnchorCounters {
        let side = |pair: PairId| self.sides.get(pair.index()).and_then(Option::as_deref);
        let second = side(first).and_then(|first| side(first.peer));
        let counters = |side: Option<&Side>, other| side.map(|side| side.counted(other)).unwrap_or_default();
        AnchorCounters { first: counters(side(first), second), second: counters(second, side(first)) }
    }

    /// From now on what comes in at `pair` is for us. Joined pairs pay nothing for it: it is asked only about a pair that is joined to
    /// none.
    ///
    /// # Errors
    /// The pair is joined or kept already, or beyond the limit.
    pub fn keep(&mut self, pair: PairId) -> Result<(), NotFree> {
        if !self.is_free(pair) {
            return Err(NotFree(pair));
        }
        self.local.push(pair);
        Ok(())
    }

    /// The opposite of [`Relay::keep`].
    pub fn let_go(&mut self, pair: PairId) {
        self.local.retain(|kept| *kept != pair);
    }

    fn is_free(&self, pair: PairId) -> bool {
        pair.index() < self.limit
            && self.sides.get(pair.index()).is_none_or(Option::is_none)
            && !self.local.contains(&pair)
    }

    /// A packet at a pair that is joined to none.
    #[cold]
    fn unjoined(&mut self, pair: PairId) -> Forward {
        if self.local.contains(&pair) {
            self.counters.local += 1;
            return Forward::Local;
        }
        self.drop(Dropped::NoAnchor)
    }

    /// Pairs that are joined.
    pub fn joined(&self) -> usize {
        self.sides.iter().flatten().count()
    }

    /// When `tick` is due: at once while there is something to be told.
    pub fn deadline(&self) -> Option<Instant> {
        if self.has_events() { Some(Instant::ZERO) } else { self.agenda.deadline() }
    }

    /// Does what is due by time; what it makes is to be had by [`Relay::poll_made`]. What there is no room for stays due: a tick follows
    /// once that is sent. Of one who has not asked for what was made before, it is lost, and counted.
    pub fn tick(&mut self, now: Instant) {
        let asked = self.outbox.is_empty();
        while (self.outbox.has_room() || !asked)
            && let Some((at, pair, task)) = self.agenda.due(now)
        {
            match task {
                Task::Comfort => self.give_comfort(now, at, pair),
                Task::KeepAlive => self.keep_alive(now, at, pair),
                Task::Treatment => self.tick_treatment(now, at, pair),
                Task::Handshake => self.shake_on(now, at, pair),
                Task::Report => self.report(now, at, pair),
            }
        }
    }

    /// The next packet that we have made and that is to be sent: ask until there is none, after each packet that was [`Forward::Made`]
    /// and after each tick.
    #[inline]
    pub fn poll_made(&mut self) -> Option<Made<'_>> {
        self.outbox.pop()
    }

    fn give_comfort(&mut self, now: Instant, at: Instant, pair: PairId) {
        let Some(listener) = self.side(pair) else { return };
        let (speaker, to) = (listener.peer, listener.latch.send_to());
        let Some(comfort) = listener.comfort.as_mut().filter(|comfort| comfort.due() == at) else { return };
        let packet = comfort.packet(now);
        let (due, clock) = (comfort.due(), comfort.format().clock);
        if let (Some(speaker), Some(to), Some(mut packet)) = (self.side(speaker), to, packet) {
            let packet = packet.bytes_mut();
            speaker.ticks_by(clock);
            speaker.stand_in(now, packet);
            self.counters.comfort += 1;
            self.make(pair, Component::Rtp, to, packet);
        }
        self.agenda.set(due, pair, Task::Comfort);
    }

    /// What was counted since the start.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// One packet that came in at `component` of `pair`. Changes it in place where it must be changed. Allocates nothing.
    #[inline]
    pub fn forward(
        &mut self,
        now: Instant,
        pair: PairId,
        component: Component,
        from: SocketAddr,
        packet: &mut Packet<'_>,
    ) -> Forward {
        match component {
            Component::Rtp => match rtp::read(packet.bytes()) {
                Some(header) => self.forward_rtp(now, pair, from, &header, packet),
                None => self.forward_other(now, pair, component, from, packet),
            },
            Component::Rtcp => self.forward_other(now, pair, component, from, packet),
        }
    }

    #[inline]
    fn forward_rtp(
        &mut self,
        now: Instant,
        pair: PairId,
        from: SocketAddr,
        header: &rtp::Header,
        packet: &mut Packet<'_>,
    ) -> Forward {
        let Some(Some(side)) = self.sides.get_mut(pair.index()) else { return self.unjoined(pair) };
        if side.gated || side.blocked.from {
            let why = if side.blocked.from { Dropped::Drilled } else { Dropped::Gated };
            return self.drop(why);
        }
        if side.shape == Shape::Opaque {
            return self.forward_opaque(now, pair, from);
        }
        if let Err(why) = side.admit(now, from, header, packet) {
            return self.drop(why);
        }
        let out = side.peer;
        let Some(Some(other)) = self.sides.get_mut(out.index()) else { return self.drop(Dropped::NoPeer) };
        // Whose voice is heard again needs nobody to stand in for it.
        other.comfort = None;
        let (sealed, lost) = (other.security.is_some(), other.blocked.to);
        let (Some(to), Some(Some(side))) = (other.latch.send_to(), self.sides.get_mut(pair.index())) else {
            return self.drop(Dropped::NoPeer);
        };
        let clear = side.is_clear();
        side.came(now, header, packet.bytes(), clear);
        if lost {
            // It has been heard, and is lost beyond us.
            return self.drop(Dropped::Drilled);
        }
        if clear {
            if side.treatment.is_some() {
                return self.treat(now, pair, header, packet, to);
            }
            side.passes(now, header, packet.bytes_mut());
        }
        if sealed && let Err(dropped) = self.seal(out, packet) {
            return dropped;
        }
        self.counters.relayed += 1;
        Forward::Send { pair: out, component: Component::Rtp, to }
    }

    /// RTCP on its own port or on that of RTP; DTLS; what no one needs to understand.
    fn forward_other(
        &mut self,
        now: Instant,
        pair: PairId,
        component: Component,
        from: SocketAddr,
        packet: &mut Packet<'_>,
    ) -> Forward {
        let Some(Some(side)) = self.sides.get_mut(pair.index()) else { return self.unjoined(pair) };
        if side.blocked.from {
            return self.drop(Dropped::Drilled);
        }
        if side.ice.is_some() && component == Component::Rtp && stun::is_stun(packet.bytes()) {
            return self.check(now, pair, from, packet);
        }
        if side.security.is_some() && is_handshake(packet.bytes()) {
            return self.handshake(now, (pair, component), from, packet);
        }
        let opaque = match side.shape {
            Shape::Rtp => false,
            // Handshakes of DTLS are told apart by their first byte (RFC 7983 §7).
            Shape::Srtp => is_handshake(packet.bytes()),
            Shape::Opaque => true,
        };
        if opaque && component == Component::Rtp {
            return self.forward_opaque(now, pair, from);
        }
        if !rtcp::is_rtcp(packet.bytes()) {
            return self.drop(Dropped::NotRtp);
        }
        if let Err(why) = side.admit_report(from, component == Component::Rtcp, packet) {
            return self.drop(why);
        }
        self.learn_from_report(now, pair, packet.bytes());
        if self.ends_reports(pair) {
            return self.end_report(now, pair);
        }
        self.forward_report(now, pair, packet)
    }

    fn forward_report(&mut self, now: Instant, pair: PairId, packet: &mut Packet<'_>) -> Forward {
        let Some(Some(side)) = self.sides.get(pair.index()) else { return self.drop(Dropped::NoAnchor) };
        let out = side.peer;
        let Some(Some(other)) = self.sides.get(out.index()) else { return self.drop(Dropped::NoPeer) };
        if other.blocked.to {
            return self.drop(Dropped::Drilled);
        }
        let Some((component, to)) = other.report_to(side) else { return self.drop(Dropped::NoPeer) };
        let (sender, heard) = (side.continuity.renamed(), other.continuity.renamed());
        if side.is_clear() && (sender.is_some() || heard.is_some() || side.latch.is_stale()) {
            rtcp::rename(packet.bytes_mut(), sender.as_ref(), heard.as_ref());
        }
        if let Err(dropped) = self.seal_report((out, component), packet) {
            return dropped;
        }
        if let Some(side) = self.side(pair) {
            side.counters.relayed_rtcp += 1;
            side.last_report = Some(now);
        }
        self.counters.relayed_rtcp += 1;
        Forward::Send { pair: out, component, to }
    }

    fn forward_opaque(&mut self, now: Instant, pair: PairId, from: SocketAddr) -> Forward {
        let Some(side) = self.side(pair) else { return self.drop(Dropped::NoAnchor) };
        if !side.latch.accepts_opaque(now, from) {
            side.counters.refused += 1;
            return self.drop(Dropped::ThirdParty);
        }
        let out = side.peer;
        let Some(to) = self.side(out).and_then(|other| other.latch.send_to()) else {
            return self.drop(Dropped::NoPeer);
        };
        if let Some(side) = self.side(pair) {
            side.counters.relayed += 1;
        }
        self.counters.relayed += 1;
        Forward::Send { pair: out, component: Component::Rtp, to }
    }

    fn side(&mut self, pair: PairId) -> Option<&mut Side> {
        self.sides.get_mut(pair.index()).and_then(Option::as_deref_mut)
    }

    fn drop(&mut self, why: Dropped) -> Forward {
        match why {
            Dropped::NoAnchor => self.counters.no_anchor += 1,
            Dropped::ThirdParty => self.counters.third_party += 1,
            Dropped::NotRtp => self.counters.not_rtp += 1,
            Dropped::NoPeer => self.counters.no_peer += 1,
            Dropped::Gated => self.counters.gated += 1,
            Dropped::Unauthentic => self.counters.unauthentic += 1,
            Dropped::Replayed => self.counters.replayed += 1,
            Dropped::NoKey => self.counters.no_key += 1,
            Dropped::BadCheck => self.counters.bad_checks += 1,
            Dropped::Drilled => self.counters.drilled += 1,
        }
        Forward::Drop(why)
    }
}

/// Whether the bytes are DTLS: by the first of them (RFC 7983 §7).
fn is_handshake(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| (20..=63).contains(first))
}
