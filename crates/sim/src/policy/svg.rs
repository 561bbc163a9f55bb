//! The timeline as a picture: health of each trunk, who carries the calls, what callers are kept waiting, all over one axis.
//!
//! Drawn by hand: a rectangle per change and column, no library. Refuses to know: how a run goes.

use super::report::Report;
use super::tally::COLUMNS;
use core::fmt::Write as _;
use model::{Health, Span};

const WIDTH: f64 = 1_200.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 36.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const BAND: f64 = 30.0;
const CHART: f64 = 130.0;
const GAP: f64 = 42.0;
/// Bands drawn; of more trunks the number is told.
const TRUNKS_MAX: usize = 16;
/// Trunks' own colours, in the chart of who carries the calls: apart for the colour-blind too.
const HUES: [&str; 8] = ["#4269d0", "#efb118", "#6cc5b0", "#a463f2", "#ff8ab7", "#9c6b4e", "#3ca951", "#97bbf5"];
const INK: &str = "#1f2933";
const FAINT: &str = "#7b8794";
const LOST: &str = "#c81e3a";

/// The picture of a run, as an SVG document.
pub fn svg(report: &Report) -> String {
    let shown = report.trunks.len().min(TRUNKS_MAX);
    let bands = shown as f64 * BAND;
    let top = 104.0;
    let shares = top + bands + GAP;
    let delays = shares + CHART + GAP;
    let height = delays + CHART + 48.0;
    let mut out = String::with_capacity(64 * 1_024);
    // Writing into a `String` cannot fail.
    let _ok = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    out.push_str(
        "<defs><pattern id=\"bad\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect width=\"2\" height=\"6\" fill=\"#1f2933\"/></pattern></defs>\n",
    );
    head(&mut out, report);
    grid(&mut out, report.length, top, height - 34.0);
    for index in 0..shown {
        band(&mut out, report, index, top + index as f64 * BAND);
    }
    if report.trunks.len() > shown {
        let more = report.trunks.len() - shown;
        text(&mut out, LEFT, top + bands + 14.0, "start", FAINT, &format!("and {more} more trunks"));
    }
    who_carries(&mut out, report, shown, shares);
    waiting(&mut out, report, delays);
    out.push_str("</svg>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let title = format!("{} · {} calls, {} lost", report.title, report.calls, report.lost());
    let _ok =
        writeln!(out, "<text x=\"{LEFT}\" y=\"34\" font-size=\"20\" font-weight=\"600\">{}</text>", escape(&title));
    let most = report.delays.max();
    let below = format!(
        "added to set-up: p50 {}, p99 {}, most {most} · {} changes of the active tier · {} · seed {}",
        report.delays.permille(500),
        report.delays.permille(990),
        report.changes,
        report.went_down(),
        report.seed
    );
    text(out, LEFT, 56.0, "start", FAINT, &below);
    let mut x = LEFT;
    for health in [Health::Up, Health::Probation, Health::Suspect, Health::Down] {
        let _ok =
            writeln!(out, "<rect x=\"{x}\" y=\"70\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{}\"/>", colour(health));
        text(out, x + 20.0, 81.5, "start", INK, health.word());
        x += 42.0 + 7.5 * health.word().len() as f64;
    }
    let _ok = writeln!(
        out,
        "<rect x=\"{x}\" y=\"70\" width=\"14\" height=\"14\" rx=\"3\" fill=\"#ffffff\" stroke=\"{FAINT}\"/>\
         <rect x=\"{x}\" y=\"70\" width=\"14\" height=\"14\" rx=\"3\" fill=\"url(#bad)\" opacity=\"0.55\"/>"
    );
    text(out, x + 20.0, 81.5, "start", INK, "outage in force");
}

/// Upright lines at round times, labelled below.
fn grid(out: &mut String, length: Span, top: f64, bottom: f64) {
    let seconds = length.as_micros() as f64 / 1e6;
    let steps = [1, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400];
    let step = steps.into_iter().find(|step| seconds / f64::from(*step) <= 14.0).unwrap_or(86_400);
    let mut at = 0;
    while f64::from(at) <= seconds {
        let x = LEFT + PLOT * f64::from(at) / seconds;
        let _ok = writeln!(out, "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#e4e7eb\"/>");
        let label = match (at / 3_600, at / 60 % 60, at % 60) {
            (0, 0, s) if step < 60 => format!("{s} s"),
            (0, m, s) => format!("{m}:{s:02}"),
            (h, m, _) => format!("{h} h {m:02}"),
        };
        text(out, x, bottom + 18.0, "middle", FAINT, &label);
        at += step;
    }
}

/// Health of one trunk, with its outages over it.
fn band(out: &mut String, report: &Report, index: usize, y: f64) {
    let name = report.trunks[index].as_str();
    let _ok = writeln!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"5\" fill=\"{}\"/>", LEFT - 16.0, y + 12.0, hue(index));
    text(out, LEFT - 28.0, y + 16.0, "end", INK, &cut(name));
    let stretches = &report.stretches[index];
    let mut from = 0;
    for column in 1..=COLUMNS {
        let health = stretches[from].worst;
        if column < COLUMNS && stretches[column].worst == health {
            continue;
        }
        let (x, width) = (place(from), place(column) - place(from));
        let _ok = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"22\" fill=\"{}\"><title>{}: {}</title></rect>",
            colour(health),
            escape(name),
            health.word()
        );
        from = column;
    }
    let scale = PLOT / report.length.as_micros().max(1) as f64;
    for outage in report.outages.iter().map(|outage| &outage.outage).filter(|outage| outage.trunk == name) {
        let x = LEFT + outage.start.as_micros() as f64 * scale;
        let width = ((outage.end.min(report.length) - outage.start).as_micros() as f64 * scale).max(1.5);
        let _ok = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"10\" fill=\"url(#bad)\" opacity=\"0.55\">\
             <title>{}</title></rect>",
            y + 12.0,
            escape(&outage.to_string())
        );
        let kind = outage.kind.to_string();
        if width > 7.0 * kind.len() as f64 {
            let _ok = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#ffffff\" stroke=\"{INK}\" \
                 stroke-width=\"2\" paint-order=\"stroke\" font-weight=\"600\">{}</text>",
                x + 4.0,
                y + 9.5,
                escape(&kind)
            );
        }
    }
}

/// Which trunk the calls of each column went by, stacked to the whole.
fn who_carries(out: &mut String, report: &Report, shown: usize, y: f64) {
    caption(out, y, "who carries the calls");
    axis(out, y, &[(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]);
    let carried = |index: usize, column: usize| f64::from(report.stretches[index][column].carried);
    let all = |column: usize| (0..report.trunks.len()).map(|index| carried(index, column)).sum::<f64>();
    let mut below = vec![0.0; COLUMNS];
    for index in 0..shown {
        let mut path = String::new();
        for (column, below) in below.iter_mut().enumerate() {
            let (share, total) = (carried(index, column), all(column));
            if share <= 0.0 {
                continue;
            }
            let height = CHART * share / total;
            let bottom = y + CHART - *below;
            let _ok = write!(
                path,
                "M{:.1} {bottom:.1}h{:.2}v{:.1}h-{:.2}z",
                place(column),
                PLOT / COLUMNS as f64 + 0.3,
                -height,
                PLOT / COLUMNS as f64 + 0.3
            );
            *below += height;
        }
        let _ok = writeln!(out, "<path d=\"{path}\" fill=\"{}\"/>", hue(index));
    }
}

/// The longest delay added in each column, on a logarithmic scale, and the calls lost in it.
fn waiting(out: &mut String, report: &Report, y: f64) {
    caption(out, y, "longest delay added, and calls lost");
    let level = |ms: f64| (ms.max(1.0).log10() / 5.0).clamp(0.0, 1.0);
    axis(out, y, &[(level(1.0), "1 ms"), (level(100.0), "100 ms"), (level(1_000.0), "1 s"), (level(10_000.0), "10 s")]);
    let width = PLOT / COLUMNS as f64;
    let mut bars = String::new();
    for (index, column) in report.columns.iter().enumerate() {
        let height = CHART * level(column.delay.as_micros() as f64 / 1_000.0);
        if height > 0.0 {
            let _ok = write!(bars, "M{:.1} {:.1}h{width:.2}v{:.1}h-{width:.2}z", place(index), y + CHART, -height);
        }
    }
    let _ok = writeln!(out, "<path d=\"{bars}\" fill=\"#9fb3c8\"/>");
    let most = report.columns.iter().map(|column| column.lost).max().unwrap_or(0).max(1);
    for (index, column) in report.columns.iter().enumerate().filter(|(_, column)| column.lost > 0) {
        let height = 8.0 + (CHART - 8.0) * f64::from(column.lost) / f64::from(most.max(10));
        let _ok = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{LOST}\" opacity=\"0.85\">\
             <title>{} of {} calls lost</title></rect>",
            place(index),
            y + CHART - height,
            width.max(1.6),
            column.lost,
            column.calls
        );
    }
    if report.lost() > 0 {
        let words =
            format!("red: calls lost, {} at once at most", report.columns.iter().map(|c| c.lost).max().unwrap_or(0));
        text(out, LEFT + PLOT, y - 10.0, "end", LOST, &words);
    }
}

fn caption(out: &mut String, y: f64, words: &str) {
    let _ok = writeln!(out, "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"600\">{words}</text>", y - 10.0);
}

/// Level lines of a chart, by their height as a share of it.
fn axis(out: &mut String, y: f64, levels: &[(f64, &str)]) {
    for (level, label) in levels {
        let at = y + CHART * (1.0 - level);
        let _ok = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#e4e7eb\"/>",
            LEFT + PLOT
        );
        text(out, LEFT - 10.0, at + 4.0, "end", FAINT, label);
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, fill: &str, words: &str) {
    let _ok = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{}</text>",
        escape(words)
    );
}

fn place(column: usize) -> f64 {
    LEFT + PLOT * column as f64 / COLUMNS as f64
}

const fn hue(index: usize) -> &'static str {
    HUES[index % HUES.len()]
}

const fn colour(health: Health) -> &'static str {
    match health {
        Health::Unknown => "#cbd2d9",
        Health::Up => "#57ae5b",
        Health::Probation => "#5aa9e6",
        Health::Suspect => "#f0b429",
        Health::Down => "#d64545",
    }
}

fn cut(name: &str) -> String {
    if name.chars().count() <= 15 { name.to_owned() } else { name.chars().take(14).chain(['…']).collect() }
}

/// What means something to XML, spelled out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Policy, read, run, settings};

    fn drawn() -> String {
        let text = include_str!("../../../../examples/scenarios/a-bad-day.toml");
        let scenario = read(text, "a-bad-day.toml").0.unwrap();
        let policy = Policy::Edge(settings(&scenario).unwrap());
        let mut report = run(&scenario, &policy, 1).unwrap();
        report.title = "a <b> & \"c\"".into();
        svg(&report)
    }

    /// Every tag that opens closes, in order; nothing stands bare that XML would take for a tag or an entity.
    #[test]
    fn the_picture_is_well_formed() {
        let text = drawn();
        let mut open: Vec<&str> = Vec::new();
        for part in text.split('<').skip(1) {
            let (tag, after) = part.split_once('>').expect("every tag ends");
            assert!(!after.contains('>'), "{part}");
            let quotes = tag.matches('"').count();
            assert!(quotes.is_multiple_of(2), "{tag}");
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(name);
            }
            for entity in after.split('&').skip(1) {
                assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "{after}");
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(text.contains("a &lt;b&gt; &amp; &quot;c&quot;"));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn every_trunk_and_every_state_is_in_it() {
        let text = drawn();
        for word in ["acme", "globex", "initech", "acme: Down", ": Suspect", "acme: Probation", "grey: 500 to +4790"] {
            assert!(text.contains(word), "{word}");
        }
    }
}
