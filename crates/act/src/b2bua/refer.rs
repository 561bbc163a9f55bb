//! REFER: who asks whom to be called, whether he may, and the call that is placed for it (RFC 3515, RFC 5589, RFC 4488).
//!
//! The edge acts on it itself, so that nobody else need understand it: it calls the target by its own routes, as a call from the
//! transferor's trunk, and never goes where the URI alone says. With `pass` the other party gets it, in its own dialog's words.
//! Refuses to know: how the parties are joined once the target has answered.

use super::between::Sought;
use super::call::{Call, Leg, Phase, Side};
use super::invite::number_of;
use super::replaces::{Replaced, Replaces};
use super::transfer::{Bond, Errand, Referral};
use super::{B2bua, Effect, World, body};
use crate::profile::{Transfer, bare_number, is_urn};
use alloc::format;
use alloc::vec::Vec;
use decide::{Facts, NoPlan};
use media::sdp::Sdp;
use model::ShardId;
use sip::{Answer, HeaderName, Message, Method, NameAddr, ServerKey, Uri};

/// Transfers under way in a shard at once.
const TRANSFERS_MAX: usize = 1_024;

/// What a REFER asks for.
pub(super) struct Wanted {
    /// Request URI of the call to be placed, its own headers left out.
    pub(super) target: Vec<u8>,
    /// The dialog that the call shall take the place of, as written.
    pub(super) replaces: Option<Vec<u8>>,
}

impl Wanted {
    /// Reads Refer-To.
    ///
    /// # Errors
    /// The code for whoever sent it.
    pub(super) fn of(refer: &Message) -> Result<Self, u16> {
        let mut values = refer.values(HeaderName::ReferTo);
        // RFC 3515 §2.4.2: exactly one.
        let (Some(value), None) = (values.next(), values.next()) else { return Err(400) };
        let written = NameAddr::of(value).uri;
        let uri = Uri::parse(written).map_err(|_| 400_u16)?;
        let is_ours = [&b"sip"[..], b"sips", b"tel"].iter().any(|scheme| uri.scheme().eq_ignore_ascii_case(scheme));
        if !is_ours && !is_urn(written) {
            return Err(416);
        }
        // A URI may ask for another method (RFC 3261 §19.1.1); nothing but a call is placed for anybody.
        if uri.params().get("method").is_some_and(|method| !method.eq_ignore_ascii_case(b"INVITE")) {
            return Err(501);
        }
        let replaces = Replaces::in_uri(uri.headers());
        let end = written.len() - uri.headers().len();
        let target = written[..end].strip_suffix(b"?").unwrap_or(&written[..end]);
        Ok(Self { target: target.to_vec(), replaces })
    }
}

impl B2bua {
    /// A REFER inside a call.
    pub(super) fn refer(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
    ) {
        let Some(leg) = self.calls.get(slot).and_then(|call| call.leg(side)) else { return };
        let policy = world.profiles.trunk(leg.trunk).map(|trunk| trunk.transfer).unwrap_or_default();
        let wanted = match (policy, Wanted::of(message)) {
            (Transfer::Refuse, _) => Err(603),
            (_, wanted) => wanted,
        };
        match wanted {
            Err(code) => self.refuse_refer(world, server, code),
            Ok(_) if policy == Transfer::Pass => self.relay_request(world, slot, side, server, message),
            Ok(wanted) => self.transfer(world, slot, side, server, message, &wanted),
        }
    }

    /// Refer-To as the other party shall see it: the number at our address, so that its call comes to us; a dialog of ours by the name that
    /// the far party of that call knows.
    pub(super) fn refer_to(&self, world: &World<'_>, slot: usize, side: Side, message: &Message) -> Option<Vec<u8>> {
        let wanted = Wanted::of(message).ok().filter(|_| message.method() == Method::Refer)?;
        let leg = self.calls.get(slot)?.leg(side.other())?;
        let sent_by = world.endpoint.sent_by(leg.flow.socket)?;
        let uri = Uri::parse(&wanted.target).ok()?;
        let mut out = b"<sip:".to_vec();
        if !uri.user().is_empty() {
            out.extend([uri.user(), b"@"].concat());
        }
        out.extend_from_slice(format!("{}{}", sent_by.host(), sent_by.parameters()).as_bytes());
        if let Some(written) = wanted.replaces.as_deref().and_then(Replaces::parse) {
            let name = self.mapped(&written).unwrap_or(written);
            out.extend([&b"?Replaces="[..], &name.escaped()].concat());
        }
        out.push(b'>');
        Some(out)
    }

    fn refuse_refer(&mut self, world: &mut World<'_>, server: ServerKey, code: u16) {
        self.counters.transfers_refused += 1;
        if matches!(code, 500 | 503) { world.refuse_for_now(server, code) } else { world.refuse(server, code) }
    }

    /// Acts on it: accepted, and the call to the target begun.
    fn transfer(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
        wanted: &Wanted,
    ) {
        if let Err(code) = self.may_transfer(slot) {
            return self.refuse_refer(world, server, code);
        }
        let name = wanted.replaces.as_deref().and_then(Replaces::parse);
        let named = name.as_ref().and_then(|name| self.replaced(name));
        let apart = if named.is_none() { wanted.shard(world) } else { None };
        // RFC 3891 §9: who knows the name of a dialog is not yet its party. A name that we have told its trunk ourselves is its own.
        let asks = self.calls.get(slot).and_then(|call| call.leg(side)).map(|leg| (leg.trunk, leg.flow));
        let Some((trunk, flow)) = asks else { return };
        if named.as_ref().is_some_and(|found| !self.is_partys(found, trunk)) {
            self.counters.foreign_requests += 1;
            world.out.push(Effect::Foreign(flow));
            return self.refuse_refer(world, server, 403);
        }
        // A call cannot be joined with itself, nor with one that is being joined already.
        let taken = |found: &Replaced| self.calls.get(found.slot).is_none_or(Call::is_occupied);
        if named.as_ref().is_some_and(|found| found.slot == slot || found.confirmed && taken(found)) {
            return self.refuse_refer(world, server, 491);
        }
        let Some(errand) = self.open_errand(world, (slot, side), message, wanted, named, apart) else {
            return self.refuse_refer(world, server, 500);
        };
        // RFC 4488 §4: who wants no subscription gets 200, and is told of nothing.
        let told =
            !message.named("Refer-Sub").is_some_and(|value| NameAddr::of(value).uri.eq_ignore_ascii_case(b"false"));
        let mut answer = Answer::new(if told { 202 } else { 200 });
        if let Some(sent_by) = self.calls.get(slot).and_then(|call| world.endpoint.sent_by(call.leg(side)?.flow.socket))
        {
            super::headers::push_contact(&mut answer.headers, &sent_by);
        }
        if !told {
            answer.headers.push("Refer-Sub", b"false");
        }
        world.endpoint.respond(world.now, server, answer);
        self.counters.transfers += 1;
        self.transfers += 1;
        let Some(call) = self.calls.get_mut(slot) else { return };
        if let Some(leg) = call.leg_mut(side) {
            leg.dialog.refresh_target(message);
        }
        call.bond = Some(Bond::Referral(Referral {
            by: side,
            errand,
            id: message.cseq().number,
            told,
            last: 100,
            rescues: None,
        }));
        // RFC 3515 §2.4.4: the first one at once.
        self.notify(world, slot, 100);
        match (named.filter(|found| found.confirmed), apart) {
            (Some(found), _) => self.fetch(world, errand, found),
            (None, Some(shard)) => self.call_shard(world, errand, shard),
            (None, None) => {
                if let Some(found) = named {
                    // It still rings: the one who called leaves, and the target is called anew.
                    self.abandon(world, found.slot, None);
                }
                self.begin(world, errand);
            }
        }
    }

    /// A call is transferred when it is answered and nothing else happens to it.
    fn may_transfer(&self, slot: usize) -> Result<(), u16> {
        let call = self.calls.get(slot).ok_or(481_u16)?;
        match call.phase {
            Phase::Up if call.is_occupied() => Err(491),
            Phase::Up if self.draining || self.calls.len() >= self.limit || self.transfers >= TRANSFERS_MAX => Err(503),
            Phase::Up => Ok(()),
            Phase::Trying | Phase::Ringing => Err(500),
        }
    }

    /// The call to the target, on behalf of the party that stays.
    fn open_errand(
        &mut self,
        world: &mut World<'_>,
        (slot, by): (usize, Side),
        refer: &Message,
        wanted: &Wanted,
        named: Option<Replaced>,
        apart: Option<ShardId>,
    ) -> Option<usize> {
        let call = self.calls.get(slot)?;
        let (stays, asks) = (call.leg(by.other())?, call.leg(by)?);
        let from = asks.trunk;
        // A name that nobody here knows may be known to the target; one of ours would tell it nothing.
        let replaces = wanted.replaces.as_deref().filter(|_| named.is_none());
        let invite = invite_for(refer, stays, &wanted.target, description_of(call, asks), replaces, goes_along)?;
        let uri = Uri::parse(&wanted.target).ok()?;
        let called = if is_urn(&wanted.target) { &wanted.target[..] } else { uri.user() };
        let known = number_of(world, from, called);
        let number = core::str::from_utf8(bare_number(&known)).ok()?;
        let facts = Facts { from, number, emergency: world.profiles.is_emergency(&known) };
        let leg = stand_in(world, stays);
        let (trunk, anchored) = (leg.trunk, call.audio.anchored);
        let is_there = apart.is_some() || named.is_some_and(|found| found.confirmed);
        // The target is in a call already, which has been counted. Else a transfer is a call of whoever asks for it, and within what his
        // trunk may dial.
        let joins = || (None, Err(NoPlan::Joined { other: None }));
        let (toll, plan) = if is_there { joins() } else { self.plan_of(world, &facts) };
        let id = self.next_call(world.rng);
        let mut errand = Call::open(id, leg, &invite, (called, &known), plan, world.now);
        errand.emergency = facts.emergency;
        errand.tolls.extend(toll);
        errand.audio.anchored = anchored;
        // What was anchored for one party is anchored for the other.
        errand.coming.retain(|candidate| !anchored || world.profiles.media_of(candidate.target.trunk).is_some());
        errand.find_phones(world, &uri);
        let sought = if apart.is_some() { Sought::There } else { Sought::Here };
        errand.bond = Some(Bond::Errand(Errand { of: Some((slot, by.other())), sought, ..Errand::default() }));
        self.retries.call(world.now);
        let errand = self.calls.insert(errand);
        super::invite::count_in(world, trunk);
        Some(errand)
    }
}

/// A leg in the place of one that belongs to another call still: nothing is sent by it, and nobody finds it.
pub(super) fn stand_in(world: &mut World<'_>, leg: &Leg) -> Leg {
    let mut leg = leg.clone();
    leg.dialog.local_tag = world.endpoint.minter().tag().as_bytes().to_vec();
    (leg.acking, leg.gone) = (None, true);
    leg.keeping.end();
    leg
}

/// What the party that stays said last of its audio, as the one who asks was shown it; held audio is offered anew.
pub(super) fn description_of(call: &Call, shown_to: &Leg) -> Vec<u8> {
    // Keys of ours that it has are of use to nobody else.
    let clear = Sdp::parse(&shown_to.shown).ok().filter(|_| call.audio.locks.used).map(|sdp| sdp.unlocked());
    let shown = clear.as_ref().unwrap_or(&shown_to.shown);
    let is_hold = |line: &&[u8]| {
        [&b"a=sendonly"[..], b"a=recvonly", b"a=inactive"].iter().any(|hold| line.trim_ascii_end() == *hold)
    };
    shown.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_hold(line)).collect::<Vec<_>>().concat()
}

/// The INVITE as the party that stays would have sent it.
/// What it says besides is what `takes` takes of the message that asks for it.
pub(super) fn invite_for(
    refer: &Message,
    stays: &Leg,
    target: &[u8],
    sdp: Vec<u8>,
    replaces: Option<&[u8]>,
    takes: fn(HeaderName) -> bool,
) -> Option<Message> {
    let mut text =
        [b"INVITE ", target, b" SIP/2.0\r\nVia: SIP/2.0/UDP errand.invalid;branch=z9hG4bKerrand\r\n"].concat();
    let hops = refer.max_forwards().unwrap_or(70);
    text.extend_from_slice(format!("Max-Forwards: {hops}\r\nCall-ID: errand\r\nCSeq: 1 INVITE\r\n").as_bytes());
    text.extend([&b"From: "[..], &stays.dialog.remote_uri, b";tag=errand\r\nTo: <", target, b">\r\n"].concat());
    for header in refer.headers().filter(|header| takes(header.name)) {
        text.extend_from_slice(header.line);
    }
    if let Some(name) = replaces {
        let line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        if !name.iter().any(line_end) {
            text.extend([b"Replaces: ", name, b"\r\n"].concat());
        }
    }
    if !sdp.is_empty() {
        text.extend_from_slice(b"Content-Type: application/sdp\r\n");
    }
    text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", sdp.len()).as_bytes());
    text.extend_from_slice(&sdp);
    Message::parse(text).ok().filter(|invite| sdp.is_empty() || body::description(invite).is_some())
}

/// What a REFER says of the call to come (RFC 3892, RFC 5806, RFC 7044, RFC 7433). What it says of its sender stays with it.
pub(super) const fn goes_along(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::ReferredBy
            | HeaderName::Diversion
            | HeaderName::HistoryInfo
            | HeaderName::UserToUser
            | HeaderName::Reason
            | HeaderName::Privacy
    )
}
