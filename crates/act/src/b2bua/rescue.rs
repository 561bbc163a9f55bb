//! The rescue of a call whose one party is lost: the other is kept and hears comfort noise, the lost one is called again by another trunk.
//!
//! The lost leg is let go at once, for whoever it leads to must be free to be called. The call to him is an errand, as that of a transfer:
//! planned anew by the routes of the party that is kept, without the trunk that has lost him. The ports of the party that is kept go on in
//! it, so that it hears one stream, and it is told nothing: only when whoever answers wants other audio than it has, it is asked by
//! re-INVITE (RFC 3264 §8). When nobody can be reached, the party that was kept is told why. Refuses to know: when a call is to be rescued.

use super::call::{Call, Leg, Phase, Side};
use super::invite::number_of;
use super::refer::{description_of, invite_for, stand_in};
use super::transfer::{Bond, Errand, Referral, TRANSFERRED};
use super::{B2bua, World};
use crate::profile::{bare_number, is_urn};
use alloc::vec::Vec;
use decide::{Excluded, Exclusion, Facts, Note, Plan};
use media::AnchorCounters;
use media::player::Law;
use media::sdp::Sdp;
use model::TrunkId;
use sip::{HeaderName, Message, Uri};

/// Rescues and transfers under way in a shard at once.
const UNDER_WAY_MAX: usize = 1_024;
/// Why the lost leg is let go.
const LET_GO: &str = "its audio was lost";
/// Why the call of old ends.
const RESCUED: &str = "a party was lost and reached again by another call";
/// Why the party that was kept is let go.
const NOT_RESCUED: &str = "a party was lost and could not be reached again";

/// Why a call ends whose transferor has not waited for a target that cannot be had.
const NOT_TRANSFERRED: &str = "the transfer failed, and who had asked for it was gone";

/// Whom a rescue calls.
struct Sought {
    /// By whose routes.
    from: TrunkId,
    /// The number, as it is dialled and as the edge knows it.
    called: Vec<u8>,
    known: Vec<u8>,
}

impl B2bua {
    /// Whether it could be tried at all.
    pub(super) fn may_rescue(&self, world: &World<'_>, call: &Call, lost: Side) -> bool {
        let room = self.calls.len() < self.limit && self.transfers < UNDER_WAY_MAX && !self.draining;
        room && call.phase == Phase::Up && call.plan.is_ok() && sought(world, call, lost).is_some()
    }

    /// Lets the lost party go and calls it again; the other one is kept. While there is no port for that it is put off: more are opened at once.
    pub(super) fn rescue(&mut self, world: &mut World<'_>, slot: usize, lost: Side) {
        if self.waits_for_ports(world, slot, lost) {
            return;
        }
        let Some(errand) = self.open_rescue(world, slot, lost) else {
            self.counters.rescues_failed += 1;
            return self.end_both(world, slot, NOT_RESCUED);
        };
        self.stop_listening(slot);
        self.send_bye(world, slot, lost, None, Some(LET_GO));
        self.hand_over(world, (slot, lost), errand);
        self.gate_both(world, slot);
        self.comfort(world, (slot, lost.other()), errand);
        let id = self.calls.get(errand).map(|errand| errand.call);
        let Some((call, id)) = self.calls.get_mut(slot).zip(id) else { return };
        call.note(world.now, lost, Note::Called { call: id });
        let bond = Referral { by: lost, errand, id: 0, told: false, last: 100, rescues: Some(world.now) };
        call.bond = Some(Bond::Referral(bond));
        let keeping = call.leg_mut(lost).map(|leg| {
            leg.gone = true;
            leg.keeping.end()
        });
        if let Some((timer, client)) = keeping {
            self.cancel_timer(timer);
            client.and_then(|client| self.by_client.remove(&client));
        }
        self.counters.rescues += 1;
        self.transfers += 1;
        self.begin(world, errand);
    }

    /// No port is free for the first of those who would be called: the rescue waits.
    fn waits_for_ports(&mut self, world: &mut World<'_>, slot: usize, lost: Side) -> bool {
        let call = self.calls.get(slot).filter(|call| call.audio.anchored);
        let lacks = call.is_some_and(|call| !has_ports(world, call, lost));
        lacks && self.put_off(slot)
    }

    /// The ports of the party that is kept go on in the call to come, with where they lead to: nothing that it was told changes. One whose
    /// security is ended here gets new ones, and keys with them.
    fn hand_over(&mut self, world: &mut World<'_>, (slot, lost): (usize, Side), errand: usize) {
        let Some(call) = self.calls.get_mut(slot).filter(|call| call.audio.anchored && !call.audio.locks.used) else {
            return;
        };
        call.audio.callee_listen = None;
        let mut streams = core::mem::take(&mut call.audio.streams);
        for stream in streams.iter_mut().flatten() {
            if lost == Side::Caller {
                core::mem::swap(&mut stream.caller, &mut stream.callee);
            }
            let AnchorCounters { first, second } = world.relay.succeed(stream.caller.0);
            let (first, second) = if lost == Side::Caller { (second, first) } else { (first, second) };
            call.audio.counted.get_or_insert(AnchorCounters { first, second });
            world.relay.gate(stream.callee.0, true);
        }
        if let Some(errand) = self.calls.get_mut(errand) {
            (errand.audio.streams, errand.audio.taken_up) = (streams, true);
        }
    }

    /// Neither side is relayed any more: what still comes is of a call that is over.
    fn gate_both(&self, world: &mut World<'_>, slot: usize) {
        for stream in self.calls.get(slot).iter().flat_map(|call| call.audio.streams.iter().flatten()) {
            world.relay.gate(stream.caller.0, true);
            world.relay.gate(stream.callee.0, true);
        }
    }

    /// The party that is kept hears the operator's recording, or comfort noise, where its ports are now and in the format it is spoken to
    /// in. One that nobody here can make is silence: it is no reason to let the party go.
    fn comfort(&self, world: &mut World<'_>, (slot, kept): (usize, Side), errand: usize) {
        let Some(call) = self.calls.get(slot) else { return };
        let pair =
            self.calls.get(errand).and_then(|errand| errand.pair_of(Side::Caller)).or_else(|| call.pair_of(kept));
        let Some(pair) = pair else { return };
        let of_law = || call.leg(kept).and_then(|leg| law_of(&leg.shown)).map(Law::format);
        if let Some(format) = world.relay.spoken_to(pair).or_else(of_law) {
            let _silent = world.relay.comfort(world.now, pair, &format, world.profiles.announcement.as_ref());
        }
    }

    /// Whoever has answered wants the audio that the party which was kept has already: there is nothing to be offered (RFC 3264 §8).
    pub(super) fn needs_no_offer(&self, slot: usize, (of, stays): (usize, Side)) -> bool {
        let Some(call) = self.calls.get(slot).filter(|call| call.audio.taken_up && !call.late_offer) else {
            return false;
        };
        let Some(leg) = self.calls.get(of).and_then(|call| call.leg(stays)) else { return false };
        let (Ok(has), Ok(wanted)) = (Sdp::parse(&leg.shown), Sdp::parse(&call.caller.shown)) else { return false };
        has.asks_for_the_same(&wanted)
    }

    /// The call to the lost party, on behalf of the one that is kept.
    fn open_rescue(&mut self, world: &mut World<'_>, slot: usize, lost: Side) -> Option<usize> {
        let call = self.calls.get(slot).filter(|call| self.may_rescue(world, call, lost))?;
        let (kept, gone) = (call.leg(lost.other())?, call.leg(lost)?);
        let Sought { from, called, known } = sought(world, call, lost)?;
        let number = core::str::from_utf8(bare_number(&known)).ok()?;
        let facts = Facts { from, number, emergency: world.profiles.is_emergency(&known) || call.emergency };
        let target = if is_urn(&called) { called.clone() } else { [b"sip:", &called[..], b"@edge.invalid"].concat() };
        let bare = bare();
        let first = call.listening.invite.as_deref().or(bare.as_ref())?;
        let invite = invite_for(first, kept, &target, description_of(call, gone), None, says_who)?;
        let leg = stand_in(world, kept);
        let (trunk, lost_trunk, anchored) = (leg.trunk, gone.trunk, call.audio.anchored);
        let (emergency, rescues, drilled) = (call.emergency, call.listening.rescues, call.drilled);
        // It has been counted among the calls of its trunk when it was begun.
        let plan = decide::plan(world.shape, world.table, world.load, &facts, world.now, world.rng);
        let plan = plan.map(|plan| without(plan, lost_trunk));
        let id = self.next_call(world.rng);
        let mut errand = Call::open(id, leg, &invite, (&called, &known), plan, world.now);
        (errand.emergency, errand.drilled) = (facts.emergency || emergency, drilled);
        errand.audio.anchored = anchored;
        errand.listening.rescues = rescues + 1;
        errand.coming.retain(|candidate| !anchored || world.profiles.media_of(candidate.target.trunk).is_some());
        if let Ok(uri) = Uri::parse(&target) {
            errand.find_phones(world, &uri);
        }
        errand.bond = Some(Bond::Errand(Errand { of: Some((slot, lost.other())), ..Errand::default() }));
        if drilled {
            self.remember_drilled(id);
        }
        self.retries.call(world.now);
        let errand = self.calls.insert(errand);
        super::invite::count_in(world, trunk);
        Some(errand)
    }

    /// The errand for this call is over: it has reached somebody, or has failed with this code. Why the call ends by it.
    pub(super) fn bond_ends(&mut self, world: &World<'_>, slot: usize, reached: Result<(), u16>) -> &'static str {
        self.transfers = self.transfers.saturating_sub(1);
        let referral = self.calls.get(slot).and_then(Call::referral);
        let Some((by, since)) = referral.and_then(|referral| Some((referral.by, referral.rescues?))) else {
            let (count, why) = match reached {
                Ok(()) => (&mut self.counters.transferred, TRANSFERRED),
                Err(_) => (&mut self.counters.transfers_failed, NOT_TRANSFERRED),
            };
            *count += 1;
            return why;
        };
        let what = match reached {
            Ok(()) => Note::Reached { after: world.now.since(since) },
            Err(code) => Note::NotReached { code },
        };
        if let Some(call) = self.calls.get_mut(slot) {
            call.note(world.now, by, what);
        }
        let (count, why) = match reached {
            Ok(()) => (&mut self.counters.rescued, RESCUED),
            Err(_) => (&mut self.counters.rescues_failed, NOT_RESCUED),
        };
        *count += 1;
        why
    }
}

/// Whom to call when a side is lost; nobody, when nothing says where he was.
fn sought(world: &World<'_>, call: &Call, lost: Side) -> Option<Sought> {
    match lost {
        Side::Callee => {
            Some(Sought { from: call.caller.trunk, called: call.called.clone(), known: call.number.clone() })
        }
        Side::Caller => {
            let number = number_of(world, call.caller.trunk, &call.caller_number).into_owned();
            let dialled = number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'+') && !number.is_empty();
            let from = call.callee.as_ref().map(|leg: &Leg| leg.trunk)?;
            dialled.then(|| Sought { from, called: number.clone(), known: number })
        }
    }
}

/// Whoever would be called first could be: a plan is made and thrown away. Who is not to be had needs none.
fn has_ports(world: &mut World<'_>, call: &Call, lost: Side) -> bool {
    let (Some(Sought { from, known, .. }), Some(gone)) = (sought(world, call, lost), call.leg(lost)) else {
        return true;
    };
    let Ok(number) = core::str::from_utf8(bare_number(&known)) else { return true };
    let facts = Facts { from, number, emergency: call.emergency };
    let plan = decide::plan(world.shape, world.table, world.load, &facts, world.now, world.rng);
    let others = |plan: &Plan| plan.attempts.iter().find(|candidate| candidate.target.trunk != gone.trunk).copied();
    let first = plan.ok().as_ref().and_then(others);
    let listen = first.and_then(|candidate| world.profiles.media_of(candidate.target.trunk)).map(|(listen, _)| listen);
    listen.is_none_or(|listen| world.ports.has(listen))
}

/// The plan without the trunk that has lost the party.
fn without(mut plan: Plan, trunk: TrunkId) -> Plan {
    let before = plan.attempts.len();
    plan.attempts.retain(|candidate| candidate.target.trunk != trunk);
    if plan.attempts.len() < before {
        plan.excluded.push(Excluded { trunk, cause: Exclusion::LostTheParty });
    }
    plan
}

/// An INVITE that says nothing, for a call whose own is not known any more.
fn bare() -> Option<Message> {
    const TEXT: &[u8] =
        b"INVITE sip:nobody@edge.invalid SIP/2.0\r\nVia: SIP/2.0/UDP rescue.invalid;branch=z9hG4bKrescue\r\n\
        Max-Forwards: 70\r\nCall-ID: rescue\r\nCSeq: 1 INVITE\r\nFrom: <sip:nobody@edge.invalid>;tag=rescue\r\n\
        To: <sip:nobody@edge.invalid>\r\nContent-Length: 0\r\n\r\n";
    Message::parse(TEXT.to_vec()).ok()
}

/// What an INVITE said of who calls and how he came here holds for the call in its place as well.
fn says_who(name: HeaderName) -> bool {
    super::refer::goes_along(name) || matches!(name, HeaderName::PAssertedIdentity | HeaderName::PPreferredIdentity)
}

/// The law that a side hears, if it hears one of ours: the first in the description that it was shown.
fn law_of(shown: &[u8]) -> Option<Law> {
    let sdp = Sdp::parse(shown).ok()?;
    let stream = sdp.streams().iter().find(|stream| stream.port != 0)?;
    stream.formats.split(|byte| *byte == b' ').find_map(|payload_type| match payload_type {
        b"8" => Some(Law::A),
        b"0" => Some(Law::Mu),
        _ => None,
    })
}
