//! What a caller hears whom nobody may take: when to try again.

use model::{Rng, Span};

/// How long a refused caller should wait before he tries again: whole seconds, 5 to 20, drawn at random so that those who were refused
/// together do not return together, and longer the more calls are refused. `excess` is how far the offered load is over what was
/// taken, in percent ([`crate::Load::excess`]): 5 to 10 s at 0, 10 to 20 s from 100 on.
pub fn retry_after(rng: &mut Rng, excess: u32) -> Span {
    let excess = u64::from(excess.min(100));
    let (least, most) = (5 + excess / 20, 10 + excess / 10);
    Span::from_secs(least + rng.below(most - least + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_wait_is_spread_and_grows_with_the_excess() {
        let mut rng = Rng::new(3);
        let mut waits = |excess| {
            let mut waits: Vec<u64> = (0..1_000).map(|_| retry_after(&mut rng, excess).as_secs()).collect();
            waits.sort_unstable();
            waits.dedup();
            waits
        };
        assert_eq!(waits(0), (5..=10).collect::<Vec<_>>());
        assert_eq!(waits(50), (7..=15).collect::<Vec<_>>());
        assert_eq!(waits(100), (10..=20).collect::<Vec<_>>());
        assert_eq!(waits(u32::MAX), (10..=20).collect::<Vec<_>>());
    }
}
