//! A recording that a peer has made, and the tone that is in it.

use std::path::Path;

/// A frame of 20 ms at 8,000 samples a second.
const FRAME: usize = 160;
/// What tones are found in: samples a second.
const RATE: usize = 8_000;

/// How long each of `frequencies`, all of them far below 4 kHz, is heard in a WAV of 16-bit samples at 8 kHz or a multiple of it, in milliseconds;
/// none when there is no such file yet.
pub fn heard_ms(path: &Path, frequencies: &[u16]) -> Option<Vec<(u16, u32)>> {
    let bytes = std::fs::read(path).ok()?;
    let samples = samples(&bytes)?;
    let mut heard: Vec<(u16, u32)> = frequencies.iter().map(|hz| (*hz, 0)).collect();
    for frame in samples.chunks_exact(FRAME) {
        let found = media::tone::detect(frame, frequencies);
        if let Some((_, ms)) = heard.iter_mut().find(|(hz, _)| Some(*hz) == found) {
            *ms += 20;
        }
    }
    Some(heard)
}

/// The samples of the first channel in the `data` chunk (RIFF WAVE), one of each 8,000th of a second: a file that is still being written says a length
/// of 0 and is read to its end.
fn samples(wav: &[u8]) -> Option<Vec<i16>> {
    let mut rest = wav.strip_prefix(b"RIFF")?.get(8..)?;
    let mut step = 1;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, body) = after.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        if name == b"data" {
            let body = if length == 0 { body } else { &body[..length.min(body.len())] };
            let samples = body.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
            return Some(samples.step_by(step).collect());
        }
        if let (b"fmt ", Some([_, _, channels, 0, rate @ ..])) = (name, body.first_chunk::<8>()) {
            step = usize::from(*channels) * u32::from_le_bytes(*rate) as usize / RATE;
        }
        rest = body.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::tone::Generator;

    /// A second of 440 Hz and one of silence, each sample so often.
    fn wav(rate: u32, channels: u8) -> Vec<u8> {
        let mut generator = Generator::new(440);
        let times = rate as usize / RATE * usize::from(channels);
        let samples = (0..50).flat_map(|_| generator.frame()).chain([0; 8_000]);
        let data: Vec<u8> = samples.flat_map(|sample| vec![sample; times]).flat_map(i16::to_le_bytes).collect();
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
        wav.extend([channels, 0]);
        wav.extend(rate.to_le_bytes());
        wav.extend(b"\x80\x3e\0\0\x02\0\x10\0data");
        wav.extend((data.len() as u32).to_le_bytes());
        wav.extend(data);
        wav
    }

    #[test]
    fn a_tone_in_a_recording_is_told_at_any_rate() {
        let path = std::env::temp_dir().join(format!("recording-{}.wav", std::process::id()));
        for (rate, channels) in [(8_000, 1), (16_000, 1), (48_000, 2)] {
            std::fs::write(&path, wav(rate, channels)).expect("a file");
            assert_eq!(heard_ms(&path, &[440, 850]), Some(vec![(440, 1_000), (850, 0)]), "{rate} {channels}");
        }
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(heard_ms(&path, &[440]), None);
    }
}
