//! What a drill finds out, line by line: each is one thing that had to be so, whether it was, and what shows it.
//!
//! Refuses to know: how calls are placed, how lines are shown.

use super::caller::{KEYS, OURS_HZ, Placed};
use super::plan::Bounds;
use agent::DigitWay;
use model::{DrillFault, Span};
use serde_json::Value;

/// How long our own tone must have come back to prove that audio passes both ways.
const PROVES: Span = Span::from_millis(300);

/// Shorter holes than this are not told one by one.
const HOLE: Span = Span::from_millis(80);
/// Less than this between two sounds is no silence.
const SILENCE: Span = Span::from_millis(200);

/// What became of one thing that had to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was.
    Passed,
    /// It was not.
    Failed,
    /// Nothing could show it; why is told.
    Unproven,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What had to be so: `stand-in`, `ringback`.
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) told: String,
}

/// One call and what it showed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) trunk: String,
    /// None for a call while nothing is broken.
    pub(super) fault: Option<DrillFault>,
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
    /// The edge's number of the call.
    pub(super) call: Option<String>,
    pub(super) ringback: Option<Span>,
    pub(super) answer: Option<Span>,
    /// Why it went as it did, in the edge's words.
    pub(super) why: Vec<String>,
}

impl Step {
    pub(super) fn failed(&self) -> usize {
        self.count(Verdict::Failed)
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }
}

/// What a call was like while nothing was broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) codec: Option<String>,
    /// Which of the keys came back.
    pub(super) keys: [bool; 2],
}

impl Before {
    pub(super) fn of(placed: &Placed) -> Self {
        Self { codec: codec_of(placed).map(str::to_owned), keys: keys_back(placed) }
    }
}

/// What a call is held against.
pub(super) struct Terms<'a> {
    pub(super) trunk: &'a str,
    pub(super) fault: Option<DrillFault>,
    pub(super) bounds: Bounds,
    /// The far end sends back what it hears.
    pub(super) echo: bool,
    /// What the call while nothing was broken was like.
    pub(super) before: Option<&'a Before>,
    pub(super) title: String,
}

/// What a call showed.
pub(super) fn judge(terms: &Terms<'_>, placed: &Placed) -> Step {
    let mut lines = vec![broken(terms, placed), carried(terms, placed)];
    lines.extend(delays(terms.bounds, placed));
    if terms.fault.is_some_and(DrillFault::is_of_audio) {
        lines.push(noticed(placed));
        lines.extend(hears(placed));
    } else {
        lines.extend(audio(terms, placed));
        lines.extend(codec(terms, placed));
        lines.extend(inside(placed));
        lines.extend(keys(terms, placed));
    }
    Step {
        trunk: terms.trunk.to_owned(),
        fault: terms.fault,
        title: terms.title.clone(),
        lines: lines.into_iter().filter(|line| !line.told.is_empty()).collect(),
        call: placed.record["call"].as_str().map(str::to_owned),
        ringback: placed.lived.ringback,
        answer: placed.lived.answer,
        why: placed.why.clone(),
    }
}

pub(super) fn line(check: &'static str, passed: bool, told: impl Into<String>) -> Line {
    let verdict = if passed { Verdict::Passed } else { Verdict::Failed };
    Line { check, verdict, told: told.into() }
}

fn unproven(check: &'static str, told: impl Into<String>) -> Line {
    Line { check, verdict: Verdict::Unproven, told: told.into() }
}

fn attempts(placed: &Placed) -> &[Value] {
    placed.record["attempts"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The trunk that carried it.
fn carrier(placed: &Placed) -> Option<&str> {
    let answered = |attempt: &&Value| attempt["outcome"] == "answered";
    attempts(placed).iter().rev().find(answered).and_then(|attempt| attempt["trunk"].as_str())
}

/// The call must have met what was broken, or it proves nothing.
fn broken(terms: &Terms<'_>, placed: &Placed) -> Line {
    let (trunk, check) = (terms.trunk, "met");
    let Some(fault) = terms.fault else { return line(check, true, "") };
    if placed.record.is_null() {
        return line(
            check,
            false,
            "the edge has no record of the call: it was refused before it was one, or the edge is behind",
        );
    }
    if fault == DrillFault::Dns {
        let told = placed.why.iter().any(|sentence| sentence.contains("the drill takes it away"));
        return line(check, told, format!("{trunk} had no address and was left out"));
    }
    let met = attempts(placed).iter().find(|attempt| attempt["trunk"] == trunk);
    match met {
        Some(attempt) if !attempt["fault"].is_null() => {
            line(check, true, format!("the call met {trunk} while it was broken: {}", fault.word()))
        }
        Some(_) => line(check, false, format!("the call met {trunk}, and it was not broken")),
        None => line(check, false, format!("the call never came to {trunk}: another trunk comes before it")),
    }
}

/// Somebody else must have carried it; with audio broken or nothing, the trunk itself.
fn carried(terms: &Terms<'_>, placed: &Placed) -> Line {
    let trunk = terms.trunk;
    let by = carrier(placed);
    let Some(by) = by.filter(|_| placed.lived.answer.is_some()) else {
        let code = match placed.lived.refused {
            None => String::from("got no answer"),
            Some(code) => format!("was refused with {code}"),
        };
        let check = if terms.fault.is_some() { "stand-in" } else { "sound" };
        return line(check, false, format!("nobody carried the call: the caller {code}"));
    };
    match terms.fault {
        Some(fault) if !fault.is_of_audio() => line("stand-in", by != trunk, format!("{by} carried the call")),
        Some(_) => line("answered", by == trunk, format!("{by} answered the call")),
        None => line("sound", by == trunk, format!("{by} carried the call while nothing was broken")),
    }
}

fn delays(bounds: Bounds, placed: &Placed) -> [Line; 2] {
    let one = |check, what, seen: Option<Span>, most: Span| match seen {
        Some(seen) => line(check, seen <= most, format!("{what} after {seen}, {most} at most")),
        None => line(check, false, format!("no {what}")),
    };
    let ringback = placed.lived.ringback.or(placed.lived.answer);
    [one("ringback", "ringing", ringback, bounds.ringback), one("answer", "answer", placed.lived.answer, bounds.answer)]
}

/// Tone out and back, and no hole in it.
fn audio(terms: &Terms<'_>, placed: &Placed) -> Vec<Line> {
    let Some(heard) = &placed.lived.heard else {
        return vec![line("audio", false, "no audio: the call was not answered")];
    };
    let ours = heard.tones.iter().find(|(hz, _)| *hz == OURS_HZ).map_or(Span::ZERO, |(_, long)| *long);
    let theirs = heard.packets > 0;
    let mut lines = vec![line("audio-from", theirs, format!("{} packets came from the far end", heard.packets))];
    lines.push(if ours >= PROVES {
        line("audio-to", true, format!("our tone came back for {ours}"))
    } else if terms.echo {
        line(
            "audio-to",
            false,
            format!("our tone came back for {ours}: what we say does not arrive, or the far end does not echo"),
        )
    } else {
        reported(placed)
    });
    if theirs {
        // While a key is down events come in place of sound, and no hole is heard.
        let gap = heard.stream.gaps.iter().max().copied().unwrap_or_else(|| heard.longest_gap.min(HOLE));
        lines.push(line(
            "gap",
            gap <= terms.bounds.gap,
            format!("longest hole in the audio {gap}, {} at most", terms.bounds.gap),
        ));
    }
    lines
}

/// A far end that does not echo tells by its reports whether it hears.
fn reported(placed: &Placed) -> Line {
    match placed.record.pointer("/media/callee/told_loss_permille").and_then(Value::as_u64) {
        Some(loss) if loss < 100 => {
            line("audio-to", true, format!("by its reports the far end has lost {loss} of 1000 packets"))
        }
        Some(loss) => line("audio-to", false, format!("by its reports the far end has lost {loss} of 1000 packets")),
        None => unproven("audio-to", "the far end neither echoes nor reports (RTCP)"),
    }
}

/// The edge must see that nobody is heard.
fn noticed(placed: &Placed) -> Line {
    let notes = placed.record["notes"].as_array().map_or(0, Vec::len);
    let told = placed.why.iter().find(|sentence| sentence.contains(" after the answer: "));
    match told {
        Some(sentence) if notes > 0 => line("noticed", true, sentence.clone()),
        _ => line("noticed", false, "the edge has seen nothing wrong with the audio"),
    }
}

/// The codec that the far end spoke: that of the trunk which stands in is to be the one the caller had before.
fn codec(terms: &Terms<'_>, placed: &Placed) -> Option<Line> {
    let spoken = codec_of(placed)?;
    Some(match terms.before.and_then(|before| before.codec.as_deref()) {
        None => line("codec", true, format!("{spoken} is spoken")),
        Some(before) if before == spoken => line("codec", true, format!("{spoken}, as before")),
        Some(before) => line("codec", false, format!("{spoken}, and {before} while nothing was broken")),
    })
}

/// A re-INVITE that changes nothing must be answered: behind a NAT that it does not know of a far end tells a Contact that leads nowhere, and
/// neither this nor the BYE comes to it.
fn inside(placed: &Placed) -> Option<Line> {
    let check = "re-invite";
    placed.lived.answer?;
    Some(match placed.lived.reinvited {
        Some(200..300) => line(check, true, "the far end is reached inside the call"),
        Some(491) => unproven(check, "the far end was busy with a request of its own (491)"),
        Some(code @ (408 | 481 | 500..600)) => line(check, false, format!("a request inside the call came to {code}")),
        Some(code) => line(check, true, format!("the far end is reached inside the call, and refused with {code}")),
        None => line(
            check,
            false,
            "no request inside the call reached the far end, and so no BYE will: its Contact leads nowhere, is it behind NAT?",
        ),
    })
}

/// Keys are told to the trunk that stands in as they are to the one it stands in for. Whoever sends none back proves nothing.
fn keys(terms: &Terms<'_>, placed: &Placed) -> Vec<Line> {
    if !terms.echo || placed.lived.heard.is_none() {
        return Vec::new();
    }
    let back = keys_back(placed);
    let before = terms.before.map_or([false; 2], |before| before.keys);
    let one = |(index, (_, key, way)): (usize, (Span, u8, DigitWay))| {
        let (check, how) = match way {
            DigitWay::Event => ("dtmf-event", "as a telephone-event (RFC 4733)"),
            DigitWay::Info => ("dtmf-info", "by INFO"),
        };
        let key = char::from(key);
        match (back[index], before[index]) {
            (true, _) => line(check, true, format!("key {key}, told {how}, came back")),
            (false, true) => line(
                check,
                false,
                format!(
                    "key {key}, told {how}, did not come back, and did while nothing was broken: see `dtmf` of both trunks"
                ),
            ),
            (false, false) => unproven(check, format!("the far end sends no key back that is told {how}")),
        }
    };
    KEYS.into_iter().enumerate().map(one).collect()
}

/// Which of our keys came back, however they were told then.
fn keys_back(placed: &Placed) -> [bool; 2] {
    let digits = placed.lived.heard.as_ref().map(|heard| heard.digits.as_slice()).unwrap_or_default();
    KEYS.map(|(_, key, _)| digits.iter().any(|(digit, _)| digit.key() == char::from(key)))
}

/// What the caller hears while the one he talks to is lost: what came, in order. Somebody must be heard in the end, where somebody was called.
fn hears(placed: &Placed) -> Option<Line> {
    let (heard, mut from) = (placed.lived.heard.as_ref()?, placed.lived.answered_at?);
    let mut told = Vec::new();
    for spell in &heard.spells {
        if spell.from.since(from) > SILENCE {
            told.push(format!("nothing for {}", spell.from.since(from)));
        }
        let what = spell.tone_hz.map_or_else(|| String::from("noise"), |hz| format!("{hz} Hz"));
        told.push(format!("{what} for {}", spell.until.since(spell.from)));
        from = spell.until;
    }
    let order = if told.is_empty() { String::from("nothing at all") } else { told.join(", ") };
    let rescued = placed.why.iter().any(|sentence| sentence.contains("is called again"));
    Some(if rescued {
        let reached = heard.spells.last().is_some_and(|spell| spell.tone_hz.is_some());
        line("rescue", reached, format!("the caller heard {order}"))
    } else {
        unproven("rescue", format!("nobody was called again, see `rescue` of the trunk; the caller heard {order}"))
    })
}

/// By the edge's record.
fn codec_of(placed: &Placed) -> Option<&str> {
    placed.record.pointer("/media/callee/codec").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::caller::Lived;
    use super::*;
    use agent::{Digit, Heard, Spell};
    use model::Instant;
    use serde_json::json;

    const BOUNDS: Bounds = Bounds {
        ringback: Span::from_secs(4),
        answer: Span::from_secs(8),
        gap: Span::from_millis(400),
        failback: Span::from_secs(300),
    };

    fn judged(fault: Option<DrillFault>, echo: bool, placed: &Placed) -> Step {
        let before = Before { codec: Some(String::from("PCMA")), keys: [true, false] };
        let terms =
            Terms { trunk: "acme", fault, bounds: BOUNDS, echo, before: Some(&before), title: String::from("t") };
        judge(&terms, placed)
    }

    fn placed() -> Placed {
        let attempt =
            |trunk: &str, fault: Value, outcome: Value| json!({ "trunk": trunk, "fault": fault, "outcome": outcome });
        let heard = Heard {
            packets: 150,
            tones: vec![(850, Span::from_secs(1)), (OURS_HZ, Span::from_secs(1))],
            longest_gap: Span::from_millis(40),
            digits: vec![(Digit::of_key(b'5').unwrap(), DigitWay::Info)],
            ..Heard::default()
        };
        Placed {
            lived: Lived {
                ringback: Some(Span::from_millis(900)),
                answer: Some(Span::from_millis(1_100)),
                answered_at: Some(Instant::ZERO),
                reinvited: Some(200),
                refused: None,
                heard: Some(heard),
            },
            record: json!({
                "call": "00", "notes": [],
                "attempts": [
                    attempt("acme", json!("silent"), json!({ "no_reply": { "after": 1 } })),
                    attempt("globex", Value::Null, json!("answered")),
                ],
                "media": { "callee": { "codec": "PCMA" } },
            }),
            why: Vec::new(),
        }
    }

    fn failing(step: &Step) -> Vec<&'static str> {
        step.lines.iter().filter(|line| line.verdict == Verdict::Failed).map(|line| line.check).collect()
    }

    #[test]
    fn a_call_that_another_trunk_carried_passes_every_line() {
        let step = judged(Some(DrillFault::Silent), true, &placed());
        assert_eq!((step.failed(), step.count(Verdict::Passed)), (0, 10), "{:?}", step.lines);
        assert_eq!(step.count(Verdict::Unproven), 1, "a far end that sends no INFO back proves nothing by it");
    }

    #[test]
    fn each_thing_that_is_wrong_fails_its_own_line() {
        let fails = |change: &dyn Fn(&mut Placed)| {
            let mut placed = placed();
            change(&mut placed);
            failing(&judged(Some(DrillFault::Silent), true, &placed))
        };
        assert_eq!(fails(&|placed| placed.record["attempts"][0]["fault"] = Value::Null), ["met"]);
        assert_eq!(fails(&|placed| placed.record["attempts"][1]["trunk"] = json!("acme")), ["stand-in"]);
        assert_eq!(fails(&|placed| placed.lived.ringback = Some(Span::from_secs(5))), ["ringback"]);
        assert_eq!(fails(&|placed| placed.lived.answer = Some(Span::from_secs(9))), ["answer"]);
        assert_eq!(fails(&|placed| placed.lived.heard.as_mut().unwrap().tones.pop().map_or((), |_| ())), ["audio-to"]);
        assert_eq!(fails(&|placed| placed.lived.heard.as_mut().unwrap().stream.gaps.push(Span::from_secs(1))), ["gap"]);
        assert_eq!(fails(&|placed| placed.record["media"]["callee"]["codec"] = json!("PCMU")), ["codec"]);
        assert_eq!(fails(&|placed| placed.lived.reinvited = None), ["re-invite"]);
        assert_eq!(fails(&|placed| placed.lived.reinvited = Some(408)), ["re-invite"]);
        assert!(fails(&|placed| placed.lived.reinvited = Some(488)).is_empty(), "whoever refuses was reached");
        assert_eq!(fails(&|placed| placed.lived.heard.as_mut().unwrap().digits.clear()), ["dtmf-event"]);
        let mute = |placed: &mut Placed| *placed.lived.heard.as_mut().unwrap() = Heard::default();
        assert_eq!(fails(&mute), ["audio-from", "audio-to", "dtmf-event"]);
    }

    #[test]
    fn a_far_end_that_neither_echoes_nor_reports_proves_nothing() {
        let mut placed = placed();
        placed.lived.heard.as_mut().unwrap().tones.pop();
        let told = |placed: &Placed| {
            let step = judged(None, false, placed);
            step.lines.iter().find(|line| line.check == "audio-to").unwrap().verdict
        };
        assert_eq!(told(&placed), Verdict::Unproven);
        placed.record["media"]["callee"]["told_loss_permille"] = json!(0);
        assert_eq!(told(&placed), Verdict::Passed);
        placed.record["media"]["callee"]["told_loss_permille"] = json!(1_000);
        assert_eq!(told(&placed), Verdict::Failed);
    }

    #[test]
    fn audio_that_is_blocked_must_be_noticed() {
        let mut placed = placed();
        placed.record["attempts"] = json!([{ "trunk": "acme", "fault": "rtp_from", "outcome": "answered" }]);
        assert_eq!(failing(&judged(Some(DrillFault::RtpFrom), true, &placed)), ["noticed"]);
        placed.record["notes"] = json!([{}]);
        placed.why = vec![String::from("5.0 s after the answer: audio of acme stopped")];
        let step = judged(Some(DrillFault::RtpFrom), true, &placed);
        assert_eq!((step.failed(), step.count(Verdict::Unproven)), (0, 1), "nobody was called again: {:?}", step.lines);
    }

    #[test]
    fn who_is_kept_while_the_other_is_called_again_hears_somebody_in_the_end() {
        let mut placed = placed();
        placed.record["notes"] = json!([{}]);
        placed.why = vec![String::from("5.0 s after the answer: acme was let go and is called again by call 7")];
        let at = |ms| Instant::ZERO + Span::from_millis(ms);
        let heard = placed.lived.heard.as_mut().unwrap();
        heard.spells = vec![
            Spell { tone_hz: None, from: at(4_000), until: at(4_500) },
            Spell { tone_hz: Some(850), from: at(4_520), until: at(8_000) },
        ];
        let rescue = |placed: &Placed| {
            let step = judged(Some(DrillFault::RtpFrom), true, placed);
            step.lines.iter().find(|line| line.check == "rescue").cloned().unwrap()
        };
        let line = rescue(&placed);
        assert_eq!(line.verdict, Verdict::Passed);
        assert_eq!(line.told, "the caller heard nothing for 4 s, noise for 500 ms, 850 Hz for 3.4 s");
        placed.lived.heard.as_mut().unwrap().spells.pop();
        assert_eq!(rescue(&placed).verdict, Verdict::Failed);
    }
}
