//! The policy under virtual time: calls are events, trunks fail by script, and whole days pass in seconds.
//!
//! The decider is the edge's own ([`edge::Control`], `decide::plan`, `decide::after`); only the SIP between it and the trunks is
//! replaced by laws: how soon a trunk replies, rings, answers, and what an outage does to that. So a million calls fit in seconds,
//! and what is found here is said by the very sentences of a live edge. A [`Peer`] stands in for the edge to show what other
//! products do with the same calls. A run is a function of scenario, policy and seed. Refuses to know: SIP, sockets, files.

mod arrivals;
mod carrier;
mod dice;
mod hunt;
mod kind;
mod mind;
mod outage;
mod peer;
mod read;
mod recorded;
mod report;
mod run;
mod scenario;
mod svg;
mod table;
mod tally;
mod tune;
mod world;

pub use kind::Kind;
pub use outage::{Flap, Outage};
pub use peer::{Mark, Peer};
pub use read::read;
pub use recorded::{Arrival, Happened, Recording};
pub use report::{Decided, Moment, OutageReport, Report};
pub use run::{Policy, run, run_recorded, settings};
pub use scenario::{Arrivals, CallLaw, Redial, Scenario, Surge, TrunkLaw};
pub use svg::svg;
pub use table::{Cells, Row, policies, rows, table};
pub use tally::Spread;
pub use tune::{Choice, Tuned, advice, recommended, tune};
