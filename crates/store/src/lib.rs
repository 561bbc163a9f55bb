//! The journal on disk: every record the edge makes, and the CDRs cut from calls, in one embedded SQLite file.
//!
//! One thread owns the writing connection and commits in groups, so that the disk is never on the path of a call: when it
//! cannot keep up, records are dropped and counted, calls are not. Readers have a connection of their own. After a kill
//! of the process the last 50 ms may be missing; after a power cut, what the system had not yet written, and the file is
//! whole in both cases. Refuses to know: why records are made, who asks.

mod binding;
mod export;
mod journal;
mod peak;
mod place;
mod reader;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub use binding::BindingRow;
pub use place::{Place, StoreError};
pub use reader::{CallRow, Reader};
pub use writer::{Counters, Dropped, Limits, Lost, Store};
