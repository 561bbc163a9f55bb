//! What a trunk says of its audio: `codecs`, as a list or a table, `transcode`, `ptime`, `dtmf`, `srtp` and `rtcp_xr`.
//!
//! Refuses to know: what is made of an offer by it.

use super::fault::Faults;
use super::reader::{Node, Reader, many};
use super::schema::{Section, other};
use super::suggest::list;
use super::value;
use media::sdp::{DigitsBy, MediaPolicy, Srtp, Transcode};
use model::Span;

pub(super) static CODECS: Section = Section {
    title: "codecs of [trunk.NAME]",
    example: "[trunk.acme.codecs]",
    about: "Which codecs of the other side's offer it is shown, and which of its own offer are heard. A list in place of the table is `allow` and \
            `prefer` in one.",
    keys: &[
        other(
            "allow",
            "list of names",
            "every codec, known here or not",
            "[\"G722\", \"PCMA\"]",
            "What it is offered, of what the other side has. A trunk with which nothing is in common is passed over, and the caller gets 488 \
             when there is no other. Digits and comfort noise go beside it.",
        ),
        other("prefer", "list of names", "the offer's own order", "[\"PCMA\"]", "These come first, in this order."),
        other("strip", "list of names", "none", "[\"opus\"]", "What it is never shown."),
        other(
            "require",
            "list of names",
            "none",
            "[\"PCMA\"]",
            "Without these in its offer it is not called: the next trunk is tried.",
        ),
    ],
};

const TRANSCODE: &[&str] = &["when-needed", "never", "always"];
const SRTP: &[&str] = &["pass", "off", "sdes", "dtls"];
const DTMF: &[&str] = &["auto", "rfc4733", "info", "inband"];

/// Encoding names that may be written (RFC 3551 §6 and their own registrations).
const NAMES: &[&str] = &[
    "PCMA",
    "PCMU",
    "G722",
    "G729",
    "opus",
    "L16",
    "iLBC",
    "GSM",
    "GSM-EFR",
    "AMR",
    "AMR-WB",
    "EVS",
    "speex",
    "G723",
    "G726-16",
    "G726-24",
    "G726-32",
    "G726-40",
    "G728",
    "SILK",
    "telephone-event",
];

/// Reads `codecs`, `transcode`, `ptime`, `dtmf`, `srtp` and `rtcp_xr` of a trunk.
pub(super) fn read(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> MediaPolicy {
    let mut policy = MediaPolicy::NEUTRAL;
    if let Some(node) = trunk.get("codecs") {
        if node.get_ref().as_table().is_some() {
            read_table(node, &mut policy, faults);
        } else {
            policy.allow = names(node, faults);
            policy.prefer.clone_from(&policy.allow);
        }
    }
    policy.transcode = trunk.read("transcode", faults, value::word(TRANSCODE)).map(transcode).unwrap_or_default();
    policy.digits = trunk.read("dtmf", faults, value::word(DTMF)).map(digits).unwrap_or_default();
    let ptime = trunk.read("ptime", faults, value::span(Span::from_millis(10), Span::from_millis(60)));
    policy.ptime = ptime.and_then(|ptime| whole_frames(trunk, ptime, faults));
    policy.srtp = match trunk.read("srtp", faults, value::word(SRTP)) {
        Some("off") => Srtp::Off,
        Some("sdes") => Srtp::Sdes,
        Some("dtls") => Srtp::Dtls,
        _ => Srtp::Pass,
    };
    policy.rtcp_xr = trunk.read("rtcp_xr", faults, value::flag).unwrap_or_default();
    policy
}

/// By its word; there are no others.
fn transcode(word: &str) -> Transcode {
    match word {
        "never" => Transcode::Never,
        "always" => Transcode::Always,
        _ => Transcode::WhenNeeded,
    }
}

/// By its word; there are no others.
fn digits(word: &str) -> DigitsBy {
    match word {
        "rfc4733" => DigitsBy::Events,
        "info" => DigitsBy::Info,
        "inband" => DigitsBy::Inband,
        _ => DigitsBy::Auto,
    }
}

fn read_table(node: &Node<'_>, policy: &mut MediaPolicy, faults: &mut Faults<'_>) {
    let Some(reader) = Reader::open(node, &node.span(), &CODECS, faults) else { return };
    let mut of = |key| reader.get(key).map(|node| names(node, faults)).unwrap_or_default();
    (policy.allow, policy.prefer) = (of("allow"), of("prefer"));
    (policy.strip, policy.require) = (of("strip"), of("require"));
    let shown =
        |name: &&'static str| (policy.allow.is_empty() || policy.allow.contains(name)) && !policy.strip.contains(name);
    for (key, names) in [("require", &policy.require), ("prefer", &policy.prefer)] {
        let never: Vec<&str> = names.iter().copied().filter(|name| !shown(name)).collect();
        if !never.is_empty() {
            let what = format!("`{key}` names {}, which the trunk is never shown", list(never.iter().copied()));
            faults.error(&reader.place(key), what, "what `allow` has and `strip` has not", None);
        }
    }
    if !policy.allow.is_empty() && policy.allow.iter().all(|name| policy.strip.contains(name)) {
        faults.error(&reader.place("strip"), "nothing is left of `allow`", "a codec at least", None);
    }
}

/// Digits are no codec: how they go is said by `dtmf`.
fn names(node: &Node<'_>, faults: &mut Faults<'_>) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for name in many(node, faults, value::word(NAMES)) {
        if name.value != "telephone-event" && !names.contains(&name.value) {
            names.push(name.value);
        }
    }
    names
}

/// Packets of most codecs are whole frames of 10 ms (RFC 3551 §4.2).
fn whole_frames(trunk: &Reader<'_, '_>, ptime: Span, faults: &mut Faults<'_>) -> Option<u8> {
    let ms = ptime.as_millis();
    if !ms.is_multiple_of(10) {
        let fix = Some(format!("write \"{}ms\"", (ms + 5) / 10 * 10));
        faults.error(
            &trunk.place("ptime"),
            format!("packets of {ptime} are no whole frames"),
            "10, 20, 30, 40, 50 or 60 ms",
            fix,
        );
        return None;
    }
    u8::try_from(ms).ok()
}
