//! How the edge of a run is configured: mostly as the town has it, and in some seeds with limits, with hedging, or with more carriers.
//!
//! Drawn by a generator of its own, so that weather, calls and faults of a seed are the same under every configuration. Refuses to know:
//! what the keys mean to the edge.

use crate::town::{CARRIERS, CONFIG, TEST_NUMBER};
use edge::config::Settings;
use model::Rng;
use std::fmt::Write;
use std::sync::Arc;

/// The carriers that may have limits, hedging, and a place in the group.
const TRUNKS: [&str; 3] = ["acme", "globex", "initech"];
/// Test calls of the first carrier.
const TEST_EVERY: &str = "30s";

/// What differs from seed to seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variety {
    /// Limits of each carrier, as written.
    limits: Option<[String; 3]>,
    /// A second trunk is tried beside a slow one.
    pub(crate) hedges: bool,
    /// The group's tiers, as written.
    tiers: &'static str,
    /// The first carrier is reached by TCP.
    tcp: bool,
    /// `audio` of each carrier, as written.
    audio: Option<&'static str>,
}

impl Variety {
    /// That of a seed: one in four has limits, one in eight hedges, one in two has a third carrier.
    pub(crate) fn draw(seed: u64) -> Self {
        let rng = &mut Rng::new(seed ^ 0x7a71_e7e5);
        let limits = (rng.below(4) == 0).then(|| core::array::from_fn(|_| limits(rng)));
        let hedges = limits.is_none() && rng.below(6) == 0;
        let tiers = [
            CARRIERS,
            CARRIERS,
            "[[\"acme\"], [\"globex\"], [\"initech\"]]",
            "[[\"acme\", \"globex\"], [\"initech\"]]",
        ];
        Self { limits, hedges, tiers: tiers[rng.below(4) as usize], tcp: false, audio: None }
    }

    /// The town's own.
    pub(crate) const fn plain() -> Self {
        Self { limits: None, hedges: false, tiers: CARRIERS, tcp: false, audio: None }
    }

    /// The same with the first carrier by TCP. No seed draws it, for the network of a seed loses what TCP would repeat.
    #[cfg(test)]
    pub(crate) fn by_tcp() -> Self {
        Self { tcp: true, ..Self::plain() }
    }

    /// The same with carriers whose audio is held to this.
    #[cfg(test)]
    pub(crate) fn held_to(audio: &'static str) -> Self {
        Self { audio: Some(audio), ..Self::plain() }
    }

    /// The configuration, with probes and test calls or without, compiled.
    ///
    /// # Errors
    /// The rendered faults, when the simulator's own configuration no longer compiles.
    pub(crate) fn settings(&self, probed: bool, before: Option<&Settings>) -> Result<Arc<Settings>, String> {
        let text = self.text(probed);
        let mut settings = compile(&text, "sim.toml", before)?;
        // A second policy with less patience runs beside it, so that every seed proves that it changes nothing.
        let other = text.replace("\nat = ", "\nhealth = { suspect_after = 1, late_calls = 1, dwell = \"5s\" }\nat = ");
        let other = compile(&other, "shadow.toml", None)?;
        settings.shadow = Some(Arc::new(edge::ShadowPolicy::new(&settings, &other)));
        Ok(Arc::new(settings))
    }

    /// The configuration as written.
    pub(crate) fn text(&self, probed: bool) -> String {
        let mut text = CONFIG.replace(CARRIERS, self.tiers);
        for (index, trunk) in TRUNKS.iter().enumerate() {
            let mut keys = format!("\n[trunk.{trunk}]\n");
            if let Some(limits) = &self.limits {
                // Writing into a text cannot fail.
                let _infallible = writeln!(keys, "limits = {}", limits[index]);
            }
            if let Some(audio) = self.audio {
                let _infallible = writeln!(keys, "audio = {audio}");
            }
            if self.hedges {
                keys.push_str("calls = { hedge = \"20%\" }\n");
            }
            text = text.replace(&format!("\n[trunk.{trunk}]\n"), &keys);
        }
        if self.tcp {
            text = text.replace("\"udp:10.0.1.1:5060\"", "\"udp:10.0.1.1:5060\", \"tcp:10.0.1.1:5070\"");
            text = text.replace("sip:10.0.1.31:5060", "sip:10.0.1.31:5060;transport=tcp");
        }
        if probed {
            return text;
        }
        let test_call = format!("test_call = {{ number = \"{TEST_NUMBER}\", every = \"{TEST_EVERY}\" }}\n");
        text.replace(&test_call, "").replace("\nat = ", "\nprobe = { on = false }\nat = ")
    }
}

/// So tight that the calls of a run press them.
fn limits(rng: &mut Rng) -> String {
    let (calls, cps, headroom) = (1 + rng.below(5), 1 + rng.below(3), [0, 0, 40][rng.below(3) as usize]);
    match rng.below(4) {
        0 => format!("{{ calls = {calls}, headroom = \"{headroom}%\" }}"),
        1 => format!("{{ cps = {cps}, headroom = \"{headroom}%\" }}"),
        _ => format!("{{ calls = {calls}, cps = {cps}, headroom = \"{headroom}%\" }}"),
    }
}

fn compile(text: &str, name: &str, before: Option<&Settings>) -> Result<Settings, String> {
    let compiled = edge::config::compile(text, name, &|_| None, before);
    compiled.settings.ok_or_else(|| edge::config::render(&compiled.faults, text, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TrunkId;

    #[test]
    fn every_variety_compiles_and_they_differ() {
        let drawn: Vec<Variety> = (0..200).map(Variety::draw).collect();
        let (limited, hedging) =
            (drawn.iter().filter(|one| one.limits.is_some()), drawn.iter().filter(|one| one.hedges));
        assert!((30..70).contains(&limited.count()) && (10..50).contains(&hedging.count()));
        for one in &drawn {
            let settings = one.settings(true, None).unwrap();
            let acme = settings.shape.trunk(TrunkId(1)).unwrap();
            assert_eq!(one.limits.is_some(), acme.limits.calls.is_some() || acme.limits.cps.is_some());
            assert_eq!(one.hedges, acme.attempt.hedge.is_some());
            assert_eq!(settings.tested().len(), 1);
            let quiet = one.settings(false, Some(&settings)).unwrap();
            assert_eq!((quiet.tested().len(), quiet.probes.iter().any(|(_, probe)| probe.on)), (0, false));
        }
    }
}
