//! The end of a power cut: all phones of a town come back at once, through several shards, and the calls beside them do not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crowd;

use act::Binding;
use crowd::Crowd;
use edge::Bound;
use model::{Instant, Name, SocketId, Span};
use sip::{Flow, Transport};

/// Three thousand phones behind ten addresses, all of them within three seconds of a restart that has forgotten them, at a registrar that
/// serves fifty phones a second.
#[test]
fn a_town_that_comes_back_is_served_in_the_shortest_time_and_no_call_notices() {
    let mut crowd = Crowd::new(3_000, 300, 2, "rate = 100\n");
    crowd.come(Span::from_secs(3), Span::from_secs(600));
    let outcome = &crowd.outcome;
    assert_eq!(crowd.known(), [3_000, 3_000], "every shard can call every phone: {outcome:?}");
    assert!(outcome.took < Span::from_secs(120), "60 s is the least: {outcome:?}");
    assert!(outcome.challenged < 3_600, "who was challenged is served before others are: {outcome:?}");
    assert!(outcome.put_off < 9_000, "each is told its place in the line, and few come too early: {outcome:?}");
    assert!(outcome.busiest <= 100, "{outcome:?}");
    let (begun, ended) = outcome.calls;
    assert!(begun > 300 && ended == begun, "{outcome:?}");
    assert_eq!(crowd.count("guard_shut_out"), 0, "three hundred phones behind one address are no attack");
    assert!(crowd.transactions() < 20_000, "{}", crowd.transactions());
}

/// Whoever guesses passwords is shut out, wherever his user's REGISTERs meet, and the phones behind the same address stay.
#[test]
fn a_guesser_is_shut_out_and_phones_of_his_address_stay() {
    let mut crowd = Crowd::new(40, 20, 2, "[guard]\nfailures = 5\n");
    crowd.come(Span::from_secs(3), Span::from_secs(60));
    assert_eq!(crowd.known(), [40, 40]);
    let far = "203.0.113.9:5060";
    let answers: Vec<u16> = (0..40).filter_map(|n| crowd.guess(far, n % 4)).collect();
    assert!(answers.len() < 40 && answers.iter().all(|code| *code == 401), "{answers:?}");
    assert!((0..4).all(|user| crowd.guess(far, user).is_none()), "he hears nothing more");
    // One of the first house guesses at his neighbours, by another port than that of a phone.
    let house = "10.0.0.0:9";
    let answers = (0..20).filter_map(|n| crowd.guess(house, n)).count();
    assert_eq!(answers, 20, "so many phones may mistype");
    for n in 0..60 {
        crowd.guess(house, n % 20);
    }
    assert!(crowd.guess(house, 0).is_none());
    assert_eq!(crowd.renew(3), Some(401), "a phone that is registered there is asked for its password as ever");
    assert!(crowd.count("guard_shut_out") >= 2);
}

/// RFC 5626 §5.3: what was registered by a connection ends with it, on every shard; the one where a user's REGISTERs meet tells the others, and
/// it alone, for what another knows may be old. What came over UDP stays.
#[test]
fn a_connection_that_ends_takes_its_bindings_with_it() {
    let mut crowd = Crowd::new(0, 1, 2, "");
    let flow = |transport, port: u16| Flow { socket: SocketId(0), peer: ([203, 0, 113, 9], port).into(), transport };
    let binding = |flow| Binding {
        contact: (*b"sip:x@10.0.0.5").into(),
        flow,
        path: vec![],
        instance: None,
        reg_id: None,
        q: 1_000,
        call_id: (*b"c").into(),
        cseq: 1,
        expires: Instant::ZERO + Span::from_secs(600),
    };
    for user in 0..20_u16 {
        let mut bindings = vec![binding(flow(Transport::Tcp, 1_000 + user))];
        bindings.extend((user == 0).then(|| binding(flow(Transport::Udp, 1_000))));
        crowd.bind(Bound { aor: Name::from(user.to_string().as_str()), bindings: bindings.into() });
    }
    for user in 0..20 {
        crowd.breaks(0, flow(Transport::Tcp, 1_000 + user));
    }
    let known = crowd.known();
    assert!(known[0] == 1 && (2..20).contains(&known[1]), "the first tells the other of its own users: {known:?}");
    for user in 0..20 {
        crowd.breaks(1, flow(Transport::Tcp, 1_000 + user));
    }
    assert_eq!(crowd.known(), [1, 1], "who has a binding over UDP is there");
    crowd.breaks(0, flow(Transport::Udp, 1_000));
    let ended = crowd.count("registrar_broken");
    assert!(crowd.known() == [1, 1] && (21..40).contains(&ended), "each counts what it has ended itself: {ended}");
}
