//! `check --deep`: what would take the backup down together with the primary, or make a failover worse than it need be.
//!
//! A configuration without a fault can still have two carriers behind one address. This looks at compiled settings, with what the machine, the
//! name servers and the journal tell about them, and says of each doubt what to do. Refuses to know: sockets, files, name servers, the journal;
//! what they tell is passed in.

mod capacity;
mod fate;
mod media;
mod patience;
mod reach;

#[cfg(test)]
mod tests;

use crate::config::Settings;
use core::net::{IpAddr, SocketAddr};
use decide::GroupPolicy;
use model::{ListenId, Name, TrunkId};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is told about a configuration by the world that it would run in.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name servers that are asked.
    pub resolvers: Vec<SocketAddr>,
    /// How the system would send to each address of a trunk; none where it has no way.
    pub ways: BTreeMap<IpAddr, Option<Way>>,
    /// Files of certificates, and in how many days each expires.
    pub certificates: Vec<(String, i64)>,
    /// Media ports of each listen, as far as they were tried.
    pub ports: BTreeMap<ListenId, Ports>,
    /// Most calls at once that each trunk has carried, by its name.
    pub peaks: BTreeMap<String, u32>,
}

/// How the system sends to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The address it sends from when nobody says otherwise.
    pub local: IpAddr,
    /// The interface it sends by, where that is known.
    pub interface: Option<String>,
}

/// What came of opening the media ports of a listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// So many pairs could not be had: the first port of them.
    Tried {
        /// Pairs that others have.
        taken: u32,
        /// The first of them.
        first: Option<u16>,
    },
    /// The address is none of this machine's.
    Foreign,
}

/// How bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// When it matters, calls are lost.
    Danger,
    /// A failover will be slower or worse than it need be.
    Warning,
    /// Worth knowing.
    Note,
}

impl Weight {
    /// The word people see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Danger => "danger",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub weight: Weight,
    /// What kind, in one word.
    pub kind: &'static str,
    /// The group it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// The trunks it is about.
    pub trunks: Vec<Name>,
    /// What is so.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl core::fmt::Display for Finding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: ", self.weight.word())?;
        if let Some(group) = &self.group {
            write!(f, "group {group}: ")?;
        }
        write!(f, "{}; {}", self.what, self.advice)
    }
}

/// Findings in one report at most; who has more mends these first.
const MOST: usize = 200;

/// Looks at everything; the worst first.
pub fn look(settings: &Settings, facts: &Facts) -> Vec<Finding> {
    let mut report = Report { settings, facts, group: None, findings: Vec::new() };
    for group in settings.shape.groups() {
        report.group = settings.names.groups.get(group.id.index()).cloned();
        if report.trunks(group).len() > 1 {
            fate::look(&mut report, group);
            media::differences(&mut report, group);
            capacity::look(&mut report, group);
            patience::look(&mut report, group);
        }
    }
    report.group = None;
    fate::certificates(&mut report);
    media::ports(&mut report);
    reach::look(&mut report);
    report.findings.sort_by_key(|finding| finding.weight);
    report.findings.truncate(MOST);
    report.findings
}

/// What is looked at, and what was found so far.
struct Report<'a> {
    settings: &'a Settings,
    facts: &'a Facts,
    group: Option<Name>,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    fn say(&mut self, weight: Weight, kind: &'static str, trunks: &[TrunkId], what: String, advice: impl Into<String>) {
        let trunks = trunks.iter().map(|trunk| Name::from(self.name(*trunk))).collect();
        let found = Finding { weight, kind, group: self.group.clone(), trunks, what, advice: advice.into() };
        // A pair that two groups have is told of once in each.
        if !self.findings.contains(&found) {
            self.findings.push(found);
        }
    }

    fn name(&self, trunk: TrunkId) -> &'a str {
        self.settings.names.trunks.get(trunk.index()).map_or("", Name::as_str)
    }

    fn profile(&self, trunk: TrunkId) -> Option<&'a act::TrunkProfile> {
        self.settings.profiles.trunks.get(trunk.index())?.as_ref()
    }

    /// Addresses of a trunk, each once.
    fn addresses(&self, trunk: TrunkId) -> Vec<IpAddr> {
        let targets = self.profile(trunk).map(|profile| &profile.targets[..]).unwrap_or_default();
        let mut addresses: Vec<IpAddr> = targets.iter().map(|target| target.addr.ip()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Trunks of a group, best first, each once.
    fn trunks(&self, group: &GroupPolicy) -> Vec<TrunkId> {
        let mut trunks = Vec::new();
        for member in group.members() {
            if !trunks.contains(&member.trunk) {
                trunks.push(member.trunk);
            }
        }
        trunks
    }

    /// Each two of them, the better one first.
    fn pairs(&self, group: &GroupPolicy) -> Vec<(TrunkId, TrunkId)> {
        let trunks = self.trunks(group);
        let after = |index: usize| trunks.iter().skip(index + 1).map(move |backup| (index, *backup));
        (0..trunks.len()).flat_map(after).map(|(index, backup)| (trunks[index], backup)).collect()
    }
}
