//! Both directions of a WebSocket, by bytes written out by hand after RFC 6455 and RFC 7118.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const MESSAGE: &[u8] = b"INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\nbody";
/// Text, binary, close, ping and pong (RFC 6455 §5.2).
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

fn origins(list: &[&str]) -> Origins {
    Origins(list.iter().map(|one| (*one).to_owned()).collect())
}

/// The request of RFC 6455 §1.3 with these headers in addition.
fn upgrade(more: &[&str]) -> Vec<u8> {
    let mut text = String::from(
        "GET /sip HTTP/1.1\r\nHost: edge.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    );
    more.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
    format!("{text}\r\n").into_bytes()
}

/// A frame as a client must send it, masked (RFC 6455 §5.3).
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | short as u8),
        medium @ ..65_536 => bytes.extend([&[0x80 | 126][..], &(medium as u16).to_be_bytes()].concat()),
        long => bytes.extend([&[0x80 | 127][..], &(long as u64).to_be_bytes()].concat()),
    }
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn fed(web: &mut WebSocket, bytes: &[u8]) -> Result<Vec<Piece>, WebOver> {
    web.push(bytes);
    let mut pieces = Vec::new();
    while let Some(piece) = web.piece()? {
        pieces.push(piece);
    }
    Ok(pieces)
}

fn said(web: &mut WebSocket) -> Vec<u8> {
    std::mem::take(web.outgoing())
}

fn open() -> WebSocket {
    let mut web = WebSocket::new(origins(&[]));
    assert_eq!(fed(&mut web, &upgrade(&["Sec-WebSocket-Protocol: sip"])), Ok(vec![]));
    assert!(!web.is_upgrading());
    said(&mut web);
    web
}

#[test]
fn an_upgrade_to_sip_is_answered_as_rfc_6455_1_3_and_rfc_7118_4_1_say() {
    let mut web = WebSocket::new(origins(&["https://phone.example"]));
    let request = upgrade(&["Sec-WebSocket-Protocol: chat, sip", "Origin: https://Phone.example"]);
    let (first, rest) = request.split_at(100);
    assert_eq!(fed(&mut web, first), Ok(vec![]));
    assert!(web.is_upgrading() && said(&mut web).is_empty());
    assert_eq!(fed(&mut web, rest), Ok(vec![]));
    let answer = String::from_utf8(said(&mut web)).expect("text").to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{answer}");
    assert!(answer.contains("sec-websocket-protocol: sip\r\n"), "{answer}");
    assert_eq!(fed(&mut web, &frame(TEXT, MESSAGE)), Ok(vec![Piece::Message(MESSAGE.to_vec())]));
}

#[test]
fn what_is_no_upgrade_to_sip_is_refused_in_words_of_http() {
    let sip = "Sec-WebSocket-Protocol: sip";
    let long = format!("X: {}", "a".repeat(LARGEST_HEAD));
    for (request, over, status) in [
        (upgrade(&[sip, "Origin: https://evil.example"]), WebOver::Origin, "403"),
        (upgrade(&[sip, "Origin: null"]), WebOver::Origin, "403"),
        (upgrade(&[]), WebOver::NoUpgrade, "400"),
        (upgrade(&["Sec-WebSocket-Protocol: xmpp, sips"]), WebOver::NoUpgrade, "400"),
        (upgrade(&[sip, &long]), WebOver::NoUpgrade, "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), WebOver::NoUpgrade, "426"),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), WebOver::NoUpgrade, "400"),
        (MESSAGE.to_vec(), WebOver::NoUpgrade, "400"),
        (b"\x16\x03\x01\x02\x00".to_vec(), WebOver::NoUpgrade, "400"),
    ] {
        let mut web = WebSocket::new(origins(&["https://phone.example"]));
        let shown = request[..60.min(request.len())].escape_ascii().to_string();
        assert_eq!(fed(&mut web, &request), Err(over), "{shown}");
        let answer = String::from_utf8(said(&mut web)).expect("text");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with("\r\n\r\n"),
            "{shown}: {answer}"
        );
        assert_eq!(fed(&mut web, MESSAGE), Err(over), "it stays over");
    }
    let mut any = WebSocket::new(origins(&["*"]));
    assert_eq!(fed(&mut any, &upgrade(&[sip, "Origin: https://evil.example"])), Ok(vec![]));
    let mut no_page = WebSocket::new(origins(&["https://phone.example"]));
    assert_eq!(fed(&mut no_page, &upgrade(&[sip])), Ok(vec![]), "no browser, no origin (RFC 6455 §10.2)");
}

#[test]
fn text_and_binary_and_fragments_are_messages_rfc_7118_5() {
    let mut web = open();
    assert_eq!(fed(&mut web, &frame(BINARY, MESSAGE)), Ok(vec![Piece::Message(MESSAGE.to_vec())]));
    let (first, rest) = MESSAGE.split_at(10);
    // A ping may stand between two fragments (RFC 6455 §5.4).
    let fragments = [frame(TEXT & 0x7f, first), frame(PING, b"x"), frame(0x80, rest)].concat();
    assert_eq!(fed(&mut web, &fragments), Ok(vec![Piece::Ping, Piece::Message(MESSAGE.to_vec())]));
    assert_eq!(said(&mut web), [PONG, 1, b'x'], "a ping is answered with what it said (§5.5.3)");
    assert_eq!(fed(&mut web, &frame(PONG, b"")), Ok(vec![Piece::Pong]));
    assert_eq!(fed(&mut web, &frame(TEXT, b"\r\n\r\n")), Ok(vec![Piece::Ping]));
    assert_eq!(said(&mut web), [&[TEXT, 2][..], b"\r\n"].concat(), "as on a stream (RFC 5626 §3.5.1)");
    assert_eq!(fed(&mut web, &frame(TEXT, b"\r\n")), Ok(vec![Piece::Pong]));
    assert_eq!(fed(&mut web, &frame(TEXT, b"")), Ok(vec![]));
}

#[test]
fn what_is_sent_is_one_frame_a_message() {
    let mut web = open();
    web.send(b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!(said(&mut web), [&[TEXT, 18][..], b"SIP/2.0 200 OK\r\n\r\n"].concat());
    web.send(b"\xff");
    assert_eq!(said(&mut web), [BINARY, 1, 0xff], "what is no text is not called one");
    web.ping();
    assert_eq!(said(&mut web), [PING, 0]);
    web.close(CloseCode::Away);
    assert_eq!(said(&mut web), [CLOSE, 2, 0x03, 0xe9], "1001");
}

#[test]
fn whoever_breaks_the_protocol_or_goes_is_told_so() {
    for (bytes, over, code) in [
        (frame(CLOSE, &1_000u16.to_be_bytes()), WebOver::Closed, 1_000u16),
        (frame(BINARY, &vec![b'a'; LARGEST + 1]), WebOver::TooLarge, 1_009),
        ([frame(BINARY & 0x7f, &vec![b'a'; LARGEST]), frame(0x80, b"a")].concat(), WebOver::TooLarge, 1_009),
        (vec![TEXT, 4, b'I', b'N', b'F', b'O'], WebOver::Violation, 1_002),
        (frame(0x83, b""), WebOver::Violation, 1_002),
        (frame(0x80, b"a"), WebOver::Violation, 1_002),
        (frame(TEXT, b"\xff"), WebOver::Violation, 1_007),
    ] {
        let mut web = open();
        let shown = bytes[..8.min(bytes.len())].escape_ascii().to_string();
        assert_eq!(fed(&mut web, &bytes), Err(over), "{shown}");
        let [high, low] = code.to_be_bytes();
        assert_eq!(said(&mut web), [CLOSE, 2, high, low], "{shown}");
    }
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_messages_are_the_same(
        bodies in proptest::collection::vec("[a-z]{1,200}", 1..5),
        size in 1usize..300,
    ) {
        let mut web = open();
        let stream = bodies.iter().map(|body| frame(TEXT, body.as_bytes())).collect::<Vec<_>>().concat();
        let mut out = Vec::new();
        for part in stream.chunks(size) {
            out.extend(fed(&mut web, part).expect("a good stream"));
        }
        prop_assert_eq!(out, bodies.into_iter().map(|body| Piece::Message(body.into_bytes())).collect::<Vec<_>>());
    }

    #[test]
    fn noise_ends_it_or_waits(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), after in any::<bool>()) {
        let mut web = if after { open() } else { WebSocket::new(origins(&[])) };
        let _over = fed(&mut web, &bytes);
        prop_assert!(said(&mut web).len() < 10_000);
    }
}
