//! What a shard's thread is told and tells: by rings, to and from control, the other shards and the thread of connections.
//!
//! Refuses to know: what is done about any of it.

use super::hops::Hop;
use crate::net::udp::SipSocket;
use crate::net::wake::Waker;
use crate::ring::{Receiver, Sender};
use crate::streams::ByStream;
use edge::{Bound, CallPlace, CallView, Captured, Notice, ServiceRoute, ShardView, Snapshot, Tested, Whom};
use explain::CallRecord;
use model::{CallRef, Signal};
use sense::{ProbeOrder, TestCallOrder};
use std::net::SocketAddr;
use std::sync::Arc;

/// From control to a shard.
#[derive(Debug)]
pub(crate) enum Order {
    /// Sockets of a configuration that follows.
    Sockets(Vec<(SocketAddr, SipSocket)>),
    /// Configuration and trunk table of a new epoch.
    Update(Arc<Snapshot>),
    /// Send this probe.
    Probe(ProbeOrder),
    /// Place this test call.
    TestCall(TestCallOrder),
    /// What is known of phones.
    Bindings(Arc<[Bound]>),
    /// An operator forgives whom the guard keeps out.
    Forgive(Whom),
    /// Show calls.
    Look {
        /// Number of the question.
        ticket: u64,
        /// One call, or all.
        call: Option<CallRef>,
        /// Of all: those alone that came after this one.
        after: Option<CallPlace>,
        /// So many at most.
        most: usize,
    },
    /// Show what was said in a call.
    Capture {
        /// Number of the question.
        ticket: u64,
        /// Which.
        call: CallRef,
        /// Its Call-IDs, when it is over.
        call_ids: Arc<[Vec<u8>]>,
    },
    /// Take no new calls; report when the last has ended.
    Drain,
    /// The same, and end those there are.
    Close,
    /// End now.
    End,
}

/// From a shard to control.
#[derive(Debug)]
pub(crate) enum Report {
    /// What was seen.
    Signal(Signal),
    /// A call ended.
    Ended(Box<CallRecord>),
    /// A test call ended.
    Tested(Box<Tested>),
    /// Something an operator should hear of.
    Notice(Notice),
    /// What a registrar of ours has said.
    ServiceRoute(ServiceRoute),
    /// A phone's bindings have changed.
    Bound(Bound),
    /// Answer to a look.
    View {
        /// Number of the question.
        ticket: u64,
        /// The shard in numbers.
        view: Box<ShardView>,
        /// Its calls.
        calls: Vec<CallView>,
    },
    /// Answer to that.
    Captured {
        /// Number of the question.
        ticket: u64,
        /// What was said.
        said: Captured,
    },
    /// The first stock of media ports is open: so many pairs, and so many ports that were not to be had.
    Ready {
        /// Pairs open.
        pairs: usize,
        /// Pairs that could not be opened.
        refused: u64,
    },
    /// Draining, and no call is left.
    Idle,
}

/// The shard's ends of all rings.
pub(crate) struct Links {
    /// Wakes this shard.
    pub(crate) waker: Waker,
    /// From control.
    pub(crate) orders: Receiver<Order>,
    /// To control.
    pub(crate) reports: Sender<Report>,
    /// From the other shards, and from the thread of connections.
    pub(crate) hops_in: Vec<Receiver<Hop>>,
    /// To shard number *index*; none for this one.
    pub(crate) hops_out: Vec<Option<Sender<Hop>>>,
    /// To the thread of connections, when there is one.
    pub(crate) streams: Option<Sender<ByStream>>,
}
