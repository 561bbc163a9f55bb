//! What the audio of recent calls says about one target.
//!
//! Signalling may be well while packets of speech get lost: this is kept apart from how calls were set up, and a call counts once,
//! by what was heard of it last. Refuses to know: RTP, limits.

use alloc::collections::VecDeque;
use model::{CallRef, Instant, MediaEvidence, MediaOutcome, Share, Span};

/// Calls remembered.
const KEPT: usize = 64;
/// For so long.
const WINDOW: Span = Span::from_secs(300);

#[derive(Clone, Copy, Debug)]
struct Heard {
    call: CallRef,
    at: Instant,
    outcome: MediaOutcome,
}

/// Audio of the newest calls, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audio {
    heard: VecDeque<Heard>,
    last_bad: Option<(Instant, MediaOutcome)>,
}

impl Audio {
    /// What is heard of a call. Says whether that is bad for the target.
    pub(crate) fn push(&mut self, at: Instant, call: CallRef, outcome: MediaOutcome) -> bool {
        self.heard.retain(|known| known.call != call);
        if self.heard.len() == KEPT {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard { call, at, outcome });
        let bad = outcome != MediaOutcome::Good;
        if bad {
            self.last_bad = Some((at, outcome));
        }
        bad
    }

    /// The target returns: what its audio was before has been judged.
    pub(crate) fn clear(&mut self) {
        self.heard.clear();
    }

    pub(crate) fn evidence(&mut self, now: Instant) -> MediaEvidence {
        while self.heard.pop_front_if(|heard| now.since(heard.at) >= WINDOW).is_some() {}
        let of = self.heard.len() as u32;
        let count = |is: fn(&MediaOutcome) -> bool| self.heard.iter().filter(|heard| is(&heard.outcome)).count() as u32;
        // Nobody talks to whom he does not hear: one way that is dead is as bad as the other.
        let one_way =
            |outcome: &MediaOutcome| matches!(outcome, MediaOutcome::Silent { .. } | MediaOutcome::Deaf { .. });
        MediaEvidence {
            silent: Share { part: count(one_way), of },
            lossy: Share { part: count(|outcome| matches!(outcome, MediaOutcome::Lossy { .. })), of },
            // What has holes sounds no better than what is poor for another reason.
            poor: Share {
                part: count(|outcome| matches!(outcome, MediaOutcome::Lossy { .. } | MediaOutcome::Poor { .. })),
                of,
            },
            last_bad: self.last_bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Mos;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(s)
    }

    #[test]
    fn a_call_counts_once_by_what_was_heard_of_it_last() {
        let mut audio = Audio::default();
        let silent = MediaOutcome::Silent { after: Span::from_secs(5) };
        assert!(audio.push(at(1), CallRef(1), silent));
        let deaf = MediaOutcome::Deaf { after: Span::from_secs(5) };
        assert!(Audio::default().push(at(2), CallRef(2), deaf));
        let mut one_way = Audio::default();
        one_way.push(at(1), CallRef(1), deaf);
        assert_eq!(one_way.evidence(at(2)).silent, Share { part: 1, of: 1 }, "as bad as the other way");
        assert!(audio.push(at(2), CallRef(2), MediaOutcome::Lossy { permille: 80 }));
        assert!(!audio.push(at(3), CallRef(3), MediaOutcome::Good));
        let seen = audio.evidence(at(3));
        assert_eq!((seen.silent, seen.lossy), (Share { part: 1, of: 3 }, Share { part: 1, of: 3 }));
        let poor = MediaOutcome::Poor { mos: Mos::from_hundredths(270), limit: Mos::from_hundredths(310) };
        assert!(audio.push(at(3), CallRef(3), poor));
        let seen = audio.evidence(at(3));
        assert_eq!((seen.lossy.part, seen.poor), (1, Share { part: 2, of: 3 }), "holes are poor too");
        assert_eq!(seen.last_bad, Some((at(3), poor)));
        audio.push(at(3), CallRef(3), MediaOutcome::Good);
        audio.push(at(4), CallRef(1), MediaOutcome::Good);
        assert_eq!(audio.evidence(at(4)).silent, Share { part: 0, of: 3 }, "it was heard after all");
        assert_eq!(audio.evidence(at(303)).silent, Share { part: 0, of: 1 }, "five minutes later");
    }

    #[test]
    fn no_more_than_the_newest_calls_are_kept() {
        let mut audio = Audio::default();
        for call in 0..1_000 {
            audio.push(at(1), CallRef(call), MediaOutcome::Good);
        }
        assert_eq!(audio.evidence(at(1)).silent.of, KEPT as u32);
    }
}
