//! Messages that torture parsers: what RFC 4475 asks of one, and properties over generated messages.

use crate::wire::scan;
use crate::{Answer, Draft, Flow, HeaderLines, HeaderName, Malformed, Message, Method, Transport};
use model::SocketId;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

const VALID: &str = "INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
    To: <sip:bob@192.0.2.2>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";

fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(text.as_bytes().to_vec())
}

#[test]
fn a_short_tortuous_invite_4475_3_1_1_1() {
    let text = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\n\
        Call-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 4\r\ncseq: 0009\r\n  INVITE\r\n\
        Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
        UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\nRoute:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\nv=0\r";
    let message = parse(text).unwrap();
    assert_eq!((message.cseq().number, message.method(), message.max_forwards()), (9, Method::Invite, Some(68)));
    assert_eq!(message.to().tag(), Some(&b"1918181833n"[..]));
    assert_eq!(message.from().tag(), Some(&b"98asjd8"[..]));
    assert_eq!((message.via().branch(), message.values(HeaderName::Via).count()), (Some(&b"390skdjuw"[..]), 3));
    assert_eq!(message.contact().map(|contact| contact.uri), Some(&b"sip:jdrosen@example.com"[..]));
    assert_eq!(message.bytes(), text.as_bytes());
    assert_eq!(message.body(), b"v=0\r");
}

#[test]
fn wide_range_of_characters_4475_3_1_1_2() {
    let text = "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP host1.example.com;rport;branch=z9hG4bK-.!%66*_+`'~\r\nTo: \"BEL:\\\u{7} NUL:\\\u{1} DEL:\\\u{7f}\" <sip:1_unusual.URI~@example.com>\r\n\
        From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{431}\";tag=_token~1'+`*%!-.\r\n\
        Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\nCSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\r\nMax-Forwards: 255\r\n\
        extensionHeader-!.%*+_`'~:\u{fffe}\u{fffd}\r\nContent-Length: 0\r\n\r\n";
    let message = parse(text).unwrap();
    assert_eq!(message.method(), Method::Other);
    assert_eq!(message.method_text(), b"!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(message.from().tag(), Some(&b"_token~1'+`*%!-."[..]));
}

#[test]
fn bytes_that_are_no_utf8_stay() {
    let mut bytes = VALID.as_bytes().to_vec();
    let at = VALID.find("Max-Forwards").unwrap();
    bytes.splice(at..at, b"X-Latin: caf\xe9\xff\r\n".iter().copied());
    let message = Message::parse(bytes.clone()).unwrap();
    assert_eq!(message.named("x-latin"), Some(&b"caf\xe9\xff"[..]));
    assert_eq!(message.bytes(), bytes);
}

#[test]
fn faults_are_told_apart_4475_3_1_2() {
    let faults = [
        ("extraneous separators", VALID.replace("Via: SIP/2.0/UDP 192.0.2.1;", "Via: ;;,;,,"), Malformed::Via),
        (
            "Content-Length larger than the message 3.1.2.2",
            VALID.replace("Length: 0", "Length: 9999"),
            Malformed::ContentLength,
        ),
        ("negative Content-Length 3.1.2.3", VALID.replace("Length: 0", "Length: -999"), Malformed::ContentLength),
        ("overlarge CSeq 3.1.2.4", VALID.replace("CSeq: 1", "CSeq: 36893488147419103232"), Malformed::CSeq),
        (
            "request URI in brackets and blanks 3.1.2.7",
            VALID.replace("sip:bob@192.0.2.2 SIP", "sip:bob @192.0.2.2 SIP"),
            Malformed::RequestLine,
        ),
        ("blank after the version 3.1.2.9", VALID.replacen("SIP/2.0\r\n", "SIP/2.0  \r\n", 1), Malformed::RequestLine),
        ("unknown version 3.1.2.16", VALID.replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1), Malformed::Version),
        ("CSeq of another method 3.1.2.17", VALID.replace("1 INVITE", "1 NOTIFY"), Malformed::CSeq),
        ("missing headers 3.3.1", VALID.replace("Call-ID: one\r\n", ""), Malformed::Missing),
        ("repeated headers 3.3.8", VALID.replace("CSeq:", "Call-ID: two\r\nCSeq:"), Malformed::Repeated),
        (
            "Content-Length twice 3.3.9",
            VALID.replace("Content-Length", "Content-Length: 5\r\nContent-Length"),
            Malformed::Repeated,
        ),
        ("Max-Forwards beyond 255", VALID.replace("Forwards: 70", "Forwards: 300"), Malformed::MaxForwards),
        ("no end of headers", VALID.trim_end().into(), Malformed::Truncated),
        ("NUL in a name", VALID.replace("Contact", "Con\0tact"), Malformed::HeaderLine),
        ("a fold before any header", VALID.replacen("Via:", " x\r\nVia:", 1), Malformed::HeaderLine),
        ("no colon", VALID.replace("Contact: ", "Contact "), Malformed::HeaderLine),
        (
            "a thousand headers",
            VALID.replace("Contact:", &("X: y\r\n".repeat(1_000) + "Contact:")),
            Malformed::TooManyHeaders,
        ),
        (
            "many Via",
            VALID.replace("From:", &("Via: SIP/2.0/UDP a;branch=b\r\n".repeat(100) + "From:")),
            Malformed::TooManyHeaders,
        ),
        ("huge", VALID.replace("Contact:", &format!("X: {}\r\nContact:", "y".repeat(70_000))), Malformed::TooLong),
        ("nothing", String::new(), Malformed::StartLine),
    ];
    for (what, text, fault) in faults {
        assert_eq!(parse(&text).map(|_| ()), Err(fault), "{what}");
    }
    assert_eq!(parse("SIP/2.0 4294967301 better\r\n\r\n").map(|_| ()), Err(Malformed::StartLine), "3.1.2.19");
}

#[test]
fn repeating_the_same_value_harms_nobody() {
    assert!(parse(&VALID.replace("CSeq:", "Call-ID: one\r\nCSeq:")).is_ok());
}

#[test]
fn a_datagram_may_be_longer_than_its_body_18_3() {
    let message = parse(&(VALID.replace("Length: 0", "Length: 3") + "v=0\r\nrest")).unwrap();
    assert_eq!(message.body(), b"v=0");
}

#[test]
fn responses_without_a_phrase_are_read_4475_3_1_1_13() {
    let text = VALID.replacen("INVITE sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 100 ", 1);
    let message = parse(&text).unwrap();
    assert_eq!((message.status(), message.reason_phrase(), message.method()), (Some(100), &b""[..], Method::Invite));
}

#[test]
fn the_response_to_a_request_from_behind_nat_3581_4() {
    let request = parse(&VALID.replace("192.0.2.1;", "10.0.0.9:5070;rport;")).unwrap();
    let source = Flow { socket: SocketId(0), peer: "203.0.113.9:61000".parse().unwrap(), transport: Transport::Udp };
    let text = String::from_utf8(crate::compose::response(&request, source, &Answer::new(180), b"")).unwrap();
    assert!(
        text.contains("Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bK1;received=203.0.113.9;rport=61000\r\n"),
        "{text}"
    );
}

#[test]
fn cause_and_retry_after() {
    let text = VALID.replacen("INVITE sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 503 Busy", 1);
    let text = text.replace("Contact", "Reason: SIP;cause=503, Q.850 ;cause=34;text=\"no, circuit\"\r\nRetry-After: 18 (maintenance);duration=3\r\nContact");
    let message = parse(&text).unwrap();
    assert_eq!((message.q850(), message.retry_after().map(|after| after.as_secs())), (Some(34), Some(18)));
}

fn header_line() -> impl Strategy<Value = (String, Vec<u8>)> {
    let value = prop::collection::vec(prop_oneof![8 => 32u8..127, 1 => 128u8..=255, 1 => Just(b'\t')], 0..60);
    ("X-[A-Za-z0-9!%*_+`'~.-]{1,20}", value)
}

proptest! {
    #[test]
    fn parsing_keeps_every_byte(lines in prop::collection::vec(header_line(), 0..20), fold in any::<bool>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = VALID.trim_end().replace("Length: 0", &format!("Length: {}", body.len())).into_bytes();
        for (name, value) in &lines {
            bytes.extend_from_slice(format!("\r\n{name} :").as_bytes());
            bytes.extend_from_slice(value);
            if fold {
                bytes.extend_from_slice(b"\r\n\tfolded");
            }
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&body);
        let message = Message::parse(bytes.clone()).unwrap();
        prop_assert_eq!(message.bytes(), &bytes[..]);
        prop_assert_eq!(message.body(), &body[..]);
        let start = memchr::memchr(b'\n', &bytes).unwrap() + 1;
        let mut again = bytes[..start].to_vec();
        message.headers().for_each(|header| again.extend_from_slice(header.line));
        again.extend_from_slice(b"\r\n");
        again.extend_from_slice(message.body());
        prop_assert_eq!(again, bytes);
        for ((name, value), header) in lines.iter().zip(message.headers().skip(8)) {
            prop_assert_eq!(header.raw_name, name.as_bytes());
            prop_assert!(header.value.starts_with(value.trim_ascii()));
        }
    }

    #[test]
    fn what_is_written_is_read(user in "[a-z0-9]{1,12}", value in "[ -~]{0,80}", body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut headers = HeaderLines::new();
        headers.push("From", format!("<sip:{user}@192.0.2.1>;tag=a").as_bytes());
        headers.push("To", b"<sip:b@192.0.2.2>");
        headers.push("Call-ID", b"x");
        headers.push("CSeq", b"7 BYE");
        headers.push("X-Value", value.as_bytes());
        let draft = Draft { headers, body: body.clone(), max_forwards: 9, ..Draft::new(Method::Bye, vec![b's', b'i', b'p', b':', b'b']) };
        let bytes = crate::compose::request(&draft, Transport::Udp, "[2001:db8::1]:5060".parse().unwrap(), b"z9hG4bKq");
        let message = Message::parse(bytes).unwrap();
        prop_assert_eq!((message.method(), message.cseq().number, message.max_forwards()), (Method::Bye, 7, Some(9)));
        prop_assert_eq!(message.named("X-Value"), Some(value.as_bytes().trim_ascii()));
        prop_assert_eq!((message.body(), message.via().branch()), (&body[..], Some(&b"z9hG4bKq"[..])));
        prop_assert!(message.via().has_rport());
    }

    #[test]
    fn no_value_smuggles_in_a_header(value in "[a-z]{0,5}(\r\n|\n|\r)(X-Evil: 1)(\r\n){0,2}") {
        let mut headers = HeaderLines::new();
        headers.push("X-Value", value.as_bytes());
        prop_assert_eq!(headers.as_bytes().iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let parsed = Message::parse(bytes.clone());
        prop_assert!(parsed.is_err() || scan(&bytes).is_some());
    }

    #[test]
    fn mutants_are_survived_and_scan_agrees(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), end in any::<prop::sample::Index>()) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let source = Flow { socket: SocketId(0), peer: "192.0.2.9:5060".parse().unwrap(), transport: Transport::Udp };
        match Message::parse(bytes.clone()) {
            Ok(message) => {
                let scanned = scan(&bytes).unwrap();
                prop_assert_eq!(scanned.call_id, message.call_id());
                prop_assert_eq!(scanned.branch, message.via().branch().unwrap_or_default());
                prop_assert_eq!(scanned.to_tag, message.to().tag());
                prop_assert_eq!(scanned.is_response, !message.is_request());
                if message.is_request() {
                    let answer = crate::compose::response(&message, source, &Answer::new(200), b"");
                    let sent = Message::parse(answer.clone());
                    prop_assert!(sent.is_ok(), "{:?}: {}", sent, answer.escape_ascii());
                }
            }
            Err(fault) => {
                if let Some(answer) = fault.code().and_then(|code| crate::compose::refusal_of_unparsed(&bytes, code, source)) {
                    // What cannot be told apart may make the answer as bad as the question, but never worse than a message.
                    prop_assert!(answer.starts_with(b"SIP/2.0 ") && answer.ends_with(b"\r\n\r\n"));
                }
            }
        }
        let cut = end.index(bytes.len());
        prop_assert!(scan(&bytes[..cut]).is_none_or(|scan| !scan.call_id.is_empty()));
    }
}
