//! RFC 3263, 2782, 2308 and 8767 by their clauses.
#![allow(clippy::unwrap_used)]

use super::book::Book;
use super::cache::{Cache, Due};
use super::locate::{Known, Located, Named, Search, Ways, locate};
use super::{DnsSettings, Kind, LookupFault, NamedTrunk, Question, Record, Reply, Spot};
use core::net::{IpAddr, SocketAddr};
use model::{Instant, Name, Span, TrunkId};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use sip::Transport;
use std::collections::BTreeMap;

type Zone = BTreeMap<Question, Vec<Record>>;

fn question(name: &str, kind: Kind) -> Question {
    Question { name: Name::from(name), kind }
}

fn srv(priority: u16, weight: u16, port: u16, host: &str) -> Record {
    Record::Srv { priority, weight, port, host: Name::from(host) }
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Record {
    let (flags, service) = (String::from("s"), String::from(service));
    Record::Naptr { order, preference, flags, service, replacement: Name::from(replacement) }
}

fn ip(text: &str) -> Record {
    Record::Address(text.parse().unwrap())
}

fn zone(records: &[(&str, Kind, &[Record])]) -> Zone {
    records.iter().map(|(name, kind, records)| (question(name, *kind), records.to_vec())).collect()
}

fn named(host: &str) -> Named {
    Named { host: Name::from(host), port: None, transport: None, secure: false }
}

fn all_ways() -> Ways {
    let v4: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let v6: SocketAddr = "[2001:db8::1]:5060".parse().unwrap();
    Ways::new([Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().flat_map(|by| [(by, v4), (by, v6)]))
}

fn search(named: &Named, ways: &Ways, zone: &Zone) -> Search {
    locate(named, ways, &|question| zone.get(question).map_or(Known::Nothing, |records| Known::Records(records)))
}

fn found(named: &Named, zone: &Zone) -> Vec<String> {
    let shown = |located: &Located| format!("{} {} {}", located.transport, located.addr, located.priority);
    search(named, &all_ways(), zone).located.iter().map(shown).collect()
}

fn kinds(named: &Named, zone: &Zone) -> Vec<Kind> {
    search(named, &all_ways(), zone).asked.into_iter().map(|question| question.kind).collect()
}

/// RFC 3263 §4.1: the example of the text, with its order and its replacement names.
#[test]
fn naptr_chooses_the_transport_and_names_the_srv() {
    let zone = zone(&[
        (
            "example.com",
            Kind::Naptr,
            &[
                naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
            ],
        ),
        ("_sips._tcp.example.com", Kind::Srv, &[srv(0, 1, 5061, "s1.example.com"), srv(1, 1, 5061, "s2.example.com")]),
        ("_sip._udp.example.com", Kind::Srv, &[srv(0, 1, 5060, "s2.example.com")]),
        ("s1.example.com", Kind::A, &[ip("192.0.2.11")]),
        ("s2.example.com", Kind::A, &[ip("192.0.2.12")]),
    ]);
    assert_eq!(found(&named("example.com"), &zone), ["TLS 192.0.2.11:5061 0", "TLS 192.0.2.12:5061 1"]);
    // Services of transports that we have no socket for are discarded.
    let udp = Ways::new([(Transport::Udp, "192.0.2.1:5060".parse().unwrap())]);
    let located = search(&named("example.com"), &udp, &zone).located;
    assert_eq!((located[0].transport, located[0].addr), (Transport::Udp, "192.0.2.12:5060".parse().unwrap()));
    assert_eq!(&*located[0].host, "s2.example.com");
}

/// RFC 3263 §4.1: for `sips:` everything that is not SIPS is discarded; without records it is TLS on its port.
#[test]
fn sips_is_reached_by_tls_alone() {
    let secure = Named { secure: true, ..named("example.com") };
    let mut zone = zone(&[
        ("example.com", Kind::Naptr, &[naptr(1, 1, "SIP+D2U", "_sip._udp.example.com")]),
        ("_sip._udp.example.com", Kind::Srv, &[srv(0, 0, 5060, "a.example.com")]),
        ("example.com", Kind::A, &[ip("192.0.2.9")]),
        ("a.example.com", Kind::A, &[ip("192.0.2.11")]),
    ]);
    assert_eq!(found(&secure, &zone), ["TLS 192.0.2.9:5061 0"]);
    zone.insert(question("_sips._tcp.example.com", Kind::Srv), vec![srv(3, 0, 5999, "a.example.com")]);
    assert_eq!(found(&secure, &zone), ["TLS 192.0.2.11:5999 3"]);
    let tcp = Named { transport: Some(Transport::Tcp), port: Some(5070), ..secure };
    assert_eq!(found(&tcp, &zone), ["TLS 192.0.2.9:5070 0"], "RFC 3263 §4.1: `sips:` by TCP is TLS");
}

/// RFC 3263 §4.1 and §4.2: what each part of a URI makes needless to ask.
#[test]
fn a_port_leaves_out_srv_and_a_transport_leaves_out_naptr() {
    let zone = zone(&[
        ("example.com", Kind::Naptr, &[naptr(1, 1, "SIP+D2T", "_sip._tcp.example.com")]),
        ("_sip._tcp.example.com", Kind::Srv, &[srv(0, 0, 5070, "a.example.com")]),
        ("example.com", Kind::A, &[ip("192.0.2.9")]),
        ("example.com", Kind::Aaaa, &[ip("2001:db8::9")]),
        ("a.example.com", Kind::A, &[ip("192.0.2.11")]),
    ]);
    let port = Named { port: Some(5080), ..named("example.com") };
    assert_eq!(found(&port, &zone), ["UDP [2001:db8::9]:5080 0", "UDP 192.0.2.9:5080 0"]);
    assert_eq!(kinds(&port, &zone), [Kind::Aaaa, Kind::A]);
    let tcp = Named { transport: Some(Transport::Tcp), ..named("example.com") };
    assert_eq!((found(&tcp, &zone), kinds(&tcp, &zone)[0]), (vec!["TCP 192.0.2.11:5070 0".to_owned()], Kind::Srv));
    let both = Named { port: Some(5080), ..tcp };
    assert_eq!(kinds(&both, &zone), [Kind::Aaaa, Kind::A]);
}

/// RFC 3263 §4.1: no NAPTR, so SRV of each transport; §4.2: no SRV either, so addresses of the name with the default port.
#[test]
fn without_naptr_srv_is_asked_and_without_srv_the_host_itself() {
    let mut zone = zone(&[("example.com", Kind::A, &[ip("192.0.2.9")])]);
    assert_eq!(found(&named("example.com"), &zone), ["UDP 192.0.2.9:5060 0"]);
    let asked = kinds(&named("example.com"), &zone);
    assert_eq!(asked, [Kind::Naptr, Kind::Srv, Kind::Srv, Kind::Aaaa, Kind::A]);
    zone.insert(question("_sip._tcp.example.com", Kind::Srv), vec![srv(0, 0, 5070, "192.0.2.77")]);
    assert_eq!(found(&named("example.com"), &zone), ["TCP 192.0.2.77:5070 0"], "an address as the host of an SRV");
}

/// RFC 2782, "Target": the root means that the service is decidedly not available.
#[test]
fn a_service_that_is_declared_absent_is_not_looked_for_elsewhere() {
    let zone = zone(&[
        ("_sip._udp.example.com", Kind::Srv, &[srv(0, 0, 0, "")]),
        ("example.com", Kind::A, &[ip("192.0.2.9")]),
    ]);
    let udp = Named { transport: Some(Transport::Udp), ..named("example.com") };
    assert_eq!(found(&udp, &zone), Vec::<String>::new());
}

#[test]
fn addresses_of_a_host_share_its_weight_and_nobody_is_at_some() {
    let zone = zone(&[
        ("_sip._udp.example.com", Kind::Srv, &[srv(0, 30, 5060, "a.example.com"), srv(0, 10, 5060, "b.example.com")]),
        ("a.example.com", Kind::A, &[ip("192.0.2.3"), ip("192.0.2.2"), ip("192.0.2.1")]),
        ("b.example.com", Kind::A, &[ip("192.0.2.4"), ip("0.0.0.0"), ip("224.0.0.1"), ip("2001:db8::1")]),
    ]);
    let located = search(&named("example.com"), &all_ways(), &zone).located;
    let weights: Vec<(String, u16)> = located.iter().map(|at| (at.addr.to_string(), at.weight)).collect();
    let expected = [("192.0.2.1:5060", 10), ("192.0.2.2:5060", 10), ("192.0.2.3:5060", 10), ("192.0.2.4:5060", 10)];
    assert_eq!(
        weights,
        expected.map(|(addr, weight)| (addr.to_owned(), weight)),
        "in order, though the server shuffled"
    );
}

/// Not to know is not the same as to know that there is none: no answer for SRV sends no calls to the bare host.
#[test]
fn what_is_not_answered_is_not_guessed() {
    let zone = zone(&[("example.com", Kind::A, &[ip("192.0.2.9")])]);
    let but = |kind: Kind, as_if: Known<'static>| {
        locate(&named("example.com"), &all_ways(), &|question| {
            let records = zone.get(question).map_or(Known::Nothing, |records| Known::Records(records));
            if question.kind == kind { as_if } else { records }
        })
    };
    for kind in [Kind::Naptr, Kind::Srv] {
        let failed = but(kind, Known::Failed);
        assert_eq!((failed.located.len(), failed.failed, failed.unfinished), (0, true, false), "{kind:?}");
        let unasked = but(kind, Known::Unasked);
        assert_eq!((unasked.located.len(), unasked.failed, unasked.unfinished), (0, false, true), "{kind:?}");
    }
    assert_eq!(but(Kind::Naptr, Known::Refused).located.len(), 1, "a resolver that knows no NAPTR hinders nobody");
    assert_eq!(but(Kind::Srv, Known::Refused).located.len(), 0);
    assert_eq!(but(Kind::Aaaa, Known::Failed).located.len(), 1, "one family is enough");
}

fn any_record() -> impl Strategy<Value = Record> {
    let name = || prop_oneof![Just(""), Just("a"), Just("b"), Just("_sip._udp.a"), Just("192.0.2.1"), Just("é ;")];
    let service = prop_oneof![Just("SIP+D2U"), Just("sips+d2t"), Just("SIP+D2T"), Just("E2U+sip")];
    prop_oneof![
        (any::<u16>(), any::<u16>(), service, name()).prop_map(|(o, p, service, name)| naptr(o, p, service, name)),
        (0..3_u16, any::<u16>(), any::<u16>(), name()).prop_map(|(p, w, port, host)| srv(p, w, port, host)),
        any::<IpAddr>().prop_map(Record::Address),
    ]
}

fn any_known() -> impl Strategy<Value = u8> {
    0..8_u8
}

proptest! {
    /// Whatever records an answer has: an end, within its limits, by priority, each address once, nobody where nobody can be; and the
    /// order in which the server gave them is of no account.
    #[test]
    fn any_answers_come_to_a_bounded_end(
        answers in proptest::collection::vec((any_known(), proptest::collection::vec(any_record(), 0..40)), 1..12),
        secure in any::<bool>(),
        port in proptest::option::of(1..u16::MAX),
    ) {
        let pick = |question: &Question| {
            let hash = question.name.bytes().fold(question.kind as usize, |sum, byte| sum * 31 % 997 + usize::from(byte));
            hash % answers.len()
        };
        let named = Named { secure, port, ..named("a") };
        let run = |reverse: bool| {
            let turned: Vec<Vec<Record>> = answers.iter().map(|(_, records)| {
                let mut records = records.clone();
                // Within the limits the order is of no account.
                records.truncate(8);
                if reverse { records.reverse(); }
                records
            }).collect();
            let turned: &'static [Vec<Record>] = turned.leak();
            locate(&named, &all_ways(), &|question| match answers[pick(question)].0 {
                0 => Known::Nothing,
                1 => Known::Failed,
                2 => Known::Refused,
                _ => Known::Records(&turned[pick(question)]),
            })
        };
        let search = run(false);
        prop_assert!(search.located.len() <= 8 && search.asked.len() <= 1 + 24 * (1 + 32));
        prop_assert!(search.located.is_sorted_by_key(|located| located.priority));
        for (index, located) in search.located.iter().enumerate() {
            prop_assert!(!located.addr.ip().is_unspecified() && !located.addr.ip().is_multicast() && located.addr.port() != 0);
            prop_assert!(search.located[..index].iter().all(|other| (other.addr, other.transport) != (located.addr, located.transport)));
            prop_assert!(!secure || located.transport == Transport::Tls);
        }
        prop_assert_eq!(search.located.len(), run(true).located.len());
    }
}

const NOW: Instant = Instant::ZERO;
const TRUNK: TrunkId = TrunkId(1);

fn s(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

fn cache() -> (Cache, Question) {
    let (mut cache, host) = (Cache::new(DnsSettings::default(), 7), question("a.example", Kind::A));
    cache.used(NOW, TRUNK, &[], core::slice::from_ref(&host));
    assert_eq!(cache.due(NOW), Some(Due::Ask(host.clone())));
    assert_eq!(cache.due(NOW), None, "one at a time");
    (cache, host)
}

fn reply(ttl: u64) -> Reply {
    Reply::Found { records: vec![ip("192.0.2.1")], ttl: s(ttl) }
}

/// How long until the next question after this answer.
fn pause(reply: Reply) -> u64 {
    let (mut cache, host) = cache();
    assert!(cache.answer(NOW, &host, reply));
    cache.deadline().unwrap().since(NOW).as_millis()
}

#[test]
fn answers_are_renewed_at_four_fifths_of_their_time_within_floor_and_ceiling() {
    assert!((70_000..=80_000).contains(&pause(reply(100))));
    assert!((3_500..=4_000).contains(&pause(reply(0))), "the floor");
    assert!((2_520_000..=2_880_000).contains(&pause(reply(1_000_000))), "the ceiling");
}

/// RFC 2308 §5: "there is none" is kept for its own time; §4: and an empty answer is no failure.
#[test]
fn that_there_is_none_is_kept_and_not_for_long() {
    assert_eq!(pause(Reply::NoSuchName { ttl: s(20) }), 20_000);
    assert_eq!(pause(Reply::NoData { ttl: s(86_400) }), 60_000);
    let (mut cache, host) = cache();
    cache.answer(NOW, &host, reply(60));
    cache.due(NOW + s(60));
    cache.answer(NOW + s(60), &host, Reply::NoData { ttl: s(60) });
    assert_eq!(cache.known(NOW + s(61), &host), Known::Nothing);
}

/// RFC 8767 §5: what is stale is served while nobody answers, for a limited time, and asked for again at intervals.
#[test]
fn what_nobody_renews_is_served_on_until_its_limit() {
    let (mut cache, host) = cache();
    cache.answer(NOW, &host, reply(60));
    let (mut now, mut asked) = (NOW, 0);
    while now < NOW + s(60 + 86_400) {
        assert!(matches!(cache.known(now, &host), Known::Records(_)), "{now:?}");
        now = cache.deadline().unwrap();
        if let Some(Due::Ask(question)) = cache.due(now) {
            asked += 1;
            cache.answer(now, &question, Reply::Failed { why: LookupFault::TimedOut });
        }
    }
    assert_eq!(cache.known(now, &host), Known::Failed);
    assert!((86_400 / 30..=86_400 / 27 + 2).contains(&asked), "{asked} questions in a day");
    assert_eq!(cache.age(now, &host).unwrap().fault, Some(LookupFault::TimedOut));
}

#[test]
fn a_lookup_that_nobody_ends_counts_as_failed_and_a_late_answer_as_unasked() {
    let (mut cache, host) = cache();
    let lost = cache.deadline().unwrap();
    assert_eq!(lost.since(NOW), s(12), "its limit, and some");
    assert_eq!(cache.due(lost), Some(Due::Lost(host.clone())));
    assert_eq!(cache.known(lost, &host), Known::Failed);
    assert!(!cache.answer(lost, &host, reply(60)), "nobody waits for it any more");
    assert!(!cache.answer(lost, &question("other.example", Kind::A), reply(60)));
}

#[test]
fn what_nobody_uses_is_forgotten() {
    let (mut cache, host) = cache();
    cache.used(NOW, TrunkId(2), &[], core::slice::from_ref(&host));
    cache.used(NOW, TRUNK, core::slice::from_ref(&host), &[]);
    assert_eq!(cache.users(&host), [TrunkId(2)]);
    cache.used(NOW, TrunkId(2), core::slice::from_ref(&host), &[]);
    assert_eq!((cache.deadline(), cache.known(NOW, &host)), (None, Known::Unasked));
    assert!(!cache.answer(NOW, &host, reply(60)));
}

#[test]
fn entries_keep_their_order_and_names_their_priorities_within_it() {
    let at = |host: u8, priority, weight| Located {
        addr: SocketAddr::from(([192, 0, 2, host], 5060)),
        transport: Transport::Udp,
        priority,
        weight,
        host: Name::from("h.example"),
    };
    let fixed = Spot::At(SocketAddr::from(([192, 0, 2, 9], 5060)), Transport::Udp);
    let spots = vec![Spot::Named(named("x.example")), fixed, Spot::Named(named("y.example"))];
    let trunk = NamedTrunk { spots, ways: all_ways() };
    let first = vec![at(1, 10, 5), at(2, 10, 5), at(3, 20, 0)];
    let second = vec![at(9, 1, 0), at(4, 1, 0), at(2, 1, 0)];
    let places = trunk.places(&[first.clone(), vec![], second]);
    let shown: Vec<_> = places.iter().map(|at| (at.addr.to_string(), at.priority, at.name.is_some())).collect();
    let expected = [("1", 0, true), ("2", 0, true), ("3", 1, true), ("9", 2, false), ("4", 3, true)];
    assert_eq!(shown, expected.map(|(host, turn, by_name)| (format!("192.0.2.{host}:5060"), turn, by_name)));
    let many: Vec<Located> = (10..30).map(|host| at(host, 0, 0)).collect();
    assert_eq!(trunk.places(&[many, vec![], vec![]]).len(), 8);
    let fewer = NamedTrunk { spots: vec![Spot::Named(named("z.example")), trunk.spots[0].clone()], ways: all_ways() };
    assert_eq!(trunk.kept(&[first.clone(), vec![], vec![]], &fewer), [vec![], first]);
}

/// A trunk at `acme.example`, in a book that answers from a zone.
fn book(settings: &DnsSettings) -> Book {
    let v4: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let trunk = NamedTrunk { spots: vec![Spot::Named(named("acme.example"))], ways: Ways::new([(Transport::Udp, v4)]) };
    let mut book = Book::new(settings, 7);
    book.install(NOW, settings, [(TRUNK, &trunk)]);
    book
}

/// Answers what is due by then, and tells where the trunk's name leads, and what is amiss with it.
fn leads(book: &mut Book, now: Instant, zone: &Zone) -> (Vec<String>, Option<String>) {
    while let Some(question) = book.due(now) {
        let found = |records: &Vec<Record>| Reply::Found { records: records.clone(), ttl: s(60) };
        let reply = zone.get(&question).map_or(Reply::NoSuchName { ttl: s(60) }, found);
        assert!(book.resolved(now, &question, reply));
    }
    let mut located = Vec::new();
    while let Some((_, spots)) = book.poll() {
        located = spots.concat().iter().map(|located| located.addr.to_string()).collect();
    }
    (located, book.states(now, TRUNK).remove(0).trouble)
}

/// A host that SRV names and that has no address is a mistake of the zone, or of who tells it: it is kept, told of, and dropped in the end.
/// One that SRV names no more is gone at once.
#[test]
fn a_host_without_an_address_keeps_the_last_one_while_srv_names_it() {
    let settings = DnsSettings { stale: s(300), ..DnsSettings::default() };
    let service = "_sip._udp.acme.example";
    let (first, second) = (ip("192.0.2.31"), ip("192.0.2.33"));
    let both: &[Record] = &[srv(10, 0, 5060, "a.example"), srv(20, 0, 5060, "b.example")];
    let (a, b) = (("a.example", Kind::A, &[first][..]), ("b.example", Kind::A, &[second][..]));
    let whole = zone(&[(service, Kind::Srv, both), a, b]);
    let denied = zone(&[(service, Kind::Srv, both), b]);
    let moved = zone(&[(service, Kind::Srv, &both[1..]), b]);
    let (at_both, at_second) =
        (["192.0.2.31:5060", "192.0.2.33:5060"].map(String::from), vec!["192.0.2.33:5060".to_owned()]);
    let why = Some(String::from("its host a.example has no address any more"));

    let mut book = book(&settings);
    assert_eq!(leads(&mut book, NOW, &whole), (at_both.to_vec(), None));
    assert_eq!(leads(&mut book, NOW + s(60), &denied), (at_both.to_vec(), why.clone()));
    assert_eq!(leads(&mut book, NOW + s(120), &whole), (at_both.to_vec(), None), "it is there again");
    assert_eq!(leads(&mut book, NOW + s(180), &denied), (at_both.to_vec(), why.clone()));
    assert_eq!(leads(&mut book, NOW + s(420), &denied), (at_both.to_vec(), why));
    assert_eq!(leads(&mut book, NOW + s(540), &denied).0, at_second, "`stale` is over");
    assert_eq!(leads(&mut book, NOW + s(600), &denied), (at_second.clone(), None));
    assert_eq!(leads(&mut book, NOW + s(660), &whole), (at_both.to_vec(), None));
    assert_eq!(leads(&mut book, NOW + s(720), &moved), (at_second, None), "gone with its record");
}
