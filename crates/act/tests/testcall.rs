//! One test call against a scripted far end: every message through both endpoints, audio checked by its content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use act::{
    Expected, Heard, NoVerdict, Ports, Target, TestCall, TestCallOutcome, TestCallScript, TestCallWorld, TrunkProfile,
};
use media::player::{Law, ToneListener, ToneTalker};
use media::{Component, PairId, Relay, rtcp, rtp};
use model::{Instant, ListenId, Name, Rng, ShardId, SocketId, Span, TestCallResult};
use sip::auth::Credentials;
use sip::{Answer, Dialog, Endpoint, Event, Flow, Limits, Message, Method, Minter, ServerKey, TimerSet, Transport};
use std::net::SocketAddr;

const NEAR: &str = "192.0.2.10:5060";
const FAR: &str = "192.0.2.77:5060";
const NEAR_RTP: &str = "192.0.2.10:20000";
const FAR_RTP: &str = "192.0.2.77:40000";
const PAIR: PairId = PairId(0);
const LISTEN: ListenId = ListenId(0);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

fn flow(peer: &str) -> Flow {
    Flow { socket: SocketId(0), peer: addr(peer), transport: Transport::Udp }
}

struct Bench {
    now: Instant,
    near: Endpoint,
    far: Endpoint,
    relay: Relay,
    ports: Ports,
    nonces: act::Nonces,
    rng: Rng,
    call: Option<TestCall>,
    /// What the far end was told, newest last.
    told: Vec<Event>,
    /// Methods of the requests it was sent, repetitions left out.
    methods: Vec<Method>,
}

impl Bench {
    fn new() -> Self {
        let end = |node, at| {
            let mut endpoint = Endpoint::new(Minter::new(node, ShardId(0), 7, u64::from(node)), Limits::default(), 1);
            endpoint.bind(SocketId(0), Transport::Udp, addr(at));
            endpoint
        };
        let mut ports = Ports::new(16);
        ports.stock(Instant::ZERO, LISTEN, &[(PAIR, addr(NEAR_RTP))]);
        Self {
            now: Instant::ZERO + Span::from_secs(10),
            near: end(0, NEAR),
            far: end(1, FAR),
            relay: Relay::new(16),
            ports,
            nonces: act::Nonces::default(),
            rng: Rng::new(3),
            call: None,
            told: Vec::new(),
            methods: Vec::new(),
        }
    }

    fn place(&mut self, expect: Expected, auth: Option<Credentials>) -> Result<(), NoVerdict> {
        let target = Target { index: 0, addr: addr(FAR), transport: Transport::Udp, socket: SocketId(0) };
        let trunk = TrunkProfile {
            name: Name::from("acme"),
            targets: vec![target],
            listen: LISTEN,
            interfaces: Vec::new(),
            timers: TimerSet::default(),
            auth,
            accept: Vec::new(),
            dialogs: act::DialogPolicy::default(),
            session_max: Span::from_secs(3_600),
            interworking: act::Interworking::NEUTRAL,
            media: media::sdp::MediaPolicy::NEUTRAL,
            inbound: act::InboundPolicy::default(),
            transfer: act::Transfer::Act,
            redirect: act::Redirect::Follow,
            challenge: act::Challenge::Answer,
            overload: false,
            large_by_tcp: false,
        };
        let script = TestCallScript {
            number: b"+4722000000".to_vec(),
            from: None,
            expect,
            deadline: Span::from_secs(20),
            listen: Span::from_secs(5),
        };
        let mut world = TestCallWorld {
            now: self.now,
            endpoint: &mut self.near,
            relay: &mut self.relay,
            ports: &mut self.ports,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
        };
        self.call = Some(TestCall::place(&mut world, &script, (model::TrunkId(1), &trunk), target, Some(LISTEN))?);
        self.cross();
        Ok(())
    }

    fn act(&mut self, act: impl FnOnce(&mut TestCall, &mut TestCallWorld<'_>)) {
        let mut call = self.call.take().expect("a call");
        let mut world = TestCallWorld {
            now: self.now,
            endpoint: &mut self.near,
            relay: &mut self.relay,
            ports: &mut self.ports,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
        };
        act(&mut call, &mut world);
        self.call = Some(call);
    }

    /// Lets both ends hear each other until neither has more to say.
    fn cross(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.near.poll_transmit() {
                quiet = false;
                self.far.receive(self.now, flow(NEAR), &transmit.bytes).expect("well formed");
            }
            while let Some(event) = self.far.poll_event() {
                if let Event::Request { message, .. } = &event {
                    self.methods.push(message.method());
                }
                self.told.push(event);
            }
            while let Some(transmit) = self.far.poll_transmit() {
                quiet = false;
                self.near.receive(self.now, flow(FAR), &transmit.bytes).expect("well formed");
            }
            while let Some(event) = self.near.poll_event() {
                self.act(|call, world| match event {
                    Event::Response { client, message, .. } => call.response(world, client, &message),
                    Event::ClientFailed { client, why } => call.failed(world, client, why),
                    Event::Request { server, message, .. } => {
                        assert!(call.owns_dialog(&message));
                        call.request(world, server, &message);
                    }
                    _ => {}
                });
            }
            if quiet {
                return;
            }
        }
    }

    fn pass(&mut self, span: Span) {
        self.now += span;
        self.near.expire(self.now);
        self.far.expire(self.now);
        self.act(|call, world| call.tick(world));
        self.cross();
    }

    /// The last request the far end was told of.
    fn request(&self, method: Method) -> (ServerKey, Message) {
        let found = self.told.iter().rev().find_map(|event| match event {
            Event::Request { server, message, .. } if message.method() == method => Some((*server, message.clone())),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no {method:?} came: {:?}", self.methods))
    }

    fn respond(&mut self, server: ServerKey, mut answer: Answer) {
        if answer.code > 100 {
            answer.headers.push("Contact", format!("<sip:test@{FAR}>").as_bytes());
        }
        self.far.respond(self.now, server, answer);
        self.cross();
    }

    fn answer(&mut self, payload_type: &str) -> Dialog {
        let (server, invite) = self.request(Method::Invite);
        let mut answer = Answer::new(200);
        answer.to_tag = Some(b"far".to_vec());
        answer.headers.push("Content-Type", b"application/sdp");
        let at = addr(FAR_RTP);
        answer.body = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n",
            ip = at.ip(),
            port = at.port()
        )
        .into_bytes();
        self.respond(server, answer);
        Dialog::uas(&invite, b"far").unwrap()
    }

    /// Two hundred milliseconds in which the far end plays `hz`; what it hears meanwhile.
    fn talk(&mut self, talker: &mut Option<ToneTalker>, listener: &mut ToneListener) {
        for _ in 0..10 {
            if let Some(talker) = talker {
                let packet = talker.next_packet();
                self.act(|call, world| call.media(world.now, Component::Rtp, addr(FAR_RTP), &packet));
            }
            let now = self.now;
            self.act(|call, _| {
                while let Some((pair, to, packet)) = call.due_packet(now) {
                    assert_eq!((pair, to), (PAIR, addr(FAR_RTP)));
                    listener.feed(now, &packet);
                }
            });
            self.pass(ms(20));
        }
    }

    fn report(&mut self, ssrc: u32, fraction_lost: u8) {
        let mut packet = Vec::new();
        rtcp::push_receiver(
            &mut packet,
            9,
            &[rtcp::Block { ssrc, fraction_lost, highest: 77, ..rtcp::Block::default() }],
        );
        let from = SocketAddr::new(addr(FAR_RTP).ip(), 40_001);
        self.act(|call, world| call.media(world.now, Component::Rtcp, from, &packet));
    }

    /// The SSRC of our packets.
    fn our_ssrc(&mut self) -> u32 {
        let now = self.now;
        let mut ssrc = None;
        self.act(|call, _| {
            ssrc = call.due_packet(now).and_then(|(_, _, packet)| rtp::read(&packet)).map(|header| header.ssrc)
        });
        ssrc.expect("a packet is due")
    }

    fn outcome(&mut self) -> Option<Result<TestCallOutcome, NoVerdict>> {
        self.call.as_mut().unwrap().poll()
    }

    /// The far end answers the BYE, and nothing of the call is left.
    fn torn_down(&mut self) {
        let (server, _) = self.request(Method::Bye);
        self.respond(server, Answer::new(200));
        assert!(self.call.as_ref().unwrap().is_over());
        self.given_back();
    }

    fn given_back(&mut self) {
        assert_eq!(self.relay.keep(PAIR), Ok(()), "the pair is kept no longer");
        self.ports.expire(self.now + Span::from_secs(60));
        assert_eq!((self.ports.ready(), self.ports.used()), (1, 0));
    }
}

fn credentials() -> Option<Credentials> {
    Some(Credentials { user: "u1001".into(), secret: "hunter2".into(), realm: None })
}

fn challenge() -> Answer {
    let mut answer = Answer::new(401);
    answer.headers.push("WWW-Authenticate", b"Digest realm=\"acme\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"");
    answer
}

fn header(message: &Message, name: &str) -> String {
    String::from_utf8_lossy(message.named(name).unwrap_or_default()).into_owned()
}

#[test]
fn the_invite_is_one_that_a_carrier_takes() {
    let mut bench = Bench::new();
    bench.place(Expected::HeardBothWays, credentials()).unwrap();
    let (_, invite) = bench.request(Method::Invite);
    assert_eq!(invite.uri(), b"sip:+4722000000@192.0.2.77:5060");
    assert!(header(&invite, "From").starts_with("<sip:u1001@192.0.2.10:5060>;tag="), "known by its credentials");
    assert_eq!(header(&invite, "Contact"), "<sip:u1001@192.0.2.10:5060>");
    let body = String::from_utf8_lossy(invite.body()).into_owned();
    for line in
        ["c=IN IP4 192.0.2.10\r\n", "m=audio 20000 RTP/AVP 8 0 101\r\n", "a=rtpmap:101 telephone-event/8000\r\n"]
    {
        assert!(body.contains(line), "{body}");
    }
}

#[test]
fn a_challenge_is_answered_once_within_the_same_call() {
    let mut bench = Bench::new();
    bench.place(Expected::Codes(vec![(400, 499)]), credentials()).unwrap();
    let (server, first) = bench.request(Method::Invite);
    bench.respond(server, challenge());
    let (server, second) = bench.request(Method::Invite);
    assert_eq!((second.call_id(), second.cseq().number), (first.call_id(), 2));
    assert!(header(&second, "Authorization").contains("username=\"u1001\""), "{}", header(&second, "Authorization"));
    assert_eq!(bench.outcome(), None);
    bench.respond(server, Answer::new(404));
    let outcome = bench.outcome().unwrap().unwrap();
    assert_eq!((outcome.result, outcome.code), (TestCallResult::Good { ringback: None, answer: None }, Some(404)));
    assert_eq!(bench.methods, [Method::Invite, Method::Invite]);
    bench.given_back();

    let mut bench = Bench::new();
    bench.place(Expected::Heard, credentials()).unwrap();
    for _ in 0..2 {
        let (server, _) = bench.request(Method::Invite);
        bench.respond(server, challenge());
    }
    let refused = bench.outcome().unwrap().unwrap();
    assert_eq!(refused.result, TestCallResult::Refused { code: 401 }, "wrong credentials are not tried for ever");
    assert!(bench.call.as_ref().unwrap().is_over());
}

#[test]
fn our_tone_leaves_every_20_ms_in_the_law_that_was_answered() {
    for (payload_type, law) in [("8 101", Law::A), ("0", Law::Mu)] {
        let mut bench = Bench::new();
        bench.place(Expected::HeardBothWays, None).unwrap();
        bench.answer(payload_type);
        let mut listener = ToneListener::new(&[1_000, 1_700]);
        let mut talker = Some(ToneTalker::new(440, 5).in_law(law));
        (0..5).for_each(|_| bench.talk(&mut talker, &mut listener));
        assert_eq!(listener.loudest(), Some((1_700, Span::from_secs(1))));
        assert_eq!((listener.packets(), listener.longest_gap()), (50, ms(20)));
        assert_eq!(bench.outcome(), None, "theirs is heard, ours is not proven");
        (0..20).for_each(|_| bench.talk(&mut talker, &mut listener));
        let outcome = bench.outcome().unwrap().unwrap();
        assert_eq!(outcome.result, TestCallResult::NoTone { from_target: true, to_target: false });
        bench.torn_down();
    }
}

#[test]
fn a_report_of_little_loss_proves_that_ours_arrives() {
    for (fraction_lost, loss, proven) in [(0, 0, true), (25, 9, true), (64, 25, false)] {
        let mut bench = Bench::new();
        bench.place(Expected::HeardBothWays, None).unwrap();
        bench.answer("8");
        let ssrc = bench.our_ssrc();
        let (mut talker, mut listener) = (Some(ToneTalker::new(440, 5)), ToneListener::new(&[1_700]));
        (0..3).for_each(|_| bench.talk(&mut talker, &mut listener));
        bench.report(ssrc ^ 1, 0);
        bench.pass(ms(1));
        assert_eq!(bench.outcome(), None, "a report about another source");
        bench.report(ssrc, fraction_lost);
        bench.pass(ms(1));
        if !proven {
            assert_eq!(bench.outcome(), None, "a quarter lost is no proof");
            bench.pass(Span::from_secs(5));
        }
        let outcome = bench.outcome().unwrap().unwrap();
        let heard = outcome.heard.unwrap();
        assert_eq!((heard.reported_loss, heard.echo), (Some(loss), Span::ZERO));
        assert_eq!((heard.from_target, heard.to_target), (true, proven));
        assert_eq!(matches!(outcome.result, TestCallResult::Good { .. }), proven, "{outcome:?}");
        bench.torn_down();
    }
}

#[test]
fn silence_is_not_audio_and_an_echo_is_ours() {
    let mut bench = Bench::new();
    bench.place(Expected::HeardBothWays, None).unwrap();
    bench.answer("8");
    let mut listener = ToneListener::new(&[1_700]);
    (0..10).for_each(|_| bench.talk(&mut Some(ToneTalker::new(0, 5)), &mut listener));
    assert_eq!(bench.outcome(), None);
    let mut echo = Some(ToneTalker::new(1_700, 5));
    (0..3).for_each(|_| bench.talk(&mut echo, &mut listener));
    let outcome = bench.outcome().unwrap().unwrap();
    let Some(Heard { loud, echo, from_target: true, to_target: true, .. }) = outcome.heard else {
        panic!("{outcome:?}")
    };
    assert_eq!((loud, echo), (ms(500), ms(500)), "it hangs up as soon as it knows");
    bench.torn_down();
}

#[test]
fn an_answer_without_audio_is_ended_at_once() {
    let mut bench = Bench::new();
    bench.place(Expected::Heard, None).unwrap();
    let (server, _) = bench.request(Method::Invite);
    bench.respond(server, Answer { to_tag: Some(b"far".to_vec()), ..Answer::new(200) });
    let outcome = bench.outcome().unwrap().unwrap();
    assert_eq!(outcome.result, TestCallResult::NoTone { from_target: false, to_target: false });
    bench.torn_down();
}

#[test]
fn ringing_is_timed_and_given_up_by_cancel_which_a_late_answer_may_cross() {
    let mut bench = Bench::new();
    bench.place(Expected::Heard, None).unwrap();
    let (server, _) = bench.request(Method::Invite);
    bench.now += ms(40);
    bench.respond(server, Answer { to_tag: Some(b"far".to_vec()), ..Answer::new(180) });
    bench.now += Span::from_secs(20);
    // The answer is on its way before the CANCEL is.
    bench.act(|call, world| call.tick(world));
    let outcome = bench.outcome().unwrap().unwrap();
    assert_eq!(
        (outcome.result, outcome.ringback),
        (TestCallResult::NoReply { after: Span::from_secs(20) }, Some(ms(40)))
    );
    assert!(bench.call.as_ref().unwrap().is_up());
    bench.answer("8");
    assert_eq!(bench.outcome(), None, "told once");
    bench.torn_down();
}

#[test]
fn a_challenged_bye_is_sent_again_with_credentials() {
    let mut bench = Bench::new();
    bench.place(Expected::Codes(vec![(200, 299)]), credentials()).unwrap();
    bench.answer("8");
    let outcome = bench.outcome().unwrap().unwrap();
    assert_eq!(outcome.result, TestCallResult::Good { ringback: None, answer: Some(Span::ZERO) });
    let (server, first) = bench.request(Method::Bye);
    bench.respond(server, challenge());
    let (_, second) = bench.request(Method::Bye);
    assert_eq!(second.cseq().number, first.cseq().number + 1);
    assert!(header(&second, "Authorization").contains("username=\"u1001\""));
    bench.torn_down();
}

/// The BYE has overtaken the 200, which is acknowledged all the same (RFC 3261 §13.2.2.4), and the ports go back.
#[test]
fn a_bye_before_the_answer_ends_nothing_by_itself() {
    let mut bench = Bench::new();
    bench.place(Expected::HeardBothWays, None).unwrap();
    let (server, invite) = bench.request(Method::Invite);
    bench.respond(server, Answer { to_tag: Some(b"far".to_vec()), ..Answer::new(180) });
    let mut draft = Dialog::uas(&invite, b"far").unwrap().request(Method::Bye);
    draft.headers.push("Contact", format!("<sip:test@{FAR}>").as_bytes());
    bench.far.request(bench.now, flow(NEAR), draft, &TimerSet::default()).unwrap();
    bench.cross();
    assert!(bench.outcome().is_none() && !bench.call.as_ref().unwrap().is_over());
    bench.answer("8");
    bench.pass(Span::from_secs(20));
    assert!(bench.outcome().unwrap().is_ok());
    bench.torn_down();
}

#[test]
fn the_target_may_hang_up_but_not_change_the_session() {
    let mut bench = Bench::new();
    bench.place(Expected::HeardBothWays, None).unwrap();
    let mut dialog = bench.answer("8");
    let ask = |bench: &mut Bench, dialog: &mut Dialog, method| {
        let mut draft = dialog.request(method);
        draft.headers.push("Contact", format!("<sip:test@{FAR}>").as_bytes());
        bench.told.clear();
        bench.far.request(bench.now, flow(NEAR), draft, &TimerSet::default()).unwrap();
        bench.cross();
        bench.told.iter().rev().find_map(|event| match event {
            Event::Response { message, .. } => message.status(),
            _ => None,
        })
    };
    assert_eq!(ask(&mut bench, &mut dialog, Method::Invite), Some(488));
    assert_eq!(ask(&mut bench, &mut dialog, Method::Info), Some(200));
    assert_eq!(bench.outcome(), None);
    assert_eq!(ask(&mut bench, &mut dialog, Method::Bye), Some(200));
    let outcome = bench.outcome().unwrap().unwrap();
    assert_eq!(outcome.result, TestCallResult::NoTone { from_target: false, to_target: false });
    assert!(bench.call.as_ref().unwrap().is_over());
    bench.given_back();
}

#[test]
fn a_stop_breaks_it_off_and_says_nothing_of_the_target() {
    let mut bench = Bench::new();
    bench.place(Expected::Heard, None).unwrap();
    bench.act(|call, world| call.hang_up(world));
    bench.cross();
    assert_eq!(bench.outcome(), Some(Err(NoVerdict::Stopped)));
    let (server, _) = bench.request(Method::Invite);
    assert!(bench.told.iter().any(|event| matches!(event, Event::Cancelled { .. })), "the 100 was there already");
    bench.respond(server, Answer::new(487));
    assert!(bench.call.as_ref().unwrap().is_over());
    bench.given_back();

    let mut bench = Bench::new();
    bench.place(Expected::Heard, None).unwrap();
    bench.answer("8");
    bench.act(|call, world| call.hang_up(world));
    bench.cross();
    assert_eq!(bench.outcome(), Some(Err(NoVerdict::Stopped)));
    bench.torn_down();
}

#[test]
fn without_a_port_nothing_is_sent() {
    let mut bench = Bench::new();
    bench.ports.take(LISTEN).unwrap();
    assert_eq!(bench.place(Expected::Heard, None), Err(NoVerdict::NoPort));
    assert!(bench.near.poll_transmit().is_none());
}

#[test]
fn what_comes_in_is_taken_without_an_allocation() {
    let mut bench = Bench::new();
    bench.place(Expected::HeardBothWays, None).unwrap();
    bench.answer("8");
    let mut report = Vec::new();
    rtcp::push_receiver(&mut report, 9, &[rtcp::Block { ssrc: 1, highest: 7, ..rtcp::Block::default() }]);
    let (mut talker, mut counted) = (ToneTalker::new(1_700, 5), 0);
    bench.act(|call, world| {
        let before = allocations::made();
        for _ in 0..10_000 {
            world.now += ms(20);
            call.media(world.now, Component::Rtp, addr(FAR_RTP), &talker.next_packet());
            call.media(world.now, Component::Rtp, addr("203.0.113.66:9"), &talker.next_packet());
            call.media(world.now, Component::Rtcp, addr(FAR_RTP), &report);
            call.media(world.now, Component::Rtcp, addr(FAR_RTP), &[1, 2, 3]);
        }
        counted = allocations::made() - before;
        call.tick(world);
    });
    assert_eq!(counted, 0);
    let heard = bench.outcome().unwrap().unwrap().heard.unwrap();
    assert_eq!(heard.echo, Span::from_secs(200), "all of the target's packets, none of the stranger's");
}
