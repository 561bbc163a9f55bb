//! Sides that speak differently understand each other through the relay: codecs, payload types, and digits any way to any other.
#![allow(clippy::unwrap_used, clippy::panic)]

use media::codec::{BuiltIn, Depacketizer, Packetizer, Rate, Sound};
use media::dtmf::Told;
use media::dtmf::inband::{Detector, Generator};
use media::dtmf::telephone_event::{Receiver, Sender};
use media::{Codec, Component, Digit, Digits, Format, Forward, MediaEvent, Packet, PairId, Peer, Relay, Speech, rtp};
use model::{Instant, Rng, Span};
use std::net::SocketAddr;

const A: PairId = PairId(0);
const B: PairId = PairId(1);
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(10_000 + ms)
}

fn address(side: PairId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + side.0 as u8], 4_000))
}

fn format(codec: Codec, payload_type: u8, packet_ms: u8) -> Format {
    Format { codec, payload_type, clock: codec.clock().unwrap_or(16_000), packet_ms }
}

fn speech(format: Format, digits: Digits) -> Speech {
    Speech { formats: [format].into_iter().collect(), digits, noise: None }
}

fn events(payload_type: u8, clock: u32) -> Digits {
    Digits::Events { payload_type, clock }
}

#[derive(Clone, Debug)]
struct Got {
    ms: u64,
    header: rtp::Header,
    payload: Vec<u8>,
}

/// A relay with two sides, and what B gets of what A sends.
struct Line {
    relay: Relay,
    got: Vec<Got>,
    told: Vec<(PairId, Digit, Span)>,
    loss: Option<Rng>,
}

impl Line {
    fn new(a: &Speech, b: &Speech) -> Self {
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
    fn go_on(&mut self, ms: u64) {
        while let Some(due) = self.relay.deadline().filter(|due| *due <= at(ms)) {
            self.relay.tick(due);
            self.collect((due.as_micros() / 1_000).saturating_sub(10_000));
        }
    }

    fn collect(&mut self, ms: u64) {
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

    fn send(&mut self, ms: u64, header: &rtp::Header, payload: &[u8]) {
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
    fn assert_one_stream(&self, lossless: bool) {
        for pair in self.got.windows(2) {
            let (one, two) = (&pair[0].header, &pair[1].header);
            assert_eq!(one.ssrc, two.ssrc);
            let step = two.sequence.wrapping_sub(one.sequence);
            assert!(step == 1 || (!lossless && (1..5).contains(&step)), "{:?} {:?}", pair[0], pair[1]);
        }
    }
}

/// One who speaks: noise as soft as a room's, and digits as his side tells them.
struct Speaker {
    packetizer: Packetizer,
    rate: usize,
    format: Format,
    digits: Digits,
    generator: Generator,
    sequence: u16,
    noise: Rng,
    /// Packets of sound; it is counted though nothing is sent.
    sounds: u64,
}

impl Speaker {
    fn new(speech: &Speech) -> Self {
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
        }
    }

    fn header(&mut self, marker: bool, payload_type: u8, timestamp: u32) -> rtp::Header {
        self.sequence = self.sequence.wrapping_add(1);
        rtp::Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: 0xfeed }
    }

    /// Twenty milliseconds of sound.
    fn sound(&mut self, line: &mut Line, ms: u64, send: bool) {
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
            let header = self.header(false, self.format.payload_type, timestamp.wrapping_add(77_000));
            line.send(ms, &header, &payload);
        }
    }

    fn timestamp(&self) -> u32 {
        (self.sounds as u32 * 20).wrapping_mul(self.format.clock / 1_000).wrapping_add(77_000)
    }
}

/// A sends these digits, 120 ms between them, in its own way.
fn press(line: &mut Line, speech: &Speech, digits: &[(u8, u64)]) {
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
fn understood(line: &Line, speech: &Speech) -> Vec<(u8, u64)> {
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
fn listen(line: &Line, speech: &Speech) -> Vec<Told> {
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

fn all_keys() -> Vec<(u8, u64)> {
    KEYS.iter().enumerate().map(|(n, key)| (*key, 60 + 20 * (n as u64 % 5))).collect()
}

#[track_caller]
fn assert_same(heard: &[(u8, u64)], pressed: &[(u8, u64)], within: u64, what: &str) {
    let keys = |all: &[(u8, u64)]| String::from_utf8(all.iter().map(|(key, _)| *key).collect()).unwrap();
    assert_eq!(keys(heard), keys(pressed), "{what}");
    for ((key, heard), (_, pressed)) in heard.iter().zip(pressed) {
        assert!(heard.abs_diff(*pressed) <= within, "{what}: {} lasted {heard} ms, not {pressed}", *key as char);
    }
}

#[test]
fn digits_any_way_to_any_other_each_once_in_order_with_its_duration() {
    let pcma = format(Codec::Pcma, 8, 20);
    let pairs = [
        (pcma, pcma),
        (pcma, format(Codec::G722, 9, 20)),
        (format(Codec::G722, 9, 20), format(Codec::Pcmu, 0, 30)),
        (format(Codec::L16, 97, 20), pcma),
    ];
    let says = [events(101, 8_000), Digits::Info, Digits::Inband];
    let hears = [events(96, 8_000), events(96, 16_000), Digits::Info, Digits::Inband];
    for (from, to) in pairs {
        for by in says {
            for as_ in hears {
                let what = format!("{} {by:?} to {} {as_:?}", from.codec.name(), to.codec.name());
                let (a, b) = (speech(from, by), speech(to, as_));
                let mut line = Line::new(&a, &b);
                let pressed = all_keys();
                press(&mut line, &a, &pressed);
                assert_same(&understood(&line, &b), &pressed, 20, &what);
                line.assert_one_stream(true);
                if by == Digits::Inband && as_ != Digits::Inband {
                    assert_eq!(listen(&line, &b), [], "{what}: and nobody hears them as tones as well");
                }
                assert_eq!(line.relay.counters().digits_refused, 0, "{what}");
                assert_eq!(line.relay.counters().unsent, 0, "{what}");
            }
        }
    }
}

#[test]
fn digits_as_events_survive_5_percent_loss() {
    let pcma = format(Codec::Pcma, 8, 20);
    for seed in 0..10 {
        for (to, as_) in [
            (pcma, events(96, 8_000)),
            (pcma, events(96, 16_000)),
            (pcma, Digits::Info),
            (format(Codec::G722, 9, 20), Digits::Inband),
            (pcma, Digits::Inband),
        ] {
            let (a, b) = (speech(pcma, events(101, 8_000)), speech(to, as_));
            let mut line = Line::new(&a, &b);
            line.loss = Some(Rng::new(seed));
            press(&mut line, &a, &all_keys());
            assert_same(&understood(&line, &b), &all_keys(), 20, &format!("seed {seed} to {as_:?}"));
            line.assert_one_stream(false);
        }
    }
}

#[test]
fn only_the_number_differs_and_nothing_else_is_touched() {
    let (a, b) = (
        speech(Format { codec: Codec::Opus, payload_type: 111, clock: 48_000, packet_ms: 20 }, events(126, 48_000)),
        speech(Format { codec: Codec::Opus, payload_type: 96, clock: 48_000, packet_ms: 20 }, events(101, 48_000)),
    );
    let mut line = Line::new(&a, &b);
    let header = |n: u16, payload_type| rtp::Header {
        marker: n == 0,
        payload_type,
        sequence: 65_530u16.wrapping_add(n),
        timestamp: 960 * u32::from(n),
        ssrc: 3,
    };
    for n in 0..50 {
        let payload_type = if n % 7 == 3 { 126 } else { 111 };
        line.send(u64::from(n) * 20, &header(n, payload_type), &[1, 0x0a, 3, n as u8]);
    }
    for (n, got) in line.got.iter().enumerate() {
        let n = n as u16;
        let payload_type = if n % 7 == 3 { 101 } else { 96 };
        assert_eq!((got.header, got.payload.as_slice()), (header(n, payload_type), &[1, 0x0a, 3, n as u8][..]));
    }
    let counters = line.relay.counters();
    assert_eq!((counters.relayed, counters.treated, counters.transcoded), (50, 0, 0));
}

#[test]
fn sides_that_speak_alike_have_nobody_between_them_until_a_digit_comes_by_info() {
    let pcma = format(Codec::Pcma, 8, 20);
    let a = speech(pcma, events(101, 8_000));
    let mut line = Line::new(&a, &a);
    let mut speaker = Speaker::new(&a);
    for n in 0..10 {
        speaker.sound(&mut line, n * 20, true);
    }
    line.relay.dial(at(200), B, Digit::of_key(b'7').unwrap(), Span::from_millis(100)).unwrap();
    line.collect(200);
    for n in 10..30 {
        speaker.sound(&mut line, n * 20, true);
    }
    assert_eq!(understood(&line, &a), [(b'7', 100)]);
    line.assert_one_stream(true);
    let sounds: Vec<&Got> = line.got.iter().filter(|got| got.header.payload_type == 8).collect();
    assert_eq!(sounds.len(), 30);
    assert!(
        sounds.windows(2).all(|pair| pair[1].header.timestamp - pair[0].header.timestamp == 160),
        "sound keeps its time"
    );
    let event = line.got.iter().find(|got| got.header.payload_type == 101).unwrap();
    assert!(event.header.marker && event.header.timestamp.abs_diff(sounds[10].header.timestamp) <= 160);
}

#[test]
fn both_in_tones_and_a_digit_by_info_is_heard() {
    let a = speech(format(Codec::Pcma, 8, 20), Digits::Inband);
    let mut line = Line::new(&a, &a);
    let mut speaker = Speaker::new(&a);
    for n in 0..50 {
        if n == 10 {
            line.relay.dial(at(200), B, Digit::of_key(b'7').unwrap(), Span::from_millis(100)).unwrap();
        }
        speaker.sound(&mut line, n * 20, true);
    }
    assert_same(&understood(&line, &a), &[(b'7', 100)], 20, "dialled");
}

#[test]
fn a_digit_is_heard_though_its_speaker_never_sent_a_packet() {
    for as_ in [events(101, 8_000), Digits::Inband] {
        let (a, b) = (speech(format(Codec::Pcma, 8, 20), Digits::Info), speech(format(Codec::Pcmu, 0, 20), as_));
        let mut line = Line::new(&a, &b);
        for (n, key) in b"19#".iter().enumerate() {
            line.relay.dial(at(n as u64), B, Digit::of_key(*key).unwrap(), Span::from_millis(120)).unwrap();
        }
        line.collect(0);
        line.go_on(3_000);
        assert_same(&understood(&line, &b), &[(b'1', 120), (b'9', 120), (b'#', 120)], 20, &format!("{as_:?}"));
        line.assert_one_stream(true);
        let tail = line.got.last().unwrap().ms;
        assert!(tail < 1_000, "and then it is silent again: {tail}");
    }
}

#[test]
fn one_key_twice_is_two_digits_though_the_talker_sends_nothing_in_between() {
    let tones = speech(format(Codec::Pcma, 8, 20), Digits::Inband);
    let wants_events = speech(format(Codec::Pcma, 8, 20), events(101, 8_000));
    let mut line = Line::new(&tones, &wants_events);
    let mut speaker = Speaker::new(&tones);
    let mut ms = 0;
    for _ in 0..2 {
        speaker.generator.begin(Digit::of_key(b'1').unwrap());
        for n in 0..20u64 {
            speaker.sound(&mut line, ms, n < 6);
            ms += 20;
            if n == 5 {
                speaker.generator.end();
            }
        }
    }
    line.go_on(ms + 1_000);
    let keys: Vec<u8> = understood(&line, &wants_events).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, *b"11");
}

#[test]
fn who_stops_the_clock_of_his_sound_while_he_dials_is_heard_at_once_afterwards() {
    let dials = speech(format(Codec::Pcma, 8, 20), events(101, 8_000));
    let hears = speech(format(Codec::Pcma, 8, 20), Digits::Inband);
    let mut line = Line::new(&dials, &hears);
    let mut speaker = Speaker::new(&dials);
    let mut ms = 0;
    for _ in 0..10 {
        speaker.sound(&mut line, ms, true);
        ms += 20;
    }
    for key in *b"0123456789" {
        let mut sender = Sender::new(8_000, 20);
        sender.press(at(ms), Digit::of_key(key).unwrap(), Span::from_millis(120)).unwrap();
        let timestamp = speaker.timestamp() + ms as u32;
        for _ in 0..14 {
            while let Some(event) = sender.poll(at(ms)) {
                let header = speaker.header(event.marker, 101, timestamp);
                line.send(ms, &header, &event.payload);
            }
            line.go_on(ms);
            ms += 20;
        }
    }
    let before = line.got.len();
    for _ in 0..50 {
        speaker.sound(&mut line, ms, true);
        ms += 20;
    }
    let after = line.got.len() - before;
    assert!(after >= 40, "{after} packets of a second");
}

#[test]
fn what_is_said_again_changes_nothing_and_what_changes_goes_on_as_one_stream() {
    let pcma = format(Codec::Pcma, 8, 20);
    let g722 = format(Codec::G722, 9, 20);
    let (a, b, c) = (speech(pcma, events(101, 8_000)), speech(pcma, Digits::Inband), speech(g722, events(96, 8_000)));
    let mut line = Line::new(&a, &b);
    let mut speaker = Speaker::new(&a);
    let mut ms = 0;
    // To tones, to another codec, to nothing to be done, and back; each said twice while sound goes on.
    for hears in [&b, &c, &a, &c, &b, &a] {
        line.relay.interwork(A, &a, hears).unwrap();
        for n in 0..20 {
            if n == 7 {
                line.relay.interwork(A, &a, hears).unwrap();
            }
            speaker.sound(&mut line, ms, true);
            ms += 20;
        }
    }
    line.assert_one_stream(true);
    assert_eq!(line.got.len(), 120);
    for pair in line.got.windows(2) {
        let step = pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp);
        assert!((1..=480).contains(&step), "{pair:?}");
    }
    assert!(line.got[110..].iter().all(|got| got.header.payload_type == 8));
}

#[test]
fn a_digit_in_the_middle_of_a_change_is_told_once() {
    let pcma = format(Codec::Pcma, 8, 20);
    let (a, b) = (speech(pcma, events(101, 8_000)), speech(pcma, Digits::Info));
    let mut line = Line::new(&a, &b);
    let mut sender = Sender::new(8_000, 20);
    let mut speaker = Speaker::new(&a);
    sender.press(at(0), Digit::of_key(b'5').unwrap(), Span::from_millis(200)).unwrap();
    for n in 0..30u64 {
        if n == 5 {
            line.relay.interwork(A, &a, &speech(format(Codec::Pcmu, 0, 20), Digits::Info)).unwrap();
        }
        if let Some(event) = sender.poll(at(n * 20)) {
            let header = speaker.header(event.marker, 101, 9_000);
            line.send(n * 20, &header, &event.payload);
        }
    }
    line.go_on(2_000);
    assert_eq!(understood(&line, &b), [(b'5', 200)]);
}

#[test]
fn comfort_noise_is_renumbered_or_made_into_sound() {
    let pcma = format(Codec::Pcma, 8, 20);
    let with = |noise| Speech { noise, ..speech(pcma, events(101, 8_000)) };
    let run = |hears: &Speech| {
        let mut line = Line::new(&with(Some(13)), hears);
        let header = |n: u16, payload_type| rtp::Header {
            marker: false,
            payload_type,
            sequence: n,
            timestamp: 160 * u32::from(n),
            ssrc: 3,
        };
        for n in 0..10 {
            line.send(u64::from(n) * 20, &header(n, 8), &[0xd5; 160]);
        }
        line.send(200, &header(10, 13), &[45]);
        for n in 11..20 {
            line.send(u64::from(n) * 20, &header(n, 8), &[0xd5; 160]);
        }
        line
    };
    let renumbered = run(&with(Some(98)));
    assert_eq!((renumbered.got[10].header.payload_type, renumbered.got[10].payload.as_slice()), (98, &[45][..]));
    let sound = run(&with(None));
    sound.assert_one_stream(true);
    assert_eq!(sound.got.len(), 20);
    let noise = &sound.got[10];
    assert_eq!((noise.header.payload_type, noise.header.timestamp, noise.payload.len()), (8, 1_600, 160));
    let samples: Vec<i16> = noise.payload.iter().map(|code| media::g711::decode_a(*code)).collect();
    assert!(media::codec::level_of(&samples).abs_diff(45) <= 3, "as loud as it was said to be");
    assert_eq!(sound.got[11].header.timestamp, 11 * 160, "and speech keeps its time");
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_all_as_it_was() {
    let pcma = speech(format(Codec::Pcma, 8, 20), events(101, 8_000));
    let g729 = speech(format(Codec::G729, 18, 20), events(101, 8_000));
    let mut relay = Relay::new(8);
    relay.join(A, B).unwrap();
    let error = relay.interwork(A, &pcma, &g729).unwrap_err();
    assert_eq!(error.to_string(), "the sides share no codec, and G729 can only be passed through here");
    assert!(relay.dial(at(0), B, Digit::of_key(b'1').unwrap(), Span::ZERO).is_err(), "nothing is known of them");
    relay.interwork(A, &g729, &g729).unwrap();
    let unknown = Speech { formats: [].into_iter().collect(), digits: Digits::Inband, noise: None };
    assert!(relay.interwork(A, &pcma, &unknown).is_err(), "tones for a side of which no format is known");
}

#[test]
fn a_flood_of_digits_is_refused_and_what_was_taken_is_told() {
    let (a, b) =
        (speech(format(Codec::Pcma, 8, 20), Digits::Info), speech(format(Codec::Pcma, 8, 20), events(101, 8_000)));
    let mut line = Line::new(&a, &b);
    let digit = Digit::of_key(b'1').unwrap();
    let taken = (0..500).filter(|_| line.relay.dial(at(0), B, digit, Span::from_millis(40)).is_ok()).count();
    line.collect(0);
    line.go_on(60_000);
    assert_eq!(understood(&line, &b).len(), taken);
    assert_eq!(line.relay.counters().digits_refused, 500 - taken as u64);
    assert!((32..=64).contains(&taken));
}

#[test]
fn any_bytes_of_the_peer_are_survived() {
    let mut rng = Rng::new(11);
    let shapes = [
        (speech(format(Codec::Pcma, 8, 20), events(101, 8_000)), speech(format(Codec::G722, 9, 20), Digits::Inband)),
        (speech(format(Codec::G722, 9, 30), Digits::Inband), speech(format(Codec::Pcmu, 0, 10), Digits::Info)),
        (
            speech(format(Codec::Pcma, 8, 20), events(101, 8_000)),
            speech(format(Codec::Pcma, 8, 20), events(101, 16_000)),
        ),
    ];
    for (a, b) in &shapes {
        let mut line = Line::new(a, b);
        let mut ms = 0;
        for _ in 0..20_000 {
            ms += rng.next_u64() % 40;
            line.go_on(ms);
            let length = (rng.next_u64() % 200) as usize;
            let mut packet: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).collect();
            if length >= 2 && !rng.next_u64().is_multiple_of(5) {
                packet[0] = [0x80, 0xa0][(rng.next_u64() % 2) as usize];
                packet[1] = [8, 9, 101, 13, 0][(rng.next_u64() % 5) as usize] | (rng.next_u64() as u8 & 0x80);
            }
            if length >= 12 && !rng.next_u64().is_multiple_of(3) {
                packet[8..12].copy_from_slice(&[0, 0, 0, 1]);
            }
            line.relay.forward(at(ms), A, Component::Rtp, address(A), &mut Packet::whole(&mut packet));
            line.collect(ms);
            if rng.next_u64().is_multiple_of(50) {
                let _ = line.relay.dial(
                    at(ms),
                    B,
                    Digit::of_event((rng.next_u64() % 16) as u8).unwrap(),
                    Span::from_millis(rng.next_u64() % 9_000),
                );
            }
            line.got.clear();
            line.told.clear();
        }
        assert_eq!(line.relay.counters().unsent, 0);
    }
}
