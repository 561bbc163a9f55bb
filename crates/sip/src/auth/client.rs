//! Digest authentication as client: RFC 7616, RFC 2617, RFC 8760, RFC 3261 §22.
//!
//! MD5, SHA-256 and SHA-512-256, with and without `-sess`; `qop=auth`, `auth-int` or none. A challenge becomes a session, which signs as many
//! requests as its nonce lasts for. Refuses to know: when a request is repeated, and what the secret is for.

use super::asker::Asker;
use crate::message::Message;
use crate::wire::{Params, split_list};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// The longest challenge that is kept: nonces of some hundred bytes are usual.
const LONGEST: usize = 4_096;
/// Challenges of one response that are answered: one for each proxy on the way, and the far end's.
const MOST: usize = 8;

/// Who we are to a trunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub secret: String,
    /// The only realm they are for; none is whoever asks.
    pub realm: Option<String>,
}

/// The secret is never printed.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// The response carries no Digest challenge we can read.
    NoChallenge,
    /// Only algorithms or protections that we do not have; MD5, SHA-256 and SHA-512-256 with `auth` or `auth-int` are served.
    Unsupported,
    /// Only of realms that the credentials are not for.
    OtherRealm,
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Its request URI.
    pub uri: &'a [u8],
    /// Its body, which `auth-int` protects.
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
    Sha512Trunc256,
}

impl Algorithm {
    pub(super) fn hash(self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha512Trunc256 => hex(&Sha512_256::digest(text)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    None,
    Auth,
    AuthInt,
}

/// A challenge that we can answer, and how often we have: each answer bears a higher count, so that nobody can repeat one (RFC 7616 §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    asker: Asker,
    /// Its parameters as they came.
    challenge: Box<[u8]>,
    algorithm: Algorithm,
    bound: bool,
    protection: Protection,
    nonce: Box<[u8]>,
    cnonce: Box<str>,
    count: u32,
}

impl Session {
    /// Every challenge of a 401 or 407 that can be answered: for each realm of each asker the first that we support, which is the one its
    /// server likes best (RFC 8760 §2.4). Proxies that fork put those of several realms into one response (RFC 3261 §16.7 step 7, §22.3).
    /// `cnonce` is fresh text of ours.
    ///
    /// # Errors
    /// No challenge, or none that we can answer.
    pub fn open(challenged: &Message, credentials: &Credentials, cnonce: &str) -> Result<Vec<Self>, Unanswerable> {
        let mut opened: Vec<Self> = Vec::new();
        let mut why = Unanswerable::NoChallenge;
        for header in challenged.headers() {
            let (Some(asker), Some(text)) = (Asker::of(header.name), digest(header.value)) else { continue };
            let Some(session) = Self::of(asker, text, cnonce) else {
                why = Unanswerable::Unsupported;
                continue;
            };
            if credentials.realm.as_ref().is_some_and(|realm| realm.as_bytes() != session.realm()) {
                why = if why == Unanswerable::NoChallenge { Unanswerable::OtherRealm } else { why };
            } else if opened.len() < MOST && !opened.iter().any(|known| known.is_from(asker, session.realm())) {
                opened.push(session);
            }
        }
        if opened.is_empty() { Err(why) } else { Ok(opened) }
    }

    fn of(asker: Asker, text: &[u8], cnonce: &str) -> Option<Self> {
        let (algorithm, bound) = algorithm(get(text, "algorithm").unwrap_or(b"MD5"))?;
        let offered = |name: &[u8]| {
            get(text, "qop").is_some_and(|list| split_list(list).any(|one| one.eq_ignore_ascii_case(name)))
        };
        // `auth` first: a proxy on the way may touch the body, and then `auth-int` says that somebody lies.
        let protection = match get(text, "qop") {
            None => Protection::None,
            Some(_) if offered(b"auth") => Protection::Auth,
            Some(_) if offered(b"auth-int") => Protection::AuthInt,
            Some(_) => return None,
        };
        let nonce = get(text, "nonce")?.into();
        let complete = get(text, "realm").is_some() && text.len() <= LONGEST;
        let (challenge, cnonce) = (text.into(), cnonce.into());
        complete.then_some(Self { asker, challenge, algorithm, bound, protection, nonce, cnonce, count: 0 })
    }

    /// Whose passwords it is about.
    pub fn realm(&self) -> &[u8] {
        get(&self.challenge, "realm").unwrap_or_default()
    }

    /// Whether it was opened by this asker for this realm.
    pub fn is_from(&self, asker: Asker, realm: &[u8]) -> bool {
        self.asker == asker && self.realm() == realm
    }

    /// Whether it takes the place of another one.
    pub fn replaces(&self, other: &Self) -> bool {
        self.is_from(other.asker, other.realm())
    }

    /// A response to a request that it has signed: it may name the nonce that is to be used next (RFC 7616 §3.5).
    pub fn hear(&mut self, response: &Message) {
        let info = response.named(self.asker.info());
        if let Some(next) = info.and_then(|info| get(info, "nextnonce")).filter(|next| next.len() <= LONGEST) {
            (self.nonce, self.count) = (next.into(), 0);
        }
    }

    /// The whole header line, without line end, that signs a request.
    pub fn sign(&mut self, credentials: &Credentials, signed: &Signed<'_>) -> Vec<u8> {
        self.count = self.count.saturating_add(1);
        // Works on bytes: what the challenge says goes back as it came, whatever its character set.
        let of = |name: &str| get(&self.challenge, name);
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let (realm, nonce) = (self.realm(), &self.nonce[..]);
        let (user, cnonce) = (credentials.user.as_bytes(), self.cnonce.as_bytes());
        let mut first = hash(&[user, realm, credentials.secret.as_bytes()]);
        if self.bound {
            first = hash(&[first.as_bytes(), nonce, cnonce]);
        }
        let (protection, second) = match self.protection {
            Protection::AuthInt => {
                let body = hash(&[signed.body]);
                ("auth-int", hash(&[signed.method.as_bytes(), signed.uri, body.as_bytes()]))
            }
            _ => ("auth", hash(&[signed.method.as_bytes(), signed.uri])),
        };
        let count = format!("{:08x}", self.count);
        let is_protected = self.protection != Protection::None;
        let (first, second) = (first.as_bytes(), second.as_bytes());
        let response = if is_protected {
            hash(&[first, nonce, count.as_bytes(), cnonce, protection.as_bytes(), second])
        } else {
            hash(&[first, nonce, second])
        };
        let mut line = format!("{}: Digest username=\"", self.asker.answer()).into_bytes();
        let quoted = [&quotable(user)[..], b"\", realm=\"", realm, b"\", nonce=\"", nonce, b"\", uri=\"", signed.uri];
        line.extend(quoted.concat());
        line.extend([b"\", response=\"", response.as_bytes(), b"\""].concat());
        if let Some(name) = of("algorithm") {
            line.extend([b", algorithm=", name].concat());
        }
        if is_protected {
            line.extend([b", qop=", protection.as_bytes(), b", nc=", count.as_bytes()].concat());
        }
        if is_protected || self.bound {
            line.extend([b", cnonce=\"", cnonce, b"\""].concat());
        }
        if let Some(opaque) = of("opaque") {
            line.extend([b", opaque=\"", opaque, b"\""].concat());
        }
        line
    }
}

/// The nonce that a challenge names, or an answer to one.
pub fn nonce_in(value: &[u8]) -> Option<&[u8]> {
    let (scheme, text) = value.trim_ascii().split_at_checked(7)?;
    get(text, "nonce").filter(|_| scheme.eq_ignore_ascii_case(b"digest "))
}

/// Whether a challenge only says that the nonce was too old: the secret is right, and another try with the new nonce is due
/// (RFC 7616 §3.3).
pub fn is_stale(challenged: &Message) -> bool {
    let stale = |value| {
        digest(value).and_then(|rest| get(rest, "stale")).is_some_and(|word| word.eq_ignore_ascii_case(b"true"))
    };
    challenged.headers().filter(|header| Asker::of(header.name).is_some()).any(|header| stale(header.value))
}

fn algorithm(name: &[u8]) -> Option<(Algorithm, bool)> {
    let bound = name.len().checked_sub(5).filter(|at| name[*at..].eq_ignore_ascii_case(b"-sess"));
    let known =
        [(&b"MD5"[..], Algorithm::Md5), (b"SHA-256", Algorithm::Sha256), (b"SHA-512-256", Algorithm::Sha512Trunc256)];
    let plain = &name[..bound.unwrap_or(name.len())];
    known.into_iter().find(|(text, _)| plain.eq_ignore_ascii_case(text)).map(|(_, found)| (found, bound.is_some()))
}

/// What follows the word Digest and its blank, which may be a fold.
pub(super) fn digest(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let separated = rest.first().is_some_and(u8::is_ascii_whitespace);
    (separated && scheme.eq_ignore_ascii_case(b"Digest")).then(|| rest.trim_ascii_start())
}

/// Digest parameters are separated by commas; our reader of parameters wants one at a time.
pub(super) fn get<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    split_list(text).find_map(|one| Params(one).get(name)).map(unquote)
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// Fit to stand between quotes (RFC 3261 §25.1, `quoted-pair`); line ends become blanks.
fn quotable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\r' | b'\n' => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    out
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn challenged(line: &str) -> Message {
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\n{line}\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(Vec::from(text)).unwrap()
    }

    fn known(user: &str, secret: &str) -> Credentials {
        Credentials { user: user.into(), secret: secret.into(), realm: None }
    }

    const SHA_512_256: (&str, &str) =
        ("SHA-512-256", "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0");
    const SHA_512_256_SESS: (&str, &str) =
        ("SHA-512-256-sess", "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e");
    const AUTH_INT: &str = "response=\"12a67fa2c532f49d9dc547f45d42b2aa39403f4ecfaaa26db95878ef713a8068\"";
    const INVITE: Signed<'_> = Signed { method: "INVITE", uri: b"sip:x", body: b"v=0" };

    fn respond(
        line: &str,
        user: &str,
        secret: &str,
        method: &str,
        uri: &[u8],
        cnonce: &str,
    ) -> Result<String, Unanswerable> {
        let credentials = known(user, secret);
        let mut opened = Session::open(&challenged(line), &credentials, cnonce)?;
        Ok(String::from_utf8(opened[0].sign(&credentials, &Signed { method, uri, body: b"" })).unwrap())
    }

    #[test]
    fn rfc_7616_3_9_1_md5_and_sha256() {
        let realm = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let line = format!("WWW-Authenticate: Digest {realm}, algorithm={algorithm}");
            let answer = respond(&line, "Mufasa", "Circle of Life", "GET", b"/dir/index.html", cnonce).unwrap();
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
            assert!(answer.contains("nc=00000001") && answer.contains("opaque=\"FQhe/"), "{answer}");
        }
    }

    #[test]
    fn without_qop_as_in_rfc_2069() {
        let line =
            "WWW-Authenticate: Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let answer = respond(line, "Mufasa", "CircleOfLife", "GET", b"/dir/index.html", "x").unwrap();
        assert!(
            answer.contains("response=\"1949323746fe6a43ef61f9606e7febea\"") && !answer.contains("nc="),
            "{answer}"
        );
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        let of = |line: &str| respond(line, "u", "s", "INVITE", b"sip:x", "c");
        assert_eq!(of("WWW-Authenticate: Basic realm=\"x\""), Err(Unanswerable::NoChallenge));
        assert_eq!(
            of("WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", algorithm=SHA-1024"),
            Err(Unanswerable::Unsupported)
        );
        assert_eq!(
            of("WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=\"auth-conf\""),
            Err(Unanswerable::Unsupported)
        );
        // RFC 8760 §2.4: the first that is supported is taken.
        let two = "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", algorithm=SHA-1024\r\n\
                   WWW-Authenticate: Digest realm=\"x\", nonce=\"z\", algorithm=SHA-256";
        assert!(of(two).unwrap().contains("nonce=\"z\""));
    }

    #[test]
    fn rfc_2617_3_5() {
        let line = "WWW-Authenticate: Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let answer = respond(line, "Mufasa", "Circle Of Life", "GET", b"/dir/index.html", "0a4f113b").unwrap();
        assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
        assert!(answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), "{answer}");
    }

    #[test]
    fn sessions_bind_the_secret_to_the_nonces_7616_3_4_2() {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            ("MD5-sess", "e783283f46242139c486a698fec7211d"),
            ("SHA-256-sess", "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
        ] {
            let line = format!(
                "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=auth, algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\""
            );
            let answer = respond(&line, "Mufasa", "Circle of Life", "GET", b"/dir/index.html", cnonce).unwrap();
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        }
    }

    /// RFC 3261 §22.3, §16.7 step 7: a proxy that forked hands on what all have asked, in one response.
    #[test]
    fn every_asker_is_answered_by_its_own_header_22_3() {
        let message = challenged(
            "Proxy-Authenticate: Digest\r\n realm=\"x\", nonce=\"1\"\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"2\"\r\n\
             Proxy-Authenticate: Digest realm=\"z\", nonce=\"3\"\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"4\"",
        );
        let credentials = known("u", "s");
        let mut opened = Session::open(&message, &credentials, "c").unwrap();
        let mut lines = opened.iter_mut().map(|one| String::from_utf8(one.sign(&credentials, &INVITE)).unwrap());
        for wanted in [
            "Proxy-Authorization: Digest username=\"u\", realm=\"x\", nonce=\"1\", uri=\"sip:x\"",
            "Authorization: Digest username=\"u\", realm=\"x\", nonce=\"2\"",
            "Proxy-Authorization: Digest username=\"u\", realm=\"z\", nonce=\"3\"",
        ] {
            let line = lines.next().unwrap();
            assert!(line.starts_with(wanted), "{line}");
        }
        assert_eq!(lines.next(), None, "one answer for each realm of each asker");
        let only = Credentials { realm: Some("z".into()), ..credentials };
        assert_eq!(Session::open(&message, &only, "c").unwrap().len(), 1);
        let other = Credentials { realm: Some("elsewhere".into()), ..only };
        assert_eq!(Session::open(&message, &other, "c"), Err(Unanswerable::OtherRealm));
    }

    /// RFC 8760 §2.4: the topmost that is supported, which is what the server likes best.
    #[test]
    fn the_first_supported_algorithm_is_taken_8760_2_4() {
        let of = |names: &[&str]| {
            let lines: Vec<String> = names
                .iter()
                .map(|name| format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"{name}\", algorithm={name}"))
                .collect();
            respond(&lines.join("\r\n"), "u", "s", "INVITE", b"sip:x", "c").unwrap()
        };
        assert!(of(&["SHA-512-256", "SHA-256", "MD5"]).contains("algorithm=SHA-512-256"));
        assert!(of(&["SHA-384", "sha-256", "MD5"]).contains("algorithm=sha-256"));
        assert!(of(&["SHA3-sess", "MD5-sess"]).contains("algorithm=MD5-sess"));
    }

    /// RFC 7616 §3.9.2 hashes the user name too, which nobody asks for in SIP; the figures here were computed by another implementation.
    #[test]
    fn sha_512_256_and_its_session() {
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [SHA_512_256, SHA_512_256_SESS] {
            let line = format!(
                "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=auth, algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\""
            );
            let answer = respond(&line, "Mufasa", "Circle of Life", "GET", b"/dir/index.html", cnonce).unwrap();
            assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
        }
    }

    /// RFC 7616 §3.4.3: the body is part of what is signed, when nothing less is offered.
    #[test]
    fn auth_int_covers_the_body() {
        let message =
            challenged("WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\", algorithm=SHA-256");
        let credentials = known("u", "s");
        let sign = |body: &[u8]| {
            let mut session = Session::open(&message, &credentials, "c").unwrap().remove(0);
            String::from_utf8(session.sign(&credentials, &Signed { body, ..INVITE })).unwrap()
        };
        assert!(sign(b"v=0").contains(AUTH_INT) && sign(b"v=0").contains("qop=auth-int"), "{}", sign(b"v=0"));
        assert!(!sign(b"v=1").contains(AUTH_INT));
    }

    /// RFC 7616 §3.4: the count of a nonce rises by one with each request it is used for; `nextnonce` begins anew (§3.5).
    #[test]
    fn a_nonce_is_counted_and_replaced() {
        let message = challenged("Proxy-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=auth");
        let credentials = known("u", "s");
        let mut session = Session::open(&message, &credentials, "c").unwrap().remove(0);
        let sign = |session: &mut Session| String::from_utf8(session.sign(&credentials, &INVITE)).unwrap();
        let lines: Vec<String> = (0..3).map(|_| sign(&mut session)).collect();
        for (count, line) in lines.iter().enumerate() {
            assert!(line.contains(&format!("nc=0000000{}", count + 1)), "{line}");
        }
        assert!(lines[0] != lines[1], "the response changes with the count");
        session.hear(&challenged("Authentication-Info: nextnonce=\"not-the-proxys\""));
        assert!(sign(&mut session).contains("nonce=\"y\""));
        session.hear(&challenged("Proxy-Authentication-Info: qop=auth, nextnonce=\"fresh\", rspauth=\"00\""));
        let line = sign(&mut session);
        assert!(line.contains("nonce=\"fresh\"") && line.contains("nc=00000001"), "{line}");
    }

    /// What is kept is bounded, whatever a peer sends.
    #[test]
    fn challenges_are_bounded_in_length_and_number() {
        let of = |line: String| Session::open(&challenged(&line), &known("u", "s"), "c");
        let long = format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"{}\"", "n".repeat(LONGEST));
        assert_eq!(of(long), Err(Unanswerable::Unsupported));
        let many: Vec<String> =
            (0..50).map(|n| format!("WWW-Authenticate: Digest realm=\"{n}\", nonce=\"y\"")).collect();
        assert_eq!(of(many.join("\r\n")).unwrap().len(), MOST);
    }

    proptest::proptest! {
        /// Whatever a challenge says, what answers it is one line that a server can read back.
        #[test]
        fn an_answer_is_one_line(text in "[ -~]{0,80}", user in "\\PC{0,12}", uri in "[!-~]{1,20}") {
            let line = format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", {text}");
            let signed = respond(&line, &user, "s", "INVITE", uri.as_bytes(), "c");
            if let Ok(line) = signed {
                proptest::prop_assert!(!line.contains(['\r', '\n']) && line.starts_with("Authorization: Digest "));
            }
        }
    }

    #[test]
    fn a_realm_goes_back_and_is_hashed_as_it_came() {
        let text = challenged("WWW-Authenticate: Digest realm=\"caf@\", nonce=\"y\"").bytes().to_vec();
        let latin = text.iter().map(|byte| if *byte == b'@' { 0xe9 } else { *byte }).collect();
        let credentials = known("u", "s");
        let message = Message::parse(latin).unwrap();
        let line = Session::open(&message, &credentials, "c").unwrap()[0].sign(&credentials, &INVITE);
        assert!(memchr::memmem::find(&line, b"realm=\"caf\xe9\"").is_some());
        assert!(memchr::memmem::find(&line, b"response=\"e2f10f361ba83c8086154cd56858869c\"").is_some());
    }

    #[test]
    fn a_quote_in_a_user_name_ends_nothing() {
        let line = "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"";
        let answer = respond(line, "a\", b=\"\r\nX: c", "s", "INVITE", b"sip:x", "c").unwrap();
        assert!(answer.starts_with("Authorization: Digest username=\"a\\\", b=\\\"  X: c\", realm="), "{answer}");
    }

    #[test]
    fn a_stale_nonce_is_no_wrong_secret_7616_3_3() {
        let of =
            |more: &str| is_stale(&challenged(&format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"{more}")));
        assert_eq!(
            (of(", stale=TRUE"), of(", stale=\"true\""), of(", stale=false"), of("")),
            (true, true, false, false)
        );
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert!(!format!("{:?}", known("u", "hush")).contains("hush"));
    }
}
