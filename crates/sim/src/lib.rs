//! The edge under virtual time: the same shards and control, agents around them, a network that loses, repeats and
//! reorders, trunks that fail on schedule, and an oracle that checks what must always hold.
//!
//! A run is a function of its seed: failure = seed + commit. Refuses to know: real time, real sockets.

mod air;
mod fault;
pub mod fuzz;
#[cfg(test)]
mod names;
mod network;
mod oracle;
pub mod policy;
mod scenario;
pub mod small_worlds;
#[cfg(test)]
mod test_calls;
mod town;
mod variety;
mod zone;

pub use air::Air;
pub use fault::{Fault, Schedule};
pub use network::{Network, Weather};
pub use oracle::{Broken, Oracle};
pub use scenario::{Outcome, Scenario, run};
pub use town::Town;
