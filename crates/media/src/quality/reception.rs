//! What is received of one stream: sequence, loss, order, changes of its source (RFC 3550 §A.1, §A.3).
//!
//! A few sums and one word of history: bit by bit, which of the last 64 sequence numbers came. A number is settled as received or lost
//! once eight newer ones have been seen; what comes after that would not have been played. When the source changes its sums are kept and
//! counting begins anew, so that a stream whose sources take over from each other has one account. Refuses to know: payloads, who sends.

use super::bursts::Bursts;
use super::clock::Clock;
use model::{Instant, Span};

/// Sequence numbers that may be missing before a jump is one (RFC 3550 §A.1).
const MAX_DROPOUT: u16 = 3_000;
/// Numbers that a packet may be behind (RFC 3550 §A.1).
const MAX_MISORDER: u16 = 100;
/// A packet so many numbers behind is too late to be played.
const SETTLED: u16 = 8;
/// First extended number is in this cycle, so that packets before the first have numbers too.
const CYCLE: u32 = 1 << 16;

/// The account of one stream.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: u32,
    /// Highest number, cycles above.
    highest: u32,
    /// First number.
    base: u32,
    /// Bit n: the packet n below the highest came.
    seen: u64,
    /// Packets of this source.
    received: u64,
    /// Sums of the sources before.
    before: Sums,
    duplicates: u64,
    reordered: u64,
    late: u64,
    restarts: u32,
    sources: u32,
    strays: u64,
    /// A number out of range, or another source, must be followed by its next (MIN_SEQUENTIAL of two).
    suspect: Option<(u32, u16)>,
    bursts: Bursts,
    clock: Clock,
}

/// Packets of the sources before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Sums {
    expected: u64,
    received: u64,
}

/// What a packet was to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// In its place, or after a hole.
    Forward,
    /// Overtaken by a later one.
    Behind,
    /// Came before.
    Duplicate,
    /// Of no stream that is known yet: counted, and otherwise ignored until its next one comes.
    Stray,
}

/// Expected and received, as a report said them last (RFC 3550 §A.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Prior {
    expected: u64,
    received: u64,
}

impl Reception {
    /// Of a stream whose first packet this is.
    pub fn new(ssrc: u32, sequence: u16) -> Self {
        let first = CYCLE + u32::from(sequence);
        let mut bursts = Bursts::default();
        bursts.begin(i64::from(SETTLED));
        Self {
            ssrc,
            highest: first.wrapping_sub(1),
            base: first,
            seen: u64::MAX,
            received: 0,
            before: Sums::default(),
            duplicates: 0,
            reordered: 0,
            late: 0,
            restarts: 0,
            sources: 0,
            strays: 0,
            suspect: None,
            bursts,
            clock: Clock::default(),
        }
    }

    /// The clock of what comes now, in ticks a second; zero when it is unknown.
    pub fn set_clock(&mut self, rate: u32) {
        self.clock.set(rate);
    }

    /// One packet.
    #[inline(always)]
    pub fn arrive(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Arrival {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let mut arrival = Arrival::Forward;
        if ssrc == self.ssrc && ahead == 1 {
            if self.seen >> (SETTLED - 1) & 1 == 1 {
                self.bursts.received();
            } else {
                self.bursts.lost();
            }
            self.highest = self.highest.wrapping_add(1);
            self.seen = self.seen << 1 | 1;
        } else {
            arrival = self.out_of_order(ssrc, sequence, ahead);
            if arrival == Arrival::Stray {
                return arrival;
            }
        }
        self.received += 1;
        self.clock.arrive(now, timestamp, ahead);
        arrival
    }

    #[cold]
    fn out_of_order(&mut self, ssrc: u32, sequence: u16, ahead: u16) -> Arrival {
        let known = ssrc == self.ssrc;
        if known && (1..MAX_DROPOUT).contains(&ahead) {
            self.advance(ahead);
            self.suspect = None;
            return Arrival::Forward;
        }
        let behind = ahead.wrapping_neg();
        if known && behind <= MAX_MISORDER {
            return self.behind(behind);
        }
        if self.suspect != Some((ssrc, sequence)) {
            self.suspect = Some((ssrc, sequence.wrapping_add(1)));
            self.strays += 1;
            return Arrival::Stray;
        }
        // Two in sequence: it has begun anew (RFC 3550 §A.1), or another source has taken over. The first of the two is its first packet.
        self.strays -= 1;
        self.begin(ssrc, sequence.wrapping_sub(1));
        self.received = 1;
        self.advance(1);
        self.advance(1);
        Arrival::Forward
    }

    fn advance(&mut self, ahead: u16) {
        for _ in 0..ahead {
            if self.seen >> (SETTLED - 1) & 1 == 1 {
                self.bursts.received();
            } else {
                self.bursts.lost();
            }
            self.seen <<= 1;
        }
        self.seen |= 1;
        self.highest = self.highest.wrapping_add(u32::from(ahead));
    }

    fn behind(&mut self, behind: u16) -> Arrival {
        let number = self.highest.wrapping_sub(u32::from(behind));
        let bit = 1u64.checked_shl(u32::from(behind)).unwrap_or(0);
        if number < self.base {
            // It was overtaken by the one that came first.
            self.base = number;
            self.reordered += 1;
            return Arrival::Behind;
        }
        if self.seen & bit != 0 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        self.reordered += 1;
        self.late += u64::from(behind >= SETTLED);
        Arrival::Behind
    }

    /// The sums so far are those of a source before.
    fn begin(&mut self, ssrc: u32, sequence: u16) {
        if ssrc == self.ssrc {
            self.restarts += 1;
        } else {
            self.sources += 1;
        }
        // What is not settled yet is as it stands.
        self.settle();
        self.bursts.begin(i64::from(SETTLED));
        self.before = Sums { expected: self.expected(), received: self.total_received() };
        self.ssrc = ssrc;
        self.base = CYCLE + u32::from(sequence);
        self.highest = self.base.wrapping_sub(1);
        (self.seen, self.received, self.suspect) = (u64::MAX, 0, None);
        self.clock.begin();
    }

    fn settle(&mut self) {
        for bit in (0..SETTLED).rev() {
            if self.seen >> bit & 1 == 1 {
                self.bursts.received();
            } else {
                self.bursts.lost();
            }
        }
    }

    /// The source that is heard.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Highest sequence number, cycles above, as a report has it.
    pub const fn extended_highest(&self) -> u32 {
        self.highest.wrapping_sub(CYCLE)
    }

    /// Its first sequence number.
    pub const fn first(&self) -> u16 {
        self.base as u16
    }

    /// Packets that all sources have sent, by their numbers.
    pub fn expected(&self) -> u64 {
        self.before.expected + u64::from(self.highest.wrapping_sub(self.base).wrapping_add(1))
    }

    /// Packets received, duplicates and late ones too.
    pub const fn total_received(&self) -> u64 {
        self.before.received + self.received
    }

    /// Expected and not received: below zero when there were more duplicates than losses (RFC 3550 §A.3).
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.total_received() as i64
    }

    /// Numbers of which nothing came, duplicates counting for nobody else.
    pub fn missing(&self) -> u64 {
        u64::try_from(self.lost().saturating_add_unsigned(self.duplicates)).unwrap_or(0)
    }

    /// Packets that came twice.
    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets that were overtaken.
    pub const fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Of them, those too late to be played.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// Times that a source began anew with other numbers.
    pub const fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Times that another source took over.
    pub const fn source_changes(&self) -> u32 {
        self.sources
    }

    /// Packets of no stream: of numbers far off, or of a source that did not go on.
    pub const fn strays(&self) -> u64 {
        self.strays
    }

    /// Losses that come together, what is not settled yet as it stands.
    pub fn bursts(&self) -> Bursts {
        let mut whole = self.clone();
        whole.settle();
        whole.bursts
    }

    /// Jitter now; none while the clock is unknown.
    pub fn jitter(&self) -> Option<Span> {
        self.clock.known().then(|| self.clock.jitter())
    }

    /// Jitter at its worst.
    pub fn jitter_max(&self) -> Option<Span> {
        self.clock.known().then(|| self.clock.jitter_max())
    }

    /// Mean of the jitter over all packets.
    pub fn jitter_mean(&self) -> Option<Span> {
        self.clock.known().then(|| self.clock.jitter_mean())
    }

    /// Jitter in units of the stream's clock, as a report has it.
    pub fn jitter_ticks(&self) -> u32 {
        self.clock.jitter_ticks()
    }

    /// Times that timestamps jumped.
    pub const fn timestamp_jumps(&self) -> u32 {
        self.clock.jumps()
    }

    /// Times that the talker paused: time moved on and no number was missing.
    pub const fn pauses(&self) -> u32 {
        self.clock.pauses()
    }

    /// By how much the sender's clock is fast, in millionths; none before half a minute of one source.
    pub fn skew_ppm(&self) -> Option<i32> {
        self.clock.skew_ppm()
    }

    /// Lost since the last report, in 256ths, and what this one says (RFC 3550 §A.3).
    pub fn fraction(&self, prior: &mut Prior) -> u8 {
        let present = Prior { expected: self.expected(), received: self.total_received() };
        let expected = present.expected.saturating_sub(prior.expected);
        let received = present.received.saturating_sub(prior.received);
        *prior = present;
        (expected.saturating_sub(received) * 256).checked_div(expected).unwrap_or(0).min(255) as u8
    }

    /// Packets that were sent since then, by their numbers.
    pub fn expected_since(&self, since: &Prior) -> u64 {
        self.expected().saturating_sub(since.expected)
    }

    /// Lost since then, per thousand; none when nothing was expected.
    pub fn loss_permille(&self, since: &Prior) -> Option<u16> {
        let expected = self.expected().saturating_sub(since.expected);
        let received = self.total_received().saturating_sub(since.received);
        (expected.saturating_sub(received) * 1_000).checked_div(expected).map(|permille| permille as u16)
    }

    /// This moment, to compare a later one with.
    pub fn moment(&self) -> Prior {
        Prior { expected: self.expected(), received: self.total_received() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn at(us: u64) -> Instant {
        Instant::from_micros(1_000_000 + us)
    }

    /// Packet `n` of a stream of 20 ms packets at 8 kHz, when it comes in time.
    fn packet(reception: &mut Reception, first: u16, n: u32, late_us: u64) -> Arrival {
        let now = at(u64::from(n) * 20_000 + late_us);
        reception.arrive(now, 7, first.wrapping_add(n as u16), 5_000u32.wrapping_add(n.wrapping_mul(160)))
    }

    fn begun(first: u16) -> Reception {
        let mut reception = Reception::new(7, first);
        reception.set_clock(8_000);
        reception
    }

    #[test]
    fn a_wrap_is_no_restart_and_cycles_are_counted_3550_a_1() {
        let mut reception = begun(65_000);
        (0..140_000).for_each(|n| assert_eq!(packet(&mut reception, 65_000, n, 0), Arrival::Forward));
        assert_eq!((reception.expected(), reception.lost(), reception.restarts()), (140_000, 0, 0));
        assert_eq!(reception.extended_highest(), 65_000 + 139_999);
        assert_eq!((reception.jitter(), reception.bursts().packets()), (Some(Span::ZERO), 140_000));
    }

    #[test]
    fn losses_reordering_and_duplicates_each_have_their_count() {
        let mut reception = begun(100);
        let order = [0u32, 1, 2, 4, 3, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 6, 17, 17];
        let arrivals: Vec<Arrival> = order.map(|n| packet(&mut reception, 100, n, 0)).into();
        assert_eq!(arrivals[4..6], [Arrival::Behind, Arrival::Duplicate]);
        assert_eq!((reception.expected(), reception.total_received(), reception.lost()), (18, 19, -1));
        assert_eq!((reception.missing(), reception.duplicates()), (1, 2), "seven never came");
        assert_eq!((reception.reordered(), reception.late()), (2, 1), "six was ten behind");
        assert_eq!(reception.bursts().losses(), 2, "it could not be played any more");
    }

    #[test]
    fn a_packet_overtaken_by_the_first_one_counts() {
        let mut reception = begun(0);
        packet(&mut reception, 0, 0, 0);
        assert_eq!(reception.arrive(at(5), 7, 65_535, 4_840), Arrival::Behind);
        assert_eq!((reception.expected(), reception.lost()), (2, 0));
        assert_eq!(reception.extended_highest(), 0);
    }

    #[test]
    fn a_source_that_begins_anew_must_show_two_packets_3550_a_1() {
        let mut reception = begun(10);
        (0..50).for_each(|n| {
            packet(&mut reception, 10, n, 0);
        });
        assert_eq!(reception.arrive(at(1_000_000), 7, 30_000, 1), Arrival::Stray);
        assert_eq!(packet(&mut reception, 10, 50, 0), Arrival::Forward, "a stray one changes nothing");
        assert_eq!(reception.arrive(at(1_020_000), 7, 40_000, 160), Arrival::Stray);
        assert_eq!(reception.arrive(at(1_040_000), 7, 40_001, 320), Arrival::Forward);
        assert_eq!(reception.arrive(at(1_060_000), 7, 40_002, 480), Arrival::Forward);
        assert_eq!((reception.restarts(), reception.strays(), reception.lost()), (1, 1, 0));
        assert_eq!((reception.expected(), reception.extended_highest()), (54, 40_002));
    }

    #[test]
    fn another_source_takes_over_and_the_account_goes_on() {
        let mut reception = begun(10);
        (0..50).filter(|n| n % 10 != 5).for_each(|n| {
            packet(&mut reception, 10, n, 0);
        });
        for n in 0..20u16 {
            reception.arrive(at(2_000_000 + u64::from(n) * 20_000), 9, 500 + n, u32::from(n) * 160);
        }
        assert_eq!((reception.ssrc(), reception.source_changes(), reception.strays()), (9, 1, 0));
        assert_eq!((reception.expected(), reception.lost()), (70, 5));
        assert_eq!((reception.bursts().packets(), reception.bursts().losses()), (70, 5));
        assert_eq!(reception.jitter_max(), Some(Span::ZERO), "two sources have no transit in common");
    }

    #[test]
    fn one_in_five_lost_is_one_in_five() {
        let mut reception = begun(60_000);
        let (mut prior, mut rng) = (Prior::default(), model::Rng::new(5));
        let mut came = 0;
        for n in 0..10_000 {
            if n == 0 || n == 9_999 || !rng.below(5).eq(&0) {
                came += 1;
                packet(&mut reception, 60_000, n, 0);
            }
        }
        assert_eq!(reception.lost(), 10_000 - came);
        assert_eq!(reception.missing(), (10_000 - came) as u64);
        assert!((48..=54).contains(&reception.fraction(&mut prior)));
        assert_eq!(reception.fraction(&mut prior), 0, "nothing since");
        let ratio = reception.bursts().ratio();
        assert!((1.0..1.05).contains(&ratio), "by chance: {ratio}");
    }

    #[test]
    fn jitter_is_that_of_a_8() {
        let mut reception = begun(1);
        // Every other packet is 8 ms late: transit differs by 8 ms each time, and so does jitter in the end.
        (0..500).for_each(|n| {
            packet(&mut reception, 1, n, u64::from(n % 2) * 8_000);
        });
        let jitter = reception.jitter().unwrap().as_micros();
        assert!((7_900..=8_000).contains(&jitter), "{jitter}");
        assert!((63..=64).contains(&reception.jitter_ticks()));
        assert!(reception.jitter_mean().unwrap() < reception.jitter_max().unwrap());
        let mut unknown = Reception::new(7, 1);
        (0..50).for_each(|n| {
            packet(&mut unknown, 1, n, u64::from(n % 2) * 8_000);
        });
        assert_eq!(unknown.jitter(), None, "without a clock");
    }

    #[test]
    fn a_jump_of_timestamps_is_no_jitter_and_a_frozen_network_is() {
        let mut reception = begun(1);
        (0..100).for_each(|n| {
            packet(&mut reception, 1, n, 0);
        });
        reception.arrive(at(2_000_000), 7, 101, 0x9000_0000);
        reception.arrive(at(2_020_000), 7, 102, 0x9000_00a0);
        assert_eq!((reception.timestamp_jumps(), reception.jitter()), (1, Some(Span::ZERO)));
        reception.arrive(at(4_040_000), 7, 103, 0x9000_0140);
        assert_eq!(reception.timestamp_jumps(), 1);
        assert!(reception.jitter().unwrap() > Span::from_millis(100), "two seconds late");
    }

    #[test]
    fn a_pause_of_the_talker_is_neither_loss_nor_jitter() {
        let mut reception = begun(1);
        packet(&mut reception, 1, 0, 0);
        packet(&mut reception, 1, 1, 0);
        // Two seconds later by both clocks, and no number is missing.
        reception.arrive(at(2_020_000), 7, 3, 5_000 + 101 * 160);
        assert_eq!((reception.pauses(), reception.lost(), reception.jitter()), (1, 0, Some(Span::ZERO)));
        // A hole of the network: as long, but numbers are missing.
        reception.arrive(at(4_020_000), 7, 103, 5_000 + 201 * 160);
        assert_eq!((reception.pauses(), reception.lost()), (1, 99));
        (1..5).for_each(|n| {
            reception.arrive(at(4_020_000 + 20_000 * n), 7, 103 + n as u16, 5_000 + 201 * 160);
        });
        assert_eq!(reception.jitter(), Some(Span::ZERO), "the packets of a digit have one timestamp");
    }

    #[test]
    fn a_fast_clock_is_noticed_through_jitter() {
        for (ppm, rate) in [(200i64, 8_000u32), (-150, 48_000), (0, 16_000)] {
            let mut reception = Reception::new(7, 0);
            reception.set_clock(rate);
            let mut rng = model::Rng::new(9);
            for n in 0..6_000i64 {
                // A clock that is fast sends its packets early.
                let sent = n * 20_000 - n * 20_000 * ppm / 1_000_000;
                let now = at((1_000_000 + sent) as u64 + rng.below(15_000));
                reception.arrive(now, 7, n as u16, (n as u32).wrapping_mul(rate / 50));
            }
            let found = i64::from(reception.skew_ppm().unwrap());
            assert!((found - ppm).abs() <= 10, "{found} for {ppm}");
        }
    }

    /// All that came, in order of arrival, with nothing forgotten.
    fn oracle(first: u32, order: &[u32]) -> (u64, u64, u64) {
        let numbers: Vec<u32> = order.iter().map(|n| first + n).collect();
        let (least, most) = (numbers.iter().min().unwrap(), numbers.iter().max().unwrap());
        let mut unique = numbers.clone();
        unique.sort_unstable();
        unique.dedup();
        (u64::from(most - least + 1), numbers.len() as u64, u64::from(most - least + 1) - unique.len() as u64)
    }

    proptest! {
        #[test]
        fn it_is_what_a_list_of_all_packets_says(
            first in any::<u16>(),
            steps in prop::collection::vec((0u8..20, 0u32..30), 1..400),
        ) {
            let (mut order, mut next) = (std::vec![0u32], 1);
            for (kind, by) in steps {
                match kind {
                    0 => next += by,
                    1 => order.push(next.saturating_sub(by)),
                    _ => {}
                }
                order.push(next);
                next += 1;
            }
            let mut reception = begun(first);
            for n in &order {
                prop_assert_ne!(packet(&mut reception, first, *n, 0), Arrival::Stray);
            }
            let (expected, received, missing) = oracle(u32::from(first), &order);
            prop_assert_eq!((reception.expected(), reception.total_received()), (expected, received));
            prop_assert_eq!(reception.missing(), missing);
            prop_assert_eq!(reception.lost(), expected as i64 - received as i64);
            prop_assert_eq!(reception.bursts().packets(), expected);
            prop_assert!(reception.bursts().losses() >= missing);
            prop_assert_eq!(reception.bursts().losses(), missing + reception.late());
        }

        #[test]
        fn anything_is_survived(packets in prop::collection::vec(any::<(u32, u16, u32, bool, u64)>(), 0..200)) {
            let mut reception = begun(0);
            let mut now = Instant::ZERO;
            for (by, sequence, timestamp, other, ssrc) in packets {
                now += Span::from_micros(u64::from(by));
                reception.arrive(now, if other { ssrc as u32 % 3 } else { 7 }, sequence % 700, timestamp);
                prop_assert!(reception.missing() <= reception.expected());
            }
            let _ = (reception.bursts().sum(), reception.skew_ppm(), reception.jitter_ticks(), reception.jitter_mean());
            prop_assert_eq!(reception.fraction(&mut reception.moment()), 0);
        }
    }
}
