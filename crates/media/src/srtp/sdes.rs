//! Keys in session descriptions: `a=crypto` lines read and written, one chosen, an answer checked (RFC 4568).
//!
//! We offer one line for each suite; we answer with the line that we like best of those we can use. What we cannot do is said by type, so that
//! the offer of a peer that also has a line for us is not refused: keys with an identifier (MKI), several keys in one line, parameters
//! that leave something unencrypted or unauthentic. Refuses to know: the rest of a description.

use super::{MasterKey, Secrets, Security, Suite};
use alloc::vec::Vec;
use base64ct::{Base64, Base64Unpadded, Encoding as _};
use core::fmt;
use zeroize::Zeroizing;

/// The attribute's name and colon.
pub const ATTRIBUTE: &str = "a=crypto:";
/// Lines of one stream that are looked at; more are a mistake or an attack.
const LINES_MAX: usize = 16;
/// A key must last so many packets: six hours of telephony. We give no new one in mid-call by ourselves.
const LIFETIME_MIN: u64 = 1 << 20;
/// The longest that a key may last (RFC 3711 §9.2).
const LIFETIME_MAX: u64 = 1 << 48;
/// Characters of the longest key, in Base64 with what fills it up.
const BASE64_MAX: usize = 64;

/// Why a line cannot be used. Another line may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// It is no `a=crypto` line.
    Malformed,
    /// Its suite is not one of ours.
    Suite,
    /// Its key is not Base64, or not as long as its suite wants.
    Key,
    /// It has several keys, or one with an identifier (MKI).
    Identified,
    /// Its key lasts less than 2^20 packets, or longer than a key may.
    Lifetime,
    /// It has a session parameter that we do not do: something unencrypted or unauthentic, keys derived anew, error correction.
    Parameter,
    /// An answer's tag or suite is of no line that was offered.
    NotOffered,
    /// An answer gives our own key back. Both directions would have one keystream.
    Echoed,
}

impl Unusable {
    /// In words, for whoever must change something.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the line is malformed",
            Self::Suite => "its suite is not one of ours",
            Self::Key => "its key has not the length that its suite wants, or is not Base64",
            Self::Identified => "it has several keys or one with an identifier (MKI)",
            Self::Lifetime => "its key lasts less than 2^20 packets or more than 2^48",
            Self::Parameter => "it has a session parameter that is not supported",
            Self::NotOffered => "the answer takes a line that was not offered",
            Self::Echoed => "the answer gives the offered key back",
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for Unusable {}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What an answer says it by.
    pub tag: u32,
    /// What its writer protects by.
    pub key: MasterKey,
}

impl Line {
    /// Reads what follows `a=crypto:`.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn parse(value: &[u8]) -> Result<Self, Unusable> {
        let mut words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let tag = words.next().and_then(number).and_then(|tag| u32::try_from(tag).ok()).ok_or(Unusable::Malformed)?;
        if tag > 999_999_999 {
            return Err(Unusable::Malformed);
        }
        let suite = words.next().ok_or(Unusable::Malformed)?;
        let keys = words.next().ok_or(Unusable::Malformed)?;
        let suite = Suite::of(suite).ok_or(Unusable::Suite)?;
        let key = read_key(suite, keys)?;
        if words.all(is_harmless) { Ok(Self { tag, key }) } else { Err(Unusable::Parameter) }
    }

    /// Writes the whole line, without its end.
    pub fn push(&self, out: &mut Vec<u8>) {
        let mut room = Zeroizing::new([0; BASE64_MAX]);
        // There is room for the longest.
        let key = Base64::encode(self.key.bytes(), &mut *room).unwrap_or_default();
        out.extend_from_slice(ATTRIBUTE.as_bytes());
        out.extend_from_slice(alloc::format!("{} {} inline:", self.tag, self.key.suite().name()).as_bytes());
        out.extend_from_slice(key.as_bytes());
    }
}

/// What we have offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    lines: Vec<Line>,
}

impl Offer {
    /// One line for each suite, tagged from one on, each with a key of its own.
    pub fn new(suites: &[Suite], secrets: &mut Secrets) -> Self {
        let line =
            |(tag, suite): (u32, &Suite)| Line { tag, key: MasterKey::generate(*suite, |key| secrets.fill(key)) };
        Self { lines: (1..).zip(suites).map(line).collect() }
    }

    /// The same again, by the lines in which it was told.
    pub fn told<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let lines: Vec<Line> = values.into_iter().filter_map(|value| Line::parse(value).ok()).take(LINES_MAX).collect();
        (!lines.is_empty()).then_some(Self { lines })
    }

    /// The key of this suite, if it has one.
    pub fn key(&self, suite: Suite) -> Option<&MasterKey> {
        self.lines.iter().map(|line| &line.key).find(|key| key.suite() == suite)
    }

    /// The lines to be written.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What the answer's line makes of it: `value` is what follows `a=crypto:`.
    ///
    /// # Errors
    /// It cannot be used, or is no answer to this offer (RFC 4568 §5.1.3).
    pub fn answered(&self, value: &[u8]) -> Result<Security, Unusable> {
        let theirs = Line::parse(value)?;
        let ours = self.lines.iter().find(|ours| ours.tag == theirs.tag);
        let ours = ours.filter(|ours| ours.key.suite() == theirs.key.suite()).ok_or(Unusable::NotOffered)?;
        if ours.key == theirs.key {
            return Err(Unusable::Echoed);
        }
        Ok(Security::new(ours.key.suite(), &theirs.key, &ours.key))
    }
}

/// Of the lines of an offer the one that we like best; of two alike, the peer's first. `values` are what follows `a=crypto:`.
///
/// # Errors
/// None can be used: why not the first.
pub fn choose<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Line, Unusable> {
    let (mut best, mut why) = (None::<Line>, None);
    for value in values.into_iter().take(LINES_MAX) {
        match Line::parse(value) {
            Ok(line) if best.as_ref().is_none_or(|best| line.key.suite() < best.key.suite()) => best = Some(line),
            Ok(_) => {}
            Err(unusable) => why = why.or(Some(unusable)),
        }
    }
    best.ok_or_else(|| why.unwrap_or(Unusable::Malformed))
}

/// The line that answers `theirs`: the same tag and suite, and a key of our own. `kept` is the key that we spoke by so far: it stays as
/// long as the suite does, so that a session that is only refreshed goes on.
pub fn answer(theirs: &Line, kept: Option<&MasterKey>, secrets: &mut Secrets) -> (Line, Security) {
    let suite = theirs.key.suite();
    let kept = kept.filter(|kept| kept.suite() == suite && **kept != theirs.key).cloned();
    let key = kept.unwrap_or_else(|| MasterKey::generate(suite, |key| secrets.fill(key)));
    let security = Security::new(suite, &theirs.key, &key);
    (Line { tag: theirs.tag, key }, security)
}

/// `inline:` key and salt in Base64, then perhaps a lifetime (RFC 4568 §6.1).
fn read_key(suite: Suite, keys: &[u8]) -> Result<MasterKey, Unusable> {
    if keys.contains(&b';') {
        return Err(Unusable::Identified);
    }
    let (method, info) = keys.split_at_checked(7).ok_or(Unusable::Malformed)?;
    if !method.eq_ignore_ascii_case(b"inline:") {
        return Err(Unusable::Malformed);
    }
    let mut parts = info.split(|byte| *byte == b'|');
    let text = parts.next().unwrap_or_default();
    for part in parts {
        // Only an identifier has a colon.
        if part.contains(&b':') {
            return Err(Unusable::Identified);
        }
        let lifetime = match part.strip_prefix(b"2^") {
            Some(power) => number(power).and_then(|power| 1u64.checked_shl(u32::try_from(power).ok()?)),
            None => number(part),
        };
        if !lifetime.is_some_and(|lifetime| (LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime)) {
            return Err(Unusable::Lifetime);
        }
    }
    // Some leave out what fills it up.
    let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    let (text, filling) = text.split_at(end);
    if filling.len() > 2 || filling.iter().any(|byte| *byte != b'=') {
        return Err(Unusable::Key);
    }
    let mut room = Zeroizing::new([0; BASE64_MAX]);
    let bytes = Base64Unpadded::decode(text, &mut *room).map_err(|_| Unusable::Key)?;
    MasterKey::new(suite, bytes).map_err(|_| Unusable::Key)
}

/// A parameter that changes nothing for us: a hint of the window's size, and what is said to be ignorable by its dash (RFC 4568 §6.3).
fn is_harmless(parameter: &[u8]) -> bool {
    let starts = |with: &[u8]| parameter.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    starts(b"WSH=") || starts(b"-") || parameter.eq_ignore_ascii_case(b"KDR=0")
}

/// Digits, and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 15 && text.iter().all(u8::is_ascii_digit);
    digits.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{plain, protect, unprotect};
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    /// The example of RFC 4568 §10.
    const EXAMPLE: &[u8] = b"1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20";

    fn secrets() -> Secrets {
        Secrets::new([3; 32])
    }

    fn written(line: &Line) -> String {
        let mut out = Vec::new();
        line.push(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn value(line: &Line) -> Vec<u8> {
        written(line).as_bytes()[ATTRIBUTE.len()..].to_vec()
    }

    #[test]
    fn a_line_is_read_and_written_4568_9_1() {
        let line = Line::parse(EXAMPLE).unwrap();
        assert_eq!((line.tag, line.key.suite()), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!(line.key.bytes()[..4], [0x3d, 0x2d, 0x6e, 0x40]);
        assert_eq!(
            written(&line),
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
        );
        for suite in Suite::ALL {
            let line = Line { tag: 7, key: MasterKey::generate(suite, |key| secrets().fill(key)) };
            assert_eq!(Line::parse(&value(&line)).unwrap(), line, "{suite:?}");
            let bare = String::from_utf8(value(&line)).unwrap().replace('=', "");
            assert_eq!(Line::parse(bare.as_bytes()).unwrap(), line, "without what fills it up");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_by_type() {
        let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        let suite = "AES_CM_128_HMAC_SHA1_80";
        let why = |text: String| Line::parse(text.as_bytes()).map(|line| line.tag);
        assert_eq!(why(alloc::format!("1 {suite} {key}|2^31 WSH=64")), Ok(1));
        assert_eq!(why(alloc::format!("1 {suite} {key}|1048576 KDR=0 -x=1")), Ok(1));
        assert_eq!(why(alloc::format!("1 {suite} {key}|2^31|1:1")), Err(Unusable::Identified));
        assert_eq!(why(alloc::format!("1 {suite} {key}|1:4")), Err(Unusable::Identified));
        assert_eq!(why(alloc::format!("1 {suite} {key};{key}")), Err(Unusable::Identified));
        assert_eq!(why(alloc::format!("1 {suite} {key}|2^10")), Err(Unusable::Lifetime));
        assert_eq!(why(alloc::format!("1 {suite} {key}|2^99")), Err(Unusable::Lifetime));
        assert_eq!(why(alloc::format!("1 F8_128_HMAC_SHA1_80 {key}")), Err(Unusable::Suite));
        assert_eq!(why(alloc::format!("1 AES_256_CM_HMAC_SHA1_80 {key}")), Err(Unusable::Key));
        for parameter in
            ["UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "KDR=4", "FEC_ORDER=FEC_SRTP", "x"]
        {
            assert_eq!(why(alloc::format!("1 {suite} {key} {parameter}")), Err(Unusable::Parameter), "{parameter}");
        }
        for text in ["", "1", "x y z", "1 AES_CM_128_HMAC_SHA1_80", "1234567890 AES_CM_128_HMAC_SHA1_80 inline:x"] {
            assert_eq!(why(text.into()), Err(Unusable::Malformed), "{text}");
        }
        assert_eq!(why(alloc::format!("1 {suite} clear:x")), Err(Unusable::Malformed));
    }

    #[test]
    fn the_line_we_like_best_is_chosen_and_unusable_ones_are_passed_over() {
        let long = MasterKey::generate(Suite::AesCm256HmacSha1_80, |key| secrets().fill(key));
        let long = value(&Line { tag: 3, key: long });
        let lines: [&[u8]; 4] = [b"9 F8_128_HMAC_SHA1_80 inline:x", EXAMPLE, &long, b"rubbish"];
        assert_eq!(choose(lines).unwrap().tag, 3);
        assert_eq!(choose([lines[0], lines[3]]), Err(Unusable::Suite));
        assert_eq!(choose([]), Err(Unusable::Malformed));
    }

    #[test]
    fn offer_and_answer_give_both_ends_each_others_keys_4568_5_1() {
        let (mut here, mut there) = (Secrets::new([1; 32]), Secrets::new([2; 32]));
        let offer = Offer::new(&Suite::ALL, &mut here);
        let lines: Vec<Vec<u8>> = offer.lines().iter().map(value).collect();
        let chosen = choose(lines.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(chosen.key.suite(), Suite::AeadAes256Gcm);
        let (line, mut b) = answer(&chosen, None, &mut there);
        let mut a = offer.answered(&value(&line)).unwrap();
        let wire = protect(&mut a, &plain(7, 1)).unwrap();
        assert_eq!(unprotect(&mut b, &wire).unwrap(), plain(7, 1));
        let wire = protect(&mut b, &plain(8, 1)).unwrap();
        assert_eq!(unprotect(&mut a, &wire).unwrap(), plain(8, 1));
        let (again, _) = answer(&chosen, Some(&line.key), &mut there);
        assert_eq!(again, line, "a refreshed session keeps its key");
    }

    #[test]
    fn an_answer_of_another_line_or_with_our_own_key_is_refused_4568_5_1_3() {
        let offer = Offer::new(&[Suite::AesCm128HmacSha1_80], &mut secrets());
        let ours = &offer.lines()[0];
        assert_eq!(offer.answered(&value(ours)).unwrap_err(), Unusable::Echoed);
        let (mut line, _) = answer(ours, None, &mut Secrets::new([9; 32]));
        line.tag = 2;
        assert_eq!(offer.answered(&value(&line)).unwrap_err(), Unusable::NotOffered);
        let other = MasterKey::generate(Suite::AeadAes128Gcm, |key| key.fill(1));
        assert_eq!(offer.answered(&value(&Line { tag: 1, key: other })).unwrap_err(), Unusable::NotOffered);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..120), tail in "[ -~]{0,80}") {
            let _ = Line::parse(&bytes);
            let mut line = b"1 AES_CM_128_HMAC_SHA1_80 inline:".to_vec();
            line.extend(tail.as_bytes());
            let _ = Line::parse(&line);
        }
    }
}
