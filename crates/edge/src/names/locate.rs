//! RFC 3263 §4 as a function: from a SIP URI's host and what is known of names to addresses in order, or to what must be asked first.
//!
//! It is called again with each answer, from the beginning: nothing is kept between, so no answer can come at a wrong time. Refuses to
//! know: when answers were given, how long they hold, who is asked.

use super::{Kind, Question, Record};
use core::net::{IpAddr, SocketAddr};
use model::Name;
use sip::Transport;

/// Targets of one name at most.
pub const TARGETS_MAX: usize = 8;
/// SRV records of one service that are looked at, the best first.
pub const SRV_MAX: usize = 16;
/// Addresses of one host that are looked at.
pub const ADDRESSES_MAX: usize = 8;

/// A host by name, as a URI gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Lower case, without the final dot.
    pub host: Name,
    /// Written after it.
    pub port: Option<u16>,
    /// Written as `;transport=`.
    pub transport: Option<Transport>,
    /// `sips:`.
    pub secure: bool,
}

impl Named {
    /// By which transports it is reached (§4.1), whatever NAPTR says.
    pub fn transports(&self) -> &'static [Transport] {
        match (self.secure, self.transport) {
            (true, _) | (_, Some(Transport::Tls)) => &[Transport::Tls],
            (_, Some(Transport::Tcp)) => &[Transport::Tcp],
            (_, Some(_)) => &[Transport::Udp],
            (_, None) => &[Transport::Udp, Transport::Tcp],
        }
    }

    /// Whether NAPTR may name another transport.
    pub(super) const fn asks_naptr(&self) -> bool {
        self.transport.is_none() && self.port.is_none()
    }
}

/// By which transports and address families the trunk can be reached from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways(Vec<(Transport, bool)>);

impl Ways {
    /// From the sockets there are; an address is one of its family.
    pub fn new(sockets: impl IntoIterator<Item = (Transport, SocketAddr)>) -> Self {
        let mut ways = Vec::new();
        for (transport, addr) in sockets {
            if !ways.contains(&(transport, addr.is_ipv4())) {
                ways.push((transport, addr.is_ipv4()));
            }
        }
        Self(ways)
    }

    pub(super) fn has(&self, transport: Transport) -> bool {
        self.0.iter().any(|(known, _)| *known == transport)
    }

    /// Kinds of addresses that are of use. IPv6 first: what is reached by both is reached by it (RFC 6724 §2.1, as RFC 7984 §4.2 asks).
    fn kinds(&self, transport: Transport) -> impl Iterator<Item = Kind> {
        let both = [(Kind::Aaaa, false), (Kind::A, true)];
        both.into_iter().filter(move |(_, v4)| self.0.contains(&(transport, *v4))).map(|(kind, _)| kind)
    }
}

/// What is known about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// These records.
    Records(&'a [Record]),
    /// There are none.
    Nothing,
    /// Servers do not answer questions of this kind.
    Refused,
    /// Nobody has answered it.
    Failed,
    /// It has not been asked.
    Unasked,
}

/// One place a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub addr: SocketAddr,
    /// By which transport.
    pub transport: Transport,
    /// Lower ones are tried first.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
    /// The host that has the address.
    pub host: Name,
}

/// How far a search has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Questions whose answers went into it, or must be known before it can end.
    pub asked: Vec<Question>,
    /// Whether some of them have not been asked yet.
    pub unfinished: bool,
    /// Whether some of them got no answer.
    pub failed: bool,
    /// What was found: by priority, and inside one by address, since servers shuffle.
    pub located: Vec<Located>,
    /// Hosts that SRV records name, and that have no address.
    pub bare: Vec<Name>,
}

/// Where a name leads by what is known.
pub fn locate<'k>(named: &Named, ways: &Ways, known: &dyn Fn(&Question) -> Known<'k>) -> Search {
    let mut search = Searching { ways, known, search: Search::default() };
    search.run(named);
    let mut found = search.search;
    if found.unfinished {
        found.located.clear();
    }
    in_order(&mut found.located);
    found
}

/// Best first, each once, where it stands best, and no more than are of use.
pub(super) fn in_order(located: &mut Vec<Located>) {
    located.sort_by_key(|located| (located.priority, located.addr.is_ipv4(), located.addr));
    let mut known: Vec<(SocketAddr, Transport)> = Vec::new();
    located.retain(|located| {
        let place = (located.addr, located.transport);
        let fresh = known.len() < TARGETS_MAX && !known.contains(&place);
        if fresh {
            known.push(place);
        }
        fresh
    });
}

/// What a step of the search came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is settled, for good or bad: nothing else is tried.
    Settled,
    /// Nothing is there: the next step's turn.
    Nothing,
}

struct Searching<'a, 'k> {
    ways: &'a Ways,
    known: &'a dyn Fn(&Question) -> Known<'k>,
    search: Search,
}

impl<'k> Searching<'_, 'k> {
    fn run(&mut self, named: &Named) {
        // §4.1: a transport that is written, or a port, leaves no choice for NAPTR.
        if let Some(transport) = named.transport {
            let transport = if named.secure { secured(transport) } else { transport };
            return self.by_transport(named, transport);
        }
        if named.port.is_some() {
            return self.by_default(named);
        }
        if self.by_naptr(named) == Step::Settled {
            return;
        }
        // §4.1: without NAPTR, SRV of each transport that we have. Those of one priority are all the same peer, so the transports
        // are tried in our order: the first that is there is taken.
        let schemes: &[Transport] = if named.secure { &[Transport::Tls] } else { &[Transport::Udp, Transport::Tcp] };
        for transport in schemes.iter().filter(|transport| self.ways.has(**transport)) {
            if self.by_srv(&service(&named.host, *transport), *transport) == Step::Settled {
                return;
            }
        }
        self.by_default(named);
    }

    /// §4.2: SRV of this transport unless a port is written; then addresses of the host.
    fn by_transport(&mut self, named: &Named, transport: Transport) {
        if named.port.is_none() && self.by_srv(&service(&named.host, transport), transport) == Step::Settled {
            return;
        }
        self.by_host(&named.host, named.port.unwrap_or_else(|| transport.default_port()), transport);
    }

    /// §4.1: UDP for `sip:` and TLS for `sips:`; a side without UDP has no other than TCP.
    fn by_default(&mut self, named: &Named) {
        let transport = match named.secure {
            true => Transport::Tls,
            false if self.ways.has(Transport::Udp) => Transport::Udp,
            false => Transport::Tcp,
        };
        self.by_host(&named.host, named.port.unwrap_or_else(|| transport.default_port()), transport);
    }

    /// §4.1: the best service that we have the transport for; the next one when its SRV is not there.
    fn by_naptr(&mut self, named: &Named) -> Step {
        let question = Question { name: named.host.clone(), kind: Kind::Naptr };
        let records = match self.ask(question) {
            Known::Records(records) => records,
            // There are resolvers that know no NAPTR; for them there is none.
            Known::Nothing | Known::Refused => return Step::Nothing,
            Known::Failed | Known::Unasked => return Step::Settled,
        };
        let ways = self.ways;
        let usable = records.iter().take(SRV_MAX).filter_map(|record| {
            let Record::Naptr { order, preference, flags, service, replacement } = record else { return None };
            let transport = of_service(service)?;
            // §4.1: a client that was given `sips:` discards whatever is not secured.
            let fits = ways.has(transport) && (!named.secure || transport == Transport::Tls);
            (fits && flags.eq_ignore_ascii_case("s")).then_some((*order, *preference, transport, replacement))
        });
        let mut usable: Vec<_> = usable.collect();
        usable.sort_by_key(|(order, preference, ..)| (*order, *preference));
        for (_, _, transport, replacement) in usable {
            if self.by_srv(replacement, transport) == Step::Settled {
                return Step::Settled;
            }
        }
        Step::Nothing
    }

    fn by_srv(&mut self, name: &Name, transport: Transport) -> Step {
        let records = match self.ask(Question { name: name.clone(), kind: Kind::Srv }) {
            Known::Records(records) => records,
            Known::Nothing => return Step::Nothing,
            // Not to know whether there are any is no reason to go elsewhere.
            Known::Refused | Known::Failed | Known::Unasked => return Step::Settled,
        };
        let hosts = records.iter().filter_map(|record| match record {
            Record::Srv { priority, weight, port, host } => Some((*priority, *weight, *port, host)),
            _ => None,
        });
        let mut hosts: Vec<_> = hosts.collect();
        if hosts.is_empty() {
            return Step::Nothing;
        }
        hosts.sort();
        hosts.truncate(SRV_MAX);
        // RFC 2782, "Target": the root as the only host means that the service is decidedly not here.
        for (priority, weight, port, host) in
            hosts.into_iter().filter(|(.., port, host)| !host.is_empty() && *port != 0)
        {
            let addrs = self.addresses(host, transport);
            if addrs.is_empty() {
                self.search.bare.push(host.clone());
            }
            let share = weight / u16::try_from(addrs.len().max(1)).unwrap_or(1);
            // A host's weight is shared by its addresses; one that has some keeps some.
            let weight = if weight == 0 { 0 } else { share.max(1) };
            self.add(addrs, port, transport, (priority, weight), host);
        }
        Step::Settled
    }

    fn by_host(&mut self, host: &Name, port: u16, transport: Transport) {
        let addrs = self.addresses(host, transport);
        self.add(addrs, port, transport, (0, 0), host);
    }

    fn add(&mut self, addrs: Vec<IpAddr>, port: u16, transport: Transport, rank: (u16, u16), host: &Name) {
        let (priority, weight) = rank;
        self.search.located.extend(addrs.into_iter().map(|ip| Located {
            addr: SocketAddr::new(ip, port),
            transport,
            priority,
            weight,
            host: host.clone(),
        }));
    }

    fn addresses(&mut self, host: &Name, transport: Transport) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = Vec::new();
        // An SRV record may not name an address, but some do; it needs no question.
        if let Ok(ip) = host.parse::<IpAddr>() {
            return vec![ip];
        }
        for kind in self.ways.kinds(transport).collect::<Vec<_>>() {
            if let Known::Records(records) = self.ask(Question { name: host.clone(), kind }) {
                found.extend(records.iter().filter_map(|record| address(record, kind)));
            }
        }
        found.truncate(ADDRESSES_MAX);
        found
    }

    fn ask(&mut self, question: Question) -> Known<'k> {
        let known = (self.known)(&question);
        self.search.unfinished |= known == Known::Unasked;
        // No NAPTR is what most domains have: a resolver that refuses to say so hinders nobody.
        self.search.failed |= known == Known::Failed || (known == Known::Refused && question.kind != Kind::Naptr);
        if !self.search.asked.contains(&question) {
            self.search.asked.push(question);
        }
        known
    }
}

/// An address of the kind asked for where somebody can be.
fn address(record: &Record, kind: Kind) -> Option<IpAddr> {
    let Record::Address(ip) = record else { return None };
    let fits = ip.is_ipv4() == (kind == Kind::A) && !ip.is_unspecified() && !ip.is_multicast();
    fits.then_some(*ip)
}

/// §4.1: `sips:` by TCP is TLS; by UDP it is not reached at all, which the configuration has refused.
const fn secured(transport: Transport) -> Transport {
    match transport {
        Transport::Tcp => Transport::Tls,
        other => other,
    }
}

fn of_service(service: &str) -> Option<Transport> {
    let services = [("sip+d2u", Transport::Udp), ("sip+d2t", Transport::Tcp), ("sips+d2t", Transport::Tls)];
    services.into_iter().find(|(name, _)| service.eq_ignore_ascii_case(name)).map(|(_, transport)| transport)
}

/// §4.2: the name under which a service has its SRV records.
fn service(host: &Name, transport: Transport) -> Name {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        // RFC 7118 §5.6 leaves them to the browser's own ways; no trunk is reached so.
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    };
    Name::from(format!("{prefix}.{host}").as_str())
}
