//! The session keys of one direction and what they do to one packet whose index is known (RFC 3711 §3.3, §3.4; RFC 7714 §8, §9).
//!
//! Refuses to know: which index a packet has, whether it was here before.

use super::Refused;
use super::derive::{Label, derive};
use super::key::{KEY_MAX, MasterKey};
use super::suite::Suite;
use crate::packet::Packet;
use crate::rtp;
use aes::cipher::{InnerIvInit as _, StreamCipher as _, StreamCipherCoreWrapper};
use aes::{Aes128, Aes256};
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use core::fmt;
use ctr::CtrCore;
use ctr::flavors::Ctr32BE;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of an SRTCP packet that are never encrypted: header and SSRC.
pub(super) const REPORT_HEAD: usize = 8;
/// Encryption flag and index of an SRTCP packet.
const REPORT_INDEX: usize = 4;
/// Set when an SRTCP packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// Tag of GCM.
const GCM_TAG: usize = 16;

/// One direction's session keys.
pub(super) struct Session {
    suite: Suite,
    rtp: Keys,
    rtcp: Keys,
    /// What it was made of, to know it again.
    master: MasterKey,
}

struct Keys {
    cipher: Cipher,
    salt: [u8; 14],
}

enum Cipher {
    Counter128(Aes128, Hmac<Sha1>),
    Counter256(Aes256, Hmac<Sha1>),
    Gcm128(Aes128Gcm),
    Gcm256(Aes256Gcm),
}

impl Session {
    pub(super) fn new(suite: Suite, master: &MasterKey) -> Self {
        Self {
            suite,
            rtp: Keys::new(suite, master, [Label::Encryption, Label::Authentication, Label::Salt]),
            rtcp: Keys::new(suite, master, [Label::ReportEncryption, Label::ReportAuthentication, Label::ReportSalt]),
            master: master.clone(),
        }
    }

    /// It is of the same master key.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.suite == other.suite && self.master == other.master
    }

    /// Adds a tag and encrypts what follows the header.
    pub(super) fn protect(&self, ssrc: u32, index: u64, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let length = packet.bytes().len();
        let head = payload_at(packet.bytes()).ok_or(Refused::NoKey)?;
        packet.resize(length + self.suite.tag()).map_err(|_| Refused::NoKey)?;
        let (plain, tag) = packet.bytes_mut().split_at_mut(length);
        let (head, payload) = plain.split_at_mut(head);
        if self.rtp.cipher.is_gcm() {
            self.rtp.cipher.seal(&self.rtp.gcm_iv(ssrc, index), &[head], payload, tag)
        } else {
            self.rtp.cipher.apply(&self.rtp.counter_iv(ssrc, index), payload);
            let whole = self.rtp.cipher.authenticate(&[plain, &rollover(index)]);
            tag.copy_from_slice(&whole[..tag.len()]);
            Ok(())
        }
    }

    /// Checks the tag, takes it off and decrypts. When it is wrong the packet is what it was.
    pub(super) fn unprotect(&self, ssrc: u32, index: u64, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let head = payload_at(packet.bytes()).ok_or(Refused::Unauthentic)?;
        let length = packet.bytes().len().checked_sub(self.suite.tag()).filter(|length| *length >= head);
        let length = length.ok_or(Refused::Unauthentic)?;
        let (cipher, tag) = packet.bytes_mut().split_at_mut(length);
        if self.rtp.cipher.is_gcm() {
            let (head, payload) = cipher.split_at_mut(head);
            self.rtp.cipher.open(&self.rtp.gcm_iv(ssrc, index), &[head], payload, tag)?;
        } else {
            let whole = self.rtp.cipher.authenticate(&[cipher, &rollover(index)]);
            if !bool::from(whole[..tag.len()].ct_eq(tag)) {
                return Err(Refused::Unauthentic);
            }
            self.rtp.cipher.apply(&self.rtp.counter_iv(ssrc, index), &mut cipher[head..]);
        }
        packet.resize(length).map_err(|_| Refused::Unauthentic)
    }

    /// Encrypts a report behind its head and adds flag, index and tag.
    pub(super) fn protect_report(&self, index: u32, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let ssrc = report_head(packet.bytes()).ok_or(Refused::NoKey)?;
        let length = packet.bytes().len();
        let tag = self.suite.report_tag();
        packet.resize(length + REPORT_INDEX + tag).map_err(|_| Refused::NoKey)?;
        let trailer = (ENCRYPTED | index).to_be_bytes();
        let (plain, behind) = packet.bytes_mut().split_at_mut(length);
        let (head, body) = plain.split_at_mut(REPORT_HEAD);
        if self.rtcp.cipher.is_gcm() {
            let (tag, last) = behind.split_at_mut(GCM_TAG);
            last.copy_from_slice(&trailer);
            self.rtcp.cipher.seal(&self.rtcp.gcm_report_iv(ssrc, index), &[head, &trailer], body, tag)
        } else {
            self.rtcp.cipher.apply(&self.rtcp.counter_iv(ssrc, u64::from(index)), body);
            let (last, tag) = behind.split_at_mut(REPORT_INDEX);
            last.copy_from_slice(&trailer);
            let whole = self.rtcp.cipher.authenticate(&[plain, &trailer]);
            tag.copy_from_slice(&whole[..tag.len()]);
            Ok(())
        }
    }

    /// The index a report says it has, before anything is known of it.
    pub(super) fn report_index(&self, packet: &[u8]) -> Option<(u32, u32)> {
        let ssrc = report_head(packet)?;
        Some((ssrc, self.trailer(packet)? & !ENCRYPTED))
    }

    /// Checks a report, takes off what was added and decrypts it, when it says that it is encrypted.
    pub(super) fn unprotect_report(&self, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let trailer = self.trailer(packet.bytes()).ok_or(Refused::Unauthentic)?;
        let ssrc = report_head(packet.bytes()).ok_or(Refused::Unauthentic)?;
        let (encrypted, index) = (trailer & ENCRYPTED != 0, trailer & !ENCRYPTED);
        let length = packet.bytes().len() - REPORT_INDEX - self.suite.report_tag();
        let trailer = trailer.to_be_bytes();
        let (cipher, behind) = packet.bytes_mut().split_at_mut(length);
        if self.rtcp.cipher.is_gcm() {
            let tag = &behind[..GCM_TAG];
            let iv = self.rtcp.gcm_report_iv(ssrc, index);
            let (head, body) = cipher.split_at_mut(REPORT_HEAD);
            if encrypted {
                self.rtcp.cipher.open(&iv, &[head, &trailer], body, tag)?;
            } else {
                self.rtcp.cipher.open(&iv, &[head, body, &trailer], &mut [], tag)?;
            }
        } else {
            let whole = self.rtcp.cipher.authenticate(&[cipher, &trailer]);
            if !bool::from(whole[..self.suite.report_tag()].ct_eq(&behind[REPORT_INDEX..])) {
                return Err(Refused::Unauthentic);
            }
            if encrypted {
                self.rtcp.cipher.apply(&self.rtcp.counter_iv(ssrc, u64::from(index)), &mut cipher[REPORT_HEAD..]);
            }
        }
        packet.resize(length).map_err(|_| Refused::Unauthentic)
    }

    fn trailer(&self, packet: &[u8]) -> Option<u32> {
        let body = packet.len().checked_sub(REPORT_INDEX + self.suite.report_tag())?;
        if body < REPORT_HEAD {
            return None;
        }
        // Before the tag; behind it with GCM (RFC 7714 §9.2).
        let at = if self.rtcp.cipher.is_gcm() { body + GCM_TAG } else { body };
        packet.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Ciphers and codes see to themselves.
        self.salt.zeroize();
    }
}

impl Keys {
    fn new(suite: Suite, master: &MasterKey, [encryption, authentication, salting]: [Label; 3]) -> Self {
        let mut key = Zeroizing::new([0; KEY_MAX]);
        derive(master, encryption, &mut key[..suite.key()]);
        let mut salt = [0; 14];
        derive(master, salting, &mut salt[..suite.salt()]);
        let mut short = Zeroizing::new([0; 16]);
        short.copy_from_slice(&key[..16]);
        let code = || {
            let mut key = Zeroizing::new([0; 64]);
            // Twenty bytes; a code's key is filled up with zeros to its block (RFC 2104 §2).
            derive(master, authentication, &mut key[..20]);
            Hmac::<Sha1>::new((&*key).into())
        };
        let cipher = match suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Cipher::Counter128(Aes128::new((&*short).into()), code())
            }
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 => {
                Cipher::Counter256(Aes256::new((&*key).into()), code())
            }
            Suite::AeadAes128Gcm => Cipher::Gcm128(Aes128Gcm::new((&*short).into())),
            Suite::AeadAes256Gcm => Cipher::Gcm256(Aes256Gcm::new((&*key).into())),
        };
        Self { cipher, salt }
    }

    /// RFC 3711 §4.1.1: salt, SSRC and index, and sixteen bits for the counter.
    #[inline]
    fn counter_iv(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        xor(&mut iv, &self.salt);
        iv
    }

    /// RFC 7714 §8.1: SSRC, rollover counter, sequence number.
    #[inline]
    fn gcm_iv(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut iv = [0; 12];
        iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
        iv[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        xor(&mut iv, &self.salt);
        iv
    }

    /// RFC 7714 §9.1: SSRC, two zeros, index.
    fn gcm_report_iv(&self, ssrc: u32, index: u32) -> [u8; 12] {
        let mut iv = [0; 12];
        iv[2..6].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..].copy_from_slice(&index.to_be_bytes());
        xor(&mut iv, &self.salt);
        iv
    }
}

impl Cipher {
    const fn is_gcm(&self) -> bool {
        matches!(self, Self::Gcm128(_) | Self::Gcm256(_))
    }

    /// Encrypts or decrypts in counter mode.
    #[inline]
    fn apply(&self, iv: &[u8; 16], bytes: &mut [u8]) {
        match self {
            Self::Counter128(cipher, _) => {
                StreamCipherCoreWrapper::from_core(CtrCore::<_, Ctr32BE>::inner_iv_init(cipher, iv.into()))
                    .apply_keystream(bytes);
            }
            Self::Counter256(cipher, _) => {
                StreamCipherCoreWrapper::from_core(CtrCore::<_, Ctr32BE>::inner_iv_init(cipher, iv.into()))
                    .apply_keystream(bytes);
            }
            Self::Gcm128(_) | Self::Gcm256(_) => {}
        }
    }

    /// The whole authentication code.
    #[inline]
    fn authenticate(&self, parts: &[&[u8]]) -> [u8; 20] {
        let (Self::Counter128(_, code) | Self::Counter256(_, code)) = self else { return [0; 20] };
        let mut code = code.clone();
        for part in parts {
            code.update(part);
        }
        code.finalize().into_bytes().into()
    }

    fn seal(&self, iv: &[u8; 12], associated: &[&[u8]], body: &mut [u8], tag: &mut [u8]) -> Result<(), Refused> {
        with_associated(associated, |associated| {
            let made = match self {
                Self::Gcm128(cipher) => cipher.encrypt_inout_detached(iv.into(), associated, body.into()),
                Self::Gcm256(cipher) => cipher.encrypt_inout_detached(iv.into(), associated, body.into()),
                Self::Counter128(..) | Self::Counter256(..) => return Err(Refused::NoKey),
            };
            tag.copy_from_slice(&made.map_err(|_| Refused::NoKey)?);
            Ok(())
        })
    }

    fn open(&self, iv: &[u8; 12], associated: &[&[u8]], body: &mut [u8], tag: &[u8]) -> Result<(), Refused> {
        let tag: &[u8; GCM_TAG] = tag.try_into().map_err(|_| Refused::Unauthentic)?;
        with_associated(associated, |associated| {
            match self {
                Self::Gcm128(cipher) => cipher.decrypt_inout_detached(iv.into(), associated, body.into(), tag.into()),
                Self::Gcm256(cipher) => cipher.decrypt_inout_detached(iv.into(), associated, body.into(), tag.into()),
                Self::Counter128(..) | Self::Counter256(..) => return Err(Refused::Unauthentic),
            }
            .map_err(|_| Refused::Unauthentic)
        })
    }
}

/// Longest associated data that is of several parts: a report in the clear.
const ASSOCIATED_MAX: usize = 1_500;

/// The parts as one, without allocating.
fn with_associated(parts: &[&[u8]], then: impl FnOnce(&[u8]) -> Result<(), Refused>) -> Result<(), Refused> {
    if let [one] = parts {
        return then(one);
    }
    let mut whole = [0; ASSOCIATED_MAX];
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        whole.get_mut(length..end).ok_or(Refused::Unauthentic)?.copy_from_slice(part);
        length = end;
    }
    then(&whole[..length])
}

#[inline]
fn xor(bytes: &mut [u8], with: &[u8; 14]) {
    for (byte, with) in bytes.iter_mut().zip(with) {
        *byte ^= with;
    }
}

const fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// Where the payload of an RTP packet begins.
#[inline]
fn payload_at(packet: &[u8]) -> Option<usize> {
    Some(packet.len() - rtp::payload(packet)?.len())
}

/// Who reports, when the head of a report is there.
fn report_head(packet: &[u8]) -> Option<u32> {
    let head: &[u8; REPORT_HEAD] = packet.first_chunk()?;
    (head[0] >> 6 == 2).then_some(u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

#[cfg(test)]
impl Session {
    /// Of session keys themselves, as the standards' examples give them; the authentication key is zero.
    pub(super) fn of_session_keys(suite: Suite, key: &[u8], salt: &[u8]) -> Self {
        let mut session = Self::new(suite, &MasterKey::generate(suite, |_| ()));
        session.rtp.salt = [0; 14];
        session.rtp.salt[..salt.len()].copy_from_slice(salt);
        let code = Hmac::<Sha1>::new_from_slice(&[0; 20]).unwrap();
        session.rtp.cipher = match suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Cipher::Counter128(Aes128::new_from_slice(key).unwrap(), code)
            }
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 => {
                Cipher::Counter256(Aes256::new_from_slice(key).unwrap(), code)
            }
            Suite::AeadAes128Gcm => Cipher::Gcm128(Aes128Gcm::new_from_slice(key).unwrap()),
            Suite::AeadAes256Gcm => Cipher::Gcm256(Aes256Gcm::new_from_slice(key).unwrap()),
        };
        session
    }

    /// A report with its tag and without encryption.
    pub(super) fn clear_report(&self, plain: &[u8], index: u32) -> alloc::vec::Vec<u8> {
        let trailer = index.to_be_bytes();
        let ssrc = report_head(plain).unwrap();
        let mut wire = plain.to_vec();
        if self.rtcp.cipher.is_gcm() {
            let mut tag = [0; GCM_TAG];
            let iv = self.rtcp.gcm_report_iv(ssrc, index);
            self.rtcp.cipher.seal(&iv, &[plain, &trailer], &mut [], &mut tag).unwrap();
            wire.extend(tag);
            wire.extend(trailer);
        } else {
            let whole = self.rtcp.cipher.authenticate(&[plain, &trailer]);
            wire.extend(trailer);
            wire.extend(&whole[..10]);
        }
        wire
    }
}
