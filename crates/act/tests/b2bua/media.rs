//! Formats of audio: each trunk is offered what its policy wants of what the caller has, and the caller hears one answer.

use crate::peer::{say, sdp};
use crate::world::{Lab, line_of, port_of, version_of};
use media::sdp::MediaPolicy;
use model::AttemptOutcome;
use sip::{Message, Method};

pub const BOTH: &str = "0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=x-own:1\r\n";
const ULAW: &str = "0\r\na=rtpmap:0 PCMU/8000\r\n";
pub const ALAW: &str = "8\r\na=rtpmap:8 PCMA/8000\r\n";
const AMR: &str = "96\r\na=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n";

/// The peer describes itself so from now on.
pub fn describe(lab: &mut Lab, peer: usize, formats: &str) {
    let (ip, port) = (lab.peers[peer].media.ip(), lab.peers[peer].media.port());
    let body = format!(
        "v=0\r\no=peer 77 1 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}"
    );
    lab.peers[peer].body = Some(body.into_bytes());
}

pub fn policy(lab: &mut Lab, trunk: usize) -> &mut MediaPolicy {
    &mut lab.profiles.trunks[trunk].as_mut().unwrap().media
}

fn allow(names: &[&'static str]) -> MediaPolicy {
    MediaPolicy { allow: names.to_vec(), prefer: names.to_vec(), ..MediaPolicy::NEUTRAL }
}

/// The formats of the media line of a message.
pub fn formats(message: &Message) -> String {
    let line = line_of(message.body(), "m=");
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

pub fn offered(lab: &Lab, peer: usize) -> Vec<String> {
    lab.peers[peer].requests(Method::Invite).iter().map(|invite| formats(invite)).collect()
}

fn hang_up(lab: &mut Lab) {
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

#[test]
fn each_candidate_is_offered_what_its_own_trunk_allows() {
    let mut lab = Lab::new(3);
    *policy(&mut lab, 1) = allow(&["PCMA", "PCMU"]);
    *policy(&mut lab, 2) = MediaPolicy { strip: vec!["PCMA"], ..MediaPolicy::NEUTRAL };
    describe(&mut lab, 0, BOTH);
    for carrier in [1, 2] {
        lab.peers[carrier].steps = vec![vec![say(10, 503)]];
    }
    describe(&mut lab, 3, BOTH);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!([1, 2, 3].map(|peer| offered(&lab, peer).concat()), ["8 0 101", "0 101", "0 8 101"]);
    let stripped = lab.peers[2].requests(Method::Invite)[0].body().to_vec();
    let stripped = String::from_utf8(stripped).unwrap();
    assert!(!stripped.contains("PCMA") && stripped.contains("a=x-own:1\r\n"), "{stripped}");
    assert_eq!(formats(lab.peers[0].last(client)), "0 8 101", "a third trunk's answer is its own");
    lab.hear_each_other(0, 3);
    hang_up(&mut lab);
}

#[test]
fn a_trunk_without_a_common_codec_is_passed_over_and_blamed_for_nothing() {
    let mut lab = Lab::new(2);
    *policy(&mut lab, 1) = MediaPolicy { require: vec!["G722"], ..allow(&["G722", "PCMA"]) };
    describe(&mut lab, 0, AMR);
    describe(&mut lab, 2, AMR);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!((offered(&lab, 1).len(), offered(&lab, 2).concat()), (0, "96".to_owned()));
    assert_eq!((lab.b2bua.counters().no_codec, lab.seen(1).len()), (1, 0));
    hang_up(&mut lab);
}

#[test]
fn the_caller_hears_488_when_no_trunk_can_be_offered_what_he_has() {
    let mut lab = Lab::new(2);
    for trunk in [1, 2] {
        *policy(&mut lab, trunk) = allow(&["PCMA"]);
    }
    describe(&mut lab, 0, AMR);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [488]);
    assert_eq!(lab.b2bua.counters().no_codec, 2);
    // For help it is tried all the same (RFC 5031).
    describe(&mut lab, 1, AMR);
    let client = lab.call("112");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    assert_eq!(offered(&lab, 1), ["96"]);
    lab.send_in(0, 1, Method::Bye, &[]);
    lab.settle();
}

#[test]
fn an_answer_that_was_never_offered_is_no_answer() {
    let mut lab = Lab::new(2);
    *policy(&mut lab, 1) = allow(&["PCMA"]);
    describe(&mut lab, 0, BOTH);
    describe(&mut lab, 1, AMR);
    describe(&mut lab, 2, BOTH);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 180, 200]);
    assert_eq!(formats(lab.peers[0].last(client)), "0 8 101");
    assert_eq!(lab.peers[1].requests(Method::Bye).len(), 1, "whoever has answered is let go");
    let refused = AttemptOutcome::Refused { code: 488, q850: None, retry_after: None };
    lab.hear_each_other(0, 2);
    hang_up(&mut lab);
    assert_eq!(lab.ended[0].attempts[0].outcome, refused);
}

#[test]
fn what_a_trunk_may_not_say_is_kept_from_the_other_side() {
    let mut lab = Lab::new(1);
    // The caller's own trunk is held to A-law, whatever he offers and whatever is answered.
    *policy(&mut lab, 0) = allow(&["PCMA"]);
    describe(&mut lab, 0, BOTH);
    describe(&mut lab, 1, BOTH);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(
        (offered(&lab, 1).concat(), formats(lab.peers[0].last(client))),
        ("8 101".to_owned(), "8 101".to_owned())
    );
    hang_up(&mut lab);
}

#[test]
fn offers_inside_a_call_keep_to_the_policy_both_ways() {
    let mut lab = Lab::new(1);
    *policy(&mut lab, 1) = allow(&["PCMA"]);
    describe(&mut lab, 0, BOTH);
    describe(&mut lab, 1, ALAW);
    lab.call("+4722");
    lab.run(1_000);
    // The caller offers more, and another order.
    describe(&mut lab, 0, "9 0 8\r\na=sendonly\r\n");
    let hold = lab.send_sdp(0, Method::Invite);
    lab.run(500);
    assert_eq!((offered(&lab, 1)[1].as_str(), lab.peers[0].codes(hold)), ("8", vec![200]));
    assert_eq!(formats(lab.peers[0].last(hold)), "8");
    // The carrier changes the codec: its trunk may not.
    describe(&mut lab, 1, BOTH);
    describe(&mut lab, 0, ALAW);
    let change = lab.send_sdp(1, Method::Invite);
    lab.run(500);
    assert_eq!((offered(&lab, 0)[0].as_str(), lab.peers[1].codes(change)), ("8 101", vec![200]));
    describe(&mut lab, 1, ULAW);
    let before = version_of(lab.peers[0].requests(Method::Invite)[0].body());
    let refused = lab.send_sdp(1, Method::Invite);
    lab.run(500);
    assert_eq!((lab.peers[1].codes(refused), offered(&lab, 0).len()), (vec![488], 1), "nothing is left of it");
    // An UPDATE is an offer too.
    describe(&mut lab, 1, BOTH);
    let update = lab.send_sdp(1, Method::Update);
    lab.run(500);
    let updated = lab.peers[0].requests(Method::Update)[0];
    assert_eq!((formats(updated).as_str(), lab.peers[1].codes(update)), ("8 101", vec![200]));
    assert!(version_of(updated.body()) >= before);
    hang_up(&mut lab);
}

#[test]
fn a_late_offer_is_cut_to_what_the_caller_s_trunk_allows() {
    let mut lab = Lab::new(1);
    *policy(&mut lab, 0) = allow(&["PCMA"]);
    describe(&mut lab, 0, ALAW);
    describe(&mut lab, 1, BOTH);
    let client = lab.call_with(0, "+4722", vec![], &[]);
    lab.run(1_000);
    assert_eq!(formats(lab.peers[0].last(client)), "8 101");
    assert_eq!(lab.peers[1].acks().iter().map(|ack| formats(ack)).collect::<Vec<_>>(), ["8"]);
    lab.hear_each_other(0, 1);
    hang_up(&mut lab);
}

#[test]
fn packets_are_asked_for_in_the_length_of_the_trunk() {
    let mut lab = Lab::new(1);
    policy(&mut lab, 1).ptime = Some(30);
    describe(&mut lab, 0, "8\r\na=ptime:20\r\n");
    lab.call("+4722");
    lab.run(1_000);
    assert_eq!(line_of(lab.peers[1].requests(Method::Invite)[0].body(), "a=ptime"), "a=ptime:30");
    hang_up(&mut lab);
}

#[test]
fn without_a_policy_descriptions_pass_as_they_are() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![sdp(10, 183), say(50, 503)]];
    for (peer, text) in [(0, BOTH), (1, ULAW), (2, "8 0\r\na=rtpmap:8 PCMA/8000\r\n")] {
        describe(&mut lab, peer, text);
    }
    lab.attempt_policy(1).hunt_after_progress = true;
    let client = lab.call("+4722");
    lab.run(1_000);
    let said: Vec<String> =
        lab.peers[0].responses(client).filter(|said| !said.body().is_empty()).map(formats).collect();
    assert_eq!((offered(&lab, 1).concat(), offered(&lab, 2).concat()), ("0 8 101".to_owned(), "0 8 101".to_owned()));
    assert_eq!(said, ["0", "8 0"]);
    hang_up(&mut lab);
}

pub const G722: &str = "9 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
const OPUS: &str = "111\r\na=rtpmap:111 opus/48000/2\r\n";

/// What a packet of `peer` in this format has become for the other one: payload type and length of what leaves the edge, and where to.
fn heard(lab: &mut Lab, peer: usize, port: u16, packets: &[(u8, usize)]) -> Vec<(std::net::SocketAddr, u8, usize)> {
    let from = lab.peers[peer].media;
    let mut out = Vec::new();
    for (index, (payload_type, length)) in packets.iter().enumerate() {
        let mut packet = vec![0u8; 12 + length];
        packet[..2].copy_from_slice(&[0x80, *payload_type]);
        packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(160 * index as u32).to_be_bytes());
        packet[8..12].copy_from_slice(&[0, 0, 7, peer as u8 + 1]);
        out.extend(
            lab.pass_all(port, from, &packet).into_iter().map(|(to, sent)| (to, sent[1] & 127, sent.len() - 12)),
        );
        lab.run(20);
    }
    out
}

#[test]
fn the_backup_speaks_another_codec_and_the_caller_goes_on_in_his() {
    let mut lab = Lab::new(2);
    *policy(&mut lab, 2) = allow(&["G722"]);
    lab.attempt_policy(1).hunt_after_progress = true;
    lab.peers[1].steps = vec![vec![sdp(10, 183), say(50, 503)]];
    describe(&mut lab, 0, BOTH);
    describe(&mut lab, 1, ALAW);
    describe(&mut lab, 2, G722);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!((offered(&lab, 1).concat(), offered(&lab, 2).concat()), ("0 8 101".to_owned(), "9 101".to_owned()));
    let said: Vec<String> =
        lab.peers[0].responses(client).filter(|said| !said.body().is_empty()).map(formats).collect();
    assert_eq!(said, ["8", "8 101"], "what he was told in early media is what he speaks");
    let (ours, theirs) = (port_of(&lab.ok_body()), port_of(lab.peers[2].requests(Method::Invite)[0].body()));
    let (caller, callee) = (lab.peers[0].media, lab.peers[2].media);
    let to_callee = heard(&mut lab, 0, ours, &[(8, 160); 8]);
    assert!(to_callee.len() >= 6 && to_callee.iter().all(|sent| *sent == (callee, 9, 160)), "{to_callee:?}");
    let to_caller = heard(&mut lab, 2, theirs, &[(9, 160); 8]);
    assert!(to_caller.len() >= 6 && to_caller.iter().all(|sent| *sent == (caller, 8, 160)), "{to_caller:?}");
    // The caller changes his codec to one that the carrier has: from then on packets pass.
    describe(&mut lab, 0, G722);
    let change = lab.send_sdp(0, Method::Invite);
    lab.run(500);
    assert_eq!(formats(lab.peers[0].last(change)), "9 101");
    let passed = heard(&mut lab, 0, ours, &[(9, 160); 3]);
    assert_eq!(passed, [(callee, 9, 160); 3]);
    hang_up(&mut lab);
}

#[test]
fn a_caller_without_what_everybody_knows_reaches_a_carrier_that_knows_nothing_else() {
    let mut lab = Lab::new(1);
    describe(&mut lab, 0, OPUS);
    describe(&mut lab, 1, ALAW);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(
        (offered(&lab, 1).concat(), formats(lab.peers[0].last(client))),
        ("111 8 0".to_owned(), "111".to_owned())
    );
    let theirs = port_of(lab.peers[1].requests(Method::Invite)[0].body());
    let caller = lab.peers[0].media;
    let sent = heard(&mut lab, 1, theirs, &[(8, 160); 8]);
    assert!(sent.len() >= 6 && sent.iter().all(|(to, format, _)| (*to, *format) == (caller, 111)), "{sent:?}");
    hang_up(&mut lab);
}

#[test]
fn a_late_offer_is_made_for_the_caller_too() {
    let mut lab = Lab::new(1);
    *policy(&mut lab, 0) = allow(&["PCMA"]);
    describe(&mut lab, 0, ALAW);
    describe(&mut lab, 1, OPUS);
    let client = lab.call_with(0, "+4722", vec![], &[]);
    lab.run(1_000);
    assert_eq!(formats(lab.peers[0].last(client)), "8");
    assert_eq!(lab.peers[1].acks().iter().map(|ack| formats(ack)).collect::<Vec<_>>(), ["111"]);
    hang_up(&mut lab);
}

#[test]
fn a_trunk_whose_sound_may_not_be_made_anew_is_passed_over() {
    let mut lab = Lab::new(1);
    *policy(&mut lab, 1) = MediaPolicy { transcode: media::sdp::Transcode::Never, ..allow(&["G722"]) };
    describe(&mut lab, 0, BOTH);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!((lab.peers[0].codes(client), lab.b2bua.counters().no_codec), (vec![488], 1));
    lab.settle();
}

#[test]
fn a_trunk_that_always_wants_its_own_codec_is_offered_it_and_the_caller_keeps_his() {
    let mut lab = Lab::new(1);
    *policy(&mut lab, 1) = MediaPolicy { transcode: media::sdp::Transcode::Always, ..allow(&["G722", "PCMA"]) };
    describe(&mut lab, 0, BOTH);
    describe(&mut lab, 1, G722);
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(
        (offered(&lab, 1).concat(), formats(lab.peers[0].last(client))),
        ("9 8 101".to_owned(), "0 101".to_owned())
    );
    hang_up(&mut lab);
}

#[test]
fn what_is_measured_of_a_side_is_by_the_clocks_of_its_description_though_packets_pass() {
    let mut lab = Lab::new(1);
    describe(&mut lab, 0, "96\r\na=rtpmap:96 opus/48000/2\r\n");
    // The answer has a number of its own: the caller sends by that one (RFC 3264 §6.1).
    describe(&mut lab, 1, "98\r\na=rtpmap:98 opus/48000/2\r\n");
    lab.call("+4722");
    lab.run(1_000);
    let theirs = port_of(lab.peers[1].requests(Method::Invite)[0].body());
    let ours = port_of(&lab.ok_body());
    assert_eq!(heard(&mut lab, 0, ours, &[(98, 60); 3]), [(lab.peers[1].media, 98, 60); 3]);
    assert_eq!(heard(&mut lab, 1, theirs, &[(96, 60); 3]), [(lab.peers[0].media, 96, 60); 3]);
    let counted = lab.relay.counted(::media::PairId((u32::from(ours) - 10_000) / 2));
    let known =
        [counted.first, counted.second].map(|side| side.quality.map(|said| (said.codec, said.jitter.is_some())));
    assert_eq!(known, [Some((Some(::media::Codec::Opus), true)); 2]);
    hang_up(&mut lab);
}

#[test]
fn only_a_trunk_that_is_to_be_asked_for_extended_reports_is_asked_3611_5() {
    for asked in [0, 1] {
        let mut lab = Lab::new(1);
        policy(&mut lab, asked).rtcp_xr = true;
        describe(&mut lab, 0, ALAW);
        describe(&mut lab, 1, ALAW);
        lab.call("+4722");
        lab.run(1_000);
        let version = version_of(&lab.shown_last(1));
        let shown = [lab.shown_last(0), lab.shown_last(1)].map(|shown| line_of(&shown, "a=rtcp-xr").to_owned());
        let mut wanted = [""; 2];
        wanted[asked] = "a=rtcp-xr:voip-metrics stat-summary=loss,dup,jitt";
        assert_eq!(shown, wanted);
        lab.send_sdp(0, Method::Invite);
        lab.run(1_000);
        assert_eq!(line_of(&lab.shown_last(1), "a=rtcp-xr"), wanted[1]);
        assert_eq!(version_of(&lab.shown_last(1)), version, "nothing has changed");
        hang_up(&mut lab);
    }
}
