//! Every short story of one trunk: all strings of signals up to a length, told to the real sensor and engine, and watched at each step.
//!
//! Seeds find what is rare; this leaves out nothing that is short. A story is a path in a tree, walked depth first, so that each prefix is
//! told once. Refuses to know: SIP, networks, calls as more than their outcome.

use decide::{
    Change, Decision, Engine, Facts, GroupPolicy, Load, Member, RouteRule, Shape, Subject, TargetShape, TrunkShape,
    TrunkTable,
};
use model::{
    AttemptOutcome, CallRef, GroupId, Health, Instant, Observed, ProbeResult, Rng, Signal, Span, TargetId,
    TransportFault, TrunkId,
};
use sense::{ProbePolicy, Sensor};
use std::sync::Arc;

/// The trunk whose story is told.
const TOLD: TargetId = TargetId { trunk: TrunkId(0), index: 0 };
/// Its neighbour, which is always heard.
const NEIGHBOUR: TargetId = TargetId { trunk: TrunkId(1), index: 0 };
/// Where calls come from.
const OFFICE: TrunkId = TrunkId(2);
/// Between two signals.
const STEP: Span = Span::from_millis(200);

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    GoodProbe,
    LostProbe,
    GoodCall,
    FailedCall,
    SilentCall,
    Refusal,
    /// Half a minute in which only the clock runs.
    Rest,
}

const ALPHABET: [Letter; 7] = [
    Letter::GoodProbe,
    Letter::LostProbe,
    Letter::GoodCall,
    Letter::FailedCall,
    Letter::SilentCall,
    Letter::Refusal,
    Letter::Rest,
];

/// What a walk has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Walked {
    /// Stories told, of any length.
    pub stories: u64,
    /// Decisions in them.
    pub decisions: u64,
}

/// One world at one moment of its story.
#[derive(Clone)]
struct World {
    now: Instant,
    sensor: Sensor,
    engine: Engine,
    /// The engine's table, folded from its decisions alone.
    folded: TrunkTable,
    calls: u64,
    story: Vec<Letter>,
    down_since: Option<Instant>,
    decisions: u64,
}

/// Tells every story up to `length` letters.
///
/// # Errors
/// The first story in which an invariant did not hold, and which.
pub fn walk(length: usize) -> Result<Walked, String> {
    let mut walked = Walked::default();
    World::new().walk(length, &mut walked)?;
    Ok(walked)
}

fn shape() -> Shape {
    let trunk = Some(TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() });
    let tier = |trunk| vec![Member { trunk, weight: 1 }];
    let tiers = vec![tier(TOLD.trunk), tier(NEIGHBOUR.trunk)];
    let rule = RouteRule { from: vec![OFFICE], prefixes: vec![], to: GroupId(0) };
    Shape::new(vec![trunk.clone(), trunk.clone(), trunk], vec![GroupPolicy::new(GroupId(0), tiers)], vec![rule])
}

impl World {
    fn new() -> Self {
        let shape = Arc::new(shape());
        let mut sensor = Sensor::new(1);
        // Probes are letters of the story: each is ordered when its letter comes, and lands at once.
        let hour = Span::from_secs(3_600);
        let policy =
            ProbePolicy { every: hour, fast: Span::from_millis(1), jitter_percent: 0, ..ProbePolicy::default() };
        sensor.install(Instant::ZERO, &[(TOLD, policy.clone()), (NEIGHBOUR, policy)]);
        let folded = TrunkTable::new(&shape);
        let engine = Engine::new(shape);
        let now = Instant::ZERO;
        Self { now, sensor, engine, folded, calls: 0, story: Vec::new(), down_since: None, decisions: 0 }
    }

    fn walk(&self, left: usize, walked: &mut Walked) -> Result<(), String> {
        if left == 0 {
            return Ok(());
        }
        for letter in ALPHABET {
            let mut next = self.clone();
            next.story.push(letter);
            next.tell(letter).map_err(|broken| format!("{broken}; story: {:?}", next.story))?;
            walked.stories += 1;
            walked.decisions += next.decisions - self.decisions;
            next.walk(left - 1, walked)?;
        }
        Ok(())
    }

    fn tell(&mut self, letter: Letter) -> Result<(), String> {
        self.calls += 1;
        let call = CallRef(self.calls);
        match letter {
            Letter::GoodProbe => self.probe(ProbeResult::Answered { code: 200, rtt: Span::from_millis(5) }),
            Letter::LostProbe => self.probe(ProbeResult::NoReply { after: Span::from_millis(1_500) }),
            Letter::GoodCall => self.call(call, AttemptOutcome::Answered),
            Letter::FailedCall => self.call(call, AttemptOutcome::Refused { code: 500, q850: None, retry_after: None }),
            Letter::SilentCall => self.call(call, AttemptOutcome::NoReply { after: Span::from_millis(250) }),
            Letter::Refusal => {
                self.call(call, AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable });
            }
            Letter::Rest => return self.rest(Span::from_secs(30)),
        }
        self.observe(NEIGHBOUR, Observed::FirstReply { call: CallRef(u64::MAX), after: Span::ZERO });
        self.settle()?;
        self.rest(STEP)
    }

    fn probe(&mut self, result: ProbeResult) {
        self.sensor.hurry(self.now, TOLD, false);
        self.sensor.hurry(self.now, TOLD, true);
        self.sensor.tick(self.now);
        while let Some(order) = self.sensor.poll() {
            let alive = ProbeResult::Answered { code: 200, rtt: Span::from_millis(5) };
            let result = if order.target == TOLD { result } else { alive };
            self.observe(order.target, Observed::Probe { order: order.order, result });
        }
    }

    fn call(&mut self, call: CallRef, outcome: AttemptOutcome) {
        self.observe(TOLD, Observed::AttemptStarted { call });
        self.observe(TOLD, Observed::Attempt { call, outcome });
    }

    fn observe(&mut self, target: TargetId, what: Observed) {
        self.sensor.observe(self.now, &Signal { at: self.now, target, what });
    }

    /// Time passes, and whoever is due is looked at in between.
    fn rest(&mut self, span: Span) -> Result<(), String> {
        let until = self.now + span;
        while let Some(due) = self.engine.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.settle()?;
        }
        self.now = until;
        self.settle()
    }

    /// As the control machine of the edge does it.
    fn settle(&mut self) -> Result<(), String> {
        while let Some(target) = self.sensor.dirty() {
            self.consider(target)?;
        }
        // Bounded: a state that always has more to say at the same moment would never come to rest.
        for _ in 0..64 {
            let Some(target) = self.engine.due(self.now) else { return self.check() };
            self.consider(target)?;
        }
        Err("it does not come to rest".to_owned())
    }

    fn consider(&mut self, target: TargetId) -> Result<(), String> {
        let seen = self.sensor.evidence(self.now, target);
        let Some(decision) = self.engine.consider(self.now, target, &seen) else { return Ok(()) };
        self.decisions += 1;
        self.folded.apply(&decision);
        if decision.enforced() {
            self.sensor.mark(self.now, target);
        }
        self.decided(&decision)
    }

    fn decided(&mut self, decision: &Decision) -> Result<(), String> {
        let (Subject::Target(target), Change::Health { from, to }) = (decision.subject, decision.change) else {
            return Ok(());
        };
        if !decision.enforced() {
            return Ok(());
        }
        if target == NEIGHBOUR && matches!(to, Health::Suspect | Health::Down) {
            return Err(format!("the neighbour is blamed: {decision:?}"));
        }
        if target != TOLD {
            return Ok(());
        }
        if from == Health::Down {
            let held = self.down_since.map_or(Span::ZERO, |since| self.now.since(since));
            if to != Health::Probation || held < Span::from_secs(30) {
                return Err(format!("it left Down for {to:?} after {held}"));
            }
        }
        self.down_since = (to == Health::Down).then_some(self.now).or(self.down_since.filter(|_| to == Health::Down));
        let only_good =
            self.story.iter().all(|letter| matches!(letter, Letter::GoodProbe | Letter::GoodCall | Letter::Rest));
        if only_good && matches!(to, Health::Suspect | Health::Down) {
            return Err(format!("it is blamed for nothing: {decision:?}"));
        }
        let bad = |letter: &&Letter| !matches!(letter, Letter::GoodProbe | Letter::GoodCall | Letter::Rest);
        if to == Health::Down && self.story.iter().filter(bad).count() < 2 {
            return Err(format!("one bad sign takes it down: {decision:?}"));
        }
        Ok(())
    }

    /// What must hold at every moment.
    fn check(&self) -> Result<(), String> {
        if self.folded != *self.engine.table() {
            return Err("its decisions folded give another table".to_owned());
        }
        let facts = Facts { from: OFFICE, number: "+4722334455", emergency: false };
        let mut load = Load::default();
        load.resize(3);
        let plan = decide::plan(&shape(), self.engine.table(), &load, &facts, self.now, &mut Rng::new(1));
        let first = plan.map_err(|none| format!("nobody is left though two trunks are in service: {none:?}"))?.attempts;
        let health = self.engine.table().health(TOLD);
        let told_first = first.first().is_some_and(|candidate| candidate.target == TOLD);
        if told_first && matches!(health, Health::Suspect | Health::Down) {
            return Err(format!("it is {health:?} and tried before its neighbour"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_of_four_letters_holds() {
        let walked = walk(4).unwrap();
        assert_eq!(walked.stories, 7 + 49 + 343 + 2_401);
        assert!(walked.decisions > 500, "they have something to decide: {walked:?}");
    }

    /// What becomes of the neighbour meanwhile says nothing of how long the other one has been down.
    #[test]
    fn a_trunk_that_serves_its_dwell_while_its_neighbour_comes_up_breaks_nothing() {
        let mut world = World::new();
        for letter in
            [Letter::GoodProbe, Letter::GoodProbe, Letter::Refusal, Letter::Refusal, Letter::GoodProbe, Letter::Rest]
        {
            world.story.push(letter);
            world.tell(letter).unwrap();
        }
        assert_eq!(world.engine.table().health(TOLD), Health::Probation);
    }
}
