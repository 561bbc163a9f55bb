//! The node: threads, sockets, clock and signals around the edge, which knows none of them.
//!
//! One thread for each shard, one for all connections, one for control (the one that called [`run`]), one for the journal, one for HTTP, one
//! for lookups. Between them bounded rings. Refuses to know: SIP, policy, records; it carries inputs in and outputs out.

mod access;
pub mod clock;
mod control;
mod counters;
mod deep;
mod dns;
pub mod dtls;
mod g729;
mod hep;
mod http;
pub mod lab;
mod listen;
mod load;
mod looks;
mod net;
mod options;
mod outbox;
mod pace;
mod posts;
mod ring;
mod run;
mod shard;
mod sockets;
mod stock;
mod streams;
mod supervisor;

pub use deep::facts;
pub use edge::config::LogForm;
pub use listen::ListenFault;
pub use load::{Refused, files};
pub use options::{Fatal, Options};
pub use run::run;
pub use store::{Reader as JournalReader, StoreError};
pub use supervisor::Supervision;
