//! Takes out of a message what must not leave the edge: keys of audio, and what passwords can be guessed from.
//!
//! Each byte of a secret becomes an X: the message keeps its length, so that Content-Length stays right, and its form. A key of X is still one of
//! Base64, for which Wireshark would call the whole message malformed otherwise. Refuses to know: whether the message is valid; a line that only looks like a secret is masked too.

/// What is seen instead.
const MASK: u8 = b'X';

/// Masks, in place:
/// - in `Authorization`, `Proxy-Authorization` and `Authentication-Info` the digest itself (RFC 7616 §3.4, §3.5): against it passwords can be
///   tried without end. User, realm and nonce stay, since they tell why somebody was refused. Any other scheme is masked whole;
/// - in bodies the keys of `a=crypto` (RFC 4568 §6.1), of `a=key-mgmt` (RFC 4567 §3) and of `k=` (RFC 4566 §5.12);
/// - a body under Content-Encoding, of which nobody here can tell what is in it.
pub(super) fn mask(message: &mut [u8]) {
    let body = head_end(message);
    let mut encoded = false;
    let mut at = 0;
    while at < body {
        let end = header_end(message, at, body);
        encoded |= mask_header(&mut message[at..end]);
        at = end;
    }
    let body = &mut message[body..];
    if encoded {
        body.fill(MASK);
    } else {
        body.split_mut(|byte| matches!(byte, b'\r' | b'\n')).for_each(mask_body_line);
    }
}

/// Where the body begins: after the first empty line.
fn head_end(message: &[u8]) -> usize {
    let mut at = 0;
    while at < message.len() {
        let end = line_end(message, at, message.len());
        if message[at..end].trim_ascii().is_empty() && at > 0 {
            return end;
        }
        at = end;
    }
    message.len()
}

/// After the line feed that ends a line, or the limit.
fn line_end(message: &[u8], at: usize, limit: usize) -> usize {
    memchr::memchr(b'\n', &message[at..limit]).map_or(limit, |feed| at + feed + 1)
}

/// The same for a header line with its folds (RFC 3261 §7.3.1).
fn header_end(message: &[u8], at: usize, limit: usize) -> usize {
    let mut end = line_end(message, at, limit);
    while end < limit && matches!(message[end], b' ' | b'\t') {
        end = line_end(message, end, limit);
    }
    end
}

/// Masks a header line; true when it says that the body is encoded.
fn mask_header(line: &mut [u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let (name, value) = line.split_at_mut(colon + 1);
    let name = name[..colon].trim_ascii();
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    if is("Authorization") || is("Proxy-Authorization") {
        mask_credentials(value);
    } else if is("Authentication-Info") {
        mask_parameter(value, b"rspauth");
    }
    (is("Content-Encoding") || is("e"))
        && !value.trim_ascii().is_empty()
        && !value.trim_ascii().eq_ignore_ascii_case(b"identity")
}

/// A scheme, then what belongs to it (RFC 3261 §25.1); what has one word alone names none.
fn mask_credentials(value: &mut [u8]) {
    let start = value.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(value.len());
    let end = start + value[start..].iter().position(u8::is_ascii_whitespace).unwrap_or(0);
    if value[start..end].eq_ignore_ascii_case(b"Digest") {
        mask_parameter(&mut value[end..], b"response");
    } else if value[end..].trim_ascii().is_empty() {
        hide(value);
    } else {
        hide(&mut value[end..]);
    }
}

/// Masks the value of each parameter of that name, quoted or not. Who hides a name within a quoted text hides only his own.
fn mask_parameter(value: &mut [u8], name: &[u8]) {
    let mut at = 0;
    while at < value.len() {
        let end = parameter_end(value, at);
        let part = &mut value[at..end];
        if let Some(equals) = memchr::memchr(b'=', part)
            && part[..equals].trim_ascii().eq_ignore_ascii_case(name)
        {
            part[equals + 1..]
                .iter_mut()
                .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'"')
                .for_each(|byte| *byte = MASK);
        }
        at = end + 1;
    }
}

/// The comma that ends a parameter, outside of quotes, or the end.
fn parameter_end(value: &[u8], at: usize) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in value.iter().enumerate().skip(at) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return index,
            _ => {}
        }
    }
    value.len()
}

fn mask_body_line(line: &mut [u8]) {
    let starts = |with: &str| line.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()));
    if starts("a=crypto:") {
        mask_keys(&mut line["a=crypto:".len()..]);
    } else if starts("a=key-mgmt:") {
        hide(&mut line["a=key-mgmt:".len()..]);
    } else if starts("k=") {
        hide(&mut line["k=".len()..]);
    }
}

/// Tag and suite stay, and session parameters that are no secret (RFC 4568 §6.3). `FEC_KEY` is one, and so is whatever is not known.
fn mask_keys(value: &mut [u8]) {
    let words = value.split_mut(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (place, word) in words.enumerate() {
        if inline(word).is_some() {
            word.split_mut(|byte| *byte == b';').for_each(mask_key);
        } else if place >= 2 && !CLEAR.iter().any(|clear| word.starts_with(clear)) {
            hide(word);
        }
    }
}

const CLEAR: [&[u8]; 6] =
    [b"KDR=", b"WSH=", b"FEC_ORDER=", b"UNENCRYPTED_SRTP", b"UNENCRYPTED_SRTCP", b"UNAUTHENTICATED_SRTP"];

/// Of `inline:KEY|lifetime|MKI:length` the key (RFC 4568 §6.1); of anything else all.
fn mask_key(word: &mut [u8]) {
    let from = inline(word).unwrap_or(0);
    let end = memchr::memchr(b'|', &word[from..]).filter(|_| from > 0).map_or(word.len(), |bar| from + bar);
    hide(&mut word[from..end]);
}

/// Where the key begins, when that is how it is told.
fn inline(word: &[u8]) -> Option<usize> {
    let head = word.get(..INLINE.len())?;
    head.eq_ignore_ascii_case(INLINE).then_some(INLINE.len())
}

const INLINE: &[u8] = b"inline:";

/// Line ends, spaces, and what Base64 ends with stay.
fn hide(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=').for_each(|byte| *byte = MASK);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    fn masked(message: &[u8]) -> Vec<u8> {
        let mut copy = message.to_vec();
        mask(&mut copy);
        copy
    }

    fn told(message: &str) -> String {
        String::from_utf8(masked(message.as_bytes())).expect("text stays text")
    }

    #[test]
    fn keys_of_audio_do_not_leave_and_the_rest_stays_as_it_was() {
        let key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        let sdp = |key: &str| {
            let line = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key} FEC_ORDER=FEC_SRTP");
            format!("v=0\r\nm=audio 4000 RTP/SAVP 0\r\n{line}\r\na=rtpmap:0 PCMU/8000\r\n")
        };
        let message = |body: &str| format!("INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n{body}");
        let want = message(&sdp(&format!("{}|2^20|1:4", "X".repeat(key.len()))));
        assert_eq!(told(&message(&sdp(&format!("{key}|2^20|1:4")))), want);
        let padded = message(&sdp(&format!("{}==", "X".repeat(9))));
        assert_eq!(told(&message(&sdp("abcdefghi=="))), padded);
    }

    #[test]
    fn a_key_is_found_however_it_is_spelled() {
        for line in [
            "A=Crypto:1 AES_CM_128_HMAC_SHA1_80 INLINE:secretsecret",
            "a=crypto:1\tAES_CM_128_HMAC_SHA1_80\tinline:secretsecret;inline:secretsecret",
            "a=crypto: 1  AES_CM_128_HMAC_SHA1_80   inline:secretsecret",
            "a=crypto:inline:secretsecret",
            "a=crypto:1 inline:secretsecret",
            "a=crypto:1 SUITE other:secretsecret",
            "a=crypto:1 SUITE inline:secretsecret|2^20;inline:secretsecret|1:4 FEC_KEY=inline:secretsecret",
            "a=crypto:1 SUITE inline:XX;secretsecret|secretsecret",
            "a=key-mgmt:mikey secretsecret",
            "k=base64:secretsecret",
        ] {
            for (eol, end) in [("\r\n", "\r\n"), ("\n", "\n"), ("\r\n", ""), ("\r", "\r")] {
                let got = told(&format!("SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\nv=0{eol}{line}{end}"));
                assert!(!got.contains("secret"), "{got:?}");
            }
        }
    }

    #[test]
    fn of_credentials_only_what_passwords_can_be_tried_against_goes() {
        let line = |name: &str, digest: &str| {
            format!(
                "{name}: Digest username=\"a, response=b\", realm=\"r\",\r\n response={digest}, uri=\"sip:x\", qop=auth"
            )
        };
        for name in ["Authorization", "proxy-authorization"] {
            let message =
                |digest: &str| format!("REGISTER sip:b SIP/2.0\r\n{}\r\nCall-ID: 1\r\n\r\n", line(name, digest));
            assert_eq!(told(&message("\"0123456789abcdef\"")), message("\"XXXXXXXXXXXXXXXX\""));
            assert_eq!(told(&message("0123")), message("XXXX"));
        }
        for (given, want) in [
            ("Authorization: Basic YTpi", "Authorization: Basic XXXX"),
            ("Authorization: Bearer a.b=", "Authorization: Bearer XXX="),
            ("Authorization: YTpi", "Authorization: XXXX"),
            ("Authentication-Info: rspauth=\"12\", nc=1", "Authentication-Info: rspauth=\"XX\", nc=1"),
            ("WWW-Authenticate: Digest nonce=\"12\"", "WWW-Authenticate: Digest nonce=\"12\""),
        ] {
            let message = |line: &str| format!("SIP/2.0 200 OK\r\n{line}\r\nCall-ID: 1\r\n\r\n");
            assert_eq!(told(&message(given)), message(want));
        }
    }

    #[test]
    fn a_body_that_nobody_can_read_goes_whole() {
        for name in ["Content-Encoding", "e"] {
            let message = |value: &str, body: &str| format!("INFO sip:a SIP/2.0\r\n{name}: {value}\r\n\r\n{body}");
            assert_eq!(told(&message("gzip", "ab\r\n")), message("gzip", "XXXX"));
            assert_eq!(told(&message("identity", "ab\r\n")), message("identity", "ab\r\n"));
        }
    }

    #[test]
    fn what_is_no_message_keeps_its_length() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"\n",
            b":",
            b"Authorization:",
            b"Authorization",
            b"a\r\n\r\na=crypto:",
            b"\xff\x00\r\n\r\nk=",
        ] {
            assert_eq!(masked(bytes).len(), bytes.len());
        }
        assert_eq!(masked(b"a\n\nk=x"), vec![b'a', b'\n', b'\n', b'k', b'=', b'X']);
    }
}
