//! The slow loop's owner: judges, asks the budget, applies to its table, and knows when to look again.
//!
//! Refuses to know: where evidence comes from, who hears of decisions.

use crate::decision::Decision;
use crate::shape::Shape;
use crate::table::TrunkTable;
use alloc::sync::Arc;
use model::{Admin, Evidence, Instant, Span, TargetId, TrunkId};

/// Table, shape, and what is due.
#[derive(Clone, Debug)]
pub struct Engine {
    shape: Arc<Shape>,
    table: TrunkTable,
}

impl Engine {
    /// Everybody Unknown.
    pub fn new(shape: Arc<Shape>) -> Self {
        Self { table: TrunkTable::new(&shape), shape }
    }
    /// Follows a new configuration.
    pub fn reshape(&mut self, now: Instant, shape: Arc<Shape>) {
        self.table.reshape(now, &shape);
        self.shape = shape;
    }
    /// Judges one target.
    pub fn consider(&mut self, _now: Instant, _target: TargetId, _seen: &Evidence) -> Option<Decision> {
        None
    }
    /// The operator's word.
    pub fn operator(&mut self, _now: Instant, _trunk: TrunkId, _to: Admin) -> Option<Decision> {
        None
    }
    /// 503 with Retry-After.
    pub fn throttle(&mut self, _now: Instant, _trunk: TrunkId, _asked: Span) -> Option<Decision> {
        None
    }
    /// When `due` has something.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    /// Whose state should be looked at again.
    pub fn due(&mut self, _now: Instant) -> Option<TargetId> {
        None
    }
    /// The table.
    pub const fn table(&self) -> &TrunkTable {
        &self.table
    }
    /// Probe faster.
    pub fn wants_hurry(&self, _target: TargetId) -> bool {
        false
    }
}
