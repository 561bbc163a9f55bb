//! What a live call says about the audio of a trunk: heard, silent, deaf, with holes, poor.
//!
//! It is evidence, and what is done about the call itself is decided elsewhere. A silent party is blamed while the other one is heard, and
//! not before: an office whose firewall blocks its audio costs no carrier its health. Refuses to know: how many such calls are too many.

use crate::midcall::Party;
use model::{MediaOutcome, Mos};

/// Tenths of a score by which poor audio must be better than its limit to be good again.
const BETTER: u16 = 2;

/// What a call says about the audio of a party's trunk. Nothing while neither is heard: that is no proof against either.
pub fn outcome(of: &Party, other: &Party) -> Option<MediaOutcome> {
    if of.is_deaf()
        && !of.is_silent()
        && other.speaks()
        && let Some(after) = of.unheard
    {
        return Some(MediaOutcome::Deaf { after });
    }
    if of.speaks() {
        return Some(sound(of));
    }
    (of.is_silent() && other.speaks()).then_some(MediaOutcome::Silent { after: of.quiet })
}

/// How one sounds that is heard. Holes are counted and a score is an estimate, so holes are told where there are both.
fn sound(of: &Party) -> MediaOutcome {
    if let Some(permille) = of.loss.filter(|loss| *loss >= of.policy.loss) {
        return MediaOutcome::Lossy { permille };
    }
    // What has been poor is good again when it is better than its limit by more than an estimate wavers.
    let margin = if of.poor { BETTER } else { 0 };
    let limit = of.policy.mos.map(|limit| Mos::from_tenths(limit.tenths() + margin));
    match (of.mos, limit) {
        (Some(mos), Some(limit)) if mos.tenths() < limit.tenths() => MediaOutcome::Poor { mos, limit },
        _ => MediaOutcome::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midcall::AudioPolicy;
    use model::Span;

    const fn ms(ms: u64) -> Span {
        Span::from_millis(ms)
    }

    fn quiet() -> Party {
        Party { quiet: ms(3_000), ..Party::heard() }
    }

    #[test]
    fn the_one_who_is_silent_is_blamed_and_not_the_one_who_speaks() {
        let silent = MediaOutcome::Silent { after: ms(3_000) };
        assert_eq!(outcome(&quiet(), &Party::heard()), Some(silent));
        assert_eq!(outcome(&Party::heard(), &quiet()), Some(MediaOutcome::Good));
        assert_eq!(outcome(&quiet(), &quiet()), None, "nobody is blamed by this alone");
        assert_eq!(outcome(&Party { expected: false, ..quiet() }, &Party::heard()), None);
        let holes = |permille| outcome(&Party { loss: Some(permille), ..Party::heard() }, &Party::heard());
        assert_eq!((holes(99), holes(100)), (Some(MediaOutcome::Good), Some(MediaOutcome::Lossy { permille: 100 })));
    }

    #[test]
    fn one_that_sounds_worse_than_its_trunk_is_held_to_is_poor_until_it_is_clearly_better() {
        let limit = Mos::from_hundredths(310);
        let policy = AudioPolicy { mos: Some(limit), ..AudioPolicy::default() };
        let of = |hundredths, poor| {
            let mos = Some(Mos::from_hundredths(hundredths));
            outcome(&Party { policy, mos, poor, ..Party::heard() }, &Party::heard())
        };
        let poor = |hundredths, limit| {
            Some(MediaOutcome::Poor { mos: Mos::from_hundredths(hundredths), limit: Mos::from_tenths(limit) })
        };
        let good = Some(MediaOutcome::Good);
        assert_eq!((of(304, false), of(305, false)), (poor(304, 31), good), "as it is told: 3.0 and 3.1");
        assert_eq!((of(324, true), of(325, true)), (poor(324, 33), good), "3.3 is better");
        let party = Party { policy, loss: Some(100), mos: Some(Mos::WORST), ..Party::heard() };
        assert_eq!(
            outcome(&party, &Party::heard()),
            Some(MediaOutcome::Lossy { permille: 100 }),
            "counted, not estimated"
        );
        let worst = Party { mos: Some(Mos::WORST), ..Party::heard() };
        assert_eq!(outcome(&worst, &Party::heard()), good, "no limit is set");
        assert_eq!(
            outcome(&Party { policy, ..Party::heard() }, &Party::heard()),
            good,
            "nothing is known of its codec"
        );
    }
}
