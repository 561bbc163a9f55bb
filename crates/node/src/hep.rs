//! The way to a collector of HEP3: one socket of UDP for each shard, which never waits.
//!
//! The system's buffer of the socket is the queue. What finds no room in it is dropped and counted: a collector is worth no call. Refuses to know:
//! what a packet looks like.

use edge::config::Collector;
use model::{CallRef, Wall};
use sip::capture::{Passed, hep};
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Messages by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HepCounters {
    /// Handed to the system.
    pub(crate) sent: u64,
    /// No room in the socket's buffer.
    pub(crate) full: u64,
    /// Refused by the system.
    pub(crate) failed: u64,
    /// Of those sent, some that the network gave back: nobody listens there.
    pub(crate) refused: u64,
    /// Larger than a datagram can be.
    pub(crate) too_large: u64,
}

/// Tells a collector, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Hep {
    collector: Option<Collector>,
    /// None when it could not be had.
    socket: Option<UdpSocket>,
    packet: Vec<u8>,
    correlation: Vec<u8>,
    pub(crate) counters: HepCounters,
}

impl Hep {
    /// Tells this one from now on.
    pub(crate) fn follow(&mut self, collector: Option<&Collector>) {
        if self.collector.as_ref() == collector {
            return;
        }
        self.collector = collector.cloned();
        self.socket = collector.and_then(|collector| {
            let opened = open(collector);
            opened.inspect_err(|error| tracing::warn!("no socket for the collector at {}: {error}", collector.to)).ok()
        });
    }

    /// One message; `zero` is the time at which instants began.
    pub(crate) fn tell(&mut self, zero: Wall, passed: &Passed<Vec<u8>>, call: Option<CallRef>) {
        let Some(collector) = &self.collector else { return };
        self.correlation.clear();
        if let Some(call) = call {
            // Writing into a vector cannot fail.
            let _ok = write!(self.correlation, "{call}");
        }
        let agent = hep::Agent { id: collector.id, key: collector.password.as_bytes(), zero };
        if hep::write(&mut self.packet, agent, passed, &self.correlation).is_err() {
            self.counters.too_large += 1;
            return;
        }
        match self.send() {
            Ok(_) => self.counters.sent += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.counters.full += 1,
            Err(_) => self.counters.failed += 1,
        }
    }

    /// The refusal of an earlier packet is told instead of sending this one (udp(7)), which is then sent once more.
    fn send(&mut self) -> io::Result<usize> {
        let socket = self.socket.as_ref().ok_or(ErrorKind::NotConnected)?;
        match socket.send(&self.packet) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                self.counters.refused += 1;
                socket.send(&self.packet)
            }
            done => done,
        }
    }
}

fn open(collector: &Collector) -> io::Result<UdpSocket> {
    let any = match collector.to.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(collector.to)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Instant;
    use sip::Transport;
    use std::time::Duration;

    fn passed(length: usize) -> Passed<Vec<u8>> {
        let address = "127.0.0.86:5060".parse().expect("an address");
        Passed { at: Instant::ZERO, from: address, to: address, transport: Transport::Udp, bytes: vec![b'x'; length] }
    }

    fn collector(to: &UdpSocket, id: u32) -> Collector {
        Collector { to: to.local_addr().expect("an address"), id, password: String::from("secret") }
    }

    fn receive(at: &UdpSocket) -> Vec<u8> {
        at.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut packet = vec![0; 65_535];
        let (length, _) = at.recv_from(&mut packet).expect("a packet");
        packet.truncate(length);
        packet
    }

    #[test]
    fn each_message_is_one_packet_and_a_change_of_collector_is_followed() {
        let [first, second] = [1, 2].map(|_| UdpSocket::bind("127.0.0.86:0").expect("a socket"));
        let zero = Wall::from_micros(0);
        let mut hep = Hep::default();
        hep.tell(zero, &passed(9), None);
        assert_eq!(hep.counters, HepCounters::default(), "nobody wants to be told");
        hep.follow(Some(&collector(&first, 1)));
        hep.tell(zero, &passed(9), Some(CallRef(0xc0ffee)));
        let packet = receive(&first);
        let has = |what: &[u8]| packet.windows(what.len()).any(|window| window == what);
        assert!(packet.starts_with(b"HEP3") && has(b"secret") && has(b"0000000000c0ffee") && has(b"xxxxxxxxx"));
        hep.follow(Some(&collector(&second, 2)));
        hep.tell(zero, &passed(9), None);
        let other = receive(&second);
        assert_eq!(other.len() + 6 + 16, packet.len(), "of no call: no chunk of correlation");
        hep.tell(zero, &passed(65_500), None);
        assert_eq!(hep.counters, HepCounters { sent: 2, too_large: 1, ..HepCounters::default() });
        hep.follow(None);
        hep.tell(zero, &passed(9), None);
        assert_eq!(hep.counters.sent, 2);
    }

    /// Nobody listens, then somebody does: what was given back is counted, and the first packet to him arrives.
    #[test]
    fn a_collector_that_comes_late_is_told_from_then_on() {
        let gone = UdpSocket::bind("127.0.0.87:0").expect("a socket");
        let (at, wanted) = (gone.local_addr().expect("an address"), collector(&gone, 1));
        drop(gone);
        let mut hep = Hep::default();
        hep.follow(Some(&wanted));
        for _ in 0..10 {
            hep.tell(Wall::from_micros(0), &passed(9), None);
        }
        assert_eq!(hep.counters.sent + hep.counters.failed, 10);
        assert!(hep.counters.refused >= 1, "{:?}", hep.counters);
        let there = UdpSocket::bind(at).expect("the same address");
        hep.tell(Wall::from_micros(0), &passed(7), None);
        assert!(receive(&there).ends_with(b"xxxxxxx"));
    }
}
