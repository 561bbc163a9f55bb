//! What a trunk is told and believed: which headers, which numbers in which form, whose identity, which cause.
//!
//! One trunk's terms are one value, made when the configuration is read. A message crosses from the terms of the trunk it came from to
//! those of the trunk it goes to, and it does so anew for each attempt: another candidate may be a stranger. Refuses to know: calls,
//! dialogs, why this trunk was chosen.

mod causes;
mod diversion;
mod identity;
mod names;
mod numbers;
#[cfg(test)]
mod tests;

pub use causes::{CausePolicy, ReasonForm};
pub use diversion::DiversionForm;
pub use identity::{Assertion, FromForm, IdentityPolicy, RemoteParty};
pub use names::{HeaderPattern, HeaderPolicy, SetHeader};
pub use numbers::{NumberForm, NumberPolicy, NumberRule, UriForm};

pub(crate) use identity::{Shown, cannot_hide};

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use sip::{Header, HeaderLines, HeaderName, Message, NameAddr, Uri};

/// The terms between the edge and one trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interworking {
    /// Which headers.
    pub headers: HeaderPolicy,
    /// Which numbers.
    pub numbers: NumberPolicy,
    /// Whose identity.
    pub identity: IdentityPolicy,
    /// Which causes.
    pub causes: CausePolicy,
    /// The host of URIs that lead to it, with a port if need be; empty when they name its address.
    pub host: Vec<u8>,
}

impl Interworking {
    /// Everything passes as it came.
    pub const NEUTRAL: Self = Self {
        headers: HeaderPolicy::NEUTRAL,
        numbers: NumberPolicy::NEUTRAL,
        identity: IdentityPolicy::NEUTRAL,
        causes: CausePolicy::NEUTRAL,
        host: Vec::new(),
    };

    /// The host of a URI that leads to this address of it.
    pub fn host_at(&self, peer: SocketAddr) -> Cow<'_, [u8]> {
        if self.host.is_empty() { format!("{peer}").into_bytes().into() } else { Cow::Borrowed(&self.host) }
    }

    /// Nothing but the names of parties is written anew.
    fn is_neutral(&self) -> bool {
        self.headers.is_neutral()
            && self.numbers.is_neutral()
            && self.identity.is_neutral()
            && self.causes.reason == ReasonForm::Pass
    }
}

impl Default for Interworking {
    fn default() -> Self {
        Self::NEUTRAL
    }
}

/// Terms of a trunk that a reload has taken away: its last calls go on as they came.
pub(crate) static NEUTRAL: Interworking = Interworking::NEUTRAL;

/// From the terms of one trunk to those of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing<'a> {
    /// Whoever wrote the message.
    pub(crate) from: &'a Interworking,
    /// Whoever will read it.
    pub(crate) to: &'a Interworking,
    /// It belongs to a call for help.
    pub(crate) emergency: bool,
}

impl Crossing<'_> {
    /// A user part as the reader writes numbers.
    pub(crate) fn number<'u>(&self, user: &'u [u8]) -> Cow<'u, [u8]> {
        match self.from.numbers.read(user) {
            Cow::Borrowed(same) => self.to.numbers.write(same),
            Cow::Owned(read) => Cow::Owned(self.to.numbers.write(&read).into_owned()),
        }
    }

    /// Both sides are in the trust domain (RFC 3325 §2.3).
    const fn is_trusted(&self) -> bool {
        self.from.identity.trust && self.to.identity.trust
    }

    /// Whether all of a message passes as it came: most do, so that it is found out in one pass over its headers.
    fn passes_as_it_came(&self, message: &Message) -> bool {
        let renamed = || message.headers().any(|header| names_a_party(header.name));
        self.from.is_neutral() && self.to.is_neutral() && (self.to.identity.host.is_empty() || !renamed())
    }

    /// The reader is told why.
    pub(crate) fn passes_reason(&self) -> bool {
        self.to.causes.reason != ReasonForm::Strip
    }

    /// A name-addr or a list of parameters around a URI, its number as the reader writes it, at the host that he knows us by: where the
    /// writer's own network has it is no business of his (RFC 5853 §3.1). The rest as it came.
    fn readdressed(&self, value: &[u8]) -> Vec<u8> {
        let Ok(uri) = Uri::parse(NameAddr::of(value).uri) else { return value.to_vec() };
        let (user, number) = (uri.user(), self.number(uri.user()));
        let mut out = Vec::with_capacity(value.len() + self.to.identity.host.len());
        let mut done = 0;
        if let (Cow::Owned(number), Some(at)) = (number, place_of(user, value)) {
            out.extend_from_slice(&value[..at]);
            out.extend_from_slice(&number);
            done = at + user.len();
        }
        if let (Some(ours), Some(at)) = (self.host_for(&uri), place_of(uri.host(), value)) {
            out.extend_from_slice(&value[done..at]);
            out.extend_from_slice(ours);
            let rest = &value[at + uri.host().len()..];
            let port =
                if uri.port().is_some() { 1 + rest[1..].iter().take_while(|c| c.is_ascii_digit()).count() } else { 0 };
            done = value.len() - rest.len() + port;
        }
        out.extend_from_slice(&value[done..]);
        out
    }

    /// The host that the reader is told in the place of this URI's; none when it stays: a name that means nobody does (RFC 3323 §4.1.1.3).
    fn host_for(&self, uri: &Uri<'_>) -> Option<&[u8]> {
        let ours = &self.to.identity.host[..];
        let nobody = uri.host().to_ascii_lowercase().ends_with(b".invalid");
        (!ours.is_empty() && !uri.host().is_empty() && !nobody).then_some(ours)
    }
}

/// Where `part` lies within `whole`, which it was cut from.
fn place_of(part: &[u8], whole: &[u8]) -> Option<usize> {
    let at = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (at + part.len() <= whole.len()).then_some(at)
}

/// What rules a header, besides the patterns of its trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ruled {
    /// `identity`.
    Identity,
    /// `diversion` of it.
    Diversion,
    /// `stir` of it.
    Signature,
    /// `reason` of `causes`.
    Reason,
    /// Said inside a trust domain only (RFC 7315 §5).
    Trust,
    /// Nothing else.
    Free,
}

const TRUSTED_ALONE: [&[u8]; 6] = [
    b"P-Charging-Vector",
    b"P-Charging-Function-Addresses",
    b"P-Access-Network-Info",
    b"P-Visited-Network-ID",
    b"P-Served-User",
    b"P-Private-Network-Indication",
];

/// Whether a header of this name, besides those of the dialog, says who anybody is.
const fn names_a_party(name: HeaderName) -> bool {
    is_of_identity(name) || is_of_diversion(name)
}

const fn is_of_identity(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::PAssertedIdentity
            | HeaderName::PPreferredIdentity
            | HeaderName::RemotePartyId
            | HeaderName::Privacy
    )
}

const fn is_of_diversion(name: HeaderName) -> bool {
    matches!(name, HeaderName::Diversion | HeaderName::HistoryInfo)
}

fn ruled(header: &Header<'_>) -> Ruled {
    match header.name {
        name if is_of_identity(name) => Ruled::Identity,
        name if is_of_diversion(name) => Ruled::Diversion,
        HeaderName::Reason => Ruled::Reason,
        HeaderName::Other if identity::is_signature(header) => Ruled::Signature,
        HeaderName::Other if TRUSTED_ALONE.iter().any(|name| header.raw_name.eq_ignore_ascii_case(name)) => {
            Ruled::Trust
        }
        _ => Ruled::Free,
    }
}

/// Writes those of `headers` that pass, each as the reader takes it. `shown` is the caller as an INVITE shows him.
/// Says whether a signature was left behind since it would no longer hold.
pub(crate) fn cross<'m>(
    message: &'m Message,
    headers: impl Iterator<Item = Header<'m>>,
    crossing: &Crossing<'_>,
    shown: Option<&Shown>,
    out: &mut HeaderLines,
) -> bool {
    let as_it_came = shown.is_none_or(|shown| shown.signature_holds && shown.diverted.is_empty());
    if as_it_came && crossing.passes_as_it_came(message) {
        headers.for_each(|header| out.push_raw(header.line));
        return false;
    }
    let mut broken = false;
    let withheld = identity::is_withheld(message, crossing);
    for header in headers {
        if !names::passes(&header, crossing) || (withheld && identity::tells_of_the_user(&header)) {
            continue;
        }
        match ruled(&header) {
            Ruled::Identity | Ruled::Diversion => {}
            Ruled::Trust if !crossing.is_trusted() => {}
            Ruled::Reason if crossing.to.causes.reason == ReasonForm::Strip => {}
            Ruled::Signature if !crossing.to.identity.stir => {}
            Ruled::Signature if shown.is_some_and(|shown| !shown.signature_holds) => broken = true,
            Ruled::Trust | Ruled::Reason | Ruled::Signature | Ruled::Free => out.push_raw(header.line),
        }
    }
    let strips = |name: HeaderName| names::is_stripped(name.as_str().as_bytes(), crossing);
    identity::push(message, crossing, shown, strips, out);
    if !identity::hides_history(message, crossing) {
        diversion::push(message, crossing, shown, strips, out);
    }
    causes::push(message, crossing, out);
    crossing.to.headers.push_own(message.is_request(), out);
    broken
}
