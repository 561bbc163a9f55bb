//! Which packets of one source were here: the highest index and the 127 below it (RFC 3711 §3.3.1, §3.3.2).

/// Indexes below the highest that are remembered, itself included.
const WIDTH: u64 = u128::BITS as u64;
/// The highest index of an RTP packet: 32 bits of rollover counter, 16 of sequence number.
const INDEX_MAX: u64 = (1 << 48) - 1;

/// A replay window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: `highest - n` was here. None is set before the first.
    seen: u128,
}

impl Window {
    pub(super) const fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The index that a packet with this sequence number most likely has; `None` when it would be before the first or after the last.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u64> {
        let sequence = u64::from(sequence);
        if self.is_empty() {
            return Some(sequence);
        }
        let (counter, last) = (self.highest >> 16, self.highest & 0xffff);
        let counter = if last < 0x8000 {
            if sequence > last + 0x8000 { counter.checked_sub(1)? } else { counter }
        } else if last - 0x8000 > sequence {
            counter + 1
        } else {
            counter
        };
        let index = counter << 16 | sequence;
        (index <= INDEX_MAX).then_some(index)
    }

    /// It was not here, and is not so old that this is not known.
    pub(super) const fn is_new(&self, index: u64) -> bool {
        if self.is_empty() || index > self.highest {
            return true;
        }
        let behind = self.highest - index;
        behind < WIDTH && self.seen >> behind & 1 == 0
    }

    /// It was here.
    pub(super) const fn mark(&mut self, index: u64) {
        if self.is_empty() {
            (self.highest, self.seen) = (index, 1);
        } else if index > self.highest {
            let ahead = index - self.highest;
            self.seen = if ahead < WIDTH { self.seen << ahead } else { 0 };
            self.seen |= 1;
            self.highest = index;
        } else if self.highest - index < WIDTH {
            self.seen |= 1 << (self.highest - index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn the_estimate_follows_a_wrap_both_ways() {
        let mut window = Window::default();
        window.mark(65_530);
        assert_eq!(window.estimate(3), Some(65_539));
        window.mark(65_539);
        assert_eq!(window.estimate(65_535), Some(65_535), "late, from before the wrap");
        assert_eq!(window.estimate(4), Some(65_540));
        let mut first = Window::default();
        first.mark(5);
        assert_eq!(first.estimate(65_530), None, "before the first round");
        let mut last = Window::default();
        last.mark(INDEX_MAX);
        assert_eq!(last.estimate(0), None, "after the last");
    }

    proptest! {
        /// Never twice; and whatever is new and less than 128 behind is taken.
        #[test]
        fn each_index_passes_once(steps in prop::collection::vec(-200i64..200, 1..300)) {
            let (mut window, mut here, mut at) = (Window::default(), BTreeSet::new(), 100_000i64);
            for step in steps {
                at = (at + step).max(0);
                let index = at as u64;
                let highest = here.last().copied().unwrap_or(0);
                let expected = !here.contains(&index) && (here.is_empty() || index + WIDTH > highest);
                prop_assert_eq!(window.is_new(index), expected);
                if expected {
                    window.mark(index);
                    here.insert(index);
                }
            }
        }
    }
}
