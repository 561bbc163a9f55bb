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
    /// A WebSocket, one message a frame (RFC 7118).
    Ws,
    /// A WebSocket under TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself repeats what is lost.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether what passes is hidden from others on the way.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Where a peer listens that names no port (RFC 3261 §19.1.2, RFC 7118 §10.2: the ports of HTTP).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// As in a Via header.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
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
