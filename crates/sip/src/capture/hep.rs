//! A message as a packet of HEP3, which Homer and its kin collect.
//!
//! The four letters, the length of all, then chunks: vendor, type, length with these six bytes, value; all numbers in network order (HEP3 network
//! protocol specification, revision 26, "generic chunk types"). What is written is masked. Refuses to know: to whom it goes.

use super::{Passed, civil, mask};
use crate::Transport;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use model::Wall;

/// Chunks of no vendor in particular.
const GENERIC: u16 = 0;
/// Vendor, type and length of a chunk.
const CHUNK: usize = 6;
const MAGIC: &[u8; 4] = b"HEP3";
/// A packet of HEP3 by UDP over IPv4: 65,535 bytes without the headers of IP and UDP.
const LARGEST: usize = 65_507;
/// Families as Linux numbers them, which collectors expect of everyone.
const INET: u8 = 2;
const INET6: u8 = 10;
/// Protocol numbers of IP.
const UDP: u8 = 17;
const TCP: u8 = 6;
/// "Protocol type" of a payload that is SIP.
const SIP: u8 = 1;

/// Types of chunks.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Kind {
    Family = 1,
    Protocol = 2,
    From4 = 3,
    To4 = 4,
    From6 = 5,
    To6 = 6,
    FromPort = 7,
    ToPort = 8,
    Seconds = 9,
    Micros = 10,
    Type = 11,
    Agent = 12,
    Key = 14,
    Payload = 15,
    Correlation = 17,
}

/// As whom the edge speaks to a collector.
#[derive(Clone, Copy, Debug)]
pub struct Agent<'a> {
    /// Number of this capture agent.
    pub id: u32,
    /// What the collector knows it by; empty when it asks for nothing.
    pub key: &'a [u8],
    /// The time at which instants began.
    pub zero: Wall,
}

/// The message with all that is around it is larger than a datagram can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Writes a packet into `out`, in place of what was there. Both legs of a call have one `correlation`, by which a collector joins them.
///
/// # Errors
/// [`TooLarge`]; `out` then holds nothing to send.
pub fn write(
    out: &mut Vec<u8>,
    agent: Agent<'_>,
    passed: &Passed<impl AsRef<[u8]>>,
    correlation: &[u8],
) -> Result<(), TooLarge> {
    out.clear();
    let message = passed.bytes.as_ref();
    let around = 160 + agent.key.len() + correlation.len();
    if message.len() + around > LARGEST {
        return Err(TooLarge);
    }
    out.reserve(message.len() + around);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0, 0]);
    ways(out, passed);
    let (seconds, micros) = civil(agent.zero, passed.at);
    chunk(out, Kind::Seconds, &seconds.to_be_bytes());
    chunk(out, Kind::Micros, &micros.to_be_bytes());
    chunk(out, Kind::Type, &[SIP]);
    chunk(out, Kind::Agent, &agent.id.to_be_bytes());
    if !agent.key.is_empty() {
        chunk(out, Kind::Key, agent.key);
    }
    if !correlation.is_empty() {
        chunk(out, Kind::Correlation, correlation);
    }
    let payload = out.len() + CHUNK;
    chunk(out, Kind::Payload, message);
    mask(&mut out[payload..]);
    let length = out.len() as u16;
    out[4..6].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Between whom it passed. TLS and WebSocket are not told apart from TCP, which carries them; the message's own Via does.
fn ways(out: &mut Vec<u8>, passed: &Passed<impl AsRef<[u8]>>) {
    let protocol = if passed.transport == Transport::Udp { UDP } else { TCP };
    // A socket of both families says IPv4 in IPv6 (RFC 4291 §2.5.5.2), which is IPv4 on the wire.
    let (from, to) = (passed.from.ip().to_canonical(), passed.to.ip().to_canonical());
    let family = if from.is_ipv4() && to.is_ipv4() { INET } else { INET6 };
    chunk(out, Kind::Family, &[family]);
    chunk(out, Kind::Protocol, &[protocol]);
    address(out, from, Kind::From4, Kind::From6);
    address(out, to, Kind::To4, Kind::To6);
    let port = |address: SocketAddr| address.port().to_be_bytes();
    chunk(out, Kind::FromPort, &port(passed.from));
    chunk(out, Kind::ToPort, &port(passed.to));
}

fn address(out: &mut Vec<u8>, address: IpAddr, four: Kind, six: Kind) {
    match address {
        IpAddr::V4(address) => chunk(out, four, &address.octets()),
        IpAddr::V6(address) => chunk(out, six, &address.octets()),
    }
}

fn chunk(out: &mut Vec<u8>, kind: Kind, value: &[u8]) {
    // What is written in all is within `LARGEST`.
    let length = (CHUNK + value.len()) as u16;
    for number in [GENERIC, kind as u16, length] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use model::Instant;

    const ZERO: Wall = Wall::from_micros(1_700_000_000_000_000);

    fn passed<'a>(from: &str, to: &str, transport: Transport, bytes: &'a [u8]) -> Passed<&'a [u8]> {
        let address = |text: &str| text.parse().expect("an address");
        Passed { at: Instant::from_micros(42), from: address(from), to: address(to), transport, bytes }
    }

    #[test]
    fn a_packet_byte_by_byte() {
        let mut out = vec![0xff; 9];
        let agent = Agent { id: 0x0102_0304, key: b"pw", zero: ZERO };
        let one = passed("192.0.2.1:5060", "198.51.100.2:5070", Transport::Udp, b"SIP/2.0 200 OK\r\n\r\n");
        write(&mut out, agent, &one, b"c7").expect("it fits");
        let want: &[&[u8]] = &[
            b"HEP3\x00\x85",
            b"\x00\x00\x00\x01\x00\x07\x02",
            b"\x00\x00\x00\x02\x00\x07\x11",
            b"\x00\x00\x00\x03\x00\x0a\xc0\x00\x02\x01",
            b"\x00\x00\x00\x04\x00\x0a\xc6\x33\x64\x02",
            b"\x00\x00\x00\x07\x00\x08\x13\xc4",
            b"\x00\x00\x00\x08\x00\x08\x13\xce",
            b"\x00\x00\x00\x09\x00\x0a\x65\x53\xf1\x00",
            b"\x00\x00\x00\x0a\x00\x0a\x00\x00\x00\x2a",
            b"\x00\x00\x00\x0b\x00\x07\x01",
            b"\x00\x00\x00\x0c\x00\x0a\x01\x02\x03\x04",
            b"\x00\x00\x00\x0e\x00\x08pw",
            b"\x00\x00\x00\x11\x00\x08c7",
            b"\x00\x00\x00\x0f\x00\x18SIP/2.0 200 OK\r\n\r\n",
        ];
        assert_eq!(out, want.concat());
        assert_eq!(out.len(), 0x85);
    }

    /// Type and value of each chunk.
    fn chunks(packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        assert_eq!((&packet[..4], usize::from(number(4))), (&b"HEP3"[..], packet.len()));
        let (mut at, mut found) = (6, Vec::new());
        while at < packet.len() {
            let end = at + usize::from(number(at + 4));
            found.push((number(at + 2), packet[at + 6..end].to_vec()));
            at = end;
        }
        found
    }

    #[test]
    fn streams_are_tcp_and_ipv6_is_what_is_ipv6_on_the_wire() {
        let mut out = Vec::new();
        let agent = Agent { id: 1, key: b"", zero: ZERO };
        for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
            write(&mut out, agent, &passed("[2001:db8::1]:1", "[2001:db8::2]:2", transport, b"x"), b"")
                .expect("it fits");
            let found = chunks(&out);
            let kinds: Vec<u16> = found.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 15], "no key, no correlation, no IPv4");
            assert_eq!((&found[0].1[..], &found[1].1[..]), (&[10][..], &[6][..]));
        }
        write(&mut out, agent, &passed("[::ffff:192.0.2.1]:1", "192.0.2.2:2", Transport::Udp, b"x"), b"")
            .expect("it fits");
        let found = chunks(&out);
        assert_eq!((&found[0].1[..], &found[2]), (&[2][..], &(3, vec![192, 0, 2, 1])));
    }

    #[test]
    fn no_key_of_audio_leaves_and_nothing_leaves_that_no_datagram_holds() {
        let mut out = Vec::new();
        let agent = Agent { id: 1, key: b"", zero: ZERO };
        let bytes = b"SIP/2.0 200 OK\r\n\r\na=crypto:1 S inline:secret\r\n";
        write(&mut out, agent, &passed("192.0.2.1:1", "192.0.2.2:2", Transport::Udp, bytes), b"").expect("it fits");
        let payload = chunks(&out).pop().expect("a payload").1;
        assert_eq!(payload, b"SIP/2.0 200 OK\r\n\r\na=crypto:1 S inline:XXXXXX\r\n");
        for (length, fits) in [(LARGEST - 160, true), (LARGEST - 159, false), (1 << 20, false)] {
            let bytes = vec![b'x'; length];
            let one = passed("[2001:db8::1]:1", "[2001:db8::2]:2", Transport::Tcp, &bytes);
            assert_eq!(write(&mut out, agent, &one, b"").is_ok(), fits, "{length}");
            assert!(out.len() <= LARGEST && out.is_empty() != fits);
        }
    }
}
