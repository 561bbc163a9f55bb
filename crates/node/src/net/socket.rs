//! UDP sockets opened with the options a SIP edge needs.
//!
//! Std's `UdpSocket::bind` cannot set an option before it binds, and address sharing and IPv6-only must be set before.
//! Refuses to know: what is sent.

use super::address::RawAddress;
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What kind of UDP socket is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Several sockets share the address, and the kernel spreads what comes in over them (SO_REUSEPORT).
    pub(crate) shared: bool,
    /// ICMP errors are kept with what was sent (IP_RECVERR), to be read from the error queue.
    pub(crate) errors: bool,
    /// Receive buffer in bytes; the kernel's default when none.
    pub(crate) receive_buffer: Option<u32>,
}

/// Opens a non-blocking UDP socket on `address`.
pub(crate) fn open(address: SocketAddr, wanted: Wanted) -> io::Result<OwnedFd> {
    let socket = unbound(address)?;
    if wanted.shared {
        set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
    if wanted.errors {
        keep_errors(&socket, address.is_ipv4())?;
    }
    if let Some(bytes) = wanted.receive_buffer {
        enlarge(&socket, bytes);
    }
    bind(&socket, address)?;
    Ok(socket)
}

/// A socket of the family of `address`.
fn unbound(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: takes no pointers.
    let raw = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    if address.is_ipv6() {
        // [::] must not take IPv4 too: then one peer would have two spellings.
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    Ok(socket)
}

fn bind(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let (name, length) = RawAddress::new(address);
    // SAFETY: the pointer and length are those of a live address.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), length) };
    if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Opens a second socket on the address of `first`. What comes from the one that either is connected to goes there; what comes from anybody else goes
/// to one of those that are not connected.
pub(crate) fn open_beside(first: &OwnedFd) -> io::Result<OwnedFd> {
    let address = local(first)?;
    let second = unbound(address)?;
    // Asked of both and only while the second is bound: afterwards the address is nobody else's to share (socket(7), SO_REUSEADDR). SO_REUSEPORT
    // would do as well, but spread what comes over both by a hash.
    share(first, &second, true)?;
    let bound = bind(&second, address);
    share(first, &second, false)?;
    bound.map(|()| second)
}

fn share(first: &OwnedFd, second: &OwnedFd, on: bool) -> io::Result<()> {
    set(first, libc::SOL_SOCKET, libc::SO_REUSEADDR, on.into())?;
    set(second, libc::SOL_SOCKET, libc::SO_REUSEADDR, on.into())
}

/// Connects a UDP socket: it sends there without being told, and hears nobody else. With no address it is connected
/// no longer, and keeps the port that it was bound to by number.
pub(crate) fn connect(socket: &OwnedFd, to: Option<SocketAddr>) -> io::Result<()> {
    // All zero is of no family, which ends a connection (connect(2)).
    let (name, length) = to.map_or((RawAddress::EMPTY, super::address::ROOM), RawAddress::new);
    // SAFETY: the pointer and length are those of a live address.
    let done = unsafe { libc::connect(socket.as_raw_fd(), (&raw const name).cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Errors are queued with the packet that caused them; large datagrams are fragmented rather than refused, as SIP over
/// UDP may exceed the path's MTU (RFC 3261 §18.1.1 prefers TCP then, which the far side may not speak).
fn keep_errors(socket: &OwnedFd, ipv4: bool) -> io::Result<()> {
    if ipv4 {
        set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)
    }
}

/// As large as we may: beyond the system's limit only the privileged get what they ask, others get the limit.
fn enlarge(socket: &OwnedFd, bytes: u32) {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    if set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes).is_err() {
        // A small buffer is no reason not to serve; what overflows it is counted by the kernel.
        let _refused = set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes);
    }
}

fn set(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the pointer and length are those of a live i32.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The address a socket is bound to.
pub(crate) fn local(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let mut name = RawAddress::EMPTY;
    let mut length = super::address::ROOM;
    // SAFETY: the pointer and length are those of a live address.
    let told = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut name).cast(), &raw mut length) };
    if told < 0 {
        return Err(io::Error::last_os_error());
    }
    name.get().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shared_only_on_purpose() {
        let shared = Wanted { shared: true, errors: true, receive_buffer: Some(1 << 20) };
        for any in ["127.0.0.77:0", "[::1]:0"] {
            let first = open(any.parse().expect("an address"), shared).expect("a socket");
            let address = local(&first).expect("a bound socket");
            open(address, shared).expect("a second socket on the same address");
            let alone = open(address, Wanted::default());
            assert_eq!(alone.map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
        }
    }

    fn hears(socket: &OwnedFd) -> Option<u8> {
        let mut byte = [0u8];
        // SAFETY: pointer and length are those of a live array.
        let count = unsafe { libc::recv(socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT) };
        (count == 1).then_some(byte[0])
    }

    #[test]
    fn two_of_one_address_share_what_comes_by_who_is_connected_and_a_third_finds_it_taken() {
        for any in ["127.0.0.77:0", "[::1]:0"] {
            let free = open(any.parse().expect("an address"), Wanted::default()).expect("a socket");
            let address = local(&free).expect("a bound socket");
            drop(free);
            let first = open(address, Wanted::default()).expect("a socket on a port asked for");
            let second = open_beside(&first).expect("a second socket of the port");
            assert_eq!(local(&second).ok(), Some(address));
            let third = std::net::UdpSocket::bind(address).map_err(|error| error.kind());
            assert_eq!(third.err(), Some(io::ErrorKind::AddrInUse));
            let [peer, stranger] =
                [0, 1].map(|_| std::net::UdpSocket::bind((address.ip(), 0)).expect("a socket of whoever calls"));
            connect(&first, peer.local_addr().ok()).expect("connected");
            peer.send_to(b"p", address).expect("sent");
            stranger.send_to(b"s", address).expect("sent");
            assert_eq!((hears(&first), hears(&second)), (Some(b'p'), Some(b's')));
            connect(&first, None).expect("connected no longer");
            stranger.send_to(b"t", address).expect("sent");
            peer.send_to(b"q", address).expect("sent");
            let mut heard: Vec<u8> = [&first, &second, &first, &second].into_iter().filter_map(hears).collect();
            heard.sort_unstable();
            assert_eq!((heard, local(&first).ok()), (b"qt".to_vec(), Some(address)));
        }
    }

    #[test]
    fn any_ipv6_leaves_ipv4_alone() {
        let v6 = open("[::]:0".parse().expect("an address"), Wanted::default()).expect("a socket");
        let v4 = SocketAddr::new("0.0.0.0".parse().expect("an address"), local(&v6).expect("a bound socket").port());
        open(v4, Wanted::default()).expect("the same port of the other family");
    }
}
