//! Control in virtual time: a second policy beside the live one tells what it would have decided and changes nothing, and
//! alarms are raised and over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use decide::{Change, Decision, Subject};
use edge::config::{Settings, compile, render};
use edge::{
    By, Control, ControlInput, ControlOutput, Kind, Question, Reply, ServiceRoute, ShadowPolicy, TrunkAct, names,
};
use explain::{Alarm, CallRecord, Ending, Entry, Record};
use model::{
    AttemptOutcome, CallRef, Health, Instant, Name, Observed, ProbeResult, RegistrationState, Seq, Signal, Span,
    TargetId, TrunkId, Wall,
};
use std::collections::VecDeque;
use std::sync::Arc;

const LIVE: &str = "
[listen.wan]
sip = [\"udp:192.0.2.1:5060\"]
[trunk.acme]
at = \"sip:192.0.2.31:5060\"
listen = \"wan\"
[trunk.globex]
at = \"sip:192.0.2.32:5060\"
listen = \"wan\"
[group.carriers]
tiers = [[\"acme\"], [\"globex\"]]
[[route]]
to = \"carriers\"
";

/// Other order of trunks, one more and one fewer; and less patience.
const OTHER: &str = "
[listen.lan]
sip = [\"udp:192.0.2.7:5060\"]
[trunk.initech]
at = \"sip:192.0.2.33:5060\"
listen = \"lan\"
[trunk.acme]
at = \"sip:192.0.2.31:5060\"
listen = \"lan\"
health = { suspect_after = 1 }
probe = { fall = 2 }
[group.spare]
tiers = [[\"initech\"]]
alone = true
[group.carriers]
tiers = [[\"initech\"], [\"acme\"]]
";

const ACME: TargetId = TargetId { trunk: TrunkId(0), index: 0 };

fn settings(text: &str) -> Settings {
    let compiled = compile(text, "test.toml", &|_| None, None);
    compiled.settings.unwrap_or_else(|| panic!("{}", render(&compiled.faults, text, "test.toml")))
}

fn shadowed(text: &str) -> Arc<Settings> {
    beside(LIVE, text)
}

/// The live policy with another one in its shadow.
fn beside(live: &str, other: &str) -> Arc<Settings> {
    let live = settings(live);
    let shadow = Some(Arc::new(ShadowPolicy::new(&live, &settings(other))));
    Arc::new(Settings { shadow, ..live })
}

/// A control whose probes are answered as `alive` says.
struct World {
    control: Control,
    now: Instant,
    entries: Vec<Arc<Entry>>,
    answers: VecDeque<(Instant, Signal)>,
    probes: usize,
    asked: Vec<Question>,
}

impl World {
    fn new(settings: Arc<Settings>) -> Self {
        let (now, wall) = (Instant::ZERO, Wall::from_micros(0));
        let control = Control::new(now, wall, settings, 7, Seq(1));
        Self { control, now, entries: Vec::new(), answers: VecDeque::new(), probes: 0, asked: Vec::new() }
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, Wall::from_micros(self.now.as_micros() as i64), input);
    }

    fn run(&mut self, seconds: u64, alive: &dyn Fn(TargetId) -> bool) {
        let end = self.now + Span::from_secs(seconds);
        loop {
            while let Some(output) = self.control.poll() {
                match output {
                    ControlOutput::Entry(entry) => self.entries.push(entry),
                    ControlOutput::Lookup(question) => self.asked.push(question),
                    ControlOutput::Update(_)
                    | ControlOutput::TestCall(_)
                    | ControlOutput::Tested { .. }
                    | ControlOutput::Bindings { .. }
                    | ControlOutput::Forgive(_)
                    | ControlOutput::Drill(_)
                    | ControlOutput::Keep(_) => {}
                    ControlOutput::Probe(order) => {
                        self.probes += 1;
                        if alive(order.target) {
                            let rtt = Span::from_millis(10);
                            let result = ProbeResult::Answered { code: 200, rtt };
                            let what = Observed::Probe { order: order.order, result };
                            let at = self.now + rtt;
                            self.answers.push_back((at, Signal { at, target: order.target, what }));
                        }
                    }
                }
            }
            let answer = self.answers.front().map(|(at, _)| *at);
            let due = [self.control.deadline(), answer].into_iter().flatten().min().unwrap_or(Instant::FAR);
            if due > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(due);
            match self.answers.pop_front_if(|(at, _)| *at <= due) {
                Some((_, signal)) => self.input(ControlInput::Signal(signal)),
                None => self.input(ControlInput::Tick),
            }
        }
    }

    /// Acme refuses one call a second with this code.
    fn refuse_calls(&mut self, calls: u32, code: u16) {
        for call in 0..calls {
            let outcome = AttemptOutcome::Refused { code, q850: None, retry_after: None };
            let what = Observed::Attempt { call: CallRef(u64::from(call)), outcome };
            self.input(ControlInput::Signal(Signal { at: self.now, target: ACME, what }));
            self.run(1, &|_| true);
        }
    }

    /// Whole story: well, acme silent for a while, well again.
    fn live_through_an_outage(&mut self) {
        self.run(20, &|_| true);
        self.run(60, &|target| target != ACME);
        self.run(300, &|_| true);
    }

    fn decisions(&self) -> Vec<&Decision> {
        let decisions = self.entries.iter().filter_map(|entry| match &entry.record {
            Record::Decision { decision, .. } => Some(decision),
            _ => None,
        });
        decisions.collect()
    }

    fn shadow(&self) -> Vec<(&str, &Decision)> {
        let shadow = self.entries.iter().filter_map(|entry| match &entry.record {
            Record::Shadow { who, decision } => Some((who.trunk.as_str(), decision)),
            _ => None,
        });
        shadow.collect()
    }

    fn alarms(&self) -> Vec<(&'static str, bool)> {
        let alarms = self.entries.iter().filter_map(|entry| match &entry.record {
            Record::Alarm(alarm) => Some((alarm.what.kind(), alarm.over)),
            _ => None,
        });
        alarms.collect()
    }
}

/// When a decision of these led acme to this health for the first time.
fn first<'d>(decisions: impl IntoIterator<Item = &'d Decision>, wanted: Health) -> Option<Instant> {
    let mut found = decisions.into_iter().filter(|decision| decision.enforced());
    found.find(|decision| matches!(decision.change, Change::Health { to, .. } if to == wanted)).map(|found| found.at)
}

#[test]
fn policies_meet_by_the_names_of_trunks() {
    let (live, other) = (settings(LIVE), settings(OTHER));
    let shadow = ShadowPolicy::new(&live, &other);
    assert_eq!(shadow.fingerprint, other.fingerprint);
    assert_eq!(shadow.shape.trunk(TrunkId(0)).map(|acme| acme.health.fall), Some(2));
    assert_eq!(shadow.shape.trunk(TrunkId(1)), None, "globex is not in the other one");
    let tiers = |group: usize| shadow.shape.groups()[group].tiers.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!((tiers(0), tiers(1)), (vec![], vec![1]), "initech is not in the live one");
    assert_eq!(shadow.shape.groups()[1].tiers[0][0].trunk, TrunkId(0));
    assert_eq!(shadow.probes.iter().map(|(target, _)| *target).collect::<Vec<_>>(), [ACME]);
}

#[test]
fn a_shadow_tells_what_it_would_have_done_and_changes_nothing() {
    let less_patient = LIVE.replace("31:5060\"", "31:5060\"\nhealth = { suspect_after = 1 }\nprobe = { fall = 2 }");
    let (mut alone, mut beside) = (World::new(Arc::new(settings(LIVE))), World::new(shadowed(&less_patient)));
    alone.live_through_an_outage();
    beside.live_through_an_outage();
    assert_eq!(alone.decisions(), beside.decisions());
    assert_eq!(alone.probes, beside.probes, "it sends none of its own");
    assert_eq!(alone.shadow(), []);
    let shadow: Vec<&Decision> =
        beside.shadow().into_iter().filter(|(trunk, _)| *trunk == "acme").map(|(_, decision)| decision).collect();
    let fell = |decisions: &[&Decision]| first(decisions.iter().copied(), Health::Down).expect("acme goes Down");
    let live: Vec<&Decision> = beside.decisions();
    assert!(
        fell(&shadow) < fell(&live),
        "two probes are fewer than three: {} < {}",
        fell(&shadow).as_micros(),
        fell(&live).as_micros()
    );
    assert!(first(shadow.iter().copied(), Health::Probation).is_some(), "and it comes back in its own time");
    let table = beside.control.snapshot().table.clone();
    let shape = beside.control.snapshot().settings.shape.clone();
    assert_eq!(explain::replay(&shape, beside.entries.iter().map(|entry| &**entry)), *table);
}

/// How many there are; each must have its equal in the shadow.
fn equal_decisions(world: &World) -> usize {
    let told = |decision: &Decision| (decision.at, decision.subject, decision.change, decision.cause, decision.veto);
    let live: Vec<_> = world.decisions().into_iter().map(told).collect();
    let shadow: Vec<_> = world.shadow().into_iter().map(|(_, decision)| told(decision)).collect();
    assert_eq!(live, shadow);
    live.len()
}

#[test]
fn an_equal_shadow_decides_the_same_at_the_same_time() {
    let mut world = World::new(shadowed(LIVE));
    world.live_through_an_outage();
    assert!(equal_decisions(&world) > 5, "the story must have some");
}

/// Four minutes after midnight calls may return, long after acme is well again.
#[test]
fn an_equal_shadow_waits_for_the_window_that_the_live_policy_waits_for() {
    let late = LIVE.replace("[[route]]", "failback = { after = \"10s\", window = \"00:04-06:00 UTC\" }\n[[route]]");
    for first in [&*late, LIVE] {
        let mut world = World::new(beside(first, first));
        world.input(ControlInput::Reload(Ok(beside(&late, &late))));
        world.live_through_an_outage();
        equal_decisions(&world);
        let mut shares = world.shadow().into_iter().filter_map(|(_, decision)| {
            (decision.enforced() && matches!(decision.change, Change::Share { .. })).then_some(decision.at)
        });
        let opens = Instant::ZERO + Span::from_secs(240);
        assert_eq!(shares.next(), Some(opens), "its calls begin to return then");
    }
}

/// At the start and after a reload alike.
#[test]
fn an_equal_shadow_excuses_what_the_live_policy_excuses() {
    let mut blamed = World::new(Arc::new(settings(LIVE)));
    blamed.run(20, &|_| true);
    let before = blamed.decisions().len();
    blamed.refuse_calls(30, 503);
    assert!(blamed.decisions().len() > before, "who excuses nothing doubts acme");
    let excusing = LIVE.replacen("listen = \"wan\"", "listen = \"wan\"\ncalls = { excused = [503] }", 1);
    for first in [&*excusing, LIVE] {
        let mut world = World::new(beside(first, first));
        world.run(20, &|_| true);
        world.input(ControlInput::Reload(Ok(beside(&excusing, &excusing))));
        let before = world.decisions().len();
        world.refuse_calls(30, 503);
        assert_eq!(world.decisions().len(), before, "acme is excused");
        equal_decisions(&world);
    }
}

#[test]
fn a_reload_begins_changes_and_ends_it_and_the_operators_word_holds_for_both() {
    let mut world = World::new(Arc::new(settings(LIVE)));
    world.run(20, &|_| true);
    world.input(ControlInput::Operate { trunk: TrunkId(1), act: TrunkAct::Out, by: By::way("test") });
    world.input(ControlInput::Reload(Ok(shadowed(LIVE))));
    world.run(20, &|_| true);
    let begun = world.shadow().len();
    assert!(begun > 0 && world.shadow().iter().all(|(_, decision)| !matches!(decision.change, Change::Admin { .. })));
    // With globex out, acme is the last one: the shadow knows, since it was told when it began.
    world.run(60, &|target| target != ACME);
    assert!(world.shadow().iter().any(|(_, decision)| decision.veto.is_some()), "{:?}", world.shadow());
    world.input(ControlInput::Reload(Ok(Arc::new(settings(LIVE)))));
    let ended = world.shadow().len();
    world.run(60, &|_| true);
    assert_eq!(world.shadow().len(), ended);
}

/// Whoever replaces a dead address is not dead, and whoever stays has nothing to prove again.
#[test]
fn a_reload_of_addresses_moves_health_with_each_address() {
    let at = |addrs: &str| LIVE.replace("\"sip:192.0.2.31:5060\"", &format!("[{addrs}]"));
    let before = settings(&at(r#""sip:192.0.2.31", "sip:192.0.2.41""#));
    let (dead, stays) = (ACME, TargetId { index: 1, ..ACME });
    let mut world = World::new(Arc::new(before.clone()));
    world.run(60, &|target| target != dead);
    let seen = |world: &mut World| {
        let view = world.control.view(world.now, &[]).remove(0);
        view.targets.into_iter().map(|target| (target.addr, target.health)).collect::<Vec<_>>()
    };
    let is = |list: [(&str, Health); 2]| list.map(|(addr, health)| (String::from(addr), health));
    assert_eq!(seen(&mut world), is([("192.0.2.31:5060", Health::Down), ("192.0.2.41:5060", Health::Up)]));
    // The one that stays comes first, and a new one where the other stood.
    let text = at(r#""sip:192.0.2.41", "sip:192.0.2.51""#);
    let after = compile(&text, "test.toml", &|_| None, Some(&before)).settings.unwrap();
    let told = world.entries.len();
    world.input(ControlInput::Reload(Ok(Arc::new(after))));
    assert_eq!(seen(&mut world), is([("192.0.2.41:5060", Health::Up), ("192.0.2.51:5060", Health::Unknown)]));
    let late = ProbeResult::Answered { code: 200, rtt: Span::from_secs(1) };
    let what = Observed::Probe { order: 1, result: late };
    world.input(ControlInput::Signal(Signal { at: world.now, target: dead, what }));
    world.run(20, &|target| {
        assert_ne!(target, dead, "an address that is gone is not probed");
        true
    });
    assert_eq!(seen(&mut world), is([("192.0.2.41:5060", Health::Up), ("192.0.2.51:5060", Health::Up)]));
    let news = world.entries[told..].iter().filter_map(|entry| match &entry.record {
        Record::Decision { who, decision } => Some((who.target.clone().unwrap(), decision.subject)),
        _ => None,
    });
    let new = TargetId { index: 2, ..ACME };
    assert_eq!(
        news.collect::<Vec<_>>(),
        [(String::from("192.0.2.51:5060"), Subject::Target(new))],
        "and {stays:?} is as it was"
    );
}

/// Answers all questions there are: SRV for `sbc.acme.example` leads to these hosts of 192.0.2.0/24, each as good as the others.
fn answer(world: &mut World, hosts: &[u8]) {
    let ttl = Span::from_secs(3_600);
    while let Some(question) = world.asked.pop() {
        let host = question.name.strip_prefix('h').and_then(|host| host.split('.').next()?.parse::<u8>().ok());
        let records = match (question.kind, host) {
            (Kind::Srv, None) if question.name.starts_with("_sip._udp.") => hosts
                .iter()
                .map(|host| names::Record::Srv {
                    priority: 1,
                    weight: 10,
                    port: 5060,
                    host: Name::from(format!("h{host}.acme.example").as_str()),
                })
                .collect(),
            (Kind::A, Some(host)) => vec![names::Record::Address(core::net::IpAddr::from([192, 0, 2, host]))],
            _ => Vec::new(),
        };
        world.input(ControlInput::Resolved { question, reply: Reply::Found { records, ttl } });
        world.run(1, &|_| true);
    }
}

#[test]
fn a_reload_keeps_the_numbers_of_addresses_that_came_by_name() {
    let text = LIVE.replace("\"sip:192.0.2.31:5060\"", "\"sip:sbc.acme.example\"");
    let start = Arc::new(settings(&text));
    let mut world = World::new(start.clone());
    world.run(1, &|_| true);
    answer(&mut world, &[41, 42]);
    world.run(60, &|target| target.index == 1);
    let seen = |world: &mut World| {
        let view = world.control.view(world.now, &[]).remove(0);
        view.targets.into_iter().map(|target| (target.addr, target.health)).collect::<Vec<_>>()
    };
    let expected = [("192.0.2.41:5060", Health::Down), ("192.0.2.42:5060", Health::Up)];
    let expected = expected.map(|(addr, health)| (addr.to_owned(), health));
    assert_eq!(seen(&mut world), expected);
    world.asked.clear();
    // Read beside what the edge began with, which knew no address.
    let more = text.replace("[[\"acme\"], [\"globex\"]]", "[[\"acme\", \"globex\"]]");
    let after = compile(&more, "test.toml", &|_| None, Some(&start)).settings.unwrap();
    assert!(after.shape.trunk(TrunkId(0)).unwrap().targets.is_empty());
    let epoch = world.control.snapshot().table.epoch();
    world.input(ControlInput::Reload(Ok(Arc::new(after))));
    assert_eq!(seen(&mut world), expected);
    assert_eq!(world.control.snapshot().table.epoch().0, epoch.0 + 1, "the reload itself, and no move");
    assert_eq!(world.asked, [], "and nobody is asked again");
    world.run(1, &|target| target.index == 1);
    let replayed = explain::replay(&decide::Shape::default(), world.entries.iter().map(|entry| &**entry));
    assert_eq!(replayed, *world.control.snapshot().table);
    let view = world.control.view(world.now, &[]).remove(0);
    assert_eq!((view.names.len(), view.names[0].trouble.clone()), (1, None));
    assert!(
        view.targets.iter().all(|target| target.name == Some(Name::from("sbc.acme.example")) && target.weight == 10)
    );
    let stray = Question { name: Name::from("other.example"), kind: Kind::A };
    world.input(ControlInput::Resolved { question: stray, reply: Reply::NoData { ttl: Span::ZERO } });
    assert_eq!(world.control.unasked_answers(), 1);
}

#[test]
fn a_second_policy_follows_the_names_of_the_first() {
    let by_name = |text: &str| text.replace("\"sip:192.0.2.31:5060\"", "\"sip:sbc.acme.example\"");
    let mut live = settings(&by_name(LIVE));
    let other = settings(&by_name(OTHER));
    live.shadow = Some(Arc::new(ShadowPolicy::new(&live, &other)));
    let mut world = World::new(Arc::new(live));
    world.run(1, &|_| true);
    answer(&mut world, &[41]);
    world.run(60, &|_| true);
    world.run(60, &|target| target != ACME);
    let down = |decision: &&Decision| matches!(decision.change, Change::Health { to: Health::Down, .. });
    let shadow = world.shadow();
    let shadow = shadow.iter().filter(|(trunk, decision)| *trunk == "acme" && down(decision)).count();
    assert_eq!((shadow, world.decisions().iter().filter(|decision| down(decision)).count()), (1, 1));
}

#[test]
fn alarms_are_raised_and_over_as_control_sees_them() {
    let mut world = World::new(Arc::new(settings(LIVE)));
    world.run(20, &|_| true);
    let registration = |state| {
        let what = Observed::Registration { state, holds: Span::ZERO };
        Signal { at: Instant::ZERO, target: ACME, what }
    };
    world.input(ControlInput::Signal(registration(RegistrationState::Expired)));
    world.input(ControlInput::Lost { count: 3, why: "slow".into() });
    for trunk in [0, 1] {
        world.input(ControlInput::Operate { trunk: TrunkId(trunk), act: TrunkAct::Out, by: By::way("test") });
    }
    world.run(1, &|_| true);
    let raised = ["registration_lost", "journal_dropped", "group_has_nobody"];
    assert_eq!(world.alarms(), raised.map(|kind| (kind, false)));
    let names: Vec<&str> = world.control.alarms().map(|active| active.alarm.kind()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        world
            .control
            .alarms()
            .any(|active| matches!(&active.alarm, Alarm::GroupHasNobody { group } if group.as_str() == "carriers"))
    );
    world.input(ControlInput::Signal(registration(RegistrationState::Registered)));
    world.input(ControlInput::Operate { trunk: TrunkId(0), act: TrunkAct::Restore, by: By::way("test") });
    world.run(120, &|_| true);
    assert_eq!(world.alarms().len(), 6);
    assert_eq!(world.control.alarms().count(), 0);
}

/// People see until when a registration was granted; each renewal moves that on, and what is lost has no end any more.
#[test]
fn a_registration_is_shown_with_the_time_it_holds() {
    let live = LIVE.replacen("listen = \"wan\"", "listen = \"wan\"\nregister = { user = \"u1\" }", 1);
    let mut world = World::new(Arc::new(settings(&live)));
    let mut tell = |seconds: u64, state, holds| {
        world.now = Instant::ZERO + Span::from_secs(seconds);
        let what = Observed::Registration { state, holds };
        world.input(ControlInput::Signal(Signal { at: world.now, target: ACME, what }));
        let trunk = world.control.view(world.now, &[]).remove(0);
        let view = trunk.registration.unwrap();
        (view.sentence, view.held.as_secs(), view.until)
    };
    let granted = Span::from_secs(600);
    let until = |seconds: i64| Some(Wall::from_micros(seconds * 1_000_000));
    let first = tell(10, RegistrationState::Registered, granted);
    assert_eq!(first, ("registered until 1970-01-01T00:10:10.000Z".into(), 0, until(610)));
    let renewed = tell(460, RegistrationState::Registered, granted);
    assert_eq!(renewed, ("registered until 1970-01-01T00:17:40.000Z".into(), 450, until(1_060)));
    let (said, held, end) = tell(1_060, RegistrationState::Expired, Span::ZERO);
    assert!(said.starts_with("not registered: ") && held == 0 && end.is_none(), "{said}");
}

/// What a registrar says of the way of calls reaches every shard, once, and goes with the registration.
#[test]
fn the_way_that_a_registrar_wants_is_in_the_snapshot_of_all_shards() {
    let registers = LIVE.replacen("listen = \"wan\"", "listen = \"wan\"\nregister = { user = \"u1\" }", 1);
    let mut world = World::new(Arc::new(settings(&registers)));
    let updates = |world: &mut World| {
        std::iter::from_fn(|| world.control.poll()).filter(|output| matches!(output, ControlOutput::Update(_))).count()
    };
    updates(&mut world);
    let route = ServiceRoute { target: ACME, values: vec![(*b"<sip:a.example;lr>").into()] };
    world.input(ControlInput::ServiceRoute(route.clone()));
    assert_eq!((updates(&mut world), world.control.snapshot().service_routes.of(ACME)), (1, &route.values[..]));
    world.input(ControlInput::ServiceRoute(route.clone()));
    assert_eq!(updates(&mut world), 0, "a renewal that says the same is no news");
    world.input(ControlInput::Reload(Ok(Arc::new(settings(&registers)))));
    assert_eq!(world.control.snapshot().service_routes.of(ACME), route.values);
    world.input(ControlInput::Reload(Ok(Arc::new(settings(LIVE)))));
    assert!(world.control.snapshot().service_routes.of(ACME).is_empty());
}

/// A call from acme to this number, over without a plan.
fn call(called: &str) -> Box<CallRecord> {
    Box::new(CallRecord {
        drilled: false,
        call: CallRef(7),
        call_id: "a".into(),
        from: "acme".into(),
        caller: "+4790123456".into(),
        called: called.into(),
        invited: Instant::ZERO,
        progressed: None,
        answered: None,
        ended: Instant::ZERO,
        plan: Err(decide::NoPlan::NoRoute),
        trunks: Vec::new(),
        tiers: Vec::new(),
        group: None,
        attempts: Vec::new(),
        ending: Ending::Refused { code: 404 },
        media: None,
        notes: Vec::new(),
    })
}

#[test]
fn an_emergency_call_is_an_alarm_that_hides_who_called() {
    let mut world = World::new(Arc::new(settings(LIVE)));
    for called in ["+4722334455", "112", "112"] {
        world.input(ControlInput::Ended(call(called)));
    }
    world.run(1, &|_| true);
    assert_eq!(world.alarms(), [("emergency_used", false)], "one situation");
    let active: Vec<_> = world.control.alarms().map(|active| active.alarm.clone()).collect();
    assert_eq!(active, [Alarm::EmergencyUsed { call: CallRef(7), from: "acme".into(), number: "…456".into() }]);
}
