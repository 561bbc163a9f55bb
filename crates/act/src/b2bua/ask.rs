//! The re-INVITE by which a transfer asks a party of another call to have its audio with somebody new.
//!
//! It goes out in that party's dialog while its answer belongs to the errand. A challenge is answered by the party's trunk's credentials,
//! and 491 is waited out (RFC 3261 §14.1). Refuses to know: what becomes of the calls once the party has agreed, or not.

use super::call::{Call, Side};
use super::challenge::Again;
use super::reinvite::draft_in;
use super::{B2bua, Due, World};
use alloc::boxed::Box;
use alloc::vec::Vec;
use sip::{ClientKey, Message, Method};

/// How often a party that has a re-INVITE of its own under way is asked again.
const GLARE_TRIES: u8 = 3;

/// A re-INVITE to the party of another call.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) client: ClientKey,
    /// CSeq number.
    pub(super) cseq: u32,
    pub(super) again: Box<Again>,
}

impl B2bua {
    /// Asks a party of another call, by re-INVITE in its dialog, to have its audio with ours.
    pub(super) fn ask(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        whom: (usize, Side),
        message: &Message,
        body: Vec<u8>,
    ) -> Option<()> {
        // Who wrote what the party is told is no side of its call: it is the target, or the one who is to have it.
        let ours = self.calls.get(slot)?;
        let writer = if ours.errand()?.from.is_some() { Some(ours.caller.trunk) } else { ours.carrier() };
        let leg = self.calls.get_mut(whom.0)?.leg_mut(whom.1)?;
        let crossing = world.profiles.crossing(writer, Some(leg.trunk), false);
        let (draft, to, timers) = draft_in(world, leg, (Method::Invite, true), message, &crossing, body)?;
        let mut again = Box::new(Again::new(Some(leg.trunk), draft, to, timers));
        let cseq = leg.dialog.local_seq;
        let client = again.send(world)?;
        // What it was shown is on its way: whatever it is shown next, by whichever call, is newer.
        let ours = self.calls.get(slot)?;
        let stand_in = if ours.errand()?.from.is_some() { ours.callee.as_ref()? } else { &ours.caller };
        let version = stand_in.version;
        self.calls.get_mut(whom.0)?.leg_mut(whom.1)?.version = version;
        self.calls.get_mut(slot)?.errand_mut()?.asked = Some(Asked { client, cseq, again });
        self.by_client.insert(client, slot);
        Some(())
    }

    /// A challenge to the re-INVITE is answered by the credentials of the party's trunk; true when that was done.
    pub(super) fn ask_signed(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        asked: &mut Asked,
        response: &Message,
    ) -> bool {
        let Some((whose, side)) = self.calls.get(slot).and_then(|call| call.errand()?.whom()) else { return false };
        let Some(leg) = self.calls.get_mut(whose).and_then(|call| call.leg_mut(side)) else { return false };
        let Some(client) = asked.again.answer(world, &mut leg.dialog, response) else { return false };
        let cseq = leg.dialog.local_seq;
        self.await_answer(slot, Asked { client, cseq, again: asked.again.clone() })
    }

    fn await_answer(&mut self, slot: usize, asked: Asked) -> bool {
        let Some(errand) = self.calls.get_mut(slot).and_then(Call::errand_mut) else { return false };
        self.by_client.insert(asked.client, slot);
        errand.asked = Some(asked);
        true
    }

    /// The party has a re-INVITE of its own under way, which has got 491 from us: it is asked once more when one of both has had its turn
    /// (RFC 3261 §14.1). False when that was tried often enough.
    pub(super) fn ask_later(&mut self, world: &mut World<'_>, slot: usize, asked: &mut Asked) -> bool {
        let Some(errand) = self.calls.get_mut(slot).and_then(Call::errand_mut) else { return false };
        let Some((_, side)) = errand.whom().filter(|_| errand.glared < GLARE_TRIES) else { return false };
        errand.glared += 1;
        errand.met = Some(asked.again.clone());
        self.counters.glare += 1;
        let wait = super::glare::pause(world.rng, side);
        self.set_timer(slot, 0, world.now + wait, Due::AskAgain).is_some()
    }

    /// The moment has passed.
    pub(super) fn ask_again(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(errand) = self.calls.get_mut(slot).and_then(Call::errand_mut) else { return };
        let (Some(mut again), whom) = (errand.met.take(), errand.whom()) else { return };
        // Nobody waits for it any more: whoever had asked for the transfer has left, and with him the party that stays.
        let Some((whose, side)) = whom else { return self.errand_over(world, slot, 480) };
        let sent = self.calls.get_mut(whose).and_then(|call| call.leg_mut(side)).and_then(|leg| {
            let client = again.resend(world, &mut leg.dialog)?;
            Some((client, leg.dialog.local_seq))
        });
        match sent {
            Some((client, cseq)) => {
                self.await_answer(slot, Asked { client, cseq, again });
            }
            None => self.errand_over(world, slot, 500),
        }
    }

    /// It did not answer at all, which counts as 408 (RFC 3261 §12.2.1.2).
    pub(super) fn bond_failed(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(errand) = self.calls.get_mut(slot).and_then(Call::errand_mut) else { return };
        let (Some(asked), whose) = (errand.asked.take(), errand.whom()) else { return };
        self.by_client.remove(&asked.client);
        self.errand_over(world, slot, 408);
        if let Some((whose, _)) = whose {
            self.end_both(world, whose, "the far side does not answer any more");
        }
    }
}
