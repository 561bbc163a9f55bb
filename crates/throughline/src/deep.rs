//! `throughline check --deep`: what would take the backup down with the primary.
//!
//! Refuses to know: what is looked at.

use crate::say::{Failure, say};
use edge::config::Settings;
use edge::deep::{self, Finding, Weight};
use serde_json::json;
use std::path::Path;

/// Looks, and tells. A danger fails the check.
pub(crate) fn run(settings: Settings, path: &Path, json: bool) -> Result<(), Failure> {
    let (settings, facts) = node::facts(settings, path).map_err(|refused| Failure(refused.text))?;
    let findings = deep::look(&settings, &facts);
    if json {
        say(&format!("{:#}\n", json!({ "file": path.display().to_string(), "findings": findings })));
    } else {
        say(&show(&findings));
    }
    match count(&findings, Weight::Danger) {
        0 => Ok(()),
        1 => Err(Failure("1 danger: calls will be lost by it; the text above says what to do".to_owned())),
        many => Err(Failure(format!("{many} dangers: calls will be lost by them; the text above says what to do"))),
    }
}

fn count(findings: &[Finding], weight: Weight) -> usize {
    findings.iter().filter(|finding| finding.weight == weight).count()
}

/// A line for what is so, and one for what to do.
fn show(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing found that primary and backup have in common, or that would hurt a failover\n".to_owned();
    }
    let mut out = String::new();
    for finding in findings {
        let group = finding.group.as_ref().map(|group| format!("group {group}: ")).unwrap_or_default();
        out += &format!("{}: {group}{}\n    {}\n", finding.weight.word(), finding.what, finding.advice);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_so_stands_before_what_to_do() {
        let finding = |weight| Finding {
            weight,
            kind: "same_address",
            group: Some("carriers".into()),
            trunks: vec!["acme".into(), "globex".into()],
            what: "acme and globex are both at 192.0.2.1".to_owned(),
            advice: "take another carrier".to_owned(),
        };
        let both = [finding(Weight::Danger), finding(Weight::Note)];
        assert_eq!(
            show(&both[..1]),
            "danger: group carriers: acme and globex are both at 192.0.2.1\n    take another carrier\n"
        );
        assert_eq!(count(&both, Weight::Danger), 1);
        assert!(show(&[]).starts_with("nothing found"));
    }
}
