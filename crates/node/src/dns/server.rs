//! One question to one server: by UDP, again when it is silent, by TCP when the answer is longer than a datagram.
//!
//! Each question has a socket of its own, so a port of its own, and an id that nobody can guess (RFC 5452 §4.5, §9.2). Refuses to know:
//! other servers, what the answer is used for.

use super::message::{Heard, Query};
use crate::net::process;
use edge::names::{LookupFault, Question, Reply};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

/// A datagram without an answer is sent again after that.
const AGAIN: Duration = Duration::from_millis(500);
/// Datagrams that are no answer, before the server is given up.
const GARBAGE_MAX: u32 = 64;
/// What is read of one datagram; more than we say we take, for those who do not listen.
const DATAGRAM: usize = 4_096;

/// What the server says until `limit` has passed.
///
/// # Errors
/// Why it says nothing: it cannot be reached, is silent, refuses, or talks of other things.
pub(super) async fn ask(server: SocketAddr, question: &Question, limit: Duration) -> Result<Reply, LookupFault> {
    let deadline = Instant::now() + limit;
    let id = process::secret().map_err(|_| LookupFault::NoServer)? as u16;
    let Some(query) = Query::new(question, id) else {
        // What is no name cannot exist.
        return Ok(Reply::NoSuchName { ttl: model::Span::ZERO });
    };
    let mut heard = by_udp(server, &query, true, deadline).await?;
    if heard == Heard::Unknown {
        // RFC 6891 §6.2.2: perhaps it knows the question without.
        heard = by_udp(server, &query, false, deadline).await?;
    }
    if heard == Heard::Truncated {
        let by_tcp = timeout_at(deadline, by_tcp(server, &query));
        heard = by_tcp.await.map_err(|_| LookupFault::TimedOut)?.map_err(|_| LookupFault::NoServer)?;
    }
    match heard {
        Heard::Said(Reply::Failed { why }) => Err(why),
        Heard::Said(reply) => Ok(reply),
        Heard::Unknown => Err(LookupFault::Refused),
        Heard::Truncated | Heard::Garbage => Err(LookupFault::Garbage),
    }
}

/// What comes from elsewhere, or answers another question, is passed over: the answer may still come (RFC 5452 §6).
async fn by_udp(server: SocketAddr, query: &Query, edns: bool, deadline: Instant) -> Result<Heard, LookupFault> {
    let unreachable = |_| LookupFault::NoServer;
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    let bytes = query.bytes(edns).ok_or(LookupFault::Garbage)?;
    let mut datagram = vec![0; DATAGRAM];
    let mut garbage = 0;
    while Instant::now() < deadline && garbage < GARBAGE_MAX {
        socket.send(&bytes).await.map_err(unreachable)?;
        let until = deadline.min(Instant::now() + AGAIN);
        while garbage < GARBAGE_MAX {
            let Ok(received) = timeout_at(until, socket.recv(&mut datagram)).await else { break };
            // An ICMP error, most likely: nobody listens there.
            let length = received.map_err(unreachable)?;
            match query.heard(&datagram[..length]) {
                Heard::Garbage => garbage += 1,
                heard => return Ok(heard),
            }
        }
    }
    Err(if garbage > 0 { LookupFault::Garbage } else { LookupFault::TimedOut })
}

/// RFC 7766 §8: each message with its length before it.
async fn by_tcp(server: SocketAddr, query: &Query) -> std::io::Result<Heard> {
    let bytes = query.bytes(true).unwrap_or_default();
    let mut stream = TcpStream::connect(server).await?;
    let mut message = (bytes.len() as u16).to_be_bytes().to_vec();
    message.extend_from_slice(&bytes);
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    message.resize(usize::from(length), 0);
    stream.read_exact(&mut message).await?;
    Ok(query.heard(&message))
}
