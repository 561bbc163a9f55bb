//! One Via: where a response to a request goes (RFC 3261 §20.42, RFC 3581).

use super::params::Params;
use super::uri::{host_port, ip};
use core::net::IpAddr;

/// A parsed Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Via<'a> {
    transport: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
    params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one: `SIP/2.0/UDP host:port;params`, blanks around the slashes allowed.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut parts = value.splitn(3, |byte| *byte == b'/');
        let (protocol, version, rest) = (parts.next()?, parts.next()?, parts.next()?.trim_ascii_start());
        if !protocol.trim_ascii().eq_ignore_ascii_case(b"SIP") || version.trim_ascii() != b"2.0" {
            return None;
        }
        let blank = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, rest) = (&rest[..blank], rest[blank..].trim_ascii_start());
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (host, port) = host_port(rest[..end].trim_ascii())?;
        let clean = |byte: &u8| byte.is_ascii_graphic() && !b";,=?\"<>@/".contains(byte);
        if !transport.iter().chain(host).all(clean) {
            return None;
        }
        Some(Self { transport, host, port, params: Params(rest.get(end + 1..).unwrap_or_default()) })
    }

    /// Transport as sent.
    pub const fn transport(&self) -> &'a [u8] {
        self.transport
    }

    /// Host of sent-by.
    pub const fn host(&self) -> &'a [u8] {
        self.host
    }

    /// Host of sent-by, when it is an IP literal.
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.host)
    }

    /// Port of sent-by, when given.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The branch, when there is one.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// The sender wants its response where the request came from (RFC 3581 §3).
    pub fn has_rport(&self) -> bool {
        self.params.get("rport").is_some()
    }

    /// All parameters.
    pub const fn params(&self) -> Params<'a> {
        self.params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_ipv6_20_42() {
        let via = Via::parse(b"SIP / 2.0 / UDP  [2001:db8::9] : 5070 ; rport ;branch=z9hG4bKx").unwrap();
        assert_eq!((via.transport(), via.port(), via.has_rport()), (&b"UDP"[..], Some(5070), true));
        assert_eq!((via.ip(), via.branch()), (Some("2001:db8::9".parse().unwrap()), Some(&b"z9hG4bKx"[..])));
        for bad in
            ["", "SIP/2.0/UDP", "SIP/3.0/UDP a", "HTTP/2.0/UDP a", "SIP/2.0/UDP ;branch=x", "SIP/2.0/UDP\0h;br nch=x"]
        {
            assert_eq!(Via::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
