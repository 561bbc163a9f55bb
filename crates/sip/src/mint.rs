//! Mints what others must echo to us: branches, Call-IDs and tags that say whose they are.
//!
//! A token is 24 characters of `0-9a-v`: 24 random bits, 56 bits of node, shard and counter hidden under a keyed mask, and
//! a keyed check of 40 bits. Any shard that holds the key can tell which node and shard minted it, so steering needs no
//! table, and nobody outside learns how many shards or calls there are.
//!
//! What the check defends against: foreign identifiers that look like ours by chance, and peers that invent identifiers to
//! pile load on one shard or to be taken for our own loop. It grants nothing: a transaction or dialog is found only by the
//! whole token. SipHash-1-3 is used because a plain hash seeded by the key would let an observer of many tokens forge one.

use core::fmt;
use core::ops::Deref;
use model::{Rng, ShardId};

/// RFC 3261 8.1.1.7: branches that are unique begin so.
pub(crate) const MAGIC_COOKIE: &[u8] = b"z9hG4bK";
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const BODY: usize = 24;
const CAPACITY: usize = MAGIC_COOKIE.len() + BODY;

/// A minted identifier: short text held inline.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    text: [u8; CAPACITY],
    len: u8,
}

impl Token {
    fn new(prefix: &[u8], body: &[u8; BODY]) -> Self {
        let mut text = [0; CAPACITY];
        text[..prefix.len()].copy_from_slice(prefix);
        text[prefix.len()..prefix.len() + BODY].copy_from_slice(body);
        Self { text, len: (prefix.len() + BODY) as u8 }
    }

    /// The characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len as usize]
    }

    /// The characters as text; they are ASCII by construction.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl Deref for Token {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Mints tokens for one shard of one node.
#[derive(Clone, Debug)]
pub struct Minter {
    node: u16,
    shard: ShardId,
    key: u64,
    counter: u32,
    rng: Rng,
}

impl Minter {
    /// `key` is the secret all nodes of one installation share; `seed` must differ between starts of a node.
    pub fn new(node: u16, shard: ShardId, key: u64, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ siphash(key, u64::from(node), u64::from(shard.0)));
        // A restarted node must not begin again where it began last time.
        let counter = rng.next_u64() as u32;
        Self { node, shard, key, counter, rng }
    }

    /// A Via branch (RFC 3261 8.1.1.7), beginning with `z9hG4bK`.
    pub fn branch(&mut self) -> Token {
        let body = self.body();
        Token::new(MAGIC_COOKIE, &body)
    }

    /// A Call-ID (8.1.1.4). Without a host part: it would only tell strangers where we are.
    pub fn call_id(&mut self) -> Token {
        let body = self.body();
        Token::new(b"", &body)
    }

    /// A From or To tag (19.3).
    pub fn tag(&mut self) -> Token {
        self.call_id()
    }

    /// A number by chance, where a sequence may begin anywhere.
    pub(crate) fn number(&mut self) -> u32 {
        self.rng.next_u64() as u32
    }

    /// Whether a token was minted by this node, on whichever shard.
    pub fn is_own(&self, token: &[u8]) -> bool {
        owner(self.key, token).is_some_and(|(node, _)| node == self.node)
    }

    /// The other shard of this node that minted a token, if one did.
    pub fn sibling(&self, token: &[u8]) -> Option<ShardId> {
        let (node, shard) = owner(self.key, token)?;
        (node == self.node && shard != self.shard).then_some(shard)
    }

    /// Whose tokens these are.
    pub(crate) const fn shard(&self) -> ShardId {
        self.shard
    }

    fn body(&mut self) -> [u8; BODY] {
        self.counter = self.counter.wrapping_add(1);
        let random = self.rng.next_u64() & 0xff_ffff;
        let plain = u64::from(self.node) << 40 | u64::from(self.shard.0) << 32 | u64::from(self.counter);
        let hidden = plain ^ mask(self.key, random);
        let mut body = [0; BODY];
        // 80 bits in 16 characters, then 40 in 8.
        spell(u128::from(random) << 56 | u128::from(hidden), &mut body[..16]);
        spell(u128::from(check(self.key, plain, random)), &mut body[16..]);
        body
    }
}

/// Which node and shard minted `token` (a branch with its cookie, a Call-ID or a tag); `None` when it is not ours.
pub fn owner(key: u64, token: &[u8]) -> Option<(u16, ShardId)> {
    let body: &[u8; BODY] = token.strip_prefix(MAGIC_COOKIE).unwrap_or(token).try_into().ok()?;
    let front = unspell(&body[..16])?;
    let random = (front >> 56) as u64;
    let plain = front as u64 & 0xff_ffff_ffff_ffff ^ mask(key, random);
    (unspell(&body[16..])? as u64 == check(key, plain, random))
        .then_some(((plain >> 40) as u16, ShardId((plain >> 32) as u8)))
}

fn mask(key: u64, random: u64) -> u64 {
    siphash(key, random, 1) & 0xff_ffff_ffff_ffff
}

fn check(key: u64, plain: u64, random: u64) -> u64 {
    siphash(key, plain, random << 8 | 2) & 0xff_ffff_ffff
}

/// Five bits per character, most significant first.
fn spell(mut value: u128, into: &mut [u8]) {
    for place in into.iter_mut().rev() {
        *place = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
}

fn unspell(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |value, character| {
        let digit = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'v' => character - b'a' + 10,
            _ => return None,
        };
        Some(value << 5 | u128::from(digit))
    })
}

/// Spells 64 bits as 13 characters of the token alphabet; for tags that must be the same each time (RFC 3261 8.2.7).
pub(crate) fn spell_hash(hash: u64) -> [u8; 13] {
    let mut text = [0; 13];
    spell(u128::from(hash), &mut text);
    text
}

/// SipHash-1-3 (Aumasson and Bernstein) of the two words `a` and `b`; the 128-bit key is `key` and its bit-mixed twin.
fn siphash(key: u64, a: u64, b: u64) -> u64 {
    let twin = Rng::new(key).next_u64();
    let mut v = [
        key ^ 0x736f_6d65_7073_6575,
        twin ^ 0x646f_7261_6e64_6f6d,
        key ^ 0x6c79_6765_6e65_7261,
        twin ^ 0x7465_6462_7974_6573,
    ];
    for word in [a, b, 16 << 56] {
        v[3] ^= word;
        sip_round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for _ in 0..3 {
        sip_round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn a_branch_has_the_magic_cookie_and_only_token_characters() {
        let mut minter = Minter::new(3, ShardId(1), 42, 7);
        let branch = minter.branch();
        assert!(branch.starts_with(b"z9hG4bK"));
        assert!(branch[7..].iter().all(|c| ALPHABET.contains(c)));
        assert_eq!(branch.len(), 31);
        assert_eq!(minter.tag().len(), 24);
    }

    #[test]
    fn tokens_do_not_repeat_and_do_not_show_the_counter() {
        let mut minter = Minter::new(3, ShardId(1), 42, 7);
        let tokens: BTreeSet<_> = (0..50_000).map(|_| minter.tag().as_bytes().to_vec()).collect();
        assert_eq!(tokens.len(), 50_000);
        // Two tokens in a row agree in the part that carries node, shard and counter only by chance.
        let (a, b) = (minter.tag(), minter.tag());
        assert!((5..16).filter(|&i| a[i] == b[i]).count() < 6, "{a} {b}");
    }

    #[test]
    fn a_stranger_is_nobodys() {
        for foreign in [&b""[..], b"z9hG4bK", b"z9hG4bK776asdhds", b"abc@host", &[b'0'; 24], &[b'v'; 24], &[0xff; 24]] {
            assert_eq!(owner(42, foreign), None);
        }
    }

    proptest! {
        #[test]
        fn the_owner_is_read_back(node: u16, shard: u8, key: u64, seed: u64) {
            let mut minter = Minter::new(node, ShardId(shard), key, seed);
            for token in [minter.branch(), minter.call_id(), minter.tag()] {
                prop_assert_eq!(owner(key, &token), Some((node, ShardId(shard))));
                prop_assert_eq!(owner(key ^ 1, &token), None);
                prop_assert!(minter.is_own(&token));
            }
        }

        #[test]
        fn a_changed_character_is_noticed(seed: u64, place in 0usize..24, other in 0usize..32) {
            let token = Minter::new(1, ShardId(2), 9, seed).tag();
            let mut text = token.as_bytes().to_vec();
            prop_assume!(text[place] != ALPHABET[other]);
            text[place] = ALPHABET[other];
            prop_assert_eq!(owner(9, &text), None);
        }
    }
}
