//! Digest authentication as server: RFC 7616, RFC 8760, as RFC 3261 §22 uses it.
//!
//! A nonce carries its own birth and our keyed hash of it, so that a challenge costs no memory: only one that was used well is
//! remembered, for as long as it could be used again. An unknown user costs the same work as a wrong password and gets the
//! same answer. Refuses to know: what the user may do, who is told of failures, clocks.

use super::asker::Asker;
use super::client::{Algorithm as Hash, digest, get, hex};
use crate::compose::HeaderLines;
use crate::message::Message;
use crate::wire::Uri;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use model::{Instant, Span};
use sha2::{Digest, Sha256};

/// How many later counts of a nonce may overtake an earlier one: datagrams do.
const WINDOW: u32 = 64;
/// Letters of a nonce: 12 for its birth, 8 for its number, 32 for our hash.
const NONCE_LEN: usize = 52;

/// A hash that may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The strong one, which few phones have.
    Sha256,
    /// The one that all phones have.
    Md5,
}

impl Algorithm {
    const fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    const fn hash(self) -> Hash {
        match self {
            Self::Sha256 => Hash::Sha256,
            Self::Md5 => Hash::Md5,
        }
    }
}

/// What we know of a user's password.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password.
    Password(Box<str>),
    /// `H(user:realm:password)` in small hexadecimal letters, for each algorithm that may be used.
    Hashed {
        /// By MD5.
        md5: Option<Box<str>>,
        /// By SHA-256.
        sha256: Option<Box<str>>,
    },
}

/// The secret is never printed.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Whether a user can answer a challenge of this algorithm.
    pub const fn serves(&self, algorithm: Algorithm) -> bool {
        match (self, algorithm) {
            (Self::Password(_), _) => true,
            (Self::Hashed { md5, .. }, Algorithm::Md5) => md5.is_some(),
            (Self::Hashed { sha256, .. }, Algorithm::Sha256) => sha256.is_some(),
        }
    }
}

/// How users are asked who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// Its name, as shown to users.
    pub name: Box<str>,
    /// What is offered, best first: a user takes the first that he has (RFC 8760 §2.4).
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce may be used.
    pub nonce_lifetime: Span,
}

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This user.
    Good {
        /// His name.
        user: Box<str>,
    },
    /// It answers no challenge of this realm.
    Missing,
    /// The secret is right, the nonce too old or of an earlier run: `stale=true` makes the phone try again by itself.
    Stale,
    /// The secret is wrong, or the answer is for another request.
    Wrong,
    /// This very answer came before.
    Replayed,
    /// There is no such user. Outside it looks like a wrong secret.
    Unknown,
}

impl Verdict {
    /// A new nonce is all that is wanted (RFC 7616 §3.3).
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale | Self::Replayed)
    }

    /// Somebody is guessing, or has mistyped.
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Wrong | Self::Unknown)
    }
}

/// Challenges, and what their answers are worth. One a shard: a nonce of another is stale here, so that none is used twice.
#[derive(Debug)]
pub struct Authenticator {
    key: [u8; 32],
    minted: u32,
    used: HashMap<Nonce, Counts, FixedState>,
    /// Nonces in use, in the order of their first use.
    order: VecDeque<Nonce>,
    limit: usize,
    /// Nonces born until then are too old: one of them was forgotten before its time.
    floor: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Nonce {
    /// Milliseconds.
    born: u64,
    number: u32,
}

/// Counts of one nonce: the highest, and which of those before it were seen.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    highest: u32,
    seen: u64,
}

impl Counts {
    /// False when it was seen before, or is too far behind to tell.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = if ahead >= WINDOW { 0 } else { self.seen << ahead };
            self.seen |= 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= WINDOW || self.seen & (1 << behind) != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

/// What an answer says.
struct Given<'a> {
    user: Vec<u8>,
    realm: &'a [u8],
    nonce: &'a [u8],
    uri: &'a [u8],
    response: &'a [u8],
    algorithm: Algorithm,
    /// `auth` or `auth-int`, its count and the phone's own text; none as in RFC 2069.
    protection: Option<(&'a [u8], &'a [u8], &'a [u8])>,
}

impl Authenticator {
    /// One that remembers at most `limit` nonces in use. `key` is secret.
    pub fn new(key: u64, shard: u8, limit: usize) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"digest nonces");
        hash.update(key.to_be_bytes());
        hash.update([shard]);
        let used = HashMap::with_hasher(FixedState::with_seed(key));
        Self { key: hash.finalize().into(), minted: 0, used, order: VecDeque::new(), limit: limit.max(1), floor: None }
    }

    /// Writes one challenge for each algorithm, all with the same new nonce.
    pub fn challenge(&mut self, now: Instant, realm: &Realm, asker: Asker, stale: bool, to: &mut HeaderLines) {
        self.minted = self.minted.wrapping_add(1);
        let nonce = Nonce { born: now.as_micros() / 1_000, number: self.minted };
        let text = self.text(nonce);
        let stale = if stale { ", stale=true" } else { "" };
        for algorithm in &realm.algorithms {
            // RFC 8760 §2.6: qop is always offered, since without it nothing tells a replay.
            let line = format!(
                "Digest realm=\"{}\", nonce=\"{text}\", qop=\"auth\", algorithm={}{stale}",
                realm.name,
                algorithm.word()
            );
            to.push(asker.challenge(), line.as_bytes());
        }
    }

    /// Who a request is from, by the secrets that `secret_of` knows.
    pub fn verify<'s>(
        &mut self,
        now: Instant,
        realm: &Realm,
        asker: Asker,
        request: &Message,
        secret_of: impl FnOnce(&str) -> Option<&'s Secret>,
    ) -> Verdict {
        let Some(given) = answer_in(realm, asker, request) else { return Verdict::Missing };
        let user = core::str::from_utf8(&given.user).unwrap_or_default();
        let secret = secret_of(user);
        let expected = expected(&given, secret, request);
        let equal = same(&expected, given.response);
        if secret.is_none() {
            return Verdict::Unknown;
        }
        // RFC 7616 §3.4.6: an answer is for one resource alone.
        if !equal || !same_resource(given.uri, request.uri()) {
            return Verdict::Wrong;
        }
        match self.spend(now, realm, &given) {
            Spent::Fresh => Verdict::Good { user: user.into() },
            Spent::Old => Verdict::Stale,
            Spent::Twice => Verdict::Replayed,
        }
    }

    /// Whether it answers a challenge of ours that still holds, rightly or wrongly: its sender has heard us.
    pub fn answers_ours(&self, now: Instant, realm: &Realm, asker: Asker, request: &Message) -> bool {
        let nonce = answer_in(realm, asker, request).and_then(|given| self.read(given.nonce));
        nonce.is_some_and(|nonce| nonce.born + realm.nonce_lifetime.as_millis() >= now.as_micros() / 1_000)
    }

    /// Nonces that are remembered.
    pub fn remembered(&self) -> usize {
        self.used.len()
    }

    fn spend(&mut self, now: Instant, realm: &Realm, given: &Given<'_>) -> Spent {
        let now_ms = now.as_micros() / 1_000;
        let lifetime = realm.nonce_lifetime.as_millis();
        self.forget(now_ms, lifetime);
        let Some(nonce) = self.read(given.nonce) else { return Spent::Old };
        if nonce.born + lifetime < now_ms || self.floor.is_some_and(|floor| nonce.born <= floor) {
            return Spent::Old;
        }
        // Without a count a nonce serves once.
        let count = match given.protection {
            None => Some(1),
            Some((_, count, _)) => core::str::from_utf8(count).ok().and_then(|text| u32::from_str_radix(text, 16).ok()),
        };
        let Some(count) = count.filter(|count| *count > 0) else { return Spent::Twice };
        if !self.used.contains_key(&nonce) {
            self.remember(nonce);
        }
        let fresh = self.used.get_mut(&nonce).is_some_and(|counts| counts.take(count));
        if fresh { Spent::Fresh } else { Spent::Twice }
    }

    fn remember(&mut self, nonce: Nonce) {
        if self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.used.remove(&oldest);
            // It could be used again now, so that all of its age are too old.
            self.floor = Some(self.floor.map_or(oldest.born, |floor| floor.max(oldest.born)));
        }
        self.order.push_back(nonce);
        self.used.insert(nonce, Counts::default());
    }

    /// Drops those that nobody can use again.
    fn forget(&mut self, now_ms: u64, lifetime: u64) {
        while let Some(oldest) = self.order.front().copied().filter(|nonce| nonce.born + lifetime < now_ms) {
            self.order.pop_front();
            self.used.remove(&oldest);
        }
    }

    fn text(&self, nonce: Nonce) -> String {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(nonce.born.to_be_bytes());
        hash.update(nonce.number.to_be_bytes());
        let proof = hash.finalize();
        format!("{:012x}{:08x}{}", nonce.born, nonce.number, hex(&proof[..16]))
    }

    /// A nonce of ours; none when it is not.
    fn read(&self, text: &[u8]) -> Option<Nonce> {
        let text = core::str::from_utf8(text).ok().filter(|text| text.len() == NONCE_LEN && text.is_ascii())?;
        let born = u64::from_str_radix(text.get(..12)?, 16).ok()?;
        let number = u32::from_str_radix(text.get(12..20)?, 16).ok()?;
        let nonce = Nonce { born, number };
        same(self.text(nonce).as_bytes(), text.as_bytes()).then_some(nonce)
    }
}

enum Spent {
    Fresh,
    Old,
    Twice,
}

/// The answer for this realm, when there is one that can be read and uses what we offer.
fn answer_in<'a>(realm: &Realm, asker: Asker, request: &'a Message) -> Option<Given<'a>> {
    let lines = request.headers().filter(|header| asker.is_answered_by(header.name));
    lines
        .filter_map(|header| given(digest(header.value)?))
        .find(|given| given.realm == realm.name.as_bytes() && realm.algorithms.contains(&given.algorithm))
}

fn given(text: &[u8]) -> Option<Given<'_>> {
    let algorithm = match get(text, "algorithm") {
        None => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case(b"MD5") => Algorithm::Md5,
        Some(name) if name.eq_ignore_ascii_case(b"SHA-256") => Algorithm::Sha256,
        Some(_) => return None,
    };
    let protection = match get(text, "qop") {
        None => None,
        Some(word) if word.eq_ignore_ascii_case(b"auth") || word.eq_ignore_ascii_case(b"auth-int") => {
            Some((word, get(text, "nc")?, get(text, "cnonce")?))
        }
        Some(_) => return None,
    };
    Some(Given {
        user: plain(get(text, "username")?),
        realm: get(text, "realm")?,
        nonce: get(text, "nonce")?,
        uri: get(text, "uri")?,
        response: get(text, "response")?,
        algorithm,
        protection,
    })
}

/// What stands between quotes without its escapes (RFC 3261 §25.1).
fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut escaped = false;
    for byte in text {
        if *byte == b'\\' && !escaped {
            escaped = true;
        } else {
            out.push(*byte);
            escaped = false;
        }
    }
    out
}

/// The response that is right. Without a secret the same work is done for nothing, so that time does not tell who exists.
fn expected(given: &Given<'_>, secret: Option<&Secret>, request: &Message) -> Vec<u8> {
    let hash = |parts: &[&[u8]]| given.algorithm.hash().hash(parts);
    let by_password = |password: &[u8]| hash(&[&given.user, given.realm, password]);
    let kept = |text: &Option<Box<str>>| text.as_deref().map(String::from);
    let first = match (secret, given.algorithm) {
        (Some(Secret::Password(password)), _) => Some(by_password(password.as_bytes())),
        (Some(Secret::Hashed { md5, .. }), Algorithm::Md5) => kept(md5),
        (Some(Secret::Hashed { sha256, .. }), Algorithm::Sha256) => kept(sha256),
        (None, _) => None,
    };
    let known = first.is_some();
    let first = first.unwrap_or_else(|| by_password(b""));
    let whole = given.protection.is_some_and(|(word, ..)| word.eq_ignore_ascii_case(b"auth-int"));
    let second = if whole {
        let body = hash(&[request.body()]);
        hash(&[request.method_text(), given.uri, body.as_bytes()])
    } else {
        hash(&[request.method_text(), given.uri])
    };
    let response = match given.protection {
        Some((word, count, cnonce)) => hash(&[first.as_bytes(), given.nonce, count, cnonce, word, second.as_bytes()]),
        None => hash(&[first.as_bytes(), given.nonce, second.as_bytes()]),
    };
    if known { response.into_bytes() } else { Vec::new() }
}

/// Compares all of it, however early it differs: how long that took tells nobody how much of a guess was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (a, b)| differs | (a ^ b.to_ascii_lowercase())) == 0
}

/// Whom the answer names is whom the request names. Hosts are not compared: stacks write our name in one of the two and our address
/// in the other, and a count is good once, so that an answer cannot be used for a second request anyway.
fn same_resource(given: &[u8], asked: &[u8]) -> bool {
    if given == asked {
        return true;
    }
    let (Ok(given), Ok(asked)) = (Uri::parse(given), Uri::parse(asked)) else { return false };
    given.user() == asked.user()
}

#[cfg(test)]
mod tests;
