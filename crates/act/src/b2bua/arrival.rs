//! Calls in the order in which they came: what pages of them are cut from.
//!
//! An order that no call leaves and none enters but at the end, so that whoever reads page by page meets each call that lasts exactly once.
//! Refuses to know: whose pages they are.

use alloc::vec::Vec;
use model::{CallRef, Instant};

/// A call's place in the order: when its INVITE came, then its reference.
pub type CallPlace = (Instant, CallRef);

/// The first `limit` behind `after`, in order. Looks at each call once, and sorts no more than it gives.
pub(super) fn first<T>(all: impl Iterator<Item = (CallPlace, T)>, after: Option<CallPlace>, limit: usize) -> Vec<T> {
    let mut found: Vec<_> = all.filter(|(arrival, _)| after.is_none_or(|after| *arrival > after)).collect();
    if limit < found.len() {
        found.select_nth_unstable_by_key(limit, |(arrival, _)| *arrival);
        found.truncate(limit);
    }
    found.sort_unstable_by_key(|(arrival, _)| *arrival);
    found.into_iter().map(|(_, call)| call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2,500 calls in a disorder; seven came at a time, so that pages end between calls of one moment.
    fn calls() -> Vec<CallPlace> {
        (0..2_500).map(|n| (n * 1_187) % 2_500).map(|n| (Instant::from_micros(n / 7), CallRef(n))).collect()
    }

    #[test]
    fn pages_give_each_call_once_and_in_order_while_others_end_and_come() {
        let (mut there, mut found, mut after) = (calls(), Vec::new(), None);
        loop {
            let page = first(there.iter().map(|arrival| (*arrival, *arrival)), after, 300);
            let Some(last) = page.last().copied() else { break };
            assert!(page.len() <= 300);
            // What has been seen ends, and one more comes.
            there.retain(|arrival| *arrival > last || arrival.1.0 % 2 == 0);
            if found.len() < 600 {
                there.push((Instant::from_micros(1_000), CallRef(5_000 + found.len() as u64)));
            }
            found.extend(page);
            after = Some(last);
        }
        let mut wanted = calls();
        wanted.sort_unstable();
        wanted.extend([5_000, 5_300].map(|call| (Instant::from_micros(1_000), CallRef(call))));
        assert_eq!(found, wanted);
    }

    #[test]
    fn nothing_is_given_where_nothing_is_wanted() {
        assert!(first(calls().into_iter().map(|arrival| (arrival, ())), None, 0).is_empty());
    }
}
