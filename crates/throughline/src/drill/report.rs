//! A drill as people and programs read it: lines on a terminal, JSON, JUnit.
//!
//! Refuses to know: how anything was found out.

use super::lines::{Step, Verdict};
use model::Span;
use serde_json::{Value, json};

/// Everything that was found out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Findings {
    pub(super) who: String,
    /// Why, in his own words.
    pub(super) why: String,
    pub(super) edge: String,
    pub(super) all_calls: bool,
    pub(super) steps: Vec<Step>,
    /// Why it ended before its time, when it did.
    pub(super) cut: Option<String>,
    /// Real calls meanwhile: ended, failed.
    pub(super) real: (u64, u64),
}

impl Findings {
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.steps.iter().map(|step| step.count(verdict)).sum()
    }

    /// Nothing failed, and it came to its end.
    pub(super) fn is_good(&self) -> bool {
        self.cut.is_none() && self.count(Verdict::Failed) == 0 && !self.steps.is_empty()
    }

    /// The last line.
    pub(super) fn verdict(&self) -> String {
        let (passed, failed, unproven) =
            (self.count(Verdict::Passed), self.count(Verdict::Failed), self.count(Verdict::Unproven));
        let mut words = format!("{passed} lines passed, {failed} failed");
        if unproven > 0 {
            words += &format!(", {unproven} not proven");
        }
        if let Some(cut) = &self.cut {
            words += &format!("; it was cut short: {cut}");
        }
        words + &format!("; {} real calls ended meanwhile, {} of them failed", self.real.0, self.real.1)
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "pass",
        Verdict::Failed => "FAIL",
        Verdict::Unproven => "  ? ",
    }
}

/// One call, as it is told when it is over.
pub(super) fn terminal(step: &Step) -> String {
    let mut text = format!("{}\n", step.title);
    for line in &step.lines {
        text += &format!("  {}  {:<10}  {}\n", word(line.verdict), line.check, line.told);
    }
    if step.failed() > 0 {
        step.why.iter().for_each(|sentence| text += &format!("        why: {sentence}\n"));
    }
    if let Some(call) = &step.call {
        text += &format!("        throughline why call {call}\n");
    }
    text
}

/// For programs; times in microseconds.
pub(super) fn json(findings: &Findings) -> Value {
    let micros = |span: Option<Span>| span.map(Span::as_micros);
    let line = |line: &super::lines::Line| {
        let verdict = match line.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Unproven => "unproven",
        };
        json!({ "check": line.check, "verdict": verdict, "told": line.told })
    };
    let step = |step: &Step| {
        json!({
            "title": step.title, "trunk": step.trunk, "fault": step.fault.map(|fault| fault.word()), "call": step.call,
            "ringback": micros(step.ringback), "answer": micros(step.answer),
            "lines": step.lines.iter().map(line).collect::<Vec<_>>(), "why": step.why,
        })
    };
    json!({
        "who": findings.who, "why": findings.why, "edge": findings.edge, "all_calls": findings.all_calls, "good": findings.is_good(),
        "passed": findings.count(Verdict::Passed), "failed": findings.count(Verdict::Failed),
        "unproven": findings.count(Verdict::Unproven), "cut": findings.cut,
        "real_calls": { "ended": findings.real.0, "failed": findings.real.1 },
        "steps": findings.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

/// For build servers: a suite for each call, a case for each line.
pub(super) fn junit(findings: &Findings) -> String {
    let cases: usize = findings.steps.iter().map(|step| step.lines.len()).sum();
    let cut = usize::from(findings.cut.is_some());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"drill\" tests=\"{}\" failures=\"{}\">\n",
        cases + cut,
        findings.count(Verdict::Failed) + cut
    );
    for step in &findings.steps {
        let (title, tests) = (escape(&step.title), step.lines.len());
        let skipped = step.count(Verdict::Unproven);
        let failed = step.failed();
        xml +=
            &format!("  <testsuite name=\"{title}\" tests=\"{tests}\" failures=\"{failed}\" skipped=\"{skipped}\">\n");
        for line in &step.lines {
            let told = escape(&line.told);
            let what = match line.verdict {
                Verdict::Passed => format!("<system-out>{told}</system-out>"),
                Verdict::Failed => format!("<failure message=\"{told}\">{}</failure>", escape(&step.why.join("\n"))),
                Verdict::Unproven => format!("<skipped message=\"{told}\"/>"),
            };
            xml += &format!("    <testcase classname=\"{title}\" name=\"{}\">{what}</testcase>\n", line.check);
        }
        xml += "  </testsuite>\n";
    }
    if let Some(cut) = &findings.cut {
        let why = escape(cut);
        xml += &format!(
            "  <testsuite name=\"the drill\" tests=\"1\" failures=\"1\"><testcase classname=\"the drill\" name=\"end\"><failure message=\"{why}\"/></testcase></testsuite>\n"
        );
    }
    xml + "</testsuites>\n"
}

/// What is text in XML and HTML alike.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            // XML 1.0 knows no other control characters.
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::lines::Line;
    use super::*;
    use model::DrillFault;

    pub(in super::super) fn findings() -> Findings {
        let line = |check, verdict, told: &str| Line { check, verdict, told: told.to_owned() };
        let step = Step {
            trunk: "acme".into(),
            fault: Some(DrillFault::Silent),
            title: "acme broken: silent".into(),
            lines: vec![
                line("stand-in", Verdict::Passed, "globex carried the call"),
                line("ringback", Verdict::Failed, "ringing after 5 s, 4 s at most"),
                line("audio-to", Verdict::Unproven, "neither echoes nor reports"),
            ],
            call: Some("00ff".into()),
            ringback: Some(Span::from_secs(5)),
            answer: Some(Span::from_secs(6)),
            why: vec!["attempt 1 to acme: <silence> & nothing".into()],
        };
        Findings {
            who: "Kari".into(),
            why: "acceptance".into(),
            edge: "127.0.0.1:8060".into(),
            all_calls: false,
            steps: vec![step],
            cut: None,
            real: (7, 0),
        }
    }

    #[test]
    fn all_three_say_the_same() {
        let findings = findings();
        assert!(!findings.is_good());
        assert_eq!(
            findings.verdict(),
            "1 lines passed, 1 failed, 1 not proven; 7 real calls ended meanwhile, 0 of them failed"
        );
        let text = terminal(&findings.steps[0]);
        assert!(text.contains("FAIL  ringback    ringing after 5 s, 4 s at most\n"), "{text}");
        assert!(text.contains("why: attempt 1 to acme: <silence>") && text.ends_with("why call 00ff\n"), "{text}");
        let json = json(&findings);
        assert_eq!((&json["failed"], &json["steps"][0]["ringback"]), (&json!(1), &json!(5_000_000)));
        let xml = junit(&findings);
        assert!(xml.contains("tests=\"3\" failures=\"1\""), "{xml}");
        assert!(xml.contains("<failure message=\"ringing after 5 s, 4 s at most\">attempt 1 to acme: &lt;silence&gt; &amp; nothing</failure>"), "{xml}");
        assert!(xml.contains("<skipped message=\"neither echoes nor reports\"/>"), "{xml}");
    }

    #[test]
    fn a_drill_that_was_cut_short_is_no_success() {
        let mut findings = findings();
        findings.steps[0].lines.remove(1);
        assert!(findings.is_good());
        findings.cut = Some("trunk globex went Down".into());
        assert!(!findings.is_good() && junit(&findings).contains("message=\"trunk globex went Down\""));
        assert!(!Findings { cut: None, steps: Vec::new(), ..findings }.is_good(), "and neither is one of nothing");
    }
}
