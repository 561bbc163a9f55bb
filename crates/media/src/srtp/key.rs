//! A master key with its salt: what a peer and the edge agree on.
//!
//! Never printed, and gone from memory when it is no longer needed.

use super::suite::Suite;
use core::fmt;
use zeroize::Zeroize as _;

/// Bytes of the longest key.
pub(super) const KEY_MAX: usize = 32;
/// Bytes of the longest salt.
pub(super) const SALT_MAX: usize = 14;

/// Key and salt are not as long as the suite wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongLength {
    /// Bytes that the suite wants, key and salt together.
    pub wanted: usize,
}

/// A master key and its salt, for one suite.
#[derive(Clone)]
pub struct MasterKey {
    bytes: [u8; KEY_MAX + SALT_MAX],
    suite: Suite,
}

impl MasterKey {
    /// Of key and salt, one after the other as SDP carries them.
    ///
    /// # Errors
    /// They are not as long as the suite wants.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Result<Self, WrongLength> {
        let wanted = suite.key() + suite.salt();
        if key_and_salt.len() != wanted {
            return Err(WrongLength { wanted });
        }
        let mut bytes = [0; KEY_MAX + SALT_MAX];
        bytes[..wanted].copy_from_slice(key_and_salt);
        Ok(Self { bytes, suite })
    }

    /// A new one; `fill` fills with random bytes.
    pub fn generate(suite: Suite, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = [0; KEY_MAX + SALT_MAX];
        fill(&mut bytes[..suite.key() + suite.salt()]);
        Self { bytes, suite }
    }

    /// The suite it is for.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.suite.key() + self.suite.salt()]
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key()]
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.bytes()[self.suite.key()..]
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl PartialEq for MasterKey {
    /// In the same time whether they agree or not.
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.suite == other.suite && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl Eq for MasterKey {}
