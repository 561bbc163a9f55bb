//! A recording that a peer has made, and the tone that is in it.

use std::path::Path;

/// A frame of 20 ms at 8,000 samples a second.
const FRAME: usize = 160;

/// How long each of `frequencies` is heard in a WAV of 16-bit samples at 8 kHz, in milliseconds; none when there is no such file yet.
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

/// The samples of the `data` chunk (RIFF WAVE): a file that is still being written says a length of 0 and is read to its end.
fn samples(wav: &[u8]) -> Option<Vec<i16>> {
    let mut rest = wav.strip_prefix(b"RIFF")?.get(8..)?;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, body) = after.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        if name == b"data" {
            let body = if length == 0 { body } else { &body[..length.min(body.len())] };
            return Some(body.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect());
        }
        rest = body.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::tone::Generator;

    #[test]
    fn a_tone_in_a_recording_is_told() {
        let mut generator = Generator::new(440);
        let data: Vec<u8> =
            (0..50).flat_map(|_| generator.frame()).flat_map(i16::to_le_bytes).chain([0; 16_000]).collect();
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        wav.extend((data.len() as u32).to_le_bytes());
        wav.extend(data);
        let path = std::env::temp_dir().join(format!("recording-{}.wav", std::process::id()));
        std::fs::write(&path, wav).expect("a file");
        assert_eq!(heard_ms(&path, &[440, 850]), Some(vec![(440, 1_000), (850, 0)]));
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(heard_ms(&path, &[440]), None);
    }
}
