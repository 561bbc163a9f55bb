//! Whose fault an attempt's outcome is.
//!
//! | outcome | blame | why |
//! |---|---|---|
//! | 2xx, 3xx | none | the trunk did its work |
//! | 404 410 484 485 486 600 603 604 606 607 608, and other 4xx | called | a word about the person or number (RFC 3261 §21.4, §21.6; 607 RFC 8197, 608 RFC 8688) |
//! | 480 403 488 415 | called | mostly about the called party; a Q.850 cause may say otherwise |
//! | 487, abandoned | caller | the caller gave up (RFC 3261 §9.1, §21.4.25) |
//! | 408 500 502 503 504 and other 5xx | trunk | RFC 3261 §21.4.9, §21.5 |
//! | no reply, stalled, went silent, unreachable | trunk | our own deadlines, and ICMP |
//! | 401 407 400 481 482 483 493 494 501 505 513 | us | our credentials or our message (RFC 3261 §21.4, §21.5.6, §21.5.7) |
//! | ring timeout | called | it rang; nobody came |
//! | local send fault, too large | us | our socket, our message |
//! | cut short | us | the hunt's time was over before the attempt's own: we left it early, and only what was overdue already is a call not carried |
//! | outrun | us | another attempt of the call was ahead, and we left this one: no evidence by itself, but one that was overdue after its 100 is a call not carried |
//!
//! A Q.850 cause in a Reason header (RFC 3326) speaks more exactly than the code a gateway mapped it to (RFC 3398 §8.2.6.1),
//! so it may shift the blame between the trunk and the called party. Refuses to know: whether the hunt goes on.

use model::{AttemptOutcome, Blame, TransportFault};

/// Q.850 causes of the network and its resources: no circuit, out of order, temporary failure, congestion, unavailable.
const NETWORK: [u8; 6] = [34, 38, 41, 42, 44, 47];

/// Q.850 causes of a person or a number: unallocated, busy, no user responding, no answer, absent, rejected, changed,
/// invalid format.
const PERSON: [u8; 8] = [1, 17, 18, 19, 20, 21, 22, 28];

/// Whose fault an outcome is.
pub fn blame(outcome: &AttemptOutcome) -> Blame {
    match *outcome {
        AttemptOutcome::Answered | AttemptOutcome::Redirected { .. } => Blame::None,
        AttemptOutcome::Refused { code, q850, .. } => match (of_code(code), q850) {
            (Blame::Called, Some(cause)) if NETWORK.contains(&cause) => Blame::Trunk,
            (Blame::Trunk, Some(cause)) if PERSON.contains(&cause) => Blame::Called,
            (blame, _) => blame,
        },
        AttemptOutcome::NoReply { .. } | AttemptOutcome::Stalled { .. } | AttemptOutcome::WentSilent { .. } => {
            Blame::Trunk
        }
        AttemptOutcome::Unreachable { fault } if is_ours(fault) => Blame::Us,
        AttemptOutcome::Unreachable { .. } => Blame::Trunk,
        AttemptOutcome::RingTimeout { .. } => Blame::Called,
        AttemptOutcome::Abandoned { .. } => Blame::Caller,
        AttemptOutcome::Outrun { .. } | AttemptOutcome::CutShort { .. } => Blame::Us,
    }
}

/// Whether an outcome counts against the trunk.
pub fn counts_against(outcome: &AttemptOutcome) -> bool {
    blame(outcome) == Blame::Trunk
}

/// A fault of our own socket or message, which says nothing about the far side.
pub(crate) const fn is_ours(fault: TransportFault) -> bool {
    matches!(fault, TransportFault::Local | TransportFault::TooLarge)
}

/// Whether the far side, or someone behind it, sent a final response or had sent a provisional one.
pub(crate) const fn was_heard(outcome: &AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Answered
        | AttemptOutcome::Redirected { .. }
        | AttemptOutcome::Refused { .. }
        | AttemptOutcome::Stalled { .. }
        | AttemptOutcome::RingTimeout { .. } => true,
        AttemptOutcome::NoReply { .. } | AttemptOutcome::WentSilent { .. } | AttemptOutcome::Unreachable { .. } => {
            false
        }
        AttemptOutcome::CutShort { replied, .. } => *replied,
        AttemptOutcome::Abandoned { progressed, .. } | AttemptOutcome::Outrun { progressed, .. } => *progressed,
    }
}

const fn of_code(code: u16) -> Blame {
    match code {
        487 => Blame::Caller,
        400 | 401 | 407 | 481 | 482 | 483 | 493 | 494 | 501 | 505 | 513 => Blame::Us,
        408 => Blame::Trunk,
        500..=599 => Blame::Trunk,
        _ => Blame::Called,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    fn refused(code: u16, q850: Option<u8>) -> AttemptOutcome {
        AttemptOutcome::Refused { code, q850, retry_after: None }
    }

    #[test]
    fn the_called_party_is_never_the_trunk() {
        for code in [486, 600, 603, 404, 484, 604, 607, 608, 410, 480, 403, 488] {
            assert_eq!(blame(&refused(code, None)), Blame::Called, "{code}");
        }
        assert_eq!(blame(&AttemptOutcome::RingTimeout { after: Span::from_secs(180) }), Blame::Called);
    }

    #[test]
    fn server_failures_and_silence_are_the_trunk() {
        for code in [408, 500, 502, 503, 504] {
            assert_eq!(blame(&refused(code, None)), Blame::Trunk, "{code}");
        }
        let after = Span::from_secs(1);
        assert!(counts_against(&AttemptOutcome::NoReply { after }));
        assert!(counts_against(&AttemptOutcome::Stalled { after }));
        assert!(counts_against(&AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable }));
    }

    #[test]
    fn our_own_faults_are_ours() {
        for code in [400, 401, 407, 481, 482, 483, 513] {
            assert_eq!(blame(&refused(code, None)), Blame::Us, "{code}");
        }
        for fault in [TransportFault::Local, TransportFault::TooLarge] {
            assert_eq!(blame(&AttemptOutcome::Unreachable { fault }), Blame::Us);
        }
        assert_eq!(blame(&refused(487, None)), Blame::Caller, "RFC 3261 §21.4.25");
        let outrun = |progressed| AttemptOutcome::Outrun { after: Span::from_secs(1), progressed };
        assert_eq!(blame(&outrun(false)), Blame::Us);
        assert_eq!((was_heard(&outrun(true)), was_heard(&outrun(false))), (true, false));
        let cut = |replied| AttemptOutcome::CutShort { after: Span::from_millis(300), replied };
        assert_eq!((blame(&cut(false)), blame(&cut(true))), (Blame::Us, Blame::Us));
        assert_eq!((was_heard(&cut(true)), was_heard(&cut(false))), (true, false));
    }

    #[test]
    fn a_q850_cause_shifts_blame_both_ways() {
        for cause in NETWORK {
            assert_eq!(blame(&refused(480, Some(cause))), Blame::Trunk, "{cause}");
        }
        assert_eq!(blame(&refused(500, Some(17))), Blame::Called, "a busy user behind a 500");
        assert_eq!(blame(&refused(486, Some(17))), Blame::Called);
        assert_eq!(blame(&refused(407, Some(34))), Blame::Us, "a challenge stays ours");
    }
}
