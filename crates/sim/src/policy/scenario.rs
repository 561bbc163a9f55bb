//! A scenario: who calls when, how trunks behave while they are well, and when they are not.
//!
//! Refuses to know: the policy that is tried on it, the text it was read from.

use super::outage::Outage;
use core::fmt::Write as _;
use model::Span;

/// Everything a run is made of besides its policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Same seed, same run.
    pub seed: u64,
    /// Before the clock starts: calls run and teach, nothing is counted.
    pub warm: Span,
    /// How long it is watched.
    pub length: Span,
    /// The calls.
    pub calls: CallLaw,
    /// The trunks, in the order of the text.
    pub trunks: Vec<TrunkLaw>,
    /// What goes wrong.
    pub outages: Vec<Outage>,
}

/// When calls come, whom they dial, and what their callers put up with.
#[derive(Clone, Debug, PartialEq)]
pub struct CallLaw {
    /// Trunk they come from; none is the PBX of the default policy, or whoever the policy's first route takes calls from.
    pub from: Option<String>,
    /// Calls per hour.
    pub per_hour: u64,
    /// How they are spread.
    pub law: Arrivals,
    /// The rate in equal parts of the length, in percent of `per_hour`; empty is 100 throughout.
    pub profile: Vec<u32>,
    /// More than usual for a while.
    pub surge: Option<Surge>,
    /// Whoever was not put through tries again.
    pub redial: Option<Redial>,
    /// How long a caller waits for ringing.
    pub patience: Span,
    /// Beginnings of dialled numbers, each with its weight.
    pub numbers: Vec<(String, u16)>,
}

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Each as long after the one before.
    Constant,
    /// At random, as people do.
    Poisson,
}

/// A rush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surge {
    /// In percent of the usual rate.
    pub percent: u32,
    /// From when.
    pub start: Span,
    /// Until when.
    pub end: Span,
}

/// What callers do who were not put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redial {
    /// So many of a hundred try again.
    pub share: u8,
    /// After so long.
    pub after: Span,
    /// So often at most.
    pub tries: u8,
}

/// One trunk while it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkLaw {
    /// Its name; the same as in the policy.
    pub name: String,
    /// Its tier in the default policy, 0 the best.
    pub tier: u8,
    /// Its weight in the default policy.
    pub weight: u16,
    /// INVITE or OPTIONS to the first reply.
    pub reply: Span,
    /// First reply to ringing.
    pub ring: Span,
    /// Ringing to answer, at random around this.
    pub pick_up: Span,
    /// Answered, of a hundred calls that it takes.
    pub answered: u8,
    /// Busy, of a hundred; the rest ring until the caller hangs up.
    pub busy: u8,
    /// Of a thousand calls so many fail by its fault even while it is well.
    pub fault_permille: u32,
    /// How long people talk.
    pub talk: Span,
    /// Each as long as the other, rather than at random.
    pub talk_fixed: bool,
    /// Calls at once that it takes.
    pub calls: Option<u32>,
    /// Calls per second that it takes.
    pub cps: Option<u32>,
}

impl Default for CallLaw {
    fn default() -> Self {
        Self {
            from: None,
            per_hour: 3_600,
            law: Arrivals::Poisson,
            profile: Vec::new(),
            surge: None,
            redial: None,
            patience: Span::from_secs(15),
            numbers: vec![(String::from("+47"), 1)],
        }
    }
}

impl TrunkLaw {
    /// A good carrier in the best tier.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tier: 0,
            weight: 1,
            reply: Span::from_millis(20),
            ring: Span::from_millis(200),
            pick_up: Span::from_secs(6),
            answered: 70,
            busy: 15,
            fault_permille: 0,
            talk: Span::from_secs(120),
            talk_fixed: false,
            calls: None,
            cps: None,
        }
    }
}

impl Scenario {
    /// Nobody calls and nothing fails, for ten minutes, after one of learning.
    pub fn new(trunks: Vec<TrunkLaw>) -> Self {
        let (warm, length) = (Span::from_secs(60), Span::from_secs(600));
        Self { seed: 1, warm, length, calls: CallLaw::default(), trunks, outages: Vec::new() }
    }

    /// Warm-up and what is watched.
    pub fn whole(&self) -> Span {
        self.warm + self.length
    }

    /// The law of a trunk; a good carrier's when the scenario does not name it.
    pub fn law(&self, name: &str) -> TrunkLaw {
        self.trunks.iter().find(|trunk| trunk.name == name).cloned().unwrap_or_else(|| TrunkLaw::new(name))
    }

    /// A configuration with everything at its default: the scenario's trunks in their tiers, and a PBX whose calls go to them.
    pub fn default_policy(&self) -> String {
        let mut out = String::from(
            "[edge]\nname = \"simulated\"\napi = false\n[listen.lan]\nsip = \"udp:127.0.0.1:5060\"\n[listen.wan]\nsip = \"udp:127.0.0.2:5060\"\n",
        );
        // Writing into a `String` cannot fail.
        let _ok = writeln!(out, "[trunk.{}]\nat = \"sip:10.255.255.254:5060\"\nlisten = \"lan\"", self.pbx());
        for (index, trunk) in self.trunks.iter().enumerate() {
            let (high, low) = (1 + index / 250, 1 + index % 250);
            let _ok = writeln!(out, "[trunk.{}]\nat = \"sip:10.0.{high}.{low}:5060\"\nlisten = \"wan\"", trunk.name);
        }
        let mut numbers: Vec<u8> = self.trunks.iter().map(|trunk| trunk.tier).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let tiers: Vec<String> = numbers.iter().map(|number| self.tier(*number)).collect();
        let alone = if self.trunks.len() == 1 { ", alone = true" } else { "" };
        let _ok = writeln!(out, "[group]\noutbound = {{ tiers = [{}]{alone} }}", tiers.join(", "));
        let _ok = writeln!(out, "[[route]]\nfrom = \"{}\"\nto = \"outbound\"", self.pbx());
        out
    }

    /// Where the calls of the default policy come from.
    pub(super) fn pbx(&self) -> &str {
        self.calls.from.as_deref().unwrap_or("office")
    }

    fn tier(&self, number: u8) -> String {
        let members = self.trunks.iter().filter(|trunk| trunk.tier == number);
        let words: Vec<String> = members.map(|trunk| format!("\"{}*{}\"", trunk.name, trunk.weight)).collect();
        format!("[{}]", words.join(", "))
    }
}
