//! `[streams]`: how many connections of TCP and TLS the edge holds, and how long it waits on them.

use super::fault::Faults;
use super::reader::Reader;
use super::schema::{Section, is};
use super::value;
use model::Span;

pub(super) static STREAMS: Section = Section {
    title: "[streams]",
    example: "[streams]",
    about: "Connections of TCP and TLS: how many there may be, and how long anything may take on them.",
    keys: &[
        is("connections", "count", "4096", "Connections at once; whoever comes then is turned away."),
        is("per_source", "count", "128", "Connections from one address; one peer alone cannot take all of them."),
        is("handshakes", "count", "512", "Accepted connections at once that have not yet agreed on TLS."),
        is(
            "connect",
            "duration",
            "\"1s\"",
            "How long a connection to a trunk may take, TLS included, before its calls go elsewhere.",
        ),
        is("handshake", "duration", "\"5s\"", "How long whoever connects may take to agree on TLS."),
        is("idle", "duration", "\"10min\"", "A connection without any message for so long is closed."),
        is(
            "keep_alive",
            "duration",
            "\"30s\"",
            "How often an idle connection that the edge has opened is asked for a sign of life (RFC 5626 §4.4.1).",
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
    /// Accepted ones whose TLS is not agreed on.
    pub handshakes: usize,
    /// To connect, TLS included.
    pub connect: Span,
    /// To agree on TLS with whoever connects.
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
