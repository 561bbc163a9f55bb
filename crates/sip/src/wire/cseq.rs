//! CSeq: a number below 2³¹ and the method (RFC 3261 §20.16, §8.1.1.5).

use super::method::Method;

/// A parsed CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// The number. Senders stay below 2³¹; receivers take what fits 32 bits.
    pub number: u32,
    /// The method.
    pub method: Method,
}

/// Number and text of the method.
pub(crate) fn parse(value: &[u8]) -> Option<(u32, &[u8])> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = core::str::from_utf8(&value[..digits]).ok()?.parse().ok()?;
    let rest = &value[digits..];
    let method = rest.trim_ascii();
    let separated = rest.first().is_some_and(u8::is_ascii_whitespace);
    (separated && !method.is_empty() && !method.iter().any(u8::is_ascii_whitespace)).then_some((number, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_are_no_cseq() {
        assert_eq!(parse(b"4294967295 \r\n INVITE"), Some((u32::MAX, &b"INVITE"[..])));
        for bad in [
            "4294967296 INVITE",
            "-1 INVITE",
            "1INVITE",
            "1",
            "",
            "one INVITE",
            "1 INVITE BYE",
            "36893488147419103232 REGISTER",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
