//! A tier that the operator forces, through control in virtual time: what is written and told to the shards, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use decide::{Cause, Change, Decision, TrunkTable};
use edge::config::{Settings, compile, render};
use edge::{By, Control, ControlInput, ControlOutput};
use explain::{Entry, Record};
use model::{ForceLength, GroupId, Instant, Seq, Span, Wall};
use std::sync::Arc;

const HEAD: &str = "
[listen.wan]
sip = [\"udp:192.0.2.1:5060\"]
[trunk.acme]
at = \"sip:192.0.2.31:5060\"
listen = \"wan\"
[trunk.globex]
at = \"sip:192.0.2.32:5060\"
listen = \"wan\"
[trunk.initech]
at = \"sip:192.0.2.33:5060\"
listen = \"wan\"
";
const CARRIERS: &str = "[group.carriers]\ntiers = [[\"acme\"], [\"globex\"]]\n";
const SPARE: &str = "[group.spare]\ntiers = [[\"initech\"], [\"acme\"]]\n";
const ROUTE: &str = "[[route]]\nto = \"carriers\"\n";

fn settings(groups: &[&str], before: Option<&Settings>) -> Arc<Settings> {
    let text = [&[HEAD], groups, &[ROUTE]].concat().concat();
    let compiled = compile(&text, "test.toml", &|_| None, before);
    Arc::new(compiled.settings.unwrap_or_else(|| panic!("{}", render(&compiled.faults, &text, "test.toml"))))
}

struct World {
    control: Control,
    settings: Arc<Settings>,
    now: Instant,
    entries: Vec<Arc<Entry>>,
    /// As the shards have it.
    told: TrunkTable,
}

impl World {
    fn new() -> Self {
        let settings = settings(&[CARRIERS], None);
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings.clone(), 7, Seq(1));
        let told = TrunkTable::new(&settings.shape);
        Self { control, settings, now: Instant::ZERO, entries: Vec::new(), told }
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, Wall::from_micros(self.now.as_micros() as i64), input);
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Entry(entry) => self.entries.push(entry),
                ControlOutput::Update(snapshot) => self.told = (*snapshot.table).clone(),
                _ => {}
            }
        }
    }

    /// Time passes; nobody answers a probe.
    fn run(&mut self, seconds: u64) {
        let end = self.now + Span::from_secs(seconds);
        while let Some(due) = self.control.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(ControlInput::Tick);
        }
        self.now = end;
    }

    fn force(&mut self, tier: u8, seconds: u64) {
        let length = ForceLength::new(Span::from_secs(seconds)).unwrap();
        let by = By { via: "api", who: "ann".into(), why: "one-way audio".into() };
        self.input(ControlInput::Force { group: GroupId(0), tier, length, by });
    }

    fn reload(&mut self, groups: &[&str]) {
        self.settings = settings(groups, Some(&self.settings));
        self.input(ControlInput::Reload(Ok(self.settings.clone())));
    }

    /// Number of the group, and number and time left of the tier, that each shard goes by.
    fn forced(&self) -> Vec<(u16, u8, Span)> {
        let all = self.told.all_forced().filter(|(_, forced)| forced.until > self.now);
        all.map(|(group, forced)| (group.0, forced.tier, forced.until.since(self.now))).collect()
    }

    /// Changes of groups that were written since `from`.
    fn forcing(&self) -> Vec<&Decision> {
        let decisions = self.entries.iter().filter_map(|entry| match &entry.record {
            Record::Decision { who, decision } if who.group.is_some() => Some(decision),
            _ => None,
        });
        decisions.collect()
    }

    fn sentences(&self) -> Vec<String> {
        let own = |entry: &&Arc<Entry>| match &entry.record {
            Record::Decision { who, .. } => who.group.is_some(),
            Record::Operator(act) => act.via == "api",
            _ => false,
        };
        self.entries.iter().filter(own).map(|entry| explain::sentence(entry)).collect()
    }

    /// The journal gives the very table that the shards have.
    fn assert_replays(&self) {
        let mut replay = explain::Replay::new(&self.settings.shape);
        self.entries.iter().for_each(|entry| replay.entry(entry));
        assert_eq!((replay.table(), replay.missed()), (&self.told, 0));
    }
}

fn secs(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

#[test]
fn a_word_is_written_told_to_the_shards_and_ends_by_itself() {
    let mut world = World::new();
    world.run(5);
    world.force(1, 60);
    assert_eq!(world.forced(), [(0, 1, secs(60))], "at once");
    let words = [
        "operator ann (api) forces group carriers to tier 2 at 1970-01-01T00:00:05.000Z (\"one-way audio\"): for 1 min its trunks \
         are tried first, then the others in their usual order",
        "group carriers forced to tier 2 at 1970-01-01T00:00:05.000Z: the operator said so; for 1 min trunks of that tier are \
         tried first, then the others in their usual order",
        "group carriers released from tier 2 at 1970-01-01T00:01:05.000Z: the time for which the operator said so is over; its \
         tiers are tried in their usual order",
    ];
    assert_eq!(world.sentences(), words[..2]);
    world.run(59);
    assert_eq!(world.sentences(), words[..2]);
    world.run(1);
    assert_eq!(world.sentences(), words);
    assert_eq!(world.told.all_forced().count(), 0, "nothing of it is left");
    world.assert_replays();
}

#[test]
fn a_release_ends_it_and_says_nothing_where_none_is_forced() {
    let mut world = World::new();
    let release = || ControlInput::Release { group: GroupId(0), by: By::way("api") };
    world.input(release());
    assert_eq!(world.sentences(), [""; 0]);
    world.force(1, 60);
    world.run(10);
    world.input(release());
    let said = world.sentences();
    assert!(said[2].starts_with("operator (api) releases group carriers at"), "{said:?}");
    assert!(said[3].contains("released from tier 2") && said[3].contains("the operator said so"), "{said:?}");
    assert_eq!(world.told.all_forced().count(), 0);
    world.force(7, 60);
    assert_eq!(world.sentences().len(), 4, "there is no such tier");
    world.assert_replays();
}

#[test]
fn a_reload_keeps_it_by_the_name_of_its_group() {
    let mut world = World::new();
    world.force(1, 600);
    world.run(10);
    world.reload(&[CARRIERS, SPARE]);
    assert_eq!((world.forced(), world.forcing().len()), (vec![(0, 1, secs(590))], 1), "nothing has changed for it");
    world.assert_replays();
    world.run(10);
    world.reload(&[SPARE, CARRIERS]);
    assert_eq!(world.forced(), [(1, 1, secs(580))], "another number, and the rest of its time");
    let told: Vec<(Change, Cause)> = world.forcing().iter().map(|decision| (decision.change, decision.cause)).collect();
    let again = Change::Force { from: None, to: 1, length: secs(580) };
    assert_eq!(told[1..], [(Change::Release { from: 1 }, Cause::Reconfigured), (again, Cause::Reconfigured)]);
    let (_, forced) = world.told.all_forced().next().unwrap();
    assert_eq!((&*forced.word.who, &*forced.word.why), ("ann", "one-way audio"));
    world.assert_replays();
    world.run(580);
    assert_eq!(world.told.all_forced().count(), 0);
    world.assert_replays();
}

#[test]
fn a_reload_that_takes_the_tier_or_the_group_away_ends_it_and_says_so() {
    let others = "[group.carriers]\ntiers = [[\"acme\"], [\"initech\"]]\n";
    let fewer = "[group.carriers]\ntiers = [[\"acme\", \"globex\"]]\n";
    let renamed = "[group.others]\ntiers = [[\"acme\"], [\"globex\"]]\n[[route]]\nto = \"others\"\n";
    for groups in [vec![others], vec![fewer], vec![renamed, "[group.carriers]\ntiers = [[\"initech\"], [\"acme\"]]\n"]]
    {
        let mut world = World::new();
        world.force(1, 600);
        world.reload(&groups);
        assert_eq!(world.told.all_forced().count(), 0, "{groups:?}");
        let said = world.sentences();
        assert!(said[2].starts_with("group carriers released from tier 2"), "{said:?}");
        assert!(said[2].contains("the configuration has changed"), "{said:?}");
        world.assert_replays();
    }
    // One more trunk in it is still the same tier.
    let mut world = World::new();
    world.force(1, 600);
    world.reload(&["[group.carriers]\ntiers = [[\"acme\"], [\"initech\", \"globex\"]]\n"]);
    assert_eq!(world.forced(), [(0, 1, secs(600))]);
}

#[test]
fn a_start_knows_nothing_of_it() {
    let mut world = World::new();
    world.force(1, 600);
    let mut begun = World::new();
    begun.run(1);
    assert_eq!(begun.told.all_forced().count(), 0);
    let entries = world.entries.iter().chain(&begun.entries);
    let replayed = explain::replay(&world.settings.shape, entries.map(|entry| &**entry));
    assert_eq!(replayed.all_forced().count(), 0);
}
