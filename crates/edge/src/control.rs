//! The one decider of a node: signals of all shards in; probes, trunk tables and journal entries out.
//!
//! Sensing and judging happen in one place, so that every shard works by the same epoch and the journal is the whole
//! truth. Refuses to know: shards' threads, the store, how an operator's word arrived.

use crate::alarms::{Active, Alarms};
use crate::config::Settings;
use crate::drill::Drills;
use crate::hearing::Hearing;
use crate::io::{Bound, By, ControlInput, ControlOutput, ReloadFault, Snapshot, Tested};
use crate::kept::KeptBindings;
use crate::names::book::Book;
use crate::shadow::Shadow;
use crate::test_report::TestReports;
use crate::traffic::Traffic;
use crate::window::WindowTimer;
use act::{ServiceRoute, ServiceRoutes};
use decide::{Cause, Change, Decision, Engine, Strategy, Subject};
use explain::{Act, CallRecord, Entry, Frames, Record, Who};
use model::{
    Admin, AttemptOutcome, Health, Instant, Name, Observed, Paces, Qualities, RegistrationState, Seq, ShardId, Signal,
    Span, TargetId, TrunkId, Wall,
};
use sense::{Overloads, Sensor, TestCallOrder};
use std::collections::{BTreeMap, VecDeque};
use std::string::ToString;
use std::sync::Arc;

mod desk;
mod drilled;
mod forced;
mod operator;
mod places;
mod seen;
mod shadowed;

pub use desk::{DeskOrder, DeskQuery, DeskTotals, DeskView, GroupTraffic, TrunkLine};

/// What is learned changes slowly: shards are told of it no more often than this.
const TEACH: Span = Span::from_secs(1);

/// Our registration at a trunk, as it was told last.
#[derive(Clone, Copy, Debug)]
struct Registered {
    since: Instant,
    state: RegistrationState,
    /// Until when it was granted.
    until: Option<Wall>,
}

/// Sensing state, trunk table and journal number of one node.
pub struct Control {
    snapshot: Arc<Snapshot>,
    sensor: Sensor,
    overloads: Overloads,
    engine: Engine,
    tests: TestReports,
    hearing: Hearing,
    traffic: Traffic,
    /// Of each trunk, the record that says why it is as it is.
    causes: BTreeMap<TrunkId, Arc<Entry>>,
    windows: WindowTimer,
    next: Seq,
    wall: Wall,
    /// When the shards were told last how soon targets react.
    taught: Instant,
    shadow: Option<Shadow>,
    alarms: Alarms,
    drills: Drills,
    names: Book,
    /// Answers that nobody had asked for.
    unasked: u64,
    registrations: BTreeMap<TrunkId, Registered>,
    out: VecDeque<ControlOutput>,
}

impl Control {
    /// Begins with these settings; the first journal entry gets the number `first`.
    pub fn new(now: Instant, wall: Wall, settings: Arc<Settings>, seed: u64, first: Seq) -> Self {
        let engine = Engine::new(settings.shape.clone());
        let mut sensor = Sensor::new(seed);
        sensor.install(now, &settings.probes);
        sensor.install_blames(&settings.blames);
        sensor.install_tests(now, &settings.tested());
        let names = Book::new(&settings.dns, seed);
        let snapshot = Arc::new(Snapshot {
            table: Arc::new(engine.table().clone()),
            paces: Arc::new(Paces::new()),
            qualities: Arc::new(Qualities::new()),
            service_routes: Arc::default(),
            drill: None,
            settings,
        });
        let mut control = Self {
            snapshot,
            sensor,
            overloads: Overloads::default(),
            engine,
            tests: TestReports::default(),
            hearing: Hearing::default(),
            traffic: Traffic::default(),
            causes: BTreeMap::new(),
            windows: WindowTimer::default(),
            next: first,
            wall,
            taught: now,
            shadow: None,
            alarms: Alarms::default(),
            drills: Drills::default(),
            names,
            unasked: 0,
            registrations: BTreeMap::new(),
            out: VecDeque::new(),
        };
        control.windows.reset(now);
        control.configured(now, true);
        control.install_names(now);
        control.follow_shadow(now);
        control.settle(now);
        control
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, wall: Wall, input: ControlInput) {
        self.wall = wall;
        match input {
            ControlInput::Signal(signal) => self.signal(now, &signal),
            ControlInput::Ended(record) => self.ended(now, record),
            ControlInput::Tested(tested) => self.tested(now, &tested),
            ControlInput::Notice(notice) => {
                let names = self.snapshot.settings.names.clone();
                let name = |trunk: TrunkId| names.trunks.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?"));
                self.alarms.notice(now, wall, notice, name);
            }
            ControlInput::ServiceRoute(route) => self.route_granted(route),
            ControlInput::Bound { shard, bound } => self.bound(now, shard, bound),
            ControlInput::Restore(kept) => self.restore(now, kept),
            ControlInput::TestNow { trunk, ticket, by } => self.test_now(now, trunk, ticket, &by),
            ControlInput::Lost { count, why } => self.alarms.lost(now, wall, count, why),
            ControlInput::Operate { trunk, act, by } => self.operate(now, trunk, act, &by),
            ControlInput::Force { group, tier, length, by } => self.force(now, group, tier, length, &by),
            ControlInput::Release { group, by } => self.release(now, group, &by),
            ControlInput::TestPost { webhook, by } => {
                self.operator(None, Act::TestPost { webhook }, &by);
            }
            ControlInput::Forgive { whom, by } => {
                self.operator(None, Act::Forgive { source: whom.to_string() }, &by);
                self.out.push_back(ControlOutput::Forgive(whom));
            }
            ControlInput::Reload(Ok(settings)) => self.reload(now, settings),
            ControlInput::Reload(Err(fault)) => self.reload_refused(fault),
            ControlInput::Resolved { question, reply } => {
                self.unasked += u64::from(!self.names.resolved(now, &question, reply));
            }
            ControlInput::Drill(act) => self.drill(now, act),
            ControlInput::Stop => {
                self.end_drill(now, "the edge is about to end");
                self.operator(None, Act::Stop, &By::way("signal"));
            }
            ControlInput::Tick => self.tick(now),
        }
        self.settle(now);
    }

    fn tick(&mut self, now: Instant) {
        self.sensor.tick(now);
        self.alarms.stalled(now, self.wall, self.sensor.counters().stalled);
        self.alarms.tick(now);
        if let Some(shadow) = &mut self.shadow {
            shadow.tick(now);
        }
    }

    fn ended(&mut self, now: Instant, record: Box<CallRecord>) {
        if self.snapshot.settings.profiles.is_emergency(record.called.as_bytes()) {
            self.alarms.emergency(now, self.wall, &record);
        }
        if !record.drilled {
            self.hearing.push(now, &record);
        }
        self.drills.ended(&record);
        self.write(Record::Call(record));
    }

    /// What is to be done next, if anything.
    pub fn poll(&mut self) -> Option<ControlOutput> {
        self.out.pop_front()
    }

    /// When `Tick` is due.
    pub fn deadline(&self) -> Option<Instant> {
        let sensed =
            [self.sensor.deadline(), self.overloads.deadline(), self.alarms.deadline(), self.drills.deadline()];
        let shadow = self.shadow.as_ref().and_then(Shadow::deadline);
        let decided = [self.engine.deadline(), self.windows.deadline(), self.names.deadline(), shadow];
        sensed.into_iter().chain(decided).flatten().min()
    }

    /// Number of the last record written.
    pub fn last(&self) -> Seq {
        Seq(self.next.0.saturating_sub(1))
    }

    /// Alarms under way.
    pub fn alarms(&self) -> impl Iterator<Item = &Active> {
        self.alarms.active()
    }

    /// What the shards work by.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    fn signal(&mut self, now: Instant, signal: &Signal) {
        self.sensor.observe(now, signal);
        self.traffic.observe(now, signal);
        if let Some(shadow) = &mut self.shadow {
            shadow.signal(now, signal);
        }
        if let Observed::Overload { wish, validity, seq } = signal.what
            && self.engine.table().target(signal.target).is_some()
        {
            self.overloads.observe(now, signal.target, wish, validity, seq);
        }
        if let Observed::Registration { state, holds } = signal.what {
            let trunk = self.trunk_name(signal.target.trunk);
            self.alarms.registration(now, self.wall, &trunk, state);
            let micros = i64::try_from(holds.as_micros()).unwrap_or(0);
            let until = Wall::from_micros(self.wall.as_micros().saturating_add(micros));
            let known = self.registrations.get(&signal.target.trunk).filter(|known| known.state == state);
            let since = known.map_or(now, |known| known.since);
            let told = Registered { since, state, until: (holds > Span::ZERO).then_some(until) };
            self.registrations.insert(signal.target.trunk, told);
        }
        // 503 with Retry-After is a request for less, not a sign of death (RFC 3261 §20.33).
        if let Observed::Attempt {
            outcome: AttemptOutcome::Refused { code: 503, retry_after: Some(asked), .. }, ..
        } = signal.what
            && let Some(decision) = self.engine.throttle(now, signal.target.trunk, asked)
        {
            if let Some(rest) = self.engine.table().throttle(signal.target.trunk) {
                self.overloads.put_off(signal.target.trunk, rest.until);
            }
            self.decided(now, decision);
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
        let addr = profile.and_then(|profile| profile.target(target.index));
        let addr = addr.map(|target| target.addr.to_string()).unwrap_or_default();
        let (ticket, view) = self.tests.push(now, tested, &name, addr);
        let answer = Ok(Box::new(view));
        self.out.extend(ticket.map(|ticket| ControlOutput::Tested { ticket, answer }));
    }

    /// Every shard calls every trunk. Renewals mostly say the same, which is no news.
    fn route_granted(&mut self, route: ServiceRoute) {
        let mut snapshot = Snapshot::clone(&self.snapshot);
        if Arc::make_mut(&mut snapshot.service_routes).set(route) {
            self.snapshot = Arc::new(snapshot);
            self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
        }
    }

    /// A phone's bindings have changed: every shard calls phones, and a restart must find them.
    fn bound(&mut self, now: Instant, shard: ShardId, bound: Bound) {
        let kept = KeptBindings::of(&self.snapshot.settings, now, self.wall, &bound);
        self.out.push_back(ControlOutput::Keep(kept));
        self.out.push_back(ControlOutput::Bindings { except: Some(shard), bound: Arc::new([bound]) });
    }

    /// Phones do not know that we were away: what was bound is bound, for the rest of its time.
    fn restore(&mut self, now: Instant, kept: Vec<KeptBindings>) {
        let settings = self.snapshot.settings.clone();
        let known = |user: &str| settings.registrar.as_ref().is_some_and(|rules| rules.may_bind(user));
        let alive = kept.into_iter().filter(|kept| known(&kept.aor));
        let bound: Arc<[Bound]> = alive.filter_map(|kept| kept.bound(&settings, now, self.wall)).collect();
        if !bound.is_empty() {
            self.out.push_back(ControlOutput::Bindings { except: None, bound });
        }
    }

    fn test_now(&mut self, now: Instant, trunk: TrunkId, ticket: u64, by: &By) {
        let target = self.best_target(trunk).unwrap_or(TargetId { trunk, index: 0 });
        match self.sensor.test_asked(now, target) {
            Ok(order) => {
                self.operator(Some(self.trunk_name(trunk)), Act::TestCall, by);
                self.tests.wait(order, ticket);
            }
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

    fn reload(&mut self, now: Instant, settings: Arc<Settings>) {
        let settings = settings.following(&self.snapshot.settings).map_or(settings, Arc::new);
        self.end_drill(now, "the configuration has changed");
        self.operator(None, Act::Reload { fingerprint: settings.fingerprint }, &By::way("reload"));
        let moved = self.unforce_moved(now, &settings);
        self.engine.reshape(now, settings.shape.clone());
        self.windows.reset(now);
        self.watch(now, &settings);
        self.tests.retain(|trunk| settings.test_call(trunk).is_some());
        self.hearing.retain(|name| settings.names.trunks.contains(name));
        let stays = |trunk: TrunkId| settings.profiles.trunk(trunk).is_some();
        self.traffic.retain(stays);
        self.causes.retain(|trunk, _| stays(*trunk));
        let registers = |trunk: &TrunkId| settings.registrations.get(trunk.index()).is_some_and(Option::is_some);
        self.registrations.retain(|trunk, _| registers(trunk));
        let mut routes = ServiceRoutes::clone(&self.snapshot.service_routes);
        routes.retain(|trunk| registers(&trunk));
        let table = Arc::new(self.engine.table().clone());
        self.snapshot = Arc::new(Snapshot {
            table,
            settings,
            paces: self.snapshot.paces.clone(),
            qualities: self.snapshot.qualities.clone(),
            service_routes: Arc::new(routes),
            drill: None,
        });
        self.configured(now, false);
        self.force_moved(now, moved);
        self.install_names(now);
        self.follow_shadow(now);
        let names = &self.snapshot.settings.names;
        self.alarms.keep(now, &names.trunks, &names.groups);
        self.keep_drills(now);
        self.look_at_groups(now);
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }

    /// Targets that are gone are watched no more, new ones from now on.
    fn watch(&mut self, now: Instant, settings: &Settings) {
        let table = self.engine.table();
        self.overloads.install(|target| table.target(target).is_some());
        self.sensor.install(now, &settings.probes);
        self.sensor.install_blames(&settings.blames);
        self.sensor.install_tests(now, &settings.tested());
    }

    fn look_at_groups(&mut self, now: Instant) {
        let (snapshot, table) = (self.snapshot.clone(), self.engine.table());
        for (group, name) in snapshot.settings.shape.groups().iter().zip(&snapshot.settings.names.groups) {
            let nobody = !group.members().any(|member| table.usable(member.trunk));
            self.alarms.group(now, self.wall, name, nobody);
        }
    }

    fn reload_refused(&mut self, fault: ReloadFault) {
        let act = Act::ReloadRefused { faults: fault.faults, first: fault.first.to_string() };
        self.operator(None, act, &By::way("reload"));
    }

    /// Judges everyone whose evidence or clock gives reason to, then tells the shards once.
    fn settle(&mut self, now: Instant) {
        self.follow_names(now);
        self.windows.tick(now, self.wall, &self.snapshot.settings.windows, &mut self.engine);
        while let Some(decision) = self.engine.force_over(now) {
            self.decided(now, decision);
        }
        while let Some(target) = self.sensor.dirty() {
            self.consider(now, target);
        }
        while let Some(news) = self.overloads.due(now) {
            if let Some(decision) = self.engine.overload(now, news.trunk, news.wish, news.validity) {
                self.decided(now, decision);
            }
        }
        while let Some(target) = self.engine.due(now) {
            self.consider(now, target);
        }
        while let Some(order) = self.sensor.poll() {
            if let Some(shadow) = &mut self.shadow {
                shadow.ordered(now, &order);
            }
            self.out.push_back(ControlOutput::Probe(order));
        }
        while let Some(order) = self.sensor.poll_test() {
            self.place_test(now, order);
        }
        self.settle_shadow(now);
        self.settle_drill(now);
        self.publish(now);
        while let Some(alarm) = self.alarms.poll() {
            self.write(Record::Alarm(alarm));
        }
    }

    /// Tells the shards of a new epoch at once, and of what has been learned since when it is time.
    fn publish(&mut self, now: Instant) {
        let changed = self.engine.table().epoch() != self.snapshot.table.epoch();
        let teach = now.since(self.taught) >= TEACH;
        let learned = teach && self.sensor.learned();
        let qualities = Some(()).filter(|()| teach && self.weighs_quality()).map(|()| self.sensor.qualities(now));
        let weighed = qualities.filter(|qualities| *qualities != *self.snapshot.qualities);
        if !changed && !learned && weighed.is_none() {
            return;
        }
        let Snapshot { settings, mut table, mut paces, mut qualities, service_routes, drill } =
            Snapshot::clone(&self.snapshot);
        if changed {
            table = Arc::new(self.engine.table().clone());
            self.look_at_groups(now);
        }
        if teach {
            self.taught = now;
        }
        if learned {
            paces = Arc::new(self.sensor.paces());
        }
        if let Some(weighed) = weighed {
            qualities = Arc::new(weighed);
        }
        self.snapshot = Arc::new(Snapshot { settings, table, paces, qualities, service_routes, drill });
        self.out.push_back(ControlOutput::Update(self.snapshot.clone()));
    }

    /// Some group goes by quality; only then is it worth telling.
    fn weighs_quality(&self) -> bool {
        self.snapshot.settings.shape.groups().iter().any(|group| group.strategy == Strategy::Quality)
    }

    fn consider(&mut self, now: Instant, target: TargetId) {
        let seen = self.sensor.evidence(now, target);
        if let Some(decision) = self.engine.consider(now, target, &seen) {
            if decision.enforced() && matches!(decision.change, Change::Health { .. } | Change::Share { .. }) {
                self.sensor.mark(now, target);
            }
            if decision.wants_test_call() {
                self.sensor.test_now(now, target);
            }
            self.decided(now, decision);
        }
        self.sensor.hurry(now, target, self.engine.wants_hurry(target));
    }

    fn decided(&mut self, now: Instant, decision: Decision) {
        let who = self.who(decision.subject);
        let (Subject::Target(TargetId { trunk, .. }) | Subject::Trunk(trunk)) = decision.subject else {
            self.write(Record::Decision { who, decision });
            return;
        };
        let is_down = self.engine.table().trunk_health(trunk) == Health::Down;
        self.alarms.decided(now, self.wall, &who.trunk, &decision, is_down);
        // An operator's word is told by the record of his act, which says who and why.
        let explains = decision.enforced() && decision.cause != Cause::Operator;
        let harmed = self.harmed(&decision);
        let entry = self.write(Record::Decision { who, decision });
        if explains {
            self.causes.insert(trunk, entry);
        }
        if let Some(trunk) = harmed {
            self.end_drill(now, &format!("trunk {trunk} went Down, and not by the drill"));
        }
    }

    fn who(&self, subject: Subject) -> Who {
        let (trunk, target) = match subject {
            Subject::Target(target) => (target.trunk, Some(target.index)),
            Subject::Trunk(trunk) => (trunk, None),
            Subject::Group(group) => {
                let group = Some(self.group_name(group));
                return Who { trunk: Name::from(""), group, target: None, only_target: true };
            }
        };
        let profile = self.snapshot.settings.profiles.trunks.get(trunk.index()).and_then(Option::as_ref);
        Who {
            trunk: self.trunk_name(trunk),
            group: None,
            target: target.and_then(|index| profile?.target(index)).map(|target| target.addr.to_string()),
            only_target: profile.is_none_or(|profile| profile.targets.len() == 1),
        }
    }

    fn trunk_name(&self, trunk: TrunkId) -> Name {
        let names = &self.snapshot.settings.names.trunks;
        names.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?"))
    }

    fn configured(&mut self, now: Instant, start: bool) {
        let settings = &self.snapshot.settings;
        let (fingerprint, names) = (settings.fingerprint, settings.names.clone());
        let frames = Some(Frames { at: now, trunks: settings.shape.frames() });
        let record = Record::Configured { fingerprint, names, start, frames };
        self.write(record);
    }

    fn write(&mut self, record: Record) -> Arc<Entry> {
        let entry = Arc::new(Entry { seq: self.next, wall: self.wall, record });
        self.next = Seq(self.next.0 + 1);
        self.out.push_back(ControlOutput::Entry(entry.clone()));
        entry
    }
}
