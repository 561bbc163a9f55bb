//! Headers by name: what a trunk is sent, what is kept from it, what is added; what it says that nobody takes from it.
//!
//! A name may be written in any case, or in its compact form (RFC 3261 §7.3.3); a pattern may end in `*`. Refuses to know: what headers mean.

use super::{Crossing, Ruled, ruled};
use alloc::string::String;
use alloc::vec::Vec;
use sip::{Header, HeaderLines, HeaderName};

/// Names of headers: one, or all with one beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPattern {
    text: Vec<u8>,
    open: bool,
}

impl HeaderPattern {
    /// `X-Account`, `X-*` or `*`; a compact form stands for its full one. None when it is no name (RFC 3261 §25.1, token).
    pub fn new(text: &str) -> Option<Self> {
        let (text, open) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
        let everything = open && text.is_empty();
        if !everything && !is_token(text.as_bytes()) {
            return None;
        }
        let text = if open { text.as_bytes() } else { expanded(text.as_bytes()) };
        Some(Self { text: text.to_vec(), open })
    }

    fn matches(&self, name: &[u8]) -> bool {
        let fits = if self.open { name.len() >= self.text.len() } else { name.len() == self.text.len() };
        fits && name[..self.text.len()].eq_ignore_ascii_case(&self.text)
    }
}

/// A header with a fixed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetHeader {
    name: String,
    value: String,
}

impl SetHeader {
    /// None when the name is no token or the value would end its line, and so could smuggle in another header.
    pub fn new(name: &str, value: &str) -> Option<Self> {
        let plain = value.chars().all(|c| !c.is_control() || c == '\t') && !value.trim().is_empty();
        let name = core::str::from_utf8(expanded(name.as_bytes())).ok()?;
        (plain && is_token(name.as_bytes()))
            .then(|| Self { name: String::from(name), value: String::from(value.trim()) })
    }
}

/// Which headers a trunk gets and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPolicy {
    /// Those it is sent, of the ones that no other rule speaks of; none is all.
    pub pass: Option<Vec<HeaderPattern>>,
    /// Those it is never sent.
    pub strip: Vec<HeaderPattern>,
    /// Those that are not taken from it.
    pub ignore: Vec<HeaderPattern>,
    /// Those it is always sent, in the place of what came.
    pub set: Vec<SetHeader>,
    /// What the edge calls itself (RFC 3261 §20.35, §20.41); empty when it does not.
    pub product: String,
}

impl HeaderPolicy {
    /// All pass.
    pub const NEUTRAL: Self =
        Self { pass: None, strip: Vec::new(), ignore: Vec::new(), set: Vec::new(), product: String::new() };

    pub(super) fn is_neutral(&self) -> bool {
        let Self { pass, strip, ignore, set, product } = self;
        pass.is_none() && strip.is_empty() && ignore.is_empty() && set.is_empty() && product.is_empty()
    }

    /// What we say ourselves.
    pub(super) fn push_own(&self, request: bool, out: &mut HeaderLines) {
        if !self.product.is_empty() {
            out.push(if request { "User-Agent" } else { "Server" }, self.product.as_bytes());
        }
        self.set.iter().for_each(|set| out.push(&set.name, set.value.as_bytes()));
    }
}

/// The location and the precedence of a call for help go wherever it goes (RFC 6442 §3.3, RFC 6443 §6).
const OF_EMERGENCIES: [&[u8]; 3] = [b"Geolocation", b"Geolocation-Routing", b"Resource-Priority"];

/// Whether a header passes by its name.
pub(super) fn passes(header: &Header<'_>, crossing: &Crossing<'_>) -> bool {
    let name = full(header);
    if crossing.emergency && OF_EMERGENCIES.iter().any(|kept| kept.eq_ignore_ascii_case(name)) {
        return true;
    }
    let listed = |list: &[HeaderPattern]| list.iter().any(|pattern| pattern.matches(name));
    let wanted = crossing.to.headers.pass.as_deref().is_none_or(listed) || ruled(header) != Ruled::Free;
    wanted && !is_stripped(name, crossing)
}

/// Whether a header of this name is kept from the reader.
pub(super) fn is_stripped(name: &[u8], crossing: &Crossing<'_>) -> bool {
    let listed = |list: &[HeaderPattern]| list.iter().any(|pattern| pattern.matches(name));
    listed(&crossing.from.headers.ignore)
        || listed(&crossing.to.headers.strip)
        || crossing.to.headers.set.iter().any(|set| set.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Its full name, as sent when it has no compact form.
pub(super) fn full<'m>(header: &Header<'m>) -> &'m [u8] {
    match header.name {
        HeaderName::Other => expanded(header.raw_name),
        known => known.as_str().as_bytes(),
    }
}

/// Compact forms of headers that have no name of their own in `HeaderName`.
const COMPACT: [(u8, &[u8]); 5] = [
    (b'a', b"Accept-Contact"),
    (b'd', b"Request-Disposition"),
    (b'j', b"Reject-Contact"),
    (b'n', b"Identity-Info"),
    (b'y', b"Identity"),
];

fn expanded(name: &[u8]) -> &[u8] {
    let [letter] = name else { return name };
    let known = HeaderName::of(name);
    if known != HeaderName::Other {
        return known.as_str().as_bytes();
    }
    COMPACT.iter().find(|(compact, _)| compact.eq_ignore_ascii_case(letter)).map_or(name, |(_, full)| full)
}

fn is_token(text: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte);
    (1..=64).contains(&text.len()) && text.iter().all(token)
}
