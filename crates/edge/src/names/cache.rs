//! What the name service has said, and when it is to be asked again.
//!
//! An answer is asked for anew before it ends, so that nobody ever finds none (prefetch); when nobody answers, the old one holds on
//! (RFC 8767); "there is none" is an answer like any other, and short (RFC 2308). Only what somebody uses is kept. Refuses to know: what
//! records mean, which trunk is where.

use super::locate::Known;
use super::{DnsSettings, LookupFault, Question, Record, Reply};
use model::{Instant, Rng, Span, TrunkId};
use std::collections::{BTreeMap, BTreeSet};

/// Questions kept at most; what is beyond is not asked. A thousand trunks with names need some four thousand.
pub(crate) const QUESTIONS_MAX: usize = 32_768;
/// Records of one answer that are kept.
const RECORDS_MAX: usize = 64;
/// Beyond its own limit a lookup is given so long before it counts as lost.
const GRACE: Span = Span::from_secs(10);

/// Questions with what is known of them.
#[derive(Debug)]
pub(crate) struct Cache {
    settings: DnsSettings,
    entries: BTreeMap<Question, Entry>,
    /// When each is to be looked at; the earliest first.
    agenda: BTreeSet<(Instant, Question)>,
    rng: Rng,
}

#[derive(Debug)]
struct Entry {
    holds: Holds,
    /// Why the last question has got no answer, if so.
    fault: Option<LookupFault>,
    /// It has been asked, and is not answered.
    in_flight: bool,
    look: Instant,
    users: BTreeSet<TrunkId>,
}

#[derive(Debug)]
enum Holds {
    /// Never answered.
    Nothing,
    /// These records: until then they are fresh, and for `stale` after that better than none.
    Records { records: Vec<Record>, fresh_until: Instant },
    /// There are none.
    Negative { no_such_name: bool },
}

/// How old an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    /// Time until it is no longer fresh; zero when it is stale.
    pub(crate) left: Span,
    /// Nobody renews it.
    pub(crate) fault: Option<LookupFault>,
    /// The answer is that there is no such name.
    pub(crate) no_such_name: bool,
}

impl Cache {
    pub(crate) fn new(settings: DnsSettings, seed: u64) -> Self {
        Self { settings, entries: BTreeMap::new(), agenda: BTreeSet::new(), rng: Rng::new(seed) }
    }

    /// A reload. Answers that are there keep their times.
    pub(crate) fn configure(&mut self, settings: DnsSettings) {
        self.settings = settings;
    }

    pub(crate) fn known(&self, now: Instant, question: &Question) -> Known<'_> {
        let Some(entry) = self.entries.get(question) else {
            return if self.entries.len() < QUESTIONS_MAX { Known::Unasked } else { Known::Failed };
        };
        match &entry.holds {
            Holds::Records { records, fresh_until } if now < *fresh_until + self.settings.stale => {
                Known::Records(records)
            }
            Holds::Negative { .. } => Known::Nothing,
            Holds::Nothing | Holds::Records { .. } => match entry.fault {
                Some(LookupFault::Refused) => Known::Refused,
                Some(_) => Known::Failed,
                None => Known::Unasked,
            },
        }
    }

    pub(crate) fn age(&self, now: Instant, question: &Question) -> Option<Age> {
        let entry = self.entries.get(question)?;
        let left = match &entry.holds {
            Holds::Records { fresh_until, .. } => fresh_until.since(now),
            Holds::Negative { .. } => entry.look.since(now),
            Holds::Nothing => Span::ZERO,
        };
        let no_such_name = matches!(entry.holds, Holds::Negative { no_such_name: true });
        Some(Age { left, fault: entry.fault, no_such_name })
    }

    /// A trunk uses these questions from now on, and no others.
    pub(crate) fn used(&mut self, now: Instant, trunk: TrunkId, before: &[Question], questions: &[Question]) {
        for question in questions {
            if !self.entries.contains_key(question) {
                if self.entries.len() >= QUESTIONS_MAX {
                    continue;
                }
                let users = BTreeSet::new();
                let entry = Entry { holds: Holds::Nothing, fault: None, in_flight: false, look: now, users };
                self.agenda.insert((now, question.clone()));
                self.entries.insert(question.clone(), entry);
            }
            if let Some(entry) = self.entries.get_mut(question) {
                entry.users.insert(trunk);
            }
        }
        for question in before.iter().filter(|question| !questions.contains(question)) {
            let Some(entry) = self.entries.get_mut(question) else { continue };
            entry.users.remove(&trunk);
            if entry.users.is_empty() {
                self.agenda.remove(&(entry.look, question.clone()));
                self.entries.remove(question);
            }
        }
    }

    /// Trunks whose places rest on a question.
    pub(crate) fn users(&self, question: &Question) -> Vec<TrunkId> {
        self.entries.get(question).map(|entry| entry.users.iter().copied().collect()).unwrap_or_default()
    }

    /// An answer. False when nobody asked for it.
    pub(crate) fn answer(&mut self, now: Instant, question: &Question, reply: Reply) -> bool {
        // Jitter: up to a tenth, so that what was asked together is not asked together for ever.
        let tenth = self.rng.below(100);
        let settings = &self.settings;
        let Some(entry) = self.entries.get_mut(question).filter(|entry| entry.in_flight) else { return false };
        let (least, most) = (settings.floor, settings.ceiling.max(settings.floor));
        let pause = match reply {
            Reply::Found { records, ttl } if records.is_empty() => {
                entry.holds = Holds::Negative { no_such_name: false };
                entry.fault = None;
                ttl.max(least).min(settings.negative.max(least))
            }
            Reply::Found { mut records, ttl } => {
                let ttl = ttl.max(least).min(most);
                records.truncate(RECORDS_MAX);
                entry.holds = Holds::Records { records, fresh_until: now + ttl };
                entry.fault = None;
                // At 80 % of its time, so that there is some left when nobody answers at once.
                Span::from_micros(ttl.as_micros() / 1_000 * (800 - tenth))
            }
            Reply::NoSuchName { ttl } | Reply::NoData { ttl } => {
                let no_such_name = matches!(reply, Reply::NoSuchName { .. });
                entry.holds = Holds::Negative { no_such_name };
                entry.fault = None;
                // RFC 2308 §5: for its TTL, and no longer than a limit of ours.
                ttl.max(least).min(settings.negative.max(least))
            }
            Reply::Failed { why } => {
                entry.fault = Some(why);
                // RFC 8767 §5: what is stale is asked for again at intervals, not with each use.
                Span::from_micros(settings.retry.as_micros() / 1_000 * (1_000 - tenth))
            }
        };
        entry.in_flight = false;
        let (old, look) = (entry.look, now + pause);
        entry.look = look;
        self.agenda.remove(&(old, question.clone()));
        self.agenda.insert((look, question.clone()));
        true
    }

    /// The next question to ask, or one whose lookup got lost and has failed by that.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        let (at, question) = self.agenda.first()?.clone();
        if at > now {
            return None;
        }
        let entry = self.entries.get_mut(&question)?;
        if entry.in_flight {
            self.answer(now, &question, Reply::Failed { why: LookupFault::TimedOut });
            return Some(Due::Lost(question));
        }
        entry.in_flight = true;
        entry.look = now + self.settings.timeout + GRACE;
        self.agenda.remove(&(at, question.clone()));
        self.agenda.insert((entry.look, question.clone()));
        Some(Due::Ask(question))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.agenda.first().map(|(at, _)| *at)
    }
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ask this.
    Ask(Question),
    /// Nobody came back with an answer to this.
    Lost(Question),
}
