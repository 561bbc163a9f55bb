//! Trunks that report what they hear: of one of those, a report that leaves it out says that nothing arrives.
//!
//! Who never spoke of what he hears may be unable to (RFC 3550 §6.4 asks for it, and not everybody gives it), so a single call says
//! nothing. But what a trunk's calls have told before, the next one can tell as well. Refuses to know: what follows from it.

use super::call::{Call, Side};
use super::{B2bua, World};
use alloc::collections::BTreeMap;
use model::TrunkId;

/// Calls that must have told.
const KNOWN_AFTER: u16 = 3;
/// And at most one of so many may not have: behind a trunk there may be several who answer.
const BUT_ONE_IN: u16 = 8;
/// Older calls count half as much from here on.
const ENOUGH: u16 = 256;
/// Whom so few packets were sent cannot have told of them.
const SENT: u64 = 500;

/// What calls have shown of their trunks, by trunk.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    /// Calls that have told, and those that have reported and not told.
    calls: BTreeMap<TrunkId, (u16, u16)>,
}

impl Telling {
    fn count(&mut self, trunk: TrunkId, told: bool) {
        let (did, did_not) = self.calls.entry(trunk).or_default();
        *(if told { &mut *did } else { &mut *did_not }) += 1;
        if *did + *did_not >= ENOUGH {
            (*did, *did_not) = (*did / 2, *did_not / 2);
        }
    }

    /// Calls of this trunk tell what they hear.
    fn is_known(&self, trunk: TrunkId) -> bool {
        self.calls.get(&trunk).is_some_and(|(did, did_not)| *did >= KNOWN_AFTER && did_not * BUT_ONE_IN <= *did)
    }
}

impl B2bua {
    /// Parties of trunks that are known to report what they hear are believed when they leave it out.
    pub(super) fn believe_tellers(&self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get(slot) else { return };
        for side in [Side::Caller, Side::Callee] {
            let known = trunk_of(world, call, side).is_some_and(|trunk| self.telling.is_known(trunk));
            if let Some(pair) = call.pair_of(side).filter(|_| known) {
                world.relay.tells(world.now, pair);
            }
        }
    }

    /// Looks whether the parties of a call tell what they hear; of one that is over, also whether they never did.
    pub(super) fn hear_tellers(&mut self, world: &World<'_>, slot: usize, over: bool) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        for side in [Side::Caller, Side::Callee] {
            let Some(trunk) = trunk_of(world, call, side) else { continue };
            let presence = |side| world.relay.presence(world.now, call.pair_of(side)?);
            let (Some(own), Some(other)) = (presence(side), presence(side.other())) else { continue };
            let Some(known) = call.listening.tells_mut(side) else { continue };
            let silent = over && own.reported.is_some() && other.packets >= SENT;
            if !*known && (own.tells || silent) {
                *known = true;
                self.telling.count(trunk, own.tells);
            }
        }
    }
}

/// Phones are each their own, and another shard reports for nobody.
fn trunk_of(world: &World<'_>, call: &Call, side: Side) -> Option<TrunkId> {
    let trunk = call.leg(side)?.trunk;
    (!world.is_phones(trunk) && trunk != TrunkId::BETWEEN_SHARDS).then_some(trunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_is_known_by_its_calls_and_not_while_too_many_say_nothing() {
        let (mut telling, trunk) = (Telling::default(), TrunkId(4));
        (0..2).for_each(|_| telling.count(trunk, true));
        assert!(!telling.is_known(trunk), "two may be chance");
        telling.count(trunk, true);
        assert!(telling.is_known(trunk) && !telling.is_known(TrunkId(5)));
        telling.count(trunk, false);
        assert!(!telling.is_known(trunk), "one of four");
        (0..5).for_each(|_| telling.count(trunk, true));
        assert!(telling.is_known(trunk), "one of nine");
        (0..100_000).for_each(|_| telling.count(trunk, false));
        assert!(!telling.is_known(trunk), "and nothing overflows");
        (0..2_000).for_each(|_| telling.count(trunk, true));
        assert!(telling.is_known(trunk), "old calls are forgotten");
    }
}
