//! Who is let in at all: what comes from outside is looked at here before it is parsed.
//!
//! A trunk's address passes at the price of one look. A phone passes by the flow it has registered from, within a limit of its own. Whoever is
//! neither is a stranger: his scanners, his garbage and his repeated guesses shut him out for a while that doubles, and all strangers together
//! get no more than so many answers a second, so that we amplify nothing. Where phones register a stranger may be one of them: his REGISTERs
//! have a budget of their own, and an address that phones are behind may say more. What bears a mark that only we could have given (a branch
//! or a To tag of ours) is part of something we have begun and passes. Everything kept is bounded. Refuses to know: trunks and phones (it is
//! told), what a message wants, who reads its counts.

mod door;
mod policy;
mod ranges;
mod sources;
mod whom;

pub use door::Door;
pub(crate) use policy::PUT_OFF;
pub use policy::{GuardPolicy, Strangers};
pub(crate) use ranges::Ranges;
pub use whom::{NoSource, Whom};

use crate::io::Notice;
use crate::view::{GuardedFor, GuardedView};
use core::net::SocketAddr;
use explain::ShutOutCause;
use memchr::memmem;
use model::{Instant, ListenId};
use policy::PER_PHONE;
use sources::{Source, Sources, Tally};
use std::sync::Arc;

/// Shut-outs told within one second, by one shard: the others are counted.
const TOLD_PER_SECOND: u32 = 5;
/// How much of a message is searched for the name of its software.
const SEARCHED: usize = 2_048;
/// Sources shown at once: the worst.
const SHOWN: usize = 100;

/// Whose a datagram is, as far as the way it came tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A trunk's.
    Trunk,
    /// A phone's that has registered by this very flow.
    Phone,
    /// Nobody's who is known.
    Stranger {
        /// Phones that are behind his address, or lately were.
        phones: u32,
    },
}

/// What a datagram is to the guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    /// Its source.
    pub(crate) from: SocketAddr,
    /// The local side it came to.
    pub(crate) listen: Option<ListenId>,
    /// Phones register there.
    pub(crate) registers: bool,
    /// Whose it is.
    pub(crate) standing: Standing,
    /// The key of our marks.
    pub(crate) key: u64,
    /// All of it.
    pub(crate) bytes: &'a [u8],
}

/// Why a datagram goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// Its source is on the list of those denied.
    Denied,
    /// Its source is not on the list of the listen it came to.
    NotAllowed,
    /// Its source is shut out.
    Banned,
    /// It says that it is a scanner; its source is shut out from now on.
    Scanner,
    /// Its source has sent more than a stranger may; it is shut out from now on.
    TooMany,
    /// A registered phone has sent more than it may.
    Chatty,
    /// Its source has sent more REGISTERs than a house of phones would.
    TooManyRegisters,
    /// Strangers' REGISTERs have had all the answers of this second.
    RegisterUnanswered,
    /// It is no SIP.
    Garbage,
    /// A response to nothing of ours.
    Stray,
    /// Strangers get no answer here.
    Silent,
    /// Strangers have had all the answers of this second.
    Unanswered,
}

impl Shut {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Denied, "guard_denied"),
        (Self::NotAllowed, "guard_not_allowed"),
        (Self::Banned, "guard_banned"),
        (Self::Scanner, "guard_scanners"),
        (Self::TooMany, "guard_too_many"),
        (Self::Chatty, "guard_phone_too_many"),
        (Self::TooManyRegisters, "guard_registers_too_many"),
        (Self::RegisterUnanswered, "guard_registers_unanswered"),
        (Self::Garbage, "guard_garbage"),
        (Self::Stray, "guard_stray"),
        (Self::Silent, "guard_silent"),
        (Self::Unanswered, "guard_unanswered"),
    ];

    /// Its source is kept out, whatever it sends next: a connection of its own would only take the place of another.
    pub(crate) const fn is_of_the_source(self) -> bool {
        matches!(self, Self::Denied | Self::NotAllowed | Self::Banned | Self::Scanner | Self::TooMany)
    }
}

/// What a stranger has done to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// He sent what is no SIP, or is broken.
    Malformed,
    /// He gave a wrong password, or spoke inside a dialog that is not his.
    Failure,
}

/// The guard of one shard.
#[derive(Debug)]
pub(crate) struct Guard {
    policy: Arc<GuardPolicy>,
    /// Of how many shards: all of them together keep the limits on answers.
    shards: u32,
    sources: Sources,
    /// Registered phones, by flow.
    phones: Sources,
    answers: Bucket,
    registers: Bucket,
    told: Bucket,
    dropped: [u64; Shut::ALL.len()],
    shut_out: u64,
    untold: u64,
    forgiven: u64,
    out: Vec<Notice>,
    /// When something came last.
    now: Instant,
}

impl Guard {
    /// One that has seen nobody. `seed` keys its table, so that nobody chooses whom he pushes out of it.
    pub(crate) fn new(policy: Arc<GuardPolicy>, shards: u8, seed: u64) -> Self {
        let shards = u32::from(shards.max(1));
        Self {
            answers: Bucket::full(policy.answers.div_ceil(shards)),
            registers: Bucket::full(policy.registrations.div_ceil(shards)),
            told: Bucket::full(TOLD_PER_SECOND),
            sources: Sources::new(seed),
            phones: Sources::new(seed ^ 1),
            dropped: [0; Shut::ALL.len()],
            shut_out: 0,
            untold: 0,
            forgiven: 0,
            out: Vec::new(),
            now: Instant::ZERO,
            shards,
            policy,
        }
    }

    /// Another policy from now on. Whoever is shut out stays so.
    pub(crate) fn install(&mut self, policy: &Arc<GuardPolicy>) {
        if !Arc::ptr_eq(&self.policy, policy) {
            self.policy = policy.clone();
            self.answers.per_second = policy.answers.div_ceil(self.shards);
            self.registers.per_second = policy.registrations.div_ceil(self.shards);
        }
    }

    /// Whether a datagram is let in.
    pub(crate) fn screen(&mut self, now: Instant, arrival: &Arrival<'_>) -> Result<(), Shut> {
        self.now = self.now.max(now);
        let passed = self.pass(now, arrival);
        self.count(passed)
    }

    /// The same for one that another shard has let in: what a source has failed at here only this one knows.
    pub(crate) fn screen_passed(&mut self, now: Instant, arrival: &Arrival<'_>) -> Result<(), Shut> {
        self.now = self.now.max(now);
        let is_out = match arrival.standing {
            Standing::Trunk => false,
            Standing::Phone => {
                let source = Source::Phone(arrival.from);
                self.phones.is_shut_out(now, source)
                    && !sip::scan(arrival.bytes).is_some_and(|scan| is_ours(arrival.key, &scan))
                    && self.phones.keeps_out(now, source)
            }
            Standing::Stranger { .. } => self.sources.keeps_out(now, Source::of(arrival.from.ip())),
        };
        self.count(if is_out { Err(Shut::Banned) } else { Ok(()) })
    }

    fn count(&mut self, passed: Result<(), Shut>) -> Result<(), Shut> {
        if let Err(why) = passed {
            let index = Shut::ALL.iter().position(|(known, _)| *known == why);
            if let Some(count) = index.and_then(|index| self.dropped.get_mut(index)) {
                *count += 1;
            }
        }
        passed
    }

    fn pass(&mut self, now: Instant, arrival: &Arrival<'_>) -> Result<(), Shut> {
        let from = arrival.from.ip();
        self.policy.admits(from, arrival.listen, arrival.standing == Standing::Trunk)?;
        let phones = match arrival.standing {
            Standing::Trunk => return Ok(()),
            Standing::Phone => return self.phone(now, arrival),
            Standing::Stranger { phones } => phones,
        };
        let source = Source::of(from);
        if self.sources.keeps_out(now, source) {
            return Err(Shut::Banned);
        }
        self.stranger(now, source, phones, arrival)
    }

    /// One who has registered by this flow. His calls go on whatever else he sends: he may not be the one who sends it.
    fn phone(&mut self, now: Instant, arrival: &Arrival<'_>) -> Result<(), Shut> {
        let source = Source::Phone(arrival.from);
        let scan = sip::scan(arrival.bytes);
        if scan.as_ref().is_some_and(|scan| is_ours(arrival.key, scan)) {
            return Ok(());
        }
        if self.phones.keeps_out(now, source) {
            return Err(Shut::Banned);
        }
        let tally = self.phones.tally(now, source, self.policy.window);
        tally.requests = tally.requests.saturating_add(1);
        if tally.requests > self.policy.phone {
            self.phones.limit(now, source, GuardedFor::Messages, self.policy.window);
            return Err(Shut::Chatty);
        }
        match scan {
            None if is_keep_alive(arrival.bytes) => Ok(()),
            None => {
                self.offence(now, arrival.from, arrival.standing, Offence::Malformed);
                Err(Shut::Garbage)
            }
            Some(scan) if scan.is_response => Err(Shut::Stray),
            Some(_) => Ok(()),
        }
    }

    fn stranger(&mut self, now: Instant, source: Source, phones: u32, arrival: &Arrival<'_>) -> Result<(), Shut> {
        if is_keep_alive(arrival.bytes) {
            // Nothing answers it.
            return self.count_request(now, source, phones);
        }
        let Some(scan) = sip::scan(arrival.bytes) else {
            self.offence(now, arrival.from, arrival.standing, Offence::Malformed);
            return Err(Shut::Garbage);
        };
        if is_ours(arrival.key, &scan) {
            return Ok(());
        }
        if self.is_scanner(arrival.bytes) {
            self.shut_out(now, source, ShutOutCause::Scanner, 1);
            return Err(Shut::Scanner);
        }
        if arrival.registers && scan.first == b"REGISTER" {
            return self.newcomer(now, source, phones);
        }
        self.count_request(now, source, phones)?;
        if scan.is_response {
            return Err(Shut::Stray);
        }
        // A phone that has another port than it registered from.
        if arrival.registers && phones > 0 {
            return Ok(());
        }
        if self.policy.strangers == Strangers::Silent {
            return Err(Shut::Silent);
        }
        // An ACK is never answered, and ends the repeating of what was.
        if scan.first != b"ACK" && !self.answers.take(now, 0) {
            return Err(Shut::Unanswered);
        }
        Ok(())
    }

    /// A REGISTER of somebody unknown. Hundreds of phones behind one address come back at once when the power does: they are many, and no
    /// attack, so that what is too much is dropped and nobody is shut out for it. A quarter is kept for addresses that phones are behind.
    fn newcomer(&mut self, now: Instant, source: Source, phones: u32) -> Result<(), Shut> {
        let limit = self.policy.registers.saturating_add(PER_PHONE.saturating_mul(phones));
        let tally = self.sources.tally(now, source, self.policy.window);
        tally.registers = tally.registers.saturating_add(1);
        if tally.registers > limit {
            self.sources.limit(now, source, GuardedFor::Registers, self.policy.window);
            return Err(Shut::TooManyRegisters);
        }
        let kept = if phones > 0 { 0 } else { self.registers.per_second / 4 };
        if self.registers.take(now, kept) { Ok(()) } else { Err(Shut::RegisterUnanswered) }
    }

    fn count_request(&mut self, now: Instant, source: Source, phones: u32) -> Result<(), Shut> {
        let window = self.policy.window;
        let tally = self.sources.tally(now, source, window);
        tally.requests = tally.requests.saturating_add(1);
        let count = tally.requests;
        if count <= self.policy.requests.saturating_add(PER_PHONE.saturating_mul(phones)) {
            return Ok(());
        }
        self.shut_out(now, source, ShutOutCause::Requests, count);
        Err(Shut::TooMany)
    }

    /// Somebody has done something that honest people seldom do. It is not held against trunks; a phone answers for itself alone; behind an
    /// address with many of them each may mistype once.
    pub(crate) fn offence(&mut self, now: Instant, from: SocketAddr, standing: Standing, offence: Offence) {
        let (table, source, phones) = match standing {
            Standing::Trunk => return,
            Standing::Phone => (&mut self.phones, Source::Phone(from), 0),
            Standing::Stranger { phones } => (&mut self.sources, Source::of(from.ip()), phones),
        };
        let Tally { malformed, failures, .. } = table.tally(now, source, self.policy.window);
        let (count, limit, cause) = match offence {
            Offence::Malformed => (malformed, self.policy.malformed, ShutOutCause::Malformed),
            Offence::Failure => (failures, self.policy.failures, ShutOutCause::Failures),
        };
        *count = count.saturating_add(1);
        let count = *count;
        if count >= limit.saturating_add(phones) {
            self.shut_out(now, source, cause, count);
        }
    }

    fn shut_out(&mut self, now: Instant, source: Source, cause: ShutOutCause, count: u32) {
        let table = if matches!(source, Source::Phone(_)) { &mut self.phones } else { &mut self.sources };
        let length = table.shut_out(now, source, cause, &self.policy);
        self.shut_out += 1;
        let within = self.policy.window;
        self.tell(now, Notice::ShutOut { source: source.to_string(), cause, count, within, length });
    }

    /// Tells of something, unless too much has been told within the last second; that is counted.
    pub(crate) fn tell(&mut self, now: Instant, notice: Notice) {
        if self.told.take(now, 0) {
            self.out.push(notice);
        } else {
            self.untold += 1;
        }
    }

    /// The names that scanners give themselves in User-Agent, anywhere in the head of a message: they are not shy, and honest software does
    /// not bear them.
    fn is_scanner(&self, bytes: &[u8]) -> bool {
        let head = bytes.get(..SEARCHED).unwrap_or(bytes);
        let agents = sip_agents(head);
        let mut agents = agents.filter(|agent| !agent.is_empty());
        agents.any(|agent| {
            let agent = agent.to_ascii_lowercase();
            self.policy.scanners.iter().any(|name| memmem::find(&agent, name.as_bytes()).is_some())
        })
    }

    /// What is to be told, if anything.
    pub(crate) fn poll(&mut self) -> Option<Notice> {
        self.out.pop()
    }

    /// By name.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let drops = Shut::ALL.iter().map(|(_, name)| *name).zip(self.dropped);
        let others =
            [("guard_shut_out", self.shut_out), ("guard_untold", self.untold), ("guard_forgiven", self.forgiven)];
        drops.chain(others)
    }

    /// An operator forgives a source, or all of an address: it is heard again, and its next shut-out is its first.
    pub(crate) fn forgive(&mut self, now: Instant, whom: Whom) {
        self.now = self.now.max(now);
        self.forgiven += u64::from(self.sources.forgive(now, whom) + self.phones.forgive(now, whom));
    }

    /// Time has passed though nobody came.
    pub(crate) fn pass_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Who is shut out or limited, the worst first, and how many more there are than can be shown.
    pub(crate) fn view(&self) -> (Vec<GuardedView>, u64) {
        let mut held = self.sources.held(self.now);
        held.extend(self.phones.held(self.now));
        GuardedView::worst_first(&mut held);
        let more = held.len().saturating_sub(SHOWN) as u64;
        held.truncate(SHOWN);
        (held, more)
    }
}

/// Part of something we have begun: it bears a branch or a To tag that only we could have given.
fn is_ours(key: u64, scan: &sip::Scan<'_>) -> bool {
    let mark = if scan.is_response { Some(scan.branch) } else { scan.to_tag };
    mark.is_some_and(|mark| sip::owner(key, mark).is_some())
}

fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Values of the lines that name the software of the sender.
fn sip_agents(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let name = line[..colon].trim_ascii();
        let is_agent = name.eq_ignore_ascii_case(b"User-Agent") || name.eq_ignore_ascii_case(b"Server");
        is_agent.then(|| line[colon + 1..].trim_ascii())
    })
}

/// So many a second, and at most one second's worth at once.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: u32,
    /// In millionths of one.
    level: u64,
    at: Instant,
}

impl Bucket {
    const ONE: u64 = 1_000_000;

    fn full(per_second: u32) -> Self {
        Self { per_second, level: u64::from(per_second) * Self::ONE, at: Instant::ZERO }
    }

    /// One, when there is one besides `kept`.
    fn take(&mut self, now: Instant, kept: u32) -> bool {
        let earned = now.since(self.at).as_micros().saturating_mul(u64::from(self.per_second));
        self.at = self.at.max(now);
        self.level = self.level.saturating_add(earned).min(u64::from(self.per_second) * Self::ONE);
        let taken = self.level >= (u64::from(kept) + 1) * Self::ONE;
        self.level -= if taken { Self::ONE } else { 0 };
        taken
    }
}

#[cfg(test)]
mod tests;
