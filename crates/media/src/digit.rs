//! The digits of a telephone: sixteen keys, numbered as RFC 4733 §3.2 numbers their events.
//!
//! Refuses to know: how they are told.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digit(u8);

/// In the order of their event codes.
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

impl Digit {
    /// By the code of its event, 0 to 15.
    pub const fn of_event(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// By what is printed on it; letters in any case.
    pub fn of_key(key: u8) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        KEYS.iter().position(|known| *known == key).map(|code| Self(code as u8))
    }

    /// The code of its event.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// What is printed on it.
    pub const fn key(self) -> char {
        KEYS[self.0 as usize & 15] as char
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_events_are_one_to_one_4733_3_2() {
        for code in 0..=15 {
            let digit = Digit::of_event(code).unwrap();
            assert_eq!((digit.event(), Digit::of_key(digit.key() as u8)), (code, Some(digit)));
        }
        assert_eq!(
            (Digit::of_key(b'*').map(Digit::event), Digit::of_key(b'd').map(Digit::event)),
            (Some(10), Some(15))
        );
        assert_eq!((Digit::of_event(16), Digit::of_key(b'E')), (None, None), "flash is no key");
    }
}
