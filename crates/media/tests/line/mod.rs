//! A relay with two sides, one who speaks and presses keys at one of them, and what is understood at the other.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each file of tests uses what it needs")]

use media::codec::{BuiltIn, Depacketizer, Packetizer, Rate, Sound};
use media::dtmf::Told;
use media::dtmf::inband::{Detector, Generator};
use media::dtmf::telephone_event::{Receiver, Sender};
use media::{Codec, Component, Digit, Digits, Format, Forward, MediaEvent, Packet, PairId, Peer, Relay, Speech, rtp};
use model::{Instant, Rng, Span};
use std::net::SocketAddr;

pub(crate) const A: PairId = PairId(0);
pub(crate) const B: PairId = PairId(1);
pub(crate) const KEYS: &[u8; 16] = b"0123456789*#ABCD";

pub(crate) fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(10_000 + ms)
}

pub(crate) fn address(side: PairId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + side.0 as u8], 4_000))
}

pub(crate) fn format(codec: Codec, payload_type: u8, packet_ms: u8) -> Format {
    Format { codec, payload_type, clock: codec.clock().unwrap_or(16_000), packet_ms }
}

pub(crate) fn speech(format: Format, digits: Digits) -> Speech {
    Speech { formats: [format].into_iter().collect(), digits, noise: None }
}

pub(crate) fn events(payload_type: u8, clock: u32) -> Digits {
    Digits::Events { payload_type, clock }
}

#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) ms: u64,
    pub(crate) header: rtp::Header,
    pub(crate) payload: Vec<u8>,
}

/// A relay with two sides, and what B gets of what A sends.
pub(crate) struct Line {
    pub(crate) relay: Relay,
    pub(crate) got: Vec<Got>,
    pub(crate) told: Vec<(PairId, Digit, Span)>,
    pub(crate) loss: Option<Rng>,
}

impl Line {
    pub(crate) fn new(a: &Speech, b: &Speech) -> Self {
        let mut relay = Relay::new(8);
        relay.join(A, B).unwrap();
        for side in [A, B] {
            relay.expect(side, &Peer { rtp: address(side), rtcp: None, mux: false });
        }
        relay.interwork(A, a, b).unwrap();
        let mut line = Self { relay, got: Vec::new(), told: Vec::new(), loss: None };
        line.go_on(0);
        line.got.clear();
        line
    }

    /// Time passes to here.
    pub(crate) fn go_on(&mut self, ms: u64) {
        while let Some(due) = self.relay.deadline().filter(|due| *due <= at(ms)) {
            self.relay.tick(due);
            self.collect((due.as_micros() / 1_000).saturating_sub(10_000));
        }
    }

    pub(crate) fn collect(&mut self, ms: u64) {
        while let Some(made) = self.relay.poll_made() {
            if made.pair == B && !made.packet.is_empty() {
                assert_eq!(made.to, address(B));
                let header = rtp::read(made.packet).unwrap();
                self.got.push(Got { ms, header, payload: rtp::payload(made.packet).unwrap().to_vec() });
            }
        }
        while let Some((side, event)) = self.relay.poll_event() {
            let MediaEvent::Digit { digit, duration } = event;
            self.told.push((side, digit, duration));
        }
    }

    pub(crate) fn send(&mut self, ms: u64, header: &rtp::Header, payload: &[u8]) {
        self.go_on(ms);
        if self.loss.as_mut().is_some_and(|rng| rng.next_u64().is_multiple_of(20)) {
            return;
        }
        let mut packet = vec![0; rtp::HEADER];
        rtp::write(packet.first_chunk_mut().unwrap(), header);
        packet.extend(payload);
        match self.relay.forward(at(ms), A, Component::Rtp, address(A), &mut Packet::whole(&mut packet)) {
            Forward::Send { pair, to, .. } => {
                assert_eq!((pair, to), (B, address(B)));
                let header = rtp::read(&packet).unwrap();
                self.got.push(Got { ms, header, payload: rtp::payload(&packet).unwrap().to_vec() });
            }
            Forward::Made => {}
            other => panic!("{other:?}"),
        }
        self.collect(ms);
    }

    /// B hears one stream: a source, numbers one after the other; what is missing was missing before.
    pub(crate) fn assert_one_stream(&self, lossless: bool) {
        for pair in self.got.windows(2) {
            let (one, two) = (&pair[0].header, &pair[1].header);
            assert_eq!(one.ssrc, two.ssrc);
            let step = two.sequence.wrapping_sub(one.sequence);
            assert!(step == 1 || (!lossless && (1..5).contains(&step)), "{:?} {:?}", pair[0], pair[1]);
        }
    }
}

/// One who speaks: noise as soft as a room's, and digits as his side tells them.
pub(crate) struct Speaker {
    pub(crate) packetizer: Packetizer,
    pub(crate) rate: usize,
    pub(crate) format: Format,
    pub(crate) digits: Digits,
    pub(crate) generator: Generator,
    pub(crate) sequence: u16,
    pub(crate) noise: Rng,
    /// Packets of sound; it is counted though nothing is sent.
    pub(crate) sounds: u64,
    /// The next packet is the first of a talk spurt, and says so.
    pub(crate) marks: bool,
}

impl Speaker {
    pub(crate) fn new(speech: &Speech) -> Self {
        let format = speech.formats[0];
        let rate = Rate::of(format.codec, format.clock).unwrap();
        Self {
            packetizer: Packetizer::new(&format, rate, &BuiltIn).unwrap(),
            rate: rate.per_ms(),
            format,
            digits: speech.digits,
            generator: Generator::new(rate.hz()),
            sequence: 65_500,
            noise: Rng::new(4),
            sounds: 0,
            marks: false,
        }
    }

    pub(crate) fn header(&mut self, marker: bool, payload_type: u8, timestamp: u32) -> rtp::Header {
        self.sequence = self.sequence.wrapping_add(1);
        rtp::Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: 0xfeed }
    }

    /// Twenty milliseconds of sound.
    pub(crate) fn sound(&mut self, line: &mut Line, ms: u64, send: bool) {
        let mut samples = vec![0i16; 20 * self.rate];
        samples.iter_mut().for_each(|sample| *sample = (self.noise.next_u64() % 101) as i16 - 50);
        if self.generator.is_sounding() {
            self.generator.fill(&mut samples);
        }
        let at = self.sounds * samples.len() as u64;
        self.sounds += 1;
        let mut out = Vec::new();
        let sound = Sound { at, samples: &mut samples, origin: media::codec::Origin::Spoken };
        self.packetizer.put(&sound, &mut |encoded| out.push((encoded.timestamp, encoded.payload.to_vec())));
        for (timestamp, payload) in out.into_iter().filter(|_| send) {
            let marker = core::mem::take(&mut self.marks);
            let header = self.header(marker, self.format.payload_type, timestamp.wrapping_add(77_000));
            line.send(ms, &header, &payload);
        }
    }

    pub(crate) fn timestamp(&self) -> u32 {
        (self.sounds as u32 * 20).wrapping_mul(self.format.clock / 1_000).wrapping_add(77_000)
    }
}

/// A sends these digits, 120 ms between them, in its own way.
pub(crate) fn press(line: &mut Line, speech: &Speech, digits: &[(u8, u64)]) {
    let mut speaker = Speaker::new(speech);
    let mut ms = 0;
    let quiet = |line: &mut Line, speaker: &mut Speaker, until: u64, ms: &mut u64| {
        while *ms < until {
            speaker.sound(line, *ms, true);
            *ms += 20;
        }
    };
    quiet(line, &mut speaker, 200, &mut ms);
    for (key, duration) in digits {
        let digit = Digit::of_key(*key).unwrap();
        let end = ms + duration;
        match speaker.digits {
            Digits::Inband => {
                speaker.generator.begin(digit);
                while ms < end {
                    speaker.sound(line, ms, true);
                    ms += 20;
                }
                speaker.generator.end();
            }
            Digits::Info => {
                line.go_on(ms);
                line.relay.dial(at(ms), B, digit, Span::from_millis(*duration)).unwrap();
                line.collect(ms);
            }
            Digits::Events { payload_type, clock } => {
                // As telephones do: no sound while an event lasts.
                let mut sender = Sender::new(clock, 20);
                sender.press(at(ms), digit, Span::from_millis(*duration)).unwrap();
                let timestamp = speaker.timestamp();
                while let Some(event) = sender.poll(at(ms)) {
                    let header = speaker.header(event.marker, payload_type, timestamp);
                    line.send(ms, &header, &event.payload);
                    speaker.sound(line, ms, false);
                    ms += 20;
                }
            }
        }
        let until = ms.max(end) + 140;
        quiet(line, &mut speaker, until, &mut ms);
    }
    let until = ms + 1_000;
    quiet(line, &mut speaker, until, &mut ms);
    line.go_on(ms);
}

/// What B understands of it, by its own way.
pub(crate) fn understood(line: &Line, speech: &Speech) -> Vec<(u8, u64)> {
    let (mut told, mut over) = (Vec::new(), Vec::new());
    let mut hear = |word| {
        if let Told::Ended { digit, duration } = word {
            over.push((digit.key() as u8, duration.as_millis()));
        }
    };
    match speech.digits {
        Digits::Info => {
            told.extend(line.told.iter().map(|(side, digit, duration)| {
                assert_eq!(*side, B);
                (digit.key() as u8, duration.as_millis())
            }));
        }
        Digits::Events { payload_type, clock } => {
            let mut receiver = Receiver::new(clock);
            for got in line.got.iter().filter(|got| got.header.payload_type == payload_type) {
                receiver.take(at(got.ms), &got.header, &got.payload, &mut hear).unwrap();
            }
            receiver.finish(&mut hear);
        }
        Digits::Inband => {
            listen(line, speech).into_iter().for_each(&mut hear);
        }
    }
    told.extend(over);
    told
}

/// Tones in what B hears.
pub(crate) fn listen(line: &Line, speech: &Speech) -> Vec<Told> {
    let mut words = Vec::new();
    let mut depacketizer = Depacketizer::new(&speech.formats[0], Rate::Narrow, &BuiltIn).unwrap();
    let mut detector = Detector::new(depacketizer.rate().hz());
    let mut next = 0;
    for got in &line.got {
        depacketizer.take(at(got.ms), &got.header, &got.payload, &mut |sound| {
            // A pause is silence to the ear.
            let silence = vec![0; (sound.at - next) as usize];
            detector.take(&silence, &mut |word| words.push(word));
            next = sound.at + sound.samples.len() as u64;
            detector.take(sound.samples, &mut |word| words.push(word));
        });
    }
    detector.finish(&mut |word| words.push(word));
    words
}

pub(crate) fn all_keys() -> Vec<(u8, u64)> {
    KEYS.iter().enumerate().map(|(n, key)| (*key, 60 + 20 * (n as u64 % 5))).collect()
}

#[track_caller]
pub(crate) fn assert_same(heard: &[(u8, u64)], pressed: &[(u8, u64)], within: u64, what: &str) {
    let keys = |all: &[(u8, u64)]| String::from_utf8(all.iter().map(|(key, _)| *key).collect()).unwrap();
    assert_eq!(keys(heard), keys(pressed), "{what}");
    for ((key, heard), (_, pressed)) in heard.iter().zip(pressed) {
        assert!(heard.abs_diff(*pressed) <= within, "{what}: {} lasted {heard} ms, not {pressed}", *key as char);
    }
}
