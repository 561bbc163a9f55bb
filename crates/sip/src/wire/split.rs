//! Cutting header values at separators that are neither quoted nor inside angle brackets (RFC 3261 §7.3.1, §25.1).

/// Position of the first `separator` outside quotes and angle brackets.
pub(crate) fn find_bare(text: &[u8], separator: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !bracketed => quoted = !quoted,
            _ if quoted => {}
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            _ if byte == separator && !bracketed => return Some(at),
            _ => {}
        }
    }
    None
}

/// A quotation begins and does not end.
pub(crate) fn is_unclosed(text: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// The members of a comma list, trimmed; one member when there is no comma.
pub(crate) fn split_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        let text = rest?;
        let (head, tail) = match find_bare(text, b',') {
            Some(comma) => (&text[..comma], Some(&text[comma + 1..])),
            None => (text, None),
        };
        rest = tail;
        Some(head.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let members: Vec<&[u8]> = split_list(br#""a, \"b\"" <sip:x,y@z>;q=1 , <sip:c> ,d"#).collect();
        assert_eq!(members, [&br#""a, \"b\"" <sip:x,y@z>;q=1"#[..], b"<sip:c>", b"d"]);
    }
}
