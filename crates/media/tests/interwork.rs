//! Sides that speak differently understand each other through the relay: codecs, payload types, and digits any way to any other.
#![allow(clippy::unwrap_used, clippy::panic)]

mod line;

use line::{
    A, B, Got, Line, Speaker, address, all_keys, assert_same, at, events, format, listen, press, speech, understood,
};
use media::dtmf::telephone_event::Sender;
use media::{Codec, Component, Digit, Digits, Format, Packet, Relay, Speech, rtp};
use model::{Rng, Span};

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
