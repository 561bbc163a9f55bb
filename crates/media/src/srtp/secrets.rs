//! Where keys come from: a stream of bytes that nobody guesses who does not know its seed, and that tells nothing of what it gave before.
//!
//! AES-256 in counter mode whose key is replaced by its own output after each use ("fast key erasure"). The seed comes from whoever has a
//! source of chance; in a simulation it is known, and so are the keys. Refuses to know: the system's source of chance.

use aes::Aes256;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use core::fmt;
use ctr::Ctr32BE;
use zeroize::Zeroize as _;

/// A source of keys.
pub struct Secrets {
    key: [u8; 32],
}

impl Secrets {
    /// From 32 bytes of chance.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { key: seed }
    }

    /// Fills with bytes that were never given before.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
        let mut next = [0; 32];
        let mut stream = Ctr32BE::<Aes256>::new((&self.key).into(), &[0; 16].into());
        stream.apply_keystream(&mut next);
        stream.apply_keystream(bytes);
        self.key = next;
        next.zeroize();
    }

    /// A seed for another source.
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        Self { key: seed }
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn nothing_is_given_twice_and_a_seed_gives_the_same_again() {
        let (mut one, mut same, mut other) = (Secrets::new([1; 32]), Secrets::new([1; 32]), Secrets::new([2; 32]));
        let mut given = BTreeSet::new();
        for _ in 0..1_000 {
            let (mut a, mut b, mut c) = ([0; 30], [0; 30], [7; 30]);
            one.fill(&mut a);
            same.fill(&mut b);
            other.fill(&mut c);
            assert_eq!(a, b);
            assert!(given.insert(a) && given.insert(c));
        }
        let mut fork = [0; 30];
        one.fork().fill(&mut fork);
        assert!(given.insert(fork));
    }
}
