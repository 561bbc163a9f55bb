use super::*;
use crate::dtmf::Told;
use crate::rtp;
use model::Instant;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn digit(key: u8) -> Digit {
    Digit::of_key(key).unwrap()
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    ms: u64,
    timestamp: u32,
    marker: bool,
    payload: [u8; LENGTH],
}

/// What a sender makes of these digits, by its own deadlines.
fn sent(clock: u32, packet_ms: u8, digits: &[(u8, u64)]) -> Vec<Sent> {
    let mut sender = Sender::new(clock, packet_ms);
    for (key, ms) in digits {
        sender.press(at(1_000), digit(*key), Span::from_millis(*ms)).unwrap();
    }
    drain(&mut sender, clock)
}

fn drain(sender: &mut Sender, clock: u32) -> Vec<Sent> {
    let (mut out, mut base) = (Vec::new(), 0);
    while let Some(due) = sender.deadline() {
        while let Some(event) = sender.poll(due) {
            let ms = due.as_micros() / 1_000;
            if event.marker {
                base = 7u32.wrapping_sub(90_000).wrapping_add(ms as u32 * (clock / 1_000));
            }
            let timestamp = base.wrapping_add(event.offset);
            out.push(Sent { ms, timestamp, marker: event.marker, payload: event.payload });
        }
    }
    out
}

fn take(receiver: &mut Receiver, sent: &Sent, told: &mut Vec<Told>) -> Result<(), Refused> {
    let header =
        rtp::Header { marker: sent.marker, payload_type: 101, sequence: 0, timestamp: sent.timestamp, ssrc: 5 };
    receiver.take(at(sent.ms), &header, &sent.payload, &mut |word| told.push(word))
}

fn heard(clock: u32, packets: &[Sent]) -> Vec<Told> {
    let (mut receiver, mut told) = (Receiver::new(clock), Vec::new());
    for packet in packets {
        take(&mut receiver, packet, &mut told).unwrap();
    }
    receiver.tick(at(1_000_000), &mut |word| told.push(word));
    told
}

fn keys(told: &[Told]) -> Vec<u8> {
    let mut pressed = None;
    let mut keys = Vec::new();
    for word in told {
        match word {
            Told::Began { digit } => {
                assert_eq!(pressed.replace(*digit), None, "one at a time");
                keys.push(digit.key() as u8);
            }
            Told::Ended { digit, .. } => assert_eq!(pressed.take(), Some(*digit), "ends what has begun"),
        }
    }
    assert_eq!(pressed, None, "all are ended");
    keys
}

fn durations(told: &[Told]) -> Vec<u64> {
    told.iter()
        .filter_map(|word| match word {
            Told::Ended { duration, .. } => Some(duration.as_millis()),
            Told::Began { .. } => None,
        })
        .collect()
}

#[test]
fn a_digit_is_said_as_the_rfc_says_4733_2_5_1() {
    for clock in [8_000, 16_000, 48_000] {
        let packets = sent(clock, 20, &[(b'5', 100)]);
        let blocks: Vec<Block> = packets.iter().map(|packet| Block::read(packet.payload)).collect();
        let durations: Vec<u32> = blocks.iter().map(|block| u32::from(block.duration) * 1_000 / clock).collect();
        assert_eq!(durations, [20, 40, 60, 80, 100, 100, 100], "{clock}");
        assert_eq!(blocks.iter().filter(|block| block.end).count(), 3);
        assert!(blocks.iter().all(|block| block.code == 5 && block.volume == 10));
        assert_eq!(packets.iter().map(|packet| packet.marker).collect::<Vec<_>>()[..2], [true, false]);
        assert!(packets.iter().all(|packet| packet.timestamp == packets[0].timestamp), "the first one's time");
    }
}

#[test]
fn between_two_digits_there_are_40_ms_q_24() {
    for packet_ms in [10, 20, 30, 60] {
        let packets = sent(8_000, packet_ms, &[(b'1', 100), (b'1', 100)]);
        let starts: Vec<u32> = packets.iter().filter(|packet| packet.marker).map(|packet| packet.timestamp).collect();
        let gap = starts[1].wrapping_sub(starts[0]) / 8 - 100;
        assert!((40..=40 + 2 * u32::from(packet_ms)).contains(&gap), "{packet_ms}: {gap}");
        assert_eq!(keys(&heard(8_000, &packets)), b"11");
    }
}

#[test]
fn a_digit_goes_on_until_it_is_let_go() {
    let mut sender = Sender::new(8_000, 20);
    sender.begin(at(1_000), digit(b'#')).unwrap();
    let mut last = 0;
    for ms in (1_000..1_300).step_by(20) {
        last = Block::read(sender.poll(at(ms)).unwrap().payload).duration;
    }
    assert_eq!(last, 14 * 160);
    sender.end(Span::from_millis(310));
    let ends: Vec<Block> = drain(&mut sender, 8_000).iter().map(|packet| Block::read(packet.payload)).collect();
    assert_eq!(ends, [Block { code: 11, end: true, volume: 10, duration: 2_480 }; 3]);
}

#[test]
fn a_digit_that_nobody_ends_is_ended_by_the_next_or_by_its_limit() {
    let mut sender = Sender::new(8_000, 20);
    sender.begin(at(1_000), digit(b'1')).unwrap();
    sender.begin(at(1_000), digit(b'2')).unwrap();
    let packets = drain(&mut sender, 8_000);
    let told = heard(8_000, &packets);
    assert_eq!((keys(&told), durations(&told)), (b"12".to_vec(), vec![40, 30_000]));
    sender.end(Span::from_secs(1));
    assert_eq!(sender.deadline(), None, "an end of nothing begins nothing");
}

#[test]
fn no_more_digits_wait_than_there_is_room_for() {
    let mut sender = Sender::new(8_000, 20);
    let taken = (0..1_000).filter(|_| sender.press(at(0), digit(b'1'), Span::from_millis(100)).is_ok()).count();
    assert_eq!(taken, 64);
}

#[test]
fn a_long_event_has_segments_and_is_one_digit_4733_2_5_1_3() {
    // 8.2 s are the most that sixteen bits of 8 kHz can say.
    let packets = sent(8_000, 20, &[(b'9', 20_000)]);
    let told = heard(8_000, &packets);
    assert_eq!((keys(&told), durations(&told)), (b"9".to_vec(), vec![20_000]));
    assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1);
    // All of a segment lost but for one of its packets, and the last of the one before.
    let thin: Vec<Sent> =
        packets.iter().copied().filter(|packet| Block::read(packet.payload).duration != 0xffff).collect();
    assert_eq!(durations(&heard(8_000, &thin)), [20_000]);
}

#[test]
fn the_same_digit_twice_is_told_apart_by_its_timestamp() {
    let packets = sent(8_000, 20, &[(b'3', 80), (b'3', 120), (b'3', 60)]);
    let told = heard(8_000, &packets);
    assert_eq!((keys(&told), durations(&told)), (b"333".to_vec(), vec![80, 120, 60]));
    // And when no end came through.
    let open: Vec<Sent> = packets.into_iter().filter(|packet| !Block::read(packet.payload).end).collect();
    assert_eq!(keys(&heard(8_000, &open)), b"333");
}

#[test]
fn an_event_whose_ends_are_lost_ends_by_time() {
    let packets = sent(8_000, 20, &[(b'7', 200)]);
    let (mut receiver, mut told) = (Receiver::new(8_000), Vec::new());
    for packet in &packets[..6] {
        take(&mut receiver, packet, &mut told).unwrap();
    }
    let due = receiver.deadline().unwrap();
    assert_eq!(due, at(packets[5].ms + 250));
    receiver.tick(due, &mut |word| told.push(word));
    assert_eq!((durations(&told), receiver.deadline()), (vec![120], None));
    take(&mut receiver, &packets[8], &mut told).unwrap();
    assert_eq!(told.len(), 2, "what comes after is of the same event");
}

#[test]
fn a_recording_that_is_played_again_is_a_digit_again() {
    // Its packets have the very timestamps they had before.
    let first = sent(8_000, 20, &[(b'1', 100)]);
    let again: Vec<Sent> = first.iter().map(|packet| Sent { ms: packet.ms + 1_000, ..*packet }).collect();
    assert_eq!(keys(&heard(8_000, &[first.clone(), again].concat())), b"11");
    // Another one, of an earlier time.
    let earlier: Vec<Sent> = first
        .iter()
        .map(|packet| Sent { ms: packet.ms + 900, timestamp: packet.timestamp - 50_000, ..*packet })
        .collect();
    assert_eq!(keys(&heard(8_000, &[first, earlier].concat())), b"11");
}

#[test]
fn another_source_counts_anew() {
    let packets = sent(8_000, 20, &[(b'1', 100)]);
    let (mut receiver, mut told) = (Receiver::new(8_000), Vec::new());
    for (ssrc, ms) in [(1, 1_000), (2, 1_010)] {
        let header = rtp::Header { marker: true, payload_type: 101, sequence: 0, timestamp: 3, ssrc };
        receiver.take(at(ms), &header, &packets[0].payload, &mut |word| told.push(word)).unwrap();
    }
    receiver.finish(&mut |word| told.push(word));
    assert_eq!(keys(&told), b"11");
}

#[test]
fn what_says_no_digit_is_refused_by_its_reason() {
    let mut receiver = Receiver::new(8_000);
    let header = rtp::Header { marker: true, payload_type: 101, sequence: 0, timestamp: 5_000, ssrc: 1 };
    let mut none = |_| panic!("nothing to tell");
    assert_eq!(receiver.take(at(0), &header, &[1, 2, 3], &mut none), Err(Refused::Malformed));
    assert_eq!(receiver.take(at(0), &header, &[16, 0x80, 0, 160], &mut none), Err(Refused::NoDigit), "a flash");
    let mut told = Vec::new();
    receiver.take(at(0), &header, &[1, 0x80, 0, 160], &mut |word| told.push(word)).unwrap();
    let before = rtp::Header { timestamp: 3_000, ..header };
    assert_eq!(receiver.take(at(20), &before, &[2, 0x80, 0, 160], &mut none), Err(Refused::Late));
}

#[test]
fn several_events_in_a_packet_follow_each_other_4733_2_5_1_5() {
    let (mut receiver, mut told) = (Receiver::new(8_000), Vec::new());
    let header = rtp::Header { marker: true, payload_type: 101, sequence: 0, timestamp: 9, ssrc: 1 };
    let payload = [1, 0x80, 1, 0x40, 2, 0x80, 3, 0x20, 2, 0, 0, 160];
    for _ in 0..3 {
        receiver.take(at(0), &header, &payload, &mut |word| told.push(word)).unwrap();
    }
    receiver.finish(&mut |word| told.push(word));
    assert_eq!((keys(&told), durations(&told)), (b"122".to_vec(), vec![40, 100, 20]));
}

proptest! {
    /// Of each event at least one packet comes through; some come twice, some are overtaken by others of the same event.
    #[test]
    fn any_loss_that_leaves_one_packet_of_each_gives_each_digit_once(
        digits in prop::collection::vec((0u8..16, 40u64..9_000), 1..8),
        packet_ms in prop::sample::select(vec![10u8, 20, 50]),
        clock in prop::sample::select(vec![8_000u32, 16_000, 48_000]),
        seed in any::<u64>(),
        loss in 0u64..100,
    ) {
        let pressed: Vec<(u8, u64)> =
            digits.iter().map(|(code, ms)| (Digit::of_event(*code).unwrap().key() as u8, *ms)).collect();
        let packets = sent(clock, packet_ms, &pressed);
        let mut rng = model::Rng::new(seed);
        let mut came: Vec<Sent> = Vec::new();
        let starts: Vec<usize> = (0..packets.len()).filter(|index| packets[*index].marker).chain([packets.len()]).collect();
        for event in starts.windows(2) {
            let event = &packets[event[0]..event[1]];
            let kept = (rng.next_u64() % event.len() as u64) as usize;
            // Longer than a quarter of a second nothing is missing: beyond that an event is over.
            let step_max = 200 / u64::from(packet_ms);
            let (mut mine, mut missing) = (Vec::new(), 0);
            for (index, packet) in event.iter().enumerate() {
                let lost = rng.next_u64() % 100 < loss && index != kept;
                missing = if lost { missing + 1 } else { 0 };
                // Before the first and after the last any number may be missing; with one alone all but that one are.
                if (loss > 90 && index == kept) || (loss <= 90 && (!lost || missing >= step_max)) {
                    missing = 0;
                    mine.push(*packet);
                    if rng.next_u64().is_multiple_of(4) {
                        mine.push(*packet);
                    }
                }
            }
            for index in 1..mine.len() {
                // Overtaken within one segment; a marker stays where it is.
                let (one, other) = (mine[index - 1], mine[index]);
                if rng.next_u64().is_multiple_of(5) && one.timestamp == other.timestamp && !one.marker && index + 1 < mine.len() {
                    mine[index - 1] = Sent { ms: one.ms, ..other };
                    mine[index] = Sent { ms: other.ms, ..one };
                }
            }
            came.extend(mine);
        }
        let told = heard(clock, &came);
        prop_assert_eq!(keys(&told), pressed.iter().map(|(key, _)| *key).collect::<Vec<_>>());
        if loss == 0 {
            for (told, (_, ms)) in durations(&told).iter().zip(&pressed) {
                prop_assert!(told.abs_diff(*ms) <= 1, "{} for {}", told, ms);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived_and_what_begins_ends(
        packets in prop::collection::vec((any::<bool>(), 0u32..4_000, 0u32..3, prop::collection::vec(any::<u8>(), 0..14), 0u64..300), 0..60),
    ) {
        let (mut receiver, mut told, mut ms) = (Receiver::new(8_000), Vec::new(), 0);
        for (marker, timestamp, ssrc, mut payload, pause) in packets {
            ms += pause;
            if let Some(code) = payload.first_mut() {
                *code %= 18;
            }
            let header = rtp::Header { marker, payload_type: 101, sequence: 0, timestamp: timestamp * 40, ssrc };
            let _ = receiver.take(at(ms), &header, &payload, &mut |word| told.push(word));
        }
        receiver.finish(&mut |word| told.push(word));
        keys(&told);
    }

    #[test]
    fn a_block_is_what_was_written(bytes in any::<[u8; 4]>()) {
        let block = Block::read(bytes);
        let [code, flags, high, low] = bytes;
        prop_assert_eq!(block.write(), [code, flags & 0xbf, high, low], "but for the reserved bit");
    }
}
