//! What goes wrong with the trunks of a run, and when: drawn from the seed.
//!
//! Refuses to know: how an agent fails; that is the agent's.

use agent::Failing;
use model::{Instant, Rng, Span};

/// One change at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Instant,
    /// Which carrier, by number.
    pub carrier: usize,
    /// Fails so from now on, or works again.
    pub failing: Option<Failing>,
}

/// The faults of a run in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(pub Vec<Fault>);

impl Schedule {
    /// Up to four outages of up to two carriers within `until`, each healed by then. They may overlap: both carriers
    /// dead at once is a day that comes.
    pub fn draw(rng: &mut Rng, carriers: usize, until: Span) -> Self {
        let ways = [Failing::Silent, Failing::Closed, Failing::Unavailable, Failing::Stall, Failing::Grey];
        let mut faults = Vec::new();
        for carrier in 0..carriers {
            let mut at = Instant::ZERO;
            for _ in 0..=rng.below(2) {
                at += Span::from_millis(2_000 + rng.below(until.as_millis() / 3));
                let failing = ways[rng.below(ways.len() as u64) as usize];
                let heal = at + Span::from_millis(500 + rng.below(until.as_millis() / 3));
                if heal.since(Instant::ZERO) >= until {
                    break;
                }
                faults.push(Fault { at, carrier, failing: Some(failing) });
                faults.push(Fault { at: heal, carrier, failing: None });
                at = heal;
            }
        }
        faults.sort_by_key(|fault| fault.at);
        Self(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outage_is_healed_before_the_end() {
        for seed in 0..200 {
            let until = Span::from_secs(60);
            let Schedule(faults) = Schedule::draw(&mut Rng::new(seed), 2, until);
            assert!(faults.windows(2).all(|pair| pair[0].at <= pair[1].at));
            for carrier in 0..2 {
                let last = faults.iter().rfind(|fault| fault.carrier == carrier);
                assert!(last.is_none_or(|fault| fault.failing.is_none() && fault.at.since(Instant::ZERO) < until));
            }
        }
    }
}
