//! Two endpoints with a network between them that loses, doubles and reorders: whatever happens, each request ends exactly
//! once and nothing is left behind.

use super::*;
use alloc::collections::BTreeMap;
use model::Rng;
use proptest::prelude::*;

/// How bad the network is, in percent.
#[derive(Clone, Copy, Debug)]
struct Weather {
    transport: Transport,
    loss: u64,
    doubled: u64,
    /// Longest delay; what is sent later may come earlier.
    delay_ms: u64,
}

/// What the called side does with one INVITE.
#[derive(Clone, Copy, Debug)]
struct Script {
    method: Method,
    ring_ms: u64,
    answer_ms: u64,
    code: u16,
    /// The caller gives up so late; Timer C if the script has none.
    cancel_ms: Option<u64>,
}

#[derive(Debug)]
enum Due {
    Datagram { to: usize, bytes: Vec<u8> },
    Respond { server: ServerKey, code: u16 },
    Cancel { client: ClientKey },
}

struct World {
    ends: [Endpoint; 2],
    due: BTreeMap<(Instant, u64), Due>,
    order: u64,
    rng: Rng,
    weather: Weather,
    scripts: Vec<Script>,
    /// By script: its key, then the finals and failures it ended with.
    clients: Vec<(ClientKey, Vec<String>)>,
    /// INVITEs at the called side by Call-ID, until confirmed.
    answered: BTreeMap<Vec<u8>, ServerKey>,
    /// When the called side was told of a request, by Call-ID.
    told: BTreeMap<Vec<u8>, Vec<Instant>>,
}

const ADDRESSES: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];
/// Longer than any script, so that the caller's user gives up only when answers were lost.
const TIMER_C_MS: u64 = 180_000;

impl World {
    fn new(seed: u64, weather: Weather, scripts: Vec<Script>) -> Self {
        let ends = [0u16, 1].map(|node| {
            let minter = Minter::new(node, ShardId(0), u64::from(node), seed);
            let mut endpoint = Endpoint::new(minter, Limits::default(), seed);
            endpoint.bind(SOCKET, weather.transport, ADDRESSES[usize::from(node)].parse().unwrap());
            endpoint
        });
        Self {
            ends,
            due: BTreeMap::new(),
            order: 0,
            rng: Rng::new(seed),
            weather,
            scripts,
            clients: Vec::new(),
            answered: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn flow(&self, to: usize) -> Flow {
        Flow { socket: SOCKET, peer: ADDRESSES[to].parse().unwrap(), transport: self.weather.transport }
    }

    fn plan(&mut self, when: Instant, due: Due) {
        self.order += 1;
        self.due.insert((when, self.order), due);
    }

    fn start(&mut self) {
        let to = self.flow(1);
        for (index, script) in self.scripts.clone().into_iter().enumerate() {
            let mut draft = Draft::new(script.method, b"sip:b@192.0.2.2".to_vec());
            draft.headers.push("From", format!("<sip:a@192.0.2.1>;tag=f{index}").as_bytes());
            draft.headers.push("To", b"<sip:b@192.0.2.2>");
            draft.headers.push("Call-ID", format!("{index}").as_bytes());
            draft.headers.push("CSeq", format!("1 {}", script.method.as_str()).as_bytes());
            draft.headers.push("Contact", b"<sip:a@192.0.2.1>");
            let client = self.ends[0].request(at(0), to, draft, &TimerSet::default()).unwrap();
            self.clients.push((client, Vec::new()));
            if script.method == Method::Invite {
                self.plan(at(script.cancel_ms.unwrap_or(TIMER_C_MS)), Due::Cancel { client });
            }
        }
        self.drain(at(0));
    }

    /// Runs until nothing is due any more; the time it took.
    fn run(&mut self) -> Instant {
        let mut now = Instant::ZERO;
        loop {
            let planned = self.due.keys().next().map(|(when, _)| *when);
            let next = [planned, self.ends[0].deadline(), self.ends[1].deadline()].into_iter().flatten().min();
            let Some(next) = next else { return now };
            now = next;
            for end in &mut self.ends {
                end.expire(now);
            }
            while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
                match entry.remove() {
                    Due::Datagram { to, bytes } => {
                        let from = self.flow(1 - to);
                        let _counted = self.ends[to].receive(now, from, &bytes);
                    }
                    Due::Respond { server, code } => self.ends[1].respond(now, server, Answer::new(code)),
                    Due::Cancel { client } => self.ends[0].cancel(now, client, None),
                }
                self.drain(now);
            }
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.ends[0].poll_event() {
            self.caller(now, event);
        }
        while let Some(event) = self.ends[1].poll_event() {
            self.called(now, event);
        }
        for from in [0, 1] {
            while let Some(transmit) = self.ends[from].poll_transmit() {
                let copies = 1 + u64::from(self.rng.below(100) < self.weather.doubled);
                for _ in 0..copies {
                    if self.rng.below(100) >= self.weather.loss {
                        let delay = Span::from_millis(1 + self.rng.below(self.weather.delay_ms));
                        self.plan(now + delay, Due::Datagram { to: 1 - from, bytes: transmit.bytes.clone() });
                    }
                }
            }
        }
    }

    fn caller(&mut self, now: Instant, event: Event) {
        let ended = |client: ClientKey, clients: &mut Vec<(ClientKey, Vec<String>)>, how: String| {
            clients.iter_mut().find(|(key, _)| *key == client).unwrap().1.push(how);
        };
        match event {
            Event::Response { client, message, .. } => match message.status().unwrap() {
                ..200 => {}
                code => {
                    ended(client, &mut self.clients, format!("{code}"));
                    if code < 300 && message.method() == Method::Invite {
                        let mut ack = Draft::new(Method::Ack, b"sip:b@192.0.2.2".to_vec());
                        for (name, label) in
                            [(HeaderName::From, "From"), (HeaderName::To, "To"), (HeaderName::CallId, "Call-ID")]
                        {
                            ack.headers.push(label, message.header(name).unwrap());
                        }
                        ack.headers.push("CSeq", b"1 ACK");
                        let to = self.flow(1);
                        self.ends[0].ack(now, client, to, ack);
                    }
                }
            },
            Event::ClientFailed { client, why } => ended(client, &mut self.clients, format!("{why:?}")),
            other => panic!("the caller is told {other:?}"),
        }
    }

    fn called(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { server, message, .. } => {
                self.told.entry(message.call_id().to_vec()).or_default().push(now);
                let script = self.scripts[core::str::from_utf8(message.call_id()).unwrap().parse::<usize>().unwrap()];
                if script.method == Method::Invite {
                    self.answered.insert(message.call_id().to_vec(), server);
                    self.plan(now + Span::from_millis(script.ring_ms), Due::Respond { server, code: 180 });
                }
                let after = if script.method == Method::Invite { script.answer_ms } else { script.answer_ms % 2_000 };
                self.plan(now + Span::from_millis(after), Due::Respond { server, code: script.code });
            }
            Event::Cancelled { server, .. } => self.ends[1].respond(now, server, Answer::new(487)),
            Event::Ack { message, .. } => {
                if let Some(server) = self.answered.remove(message.call_id()) {
                    self.ends[1].confirm(now, server);
                }
            }
            Event::AckMissing { .. } => {}
            other => panic!("the called side is told {other:?}"),
        }
    }
}

fn script() -> impl Strategy<Value = Script> {
    let method = prop_oneof![3 => Just(Method::Invite), 1 => Just(Method::Options), 1 => Just(Method::Bye)];
    let code = prop_oneof![Just(200u16), Just(486), Just(503), Just(302)];
    (method, 0u64..4_000, 0u64..20_000, code, proptest::option::of(0u64..21_000)).prop_map(
        |(method, ring_ms, answer_ms, code, cancel_ms)| Script { method, ring_ms, answer_ms, code, cancel_ms },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Each request ends with one final response or one failure, no request reaches the called user twice while its transaction
    /// lives, and after the last timer both tables are empty.
    #[test]
    fn every_request_ends_once_and_nothing_is_left(
        seed: u64,
        loss in 0u64..60,
        doubled in 0u64..40,
        delay_ms in 1u64..3_000,
        scripts in proptest::collection::vec(script(), 1..12),
    ) {
        let mut world = World::new(seed, Weather { transport: Transport::Udp, loss, doubled, delay_ms }, scripts);
        world.start();
        let end = world.run();
        for ((_, ends), script) in world.clients.iter().zip(&world.scripts) {
            prop_assert_eq!(ends.len(), 1, "{:?} ended {:?}", script, ends);
        }
        for (index, endpoint) in world.ends.iter().enumerate() {
            prop_assert_eq!(endpoint.transactions(), 0, "side {} leaks", index);
            prop_assert_eq!(endpoint.deadline(), None);
        }
        // Timer C, then 64*T1 for the CANCEL, 64*T1 for what it began at the other side, and T4.
        prop_assert!(end <= at(TIMER_C_MS + 2 * 32_000 + 5_000 + 4 * 3_000), "{end:?}");
        // A repeat sent just before Timer F and delayed for seconds can outlive Timer J, and is a new request then: 17.2.2
        // does not count the time on the way. Nothing is told twice before.
        for times in world.told.values() {
            prop_assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= Span::from_secs(32)), "{times:?}");
        }
    }

    /// A stream loses nothing, so each request ends by a response, nothing is repeated, and nothing is left either.
    #[test]
    fn over_streams_nothing_is_repeated(seed: u64, scripts in proptest::collection::vec(script(), 1..12)) {
        let weather = Weather { transport: Transport::Tcp, loss: 0, doubled: 0, delay_ms: 1 };
        let mut world = World::new(seed, weather, scripts);
        world.start();
        world.run();
        for (_, ends) in &world.clients {
            prop_assert!(ends.len() == 1 && ends[0] != "NoReply", "{:?}", ends);
        }
        for endpoint in &world.ends {
            let counters = endpoint.counters();
            prop_assert_eq!((endpoint.transactions(), counters.request_repeats, counters.response_repeats), (0, 0, 0));
        }
    }
}

/// On a clean network the outcome is the scripted one, and soon over.
#[test]
fn a_clean_network_gives_the_scripted_outcome() {
    let plain = |method, code| Script { method, ring_ms: 100, answer_ms: 1_000, code, cancel_ms: None };
    let scripts = vec![
        plain(Method::Invite, 200),
        plain(Method::Invite, 486),
        Script { answer_ms: 300, ..plain(Method::Options, 200) },
        Script { cancel_ms: Some(500), ..plain(Method::Invite, 200) },
    ];
    let mut world = World::new(1, Weather { transport: Transport::Udp, loss: 0, doubled: 0, delay_ms: 1 }, scripts);
    world.start();
    world.run();
    let ends: Vec<_> = world.clients.iter().map(|(_, ends)| ends.join(" ")).collect();
    assert_eq!(ends, ["200", "486", "200", "487"]);
    assert_eq!(world.ends[0].counters().request_repeats, 0);
    assert_eq!((world.ends[1].counters().acks_missing, world.ends[1].counters().acks_missing_refusal), (0, 0));
}
