//! G.729 by the library that the machine has, if it has it: `libbcg729.so.0`, Debian's `libbcg729-0`.
//!
//! It is loaded while running and never linked, for its licence is not ours. Where it is not there, G.729 only passes through, and the
//! line at the start says so. Refuses to know: packets, calls.

use libloading::{Library, Symbol};
use media::Codec;
use media::codec::{BuiltIn, VOCODER_BYTES, VOCODER_SAMPLES, Vocoder, Vocoders};
use std::ffi::c_void;
use std::fmt;
use std::ptr::{NonNull, null};
use std::sync::Arc;

/// The name it is loaded by: its first binary interface, of version 1.1.1.
const NAME: &str = "libbcg729.so.0";

/// What the library keeps of a direction.
type Channel = NonNull<c_void>;

/// The library's functions that are needed, and the library, which stays loaded while anything of it is in use.
struct Functions {
    open_encoder: unsafe extern "C" fn(with_silence: u8) -> Option<Channel>,
    close_encoder: unsafe extern "C" fn(Channel),
    encode: unsafe extern "C" fn(Channel, samples: *const i16, frame: *mut u8, length: *mut u8),
    open_decoder: unsafe extern "C" fn() -> Option<Channel>,
    close_decoder: unsafe extern "C" fn(Channel),
    decode: Decode,
    _library: Library,
}

type Decode = unsafe extern "C" fn(
    Channel,
    frame: *const u8,
    length: u8,
    erased: u8,
    silence: u8,
    comfort_noise: u8,
    samples: *mut i16,
);

impl Functions {
    fn load(name: &str) -> Result<Self, libloading::Error> {
        // SAFETY: the library is the system's own, and has nothing that runs when it is loaded or let go. The types are those of its
        // header, version 1.1.1, which its name stands for.
        unsafe {
            let library = Library::new(name)?;
            Ok(Self {
                open_encoder: *symbol(&library, c"initBcg729EncoderChannel")?,
                close_encoder: *symbol(&library, c"closeBcg729EncoderChannel")?,
                encode: *symbol(&library, c"bcg729Encoder")?,
                open_decoder: *symbol(&library, c"initBcg729DecoderChannel")?,
                close_decoder: *symbol(&library, c"closeBcg729DecoderChannel")?,
                decode: *symbol(&library, c"bcg729Decoder")?,
                _library: library,
            })
        }
    }
}

/// # Safety
/// `T` must be the type of what the library has by that name.
unsafe fn symbol<'a, T>(library: &'a Library, name: &std::ffi::CStr) -> Result<Symbol<'a, T>, libloading::Error> {
    // SAFETY: promised by the caller.
    unsafe { library.get(name) }
}

/// Every codec that this machine can speak: those built in, and G.729 where its library is there.
#[derive(Clone)]
pub(crate) struct Codecs {
    g729: Result<Arc<Functions>, Arc<libloading::Error>>,
}

impl Codecs {
    /// Looks for the library.
    pub(crate) fn find() -> Self {
        Self::by_name(NAME)
    }

    fn by_name(name: &str) -> Self {
        Self { g729: Functions::load(name).map(Arc::new).map_err(Arc::new) }
    }
}

impl fmt::Display for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.g729 {
            Ok(_) => write!(f, "G.729 is spoken by {NAME}"),
            Err(why) => write!(f, "G.729 is only passed through: {why}. Install libbcg729-0 to have it spoken"),
        }
    }
}

impl Vocoders for Codecs {
    fn has(&self, codec: Codec) -> bool {
        BuiltIn.has(codec) || codec == Codec::G729 && self.g729.is_ok()
    }

    fn vocoder(&self, codec: Codec) -> Option<Box<dyn Vocoder>> {
        let functions = self.g729.as_ref().ok().filter(|_| codec == Codec::G729)?;
        Some(Box::new(G729::open(functions.clone())?))
    }
}

/// One direction of one call.
struct G729 {
    functions: Arc<Functions>,
    encoder: Channel,
    decoder: Channel,
}

// SAFETY: the library keeps everything of a channel within it and has nothing of a thread's own; a channel is owned by one `G729`.
unsafe impl Send for G729 {}

impl G729 {
    fn open(functions: Arc<Functions>) -> Option<Self> {
        // SAFETY: nothing is asked of who calls; without silence detection, so that each frame has its ten bytes.
        let encoder = unsafe { (functions.open_encoder)(0) }?;
        // SAFETY: as before.
        let Some(decoder) = (unsafe { (functions.open_decoder)() }) else {
            // SAFETY: opened above, and used by nobody else.
            unsafe { (functions.close_encoder)(encoder) };
            return None;
        };
        Some(Self { functions, encoder, decoder })
    }
}

impl Drop for G729 {
    fn drop(&mut self) {
        // SAFETY: both were opened by `open`, and nobody has them any more.
        unsafe {
            (self.functions.close_encoder)(self.encoder);
            (self.functions.close_decoder)(self.decoder);
        }
    }
}

impl Vocoder for G729 {
    fn encode(&mut self, samples: &[i16; VOCODER_SAMPLES], into: &mut [u8; VOCODER_BYTES]) -> usize {
        let mut length = 0;
        // SAFETY: 80 samples are read and at most ten bytes written, which is what both arrays have.
        unsafe { (self.functions.encode)(self.encoder, samples.as_ptr(), into.as_mut_ptr(), &mut length) };
        usize::from(length).min(VOCODER_BYTES)
    }

    fn decode(&mut self, frame: &[u8], into: &mut [i16; VOCODER_SAMPLES]) {
        let mut bytes = [0; VOCODER_BYTES];
        let length = frame.len().min(VOCODER_BYTES);
        bytes[..length].copy_from_slice(&frame[..length]);
        let silence = u8::from(length < VOCODER_BYTES);
        // SAFETY: no more than ten bytes are read of ten that are there, and 80 samples written to where 80 are.
        unsafe {
            (self.functions.decode)(self.decoder, bytes.as_ptr(), length as u8, 0, silence, 0, into.as_mut_ptr());
        }
    }

    fn conceal(&mut self, into: &mut [i16; VOCODER_SAMPLES]) {
        // SAFETY: of an erased frame nothing is read, and 80 samples are written to where 80 are.
        unsafe { (self.functions.decode)(self.decoder, null(), 0, 1, 0, 0, into.as_mut_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::codec::{Depacketizer, Origin, Packetizer, Rate, Sound};
    use media::{Format, rtp};
    use model::{Instant, Span};

    fn format(codec: Codec) -> Format {
        let payload_type = codec.fixed_payload_type().unwrap_or(97);
        Format { codec, payload_type, clock: codec.clock().unwrap_or(16_000), packet_ms: 20 }
    }

    /// A voiced sound: harmonics of 120 Hz, louder and softer four times a second.
    fn voice(count: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let time = n as f64 / 8_000.0;
            let syllable = 0.6 + 0.4 * (std::f64::consts::TAU * 4.0 * time).sin();
            let harmonic = |k: i32| (std::f64::consts::TAU * 120.0 * f64::from(k) * time).sin() / f64::from(k);
            (4_000.0 * syllable * (1..=20).map(harmonic).sum::<f64>()) as i16
        };
        (0..count).map(sample).collect()
    }

    /// Through one codec, every packet whose number `lost` names left out; what comes out at 8 kHz or more.
    fn through(codecs: &Codecs, codec: Codec, rate: Rate, sound: &[i16], lost: fn(u16) -> bool) -> (Vec<i16>, Rate) {
        let mut packetizer = Packetizer::new(&format(codec), rate, codecs).unwrap();
        let mut depacketizer = Depacketizer::new(&format(codec), rate, codecs).unwrap();
        let (mut sequence, mut heard) = (0, Vec::new());
        for (n, samples) in sound.chunks(20 * rate.per_ms()).enumerate() {
            let (at, mut samples) = ((n * 20 * rate.per_ms()) as u64, samples.to_vec());
            let sound = Sound { at, samples: &mut samples, origin: Origin::Spoken };
            packetizer.put(&sound, &mut |packet| {
                let (marker, payload_type, timestamp) = (packet.marker, packet.payload_type, packet.timestamp);
                let header = rtp::Header { marker, payload_type, sequence, timestamp, ssrc: 1 };
                let now = Instant::ZERO + Span::from_millis(20 * u64::from(sequence));
                if !lost(sequence) {
                    depacketizer
                        .take(now, &header, packet.payload, &mut |sound| heard.extend_from_slice(sound.samples));
                }
                sequence += 1;
            });
        }
        (heard, depacketizer.rate())
    }

    fn decibels(samples: &[i16]) -> f64 {
        10.0 * (samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64).log10()
    }

    /// How alike the spectra of two sounds are, piece by piece of 32 ms: 1 is the same but for level. G.729 does not keep the wave.
    fn likeness(was: &[i16], is: &[i16]) -> f64 {
        let pieces = was.chunks_exact(256).zip(is.chunks_exact(256)).skip(8);
        let alike: Vec<f64> = pieces.map(|(was, is)| cosine(&spectrum(was), &spectrum(is))).collect();
        alike.iter().sum::<f64>() / alike.len() as f64
    }

    /// Amplitudes from 125 Hz to 3.5 kHz.
    fn spectrum(samples: &[i16]) -> Vec<f64> {
        let amplitude = |bin: u32| {
            let turn = std::f64::consts::TAU * 125.0 * f64::from(bin) / 8_000.0;
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (n, sample) in samples.iter().enumerate() {
                let (sin, cos) = (turn * n as f64).sin_cos();
                (real, imaginary) = (real + f64::from(*sample) * cos, imaginary + f64::from(*sample) * sin);
            }
            real.hypot(imaginary)
        };
        (1..=28).map(amplitude).collect()
    }

    fn cosine(a: &[f64], b: &[f64]) -> f64 {
        let of = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        of(a, b) / (of(a, a) * of(b, b) + 1e-9).sqrt()
    }

    #[test]
    fn without_the_library_it_is_not_there_and_says_what_to_do() {
        let codecs = Codecs::by_name("libno-such-codec.so.0");
        assert!(!codecs.has(Codec::G729) && codecs.vocoder(Codec::G729).is_none() && codecs.has(Codec::Opus));
        assert!(codecs.to_string().contains("libbcg729-0"), "{codecs}");
        assert!(Depacketizer::new(&format(Codec::G729), Rate::Narrow, &codecs).is_err());
    }

    #[test]
    fn with_it_g729_becomes_every_other_codec_and_back() {
        let (codecs, sound) = (Codecs::find(), voice(16_000));
        assert_eq!(codecs.has(Codec::G729), codecs.vocoder(Codec::G729).is_some(), "{codecs}");
        if !codecs.has(Codec::G729) {
            return;
        }
        for other in Codec::ALL {
            for (first, second) in [(Codec::G729, other), (other, Codec::G729)] {
                let (between, rate) = through(&codecs, first, Rate::Narrow, &sound, |_| false);
                let (heard, rate) = through(&codecs, second, rate, &between, |_| false);
                let heard: Vec<i16> = heard.iter().copied().step_by(rate.per_ms() / 8).collect();
                let (alike, off) = (likeness(&sound, &heard), decibels(&sound) - decibels(&heard));
                assert!(alike > 0.95 && off.abs() < 2.5, "{first:?} to {second:?}: {alike:.2}, {off:.1} dB softer");
            }
        }
    }

    #[test]
    fn with_it_lost_packets_are_concealed() {
        let (codecs, sound) = (Codecs::find(), voice(16_000));
        if !codecs.has(Codec::G729) {
            return;
        }
        let (heard, _) = through(&codecs, Codec::G729, Rate::Narrow, &sound, |n| n % 10 == 7);
        assert_eq!(heard.len(), 16_000);
        // The library turns what it makes up down, and what follows for a while: its own way.
        let (alike, off) = (likeness(&sound, &heard), decibels(&sound) - decibels(&heard));
        assert!(alike > 0.9 && off.abs() < 6.0, "{alike:.2}, {off:.1} dB softer");
        assert!(heard[2_000..].chunks(160).all(|piece| decibels(piece) > 35.0), "no hole");
    }

    #[test]
    fn any_frame_is_survived() {
        let codecs = Codecs::find();
        let Some(mut vocoder) = codecs.vocoder(Codec::G729) else { return };
        let (mut rng, mut into) = (model::Rng::new(3), [0; VOCODER_SAMPLES]);
        for n in 0..5_000u64 {
            let bytes = [rng.next_u64().to_le_bytes(), rng.next_u64().to_le_bytes()].concat();
            match n % 7 {
                0 => vocoder.conceal(&mut into),
                1 => vocoder.decode(&bytes[..2], &mut into),
                _ => vocoder.decode(&bytes[..10], &mut into),
            }
        }
        assert_eq!(vocoder.encode(&into, &mut [0; VOCODER_BYTES]), VOCODER_BYTES);
    }
}
