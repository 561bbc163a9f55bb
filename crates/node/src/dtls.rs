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
    use media::{Component, Forward, Packet, PairId, Peer, Relay, Shape, rtp};
    use model::Span;
    use std::net::SocketAddr;

    /// Two relays face each other: the second side of each is secured and meets that of the other.
    const PLAIN: PairId = PairId(0);
    const SECURED: PairId = PairId(1);

    struct End {
        relay: Relay,
        /// Where its secured side is met.
        at: SocketAddr,
    }

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ends() -> [End; 2] {
        [10_000u16, 20_000].map(|port| {
            let mut relay = Relay::new(8);
            relay.join(PLAIN, SECURED).expect("free");
            relay.shape(SECURED, Shape::Srtp);
            for (pair, port) in [(PLAIN, port + 2), (SECURED, 30_000 - port)] {
                relay.expect(pair, &Peer { rtp: addr(port), rtcp: None, mux: true });
            }
            End { relay, at: addr(port) }
        })
    }

    /// Everything that waits at one end goes to the other, until nothing does; `lose` says which datagrams never arrive.
    fn exchange(ends: &mut [End; 2], now: Instant, lose: &mut impl FnMut() -> bool) {
        loop {
            let mut moved = false;
            for from in 0..2 {
                let mut sent = Vec::new();
                while let Some(made) = ends[from].relay.poll_made() {
                    sent.push(made.packet.to_vec());
                }
                let source = ends[from].at;
                for mut packet in sent.into_iter().filter(|packet| !packet.is_empty()) {
                    moved = true;
                    if !lose() {
                        let to = &mut ends[1 - from].relay;
                        to.forward(now, SECURED, Component::Rtp, source, &mut Packet::whole(&mut packet));
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
            if ends.iter().all(|end| end.relay.is_secured(SECURED)) {
                return true;
            }
        }
        false
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
    fn crosses(ends: &mut [End; 2], from: usize) {
        let plain = ToneTalker::new(440, 7).next_packet();
        let mut room = plain.to_vec();
        room.resize(300, 0);
        let mut packet = Packet::new(&mut room, plain.len());
        let now = Instant::ZERO + Span::from_secs(60);
        let source = addr(ends[from].at.port() + 2);
        let out = ends[from].relay.forward(now, PLAIN, Component::Rtp, source, &mut packet);
        assert!(matches!(out, Forward::Send { pair: SECURED, .. }), "{out:?}");
        assert_ne!(packet.bytes()[rtp::HEADER..plain.len()], plain[rtp::HEADER..]);
        let source = ends[from].at;
        let out = ends[1 - from].relay.forward(now, SECURED, Component::Rtp, source, &mut packet);
        assert!(matches!(out, Forward::Send { pair: PLAIN, .. }), "{out:?}");
        assert_eq!(packet.bytes(), plain);
    }

    #[test]
    fn two_ends_shake_hands_and_hear_each_other_5764() {
        let (mut ends, own) = (ends(), certificates());
        begin(&mut ends, &own, [own[1].fingerprint(), own[0].fingerprint()]);
        assert!(run(&mut ends, 5, || false));
        crosses(&mut ends, 0);
        crosses(&mut ends, 1);
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
        crosses(&mut ends, 0);
    }

    #[test]
    fn a_certificate_that_the_description_does_not_name_gives_no_keys() {
        let (mut ends, own) = (ends(), certificates());
        begin(&mut ends, &own, [own[0].fingerprint(), own[0].fingerprint()]);
        assert!(!run(&mut ends, 10, || false));
        assert!(!ends[0].relay.is_secured(SECURED));
        assert_eq!(ends[0].relay.counters().handshakes_foreign, 1);
    }

    #[test]
    fn each_start_has_a_certificate_of_its_own_and_nobody_sees_its_key() {
        let [one, other] = certificates();
        assert_ne!(one.fingerprint(), other.fingerprint());
        let printed = format!("{one:?} {:?}", one.begin(Instant::ZERO, Role::Client));
        assert!(printed.len() < 400, "{printed}");
    }
}
