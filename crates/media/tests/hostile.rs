//! What a relay must stand: strangers, streams that break every habit, packets of any size at either port. Each case has the counts that must
//! come of it. Only the public doors are used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use media::quality::Quality;
use media::{Component, Counters, Dropped, Forward, Packet, PairId, Peer, Relay, rtcp, rtp};
use model::{Instant, Rng};
use std::net::SocketAddr;

const CALLER: PairId = PairId(0);
const CALLEE: PairId = PairId(1);
const AT_CALLER: &str = "192.0.2.1:4000";
const AT_CALLEE: &str = "198.51.100.1:6000";
const STRANGER: &str = "203.0.113.66:4000";
/// What PCMA sends of a tone; its silence would be another thing to measure.
const SOUND: u8 = 0x35;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(us: u64) -> Instant {
    Instant::from_micros(1_000_000 + us)
}

fn peer(rtp: &str) -> Peer {
    Peer { rtp: addr(rtp), rtcp: None, mux: false }
}

fn anchored(caller: &str, callee: &str) -> Relay {
    let mut relay = Relay::new(16);
    relay.join(CALLER, CALLEE).unwrap();
    relay.expect(CALLER, &peer(caller));
    relay.expect(CALLEE, &peer(callee));
    relay
}

fn usual() -> Relay {
    anchored(AT_CALLER, AT_CALLEE)
}

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> [u8; 172] {
    let mut packet = [SOUND; 172];
    let header = rtp::Header { marker: false, payload_type: 8, sequence, timestamp, ssrc };
    rtp::write(packet.first_chunk_mut().unwrap(), &header);
    packet
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut report = Vec::new();
    rtcp::push_receiver(&mut report, ssrc, &[]);
    report
}

/// Brings bytes to a port of a pair.
fn bring(relay: &mut Relay, us: u64, to: (PairId, Component), from: &str, bytes: &mut [u8]) -> Forward {
    relay.forward(at(us), to.0, to.1, addr(from), &mut Packet::whole(bytes))
}

/// Number `n` of a usual stream of the caller's; what leaves.
fn say(relay: &mut Relay, us: u64, from: &str, n: u32) -> Forward {
    say_as(relay, us, from, (7, 100_u16.wrapping_add(n as u16), n * 160)).0
}

/// A packet of the caller's side with these numbers; what leaves, and with which header.
fn say_as(
    relay: &mut Relay,
    us: u64,
    from: &str,
    (ssrc, sequence, timestamp): (u32, u16, u32),
) -> (Forward, rtp::Header) {
    let mut bytes = packet(ssrc, sequence, timestamp);
    let verdict = bring(relay, us, (CALLER, Component::Rtp), from, &mut bytes);
    assert!(bytes[rtp::HEADER..].iter().all(|byte| *byte == SOUND), "sound is never touched");
    (verdict, rtp::read(&bytes).unwrap())
}

fn to_callee() -> Forward {
    Forward::Send { pair: CALLEE, component: Component::Rtp, to: addr(AT_CALLEE) }
}

const REFUSED: Forward = Forward::Drop(Dropped::ThirdParty);

fn quality(relay: &Relay) -> Quality {
    relay.counted(CALLER).first.quality.expect("something came")
}

/// Numbers that a stranger has guessed or overheard change nothing.
#[test]
fn a_stranger_is_not_heard_before_the_party_nor_after_it() {
    let mut relay = usual();
    // He comes first, with numbers in no order; with a good guess he is nobody yet.
    for n in [5, 9, 2] {
        assert_eq!(say(&mut relay, u64::from(n), STRANGER, n), REFUSED);
    }
    for n in 0..50 {
        assert_eq!(say(&mut relay, 20_000 * u64::from(n), AT_CALLER, n), to_callee(), "packet {n}");
        // The very numbers of the stream, from his address and from another port of the party's host.
        for from in [STRANGER, "192.0.2.1:4002"] {
            assert_eq!(say(&mut relay, 20_000 * u64::from(n) + 5, from, n + 1), REFUSED, "packet {n}");
        }
    }
    let back = bring(&mut relay, 1_000_000, (CALLEE, Component::Rtp), AT_CALLEE, &mut packet(9, 1, 1));
    assert_eq!(
        back,
        Forward::Send { pair: CALLER, component: Component::Rtp, to: addr(AT_CALLER) },
        "nothing goes to him"
    );
    let counted = relay.counted(CALLER);
    assert_eq!((counted.first.relayed, counted.first.refused, counted.second.refused), (50, 103, 0));
    let expected = Counters { relayed: 51, third_party: 103, ..Counters::default() };
    assert_eq!(*relay.counters(), expected);
    assert_eq!(
        (quality(&relay).packets, quality(&relay).lost, quality(&relay).strays),
        (50, 0, 0),
        "he is not measured"
    );
}

/// A party behind NAT may be elsewhere than its description says; that is proven by three packets in a row, once.
#[test]
fn who_has_proven_himself_first_is_replaced_by_nobody_but_a_new_description() {
    let mut relay = anchored("10.0.0.5:4000", AT_CALLEE);
    let nat = "203.0.113.9:50000";
    assert_eq!((say(&mut relay, 0, nat, 1), say(&mut relay, 20_000, nat, 2)), (REFUSED, REFUSED));
    assert_eq!(say(&mut relay, 40_000, nat, 3), to_callee());
    for n in 0..200 {
        assert_eq!(say(&mut relay, 50_000 + 20_000 * u64::from(n), STRANGER, n), REFUSED);
        assert_eq!(say(&mut relay, 60_000 + 20_000 * u64::from(n), nat, 4 + n), to_callee());
    }
    relay.expect(CALLER, &peer("10.0.0.5:4000"));
    assert_eq!(say(&mut relay, 5_000_000, STRANGER, 7), REFUSED, "the same description again opens no door");
    assert_eq!(relay.counted(CALLER).first.refused, 203);
}

#[test]
fn a_change_of_source_a_wrap_and_a_jump_of_time_are_heard_as_one_stream() {
    let mut relay = usual();
    let mut heard: Vec<rtp::Header> = Vec::new();
    let mut us = 0;
    let mut streak = |relay: &mut Relay, ssrc: u32, sequence: u16, timestamp: u32, count: u16| {
        for n in 0..count {
            us += 20_000;
            let numbers = (ssrc, sequence.wrapping_add(n), timestamp.wrapping_add(u32::from(n) * 160));
            let (verdict, header) = say_as(relay, us, AT_CALLER, numbers);
            assert_eq!(verdict, to_callee());
            heard.push(header);
        }
    };
    // Over the end of both numbers; then the clock of the same source jumps by an hour.
    streak(&mut relay, 7, 65_530, 0xffff_ff00, 60);
    streak(&mut relay, 7, 54, 9_344 + 8_000 * 3_600, 60);
    let before_change = quality(&relay);
    assert_eq!(
        (before_change.lost, before_change.strays, before_change.source_changes),
        (0, 0, 0),
        "{before_change:?}"
    );
    assert_eq!(before_change.timestamp_jumps, 1, "{before_change:?}");
    // Another source from the same address, with numbers of its own.
    streak(&mut relay, 8, 3_000, 77, 60);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{pair:?}");
    }
    let changed = quality(&relay);
    assert_eq!((changed.packets, changed.lost, changed.source_changes), (180, 0, 1), "{changed:?}");
    assert_eq!(*relay.counters(), Counters { relayed: 180, ..Counters::default() });
}

#[test]
fn a_clock_that_is_fast_loses_nothing_and_is_measured() {
    let mut relay = usual();
    // Two per mille fast: 19.96 ms between packets of 20 ms, for ten minutes.
    for n in 0..30_000 {
        assert_eq!(say(&mut relay, u64::from(n) * 19_960, AT_CALLER, n), to_callee());
    }
    let quality = quality(&relay);
    assert_eq!(
        (quality.packets, quality.lost, quality.late, quality.timestamp_jumps),
        (30_000, 0, 0, 0),
        "{quality:?}"
    );
    let skew = quality.skew_ppm.expect("ten minutes tell");
    assert!((1_900..=2_100).contains(&skew), "{skew}");
}

/// One in five is lost; of the rest some come twice, and some change places with the next.
#[test]
fn loss_repetition_and_reordering_are_counted_as_they_were_made() {
    let (mut relay, mut rng) = (usual(), Rng::new(5));
    let (mut lost, mut twice, mut swapped, mut sent) = (0, 0, 0, 0);
    let mut arrivals: Vec<(u64, u32)> = Vec::new();
    let mut last_swapped = false;
    for n in 0..5_000_u32 {
        let due = u64::from(n) * 20_000;
        // The first and the last arrive, so that how many were sent is known from the numbers.
        let edge = n == 0 || n == 4_999;
        if !edge && rng.below(5) == 0 {
            lost += 1;
            last_swapped = false;
            continue;
        }
        sent += 1;
        let late = !edge && !last_swapped && n > 10 && rng.below(20) == 0;
        last_swapped = late;
        // By a little more than one packet's time: the next one overtakes it, if that is not lost.
        arrivals.push((due + if late { 25_000 } else { 0 }, n));
        if rng.below(25) == 0 {
            twice += 1;
            arrivals.push((due + if late { 25_001 } else { 1 }, n));
        }
    }
    arrivals.sort_unstable();
    let mut highest = 0;
    let mut seen = std::collections::BTreeSet::new();
    for (us, n) in arrivals {
        assert_eq!(say(&mut relay, us, AT_CALLER, n), to_callee(), "all that comes is relayed");
        swapped += u64::from(n < highest && seen.insert(n));
        seen.insert(n);
        highest = highest.max(n);
    }
    let quality = quality(&relay);
    assert!((900..1_100).contains(&lost) && twice > 100 && swapped > 100, "{lost}, {twice}, {swapped}");
    assert_eq!((quality.expected, quality.packets, quality.missing), (5_000, sent + twice, lost), "{quality:?}");
    assert_eq!((quality.duplicates, quality.reordered, quality.late), (twice, swapped, 0), "{quality:?}");
    // RFC 3550 §A.3 counts what came twice as if it were what never came.
    assert_eq!(quality.lost, lost as i64 - twice as i64);
    assert_eq!(relay.counters().relayed, sent + twice);
}

#[test]
fn reports_of_strangers_are_refused_at_both_ports() {
    let mut relay = usual();
    assert_eq!(say(&mut relay, 0, AT_CALLER, 1), to_callee());
    let mut goodbye = report(7);
    rtcp::push_bye(&mut goodbye, 7);
    for (us, component) in [(1, Component::Rtcp), (2, Component::Rtp)] {
        for bytes in [&mut report(7), &mut goodbye.clone()] {
            assert_eq!(bring(&mut relay, us, (CALLER, component), "203.0.113.66:4001", bytes), REFUSED);
        }
    }
    let good = bring(&mut relay, 3, (CALLER, Component::Rtcp), "192.0.2.1:4001", &mut report(7));
    assert_eq!(good, Forward::Send { pair: CALLEE, component: Component::Rtcp, to: addr("198.51.100.1:6001") });
    // He has been first at the port of reports, and still nothing goes to him.
    let back = bring(&mut relay, 4, (CALLEE, Component::Rtcp), "198.51.100.1:6001", &mut report(9));
    assert_eq!(back, Forward::Send { pair: CALLER, component: Component::Rtcp, to: addr("192.0.2.1:4001") });
    let expected = Counters { relayed: 1, relayed_rtcp: 2, third_party: 4, ..Counters::default() };
    assert_eq!(*relay.counters(), expected);
}

/// RTP at the port of reports is no RTCP; reports at the port of RTP are, whether or not both agreed to that (RFC 5761 §5.1.1).
#[test]
fn what_comes_to_the_wrong_port_is_told_apart() {
    let mut relay = usual();
    assert_eq!(say(&mut relay, 0, AT_CALLER, 1), to_callee());
    let sound = bring(&mut relay, 1, (CALLER, Component::Rtcp), AT_CALLER, &mut packet(7, 101, 320));
    assert_eq!(sound, Forward::Drop(Dropped::NotRtp));
    let told = bring(&mut relay, 2, (CALLER, Component::Rtp), AT_CALLER, &mut report(7));
    assert_eq!(told, Forward::Send { pair: CALLEE, component: Component::Rtcp, to: addr("198.51.100.1:6001") });
    let expected = Counters { relayed: 1, relayed_rtcp: 1, not_rtp: 1, ..Counters::default() };
    assert_eq!(*relay.counters(), expected);
    assert_eq!(relay.counted(CALLER).first.relayed, 1, "neither is counted as sound");
}

#[test]
fn the_smallest_and_the_largest_are_relayed_or_dropped_whole() {
    let mut relay = usual();
    for component in [Component::Rtp, Component::Rtcp] {
        for length in [0, 1, 3, 11] {
            let dropped = bring(&mut relay, 0, (CALLER, component), AT_CALLER, &mut vec![0x80; length]);
            assert_eq!(dropped, Forward::Drop(Dropped::NotRtp), "{length} bytes");
        }
    }
    let mut largest = vec![SOUND; 65_507];
    largest[..12].copy_from_slice(&packet(7, 1, 160)[..12]);
    let before = largest.clone();
    assert_eq!(bring(&mut relay, 1, (CALLER, Component::Rtp), AT_CALLER, &mut largest), to_callee());
    assert_eq!(largest, before);
    assert_eq!(say(&mut relay, 2, AT_CALLER, 1), to_callee(), "twelve bytes or more are a packet");
    let header_alone = bring(&mut relay, 3, (CALLER, Component::Rtp), AT_CALLER, &mut packet(7, 102, 480)[..12]);
    assert_eq!(header_alone, to_callee());
    let expected = Counters { relayed: 3, not_rtp: 8, ..Counters::default() };
    assert_eq!(*relay.counters(), expected);
}

/// The same host by the other family is another host.
#[test]
fn parties_may_be_of_either_family_and_a_stranger_too() {
    let (v6, stranger) = ("[2001:db8::1]:4000", "[2001:db8::66]:4000");
    let mut relay = anchored(v6, AT_CALLEE);
    assert_eq!(say(&mut relay, 0, v6, 1), to_callee());
    for from in [stranger, "[::ffff:198.51.100.1]:6000", STRANGER, AT_CALLER] {
        assert_eq!(say(&mut relay, 1, from, 2), REFUSED, "{from}");
    }
    let back = bring(&mut relay, 2, (CALLEE, Component::Rtp), AT_CALLEE, &mut packet(9, 1, 1));
    assert_eq!(back, Forward::Send { pair: CALLER, component: Component::Rtp, to: addr(v6) });
    let told = bring(&mut relay, 3, (CALLER, Component::Rtcp), "[2001:db8::1]:4001", &mut report(7));
    assert_eq!(told, Forward::Send { pair: CALLEE, component: Component::Rtcp, to: addr("198.51.100.1:6001") });
    let expected = Counters { relayed: 2, relayed_rtcp: 1, third_party: 4, ..Counters::default() };
    assert_eq!(*relay.counters(), expected);
}

/// Streams of nonsense from the party itself: all are relayed or dropped, each counted once, and its good stream goes on.
#[test]
fn a_party_that_sends_nonsense_harms_itself_alone() {
    let (mut relay, mut rng) = (usual(), Rng::new(11));
    let mut now = 0;
    for n in 0..20_000_u32 {
        now += rng.below(3_000);
        let mut bytes: Vec<u8> = (0..rng.below(60)).map(|_| rng.next_u64() as u8).collect();
        if rng.below(2) == 0 && bytes.len() > 12 {
            bytes[0] = 0x80 | (rng.next_u64() as u8 & 0x3f);
        }
        let component = if rng.below(4) == 0 { Component::Rtcp } else { Component::Rtp };
        bring(&mut relay, now, (CALLER, component), AT_CALLER, &mut bytes);
        let counted: u64 = relay.counters().iter().map(|(_, count)| count).sum();
        assert_eq!(counted, u64::from(n) + 1);
    }
    let back = bring(&mut relay, now, (CALLEE, Component::Rtp), AT_CALLEE, &mut packet(9, 1, 1));
    assert_eq!(back, Forward::Send { pair: CALLER, component: Component::Rtp, to: addr(AT_CALLER) });
    assert_eq!(say(&mut relay, now + 20_000, AT_CALLER, 1), to_callee());
}
