//! Alarms: situations an operator should hear of, each told once when it begins and once when it is over.
//!
//! Watches what control writes and counts, and keeps the situations under way. What is an event (a probe judged too late, a
//! record lost) is over after a quiet minute, what is a state (a group without anybody) when the state has been gone for
//! ten seconds; so no alarm is told more often than that, however fast things change. Refuses to know: the journal, the
//! trunk table, who is told.

use crate::io::Notice;
use crate::names::book::NameState;
use decide::{Change, Decision, Veto};
use explain::{Alarm, AlarmRecord, CallRecord, Redacted};
use model::{Health, Instant, Name, RegistrationState, Span, TrunkId, Wall};
use std::collections::{BTreeMap, VecDeque};

/// A situation made of events is over when there has been none for so long.
const QUIET: Span = Span::from_secs(60);
/// A situation that is a state is over when the state has been gone for so long.
const GONE: Span = Span::from_secs(10);
/// Trunks that go Down within this time of one another may share a cause.
const TOGETHER: Span = Span::from_secs(10);
/// Falls within this time are the same second's.
const SAME_SECOND: Span = Span::from_secs(1);
/// Falls remembered: more than a table's worth of trunks in one second says nothing more.
const FALLS: usize = 64;
/// Names shown in one alarm.
const NAMES: usize = 16;

/// What tells one situation from another. Bounded by the configuration: one per group and per trunk, and a few more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Ourselves,
    Shared,
    Group(Name),
    Registration(Name),
    Drill,
    Prober,
    Journal,
    Emergency,
    ShutOut,
    Foreign,
    Credentials(Name),
    Registrar(Name),
    NoRegistrar(Name),
    Barred(Name),
    /// Of a trunk, a name.
    Named(Name, Name),
}

/// A situation under way.
#[derive(Clone, Debug)]
pub struct Active {
    /// What it is.
    pub alarm: Alarm,
    /// When it was raised.
    pub since: Wall,
    /// When it is over, unless something happens before; none while a state lasts.
    over: Option<Instant>,
}

/// Situations under way, and what is to be told of them.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    active: BTreeMap<Key, Active>,
    out: VecDeque<AlarmRecord>,
    /// Trunks that fell lately, the oldest first.
    falls: VecDeque<(Instant, Name)>,
    /// Trunks that are Down, and since when.
    down: BTreeMap<Name, Instant>,
    /// Probes of which the sensor has said that the edge itself was late.
    stalled: u64,
}

impl Alarms {
    /// The next one to be written down.
    pub(crate) fn poll(&mut self) -> Option<AlarmRecord> {
        self.out.pop_front()
    }

    /// Situations under way.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Active> {
        self.active.values()
    }

    /// When [`Alarms::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.active.values().filter_map(|active| active.over).min()
    }

    /// Ends what is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some((key, _)) = self.active.iter().find(|(_, active)| active.over.is_some_and(|at| at <= now)) {
            let key = key.clone();
            if let Some(active) = self.active.remove(&key) {
                self.out.push_back(AlarmRecord { what: active.alarm, over: true });
            }
        }
    }

    /// A decision about a trunk, which is Down by it or not.
    pub(crate) fn decided(&mut self, now: Instant, wall: Wall, trunk: &Name, decision: &Decision, is_down: bool) {
        if let Change::Health { to: Health::Suspect | Health::Down, .. } = decision.change {
            while self.falls.front().is_some_and(|(at, _)| now.since(*at) >= SAME_SECOND) || self.falls.len() >= FALLS {
                self.falls.pop_front();
            }
            self.falls.push_back((now, trunk.clone()));
        }
        if let Some(Veto::SuspectOurselves { trunks }) = decision.veto {
            let mut names: Vec<Name> = Vec::new();
            for (_, name) in &self.falls {
                if !names.contains(name) && names.len() < NAMES {
                    names.push(name.clone());
                }
            }
            self.event(now, wall, Key::Ourselves, Alarm::SuspectOurselves { trunks, names });
        }
        if matches!(decision.change, Change::Health { .. } | Change::Admin { .. }) && decision.enforced() {
            self.shared(now, wall, trunk, is_down);
        }
    }

    fn shared(&mut self, now: Instant, wall: Wall, trunk: &Name, is_down: bool) {
        if !is_down {
            self.down.remove(trunk);
        } else if !self.down.contains_key(trunk) {
            self.down.insert(trunk.clone(), now);
            let lately = self.down.iter().filter(|(_, since)| now.since(**since) < TOGETHER);
            let names: Vec<Name> = lately.map(|(name, _)| name.clone()).take(NAMES).collect();
            if names.len() > 1 {
                self.state(now, wall, Key::Shared, Some(Alarm::SharedFailure { names }));
            }
        }
        if let Some(Active { alarm: Alarm::SharedFailure { names }, .. }) = self.active.get(&Key::Shared)
            && names.iter().filter(|name| self.down.contains_key(*name)).count() < 2
        {
            self.state(now, wall, Key::Shared, None);
        }
    }

    /// Whether anybody in a group may take calls.
    pub(crate) fn group(&mut self, now: Instant, wall: Wall, group: &Name, nobody: bool) {
        let alarm = nobody.then(|| Alarm::GroupHasNobody { group: group.clone() });
        self.state(now, wall, Key::Group(group.clone()), alarm);
    }

    /// What has become of our registration at a trunk.
    pub(crate) fn registration(&mut self, now: Instant, wall: Wall, trunk: &Name, state: RegistrationState) {
        let lost = state != RegistrationState::Registered;
        let alarm = lost.then(|| Alarm::RegistrationLost { trunk: trunk.clone(), state });
        self.state(now, wall, Key::Registration(trunk.clone()), alarm);
    }

    /// The trunks whose last drill has failed, and in how many lines at most.
    pub(crate) fn drilled<'n>(&mut self, now: Instant, wall: Wall, failing: impl Iterator<Item = (&'n Name, u32)>) {
        let (mut trunks, mut failed) = (Vec::new(), 0);
        for (trunk, lines) in failing.take(NAMES) {
            trunks.push(trunk.clone());
            failed = failed.max(lines);
        }
        let alarm = (failed > 0).then_some(Alarm::DrillFailed { trunks, failed });
        self.state(now, wall, Key::Drill, alarm);
    }

    /// How the names of a trunk are: those that fail, each with why and with how long its last addresses stay in use.
    pub(crate) fn names(&mut self, now: Instant, wall: Wall, trunk: &Name, states: &[NameState]) {
        let known = self.active.keys().filter_map(|key| match key {
            Key::Named(of, name) if of == trunk && states.iter().all(|state| state.name != *name) => Some(key.clone()),
            _ => None,
        });
        for key in known.collect::<Vec<_>>() {
            self.state(now, wall, key, None);
        }
        for state in states {
            let name = state.name.clone();
            let alarm = state.trouble.clone().map(|why| {
                let (trunk, name, kept) = (trunk.clone(), name.clone(), state.kept);
                Alarm::NameFails { trunk, name, why, kept }
            });
            self.state(now, wall, Key::Named(trunk.clone(), name), alarm);
        }
    }

    /// How many probes have ended so far while the edge itself was late.
    pub(crate) fn stalled(&mut self, now: Instant, wall: Wall, count: u64) {
        if count > self.stalled {
            self.stalled = count;
            self.event(now, wall, Key::Prober, Alarm::ProberStalled { count });
        }
    }

    /// Records were lost to the journal.
    pub(crate) fn lost(&mut self, now: Instant, wall: Wall, count: u64, why: String) {
        let before = match self.active.get(&Key::Journal) {
            Some(Active { alarm: Alarm::JournalDropped { count, .. }, .. }) => *count,
            _ => 0,
        };
        self.event(now, wall, Key::Journal, Alarm::JournalDropped { count: before.saturating_add(count), why });
    }

    /// An emergency call is over.
    pub(crate) fn emergency(&mut self, now: Instant, wall: Wall, call: &CallRecord) {
        let number = format!("{}", Redacted(&call.caller));
        self.event(
            now,
            wall,
            Key::Emergency,
            Alarm::EmergencyUsed { call: call.call, from: call.from.clone(), number },
        );
    }

    /// What a shard has seen; `name` is that of a trunk.
    pub(crate) fn notice(&mut self, now: Instant, wall: Wall, notice: Notice, name: impl FnOnce(TrunkId) -> Name) {
        let (key, alarm) = match notice {
            Notice::ShutOut { source, cause, count, within, length } => {
                (Key::ShutOut, Alarm::SourceShutOut { source, cause, count, within, length })
            }
            Notice::Foreign { source } => (Key::Foreign, Alarm::ForeignRequest { source: source.to_string() }),
            Notice::Barred { trunk, why } => {
                let trunk = name(trunk);
                (Key::Barred(trunk.clone()), Alarm::CallsBarred { trunk, why })
            }
            Notice::RegistrarMoved { trunk, before, now } => {
                let (trunk, before, now) = (name(trunk), before.to_string(), now.to_string());
                (Key::Registrar(trunk.clone()), Alarm::RegistrarMoved { trunk, before, now })
            }
            Notice::RegistrarGone { trunk } => {
                let trunk = name(trunk);
                (Key::NoRegistrar(trunk.clone()), Alarm::RegistrarGone { trunk })
            }
            Notice::CredentialsRefused { trunk, code } => {
                let trunk = name(trunk);
                (Key::Credentials(trunk.clone()), Alarm::CredentialsRefused { trunk, code })
            }
        };
        self.event(now, wall, key, alarm);
    }

    /// A new configuration: trunks and groups that are gone can be in no situation any more.
    pub(crate) fn keep(&mut self, now: Instant, trunks: &[Name], groups: &[Name]) {
        self.down.retain(|name, _| trunks.contains(name));
        for (key, active) in &mut self.active {
            let stays = match key {
                Key::Group(name) => groups.contains(name),
                Key::Registration(name)
                | Key::Credentials(name)
                | Key::Registrar(name)
                | Key::NoRegistrar(name)
                | Key::Barred(name)
                | Key::Named(name, _) => trunks.contains(name),
                Key::Shared => self.down.len() > 1,
                Key::Ourselves
                | Key::Drill
                | Key::Prober
                | Key::Journal
                | Key::Emergency
                | Key::ShutOut
                | Key::Foreign => true,
            };
            if !stays {
                active.over = Some(now);
            }
        }
        self.tick(now);
    }

    /// Raised by its first event, over after a quiet time; events in between change what is known and tell nobody.
    fn event(&mut self, now: Instant, wall: Wall, key: Key, alarm: Alarm) {
        self.raise(wall, key, alarm, Some(now + QUIET));
    }

    /// Raised when the state begins, over when it has been gone for a while.
    fn state(&mut self, now: Instant, wall: Wall, key: Key, alarm: Option<Alarm>) {
        match alarm {
            Some(alarm) => self.raise(wall, key, alarm, None),
            None => {
                if let Some(active) = self.active.get_mut(&key) {
                    active.over = active.over.or(Some(now + GONE));
                }
            }
        }
    }

    fn raise(&mut self, wall: Wall, key: Key, alarm: Alarm, over: Option<Instant>) {
        if let Some(active) = self.active.get_mut(&key) {
            (active.alarm, active.over) = (alarm, over);
            return;
        }
        self.out.push_back(AlarmRecord { what: alarm.clone(), over: false });
        self.active.insert(key, Active { alarm, since: wall, over });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decide::{Cause, Subject};
    use model::{Epoch, TargetId, TrunkId};

    const WALL: Wall = Wall::from_micros(1_795_521_847_112_345);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn told(alarms: &mut Alarms) -> Vec<(&'static str, bool)> {
        std::iter::from_fn(|| alarms.poll()).map(|record| (record.what.kind(), record.over)).collect()
    }

    fn fall(to: Health, veto: Option<Veto>) -> Decision {
        let subject = Subject::Target(TargetId { trunk: TrunkId(0), index: 0 });
        let change = Change::Health { from: Health::Up, to };
        Decision { veto, ..Decision::bare(at(0), Epoch(1), subject, change, Cause::Relapse) }
    }

    #[test]
    fn an_event_is_told_once_and_once_more_after_a_quiet_minute() {
        let mut alarms = Alarms::default();
        for ms in [0, 100, 30_000] {
            alarms.lost(at(ms), WALL, 2, "slow".into());
        }
        assert_eq!(told(&mut alarms), [("journal_dropped", false)]);
        alarms.tick(at(89_999));
        assert_eq!((told(&mut alarms), alarms.deadline()), (Vec::new(), Some(at(90_000))));
        alarms.tick(at(90_000));
        let over = alarms.poll().expect("the end");
        assert_eq!(over, AlarmRecord { what: Alarm::JournalDropped { count: 6, why: "slow".into() }, over: true });
        alarms.lost(at(200_000), WALL, 1, "slow".into());
        assert_eq!(told(&mut alarms), [("journal_dropped", false)], "another situation");
        assert_eq!(alarms.active().count(), 1);
    }

    #[test]
    fn a_state_that_comes_and_goes_is_one_alarm() {
        let (mut alarms, group) = (Alarms::default(), Name::from("carriers"));
        for ms in (0..60_000).step_by(5_000) {
            alarms.group(at(ms), WALL, &group, ms % 10_000 == 0);
            alarms.tick(at(ms));
        }
        assert_eq!(told(&mut alarms), [("group_has_nobody", false)]);
        alarms.tick(at(65_000));
        assert_eq!(told(&mut alarms), [("group_has_nobody", true)]);
        assert_eq!(alarms.deadline(), None);
    }

    #[test]
    fn falls_of_one_second_are_named_when_we_suspect_ourselves() {
        let mut alarms = Alarms::default();
        let names = ["old", "acme", "globex", "initech"].map(Name::from);
        for (ms, name) in [0, 5_000, 5_100, 5_200].into_iter().zip(&names) {
            alarms.decided(at(ms), WALL, name, &fall(Health::Suspect, None), false);
        }
        let veto = Some(Veto::SuspectOurselves { trunks: 3 });
        alarms.decided(at(5_300), WALL, &names[3], &fall(Health::Down, veto), false);
        let raised = alarms.poll().expect("an alarm");
        assert_eq!(raised.what, Alarm::SuspectOurselves { trunks: 3, names: names[1..].to_vec() });
        assert_eq!(alarms.poll(), None);
    }

    #[test]
    fn trunks_that_go_down_together_may_share_a_cause() {
        let mut alarms = Alarms::default();
        let (acme, globex, late) = (Name::from("acme"), Name::from("globex"), Name::from("late"));
        alarms.decided(at(0), WALL, &acme, &fall(Health::Down, None), true);
        alarms.decided(at(20_000), WALL, &late, &fall(Health::Down, None), true);
        assert_eq!(told(&mut alarms), [], "twenty seconds apart");
        alarms.decided(at(25_000), WALL, &globex, &fall(Health::Down, None), true);
        let raised = alarms.poll().expect("an alarm");
        assert_eq!(raised.what, Alarm::SharedFailure { names: vec![globex.clone(), late] });
        alarms.decided(at(60_000), WALL, &globex, &fall(Health::Probation, None), false);
        alarms.tick(at(70_000));
        assert_eq!(told(&mut alarms), [("shared_failure", true)]);
    }

    #[test]
    fn what_shards_notice_is_told_once_a_minute() {
        let mut alarms = Alarms::default();
        let shut_out = |source: &str| Notice::ShutOut {
            source: source.into(),
            cause: explain::ShutOutCause::Scanner,
            count: 1,
            within: Span::from_secs(10),
            length: Span::from_secs(300),
        };
        let name = |_: TrunkId| Name::from("acme");
        for ms in [0, 10, 20] {
            alarms.notice(at(ms), WALL, shut_out("203.0.113.9"), name);
            alarms.notice(at(ms), WALL, Notice::Foreign { source: "203.0.113.9:5060".parse().expect("one") }, name);
            alarms.notice(at(ms), WALL, Notice::CredentialsRefused { trunk: TrunkId(1), code: 403 }, name);
        }
        let first = ["source_shut_out", "foreign_request", "credentials_refused"].map(|kind| (kind, false));
        assert_eq!(told(&mut alarms), first);
        alarms.keep(at(30), &[], &[]);
        assert_eq!(told(&mut alarms), [("credentials_refused", true)], "its trunk is gone");
        alarms.tick(at(60_020));
        assert_eq!(told(&mut alarms).len(), 2);
    }

    /// Each shard notices it by itself; the operator hears it once, and at the end where phones register then.
    #[test]
    fn another_registrar_is_told_once_and_where_it_has_come_to() {
        let (mut alarms, name) = (Alarms::default(), |_: TrunkId| Name::from("pbx"));
        let (first, second): (std::net::SocketAddr, std::net::SocketAddr) =
            ("192.0.2.20:5060".parse().expect("one"), "192.0.2.21:5060".parse().expect("one"));
        let moved = |before, now| Notice::RegistrarMoved { trunk: TrunkId(0), before, now };
        alarms.notice(at(0), WALL, moved(first, second), name);
        alarms.notice(at(5), WALL, moved(first, second), name);
        alarms.notice(at(10), WALL, Notice::RegistrarGone { trunk: TrunkId(0) }, name);
        assert_eq!(told(&mut alarms), [("registrar_moved", false), ("registrar_gone", false)]);
        alarms.notice(at(20), WALL, moved(second, first), name);
        alarms.tick(at(60_020));
        let over: Vec<AlarmRecord> = std::iter::from_fn(|| alarms.poll()).collect();
        let is_back = |record: &AlarmRecord| match &record.what {
            Alarm::RegistrarMoved { now, .. } => record.over && *now == first.to_string(),
            _ => false,
        };
        assert!(over.len() == 2 && over.iter().any(is_back), "{over:?}");
    }

    #[test]
    fn registrations_stalls_and_reloads() {
        let (mut alarms, acme) = (Alarms::default(), Name::from("acme"));
        alarms.registration(at(0), WALL, &acme, RegistrationState::Expired);
        alarms.registration(at(5), WALL, &acme, RegistrationState::Refused { code: 403 });
        alarms.stalled(at(6), WALL, 2);
        alarms.stalled(at(7), WALL, 2);
        assert_eq!(told(&mut alarms), [("registration_lost", false), ("prober_stalled", false)]);
        alarms.registration(at(8), WALL, &acme, RegistrationState::Registered);
        alarms.tick(at(8 + 10_000));
        assert_eq!(told(&mut alarms), [("registration_lost", true)]);
        alarms.registration(at(20_000), WALL, &acme, RegistrationState::Expired);
        alarms.keep(at(20_001), &[], &[]);
        assert_eq!(told(&mut alarms), [("registration_lost", false), ("registration_lost", true)]);
    }
}
