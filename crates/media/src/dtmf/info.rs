//! Digits as INFO requests carry them: `application/dtmf-relay` with signal and duration, `application/dtmf` with the signal alone.
//!
//! Neither was ever a standard, so that what is sent differs from maker to maker; whatever has one meaning is understood. Refuses to
//! know: SIP.

use crate::digit::Digit;
use alloc::format;
use alloc::vec::Vec;
use model::Span;

/// How long a digit is pressed when nothing is said of it.
const USUAL: Span = Span::from_millis(200);
/// Shortest that a receiver of tones must find (ITU-T Q.24), and longest that is believed.
const SHORTEST: Span = Span::from_millis(40);
const LONGEST: Span = Span::from_secs(5);
/// Bytes of a body that are looked at.
const LENGTH_MAX: usize = 256;

/// Which kind of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `application/dtmf-relay`: lines of `Signal=` and `Duration=`.
    Relay,
    /// `application/dtmf`: what is printed on the key.
    Plain,
}

impl Kind {
    /// By the value of a Content-Type.
    pub fn of(content_type: &[u8]) -> Option<Self> {
        let media = content_type.split(|byte| *byte == b';').next()?.trim_ascii();
        let is = |kind: Self| media.eq_ignore_ascii_case(kind.content_type().as_bytes());
        [Self::Relay, Self::Plain].into_iter().find(|kind| is(*kind))
    }

    /// Its Content-Type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Relay => "application/dtmf-relay",
            Self::Plain => "application/dtmf",
        }
    }
}

/// A key, and how long it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// The key.
    pub digit: Digit,
    /// How long.
    pub duration: Span,
}

/// A body that names no key of a telephone: nothing can be dialled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigit;

/// Reads a body of either kind; each is understood where the other is announced, too.
///
/// # Errors
/// It names no key: it is something else, such as a flash.
pub fn read(body: &[u8]) -> Result<Press, NoDigit> {
    let body = &body[..body.len().min(LENGTH_MAX)];
    let (mut digit, mut duration) = (None, None);
    for line in body.split(|byte| matches!(byte, b'\r' | b'\n')) {
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (line[..at].trim_ascii(), line[at + 1..].trim_ascii()),
            None => (&b"signal"[..], line.trim_ascii()),
        };
        if value.is_empty() {
            continue;
        }
        // The first of each counts.
        if name.eq_ignore_ascii_case(b"signal") || name.eq_ignore_ascii_case(b"d") {
            digit = Some(digit.unwrap_or_else(|| key(value)));
        } else if name.eq_ignore_ascii_case(b"duration") {
            duration = duration.or_else(|| milliseconds(value));
        }
    }
    let digit = digit.flatten().ok_or(NoDigit)?;
    Ok(Press { digit, duration: duration.unwrap_or(USUAL).clamp(SHORTEST, LONGEST) })
}

/// Writes a body.
pub fn write(kind: Kind, press: Press) -> Vec<u8> {
    let (key, ms) = (press.digit.key(), press.duration.clamp(SHORTEST, LONGEST).as_millis());
    match kind {
        Kind::Relay => format!("Signal={key}\r\nDuration={ms}\r\n").into_bytes(),
        Kind::Plain => format!("{key}\r\n").into_bytes(),
    }
}

/// A key by what is printed on it, or by the number of its event: some write 10 and 11 for `*` and `#`.
fn key(value: &[u8]) -> Option<Digit> {
    match value.trim_ascii() {
        [key] => Digit::of_key(*key),
        [b'1', units @ b'0'..=b'5'] => Digit::of_event(10 + units - b'0'),
        [b'"' | b'\'', key, b'"' | b'\''] => Digit::of_key(*key),
        _ => None,
    }
}

fn milliseconds(value: &[u8]) -> Option<Span> {
    // What follows the number is its unit.
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).take(9);
    let (count, ms) = digits.fold((0, 0), |(count, ms), digit| (count + 1, ms * 10 + u64::from(digit - b'0')));
    (count > 0 && ms > 0).then(|| Span::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(body: &str) -> Option<(char, u64)> {
        read(body.as_bytes()).ok().map(|press| (press.digit.key(), press.duration.as_millis()))
    }

    #[test]
    fn what_makers_send_is_understood() {
        assert_eq!(told("Signal=5\r\nDuration=160\r\n"), Some(('5', 160)));
        assert_eq!(told("Signal= 5\r\nDuration= 160"), Some(('5', 160)));
        assert_eq!(told("signal = #\nduration = 250 ms\n"), Some(('#', 250)));
        assert_eq!(told("Duration=100\r\nSignal=d\r\n"), Some(('D', 100)));
        assert_eq!(
            [told("Signal=10"), told("Signal=11"), told("Signal=15")],
            [('*', 200), ('#', 200), ('D', 200)].map(Some)
        );
        assert_eq!(
            [told("5"), told("*\r\n"), told(" 11 "), told("d=7")],
            [('5', 200), ('*', 200), ('#', 200), ('7', 200)].map(Some)
        );
        assert_eq!(told("Signal=\"3\"\r\n"), Some(('3', 200)));
    }

    #[test]
    fn durations_have_limits() {
        assert_eq!(told("Signal=1\r\nDuration=1"), Some(('1', 40)));
        assert_eq!(told("Signal=1\r\nDuration=99999999999999999999"), Some(('1', 5_000)));
        assert_eq!(
            [told("Signal=1\r\nDuration="), told("Signal=1\r\nDuration=0"), told("Signal=1\r\nDuration=x")],
            [Some(('1', 200)); 3]
        );
    }

    #[test]
    fn what_names_no_key_is_no_digit() {
        for body in [
            "",
            "Signal=",
            "Signal=16",
            "Signal=hf",
            "Duration=100",
            "55",
            "Signal=x",
            "<xml/>",
            "Signal=x\r\nSignal=5",
        ] {
            assert_eq!(told(body), None, "{body}");
        }
    }

    #[test]
    fn kinds_are_known_by_their_type() {
        assert_eq!(Kind::of(b"Application/DTMF-relay"), Some(Kind::Relay));
        assert_eq!(Kind::of(b"application/dtmf ;charset=utf-8"), Some(Kind::Plain));
        assert_eq!((Kind::of(b"application/sdp"), Kind::of(b"")), (None, None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(code in 0u8..16, ms in 40u64..5_000) {
            let press = Press { digit: Digit::of_event(code).unwrap(), duration: Span::from_millis(ms) };
            prop_assert_eq!(read(&write(Kind::Relay, press)), Ok(press));
            prop_assert_eq!(read(&write(Kind::Plain, press)), Ok(Press { duration: USUAL, ..press }));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), key in "(Signal|Duration|d)?=[ -~]{0,12}\r?\n?[ -~]{0,20}") {
            for body in [bytes.as_slice(), key.as_bytes()] {
                if let Ok(press) = read(body) {
                    prop_assert!(press.duration >= SHORTEST && press.duration <= LONGEST);
                }
            }
        }
    }
}
