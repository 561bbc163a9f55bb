//! Challenges that trunks have given us, kept so that the next request carries credentials at once (RFC 3261 §22.2, RFC 7616 §3.6).
//!
//! Without them each call would cost a round trip more, and a carrier that counts refusals would count every call. One session for each realm of
//! a trunk, few of them; a trunk that the configuration no longer names is forgotten. Refuses to know: when a request is repeated.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use model::{Rng, TrunkId};
use sip::auth::{Credentials, Session, Signed};
use sip::{Draft, Message};

/// Realms of one trunk that are remembered: the far end's and those of the proxies before it.
const REALMS: usize = 4;

/// All that is remembered, by trunk.
#[derive(Debug, Default)]
pub struct Nonces {
    kept: BTreeMap<TrunkId, Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The oldest first.
    sessions: Vec<Session>,
    /// The trunk has taken them since they were opened.
    proven: bool,
}

impl Nonces {
    /// Signs a request to a trunk with every session that is open there; the lines are also handed back, for the ACK that must repeat them
    /// (RFC 3261 §13.2.2.4).
    pub fn sign(&mut self, trunk: TrunkId, credentials: Option<&Credentials>, draft: &mut Draft) -> Vec<Vec<u8>> {
        let (Some(credentials), Some(kept)) = (credentials, self.kept.get_mut(&trunk)) else { return Vec::new() };
        let signed = Signed { method: draft.method.as_str(), uri: &draft.uri, body: &draft.body };
        let lines: Vec<Vec<u8>> = kept.sessions.iter_mut().map(|session| session.sign(credentials, &signed)).collect();
        lines.iter().for_each(|line| draft.headers.push_raw(line));
        lines
    }

    /// A challenge came: its sessions take the place of those of the same realm. False when it cannot be answered.
    pub fn challenged(
        &mut self,
        trunk: TrunkId,
        credentials: &Credentials,
        challenge: &Message,
        rng: &mut Rng,
    ) -> bool {
        let cnonce = format!("{:016x}", rng.next_u64());
        let Ok(opened) = Session::open(challenge, credentials, &cnonce) else { return false };
        let kept = self.kept.entry(trunk).or_default();
        kept.sessions.retain(|known| !opened.iter().any(|fresh| fresh.replaces(known)));
        kept.sessions.extend(opened);
        let excess = kept.sessions.len().saturating_sub(REALMS);
        kept.sessions.drain(..excess);
        true
    }

    /// The trunk has taken a request that was signed.
    pub fn accepted(&mut self, trunk: TrunkId, response: &Message) {
        if let Some(kept) = self.kept.get_mut(&trunk) {
            kept.proven = true;
            kept.sessions.iter_mut().for_each(|session| session.hear(response));
        }
    }

    /// The trunk has taken our credentials before, so that a 403 now speaks of the call and not of us.
    pub fn are_proven(&self, trunk: TrunkId) -> bool {
        self.kept.get(&trunk).is_some_and(|kept| kept.proven)
    }

    /// The trunk refuses what was signed: the next request asks for a challenge again.
    pub fn refused(&mut self, trunk: TrunkId) {
        self.kept.remove(&trunk);
    }

    /// Forgets trunks that have no credentials any more.
    pub fn retain(&mut self, has_credentials: impl Fn(TrunkId) -> bool) {
        self.kept.retain(|trunk, _| has_credentials(*trunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Method;
    use std::string::String;

    const ACME: TrunkId = TrunkId(1);

    fn credentials() -> Credentials {
        Credentials { user: "u".into(), secret: "s".into(), realm: None }
    }

    fn response(code: u16, line: &str) -> Message {
        let text = format!(
            "SIP/2.0 {code} Said\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\nX-Y: z\r\n{line}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes()).unwrap()
    }

    fn challenge(realm: &str, nonce: &str) -> Message {
        response(401, &format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=auth\r\n"))
    }

    fn signed(nonces: &mut Nonces, trunk: TrunkId) -> Vec<String> {
        let mut draft = Draft::new(Method::Bye, b"sip:x".to_vec());
        let lines = nonces.sign(trunk, Some(&credentials()), &mut draft);
        let written: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\r\n"[..]].concat()).collect();
        assert_eq!(draft.headers.as_bytes(), written);
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn the_next_request_is_signed_at_once_and_counted() {
        let (mut nonces, mut rng) = (Nonces::default(), Rng::new(1));
        assert!(signed(&mut nonces, ACME).is_empty());
        assert!(nonces.challenged(ACME, &credentials(), &challenge("a", "1"), &mut rng));
        for count in 1..4 {
            assert!(signed(&mut nonces, ACME)[0].contains(&format!("nc=0000000{count}")));
        }
        assert_eq!(signed(&mut nonces, TrunkId(2)).len(), 0, "another trunk's are its own");
        assert!(nonces.challenged(ACME, &credentials(), &challenge("b", "2"), &mut rng));
        assert!(nonces.challenged(ACME, &credentials(), &challenge("a", "3"), &mut rng));
        let both = signed(&mut nonces, ACME);
        assert!(both[0].contains("nonce=\"2\"") && both[1].contains("nonce=\"3\"") && both.len() == 2, "{both:?}");
        nonces.accepted(ACME, &response(200, "Authentication-Info: nextnonce=\"4\"\r\n"));
        assert!(signed(&mut nonces, ACME)[0].contains("nonce=\"4\"") && nonces.are_proven(ACME));
        nonces.refused(ACME);
        assert!(signed(&mut nonces, ACME).is_empty() && !nonces.are_proven(ACME));
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_its_trunk() {
        let (mut nonces, mut rng) = (Nonces::default(), Rng::new(1));
        for realm in 0..100 {
            assert!(nonces.challenged(ACME, &credentials(), &challenge(&format!("{realm}"), "n"), &mut rng));
        }
        let lines = signed(&mut nonces, ACME);
        assert!(lines.len() == REALMS && lines[REALMS - 1].contains("realm=\"99\""), "{lines:?}");
        assert!(!nonces.challenged(ACME, &credentials(), &response(401, ""), &mut rng), "no challenge at all");
        nonces.retain(|trunk| trunk != ACME);
        assert!(signed(&mut nonces, ACME).is_empty());
    }
}
