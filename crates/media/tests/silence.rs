//! Digits of and for those who send nothing while they are silent: between two keys, and behind the last.
#![allow(clippy::unwrap_used, clippy::panic)]

mod line;

use line::{B, Line, Speaker, assert_same, at, events, format, listen, speech, understood};
use media::dtmf::Told;
use media::dtmf::telephone_event::{Block, Sender};
use media::{Codec, Digit, Digits, Speech};
use model::{Instant, Span};

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

/// A talker who has pressed `1` for 120 ms and says no more.
fn falls_silent(listener: &Speech) -> (Line, Speaker, u64) {
    let tones = speech(format(Codec::Pcma, 8, 20), Digits::Inband);
    let (mut line, mut speaker) = (Line::new(&tones, listener), Speaker::new(&tones));
    speaker.generator.begin(Digit::of_key(b'1').unwrap());
    for n in 0..6 {
        speaker.sound(&mut line, 20 * n, true);
    }
    (line, speaker, 120)
}

#[test]
fn a_key_is_let_go_though_nothing_is_sent_behind_it() {
    let pcma = format(Codec::Pcma, 8, 20);
    let (mut line, ..) = falls_silent(&speech(pcma, Digits::Info));
    line.go_on(300);
    assert!(matches!(line.told[..], [(B, digit, _)] if digit.key() == '1'), "{:?}", line.told);
    let wants_events = speech(pcma, events(101, 8_000));
    let (mut line, ..) = falls_silent(&wants_events);
    line.go_on(3_000);
    assert_same(&understood(&line, &wants_events), &[(b'1', 120)], 20, "and its length is known");
    let ended = line.got.last().unwrap();
    assert!(ended.payload[1] & 0x80 != 0 && ended.ms < 320, "{ended:?}");
}

/// The rest of a tone comes late: it is the same digit, unless its talker says that he was silent.
#[test]
fn a_tone_whose_rest_is_late_is_one_digit_and_one_that_begins_anew_is_another() {
    let wants_info = speech(format(Codec::Pcma, 8, 20), Digits::Info);
    for (marker, keys) in [(false, 1), (true, 2)] {
        let (mut line, mut speaker, ms) = falls_silent(&wants_info);
        speaker.marks = marker;
        for n in 0..20 {
            speaker.sound(&mut line, ms + 300 + 20 * n, true);
            if n == 5 {
                speaker.generator.end();
            }
        }
        assert_eq!(line.told.len(), keys, "{:?}", line.told);
    }
}

/// Nothing but events comes, as of an Asterisk that plays nothing: the tones made of them are as long, and what is between them is no
/// shorter than who hears them needs.
#[test]
fn tones_made_of_events_alone_are_as_long_as_the_keys_were_pressed_and_leave_at_their_time() {
    let dials = speech(format(Codec::Pcma, 8, 20), events(101, 8_000));
    let hears = speech(format(Codec::Pcma, 8, 20), Digits::Inband);
    let (mut line, mut speaker) = (Line::new(&dials, &hears), Speaker::new(&dials));
    let keys = b"0123456789*#ABCD11";
    let mut ms = 500;
    for key in keys {
        let mut sender = Sender::new(8_000, 20);
        sender.press(at(ms), Digit::of_key(*key).unwrap(), Span::from_millis(120)).unwrap();
        while let Some(due) = sender.deadline() {
            let due_ms = due.since(Instant::ZERO).as_millis() - 10_000;
            let event = sender.poll(due).unwrap();
            let header = speaker.header(event.marker, 101, 8 * ms as u32);
            line.send(due_ms, &header, &event.payload);
        }
        ms += 280;
        line.go_on(ms);
    }
    line.go_on(ms + 1_000);
    let heard: Vec<(u8, u64)> = listen(&line, &hears)
        .into_iter()
        .filter_map(|word| match word {
            Told::Ended { digit, duration } => Some((digit.key() as u8, duration.as_millis())),
            Told::Began { .. } => None,
        })
        .collect();
    assert_same(&heard, &keys.map(|key| (key, 120)), 10, "heard");
    let most = line.got.chunk_by(|one, two| two.ms - one.ms < 10).map(<[_]>::len).max();
    assert!(most <= Some(2), "{most:?} packets at once");
    for talk in line.got.chunk_by(|_, next| !next.header.marker) {
        assert!(talk.len() * 20 >= 120 + 65, "{} packets of tone and pause", talk.len());
    }
}

/// A talker who is held up for a moment, wherever in a key or behind it, and makes up for it at once: no key becomes two.
#[test]
fn what_comes_late_and_at_once_leaves_no_hole_in_a_tone() {
    let dials = speech(format(Codec::Pcma, 8, 20), events(101, 8_000));
    let hears = speech(format(Codec::Pcmu, 0, 20), Digits::Inband);
    for (from, long) in (200..480).step_by(20).flat_map(|from| [60, 80, 100, 140].map(|long| (from, long))) {
        let arrives = |ms: u64| if (from..from + long).contains(&ms) { from + long } else { ms };
        let (mut line, mut speaker) = (Line::new(&dials, &hears), Speaker::new(&dials));
        let mut ms = 0;
        for key in [None, Some(b'C'), Some(b'#')] {
            let timestamp = speaker.timestamp();
            for update in 1..=6_u16 {
                speaker.sound(&mut line, arrives(ms), key.is_none());
                if let Some(key) = key {
                    let (code, end) = (Digit::of_key(key).unwrap().event(), update == 6);
                    let block = Block { code, end, volume: 10, duration: 160 * update };
                    let header = speaker.header(update == 1, 101, timestamp);
                    line.send(arrives(ms), &header, &block.write());
                }
                ms += 20;
            }
            for _ in 0..10 {
                speaker.sound(&mut line, arrives(ms), true);
                ms += 20;
            }
        }
        line.go_on(ms + 1_000);
        let keys: Vec<u8> = understood(&line, &hears).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, *b"C#", "held up for {long} ms at {from} ms");
    }
}
