//! `test_call = { … }` of a trunk: a number that is called now and then, and what must come of it.

use super::draft::Draft;
use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is, other};
use super::trunk::TrunkDraft;
use super::value::{self, found};
use act::{Expected, TestCallScript};
use core::ops::Range;
use model::Span;
use sense::{CodeClass, TestCallPace};

pub(super) static TEST_CALL: Section = Section {
    title: "test_call of [trunk.NAME]",
    example: "[trunk.acme.test_call]",
    about: "A call of our own to a set number of the trunk, by the very socket that calls use: it shows what OPTIONS cannot.",
    keys: &[
        other(
            "number",
            "number to dial",
            "no test calls",
            "\"+4722000000\"",
            "Whom it calls. Best an echo number: what comes back proves both directions.",
        ),
        is(
            "every",
            "duration",
            "\"10min\"",
            "Test call to test call, for each target. A call costs a channel and maybe money; silence is found by probes. Never two \
             within 30 s.",
        ),
        is(
            "jitter",
            "share",
            "\"20%\"",
            "More or less than `every` by up to this, so that many trunks do not fall into step.",
        ),
        is(
            "expect",
            "\"answer\", codes and classes",
            "\"answer\"",
            "What is good: an answer with its audio, or a final response such as \"4xx\", [\"404\", \"406\"], \"2xx\".",
        ),
        is(
            "tone",
            "true, false or \"from\"",
            "true",
            "What an answer must bring: audio proven in both directions, none, or audio from the target alone. Ours is proven by its echo \
             or by RTCP reports.",
        ),
        is(
            "deadline",
            "duration",
            "\"20s\"",
            "INVITE to final response. Ringing is part of it; the first ring comes within seconds.",
        ),
        is(
            "listen",
            "duration",
            "\"5s\"",
            "How long it listens for what `tone` asks for, at most; it hangs up as soon as that is heard. An announcement before the echo \
             needs more.",
        ),
        other(
            "from",
            "number or user",
            "the user of `auth`, else `edge`",
            "\"+4722334455\"",
            "Who calls: some carriers refuse a caller they do not know.",
        ),
    ],
};

/// Least time between two, as `sense` keeps it.
const LEAST: Span = Span::from_secs(30);
/// From here on it is worth a word: so many calls are likely billed, or noticed.
const OFTEN: Span = Span::from_secs(60);
/// Beyond deadline and audio: for the order to arrive, and for its report.
const SLACK: Span = Span::from_secs(5);

/// Test calls of one trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCallPlan {
    /// When.
    pub pace: TestCallPace,
    /// What.
    pub script: TestCallScript,
}

/// `test_call` as read.
#[derive(Debug)]
pub(super) struct TestCallDraft {
    pub(super) plan: TestCallPlan,
    /// Where the number is written.
    at: Range<usize>,
}

pub(super) fn read(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Option<TestCallDraft> {
    let node = trunk.get("test_call")?;
    let reader = Reader::open(node, &node.span(), &TEST_CALL, faults)?;
    let (mut every, mut jitter_percent) = (Span::from_secs(600), 20);
    let (mut deadline, mut listen) = (Span::from_secs(20), Span::from_secs(5));
    let (mut expect, mut tone) = (Expect::Answer, Tone::BothWays);
    reader.set("every", &mut every, faults, value::span(LEAST, Span::from_secs(86_400)));
    reader.set("jitter", &mut jitter_percent, faults, value::percent(0));
    reader.set("deadline", &mut deadline, faults, value::span(Span::from_secs(1), Span::from_secs(30)));
    reader.set("listen", &mut listen, faults, value::span(Span::from_secs(1), Span::from_secs(20)));
    reader.set("expect", &mut expect, faults, expected);
    reader.set("tone", &mut tone, faults, direction);
    let from = reader.read("from", faults, user);
    dangers(&reader, &expect, every, faults);
    let number = reader.read("number", faults, user)?;
    let script = TestCallScript {
        number: number.into_bytes(),
        from: from.map(String::into_bytes),
        expect: match (expect, tone) {
            (Expect::Codes(ranges), _) => Expected::Codes(ranges),
            (Expect::Answer, Tone::None) => Expected::Codes(vec![(200, 299)]),
            (Expect::Answer, Tone::From) => Expected::Heard,
            (Expect::Answer, Tone::BothWays) => Expected::HeardBothWays,
        },
        deadline,
        listen,
    };
    let pace = TestCallPace { every, jitter_percent, patience: deadline + listen + SLACK };
    Some(TestCallDraft { plan: TestCallPlan { pace, script }, at: reader.place("number") })
}

fn dangers(reader: &Reader<'_, '_>, expect: &Expect, every: Span, faults: &mut Faults<'_>) {
    if reader.get("number").is_none() {
        let what = "without a number no test call is placed";
        faults.warn(&reader.at, what, "`number`", Some(String::from("add, for example, `number = \"+4722000000\"`")));
    }
    if every < OFTEN {
        let what = format!("a call each {every} to each target is likely to be billed, or taken for an attack");
        faults.warn(&reader.place("every"), what, format!("{OFTEN} or more"), None);
    }
    if matches!(expect, Expect::Codes(_)) && reader.get("tone").is_some() {
        let what = "`tone` changes nothing: only expect = \"answer\" listens";
        faults.warn(&reader.place("tone"), what, "expect = \"answer\"", None);
    }
    if let Expect::Codes(ranges) = expect
        && ranges.iter().any(|(first, last)| (*first..=*last).contains(&503))
    {
        let what = "503 is how a trunk says that it cannot take calls, and here it would be good";
        faults.warn(&reader.place("expect"), what, "codes that a working trunk gives", None);
    }
}

/// What a trunk's test calls need of the rest of the file.
pub(super) fn check(draft: &Draft, trunk: &TrunkDraft, faults: &mut Faults<'_>) {
    let Some(test_call) = &trunk.test_call else { return };
    let Some(listen) = trunk.listen.as_ref().and_then(|name| draft.listen(&name.value)) else { return };
    let listens = !matches!(test_call.plan.script.expect, Expected::Codes(_));
    if listens && listen.media.is_none() {
        let what = format!("the test call listens for audio, and listen `{}` has no `media`", listen.name.value);
        let fix = Some(String::from("give the listen a range of media ports, or write tone = false"));
        faults.error(&test_call.at, what, "a listen with `media`", fix);
    }
    if draft.edge.emergency.iter().any(|number| number.as_bytes() == test_call.plan.script.number) {
        let what = "this is a number for emergencies: people answer it";
        faults.error(&test_call.at, what, "a number for testing", None);
    }
}

/// What is good.
#[derive(Clone, Debug)]
enum Expect {
    Answer,
    Codes(Vec<(u16, u16)>),
}

/// What an answer must bring.
#[derive(Clone, Copy, Debug)]
enum Tone {
    None,
    From,
    BothWays,
}

fn expected(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Expect> {
    if node.get_ref().as_str() == Some("answer") {
        return Some(Expect::Answer);
    }
    let ranges: Vec<(u16, u16)> = many(node, faults, value::code_class)
        .into_iter()
        .map(|class: At<CodeClass>| match class.value {
            CodeClass::Code(code) => (code, code),
            CodeClass::Class(class) => (u16::from(class) * 100, u16::from(class) * 100 + 99),
        })
        .collect();
    let is_empty_list = node.get_ref().as_array().is_some_and(|list| list.is_empty());
    if is_empty_list {
        faults.error(&node.span(), "nothing would be good", "\"answer\", or codes and classes", None);
    }
    (!ranges.is_empty()).then_some(Expect::Codes(ranges))
}

fn direction(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Tone> {
    match (node.get_ref().as_bool(), node.get_ref().as_str()) {
        (Some(true), _) => Some(Tone::BothWays),
        (Some(false), _) => Some(Tone::None),
        (_, Some("from")) => Some(Tone::From),
        _ => {
            faults.error(&node.span(), format!("this is {}", found(node)), "true, false or \"from\"", None);
            None
        }
    }
}

/// A number, or the name of a service such as `echo`: what may stand in the user part of a URI as it is (RFC 3261 §25.1).
fn user(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '*' | '-' | '_' | '.' | '~');
    let good = (1..=64).contains(&text.len()) && text.chars().all(plain);
    if !good {
        let fix = node.get_ref().as_integer().map(|number| format!("write \"{}\"", value::short(number.as_str())));
        let uri =
            text.strip_prefix("sip:").and_then(|rest| rest.split('@').next()).filter(|user| user.chars().all(plain));
        let fix = fix.or_else(|| uri.map(|user| format!("write \"{}\": the host is the target's", value::short(user))));
        let what = format!("{} is no number to dial", found(node));
        faults.error(&node.span(), what, "digits in quotes, with `+` before them if dialled so", fix);
    }
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Settings, compile};
    use super::*;
    use model::TrunkId;

    const EXAMPLE: &str = include_str!("../../../../examples/two-carriers.toml");

    /// The example whose acme has this test call: its settings, and each fault as `severity what | fix`.
    fn with(test_call: &str) -> (Option<Settings>, Vec<String>) {
        let acme = "[trunk.acme]";
        let text = EXAMPLE.replacen(acme, &format!("{acme}\ntest_call = {{ {test_call} }}"), 1);
        let compiled = compile(&text, "edge.toml", &|_| None, None);
        let tell = |fault: &super::super::Fault| {
            let fix = fault.fix.as_deref().map(|fix| format!(" | {fix}")).unwrap_or_default();
            format!("{} {}{fix}", fault.severity.word(), fault.what)
        };
        (compiled.settings, compiled.faults.iter().map(tell).collect())
    }

    #[test]
    fn a_number_is_enough_and_without_one_there_are_none() {
        let (settings, said) = with("number = \"+4722000000\"");
        let settings = settings.unwrap();
        assert_eq!(said, Vec::<String>::new());
        let plan = settings.test_call(TrunkId(1)).unwrap();
        let patience = Span::from_secs(30);
        assert_eq!(plan.pace, TestCallPace { every: Span::from_secs(600), jitter_percent: 20, patience });
        assert_eq!((&plan.script.number[..], &plan.script.expect), (&b"+4722000000"[..], &Expected::HeardBothWays));
        assert_eq!((plan.script.deadline, plan.script.listen), (Span::from_secs(20), Span::from_secs(5)));
        assert_eq!(settings.tested().iter().map(|(target, _)| target.trunk.0).collect::<Vec<_>>(), [1]);
        let (settings, said) = with("every = \"5min\"");
        assert_eq!(settings.unwrap().tested(), []);
        assert!(said[0].starts_with("warning without a number no test call is placed"), "{said:?}");
    }

    #[test]
    fn what_is_good_is_written_as_people_say_it() {
        let expect = |words: &str| {
            let (settings, said) = with(&format!("number = \"echo\", {words}"));
            let plan = settings.unwrap().test_call(TrunkId(1)).unwrap().clone();
            (plan.script.expect, said.len())
        };
        assert_eq!(expect("expect = \"4xx\""), (Expected::Codes(vec![(400, 499)]), 0));
        assert_eq!(expect("expect = [\"404\", 406]"), (Expected::Codes(vec![(404, 404), (406, 406)]), 0));
        assert_eq!(expect("expect = \"2xx\""), (Expected::Codes(vec![(200, 299)]), 0));
        assert_eq!(expect("expect = \"answer\", tone = false"), (Expected::Codes(vec![(200, 299)]), 0));
        assert_eq!(expect("tone = \"from\""), (Expected::Heard, 0));
        assert_eq!(expect("tone = true"), (Expected::HeardBothWays, 0));
    }

    #[test]
    fn each_way_to_get_it_wrong_has_its_words() {
        for (test_call, wanted) in [
            ("number = 22000000", "error the number 22000000 is no number to dial | write \"22000000\""),
            (
                "number = \"sip:echo@acme.example\"",
                "error the text \"sip:echo@acme.example\" is no number to dial | write \"echo\": the host is the target's",
            ),
            ("number = \"1\", every = \"29s\"", "error 29 s is too short"),
            ("number = \"1\", every = \"30s\"", "warning a call each 30 s to each target is likely to be billed"),
            ("number = \"1\", deadline = \"2min\"", "error 2 min is too long"),
            ("number = \"1\", expect = \"busy\"", "error this is the text \"busy\""),
            ("number = \"1\", expect = []", "error nothing would be good"),
            ("number = \"1\", expect = \"5xx\"", "warning 503 is how a trunk says that it cannot take calls"),
            ("number = \"1\", expect = \"4xx\", tone = true", "warning `tone` changes nothing"),
            ("number = \"1\", tone = \"yes\"", "error this is the text \"yes\""),
            ("number = \"112\"", "error this is a number for emergencies"),
            ("nummer = \"1\"", "error unknown key `nummer` in test_call of [trunk.NAME] | did you mean `number`?"),
        ] {
            let (settings, said) = with(test_call);
            assert!(said.iter().any(|line| line.starts_with(wanted)), "{test_call}\nwanted {wanted}\n{said:#?}");
            assert_eq!(settings.is_none(), wanted.starts_with("error"), "{test_call}: {said:#?}");
        }
    }

    #[test]
    fn who_listens_needs_media_ports() {
        let bare = EXAMPLE.replacen("media = \"198.51.100.10:30000-39999\"", "", 1);
        let said = |expect: &str| {
            let acme = format!("[trunk.acme]\ntest_call = {{ number = \"1\"{expect} }}");
            let compiled = compile(&bare.replacen("[trunk.acme]", &acme, 1), "edge.toml", &|_| None, None);
            compiled.faults.iter().any(|fault| fault.what.contains("listen `wan` has no `media`"))
        };
        assert!(bare != EXAMPLE && said("") && said(", tone = \"from\""));
        assert!(!said(", tone = false") && !said(", expect = \"404\""));
    }
}
