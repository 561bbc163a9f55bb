//! What becomes of audio on its way to and from a neighbour while its signalling passes: a firewall, a route that is too full.
//!
//! With dice of its own, so that a seed's weather is the same with it and without. Refuses to know: what is RTP and what RTCP.

use model::Rng;

/// Packets of audio lost on the way, per thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Air {
    /// Of what the neighbour sends.
    pub from: u16,
    /// Of what it is sent.
    pub to: u16,
}

impl Air {
    /// Nothing that it sends gets through.
    pub const MUTE: Self = Self { from: 1_000, to: 0 };
    /// Nothing gets through in either direction.
    pub const DEAD: Self = Self { from: 1_000, to: 1_000 };
}

/// The air around all neighbours.
#[derive(Debug)]
pub(crate) struct Airs {
    around: Vec<Air>,
    rng: Rng,
}

impl Airs {
    pub(crate) fn new(neighbours: usize, seed: u64) -> Self {
        Self { around: vec![Air::default(); neighbours], rng: Rng::new(seed ^ 0xa1_4a14) }
    }

    pub(crate) fn set(&mut self, neighbour: usize, air: Air) {
        self.around[neighbour] = air;
    }

    /// Whether a packet that the neighbour sends is lost.
    pub(crate) fn loses_from(&mut self, neighbour: usize) -> bool {
        let lost = self.around[neighbour].from;
        self.falls(lost)
    }

    /// Whether a packet that it is sent is lost.
    pub(crate) fn loses_to(&mut self, neighbour: usize) -> bool {
        let lost = self.around[neighbour].to;
        self.falls(lost)
    }

    fn falls(&mut self, lost: u16) -> bool {
        lost > 0 && self.rng.below(1_000) < u64::from(lost)
    }
}
