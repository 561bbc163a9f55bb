//! A large carrier's region for measuring and counting: 1,000 trunks in 50 groups of two tiers, 200 PBXs, routes by PBX and by prefix,
//! with some trunks Down, in doubt, draining and full, and the second tier forced in one group of ten.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use decide::*;
use model::{
    Admin, Epoch, Evidence, GroupId, Health, Instant, ProbeEvidence, ProbeResult, Rng, Span, TargetId, TrunkId,
};
use std::collections::BTreeMap;

const GROUPS: u16 = 50;
const PER_GROUP: u16 = 20;
const PBXS: u16 = 200;

/// Everything a plan and a judgement need.
pub(crate) struct Region {
    shape: Shape,
    table: TrunkTable,
    load: Load,
    rng: Rng,
    now: Instant,
    seen: Evidence,
    numbers: Vec<String>,
}

fn shape() -> Shape {
    let carriers = GROUPS * PER_GROUP;
    let limits = CallLimits { calls: Some(60), cps: Some(20), headroom: 10 };
    let by_list = TargetShape::in_order([0, 1]);
    // As the name service tells them: each call draws.
    let by_weight = [(0, 30), (1, 10)].map(|(number, weight)| TargetShape { number, priority: 0, weight }).to_vec();
    let carrier = |id: u16| {
        let targets = if id.is_multiple_of(2) { by_list.clone() } else { by_weight.clone() };
        Some(TrunkShape { targets, limits, ..TrunkShape::default() })
    };
    let pbx = Some(TrunkShape { targets: TargetShape::in_order([0]), ..TrunkShape::default() });
    let trunks = (0..carriers + PBXS).map(|id| if id < carriers { carrier(id) } else { pbx.clone() }).collect();
    let strategies = [Strategy::Weighted, Strategy::LeastLoaded, Strategy::Quality];
    let groups = (0..GROUPS).map(|id| {
        let member = |n: u16| Member { trunk: TrunkId(id * PER_GROUP + n), weight: 1 + n % 4 };
        let tiers = vec![(0..12).map(member).collect(), (12..PER_GROUP).map(member).collect()];
        GroupPolicy { strategy: strategies[usize::from(id) % 3], ..GroupPolicy::new(GroupId(id), tiers) }
    });
    let by_prefix = (0..500u16).map(|n| RouteRule {
        from: vec![],
        prefixes: vec![format!("+{}", 100 + n), format!("00{}", 100 + n)],
        to: GroupId(n % GROUPS),
    });
    let by_pbx =
        (0..PBXS).map(|n| RouteRule { from: vec![TrunkId(carriers + n)], prefixes: vec![], to: GroupId(n % GROUPS) });
    Shape::new(trunks, groups.collect(), by_prefix.chain(by_pbx).collect())
}

impl Region {
    pub(crate) fn new() -> Self {
        let (shape, now) = (shape(), Instant::ZERO + Span::from_secs(100));
        let mut table = TrunkTable::new(&shape);
        let mut load = Load::default();
        load.resize(shape.trunks.len());
        let mut put = |subject, change| {
            let epoch = Epoch(table.epoch().0 + 1);
            let (at, cause) = (Instant::ZERO, Cause::Operator);
            table.apply(&Decision::bare(at, epoch, subject, change, cause));
        };
        for trunk in 0..GROUPS * PER_GROUP {
            let health =
                [Health::Up, Health::Up, Health::Up, Health::Suspect, Health::Down][usize::from(trunk * 7 % 23 % 5)];
            for index in 0..2 {
                let subject = Subject::Target(TargetId { trunk: TrunkId(trunk), index });
                put(subject, Change::Health { from: Health::Unknown, to: health });
            }
            if trunk % 37 == 0 {
                put(Subject::Trunk(TrunkId(trunk)), Change::Admin { from: Admin::InService, to: Admin::Draining });
            }
            (0..u32::from(trunk) * 13 % 64).for_each(|_| load.begin(Instant::ZERO, TrunkId(trunk)));
            // Some of them lately, so that the windows are neither empty nor whole.
            (0..trunk % 12).for_each(|n| {
                load.begin(Instant::ZERO + Span::from_millis(99_000 + 80 * u64::from(n)), TrunkId(trunk))
            });
        }
        for group in (0..GROUPS).step_by(10) {
            let length = Span::from_secs(1_000);
            put(Subject::Group(GroupId(group)), Change::Force { from: None, to: 1, length });
        }
        let answered = ProbeResult::Answered { code: 200, rtt: Span::from_millis(9) };
        let seen = Evidence {
            probe: ProbeEvidence { good: 3, last: Some((now, answered)), ..ProbeEvidence::default() },
            ..Evidence::default()
        };
        let numbers = (0..1_000u32).map(|n| format!("+{}", 90_000_000 + n * 777_777)).collect();
        Self { shape, table, load, rng: Rng::new(9), now, seen, numbers }
    }

    /// The plan of the `n`th call.
    pub(crate) fn plan(&mut self, n: u32) -> Result<Plan, NoPlan> {
        let from = TrunkId(GROUPS * PER_GROUP + (n.wrapping_mul(7_919) % u32::from(PBXS)) as u16);
        let number = self.numbers[n.wrapping_mul(104_729) as usize % self.numbers.len()].as_str();
        plan(&self.shape, &self.table, &self.load, &Facts { from, number, emergency: false }, self.now, &mut self.rng)
    }

    /// What the evidence of a call's attempt says about its trunk, as control asks it.
    pub(crate) fn judge(&self, trunk: TrunkId) -> Option<Judgement> {
        let policy = &self.shape.trunk(trunk)?.health;
        let held = self.table.target(TargetId { trunk, index: 0 })?;
        judge(policy, &terms(&self.shape, &self.table, &BTreeMap::new(), trunk), held, &self.seen, self.now)
    }
}
