//! Where trunks that are configured by name are: RFC 3263 on answers that the name service gave, and what is done when it gives none.
//!
//! [`locate`](locate::locate) is the RFC as a function of what is known; `cache` keeps what is known, and says what is to be asked again
//! and when; `book` joins both for all trunks. A call never waits for any of it: shards get addresses. Refuses to know: sockets, servers,
//! the wire format of DNS, what a trunk's health is.

pub(crate) mod book;
pub(crate) mod cache;
pub mod locate;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use locate::{Located, Named, Ways};
use model::{Name, Span};
use sip::Transport;

/// What kind of record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Which services a domain has (RFC 3403).
    Naptr,
    /// Which hosts give a service (RFC 2782).
    Srv,
    /// IPv4 addresses of a host.
    A,
    /// IPv6 addresses of a host.
    Aaaa,
}

/// One question for the name service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The name: lower case, without the final dot.
    pub name: Name,
    /// The kind of record.
    pub kind: Kind,
}

/// One record of an answer. CNAMEs have been followed by whoever looked it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A service of the domain.
    Naptr {
        /// Lower ones come first, whatever the preference.
        order: u16,
        /// Among those of one order, lower ones come first.
        preference: u16,
        /// What follows: `s` for SRV, `a` for addresses.
        flags: String,
        /// Such as `SIP+D2U`.
        service: String,
        /// The name to go on with: lower case, without the final dot.
        replacement: Name,
    },
    /// A host of the service.
    Srv {
        /// Lower ones are tried first.
        priority: u16,
        /// Its share among those of its priority.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its name: lower case, without the final dot; empty when the service is decidedly not there.
        host: Name,
    },
    /// An address of the host.
    Address(IpAddr),
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Records of the kind asked for.
    Found {
        /// They.
        records: Vec<Record>,
        /// How long they hold.
        ttl: Span,
    },
    /// There is no such name (NXDOMAIN).
    NoSuchName {
        /// How long that holds (RFC 2308 §5).
        ttl: Span,
    },
    /// There is such a name, and nothing of this kind.
    NoData {
        /// How long that holds.
        ttl: Span,
    },
    /// Nobody answered the question.
    Failed {
        /// Why.
        why: LookupFault,
    },
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFault {
    /// No server answered in time.
    TimedOut,
    /// Servers refused, or failed themselves.
    Refused,
    /// What came was no answer to the question.
    Garbage,
    /// No server is known, or none can be reached.
    NoServer,
}

impl fmt::Display for LookupFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "no name server answered in time",
            Self::Refused => "the name servers refused to answer",
            Self::Garbage => "the name servers sent no answer to the question",
            Self::NoServer => "no name server can be reached",
        })
    }
}

/// How names are looked up, and how long what was found holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// Whom to ask; empty: the servers of the system.
    pub servers: Vec<SocketAddr>,
    /// How long one question may take.
    pub timeout: Span,
    /// An answer holds so long at least.
    pub floor: Span,
    /// And so long at most.
    pub ceiling: Span,
    /// How long addresses stay in use when their name leads nowhere any more, or nobody answers.
    pub stale: Span,
    /// How soon a question that nobody answered is asked again.
    pub retry: Span,
    /// How long "there is none" holds at most.
    pub negative: Span,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Span::from_secs(2),
            floor: Span::from_secs(5),
            ceiling: Span::from_secs(3_600),
            stale: Span::from_secs(86_400),
            retry: Span::from_secs(30),
            negative: Span::from_secs(60),
        }
    }
}

/// A trunk of which some addresses are found by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedTrunk {
    /// What stands in its `at`, best first.
    pub spots: Vec<Spot>,
    /// How it can be reached from its side.
    pub ways: Ways,
}

/// One entry of a trunk's `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// An address.
    At(SocketAddr, Transport),
    /// A name.
    Named(Named),
}

/// One target of a trunk as its names lead to it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub addr: SocketAddr,
    /// By which transport.
    pub transport: Transport,
    /// Its turn among the trunk's targets.
    pub priority: u8,
    /// Its share among those of its turn.
    pub weight: u16,
    /// The configured name that leads to it; none for a configured address.
    pub name: Option<Name>,
    /// The host that the name leads to, by which it identifies itself; none for a configured address.
    pub host: Option<Name>,
}

impl Place {
    /// Whether both are one target. One host by two transports is two of them.
    fn is(&self, other: &Self) -> bool {
        (self.addr, self.transport) == (other.addr, other.transport)
    }
}

impl NamedTrunk {
    /// All its targets, best first: its entries in their order, each with what it leads to (`located`, by entry). Eight at most, each
    /// address once by one transport.
    pub fn places(&self, located: &[Vec<Located>]) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        let mut turn = 0_u8;
        for (index, spot) in self.spots.iter().enumerate() {
            let (mut last, mut any) = (None, false);
            let mut add = |mut place: Place| {
                if places.len() < locate::TARGETS_MAX && places.iter().all(|known| !known.is(&place)) {
                    place.priority = place.priority.saturating_add(turn);
                    turn = place.priority;
                    any = true;
                    places.push(place);
                }
            };
            match spot {
                Spot::At(addr, transport) => {
                    let (addr, transport) = (*addr, *transport);
                    add(Place { addr, transport, priority: 0, weight: 0, name: None, host: None });
                }
                Spot::Named(named) => {
                    for found in located.get(index).into_iter().flatten() {
                        let next = u8::from(last.replace(found.priority).is_some_and(|last| last != found.priority));
                        add(Place {
                            addr: found.addr,
                            transport: found.transport,
                            priority: next,
                            weight: found.weight,
                            name: Some(named.host.clone()),
                            host: Some(found.host.clone()),
                        });
                    }
                }
            }
            if any {
                turn = turn.saturating_add(1);
            }
        }
        places
    }

    /// Its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named().map(|named| &*named.host)
    }

    /// Whether one of its names leads by this transport and no other.
    pub fn leads_by(&self, transport: Transport) -> bool {
        self.named().any(|named| named.transports() == [transport])
    }

    /// Whether one of its names may lead by this transport, if DNS says so.
    pub fn may_lead_by(&self, transport: Transport) -> bool {
        self.ways.has(transport)
            && self.named().any(|named| named.asks_naptr() || named.transports().contains(&transport))
    }

    fn named(&self) -> impl Iterator<Item = &Named> {
        self.spots.iter().filter_map(|spot| match spot {
            Spot::Named(named) => Some(named),
            Spot::At(..) => None,
        })
    }

    /// What an entry that stays leads to still, when the entries are these from now on.
    pub fn kept(&self, located: &[Vec<Located>], now: &Self) -> Vec<Vec<Located>> {
        let kept = |spot: &Spot| {
            let before = self.spots.iter().position(|old| old == spot && matches!(old, Spot::Named(_)));
            before.and_then(|index| located.get(index)).cloned().unwrap_or_default()
        };
        now.spots.iter().map(kept).collect()
    }
}

#[cfg(test)]
mod tests;
