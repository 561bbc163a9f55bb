//! `[group.NAME]`: tiers of trunks, and how traffic comes back to a better one.

use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is, needed, other, table};
use super::{value, window};
use crate::window::Calendar;
use decide::{Failback, Strategy};
use model::Span;

pub(super) static GROUP: Section = Section {
    title: "[group.NAME]",
    example: "[group.carriers]",
    about: "What routes point to: tiers of trunks, best tier first.",
    keys: &[
        needed(
            "tiers",
            "list of lists of trunks",
            "[[\"acme\"]]",
            "[[\"acme\"], [\"globex\"]] uses globex when acme fails; [[\"acme*3\", \"globex*1\"]] shares calls three to one.",
        ),
        is(
            "strategy",
            "\"weighted\", \"least-loaded\" or \"quality\"",
            "\"weighted\"",
            "Who of a tier is tried first. By lot, by weight; whoever carries least for its limit of calls, or for its weight unless all \
             have a limit; or by lot, by weight times the share of the last minute's attempts that it did not fail.",
        ),
        is("alone", "true or false", "false", "Says that one trunk with one target is meant, as for a single PBX."),
        is(
            "eject_share",
            "share",
            "\"50%\"",
            "At most this share of the group is taken Down by decision; one always may be, and the last usable one never.",
        ),
        is("flips", "count", "6", "Falls per target within 10 min, beyond which a change upward waits."),
        table("failback", "When a recovered trunk is preferred again."),
    ],
};

pub(super) static FAILBACK: Section = Section {
    title: "failback of [group.NAME]",
    example: "[group.carriers.failback]",
    about: "When a recovered trunk is preferred again; until then it is a backup. `immediately`, `manual`, and `after` with `window` exclude each other.",
    keys: &[
        is(
            "after",
            "duration",
            "\"60s\"",
            "Time on Probation without a fault before it carries calls again, while another trunk can.",
        ),
        other(
            "window",
            "hours and time zone, or a list",
            "at any time",
            "[\"Mon-Fri 22:00-06:00 Europe/Oslo\", \"Sat,Sun 00:00-24:00 Europe/Oslo\"]",
            "Hours in which its calls may begin to return, after `after`; begun, they go on. Hours over midnight belong to the day on which they begin.",
        ),
        is("immediately", "true or false", "false", "Its calls begin to return as soon as it is on Probation."),
        is("manual", "true or false", "false", "Only `throughline trunk NAME restore` brings it back."),
        is(
            "ramp",
            "list of shares",
            "[\"5%\", \"25%\", \"100%\"]",
            "Steps by which calls return to it, each earned by good calls.",
        ),
    ],
};

const STRATEGIES: &[&str] = &["weighted", "least-loaded", "quality"];
/// Steps of the ramp when none is written.
pub(super) const RAMP_STEPS: usize = 3;
/// Time free of faults when none is written.
const AFTER: Span = Span::from_secs(60);

/// A trunk in a tier, as written.
#[derive(Clone, Debug)]
pub(super) struct MemberDraft {
    pub(super) trunk: String,
    pub(super) weight: u16,
}

/// `[group.NAME]` as read.
#[derive(Debug)]
pub(super) struct GroupDraft {
    pub(super) name: At<String>,
    pub(super) tiers: Vec<Vec<At<MemberDraft>>>,
    pub(super) strategy: Option<Strategy>,
    pub(super) failback: Option<Failback>,
    pub(super) windows: Option<At<Calendar>>,
    pub(super) ramp: Option<Vec<u8>>,
    pub(super) eject_share: Option<u8>,
    pub(super) flips: Option<u32>,
    pub(super) alone: bool,
}

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Vec<GroupDraft> {
    root.named("group", faults).into_iter().filter_map(|(name, node)| read_one(name, node, faults)).collect()
}

fn read_one(name: At<String>, node: &Node<'_>, faults: &mut Faults<'_>) -> Option<GroupDraft> {
    let reader = Reader::open(node, &name.at, &GROUP, faults)?;
    let tiers = reader.need("tiers", faults, tiers).unwrap_or_default();
    let strategy = reader.read("strategy", faults, strategy);
    let back = read_failback(&reader, faults).unwrap_or_default();
    let eject_share = reader.read("eject_share", faults, value::percent(1));
    let flips = reader.read("flips", faults, value::count(1, 1_000));
    let alone = reader.read("alone", faults, value::flag).unwrap_or(false);
    let Back { failback, windows, ramp } = back;
    let tiers = once(tiers, faults);
    Some(GroupDraft { name, tiers, strategy, failback, windows, ramp, eject_share, flips, alone })
}

fn strategy(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Strategy> {
    value::word(STRATEGIES)(node, faults).map(|word| match word {
        "least-loaded" => Strategy::LeastLoaded,
        "quality" => Strategy::Quality,
        _ => Strategy::Weighted,
    })
}

fn tiers(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Vec<Vec<At<MemberDraft>>>> {
    let expected = "a list of tiers, each a list of trunks: [[\"acme\"], [\"globex\"]]";
    let Some(list) = node.get_ref().as_array().filter(|list| !list.is_empty()) else {
        let fix = node.get_ref().as_str().map(|name| format!("write [[\"{}\"]]", value::short(name)));
        faults.error(&node.span(), "this is no list of tiers", expected, fix);
        return None;
    };
    if list.iter().all(|tier| tier.get_ref().as_str().is_some()) {
        let names: Vec<String> =
            list.iter().filter_map(|tier| Some(format!("\"{}\"", value::short(tier.get_ref().as_str()?)))).collect();
        let (turns, share) = (names.join("], ["), names.join(", "));
        let fix = format!("write [[{turns}]] for one after the other, or [[{share}]] to share calls");
        faults.error(&node.span(), "tiers are lists in a list", expected, Some(fix));
        return None;
    }
    let tier = |tier: &Node<'_>| {
        let members = many(tier, faults, member);
        if tier.get_ref().as_array().is_some_and(|list| list.is_empty()) {
            faults.error(&tier.span(), "this tier is empty", "at least one trunk", None);
        }
        members
    };
    Some(list.iter().map(tier).collect())
}

/// `"acme"` or `"acme*3"`.
fn member(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<MemberDraft> {
    let Some(text) = node.get_ref().as_str() else {
        let expected = "the name of a trunk, with a weight if need be: \"acme*3\"";
        faults.error(&node.span(), format!("this is {}", value::found(node)), expected, None);
        return None;
    };
    let (trunk, weight) = text.split_once('*').map_or((text, "1"), |(trunk, weight)| (trunk.trim(), weight.trim()));
    let Some(weight) = weight.parse().ok().filter(|weight| (1..=10_000).contains(weight)) else {
        let what = format!("the weight in \"{}\" is no weight", value::short(text));
        faults.error(&node.span(), what, "a whole number from 1 to 10000", None);
        return None;
    };
    Some(MemberDraft { trunk: trunk.to_owned(), weight })
}

/// A trunk counts where it is named first.
fn once(tiers: Vec<Vec<At<MemberDraft>>>, faults: &mut Faults<'_>) -> Vec<Vec<At<MemberDraft>>> {
    let mut seen: Vec<String> = Vec::new();
    let mut keep = |member: &At<MemberDraft>| {
        let name = &member.value.trunk;
        if seen.contains(name) {
            let what = format!("trunk `{}` is in these tiers already; only its first place counts", value::short(name));
            faults.warn(&member.at, what, "each trunk once", Some(String::from("remove it here")));
            return false;
        }
        seen.push(name.clone());
        true
    };
    let tiers = tiers.into_iter().map(|tier| tier.into_iter().filter(&mut keep).collect::<Vec<_>>());
    tiers.filter(|tier| !tier.is_empty()).collect()
}

/// `failback = { … }` as read.
#[derive(Default)]
struct Back {
    failback: Option<Failback>,
    windows: Option<At<Calendar>>,
    ramp: Option<Vec<u8>>,
}

fn read_failback(group: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Option<Back> {
    let node = group.get("failback")?;
    let reader = Reader::open(node, &node.span(), &FAILBACK, faults)?;
    let after = reader.read("after", faults, value::span(Span::ZERO, Span::from_secs(86_400)));
    let windows = reader.read("window", faults, window::calendar);
    let windows = windows.map(|value| At { value, at: reader.place("window") });
    let immediately = reader.read("immediately", faults, value::flag).unwrap_or(false);
    let manual = reader.read("manual", faults, value::flag).unwrap_or(false);
    let wins = if manual { "manual" } else { "immediately" };
    for (key, written) in
        [("immediately", immediately && manual), ("after", after.is_some()), ("window", windows.is_some())]
    {
        if written && (manual || immediately) {
            let whom =
                if manual { "manual failback waits for the operator" } else { "immediate failback waits for nothing" };
            let fix = Some(format!("remove it, or `{wins}`"));
            faults.error(&reader.place(key), format!("{whom}, so `{key}` has no meaning"), "one of the two", fix);
        }
    }
    let failback = match (manual, immediately, after) {
        (true, ..) => Some(Failback::Manual),
        (_, true, _) => Some(Failback::After(Span::ZERO)),
        (.., after) if windows.is_some() => Some(Failback::Window { after: after.unwrap_or(AFTER) }),
        (.., after) => after.map(Failback::After),
    };
    Some(Back { failback, windows, ramp: reader.read("ramp", faults, ramp) })
}

fn ramp(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Vec<u8>> {
    let steps: Vec<u8> = many(node, faults, value::percent(1)).into_iter().map(|step: At<u8>| step.value).collect();
    let whole = node.get_ref().as_array().is_none_or(|list| list.len() == steps.len());
    let climbs = steps.windows(2).all(|pair| pair[0] < pair[1]);
    if whole && (!climbs || steps.last() != Some(&100)) {
        let mut sorted = steps.clone();
        sorted.push(100);
        sorted.sort_unstable();
        sorted.dedup();
        let words: Vec<String> = sorted.iter().map(|step| format!("\"{step}%\"")).collect();
        let fix = Some(format!("write [{}]", words.join(", ")));
        faults.error(&node.span(), "a ramp climbs, and ends at 100%", "rising shares, the last one \"100%\"", fix);
        return None;
    }
    whole.then_some(steps)
}
