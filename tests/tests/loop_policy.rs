//! Sense and decide together, in virtual time: 50 calls a second over a primary and a secondary carrier, and every way
//! the primary can fail. Figures asserted here are what a caller and an operator would notice: calls that touched the dead
//! trunk, how often traffic moved, and when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use decide::{
    Cause, Change, Decision, Engine, Facts, GroupPolicy, Load, Member, Next, Plan, RouteRule, Shape, SoFar, TrunkShape,
    TrunkTable, Veto,
};
use model::{
    Admin, AttemptOutcome, CallRef, GroupId, Health, Instant, Observed, ProbeResult, Rng, Signal, Span, TargetId,
    TransportFault, TrunkId,
};
use sense::{ProbePolicy, Sensor};
use std::collections::BTreeMap;
use std::sync::Arc;

const PRIMARY: TrunkId = TrunkId(0);
const SECONDARY: TrunkId = TrunkId(1);
const OFFICE: TrunkId = TrunkId(2);
/// Fifty calls a second.
const BETWEEN_CALLS: Span = Span::from_millis(20);
const WARM: Span = Span::from_secs(20);

/// How a carrier behaves at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Carrier {
    Alive,
    /// ICMP on every packet.
    Refuses,
    /// Packets vanish.
    Silent,
    /// OPTIONS answered 200, every INVITE with this code.
    Says(u16),
    /// OPTIONS answered 200, every INVITE with 503 and this Retry-After in seconds.
    Throttles(u64),
    /// OPTIONS and 100, then nothing.
    Stalls,
    /// Every call is refused by the called party.
    CalledParty(u16),
}

type Behaviour = Box<dyn Fn(Span) -> Carrier>;

enum Event {
    Call,
    Signal(Signal),
    /// The hunt goes on after this attempt.
    Ended {
        call: u64,
        outcome: AttemptOutcome,
    },
}

struct Hunt {
    began: Instant,
    plan: Plan,
    at: usize,
    sent: Instant,
}

struct World {
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    numbered: u64,
    shape: Arc<Shape>,
    sensor: Sensor,
    engine: Engine,
    load: Load,
    rng: Rng,
    behaviour: BTreeMap<TrunkId, Behaviour>,
    hunts: BTreeMap<u64, Hunt>,
    calls: u64,
    // What is measured.
    decisions: Vec<Decision>,
    offered: Vec<(Instant, TrunkId)>,
    first_choice: Vec<(Instant, TrunkId)>,
    hurt: Vec<(Instant, Span)>,
    lost: u64,
}

fn target(trunk: TrunkId) -> TargetId {
    TargetId { trunk, index: 0 }
}

fn group(id: u16, tiers: &[TrunkId]) -> GroupPolicy {
    let tiers = tiers.iter().map(|trunk| vec![Member { trunk: *trunk, weight: 1 }]).collect();
    GroupPolicy::new(GroupId(id), tiers)
}

fn two_carriers() -> Shape {
    let trunk = Some(TrunkShape { targets: decide::TargetShape::in_order([0]), ..TrunkShape::default() });
    Shape::new(
        vec![trunk.clone(), trunk.clone(), trunk],
        vec![group(0, &[PRIMARY, SECONDARY]), group(1, &[OFFICE])],
        vec![RouteRule { from: vec![OFFICE], prefixes: vec![], to: GroupId(0) }],
    )
}

impl World {
    /// Everybody alive; `primary` is asked for its behaviour by time since the end of the warm-up.
    fn new(seed: u64, primary: impl Fn(Span) -> Carrier + 'static) -> Self {
        let shape = Arc::new(two_carriers());
        let mut sensor = Sensor::new(seed);
        let probes: Vec<_> =
            [PRIMARY, SECONDARY, OFFICE].iter().map(|trunk| (target(*trunk), ProbePolicy::default())).collect();
        sensor.install(Instant::ZERO, &probes);
        let mut load = Load::default();
        load.resize(3);
        let mut world = Self {
            now: Instant::ZERO,
            events: BTreeMap::new(),
            numbered: 0,
            engine: Engine::new(shape.clone()),
            shape,
            sensor,
            load,
            rng: Rng::new(seed),
            behaviour: BTreeMap::new(),
            hunts: BTreeMap::new(),
            calls: 0,
            decisions: vec![],
            offered: vec![],
            first_choice: vec![],
            hurt: vec![],
            lost: 0,
        };
        world.behaviour.insert(PRIMARY, Box::new(primary));
        world.push(Instant::ZERO + Span::from_secs(2), Event::Call);
        world.run_until(Instant::ZERO + WARM);
        assert_eq!(world.engine.table().trunk_health(PRIMARY), Health::Up);
        world
    }

    fn also(mut self, trunk: TrunkId, behaviour: impl Fn(Span) -> Carrier + 'static) -> Self {
        self.behaviour.insert(trunk, Box::new(behaviour));
        self
    }

    fn carrier(&self, trunk: TrunkId, at: Instant) -> Carrier {
        match self.behaviour.get(&trunk) {
            Some(behaviour) if at >= Instant::ZERO + WARM => behaviour(at.since(Instant::ZERO + WARM)),
            _ => Carrier::Alive,
        }
    }

    /// Whether anything sent by the carrier itself arrives then.
    fn speaks(&self, trunk: TrunkId, at: Instant) -> bool {
        !matches!(self.carrier(trunk, at), Carrier::Silent | Carrier::Refuses)
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.numbered += 1;
        self.events.insert((at, self.numbered), event);
    }

    fn signal(&mut self, at: Instant, trunk: TrunkId, what: Observed) {
        self.push(at, Event::Signal(Signal { at, target: target(trunk), what }));
    }

    /// Runs for so long after the warm-up.
    fn run(&mut self, span: Span) {
        self.run_until(Instant::ZERO + WARM + span);
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let machine = [self.sensor.deadline(), self.engine.deadline()].into_iter().flatten().min();
            let Some(next) = [event, machine].into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            assert!(next >= self.now || machine == Some(next), "time runs forward");
            self.now = self.now.max(next);
            if event == Some(next) {
                let (_, event) = self.events.pop_first().unwrap();
                self.handle(event);
            } else {
                self.sensor.tick(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Call => {
                self.push(self.now + BETWEEN_CALLS, Event::Call);
                self.calls += 1;
                let facts = Facts { from: OFFICE, number: "+4712345678", emergency: false };
                let plan = decide::plan(&self.shape, self.engine.table(), &self.load, &facts, self.now, &mut self.rng)
                    .unwrap();
                self.first_choice.push((self.now, plan.attempts[0].target.trunk));
                let call = self.calls;
                self.hunts.insert(call, Hunt { began: self.now, plan, at: 0, sent: self.now });
                self.attempt(call);
            }
            Event::Signal(signal) => {
                self.sensor.observe(self.now, &signal);
                if let Observed::Attempt {
                    outcome: AttemptOutcome::Refused { code: 503, retry_after: Some(asked), .. },
                    ..
                } = signal.what
                {
                    let decision = self.engine.throttle(self.now, signal.target.trunk, asked);
                    self.decisions.extend(decision);
                }
            }
            Event::Ended { call, outcome } => self.ended(call, outcome),
        }
    }

    fn attempt(&mut self, call: u64) {
        let now = self.now;
        let hunt = self.hunts.get_mut(&call).unwrap();
        hunt.sent = now;
        let trunk = hunt.plan.attempts[hunt.at].target.trunk;
        self.offered.push((now, trunk));
        let name = CallRef(call);
        self.signal(now, trunk, Observed::AttemptStarted { call: name });
        let ms = Span::from_millis;
        let reply = |world: &mut Self, after: Span| {
            world.signal(now + after, trunk, Observed::FirstReply { call: name, after });
        };
        let (after, outcome) = match self.carrier(trunk, now) {
            Carrier::Refuses => (ms(2), AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable }),
            Carrier::Silent if self.carrier(trunk, now + ms(500)) != Carrier::Alive => {
                let late = Observed::Waiting { call: name, after: ms(500), trying: false };
                self.signal(now + ms(500), trunk, late);
                (ms(1_000), AttemptOutcome::NoReply { after: ms(1_000) })
            }
            alive @ (Carrier::Alive | Carrier::Silent) => {
                // Lost and repeated after T1, or heard at once.
                let sent = if alive == Carrier::Alive { Span::ZERO } else { ms(500) };
                reply(self, sent + ms(10));
                let after = sent + ms(200);
                if self.speaks(trunk, now + after) {
                    self.signal(now + after, trunk, Observed::Progress { call: name, after });
                }
                let after = sent + ms(3_000);
                if !self.speaks(trunk, now + after) {
                    // The answer of a call that rang when the carrier died is never heard: it rings on.
                    return;
                }
                (after, AttemptOutcome::Answered)
            }
            Carrier::Says(code) => {
                reply(self, ms(10));
                (ms(10), AttemptOutcome::Refused { code, q850: None, retry_after: None })
            }
            Carrier::Throttles(seconds) => {
                reply(self, ms(10));
                let retry_after = Some(Span::from_secs(seconds));
                (ms(10), AttemptOutcome::Refused { code: 503, q850: None, retry_after })
            }
            Carrier::CalledParty(code) => {
                reply(self, ms(10));
                (ms(40), AttemptOutcome::Refused { code, q850: None, retry_after: None })
            }
            Carrier::Stalls => {
                reply(self, ms(10));
                self.signal(now + ms(2_000), trunk, Observed::Waiting { call: name, after: ms(2_000), trying: true });
                (ms(6_000), AttemptOutcome::Stalled { after: ms(6_000) })
            }
        };
        self.signal(now + after, trunk, Observed::Attempt { call: name, outcome });
        self.push(now + after, Event::Ended { call, outcome });
    }

    fn ended(&mut self, call: u64, outcome: AttemptOutcome) {
        let hunt = self.hunts.get_mut(&call).unwrap();
        let trunk = hunt.plan.attempts[hunt.at].target.trunk;
        let so_far = SoFar {
            elapsed: self.now.since(hunt.began),
            left: hunt.plan.attempts.len() - hunt.at - 1,
            progress_relayed: false,
        };
        let policy = &self.shape.trunk(trunk).unwrap().attempt;
        match decide::after(policy, &outcome, &so_far) {
            Next::Next => {
                hunt.at += 1;
                self.attempt(call);
            }
            Next::Stop { code } => {
                let hunt = self.hunts.remove(&call).unwrap();
                if hunt.at > 0 {
                    self.hurt.push((hunt.began, hunt.sent.since(hunt.began)));
                }
                self.lost += u64::from(matches!(code, 500..=599 | 408));
            }
        }
    }

    /// As the control machine of the edge does it.
    fn settle(&mut self) {
        while let Some(target) = self.sensor.dirty() {
            self.consider(target);
        }
        while let Some(target) = self.engine.due(self.now) {
            self.consider(target);
        }
        while let Some(order) = self.sensor.poll() {
            let trunk = order.target.trunk;
            let (after, result) = match self.carrier(trunk, self.now) {
                Carrier::Silent => continue,
                Carrier::Refuses => {
                    (Span::from_millis(2), ProbeResult::Unreachable { fault: TransportFault::PortUnreachable })
                }
                _ => {
                    let rtt = Span::from_millis(5);
                    (rtt, ProbeResult::Answered { code: 200, rtt })
                }
            };
            self.signal(self.now + after, trunk, Observed::Probe { order: order.order, result });
        }
    }

    fn consider(&mut self, target: TargetId) {
        let seen = self.sensor.evidence(self.now, target);
        if let Some(decision) = self.engine.consider(self.now, target, &seen) {
            if decision.enforced() && matches!(decision.change, Change::Health { .. } | Change::Share { .. }) {
                self.sensor.mark(self.now, target);
            }
            self.decisions.push(decision);
        }
        self.sensor.hurry(self.now, target, self.engine.wants_hurry(target));
    }

    fn operator(&mut self, trunk: TrunkId, to: Admin) {
        let decision = self.engine.operator(self.now, trunk, to).unwrap();
        self.decisions.push(decision);
        self.sensor.mark(self.now, target(trunk));
        self.settle();
    }

    // What is measured.

    /// Since the end of the warm-up.
    fn after(&self, at: Instant) -> Span {
        at.since(Instant::ZERO + WARM)
    }

    fn offered_to(&self, trunk: TrunkId, from: Span, to: Span) -> usize {
        let start = Instant::ZERO + WARM;
        self.offered.iter().filter(|(at, who)| *who == trunk && *at >= start + from && *at < start + to).count()
    }

    fn hurt_since_warm(&self) -> usize {
        self.hurt.iter().filter(|(at, _)| *at >= Instant::ZERO + WARM).count()
    }

    fn became(&self, trunk: TrunkId, to: Health) -> Vec<(Span, Cause)> {
        let decisions =
            self.decisions.iter().filter(|decision| decision.enforced() && decision.at > Instant::ZERO + WARM);
        decisions
            .filter(|decision| decision.subject == decide::Subject::Target(target(trunk)))
            .filter(|decision| matches!(decision.change, Change::Health { to: became, .. } if became == to))
            .map(|decision| (self.after(decision.at), decision.cause))
            .collect()
    }

    /// Times at which the trunk that most calls of a second prefer became another.
    fn moves(&self) -> Vec<(Span, TrunkId)> {
        let mut per_second: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for (at, trunk) in &self.first_choice {
            let count = per_second.entry(at.as_micros() / 1_000_000).or_default();
            if *trunk == PRIMARY { count.0 += 1 } else { count.1 += 1 }
        }
        let mut active = PRIMARY;
        let mut moves = vec![];
        for (second, (primary, secondary)) in per_second {
            let now = if primary >= secondary { PRIMARY } else { SECONDARY };
            if now != active {
                moves.push((self.after(Instant::ZERO + Span::from_secs(second)), now));
                active = now;
            }
        }
        moves
    }

    /// R2: the journal is the whole truth.
    fn assert_replays(&self) {
        let mut table = TrunkTable::new(&self.shape);
        self.decisions.iter().for_each(|decision| table.apply(decision));
        assert_eq!(&table, self.engine.table());
    }
}

fn within(until_s: u64, carrier: Carrier) -> impl Fn(Span) -> Carrier {
    move |time| if time < Span::from_secs(until_s) { carrier } else { Carrier::Alive }
}

const S: fn(u64) -> Span = Span::from_secs;

#[test]
fn a_killed_trunk_costs_two_calls_and_milliseconds() {
    let mut world = World::new(1, within(1_000, Carrier::Refuses));
    world.run(S(25));
    let down = world.became(PRIMARY, Health::Down);
    assert!(
        matches!(down[..], [(at, Cause::Refused { count: 2, limit: 2 })] if at < Span::from_millis(50)),
        "{down:?}"
    );
    assert!(world.hurt_since_warm() <= 3, "{:?}", world.hurt);
    assert!(world.hurt.iter().all(|(_, delay)| *delay <= Span::from_millis(5)));
    assert_eq!((world.lost, world.moves().len()), (0, 1));
    world.assert_replays();
}

#[test]
fn b_silent_trunk_is_left_within_sixty_calls() {
    for seed in 0..8 {
        let mut world = World::new(seed, within(1_000, Carrier::Silent));
        world.run(S(25));
        let suspect = world.became(PRIMARY, Health::Suspect);
        assert!(suspect.len() == 1 && suspect[0].0 <= Span::from_millis(700), "{suspect:?}");
        assert!(matches!(suspect[0].1, Cause::CallsLate { count: 10, limit: 10 }), "{suspect:?}");
        let down = world.became(PRIMARY, Health::Down);
        assert!(down.len() == 1 && down[0].0 <= Span::from_millis(2_100), "{down:?}");
        assert!(world.hurt_since_warm() <= 40, "{}", world.hurt_since_warm());
        assert!(world.hurt.iter().all(|(_, delay)| *delay <= S(1)), "each waits for the first-reply deadline once");
        assert_eq!((world.lost, world.moves().len()), (0, 1));
        world.assert_replays();
    }
}

#[test]
fn c_and_d_a_grey_trunk_costs_a_handful_of_calls_and_is_not_tried_for_ever() {
    for code in [503, 500] {
        let mut world = World::new(7, within(10_000, Carrier::Says(code)));
        world.run(S(600));
        let suspect = world.became(PRIMARY, Health::Suspect);
        assert!(matches!(suspect[0], (at, Cause::CallsFailed { count: 3, limit: 3 }) if at < Span::from_millis(100)));
        let down = world.became(PRIMARY, Health::Down);
        // Calm ends the doubt with a trial, since probes prove nothing here; each trial fails, after twice the dwell.
        assert!(down.iter().all(|(_, cause)| *cause == Cause::Relapse), "{down:?}");
        assert!((2..=4).contains(&down.len()), "{down:?}");
        assert!(down.windows(2).all(|pair| pair[1].0.as_secs() >= pair[0].0.as_secs() + 90), "{down:?}");
        let offered = world.offered_to(PRIMARY, S(0), S(600));
        assert!(offered <= 12, "{offered} of 30 000 calls");
        assert!(world.became(PRIMARY, Health::Up).is_empty());
        assert_eq!(world.moves().len(), 1, "{:?}", world.moves());
        assert_eq!(world.lost, 0);
        world.assert_replays();
    }
}

#[test]
fn e_a_trunk_that_stalls_after_100_is_left_before_its_progress_deadline() {
    let mut world = World::new(3, within(10_000, Carrier::Stalls));
    world.run(S(300));
    let suspect = world.became(PRIMARY, Health::Suspect);
    assert!(
        matches!(suspect[0], (at, Cause::CallsLate { count: 5, .. }) if at <= Span::from_millis(2_100)),
        "{suspect:?}"
    );
    assert!(
        !world.became(PRIMARY, Health::Down).is_empty(),
        "stalls count as failed calls: {:?}",
        world.decisions.len()
    );
    let late = world.offered_to(PRIMARY, S(3), S(300));
    assert!(world.offered_to(PRIMARY, S(0), S(3)) <= 105, "those of the first 2 s");
    assert!(late <= 150, "{late} later ones, of 15 000");
    assert_eq!(world.lost, 0);
    world.assert_replays();
}

#[test]
fn f_a_flapping_trunk_moves_traffic_away_once_and_back_once() {
    for carrier in [Carrier::Silent, Carrier::Refuses, Carrier::Says(503), Carrier::Stalls] {
        for seed in 0..3 {
            let flaps = move |time: Span| {
                let dead = time < S(60) && (time.as_secs() / 3).is_multiple_of(2);
                if dead { carrier } else { Carrier::Alive }
            };
            let mut world = World::new(seed, flaps);
            world.run(S(400));
            let moves = world.moves();
            let who: Vec<_> = moves.iter().map(|(_, trunk)| *trunk).collect();
            assert_eq!(who, [SECONDARY, PRIMARY], "{carrier:?} seed {seed}: {moves:?}");
            assert!(moves[1].0 > S(60), "{carrier:?} seed {seed}: {moves:?}");
            assert_eq!(world.lost, 0);
            world.assert_replays();
        }
    }
}

#[test]
fn g_recovery_returns_traffic_once_by_dwell_and_ramp() {
    let mut world = World::new(5, within(40, Carrier::Silent));
    world.run(S(240));
    let trial = world.became(PRIMARY, Health::Probation);
    assert!(trial.len() == 1 && trial[0].0 >= S(40), "{trial:?}");
    let steps: Vec<_> = world
        .decisions
        .iter()
        .filter_map(|decision| match decision.change {
            Change::Share { to, .. } => Some((world.after(decision.at), to)),
            _ => None,
        })
        .collect();
    assert_eq!(steps.iter().map(|(_, to)| *to).collect::<Vec<_>>(), [5, 25, 100]);
    assert!(steps[0].0.as_micros() >= (trial[0].0 + S(60)).as_micros(), "failback waits: {steps:?}");
    assert_eq!(world.became(PRIMARY, Health::Up).len(), 1);
    assert_eq!(world.moves().len(), 2, "{:?}", world.moves());
    assert_eq!(world.lost, 0);
    world.assert_replays();
}

#[test]
fn h_the_called_partys_word_is_never_held_against_the_trunk() {
    for code in [486, 404, 603] {
        let mut world = World::new(2, within(1_000, Carrier::CalledParty(code)));
        world.run(S(120));
        assert_eq!(world.engine.table().trunk_health(PRIMARY), Health::Up);
        assert!(world.moves().is_empty());
        assert_eq!(world.hurt_since_warm(), 0);
    }
}

#[test]
fn i_a_trunk_that_asks_for_less_gets_less_and_is_not_declared_dead() {
    let mut world = World::new(2, within(15, Carrier::Throttles(10)));
    world.run(S(60));
    assert!(world.became(PRIMARY, Health::Down).is_empty());
    assert!(world.offered_to(PRIMARY, S(0), S(15)) <= 4, "Retry-After is honoured");
    assert!(world.offered_to(PRIMARY, S(21), S(60)) > 1_900, "and over when it is over");
    assert_eq!((world.lost, world.moves().len()), (0, 2), "{:?}", world.moves());
    world.assert_replays();
}

#[test]
fn j_the_last_usable_trunk_is_held_back_and_said_so_once() {
    let mut world = World::new(4, within(60, Carrier::Refuses)).also(SECONDARY, within(60, Carrier::Refuses));
    world.run(S(50));
    let table = world.engine.table();
    let health = [table.trunk_health(PRIMARY), table.trunk_health(SECONDARY)];
    assert!(health.contains(&Health::Down) && health.contains(&Health::Suspect), "{health:?}");
    let vetoes: Vec<_> = world.decisions.iter().filter_map(|decision| decision.veto).collect();
    assert_eq!(vetoes, [Veto::LastUsable], "once per situation");
    world.run(S(300));
    assert_eq!(world.engine.table().trunk_health(PRIMARY), Health::Up, "and all is well in the end");
    assert_eq!(world.engine.table().trunk_health(SECONDARY), Health::Up);
    world.assert_replays();
}

#[test]
fn l_a_restored_trunk_is_preferred_at_once() {
    let mut world = World::new(6, within(10, Carrier::Refuses));
    world.run(S(15));
    assert_eq!(world.engine.table().trunk_health(PRIMARY), Health::Down);
    world.operator(PRIMARY, Admin::InService);
    world.run(S(20));
    assert_eq!(world.engine.table().trunk_health(PRIMARY), Health::Up);
    assert!(world.offered_to(PRIMARY, S(16), S(20)) == 200, "all calls");
    world.operator(PRIMARY, Admin::Draining);
    world.run(S(40));
    assert_eq!(
        world.offered_to(PRIMARY, S(20) + Span::from_micros(1), S(40)),
        0,
        "probes do not overrule the operator"
    );
    world.assert_replays();
}

#[test]
fn m_a_healthy_pair_is_left_alone() {
    let mut world = World::new(9, |_| Carrier::Alive);
    world.run(S(600));
    let later: Vec<_> = world.decisions.iter().filter(|decision| decision.at > Instant::ZERO + WARM).collect();
    assert!(later.is_empty(), "{later:?}");
    assert!(world.moves().is_empty() && world.hurt.is_empty());
}

#[test]
fn n_one_short_spike_of_lateness_moves_traffic_no_further_than_suspect() {
    // 600 ms of silence: packets are repeated and answered.
    let spike = |time: Span| if time < Span::from_millis(600) { Carrier::Silent } else { Carrier::Alive };
    let mut world = World::new(8, spike);
    world.run(S(60));
    assert!(world.became(PRIMARY, Health::Down).is_empty());
    assert_eq!(world.engine.table().trunk_health(PRIMARY), Health::Up);
    assert!(world.moves().len() <= 2, "{:?}", world.moves());
    assert_eq!(world.lost, 0);
}
