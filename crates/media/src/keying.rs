//! What a shard makes keys with: a source of them, and whoever makes handshakes.
//!
//! Both come from the world, once, at the start. A shard that was given none secures nothing. How a side is secured with them:
//! - Keys in descriptions, we offer: `Offer::new(suites, secrets)` of [`crate::srtp::sdes`], its lines into the description; the answer's
//!   line through `Offer::answered` gives what `Relay::secure` wants. Until then the side has `Security::pending()`.
//! - Keys in descriptions, we answer: `choose` a line, `answer` it (with the key we had, if any), and `Relay::secure` with what that gives.
//! - A handshake: `dtls::lines(fingerprint, setup)` into the description; once both are known, a machine of the handshaker for our role and
//!   `Relay::shake` with the peer's fingerprint, unless `Relay::shakes_with` says that nothing has changed.
//! - ICE: `sdp::Credentials` into the description by `sdp::Reach`, and to `Relay::ice`; the peer's name by `Relay::ice_of`.
//!
//! Refuses to know: whom the keys are for.

use crate::dtls::Handshaker;
use crate::relay::Relay;
use crate::srtp::Secrets;
use alloc::sync::Arc;

/// What keys are made with.
#[derive(Debug)]
pub struct Keying {
    /// Keys for descriptions; names and passwords for checks.
    pub secrets: Secrets,
    /// Handshakes; none where there is no certificate for them.
    pub handshaker: Option<Arc<dyn Handshaker>>,
}

impl Relay {
    /// Keys are made with this from now on.
    pub fn entrust(&mut self, keying: Keying) {
        self.keying = Some(keying);
    }

    /// Handshakes can be made here.
    pub fn can_shake(&self) -> bool {
        self.keying.as_ref().is_some_and(|keying| keying.handshaker.is_some())
    }

    /// What keys are made with; none when sides cannot be secured here.
    pub fn keying(&mut self) -> Option<&mut Keying> {
        self.keying.as_mut()
    }
}
