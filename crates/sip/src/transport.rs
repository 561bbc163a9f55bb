//! What carries a message and where it goes: rules of RFC 3261 §18 and RFC 3581, not sockets.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use model::{ShardId, SocketId};

use crate::wire::{HeaderName, Uri, Via, lines};

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

    /// Whether it is a WebSocket: the peer alone opens it, so that nobody without one can be reached (RFC 7118 §5).
    pub const fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
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

impl Transport {
    /// As the `transport` parameter of a URI; none for UDP, which is what no parameter means (RFC 3261 §19.1.1). A secure WebSocket
    /// is `ws` there (RFC 7118 §5.1), TLS keeps its word although RFC 5630 §3.1.4 deprecates it: peers that speak it know it.
    pub const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws | Self::Wss => Some("ws"),
        }
    }
}

/// Where we say that we are: what Via, From and Contact name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SentBy {
    /// The address peers see.
    pub addr: SocketAddr,
    /// The transport they reach it by.
    pub transport: Transport,
    /// The host that stands for the address in Contact and the like, for peers who want to read a name. Via has the address: by it answers come back.
    pub name: Option<Arc<str>>,
}

impl SentBy {
    /// One that goes by its address.
    pub const fn new(addr: SocketAddr, transport: Transport) -> Self {
        Self { addr, transport, name: None }
    }

    /// Our host and port as a URI has them: by name if we have one.
    pub fn host(&self) -> impl fmt::Display {
        struct Shown<'a>(&'a SentBy);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match &self.0.name {
                    Some(name) => write!(f, "{name}:{}", self.0.addr.port()),
                    None => self.0.addr.fmt(f),
                }
            }
        }
        Shown(self)
    }

    /// Whether a URI leads here.
    pub fn is_named_by(&self, uri: &Uri<'_>) -> bool {
        let named = self.name.as_ref().is_some_and(|name| uri.host().eq_ignore_ascii_case(name.as_bytes()));
        let port = uri.port().unwrap_or(self.transport.default_port());
        uri.socket_addr(self.transport) == Some(self.addr) || (named && port == self.addr.port())
    }

    /// The parameters a Contact needs behind its address, so that requests come back by the same transport.
    pub fn parameters(&self) -> impl fmt::Display {
        struct Shown(Transport);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.parameter().map_or(Ok(()), |word| write!(f, ";transport={word}"))
            }
        }
        Shown(self.transport)
    }
}

/// Where a response goes whose connection is gone: to the host the request came from, at the port its Via names, or else the default
/// one (RFC 3261 §18.2.2). None for what is no response: a request's flow says where it goes.
pub fn way_back_anew(bytes: &[u8], flow: Flow) -> Option<SocketAddr> {
    let (is_response, via) = top_via(bytes)?;
    is_response.then(|| SocketAddr::new(flow.peer.ip(), via.port().unwrap_or(flow.transport.default_port())))
}

/// Where its sender would else be reached, who offers that requests to there go by the connection that this one came by: `alias` in
/// its Via (RFC 5923 §8.1). The host is the one it came from, whatever Via says. Whether he is believed is not asked here.
pub fn offered_alias(bytes: &[u8], flow: Flow) -> Option<SocketAddr> {
    let (is_response, via) = top_via(bytes)?;
    let offers = !is_response && via.offers_alias();
    offers.then(|| SocketAddr::new(flow.peer.ip(), via.port().unwrap_or(flow.transport.default_port())))
}

/// Whether a message is a response, and its first Via.
fn top_via(bytes: &[u8]) -> Option<(bool, Via<'_>)> {
    let mut lines = lines(bytes);
    let is_response = lines.next()?.starts_with(b"SIP/2.0 ");
    let value = lines.find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        (HeaderName::of(line[..colon].trim_ascii_end()) == HeaderName::Via).then(|| line[colon + 1..].trim_ascii())
    })?;
    Some((is_response, Via::parse(value)?))
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

impl Flow {
    /// The way to another shard of this node, which is no socket and which nobody outside can take. It loses nothing without a word, as a
    /// stream does. Shards are told apart by the port of an address that is nobody's: the dummy of RFC 7600 §4.8, which never leaves a host.
    pub const fn to_shard(shard: ShardId) -> Self {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8)), shard.0 as u16 + 1);
        Self { socket: SocketId::BETWEEN_SHARDS, peer, transport: Transport::Tcp }
    }

    /// The shard it leads to, when it is of that kind.
    pub fn shard(&self) -> Option<ShardId> {
        let number = self.peer.port().checked_sub(1).filter(|_| self.is_between_shards())?;
        u8::try_from(number).ok().map(ShardId)
    }

    /// Whether it leads to another shard.
    pub fn is_between_shards(&self) -> bool {
        self.socket == SocketId::BETWEEN_SHARDS
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// By which socket and to whom.
    pub flow: Flow,
    /// The whole message.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    #[test]
    fn an_answer_without_its_connection_goes_to_the_port_of_its_via_18_2_2() {
        let flow = |transport| Flow { socket: SocketId(0), peer: "192.0.2.9:40000".parse().unwrap(), transport };
        let answer = |via: &str| format!("SIP/2.0 200 OK\r\nv: SIP/2.0/TLS {via};branch=z9hG4bK1\r\n\r\n").into_bytes();
        for (via, to) in [("10.0.0.1:5099", "192.0.2.9:5099"), ("pbx.example", "192.0.2.9:5061")] {
            assert_eq!(way_back_anew(&answer(via), flow(Transport::Tls)), Some(to.parse().unwrap()), "{via}");
        }
        assert_eq!(way_back_anew(&answer("10.0.0.1"), flow(Transport::Tcp)), Some("192.0.2.9:5060".parse().unwrap()));
        assert_eq!(way_back_anew(b"BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n", flow(Transport::Tcp)), None);
        assert_eq!(way_back_anew(b"SIP/2.0 200 OK\r\n\r\n", flow(Transport::Tcp)), None);
    }

    #[test]
    fn a_request_offers_its_connection_by_alias_rfc_5923_8_1() {
        let flow = Flow { socket: SocketId(0), peer: "192.0.2.9:40000".parse().unwrap(), transport: Transport::Tls };
        let message = |line: &str, via: &str| format!("{line}\r\nVia: SIP/2.0/TLS {via};branch=z9hG4bK1\r\n\r\n");
        let offered = |line: &str, via: &str| offered_alias(message(line, via).as_bytes(), flow);
        let invite = "INVITE sip:a@b SIP/2.0";
        assert_eq!(offered(invite, "sbc.example:5099;alias"), Some("192.0.2.9:5099".parse().unwrap()));
        assert_eq!(offered(invite, "sbc.example;alias"), Some("192.0.2.9:5061".parse().unwrap()));
        assert_eq!(offered(invite, "sbc.example"), None);
        assert_eq!(offered("SIP/2.0 200 OK", "sbc.example;alias"), None);
    }

    #[test]
    fn the_way_to_a_shard_leads_there_and_no_other_way_does() {
        for shard in [0, 1, 31, 255] {
            assert_eq!(Flow::to_shard(ShardId(shard)).shard(), Some(ShardId(shard)));
        }
        let forged = Flow { socket: SocketId(0), ..Flow::to_shard(ShardId(1)) };
        assert_eq!((forged.shard(), forged.is_between_shards()), (None, false));
    }

    #[test]
    fn a_contact_names_the_transport_unless_it_is_udp() {
        let addr = "192.0.2.1:5060".parse().unwrap();
        let parameters = |transport| SentBy::new(addr, transport).parameters().to_string();
        assert_eq!(parameters(Transport::Udp), "");
        assert_eq!(parameters(Transport::Tcp), ";transport=tcp");
        assert_eq!(parameters(Transport::Tls), ";transport=tls");
        assert_eq!(parameters(Transport::Wss), ";transport=ws");
    }

    #[test]
    fn a_name_stands_for_the_address_and_leads_here_as_it_does() {
        let addr = "192.0.2.10:5061".parse().unwrap();
        let ours = SentBy { name: Some("sbc.example.com".into()), ..SentBy::new(addr, Transport::Tls) };
        assert_eq!(format!("{}{}", ours.host(), ours.parameters()), "sbc.example.com:5061;transport=tls");
        assert_eq!(SentBy::new(addr, Transport::Tls).host().to_string(), "192.0.2.10:5061");
        for (uri, leads) in [
            ("sip:1@SBC.example.com", true),
            ("sip:1@sbc.example.com:5061;transport=tls", true),
            ("sip:1@192.0.2.10:5061", true),
            ("sip:1@sbc.example.com:5060", false),
            ("sip:1@example.com", false),
        ] {
            assert_eq!(ours.is_named_by(&Uri::parse(uri.as_bytes()).unwrap()), leads, "{uri}");
        }
    }
}
