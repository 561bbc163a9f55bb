//! Browsers and load balancers, on loopback: a WebSocket carries messages both ways, and a header says for whom a connection is.

use super::*;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, Message};

type Browser = tungstenite::WebSocket<TcpStream>;

fn pages() -> ListenStreams {
    ListenStreams { origins: ["https://phone.example".to_owned()].into(), ..ListenStreams::default() }
}

fn behind_balancers(at: &str) -> ListenStreams {
    let text = format!(
        "[listen.lan]\nsip = [\"ws:127.1.7.30:80\"]\norigins = [\"https://phone.example\"]\nproxy_protocol = [\"{at}\"]\n\
         [trunk.office]\nat = \"sip:127.1.7.22\"\nlisten = \"lan\"\n"
    );
    let text = text.replace("[\"ws:", "[\"udp:127.1.7.30:5060\", \"ws:");
    edge::config::compile(&text, "edge.toml", &|_| None, None).settings.expect("settings").listen_streams[0].clone()
}

fn from(at: SocketAddr, last: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&address(last).into()).expect("bound");
    socket.connect(&at.into()).expect("connected");
    socket.set_read_timeout(Some(Duration::from_millis(LIMIT_MS as u64))).expect("a limit");
    socket.into()
}

fn browser(stream: TcpStream, origin: &'static str) -> Result<Browser, u16> {
    let mut request = "ws://edge.example/".into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
    request.headers_mut().insert("Origin", HeaderValue::from_static(origin));
    match tungstenite::client(request, stream) {
        Ok((browser, answer)) => {
            assert_eq!(answer.headers()["sec-websocket-protocol"], "sip");
            Ok(browser)
        }
        Err(tungstenite::HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_browser_sends_messages_and_gets_its_answers_by_its_websocket_rfc_7118_5() {
    let mut rig = Rig::with(pages(), 30, Transport::Ws, StreamLimits::default());
    let mut browser = browser(rig.connect(), "https://phone.example").expect("a WebSocket");
    let without_length = b"INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\nbody".to_vec();
    browser.send(Message::binary(without_length.clone())).expect("sent");
    let (flow, bytes) = rig.message();
    assert_eq!((flow, bytes), (rig.flow(browser.get_ref().local_addr().expect("one")), without_length));
    let answer = response("abc.invalid");
    (0..2).for_each(|_| rig.send(flow.peer, &answer));
    for _ in 0..2 {
        assert_eq!(browser.read().expect("an answer").into_data(), answer);
    }
    browser.close(None).expect("closing");
    assert!(matches!(browser.read(), Ok(Message::Close(_)) | Err(Error::ConnectionClosed)));
    assert_eq!(rig.broken(), (flow, TransportFault::Broken));
    counted(&rig.counters.closed_by_peer, 1);
    // Nobody can connect to it, for a request or for an answer.
    for bytes in [request(2), answer] {
        rig.send(flow.peer, &bytes);
        assert_eq!(rig.refused(), (bytes, TransportFault::Broken));
    }
    assert_eq!((rig.counters.refused_web.get(), rig.counters.begun.get()), (2, 0));
}

#[test]
fn a_page_of_elsewhere_and_whoever_wants_something_else_are_told_so() {
    let rig = Rig::with(pages(), 31, Transport::Ws, StreamLimits::default());
    assert_eq!(browser(rig.connect(), "https://evil.example").err(), Some(403));
    counted(&rig.counters.refused_origin, 1);
    let mut plain = rig.connect();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: edge.example\r\n\r\n").expect("written");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).expect("text and the end");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    counted(&rig.counters.refused_upgrade, 1);
    let mut good = browser(rig.connect(), "https://phone.example").expect("a WebSocket");
    good.send(Message::text("\r\n\r\n")).expect("sent");
    assert_eq!(good.read().expect("a pong").into_data(), b"\r\n"[..]);
    good.get_mut().write_all(&[0x81, 0]).expect("written");
    assert!(matches!(good.read(), Ok(Message::Close(Some(frame))) if u16::from(frame.code) == 1_002));
    counted(&rig.counters.closed_bad_stream, 1);
}

/// Whoever stays silent after connecting is cut in time, and while too many do so nobody else is let in.
#[test]
fn half_open_websockets_have_a_limit_and_an_end() {
    let limits = StreamLimits { handshakes: 2, handshake: Span::from_millis(400), ..StreamLimits::default() };
    let rig = Rig::with(pages(), 32, Transport::Ws, limits);
    let (mut silent, mut half, mut third) = (rig.connect(), rig.connect(), rig.connect());
    half.write_all(b"GET / HTTP/1.1\r\n").expect("written");
    assert!(is_closed(&mut third) && is_closed(&mut silent));
    counted(&rig.counters.refused_handshakes, 1);
    counted(&rig.counters.handshake_failed, 2);
    browser(rig.connect(), "https://phone.example").expect("there is room again");
}

/// Nobody can connect to a browser, so one that answers stays however little it says, and one that does not is gone.
#[test]
fn a_browser_that_answers_pings_stays_and_a_silent_one_is_cut_rfc_6455_5_5_2() {
    let limits = StreamLimits {
        idle: Span::from_millis(300),
        keep_alive: Span::from_millis(100),
        pong: Span::from_millis(300),
        ..StreamLimits::default()
    };
    let mut rig = Rig::with(pages(), 33, Transport::Ws, limits);
    let mut never = browser(rig.connect(), "https://phone.example").expect("a WebSocket");
    let mut alive = browser(rig.connect(), "https://phone.example").expect("a WebSocket");
    alive.send(Message::text("INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n")).expect("sent");
    let (flow, _) = rig.message();
    let clock = Clock::start();
    let begun = clock.now();
    while clock.now().since(begun) < Span::from_millis(1_000) || rig.counters.live.get() > 1 {
        assert!(matches!(alive.read().expect("a ping"), Message::Ping(_)), "and the pong leaves with the next one");
        alive.flush().expect("a pong");
    }
    // One that has never spoken is over, and no shard need know.
    while never.read().is_ok() {}
    assert_eq!(rig.counters.live.get(), 1);
    // It stops to answer.
    assert_eq!(rig.broken(), (flow, TransportFault::TimedOut));
}

#[test]
fn behind_a_load_balancer_the_header_says_who_connects() {
    let mut rig = Rig::with(behind_balancers("127.0.0.0/8"), 34, Transport::Tcp, StreamLimits::default());
    let mut balancer = rig.connect();
    balancer.set_nodelay(true).expect("set");
    for byte in b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 5060\r\n" {
        balancer.write_all(&[*byte]).expect("written");
    }
    balancer.write_all(&request(1)).expect("written");
    let caller = rig.flow("203.0.113.7:40000".parse().expect("one"));
    assert_eq!(rig.message(), (caller, request(1)));
    let answer = response("192.0.2.1");
    rig.send(caller.peer, &answer);
    assert_eq!(received(&mut balancer, answer.len()), answer, "the answer goes back through it");
    // The second version, in one piece with what follows; and a balancer that looks whether we live.
    let mut second = rig.connect();
    let header =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[203, 0, 113, 8, 198, 51, 100, 1, 0x9c, 0x40, 0x13, 0xc4]];
    second.write_all(&[&header.concat()[..], &request(2)].concat()).expect("written");
    assert_eq!(rig.message(), (rig.flow("203.0.113.8:40000".parse().expect("one")), request(2)));
    let mut look = rig.connect();
    look.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0\r\n\r\n").expect("written");
    assert_eq!(received(&mut look, 2), b"\r\n");
    drop(balancer);
    assert_eq!(rig.broken(), (caller, TransportFault::Broken));
}

#[test]
fn without_its_header_or_from_elsewhere_nobody_gets_through_a_load_balancers_door() {
    let limits = StreamLimits { per_source: 1, handshake: Span::from_millis(400), ..StreamLimits::default() };
    let mut rig = Rig::with(behind_balancers("127.1.7.36"), 35, Transport::Tcp, limits);
    let mut stranger = from(rig.at, 37);
    stranger.write_all(b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 5060\r\n").expect("written");
    assert!(is_closed(&mut stranger));
    assert_eq!(rig.counters.refused_no_proxy.get(), 1);
    let mut without = from(rig.at, 36);
    without.write_all(&request(1)).expect("written");
    assert!(is_closed(&mut without));
    counted(&rig.counters.refused_proxy_header, 1);
    let mut silent = from(rig.at, 36);
    silent.write_all(b"PROXY TCP4 ").expect("written");
    assert!(is_closed(&mut silent));
    counted(&rig.counters.refused_proxy_header, 2);
    // Limits are those of the source, not of the balancer.
    let connect = |source: &str| {
        let mut stream = from(rig.at, 36);
        stream.write_all(format!("PROXY TCP4 {source} 198.51.100.1 40000 5060\r\n").as_bytes()).expect("written");
        stream.write_all(&request(2)).expect("written");
        stream
    };
    let (_first, _other) = (connect("203.0.113.7"), connect("203.0.113.8"));
    rig.message();
    rig.message();
    assert!(is_closed(&mut {
        let mut again = from(rig.at, 36);
        again.write_all(b"PROXY TCP4 203.0.113.7 198.51.100.1 40001 5060\r\n").expect("written");
        again
    }));
    counted(&rig.counters.refused_source, 1);
}

/// The lists of the guard are asked for the source, once it is known.
#[test]
fn who_is_kept_out_is_kept_out_behind_a_load_balancer_too() {
    let text = "[guard]\ndeny = [\"203.0.113.7\"]\n[listen.lan]\nsip = [\"tcp:127.1.7.38:5060\"]\n[trunk.office]\n\
        at = \"sip:127.1.7.22;transport=tcp\"\nlisten = \"lan\"\n";
    let settings = edge::config::compile(text, "edge.toml", &|_| None, None).settings.expect("settings");
    let door = Door::of(&settings);
    let (limits, listen) = (StreamLimits::default(), behind_balancers("127.0.0.0/8"));
    let mut rig = Rig::open(listen, door, 38, Transport::Tcp, limits, |_| Sides::default());
    let connect = |source: &str| {
        let mut stream = client_of(rig.at);
        stream.write_all(format!("PROXY TCP4 {source} 198.51.100.1 40000 5060\r\n").as_bytes()).expect("written");
        stream
    };
    let (mut denied, mut other) = (connect("203.0.113.7"), connect("203.0.113.8"));
    assert!(is_closed(&mut denied));
    assert_eq!(rig.counters.refused_unwelcome.get(), 1);
    other.write_all(&request(1)).expect("written");
    assert_eq!(rig.message().1, request(1));
}

/// All at once: a load balancer's header in clear, then TLS, then the upgrade, then a message.
#[test]
fn a_secure_websocket_behind_a_load_balancer() {
    let files = Files::new("wss");
    let (limits, listen) = (StreamLimits::default(), behind_balancers("127.0.0.0/8"));
    let mut rig = Rig::open(listen, Door::default(), 39, Transport::Wss, limits, |_| files.server("ca-good", None));
    let trust =
        TrunkTls { trust: Some("ca.pem".to_owned()), name: Some("a.example".to_owned()), ..TrunkTls::default() };
    let config = tls::client(&trust, &files.0, &mut None).expect("a client");
    let name = tls::server_name(&trust, rig.at).expect("a name");
    let mut stream = rig.connect();
    stream.write_all(b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n").expect("written");
    let secure = rustls::StreamOwned::new(ClientConnection::new(config, name).expect("a client"), stream);
    let mut request_to = "wss://a.example/".into_client_request().expect("a request");
    request_to.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("sip"));
    let (mut browser, _) = tungstenite::client(request_to, secure).expect("a WebSocket");
    browser.send(Message::binary(request(1))).expect("sent");
    let caller = rig.flow("[2001:db8::7]:40000".parse().expect("one"));
    assert_eq!(rig.message(), (caller, request(1)));
    rig.send(caller.peer, &response("abc.invalid"));
    assert_eq!(browser.read().expect("an answer").into_data(), response("abc.invalid"));
}
