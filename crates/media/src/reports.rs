//! RTCP of one side: what its reports say of the way to it, and what the edge reports to it itself (RFC 3550 §6).
//!
//! Reports of both ends pass through the relay, and tell each end of the other. An end that sends none leaves the other without: then
//! the edge, which knows what was received, reports in its stead. Refuses to know: ports, when anything is due.

use crate::quality::reception::{Prior, Reception};
use crate::rtcp::{Block, Part, SENDER, SenderInfo};
use crate::xr::{self, Metrics, Summary};
use model::{Instant, Rng, Span};

/// Sender reports that an answer may still come to.
const KEPT: usize = 4;
/// Longer is no way there and back, but a mistake.
const ROUND_TRIP_MAX: Span = Span::from_secs(10);
/// Mean time between two reports (RFC 3550 §6.2).
pub(crate) const INTERVAL: Span = Span::from_secs(5);
/// Who has reported within this time needs nobody to do it for him: two intervals at their longest.
pub(crate) const SILENT_AFTER: Span = Span::from_secs(15);

/// What one side says by its reports, and what it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports {
    /// Its last report.
    pub(crate) heard: Option<Instant>,
    /// Sender reports about its stream that left for the other side: middle of their time, and when.
    left: [Option<(u32, Instant)>; KEPT],
    next: usize,
    /// Middle of the time of its own last sender report, and when that came.
    last_sender: Option<(u32, Instant)>,
    /// From the edge to this side and back.
    pub(crate) round_trip: Option<Span>,
    /// Packets of the stream that it is sent which it says it has lost.
    pub(crate) says_lost: Option<u32>,
    /// How the stream that it is sent sounds there, as it told last.
    pub(crate) metrics: Option<Metrics>,
    /// What we told it of its stream last.
    pub(crate) prior: Prior,
    /// Up to where a summary told of it last.
    pub(crate) summed: Summed,
    /// When the next report to it is considered.
    pub(crate) due: Instant,
}

/// What summaries have told of a stream so far (RFC 3611 §4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Summed {
    ssrc: u32,
    next: u16,
    missing: u64,
    duplicates: u64,
}

impl Summed {
    /// What came since the last summary; none when nothing did.
    pub(crate) fn next(&mut self, reception: &Reception) -> Option<Summary> {
        let (ssrc, end) = (reception.ssrc(), (reception.extended_highest() as u16).wrapping_add(1));
        let begin = if *self == Self::default() || self.ssrc != ssrc { reception.first() } else { self.next };
        let (missing, duplicates) = (reception.missing(), reception.duplicates());
        let count = |now: u64, then: u64| u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX);
        let (lost, twice) = (count(missing, self.missing), count(duplicates, self.duplicates));
        *self = Self { ssrc, next: end, missing, duplicates };
        (begin != end).then_some(Summary { ssrc, begin, end, lost, duplicates: twice })
    }
}

/// Thirty-two bits out of the middle of an NTP time (RFC 3550 §4).
pub(crate) const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// Our own time as a report has it: since our start, as one does who knows no time of day (RFC 3550 §6.4.1).
pub(crate) const fn ntp(now: Instant) -> u64 {
    let us = now.as_micros();
    ((us / 1_000_000) << 32) | (((us % 1_000_000) << 32) / 1_000_000)
}

/// Until the next report: half an interval to one and a half, so that many calls do not report at once (RFC 3550 §6.3.5).
pub(crate) fn pause(seed: u64) -> Span {
    Span::from_micros(INTERVAL.as_micros() / 2 + Rng::new(seed).below(INTERVAL.as_micros()))
}

impl Reports {
    /// A sender report about this side's stream leaves for the other side.
    pub(crate) const fn leaves(&mut self, now: Instant, ntp: u64) {
        self.left[self.next % KEPT] = Some((middle(ntp), now));
        self.next = self.next.wrapping_add(1);
    }

    /// This side has sent a packet of a compound. `other` is what was told of the other side's stream, which it hears by the name `known`.
    pub(crate) fn hear(&mut self, now: Instant, part: &Part<'_>, other: &Self, known: Option<u32>) {
        if let Some(info) = part.sender_info() {
            self.last_sender = Some((middle(info.ntp), now));
        }
        if let (xr::EXTENDED, Some(known)) = (part.kind, known) {
            self.metrics = xr::metrics_of(part.body, known).or(self.metrics);
        }
        for block in part.blocks().filter(|block| Some(block.ssrc) == known) {
            // Below zero when it has received some twice.
            self.says_lost = Some(u32::try_from(block.lost).unwrap_or(0));
            if let Some(round_trip) = other.answered(now, &block) {
                self.round_trip = Some(round_trip);
            }
        }
    }

    /// How long a report of ours or one that passed was answered after, the peer's own time taken off (RFC 3550 §6.4.1).
    fn answered(&self, now: Instant, block: &Block) -> Option<Span> {
        let (_, left) = self.left.iter().flatten().find(|(middle, _)| *middle == block.last_report)?;
        if block.last_report == 0 {
            return None;
        }
        let own = Span::from_micros((u64::from(block.since_report) * 1_000_000) >> 16);
        let took = now.since(*left);
        // Clocks of two makers differ a little: what comes out below nothing is nothing.
        let round_trip = Span::from_micros(took.as_micros().saturating_sub(own.as_micros()));
        (round_trip <= ROUND_TRIP_MAX).then_some(round_trip)
    }

    /// Its last sender report, as a block about it has that: middle of its time, and how long ago in 1/65536 s.
    pub(crate) fn last_report(&self, now: Instant) -> (u32, u32) {
        let Some((middle, at)) = self.last_sender else { return (0, 0) };
        let since = (now.since(at).as_micros() << 16) / 1_000_000;
        (middle, u32::try_from(since).unwrap_or(u32::MAX))
    }
}

/// The middle of the time of a sender report, for who notes it on its way.
pub(crate) fn sent_at(part: &Part<'_>) -> Option<u64> {
    if part.kind != SENDER {
        return None;
    }
    part.sender_info().map(|SenderInfo { ntp, .. }| ntp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp;
    use std::vec::Vec;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn the_way_there_and_back_is_what_passed_less_the_peers_own_time_3550_6_4_1() {
        let (mut speaker, mut listener) = (Reports::default(), Reports::default());
        speaker.leaves(at(1_000), 0x0102_0304_8000_0000);
        let block =
            |last_report, since_report| Block { ssrc: 7, lost: 25, last_report, since_report, ..Block::default() };
        let mut hear = |ms, block: Block, known| {
            let mut bytes = Vec::new();
            rtcp::push_receiver(&mut bytes, 1, &[block]);
            let part = rtcp::parts(&bytes).next().unwrap();
            listener.hear(at(ms), &part, &speaker, known);
            (listener.round_trip, listener.says_lost)
        };
        let stranger = hear(1_900, block(0x0304_8000, 65_536 / 2), Some(8));
        assert_eq!(stranger, (None, None), "of another stream");
        let answered = hear(1_620, block(0x0304_8000, 65_536 / 2), Some(7));
        assert_eq!(answered, (Some(Span::from_millis(120)), Some(25)));
        let none = hear(9_000, block(0x0304_9999, 0), Some(7));
        assert_eq!(none.0, Some(Span::from_millis(120)), "an answer to nothing that was sent");
        assert_eq!(hear(9_000, block(0x0304_8000, u32::MAX), Some(7)).0, Some(Span::ZERO));
        assert_eq!(hear(90_000, block(0x0304_8000, 0), Some(7)).0, Some(Span::ZERO), "a minute is no way");
    }

    #[test]
    fn its_own_sender_report_is_answered_with_its_time() {
        let mut side = Reports::default();
        assert_eq!(side.last_report(at(5)), (0, 0));
        let mut bytes = Vec::new();
        let info = SenderInfo { ntp: 0x0102_0304_0506_0708, ..SenderInfo::default() };
        rtcp::push_sender(&mut bytes, 1, &info, &[]);
        let part = rtcp::parts(&bytes).next().unwrap();
        side.hear(at(1_000), &part, &Reports::default(), None);
        assert_eq!(side.last_report(at(1_500)), (0x0304_0506, 32_768));
        assert_eq!(sent_at(&part), Some(info.ntp));
        assert_eq!(ntp(at(1_500)), 1 << 32 | 1 << 31);
        for seed in 0..500 {
            assert!((Span::from_millis(2_500)..Span::from_millis(7_500)).contains(&pause(seed)));
        }
    }
}
