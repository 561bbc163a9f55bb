//! Parties of an answered call whose handshakes give no keys: they are silent for that reason, and hear nothing either.
//!
//! It is noted once for each reason, so that the silence that is missed next has its cause in the call's record. Refuses to know: what follows
//! from the silence.

use super::call::Side;
use super::{B2bua, World};
use decide::{Keyless, Note};
use media::Unshaken;

impl B2bua {
    /// Notes why a party has no keys. One whose handshake is not over has time for it until it is `silent` for too long.
    pub(super) fn note_keyless(&mut self, world: &World<'_>, slot: usize, side: Side, silent: bool) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let why = call.pair_of(side).and_then(|pair| world.relay.unshaken(pair)).map(keyless);
        let Some(why) = why.filter(|why| silent || *why != Keyless::Unfinished) else { return };
        let Some(ear) = call.listening.ear_mut(side) else { return };
        if ear.keyless.replace(why) != Some(why) {
            self.counters.audio_not_keyed += 1;
            call.note(world.now, side, Note::NotKeyed { why });
        }
    }
}

const fn keyless(why: Unshaken) -> Keyless {
    match why {
        Unshaken::Unfinished => Keyless::Unfinished,
        Unshaken::Failed => Keyless::Failed,
        Unshaken::Foreign => Keyless::Foreign,
    }
}
