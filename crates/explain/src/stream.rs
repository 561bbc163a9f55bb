//! What was heard of one side of a call, as its record keeps it.
//!
//! Refuses to know: RTP.

use model::{Mos, Name, Span};
use serde::{Deserialize, Serialize};

/// One side's own stream. Spans without a value were never measured; scores are estimates by the E-model (ITU-T G.107).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Packets received.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Packets that were sent, by their numbers.
    pub expected: u64,
    /// Of them, those that never came.
    pub missing: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that were overtaken.
    pub reordered: u64,
    /// Mean jitter (RFC 3550).
    pub jitter: Option<Span>,
    /// Jitter at its worst.
    pub jitter_max: Option<Span>,
    /// Bursts of losses (RFC 3611).
    pub bursts: u64,
    /// Lost of what was inside bursts, in 256ths.
    pub burst_density: u8,
    /// Rating R, estimated.
    pub rating: Option<u8>,
    /// Opinion score that follows from it, estimated.
    pub mos: Option<Mos>,
    /// Mean level, dBov.
    pub level: Option<i8>,
    /// Silence, per thousand of the packets that were listened to.
    pub quiet_permille: Option<u16>,
    /// Packets cut off at the end of the range, per thousand.
    pub clipped_permille: Option<u16>,
    /// Nothing but comfort noise ever came.
    #[serde(default)]
    pub noise_only: bool,
    /// Answer to the first packet; zero when that came before.
    pub first: Option<Span>,
    /// Last packet to the end of the call.
    pub last: Option<Span>,
    /// Times that another source took over.
    pub source_changes: u32,
    /// Times that a source began anew.
    pub restarts: u32,
    /// Times that timestamps jumped.
    pub timestamp_jumps: u32,
    /// Times that the talker paused and sent nothing.
    pub pauses: u32,
    /// By how much the sender's clock is fast, in millionths.
    pub skew_ppm: Option<i32>,
    /// Codec, by its encoding name.
    pub codec: Option<Name>,
    /// Payload type.
    pub payload_type: Option<u8>,
    /// From the edge to this side and back, by its RTCP reports.
    #[serde(default)]
    pub round_trip: Option<Span>,
    /// Of what this side was sent, how much it reports as lost, per thousand.
    #[serde(default)]
    pub told_loss_permille: Option<u16>,
    /// What it reports of how that sounds there (RFC 3611); none when it sends no extended reports.
    #[serde(default)]
    pub told: Option<ToldSound>,
}

/// How what a side was sent sounds there, by its own extended reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToldSound {
    /// Thrown away there for coming too early or too late, per thousand.
    pub discarded_permille: u16,
    /// Lost or thrown away of what was inside bursts, in 256ths.
    pub burst_density: u8,
    /// How long it takes from its network to its ear.
    pub end_delay: Span,
    /// Opinion score of listening, as it estimates that.
    pub mos: Option<Mos>,
}

impl StreamRecord {
    /// Packets that could not be played, missing or late, of those that were sent; per thousand.
    pub fn loss_permille(&self) -> u16 {
        let unplayed = self.missing.saturating_add(self.late).saturating_mul(1_000);
        unplayed.checked_div(self.expected).and_then(|permille| u16::try_from(permille).ok()).unwrap_or(0).min(1_000)
    }
}
