//! SDP from one leg to the other: addresses and ports become ours, and the relay learns where each side listens.
//!
//! Ports are taken with the first description and kept for the whole call; when the next attempt leaves by another listen, only the
//! callee's side is exchanged, so that the caller's audio goes on. An attempt beside another one is offered ports of its own, joined to
//! nothing: what it sends is not heard until it takes the other's place. Refuses to know: which formats pass, what keys are.

use super::call::{Call, CalleeSide, Stream, Told};
use super::speech::{Says, adapted, policy_of};
use super::{B2bua, Side, World, body, locks};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use decide::Note;
use media::sdp::{Facing, Reach, Sdp};
use media::{PairId, Peer, Shape};
use model::{Instant, TrunkId};
use sip::Message;
use smallvec::SmallVec;

/// Streams that are anchored; a call of more is refused its rest.
const STREAMS_MAX: usize = 4;

/// Why a description could not be passed on; becomes the code for whoever sent it.
const NOT_ACCEPTABLE: u16 = 488;
const NO_PORTS: u16 = 503;

/// Why a callee is let go that has answered with audio of no use to the caller.
const MISFIT: &[u8] = b"SIP;cause=488;text=\"no codec in common\"";
/// Why one is let go that has answered without the security it was offered, or with some that it was not.
const NOT_SECURED: &[u8] = b"SIP;cause=488;text=\"audio is not secured as offered\"";

/// Why an attempt is not offered the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOffered {
    /// No media port is free on its listen.
    NoPorts,
    /// Its trunk and the caller have no codec in common, or the security that one of their trunks wants is not given.
    Unfit,
    /// Nobody can be offered it: the caller hears this code.
    Nonsense(u16),
}

/// Why a description could not be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotPassed {
    NoPorts,
    Unfit,
    Code(u16),
}

impl NotPassed {
    /// For whoever sent it.
    const fn code(self) -> u16 {
        match self {
            Self::NoPorts => NO_PORTS,
            Self::Unfit => NOT_ACCEPTABLE,
            Self::Code(code) => code,
        }
    }
}

impl B2bua {
    /// The offer for an attempt: the caller's, with our addresses on the callee's side.
    pub(super) fn offer(&mut self, world: &mut World<'_>, slot: usize, index: usize) -> Result<Vec<u8>, NotOffered> {
        let gone = NotOffered::Nonsense(500);
        let Some(call) = self.calls.get_mut(slot) else { return Err(gone) };
        let Some(trunk) = call.attempt(index).map(|attempt| attempt.target.trunk) else { return Err(gone) };
        // Audio is anchored when both sides have an address for it; once it is, that does not change any more.
        let callee = world.profiles.media_of(trunk);
        if call.audio.streams.is_empty() {
            call.audio.anchored = callee.is_some() && world.profiles.media_of(call.caller.trunk).is_some();
        }
        let is_front = index == call.front;
        if is_front && call.audio.anchored && call.audio.callee_listen != callee.map(|(listen, _)| listen) {
            exchange_callee_side(world, call)
                .ok_or(NotOffered::NoPorts)
                .inspect_err(|_| self.counters.no_ports += 1)?;
        }
        let Some(invite) = call.invite.take() else { return Err(gone) };
        let offer = self.rewritten(world, slot, (Side::Caller, index), Says::Offer, &invite);
        self.accept_offer(world, slot);
        if let Some(call) = self.calls.get_mut(slot) {
            if is_front {
                locks::start_over(world, call, index);
            }
            call.invite = Some(invite);
        }
        offer.map_err(|why| match why {
            NotPassed::NoPorts => NotOffered::NoPorts,
            NotPassed::Unfit => NotOffered::Unfit,
            NotPassed::Code(code) => NotOffered::Nonsense(code),
        })
    }

    /// The body that `from` sent, as the other side shall see it: its description with our addresses, the rest as it is. The relay
    /// learns at once where the writer listens.
    pub(super) fn bridge(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        from: Side,
        message: &Message,
    ) -> Result<Vec<u8>, u16> {
        let Some(call) = self.calls.get(slot) else { return Err(500) };
        let (front, says) = (call.front, call.audio.terms.what_says(from));
        let body = self.rewritten(world, slot, (from, front), says, message).map_err(NotPassed::code)?;
        self.accept_offer(world, slot);
        Ok(body)
    }

    /// The same for an offer inside a call, which may be refused: the relay learns of it by `accept_offer`.
    pub(super) fn bridge_offer(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        from: Side,
        message: &Message,
    ) -> Result<Vec<u8>, u16> {
        let front = self.calls.get(slot).map_or(0, |call| call.front);
        self.rewritten(world, slot, (from, front), Says::Offer, message).map_err(NotPassed::code)
    }

    /// The body for the other side; `attempt` is the one it goes to while the callee has no leg.
    fn rewritten(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        (from, attempt): (Side, usize),
        says: Says,
        message: &Message,
    ) -> Result<Vec<u8>, NotPassed> {
        let Some(call) = self.calls.get_mut(slot) else { return Err(NotPassed::Code(500)) };
        call.audio.offered = None;
        call.audio.terms.misfit = None;
        let body = message.body();
        let Some(place) = body::description(message) else {
            if says == Says::Offer {
                call.audio.terms.close();
            }
            return Ok(body.to_vec());
        };
        let text = &body[place.clone()];
        let ended = locks::are_ended(world, call, attempt);
        if ended && !call.audio.anchored {
            return Err(self.unfit(slot, says, NOT_SECURED));
        }
        if !call.audio.anchored {
            remember(call, from.other(), attempt, text.to_vec());
            return Ok(body.to_vec());
        }
        let bad = NotPassed::Code(NOT_ACCEPTABLE);
        let sdp = Sdp::parse(text).map_err(|_| bad).inspect_err(|_| self.counters.bad_sdp += 1)?;
        let streams = sdp.streams().len();
        for index in 0..streams.min(STREAMS_MAX) {
            let known = call.audio.streams.get(index).copied().flatten().is_some();
            if sdp.streams()[index].port != 0 && !known {
                let stream = take_stream(world, call).ok_or(NotPassed::NoPorts);
                let stream = stream.inspect_err(|_| self.counters.no_ports += 1)?;
                if call.audio.streams.len() <= index {
                    call.audio.streams.resize(index + 1, None);
                }
                call.audio.streams[index] = Some(stream);
            }
        }
        let ours = if ended {
            let clear = locks::unlock(world, call, (from, attempt), says, &sdp);
            let clear = clear.map_err(|_| self.unsecured(world.now, slot, from, says))?;
            self.adapted(world, slot, (from, attempt), says, &Sdp::parse(&clear).map_err(|_| bad)?)?
        } else {
            self.adapted(world, slot, (from, attempt), says, &sdp)?
        };
        Ok([&body[..place.start], &ours, &body[place.end..]].concat())
    }

    /// The description for the other side: formats that its trunk allows, our addresses, its own security where that is ended here.
    fn adapted(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        (from, attempt): (Side, usize),
        says: Says,
        sdp: &Sdp<'_>,
    ) -> Result<Vec<u8>, NotPassed> {
        let bad = NotPassed::Code(NOT_ACCEPTABLE);
        let Some(call) = self.calls.get_mut(slot) else { return Err(bad) };
        let text = adapted(world, call, (from, attempt), says, sdp);
        let text = text.map_err(|_| self.unfit(slot, says, MISFIT))?;
        match text {
            Some(text) => self.shown(world, slot, (from, attempt), says, &Sdp::parse(&text).map_err(|_| bad)?),
            None => self.shown(world, slot, (from, attempt), says, sdp),
        }
    }

    /// The same once its formats are settled.
    fn shown(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        (from, attempt): (Side, usize),
        says: Says,
        ours: &Sdp<'_>,
    ) -> Result<Vec<u8>, NotPassed> {
        let bad = NotPassed::Code(NOT_ACCEPTABLE);
        let Some(call) = self.calls.get_mut(slot) else { return Err(bad) };
        let asks = policy_of(world, call, from.other(), attempt).rtcp_xr;
        if !locks::are_ended(world, call, attempt) {
            note(call, from, ours);
            if asks {
                let text = ours.asking(false);
                return Ok(rewrite(call, from, attempt, &Sdp::parse(&text).map_err(|_| bad)?, &[]));
            }
            return Ok(rewrite(call, from, attempt, ours, &[]));
        }
        let locked = locks::lock(world, call, (from, attempt), says, ours);
        let locked = locked.map_err(|_| self.unfit(slot, says, NOT_SECURED))?;
        let Some(call) = self.calls.get_mut(slot) else { return Err(bad) };
        note(call, from, ours);
        let text = ours.locked(&locked.locks);
        let text = if asks { Sdp::parse(&text).map_err(|_| bad)?.asking(true) } else { text };
        Ok(rewrite(call, from, attempt, &Sdp::parse(&text).map_err(|_| bad)?, &locked.reach))
    }

    /// What `from` says cannot be joined with what the other side says; of an answer it is noted why.
    fn unfit(&mut self, slot: usize, says: Says, why: &'static [u8]) -> NotPassed {
        if why == MISFIT {
            self.counters.no_codec += 1;
        } else {
            self.counters.not_secured += 1;
        }
        if let Some(call) = self.calls.get_mut(slot).filter(|_| says == Says::Answer) {
            call.audio.terms.misfit = Some(why);
        }
        NotPassed::Unfit
    }

    /// What `from` says is not secured as its trunk wants it: that is kept with the call, once.
    fn unsecured(&mut self, now: Instant, slot: usize, from: Side, says: Says) -> NotPassed {
        if let Some(call) = self.calls.get_mut(slot) {
            let noted = call.listening.notes.last().is_some_and(|last| last.what == Note::NotSecured);
            if !noted {
                call.note(now, from, Note::NotSecured);
            }
        }
        self.unfit(slot, says, NOT_SECURED)
    }

    /// The answer to a refresh: the relay learns what it says, and the other side is told nothing.
    pub(super) fn bridge_aside(&mut self, world: &mut World<'_>, slot: usize, from: Side, message: &Message) {
        let other = |b2bua: &mut Self| b2bua.calls.get_mut(slot).and_then(|call| call.leg_mut(from.other()).cloned());
        let before = other(self);
        // What cannot be read changes nothing: the session is refreshed all the same.
        let front = self.calls.get(slot).map_or(0, |call| call.front);
        let _unshown = self.rewritten(world, slot, (from, front), Says::Nothing, message);
        self.accept_offer(world, slot);
        let leg = self.calls.get_mut(slot).and_then(|call| call.leg_mut(from.other()));
        if let (Some(leg), Some(before)) = (leg, before) {
            (leg.shown, leg.before, leg.version) = (before.shown, before.before, before.version);
        }
    }

    /// What was offered holds from now on: the relay learns where its writer listens, what its packets are, and whose silence is meant.
    pub(super) fn accept_offer(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(offered) = call.audio.offered.take() else { return };
        for told in &offered {
            if let Some(peer) = &told.peer {
                world.relay.expect(told.writer, peer);
                world.relay.shape(told.writer, told.shape);
                world.relay.report_more(told.writer, told.extended);
            }
            world.relay.hold(told.writer, !told.sends);
            world.relay.hold(told.other, !told.receives);
        }
    }

    /// Ports of its own for an attempt that is to begin beside another one: none are needed while nothing is anchored, nor for a late
    /// offer, whose answer tells the callee of ports only once it has won.
    pub(super) fn take_aside(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        trunk: TrunkId,
    ) -> Result<Option<Box<CalleeSide>>, NotAside> {
        let call = self.calls.get(slot).ok_or(NotAside)?;
        let (caller, callee) = (world.profiles.media_of(call.caller.trunk), world.profiles.media_of(trunk));
        if call.audio.anchored != (caller.is_some() && callee.is_some()) {
            return Err(NotAside);
        }
        let Some((listen, addr)) = callee.filter(|_| !call.late_offer && !call.audio.streams.is_empty()) else {
            return Ok(None);
        };
        let mut side = CalleeSide { listen: Some(listen), pairs: SmallVec::new() };
        for stream in &call.audio.streams {
            match stream.map(|_| world.ports.take(listen)) {
                None => side.pairs.push(None),
                Some(Some(pair)) => side.pairs.push(Some(shown(pair, addr))),
                Some(None) => {
                    self.counters.no_ports += 1;
                    put_back_side(world, &side);
                    return Err(NotAside);
                }
            }
        }
        Ok(Some(Box::new(side)))
    }

    /// The attempt is the one the caller hears from now on: its ports take the place of those of the one before, which keeps
    /// its own as long as it runs, since it may still answer. False when there are no ports for it.
    pub(super) fn promote(&mut self, world: &mut World<'_>, slot: usize, index: usize) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        if call.front == index {
            return true;
        }
        let Some(attempt) = call.attempt_mut(index) else { return false };
        let (trunk, fresh) = (attempt.target.trunk, attempt.aside.take());
        let before = core::mem::replace(&mut call.front, index);
        let Some(fresh) = fresh else {
            let listen = world.profiles.media_of(trunk).map(|(listen, _)| listen);
            let in_place = call.audio.streams.is_empty() || call.audio.callee_listen == listen;
            let fits = in_place || exchange_callee_side(world, call).is_some();
            call.front = if fits { index } else { before };
            locks::start_over(world, call, call.front);
            self.gate(world, slot);
            return fits;
        };
        let old = exchange(world, call, &fresh);
        locks::start_over(world, call, index);
        match call.attempt_mut(before) {
            Some(attempt) => attempt.aside = Some(Box::new(old)),
            None => release_side(world, &old),
        }
        self.gate(world, slot);
        true
    }
}

/// An attempt cannot run beside another one: no port is free, or audio would pass for one of them and not for the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotAside;

/// Puts a callee's side in the place of the present one, which is given back.
fn exchange(world: &mut World<'_>, call: &mut Call, fresh: &CalleeSide) -> CalleeSide {
    let mut old = CalleeSide { listen: call.audio.callee_listen, pairs: SmallVec::new() };
    for (stream, pair) in call.audio.streams.iter_mut().zip(&fresh.pairs) {
        let (Some(stream), Some(pair)) = (stream.as_mut(), pair) else {
            old.pairs.push(None);
            continue;
        };
        // It cannot fail: the one is joined, the other is ours and joined to nothing. If it did, the new pair would be given back.
        let moved = world.relay.repoint(stream.caller.0, pair.0).is_ok();
        old.pairs.push(Some(if moved { core::mem::replace(&mut stream.callee, *pair) } else { *pair }));
    }
    call.audio.callee_listen = fresh.listen;
    old
}

/// Gives back the ports of an attempt that nobody hears any more.
pub(super) fn release_side(world: &mut World<'_>, side: &CalleeSide) {
    for (pair, _) in side.pairs.iter().flatten() {
        world.ports.release(world.now, *pair);
    }
}

/// Ports that were taken for an attempt which is not begun.
pub(super) fn put_back_side(world: &mut World<'_>, side: &CalleeSide) {
    for (pair, _) in side.pairs.iter().flatten() {
        world.ports.put_back(*pair);
    }
}

/// Two pairs, one per side, joined.
fn take_stream(world: &mut World<'_>, call: &mut Call) -> Option<Stream> {
    let (caller_listen, caller_addr) = world.profiles.media_of(call.caller.trunk)?;
    let (callee_listen, callee_addr) = world.profiles.media_of(call.carrier()?)?;
    let caller = world.ports.take(caller_listen)?;
    let Some(callee) = world.ports.take(callee_listen) else {
        world.ports.put_back(caller.0);
        return None;
    };
    call.audio.callee_listen = Some(callee_listen);
    if world.relay.join(caller.0, callee.0).is_err() {
        world.ports.release(world.now, caller.0);
        world.ports.release(world.now, callee.0);
        return None;
    }
    Some(Stream { caller: shown(caller, caller_addr), callee: shown(callee, callee_addr) })
}

/// A pair as its side is shown it: by the advertised address.
const fn shown((pair, rtp): (PairId, SocketAddr), addr: IpAddr) -> (PairId, SocketAddr) {
    (pair, SocketAddr::new(addr, rtp.port()))
}

/// The next attempt leaves by another listen: its side of every stream gets a pair there.
fn exchange_callee_side(world: &mut World<'_>, call: &mut Call) -> Option<()> {
    let (listen, addr) = world.profiles.media_of(call.carrier()?)?;
    for stream in call.audio.streams.iter_mut().flatten() {
        let fresh = world.ports.take(listen)?;
        if world.relay.repoint(stream.caller.0, fresh.0).is_err() {
            world.ports.release(world.now, fresh.0);
            return None;
        }
        world.ports.release(world.now, stream.callee.0);
        stream.callee = shown(fresh, addr);
    }
    call.audio.callee_listen = Some(listen);
    Some(())
}

/// Keeps what the writer says of its audio.
fn note(call: &mut Call, from: Side, sdp: &Sdp<'_>) {
    let mut offered = SmallVec::new();
    let in_his_name = call.audio.taken_up && from == Side::Caller && call.answered.is_none();
    for (written, stream) in sdp.streams().iter().zip(&call.audio.streams) {
        let Some(stream) = stream else { continue };
        let (writer, other) = match from {
            Side::Caller => (stream.caller.0, stream.callee.0),
            Side::Callee => (stream.callee.0, stream.caller.0),
        };
        // A hold of the old kind names no address (RFC 3264 §8.4); a stream of port 0 is closed.
        let ip = written.addr.filter(|ip| written.port != 0 && !ip.is_unspecified());
        let peer = ip.map(|ip| Peer {
            rtp: SocketAddr::new(ip, written.port),
            rtcp: written.rtcp.map(|(port, addr)| SocketAddr::new(addr.unwrap_or(ip), port)),
            mux: written.rtcp_mux,
        });
        offered.push(Told {
            writer,
            other,
            peer: peer.filter(|_| !in_his_name),
            shape: Shape::of(written.proto),
            extended: written.extended,
            sends: written.direction.sends(),
            // Where a peer with ICE is its checks will tell.
            receives: written.direction.receives() && (peer.is_some() || written.ice && written.port != 0),
        });
    }
    call.audio.offered = Some(offered);
}

/// What a side is shown of a description that passes as it is.
fn remember(call: &mut Call, towards: Side, attempt: usize, text: Vec<u8>) {
    if let Some(leg) = call.leg_mut(towards) {
        leg.before = (leg.version, core::mem::replace(&mut leg.shown, text));
    } else if let Some(attempt) = call.attempt_mut(attempt) {
        attempt.shown = text;
    }
}

/// The description with our ports towards the other side, and its version.
fn rewrite(call: &mut Call, from: Side, attempt: usize, sdp: &Sdp<'_>, reach: &[Reach]) -> Vec<u8> {
    let towards = from.other();
    let aside = call.attempts.get(attempt).and_then(|attempt| attempt.aside.as_ref());
    let place = |index: usize| {
        let stream = call.audio.streams.get(index).copied().flatten()?;
        let own = aside.and_then(|aside| aside.pairs.get(index).copied().flatten());
        Some(match towards {
            Side::Caller => stream.caller.1,
            Side::Callee => own.unwrap_or(stream.callee).1,
        })
    };
    let ports: SmallVec<[Option<u16>; 4]> =
        (0..sdp.streams().len()).map(|index| place(index).map(|addr| addr.port())).collect();
    let known = (0..call.audio.streams.len()).find_map(place).map(|addr| addr.ip());
    // Without any stream nothing is received, and the address says as much.
    let addr = known.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let (session, version, shown) = match (towards, call.leg_mut(towards)) {
        (_, Some(leg)) => (leg.session, leg.version, core::mem::take(&mut leg.shown)),
        _ => call.attempt_mut(attempt).map_or((0, 0, Vec::new()), |attempt| {
            (attempt.session, attempt.version, core::mem::take(&mut attempt.shown))
        }),
    };
    let same = sdp.rewrite(&Facing { session, version, addr, ports: &ports, reach });
    // The version rises only when something else has changed (RFC 3264 §8), and above any that was refused.
    let next = version.max(call.leg(towards).map_or(0, |leg| leg.refused)) + 1;
    let next_facing = Facing { session, version: next, addr, ports: &ports, reach };
    let out = if same == shown { same } else { sdp.rewrite(&next_facing) };
    if let Some(leg) = call.leg_mut(towards) {
        leg.version = if out == shown { version } else { next };
        leg.before = (version, shown);
        leg.shown.clone_from(&out);
    } else if let Some(attempt) = call.attempt_mut(attempt) {
        // For the leg it may become.
        attempt.version = if out == shown { version } else { next };
        attempt.shown.clone_from(&out);
    }
    out
}
