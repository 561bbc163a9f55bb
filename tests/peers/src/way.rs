//! How a PBX and a carrier reach the edge: each by a transport and a family of addresses of its own.
//!
//! Addresses are written as a URI has them, those of IPv6 in brackets. Refuses to know: which peers they are.

use interop::certificates::{Authority, Valid};
use interop::edge::CONFIG;

/// By which transport, and over IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// Whether it is over IPv6.
    pub ipv6: bool,
}

impl Way {
    /// Over IPv4.
    pub const fn v4(transport: &'static str) -> Self {
        Self { transport, ipv6: false }
    }

    /// Over IPv6.
    pub const fn v6(transport: &'static str) -> Self {
        Self { transport, ipv6: true }
    }

    /// The PBX.
    pub fn office(self) -> String {
        self.host(20)
    }

    /// The carrier.
    pub fn acme(self) -> String {
        self.host(31)
    }

    /// Where the edge listens for the PBX.
    pub fn lan(self) -> String {
        format!("{}:{}", self.host(10), self.port())
    }

    /// Where it listens for carriers.
    pub fn wan(self) -> String {
        format!("{}:{}", self.host(11), self.port())
    }

    fn host(self, number: u8) -> String {
        if self.ipv6 { format!("[fd00::{number}]") } else { format!("127.0.0.{number}") }
    }

    fn port(self) -> u16 {
        if self.transport == "tls" { 5061 } else { 5060 }
    }
}

/// Certificates for both sides of the edge and for each peer, each for its address.
pub fn authority(test: &str, office: Way, acme: Way) -> Authority {
    let authority = Authority::new(test);
    let hosts = [("lan", office.host(10)), ("wan", acme.host(11)), ("office", office.office()), ("acme", acme.acme())];
    for (who, host) in hosts {
        authority.issue(who, host.trim_matches(['[', ']']), Valid::Now);
    }
    authority
}

/// The edge by every transport, with the PBX and the carrier `acme` by these ways, and certificates of that folder.
pub fn config(office: Way, acme: Way, files: &str) -> String {
    let mut config = CONFIG.to_owned();
    for (side, ip) in [("lan", "127.0.0.10"), ("wan", "127.0.0.11")] {
        let listens = format!("\"udp:{ip}:5060\", \"tcp:{ip}:5060\", \"tls:{ip}:5061\"]");
        let identity = format!("tls = {{ certificate = \"{files}/{side}.pem\", key = \"{files}/{side}.key\" }}");
        config = config.replace(&format!("\"udp:{ip}:5060\"]"), &format!("{listens}\n{identity}"));
    }
    for (ip, way) in [("127.0.0.20", office), ("127.0.0.31", acme)] {
        let at = match way.transport {
            "udp" => format!("at = \"sip:{ip}:5060\""),
            "tcp" => format!("at = \"sip:{ip}:5060;transport=tcp\""),
            _ => format!("at = \"sips:{ip}\"\ntls = {{ trust = \"{files}/ca.pem\" }}"),
        };
        config = config.replace(&format!("at = \"sip:{ip}:5060\""), &at);
    }
    for (way, numbers) in [(office, [10, 20].as_slice()), (acme, &[11, 31, 32])] {
        for number in numbers.iter().filter(|_| way.ipv6) {
            config = config.replace(&format!("127.0.0.{number}"), &way.host(*number));
        }
    }
    config
}
