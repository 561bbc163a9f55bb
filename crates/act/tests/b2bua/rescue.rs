//! Audio of live calls that is moved to another interface, and parties that are kept while the other is called again.

use crate::media::describe;
use crate::peer::{say, sdp};
use crate::world::{Lab, line_of, port_of, version_of};
use act::Ending;
use decide::{Exclusion, Note, Rescue};
use media::rtp;
use model::{Health, Instant, ListenId, Span, TrunkId};
use sip::{HeaderName, Method};

const OFFICE: usize = 0;
const ACME: usize = 1;
const GLOBEX: usize = 2;

impl Lab {
    fn rescues(&mut self, trunk: usize, rescue: Rescue) {
        self.shape.trunks[trunk].as_mut().unwrap().audio.rescue = rescue;
    }

    /// The audio of a carrier may go by the inner interface as well.
    pub fn has_two_interfaces(&mut self, trunk: usize) {
        self.profiles.trunks[trunk].as_mut().unwrap().interfaces = vec![ListenId(1), ListenId(0)];
    }

    fn all_notes(&self) -> Vec<Note> {
        self.ended.iter().flat_map(|call| call.notes.iter().map(|noted| noted.what)).collect()
    }
}

/// A call by acme that is up and heard, with globex behind it.
fn up(rescue: Rescue) -> Lab {
    let mut lab = Lab::new(2);
    lab.rescues(ACME, rescue);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab
}

fn hang_up(lab: &mut Lab) {
    lab.send(OFFICE, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn audio_that_stops_moves_to_the_other_interface_of_its_trunk() {
    let mut lab = Lab::new(1);
    lab.has_two_interfaces(ACME);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    let before = lab.shown_last(ACME);
    assert_eq!(line_of(&before, "c="), "c=IN IP4 203.0.113.9");
    lab.talk(4_000, &[OFFICE]);
    let after = lab.shown_last(ACME);
    assert_eq!(line_of(&after, "c="), "c=IN IP4 198.51.100.9");
    assert_eq!(version_of(&after), version_of(&before) + 1, "RFC 3264 §8");
    assert_ne!(port_of(&after), port_of(&before));
    lab.hear_each_other(OFFICE, ACME);
    lab.talk(3_000, &[OFFICE, ACME]);
    let notes = lab.notes();
    assert!(notes.iter().any(|noted| matches!(noted.what, Note::Moved { .. })), "{notes:?}");
    assert!(matches!(notes.last().unwrap().what, Note::Back { .. }), "{notes:?}");
    assert_eq!(lab.peers[OFFICE].requests(Method::Invite).len(), 0, "the other side hears nothing of it");
    lab.talk(60_000, &[OFFICE, ACME]);
    hang_up(&mut lab);
    assert_eq!(lab.b2bua.counters().audio_moved, 1);
}

/// What comes of a peer by its numbers, a packet every 20 ms, for as long as the path carries it; and what the office was sent of it.
fn stream(lab: &mut Lab, ssrc: u8, first: u16, count: u16, carried: bool) -> Vec<(Instant, rtp::Header)> {
    let mut heard = Vec::new();
    for n in first..first + count {
        let mut packet = vec![0x55; 172];
        let header = rtp::Header {
            marker: false,
            payload_type: 8,
            sequence: n,
            timestamp: u32::from(n) * 160,
            ssrc: u32::from(ssrc),
        };
        rtp::write(packet.first_chunk_mut().unwrap(), &header);
        let (port, from) = (port_of(&lab.shown_last(ACME)), lab.peers[ACME].media);
        let sent = carried.then(|| lab.pass(port, from, &packet)).flatten();
        if let Some((to, packet)) = sent {
            assert_eq!(to, lab.peers[OFFICE].media);
            heard.push((lab.now, rtp::read(&packet).unwrap()));
        }
        let to = lab.shown_last(OFFICE);
        lab.speak(OFFICE, &to);
        lab.run(20);
    }
    heard
}

/// The carrier goes on by the other interface, as the source that it was and as another one: the office hears one stream, by the clock.
#[test]
fn what_the_other_side_hears_goes_on_as_one_stream_over_a_move() {
    for (other, missing) in [(7, 200), (9, 0)] {
        let mut lab = Lab::new(1);
        lab.has_two_interfaces(ACME);
        lab.call("+4722");
        lab.run(1_000);
        let mut heard = stream(&mut lab, 7, 1_000, 250, true);
        let before = lab.shown_last(ACME);
        stream(&mut lab, 7, 1_250, 200, false);
        assert_ne!(port_of(&lab.shown_last(ACME)), port_of(&before), "moved by now");
        heard.extend(stream(&mut lab, other, 1_450, 250, true));
        assert_eq!(heard.len(), 500);
        for (n, pair) in heard.windows(2).enumerate() {
            let [(then, before), (now, after)] = pair else { continue };
            assert_eq!(after.ssrc, 7);
            // What the same source has sent meanwhile was lost, and is told as lost.
            let step = if n == 249 { 1 + missing } else { 1 };
            assert_eq!(after.sequence - before.sequence, step);
            let passed = now.since(*then).as_millis() * 8;
            let told = u64::from(after.timestamp - before.timestamp);
            assert!(passed.abs_diff(told) <= 60 * 8, "{told} of {passed} at {n}");
        }
        assert_eq!(lab.peers[OFFICE].requests(Method::Invite).len(), 0, "its description need not change");
        hang_up(&mut lab);
    }
}

#[test]
fn audio_stays_where_it_is_when_the_peer_refuses_to_move_it() {
    let mut lab = Lab::new(1);
    lab.has_two_interfaces(ACME);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    let (to_office, to_acme) = (lab.shown_last(OFFICE), lab.shown_last(ACME));
    lab.peers[ACME].inside = vec![say(10, 488)];
    lab.talk(20_000, &[OFFICE]);
    assert_eq!(lab.peers[ACME].requests(Method::Invite).len(), 2, "asked once");
    assert_eq!(lab.speak(ACME, &to_acme), Some(lab.peers[OFFICE].media), "what was agreed before holds");
    assert_eq!(lab.speak(OFFICE, &to_office), Some(lab.peers[ACME].media));
    assert!(lab.notes().iter().any(|noted| noted.what == Note::NotMoved { code: Some(488) }));
    hang_up(&mut lab);
}

#[test]
fn a_call_that_ends_while_its_audio_moves_leaves_nothing_behind() {
    let mut lab = Lab::new(1);
    lab.has_two_interfaces(ACME);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[ACME].inside = vec![sdp(3_000, 200)];
    lab.talk(4_000, &[OFFICE]);
    hang_up(&mut lab);
}

#[test]
fn a_peer_that_offers_something_itself_is_asked_again_to_move() {
    let mut lab = Lab::new(1);
    lab.has_two_interfaces(ACME);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[ACME].inside = vec![say(10, 491)];
    lab.talk(3_600, &[OFFICE]);
    lab.peers[ACME].inside = vec![sdp(10, 200)];
    lab.talk(3_000, &[OFFICE]);
    assert_eq!(line_of(&lab.shown_last(ACME), "c="), "c=IN IP4 198.51.100.9");
    hang_up(&mut lab);
}

/// The carrier is killed under a live call: its party is called again by the next trunk, and the office is kept.
#[test]
fn a_party_behind_a_carrier_that_dies_is_called_again_by_the_next() {
    let mut lab = up(Rescue::On);
    lab.peers[ACME].dead = true;
    lab.talk(10_000, &[OFFICE]);
    assert_eq!(lab.b2bua.calls(), 1);
    let invite = lab.peers[GLOBEX].requests(Method::Invite)[0].clone();
    assert!(String::from_utf8_lossy(invite.uri()).contains("+4722"), "the same number");
    assert_eq!(lab.peers[OFFICE].requests(Method::Bye).len(), 0, "the office is kept");
    assert_eq!(lab.peers[OFFICE].requests(Method::Invite).len(), 0, "and there is nothing to be offered (RFC 3264 §8)");
    lab.hear_each_other(OFFICE, GLOBEX);
    let notes = lab.all_notes();
    assert!(
        matches!(notes[..], [Note::Silent { .. }, Note::NoReply { .. }, Note::Called { .. }, Note::Reached { .. }]),
        "{notes:?}"
    );
    assert_eq!(lab.ended[0].ending, Ending::Ended("a party was lost and reached again by another call"));
    lab.talk(10_000, &[OFFICE, GLOBEX]);
    lab.send(GLOBEX, Method::Bye, "", vec![]);
    lab.settle();
    let plan = lab.ended[1].plan.as_ref().unwrap();
    assert!(
        plan.excluded.iter().any(|out| out.trunk == TrunkId(1) && out.cause == Exclusion::LostTheParty),
        "{:?}",
        plan.excluded
    );
    assert_eq!(lab.ended[1].attempts.len(), 1);
    let counters = lab.b2bua.counters();
    assert_eq!((counters.rescues, counters.rescued, counters.rescues_failed, counters.transfers), (1, 1, 0, 0));
}

/// Whoever answers wants other audio than the office has: it is asked, at the port that it knows.
#[test]
fn who_is_kept_is_asked_when_the_next_carrier_wants_other_audio() {
    let mut lab = up(Rescue::On);
    let before = lab.shown_last(OFFICE);
    lab.peers[GLOBEX].codec = "PCMA/8000\r\na=ptime:30\r\na=x-rate:8";
    lab.peers[ACME].dead = true;
    lab.talk(10_000, &[OFFICE]);
    assert_eq!(lab.peers[OFFICE].requests(Method::Invite).len(), 1);
    let after = lab.shown_last(OFFICE);
    assert_eq!((port_of(&after), version_of(&after)), (port_of(&before), version_of(&before) + 1), "RFC 3264 §8");
    lab.hear_each_other(OFFICE, GLOBEX);
    hang_up(&mut lab);
}

/// RFC 3550 §5.1: the carrier that dies, comfort noise and the next carrier are one stream for the office, by its numbers and its clock.
#[test]
fn who_is_kept_hears_one_stream_through_the_whole_rescue() {
    let mut lab = up(Rescue::On);
    lab.peers[GLOBEX].steps = vec![vec![say(20, 180), sdp(500, 200)]];
    let mut heard = stream(&mut lab, 7, 1_000, 100, true);
    lab.peers[ACME].dead = true;
    let mut number = 9_000;
    for _ in 0..350 {
        if lab.peers[GLOBEX].sessions.iter().any(|session| session.answered) {
            number += 1;
            let mut packet = vec![0x55; 172];
            let header = rtp::Header {
                marker: false,
                payload_type: 8,
                sequence: number,
                timestamp: u32::from(number) * 160,
                ssrc: 99,
            };
            rtp::write(packet.first_chunk_mut().unwrap(), &header);
            let (port, from) = (port_of(&lab.shown_last(GLOBEX)), lab.peers[GLOBEX].media);
            heard.extend(lab.pass(port, from, &packet).map(|(_, packet)| (lab.now, rtp::read(&packet).unwrap())));
        }
        let to = lab.shown_last(OFFICE);
        lab.speak(OFFICE, &to);
        lab.run(20);
        let now = lab.now;
        lab.relay.tick(now);
        while let Some(made) = lab.relay.poll_made() {
            assert_eq!(made.to, lab.peers[OFFICE].media);
            heard.extend(rtp::read(made.packet).map(|header| (now, header)));
        }
    }
    assert!(number > 9_060, "globex is there");
    for (n, pair) in heard.windows(2).enumerate() {
        let [(then, before), (now, after)] = pair else { continue };
        assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence + 1), "at {n}");
        let passed = now.since(*then).as_millis();
        let told = u64::from(after.timestamp - before.timestamp) / 8;
        assert!(passed.abs_diff(told) <= 60, "{told} of {passed} ms at {n}");
        assert!(n == 99 || passed <= 60, "nothing for {passed} ms at {n}");
    }
    assert_eq!(lab.peers[OFFICE].requests(Method::Invite).len(), 0);
    hang_up(&mut lab);
    let media = [0, 1].map(|call: usize| lab.ended[call].media.unwrap());
    assert!(media[0].second.relayed >= 100, "what acme said is in the record of its call: {media:?}");
    assert_eq!(media[1].second.relayed, u64::from(number - 9_000), "and what globex said in that of its own");
}

/// Many calls are to be moved or rescued at the same moment, and no port is left: they wait for those that are opened meanwhile.
#[test]
fn what_is_to_be_done_waits_for_ports_and_not_for_ever() {
    for (rescue, listen) in [(true, ListenId(1)), (false, ListenId(0))] {
        for opened in [true, false] {
            let mut lab = up(if rescue { Rescue::On } else { Rescue::Off });
            if rescue {
                lab.peers[ACME].dead = true;
            } else {
                lab.has_two_interfaces(ACME);
            }
            let mut taken: Vec<_> = core::iter::from_fn(|| lab.ports.take(listen)).collect();
            lab.talk(if rescue { 4_800 } else { 4_300 }, &[OFFICE]);
            let waited = lab.b2bua.counters().audio_waited;
            assert!((1..=15).contains(&waited), "{waited}");
            assert_eq!(lab.peers[GLOBEX].requests(Method::Invite).len(), 0);
            if opened {
                taken.drain(..).for_each(|(pair, _)| lab.ports.put_back(pair));
            }
            lab.talk(3_000, &[OFFICE]);
            let counters = *lab.b2bua.counters();
            let done = if rescue { counters.rescued } else { counters.audio_moved };
            assert_eq!(done, u64::from(opened), "rescue {rescue}, opened {opened}: {counters:?}");
            let failed = if rescue { counters.rescues_failed } else { counters.audio_not_moved };
            assert_eq!(failed, u64::from(!opened), "rescue {rescue}, opened {opened}: {counters:?}");
            taken.drain(..).for_each(|(pair, _)| lab.ports.put_back(pair));
            if lab.b2bua.calls() > 0 {
                lab.send(OFFICE, Method::Bye, "", vec![]);
            }
            lab.settle();
        }
    }
}

/// RFC 4028 §10: what was agreed with the party that is kept holds in the call that it goes on in.
#[test]
fn the_session_of_who_is_kept_is_refreshed_in_its_next_call() {
    let mut lab = Lab::new(2);
    lab.rescues(ACME, Rescue::On);
    let offer = lab.peers[OFFICE].sdp();
    lab.call_with(
        OFFICE,
        "+4722",
        offer,
        &[("Supported", "timer"), ("Session-Expires", "90;refresher=uas"), ("Allow", "INVITE, UPDATE")],
    );
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[ACME].dead = true;
    lab.talk(8_000, &[OFFICE]);
    lab.talk(60_000, &[OFFICE, GLOBEX]);
    let refreshed = lab.peers[OFFICE].requests(Method::Update).len() + lab.peers[OFFICE].requests(Method::Invite).len();
    assert!(refreshed >= 1, "within half of 90 s");
    assert_eq!(lab.b2bua.calls(), 1);
    hang_up(&mut lab);
}

#[test]
fn who_is_kept_hears_comfort_noise_until_the_other_is_there() {
    let mut lab = up(Rescue::On);
    lab.peers[GLOBEX].steps = vec![vec![say(20, 180), sdp(4_000, 200)]];
    lab.peers[ACME].dead = true;
    lab.talk(5_000, &[OFFICE]);
    let mut heard = 0;
    for _ in 0..50 {
        lab.run(20);
        let now = lab.now;
        lab.relay.tick(now);
        while let Some(made) = lab.relay.poll_made() {
            assert_eq!(made.to, lab.peers[OFFICE].media);
            heard += 1;
        }
    }
    assert!(heard >= 40, "{heard} packets in a second");
    lab.run(5_000);
    lab.hear_each_other(OFFICE, GLOBEX);
    hang_up(&mut lab);
}

/// Packets that the office is sent by the edge itself within a second of being kept, by payload type.
fn heard_when_kept(mut lab: Lab) -> Vec<u8> {
    lab.rescues(ACME, Rescue::On);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[GLOBEX].steps = vec![vec![say(2_000, 180)]];
    lab.peers[ACME].dead = true;
    lab.talk(5_000, &[OFFICE]);
    let mut heard = vec![];
    for _ in 0..50 {
        lab.run(20);
        let now = lab.now;
        lab.relay.tick(now);
        while let Some(made) = lab.relay.poll_made() {
            let header = rtp::read(made.packet).filter(|_| made.to == lab.peers[OFFICE].media);
            heard.extend(header.map(|header| header.payload_type));
        }
    }
    heard
}

#[test]
fn who_is_kept_is_kept_company_in_the_codec_that_he_speaks() {
    let mut lab = Lab::new(2);
    for peer in [OFFICE, ACME, GLOBEX] {
        describe(&mut lab, peer, "9\r\na=rtpmap:9 G722/8000\r\n");
    }
    let heard = heard_when_kept(lab);
    assert!(heard.len() >= 40 && heard.iter().all(|number| *number == 9), "{heard:?}");
}

#[test]
fn who_is_kept_hears_the_announcement_where_there_is_one() {
    let mut file =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x06\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x10\0\0\0".to_vec();
    file.extend_from_slice(&[media::g711::encode_a(12_000); 16]);
    let mut lab = Lab::new(2);
    lab.profiles.announcement = Some(media::recording::Recording::from_wav(&file).unwrap());
    lab.rescues(ACME, Rescue::On);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[ACME].dead = true;
    lab.peers[GLOBEX].steps = vec![vec![say(2_000, 180)]];
    lab.talk(5_000, &[OFFICE]);
    lab.run(20);
    let now = lab.now;
    lab.relay.tick(now);
    let made = lab.relay.poll_made().expect("a packet for the office").packet.to_vec();
    assert!(made[rtp::HEADER..].iter().all(|code| *code == media::g711::encode_a(12_000)), "{made:?}");
}

#[test]
fn who_is_kept_is_told_why_when_nobody_can_be_reached() {
    let mut lab = up(Rescue::On);
    lab.peers[GLOBEX].steps = vec![vec![say(20, 486)]];
    lab.peers[ACME].dead = true;
    lab.talk(10_000, &[OFFICE]);
    assert_eq!(lab.b2bua.calls(), 0);
    let bye = lab.peers[OFFICE].requests(Method::Bye)[0].clone();
    let reason = String::from_utf8_lossy(bye.header(HeaderName::Reason).unwrap()).into_owned();
    assert!(reason.contains("could not be reached again"), "{reason}");
    assert_eq!(lab.all_notes().last(), Some(&Note::NotReached { code: 486 }));
    lab.settle();
    assert_eq!(lab.b2bua.counters().rescues_failed, 1);
}

#[test]
fn who_is_kept_may_hang_up_meanwhile() {
    let mut lab = up(Rescue::On);
    lab.peers[GLOBEX].steps = vec![vec![say(20, 180), sdp(9_000, 200)]];
    lab.peers[ACME].dead = true;
    lab.talk(6_000, &[OFFICE]);
    assert_eq!(lab.b2bua.calls(), 2);
    hang_up(&mut lab);
    let counters = lab.b2bua.counters();
    assert_eq!((counters.rescues, counters.rescued, counters.rescues_failed), (1, 0, 1));
}

#[test]
fn nobody_is_called_again_unless_that_is_wanted_or_the_call_is_for_help() {
    let mut lab = up(Rescue::Off);
    lab.peers[ACME].dead = true;
    lab.talk(6_000, &[OFFICE]);
    assert_eq!((lab.b2bua.calls(), lab.peers[GLOBEX].requests(Method::Invite).len()), (0, 0));
    lab.settle();
    let mut lab = Lab::new(2);
    lab.call("112");
    lab.run(1_000);
    lab.talk(5_000, &[OFFICE, ACME]);
    lab.peers[ACME].dead = true;
    lab.talk(6_000, &[OFFICE]);
    lab.hear_each_other(OFFICE, GLOBEX);
    hang_up(&mut lab);
}

/// SIP passes and audio does not, from the answer on: the trunk may not be in doubt yet, but nobody has ever been heard.
#[test]
fn a_call_that_has_never_been_heard_is_rescued_though_its_carrier_answers() {
    let mut lab = Lab::new(2);
    lab.rescues(ACME, Rescue::On);
    lab.call("+4722");
    lab.run(1_000);
    lab.talk(8_000, &[OFFICE]);
    assert_eq!(lab.peers[ACME].requests(Method::Bye).len(), 1, "it is let go");
    lab.hear_each_other(OFFICE, GLOBEX);
    hang_up(&mut lab);
}

#[test]
fn one_who_falls_silent_is_left_until_others_of_his_trunk_do() {
    let mut lab = up(Rescue::On);
    lab.talk(20_000, &[OFFICE]);
    assert_eq!(
        (lab.peers[GLOBEX].requests(Method::Invite).len(), lab.peers[ACME].requests(Method::Bye).len()),
        (0, 0),
        "he may be muted"
    );
    lab.health(1, Health::Down);
    lab.talk(4_000, &[OFFICE]);
    lab.hear_each_other(OFFICE, GLOBEX);
    hang_up(&mut lab);
}

/// A carrier's call to the office, and the carrier dies: whoever called is called back, when that is wanted.
#[test]
fn a_caller_behind_a_carrier_that_dies_is_called_back_when_that_is_wanted() {
    for (rescue, back) in [(Rescue::On, false), (Rescue::Both, true)] {
        let mut lab = Lab::new(2);
        lab.rescues(ACME, rescue);
        let offer = lab.peers[ACME].sdp();
        lab.call_with(ACME, "+4733", offer, &[]);
        lab.run(1_000);
        lab.talk(5_000, &[OFFICE, ACME]);
        lab.peers[ACME].dead = true;
        lab.talk(8_000, &[OFFICE]);
        assert_eq!(lab.peers[GLOBEX].requests(Method::Invite).len(), usize::from(back), "{rescue:?}");
        if back {
            lab.hear_each_other(OFFICE, GLOBEX);
            hang_up(&mut lab);
        }
        lab.settle();
    }
}

#[test]
fn a_call_is_rescued_twice_and_no_more() {
    let mut lab = Lab::new(3);
    (1..=3).for_each(|trunk| lab.rescues(trunk, Rescue::On));
    lab.call("+4722");
    lab.run(1_000);
    for trunk in 1..=3 {
        lab.talk(5_000, &[OFFICE, trunk]);
        lab.peers[trunk].dead = true;
        lab.talk(12_000, &[OFFICE]);
    }
    lab.settle();
    assert_eq!(lab.b2bua.counters().rescues, 2);
    assert!(lab.ended.iter().all(|call| call.ended.since(call.invited) < Span::from_secs(60)));
}
