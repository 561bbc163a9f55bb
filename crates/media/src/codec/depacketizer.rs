//! Packets to sound, in order: what was lost is made up, what comes late is left out, pauses stay pauses.
//!
//! Nothing waits here: a packet that has been overtaken is lost. Time is that of the packets' timestamps; the clock is only asked
//! where those make no sense. Refuses to know: sockets, SSRC and numbers towards the listener.

use super::conceal::Concealer;
use super::decoder::Decoder;
use super::noise::Noise;
use super::resample::MOST;
use super::vocoder::{NoCodec, Vocoders};
use super::{Origin, Rate, Sound};
use crate::rtp;
use crate::speech::Format;
use alloc::boxed::Box;
use alloc::vec;
use model::{Instant, Span};

/// Packets in a row that are made up when they are lost; more are a pause.
const CONCEALED_MAX: u16 = 5;
/// As many comfort noise packets' worth of noise is made for a pause that ends within it.
const NOISE_MAX: u64 = 5;
/// How far a packet may be behind the newest to be late, not of a new count (RFC 3550 §A.1 MAX_MISORDER).
const MISORDER: i16 = -100;
/// How far ahead it may be likewise (MAX_DROPOUT).
const DROPOUT: i16 = 3_000;
/// How far timestamps may be from the clock, or behind themselves, until they are not believed.
const ASTRAY: Span = Span::from_secs(2);
/// How far sound may be ahead of the packets' own time: whoever sends more than its timestamps say is not waited for.
const AHEAD_MS: u64 = 200;

/// What became of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets with sound in them that was given on.
    pub spoken: u64,
    /// Comfort noise packets (RFC 3389).
    pub noise: u64,
    /// Packets of other payload types: only their numbers count.
    pub other: u64,
    /// Packets that were overtaken, and made up by then.
    pub late: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that make no whole frame.
    pub malformed: u64,
    /// Packets that never came, or late.
    pub lost: u64,
    /// Those of the lost in whose place sound was made up.
    pub concealed: u64,
    /// Beginnings anew: another source, another count, or more packets lost than can be made up.
    pub restarts: u64,
}

/// The source, its numbers and its time.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    /// Next sequence number.
    next: u16,
    /// The last 64 numbers before it: those that came.
    came: u64,
    /// Number that would prove a new count.
    odd: Option<u16>,
    /// The timestamp after the last packet's sound, and which sample that is.
    end: u32,
    end_at: u64,
    /// Samples in the last packet.
    span: usize,
    /// When it came.
    heard: Instant,
    /// The last packet was comfort noise.
    quiet: bool,
}

/// What is between a packet and the one before it.
enum Place {
    /// Packets lost; none when it follows.
    Follows(u16),
    /// Another count begins with it.
    Anew,
}

/// Packets of one side in one format to sound.
pub struct Depacketizer {
    decoder: Decoder,
    concealer: Concealer,
    noise: Noise,
    rate: Rate,
    format: Format,
    noise_type: Option<u8>,
    buffer: Box<[i16; MOST]>,
    stream: Option<Stream>,
    /// The sample that comes next.
    at: u64,
    counts: Counts,
}

impl core::fmt::Debug for Depacketizer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { rate, format, stream, at, counts, .. } = self;
        let mut all = f.debug_struct("Depacketizer");
        all.field("format", format).field("rate", rate).field("stream", stream).field("at", at).field("counts", counts);
        all.finish_non_exhaustive()
    }
}

impl Depacketizer {
    /// For packets of this format. `wanted` is the rate that Opus is decoded at; every other codec has its own.
    pub fn new(format: &Format, wanted: Rate, vocoders: &dyn Vocoders) -> Result<Self, NoCodec> {
        let (decoder, rate) = Decoder::new(format, wanted, vocoders)?;
        Ok(Self {
            decoder,
            concealer: Concealer::new(rate),
            noise: Noise::new(),
            rate,
            format: *format,
            noise_type: None,
            buffer: boxed(),
            stream: None,
            at: 0,
            counts: Counts::default(),
        })
    }

    /// The same, told that packets of this payload type are comfort noise (RFC 3389), at the clock of the format.
    #[must_use]
    pub const fn with_noise(mut self, payload_type: Option<u8>) -> Self {
        self.noise_type = payload_type;
        self
    }

    /// The rate of what comes out.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// The format it was made for.
    pub const fn format(&self) -> &Format {
        &self.format
    }

    /// What became of the packets so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// One packet of the stream, in the order they came; packets of other payload types too, for their numbers: a telephone-event
    /// is no loss. `sound` is called for each piece of sound that comes of it, made up ones first.
    pub fn take(&mut self, now: Instant, header: &rtp::Header, payload: &[u8], sound: &mut dyn FnMut(Sound<'_>)) {
        let is_sound = header.payload_type == self.format.payload_type;
        let is_noise = !is_sound && self.noise_type == Some(header.payload_type);
        let samples = if is_sound { self.decoder.samples(payload) } else { Some(0) };
        let Some(samples) = samples.filter(|_| !is_noise || !payload.is_empty()) else {
            self.counts.malformed += 1;
            return;
        };
        let Some(place) = self.place(header) else { return };
        if !is_sound && !is_noise {
            self.counts.other += 1;
            if let Place::Follows(lost) = place {
                self.counts.lost += u64::from(lost);
            }
            return self.number(now, header, &place);
        }
        let start = self.start(now, header, &place);
        self.bridge(start, &place, is_sound.then_some((payload, samples)), sound);
        let (end_at, span) = if is_sound {
            let is_whole = self.speak(payload, sound);
            *(if is_whole { &mut self.counts.spoken } else { &mut self.counts.malformed }) += 1;
            (start + samples as u64, samples)
        } else {
            self.counts.noise += 1;
            self.noise.learn(payload);
            let span = self.span();
            self.make_noise(span, sound);
            (start + span as u64, span)
        };
        self.number(now, header, &place);
        if let Some(stream) = &mut self.stream {
            stream.end = header.timestamp.wrapping_add(ticks(self.format.clock, self.rate, span));
            // Who sends more sound than its timestamps have room for is taken by what it sends.
            let ahead = self.at.saturating_sub(end_at);
            stream.end_at = if ahead > AHEAD_MS * self.rate.per_ms() as u64 { self.at } else { end_at };
            (stream.span, stream.quiet) = (span, is_noise);
        }
    }

    /// Goes on with the noise that the last packet told of, one packet's time of it, for who has a clock: packets tell of a pause only
    /// when it is over. False, and nothing, when the last packet was no comfort noise.
    pub fn go_on_quietly(&mut self, sound: &mut dyn FnMut(Sound<'_>)) -> bool {
        let quiet = self.stream.is_some_and(|stream| stream.quiet);
        if quiet {
            self.make_noise(self.span(), sound);
        }
        quiet
    }

    /// Samples that a packet has, as far as is known.
    fn span(&self) -> usize {
        let last = self.stream.map_or(0, |stream| stream.span);
        if last > 0 { last.min(MOST) } else { usize::from(self.format.packet_ms.clamp(10, 60)) * self.rate.per_ms() }
    }

    /// Where a packet is in the count; none when it is not wanted any more.
    fn place(&mut self, header: &rtp::Header) -> Option<Place> {
        let Some(stream) = &mut self.stream else { return Some(Place::Anew) };
        if stream.ssrc != header.ssrc {
            return Some(Place::Anew);
        }
        let ahead = header.sequence.wrapping_sub(stream.next) as i16;
        match ahead {
            0..=DROPOUT => Some(Place::Follows(ahead as u16)),
            MISORDER..0 => {
                let back = (-1 - ahead) as u32;
                let twice = back < 64 && stream.came >> back & 1 == 1;
                *(if twice { &mut self.counts.duplicate } else { &mut self.counts.late }) += 1;
                if back < 64 {
                    stream.came |= 1 << back;
                }
                None
            }
            // RFC 3550 §A.1: two in sequence prove that the source has begun to count anew, one may have gone astray.
            _ if stream.odd == Some(header.sequence) => Some(Place::Anew),
            _ => {
                stream.odd = Some(header.sequence.wrapping_add(1));
                self.counts.late += 1;
                None
            }
        }
    }

    /// Keeps the numbers of a packet.
    fn number(&mut self, now: Instant, header: &rtp::Header, place: &Place) {
        let next = header.sequence.wrapping_add(1);
        match (&mut self.stream, place) {
            (Some(stream), Place::Follows(lost)) => {
                stream.came = stream.came.checked_shl(u32::from(*lost) + 1).unwrap_or(0) | 1;
                (stream.next, stream.odd, stream.heard) = (next, None, now);
            }
            (stream, _) => {
                let Some(old) = stream else {
                    *stream = Some(Stream {
                        ssrc: header.ssrc,
                        next,
                        came: 1,
                        odd: None,
                        end: header.timestamp,
                        end_at: self.at,
                        span: 0,
                        heard: now,
                        quiet: false,
                    });
                    return;
                };
                self.counts.restarts += 1;
                let (end, end_at) = (header.timestamp, self.at);
                *old = Stream {
                    ssrc: header.ssrc,
                    next,
                    came: 1,
                    odd: None,
                    end,
                    end_at,
                    heard: now,
                    quiet: false,
                    ..*old
                };
            }
        }
    }

    /// Which sample a packet begins with, by its timestamp; by the clock when that makes no sense.
    fn start(&self, now: Instant, header: &rtp::Header, place: &Place) -> u64 {
        let Some(stream) = &self.stream else { return self.at };
        let waited = now.since(stream.heard);
        let by_clock = || {
            let waited = waited.as_micros() * u64::from(self.rate.hz()) / 1_000_000;
            // What it last brought is played in that time too.
            self.at + waited.saturating_sub(stream.span as u64)
        };
        if matches!(place, Place::Anew) {
            return by_clock();
        }
        let gap = i64::from(header.timestamp.wrapping_sub(stream.end) as i32);
        let gap = gap * i64::from(self.rate.hz()) / i64::from(self.format.clock);
        let (astray, waited) = (samples_in(ASTRAY, self.rate), samples_in(waited, self.rate));
        if gap < -astray || gap > waited + astray {
            return by_clock();
        }
        stream.end_at.saturating_add_signed(gap)
    }

    /// What is between the last packet and one that starts there: made up sound for what was lost, noise for a short pause after comfort
    /// noise, else nothing, and time goes on.
    fn bridge(&mut self, start: u64, place: &Place, next: Option<(&[u8], usize)>, sound: &mut dyn FnMut(Sound<'_>)) {
        let mut gap = start.saturating_sub(self.at);
        let quiet = self.stream.is_some_and(|stream| stream.quiet);
        match *place {
            Place::Follows(lost @ 1..=CONCEALED_MAX) => {
                self.counts.lost += u64::from(lost);
                // Packets may have become longer with those that were lost.
                let each = self.span().max(next.map_or(0, |(_, samples)| samples).min(MOST));
                let concealed = gap.min(each as u64 * u64::from(lost));
                if !quiet && concealed > 0 {
                    self.counts.concealed += u64::from(lost);
                    self.conceal(concealed as usize, next.filter(|_| concealed == gap), sound);
                    gap -= concealed;
                }
            }
            Place::Follows(0) => {}
            Place::Follows(lost) => {
                (self.counts.lost, self.counts.restarts) =
                    (self.counts.lost + u64::from(lost), self.counts.restarts + 1);
                self.restart();
            }
            Place::Anew => self.restart(),
        }
        if quiet && gap <= NOISE_MAX * self.span() as u64 {
            self.make_noise(gap as usize, sound);
        } else if gap > 0 {
            self.at += gap;
            self.concealer.pause();
        }
    }

    fn restart(&mut self) {
        self.decoder.restart();
        self.concealer.restart();
    }

    fn conceal(&mut self, count: usize, next: Option<(&[u8], usize)>, sound: &mut dyn FnMut(Sound<'_>)) {
        let mut left = count;
        while left > 0 {
            let piece = &mut self.buffer[..left.min(MOST)];
            left -= piece.len();
            if self.decoder.conceals() {
                self.decoder.conceal(piece, next.filter(|_| left == 0).map(|(payload, _)| payload));
            } else {
                self.concealer.conceal(piece);
            }
            give(&mut self.at, piece, Origin::Concealed, sound);
        }
    }

    /// False when a payload turns out to be no whole one.
    fn speak(&mut self, payload: &[u8], sound: &mut dyn FnMut(Sound<'_>)) -> bool {
        let (mut left, mut is_whole) = (payload, true);
        while !left.is_empty() {
            let piece = self.decoder.decode(left, &mut self.buffer);
            let samples = &mut self.buffer[..piece.samples.min(MOST)];
            if !self.decoder.conceals() {
                self.concealer.hear(samples);
            }
            is_whole &= piece.origin != Origin::Concealed;
            give(&mut self.at, samples, piece.origin, sound);
            // A decoder that takes nothing would be asked for ever.
            left = &left[piece.bytes.clamp(1, left.len())..];
        }
        is_whole
    }

    fn make_noise(&mut self, count: usize, sound: &mut dyn FnMut(Sound<'_>)) {
        let mut left = count;
        while left > 0 {
            let piece = &mut self.buffer[..left.min(MOST)];
            left -= piece.len();
            self.noise.fill(piece);
            self.concealer.hear(piece);
            give(&mut self.at, piece, Origin::Noise, sound);
        }
    }
}

fn give(at: &mut u64, samples: &mut [i16], origin: Origin, sound: &mut dyn FnMut(Sound<'_>)) {
    let count = samples.len() as u64;
    if count > 0 {
        sound(Sound { at: *at, samples, origin });
        *at += count;
    }
}

/// Zeroed on the heap at once.
fn boxed() -> Box<[i16; MOST]> {
    vec![0; MOST].into_boxed_slice().try_into().unwrap_or_else(|_| Box::new([0; MOST]))
}

/// Ticks of a clock in so many samples.
pub(super) fn ticks(clock: u32, rate: Rate, samples: usize) -> u32 {
    (samples as u64 * u64::from(clock) / u64::from(rate.hz())) as u32
}

fn samples_in(span: Span, rate: Rate) -> i64 {
    (span.as_micros().min(1 << 40) * u64::from(rate.hz()) / 1_000_000) as i64
}
