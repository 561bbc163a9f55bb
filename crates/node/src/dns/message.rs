//! DNS on the wire: a question into bytes, and what a server sent into a reply, or into why it is none.
//!
//! The format is the library's; what an answer means is here (RFC 1034 §4.3.2, RFC 2181, RFC 2308): whether it belongs to the question, where
//! its aliases lead, how long it holds. Refuses to know: sockets, time, other servers' answers.

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::{Message, MessageBuilder, Name as DnsName, ParsedName, ParsedRecord, Rtype, ToName, Ttl};
use domain::rdata::{A, Aaaa, Cname, Naptr, Soa, Srv};
use edge::names::{Kind, LookupFault, Question, Record, Reply};
use model::{Name, Span};

/// Aliases followed at most; resolvers themselves follow about as many.
const ALIASES_MAX: usize = 8;
/// What we take by UDP: what passes an Ethernet without fragments, over IPv6 too (RFC 9715 §3.2).
const PAYLOAD: u16 = 1_232;

/// A question that can be asked, as this server is asked it.
#[derive(Clone, Debug)]
pub(super) struct Query {
    id: u16,
    name: DnsName<Vec<u8>>,
    rtype: Rtype,
}

/// What a server's message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// What it knows; a [`Reply::Failed`] when it will not say.
    Said(Reply),
    /// There is more than fits, by TCP (RFC 2181 §9).
    Truncated,
    /// It does not know EDNS (RFC 6891 §7), or not this kind of question.
    Unknown,
    /// Somebody else's answer, or nobody's.
    Garbage,
}

impl Query {
    /// None when the text cannot be a name of the DNS: a label too long, a name too long.
    pub(super) fn new(question: &Question, id: u16) -> Option<Self> {
        let rtype = match question.kind {
            Kind::Naptr => Rtype::NAPTR,
            Kind::Srv => Rtype::SRV,
            Kind::A => Rtype::A,
            Kind::Aaaa => Rtype::AAAA,
        };
        Some(Self { id, name: question.name.parse().ok()?, rtype })
    }

    /// Its bytes; recursion desired. None when they do not fit, which a name's own limit excludes.
    pub(super) fn bytes(&self, edns: bool) -> Option<Vec<u8>> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        builder.push((&self.name, self.rtype)).ok()?;
        let mut builder = builder.additional();
        if edns {
            builder
                .opt(|opt| {
                    opt.set_udp_payload_size(PAYLOAD);
                    Ok(())
                })
                .ok()?;
        }
        Some(builder.finish())
    }

    /// What these bytes are to the question.
    pub(super) fn heard(&self, bytes: &[u8]) -> Heard {
        let Ok(message) = Message::from_octets(bytes) else { return Heard::Garbage };
        let header = message.header();
        if !header.qr() || header.id() != self.id || header.opcode() != Opcode::QUERY {
            return Heard::Garbage;
        }
        let unknown = matches!(header.rcode(), Rcode::FORMERR | Rcode::NOTIMP);
        // A server that cannot read the question need not repeat it.
        if unknown && message.header_counts().qdcount() == 0 {
            return Heard::Unknown;
        }
        if !self.is_asked(&message) {
            return Heard::Garbage;
        }
        if unknown || message.opt_rcode() == OptRcode::BADVERS {
            return Heard::Unknown;
        }
        if header.tc() {
            return Heard::Truncated;
        }
        match header.rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => self.said(&message).map_or(Heard::Garbage, Heard::Said),
            _ => Heard::Said(Reply::Failed { why: LookupFault::Refused }),
        }
    }

    /// RFC 5452 §9.1: an answer repeats the question.
    fn is_asked(&self, message: &Message<&[u8]>) -> bool {
        message.sole_question().is_ok_and(|asked| {
            *asked.qname() == self.name && asked.qtype() == self.rtype && asked.qclass() == Class::IN
        })
    }

    /// None when it cannot be read.
    fn said(&self, message: &Message<&[u8]>) -> Option<Reply> {
        let answer: Vec<ParsedRecord<'_, &[u8]>> = message.answer().ok()?.collect::<Result<_, _>>().ok()?;
        let exists = message.header().rcode() == Rcode::NOERROR;
        let mut name: DnsName<Vec<u8>> = self.name.clone();
        let mut ttl = Ttl::from_secs(u32::MAX);
        for _ in 0..=ALIASES_MAX {
            let here = || answer.iter().filter(|record| record.class() == Class::IN && record.owner() == name);
            let mut records = here().filter(|record| record.rtype() == self.rtype).peekable();
            if exists && records.peek().is_some() {
                return found(records, self.rtype, ttl);
            }
            // RFC 1034 §3.6.2: an alias has no other records, and what it stands for is asked instead.
            let Some(alias) = here().find(|record| record.rtype() == Rtype::CNAME) else {
                return self.none(message, exists, name != self.name);
            };
            ttl = ttl.min(life(alias.ttl()));
            let alias = alias.to_record::<Cname<_>>().ok()??;
            name = alias.data().cname().to_vec();
        }
        // A circle, or as good as one.
        None
    }

    /// RFC 2308 §2, §5: "there is none" holds as long as the zone's SOA says.
    fn none(&self, message: &Message<&[u8]>, exists: bool, aliased: bool) -> Option<Reply> {
        let authority: Vec<ParsedRecord<'_, &[u8]>> = message.authority().ok()?.collect::<Result<_, _>>().ok()?;
        let soa = authority.iter().find(|record| record.rtype() == Rtype::SOA);
        let ttl = match soa {
            None => Span::ZERO,
            Some(soa) => {
                let data = soa.to_record::<Soa<ParsedName<_>>>().ok()??;
                span(life(soa.ttl()).min(life(data.data().minimum())))
            }
        };
        let elsewhere = aliased || authority.iter().any(|record| record.rtype() == Rtype::NS);
        Some(match exists {
            false => Reply::NoSuchName { ttl },
            // RFC 2308 §2.2: a referral looks the same and says "ask others", as does an alias that is not followed. Whom we ask must do so.
            true if soa.is_none() && elsewhere => Reply::Failed { why: LookupFault::Refused },
            true => Reply::NoData { ttl },
        })
    }
}

/// The records, with the shortest TTL among them and the aliases before them.
fn found<'a, 'b: 'a>(
    records: impl Iterator<Item = &'a ParsedRecord<'b, &'b [u8]>>,
    rtype: Rtype,
    mut ttl: Ttl,
) -> Option<Reply> {
    let mut usable = Vec::new();
    for record in records {
        ttl = ttl.min(life(record.ttl()));
        usable.extend(read(record, rtype)?);
    }
    let ttl = span(ttl);
    Some(if usable.is_empty() { Reply::NoData { ttl } } else { Reply::Found { records: usable, ttl } })
}

/// None when it cannot be read; nothing when it can, and is of no use to SIP.
fn read(record: &ParsedRecord<'_, &[u8]>, rtype: Rtype) -> Option<Option<Record>> {
    Some(Some(match rtype {
        Rtype::A => Record::Address(record.to_record::<A>().ok()??.data().addr().into()),
        Rtype::AAAA => Record::Address(record.to_record::<Aaaa>().ok()??.data().addr().into()),
        Rtype::SRV => {
            let record = record.to_record::<Srv<ParsedName<_>>>().ok()??;
            let srv = record.data();
            let host = text(srv.target());
            Record::Srv { priority: srv.priority(), weight: srv.weight(), port: srv.port(), host }
        }
        _ => {
            let record = record.to_record::<Naptr<_, ParsedName<_>>>().ok()??;
            let naptr = record.data();
            // RFC 3263 §4.1 goes on with the replacement alone; what rewrites by an expression is of other applications.
            if !naptr.regexp().is_empty() {
                return Some(None);
            }
            Record::Naptr {
                order: naptr.order(),
                preference: naptr.preference(),
                flags: String::from_utf8_lossy(naptr.flags().as_slice()).into_owned(),
                service: String::from_utf8_lossy(naptr.services().as_slice()).into_owned(),
                replacement: text(naptr.replacement()),
            }
        }
    }))
}

/// RFC 2181 §8: a TTL with its highest bit set is none at all.
fn life(ttl: Ttl) -> Ttl {
    if ttl.as_secs() > i32::MAX as u32 { Ttl::from_secs(0) } else { ttl }
}

fn span(ttl: Ttl) -> Span {
    Span::from_secs(u64::from(ttl.as_secs()))
}

/// Lower case, without the final dot; empty for the root.
fn text<Octets: AsRef<[u8]>>(name: &ParsedName<Octets>) -> Name {
    Name::from(name.to_string().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests;
