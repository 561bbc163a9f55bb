//! A REGISTER as what it asks for: read once, whole, and then no longer looked at.
//!
//! RFC 3261 §10.3 steps 1, 2, 5 and the forms of 6 and 7. Refuses to know: what is bound already.

use super::rules::{RegistrarRules, user_of};
use alloc::vec::Vec;
use model::{Name, Span};
use sip::{HeaderName, Message, NameAddr, Params, SentBy, Uri};

/// Letters of a Contact, of a Path and of an instance at most: all of them are kept.
const LETTERS: usize = 512;
/// Values of Path at most.
const PATHS: usize = 8;
/// What RFC 3261 §10.3 step 7 takes for an expiry that cannot be read.
pub(super) const UNREADABLE: Span = Span::from_secs(3_600);
/// Extensions a REGISTER may require.
const KNOWN: [&[u8]; 4] = [b"path", b"outbound", b"gruu", b"timer"];

/// What a REGISTER asks for.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) aor: Name,
    pub(super) contacts: Contacts<'a>,
    pub(super) path: Vec<&'a [u8]>,
    pub(super) call_id: &'a [u8],
    pub(super) cseq: u32,
    /// The phone takes a GRUU (RFC 5627).
    pub(super) gruu: bool,
}

#[derive(Debug)]
pub(super) enum Contacts<'a> {
    /// It only asks.
    Query,
    /// `*`.
    RemoveAll,
    /// These.
    Set(Vec<Asked<'a>>),
}

/// One Contact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) uri: &'a [u8],
    /// Thousandths.
    pub(super) q: u16,
    /// None when nothing is said.
    pub(super) expires: Option<Span>,
    pub(super) instance: Option<&'a [u8]>,
    /// Only together with an instance, from a phone that speaks outbound.
    pub(super) reg_id: Option<u32>,
}

/// Why a REGISTER is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal<'a> {
    /// 400, with this phrase.
    Malformed(&'static str),
    /// 403: the address is another's.
    NotYours,
    /// 403: more Contacts than one address may have.
    TooMany,
    /// 404: a domain or an address we do not serve.
    NotHere,
    /// 420: what it requires.
    Unsupported(&'a [u8]),
    /// 423: too short a time.
    TooBrief(Span),
    /// 439: a proxy on the way does not keep flows (RFC 5626 §6).
    NoOutbound,
    /// 500: an older request than one we have answered (step 7).
    OutOfOrder,
}

pub(super) fn read<'a>(
    rules: &RegistrarRules,
    message: &'a Message,
    sent_by: &SentBy,
) -> Result<Wish<'a>, Refusal<'a>> {
    let serves = |uri: &[u8]| Uri::parse(uri).is_ok_and(|uri| rules.serves(uri.host(), sent_by));
    let to = message.to().uri;
    if !serves(message.uri()) || !serves(to) {
        return Err(Refusal::NotHere);
    }
    let unknown = |tag: &&[u8]| !tag.is_empty() && !KNOWN.iter().any(|known| tag.eq_ignore_ascii_case(known));
    if let Some(tag) = message.values(HeaderName::Require).find(unknown) {
        return Err(Refusal::Unsupported(tag));
    }
    let path = path(message)?;
    let outbound = says(message, b"outbound");
    let contacts = contacts(message, outbound)?;
    if let Contacts::Set(asked) = &contacts {
        keeps_flows(message, asked, &path)?;
        if asked.len() > rules.contacts {
            return Err(Refusal::TooMany);
        }
    }
    Ok(Wish {
        aor: user_of(to).ok_or(Refusal::NotHere)?,
        contacts,
        path,
        call_id: message.call_id(),
        cseq: message.cseq().number,
        gruu: says(message, b"gruu"),
    })
}

/// Whether it supports or requires an extension.
fn says(message: &Message, extension: &[u8]) -> bool {
    let of = |name| message.values(name).any(|tag| tag.eq_ignore_ascii_case(extension));
    of(HeaderName::Supported) || of(HeaderName::Require)
}

fn path(message: &Message) -> Result<Vec<&[u8]>, Refusal<'_>> {
    let values: Vec<&[u8]> = message.named_values("Path").collect();
    if values.len() > PATHS || values.iter().any(|value| value.len() > LETTERS) {
        return Err(Refusal::Malformed("Path Too Long"));
    }
    // RFC 3327 §5.3: only who says that he knows Path may be reached by one.
    if !values.is_empty() && !says(message, b"path") {
        return Err(Refusal::Unsupported(b"path"));
    }
    Ok(values)
}

fn contacts(message: &Message, outbound: bool) -> Result<Contacts<'_>, Refusal<'_>> {
    let general = message.header(HeaderName::Expires).map(seconds);
    let values: Vec<&[u8]> = message.values(HeaderName::Contact).filter(|value| !value.is_empty()).collect();
    match values[..] {
        [] => return Ok(Contacts::Query),
        // Step 6: alone, and with an expiry of 0.
        [b"*"] if general == Some(Span::ZERO) => return Ok(Contacts::RemoveAll),
        _ if values.contains(&&b"*"[..]) => return Err(Refusal::Malformed("Bad Wildcard Contact")),
        _ => {}
    }
    let asked = values.iter().map(|value| contact(value, general, outbound));
    asked.collect::<Result<Vec<_>, _>>().map(Contacts::Set)
}

fn contact(value: &[u8], general: Option<Span>, outbound: bool) -> Result<Asked<'_>, Refusal<'_>> {
    let NameAddr { uri, params, .. } = NameAddr::of(value);
    if value.len() > LETTERS {
        return Err(Refusal::Malformed("Contact Too Long"));
    }
    let good = Uri::parse(uri)
        .is_ok_and(|uri| uri.scheme().eq_ignore_ascii_case(b"sip") || uri.scheme().eq_ignore_ascii_case(b"sips"));
    if !good {
        return Err(Refusal::Malformed("Bad Contact"));
    }
    let instance = params.get("+sip.instance").map(unquoted).filter(|text| !text.is_empty());
    // RFC 5626 §6: without an instance, or from one who does not speak outbound, it is not there.
    let reg_id = params.get("reg-id").filter(|_| outbound && instance.is_some()).map(decimal);
    Ok(Asked {
        uri,
        q: q(params),
        expires: params.get("expires").map(seconds).or(general),
        instance,
        reg_id: match reg_id {
            Some(None | Some(0)) => return Err(Refusal::Malformed("Bad reg-id")),
            known => known.flatten(),
        },
    })
}

/// RFC 5626 §6: a flow is one Contact's; and whoever stands between must keep it.
fn keeps_flows<'a>(message: &Message, asked: &[Asked<'_>], path: &[&[u8]]) -> Result<(), Refusal<'a>> {
    if asked.iter().all(|asked| asked.reg_id.is_none()) {
        return Ok(());
    }
    if asked.iter().filter(|asked| asked.expires != Some(Span::ZERO)).count() > 1 {
        return Err(Refusal::Malformed("Several Contacts With reg-id"));
    }
    let first_hop = message.values(HeaderName::Via).count() == 1;
    let keeps = path.last().and_then(|value| Uri::parse(NameAddr::of(value).uri).ok());
    if first_hop || keeps.is_some_and(|uri| uri.params().get("ob").is_some()) {
        Ok(())
    } else {
        Err(Refusal::NoOutbound)
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

fn decimal(text: &[u8]) -> Option<u32> {
    let good = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(text).ok().filter(|_| good)?.parse().ok()
}

pub(super) fn seconds(text: &[u8]) -> Span {
    decimal(text.trim_ascii()).map_or(UNREADABLE, |seconds| Span::from_secs(u64::from(seconds)))
}

/// Preference in thousandths; 1 when none can be read (RFC 3261 §20.10).
fn q(params: Params<'_>) -> u16 {
    let text = params.get("q").and_then(|text| core::str::from_utf8(text).ok());
    let Some((whole, rest)) = text.map(|text| text.split_once('.').unwrap_or((text, ""))) else { return 1_000 };
    let digits = rest.bytes().chain(*b"000").take(3);
    let rest = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit.saturating_sub(b'0').min(9)));
    if whole == "0" { rest } else { 1_000 }
}
