//! Scenarios as people write them: TOML, read by the same means as a configuration, with every fault at once.
//!
//! Refuses to know: files, policies.

use super::kind::Kind;
use super::outage::{Flap, Outage};
use super::scenario::{Arrivals, CallLaw, Redial, Scenario, Surge, TrunkLaw};
use edge::config::Fault;
use edge::config::text::{
    At, Faults, Node, Reader, Section, code, count, flag, is, many, needed, other, percent, span, table, text, word,
};
use model::Span;

static ROOT: Section = Section {
    title: "the top of the scenario",
    example: "",
    about: "Nothing but tables.",
    keys: &[
        table("scenario", "How long, and by which seed."),
        table("calls", "Who calls when."),
        table("trunk", "Trunks while they are well."),
        table("outage", "What goes wrong."),
    ],
};

static SCENARIO: Section = Section {
    title: "[scenario]",
    example: "[scenario]",
    about: "How long, and by which seed.",
    keys: &[
        is("seed", "count", "1", "Same seed, same run."),
        is("length", "duration", "\"10min\"", "How long it is watched."),
        is("warm", "duration", "\"1min\"", "Before that: calls teach the edge what is usual, and nothing is counted."),
    ],
};

static CALLS: Section = Section {
    title: "[calls]",
    example: "[calls]",
    about: "Who calls when.",
    keys: &[
        other("from", "name of a trunk", "whoever the first route takes calls from", "\"office\"", "Whose calls."),
        is("rate", "calls per time", "\"1/s\"", "Calls per `s`, `min` or `h`."),
        is("law", "\"poisson\" or \"constant\"", "\"poisson\"", "At random, as people call, or evenly."),
        other("profile", "list of percents of the rate", "100 throughout", "[20, 100, 60]", "The rate in equal parts."),
        other("surge", "table", "no rush", "{ percent = 300, start = \"2min\", end = \"4min\" }", "A rush."),
        other(
            "redial",
            "table",
            "nobody",
            "{ share = \"50%\", after = \"5s\", tries = 2 }",
            "Who was not put through.",
        ),
        is("patience", "duration", "\"15s\"", "How long a caller waits for ringing."),
        is("numbers", "list", "[\"+47\"]", "Beginnings of dialled numbers; \"+47*9\" is nine times as frequent."),
    ],
};

static SURGE: Section = Section {
    title: "surge of [calls]",
    example: "[calls.surge]",
    about: "A rush.",
    keys: &[
        needed("percent", "count", "300", "Of the usual rate."),
        needed("start", "duration", "\"2min\"", "From when."),
        needed("end", "duration", "\"4min\"", "Until when."),
    ],
};

static REDIAL: Section = Section {
    title: "redial of [calls]",
    example: "[calls.redial]",
    about: "What callers do who were not put through.",
    keys: &[
        is("share", "share", "\"50%\"", "How many try again."),
        is("after", "duration", "\"5s\"", "After how long."),
        is("tries", "count", "1", "How often at most."),
    ],
};

static TRUNK: Section = Section {
    title: "[trunk.NAME]",
    example: "[trunk.acme]",
    about: "One trunk while it is well; the name is that of the policy.",
    keys: &[
        is("tier", "count", "1", "In the default policy: 1 is the best."),
        is("weight", "count", "1", "In the default policy: its share of its tier."),
        is("reply", "duration", "\"20ms\"", "INVITE or OPTIONS to the first reply."),
        is("ring", "duration", "\"200ms\"", "First reply to ringing."),
        is("pick_up", "duration", "\"6s\"", "Ringing to answer, at random around this."),
        is("answered", "share", "\"70%\"", "Calls that are answered."),
        is("busy", "share", "\"15%\"", "Calls that are busy; the rest ring until the caller hangs up."),
        is("faults", "count", "0", "Of a thousand calls so many fail by its fault even while it is well."),
        is("talk", "duration", "\"2min\"", "How long people talk, at random around this."),
        is("talk_fixed", "true or false", "false", "Each as long as the other."),
        other("calls", "count", "no limit", "200", "Calls at once that it takes; more get 503."),
        other("cps", "count", "no limit", "20", "Calls per second that it takes; more get 503."),
    ],
};

const KINDS: &[&str] =
    &["silent", "refuse", "503", "slow", "lossy", "stall", "grey", "flapping", "dns", "no-audio", "half-capacity"];

static OUTAGE: Section = Section {
    title: "[[outage]]",
    example: "[[outage]]",
    about: "What goes wrong. Times count from the end of the warm-up.",
    keys: &[
        needed("trunk", "name or list", "\"acme\"", "Who."),
        needed("kind", "one of the kinds", "\"silent\"", "How."),
        is("start", "duration", "\"0s\"", "From when."),
        other("end", "duration", "the end of the scenario", "\"5min\"", "Until when."),
        other("retry_after", "duration", "none", "\"30s\"", "Of a 503: what it asks for."),
        is("added", "duration", "\"800ms\"", "Of slow: how much longer everything takes."),
        is("loss", "share", "\"2%\"", "Of lossy: packets lost in each direction."),
        is("code", "status code", "500", "Of grey: what INVITE gets."),
        other("prefix", "text", "any number", "\"+4790\"", "Of grey: only numbers that begin so."),
        is("share", "share", "\"100%\"", "Of grey: calls that are hit. Of half-capacity: what is left, then \"50%\"."),
        is("how", "one of the kinds", "\"silent\"", "Of flapping: how, while it is bad."),
        is("period", "duration", "\"20s\"", "Of flapping: one bad and one good time together, bad first."),
        is("bad", "share", "\"50%\"", "Of flapping: share of the period that is bad."),
        other(
            "harmless",
            "true or false",
            "slow by 1 s or less, loss under 20 %",
            "true",
            "Down would be a false alarm.",
        ),
    ],
};

/// Longest scenario.
const LONGEST: Span = Span::from_secs(7 * 86_400);

/// Reads a scenario; there is one when no fault is an error. `file` is its name in faults.
pub fn read(source: &str, file: &str) -> (Option<Scenario>, Vec<Fault>) {
    edge::config::read(source, file, |root, faults| {
        let root = Reader::root(root, &ROOT, faults);
        let mut scenario = Scenario::new(trunks(&root, faults));
        times(&root, &mut scenario, faults);
        if let Some(node) = root.get("calls") {
            scenario.calls = calls(node, faults).unwrap_or_default();
        }
        scenario.outages = outages(&root, &scenario, faults);
        if scenario.trunks.is_empty() {
            let fix = Some(String::from("add, for example, `[trunk.acme]`"));
            faults.error(&root.place("trunk"), "a scenario needs a trunk", "at least one `[trunk.NAME]`", fix);
        }
        Some(scenario)
    })
}

fn times(root: &Reader<'_, '_>, scenario: &mut Scenario, faults: &mut Faults<'_>) {
    let Some(node) = root.get("scenario") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &SCENARIO, faults) else { return };
    reader.set("seed", &mut scenario.seed, faults, |node, faults| {
        count(0_i64, i64::MAX)(node, faults).and_then(|seed| u64::try_from(seed).ok())
    });
    reader.set("length", &mut scenario.length, faults, span(Span::from_secs(1), LONGEST));
    reader.set("warm", &mut scenario.warm, faults, span(Span::ZERO, LONGEST));
}

fn calls(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<CallLaw> {
    let reader = Reader::open(node, &node.span(), &CALLS, faults)?;
    let mut law = CallLaw { from: reader.read("from", faults, text), ..CallLaw::default() };
    reader.set("rate", &mut law.per_hour, faults, rate);
    reader.set("law", &mut law.law, faults, |node, faults| {
        let word = word(&["poisson", "constant"])(node, faults)?;
        Some(if word == "constant" { Arrivals::Constant } else { Arrivals::Poisson })
    });
    if let Some(node) = reader.get("profile") {
        law.profile = many(node, faults, count(0, 10_000)).into_iter().map(|part: At<u32>| part.value).collect();
    }
    law.surge = reader.read("surge", faults, surge);
    law.redial = reader.read("redial", faults, redial);
    reader.set("patience", &mut law.patience, faults, span(Span::from_secs(1), Span::from_secs(600)));
    if let Some(node) = reader.get("numbers") {
        let numbers = many(node, faults, weighted);
        law.numbers = numbers.into_iter().map(|number| number.value).collect();
        if law.numbers.is_empty() {
            faults.error(&node.span(), "nobody is called", "at least one beginning of a number", None);
        }
    }
    Some(law)
}

/// `"5/s"`: calls per hour.
fn rate(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<u64> {
    let written = node.get_ref().as_str().unwrap_or_default();
    let parts = written.split_once('/').map(|(number, unit)| (number.trim().parse::<u64>(), unit.trim()));
    let per_hour = match parts {
        Some((Ok(number), "s")) => number.checked_mul(3_600),
        Some((Ok(number), "min")) => number.checked_mul(60),
        Some((Ok(number), "h")) => Some(number),
        _ => None,
    };
    let good = per_hour.filter(|rate| *rate <= 100_000 * 3_600);
    if good.is_none() {
        let number = node.get_ref().as_integer().map(|number| number.as_str().to_owned());
        let fix = number.map(|number| format!("write \"{number}/s\""));
        faults.error(&node.span(), "this is no rate of calls", "\"5/s\", \"300/min\" or \"1800/h\"", fix);
    }
    good
}

fn weighted(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<(String, u16)> {
    let written = text(node, faults)?;
    let (number, weight) = written.split_once('*').unwrap_or((&written, "1"));
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#');
    let weight = weight.trim().parse::<u16>().ok().filter(|weight| *weight > 0);
    match weight {
        Some(weight) if !number.is_empty() && number.trim().chars().all(plain) => {
            Some((number.trim().to_owned(), weight))
        }
        _ => {
            faults.error(&node.span(), "this begins no number", "digits, and a weight if any: \"+47*9\"", None);
            None
        }
    }
}

fn surge(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Surge> {
    let reader = Reader::open(node, &node.span(), &SURGE, faults)?;
    let percent = reader.need("percent", faults, count(0, 100_000));
    let start = reader.need("start", faults, span(Span::ZERO, LONGEST));
    let end = reader.need("end", faults, span(Span::ZERO, LONGEST));
    let surge = Surge { percent: percent?, start: start?, end: end? };
    if surge.end <= surge.start {
        faults.error(&reader.place("end"), "the rush ends before it begins", "an end after its start", None);
    }
    Some(surge)
}

fn redial(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Redial> {
    let reader = Reader::open(node, &node.span(), &REDIAL, faults)?;
    let mut redial = Redial { share: 50, after: Span::from_secs(5), tries: 1 };
    reader.set("share", &mut redial.share, faults, percent(0));
    reader.set("after", &mut redial.after, faults, span(Span::from_millis(100), Span::from_secs(3_600)));
    reader.set("tries", &mut redial.tries, faults, count(0, 20));
    Some(redial)
}

fn trunks(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Vec<TrunkLaw> {
    root.named("trunk", faults).into_iter().filter_map(|(name, node)| trunk(&name, node, faults)).collect()
}

fn trunk(name: &At<String>, node: &Node<'_>, faults: &mut Faults<'_>) -> Option<TrunkLaw> {
    let reader = Reader::open(node, &name.at, &TRUNK, faults)?;
    let mut law = TrunkLaw::new(&name.value);
    reader.set("tier", &mut law.tier, faults, |node, faults| count(1, 100)(node, faults).map(|tier: u8| tier - 1));
    reader.set("weight", &mut law.weight, faults, count(1, 10_000));
    let (least, most) = (Span::from_millis(1), Span::from_secs(600));
    reader.set("reply", &mut law.reply, faults, span(least, Span::from_secs(30)));
    for (key, slot) in [("ring", &mut law.ring), ("pick_up", &mut law.pick_up)] {
        reader.set(key, slot, faults, span(least, most));
    }
    reader.set("talk", &mut law.talk, faults, span(least, Span::from_secs(86_400)));
    reader.set("talk_fixed", &mut law.talk_fixed, faults, flag);
    for (key, slot) in [("answered", &mut law.answered), ("busy", &mut law.busy)] {
        reader.set(key, slot, faults, percent(0));
    }
    reader.set("faults", &mut law.fault_permille, faults, count(0, 1_000));
    law.calls = reader.read("calls", faults, count(1, 1_000_000));
    law.cps = reader.read("cps", faults, count(1, 1_000_000));
    if u32::from(law.answered) + u32::from(law.busy) > 100 {
        let what = format!("{} % answered and {} % busy are more than all calls", law.answered, law.busy);
        faults.error(&reader.place("busy"), what, "at most 100 % together", None);
    }
    Some(law)
}

fn outages(root: &Reader<'_, '_>, scenario: &Scenario, faults: &mut Faults<'_>) -> Vec<Outage> {
    let Some(node) = root.get("outage") else { return Vec::new() };
    let Some(list) = node.get_ref().as_array() else {
        let fix = node.get_ref().as_table().map(|_| String::from("write `[[outage]]`, with two brackets"));
        faults.error(&node.span(), "`outage` is no list", "a list of `[[outage]]` tables", fix);
        return Vec::new();
    };
    list.iter().flat_map(|node| outage(node, scenario, faults)).collect()
}

/// One outage for each trunk it names.
fn outage(node: &Node<'_>, scenario: &Scenario, faults: &mut Faults<'_>) -> Vec<Outage> {
    let Some(reader) = Reader::open(node, &node.span(), &OUTAGE, faults) else { return Vec::new() };
    let trunks = reader.need("trunk", faults, |node, faults| Some(many(node, faults, text))).unwrap_or_default();
    for name in trunks.iter().filter(|name| !scenario.trunks.iter().any(|trunk| trunk.name == name.value)) {
        let fix =
            edge::config::text::did_you_mean(&name.value, scenario.trunks.iter().map(|trunk| trunk.name.as_str()));
        faults.error(&name.at, format!("no trunk `{}` in this scenario", name.value), "the name of a trunk", fix);
    }
    let Some(word_of_kind) = reader.need("kind", faults, word(KINDS)) else { return Vec::new() };
    let time = span(Span::ZERO, LONGEST);
    let start = reader.read("start", faults, &time).unwrap_or(Span::ZERO);
    let end = reader.read("end", faults, &time).unwrap_or(scenario.length);
    if end <= start {
        let what = format!("this outage ends ({end}) before it begins ({start})");
        faults.error(&reader.place("end"), what, "an end after its start", None);
    }
    let flapping = word_of_kind == "flapping";
    let how = reader.read("how", faults, word(KINDS)).unwrap_or("silent");
    if flapping && how == "flapping" {
        faults.error(&reader.place("how"), "flapping cannot flap", "how it is bad, such as \"silent\"", None);
        return Vec::new();
    }
    strangers(&reader, word_of_kind, how, faults);
    let kind = kind(&reader, if flapping { how } else { word_of_kind }, faults);
    let flap = flapping.then(|| flap(&reader, faults));
    let harmless = reader.read("harmless", faults, flag).unwrap_or_else(|| kind.is_harmless());
    let one = |trunk: At<String>| Outage { trunk: trunk.value, kind: kind.clone(), start, end, flap, harmless };
    trunks.into_iter().map(one).collect()
}

/// Keys that say something about another kind only.
fn strangers(reader: &Reader<'_, '_>, kind: &str, how: &str, faults: &mut Faults<'_>) {
    let owners: &[(&'static str, &[&str])] = &[
        ("retry_after", &["503"]),
        ("added", &["slow"]),
        ("loss", &["lossy"]),
        ("code", &["grey"]),
        ("prefix", &["grey"]),
        ("share", &["grey", "half-capacity"]),
        ("how", &["flapping"]),
        ("period", &["flapping"]),
        ("bad", &["flapping"]),
    ];
    for (key, kinds) in owners {
        let fits = kinds.contains(&kind) || (kind == "flapping" && kinds.contains(&how));
        if reader.get(key).is_some() && !fits {
            let what = format!("`{key}` says nothing about an outage of kind \"{kind}\"");
            let fix = Some(format!("remove it, or write kind = \"{}\"", kinds.first().unwrap_or(&"")));
            faults.error(&reader.place(key), what, "keys of its kind", fix);
        }
    }
}

fn kind(reader: &Reader<'_, '_>, word: &str, faults: &mut Faults<'_>) -> Kind {
    let time = span(Span::from_millis(1), Span::from_secs(3_600));
    match word {
        "refuse" => Kind::Refuse,
        "503" => Kind::Unavailable { retry_after: reader.read("retry_after", faults, &time) },
        "slow" => Kind::Slow { added: reader.read("added", faults, &time).unwrap_or(Span::from_millis(800)) },
        "lossy" => {
            let percent = reader.read("loss", faults, percent(0)).unwrap_or(2);
            Kind::Lossy { permille: u32::from(percent) * 10 }
        }
        "stall" => Kind::Stall,
        "grey" => Kind::Grey {
            code: reader.read("code", faults, code).unwrap_or(500),
            prefix: reader.read("prefix", faults, text),
            share: reader.read("share", faults, percent(1)).unwrap_or(100),
        },
        "dns" => Kind::Dns,
        "no-audio" => Kind::NoAudio,
        "half-capacity" => Kind::Capacity { share: reader.read("share", faults, percent(0)).unwrap_or(50) },
        _ => Kind::Silent,
    }
}

fn flap(reader: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Flap {
    let time = span(Span::from_millis(100), Span::from_secs(86_400));
    let period = reader.read("period", faults, time).unwrap_or(Span::from_secs(20));
    let bad = reader.read("bad", faults, percent(1)).unwrap_or(50);
    Flap { period, bad: period.percent(u64::from(bad)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_read_and_bring_a_policy() {
        for (name, text) in [
            ("a-bad-day.toml", include_str!("../../../../examples/scenarios/a-bad-day.toml")),
            ("a-windy-hour.toml", include_str!("../../../../examples/scenarios/a-windy-hour.toml")),
            ("a-working-day.toml", include_str!("../../../../examples/scenarios/a-working-day.toml")),
        ] {
            let (scenario, faults) = read(text, name);
            assert!(faults.is_empty(), "{}", edge::config::render(&faults, text, name));
            let scenario = scenario.unwrap();
            assert!(scenario.trunks.len() >= 2 && scenario.outages.len() >= 2, "{name}");
            assert!(crate::policy::settings(&scenario).is_ok(), "{name}");
        }
    }

    #[test]
    fn all_faults_come_at_once_with_their_lines_and_likely_fixes() {
        let text = "[calls]\nrate = 5\n[trunk.acme]\nrepyl = \"20ms\"\nbusy = \"60%\"\n\
                    [[outage]]\ntrunk = \"acmee\"\nkind = \"silnet\"\n\
                    [[outage]]\ntrunk = \"acme\"\nkind = \"stall\"\nloss = \"5%\"\nstart = \"3min\"\nend = \"1min\"\n";
        let (scenario, faults) = read(text, "bad.toml");
        assert_eq!(scenario, None);
        let lines: Vec<(u32, Option<&str>)> = faults.iter().map(|fault| (fault.line, fault.fix.as_deref())).collect();
        assert_eq!(
            lines,
            [
                (2, Some("write \"5/s\"")),
                (4, Some("did you mean `reply`?")),
                (5, None),
                (7, Some("did you mean `acme`?")),
                (8, Some("did you mean `silent`?")),
                (12, Some("remove it, or write kind = \"lossy\"")),
                (14, None),
            ],
            "{}",
            edge::config::render(&faults, text, "bad.toml")
        );
    }

    #[test]
    fn an_outage_of_two_trunks_is_two_outages() {
        let text = "[trunk.acme]\n[trunk.globex]\n[[outage]]\ntrunk = [\"acme\", \"globex\"]\nkind = \"flapping\"\nhow = \"grey\"\ncode = 503\n";
        let (scenario, faults) = read(text, "two.toml");
        let outages = scenario.unwrap_or_else(|| panic!("{faults:?}")).outages;
        assert_eq!(outages.len(), 2);
        assert_eq!(outages[1].kind, Kind::Grey { code: 503, prefix: None, share: 100 });
        assert_eq!(outages[1].flap.map(|flap| flap.bad), Some(Span::from_secs(10)));
    }
}
