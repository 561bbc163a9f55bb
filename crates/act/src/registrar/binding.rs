//! One way to a phone, and how a REGISTER changes an address's ways (RFC 3261 §10.3 steps 6 and 7).
//!
//! Refuses to know: who may change them, how they are kept.

use super::wish::{Asked, Contacts, Refusal, Wish};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use model::{Instant, Name, Span};
use sip::{Flow, Uri};

/// One way to a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its Contact URI: what requests to it name.
    pub contact: Box<[u8]>,
    /// The way its REGISTER came, and requests go.
    pub flow: Flow,
    /// Values of Route for the proxies between (RFC 3327).
    pub path: Vec<Box<[u8]>>,
    /// Which phone it is, when it says so (RFC 5626 §4.1).
    pub instance: Option<Box<[u8]>>,
    /// Which of its flows.
    pub reg_id: Option<u32>,
    /// Preference in thousandths.
    pub q: u16,
    /// Call-ID of its REGISTER.
    pub call_id: Box<[u8]>,
    /// CSeq of its REGISTER.
    pub cseq: u32,
    /// Until when it holds.
    pub expires: Instant,
}

/// All that is bound to an address now; nothing when it cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The address: a user's name.
    pub aor: Name,
    /// The ways to it, the preferred first.
    pub bindings: Arc<[Binding]>,
}

impl Binding {
    /// Whether a Contact means this one: by instance and flow where the phone names them (RFC 5626 §6), else by its URI.
    pub(super) fn is_of(&self, asked: &Asked<'_>) -> bool {
        match (asked.instance, asked.reg_id) {
            (Some(instance), Some(id)) => self.instance.as_deref() == Some(instance) && self.reg_id == Some(id),
            _ => same_uri(&self.contact, asked.uri),
        }
    }
}

/// The address's bindings after a REGISTER, `most` at most, and how many had to give way; or why nothing changes. How long each Contact is
/// granted, and whether it may be, says `granted`, which hears whether it renews.
pub(super) fn rebound<'a>(
    now: Instant,
    most: usize,
    flow: Flow,
    wish: &Wish<'a>,
    held: Vec<Binding>,
    mut granted: impl FnMut(&Asked<'a>, bool) -> Result<Span, Refusal<'a>>,
) -> Result<(Vec<Binding>, u64), Refusal<'a>> {
    // An older request of the same series changes nothing (step 6 and 7).
    let overtaken = |binding: &Binding| &*binding.call_id == wish.call_id && binding.cseq >= wish.cseq;
    let mut left = held;
    match &wish.contacts {
        Contacts::Query => return Ok((left, 0)),
        Contacts::RemoveAll if left.iter().any(overtaken) => return Err(Refusal::OutOfOrder),
        Contacts::RemoveAll => left.clear(),
        Contacts::Set(all) => {
            for asked in all {
                let known = left.iter().position(|binding| binding.is_of(asked));
                if known.and_then(|at| left.get(at)).is_some_and(overtaken) {
                    return Err(Refusal::OutOfOrder);
                }
                let time = granted(asked, known.is_some())?;
                if let Some(at) = known {
                    left.remove(at);
                }
                if time > Span::ZERO {
                    left.push(bind(asked, wish, flow, now + time));
                }
            }
        }
    }
    let displaced = give_way(&mut left, wish, most);
    left.sort_by_key(|binding| Reverse(binding.q));
    Ok((left, displaced))
}

fn bind(asked: &Asked<'_>, wish: &Wish<'_>, flow: Flow, expires: Instant) -> Binding {
    Binding {
        contact: asked.uri.into(),
        flow,
        path: wish.path.iter().map(|value| Box::from(*value)).collect(),
        instance: asked.instance.map(Box::from),
        reg_id: asked.reg_id,
        q: asked.q,
        call_id: wish.call_id.into(),
        cseq: wish.cseq,
        expires,
    }
}

/// A phone that has lost its memory comes with a new Contact each time: refusing it would lock it out, so that the one that
/// would run out first goes.
fn give_way(left: &mut Vec<Binding>, wish: &Wish<'_>, most: usize) -> u64 {
    let mut displaced = 0;
    while left.len() > most {
        let old = left.iter().enumerate().filter(|(_, b)| &*b.call_id != wish.call_id || b.cseq != wish.cseq);
        let Some((at, _)) = old.min_by_key(|(_, binding)| binding.expires) else { break };
        left.remove(at);
        displaced += 1;
    }
    displaced
}

/// Equal as far as it matters who is reached (RFC 3261 §19.1.4): user, host, port and transport.
fn same_uri(left: &[u8], right: &[u8]) -> bool {
    if left == right {
        return true;
    }
    let (Ok(left), Ok(right)) = (Uri::parse(left), Uri::parse(right)) else { return false };
    let transport = |uri: &Uri<'_>| uri.params().get("transport").map(<[u8]>::to_ascii_lowercase);
    left.scheme().eq_ignore_ascii_case(right.scheme())
        && left.user() == right.user()
        && left.host().eq_ignore_ascii_case(right.host())
        && left.port() == right.port()
        && transport(&left) == transport(&right)
}
