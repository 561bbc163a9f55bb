//! What became of the packets of one shard, by name.

#[cfg(doc)]
use super::Dropped;

/// What the relay has counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// RTP packets sent on.
    pub relayed: u64,
    /// RTCP packets sent on.
    pub relayed_rtcp: u64,
    /// Packets for us.
    pub local: u64,
    /// See [`Dropped::NoAnchor`].
    pub no_anchor: u64,
    /// See [`Dropped::ThirdParty`].
    pub third_party: u64,
    /// See [`Dropped::NotRtp`].
    pub not_rtp: u64,
    /// See [`Dropped::NoPeer`].
    pub no_peer: u64,
    /// See [`Dropped::Gated`].
    pub gated: u64,
    /// See [`Dropped::Unauthentic`].
    pub unauthentic: u64,
    /// See [`Dropped::Replayed`].
    pub replayed: u64,
    /// See [`Dropped::NoKey`].
    pub no_key: u64,
    /// See [`Dropped::BadCheck`].
    pub bad_checks: u64,
    /// See [`Dropped::Drilled`].
    pub drilled: u64,
    /// Checks of ICE that were answered.
    pub checks: u64,
    /// Packets of handshakes for the keys of secured sides.
    pub handshakes: u64,
    /// Handshakes that failed or were not over in time.
    pub handshakes_failed: u64,
    /// Of those for the keys of reports at a port of their own, those that failed or were not over in time.
    pub report_handshakes_failed: u64,
    /// Handshakes with a certificate that the description does not name.
    pub handshakes_foreign: u64,
    /// Handshakes that were not begun because there were too many.
    pub handshakes_refused: u64,
    /// Packets of comfort noise that we made.
    pub comfort: u64,
    /// Empty datagrams to who was sent nothing for long.
    pub kept_alive: u64,
    /// RTP packets that did not go on as they were: others were made of them, or none.
    pub treated: u64,
    /// Packets of sound that we made out of another codec's, or anew because of tones in them.
    pub transcoded: u64,
    /// Packets in whose place sound was made up, on the way to another codec.
    pub concealed: u64,
    /// Packets of a format that its listener does not understand and that nothing could be made of.
    pub not_understood: u64,
    /// Digits that came as telephone-events and are told otherwise.
    pub digits_from_events: u64,
    /// Digits that were found as tones in the sound.
    pub digits_from_tones: u64,
    /// Digits that came by signalling.
    pub digits_from_info: u64,
    /// Digits that we told as telephone-events.
    pub digits_to_events: u64,
    /// Digits that we put into the sound as tones.
    pub digits_to_tones: u64,
    /// Digits that are told by signalling.
    pub digits_to_info: u64,
    /// Digits and events that were not told: no digits, too late, or too many at once.
    pub digits_refused: u64,
    /// Reports that we made in the stead of an end that sends none, or of one whose sound is made anew.
    pub reports: u64,
    /// RTCP packets that end here, since what they speak of is not what the other side hears or sends.
    pub reports_ended: u64,
    /// Packets that we made and that found no room in the outbox.
    pub unsent: u64,
}

impl Counters {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("relayed", self.relayed),
            ("relayed_rtcp", self.relayed_rtcp),
            ("local", self.local),
            ("dropped_no_anchor", self.no_anchor),
            ("dropped_third_party", self.third_party),
            ("dropped_not_rtp", self.not_rtp),
            ("dropped_no_peer", self.no_peer),
            ("dropped_gated", self.gated),
            ("dropped_unauthentic", self.unauthentic),
            ("dropped_replayed", self.replayed),
            ("dropped_no_key", self.no_key),
            ("dropped_bad_check", self.bad_checks),
            ("dropped_drilled", self.drilled),
            ("checks", self.checks),
            ("handshakes", self.handshakes),
            ("handshakes_failed", self.handshakes_failed),
            ("report_handshakes_failed", self.report_handshakes_failed),
            ("handshakes_foreign", self.handshakes_foreign),
            ("handshakes_refused", self.handshakes_refused),
            ("comfort", self.comfort),
            ("kept_alive", self.kept_alive),
            ("treated", self.treated),
            ("transcoded", self.transcoded),
            ("concealed", self.concealed),
            ("not_understood", self.not_understood),
            ("digits_from_events", self.digits_from_events),
            ("digits_from_tones", self.digits_from_tones),
            ("digits_from_info", self.digits_from_info),
            ("digits_to_events", self.digits_to_events),
            ("digits_to_tones", self.digits_to_tones),
            ("digits_to_info", self.digits_to_info),
            ("digits_refused", self.digits_refused),
            ("reports", self.reports),
            ("reports_ended", self.reports_ended),
            ("unsent", self.unsent),
        ]
        .into_iter()
    }
}
