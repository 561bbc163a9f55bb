//! Packets that the relay makes itself, until whoever owns the sockets has sent them.
//!
//! All of its room is there from the start, and is free again as soon as it is empty, which it is after every packet that came in:
//! so nothing is allocated on the way of a packet. Refuses to know: sockets, what a packet is for.

use crate::packet::Packet;
use crate::relay::{Component, PairId};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Packets it holds at once: one packet of sixty milliseconds becomes six of ten, and a tick may be due for many sides.
const PACKETS_MAX: usize = 256;
/// Bytes of all of them.
const BYTES_MAX: usize = 64 * 1024;
/// Bytes that security may add to a packet: a tag of sixteen, and of a report its index.
const SECURITY_MAX: usize = 20;

/// A packet that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made<'a> {
    /// By this pair.
    pub pair: PairId,
    /// By this port of it.
    pub component: Component,
    /// To this address.
    pub to: SocketAddr,
    /// Its bytes.
    pub packet: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    pair: PairId,
    component: Component,
    to: SocketAddr,
    start: usize,
    end: usize,
}

/// What waits to be sent, oldest first.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    next: usize,
}

/// There was no room; the packet is lost and whoever made it counts that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    /// Its room is taken with the first packet: a relay that makes none has none.
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), next: 0 }
    }

    /// Takes the room, once: before a side may need it, so that no packet pays for it.
    pub(crate) fn make_room(&mut self) {
        self.bytes.reserve_exact(BYTES_MAX.saturating_sub(self.bytes.len()));
        self.entries.reserve_exact(PACKETS_MAX.saturating_sub(self.entries.len()));
    }

    pub(crate) fn push(
        &mut self,
        pair: PairId,
        component: Component,
        to: SocketAddr,
        packet: &[u8],
    ) -> Result<(), Full> {
        self.push_changed(pair, component, to, packet, |_| Ok::<(), Full>(()))
    }

    /// Takes a packet after `change` has changed it, with room behind it for what security adds.
    pub(crate) fn push_changed<E>(
        &mut self,
        pair: PairId,
        component: Component,
        to: SocketAddr,
        packet: &[u8],
        change: impl FnOnce(&mut Packet<'_>) -> Result<(), E>,
    ) -> Result<(), Full> {
        if self.next == self.entries.len() {
            self.bytes.clear();
            self.entries.clear();
            self.next = 0;
        }
        let start = self.bytes.len();
        if self.entries.len() == PACKETS_MAX || start + packet.len() + SECURITY_MAX > BYTES_MAX {
            return Err(Full);
        }
        self.bytes.extend_from_slice(packet);
        self.bytes.resize(start + packet.len() + SECURITY_MAX, 0);
        let mut changed = Packet::new(&mut self.bytes[start..], packet.len());
        let verdict = change(&mut changed);
        let end = start + changed.bytes().len();
        self.bytes.truncate(if verdict.is_ok() { end } else { start });
        verdict.map_err(|_| Full)?;
        self.entries.push(Entry { pair, component, to, start, end });
        Ok(())
    }

    /// Whoever makes several packets at a time may go on: half of it is free.
    pub(crate) fn has_room(&self) -> bool {
        let few = self.entries.len() < PACKETS_MAX / 2 && self.bytes.len() < BYTES_MAX / 2;
        few || self.is_empty()
    }

    /// All of it has been asked for.
    pub(crate) const fn is_empty(&self) -> bool {
        self.next == self.entries.len()
    }

    pub(crate) fn pop(&mut self) -> Option<Made<'_>> {
        let entry = self.entries.get(self.next)?;
        self.next += 1;
        let Entry { pair, component, to, start, end } = *entry;
        Some(Made { pair, component, to, packet: &self.bytes[start..end] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_in_order_and_their_room_is_free_again() {
        let to = SocketAddr::from(([192, 0, 2, 1], 4_000));
        let mut outbox = Outbox::new();
        outbox.make_room();
        let room = outbox.bytes.capacity();
        for round in 0..1_000u32 {
            for n in 0..3 {
                outbox.push(PairId(round), Component::Rtp, to, &[n; 1_400]).unwrap();
            }
            let left: Vec<u8> = core::iter::from_fn(|| outbox.pop().map(|made| made.packet[0])).collect();
            assert_eq!(left, [0, 1, 2]);
        }
        assert_eq!(outbox.bytes.capacity(), room);
    }

    #[test]
    fn what_finds_no_room_is_refused() {
        let to = SocketAddr::from(([192, 0, 2, 1], 4_000));
        let mut outbox = Outbox::new();
        let kept = (0..1_000).filter(|_| outbox.push(PairId(1), Component::Rtp, to, &[0; 12]).is_ok()).count();
        assert_eq!(kept, PACKETS_MAX);
        assert!(!outbox.has_room());
        while outbox.pop().is_some() {}
        assert!(outbox.has_room());
        let mut outbox = Outbox::new();
        let kept = (0..1_000).filter(|_| outbox.push(PairId(1), Component::Rtp, to, &[0; 1_024]).is_ok()).count();
        assert_eq!(kept, (BYTES_MAX - SECURITY_MAX) / 1_024);
    }
}
