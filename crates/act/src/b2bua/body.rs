//! Where in a body the session description is: all of it, one part of several, or nowhere.
//!
//! Emergency calls carry a location beside it (RFC 6442), ISUP interworking its own message (RFC 3204): the description is rewritten in
//! its place and the other parts pass. Refuses to know: what a description says.

use core::ops::Range;
use memchr::memmem;
use sip::Message;

/// The description's place in the body (RFC 3261 §7.4, RFC 2046 §5.1). A body without a type is taken for one.
pub(super) fn description(message: &Message) -> Option<Range<usize>> {
    let body = message.body();
    if body.is_empty() {
        return None;
    }
    match message.content_type() {
        None => Some(0..body.len()),
        Some(kind) if is_sdp(kind) => Some(0..body.len()),
        Some(kind) if starts_with(kind, b"multipart/") => part(body, 0..body.len(), boundary(kind)?, DEEPEST),
        Some(_) => None,
    }
}

/// Parts within parts are looked into so deep: RFC 5621 §3.1 has them, and nobody needs more.
const DEEPEST: u8 = 4;

/// The first part within `whole` that is a description, or holds one.
fn part(body: &[u8], whole: Range<usize>, between: &[u8], deeper: u8) -> Option<Range<usize>> {
    let delimiter = [b"--", between].concat();
    let begins = |at: &usize| *at == whole.start || body[at - 1] == b'\n';
    let marks = memmem::find_iter(&body[whole.clone()], &delimiter).map(|at| whole.start + at);
    let mut marks = marks.filter(begins).peekable();
    while let Some(mark) = marks.next() {
        // The line end before a delimiter belongs to it; without a closing one the part is cut off, and none is safe.
        let next = *marks.peek()?;
        let end = body[..next].strip_suffix(b"\r\n").map_or(next - 1, <[u8]>::len);
        let head = mark + memmem::find(&body[mark..end], b"\n")? + 1;
        let (start, kind) = content(body, head..end)?;
        if is_sdp(kind) {
            return Some(start..end);
        }
        if starts_with(kind, b"multipart/")
            && let (Some(boundary), Some(deeper)) = (boundary(kind), deeper.checked_sub(1))
            && let Some(found) = part(body, start..end, boundary, deeper)
        {
            return Some(found);
        }
    }
    None
}

/// Start of a part's content, and its type.
fn content(body: &[u8], part: Range<usize>) -> Option<(usize, &[u8])> {
    let (mut at, mut kind): (usize, &[u8]) = (part.start, b"");
    loop {
        let line_end = at + memmem::find(&body[at..part.end], b"\n")?;
        let line = body[at..line_end].trim_ascii_end();
        at = line_end + 1;
        if line.is_empty() {
            return Some((at, kind));
        }
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        let name = line[..colon].trim_ascii();
        if name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c") {
            kind = line[colon + 1..].trim_ascii();
        }
    }
}

fn boundary(kind: &[u8]) -> Option<&[u8]> {
    let parameter = kind.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let value =
        parameter.filter(|parameter| starts_with(parameter, b"boundary=")).map(|parameter| &parameter[9..]).next()?;
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    (!value.is_empty()).then_some(value)
}

fn is_sdp(kind: &[u8]) -> bool {
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/sdp")
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.len() >= start.len() && text[..start.len()].eq_ignore_ascii_case(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn found(kind: &str, body: &str) -> Option<String> {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let text = format!(
            "INVITE sip:1@e SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:1@e>\r\nCall-ID: x\r\n\
             CSeq: 1 INVITE\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse(text.into_bytes()).unwrap();
        description(&message).map(|range| String::from_utf8(message.body()[range].to_vec()).unwrap())
    }

    #[test]
    fn a_whole_body_is_one_by_its_type() {
        assert_eq!(found("application/sdp; charset=utf-8", "v=0"), Some("v=0".into()));
        assert_eq!(found("", "v=0"), Some("v=0".into()));
        assert_eq!(found("application/ISUP", "v=0"), None);
        assert_eq!(found("application/sdp", ""), None);
    }

    #[test]
    fn one_part_of_several_is_found_rfc_2046_5_1() {
        let body = "preamble\r\n--b\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n--b\r\nc: Application/SDP\r\nX: y\r\n\r\nv=0\r\ns=-\r\n\r\n--b--\r\n";
        assert_eq!(found("multipart/mixed; boundary=\"b\"", body), Some("v=0\r\ns=-\r\n".into()));
        assert_eq!(found("multipart/mixed;boundary=other", body), None);
        assert_eq!(found("multipart/mixed", body), None);
        assert_eq!(
            found("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0"),
            None,
            "cut off"
        );
    }

    #[test]
    fn a_part_within_a_part_is_found_rfc_5621_3_1() {
        let inner = "--in\r\nContent-Type: text/plain\r\n\r\nhi\r\n--in\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--in--";
        let body = format!(
            "--b\r\nContent-Type: multipart/alternative;boundary=in\r\n\r\n{inner}\r\n--b\r\nContent-Type: application/ISUP\r\n\r\n\x01\r\n--b--\r\n"
        );
        assert_eq!(found("multipart/mixed;boundary=b", &body), Some("v=0\r\n".into()));
        let nest = |text: String, level: u32| {
            format!("--l{level}\r\nContent-Type: multipart/mixed;boundary=l{}\r\n\r\n{text}\r\n--l{level}--", level + 1)
        };
        let bottom = String::from("--l9\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--l9--");
        let deep = (0..9).rev().fold(bottom, nest);
        assert_eq!(found("multipart/mixed;boundary=l0", &deep), None, "no deeper than anyone needs");
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in "(--b|\r|\n|\r\n|c: application/sdp|:|v=0|--){0,24}") {
            let _whatever = found("multipart/mixed;boundary=b", &body);
        }
    }
}
