//! Transactions: the four machines of RFC 3261 §17, what identifies one, and the table that holds them.
//!
//! The machines are states and times only; `endpoint` owns the table and moves the messages.

pub(crate) mod invite_client;
pub(crate) mod invite_server;
pub(crate) mod key;
pub(crate) mod request_client;
pub(crate) mod request_server;
pub(crate) mod table;
pub(crate) mod timers;

/// Lets a machine run alone, millisecond by millisecond: when it repeats, and when it ends (ms).
#[cfg(test)]
pub(crate) fn schedule(
    mut expire: impl FnMut(model::Instant) -> timers::Fired,
    from: model::Instant,
) -> (alloc::vec::Vec<u64>, Option<u64>) {
    let mut repeats = alloc::vec::Vec::new();
    for ms in 0..100_000 {
        let now = from + model::Span::from_millis(ms);
        match expire(now) {
            timers::Fired::Nothing => {}
            timers::Fired::Repeat => repeats.push(now.as_micros() / 1_000),
            timers::Fired::End => return (repeats, Some(now.as_micros() / 1_000)),
        }
    }
    (repeats, None)
}
