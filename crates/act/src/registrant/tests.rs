use super::*;
use crate::profile::{ListenProfile, TrunkProfile};
use model::{ListenId, Name, ShardId, SocketId};
use sip::auth::Credentials;
use sip::{Limits, Minter, TimerSet, Transport};
use std::vec;

const OURS: &str = "203.0.113.1:5060";

/// What a target answers: a code and header lines, or nothing.
type Script<'a> = dyn FnMut(usize, &Message) -> Option<(u16, String)> + 'a;

/// A registrar as scripted, and us.
struct World {
    now: Instant,
    endpoint: Endpoint,
    profiles: Profiles,
    nonces: Nonces,
    rng: Rng,
    out: Vec<Signal>,
    routes: Vec<ServiceRoute>,
    registrants: Registrants,
    /// REGISTERs sent: when, to which target, what.
    sent: Vec<(Instant, usize, Message)>,
}

fn plan() -> Registration {
    Registration {
        user: "u1001".into(),
        domain: Some("acme.example".into()),
        contact_user: "4722".into(),
        expires: Span::from_secs(600),
        gin: false,
        retry: Span::from_secs(2),
        retry_max: Span::from_secs(60),
        unregister: true,
    }
}

impl World {
    fn new(targets: usize, plan: Registration) -> Self {
        let mut endpoint = Endpoint::new(Minter::new(1, ShardId(0), 42, 1), Limits::default(), 1);
        endpoint.bind(SocketId(0), Transport::Udp, OURS.parse().unwrap());
        let target = |index: usize| Target {
            addr: format!("192.0.2.{}:5060", index + 1).parse().unwrap(),
            transport: Transport::Udp,
            socket: SocketId(0),
            index: index as u8,
        };
        let trunk = TrunkProfile {
            name: Name::from("acme"),
            targets: (0..targets).map(target).collect(),
            listen: ListenId(0),
            interfaces: Vec::new(),
            timers: TimerSet::default(),
            auth: Some(Credentials { user: "u1001".into(), secret: "hush".into(), realm: None }),
            redirect: crate::Redirect::default(),
            challenge: crate::Challenge::default(),
            transfer: crate::Transfer::default(),
            accept: Vec::new(),
            interworking: crate::interworking::Interworking::NEUTRAL,
            overload: false,
            large_by_tcp: false,
            dialogs: crate::DialogPolicy::default(),
            media: media::sdp::MediaPolicy::NEUTRAL,
            inbound: crate::InboundPolicy::default(),
            session_max: Span::from_secs(1),
        };
        let listens =
            vec![ListenProfile { name: Name::from("wan"), sockets: vec![SocketId(0)], media: None, media_bind: None }];
        let profiles = Profiles::new(vec![Some(trunk)], listens, Vec::new());
        let (now, rng) = (Instant::ZERO + Span::from_secs(100), Rng::new(5));
        let (registrants, nonces) = (Registrants::default(), Nonces::default());
        let mut world = Self {
            now,
            endpoint,
            profiles,
            nonces,
            rng,
            out: Vec::new(),
            routes: Vec::new(),
            registrants,
            sent: Vec::new(),
        };
        world.with(|registrants, world| registrants.install(world, [(TrunkId(0), plan)].into_iter()));
        world
    }

    fn with(&mut self, act: impl FnOnce(&mut Registrants, &mut RegistrantWorld<'_>)) {
        let mut world = RegistrantWorld {
            now: self.now,
            endpoint: &mut self.endpoint,
            profiles: &self.profiles,
            nonces: &mut self.nonces,
            rng: &mut self.rng,
            out: &mut self.out,
            routes: &mut self.routes,
        };
        act(&mut self.registrants, &mut world);
    }

    /// Lets time pass; `registrar` says what a target answers: a code and header lines, or nothing.
    fn run(&mut self, seconds: u64, registrar: &mut Script<'_>) {
        let end = self.now + Span::from_secs(seconds);
        loop {
            self.exchange(registrar);
            let due = [self.endpoint.deadline(), self.registrants.deadline()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.endpoint.expire(self.now);
            self.with(Registrants::tick);
        }
        self.now = end;
    }

    fn exchange(&mut self, registrar: &mut Script<'_>) {
        loop {
            if let Some(transmit) = self.endpoint.poll_transmit() {
                let message = Message::parse(transmit.bytes).unwrap();
                let std::net::IpAddr::V4(ip) = transmit.flow.peer.ip() else { panic!("IPv4") };
                let target = usize::from(ip.octets()[3]) - 1;
                self.sent.push((self.now, target, message.clone()));
                if let Some((code, lines)) = registrar(target, &message) {
                    let of = |name| std::str::from_utf8(message.header(name).unwrap()).unwrap();
                    let text = format!(
                        "SIP/2.0 {code} x\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=r\r\nCall-ID: {}\r\nCSeq: {}\r\n{lines}Content-Length: 0\r\n\r\n",
                        of(HeaderName::Via),
                        of(HeaderName::From),
                        of(HeaderName::To),
                        of(HeaderName::CallId),
                        of(HeaderName::CSeq)
                    );
                    self.endpoint.receive(self.now, transmit.flow, text.as_bytes()).unwrap();
                }
            } else if let Some(event) = self.endpoint.poll_event() {
                match event {
                    sip::Event::Response { client, message, .. } => {
                        self.with(|registrants, world| registrants.response(world, client, &message));
                    }
                    sip::Event::ClientFailed { client, why } => {
                        self.with(|registrants, world| registrants.failed(world, client, why));
                    }
                    other => panic!("{other:?}"),
                }
            } else {
                return;
            }
        }
    }

    fn states(&self) -> Vec<(u8, RegistrationState)> {
        let state = |signal: &Signal| match signal.what {
            Observed::Registration { state, .. } => (signal.target.index, state),
            _ => panic!("{signal:?}"),
        };
        self.out.iter().map(state).collect()
    }
}

fn ok(message: &Message) -> Option<(u16, String)> {
    let contact = std::str::from_utf8(message.header(HeaderName::Contact).unwrap()).unwrap();
    Some((200, format!("Contact: <sip:other@x>;expires=7\r\nContact: {contact};expires=100\r\n")))
}

#[test]
fn it_registers_by_its_password_and_renews_before_it_runs_out_10_2() {
    let mut world = World::new(1, plan());
    world.run(1_000, &mut |_, message| {
        if message.header(HeaderName::Authorization).is_none() {
            return Some((401, "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", qop=\"auth\"\r\n".into()));
        }
        ok(message)
    });
    assert!(world.states().iter().all(|(_, state)| *state == RegistrationState::Registered), "{:?}", world.states());
    let told =
        |signal: &Signal| matches!(signal.what, Observed::Registration { holds, .. } if holds == Span::from_secs(100));
    assert!(world.out.iter().all(told), "each tells for how long it was granted");
    let accepted: Vec<_> =
        world.sent.iter().filter(|(_, _, m)| m.header(HeaderName::Authorization).is_some()).collect();
    assert!((12..=15).contains(&accepted.len()), "100 s granted, renewed at 70 to 80: {}", accepted.len());
    let (_, _, first) = accepted[0];
    assert_eq!(first.uri(), b"sip:acme.example");
    assert_eq!(first.to().uri, b"sip:u1001@acme.example");
    assert_eq!(first.header(HeaderName::Contact), Some(&b"<sip:4722@203.0.113.1:5060>"[..]));
    // RFC 3261 10.2: one Call-ID, and a higher CSeq each time.
    assert!(world.sent.windows(2).all(|pair| pair[0].2.call_id() == pair[1].2.call_id()));
    assert!(world.sent.windows(2).all(|pair| pair[0].2.cseq().number < pair[1].2.cseq().number));
}

#[test]
fn refused_for_an_hour_it_is_back_within_a_minute_of_the_recovery() {
    let mut world = World::new(1, plan());
    world.run(10, &mut |_, message| ok(message));
    let before = world.sent.len();
    world.run(3_600, &mut |_, _| Some((403, String::new())));
    let tries = world.sent.len() - before;
    assert!((60..=140).contains(&tries), "it neither gives up nor storms: {tries}");
    assert!(world.states().contains(&(0, RegistrationState::Expired)));
    assert_eq!(world.states().last(), Some(&(0, RegistrationState::Refused { code: 403 })));
    let recovered = world.now;
    world.run(60, &mut |_, message| ok(message));
    let back = world.out.iter().find(|signal| {
        let registered = matches!(signal.what, Observed::Registration { state: RegistrationState::Registered, .. });
        signal.at >= recovered && registered
    });
    assert!(back.is_some_and(|signal| signal.at.since(recovered) <= Span::from_secs(60)), "{back:?}");
}

/// RFC 3608 §6.1: the way that the last 200 wants, in its order, for as long as it is registered there; one of strict routers is not taken.
#[test]
fn the_way_that_a_registrar_wants_is_told_and_taken_back() {
    let mut world = World::new(1, plan());
    let lines = |message: &Message, route: &str| ok(message).map(|(code, lines)| (code, format!("{lines}{route}")));
    let two = "Service-Route: <sip:a.example;lr>, <sip:b.example;lr>\r\nService-Route: <sip:c.example;lr>\r\n";
    world.run(10, &mut |_, message| lines(message, two));
    let target = TargetId { trunk: TrunkId(0), index: 0 };
    let of = |values: &[&str]| ServiceRoute { target, values: values.iter().map(|v| v.as_bytes().into()).collect() };
    assert_eq!(world.routes, [of(&["<sip:a.example;lr>", "<sip:b.example;lr>", "<sip:c.example;lr>"])]);
    world.run(80, &mut |_, message| lines(message, "Service-Route: <sip:strict.example>\r\n"));
    assert_eq!((world.routes.pop(), world.registrants.routes_ignored()), (Some(of(&[])), 1));
    world.run(80, &mut |_, message| lines(message, "Service-Route: <sip:d.example;lr>\r\n"));
    assert_eq!(world.routes.pop(), Some(of(&["<sip:d.example;lr>"])));
    world.run(200, &mut |_, _| Some((503, String::new())));
    assert_eq!(world.routes.pop(), Some(of(&[])), "it has run out");
    let nine = format!("Service-Route: {}\r\n", ["<sip:x;lr>"; 9].join(","));
    world.run(100, &mut |_, message| lines(message, &nine));
    assert!(world.registrants.routes_ignored() > 1);
}

#[test]
fn a_silent_registrar_is_passed_over_for_the_next() {
    let mut world = World::new(2, plan());
    // Until the transaction with the silent one is over too.
    world.run(40, &mut |target, message| if target == 1 { ok(message) } else { None });
    let states = world.states();
    assert_eq!(states, [(0, RegistrationState::NoReply { after: REPLY }), (1, RegistrationState::Registered)]);
    // It stays where it is served.
    let before = world.sent.len();
    world.run(300, &mut |target, message| if target == 1 { ok(message) } else { None });
    assert!(world.sent[before..].iter().all(|(_, target, _)| *target == 1));
}

#[test]
fn a_wrong_password_is_a_refusal_and_no_loop() {
    let mut world = World::new(1, plan());
    let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", qop=\"auth\"\r\n";
    world.run(1, &mut |_, _| Some((401, challenge.into())));
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.states(), [(0, RegistrationState::Refused { code: 401 })]);
}

#[test]
fn retry_after_and_min_expires_are_heeded() {
    let mut world = World::new(1, plan());
    world.run(200, &mut |_, _| Some((503, "Retry-After: 120\r\n".into())));
    assert_eq!(world.sent.len(), 2);
    assert!(world.sent[1].0.since(world.sent[0].0) >= Span::from_secs(120));
    let mut world = World::new(1, plan());
    world.run(10, &mut |_, message| match message.header(HeaderName::Expires) {
        Some(b"600") => Some((423, "Min-Expires: 1800\r\n".into())),
        _ => Some((200, String::new())),
    });
    assert_eq!(world.sent[1].2.header(HeaderName::Expires), Some(&b"1800"[..]));
    assert_eq!(world.states(), [(0, RegistrationState::Registered)]);
    assert_eq!(world.registrants.all[0].until.map(|until| until.since(world.sent[1].0)), Some(Span::from_secs(1_800)));
}

#[test]
fn a_block_of_numbers_is_one_registration_6140_5_2() {
    let mut world = World::new(1, Registration { gin: true, ..plan() });
    world.run(5, &mut |_, message| ok(message));
    let (_, _, message) = &world.sent[0];
    assert_eq!(message.header(HeaderName::Contact), Some(&b"<sip:203.0.113.1:5060;bnc>"[..]));
    assert_eq!(
        (message.header(HeaderName::Require), message.header(HeaderName::ProxyRequire)),
        (Some(&b"gin"[..]), Some(&b"gin"[..]))
    );
}

#[test]
fn draining_takes_it_back_once_and_ends() {
    let mut world = World::new(1, plan());
    world.run(5, &mut |_, message| ok(message));
    world.with(Registrants::drain);
    assert!(!world.registrants.is_idle());
    world.run(1_000, &mut |_, message| ok(message));
    assert_eq!(world.sent.last().unwrap().2.header(HeaderName::Expires), Some(&b"0"[..]));
    assert_eq!(world.sent.len(), 2);
    assert!(world.registrants.is_idle());
    // Nor does a silent registrar hold up the end.
    let mut world = World::new(1, plan());
    world.run(5, &mut |_, message| ok(message));
    world.with(Registrants::drain);
    world.run(6, &mut |_, _| None);
    assert!(world.registrants.is_idle());
}

#[test]
fn a_reload_keeps_what_stays() {
    let mut world = World::new(1, plan());
    world.run(5, &mut |_, message| ok(message));
    world.with(|registrants, world| registrants.install(world, [(TrunkId(0), plan())].into_iter()));
    world.run(5, &mut |_, message| ok(message));
    assert_eq!(world.sent.len(), 1);
    let other = Registration { contact_user: "4723".into(), ..plan() };
    world.with(|registrants, world| registrants.install(world, [(TrunkId(0), other)].into_iter()));
    world.run(5, &mut |_, message| ok(message));
    assert_eq!(world.sent.len(), 2);
    world.with(|registrants, world| registrants.install(world, std::iter::empty()));
    assert_eq!(world.registrants.deadline(), None);
}
