//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966): cut into parts that still borrow. A URN (RFC 8141) is a name, and has none.

use super::params::Params;
use crate::transport::Transport;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A URI in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    scheme: &'a [u8],
    user: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
    params: Params<'a>,
    headers: &'a [u8],
}

/// Text that is no URI we can use: take one with a scheme, and a host unless it is a tel URI or a URN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUri;

impl<'a> Uri<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// No scheme, no host, a port that is no port, or blanks and control characters inside.
    pub fn parse(text: &'a [u8]) -> Result<Self, BadUri> {
        if text.iter().any(|byte| *byte <= b' ' || *byte == 0x7f || matches!(byte, b'<' | b'>' | b'"')) {
            return Err(BadUri);
        }
        let colon = memchr::memchr(b':', text).ok_or(BadUri)?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        if scheme.is_empty() || !scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) {
            return Err(BadUri);
        }
        if scheme.eq_ignore_ascii_case(b"tel") {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            let params = Params(rest.get(end + 1..).unwrap_or_default());
            return Ok(Self { scheme, user: &rest[..end], host: &[], port: None, params, headers: &[] });
        }
        if scheme.eq_ignore_ascii_case(b"urn") && !rest.is_empty() {
            return Ok(Self { scheme, user: &[], host: &[], port: None, params: Params(&[]), headers: &[] });
        }
        // A user part may hold `;` and `?`, so the `@` is looked for first.
        let (userinfo, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (&rest[..0], rest),
        };
        let user = &userinfo[..memchr::memchr(b':', userinfo).unwrap_or(userinfo.len())];
        let (rest, headers) = cut(rest, b'?');
        let (hostport, params) = cut(rest, b';');
        let (host, port) = host_port(hostport).ok_or(BadUri)?;
        Ok(Self { scheme, user, host, port, params: Params(params), headers })
    }

    /// `sip`, `sips` or another, as sent.
    pub const fn scheme(&self) -> &'a [u8] {
        self.scheme
    }

    /// User part without password; the number of a tel URI. Parameters inside the user part are kept.
    pub const fn user(&self) -> &'a [u8] {
        self.user
    }

    /// Host as sent; IPv6 with its brackets.
    pub const fn host(&self) -> &'a [u8] {
        self.host
    }

    /// Port, when given.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// URI parameters.
    pub const fn params(&self) -> Params<'a> {
        self.params
    }

    /// What follows the question mark.
    pub const fn headers(&self) -> &'a [u8] {
        self.headers
    }

    /// Address and port, when the host is an IP literal; the default port of the transport when none is given (RFC 3261 §19.1.2), which
    /// for sips is that of TLS.
    pub fn socket_addr(&self, by: Transport) -> Option<SocketAddr> {
        let default = if self.scheme.eq_ignore_ascii_case(b"sips") { Transport::Tls } else { by }.default_port();
        Some(SocketAddr::new(ip(self.host)?, self.port.unwrap_or(default)))
    }
}

fn cut(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(separator, text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// Host and port, the host of an IPv6 address with its brackets.
pub(crate) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let end = if text.first() == Some(&b'[') {
        memchr::memchr(b']', text)? + 1
    } else {
        memchr::memchr(b':', text).unwrap_or(text.len())
    };
    let host = text[..end].trim_ascii();
    if host.is_empty() {
        return None;
    }
    match text[end..].trim_ascii() {
        [] => Some((host, None)),
        [b':', digits @ ..] => {
            let digits = digits.trim_ascii();
            let port: u16 = core::str::from_utf8(digits).ok()?.parse().ok()?;
            (port != 0).then_some((host, Some(port)))
        }
        _ => None,
    }
}

/// An IP literal, IPv6 in brackets.
pub(crate) fn ip(host: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(host).ok()?;
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_19_1() {
        let uri = Uri::parse(b"sip:+47;ext=1:pw@[2001:db8::1]:5070;transport=udp;lr?Subject=x").unwrap();
        assert_eq!((uri.scheme(), uri.user(), uri.port()), (&b"sip"[..], &b"+47;ext=1"[..], Some(5070)));
        assert_eq!(uri.socket_addr(Transport::Udp), Some("[2001:db8::1]:5070".parse().unwrap()));
        assert_eq!((uri.params().get("transport"), uri.headers()), (Some(&b"udp"[..]), &b"Subject=x"[..]));
        assert_eq!(
            Uri::parse(b"sips:192.0.2.1").unwrap().socket_addr(Transport::Udp),
            Some("192.0.2.1:5061".parse().unwrap())
        );
        assert_eq!(Uri::parse(b"tel:+4722334455;phone-context=x").unwrap().user(), b"+4722334455");
        assert_eq!(Uri::parse(b"sip:host.example").unwrap().socket_addr(Transport::Udp), None);
        let sos = Uri::parse(b"urn:service:sos").unwrap();
        assert_eq!(
            (sos.scheme(), sos.user(), sos.host(), sos.socket_addr(Transport::Udp)),
            (&b"urn"[..], &b""[..], &b""[..], None)
        );
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for bad in [
            "",
            "sip",
            ":x",
            "urn:",
            "sip:",
            "sip:a@",
            "sip:a@b:0",
            "sip:a@b:99999",
            "sip:a@b c",
            "sip:a@[::1",
            "<sip:a@b>",
        ] {
            assert_eq!(Uri::parse(bad.as_bytes()), Err(BadUri), "{bad}");
        }
    }
}
