//! The smallest HTTP/1.1 client that can ask the API: one request, one connection, bounded in time and size.
//!
//! Refuses to know: what is asked.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// To connect.
const CONNECT: Duration = Duration::from_secs(2);
/// Between two pieces of an answer. A call in the lab takes its time, and a test call longer.
const ANSWER: Duration = Duration::from_secs(65);
/// Longest head of an answer that comes in lines.
const HEAD: u64 = 16 << 10;
/// Longest answer that is read.
const LONGEST: u64 = 64 << 20;

/// Asks one API.
#[derive(Debug)]
pub(crate) struct Client {
    host: String,
    token: Option<Token>,
    patience: Duration,
}

/// Never printed.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

/// An answer, whatever it says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The same with its head, and as bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn text(self) -> Result<Reply, NoReply> {
        let body = String::from_utf8(self.body).map_err(|_| NoReply::Strange)?;
        Ok(Reply { status: self.status, body })
    }

    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoReply {
    /// The address means nothing.
    Address,
    /// Nobody listens.
    Connect(io::Error),
    /// The connection broke, or was too slow.
    Broken(io::Error),
    /// It is not HTTP.
    Strange,
}

impl Client {
    /// `ADDRESS:PORT`, also with `http://` before it.
    pub(crate) fn new(api: &str) -> Self {
        let host = api.strip_prefix("http://").unwrap_or(api);
        Self { host: host.trim_end_matches('/').to_owned(), token: None, patience: ANSWER }
    }

    /// Shows this token with each request; one that cannot stand in a header is none.
    pub(crate) fn with_token(self, token: Option<String>) -> Self {
        let token = token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        Self { token: token.map(Token), ..self }
    }

    /// Waits no longer than this between two pieces of an answer.
    pub(crate) fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where it asks.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// One request.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Result<Reply, NoReply> {
        self.talk(method, path, body)?.text()
    }

    /// A GET whose answer may be no text.
    pub(crate) fn fetch(&self, path: &str) -> Result<Answer, NoReply> {
        self.talk("GET", path, "")
    }

    fn talk(&self, method: &str, path: &str, body: &str) -> Result<Answer, NoReply> {
        let mut bytes = Vec::new();
        let mut stream = self.connect()?;
        let mut talk = || {
            self.ask(&mut stream, method, path, body)?;
            (&mut stream).take(LONGEST).read_to_end(&mut bytes)
        };
        talk().map_err(NoReply::Broken)?;
        parse(&bytes).ok_or(NoReply::Strange)
    }

    /// A request whose answer comes line by line for as long as both sides like: each line goes to `take`, which says
    /// whether it wants more. An answer that is no success comes back as a whole.
    pub(crate) fn lines(&self, path: &str, take: &mut dyn FnMut(&str) -> bool) -> Result<Option<Reply>, NoReply> {
        let mut stream = self.connect()?;
        self.ask(&mut stream, "GET", path, "").map_err(NoReply::Broken)?;
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = (&mut reader).take(HEAD).read_until(b'\n', &mut head).map_err(NoReply::Broken)?;
            if read == 0 || head.len() as u64 > HEAD {
                return Err(NoReply::Strange);
            }
        }
        if status(&head).ok_or(NoReply::Strange)? != 200 {
            (&mut reader).take(LONGEST).read_to_end(&mut head).map_err(NoReply::Broken)?;
            return parse(&head).ok_or(NoReply::Strange)?.text().map(Some);
        }
        follow(&mut reader, take).map(|()| None).map_err(NoReply::Broken)
    }

    fn connect(&self) -> Result<TcpStream, NoReply> {
        let addrs = self.host.to_socket_addrs().map_err(|_| NoReply::Address)?;
        let mut last = NoReply::Address;
        for addr in addrs {
            match TcpStream::connect_timeout(&addr, CONNECT) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = NoReply::Connect(error),
            }
        }
        Err(last)
    }

    fn ask(&self, stream: &mut TcpStream, method: &str, path: &str, body: &str) -> io::Result<()> {
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(CONNECT))?;
        let shown = self.token.as_ref().map(|Token(token)| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n{body}",
            self.host,
            shown.unwrap_or_default(),
            body.len(),
        );
        stream.write_all(head.as_bytes())
    }
}

/// The lines within the chunks of an answer (RFC 9112 §7.1), until it ends or nobody wants more.
fn follow(reader: &mut impl BufRead, take: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut text = Vec::new();
    loop {
        let mut size = String::new();
        if reader.take(64).read_line(&mut size)? == 0 {
            return Ok(());
        }
        let size = size.trim().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| broken())?;
        if size == 0 {
            return Ok(());
        }
        if (text.len() as u64).saturating_add(size) > LONGEST {
            return Err(broken());
        }
        if reader.take(size).read_to_end(&mut text)? as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader.read_exact(&mut [0; 2])?;
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            if !take(String::from_utf8_lossy(&line).trim_end()) {
                return Ok(());
            }
        }
    }
}

/// RFC 9112 as far as an answer to `Connection: close` needs it.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let status = status(bytes)?;
    let chunked = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("transfer-encoding") && value.to_ascii_lowercase().contains("chunked")
    });
    let body = &bytes[split + 4..];
    let body = if chunked { unchunk(body)? } else { body.to_vec() };
    Some(Answer { status, head: head.to_owned(), body })
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// RFC 9112 §7.1.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size.checked_add(2)?..)?;
    }
}

/// Percent-encodes what goes into a path or a query (RFC 3986 §2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ok = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn lines_are_followed_over_chunks_until_nobody_wants_more() {
        let answer = b"9\r\nid: 1\ndat\r\nA;x=y\r\na: {}\n\n: a\r\n3\r\nb\nz\r\n0\r\n\r\n";
        let told = |most: usize| {
            let mut lines = Vec::new();
            let done = follow(&mut &answer[..], &mut |line| {
                lines.push(line.to_owned());
                lines.len() < most
            });
            (done.is_ok(), lines)
        };
        assert_eq!(told(9), (true, ["id: 1", "data: {}", "", ": ab"].map(str::to_owned).to_vec()));
        assert_eq!(told(2).1.len(), 2);
        assert!(follow(&mut &b"9\r\ntorn"[..], &mut |_| true).is_err());
        assert!(follow(&mut &b"x\r\n"[..], &mut |_| true).is_err());
    }
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let plain = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((plain.status, plain.header("content-length")), (404, Some("2")));
        assert_eq!(plain.text().unwrap(), Reply { status: 404, body: String::from("{}") });
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().body, b"{\"a\":1}");
        for strange in
            [&b"SSH-2.0"[..], b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx"]
        {
            assert_eq!(parse(strange), None);
        }
    }

    #[test]
    fn what_goes_into_a_path_is_encoded() {
        assert_eq!(encode("+47 22/ø"), "%2B47%2022%2F%C3%B8");
    }

    #[test]
    fn a_question_is_one_request_on_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&format!("http://{}/", listener.local_addr().unwrap()));
        let server = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]").unwrap();
            first
        });
        assert_eq!(client.send("POST", "/v1/reload", "").unwrap().body, "[]");
        assert_eq!(server.unwrap().join().unwrap(), "POST /v1/reload HTTP/1.1");
    }

    #[test]
    fn nobody_there_is_told_apart() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(matches!(Client::new(&format!("127.0.0.1:{port}")).send("GET", "/", ""), Err(NoReply::Connect(_))));
        assert!(matches!(Client::new("nonsense").send("GET", "/", ""), Err(NoReply::Address)));
    }
}
