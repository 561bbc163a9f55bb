//! Drills at the control machine: who may, what is written down, and when one ends by itself.
#![allow(clippy::unwrap_used, clippy::panic)]

use edge::drill::{DrillAct, DrillOrder, DrillRefused};
use edge::{By, Control, ControlInput, ControlOutput, config};
use explain::{CallRecord, Ending, Entry};
use model::{
    CallRef, DrillFault, Instant, Name, Observed, ProbeResult, Seq, Signal, Span, TransportFault, TrunkId, Wall,
};
use std::net::SocketAddr;
use std::sync::Arc;

const EXAMPLE: &str = include_str!("../../../examples/two-carriers.toml");
const OFFICE: TrunkId = TrunkId(0);
const ACME: TrunkId = TrunkId(1);
const GLOBEX: TrunkId = TrunkId(2);
const ID: u64 = 7;

struct Bench {
    control: Control,
    now: Instant,
    said: Vec<String>,
    entries: Vec<Entry>,
    answers: Vec<Result<(), DrillRefused>>,
    updates: usize,
    /// Its probes are refused by the network.
    gone: Option<TrunkId>,
}

impl Bench {
    fn new(test_call: &str) -> Self {
        let text = EXAMPLE.replacen("[trunk.acme]", &format!("[trunk.acme]\n{test_call}"), 1);
        let settings = Arc::new(config::compile(&text, "edge.toml", &|_| None, None).settings.unwrap());
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
        let mut bench = Self {
            control,
            now: Instant::ZERO,
            said: Vec::new(),
            entries: Vec::new(),
            answers: Vec::new(),
            updates: 0,
            gone: None,
        };
        bench.drain();
        bench.said.clear();
        bench
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, self.wall(), input);
        self.drain();
    }

    /// It is 1970.
    fn wall(&self) -> Wall {
        Wall::from_micros(self.now.as_micros() as i64)
    }

    fn drain(&mut self) {
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Entry(entry) => {
                    self.said.push(explain::sentence(&entry));
                    self.entries.push(Entry::clone(&entry));
                }
                ControlOutput::Drill(answer) => self.answers.push(answer),
                ControlOutput::Update(_) => self.updates += 1,
                ControlOutput::Probe(order) => {
                    let result = if self.gone == Some(order.target.trunk) {
                        ProbeResult::Unreachable { fault: TransportFault::PortUnreachable }
                    } else {
                        ProbeResult::Answered { code: 200, rtt: Span::from_millis(1) }
                    };
                    let what = Observed::Probe { order: order.order, result };
                    let signal = Signal { at: self.now, target: order.target, what };
                    self.control.handle(self.now, Wall::from_micros(0), ControlInput::Signal(signal));
                }
                _ => {}
            }
        }
    }

    fn act(&mut self, act: DrillAct) -> Result<(), DrillRefused> {
        self.input(ControlInput::Drill(act));
        self.answers.pop().unwrap()
    }

    fn begin(&mut self) -> Result<(), DrillRefused> {
        self.act(DrillAct::Begin(Box::new(order())))
    }

    fn fault(&self) -> Option<DrillFault> {
        self.control.snapshot().drill.as_ref().and_then(|drill| drill.fault(ACME, true))
    }

    /// Whatever falls due for so long.
    fn pass(&mut self, length: Span) {
        let end = self.now + length;
        while let Some(due) = self.control.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(ControlInput::Tick);
        }
        self.now = end;
    }

    /// The sentences about drills, and none before.
    fn told(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.said).into_iter().filter(|sentence| sentence.contains("drill"));
        told.collect()
    }
}

fn order() -> DrillOrder {
    DrillOrder {
        id: ID,
        by: By { via: "api", who: "Kari".into(), why: "acceptance".into() },
        trunks: vec![ACME],
        callers: vec![(SocketAddr::from(([192, 0, 2, 9], 5090)), OFFICE)],
        all_calls: false,
        limit: Span::from_secs(60),
    }
}

fn breaks(id: u64, trunk: TrunkId, fault: Option<DrillFault>) -> DrillAct {
    DrillAct::Break { id, trunk, fault }
}

const NUMBER: &str = "test_call = { number = \"+4722000000\", every = \"12h\" }";

#[test]
fn it_is_begun_told_what_to_break_and_ended_and_each_step_is_written_down() {
    let mut bench = Bench::new(NUMBER);
    assert_eq!(bench.begin(), Ok(()));
    assert_eq!(bench.act(breaks(ID, ACME, Some(DrillFault::Silent))), Ok(()));
    assert_eq!(bench.fault(), Some(DrillFault::Silent));
    let updates = bench.updates;
    assert_eq!(bench.act(breaks(ID, ACME, Some(DrillFault::Silent))), Ok(()));
    assert_eq!(bench.updates, updates, "what is so already is no news");
    assert_eq!(bench.act(breaks(ID, ACME, None)), Ok(()));
    assert_eq!(bench.fault(), None);
    assert_eq!(bench.act(DrillAct::End { id: ID, passed: 3, failed: 1 }), Ok(()));
    assert!(bench.control.snapshot().drill.is_none());
    let told = bench.told();
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(
        told[0].starts_with("operator Kari (api) begins a drill")
            && told[0].contains("it may break acme, for its own calls only")
    );
    assert!(
        told[1].starts_with("operator Kari (api) breaks trunk acme in a drill")
            && told[1].ends_with("it answers nothing")
    );
    assert!(told[2].contains("mends trunk acme in the drill"));
    assert!(told[3].ends_with("it is done; 3 of 4 lines passed"), "{}", told[3]);
    assert!(told[4].contains("1 line failed in the last drill of acme"), "an alarm of it: {}", told[4]);
}

impl Bench {
    /// A drill of acme that is done, at this second.
    fn drill(&mut self, second: u64, passed: u32, failed: u32) {
        self.now = Instant::ZERO + Span::from_secs(second);
        assert_eq!(self.begin(), Ok(()));
        assert_eq!(self.act(DrillAct::End { id: ID, passed, failed }), Ok(()));
    }

    /// Of acme: when its last drill ended, whether that was done, its lines that failed, and when one was good.
    fn result(&self) -> Option<(u64, bool, u32, Option<u64>)> {
        let seconds = |wall: Wall| wall.as_micros() as u64 / 1_000_000;
        let result = self.control.drilled().get("acme")?;
        Some((seconds(result.ended), result.whole, result.failed, result.good.map(seconds)))
    }

    /// Whether that is an alarm, once one that is over has had its time to end.
    fn is_alarmed(&mut self) -> bool {
        self.pass(Span::from_secs(11));
        self.control.alarms().any(|active| active.alarm.kind() == "drill_failed")
    }
}

#[test]
fn what_a_drill_came_to_is_kept_and_one_that_failed_is_an_alarm_until_one_passes() {
    let mut bench = Bench::new(NUMBER);
    assert_eq!((bench.result(), bench.is_alarmed()), (None, false));
    bench.drill(100, 9, 0);
    assert_eq!((bench.result(), bench.is_alarmed()), (Some((100, true, 0, Some(100))), false));
    bench.drill(200, 8, 1);
    assert_eq!((bench.result(), bench.is_alarmed()), (Some((200, true, 1, Some(100))), true));
    // One that nobody ends says nothing of the lines that failed before it.
    assert_eq!(bench.begin(), Ok(()));
    bench.pass(Span::from_secs(20));
    assert_eq!((bench.result(), bench.is_alarmed()), (Some((221, false, 1, Some(100))), true));
    bench.drill(300, 9, 0);
    assert_eq!((bench.result(), bench.is_alarmed()), (Some((300, true, 0, Some(300))), false));
    bench.drill(400, 0, 0);
    assert_eq!(bench.result(), Some((400, true, 0, Some(300))), "a drill of nothing proves nothing");
}

#[test]
fn an_edge_that_begins_anew_knows_what_drills_came_to_and_forgets_trunks_that_are_gone() {
    let mut before = Bench::new(NUMBER);
    before.drill(100, 9, 0);
    before.drill(200, 8, 1);
    let mut after = Bench::new(NUMBER);
    after.control.recall_drills(Instant::ZERO, &before.entries);
    assert_eq!((after.result(), after.is_alarmed()), (before.result(), true));
    let text = EXAMPLE.replace("acme", "initech");
    let settings = config::compile(&text, "edge.toml", &|_| None, None).settings.unwrap();
    after.input(ControlInput::Reload(Ok(Arc::new(settings))));
    assert_eq!((after.result(), after.is_alarmed()), (None, false));
}

#[test]
fn a_trunk_can_be_drilled_when_it_has_a_number_and_others_behind_it() {
    let numbered = Bench::new(NUMBER);
    assert!(numbered.control.is_drillable(ACME) && !numbered.control.is_drillable(GLOBEX));
    assert!(!Bench::new("").control.is_drillable(ACME));
}

#[test]
fn nobody_else_uses_it_and_it_breaks_nobody_else() {
    let mut bench = Bench::new(NUMBER);
    assert_eq!(bench.act(DrillAct::Keep { id: ID }), Err(DrillRefused::Over(None)));
    assert_eq!(bench.begin(), Ok(()));
    assert_eq!(bench.begin(), Err(DrillRefused::Busy(Name::from("Kari"))));
    assert_eq!(bench.act(breaks(8, ACME, Some(DrillFault::Silent))), Err(DrillRefused::Over(None)));
    assert_eq!(bench.act(breaks(ID, GLOBEX, Some(DrillFault::Silent))), Err(DrillRefused::NotNamed(GLOBEX)));
    assert_eq!(bench.fault(), None);
}

#[test]
fn a_drill_that_could_do_harm_is_not_begun() {
    let begin = |change: &dyn Fn(&mut DrillOrder)| {
        let mut order = order();
        change(&mut order);
        Bench::new(NUMBER).act(DrillAct::Begin(Box::new(order)))
    };
    assert_eq!(begin(&|order| order.trunks.clear()), Err(DrillRefused::OutOfBounds));
    assert_eq!(begin(&|order| order.callers.clear()), Err(DrillRefused::OutOfBounds));
    assert_eq!(begin(&|order| order.limit = Span::from_secs(3_601)), Err(DrillRefused::OutOfBounds));
    let acme: SocketAddr = ([203, 0, 113, 5], 5060).into();
    assert_eq!(begin(&|order| order.callers[0].0 = acme), Err(DrillRefused::Taken(acme)));
    assert_eq!(Bench::new("").begin(), Err(DrillRefused::NoNumber));
}

#[test]
fn it_ends_by_itself_when_nothing_is_heard_of_who_began_it_and_when_its_time_is_over() {
    let mut bench = Bench::new(NUMBER);
    bench.begin().unwrap();
    bench.act(breaks(ID, ACME, Some(DrillFault::Code(503)))).unwrap();
    bench.pass(Span::from_secs(9));
    assert!(bench.fault().is_some());
    bench.pass(Span::from_secs(1));
    assert!(bench.control.snapshot().drill.is_none());
    assert!(bench.told().last().unwrap().ends_with("nothing was heard of who began it for 10 s"));
    bench.begin().unwrap();
    for _ in 0..12 {
        bench.pass(Span::from_secs(5));
        let _over = bench.act(DrillAct::Keep { id: ID });
    }
    assert!(bench.told().last().unwrap().ends_with("its time is over"));
    let why = Some(Name::from("its time is over"));
    assert_eq!(bench.act(DrillAct::Keep { id: ID }), Err(DrillRefused::Over(why)));
}

fn real_call(failed: bool, drilled: bool) -> ControlInput {
    ControlInput::Ended(Box::new(CallRecord {
        drilled,
        call: CallRef(7),
        call_id: "a".into(),
        from: "office".into(),
        caller: "1".into(),
        called: "2".into(),
        invited: Instant::ZERO,
        progressed: None,
        answered: None,
        ended: Instant::ZERO,
        plan: Err(decide::NoPlan::NoRoute),
        trunks: Vec::new(),
        tiers: Vec::new(),
        group: None,
        attempts: Vec::new(),
        ending: if failed { Ending::Refused { code: 503 } } else { Ending::Cancelled },
        media: None,
        notes: Vec::new(),
    }))
}

#[test]
fn it_ends_when_real_calls_suffer_and_not_for_its_own() {
    let mut bench = Bench::new(NUMBER);
    for index in 0..50 {
        bench.input(real_call(index % 10 == 0, false));
    }
    bench.begin().unwrap();
    for _ in 0..50 {
        bench.input(real_call(true, true));
    }
    for index in 0..30 {
        bench.input(real_call(index % 10 == 0, false));
    }
    let view = bench.control.drill_view(bench.now).unwrap();
    assert_eq!((view.real_calls.ended, view.real_calls.failed, view.calls.len()), (30, 3, 50), "a tenth, as before");
    for _ in 0..5 {
        bench.input(real_call(true, false));
    }
    assert!(bench.control.drill_view(bench.now).is_none());
    let told = bench.told();
    assert!(told.last().unwrap().contains("real calls suffer"), "{told:#?}");
}

#[test]
fn a_reload_ends_it() {
    let mut bench = Bench::new(NUMBER);
    bench.begin().unwrap();
    let settings = bench.control.snapshot().settings.clone();
    bench.input(ControlInput::Reload(Ok(settings)));
    assert!(bench.control.snapshot().drill.is_none());
    assert!(bench.told().last().unwrap().ends_with("the configuration has changed"));
}

#[test]
fn a_trunk_that_it_breaks_for_all_may_go_down_and_no_other_one() {
    for (all_calls, gone, ends) in [(true, ACME, false), (true, GLOBEX, true), (false, ACME, true)] {
        let mut bench = Bench::new(NUMBER);
        bench.pass(Span::from_secs(60));
        bench.said.clear();
        bench.act(DrillAct::Begin(Box::new(DrillOrder { all_calls, limit: Span::from_secs(600), ..order() }))).unwrap();
        bench.gone = Some(gone);
        for _ in 0..20 {
            bench.pass(Span::from_secs(3));
            let _over = bench.act(DrillAct::Keep { id: ID });
        }
        let told = bench.said.join("\n");
        assert!(told.contains("Down"), "{all_calls} {gone:?}: {told}");
        assert_eq!(bench.control.drill_view(bench.now).is_none(), ends, "{all_calls} {gone:?}: {told}");
    }
}
