//! RTP sockets of one shard: pairs of ports, opened ahead of need and kept open, and the loop that relays between them.
//!
//! A packet that passes costs one receiving and one sending call and nothing else: no allocation, no clock, no timer, no lock. One
//! receive per ready socket, since a socket rarely holds two packets; what is left over is told again by the next wait.
//! Refuses to know: where a packet goes, which the caller's `forward` decides.

use super::address::{ROOM, RawAddress};
use super::epoll::{Epoll, Trigger};
use super::socket::{self, Wanted};
use media::{Component, Forward, Made, Packet, PairId};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The largest UDP datagram, and room behind it for what security adds.
const LARGEST: usize = 65_535 + 64;
/// Sockets served at once, so that SIP waits for at most so many packets.
const BATCH: usize = 256;

/// Whoever knows where packets go.
pub(crate) trait Relays {
    /// One packet that came in.
    fn forward(&mut self, pair: PairId, component: Component, from: SocketAddr, packet: &mut Packet<'_>) -> Forward;
    /// What was made of it, until there is no more.
    fn poll_made(&mut self) -> Option<Made<'_>>;
}

/// What has passed through the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaCounters {
    /// Packets received.
    pub(crate) received: u64,
    /// Packets sent on.
    pub(crate) sent: u64,
    /// Packets the relay let go.
    pub(crate) dropped: u64,
    /// Packets that could not be sent because the socket's buffer was full.
    pub(crate) send_full: u64,
    /// Packets that could not be sent for another reason.
    pub(crate) send_failed: u64,
}

#[derive(Debug)]
struct Pair {
    rtp: OwnedFd,
    rtcp: OwnedFd,
}

/// All media sockets of one shard. A pair's number is its place of opening.
pub(crate) struct MediaSockets {
    epoll: Epoll,
    pairs: Vec<Pair>,
    limit: usize,
    packet: Box<[u8]>,
    counters: MediaCounters,
}

impl MediaSockets {
    /// No sockets yet; at most `limit` pairs.
    pub(crate) fn new(limit: usize) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(BATCH)?,
            pairs: Vec::new(),
            limit,
            packet: vec![0; LARGEST].into_boxed_slice(),
            counters: MediaCounters::default(),
        })
    }

    /// Opens the pair `port`, `port + 1` (RFC 3550 §11: RTP even, RTCP the next odd one).
    pub(crate) fn open(&mut self, ip: IpAddr, port: u16) -> io::Result<(PairId, SocketAddr)> {
        if self.pairs.len() >= self.limit {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        let address = SocketAddr::new(ip, port);
        let rtp = socket::open(address, Wanted::default())?;
        let rtcp = socket::open(SocketAddr::new(ip, port.saturating_add(1)), Wanted::default())?;
        let pair = PairId(self.pairs.len() as u32);
        self.epoll.add(&rtp, token(pair, Component::Rtp), Trigger::Level)?;
        self.epoll.add(&rtcp, token(pair, Component::Rtcp), Trigger::Level)?;
        self.pairs.push(Pair { rtp, rtcp });
        Ok((pair, address))
    }

    /// Relays what has arrived, without waiting: one packet from each ready socket. Returns packets received, and whether
    /// there may be more at once.
    pub(crate) fn relay(&mut self, relays: &mut impl Relays) -> io::Result<(u32, bool)> {
        let ready = self.epoll.wait(0)?;
        let mut received = 0;
        for index in 0..ready {
            let (pair, component) = from_token(self.epoll.event(index).0);
            let Some(from) = self.pairs.get(pair.0 as usize).map(|pair| pair.of(component)) else { continue };
            let Some((sender, length)) = receive(from, &mut self.packet) else { continue };
            received += 1;
            let mut packet = Packet::new(&mut self.packet, length);
            match relays.forward(pair, component, sender, &mut packet) {
                Forward::Send { pair, component, to } => {
                    if let Some(by) = self.pairs.get(pair.0 as usize).map(|pair| pair.of(component)) {
                        count_sent(&mut self.counters, send(by, to, packet.bytes()));
                    }
                }
                Forward::Made => {
                    while let Some(made) = relays.poll_made() {
                        self.send(made.pair, made.component, made.to, made.packet);
                    }
                }
                // Taken in by `forward` itself.
                Forward::Local => {}
                Forward::Drop(_) => self.counters.dropped += 1,
            }
        }
        self.counters.received += u64::from(received);
        Ok((received, self.epoll.full()))
    }

    /// Sends a packet of our own.
    pub(crate) fn send(&mut self, pair: PairId, component: Component, to: SocketAddr, packet: &[u8]) {
        if let Some(by) = self.pairs.get(pair.0 as usize).map(|pair| pair.of(component)) {
            count_sent(&mut self.counters, send(by, to, packet));
        }
    }

    /// What has passed.
    pub(crate) fn counters(&self) -> MediaCounters {
        self.counters
    }

    /// Pairs open.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }
}

/// Readable while any of the sockets is.
impl AsFd for MediaSockets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Pair {
    #[inline]
    fn of(&self, component: Component) -> &OwnedFd {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }
}

fn token(pair: PairId, component: Component) -> u64 {
    u64::from(pair.0) << 1 | u64::from(component == Component::Rtcp)
}

#[inline]
fn from_token(token: u64) -> (PairId, Component) {
    let component = if token & 1 == 0 { Component::Rtp } else { Component::Rtcp };
    (PairId((token >> 1) as u32), component)
}

/// One packet and who sent it; none when there is none after all.
#[inline]
fn receive(socket: &OwnedFd, packet: &mut [u8]) -> Option<(SocketAddr, usize)> {
    let mut peer = RawAddress::EMPTY;
    let mut room = ROOM;
    // SAFETY: the pointers and lengths are those of a live buffer and a live address.
    let length = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            packet.as_mut_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT,
            (&raw mut peer).cast(),
            &raw mut room,
        )
    };
    let length = usize::try_from(length).ok()?;
    Some((peer.get()?, length))
}

#[inline]
fn send(socket: &OwnedFd, to: SocketAddr, packet: &[u8]) -> Result<(), i32> {
    let (peer, length) = RawAddress::new(to);
    // SAFETY: the pointers and lengths are those of a live packet and a live address.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            libc::MSG_DONTWAIT,
            (&raw const peer).cast(),
            length,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(()) }
}

#[inline]
fn count_sent(counters: &mut MediaCounters, sent: Result<(), i32>) {
    match sent {
        Ok(()) => counters.sent += 1,
        Err(libc::EAGAIN | libc::ENOBUFS) => counters.send_full += 1,
        Err(_) => counters.send_failed += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Dropped;
    use std::net::UdpSocket;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 81));

    fn sockets() -> MediaSockets {
        MediaSockets::new(16).expect("epoll")
    }

    /// Opens a pair at the first free even port: other tests run beside this one.
    fn pair(sockets: &mut MediaSockets) -> (PairId, SocketAddr) {
        (20_000..40_000).step_by(2).find_map(|port| sockets.open(IP, port).ok()).expect("a free pair")
    }

    fn peer() -> UdpSocket {
        let socket = UdpSocket::bind((IP, 0)).expect("a socket");
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a timeout");
        socket
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

    #[test]
    fn a_packet_leaves_by_the_other_pair_and_comes_from_its_port() {
        let mut sockets = sockets();
        let (a, at_a) = pair(&mut sockets);
        let (b, at_b) = pair(&mut sockets);
        let (left, right) = (peer(), peer());
        let to = right.local_addr().expect("an address");
        for (component, step) in [(Component::Rtp, 0), (Component::Rtcp, 1)] {
            left.send_to(b"hello", (IP, at_a.port() + step)).expect("sent");
            wait(&sockets);
            let relayed = sockets.relay(&mut By(|pair, on, from, packet: &mut Packet<'_>| {
                assert_eq!((pair, on, Ok(from)), (a, component, left.local_addr().map_err(|_| ())));
                packet.bytes_mut()[0] = b'j';
                Forward::Send { pair: b, component, to }
            }));
            assert_eq!(relayed.expect("a turn"), (1, false));
            let mut got = [0; 16];
            let (length, from) = right.recv_from(&mut got).expect("a packet");
            assert_eq!((&got[..length], from), (&b"jello"[..], SocketAddr::new(IP, at_b.port() + step)));
        }
        assert_eq!(sockets.counters(), MediaCounters { received: 2, sent: 2, ..MediaCounters::default() });
    }

    #[test]
    fn a_packet_of_our_own_leaves_by_its_port_and_one_for_us_goes_nowhere() {
        let mut sockets = sockets();
        let (own, at) = pair(&mut sockets);
        let far = peer();
        sockets.send(own, Component::Rtcp, far.local_addr().expect("an address"), b"ours");
        let mut got = [0; 16];
        let (length, from) = far.recv_from(&mut got).expect("a packet");
        assert_eq!((&got[..length], from), (&b"ours"[..], SocketAddr::new(IP, at.port() + 1)));
        far.send_to(b"theirs", at).expect("sent");
        wait(&sockets);
        let mut heard = Vec::new();
        let turn = sockets.relay(&mut By(|pair, component, _, packet: &mut Packet<'_>| {
            heard.push((pair, component, packet.bytes().to_vec()));
            Forward::Local
        }));
        assert_eq!(turn.expect("a turn").0, 1);
        assert_eq!(heard, [(own, Component::Rtp, b"theirs".to_vec())]);
        assert_eq!(sockets.counters(), MediaCounters { received: 1, sent: 1, ..MediaCounters::default() });
    }

    #[test]
    fn what_is_left_over_is_told_again_and_what_is_dropped_is_counted() {
        let mut sockets = sockets();
        let (_, at) = pair(&mut sockets);
        let left = peer();
        for n in 0..5u8 {
            left.send_to(&[n], at).expect("sent");
        }
        let mut seen = Vec::new();
        while seen.len() < 5 {
            wait(&sockets);
            let turn = sockets.relay(&mut By(|_, _, _, packet: &mut Packet<'_>| {
                seen.push(packet.bytes()[0]);
                Forward::Drop(Dropped::NoAnchor)
            }));
            assert_eq!(turn.expect("a turn").0, 1, "one packet of a socket in a turn");
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(sockets.counters().dropped, 5);
    }

    #[test]
    fn a_taken_port_or_a_full_table_is_refused_and_leaves_nothing_behind() {
        let mut sockets = MediaSockets::new(1).expect("epoll");
        let mut other = MediaSockets::new(4).expect("epoll");
        let (_, at) = pair(&mut other);
        let taken = sockets.open(IP, at.port()).map_err(|error| error.kind());
        assert_eq!(taken.err(), Some(io::ErrorKind::AddrInUse));
        pair(&mut sockets);
        let full = sockets.open(IP, 0).map_err(|error| error.kind());
        assert_eq!(full.err(), Some(io::ErrorKind::QuotaExceeded));
        assert_eq!(sockets.len(), 1);
    }
}
