//! What a party hears of us while the other side of its call is being reached again: comfort noise, or the operator's recording.
//!
//! A line that is dead silent is hung up on. It is sound in the format that the party is spoken to in, and stops by itself when the far
//! side is heard again. Refuses to know: why the far side is silent, who listens.

use crate::codec::{NoCodec, Origin, Packetizer, Rate, Sound, Vocoders};
use crate::recording::Recording;
use crate::rtp;
use crate::speech::Format;
use alloc::boxed::Box;
use model::{Instant, Rng, Span};

/// Loudest sample: about -62 dBov, below a quiet room and above nothing (RFC 3389 §3 codes such levels).
const LOUDEST: u64 = 40;
/// How late a packet may be before those that are overdue are left out.
const LAG_MAX: Span = Span::from_millis(200);
/// Samples of a packet at most: sixty milliseconds of the wider sound.
const SAMPLES_MAX: usize = 960;
/// Bytes of a packet at most.
const BYTES_MAX: usize = 1_292;

/// A source of sound that stands for somebody.
#[derive(Debug)]
pub(crate) struct Comfort {
    packetizer: Packetizer,
    sound: Source,
    /// Samples so far.
    at: u64,
    header: rtp::Header,
    /// The timestamp that its sound begins with.
    begins: u32,
    due: Instant,
}

#[derive(Debug)]
enum Source {
    Noise(Rng),
    Recording(Recording),
}

impl Source {
    const fn rate(&self) -> Rate {
        match self {
            Self::Noise(_) => Rate::Narrow,
            Self::Recording(recording) => recording.rate(),
        }
    }

    fn sample(&mut self, at: u64) -> i16 {
        match self {
            Self::Noise(noise) => (noise.next_u64() % (2 * LOUDEST + 1)) as i16 - LOUDEST as i16,
            Self::Recording(recording) => recording.sample(at),
        }
    }
}

/// A packet of it.
pub(crate) struct Given {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

impl Given {
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

impl Comfort {
    /// Begins at once: the recording, or noise.
    pub(crate) fn new(
        now: Instant,
        format: &Format,
        recording: Option<&Recording>,
        vocoders: &dyn Vocoders,
        ssrc: u32,
    ) -> Result<Box<Self>, NoCodec> {
        let sound = match recording {
            Some(recording) => Source::Recording(recording.clone()),
            None => Source::Noise(Rng::new(u64::from(ssrc))),
        };
        let packetizer = Packetizer::new(format, sound.rate(), vocoders)?;
        let payload_type = format.payload_type;
        let header = rtp::Header { marker: true, payload_type, sequence: ssrc as u16, timestamp: ssrc, ssrc };
        Ok(Box::new(Self { packetizer, sound, at: 0, header, begins: ssrc, due: now }))
    }

    /// In which format it is.
    pub(crate) const fn format(&self) -> &Format {
        self.packetizer.format()
    }

    /// When its next packet is due.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// The packet that is due; none when the codec has nothing to say.
    pub(crate) fn packet(&mut self, now: Instant) -> Option<Given> {
        let length = Span::from_millis(self.packetizer.packet_ms() as u64);
        if now.since(self.due) > LAG_MAX {
            self.due = now;
        }
        self.due += length;
        let mut room = [0; SAMPLES_MAX];
        let count = self.packetizer.packet_ms() * self.packetizer.rate().per_ms();
        let samples = room.get_mut(..count)?;
        for (sample, at) in samples.iter_mut().zip(self.at..) {
            *sample = self.sound.sample(at);
        }
        let sound = Sound { at: self.at, samples, origin: Origin::Spoken };
        self.at += count as u64;
        let (header, begins) = (&mut self.header, self.begins);
        let mut given = None;
        self.packetizer.put(&sound, &mut |encoded| {
            header.marker = encoded.marker;
            header.timestamp = begins.wrapping_add(encoded.timestamp);
            let mut packet = Given { bytes: [0; BYTES_MAX], length: rtp::HEADER + encoded.payload.len() };
            let Some((head, room)) = packet.bytes.split_first_chunk_mut() else { return };
            let Some(room) = room.get_mut(..encoded.payload.len()) else { return };
            rtp::write(head, header);
            room.copy_from_slice(encoded.payload);
            header.sequence = header.sequence.wrapping_add(1);
            given = Some(packet);
        });
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{BuiltIn, Depacketizer};
    use crate::speech::Codec;
    use crate::tone;
    use std::vec::Vec;

    const AT: Instant = Instant::ZERO;

    fn format(codec: Codec, payload_type: u8, clock: u32, packet_ms: u8) -> Format {
        Format { codec, payload_type, clock, packet_ms }
    }

    fn all() -> [Format; 6] {
        [
            format(Codec::Pcma, 8, 8_000, 20),
            format(Codec::Pcmu, 0, 8_000, 30),
            format(Codec::G722, 9, 8_000, 20),
            format(Codec::L16, 97, 16_000, 20),
            format(Codec::L16, 98, 8_000, 10),
            format(Codec::Opus, 111, 48_000, 20),
        ]
    }

    /// What a listener hears within a second, and the headers.
    fn heard(format: &Format, recording: Option<&Recording>) -> (Vec<i16>, Vec<rtp::Header>) {
        let mut comfort = Comfort::new(AT, format, recording, &BuiltIn, 7).unwrap();
        let mut ear = Depacketizer::new(format, Rate::Narrow, &BuiltIn).unwrap();
        let narrow = ear.rate().per_ms() / Rate::Narrow.per_ms();
        let (mut samples, mut headers) = (Vec::new(), Vec::new());
        while comfort.due() < AT + Span::from_secs(1) {
            let due = comfort.due();
            let Some(mut packet) = comfort.packet(due) else { continue };
            let bytes = packet.bytes_mut();
            let header = rtp::read(bytes).unwrap();
            ear.take(due, &header, &bytes[rtp::HEADER..], &mut |sound: Sound<'_>| {
                samples.extend(sound.samples.iter().step_by(narrow));
            });
            headers.push(header);
        }
        (samples, headers)
    }

    #[test]
    fn noise_is_soft_and_not_dead_in_every_format() {
        for format in all() {
            let (samples, headers) = heard(&format, None);
            assert!(samples.len() > 7_000, "{format:?}: {}", samples.len());
            assert!(!tone::is_loud(&samples), "{format:?}");
            assert!(samples.iter().any(|sample| sample.abs() > 10), "{format:?}");
            let ticks = format.clock / 1_000 * u32::from(format.packet_ms);
            for (n, header) in headers.iter().enumerate() {
                let expected = (7 + n as u16, 7 + ticks * n as u32, format.payload_type, n == 0);
                assert_eq!((header.sequence, header.timestamp, header.payload_type, header.marker), expected);
            }
        }
    }

    #[test]
    fn a_recording_is_heard_as_it_is_in_every_format() {
        let mut generator = tone::Generator::new(440);
        let sound: Vec<u8> = (0..50).flat_map(|_| generator.frame()).flat_map(i16::to_le_bytes).collect();
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        file.extend_from_slice(&(sound.len() as u32).to_le_bytes());
        file.extend_from_slice(&sound);
        let recording = Recording::from_wav(&file).unwrap();
        for format in all() {
            let (samples, _) = heard(&format, Some(&recording));
            let frames = samples.chunks_exact(tone::FRAME).skip(5);
            let (all, right) = frames.fold((0, 0), |(all, right), frame| {
                (all + 1, right + usize::from(tone::detect(frame, &[440, 850]) == Some(440)))
            });
            assert!(all > 35 && right * 10 >= all * 9, "{format:?}: {right} of {all}");
        }
    }

    #[test]
    fn who_asks_late_gets_no_burst() {
        let mut comfort = Comfort::new(AT, &all()[0], None, &BuiltIn, 7).unwrap();
        let late = AT + Span::from_secs(3);
        assert!(comfort.packet(late).is_some());
        assert_eq!(comfort.due(), late + Span::from_millis(20));
    }

    #[test]
    fn what_no_codec_here_can_make_is_not_begun() {
        assert!(Comfort::new(AT, &format(Codec::G729, 18, 8_000, 20), None, &BuiltIn, 7).is_err());
    }
}
