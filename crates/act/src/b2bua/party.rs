//! Who may speak inside a dialog: its own party, and nobody else.
//!
//! Call-ID and tags are no secret: they pass every hop in clear text, and lie in traces. So a request that bears the right ones must also come
//! from the leg's own peer: an address of its trunk, where its messages have come from so far, or where it wants ours (RFC 3261 §12.2.2
//! leaves this to the user agent, §26.1.4 names the danger). Whoever is no party hears what anyone hears who asks about an unknown dialog.
//! Refuses to know: what the request wants.

use super::call::Leg;
use super::{World, reach};
use crate::profile::Profiles;
use model::TrunkId;
use sip::{Dialog, Flow};

/// Whether a request that came by `flow` is the peer's of this leg. A phone may have moved since; then it has registered from there.
pub(super) fn is_party(world: &World<'_>, leg: &Leg, flow: Flow) -> bool {
    belongs(world.profiles, (leg.trunk, leg.flow), &leg.dialog, flow) || world.has_moved_to(leg.by.user(), flow)
}

/// The same for a dialog that is no leg yet: its trunk, the way it was begun, and itself.
pub(super) fn belongs(profiles: &Profiles, (trunk, way): (TrunkId, Flow), dialog: &Dialog, flow: Flow) -> bool {
    let known = [way.peer.ip(), reach(dialog, way).peer.ip()].contains(&flow.peer.ip());
    let is_here = profiles.is_one_side(way.socket, flow.socket);
    (is_here && known) || speaks_for(profiles, trunk, flow)
}

/// Whether what came by `flow` is the trunk's.
pub(crate) fn speaks_for(profiles: &Profiles, trunk: TrunkId, flow: Flow) -> bool {
    profiles.speaks_for(trunk, flow.socket, flow.peer)
}
