//! The plan of a drill: which trunks are broken how, who calls what, and what counts as good. Read from TOML by the same means as a
//! configuration, with every fault at once; without a file it is what the edge says can be drilled.
//!
//! Refuses to know: how a drill is carried out.

use edge::config::Fault;
use edge::config::text::{At, Faults, Node, Reader, Section, flag, is, many, needed, other, span, table, text};
use model::{DrillFault, Span};
use serde_json::Value;
use std::net::IpAddr;

static ROOT: Section = Section {
    title: "the top of the plan",
    example: "",
    about: "Nothing but tables.",
    keys: &[table("drill", "Who drills, and what counts as good."), table("line", "One trunk that is broken.")],
};

static DRILL: Section = Section {
    title: "[drill]",
    example: "[drill]",
    about: "Who drills, and what counts as good.",
    keys: &[
        other(
            "why",
            "text",
            "nothing",
            "\"acceptance\"",
            "Why, for the record; who drills is told by the token that is shown.",
        ),
        is("limit", "duration", "\"10min\"", "When it ends at the latest."),
        is(
            "ringback",
            "duration",
            "\"8s\"",
            "INVITE to ringing at most, whatever is broken: a trunk that stalls is left after its `progress`, 6 s.",
        ),
        is("answer", "duration", "\"12s\"", "INVITE to answer at most, whatever is broken."),
        is("failback", "duration", "\"5min\"", "Mending to where calls come back at most; looked at with `all_calls`."),
        is("gap", "duration", "\"400ms\"", "Longest time between two packets of audio that counts as good."),
        other(
            "caller",
            "IP address",
            "the one this machine reaches the edge from",
            "\"192.0.2.9\"",
            "Where calls come from.",
        ),
        is("all_calls", "true or false", "false", "Trunks are broken for every call; needs --yes on the command line."),
    ],
};

static LINE: Section = Section {
    title: "[[line]]",
    example: "[[line]]",
    about: "One trunk that is broken, in one way after another.",
    keys: &[
        needed("trunk", "name of a trunk", "\"acme\"", "Whom."),
        needed(
            "from",
            "name of a trunk",
            "\"office\"",
            "As whose the calls come: the PBX's when they go out, a carrier's when they come in.",
        ),
        needed(
            "number",
            "text",
            "\"+4722000000\"",
            "What is dialled: the number of a test call, which the far end echoes.",
        ),
        is(
            "faults",
            "list",
            "[\"refuse\", \"503\", \"silent\", \"stall\", \"grey\", \"dns\", \"rtp-from\", \"rtp-to\"]",
            "How: a word of these, or another code from 400 to 699.",
        ),
        is("echo", "true or false", "true", "The far end sends back what it hears, so that audio is proven both ways."),
    ],
};

/// How a trunk is broken when nothing else is asked for.
const USUAL: [DrillFault; 8] = [
    DrillFault::Refuse,
    DrillFault::Code(503),
    DrillFault::Silent,
    DrillFault::Stall,
    DrillFault::Grey,
    DrillFault::Dns,
    DrillFault::RtpFrom,
    DrillFault::RtpTo,
];

/// What is drilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) why: String,
    pub(super) limit: Span,
    pub(super) bounds: Bounds,
    pub(super) caller: Option<IpAddr>,
    pub(super) all_calls: bool,
    pub(super) lines: Vec<Line>,
}

/// What counts as good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) ringback: Span,
    pub(super) answer: Span,
    pub(super) gap: Span,
    pub(super) failback: Span,
}

/// One trunk, and the ways in which it is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) trunk: String,
    pub(super) from: String,
    pub(super) number: String,
    pub(super) faults: Vec<DrillFault>,
    pub(super) echo: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            why: String::new(),
            limit: Span::from_secs(600),
            bounds: Bounds {
                ringback: Span::from_secs(8),
                answer: Span::from_secs(12),
                gap: Span::from_millis(400),
                failback: Span::from_secs(300),
            },
            caller: None,
            all_calls: false,
            lines: Vec::new(),
        }
    }
}

impl Plan {
    /// What the edge says can be drilled: every trunk that comes first for its test number and that another one stands in for.
    pub(super) fn of_candidates(candidates: &Value) -> Self {
        let word = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let all = candidates.as_array().map(Vec::as_slice).unwrap_or_default();
        let first = all.iter().filter(|one| one.pointer("/order/0") == one.get("trunk"));
        let line = |one: &Value| Line {
            trunk: word(one, "trunk"),
            from: word(one, "from"),
            number: word(one, "number"),
            faults: USUAL.to_vec(),
            echo: true,
        };
        Self { lines: first.map(line).collect(), ..Self::default() }
    }

    /// From a text; every fault of it when there is one.
    pub(super) fn read(text: &str, file: &str) -> (Option<Self>, Vec<Fault>) {
        edge::config::read(text, file, |root, faults| {
            let root = Reader::root(root, &ROOT, faults);
            let mut plan = Self::default();
            read_drill(&root, &mut plan, faults);
            let lines = root.get("line").map(|node| many(node, faults, line)).unwrap_or_default();
            plan.lines = lines.into_iter().map(|line| line.value).collect();
            if plan.lines.is_empty() {
                faults.error(
                    &root.place("line"),
                    "the plan breaks nobody",
                    "a [[line]] with trunk, from and number",
                    None,
                );
            }
            Some(plan)
        })
    }

    /// The ways of a line that are played: for every call one is enough, since until calls have come back minutes may pass.
    pub(super) fn ways<'l>(&self, line: &'l Line) -> &'l [DrillFault] {
        if self.all_calls { &line.faults[..line.faults.len().min(1)] } else { &line.faults }
    }

    /// Whether it is watched how calls leave a trunk that is broken so, and come back.
    pub(super) fn watches(&self, fault: DrillFault) -> bool {
        self.all_calls && !fault.is_of_audio()
    }

    /// Every trunk that is broken, once.
    pub(super) fn trunks(&self) -> Vec<&str> {
        let mut trunks: Vec<&str> = self.lines.iter().map(|line| line.trunk.as_str()).collect();
        trunks.sort_unstable();
        trunks.dedup();
        trunks
    }

    /// Only these trunks and these ways, when any are named; what is named and not in the plan.
    pub(super) fn keep(&mut self, trunks: &[String], faults: &[DrillFault]) -> Vec<String> {
        let absent =
            trunks.iter().filter(|name| !self.lines.iter().any(|line| line.trunk == **name)).cloned().collect();
        if !trunks.is_empty() {
            self.lines.retain(|line| trunks.contains(&line.trunk));
        }
        if !faults.is_empty() {
            self.lines.iter_mut().for_each(|line| line.faults = faults.to_vec());
        }
        absent
    }
}

fn read_drill(root: &Reader<'_, '_>, plan: &mut Plan, faults: &mut Faults<'_>) {
    let Some(node) = root.get("drill") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &DRILL, faults) else { return };
    if let Some(why) = reader.read("why", faults, text) {
        plan.why = why;
    }
    let patience = || span(Span::from_millis(50), Span::from_secs(60));
    reader.set("limit", &mut plan.limit, faults, span(Span::from_secs(10), Span::from_secs(3_600)));
    reader.set("ringback", &mut plan.bounds.ringback, faults, patience());
    reader.set("answer", &mut plan.bounds.answer, faults, patience());
    reader.set("failback", &mut plan.bounds.failback, faults, span(Span::from_secs(1), Span::from_secs(3_600)));
    reader.set("gap", &mut plan.bounds.gap, faults, patience());
    reader.set("all_calls", &mut plan.all_calls, faults, flag);
    plan.caller = reader.read("caller", faults, address);
}

fn line(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Line> {
    let reader = Reader::open(node, &node.span(), &LINE, faults)?;
    let trunk = reader.need("trunk", faults, text);
    let from = reader.need("from", faults, text);
    let number = reader.need("number", faults, text);
    let ways: Option<Vec<At<DrillFault>>> = reader.get("faults").map(|node| many(node, faults, way));
    let mut echo = true;
    reader.set("echo", &mut echo, faults, flag);
    let faults = ways.map_or_else(|| USUAL.to_vec(), |ways| ways.into_iter().map(|way| way.value).collect());
    Some(Line { trunk: trunk?, from: from?, number: number?, faults, echo })
}

fn way(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<DrillFault> {
    let word = text(node, faults)?;
    let way = DrillFault::from_word(&word);
    if way.is_none() {
        let known = "dns, refuse, silent, stall, grey, rtp-from, rtp-to, or a code such as \"503\"";
        faults.error(&node.span(), format!("`{word}` is no way to break a trunk"), known, None);
    }
    way
}

fn address(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<IpAddr> {
    let word = text(node, faults)?;
    let address = word.parse().ok();
    if address.is_none() {
        faults.error(&node.span(), format!("`{word}` is no address"), "an IP address without a port", None);
    }
    address
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn the_example_is_sound_and_says_what_it_says() {
        let text = include_str!("../../../../examples/drill.toml");
        let (plan, faults) = Plan::read(text, "drill.toml");
        assert!(faults.is_empty(), "{faults:?}");
        let plan = plan.unwrap();
        assert_eq!(plan.lines.len(), 1);
        assert_eq!((plan.lines[0].trunk.as_str(), plan.lines[0].from.as_str()), ("acme", "office"));
        assert!(plan.lines[0].faults.contains(&DrillFault::Code(503)) && !plan.all_calls);
    }

    #[test]
    fn every_fault_of_a_plan_is_told_at_once() {
        let text = "[drill]\nlimit = \"1ms\"\n[[line]]\ntrunk = \"acme\"\nfaults = [\"silnt\"]\n";
        let (plan, faults) = Plan::read(text, "drill.toml");
        assert!(plan.is_none());
        let told = format!("{faults:?}");
        for part in ["1 ms is too short", "`silnt` is no way to break a trunk", "from", "number"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(format!("{:?}", Plan::read("", "drill.toml").1).contains("the plan breaks nobody"));
    }

    #[test]
    fn without_a_file_every_first_trunk_with_a_stand_in_is_drilled() {
        let one = |trunk: &str| json!({ "trunk": trunk, "from": "office", "number": "1", "order": ["acme", "globex"] });
        let mut plan = Plan::of_candidates(&json!([one("acme"), one("globex")]));
        assert_eq!(plan.lines.len(), 1, "globex stands behind acme");
        assert_eq!((plan.lines[0].trunk.as_str(), plan.lines[0].faults.len()), ("acme", 8));
        let absent = plan.keep(&["acme".into(), "nobody".into()], &[DrillFault::Silent]);
        assert_eq!((absent, plan.lines[0].faults.clone()), (vec![String::from("nobody")], vec![DrillFault::Silent]));
    }
}
