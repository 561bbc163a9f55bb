//! MESSAGE outside a call: routed like one, but a single request and its answer (RFC 3428 §6, page mode).
//!
//! The plan is that of a call; a target that cannot take it now gives way to the next. Registered phones send them as they call, and get them
//! one after the other until one takes it, the preferred first: a text that rings nobody need not be on every desk. It says nothing about a
//! trunk's health, and takes no place of a call. Refuses to know: what it says.

use super::invite::number_of;
use super::phones::{Way, unfold};
use super::way::destination_of;
use super::{B2bua, World, headers};
use crate::interworking::{Shown, cannot_hide};
use crate::profile::{Challenge, bare_number, is_urn};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use decide::{Candidate, Facts, NoPlan};
use model::{AttemptOutcome, Instant, Span, TargetId, TrunkId};
use sip::auth;
use sip::{Answer, ClientKey, Draft, Failure, Flow, Message, Method, ServerKey, TimerSet, Uri};
use smallvec::SmallVec;

/// Messages under way in a shard at once.
const PAGES_MAX: usize = 1_024;

/// How long a target may take. A sender gives up after 32 s (RFC 3261 §17.1.2.2), and two others should have had their turn by then.
const PATIENCE: Span = Span::from_secs(5);
/// After this no further target is tried: its answer would come too late (RFC 4321 §3).
const TOO_LATE: Span = Span::from_secs(20);

/// One on its way.
#[derive(Clone, Debug)]
pub(super) struct Page {
    server: ServerKey,
    message: Box<Message>,
    from: TrunkId,
    /// Called number as the edge knows it, or name.
    number: Vec<u8>,
    emergency: bool,
    came: Instant,
    /// Not yet tried, in the plan's order.
    coming: SmallVec<[Candidate; 4]>,
    /// To phones of the called user; a candidate that is one of them has its place here as its target's.
    ways: Vec<Way>,
}

impl Page {
    /// By which a target is reached that is a phone.
    fn way(&self, world: &World<'_>, target: TargetId) -> Option<&Way> {
        self.ways.get(usize::from(target.index)).filter(|_| world.is_phones(target.trunk))
    }
}

/// The request to one target.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    target: TargetId,
    call_id: Vec<u8>,
    tag: Vec<u8>,
    cseq: u32,
    /// How many challenges were answered.
    authorised: u8,
    is_signed: bool,
}

impl B2bua {
    /// A MESSAGE outside any dialog.
    pub(super) fn page(&mut self, world: &mut World<'_>, server: ServerKey, flow: Flow, message: &Message) {
        let Some((from, _)) = self.origin(world, server, flow, message) else { return };
        if self.draining || self.pages.len() >= PAGES_MAX {
            self.counters.turned_away += 1;
            return world.refuse_for_now(server, 503);
        }
        let Ok(uri) = Uri::parse(message.uri()) else { return world.refuse(server, 400) };
        let called = if is_urn(message.uri()) { message.uri() } else { world.name_dialled(from, &uri) };
        let known = number_of(world, from, called);
        let Ok(number) = core::str::from_utf8(bare_number(&known)) else { return world.refuse(server, 484) };
        let facts = Facts { from, number, emergency: world.profiles.is_emergency(&known) };
        // What may not be dialled may not be written to: both cost (the rate and number of calls are about calls).
        let barred = world.profiles.trunk(from).and_then(|trunk| trunk.inbound.bars(number));
        if let Some(why) = barred.filter(|_| !facts.emergency) {
            self.bar(world, from, why);
            return world.refuse(server, 403);
        }
        let plan = decide::plan(world.shape, world.table, world.load, &facts, world.now, world.rng);
        let mut coming: SmallVec<[Candidate; 4]> = match plan {
            Ok(plan) => plan.attempts.into_iter().collect(),
            Err(NoPlan::NoRoute) => return world.refuse(server, 404),
            Err(_) => return world.refuse_for_now(server, 503),
        };
        let rings = coming.iter().any(|candidate| world.is_phones(candidate.target.trunk));
        let ways = unfold(world, &mut coming, from, &uri, number);
        self.counters.pages += 1;
        let page = Page {
            server,
            message: Box::new(message.clone()),
            from,
            number: known.to_vec(),
            emergency: facts.emergency,
            came: world.now,
            coming,
            ways,
        };
        // RFC 3261 §16.5: whom nobody has registered for is not here now.
        let nobody = rings && page.coming.is_empty();
        self.next_page(world, page, if nobody { 480 } else { 503 });
    }

    /// To the next target; when there is none, whoever sent it hears why the last one did not take it.
    fn next_page(&mut self, world: &mut World<'_>, mut page: Page, code: u16) {
        while !page.coming.is_empty() && world.now.since(page.came) < TOO_LATE {
            let candidate = page.coming.remove(0);
            let mut attempt = Attempt {
                target: candidate.target,
                call_id: world.endpoint.minter().call_id().as_bytes().to_vec(),
                tag: world.endpoint.minter().tag().as_bytes().to_vec(),
                cseq: 1,
                authorised: 0,
                is_signed: false,
            };
            if let Some(client) = send(world, &page, &mut attempt) {
                self.pages.insert(client, (page, attempt));
                return;
            }
        }
        world.refuse(page.server, code);
    }

    /// Its answer; false when the client is none of ours.
    pub(super) fn page_response(
        &mut self,
        world: &mut World<'_>,
        client: ClientKey,
        code: u16,
        message: &Message,
    ) -> bool {
        if !self.pages.contains_key(&client) {
            return false;
        }
        let kept = if code < 200 { None } else { self.pages.remove(&client) };
        let Some((page, mut attempt)) = kept else { return true };
        if let Some(fresh) = answer(world, &page, &mut attempt, message) {
            self.pages.insert(fresh, (page, attempt));
            return true;
        }
        // A challenge is for our credentials, and a contact behind a trunk is of no use to the sender.
        let passes = world.passes_challenge(attempt.target.trunk, message);
        let given = match code {
            401 | 407 if !passes => 403,
            300..=399 => 480,
            code => code,
        };
        if moves_on(world, &page, attempt.target, code) && !page.coming.is_empty() {
            self.next_page(world, page, given);
            return true;
        }
        let code = given;
        let mut answer = Answer::new(code);
        if passes {
            self.counters.challenges_passed += 1;
            super::challenge::push_challenges(message, &mut answer.headers);
        }
        let terms = world.profiles.crossing(Some(attempt.target.trunk), Some(page.from), page.emergency);
        headers::pass(message, &terms, None, &mut answer.headers);
        if !message.body().is_empty() {
            headers::push_body_type(message, &mut answer.headers);
            answer.body = message.body().to_vec();
        }
        world.endpoint.respond(world.now, page.server, answer);
        true
    }

    /// It was not answered, or nobody is there.
    pub(super) fn page_failed(&mut self, world: &mut World<'_>, client: ClientKey, why: Failure) {
        if let Some((page, attempt)) = self.pages.remove(&client) {
            if let Some(way) = page.way(world, attempt.target) {
                let outcome = match why {
                    Failure::Unreachable(fault) => AttemptOutcome::Unreachable { fault },
                    Failure::NoReply => AttemptOutcome::NoReply { after: PATIENCE },
                };
                world.note_way(way, outcome);
            }
            // RFC 4320 §4.2: never 408 to a request that is no INVITE.
            self.next_page(world, page, 503);
        }
    }
}

/// Another may take it: this trunk is in trouble, or asks what nobody can answer; or it is a phone that does not take texts, and its user has
/// not declined for all of them (RFC 3261 §16.7 step 5).
fn moves_on(world: &World<'_>, page: &Page, target: TargetId, code: u16) -> bool {
    if page.way(world, target).is_some() {
        return (300..600).contains(&code);
    }
    let asks_us = world.profiles.trunk(target.trunk).is_none_or(|profile| profile.challenge == Challenge::Answer);
    matches!(code, 408 | 500 | 502 | 503 | 504) || (matches!(code, 401 | 407) && asks_us)
}

/// A challenge is answered by the credentials of its trunk: the message goes out once more (RFC 3261 §22.2), as the transaction returned.
fn answer(world: &mut World<'_>, page: &Page, attempt: &mut Attempt, response: &Message) -> Option<ClientKey> {
    let (trunk, code) = (attempt.target.trunk, response.status().unwrap_or(0));
    let credentials = world.profiles.trunk(trunk)?.auth.as_ref()?;
    if !matches!(code, 401 | 407) {
        if attempt.is_signed && code != 403 {
            world.nonces.accepted(trunk, response);
        }
        return None;
    }
    let tries = if auth::is_stale(response) { 2 } else { 1 };
    if attempt.authorised >= tries || !world.nonces.challenged(trunk, credentials, response, world.rng) {
        world.credentials_refused(trunk, code);
        return None;
    }
    attempt.authorised += 1;
    attempt.cseq += 1;
    send(world, page, attempt)
}

/// To the target of its attempt, signed with what is known already.
fn send(world: &mut World<'_>, page: &Page, attempt: &mut Attempt) -> Option<ClientKey> {
    let (mut draft, flow, timers) = draft(world, page, attempt)?;
    let trunk = attempt.target.trunk;
    let credentials = world.profiles.trunk(trunk).and_then(|profile| profile.auth.as_ref());
    attempt.is_signed = !world.nonces.sign(trunk, credentials, &mut draft).is_empty();
    world.endpoint.request(world.now, flow, draft, &timers).ok()
}

fn draft(world: &World<'_>, page: &Page, attempt: &Attempt) -> Option<(Draft, Flow, TimerSet)> {
    let profile = world.profiles.trunk(attempt.target.trunk)?;
    let to = page.way(world, attempt.target).map(|way| way.to.clone());
    let to = to.or_else(|| destination_of(world, attempt.target))?;
    let flow = to.flow;
    let sent_by = world.endpoint.sent_by(flow.socket)?;
    let crossing = world.profiles.crossing(Some(page.from), Some(attempt.target.trunk), page.emergency);
    if cannot_hide(&page.message, &crossing, true) {
        // RFC 3323 §5: who insists on privacy is not shown.
        return None;
    }
    let shown = Shown::of(&page.message, &crossing, &page.number, format!("{}", sent_by.host()).as_bytes());
    let uri = to.uri.unwrap_or_else(|| headers::uri_at(crossing.to, &shown.called, flow.peer));
    let mut draft = Draft::new(Method::Message, uri);
    draft.max_forwards = page.message.max_forwards().map_or(70, |hops| hops.saturating_sub(1));
    to.routes.iter().for_each(|route| draft.headers.push("Route", route));
    shown.push_from(&crossing, &attempt.tag, &mut draft.headers);
    draft.headers.push("To", &[b"<", draft.uri.as_slice(), b">"].concat());
    draft.headers.push("Call-ID", &attempt.call_id);
    draft.headers.push("CSeq", format!("{} MESSAGE", attempt.cseq).as_bytes());
    headers::pass(&page.message, &crossing, Some(&shown), &mut draft.headers);
    world.carried(attempt.target.trunk, &page.message).iter().for_each(|line| draft.headers.push_raw(line));
    if !page.message.body().is_empty() {
        headers::push_body_type(&page.message, &mut draft.headers);
        draft.body = page.message.body().to_vec();
    }
    let timers = TimerSet { timer_b: PATIENCE.min(profile.timers.timer_b), ..profile.timers };
    Some((draft, flow, timers))
}
