//! Requests too large for a datagram (RFC 3261 §18.1.1).

use super::*;
use model::TransportFault;

const BY_TCP: SocketId = SocketId(1);
const US_BY_TCP: &str = "192.0.2.1:5061";

fn stream() -> Flow {
    Flow { socket: BY_TCP, ..flow_of(Transport::Tcp) }
}

fn datagrams() -> Flow {
    flow_of(Transport::Udp)
}

fn endpoint() -> Endpoint {
    let mut endpoint = Bench::new().endpoint;
    endpoint.bind(BY_TCP, Transport::Tcp, US_BY_TCP.parse().unwrap());
    endpoint.large_requests_by([(datagrams(), stream())]);
    endpoint
}

/// A request with a body of so many bytes.
fn send(endpoint: &mut Endpoint, ms: u64, method: Method, body: usize) -> (ClientKey, Flow, Message) {
    let draft = Draft { body: vec![b'x'; body], ..Bench::draft(method) };
    let client = endpoint.request(at(ms), datagrams(), draft, &TimerSet::default()).unwrap();
    let sent = endpoint.poll_transmit().unwrap();
    assert!(endpoint.poll_transmit().is_none());
    (client, sent.flow, Message::parse(sent.bytes).unwrap())
}

fn next(endpoint: &mut Endpoint) -> (Flow, Message) {
    let sent = endpoint.poll_transmit().unwrap();
    (sent.flow, Message::parse(sent.bytes).unwrap())
}

fn via(message: &Message) -> &str {
    core::str::from_utf8(message.header(HeaderName::Via).unwrap()).unwrap()
}

/// An answer to a request of ours, as its peer would write it.
fn answer(request: &Message, code: u16) -> Vec<u8> {
    let value = |name| core::str::from_utf8(request.header(name).unwrap()).unwrap();
    let to = value(HeaderName::To);
    let tag = if code > 100 { ";tag=x" } else { "" };
    format!(
        "SIP/2.0 {code} X\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
        value(HeaderName::Via),
        value(HeaderName::From),
        value(HeaderName::CallId),
        value(HeaderName::CSeq)
    )
    .into_bytes()
}

#[test]
fn beyond_1300_bytes_a_request_goes_by_a_stream_and_says_so_in_its_via() {
    let mut endpoint = endpoint();
    let (_, flow, small) = send(&mut endpoint, 0, Method::Invite, 0);
    assert_eq!(flow, datagrams());
    let overhead = small.bytes().len() + 3;
    let (_, flow, fits) = send(&mut endpoint, 0, Method::Invite, 1_300 - overhead);
    assert_eq!((flow, fits.bytes().len()), (datagrams(), 1_300));
    let (_, flow, large) = send(&mut endpoint, 0, Method::Invite, 1_301 - overhead);
    assert_eq!(flow, stream());
    assert!(via(&large).starts_with("SIP/2.0/TCP 192.0.2.1:5061;rport;branch=z9hG4bK"), "{}", via(&large));
    assert_eq!(endpoint.counters().large_by_stream, 1);
    // No other peer is meant, nor anybody once nobody is named any more.
    endpoint.large_requests_by([]);
    let (_, flow, alone) = send(&mut endpoint, 0, Method::Invite, 2_000);
    assert_eq!((flow, via(&alone).starts_with("SIP/2.0/UDP ")), (datagrams(), true));
}

#[test]
fn what_belongs_to_it_goes_the_same_way_and_nothing_is_repeated() {
    let mut endpoint = endpoint();
    let (client, _, invite) = send(&mut endpoint, 0, Method::Invite, 2_000);
    endpoint.expire(at(5_000));
    assert!(endpoint.poll_transmit().is_none(), "a stream loses nothing");
    endpoint.receive(at(5_000), stream(), &answer(&invite, 180)).unwrap();
    endpoint.cancel(at(5_100), client, None);
    let (flow, cancel) = next(&mut endpoint);
    assert_eq!((flow, cancel.method(), via(&cancel)), (stream(), Method::Cancel, via(&invite)));
    endpoint.receive(at(5_200), stream(), &answer(&invite, 487)).unwrap();
    let (flow, ack) = next(&mut endpoint);
    assert_eq!((flow, ack.method(), via(&ack)), (stream(), Method::Ack, via(&invite)));
}

#[test]
fn where_no_stream_can_be_had_a_datagram_goes_at_once_and_others_follow_for_a_while() {
    for method in [Method::Invite, Method::Update] {
        let mut endpoint = endpoint();
        let (client, _, large) = send(&mut endpoint, 0, method, 2_000);
        endpoint.undeliverable(at(3), BY_TCP, stream().peer, large.bytes(), TransportFault::PortUnreachable);
        let (flow, again) = next(&mut endpoint);
        assert_eq!(flow, datagrams());
        assert!(via(&again).starts_with("SIP/2.0/UDP 192.0.2.1:5060;"), "{}", via(&again));
        assert_eq!((again.via().branch(), again.body()), (large.via().branch(), large.body()));
        assert!(endpoint.poll_event().is_none(), "nobody has to know");
        // From here on it is a datagram like any other.
        endpoint.expire(at(503));
        assert_eq!(next(&mut endpoint).1.bytes(), again.bytes());
        endpoint.receive(at(600), datagrams(), &answer(&again, 200)).unwrap();
        assert!(matches!(endpoint.poll_event(), Some(Event::Response { client: c, .. }) if c == client));
        assert_eq!(send(&mut endpoint, 60_002, Method::Invite, 2_000).1, datagrams(), "a minute long");
        // Saying the same again forgives nothing.
        endpoint.large_requests_by([(datagrams(), stream())]);
        assert_eq!(send(&mut endpoint, 60_002, Method::Invite, 2_000).1, datagrams());
        assert_eq!(send(&mut endpoint, 60_003, Method::Invite, 2_000).1, stream());
        assert_eq!(endpoint.counters().large_fell_back, 1);
    }
}

#[test]
fn what_nobody_wants_any_more_is_not_sent_in_another_way() {
    let mut endpoint = endpoint();
    let (client, _, invite) = send(&mut endpoint, 0, Method::Invite, 2_000);
    endpoint.cancel(at(1), client, None);
    endpoint.undeliverable(at(3), BY_TCP, stream().peer, invite.bytes(), TransportFault::PortUnreachable);
    assert!(endpoint.poll_transmit().is_none());
    assert!(matches!(endpoint.poll_event(), Some(Event::ClientFailed { client: c, .. }) if c == client));
    // One that was answered has come through, whatever becomes of its connection.
    let mut endpoint = self::endpoint();
    let (_, _, invite) = send(&mut endpoint, 0, Method::Invite, 2_000);
    endpoint.receive(at(10), stream(), &answer(&invite, 180)).unwrap();
    endpoint.undeliverable(at(20), BY_TCP, stream().peer, invite.bytes(), TransportFault::Broken);
    assert!(endpoint.poll_transmit().is_none());
}

/// The ACK that carries an answer may be large too. Nobody answers an ACK: the 2xx that comes again has it sent again.
#[test]
fn a_large_ack_goes_by_a_stream_and_as_a_datagram_when_its_2xx_comes_again() {
    let mut endpoint = endpoint();
    let (client, flow, invite) = send(&mut endpoint, 0, Method::Invite, 0);
    endpoint.receive(at(10), flow, &answer(&invite, 200)).unwrap();
    let mut draft = Draft { body: vec![b'x'; 2_000], ..Draft::new(Method::Ack, b"sip:b@192.0.2.9".to_vec()) };
    draft.headers.push("From", b"<sip:a@192.0.2.1>;tag=ours");
    draft.headers.push("To", b"<sip:b@192.0.2.9>;tag=x");
    draft.headers.push("Call-ID", b"call-1");
    draft.headers.push("CSeq", b"1 ACK");
    endpoint.ack(at(20), client, datagrams(), draft);
    let (flow, ack) = next(&mut endpoint);
    assert_eq!((flow, via(&ack).starts_with("SIP/2.0/TCP ")), (stream(), true));
    endpoint.receive(at(520), datagrams(), &answer(&invite, 200)).unwrap();
    assert_eq!(next(&mut endpoint), (stream(), ack.clone()), "lost with its connection, perhaps");
    endpoint.undeliverable(at(530), BY_TCP, stream().peer, ack.bytes(), TransportFault::PortUnreachable);
    endpoint.receive(at(1_520), datagrams(), &answer(&invite, 200)).unwrap();
    let (flow, again) = next(&mut endpoint);
    assert_eq!((flow, again.body(), via(&again).starts_with("SIP/2.0/UDP ")), (datagrams(), ack.body(), true));
}
