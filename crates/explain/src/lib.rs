//! Why: numbered records, their English sentences, and what can be read from them.
//!
//! One value, many renderings: journal, store, API and people read the same [`Record`]. Refuses to know: how a
//! record is kept or sent.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod alarm;
mod cdr;
mod counterfactual;
mod group;
mod record;
mod redact;
mod replay;
#[cfg(test)]
mod samples;
mod stream;
mod trace;
mod why;
pub mod words;

pub use alarm::{Alarm, AlarmRecord, Severity, ShutOutCause};
pub use cdr::{Cdr, CdrRow, Heard, Tried, cdr};
pub use group::{ForcedView, GroupView, MemberView, TierView, group_view, trunk_next, why_group};
pub use record::{
    Act, AttemptRecord, CallRecord, Direction, Ending, Entry, Frames, Located, LocatedTarget, MediaRecord, Names,
    Operator, Record, Who,
};
pub use redact::Redacted;
pub use replay::{Replay, replay};
pub use stream::{StreamRecord, ToldSound};
pub use trace::{Attribute, Happened, SpanKind, Trace, TraceSpan, TraceValue, trace};
pub use why::{nothing_yet, why_call, why_trunk};
pub use words::sentence;
