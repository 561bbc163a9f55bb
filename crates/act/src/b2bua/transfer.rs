//! A transfer on its way: the target rings, answers, is joined with the party that stays; or fails, and the call is as it was.
//!
//! The call to the target is a call of its own (an *errand*) whose caller's side is empty until the party that stays has agreed to its
//! audio by re-INVITE: up to there nothing of the transferred call has changed, so that every failure leads back to the transferor
//! (RFC 5589 §6.3). An attended transfer is the same, with a re-INVITE to the far party of the other call in place of the hunt. Refuses to
//! know: how the target is found.

use super::ask::Asked;
use super::between::{Half, Sought};
use super::call::{Call, Leg, Phase, Side};
use super::challenge::Again;
use super::ended::Ending;
use super::refer::stand_in;
use super::replaces::{Replaced, Replaces};
use super::{B2bua, Due, Effect, World, body, headers, party};
use crate::profile::Transfer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use model::{Instant, TrunkId};
use sip::{Answer, ClientKey, Flow, HeaderName, Message, Method, ServerKey};
use smallvec::SmallVec;

/// Why a transferor is let go (RFC 3326).
pub(super) const TRANSFERRED: &str = "the call was transferred";
/// Why the one whose place another took is let go.
const REPLACED: &str = "another took the place of this leg";

/// What a call has to do with another one.
#[derive(Clone, Debug)]
pub(super) enum Bond {
    /// One of its parties wants the other to be transferred.
    Referral(Referral),
    /// It is the call for it.
    Errand(Errand),
    /// Its far party is being fetched, by the errand in this place.
    Consulted(usize),
}

/// A transfer as the transferred call holds it.
#[derive(Clone, Debug)]
pub(super) struct Referral {
    /// Who asked.
    pub(super) by: Side,
    /// Place of the call to the target.
    pub(super) errand: usize,
    /// CSeq number of the REFER.
    pub(super) id: u32,
    /// Who asked is told how it goes.
    pub(super) told: bool,
    /// What it was told last.
    pub(super) last: u16,
    /// Nobody asked: the party was lost then, and is called again.
    pub(super) rescues: Option<Instant>,
}

/// The call to the target.
#[derive(Clone, Debug, Default)]
pub(super) struct Errand {
    /// The call that is transferred, and its party that stays; none when the caller himself takes another's place (RFC 3891).
    pub(super) of: Option<(usize, Side)>,
    /// The call whose far party is fetched, and which side that is.
    pub(super) from: Option<(usize, Side)>,
    /// The re-INVITE under way.
    pub(super) asked: Option<Asked>,
    /// It met another one, and goes out again when a moment has passed.
    pub(super) met: Option<Box<Again>>,
    /// How often it has.
    pub(super) glared: u8,
    /// Where the target is looked for.
    pub(super) sought: Sought,
    /// The target has hung up while the party that stays was asked.
    pub(super) hung_up: bool,
}

impl Errand {
    /// The call whose party is asked, and which side that is.
    pub(super) fn whom(&self) -> Option<(usize, Side)> {
        self.from.or(self.of)
    }
}

impl Call {
    pub(super) const fn referral(&self) -> Option<&Referral> {
        if let Some(Bond::Referral(referral)) = &self.bond { Some(referral) } else { None }
    }

    pub(super) const fn referral_mut(&mut self) -> Option<&mut Referral> {
        if let Some(Bond::Referral(referral)) = &mut self.bond { Some(referral) } else { None }
    }

    pub(super) const fn errand(&self) -> Option<&Errand> {
        if let Some(Bond::Errand(errand)) = &self.bond { Some(errand) } else { None }
    }

    pub(super) const fn errand_mut(&mut self) -> Option<&mut Errand> {
        if let Some(Bond::Errand(errand)) = &mut self.bond { Some(errand) } else { None }
    }

    /// It awaits this response for its errand.
    pub(super) fn is_bound_by(&self, client: ClientKey) -> bool {
        self.errand().and_then(|errand| errand.asked.as_ref()).is_some_and(|asked| asked.client == client)
    }

    /// Something else happens to it, which must be over first.
    pub(super) fn is_occupied(&self) -> bool {
        let waits = |leg: &Leg| leg.acking.is_some() || leg.keeping.invites();
        self.bond.is_some()
            || self.exchange.is_some()
            || self.offer_is_open()
            || self.owes_ack.is_some()
            || self.callee.iter().chain([&self.caller]).any(waits)
    }
}

impl B2bua {
    /// Whose place an INVITE with Replaces takes (RFC 3891 §3); nobody's, when it is an ordinary one.
    ///
    /// # Errors
    /// The code for whoever sent it.
    pub(super) fn taken_over(
        &mut self,
        world: &mut World<'_>,
        caller: &Leg,
        message: &Message,
    ) -> Result<Option<Replaced>, u16> {
        let name = Replaces::of(message).map_err(|_| 400_u16)?;
        if caller.is_between_shards() {
            return self.taken_by_shard(world, &name.ok_or(481_u16)?, message).map(Some);
        }
        let Some(name) = name else { return Ok(None) };
        let found = self.replaced(&name).ok_or(481_u16)?;
        let call = self.calls.get(found.slot).ok_or(481_u16)?;
        // What rings for him who leaves rings at the far party: there is nothing to be taken over yet.
        if !found.confirmed {
            return Err(481);
        }
        if name.early_only {
            return Err(486);
        }
        let leaves = call.leg(found.leaves).map(|leg| leg.trunk).ok_or(481_u16)?;
        // RFC 3891 §9: who may take a place is he whose it is, or whom his trunk may send.
        let is_half = leaves == TrunkId::BETWEEN_SHARDS;
        let sent = world.profiles.trunk(leaves).is_some_and(|trunk| trunk.transfer == Transfer::Pass) && !is_half;
        if leaves != caller.trunk && !sent {
            self.counters.foreign_requests += 1;
            world.out.push(Effect::Foreign(caller.flow));
            return Err(403);
        }
        if call.is_occupied() {
            return Err(491);
        }
        Ok(Some(found))
    }

    /// The same for what another shard asks on behalf of a transferor who is there: of a name of his own trunk, as for one who is here. What
    /// still rings for him is left, and he hears that there is no such call: the target is called anew.
    fn taken_by_shard(&mut self, world: &mut World<'_>, name: &Replaces, message: &Message) -> Result<Replaced, u16> {
        let asks = Half::of(message).map(|half| half.asks).ok_or(400_u16)?;
        let found = self.replaced(name).ok_or(481_u16)?;
        if !self.is_partys(&found, asks) {
            self.counters.foreign_requests += 1;
            return Err(403);
        }
        if !found.confirmed {
            self.abandon(world, found.slot, None);
            return Err(481);
        }
        if self.calls.get(found.slot).is_none_or(Call::is_occupied) {
            return Err(491);
        }
        Ok(found)
    }

    /// Fetches the far party of another call: it is offered what our caller said of its audio.
    pub(super) fn fetch(&mut self, world: &mut World<'_>, slot: usize, found: Replaced) {
        let side = found.leaves.other();
        let there = self.calls.get(found.slot).and_then(|call| call.leg(side)).cloned();
        let callee = there.as_ref().map(|leg| stand_in(world, leg));
        let trunk = callee.as_ref().map(|leg| leg.trunk);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let may = trunk.is_some_and(|trunk| {
            world.profiles.media_of(trunk).is_some() && world.profiles.media_of(call.caller.trunk).is_some()
        });
        // The other half has shown us a port of its own, or its party's address: audio is anchored by both halves or by none.
        let is_half = call.caller.is_between_shards();
        let at_odds = is_half && call.audio.anchored && !may;
        call.audio.anchored = may && (call.audio.anchored || !is_half);
        call.callee = callee;
        if let Some(trunk) = trunk {
            super::invite::count_in(world, trunk);
        }
        let errand = call.bond.get_or_insert_with(|| Bond::Errand(Errand::default()));
        if let Bond::Errand(errand) = errand {
            errand.from = Some((found.slot, side));
        }
        if let Some(other) = self.calls.get_mut(found.slot) {
            other.bond = Some(Bond::Consulted(slot));
        }
        let Some(invite) = self.calls.get_mut(slot).and_then(|call| call.invite.take()) else { return };
        let offer = if at_odds { Err(488) } else { self.bridge_offer(world, slot, Side::Caller, &invite) };
        let asked = offer.and_then(|body| self.ask(world, slot, (found.slot, side), &invite, body).ok_or(500));
        if let Err(code) = asked {
            self.errand_over(world, slot, code);
        }
    }

    /// The target of a transfer rings.
    pub(super) fn target_rings(&mut self, world: &mut World<'_>, slot: usize, message: &Message) {
        let Some((of, _)) = self.calls.get(slot).and_then(|call| call.errand()?.of) else { return };
        let code = message.status().filter(|code| (101..200).contains(code)).unwrap_or(180);
        let news = self.calls.get_mut(of).and_then(Call::referral_mut).filter(|referral| referral.last != code);
        if let Some(referral) = news {
            referral.last = code;
            self.notify(world, of, code);
        }
    }

    /// The target has answered: the party that stays is asked.
    pub(super) fn target_answered(&mut self, world: &mut World<'_>, slot: usize, message: &Message) {
        let Some(errand) = self.calls.get(slot).and_then(Call::errand) else { return };
        // Who was to have it has left meanwhile.
        let Some((of, stays)) = errand.of else { return self.errand_failed(world, slot, 480) };
        if self.needs_no_offer(slot, (of, stays)) {
            return self.is_joined(world, slot, (of, stays), None);
        }
        let here = self.calls.get(of).and_then(|call| call.leg(stays)).map(|leg| leg.version);
        if let (Some(call), Some(version)) = (self.calls.get_mut(slot), here) {
            // What was written for it here so far was shown to nobody (RFC 3264 §8: one more than it knows).
            call.caller.version = version;
            call.caller.shown.clear();
        }
        self.note_half(slot, message);
        let offer = self.bridge_offer(world, slot, Side::Callee, message);
        self.accept_offer(world, slot);
        let asked = match offer {
            Ok(offer) if !offer.is_empty() => self.ask(world, slot, (of, stays), message, offer).ok_or(500),
            _ => Err(488),
        };
        if let Err(code) = asked {
            self.errand_over(world, slot, code);
        }
    }

    /// A party that was asked by re-INVITE answers.
    pub(super) fn bond_response(&mut self, world: &mut World<'_>, slot: usize, code: u16, message: &Message) {
        if code < 200 {
            return;
        }
        let Some(errand) = self.calls.get_mut(slot).and_then(Call::errand_mut) else { return };
        let (Some(mut asked), from, of) = (errand.asked.take(), errand.from, errand.of) else { return };
        self.by_client.remove(&asked.client);
        if self.ask_signed(world, slot, &mut asked, message) {
            return;
        }
        match (code, from, of) {
            (200..=299, Some(from), _) => self.fetched(world, slot, from, &asked, message),
            (200..=299, None, Some(of)) => self.joined(world, slot, of, &asked, message),
            (491, ..) if self.ask_later(world, slot, &mut asked) => {}
            _ => {
                self.errand_over(world, slot, code);
                // RFC 3261 §12.2.1.2: the dialog is gone on the far side.
                if let (408 | 481, Some((of, _))) = (code, from.or(of)) {
                    self.end_both(world, of, "the far side no longer knows the call");
                }
            }
        }
    }

    /// The far party of the other call agrees: it is ours, and the one who had called it is let go.
    fn fetched(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        (from, side): (usize, Side),
        asked: &Asked,
        message: &Message,
    ) {
        self.accept_offer(world, slot);
        self.take_tolls(slot, from);
        let Some((mut leg, leaves)) = self.part_company(world, from, side, REPLACED) else { return };
        leg.dialog.refresh_target(message);
        leg.signed.clone_from(&asked.again.signed);
        let (client, cseq) = (asked.client, asked.cseq);
        let (to, ack) = (leg.way(), leg.ack(cseq));
        let (tag, trunk) = (leg.dialog.local_tag.clone(), leg.trunk);
        self.let_go(world, leaves, None, REPLACED);
        let Some(call) = self.calls.get_mut(slot) else { return };
        if call.late_offer && body::description(message).is_some() {
            call.owes_ack = Some((client, cseq));
        } else {
            world.endpoint.ack(world.now, client, to, ack);
        }
        if let Some(stand_in) = call.callee.take() {
            (leg.session, leg.version, leg.shown) = (stand_in.session, stand_in.version, stand_in.shown);
        }
        call.callee = Some(leg);
        (call.phase, call.answered) = (Phase::Up, Some(world.now));
        (call.invite, call.coming) = (None, SmallVec::new());
        if let Some(errand) = call.errand_mut() {
            errand.from = None;
        }
        self.by_tag.insert(tag, (slot, Side::Callee));
        self.setting_up.remove(&slot);
        self.drop_faces(slot);
        self.renew_by_response(world, slot, Side::Callee, message);
        let longest = world.profiles.trunk(trunk).map(|trunk| trunk.session_max);
        let timer = longest.and_then(|longest| self.set_timer(slot, 0, world.now + longest, Due::Session));
        let Some(call) = self.calls.get_mut(slot) else { return };
        call.session_timer = timer;
        if call.server.is_none() {
            return self.target_answered(world, slot, message);
        }
        call.bond = None;
        self.counters.transferred += 1;
        let body = self.bridge(world, slot, Side::Callee, message).unwrap_or_default();
        self.answer_caller(world, slot, message, message, body);
        self.counters.answered += 1;
    }

    /// The party that stays agrees: the errand becomes its call, and the transferor is told and let go.
    fn joined(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        (of, stays): (usize, Side),
        asked: &Asked,
        message: &Message,
    ) {
        if let Some(leg) = self.calls.get_mut(of).and_then(|call| call.leg_mut(stays)) {
            leg.dialog.refresh_target(message);
            leg.signed.clone_from(&asked.again.signed);
            world.endpoint.ack(world.now, asked.client, leg.way(), leg.ack(asked.cseq));
        }
        let body = self.bridge(world, slot, Side::Caller, message).unwrap_or_default();
        self.is_joined(world, slot, (of, stays), Some((message, body)));
    }

    /// The errand becomes the call of the party that stays, which has answered an offer, or needed none.
    fn is_joined(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        (of, stays): (usize, Side),
        answered: Option<(&Message, Vec<u8>)>,
    ) {
        self.take_tolls(slot, of);
        let told = self.notify(world, of, 200);
        let why = self.bond_ends(world, of, Ok(()));
        let Some((mut leg, leaves)) = self.part_company(world, of, stays, why) else { return };
        self.let_go(world, leaves, told, why);
        let tag = leg.dialog.local_tag.clone();
        let Some(call) = self.calls.get_mut(slot) else { return };
        if answered.is_some() {
            (leg.session, leg.version) = (call.caller.session, call.caller.version);
            leg.shown = core::mem::take(&mut call.caller.shown);
        }
        world.out.push(Effect::Leg(call.call, leg.dialog.call_id.clone()));
        call.caller = leg;
        let hung_up = matches!(call.bond.take(), Some(Bond::Errand(errand)) if errand.hung_up);
        if let (Some((client, cseq)), Some(leg)) = (call.owes_ack.take(), call.callee.as_ref()) {
            let mut ack = leg.ack(cseq);
            if let Some((message, body)) = answered.as_ref().filter(|(_, body)| !body.is_empty()) {
                headers::push_body_type(message, &mut ack.headers);
                ack.body.clone_from(body);
            }
            world.endpoint.ack(world.now, client, leg.way(), ack);
        }
        self.by_tag.insert(tag, (slot, Side::Caller));
        match answered {
            Some((message, _)) => self.renew_by_response(world, slot, Side::Caller, message),
            None => self.keep_on(slot, Side::Caller),
        }
        self.listen(world, slot);
        if hung_up {
            self.send_bye(world, slot, Side::Caller, None, None);
            self.finish(world, slot, Ending::Bye(Side::Callee));
        }
    }

    /// What a call was counted for goes on in the one that takes its party.
    fn take_tolls(&mut self, slot: usize, from: usize) {
        let tolls = self.calls.get_mut(from).map(|call| core::mem::take(&mut call.tolls)).unwrap_or_default();
        self.count(slot, tolls);
    }

    /// A request inside a dialog that no call has: a transferor that leaves by itself, or nobody.
    pub(super) fn request_unknown(&mut self, world: &mut World<'_>, server: ServerKey, flow: Flow, message: &Message) {
        let is_its = |leg: &Leg| leg.dialog.matches(message) && party::is_party(world, leg, flow);
        let leaves = self.leaving.iter().find(|(_, leg)| is_its(leg)).map(|(client, _)| *client);
        if let (Some(client), Method::Bye) = (leaves, message.method()) {
            self.leaving.remove(&client);
            return self.respond_ok(world, server);
        }
        self.counters.unknown_dialogs += 1;
        world.refuse(server, 481);
    }

    fn respond_ok(&self, world: &mut World<'_>, server: ServerKey) {
        world.endpoint.respond(world.now, server, Answer::new(200));
    }

    /// A request inside a call that is part of a transfer; false when it goes the ordinary way.
    pub(super) fn request_in_transfer(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
    ) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let leaves = match &call.bond {
            None => return false,
            Some(Bond::Referral(referral)) => Some(referral.by),
            Some(Bond::Consulted(errand)) => {
                let errand = *errand;
                let from = self.calls.get(errand).and_then(|call| call.errand()?.from);
                from.map(|(_, stays)| stays.other())
            }
            Some(Bond::Errand(_)) => return self.request_in_errand(world, slot, server, message),
        };
        let gone = |side: Side, b2bua: &Self| {
            b2bua.calls.get(slot).and_then(|call| call.leg(side)).is_some_and(|leg| leg.gone)
        };
        let is_offer = message.method() == Method::Invite
            || message.method() == Method::Update && body::description(message).is_some();
        match message.method() {
            Method::Options => false,
            // RFC 5589 §6.1: the transferor need not wait; the party that stays stays.
            Method::Bye if leaves == Some(side) => {
                self.respond_ok(world, server);
                if let Some(leg) = self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)) {
                    leg.gone = true;
                }
                true
            }
            Method::Bye => false,
            Method::Subscribe if leaves == Some(side) && super::notify::is_refer_package(message) => {
                let expires = message.header(HeaderName::Expires).and_then(|value| core::str::from_utf8(value).ok());
                self.respond_ok(world, server);
                self.resubscribe(world, slot, side, expires.and_then(|value| value.trim().parse().ok()));
                true
            }
            _ if is_offer => {
                self.counters.glare += 1;
                world.refuse(server, 491);
                true
            }
            _ if gone(side.other(), self) => {
                world.refuse_for_now(server, 500);
                true
            }
            _ => false,
        }
    }

    /// The target says something before it is joined to anybody.
    fn request_in_errand(&mut self, world: &mut World<'_>, slot: usize, server: ServerKey, message: &Message) -> bool {
        match message.method() {
            Method::Options => return false,
            Method::Bye => {
                self.respond_ok(world, server);
                // The party that stays has been asked, and its answer must be waited for.
                if let Some(call) = self.calls.get_mut(slot) {
                    if let Some(leg) = call.callee.as_mut() {
                        leg.gone = true;
                    }
                    if let Some(errand) = call.errand_mut() {
                        errand.hung_up = true;
                    }
                }
            }
            Method::Invite | Method::Update => world.refuse(server, 491),
            _ => world.refuse_for_now(server, 500),
        }
        true
    }

    /// The target cannot be had; whoever called for himself is refused, a transferor keeps his call.
    pub(super) fn errand_over(&mut self, world: &mut World<'_>, slot: usize, code: u16) {
        if let Some(call) = self.calls.get(slot).filter(|call| call.server.is_some()) {
            return self.refuse_call(world, slot, call.told_other_half(code), None);
        }
        self.errand_failed(world, slot, code);
    }

    /// The call to a transfer's target has failed: the transferor is told, and the call is as it was.
    pub(super) fn errand_failed(&mut self, world: &mut World<'_>, slot: usize, code: u16) {
        if self.shard_refused(world, slot) {
            return;
        }
        let of = self.calls.get(slot).and_then(|call| call.errand()?.of);
        self.unbind_errand(slot);
        self.drop_pending(world, slot);
        self.send_bye(world, slot, Side::Callee, None, Some("the transfer failed"));
        self.finish(world, slot, Ending::Refused(code));
        let Some((of, stays)) = of else { return };
        self.notify(world, of, if matches!(code, 401 | 407) { 403 } else { code });
        let why = self.bond_ends(world, of, Err(code));
        let Some(call) = self.calls.get_mut(of) else { return };
        call.bond = None;
        if call.leg(stays.other()).is_some_and(|leg| leg.gone) {
            self.end_both(world, of, why);
        }
    }

    /// It waits for the far party of another call.
    pub(super) fn is_fetching(&self, slot: usize) -> bool {
        let errand = self.calls.get(slot).and_then(Call::errand);
        errand.is_some_and(|errand| errand.from.is_some() && errand.asked.is_some())
    }

    /// Takes an errand's bond away, and what hangs on it elsewhere.
    fn unbind_errand(&mut self, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(Bond::Errand(errand)) = call.bond.take() else { return };
        if let Some(asked) = errand.asked {
            self.by_client.remove(&asked.client);
        }
        if let Some(other) = errand.from.and_then(|(from, _)| self.calls.get_mut(from)) {
            other.bond = None;
        }
    }

    /// A call ends that has to do with another one.
    pub(super) fn drop_bond(&mut self, world: &mut World<'_>, slot: usize) {
        match self.calls.get_mut(slot).map(|call| (call.bond.take(), call.server.is_some())) {
            Some((Some(Bond::Referral(referral)), _)) => {
                self.transfers = self.transfers.saturating_sub(1);
                match referral.rescues {
                    Some(_) => self.counters.rescues_failed += 1,
                    None => self.counters.transfers_failed += 1,
                }
                if self.is_fetching(referral.errand) {
                    // Its far party has been asked already, and the answer decides what is to be ended.
                    if let Some(errand) = self.calls.get_mut(referral.errand).and_then(Call::errand_mut) {
                        errand.of = None;
                    }
                    return;
                }
                self.unbind_errand(referral.errand);
                self.drop_pending(world, referral.errand);
                self.send_bye(world, referral.errand, Side::Callee, None, Some("the transferred party has left"));
                self.abandon(world, referral.errand, None);
            }
            Some((Some(Bond::Consulted(errand)), _)) => self.errand_over(world, errand, 480),
            Some((bond @ Some(Bond::Errand(_)), _)) => {
                if let Some(call) = self.calls.get_mut(slot) {
                    call.bond = bond;
                }
                self.unbind_errand(slot);
            }
            _ => {}
        }
    }
}
