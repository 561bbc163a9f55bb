//! Nouns everyone shares: time, ids, trunks' health, outcomes, signals, evidence.
//!
//! No behaviour lives here beyond arithmetic and printing, so that `sense` and `decide` can meet in a value
//! without knowing each other. Refuses to know: protocols, clocks, sockets, files.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod drill;
mod evidence;
mod force;
mod health;
mod id;
mod mos;
mod name;
mod outcome;
mod pace;
mod quality;
mod rng;
mod signal;
mod time;

pub use drill::DrillFault;
pub use evidence::{
    CallEvidence, Evidence, MediaEvidence, ProbeEvidence, RegistrationEvidence, Share, TestCallEvidence,
    TransportEvidence,
};
pub use force::ForceLength;
pub use health::{Admin, Health, Throttle, Wish};
pub use id::{CallRef, Epoch, GroupId, ListenId, RouteId, Seq, ShardId, SocketId, TargetId, TrunkId};
pub use mos::Mos;
pub use name::Name;
pub use outcome::{
    AttemptOutcome, Begun, Blame, MediaOutcome, ProbeResult, RegistrationState, TestCallResult, TransportFault,
};
pub use pace::{Pace, Paces};
pub use quality::Qualities;
pub use rng::Rng;
pub use signal::{Observed, Signal};
pub use time::{Instant, Span, Wall};
