//! Who may what: tokens with roles, and what those may who show none.
//!
//! A viewer looks, an operator also acts. Without tokens everyone on this machine is an operator, as is whoever can read its files; from
//! elsewhere one only looks. Refuses to know: routes, where tokens are kept.

use crate::fault::{Fault, Kind};
use axum::http::{HeaderMap, Method, header};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Tokens at most: each request compares with all of them.
const TOKENS_MAX: usize = 64;

/// What somebody may do. The greater includes the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
}

impl Role {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// One token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose: what records call him.
    pub name: String,
    /// The token itself.
    pub secret: String,
    /// What he may.
    pub role: Role,
}

/// The secret is not shown.
impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Token").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Who may what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    tokens: Vec<Token>,
    /// What those may who show no token; none lets them see nothing.
    stranger: Option<Role>,
    /// What records call those.
    stranger_name: &'static str,
}

/// Whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// What records call him.
    pub(crate) who: String,
    pub(crate) role: Role,
    /// He has shown a token.
    pub(crate) by_token: bool,
}

impl Access {
    /// These tokens, at most 64 of them, and what others may: when nothing is said, an operator's all where the API can only
    /// be reached from this machine, a look where it can be reached from elsewhere.
    pub fn new(at: Option<SocketAddr>, tokens: Vec<Token>, others: Option<Option<Role>>) -> Self {
        let local = at.is_none_or(|at| at.ip().is_loopback());
        let usual = Some(if local { Role::Operator } else { Role::Viewer });
        let mut tokens = tokens;
        tokens.truncate(TOKENS_MAX);
        Self { tokens, stranger: others.unwrap_or(usual), stranger_name: if local { "local" } else { "anonymous" } }
    }

    /// Whether there are tokens.
    pub(crate) const fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Who asks, by the header `Authorization` (RFC 6750 §2.1). A token that is not known is refused whatever strangers may: who shows
    /// one means to be somebody.
    ///
    /// # Errors
    /// When he may not even look.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Fault> {
        let Some(shown) = headers.get(header::AUTHORIZATION) else {
            let stranger = |role| Caller { who: self.stranger_name.to_owned(), role, by_token: false };
            return self.stranger.map(stranger).ok_or_else(|| {
                Fault::new(Kind::Unauthorised, "this edge answers only those who show a token", HOW_TO_SHOW)
            });
        };
        let shown = shown.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let known = shown.and_then(|shown| self.known(shown));
        let known = known.map(|token| Caller { who: token.name.clone(), role: token.role, by_token: true });
        known.ok_or_else(|| Fault::new(Kind::Unauthorised, "this token is not known", HOW_TO_SHOW))
    }

    /// Compares with every token in full, so that time tells neither how much of a guess was right nor which token it was.
    fn known(&self, shown: &str) -> Option<&Token> {
        let mut found = u32::MAX;
        for (index, token) in (0u32..).zip(&self.tokens) {
            let same: Choice = token.secret.as_bytes().ct_eq(shown.as_bytes());
            found.conditional_assign(&index, same);
        }
        self.tokens.get(usize::try_from(found).ok()?)
    }
}

const HOW_TO_SHOW: &str =
    "send `Authorization: Bearer TOKEN` with one of `[api]` in the configuration, or sign in at the desk";

impl Caller {
    /// Whether he may make a request of this kind.
    ///
    /// # Errors
    /// What he would need instead.
    pub(crate) fn may(&self, method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        same_origin(headers, self.by_token)?;
        if self.role >= Role::Operator {
            return Ok(());
        }
        let hint = "show the token of an operator: one with role = \"operator\" in `[api]` of the configuration";
        let kind = if self.by_token { Kind::Forbidden } else { Kind::Unauthorised };
        Err(Fault::new(kind, format!("{} may look, but not act", self.who), hint))
    }
}

/// A change that a web page asks for comes from the page that this edge itself has served (RFC 6454 §7). Without a token the edge must have
/// been named by its address: a name that somebody else's name server leads to this address would make his page one of ours.
fn same_origin(headers: &HeaderMap, by_token: bool) -> Result<(), Fault> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, authority)| authority);
    let ours = !host.is_empty() && authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host));
    if ours && (by_token || is_address(host)) {
        return Ok(());
    }
    let hint =
        "the API takes orders from command lines, programs and its own page: open the desk at the edge's address";
    Err(Fault::new(Kind::Forbidden, "a web page of another origin asks for a change", hint))
}

/// `127.0.0.1:8060`, `[::1]:8060`, `localhost:8060`, with or without a port.
fn is_address(host: &str) -> bool {
    let named = host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let name = host.split(':').next().unwrap_or_default();
    named || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use axum::http::HeaderValue;

    fn token(name: &str, secret: &str, role: Role) -> Token {
        Token { name: name.to_owned(), secret: secret.to_owned(), role }
    }

    fn access(at: &str, others: Option<Option<Role>>) -> Access {
        let tokens = vec![token("wall", "sesame-1", Role::Viewer), token("anna", "sesame-2", Role::Operator)];
        Access::new(Some(at.parse().unwrap()), tokens, others)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn strangers_act_on_this_machine_and_look_from_elsewhere() {
        for (at, others, role) in [
            ("127.0.0.1:8060", None, Some(("local", Role::Operator))),
            ("[::1]:8060", None, Some(("local", Role::Operator))),
            ("192.0.2.1:8060", None, Some(("anonymous", Role::Viewer))),
            ("0.0.0.0:8060", None, Some(("anonymous", Role::Viewer))),
            ("127.0.0.1:8060", Some(None), None),
            ("127.0.0.1:8060", Some(Some(Role::Viewer)), Some(("local", Role::Viewer))),
        ] {
            let caller = access(at, others).caller(&HeaderMap::new());
            let found = caller.as_ref().ok().map(|caller| (caller.who.as_str(), caller.role));
            assert_eq!(found, role, "{at} {others:?}");
        }
    }

    #[test]
    fn a_token_is_somebody_and_an_unknown_one_is_nobody() {
        let access = access("127.0.0.1:8060", None);
        let caller = |value: &str| access.caller(&headers(&[("authorization", value)]));
        let anna = caller("Bearer sesame-2").unwrap();
        assert_eq!((anna.who.as_str(), anna.role, anna.by_token), ("anna", Role::Operator, true));
        assert_eq!(caller("bearer sesame-1").unwrap().role, Role::Viewer);
        for unknown in ["Bearer sesame-3", "Bearer ", "Bearer", "Basic sesame-1", "sesame-1", "Bearer sesame-11"] {
            assert_eq!(caller(unknown).unwrap_err().kind, Kind::Unauthorised, "{unknown}");
        }
        assert!(!format!("{access:?}").contains("sesame"), "a secret is not printed");
    }

    #[test]
    fn a_viewer_looks_and_an_operator_acts() {
        let access = access("192.0.2.1:8060", None);
        let may = |token: &str, method: Method| {
            let shown = if token.is_empty() {
                HeaderMap::new()
            } else {
                headers(&[("authorization", &format!("Bearer {token}"))])
            };
            access.caller(&shown).unwrap().may(&method, &shown).map_err(|fault| fault.kind)
        };
        assert_eq!(may("", Method::GET), Ok(()));
        assert_eq!(may("", Method::POST), Err(Kind::Unauthorised));
        assert_eq!(may("sesame-1", Method::GET), Ok(()));
        assert_eq!(may("sesame-1", Method::POST), Err(Kind::Forbidden));
        assert_eq!(may("sesame-2", Method::POST), Ok(()));
    }

    #[test]
    fn only_the_edges_own_page_changes_anything() {
        for (origin, host, by_token, good) in [
            ("http://127.0.0.1:8060", "127.0.0.1:8060", false, true),
            ("http://localhost:8060", "localhost:8060", false, true),
            ("http://[::1]:8060", "[::1]:8060", false, true),
            ("https://edge.example", "edge.example", true, true),
            ("https://edge.example", "edge.example", false, false),
            ("http://evil.example:8060", "evil.example:8060", false, false),
            ("http://evil.example", "127.0.0.1:8060", false, false),
            ("http://evil.example", "127.0.0.1:8060", true, false),
            ("null", "127.0.0.1:8060", true, false),
            ("http://127.0.0.1:9000", "127.0.0.1:8060", true, false),
        ] {
            let found = same_origin(&headers(&[("origin", origin), ("host", host)]), by_token);
            assert_eq!(found.is_ok(), good, "{origin} at {host}");
        }
    }
}
