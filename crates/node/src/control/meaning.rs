//! What the counters of shards mean, in words for whoever reads /metrics at night.
//!
//! Beside the counters and not with them, since a shard only counts. Those whose name says it all have no sentence here. Refuses to know:
//! who counts, and how.

/// Sentences by counter, in the order of the names.
const MEANINGS: [(&str, &str); 36] = [
    ("call_asked_after", "Times a ringing attempt was asked whether it still rings."),
    ("call_challenges_passed", "Challenges of trunks with challenge = \"pass\" that callers were asked to answer."),
    ("call_foreign_requests", "Requests inside a call from somebody who is not its party: refused with 481."),
    ("call_moved", "Legs whose connection died in the call and that are reached by a new one."),
    ("call_not_hidden", "Candidates passed over since they cannot give a privacy that the caller insists on."),
    ("call_not_refreshed", "Calls ended because nobody refreshed their session in time."),
    ("call_pages", "MESSAGE requests outside calls that were sent on."),
    ("call_redirected", "Redirections (3xx) of trunks that were followed."),
    ("call_signatures_dropped", "STIR signatures left behind because what they sign was changed for a trunk."),
    ("call_transferred", "Of the transfers begun, those whose parties were joined."),
    ("call_transfers", "Transfers begun: REFERs, and INVITEs that replace a leg."),
    ("call_transfers_apart", "Transfers refused with 501 because the other call is in another shard."),
    ("call_transfers_failed", "Of the transfers begun, those that failed: the call went on with whoever had asked."),
    ("call_transfers_refused", "REFERs refused before anything was begun."),
    ("credentials_refused", "Requests that a trunk refused for our credentials, or for want of them."),
    ("guard_phone_too_many", "Messages of registered phones beyond `phone` within `window`: dropped."),
    ("guard_registers_too_many", "REGISTERs of one source beyond `registers` within `window`: dropped."),
    ("guard_registers_unanswered", "REGISTERs of strangers beyond what all of them may send in a second: dropped."),
    ("media_dropped_gated", "Packets of early media that the trunk's `early_media` lets nobody hear."),
    ("node_stream_full", "Messages not sent because the thread of connections had no room."),
    ("probes_unsent", "Probes that could not be sent."),
    ("registrar_accepted", "REGISTERs that were answered 200."),
    ("registrar_auth_failed", "REGISTERs and calls with a wrong password, or that of nobody."),
    ("registrar_challenged", "REGISTERs and calls that were asked for a password."),
    ("registrar_dead", "Bindings forgotten because nobody can be reached by them."),
    ("registrar_displaced", "Bindings that gave way to newer ones of the same address."),
    ("registrar_expired", "Bindings that ran out."),
    (
        "registrar_no_room",
        "Addresses of other shards, or of before a restart, that found no room: this shard cannot call them.",
    ),
    ("registrar_put_off", "REGISTERs told to come again later: too many at once (`rate`), or no room."),
    ("registrar_refused", "REGISTERs refused for what they ask."),
    ("registrar_replayed", "Answers to challenges that came twice."),
    ("registrar_suspected", "Bindings put behind all others because their phone was silent."),
    ("sip_asked_anew", "Requests sent again by a new connection because theirs had died."),
    ("sip_foreign_responses", "Responses from a host that was not asked: dropped."),
    ("sip_large_by_stream", "Requests over 1300 bytes sent by TCP to trunks with large = \"tcp\"."),
    ("sip_large_fell_back", "Such requests that went by UDP after all, since no connection could be had."),
];

/// What a counter of shards means.
pub(super) fn meaning(name: &str) -> &'static str {
    let found = MEANINGS.binary_search_by_key(&name, |(known, _)| known);
    found.ok().and_then(|at| MEANINGS.get(at)).map_or("Counted by the shard.", |(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found() {
        assert!(MEANINGS.is_sorted_by(|one, next| one.0 < next.0));
        assert_eq!(meaning("sip_asked_anew"), "Requests sent again by a new connection because theirs had died.");
        assert_eq!(meaning("node_turns"), "Counted by the shard.");
    }
}
