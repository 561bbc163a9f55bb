//! Whose fault an outcome is at one trunk: the table of `classify`, and what this trunk means by its own codes.
//!
//! One carrier says 480 when it has no circuit, another 503 when the called party is switched off; only who has their contract knows.

use crate::classify::blame;
use alloc::vec::Vec;
use model::{AttemptOutcome, Blame};

/// Status codes of one trunk that mean something else than usual.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BlamePolicy {
    /// Held against the trunk.
    pub blamed: Vec<u16>,
    /// Never held against it: the called party's.
    pub excused: Vec<u16>,
}

impl BlamePolicy {
    /// Whose fault an outcome is here. A code in both lists is excused.
    pub fn blame(&self, outcome: &AttemptOutcome) -> Blame {
        match outcome {
            AttemptOutcome::Refused { code, .. } if self.excused.contains(code) => Blame::Called,
            AttemptOutcome::Refused { code, .. } if self.blamed.contains(code) => Blame::Trunk,
            _ => blame(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    #[test]
    fn a_trunks_own_table_goes_before_the_usual_one() {
        let policy = BlamePolicy { blamed: [480, 403].to_vec(), excused: [500, 403].to_vec() };
        let refused = |code| AttemptOutcome::Refused { code, q850: None, retry_after: None };
        assert_eq!(policy.blame(&refused(480)), Blame::Trunk);
        assert_eq!(policy.blame(&refused(500)), Blame::Called);
        assert_eq!(policy.blame(&refused(403)), Blame::Called, "excused");
        assert_eq!(policy.blame(&refused(503)), Blame::Trunk, "as usual");
        assert_eq!(policy.blame(&AttemptOutcome::NoReply { after: Span::ZERO }), Blame::Trunk);
    }
}
