//! SIP sockets: datagrams in and out in batches, refusals with what was refused.
//!
//! One receiving call for each socket and turn of the loop, one sending call likewise; what is left over is told again by
//! the next wait. Refuses to know: what a datagram says.

use super::address::{ROOM, RawAddress};
use super::faults::{ErrorQueue, Refused, local};
use super::socket::{self, Wanted};
use model::TransportFault;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Datagrams per system call.
pub(crate) const BATCH: usize = 32;
/// The largest UDP datagram; a SIP message that fills it is still one message (RFC 3261 §18.1.1).
const LARGEST: usize = 65_535;
/// Receive buffer asked for: seconds of SIP at full rate, so that a stall of the loop loses nothing.
const RECEIVE_BUFFER: u32 = 8 << 20;

/// One SIP socket of one shard.
#[derive(Debug)]
pub(crate) struct SipSocket {
    socket: OwnedFd,
}

impl SipSocket {
    /// Opens it; `shared` when other shards open the same address.
    pub(crate) fn open(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let wanted = Wanted { shared, errors: true, receive_buffer: Some(RECEIVE_BUFFER) };
        Ok(Self { socket: socket::open(address, wanted)? })
    }

    /// Takes the next refusal; none when there is none left.
    pub(crate) fn refused<'a>(&self, queue: &'a mut ErrorQueue) -> Option<Refused<'a>> {
        queue.next(&self.socket)
    }

    /// The address it is bound to.
    #[cfg(test)]
    pub(crate) fn local(&self) -> SocketAddr {
        socket::local(&self.socket).expect("a bound socket")
    }
}

impl AsFd for SipSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Room for a batch of received datagrams. Pages of it that no datagram reached are never touched.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    peers: Box<[RawAddress; BATCH]>,
    lengths: Box<[usize; BATCH]>,
    count: usize,
}

impl Inbox {
    /// Empty room.
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; BATCH * LARGEST],
            peers: Box::new([RawAddress::EMPTY; BATCH]),
            lengths: Box::new([0; BATCH]),
            count: 0,
        }
    }

    /// Receives what is there, at most a batch, and returns how many. An error that is about an earlier datagram of ours
    /// (it waits in the error queue) is none of receiving, and is passed over once.
    pub(crate) fn receive(&mut self, from: &SipSocket) -> io::Result<usize> {
        self.count = 0;
        let first = self.once(from);
        match first {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => match self.once(from) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                second => second,
            },
            Ok(count) => Ok(count),
        }
    }

    fn once(&mut self, from: &SipSocket) -> io::Result<usize> {
        // SAFETY: all zero is a valid iovec and mmsghdr: null pointers with zero lengths.
        let mut parts: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for (index, slot) in self.bytes.chunks_exact_mut(LARGEST).enumerate() {
            parts[index] = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: LARGEST };
            self.peers[index] = RawAddress::EMPTY;
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut self.peers[index]).cast();
            header.msg_namelen = ROOM;
            header.msg_iov = &raw mut parts[index];
            header.msg_iovlen = 1;
        }
        // SAFETY: each header points to its own live slot, address and part, which outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                from.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        self.count = count as usize;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..self.count]) {
            *length = header.msg_len as usize;
        }
        Ok(self.count)
    }

    /// Datagram number `index` of the batch; none when its sender's address is of no known family.
    pub(crate) fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        if index >= self.count {
            return None;
        }
        let start = index * LARGEST;
        Some((self.peers[index].get()?, &self.bytes[start..start + self.lengths[index]]))
    }
}

/// A datagram that did not leave.
#[derive(Debug)]
pub(crate) struct Unsent {
    /// Which one of the batch.
    pub(crate) index: usize,
    /// Why; none when the socket's buffer is full, which is no fault: SIP repeats.
    pub(crate) fault: Option<TransportFault>,
}

/// Sends the batch in order, in as few calls as the kernel lets us; says which did not leave. `unsent` is cleared first.
pub(crate) fn send<'a>(
    by: &SipSocket,
    datagrams: impl ExactSizeIterator<Item = (SocketAddr, &'a [u8])>,
    unsent: &mut Vec<Unsent>,
) -> usize {
    unsent.clear();
    let total = datagrams.len();
    let mut datagrams = datagrams;
    let mut first = 0;
    while first < total {
        let count = BATCH.min(total - first);
        let mut peers = [RawAddress::EMPTY; BATCH];
        // SAFETY: all zero is a valid iovec and mmsghdr: null pointers with zero lengths.
        let mut parts: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for (index, (peer, bytes)) in datagrams.by_ref().take(count).enumerate() {
            let (raw, length) = RawAddress::new(peer);
            peers[index] = raw;
            parts[index] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut peers[index]).cast();
            header.msg_namelen = length;
            header.msg_iov = &raw mut parts[index];
            header.msg_iovlen = 1;
        }
        send_chunk(by, &mut headers[..count], first, unsent);
        first += count;
    }
    total - unsent.len()
}

/// The headers must point to live memory, as those made by `send` do.
fn send_chunk(by: &SipSocket, headers: &mut [libc::mmsghdr], first: usize, unsent: &mut Vec<Unsent>) {
    let mut done = 0;
    let mut retried = false;
    while done < headers.len() {
        let rest = &mut headers[done..];
        // SAFETY: the caller's headers point to live addresses and datagrams, which sending only reads.
        let sent = unsafe {
            libc::sendmmsg(
                by.socket.as_raw_fd(),
                rest.as_mut_ptr(),
                rest.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        if sent > 0 {
            done += sent as usize;
            retried = false;
            continue;
        }
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        // An ICMP error of an earlier datagram is reported once by whatever call comes next; it is in the error queue
        // and says nothing about this one.
        if !retried && errno != libc::EAGAIN {
            retried = true;
            continue;
        }
        retried = false;
        let fault = if errno == libc::EAGAIN { None } else { Some(local(errno)) };
        unsent.push(Unsent { index: first + done, fault });
        done += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::epoll::{Epoll, Trigger};
    use super::*;
    use proptest::prelude::*;

    fn any(ip: &str) -> SipSocket {
        SipSocket::open(format!("{ip}:0").parse().expect("an address"), true).expect("a socket")
    }

    /// Waits until `socket` has something to say; true when it is an error.
    fn wait(socket: &SipSocket) -> bool {
        let mut epoll = Epoll::new(1).expect("epoll");
        epoll.add(socket, 0, Trigger::Level).expect("watched");
        assert_eq!(epoll.wait(5_000).expect("a wait"), 1, "nothing came");
        epoll.event(0).1
    }

    fn received(socket: &SipSocket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut inbox = Inbox::new();
        let mut all = Vec::new();
        while all.len() < count {
            wait(socket);
            let got = inbox.receive(socket).expect("a batch");
            all.extend((0..got).filter_map(|index| inbox.datagram(index)).map(|(peer, bytes)| (peer, bytes.to_vec())));
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_batch_arrives_whole_and_in_order(sizes in proptest::collection::vec(0usize..600, 1..100)) {
            let (from, to) = (any("127.0.0.78"), any("127.0.0.79"));
            let sent: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
            let mut unsent = Vec::new();
            let left = send(&from, sent.iter().map(|bytes| (to.local(), bytes.as_slice())), &mut unsent);
            prop_assert_eq!((left, unsent.len()), (sent.len(), 0));
            let got = received(&to, sent.len());
            prop_assert!(got.iter().all(|(peer, _)| *peer == from.local()));
            let bytes: Vec<Vec<u8>> = got.into_iter().map(|(_, bytes)| bytes).collect();
            prop_assert_eq!(bytes, sent);
        }
    }

    #[test]
    fn the_largest_datagram_passes() {
        let (from, to) = (any("127.0.0.78"), any("127.0.0.79"));
        let largest = vec![7; 65_507];
        assert_eq!(send(&from, [(to.local(), largest.as_slice())].into_iter(), &mut Vec::new()), 1);
        assert_eq!(received(&to, 1)[0].1, largest);
    }

    #[test]
    fn a_dead_port_is_told_with_the_peer_and_what_was_sent() {
        for ip in ["127.0.0.78", "[::1]"] {
            let (from, dead) = (any(ip), any(ip).local());
            let sent = b"OPTIONS sip:127.0.0.79 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.78;branch=z9hG4bK1\r\n\r\n";
            send(&from, [(dead, sent.as_slice())].into_iter(), &mut Vec::new());
            assert!(wait(&from), "an error is pending");
            let mut queue = ErrorQueue::new();
            let refused = from.refused(&mut queue).expect("a refusal");
            assert_eq!((refused.peer, refused.fault), (dead, TransportFault::PortUnreachable));
            assert_eq!(refused.sent, sent);
            assert!(from.refused(&mut queue).is_none());
        }
    }

    #[test]
    fn a_refusal_of_one_datagram_neither_stops_the_next_nor_is_lost() {
        let (from, dead, live) = (any("127.0.0.78"), any("127.0.0.79").local(), any("127.0.0.80"));
        let mut unsent = Vec::new();
        for round in 0..50u8 {
            let batch = [(dead, &b"to the dead"[..]), (live.local(), &[round][..])];
            assert_eq!(send(&from, batch.into_iter(), &mut unsent), 2, "{unsent:?}");
        }
        let rounds: Vec<u8> = received(&live, 50).into_iter().map(|(_, bytes)| bytes[0]).collect();
        assert_eq!(rounds, (0..50).collect::<Vec<u8>>());
        let mut queue = ErrorQueue::new();
        let mut refusals = 0;
        while let Some(refused) = from.refused(&mut queue) {
            assert_eq!((refused.peer, refused.sent), (dead, &b"to the dead"[..]));
            refusals += 1;
        }
        assert!(refusals > 0);
        let back = [(from.local(), &b"still here"[..])];
        send(&live, back.into_iter(), &mut unsent);
        assert_eq!(received(&from, 1)[0].1, b"still here");
    }

    #[test]
    fn what_cannot_be_sent_is_named_and_the_rest_leaves() {
        let (from, to) = (any("127.0.0.78"), any("127.0.0.79"));
        let too_large = vec![0; 65_508];
        let batch = [(to.local(), &b"1"[..]), (to.local(), too_large.as_slice()), (to.local(), &b"3"[..])];
        let mut unsent = Vec::new();
        assert_eq!(send(&from, batch.into_iter(), &mut unsent), 2);
        assert_eq!(unsent.len(), 1);
        assert_eq!((unsent[0].index, unsent[0].fault), (1, Some(TransportFault::TooLarge)));
        let got: Vec<Vec<u8>> = received(&to, 2).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(got, [b"1".to_vec(), b"3".to_vec()]);
    }
}
