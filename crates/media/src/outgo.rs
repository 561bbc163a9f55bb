//! What has left in a side's name, as its sender reports have it: its own packets, or what was made of them.
//!
//! Refuses to know: what was made, and by whose clock.

/// Packets, and bytes of sound in them (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    packets: u32,
    octets: u32,
}

impl Amount {
    const fn add(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }
}

/// What of a side's packets did not leave as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outgo {
    kept: Amount,
    made: Amount,
}

impl Outgo {
    /// A packet of its own with so much sound did not go on as it was.
    pub(crate) const fn keep(&mut self, octets: usize) {
        self.kept.add(octets);
    }

    /// One with so much left instead.
    pub(crate) const fn make(&mut self, octets: usize) {
        self.made.add(octets);
    }

    /// Packets and bytes that left, of so many that came.
    pub(crate) const fn of(&self, packets: u32, octets: u32) -> (u32, u32) {
        (
            packets.wrapping_sub(self.kept.packets).wrapping_add(self.made.packets),
            octets.wrapping_sub(self.kept.octets).wrapping_add(self.made.octets),
        )
    }
}
