//! What each counter means, in words for whoever reads /metrics at night.
//!
//! Beside the counters and not with them, since a shard only counts. A test holds that none is without its sentence, and that
//! docs/reference/counters.md says the same. Refuses to know: who counts, and how.

use std::sync::LazyLock;

/// Sentences by counter of a shard, in the order of the names.
const OF_SHARDS: &[(&str, &str)] = &[
    ("call_acks_missing", "Answers to a caller that he never acknowledged (ACK): the call was ended."),
    ("call_answered", "Calls answered."),
    ("call_asked_after", "Times a ringing attempt was asked whether it still rings."),
    ("call_attempts", "INVITEs sent to trunks and phones, each attempt of a call counted."),
    ("call_audio_asked", "Times a party that was heard no more was asked, in its dialog, whether it is there."),
    ("call_audio_back", "Times a party that had been missed was heard again."),
    ("call_audio_dead", "Calls ended because nothing was heard of either party for too long."),
    ("call_audio_deaf", "Times a party reported by RTCP that nothing of what it was sent arrived."),
    ("call_audio_lost", "Calls ended because a party was heard no more and did not answer when it was asked."),
    (
        "call_audio_moved",
        "Times a party's audio was moved to another interface, since nothing came of it at the one before.",
    ),
    (
        "call_audio_not_keyed",
        "Times a party of an answered call was found to have no keys, since its handshake (DTLS) had failed or was not over.",
    ),
    ("call_audio_not_moved", "Times a party's audio could not be moved to another interface, or its peer refused to."),
    (
        "call_audio_poor",
        "Parties whose audio had an estimated opinion score below what their trunk is held to; each once in a call.",
    ),
    (
        "call_audio_relatched",
        "Times a silent party's audio was let in from another address, since somebody there was sending.",
    ),
    (
        "call_audio_silent",
        "Times a party of an answered call was heard no more, or not at all, though it should have been.",
    ),
    (
        "call_audio_waited",
        "Times a move of audio or a rescue was put off for a moment, since no port was free for it: more are opened meanwhile.",
    ),
    ("call_bad_sdp", "Calls refused because their description of media could not be read."),
    ("call_barred", "Calls refused because the trunk they came from may not dial that number."),
    ("call_beside", "Attempts begun beside another one that was in doubt or late."),
    ("call_challenges_passed", "Challenges of trunks with challenge = \"pass\" that callers were asked to answer."),
    ("call_digits_dialled", "Digits that came by INFO and were told the other side as events or tones."),
    ("call_digits_told", "Digits sent as INFO that came as events or tones."),
    (
        "call_digits_untold",
        "Digits that should have gone as INFO: refused, unanswered, too many, or their call was over.",
    ),
    (
        "call_drill_faults",
        "Attempts that a drill has broken, or would have: played inside the edge, or answered with their audio blocked.",
    ),
    ("call_early_dialogs", "Further early dialogs of a call, as of a forking proxy, shown to its caller."),
    ("call_expired", "Calls ended because they were older than a call may be."),
    ("call_foreign_requests", "Requests inside a call from somebody who is not its party: refused with 481."),
    ("call_glare", "Re-INVITEs and UPDATEs that met one of the other side: refused with 491, and made again later."),
    ("call_hedged", "Of the attempts begun beside another one, those begun because it was slower than usual."),
    ("call_hunted", "Attempts of calls that another trunk had failed before."),
    ("call_invites", "INVITEs that begin a call, from anybody."),
    ("call_late_answers", "Answers of attempts that had been left: acknowledged and hung up."),
    ("call_late_replies", "Attempts that replied for the first time after they had been left as silent."),
    ("call_moved", "Legs whose connection died in the call and that are reached by a new one."),
    (
        "call_no_codec",
        "Offers and answers not passed on, since the other side's trunk allows no codec of them and none could be made.",
    ),
    ("call_no_ports", "Calls refused because no media port was free."),
    ("call_not_hidden", "Candidates passed over since they cannot give a privacy that the caller insists on."),
    ("call_not_refreshed", "Calls ended because nobody refreshed their session in time."),
    (
        "call_not_secured",
        "Offers and answers not passed on, since they lack the security of audio that their trunk wants, or cannot be given it.",
    ),
    ("call_offered_again", "Re-INVITEs sent once more: after a 491, or with a longer session after a 422."),
    ("call_outrun", "Attempts left because another one of their call answered or rang first."),
    ("call_pages", "MESSAGE requests outside calls that were sent on."),
    ("call_passed_over", "Candidates passed over because their trunk had become full by their turn."),
    ("call_pracks", "Reliable provisional responses that were acknowledged (PRACK)."),
    ("call_pracks_missing", "Reliable provisional responses to a caller that he never acknowledged (PRACK)."),
    (
        "call_provisionals_dropped",
        "Provisional responses left out because the caller had not acknowledged those before.",
    ),
    (
        "call_provisionals_repeated",
        "Reliable provisional responses that came twice, or before one that is missing: dropped.",
    ),
    ("call_redirected", "Redirections (3xx) of trunks that were followed."),
    ("call_refreshed", "Sessions refreshed by the edge."),
    ("call_rescued", "Of the parties lost in mid-call and called again, those who were reached."),
    ("call_rescues", "Parties lost in mid-call that were called again by another trunk, the other one kept meanwhile."),
    ("call_rescues_failed", "Parties lost in mid-call that could not be called again, or were not reached."),
    (
        "call_retries_refused",
        "Calls not tried at another trunk because too many were tried again already (the retry budget).",
    ),
    ("call_signatures_dropped", "STIR signatures left behind because what they sign was changed for a trunk."),
    ("call_strangers", "Calls and MESSAGEs from nobody the edge knows: refused with 403."),
    ("call_stray_pracks", "PRACKs for no response that waits for one: refused with 481."),
    ("call_transferred", "Of the transfers begun, those whose parties were joined."),
    ("call_transfers", "Transfers begun: REFERs, and INVITEs that replace a leg."),
    ("call_transfers_apart", "Of the transfers begun, those that join calls of two shards."),
    ("call_transfers_failed", "Of the transfers begun, those that failed: the call went on with whoever had asked."),
    ("call_transfers_refused", "REFERs refused before anything was begun."),
    ("call_turned_away", "Calls and MESSAGEs refused because the shard is full or drains."),
    ("call_unknown_dialogs", "Requests inside a call that is not here: refused with 481."),
    ("capture_kept", "Messages kept for `throughline pcap`, until newer ones need their place."),
    ("capture_unfit", "Messages not kept: they have no Call-ID, or are larger than all the memory for them."),
    ("credentials_refused", "Requests that a trunk refused for our credentials, or for want of them."),
    ("drill_signals_spared", "What was seen of the calls of a drill, and is held against no trunk."),
    ("guard_banned", "Messages of sources that are shut out: dropped."),
    ("guard_denied", "Messages of sources on the list `deny`: dropped."),
    ("guard_forgiven", "Sources that were shut out or limited and that an operator has forgiven."),
    ("guard_garbage", "Datagrams of strangers that are no SIP: dropped."),
    ("guard_not_allowed", "Messages of sources that the `allow` of their listen leaves out: dropped."),
    ("guard_phone_too_many", "Messages of registered phones beyond `phone` within `window`: dropped."),
    ("guard_registers_too_many", "REGISTERs of one source beyond `registers` within `window`: dropped."),
    ("guard_registers_unanswered", "REGISTERs of strangers beyond what all of them may send in a second: dropped."),
    ("guard_scanners", "Messages that name a scanner as their software: dropped, and their source shut out."),
    ("guard_shut_out", "Times a source was shut out."),
    ("guard_silent", "Messages of strangers where strangers get no answer: dropped."),
    ("guard_stray", "Responses of strangers to nothing that was asked: dropped."),
    ("guard_too_many", "Messages of strangers beyond `requests` within `window`: dropped, and their source shut out."),
    ("guard_unanswered", "Messages of strangers beyond what all of them are answered in a second: dropped."),
    ("guard_untold", "Things the guard had to tell and did not, since it had told so many in that second."),
    (
        "hep_failed",
        "Messages that the collector (`[hep]`) was not told: the system refused to send them, or gave no socket.",
    ),
    ("hep_full", "Messages that the collector was not told: no room in the socket's buffer."),
    ("hep_refused", "Packets for the collector that the network gave back: nobody listens there."),
    ("hep_sent", "Messages that the collector was told."),
    ("hep_too_large", "Messages that the collector was not told: larger than a datagram can be."),
    ("media_checks", "Connectivity checks (ICE) of secured parties that were answered."),
    ("media_comfort", "Packets of comfort noise that the edge made for a party whose other side is silent."),
    (
        "media_concealed",
        "Packets that were lost on the way and in whose place sound was made up, in streams of which another codec's are made.",
    ),
    ("media_digits_from_events", "Digits that came as telephone-events and were told the other side otherwise."),
    ("media_digits_from_info", "Digits that came by INFO and were told the other side otherwise."),
    ("media_digits_from_tones", "Digits that were found as tones in the sound."),
    (
        "media_digits_refused",
        "Digits and telephone-events that were not told the other side: no digits, too late, or too many at once.",
    ),
    ("media_digits_to_events", "Digits that the edge told a party as telephone-events."),
    ("media_digits_to_info", "Digits that a party is told by INFO."),
    ("media_digits_to_tones", "Digits that the edge put into a party's sound as tones."),
    (
        "media_dropped_bad_check",
        "Connectivity checks (ICE) of whoever does not know the stream's password, or garbled ones: dropped.",
    ),
    ("media_dropped_drilled", "Packets of audio that a drill blocks."),
    ("media_dropped_gated", "Packets of early media that the trunk's `early_media` lets nobody hear."),
    ("media_dropped_no_anchor", "Packets to a media port that no call uses: dropped."),
    ("media_dropped_no_key", "Packets of a secured party or for one while there is no key for them: dropped."),
    ("media_dropped_no_peer", "Packets for a party that has not said where it listens: dropped."),
    ("media_dropped_not_rtp", "Packets that are neither RTP nor RTCP: dropped."),
    ("media_dropped_replayed", "Packets of a secured party that were here before: dropped."),
    ("media_dropped_third_party", "Packets from somebody who is not the call's party: dropped."),
    (
        "media_dropped_unauthentic",
        "Packets to a secured party's port with a wrong tag, forged ones among them: dropped.",
    ),
    ("media_handshakes", "Packets of handshakes (DTLS) for the keys of secured parties."),
    (
        "media_handshakes_failed",
        "Handshakes (DTLS) that failed or were not over in thirty seconds: the party stays unheard.",
    ),
    (
        "media_handshakes_foreign",
        "Handshakes (DTLS) with another certificate than the party's description names: given up.",
    ),
    ("media_handshakes_refused", "Handshakes (DTLS) that were not begun because 64 others of the shard were not over."),
    (
        "media_kept_alive",
        "Empty datagrams to a party that was sent nothing for fifteen seconds, so that NATs do not forget it.",
    ),
    ("media_local", "Packets for the edge itself: the audio of test calls."),
    (
        "media_not_understood",
        "Packets of a codec that their listener does not understand and that nothing could be made of: dropped.",
    ),
    ("media_relayed", "RTP packets sent on."),
    ("media_relayed_rtcp", "RTCP packets sent on."),
    (
        "media_report_handshakes_failed",
        "Handshakes (DTLS) for a port of reports alone that failed or were not over in thirty seconds: no reports come of that party.",
    ),
    (
        "media_reports",
        "RTCP reports that the edge made for a party whose other side sends none, or whose audio is made anew.",
    ),
    (
        "media_reports_ended",
        "RTCP packets of a party whose audio is made anew for the other side: the edge reports to both itself.",
    ),
    (
        "media_transcoded",
        "Packets of sound that the edge made out of another codec's, or anew because of tones in them.",
    ),
    ("media_treated", "RTP packets that did not go on as they were: others were made of them, or none."),
    ("media_unsent", "Media packets that the edge made and that found no room: lost."),
    ("node_datagrams_in", "SIP datagrams received."),
    ("node_datagrams_out", "SIP datagrams sent."),
    ("node_hops", "Messages passed to the shard that has their call."),
    ("node_hops_lost", "Messages for another shard lost because its ring was full."),
    ("node_media_by_ring", "Of the media packets received, those that came by io_uring."),
    ("node_media_dropped", "Media packets received and not sent on."),
    ("node_media_fallbacks", "Times io_uring gave way to the portable path of media, at the start or later."),
    ("node_media_in", "Media packets received."),
    ("node_media_out", "Media packets sent."),
    ("node_media_send_failed", "Media packets that the system refused to send."),
    ("node_media_send_full", "Media packets not sent because the socket's buffer was full."),
    ("node_no_socket", "SIP datagrams not sent because their socket is not open."),
    ("node_ports_exhausted", "Times a range of media ports had none left."),
    (
        "node_ports_failed",
        "Media ports that could not be opened: too few files may be open (LimitNOFILE), or the address is not there.",
    ),
    ("node_ports_taken", "Media ports that another program has."),
    ("node_receive_failed", "Times that receiving failed."),
    ("node_refusals", "Refusals of the network (ICMP) for what was sent."),
    ("node_reports_lost", "Reports to control lost because its ring was full."),
    ("node_send_failed", "SIP datagrams that the system refused to send."),
    ("node_send_full", "SIP datagrams not sent because the socket's buffer was full."),
    ("node_stream_full", "Messages not sent because the thread of connections had no room."),
    ("node_turns", "Turns of the shard's loop."),
    ("options_answered", "OPTIONS of others that were answered."),
    ("probes_unsent", "Probes that could not be sent."),
    ("registrar_accepted", "REGISTERs that were answered 200."),
    ("registrar_auth_failed", "REGISTERs and calls with a wrong password, or that of nobody."),
    ("registrar_broken", "Bindings forgotten because the connection they came by has ended."),
    ("registrar_challenged", "REGISTERs and calls that were asked for a password."),
    ("registrar_dead", "Bindings forgotten because nobody can be reached by them."),
    ("registrar_displaced", "Bindings that gave way to newer ones of the same address."),
    ("registrar_expired", "Bindings that ran out."),
    (
        "registrar_left",
        "REGISTERs on their way to the trunk `behind` whose connection ended meanwhile: nothing was bound.",
    ),
    (
        "registrar_no_room",
        "Addresses of other shards, or of before a restart, that found no room: this shard cannot call them.",
    ),
    ("registrar_passed_over", "Times a target of the trunk `behind` did not serve a REGISTER, and the next was asked."),
    ("registrar_put_off", "REGISTERs told to come again later: too many at once (`rate`), or no room."),
    ("registrar_refused", "REGISTERs refused for what they ask, and calls of phones that have not registered."),
    ("registrar_replayed", "Answers to challenges that came twice."),
    ("registrar_sent_on", "REGISTERs sent on to the trunk `behind`, each target that was asked counted."),
    ("registrar_survived", "Of the REGISTERs that no target served, those answered by what had been granted before."),
    ("registrar_suspected", "Bindings put behind all others because their phone was silent."),
    ("registrar_unserved", "REGISTERs that no target of the trunk `behind` served."),
    ("service_routes_ignored", "Service-Routes of registrars that were not taken: too long, or not of loose routers."),
    ("sip_absorbed_acks", "ACKs for refusals, as they should come."),
    ("sip_absorbed_requests", "Requests that came again and were answered as before."),
    ("sip_absorbed_responses", "Responses that came again, or too late to matter."),
    ("sip_acks_missing", "Our 2xx that were never acknowledged."),
    ("sip_acks_missing_refusal", "Our refusals of INVITEs that were never acknowledged (Timer H)."),
    ("sip_asked_anew", "Requests sent again by a new connection because theirs had died."),
    ("sip_foreign_cancels", "CANCELs from a host that had not sent their INVITE: refused with 481."),
    ("sip_foreign_responses", "Responses from a host that was not asked: dropped."),
    ("sip_forged_ways", "Messages that came by a socket as if another shard had sent them: dropped."),
    ("sip_forks_dropped", "Further 2xx of one INVITE beyond the limit: dropped."),
    ("sip_full", "Our requests not sent because the shard holds as many transactions as it may."),
    ("sip_large_by_stream", "Requests over 1300 bytes sent by TCP to trunks with large = \"tcp\"."),
    ("sip_large_fell_back", "Such requests that went by UDP after all, since no connection could be had."),
    ("sip_late_orders", "Answers and requests of the edge for a transaction that had ended."),
    ("sip_loops", "Requests that had passed the edge before: refused with 482."),
    ("sip_malformed", "Messages that could not be read."),
    ("sip_merged", "Requests that came a second time by another path: refused with 482."),
    ("sip_misrouted_responses", "Responses whose Via is not ours: dropped."),
    ("sip_no_reply", "Our requests that got no final answer in time."),
    ("sip_overloaded", "Requests refused with 503 because the shard holds as many transactions as it may."),
    ("sip_pracks_missing", "Our reliable provisional responses that were never acknowledged."),
    ("sip_received", "Messages and keep-alives received."),
    ("sip_rejected_address", "Messages rejected: From or To cannot be read."),
    ("sip_rejected_content_length", "Messages rejected: Content-Length is no number, or more than came."),
    ("sip_rejected_cseq", "Messages rejected: CSeq cannot be read, or names another method."),
    ("sip_rejected_foreign_cancel", "CANCELs rejected: from a host that had not sent their INVITE."),
    ("sip_rejected_foreign_response", "Responses rejected: from a host that was not asked."),
    ("sip_rejected_header_line", "Messages rejected: a header line cannot be read."),
    ("sip_rejected_loop", "Requests rejected: they had passed the edge before."),
    ("sip_rejected_lower_via", "Messages rejected: a Via below the first cannot be read."),
    ("sip_rejected_max_forwards", "Messages rejected: Max-Forwards is no number up to 255."),
    ("sip_rejected_merged", "Requests rejected: they came a second time by another path."),
    ("sip_rejected_misrouted_response", "Responses rejected: their Via is not ours."),
    ("sip_rejected_missing_header", "Messages rejected: no Via, From, To, Call-ID or CSeq."),
    ("sip_rejected_overloaded", "Requests rejected: the shard holds as many transactions as it may."),
    ("sip_rejected_repeated_header", "Messages rejected: a header that may be there once is there twice."),
    ("sip_rejected_request_line", "Requests rejected: their first line cannot be read."),
    ("sip_rejected_start_line", "Messages rejected: their first line is that of no SIP message."),
    ("sip_rejected_stray_ack", "ACKs rejected: their INVITE has no answer yet."),
    ("sip_rejected_stray_cancel", "CANCELs rejected: they match no INVITE."),
    ("sip_rejected_stray_response", "Responses rejected: nothing had been asked."),
    ("sip_rejected_too_long", "Messages rejected: longer than 65,535 bytes."),
    ("sip_rejected_too_many_headers", "Messages rejected: more header lines or Vias than anybody needs."),
    ("sip_rejected_too_many_hops", "Requests rejected: their Max-Forwards was used up."),
    ("sip_rejected_truncated", "Messages rejected: their headers do not end."),
    ("sip_rejected_unknown_extension", "Requests rejected: they require an extension which the edge lacks."),
    ("sip_rejected_unknown_scheme", "Requests rejected: for a URI of a scheme that the edge does not serve."),
    ("sip_rejected_version", "Messages rejected: of another version than SIP/2.0."),
    ("sip_rejected_via", "Messages rejected: their first Via cannot be read."),
    ("sip_request_repeats", "Our requests sent again because no answer had come."),
    ("sip_requests_in", "New requests received."),
    ("sip_requests_out", "New requests sent."),
    ("sip_response_repeats", "Our final answers sent again because no ACK had come."),
    ("sip_sent", "Messages sent, repeats included."),
    ("sip_stray_acks", "ACKs for an INVITE that has no answer yet: dropped."),
    ("sip_stray_cancels", "CANCELs that match no INVITE: refused with 481."),
    ("sip_stray_responses", "Responses to nothing that was asked: dropped."),
    ("sip_too_many_hops", "Requests whose Max-Forwards was used up: refused with 483."),
    ("sip_unanswered", "Requests that the edge did not answer in time."),
    ("sip_unknown_extensions", "Requests that require an extension which the edge lacks: refused with 420."),
    ("sip_unknown_schemes", "Requests for a URI of a scheme that the edge does not serve: refused with 416."),
    ("sip_unreachable", "Our requests that the network refused."),
    ("sip_unreachable_other", "Refusals of the network for anything else that was sent."),
    ("test_calls_not_placed", "Test calls that could not be placed."),
    ("test_calls_placed", "Test calls placed."),
];

/// Sentences by what has happened to connections, in the order of the words.
const OF_STREAMS: &[(&str, &str)] = &[
    ("accept_failed", "Connections that could not be accepted, most likely for want of file descriptors."),
    ("accepted", "Connections accepted."),
    ("aliased", "Connections that targets opened and are called by, as they have offered (RFC 5923)."),
    ("begun", "Connections begun by the edge."),
    ("closed_bad_stream", "Connections cut because what came by them is no stream of messages, or no WebSocket."),
    ("closed_by_peer", "Connections closed or reset by the peer."),
    ("closed_idle", "Connections closed because no message came for too long."),
    ("closed_silent", "Connections closed because the peer gave no sign of life."),
    ("closed_unread", "Connections cut because the peer does not read what it is sent."),
    ("closed_unwelcome", "Connections cut because the guard keeps the peer out."),
    ("connect_failed", "Connections of ours that could not be had."),
    ("connect_timed_out", "Connections of ours that were not there in time."),
    ("handshake_failed", "Accepted connections that did not agree on TLS or WebSocket, or not in time."),
    ("messages_in", "Messages received whole."),
    ("messages_out", "Messages given to a connection."),
    ("refused_full", "Connections turned away or not begun because there are too many."),
    ("refused_handshakes", "Connections turned away because too many others have not agreed on TLS or WebSocket yet."),
    ("refused_no_proxy", "Connections turned away because they come from no load balancer that may say for whom."),
    ("refused_no_trust", "Connections not begun because nothing says whom to trust at that address."),
    ("refused_origin", "Connections turned away: of a page whose origin is not listed."),
    (
        "refused_proxy_header",
        "Connections turned away because the load balancer has not said for whom, or not in time.",
    ),
    ("refused_source", "Connections turned away because too many come from one address."),
    ("refused_unwelcome", "Connections turned away because the lists of the guard keep them out."),
    ("refused_upgrade", "Connections turned away because what they asked for is no SIP over WebSocket."),
    ("refused_waiting", "Messages refused because too many waited for their connection to be there."),
    ("refused_web", "Connections not begun, since nobody can connect to a browser whose WebSocket is gone."),
    ("reports_lost", "Reports to shards lost because they fell behind."),
    ("tls_failed", "Connections of ours whose certificate was not accepted, or that could not agree on TLS."),
];

/// What may have happened to connections: one metric bears all of it, and has one help for all.
static STREAMS: LazyLock<String> = LazyLock::new(|| {
    let told: Vec<String> = OF_STREAMS.iter().map(|(what, said)| format!(" {what}: {said}")).collect();
    format!("What has happened to connections.{}", told.concat())
});

/// What the counters of connections mean, each word with its sentence.
pub(super) fn of_streams() -> &'static str {
    &STREAMS
}

/// What a counter of shards means.
pub(super) fn meaning(name: &str) -> &'static str {
    of(OF_SHARDS, name).unwrap_or("Counted by the shard.")
}

fn of(sentences: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    let at = sentences.binary_search_by_key(&name, |(known, _)| known).ok()?;
    sentences.get(at).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Counters, Elsewhere};
    use crate::streams;
    use edge::config::compile;
    use edge::{Control, Shard, ShardConfig, ShardLimits};
    use model::{Instant, Seq, ShardId, Wall};
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::sync::Arc;

    const CONFIG: &str = "[listen.lan]\nsip = \"udp:192.0.2.10:5060\"\n[trunk.pbx]\nat = \"sip:192.0.2.20\"\nlisten = \"lan\"\n\
        [group.pbx]\ntiers = [[\"pbx\"]]\nalone = true\n[[route]]\nto = \"pbx\"\n";

    /// All that a shard and its thread count.
    fn counted() -> BTreeSet<String> {
        let settings = Arc::new(compile(CONFIG, "edge.toml", &|_| None, None).settings.expect("it is right"));
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
        let limits = ShardLimits { calls: 1, transactions: 1, pairs: 1, probes: 1, addresses: 1 };
        let config = ShardConfig { shard: ShardId(0), shards: 1, node: 1, key: 1, seed: 1, limits };
        let shard = Shard::new(&config, control.snapshot().clone());
        let of_shard = shard.view().counters.into_iter().map(|(name, _)| name);
        let of_thread = Counters::default().named(&Elsewhere::default()).map(|(name, _)| name.to_owned());
        of_shard.chain(of_thread).collect()
    }

    fn words(sentences: &[(&str, &str)]) -> BTreeSet<String> {
        sentences.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn every_counter_has_its_sentence_and_every_sentence_its_counter() {
        assert_eq!(words(OF_SHARDS), counted());
        let counters = streams::Counters::default();
        assert_eq!(words(OF_STREAMS), counters.named().map(|(name, _)| name.to_owned()).collect());
        for all in [OF_SHARDS, OF_STREAMS] {
            assert!(all.is_sorted_by(|one, next| one.0 < next.0));
            assert!(all.iter().all(|(_, said)| said.ends_with('.') && !said.contains('\n')), "one sentence each");
        }
        assert!(of_streams().contains(". accepted: Connections accepted. "));
        assert_eq!(meaning("sip_asked_anew"), "Requests sent again by a new connection because theirs had died.");
    }

    fn page() -> String {
        let mut page = String::from(
            "# Counters\n\nWhat shards and their threads count, as `/metrics` has it: `throughline_NAME_total` with the label `shard`. Each counts from the start of the\n\
             edge. The other names in `/metrics` are in [operate.md](../guide/operate.md).\n\n| name | what |\n|---|---|\n",
        );
        let row =
            |page: &mut String, (name, said): &(&str, &str)| writeln!(page, "| `{name}` | {said} |").expect("room");
        OF_SHARDS.iter().for_each(|sentence| row(&mut page, sentence));
        page +=
            "\n## Connections\n`throughline_streams_events_total` counts by `what`:\n\n| what | it is |\n|---|---|\n";
        OF_STREAMS.iter().for_each(|sentence| row(&mut page, sentence));
        page
    }

    #[test]
    fn the_page_says_the_same() {
        if page() != include_str!("../../../../docs/reference/counters.md") {
            let new = std::env::temp_dir().join("counters.md");
            std::fs::write(&new, page()).expect("the new page can be written");
            panic!("docs/reference/counters.md says otherwise; the new page is {}", new.display());
        }
    }
}
