//! Who calls, as one trunk says it and another may know it: From, asserted identity, privacy, signature.
//!
//! RFC 3323 (privacy), RFC 3325 and RFC 5876 (asserted identity), RFC 8224 (signature). An identity is asserted inside a trust domain only;
//! at its border privacy is done here, since nobody behind it will. Refuses to know: which number is a trunk's own, beyond what its terms say.

use super::names::full;
use super::numbers::canonical;
use super::{Crossing, DiversionForm};
use crate::profile::is_urn;
use alloc::vec::Vec;
use sip::{Header, HeaderLines, HeaderName, Message, NameAddr, Uri};
use smallvec::SmallVec;

/// What From says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromForm {
    /// The caller's name and number.
    Pass,
    /// His number alone.
    Number,
    /// The asserted identity, if there is one.
    Asserted,
    /// The trunk's own number.
    Fallback,
}

/// What P-Asserted-Identity says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// What was asserted to us.
    Pass,
    /// Nothing.
    Strip,
    /// What From says.
    From,
    /// The trunk's own number.
    Fallback,
}

/// What becomes of Remote-Party-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteParty {
    /// It passes between trusted trunks.
    Pass,
    /// It is dropped.
    Strip,
    /// This trunk speaks it in the place of P-Asserted-Identity, both ways.
    Convert,
}

/// Whose identity a trunk is told, and what of it we believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityPolicy {
    /// It is in our trust domain: what it asserts is believed, and what is asserted is told to it.
    pub trust: bool,
    /// From towards it.
    pub from: FromForm,
    /// P-Asserted-Identity towards it.
    pub pai: Assertion,
    /// Privacy is done before a call leaves the trust domain.
    pub honours_privacy: bool,
    /// Remote-Party-ID from and to it.
    pub rpid: RemoteParty,
    /// The number of ours that it knows, in E.164; empty when there is none.
    pub fallback: Vec<u8>,
    /// Beginnings of the numbers it lets us show, in E.164; none is any, or any global one when there is a `fallback`.
    pub callers: Vec<Vec<u8>>,
    /// How it is told that a call was diverted.
    pub diversion: DiversionForm,
    /// Signatures are passed to it (RFC 8224).
    pub stir: bool,
    /// Host of every party it is told: ours, or a domain that it knows us by; empty leaves them as they came.
    pub host: Vec<u8>,
}

impl IdentityPolicy {
    /// Trusted, and told everything as it came.
    pub const NEUTRAL: Self = Self {
        trust: true,
        from: FromForm::Pass,
        pai: Assertion::Pass,
        honours_privacy: true,
        rpid: RemoteParty::Pass,
        fallback: Vec::new(),
        callers: Vec::new(),
        diversion: DiversionForm::Pass,
        stir: true,
        host: Vec::new(),
    };

    /// Everybody passes as he came, but at `host`.
    pub(super) fn is_neutral(&self) -> bool {
        let Self { trust, from, pai, honours_privacy, rpid, fallback, callers, diversion, stir, host: _ } = self;
        *trust
            && *honours_privacy
            && *stir
            && fallback.is_empty()
            && callers.is_empty()
            && (*from, *pai, *rpid, *diversion)
                == (FromForm::Pass, Assertion::Pass, RemoteParty::Pass, DiversionForm::Pass)
    }

    /// Whether the trunk lets us show this number.
    fn allows(&self, global: &[u8]) -> bool {
        if self.callers.is_empty() {
            return self.fallback.is_empty() || global.starts_with(b"+");
        }
        self.callers.iter().any(|prefix| global.starts_with(prefix))
    }
}

/// An INVITE's parties as the trunk of one attempt is shown them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Display name, with its quotes.
    display: Vec<u8>,
    /// User part.
    user: Vec<u8>,
    /// He withholds his identity, and we see to it.
    anonymous: bool,
    /// Called user part.
    pub(crate) called: Vec<u8>,
    /// Our address there.
    host: Vec<u8>,
    /// A signature over the parties still says what they are (RFC 8224 §4.1).
    pub(super) signature_holds: bool,
    /// Where redirections that were followed have led it from: URI and reason (RFC 5806), the last one first.
    pub(super) diverted: Vec<(Vec<u8>, &'static str)>,
}

impl Shown {
    /// `number` is the called one as we know it.
    pub(crate) fn of(invite: &Message, crossing: &Crossing<'_>, number: &[u8], host: &[u8]) -> Self {
        let to = &crossing.to.identity;
        let from = invite.from();
        let asserted = asserted(invite, crossing);
        let source = match asserted.first() {
            Some(first) if to.from == FromForm::Asserted => NameAddr::of(first),
            _ => from,
        };
        let uri = Uri::parse(source.uri);
        // "anonymous.invalid" is how RFC 3323 §4.1.1.3 says that nobody is named, and it must stay.
        let nobody = uri.is_ok_and(|uri| uri.host().eq_ignore_ascii_case(b"anonymous.invalid"));
        let anonymous = nobody || is_withheld(invite, crossing);
        let user = uri.map(|uri| uri.user()).unwrap_or_default();
        let replaced = !anonymous && (to.from == FromForm::Fallback || !to.allows(&crossing.from.numbers.read(user)));
        let fallback = replaced && !to.fallback.is_empty();
        let shown = if fallback { crossing.to.numbers.write(&to.fallback) } else { crossing.number(user) };
        let display =
            if fallback || to.from == FromForm::Number || (anonymous && !nobody) { b"" } else { source.display };
        // A number for help is dialled the same everywhere.
        let called = if crossing.emergency { number.into() } else { crossing.to.numbers.write(number) };
        let mut shown = Self {
            display: display.to_vec(),
            user: shown.into_owned(),
            anonymous,
            called: called.into_owned(),
            host: if to.host.is_empty() { host.to_vec() } else { to.host.clone() },
            signature_holds: true,
            diverted: Vec::new(),
        };
        if invite.headers().any(|header| is_signature(&header)) {
            shown.signature_holds = shown.holds(invite, crossing, &from);
        }
        shown
    }

    /// Whoever is named by From and asserted, and whoever is called, are still the same.
    fn holds(&self, invite: &Message, crossing: &Crossing<'_>, from: &NameAddr<'_>) -> bool {
        let number =
            |value: &[u8]| canonical(Uri::parse(NameAddr::of(value).uri).map(|uri| uri.user()).unwrap_or_default());
        let (named, called) = (number(from.uri), number(invite.to().uri));
        let said = invite.values(HeaderName::PAssertedIdentity).next().map(number);
        let told = identities(invite, crossing, Some(self)).first().map(|value| number(value));
        let same_caller = !self.anonymous && canonical(&self.user) == named;
        let same_assertion = said == told || (told.is_none() && said.as_ref() == Some(&named));
        same_caller && same_assertion && canonical(&self.called) == called
    }

    /// The edge itself has followed redirections: from these numbers as it knows them, and why, the last one first.
    pub(crate) fn divert<'d>(
        &mut self,
        crossing: &Crossing<'_>,
        diverted: impl Iterator<Item = (&'d [u8], &'static str)>,
    ) {
        let at_ours = |(number, reason): (&[u8], &'static str)| {
            let number = crossing.to.numbers.write(number);
            ([&b"sip:"[..], &number, b"@", &self.host].concat(), reason)
        };
        self.diverted = diverted.map(at_ours).collect();
    }

    /// From, with our tag.
    pub(crate) fn push_from(&self, crossing: &Crossing<'_>, tag: &[u8], out: &mut HeaderLines) {
        let mut value = Vec::with_capacity(self.display.len() + self.user.len() + self.host.len() + tag.len() + 32);
        if self.anonymous {
            // A caller who does it himself may have his own word for it.
            value.extend_from_slice(if self.display.is_empty() { b"\"Anonymous\"" } else { &self.display });
            value.extend_from_slice(b" <sip:anonymous@anonymous.invalid>");
        } else {
            self.push_party(crossing, &mut value);
        }
        value.extend_from_slice(b";tag=");
        value.extend_from_slice(tag);
        out.push("From", &value);
    }

    fn push_party(&self, crossing: &Crossing<'_>, value: &mut Vec<u8>) {
        value.extend_from_slice(&self.display);
        value.extend_from_slice(if self.display.is_empty() { b"<" } else { b" <" });
        crossing.to.numbers.push_uri(value, &self.user, &self.host);
        value.push(b'>');
    }

    /// The called party at our address, for a history.
    pub(super) fn push_called(&self, value: &mut Vec<u8>) {
        // The name of a service is at nobody's address (RFC 5031).
        if is_urn(&self.called) {
            return value.extend_from_slice(&self.called);
        }
        for part in [b"sip:", self.called.as_slice(), b"@", &self.host] {
            value.extend_from_slice(part);
        }
    }
}

type Values = SmallVec<[Vec<u8>; 2]>;

/// What the writer asserts, if it is to be believed (RFC 3325 §5).
fn asserted(message: &Message, crossing: &Crossing<'_>) -> Values {
    if !crossing.from.identity.trust {
        return Values::new();
    }
    let asserted: Values = message.values(HeaderName::PAssertedIdentity).map(<[u8]>::to_vec).collect();
    if !asserted.is_empty() || crossing.from.identity.rpid != RemoteParty::Convert {
        return asserted;
    }
    let party = |value: &[u8]| {
        let party = NameAddr::of(value);
        let display = if party.display.is_empty() { Vec::new() } else { [party.display, b" "].concat() };
        [display.as_slice(), b"<", party.uri, b">"].concat()
    };
    message.values(HeaderName::RemotePartyId).map(party).collect()
}

/// What the reader is told of them. Only a request that shows its caller can assert another one.
fn identities(message: &Message, crossing: &Crossing<'_>, shown: Option<&Shown>) -> Values {
    let to = &crossing.to.identity;
    if !to.trust {
        return Values::new();
    }
    let own = |shown: &Shown| {
        let mut value = b"<".to_vec();
        crossing.to.numbers.push_uri(&mut value, &crossing.to.numbers.write(&to.fallback), &shown.host);
        value.push(b'>');
        value
    };
    match (to.pai, shown) {
        (Assertion::Strip, _) => Values::new(),
        (Assertion::From, Some(shown)) if !shown.anonymous => {
            let mut value = Vec::new();
            shown.push_party(crossing, &mut value);
            Values::from_iter([value])
        }
        (Assertion::Fallback, Some(shown)) => Values::from_iter([own(shown)]),
        (_, shown) => {
            let told = |value: &Vec<u8>| {
                let user = Uri::parse(NameAddr::of(value).uri).map(|uri| uri.user()).unwrap_or_default();
                match shown {
                    Some(shown) if !to.fallback.is_empty() && !to.allows(&crossing.from.numbers.read(user)) => {
                        own(shown)
                    }
                    _ => crossing.readdressed(value),
                }
            };
            asserted(message, crossing).iter().map(told).collect()
        }
    }
}

/// Writes P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID and Privacy.
pub(super) fn push(
    message: &Message,
    crossing: &Crossing<'_>,
    shown: Option<&Shown>,
    strips: impl Fn(HeaderName) -> bool,
    out: &mut HeaderLines,
) {
    let to = &crossing.to.identity;
    let converts = to.rpid == RemoteParty::Convert;
    let hidden = wants(message, &["id", "user"]) || remote_party_hides(message, crossing);
    let mut put = |name: HeaderName, value: &[u8]| {
        if !strips(name) {
            out.push(name.as_str(), value);
        }
    };
    for value in identities(message, crossing, shown) {
        if converts {
            let privacy: &[u8] =
                if hidden { b";party=calling;privacy=full;screen=yes" } else { b";party=calling;screen=yes" };
            put(HeaderName::RemotePartyId, &[value.as_slice(), privacy].concat());
        } else {
            put(HeaderName::PAssertedIdentity, &value);
        }
    }
    let mut copy = |name: HeaderName| {
        for value in message.values(name) {
            put(name, &crossing.readdressed(value));
        }
    };
    if to.trust {
        // RFC 3325 §9.2: a wish for an identity is for a proxy that can verify it, and for nobody else.
        copy(HeaderName::PPreferredIdentity);
    }
    if crossing.is_trusted() && [to.rpid, crossing.from.identity.rpid] == [RemoteParty::Pass; 2] {
        copy(HeaderName::RemotePartyId);
    }
    // RFC 3323 §5.1: what was done is not asked of the next one again.
    if to.trust || !to.honours_privacy {
        message.headers().filter(|header| header.name == HeaderName::Privacy).for_each(|h| put(h.name, h.value));
        if remote_party_hides(message, crossing) && !converts && message.header(HeaderName::Privacy).is_none() {
            put(HeaderName::Privacy, b"id");
        }
    }
}

fn remote_party_hides(message: &Message, crossing: &Crossing<'_>) -> bool {
    let hides =
        |value: &[u8]| NameAddr::of(value).params.get("privacy").is_some_and(|p| !p.eq_ignore_ascii_case(b"off"));
    crossing.from.identity.rpid == RemoteParty::Convert && message.values(HeaderName::RemotePartyId).any(hides)
}

/// The values of Privacy (RFC 3323 §4.2).
fn privacy(message: &Message) -> impl Iterator<Item = &[u8]> {
    let lines = message.headers().filter(|header| header.name == HeaderName::Privacy);
    lines.flat_map(|header| header.value.split(|byte| matches!(byte, b';' | b','))).map(<[u8]>::trim_ascii)
}

fn wants(message: &Message, any_of: &[&str]) -> bool {
    privacy(message).any(|value| any_of.iter().any(|wanted| value.eq_ignore_ascii_case(wanted.as_bytes())))
}

/// The message leaves the trust domain, and privacy is to be done for it.
fn is_border(crossing: &Crossing<'_>) -> bool {
    !crossing.to.identity.trust && crossing.to.identity.honours_privacy
}

/// The caller's identity is not for this reader (RFC 3323 §4.2, `user`; RFC 3325 §9.3, `id`).
pub(super) fn is_withheld(message: &Message, crossing: &Crossing<'_>) -> bool {
    is_border(crossing) && (wants(message, &["id", "user"]) || remote_party_hides(message, crossing))
}

/// Who had the call before is not for this reader (RFC 7044 §10.1).
pub(super) fn hides_history(message: &Message, crossing: &Crossing<'_>) -> bool {
    is_border(crossing) && (is_withheld(message, crossing) || wants(message, &["header", "session", "history"]))
}

/// Privacy that the caller insists on and that nobody here can give him: audio that is not anchored shows his address, and a kind that is
/// not known cannot be done (RFC 3323 §4.2, `critical`).
pub(crate) fn cannot_hide(message: &Message, crossing: &Crossing<'_>, anchored: bool) -> bool {
    const DONE: [&[u8]; 6] = [b"id", b"user", b"header", b"history", b"none", b"critical"];
    let is_done = |value: &[u8]| {
        DONE.iter().any(|known| known.eq_ignore_ascii_case(value))
            || (anchored && value.eq_ignore_ascii_case(b"session"))
    };
    is_border(crossing) && wants(message, &["critical"]) && !privacy(message).all(is_done)
}

/// What a caller who withholds himself must not be known by (RFC 3323 §4.1.1, §5.1).
pub(super) fn tells_of_the_user(header: &Header<'_>) -> bool {
    const TELLING: [&[u8]; 5] = [b"Subject", b"Call-Info", b"Organization", b"Reply-To", b"In-Reply-To"];
    TELLING.iter().any(|name| name.eq_ignore_ascii_case(full(header)))
}

/// Identity, or its compact form `y` (RFC 8224 §4).
pub(super) fn is_signature(header: &Header<'_>) -> bool {
    matches!(header.raw_name.len(), 1 | 8) && full(header).eq_ignore_ascii_case(b"Identity")
}
