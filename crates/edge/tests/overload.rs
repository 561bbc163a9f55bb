//! What a carrier asks by overload control, from its responses to the plans of the next calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use decide::{Change, Decision, Exclusion, Facts, Load};
use edge::config::compile;
use edge::{Control, ControlInput, ControlOutput};
use explain::Record;
use model::{Instant, Observed, Rng, Seq, Signal, Span, TargetId, TrunkId, Wall, Wish};
use std::sync::Arc;

const TEXT: &str = r#"
[listen.lan]
sip = ["udp:192.0.2.10:5060"]
[trunk.office]
at = ["sip:192.0.2.20:5060"]
listen = "lan"
[trunk.acme]
at = ["sip:192.0.2.31:5060", "sip:192.0.2.32:5060"]
listen = "lan"
overload = true
[trunk.globex]
at = ["sip:192.0.2.33:5060"]
listen = "lan"
[group.carriers]
tiers = [["acme"], ["globex"]]
[[route]]
from = ["office"]
to = "carriers"
"#;

const ACME: TrunkId = TrunkId(1);

fn ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

struct World {
    control: Control,
    throttles: Vec<(Instant, Decision)>,
}

impl World {
    fn new() -> Self {
        let settings = Arc::new(compile(TEXT, "edge.toml", &|_| None, None).settings.unwrap());
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
        Self { control, throttles: Vec::new() }
    }

    fn tell(&mut self, now: Instant, input: ControlInput) {
        self.control.handle(now, Wall::from_micros(0), input);
        while let Some(output) = self.control.poll() {
            if let ControlOutput::Entry(entry) = output
                && let Record::Decision { decision, .. } = &entry.record
                && matches!(decision.change, Change::Throttle { .. })
            {
                self.throttles.push((now, decision.clone()));
            }
        }
    }

    fn says(&mut self, now: Instant, trunk: TrunkId, percent: u8, seq: u64) {
        let what =
            Observed::Overload { wish: Wish::Loss { percent }, validity: Span::from_millis(500), seq: Some(seq) };
        let signal = Signal { at: now, target: TargetId { trunk, index: 0 }, what };
        self.tell(now, ControlInput::Signal(signal));
    }

    fn until(&mut self, end: Instant) {
        while let Some(due) = self.control.deadline().filter(|due| *due <= end) {
            self.tell(due, ControlInput::Tick);
        }
    }

    /// Of a thousand calls, those that acme is not offered for its own wish.
    fn withheld(&self, now: Instant) -> usize {
        let snapshot = self.control.snapshot();
        let facts = Facts { from: TrunkId(0), number: "+4722", emergency: false };
        let (mut rng, load) = (Rng::new(1), Load::default());
        let mut plan =
            || decide::plan(&snapshot.settings.shape, &snapshot.table, &load, &facts, now, &mut rng).unwrap();
        let wish = |cause| matches!(cause, Exclusion::Overloaded { .. });
        (0..1_000).filter(|_| plan().excluded.iter().any(|out| out.trunk == ACME && wish(out.cause))).count()
    }
}

#[test]
fn ten_minutes_of_responses_are_a_handful_of_decisions_and_a_share_of_calls() {
    let mut world = World::new();
    for at in (10_000..610_000).step_by(100) {
        world.until(ms(at));
        world.says(ms(at), ACME, 30, at);
    }
    // Standard deviation is 14 calls; five of them.
    let withheld = world.withheld(ms(610_000));
    assert!((230..=370).contains(&withheld), "{withheld}");
    assert!((20..=21).contains(&world.throttles.len()), "{} decisions for 6000 responses", world.throttles.len());
    // An older word comes late, and is none.
    world.says(ms(610_000), ACME, 0, 5);
    assert!(world.withheld(ms(610_000)) > 0);
    world.until(ms(620_000));
    let (at, last) = world.throttles.last().unwrap();
    assert_eq!(
        (*at, last.change),
        (ms(614_900), Change::Throttle { asked: Span::ZERO, wish: Wish::Loss { percent: 30 } })
    );
    assert_eq!(world.withheld(ms(620_000)), 0);
}

#[test]
fn strangers_ask_nothing_and_a_reload_keeps_what_was_asked() {
    let mut world = World::new();
    world.says(ms(1_000), TrunkId(9), 50, 1);
    assert!(world.throttles.is_empty(), "no such trunk");
    world.says(ms(1_000), ACME, 100, 1);
    assert_eq!(world.withheld(ms(1_000)), 1_000);
    let settings = Arc::new(compile(TEXT, "edge.toml", &|_| None, None).settings.unwrap());
    world.tell(ms(2_000), ControlInput::Reload(Ok(settings)));
    assert_eq!(world.withheld(ms(2_000)), 1_000, "a reload keeps what was asked");
    world.until(ms(7_000));
    assert_eq!(world.withheld(ms(7_000)), 0);
}
