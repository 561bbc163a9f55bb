//! A drill as one page of HTML that needs nothing else: its lines, and what callers waited, drawn.
//!
//! Refuses to know: how anything was found out.

use super::lines::{Step, Verdict};
use super::report::{Findings, escape};
use model::Span;

/// Width of the plot's bars, in pixels.
const WIDTH: u64 = 420;
/// Height of a row of the plot.
const ROW: usize = 34;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2733;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.05rem;margin:1.6rem 0 .3rem}table{border-collapse:collapse;width:100%}\
td{padding:.2rem .6rem .2rem 0;vertical-align:top;border-top:1px solid #dde3e9}td:first-child{width:4.5rem;font-weight:600}\
td:nth-child(2){width:7rem}.passed{color:#1a7340}.failed{color:#b3261e}.unproven{color:#7a5a00}\
details{margin:.4rem 0;color:#51606e}svg text{font:13px system-ui,sans-serif;fill:currentColor}\
@media(prefers-color-scheme:dark){body{background:#11181f;color:#dfe6ec}td{border-color:#2b3641}.passed{color:#6fd195}.failed{color:#ff8a80}.unproven{color:#e6c35c}details{color:#9fb0bf}}";

/// The whole page.
pub(super) fn page(findings: &Findings) -> String {
    let whose = if findings.all_calls { "for every call" } else { "for the drill's own calls only" };
    let head = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Drill: {verdict}</title><style>{STYLE}</style></head><body>\n<h1>Drill of {edge}</h1>\n\
         <p>By {who}{why}; trunks were broken {whose}. <strong class=\"{class}\">{verdict}</strong></p>\n",
        verdict = escape(&findings.verdict()),
        edge = escape(&findings.edge),
        who = escape(&findings.who),
        why = if findings.why.is_empty() { String::new() } else { format!(" ({})", escape(&findings.why)) },
        class = if findings.is_good() { "passed" } else { "failed" },
    );
    let steps: String = findings.steps.iter().map(section).collect();
    head + &plot(&findings.steps) + &steps + "</body></html>\n"
}

fn section(step: &Step) -> String {
    let row = |line: &super::lines::Line| {
        let (class, word) = match line.verdict {
            Verdict::Passed => ("passed", "pass"),
            Verdict::Failed => ("failed", "fail"),
            Verdict::Unproven => ("unproven", "not proven"),
        };
        let told = escape(&line.told);
        format!("<tr><td class=\"{class}\">{word}</td><td>{}</td><td>{told}</td></tr>\n", line.check)
    };
    let rows: String = step.lines.iter().map(row).collect();
    let why: String = step.why.iter().map(|sentence| format!("<li>{}</li>", escape(sentence))).collect();
    let call = step.call.as_deref().map(|call| format!(" (call {})", escape(call))).unwrap_or_default();
    let table = format!("<h2>{}</h2>\n<table>{rows}</table>\n", escape(&step.title));
    if why.is_empty() {
        return table;
    }
    table + &format!("<details><summary>Why it went so{call}</summary><ol>{why}</ol></details>\n")
}

/// Two bars for each call: until it rang, until it was answered.
fn plot(steps: &[Step]) -> String {
    let times = || steps.iter().flat_map(|step| [step.ringback, step.answer]).flatten();
    let Some(longest) = times().max().filter(|longest| *longest > Span::ZERO) else { return String::new() };
    let scale = |span: Span| span.as_micros() * WIDTH / longest.as_micros().max(1);
    let calls: Vec<&Step> = steps.iter().filter(|step| step.call.is_some()).collect();
    let height = calls.len() * ROW + 10;
    let mut svg = format!(
        "<svg role=\"img\" aria-label=\"Time to ringing and to answer\" width=\"100%\" viewBox=\"0 0 760 {height}\">\n"
    );
    for (row, step) in calls.into_iter().enumerate() {
        let top = row * ROW + 8;
        svg += &format!("<text x=\"0\" y=\"{}\">{}</text>\n", top + 16, escape(&step.title));
        for (at, span, colour, what) in
            [(top, step.ringback, "#5b8def", "rings"), (top + 12, step.answer, "#2f9e6e", "answers")]
        {
            let Some(span) = span else { continue };
            let (width, end) = (scale(span).max(2), 210 + scale(span).max(2) + 6);
            svg += &format!(
                "<rect x=\"210\" y=\"{at}\" width=\"{width}\" height=\"10\" fill=\"{colour}\"/><text x=\"{end}\" y=\"{}\">{what} {span}</text>\n",
                at + 10
            );
        }
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::findings;
    use super::*;

    #[test]
    fn the_page_stands_alone_and_lets_no_text_become_markup() {
        let page = page(&findings());
        for part in [
            "1 failed",
            "<td class=\"failed\">fail</td><td>ringback</td>",
            "&lt;silence&gt; &amp;",
            "answers 6 s",
            "<svg",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        for outside in ["http:", "https:", "<script", "<link", "<silence>"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn nothing_is_drawn_of_calls_that_never_rang() {
        let mut findings = findings();
        (findings.steps[0].ringback, findings.steps[0].answer) = (None, None);
        assert!(!page(&findings).contains("<svg"));
    }
}
