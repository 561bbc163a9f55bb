//! Which call a Call-ID belongs to: of calls in progress, and for a while of those that are over, whose last answers are still to come.
//!
//! Refuses to know: what is done with it.

use act::EndedCall;
use model::{CallRef, Instant, Span};
use std::collections::{BTreeMap, VecDeque};

/// How long messages of a call that is over may come: its transactions are over then (64·T1, RFC 3261 §17).
const LINGER: Span = Span::from_secs(32);
/// Call-IDs of calls that are over; beyond it the oldest go before their time.
const OVER: usize = 65_536;

/// Calls by the Call-IDs of their legs. As many as the calls in progress have, and those that linger.
#[derive(Debug, Default)]
pub(super) struct Legs {
    calls: BTreeMap<Vec<u8>, CallRef>,
    over: VecDeque<(Instant, CallRef, Vec<u8>)>,
}

impl Legs {
    /// A call has this leg. One that was another call's, as after a transfer, is this one's.
    pub(super) fn learn(&mut self, call: CallRef, call_id: Vec<u8>) {
        self.calls.insert(call_id, call);
    }

    /// A call is over.
    pub(super) fn ended(&mut self, now: Instant, call: &EndedCall) {
        let attempts = call.attempts.iter().map(|attempt| &attempt.call_id);
        for call_id in std::iter::once(&call.call_id).chain(attempts) {
            self.over.push_back((now + LINGER, call.call, call_id.clone()));
        }
        while self.over.front().is_some_and(|(until, ..)| *until <= now || self.over.len() > OVER) {
            let Some((_, call, call_id)) = self.over.pop_front() else { break };
            // The Call-ID may be that of a later call: who was challenged calls again by it.
            if self.calls.get(&call_id) == Some(&call) {
                self.calls.remove(&call_id);
            }
        }
    }

    /// Whose a Call-ID is.
    pub(super) fn of(&self, call_id: &[u8]) -> Option<CallRef> {
        self.calls.get(call_id).copied()
    }
}
