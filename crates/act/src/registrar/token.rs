//! The name by which the trunk behind the registrar calls one phone: `201~5c0a2f91`.
//!
//! It stands in the user part, which every PBX gives back as it was, where some drop parameters they do not know. The user's name comes first, so
//! that routes by prefix hold and a screen shows something; the token after it is made of what stays the same when the phone registers
//! again, and so it needs no table, is the same on every shard, and outlives a restart. It is no secret: only the trunk may call by it, and it
//! picks among the phones of the user it stands beside. Refuses to know: who calls, where it is kept.

use super::binding::Binding;
use super::wish::Asked;
use alloc::format;
use alloc::string::String;
use sip::Uri;

/// Between the name and the token: a character that a user part may bear unescaped (RFC 3261 §25.1, `mark`).
const MARK: u8 = b'~';
const DIGITS: usize = 8;

/// What tells one phone of a user from his others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

impl Token {
    /// Of a phone that is bound.
    pub(crate) fn of(aor: &[u8], binding: &Binding) -> Self {
        Self::made(aor, &binding.contact, binding.instance.as_deref().zip(binding.reg_id))
    }

    /// Of one that asks to be.
    pub(super) fn of_asked(aor: &[u8], asked: &Asked<'_>) -> Self {
        Self::made(aor, asked.uri, asked.instance.zip(asked.reg_id))
    }

    /// By instance and flow where the phone names them, else by what of its Contact says who is reached: as bindings are told apart.
    fn made(aor: &[u8], contact: &[u8], outbound: Option<(&[u8], u32)>) -> Self {
        let mut hash = Fnv::new().with(aor);
        match (outbound, Uri::parse(contact)) {
            (Some((instance, flow)), _) => hash = hash.with(instance).with(&flow.to_be_bytes()),
            (None, Ok(uri)) => {
                let port = uri.port().map_or(0, u32::from);
                let transport = uri.params().get("transport").unwrap_or_default().to_ascii_lowercase();
                hash = hash.with(&uri.scheme().to_ascii_lowercase()).with(uri.user());
                hash = hash.with(&uri.host().to_ascii_lowercase()).with(&port.to_be_bytes()).with(&transport);
            }
            (None, Err(_)) => hash = hash.with(contact),
        }
        Self(hash.end())
    }

    /// The user part of the Contact that the trunk is given.
    pub(super) fn user(self, aor: &str) -> String {
        format!("{aor}{}{:08x}", char::from(MARK), self.0)
    }

    /// A name and the token that follows it, when one does.
    pub(crate) fn split(user: &[u8]) -> Option<(&[u8], Self)> {
        let (name, rest) = user.split_at_checked(user.len().checked_sub(DIGITS + 1)?)?;
        let (mark, digits) = rest.split_first()?;
        let good = *mark == MARK && digits.iter().all(u8::is_ascii_hexdigit);
        let digits = core::str::from_utf8(digits).ok().filter(|_| good)?;
        Some((name, Self(u32::from_str_radix(digits, 16).ok()?)))
    }
}

/// FNV-1a. Not that of our tables: it must be the same in every version, since the trunk remembers what it comes to.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// A part, closed by what no URI bears, so that two parts are not one.
    fn with(self, part: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(part.iter().chain(&[0]).fold(self.0, step))
    }

    const fn end(self) -> u32 {
        (self.0 >> 32) as u32 ^ self.0 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn asked(uri: &'static str) -> Asked<'static> {
        Asked { uri: uri.as_bytes(), q: 1_000, expires: None, instance: None, reg_id: None }
    }

    #[test]
    fn it_is_the_same_for_the_same_phone_and_in_every_version() {
        let token = Token::of_asked(b"201", &asked("sip:201@10.0.0.5:5060;transport=TCP"));
        assert_eq!(token, Token::of_asked(b"201", &asked("SIP:201@10.0.0.5:5060;ob;transport=tcp")));
        for other in ["sip:201@10.0.0.6:5060;transport=tcp", "sip:201@10.0.0.5;transport=tcp", "sip:201@10.0.0.5:5060"]
        {
            assert_ne!(token, Token::of_asked(b"201", &asked(other)), "{other}");
        }
        assert_ne!(token, Token::of_asked(b"202", &asked("sip:201@10.0.0.5:5060;transport=tcp")));
        assert_eq!(Token::of_asked(b"201", &asked("sip:201@10.0.0.5")).user("201"), PINNED);
        let flow = |uri, reg_id| Asked { instance: Some(b"<urn:uuid:1>"), reg_id: Some(reg_id), ..asked(uri) };
        let first = Token::of_asked(b"201", &flow("sip:a@10.0.0.5", 1));
        assert_eq!(first, Token::of_asked(b"201", &flow("sip:b@10.0.0.9", 1)), "its address may change");
        assert_ne!(first, Token::of_asked(b"201", &flow("sip:a@10.0.0.5", 2)), "each flow is a way of its own");
    }

    /// A PBX remembers it for as long as it has granted.
    const PINNED: &str = "201~6b3af892";

    #[test]
    fn what_is_no_token_is_a_name() {
        for name in ["", "201", "~12345678x", "201~1234567", "201-12345678", "201~1234567g", "+4722334455"] {
            assert_eq!(Token::split(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Token::split(b"a~b~0000000f"), Some((&b"a~b"[..], Token(15))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(aor in "[a-z0-9~.]{1,20}", token: u32) {
            let user = Token(token).user(&aor);
            prop_assert_eq!(Token::split(user.as_bytes()), Some((aor.as_bytes(), Token(token))));
            prop_assert_eq!(user.to_string().len(), aor.len() + 9);
        }
    }
}
