//! Early media: what a callee may let the caller hear before it answers (RFC 3960 §3.1, RFC 5009).
//!
//! A trunk that may give none is heard as ringing, and what it sends all the same goes nowhere; the relay is told of every change of the
//! attempt that is heard. Refuses to know: what is described, how packets are relayed.

use super::{B2bua, World};
use crate::dialog_policy::EarlyMedia;
use sip::Message;

impl B2bua {
    /// A provisional response may say whether its trunk authorises early media; one that says nothing changes nothing (RFC 5009 §8).
    pub(super) fn hear_authorisation(&mut self, slot: usize, index: usize, message: &Message) {
        let attempt = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index));
        if let (Some(attempt), Some(told)) = (attempt, message.named("P-Early-Media")) {
            attempt.authorises = told.split(|byte| *byte == b',').any(is_sent);
        }
    }

    /// The trunk that is heard may give no early media. An offer that a late offer asks for is none: the caller must answer it.
    pub(super) fn is_gated(&self, world: &World<'_>, slot: usize) -> bool {
        let Some(call) = self.calls.get(slot).filter(|call| call.callee.is_none() && !call.late_offer) else {
            return false;
        };
        // One who is kept while another is called again hears comfort noise until somebody is there.
        if call.audio.taken_up {
            return true;
        }
        let policy =
            call.carrier().and_then(|trunk| world.profiles.trunk(trunk)).map(|trunk| trunk.dialogs.early_media);
        match policy.unwrap_or_default() {
            EarlyMedia::Pass => false,
            EarlyMedia::Ring => true,
            EarlyMedia::Authorised => !call.attempt(call.front).is_some_and(|attempt| attempt.authorises),
        }
    }

    /// The relay keeps to that from now on.
    pub(super) fn gate(&self, world: &mut World<'_>, slot: usize) {
        let on = self.is_gated(world, slot);
        for stream in self.calls.get(slot).iter().flat_map(|call| call.audio.streams.iter().flatten()) {
            world.relay.gate(stream.callee.0, on);
        }
        if world.drill.is_some() {
            self.block(world, slot);
        }
    }
}

/// A direction of early media in which the callee is heard (RFC 5009 §8).
fn is_sent(direction: &[u8]) -> bool {
    let direction = direction.trim_ascii();
    direction.eq_ignore_ascii_case(b"sendrecv") || direction.eq_ignore_ascii_case(b"sendonly")
}
