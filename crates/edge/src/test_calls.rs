//! Test calls of one shard: placed when control orders them, carried out beside the calls of others, told of once.
//!
//! They use the shard's own endpoint, ports and sockets, and take a place on their trunk like any call, so that caps hold. Refuses to
//! know: when one is due, what its outcome means.

use crate::config::Settings;
use crate::io::{Output, Tested};
use act::{NoVerdict, Profiles, TestCall, TestCallWorld};
use core::net::SocketAddr;
use decide::Load;
use media::{Component, PairId};
use model::Instant;
use sense::TestCallOrder;
use sip::{ClientKey, Failure, Flow, Message, ServerKey};
use std::collections::VecDeque;

/// At once in one shard, those that are being torn down included.
const MOST: usize = 8;

/// What the shard counts of them.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    placed: u64,
    not_placed: u64,
}

#[derive(Debug)]
struct Running {
    order: TestCallOrder,
    call: TestCall,
    /// It has its place on the trunk.
    counted: bool,
}

/// All test calls of a shard.
#[derive(Debug, Default)]
pub(crate) struct TestCalls {
    running: Vec<Running>,
    counters: Counters,
    draining: bool,
}

impl TestCalls {
    /// Places one, or says why not.
    pub(crate) fn place(
        &mut self,
        world: &mut TestCallWorld<'_>,
        settings: &Settings,
        load: &mut Load,
        order: TestCallOrder,
    ) -> Option<Output> {
        match self.try_place(world, settings, load, order) {
            Ok(call) => {
                self.counters.placed += 1;
                load.begin(world.now, order.target.trunk);
                self.running.push(Running { order, call, counted: true });
                None
            }
            Err(why) => {
                self.counters.not_placed += 1;
                Some(tested(&order, Err(why)))
            }
        }
    }

    fn try_place(
        &self,
        world: &mut TestCallWorld<'_>,
        settings: &Settings,
        load: &Load,
        order: TestCallOrder,
    ) -> Result<TestCall, NoVerdict> {
        let trunk = order.target.trunk;
        let plan = settings.test_call(trunk).ok_or(NoVerdict::Unset)?;
        let profile = settings.profiles.trunk(trunk).ok_or(NoVerdict::Unset)?;
        let target = profile.target(order.target.index).ok_or(NoVerdict::Unset)?;
        if self.draining {
            return Err(NoVerdict::Stopped);
        }
        if self.running.len() >= MOST || self.running.iter().any(|running| running.order.target.trunk == trunk) {
            return Err(NoVerdict::Busy);
        }
        // As for any call it is this shard's part of the limits that counts.
        let limits = settings.shape.trunk(trunk).map(|shape| shape.limits).unwrap_or_default();
        if !load.has_room(world.now, trunk, &limits) {
            return Err(NoVerdict::Full);
        }
        let media = settings.profiles.media_of(trunk).map(|(listen, _)| listen);
        TestCall::place(world, &plan.script, (trunk, profile), *target, media)
    }

    /// Whether the transaction is one of theirs.
    pub(crate) fn owns(&self, client: ClientKey) -> bool {
        self.running.iter().any(|running| running.call.owns(client))
    }

    /// Whether the request belongs to one of their dialogs.
    pub(crate) fn owns_dialog(&self, message: &Message) -> bool {
        self.running.iter().any(|running| running.call.owns_dialog(message))
    }

    /// Whether a request bears the identifiers of one of their dialogs and comes from neither its target nor its trunk.
    pub(crate) fn is_foreign(&self, profiles: &Profiles, flow: Flow, message: &Message) -> bool {
        let owner = self.running.iter().find(|running| running.call.owns_dialog(message));
        owner.is_some_and(|running| !profiles.speaks_for(running.order.target.trunk, flow.socket, flow.peer))
    }

    /// A response to one of their requests.
    pub(crate) fn response(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, message: &Message) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns(client)) {
            running.call.response(world, client, message);
        }
    }

    /// One of their requests has come to nothing.
    pub(crate) fn failed(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, why: Failure) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns(client)) {
            running.call.failed(world, client, why);
        }
    }

    /// A request inside one of their dialogs.
    pub(crate) fn request(&mut self, world: &mut TestCallWorld<'_>, server: ServerKey, message: &Message) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns_dialog(message)) {
            running.call.request(world, server, message);
        }
    }

    /// A packet for us. Allocates nothing.
    pub(crate) fn media(&mut self, now: Instant, pair: PairId, component: Component, from: SocketAddr, packet: &[u8]) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns_pair(pair)) {
            running.call.media(now, component, from, packet);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, world: &mut TestCallWorld<'_>, out: &mut VecDeque<Output>) {
        for running in &mut self.running {
            while let Some((pair, to, packet)) = running.call.due_packet(world.now) {
                let component = Component::Rtp;
                out.push_back(Output::Media { pair, component, to, packet: Box::new(packet) });
            }
            running.call.tick(world);
        }
    }

    /// Breaks all of them off, and places no more: the process is about to end.
    pub(crate) fn drain(&mut self, world: &mut TestCallWorld<'_>) {
        self.draining = true;
        for running in &mut self.running {
            running.call.hang_up(world);
        }
    }

    /// Tells what has come of them, and forgets those that are over.
    pub(crate) fn settle(&mut self, load: &mut Load, out: &mut VecDeque<Output>) {
        for running in &mut self.running {
            out.extend(running.call.poll().map(|outcome| tested(&running.order, outcome)));
            if running.counted && !running.call.is_up() {
                running.counted = false;
                load.end(running.order.target.trunk);
            }
        }
        self.running.retain(|running| !running.call.is_over());
    }

    /// When `tick` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.running.iter().filter_map(|running| running.call.deadline()).min()
    }

    /// None is up at a target.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.iter().all(|running| !running.call.is_up())
    }

    /// By name.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 2] {
        [("placed", self.counters.placed), ("not_placed", self.counters.not_placed)]
    }
}

fn tested(order: &TestCallOrder, outcome: Result<act::TestCallOutcome, NoVerdict>) -> Output {
    Output::Tested(Box::new(Tested { target: order.target, order: order.order, outcome }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::config::Settings;
    use crate::{By, Control, ControlInput, ControlOutput, Input, Shard, ShardConfig, ShardLimits, TrunkAct};
    use act::TestCallOutcome;
    use media::{Forward, Packet, player::ToneTalker};
    use model::{Evidence, ListenId, Seq, ShardId, Span, TargetId, TestCallResult, TrunkId, Wall};
    use sense::NotNow;
    use sip::HeaderName::{CSeq, CallId, From, To, Via};
    use sip::{Method, Transport};
    use std::sync::Arc;

    const EXAMPLE: &str = include_str!("../../../examples/two-carriers.toml");
    const ACME: TrunkId = TrunkId(1);
    const TARGET: TargetId = TargetId { trunk: ACME, index: 0 };

    fn settings(more: &str) -> Arc<Settings> {
        let acme = format!("[trunk.acme]\ntest_call = {{ number = \"+4722000000\", every = \"5min\" }}{more}");
        let text = EXAMPLE.replacen("[trunk.acme]", &acme, 1);
        Arc::new(crate::config::compile(&text, "edge.toml", &|_| None, None).settings.unwrap())
    }

    fn control(settings: Arc<Settings>) -> Control {
        let mut control = Control::new(at(0), Wall::from_micros(0), settings, 1, Seq(1));
        while control.poll().is_some() {}
        control
    }

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(s)
    }

    fn told(control: &mut Control, now: Instant, input: ControlInput) -> (Vec<TestCallOrder>, Vec<ControlOutput>) {
        control.handle(now, Wall::from_micros(0), input);
        let (mut orders, mut answers) = (Vec::new(), Vec::new());
        while let Some(output) = control.poll() {
            match output {
                ControlOutput::TestCall(order) => orders.push(order),
                output @ ControlOutput::Tested { .. } => answers.push(output),
                _ => {}
            }
        }
        (orders, answers)
    }

    fn ended(order: &TestCallOrder, result: TestCallResult) -> ControlInput {
        let outcome = TestCallOutcome { result, ringback: None, answer: None, code: Some(503), heard: None };
        ControlInput::Tested(Box::new(Tested { target: order.target, order: order.order, outcome: Ok(outcome) }))
    }

    #[test]
    fn who_asks_hears_what_came_of_the_very_call() {
        let mut control = control(settings(""));
        let (orders, answers) =
            told(&mut control, at(1), ControlInput::TestNow { trunk: ACME, ticket: 7, by: By::way("test") });
        assert_eq!((orders.len(), answers.len(), orders[0].target), (1, 0, TARGET));
        let (_, answers) =
            told(&mut control, at(2), ControlInput::TestNow { trunk: ACME, ticket: 8, by: By::way("test") });
        assert!(matches!(answers[..], [ControlOutput::Tested { ticket: 8, answer: Err(NotNow::Busy) }]), "{answers:?}");
        let (_, answers) = told(&mut control, at(3), ended(&orders[0], TestCallResult::Refused { code: 503 }));
        let [ControlOutput::Tested { ticket: 7, answer: Ok(view) }] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(view.sentence, "test call to acme is bad: refused with 503");
        let shown = control.view(at(5), &[])[1].test_calls.clone().unwrap();
        assert_eq!((shown.good, shown.bad, shown.void), (0, 1, 0));
        let last = shown.last.unwrap();
        assert_eq!((last.ago, &last.target[..]), (Span::from_secs(2), "203.0.113.5:5060"));
        assert!(control.view(at(5), &[])[2].test_calls.is_none(), "globex has none");
        let (_, answers) =
            told(&mut control, at(9), ControlInput::TestNow { trunk: TrunkId(2), ticket: 9, by: By::way("test") });
        assert!(matches!(answers[..], [ControlOutput::Tested { ticket: 9, answer: Err(NotNow::Unset) }]));
    }

    #[test]
    fn the_schedule_leaves_alone_whom_the_operator_took_out_and_a_person_may_ask_all_the_same() {
        let scheduled = |act: Option<TrunkAct>| {
            let mut control = control(settings(""));
            if let Some(act) = act {
                told(&mut control, at(0), ControlInput::Operate { trunk: ACME, act, by: By::way("test") });
            }
            let mut count = 0;
            while let Some(next) = control.deadline().filter(|next| *next <= at(100)) {
                count += told(&mut control, next, ControlInput::Tick).0.len();
            }
            (
                count,
                told(&mut control, at(100), ControlInput::TestNow { trunk: ACME, ticket: 1, by: By::way("test") })
                    .0
                    .len(),
            )
        };
        assert_eq!(scheduled(None), (1, 1));
        assert_eq!(scheduled(Some(TrunkAct::Out)), (0, 1));
        assert_eq!(scheduled(Some(TrunkAct::Drain)), (0, 1));
    }

    struct Bench {
        shard: Shard,
        sent: Vec<Message>,
        tested: Vec<Tested>,
        packets: usize,
    }

    impl Bench {
        fn new(settings: Arc<Settings>) -> Self {
            let limits = ShardLimits { calls: 10, transactions: 100, pairs: 16, probes: 4, addresses: 4 };
            let config = ShardConfig { shard: ShardId(0), shards: 1, node: 1, key: 3, seed: 4, limits };
            let control = control(settings);
            let mut shard = Shard::new(&config, control.snapshot().clone());
            let pairs = (0..4).map(|n| (PairId(n), SocketAddr::from(([198, 51, 100, 10], 30_000 + 2 * n as u16))));
            shard.handle(at(0), Input::Ports { listen: ListenId(1), pairs: pairs.collect() });
            let mut bench = Self { shard, sent: Vec::new(), tested: Vec::new(), packets: 0 };
            bench.drain();
            bench
        }

        fn handle(&mut self, now: Instant, input: Input<'_>) {
            self.shard.handle(now, input);
            self.drain();
        }

        fn drain(&mut self) {
            while let Some(output) = self.shard.poll() {
                match output {
                    Output::Datagram(transmit) => self.sent.push(Message::parse(transmit.bytes).unwrap()),
                    Output::Tested(tested) => self.tested.push(*tested),
                    Output::Media { pair: PairId(0), component: Component::Rtp, .. } => self.packets += 1,
                    _ => {}
                }
            }
        }

        fn order(&mut self, now: Instant, order: u64) {
            let order = TestCallOrder { target: TARGET, order, deadline: Span::from_secs(30), asked: false };
            self.handle(now, Input::TestCall(order));
        }

        /// Acme answers the last request of this method.
        fn answer(&mut self, now: Instant, method: Method, code: u16, more: &str) {
            let request = self.sent.iter().rev().find(|message| message.method() == method).unwrap();
            let header = |name| String::from_utf8_lossy(request.header(name).unwrap()).into_owned();
            let text = format!(
                "SIP/2.0 {code} x\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=far\r\nCall-ID: {}\r\nCSeq: {}\r\n\
                 Contact: <sip:203.0.113.5:5060>\r\nContent-Length: {}\r\n\r\n{more}",
                header(Via),
                header(From),
                header(To),
                header(CallId),
                header(CSeq),
                more.len()
            );
            let peer = "203.0.113.5:5060".parse().unwrap();
            let flow = Flow { socket: model::SocketId(1), peer, transport: Transport::Udp };
            self.handle(now, Input::Datagram { flow, bytes: text.as_bytes() });
        }

        fn count(&self, method: Method) -> usize {
            self.sent.iter().filter(|message| message.method() == method).count()
        }
    }

    const SDP: &str =
        "v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

    #[test]
    fn its_packets_come_to_it_and_leave_every_20_ms_beside_calls() {
        let mut bench = Bench::new(settings(""));
        bench.order(at(1), 5);
        assert_eq!(bench.shard.view().trunk_calls[1], 1, "it takes a place on its trunk");
        assert!(!bench.shard.idle());
        bench.answer(at(1), Method::Invite, 200, SDP);
        let (mut echo, from) = (ToneTalker::new(1_700, 9), "203.0.113.5:4000".parse().unwrap());
        let mut now = at(1);
        for _ in 0..25 {
            let verdict =
                bench.shard.relay(now, PairId(0), Component::Rtp, from, &mut Packet::whole(&mut echo.next_packet()));
            assert_eq!(verdict, Forward::Local);
            now = bench.shard.deadline().unwrap().max(now);
            bench.handle(now, Input::Tick);
            now += Span::from_millis(20);
        }
        assert_eq!((bench.packets, bench.tested.len()), (25, 1), "half a second is enough");
        let outcome = bench.tested[0].outcome.unwrap();
        assert!(matches!(outcome.result, TestCallResult::Good { .. }), "{outcome:?}");
        assert_eq!((bench.tested[0].order, bench.count(Method::Bye)), (5, 1));
        bench.answer(now, Method::Bye, 200, "");
        assert_eq!((bench.shard.view().trunk_calls[1], bench.shard.idle()), (0, true));
        let verdict =
            bench.shard.relay(now, PairId(0), Component::Rtp, from, &mut Packet::whole(&mut echo.next_packet()));
        assert!(matches!(verdict, Forward::Drop(_)), "what comes late is dropped");
    }

    #[test]
    fn there_is_never_a_second_one_beside_it_nor_one_beyond_the_trunks_limit() {
        let mut bench = Bench::new(settings(""));
        bench.order(at(1), 1);
        bench.order(at(2), 2);
        assert_eq!(bench.tested, [Tested { target: TARGET, order: 2, outcome: Err(NoVerdict::Busy) }]);
        let calls = bench.sent.iter().filter(|message| message.method() == Method::Invite).map(Message::call_id);
        assert_eq!(calls.collect::<std::collections::BTreeSet<_>>().len(), 1);

        let settings = settings("\nlimits = { calls = 1 }");
        let mut load = Load::default();
        load.resize(3);
        load.begin(at(0), ACME);
        let mut world = TestCallWorld {
            now: at(1),
            endpoint: &mut sip::Endpoint::new(sip::Minter::new(1, ShardId(0), 3, 4), sip::Limits::default(), 1),
            relay: &mut media::Relay::new(4),
            ports: &mut act::Ports::new(4),
            nonces: &mut act::Nonces::default(),
            rng: &mut model::Rng::new(1),
        };
        let order = TestCallOrder { target: TARGET, order: 1, deadline: Span::from_secs(30), asked: false };
        let refused = TestCalls::default().place(&mut world, &settings, &mut load, order);
        let Some(Output::Tested(tested)) = refused else { panic!("{refused:?}") };
        assert_eq!((tested.outcome, load.calls(ACME)), (Err(NoVerdict::Full), 1));
    }

    #[test]
    fn a_drain_ends_it_before_the_shard_is_idle_and_takes_no_other() {
        let mut bench = Bench::new(settings(""));
        bench.order(at(1), 1);
        bench.answer(at(1), Method::Invite, 200, SDP);
        assert!(!bench.shard.idle());
        bench.handle(at(2), Input::Drain);
        assert_eq!((bench.count(Method::Bye), bench.shard.idle()), (1, true));
        bench.order(at(3), 2);
        let outcomes: Vec<_> = bench.tested.iter().map(|tested| tested.outcome).collect();
        assert_eq!(outcomes, [Err(NoVerdict::Stopped), Err(NoVerdict::Stopped)]);
    }

    #[test]
    fn its_evidence_is_a_row_of_its_own() {
        let mut sensor = sense::Sensor::new(1);
        let settings = settings("");
        sensor.install(at(0), &settings.probes);
        sensor.install_tests(at(0), &settings.tested());
        let order = sensor.test_asked(at(1), TARGET).unwrap();
        let result = TestCallResult::NoTone { from_target: false, to_target: false };
        let what = model::Observed::TestCall { order, result };
        sensor.observe(at(2), &model::Signal { at: at(2), target: TARGET, what });
        let Evidence { test_calls, last_bad, probe, .. } = sensor.evidence(at(2), TARGET);
        assert_eq!((test_calls.good, test_calls.bad, test_calls.last), (0, 1, Some((at(2), result))));
        assert_eq!((last_bad, probe.bad), (Some(at(2)), 0));
        sensor.observe(at(3), &model::Signal { at: at(3), target: TARGET, what });
        assert_eq!(
            (sensor.counters().late_answers, sensor.evidence(at(3), TARGET).test_calls.bad),
            (1, 1),
            "told twice"
        );
    }
}
