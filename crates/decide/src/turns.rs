//! In which order the targets of one trunk are tried for one call: priorities in their order, and inside one each call draws by weight
//! (RFC 2782). Health goes before it, and is not looked at here.
//!
//! Most trunks have one target, or a list in a fixed order; for those nothing is drawn, so that no lots are spent on them. Refuses to
//! know: health, addresses.

use crate::lot;
use crate::ranking::ATTEMPTS_MAX;
use crate::shape::TargetShape;
use model::Rng;

/// Targets beyond as many as a plan holds are not tried.
pub(crate) const TARGETS_MAX: usize = ATTEMPTS_MAX;

/// Places of targets in the list they were drawn from, in the order of their turns.
pub(crate) struct Turns {
    places: [u8; TARGETS_MAX],
    count: usize,
}

impl Turns {
    /// `targets` by priority, as a trunk has them.
    pub(crate) fn draw(targets: &[TargetShape], rng: &mut Rng) -> Self {
        let count = targets.len().min(TARGETS_MAX);
        let mut places = [0, 1, 2, 3, 4, 5, 6, 7];
        let shares = |pair: &[TargetShape]| matches!(pair, [a, b] if a.priority == b.priority);
        if targets.windows(2).any(shares) {
            let mut keys = [(0_u8, 0_u64); TARGETS_MAX];
            for (key, target) in keys.iter_mut().zip(targets) {
                *key = (target.priority, lot::draw(rng, weight(target.weight)));
            }
            places[..count].sort_unstable_by_key(|place| keys[usize::from(*place)]);
        }
        Self { places, count }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.places.iter().take(self.count).map(|place| usize::from(*place))
    }
}

/// A weight of zero has a very small chance beside others (RFC 2782, "Weight"), and a fair one among its like.
fn weight(written: u16) -> u32 {
    u32::from(written) * 64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn first(targets: &[(u8, u16)], draws: u32) -> Vec<u32> {
        let targets: Vec<TargetShape> = (0..)
            .zip(targets)
            .map(|(number, (priority, weight))| TargetShape { number, priority: *priority, weight: *weight })
            .collect();
        let (mut rng, mut firsts) = (Rng::new(7), [0; TARGETS_MAX].to_vec());
        for _ in 0..draws {
            let turns: Vec<usize> = Turns::draw(&targets, &mut rng).iter().collect();
            let mut sorted = turns.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..targets.len().min(TARGETS_MAX)).collect::<Vec<_>>(), "each has one turn");
            let priorities: Vec<u8> = turns.iter().map(|place| targets[*place].priority).collect();
            assert!(priorities.is_sorted(), "RFC 2782: lower-numbered priorities first: {priorities:?}");
            firsts[turns[0]] += 1;
        }
        firsts
    }

    /// RFC 2782, "Weight": larger weights have a proportionately higher chance, zero a very small one.
    #[test]
    fn inside_a_priority_weights_decide() {
        let firsts = first(&[(0, 30), (0, 10), (0, 0), (1, 60_000)], 10_000);
        assert!((7_200..7_800).contains(&firsts[0]), "{firsts:?}");
        assert!((2_200..2_800).contains(&firsts[1]), "{firsts:?}");
        assert!(firsts[2] < 40, "{firsts:?}");
        assert_eq!(firsts[3], 0);
        let fair = first(&[(0, 0), (0, 0)], 10_000);
        assert!((4_800..5_200).contains(&fair[0]), "{fair:?}");
    }

    #[test]
    fn a_fixed_order_costs_no_draw() {
        let (mut rng, mut untouched) = (Rng::new(3), Rng::new(3));
        let turns: Vec<usize> = Turns::draw(&TargetShape::in_order([5, 4, 9]), &mut rng).iter().collect();
        assert_eq!((turns, rng.next_u64()), ([0, 1, 2].to_vec(), untouched.next_u64()));
        assert_eq!(first(&[(0, 1); 12], 1).iter().sum::<u32>(), 1, "more than a plan holds");
    }
}
