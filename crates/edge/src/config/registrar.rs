//! `[registrar]` and `[user.NAME]`: who may register here, and for how long.
//!
//! Users by the thousand stand in a file of their own, one a line, which is read by another hand and handed to [`users`].
//! Refuses to know: files, who is registered.

use super::fault::Faults;
use super::reader::{At, Reader, many};
use super::schema::{Section, is, needed, other, table};
use super::trunk::Env;
use super::value::{self, short};
use act::{Expiries, RegistrarRules};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{ListenId, Span};
use sip::auth::{Algorithm, Realm, Secret};

pub(super) static REGISTRAR: Section = Section {
    title: "[registrar]",
    example: "[registrar]",
    about: "Phones that register at the edge itself, or by it at a trunk (`behind`). Calls go to and come from them as the trunk whose `at` is \
            \"registered\".",
    keys: &[
        needed("listen", "name of a listen or a list", "\"wan\"", "Where phones register."),
        needed(
            "realm",
            "text",
            "\"example.net\"",
            "Domain of the phones: what they are asked for a password of, and the host of their addresses. Our own addresses are \
             taken for it too.",
        ),
        other(
            "domains",
            "list of names",
            "none but the realm",
            "[\"pbx.example.net\"]",
            "Other names of the same domain. The address and the `host` of the listen are served too.",
        ),
        other(
            "behind",
            "name of a trunk",
            "the edge is the registrar",
            "\"pbx\"",
            "The trunk that is the registrar of the phones: their REGISTERs go to its targets, the next one when one does not serve them, and \
             its challenges to the phones. It knows the users and grants the time; `users`, `algorithms`, `nonce` and `expires` are not ours then.",
        ),
        other(
            "users",
            "a file",
            "the users of this file alone",
            "\"users.csv\"",
            "File of users, one a line: `NAME,password,TEXT`, `NAME,md5,HA1` or `NAME,sha256,HA1`. Relative to the folder of this file.",
        ),
        is(
            "algorithms",
            "list of \"SHA-256\" and \"MD5\"",
            "[\"SHA-256\", \"MD5\"]",
            "What phones may hash their password by, best first (RFC 8760). Old phones have MD5 alone.",
        ),
        is(
            "nonce",
            "time",
            "\"300s\"",
            "How long the answer to a challenge may be used again, with a higher count each time.",
        ),
        is("contacts", "count", "5", "Bindings of one user; the one that would run out first gives way to a new one."),
        is(
            "rate",
            "count",
            "1000",
            "REGISTERs a second that are served; the others are told to come again within half a minute, so that the end of a power \
             cut does not drown the calls. Each shard of the edge has an equal part.",
        ),
        is(
            "service_route",
            "true or false",
            "false",
            "Tell phones to send their calls by us (RFC 3608), for those that obey it.",
        ),
        is(
            "flow_timer",
            "time",
            "\"120s\"",
            "How often a phone that speaks outbound (RFC 5626) must show that its flow lives.",
        ),
        table("expires", "How long bindings last."),
    ],
};

pub(super) static EXPIRES: Section = Section {
    title: "expires of [registrar]",
    example: "[registrar.expires]",
    about: "How long bindings last. What is granted is spread: newcomers get between half and all of what they ask, renewals nine tenths or \
            more, so that phones that come together do not come together again.",
    keys: &[
        is("min", "time", "\"60s\"", "Shorter wishes are refused (423), and the phone asks for this."),
        is("max", "time", "\"3600s\"", "Longer wishes get this."),
        is("default", "time", "\"600s\"", "For phones that ask for nothing."),
    ],
};

pub(super) static USER: Section = Section {
    title: "[user.NAME]",
    example: "[user.201]",
    about: "Somebody who registers. His name is the user of his address and of his password.",
    keys: &[needed("secret", "\"env:NAME\"", "\"env:PHONE_201\"", "Environment variable that holds the password.")],
};

/// Users at most, of both kinds together.
const USERS_MAX: usize = 1_000_000;
/// Letters of a name at most.
const NAME_MAX: usize = 64;

/// `[registrar]` as read.
#[derive(Debug)]
pub(super) struct RegistrarDraft {
    pub(super) at: core::ops::Range<usize>,
    pub(super) listens: Vec<At<String>>,
    pub(super) behind: Option<At<String>>,
    pub(super) file: Option<String>,
    realm: Realm,
    domains: Vec<Box<str>>,
    expiries: Expiries,
    contacts: usize,
    pub(super) rate: u32,
    service_route: bool,
    flow_timer: Span,
    users: HashMap<Box<str>, Secret, FixedState>,
}

pub(super) fn read(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<RegistrarDraft> {
    let users = read_users(root, env, faults);
    let node = root.get("registrar")?;
    let reader = Reader::open(node, &node.span(), &REGISTRAR, faults)?;
    let second = Span::from_secs(1);
    let listens = reader.need("listen", faults, |node, faults| Some(many(node, faults, value::text)));
    let name = reader.need("realm", faults, value::text).unwrap_or_default();
    if name.contains(['"', '\\']) {
        faults.error(&reader.place("realm"), "a realm cannot hold quotes", "the name of a domain", None);
    }
    let domains = reader.get("domains").map(|node| many(node, faults, value::text)).unwrap_or_default();
    let domains = domains.into_iter().map(|domain| domain.value.into()).collect();
    let mut draft = RegistrarDraft {
        at: reader.at.clone(),
        listens: listens.unwrap_or_default(),
        behind: reader.get("behind").and_then(|node| {
            let value = value::text(node, faults)?;
            Some(At { value, at: node.span() })
        }),
        file: reader.read("users", faults, value::text).filter(|file| !file.is_empty()),
        realm: Realm { name: name.into(), algorithms: algorithms(&reader, faults), nonce_lifetime: second.times(300) },
        domains,
        expiries: expiries(&reader, faults),
        contacts: 5,
        rate: 1_000,
        service_route: false,
        flow_timer: second.times(120),
        users,
    };
    reader.set("nonce", &mut draft.realm.nonce_lifetime, faults, value::span(second.times(10), second.times(86_400)));
    reader.set("contacts", &mut draft.contacts, faults, |node, faults| {
        value::count::<u32>(1, 32)(node, faults).map(|count| count as usize)
    });
    reader.set("rate", &mut draft.rate, faults, value::count(1, 1_000_000));
    reader.set("service_route", &mut draft.service_route, faults, value::flag);
    reader.set("flow_timer", &mut draft.flow_timer, faults, value::span(second.times(10), second.times(3_600)));
    if draft.behind.is_some() {
        foreign_keys(&reader, &draft, faults);
    } else if draft.users.is_empty() && draft.file.is_none() {
        let fix = Some(String::from("add [user.NAME] tables, or `users = \"FILE\"`"));
        faults.error(&draft.at, "nobody can register: there are no users", "at least one", fix);
    }
    Some(draft)
}

/// What the trunk behind says and not we: a key that does nothing would be believed to do something.
fn foreign_keys(reader: &Reader<'_, '_>, draft: &RegistrarDraft, faults: &mut Faults<'_>) {
    for key in ["users", "algorithms", "nonce", "expires"].into_iter().filter(|key| reader.get(key).is_some()) {
        let what = format!("`{key}` does nothing: the registrar is the trunk `behind`");
        faults.warn(&reader.place(key), what, "", Some(format!("take `{key}` away, or `behind`")));
    }
    if !draft.users.is_empty() {
        let fix = Some(String::from("take the [user.NAME] tables away, or `behind`"));
        faults.warn(
            &draft.at,
            "nobody asks for the passwords of these users: the trunk `behind` knows its own",
            "",
            fix,
        );
    }
}

fn algorithms(reader: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Vec<Algorithm> {
    let Some(node) = reader.get("algorithms") else { return vec![Algorithm::Sha256, Algorithm::Md5] };
    let words = many(node, faults, value::word(&["SHA-256", "MD5"]));
    let of = |word: &At<&str>| if word.value == "MD5" { Algorithm::Md5 } else { Algorithm::Sha256 };
    let algorithms: Vec<Algorithm> = words.iter().map(of).collect();
    if algorithms.is_empty() {
        faults.error(
            &reader.place("algorithms"),
            "nobody can answer a challenge without one",
            "\"SHA-256\", \"MD5\"",
            None,
        );
    }
    algorithms
}

fn expiries(registrar: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Expiries {
    let second = Span::from_secs(1);
    let mut expiries = Expiries { min: second.times(60), max: second.times(3_600), default: second.times(600) };
    let Some(node) = registrar.get("expires") else { return expiries };
    let Some(reader) = Reader::open(node, &node.span(), &EXPIRES, faults) else { return expiries };
    for (key, slot) in [("min", &mut expiries.min), ("max", &mut expiries.max), ("default", &mut expiries.default)] {
        reader.set(key, slot, faults, value::span(second.times(5), second.times(7 * 86_400)));
    }
    // RFC 3261 §10.3 step 7: an hour may not be refused.
    if expiries.min > second.times(3_600) {
        faults.error(
            &reader.place("min"),
            "a phone that asks for an hour must not be refused",
            "at most \"3600s\"",
            None,
        );
    }
    let Expiries { min, max, default } = expiries;
    if min > default || default > max {
        let what = format!("{default} is not between {min} and {max}");
        faults.error(&reader.place("default"), what, "min, default and max in this order", None);
    }
    expiries
}

fn read_users(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> HashMap<Box<str>, Secret, FixedState> {
    let mut users = HashMap::with_hasher(FixedState::with_seed(0));
    for (name, node) in root.named("user", faults) {
        let Some(reader) = Reader::open(node, &name.at, &USER, faults) else { continue };
        if let Some(secret) = reader.need("secret", faults, value::secret(env)) {
            users.insert(name.value.into(), Secret::Password(secret.reveal().into()));
        }
    }
    if let Some((name, _)) = root.named("user", faults).first().filter(|_| root.get("registrar").is_none()) {
        faults.error(&name.at, "users register nowhere without [registrar]", "[registrar]", None);
    }
    users
}

impl RegistrarDraft {
    /// The rules, when every listen is known.
    pub(super) fn rules(
        self,
        listens: Vec<ListenId>,
        phones: Option<model::TrunkId>,
        behind: Option<model::TrunkId>,
    ) -> RegistrarRules {
        RegistrarRules {
            listens,
            phones,
            behind,
            realm: self.realm,
            domains: self.domains,
            users: self.users,
            expiries: self.expiries,
            contacts: self.contacts,
            service_route: self.service_route,
            flow_timer: Some(self.flow_timer),
            rate: self.rate,
        }
    }
}

/// Adds the users of a file, one a line; or tells every line that is wrong, and how it is written.
///
/// # Errors
/// The faults, at most a hundred, each with its line.
pub fn users(text: &str, rules: &mut RegistrarRules) -> Result<usize, Vec<String>> {
    let mut faults = Vec::new();
    let mut count = 0;
    for (line, number) in text.lines().zip(1u32..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match user(line).and_then(|(name, secret)| add(&mut rules.users, name, secret)) {
            Ok(()) => count += 1,
            Err(what) if faults.len() < 100 => faults.push(format!("line {number}: {what}")),
            Err(_) => {}
        }
    }
    unserved(rules, &mut faults);
    if faults.is_empty() { Ok(count) } else { Err(faults) }
}

/// A user who has no hash of an algorithm that is offered would be refused for no fault of his.
fn unserved(rules: &RegistrarRules, faults: &mut Vec<String>) {
    for algorithm in &rules.realm.algorithms {
        let lacking = rules.users.values().filter(|secret| !secret.serves(*algorithm)).count();
        if lacking > 0 {
            let what = format!("{lacking} users have no hash for {algorithm:?}, which `algorithms` offers");
            faults.push(format!("{what}; add their lines, or take it out of `algorithms` in [registrar]"));
        }
    }
}

fn user(line: &str) -> Result<(&str, Secret), String> {
    const EXPECTED: &str = "expected NAME,password,TEXT or NAME,md5,HA1 or NAME,sha256,HA1";
    let mut parts = line.splitn(3, ',').map(str::trim);
    let (Some(name), Some(kind), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(EXPECTED.to_owned());
    };
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(format!("a name has 1 to {NAME_MAX} letters"));
    }
    let hashed = |letters: usize| {
        let good = secret.len() == letters && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        let what = format!("a {kind} HA1 has {letters} hexadecimal letters: H(NAME:REALM:PASSWORD)");
        good.then(|| Some(secret.to_ascii_lowercase().into())).ok_or(what)
    };
    match kind {
        "password" if !secret.is_empty() => Ok((name, Secret::Password(secret.into()))),
        "md5" => Ok((name, Secret::Hashed { md5: hashed(32)?, sha256: None })),
        "sha256" => Ok((name, Secret::Hashed { md5: None, sha256: hashed(64)? })),
        _ => Err(EXPECTED.to_owned()),
    }
}

fn add(users: &mut HashMap<Box<str>, Secret, FixedState>, name: &str, secret: Secret) -> Result<(), String> {
    if users.len() >= USERS_MAX {
        return Err(format!("more than {USERS_MAX} users"));
    }
    match (users.get_mut(name), secret) {
        (None, secret) => {
            users.insert(name.into(), secret);
            Ok(())
        }
        // One line for each hash of the same user.
        (Some(Secret::Hashed { md5: md5 @ None, .. }), Secret::Hashed { md5: Some(more), sha256: None }) => {
            *md5 = Some(more);
            Ok(())
        }
        (Some(Secret::Hashed { sha256: sha256 @ None, .. }), Secret::Hashed { md5: None, sha256: Some(more) }) => {
            *sha256 = Some(more);
            Ok(())
        }
        _ => Err(format!("user {} has a secret already", short(name))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::compile;

    const TEXT: &str = "[listen.lan]\nsip = \"udp:192.0.2.10:5060\"\nmedia = \"192.0.2.10:20000-20099\"\n\
        [trunk.phones]\nat = \"registered\"\nlisten = \"lan\"\n[group.phones]\ntiers = [[\"phones\"]]\n\
        [[route]]\nto = \"phones\"\n[registrar]\nlisten = \"lan\"\nrealm = \"example.net\"\n";
    const USER: &str = "[user.201]\nsecret = \"env:X\"\n";

    fn said(text: &str) -> Vec<String> {
        let compiled = compile(text, "edge.toml", &|_| Some(String::from("hush")), None);
        compiled.faults.iter().map(|fault| format!("{}: {}", fault.line, fault.what)).collect()
    }

    fn rules(text: &str) -> RegistrarRules {
        let compiled = compile(text, "edge.toml", &|_| Some(String::from("hush")), None);
        let settings = compiled.settings.unwrap_or_else(|| panic!("{:?}", compiled.faults));
        (*settings.registrar.expect("a registrar")).clone()
    }

    #[test]
    fn phones_are_a_trunk_and_users_have_secrets() {
        assert_eq!(said(&format!("{TEXT}{USER}")), Vec::<String>::new());
        let rules = rules(&format!("{TEXT}{USER}"));
        assert_eq!((rules.listens.len(), rules.phones), (1, Some(model::TrunkId(0))));
        assert_eq!(rules.users.get("201"), Some(&Secret::Password("hush".into())));
        assert_eq!(rules.expiries.max, Span::from_secs(3_600));
    }

    /// An unanswered probe of nobody would count as a trunk that has failed, beside a carrier that really has.
    #[test]
    fn nobody_is_probed_on_behalf_of_all_phones() {
        let text = format!("{TEXT}{USER}[trunk.acme]\nat = \"sip:192.0.2.31\"\nlisten = \"lan\"\n");
        let compiled = compile(&text, "edge.toml", &|_| Some(String::from("hush")), None);
        let settings = compiled.settings.unwrap_or_else(|| panic!("{:?}", compiled.faults));
        let probed: Vec<_> = settings.probes.iter().map(|(target, _)| target.trunk).collect();
        assert_eq!(probed, vec![model::TrunkId(1)]);
    }

    #[test]
    fn phones_register_through_the_edge_at_a_trunk() {
        let text =
            TEXT.replace("[group.phones]", "[trunk.pbx]\nat = \"sip:192.0.2.20\"\nlisten = \"lan\"\n[group.phones]");
        let text = format!("{text}behind = \"pbx\"\n");
        assert_eq!(said(&text), Vec::<String>::new(), "users are not ours to know");
        let rules = rules(&text);
        assert_eq!((rules.phones, rules.behind), (Some(model::TrunkId(0)), Some(model::TrunkId(1))));
        assert!(rules.may_bind("anybody"));
        for (text, what) in [
            (text.replace("behind = \"pbx\"", "behind = \"pxb\""), "there is no trunk `pxb`"),
            (text.replace("behind = \"pbx\"", "behind = \"phones\""), "trunk `phones` stands for the phones"),
            (format!("{text}algorithms = [\"MD5\"]\n"), "`algorithms` does nothing"),
            (format!("{text}{USER}"), "nobody asks for the passwords"),
        ] {
            let said = said(&text);
            assert!(said.iter().any(|fault| fault.contains(what)), "{what}: {said:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_told() {
        for (text, what) in [
            (TEXT.to_owned(), "11: nobody can register: there are no users"),
            (
                format!("{}{USER}", TEXT.replace("\nlisten = \"lan\"\nrealm", "\nlisten = \"wan\"\nrealm")),
                "there is no listen `wan`",
            ),
            (format!("{}{USER}", TEXT.replace("realm = \"example.net\"", "")), "`realm` is missing"),
            (format!("{TEXT}expires = {{ min = \"7200s\", max = \"9000s\" }}\n{USER}"), "must not be refused"),
            (format!("{TEXT}expires = {{ default = \"9000s\" }}\n{USER}"), "is not between"),
            (format!("{TEXT}algorithms = [\"SHA-1\"]\n{USER}"), "SHA-1"),
            (format!("{}{USER}", TEXT.split("[registrar]").next().unwrap()), "users register nowhere"),
            (
                format!("{}{USER}", TEXT.replace("\"registered\"", "\"sip:192.0.2.20\"")),
                "no trunk has `at = \"registered\"`",
            ),
        ] {
            let said = said(&text);
            assert!(said.iter().any(|fault| fault.contains(what)), "{what}: {said:?}");
        }
    }

    #[test]
    fn a_file_of_users_is_read_whole_or_refused_with_every_line() {
        let text = format!("{TEXT}users = \"users.csv\"\n");
        let fresh = || rules(&text);
        let (md5, sha) = ("0123456789abcdef".repeat(2), "0123456789ABCDEF".repeat(4));
        let mut both = fresh();
        let file = format!("# phones\n201,password,a,b\n\n202, md5 , {md5}\n202,sha256,{sha}\n");
        assert_eq!(users(&file, &mut both), Ok(3));
        assert_eq!(both.users.get("201"), Some(&Secret::Password("a,b".into())));
        let Some(Secret::Hashed { md5: Some(_), sha256: Some(kept) }) = both.users.get("202") else { panic!("hashes") };
        assert_eq!(**kept, *sha.to_ascii_lowercase());
        let wrong = format!("201\n201,md5,12\n203,password,x\n203,password,y\n204,md5,{md5}\n");
        let faults = users(&wrong, &mut fresh()).unwrap_err();
        let starts = [
            "line 1: expected NAME",
            "line 2: a md5 HA1 has 32",
            "line 4: user 203 has",
            "1 users have no hash for Sha256",
        ];
        assert!(faults.iter().zip(starts).all(|(fault, start)| fault.starts_with(start)), "{faults:?}");
        assert_eq!(faults.len(), 4);
        assert!(faults.iter().all(|fault| !fault.contains(&md5)), "secrets are not printed");
    }

    #[test]
    fn a_hundred_thousand_users_are_read() {
        let file: String = (0..100_000).map(|user| format!("{user},md5,{user:032x}\n")).collect();
        let mut rules = rules(&format!("{TEXT}users = \"users.csv\"\nalgorithms = [\"MD5\"]\n"));
        assert_eq!(users(&file, &mut rules), Ok(100_000));
    }
}
