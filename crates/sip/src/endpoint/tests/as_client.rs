//! Requests we send: repeats, answers, CANCEL, forks, faults.

use super::*;
use model::TransportFault;

const NO_EVENTS: [String; 0] = [];

#[test]
fn an_unanswered_invite_is_repeated_and_fails_17_1_1_2() {
    let mut bench = Bench::new();
    let (client, invite) = bench.request(0, Method::Invite);
    assert!(invite.header(HeaderName::Via).unwrap().starts_with(b"SIP/2.0/UDP 192.0.2.1:5060"));
    let times: Vec<u64> = bench.run(60_000).into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(times, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert!(
        matches!(bench.events.pop_front(), Some(Event::ClientFailed { client: c, why: Failure::NoReply }) if c == client)
    );
    assert_eq!(bench.endpoint.transactions(), 0);
    assert_eq!(bench.endpoint.deadline(), None);
}

#[test]
fn a_refusal_is_acknowledged_hop_by_hop_17_1_1_3() {
    let mut bench = Bench::new();
    let (_, invite) = bench.request(0, Method::Invite);
    bench.reply(20, &invite, 100, "").unwrap();
    bench.reply(30, &invite, 486, "x").unwrap();
    let ack = bench.sent.pop_front().unwrap();
    assert_eq!((kind(&ack).as_str(), ack.cseq().number, ack.uri()), ("ACK", 1, invite.uri()));
    assert_eq!(ack.via().branch(), invite.via().branch());
    assert_eq!(ack.to().tag(), Some(&b"x"[..]));
    assert_eq!(bench.event_kinds(), ["100", "486"]);
    // A repeated final is acknowledged again and told to nobody.
    bench.reply(530, &invite, 486, "x").unwrap();
    assert_eq!((bench.sent_kinds(), bench.event_kinds()), (vec!["ACK".into()], NO_EVENTS.to_vec()));
    assert_eq!(bench.run(60_000), []);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn each_fork_is_told_once_and_its_2xx_acknowledged_again_13_2_2_4() {
    let mut bench = Bench::new();
    let (client, invite) = bench.request(0, Method::Invite);
    for tag in ["x", "x", "y", "y"] {
        bench.reply(100, &invite, 200, tag).unwrap();
    }
    assert!(bench.endpoint.clients.get(client.0).unwrap().bytes.is_empty(), "an answered INVITE is not kept");
    // The user has not acknowledged yet, so repeats are only absorbed.
    assert_eq!((bench.event_kinds(), bench.sent.len()), (vec!["200".into(), "200".into()], 0));
    for tag in ["x", "y"] {
        let mut ack = Draft::new(Method::Ack, b"sip:b@192.0.2.9".to_vec());
        ack.headers.push("From", b"<sip:a@192.0.2.1>;tag=ours");
        ack.headers.push("To", format!("<sip:b@192.0.2.9>;tag={tag}").as_bytes());
        ack.headers.push("Call-ID", b"call-1");
        ack.headers.push("CSeq", b"1 ACK");
        bench.endpoint.ack(at(200), client, bench.flow, ack);
    }
    bench.drain();
    let (first, second) = (bench.sent.pop_front().unwrap(), bench.sent.pop_front().unwrap());
    assert_ne!(first.via().branch(), invite.via().branch(), "an ACK for a 2xx is a transaction of its own (17.1.1.3)");
    bench.reply(700, &invite, 200, "y").unwrap();
    assert_eq!(bench.sent.pop_front().unwrap().bytes(), second.bytes());
    bench.reply(700, &invite, 200, "x").unwrap();
    assert_eq!(bench.sent.pop_front().unwrap().bytes(), first.bytes());
    assert_eq!(bench.event_kinds(), NO_EVENTS);
    // Timer M.
    assert_eq!(bench.run(32_099), []);
    assert_eq!(bench.endpoint.transactions(), 1);
    bench.run(32_100);
    assert_eq!(bench.endpoint.transactions(), 0);
    assert_eq!(bench.reply(33_000, &invite, 200, "x"), Err(Rejected::StrayResponse));
}

#[test]
fn forks_are_limited() {
    let mut bench = Bench::with(Transport::Udp, Limits { forks: 2, ..Limits::default() });
    let (_, invite) = bench.request(0, Method::Invite);
    for tag in ["x", "y", "z"] {
        bench.reply(100, &invite, 200, tag).unwrap();
    }
    assert_eq!((bench.events.len(), bench.endpoint.counters().forks_dropped), (2, 1));
}

#[test]
fn a_cancel_before_any_provisional_is_held_back_9_1() {
    let mut bench = Bench::new();
    let (client, invite) = bench.request(0, Method::Invite);
    bench.endpoint.cancel(at(100), client, Some(b"SIP;cause=200"));
    bench.drain();
    assert_eq!(bench.sent.len(), 0);
    bench.reply(200, &invite, 180, "x").unwrap();
    let cancel = bench.sent.pop_front().unwrap();
    assert_eq!((kind(&cancel).as_str(), cancel.uri(), cancel.cseq().number), ("CANCEL", invite.uri(), 1));
    assert_eq!(cancel.header(HeaderName::Via), invite.header(HeaderName::Via));
    assert_eq!(cancel.header(HeaderName::To), invite.header(HeaderName::To));
    assert!(cancel.bytes().windows(21).any(|w| w == b"Reason: SIP;cause=200"));
    // Its own answer is nobody's business, the 487 is.
    bench.reply(250, &cancel, 200, "x").unwrap();
    bench.reply(260, &invite, 487, "x").unwrap();
    assert_eq!(bench.event_kinds(), ["180", "487"]);
    assert_eq!(bench.sent_kinds(), ["ACK"]);
    bench.run(60_000);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn a_cancel_crossing_a_final_is_never_sent_9_1() {
    for (code, acked) in [(200, 0), (486, 1)] {
        let mut bench = Bench::new();
        let (client, invite) = bench.request(0, Method::Invite);
        bench.endpoint.cancel(at(100), client, None);
        bench.reply(200, &invite, code, "x").unwrap();
        assert_eq!(bench.event_kinds(), [format!("{code}")]);
        assert_eq!(bench.sent_kinds(), vec![String::from("ACK"); acked]);
        bench.run(60_000);
        assert_eq!(bench.endpoint.transactions(), 0);
    }
}

#[test]
fn a_2xx_after_our_cancel_reaches_the_user_9_1() {
    let mut bench = Bench::new();
    let (client, invite) = bench.request(0, Method::Invite);
    bench.reply(100, &invite, 183, "x").unwrap();
    bench.endpoint.cancel(at(200), client, None);
    bench.drain();
    let cancel = bench.sent.pop_front().unwrap();
    bench.reply(210, &invite, 200, "x").unwrap();
    bench.reply(220, &cancel, 481, "z").unwrap();
    assert_eq!(bench.event_kinds(), ["183", "200"]);
}

#[test]
fn a_cancel_that_changes_nothing_ends_after_64_t1_9_1() {
    let mut bench = Bench::new();
    let (client, invite) = bench.request(0, Method::Invite);
    bench.reply(100, &invite, 180, "x").unwrap();
    bench.endpoint.cancel(at(1_000), client, None);
    bench.endpoint.cancel(at(2_000), client, None);
    bench.drain();
    assert_eq!(bench.sent_kinds(), ["CANCEL"]);
    let sent = bench.run(60_000);
    assert_eq!(sent.iter().map(|(ms, _)| *ms).collect::<Vec<_>>()[..3], [1_500, 2_500, 4_500]);
    assert!(sent.iter().all(|(ms, kind)| kind == "CANCEL" && *ms < 33_000));
    assert_eq!(bench.event_kinds(), ["180", "NoReply"]);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn a_provisional_leaves_the_invite_to_the_users_own_deadline_17_1_1_2() {
    let mut bench = Bench::new();
    let (_, invite) = bench.request(0, Method::Invite);
    bench.reply(100, &invite, 100, "").unwrap();
    assert_eq!(bench.run(600_000), []);
    assert_eq!(bench.endpoint.transactions(), 1);
}

#[test]
fn other_requests_repeat_up_to_t2_and_end_once_17_1_2_2() {
    let mut bench = Bench::new();
    let (client, options) = bench.request(0, Method::Options);
    let times: Vec<u64> = bench.run(5_000).into_iter().map(|(ms, _)| ms).collect();
    assert_eq!(times, [500, 1_500, 3_500]);
    bench.reply(6_000, &options, 200, "x").unwrap();
    bench.reply(6_100, &options, 200, "x").unwrap();
    assert_eq!(bench.event_kinds(), ["200"]);
    assert!(bench.endpoint.clients.get(client.0).unwrap().bytes.is_empty(), "an answered request is not kept");
    assert_eq!(bench.run(60_000), []);
    assert_eq!(bench.endpoint.transactions(), 0);
    assert_eq!(bench.reply(61_000, &options, 200, "x"), Err(Rejected::StrayResponse));
}

#[test]
fn streams_repeat_nothing() {
    let mut bench = Bench::with(Transport::Tcp, Limits::default());
    let (_, invite) = bench.request(0, Method::Invite);
    bench.request(0, Method::Options);
    assert_eq!(bench.run(31_999), []);
    bench.reply(31_999, &invite, 500, "x").unwrap();
    // Timer D is zero: acknowledged and gone.
    assert_eq!(bench.sent_kinds(), ["ACK"]);
    assert_eq!(bench.endpoint.transactions(), 1);
    bench.run(32_000);
    assert_eq!(bench.event_kinds(), ["500", "NoReply"]);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn a_network_error_fails_the_request_it_quotes() {
    let fault = TransportFault::PortUnreachable;
    let peer = PEER.parse().unwrap();
    let mut bench = Bench::new();
    let (client, invite) = bench.request(0, Method::Invite);
    let (_, options) = bench.request(0, Method::Options);
    let branch_cut = 60;
    bench.endpoint.undeliverable(at(1), SOCKET, peer, &invite.bytes()[..branch_cut], fault);
    bench.endpoint.undeliverable(at(1), SOCKET, US.parse().unwrap(), invite.bytes(), fault);
    bench.endpoint.undeliverable(at(1), SOCKET, peer, b"", fault);
    bench.drain();
    assert_eq!((bench.events.len(), bench.endpoint.counters().unreachable_other), (0, 3));
    bench.endpoint.undeliverable(at(1), SOCKET, peer, &invite.bytes()[..150], fault);
    bench.drain();
    assert!(matches!(bench.events.pop_front(),
        Some(Event::ClientFailed { client: c, why: Failure::Unreachable(f) }) if c == client && f == fault));
    assert_eq!(bench.endpoint.transactions(), 1);
    bench.endpoint.undeliverable(at(2), SOCKET, peer, options.bytes(), fault);
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.deadline()), (0, None));
}

/// What nobody has answered is asked twice more and fails with the third connection, what rings goes on, and what went by another
/// connection is not concerned.
#[test]
fn a_broken_connection_fails_what_nobody_has_answered_18_2_2() {
    let fault = TransportFault::Broken;
    let mut bench = Bench::with(Transport::Tcp, Limits::default());
    let (ringing, rung) = bench.request(0, Method::Invite);
    bench.reply(5, &rung, 180, "x").unwrap();
    bench.event_kinds();
    let (unheard, invite) = bench.request(10, Method::Invite);
    let (options, _) = bench.request(10, Method::Options);
    let elsewhere = Flow { peer: US.parse().unwrap(), ..bench.flow };
    bench.endpoint.broken(at(20), elsewhere, fault, &|_| elsewhere);
    bench.drain();
    assert_eq!((bench.event_kinds(), bench.sent.len()), (NO_EVENTS.to_vec(), 0), "another connection");
    let (dead, mut anew) = (bench.flow, bench.flow);
    anew.peer.set_port(5_099);
    bench.flow = anew;
    bench.endpoint.broken(at(20), dead, fault, &|hop| {
        assert_eq!(hop, Some("192.0.2.9:5070".parse().unwrap()), "where the request goes by itself");
        anew
    });
    bench.drain();
    assert_eq!(bench.sent.pop_front().unwrap().bytes(), invite.bytes(), "the same, and so the same transaction");
    assert_eq!((bench.event_kinds(), bench.sent_kinds()), (NO_EVENTS.to_vec(), vec!["OPTIONS".into()]));
    bench.endpoint.broken(at(30), anew, fault, &|_| anew);
    bench.drain();
    assert_eq!(
        (bench.event_kinds(), bench.sent_kinds()),
        (NO_EVENTS.to_vec(), vec!["INVITE".into(), "OPTIONS".into()])
    );
    bench.endpoint.broken(at(40), anew, fault, &|_| anew);
    bench.drain();
    let failed: Vec<ClientKey> = bench
        .events
        .drain(..)
        .map(|event| match event {
            Event::ClientFailed { client, why: Failure::Unreachable(f) } if f == fault => client,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(failed, [unheard, options]);
    // Its final answer comes by a new connection.
    bench.flow = dead;
    bench.reply(900, &rung, 486, "x").unwrap();
    assert_eq!((bench.event_kinds(), bench.sent_kinds()), (vec!["486".into()], vec!["ACK".into()]));
    // The INVITE may have come through: it is told of nothing but a 2xx, which must be ended.
    bench.flow = anew;
    bench.reply(1_000, &invite, 180, "y").unwrap();
    assert_eq!((bench.event_kinds(), bench.sent_kinds()), (NO_EVENTS.to_vec(), vec!["CANCEL".into()]));
    bench.reply(1_100, &invite, 200, "y").unwrap();
    assert_eq!(bench.event_kinds(), ["200"]);
    assert_ne!(ringing, unheard);
}

/// RFC 3261 §17.2.1: whether a peer still rings is asked by a stream too. Nothing else asks: the question has no timer.
#[test]
fn a_ringing_peer_is_asked_by_a_stream_too() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::with(transport, Limits::default());
        let (client, invite) = bench.request(0, Method::Invite);
        assert!(!bench.endpoint.ask_again(client), "nobody has rung");
        bench.reply(5, &invite, 180, "x").unwrap();
        bench.event_kinds();
        assert!(bench.endpoint.ask_again(client));
        bench.drain();
        assert_eq!(bench.sent.pop_front().unwrap().bytes(), invite.bytes(), "the same, and so the same transaction");
        assert_eq!(bench.run(20_000), [], "once for each question");
        bench.reply(20_010, &invite, 486, "x").unwrap();
        assert!(!bench.endpoint.ask_again(client), "it has an answer");
    }
}

/// RFC 3261 §12: only the peer of a dialog can carry it on, so it is asked again even when it has fallen silent on its connection, as
/// behind a firewall that has forgotten that. Whoever could be asked instead of another is not.
#[test]
fn inside_a_dialog_a_silent_peer_is_asked_once_more() {
    for fault in [TransportFault::TimedOut, TransportFault::NotRead] {
        let mut bench = Bench::with(Transport::Tcp, Limits::default());
        let same = bench.flow;
        let mut draft = Draft::new(Method::Bye, b"sip:b@192.0.2.9:5070".to_vec());
        draft.headers.push("From", b"<sip:a@192.0.2.1>;tag=ours");
        draft.headers.push("To", b"<sip:b@192.0.2.9>;tag=theirs");
        draft.headers.push("Call-ID", b"call-1");
        draft.headers.push("CSeq", b"2 BYE");
        bench.endpoint.request(at(0), same, draft, &TimerSet::default()).unwrap();
        bench.drain();
        let bye = bench.sent.pop_back().unwrap();
        for _ in 0..2 {
            bench.endpoint.broken(at(10_000), same, fault, &|_| same);
            bench.drain();
            assert_eq!(bench.sent.pop_front().map(|sent| sent.bytes().to_vec()), Some(bye.bytes().to_vec()));
        }
        bench.endpoint.broken(at(20_000), same, fault, &|_| same);
        bench.drain();
        assert_eq!((bench.event_kinds(), bench.sent.len()), (vec![format!("Unreachable({fault:?})")], 0));
    }
}

/// A peer that has fallen silent is not asked again, and a call that was given up is not begun anew.
#[test]
fn not_all_is_asked_once_more() {
    let mut bench = Bench::with(Transport::Tcp, Limits::default());
    let same = bench.flow;
    bench.request(0, Method::Options);
    bench.endpoint.broken(at(20), same, TransportFault::TimedOut, &|_| same);
    bench.drain();
    assert_eq!((bench.event_kinds(), bench.sent.len()), (vec!["Unreachable(TimedOut)".into()], 0));
    let (client, _) = bench.request(30, Method::Invite);
    bench.endpoint.cancel(at(40), client, None);
    bench.endpoint.broken(at(50), same, TransportFault::Broken, &|_| same);
    bench.drain();
    assert_eq!((bench.event_kinds(), bench.sent.len()), (vec!["Unreachable(Broken)".into()], 0));
    assert_eq!(bench.endpoint.counters().asked_anew, 0);
}

/// The first copy has come through, its answers were lost, and the port is closed when the second one comes.
#[test]
fn a_network_error_for_a_repeat_does_not_forget_the_copy_before() {
    for code in [180, 200, 486] {
        let mut bench = Bench::new();
        let (_, invite) = bench.request(0, Method::Invite);
        bench.run(500);
        for ms in [510, 520] {
            let fault = TransportFault::PortUnreachable;
            bench.endpoint.undeliverable(at(ms), SOCKET, PEER.parse().unwrap(), invite.bytes(), fault);
        }
        bench.drain();
        assert_eq!(bench.event_kinds(), ["Unreachable(PortUnreachable)"], "told once");
        assert_eq!(bench.run(20_000), [], "and not sent again");
        bench.reply(20_000, &invite, code, "x").unwrap();
        let (sent, told) = match code {
            180 => (vec![String::from("CANCEL")], vec![]),
            200 => (vec![], vec![String::from("200")]),
            _ => (vec![String::from("ACK")], vec![]),
        };
        assert_eq!((bench.sent_kinds(), bench.event_kinds()), (sent, told), "{code}");
        bench.run(90_000);
        assert_eq!((bench.endpoint.transactions(), bench.event_kinds()), (0, vec![]));
    }
}

#[test]
fn a_network_error_after_a_provisional_proves_nothing() {
    let mut bench = Bench::new();
    let (_, invite) = bench.request(0, Method::Invite);
    bench.reply(10, &invite, 100, "").unwrap();
    bench.endpoint.undeliverable(
        at(20),
        SOCKET,
        PEER.parse().unwrap(),
        invite.bytes(),
        TransportFault::HostUnreachable,
    );
    assert_eq!(bench.endpoint.transactions(), 1);
}

#[test]
fn strangers_responses_are_dropped_17_1_3() {
    let mut bench = Bench::new();
    let (_, options) = bench.request(0, Method::Options);
    let text = |branch: &str, method: &str, more: &str| {
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch={branch}\r\n{more}From: <sip:a@b>;tag=1\r\n\
             To: <sip:b@c>;tag=2\r\nCall-ID: call-1\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let branch = String::from_utf8(options.via().branch().unwrap().to_vec()).unwrap();
    assert_eq!(bench.hear(1, &text("z9hG4bKx", "OPTIONS", "")), Err(Rejected::StrayResponse));
    assert_eq!(bench.hear(1, &text(&branch, "BYE", "")), Err(Rejected::StrayResponse));
    let second = "Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKy\r\n";
    assert_eq!(bench.hear(1, &text(&branch, "OPTIONS", second)), Err(Rejected::MisroutedResponse));
    assert_eq!(bench.events.len(), 0);
    bench.hear(1, &text(&branch, "OPTIONS", "")).unwrap();
    assert_eq!(bench.event_kinds(), ["200"]);
}

#[test]
fn the_limit_is_kept_and_a_missing_socket_is_a_local_fault() {
    let mut bench = Bench::with(Transport::Udp, Limits { transactions: 1, ..Limits::default() });
    let flow = Flow { socket: SocketId(9), ..bench.flow };
    bench.endpoint.request(at(0), flow, Bench::draft(Method::Options), &TimerSet::default()).unwrap();
    bench.drain();
    assert_eq!(bench.event_kinds(), ["Unreachable(Local)"]);
    let (_, invite) = bench.request(0, Method::Invite);
    let second = bench.endpoint.request(at(0), bench.flow, Bench::draft(Method::Options), &TimerSet::default());
    assert_eq!((second, bench.endpoint.counters().full), (Err(Full), 1));
    drop(invite);
}

#[test]
fn a_nearer_deadline_moves_the_timer() {
    let mut bench = Bench::new();
    let timers = TimerSet { t4: Span::from_millis(200), ..TimerSet::default() };
    bench.endpoint.request(at(0), bench.flow, Bench::draft(Method::Options), &timers).unwrap();
    bench.drain();
    let options = bench.sent.pop_front().unwrap();
    bench.reply(100, &options, 100, "").unwrap();
    bench.run(500);
    // Timer E would be next at 4.5 s; Timer K comes first.
    bench.reply(600, &options, 200, "x").unwrap();
    assert_eq!(bench.endpoint.deadline(), Some(at(800)));
    bench.run(800);
    assert_eq!(bench.endpoint.transactions(), 0);
}

/// Whoever overhears a branch does not answer for our peer; another address of the same peer does, when the user says so.
#[test]
fn a_response_comes_from_the_host_that_was_asked() {
    let mut bench = Bench::new();
    let (_, invite) = bench.request(0, Method::Invite);
    let own = bench.flow;
    bench.flow.peer = "203.0.113.66:5060".parse().unwrap();
    let stranger = bench.flow;
    assert_eq!(bench.reply(10, &invite, 200, "b"), Err(Rejected::ForeignResponse));
    assert_eq!((bench.events.len(), bench.endpoint.counters().foreign_responses), (0, 1));
    bench.flow = Flow { peer: core::net::SocketAddr::new(own.peer.ip(), 9), ..own };
    bench.reply(20, &invite, 180, "b").unwrap();
    assert_eq!(bench.event_kinds(), ["180"], "another port of it");
    let text = format!(
        "SIP/2.0 486 Busy\r\nVia: {}\r\nFrom: <sip:a@192.0.2.1>;tag=ours\r\nTo: <sip:b@192.0.2.9>;tag=b\r\nCall-ID: call-1\r\n\
         CSeq: 1 INVITE\r\n\r\n",
        String::from_utf8_lossy(invite.header(HeaderName::Via).unwrap())
    );
    let among = bench.endpoint.receive_among(at(30), stranger, text.as_bytes(), &|asked, came| {
        (asked.peer, came.peer) == (own.peer, stranger.peer)
    });
    assert_eq!(among, Ok(()), "whom the user knows as one");
}

/// Anybody may connect to us: his stream shows that he is there, and no more. The peer itself may answer by a new connection (18.2.2).
#[test]
fn a_response_by_a_stream_comes_from_the_host_that_was_asked() {
    let mut bench = Bench::with(Transport::Tcp, Limits::default());
    let (_, options) = bench.request(0, Method::Options);
    let own = bench.flow;
    bench.flow.peer = "203.0.113.66:40000".parse().unwrap();
    assert_eq!(bench.reply(10, &options, 200, "b"), Err(Rejected::ForeignResponse));
    bench.flow.peer = core::net::SocketAddr::new(own.peer.ip(), 40_000);
    bench.reply(20, &options, 200, "b").unwrap();
    assert_eq!(bench.event_kinds(), ["200"]);
}
