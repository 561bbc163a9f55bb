//! SIP user agents we own: caller, carrier and phone, with tones they play and recognise.
//!
//! They place and take the calls of the lab, the drills, the simulator and the interop tests, over the same sans-IO
//! endpoint as the edge. A pure machine: datagrams and time in, datagrams and reports out. Refuses to know: sockets,
//! clocks, and anything about the edge; to an agent the edge is just its peer.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod agent;
mod behaviour;
mod call;
mod digits;
mod ear;
mod offer;
mod report;
mod reporter;

pub use agent::{Agent, AgentConfig, Dial, Input, Output};
pub use behaviour::{Behaviour, Failing};
pub use call::CallNo;
pub use digits::{DigitWay, KeyPress};
pub use ear::{Spell, Stream};
pub use media::Digit;
pub use media::player::Law;
pub use report::{Heard, Report};
