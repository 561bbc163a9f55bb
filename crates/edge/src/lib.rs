//! The whole product without the world: one shard's worth of calls, the one decider, and what they say to each other.
//!
//! Everything outside arrives as `Input`, everything leaves as `Output` ([`io`]); so the live node, the simulator and
//! the fuzzer run the same program. Refuses to know: clocks, sockets, threads, files.

mod alarms;
mod call_record;
pub mod config;
mod control;
pub mod deep;
pub mod drill;
mod guard;
mod hearing;
pub mod io;
mod kept;
pub mod names;
mod options;
pub mod post;
mod shadow;
mod shard;
mod steer;
mod test_calls;
mod test_report;
pub mod traces;
mod traffic;
mod view;
pub mod webhook;
mod window;

pub use act::CallPlace;
pub use alarms::Active;
pub use control::{Control, DeskOrder, DeskQuery, DeskTotals, DeskView, GroupTraffic, TrunkLine};
pub use guard::{Door, GuardPolicy, NoSource, Strangers, Whom};
pub use io::{
    Bound, By, Captured, ControlInput, ControlOutput, Input, NoVerdict, Notice, Output, ReloadFault, ServiceRoute,
    Snapshot, TestCallOutcome, Tested, TrunkAct,
};
pub use kept::{KeptBinding, KeptBindings};
pub use names::{DnsSettings, Kind, LookupFault, Question, Reply};
pub use shadow::ShadowPolicy;
pub use shard::{Shard, ShardConfig, ShardLimits};
pub use steer::steer;
pub use view::{
    AttemptView, CallView, GuardedFor, GuardedView, HeardView, HearingView, NameView, RegistrationView, RouteView,
    ShardView, TargetView, TestCallView, TestCallsView, TrunkView,
};
pub use window::{Calendar, Hours};
