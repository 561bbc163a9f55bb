//! SDP from one leg to the other: addresses and ports become ours, and the relay learns where each side listens.
//!
//! Ports are taken with the first description and kept for the whole call; when the next attempt leaves by another listen, only the
//! callee's side is exchanged, so that the caller's audio goes on. Refuses to know: codecs, who offers and who answers.

use super::call::{Call, Stream};
use super::{B2bua, Side, World};
use alloc::vec::Vec;
use core::net::SocketAddr;
use media::Peer;
use media::sdp::{Facing, Sdp};
use smallvec::SmallVec;

/// Streams that are anchored; a call of more is refused its rest.
const STREAMS_MAX: usize = 4;

/// Why a description could not be passed on; becomes the code for whoever sent it.
const NOT_ACCEPTABLE: u16 = 488;
const NO_PORTS: u16 = 503;

impl B2bua {
    /// The offer for the running attempt: the caller's, with our addresses on the callee's side.
    pub(super) fn offer(&mut self, world: &mut World<'_>, slot: usize) -> Result<Vec<u8>, u16> {
        let Some(call) = self.calls.get_mut(slot) else { return Err(500) };
        let Some(body) = call.invite.as_ref().map(|invite| invite.body().to_vec()) else { return Err(500) };
        let Some(trunk) = call.attempts.last().map(|attempt| attempt.target.trunk) else { return Err(500) };
        // Audio is anchored when both sides have an address for it; a hunt does not change its mind about that.
        let callee = world.profiles.media_of(trunk);
        if call.attempts.len() == 1 {
            call.audio.anchored &= callee.is_some();
        }
        if call.audio.anchored && call.audio.callee_listen != callee.map(|(listen, _)| listen) {
            exchange_callee_side(world, call).ok_or(NO_PORTS).inspect_err(|_| self.counters.no_ports += 1)?;
        }
        self.bridge(world, slot, Side::Caller, &body)
    }

    /// A description that `from` sent, as the other side shall see it. Empty stays empty.
    pub(super) fn bridge(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        from: Side,
        body: &[u8],
    ) -> Result<Vec<u8>, u16> {
        let Some(call) = self.calls.get_mut(slot) else { return Err(500) };
        if body.is_empty() || !call.audio.anchored {
            return Ok(body.to_vec());
        }
        let sdp = Sdp::parse(body).map_err(|_| NOT_ACCEPTABLE).inspect_err(|_| self.counters.bad_sdp += 1)?;
        let streams = sdp.streams().len();
        for index in 0..streams.min(STREAMS_MAX) {
            let known = call.audio.streams.get(index).copied().flatten().is_some();
            if sdp.streams()[index].port != 0 && !known {
                let stream = take_stream(world, call).ok_or(NO_PORTS).inspect_err(|_| self.counters.no_ports += 1)?;
                if call.audio.streams.len() <= index {
                    call.audio.streams.resize(index + 1, None);
                }
                call.audio.streams[index] = Some(stream);
            }
        }
        learn(world, call, from, &sdp);
        Ok(rewrite(world, call, from, &sdp))
    }
}

/// Two pairs, one per side, joined.
fn take_stream(world: &mut World<'_>, call: &mut Call) -> Option<Stream> {
    let (caller_listen, _) = world.profiles.media_of(call.caller.trunk)?;
    let (callee_listen, _) = world.profiles.media_of(call.carrier()?)?;
    let caller = world.ports.take(caller_listen)?;
    let Some(callee) = world.ports.take(callee_listen) else {
        world.ports.release(world.now, caller.0);
        return None;
    };
    call.audio.callee_listen = Some(callee_listen);
    if world.relay.join(caller.0, callee.0).is_err() {
        world.ports.release(world.now, caller.0);
        world.ports.release(world.now, callee.0);
        return None;
    }
    Some(Stream { caller, callee })
}

/// The next attempt leaves by another listen: its side of every stream gets a pair there.
fn exchange_callee_side(world: &mut World<'_>, call: &mut Call) -> Option<()> {
    let (listen, _) = world.profiles.media_of(call.carrier()?)?;
    for stream in call.audio.streams.iter_mut().flatten() {
        let fresh = world.ports.take(listen)?;
        if world.relay.repoint(stream.caller.0, fresh.0).is_err() {
            world.ports.release(world.now, fresh.0);
            return None;
        }
        world.ports.release(world.now, stream.callee.0);
        stream.callee = fresh;
    }
    call.audio.callee_listen = Some(listen);
    Some(())
}

/// Tells the relay where the writer listens, and that silence around a change of description is no gap.
fn learn(world: &mut World<'_>, call: &Call, from: Side, sdp: &Sdp<'_>) {
    for (written, stream) in sdp.streams().iter().zip(&call.audio.streams) {
        let (Some(stream), Some(ip)) = (stream, written.addr) else { continue };
        world.relay.pause(stream.caller.0);
        world.relay.pause(stream.callee.0);
        if written.port == 0 || ip.is_unspecified() {
            continue;
        }
        let rtcp = written.rtcp.map(|(port, addr)| SocketAddr::new(addr.unwrap_or(ip), port));
        let peer = Peer { rtp: SocketAddr::new(ip, written.port), rtcp, mux: written.rtcp_mux };
        let pair = match from {
            Side::Caller => stream.caller.0,
            Side::Callee => stream.callee.0,
        };
        world.relay.expect(pair, &peer);
    }
}

/// The description with our ports towards the other side, and its version.
fn rewrite(world: &World<'_>, call: &mut Call, from: Side, sdp: &Sdp<'_>) -> Vec<u8> {
    let towards = from.other();
    let ports: SmallVec<[Option<u16>; 4]> = (0..sdp.streams().len())
        .map(|index| {
            let stream = call.audio.streams.get(index).copied().flatten()?;
            Some(match towards {
                Side::Caller => stream.caller.1.port(),
                Side::Callee => stream.callee.1.port(),
            })
        })
        .collect();
    let trunk = match towards {
        Side::Caller => Some(call.caller.trunk),
        Side::Callee => call.carrier(),
    };
    let addr = trunk.and_then(|trunk| world.profiles.media_of(trunk)).map(|(_, addr)| addr);
    let Some(addr) = addr else { return Vec::new() };
    let (session, version, shown) = match (towards, call.leg_mut(towards)) {
        (_, Some(leg)) => (leg.session, leg.version, core::mem::take(&mut leg.shown)),
        _ => (call.running().map_or(0, |attempt| attempt.session), 0, Vec::new()),
    };
    let same = sdp.rewrite(&Facing { session, version, addr, ports: &ports });
    // The version rises only when something else has changed (RFC 3264 §8).
    let out =
        if same == shown { same } else { sdp.rewrite(&Facing { session, version: version + 1, addr, ports: &ports }) };
    if let Some(leg) = call.leg_mut(towards) {
        leg.version = if out == shown { version } else { version + 1 };
        leg.shown = out.clone();
    }
    out
}
