//! The sockets of the town. A phone by UDP has an address and a port of its own, and no descriptor: one socket serves the same port of all
//! houses, and each datagram says by IP_PKTINFO (ip(7)) whose it is. So a hundred thousand phones need no more open files than are usual.
//!
//! Refuses to know: what is said by them.

use sip::{Framer, Piece};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Sockets told of at once.
const BATCH: usize = 1_024;
/// The longest message.
const LONGEST: usize = 65_536;
/// A connection on loopback stands at once, or nobody listens.
const CONNECT: Duration = Duration::from_secs(1);
/// Bytes that may wait in a socket: a port is that of hundreds of phones.
const WAITING: usize = 1 << 20;
/// Room for the one control message that is used.
const CONTROL: usize = 64;

/// Whose a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// That of a phone by UDP.
    Home(SocketAddrV4),
    /// A phone with a connection, by its number.
    Connection(usize),
    /// The carrier's.
    Carrier,
}

/// All of them, and a set to wait for.
#[derive(Debug)]
pub(super) struct Wires {
    set: OwnedFd,
    events: Vec<libc::epoll_event>,
    buffer: Vec<u8>,
    first_port: u16,
    /// By port.
    ports: Vec<UdpSocket>,
    carrier: UdpSocket,
    /// By phone.
    connections: BTreeMap<usize, (TcpStream, Framer)>,
    edge: SocketAddrV4,
}

impl Wires {
    /// Sockets for so many ports, and the carrier's from one address to another.
    pub(super) fn open(
        ports: std::ops::Range<u16>,
        edge: SocketAddrV4,
        (carrier, wan): (SocketAddrV4, SocketAddrV4),
    ) -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else owns it.
        let set = unsafe { OwnedFd::from_raw_fd(raw) };
        let first_port = ports.start;
        let carrier = UdpSocket::bind(carrier)?;
        carrier.connect(wan)?;
        carrier.set_nonblocking(true)?;
        let ports = ports.map(port).collect::<io::Result<Vec<UdpSocket>>>()?;
        let wires = Self {
            set,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; BATCH],
            buffer: vec![0; LONGEST],
            first_port,
            ports,
            carrier,
            connections: BTreeMap::new(),
            edge,
        };
        for (token, socket) in wires.ports.iter().chain([&wires.carrier]).enumerate() {
            wires.watch(socket.as_raw_fd(), token)?;
        }
        Ok(wires)
    }

    /// Whether a phone has a connection.
    pub(super) fn is_connected(&self, phone: usize) -> bool {
        self.connections.contains_key(&phone)
    }

    /// Connects a phone from its address, by a port that the system chooses.
    pub(super) fn connect(&mut self, phone: usize, at: Ipv4Addr) -> io::Result<()> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((at, 0)).into())?;
        socket.connect_timeout(&self.edge.into(), CONNECT)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        self.watch(socket.as_raw_fd(), self.ports.len() + 1 + phone)?;
        self.connections.insert(phone, (socket.into(), Framer::default()));
        Ok(())
    }

    /// Closes a phone's connection; whether it had one.
    pub(super) fn close(&mut self, phone: usize) -> bool {
        self.connections.remove(&phone).is_some()
    }

    /// Says it. What the network refuses is lost, as it is on any; false when the connection is.
    pub(super) fn say(&mut self, place: Place, bytes: &[u8]) -> bool {
        match place {
            Place::Home(home) => {
                let port = usize::from(home.port() - self.first_port);
                send(&self.ports[port], *home.ip(), self.edge, bytes);
                true
            }
            Place::Carrier => {
                // An error is that of an earlier datagram, or of a full buffer.
                let _lost = self.carrier.send(bytes);
                true
            }
            Place::Connection(phone) => match self.connections.get_mut(&phone) {
                Some((stream, _)) => stream.write_all(bytes).is_ok(),
                None => false,
            },
        }
    }

    /// Sockets that have something to tell, within so many milliseconds.
    pub(super) fn wait(&mut self, timeout_ms: i32) -> Vec<usize> {
        let (room, first) = (self.events.len() as i32, self.events.as_mut_ptr());
        // SAFETY: the pointer and length are those of a live Vec, which the kernel fills from its start.
        let ready = unsafe { libc::epoll_wait(self.set.as_raw_fd(), first, room, timeout_ms) };
        let ready = usize::try_from(ready).unwrap_or(0);
        self.events[..ready].iter().map(|event| event.u64 as usize).collect()
    }

    /// Everything that has arrived at one of them; a phone when its connection has ended.
    pub(super) fn read(&mut self, token: usize, heard: &mut Vec<(Place, Vec<u8>)>) -> Option<usize> {
        if let Some(socket) = self.ports.get(token) {
            let port = self.first_port + token as u16;
            while let Some((to, length)) = receive(socket, &mut self.buffer) {
                heard.push((Place::Home(SocketAddrV4::new(to, port)), self.buffer[..length].to_vec()));
            }
            return None;
        }
        let Some(phone) = token.checked_sub(self.ports.len() + 1) else {
            loop {
                match self.carrier.recv(&mut self.buffer) {
                    Ok(length) => heard.push((Place::Carrier, self.buffer[..length].to_vec())),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                    // What an unreachable port has told; there may be more behind it.
                    Err(_) => {}
                }
            }
        };
        let (stream, framer) = self.connections.get_mut(&phone)?;
        loop {
            match stream.read(&mut self.buffer) {
                Ok(0) => return Some(phone),
                Ok(length) => framer.push(&self.buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(phone),
            }
            while let Ok(Some(piece)) = framer.piece() {
                if let Piece::Message(bytes) = piece {
                    heard.push((Place::Connection(phone), bytes));
                }
            }
        }
    }

    fn watch(&self, descriptor: RawFd, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token as u64 };
        // SAFETY: the pointer is that of a live event, which the kernel only reads.
        let done = unsafe { libc::epoll_ctl(self.set.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &raw mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// One port of every address of this machine.
fn port(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(WAITING)?;
    let on: libc::c_int = 1;
    let (value, length) = ((&raw const on).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the pointer and length are those of a live integer, which the kernel only reads.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, value, length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// A control message's room, aligned as its header wants it.
#[repr(C, align(16))]
struct Control([u8; CONTROL]);

/// Sends from this address of ours. What is refused is lost.
fn send(socket: &UdpSocket, from: Ipv4Addr, to: SocketAddrV4, bytes: &[u8]) {
    let mut name = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: raw(*to.ip()),
        sin_zero: [0; 8],
    };
    let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: raw(from), ipi_addr: raw(Ipv4Addr::UNSPECIFIED) };
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL]);
    let length = size_of::<libc::in_pktinfo>() as libc::c_uint;
    // SAFETY: all zero is a valid msghdr. Every pointer set is to a live value for the whole call, the control message fits its room, and
    // sending only reads.
    unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = libc::CMSG_SPACE(length) as usize;
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        ((*first).cmsg_level, (*first).cmsg_type) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
        (*first).cmsg_len = libc::CMSG_LEN(length) as usize;
        libc::CMSG_DATA(first).cast::<libc::in_pktinfo>().write_unaligned(info);
        libc::sendmsg(socket.as_raw_fd(), &raw const header, 0);
    }
}

/// The next datagram: the address of ours that it was for, and its length; none when there is none.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(Ipv4Addr, usize)> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: all zero is a valid msghdr. Every pointer set is to a live value for the whole call, with its true length; control messages are
    // read only as far as the kernel says that they reach.
    unsafe {
        let mut header: libc::msghdr = zeroed();
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        (header.msg_control, header.msg_controllen) = ((&raw mut control).cast(), CONTROL);
        let length = usize::try_from(libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0)).ok()?;
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        if first.is_null() || (*first).cmsg_type != libc::IP_PKTINFO {
            return None;
        }
        let info = libc::CMSG_DATA(first).cast::<libc::in_pktinfo>().read_unaligned();
        Some((Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()), length))
    }
}

fn raw(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}
