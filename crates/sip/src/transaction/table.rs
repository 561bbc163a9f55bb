//! Transactions in a slab, found by key or by a seeded hash of what identifies them on the wire.
//!
//! The hash only narrows the search; the caller compares the real thing, so a collision costs time and never a wrong
//! match. Keys carry a generation: the key of a transaction that is gone names nothing, whoever took its place.
//! Refuses to know: what a transaction is.

use alloc::vec::Vec;
use hashbrown::HashTable;

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
    free: Vec<u32>,
    by_hash: HashTable<(u64, u32)>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), by_hash: HashTable::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Puts a value in, to be found by `hash` and, when given, by `alias` too.
    pub(crate) fn insert(&mut self, hash: u64, alias: Option<u64>, value: T) -> Id {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot { generation: 0, hash, alias: None, value: None });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        (slot.hash, slot.alias, slot.value) = (hash, alias, Some(value));
        let id = Id { index, generation: slot.generation };
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

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        for hash in core::iter::once(slot.hash).chain(slot.alias) {
            if let Ok(entry) = self.by_hash.find_entry(hash, |&(known, index)| known == hash && index == id.index) {
                entry.remove();
            }
        }
        self.free.push(id.index);
        Some(value)
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
        assert_eq!(table.get(first), None);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&'b'));
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
