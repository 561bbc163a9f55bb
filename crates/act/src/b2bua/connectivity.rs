//! Sides that do ICE, browsers above all: who is taken for one, what each is shown of our end, what it says of its own.
//!
//! We make no checks and tell one candidate (ICE-lite, RFC 8445 §2.5), and that only to a side that does ICE: one whose offer says so, and one
//! that is reached by a WebSocket, since nobody but a browser's page needs one. As with keys, what we have told a side stands in what
//! it was shown. Refuses to know: what a check looks like, what keys are.

use super::World;
use super::call::{Call, Side};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use media::PairId;
use media::sdp::{Credentials, Reach, Sdp, Stream};
use media::stun::IceLite;
use sip::Uri;

/// What an offer says of how a stream is reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// The writer's name for checks; none when it does no ICE, or has another port for RTCP, where we have no candidate.
    ufrag: Option<String>,
    mid: Option<Vec<u8>>,
    bundled: bool,
}

impl Reached {
    pub(super) fn of(sdp: &Sdp<'_>, stream: &Stream<'_>) -> Self {
        let peer = sdp.credentials(stream).filter(|_| stream.port != 0 && stream.rtcp_mux);
        Self {
            ufrag: peer.map(|peer| String::from(peer.ufrag())),
            mid: sdp.mid(stream).map(<[u8]>::to_vec),
            bundled: stream.port != 0 && sdp.is_first_of_bundle(stream),
        }
    }
}

/// A side is a page in a browser, whose audio has to be secured by a handshake and found by ICE (RFC 8827 §6.5, RFC 8835 §3.4). Where nothing is
/// anchored, or no handshake can be made, that is between the two ends.
pub(super) fn is_browser(world: &World<'_>, call: &Call, side: Side, attempt: usize) -> bool {
    let (trunk, flow, contact) = match (call.leg(side), call.attempts.get(attempt)) {
        (Some(leg), _) => (leg.trunk, leg.flow, Some(&leg.dialog.remote_target)),
        (None, Some(attempt)) => (attempt.target.trunk, attempt.to.flow, attempt.to.uri.as_ref()),
        (None, None) => return false,
    };
    // A phone whose connection a proxy before us keeps says so in its Contact.
    let beyond = || world.is_phones(trunk) && contact.is_some_and(|contact| is_of_websocket(contact));
    call.audio.anchored && world.relay.can_shake() && (flow.transport.is_web() || beyond())
}

/// RFC 7118 §5.3 has `ws` for both; some write `wss`.
fn is_of_websocket(uri: &[u8]) -> bool {
    let Ok(uri) = Uri::parse(uri) else { return false };
    let is = |name: &[u8]| uri.params().get("transport").is_some_and(|transport| transport.eq_ignore_ascii_case(name));
    is(b"ws") || is(b"wss")
}

/// How a stream is shown to a side that is offered it: as before, when it was shown before.
pub(super) fn offer(world: &mut World<'_>, browser: bool, before: Option<(&Sdp<'_>, &Stream<'_>)>) -> Reach {
    match before {
        Some((sdp, told)) => Reach {
            ice: sdp.credentials(told),
            mid: sdp.mid(told).map(<[u8]>::to_vec),
            bundled: sdp.is_first_of_bundle(told),
        },
        None => Reach { ice: if browser { fresh(world) } else { None }, ..Reach::default() },
    }
}

/// How a stream is shown to a side that has offered it. Another name of the peer's is a restart, which is answered by one (RFC 8839 §4.4.1.1.1).
pub(super) fn answer(world: &mut World<'_>, pair: PairId, offered: &Reached, live: bool) -> Reach {
    let mut reach = Reach { ice: None, mid: offered.mid.clone(), bundled: offered.bundled && live };
    let Some(peer) = offered.ufrag.as_ref().filter(|_| live) else {
        world.relay.ice(pair, None);
        return reach;
    };
    let known = world.relay.ice_of(pair).filter(|ice| ice.may_be_for(peer)).map(|ice| ice.own().clone());
    reach.ice = known.or_else(|| {
        let own = fresh(world)?;
        world.relay.ice(pair, Some(Box::new(IceLite::new(own.clone()))));
        Some(own)
    });
    if let Some(ice) = world.relay.ice_of(pair) {
        ice.peer(peer);
    }
    reach
}

/// A side has answered what it was told of a stream: who does no ICE is met where it says.
pub(super) fn answered(world: &mut World<'_>, pair: PairId, told: Option<Credentials>, peer: Option<&Credentials>) {
    let (Some(own), Some(peer)) = (told, peer) else { return world.relay.ice(pair, None) };
    if world.relay.ice_of(pair).is_none_or(|ice| *ice.own() != own) {
        world.relay.ice(pair, Some(Box::new(IceLite::new(own))));
    }
    if let Some(ice) = world.relay.ice_of(pair) {
        ice.peer(peer.ufrag());
    }
}

/// Another peer is met at a pair, which was told this.
pub(super) fn start_over(world: &mut World<'_>, pair: PairId, told: Option<Credentials>) {
    world.relay.ice(pair, told.map(|own| Box::new(IceLite::new(own))));
}

/// A stream as it was shown, to be met at another address: for ICE that is a restart (RFC 8839 §4.4.1.1.1).
pub(super) fn elsewhere(world: &mut World<'_>, sdp: &Sdp<'_>, told: &Stream<'_>) -> Reach {
    let reach = offer(world, false, Some((sdp, told)));
    let ice = if reach.ice.is_some() { fresh(world) } else { None };
    Reach { ice, ..reach }
}

fn fresh(world: &mut World<'_>) -> Option<Credentials> {
    Some(Credentials::new(&mut world.relay.keying()?.secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_tells_who_is_reached_by_a_websocket_7118_5() {
        for (uri, is) in [
            ("sip:x@8c2f.invalid;transport=ws", true),
            ("sip:x@8c2f.invalid;transport=WSS;ob", true),
            ("sip:x@192.0.2.1;transport=tcp", false),
            ("sip:x@192.0.2.1", false),
            ("tel:+47", false),
        ] {
            assert_eq!(is_of_websocket(uri.as_bytes()), is, "{uri}");
        }
    }
}
