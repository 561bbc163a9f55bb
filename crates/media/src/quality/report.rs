//! What was measured of one side, when somebody asks: counts, and the estimate that follows from them.
//!
//! Refuses to know: how it is told.

use super::bursts::Burstiness;
use crate::speech::Codec;
use crate::xr::Metrics;
use model::{Instant, Mos, Span};

/// One side's own stream, as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Quality {
    /// Packets received, duplicates and late ones too.
    pub packets: u64,
    /// Bytes of them, from the RTP header on.
    pub bytes: u64,
    /// Packets that were sent, by their numbers.
    pub expected: u64,
    /// Expected and not received, duplicates counted as received (RFC 3550 §A.3).
    pub lost: i64,
    /// Of what was expected, that of which nothing ever came.
    pub missing: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that were overtaken.
    pub reordered: u64,
    /// Of them, those that came too late to be played.
    pub late: u64,
    /// Packets of no stream: of numbers far off, or of a source that did not go on.
    pub strays: u64,
    /// Interarrival jitter now; none while the clock of the stream is unknown.
    pub jitter: Option<Span>,
    /// At its worst.
    pub jitter_max: Option<Span>,
    /// Its mean over all packets.
    pub jitter_mean: Option<Span>,
    /// Losses that came together.
    pub burstiness: Burstiness,
    /// Rating by the E-model, estimated; none for a codec of which nothing is known.
    pub rating: Option<u8>,
    /// Opinion score that follows from it.
    pub mos: Option<Mos>,
    /// Level, dBov; none when the codec cannot be listened to.
    pub level: Option<i8>,
    /// Share of silence, per thousand of the packets that were looked at.
    pub quiet_permille: Option<u16>,
    /// Share of packets that were cut off at the end of the range, per thousand.
    pub clipped_permille: Option<u16>,
    /// Nothing but comfort noise ever came (RFC 3389).
    pub noise_only: bool,
    /// The first packet.
    pub first: Option<Instant>,
    /// The last one.
    pub last: Option<Instant>,
    /// Times that another source took over.
    pub source_changes: u32,
    /// Times that a source began anew with other numbers.
    pub restarts: u32,
    /// Times that timestamps jumped.
    pub timestamp_jumps: u32,
    /// Times that the talker paused and sent nothing.
    pub pauses: u32,
    /// By how much the sender's clock is fast, in millionths.
    pub skew_ppm: Option<i32>,
    /// Payload type of its sound.
    pub payload_type: Option<u8>,
    /// The codec that is.
    pub codec: Option<Codec>,
    /// From the edge to this side and back, by its reports.
    pub round_trip: Option<Span>,
    /// Of what this side was sent, how much it reports as lost, per thousand.
    pub told_loss_permille: Option<u16>,
    /// How that sounds there, by its extended reports.
    pub told: Option<Metrics>,
}
