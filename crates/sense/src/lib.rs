//! What happened, as evidence; no opinion.
//!
//! Signals of shards go in, [`model::Evidence`] about each target comes out, and orders to probe. Refuses to know: SIP,
//! sockets, clocks, and what anyone decides by the evidence.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod audio;
mod blame;
mod calls;
mod classify;
mod overload;
mod probe;
mod sensor;
mod streak;
mod test_call;
mod watched;
mod window;

pub use blame::BlamePolicy;
pub use classify::{blame, counts_against};
pub use overload::{OverloadNews, Overloads};
pub use probe::{CodeClass, ProbeOrder, ProbePolicy};
pub use sensor::{Counters, Sensor};
pub use test_call::{NotNow, TestCallOrder, TestCallPace};
