//! Requests too large for a datagram go by a stream where the peer is said to take one, and by a datagram after all when none can be had
//! (RFC 3261 §18.1.1).
//!
//! Each message for itself: the dialog keeps its addresses, only the Via says how this request came, and what belongs to its transaction,
//! its CANCEL and the ACK of a refusal, goes the same way. Refuses to know: who takes streams; whoever reads the configuration says it.

use super::{Client, ClientMachine, Endpoint};
use crate::transaction::invite_client::InviteClient;
use crate::transaction::request_client::RequestClient;
use crate::transaction::table::Id;
use crate::transaction::timers::TimerSet;
use crate::transport::{Flow, SentBy};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use memchr::memmem;
use model::{Instant, SocketId, Span};

/// The largest request by a datagram: nobody knows the path's MTU here (18.1.1).
const LARGEST: usize = 1_300;
/// So long no stream is tried where none could be had: a caller waits on each try.
const SHUNNED: Span = Span::from_secs(60);

/// Where large requests go instead.
#[derive(Debug)]
pub(super) struct Stream {
    flow: Flow,
    shunned_until: Option<Instant>,
}

pub(super) type Streams = BTreeMap<(SocketId, SocketAddr), Stream>;

/// The same request as a datagram, for when no stream can be had.
#[derive(Debug)]
pub(super) struct AsDatagram {
    flow: Flow,
    bytes: Vec<u8>,
    timers: TimerSet,
}

impl AsDatagram {
    pub(super) fn new(flow: Flow, bytes: Vec<u8>, timers: &TimerSet) -> Box<Self> {
        Box::new(Self { flow, bytes, timers: *timers })
    }
}

impl Endpoint {
    /// Says who takes large requests by a stream: each flow of datagrams with the flow that serves it. What was said before is void.
    pub fn large_requests_by(&mut self, ways: impl IntoIterator<Item = (Flow, Flow)>) {
        let before = core::mem::take(&mut self.streams);
        let stream = |(from, flow): (Flow, Flow)| {
            let key = (from.socket, from.peer);
            let known = before.get(&key).filter(|known| known.flow == flow);
            (key, Stream { flow, shunned_until: known.and_then(|known| known.shunned_until) })
        };
        self.streams = ways.into_iter().map(stream).collect();
    }

    /// The way of a request that is large, and its bytes as they are there; none when it goes as it is.
    pub(super) fn by_stream(&mut self, now: Instant, to: Flow, bytes: &[u8]) -> Option<(Flow, Vec<u8>)> {
        if to.transport.is_reliable() || bytes.len() <= LARGEST {
            return None;
        }
        let stream = self.streams.get(&(to.socket, to.peer))?;
        if stream.shunned_until.is_some_and(|until| now < until) {
            return None;
        }
        let flow = stream.flow;
        let bytes = with_via(bytes, self.sent_by(to.socket)?, self.sent_by(flow.socket)?)?;
        self.counters.large_by_stream += 1;
        Some((flow, bytes))
    }

    /// No connection could be had there.
    pub(super) fn shun(&mut self, now: Instant, socket: SocketId, peer: SocketAddr) {
        for stream in
            self.streams.values_mut().filter(|stream| (stream.flow.socket, stream.flow.peer) == (socket, peer))
        {
            stream.shunned_until = Some(now + SHUNNED);
        }
    }

    /// What never left by a stream leaves as a datagram, unless nobody wants it any more; false when it cannot.
    pub(super) fn fall_back(&mut self, now: Instant, id: Id) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let wanted = match &client.machine {
            ClientMachine::Invite(machine) => machine.is_wanted(),
            ClientMachine::Request(_) => true,
        };
        let Some(datagram) = client.as_datagram.take().filter(|_| wanted && !client.failed) else { return false };
        let AsDatagram { flow, bytes, timers } = *datagram;
        client.machine = match &client.machine {
            ClientMachine::Invite(_) => ClientMachine::Invite(InviteClient::new(now, &timers, false)),
            ClientMachine::Request(_) => ClientMachine::Request(RequestClient::new(now, &timers, false)),
        };
        client.flow = flow;
        client.bytes = bytes.clone();
        self.counters.large_fell_back += 1;
        self.transmit(flow, bytes);
        self.settle_client(now, id);
        true
    }
}

impl Client {
    /// Somebody has answered, so that it will not be sent in another way.
    pub(super) fn is_heard(&mut self) {
        self.as_datagram = None;
    }
}

/// A request of ours whose Via names another socket of ours.
fn with_via(bytes: &[u8], from: SentBy, to: SentBy) -> Option<Vec<u8>> {
    let written = |by: SentBy| format!("\r\nVia: SIP/2.0/{} {};", by.transport, by.addr).into_bytes();
    let (old, new) = (written(from), written(to));
    let at = memmem::find(bytes, &old)?;
    Some([&bytes[..at], &new, &bytes[at + old.len()..]].concat())
}
