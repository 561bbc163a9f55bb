//! The way of sound from one format to another: decoded, freed of tones that are told otherwise, given tones that are dialled, encoded.
//!
//! Refuses to know: sequence numbers, how digits are told.

use super::dialler::Dialler;
use crate::codec::{Depacketizer, Encoded, NoCodec, Origin, Packetizer, Rate, Sound, Vocoders};
use crate::dtmf::Told;
use crate::dtmf::inband::Detector;
use crate::rtp;
use crate::speech::Format;
use alloc::boxed::Box;
use model::{Instant, Span};

/// Sound is made by time, at most, in pieces of so many samples: 10 ms at 16 kHz.
const PIECE: usize = 160;
/// Silence that was left out is told the detector as far as this, in samples: that ends any digit.
const LEFT_OUT_MAX: u64 = 1_600;
/// Nothing has come for so long: a digit that was heard last is over. Longer than packets wander.
const HUSH: Span = Span::from_millis(100);
/// So long after the last packet sound is made by time when there is something to be heard.
const PATIENCE: Span = Span::from_millis(50);
/// Sound that is made by time is so much behind it, so that packets that are only late still meet it.
const BEHIND: Span = Span::from_millis(30);
/// Tones that begin where nothing was begin so much before what is due.
const HEAD: Span = Span::from_millis(20);
/// It does not make up for more than this.
const BEHIND_MAX: Span = Span::from_millis(200);

/// One format to another.
pub(super) struct Path {
    depacketizer: Depacketizer,
    packetizer: Packetizer,
    /// Finds tones, when they are to be told otherwise.
    detector: Option<Detector>,
    rate: Rate,
    /// The sample after the last that was given on.
    next: u64,
    /// By so much what is given on is ahead of the talker's own clock.
    ahead: u64,
    /// The sample that the last packet ended with, and when it came.
    heard: Option<(u64, Instant)>,
    /// What the timestamps of its packets are counted from; none until the first.
    pub(super) base: Option<u32>,
}

impl core::fmt::Debug for Path {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Path").field("from", self.depacketizer.format()).field("to", self.packetizer.format()).finish()
    }
}

impl Path {
    pub(super) fn new(
        from: &Format,
        noise: Option<u8>,
        to: &Format,
        detects: bool,
        vocoders: &dyn Vocoders,
    ) -> Result<Box<Self>, NoCodec> {
        // Opus gives what the listener can use of it.
        let wanted = Rate::of(to.codec, to.clock).unwrap_or(Rate::Wide);
        let depacketizer = Depacketizer::new(from, wanted, vocoders)?.with_noise(noise);
        let rate = depacketizer.rate();
        let packetizer = Packetizer::new(to, rate, vocoders)?;
        let detector = detects.then(|| Detector::new(rate.hz()));
        Ok(Box::new(Self { depacketizer, packetizer, detector, rate, next: 0, ahead: 0, heard: None, base: None }))
    }

    /// The clock of what comes out.
    pub(super) const fn clock(&self) -> u32 {
        self.packetizer.format().clock
    }

    /// Samples in a second.
    pub(super) const fn rate(&self) -> u32 {
        self.rate.hz()
    }

    /// Packets in whose place sound was made up, so far.
    pub(super) const fn concealed(&self) -> u64 {
        self.depacketizer.counts().concealed
    }

    /// A packet of the speaker's, of whatever kind.
    pub(super) fn take(
        &mut self,
        now: Instant,
        header: &rtp::Header,
        payload: &[u8],
        dialler: Option<&mut Dialler>,
        tell: &mut dyn FnMut(Told),
        packet: &mut dyn FnMut(Encoded<'_>),
    ) {
        let behind_max = self.samples(BEHIND_MAX);
        // The first of a talk spurt (RFC 3551 §4.1), of somebody whose clock stood still in the silence before.
        let mut spurt = header.marker && self.heard.is_some_and(|(_, at)| now.since(at) >= HUSH);
        let Self { depacketizer, packetizer, detector, next, ahead, heard, rate, .. } = self;
        let rate = rate.hz();
        let mut dialler = dialler;
        depacketizer.take(now, header, payload, &mut |sound| {
            let Sound { at, samples, origin } = sound;
            // A talker whose clock has stood still while tones were made in his place goes on from where they ended.
            let overlap = next.saturating_sub(at + *ahead);
            if overlap > behind_max {
                *ahead += overlap;
            }
            let at = at + *ahead;
            let end = heard.map_or(at, |(end, _)| end);
            *heard = Some((at + samples.len() as u64, now));
            // What a talker leaves out is silence: it parts two digits of one key.
            if let Some(detector) = detector.as_mut() {
                let silence = if core::mem::take(&mut spurt) { LEFT_OUT_MAX } else { at.saturating_sub(end) };
                let mut left_out = silence.min(LEFT_OUT_MAX) as usize;
                while left_out > 0 {
                    let count = left_out.min(PIECE);
                    detector.take(&[0; PIECE][..count], tell);
                    left_out -= count;
                }
            }
            if let Some(detector) = detector
                && detector.take(samples, tell).tones
            {
                samples.fill(0);
            }
            // What comes late leaves no hole in a tone that is being made.
            if let Some(dialler) = dialler.as_deref_mut().filter(|dialler| dialler.is_under_way())
                && at.saturating_sub(*next) <= behind_max
            {
                go_on(at, next, (dialler, rate), packetizer, packet);
            }
            // In its place something was made already.
            let skip = next.saturating_sub(at).min(samples.len() as u64);
            give(
                &mut samples[skip as usize..],
                at + skip,
                origin,
                next,
                dialler.as_deref_mut().map(|dialler| (dialler, rate)),
                packetizer,
                packet,
            );
        });
    }

    /// A digit that was being heard is over.
    pub(super) fn finish(&mut self, tell: &mut dyn FnMut(Told)) {
        if let Some(detector) = &mut self.detector {
            detector.finish(tell);
        }
    }

    /// How long a digit that is being heard was heard so far.
    pub(super) fn so_far(&self) -> Option<Span> {
        self.detector.as_ref().and_then(Detector::so_far)
    }

    /// When a digit that is being heard is over, if no packet comes before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.so_far()?;
        self.heard.map(|(_, at)| at + HUSH)
    }

    /// Whoever sends nothing between two keys, and nothing after the last, has let go all the same.
    pub(super) fn tick(&mut self, now: Instant, tell: &mut dyn FnMut(Told)) {
        if self.deadline().is_some_and(|at| at <= now)
            && let Some(detector) = &mut self.detector
        {
            detector.hush(tell);
        }
    }

    /// Makes the sound that packets should have brought by now, so that what is dialled is heard though nobody speaks.
    pub(super) fn fill(&mut self, now: Instant, dialler: &mut Dialler, packet: &mut dyn FnMut(Encoded<'_>)) {
        let (end, at) = *self.heard.get_or_insert((self.next, now));
        let silent = now.since(at);
        if silent >= PATIENCE {
            let due = end + self.samples(silent - BEHIND);
            // A tone that goes on has no hole; one that begins after silence does not make up for it.
            let (most, behind) = if dialler.is_under_way() { (BEHIND_MAX, BEHIND) } else { (HEAD, HEAD) };
            if due.saturating_sub(self.next) > self.samples(most) {
                self.next = due - self.samples(behind);
            }
            go_on(due, &mut self.next, (&mut *dialler, self.rate.hz()), &mut self.packetizer, packet);
        }
        if !dialler.is_playing() {
            // The rest of the last tone is not to wait for a packet to come.
            self.packetizer.pause(self.next + 1, packet);
        }
    }

    fn samples(&self, span: Span) -> u64 {
        span.as_micros().saturating_mul(u64::from(self.rate.hz())) / 1_000_000
    }
}

/// What is dialled is made from where the sound has come to until then, or until there is no more of it.
fn go_on(
    until: u64,
    next: &mut u64,
    (dialler, rate): (&mut Dialler, u32),
    packetizer: &mut Packetizer,
    packet: &mut dyn FnMut(Encoded<'_>),
) {
    while *next < until && dialler.is_playing() {
        let mut piece = [0; PIECE];
        let (at, count) = (*next, PIECE.min((until - *next) as usize));
        give(&mut piece[..count], at, Origin::Spoken, next, Some((&mut *dialler, rate)), packetizer, packet);
    }
}

fn give(
    samples: &mut [i16],
    at: u64,
    origin: Origin,
    next: &mut u64,
    dialler: Option<(&mut Dialler, u32)>,
    packetizer: &mut Packetizer,
    packet: &mut dyn FnMut(Encoded<'_>),
) {
    if samples.is_empty() {
        return;
    }
    let count = samples.len() as u64;
    if let Some((dialler, rate)) = dialler {
        dialler.overlay(rate, samples);
    }
    packetizer.put(&Sound { at, samples, origin }, packet);
    *next = at + count;
}
