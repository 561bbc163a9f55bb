//! Handshakes of DTLS for the keys of SRTP (RFC 5764), by a library: its certificate is made once per start and is nobody else's.
//!
//! The library sees neither socket nor clock, but takes its chance from the system; so it lives here, and the relay knows a handshake by
//! what it does. Refuses to know: whose certificate is the right one, where packets go.

use crate::clock::Clock;
use dimpl::crypto::rust_crypto;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use media::dtls::{Failed, Fingerprint, Handshake, Handshaker, Keys, Role, Step};
use media::srtp::Suite;
use model::Instant;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Datagrams of a handshake stay below what every path carries.
const MTU: usize = 1_150;
/// First wait for an answer: the handshake is inside a call's set-up (RFC 6347 §4.2.4.1 lets it be shorter than a second).
const FIRST_WAIT: Duration = Duration::from_millis(400);
/// Times a flight is sent again.
const RETRIES: usize = 6;
/// After so long it is given up.
const TIME: Duration = Duration::from_secs(30);
/// Packets that wait in it, either way.
const QUEUE: usize = 30;

/// Our certificate cannot be made, or the library not set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCertificate;

impl fmt::Display for NoCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no certificate for DTLS could be made: the system gives no random bytes")
    }
}

impl std::error::Error for NoCertificate {}

/// Begins handshakes, all with one certificate.
pub struct Certificate {
    config: Arc<Config>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    clock: Clock,
}

impl Certificate {
    /// Makes the certificate: ECDSA on P-256, signed by itself.
    ///
    /// # Errors
    /// The system has no chance to give.
    pub fn new(clock: Clock) -> Result<Self, NoCertificate> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| NoCertificate)?;
        let params = CertificateParams::new(Vec::new()).map_err(|_| NoCertificate)?;
        let certificate = params.self_signed(&key).map_err(|_| NoCertificate)?.der().to_vec();
        let config = Config::builder()
            .with_crypto_provider(rust_crypto::default_provider())
            .mtu(MTU)
            .max_queue_rx(QUEUE)
            .max_queue_tx(QUEUE)
            .flight_start_rto(FIRST_WAIT)
            .flight_retries(RETRIES)
            .handshake_timeout(TIME)
            .build()
            .map_err(|_| NoCertificate)?;
        Ok(Self { config: Arc::new(config), certificate, key: key.serialize_der(), clock })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Handshaker for Certificate {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    fn begin(&self, now: Instant, role: Role) -> Box<dyn Handshake> {
        let certificate = DtlsCertificate { certificate: self.certificate.clone(), private_key: self.key.clone() };
        let mut dtls = Dtls::new_12(self.config.clone(), certificate, self.clock.moment(now));
        dtls.set_active(role == Role::Client);
        let mut shake = Shake { dtls, clock: self.clock };
        // What a client says first is made by its first look at the time; it cannot fail before anything was said.
        let _begun = shake.tick(now);
        Box::new(shake)
    }
}

struct Shake {
    dtls: Dtls,
    clock: Clock,
}

impl fmt::Debug for Shake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shake").field("active", &self.dtls.is_active()).finish_non_exhaustive()
    }
}

impl Handshake for Shake {
    fn take(&mut self, now: Instant, packet: &[u8]) -> Result<(), Failed> {
        self.tick(now)?;
        self.dtls.handle_packet(packet).map_err(|_| Failed)
    }

    fn tick(&mut self, now: Instant) -> Result<(), Failed> {
        self.dtls.handle_timeout(self.clock.moment(now)).map_err(|_| Failed)
    }

    fn poll<'a>(&mut self, room: &'a mut [u8]) -> Step<'a> {
        // What is of no use here is passed over; each takes one thing out of the library, so that this ends.
        loop {
            // The room's borrow must end before it is lent again: what is given is copied to its front.
            let (what, length) = match self.dtls.poll_output(room) {
                Output::Packet(packet) => (What::Packet, packet.len()),
                Output::PeerCert(certificate) => (What::Certificate, certificate.len()),
                Output::KeyingMaterial(material, profile) => {
                    let length = material.len();
                    // One that we do not know gives no keys, and the handshake is over by time.
                    let (Some(suite), Some(front)) = (suite(profile), room.get_mut(..length)) else {
                        return Step::Wait(None);
                    };
                    front.copy_from_slice(&material);
                    return Step::Keys(Keys { suite, material: &room[..length] });
                }
                Output::Timeout(at) => return Step::Wait(Some(self.clock.instant(at))),
                // A datagram or certificate longer than there is room for is none that a handshake needs.
                Output::BufferTooSmall { .. } => return Step::Wait(None),
                _ => continue,
            };
            return match what {
                What::Packet => Step::Send(&room[..length]),
                What::Certificate => Step::Certificate(&room[..length]),
            };
        }
    }
}

enum What {
    Packet,
    Certificate,
}

const fn suite(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::player::ToneTalker;
    use media::srtp::Secrets;
    use media::{Component, Dropped, Forward, Keying, Packet, PairId, Peer, Relay, Shape, rtp};
    use model::Span;
    use std::net::SocketAddr;
    use std::ops::Range;

    /// Two relays face each other: the second side of each is secured and meets that of the other.
    const PLAIN: PairId = PairId(0);
    const SECURED: PairId = PairId(1);

    struct End {
        relay: Relay,
        /// Where its party in the clear is.
        plain: SocketAddr,
        /// Where its secured side is met, and by which pair.
        at: SocketAddr,
        secured: PairId,
    }

    impl End {
        fn address(&self, component: Component) -> SocketAddr {
            match component {
                Component::Rtp => self.at,
                Component::Rtcp => SocketAddr::new(self.at.ip(), self.at.port() + 1),
            }
        }
    }

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ends() -> [End; 2] {
        muxed(true)
    }

    fn muxed(mux: bool) -> [End; 2] {
        [10_000u16, 20_000].map(|port| {
            let mut relay = Relay::new(8);
            relay.join(PLAIN, SECURED).expect("free");
            relay.shape(SECURED, Shape::Srtp);
            for (pair, port) in [(PLAIN, port + 2), (SECURED, 30_000 - port)] {
                relay.expect(pair, &Peer { rtp: addr(port), rtcp: None, mux });
            }
            End { relay, plain: addr(port + 2), at: addr(port), secured: SECURED }
        })
    }

    /// Everything that waits at one end goes to the other, until nothing does; `lose` says which datagrams never arrive.
    fn exchange(ends: &mut [End; 2], now: Instant, lose: &mut impl FnMut() -> bool) {
        loop {
            let mut moved = false;
            for from in 0..2 {
                let mut sent = Vec::new();
                while let Some(made) = ends[from].relay.poll_made() {
                    sent.push((made.component, made.packet.to_vec()));
                }
                for (component, mut packet) in sent.into_iter().filter(|(_, packet)| !packet.is_empty()) {
                    moved = true;
                    if !lose() {
                        let source = ends[from].address(component);
                        let to = &mut ends[1 - from];
                        to.relay.forward(now, to.secured, component, source, &mut Packet::whole(&mut packet));
                    }
                }
            }
            if !moved {
                break;
            }
        }
    }

    /// Runs both ends for so long; whether both are secured then.
    fn run(ends: &mut [End; 2], seconds: u64, mut lose: impl FnMut() -> bool) -> bool {
        let mut now = Instant::ZERO;
        for _ in 0..seconds * 50 {
            now += Span::from_millis(20);
            for end in &mut *ends {
                end.relay.tick(now);
            }
            exchange(ends, now, &mut lose);
            if ends.iter().all(|end| end.relay.is_secured(end.secured)) {
                return true;
            }
        }
        false
    }

    /// Runs both ends from second to second.
    fn pass(ends: &mut [End; 2], seconds: Range<u64>) {
        for at in seconds.start * 50..seconds.end * 50 {
            let now = Instant::ZERO + Span::from_millis(20 * at);
            ends.iter_mut().for_each(|end| end.relay.tick(now));
            exchange(ends, now, &mut || false);
        }
    }

    fn certificates() -> [Certificate; 2] {
        let clock = Clock::start();
        [0; 2].map(|_| Certificate::new(clock).expect("a certificate"))
    }

    fn begin(ends: &mut [End; 2], own: &[Certificate; 2], expected: [Fingerprint; 2]) {
        for (n, role) in [Role::Client, Role::Server].into_iter().enumerate() {
            let machine = own[n].begin(Instant::ZERO, role);
            ends[n].relay.shake(Instant::ZERO, SECURED, (expected[n], role), machine).expect("room");
        }
    }

    /// A packet in the clear goes in at one end and comes out in the clear at the other, and is neither in between.
    fn crosses(ends: &mut [End; 2], from: usize, nth: usize) {
        let mut talker = ToneTalker::new(440, 7);
        let plain = (0..nth).map(|_| talker.next_packet()).last().expect("one");
        let crossed = cross(ends, from, Component::Rtp, &plain);
        assert_eq!(crossed.as_deref(), Ok(&plain[..]));
    }

    /// What comes out at the other end, or why nothing does.
    fn cross(ends: &mut [End; 2], from: usize, component: Component, plain: &[u8]) -> Result<Vec<u8>, Dropped> {
        let mut room = plain.to_vec();
        room.resize(300, 0);
        let mut packet = Packet::new(&mut room, plain.len());
        let now = Instant::ZERO + Span::from_secs(60);
        let source = ends[from].plain;
        match ends[from].relay.forward(now, PLAIN, Component::Rtp, source, &mut packet) {
            Forward::Send { pair, component: by, .. } => assert_eq!((pair, by), (ends[from].secured, component)),
            Forward::Drop(why) => return Err(why),
            other => panic!("{other:?}"),
        }
        assert_ne!(packet.bytes()[rtp::HEADER..plain.len()], plain[rtp::HEADER..]);
        let source = ends[from].address(component);
        let to = &mut ends[1 - from];
        match to.relay.forward(now, to.secured, component, source, &mut packet) {
            Forward::Send { pair: PLAIN, .. } => Ok(packet.bytes().to_vec()),
            Forward::Drop(why) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_ends_shake_hands_and_hear_each_other_5764() {
        let (mut ends, own) = (ends(), certificates());
        begin(&mut ends, &own, [own[1].fingerprint(), own[0].fingerprint()]);
        assert!(run(&mut ends, 5, || false));
        crosses(&mut ends, 0, 1);
        crosses(&mut ends, 1, 1);
    }

    #[test]
    fn a_handshake_outlives_loss_by_sending_again_6347_4_2_4() {
        let (mut ends, own) = (ends(), certificates());
        begin(&mut ends, &own, [own[1].fingerprint(), own[0].fingerprint()]);
        let mut n = 0;
        // The first datagram of all, and every third.
        assert!(run(&mut ends, 25, || {
            n += 1;
            n % 3 == 1
        }));
        crosses(&mut ends, 0, 1);
    }

    #[test]
    fn a_certificate_that_the_description_does_not_name_gives_no_keys() {
        let (mut ends, own) = (ends(), certificates());
        begin(&mut ends, &own, [own[0].fingerprint(), own[0].fingerprint()]);
        assert!(!run(&mut ends, 10, || false));
        assert!(!ends[0].relay.is_secured(SECURED));
        assert_eq!(ends[0].relay.counters().handshakes_foreign, 1);
    }

    /// A report of no stream: head, and the name of who says it.
    const REPORT: [u8; 28] = *b"\x80\xc9\0\x01\0\0\0\x07\x81\xca\0\x04\0\0\0\x07\x01\x08somebody\0\0";

    #[test]
    fn reports_on_a_port_of_their_own_have_keys_of_a_handshake_of_their_own_5764_4_1() {
        let (mut ends, own) = (muxed(false), certificates());
        begin(&mut ends, &own, [own[1].fingerprint(), own[0].fingerprint()]);
        assert!(run(&mut ends, 5, || false));
        for from in 0..2 {
            crosses(&mut ends, from, 1);
            assert_eq!(cross(&mut ends, from, Component::Rtcp, &REPORT), Err(Dropped::NoKey), "those of RTP are none");
        }
        for (n, role) in [Role::Client, Role::Server].into_iter().enumerate() {
            let machine = own[n].begin(Instant::ZERO, role);
            ends[n].relay.shake_reports(Instant::ZERO, SECURED, machine).expect("room");
        }
        pass(&mut ends, 0..5);
        for from in 0..2 {
            assert_eq!(cross(&mut ends, from, Component::Rtcp, &REPORT).as_deref(), Ok(&REPORT[..]));
            crosses(&mut ends, from, 2);
        }
    }

    #[test]
    fn a_handshake_for_reports_that_comes_to_nothing_leaves_the_audio_as_it_is() {
        let (mut ends, own) = (muxed(false), certificates());
        begin(&mut ends, &own, [own[1].fingerprint(), own[0].fingerprint()]);
        assert!(run(&mut ends, 5, || false));
        ends[0].relay.shake_reports(Instant::ZERO, SECURED, own[0].begin(Instant::ZERO, Role::Client)).expect("room");
        pass(&mut ends, 5..40);
        let counters = ends[0].relay.counters();
        assert_eq!((counters.report_handshakes_failed, counters.handshakes_failed), (1, 0));
        assert_eq!((ends[0].relay.unshaken(SECURED), ends[0].relay.shakes_reports(SECURED)), (None, false));
        crosses(&mut ends, 0, 1);
        crosses(&mut ends, 1, 1);
        assert_eq!(cross(&mut ends, 0, Component::Rtcp, &REPORT), Err(Dropped::NoKey));
    }

    /// Two ends with keys, of which the second begins handshakes in this role and can begin others.
    fn keyed(edge: Role) -> ([End; 2], [Certificate; 2]) {
        let (mut ends, own) = (ends(), certificates());
        let expected = [own[1].fingerprint(), own[0].fingerprint()];
        for (n, role) in [other(edge), edge].into_iter().enumerate() {
            let machine = own[n].begin(Instant::ZERO, role);
            ends[n].relay.shake(Instant::ZERO, SECURED, (expected[n], role), machine).expect("room");
        }
        assert!(run(&mut ends, 5, || false));
        let Certificate { config, certificate, key, clock } = &own[1];
        let (config, certificate, key, clock) = (config.clone(), certificate.clone(), key.clone(), *clock);
        let handshaker = Certificate { config, certificate, key, clock };
        ends[1].relay.entrust(Keying { secrets: Secrets::new([7; 32]), handshaker: Some(Arc::new(handshaker)) });
        (ends, own)
    }

    fn other(role: Role) -> Role {
        if role == Role::Client { Role::Server } else { Role::Client }
    }

    /// The first end takes another handshake for due, and is told of no other one.
    fn begin_anew(ends: &mut [End; 2], own: &[Certificate; 2], role: Role, second: u64) {
        let now = Instant::ZERO + Span::from_secs(second);
        let machine = own[0].begin(now, role);
        ends[0].relay.shake(now, SECURED, (own[1].fingerprint(), role), machine).expect("room");
    }

    /// The second end is met at another of its ports from that second on.
    fn moves(ends: &mut [End; 2], second: u64) {
        let [peer, edge] = ends;
        (edge.at, edge.secured) = (addr(25_000), PairId(5));
        edge.relay.repoint(PLAIN, edge.secured).expect("free");
        peer.relay.expect(SECURED, &Peer { rtp: edge.at, rtcp: None, mux: true });
        edge.relay.shake_anew(Instant::ZERO + Span::from_secs(second), edge.secured);
    }

    #[test]
    fn a_side_that_is_met_elsewhere_goes_on_with_its_keys_8842_3_2() {
        for role in [Role::Client, Role::Server] {
            let (mut ends, _own) = keyed(role);
            // What the peer has kept of its handshake is let go.
            pass(&mut ends, 0..40);
            for from in 0..2 {
                crosses(&mut ends, from, 1);
            }
            moves(&mut ends, 40);
            for from in [1, 0] {
                crosses(&mut ends, from, 2);
            }
            pass(&mut ends, 40..80);
            for from in [1, 0] {
                crosses(&mut ends, from, 3);
            }
            let counters = ends[1].relay.counters();
            assert_eq!(counters.handshakes_failed, 0, "{role:?}: what the peer does not want is no failure");
        }
    }

    #[test]
    fn a_peer_that_takes_another_port_for_another_handshake_gets_it_5763_6_6() {
        for role in [Role::Client, Role::Server] {
            let (mut ends, own) = keyed(role);
            crosses(&mut ends, 0, 1);
            moves(&mut ends, 5);
            begin_anew(&mut ends, &own, other(role), 5);
            crosses(&mut ends, 0, 2);
            pass(&mut ends, 5..40);
            assert_eq!(ends[0].relay.counters().handshakes_failed, 0, "{role:?}");
            // The first end speaks by the new keys alone: the second has them too.
            for from in 0..2 {
                crosses(&mut ends, from, 3);
            }
        }
    }

    #[test]
    fn a_handshake_that_nothing_gives_a_reason_for_is_not_answered() {
        let (mut ends, own) = keyed(Role::Server);
        pass(&mut ends, 5..40);
        begin_anew(&mut ends, &own, Role::Client, 40);
        pass(&mut ends, 40..75);
        assert_eq!(ends[0].relay.counters().handshakes_failed, 1);
        crosses(&mut ends, 0, 1);
        crosses(&mut ends, 1, 1);
    }

    #[test]
    fn each_start_has_a_certificate_of_its_own_and_nobody_sees_its_key() {
        let [one, other] = certificates();
        assert_ne!(one.fingerprint(), other.fingerprint());
        let printed = format!("{one:?} {:?}", one.begin(Instant::ZERO, Role::Client));
        assert!(printed.len() < 400, "{printed}");
    }
}
