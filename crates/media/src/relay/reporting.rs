//! Reports of a side: read as they pass, and made in the stead of an end that sends none.
//!
//! Where sound or digits are made anew, what one side sends is not what the other hears: packets of other numbers, another clock, more of them or
//! fewer. Reports of either end at the edge then, as a translator of that kind must see to (RFC 3550 §7.2), and each is told of what it hears.
//! A side that reports is reported to. The stream it hears has the name, the numbers and the clock that it knows; what is said of its own
//! stream is what we have received of it. Refuses to know: how reports are written.

use super::{Component, Forward, PairId, Relay};
use crate::agenda::Task;
use crate::anchor::Side;
use crate::quality::bursts::GMIN;
use crate::reports::{self, SILENT_AFTER};
use crate::rtcp::{self, Block, SenderInfo};
use crate::xr::{self, Asked, Metrics, Summary};
use alloc::vec::Vec;
use core::net::SocketAddr;
use model::{Instant, Mos, Span};

/// Lost is told with 24 bits and a sign.
const LOST_MAX: i64 = 0x7f_ffff;

impl Relay {
    /// A side is joined: whether it needs a report is seen to by time.
    pub(super) fn begin_to_report(&mut self, pair: PairId) {
        if let Some(side) = self.side(pair) {
            let due = side.reports.due;
            self.agenda.set(due, pair, Task::Report);
        }
    }

    /// What the description of `side` asks to be told of by extended reports.
    pub fn report_more(&mut self, side: PairId, asked: Asked) {
        if let Some(side) = self.side(side) {
            side.asked = asked;
        }
    }

    /// A compound of this side, which was accepted as the peer's. Only a whole and valid one is believed (RFC 3550 §A.2).
    pub(super) fn learn_from_report(&mut self, now: Instant, pair: PairId, packet: &[u8]) {
        let ends = self.ends_reports(pair);
        let Some((side, other)) = self.both(pair) else { return };
        if !side.is_clear() {
            return;
        }
        side.reports.heard = Some(now);
        if !rtcp::is_compound(packet) {
            return;
        }
        let known = other.known_as();
        if known.is_some()
            && let Some(block) = heard_of(packet, known)
        {
            side.arrivals.told(now, other.left(), block.as_ref());
        }
        for part in rtcp::parts(packet) {
            side.reports.hear(now, &part, &other.reports, known);
            if let Some(ntp) = reports::sent_at(&part).filter(|_| !ends) {
                side.reports.leaves(now, ntp);
            }
        }
    }

    /// Whether reports of this side and of its other one end here.
    pub(super) fn ends_reports(&mut self, pair: PairId) -> bool {
        self.both(pair).is_some_and(|(side, other)| are_apart(side, other))
    }

    /// It was a report of this side, and has been learned from.
    pub(super) fn end_report(&mut self, now: Instant, pair: PairId) -> Forward {
        if let Some(side) = self.side(pair) {
            side.last_report = Some(now);
        }
        self.counters.reports_ended += 1;
        Forward::Made
    }

    /// Sees to it that a side which reports is reported to.
    pub(super) fn report(&mut self, now: Instant, at: Instant, pair: PairId) {
        let Some(side) = self.side(pair) else { return };
        if side.reports.due != at {
            // Set for a call that had the pair before.
            return;
        }
        let due = now + reports::pause(now.as_micros() ^ u64::from(pair.0) << 40);
        side.reports.due = due;
        self.agenda.set(due, pair, Task::Report);
        let mut packet = core::mem::take(&mut self.report);
        packet.clear();
        if let Some((component, to)) = self.compose(now, pair, &mut packet) {
            self.counters.reports += 1;
            self.make(pair, component, to, &packet);
        }
        self.report = packet;
    }

    fn compose(&mut self, now: Instant, pair: PairId, out: &mut Vec<u8>) -> Option<(Component, SocketAddr)> {
        let (listener, speaker) = self.both(pair)?;
        let recent = |heard: Option<Instant>| heard.is_some_and(|heard| now.since(heard) < SILENT_AFTER);
        let clear = listener.is_clear() && speaker.is_clear();
        let alone = are_apart(listener, speaker) || !recent(speaker.reports.heard);
        if !clear || !recent(listener.reports.heard) || !alone {
            return None;
        }
        let (component, to) = listener.report_to(speaker)?;
        let block = about(now, listener);
        let blocks = block.as_slice();
        let own = speaker.known_as();
        let ssrc = own.unwrap_or(pair.0.wrapping_mul(0x9e37_79b9) | 1);
        match own.and(speaker.told_at(now)) {
            Some(timestamp) => {
                let (packets, octets) = speaker.sent();
                let info = SenderInfo { ntp: reports::ntp(now), timestamp, packets, octets };
                speaker.reports.leaves(now, info.ntp);
                rtcp::push_sender(out, ssrc, &info, blocks);
            }
            None => rtcp::push_receiver(out, ssrc, blocks),
        }
        rtcp::push_description(out, ssrc, &cname(ssrc));
        if !listener.asked.is_empty() {
            let Asked { summary, metrics } = listener.asked;
            let metrics = if metrics { sound_of(listener, speaker) } else { None };
            let summary = if summary { summary_of(listener) } else { None };
            xr::push(out, ssrc, summary.as_ref(), metrics.as_ref());
        }
        Some((component, to))
    }

    /// A side and the one it is joined to.
    fn both(&mut self, pair: PairId) -> Option<(&mut Side, &mut Side)> {
        let other = self.sides.get(pair.index())?.as_ref()?.peer;
        let [side, other] = self.sides.get_disjoint_mut([pair.index(), other.index()]).ok()?;
        Some((side.as_mut()?, other.as_mut()?))
    }
}

impl Side {
    /// Where reports to this side go. Both must have agreed to one port for RTP and reports, since an offer alone may be answered without
    /// (RFC 5761 §5.1.1). A side that we secure has agreed with us alone.
    pub(super) fn report_to(&self, other: &Self) -> Option<(Component, SocketAddr)> {
        if self.mux && (other.mux || self.security.is_some()) {
            return Some((Component::Rtp, self.latch.send_to()?));
        }
        Some((Component::Rtcp, self.rtcp_to()?))
    }
}

/// Whether what one of the two sends is not what the other hears.
fn are_apart(one: &Side, other: &Side) -> bool {
    one.is_clear() && other.is_clear() && (one.treatment.is_some() || other.treatment.is_some())
}

/// What a compound says of the stream it is known by. None inside when it speaks of no stream at all; nothing when of others alone, or when
/// it is no report of what is heard.
fn heard_of(compound: &[u8], known: Option<u32>) -> Option<Option<Block>> {
    let (mut own, mut others) = (None, None);
    for part in rtcp::parts(compound).filter(|part| matches!(part.kind, rtcp::SENDER | rtcp::RECEIVER)) {
        others = Some(others.unwrap_or(false) || part.count > 0);
        own = part.blocks().find(|block| Some(block.ssrc) == known).or(own);
    }
    (own.is_some() || others == Some(false)).then_some(own)
}

/// What we say of a side's stream.
fn about(now: Instant, side: &mut Side) -> Option<Block> {
    let reception = side.watch.reception()?;
    let (last_report, since_report) = side.reports.last_report(now);
    Some(Block {
        ssrc: reception.ssrc(),
        fraction_lost: reception.fraction(&mut side.reports.prior),
        lost: reception.lost().clamp(-LOST_MAX, LOST_MAX) as i32,
        highest: reception.extended_highest(),
        jitter: reception.jitter_ticks(),
        last_report,
        since_report,
    })
}

/// What came of a side's stream since it was told so last.
fn summary_of(side: &mut Side) -> Option<Summary> {
    let reception = side.watch.reception()?;
    side.reports.summed.next(reception)
}

/// How a side's stream sounds to us, who play none of it. Spans of packets are those of its mean packet.
fn sound_of(side: &Side, other: &Side) -> Option<Metrics> {
    let (told, heard) = (side.counted(Some(other)).quality?, side.watch.quality(Span::ZERO)?);
    let share = |part: u64| (part * 256).checked_div(told.expected).unwrap_or(0).min(255) as u8;
    let milliseconds = |span: Span| u16::try_from(span.as_millis()).unwrap_or(u16::MAX);
    let passed = told.last?.since(told.first?);
    let packet = Span::from_micros(passed.as_micros().checked_div(told.expected.saturating_sub(1)).unwrap_or(0));
    let score = |mos: Option<Mos>| mos.map(|mos| mos.tenths() as u8);
    let bursts = &told.burstiness;
    Some(Metrics {
        ssrc: side.watch.reception()?.ssrc(),
        loss: share(told.missing),
        discarded: share(told.late),
        burst_density: bursts.burst_density,
        gap_density: bursts.gap_density,
        burst: milliseconds(packet.times(bursts.burst_packets)),
        gap: milliseconds(packet.times(bursts.gap_packets)),
        round_trip: milliseconds(told.round_trip.unwrap_or_default()),
        end_delay: 0,
        gmin: GMIN as u8,
        rating: told.rating,
        listening: score(heard.mos),
        conversation: score(told.mos),
        buffer: milliseconds(told.jitter_mean.unwrap_or_default().times(2)),
    })
}

/// A name for this stream alone, which tells nothing of us (RFC 7022 §4.2).
fn cname(ssrc: u32) -> [u8; 8] {
    let mut name = *b"00000000";
    for (place, digit) in name.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(ssrc.rotate_left(4 * place as u32 + 4) & 0xf) as usize];
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Peer;
    use crate::{Codec, Digits, Format, Packet, Shape, Speech, rtp};
    use model::Span;

    const A: PairId = PairId(0);
    const B: PairId = PairId(1);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_secs(100) + Span::from_millis(ms)
    }

    fn from(side: PairId, step: u16) -> SocketAddr {
        let (ip, port) = if side == A { ([192, 0, 2, 1], 4_000) } else { ([198, 51, 100, 1], 6_000) };
        SocketAddr::from((ip, port + step))
    }

    fn anchored() -> Relay {
        let mut relay = Relay::new(64);
        relay.join(A, B).unwrap();
        for side in [A, B] {
            relay.expect(side, &Peer { rtp: from(side, 0), rtcp: None, mux: false });
        }
        relay.tick(at(0));
        relay
    }

    fn speaks(relay: &mut Relay, side: PairId, ssrc: u32, n: u16) {
        let mut bytes = [0x2b; 172];
        let header = rtp::Header { marker: false, payload_type: 8, sequence: n, timestamp: u32::from(n) * 160, ssrc };
        rtp::write(bytes.first_chunk_mut().unwrap(), &header);
        relay.forward(at(20 * u64::from(n)), side, Component::Rtp, from(side, 0), &mut Packet::whole(&mut bytes));
    }

    fn reports(relay: &mut Relay, ms: u64, side: PairId, mut bytes: Vec<u8>) {
        relay.forward(at(ms), side, Component::Rtcp, from(side, 1), &mut Packet::whole(&mut bytes));
    }

    fn receiver(ssrc: u32, block: Block) -> Vec<u8> {
        let mut bytes = Vec::new();
        rtcp::push_receiver(&mut bytes, ssrc, &[block]);
        bytes
    }

    fn made(relay: &mut Relay, ms: u64) -> Vec<(PairId, Component, SocketAddr, Vec<u8>)> {
        relay.tick(at(ms));
        let mut made = Vec::new();
        while let Some(one) = relay.poll_made() {
            made.push((one.pair, one.component, one.to, one.packet.to_vec()));
        }
        made.into_iter().filter(|(_, component, ..)| *component == Component::Rtcp).collect()
    }

    #[test]
    fn a_side_that_reports_is_reported_to_when_its_other_side_sends_none() {
        let mut relay = anchored();
        for n in 0..500 {
            speaks(&mut relay, A, 7, n);
            if n % 10 != 3 {
                speaks(&mut relay, B, 9, n);
            }
        }
        assert_eq!(made(&mut relay, 10_000), [], "nobody reports, nobody is reported to");
        let mut sender = Vec::new();
        rtcp::push_sender(&mut sender, 9, &SenderInfo { ntp: 5 << 32, ..SenderInfo::default() }, &[]);
        reports(&mut relay, 10_000, B, sender);
        let told = made(&mut relay, 18_000);
        let [(pair, _, to, packet)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((*pair, *to), (B, from(B, 1)));
        assert!(rtcp::is_compound(packet));
        let parts: Vec<_> = rtcp::parts(packet).collect();
        assert_eq!((parts[0].kind, parts[0].ssrc(), parts[1].kind), (rtcp::SENDER, Some(7), rtcp::DESCRIPTION));
        let info = parts[0].sender_info().unwrap();
        assert_eq!((info.packets, info.octets), (500, 500 * 160));
        assert_eq!(info.timestamp, 499 * 160 + (18_000 - 499 * 20) * 8, "time has passed since the last packet");
        let block = parts[0].blocks().next().unwrap();
        assert_eq!((block.ssrc, block.lost, block.highest, block.fraction_lost), (9, 50, 499, 25));
        assert_eq!((block.last_report, block.since_report), (5 << 16, 8 << 16));
        assert_eq!((relay.counters().reports, relay.counters().unsent), (1, 0));
        // Answered 30 ms after it was on the way; B took a second of its own.
        let answer = Block {
            ssrc: 7,
            lost: 5,
            last_report: reports::middle(info.ntp),
            since_report: 1 << 16,
            ..Block::default()
        };
        reports(&mut relay, 19_030, B, receiver(9, answer));
        let counted = relay.counted(A);
        let quality = counted.second.quality.unwrap();
        assert_eq!((quality.round_trip, quality.told_loss_permille), (Some(Span::from_millis(30)), Some(10)));
        assert_eq!(counted.first.quality.unwrap().round_trip, None);
    }

    /// Extended reports go to whom they are asked for by, and to nobody else.
    #[test]
    fn a_side_that_asks_is_told_how_its_stream_sounds_3611_5() {
        for asked in ["", "voip-metrics", "stat-summary=loss,dup voip-metrics"].map(|value| Asked::of(value.as_bytes()))
        {
            let mut relay = anchored();
            relay.report_more(B, asked);
            for n in 0..500 {
                speaks(&mut relay, A, 7, n);
                if n % 10 != 3 {
                    speaks(&mut relay, B, 9, n);
                }
                if n % 100 == 4 {
                    speaks(&mut relay, B, 9, n);
                }
            }
            reports(&mut relay, 10_000, B, receiver(9, Block::default()));
            let told = made(&mut relay, 12_500).into_iter().chain(made(&mut relay, 18_000)).collect::<Vec<_>>();
            assert!(told.iter().all(|(_, _, _, packet)| rtcp::is_compound(packet)), "{told:?}");
            let extended = |(_, _, _, packet): &(_, _, _, Vec<u8>)| {
                rtcp::parts(packet).find(|part| part.kind == xr::EXTENDED).map(|part| part.body.to_vec())
            };
            let [first, ..] = &told[..] else { panic!("a report") };
            let Some(body) = extended(first) else {
                assert!(asked.is_empty());
                continue;
            };
            assert_eq!(
                (body.len(), rtcp::parts(&first.3).next().unwrap().ssrc()),
                (4 + if asked.summary { 40 + 36 } else { 36 }, Some(7))
            );
            let metrics = xr::metrics_of(&body, 9).expect("of its stream");
            assert_eq!((metrics.loss, metrics.discarded, metrics.gmin), (25, 0, 16), "a tenth");
            assert!(metrics.burst_density > 20 && metrics.burst > 5_000, "one of ten in one burst: {metrics:?}");
            assert!(metrics.listening.is_some_and(|score| (25..40).contains(&score)), "{metrics:?}");
            if asked.summary {
                assert_eq!(body[8..20], [0, 0, 0, 9, 0, 0, 1, 244, 0, 0, 0, 50], "0 to 500, 50 lost");
                assert_eq!(body[20..24], [0, 0, 0, 5]);
                let last = extended(told.last().expect("a report")).expect("an extended one");
                assert!(told.len() == 1 || last[4] == 7, "nothing came since: no summary");
            }
        }
    }

    /// What a peer says of how it sounds there is kept, and how long it waits there is part of the way.
    #[test]
    fn how_it_sounds_at_a_peer_is_known_by_its_extended_reports() {
        let mut relay = anchored();
        for n in 0..500 {
            speaks(&mut relay, A, 7, n);
            speaks(&mut relay, B, 9, n);
        }
        let before = relay.counted(A).first.quality.unwrap();
        let metrics = Metrics { ssrc: 7, discarded: 12, end_delay: 400, listening: Some(38), ..Metrics::default() };
        let mut bytes = receiver(9, Block { ssrc: 7, ..Block::default() });
        xr::push(&mut bytes, 9, None, Some(&metrics));
        reports(&mut relay, 10_000, B, bytes);
        let counted = relay.counted(A);
        let told = counted.second.quality.unwrap().told.expect("it was told");
        assert_eq!((told.discarded, told.end_delay, told.listening), (12, 400, Some(38)));
        assert_eq!(counted.first.quality.unwrap().told, None);
        assert!(counted.first.quality.unwrap().mos < before.mos, "its voice is 400 ms late there");
        assert_eq!(counted.second.quality.unwrap().mos, before.mos);
    }

    #[test]
    fn reports_that_pass_tell_the_way_to_both_and_are_not_doubled() {
        let mut relay = anchored();
        for n in 0..500 {
            speaks(&mut relay, A, 7, n);
            speaks(&mut relay, B, 9, n);
        }
        let mut sender = Vec::new();
        rtcp::push_sender(&mut sender, 7, &SenderInfo { ntp: 0x0001_0002_0003_0004, ..SenderInfo::default() }, &[]);
        reports(&mut relay, 10_000, A, sender);
        let answer = Block { ssrc: 7, last_report: 0x0002_0003, since_report: 0, ..Block::default() };
        reports(&mut relay, 10_080, B, receiver(9, answer));
        let quality = relay.counted(A).second.quality.unwrap();
        assert_eq!(quality.round_trip, Some(Span::from_millis(80)));
        assert_eq!(made(&mut relay, 18_000), [], "both report");
        let late = made(&mut relay, 60_000);
        assert_eq!(late, [], "neither does any more");
    }

    /// One side has another codec, with another clock: what the one says of its packets is not true of those that the other hears.
    #[test]
    fn reports_end_where_sound_is_made_anew_and_each_side_is_told_of_what_it_hears_3550_7_2() {
        let mut relay = anchored();
        let speech = |codec, payload_type, clock| Speech {
            formats: [Format { codec, payload_type, clock, packet_ms: 20 }].into_iter().collect(),
            digits: Digits::Info,
            noise: None,
        };
        relay.interwork(A, &speech(Codec::Pcma, 8, 8_000), &speech(Codec::L16, 97, 16_000)).unwrap();
        let mut heard_by_b = Vec::new();
        for n in 0..500 {
            speaks(&mut relay, A, 7, n);
            let mut wide = [0; 12 + 640];
            let timestamp = u32::from(n) * 320;
            let header = rtp::Header { marker: false, payload_type: 97, sequence: n, timestamp, ssrc: 9 };
            rtp::write(wide.first_chunk_mut().unwrap(), &header);
            relay.forward(at(20 * u64::from(n)), B, Component::Rtp, from(B, 0), &mut Packet::whole(&mut wide));
            while let Some(one) = relay.poll_made() {
                heard_by_b.extend(rtp::read(one.packet).filter(|_| one.pair == B));
            }
        }
        let last = heard_by_b.last().unwrap();
        for (side, ssrc) in [(A, 7), (B, 9)] {
            let mut report = Vec::new();
            let info = SenderInfo { ntp: 5 << 32, timestamp: 1, packets: 2, octets: 3 };
            rtcp::push_sender(&mut report, ssrc, &info, &[]);
            let verdict =
                relay.forward(at(10_000), side, Component::Rtcp, from(side, 1), &mut Packet::whole(&mut report));
            assert_eq!(verdict, Forward::Made);
        }
        assert_eq!((relay.counters().reports_ended, relay.counters().relayed_rtcp), (2, 0));
        let told = made(&mut relay, 18_000);
        let to_b: Vec<_> = told.iter().filter(|(pair, ..)| *pair == B).collect();
        let [(_, _, to, packet)] = to_b[..] else { panic!("{told:?}") };
        assert!(*to == from(B, 1) && told.len() == 2, "both report, and both are reported to: {told:?}");
        let sender = rtcp::parts(packet).next().unwrap();
        let info = sender.sender_info().unwrap();
        let sent = heard_by_b.len() as u32;
        assert_eq!((sender.ssrc(), info.packets, info.octets), (Some(last.ssrc), sent, sent * 640));
        let passed = 18_000 - 499 * 20;
        assert_eq!(info.timestamp, last.timestamp + passed * 16, "by the clock of what B hears");
        // B has it after 15 ms, takes a second of its own, and has heard all.
        let block = Block {
            ssrc: last.ssrc,
            highest: u32::from(last.sequence),
            last_report: reports::middle(info.ntp),
            since_report: 1 << 16,
            ..Block::default()
        };
        reports(&mut relay, 19_030, B, receiver(9, block));
        let counted = relay.counted(A);
        assert_eq!(counted.second.quality.and_then(|quality| quality.round_trip), Some(Span::from_millis(30)));
        let (_, _, _, packet) = told.iter().find(|(pair, ..)| *pair == A).unwrap();
        assert_eq!(
            rtcp::parts(packet).next().unwrap().blocks().next().unwrap().highest,
            499,
            "A's own stream, as it came"
        );
    }

    /// The stream gets to the peer for ten seconds, and then no more.
    #[test]
    fn a_side_that_says_that_nothing_arrives_is_known_to_be_deaf() {
        let mut relay = anchored();
        let unheard = |relay: &Relay, ms, side| relay.presence(at(ms), side).unwrap().unheard_by_peer;
        for n in 0..1_500 {
            speaks(&mut relay, A, 7, n);
            speaks(&mut relay, B, 9, n);
            if n % 250 == 0 {
                let heard = Block { ssrc: 7, highest: u32::from(n.min(500)), ..Block::default() };
                reports(&mut relay, 20 * u64::from(n), B, receiver(9, heard));
                reports(
                    &mut relay,
                    20 * u64::from(n),
                    A,
                    receiver(7, Block { ssrc: 9, highest: u32::from(n), ..heard }),
                );
            }
            if n == 900 {
                assert_eq!(unheard(&relay, 18_000, B), Some(Span::ZERO), "one report says so");
            }
        }
        assert_eq!((unheard(&relay, 26_000, B), unheard(&relay, 26_000, A)), (Some(Span::from_secs(10)), None));
        let others = Block { ssrc: 8, highest: 4, ..Block::default() };
        reports(&mut relay, 27_000, B, receiver(9, others));
        assert_eq!(unheard(&relay, 27_000, B), Some(Span::from_secs(10)), "of another stream");
        reports(&mut relay, 30_000, B, receiver(9, Block { ssrc: 7, highest: 1_499, ..Block::default() }));
        assert_eq!(unheard(&relay, 30_000, B), None);
    }

    /// A talker that presses keys and says nothing, to one that is told of keys by INFO.
    #[test]
    fn a_side_that_was_sent_nothing_is_not_deaf() {
        let mut relay = anchored();
        let speech = |digits| Speech {
            formats: [Format { codec: Codec::Pcma, payload_type: 8, clock: 8_000, packet_ms: 20 }]
                .into_iter()
                .collect(),
            digits,
            noise: None,
        };
        let events = Digits::Events { payload_type: 101, clock: 8_000 };
        relay.interwork(A, &speech(events), &speech(Digits::Info)).unwrap();
        (0..50).for_each(|n| speaks(&mut relay, A, 7, n));
        for n in 50..800u16 {
            let (begin, ticks) = (n / 10 * 10, (n % 10 + 1) * 160);
            let mut event = [0; 16];
            let timestamp = u32::from(begin) * 160;
            let header = rtp::Header { marker: n == begin, payload_type: 101, sequence: n, timestamp, ssrc: 7 };
            rtp::write(event.first_chunk_mut().unwrap(), &header);
            event[12..14].copy_from_slice(&[1, if n % 10 == 9 { 0x8a } else { 0x0a }]);
            event[14..].copy_from_slice(&ticks.to_be_bytes());
            relay.forward(at(20 * u64::from(n)), A, Component::Rtp, from(A, 0), &mut Packet::whole(&mut event));
            if n % 100 == 0 {
                let heard = Block { ssrc: 7, highest: 49, ..Block::default() };
                reports(&mut relay, 20 * u64::from(n), B, receiver(9, heard));
            }
        }
        assert_eq!(relay.counters().digits_to_info, 75);
        assert_eq!(relay.presence(at(16_000), B).unwrap().unheard_by_peer, None);
    }

    #[test]
    fn what_is_no_valid_compound_or_encrypted_is_not_believed() {
        let mut relay = anchored();
        (0..50).for_each(|n| speaks(&mut relay, A, 7, n));
        let mut cut = receiver(9, Block { ssrc: 7, lost: 5, ..Block::default() });
        cut.extend([0, 0, 0]);
        reports(&mut relay, 1_000, B, cut);
        relay.shape(B, Shape::Srtp);
        reports(&mut relay, 1_000, B, receiver(9, Block { ssrc: 7, lost: 5, ..Block::default() }));
        speaks(&mut relay, B, 9, 1);
        assert_eq!(relay.counted(A).second.quality.unwrap().told_loss_permille, None);
        assert_eq!(made(&mut relay, 9_000), [], "and nobody is told of it in the clear");
    }

    #[test]
    fn a_pair_that_takes_the_place_of_another_is_reported_to() {
        let mut relay = anchored();
        relay.repoint(A, PairId(5)).unwrap();
        (0..500).for_each(|n| speaks(&mut relay, A, 7, n));
        relay.expect(PairId(5), &Peer { rtp: from(B, 0), rtcp: None, mux: false });
        reports(&mut relay, 10_000, PairId(5), receiver(9, Block::default()));
        let told = made(&mut relay, 18_000);
        assert_eq!(told.iter().map(|(pair, ..)| *pair).collect::<Vec<_>>(), [PairId(5)]);
    }
}
