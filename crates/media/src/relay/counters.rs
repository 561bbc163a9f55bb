//! What became of the packets of one shard, by name.

#[cfg(doc)]
use super::Dropped;

/// What the relay has counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// RTP packets sent on.
    pub relayed: u64,
    /// RTCP packets sent on.
    pub relayed_rtcp: u64,
    /// Packets for us.
    pub local: u64,
    /// See [`Dropped::NoAnchor`].
    pub no_anchor: u64,
    /// See [`Dropped::ThirdParty`].
    pub third_party: u64,
    /// See [`Dropped::NotRtp`].
    pub not_rtp: u64,
    /// See [`Dropped::NoPeer`].
    pub no_peer: u64,
    /// See [`Dropped::Gated`].
    pub gated: u64,
    /// See [`Dropped::Unauthentic`].
    pub unauthentic: u64,
    /// See [`Dropped::Replayed`].
    pub replayed: u64,
    /// See [`Dropped::NoKey`].
    pub no_key: u64,
    /// Packets of comfort noise that we made.
    pub comfort: u64,
    /// Empty datagrams to who was sent nothing for long.
    pub kept_alive: u64,
    /// Packets that we made and that found no room in the outbox.
    pub unsent: u64,
}

impl Counters {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("relayed", self.relayed),
            ("relayed_rtcp", self.relayed_rtcp),
            ("local", self.local),
            ("dropped_no_anchor", self.no_anchor),
            ("dropped_third_party", self.third_party),
            ("dropped_not_rtp", self.not_rtp),
            ("dropped_no_peer", self.no_peer),
            ("dropped_gated", self.gated),
            ("dropped_unauthentic", self.unauthentic),
            ("dropped_replayed", self.replayed),
            ("dropped_no_key", self.no_key),
            ("comfort", self.comfort),
            ("kept_alive", self.kept_alive),
            ("unsent", self.unsent),
        ]
        .into_iter()
    }
}
