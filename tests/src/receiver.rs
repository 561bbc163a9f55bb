//! A receiver of posts by HTTP: a webhook's, or a collector of traces, which takes them or does not.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

/// How the receiver behaves, one post after another; the last one for ever.
#[derive(Clone, Copy)]
pub enum Manner {
    /// With this status, and nothing more.
    Answers(u16),
    /// It holds the connection and says nothing.
    Hangs,
}

/// One request as it came.
#[derive(Clone)]
pub struct Request {
    /// Its first line.
    pub line: String,
    /// Its headers.
    head: Vec<String>,
    /// Its body.
    pub body: String,
}

impl Request {
    /// A header's value; empty when it has none.
    pub fn header(&self, name: &str) -> &str {
        let mut named = self.head.iter().filter_map(|line| line.split_once(": "));
        named.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

/// Receives posts at this port of the namespace.
pub fn receiver(port: u16, manners: &'static [Manner]) -> Arc<Mutex<Vec<Request>>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port of our own");
    let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
    let seen = requests.clone();
    let serve = move || {
        let mut held = Vec::new();
        for (stream, index) in listener.incoming().zip(0..) {
            let mut stream = stream.expect("a connection");
            seen.lock().expect("requests").push(request(&stream));
            match manners[std::cmp::min(index, manners.len() - 1)] {
                Manner::Answers(status) => {
                    // A post that was given up meanwhile is nobody's.
                    let _gone = write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n");
                }
                Manner::Hangs => held.push(stream),
            }
        }
    };
    Builder::new().name("receiver".to_owned()).spawn(serve).expect("a thread");
    requests
}

fn request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let mut request = Request { line: head.remove(0), head, body: String::new() };
    let mut body = vec![0; request.header("content-length").parse().expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    request.body = String::from_utf8(body).expect("text");
    request
}

/// What is posted, once what was tried again is counted once.
pub fn told(requests: &Mutex<Vec<Request>>) -> Vec<Value> {
    let requests = requests.lock().expect("requests");
    let mut bodies: Vec<&str> = requests.iter().map(|request| request.body.as_str()).collect();
    bodies.dedup();
    bodies.into_iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
}
