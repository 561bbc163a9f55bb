//! What is taken away from a description: attributes that name an address, or a way to the peer around us.
//!
//! `crypto` and `fingerprint` stay: we relay what they protect and do not end it. Refuses to know: everything else.

/// Attributes that name addresses (RFC 8839 §5, RFC 3605, RFC 4570, RFC 6947) or put streams on one port (RFC 9143), which our
/// ports, one pair per stream, would not answer.
const HIDDEN: [&[u8]; 10] = [
    b"candidate",
    b"remote-candidates",
    b"end-of-candidates",
    b"rtcp",
    b"source-filter",
    b"alt",
    b"altc",
    b"group",
    b"mid",
    b"bundle-only",
];

/// Whether an attribute, without its `a=`, is kept from the other side.
pub(crate) fn hides(attribute: &[u8]) -> bool {
    let name = attribute.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
    name.starts_with(b"ice-") || HIDDEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_around_us_are_hidden_and_the_rest_is_not() {
        for gone in
            ["candidate:1 1 UDP 1 10.0.0.9 4 typ host", "ice-lite", "ice-ufrag:x", "rtcp:4001", "group:BUNDLE 0"]
        {
            assert!(hides(gone.as_bytes()), "{gone}");
        }
        for kept in [
            "rtcp-mux",
            "rtcp-fb:* nack",
            "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
            "fingerprint:sha-256 A",
            "ptime:20",
            "",
        ] {
            assert!(!hides(kept.as_bytes()), "{kept}");
        }
    }
}
