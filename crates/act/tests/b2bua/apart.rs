//! Attended transfers whose two calls lie in two shards of the edge. RFC 5589 §7.3, RFC 3891.

use crate::peer::{say, sdp};
use crate::transfers::{hang_up, name_of, news, refer};
use crate::world::{Lab, Weather, version_of};
use act::{Ending, Phase};
use decide::NoPlan;
use model::TrunkId;
use sip::Method;

/// The office's first call, to carrier 1, is in shard 0; its second, to carrier 2, in shard 1.
fn consulted() -> Lab {
    consulted_by(1, true)
}

fn consulted_by(seed: u64, answers: bool) -> Lab {
    let mut lab = Lab::seeded(2, seed).with_second_shard();
    lab.call("+4722");
    lab.run(1_000);
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    let answer = if answers { vec![say(10, 180), sdp(100, 200)] } else { vec![say(10, 180)] };
    lab.peers[2].steps = vec![answer, vec![say(10, 180), sdp(200, 200)]];
    lab.shards.fresh = 1;
    lab.call("+4733");
    lab.run(1_000);
    assert_eq!(calls(&mut lab), [1, 1], "the calls lie apart");
    lab
}

fn calls(lab: &mut Lab) -> [usize; 2] {
    [0, 1].map(|shard| {
        lab.turn_to(shard);
        lab.b2bua.calls()
    })
}

fn counted(lab: &mut Lab, shard: u8) -> (u64, u64, u64, u64) {
    lab.turn_to(shard);
    let counters = lab.b2bua.counters();
    (counters.transfers, counters.transferred, counters.transfers_failed, counters.transfers_apart)
}

/// Refer-To that names a session of the office's.
fn joins(lab: &Lab, session: usize) -> String {
    let (call_id, to, from) = name_of(lab, 0, session);
    format!("<sip:+4733@198.51.100.1?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>")
}

/// The office joins its parties, and they have been joined.
fn joined() -> Lab {
    let mut lab = consulted();
    let to = joins(&lab, 1);
    let asked = refer(&mut lab, 0, &to);
    lab.run(2_000);
    assert_eq!(lab.peers[0].codes(asked), [202]);
    assert_eq!(news(&lab, 0).0, [100, 200]);
    assert_eq!(lab.peers[0].requests(Method::Bye).len(), 2, "both legs of the transferor");
    assert_eq!(calls(&mut lab), [1, 1], "each shard has its half");
    lab
}

/// Nothing that the halves say to each other gets out of the edge.
fn keeps_to_itself(lab: &Lab) {
    for (_, to, message) in &lab.sent {
        let text = String::from_utf8_lossy(message.bytes());
        assert!(!text.contains("192.0.0.8") && !text.contains("Between-Shards"), "to {to}: {text}");
    }
}

/// Whoever hangs up ends both halves; audio and requests pass both ways, and a hold is one for the other side.
#[test]
fn parties_of_two_shards_are_joined_and_the_transferor_is_let_go() {
    for leaves in [1, 2] {
        let mut lab = joined();
        lab.hear_each_other(1, 2);
        for (from, to) in [(1, 2), (2, 1)] {
            let info = lab.send_in(from, 0, Method::Info, &[]);
            lab.run(500);
            assert_eq!((lab.peers[from].codes(info), lab.peers[to].requests(Method::Info).len()), (vec![200], 1));
        }
        lab.peers[1].describe("sendonly");
        let before = lab.peers[2].requests(Method::Invite).len();
        let hold = lab.send_sdp(1, Method::Invite);
        lab.run(500);
        assert_eq!(lab.peers[1].codes(hold), [200]);
        let held = lab.peers[2].requests(Method::Invite);
        assert_eq!(held.len(), before + 1);
        let shown: Vec<u64> = held.iter().map(|invite| version_of(invite.body())).collect();
        assert!(shown.is_sorted_by(|a, b| a < b), "RFC 3264 §8: {shown:?}");
        assert!(String::from_utf8_lossy(held[before].body()).contains("a=sendonly"));
        lab.peers[1].describe("sendrecv");
        lab.send_sdp(1, Method::Invite);
        lab.run(500);
        lab.hear_each_other(1, 2);
        assert_eq!(counted(&mut lab, 0), (1, 1, 0, 1));
        assert_eq!(counted(&mut lab, 1), (1, 1, 0, 0));
        hang_up(&mut lab, leaves, 0);
        assert_eq!(lab.peers[3 - leaves].requests(Method::Bye).len(), 1);
        keeps_to_itself(&lab);
    }
}

/// Each half's record names the other, no trunk is charged twice, and nothing is held for or against anybody.
#[test]
fn the_halves_tell_one_story_and_are_nobodys_evidence() {
    let mut lab = joined();
    let counted = |lab: &mut Lab| {
        let mut of = |shard| {
            lab.turn_to(shard);
            lab.load.calls.clone()
        };
        [of(0), of(1)]
    };
    assert_eq!(counted(&mut lab), [vec![0, 1, 0], vec![0, 0, 1]], "carrier 1 has its one call here, carrier 2 there");
    lab.turn_to(0);
    let live = lab.b2bua.all(None, 9).remove(0);
    assert_eq!((live.from, live.to, live.phase), (TrunkId(1), Some(TrunkId::BETWEEN_SHARDS), Phase::Up));
    hang_up(&mut lab, 1, 0);
    assert!(lab.signals.iter().all(|signal| signal.target.trunk != TrunkId::BETWEEN_SHARDS));
    let ended: Vec<_> = lab.ended.iter().map(|call| (call.call, call.from, call.attempts.len(), &call.plan)).collect();
    let halves: Vec<_> = ended.iter().filter(|half| matches!(half.3, Err(NoPlan::Joined { .. }))).collect();
    let [here, there] = halves[..] else { panic!("{ended:?}") };
    assert_eq!((here.1, here.2, here.3), (TrunkId(1), 0, &Err(NoPlan::Joined { other: Some(there.0) })));
    assert_eq!((there.1, there.2, there.3), (TrunkId::BETWEEN_SHARDS, 0, &Err(NoPlan::Joined { other: Some(here.0) })));
    assert_eq!(ended.len(), 4, "the two calls that were, and the halves");
}

/// Whoever will not have it, both calls go on, and each may still do what a call does.
#[test]
fn a_transfer_over_shards_that_fails_leaves_both_calls() {
    for code in [488, 500] {
        let mut lab = consulted();
        lab.peers[2].inside = vec![say(10, code)];
        let to = joins(&lab, 1);
        refer(&mut lab, 0, &to);
        lab.run(2_000);
        assert_eq!(news(&lab, 0).0, [100, code]);
        assert_eq!((calls(&mut lab), lab.peers[0].requests(Method::Bye).len()), ([1, 1], 0));
        assert_eq!((counted(&mut lab, 0), lab.peers[2].requests(Method::Invite).len()), ((1, 0, 1, 1), 2));
        for session in [0, 1] {
            let info = lab.send_in(0, session, Method::Info, &[]);
            lab.run(500);
            assert_eq!(lab.peers[0].codes(info), [200]);
            lab.send_in(0, session, Method::Bye, &[]);
        }
        lab.settle();
    }
    // The party that stays refuses when the far party has agreed: as within one shard, that one is let go.
    let mut lab = consulted();
    lab.peers[1].inside = vec![say(10, 488)];
    let to = joins(&lab, 1);
    refer(&mut lab, 0, &to);
    lab.run(2_000);
    assert_eq!((news(&lab, 0).0, calls(&mut lab)), (vec![100, 488], [1, 0]));
    assert_eq!(lab.peers[2].requests(Method::Bye).len(), 1);
    hang_up(&mut lab, 0, 0);
}

/// A far party that knows nothing of its call any more ends that one, as within one shard, and is not called anew.
#[test]
fn a_far_party_that_is_gone_is_not_called_anew() {
    let mut lab = consulted();
    lab.peers[2].inside = vec![say(10, 481)];
    let to = joins(&lab, 1);
    refer(&mut lab, 0, &to);
    lab.run(2_000);
    assert_eq!((news(&lab, 0).0, calls(&mut lab)), (vec![100, 480], [1, 0]));
    assert_eq!(lab.peers[2].requests(Method::Invite).len(), 2, "its own call, and the re-INVITE");
    hang_up(&mut lab, 0, 0);
}

/// What is joined over two shards is a call like any other: its party may have it transferred, and the other half stays.
#[test]
fn a_joined_party_may_transfer_again() {
    let mut lab = joined();
    let before = lab.peers[0].requests(Method::Invite).len();
    let asked = lab.send_in(1, 0, Method::Refer, &[("Refer-To", "<sip:202@203.0.113.1>")]);
    lab.run(2_000);
    assert_eq!((lab.peers[1].codes(asked), news(&lab, 1).0), (vec![202], vec![100, 180, 200]));
    assert_eq!(lab.peers[0].requests(Method::Invite).len(), before + 1);
    assert_eq!((calls(&mut lab), lab.peers[1].requests(Method::Bye).len()), ([1, 1], 1));
    lab.hear_each_other(0, 2);
    keeps_to_itself(&lab);
    hang_up(&mut lab, 2, 0);
}

/// A shard that cannot be reached, and one that takes no more calls: the transferor hears of it and keeps both.
#[test]
fn a_shard_that_is_not_there_leaves_both_calls() {
    for drains in [false, true] {
        let mut lab = consulted();
        if drains {
            lab.turn_to(1);
            lab.b2bua.drain();
        } else {
            lab.shards.cut = true;
        }
        let to = joins(&lab, 1);
        refer(&mut lab, 0, &to);
        lab.run(2_000);
        assert_eq!((news(&lab, 0).0, calls(&mut lab)), (vec![100, 503], [1, 1]));
        hang_up_both(&mut lab);
    }
}

fn hang_up_both(lab: &mut Lab) {
    lab.send_in(0, 0, Method::Bye, &[]);
    lab.run(500);
    hang_up(lab, 0, 1);
}

/// The way between the halves dies with one of them: whichever hangs up, the other half does not go on for ever, since its session is not
/// refreshed (RFC 4028 §10).
#[test]
fn a_half_without_its_other_half_ends() {
    let mut lab = joined();
    lab.shards.cut = true;
    lab.send_in(1, 0, Method::Bye, &[]);
    lab.run(3_600_000);
    assert_eq!((calls(&mut lab), lab.peers[2].requests(Method::Bye).len()), ([0, 0], 1));
    lab.settle();
}

/// A consultation that still rings is left, and its target called anew, as within one shard; so is one that is over.
#[test]
fn a_consultation_that_rings_in_another_shard_is_left_and_called_anew() {
    let mut lab = consulted_by(1, false);
    let tag = |lab: &Lab| {
        let to_office = |sent: &&(model::Instant, std::net::SocketAddr, sip::Message)| {
            sent.1 == lab.peers[0].addr && sent.2.status() == Some(180)
        };
        String::from_utf8(lab.sent.iter().rfind(to_office).unwrap().2.to().tag().unwrap().to_vec()).unwrap()
    };
    let (call_id, _, from) = name_of(&lab, 0, 1);
    let to = tag(&lab);
    refer(&mut lab, 0, &format!("<sip:+4733@y?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>"));
    lab.run(2_000);
    assert_eq!((news(&lab, 0).0, lab.peers[2].cancels()), (vec![100, 180, 200], 1));
    let anew = *lab.peers[2].requests(Method::Invite).last().unwrap();
    assert!(anew.named("Replaces").is_none(), "the name of a dialog of ours is for nobody else to know");
    lab.hear_each_other(1, 2);
    assert_eq!(calls(&mut lab), [1, 0]);
    keeps_to_itself(&lab);
    hang_up(&mut lab, 1, 0);

    let mut lab = consulted();
    lab.send_in(2, 0, Method::Bye, &[]);
    lab.run(500);
    let to = joins(&lab, 1);
    refer(&mut lab, 0, &to);
    lab.run(2_000);
    assert_eq!((news(&lab, 0).0, calls(&mut lab)), (vec![100, 180, 200], [1, 0]));
    hang_up(&mut lab, 1, 0);
}

/// RFC 3891 §9: a name of another trunk's dialog is not the transferor's to give, in whichever shard it is.
#[test]
fn a_name_of_another_trunks_dialog_is_403_in_another_shard_too() {
    let mut lab = consulted();
    // Carrier 1 knows the name of the office's second call.
    let (call_id, to, from) = name_of(&lab, 0, 1);
    let asked = lab.send_in(
        1,
        0,
        Method::Refer,
        &[("Refer-To", &format!("<sip:201@203.0.113.1?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>"))],
    );
    lab.run(2_000);
    assert_eq!((lab.peers[1].codes(asked), news(&lab, 1).0), (vec![202], vec![100, 403]));
    assert_eq!((lab.foreign.clone(), calls(&mut lab)), (vec![lab.peers[1].addr], [1, 1]));
    assert_eq!(counted(&mut lab, 1), (0, 0, 0, 0));
    hang_up_both(&mut lab);
}

/// What a half is told counts on the way between shards alone. From outside the same words are a stranger's, whatever address they say.
#[test]
fn what_shards_say_to_each_other_is_nothing_in_anybody_elses_mouth() {
    let mut lab = consulted();
    let (call_id, to, from) = name_of(&lab, 0, 1);
    let ours = sip::Minter::new(1, model::ShardId(0), 42, 9).call_id();
    for (n, (socket, peer)) in [(1, "192.0.0.8:1"), (0, "192.0.0.8:1"), (1, "203.0.113.1:5060")].into_iter().enumerate()
    {
        lab.inject_at(
            socket,
            peer.parse().unwrap(),
            &format!(
                "INVITE sip:+4733@192.0.0.8:2 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bKforged{n}\r\nMax-Forwards: 70\r\n\
                 From: <sip:+4722@192.0.0.8:1>;tag=f{n}\r\nTo: <sip:+4733@192.0.0.8:2>\r\nCall-ID: {ours}{n}\r\nCSeq: 1 INVITE\r\n\
                 Contact: <sip:192.0.0.8:1;transport=tcp>\r\nReplaces: {call_id};to-tag={to};from-tag={from}\r\n\
                 Between-Shards: 0000000000000001;asks=0;anchored\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }
    lab.run(1_000);
    let to_strangers = lab.sent.iter().filter(|(_, to, _)| lab.peers.iter().all(|peer| peer.addr != *to));
    let codes: Vec<_> = to_strangers.map(|(_, _, sent)| sent.status().unwrap()).collect();
    assert!(codes.contains(&403) && codes.iter().all(|code| matches!(code, 100 | 403)), "{codes:?}");
    lab.turn_to(1);
    assert_eq!(lab.b2bua.counters().strangers, 3);
    // And a trunk that is known has no more rights by saying it.
    let offer = lab.peers[1].sdp();
    let name = format!("{call_id};to-tag={to};from-tag={from}");
    let said = ("Between-Shards", "0000000000000001;asks=0;anchored");
    let client = lab.call_with(1, "201", offer, &[("Replaces", &name), said]);
    lab.run(1_000);
    assert_eq!(lab.peers[1].codes(client), [403]);
    assert_eq!((calls(&mut lab), lab.peers[2].requests(Method::Invite).len()), ([1, 1], 1));
    hang_up_both(&mut lab);
}

/// What a trunk's `fraud` limit counts is counted once, and until the joined call ends.
#[test]
fn a_joined_half_is_counted_where_its_call_was() {
    let mut lab = Lab::new(2).with_second_shard();
    lab.profiles.trunks[0].as_mut().unwrap().inbound.concurrent = Some(1);
    lab.call("+4722");
    lab.run(1_000);
    lab.peers[1].steps = vec![vec![say(10, 503)], vec![say(10, 503)]];
    lab.shards.fresh = 1;
    lab.call("+4733");
    lab.run(1_000);
    let to = joins(&lab, 1);
    refer(&mut lab, 0, &to);
    lab.run(2_000);
    assert_eq!(news(&lab, 0).0, [100, 200], "the transfer itself is no third call");
    for fresh in [0, 1] {
        lab.shards.fresh = fresh;
        let more = lab.call("+4744");
        lab.run(500);
        assert_ne!(lab.peers[0].codes(more), [200], "shard {fresh} still has its one");
    }
    hang_up(&mut lab, 1, 0);
    assert!(lab.ended.iter().any(|call| matches!(call.ending, Ending::Bye(_))));
}

/// As within one shard: whatever is lost or said meanwhile, whoever hangs up, nothing is left of it in either.
#[test]
fn whatever_the_weather_a_transfer_over_shards_ends_clean() {
    let mut transferred = 0;
    for seed in 0..120 {
        let mut rng = model::Rng::new(seed);
        let mut lab = consulted_by(seed + 1, rng.below(4) > 0);
        lab.weather = Weather { lost: rng.below(250), doubled: rng.below(150), jitter: rng.below(60) };
        for peer in [1, 2] {
            let answers = [sdp(10 + rng.below(300), 200), sdp(10, 200), say(10, 488), say(10, 481)];
            lab.peers[peer].inside = vec![answers[rng.below(4) as usize].clone()];
        }
        lab.shards.cut = rng.below(16) == 0;
        let to = joins(&lab, 1);
        refer(&mut lab, 0, &to);
        for _ in 0..rng.below(3) {
            lab.run(rng.below(700));
            let peer = rng.below(3) as usize;
            let open = |session: &crate::peer::Session| session.answered && !session.over;
            if let Some(session) = lab.peers[peer].sessions.iter().position(open) {
                lab.send_in(peer, session, Method::Bye, &[]);
            }
        }
        lab.run(60_000);
        (lab.weather, lab.shards.cut) = (Weather::default(), false);
        transferred += counted(&mut lab, 0).1;
        for peer in 0..3 {
            for session in 0..lab.peers[peer].sessions.len() {
                if lab.peers[peer].sessions[session].answered && !lab.peers[peer].sessions[session].over {
                    lab.send_in(peer, session, Method::Bye, &[]);
                    lab.run(2_000);
                }
            }
        }
        keeps_to_itself(&lab);
        lab.weather.jitter = 1;
        lab.settle();
    }
    assert!(transferred > 20, "{transferred} were joined");
}
