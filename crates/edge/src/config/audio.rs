//! `audio = { … }`, `rescue` and `media` of a trunk: when its audio counts as lost in a live call, and what may be done about it.
//!
//! Refuses to know: what is done when.

use super::draft::Draft;
use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is};
use super::trunk::TrunkDraft;
use super::value::{self, found};
use core::ops::RangeInclusive;
use decide::{AudioPolicy, Rescue};
use model::{Mos, Span};

pub(super) static AUDIO: Section = Section {
    title: "audio of [trunk.NAME]",
    example: "[trunk.acme.audio]",
    about: "When this trunk counts as silent in a call that is answered. Hold, fax, and whoever sends reports (RTCP) and no audio are not \
            silent; one who pauses when nobody speaks may do so for 10 s, and for three times his longest pause.",
    keys: &[
        is("start", "duration", "\"3s\"", "Nothing at all came since the answer, and the other side sends."),
        is(
            "silence",
            "duration",
            "\"3s\"",
            "It was heard, and is not any more: its peer is asked whether it is there.",
        ),
        is(
            "dead",
            "duration, or \"never\"",
            "\"60s\"",
            "Nothing came from either side, though both had been heard: the call is ended, and why is said. The longer one of both trunks holds.",
        ),
        is(
            "loss",
            "share",
            "\"10%\"",
            "Packets lost within five seconds from which on its audio has holes: as many such calls as `media_calls` put it in doubt.",
        ),
        is(
            "mos",
            "opinion score, or \"off\"",
            "\"off\"",
            "Opinion score below which its audio is poor, such as \"3.1\": estimated (ITU-T G.107) by its codec, packets lost within five \
             seconds, and jitter and bursts of the call. Poor calls and those with holes together put it in doubt, as many as above; a call \
             is good again at 0.2 more. Off unless it is set: loss is counted, and a score rests on what the far end is thought to conceal. \
             G.711 has 4.4 without loss and 3.4 with 10 % lost, G.729 has 4.1 and 2.7.",
        ),
    ],
};

/// Tenths: no audio is worse than 1.0, and what is good again at 0.2 more must be within reach of a codec of a low rate.
const SCORES: RangeInclusive<u16> = 15..=40;
const RESCUES: &[&str] = &["off", "on", "both"];
/// More interfaces than that are tried in no call.
const MEDIA_MAX: usize = 4;

/// What a trunk's configuration says of its audio.
#[derive(Debug, Default)]
pub(super) struct AudioDraft {
    pub(super) policy: AudioPolicy,
    /// The listens its audio goes by, best first; none is the one it is reached by.
    pub(super) media: Vec<At<String>>,
}

pub(super) fn read(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> AudioDraft {
    let media = trunk.get("media").map(|node| many(node, faults, value::text)).unwrap_or_default();
    let mut draft = AudioDraft { policy: AudioPolicy::default(), media };
    if draft.media.len() > MEDIA_MAX {
        let what = format!("{} interfaces are more than a caller would wait for", draft.media.len());
        faults.error(&trunk.place("media"), what, format!("at most {MEDIA_MAX}"), None);
    }
    draft.policy.rescue = match trunk.read("rescue", faults, value::word(RESCUES)) {
        Some("on") => Rescue::On,
        Some("both") => Rescue::Both,
        _ => Rescue::Off,
    };
    let Some(node) = trunk.get("audio") else { return draft };
    let Some(reader) = Reader::open(node, &node.span(), &AUDIO, faults) else { return draft };
    let limit = value::span(Span::from_millis(500), Span::from_secs(600));
    reader.set("start", &mut draft.policy.start, faults, &limit);
    reader.set("silence", &mut draft.policy.silence, faults, &limit);
    if reader.get("dead").is_some_and(|node| node.get_ref().as_str() == Some("never")) {
        draft.policy.dead = Span::ZERO;
    } else {
        reader.set("dead", &mut draft.policy.dead, faults, value::span(Span::from_secs(5), Span::from_secs(86_400)));
    }
    if let Some(loss) = reader.read("loss", faults, value::percent(1)) {
        draft.policy.loss = u16::from(loss) * 10;
    }
    if let Some(mos) = reader.read("mos", faults, score) {
        draft.policy.mos = mos;
    }
    let longest = draft.policy.start.max(draft.policy.silence);
    if draft.policy.dead > Span::ZERO && draft.policy.dead <= longest {
        let what = format!(
            "calls are ended after {} without audio, before anything is done about it ({longest})",
            draft.policy.dead
        );
        faults.error(&reader.place("dead"), what, "a duration longer than `start` and `silence`, or \"never\"", None);
    }
    draft
}

/// An opinion score that audio can fall short of, with one decimal as scores are told; none is off.
fn score(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Option<Mos>> {
    let text = node.get_ref().as_str().map_or("", str::trim);
    if text == "off" {
        return Some(None);
    }
    let (whole, tenths) = text.split_once('.').unwrap_or((text, "0"));
    let digit = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 1 && text != "+");
    let good = digit(whole).zip(digit(tenths)).map(|(whole, tenths)| whole * 10 + tenths);
    let Some(score) = good.filter(|score| SCORES.contains(score)).map(Mos::from_tenths) else {
        let bare = node.get_ref().as_float().map(|number| format!("write \"{}\"", number.as_str()));
        let expected = "a score from \"1.5\" to \"4.0\" with one decimal, or \"off\"";
        faults.error(&node.span(), format!("this is {}", found(node)), expected, bare);
        return None;
    };
    Some(Some(score))
}

/// The interfaces it names are there, and audio can go by them.
pub(super) fn check(draft: &Draft, trunk: &TrunkDraft, faults: &mut Faults<'_>) {
    for (index, named) in trunk.audio.media.iter().enumerate() {
        if trunk.audio.media[..index].iter().any(|earlier| earlier.value == named.value) {
            faults.error(&named.at, format!("listen `{}` is named twice", named.value), "each listen once", None);
        }
        if draft.listen(&named.value).is_some_and(|listen| listen.media.is_none()) {
            let what = format!("listen `{}` has no `media`, so that no audio goes by it", named.value);
            faults.error(&named.at, what, "a listen with `media`", None);
        }
    }
}
