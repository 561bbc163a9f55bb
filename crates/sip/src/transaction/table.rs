//! Transactions in a slab, found by key or by a seeded hash of what identifies them on the wire.
//!
//! The hash only narrows the search; the caller compares the real thing, so a collision costs time and never a wrong
//! match. Keys carry a generation: the key of a transaction that is gone names nothing, whoever took its place. The lowest free
//! place is taken first, so that after a rush the table's end is empty and its memory can be given back.
//! Refuses to know: what a transaction is.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use hashbrown::HashTable;

/// A table of fewer places is not worth shrinking.
const SMALL: usize = 256;

/// Place in a table and the generation that place was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    hash: u64,
    alias: Option<u64>,
    value: Option<T>,
}

/// The table. Its owner keeps the limit.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Vec<Slot<T>>,
    /// Free places; those beyond the end are gone already.
    free: BinaryHeap<Reverse<u32>>,
    by_hash: HashTable<(u64, u32)>,
    live: usize,
    generation: u32,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: BinaryHeap::new(), by_hash: HashTable::new(), live: 0, generation: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    /// Puts a value in, to be found by `hash` and, when given, by `alias` too.
    pub(crate) fn insert(&mut self, hash: u64, alias: Option<u64>, value: T) -> Id {
        self.generation = self.generation.wrapping_add(1);
        self.live += 1;
        let slot = Slot { generation: self.generation, hash, alias, value: Some(value) };
        let index = match self.free.pop().filter(|free| (free.0 as usize) < self.slots.len()) {
            Some(Reverse(index)) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let id = Id { index, generation: self.generation };
        for hash in core::iter::once(hash).chain(alias) {
            self.by_hash.insert_unique(hash, (hash, index), |(hash, _)| *hash);
        }
        id
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?.value.as_mut()
    }

    /// The one put in under `hash` for which `same` holds.
    pub(crate) fn find(&self, hash: u64, same: impl Fn(&T) -> bool) -> Option<Id> {
        let found = self.by_hash.find(hash, |(known, index)| {
            *known == hash && self.slots[*index as usize].value.as_ref().is_some_and(&same)
        });
        found.map(|&(_, index)| Id { index, generation: self.slots[index as usize].generation })
    }

    /// All for which `wanted` holds, by their place: a look at the whole table, for what is rare.
    pub(crate) fn ids(&self, wanted: impl Fn(&T) -> bool) -> Vec<Id> {
        let wanted = |(index, slot): (usize, &Slot<T>)| {
            let found = slot.value.as_ref().is_some_and(&wanted);
            found.then_some(Id { index: index as u32, generation: slot.generation })
        };
        self.slots.iter().enumerate().filter_map(wanted).collect()
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let value = slot.value.take()?;
        for hash in core::iter::once(slot.hash).chain(slot.alias) {
            if let Ok(entry) = self.by_hash.find_entry(hash, |&(known, index)| known == hash && index == id.index) {
                entry.remove();
            }
        }
        self.live -= 1;
        self.free.push(Reverse(id.index));
        self.give_back();
        Some(value)
    }

    /// Cuts the empty end off, and gives memory back once most of it is unused.
    fn give_back(&mut self) {
        while self.slots.last().is_some_and(|slot| slot.value.is_none()) {
            self.slots.pop();
        }
        let places = self.slots.len();
        if self.slots.capacity() > SMALL && self.slots.capacity() / 4 > places {
            self.slots.shrink_to(2 * places);
            self.free.retain(|free| (free.0 as usize) < places);
            self.free.shrink_to(2 * places);
            self.by_hash.shrink_to(2 * places, |(hash, _)| *hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_names_nothing() {
        let mut table = Table::new();
        let first = table.insert(1, None, 'a');
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert(1, None, 'b');
        assert_eq!(first.index, second.index);
        assert_eq!(first.index, second.index);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&'b'));
    }

    #[test]
    fn after_a_rush_memory_is_given_back_and_old_ids_still_name_nothing() {
        let mut table = Table::new();
        let stays = table.insert(0, None, 0);
        let rush: Vec<Id> = (1..10_000).map(|n| table.insert(n, Some(n + 20_000), n)).collect();
        for id in &rush {
            assert!(table.remove(*id).is_some());
        }
        assert_eq!((table.len(), table.slots.len(), table.get(stays)), (1, 1, Some(&0)));
        assert!(table.slots.capacity() <= SMALL && table.by_hash.capacity() <= 2 * SMALL && table.free.len() <= SMALL);
        let again: Vec<Id> = (1..100).map(|n| table.insert(n, None, n)).collect();
        assert!(rush.iter().all(|id| table.get(*id).is_none()));
        assert!((1..100).all(|n| table.find(n, |value| *value == n) == again.get(n as usize - 1).copied()));
    }

    #[test]
    fn a_collision_is_told_apart_by_comparison() {
        let mut table = Table::new();
        let (a, b) = (table.insert(7, Some(9), 'a'), table.insert(7, None, 'b'));
        assert_eq!(table.find(7, |c| *c == 'a'), Some(a));
        assert_eq!(table.find(7, |c| *c == 'b'), Some(b));
        assert_eq!(table.find(9, |_| true), Some(a));
        table.remove(a);
        assert_eq!(table.find(7, |c| *c == 'a'), None);
        assert_eq!(table.find(9, |_| true), None);
        assert_eq!((table.find(7, |_| true), table.len()), (Some(b), 1));
        table.remove(b);
        assert!(table.by_hash.is_empty());
    }
}
