//! What the endpoint has counted since it began. Each drop has its own number, so that none is silent.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the endpoint began.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Each count by name, always in the same order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Messages and keep-alives received.
    received,
    /// Messages handed out to be sent, repeats included.
    sent,
    /// Requests of ours begun, CANCEL and ACK not counted.
    requests_out,
    /// New requests handed to the user.
    requests_in,
    /// Requests of ours that went by a stream since they are too large for a datagram (18.1.1).
    large_by_stream,
    /// Of them, those that went as a datagram after all, since no stream could be had.
    large_fell_back,
    /// Repeats of our requests (Timers A and E).
    request_repeats,
    /// Requests of ours sent once more because their connection had died.
    asked_anew,
    /// Repeats of our final responses by time (Timer G, and the 2xx of 13.3.1.4).
    response_repeats,
    /// Requests that came again and were absorbed.
    absorbed_requests,
    /// Responses that came again, or too late for their transaction's state.
    absorbed_responses,
    /// ACKs for 3xx-6xx, absorbed.
    absorbed_acks,
    /// Bytes that are no SIP message.
    malformed,
    /// Responses to no transaction of ours.
    stray_responses,
    /// Responses with more than one Via, or whose Via is not ours (8.1.3.3).
    misrouted_responses,
    /// ACKs for an INVITE that has no answer yet.
    stray_acks,
    /// CANCELs that matched no INVITE, answered 481.
    stray_cancels,
    /// CANCELs from another host than their INVITE's, answered 481.
    foreign_cancels,
    /// Responses from a host that was not asked.
    foreign_responses,
    /// Requests that came back to us, answered 482 (16.3).
    loops,
    /// Requests that came by two paths, the second answered 482 (8.2.2.2).
    merged,
    /// Requests out of hops, answered 483 (16.3).
    too_many_hops,
    /// Request-URIs of a scheme we do not serve, answered 416 (8.2.2.1).
    unknown_schemes,
    /// Requests that require what we do not do, answered 420 (8.2.2.3).
    unknown_extensions,
    /// Requests refused for want of a transaction, answered 503.
    overloaded,
    /// Requests of ours not begun for want of a transaction.
    full,
    /// Requests of ours that got no final response in time (Timers B and F, CANCEL).
    no_reply,
    /// Requests of ours that the network refused.
    unreachable,
    /// Network errors about anything else of ours.
    unreachable_other,
    /// 2xx of ours never acknowledged.
    acks_missing,
    /// Reliable provisional responses of ours never acknowledged (RFC 3262 §3).
    pracks_missing,
    /// 3xx-6xx of ours never acknowledged (Timer H).
    acks_missing_refusal,
    /// Requests that the user never answered (RFC 4320).
    unanswered,
    /// Further 2xx of forks beyond the limit.
    forks_dropped,
    /// Calls of the API for a transaction that is gone or not in a state for it.
    late_orders,
}
