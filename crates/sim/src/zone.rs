//! The name service of a town: records that a test writes and changes, answered after a while, or by nobody.
//!
//! Refuses to know: what records mean, who asks.

use edge::names::{Question, Record, Reply};
use model::{Instant, Span};
use std::collections::{BTreeMap, VecDeque};

/// How long an answer takes.
const WAY: Span = Span::from_millis(20);

/// Records, and questions that are under way.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    records: BTreeMap<Question, Vec<Record>>,
    ttl: Span,
    /// Nobody answers.
    pub(crate) dead: bool,
    asked: VecDeque<(Instant, Question)>,
    /// Questions so far.
    pub(crate) count: u64,
}

impl Zone {
    /// Records of a name from now on; none remove it.
    #[cfg(test)]
    pub(crate) fn set(&mut self, name: &str, kind: edge::names::Kind, ttl: Span, records: Vec<Record>) {
        self.ttl = ttl;
        let question = Question { name: model::Name::from(name), kind };
        if records.is_empty() {
            self.records.remove(&question);
        } else {
            self.records.insert(question, records);
        }
    }

    pub(crate) fn ask(&mut self, now: Instant, question: Question) {
        self.count += 1;
        if !self.dead {
            self.asked.push_back((now + WAY, question));
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.asked.front().map(|(at, _)| *at)
    }

    pub(crate) fn answer(&mut self, now: Instant) -> Option<(Question, Reply)> {
        let (at, question) = self.asked.pop_front()?;
        if at > now {
            self.asked.push_front((at, question));
            return None;
        }
        let ttl = self.ttl;
        let reply = match self.records.get(&question) {
            Some(records) => Reply::Found { records: records.clone(), ttl },
            None if self.records.keys().any(|known| known.name == question.name) => Reply::NoData { ttl },
            None => Reply::NoSuchName { ttl },
        };
        Some((question, reply))
    }
}
