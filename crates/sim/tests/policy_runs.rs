//! What holds of every run, whatever the scenario and the policy: no call is forgotten or counted twice, the same seed is the same run,
//! however many trunks fail at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use model::Span;
use sim::policy::{Flap, Kind, Outage, Policy, Redial, Report, Scenario, TrunkLaw, policies, rows, run, settings, svg};

fn accounted(report: &Report) -> u64 {
    report.answered + report.called_party + report.refused + report.gave_up
}

#[test]
fn every_call_has_one_end() {
    for row in rows() {
        // A minute of each is enough for every way to end.
        let scenario = Scenario { length: row.scenario.length.min(Span::from_secs(150)), ..row.scenario };
        for (name, policy) in policies(&scenario).unwrap() {
            let report = run(&scenario, &policy, 11).unwrap();
            assert_eq!(report.calls, accounted(&report), "{} under {name}\n{}", row.name, report.text());
            assert!(report.mute <= report.answered && report.touched() <= report.attempts, "{}", row.name);
            let carried: u64 = report.carried().iter().map(|(_, carried, _)| carried).sum();
            assert_eq!(carried, report.delays.count(), "{}: whoever reached somebody did so through a trunk", row.name);
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let scenario = stormy(3);
    let policy = Policy::Edge(settings(&scenario).unwrap());
    let told = |seed| run(&scenario, &policy, seed).unwrap().json().to_string();
    assert_eq!(told(5), told(5));
    assert_ne!(told(5), told(6));
}

#[test]
fn many_trunks_that_fail_at_random_lose_no_count() {
    for seed in 0..8 {
        let scenario = stormy(12);
        let policy = Policy::Edge(settings(&scenario).unwrap());
        let report = run(&scenario, &policy, seed).unwrap();
        assert_eq!(report.calls, accounted(&report), "seed {seed}\n{}", report.text());
        assert!(report.redials > 0 && report.lost() > 0, "it is meant to hurt");
        assert!(svg(&report).contains("carrier-11"));
    }
}

/// So many carriers in tiers of three, most of them failing in one way or another, callers who try again.
fn stormy(count: usize) -> Scenario {
    let law = |index: usize| TrunkLaw {
        tier: (index / 3) as u8,
        cps: Some(3),
        fault_permille: 10,
        ..TrunkLaw::new(&format!("carrier-{index}"))
    };
    let kinds = [Kind::Silent, Kind::Refuse, Kind::Stall, Kind::NoAudio, Kind::Lossy { permille: 300 }, Kind::Dns];
    let outage = |index: usize| Outage {
        trunk: format!("carrier-{index}"),
        kind: kinds[index % kinds.len()].clone(),
        start: Span::from_secs(10 * index as u64),
        end: Span::from_secs(100),
        flap: (index % 2 == 1).then_some(Flap { period: Span::from_secs(20), bad: Span::from_secs(12) }),
        harmless: false,
    };
    let mut scenario = Scenario::new((0..count).map(law).collect());
    scenario.length = Span::from_secs(120);
    scenario.calls.per_hour = 10 * 3_600;
    scenario.calls.redial = Some(Redial { share: 70, after: Span::from_secs(3), tries: 2 });
    scenario.outages = (0..count).map(outage).collect();
    scenario
}
