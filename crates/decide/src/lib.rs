//! Opinions: which target is how healthy, which trunk gets the next call, what to do after an attempt.
//!
//! Pure functions over `model` values, and one table that only a [`Decision`] can change. Refuses to know: SIP, SDP,
//! sockets, clocks, and how anything is done.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod attempt;
mod budget;
mod decision;
mod engine;
mod failback;
mod forced;
mod judge;
mod load;
mod lot;
mod midcall;
mod noted;
mod plan;
mod policy;
mod prefixes;
mod ranking;
mod refusal;
mod retries;
mod route;
mod routes;
mod shape;
mod sound;
mod table;
mod turns;

pub use attempt::{after, final_code, late_after, may_take};
pub use decision::{Cause, Change, Decision, Subject, Veto};
pub use engine::Engine;
pub use failback::{Terms, Wait, Window, terms};
pub use forced::{Forced, Word};
pub use judge::{Judgement, judge, next_look};
pub use load::{CallLimits, Load};
pub use midcall::{Asked, AudioPolicy, Midcall, Party, Rescue, Step, Verdict, Whose, midcall};
pub use noted::{Keyless, Note, Noted, note};
pub use plan::{Barred, Candidate, Excluded, Exclusion, Facts, Next, NoPlan, Plan, SoFar};
pub use policy::{AttemptPolicy, Failback, GroupPolicy, HealthPolicy, Hedge, Learned, Member, RouteRule, Strategy};
pub use refusal::retry_after;
pub use retries::RetryBudget;
pub use route::{can_place, plan};
pub use shape::{Shape, TargetShape, TrunkFrame, TrunkShape};
pub use sound::outcome;
pub use table::{TargetState, TrunkTable};
