//! Many timers, few of which ever fire: a 4-ary heap over a slab.
//!
//! A SIP timer is mostly set and cancelled (a reply came). So cancelling only empties a slot; the heap entry is dropped
//! when it reaches the top, or by a sweep once more than half of the heap is dead. Setting a timer that lies later than
//! most is O(1) in practice, firing is O(log n). Equal times fire in the order they were set, so that a run can be repeated.
//! Refuses to know: what a timer means, and the clock.

use alloc::vec::Vec;
use model::Instant;

/// Names one set timer. Worthless once the timer fired or was cancelled: the slot's generation has moved on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

impl TimerId {
    /// What `set` gives when the limit is reached: cancels nothing, never fires.
    pub const REFUSED: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Instant,
    order: u64,
    slot: u32,
    generation: u32,
}

#[derive(Clone, Debug)]
struct Slot<K> {
    generation: u32,
    key: Option<K>,
}

/// Timers that carry a key `K` each.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    heap: Vec<Entry>,
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
    order: u64,
    limit: usize,
    refused: u64,
}

const ARITY: usize = 4;
/// Below this heap size a sweep saves nothing.
const SWEEP_MIN: usize = 64;

impl<K> Timers<K> {
    /// At most `limit` timers set at the same time.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(u32::MAX as usize - 1);
        Self { heap: Vec::new(), slots: Vec::new(), free: Vec::new(), order: 0, limit, refused: 0 }
    }

    /// Sets a timer. At the limit nothing is set, `TimerId::REFUSED` is returned and `refused` counts it; an owner
    /// whose own tables are limited sizes this limit so that it cannot happen.
    pub fn set(&mut self, at: Instant, key: K) -> TimerId {
        if self.len() >= self.limit {
            self.refused += 1;
            return TimerId::REFUSED;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot { generation: 0, key: None });
                self.slots.len() as u32 - 1
            }
        };
        let place = &mut self.slots[slot as usize];
        place.key = Some(key);
        let generation = place.generation;
        self.order += 1;
        self.heap.push(Entry { at, order: self.order, slot, generation });
        self.rise(self.heap.len() - 1);
        TimerId { slot, generation }
    }

    /// Cancels a timer and hands its key back; `None` when it fired, was cancelled, or was never set.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let place = self.slots.get_mut(id.slot as usize).filter(|place| place.generation == id.generation)?;
        let key = place.key.take()?;
        self.vacate(id.slot);
        if self.heap.len() >= SWEEP_MIN && self.heap.len() > 2 * self.len() {
            self.sweep();
        }
        self.drop_dead_tops();
        Some(key)
    }

    /// When the next timer fires.
    pub fn deadline(&self) -> Option<Instant> {
        self.heap.first().map(|top| top.at)
    }

    /// Takes one timer that is due at `now`; earliest first, then in the order they were set.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let top = self.heap.first().filter(|top| top.at <= now)?;
        let slot = top.slot;
        let key = self.slots[slot as usize].key.take();
        self.remove_top();
        self.vacate(slot);
        self.drop_dead_tops();
        key
    }

    /// Timers set and neither fired nor cancelled.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// No timer is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Timers refused because of the limit.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn vacate(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
    }

    fn is_dead(&self, entry: Entry) -> bool {
        self.slots[entry.slot as usize].generation != entry.generation
    }

    /// Keeps the top alive, which lets `deadline` be a plain look.
    fn drop_dead_tops(&mut self) {
        while self.heap.first().is_some_and(|top| self.is_dead(*top)) {
            self.remove_top();
        }
    }

    fn sweep(&mut self) {
        let slots = &self.slots;
        self.heap.retain(|entry| slots[entry.slot as usize].generation == entry.generation);
        if self.heap.capacity() / 8 > self.heap.len() {
            self.heap.shrink_to(SWEEP_MIN.max(2 * self.heap.len()));
        }
        for index in (0..self.heap.len().div_ceil(ARITY)).rev() {
            self.sink(index);
        }
    }

    fn remove_top(&mut self) {
        let last = self.heap.len().saturating_sub(1);
        if !self.heap.is_empty() {
            self.heap.swap_remove(0);
        }
        if last > 0 {
            self.sink(0);
        }
    }

    fn rise(&mut self, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if self.heap[parent] <= self.heap[index] {
                break;
            }
            self.heap.swap(parent, index);
            index = parent;
        }
    }

    fn sink(&mut self, mut index: usize) {
        loop {
            let first = index * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child]) else { break };
            if self.heap[index] <= self.heap[least] {
                break;
            }
            self.heap.swap(index, least);
            index = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn equal_times_fire_in_the_order_they_were_set() {
        let mut timers = Timers::new(100);
        let at = Instant::from_micros(5);
        for key in 0..50 {
            timers.set(at, key);
        }
        let fired: Vec<i32> = core::iter::from_fn(|| timers.pop(at)).collect();
        assert_eq!(fired, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn an_old_id_cannot_cancel_the_timer_that_took_its_slot() {
        let mut timers = Timers::new(2);
        let first = timers.set(Instant::from_micros(1), 'a');
        assert_eq!(timers.cancel(first), Some('a'));
        let second = timers.set(Instant::from_micros(1), 'b');
        assert_eq!(first.slot, second.slot);
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.pop(Instant::from_micros(1)), Some('b'));
        assert_eq!(timers.cancel(second), None);
    }

    #[test]
    fn the_limit_refuses_and_counts() {
        let mut timers = Timers::new(1);
        let kept = timers.set(Instant::from_micros(1), 1);
        assert_eq!(timers.set(Instant::from_micros(0), 2), TimerId::REFUSED);
        assert_eq!((timers.len(), timers.refused()), (1, 1));
        assert_eq!(timers.cancel(TimerId::REFUSED), None);
        timers.cancel(kept);
        assert_ne!(timers.set(Instant::from_micros(0), 3), TimerId::REFUSED);
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let mut timers = Timers::new(10);
        timers.set(Instant::from_micros(1), 0u32);
        for n in 0..100_000u64 {
            let id = timers.set(Instant::from_micros(1_000 + n), 1);
            timers.cancel(id);
        }
        assert!(timers.heap.len() <= SWEEP_MIN, "{}", timers.heap.len());
        assert!(timers.slots.len() <= 2);
    }

    proptest! {
        /// Whatever is set, cancelled and popped, the same comes out as from a list kept sorted.
        #[test]
        fn as_a_sorted_list(steps in proptest::collection::vec((0u8..4, 0u64..200), 1..600)) {
            let mut timers = Timers::new(1_000);
            let mut sorted: Vec<(u64, usize, TimerId)> = vec![];
            let mut now = 0;
            for (n, (kind, value)) in steps.into_iter().enumerate() {
                match kind {
                    0 | 1 => {
                        let id = timers.set(Instant::from_micros(value), n);
                        sorted.push((value, n, id));
                        sorted.sort_by_key(|(at, n, _)| (*at, *n));
                    }
                    2 if !sorted.is_empty() => {
                        let (_, key, id) = sorted.remove(value as usize % sorted.len());
                        prop_assert_eq!(timers.cancel(id), Some(key));
                        prop_assert_eq!(timers.cancel(id), None);
                    }
                    _ => {
                        now += value / 20;
                        let expected = (sorted.first().is_some_and(|(at, ..)| *at <= now)).then(|| sorted.remove(0).1);
                        prop_assert_eq!(timers.pop(Instant::from_micros(now)), expected);
                    }
                }
                prop_assert_eq!(timers.len(), sorted.len());
                prop_assert_eq!(timers.deadline(), sorted.first().map(|(at, ..)| Instant::from_micros(*at)));
            }
        }
    }
}
