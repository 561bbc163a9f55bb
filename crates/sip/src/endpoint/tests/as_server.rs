//! Requests that come in: repeats, answers, CANCEL, ACK, and what is refused.

use super::*;
use proptest::prelude::*;

fn invite(branch: &'static str) -> Ask {
    Ask::new("INVITE", branch)
}

/// T1 doubling up to T2 for 64*T1.
const CAPPED: [u64; 10] = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

fn times(seen: Vec<(u64, String)>, wanted: &str) -> Vec<u64> {
    assert!(seen.iter().all(|(_, kind)| kind == wanted), "{seen:?}");
    seen.into_iter().map(|(ms, _)| ms).collect()
}

#[test]
fn an_invite_is_answered_100_at_once_and_told_once_17_2_1() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    assert_eq!(bench.sent_kinds(), ["100"]);
    bench.hear(500, &invite("z9hG4bKa").text()).unwrap();
    assert_eq!(bench.sent_kinds(), ["100"]);
    let server = bench.server();
    bench.respond(600, server, 180);
    bench.sent.clear();
    // A repeat gets the last provisional again.
    bench.hear(1_500, &invite("z9hG4bKa").text()).unwrap();
    let again = bench.sent.pop_front().unwrap();
    assert_eq!(again.status(), Some(180));
    assert_eq!(bench.events.len(), 0);
    assert_eq!(bench.endpoint.counters().absorbed_requests, 2);
}

#[test]
fn all_answers_to_a_request_carry_the_same_tag_8_2_6_2() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.respond(1, server, 100);
    assert!(bench.sent.drain(..).all(|trying| trying.to().tag().is_none()));
    bench.respond(1, server, 180);
    bench.hear(2, &Ask::new("CANCEL", "z9hG4bKa").text()).unwrap();
    bench.respond(3, server, 487);
    let tags: Vec<_> = bench.sent.drain(..).map(|m| m.to().tag().map(<[u8]>::to_vec)).collect();
    assert_eq!(tags.len(), 3);
    assert!(tags[0].is_some() && tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");
}

#[test]
fn the_users_own_tag_is_kept() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.endpoint.respond(at(1), server, Answer { to_tag: Some(b"mine".to_vec()), ..Answer::new(183) });
    bench.respond(2, server, 486);
    let tags: Vec<_> = bench.sent.drain(..).skip(1).map(|m| m.to().tag().map(<[u8]>::to_vec)).collect();
    assert_eq!(tags, [Some(b"mine".to_vec()), Some(b"mine".to_vec())]);
}

#[test]
fn a_refusal_is_repeated_until_its_ack_17_2_1() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.sent.clear();
    bench.respond(0, server, 486);
    assert_eq!(bench.sent_kinds(), ["486"]);
    assert_eq!(times(bench.run(1_999), "486"), [500, 1_500]);
    let ack = Ask { to_tag: ";tag=x".into(), ..Ask::new("ACK", "z9hG4bKa") }.text();
    bench.hear(2_000, &ack).unwrap();
    bench.hear(2_100, &ack).unwrap();
    assert_eq!((bench.events.len(), bench.endpoint.counters().absorbed_acks), (0, 2));
    assert!(bench.endpoint.servers.get(server.0).unwrap().last.is_empty());
    assert_eq!(bench.run(6_999), []);
    assert_eq!(bench.endpoint.transactions(), 1);
    bench.run(7_000);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn a_refusal_never_acknowledged_ends_with_timer_h_17_2_1() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.respond(0, server, 500);
    bench.sent.clear();
    assert_eq!(times(bench.run(60_000), "500"), CAPPED);
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.counters().acks_missing_refusal), (0, 1));
    assert_eq!(bench.events.len(), 0);
}

#[test]
fn a_cancel_says_why_rfc_3326_2() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    bench.server();
    let cancel = Ask::new("CANCEL", "z9hG4bKa").text();
    let because = cancel.replacen("\r\n", "\r\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n", 1);
    bench.hear(10, &because).unwrap();
    let Some(Event::Cancelled { reason, .. }) = bench.events.pop_front() else { panic!("cancelled") };
    assert_eq!(reason.as_deref(), Some(&b"SIP;cause=200;text=\"Call completed elsewhere\""[..]));
}

#[test]
fn a_2xx_is_repeated_until_confirmed_13_3_1_4() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::with(transport, Limits::default());
        bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
        let server = bench.server();
        bench.respond(0, server, 200);
        bench.sent.clear();
        assert_eq!(times(bench.run(3_600), "200"), [500, 1_500, 3_500]);
        // The INVITE again: absorbed without a word (RFC 6026 7.1).
        bench.hear(3_650, &invite("z9hG4bKa").text()).unwrap();
        assert_eq!(bench.sent.len(), 0);
        let ack = Ask { to_tag: ";tag=x".into(), ..Ask::new("ACK", "z9hG4bKother") };
        bench.hear(3_700, &ack.text()).unwrap();
        assert_eq!(bench.event_kinds(), ["ack"]);
        bench.endpoint.confirm(at(3_700), server);
        let kept = bench.endpoint.servers.get(server.0).unwrap();
        assert!(kept.last.is_empty() && kept.request.is_none(), "a settled INVITE keeps only its identity");
        assert_eq!(bench.run(31_999), []);
        bench.hear(31_999, &invite("z9hG4bKa").text()).unwrap();
        assert_eq!((bench.sent.len(), bench.events.len()), (0, 0));
        bench.run(32_000);
        assert_eq!((bench.endpoint.transactions(), bench.events.len()), (0, 0));
    }
}

#[test]
fn an_unacknowledged_2xx_is_told_after_64_t1_13_3_1_4() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.respond(0, server, 200);
    bench.sent.clear();
    assert_eq!(times(bench.run(31_999), "200"), CAPPED);
    assert_eq!(bench.events.len(), 0);
    bench.run(32_000);
    assert!(matches!(bench.events.pop_front(), Some(Event::AckMissing { server: s }) if s == server));
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn an_ack_on_the_invites_branch_for_a_2xx_reaches_the_user_rfc_6026_7_1() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    let early = Ask::new("ACK", "z9hG4bKa").text();
    assert_eq!(bench.hear(0, &early), Err(Rejected::StrayAck));
    bench.respond(1, server, 200);
    bench.hear(2, &early).unwrap();
    assert_eq!(bench.event_kinds(), ["ack"]);
}

#[test]
fn a_cancel_is_answered_and_told_once_9_2() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.sent.clear();
    for _ in 0..2 {
        bench.hear(10, &Ask::new("CANCEL", "z9hG4bKa").text()).unwrap();
    }
    assert_eq!(bench.sent_kinds(), ["200", "200"]);
    assert!(matches!(bench.events.pop_front(), Some(Event::Cancelled { server: s, reason: None }) if s == server));
    assert_eq!(bench.events.len(), 0);
}

#[test]
fn a_cancel_too_late_or_for_nothing_changes_nothing_9_2() {
    let mut bench = Bench::new();
    assert_eq!(bench.hear(0, &Ask::new("CANCEL", "z9hG4bKa").text()), Err(Rejected::StrayCancel));
    assert_eq!(bench.sent_kinds(), ["481"]);
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.respond(1, server, 200);
    bench.sent.clear();
    bench.hear(10, &Ask::new("CANCEL", "z9hG4bKa").text()).unwrap();
    assert_eq!(bench.sent_kinds(), ["200"]);
    assert_eq!(bench.events.len(), 0);
}

#[test]
fn other_requests_are_answered_again_until_timer_j_17_2_2() {
    let mut bench = Bench::new();
    let options = Ask::new("OPTIONS", "z9hG4bKo").text();
    bench.hear(0, &options).unwrap();
    bench.hear(10, &options).unwrap();
    assert_eq!((bench.sent.len(), bench.events.len()), (0, 1));
    let server = bench.server();
    assert_eq!(bench.endpoint.request_of(server).map(Message::method), Some(Method::Options));
    bench.respond(20, server, 200);
    bench.respond(21, server, 500);
    assert_eq!(bench.sent_kinds(), ["200"]);
    assert!(bench.endpoint.request_of(server).is_none());
    bench.hear(32_019, &options).unwrap();
    assert_eq!(bench.sent_kinds(), ["200"]);
    bench.run(32_020);
    assert_eq!(bench.endpoint.transactions(), 0);
    assert_eq!(bench.endpoint.counters().late_orders, 1);
}

#[test]
fn what_the_user_never_answers_is_dropped_rfc_4320() {
    let mut bench = Bench::new();
    bench.hear(0, &Ask::new("INFO", "z9hG4bKo").text()).unwrap();
    assert_eq!(bench.run(60_000), []);
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.counters().unanswered), (0, 1));
}

/// Whatever was said further on: who hears 408 to a request other than INVITE takes it for his own timer, or has long given up.
#[test]
fn no_request_but_invite_is_answered_408_rfc_4320_4_2() {
    let (late, slow) = ((408, "Request Timeout"), (504, "Server Time-out"));
    for (method, (code, phrase)) in [("INFO", slow), ("MESSAGE", slow), ("BYE", slow), ("INVITE", late)] {
        let mut bench = Bench::new();
        bench.hear(0, &Ask::new(method, "z9hG4bKo").text()).unwrap();
        let server = bench.server();
        let said = Answer { phrase: Some(b"Request Timeout".to_vec()), ..Answer::new(408) };
        bench.endpoint.respond(at(1), server, said);
        bench.drain();
        let heard = bench.sent.pop_back().unwrap();
        assert_eq!((heard.status(), heard.reason_phrase()), (Some(code), phrase.as_bytes()), "{method}");
    }
}

#[test]
fn a_merged_request_is_refused_8_2_2_2() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    bench.sent.clear();
    assert_eq!(bench.hear(1, &invite("z9hG4bKb").text()), Err(Rejected::Merged));
    assert_eq!(bench.sent_kinds(), ["482"]);
    // The next CSeq is another request, and one inside a dialog is never merged.
    bench.hear(2, &Ask { cseq: "2", ..invite("z9hG4bKc") }.text()).unwrap();
    bench.hear(3, &Ask { to_tag: ";tag=d".into(), ..invite("z9hG4bKd") }.text()).unwrap();
    assert_eq!(bench.events.len(), 3);
}

#[test]
fn refusals_without_a_transaction_absorb_their_ack_8_2_7() {
    let refused = [
        (Ask { hops: 0, ..invite("z9hG4bKa") }, "483", Rejected::TooManyHops),
        (Ask { uri: "http://x", ..invite("z9hG4bKa") }, "416", Rejected::UnknownScheme),
        (
            Ask { extra: "Require: timer, abc\r\nRequire: xyz\r\n".into(), ..invite("z9hG4bKa") },
            "420",
            Rejected::UnknownExtension,
        ),
    ];
    for (ask, code, why) in refused {
        let mut bench = Bench::new();
        assert_eq!(bench.hear(0, &ask.text()), Err(why));
        assert_eq!(bench.hear(500, &ask.text()), Err(why));
        let (first, second) = (bench.sent.pop_front().unwrap(), bench.sent.pop_front().unwrap());
        assert_eq!(first.bytes(), second.bytes(), "the same request gets the same answer");
        assert_eq!(kind(&first), code);
        if code == "420" {
            assert!(first.bytes().windows(23).any(|w| w == b"Unsupported: abc, xyz\r\n"));
        }
        let tag = String::from_utf8(first.to().tag().unwrap().to_vec()).unwrap();
        bench.hear(600, &Ask { to_tag: format!(";tag={tag}"), ..Ask::new("ACK", "z9hG4bKa") }.text()).unwrap();
        assert_eq!((bench.events.len(), bench.endpoint.counters().absorbed_acks), (0, 1));
        assert_eq!(bench.endpoint.transactions(), 0);
    }
}

#[test]
fn options_without_hops_left_asks_about_us_11_2() {
    let mut bench = Bench::new();
    bench.hear(0, &Ask { hops: 0, ..Ask::new("OPTIONS", "z9hG4bKa") }.text()).unwrap();
    bench
        .hear(
            0,
            &Ask { extra: "Require: timer\r\n".into(), cseq: "2", uri: "tel:+4721", ..Ask::new("OPTIONS", "z9hG4bKb") }
                .text(),
        )
        .unwrap();
    assert_eq!(bench.event_kinds(), ["request OPTIONS", "request OPTIONS"]);
}

#[test]
fn what_passed_us_before_is_a_loop_16_3() {
    let mut bench = Bench::new();
    let own = bench.endpoint.minter().branch();
    let looped = |branch: &str| Ask {
        extra: format!(
            "Via: SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKproxy, SIP/2.0/UDP 192.0.2.1;branch={branch};rport\r\n"
        ),
        ..invite("z9hG4bKa")
    };
    assert_eq!(bench.hear(0, &looped(own.as_str()).text()), Err(Rejected::Loop));
    assert_eq!(bench.sent_kinds(), ["482"]);
    // Another node of ours is no loop.
    let other = Minter::new(2, ShardId(0), 77, 3).branch();
    bench.hear(0, &looped(other.as_str()).text()).unwrap();
    assert_eq!(bench.event_kinds(), ["request INVITE"]);
}

#[test]
fn a_full_table_says_503_with_retry_after() {
    let mut bench = Bench::with(Transport::Udp, Limits { transactions: 1, ..Limits::default() });
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    bench.sent.clear();
    assert_eq!(bench.hear(0, &Ask { cseq: "2", ..invite("z9hG4bKb") }.text()), Err(Rejected::Overloaded));
    let refusal = bench.sent.pop_front().unwrap();
    assert!(refusal.status() == Some(503) && refusal.bytes().windows(16).any(|w| w == b"Retry-After: 5\r\n"));
    assert_eq!(bench.endpoint.transactions(), 1);
}

#[test]
fn a_full_table_still_lets_calls_end() {
    let mut bench = Bench::with(Transport::Udp, Limits { transactions: 8, ..Limits::default() });
    for (n, branch) in ["1", "2", "3", "4", "5", "6", "7", "8"].into_iter().enumerate() {
        let ask = invite(branch).text().replacen("CSeq: 1 ", &format!("CSeq: {n} "), 1);
        bench.hear(0, &ask).unwrap();
    }
    let inside = |method, branch| Ask { cseq: "90", to_tag: ";tag=d".into(), ..Ask::new(method, branch) }.text();
    assert_eq!(bench.hear(0, &inside("INVITE", "z9hG4bKa")), Err(Rejected::Overloaded));
    bench.hear(0, &inside("BYE", "z9hG4bKb")).unwrap();
    // The reserve is an eighth of eight, and now it is used.
    assert_eq!(bench.hear(0, &inside("BYE", "z9hG4bKc")), Err(Rejected::Overloaded));
    assert_eq!(bench.event_kinds().last().map(String::as_str), Some("request BYE"));
}

#[test]
fn responses_go_back_by_rport_or_by_the_written_port_rfc_3581_4() {
    for (params, port, marks) in
        [(";rport", 5070, &["received=192.0.2.9", "rport=5070"][..]), ("", 5062, &["received=192.0.2.9"])]
    {
        let mut bench = Bench::new();
        bench.flow.peer.set_port(5070);
        let from = bench.flow;
        bench
            .endpoint
            .receive(at(0), from, Ask { via_params: params, ..invite("z9hG4bKa") }.text().as_bytes())
            .unwrap();
        let transmit = bench.endpoint.poll_transmit().unwrap();
        assert_eq!(transmit.flow.peer, SocketAddr::new(from.peer.ip(), port));
        let message = Message::parse(transmit.bytes).unwrap();
        let via = String::from_utf8(message.header(HeaderName::Via).unwrap().to_vec()).unwrap();
        assert!(marks.iter().all(|mark| via.contains(mark)), "{via}");
    }
}

#[test]
fn an_rfc_2543_peer_is_matched_without_a_cookie_17_2_3() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("1").text()).unwrap();
    bench.hear(500, &invite("1").text()).unwrap();
    let server = bench.server();
    bench.respond(600, server, 404);
    bench.hear(700, &Ask { to_tag: ";tag=x".into(), ..Ask::new("ACK", "1") }.text()).unwrap();
    assert_eq!((bench.events.len(), bench.endpoint.counters().absorbed_acks), (0, 1));
}

#[test]
fn keep_alives_are_no_messages_rfc_5626_3_5_1() {
    let mut bench = Bench::with(Transport::Tcp, Limits::default());
    bench.endpoint.receive(at(0), bench.flow, b"\r\n\r\n").unwrap();
    assert_eq!(bench.endpoint.poll_transmit().map(|t| t.bytes), Some(b"\r\n".to_vec()));
    bench.endpoint.receive(at(0), flow_of(Transport::Udp), b"\r\n\r\n").unwrap();
    assert!(bench.endpoint.poll_transmit().is_none() && bench.endpoint.poll_event().is_none());
}

#[test]
fn what_cannot_be_read_is_answered_when_it_can_be_18_3() {
    let mut bench = Bench::new();
    let text = Ask::new("OPTIONS", "z9hG4bKa").text();
    assert!(matches!(bench.hear(0, &text.replacen("SIP/2.0", "SIP/7.0", 1)), Err(Rejected::Malformed(_))));
    assert!(matches!(bench.hear(0, &text.replacen("CSeq: 1 OPTIONS", "CSeq: 1 BYE", 1)), Err(Rejected::Malformed(_))));
    assert_eq!(bench.sent_kinds(), ["505", "400"]);
    // Never an answer to an answer, nor to an ACK.
    assert!(bench.hear(0, "SIP/2.0 200 OK\r\n\r\n").is_err());
    assert!(bench.hear(0, &Ask::new("ACK", "z9hG4bKa").text().replacen("CSeq: 1 ACK", "CSeq: x", 1)).is_err());
    assert!(bench.hear(0, "hello").is_err());
    assert_eq!((bench.sent.len(), bench.events.len(), bench.endpoint.counters().malformed), (0, 0, 5));
}

proptest! {
    /// Whatever a peer sends, nothing panics, every request told can be answered, and once all are nothing is left.
    #[test]
    fn noise_is_survived(
        steps in proptest::collection::vec((0usize..5, 0usize..400, any::<u8>(), 0u64..2_000), 1..60),
    ) {
        let mut endpoint = Endpoint::new(Minter::new(1, ShardId(0), 77, 3), Limits { transactions: 20, ..Limits::default() }, 5);
        endpoint.bind(SOCKET, Transport::Udp, US.parse().unwrap());
        let flow = flow_of(Transport::Udp);
        let own = endpoint.request(at(0), flow, Bench::draft(Method::Invite), &TimerSet::default()).unwrap();
        let sent = endpoint.poll_transmit().unwrap().bytes;
        let mut now = 0;
        for (kind, place, byte, wait) in steps {
            now += wait;
            let mut bytes = match kind {
                0 => sent.clone(),
                kind => Ask::new(["INVITE", "ACK", "CANCEL", "INFO"][kind - 1], "z9hG4bKa").text().into_bytes(),
            };
            let place = place % bytes.len();
            bytes[place] = byte;
            let _counted = endpoint.receive(at(now), flow, &bytes);
            endpoint.undeliverable(at(now), SOCKET, flow.peer, &bytes[..place], model::TransportFault::Prohibited);
            while let Some(event) = endpoint.poll_event() {
                if let Event::Request { server, .. } = event {
                    endpoint.respond(at(now), server, Answer::new(200 + u16::from(byte)));
                }
            }
            endpoint.expire(at(now));
            prop_assert!(endpoint.transactions() <= 20 + 20 / 8 + 1);
        }
        endpoint.cancel(at(now), own, None);
        for _ in 0..40 {
            now += 4_000;
            endpoint.expire(at(now));
        }
        prop_assert_eq!(endpoint.transactions(), 0);
        prop_assert_eq!(endpoint.deadline(), None);
    }
}

/// RFC 3262 §3: numbered, repeated until the PRACK, one at a time, and given up after 64*T1.
#[test]
fn a_provisional_response_may_be_made_to_arrive() {
    let mut bench = Bench::new();
    bench.hear(0, &invite("z9hG4bKa").text()).unwrap();
    let server = bench.server();
    bench.sent.clear();
    assert!(bench.endpoint.respond_reliably(at(0), server, Answer::new(180)));
    bench.drain();
    let first = bench.sent.pop_front().unwrap();
    assert_eq!(first.header(HeaderName::Require), Some(&b"100rel"[..]));
    let rseq: u32 = std::str::from_utf8(first.header(HeaderName::RSeq).unwrap()).unwrap().parse().unwrap();
    assert!(!bench.endpoint.respond_reliably(at(10), server, Answer::new(183)), "one waits");
    let again = bench.run(600);
    assert_eq!(times(again, "180"), [500]);
    assert!(!bench.endpoint.acknowledge(at(600), server, rseq + 1));
    assert!(bench.endpoint.acknowledge(at(600), server, rseq));
    assert!(bench.run(40_000).is_empty() && bench.events.is_empty());
    assert!(bench.endpoint.respond_reliably(at(40_000), server, Answer::new(183)));
    bench.drain();
    bench.sent.clear();
    assert_eq!(times(bench.run(72_000), "183").len(), 6);
    assert!(matches!(bench.events.pop_front(), Some(Event::PrackMissing { server: told }) if told == server));
    assert_eq!(bench.endpoint.counters().pracks_missing, 1);
}
