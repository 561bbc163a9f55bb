//! The last messages that have passed, as many as fit into so many bytes: the oldest make room.
//!
//! Its bytes are taken once, when it is made; keeping a message copies it and allocates nothing once the list of places has grown. Refuses to
//! know: whose call a message belongs to, beyond its Call-ID.

use super::Passed;
use crate::{Transport, scan};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use model::Instant;

/// Where a message lies, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    start: usize,
    length: usize,
    /// Of its Call-ID, within it.
    id_start: usize,
    id_length: usize,
}

/// What a message costs beside its own bytes.
const PLACE: usize = size_of::<Place>();

/// Messages in order of time, within a limit of bytes. Each lies in one piece.
#[derive(Debug)]
pub struct Ring {
    bytes: Box<[u8]>,
    places: VecDeque<Place>,
    /// Where the next message goes.
    next: usize,
    /// What the places cost together.
    cost: usize,
    limit: usize,
    unfit: u64,
}

impl Ring {
    /// Keeps at most `limit` bytes, of messages and of what is known of each. Zero keeps nothing.
    pub fn new(limit: usize) -> Self {
        let bytes = vec![0; limit].into_boxed_slice();
        Self { bytes, places: VecDeque::new(), next: 0, cost: 0, limit, unfit: 0 }
    }

    /// Keeps a message. REGISTERs and OPTIONS, which never make a call, would only push calls out. One without a Call-ID belongs to no call
    /// either, and one that is larger than the ring fits nowhere: those are counted. True when it is kept.
    pub fn keep(&mut self, passed: Passed<&[u8]>) -> bool {
        if self.limit == 0 {
            return false;
        }
        let length = passed.bytes.len();
        let scan = scan(passed.bytes);
        if scan.is_some_and(|scan| matches!(scan.cseq_method, b"REGISTER" | b"OPTIONS")) {
            return false;
        }
        let found = scan.and_then(|scan| {
            let start = (scan.call_id.as_ptr() as usize).checked_sub(passed.bytes.as_ptr() as usize)?;
            Some((start, scan.call_id.len()))
        });
        let Some((id_start, id_length)) = found.filter(|_| length + PLACE <= self.limit) else {
            self.unfit += 1;
            return false;
        };
        let start = self.room(length);
        self.bytes[start..start + length].copy_from_slice(passed.bytes);
        let Passed { at, from, to, transport, .. } = passed;
        self.places.push_back(Place { at, from, to, transport, start, length, id_start, id_length });
        self.next = start + length;
        self.cost += length + PLACE;
        true
    }

    /// Makes room in one piece: after what was written last, else at the beginning. There the oldest go first too: as long as all that was
    /// written since the beginning is kept, it and this message are more than the limit, and what is left of the lap before goes for that.
    fn room(&mut self, length: usize) -> usize {
        let start = if self.next + length > self.bytes.len() { 0 } else { self.next };
        let clashes = |place: &Place| place.start < start + length && start < place.start + place.length;
        while self.places.front().is_some_and(clashes) || self.cost + length + PLACE > self.limit {
            self.forget();
        }
        start
    }

    fn forget(&mut self) {
        if let Some(place) = self.places.pop_front() {
            self.cost -= place.length + PLACE;
        }
    }

    /// All messages kept that are of these Call-IDs, oldest first.
    pub fn of<'a>(&'a self, call_ids: &'a [Vec<u8>]) -> impl Iterator<Item = Passed<&'a [u8]>> + 'a {
        let wanted = move |place: &&Place| {
            let from = place.start + place.id_start;
            let id = &self.bytes[from..from + place.id_length];
            call_ids.iter().any(|wanted| wanted.as_slice() == id)
        };
        self.places.iter().filter(wanted).map(|place| self.read(place))
    }

    fn read(&self, place: &Place) -> Passed<&[u8]> {
        let Place { at, from, to, transport, start, length, .. } = *place;
        Passed { at, from, to, transport, bytes: &self.bytes[start..start + length] }
    }

    /// Messages not kept since they have no Call-ID or are larger than the ring.
    pub fn unfit(&self) -> u64 {
        self.unfit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn message(call: u64, filling: usize) -> String {
        format!("INVITE sip:a SIP/2.0\r\nCall-ID: {call}\r\n\r\n{}", "x".repeat(filling))
    }

    fn passed(at: u64, bytes: &[u8]) -> Passed<&[u8]> {
        let (from, to) = ("192.0.2.1:5060", "[2001:db8::1]:5061");
        let address = |text: &str| text.parse().expect("an address");
        Passed { at: Instant::from_micros(at), from: address(from), to: address(to), transport: Transport::Tls, bytes }
    }

    fn all(ring: &Ring) -> Vec<(u64, Vec<u8>)> {
        ring.places.iter().map(|place| ring.read(place)).map(|one| (one.at.as_micros(), one.bytes.to_vec())).collect()
    }

    /// Whatever is kept, of whatever lengths: it is within the limit, a run of the youngest without a gap, in order, and as it was said. What
    /// makes room does so for want of it: with one more kept, twice the largest would not have been free.
    #[test]
    fn the_youngest_are_kept_whole_and_in_order_within_the_limit() {
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut draw = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for round in 0..200 {
            let limit = 2_000 + draw(20_000) as usize;
            // Small ones cost mostly their places; with large ones it is the bytes that grow scarce.
            let largest = 1 + if round % 2 == 0 { draw(900) } else { draw(limit as u64 / 2) };
            let mut ring = Ring::new(limit);
            let mut said: Vec<(u64, Vec<u8>)> = Vec::new();
            for at in 0..300 {
                let bytes = message(draw(9), draw(largest) as usize).into_bytes();
                ring.keep(passed(at, &bytes));
                said.push((at, bytes));
                let kept = all(&ring);
                assert_eq!(kept.as_slice(), &said[said.len() - kept.len()..]);
                let cost: usize = kept.iter().map(|(_, bytes)| bytes.len() + PLACE).sum();
                assert!(cost == ring.cost && cost <= limit && !kept.is_empty(), "{cost} of {limit}");
                let gone = said.len() - kept.len();
                let most = message(0, largest as usize).len() + PLACE;
                assert!(gone == 0 || cost + 2 * most + PLACE > limit, "{cost} of {limit}, and some were forgotten");
            }
        }
    }

    #[test]
    fn a_call_is_found_by_each_of_its_call_ids_and_no_other() {
        let mut ring = Ring::new(100_000);
        for (at, call) in [(1, 7), (2, 8), (3, 77), (4, 7), (5, 9)] {
            ring.keep(passed(at, message(call, 0).as_bytes()));
        }
        let ids = [b"7".to_vec(), b"9".to_vec()];
        assert_eq!(ring.of(&ids).map(|one| one.at.as_micros()).collect::<Vec<_>>(), [1, 4, 5]);
        let first = ring.of(&ids).next().expect("the first");
        assert_eq!(first, passed(1, message(7, 0).as_bytes()));
        assert_eq!(ring.of(&[]).count(), 0);
    }

    #[test]
    fn what_never_makes_a_call_pushes_no_call_out() {
        let mut ring = Ring::new(10_000);
        ring.keep(passed(1, message(7, 0).as_bytes()));
        for at in 2..200 {
            let method = if at % 2 == 0 { "OPTIONS" } else { "REGISTER" };
            let said = format!("SIP/2.0 200 OK\r\nCall-ID: 7\r\nCSeq: 1 {method}\r\n\r\n");
            ring.keep(passed(at, said.as_bytes()));
        }
        assert_eq!((all(&ring).len(), ring.unfit()), (1, 0));
    }

    #[test]
    fn what_fits_nowhere_is_counted_and_costs_nobody_his_place() {
        let mut ring = Ring::new(500);
        ring.keep(passed(1, message(1, 0).as_bytes()));
        ring.keep(passed(2, message(2, 500).as_bytes()));
        ring.keep(passed(3, b"\r\n\r\n"));
        assert_eq!((all(&ring).len(), ring.unfit()), (1, 2));
        let mut off = Ring::new(0);
        off.keep(passed(1, message(1, 0).as_bytes()));
        assert_eq!((all(&off).len(), off.unfit()), (0, 0));
    }
}
