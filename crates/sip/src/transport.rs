//! What carries a message and where it goes: rules of RFC 3261 §18 and RFC 3581, not sockets.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use model::SocketId;

/// A transport of SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: the transaction layer repeats what is lost.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// Whether the transport itself repeats what is lost.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }
}

/// As in a Via header.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// Which of our sockets, and which peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Our socket.
    pub socket: SocketId,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The transport.
    pub transport: Transport,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// By which socket and to whom.
    pub flow: Flow,
    /// The whole message.
    pub bytes: Vec<u8>,
}
