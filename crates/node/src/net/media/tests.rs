//! Media sockets on loopback: what must hold by the portable path and by io_uring alike.
//!
//! Where the machine has no io_uring the same tests run by the portable path alone, and say so.
#![allow(clippy::expect_used)]

use super::buffers::{BUFFERS, SPARE};
use super::*;
use media::Dropped;
use std::collections::VecDeque;
use std::net::UdpSocket;

const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 81));
const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// Sockets of each path that this machine has.
fn paths() -> Vec<MediaSockets> {
    let mut by_ring = MediaSockets::new(16).expect("epoll");
    let mut paths = vec![MediaSockets::new(16).expect("epoll")];
    match by_ring.use_ring() {
        Ok(()) => paths.push(by_ring),
        Err(error) => println!("no io_uring here: {error}"),
    }
    paths
}

/// Opens a pair at the first free even port: other tests run beside this one.
fn pair_at(sockets: &mut MediaSockets, ip: IpAddr) -> (PairId, SocketAddr) {
    (20_000..40_000).step_by(2).find_map(|port| sockets.open(ip, port).ok()).expect("a free pair")
}

fn pair(sockets: &mut MediaSockets) -> (PairId, SocketAddr) {
    pair_at(sockets, V4)
}

fn peer_at(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("a socket");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a timeout");
    socket
}

fn peer() -> UdpSocket {
    peer_at(V4)
}

fn at(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("an address")
}

/// Every packet goes as this says.
struct By<F>(F);

impl<F: FnMut(PairId, Component, SocketAddr, &mut Packet<'_>) -> Forward> Relays for By<F> {
    fn forward(&mut self, pair: PairId, on: Component, from: SocketAddr, packet: &mut Packet<'_>) -> Forward {
        self.0(pair, on, from, packet)
    }

    fn poll_made(&mut self) -> Option<Made<'_>> {
        None
    }
}

fn wait(sockets: &MediaSockets) {
    let mut outer = Epoll::new(1).expect("epoll");
    outer.add(sockets, 0, Trigger::Level).expect("epolls nest");
    assert_eq!(outer.wait(5_000).expect("a wait"), 1, "nothing came");
}

/// Relays until so many packets have come; the most of one turn.
fn relay(sockets: &mut MediaSockets, count: u32, relays: &mut impl Relays) -> u32 {
    let (mut received, mut most, mut more) = (0, 0, false);
    while received < count {
        if !more {
            wait(sockets);
        }
        let turn = sockets.relay(relays).expect("a turn");
        (received, most, more) = (received + turn.0, most.max(turn.0), turn.1);
    }
    assert_eq!(received, count);
    most
}

/// What it has counted, the same by either path.
fn counted(sockets: &MediaSockets) -> MediaCounters {
    let counters = sockets.counters();
    assert_eq!(counters.by_ring, if sockets.ring.is_some() { counters.received } else { 0 });
    MediaCounters { by_ring: 0, ..counters }
}

fn got(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65_535];
    loop {
        match socket.recv_from(&mut bytes) {
            // The end of the ring of a trial interrupts whatever its thread waits for.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            received => {
                let (length, from) = received.expect("a packet");
                bytes.truncate(length);
                return (bytes, from);
            }
        }
    }
}

#[test]
fn a_packet_leaves_by_the_other_pair_and_comes_from_its_port() {
    for (mut sockets, ip) in paths().into_iter().zip([V4, V4]).chain(paths().into_iter().zip([V6, V6])) {
        let (a, at_a) = pair_at(&mut sockets, ip);
        let (b, at_b) = pair_at(&mut sockets, ip);
        let (left, right) = (peer_at(ip), peer_at(ip));
        for (component, step) in [(Component::Rtp, 0), (Component::Rtcp, 1)] {
            left.send_to(b"hello", (ip, at_a.port() + step)).expect("sent");
            let mut seen = 0;
            relay(
                &mut sockets,
                1,
                &mut By(|pair, on, from, packet: &mut Packet<'_>| {
                    assert_eq!((pair, on, from), (a, component, at(&left)));
                    packet.bytes_mut()[0] = b'j';
                    packet.resize(6).expect("there is room behind a packet");
                    packet.bytes_mut()[5] = b'!';
                    seen += 1;
                    Forward::Send { pair: b, component, to: at(&right) }
                }),
            );
            assert_eq!((seen, got(&right)), (1, (b"jello!".to_vec(), SocketAddr::new(ip, at_b.port() + step))));
        }
        assert_eq!(counted(&sockets), MediaCounters { received: 2, sent: 2, ..MediaCounters::default() });
        assert!(sockets.relay(&mut By(|_, _, _, _: &mut Packet<'_>| Forward::Local)).expect("a turn") == (0, false));
    }
}

#[test]
fn a_packet_of_our_own_leaves_by_its_port_and_one_for_us_goes_nowhere() {
    for mut sockets in paths() {
        let (own, own_at) = pair(&mut sockets);
        let far = peer();
        sockets.send(own, Component::Rtcp, at(&far), b"ours");
        assert_eq!(got(&far), (b"ours".to_vec(), SocketAddr::new(V4, own_at.port() + 1)));
        far.send_to(b"theirs", (V4, own_at.port() + 1)).expect("sent");
        let mut heard = Vec::new();
        relay(
            &mut sockets,
            1,
            &mut By(|pair, component, _, packet: &mut Packet<'_>| {
                heard.push((pair, component, packet.bytes().to_vec()));
                Forward::Local
            }),
        );
        assert_eq!(heard, [(own, Component::Rtcp, b"theirs".to_vec())]);
        assert_eq!(counted(&sockets), MediaCounters { received: 1, sent: 1, ..MediaCounters::default() });
    }
}

/// More than the kernel is given buffers for, in a few sockets at once.
#[test]
fn a_crowd_of_packets_is_relayed_whole_in_order_and_a_part_of_it_in_a_turn() {
    for mut sockets in paths() {
        let (out, _) = pair(&mut sockets);
        let (right, left) = (peer(), peer());
        let ins: Vec<SocketAddr> = (0..6).map(|_| pair(&mut sockets).1).collect();
        const EACH: u16 = 200;
        for n in 0..EACH {
            ins.iter().for_each(|to| assert_eq!(left.send_to(&n.to_be_bytes(), to).ok(), Some(2)));
        }
        let total = u32::from(EACH) * ins.len() as u32;
        assert!(total > 2 * u32::from(BUFFERS));
        let mut seen = [0u16; 7];
        let mut sum = 0u64;
        let most = relay(
            &mut sockets,
            total,
            &mut By(|pair: PairId, _, _, packet: &mut Packet<'_>| {
                let number = u16::from_be_bytes([packet.bytes()[0], packet.bytes()[1]]);
                assert_eq!(number, seen[pair.0 as usize], "of pair {}", pair.0);
                seen[pair.0 as usize] += 1;
                if !number.is_multiple_of(50) {
                    return Forward::Drop(Dropped::NoAnchor);
                }
                sum += u64::from(number);
                Forward::Send { pair: out, component: Component::Rtp, to: at(&right) }
            }),
        );
        assert!(most <= BATCH as u32, "{most} in one turn");
        let sent = u64::from(total) / 50;
        let heard: u64 = (0..sent).map(|_| got(&right).0).map(|n| u64::from(u16::from_be_bytes([n[0], n[1]]))).sum();
        assert_eq!(heard, sum);
        let dropped = u64::from(total) - sent;
        let expected = MediaCounters { received: total.into(), sent, dropped, ..MediaCounters::default() };
        assert_eq!(counted(&sockets), expected);
    }
}

#[test]
fn packets_of_any_size_pass_empty_ones_too() {
    for mut sockets in paths() {
        let (a, at_a) = pair(&mut sockets);
        let (left, right) = (peer(), peer());
        let sizes = [0usize, 1, 12, 0, 0, 172, 1_500, 9_000, 65_507, 0, 65_507, 3];
        for (n, size) in sizes.iter().enumerate() {
            let bytes = vec![n as u8; *size];
            left.send_to(&bytes, at_a).expect("sent");
            let to = at(&right);
            relay(
                &mut sockets,
                1,
                &mut By(|_, component, _, packet: &mut Packet<'_>| {
                    assert_eq!(packet.bytes(), bytes, "packet {n}");
                    packet.resize(size + BEHIND).expect("there is room behind every packet");
                    packet.resize(*size).expect("and it can be given back");
                    Forward::Send { pair: a, component, to }
                }),
            );
            assert_eq!(got(&right).0, bytes, "packet {n}");
        }
    }
}

/// Makes so many packets of each that comes in, by the other port.
struct Maker {
    each: usize,
    to: SocketAddr,
    waiting: VecDeque<Vec<u8>>,
    last: Vec<u8>,
}

impl Relays for Maker {
    fn forward(&mut self, _: PairId, _: Component, _: SocketAddr, packet: &mut Packet<'_>) -> Forward {
        let came = packet.bytes()[0];
        if came == b'.' {
            return Forward::Send { pair: PairId(0), component: Component::Rtcp, to: self.to };
        }
        self.waiting.extend((0..self.each).map(|n| vec![came, (n >> 8) as u8, n as u8]));
        Forward::Made
    }

    fn poll_made(&mut self) -> Option<Made<'_>> {
        self.last = self.waiting.pop_front()?;
        Some(Made { pair: PairId(0), component: Component::Rtcp, to: self.to, packet: &self.last })
    }
}

#[test]
fn what_is_made_of_a_packet_leaves_in_its_place_however_much_it_is() {
    for mut sockets in paths() {
        let (_, own_at) = pair(&mut sockets);
        let (left, right) = (peer(), peer());
        for each in [0, 1, 6, usize::from(SPARE) + 9] {
            let mut maker = Maker { each, to: at(&right), waiting: VecDeque::new(), last: Vec::new() };
            left.send_to(b"a", own_at).expect("sent");
            left.send_to(b".", own_at).expect("sent");
            left.send_to(b"b", own_at).expect("sent");
            relay(&mut sockets, 3, &mut maker);
            let of = |came: u8| (0..each).map(move |n| vec![came, (n >> 8) as u8, n as u8]);
            for expected in of(b'a').chain([vec![b'.']]).chain(of(b'b')) {
                assert_eq!(got(&right), (expected, SocketAddr::new(V4, own_at.port() + 1)));
            }
        }
        let counters = sockets.counters();
        assert_eq!((counters.received, counters.dropped, counters.send_full, counters.send_failed), (12, 0, 0, 0));
    }
}

#[test]
fn what_cannot_be_sent_is_counted_and_stops_nothing() {
    for mut sockets in paths() {
        let (a, at_a) = pair(&mut sockets);
        let (left, right) = (peer(), peer());
        // No IPv4 socket sends to IPv6, and no pair has this number.
        let (odd, none) = (SocketAddr::new(V6, 9), PairId(15));
        let ways = [(a, odd), (a, at(&right)), (none, at(&right)), (a, at(&right))];
        let mut ways = ways.into_iter();
        (0..4u8).for_each(|n| assert!(left.send_to(&[n], at_a).is_ok()));
        relay(
            &mut sockets,
            4,
            &mut By(|_, component, _, _: &mut Packet<'_>| {
                let (pair, to) = ways.next().expect("four packets");
                Forward::Send { pair, component, to }
            }),
        );
        assert_eq!((got(&right).0, got(&right).0), (vec![1], vec![3]));
        let expected = MediaCounters { received: 4, sent: 2, send_failed: 2, ..MediaCounters::default() };
        assert_eq!(counted(&sockets), expected);
    }
}

/// Sends one packet into the pair and gives what becomes of it at `right`: the packet, and the address that the edge has seen it come from.
fn passed(
    sockets: &mut MediaSockets,
    by: &UdpSocket,
    (into, out): (SocketAddr, PairId),
    right: &UdpSocket,
) -> SocketAddr {
    by.send_to(b"speech", into).expect("sent");
    let mut seen = None;
    relay(
        sockets,
        1,
        &mut By(|_, component, from, _: &mut Packet<'_>| {
            seen = Some(from);
            Forward::Send { pair: out, component, to: at(right) }
        }),
    );
    assert_eq!(got(right).0, b"speech");
    seen.expect("a packet was seen")
}

fn connected(sockets: &MediaSockets, pair: PairId) -> bool {
    sockets.pairs[pair.0 as usize].peering.is_connected()
}

#[test]
fn a_steady_stream_has_a_connected_socket_and_the_port_hears_everybody_as_before() {
    for ip in [V4, V6] {
        let mut sockets = MediaSockets::new(16).expect("epoll");
        let (a, at_a) = pair_at(&mut sockets, ip);
        let (b, at_b) = pair_at(&mut sockets, ip);
        let (left, right, stranger) = (peer_at(ip), peer_at(ip), peer_at(ip));
        for _ in 0..peering::STEADY {
            assert!(!connected(&sockets, b));
            passed(&mut sockets, &left, (at_a, b), &right);
        }
        assert!(connected(&sockets, b) && !connected(&sockets, a));
        // The connected one is heard, and so is whoever else speaks, each by its own address.
        for speaker in [&right, &stranger, &right, &stranger, &stranger] {
            assert_eq!(passed(&mut sockets, speaker, (at_b, a), &left), at(speaker));
        }
        // What leaves for the peer comes from the port that he knows.
        let mut bytes = [0; 9];
        left.send_to(b"speech", at_a).expect("sent");
        relay(
            &mut sockets,
            1,
            &mut By(|_, component, _, _: &mut Packet<'_>| Forward::Send { pair: b, component, to: at(&right) }),
        );
        assert_eq!(right.recv_from(&mut bytes).expect("a packet").1, at_b);
    }
}

#[test]
fn streams_that_begin_together_are_connected_one_after_the_other() {
    let mut sockets = MediaSockets::new(16).expect("epoll");
    let ins: Vec<(PairId, SocketAddr)> = (0..4).map(|_| pair(&mut sockets)).collect();
    let (left, right) = (peer(), peer());
    let of_them = |sockets: &MediaSockets| ins.iter().filter(|(pair, _)| connected(sockets, *pair)).count();
    for _ in 0..usize::from(peering::STEADY) + ins.len() {
        ins.iter().for_each(|(_, at)| assert_eq!(left.send_to(b"speech", at).ok(), Some(6)));
        let (mut came, mut more) = (0, false);
        while came < ins.len() as u32 {
            if !more {
                wait(&sockets);
            }
            let before = of_them(&sockets);
            let by = |pair, component, _, _: &mut Packet<'_>| Forward::Send { pair, component, to: at(&right) };
            let turn = sockets.relay(&mut By(by)).expect("a turn");
            assert!(of_them(&sockets) <= before + 1, "more than one in a turn");
            (came, more) = (came + turn.0, turn.1);
        }
        ins.iter().for_each(|_| assert_eq!(got(&right).0, b"speech"));
    }
    assert_eq!(of_them(&sockets), ins.len());
}

#[test]
fn a_stream_that_goes_elsewhere_takes_its_socket_along() {
    let mut sockets = MediaSockets::new(16).expect("epoll");
    let (_, at_a) = pair(&mut sockets);
    let (b, at_b) = pair(&mut sockets);
    let (left, right, moved) = (peer(), peer(), peer());
    for to in [&right, &moved, &right] {
        passed(&mut sockets, &left, (at_a, b), to);
        assert!(!connected(&sockets, b), "nobody is connected by one packet");
        for _ in 1..peering::STEADY {
            passed(&mut sockets, &left, (at_a, b), to);
        }
        assert!(connected(&sockets, b));
        // A packet of our own to somebody else leaves all the same, and changes nothing.
        sockets.send(b, Component::Rtp, at(&left), b"ours");
        assert_eq!(got(&left), (b"ours".to_vec(), at_b));
        assert!(connected(&sockets, b));
        let (_, heard) = [&right, &moved].map(|speaker| passed(&mut sockets, speaker, (at_b, PairId(0)), &left)).into();
        assert_eq!(heard, at(&moved));
    }
    assert_eq!(sockets.counters().send_failed, 0);
}

#[test]
fn a_peer_that_has_refused_misses_no_packet_once_it_is_back() {
    let mut sockets = MediaSockets::new(16).expect("epoll");
    let (_, at_a) = pair(&mut sockets);
    let (b, _) = pair(&mut sockets);
    let (left, right) = (peer(), peer());
    for _ in 0..peering::STEADY {
        passed(&mut sockets, &left, (at_a, b), &right);
    }
    let gone = at(&right);
    drop(right);
    let to_gone = |sockets: &mut MediaSockets| {
        left.send_to(b"speech", at_a).expect("sent");
        let mut relays = By(|_, component, _, _: &mut Packet<'_>| Forward::Send { pair: b, component, to: gone });
        relay(sockets, 1, &mut relays);
    };
    to_gone(&mut sockets);
    // On loopback the refusal is there when the sending call returns.
    let back = UdpSocket::bind(gone).expect("the port again");
    back.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a timeout");
    for _ in 0..3 {
        to_gone(&mut sockets);
        assert_eq!(got(&back).0, b"speech");
    }
    assert_eq!(sockets.counters().send_failed, 0);
}

#[test]
fn a_refusal_is_of_the_packet_before() {
    let right = peer();
    let socket = socket::open(SocketAddr::new(V4, 0), Wanted::default()).expect("a socket");
    socket::connect(&socket, Some(at(&right))).expect("connected");
    let gone = at(&right);
    drop(right);
    send(&socket, gone, b"into the void").expect("sent");
    let back = UdpSocket::bind(gone).expect("the port again");
    assert_eq!(send(&socket, gone, b"refused"), Err(libc::ECONNREFUSED));
    send(&socket, gone, b"sent").expect("sent");
    assert_eq!(got(&back).0, b"sent");
}

#[test]
fn without_a_descriptor_for_a_second_socket_none_is_connected() {
    let mut sockets = MediaSockets::new(16).expect("epoll");
    sockets.portable = Portable::new(2);
    let (_, at_a) = pair(&mut sockets);
    let (b, _) = pair(&mut sockets);
    let (left, right) = (peer(), peer());
    for _ in 0..2 * peering::STEADY {
        passed(&mut sockets, &left, (at_a, b), &right);
    }
    assert!(!connected(&sockets, b));
}

#[test]
fn when_the_ring_is_given_up_its_sockets_go_on() {
    for mut sockets in paths().into_iter().skip(1) {
        let (a, at_a) = pair(&mut sockets);
        let (left, right) = (peer(), peer());
        left.send_to(b"before", at_a).expect("sent");
        sockets.fall_back(&io::Error::other("as if it had failed")).expect("epoll");
        let (_, at_b) = pair(&mut sockets);
        left.send_to(b"after", at_b).expect("sent");
        let mut from = Vec::new();
        relay(
            &mut sockets,
            2,
            &mut By(|pair: PairId, component, _, _: &mut Packet<'_>| {
                from.push(pair);
                Forward::Send { pair: a, component, to: at(&right) }
            }),
        );
        from.sort();
        assert_eq!(from, [PairId(0), PairId(1)]);
        let mut heard = [got(&right).0, got(&right).0];
        heard.sort();
        assert_eq!(heard, [b"after".to_vec(), b"before".to_vec()]);
        assert_eq!(sockets.fallbacks(), 1);
    }
}

#[test]
fn the_last_descriptors_are_left_to_everything_else() {
    let mut sockets = MediaSockets::new(16).expect("epoll");
    pair(&mut sockets);
    sockets.highest = 2;
    let full = sockets.open(V4, 0).map_err(|error| error.kind());
    assert_eq!((full.err(), sockets.len()), (Some(io::ErrorKind::QuotaExceeded), 1));
}

#[test]
fn a_taken_port_or_a_full_table_is_refused_and_leaves_nothing_behind() {
    let mut small = MediaSockets::new(1).expect("epoll");
    let mut small_ring = MediaSockets::new(1).expect("epoll");
    let _as_good_without = small_ring.use_ring();
    for sockets in [&mut small, &mut small_ring] {
        let mut other = MediaSockets::new(4).expect("epoll");
        let (_, at) = pair(&mut other);
        let taken = sockets.open(V4, at.port()).map_err(|error| error.kind());
        assert_eq!(taken.err(), Some(io::ErrorKind::AddrInUse));
        pair(sockets);
        let full = sockets.open(V4, 0).map_err(|error| error.kind());
        assert_eq!(full.err(), Some(io::ErrorKind::QuotaExceeded));
        assert_eq!(sockets.len(), 1);
    }
}
