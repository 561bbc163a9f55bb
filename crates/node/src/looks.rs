//! Questions that all shards must answer: gathered by ticket until all have, or until patience ends.
//!
//! A shard that does not answer is missing from the answer; it holds up nobody. Refuses to know: what was asked.

use edge::{CallView, Captured, GuardedView, ShardView};
use model::{Instant, Span};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a question waits for the slowest shard.
const PATIENCE: Span = Span::from_millis(500);
/// Calls in one answer.
const CALLS: usize = 1_000;

/// What the shards have said so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Each shard in numbers, in order of arrival.
    pub(crate) shards: Vec<ShardView>,
    /// Calls of all of them in the order of their arrival, the first ones.
    pub(crate) calls: Vec<CallView>,
    /// What was said in a call, by each shard that was asked that.
    pub(crate) said: Vec<Captured>,
}

impl Seen {
    /// Calls per trunk over all shards, by trunk id.
    pub(crate) fn trunk_calls(&self) -> Vec<u32> {
        let most = self.shards.iter().map(|shard| shard.trunk_calls.len()).max().unwrap_or(0);
        let mut sum = vec![0u32; most];
        for shard in &self.shards {
            for (sum, calls) in sum.iter_mut().zip(&shard.trunk_calls) {
                *sum = sum.saturating_add(*calls);
            }
        }
        sum
    }

    /// Whom the guards keep out or limit, the worst `limit` of them. Each shard has a guard of its own: a source of many ports meets several.
    pub(crate) fn guarded(&self, limit: usize) -> Value {
        let mut sources: BTreeMap<&str, GuardedView> = BTreeMap::new();
        for view in self.shards.iter().flat_map(|shard| &shard.guarded) {
            sources.entry(&view.source).and_modify(|known| known.join(view)).or_insert_with(|| view.clone());
        }
        let mut worst: Vec<GuardedView> = sources.into_values().collect();
        GuardedView::worst_first(&mut worst);
        let unshown: u64 = self.shards.iter().map(|shard| shard.guarded_more).sum();
        let more = unshown + worst.len().saturating_sub(limit) as u64;
        worst.truncate(limit);
        json!({ "sources": worst, "more": more })
    }
}

#[derive(Debug)]
struct Look<Q> {
    ticket: u64,
    question: Q,
    missing: usize,
    until: Instant,
    seen: Seen,
}

/// Open questions, each with what it will be answered with.
#[derive(Debug)]
pub(crate) struct Looks<Q> {
    open: Vec<Look<Q>>,
    limit: usize,
    next: u64,
}

impl<Q> Looks<Q> {
    /// At most `limit` questions at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self { open: Vec::new(), limit, next: 1 }
    }

    /// Opens a question to `shards` shards; its ticket.
    ///
    /// # Errors
    /// The question, when too many are open.
    pub(crate) fn open(&mut self, now: Instant, shards: usize, question: Q) -> Result<u64, Q> {
        if self.open.len() >= self.limit {
            return Err(question);
        }
        let ticket = self.next;
        self.next += 1;
        let seen = Seen::default();
        self.open.push(Look { ticket, question, missing: shards, until: now + PATIENCE, seen });
        Ok(ticket)
    }

    /// A shard's answer; one that comes too late is let go.
    pub(crate) fn answer(&mut self, ticket: u64, view: ShardView, mut calls: Vec<CallView>) {
        if let Some(look) = self.open.iter_mut().find(|look| look.ticket == ticket) {
            look.missing = look.missing.saturating_sub(1);
            look.seen.shards.push(view);
            // Each shard tells its first ones; the first of all are among them, and no more is kept.
            look.seen.calls.append(&mut calls);
            look.seen.calls.sort_unstable_by_key(CallView::place);
            look.seen.calls.truncate(CALLS);
        }
    }

    /// The same for what was said in a call.
    pub(crate) fn captured(&mut self, ticket: u64, said: Captured) {
        if let Some(look) = self.open.iter_mut().find(|look| look.ticket == ticket) {
            look.missing = look.missing.saturating_sub(1);
            look.seen.said.push(said);
        }
    }

    /// The next question that all have answered, or whose time is over.
    pub(crate) fn done(&mut self, now: Instant) -> Option<(Q, Seen)> {
        let index = self.open.iter().position(|look| look.missing == 0 || look.until <= now)?;
        let mut look = self.open.remove(index);
        look.seen.shards.sort_by_key(|shard| shard.shard);
        Some((look.question, look.seen))
    }

    /// When a question's time is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open.iter().map(|look| look.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge::GuardedFor;
    use model::{CallRef, Name};

    fn view(shard: u8, trunk_calls: &[u32]) -> ShardView {
        ShardView { shard, trunk_calls: trunk_calls.to_vec(), ..ShardView::default() }
    }

    #[test]
    fn a_source_that_several_guards_keep_out_is_one_line_and_the_worst_comes_first() {
        let guarded = |source: &str, why, left: u64, dropped| GuardedView {
            source: source.to_owned(),
            why,
            held: Span::from_secs(1),
            left: Span::from_secs(left),
            times: 1,
            dropped,
        };
        let scanner = GuardedFor::ShutOut(explain::ShutOutCause::Scanner);
        let of = |shard, guarded, more| ShardView { guarded, guarded_more: more, ..view(shard, &[]) };
        let first = vec![guarded("192.0.2.1", GuardedFor::Registers, 9, 5_000), guarded("192.0.2.2", scanner, 300, 7)];
        let second = vec![guarded("192.0.2.3", scanner, 300, 9), guarded("192.0.2.2", scanner, 290, 8)];
        let seen = Seen { shards: vec![of(0, first, 0), of(1, second, 2)], ..Seen::default() };
        let answer = seen.guarded(2);
        let shown: Vec<GuardedView> = serde_json::from_value(answer["sources"].clone()).expect("views");
        let told: Vec<_> = shown.iter().map(|view| (view.source.as_str(), view.dropped, view.left.as_secs())).collect();
        assert_eq!(told, [("192.0.2.2", 15, 300), ("192.0.2.3", 9, 300)]);
        assert_eq!(answer["more"], 3, "two that a shard did not show, one that the limit left off");
    }

    fn call(n: u64) -> CallView {
        CallView {
            call: CallRef(n),
            from: Name::from("office"),
            to: None,
            caller: String::new(),
            called: String::new(),
            state: String::from("answered"),
            // Seven came at a time, so that pages end between calls of one moment.
            invited: Instant::from_micros(n / 7),
            age: Span::ZERO,
            talking: None,
            plan: None,
            attempts: Vec::new(),
            sentences: Vec::new(),
        }
    }

    #[test]
    fn pages_over_all_shards_show_each_call_once_and_in_order() {
        let mut looks = Looks::new(1);
        let (mut found, mut after): (Vec<u64>, Option<edge::CallPlace>) = (Vec::new(), None);
        loop {
            let ticket = looks.open(Instant::ZERO, 3, ()).expect("a ticket");
            // Of 2,500 calls the last shard holds most. They answer in any order.
            for shard in [2, 0, 1] {
                let held = |n: &u64| if n.is_multiple_of(50) { 0 } else { 1 + u8::from(!n.is_multiple_of(7)) } == shard;
                let calls =
                    (0..2_500).filter(held).map(call).filter(|call| after.is_none_or(|after| call.place() > after));
                looks.answer(ticket, view(shard, &[]), calls.take(1_000).collect());
            }
            let ((), seen) = looks.done(Instant::ZERO).expect("all have answered");
            assert!(seen.calls.len() <= 1_000);
            let Some(last) = seen.calls.last() else { break };
            after = Some(last.place());
            found.extend(seen.calls.iter().map(|call| call.call.0));
        }
        assert_eq!(found, (0..2_500).collect::<Vec<_>>());
    }

    #[test]
    fn all_have_answered_or_patience_ends() {
        let mut looks = Looks::new(2);
        let at = Instant::from_micros;
        let (first, second) = (looks.open(at(0), 2, "first"), looks.open(at(100_000), 2, "second"));
        assert_eq!(looks.open(at(0), 2, "third"), Err("third"));
        looks.answer(second.expect("a ticket"), view(1, &[1, 2]), Vec::new());
        looks.answer(first.expect("a ticket"), view(1, &[5]), Vec::new());
        assert!(looks.done(at(499_999)).is_none());
        looks.answer(second.expect("a ticket"), view(0, &[3]), Vec::new());
        let (question, seen) = looks.done(at(200_000)).expect("both have answered");
        assert_eq!((question, seen.trunk_calls()), ("second", vec![4, 2]));
        assert_eq!(seen.shards.iter().map(|shard| shard.shard).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(looks.deadline(), Some(at(500_000)));
        let (question, seen) = looks.done(at(500_000)).expect("patience has ended");
        assert_eq!((question, seen.shards.len()), ("first", 1));
        looks.answer(first.expect("a ticket"), view(0, &[]), Vec::new());
        assert!(looks.done(Instant::FAR).is_none(), "too late");
    }
}
