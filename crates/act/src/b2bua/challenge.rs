//! Challenges inside a call: the trunk's credentials answer them, and the other side hears nothing of it.
//!
//! A request that a trunk answers 401 or 407 goes out once more, signed: same Call-ID, CSeq one higher (RFC 3261 §22.2), and once more when
//! only the nonce was too old (RFC 7616 §3.3). A BYE is no exception, or the call would stay up at the far side. What is refused after
//! that is the fault of our credentials, which is told and held against no trunk's health. A trunk whose challenges are passed asks the
//! caller instead, and what he answers goes to that trunk alone. Refuses to know: what the request wants.

use super::{B2bua, Effect, World};
use crate::profile::Challenge;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use model::{TargetId, TrunkId};
use sip::auth::{Credentials, is_stale};
use sip::{ClientKey, Dialog, Draft, Flow, HeaderLines, HeaderName, Message, TimerSet};

/// A request inside a dialog, and what it takes to send it again.
#[derive(Clone, Debug)]
pub(super) struct Again {
    trunk: Option<TrunkId>,
    /// Unsigned.
    draft: Draft,
    to: Flow,
    timers: TimerSet,
    /// How many challenges were answered.
    answered: u8,
    /// The lines that signed it last, which an ACK repeats.
    pub(super) signed: Vec<Vec<u8>>,
}

/// A BYE of a call that is over.
#[derive(Clone, Debug)]
pub(super) struct LastWord {
    /// Whom it was sent to, if it is a trunk's target.
    pub(super) target: Option<TargetId>,
    /// There for trunks that we have credentials for.
    again: Option<Box<(Again, Dialog)>>,
}

impl Again {
    pub(super) const fn new(trunk: Option<TrunkId>, draft: Draft, to: Flow, timers: TimerSet) -> Self {
        Self { trunk, draft, to, timers, answered: 0, signed: Vec::new() }
    }

    /// Sends it, signed with what is known already.
    pub(super) fn send(&mut self, world: &mut World<'_>) -> Option<ClientKey> {
        let mut draft = self.draft.clone();
        if let Some((trunk, credentials)) = self.credentials(world) {
            self.signed = world.nonces.sign(trunk, Some(credentials), &mut draft);
        }
        world.endpoint.request(world.now, self.to, draft, &self.timers).ok()
    }

    /// Whether it may be challenged with some hope: otherwise it need not be kept.
    pub(super) fn can_be_signed(&self, world: &World<'_>) -> bool {
        self.credentials(world).is_some()
    }

    fn credentials<'a>(&self, world: &World<'a>) -> Option<(TrunkId, &'a Credentials)> {
        let trunk = self.trunk?;
        Some((trunk, world.profiles.trunk(trunk)?.auth.as_ref()?))
    }

    /// Answers a challenge: the request goes out again. None when it is not to be, and why is told.
    pub(super) fn answer(
        &mut self,
        world: &mut World<'_>,
        dialog: &mut Dialog,
        response: &Message,
    ) -> Option<ClientKey> {
        let code = response.status().unwrap_or(0);
        let (trunk, credentials) = self.credentials(world)?;
        if !matches!(code, 401 | 407) {
            if code >= 200 && !self.signed.is_empty() {
                world.nonces.accepted(trunk, response);
            }
            return None;
        }
        let tries = if is_stale(response) { 2 } else { 1 };
        if self.answered >= tries || !world.nonces.challenged(trunk, credentials, response, world.rng) {
            world.credentials_refused(trunk, code);
            return None;
        }
        self.answered += 1;
        self.resend(world, dialog)
    }

    /// Sends it once more, as a request of its own (RFC 3261 §8.1.3.5).
    pub(super) fn resend(&mut self, world: &mut World<'_>, dialog: &mut Dialog) -> Option<ClientKey> {
        dialog.local_seq = dialog.local_seq.wrapping_add(1);
        let cseq = format!("{} {}", dialog.local_seq, self.draft.method.as_str());
        self.draft.headers.set("CSeq", cseq.as_bytes());
        self.send(world)
    }
}

/// The challenge as it was given: realm, nonce and all.
pub(crate) fn push_challenges(said: &Message, to: &mut HeaderLines) {
    let asks = |name| matches!(name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate);
    said.headers().filter(|header| asks(header.name)).for_each(|header| to.push_raw(header.line));
}

impl World<'_> {
    /// A challenge of this trunk is the caller's to answer: it is passed to him, when his answer can be told from others.
    pub(super) fn passes_challenge(&mut self, trunk: TrunkId, response: &Message) -> bool {
        matches!(response.status(), Some(401 | 407)) && self.asks_callers(trunk) && self.nonces.pass_on(trunk, response)
    }

    /// What the caller's request answers to challenges of this trunk.
    pub(super) fn carried(&self, trunk: TrunkId, request: &Message) -> Vec<Vec<u8>> {
        if self.asks_callers(trunk) { self.nonces.carried(trunk, request) } else { Vec::new() }
    }

    fn asks_callers(&self, trunk: TrunkId) -> bool {
        self.profiles.trunk(trunk).is_some_and(|profile| profile.challenge == Challenge::Pass)
    }

    /// A trunk does not take what its challenge was answered with.
    pub(super) fn credentials_refused(&mut self, trunk: TrunkId, code: u16) {
        self.nonces.refused(trunk);
        self.out.push(Effect::CredentialsRefused(trunk, code));
    }
}

impl B2bua {
    /// The last request of a dialog.
    pub(super) fn last_word(
        &mut self,
        world: &mut World<'_>,
        dialog: Dialog,
        mut bye: Again,
        target: Option<TargetId>,
    ) {
        // When no transaction can be had, the peer's own session expiry ends its side.
        let Some(client) = bye.send(world) else { return };
        let again = bye.can_be_signed(world).then(|| Box::new((bye, dialog)));
        if target.is_some() || again.is_some() {
            self.byes.insert(client, LastWord { target, again });
        }
    }

    /// The answer to a BYE: the end, unless it is a challenge.
    pub(super) fn bye_response(&mut self, world: &mut World<'_>, client: ClientKey, response: &Message) {
        let Some(LastWord { target, again: Some(mut again) }) = self.byes.remove(&client) else { return };
        let (bye, dialog) = &mut *again;
        if let Some(client) = bye.answer(world, dialog, response) {
            self.byes.insert(client, LastWord { target, again: Some(again) });
        }
    }

    /// A challenge to a request that was passed on, re-INVITE or other, is answered here; true when that was done.
    pub(super) fn is_sent_again(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        client: ClientKey,
        response: &Message,
    ) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        let Some((from, mut again)) = call.take_again(client) else { return false };
        let Some(dialog) = call.dialog_of(client, from.other()) else { return false };
        let sent = again.answer(world, dialog, response);
        let cseq = dialog.local_seq;
        call.put_again(client, again, sent.map(|fresh| (fresh, cseq)));
        if let Some(fresh) = sent {
            self.by_client.remove(&client);
            self.by_client.insert(fresh, slot);
        }
        sent.is_some()
    }
}
