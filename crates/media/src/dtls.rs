//! DTLS-SRTP: what descriptions say of a handshake, and what the relay wants of whoever makes it (RFC 5763, RFC 5764, RFC 8842).
//!
//! The handshake itself is made by a library that lives where chance and certificates are; here are fingerprints, roles, and the keys that
//! come of it. Only SHA-256 of the peer's certificate, as its description says it, makes the keys believed. Refuses to know: records, ciphers, certificates.

use crate::srtp::{MasterKey, Security, Suite};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::fmt::Write as _;
use model::Instant;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The protocol of a media line whose keys come out of a handshake (RFC 5764 §8).
pub const PROTOCOL: &str = "UDP/TLS/RTP/SAVP";

/// SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Why a fingerprint cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadFingerprint {
    /// It is of another hash than SHA-256; SHA-1 is broken.
    Hash,
    /// It is not thirty-two bytes in hexadecimal, colons between them.
    Malformed,
}

impl Fingerprint {
    /// Of a certificate.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// Reads what follows `a=fingerprint:` (RFC 8122 §5).
    ///
    /// # Errors
    /// See [`BadFingerprint`]. There may be another line.
    pub fn parse(value: &[u8]) -> Result<Self, BadFingerprint> {
        let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let hash = words.next().ok_or(BadFingerprint::Malformed)?;
        let text = words.next().ok_or(BadFingerprint::Malformed)?;
        if !hash.eq_ignore_ascii_case(b"sha-256") {
            return Err(BadFingerprint::Hash);
        }
        let mut bytes = [0; 32];
        let mut parts = text.split(|byte| *byte == b':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit));
            let part = part.and_then(|part| core::str::from_utf8(part).ok()).ok_or(BadFingerprint::Malformed)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| BadFingerprint::Malformed)?;
        }
        if parts.next().is_some() || words.next().is_some() {
            return Err(BadFingerprint::Malformed);
        }
        Ok(Self(bytes))
    }

    /// It is that of this certificate.
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        self.0.ct_eq(&Self::of(certificate).0).into()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        for (n, byte) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_char(':')?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

/// Who begins, as a description says it: `a=setup` (RFC 4145 §4, RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Either: only in offers, and what every offer of ours says.
    Actpass,
    /// Its writer begins.
    Active,
    /// Its writer waits.
    Passive,
}

/// Who we are in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We begin.
    Client,
    /// The peer begins.
    Server,
}

impl Setup {
    /// Reads what follows `a=setup:`. What holds the connection back is no offer of one.
    pub fn parse(value: &[u8]) -> Option<Self> {
        [Self::Actpass, Self::Active, Self::Passive].into_iter().find(|setup| value == setup.name().as_bytes())
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Actpass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }

    /// What we answer to it. Who answers begins if it may, so that the handshake starts half a turn earlier (RFC 5763 §5); a role that was
    /// taken is kept, since another one would be another handshake (RFC 8842 §5.3).
    pub const fn answer(self, kept: Option<Role>) -> Self {
        match (self, kept) {
            (Self::Active, _) | (Self::Actpass, Some(Role::Server)) => Self::Passive,
            (Self::Passive | Self::Actpass, _) => Self::Active,
        }
    }

    /// Our role when this is what we have answered, or the peer's answer seen from the other end; `None` when it settles nothing.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Active => Some(Role::Client),
            Self::Passive => Some(Role::Server),
            Self::Actpass => None,
        }
    }

    /// Our role when this is what the peer has answered.
    pub const fn role_of_other(self) -> Option<Role> {
        match self {
            Self::Active => Some(Role::Server),
            Self::Passive => Some(Role::Client),
            Self::Actpass => None,
        }
    }
}

/// The lines that a stream of ours has.
pub fn lines(fingerprint: &Fingerprint, setup: Setup) -> String {
    alloc::format!("a=fingerprint:{fingerprint}\r\na=setup:{}\r\n", setup.name())
}

/// What a handshake wants next.
#[derive(Debug)]
pub enum Step<'a> {
    /// This is to be sent.
    Send(&'a [u8]),
    /// This is the peer's certificate: whoever drives the handshake says whether it is the right one, by going on or not.
    Certificate(&'a [u8]),
    /// Keys have come of it.
    Keys(Keys<'a>),
    /// Nothing until something comes in, or until then.
    Wait(Option<Instant>),
}

/// Keying material as it is exported: keys of client and server, then their salts (RFC 5764 §4.2).
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// What was agreed on.
    pub suite: Suite,
    /// The bytes.
    pub material: &'a [u8],
}

impl Keys<'_> {
    /// What they make of a side of which we are this.
    pub fn security(&self, role: Role) -> Option<Security> {
        let (key, salt) = (self.suite.key(), self.suite.salt());
        let (keys, salts) = self.material.split_at_checked(2 * key).filter(|(_, salts)| salts.len() == 2 * salt)?;
        let master = |n: usize| {
            let mut both = zeroize::Zeroizing::new([0; 64]);
            both[..key].copy_from_slice(&keys[n * key..][..key]);
            both[key..key + salt].copy_from_slice(&salts[n * salt..][..salt]);
            MasterKey::new(self.suite, &both[..key + salt]).ok()
        };
        let (client, server) = (master(0)?, master(1)?);
        Some(match role {
            Role::Client => Security::new(self.suite, &server, &client),
            Role::Server => Security::new(self.suite, &client, &server),
        })
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// A handshake is over for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// One handshake: sees no socket and no clock.
pub trait Handshake: fmt::Debug + Send {
    /// A datagram of it came in.
    ///
    /// # Errors
    /// It is over.
    fn take(&mut self, now: Instant, packet: &[u8]) -> Result<(), Failed>;

    /// Time has passed.
    ///
    /// # Errors
    /// It is over.
    fn tick(&mut self, now: Instant) -> Result<(), Failed>;

    /// What it wants next, to be asked until it waits. `room` is for what it gives.
    fn poll<'a>(&mut self, room: &'a mut [u8]) -> Step<'a>;
}

/// Whoever begins handshakes, all with one certificate.
pub trait Handshaker: fmt::Debug + Send + Sync {
    /// Of our certificate.
    fn fingerprint(&self) -> Fingerprint;

    /// Begins one.
    fn begin(&self, now: Instant, role: Role) -> Box<dyn Handshake>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written_and_sha_1_is_refused() {
        let fingerprint = Fingerprint::of(b"a certificate");
        let written = fingerprint.to_string();
        assert_eq!(Fingerprint::parse(written.as_bytes()), Ok(fingerprint));
        assert_eq!(Fingerprint::parse(written.to_lowercase().as_bytes()), Ok(fingerprint));
        assert!(fingerprint.is_of(b"a certificate") && !fingerprint.is_of(b"another"));
        assert_eq!(Fingerprint::parse(b"sha-1 00:11"), Err(BadFingerprint::Hash));
        for wrong in
            ["sha-256", "sha-256 00", "sha-256 0:1", &written[..written.len() - 1], &alloc::format!("{written}:00")]
        {
            assert_eq!(Fingerprint::parse(wrong.as_bytes()), Err(BadFingerprint::Malformed), "{wrong}");
        }
    }

    #[test]
    fn roles_are_settled_by_the_answer_5763_5() {
        assert_eq!(Setup::Actpass.answer(None), Setup::Active);
        assert_eq!(Setup::Actpass.answer(Some(Role::Server)), Setup::Passive, "a role taken is kept");
        assert_eq!((Setup::Active.answer(None), Setup::Passive.answer(None)), (Setup::Passive, Setup::Active));
        assert_eq!((Setup::Active.role(), Setup::Active.role_of_other()), (Some(Role::Client), Some(Role::Server)));
        assert_eq!((Setup::parse(b"holdconn"), Setup::parse(b"passive")), (None, Some(Setup::Passive)));
        let lines = lines(&Fingerprint::of(b"x"), Setup::Actpass);
        assert!(lines.starts_with("a=fingerprint:sha-256 ") && lines.ends_with("a=setup:actpass\r\n"));
    }

    #[test]
    fn material_of_the_wrong_length_makes_no_keys() {
        let keys = |suite, material| Keys { suite, material }.security(Role::Client).is_some();
        assert!(keys(Suite::AesCm128HmacSha1_80, &[1; 60]) && keys(Suite::AeadAes256Gcm, &[1; 88]));
        assert!(!keys(Suite::AesCm128HmacSha1_80, &[1; 56]) && !keys(Suite::AeadAes256Gcm, &[1; 10]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (Fingerprint::parse(&bytes), Setup::parse(&bytes));
        }
    }
}
