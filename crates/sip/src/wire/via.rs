//! One Via: where a response to a request goes (RFC 3261 §20.42, RFC 3581), and in that response how many requests its sender
//! wants (RFC 7339).

use super::number;
use super::params::Params;
use super::uri::{host_port, ip};
use core::net::IpAddr;
use model::{Span, Wish};

/// What holds when a validity is not told (RFC 7339 §4.3).
const VALIDITY: Span = Span::from_millis(500);
/// No validity is believed beyond this: one wrong digit must not starve a trunk for days.
const VALIDITY_MAX_MS: u32 = 600_000;
/// Decimal places of a sequence number (RFC 7339 §9).
const SEQ_PLACES: usize = 5;

/// What a server asks of us by the Via of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// How many requests less.
    pub wish: Wish,
    /// For how long; zero ends it.
    pub validity: Span,
    /// Grows with each new word of this server (RFC 7339 §4.4).
    pub seq: Option<u64>,
}

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
        Self::versioned(value).filter(|(version, _)| *version == b"2.0").map(|(_, via)| via)
    }

    /// Reads one of any version: who speaks another is told so by an answer with his own Via (RFC 3261 §21.5.6).
    pub(crate) fn of_any_version(value: &'a [u8]) -> Option<Self> {
        Self::versioned(value).map(|(_, via)| via)
    }

    fn versioned(value: &'a [u8]) -> Option<(&'a [u8], Self)> {
        let mut parts = value.splitn(3, |byte| *byte == b'/');
        let (protocol, version, rest) = (parts.next()?, parts.next()?, parts.next()?.trim_ascii_start());
        let version = version.trim_ascii();
        if !protocol.trim_ascii().eq_ignore_ascii_case(b"SIP") {
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
        Some((version, Self { transport, host, port, params: Params(rest.get(end + 1..).unwrap_or_default()) }))
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

    /// The sender offers the connection for requests to itself (RFC 5923 §5).
    pub(crate) fn offers_alias(&self) -> bool {
        self.params.get("alias").is_some()
    }

    /// What its server asks of us (RFC 7339 §4): `oc` has a value only when it is the server's. Of values that make no sense
    /// none is believed; without an algorithm it is loss, which every server speaks (§4.2).
    pub fn overload(&self) -> Option<Overload> {
        let value = number(self.params.get("oc")?)?;
        let algorithm = self.params.get("oc-algo").map_or(&b"loss"[..], |name| name.trim_ascii());
        let algorithm = algorithm.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(algorithm);
        let wish = if algorithm.eq_ignore_ascii_case(b"loss") {
            Wish::Loss { percent: u8::try_from(value).ok().filter(|percent| *percent <= 100)? }
        } else if algorithm.eq_ignore_ascii_case(b"rate") {
            Wish::Rate { cps: value }
        } else {
            return None;
        };
        let validity = match self.params.get("oc-validity") {
            Some(ms) => Span::from_millis(u64::from(number(ms)?.min(VALIDITY_MAX_MS))),
            None => VALIDITY,
        };
        Some(Overload { wish, validity, seq: self.params.get("oc-seq").and_then(sequence) })
    }

    /// All parameters.
    pub const fn params(&self) -> Params<'a> {
        self.params
    }
}

/// `1282321615.782` as a whole number of its last place.
fn sequence(text: &[u8]) -> Option<u64> {
    let dot = memchr::memchr(b'.', text).unwrap_or(text.len());
    let (whole, places) = (&text[..dot], text.get(dot + 1..).unwrap_or_default());
    if whole.is_empty() || whole.len() > 12 || places.len() > SEQ_PLACES {
        return None;
    }
    let missing = core::iter::repeat_n(&b'0', SEQ_PLACES - places.len());
    // At most 17 digits, which fit.
    whole
        .iter()
        .chain(places)
        .chain(missing)
        .try_fold(0u64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overload(params: &str) -> Option<Overload> {
        Via::parse(alloc::format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1{params}").as_bytes()).unwrap().overload()
    }

    #[test]
    fn overload_control_is_read_7339_4() {
        let told = overload(";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=1282321615.782").unwrap();
        let seq = Some(128_232_161_578_200);
        assert_eq!(told, Overload { wish: Wish::Loss { percent: 20 }, validity: Span::from_millis(500), seq });
        let rate = overload(";OC = 150;oc-algo=rate;oc-validity=0").unwrap();
        assert_eq!(rate, Overload { wish: Wish::Rate { cps: 150 }, validity: Span::ZERO, seq: None });
        let bare = overload(";oc=7").unwrap();
        assert_eq!((bare.wish, bare.validity), (Wish::Loss { percent: 7 }, VALIDITY), "defaults of 4.2 and 4.3");
        let long = overload(";oc=7;oc-validity=4000000000").unwrap();
        assert_eq!(long.validity, Span::from_secs(600));
    }

    #[test]
    fn what_is_only_our_own_offer_or_makes_no_sense_asks_nothing() {
        for params in [
            "",
            ";oc;oc-algo=\"loss,rate\"",
            ";oc=;oc-algo=\"loss\"",
            ";oc=101;oc-algo=\"loss\"",
            ";oc=-1",
            ";oc=99999999999999999999",
            ";oc=5;oc-algo=\"window\"",
            ";oc=5;oc-validity=soon",
        ] {
            assert_eq!(overload(params), None, "{params}");
        }
    }

    #[test]
    fn sequence_numbers_have_an_order() {
        let seq = |text: &str| overload(&alloc::format!(";oc=1;oc-seq={text}")).unwrap().seq;
        assert!(seq("1282321615.9") > seq("1282321615.89999"));
        assert!(seq("1282321616.0") > seq("1282321615.99999"));
        assert_eq!(seq("7"), seq("7.00000"));
        for bad in ["1.123456", "x.1", "1234567890123.1", ".5", "1.-2"] {
            assert_eq!(seq(bad), None, "{bad}");
        }
    }

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
