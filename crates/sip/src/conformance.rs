//! RFC 4475 clause by clause, and the rules where two readers could read two things.
//!
//! Messages are our own, each shaped after the clause its test is named for. Refuses to know: what the endpoint does next.

use crate::wire::scan;
use crate::{Answer, Flow, HeaderName, Malformed, Message, Method, Transport, Uri};
use model::SocketId;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

fn request(first: &str, cseq: &str, extra: &str, body: &str) -> String {
    format!(
        "{first}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.net>;tag=1\r\nTo: <sip:b@example.com>\r\n\
         Call-ID: one\r\nCSeq: {cseq}\r\nMax-Forwards: 70\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn invite(extra: &str) -> String {
    request("INVITE sip:b@example.com SIP/2.0", "1 INVITE", extra, "")
}

fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(text.as_bytes().to_vec())
}

fn source() -> Flow {
    Flow { socket: SocketId(0), peer: "192.0.2.1:5060".parse().unwrap(), transport: Transport::Udp }
}

/// What is sent to whoever sent this.
fn refusal(text: &str) -> Option<String> {
    let code = parse(text).unwrap_err().code()?;
    let bytes = crate::compose::refusal_of_unparsed(text.as_bytes(), code, source())?;
    assert!(bytes.starts_with(format!("SIP/2.0 {code} ").as_bytes()));
    Some(String::from_utf8(bytes).unwrap())
}

fn answer(message: &Message, code: u16) -> Message {
    Message::parse(crate::compose::response(message, source(), &Answer::new(code), b"")).unwrap()
}

#[test]
fn escaped_percent_4475_3_1_1_3() {
    let uri = "sip:sips%3Auser%40example.com@example.net";
    let message = parse(&request(&format!("INVITE {uri} SIP/2.0"), "1 INVITE", "", "")).unwrap();
    let parts = Uri::parse(message.uri()).unwrap();
    assert_eq!((parts.user(), parts.host()), (&b"sips%3Auser%40example.com"[..], &b"example.net"[..]));
}

#[test]
fn escaped_nul_4475_3_1_1_4() {
    let extra = "Contact: <sip:%00@host5.example.com>\r\nContact: <sip:%00%00@host5.example.com>\r\n";
    let message = parse(&request("REGISTER sip:example.com SIP/2.0", "14398234 REGISTER", extra, "")).unwrap();
    let contacts: Vec<&[u8]> = message.values(HeaderName::Contact).collect();
    assert_eq!(contacts, [&b"<sip:%00@host5.example.com>"[..], b"<sip:%00%00@host5.example.com>"]);
}

#[test]
fn a_percent_is_no_escape_in_a_method_4475_3_1_1_5() {
    let message = parse(&request("RE%47IST%45R sip:registrar.example.com SIP/2.0", "1 RE%47IST%45R", "", "")).unwrap();
    assert_eq!((message.method(), message.method_text()), (Method::Other, &b"RE%47IST%45R"[..]));
}

#[test]
fn no_blank_between_display_name_and_bracket_4475_3_1_1_6() {
    let text =
        request("OPTIONS sip:user@example.com SIP/2.0", "60 OPTIONS", "", "").replace("From: <", "From: caller<");
    let message = parse(&text).unwrap();
    assert_eq!((message.from().display, message.from().uri), (&b"caller"[..], &b"sip:a@example.net"[..]));
}

#[test]
fn long_values_4475_3_1_1_7() {
    let long = "long".repeat(200);
    let vias: String = (0..33).map(|hop| format!("Via: SIP/2.0/TCP sip{hop}.example.com\r\n")).collect();
    let text = invite(&format!("{vias}Unknown-{long}: {long}\r\nContact: <sip:{long}@{long}.example.com>\r\n"));
    let message = parse(&text.replace(";tag=1", &format!(";{long};tag=12{long}"))).unwrap();
    assert_eq!(message.values(HeaderName::Via).count(), 34);
    assert_eq!(message.from().tag(), Some(format!("12{long}").as_bytes()));
    assert_eq!(message.named(&format!("unknown-{long}")), Some(long.as_bytes()));
}

#[test]
fn a_second_request_in_the_datagram_is_ignored_4475_3_1_1_8() {
    let first = request("REGISTER sip:example.com SIP/2.0", "8 REGISTER", "", "");
    let message = parse(&(first + &invite(""))).unwrap();
    assert_eq!((message.method(), message.body()), (Method::Register, &b""[..]));
}

#[test]
fn a_semicolon_in_the_user_part_4475_3_1_1_9() {
    let message =
        parse(&request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", "8 OPTIONS", "", "")).unwrap();
    let uri = Uri::parse(message.uri()).unwrap();
    assert_eq!((uri.user(), uri.params().get("par")), (&b"user;par=u%40example.net"[..], None));
}

#[test]
fn varied_transports_4475_3_1_1_10() {
    let vias = "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bK2\r\nVia: SIP/2.0/TLS t3.example.com\r\nVia: SIP/2.0/UNKNOWN t4.example.com\r\n";
    let message = parse(&invite(vias)).unwrap();
    assert_eq!(answer(&message, 200).values(HeaderName::Via).last(), Some(&b"SIP/2.0/UNKNOWN t4.example.com"[..]));
}

#[test]
fn a_multipart_body_with_any_bytes_4475_3_1_1_11() {
    let mut bytes =
        request("MESSAGE sip:k@example.com SIP/2.0", "1 MESSAGE", "Content-Type: multipart/mixed;boundary=x\r\n", "")
            .into_bytes();
    let body = b"--x\r\nContent-Length: 99\r\n\r\n\x00\xff\r\n\r\n--x--";
    let end = bytes.len() - 5;
    bytes.splice(end..end + 1, format!("{}", body.len()).into_bytes());
    bytes.extend_from_slice(body);
    assert_eq!(Message::parse(bytes).unwrap().body(), body);
}

#[test]
fn a_phrase_that_is_no_ascii_4475_3_1_1_12() {
    let phrase = "= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e}";
    let message =
        parse(&invite("").replacen("INVITE sip:b@example.com SIP/2.0", &format!("SIP/2.0 200 {phrase}"), 1)).unwrap();
    assert_eq!((message.status(), message.reason_phrase()), (Some(200), phrase.as_bytes()));
}

#[test]
fn blanks_in_the_request_line_are_answered_4475_3_1_2_7_to_10() {
    for (clause, line) in [
        ("3.1.2.7 brackets", "INVITE <sip:user@example.com> SIP/2.0"),
        ("3.1.2.8 blank in the URI", "INVITE sip:user@example.com; lr SIP/2.0"),
        ("3.1.2.9 two blanks", "INVITE  sip:user@example.com  SIP/2.0"),
        ("3.1.2.10 blanks at the end", "OPTIONS sip:user@example.com SIP/2.0  "),
        ("a control character", "INVITE sip:us\u{1}er@example.com SIP/2.0"),
        ("no URI", "INVITE SIP/2.0"),
    ] {
        let text = request(line, "1 INVITE", "", "");
        assert_eq!(parse(&text).map(|_| ()), Err(Malformed::RequestLine), "{clause}");
        assert!(refusal(&text).is_some(), "{clause}");
    }
    // What is no SIP gets no answer, or anyone could make us talk to anyone.
    let text = request("GET /index.html HTTP/1.1", "1 GET", "", "");
    assert_eq!((parse(&text).map(|_| ()), refusal(&text)), (Err(Malformed::StartLine), None));
}

#[test]
fn headers_in_the_request_uri_4475_3_1_2_11() {
    let message =
        parse(&request("INVITE sip:u@example.com?Route=%3Csip:example.com%3E SIP/2.0", "1 INVITE", "", "")).unwrap();
    assert_eq!(Uri::parse(message.uri()).unwrap().headers(), b"Route=%3Csip:example.com%3E");
}

#[test]
fn a_date_we_do_not_need_harms_nobody_4475_3_1_2_12() {
    assert_eq!(
        parse(&invite("Date: Fri, 01 Jan 2010 16:00:00 EST\r\n")).unwrap().named("date"),
        Some(&b"Fri, 01 Jan 2010 16:00:00 EST"[..])
    );
}

#[test]
fn numbers_too_large_4475_3_1_2_4_and_5() {
    let huge = "9292394834772304023312";
    let response = invite("").replacen("INVITE sip:b@example.com SIP/2.0", "SIP/2.0 503 Service Unavailable", 1);
    assert_eq!(parse(&response.replace("CSeq: 1", &format!("CSeq: {huge}"))).map(|_| ()), Err(Malformed::CSeq));
    let message = parse(
        &response
            .replace("Content-", &format!("Retry-After: {huge}\r\nWarning: 1812 overture \"In Progress\"\r\nContent-")),
    )
    .unwrap();
    assert_eq!(message.retry_after(), None);
}

#[test]
fn faults_keep_what_the_answer_needs_4475_3_1_2_16_to_18() {
    let version = refusal(&request("OPTIONS sip:t@example.com SIP/7.0", "1 OPTIONS", "", "")).unwrap();
    assert!(version.starts_with("SIP/2.0 505 ") && version.contains("CSeq: 1 OPTIONS\r\n"), "{version}");
    for method in ["OPTIONS", "NEWMETHOD"] {
        let text = refusal(&request(&format!("{method} sip:t@example.com SIP/2.0"), "8 INVITE", "", "")).unwrap();
        assert!(text.starts_with("SIP/2.0 400 ") && text.contains("Call-ID: one\r\n"), "{text}");
    }
}

#[test]
fn unknown_schemes_are_for_the_endpoint_4475_3_3_2_to_4() {
    for uri in ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002", "name:John_Smith"] {
        assert_eq!(
            parse(&request(&format!("OPTIONS {uri} SIP/2.0"), "3 OPTIONS", "", "")).unwrap().uri(),
            uri.as_bytes()
        );
    }
}

#[test]
fn missing_headers_cannot_be_answered_4475_3_3_1() {
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let text = invite("").replace(&format!("{name}: "), "X-Gone: ");
        assert_eq!((parse(&text).map(|_| ()), refusal(&text)), (Err(Malformed::Missing), None), "{name}");
    }
}

#[test]
fn a_from_without_tag_is_taken_12_1_1() {
    assert_eq!(parse(&invite("").replace(";tag=1", "")).map(|message| message.from().tag().is_none()), Ok(true));
}

#[test]
fn a_value_may_begin_on_the_next_line_7_3_1() {
    let text =
        invite("X-Odd:\r\n\t \r\n  v\r\n").replace(": ", ":\r\n ").replacen("Via:\r\n SIP", "Via:\r\n \r\n\tSIP", 1);
    let message = parse(&text).unwrap();
    assert_eq!((message.call_id(), message.cseq().number, message.max_forwards()), (&b"one"[..], 1, Some(70)));
    assert_eq!((message.named("x-odd"), message.via().branch()), (Some(&b"v"[..]), Some(&b"z9hG4bK1"[..])));
    // Or a BYE that is not folded would be steered to another shard than its INVITE.
    assert_eq!(scan(text.as_bytes()).unwrap().call_id, message.call_id());
    let again: Vec<u8> = message.headers().flat_map(|header| header.line.to_vec()).collect();
    assert!(text.as_bytes().ends_with(&[&again[..], b"\r\n"].concat()));
}

#[test]
fn a_cr_that_ends_no_line_is_refused() {
    // Some read a line end there: a header that we do not see would reach a trunk that trusts us.
    for text in [
        invite("X: a\rP-Asserted-Identity: <sip:ceo@example.com>\r\n"),
        invite("X: a\r\n b\rc\r\n"),
        invite("X: a\r\r\n"),
    ] {
        assert_eq!(parse(&text).map(|_| ()), Err(Malformed::HeaderLine));
    }
    let text = invite("").replace("Call-ID: one", "Call-ID: one\rX-Evil: 1");
    assert_eq!(refusal(&text), None, "it is not sent back either");
}

#[test]
fn a_refusal_takes_nothing_from_the_body() {
    for end in ["\r\n", "\n"] {
        let text =
            (invite("").replace("From: ", "X-Gone: ") + "From: <sip:evil@example.org>;tag=9\r\n").replace("\r\n", end);
        assert_eq!((parse(&text).map(|_| ()), refusal(&text)), (Err(Malformed::Missing), None));
    }
}

#[test]
fn a_refusal_keeps_the_tag_of_a_folded_to_8_2_6_2() {
    let text = invite("")
        .replace("To: <sip:b@example.com>", "To: <sip:b@example.com>\r\n ;tag=real")
        .replace("CSeq: 1", "CSeq: x");
    let refusal = refusal(&text).unwrap();
    assert!(refusal.contains(";tag=real\r\n") && !refusal.contains("malformed"), "{refusal}");
}

#[test]
fn via_values_are_counted_on_one_line_too() {
    let list = |count: usize| invite(&format!("Via: {}\r\n", vec!["SIP/2.0/UDP a;branch=b"; count].join(",")));
    assert_eq!(parse(&list(63)).unwrap().values(HeaderName::Via).count(), 64);
    assert_eq!(parse(&list(64)).map(|_| ()), Err(Malformed::TooManyHeaders));
}

#[test]
fn only_a_100_gives_the_timestamp_back_8_2_6_1() {
    let message = parse(&invite("Timestamp: 54.2\r\n")).unwrap();
    assert_eq!(answer(&message, 100).header(HeaderName::Timestamp), Some(&b"54.2"[..]));
    assert_eq!(answer(&message, 200).header(HeaderName::Timestamp), None);
}

#[test]
fn ack_and_cancel_are_made_of_the_invite_17_1_1_3_and_9_1() {
    let sent = invite("Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n");
    let refused = parse(
        &sent
            .replacen("INVITE sip:b@example.com SIP/2.0", "SIP/2.0 486 Busy", 1)
            .replace("b@example.com>", "b@example.com>;tag=z"),
    )
    .unwrap();
    let ack = Message::parse(crate::compose::ack_refusal(sent.as_bytes(), &refused).unwrap()).unwrap();
    let cancel = Message::parse(crate::compose::cancel(sent.as_bytes(), Some(b"Q.850;cause=16")).unwrap()).unwrap();
    for (message, method, tag) in [(&ack, Method::Ack, Some(&b"z"[..])), (&cancel, Method::Cancel, None)] {
        assert_eq!((message.method(), message.cseq().number, message.uri()), (method, 1, &b"sip:b@example.com"[..]));
        assert_eq!((message.via().branch(), message.call_id()), (Some(&b"z9hG4bK1"[..]), &b"one"[..]));
        assert_eq!((message.from().tag(), message.to().tag()), (Some(&b"1"[..]), tag));
        assert_eq!(message.values(HeaderName::Route).collect::<Vec<_>>(), [&b"<sip:p1;lr>"[..], b"<sip:p2;lr>"]);
    }
    assert_eq!((ack.q850(), cancel.q850()), (None, Some(16)));
}
