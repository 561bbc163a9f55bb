//! RTP sockets of one shard: pairs of ports, opened ahead of need and kept open, and the loop that relays between them.
//!
//! Two paths behind one face: one that every Linux has (`portable.rs`) and one by io_uring (`ring.rs`), where the machine allows it. They
//! count the same, keep the same order within a socket and have the same limits; when io_uring fails, the portable one goes on with
//! the same sockets. A packet takes no allocation, no clock, no timer, no lock. Refuses to know: where a packet goes, which the caller's
//! [`Relays`] decides.

mod buffers;
mod peering;
mod portable;
mod ring;

use super::address::RawAddress;
use super::epoll::{Epoll, Trigger};
use super::socket::{self, Wanted};
use media::{Component, Forward, Made, Packet, PairId};
use peering::Peering;
use portable::Portable;
use ring::Ring;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The largest UDP datagram.
const LARGEST: usize = 65_535;
/// Room behind a packet for what security adds.
const BEHIND: usize = 64;
/// Packets relayed at once by the ring, sockets told of at once by the portable path, so that SIP does not wait for more.
const BATCH: usize = 256;

/// Descriptors that media leave to everything else: an edge out of ports must still be asked what it does, write its journal and take connections.
const RESERVED: u64 = 512;

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
    /// Of them, those by io_uring.
    pub(crate) by_ring: u64,
    /// Packets sent on.
    pub(crate) sent: u64,
    /// Packets the relay let go.
    pub(crate) dropped: u64,
    /// Packets that could not be sent because the socket's buffer was full.
    pub(crate) send_full: u64,
    /// Packets that could not be sent for another reason.
    pub(crate) send_failed: u64,
}

/// What a turn has done: packets received, and whether there may be more at once.
type Turn = (u32, bool);

#[derive(Debug)]
struct Pair {
    rtp: OwnedFd,
    rtcp: OwnedFd,
    /// Of the RTP socket. Few reports pass, and RTCP would win nothing by it.
    peering: Peering,
}

/// All media sockets of one shard. A pair's number is its place of opening.
pub(crate) struct MediaSockets {
    /// The sockets, or the ring that they are in.
    set: Epoll,
    // Before the sockets, so that it is gone before they are.
    ring: Option<Ring>,
    portable: Portable,
    pairs: Vec<Pair>,
    limit: usize,
    /// The highest descriptor that a socket may have. The kernel gives the lowest that is free, so that this one says how many are in use.
    highest: RawFd,
    counters: MediaCounters,
    fallbacks: u64,
}

impl MediaSockets {
    /// No sockets yet; at most `limit` pairs, and as many as leave some descriptors of this process free, by the portable path.
    pub(crate) fn new(limit: usize) -> io::Result<Self> {
        let highest = RawFd::try_from(super::process::open_files()?.saturating_sub(RESERVED)).unwrap_or(RawFd::MAX);
        Ok(Self {
            set: Epoll::new(BATCH)?,
            ring: None,
            // Ports come first: what only saves time leaves half of all descriptors to them.
            portable: Portable::new(highest / 2),
            pairs: Vec::new(),
            limit,
            highest,
            counters: MediaCounters::default(),
            fallbacks: 0,
        })
    }

    /// From now on by io_uring. To be called before the first pair is opened, by the thread that relays.
    ///
    /// # Errors
    /// The machine does not allow it; the portable path stays.
    pub(crate) fn use_ring(&mut self) -> io::Result<()> {
        let most = super::process::open_files()?;
        let sockets = (2 * self.limit as u64).min(most);
        let made = Ring::new(u32::try_from(sockets).unwrap_or(u32::MAX)).and_then(|ring| {
            self.set.add(&ring, 0, Trigger::Level)?;
            Ok(ring)
        });
        match made {
            Ok(ring) => self.ring = Some(ring),
            Err(error) => {
                self.fallbacks += 1;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Opens the pair `port`, `port + 1` (RFC 3550 §11: RTP even, RTCP the next odd one).
    pub(crate) fn open(&mut self, ip: IpAddr, port: u16) -> io::Result<(PairId, SocketAddr)> {
        if self.pairs.len() >= self.limit {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        let address = SocketAddr::new(ip, port);
        let rtp = socket::open(address, Wanted::default())?;
        let rtcp = socket::open(SocketAddr::new(ip, port.saturating_add(1)), Wanted::default())?;
        if rtcp.as_raw_fd() > self.highest {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        let pair = PairId(self.pairs.len() as u32);
        match &mut self.ring {
            Some(ring) => {
                let added = ring.add(pair, &rtp, &rtcp);
                self.pairs.push(Pair::new(rtp, rtcp));
                if let Err(error) = added {
                    self.fall_back(&error)?;
                }
            }
            None => {
                portable::watch(&self.set, pair, &rtp, &rtcp)?;
                self.pairs.push(Pair::new(rtp, rtcp));
                self.portable.make_room(self.pairs.len());
            }
        }
        Ok((pair, address))
    }

    /// Relays what has arrived, without waiting.
    pub(crate) fn relay(&mut self, relays: &mut impl Relays) -> io::Result<Turn> {
        let turn = match &mut self.ring {
            Some(ring) => ring.turn(BATCH as u32, &mut self.counters, relays),
            None => self.portable.turn(&mut self.set, &mut self.pairs, &mut self.counters, relays),
        };
        match turn {
            Ok((received, more)) => {
                self.counters.received += u64::from(received);
                if self.ring.is_some() {
                    self.counters.by_ring += u64::from(received);
                }
                Ok((received, more))
            }
            Err(error) if self.ring.is_some() => {
                self.fall_back(&error)?;
                Ok((0, true))
            }
            Err(error) => Err(error),
        }
    }

    /// The ring is given up: its sockets go on by the portable path. What it had queued is lost, as any packet may be.
    #[cold]
    fn fall_back(&mut self, why: &io::Error) -> io::Result<()> {
        tracing::warn!("io_uring has failed ({why}): media goes on by the portable path");
        self.ring = None;
        self.fallbacks += 1;
        for (index, Pair { rtp, rtcp, .. }) in self.pairs.iter().enumerate() {
            portable::watch(&self.set, PairId(index as u32), rtp, rtcp)?;
        }
        self.portable.make_room(self.pairs.len());
        Ok(())
    }

    /// Sends a packet of our own.
    pub(crate) fn send(&mut self, pair: PairId, component: Component, to: SocketAddr, packet: &[u8]) {
        count_sent(&mut self.counters, lone(&self.pairs, pair, component, to, packet));
    }

    /// What has passed.
    pub(crate) fn counters(&self) -> MediaCounters {
        self.counters
    }

    /// Times that io_uring was wanted and could not be used, or failed.
    pub(crate) fn fallbacks(&self) -> u64 {
        self.fallbacks
    }

    /// Pairs open.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }
}

/// Readable while any of the sockets is.
impl AsFd for MediaSockets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl Pair {
    fn new(rtp: OwnedFd, rtcp: OwnedFd) -> Self {
        Self { rtp, rtcp, peering: Peering::default() }
    }

    #[inline]
    fn of(&self, component: Component) -> &OwnedFd {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }
}

/// Sends one packet that is of no stream: a report, what was made of another, or our own.
#[inline]
fn lone(pairs: &[Pair], pair: PairId, by: Component, to: SocketAddr, packet: &[u8]) -> Result<(), i32> {
    let by = pairs.get(pair.0 as usize).map(|pair| pair.of(by)).ok_or(libc::EBADF)?;
    retried(|| send(by, to, packet))
}

/// Sends by a socket that may be connected, once more after an error: it may be of a packet before this one, which has not left then. What ICMP tells
/// ends the next call on a connected socket, whatever that is (udp(7)). Only a full buffer is always of this one.
#[inline]
fn retried(send: impl Fn() -> Result<(), i32>) -> Result<(), i32> {
    match send() {
        Err(error) if !is_full(error) => send(),
        sent => sent,
    }
}

/// There is no room for a packet, now.
const fn is_full(error: i32) -> bool {
    matches!(error, libc::EAGAIN | libc::ENOBUFS)
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
    done(sent)
}

/// What a sending call has returned, as an error when it is one.
#[inline]
fn done(sent: isize) -> Result<(), i32> {
    if sent < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(()) }
}

#[inline]
fn count_sent(counters: &mut MediaCounters, sent: Result<(), i32>) {
    match sent {
        Ok(()) => counters.sent += 1,
        Err(error) if is_full(error) => counters.send_full += 1,
        Err(_) => counters.send_failed += 1,
    }
}

#[cfg(test)]
mod tests;
