//! The one decider of a node: signals of all shards in; probes, trunk tables and journal entries out.
//!
//! Sensing and judging happen in one place, so that every shard works by the same epoch and the journal is the whole
//! truth. Refuses to know: shards' threads, the store, how an operator's word arrived.

use crate::config::Settings;
use crate::io::{ControlInput, ControlOutput, ReloadFault, Snapshot, Tested, TrunkAct};
use crate::test_report::TestReports;
use crate::view::{TargetView, TrunkView};
use decide::{Change, Decision, Engine, Subject};
use explain::{Act, Entry, Operator, Record, Who};
use model::{
    Admin, AttemptOutcome, Instant, Name, Observed, Paces, ProbeResult, Seq, Signal, Span, TargetId, TrunkId, Wall,
};
use sense::{Sensor, TestCallOrder};
use std::collections::VecDeque;
use std::string::ToString;
use std::sync::Arc;

/// What is learned changes slowly: shards are told of it no more often than this.
const TEACH: Span = Span::from_secs(1);

/// Sensing state, trunk table and journal number of one node.
pub struct Control {
    snapshot: Arc<Snapshot>,
    sensor: Sensor,
    engine: Engine,
    tests: TestReports,
    next: Seq,
    wall: Wall,
    /// When the shards were told last how soon targets react.
    taught: Instant,
    out: VecDeque<ControlOutput>,
}

impl Control {
    /// Begins with these settings; the first journal entry gets the number `first`.
    pub fn new(now: Instant, wall: Wall, settings: Arc<Settings>, seed: u64, first: Seq) -> Self {
        let engine = Engine::new(settings.shape.clone());
        let mut sensor = Sensor::new(seed);
        sensor.install(now, &settings.probes);
        sensor.install_tests(now, &settings.tested());
        let snapshot =
            Arc::new(Snapshot { table: Arc::new(engine.table().clone()), paces: Arc::new(Paces::new()), settings });
        let (tests, out) = (TestReports::default(), VecDeque::new());
        let mut control = Self { snapshot, sensor, engine, tests, next: first, wall, taught: now, out };
        control.configured(true);
        control.settle(now);
        control
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, wall: Wall, input: ControlInput) {
        self.wall = wall;
        match input {
            ControlInput::Signal(signal) => self.signal(now, &signal),
            ControlInput::Ended(record) => self.write(Record::Call(record)),
            ControlInput::Tested(tested) => self.tested(now, &tested),
            ControlInput::TestNow { trunk, ticket } => self.test_now(now, trunk, ticket),
            ControlInput::Operate { trunk, act, via } => self.operate(now, trunk, act, via),
            ControlInput::Reload(Ok(settings)) => self.reload(now, settings),
            ControlInput::Reload(Err(fault)) => self.reload_refused(fault),
            ControlInput::Stop => self.operator(None, Act::Stop, "signal"),
            ControlInput::Tick => self.sensor.tick(now),
        }
        self.settle(now);
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<ControlOutput> {
        self.out.pop_front()
    }

    /// When `Tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.sensor.deadline(), self.engine.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What the shards work by.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Every trunk as people see it; `calls` by trunk id.
    pub fn view(&mut self, now: Instant, calls: &[u32]) -> Vec<TrunkView> {
        let snapshot = self.snapshot.clone();
        let trunks = snapshot.settings.profiles.trunks.iter().enumerate();
        trunks
            .filter_map(|(index, profile)| profile.as_ref().map(|profile| (TrunkId(index as u16), profile)))
            .map(|(id, profile)| {
                let targets = self.target_views(now, id, profile);
                let best = self.best_target(id, targets.len());
                let table = self.engine.table();
                TrunkView {
                    name: profile.name.clone(),
                    health: table.trunk_health(id),
                    admin: table.admin(id),
                    share: best.map_or(0, |target| table.share(target)),
                    held: best.map_or(Span::ZERO, |target| now.since(table.since(target))),
                    throttled: table.throttle(id).filter(|t| t.until > now).map(|t| t.until.since(now)),
                    calls: calls.get(id.index()).copied().unwrap_or(0),
                    test_calls: snapshot.settings.test_call(id).map(|_| self.tests.of(now, id)),
                    targets,
                }
            })
            .collect()
    }

    /// The first of a trunk's targets that is as well as the trunk.
    fn best_target(&self, trunk: TrunkId, targets: usize) -> Option<TargetId> {
        let table = self.engine.table();
        let mut all = (0..targets as u8).map(|index| TargetId { trunk, index });
        all.find(|target| table.health(*target) == table.trunk_health(trunk))
    }

    fn target_views(&mut self, now: Instant, trunk: TrunkId, profile: &act::TrunkProfile) -> Vec<TargetView> {
        let mut views = Vec::with_capacity(profile.targets.len());
        for (index, target) in profile.targets.iter().enumerate() {
            let id = TargetId { trunk, index: index as u8 };
            let seen = self.sensor.evidence(now, id);
            let table = self.engine.table();
            views.push(TargetView {
                addr: target.addr.to_string(),
                health: table.health(id),
                held: now.since(table.since(id)),
                probes_good: seen.probe.good,
                probes_bad: seen.probe.bad,
                rtt: match seen.probe.last {
                    Some((_, ProbeResult::Answered { rtt, .. })) => Some(rtt),
                    _ => None,
                },
                attempts: seen.calls.window.of,
                blamed: seen.calls.window.part,
            });
        }
        views
    }

    fn signal(&mut self, now: Instant, signal: &Signal) {
        self.sensor.observe(now, signal);
        // 503 with Retry-After is a request for less, not a sign of death (RFC 3261 §20.33).
        if let Observed::Attempt {
            outcome: AttemptOutcome::Refused { code: 503, retry_after: Some(asked), .. }, ..
        } = signal.what
            && let Some(decision) = self.engine.throttle(now, signal.target.trunk, asked)
        {
            self.decided(decision);
        }
    }

    /// A test call has ended: people see it, and the sensor takes it as a signal.
    fn tested(&mut self, now: Instant, tested: &Tested) {
        let (target, order) = (tested.target, tested.order);
        match &tested.outcome {
            Ok(outcome) => {
                let what = Observed::TestCall { order, result: outcome.result };
                self.signal(now, &Signal { at: now, target, what });
            }
            Err(_) => self.sensor.test_void(now, target, order),
        }
        let name = self.trunk_name(target.trunk);
        let profile = self.snapshot.settings.profiles.trunk(target.trunk);
        let addr = profile.and_then(|profile| profile.targets.get(usize::from(target.index)));
        let addr = addr.map(|target| target.addr.to_string()).unwrap_or_default();
        let (ticket, view) = self.tests.push(now, tested, &name, addr);
        let answer = Ok(Box::new(view));
        self.out.extend(ticket.map(|ticket| ControlOutput::Tested { ticket, answer }));
    }

    fn test_now(&mut self, now: Instant, trunk: TrunkId, ticket: u64) {
        let targets = self.snapshot.settings.profiles.trunk(trunk).map_or(0, |profile| profile.targets.len());
        let target = self.best_target(trunk, targets).unwrap_or(TargetId { trunk, index: 0 });
        match self.sensor.test_asked(now, target) {
            Ok(order) => self.tests.wait(order, ticket),
            Err(why) => self.out.push_back(ControlOutput::Tested { ticket, answer: Err(why) }),
        }
    }

    /// The schedule does not call a trunk whose operator wants no calls on it, nor one that asks for none; a person may.
    fn place_test(&mut self, now: Instant, order: TestCallOrder) {
        let (table, trunk) = (self.engine.table(), order.target.trunk);
        let throttled = table.throttle(trunk).is_some_and(|throttle| throttle.until > now);
        if order.asked || (table.admin(trunk) == Admin::InService && !throttled) {
            self.out.push_back(ControlOutput::TestCall(order));
        } else {
            self.sensor.test_void(now, order.target, order.order);
        }
    }

    fn operate(&mut self, now: Instant, trunk: TrunkId, act: TrunkAct, via: &'static str) {
        let (admin, word) = match act {
            TrunkAct::Drain => (Admin::Draining, Act::Drain),
            TrunkAct::Out => (Admin::OutOfService, Act::Out),
            TrunkAct::Restore => (Admin::InService, Act::Restore),
        };
        let name = self.trunk_name(trunk);
        self.operator(Some(name), word, via);
        if let Some(decision) = self.engine.operator(now, trunk, admin) {
            self.decided(decision);
        }
        if act == TrunkAct::Restore {
            for (target, _) in self.snapshot.settings.clone().probes.iter().filter(|(target, _)| target.trunk == trunk)
            {
                self.sensor.mark(now, *target);
                self.sensor.hurry(now, *target, true);
            }
        }
    }

    fn reload(&mut self, now: Instant, settings: Arc<Settings>) {
        self.operator(None, Act::Reload { fingerprint: settings.fingerprint }, "reload");
        self.engine.reshape(now, settings.shape.clone());
        self.sensor.install(now, &settings.probes);
        self.sensor.install_tests(now, &settings.tested());
        self.tests.retain(|trunk| settings.test_call(trunk).is_some());
        let table = Arc::new(self.engine.table().clone());
        self.snapshot = Arc::new(Snapshot { table, paces: self.snapshot.paces.clone(), settings });
        self.configured(false);
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }

    fn reload_refused(&mut self, fault: ReloadFault) {
        let act = Act::ReloadRefused { faults: fault.faults, first: fault.first.to_string() };
        self.operator(None, act, "reload");
    }

    /// Judges everyone whose evidence or clock gives reason to, then tells the shards once.
    fn settle(&mut self, now: Instant) {
        while let Some(target) = self.sensor.dirty() {
            self.consider(now, target);
        }
        while let Some(target) = self.engine.due(now) {
            self.consider(now, target);
        }
        while let Some(order) = self.sensor.poll() {
            self.out.push_back(ControlOutput::Probe(order));
        }
        while let Some(order) = self.sensor.poll_test() {
            self.place_test(now, order);
        }
        self.publish(now);
    }

    /// Tells the shards of a new epoch at once, and of what has been learned since when it is time.
    fn publish(&mut self, now: Instant) {
        let changed = self.engine.table().epoch() != self.snapshot.table.epoch();
        let learned = self.sensor.learned() && now.since(self.taught) >= TEACH;
        if !changed && !learned {
            return;
        }
        let (mut table, mut paces) = (self.snapshot.table.clone(), self.snapshot.paces.clone());
        if changed {
            table = Arc::new(self.engine.table().clone());
        }
        if learned {
            self.taught = now;
            paces = Arc::new(self.sensor.paces());
        }
        self.snapshot = Arc::new(Snapshot { table, paces, settings: self.snapshot.settings.clone() });
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }

    fn consider(&mut self, now: Instant, target: TargetId) {
        let seen = self.sensor.evidence(now, target);
        if let Some(decision) = self.engine.consider(now, target, &seen) {
            if decision.enforced() && matches!(decision.change, Change::Health { .. } | Change::Share { .. }) {
                self.sensor.mark(now, target);
            }
            self.decided(decision);
        }
        self.sensor.hurry(now, target, self.engine.wants_hurry(target));
    }

    fn decided(&mut self, decision: Decision) {
        let who = self.who(decision.subject);
        self.write(Record::Decision { who, decision });
    }

    fn who(&self, subject: Subject) -> Who {
        let (trunk, target) = match subject {
            Subject::Target(target) => (target.trunk, Some(target.index)),
            Subject::Trunk(trunk) => (trunk, None),
        };
        let profile = self.snapshot.settings.profiles.trunks.get(trunk.index()).and_then(Option::as_ref);
        Who {
            trunk: self.trunk_name(trunk),
            target: target
                .and_then(|index| profile?.targets.get(usize::from(index)))
                .map(|target| target.addr.to_string()),
            only_target: profile.is_none_or(|profile| profile.targets.len() == 1),
        }
    }

    fn trunk_name(&self, trunk: TrunkId) -> Name {
        let names = &self.snapshot.settings.names.trunks;
        names.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?"))
    }

    fn operator(&mut self, trunk: Option<Name>, act: Act, via: &str) {
        self.write(Record::Operator(Operator { trunk, act, via: via.to_string() }));
    }

    fn configured(&mut self, start: bool) {
        let settings = &self.snapshot.settings;
        let record = Record::Configured { fingerprint: settings.fingerprint, names: settings.names.clone(), start };
        self.write(record);
    }

    fn write(&mut self, record: Record) {
        let entry = Entry { seq: self.next, wall: self.wall, record };
        self.next = Seq(self.next.0 + 1);
        self.out.push_back(ControlOutput::Entry(Arc::new(entry)));
    }
}
