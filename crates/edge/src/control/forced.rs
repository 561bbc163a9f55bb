//! A tier that the operator puts first in its group: on record with who and why, then done; given back by his word, by time, or when a new
//! configuration has not got it.
//!
//! Judging knows nothing of it, and the second policy, which plans no calls, is not told. Refuses to know: how a word arrived, and whether
//! who gave it may.

use super::Control;
use crate::config::Settings;
use crate::io::By;
use decide::{Cause, Forced, Member, Word};
use explain::Act;
use model::{ForceLength, GroupId, Instant, Name};

/// A tier that stays forced although its group has another number now.
pub(super) struct Moved {
    to: GroupId,
    forced: Forced,
}

impl Control {
    pub(super) fn force(&mut self, now: Instant, group: GroupId, tier: u8, length: ForceLength, by: &By) {
        let known = self.engine.shape().group(group).is_some_and(|group| usize::from(tier) < group.tiers.len());
        if !known {
            return;
        }
        self.operator(None, Act::Force { group: self.group_name(group), tier, length: length.span() }, by);
        let word = Word { who: by.who.clone(), why: by.why.clone() };
        if let Some(decision) = self.engine.force(now, group, tier, length, word) {
            self.decided(now, decision);
        }
    }

    /// On record only where a tier was forced.
    pub(super) fn release(&mut self, now: Instant, group: GroupId, by: &By) {
        if self.engine.table().forced(group).is_none() {
            return;
        }
        self.operator(None, Act::Release { group: self.group_name(group) }, by);
        if let Some(decision) = self.engine.release(now, group, Cause::Operator) {
            self.decided(now, decision);
        }
    }

    /// Before a new configuration: gives back every tier that it has not got, or has in a group of another number; the latter are
    /// returned. Groups are the same by their name; a tier is by its place, as long as one of its trunks is still in it.
    pub(super) fn unforce_moved(&mut self, now: Instant, settings: &Settings) -> Vec<Moved> {
        let forced: Vec<(GroupId, Forced)> =
            self.engine.table().all_forced().map(|(group, forced)| (group, forced.clone())).collect();
        let mut moved = Vec::new();
        for (group, forced) in forced {
            let to = self.group_of(group, forced.tier, settings);
            if to == Some(group) {
                continue;
            }
            if let Some(decision) = self.engine.release(now, group, Cause::Reconfigured) {
                self.decided(now, decision);
            }
            moved.extend(to.map(|to| Moved { to, forced }));
        }
        moved
    }

    /// After it: they are forced again for the rest of their time.
    pub(super) fn force_moved(&mut self, now: Instant, moved: Vec<Moved>) {
        for Moved { to, forced } in moved {
            let left = forced.until.since(now);
            if let Some(decision) = self.engine.force_again(now, to, forced.tier, left, forced.word) {
                self.decided(now, decision);
            }
        }
    }

    fn group_of(&self, group: GroupId, tier: u8, settings: &Settings) -> Option<GroupId> {
        let tier = usize::from(tier);
        let name = self.group_name(group);
        let place = settings.names.groups.iter().position(|known| *known == name)?;
        let to = GroupId(u16::try_from(place).ok()?);
        let before = self.engine.shape().group(group)?.tiers.get(tier)?;
        let stays = |member: &Member| before.iter().any(|known| known.trunk == member.trunk);
        settings.shape.group(to)?.tiers.get(tier)?.iter().any(stays).then_some(to)
    }

    pub(super) fn group_name(&self, group: GroupId) -> Name {
        let names = &self.snapshot.settings.names.groups;
        names.get(group.index()).cloned().unwrap_or_else(|| Name::from("?"))
    }
}
