//! Whom an operator means: the words for a source, read back.
//!
//! An address stands for its subscriber and for every phone that has registered from it; with a port it is that phone alone. Refuses to know:
//! what was held against him.

use super::sources::Source;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

/// A source, or all sources of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom(Named);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Address(IpAddr),
    Phone(SocketAddr),
}

impl Whom {
    pub(super) fn covers(self, source: Source) -> bool {
        match (self.0, source) {
            (Named::Address(addr), Source::Phone(phone)) => Source::of(addr) == Source::of(phone.ip()),
            (Named::Address(addr), source) => Source::of(addr) == source,
            (Named::Phone(named), source) => source == Source::Phone(named),
        }
    }
}

/// What is no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSource;

impl FromStr for Whom {
    type Err = NoSource;

    /// As `throughline guard` shows it, or any address of an IPv6 network.
    fn from_str(text: &str) -> Result<Self, NoSource> {
        if let Ok(phone) = text.parse::<SocketAddr>() {
            return Ok(Self(Named::Phone(SocketAddr::new(phone.ip().to_canonical(), phone.port()))));
        }
        let addr: IpAddr = text.strip_suffix("/64").unwrap_or(text).parse().map_err(|_| NoSource)?;
        if text.ends_with("/64") && addr.is_ipv4() {
            return Err(NoSource);
        }
        Ok(Self(Named::Address(addr.to_canonical())))
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Named::Address(addr) => Source::of(addr).fmt(f),
            Named::Phone(phone) => phone.fmt(f),
        }
    }
}
