//! Legs that the edge begins, as the wire shows them: INVITE, answer, ACK, BYE.
//!
//! Refuses to know: records, and which call a leg belongs to.

use super::Broken;
use crate::town::TEST_NUMBER;
use model::{Instant, Span};
use sip::{Message, Method, Uri};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// An INVITE that nothing has ended by then is forgotten by the edge: 64·T1, and as long once more for one whose CANCEL had to wait. Who
/// answers later gets no ACK, and ends his side by himself (RFC 3261 §13.3.1.4).
const FORGOTTEN: Span = Span::from_secs(32);

/// One leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    /// A test call, which no record counts.
    pub(super) is_test: bool,
    /// When its INVITE left the edge first.
    pub(super) begun: Instant,
    /// When a CANCEL left the edge first.
    cancelled: Option<Instant>,
    /// When a refusal reached the edge first.
    refused: Option<Instant>,
    /// When a 2xx to its INVITE reached the edge first.
    pub(super) answered: Option<Instant>,
    /// The edge sent an ACK to that.
    acknowledged: bool,
    /// When a BYE left the edge first.
    pub(super) hung_up: Option<Instant>,
    /// When a BYE reached the edge first.
    ended: Option<Instant>,
}

impl Leg {
    fn new(now: Instant, is_test: bool) -> Self {
        Self {
            is_test,
            begun: now,
            cancelled: None,
            refused: None,
            answered: None,
            acknowledged: false,
            hung_up: None,
            ended: None,
        }
    }

    /// Answered while the edge still had the INVITE.
    pub(super) fn is_answered(&self) -> bool {
        let since = self.cancelled.unwrap_or(self.begun);
        self.answered.is_some_and(|answered| answered.since(since) < FORGOTTEN)
    }

    /// When it was over for good, if it was.
    pub(super) fn over(&self) -> Option<Instant> {
        [self.refused, self.hung_up, self.ended].into_iter().flatten().min()
    }

    fn is_unfinished(&self) -> bool {
        self.is_answered() && !(self.acknowledged && (self.hung_up.is_some() || self.ended.is_some()))
    }
}

/// All of a run, by Call-ID.
#[derive(Debug, Default)]
pub(super) struct Legs {
    pub(super) by_id: BTreeMap<Vec<u8>, Leg>,
}

impl Legs {
    /// A request that leaves the edge.
    pub(super) fn sent(&mut self, now: Instant, message: &Message) {
        let id = message.call_id();
        if message.method() == Method::Invite && message.to().tag().is_none() {
            if let Entry::Vacant(place) = self.by_id.entry(id.to_vec()) {
                let is_test = Uri::parse(message.uri()).is_ok_and(|uri| uri.user() == TEST_NUMBER.as_bytes());
                place.insert(Leg::new(now, is_test));
            }
            return;
        }
        let Some(leg) = self.by_id.get_mut(id) else { return };
        match message.method() {
            Method::Ack => leg.acknowledged |= leg.answered.is_some(),
            Method::Bye => leg.hung_up = leg.hung_up.or(Some(now)),
            Method::Cancel => leg.cancelled = leg.cancelled.or(Some(now)),
            _ => {}
        }
    }

    /// What reaches the edge.
    pub(super) fn reached(&mut self, now: Instant, message: &Message) {
        let Some(leg) = self.by_id.get_mut(message.call_id()) else { return };
        match message.status() {
            Some(code) if code >= 200 && message.cseq().method == Method::Invite => {
                let first = if code < 300 { &mut leg.answered } else { &mut leg.refused };
                *first = first.or(Some(now));
            }
            None if message.method() == Method::Bye => leg.ended = leg.ended.or(Some(now)),
            _ => {}
        }
    }

    /// What was left undone.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = Broken> {
        let unfinished = self.by_id.iter().filter(|(_, leg)| leg.is_unfinished());
        unfinished.map(|(id, leg)| {
            let id = String::from_utf8_lossy(id);
            Broken(format!("an answered leg was not acknowledged and ended: {id}, {leg:?}"))
        })
    }

    /// Attempts of calls.
    pub(super) fn attempts(&self) -> impl Iterator<Item = &[u8]> {
        self.by_id.iter().filter(|(_, leg)| !leg.is_test).map(|(id, _)| id.as_slice())
    }
}
