//! Redirection: where the contacts of a 3xx may lead, in which order, and how often (RFC 3261 §8.1.3.4, §21.3).
//!
//! A contact is a wish of the trunk that redirects, and is routed as a call of that trunk: a number at our own address goes by its
//! routes, a target of a trunk is called as it stands, and no other host is. Refuses to know: who is called when no contact is good.

use super::attempt::{flow_of, profile_of};
use super::call::{Call, Destination};
use super::hunt::{has_place, is_reachable};
use super::invite::number_of;
use super::{B2bua, World};
use crate::interworking::Crossing;
use crate::profile::{Redirect, Target, bare_number};
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use decide::{Candidate, Facts};
use model::{AttemptOutcome, Begun, TargetId, TrunkId};
use sip::{HeaderLines, HeaderName, Message, NameAddr, SentBy, Transport, Uri};
use smallvec::SmallVec;

/// Contacts followed for one call.
const FOLLOWED_MAX: usize = 5;

/// What redirections have made of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Redirected {
    /// Contacts not yet tried, best first.
    coming: SmallVec<[Contact; 1]>,
    /// URIs that were tried: none is tried twice, or two trunks could send a call to and fro (RFC 3261 §8.1.3.4).
    tried: Vec<Vec<u8>>,
    /// Whose calls were diverted, by number as the edge knows it, and why, the last one first (RFC 5806 §5).
    diverted: Vec<(Vec<u8>, &'static str)>,
}

/// A contact that may be followed.
#[derive(Clone, Debug)]
struct Contact {
    uri: Vec<u8>,
    /// The trunk that redirects.
    by: TrunkId,
    way: Way,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// By the routes of the trunk that redirects.
    Routes,
    /// To this target.
    Target(TargetId),
}

impl B2bua {
    /// An attempt was answered 3xx.
    pub(super) fn redirected(&mut self, world: &mut World<'_>, slot: usize, index: usize, code: u16, said: &Message) {
        let outcome = AttemptOutcome::Redirected { code };
        let Some(call) = self.calls.get(slot) else { return };
        let Some(attempt) = call.attempt(index) else { return };
        let by = attempt.target;
        let policy = world.profiles.trunk(by.trunk).map(|trunk| trunk.redirect).unwrap_or_default();
        // While another attempt runs beside it, that one is as good as a contact.
        let (alone, waits) = (call.running().count() == 1, call.server.is_some());
        match policy {
            Redirect::Follow if alone && self.follow(world, slot, index, code, said) => {
                self.close_attempt(world, slot, index, outcome);
                self.next_contact(world, slot);
            }
            Redirect::Pass if alone && waits => {
                self.close_attempt(world, slot, index, outcome);
                self.refuse_call(world, slot, code, Some(said));
            }
            _ => self.attempt_over(world, slot, index, outcome, Some(said)),
        }
    }

    /// Takes the contacts in that may be followed; false when there are none.
    fn follow(&mut self, world: &World<'_>, slot: usize, index: usize, code: u16, said: &Message) -> bool {
        // RFC 3261 §21.3.5: an alternative service is no other place.
        if code == 380 {
            return false;
        }
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let Some(attempt) = call.attempt(index) else { return false };
        let (by, rang) = (attempt.target.trunk, attempt.progress.is_some());
        let Some(terms) = world.profiles.trunk(by).map(|trunk| &trunk.interworking) else { return false };
        // A number for help is dialled the same everywhere.
        let called = if call.emergency { call.number[..].into() } else { terms.numbers.write(&call.number) };
        let asked = super::headers::request_uri(terms, &called, attempt);
        let whose = match &attempt.to.uri {
            Some(uri) => Uri::parse(uri).map(|uri| terms.numbers.read(uri.user()).into_owned()).unwrap_or_default(),
            None => call.number.clone(),
        };
        if call.redirected.tried.is_empty() {
            call.redirected.tried.push(asked);
        }
        let mut found = SmallVec::new();
        for uri in by_preference(said) {
            let room = FOLLOWED_MAX + 1 > call.redirected.tried.len();
            if room
                && let Some(way) = way(world, by, uri).filter(|_| !call.redirected.tried.iter().any(|old| old == uri))
            {
                call.redirected.tried.push(uri.to_vec());
                found.push(Contact { uri: uri.to_vec(), by, way });
            }
        }
        if found.is_empty() {
            return false;
        }
        call.redirected.coming = found;
        // 305 names a way to the same person, and diverts nothing (RFC 3261 §21.3.4).
        if let Some(reason) = diversion(code, rang, said) {
            call.redirected.diverted.insert(0, (whose, reason));
        }
        self.counters.redirected += 1;
        true
    }

    /// Tries the next contact of a redirection, or goes on with the plan.
    pub(super) fn next_contact(&mut self, world: &mut World<'_>, slot: usize) {
        while let Some(contact) = self.calls.get_mut(slot).and_then(Call::take_contact) {
            match contact.way {
                Way::Target(target)
                    if self.may_go(world, slot, target) && self.may_divert(world, slot, contact.by, &contact.uri) =>
                {
                    let Some((_, addressed)) = profile_of(world, target) else { continue };
                    let to = Destination { flow: flow_of(addressed), uri: Some(contact.uri), routes: Vec::new() };
                    return self.begin_attempt_to(world, slot, target, to, Begun::InTurn, None);
                }
                Way::Target(_) => {}
                Way::Routes => {
                    if self.replan(world, slot, contact.by, &contact.uri) {
                        return self.next_attempt(world, slot);
                    }
                }
            }
        }
        self.next_attempt(world, slot);
    }

    fn may_go(&self, world: &World<'_>, slot: usize, target: TargetId) -> bool {
        let candidate = Candidate { target, tier: 0, health: world.table.health(target) };
        self.calls.get(slot).is_some_and(|call| {
            is_reachable(world, !call.audio.streams.is_empty(), &candidate)
                && has_place(world, call.emergency, &candidate)
        })
    }

    /// A redirection leads where neither the caller's trunk nor the one that redirects may dial: whoever redirects places the call, within its
    /// trunk's limits, and nobody is led around his own. True when it may be gone on with; it is counted then.
    fn may_divert(&mut self, world: &mut World<'_>, slot: usize, by: TrunkId, uri: &[u8]) -> bool {
        let Some(call) = self.calls.get(slot) else { return false };
        let Ok(uri) = Uri::parse(uri) else { return false };
        let known = number_of(world, by, uri.user());
        let Ok(number) = core::str::from_utf8(bare_number(&known)) else { return false };
        let facts = Facts { from: by, number, emergency: call.emergency || world.profiles.is_emergency(&known) };
        let barred = world.profiles.trunk(call.caller.trunk).and_then(|trunk| trunk.inbound.bars(number));
        if let Some(why) = barred.filter(|_| !facts.emergency) {
            let from = call.caller.trunk;
            self.bar(world, from, why);
            return false;
        }
        match self.toll(world, &facts) {
            Ok(toll) => {
                self.count(slot, toll);
                true
            }
            Err(_) => false,
        }
    }

    /// The call goes to another number, by the routes of the trunk that has sent it there.
    fn replan(&mut self, world: &mut World<'_>, slot: usize, from: TrunkId, uri: &[u8]) -> bool {
        if !self.may_divert(world, slot, from, uri) {
            return false;
        }
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let Ok(uri) = Uri::parse(uri) else { return false };
        let known = number_of(world, from, uri.user());
        let Ok(number) = core::str::from_utf8(bare_number(&known)) else { return false };
        let facts = Facts { from, number, emergency: call.emergency || world.profiles.is_emergency(&known) };
        let plan = decide::plan(world.shape, world.table, world.load, &facts, world.now, world.rng);
        let Ok(plan) = plan else { return false };
        call.emergency = facts.emergency;
        call.called = uri.user().to_vec();
        call.number = known.to_vec();
        call.coming = plan.attempts.iter().copied().collect();
        call.find_phones(world, &uri);
        // The first plan stays in the record: it says what was decided for the number that was called.
        true
    }
}

impl Call {
    fn take_contact(&mut self) -> Option<Contact> {
        (!self.redirected.coming.is_empty()).then(|| self.redirected.coming.remove(0))
    }

    /// A contact is left to be tried.
    pub(super) fn has_contact(&self) -> bool {
        !self.redirected.coming.is_empty()
    }
}

impl Redirected {
    /// Whose call it was, for whoever gets it now, and why he does; the last one first.
    pub(super) fn diverted(&self) -> impl Iterator<Item = (&[u8], &'static str)> {
        self.diverted.iter().map(|(number, reason)| (number.as_slice(), *reason))
    }
}

/// The contacts of a 3xx for a caller who shall follow them himself: their numbers at our address, so that he comes to us.
pub(super) fn push_contacts(said: &Message, to: &mut HeaderLines, terms: &Crossing<'_>, sent_by: &SentBy) {
    for value in said.values(HeaderName::Contact).take(FOLLOWED_MAX) {
        let contact = NameAddr::of(value);
        let Ok(uri) = Uri::parse(contact.uri) else { continue };
        let mut out = [&b"<sip:"[..], &terms.number(uri.user()), b"@"].concat();
        out.extend_from_slice(format!("{}{}>", sent_by.host(), sent_by.parameters()).as_bytes());
        if let Some(q) = contact.params.get("q") {
            out.extend([&b";q="[..], q].concat());
        }
        if !uri.user().is_empty() {
            to.push("Contact", &out);
        }
    }
}

/// URIs of a 3xx, the most wanted first (RFC 3261 §20.10: `q` from 0 to 1, 1 when there is none).
fn by_preference(said: &Message) -> Vec<&[u8]> {
    let rank = |contact: &NameAddr<'_>| contact.params.get("q").map_or(1_000, thousandths);
    let mut contacts: Vec<NameAddr<'_>> = said.values(HeaderName::Contact).map(NameAddr::of).collect();
    contacts.sort_by_key(|contact| core::cmp::Reverse(rank(contact)));
    contacts.into_iter().map(|contact| contact.uri).collect()
}

/// `0.7` as 700; what is no number wants nothing.
fn thousandths(q: &[u8]) -> u32 {
    match q.split_first() {
        Some((b'1', _)) => 1_000,
        Some((b'0', rest)) => {
            let digits = rest.strip_prefix(b".").unwrap_or_default().iter().filter(|byte| byte.is_ascii_digit());
            digits.chain(b"000").take(3).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
        }
        _ => 0,
    }
}

/// Whether a contact may be followed, and how.
fn way(world: &World<'_>, by: TrunkId, uri: &[u8]) -> Option<Way> {
    let parsed = Uri::parse(uri).ok()?;
    if parsed.scheme().eq_ignore_ascii_case(b"tel") {
        return Some(Way::Routes);
    }
    // Without a user nobody in particular is called.
    let secure = parsed.scheme().eq_ignore_ascii_case(b"sips");
    if parsed.user().is_empty() || !(secure || parsed.scheme().eq_ignore_ascii_case(b"sip")) {
        return None;
    }
    let is_at = |addr: SocketAddr, by: Transport| parsed.socket_addr(by) == Some(addr);
    let sockets = world.profiles.listens.iter().flat_map(|listen| &listen.sockets);
    let mut ours = sockets.filter_map(|socket| world.endpoint.sent_by(*socket));
    // Our routes may lead by UDP, where `sips:` must not go (RFC 3261 §26.2.2).
    if !secure && ours.any(|ours| ours.is_named_by(&parsed)) {
        return Some(Way::Routes);
    }
    let is_here = |target: &&Target| is_at(target.addr, target.transport) && is_by(&parsed, secure, target.transport);
    // Its own targets first: one of another trunk may have the same address on another listen.
    let others = (0..world.profiles.trunks.len()).filter_map(|index| u16::try_from(index).ok()).map(TrunkId);
    let targets = core::iter::once(by).chain(others).filter_map(|trunk| {
        let target = world.profiles.trunk(trunk)?.targets.iter().find(is_here)?;
        Some(TargetId { trunk, index: target.index })
    });
    targets.map(Way::Target).next()
}

/// Whether a URI may be followed by this transport: what it names, or any when it names none, for a target has been told by the
/// configuration how it is reached.
fn is_by(uri: &Uri<'_>, secure: bool, by: Transport) -> bool {
    let word = by.parameter().unwrap_or("udp").as_bytes();
    let named = uri.params().get("transport").is_none_or(|named| named.eq_ignore_ascii_case(word));
    if secure { by.is_secure() } else { named }
}

/// Why a call was diverted, in the words of RFC 5806 §4; none when it was not.
fn diversion(code: u16, rang: bool, said: &Message) -> Option<&'static str> {
    let told = said.values(HeaderName::Diversion).next().and_then(|value| NameAddr::of(value).params.get("reason"));
    let known = [
        "user-busy",
        "no-answer",
        "unavailable",
        "unconditional",
        "time-of-day",
        "do-not-disturb",
        "deflection",
        "follow-me",
        "out-of-service",
        "away",
    ];
    let told = told.and_then(|told| known.into_iter().find(|known| known.as_bytes().eq_ignore_ascii_case(told)));
    match code {
        305 => None,
        _ if told.is_some() => told,
        302 if rang => Some("deflection"),
        301 | 302 => Some("unconditional"),
        _ => Some("unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_is_a_share_of_one_rfc_3261_20_10() {
        let of = |q: &str| thousandths(q.as_bytes());
        assert_eq!((of("1"), of("1.0"), of("0.7"), of("0.25"), of("0"), of("0.007")), (1_000, 1_000, 700, 250, 0, 7));
        assert_eq!((of(""), of("x"), of("0.x"), of("7")), (0, 0, 0, 0));
    }
}
