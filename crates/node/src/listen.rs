//! Opening the SIP sockets of a configuration for every shard, before anything works by it.
//!
//! All or nothing: a configuration whose sockets cannot be had is refused whole. Refuses to know: who receives on them.

use crate::net::socket::{self, Wanted};
use crate::net::udp::SipSocket;
use crate::streams::Listener;
use edge::config::{Settings, Socket};
use std::io;
use std::net::SocketAddr;

/// Sockets of datagrams for each shard, by shard.
pub(crate) type Opened = Vec<Vec<(SocketAddr, SipSocket)>>;

/// What accepts connections. A running edge keeps its listens as they are, so these are opened once.
pub(crate) fn open_streams(settings: &Settings) -> Result<Vec<Listener>, ListenFault> {
    let streams = settings.sockets.iter().filter(|socket| socket.transport.is_reliable());
    let open = |wanted: &Socket| Listener::open(wanted).map_err(|source| ListenFault { bind: wanted.bind, source });
    streams.map(open).collect()
}

/// A socket that cannot be had.
#[derive(Debug)]
pub struct ListenFault {
    /// Where it was to be bound.
    pub bind: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

impl std::fmt::Display for ListenFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bind = self.bind;
        match &self.source {
            error if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{bind}: another program listens there; stop it, or give this edge another address")
            }
            error if error.kind() == io::ErrorKind::AddrNotAvailable => {
                write!(f, "{bind}: no interface of this machine has that address; add it, or correct `sip`")
            }
            error => write!(f, "{bind}: {error}"),
        }
    }
}

impl std::error::Error for ListenFault {}

/// Opens what `settings` names and `before` did not, for `shards` shards.
pub(crate) fn open(settings: &Settings, before: Option<&Settings>, shards: u8) -> Result<Opened, ListenFault> {
    open_all(&settings.sockets, before.map_or(&[], |before| &before.sockets), shards)
}

fn open_all(sockets: &[Socket], before: &[Socket], shards: u8) -> Result<Opened, ListenFault> {
    let mut opened: Opened = (0..shards).map(|_| Vec::new()).collect();
    for wanted in sockets.iter().filter(|socket| !socket.transport.is_reliable()) {
        let bind = wanted.bind;
        if before.iter().any(|socket| socket.bind == bind && !socket.transport.is_reliable()) {
            continue;
        }
        let fault = |source| ListenFault { bind, source };
        // A second edge that shares the address would take half of the first one's datagrams: only one that could
        // have the address for itself may share it among its shards.
        drop(socket::open(bind, Wanted::default()).map_err(fault)?);
        for sockets in &mut opened {
            sockets.push((bind, SipSocket::open(bind, shards > 1).map_err(fault)?));
        }
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ListenId, SocketId};
    use sip::Transport;

    fn socket(transport: Transport, bind: SocketAddr) -> Socket {
        Socket { id: SocketId(0), listen: ListenId(0), transport, bind, sent_by: bind, host: None }
    }

    #[test]
    fn shards_share_an_address_and_a_second_edge_does_not() {
        let free = SipSocket::open("127.0.0.86:0".parse().expect("an address"), false).expect("a socket");
        let wanted = [socket(Transport::Udp, free.local())];
        drop(free);
        let opened = open_all(&wanted, &[], 3).expect("sockets");
        assert_eq!(opened.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        let second = open_all(&wanted, &[], 3).expect_err("the address is taken");
        assert!(second.to_string().contains("another program listens there"), "{second}");
        let reload = open_all(&wanted, &wanted, 3).expect("nothing to open");
        assert!(reload.iter().all(Vec::is_empty));
    }

    #[test]
    fn what_cannot_be_had_is_said_with_what_to_do() {
        let taken = Listener::open(&socket(Transport::Tcp, "127.0.0.86:5068".parse().expect("an address")))
            .expect("a listener");
        let again = Listener::open(&socket(Transport::Tls, "127.0.0.86:5068".parse().expect("an address")));
        assert_eq!(again.map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
        drop(taken);
        let elsewhere = open_all(&[socket(Transport::Udp, "192.0.2.1:5060".parse().expect("an address"))], &[], 1);
        assert!(elsewhere.expect_err("not ours").to_string().contains("no interface"));
    }
}
