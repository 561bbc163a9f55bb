//! Our own registrations at trunks that find us by them (RFC 3261 §10.2, RFC 6140 for whole number blocks).
//!
//! One machine a trunk, which never gives up: it renews in good time, passes over targets that do not serve it, waits longer after each
//! round of failures but never longer than its cap, and tells every outcome as a signal. Refuses to know: what a lost registration means
//! for calls, which is judged elsewhere; sockets, clocks.

use crate::nonces::Nonces;
use crate::profile::{Profiles, Target};
use crate::service_routes::{self, ServiceRoute};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use model::{Instant, Observed, RegistrationState, Rng, Signal, Span, TargetId, TrunkId};
use sip::auth;
use sip::{ClientKey, Draft, Endpoint, Failure, Flow, HeaderLines, HeaderName, Message, Method, NameAddr, SentBy, Uri};

/// A registrar that has said nothing for so long is passed over, long before Timer F.
const REPLY: Span = Span::from_secs(5);
/// The longest expiry that a registrar may talk us into.
const EXPIRES_MAX: Span = Span::from_secs(86_400);
/// Challenges answered for one REGISTER: its first, and one that says the nonce was stale.
const CHALLENGES: u8 = 2;

/// A registration as configured. Its password is the trunk's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// User of our address there.
    pub user: String,
    /// Domain of our address there; the target's own address when none.
    pub domain: Option<String>,
    /// User of our Contact: what calls to us are addressed to.
    pub contact_user: String,
    /// How long it is wanted to last.
    pub expires: Span,
    /// It is for all numbers of the trunk at once (RFC 6140).
    pub gin: bool,
    /// Pause after the first round of failures; doubled with each that follows.
    pub retry: Span,
    /// The longest pause.
    pub retry_max: Span,
    /// It is taken back when the edge drains.
    pub unregister: bool,
}

/// What registrations act on.
#[derive(Debug)]
pub struct RegistrantWorld<'a> {
    /// Now.
    pub now: Instant,
    /// SIP.
    pub endpoint: &'a mut Endpoint,
    /// Trunks.
    pub profiles: &'a Profiles,
    /// Challenges of trunks: one that is known is answered at once.
    pub nonces: &'a mut Nonces,
    /// For pauses and tags.
    pub rng: &'a mut Rng,
    /// What was seen.
    pub out: &'a mut Vec<Signal>,
    /// Ways that registrars want our calls to go.
    pub routes: &'a mut Vec<ServiceRoute>,
}

/// All registrations of a shard.
#[derive(Debug, Default)]
pub struct Registrants {
    all: Vec<Registrant>,
    draining: bool,
    /// Service-Routes that could not be kept.
    routes_ignored: u64,
}

#[derive(Debug)]
struct Registrant {
    trunk: TrunkId,
    plan: Registration,
    call_id: Vec<u8>,
    tag: Vec<u8>,
    cseq: u32,
    /// What is asked for: as configured, or what the registrar insists on.
    expires: Span,
    /// The target that is asked, or was last, by its place in the list.
    target: u8,
    /// Targets that failed in this round.
    failed: u8,
    /// Rounds that failed in a row.
    rounds: u32,
    asking: Option<Asking>,
    /// When it is asked next.
    next: Option<Instant>,
    /// Until when it holds.
    until: Option<Instant>,
    /// The target that wants our calls to go a way of its own.
    routed: Option<TargetId>,
    routes_ignored: u64,
}

#[derive(Debug)]
struct Asking {
    client: ClientKey,
    sent: Instant,
    challenges: u8,
    /// It takes the registration back.
    leaves: bool,
}

impl Registrants {
    /// Works by these from now on: those that are new begin, those that have gone are forgotten, those that stay go on.
    pub fn install(&mut self, world: &mut RegistrantWorld<'_>, plans: impl Iterator<Item = (TrunkId, Registration)>) {
        let mut before = core::mem::take(&mut self.all);
        for (trunk, plan) in plans {
            let same = |known: &Registrant| known.trunk == trunk && known.plan == plan;
            match before.iter().position(same) {
                Some(at) => self.all.push(before.swap_remove(at)),
                None => self.all.push(Registrant::new(world, trunk, plan)),
            }
        }
        for mut gone in before {
            self.routes_ignored += gone.routes_ignored;
            gone.follow_route(world, Vec::new());
        }
    }

    /// Service-Routes that could not be kept: too long, or not of loose routers.
    pub fn routes_ignored(&self) -> u64 {
        self.routes_ignored + self.all.iter().map(|registrant| registrant.routes_ignored).sum::<u64>()
    }

    /// When `tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.all.iter().filter_map(Registrant::deadline).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, world: &mut RegistrantWorld<'_>) {
        for registrant in &mut self.all {
            registrant.tick(world);
        }
    }

    /// Whether a request is one of these.
    pub fn owns(&self, client: ClientKey) -> bool {
        self.all.iter().any(|registrant| registrant.asks_by(client))
    }

    /// A response to one of them.
    pub fn response(&mut self, world: &mut RegistrantWorld<'_>, client: ClientKey, message: &Message) {
        if let Some(registrant) = self.all.iter_mut().find(|registrant| registrant.asks_by(client)) {
            registrant.response(world, message);
        }
    }

    /// One of them ended without a final response.
    pub fn failed(&mut self, world: &mut RegistrantWorld<'_>, client: ClientKey, why: Failure) {
        if let Some(registrant) = self.all.iter_mut().find(|registrant| registrant.asks_by(client)) {
            registrant.unanswered(world, matches!(why, Failure::Unreachable(_)));
        }
    }

    /// Takes back those that are to be taken back; none is renewed any more.
    pub fn drain(&mut self, world: &mut RegistrantWorld<'_>) {
        self.draining = true;
        for registrant in &mut self.all {
            registrant.leave(world);
        }
    }

    /// Nothing is being taken back.
    pub fn is_idle(&self) -> bool {
        !self.draining || self.all.iter().all(|registrant| registrant.asking.is_none())
    }
}

impl Registrant {
    fn new(world: &mut RegistrantWorld<'_>, trunk: TrunkId, plan: Registration) -> Self {
        // Not all trunks at the same moment.
        let spread = Span::from_millis(world.rng.below(1_000));
        Self {
            trunk,
            call_id: world.endpoint.minter().call_id().as_bytes().to_vec(),
            tag: world.endpoint.minter().tag().as_bytes().to_vec(),
            cseq: 0,
            expires: plan.expires,
            plan,
            target: 0,
            failed: 0,
            rounds: 0,
            asking: None,
            next: Some(world.now + spread),
            until: None,
            routed: None,
            routes_ignored: 0,
        }
    }

    fn asks_by(&self, client: ClientKey) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.client == client)
    }

    fn deadline(&self) -> Option<Instant> {
        let silent = self.asking.as_ref().map(|asking| asking.sent + REPLY);
        [silent, self.next, self.until].into_iter().flatten().min()
    }

    fn tick(&mut self, world: &mut RegistrantWorld<'_>) {
        if self.until.take_if(|until| *until <= world.now).is_some() {
            self.tell(world, RegistrationState::Expired);
            self.follow_route(world, Vec::new());
        }
        if self.asking.as_ref().is_some_and(|asking| asking.sent + REPLY <= world.now) {
            self.unanswered(world, false);
        }
        if self.asking.is_none() && self.next.take_if(|next| *next <= world.now).is_some() {
            self.ask(world, 0, false);
        }
    }

    /// Sends a REGISTER, signed as far as challenges are known.
    fn ask(&mut self, world: &mut RegistrantWorld<'_>, challenges: u8, leaves: bool) {
        let sent = self.target(world).and_then(|target| {
            let sent_by = world.endpoint.sent_by(target.socket)?;
            let profile = world.profiles.trunk(self.trunk)?;
            self.cseq += 1;
            let mut draft = self.draft(target, sent_by, leaves);
            world.nonces.sign(self.trunk, profile.auth.as_ref(), &mut draft);
            let flow = Flow { socket: target.socket, peer: target.addr, transport: target.transport };
            world.endpoint.request(world.now, flow, draft, &profile.timers).ok()
        });
        match sent {
            Some(client) => self.asking = Some(Asking { client, sent: world.now, challenges, leaves }),
            // No transaction is free, or the target has gone with a reload: like any other failure.
            None if !leaves => self.unanswered(world, true),
            None => {}
        }
    }

    fn target(&self, world: &RegistrantWorld<'_>) -> Option<Target> {
        world.profiles.trunk(self.trunk)?.targets.get(usize::from(self.target)).copied()
    }

    fn registrar(&self, target: Target) -> String {
        self.plan.domain.as_ref().map_or_else(|| format!("sip:{}", target.addr), |domain| format!("sip:{domain}"))
    }

    fn draft(&self, target: Target, sent_by: SentBy, leaves: bool) -> Draft {
        let uri = self.registrar(target);
        let domain = &uri[4..];
        let user = &self.plan.user;
        let mut headers = HeaderLines::new();
        let tag = String::from_utf8_lossy(&self.tag);
        headers.push("From", format!("<sip:{user}@{domain}>;tag={tag}").as_bytes());
        headers.push("To", format!("<sip:{user}@{domain}>").as_bytes());
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format!("{} REGISTER", self.cseq).as_bytes());
        let ours = format!("{}{}", sent_by.addr, sent_by.parameters());
        let contact = if self.plan.gin {
            // RFC 6140 §5.2: the registrar fills in each number.
            headers.push("Require", b"gin");
            headers.push("Proxy-Require", b"gin");
            format!("<sip:{ours};bnc>")
        } else {
            format!("<sip:{}@{ours}>", self.plan.contact_user)
        };
        headers.push("Contact", contact.as_bytes());
        let expires = if leaves { 0 } else { self.expires.as_secs() };
        headers.push("Expires", expires.to_string().as_bytes());
        headers.push("Supported", b"path");
        Draft { headers, ..Draft::new(Method::Register, uri.into_bytes()) }
    }

    fn response(&mut self, world: &mut RegistrantWorld<'_>, message: &Message) {
        let code = message.status().unwrap_or(0);
        let Some(asking) = self.asking.take_if(|_| code >= 200) else { return };
        match code {
            _ if asking.leaves => self.left(world, &asking, message),
            200..=299 => self.registered(world, message),
            401 | 407 if self.authorise(world, &asking, message) => {}
            // RFC 3261 §10.2.8: it may not be shorter.
            423 if self.lengthen(message) => self.ask(world, 0, false),
            _ => self.refused(world, code, message.retry_after()),
        }
    }

    /// Answers a challenge: once, and once more when only the nonce was too old.
    fn authorise(&mut self, world: &mut RegistrantWorld<'_>, asking: &Asking, challenge: &Message) -> bool {
        let tries = if auth::is_stale(challenge) { CHALLENGES } else { 1 };
        let profile = world.profiles.trunk(self.trunk);
        let Some(credentials) = profile.and_then(|profile| profile.auth.as_ref()) else { return false };
        let answered =
            asking.challenges < tries && world.nonces.challenged(self.trunk, credentials, challenge, world.rng);
        if !answered {
            world.nonces.refused(self.trunk);
            return false;
        }
        self.ask(world, asking.challenges + 1, asking.leaves);
        true
    }

    fn lengthen(&mut self, message: &Message) -> bool {
        let wanted = message.named("Min-Expires").and_then(seconds);
        let longer = wanted.filter(|wanted| self.expires < *wanted && *wanted <= EXPIRES_MAX);
        self.expires = longer.unwrap_or(self.expires);
        longer.is_some()
    }

    fn registered(&mut self, world: &mut RegistrantWorld<'_>, message: &Message) {
        world.nonces.accepted(self.trunk, message);
        let granted = self.granted(message).min(EXPIRES_MAX).max(Span::from_secs(1));
        self.until = Some(world.now + granted);
        // Early enough for some rounds of failures, and not all trunks together.
        self.next = Some(world.now + granted.percent(70 + world.rng.below(11)));
        (self.failed, self.rounds) = (0, 0);
        self.tell(world, RegistrationState::Registered);
        let route = service_routes::read(message);
        self.routes_ignored += u64::from(route.is_err());
        self.follow_route(world, route.unwrap_or_default());
    }

    /// Each answer says anew which way calls go (RFC 3608 §6.1); what another target has said before is over.
    fn follow_route(&mut self, world: &mut RegistrantWorld<'_>, values: Vec<alloc::boxed::Box<[u8]>>) {
        let target = self.target(world).map(|target| TargetId { trunk: self.trunk, index: target.index });
        let fresh = target.filter(|_| !values.is_empty());
        if let Some(target) = self.routed.filter(|old| fresh != Some(*old)) {
            world.routes.push(ServiceRoute { target, values: Vec::new() });
        }
        world.routes.extend(fresh.map(|target| ServiceRoute { target, values }));
        self.routed = fresh;
    }

    /// What the registrar says of our Contact, or of all (RFC 3261 §10.2.4).
    fn granted(&self, message: &Message) -> Span {
        let user = if self.plan.gin { "" } else { &self.plan.contact_user };
        let ours = |address: &NameAddr<'_>| Uri::parse(address.uri).is_ok_and(|uri| uri.user() == user.as_bytes());
        let contact = message.values(HeaderName::Contact).map(NameAddr::of).find(ours);
        let own = contact.and_then(|contact| contact.params.get("expires")).and_then(seconds);
        own.or_else(|| message.header(HeaderName::Expires).and_then(seconds)).unwrap_or(self.expires)
    }

    fn refused(&mut self, world: &mut RegistrantWorld<'_>, code: u16, retry_after: Option<Span>) {
        self.tell(world, RegistrationState::Refused { code });
        self.try_later(world, retry_after);
    }

    fn unanswered(&mut self, world: &mut RegistrantWorld<'_>, at_once: bool) {
        let asking = self.asking.take();
        if asking.as_ref().is_some_and(|asking| asking.leaves) {
            return;
        }
        let after = if at_once { Span::ZERO } else { asking.map_or(REPLY, |asking| world.now.since(asking.sent)) };
        self.tell(world, RegistrationState::NoReply { after });
        self.try_later(world, None);
    }

    /// The next target at once; after the last of them the first again, after a pause.
    fn try_later(&mut self, world: &mut RegistrantWorld<'_>, retry_after: Option<Span>) {
        let targets = world.profiles.trunk(self.trunk).map_or(1, |profile| profile.targets.len().max(1));
        self.failed = self.failed.saturating_add(1);
        self.target = ((usize::from(self.target) + 1) % targets) as u8;
        if usize::from(self.failed) < targets {
            self.next = Some(world.now);
            return;
        }
        self.failed = 0;
        let whole = self.plan.retry.times(1 << self.rounds.min(16)).min(self.plan.retry_max);
        self.rounds = self.rounds.saturating_add(1);
        // Half of it to all of it, so that many edges do not come at once (RFC 5626 §4.5); but not before we are asked to.
        let pause = whole.percent(50 + world.rng.below(51));
        self.next = Some(world.now + retry_after.map_or(pause, |asked| asked.max(pause)));
    }

    fn leave(&mut self, world: &mut RegistrantWorld<'_>) {
        (self.next, self.asking) = (None, None);
        if self.plan.unregister && self.until.take().is_some() {
            self.ask(world, 0, true);
        }
        self.until = None;
    }

    fn left(&mut self, world: &mut RegistrantWorld<'_>, asking: &Asking, message: &Message) {
        if matches!(message.status(), Some(401 | 407)) {
            // Whatever comes of it, the edge ends.
            let _answered = self.authorise(world, asking, message);
        }
    }

    fn tell(&self, world: &mut RegistrantWorld<'_>, state: RegistrationState) {
        // A reload that takes a target away forgets it: there is nobody to tell of.
        let Some(target) = self.target(world) else { return };
        let target = TargetId { trunk: self.trunk, index: target.index };
        let granted = self.until.filter(|_| state == RegistrationState::Registered);
        let holds = granted.map_or(Span::ZERO, |until| until.since(world.now));
        world.out.push(Signal { at: world.now, target, what: Observed::Registration { state, holds } });
    }
}

fn seconds(text: &[u8]) -> Option<Span> {
    core::str::from_utf8(text).ok()?.trim().parse().ok().map(Span::from_secs)
}

#[cfg(test)]
mod tests;
