//! Questions to small servers of the test's own, good and bad ones, on loopback sockets.
//!
//! What a server is silent about has a limit of half a minute, and each answer is waited for ten seconds: none of these tests passes if
//! somebody waits for a silent server.
#![allow(clippy::expect_used, clippy::panic)]

use super::*;
use crate::net::epoll::{Epoll, Trigger};
use crate::net::wake::Waker;
use crate::ring::{Receiver, ring};
use domain::base::iana::{Class, Rcode};
use domain::base::message_builder::AnswerBuilder;
use domain::base::{Message, MessageBuilder, Ttl};
use domain::rdata::A;
use edge::names::{Kind, Record};
use ledger::Counts;
use model::{Name, Span};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;
use std::sync::mpsc as std_mpsc;

const LONG: Span = Span::from_secs(30);
const SHORT: Span = Span::from_millis(1_200);

/// Lookups, and the end where control would take the answers.
struct Control {
    dns: Dns,
    answers: Receiver<Answer>,
    waker: Waker,
    epoll: Epoll,
}

impl Control {
    fn start(servers: &[SocketAddr], timeout: Span) -> Self {
        let waker = Waker::new().expect("a waker");
        let epoll = Epoll::new(1).expect("epoll");
        epoll.add(&waker, 0, Trigger::Edge).expect("watched");
        let (sender, answers) = ring(4, &waker);
        let dns = Dns::start(&settings(servers, timeout), sender).expect("a thread");
        Self { dns, answers, waker, epoll }
    }

    fn answer(&mut self) -> Answer {
        loop {
            self.waker.awake();
            if let Some(answer) = self.answers.next() {
                return answer;
            }
            assert_eq!(self.epoll.wait(10_000).expect("a wait"), 1, "no answer");
        }
    }

    fn lookup(&mut self, name: &str) -> Reply {
        self.dns.ask(of(name));
        let (question, reply) = self.answer();
        assert_eq!(question, of(name));
        reply
    }

    /// Waits until a server's counts are these: what is late comes when the answer has long been given.
    fn wait_counts(&self, server: SocketAddr, expected: Counts) {
        for _ in 0..1_000 {
            if self.dns.ledger.of(server) == expected {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert_eq!(self.dns.ledger.of(server), expected, "{server}");
    }
}

fn settings(servers: &[SocketAddr], timeout: Span) -> DnsSettings {
    DnsSettings { servers: servers.to_vec(), timeout, ..DnsSettings::default() }
}

fn of(name: &str) -> Question {
    Question { name: Name::from(name), kind: Kind::A }
}

/// A server: each datagram, with whom it is from, brings the datagrams that `answers` gives. It ends with the test.
fn server(mut answers: impl FnMut(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let at = socket.local_addr().expect("an address");
    let serve = move || {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for answer in answers(&buffer[..length], from) {
                // Whoever asked may have gone.
                let _gone = socket.send_to(&answer, from);
            }
        }
    };
    Builder::new().spawn(serve).expect("a thread");
    at
}

fn begun(asked: &[u8], rcode: Rcode) -> AnswerBuilder<Vec<u8>> {
    let asked = Message::from_octets(asked).expect("a question");
    MessageBuilder::new_vec().start_answer(&asked, rcode).expect("room")
}

/// An answer with one address.
fn good(asked: &[u8]) -> Vec<u8> {
    let mut built = begun(asked, Rcode::NOERROR);
    let name = Message::from_octets(asked).expect("a question").sole_question().expect("one").qname().to_string();
    let name: domain::base::Name<Vec<u8>> = name.parse().expect("a name");
    built.push((name, Class::IN, Ttl::from_secs(60), A::new(Ipv4Addr::new(192, 0, 2, 7)))).expect("room");
    built.finish()
}

fn bad(asked: &[u8], rcode: Rcode) -> Vec<u8> {
    begun(asked, rcode).finish()
}

fn found() -> Reply {
    Reply::Found { records: vec![Record::Address(Ipv4Addr::new(192, 0, 2, 7).into())], ttl: Span::from_secs(60) }
}

fn none() -> Reply {
    Reply::NoSuchName { ttl: Span::ZERO }
}

/// Where nobody is.
fn nobody() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.local_addr().expect("an address")
}

fn silent() -> SocketAddr {
    server(|_, _| Vec::new())
}

#[test]
fn a_good_answer_wins_beside_servers_that_are_dead_silent_or_wrong() {
    let garbage = server(|_, _| vec![vec![0xff; 40], Vec::new()]);
    let refusing = server(|asked, _| vec![bad(asked, Rcode::SERVFAIL)]);
    let (silent, nobody, good) = (silent(), nobody(), server(|asked, _| vec![good(asked)]));
    let mut control = Control::start(&[silent, garbage, nobody, refusing, good], LONG);
    assert_eq!(control.lookup("sbc.acme.example"), found());
    control.wait_counts(good, Counts { asked: 1, answered: 1, ..Counts::default() });
    control.wait_counts(refusing, Counts { asked: 1, failed: 1, ..Counts::default() });
    control.wait_counts(nobody, Counts { asked: 1, failed: 1, ..Counts::default() });
}

/// The slow one answers when the question has long been answered.
#[test]
fn who_is_slower_is_counted_as_late() {
    let (release, released) = std_mpsc::channel();
    let slow = server(move |asked, _| {
        released.recv().expect("the test goes on");
        vec![good(asked)]
    });
    let fast = server(|asked, _| vec![good(asked)]);
    let mut control = Control::start(&[slow, fast], LONG);
    assert_eq!(control.lookup("sbc.acme.example"), found());
    release.send(()).expect("it waits");
    control.wait_counts(slow, Counts { asked: 1, late: 1, ..Counts::default() });
    control.wait_counts(fast, Counts { asked: 1, answered: 1, ..Counts::default() });
}

/// The honest server answers when the liar has.
#[test]
fn no_such_name_is_believed_only_if_nobody_knows_better() {
    let (lied, told) = std_mpsc::channel();
    let liar = server(move |asked, _| {
        lied.send(()).expect("the honest one waits");
        vec![bad(asked, Rcode::NXDOMAIN)]
    });
    let honest = server(move |asked, _| {
        told.recv().expect("the liar speaks first");
        vec![good(asked)]
    });
    let mut control = Control::start(&[liar, honest], LONG);
    assert_eq!(control.lookup("sbc.acme.example"), found());
    // Nobody says otherwise: those who are silent are not waited for, which would take half a minute.
    let mut control = Control::start(&[server(|asked, _| vec![bad(asked, Rcode::NXDOMAIN)]), silent()], LONG);
    assert_eq!(control.lookup("sbc.acme.example"), none());
    // Who knows the name, and nothing of this kind, knows more.
    let nodata = server(|asked, _| vec![bad(asked, Rcode::NOERROR)]);
    let mut control = Control::start(&[server(|asked, _| vec![bad(asked, Rcode::NXDOMAIN)]), nodata], LONG);
    assert_eq!(control.lookup("sbc.acme.example"), Reply::NoData { ttl: Span::ZERO });
}

#[test]
fn why_nobody_answers_is_told() {
    let failed = |why| Reply::Failed { why };
    let refusing = server(|asked, _| vec![bad(asked, Rcode::REFUSED)]);
    let garbage = server(|_, _| vec![vec![7; 30]]);
    let cases = [
        (vec![nobody()], LookupFault::NoServer),
        (vec![nobody(), silent()], LookupFault::TimedOut),
        (vec![silent(), garbage], LookupFault::Garbage),
        (vec![garbage, refusing, silent()], LookupFault::Refused),
    ];
    for (servers, why) in cases {
        assert_eq!(Control::start(&servers, SHORT).lookup("sbc.acme.example"), failed(why));
    }
}

/// RFC 5452 §9.1: what somebody else throws in before the answer changes nothing.
#[test]
fn forged_answers_before_the_true_one_are_passed_over() {
    let at = server(|asked, _| {
        let mut other_id = bad(asked, Rcode::NXDOMAIN);
        other_id[0] ^= 0x80;
        vec![other_id, vec![0; 3], good(asked)]
    });
    assert_eq!(Control::start(&[at], LONG).lookup("sbc.acme.example"), found());
}

#[test]
fn a_question_that_gets_lost_is_sent_again() {
    let mut first = true;
    let at = server(move |asked, _| if std::mem::take(&mut first) { Vec::new() } else { vec![good(asked)] });
    assert_eq!(Control::start(&[at], LONG).lookup("sbc.acme.example"), found());
}

/// RFC 7766 §5: what is cut off is asked for again by TCP, at the same server.
#[test]
fn what_is_cut_off_is_asked_by_tcp() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let at = listener.local_addr().expect("an address");
    let socket = UdpSocket::bind(at).expect("a socket");
    let by_udp = move || {
        let mut buffer = [0; 2_048];
        let (length, from) = socket.recv_from(&mut buffer).expect("a question");
        let mut cut = begun(&buffer[..length], Rcode::NOERROR);
        cut.header_mut().set_tc(true);
        socket.send_to(&cut.finish(), from).expect("sent");
    };
    let by_tcp = move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("a length");
        let mut asked = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut asked).expect("a question");
        let answer = good(&asked);
        stream.write_all(&(answer.len() as u16).to_be_bytes()).expect("sent");
        stream.write_all(&answer).expect("sent");
    };
    let threads = [Builder::new().spawn(by_udp), Builder::new().spawn(by_tcp)];
    assert_eq!(Control::start(&[at], LONG).lookup("sbc.acme.example"), found());
    for thread in threads {
        thread.expect("a thread").join().expect("it served");
    }
}

/// RFC 6891 §6.2.2.
#[test]
fn a_server_that_does_not_know_edns_is_asked_without() {
    let at = server(|asked, _| {
        let edns = Message::from_octets(asked).expect("a question").opt().is_some();
        vec![if edns { bad(asked, Rcode::FORMERR) } else { good(asked) }]
    });
    assert_eq!(Control::start(&[at], LONG).lookup("sbc.acme.example"), found());
}

#[test]
fn a_question_that_is_open_is_asked_once() {
    let ports = Arc::new(Mutex::new(BTreeSet::new()));
    let mut held = Vec::new();
    let seen = ports.clone();
    // Holds its answers until the last question has come.
    let at = server(move |asked, from| {
        seen.lock().expect("whole").insert(from.port());
        held.push(good(asked));
        let text = Message::from_octets(asked).expect("a question").sole_question().expect("one").qname().to_string();
        if text == "last.example" { vec![good(asked)] } else { Vec::new() }
    });
    let mut control = Control::start(&[at], SHORT);
    for name in ["one.example", "one.example", "one.example", "last.example"] {
        control.dns.ask(of(name));
    }
    assert_eq!(control.answer(), (of("last.example"), found()));
    let first = (of("one.example"), Reply::Failed { why: LookupFault::TimedOut });
    assert_eq!(control.answer(), first);
    assert_eq!(ports.lock().expect("whole").len(), 2, "one socket for each question");
    // It has been answered, so it may be asked again.
    control.dns.ask(of("one.example"));
    assert_eq!(control.answer(), first);
}

/// More than are asked at one time, into a ring of four: each is answered, once.
#[test]
fn many_questions_wait_for_their_turn() {
    const COUNT: usize = 4 * IN_FLIGHT;
    let at = server(|asked, _| vec![good(asked)]);
    let mut control = Control::start(&[at], LONG);
    for n in 0..COUNT {
        control.dns.ask(of(&format!("host-{n}.example")));
    }
    let answered: BTreeSet<Question> = (0..COUNT)
        .map(|_| {
            let (question, reply) = control.answer();
            assert_eq!(reply, found());
            question
        })
        .collect();
    assert_eq!((answered.len(), control.dns.lost), (COUNT, 0));
}

#[test]
fn other_servers_are_asked_after_a_reload() {
    let (old, new) = (server(|asked, _| vec![bad(asked, Rcode::NXDOMAIN)]), server(|asked, _| vec![good(asked)]));
    let mut control = Control::start(&[old], LONG);
    assert_eq!(control.lookup("sbc.acme.example"), none());
    control.dns.follow(&settings(&[new], LONG));
    control.wait_counts(old, Counts::default());
    assert_eq!(control.lookup("sbc.acme.example"), found());
    control.wait_counts(new, Counts { asked: 1, answered: 1, ..Counts::default() });
}

/// Whoever ends it does not wait for servers, nor for answers that nobody takes.
#[test]
fn its_end_waits_for_nobody() {
    let mut control = Control::start(&[silent()], LONG);
    control.dns.ask(of("sbc.acme.example"));
    drop(control);
    let mut control = Control::start(&[server(|asked, _| vec![good(asked)])], LONG);
    for n in 0..32 {
        control.dns.ask(of(&format!("host-{n}.example")));
    }
    control.answer();
    drop(control.dns);
}
