//! Tuning: thresholds swept over a scenario, and what each setting costs in detection, false failovers and lost calls.
//!
//! Each knob is turned alone, then all together by chance; what no other setting beats in every figure is the front. One setting
//! is recommended. Refuses to know: how the edge is configured otherwise; every trunk gets the same thresholds.

use super::dice::Dice;
use super::report::Report;
use super::run::{Policy, run};
use super::scenario::Scenario;
use core::fmt::Write as _;
use decide::HealthPolicy;
use edge::config::Settings;
use model::Span;
use std::sync::Arc;

/// Settings drawn by chance, besides those with one knob turned.
const DRAWN: usize = 24;

/// One setting of the thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Late calls before Suspect.
    pub late_calls: u32,
    /// Failed calls before Suspect.
    pub blamed_calls: u32,
    /// Failed probes before Suspect.
    pub suspect_after: u32,
    /// Failed probes before Down.
    pub fall: u32,
    /// Failed share of calls before Down, in percent.
    pub failure_share: u32,
    /// Probe to probe.
    pub every: Span,
}

/// What a setting came to, over all seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuned {
    /// The setting.
    pub choice: Choice,
    /// Start of an outage to the first doubt, on average; an outage never noticed counts in full.
    pub detection: Span,
    /// Falls of trunks that did nothing to deserve it.
    pub false_failovers: u64,
    /// Calls lost.
    pub lost: u64,
    /// No other setting is as good in every figure and better in one.
    pub front: bool,
}

const LATE: [u32; 4] = [3, 2, 5, 8];
const BLAMED: [u32; 3] = [3, 2, 5];
const DOUBT: [u32; 3] = [2, 1, 3];
const FALL: [u32; 3] = [3, 2, 5];
const SHARE: [u32; 3] = [50, 30, 70];
const EVERY: [Span; 4] = [Span::from_secs(5), Span::from_secs(1), Span::from_secs(2), Span::from_secs(15)];

/// Sweeps the thresholds over so many seeds. The first line is the policy as it is.
///
/// # Errors
/// When scenario and policy do not fit.
pub fn tune(scenario: &Scenario, settings: &Arc<Settings>, seeds: u64) -> Result<Vec<Tuned>, String> {
    let base = base(settings);
    let mut tuned = Vec::new();
    for choice in choices(base) {
        let policy = Policy::Edge(Arc::new(with(settings, &choice)));
        let reports: Vec<Report> = (0..seeds.max(1))
            .map(|seed| run(scenario, &policy, scenario.seed.wrapping_add(seed)))
            .collect::<Result<_, _>>()?;
        tuned.push(Tuned {
            choice,
            detection: detection(&reports),
            false_failovers: reports.iter().map(|report| u64::from(report.false_doubts)).sum(),
            lost: reports.iter().map(Report::lost).sum(),
            front: false,
        });
    }
    let all = tuned.clone();
    for one in &mut tuned {
        one.front = !all.iter().any(|other| other.beats(one));
    }
    Ok(tuned)
}

/// The thresholds of the first trunk that has any; they are mostly all alike.
fn base(settings: &Settings) -> Choice {
    let default = HealthPolicy::default();
    let health = settings.shape.trunks.iter().flatten().next().map_or(&default, |trunk| &trunk.health);
    Choice {
        late_calls: health.late_calls,
        blamed_calls: health.blamed_calls,
        suspect_after: health.suspect_after,
        fall: health.fall,
        failure_share: health.failure_share,
        every: settings.probes.first().map_or(EVERY[0], |(_, probe)| probe.every),
    }
}

/// The base, each knob turned alone, and all of them by chance.
fn choices(base: Choice) -> Vec<Choice> {
    let mut list = vec![base];
    list.extend(LATE.map(|late_calls| Choice { late_calls, ..base }));
    list.extend(BLAMED.map(|blamed_calls| Choice { blamed_calls, ..base }));
    list.extend(DOUBT.map(|suspect_after| Choice { suspect_after, ..base }));
    list.extend(FALL.map(|fall| Choice { fall, ..base }));
    list.extend(SHARE.map(|failure_share| Choice { failure_share, ..base }));
    list.extend(EVERY.map(|every| Choice { every, ..base }));
    let mut dice = Dice::new(1);
    for _ in 0..DRAWN {
        list.push(Choice {
            late_calls: LATE[dice.below(LATE.len() as u64) as usize],
            blamed_calls: BLAMED[dice.below(BLAMED.len() as u64) as usize],
            suspect_after: DOUBT[dice.below(DOUBT.len() as u64) as usize],
            fall: FALL[dice.below(FALL.len() as u64) as usize],
            failure_share: SHARE[dice.below(SHARE.len() as u64) as usize],
            every: EVERY[dice.below(EVERY.len() as u64) as usize],
        });
    }
    let mut once: Vec<Choice> = Vec::with_capacity(list.len());
    // Down before doubt is no setting that anybody means.
    for choice in list.into_iter().filter(|choice| choice.suspect_after <= choice.fall) {
        if !once.contains(&choice) {
            once.push(choice);
        }
    }
    once
}

fn with(settings: &Settings, choice: &Choice) -> Settings {
    let mut settings = settings.clone();
    let mut shape = (*settings.shape).clone();
    for trunk in shape.trunks.iter_mut().flatten() {
        trunk.health = HealthPolicy {
            late_calls: choice.late_calls,
            blamed_calls: choice.blamed_calls,
            suspect_after: choice.suspect_after,
            fall: choice.fall,
            failure_share: choice.failure_share,
            ..trunk.health.clone()
        };
    }
    for (_, probe) in &mut settings.probes {
        probe.every = choice.every;
    }
    settings.shape = Arc::new(shape);
    settings
}

fn detection(reports: &[Report]) -> Span {
    let mut spans = Vec::new();
    for outage in reports.iter().flat_map(|report| &report.outages).filter(|outage| !outage.outage.harmless) {
        let whole = outage.outage.end - outage.outage.start;
        let first = [outage.suspect, outage.down].into_iter().flatten().min();
        spans.push(first.map_or(whole, |first| first.min(whole)).as_micros());
    }
    Span::from_micros(spans.iter().sum::<u64>() / (spans.len() as u64).max(1))
}

impl Tuned {
    fn figures(&self) -> [u64; 3] {
        // A tenth of a second more or less is noise of the seeds.
        [self.detection.as_millis() / 100, self.false_failovers, self.lost]
    }

    fn beats(&self, other: &Self) -> bool {
        let (own, theirs) = (self.figures(), other.figures());
        own != theirs && own.iter().zip(&theirs).all(|(own, theirs)| own <= theirs)
    }
}

/// The setting to take. What is lost or failed over for nothing comes first, then how soon outages are seen; and where settings differ by
/// no more than seeds do, the one nearest to the present wins: a threshold is not changed for luck.
pub fn recommended(tuned: &[Tuned]) -> Option<&Tuned> {
    let now = tuned.first()?;
    let cost = |one: &Tuned| one.lost + one.false_failovers;
    let least = tuned.iter().map(cost).min()?;
    // Two standard deviations of a count.
    let noise = 1 + 2 * least.isqrt();
    let level = |one: &Tuned| (cost(one) - least) / noise;
    let soonest = tuned.iter().filter(|one| level(one) == 0).map(|one| one.detection.as_micros()).min()?;
    let later = |one: &Tuned| one.detection.as_micros().saturating_sub(soonest) * 5 / soonest.max(1);
    tuned.iter().min_by_key(|one| (level(one), later(one), one.choice.turned(&now.choice), one.detection, cost(one)))
}

impl Choice {
    /// How many knobs stand otherwise than in `other`.
    fn turned(&self, other: &Self) -> usize {
        let counts = |one: &Self| [one.late_calls, one.blamed_calls, one.suspect_after, one.fall, one.failure_share];
        let turned = counts(self).into_iter().zip(counts(other)).filter(|(own, theirs)| own != theirs).count();
        turned + usize::from(self.every != other.every)
    }
}

/// Table, recommendation as TOML, and why.
pub fn advice(tuned: &[Tuned], trunks: &[String]) -> String {
    let mut out = String::from(
        "      late  blamed  suspect_after  fall  failure_share  probe every   detection  false failovers  calls lost\n",
    );
    let Some(best) = recommended(tuned) else { return out };
    let mut order: Vec<&Tuned> = tuned.iter().collect();
    order.sort_by_key(|one| (!one.front, one.detection, one.lost));
    for one in order {
        let Choice { late_calls, blamed_calls, suspect_after, fall, failure_share, every } = one.choice;
        let mark = match (core::ptr::eq(one, best), one.front) {
            (true, _) => "->",
            (false, true) => "* ",
            _ => "  ",
        };
        let _ok = writeln!(
            out,
            "{mark} {late_calls:>7} {blamed_calls:>7} {suspect_after:>14} {fall:>5} {:>14} {:>12} {:>11} {:>16} {:>11}",
            format!("{failure_share} %"),
            every.to_string(),
            format!("{}.{:02} s", one.detection.as_secs(), one.detection.as_millis() % 1_000 / 10),
            one.false_failovers,
            one.lost
        );
    }
    out.push_str("*  on the front: no other setting is better in one figure and as good in the rest\n");
    out.push_str("-> recommended: as good as the best but for luck, and nearest to the present setting\n\n");
    if let Some(now) = tuned.first() {
        let _ok = writeln!(out, "{}", why(best, now));
    }
    let choice = best.choice;
    for name in trunks {
        let _ok = writeln!(
            out,
            "[trunk.{name}]\nprobe  = {{ every = \"{}\", fall = {} }}\nhealth = {{ suspect_after = {}, late_calls = {}, blamed_calls = {}, failure_share = \"{}%\" }}",
            choice.every.to_string().replace(' ', ""),
            choice.fall,
            choice.suspect_after,
            choice.late_calls,
            choice.blamed_calls,
            choice.failure_share
        );
    }
    out
}

fn why(best: &Tuned, now: &Tuned) -> String {
    if best.choice == now.choice {
        return format!(
            "# keep it as it is: no setting tried is better than {} calls lost, {} failovers for nothing and {} to see an outage by more than luck",
            best.lost, best.false_failovers, best.detection
        );
    }
    format!(
        "# {} instead of {} calls lost and {} instead of {} failovers for nothing, outages seen within {} instead of {}",
        best.lost, now.lost, best.false_failovers, now.false_failovers, best.detection, now.detection
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Kind, Outage, TrunkLaw, settings};

    fn scenario() -> Scenario {
        let (first, second) = (TrunkLaw::new("acme"), TrunkLaw { tier: 1, ..TrunkLaw::new("globex") });
        let (start, end) = (Span::from_secs(20), Span::from_secs(60));
        let outage = Outage { trunk: "acme".into(), kind: Kind::Silent, start, end, flap: None, harmless: false };
        let length = Span::from_secs(80);
        Scenario { length, outages: vec![outage], ..Scenario::new(vec![first, second]) }
    }

    #[test]
    fn the_front_holds_what_nothing_beats_and_the_advice_is_a_configuration() {
        let scenario = scenario();
        let tuned = tune(&scenario, &settings(&scenario).unwrap(), 1).unwrap();
        assert!(tuned.len() > 30, "{}", tuned.len());
        let best = recommended(&tuned).unwrap();
        assert!(tuned.iter().all(|one| one.front != tuned.iter().any(|other| other.beats(one))));
        assert!(tuned.iter().any(|one| !one.front), "not everything is as good as the rest");
        let cost = |one: &Tuned| one.lost + one.false_failovers;
        let least = tuned.iter().map(cost).min().unwrap();
        assert!(cost(best) <= least + 1 + 2 * least.isqrt(), "{best:?}");
        let advice = advice(&tuned, &["acme".to_owned()]);
        let toml = advice.split_once("\n\n").unwrap().1;
        let text = scenario.default_policy().replace("[trunk.acme]\n", &format!("{toml}\n"));
        let compiled = edge::config::compile(&text, "advice", &|_| None, None);
        let shape = compiled.settings.unwrap_or_else(|| panic!("{:?}\n{text}", compiled.faults)).shape;
        assert_eq!(shape.trunks[1].as_ref().unwrap().health.fall, best.choice.fall);
    }

    #[test]
    fn more_probes_find_an_idle_trunk_sooner() {
        let mut scenario = scenario();
        scenario.calls.per_hour = 0;
        let tuned = tune(&scenario, &settings(&scenario).unwrap(), 1).unwrap();
        let of = |every| tuned.iter().find(|one| one.choice == Choice { every, ..tuned[0].choice }).unwrap().detection;
        assert!(of(EVERY[1]) < of(EVERY[0]) && of(EVERY[0]) < of(EVERY[3]));
    }
}
