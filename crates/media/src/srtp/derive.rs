//! Session keys out of a master key: the pseudo-random function of RFC 3711 §4.3.3, with the longer keys of RFC 6188 §3 and the shorter
//! salt of RFC 7714 §11.

use super::key::{MasterKey, SALT_MAX};
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use aes::{Aes128, Aes256};
use ctr::Ctr32BE;

/// What a session key is for (RFC 3711 §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
    ReportEncryption = 3,
    ReportAuthentication = 4,
    ReportSalt = 5,
}

/// Fills `out` with the session key of this label. The key derivation rate is zero: there is one per master key.
pub(super) fn derive(master: &MasterKey, label: Label, out: &mut [u8]) {
    let mut iv = [0; 16];
    let salt = master.salt();
    // A salt of 96 bits has zeros behind it, up to 112.
    iv[..salt.len()].copy_from_slice(salt);
    // The label is above an index of 48 bits, at the low end of the salt.
    iv[SALT_MAX - 7] ^= label as u8;
    out.fill(0);
    match <&[u8; 16]>::try_from(master.key()) {
        Ok(key) => Ctr32BE::<Aes128>::new(key.into(), &iv.into()).apply_keystream(out),
        Err(_) => {
            if let Ok(key) = <&[u8; 32]>::try_from(master.key()) {
                Ctr32BE::<Aes256>::new(key.into(), &iv.into()).apply_keystream(out);
            }
        }
    }
}
