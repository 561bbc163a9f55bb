//! Digits between INFO and packets: each leg is told of them its own way.

use crate::media::{ALAW, BOTH, G722, describe, offered, policy};
use crate::world::{Lab, line_of, port_of};
use media::dtmf::telephone_event::{Block, Sender};
use media::sdp::{DigitsBy, MediaPolicy};
use media::{Codec, Digit, Digits, Format, PairId, Speech, rtp};
use model::Span;
use sip::Method;

const EVENTS: Digits = Digits::Events { payload_type: 101, clock: 8_000 };
const RELAY: &str = "application/dtmf-relay";

fn speech(digits: Digits) -> Speech {
    let format = Format { codec: Codec::Pcma, payload_type: 8, clock: 8_000, packet_ms: 20 };
    Speech { formats: [format].into_iter().collect(), digits, noise: None }
}

/// A call between two who are told of digits so; and the port at which the edge hears the callee.
fn between(caller: Digits, callee: Digits) -> (Lab, u16) {
    let mut lab = Lab::answered(1);
    let pair = |port: u16| PairId((u32::from(port) - 10_000) / 2);
    let (at_caller, at_callee) = (port_of(&lab.ok_body()), port_of(lab.peers[1].requests(Method::Invite)[0].body()));
    lab.relay.interwork(pair(at_caller), &speech(caller), &speech(callee)).unwrap();
    (lab, at_callee)
}

/// The callee presses these keys, told as events.
fn press(lab: &mut Lab, port: u16, keys: &[u8]) {
    let made = press_at(lab, 1, port, keys);
    assert!(made.is_empty(), "told otherwise, not passed");
    lab.tell();
}

/// A peer presses these keys, told as events; what the other one hears of it.
fn press_at(lab: &mut Lab, peer: usize, port: u16, keys: &[u8]) -> Vec<Vec<u8>> {
    let mut heard = Vec::new();
    let mut sender = Sender::new(8_000, 20);
    for key in keys {
        sender.press(lab.now, Digit::of_key(*key).unwrap(), Span::from_millis(100)).unwrap();
    }
    let (from, mut sequence, mut timestamp) = (lab.peers[peer].media, 0, 0);
    while let Some(due) = sender.deadline() {
        lab.now = lab.now.max(due);
        let event = sender.poll(lab.now).unwrap();
        if event.marker {
            timestamp += 8_000;
        }
        let mut packet = [0; 16];
        let header = rtp::Header { marker: event.marker, payload_type: 101, sequence, timestamp, ssrc: 9 };
        rtp::write(packet.first_chunk_mut().unwrap(), &header);
        packet[12..].copy_from_slice(&event.payload);
        heard.extend(lab.pass_all(port, from, &packet).into_iter().map(|(_, packet)| packet));
        sequence += 1;
    }
    heard
}

/// A call from a caller with events through a trunk that tells of digits so and answers this; ports at which caller and callee are heard.
fn through(trunk: MediaPolicy, answer: &str) -> (Lab, u16, u16) {
    let mut lab = Lab::new(1);
    *policy(&mut lab, 1) = trunk;
    describe(&mut lab, 0, BOTH);
    describe(&mut lab, 1, answer);
    lab.call("+4722");
    lab.run(1_000);
    let (at_caller, at_callee) = (port_of(&lab.ok_body()), port_of(lab.peers[1].requests(Method::Invite)[0].body()));
    (lab, at_caller, at_callee)
}

fn digits_by(digits: DigitsBy) -> MediaPolicy {
    MediaPolicy { digits, ..MediaPolicy::NEUTRAL }
}

fn bodies(lab: &Lab, peer: usize) -> Vec<String> {
    let infos = lab.peers[peer].requests(Method::Info);
    infos.iter().map(|info| String::from_utf8(info.body().to_vec()).unwrap()).collect()
}

#[test]
fn an_info_is_dialled_where_the_far_side_wants_events() {
    let (mut lab, _) = between(Digits::Info, EVENTS);
    let to = lab.peers[1].media;
    let info = lab.send(0, Method::Info, RELAY, b"Signal=#\r\nDuration=100\r\n".to_vec());
    lab.run(100);
    assert_eq!((lab.peers[0].codes(info), lab.peers[1].requests(Method::Info).len()), (vec![200], 0));
    lab.relay.tick(lab.now + Span::from_secs(1));
    let made = lab.relay.poll_made().unwrap();
    assert_eq!((made.to, made.packet[1] & 0x7f), (to, 101));
    assert_eq!(Block::read(made.packet[12..].try_into().unwrap()).digit(), Digit::of_key(b'#'));
    assert_eq!((lab.b2bua.counters().digits_dialled, lab.relay.counters().digits_from_info), (1, 1));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn an_info_passes_where_the_far_side_wants_it_and_where_it_is_no_digit_and_where_nothing_is_known() {
    let (mut lab, _) = between(EVENTS, Digits::Info);
    let digit = lab.send(0, Method::Info, RELAY, b"Signal=5\r\n".to_vec());
    lab.run(500);
    assert_eq!((lab.peers[0].codes(digit), bodies(&lab, 1)), (vec![200], vec!["Signal=5\r\n".into()]));

    let (mut lab, _) = between(Digits::Info, EVENTS);
    let flash = lab.send(0, Method::Info, RELAY, b"Signal=16\r\n".to_vec());
    let text = lab.send(0, Method::Info, "text/plain", b"5".to_vec());
    lab.run(500);
    assert_eq!((lab.peers[0].codes(flash), lab.peers[0].codes(text)), (vec![200], vec![200]));
    assert_eq!(bodies(&lab, 1).len(), 2);

    let mut lab = Lab::answered(1);
    let digit = lab.send(0, Method::Info, RELAY, b"Signal=5\r\n".to_vec());
    lab.run(500);
    assert_eq!((lab.peers[0].codes(digit), bodies(&lab, 1).len()), (vec![200], 1));
}

#[test]
fn events_become_infos_one_at_a_time_and_in_order() {
    let (mut lab, port) = between(Digits::Info, EVENTS);
    press(&mut lab, port, b"19#");
    lab.run(1);
    assert_eq!(bodies(&lab, 0).len(), 0, "on its way");
    lab.run(2_000);
    let expected = ["1", "9", "#"].map(|key| format!("Signal={key}\r\nDuration=100\r\n"));
    assert_eq!(bodies(&lab, 0), expected);
    let infos = lab.peers[0].requests_at(Method::Info);
    assert!(infos.windows(2).all(|pair| pair[0] < pair[1]), "each after the answer to the one before");
    assert_eq!((lab.b2bua.counters().digits_told, lab.b2bua.counters().digits_untold), (3, 0));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_digit_that_is_refused_is_counted_and_the_next_one_goes() {
    let (mut lab, port) = between(Digits::Info, EVENTS);
    lab.peers[0].others = 500;
    press(&mut lab, port, b"12");
    lab.run(2_000);
    assert_eq!((bodies(&lab, 0).len(), lab.b2bua.counters().digits_untold), (2, 2));
    lab.peers[0].others = 481;
    press(&mut lab, port, b"34");
    lab.run(2_000);
    assert_eq!(lab.b2bua.counters().digits_untold, 4, "the call is gone, and what waited with it");
    lab.settle();
}

#[test]
fn no_more_digits_wait_for_a_leg_than_there_is_room_for() {
    let (mut lab, port) = between(Digits::Info, EVENTS);
    press(&mut lab, port, &[b'7'; 40]);
    assert_eq!(lab.b2bua.counters().digits_untold, 40 - 1 - 32);
    lab.run(20_000);
    assert_eq!(bodies(&lab, 0).len(), 33);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_trunk_by_info_is_offered_no_events_and_each_digit_becomes_its_own_kind() {
    let (mut lab, at_caller, _) = through(digits_by(DigitsBy::Info), ALAW);
    assert_eq!(offered(&lab, 1), ["0 8"]);
    assert!(line_of(&lab.ok_body(), "m=").ends_with(" 8 101"), "the caller keeps his events");
    assert!(press_at(&mut lab, 0, at_caller, b"5").is_empty(), "told otherwise, not passed");
    lab.tell();
    lab.run(1_000);
    assert_eq!(bodies(&lab, 1), ["Signal=5\r\nDuration=100\r\n"]);
    let info = lab.send(1, Method::Info, RELAY, b"Signal=7\r\nDuration=100\r\n".to_vec());
    lab.run(100);
    assert_eq!((lab.peers[1].codes(info), bodies(&lab, 0).len()), (vec![200], 0));
    lab.relay.tick(lab.now + Span::from_secs(1));
    let made = lab.relay.poll_made().unwrap();
    assert_eq!((made.to, made.packet[1] & 0x7f), (lab.peers[0].media, 101));
    assert_eq!(Block::read(made.packet[12..].try_into().unwrap()).digit(), Digit::of_key(b'7'));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn a_trunk_by_tones_is_offered_no_events_and_hears_them_in_the_sound() {
    let (mut lab, at_caller, _) = through(digits_by(DigitsBy::Inband), ALAW);
    assert_eq!(offered(&lab, 1), ["0 8"]);
    let before = lab.now;
    let mut heard = press_at(&mut lab, 0, at_caller, b"5");
    let ms = lab.now.since(before).as_millis() + 200;
    for _ in 0..ms / 20 {
        lab.now += Span::from_millis(20);
        lab.relay.tick(lab.now);
        while let Some(made) = lab.relay.poll_made() {
            heard.push(made.packet.to_vec());
        }
    }
    assert!(heard.len() >= 5 && heard.iter().all(|packet| packet[1] & 0x7f == 8 && packet.len() == 172), "{heard:?}");
    let counters = lab.relay.counters();
    assert_eq!((counters.digits_from_events, counters.digits_to_tones), (1, 1));
    lab.tell();
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn whoever_sends_an_event_and_an_info_for_one_digit_has_it_dialled_once() {
    // Events on both sides, and sound that is made anew: the packets are treated, and their numbers known.
    let trunk = MediaPolicy { allow: vec!["G722"], ..MediaPolicy::NEUTRAL };
    let (mut lab, at_caller, _) = through(trunk, G722);
    let passed = press_at(&mut lab, 0, at_caller, b"5");
    assert!(!passed.is_empty() && passed.iter().all(|packet| packet[1] & 0x7f == 101));
    let info = lab.send(0, Method::Info, RELAY, b"Signal=5\r\nDuration=100\r\n".to_vec());
    lab.run(500);
    assert_eq!((lab.peers[0].codes(info), bodies(&lab, 1).len()), (vec![200], 1), "it passes as it came");
    lab.relay.tick(lab.now + Span::from_secs(1));
    assert!(lab.relay.poll_made().is_none());
    assert_eq!((lab.b2bua.counters().digits_dialled, lab.relay.counters().digits_from_info), (0, 0));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}
