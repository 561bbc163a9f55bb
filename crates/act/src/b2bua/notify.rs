//! What a transferor is told: NOTIFYs of the subscription that its REFER has made (RFC 3515 §2.4.4).
//!
//! Each carries a status line as a message fragment (RFC 3420) and nothing more: who refused, and by which way, is no business of the
//! other side. Refuses to know: how a transfer goes.

use super::call::{Leg, Side};
use super::challenge::Again;
use super::{B2bua, World, headers};
use alloc::format;
use alloc::vec::Vec;
use sip::{ClientKey, HeaderName, Message, Method, phrase};

/// How long a transfer may take, as its subscription says. Setting up a call has its own limits, and they are shorter.
const EXPIRES_S: u32 = 300;

impl B2bua {
    /// Tells the transferor of this call how far the transfer has come; from a final code on, there is nothing more to tell.
    pub(super) fn notify(&mut self, world: &mut World<'_>, slot: usize, code: u16) -> Option<ClientKey> {
        let call = self.calls.get_mut(slot)?;
        let referral = call.referral()?;
        let (by, id, told) = (referral.by, referral.id, referral.told);
        let leg = call.leg_mut(by).filter(|leg| told && !leg.gone)?;
        let state = match code {
            // RFC 3515 §2.4.7: nothing more comes.
            200.. => "terminated;reason=noresource".into(),
            _ => format!("active;expires={EXPIRES_S}"),
        };
        let sent = send(world, leg, id, &state, &format!("SIP/2.0 {code} {}\r\n", phrase(code)))?;
        Some(self.remember(world, sent))
    }

    /// A transferor that asks about its subscription, or ends it (RFC 6665 §4.2.1).
    pub(super) fn resubscribe(&mut self, world: &mut World<'_>, slot: usize, side: Side, expires: Option<u32>) {
        let ends = expires == Some(0);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let Some(id) = call.referral().map(|referral| referral.id) else { return };
        let Some(leg) = call.leg_mut(side) else { return };
        let state = if ends { "terminated;reason=timeout".into() } else { format!("active;expires={EXPIRES_S}") };
        let sent = send(world, leg, id, &state, "SIP/2.0 100 Trying\r\n");
        if let Some(sent) = sent {
            self.remember(world, sent);
        }
        let Some(call) = self.calls.get_mut(slot) else { return };
        if let Some(referral) = call.referral_mut() {
            referral.told &= !ends;
        }
    }
}

impl B2bua {
    /// One that a trunk with credentials of ours may challenge: each is forgotten with its transaction.
    fn remember(&mut self, world: &World<'_>, (client, told): (ClientKey, Told)) -> ClientKey {
        if told.again.can_be_signed(world) {
            self.told.insert(client, told);
        }
        client
    }

    /// A challenge to a NOTIFY is answered, when its dialog is still there; the transaction it goes by from now on.
    pub(super) fn notify_signed(
        &mut self,
        world: &mut World<'_>,
        client: ClientKey,
        response: &Message,
    ) -> Option<ClientKey> {
        let mut told = self.told.remove(&client)?;
        let leg = match self.leaving.get_mut(&client) {
            Some(leg) => leg,
            None => {
                let (slot, side) = self.by_tag.get(&told.tag).copied()?;
                self.calls.get_mut(slot)?.leg_mut(side)?
            }
        };
        let fresh = told.again.answer(world, &mut leg.dialog, response)?;
        self.told.insert(fresh, told);
        Some(fresh)
    }
}

/// A NOTIFY under way.
#[derive(Clone, Debug)]
pub(super) struct Told {
    again: Again,
    /// Our tag of its dialog.
    tag: Vec<u8>,
}

fn send(world: &mut World<'_>, leg: &mut Leg, id: u32, state: &str, fragment: &str) -> Option<(ClientKey, Told)> {
    let sent_by = world.endpoint.sent_by(leg.flow.socket)?;
    let mut draft = leg.dialog.request(Method::Notify);
    headers::push_contact(&mut draft.headers, &sent_by);
    // RFC 3515 §2.4.6: the number tells this REFER's notifications from another's.
    draft.headers.push("Event", format!("refer;id={id}").as_bytes());
    draft.headers.push("Subscription-State", state.as_bytes());
    draft.headers.push("Content-Type", b"message/sipfrag;version=2.0");
    draft.body = fragment.as_bytes().to_vec();
    // An unsent one is only news that does not come: the call itself shows how it went.
    let mut again = Again::new(Some(leg.trunk), draft, leg.way(), world.timers_of(leg.trunk));
    Some((again.send(world)?, Told { again, tag: leg.dialog.local_tag.clone() }))
}

/// A fragment with nothing but its status line: headers below it would tell one side of the other.
pub(super) fn status_line(fragment: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(b'\n', fragment).unwrap_or(fragment.len());
    [fragment[..end].trim_ascii(), b"\r\n"].concat()
}

/// The package of REFER's own subscription (RFC 3515 §3).
pub(super) fn is_refer_package(message: &Message) -> bool {
    let event = message.header(HeaderName::Event).unwrap_or_default();
    let package = event.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    package.eq_ignore_ascii_case(b"refer")
}
