//! The rescue of a call whose one party is lost: the other is kept and hears comfort noise, the lost one is called again by another trunk.
//!
//! The lost leg is let go at once, for whoever it leads to must be free to be called. The call to him is an errand, as that of a transfer:
//! planned anew by the routes of the party that is kept, without the trunk that has lost him, and joined by re-INVITE. When nobody can be
//! reached, the party that was kept is told why. Refuses to know: when a call is to be rescued.

use super::call::{Call, Leg, Phase, Side};
use super::invite::number_of;
use super::refer::{description_of, invite_for, stand_in};
use super::transfer::{Bond, Errand, Referral, TRANSFERRED};
use super::{B2bua, World};
use crate::profile::{bare_number, is_urn};
use alloc::vec::Vec;
use decide::{Excluded, Exclusion, Facts, Note, Plan};
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

    /// Lets the lost party go and calls it again; the other one is kept.
    pub(super) fn rescue(&mut self, world: &mut World<'_>, slot: usize, lost: Side) {
        let Some(errand) = self.open_rescue(world, slot, lost) else {
            self.counters.rescues_failed += 1;
            return self.end_both(world, slot, NOT_RESCUED);
        };
        self.stop_listening(slot);
        self.send_bye(world, slot, lost, None, Some(LET_GO));
        let id = self.calls.get(errand).map(|errand| errand.call);
        let Some((call, id)) = self.calls.get_mut(slot).zip(id) else { return };
        call.note(world.now, lost, Note::Called { call: id });
        let kept = call.leg(lost.other()).map(|leg| leg.shown.clone()).unwrap_or_default();
        for stream in call.audio.streams.iter().flatten() {
            let (of_lost, of_kept) = match lost {
                Side::Caller => (stream.caller.0, stream.callee.0),
                Side::Callee => (stream.callee.0, stream.caller.0),
            };
            // Neither is relayed any more: what still comes is of a call that is over.
            world.relay.gate(of_lost, true);
            world.relay.gate(of_kept, true);
        }
        if let (Some(pair), Some(law)) = (call.pair_of(lost.other()), law_of(&kept)) {
            world.relay.comfort(world.now, pair, Some(law));
        }
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
        let (emergency, rescues) = (call.emergency, call.listening.rescues);
        // It has been counted among the calls of its trunk when it was begun.
        let plan = decide::plan(world.shape, world.table, world.load, &facts, world.now, world.rng);
        let plan = plan.map(|plan| without(plan, lost_trunk));
        let id = self.next_call(world.rng);
        let mut errand = Call::open(id, leg, &invite, (&called, &known), plan, world.now);
        errand.emergency = facts.emergency || emergency;
        errand.audio.anchored = anchored;
        errand.listening.rescues = rescues + 1;
        errand.coming.retain(|candidate| !anchored || world.profiles.media_of(candidate.target.trunk).is_some());
        if let Ok(uri) = Uri::parse(&target) {
            errand.find_phones(world, &uri);
        }
        errand.bond = Some(Bond::Errand(Errand { of: Some((slot, lost.other())), ..Errand::default() }));
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
