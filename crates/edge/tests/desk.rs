//! What the operator's desk is told: totals, pages of trunks, causes in sentences, groups and their traffic; and whose word it was.
#![allow(clippy::unwrap_used, clippy::panic)]

use edge::config::compile;
use edge::{By, Control, ControlInput, ControlOutput, DeskOrder, DeskQuery, DeskTotals, TrunkAct};
use model::{
    Admin, AttemptOutcome, CallRef, Health, Instant, Observed, ProbeResult, Seq, Signal, Span, TargetId, TrunkId, Wall,
};
use std::sync::Arc;

/// One carrier that is limited, two beside it, and a PBX.
const TEXT: &str = "
[listen.wan]
sip = [\"udp:192.0.2.1:5060\"]
[trunk.acme]
at = \"sip:192.0.2.31:5060\"
listen = \"wan\"
limits = { calls = 200 }
[trunk.globex]
at = \"sip:192.0.2.32:5060\"
listen = \"wan\"
[trunk.initech]
at = \"sip:192.0.2.33:5060\"
listen = \"wan\"
[group.carriers]
tiers = [[\"acme\"], [\"globex\", \"initech\"]]
[[route]]
to = \"carriers\"
";

const ACME: TrunkId = TrunkId(0);
const GLOBEX: TrunkId = TrunkId(1);

struct World {
    control: Control,
    now: Instant,
    probes: Vec<TargetId>,
    sentences: Vec<String>,
}

impl World {
    /// Probes of `acme` fail, those of the others are answered.
    fn new(seconds: u64) -> Self {
        let settings = Arc::new(compile(TEXT, "test.toml", &|_| None, None).settings.unwrap());
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 7, Seq(1));
        let mut world = Self { control, now: Instant::ZERO, probes: Vec::new(), sentences: Vec::new() };
        world.run(seconds);
        world
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, Wall::from_micros(self.now.as_micros() as i64), input);
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Entry(entry) => self.sentences.push(explain::sentence(&entry)),
                ControlOutput::Probe(order) => {
                    self.probes.push(order.target);
                    if order.target.trunk != ACME {
                        let result = ProbeResult::Answered { code: 200, rtt: Span::from_millis(9) };
                        let what = Observed::Probe { order: order.order, result };
                        let signal = Signal { at: self.now, target: order.target, what };
                        self.control.handle(self.now, Wall::from_micros(0), ControlInput::Signal(signal));
                    }
                }
                _ => {}
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        let end = self.now + Span::from_secs(seconds);
        while let Some(next) = self.control.deadline().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.input(ControlInput::Tick);
        }
        self.now = end;
    }

    fn attempt(&mut self, trunk: TrunkId, outcome: AttemptOutcome) {
        let target = TargetId { trunk, index: 0 };
        let what = Observed::Attempt { call: CallRef(7), outcome };
        self.input(ControlInput::Signal(Signal { at: self.now, target, what }));
    }

    fn desk(&mut self, query: &DeskQuery) -> edge::DeskView {
        self.control.desk(self.now, &[3, 1, 8], 12, query)
    }

    fn act(&mut self, trunk: TrunkId, act: TrunkAct, why: &str) {
        let by = By { via: "api", who: "anna".to_owned(), why: why.to_owned() };
        self.input(ControlInput::Operate { trunk, act, by });
    }
}

fn all(limit: usize) -> DeskQuery {
    DeskQuery { limit, ..DeskQuery::default() }
}

fn names(view: &edge::DeskView) -> Vec<&str> {
    view.lines.iter().map(|line| line.name.as_str()).collect()
}

#[test]
fn those_in_trouble_come_first_with_why_and_what_comes_next() {
    let mut world = World::new(60);
    let view = world.desk(&all(2));
    assert_eq!(view.trunks, DeskTotals { all: 3, up: 2, down: 1, ..DeskTotals::default() });
    assert_eq!((names(&view), view.more, view.calls), (vec!["acme", "globex"], 1, 12));
    let acme = &view.lines[0];
    assert_eq!((acme.health, acme.calls, acme.capacity, acme.probed), (Health::Down, 3, Some(200), true));
    let cause = acme.cause.as_deref().unwrap();
    assert!(cause.starts_with("trunk acme ") && cause.contains("→ Down"), "{cause}");
    assert!(acme.next.starts_with("on trial") || acme.next.starts_with("its dwell is over"), "{}", acme.next);
    assert_eq!(view.lines[1].next, "", "nothing is due for one that is Up");
}

#[test]
fn pages_are_found_sorted_and_turned_here() {
    let mut world = World::new(60);
    let ask = |find: &str, troubled, order, skip| DeskQuery { find: find.to_owned(), troubled, order, skip, limit: 1 };
    for (query, shown, more) in [
        (ask("", false, DeskOrder::Name, 0), vec!["acme"], 2),
        (ask("", false, DeskOrder::Name, 2), vec!["initech"], 0),
        (ask("", false, DeskOrder::Name, 9), vec![], 0),
        (ask("", false, DeskOrder::Calls, 0), vec!["initech"], 2),
        (ask("glob", false, DeskOrder::Worst, 0), vec!["globex"], 0),
        (ask("", true, DeskOrder::Worst, 0), vec!["acme"], 0),
    ] {
        let view = world.desk(&query);
        assert_eq!((names(&view), view.more), (shown, more), "{query:?}");
        assert_eq!(view.trunks.all, 3, "totals are those of all");
    }
}

#[test]
fn traffic_flows_where_attempts_end() {
    let mut world = World::new(60);
    for _ in 0..3 {
        world.attempt(GLOBEX, AttemptOutcome::Answered);
    }
    world.attempt(TrunkId(2), AttemptOutcome::Refused { code: 503, q850: None, retry_after: None });
    let view = world.desk(&DeskQuery { find: "globex".to_owned(), ..all(1) });
    let line = &view.lines[0];
    assert_eq!((line.attempts, line.traffic, line.asr, line.ner), (3, Some(750), Some(1_000), Some(1_000)));
    let (groups, more) = world.control.groups(world.now, 0, 10);
    assert_eq!((groups.len(), more), (1, 0));
    let group = &groups[0];
    assert_eq!((group.group.active, &group.attempts), (Some(1), &vec![vec![0], vec![3, 1]]));
    assert!(group.sentence.starts_with("group carriers: tier 2"), "{}", group.sentence);
    assert_eq!((group.attempts_all, &group.more), (4, &vec![0, 0]));
    assert_eq!(world.control.groups(world.now, 0, 0).1, 1);
}

#[test]
fn of_a_tier_of_hundreds_fifty_are_told_those_with_most_attempts_first() {
    let names: Vec<String> = (0..500).map(|number| format!("t{number:03}")).collect();
    let mut text = String::from("[listen.wan]\nsip = [\"udp:192.0.2.1:5060\"]\n");
    for (number, name) in names.iter().enumerate() {
        let at = format!("198.18.{}.{}", number / 250, number % 250 + 1);
        text += &format!("[trunk.{name}]\nat = \"sip:{at}:5060\"\nlisten = \"wan\"\n");
    }
    text += &format!("[group.region]\ntiers = [{names:?}]\n[[route]]\nto = \"region\"\n");
    let settings = Arc::new(compile(&text, "test.toml", &|_| None, None).settings.unwrap());
    let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 7, Seq(1));
    let mut world = World { control, now: Instant::ZERO, probes: Vec::new(), sentences: Vec::new() };
    world.attempt(TrunkId(499), AttemptOutcome::Answered);
    let group = &world.control.groups(world.now, 0, 1).0[0];
    let members = &group.group.tiers[0].members;
    assert_eq!((members.len(), group.more[0], group.attempts_all), (50, 450, 1));
    assert_eq!((members[0].trunk.as_str(), members[1].trunk.as_str()), ("t499", "t000"));
    assert!(group.sentence.ends_with("and 484 more) carries calls"), "{}", group.sentence);
}

#[test]
fn the_operators_word_is_the_cause_with_who_and_why() {
    let mut world = World::new(60);
    world.act(GLOBEX, TrunkAct::Drain, "works until noon");
    let view = world.desk(&DeskQuery { find: "globex".to_owned(), ..all(1) });
    let line = &view.lines[0];
    let cause = line.cause.as_deref().unwrap();
    assert!(cause.starts_with("operator anna (api) drains trunk globex at "), "{cause}");
    assert!(cause.contains("(\"works until noon\")"), "{cause}");
    assert_eq!((line.admin, view.trunks.out), (Admin::Draining, 1));
    world.act(GLOBEX, TrunkAct::Restore, "");
    let view = world.desk(&DeskQuery { find: "globex".to_owned(), ..all(1) });
    assert_eq!((view.lines[0].admin, view.trunks.out), (Admin::InService, 0));
}

#[test]
fn a_probe_that_is_asked_for_goes_out_at_once_and_is_on_record() {
    let mut world = World::new(60);
    // Well after the last one, and well before the next.
    world.run(1);
    world.probes.clear();
    world.act(GLOBEX, TrunkAct::Probe, "is it there");
    assert_eq!(world.probes, [TargetId { trunk: GLOBEX, index: 0 }]);
    let said = world.sentences.last().unwrap();
    assert!(said.starts_with("operator anna (api) has trunk globex probed at "), "{said}");
    world.act(GLOBEX, TrunkAct::Probe, "again");
    assert_eq!(world.probes.len(), 1, "never faster than the fast pace");
}
