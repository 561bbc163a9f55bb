//! Opus (RFC 6716, RFC 7587), by a library, at the rate that the other side has: no resampling, and no bits for a band that nobody hears.
//!
//! Mono. What we send tells a little of the packet before (in-band FEC), and what we receive is heard for that when a packet was
//! lost. Refuses to know: packets' order and time.

use super::Rate;
use super::resample::MOST;
use ropus::{Application, Bitrate, Channels, InbandFec, OpusDecoder, Signal};

/// Lengths of packets in milliseconds, of those that telephony wants: a packet of thirty would be two frames.
pub(super) const FRAMES_MS: [usize; 4] = [10, 20, 40, 60];
/// Bits a second: for wideband speech 16 to 20 k are plenty (RFC 7587 §3.1.1); below 26 k the encoder has none left for FEC.
const BITS: u32 = 28_000;
/// Effort, of ten: beyond this it costs twice as much for what few hear.
const EFFORT: u8 = 5;
/// Loss in percent that the sender prepares for.
const LOSS: u8 = 5;
/// Shortest sound that can be made up: 2.5 ms is a four hundredth of a second.
const STEP: usize = 400;
/// Frames no longer than this say that nobody speaks (RFC 6716 §2.1.9).
const SILENCE: usize = 2;

/// Sound to packets.
pub(super) struct Encoder(ropus::Encoder);

impl Encoder {
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let builder = ropus::Encoder::builder(rate.hz(), Channels::Mono, Application::Voip);
        let builder = builder.bitrate(Bitrate::Bits(BITS)).complexity(EFFORT).signal(Signal::Voice);
        builder.inband_fec(InbandFec::Enabled).packet_loss_perc(LOSS).dtx(false).build().ok().map(Self)
    }

    /// The samples of one packet; how many bytes they came to, none when the library refuses them.
    pub(super) fn encode(&mut self, samples: &[i16], into: &mut [u8]) -> usize {
        self.0.encode(samples, into).unwrap_or(0)
    }
}

/// Packets to sound.
pub(super) struct Decoder {
    library: OpusDecoder,
    rate: Rate,
}

impl Decoder {
    pub(super) fn new(rate: Rate) -> Option<Self> {
        let library = OpusDecoder::new(rate.hz() as i32, 1).ok()?;
        Some(Self { library, rate })
    }

    /// Samples in a packet; none when it is not a whole one (RFC 6716 §3.4).
    pub(super) fn samples(&self, packet: &[u8]) -> Option<usize> {
        let samples = usize::try_from(self.library.get_nb_samples(packet).ok()?).ok()?;
        (1..=120 * self.rate.per_ms()).contains(&samples).then_some(samples)
    }

    /// The sound of a packet, and whether it was a whole one; else what may have been in it.
    pub(super) fn decode(&mut self, packet: &[u8], into: &mut [i16; MOST]) -> (usize, bool) {
        let room = (120 * self.rate.per_ms()) as i32;
        let samples = self.library.decode(Some(packet), into, room, false);
        if let Some(samples) = samples.ok().and_then(|samples| usize::try_from(samples).ok()) {
            return (samples.min(MOST), true);
        }
        let samples = self.samples(packet).unwrap_or(0).min(MOST);
        self.conceal(&mut into[..samples], None);
        (samples, false)
    }

    /// What may have been lost; the last frame of it as `next` tells, when it does (RFC 6716 §2.1.7): the library
    /// sees to that.
    pub(super) fn conceal(&mut self, samples: &mut [i16], next: Option<&[u8]>) {
        let told = next.and_then(|next| self.samples(next));
        let told = told.filter(|told| *told <= samples.len()).unwrap_or(0);
        let (unknown, known) = samples.split_at_mut(samples.len() - told);
        // Whole steps, no longer than the longest frame; what is less than a step stays silent.
        let most = 60 * self.rate.per_ms();
        let step = self.rate.hz() as usize / STEP;
        for piece in unknown.chunks_mut(most) {
            let (whole, rest) = piece.split_at_mut(piece.len() / step * step);
            self.make_up(None, whole);
            rest.fill(0);
        }
        self.make_up(next, known);
    }

    fn make_up(&mut self, next: Option<&[u8]>, samples: &mut [i16]) {
        let count = samples.len() as i32;
        if count > 0 && self.library.decode(next, samples, count, next.is_some()).is_err() {
            samples.fill(0);
        }
    }

    pub(super) fn restart(&mut self) {
        self.library.reset();
    }
}

/// Whether a packet says that nobody speaks.
pub(super) const fn is_silence(packet: &[u8]) -> bool {
    packet.len() <= SILENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::tests::signal::{decibels, speech};
    use std::vec::Vec;

    const FRAME: usize = 320;

    fn packets(sound: &[i16]) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(Rate::Wide).unwrap();
        let packet = |frame| {
            let mut bytes = [0; 1_280];
            let length = encoder.encode(frame, &mut bytes);
            bytes[..length].to_vec()
        };
        sound.chunks_exact(FRAME).map(packet).collect()
    }

    fn whole(decoder: &mut Decoder, packet: &[u8]) -> Vec<i16> {
        let mut into = [0; MOST];
        assert_eq!(decoder.decode(packet, &mut into), (FRAME, true));
        into[..FRAME].to_vec()
    }

    #[test]
    fn the_rate_is_what_was_asked_for() {
        let packets = packets(&speech(16_000, 64_000));
        let bits = packets.iter().map(|packet| 8 * packet.len()).sum::<usize>() / 4;
        assert!((12_000..32_000).contains(&bits), "{bits} b/s");
    }

    #[test]
    fn what_the_next_packet_tells_of_a_lost_one_is_nearer_than_what_is_made_up_6716_2_1_7() {
        let packets = packets(&speech(16_000, 48_000));
        let (mut told, mut made_up) = (0.0, 0.0);
        for lost in (20..packets.len() - 1).step_by(9) {
            let error = |next: Option<&[u8]>| {
                let mut decoder = Decoder::new(Rate::Wide).unwrap();
                for packet in &packets[..lost] {
                    whole(&mut decoder, packet);
                }
                let mut heard = std::vec![0; FRAME];
                let mut all = Decoder::new(Rate::Wide).unwrap();
                for packet in &packets[..lost] {
                    whole(&mut all, packet);
                }
                let was = whole(&mut all, &packets[lost]);
                decoder.conceal(&mut heard, next);
                let difference: Vec<i16> = was.iter().zip(&heard).map(|(a, b)| a.saturating_sub(*b)).collect();
                decibels(&difference)
            };
            told += error(Some(&packets[lost + 1]));
            made_up += error(None);
        }
        assert!(told < made_up, "summed errors: {told} dB and {made_up} dB");
    }

    #[test]
    fn what_is_no_packet_is_none_and_any_length_can_be_made_up() {
        let mut decoder = Decoder::new(Rate::Narrow).unwrap();
        assert_eq!((decoder.samples(&[]), decoder.samples(&[0xff]), decoder.samples(&[3])), (None, None, None));
        for count in [1, 19, 20, 160, 333, 480, 960, 1_900] {
            decoder.conceal(&mut std::vec![7; count], None);
            decoder.conceal(&mut std::vec![7; count], Some(&[0x08, 0, 0]));
        }
        assert!(is_silence(&[8]) && !is_silence(&[8, 1, 2]));
    }
}
