//! What the B2BUA has counted: every refusal, repair and drop has its number here, so that nothing is lost silently.
//!
//! Refuses to know: who reads them.

/// What the B2BUA has counted since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// INVITEs outside a dialog.
    pub invites: u64,
    /// From nobody we know.
    pub strangers: u64,
    /// Refused because the shard is full or drains.
    pub turned_away: u64,
    /// Refused because of what the trunk they came from may dial.
    pub barred: u64,
    /// Refused because no media port was free.
    pub no_ports: u64,
    /// Refused because the SDP could not be read.
    pub bad_sdp: u64,
    /// Offers and answers that were not passed on, since the other side's trunk allows no codec of them and none could be made.
    pub no_codec: u64,
    /// Offers and answers that were not passed on, since they have not the security of audio that their trunk wants, or cannot be given it.
    pub not_secured: u64,
    /// Attempts sent.
    pub attempts: u64,
    /// Attempts that followed another one.
    pub hunted: u64,
    /// Candidates passed over since their trunk had become full when their turn came.
    pub passed_over: u64,
    /// Attempts begun beside another one that was in doubt, or late.
    pub beside: u64,
    /// Of them, those begun because the first one was late.
    pub hedged: u64,
    /// Attempts left because another one of their call answered or rang first.
    pub outrun: u64,
    /// Attempts that a drill has broken.
    pub drill_faults: u64,
    /// Calls not tried again because too many were.
    pub retries_refused: u64,
    /// Calls answered.
    pub answered: u64,
    /// Times a ringing attempt was asked whether it still rings.
    pub asked_after: u64,
    /// Attempts that replied after they had been left without any reply.
    pub late_replies: u64,
    /// Answers of attempts that had been left, acknowledged and ended.
    pub late_answers: u64,
    /// Requests inside a dialog that we do not know.
    pub unknown_dialogs: u64,
    /// Requests inside a dialog from an address that is not its party's: answered as if there were no such dialog.
    pub foreign_requests: u64,
    /// Digits that came by INFO and were dialled as events or tones.
    pub digits_dialled: u64,
    /// Digits sent as INFO that came as events or tones.
    pub digits_told: u64,
    /// Digits that should have gone as INFO and did not, or were refused.
    pub digits_untold: u64,
    /// Re-INVITEs that met another one.
    pub glare: u64,
    /// Calls ended because they were too old.
    pub expired: u64,
    /// Re-INVITEs offered again after another one was met, or with a longer session.
    pub offered_again: u64,
    /// Answers to which no ACK came.
    pub acks_missing: u64,
    /// Signatures of callers left behind, since the parties they sign are written otherwise on the way (RFC 8224).
    pub signatures_dropped: u64,
    /// Candidates passed over since they cannot give a privacy that is critical (RFC 3323 §4.2).
    pub not_hidden: u64,
    /// Challenges passed to whoever had called, by `challenge = "pass"`.
    pub challenges_passed: u64,
    /// Reliable provisional responses to which no PRACK came.
    pub pracks_missing: u64,
    /// PRACKs for nothing that waits.
    pub stray_pracks: u64,
    /// PRACKs sent.
    pub pracks: u64,
    /// Reliable provisional responses dropped: repeated, or before one that is missing.
    pub provisionals_repeated: u64,
    /// Provisional responses left out, since a caller acknowledged none.
    pub provisionals_dropped: u64,
    /// Early dialogs shown to a caller besides the first.
    pub early_dialogs: u64,
    /// Refreshes of sessions sent.
    pub refreshed: u64,
    /// Calls ended since nobody refreshed a session.
    pub not_refreshed: u64,
    /// Legs whose connection died, and that go on by another one.
    pub moved: u64,
    /// MESSAGEs outside a call that were routed.
    pub pages: u64,
    /// Redirections followed.
    pub redirected: u64,
    /// Transfers begun: REFERs, and INVITEs that replace a leg.
    pub transfers: u64,
    /// Of them, those whose parties were joined.
    pub transferred: u64,
    /// Of them, those that failed: the call went on with whoever had asked.
    pub transfers_failed: u64,
    /// Of those begun, attended ones whose second call is in another shard.
    pub transfers_apart: u64,
    /// REFERs refused before anything was begun.
    pub transfers_refused: u64,
    /// Times a party of a call was heard no more, or not at all.
    pub audio_silent: u64,
    /// Times one was heard again.
    pub audio_back: u64,
    /// Times a silent party's audio was learned anew while somebody else knocked.
    pub audio_relatched: u64,
    /// Times a silent party was asked whether it is there.
    pub audio_asked: u64,
    /// Times a party said that nothing of what it was sent arrived.
    pub audio_deaf: u64,
    /// Parties whose audio was poor by its estimated score.
    pub audio_poor: u64,
    /// Calls ended because a party was silent and did not answer.
    pub audio_lost: u64,
    /// Calls ended because nobody was heard.
    pub audio_dead: u64,
    /// Times a side's audio was moved to another interface.
    pub audio_moved: u64,
    /// Times it could not be.
    pub audio_not_moved: u64,
    /// Times a move or a rescue was put off, since no port was free for it.
    pub audio_waited: u64,
    /// Parties of answered calls whose handshakes gave no keys, by what each look has found.
    pub audio_not_keyed: u64,
    /// Lost parties that were called again.
    pub rescues: u64,
    /// Of them, those that were reached.
    pub rescued: u64,
    /// Of them, and of those that could not even be called, those that were not.
    pub rescues_failed: u64,
}

impl Counters {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("invites", self.invites),
            ("strangers", self.strangers),
            ("turned_away", self.turned_away),
            ("barred", self.barred),
            ("no_ports", self.no_ports),
            ("bad_sdp", self.bad_sdp),
            ("no_codec", self.no_codec),
            ("not_secured", self.not_secured),
            ("attempts", self.attempts),
            ("hunted", self.hunted),
            ("passed_over", self.passed_over),
            ("beside", self.beside),
            ("hedged", self.hedged),
            ("outrun", self.outrun),
            ("drill_faults", self.drill_faults),
            ("retries_refused", self.retries_refused),
            ("answered", self.answered),
            ("asked_after", self.asked_after),
            ("late_replies", self.late_replies),
            ("late_answers", self.late_answers),
            ("unknown_dialogs", self.unknown_dialogs),
            ("foreign_requests", self.foreign_requests),
            ("digits_dialled", self.digits_dialled),
            ("digits_told", self.digits_told),
            ("digits_untold", self.digits_untold),
            ("glare", self.glare),
            ("expired", self.expired),
            ("offered_again", self.offered_again),
            ("acks_missing", self.acks_missing),
            ("signatures_dropped", self.signatures_dropped),
            ("not_hidden", self.not_hidden),
            ("challenges_passed", self.challenges_passed),
            ("pracks_missing", self.pracks_missing),
            ("stray_pracks", self.stray_pracks),
            ("pracks", self.pracks),
            ("provisionals_repeated", self.provisionals_repeated),
            ("provisionals_dropped", self.provisionals_dropped),
            ("early_dialogs", self.early_dialogs),
            ("refreshed", self.refreshed),
            ("not_refreshed", self.not_refreshed),
            ("moved", self.moved),
            ("pages", self.pages),
            ("redirected", self.redirected),
            ("transfers", self.transfers),
            ("transferred", self.transferred),
            ("transfers_failed", self.transfers_failed),
            ("transfers_refused", self.transfers_refused),
            ("transfers_apart", self.transfers_apart),
            ("audio_silent", self.audio_silent),
            ("audio_back", self.audio_back),
            ("audio_relatched", self.audio_relatched),
            ("audio_asked", self.audio_asked),
            ("audio_deaf", self.audio_deaf),
            ("audio_poor", self.audio_poor),
            ("audio_lost", self.audio_lost),
            ("audio_dead", self.audio_dead),
            ("audio_moved", self.audio_moved),
            ("audio_not_moved", self.audio_not_moved),
            ("audio_waited", self.audio_waited),
            ("audio_not_keyed", self.audio_not_keyed),
            ("rescues", self.rescues),
            ("rescued", self.rescued),
            ("rescues_failed", self.rescues_failed),
        ]
        .into_iter()
    }
}
