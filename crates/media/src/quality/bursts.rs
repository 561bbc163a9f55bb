//! Losses that come together: bursts and the gaps between them (RFC 3611 §4.7.2).
//!
//! One loss in a while is concealed, a burst is heard. A burst is the longest run of packets that begins and ends with a lost one
//! and has no [`GMIN`] received ones in a row in it; a loss that stands alone belongs to the gap. Fed packet by packet in the order of
//! their numbers, it keeps a few sums and no history. Refuses to know: how a loss was noticed.

/// So many packets received in a row end a burst (RFC 3611 §4.7.2 recommends this value).
pub const GMIN: i64 = 16;
/// Beyond this ratio G.107 knows nothing.
const RATIO_MAX: f64 = 8.0;

/// The sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bursts {
    /// Received since the last loss. Below zero when a source begins, for what was before it.
    since: i64,
    /// Packets up to the last loss.
    upto: u64,
    lost: u64,
    /// Losses in a row, counted once.
    runs: u64,
    /// The burst that may still grow: from its first loss to its last, and how many of them were lost.
    open: (u64, u64),
    bursts: u64,
    in_bursts: u64,
    lost_in_bursts: u64,
}

/// What the sums come to: densities in 256ths, as the VoIP metrics block of RFC 3611 has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Burstiness {
    /// Bursts.
    pub bursts: u64,
    /// Lost of those inside bursts.
    pub burst_density: u8,
    /// Lost of those outside.
    pub gap_density: u8,
    /// Mean length of a burst, in packets.
    pub burst_packets: u64,
    /// Mean length of a gap, in packets.
    pub gap_packets: u64,
}

impl Bursts {
    /// A packet was received.
    #[inline]
    pub const fn received(&mut self) {
        self.since += 1;
    }

    /// One was lost, or came too late to be played.
    pub const fn lost(&mut self) {
        let (length, lost) = self.open;
        let since = if self.since > 0 { self.since as u64 } else { 0 };
        if lost == 0 || self.since != 0 {
            self.runs += 1;
        }
        if lost > 0 && self.since < GMIN {
            self.open = (length + since + 1, lost + 1);
        } else {
            self.close();
            self.open = (1, 1);
        }
        self.upto += since + 1;
        self.lost += 1;
        self.since = 0;
    }

    /// Another source begins; the first `ahead` packets that are told of it are none of it.
    pub const fn begin(&mut self, ahead: i64) {
        self.close();
        if self.since > 0 {
            self.upto += self.since as u64;
        }
        self.since = -ahead;
    }

    const fn close(&mut self) {
        let (length, lost) = self.open;
        if lost > 1 {
            self.bursts += 1;
            self.in_bursts += length;
            self.lost_in_bursts += lost;
        }
        self.open = (0, 0);
    }

    /// What it comes to so far.
    pub fn sum(mut self) -> Burstiness {
        self.close();
        let packets = self.packets();
        let gaps = packets - self.in_bursts;
        Burstiness {
            bursts: self.bursts,
            burst_density: share(self.lost_in_bursts, self.in_bursts),
            gap_density: share(self.lost - self.lost_in_bursts, gaps),
            burst_packets: self.in_bursts.checked_div(self.bursts).unwrap_or(0),
            gap_packets: gaps / (self.bursts + 1),
        }
    }

    /// All packets, lost ones too.
    pub fn packets(&self) -> u64 {
        self.upto + u64::try_from(self.since).unwrap_or(0)
    }

    /// Packets lost or too late.
    pub const fn losses(&self) -> u64 {
        self.lost
    }

    /// How much longer losses in a row are than they would be by chance: 1 for chance (BurstR of G.107 §7.5).
    pub fn ratio(&self) -> f64 {
        let packets = self.packets();
        if self.runs == 0 || packets == 0 {
            return 1.0;
        }
        let by_chance = 1.0 / (1.0 - self.lost as f64 / packets as f64).max(1e-3);
        (self.lost as f64 / self.runs as f64 / by_chance).clamp(1.0, RATIO_MAX)
    }
}

fn share(part: u64, of: u64) -> u8 {
    (part * 256).checked_div(of).unwrap_or(0).min(255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn of(heard: &[bool]) -> Bursts {
        let mut bursts = Bursts::default();
        heard.iter().for_each(|heard| if *heard { bursts.received() } else { bursts.lost() });
        bursts
    }

    /// By the words of RFC 3611 alone, with the whole history at hand.
    fn oracle(heard: &[bool]) -> (u64, u64, u64) {
        let losses: Vec<usize> = (0..heard.len()).filter(|at| !heard[*at]).collect();
        let (mut bursts, mut length, mut lost) = (0, 0, 0);
        let mut at = 0;
        while at < losses.len() {
            let mut last = at;
            while last + 1 < losses.len() && losses[last + 1] - losses[last] - 1 < GMIN as usize {
                last += 1;
            }
            if last > at {
                bursts += 1;
                length += (losses[last] - losses[at] + 1) as u64;
                lost += (last - at + 1) as u64;
            }
            at = last + 1;
        }
        (bursts, length, lost)
    }

    #[test]
    fn a_loss_alone_is_of_the_gap_and_two_close_ones_are_a_burst_3611_4_7_2() {
        let mut heard = std::vec![true; 100];
        heard[10] = false;
        assert_eq!(of(&heard).sum(), Burstiness { gap_density: 2, gap_packets: 100, ..Burstiness::default() });
        heard[10 + GMIN as usize + 1] = false;
        assert_eq!(of(&heard).sum().bursts, 0, "sixteen received between them");
        heard[10 + GMIN as usize] = false;
        let sum = of(&heard).sum();
        assert_eq!((sum.bursts, sum.burst_packets), (1, 18), "with one in between they are together");
        assert_eq!(sum.burst_density, (3 * 256 / 18) as u8);
    }

    #[test]
    fn losses_in_a_row_have_a_ratio_and_single_ones_have_one() {
        let single: Vec<bool> = (0..1_000).map(|n| n % 20 != 0).collect();
        assert!((of(&single).ratio() - 1.0).abs() < 1e-9);
        let together: Vec<bool> = (0..1_000).map(|n| n % 80 >= 4).collect();
        assert!((of(&together).ratio() - 3.8).abs() < 0.05, "four in a row at 5 %: {}", of(&together).ratio());
    }

    #[test]
    fn what_was_before_a_source_is_not_counted() {
        let mut bursts = of(&[true, false, true]);
        bursts.begin(8);
        (0..8).for_each(|_| bursts.received());
        assert_eq!(bursts.packets(), 3);
        bursts.received();
        bursts.lost();
        assert_eq!((bursts.packets(), bursts.losses(), bursts.sum().bursts), (5, 2, 0), "of two sources");
    }

    proptest! {
        #[test]
        fn it_is_what_the_whole_history_says(heard in prop::collection::vec(prop::bool::weighted(0.9), 0..600)) {
            let bursts = of(&heard);
            let mut closed = bursts;
            closed.close();
            prop_assert_eq!((closed.bursts, closed.in_bursts, closed.lost_in_bursts), oracle(&heard));
            prop_assert_eq!(bursts.packets(), heard.len() as u64);
            prop_assert_eq!(bursts.losses(), heard.iter().filter(|heard| !**heard).count() as u64);
            let _ = (bursts.sum(), bursts.ratio());
        }
    }
}
