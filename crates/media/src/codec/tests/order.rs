//! Loss, late packets, duplicates, pauses, noise, other sources.

use super::signal::{decibels, speech, tone};
use super::*;
use proptest::prelude::*;

fn made(codec: Codec, packet_ms: u8, sound: &[i16]) -> Vec<Packet> {
    packets(&mut Packetizer::new(&format(codec, packet_ms), Rate::Narrow, &BuiltIn).unwrap(), sound, 160)
}

fn ear(codec: Codec) -> Depacketizer {
    Depacketizer::new(&format(codec, 20), Rate::Narrow, &BuiltIn).unwrap().with_noise(Some(NOISE))
}

fn origins(heard: &Heard) -> Vec<Origin> {
    heard.iter().map(|(_, origin, _)| *origin).collect()
}

/// Comfort noise in the place of a packet.
fn noise(packet: &Packet, level: u8) -> Packet {
    Packet { header: Header { payload_type: NOISE, ..packet.header }, payload: std::vec![level] }
}

#[test]
fn lost_packets_leave_no_hole_and_keep_the_energy() {
    let whole = speech(8_000, 64_000);
    for codec in [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::L16, Codec::Opus] {
        for percent in [5, 20] {
            let mut packets = made(codec, 20, &whole);
            let mut rng = model::Rng::new(9);
            let all = packets.len();
            packets.retain(|packet| packet.header.sequence == 65_500 || rng.next_u64() % 100 >= percent);
            let lost = all - packets.len();
            let mut depacketizer = ear(codec);
            let heard = hear(&mut depacketizer, &packets);
            let counts = *depacketizer.counts();
            assert!(lost > 10 && counts.lost >= lost as u64 - 5 && counts.concealed == counts.lost, "{counts:?}");
            let line = line(&heard);
            assert!(heard.windows(2).all(|two| two[0].0 + two[0].2.len() as u64 == two[1].0), "no hole");
            let silent = line.split(|sample| sample.unsigned_abs() > 1).map(<[i16]>::len).max().unwrap();
            assert!(silent < 20 * depacketizer.rate().per_ms(), "{codec:?}, {percent} %: {silent} samples of silence");
            let off = decibels(&whole) - decibels(&line);
            assert!(off.abs() < if percent == 5 { 0.5 } else { 2.0 }, "{codec:?}, {percent} %: {off} dB");
        }
    }
}

#[test]
fn late_and_double_packets_are_left_out_and_counted() {
    let mut packets = made(Codec::Pcma, 20, &speech(8_000, 16_000));
    packets.swap(10, 11);
    let again = packets[20].clone();
    packets.insert(21, again);
    let mut depacketizer = ear(Codec::Pcma);
    let heard = hear(&mut depacketizer, &packets);
    let counts = *depacketizer.counts();
    assert_eq!((counts.late, counts.duplicate, counts.lost, counts.concealed), (1, 1, 1, 1));
    assert_eq!(counts.spoken, 99);
    assert_eq!(line(&heard).len(), 16_000, "each stretch of time once");
}

#[test]
fn numbers_and_timestamps_go_around() {
    // They begin at 65500 and a thousand ticks before the end.
    let packets = made(Codec::G722, 20, &tone(440, 8_000, 16_000, 8_000.0));
    assert!(packets[0].header.sequence > packets[99].header.sequence);
    assert!(packets[0].header.timestamp > packets[99].header.timestamp);
    let mut depacketizer = ear(Codec::G722);
    let heard = hear(&mut depacketizer, &packets);
    assert_eq!((line(&heard).len(), depacketizer.counts().spoken), (32_000, 100));
    assert!(origins(&heard).iter().all(|origin| *origin == Origin::Spoken));
}

#[test]
fn a_pause_is_no_loss_and_stays_a_pause() {
    let mut packets = made(Codec::Pcma, 20, &speech(8_000, 3_200));
    for packet in &mut packets[10..] {
        packet.header.timestamp = packet.header.timestamp.wrapping_add(8_000);
    }
    packets[10].header.marker = true;
    let (mut depacketizer, mut heard) = (ear(Codec::Pcma), Heard::new());
    for (n, packet) in packets.iter().enumerate() {
        let now = Instant::ZERO + Span::from_millis(20 * n as u64 + if n < 10 { 0 } else { 1_000 });
        take(&mut depacketizer, now, packet, &mut heard);
    }
    assert_eq!((heard.len(), heard[9].0, heard[10].0), (20, 1_440, 9_600));
    assert_eq!((depacketizer.counts().lost, depacketizer.counts().concealed), (0, 0));

    let (mut packetizer, mut out) =
        (Packetizer::new(&format(Codec::G722, 30), Rate::Narrow, &BuiltIn).unwrap(), Vec::new());
    for (at, origin, samples) in &mut heard {
        packetizer.put(&Sound { at: *at, samples, origin: *origin }, &mut |packet| keep(&mut out, &packet));
    }
    let times: Vec<u32> = out.iter().map(|packet| packet.header.timestamp.wrapping_sub(u32::MAX - 1_000)).collect();
    // Two hundred milliseconds are six packets of thirty and two thirds of one, which silence fills.
    assert_eq!(times[..7], [0, 240, 480, 720, 960, 1_200, 1_440]);
    assert_eq!(times[7..], [9_600, 9_840, 10_080, 10_320, 10_560, 10_800]);
    let marked: Vec<usize> = (0..out.len()).filter(|n| out[*n].header.marker).collect();
    assert_eq!(marked, [0, 7]);
}

#[test]
fn more_than_five_lost_packets_are_not_made_up() {
    for (lost, concealed) in [(5, 5), (6, 0)] {
        let mut packets = made(Codec::Pcmu, 20, &speech(8_000, 16_000));
        packets.drain(20..20 + lost);
        let mut depacketizer = ear(Codec::Pcmu);
        let heard = hear(&mut depacketizer, &packets);
        let counts = *depacketizer.counts();
        assert_eq!((counts.lost, counts.concealed), (lost as u64, concealed));
        assert_eq!(counts.restarts, u64::from(concealed == 0));
        assert_eq!(line(&heard).len(), 16_000, "time goes on all the same");
    }
}

#[test]
fn telephone_events_are_no_loss() {
    let mut packets = made(Codec::Pcma, 20, &speech(8_000, 16_000));
    let began = packets[30].header.timestamp;
    for packet in &mut packets[30..38] {
        (packet.header.payload_type, packet.header.timestamp) = (101, began);
    }
    let mut depacketizer = ear(Codec::Pcma);
    let heard = hear(&mut depacketizer, &packets);
    let counts = *depacketizer.counts();
    assert_eq!((counts.other, counts.lost, counts.concealed, counts.spoken), (8, 0, 0, 92));
    assert_eq!((heard.len(), heard[30].0), (92, 38 * 160));
}

#[test]
fn comfort_noise_sounds_until_speech_comes_3389() {
    let packets = made(Codec::Pcma, 20, &speech(8_000, 16_000));
    let mut sent = packets[..20].to_vec();
    sent.extend([noise(&packets[20], 50), noise(&packets[24], 60)]);
    sent.extend_from_slice(&packets[27..30]);
    for (n, packet) in sent.iter_mut().enumerate() {
        packet.header.sequence = n as u16;
    }
    let mut depacketizer = ear(Codec::Pcma);
    let heard = hear(&mut depacketizer, &sent);
    assert_eq!((depacketizer.counts().noise, depacketizer.counts().concealed), (2, 0));
    let line = line(&heard);
    assert_eq!(line.len(), 30 * 160);
    assert!(level_of(&line[20 * 160..24 * 160]).abs_diff(50) <= 1);
    assert!(level_of(&line[25 * 160..27 * 160]).abs_diff(60) <= 1);
    let quiet = heard.iter().filter(|(_, origin, _)| *origin == Origin::Noise).map(|(.., samples)| samples.len());
    assert_eq!(quiet.sum::<usize>(), 7 * 160);
}

#[test]
fn who_has_a_clock_goes_on_with_the_noise() {
    let packets = made(Codec::Pcma, 20, &speech(8_000, 16_000));
    let (mut depacketizer, mut heard) = (ear(Codec::Pcma), Heard::new());
    let quiet = |depacketizer: &mut Depacketizer| {
        let mut count = 0;
        let went_on = depacketizer.go_on_quietly(&mut |sound| count += sound.samples.len());
        (went_on, count)
    };
    take(&mut depacketizer, Instant::ZERO, &packets[0], &mut heard);
    assert_eq!(quiet(&mut depacketizer), (false, 0));
    take(&mut depacketizer, Instant::ZERO, &noise(&packets[1], 50), &mut heard);
    for _ in 0..5 {
        assert_eq!(quiet(&mut depacketizer), (true, 160));
    }
    let mut next = packets[7].clone();
    next.header.sequence = packets[2].header.sequence;
    take(&mut depacketizer, Instant::ZERO + Span::from_millis(140), &next, &mut heard);
    assert_eq!(heard.last().map(|(at, origin, _)| (*at, *origin)), Some((7 * 160, Origin::Spoken)));
}

#[test]
fn quiet_sound_becomes_comfort_noise_for_who_understands_it() {
    let mut sound = speech(8_000, 16_000);
    let mut rng = model::Rng::new(1);
    sound.extend((0..16_000).map(|_| (rng.next_u64() % 61) as i16 - 30));
    sound.extend(speech(8_000, 8_000));
    let plain = made(Codec::Pcmu, 20, &sound);
    assert_eq!(plain.len(), 250, "it is off unless asked for");
    let packetizer = Packetizer::new(&format(Codec::Pcmu, 20), Rate::Narrow, &BuiltIn).unwrap();
    let sent = packets(&mut packetizer.with_noise(Some(NOISE)), &sound, 160);
    let quiet: Vec<&Packet> = sent.iter().filter(|packet| packet.header.payload_type == NOISE).collect();
    assert!((8..=14).contains(&quiet.len()), "{}", quiet.len());
    assert!(quiet.iter().all(|packet| packet.payload.len() == 1 && packet.payload[0].abs_diff(65) <= 3));
    let spoken = sent.len() - quiet.len();
    assert!((155..=165).contains(&spoken), "speech is all sent, and 200 ms of its end: {spoken}");
    let again = sent.iter().rposition(|packet| packet.header.payload_type == NOISE).unwrap() + 1;
    assert!(sent[again].header.marker);
    assert_eq!(sent[again].header.timestamp.wrapping_sub(sent[0].header.timestamp), 32_000);
    // And back: as long as it was, with noise at its place.
    let (mut depacketizer, mut heard) = (ear(Codec::Pcmu), Heard::new());
    for packet in &sent {
        let now = packet.header.timestamp.wrapping_sub(sent[0].header.timestamp) / 8;
        take(&mut depacketizer, Instant::ZERO + Span::from_millis(now.into()), packet, &mut heard);
    }
    assert_eq!(line(&heard).len(), 40_000);
    assert_eq!(depacketizer.counts().lost, 0);
}

#[test]
fn another_source_and_another_count_begin_anew() {
    let packets = made(Codec::Pcma, 20, &speech(8_000, 16_000));
    let (mut depacketizer, mut heard) = (ear(Codec::Pcma), Heard::new());
    let mut now = Instant::ZERO;
    for n in 0..60u32 {
        let mut packet = packets[n as usize].clone();
        match n {
            20..40 => (packet.header.ssrc, packet.header.timestamp) = (99, 77_777 + n * 160),
            40.. => (packet.header.ssrc, packet.header.sequence) = (99, 30_000 + n as u16),
            _ => {}
        }
        take(&mut depacketizer, now, &packet, &mut heard);
        now += Span::from_millis(20);
    }
    // One packet is needed to prove the new count: it is left out.
    let counts = *depacketizer.counts();
    assert_eq!((counts.restarts, counts.late, counts.spoken, counts.lost), (2, 1, 59, 0));
    assert_eq!((line(&heard).len(), heard[20].0, heard[40].0), (60 * 160, 20 * 160, 41 * 160));
}

#[test]
fn what_makes_no_whole_frame_is_counted_and_its_place_made_up() {
    let mut packets = made(Codec::L16, 20, &speech(8_000, 8_000));
    packets[10].payload.pop();
    packets[20].payload.clear();
    let mut depacketizer = ear(Codec::L16);
    let heard = hear(&mut depacketizer, &packets);
    assert_eq!((depacketizer.counts().malformed, depacketizer.counts().concealed), (2, 2));
    assert_eq!(line(&heard).len(), 16_000);
}

#[test]
fn timestamps_that_tell_no_time_are_not_waited_for() {
    // They stand still.
    let mut packets = made(Codec::Pcma, 20, &tone(440, 8_000, 16_000, 9_000.0));
    packets.iter_mut().for_each(|packet| packet.header.timestamp = 5);
    let heard = hear(&mut ear(Codec::Pcma), &packets);
    assert_eq!(line(&heard).len(), 16_000);
    // They leap an hour, and back.
    let mut packets = made(Codec::Pcma, 20, &tone(440, 8_000, 16_000, 9_000.0));
    packets[30..50]
        .iter_mut()
        .for_each(|packet| packet.header.timestamp = packet.header.timestamp.wrapping_add(28_800_000));
    let heard = hear(&mut ear(Codec::Pcma), &packets);
    assert_eq!(line(&heard).len(), 16_000);
}

proptest! {
    #[test]
    fn any_packets_are_survived_and_sound_never_goes_back(
        codec in prop::sample::select(&[Codec::Pcma, Codec::G722, Codec::L16, Codec::Opus][..]),
        packets in prop::collection::vec(
            (
                prop::collection::vec(any::<u8>(), 0..600),
                (any::<bool>(), prop::sample::select(&[8u8, 9, 13, 97, 111][..])),
                prop_oneof![any::<u16>(), 0u16..20],
                prop_oneof![any::<u32>(), (0u32..50).prop_map(|n| n * 160)],
                (1u32..3, 0u64..5_000_000),
            ),
            0..40,
        ),
    ) {
        let mut depacketizer = ear(codec);
        let mut packetizer = Packetizer::new(&format(Codec::Pcmu, 30), depacketizer.rate(), &BuiltIn).unwrap();
        let (mut now, mut at, mut sent) = (Instant::ZERO, 0, None);
        let count = packets.len() as u64;
        for (payload, (marker, payload_type), sequence, timestamp, (ssrc, waited)) in packets {
            now += Span::from_micros(waited);
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut wrong = false;
            depacketizer.take(now, &header, &payload, &mut |sound| {
                wrong |= sound.at < at || sound.samples.is_empty() || sound.samples.len() > 1_920;
                at = sound.at + sound.samples.len() as u64;
                packetizer.put(&sound, &mut |packet| {
                    wrong |= packet.payload.len() != 240 || sent.is_some_and(|end| packet.timestamp < end);
                    sent = Some(packet.timestamp + packet.ticks);
                });
            });
            prop_assert!(!wrong);
        }
        let counts = *depacketizer.counts();
        prop_assert_eq!(
            counts.spoken + counts.noise + counts.other + counts.late + counts.duplicate + counts.malformed,
            count
        );
    }
}
