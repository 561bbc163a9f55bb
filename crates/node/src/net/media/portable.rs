//! The media path that every Linux has: one receiving and one sending call for each packet, a stream's by a connected socket.
//!
//! A socket is told once for what has come (edge-triggered): asked again each time, as a level would be, it would cost another look at
//! a socket that has left the cache. So two packets of it are taken if they are there, and a socket that had two is looked at again
//! in the next turn. Refuses to know: where a packet goes.

use super::super::address::{ROOM, RawAddress};
use super::super::epoll::{Epoll, Trigger};
use super::{BATCH, BEHIND, LARGEST, MediaCounters, Pair, Relays, Turn, count_sent, lone};
use media::{Component, Forward, Packet, PairId};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Packets taken of a socket at once. Sockets rarely hold two, but who takes one must also find that there is no other.
const EACH: usize = 2;
/// Sockets looked at again in one turn, before those that have something new.
const AGAIN: usize = BATCH / 4;
/// Room for one packet.
const STRIDE: usize = LARGEST + BEHIND;

/// Room for the packets of one socket, and the sockets that may hold more.
pub(super) struct Portable {
    room: Room,
    /// Sockets that may hold more.
    again: VecDeque<u64>,
    /// Whether a socket is in `again`, by token.
    listed: Vec<bool>,
    /// A pair whose RTP socket is to be connected.
    steady: Option<PairId>,
    /// The highest descriptor that the second socket of a port may have.
    highest: RawFd,
}

/// One of the sockets of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Rtp,
    Rtcp,
    /// On the RTP port, for all to whom the first is not connected.
    Others,
}

/// Room for the tokens of a pair: a power of two, so that they are told apart by their bits.
const DOORS: usize = 4;

fn token(pair: PairId, door: Door) -> u64 {
    u64::from(pair.0) * DOORS as u64 + door as u64
}

#[inline]
fn from_token(token: u64) -> (PairId, Door) {
    let door = match token as usize % DOORS {
        0 => Door::Rtp,
        1 => Door::Rtcp,
        _ => Door::Others,
    };
    (PairId((token / DOORS as u64) as u32), door)
}

/// From now on the set tells of what comes to the sockets of a pair.
pub(super) fn watch(set: &Epoll, pair: PairId, rtp: &OwnedFd, rtcp: &OwnedFd) -> io::Result<()> {
    set.add(rtp, token(pair, Door::Rtp), Trigger::Edge)?;
    set.add(rtcp, token(pair, Door::Rtcp), Trigger::Edge)
}

impl Portable {
    pub(super) fn new(highest: RawFd) -> Self {
        Self { room: Room::new(), again: VecDeque::new(), listed: Vec::new(), steady: None, highest }
    }

    /// There are so many pairs: those that hold more will find room in the lists.
    pub(super) fn make_room(&mut self, pairs: usize) {
        let sockets = pairs * DOORS;
        self.listed.resize(sockets.max(self.listed.len()), false);
        self.again.reserve(sockets.saturating_sub(self.again.len()));
    }

    /// Relays what has arrived, without waiting.
    pub(super) fn turn(
        &mut self,
        set: &mut Epoll,
        pairs: &mut [Pair],
        counters: &mut MediaCounters,
        relays: &mut impl Relays,
    ) -> io::Result<Turn> {
        let ready = set.wait(0)?;
        let mut received = 0;
        // Not all of them at once: a flood of many sockets must not keep SIP waiting.
        for _ in 0..self.again.len().min(AGAIN) {
            let Some(token) = self.again.pop_front() else { break };
            self.listed[token as usize] = false;
            received += self.serve(token, pairs, counters, relays);
        }
        for index in 0..ready {
            received += self.serve(set.event(index).0, pairs, counters, relays);
        }
        // One in a turn: calls that have begun together must not all keep packets waiting at once.
        if let Some(pair) = self.steady.take() {
            self.connect(set, pairs, pair);
        }
        Ok((received, set.full() || !self.again.is_empty()))
    }

    /// Takes what one socket has, two packets at most, and relays it.
    #[inline]
    fn serve(&mut self, token: u64, pairs: &mut [Pair], counters: &mut MediaCounters, relays: &mut impl Relays) -> u32 {
        let (pair, door) = from_token(token);
        let Some((socket, component)) = pairs.get(pair.0 as usize).and_then(|pair| pair.at(door)) else { return 0 };
        let (count, rest) = self.room.receive(socket);
        if rest == Rest::Unknown {
            self.look_again(token);
        }
        for place in 0..count {
            let Some((from, mut packet)) = self.room.packet(place) else {
                counters.dropped += 1;
                continue;
            };
            match relays.forward(pair, component, from, &mut packet) {
                Forward::Send { pair, component: Component::Rtp, to } => {
                    count_sent(counters, stream(pairs, pair, to, packet.bytes(), &mut self.steady));
                }
                Forward::Send { pair, component, to } => {
                    count_sent(counters, lone(pairs, pair, component, to, packet.bytes()));
                }
                Forward::Made => {
                    while let Some(made) = relays.poll_made() {
                        count_sent(counters, lone(pairs, made.pair, made.component, made.to, made.packet));
                    }
                }
                // Taken in by `forward` itself.
                Forward::Local => {}
                Forward::Drop(_) => counters.dropped += 1,
            }
        }
        count as u32
    }

    /// The stream that leaves by this pair has shown that it stays.
    #[cold]
    fn connect(&self, set: &Epoll, pairs: &mut [Pair], number: PairId) {
        let Some(pair) = pairs.get_mut(number.0 as usize) else { return };
        let watch = |others: &OwnedFd| set.add(others, token(number, Door::Others), Trigger::Edge);
        pair.peering.connect(&pair.rtp, self.highest, watch);
    }

    /// Nobody will tell of what a socket still has: it is asked in the next turn.
    fn look_again(&mut self, token: u64) {
        if !std::mem::replace(&mut self.listed[token as usize], true) {
            self.again.push_back(token);
        }
    }
}

impl Pair {
    /// The socket of this door, and what comes in there.
    #[inline]
    fn at(&self, door: Door) -> Option<(&OwnedFd, Component)> {
        match door {
            Door::Rtp => Some((&self.rtp, Component::Rtp)),
            Door::Rtcp => Some((&self.rtcp, Component::Rtcp)),
            Door::Others => Some((self.peering.others()?, Component::Rtp)),
        }
    }
}

/// Sends one packet of a stream, and notes its pair when the stream has shown that it stays.
#[inline]
fn stream(
    pairs: &mut [Pair],
    number: PairId,
    to: SocketAddr,
    packet: &[u8],
    steady: &mut Option<PairId>,
) -> Result<(), i32> {
    let pair = pairs.get_mut(number.0 as usize).ok_or(libc::EBADF)?;
    let sent = pair.peering.send(&pair.rtp, to, packet);
    if pair.peering.is_steady() {
        *steady = Some(number);
    }
    sent
}

/// What a socket has besides what was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    /// Perhaps something, and nobody will tell of it.
    Unknown,
}

/// Room for packets and their senders.
struct Room {
    bytes: Vec<u8>,
    peers: [RawAddress; EACH],
    lengths: [usize; EACH],
}

impl Room {
    fn new() -> Self {
        Self { bytes: vec![0; EACH * STRIDE], peers: [RawAddress::EMPTY; EACH], lengths: [0; EACH] }
    }

    /// Takes what a socket has, and says how many. One call a packet and one more that finds nothing cost less than one for several (recvmmsg),
    /// which reads a header, a list of parts and an address of each before it looks.
    #[inline]
    fn receive(&mut self, socket: &OwnedFd) -> (usize, Rest) {
        for place in 0..EACH {
            match self.receive_into(place, socket) {
                Ok(()) => {}
                Err(libc::EAGAIN) => return (place, Rest::None),
                // Whatever it was, packets may wait behind it.
                Err(_) => return (place, Rest::Unknown),
            }
        }
        (EACH, Rest::Unknown)
    }

    #[inline]
    fn receive_into(&mut self, place: usize, socket: &OwnedFd) -> Result<(), i32> {
        let room = &mut self.bytes[place * STRIDE..place * STRIDE + LARGEST];
        let mut length = ROOM;
        let address = (&raw mut self.peers[place]).cast();
        // SAFETY: the room and the address are live and as long as is said.
        let count = unsafe {
            libc::recvfrom(
                socket.as_raw_fd(),
                room.as_mut_ptr().cast(),
                LARGEST,
                libc::MSG_DONTWAIT,
                address,
                &raw mut length,
            )
        };
        self.lengths[place] =
            usize::try_from(count).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(0))?;
        Ok(())
    }

    /// A packet of those that were taken; none when its sender's address is of no known family.
    #[inline]
    fn packet(&mut self, place: usize) -> Option<(SocketAddr, Packet<'_>)> {
        let from = self.peers[place].get()?;
        let room = &mut self.bytes[place * STRIDE..(place + 1) * STRIDE];
        Some((from, Packet::new(room, self.lengths[place])))
    }
}
