//! Digest authentication as client: RFC 7616, RFC 2617, RFC 8760.
//!
//! MD5 and SHA-256, with and without `-sess`, `qop=auth` or none. Refuses to know: when a request is repeated, and what
//! the secret is for.

use crate::message::Message;
use crate::wire::{HeaderName, Params, split_list};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use md5::{Digest, Md5};
use sha2::Sha256;

/// Who we are to a trunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub secret: String,
}

/// The secret is never printed.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswerable {
    /// The response carries no Digest challenge we can read.
    NoChallenge,
    /// Only algorithms or protections that we do not have; MD5 and SHA-256 with `auth` are served.
    Unsupported,
}

/// What is asked for, beside the challenge.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Its request URI.
    pub uri: &'a [u8],
    /// Fresh text of ours.
    pub cnonce: &'a str,
    /// How often this nonce has been used, from 1.
    pub count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

struct Challenge<'a> {
    params: Params<'a>,
    algorithm: Algorithm,
    session: bool,
}

/// The whole header line, without line end, that answers the best challenge of a 401 or 407.
///
/// # Errors
/// No challenge, or none that we can answer.
pub fn answer(challenged: &Message, credentials: &Credentials, asked: Asked<'_>) -> Result<Vec<u8>, Unanswerable> {
    let (from, to) = match challenged.status() {
        Some(407) => (HeaderName::ProxyAuthenticate, "Proxy-Authorization"),
        _ => (HeaderName::WwwAuthenticate, "Authorization"),
    };
    let lines = challenged.headers().filter(|header| header.name == from).map(|header| header.value);
    let mut seen = false;
    let readable = lines.filter_map(|value| {
        let rest = digest(value)?;
        seen = true;
        challenge(rest)
    });
    // RFC 8760 §2.4: the first that we support, which the server lists by its preference.
    let Some(challenge) = readable.into_iter().next() else {
        return Err(if seen { Unanswerable::Unsupported } else { Unanswerable::NoChallenge });
    };
    Ok(write(to, &challenge, credentials, asked))
}

/// Whether a challenge only says that the nonce was too old: the secret is right, and another try with the new nonce is due
/// (RFC 7616 §3.3).
pub fn is_stale(challenged: &Message) -> bool {
    let stale = |value| {
        digest(value).and_then(|rest| get(rest, "stale")).is_some_and(|word| word.eq_ignore_ascii_case(b"true"))
    };
    challenged
        .headers()
        .filter(|header| matches!(header.name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate))
        .any(|header| stale(header.value))
}

/// What follows the word Digest and its blank, which may be a fold.
fn digest(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let separated = rest.first().is_some_and(u8::is_ascii_whitespace);
    (separated && scheme.eq_ignore_ascii_case(b"Digest")).then(|| rest.trim_ascii_start())
}

/// Digest parameters are separated by commas; our reader of parameters wants one at a time.
fn get<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    split_list(text).find_map(|one| Params(one).get(name)).map(unquote)
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

fn challenge(text: &[u8]) -> Option<Challenge<'_>> {
    let (algorithm, session) = match get(text, "algorithm").unwrap_or(b"MD5") {
        name if name.eq_ignore_ascii_case(b"MD5") => (Algorithm::Md5, false),
        name if name.eq_ignore_ascii_case(b"MD5-sess") => (Algorithm::Md5, true),
        name if name.eq_ignore_ascii_case(b"SHA-256") => (Algorithm::Sha256, false),
        name if name.eq_ignore_ascii_case(b"SHA-256-sess") => (Algorithm::Sha256, true),
        _ => return None,
    };
    let protection = get(text, "qop");
    let auth = protection.is_none_or(|list| split_list(list).any(|one| one.eq_ignore_ascii_case(b"auth")));
    let complete = get(text, "nonce").is_some() && get(text, "realm").is_some();
    (auth && complete).then_some(Challenge { params: Params(text), algorithm, session })
}

/// Works on bytes: what the challenge says goes back as it came, whatever its character set.
fn write(header: &str, challenge: &Challenge<'_>, credentials: &Credentials, asked: Asked<'_>) -> Vec<u8> {
    let of = |name: &str| get(challenge.params.0, name);
    let hash = |parts: &[&[u8]]| match challenge.algorithm {
        Algorithm::Md5 => hex(&Md5::digest(parts.join(&b':'))),
        Algorithm::Sha256 => hex(&Sha256::digest(parts.join(&b':'))),
    };
    let (realm, nonce) = (of("realm").unwrap_or_default(), of("nonce").unwrap_or_default());
    let (user, cnonce) = (credentials.user.as_bytes(), asked.cnonce.as_bytes());
    let mut first = hash(&[user, realm, credentials.secret.as_bytes()]);
    if challenge.session {
        first = hash(&[first.as_bytes(), nonce, cnonce]);
    }
    let second = hash(&[asked.method.as_bytes(), asked.uri]);
    let count = format!("{:08x}", asked.count);
    let protected = of("qop").is_some();
    let response = if protected {
        hash(&[first.as_bytes(), nonce, count.as_bytes(), cnonce, b"auth", second.as_bytes()])
    } else {
        hash(&[first.as_bytes(), nonce, second.as_bytes()])
    };
    let user = quotable(user);
    let mut line =
        [header.as_bytes(), b": Digest username=\"", &user, b"\", realm=\"", realm, b"\", nonce=\"", nonce].concat();
    line.extend([b"\", uri=\"", asked.uri, b"\", response=\"", response.as_bytes(), b"\""].concat());
    if let Some(name) = of("algorithm") {
        line.extend([b", algorithm=", name].concat());
    }
    if protected {
        line.extend([b", qop=auth, nc=", count.as_bytes()].concat());
    }
    if protected || challenge.session {
        line.extend([b", cnonce=\"", cnonce, b"\""].concat());
    }
    if let Some(opaque) = of("opaque") {
        line.extend([b", opaque=\"", opaque, b"\""].concat());
    }
    line
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

fn hex(bytes: &[u8]) -> String {
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

    fn respond(
        line: &str,
        user: &str,
        secret: &str,
        method: &str,
        uri: &[u8],
        cnonce: &str,
    ) -> Result<String, Unanswerable> {
        let credentials = Credentials { user: user.into(), secret: secret.into() };
        let asked = Asked { method, uri, cnonce, count: 1 };
        answer(&challenged(line), &credentials, asked).map(|line| String::from_utf8(line).unwrap())
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
            of("WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256"),
            Err(Unanswerable::Unsupported)
        );
        assert_eq!(
            of("WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\""),
            Err(Unanswerable::Unsupported)
        );
        // RFC 8760 §2.4: the first that is supported is taken.
        let two = "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256\r\n\
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

    #[test]
    fn a_407_is_answered_to_the_proxy_22_3() {
        let text = challenged(
            "Proxy-Authenticate: Digest\r\n realm=\"x\", nonce=\"y\"\r\nWWW-Authenticate: Digest realm=\"not\", nonce=\"this\"",
        );
        let text = String::from_utf8(text.bytes().to_vec()).unwrap().replacen("401 Unauthorized", "407 Proxy", 1);
        let message = Message::parse(text.into_bytes()).unwrap();
        let credentials = Credentials { user: "u".into(), secret: "s".into() };
        let asked = Asked { method: "INVITE", uri: b"sip:x", cnonce: "c", count: 1 };
        let line = answer(&message, &credentials, asked).unwrap();
        assert!(
            line.starts_with(b"Proxy-Authorization: Digest username=\"u\", realm=\"x\", nonce=\"y\", uri=\"sip:x\"")
        );
    }

    #[test]
    fn a_realm_goes_back_and_is_hashed_as_it_came() {
        let text = challenged("WWW-Authenticate: Digest realm=\"caf@\", nonce=\"y\"").bytes().to_vec();
        let latin = text.iter().map(|byte| if *byte == b'@' { 0xe9 } else { *byte }).collect();
        let credentials = Credentials { user: "u".into(), secret: "s".into() };
        let asked = Asked { method: "INVITE", uri: b"sip:x", cnonce: "c", count: 1 };
        let line = answer(&Message::parse(latin).unwrap(), &credentials, asked).unwrap();
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
        let credentials = Credentials { user: "u".into(), secret: "hush".into() };
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}
