//! The thread of connections on loopback, against sockets written out by hand and against itself.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod web;

use super::*;
use crate::ring::ring;
use edge::config::{Identity, ListenStreams, ListenTls, TrunkTls};
use model::ListenId;
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

const SOCKET: SocketId = SocketId(7);
/// Longest that anything here may take on a machine that is busy.
const LIMIT_MS: i32 = 20_000;

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 1, 7, last], 0))
}

/// A thread of connections with one listener, and the place of its only shard.
struct Rig {
    at: SocketAddr,
    transport: Transport,
    shard: (Waker, Epoll),
    orders: Sender<Order>,
    wants: Sender<ByStream>,
    hops: Receiver<Hop>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// TLS of a rig: who it is, and whom it trusts.
type Sides = (TlsPlan, tls::Clients);

impl Rig {
    fn tcp(last: u8, limits: StreamLimits) -> Self {
        Self::new(last, Transport::Tcp, limits, |_| Sides::default())
    }

    /// `tls` is told where the rig listens.
    fn new(last: u8, transport: Transport, limits: StreamLimits, tls: impl FnOnce(SocketAddr) -> Sides) -> Self {
        Self::behind(Door::default(), last, transport, limits, tls)
    }

    /// With load balancers before it, or for pages.
    fn with(listen: ListenStreams, last: u8, transport: Transport, limits: StreamLimits) -> Self {
        Self::open(listen, Door::default(), last, transport, limits, |_| Sides::default())
    }

    fn behind(
        door: Door,
        last: u8,
        transport: Transport,
        limits: StreamLimits,
        tls: impl FnOnce(SocketAddr) -> Sides,
    ) -> Self {
        Self::open(ListenStreams::default(), door, last, transport, limits, tls)
    }

    fn open(
        listen: ListenStreams,
        door: Door,
        last: u8,
        transport: Transport,
        limits: StreamLimits,
        tls: impl FnOnce(SocketAddr) -> Sides,
    ) -> Self {
        let mut bound = Bound {
            id: SOCKET,
            listen: ListenId(0),
            transport,
            bind: address(last),
            sent_by: address(last),
            host: None,
        };
        let listener = Listener::open(&bound).expect("a listener");
        bound.bind = listener.socket.local_addr().expect("an address");
        let at = bound.bind;
        let (waker, shard) = (Waker::new().expect("a waker"), Waker::new().expect("a waker"));
        let (orders, orders_out) = ring(4, &waker);
        let (wants, from_shard) = ring(1_024, &waker);
        let (to_shard, hops) = ring(1_024, &shard);
        let links = Links { waker, orders: orders_out, wants: vec![from_shard], hops: vec![to_shard] };
        let (tls, clients) = tls(at);
        let plan = Plan { limits, door, tls, clients, sockets: vec![bound], listens: vec![listen] };
        let counters = Arc::new(Counters::default());
        let thread =
            StreamThread::new(Clock::start(), 1, plan, vec![listener], links, counters.clone()).expect("a thread");
        let thread = std::thread::Builder::new().spawn(move || thread.run()).expect("a thread");
        let epoll = Epoll::new(1).expect("epoll");
        epoll.add(&shard, 0, Trigger::Edge).expect("watched");
        Self { at, transport, shard: (shard, epoll), orders, wants, hops, counters, thread: Some(thread) }
    }

    fn flow(&self, peer: SocketAddr) -> Flow {
        Flow { socket: SOCKET, peer, transport: self.transport }
    }

    fn send(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let transmit = Transmit { flow: self.flow(peer), bytes: bytes.to_vec() };
        self.wants.send(ByStream::Send(transmit)).expect("room");
    }

    /// What the shard is told next.
    fn hop(&mut self) -> Hop {
        loop {
            if let Some(hop) = self.hops.next() {
                return hop;
            }
            self.shard.0.awake();
            if let Some(hop) = self.hops.next() {
                return hop;
            }
            assert!(self.shard.1.wait(LIMIT_MS).expect("a wait") > 0, "the shard was told nothing");
        }
    }

    fn message(&mut self) -> (Flow, Vec<u8>) {
        match self.hop() {
            Hop::Datagram(flow, bytes) => (flow, bytes),
            other => panic!("{other:?}"),
        }
    }

    fn broken(&mut self) -> (Flow, TransportFault) {
        match self.hop() {
            Hop::Broken(flow, fault) => (flow, fault),
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self) -> (Vec<u8>, TransportFault) {
        match self.hop() {
            Hop::Refused(_, _, bytes, fault) => (bytes, fault),
            other => panic!("{other:?}"),
        }
    }

    fn connect(&self) -> TcpStream {
        client_of(self.at)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _gone = self.orders.send(Order::End);
        let ended = self.thread.take().expect("a thread").join();
        assert!(std::thread::panicking() || matches!(ended, Ok(Ok(()))), "{ended:?}");
    }
}

fn client_of(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_millis(LIMIT_MS as u64))).expect("a limit");
    stream
}

fn request(number: usize) -> Vec<u8> {
    format!("INFO sip:a@b SIP/2.0\r\nCall-ID: {number}\r\nContent-Length: 4\r\n\r\nbody").into_bytes()
}

fn response(via: &str) -> Vec<u8> {
    format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP {via};branch=z9hG4bK1\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n")
        .into_bytes()
}

fn received(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("what was sent");
    bytes
}

/// Waits until the other thread has counted so many.
fn counted(count: &counters::Count, wanted: u64) {
    let clock = Clock::start();
    let begun = clock.now();
    while count.get() < wanted {
        assert!(clock.now().since(begun) < Span::from_millis(LIMIT_MS as u64), "{} of {wanted}", count.get());
        std::thread::yield_now();
    }
    assert_eq!(count.get(), wanted);
}

/// The far side has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 64]) {
            Ok(0) => return true,
            // Pongs, or the alert of TLS.
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_message_in_pieces_arrives_whole_and_its_answer_goes_back_the_same_way_18_2_2() {
    let mut rig = Rig::tcp(1, StreamLimits::default());
    let mut peer = rig.connect();
    peer.set_nodelay(true).expect("set");
    for byte in request(1) {
        peer.write_all(&[byte]).expect("written");
    }
    peer.write_all(b"\r\n\r\n").expect("written");
    peer.write_all(&[request(2), request(3)].concat()).expect("written");
    let (flow, first) = rig.message();
    assert_eq!((flow.peer, first), (peer.local_addr().expect("one"), request(1)));
    assert_eq!((rig.message().1, rig.message().1), (request(2), request(3)));
    assert_eq!(received(&mut peer, 2), b"\r\n", "a ping is answered (RFC 5626 §3.5.1)");
    let answer = response("192.0.2.1");
    rig.send(flow.peer, &answer);
    assert_eq!(received(&mut peer, answer.len()), answer);
    assert_eq!((rig.counters.accepted.get(), rig.counters.begun.get()), (1, 0));
}

#[test]
fn one_connection_carries_all_that_goes_to_a_peer() {
    let mut rig = Rig::tcp(2, StreamLimits::default());
    let peer = TcpListener::bind(address(3)).expect("a listener");
    let to = peer.local_addr().expect("one");
    (1..=3).for_each(|number| rig.send(to, &request(number)));
    let (mut stream, from) = peer.accept().expect("a connection");
    assert_eq!(from.ip(), rig.at.ip(), "it comes from the address we listen at");
    let all = [request(1), request(2), request(3)].concat();
    assert_eq!(received(&mut stream, all.len()), all);
    // What the peer asks by it is answered by it too.
    stream.write_all(&request(4)).expect("written");
    assert_eq!(rig.message(), (rig.flow(to), request(4)));
    assert_eq!(rig.counters.begun.get(), 1);
    drop(stream);
    assert_eq!(rig.broken(), (rig.flow(to), TransportFault::Broken));
    rig.send(to, &request(5));
    let (mut stream, _) = peer.accept().expect("a new connection");
    assert_eq!(received(&mut stream, request(5).len()), request(5));
}

#[test]
fn an_answer_whose_connection_is_gone_goes_to_the_via_18_2_2() {
    let mut rig = Rig::tcp(4, StreamLimits::default());
    let home = TcpListener::bind(address(5)).expect("a listener");
    let mut peer = {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&address(5).into()).expect("bound");
        socket.connect(&rig.at.into()).expect("connected");
        TcpStream::from(socket)
    };
    peer.write_all(&request(1)).expect("written");
    let (flow, _) = rig.message();
    drop(peer);
    assert_eq!(rig.broken(), (flow, TransportFault::Broken));
    let answer = response(&home.local_addr().expect("one").to_string());
    rig.send(flow.peer, &answer);
    let (mut stream, _) = home.accept().expect("a connection");
    assert_eq!(received(&mut stream, answer.len()), answer);
}

#[test]
fn what_cannot_be_connected_comes_back_with_the_reason() {
    let mut rig = Rig::tcp(6, StreamLimits { connect: Span::from_millis(300), ..StreamLimits::default() });
    let closed = TcpListener::bind(address(8)).expect("a listener").local_addr().expect("one");
    (1..=2).for_each(|number| rig.send(closed, &request(number)));
    assert_eq!(rig.refused(), (request(1), TransportFault::PortUnreachable));
    assert_eq!(rig.refused(), (request(2), TransportFault::PortUnreachable));
    // A listener whose queue is full leaves the SYN without an answer.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    full.bind(&address(8).into()).expect("bound");
    full.listen(0).expect("listens");
    let at = full.local_addr().expect("one").as_socket().expect("an address");
    let _first = TcpStream::connect(at).expect("the only place in the queue");
    rig.send(at, &request(3));
    assert_eq!(rig.refused(), (request(3), TransportFault::TimedOut));
    assert!(rig.counters.connect_failed.get() >= 1);
    assert_eq!(rig.counters.connect_timed_out.get(), 1);
}

#[test]
fn limits_turn_newcomers_away_and_leave_others_alone() {
    let mut rig = Rig::tcp(9, StreamLimits { connections: 3, per_source: 2, ..StreamLimits::default() });
    let from = |last: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&address(last).into()).expect("bound");
        socket.connect(&rig.at.into()).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(LIMIT_MS as u64))).expect("a limit");
        TcpStream::from(socket)
    };
    let (mut first, _second, mut third) = (from(10), from(10), from(10));
    assert!(is_closed(&mut third), "two from one address");
    let (mut other, mut last) = (from(11), from(12));
    assert!(is_closed(&mut last), "three in all");
    assert_eq!((rig.counters.refused_source.get(), rig.counters.refused_full.get()), (1, 1));
    for (number, stream) in [(1, &mut first), (2, &mut other)] {
        stream.write_all(&request(number)).expect("written");
        assert_eq!(rig.message().1, request(number));
    }
    rig.send(address(13), &request(3));
    assert_eq!(rig.refused(), (request(3), TransportFault::Local), "no room is no fault of the peer");
}

/// The lists of the guard turn people away at the door, and a shard has the connection of somebody cut whom it shuts out.
#[test]
fn who_is_kept_out_has_no_connection() {
    let text = "[guard]\ndeny = [\"127.1.7.21\"]\n[listen.lan]\nsip = [\"tcp:127.1.7.20:5060\"]\n[trunk.office]\n\
        at = \"sip:127.1.7.22;transport=tcp\"\nlisten = \"lan\"\n";
    let settings = edge::config::compile(text, "edge.toml", &|_| None, None).settings.expect("settings");
    let limits = StreamLimits::default();
    let mut rig = Rig::behind(Door::of(&settings), 20, Transport::Tcp, limits, |_| Sides::default());
    let from = |last: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&address(last).into()).expect("bound");
        socket.connect(&rig.at.into()).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(LIMIT_MS as u64))).expect("a limit");
        TcpStream::from(socket)
    };
    let mut denied = from(21);
    assert!(is_closed(&mut denied));
    assert_eq!((rig.counters.refused_unwelcome.get(), rig.counters.accepted.get()), (1, 0));
    let (mut stranger, mut other) = (from(23), from(23));
    stranger.write_all(&request(1)).expect("written");
    let (flow, _) = rig.message();
    rig.wants.send(ByStream::Close(flow)).expect("room");
    assert!(is_closed(&mut stranger));
    assert_eq!(rig.broken(), (flow, TransportFault::Broken));
    assert_eq!(rig.counters.closed_unwelcome.get(), 1);
    other.write_all(&request(2)).expect("written");
    assert_eq!(rig.message().1, request(2), "each connection for itself");
}

#[test]
fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let mut rig = Rig::tcp(14, StreamLimits { idle: Span::from_millis(400), ..StreamLimits::default() });
    let (mut idle, mut used) = (rig.connect(), rig.connect());
    let flow = rig.flow(idle.local_addr().expect("one"));
    idle.write_all(&request(0)).expect("written");
    assert_eq!(rig.message(), (flow, request(0)));
    let mut sent = 0;
    while rig.counters.closed_idle.get() == 0 {
        sent += 1;
        used.write_all(&request(sent)).expect("it lives");
        assert_eq!(rig.message().1, request(sent));
        used.set_read_timeout(Some(Duration::from_millis(50))).expect("a limit");
        assert!(used.read(&mut [0; 1]).is_err(), "nothing comes, and it is not closed");
    }
    assert_eq!(rig.broken(), (flow, TransportFault::Broken));
    assert!(is_closed(&mut idle));
}

#[test]
fn a_peer_that_does_not_read_is_cut() {
    let mut rig = Rig::tcp(15, StreamLimits { unread: 65_536, ..StreamLimits::default() });
    let mut peer = rig.connect();
    peer.write_all(&request(1)).expect("written");
    let (flow, _) = rig.message();
    let large = vec![b'x'; 60_000];
    let cut = loop {
        let transmit = Transmit { flow, bytes: large.clone() };
        let _full = rig.wants.send(ByStream::Send(transmit));
        match rig.hops.next() {
            Some(Hop::Broken(broken, fault)) => break (broken, fault),
            Some(other) => panic!("{other:?}"),
            None => std::thread::yield_now(),
        }
    };
    assert_eq!(cut, (flow, TransportFault::NotRead));
    assert_eq!(rig.counters.closed_unread.get(), 1);
}

#[test]
fn a_peer_that_stops_answering_pings_is_silent_rfc_5626_4_4_1() {
    let limits =
        StreamLimits { keep_alive: Span::from_millis(100), pong: Span::from_millis(500), ..StreamLimits::default() };
    let mut rig = Rig::tcp(16, limits);
    let peer = TcpListener::bind(address(17)).expect("a listener");
    let to = peer.local_addr().expect("one");
    rig.send(to, &request(1));
    let (mut stream, _) = peer.accept().expect("a connection");
    received(&mut stream, request(1).len());
    for _ in 0..3 {
        assert_eq!(received(&mut stream, 4), b"\r\n\r\n");
    }
    assert_eq!(rig.counters.closed_silent.get(), 0, "one that has never answered is not judged by it");
    stream.write_all(b"\r\n").expect("written");
    assert_eq!(rig.broken(), (rig.flow(to), TransportFault::TimedOut));
    assert_eq!(rig.counters.closed_silent.get(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn noise_ends_its_connection_and_nothing_else(noise in proptest::collection::vec(any::<u8>(), 1..3_000)) {
        let mut rig = Rig::tcp(18, StreamLimits::default());
        let mut noisy = rig.connect();
        // It may be cut before it has said all.
        let _cut = noisy.write_all(&noise).and_then(|()| noisy.shutdown(std::net::Shutdown::Write));
        prop_assert!(is_closed(&mut noisy));
        let mut good = rig.connect();
        good.write_all(&request(1)).expect("written");
        loop {
            if let Hop::Datagram(_, bytes) = rig.hop() && bytes == request(1) {
                break;
            }
        }
    }
}

/// Certificates in a folder of one test.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("streams-tls-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let files = Self(folder);
        for authority in ["ca", "stranger"] {
            let mut params = CertificateParams::new(Vec::new()).expect("parameters");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer =
                CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
            std::fs::write(files.0.join(format!("{authority}.pem")), issuer.pem()).expect("a file");
            for (who, host, until) in
                [("good", "a.example", 2100), ("old", "a.example", 2021), ("other", "b.example", 2100)]
            {
                let key = KeyPair::generate().expect("a key");
                let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
                (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
                let certificate = params.signed_by(&key, &issuer).expect("a certificate");
                std::fs::write(files.0.join(format!("{authority}-{who}.pem")), certificate.pem()).expect("a file");
                std::fs::write(files.0.join(format!("{authority}-{who}.key")), key.serialize_pem()).expect("a file");
            }
        }
        files
    }

    fn identity(who: &str) -> Identity {
        Identity { certificate: format!("{who}.pem"), key: format!("{who}.key") }
    }

    fn server(&self, who: &str, client_ca: Option<&str>) -> Sides {
        let tls = ListenTls { identity: Self::identity(who), client_ca: client_ca.map(str::to_owned), only_1_3: false };
        let config = server(&tls, &self.0).expect("a server");
        (TlsPlan { servers: [(SOCKET, config)].into(), ..TlsPlan::default() }, tls::Clients::default())
    }

    /// Towards `peer`, as somebody or nobody.
    fn client(&self, peer: SocketAddr, who: Option<&str>, verify: bool) -> Sides {
        let tls = TrunkTls {
            trust: Some("ca.pem".to_owned()),
            name: Some("a.example".to_owned()),
            identity: who.map(Self::identity),
            verify,
        };
        let config = client(&tls, &self.0, &mut None).expect("a client");
        let name = server_name(&tls, peer).expect("a name");
        (TlsPlan::default(), [((SOCKET, peer), tls::Client { config, name })].into())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_certificate_is_what_it_must_be_or_its_fault_is_named() {
    let files = Files::new("kinds");
    for (who, fault) in [
        ("ca-good", None),
        ("ca-old", Some(TransportFault::CertificateExpired)),
        ("ca-other", Some(TransportFault::CertificateOfAnother)),
        ("stranger-good", Some(TransportFault::CertificateUntrusted)),
    ] {
        let mut far = Rig::new(20, Transport::Tls, StreamLimits::default(), |_| files.server(who, None));
        let to = far.at;
        let mut near = Rig::new(21, Transport::Tls, StreamLimits::default(), |_| files.client(to, None, true));
        near.send(to, &request(1));
        if let Some(fault) = fault {
            assert_eq!(near.refused(), (request(1), fault), "{who}");
            assert_eq!(near.counters.tls_failed.get(), 1);
            continue;
        }
        let (flow, bytes) = far.message();
        assert_eq!(bytes, request(1));
        let large = [&request(2)[..], &vec![b'y'; 40_000]].concat();
        let large = String::from_utf8(large).expect("text").replace("Length: 4", "Length: 40004");
        far.send(flow.peer, large.as_bytes());
        assert_eq!(near.message(), (near.flow(to), large.into_bytes()), "by the same connection, in many records");
    }
}

#[test]
fn without_verification_any_certificate_will_do() {
    let files = Files::new("any");
    let mut far = Rig::new(22, Transport::Tls, StreamLimits::default(), |_| files.server("stranger-old", None));
    let to = far.at;
    let mut near = Rig::new(23, Transport::Tls, StreamLimits::default(), |_| files.client(to, None, false));
    near.send(to, &request(1));
    assert_eq!(far.message().1, request(1));
}

#[test]
fn a_client_is_asked_for_its_certificate_where_that_is_wanted() {
    let files = Files::new("mutual");
    let mut far = Rig::new(24, Transport::Tls, StreamLimits::default(), |_| files.server("ca-good", Some("ca.pem")));
    let to = far.at;
    {
        let mut near =
            Rig::new(25, Transport::Tls, StreamLimits::default(), |_| files.client(to, Some("ca-other"), true));
        near.send(to, &request(1));
        assert_eq!(far.message().1, request(1));
        drop(near);
        far.broken();
    }
    for who in [None, Some("ca-old"), Some("stranger-good")] {
        let mut near = Rig::new(26, Transport::Tls, StreamLimits::default(), |_| files.client(to, who, true));
        near.send(to, &request(2));
        // With TLS 1.3 the client has finished before it is refused, so that the message may have left.
        let (Hop::Refused(.., fault) | Hop::Broken(_, fault)) = near.hop() else { panic!("it was let in") };
        assert!(matches!(fault, TransportFault::TlsFailed | TransportFault::Broken), "{who:?}: {fault:?}");
    }
    assert!(far.hops.next().is_none(), "nothing came of them");
    // The alert that tells the client leaves before it is counted.
    counted(&far.counters.handshake_failed, 3);
}

/// RFC 5923 §8.2: a target that connects to us and proves to be itself is spoken to by its own connection; who proves to be another is not.
#[test]
fn a_target_that_offers_it_is_reached_by_the_connection_it_opened() {
    let files = Files::new("alias");
    for (who, is_reached) in [("ca-good", true), ("ca-other", false)] {
        let target = SocketAddr::new(address(29).ip(), 5_061);
        let mut far = Rig::new(28, Transport::Tls, StreamLimits::default(), |_| {
            let (tls, _) = files.server("ca-good", Some("ca.pem"));
            (tls, files.client(target, None, true).1)
        });
        let to = far.at;
        let mut near = Rig::new(29, Transport::Tls, StreamLimits::default(), |_| files.client(to, Some(who), true));
        let offer = String::from_utf8(request(1)).expect("text");
        let offer = offer.replace("\r\nCall-ID", "\r\nVia: SIP/2.0/TLS sbc:5061;alias;branch=z9hG4bK1\r\nCall-ID");
        near.send(to, offer.as_bytes());
        let (by, _) = far.message();
        far.send(target, &request(2));
        if !is_reached {
            assert_eq!(
                far.refused(),
                (request(2), TransportFault::PortUnreachable),
                "a connection of our own is tried"
            );
            continue;
        }
        assert_eq!(near.message(), (near.flow(to), request(2)));
        assert_eq!((far.counters.aliased.get(), far.counters.begun.get()), (1, 0));
        drop(near);
        assert_eq!((far.broken().0, far.broken().0), (by, far.flow(target)), "both ways are dead");
    }
}

#[test]
fn whoever_does_not_agree_on_tls_is_cut_in_time() {
    let files = Files::new("half-open");
    let limits = StreamLimits { handshake: Span::from_millis(200), handshakes: 2, ..StreamLimits::default() };
    let far = Rig::new(27, Transport::Tls, limits, |_| files.server("ca-good", None));
    let (mut first, _second, mut third) = (far.connect(), far.connect(), far.connect());
    assert!(is_closed(&mut third), "only two at once");
    assert!(is_closed(&mut first), "and not for long");
    assert_eq!(far.counters.refused_handshakes.get(), 1);
    let mut plain = far.connect();
    plain.write_all(&request(1)).expect("written");
    assert!(is_closed(&mut plain), "clear text is no TLS");
    assert!(far.counters.handshake_failed.get() >= 2);
}

#[test]
fn nobody_is_spoken_to_whom_nobody_vouches_for() {
    let files = Files::new("nobody");
    let elsewhere = SocketAddr::from(([127, 1, 7, 29], 5061));
    let mut near = Rig::new(28, Transport::Tls, StreamLimits::default(), |_| files.client(elsewhere, None, true));
    near.send(address(30), &request(1));
    assert_eq!(near.refused(), (request(1), TransportFault::CertificateUntrusted));
    assert_eq!(near.counters.refused_no_trust.get(), 1);
}

#[test]
fn files_that_will_not_do_say_what_to_do() {
    let files = Files::new("files");
    let fault = |tls: &ListenTls| server(tls, &files.0).expect_err("a fault");
    let tls = |certificate: &str, key: &str| ListenTls {
        identity: Identity { certificate: certificate.to_owned(), key: key.to_owned() },
        client_ca: None,
        only_1_3: true,
    };
    assert!(fault(&tls("none.pem", "ca-good.key")).contains("give a certificate in PEM"));
    assert!(fault(&tls("ca-good.pem", "ca-good.pem")).contains("must name a private key"));
    assert!(fault(&tls("ca-good.pem", "ca-old.key")).contains("do not belong together"));
    assert!(fault(&tls("ca-good.key", "ca-good.key")).contains("no certificate"));
    server(&tls("ca-good.pem", "ca-good.key"), Path::new(&files.0)).expect("good ones");
}

#[test]
fn our_own_certificate_is_looked_at_before_it_expires() {
    let files = Files::new("expiry");
    let read = |who: &str, year_s: i64| {
        let text = format!(
            "[listen.wan]\nsip = [\"tls:127.1.7.31:5061\"]\ntls = {{ certificate = \"{who}.pem\", key = \"{who}.key\" }}\n\
             [trunk.acme]\nat = \"sips:127.1.7.32\"\nlisten = \"wan\"\ntls = {{ trust = \"ca.pem\" }}\n\
             [group.carriers]\ntiers = [[\"acme\"]]\nalone = true\n[[route]]\nto = \"carriers\"\n"
        );
        let settings = edge::config::compile(&text, "edge.toml", &|_| None, None).settings.expect("a good one");
        let now = model::Wall::from_micros(year_s * 1_000_000);
        TlsPlan::read(&settings, &files.0, now)
            .map(|plan| (plan.warnings(now), plan.clients(&settings).len(), plan.servers.len()))
    };
    // 2100-01-01 is 4,102,444,800.
    assert_eq!(read("ca-good", 1_900_000_000), Ok((Vec::new(), 1, 1)));
    let (soon, ..) = read("ca-good", 4_102_444_800 - 12 * 86_400).expect("it works still");
    assert!(soon[0].contains("ca-good.pem: it expires in 12 days"), "{soon:?}");
    let expired = read("ca-old", 1_900_000_000).expect_err("a fault");
    assert!(expired[0].contains("ca-old.pem: it has expired"), "{expired:?}");
    assert!(read("nobody", 0).expect_err("a fault")[0].contains("give a certificate in PEM"));
}
