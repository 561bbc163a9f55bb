//! `[streams]`: how many connections of TCP, TLS and WebSocket the edge holds, and how long it waits on them; and who may open them at a
//! listen.

use super::fault::Faults;
use super::listen::ListenDraft;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is};
use super::value;
use act::Cidr;
use core::net::IpAddr;
use model::Span;
use std::sync::Arc;

pub(super) static STREAMS: Section = Section {
    title: "[streams]",
    example: "[streams]",
    about: "Connections of TCP, TLS and WebSocket: how many there may be, and how long anything may take on them.",
    keys: &[
        is("connections", "count", "4096", "Connections at once; whoever comes then is turned away."),
        is("per_source", "count", "128", "Connections from one address; one peer alone cannot take all of them."),
        is(
            "handshakes",
            "count",
            "512",
            "Accepted connections at once that have not yet agreed on TLS or WebSocket, or whose load balancer has not yet said for whom they are.",
        ),
        is(
            "connect",
            "duration",
            "\"1s\"",
            "How long a connection to a trunk may take, TLS included, before its calls go elsewhere.",
        ),
        is(
            "handshake",
            "duration",
            "\"5s\"",
            "How long whoever connects may take until messages can pass: the header of a load balancer, TLS and the upgrade to WebSocket.",
        ),
        is(
            "idle",
            "duration",
            "\"10min\"",
            "A connection without any message for so long is closed; a WebSocket that has carried one and answers pings is not.",
        ),
        is(
            "keep_alive",
            "duration",
            "\"30s\"",
            "How often an idle connection that the edge has opened is asked for a sign of life (RFC 5626 §4.4.1), and any WebSocket (RFC 6455 §5.5.2).",
        ),
        is(
            "pong",
            "duration",
            "\"10s\"",
            "How long the answer may take. A peer that has never answered is judged by its acknowledgements of TCP alone.",
        ),
        is(
            "unread",
            "bytes",
            "262144",
            "What may wait for a peer that does not read; beyond it the connection is cut.",
        ),
    ],
};

/// Limits of all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections at once.
    pub connections: usize,
    /// Of them, from one address.
    pub per_source: usize,
    /// Accepted ones by which no message can pass yet.
    pub handshakes: usize,
    /// To connect, TLS included.
    pub connect: Span,
    /// Until messages can pass with whoever connects.
    pub handshake: Span,
    /// Without any message.
    pub idle: Span,
    /// Between pings.
    pub keep_alive: Span,
    /// Ping to pong.
    pub pong: Span,
    /// Bytes that wait for a peer.
    pub unread: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_source: 128,
            handshakes: 512,
            connect: Span::from_secs(1),
            handshake: Span::from_secs(5),
            idle: Span::from_secs(600),
            keep_alive: Span::from_secs(30),
            pong: Span::from_secs(10),
            unread: 262_144,
        }
    }
}

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> StreamLimits {
    let mut limits = StreamLimits::default();
    let Some(node) = root.get("streams") else { return limits };
    let Some(reader) = Reader::open(node, &node.span(), &STREAMS, faults) else { return limits };
    reader.set("connections", &mut limits.connections, faults, value::count(1, 100_000));
    reader.set("per_source", &mut limits.per_source, faults, value::count(1, 100_000));
    reader.set("handshakes", &mut limits.handshakes, faults, value::count(1, 100_000));
    let soon = value::span(Span::from_millis(50), Span::from_secs(30));
    reader.set("connect", &mut limits.connect, faults, &soon);
    reader.set("handshake", &mut limits.handshake, faults, &soon);
    let long = value::span(Span::from_secs(1), Span::from_secs(86_400));
    reader.set("idle", &mut limits.idle, faults, &long);
    reader.set("keep_alive", &mut limits.keep_alive, faults, &long);
    reader.set("pong", &mut limits.pong, faults, &long);
    reader.set("unread", &mut limits.unread, faults, value::count(65_536, 16_777_216));
    if limits.per_source > limits.connections {
        let what = format!("one address may have {} of {} connections", limits.per_source, limits.connections);
        faults.warn(&reader.place("per_source"), what, "fewer than `connections`", None);
    }
    limits
}

/// Who may open connections at a listen, besides what the guard says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenStreams {
    /// Load balancers that say for whom they connect, and then all others are turned away; empty is no PROXY protocol.
    pub proxies: Vec<Cidr>,
    /// Whose pages may open WebSockets.
    pub origins: Arc<[String]>,
}

impl ListenStreams {
    /// Whether an address is a load balancer's.
    pub fn is_proxy(&self, addr: IpAddr) -> bool {
        self.proxies.iter().any(|range| range.contains(addr))
    }
}

/// Origins of one listen at most.
const ORIGINS_MAX: usize = 64;

/// `proxy_protocol` and `origins` of a listen.
pub(super) fn of_listen(listen: &Reader<'_, '_>, faults: &mut Faults<'_>) -> ListenStreams {
    let proxies = listen.get("proxy_protocol").map(|node| super::guard::networks(node, faults)).unwrap_or_default();
    let origins = listen.get("origins").map(|node| many(node, faults, origin)).unwrap_or_default();
    if origins.len() > ORIGINS_MAX {
        let what = format!("{} origins are too many", origins.len());
        faults.error(&listen.place("origins"), what, format!("at most {ORIGINS_MAX}"), None);
    }
    if let Some(any) = origins.iter().find(|origin| origin.value == "*") {
        let what = "any page on the web may connect, from the browser of whoever looks at it";
        let fix = Some(String::from("name the pages of your phones: \"https://phone.example\""));
        faults.warn(&any.at, what, "a list of origins", fix);
    }
    ListenStreams {
        proxies: proxies.iter().map(|net| Cidr { addr: net.value.addr, bits: net.value.bits }).collect(),
        origins: origins.into_iter().map(|origin: At<String>| origin.value).collect(),
    }
}

/// An origin as browsers write it: scheme, host, and a port that is not the scheme's own (RFC 6454 §6.2).
fn origin(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = value::text(node, faults)?;
    let host = text.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, host)| host);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if text == "*" || text == "null" || host.is_some_and(|host| !host.is_empty() && host.chars().all(plain)) {
        return Some(text);
    }
    let what = format!("{} is no origin of a page", value::found(node));
    let fix = match host.and_then(|host| host.split_once('/')) {
        Some((bare, _)) => Some(format!(
            "write \"{}{bare}\", without any path",
            text.split_once("://").map_or("", |(s, _)| if s == "http" { "http://" } else { "https://" })
        )),
        None if !text.is_empty() && text.chars().all(plain) => Some(format!("write \"https://{text}\"")),
        None => None,
    };
    faults.error(&node.span(), what, "\"https://HOST\" or \"https://HOST:PORT\"", fix);
    None
}

/// What must fit the sockets of a listen.
pub(super) fn fits(draft: &ListenDraft, listen: &Reader<'_, '_>, faults: &mut Faults<'_>) {
    let web = draft.sockets.iter().find(|socket| socket.value.transport.is_web());
    match (web, listen.get("origins")) {
        (Some(socket), None) => {
            let fix = Some(String::from("add `origins = [\"https://HOST\"]`, the pages your phones are on"));
            faults.error(&socket.at, "nobody says whose pages may connect", "a listen with `origins`", fix);
        }
        (None, Some(_)) if !draft.sockets.is_empty() => {
            let fix = Some(String::from("add \"wss:ADDRESS:443\" to `sip`"));
            faults.warn(&listen.place("origins"), "this listen has no address for WebSockets", "", fix);
        }
        _ => {}
    }
    if listen.get("proxy_protocol").is_some()
        && !draft.sockets.is_empty()
        && !draft.sockets.iter().any(|socket| socket.value.transport.is_reliable())
    {
        let what = "this listen has no address that anybody connects to";
        let fix = Some(String::from("add \"tls:ADDRESS:5061\" to `sip`, or leave `proxy_protocol` away"));
        faults.warn(&listen.place("proxy_protocol"), what, "", fix);
    }
}
