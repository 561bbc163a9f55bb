//! The site that serves the page with a phone in it, hears what its phones say, and has orders for them.
//!
//! As much of HTTP as a browser needs for that: every answer ends its connection. Refuses to know: what is said and ordered.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

const PAGE: &str = include_str!("../page/index.html");
const PHONE: &str = include_str!("../page/phone.js");
/// What `scripts/install-interop` makes of JsSIP.
const JSSIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/interop/js/jssip.js");
/// A browser connects in advance, and then may have nothing to ask.
const PATIENCE: Duration = Duration::from_secs(30);
/// No request of a page is longer.
const LONGEST: usize = 65_536;

/// Between the test and one phone.
#[derive(Default)]
struct Line {
    said: Vec<String>,
    orders: Vec<String>,
}

/// Browsers of several tests at once would take their time from each other.
static ONE_TEST: Mutex<()> = Mutex::new(());

type Lines = Arc<Mutex<BTreeMap<String, Line>>>;

/// A running site.
pub struct Site {
    at: String,
    lines: Lines,
    over: Arc<AtomicBool>,
    serves: Option<JoinHandle<()>>,
    _alone: MutexGuard<'static, ()>,
}

impl Site {
    /// Serves at this address, `IP:PORT`, as soon as no other test has a site.
    pub fn serve(at: &str) -> Self {
        let alone = ONE_TEST.lock().unwrap_or_else(PoisonError::into_inner);
        let script = std::fs::read_to_string(JSSIP).expect("JsSIP; `make interop` installs it");
        let listener = TcpListener::bind(at).expect("the address of the site");
        let (lines, over) = (Lines::default(), Arc::new(AtomicBool::new(false)));
        let serves = {
            let (lines, over, script) = (lines.clone(), over.clone(), Arc::new(script));
            let serve = move || {
                for stream in listener.incoming().flatten().take_while(|_| !over.load(Ordering::Relaxed)) {
                    let (lines, script) = (lines.clone(), script.clone());
                    let answer = move || answer(stream, &lines, &script);
                    // It ends with its connection.
                    let _own = Builder::new().name("visitor".to_owned()).spawn(answer).expect("a thread");
                }
            };
            Builder::new().name("site".to_owned()).spawn(serve).expect("a thread")
        };
        Self { at: at.to_owned(), lines, over, serves: Some(serves), _alone: alone }
    }

    /// Its origin, as a browser names it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What the phone of this user has said so far.
    pub fn said(&self, user: &str) -> Vec<String> {
        held(&self.lines).get(user).map(|line| line.said.clone()).unwrap_or_default()
    }

    /// Has an order for the phone of this user.
    pub fn order(&self, user: &str, order: &str) {
        held(&self.lines).entry(user.to_owned()).or_default().orders.push(order.to_owned());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It looks at each connection whether it is over.
        let _last = TcpStream::connect(&self.at);
        if let Some(serves) = self.serves.take() {
            let _ended = serves.join();
        }
    }
}

/// A test that has failed has left them whole.
fn held(lines: &Lines) -> MutexGuard<'_, BTreeMap<String, Line>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the one request of a connection.
fn answer(mut stream: TcpStream, lines: &Lines, script: &str) {
    let Some((target, body)) = request(&mut stream) else { return };
    let (path, user) = target.split_once("?user=").unwrap_or((&target, ""));
    let path = path.split('?').next().unwrap_or_default();
    let (kind, content) = match path {
        "/" => ("text/html", PAGE.to_owned()),
        "/phone.js" => ("text/javascript", PHONE.to_owned()),
        "/jssip.js" => ("text/javascript", script.to_owned()),
        "/said" => {
            held(lines).entry(user.to_owned()).or_default().said.push(body);
            ("text/plain", String::new())
        }
        "/orders" => {
            let orders = std::mem::take(&mut held(lines).entry(user.to_owned()).or_default().orders);
            ("text/plain", orders.join("\n"))
        }
        _ => ("text/plain", String::new()),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n",
        content.len()
    );
    // A browser that has ended wants no answer.
    let _gone = stream.write_all(&[head.as_bytes(), content.as_bytes()].concat());
}

/// Target and body of a request; none of a connection that ends before it is whole.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (mut bytes, mut some) = (Vec::new(), [0; 4_096]);
    while bytes.len() < LONGEST {
        let count = stream.read(&mut some).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()));
        }
    }
    None
}
