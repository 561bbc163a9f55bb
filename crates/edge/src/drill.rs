//! The drill under way, as control keeps it: who drills, what is broken, until when, and what happens to real calls meanwhile.
//!
//! One at a time. It ends by itself: when whoever began it goes away, when its time is over, and when real calls suffer while it runs. Refuses
//! to know: what is tried in it, how the shards play its faults.

use crate::io::By;
use act::Drill;
use core::net::SocketAddr;
use explain::{CallRecord, Ending};
use model::{CallRef, DrillFault, Instant, Name, Span, TrunkId, Wall};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Whoever began it says so often at least that he is still there.
pub const LEASE: Span = Span::from_secs(10);
/// Longest drill.
pub const LONGEST: Span = Span::from_secs(3_600);
/// Trunks that one may break.
pub const TRUNKS: usize = 64;
/// Callers that one may have.
pub const CALLERS: usize = 8;
/// Calls of it that are remembered, the last of them.
const CALLS: usize = 100;
/// Real calls that tell how things were before.
const BEFORE: usize = 100;
/// So many real calls at least tell that they suffer.
const ENOUGH: u32 = 20;
/// How much more of them may fail than before, in percent of all.
const WORSE: u32 = 10;

/// What is asked for a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillOrder {
    /// Its number, known to nobody else.
    pub id: u64,
    /// Who drills, and why.
    pub by: By,
    /// Trunks that it may break.
    pub trunks: Vec<TrunkId>,
    /// Where its calls come from, and as whose.
    pub callers: Vec<(SocketAddr, TrunkId)>,
    /// Trunks are broken for every call, and for probes.
    pub all_calls: bool,
    /// When it ends at the latest.
    pub limit: Span,
}

/// What is done with a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillAct {
    /// It begins.
    Begin(Box<DrillOrder>),
    /// A trunk is broken so, or no more.
    Break {
        /// Of which drill.
        id: u64,
        /// Which trunk.
        trunk: TrunkId,
        /// How; none mends it.
        fault: Option<DrillFault>,
    },
    /// Whoever began it is still there.
    Keep {
        /// Which drill.
        id: u64,
    },
    /// It is done.
    End {
        /// Which drill.
        id: u64,
        /// Lines of it that passed.
        passed: u32,
        /// Lines of it that failed.
        failed: u32,
    },
}

/// Why something cannot be done with a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillRefused {
    /// Another one is under way, of this one.
    Busy(Name),
    /// There is no such drill, or not any more; why the last one ended.
    Over(Option<Name>),
    /// That trunk was not named when it began.
    NotNamed(TrunkId),
    /// No number may be dialled in it: no trunk has a test call.
    NoNumber,
    /// It names no trunk, or too many, or too many callers, or is too long.
    OutOfBounds,
    /// That caller has the address of somebody who is known here.
    Taken(SocketAddr),
}

/// Real calls: how many ended, and how many of them failed by no fault of the called party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RealCalls {
    /// Ended.
    pub ended: u32,
    /// Of them, those that nobody answered because trunks failed.
    pub failed: u32,
}

impl RealCalls {
    fn percent(self) -> u32 {
        self.failed.saturating_mul(100).checked_div(self.ended).unwrap_or(0)
    }
}

/// One call of the drill that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrilledCall {
    /// The call.
    pub call: CallRef,
    /// Call-ID of its caller.
    pub call_id: String,
}

/// What came of the last drill of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DrillResult {
    /// When it ended.
    pub ended: Wall,
    /// Why.
    pub why: Name,
    /// It was done; else it was cut short.
    pub whole: bool,
    /// Lines that passed in the last one that was done, of all its trunks.
    pub passed: u32,
    /// Lines that failed in it.
    pub failed: u32,
    /// When one was good last: done, and without a line that failed. None when none on record was.
    pub good: Option<Wall>,
}

/// The drill as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrillView {
    /// Who drills.
    pub who: Name,
    /// For how long.
    pub age: Span,
    /// When it ends at the latest.
    pub left: Span,
    /// Trunks that it may break.
    pub trunks: Vec<Name>,
    /// It breaks them for every call.
    pub all_calls: bool,
    /// Trunks that are broken now, each with how.
    pub faults: Vec<(Name, String)>,
    /// Real calls since it began.
    pub real_calls: RealCalls,
    /// Its calls that are over, the last of them.
    pub calls: Vec<DrilledCall>,
}

#[derive(Debug)]
struct Running {
    order: Box<DrillOrder>,
    drill: Arc<Drill>,
    began: Instant,
    kept: Instant,
    real: RealCalls,
    calls: VecDeque<DrilledCall>,
}

impl Running {
    fn who(&self) -> Name {
        Name::from(self.order.by.who.as_str())
    }
}

/// The one place where drills are begun and ended.
#[derive(Debug, Default)]
pub(crate) struct Drills {
    running: Option<Running>,
    /// How the last real calls ended: true is a failure.
    before: VecDeque<bool>,
    /// Why the last one ended.
    last: Option<Name>,
    /// What came of the last one of each trunk that is configured.
    results: BTreeMap<Name, DrillResult>,
}

impl Drills {
    /// What the shards work by.
    pub(crate) fn drill(&self) -> Option<Arc<Drill>> {
        self.running.as_ref().map(|running| running.drill.clone())
    }

    /// Begins one whose calls may dial `numbers`.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        order: Box<DrillOrder>,
        numbers: Vec<String>,
    ) -> Result<(), DrillRefused> {
        if let Some(running) = &self.running {
            return Err(DrillRefused::Busy(running.who()));
        }
        let fits = (1..=TRUNKS).contains(&order.trunks.len()) && (1..=CALLERS).contains(&order.callers.len());
        if !fits || order.limit > LONGEST || order.limit == Span::ZERO {
            return Err(DrillRefused::OutOfBounds);
        }
        if numbers.is_empty() {
            return Err(DrillRefused::NoNumber);
        }
        let drill = Drill {
            mark: mark(order.id).into_bytes(),
            callers: order.callers.clone(),
            numbers,
            faults: Vec::new(),
            all_calls: order.all_calls,
        };
        self.running = Some(Running {
            order,
            drill: Arc::new(drill),
            began: now,
            kept: now,
            real: RealCalls::default(),
            calls: VecDeque::new(),
        });
        Ok(())
    }

    /// Breaks a trunk or mends it; false when it is so already.
    pub(crate) fn set(
        &mut self,
        now: Instant,
        id: u64,
        trunk: TrunkId,
        fault: Option<DrillFault>,
    ) -> Result<bool, DrillRefused> {
        let running = self.own(id)?;
        if !running.order.trunks.contains(&trunk) {
            return Err(DrillRefused::NotNamed(trunk));
        }
        running.kept = now;
        if running.drill.fault(trunk, true) == fault {
            return Ok(false);
        }
        let drill = Arc::make_mut(&mut running.drill);
        drill.faults.retain(|(broken, _)| *broken != trunk);
        drill.faults.extend(fault.map(|fault| (trunk, fault)));
        Ok(true)
    }

    /// Who began it.
    pub(crate) fn by(&self) -> Option<By> {
        self.running.as_ref().map(|running| running.order.by.clone())
    }

    /// Whoever began it is still there.
    pub(crate) fn keep(&mut self, now: Instant, id: u64) -> Result<(), DrillRefused> {
        self.own(id)?.kept = now;
        Ok(())
    }

    /// It is over, and why; what had been asked for, when there is one.
    pub(crate) fn end(&mut self, why: &str) -> Option<Box<DrillOrder>> {
        let running = self.running.take()?;
        self.last = Some(Name::from(why));
        Some(running.order)
    }

    /// What came of a drill of these trunks, now or before the edge began. One that was cut short says nothing of its lines.
    pub(crate) fn remember(&mut self, ended: Wall, trunks: &[Name], why: &str, (passed, failed): (u32, u32)) {
        for trunk in trunks {
            let new = DrillResult { ended, why: Name::from(why), whole: why == DONE, passed: 0, failed: 0, good: None };
            let result = self.results.entry(trunk.clone()).or_insert_with(|| new.clone());
            (result.ended, result.why, result.whole) = (new.ended, new.why, new.whole);
            if result.whole {
                (result.passed, result.failed) = (passed, failed);
                result.good = if passed > 0 && failed == 0 { Some(ended) } else { result.good };
            }
        }
    }

    /// Trunks that are no more are forgotten, so that there are never more than are configured.
    pub(crate) fn retain(&mut self, names: &[Name]) {
        self.results.retain(|trunk, _| names.contains(trunk));
    }

    /// What came of the last drill of each trunk.
    pub(crate) const fn results(&self) -> &BTreeMap<Name, DrillResult> {
        &self.results
    }

    fn own(&mut self, id: u64) -> Result<&mut Running, DrillRefused> {
        let last = self.last.clone();
        self.running.as_mut().filter(|running| running.order.id == id).ok_or(DrillRefused::Over(last))
    }

    /// A call has ended: one of the drill, or a real one.
    pub(crate) fn ended(&mut self, record: &CallRecord) {
        if record.drilled {
            if let Some(running) = &mut self.running {
                if running.calls.len() >= CALLS {
                    running.calls.pop_front();
                }
                running.calls.push_back(DrilledCall { call: record.call, call_id: record.call_id.clone() });
            }
            return;
        }
        let failed = matches!(record.ending, Ending::Refused { code: 500..=599 } | Ending::OutOfRetries { .. });
        if let Some(running) = &mut self.running {
            running.real.ended += 1;
            running.real.failed += u32::from(failed);
            return;
        }
        if self.before.len() >= BEFORE {
            self.before.pop_front();
        }
        self.before.push_back(failed);
    }

    /// Why it must end now, if it must.
    pub(crate) fn must_end(&self, now: Instant) -> Option<String> {
        let running = self.running.as_ref()?;
        if now.since(running.began) >= running.order.limit {
            return Some(String::from("its time is over"));
        }
        if now.since(running.kept) >= LEASE {
            return Some(format!("nothing was heard of who began it for {LEASE}"));
        }
        let failed = self.before.iter().filter(|failed| **failed).count() as u32;
        let before = RealCalls { ended: self.before.len() as u32, failed }.percent();
        let real = running.real;
        let worse = real.ended >= ENOUGH && real.percent() >= before + WORSE;
        worse.then(|| {
            let RealCalls { ended, failed } = real;
            format!("real calls suffer: {failed} of {ended} failed since it began, before it {before} %")
        })
    }

    /// A trunk has gone Down by what was seen of it: real harm, unless it is the drill that breaks it for all.
    pub(crate) fn is_harm(&self, trunk: TrunkId) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| {
            // One that it breaks for all may go Down a moment after it was mended.
            let is_meant = running.order.all_calls && running.order.trunks.contains(&trunk);
            !is_meant && running.drill.fault(trunk, false).is_none()
        })
    }

    /// When [`Drills::must_end`] is to be asked next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let running = self.running.as_ref()?;
        Some((running.began + running.order.limit).min(running.kept + LEASE))
    }

    /// Why the last one ended.
    pub(crate) fn last(&self) -> Option<&Name> {
        self.last.as_ref()
    }

    /// As people see it.
    pub(crate) fn view(&self, now: Instant, name: impl Fn(TrunkId) -> Name) -> Option<DrillView> {
        let running = self.running.as_ref()?;
        let age = now.since(running.began);
        Some(DrillView {
            who: running.who(),
            age,
            left: running.order.limit - age,
            trunks: running.order.trunks.iter().map(|trunk| name(*trunk)).collect(),
            all_calls: running.order.all_calls,
            faults: running.drill.faults.iter().map(|(trunk, fault)| (name(*trunk), fault.word())).collect(),
            real_calls: running.real,
            calls: running.calls.iter().cloned().collect(),
        })
    }
}

/// Why it ended when nothing was wrong.
pub(crate) const DONE: &str = "it is done";

/// What the Call-IDs of a drill's calls begin with.
pub fn mark(id: u64) -> String {
    format!("drill-{id:016x}-")
}
