//! What each side of an audio line is offered and answered, by the policies of both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use media::sdp::{DigitsBy, Exchange, Formats, Making, MediaPolicy, NothingInCommon, Sdp, Settled, Transcode, offer};
use media::{Codec, Digits, Speech};
use proptest::prelude::*;

const PCMA: &str = "8\r\na=rtpmap:8 PCMA/8000\r\n";
const G711: &str = "0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";
const WEB: &str = "111 63 9 13 110 126\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 useinbandfec=1\r\n\
    a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
    a=rtpmap:126 telephone-event/8000\r\n";
const AMR: &str = "96\r\na=rtpmap:96 AMR/8000\r\na=fmtp:96 octet-align=1\r\n";

fn text(formats: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}a=sendrecv\r\n"
    )
}

fn formats(text: &str) -> Formats<'_> {
    let sdp = Sdp::parse(text.as_bytes()).unwrap();
    Formats::of(&sdp, &sdp.streams()[0]).unwrap()
}

const ALL: Making<'static> = Making { codecs: &|codec| codec != Codec::G729, clear: true };
const NONE: Making<'static> = Making { codecs: &|_| false, clear: true };
const LOCKED: Making<'static> = Making { codecs: &|_| true, clear: false };

fn allow(names: &[&'static str]) -> MediaPolicy {
    MediaPolicy { allow: names.to_vec(), prefer: names.to_vec(), ..MediaPolicy::default() }
}

fn digits_by(digits: DigitsBy) -> MediaPolicy {
    MediaPolicy { digits, ..MediaPolicy::default() }
}

/// The offer as `to` is shown it.
fn shown(theirs: &str, to: &MediaPolicy, making: Making<'_>) -> Result<String, NothingInCommon> {
    let theirs = text(theirs);
    let line = offer(&formats(&theirs), &MediaPolicy::default(), to, making)?;
    Ok(String::from_utf8(Sdp::parse(theirs.as_bytes()).unwrap().with_lines(&[line])).unwrap())
}

/// The formats of its media line.
fn numbers(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("m=audio 4000 RTP/AVP ")).unwrap()
}

struct Case<'c> {
    offer: &'c str,
    answer: &'c str,
    offerer: MediaPolicy,
    answerer: MediaPolicy,
    making: Making<'c>,
    before: &'c [u8],
}

fn case<'c>(offer: &'c str, answer: &'c str) -> Case<'c> {
    let (offerer, answerer) = (MediaPolicy::default(), MediaPolicy::default());
    Case { offer, answer, offerer, answerer, making: ALL, before: &[] }
}

impl Case<'_> {
    /// What it came to, and the answer as the offerer is shown it.
    fn settle(&self) -> Result<(Settled, String), NothingInCommon> {
        let (theirs, answer) = (text(self.offer), text(self.answer));
        let line = offer(&formats(&theirs), &self.offerer, &self.answerer, self.making).unwrap();
        let shown = String::from_utf8(Sdp::parse(theirs.as_bytes()).unwrap().with_lines(&[line])).unwrap();
        let exchange = Exchange {
            offer: &formats(&theirs),
            shown: &formats(&shown),
            answer: &formats(&answer),
            offerer: &self.offerer,
            answerer: &self.answerer,
            making: self.making,
            before: self.before,
        };
        let settled = exchange.settle()?;
        let out = Sdp::parse(answer.as_bytes()).unwrap().with_lines(std::slice::from_ref(&settled.line));
        Ok((settled, String::from_utf8(out).unwrap()))
    }
}

fn spoken(speech: &Speech) -> Vec<(Codec, u8)> {
    speech.formats.iter().map(|format| (format.codec, format.payload_type)).collect()
}

#[test]
fn without_a_policy_nothing_is_touched() {
    for offer in
        [PCMA, G711, "8 96\r\na=rtpmap:96 AMR/8000\r\n", "18\r\n", AMR, "101\r\na=rtpmap:101 telephone-event/8000\r\n"]
    {
        assert_eq!(shown(offer, &MediaPolicy::default(), ALL).unwrap(), text(offer), "{offer}");
        let (settled, answer) = case(offer, offer).settle().unwrap();
        assert_eq!((settled.treated, answer), (false, text(offer)), "{offer}");
    }
    assert_eq!(shown(WEB, &MediaPolicy::default(), NONE).unwrap(), text(WEB), "nothing can be made");
    assert_eq!(shown(WEB, &MediaPolicy::default(), LOCKED).unwrap(), text(WEB), "nor of what is locked");
}

#[test]
fn a_trunk_is_shown_what_it_allows_in_its_order() {
    let both = shown(G711, &allow(&["PCMA", "PCMU"]), ALL).unwrap();
    assert_eq!(numbers(&both), "8 0 101");
    assert_eq!(numbers(&shown(G711, &allow(&["PCMU"]), ALL).unwrap()), "0 101");
    let strip = MediaPolicy { strip: vec!["opus", "pcmu"], ..MediaPolicy::default() };
    let out = shown(G711, &strip, ALL).unwrap();
    assert_eq!(out, text(G711).replace("0 8 101", "8 101").replace("a=rtpmap:0 PCMU/8000\r\n", ""));
    let prefer = MediaPolicy { prefer: vec!["G722"], transcode: Transcode::Never, ..MediaPolicy::default() };
    assert_eq!(numbers(&shown(WEB, &prefer, ALL).unwrap()), "9 111 63 13 110 126");
}

#[test]
fn what_wraps_goes_with_what_it_wraps_and_events_with_their_clock() {
    let strip = MediaPolicy { strip: vec!["opus"], transcode: Transcode::Never, ..MediaPolicy::default() };
    let out = shown(WEB, &strip, ALL).unwrap();
    assert_eq!(numbers(&out), "9 13 126");
    assert!(!out.contains("rtcp-fb:111") && !out.contains("fmtp:63"), "{out}");
}

#[test]
fn what_everybody_knows_is_added_when_it_is_missing() {
    let out = shown(WEB, &MediaPolicy::default(), ALL).unwrap();
    assert_eq!(numbers(&out), "111 9 8 0 63 13 110 126");
    assert!(out.contains("a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"), "{out}");
    let opus = "111 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n";
    let out = shown(opus, &MediaPolicy::default(), ALL).unwrap();
    assert_eq!(numbers(&out), "111 8 0 110 101", "RFC 4733 §2.5.1.2: with events of its clock");
    assert!(out.contains("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"), "{out}");
    assert_eq!(shown(AMR, &MediaPolicy::default(), ALL).unwrap(), text(AMR), "nobody here can read it");
}

#[test]
fn nothing_in_common_is_made_or_refused() {
    let opus = allow(&["opus", "G722"]);
    let out = shown(G711, &opus, ALL).unwrap();
    assert_eq!(numbers(&out), "111 9 101 96", "{out}");
    assert!(out.contains("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"), "{out}");
    assert!(out.contains("a=rtpmap:96 telephone-event/48000\r\n"), "{out}");
    for (to, making) in [
        (opus.clone(), NONE),
        (opus.clone(), LOCKED),
        (MediaPolicy { transcode: Transcode::Never, ..opus }, ALL),
        (allow(&["G729"]), ALL),
    ] {
        assert_eq!(shown(G711, &to, making), Err(NothingInCommon), "{to:?}");
    }
    assert_eq!(shown(AMR, &allow(&["PCMA"]), ALL), Err(NothingInCommon));
}

#[test]
fn always_offers_all_and_what_is_required_is_there_or_the_trunk_is_not_called() {
    let always = MediaPolicy { transcode: Transcode::Always, ..allow(&["G722", "PCMA"]) };
    assert_eq!(numbers(&shown(G711, &always, ALL).unwrap()), "9 8 101");
    let require = MediaPolicy { require: vec!["G722"], ..MediaPolicy::default() };
    assert_eq!(numbers(&shown(G711, &require, ALL).unwrap()), "0 8 9 101");
    assert_eq!(shown(G711, &require, NONE), Err(NothingInCommon));
    assert_eq!(numbers(&shown(WEB, &require, NONE).unwrap()), "111 63 9 13 110 126");
}

#[test]
fn an_answer_passes_when_it_is_in_the_offer() {
    let answer = "8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let (settled, out) = case(G711, answer).settle().unwrap();
    assert_eq!((settled.treated, out), (false, text(answer)));
    assert_eq!(spoken(&settled.offerer), [(Codec::Pcma, 8)]);
    assert_eq!(settled.offerer.digits, Digits::Events { payload_type: 101, clock: 8_000 });
    // Another number for the way to the answerer (RFC 3264 §6.1) passes as it is written.
    let other = "96\r\na=rtpmap:96 opus/48000/2\r\n";
    let (settled, out) = case(WEB, other).settle().unwrap();
    assert_eq!((settled.treated, out), (false, text(other)));
    assert_eq!(spoken(&settled.answerer), [(Codec::Opus, 96), (Codec::Opus, 111)]);
}

#[test]
fn an_answer_that_was_made_for_is_answered_as_the_offerer_speaks() {
    let answer = "8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=x-y:z\r\n";
    let opus = "97 98\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:98 telephone-event/48000\r\n";
    let (settled, out) = case(opus, answer).settle().unwrap();
    assert!(settled.treated);
    assert_eq!(numbers(&out), "97 98");
    assert!(
        out.contains("a=rtpmap:97 opus/48000/2\r\n") && out.contains("a=rtpmap:98 telephone-event/48000\r\n"),
        "{out}"
    );
    assert!(out.contains("a=x-y:z\r\n") && !out.contains("PCMA"), "{out}");
    assert_eq!(
        (spoken(&settled.offerer), spoken(&settled.answerer)),
        (vec![(Codec::Opus, 97)], vec![(Codec::Pcma, 8)])
    );
    assert_eq!(settled.offerer.digits, Digits::Events { payload_type: 98, clock: 48_000 });
    assert_eq!(settled.answerer.digits, Digits::Events { payload_type: 101, clock: 8_000 });
    // One that was never offered is refused when it cannot be made.
    let stray = Case { making: NONE, ..case(G711, AMR) };
    assert_eq!(stray.settle().map(|_| ()), Err(NothingInCommon));
}

#[test]
fn what_the_offerer_was_answered_before_goes_on() {
    let ulaw = "0\r\na=rtpmap:0 PCMU/8000\r\n";
    let (settled, out) = Case { before: &[8], ..case(G711, ulaw) }.settle().unwrap();
    assert!(settled.treated);
    assert_eq!(numbers(&out), "8");
    assert_eq!((spoken(&settled.offerer), spoken(&settled.answerer)), (vec![(Codec::Pcma, 8)], vec![(Codec::Pcmu, 0)]));
    let (settled, out) = Case { before: &[8], ..case(G711, PCMA) }.settle().unwrap();
    assert_eq!((settled.treated, out), (false, text(PCMA)), "it is the same");
    let (settled, out) = Case { before: &[8], making: NONE, ..case(G711, ulaw) }.settle().unwrap();
    assert_eq!((settled.treated, out), (false, text(ulaw)), "a change is better than no call");
}

#[test]
fn digits_go_as_each_trunk_wants_them() {
    let plain = "8\r\na=rtpmap:8 PCMA/8000\r\n";
    let events = Digits::Events { payload_type: 101, clock: 8_000 };
    let cut = "0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n";
    for (by, digits) in [(DigitsBy::Info, Digits::Info), (DigitsBy::Inband, Digits::Inband)] {
        // Its trunk is shown no events, and the offerer keeps his.
        assert_eq!(shown(G711, &digits_by(by), ALL).unwrap(), text(cut));
        let (settled, out) = Case { answerer: digits_by(by), ..case(G711, plain) }.settle().unwrap();
        assert_eq!((settled.treated, settled.offerer.digits, settled.answerer.digits), (true, events, digits));
        assert_eq!(numbers(&out), "8 101");
        // The other way round: the answerer has events, and the offerer is told of none.
        let (settled, out) = Case { offerer: digits_by(by), ..case(G711, G711) }.settle().unwrap();
        assert_eq!((settled.treated, settled.offerer.digits, settled.answerer.digits), (true, digits, events));
        assert_eq!(numbers(&out), "0 8");
    }
    // Events where the offerer has none.
    let wants = digits_by(DigitsBy::Events);
    assert_eq!(numbers(&shown(PCMA, &wants, ALL).unwrap()), "8 101");
    let with = "8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let (settled, out) = Case { answerer: wants, ..case(PCMA, with) }.settle().unwrap();
    assert_eq!((settled.treated, settled.offerer.digits, settled.answerer.digits), (true, Digits::Inband, events));
    assert_eq!(numbers(&out), "8");
    // An answerer without events, and nobody who wants otherwise: as they said.
    let (settled, out) = case(G711, plain).settle().unwrap();
    assert_eq!((settled.treated, settled.offerer.digits, out), (false, Digits::Inband, text(plain)));
}

#[test]
fn packets_have_the_length_that_is_asked_for() {
    let ptime = MediaPolicy { ptime: Some(30), ..MediaPolicy::default() };
    let out = shown(PCMA, &ptime, ALL).unwrap();
    assert!(out.ends_with("a=sendrecv\r\na=ptime:30\r\n"), "{out}");
    let most = "8\r\na=ptime:10\r\na=maxptime:20\r\n";
    let out = shown(most, &ptime, ALL).unwrap();
    assert!(out.contains("a=ptime:20\r\n") && !out.contains("a=ptime:10\r\n"), "never beyond its maxptime: {out}");
    let (settled, out) = Case { answerer: ptime, ..case(PCMA, PCMA) }.settle().unwrap();
    assert_eq!((settled.treated, out), (true, text(PCMA)));
    assert_eq!((settled.offerer.formats[0].packet_ms, settled.answerer.formats[0].packet_ms), (20, 30));
    // Without a policy a difference stays between the two of them.
    let (settled, _) = case(PCMA, "8\r\na=ptime:40\r\n").settle().unwrap();
    assert!(!settled.treated);
}

const NAMES: [(&str, u32); 8] = [
    ("PCMA", 8_000),
    ("PCMU", 8_000),
    ("G722", 8_000),
    ("opus", 48_000),
    ("AMR", 8_000),
    ("iLBC", 8_000),
    ("telephone-event", 8_000),
    ("telephone-event", 48_000),
];

fn described(list: &[(usize, u8)]) -> String {
    let numbers: Vec<String> = list.iter().map(|(_, number)| number.to_string()).collect();
    let mut out = numbers.join(" ") + "\r\n";
    for (name, number) in list {
        let (name, clock) = NAMES[*name];
        out += &format!("a=rtpmap:{number} {name}/{clock}{}\r\n", if name == "opus" { "/2" } else { "" });
    }
    out
}

/// Formats by name, each with a number of its own.
fn some_formats() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let list = prop::collection::vec((0..NAMES.len(), 96u8..128), 1..8);
    list.prop_map(|mut list| {
        let mut seen = std::collections::BTreeSet::new();
        let mut names = std::collections::BTreeSet::new();
        list.retain(|(name, number)| seen.insert(*number) && names.insert(*name));
        list
    })
}

fn some_policy() -> impl Strategy<Value = MediaPolicy> {
    let names = || prop::collection::vec(prop::sample::select(vec!["PCMA", "PCMU", "G722", "opus", "AMR"]), 0..4);
    let transcode = prop::sample::select(vec![Transcode::WhenNeeded, Transcode::Always, Transcode::Never]);
    let digits = prop::sample::select(vec![DigitsBy::Auto, DigitsBy::Events, DigitsBy::Info, DigitsBy::Inband]);
    (names(), names(), transcode, digits, prop::option::of(10u8..60)).prop_map(
        |(allow, strip, transcode, digits, ptime)| MediaPolicy {
            prefer: allow.clone(),
            allow,
            strip,
            require: vec![],
            transcode,
            ptime,
            digits,
            srtp: media::sdp::Srtp::Pass,
            rtcp_xr: false,
        },
    )
}

proptest! {
    /// What a side is shown it allows, by numbers that are each used once; what it answers of that is understood by the other.
    #[test]
    fn what_is_offered_is_understood(
        list in some_formats(), from in some_policy(), to in some_policy(), picks in prop::collection::vec(any::<bool>(), 16), clear: bool,
    ) {
        let theirs = text(&described(&list));
        let theirs = formats(&theirs);
        let making = Making { codecs: &|codec| codec != Codec::G729, clear };
        let Ok(line) = offer(&theirs, &from, &to, making) else { return Ok(()) };
        let own = text(&described(&list));
        let shown = String::from_utf8(Sdp::parse(own.as_bytes()).unwrap().with_lines(&[line])).unwrap();
        let shown = formats(&shown);
        let sounds = |formats: &Formats<'_>| formats.list.iter().filter(|format| format.is_sound()).count();
        prop_assert!(sounds(&theirs) == 0 || sounds(&shown) > 0);
        for format in shown.list.iter().filter(|format| format.is_sound() && sounds(&theirs) > 0) {
            let name = std::str::from_utf8(format.name).unwrap();
            let known = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
            prop_assert!((to.allow.is_empty() || known(&to.allow)) && !known(&to.strip), "{name}");
            let its = theirs.by_number(format.payload_type).is_some_and(|own| own.is_same_as(format));
            prop_assert!(its || clear && theirs.by_number(format.payload_type).is_none(), "{name} by its number or a free one");
        }
        // It picks some of them.
        let mut picked: Vec<_> = shown.list.iter().zip(&picks).filter(|(_, pick)| **pick).map(|(format, _)| *format).collect();
        if picked.is_empty() {
            picked.push(shown.list[0]);
        }
        let said: Vec<(usize, u8)> = picked
            .iter()
            .map(|format| {
                let is = |(name, clock): &(&str, u32)| format.name.eq_ignore_ascii_case(name.as_bytes()) && format.clock == *clock;
                (NAMES.iter().position(is).unwrap(), format.payload_type)
            })
            .collect();
        let answer = text(&described(&said));
        let answer_formats = formats(&answer);
        let exchange = Exchange {
            offer: &theirs, shown: &shown, answer: &answer_formats, offerer: &from, answerer: &to, making, before: &[],
        };
        let settled = exchange.settle();
        prop_assert!(settled.is_ok() || sounds(&answer_formats) == 0, "what was offered is understood");
        let Ok(settled) = settled else { return Ok(()) };
        let out = String::from_utf8(Sdp::parse(answer.as_bytes()).unwrap().with_lines(std::slice::from_ref(&settled.line))).unwrap();
        let out = formats(&out);
        for format in &out.list {
            let own = theirs.by_number(format.payload_type);
            prop_assert!(own.is_some_and(|own| own.is_same_as(format)), "{:?} of the offer", format);
        }
        prop_assert!(clear || !settled.treated, "what is locked passes");
        if sounds(&answer_formats) > 0 {
            prop_assert!(sounds(&out) > 0);
            for format in &settled.offerer.formats {
                prop_assert!(out.by_number(format.payload_type).is_some(), "it is told what it speaks");
            }
            if let Digits::Events { payload_type, .. } = settled.offerer.digits {
                prop_assert!(out.by_number(payload_type).is_some_and(|event| event.is_event()));
            }
        }
    }
}
