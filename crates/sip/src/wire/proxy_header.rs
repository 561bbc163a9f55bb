//! What a load balancer says before a stream begins: for whom it connects (the PROXY protocol of HAProxy, versions 1 and 2).
//!
//! Whoever may say so is no matter of this file: anybody can write a header. Refuses to know: sockets, lists of addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// How version 2 begins (§2.2). No SIP, HTTP or TLS does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included (§2.1).
const LONGEST_LINE: usize = 107;
/// Signature, command, family and length of version 2.
const FIXED: usize = 16;

/// For whom a stream was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Its bytes, which stand before the stream.
    pub length: usize,
    /// Who it is for; none when the balancer speaks for itself, as it does to see whether we live, or does not know.
    pub source: Option<SocketAddr>,
}

/// What stands there is no such header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProxyHeader;

impl ProxyHeader {
    /// The largest header that is read: addresses, and what else a balancer may tell of a connection.
    pub const LARGEST: usize = 4_096;

    /// Reads it from the beginning of a stream; none while it is not whole.
    ///
    /// # Errors
    /// When no byte that may follow makes one of this.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, NoProxyHeader> {
        let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
        if begins(SIGNATURE) {
            second(bytes)
        } else if begins(b"PROXY ") {
            first(bytes)
        } else {
            Err(NoProxyHeader)
        }
    }
}

/// A line of words (§2.1).
fn first(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    let seen = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = memchr::memmem::find(seen, b"\r\n") else {
        return if seen.len() == LONGEST_LINE { Err(NoProxyHeader) } else { Ok(None) };
    };
    let line = core::str::from_utf8(&seen[..end]).map_err(|_| NoProxyHeader)?;
    let mut words = line.split(' ').skip(1);
    let source = match words.next() {
        // Whatever follows is not to be read.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(ends::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(ends::<Ipv6Addr>(words)?),
        _ => return Err(NoProxyHeader),
    };
    Ok(Some(ProxyHeader { length: end + 2, source }))
}

/// Source and destination; the source is told.
fn ends<'w, A: FromStr + Into<IpAddr>>(mut words: impl Iterator<Item = &'w str>) -> Result<SocketAddr, NoProxyHeader> {
    let mut next = || words.next().ok_or(NoProxyHeader);
    let (source, destination, port, to) = (next()?, next()?, next()?, next()?);
    let addr: A = source.parse().map_err(|_| NoProxyHeader)?;
    destination.parse::<A>().map_err(|_| NoProxyHeader)?;
    let (port, _to) = (number(port)?, number(to)?);
    if words.next().is_some() { Err(NoProxyHeader) } else { Ok(SocketAddr::new(addr.into(), port)) }
}

fn number(text: &str) -> Result<u16, NoProxyHeader> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().map_err(|_| NoProxyHeader) } else { Err(NoProxyHeader) }
}

/// Binary (§2.2). What follows the addresses is skipped.
fn second(bytes: &[u8]) -> Result<Option<ProxyHeader>, NoProxyHeader> {
    let Some(fixed) = bytes.get(..FIXED) else { return Ok(None) };
    let is_local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(NoProxyHeader),
    };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > ProxyHeader::LARGEST {
        return Err(NoProxyHeader);
    }
    let Some(rest) = bytes.get(FIXED..length) else { return Ok(None) };
    let port = |at: usize| rest.get(at..at + 2).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    let source = match fixed[13] {
        _ if is_local => None,
        // Unknown, or a socket of a file system: who it is for has no address.
        0x00 | 0x31 | 0x32 => None,
        0x11 => {
            let addr: [u8; 4] = rest.get(..4).and_then(|addr| addr.try_into().ok()).ok_or(NoProxyHeader)?;
            let _whole = port(10).ok_or(NoProxyHeader)?;
            Some(SocketAddr::new(addr.into(), port(8).ok_or(NoProxyHeader)?))
        }
        0x21 => {
            let addr: [u8; 16] = rest.get(..16).and_then(|addr| addr.try_into().ok()).ok_or(NoProxyHeader)?;
            let _whole = port(34).ok_or(NoProxyHeader)?;
            Some(SocketAddr::new(addr.into(), port(32).ok_or(NoProxyHeader)?))
        }
        // Datagrams do not begin streams.
        _ => return Err(NoProxyHeader),
    };
    Ok(Some(ProxyHeader { length, source }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn four() -> Vec<u8> {
        [&[192, 0, 2, 7][..], &[198, 51, 100, 1], &40_000u16.to_be_bytes(), &5_061u16.to_be_bytes()].concat()
    }

    fn six() -> Vec<u8> {
        let addr = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets();
        [&addr(7)[..], &addr(1), &40_000u16.to_be_bytes(), &5_061u16.to_be_bytes()].concat()
    }

    #[test]
    fn both_versions_tell_the_source_and_where_the_stream_begins() {
        let more = [&four()[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (header, source) in [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 5061\r\n".to_vec(), Some("192.0.2.7:40000")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 5061\r\n".to_vec(), Some("[2001:db8::7]:40000")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &four()), Some("192.0.2.7:40000")),
            (binary(0x21, 0x11, &more), Some("192.0.2.7:40000")),
            (binary(0x21, 0x21, &six()), Some("[2001:db8::7]:40000")),
            (binary(0x20, 0x11, &four()), None),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x21, 0x00, &[1, 2, 3]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ] {
            let source = source.map(|source| source.parse().unwrap());
            let length = header.len();
            let stream = [&header[..], b"INVITE"].concat();
            let whole = Ok(Some(ProxyHeader { length, source }));
            assert_eq!(ProxyHeader::parse(&stream), whole, "{}", header.escape_ascii());
            for end in 0..length {
                assert_eq!(ProxyHeader::parse(&header[..end]), Ok(None), "{}", header[..end].escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_none_is_said_at_once() {
        let long = format!("PROXY UNKNOWN {}", "a".repeat(LONGEST_LINE)).into_bytes();
        for bytes in [
            b"INVITE sip:a@b SIP/2.0\r\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"PROXY  TCP4 192.0.2.7 198.51.100.1 40000 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 5061 1\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 2001:db8::1 40000 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 5061\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 5061\r\n".to_vec(),
            b"PROXY \xff\r\n".to_vec(),
            long,
            binary(0x11, 0x11, &four()),
            binary(0x22, 0x11, &four()),
            binary(0x21, 0x12, &four()),
            binary(0x21, 0x11, &four()[..11]),
            binary(0x21, 0x21, &four()),
            binary(0x20, 0x00, &[0; ProxyHeader::LARGEST]),
        ] {
            assert_eq!(
                ProxyHeader::parse(&bytes),
                Err(NoProxyHeader),
                "{}",
                bytes[..20.min(bytes.len())].escape_ascii()
            );
        }
    }

    proptest! {
        #[test]
        fn more_bytes_never_change_what_was_said(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..3u8) {
            let begin: &[u8] = match kind { 0 => b"", 1 => b"PROXY TCP4 ", _ => SIGNATURE };
            let bytes = [begin, &bytes].concat();
            let mut said = None;
            for end in 0..=bytes.len() {
                let now = ProxyHeader::parse(&bytes[..end]);
                if let Some(said) = said {
                    prop_assert_eq!(now, said);
                } else if now != Ok(None) {
                    said = Some(now);
                }
            }
        }
    }
}
