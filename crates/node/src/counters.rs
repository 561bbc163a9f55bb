//! What a shard's thread counts of its own: datagrams, packets, ports, rings.
//!
//! Refuses to know: who reads them; they travel in the shard's view.

use crate::hep::HepCounters;
use crate::net::media::MediaCounters;

/// Counters of one shard's thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Turns of the loop.
    pub(crate) turns: u64,
    /// SIP datagrams received.
    pub(crate) datagrams_in: u64,
    /// SIP datagrams sent.
    pub(crate) datagrams_out: u64,
    /// SIP datagrams not sent, for want of room in the socket's buffer.
    pub(crate) send_full: u64,
    /// SIP datagrams that could not be sent.
    pub(crate) send_failed: u64,
    /// Messages that the thread of connections had no room for.
    pub(crate) stream_full: u64,
    /// SIP datagrams for a socket that is not open.
    pub(crate) no_socket: u64,
    /// Receiving calls that failed.
    pub(crate) receive_failed: u64,
    /// Refusals read from error queues.
    pub(crate) refusals: u64,
    /// Datagrams and refusals passed on to the shard that owns them.
    pub(crate) hops: u64,
    /// Media ports that somebody else has.
    pub(crate) ports_taken: u64,
    /// Media ports that could not be opened for another reason.
    pub(crate) ports_failed: u64,
}

/// Counts kept elsewhere, as they are now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elsewhere {
    /// By the media sockets.
    pub(crate) media: MediaCounters,
    /// By the way to the collector.
    pub(crate) hep: HepCounters,
    /// Times io_uring gave way to the portable path of media.
    pub(crate) media_fallbacks: u64,
    /// Times a range of media ports had no pair left.
    pub(crate) ports_exhausted: u64,
    /// Reports lost because control's ring was full.
    pub(crate) reports_lost: u64,
    /// Hops lost because the other shard's ring was full.
    pub(crate) hops_lost: u64,
}

impl Counters {
    /// Every count by its name.
    pub(crate) fn named(&self, elsewhere: &Elsewhere) -> [(&'static str, u64); 27] {
        let (media, hep) = (elsewhere.media, elsewhere.hep);
        [
            ("hep_sent", hep.sent),
            ("hep_full", hep.full),
            ("hep_failed", hep.failed),
            ("hep_refused", hep.refused),
            ("hep_too_large", hep.too_large),
            ("node_turns", self.turns),
            ("node_datagrams_in", self.datagrams_in),
            ("node_datagrams_out", self.datagrams_out),
            ("node_send_full", self.send_full),
            ("node_send_failed", self.send_failed),
            ("node_stream_full", self.stream_full),
            ("node_no_socket", self.no_socket),
            ("node_receive_failed", self.receive_failed),
            ("node_refusals", self.refusals),
            ("node_hops", self.hops),
            ("node_hops_lost", elsewhere.hops_lost),
            ("node_reports_lost", elsewhere.reports_lost),
            ("node_ports_taken", self.ports_taken),
            ("node_ports_failed", self.ports_failed),
            ("node_ports_exhausted", elsewhere.ports_exhausted),
            ("node_media_in", media.received),
            ("node_media_by_ring", media.by_ring),
            ("node_media_fallbacks", elsewhere.media_fallbacks),
            ("node_media_out", media.sent),
            ("node_media_dropped", media.dropped),
            ("node_media_send_full", media.send_full),
            ("node_media_send_failed", media.send_failed),
        ]
    }
}
