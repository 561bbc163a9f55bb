//! The SIP sockets of one shard, by number and by address, over reloads.
//!
//! A reload that keeps an address keeps its descriptor, whatever its number becomes. One that drops an address leaves the
//! socket open until the shard has no calls, so that live calls do not notice. Refuses to know: what passes.

use crate::net::epoll::{Epoll, Trigger};
use crate::net::udp::SipSocket;
use crate::outbox::Outbox;
use edge::config::Settings;
use model::SocketId;
use sip::Transmit;
use std::io;
use std::net::SocketAddr;

/// One open socket.
pub(crate) struct Slot {
    bind: SocketAddr,
    /// The socket.
    pub(crate) socket: SipSocket,
    /// Its number, unless a newer socket has it.
    pub(crate) id: Option<SocketId>,
    /// The configuration no longer names it.
    stale: bool,
    /// What waits to leave by it.
    pub(crate) outbox: Outbox,
}

/// All SIP sockets of a shard.
#[derive(Default)]
pub(crate) struct Sockets {
    slots: Vec<Option<Slot>>,
    by_id: Vec<Option<usize>>,
}

impl Sockets {
    /// Takes open sockets and has `epoll` watch them with the token `first` plus their slot.
    pub(crate) fn take(&mut self, opened: Vec<(SocketAddr, SipSocket)>, epoll: &Epoll, first: u64) -> io::Result<()> {
        for (bind, socket) in opened {
            let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
            epoll.add(&socket, first + free as u64, Trigger::Level)?;
            let slot = Some(Slot { bind, socket, id: None, stale: false, outbox: Outbox::default() });
            if free == self.slots.len() {
                self.slots.push(slot);
            } else {
                self.slots[free] = slot;
            }
        }
        Ok(())
    }

    /// Numbers the sockets as this configuration does.
    pub(crate) fn name(&mut self, settings: &Settings) {
        let numbers: Vec<(SocketAddr, SocketId)> =
            settings.sockets.iter().filter(|one| !one.transport.is_reliable()).map(|one| (one.bind, one.id)).collect();
        self.renumber(&numbers);
    }

    fn renumber(&mut self, numbers: &[(SocketAddr, SocketId)]) {
        for slot in self.slots.iter_mut().flatten() {
            let named = numbers.iter().find(|(bind, _)| *bind == slot.bind);
            slot.stale = named.is_none();
            slot.id = match named {
                Some((_, id)) => Some(*id),
                None => slot.id.filter(|old| numbers.iter().all(|(_, id)| id != old)),
            };
        }
        let most = self.slots.iter().flatten().filter_map(|slot| slot.id).map(|id| id.index() + 1).max();
        self.by_id = vec![None; most.unwrap_or(0)];
        for (index, slot) in self.slots.iter().enumerate() {
            if let Some(id) = slot.as_ref().and_then(|slot| slot.id) {
                self.by_id[id.index()] = Some(index);
            }
        }
    }

    /// Closes what the configuration no longer names.
    pub(crate) fn close_stale(&mut self) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots[index].take_if(|slot| slot.stale) else { continue };
            if let Some(id) = slot.id {
                self.by_id[id.index()] = None;
            }
        }
    }

    /// Something is open that the configuration no longer names.
    pub(crate) fn any_stale(&self) -> bool {
        self.slots.iter().flatten().any(|slot| slot.stale)
    }

    /// How many slots there are, open or not.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The socket in this slot.
    pub(crate) fn get(&self, slot: usize) -> Option<&Slot> {
        self.slots.get(slot)?.as_ref()
    }

    /// The same, to send by.
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Slot> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Puts a datagram into the outbox of its socket; false when there is no such socket.
    pub(crate) fn push(&mut self, transmit: Transmit) -> bool {
        let slot = self.by_id.get(transmit.flow.socket.index()).copied().flatten();
        match slot.and_then(|slot| self.get_mut(slot)) {
            Some(slot) => {
                slot.outbox.push(transmit);
                true
            }
            None => false,
        }
    }

    /// Something waits to leave.
    pub(crate) fn any_waits(&self) -> bool {
        self.slots.iter().flatten().any(|slot| !slot.outbox.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::{Flow, Transport};

    fn open(sockets: &mut Sockets, epoll: &Epoll) -> SocketAddr {
        let socket = SipSocket::open("127.0.0.82:0".parse().expect("an address"), true).expect("a socket");
        let bind = socket.local();
        sockets.take(vec![(bind, socket)], epoll, 2).expect("watched");
        bind
    }

    fn takes(sockets: &mut Sockets, id: u16) -> Option<SocketAddr> {
        let flow = Flow { socket: SocketId(id), peer: "127.0.0.83:9".parse().expect("one"), transport: Transport::Udp };
        if !sockets.push(Transmit { flow, bytes: b"x".to_vec() }) {
            return None;
        }
        let slot = sockets.slots.iter_mut().flatten().find(|slot| !slot.outbox.is_empty())?;
        slot.outbox = Outbox::default();
        Some(slot.bind)
    }

    #[test]
    fn a_reload_keeps_descriptors_by_address_and_what_is_dropped_serves_until_closed() {
        let epoll = Epoll::new(4).expect("epoll");
        let mut sockets = Sockets::default();
        let (a, b) = (open(&mut sockets, &epoll), open(&mut sockets, &epoll));
        sockets.renumber(&[(a, SocketId(0)), (b, SocketId(1))]);
        assert_eq!((takes(&mut sockets, 0), takes(&mut sockets, 1)), (Some(a), Some(b)));
        let c = open(&mut sockets, &epoll);
        sockets.renumber(&[(b, SocketId(0)), (c, SocketId(2))]);
        assert_eq!((takes(&mut sockets, 0), takes(&mut sockets, 2)), (Some(b), Some(c)));
        assert!(sockets.any_stale(), "a has lost its number to b");
        sockets.renumber(&[(b, SocketId(0))]);
        assert_eq!(takes(&mut sockets, 2), Some(c), "dropped, and still serving its calls");
        sockets.close_stale();
        assert_eq!((takes(&mut sockets, 2), sockets.any_stale()), (None, false));
        assert_eq!(takes(&mut sockets, 0), Some(b));
        let d = open(&mut sockets, &epoll);
        sockets.renumber(&[(b, SocketId(0)), (d, SocketId(1))]);
        assert_eq!((takes(&mut sockets, 1), sockets.len()), (Some(d), 3), "a free slot is used again");
    }
}
