//! Challenges that trunks have given us, kept so that the next request carries credentials at once (RFC 3261 §22.2, RFC 7616 §3.6).
//!
//! Without them each call would cost a round trip more, and a carrier that counts refusals would count every call. One session for each realm of
//! a trunk, few of them; a trunk that the configuration no longer names is forgotten. Of challenges that were passed to callers it is kept
//! whose they are: what a caller answers goes to that trunk, and to no other. Refuses to know: when a request is repeated.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use model::{Rng, TrunkId};
use sip::auth::{Credentials, Session, Signed, nonce_in};
use sip::{Draft, HeaderName, Message};

/// Realms of one trunk that are remembered: the far end's and those of the proxies before it.
const REALMS: usize = 4;
/// Challenges passed to callers that are remembered; whoever answers an older one is asked again.
const PASSED_MAX: usize = 4_096;
/// The longest nonce of them.
const LONGEST: usize = 512;

/// All that is remembered, by trunk.
#[derive(Debug, Default)]
pub struct Nonces {
    kept: BTreeMap<TrunkId, Kept>,
    /// Nonces that were passed to callers.
    passed: BTreeMap<Vec<u8>, TrunkId>,
    /// The oldest first.
    order: VecDeque<Vec<u8>>,
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

    /// A trunk's challenge is passed to the caller. False when it names no nonce by which his answer would be known.
    pub(crate) fn pass_on(&mut self, trunk: TrunkId, challenge: &Message) -> bool {
        let values = challenge
            .headers()
            .filter(|h| matches!(h.name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate));
        let nonces = values.filter_map(|header| nonce_in(header.value)).filter(|nonce| nonce.len() <= LONGEST);
        let mut any = false;
        for nonce in nonces.take(REALMS) {
            any = true;
            if self.passed.insert(nonce.to_vec(), trunk).is_none() {
                self.order.push_back(nonce.to_vec());
            }
            if self.order.len() > PASSED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.passed.remove(&oldest);
            }
        }
        any
    }

    /// The trunk whose challenge a request answers.
    pub(crate) fn asked_by(&self, request: &Message) -> Option<TrunkId> {
        answers(request).find_map(|(nonce, _)| self.passed.get(nonce?).copied())
    }

    /// The caller's answers to challenges of this trunk, line by line, as he wrote them: what he has signed is his own request URI, which
    /// nobody may write otherwise (RFC 3261 §22.4).
    pub(crate) fn carried(&self, trunk: TrunkId, request: &Message) -> Vec<Vec<u8>> {
        let its =
            |(nonce, line): (Option<&[u8]>, &[u8])| (self.passed.get(nonce?) == Some(&trunk)).then(|| line.to_vec());
        answers(request).filter_map(its).collect()
    }

    /// Forgets trunks that have no credentials any more.
    pub fn retain(&mut self, has_credentials: impl Fn(TrunkId) -> bool) {
        self.kept.retain(|trunk, _| has_credentials(*trunk));
    }
}

/// The credentials of a request: by which nonce, and the line.
fn answers(request: &Message) -> impl Iterator<Item = (Option<&[u8]>, &[u8])> {
    let headers = request.headers();
    let headers = headers.filter(|h| matches!(h.name, HeaderName::Authorization | HeaderName::ProxyAuthorization));
    headers.map(|header| (nonce_in(header.value), header.line))
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
    fn a_callers_answer_goes_to_the_trunk_that_has_asked_and_memory_is_bounded() {
        let mut nonces = Nonces::default();
        assert!(nonces.pass_on(ACME, &challenge("a", "1")));
        assert!(!nonces.pass_on(ACME, &response(401, "WWW-Authenticate: Basic realm=\"a\"\r\n")));
        let answered = response(200, "Authorization: Digest username=\"u\", realm=\"a\", nonce=\"1\"\r\n");
        assert_eq!((nonces.asked_by(&answered), nonces.carried(ACME, &answered).len()), (Some(ACME), 1));
        assert!(nonces.carried(TrunkId(2), &answered).is_empty());
        (0..PASSED_MAX).for_each(|n| assert!(nonces.pass_on(TrunkId(2), &challenge("b", &format!("n{n}")))));
        assert_eq!(
            (nonces.asked_by(&answered), nonces.passed.len(), nonces.order.len()),
            (None, PASSED_MAX, PASSED_MAX)
        );
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
