//! The API's thread on a real socket, with a real journal, and a client that listens.
#![allow(clippy::expect_used, clippy::panic)]

use super::*;
use crate::net::wake::Waker;
use crate::ring::{Receiver, ring};
use explain::{Act, Operator};
use model::Seq;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use store::{Limits, Place, Store};

struct Node {
    store: Store,
    events: broadcast::Sender<Arc<Entry>>,
    asks: Receiver<Ask>,
    _http: Http,
    at: SocketAddr,
}

impl Node {
    fn start(ring_size: usize) -> Self {
        let (store, reader) = Store::open(Place::Memory, Limits::MEMORY).expect("a journal");
        let waker = Waker::new().expect("a waker");
        let (control, asks) = ring(8, &waker);
        let (events, _) = broadcast::channel(ring_size);
        let (_, access) = watch::channel(Arc::new(Access::new(None, Vec::new(), None)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let answerers = Answerers { control, reader, events: events.clone(), access, lab: None };
        let http = Http::start(listener, answerers).expect("a thread");
        Self { store, events, asks, _http: http, at }
    }

    /// As control does it.
    fn write(&self, seq: u64) {
        let record = Record::Operator(Operator {
            trunk: Some("acme".into()),
            act: Act::Drain,
            via: "api".into(),
            who: String::new(),
            why: String::new(),
        });
        let entry = Arc::new(Entry { seq: Seq(seq), wall: Wall::from_micros(1_795_521_847_112_345), record });
        let _nobody = self.events.send(entry.clone());
        self.store.write(entry).expect("room in the queue");
    }

    /// The answer to a GET, status line first, that control gives when it is asked.
    fn get(&mut self, path: &str, mut control: impl FnMut(Ask)) -> String {
        let mut stream = TcpStream::connect(self.at).expect("the API listens");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n").expect("a request");
        let mut answer = Vec::new();
        for _ in 0..1_000 {
            if stream.read_to_end(&mut answer).is_ok() {
                return String::from_utf8(answer).expect("text");
            }
            while let Some(ask) = self.asks.next() {
                control(ask);
            }
        }
        panic!("no answer to {path}: {answer:?}")
    }

    fn listen(&self, header: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.at).expect("the API listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        write!(stream, "GET /v1/events HTTP/1.1\r\nHost: edge\r\n{header}\r\n").expect("a request");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).expect("a header");
        }
        reader
    }
}

/// Numbers of the next events.
fn ids(reader: &mut BufReader<TcpStream>, count: usize) -> Vec<u64> {
    let lines = reader.lines().map(|line| line.expect("a line in time"));
    lines.filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).take(count).collect()
}

/// Of a trunk that is in no record yet, control knows whether there is one.
#[test]
fn why_of_a_trunk_with_no_record_is_control_s_to_answer() {
    let mut node = Node::start(8);
    let mut asked = Vec::new();
    let mut control = |ask: Ask| {
        let Ask::WhyTrunk { trunk, reply, .. } = ask else { return };
        let known = if trunk == "acme" { Ok(vec![explain::nothing_yet(&trunk)]) } else { Err(Fault::no_trunk(&trunk)) };
        asked.push(trunk);
        let _gone = reply.send(known);
    };
    let answer = node.get("/v1/why/trunk/acme", &mut control);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("nothing has been decided about it yet"), "{answer}");
    let answer = node.get("/v1/why/trunk/nobody", &mut control);
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("there is no trunk `nobody`"), "{answer}");
    node.write(1);
    // The journal is written by a thread of its own.
    let told = (0..1_000).map(|_| node.get("/v1/why/trunk/acme", &mut control)).find(|answer| answer.contains("drain"));
    assert!(told.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
    assert!(asked.len() >= 2 && asked[..2] == ["acme", "nobody"], "{asked:?}");
}

/// What the client asks for is partly in the journal, partly on its way there, partly not written yet: it gets all of it,
/// in order and once.
#[test]
fn a_listener_gets_what_is_kept_what_is_under_way_and_what_comes() {
    let node = Node::start(1_024);
    (1..=700).for_each(|seq| node.write(seq));
    node.store.flush();
    (701..=740).for_each(|seq| node.write(seq));
    let mut reader = node.listen("Last-Event-ID: 99\r\n");
    (741..=800).for_each(|seq| node.write(seq));
    assert_eq!(ids(&mut reader, 701), (100..=800).collect::<Vec<u64>>());
}

/// Control writes on whether anybody reads or not.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let node = Node::start(8);
    let _asleep = node.listen("");
    let mut awake = node.listen("");
    for round in 0..200 {
        let first = round * 8 + 1;
        (first..first + 8).for_each(|seq| node.write(seq));
        assert_eq!(ids(&mut awake, 8), (first..first + 8).collect::<Vec<u64>>());
    }
}
