//! An address with or without a display name: `"Bob" <sip:b@c;p>;tag=1` or `sip:b@c;tag=1` (RFC 3261 §20.10, §25.1).

use super::params::Params;
use super::split::find_bare;

/// A parsed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct NameAddr<'a> {
    /// Display name as sent, quotes included; empty when there is none.
    pub display: &'a [u8],
    /// The URI without brackets.
    pub uri: &'a [u8],
    /// Parameters of the header.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one. Never fails: what cannot be told apart becomes the URI, and is refused where a URI is needed.
    pub fn of(value: &'a [u8]) -> Self {
        let value = value.trim_ascii();
        if let Some(open) = opening(value) {
            let inside = &value[open + 1..];
            let close = memchr::memchr(b'>', inside).unwrap_or(inside.len());
            let after = inside.get(close + 1..).unwrap_or_default();
            let params = find_bare(after, b';').map_or(&[][..], |at| &after[at + 1..]);
            return Self {
                display: value[..open].trim_ascii(),
                uri: inside[..close].trim_ascii(),
                params: Params(params),
            };
        }
        // Without brackets a semicolon ends the URI (20.10).
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        Self { display: &[], uri: value[..end].trim_ascii(), params: Params(value.get(end + 1..).unwrap_or_default()) }
    }

    /// The tag, when there is one that is not empty.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }
}

/// The first `<` outside quotes.
fn opening(value: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_20_10() {
        let full = NameAddr::of(br#""A \"<b>\" C" <sip:a@b;x=y>;tag=1;q="z;t""#);
        assert_eq!(
            (full.display, full.uri, full.tag()),
            (&br#""A \"<b>\" C""#[..], &b"sip:a@b;x=y"[..], Some(&b"1"[..]))
        );
        assert_eq!(full.params.get("Q"), Some(&br#""z;t""#[..]));
        let bare = NameAddr::of(b"sip:a@b;tag=2");
        assert_eq!((bare.uri, bare.tag()), (&b"sip:a@b"[..], Some(&b"2"[..])));
        assert_eq!(NameAddr::of(b"<sip:a@b>;tag=").tag(), None);
        assert_eq!(NameAddr::of(b"<sip:a@b").uri, b"sip:a@b");
    }
}
