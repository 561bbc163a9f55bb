//! Sound to packets: at the codec's rate, as long as the listener wants them, in the time the sound has.
//!
//! A pause in the sound is a pause of the packets: the timestamp jumps by as much and the marker is set (RFC 3551 §4.1).
//! Refuses to know: SSRC, sequence numbers, where packets go.

use super::encoder::{Encoder, LONGEST};
use super::noise::level_of;
use super::resample::{MOST, Resampler};
use super::vocoder::{NoCodec, Vocoders};
use super::{Origin, Rate, Sound};
use crate::speech::Format;
use alloc::boxed::Box;

/// Below this level, in −dBov, it is quiet whatever was before; above the other it is not.
const QUIET: u8 = 60;
const LOUD: u8 = 35;
/// In between it is quiet when it is no more than this above the lowest of late.
const MARGIN: u8 = 6;
/// How fast the lowest of late is forgotten: a decibel in so many packets.
const FORGET: u8 = 25;
/// Quiet lasts this long, in milliseconds, until it is called so: the ends of words are soft.
const HANGOVER_MS: usize = 200;
/// A comfort noise packet is sent again after so many milliseconds, or when the level has moved by so many decibels.
const NOISE_EVERY_MS: usize = 200;
const NOISE_MOVED: u8 = 3;

/// A packet of the listener's format, but for its SSRC and sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// Sound begins here after a pause, or for the first time.
    pub marker: bool,
    /// The format's, or that of comfort noise.
    pub payload_type: u8,
    /// In ticks of the format's clock since sample 0 of the sound.
    pub timestamp: u32,
    /// Sound in it, in ticks of the format's clock.
    pub ticks: u32,
    /// What it carries.
    pub payload: &'a [u8],
}

/// Sound to packets of one format.
pub struct Packetizer {
    encoder: Encoder,
    resampler: Option<Resampler>,
    format: Format,
    /// Of the sound that comes in, and of the codec.
    rate: Rate,
    made_at: Rate,
    /// What waits for its packet to be full, at the rate of the sound; `full` samples make a packet.
    gathered: Box<[i16; MOST]>,
    count: usize,
    full: usize,
    /// Sample with which what is gathered begins.
    begins: u64,
    /// The next packet is the first after a pause.
    marker: bool,
    resampled: Box<[i16; MOST]>,
    payload: Box<[u8; LONGEST]>,
    silence: Option<Silence>,
}

/// Comfort noise in place of quiet packets.
#[derive(Debug)]
struct Silence {
    payload_type: u8,
    /// The lowest level of late, in −dBov, and packets since it was forgotten a little.
    lowest: u8,
    age: u8,
    /// Milliseconds that it has been quiet.
    quiet_ms: usize,
    /// What was sent last, and how long ago; none while sound is sent.
    sent: Option<(u8, usize)>,
}

impl core::fmt::Debug for Packetizer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { rate, made_at, format, count, full, begins, silence, .. } = self;
        let mut all = f.debug_struct("Packetizer");
        all.field("format", format).field("rate", rate).field("made_at", made_at).field("count", count);
        all.field("full", full).field("begins", begins).field("silence", silence).finish_non_exhaustive()
    }
}

impl Packetizer {
    /// For this format, of sound at this rate. Packets are as long as the format says, or the next less that the codec can.
    pub fn new(format: &Format, rate: Rate, vocoders: &dyn Vocoders) -> Result<Self, NoCodec> {
        let (encoder, made_at) = Encoder::new(format, rate, vocoders)?;
        let full = encoder.packet_ms(format.packet_ms, made_at) * rate.per_ms();
        Ok(Self {
            encoder,
            resampler: Resampler::new(rate, made_at),
            format: *format,
            rate,
            made_at,
            gathered: Box::new([0; MOST]),
            count: 0,
            full,
            begins: 0,
            marker: true,
            resampled: Box::new([0; MOST]),
            payload: Box::new([0; LONGEST]),
            silence: None,
        })
    }

    /// The same, that sends comfort noise of this payload type while it is quiet, and nothing between (RFC 3389). Its clock is that
    /// of the format.
    #[must_use]
    pub fn with_noise(mut self, payload_type: Option<u8>) -> Self {
        self.silence = payload_type.map(Silence::new);
        self
    }

    /// The rate of the sound it takes.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// The format it was made for.
    pub const fn format(&self) -> &Format {
        &self.format
    }

    /// Milliseconds of sound in each packet.
    pub const fn packet_ms(&self) -> usize {
        self.full / self.rate.per_ms()
    }

    /// The timestamp that sound at this sample has.
    pub const fn timestamp(&self, at: u64) -> u32 {
        (at as u128 * self.format.clock as u128 / self.rate.hz() as u128) as u32
    }

    /// Takes sound; `packet` is called for each packet that is full. What overlaps sound that came before is put behind it.
    pub fn put(&mut self, sound: &Sound<'_>, packet: &mut dyn FnMut(Encoded<'_>)) {
        self.pause(sound.at, packet);
        let mut left = &*sound.samples;
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(self.full - self.count));
            self.gathered[self.count..self.count + now.len()].copy_from_slice(now);
            self.count += now.len();
            left = later;
            self.send_full(sound.origin, packet);
        }
    }

    /// Time goes on to this sample without sound: what is gathered is filled up with silence and sent, the rest is a pause.
    pub fn pause(&mut self, until: u64, packet: &mut dyn FnMut(Encoded<'_>)) {
        let next = self.begins + self.count as u64;
        if until <= next {
            return;
        }
        if self.count > 0 {
            let filled = usize::try_from(until - next).unwrap_or(self.full).min(self.full - self.count);
            self.gathered[self.count..self.count + filled].fill(0);
            self.count += filled;
            self.send_full(Origin::Spoken, packet);
        }
        if self.count == 0 && until > self.begins {
            self.begins = until;
            self.marker = true;
        }
    }

    fn send_full(&mut self, origin: Origin, packet: &mut dyn FnMut(Encoded<'_>)) {
        if self.count < self.full {
            return;
        }
        let (timestamp, ms) = (self.timestamp(self.begins), self.packet_ms());
        (self.begins, self.count) = (self.begins + self.full as u64, 0);
        let samples = &self.gathered[..self.full];
        // Rates are multiples of each other and clocks of eight ticks a millisecond: nothing is rounded.
        let ticks = self.format.clock / 1_000 * ms as u32;
        if let Some(silence) = &mut self.silence {
            let (is_quiet, level) = silence.hear(samples, origin, ms);
            if is_quiet {
                self.marker = true;
                if silence.is_due(level, ms) {
                    let payload_type = silence.payload_type;
                    packet(Encoded { marker: false, payload_type, timestamp, ticks, payload: &[level] });
                }
                // The filters see the sound all the same, so that it begins again without a click.
                self.encode();
                return;
            }
        }
        if let Some(length) = self.encode() {
            let (marker, payload_type) = (self.marker, self.format.payload_type);
            packet(Encoded { marker, payload_type, timestamp, ticks, payload: &self.payload[..length] });
            self.marker = false;
        } else {
            self.marker = true;
        }
    }

    fn encode(&mut self) -> Option<usize> {
        let samples = &self.gathered[..self.full];
        let samples = match &mut self.resampler {
            None => samples,
            Some(resampler) => {
                let made = resampler.run(samples, &mut self.resampled[..]);
                &self.resampled[..made]
            }
        };
        self.encoder.encode(samples, &mut self.payload)
    }
}

impl Silence {
    const fn new(payload_type: u8) -> Self {
        Self { payload_type, lowest: QUIET, age: 0, quiet_ms: 0, sent: None }
    }

    /// Whether a packet's sound need not be sent, and its level.
    fn hear(&mut self, samples: &[i16], origin: Origin, ms: usize) -> (bool, u8) {
        let level = level_of(samples);
        self.age += 1;
        if self.age >= FORGET {
            (self.age, self.lowest) = (0, self.lowest.saturating_sub(1));
        }
        self.lowest = self.lowest.max(level.min(QUIET + MARGIN));
        let quiet = level >= QUIET || (level > LOUD && level + MARGIN >= self.lowest);
        self.quiet_ms = if quiet || origin == Origin::Noise { self.quiet_ms + ms } else { 0 };
        let is_quiet = origin == Origin::Noise || self.quiet_ms > HANGOVER_MS;
        if !is_quiet {
            self.sent = None;
        }
        (is_quiet, level)
    }

    /// Whether the level must be told now.
    fn is_due(&mut self, level: u8, ms: usize) -> bool {
        let due = self.sent.is_none_or(|(told, ago)| ago + ms >= NOISE_EVERY_MS || told.abs_diff(level) >= NOISE_MOVED);
        self.sent = match self.sent {
            Some((told, ago)) if !due => Some((told, ago + ms)),
            _ => Some((level, 0)),
        };
        due
    }
}
