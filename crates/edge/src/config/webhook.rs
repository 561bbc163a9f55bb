//! `[webhook.NAME]`: who is told of alarms by HTTP.

use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is, needed, other};
use super::trunk::Env;
use super::url::{self, Address};
use super::value;
use explain::{Alarm, Severity};
use model::{Name, Span};

pub(super) static WEBHOOK: Section = Section {
    title: "[webhook.NAME]",
    example: "[webhook.pager]",
    about: "Who is told of alarms: each alarm is posted as JSON when it is raised and when it is over. Alarms and logs are told in the guide.",
    keys: &[
        needed(
            "url",
            "\"http://…\", \"https://…\" or \"env:NAME\"",
            "\"https://hooks.example.com/edge\"",
            "Where to. An address that holds a secret of its own is better kept in an environment variable. The certificate is held to those that \
             this machine trusts.",
        ),
        other(
            "secret",
            "\"env:NAME\"",
            "nothing is signed",
            "\"env:PAGER_SECRET\"",
            "Environment variable with the secret by which each post is signed (HMAC-SHA256): sixteen characters or more.",
        ),
        is("severity", "\"info\", \"warning\" or \"critical\"", "\"info\"", "Alarms below it are not posted here."),
        other(
            "alarms",
            "list of kinds",
            "all of them",
            "[\"group_has_nobody\", \"registration_lost\"]",
            "Only alarms of these kinds are posted here.",
        ),
        is("timeout", "duration", "\"5s\"", "How long one post may take, from the name of the host to the answer."),
        is(
            "give_up",
            "duration",
            "\"1h\"",
            "How long an alarm is posted again and again when nobody takes it. Then it is dropped, which a counter tells, and the next one has its turn.",
        ),
    ],
};

/// Webhooks at most: each has a queue of its own.
const WEBHOOKS_MAX: usize = 8;
/// Shorter secrets can be guessed.
const SECRET_MIN: usize = 16;

/// Somebody who is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: Name,
    /// Where.
    pub address: Address,
    /// Signs what is posted; never printed.
    pub secret: Option<String>,
    /// Alarms below it are not for this one.
    pub severity: Severity,
    /// Kinds that are for this one; empty means all.
    pub alarms: Vec<String>,
    /// How long one post may take.
    pub timeout: Span,
    /// How long one alarm is posted again.
    pub give_up: Span,
}

/// Neither the secret nor the address, which may hold one, is shown.
impl core::fmt::Debug for Webhook {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Webhook").field("name", &self.name).field("host", &self.address.host).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Whether an alarm is for this one.
    pub fn wants(&self, alarm: &Alarm) -> bool {
        alarm.severity() >= self.severity
            && (self.alarms.is_empty() || self.alarms.iter().any(|kind| kind == alarm.kind()))
    }
}

pub(super) fn read(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> Vec<Webhook> {
    let named = root.named("webhook", faults);
    if let Some((name, _)) = named.get(WEBHOOKS_MAX) {
        let what = format!("{} webhooks are too many", named.len());
        faults.error(&name.at, what, format!("at most {WEBHOOKS_MAX}"), None);
    }
    named.iter().filter_map(|(name, node)| webhook(name, node, env, faults)).collect()
}

fn webhook(name: &At<String>, node: &Node<'_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<Webhook> {
    let reader = Reader::open(node, &name.at, &WEBHOOK, faults)?;
    let address = reader.need("url", faults, |node, faults| url::read(node, env, faults));
    let secret = reader.read("secret", faults, value::secret(env)).map(value::Secret::reveal);
    if secret.as_ref().is_some_and(|secret| secret.len() < SECRET_MIN) {
        let fix = Some(String::from("`openssl rand -hex 24` makes a good one"));
        faults.error(
            &reader.place("secret"),
            "this secret can be guessed",
            format!("{SECRET_MIN} characters or more"),
            fix,
        );
    }
    let mut severity = Severity::Info;
    reader.set("severity", &mut severity, faults, |node, faults| {
        Some(match value::word(Severity::WORDS)(node, faults)? {
            "critical" => Severity::Critical,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        })
    });
    let kinds = reader.get("alarms").map(|node| many(node, faults, value::word(&Alarm::KINDS)));
    let alarms = kinds.unwrap_or_default().into_iter().map(|kind| kind.value.to_owned()).collect();
    let (mut timeout, mut give_up) = (Span::from_secs(5), Span::from_secs(3_600));
    reader.set("timeout", &mut timeout, faults, value::span(Span::from_millis(100), Span::from_secs(60)));
    reader.set("give_up", &mut give_up, faults, value::span(Span::from_secs(1), Span::from_secs(86_400)));
    Some(Webhook {
        name: Name::from(name.value.as_str()),
        address: address?,
        secret,
        severity,
        alarms,
        timeout,
        give_up,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::compile;

    const REST: &str = "[listen.wan]\nsip = [\"udp:127.0.0.11:5060\"]\nmedia = \"127.0.0.11:30000-30999\"\n\
        [trunk.acme]\nat = \"sip:127.0.0.31:5060\"\nlisten = \"wan\"\n[group.all]\ntiers = [[\"acme\"]]\n[[route]]\nto = \"all\"\n";

    fn read(webhooks: &str) -> Result<Vec<Webhook>, Vec<String>> {
        let env = |name: &str| match name {
            "SECRET" => Some("0123456789abcdef".to_owned()),
            "URL" => Some("https://hooks.example.com/T0/very-secret".to_owned()),
            "SHORT" => Some("sesame".to_owned()),
            _ => None,
        };
        let compiled = compile(&format!("{webhooks}{REST}"), "edge.toml", &env, None);
        let faults = compiled.faults.iter().map(|fault| format!("{}; {}", fault.what, fault.expected)).collect();
        compiled.settings.map(|settings| settings.webhooks).ok_or(faults)
    }

    #[test]
    fn a_webhook_is_read_and_its_secrets_are_not_printed() {
        let hooks = read(
            "[webhook.chat]\nurl = \"env:URL\"\n[webhook.pager]\nurl = \"http://[::1]:8080?x=1\"\nsecret = \"env:SECRET\"\n\
             severity = \"critical\"\nalarms = [\"group_has_nobody\", \"name_fails\"]\ntimeout = \"2s\"\n",
        )
        .unwrap();
        let [chat, pager] = &hooks[..] else { panic!("{hooks:?}") };
        assert_eq!(
            (chat.address.secure, chat.address.port, chat.address.path.as_str()),
            (true, 443, "/T0/very-secret")
        );
        let address = &pager.address;
        assert_eq!((address.host.as_str(), address.port, address.path.as_str()), ("::1", 8080, "/?x=1"));
        assert_eq!((address.authority.as_str(), pager.timeout), ("[::1]:8080", Span::from_secs(2)));
        let shown = format!("{hooks:?}");
        assert!(!shown.contains("secret") && !shown.contains("0123456789abcdef"), "{shown}");
        assert!(pager.wants(&Alarm::GroupHasNobody { group: "all".into() }));
        let fails = Alarm::NameFails { trunk: "acme".into(), name: "a.example".into(), why: String::new(), kept: None };
        assert!(!pager.wants(&fails), "a warning is less than critical");
        assert!(!pager.wants(&Alarm::RegistrarGone { trunk: "acme".into() }), "not of its kinds");
        assert!(chat.wants(&fails));
    }

    #[test]
    fn all_faults_of_all_webhooks_are_told_at_once() {
        let faults = read(
            "[webhook.a]\nsecret = \"env:SHORT\"\n[webhook.b]\nurl = \"hooks.example.com\"\nseverity = \"urgent\"\n\
             [webhook.c]\nurl = \"env:NOBODY\"\nalarms = [\"group_has_nobdy\"]\ntimeout = \"1h\"\n",
        )
        .unwrap_err()
        .join("\n");
        for wanted in [
            "`url` is missing",
            "can be guessed",
            "no address of HTTP",
            "urgent",
            "the environment has no NOBODY",
            "group_has_nobdy",
            "too long",
        ] {
            assert!(faults.contains(wanted), "{wanted} in {faults}");
        }
    }
}
