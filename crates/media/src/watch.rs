//! What is heard of one side of an anchored stream, as whoever watches over the call asks for it.
//!
//! Refuses to know: what to do about it.

use model::{Mos, Span};

/// What the relay has heard of one side, up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Heard {
    /// RTP packets of this side since the anchor was made. Zero: nothing ever.
    pub packets: u64,
    /// Time since the last of them; none before the first.
    pub last: Option<Span>,
    /// Silence of this side is meant: it is on hold.
    pub held: bool,
    /// What it sends is no RTP (T.38) or none that can be measured: its silence means nothing.
    pub opaque: bool,
    /// It sends nothing while nobody talks: pauses of its packets are no loss (comfort noise, Opus and G.729 with DTX).
    pub pauses: bool,
    /// For so long it has sent nothing but comfort noise (RFC 3389).
    pub noise_only_for: Option<Span>,
    /// For so long what it sends has been digital silence, or below -60 dBov. None as well when its codec cannot be listened to.
    pub quiet_for: Option<Span>,
    /// Packets lost within the last five seconds, per thousand; none when too little came to tell.
    pub loss_permille: Option<u16>,
    /// Estimated by the last five seconds; none when too little came, or nothing is known of the codec.
    pub mos: Option<Mos>,
}

impl Heard {
    /// Whether this side is silent although it should not be: nothing of it came for so long. Before its first packet the answer to
    /// the call counts: `since_answer`.
    pub fn is_silent(&self, limit: Span, since_answer: Span) -> bool {
        !self.held && !self.opaque && self.last.unwrap_or(since_answer).min(since_answer) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_silent_by_its_last_packet_or_by_the_answer_and_never_on_hold() {
        let (limit, long) = (Span::from_secs(3), Span::from_secs(60));
        let heard = |last| Heard { packets: 9, last: Some(last), ..Heard::default() };
        assert!(heard(Span::from_secs(3)).is_silent(limit, long));
        assert!(!heard(Span::from_millis(2_999)).is_silent(limit, long));
        assert!(Heard::default().is_silent(limit, limit), "nothing ever");
        assert!(
            !heard(Span::from_secs(30)).is_silent(limit, Span::from_secs(1)),
            "early media may end before the answer"
        );
        assert!(!Heard { held: true, ..heard(long) }.is_silent(limit, long));
        assert!(!Heard { opaque: true, ..heard(long) }.is_silent(limit, long));
    }
}
