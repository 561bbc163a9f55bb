//! Glare: two re-INVITEs that meet. Ours is offered again on its leg after a pause, and the side that asked for it waits (RFC 3261 §14.1).
//!
//! To pass the 491 on would be of no use: the asking side knows nothing of the other leg's exchange, and would meet it again. Refuses to
//! know: what is offered.

use super::call::Side;
use super::challenge::Again;
use super::{B2bua, Due, World};
use alloc::boxed::Box;
use model::{Rng, Span};

/// So often a re-INVITE is offered, the first time included; then its 491 is passed on.
const TRIES: u8 = 4;

/// How long a side waits that met 491 towards `side`: 2.1 to 4 s when it has made the Call-ID, as we have on the callee's leg, and up to
/// 2 s when it has not, in steps of 10 ms (RFC 3261 §14.1).
pub(super) fn pause(rng: &mut Rng, side: Side) -> Span {
    match side {
        Side::Callee => Span::from_millis(2_100 + 10 * rng.below(191)),
        Side::Caller => Span::from_millis(10 * rng.below(201)),
    }
}

impl B2bua {
    /// A re-INVITE of ours was refused in a way that another try may mend. False when it was tried often enough.
    pub(super) fn offer_later(&mut self, world: &mut World<'_>, slot: usize, after: Span) -> bool {
        let Some(exchange) = self.calls.get(slot).and_then(|call| call.exchange.as_ref()) else { return false };
        if exchange.tries >= TRIES {
            return false;
        }
        let client = exchange.client;
        self.by_client.remove(&client);
        let again = self.set_timer(slot, 0, world.now + after, Due::Again);
        if let Some(exchange) = self.calls.get_mut(slot).and_then(|call| call.exchange.as_mut()) {
            exchange.retry = again;
        }
        true
    }

    /// The pause is over: the re-INVITE is offered once more.
    pub(super) fn offer_again(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(exchange) = self.calls.get_mut(slot).and_then(|call| call.exchange.as_mut()) else { return };
        exchange.retry = None;
        exchange.tries += 1;
        let (from, server) = (exchange.from, exchange.server);
        let request = world.endpoint.request_of(server).cloned();
        let sent = request.and_then(|request| {
            let body = self.bridge_offer(world, slot, from, &request).ok()?;
            let (draft, to, timers) = self.draft_for(world, slot, from.other(), sip::Method::Invite, &request, body)?;
            let trunk = self.calls.get(slot).and_then(|call| call.leg(from.other())).map(|leg| leg.trunk);
            let mut again = Again::new(trunk, draft, to, timers);
            let client = again.send(world)?;
            Some((client, again.can_be_signed(world).then(|| Box::new(again))))
        });
        let Some((client, again)) = sent else {
            self.close_exchange(slot);
            return world.refuse(server, 491);
        };
        self.counters.offered_again += 1;
        self.by_client.insert(client, slot);
        let Some(call) = self.calls.get_mut(slot) else { return };
        let cseq = call.leg(from.other()).map_or(0, |leg| leg.dialog.local_seq);
        if let Some(exchange) = call.exchange.as_mut() {
            (exchange.client, exchange.cseq, exchange.again) = (client, cseq, again);
        }
    }

    /// The offer last shown to this side was refused: what it was shown before holds (RFC 3261 §14.1).
    pub(super) fn withdraw_offer(&mut self, slot: usize, side: Side) {
        if let Some(call) = self.calls.get_mut(slot) {
            call.audio.offered = None;
            if let Some(leg) = call.leg_mut(side) {
                leg.refused = leg.refused.max(leg.version);
                (leg.version, leg.shown) = core::mem::take(&mut leg.before);
            }
        }
    }
}
