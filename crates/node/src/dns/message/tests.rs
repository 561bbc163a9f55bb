//! Answers as servers send them, well and badly.
#![allow(clippy::expect_used, clippy::panic)]

use super::*;
use domain::base::Serial;
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder};
use domain::base::rdata::ComposeRecordData;
use domain::rdata::rfc1035::Ns;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

type Built = AnswerBuilder<Vec<u8>>;

const ID: u16 = 0x5194;

fn name(text: &str) -> DnsName<Vec<u8>> {
    text.parse().expect("a name")
}

fn question(name: &str, kind: Kind) -> Question {
    Question { name: Name::from(name), kind }
}

fn query(of: &Question) -> Query {
    Query::new(of, ID).expect("a name")
}

/// An answer to a question, before any record.
fn reply_to(of: &Question, rcode: Rcode) -> Built {
    let asked = query(of).bytes(true).expect("bytes");
    let asked = Message::from_octets(asked).expect("a message");
    MessageBuilder::new_vec().start_answer(&asked, rcode).expect("room")
}

fn add(built: &mut Built, owner: &str, ttl: u32, data: impl ComposeRecordData) {
    built.push((name(owner), Class::IN, Ttl::from_secs(ttl), data)).expect("room");
}

fn address(last: u8) -> A {
    A::new(Ipv4Addr::new(192, 0, 2, last))
}

/// With the zone's SOA: its own TTL and its minimum.
fn with_soa(built: Built, ttl: u32, minimum: u32) -> Vec<u8> {
    let mut built = built.authority();
    let (zone, time) = (name("acme.example"), Ttl::from_secs(900));
    let soa = Soa::new(zone.clone(), zone.clone(), Serial(1), time, time, time, Ttl::from_secs(minimum));
    built.push((zone, Class::IN, Ttl::from_secs(ttl), soa)).expect("room");
    built.finish()
}

fn said(of: &Question, bytes: &[u8]) -> Reply {
    match query(of).heard(bytes) {
        Heard::Said(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn at(last: u8) -> Record {
    Record::Address(Ipv4Addr::new(192, 0, 2, last).into())
}

#[test]
fn a_question_asks_for_recursion_and_says_what_it_takes() {
    let bytes = query(&question("_sip._udp.acme.example", Kind::Srv)).bytes(true).expect("bytes");
    let message = Message::from_octets(bytes).expect("a message");
    let asked = message.sole_question().expect("one question");
    assert_eq!((message.header().id(), message.header().rd()), (ID, true));
    assert_eq!((asked.qname().to_string().as_str(), asked.qtype()), ("_sip._udp.acme.example", Rtype::SRV));
    assert_eq!(message.opt().expect("EDNS").udp_payload_size(), 1_232);
    let plain = query(&question("acme.example", Kind::A)).bytes(false).expect("bytes");
    assert!(Message::from_octets(plain).expect("a message").opt().is_none());
}

#[test]
fn what_is_no_name_is_not_asked() {
    let long = format!("{}.example", "a".repeat(64));
    assert!(Query::new(&question(&long, Kind::A), ID).is_none());
    assert!(Query::new(&question("a..example", Kind::A), ID).is_none());
}

/// RFC 2181 §5.2: records of one set should have one TTL; when they have not, the shortest holds.
#[test]
fn addresses_of_both_families_are_read_with_the_shortest_ttl() {
    let of = question("sbc.acme.example", Kind::A);
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "sbc.acme.example", 300, address(7));
    add(&mut built, "SBC.acme.example", 60, address(8));
    add(&mut built, "other.acme.example", 1, address(9));
    let expected = Reply::Found { records: vec![at(7), at(8)], ttl: Span::from_secs(60) };
    assert_eq!(said(&of, &built.finish()), expected);

    let of = question("sbc.acme.example", Kind::Aaaa);
    let v6: Ipv6Addr = "2001:db8::7".parse().expect("an address");
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "sbc.acme.example", 30, Aaaa::new(v6));
    let expected = Reply::Found { records: vec![Record::Address(v6.into())], ttl: Span::from_secs(30) };
    assert_eq!(said(&of, &built.finish()), expected);
}

/// RFC 2782: the root as target says that the service is decidedly not there.
#[test]
fn services_are_read_in_lower_case_and_the_root_is_empty() {
    let of = question("_sip._udp.acme.example", Kind::Srv);
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "_sip._udp.acme.example", 60, Srv::new(10, 3, 5070, name("A.Acme.Example")));
    add(&mut built, "_sip._udp.acme.example", 60, Srv::new(20, 0, 5060, name(".")));
    let (first, none) = (Name::from("a.acme.example"), Name::from(""));
    let records = vec![
        Record::Srv { priority: 10, weight: 3, port: 5070, host: first },
        Record::Srv { priority: 20, weight: 0, port: 5060, host: none },
    ];
    assert_eq!(said(&of, &built.finish()), Reply::Found { records, ttl: Span::from_secs(60) });
}

/// RFC 3263 §4.1 uses the replacement; records that rewrite are of other applications.
#[test]
fn naptr_records_are_read_and_those_that_rewrite_are_not_for_sip() {
    let of = question("acme.example", Kind::Naptr);
    let chars = |text: &str| domain::base::CharStr::from_octets(text.as_bytes().to_vec()).expect("short");
    let naptr = |flags: &str, service: &str, regexp: &str, to: &str| {
        Naptr::new(10, 50, chars(flags), chars(service), chars(regexp), name(to))
    };
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "acme.example", 90, naptr("s", "SIP+D2U", "", "_sip._udp.Acme.example"));
    add(&mut built, "acme.example", 90, naptr("u", "E2U+sip", "!^.*$!sip:a@acme.example!", "."));
    let record = Record::Naptr {
        order: 10,
        preference: 50,
        flags: "s".to_owned(),
        service: "SIP+D2U".to_owned(),
        replacement: Name::from("_sip._udp.acme.example"),
    };
    assert_eq!(said(&of, &built.finish()), Reply::Found { records: vec![record], ttl: Span::from_secs(90) });
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "acme.example", 90, naptr("u", "E2U+sip", "!^.*$!sip:a@acme.example!", "."));
    assert_eq!(said(&of, &built.finish()), Reply::NoData { ttl: Span::from_secs(90) });
}

/// RFC 1034 §3.6.2: aliases are followed inside the answer, in whatever order they stand; the shortest TTL of the way holds.
#[test]
fn aliases_are_followed_and_their_ttl_counts() {
    let of = question("sbc.acme.example", Kind::A);
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "c.acme.example", 600, address(7));
    add(&mut built, "b.acme.example", 20, Cname::new(name("c.acme.example")));
    add(&mut built, "sbc.acme.example", 300, Cname::new(name("B.acme.example")));
    assert_eq!(said(&of, &built.finish()), Reply::Found { records: vec![at(7)], ttl: Span::from_secs(20) });
}

#[test]
fn aliases_in_a_circle_or_without_end_are_no_answer() {
    let of = question("0.acme.example", Kind::A);
    let mut circle = reply_to(&of, Rcode::NOERROR);
    add(&mut circle, "0.acme.example", 60, Cname::new(name("1.acme.example")));
    add(&mut circle, "1.acme.example", 60, Cname::new(name("0.acme.example")));
    assert_eq!(query(&of).heard(&circle.finish()), Heard::Garbage);
    let chain = |length: usize| {
        let mut built = reply_to(&of, Rcode::NOERROR);
        for n in 0..length {
            let next = name(&format!("{}.acme.example", n + 1));
            add(&mut built, &format!("{n}.acme.example"), 60, Cname::new(next));
        }
        add(&mut built, &format!("{length}.acme.example"), 60, address(7));
        query(&of).heard(&built.finish())
    };
    assert!(matches!(chain(ALIASES_MAX), Heard::Said(Reply::Found { .. })));
    assert_eq!(chain(ALIASES_MAX + 1), Heard::Garbage);
}

/// RFC 2308 §5: the lesser of the SOA's own TTL and its minimum.
#[test]
fn there_is_none_holds_as_long_as_the_soa_says() {
    let of = question("sbc.acme.example", Kind::A);
    let none = with_soa(reply_to(&of, Rcode::NXDOMAIN), 300, 40);
    assert_eq!(said(&of, &none), Reply::NoSuchName { ttl: Span::from_secs(40) });
    let none = with_soa(reply_to(&of, Rcode::NOERROR), 30, 40);
    assert_eq!(said(&of, &none), Reply::NoData { ttl: Span::from_secs(30) });
    // RFC 2308 §2.1: an alias of what does not exist.
    let mut aliased = reply_to(&of, Rcode::NXDOMAIN);
    add(&mut aliased, "sbc.acme.example", 300, Cname::new(name("gone.acme.example")));
    assert_eq!(said(&of, &with_soa(aliased, 300, 40)), Reply::NoSuchName { ttl: Span::from_secs(40) });
    // RFC 2308 §5: without an SOA it must not be kept.
    assert_eq!(said(&of, &reply_to(&of, Rcode::NXDOMAIN).finish()), Reply::NoSuchName { ttl: Span::ZERO });
    assert_eq!(said(&of, &reply_to(&of, Rcode::NOERROR).finish()), Reply::NoData { ttl: Span::ZERO });
}

/// RFC 2308 §2.2: a referral looks like "there is none", and is not.
#[test]
fn a_referral_and_an_alias_that_is_not_followed_are_no_answers() {
    let of = question("sbc.acme.example", Kind::A);
    let mut referral = reply_to(&of, Rcode::NOERROR).authority();
    let ns = Ns::new(name("ns.acme.example"));
    referral.push((name("acme.example"), Class::IN, Ttl::from_secs(60), ns)).expect("room");
    let refused = Reply::Failed { why: LookupFault::Refused };
    assert_eq!(said(&of, &referral.finish()), refused);
    let mut alias = reply_to(&of, Rcode::NOERROR);
    add(&mut alias, "sbc.acme.example", 60, Cname::new(name("sbc.globex.example")));
    assert_eq!(said(&of, &alias.finish()), refused);
}

/// RFC 2181 §8.
#[test]
fn a_ttl_with_its_highest_bit_is_none() {
    let of = question("sbc.acme.example", Kind::A);
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "sbc.acme.example", 1 << 31, address(7));
    assert_eq!(said(&of, &built.finish()), Reply::Found { records: vec![at(7)], ttl: Span::ZERO });
}

#[test]
fn refusals_are_told_from_what_the_server_does_not_know() {
    let of = question("sbc.acme.example", Kind::Naptr);
    for rcode in [Rcode::SERVFAIL, Rcode::REFUSED] {
        assert_eq!(said(&of, &reply_to(&of, rcode).finish()), Reply::Failed { why: LookupFault::Refused }, "{rcode}");
    }
    for rcode in [Rcode::FORMERR, Rcode::NOTIMP] {
        assert_eq!(query(&of).heard(&reply_to(&of, rcode).finish()), Heard::Unknown, "{rcode}");
    }
    let mut bare = reply_to(&of, Rcode::FORMERR).finish();
    bare.truncate(12);
    bare[5] = 0;
    assert_eq!(query(&of).heard(&bare), Heard::Unknown, "a header alone");
    let mut badvers: AdditionalBuilder<Vec<u8>> = reply_to(&of, Rcode::NOERROR).additional();
    badvers
        .opt(|opt| {
            opt.set_rcode(OptRcode::BADVERS);
            Ok(())
        })
        .expect("room");
    assert_eq!(query(&of).heard(&badvers.finish()), Heard::Unknown, "another version of EDNS");
}

/// RFC 5452 §9.1: id and question must be ours, and it must be an answer.
#[test]
fn answers_to_others_are_not_ours() {
    let of = question("sbc.acme.example", Kind::A);
    let good = |of: &Question| {
        let mut built = reply_to(of, Rcode::NOERROR);
        add(&mut built, of.name.as_str(), 60, address(7));
        built
    };
    assert!(matches!(query(&of).heard(&good(&of).finish()), Heard::Said(_)));
    let mut other_id = good(&of);
    other_id.header_mut().set_id(ID ^ 1);
    assert_eq!(query(&of).heard(&other_id.finish()), Heard::Garbage);
    let mut question_itself = good(&of);
    question_itself.header_mut().set_qr(false);
    assert_eq!(query(&of).heard(&question_itself.finish()), Heard::Garbage);
    assert_eq!(query(&of).heard(&good(&question("sbc.globex.example", Kind::A)).finish()), Heard::Garbage);
    assert_eq!(query(&of).heard(&good(&question("sbc.acme.example", Kind::Aaaa)).finish()), Heard::Garbage);
    // RFC 4343: names are compared without case.
    let shouted = question("SBC.Acme.Example", Kind::A);
    assert!(matches!(query(&of).heard(&good(&shouted).finish()), Heard::Said(Reply::Found { .. })));
}

/// RFC 2181 §9: what is cut off is not used.
#[test]
fn an_answer_that_is_cut_off_is_not_used() {
    let of = question("sbc.acme.example", Kind::A);
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "sbc.acme.example", 60, address(7));
    built.header_mut().set_tc(true);
    assert_eq!(query(&of).heard(&built.finish()), Heard::Truncated);
}

#[test]
fn an_answer_that_ends_too_early_is_garbage() {
    let of = question("sbc.acme.example", Kind::A);
    let mut built = reply_to(&of, Rcode::NOERROR);
    add(&mut built, "sbc.acme.example", 60, address(7));
    let bytes = built.finish();
    for length in 0..bytes.len() {
        assert_eq!(query(&of).heard(&bytes[..length]), Heard::Garbage, "{length} bytes");
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Naptr), Just(Kind::Srv), Just(Kind::A), Just(Kind::Aaaa)]
}

proptest! {
    /// Whatever comes, there is a verdict.
    #[test]
    fn no_bytes_bring_it_down(kind in kind(), bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let of = question("sbc.acme.example", kind);
        query(&of).heard(&bytes);
        // And behind a header and a question that are ours, where more of it is read.
        let mut ours = reply_to(&of, Rcode::NOERROR).finish();
        ours[7] = 3;
        ours[9] = 2;
        ours.extend_from_slice(&bytes);
        query(&of).heard(&ours);
    }

    /// Good answers with bytes changed, where pointers, lengths and types are.
    #[test]
    fn no_damage_brings_it_down(kind in kind(), damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let of = question("sbc.acme.example", kind);
        let mut built = reply_to(&of, Rcode::NOERROR);
        let chars = |text: &str| domain::base::CharStr::from_octets(text.as_bytes().to_vec()).expect("short");
        add(&mut built, "sbc.acme.example", 60, Cname::new(name("b.acme.example")));
        add(&mut built, "b.acme.example", 60, address(7));
        add(&mut built, "b.acme.example", 60, Srv::new(1, 1, 5060, name("b.acme.example")));
        add(&mut built, "b.acme.example", 60, Naptr::new(1, 1, chars("s"), chars("SIP+D2U"), chars(""), name("c.example")));
        let mut bytes = with_soa(built, 60, 60);
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes[..2].copy_from_slice(&ID.to_be_bytes());
        query(&of).heard(&bytes);
    }
}
