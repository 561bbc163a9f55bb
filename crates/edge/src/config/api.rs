//! `[api]`: who may look at the edge, and who may act.

use super::fault::Faults;
use super::reader::{Node, Reader, many};
use super::schema::{Section, is, needed, other, table};
use super::trunk::Env;
use super::value;
use model::Name;

pub(super) static API: Section = Section {
    title: "[api]",
    example: "[api]",
    about: "Who may look at this edge, and who may act. Where the API listens is `api` of `[edge]`.",
    keys: &[
        table("tokens", "Who is known by a token: a list of tables with `name`, `secret` and `role`."),
        other(
            "others",
            "\"none\", \"viewer\" or \"operator\"",
            "\"operator\" where the API listens on loopback, \"viewer\" elsewhere",
            "\"none\"",
            "What those may who show no token. Behind a proxy on this machine everybody comes from loopback: write \"none\" there.",
        ),
    ],
};

pub(super) static TOKEN: Section = Section {
    title: "tokens of [api]",
    example: "[[api.tokens]]",
    about: "Somebody who is known by a token. It is sent as `Authorization: Bearer`; the desk asks for it.",
    keys: &[
        needed("name", "text", "\"anna\"", "Whose it is: what records say who acted."),
        needed(
            "secret",
            "\"env:NAME\"",
            "\"env:DESK_ANNA\"",
            "Environment variable that holds it: sixteen characters or more.",
        ),
        is(
            "role",
            "\"viewer\" or \"operator\"",
            "\"viewer\"",
            "A viewer looks; an operator also drains, restores, probes and calls.",
        ),
    ],
};

/// Tokens at most: each request is compared with all of them.
const TOKENS_MAX: usize = 64;
/// Shorter ones can be guessed.
const SECRET_MIN: usize = 16;
/// Longer names fill the records.
const NAME_MAX: usize = 64;

/// Who may what.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ApiAccess {
    /// Who is known.
    pub tokens: Vec<ApiToken>,
    /// What others may: nothing said, or nothing, or something.
    pub others: Option<Option<ApiRole>>,
}

/// Somebody who is known.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Whose it is.
    pub name: Name,
    /// Never printed.
    pub secret: String,
    /// What he may.
    pub role: ApiRole,
}

/// The secret is not shown.
impl core::fmt::Debug for ApiToken {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("ApiToken").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// What somebody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiRole {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
}

pub(super) fn read(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> ApiAccess {
    let mut access = ApiAccess::default();
    let Some(node) = root.get("api") else { return access };
    let Some(reader) = Reader::open(node, &node.span(), &API, faults) else { return access };
    access.others = reader.read("others", faults, |node, faults| {
        Some(match value::word(&["none", "viewer", "operator"])(node, faults)? {
            "operator" => Some(ApiRole::Operator),
            "viewer" => Some(ApiRole::Viewer),
            _ => None,
        })
    });
    let Some(node) = reader.get("tokens") else { return access };
    for one in many(node, faults, |node, faults| token(node, env, faults)) {
        let twice = |known: &ApiToken| known.name == one.value.name || known.secret == one.value.secret;
        if access.tokens.iter().any(twice) {
            let what = format!("the name or the secret of `{}` is another token's already", one.value.name);
            faults.error(&one.at, what, "a name and a secret for each of them", None);
        }
        access.tokens.push(one.value);
    }
    if access.tokens.len() > TOKENS_MAX {
        let what = format!("{} tokens are too many", access.tokens.len());
        faults.error(&node.span(), what, format!("at most {TOKENS_MAX}: each request is compared with all"), None);
    }
    access
}

fn token(node: &Node<'_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<ApiToken> {
    let reader = Reader::open(node, &node.span(), &TOKEN, faults)?;
    let name = reader.need("name", faults, super::interworking::one_line);
    let secret = reader.need("secret", faults, value::secret(env)).map(value::Secret::reveal);
    let mut role = ApiRole::Viewer;
    reader.set("role", &mut role, faults, |node, faults| {
        let word = value::word(&["viewer", "operator"])(node, faults)?;
        Some(if word == "operator" { ApiRole::Operator } else { ApiRole::Viewer })
    });
    let (name, secret) = (name?, secret?);
    if name.is_empty() || name.len() > NAME_MAX {
        faults.error(
            &reader.place("name"),
            "this name says nothing, or too much",
            format!("1 to {NAME_MAX} bytes"),
            None,
        );
    }
    let sendable = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if secret.len() < SECRET_MIN || !sendable {
        let fix = Some(String::from("`openssl rand -hex 24` makes a good one"));
        let expected = format!("{SECRET_MIN} or more of ASCII without blanks");
        faults.error(
            &reader.place("secret"),
            "this secret can be guessed, or cannot be sent in a header",
            expected,
            fix,
        );
    }
    Some(ApiToken { name: Name::from(name.as_str()), secret, role })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::compile;

    const REST: &str = "[listen.wan]\nsip = [\"udp:127.0.0.11:5060\"]\nmedia = \"127.0.0.11:30000-30999\"\n\
        [trunk.acme]\nat = \"sip:127.0.0.31:5060\"\nlisten = \"wan\"\n[group.all]\ntiers = [[\"acme\"]]\n[[route]]\nto = \"all\"\n";

    fn read(api: &str) -> Result<ApiAccess, Vec<String>> {
        let env = |name: &str| match name {
            "ANNA" => Some("0123456789abcdef".to_owned()),
            "WALL" => Some("fedcba9876543210".to_owned()),
            "SHORT" => Some("sesame".to_owned()),
            _ => None,
        };
        let compiled = compile(&format!("{api}{REST}"), "edge.toml", &env, None);
        let faults = compiled.faults.iter().map(|fault| format!("{}; {}", fault.what, fault.expected)).collect();
        compiled.settings.map(|settings| settings.access).ok_or(faults)
    }

    #[test]
    fn tokens_have_names_roles_and_secrets_that_are_not_printed() {
        let access = read(
            "[api]\nothers = \"none\"\ntokens = [{ name = \"anna\", secret = \"env:ANNA\", role = \"operator\" },\n\
             { name = \"wall\", secret = \"env:WALL\" }]\n",
        )
        .unwrap();
        let roles: Vec<_> = access.tokens.iter().map(|token| (token.name.as_str(), token.role)).collect();
        assert_eq!(roles, [("anna", ApiRole::Operator), ("wall", ApiRole::Viewer)]);
        assert_eq!((access.others, access.tokens[0].secret.as_str()), (Some(None), "0123456789abcdef"));
        assert!(!format!("{access:?}").contains("0123456789abcdef"));
        assert_eq!(read("").unwrap(), ApiAccess::default());
    }

    #[test]
    fn what_lets_the_wrong_ones_in_is_a_fault() {
        for (tokens, fault) in [
            ("{ name = \"anna\", secret = \"env:SHORT\" }", "can be guessed"),
            ("{ name = \"anna\", secret = \"env:NOBODY\" }", "the environment has no NOBODY"),
            ("{ secret = \"env:ANNA\" }", "`name` is missing"),
            ("{ name = \"anna\", secret = \"env:ANNA\", role = \"root\" }", "root"),
            (
                "{ name = \"a\", secret = \"env:ANNA\" }, { name = \"a\", secret = \"env:WALL\" }",
                "another token's already",
            ),
            (
                "{ name = \"a\", secret = \"env:ANNA\" }, { name = \"b\", secret = \"env:ANNA\" }",
                "another token's already",
            ),
        ] {
            let faults = read(&format!("[api]\ntokens = [{tokens}]\n")).unwrap_err().join("\n");
            assert!(faults.contains(fault), "{tokens}: {faults}");
        }
    }
}
