//! What `check --deep` finds about the trunks of a drill, as lines of it: what no call can show, since it needs the real day.
//!
//! Refuses to know: how it is found.

use super::lines::{self, Line, Step};
use crate::check;
use crate::say::Failure;
use edge::config;
use edge::deep::{self, Finding, Weight};
use std::path::Path;

/// Looks at a configuration on this machine.
pub(super) fn look(path: &Path, trunks: &[&str]) -> Result<Step, Failure> {
    let (text, compiled) = check::compile(path)?;
    let file = path.display().to_string();
    let settings = compiled.settings.ok_or_else(|| Failure(config::render(&compiled.faults, &text, &file)))?;
    let (settings, facts) = node::facts(settings, path).map_err(|refused| Failure(refused.text))?;
    Ok(Step {
        trunk: trunks.join(", "),
        fault: None,
        title: format!("what stands in {file}"),
        lines: told(&deep::look(&settings, &facts), trunks),
        call: None,
        ringback: None,
        answer: None,
        why: Vec::new(),
    })
}

/// Notes are worth knowing and fail nothing, and what is about other trunks is not drilled.
fn told(findings: &[Finding], trunks: &[&str]) -> Vec<Line> {
    let is_ours = |finding: &&Finding| {
        finding.trunks.is_empty() || finding.trunks.iter().any(|name| trunks.contains(&name.as_str()))
    };
    let weighs = |finding: &&Finding| finding.weight != Weight::Note;
    let line = |finding: &Finding| lines::line(finding.kind, false, format!("{}; {}", finding.what, finding.advice));
    let mut found: Vec<Line> = findings.iter().filter(weighs).filter(is_ours).map(line).collect();
    if found.is_empty() {
        found.push(lines::line(
            "shared-fate",
            true,
            "nothing found that would take the others down with it, or hurt a failover",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::lines::Verdict;
    use super::*;

    fn finding(weight: Weight, kind: &'static str, trunk: &str) -> Finding {
        Finding {
            weight,
            kind,
            group: Some("carriers".into()),
            trunks: vec![trunk.into()],
            what: String::from("globex may carry 10 calls, and acme has carried 40"),
            advice: String::from("raise `limits` of globex"),
        }
    }

    #[test]
    fn what_weighs_fails_and_is_about_the_trunks_that_are_drilled() {
        let findings = [
            finding(Weight::Danger, "capacity_short", "acme"),
            finding(Weight::Warning, "same_resolver", "acme"),
            finding(Weight::Note, "no_rescue", "acme"),
            finding(Weight::Danger, "behind_nat", "initech"),
        ];
        let lines = told(&findings, &["acme"]);
        let failed: Vec<&str> = lines.iter().map(|line| line.check).collect();
        assert_eq!(failed, ["capacity_short", "same_resolver"]);
        assert!(lines[0].told.ends_with("raise `limits` of globex"), "{lines:?}");
        let sound = told(&findings[2..], &["acme"]);
        assert_eq!((sound.len(), sound[0].verdict), (1, Verdict::Passed));
    }
}
