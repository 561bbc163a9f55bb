//! What is heard of one side of an anchored stream: measured on every packet, told when whoever watches over the call asks.
//!
//! A packet costs a few additions; its sound is listened to once in thirty-two, and the last seconds are cut off once in one. Refuses to
//! know: what to do about it.

use crate::player::Law;
use crate::quality::Quality;
use crate::quality::emodel::Measured;
use crate::quality::loudness::Loudness;
use crate::quality::reception::{Arrival, Prior, Reception};
use crate::rtp;
use crate::speech::{Codec, Speech};
use model::{Instant, Mos, Span};
use smallvec::SmallVec;

/// One packet of so many is listened to: more than once a second, and what it costs is a small part of what a packet does.
const LOOK_EVERY: u8 = 32;
/// How often the last seconds are cut off.
const TURN: Span = Span::from_secs(1);
/// Moments that are kept: the oldest is five seconds old when the newest is cut off.
const MOMENTS: usize = 6;
/// Packets within those seconds that a share can be made of: half a second of them.
const TELLING: u64 = 25;
/// Older packets tell nothing of the last seconds.
const RECENT: Span = Span::from_secs(5);
/// Comfort noise at 8 kHz (RFC 3551 §6).
const NOISE: u8 = 13;
/// No packet has it.
const NO_PAYLOAD_TYPE: u8 = 0xff;

/// What the relay has heard of one side, up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Heard {
    /// RTP packets of this side since the anchor was made. Zero: nothing ever.
    pub packets: u64,
    /// Time since the last of them; none before the first.
    pub last: Option<Span>,
    /// Silence of this side is meant: it is on hold.
    pub held: bool,
    /// What it sends is no RTP (T.38) or none that can be measured: its silence means nothing.
    pub opaque: bool,
    /// It sends nothing while nobody talks: pauses of its packets are no loss (comfort noise, Opus and G.729 with DTX).
    pub pauses: bool,
    /// For so long it has sent nothing but comfort noise (RFC 3389).
    pub noise_only_for: Option<Span>,
    /// For so long what it sends has been digital silence, or below -60 dBov. None as well when its codec cannot be listened to.
    pub quiet_for: Option<Span>,
    /// Packets lost within the last five seconds, per thousand; none when too little came to tell.
    pub loss_permille: Option<u16>,
}

impl Heard {
    /// Whether this side is silent although it should not be: nothing of it came for so long. Before its first packet the answer to
    /// the call counts: `since_answer`.
    pub fn is_silent(&self, limit: Span, since_answer: Span) -> bool {
        !self.held && !self.opaque && self.last.unwrap_or(since_answer).min(since_answer) >= limit
    }
}

/// What a side was told to send by, or what its payload type says without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spoken {
    payload_type: u8,
    codec: Option<Codec>,
    clock: u32,
}

/// The account of one side.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    reception: Option<Reception>,
    packets: u64,
    bytes: u64,
    first: Instant,
    last: Instant,
    /// Of the last packet.
    payload_type: u8,
    /// How its sound is listened to, when it can be.
    law: Option<Law>,
    until_look: u8,
    loudness: Loudness,
    quiet_since: Option<Instant>,
    noise_since: Option<Instant>,
    /// Of the last packet that was sound.
    sound: Option<Spoken>,
    turn_at: Instant,
    turns: usize,
    moments: [Prior; MOMENTS],
    /// By payload type, as the descriptions say.
    spoken: SmallVec<[Spoken; 4]>,
    noise_type: u8,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            reception: None,
            packets: 0,
            bytes: 0,
            first: Instant::ZERO,
            last: Instant::ZERO,
            payload_type: NO_PAYLOAD_TYPE,
            law: None,
            until_look: 0,
            loudness: Loudness::default(),
            quiet_since: None,
            noise_since: None,
            sound: None,
            turn_at: Instant::ZERO,
            turns: 0,
            moments: [Prior::default(); MOMENTS],
            spoken: SmallVec::new(),
            noise_type: NOISE,
        }
    }
}

impl Watch {
    /// What this side speaks, by its description.
    pub(crate) fn speaks(&mut self, speech: &Speech) {
        let spoken = |format: &crate::speech::Format| Spoken {
            payload_type: format.payload_type,
            codec: Some(format.codec),
            clock: format.clock,
        };
        self.spoken = speech.formats.iter().map(spoken).collect();
        self.noise_type = speech.noise.unwrap_or(NOISE);
        // The next packet is looked up anew.
        self.payload_type = NO_PAYLOAD_TYPE;
    }

    /// One packet of this side; `clear` when its payload can be read.
    #[inline(always)]
    pub(crate) fn hear(&mut self, now: Instant, header: &rtp::Header, packet: &[u8], clear: bool) {
        if header.payload_type != self.payload_type {
            self.changes_payload(now, header);
        }
        self.packets += 1;
        self.bytes += packet.len() as u64;
        self.last = now;
        let Some(reception) = &mut self.reception else { return };
        let arrival = reception.arrive(now, header.ssrc, header.sequence, header.timestamp);
        self.until_look = self.until_look.wrapping_sub(1);
        if self.until_look >= LOOK_EVERY {
            self.until_look = LOOK_EVERY - 1;
            if clear && arrival != Arrival::Stray {
                self.look(now, packet);
            }
        }
        if now >= self.turn_at {
            self.turn(now);
        }
    }

    /// Another payload type than that of the packet before, or the first packet of all.
    #[cold]
    fn changes_payload(&mut self, now: Instant, header: &rtp::Header) {
        if self.reception.is_none() {
            (self.first, self.turn_at) = (now, now);
            self.reception = Some(Reception::new(header.ssrc, header.sequence));
        }
        let payload_type = header.payload_type;
        self.payload_type = payload_type;
        self.law = None;
        if payload_type == self.noise_type {
            self.noise_since.get_or_insert(now);
            return;
        }
        self.noise_since = None;
        let spoken = self.spoken_by(payload_type);
        let known = self.sound.is_some_and(|sound| sound.codec.is_some());
        // What is no codec that anybody told of is a digit or the like, in between: its clock is that of the sound.
        if spoken.codec.is_none() && known {
            return;
        }
        self.sound = Some(spoken);
        self.law = match spoken.codec {
            Some(Codec::Pcma) => Some(Law::A),
            Some(Codec::Pcmu) => Some(Law::Mu),
            _ => None,
        };
        if self.law.is_none() {
            self.quiet_since = None;
        }
        if let Some(reception) = &mut self.reception {
            reception.set_clock(spoken.clock);
        }
    }

    fn spoken_by(&self, payload_type: u8) -> Spoken {
        if let Some(told) = self.spoken.iter().find(|told| told.payload_type == payload_type) {
            return *told;
        }
        let codec = Codec::ALL.into_iter().find(|codec| codec.fixed_payload_type() == Some(payload_type));
        // GSM, G.723 and the others of 8 kHz with a number of their own (RFC 3551 §6).
        let eight = matches!(payload_type, 0 | 3..=5 | 7..=9 | 12 | 15 | 18);
        Spoken { payload_type, codec, clock: if eight { 8_000 } else { 0 } }
    }

    #[cold]
    fn look(&mut self, now: Instant, packet: &[u8]) {
        let (Some(law), Some(payload)) = (self.law, rtp::payload(packet)) else { return };
        if self.loudness.look(law, payload) {
            self.quiet_since.get_or_insert(now);
        } else {
            self.quiet_since = None;
        }
    }

    #[cold]
    fn turn(&mut self, now: Instant) {
        if let Some(reception) = &self.reception {
            self.moments[self.turns % MOMENTS] = reception.moment();
            self.turns += 1;
        }
        self.turn_at = now + TURN;
    }

    /// What it comes to now. Whether this side is held or no RTP, its side knows.
    pub(crate) fn heard(&self, now: Instant, held: bool, opaque: bool) -> Heard {
        let mut heard = Heard { packets: self.packets, held, opaque, ..Heard::default() };
        let Some(reception) = &self.reception else { return heard };
        heard.last = Some(now.since(self.last));
        heard.pauses = self.noise_since.is_some() || reception.pauses() > 0;
        heard.noise_only_for = self.noise_since.map(|since| now.since(since));
        heard.quiet_for = self.quiet_since.map(|since| now.since(since));
        heard.loss_permille = self.lost_lately(now, reception);
        heard
    }

    fn lost_lately(&self, now: Instant, reception: &Reception) -> Option<u16> {
        let oldest = if self.turns < MOMENTS { Prior::default() } else { self.moments[self.turns % MOMENTS] };
        let tells = now.since(self.last) < RECENT && reception.expected_since(&oldest) >= TELLING;
        tells.then(|| reception.loss_permille(&oldest)).flatten()
    }

    /// How it sounds, estimated by the last five seconds; none when too little came, or nothing is known of the codec. Working it out takes
    /// long enough to be asked only about who is held to a score: a thousand calls are looked at within a moment.
    pub(crate) fn mos(&self, now: Instant) -> Option<Mos> {
        let reception = self.reception.as_ref()?;
        let loss = f64::from(self.lost_lately(now, reception)?) / 1_000.0;
        self.measured(reception, loss, Span::ZERO).map(|measured| measured.mos())
    }

    /// For the E-model: what is known of this direction. Delay is that of the way, and of the buffer which such jitter asks for.
    fn measured(&self, reception: &Reception, loss: f64, way: Span) -> Option<Measured> {
        let codec = self.sound?.codec?;
        let buffer = reception.jitter_mean().map_or(0, |jitter| jitter.as_micros()) * 2;
        let delay_ms = (buffer + way.as_micros()) as f64 / 1_000.0;
        Some(Measured { codec, loss, burst_ratio: reception.bursts().ratio(), delay_ms })
    }

    /// What is received of its stream, once something was.
    pub(crate) const fn reception(&self) -> Option<&Reception> {
        self.reception.as_ref()
    }

    /// Ticks in a second of its sound, when they are known.
    pub(crate) fn clock(&self) -> Option<u32> {
        self.sound.map(|sound| sound.clock).filter(|clock| *clock > 0)
    }

    /// Bytes of its packets.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All of it, for the record of the call. `way` is how long its voice is under way, as far as that is known.
    pub(crate) fn quality(&self, way: Span) -> Option<Quality> {
        let reception = self.reception.as_ref()?;
        let bursts = reception.bursts();
        let loss = if bursts.packets() == 0 { 0.0 } else { bursts.losses() as f64 / bursts.packets() as f64 };
        let measured = self.measured(reception, loss, way);
        Some(Quality {
            packets: self.packets,
            bytes: self.bytes,
            expected: reception.expected(),
            lost: reception.lost(),
            missing: reception.missing(),
            duplicates: reception.duplicates(),
            reordered: reception.reordered(),
            late: reception.late(),
            strays: reception.strays(),
            jitter: reception.jitter(),
            jitter_max: reception.jitter_max(),
            jitter_mean: reception.jitter_mean(),
            burstiness: bursts.sum(),
            rating: measured.map(|measured| libm::round(measured.rating()).clamp(0.0, 100.0) as u8),
            mos: measured.map(|measured| measured.mos()),
            level: self.loudness.level(),
            quiet_permille: self.loudness.quiet_permille(),
            clipped_permille: self.loudness.clipped_permille(),
            noise_only: self.sound.is_none() && self.noise_since.is_some(),
            first: Some(self.first),
            last: Some(self.last),
            source_changes: reception.source_changes(),
            restarts: reception.restarts(),
            timestamp_jumps: reception.timestamp_jumps(),
            pauses: reception.pauses(),
            skew_ppm: reception.skew_ppm(),
            payload_type: self.sound.map(|sound| sound.payload_type),
            codec: self.sound.and_then(|sound| sound.codec),
            round_trip: None,
            told_loss_permille: None,
            told: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::{Digits, Format};
    use std::vec;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    /// One packet of 20 ms at 8 kHz, filled with one code.
    fn hear(watch: &mut Watch, n: u32, payload_type: u8, code: u8) {
        let header =
            rtp::Header { marker: false, payload_type, sequence: n as u16, timestamp: n.wrapping_mul(160), ssrc: 7 };
        let mut packet = vec![code; 172];
        rtp::write(packet.first_chunk_mut().unwrap(), &header);
        watch.hear(at(1_000 + 20 * u64::from(n)), &header, &packet, true);
    }

    #[test]
    fn a_side_is_silent_by_its_last_packet_or_by_the_answer_and_never_on_hold() {
        let (limit, long) = (Span::from_secs(3), Span::from_secs(60));
        let heard = |last| Heard { packets: 9, last: Some(last), ..Heard::default() };
        assert!(heard(Span::from_secs(3)).is_silent(limit, long));
        assert!(!heard(Span::from_millis(2_999)).is_silent(limit, long));
        assert!(Heard::default().is_silent(limit, limit), "nothing ever");
        assert!(
            !heard(Span::from_secs(30)).is_silent(limit, Span::from_secs(1)),
            "early media may end before the answer"
        );
        assert!(!Heard { held: true, ..heard(long) }.is_silent(limit, long));
        assert!(!Heard { opaque: true, ..heard(long) }.is_silent(limit, long));
    }

    #[test]
    fn nothing_ever_is_told_from_silence() {
        let mut watch = Watch::default();
        assert_eq!((watch.heard(at(9_000), false, false), watch.quality(Span::ZERO)), (Heard::default(), None));
        (0..100).for_each(|n| hear(&mut watch, n, 8, 0x2b));
        let heard = watch.heard(at(6_000), false, false);
        assert_eq!((heard.packets, heard.last), (100, Some(Span::from_millis(3_020))));
        assert_eq!((heard.quiet_for, heard.noise_only_for, heard.pauses), (None, None, false));
        let quality = watch.quality(Span::ZERO).unwrap();
        assert_eq!((quality.codec, quality.bytes, quality.first), (Some(Codec::Pcma), 17_200, Some(at(1_000))));
        assert!(quality.rating == Some(93) && quality.mos >= Some(Mos::from_hundredths(440)), "{quality:?}");
        assert!(quality.level > Some(-20), "{quality:?}");
    }

    #[test]
    fn the_last_seconds_forget_what_was_before() {
        let mut watch = Watch::default();
        let mut tell = |from: u32, to: u32, every: u32| {
            (from..to).filter(|n| every == 0 || n % every != 1).for_each(|n| hear(&mut watch, n, 8, 0x2b));
            let now = at(1_000 + 20 * u64::from(to));
            (watch.heard(now, false, false).loss_permille, watch.mos(now))
        };
        let clean = tell(0, 1_000, 0);
        assert_eq!(clean.0, Some(0));
        let lossy = tell(1_000, 1_400, 5);
        assert!((150..=210).contains(&lossy.0.unwrap()), "{lossy:?}");
        assert!(lossy.1 < clean.1 && lossy.1.is_some());
        assert_eq!(tell(1_400, 1_800, 0).0, Some(0));
        let quality = watch.quality(Span::ZERO).unwrap();
        assert_eq!(quality.missing, 80);
        assert_eq!(watch.heard(at(60_000), false, false).loss_permille, None, "nothing came of late");
    }

    #[test]
    fn digital_silence_and_comfort_noise_are_no_speech() {
        let mut watch = Watch::default();
        (0..50).for_each(|n| hear(&mut watch, n, 0, 0xff));
        assert_eq!(watch.heard(at(2_000), false, false).quiet_for, Some(Span::from_secs(1)));
        (50..100).for_each(|n| hear(&mut watch, n, 0, 0x05));
        assert_eq!(watch.heard(at(3_000), false, false).quiet_for, None);
        (100..150).for_each(|n| hear(&mut watch, n, 13, 0x40));
        let heard = watch.heard(at(4_000), false, false);
        assert_eq!((heard.noise_only_for, heard.pauses), (Some(Span::from_secs(1)), true));
        assert_eq!(
            (heard.quiet_for, watch.quality(Span::ZERO).unwrap().noise_only),
            (None, false),
            "it had spoken before"
        );
        hear(&mut watch, 150, 0, 0x05);
        assert_eq!(watch.heard(at(4_000), false, false).noise_only_for, None);
        let mut noise = Watch::default();
        (0..50).for_each(|n| hear(&mut noise, n, 13, 0x40));
        assert!(noise.quality(Span::ZERO).unwrap().noise_only);
    }

    #[test]
    fn a_payload_type_means_what_its_side_has_said_and_digits_in_between_change_nothing() {
        let mut watch = Watch::default();
        let format = Format { codec: Codec::Opus, payload_type: 111, clock: 48_000, packet_ms: 20 };
        let digits = Digits::Events { payload_type: 101, clock: 48_000 };
        watch.speaks(&Speech { formats: [format].into_iter().collect(), digits, noise: Some(105) });
        for n in 0..60u32 {
            let payload_type = if (20..25).contains(&n) { 101 } else { 111 };
            let header = rtp::Header { marker: false, payload_type, sequence: n as u16, timestamp: n * 960, ssrc: 7 };
            watch.hear(at(20 * u64::from(n)), &header, &[0x80; 60], true);
        }
        let quality = watch.quality(Span::ZERO).unwrap();
        assert_eq!(
            (quality.codec, quality.payload_type, quality.jitter),
            (Some(Codec::Opus), Some(111), Some(Span::ZERO))
        );
        assert_eq!((quality.level, quality.mos.is_some()), (None, true), "it is not decoded");
        let mut unknown = Watch::default();
        (0..60).for_each(|n| hear(&mut unknown, n, 111, 0));
        let quality = unknown.quality(Span::ZERO).unwrap();
        assert_eq!((quality.codec, quality.jitter, quality.mos, quality.missing), (None, None, None, 0));
    }

    #[test]
    fn what_is_encrypted_is_counted_and_not_listened_to() {
        let mut watch = Watch::default();
        let header = rtp::Header { marker: false, payload_type: 8, sequence: 1, timestamp: 1, ssrc: 7 };
        watch.hear(at(0), &header, &[0xd5; 172], false);
        assert_eq!(
            (watch.quality(Span::ZERO).unwrap().level, watch.heard(at(0), false, false).quiet_for),
            (None, None)
        );
    }
}
