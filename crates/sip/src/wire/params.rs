//! Parameters after a semicolon: `;name`, `;name=token`, `;name="quoted"` (RFC 3261 §7.3.1).

use super::split::find_bare;

/// Parameters of a header value or URI, still as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Params<'a>(pub(crate) &'a [u8]);

impl<'a> Params<'a> {
    /// Those of a text that begins after the first semicolon.
    pub const fn of(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Each parameter's name and value, in order; a value keeps its quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = find_bare(rest, b';').unwrap_or(rest.len());
                let one = rest[..end].trim_ascii();
                rest = rest.get(end + 1..).unwrap_or_default();
                if !one.is_empty() {
                    return Some(match memchr::memchr(b'=', one) {
                        Some(at) => (one[..at].trim_ascii_end(), Some(one[at + 1..].trim_ascii_start())),
                        None => (one, None),
                    });
                }
            }
            None
        })
    }

    /// The value of the first parameter of this name, in any case; empty when it has none.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or_default())
    }
}
