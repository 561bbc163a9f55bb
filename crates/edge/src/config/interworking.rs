//! `headers`, `numbers`, `identity` and `causes` of a trunk: what it is told and believed.
//!
//! Patterns and rules are made here, once, so that a call has only to compare. Refuses to know: how a message crosses by them.

use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is, other, table};
use super::value::{self, found, short};
use act::{
    Assertion, CausePolicy, DiversionForm, FromForm, HeaderPattern, HeaderPolicy, IdentityPolicy, Interworking,
    NumberForm, NumberPolicy, NumberRule, ReasonForm, RemoteParty, SetHeader, UriForm,
};

pub(super) static HEADERS: Section = Section {
    title: "headers of [trunk.NAME]",
    example: "[trunk.acme.headers]",
    about: "Which headers it gets and gives, in requests and responses. Names in any case, compact forms too; `*` at the end stands for any \
            ending. Headers that belong to one leg (Via, Contact, Call-ID and the like) never pass and cannot be written here.",
    keys: &[
        is(
            "pass",
            "\"all\" or a list of names",
            "\"all\"",
            "Those it is sent, of the ones that no other table speaks of. A call for help keeps its location and precedence.",
        ),
        other(
            "strip",
            "list of names",
            "none",
            "[\"X-Internal-*\"]",
            "Those it is never sent, whatever else passes them.",
        ),
        other("ignore", "list of names", "none", "[\"X-Route\"]", "Those that are not taken from it."),
        other(
            "set",
            "table of names and texts",
            "none",
            "{ \"X-Edge\" = \"throughline\" }",
            "Those it is always sent, in the place of what came.",
        ),
    ],
};

pub(super) static NUMBERS: Section = Section {
    title: "numbers of [trunk.NAME]",
    example: "[trunk.acme.numbers]",
    about: "How it writes numbers. Those it sends become E.164 with a `+`, which is what routes compare; those it is sent are written so in the \
            request URI, To, From, P-Asserted-Identity and diversions. Numbers for help are never rewritten; records keep what was dialled.",
    keys: &[
        is(
            "format",
            "\"pass\", \"+e164\", \"e164\", \"national\" or \"00\"",
            "\"pass\"",
            "Form of its global numbers, both ways. What is shorter than `shortest`, and what is a name, stays as it is.",
        ),
        other(
            "country",
            "digits",
            "not known",
            "\"47\"",
            "Country code of its national numbers. Needed for \"national\".",
        ),
        is(
            "national",
            "digits",
            "\"\"",
            "What it writes before national numbers: \"0\" in many countries, nothing in some.",
        ),
        is("international", "digits", "\"00\"", "What it writes before numbers of other countries."),
        is("shortest", "count", "7", "Digits of its shortest national number: fewer are an extension or a short code."),
        is(
            "uri",
            "\"sip\", \"phone\" or \"tel\"",
            "\"sip\"",
            "URIs of numbers it is sent: plain, with `user=phone`, or tel URIs with a phone-context where one is due (RFC 3966).",
        ),
        table("from", "Rules for numbers from it, before they are read: `from = [{ prefix = \"9\", least = 5 }]`."),
        table(
            "to",
            "Rules for numbers to it, after they are written: `to = [{ prefix = \"+47\", replace = \"5501\" }]`.",
        ),
    ],
};

pub(super) static RULE: Section = Section {
    title: "from and to of numbers of [trunk.NAME]",
    example: "[[trunk.acme.numbers.from]]",
    about: "A rule. The first that fits is applied, and no other.",
    keys: &[
        other("prefix", "digits", "any number", "\"9\"", "What the number begins with."),
        other("replace", "digits", "nothing", "\"+4721\"", "What stands in the place of `prefix`."),
        other("least", "count", "1", "5", "Only numbers of so many characters, `+` included, or more."),
        other("most", "count", "40", "12", "Only numbers of so many characters or fewer."),
    ],
};

pub(super) static IDENTITY: Section = Section {
    title: "identity of [trunk.NAME]",
    example: "[trunk.acme.identity]",
    about: "Whose identity it is told, and what of it is believed (RFC 3323, RFC 3325). Done anew for each trunk a call tries.",
    keys: &[
        is(
            "trust",
            "true or false",
            "true",
            "Whether it is in the trust domain. One that is not is told no asserted identity and no charging data, and is believed none.",
        ),
        is(
            "from",
            "\"pass\", \"number\", \"pai\" or \"fallback\"",
            "\"pass\"",
            "What From says: name and number, the number alone, the asserted identity, or always `fallback`.",
        ),
        is(
            "pai",
            "\"pass\", \"strip\", \"from\" or \"fallback\"",
            "\"pass\"",
            "What P-Asserted-Identity says to a trusted trunk: what was asserted, nothing, what From says, or `fallback`.",
        ),
        is(
            "privacy",
            "\"honour\" or \"pass\"",
            "\"honour\"",
            "Who withholds himself is anonymous to a trunk that is not trusted; \"pass\" leaves that to the trunk.",
        ),
        is(
            "rpid",
            "\"pass\", \"strip\" or \"convert\"",
            "\"pass\"",
            "Remote-Party-ID: \"convert\" is for a trunk that speaks it in the place of P-Asserted-Identity.",
        ),
        other("fallback", "number with `+`", "none", "\"+4722334455\"", "A number of ours that it takes a call from."),
        other(
            "callers",
            "list of prefixes with `+`",
            "any; with `fallback`, any global number",
            "[\"+472233\"]",
            "Numbers it lets us show. Any other caller is shown as `fallback`.",
        ),
        other(
            "host",
            "name or address",
            "the edge's own address there",
            "\"sip.acme.example\"",
            "Host of every party it is told, in From, P-Asserted-Identity, Diversion and the like: the hosts that other trunks write are not shown.",
        ),
        is(
            "diversion",
            "\"pass\", \"strip\", \"diversion\", \"history\" or \"both\"",
            "\"pass\"",
            "By which header it is told of diversions; one is made from the other (RFC 7544).",
        ),
        is(
            "stir",
            "\"pass\" or \"drop\"",
            "\"pass\"",
            "Identity (RFC 8224). It is dropped in any case when the parties it signs are written otherwise here.",
        ),
    ],
};

pub(super) static CAUSES: Section = Section {
    title: "causes of [trunk.NAME]",
    example: "[trunk.acme.causes]",
    about: "How it is told why calls are refused and end.",
    keys: &[
        is(
            "reason",
            "\"pass\", \"q850\" or \"strip\"",
            "\"pass\"",
            "Reason (RFC 3326): \"q850\" adds a cause to refusals and BYEs that have none (RFC 3398).",
        ),
        other(
            "answers",
            "table of codes and codes",
            "as they come",
            "{ 480 = 486 }",
            "Refusals it hears as others. What the hunt makes of them is not changed.",
        ),
    ],
};

/// Entries of one list at most: each is compared for each header or number of each call.
const LIST_MAX: usize = 64;
const NUMBER_MAX: usize = 40;

pub(super) fn read(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Interworking {
    let mut terms = Interworking::NEUTRAL;
    trunk.set("host", &mut terms.host, faults, host);
    if let Some(reader) = open(trunk, "headers", &HEADERS, faults) {
        terms.headers = headers(&reader, faults);
    }
    if let Some(reader) = open(trunk, "numbers", &NUMBERS, faults) {
        terms.numbers = numbers(&reader, faults);
    }
    if let Some(reader) = open(trunk, "identity", &IDENTITY, faults) {
        terms.identity = identity(&reader, faults);
    }
    if let Some(reader) = open(trunk, "causes", &CAUSES, faults) {
        terms.causes = causes(&reader, faults);
    }
    terms
}

fn open<'a, 'i>(
    trunk: &Reader<'a, 'i>,
    key: &'static str,
    section: &'static Section,
    faults: &mut Faults<'_>,
) -> Option<Reader<'a, 'i>> {
    let node = trunk.get(key)?;
    Reader::open(node, &node.span(), section, faults)
}

/// A key's value by its word.
fn choice<T: Copy>(
    reader: &Reader<'_, '_>,
    key: &'static str,
    words: &'static [&'static str],
    values: &[T],
    faults: &mut Faults<'_>,
) -> Option<T> {
    let word = reader.read(key, faults, value::word(words))?;
    words.iter().zip(values).find(|(known, _)| **known == word).map(|(_, value)| *value)
}

fn bounded(reader: &Reader<'_, '_>, key: &'static str, count: usize, faults: &mut Faults<'_>) {
    if count > LIST_MAX {
        faults.error(&reader.place(key), format!("{count} are too many"), format!("at most {LIST_MAX}"), None);
    }
}

fn headers(reader: &Reader<'_, '_>, faults: &mut Faults<'_>) -> HeaderPolicy {
    let mut list = |key: &'static str| {
        let patterns = reader.get(key).map(|node| many(node, faults, pattern)).unwrap_or_default();
        bounded(reader, key, patterns.len(), faults);
        patterns.into_iter().map(|pattern: At<HeaderPattern>| pattern.value).collect::<Vec<_>>()
    };
    let all = reader.get("pass").is_none_or(|node| node.get_ref().as_str() == Some("all"));
    HeaderPolicy {
        pass: if all { None } else { Some(list("pass")) },
        strip: list("strip"),
        ignore: list("ignore"),
        set: reader.get("set").map(|node| set(reader, node, faults)).unwrap_or_default(),
        // One for all trunks, by `product` of [edge].
        product: String::new(),
    }
}

fn pattern(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<HeaderPattern> {
    let text = node.get_ref().as_str().unwrap_or_default();
    if is_ours(text, &node.span(), faults) {
        return None;
    }
    let pattern = HeaderPattern::new(text);
    if pattern.is_none() {
        let expected = "the name of a header, with `*` at the end if more are meant";
        faults.error(&node.span(), format!("{} is no name of a header", found(node)), expected, None);
    }
    pattern
}

/// Headers that say where a leg is and what its stack can do are not anybody's to change: the dialog would break.
fn is_ours(name: &str, at: &core::ops::Range<usize>, faults: &mut Faults<'_>) -> bool {
    let ours = act::is_of_a_leg(name.as_bytes());
    if ours {
        let what =
            format!("`{}` belongs to one leg: the edge writes its own on each, and never passes it", short(name));
        faults.error(at, what, "another header", Some(String::from("remove it")));
    }
    ours
}

/// What another table writes is not written here as well.
const ELSEWHERE: &[(&str, &str)] = &[
    ("P-Asserted-Identity", "`pai` of `identity`"),
    ("P-Preferred-Identity", "`pai` of `identity`"),
    ("Remote-Party-ID", "`rpid` of `identity`"),
    ("Privacy", "`privacy` of `identity`"),
    ("Diversion", "`diversion` of `identity`"),
    ("History-Info", "`diversion` of `identity`"),
    ("Identity", "`stir` of `identity`"),
    ("Reason", "`reason` of `causes`"),
    ("User-Agent", "`product` of [edge]"),
    ("Server", "`product` of [edge]"),
];

fn set(reader: &Reader<'_, '_>, node: &Node<'_>, faults: &mut Faults<'_>) -> Vec<SetHeader> {
    let Some(table) = node.get_ref().as_table() else {
        let expected = "a table such as { \"X-Edge\" = \"throughline\" }";
        faults.error(&node.span(), format!("`set` is {}", found(node)), expected, None);
        return Vec::new();
    };
    bounded(reader, "set", table.len(), faults);
    let mut one = |name: &str, at: core::ops::Range<usize>, node: &Node<'_>| {
        if let Some((_, place)) = ELSEWHERE.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            let fix = Some(format!("use {place}"));
            faults.error(&at, format!("`{name}` is written by rules of its own"), "another header", fix);
            return None;
        }
        if is_ours(name, &at, faults) {
            return None;
        }
        let text = value::text(node, faults)?;
        let header = SetHeader::new(name, &text);
        if header.is_none() {
            let what = format!("`{}` cannot be sent with {}", short(name), found(node));
            faults.error(&node.span(), what, "a name of letters, digits and `-`, and a text on one line", None);
        }
        header
    };
    table.iter().filter_map(|(name, node)| one(name.get_ref(), name.span(), node)).collect()
}

/// A text that fits on one line and is not empty: it becomes the value of a header.
pub(super) fn one_line(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = value::text(node, faults)?;
    if SetHeader::new("Server", &text).is_none() {
        faults.error(&node.span(), format!("this is {}", found(node)), "a text on one line", None);
        return None;
    }
    Some(text)
}

fn numbers(reader: &Reader<'_, '_>, faults: &mut Faults<'_>) -> NumberPolicy {
    let mut policy = NumberPolicy { international: b"00".to_vec(), ..NumberPolicy::NEUTRAL };
    let words = &["pass", "+e164", "e164", "national", "00"];
    let forms =
        [NumberForm::Pass, NumberForm::PlusE164, NumberForm::E164, NumberForm::National, NumberForm::International];
    policy.form = choice(reader, "format", words, &forms, faults).unwrap_or(policy.form);
    let uris = [UriForm::Sip, UriForm::Phone, UriForm::Tel];
    policy.uri = choice(reader, "uri", &["sip", "phone", "tel"], &uris, faults).unwrap_or(policy.uri);
    reader.set("country", &mut policy.country, faults, digits(1, 3));
    reader.set("national", &mut policy.national, faults, digits(0, 6));
    reader.set("international", &mut policy.international, faults, digits(1, 6));
    reader.set("shortest", &mut policy.shortest, faults, value::count(1, 15));
    policy.from = rules(reader, "from", faults);
    policy.to = rules(reader, "to", faults);
    if policy.form == NumberForm::National && reader.get("country").is_none() {
        let fix = Some(String::from("add, for example, `country = \"47\"`"));
        faults.error(&reader.place("format"), "national numbers of which country?", "`country` beside it", fix);
    }
    policy
}

fn digits(least: usize, most: usize) -> impl Fn(&Node<'_>, &mut Faults<'_>) -> Option<Vec<u8>> {
    move |node, faults| {
        let text = node.get_ref().as_str();
        let good = text.filter(|text| {
            (least..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'*' | b'#'))
        });
        if good.is_none() {
            let plus = text
                .and_then(|text| text.strip_prefix('+'))
                .map(|rest| format!("leave out the `+`: \"{}\"", short(rest)));
            let fix = plus
                .or_else(|| node.get_ref().as_integer().map(|n| format!("write \"{}\", in quotes", short(n.as_str()))));
            faults.error(
                &node.span(),
                format!("this is {}", found(node)),
                format!("{least} to {most} digits in quotes"),
                fix,
            );
        }
        good.map(|text| text.as_bytes().to_vec())
    }
}

fn rules(reader: &Reader<'_, '_>, key: &'static str, faults: &mut Faults<'_>) -> Vec<NumberRule> {
    let rules = reader.get(key).map(|node| many(node, faults, rule)).unwrap_or_default();
    bounded(reader, key, rules.len(), faults);
    for (index, rule) in rules.iter().enumerate() {
        let covers = |earlier: &&At<NumberRule>| {
            let (earlier, rule) = (&earlier.value, &rule.value);
            rule.prefix.starts_with(&earlier.prefix) && earlier.least <= rule.least && earlier.most >= rule.most
        };
        if rules[..index].iter().any(|earlier| covers(&earlier)) {
            let fix = Some(String::from("move it up, or remove it"));
            faults.warn(
                &rule.at,
                "no number reaches this rule: an earlier one takes all of them",
                "narrower rules first",
                fix,
            );
        }
    }
    rules.into_iter().map(|rule| rule.value).collect()
}

fn rule(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<NumberRule> {
    let reader = Reader::open(node, &node.span(), &RULE, faults)?;
    let mut part = |key| reader.read(key, faults, start).unwrap_or_default();
    let (prefix, replace) = (part("prefix"), part("replace"));
    let size = value::count(1, NUMBER_MAX as u8);
    let rule = NumberRule {
        prefix,
        replace,
        least: reader.read("least", faults, &size).unwrap_or(1),
        most: reader.read("most", faults, &size).unwrap_or(NUMBER_MAX as u8),
    };
    if rule.least > rule.most {
        let what = format!("no number has {} characters or more and {} or fewer", rule.least, rule.most);
        faults.error(&reader.place("least"), what, "`least` up to `most`", None);
    }
    Some(rule)
}

/// Beginning of a number: digits, with a `+` before them or not, the `+` alone, or nothing.
fn start(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Vec<u8>> {
    if let Some(text @ ("" | "+")) = node.get_ref().as_str() {
        return Some(text.as_bytes().to_vec());
    }
    super::edge::number(node, faults).map(String::into_bytes)
}

/// A number, or the beginning of one, in E.164.
fn global(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Vec<u8>> {
    let number = super::edge::number(node, faults)?;
    if !number.starts_with('+') {
        let fix = Some(format!("write \"+{number}\", if that is its country code"));
        faults.error(&node.span(), format!("\"{number}\" is not in E.164"), "`+`, country code and number", fix);
        return None;
    }
    Some(number.into_bytes())
}

fn identity(reader: &Reader<'_, '_>, faults: &mut Faults<'_>) -> IdentityPolicy {
    let mut policy = IdentityPolicy::NEUTRAL;
    reader.set("trust", &mut policy.trust, faults, value::flag);
    let forms = [FromForm::Pass, FromForm::Number, FromForm::Asserted, FromForm::Fallback];
    policy.from = choice(reader, "from", &["pass", "number", "pai", "fallback"], &forms, faults).unwrap_or(policy.from);
    let forms = [Assertion::Pass, Assertion::Strip, Assertion::From, Assertion::Fallback];
    policy.pai = choice(reader, "pai", &["pass", "strip", "from", "fallback"], &forms, faults).unwrap_or(policy.pai);
    policy.honours_privacy = choice(reader, "privacy", &["honour", "pass"], &[true, false], faults).unwrap_or(true);
    let forms = [RemoteParty::Pass, RemoteParty::Strip, RemoteParty::Convert];
    policy.rpid = choice(reader, "rpid", &["pass", "strip", "convert"], &forms, faults).unwrap_or(policy.rpid);
    let words = &["pass", "strip", "diversion", "history", "both"];
    let forms = [
        DiversionForm::Pass,
        DiversionForm::Strip,
        DiversionForm::Diversion,
        DiversionForm::History,
        DiversionForm::Both,
    ];
    policy.diversion = choice(reader, "diversion", words, &forms, faults).unwrap_or(policy.diversion);
    policy.stir = choice(reader, "stir", &["pass", "drop"], &[true, false], faults).unwrap_or(true);
    reader.set("fallback", &mut policy.fallback, faults, global);
    reader.set("host", &mut policy.host, faults, host);
    let callers = reader.get("callers").map(|node| many(node, faults, global)).unwrap_or_default();
    bounded(reader, "callers", callers.len(), faults);
    policy.callers = callers.into_iter().map(|prefix| prefix.value).collect();
    makes_sense(reader, &policy, faults);
    policy
}

/// One that a URI can have.
fn host(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Vec<u8>> {
    let text = value::text(node, faults)?;
    let uri = [b"sip:x@", text.as_bytes()].concat();
    let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._[]:".contains(&c));
    let whole = sip::Uri::parse(&uri).is_ok_and(|uri| {
        let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
        plain && !uri.host().is_empty() && text.as_bytes() == [uri.host(), port.as_bytes()].concat()
    });
    if !whole {
        faults.error(
            &node.span(),
            format!("this is {}", found(node)),
            "a host name or address, and a port if need be",
            None,
        );
        return None;
    }
    Some(text.into_bytes())
}

fn makes_sense(reader: &Reader<'_, '_>, policy: &IdentityPolicy, faults: &mut Faults<'_>) {
    let needs = [
        ("from", policy.from == FromForm::Fallback),
        ("pai", policy.pai == Assertion::Fallback),
        ("callers", !policy.callers.is_empty()),
    ];
    for (key, _) in needs.iter().filter(|(_, needs)| *needs && reader.get("fallback").is_none()) {
        let fix = Some(String::from("add, for example, `fallback = \"+4722334455\"`"));
        faults.error(&reader.place(key), format!("`{key}` needs a number to show"), "`fallback` beside it", fix);
    }
    if !policy.callers.is_empty() && !policy.fallback.is_empty() {
        let own = policy.callers.iter().any(|prefix| policy.fallback.starts_with(prefix));
        if !own {
            let what = "`fallback` is none of the `callers` this trunk lets us show";
            faults.warn(&reader.place("fallback"), what, "a number that begins like one of them", None);
        }
    }
    let told = [
        ("pai", !matches!(policy.pai, Assertion::Pass | Assertion::Strip)),
        ("rpid", policy.rpid == RemoteParty::Convert),
    ];
    for (key, _) in told.iter().filter(|(_, told)| *told && !policy.trust) {
        let what =
            format!("a trunk outside the trust domain is told no asserted identity, and `{key}` would tell it one");
        let fix = Some(format!("remove `{key}`, or say `trust = true`"));
        faults.error(&reader.place(key), what, "a trusted trunk (RFC 3325 §7)", fix);
    }
}

fn causes(reader: &Reader<'_, '_>, faults: &mut Faults<'_>) -> CausePolicy {
    let forms = [ReasonForm::Pass, ReasonForm::Q850, ReasonForm::Strip];
    CausePolicy {
        reason: choice(reader, "reason", &["pass", "q850", "strip"], &forms, faults).unwrap_or(ReasonForm::Pass),
        answers: reader.get("answers").map(|node| answers(reader, node, faults)).unwrap_or_default(),
    }
}

fn answers(reader: &Reader<'_, '_>, node: &Node<'_>, faults: &mut Faults<'_>) -> Vec<(u16, u16)> {
    let Some(table) = node.get_ref().as_table() else {
        faults.error(&node.span(), format!("`answers` is {}", found(node)), "a table such as { 480 = 486 }", None);
        return Vec::new();
    };
    bounded(reader, "answers", table.len(), faults);
    // A redirection or a challenge is nothing that could be made of a refusal, nor one of them.
    let refusal = |code: &u16| (400..=699).contains(code) && !matches!(code, 401 | 407);
    let mut one = |name: &str, at: core::ops::Range<usize>, node: &Node<'_>| {
        let from = name.parse().ok().filter(refusal);
        if from.is_none() {
            faults.error(&at, format!("`{}` is no refusal", short(name)), "a code from 400 to 699, no challenge", None);
        }
        let to = value::code(node, faults)?;
        if !refusal(&to) {
            faults.error(&node.span(), format!("{to} is no refusal"), "a code from 400 to 699, no challenge", None);
            return None;
        }
        Some((from?, to))
    };
    table.iter().filter_map(|(name, node)| one(name.get_ref(), name.span(), node)).collect()
}

#[cfg(test)]
mod tests;
