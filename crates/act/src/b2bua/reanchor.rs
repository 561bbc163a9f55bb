//! A leg's audio moves to another of our interfaces: by re-INVITE with the other address, and the relay follows once the peer has agreed.
//!
//! Until then nothing has changed, so that a refusal leaves the call as it was (RFC 3261 §14.1). What the other side hears goes on as one
//! stream. Refuses to know: why the audio is to move.

use super::audio::place;
use super::call::{Call, CalleeSide, Side};
use super::challenge::Again;
use super::{B2bua, World, bridge, connectivity, headers, session};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use decide::Note;
use media::sdp::{Facing, Reach, Sdp};
use model::{Instant, TrunkId};
use sip::{ClientKey, Message, Method};
use smallvec::SmallVec;

/// How often a peer with a re-INVITE of its own under way is asked again.
const GLARE_TRIES: u8 = 3;
/// Interfaces that are looked for.
const PLACES_MAX: usize = 8;

/// A move under way.
#[derive(Clone, Debug)]
pub(super) struct Moving {
    side: Side,
    client: ClientKey,
    cseq: u32,
    again: Box<Again>,
    /// Our new ports, and where they are.
    fresh: CalleeSide,
    shown: Vec<u8>,
    version: u64,
    since: Instant,
}

impl Moving {
    pub(super) fn waits_for(&self, client: ClientKey) -> bool {
        self.client == client
    }
}

/// The interfaces of a trunk after the one in this place, of the family that its audio has.
pub(super) fn places_after(world: &World<'_>, trunk: TrunkId, place: u8, call: &Call, side: Side) -> u8 {
    let v4 = own_address(call, side).is_none_or(|addr| addr.is_ipv4());
    let fits = |at: &usize| world.profiles.media_at(trunk, *at).is_some_and(|(_, addr)| addr.is_ipv4() == v4);
    let count = (usize::from(place) + 1..PLACES_MAX).take_while(fits).count();
    u8::try_from(count).unwrap_or(0)
}

/// What a side was shown of ours.
fn own_address(call: &Call, side: Side) -> Option<SocketAddr> {
    let stream = call.audio.streams.iter().flatten().next()?;
    Some(match side {
        Side::Caller => stream.caller.1,
        Side::Callee => stream.callee.1,
    })
}

impl B2bua {
    /// Asks a side to have its audio by the next of its interfaces.
    pub(super) fn move_audio(&mut self, world: &mut World<'_>, slot: usize, side: Side) {
        if self.calls.get(slot).is_some_and(|call| lacks_ports(world, call, side)) && self.put_off(slot) {
            return;
        }
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(trunk) = call.leg(side).map(|leg| leg.trunk) else { return };
        let Some(moves) = call.listening.moved_on(world.now, side) else { return };
        let fresh = world.profiles.media_at(trunk, usize::from(moves)).and_then(|at| take(world, call, at));
        let Some(fresh) = fresh else { return self.not_moved(world, slot, side, None) };
        let Some(sent) = self.ask_to_move(world, slot, side, fresh) else {
            return self.not_moved(world, slot, side, None);
        };
        self.by_client.insert(sent.client, slot);
        if let Some(call) = self.calls.get_mut(slot) {
            call.listening.moving = Some(Box::new(sent));
        }
    }

    fn ask_to_move(&mut self, world: &mut World<'_>, slot: usize, side: Side, fresh: CalleeSide) -> Option<Moving> {
        let sent = self.offer_to_move(world, slot, side, fresh.clone());
        if sent.is_none() {
            bridge::put_back_side(world, &fresh);
        }
        sent
    }

    fn offer_to_move(&mut self, world: &mut World<'_>, slot: usize, side: Side, fresh: CalleeSide) -> Option<Moving> {
        let leg = self.calls.get_mut(slot)?.leg_mut(side)?;
        let version = leg.version.max(leg.refused) + 1;
        let (session, before) = (leg.session, leg.shown.clone());
        let shown = described(world, &before, (session, version), &fresh)?;
        let leg = self.calls.get_mut(slot)?.leg_mut(side)?;
        let sent_by = world.endpoint.sent_by(leg.flow.socket)?;
        let mut draft = leg.dialog.request(Method::Invite);
        headers::push_contact(&mut draft.headers, &sent_by);
        draft.headers.push("Allow", headers::ALLOW);
        session::push_request(session::policy_of(world, leg.trunk), leg, &mut draft.headers);
        draft.headers.push("Content-Type", b"application/sdp");
        draft.body.clone_from(&shown);
        let cseq = leg.dialog.local_seq;
        let mut again = Box::new(Again::new(Some(leg.trunk), draft, leg.way(), world.timers_of(leg.trunk)));
        let client = again.send(world)?;
        Some(Moving { side, client, cseq, again, fresh, shown, version, since: world.now })
    }

    /// The side answers.
    pub(super) fn move_response(&mut self, world: &mut World<'_>, slot: usize, code: u16, message: &Message) {
        if code < 200 {
            return;
        }
        let Some(mut moving) = self.take_moving(slot) else { return };
        let side = moving.side;
        let leg = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side));
        if let Some(leg) = leg
            && let Some(client) = moving.again.answer(world, &mut leg.dialog, message)
        {
            (moving.client, moving.cseq) = (client, leg.dialog.local_seq);
            self.by_client.insert(client, slot);
            if let Some(call) = self.calls.get_mut(slot) {
                call.listening.moving = Some(moving);
            }
            return;
        }
        if (200..300).contains(&code) {
            return self.moved(world, slot, *moving, message);
        }
        bridge::release_side(world, &moving.fresh);
        let Some(call) = self.calls.get_mut(slot) else { return };
        if let Some(leg) = call.leg_mut(side) {
            // What was refused is of no version any more (RFC 3264 §8).
            leg.refused = leg.refused.max(moving.version);
        }
        if code == 491 && call.listening.glared < GLARE_TRIES {
            // The peer has an offer of its own under way: the same interface is tried again when that is over.
            call.listening.glared += 1;
            call.listening.moved_back(side);
            self.counters.glare += 1;
            return;
        }
        self.not_moved(world, slot, side, Some(code));
    }

    /// It did not answer, or could not be reached.
    pub(super) fn move_failed(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(moving) = self.take_moving(slot) else { return };
        bridge::release_side(world, &moving.fresh);
        self.not_moved(world, slot, moving.side, None);
    }

    fn take_moving(&mut self, slot: usize) -> Option<Box<Moving>> {
        let moving = self.calls.get_mut(slot)?.listening.moving.take()?;
        self.by_client.remove(&moving.client);
        Some(moving)
    }

    fn not_moved(&mut self, world: &World<'_>, slot: usize, side: Side, code: Option<u16>) {
        self.counters.audio_not_moved += 1;
        if let Some(call) = self.calls.get_mut(slot) {
            call.note(world.now, side, Note::NotMoved { code });
        }
    }

    /// It agrees: the relay goes on by the new ports, and what was heard before goes on as one stream.
    fn moved(&mut self, world: &mut World<'_>, slot: usize, moving: Moving, message: &Message) {
        let side = moving.side;
        let Some(call) = self.calls.get_mut(slot) else { return };
        if let Some(leg) = call.leg_mut(side) {
            leg.dialog.refresh_target(message);
            leg.signed.clone_from(&moving.again.signed);
            let ack = leg.ack(moving.cseq);
            world.endpoint.ack(world.now, moving.client, leg.way(), ack);
            leg.before = (leg.version, core::mem::replace(&mut leg.shown, moving.shown));
            leg.version = moving.version;
        }
        for (stream, fresh) in call.audio.streams.iter_mut().zip(&moving.fresh.pairs) {
            let (Some(stream), Some(fresh)) = (stream.as_mut(), fresh) else { continue };
            let (stays, leaves) = match side {
                Side::Caller => (stream.callee.0, &mut stream.caller),
                Side::Callee => (stream.caller.0, &mut stream.callee),
            };
            let old = match world.relay.repoint(stays, fresh.0) {
                Ok(()) => core::mem::replace(leaves, *fresh),
                Err(_) => *fresh,
            };
            world.ports.release(world.now, old.0);
        }
        if side == Side::Callee {
            call.audio.callee_listen = moving.fresh.listen;
        }
        self.counters.audio_moved += 1;
        call.note(world.now, side, Note::Moved { after: world.now.since(moving.since) });
        call.listening.tried_now(world.now, side);
        self.bridge_aside(world, slot, side, message);
        for (pair, _) in moving.fresh.pairs.iter().flatten() {
            world.relay.shake_anew(world.now, *pair);
        }
        self.renew_by_response(world, slot, side, message);
        self.gate(world, slot);
    }

    /// The call is over, and with it what was under way.
    pub(super) fn drop_moving(&mut self, world: &mut World<'_>, slot: usize) {
        if let Some(moving) = self.take_moving(slot) {
            world.endpoint.cancel(world.now, moving.client, None);
            bridge::release_side(world, &moving.fresh);
        }
    }
}

/// The next interface of a side has no port to spare now.
fn lacks_ports(world: &World<'_>, call: &Call, side: Side) -> bool {
    let next = call.listening.ear(side).map(|ear| usize::from(ear.moves) + 1);
    let at = next.and_then(|next| world.profiles.media_at(call.leg(side)?.trunk, next));
    at.is_some_and(|(listen, _)| !world.ports.has(listen))
}

/// Ports for every stream there is.
fn take(
    world: &mut World<'_>,
    call: &Call,
    (listen, addr): (model::ListenId, core::net::IpAddr),
) -> Option<CalleeSide> {
    let mut fresh = CalleeSide { listen: Some(listen), pairs: SmallVec::new() };
    for stream in &call.audio.streams {
        match stream.map(|_| world.ports.take(listen)) {
            None => fresh.pairs.push(None),
            Some(Some((pair, rtp))) => fresh.pairs.push(Some((pair, SocketAddr::new(addr, rtp.port())))),
            Some(None) => {
                bridge::put_back_side(world, &fresh);
                return None;
            }
        }
    }
    Some(fresh)
}

/// What a leg was shown last, with the new ports.
fn described(
    world: &mut World<'_>,
    shown: &[u8],
    (session, version): (u64, u64),
    fresh: &CalleeSide,
) -> Option<Vec<u8>> {
    let sdp = Sdp::parse(shown).ok()?;
    let reach: SmallVec<[Reach; 2]> =
        sdp.streams().iter().map(|stream| connectivity::elsewhere(world, &sdp, stream)).collect();
    let port = |index: usize| fresh.pairs.get(index).copied().flatten().map(|(_, addr)| addr.port());
    let ports: SmallVec<[Option<u16>; 4]> = (0..sdp.streams().len()).map(port).collect();
    let addr = fresh.pairs.iter().flatten().next()?.1.ip();
    Some(sdp.rewrite(&Facing { session, version, addr, ports: &ports, reach: &reach }))
}

impl super::audio::Listening {
    /// The next interface of a side is tried from now on; its place.
    fn moved_on(&mut self, now: Instant, side: Side) -> Option<u8> {
        let ear = self.ears.as_mut().map(|ears| &mut ears[place(side)])?;
        ear.moves += 1;
        ear.tried = Some(now);
        Some(ear.moves)
    }

    fn moved_back(&mut self, side: Side) {
        if let Some(ears) = &mut self.ears {
            ears[place(side)].moves -= 1;
        }
    }

    fn tried_now(&mut self, now: Instant, side: Side) {
        if let Some(ears) = &mut self.ears {
            ears[place(side)].tried = Some(now);
        }
    }
}
