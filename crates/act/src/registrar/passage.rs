//! REGISTERs of phones that pass through to the trunk behind: it knows the passwords and grants the time, the edge knows the way.
//!
//! A REGISTER goes to the trunk's targets, the well ones first, until one serves it; the phone's Contact becomes one of ours with a token, so
//! that calls come back here and go down the phone's own flow. From, To, Call-ID, CSeq and credentials stay, as with any proxy (RFC 3261 §16.6):
//! the digest is between the phone and the trunk, and the trunk orders REGISTERs by them. When no target serves it, a phone that comes by the
//! flow it was granted time for has the rest of that time: it may call by this flow anyhow, so nothing is given away, and the phones of a
//! site go on calling each other. Any other is told to come again: who cannot be asked about is nobody. Refuses to know: passwords, sockets,
//! what the operator is told.

use super::answer;
use super::binding::{self, Binding};
use super::rules::{LONGEST, RegistrarRules};
use super::token::Token;
use super::wish::{self, Asked, Contacts, Wish, seconds};
use super::{Bound, Registrar};
use crate::b2bua::{Effect, push_challenges};
use crate::profile::Profiles;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use decide::{Shape, TrunkTable};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Health, Instant, Observed, Rng, Signal, Span, TargetId, TrunkId};
use sip::auth;
use sip::{
    Answer, ClientKey, Draft, Endpoint, Failure, Flow, HeaderLines, HeaderName, Message, Method, NameAddr, SentBy,
    ServerKey, TimerSet, Uri,
};

/// REGISTERs under way in a shard at once.
const UNDER_WAY: usize = 16_384;
/// An INVITE's first reply is a 100 that costs nothing, and a REGISTER's is a look-up and a digest: it may take so many times as long.
const PATIENCE: u64 = 3;
/// No target is asked for longer, whatever its calls may take.
const PATIENCE_MAX: Span = Span::from_secs(8);
/// After this no further target is tried: the phone gives up at 32 s (RFC 3261 §17.1.2.2), and the last one must have had its turn.
const TOO_LATE: Span = Span::from_secs(20);
/// A target that did not serve a REGISTER comes after the others for so long.
const REST: Span = Span::from_secs(30);
/// Less of its time is not worth telling a phone: it would come again at once.
const WORTHWHILE: Span = Span::from_secs(30);
/// That nobody serves is told so often while it lasts.
const REMIND: Span = Span::from_secs(30);

/// Headers that go on to the trunk as they came, besides those that are made anew.
const PASSED: [HeaderName; 9] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::Expires,
    HeaderName::Allow,
    HeaderName::UserAgent,
];
/// Headers of a refusal that go back to the phone.
const RETURNED: [&str; 5] = ["Min-Expires", "Retry-After", "Unsupported", "Warning", "Reason"];

/// What passing acts on.
#[derive(Debug)]
pub struct PassageWorld<'a> {
    /// Now.
    pub now: Instant,
    /// SIP.
    pub endpoint: &'a mut Endpoint,
    /// Trunks.
    pub profiles: &'a Profiles,
    /// Policies.
    pub shape: &'a Shape,
    /// Health.
    pub table: &'a TrunkTable,
    /// Who is where.
    pub registrar: &'a mut Registrar,
    /// The configuration.
    pub rules: &'a RegistrarRules,
    /// For places in the line.
    pub rng: &'a mut Rng,
    /// What follows.
    pub out: &'a mut Vec<Effect>,
}

/// All REGISTERs of a shard that are on their way.
#[derive(Debug, Default)]
pub struct Passages {
    under_way: HashMap<ClientKey, (Passage, TargetId), FixedState>,
    /// Whose targets the rest is about.
    trunk: Option<TrunkId>,
    /// Targets that did not serve, and until when they come after the others.
    resting: BTreeMap<u8, Instant>,
    /// The target that served last.
    serving: Option<u8>,
    /// Nobody serves, told then.
    gone: Option<Instant>,
}

/// One REGISTER on its way.
#[derive(Debug)]
struct Passage {
    trunk: TrunkId,
    server: ServerKey,
    flow: Flow,
    sent_by: SentBy,
    message: Box<Message>,
    came: Instant,
    /// Targets not yet asked, the best last.
    coming: Vec<u8>,
}

impl Passages {
    /// A REGISTER of a phone: sent on, or answered.
    pub fn pass(
        &mut self,
        world: &mut PassageWorld<'_>,
        trunk: TrunkId,
        (server, flow, sent_by): (ServerKey, Flow, SentBy),
        message: &Message,
    ) {
        if let Some(answer) = world.kept_out(self.under_way.len(), flow, &sent_by, message) {
            return world.endpoint.respond(world.now, server, answer);
        }
        if self.trunk != Some(trunk) {
            (self.trunk, self.serving, self.gone) = (Some(trunk), None, None);
            self.resting.clear();
        }
        let coming = self.order(world, trunk);
        let message = Box::new(message.clone());
        self.next(world, Passage { trunk, server, flow, sent_by, message, came: world.now, coming });
    }

    /// Whether a request is one of these.
    pub fn owns(&self, client: ClientKey) -> bool {
        self.under_way.contains_key(&client)
    }

    /// What a target answers to one of them.
    pub fn response(&mut self, world: &mut PassageWorld<'_>, client: ClientKey, response: &Message) {
        let code = response.status().unwrap_or(0);
        let over = if code < 200 { None } else { self.under_way.remove(&client) };
        let Some((passage, target)) = over else { return };
        // Another target may serve it; what a redirection names is behind the trunk, where the phone cannot go.
        if matches!(code, 300..=399 | 408 | 500 | 502 | 503 | 504) {
            self.rest(world, target, response.retry_after());
            return self.next(world, passage);
        }
        self.serves(world, target);
        world.answered(&passage, response);
    }

    /// A target that said nothing, or is not there.
    pub fn failed(&mut self, world: &mut PassageWorld<'_>, client: ClientKey, why: Failure) {
        let Some((passage, target)) = self.under_way.remove(&client) else { return };
        if let Failure::Unreachable(fault) = why {
            world.out.push(Effect::Signal(Signal { at: world.now, target, what: Observed::Transport { fault } }));
        }
        self.rest(world, target, None);
        self.next(world, passage);
    }

    /// A connection has ended. Whoever was to register by it comes back by another one; what is granted meanwhile leads nowhere, and is not
    /// bound.
    pub fn broken(&mut self, world: &mut PassageWorld<'_>, flow: Flow) {
        let before = self.under_way.len();
        self.under_way.retain(|_, (passage, _)| passage.flow != flow);
        world.registrar.counters.left += (before - self.under_way.len()) as u64;
    }

    /// The trunk's targets, the best last: those in doubt after those that are well, those that are down or did not serve lately at the
    /// end, but none left out, since a REGISTER has nowhere else to go.
    fn order(&mut self, world: &PassageWorld<'_>, trunk: TrunkId) -> Vec<u8> {
        self.resting.retain(|_, until| *until > world.now);
        let targets = world.profiles.trunk(trunk).map_or(&[][..], |profile| &profile.targets);
        let mut order: Vec<u8> = targets.iter().map(|target| target.index).collect();
        order.sort_by_key(|index| match world.table.health(TargetId { trunk, index: *index }) {
            _ if self.resting.contains_key(index) => 2,
            Health::Down => 2,
            Health::Suspect => 1,
            Health::Unknown | Health::Up | Health::Probation => 0,
        });
        order.reverse();
        order
    }

    fn next(&mut self, world: &mut PassageWorld<'_>, mut passage: Passage) {
        while world.now.since(passage.came) < TOO_LATE
            && let Some(index) = passage.coming.pop()
        {
            let target = TargetId { trunk: passage.trunk, index };
            if let Some(client) = world.send(&passage, target) {
                world.registrar.counters.sent_on += 1;
                self.under_way.insert(client, (passage, target));
                return;
            }
        }
        world.unserved(&passage);
        if self.gone.is_none_or(|told| world.now.since(told) >= REMIND) {
            self.gone = Some(world.now);
            world.out.push(Effect::RegistrarGone(passage.trunk));
        }
    }

    fn rest(&mut self, world: &mut PassageWorld<'_>, target: TargetId, asked: Option<Span>) {
        world.registrar.counters.passed_over += 1;
        if self.trunk == Some(target.trunk) {
            self.resting.insert(target.index, world.now + asked.unwrap_or(REST).min(LONGEST));
        }
    }

    fn serves(&mut self, world: &mut PassageWorld<'_>, target: TargetId) {
        if self.trunk != Some(target.trunk) {
            return;
        }
        self.resting.remove(&target.index);
        self.gone = None;
        let addr = |index| Some(world.profiles.trunk(target.trunk)?.target(index)?.addr);
        let before = self.serving.replace(target.index).filter(|before| *before != target.index);
        if let (Some(before), Some(now)) = (before.and_then(addr), addr(target.index)) {
            world.out.push(Effect::RegistrarMoved { trunk: target.trunk, before, now });
        }
    }
}

impl PassageWorld<'_> {
    /// The answer to a REGISTER that is not sent on: of no domain of ours, malformed, one too many, or nobody's who has room here.
    fn kept_out(&mut self, under_way: usize, flow: Flow, sent_by: &SentBy, message: &Message) -> Option<Answer> {
        let registrar = &mut *self.registrar;
        let standing = registrar.standing(self.now, self.rules, flow, message);
        let rate = self.rules.rate.div_ceil(registrar.shards);
        if !registrar.pace.allows(self.now, rate, standing) || under_way >= UNDER_WAY {
            return Some(registrar.put_off(self.rules, self.rng));
        }
        let wish = match wish::read(self.rules, message, sent_by) {
            Ok(wish) => wish,
            Err(refusal) => return Some(registrar.refused(&refusal).answer),
        };
        if message.max_forwards() == Some(0) {
            // RFC 3261 §16.3 step 3.
            registrar.counters.refused += 1;
            return Some(Answer::new(483));
        }
        let adds =
            matches!(&wish.contacts, Contacts::Set(all) if all.iter().any(|asked| asked.expires != Some(Span::ZERO)));
        let is_full = registrar.entries.len() >= registrar.limit && !registrar.entries.contains_key(&wish.aor);
        (adds && is_full).then(|| registrar.put_off(self.rules, self.rng))
    }

    fn send(&mut self, passage: &Passage, id: TargetId) -> Option<ClientKey> {
        let profile = self.profiles.trunk(id.trunk)?;
        let target = profile.target(id.index)?;
        let ours = self.endpoint.sent_by(target.socket)?;
        let first_reply = self.shape.trunks.get(id.trunk.index())?.as_ref()?.attempt.first_reply;
        let patience = first_reply.times(PATIENCE).min(PATIENCE_MAX);
        let timers = TimerSet { timer_b: patience.min(profile.timers.timer_b), ..profile.timers };
        let draft = draft(self.rules, passage, ours)?;
        let flow = Flow { socket: target.socket, peer: target.addr, transport: target.transport };
        self.endpoint.request(self.now, flow, draft, &timers).ok()
    }

    /// A target has decided: its word goes to the phone, and what it grants is bound.
    fn answered(&mut self, passage: &Passage, response: &Message) {
        let code = response.status().unwrap_or(0);
        let message = &passage.message;
        let answer = match wish::read(self.rules, message, &passage.sent_by) {
            Ok(wish) if code < 300 => self.granted(passage, wish, response),
            // A reload has changed the domain meanwhile.
            Err(refusal) => self.registrar.refused(&refusal).answer,
            Ok(_) => {
                let signed = is_signed(message) && !auth::is_stale(response);
                let failed = signed && matches!(code, 401 | 403 | 407);
                let counters = &mut self.registrar.counters;
                counters.challenged += u64::from(matches!(code, 401 | 407));
                counters.refused += u64::from(!matches!(code, 401 | 407));
                counters.auth_failed += u64::from(failed);
                self.out.extend(failed.then_some(Effect::AuthFailed(passage.flow)));
                refusal(response)
            }
        };
        self.endpoint.respond(self.now, passage.server, answer);
    }

    fn granted(&mut self, passage: &Passage, mut wish: Wish<'_>, response: &Message) -> Answer {
        // The trunk would not know a GRUU of ours.
        wish.gruu = false;
        let held: Vec<Binding> = self.registrar.find(self.now, &wish.aor).cloned().collect();
        let granted =
            |asked: &Asked<'_>, _| Ok(time_of(response, Token::of_asked(wish.aor.as_bytes(), asked), &wish, asked));
        let rebound = match wish.contacts {
            Contacts::Query => Ok((held, 0)),
            _ => binding::rebound(self.now, self.rules.contacts, passage.flow, &wish, held, granted),
        };
        let (left, displaced) = match rebound {
            Ok(rebound) => rebound,
            Err(refusal) => return self.registrar.refused(&refusal).answer,
        };
        self.registrar.counters.accepted += 1;
        self.registrar.counters.displaced += displaced;
        let answer = answer::ok(self.now, self.rules, &passage.sent_by, &wish, &left);
        if !matches!(wish.contacts, Contacts::Query) {
            let bound: Bound = self.registrar.put(self.now, wish.aor.clone(), left.into());
            self.out.push(Effect::Bound(bound));
        }
        answer
    }

    /// Nobody has decided: what was granted holds for the phone it was granted to, and nothing is granted.
    fn unserved(&mut self, passage: &Passage) {
        self.registrar.counters.unserved += 1;
        let wish = wish::read(self.rules, &passage.message, &passage.sent_by);
        let answer = wish.ok().and_then(|wish| self.survives(passage, wish));
        let rate = self.rules.rate.div_ceil(self.registrar.shards);
        let answer = answer.unwrap_or_else(|| answer::later(self.registrar.pace.later(self.rng, rate)));
        self.endpoint.respond(self.now, passage.server, answer);
    }

    fn survives(&mut self, passage: &Passage, mut wish: Wish<'_>) -> Option<Answer> {
        let Contacts::Set(all) = &wish.contacts else { return None };
        let held: Vec<Binding> = self.registrar.find(self.now, &wish.aor).cloned().collect();
        let holds = |asked: &Asked<'_>| {
            let own = |binding: &&Binding| binding.flow == passage.flow && binding.is_of(asked);
            let rest = held.iter().find(own).map(|binding| binding.expires.since(self.now));
            asked.expires != Some(Span::ZERO) && rest.is_some_and(|rest| rest >= WORTHWHILE)
        };
        if !all.iter().all(holds) {
            return None;
        }
        self.registrar.counters.survived += 1;
        wish.gruu = false;
        Some(answer::ok(self.now, self.rules, &passage.sent_by, &wish, &held))
    }
}

/// Whether a request answers somebody's challenge.
pub(super) fn is_signed(message: &Message) -> bool {
    message.header(HeaderName::Authorization).or_else(|| message.header(HeaderName::ProxyAuthorization)).is_some()
}

/// The REGISTER as one target gets it, with our address on the way to it.
fn draft(rules: &RegistrarRules, passage: &Passage, ours: SentBy) -> Option<Draft> {
    let message = &passage.message;
    let wish = wish::read(rules, message, &passage.sent_by).ok()?;
    // The digest covers the URI: it stays.
    let mut draft = Draft::new(Method::Register, message.uri().to_vec());
    draft.max_forwards = message.max_forwards().map_or(draft.max_forwards, |hops| hops.saturating_sub(1));
    let passed = message.headers().filter(|header| PASSED.contains(&header.name));
    passed.for_each(|header| draft.headers.push_raw(header.line));
    push_contacts(&wish, ours, &mut draft.headers);
    Some(draft)
}

/// The phone's Contacts as ours: what is asked of it stays, where it leads is here.
fn push_contacts(wish: &Wish<'_>, ours: SentBy, headers: &mut HeaderLines) {
    let all = match &wish.contacts {
        Contacts::Query => return,
        Contacts::RemoveAll => return headers.push("Contact", b"*"),
        Contacts::Set(all) => all,
    };
    for asked in all {
        let user = Token::of_asked(wish.aor.as_bytes(), asked).user(&wish.aor);
        let mut contact = format!("<sip:{user}@{}{}>", ours.addr, ours.parameters());
        if asked.q < 1_000 {
            contact += &format!(";q=0.{:03}", asked.q);
        }
        if let Some(time) = asked.expires {
            contact += &format!(";expires={}", time.as_secs());
        }
        headers.push("Contact", contact.as_bytes());
    }
}

/// What the trunk grants a Contact: what it says of it, or of all, or else what was asked (RFC 3261 §10.2.4). One that it does not name
/// among others has been granted nothing.
fn time_of(response: &Message, token: Token, wish: &Wish<'_>, asked: &Asked<'_>) -> Span {
    if asked.expires == Some(Span::ZERO) {
        return Span::ZERO;
    }
    let user = token.user(&wish.aor);
    let is_it = |address: &NameAddr<'_>| Uri::parse(address.uri).is_ok_and(|uri| uri.user() == user.as_bytes());
    let contact = response.values(HeaderName::Contact).map(NameAddr::of).find(is_it);
    if contact.is_none() && response.values(HeaderName::Contact).next().is_some() {
        return Span::ZERO;
    }
    let own = contact.and_then(|contact| contact.params.get("expires").map(seconds));
    let general = || response.header(HeaderName::Expires).map(seconds);
    own.or_else(general).or(asked.expires).unwrap_or(super::wish::UNREADABLE).min(LONGEST)
}

/// A refusal of the trunk as the phone hears it: code, words, challenges and what to do next.
fn refusal(response: &Message) -> Answer {
    let mut answer = Answer::new(response.status().unwrap_or(500));
    answer.phrase = Some(response.reason_phrase().to_vec());
    push_challenges(response, &mut answer.headers);
    for name in RETURNED {
        if let Some(value) = response.named(name) {
            answer.headers.push(name, value);
        }
    }
    answer
}
