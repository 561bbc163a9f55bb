//! The API's thread on a real socket, with a real journal, and a client that listens.
#![allow(clippy::expect_used, clippy::panic)]

use super::*;
use crate::net::wake::Waker;
use crate::ring::{Receiver, ring};
use explain::{Act, Operator};
use model::Seq;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use store::{Limits, Place, Store};

struct Node {
    store: Store,
    events: broadcast::Sender<Arc<Entry>>,
    _control: Receiver<Ask>,
    _http: Http,
    at: SocketAddr,
}

impl Node {
    fn start(ring_size: usize) -> Self {
        let (store, reader) = Store::open(Place::Memory, Limits::MEMORY).expect("a journal");
        let waker = Waker::new().expect("a waker");
        let (control, asks) = ring(8, &waker);
        let (events, _) = broadcast::channel(ring_size);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let answerers = Answerers { control, reader, events: events.clone(), lab: None };
        let http = Http::start(listener, answerers).expect("a thread");
        Self { store, events, _control: asks, _http: http, at }
    }

    /// As control does it.
    fn write(&self, seq: u64) {
        let record = Record::Operator(Operator { trunk: Some("acme".into()), act: Act::Drain, via: "api".into() });
        let entry = Arc::new(Entry { seq: Seq(seq), wall: Wall::from_micros(1_795_521_847_112_345), record });
        let _nobody = self.events.send(entry.clone());
        self.store.write(entry).expect("room in the queue");
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
