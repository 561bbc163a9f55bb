//! Tiers that the operator forces: put first on his word, and given back when he says so or their time is over.
//!
//! Judging goes on as ever meanwhile: what is held of trunks neither moves nor is forgiven by it. Refuses to know: how the word arrived,
//! what a plan makes of it.

use super::Engine;
use crate::decision::{Cause, Change, Decision, Subject};
use crate::forced::Word;
use alloc::sync::Arc;
use model::{ForceLength, GroupId, Instant, Span};

impl Engine {
    /// The operator puts a tier of a group first, 0 the best; a new word takes the place of the one before, its time included. None when
    /// there is no such tier.
    pub fn force(
        &mut self,
        now: Instant,
        group: GroupId,
        tier: u8,
        length: ForceLength,
        word: Word,
    ) -> Option<Decision> {
        self.put_first(now, group, tier, length.span(), Arc::new(word), Cause::Operator)
    }

    /// The same after a new configuration, for what is left of its time.
    pub fn force_again(
        &mut self,
        now: Instant,
        group: GroupId,
        tier: u8,
        left: Span,
        word: Arc<Word>,
    ) -> Option<Decision> {
        self.put_first(now, group, tier, left, word, Cause::Reconfigured)
    }

    /// The operator gives a group's traffic back, or a new configuration has not got the tier: `cause` says which. None when no tier of it
    /// is forced.
    pub fn release(&mut self, now: Instant, group: GroupId, cause: Cause) -> Option<Decision> {
        let from = self.table.forced(group)?.tier;
        Some(self.forcing(now, group, Change::Release { from }, cause, None))
    }

    /// A tier whose time is over, given back. To be asked until there is none.
    pub fn force_over(&mut self, now: Instant) -> Option<Decision> {
        let (group, _) = self.table.all_forced().find(|(_, forced)| forced.until <= now)?;
        self.release(now, group, Cause::TimeOver)
    }

    fn put_first(
        &mut self,
        now: Instant,
        group: GroupId,
        tier: u8,
        length: Span,
        word: Arc<Word>,
        cause: Cause,
    ) -> Option<Decision> {
        self.shape.group(group)?.tiers.get(usize::from(tier))?;
        let from = self.table.forced(group).map(|forced| forced.tier);
        Some(self.forcing(now, group, Change::Force { from, to: tier, length }, cause, Some(word)))
    }

    fn forcing(
        &mut self,
        at: Instant,
        group: GroupId,
        change: Change,
        cause: Cause,
        word: Option<Arc<Word>>,
    ) -> Decision {
        // No policy judges it.
        let bare = Decision::bare(at, self.next_epoch(), Subject::Group(group), change, cause);
        let decision = Decision { word, ..bare };
        self.table.apply(&decision);
        decision
    }
}
