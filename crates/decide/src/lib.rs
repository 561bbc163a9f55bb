//! Opinions: which target is how healthy, which trunk gets the next call, what to do after an attempt.
//!
//! Pure functions over `model` values, and one table that only a [`Decision`] can change. Refuses to know: SIP, SDP,
//! sockets, clocks, and how anything is done.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod decision;
mod plan;
mod policy;

pub use decision::{Cause, Change, Decision, Subject, Veto};
pub use plan::{Candidate, Excluded, Exclusion, Facts, Next, NoPlan, Plan, SoFar};
pub use policy::{AttemptPolicy, Failback, GroupPolicy, HealthPolicy, Member, RouteRule};
