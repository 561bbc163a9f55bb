//! What the thread of connections counts; read by whoever makes metrics.
//!
//! Each refusal and each close has its own number, so that none is silent. Refuses to know: who reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// One count: written by one thread, read by others, in no order with anything else.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            /// Connections that live.
            pub(crate) live: Count,
            $($(#[$doc])* pub(crate) $name: Count,)*
        }

        impl Counters {
            /// Each count by its name.
            pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted,
    /// Connections begun by us.
    begun,
    /// Connections of targets by which they are reached, as they have offered (RFC 5923).
    aliased,
    /// Messages received whole.
    messages_in,
    /// Messages given to a connection.
    messages_out,
    /// Accepting failed: no descriptors, most likely.
    accept_failed,
    /// Turned away: the lists of the guard keep them out.
    refused_unwelcome,
    /// Turned away, or not begun: there are too many connections.
    refused_full,
    /// Turned away: too many from one address.
    refused_source,
    /// Turned away: too many have not agreed on TLS or WebSocket yet.
    refused_handshakes,
    /// Turned away: they come from no load balancer that may say for whom they come.
    refused_no_proxy,
    /// Turned away: a load balancer has not said for whom it connects, or not in time.
    refused_proxy_header,
    /// Turned away: pages of an origin that is not listed.
    refused_origin,
    /// Turned away: what they asked for is no SIP over WebSocket.
    refused_upgrade,
    /// Not begun: nobody can connect to a browser whose WebSocket is gone.
    refused_web,
    /// Not begun: nobody says whom to trust at that address.
    refused_no_trust,
    /// Messages refused because too much waited for the connection to be there.
    refused_waiting,
    /// Ours that could not be had.
    connect_failed,
    /// Ours that were not there in time.
    connect_timed_out,
    /// Ours whose certificate was not accepted, or with whom TLS could not be agreed on.
    tls_failed,
    /// Accepted ones that did not agree on TLS or WebSocket, or not in time.
    handshake_failed,
    /// Closed or reset by the peer.
    closed_by_peer,
    /// Closed: no message for too long.
    closed_idle,
    /// Closed: no sign of life.
    closed_silent,
    /// Cut: the peer does not read.
    closed_unread,
    /// Cut: the guard keeps the peer out.
    closed_unwelcome,
    /// Cut: what it sends is no stream of messages, or no WebSocket.
    closed_bad_stream,
    /// Reports to shards dropped because they fell behind.
    reports_lost,
}
