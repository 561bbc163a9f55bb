//! Legs that part: a call is over, one of its legs goes on in another call, the other is let go.
//!
//! Whoever has asked for it hears how it went before he is ended, for nothing is told after a BYE. Refuses to know: why they part.

use super::call::{Leg, Side};
use super::challenge::Again;
use super::ended::Ending;
use super::transfer::TRANSFERRED;
use super::{B2bua, World};
use sip::{ClientKey, Message, Method};

/// Legs of transferors that are ended once they have been told; beyond that they are ended at once.
const LEAVING_MAX: usize = 1_024;

impl B2bua {
    /// A call is over, and its legs go different ways: the one of `keeps` into another call, the other to its end.
    pub(super) fn part_company(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        keeps: Side,
        why: &'static str,
    ) -> Option<(Leg, Leg)> {
        let call = self.calls.get_mut(slot)?;
        call.bond = None;
        let mut legs = call.leg(keeps).cloned().zip(call.leg(keeps.other()).cloned())?;
        // What keeps its session alive here ends with this call; the next one keeps it anew.
        legs.0.keeping.end();
        let relayed = core::mem::take(&mut call.relayed);
        for relayed in relayed {
            self.by_client.remove(&relayed.client);
            world.refuse(relayed.server, 481);
        }
        self.finish(world, slot, Ending::Ended(why));
        Some(legs)
    }

    /// Ends a leg that belongs to no call any more; after its last NOTIFY, when there is one, for nothing is told after a BYE.
    pub(super) fn let_go(&mut self, world: &mut World<'_>, leg: Leg, after: Option<ClientKey>, why: &str) {
        match after {
            _ if leg.gone => {}
            Some(client) if self.leaving.len() < LEAVING_MAX => {
                self.leaving.insert(client, leg);
            }
            _ => self.send_last_bye(world, leg, why),
        }
    }

    fn send_last_bye(&mut self, world: &mut World<'_>, mut leg: Leg, why: &str) {
        let mut draft = leg.dialog.request(Method::Bye);
        if world.profiles.crossing(None, Some(leg.trunk), false).passes_reason() {
            draft.headers.push("Reason", &super::reason(200, why));
        }
        let (to, timers) = (leg.way(), world.timers_of(leg.trunk));
        let target = world.target_at(leg.trunk, to);
        self.last_word(world, leg.dialog, Again::new(Some(leg.trunk), draft, to, timers), target);
    }

    /// A NOTIFY was answered. A challenge is answered in turn; after the last one its transferor is let go.
    pub(super) fn part(&mut self, world: &mut World<'_>, client: ClientKey, response: &Message) {
        let Some(fresh) = self.notify_signed(world, client, response) else { return self.parted(world, client) };
        if let Some(leg) = self.leaving.remove(&client) {
            self.leaving.insert(fresh, leg);
        }
    }

    /// A transferor has heard its last NOTIFY, or will not.
    pub(super) fn parted(&mut self, world: &mut World<'_>, client: ClientKey) {
        self.told.remove(&client);
        if let Some(leg) = self.leaving.remove(&client) {
            self.send_last_bye(world, leg, TRANSFERRED);
        }
    }
}
