//! The registrar: who of the phones can be reached, and by which way (RFC 3261 §10.3, RFC 3327, RFC 5626, RFC 5627).
//!
//! One shard owns an address of record and answers its REGISTERs; what becomes of it is one value, [`Bound`], which every shard
//! installs, so that each can call any phone. A phone is reached by the flow it registered from, whatever its Contact says:
//! nothing else passes a NAT. Refuses to know: sockets, other shards, where bindings are kept, who may call whom.

mod answer;
mod binding;
mod flows;
mod pace;
mod passage;
mod rules;
#[cfg(test)]
mod tests;
mod token;
mod wish;

pub use binding::{Binding, Bound};
pub use passage::{PassageWorld, Passages};
pub use rules::{Expiries, RegistrarRules};

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use flows::Flows;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Instant, Name, Rng, Span};
use pace::{Pace, Standing};
use sip::auth::{Asker, Authenticator, Verdict};
use sip::{Answer, Flow, Message, SentBy, TimerId, Timers};
pub(crate) use token::Token;
use wish::{Asked, Contacts, Refusal, Wish};

/// Nonces in use that are remembered: a phone has one, and a flood of strangers none.
const NONCES: usize = 200_000;

/// Addresses of record that this edge knows, with their bindings.
#[derive(Debug)]
pub struct Registrar {
    entries: HashMap<Name, Entry, FixedState>,
    timers: Timers<Name>,
    flows: Flows,
    limit: usize,
    /// Of how many shards this one's registrar is one: each serves its part.
    shards: u32,
    authenticator: Authenticator,
    pace: Pace,
    counters: RegistrarCounters,
}

#[derive(Debug)]
struct Entry {
    bindings: Arc<[Binding]>,
    timer: TimerId,
}

/// What was counted, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RegistrarCounters {
    /// REGISTERs that were accepted.
    pub accepted: u64,
    /// Challenges sent.
    pub challenged: u64,
    /// Answers to challenges that were wrong, or of nobody.
    pub auth_failed: u64,
    /// Answers that came twice.
    pub replayed: u64,
    /// Refused for what they said.
    pub refused: u64,
    /// Told to come again later, because too many came at once or no room was left.
    pub put_off: u64,
    /// Bindings that gave way to newer ones of the same address.
    pub displaced: u64,
    /// Bindings that ran out.
    pub expired: u64,
    /// Bindings taken away because nobody was there.
    pub dead: u64,
    /// Bindings whose connection has ended.
    pub broken: u64,
    /// Bindings put behind all others because their phone did not reply.
    pub suspected: u64,
    /// Addresses of other shards, or of before a restart, that found no room here: this shard cannot call them.
    pub no_room: u64,
    /// REGISTERs sent on to the trunk behind, each target that was asked counted.
    pub sent_on: u64,
    /// Targets of the trunk behind that did not serve a REGISTER, and were passed over for the next.
    pub passed_over: u64,
    /// REGISTERs that no target of the trunk behind served.
    pub unserved: u64,
    /// Of these, the ones answered by what the trunk had granted before.
    pub survived: u64,
    /// REGISTERs on their way to the trunk behind whose connection ended meanwhile.
    pub left: u64,
}

impl RegistrarCounters {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("accepted", self.accepted),
            ("challenged", self.challenged),
            ("auth_failed", self.auth_failed),
            ("replayed", self.replayed),
            ("refused", self.refused),
            ("put_off", self.put_off),
            ("displaced", self.displaced),
            ("expired", self.expired),
            ("dead", self.dead),
            ("broken", self.broken),
            ("suspected", self.suspected),
            ("no_room", self.no_room),
            ("sent_on", self.sent_on),
            ("passed_over", self.passed_over),
            ("unserved", self.unserved),
            ("survived", self.survived),
            ("left", self.left),
        ]
        .into_iter()
    }
}

/// One REGISTER and what surrounds it.
#[derive(Debug)]
pub struct Registering<'a> {
    /// Now.
    pub now: Instant,
    /// The configuration.
    pub rules: &'a RegistrarRules,
    /// For the spread of expiries.
    pub rng: &'a mut Rng,
    /// The way it came.
    pub flow: Flow,
    /// Our address on that socket, as phones see it.
    pub sent_by: SentBy,
    /// It.
    pub message: &'a Message,
}

/// What becomes of a REGISTER.
#[derive(Debug)]
pub struct Registered {
    /// The answer.
    pub answer: Answer,
    /// The address's bindings, when they have changed.
    pub bound: Option<Bound>,
    /// He failed to prove who he is. To be asked is no failure.
    pub failed: bool,
}

/// Who sent a request, as far as this edge can tell.
#[derive(Debug)]
pub enum Caller {
    /// This user: by the flow he registered from, or by his password.
    User(Name),
    /// Nobody yet: ask by this answer.
    Challenge {
        /// 407, or 403 for one who names somebody else.
        answer: Answer,
        /// He failed to prove who he is. To be asked is no failure.
        failed: bool,
    },
}

impl Registrar {
    /// None yet, and never more than `limit` addresses, as shard `part.0` of `part.1`. `key` is the secret of this edge, the same for all
    /// shards.
    pub fn new(limit: usize, key: u64, part: (u8, u8), seed: u64) -> Self {
        Self {
            entries: HashMap::with_hasher(FixedState::with_seed(seed)),
            timers: Timers::new(limit),
            flows: Flows::new(seed),
            limit,
            shards: u32::from(part.1.max(1)),
            authenticator: Authenticator::new(key, part.0, NONCES),
            pace: Pace::default(),
            counters: RegistrarCounters::default(),
        }
    }

    /// Answers a REGISTER, by the steps of RFC 3261 §10.3.
    pub fn register(&mut self, registering: Registering<'_>) -> Registered {
        let Registering { now, rules, message, .. } = registering;
        let standing = self.standing(now, rules, registering.flow, message);
        if !self.pace.allows(now, rules.rate.div_ceil(self.shards), standing) {
            return answered(self.put_off(rules, registering.rng));
        }
        // Steps 1 and 2: the domain, the extensions.
        let wish = match wish::read(rules, message, &registering.sent_by) {
            Ok(wish) => wish,
            Err(refusal) => return self.refused(&refusal),
        };
        // Step 3: who is it?
        let user = match self.ask(now, rules, Asker::FarEnd, message) {
            Ok(user) => user,
            Err((answer, failed)) => return Registered { answer, bound: None, failed },
        };
        // Steps 4 and 5: an address belongs to the user of its name.
        if *user != *wish.aor {
            return self.refused(&Refusal::NotYours);
        }
        self.rebind(registering, &wish)
    }

    /// Whether a way is one that somebody has registered by.
    pub fn is_bound(&self, flow: Flow) -> bool {
        self.flows.holds(flow)
    }

    /// Whether a way is a phone's: somebody is bound by it, or was by this connection, which has not ended since. A shard hears of a
    /// connection's end and of what became of its bindings in any order.
    pub fn is_phones(&self, flow: Flow) -> bool {
        self.flows.has_held(flow)
    }

    /// Whether a way leads to this user now: his phones may have moved since he was called.
    pub fn is_at(&self, now: Instant, aor: &str, flow: Flow) -> bool {
        self.find(now, aor).any(|binding| binding.flow == flow)
    }

    /// Bindings that are reached at an address, or were within the last hour.
    pub fn behind(&self, addr: IpAddr) -> u32 {
        self.flows.behind(addr)
    }

    /// Come again later: too many came at once, or no room is left.
    fn put_off(&mut self, rules: &RegistrarRules, rng: &mut Rng) -> Answer {
        self.counters.put_off += 1;
        answer::later(self.pace.later(rng, rules.rate.div_ceil(self.shards)))
    }

    fn standing(&self, now: Instant, rules: &RegistrarRules, flow: Flow, message: &Message) -> Standing {
        if self.flows.holds(flow) || self.flows.behind(flow.peer.ip()) > 0 {
            return Standing::Known;
        }
        // What the trunk behind has asked, only it can tell.
        let answers = match rules.behind {
            Some(_) => passage::is_signed(message),
            None => self.authenticator.answers_ours(now, &rules.realm, Asker::FarEnd, message),
        };
        if answers { Standing::Answering } else { Standing::Unknown }
    }

    /// Who sends a request outside a dialog: one whose registered flow it came by, or whoever answers for himself.
    pub fn caller(&mut self, now: Instant, rules: &RegistrarRules, flow: Flow, message: &Message) -> Caller {
        let from = message.from();
        let named =
            sip::Uri::parse(from.uri).ok().and_then(|uri| core::str::from_utf8(uri.user()).ok().map(Name::from));
        if let Some(name) = &named
            && rules.may_bind(name)
            && self.is_at(now, name, flow)
        {
            return Caller::User(name.clone());
        }
        if rules.behind.is_some() {
            // His password is not ours to ask for: he registers first.
            self.counters.refused += 1;
            return Caller::Challenge { answer: answer::refusal(&Refusal::NotYours), failed: false };
        }
        match self.ask(now, rules, Asker::Proxy, message) {
            Ok(user) if named.as_ref().is_some_and(|named| **named == *user) => Caller::User(user),
            Ok(_) => {
                self.counters.refused += 1;
                Caller::Challenge { answer: answer::refusal(&Refusal::NotYours), failed: false }
            }
            Err((answer, failed)) => Caller::Challenge { answer, failed },
        }
    }

    /// Takes over what another shard, or the time before a restart, knows of an address.
    pub fn install(&mut self, now: Instant, bound: &Bound) {
        let alive = bound.bindings.iter().filter(|binding| binding.expires > now).count();
        if alive == bound.bindings.len() {
            self.put(now, bound.aor.clone(), bound.bindings.clone());
        } else {
            self.put(now, bound.aor.clone(), bound.bindings.iter().filter(|b| b.expires > now).cloned().collect());
        }
    }

    /// The bindings of an address that hold.
    pub fn find(&self, now: Instant, aor: &str) -> impl Iterator<Item = &Binding> {
        let entry = self.entries.get(aor).map_or(&[][..], |entry| &*entry.bindings);
        entry.iter().filter(move |binding| binding.expires > now)
    }

    /// Takes a binding away behind which nobody is: what is dead must not be called again. One that has moved since is another.
    pub fn dead(&mut self, now: Instant, aor: &Name, contact: &[u8], flow: Flow) -> Option<Bound> {
        let entry = self.entries.get(aor)?;
        let is_it = |binding: &Binding| &*binding.contact == contact && binding.flow == flow;
        let left: Arc<[Binding]> = entry.bindings.iter().filter(|binding| !is_it(binding)).cloned().collect();
        if left.len() == entry.bindings.len() {
            return None;
        }
        self.counters.dead += 1;
        Some(self.put(now, aor.clone(), left))
    }

    /// A connection has ended, and with it all bindings by it (RFC 5626 §5.3: there is no other way to the phone, which comes back by a new one).
    /// What is left to each user who had some.
    pub fn broken(&mut self, now: Instant, flow: Flow) -> Vec<Bound> {
        let mut changed = Vec::new();
        for aor in self.flows.users_of(flow) {
            let Some(entry) = self.entries.get(&aor) else { continue };
            let left: Arc<[Binding]> = entry.bindings.iter().filter(|binding| binding.flow != flow).cloned().collect();
            self.counters.broken += (entry.bindings.len() - left.len()) as u64;
            changed.push(self.put(now, aor, left));
        }
        self.flows.ended(flow);
        changed
    }

    /// Puts a binding behind all others whose phone did not reply: a lost packet is no proof, and its next REGISTER clears it.
    pub fn suspect(&mut self, now: Instant, aor: &Name, contact: &[u8], flow: Flow) -> Option<Bound> {
        let entry = self.entries.get(aor)?;
        let is_it = |binding: &Binding| &*binding.contact == contact && binding.flow == flow && binding.q > 0;
        if !entry.bindings.iter().any(is_it) {
            return None;
        }
        let mut bindings = entry.bindings.to_vec();
        bindings.iter_mut().filter(|binding| is_it(binding)).for_each(|binding| binding.q = 0);
        bindings.sort_by_key(|binding| core::cmp::Reverse(binding.q));
        self.counters.suspected += 1;
        Some(self.put(now, aor.clone(), bindings.into()))
    }

    /// When `expire` is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// Drops what has run out. Every shard does so by itself, at the same time.
    pub fn expire(&mut self, now: Instant) {
        self.flows.forget(now);
        while let Some(aor) = self.timers.pop(now) {
            let Some(entry) = self.entries.get(&aor) else { continue };
            let left: Arc<[Binding]> = entry.bindings.iter().filter(|b| b.expires > now).cloned().collect();
            self.counters.expired += (entry.bindings.len() - left.len()) as u64;
            self.put(now, aor, left);
        }
    }

    /// Addresses with bindings.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No address has a binding.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was counted.
    pub const fn counters(&self) -> &RegistrarCounters {
        &self.counters
    }

    fn ask(
        &mut self,
        now: Instant,
        rules: &RegistrarRules,
        asker: Asker,
        message: &Message,
    ) -> Result<Name, (Answer, bool)> {
        let verdict = self.authenticator.verify(now, &rules.realm, asker, message, |user| rules.users.get(user));
        let stale = verdict.is_stale();
        self.counters.auth_failed += u64::from(verdict.is_failure());
        self.counters.replayed += u64::from(verdict == Verdict::Replayed);
        let failed = verdict.is_failure();
        if let Verdict::Good { user } = verdict {
            return Ok(Name::from(&*user));
        }
        self.counters.challenged += 1;
        let mut answer = Answer::new(asker.code());
        self.authenticator.challenge(now, &rules.realm, asker, stale, &mut answer.headers);
        Err((answer, failed))
    }

    /// Steps 6 to 8: all of it or nothing.
    fn rebind(&mut self, registering: Registering<'_>, wish: &Wish<'_>) -> Registered {
        let Registering { now, rules, rng, flow, sent_by, .. } = registering;
        let held: Vec<Binding> = self.find(now, &wish.aor).cloned().collect();
        if matches!(wish.contacts, Contacts::Query) {
            self.counters.accepted += 1;
            return answered(answer::ok(now, rules, &sent_by, wish, &held));
        }
        if held.is_empty() && self.entries.len() >= self.limit {
            return answered(self.put_off(rules, rng));
        }
        let granted = |asked: &Asked<'_>, renews| {
            let wished = asked.expires.unwrap_or(rules.expiries.default);
            if Span::ZERO < wished && wished < rules.expiries.min {
                return Err(Refusal::TooBrief(rules.expiries.min));
            }
            Ok(if wished == Span::ZERO { wished } else { rules.expiries.granted(rng, wished, renews) })
        };
        let (left, displaced) = match binding::rebound(now, rules.contacts, flow, wish, held, granted) {
            Ok(left) => left,
            Err(refusal) => return self.refused(&refusal),
        };
        self.counters.accepted += 1;
        self.counters.displaced += displaced;
        let answer = answer::ok(now, rules, &sent_by, wish, &left);
        Registered { answer, bound: Some(self.put(now, wish.aor.clone(), left.into())), failed: false }
    }

    fn put(&mut self, now: Instant, aor: Name, bindings: Arc<[Binding]>) -> Bound {
        if let Some(entry) = self.entries.remove(&aor) {
            self.timers.cancel(entry.timer);
            entry.bindings.iter().for_each(|binding| self.flows.remove(now, binding.flow, &aor));
        }
        if let Some(first) = bindings.iter().map(|binding| binding.expires).min() {
            if self.entries.len() < self.limit {
                let timer = self.timers.set(first, aor.clone());
                self.entries.insert(aor.clone(), Entry { bindings: bindings.clone(), timer });
                bindings.iter().for_each(|binding| self.flows.add(now, binding.flow, &aor));
            } else {
                self.counters.no_room += 1;
            }
        }
        Bound { aor, bindings }
    }

    fn refused(&mut self, refusal: &Refusal<'_>) -> Registered {
        self.counters.refused += 1;
        answered(answer::refusal(refusal))
    }
}

const fn answered(answer: Answer) -> Registered {
    Registered { answer, bound: None, failed: false }
}
