//! Who is let in at all: what comes from outside is looked at here before it is parsed.
//!
//! A trunk's address passes at the price of one look. Whoever is no trunk is a stranger: his scanners, his garbage and his repeated guesses
//! shut him out for a while that doubles, and all strangers together get no more than so many answers a second, so that we amplify
//! nothing. What bears a mark that only we could have given (a branch or a To tag of ours) is part of something we have begun and passes.
//! Everything kept is bounded. Refuses to know: trunks (it is told), what a message wants, who reads its counts.

mod door;
mod policy;
mod ranges;
mod sources;

pub use door::Door;
pub use policy::{GuardPolicy, Strangers};
pub(crate) use ranges::Ranges;

use crate::io::Notice;
use crate::view::ShutOutView;
use core::net::IpAddr;
use explain::ShutOutCause;
use memchr::memmem;
use model::{Instant, ListenId};
use sources::{Source, Sources, Tally};
use std::sync::Arc;

/// Shut-outs told within one second, by one shard: the others are counted.
const TOLD_PER_SECOND: u32 = 5;
/// How much of a message is searched for the name of its software.
const SEARCHED: usize = 2_048;
/// Sources shown at once.
const SHOWN: usize = 100;

/// What a datagram is to the guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    /// Its source.
    pub(crate) from: IpAddr,
    /// The local side it came to.
    pub(crate) listen: Option<ListenId>,
    /// Its source speaks for a trunk, or is somebody registered.
    pub(crate) known: bool,
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
    const ALL: [(Self, &'static str); 9] = [
        (Self::Denied, "guard_denied"),
        (Self::NotAllowed, "guard_not_allowed"),
        (Self::Banned, "guard_banned"),
        (Self::Scanner, "guard_scanners"),
        (Self::TooMany, "guard_too_many"),
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
    answers: Bucket,
    told: Bucket,
    dropped: [u64; Shut::ALL.len()],
    shut_out: u64,
    untold: u64,
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
            told: Bucket::full(TOLD_PER_SECOND),
            sources: Sources::new(seed),
            dropped: [0; Shut::ALL.len()],
            shut_out: 0,
            untold: 0,
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
        }
    }

    /// Whether a datagram is let in.
    pub(crate) fn screen(&mut self, now: Instant, arrival: &Arrival<'_>) -> Result<(), Shut> {
        self.now = self.now.max(now);
        let passed = self.pass(now, arrival);
        if let Err(why) = passed {
            let index = Shut::ALL.iter().position(|(known, _)| *known == why);
            if let Some(count) = index.and_then(|index| self.dropped.get_mut(index)) {
                *count += 1;
            }
        }
        passed
    }

    fn pass(&mut self, now: Instant, arrival: &Arrival<'_>) -> Result<(), Shut> {
        self.policy.admits(arrival.from, arrival.listen, arrival.known)?;
        if arrival.known {
            return Ok(());
        }
        let source = Source::of(arrival.from);
        if self.sources.is_shut_out(now, source) {
            return Err(Shut::Banned);
        }
        self.stranger(now, source, arrival)
    }

    fn stranger(&mut self, now: Instant, source: Source, arrival: &Arrival<'_>) -> Result<(), Shut> {
        if arrival.bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            // A keep-alive: nothing answers it.
            return self.count_request(now, source);
        }
        let Some(scan) = sip::scan(arrival.bytes) else {
            self.offend(now, source, Offence::Malformed);
            return Err(Shut::Garbage);
        };
        let mark = if scan.is_response { Some(scan.branch) } else { scan.to_tag };
        if mark.is_some_and(|mark| sip::owner(arrival.key, mark).is_some()) {
            return Ok(());
        }
        if self.is_scanner(arrival.bytes) {
            self.shut_out(now, source, ShutOutCause::Scanner, 1);
            return Err(Shut::Scanner);
        }
        self.count_request(now, source)?;
        if scan.is_response {
            return Err(Shut::Stray);
        }
        if self.policy.strangers == Strangers::Silent {
            return Err(Shut::Silent);
        }
        // An ACK is never answered, and ends the repeating of what was.
        if scan.first != b"ACK" && !self.answers.take(now) {
            return Err(Shut::Unanswered);
        }
        Ok(())
    }

    fn count_request(&mut self, now: Instant, source: Source) -> Result<(), Shut> {
        let window = self.policy.window;
        let tally = self.sources.tally(now, source, window);
        tally.requests = tally.requests.saturating_add(1);
        let count = tally.requests;
        if count <= self.policy.requests {
            return Ok(());
        }
        self.shut_out(now, source, ShutOutCause::Requests, count);
        Err(Shut::TooMany)
    }

    /// A stranger has done something that honest people seldom do. Of trunks and the registered this is never said.
    pub(crate) fn offence(&mut self, now: Instant, from: IpAddr, offence: Offence) {
        self.offend(now, Source::of(from), offence);
    }

    fn offend(&mut self, now: Instant, source: Source, offence: Offence) {
        let Tally { malformed, failures, .. } = self.sources.tally(now, source, self.policy.window);
        let (count, limit, cause) = match offence {
            Offence::Malformed => (malformed, self.policy.malformed, ShutOutCause::Malformed),
            Offence::Failure => (failures, self.policy.failures, ShutOutCause::Failures),
        };
        *count = count.saturating_add(1);
        let count = *count;
        if count >= limit {
            self.shut_out(now, source, cause, count);
        }
    }

    fn shut_out(&mut self, now: Instant, source: Source, cause: ShutOutCause, count: u32) {
        let length = self.sources.shut_out(now, source, cause, &self.policy);
        self.shut_out += 1;
        let within = self.policy.window;
        self.tell(now, Notice::ShutOut { source: source.to_string(), cause, count, within, length });
    }

    /// Tells of something, unless too much has been told within the last second; that is counted.
    pub(crate) fn tell(&mut self, now: Instant, notice: Notice) {
        if self.told.take(now) {
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
        drops.chain([("guard_shut_out", self.shut_out), ("guard_untold", self.untold)])
    }

    /// Who is shut out, at most so many as can be shown.
    pub(crate) fn view(&self) -> Vec<ShutOutView> {
        self.sources.shown(self.now, SHOWN)
    }
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

    fn take(&mut self, now: Instant) -> bool {
        let earned = now.since(self.at).as_micros().saturating_mul(u64::from(self.per_second));
        self.at = self.at.max(now);
        self.level = self.level.saturating_add(earned).min(u64::from(self.per_second) * Self::ONE);
        let taken = self.level.checked_sub(Self::ONE);
        self.level = taken.unwrap_or(self.level);
        taken.is_some()
    }
}

#[cfg(test)]
mod tests;
