//! RFC 3261 and friends, sans-IO: bytes in, events out; orders in, bytes out. [`Endpoint`] is the one door.
//!
//! Refuses to know: sockets, clocks, what a call is, which trunk anyone is.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod auth;
pub mod capture;
mod compose;
#[cfg(test)]
mod conformance;
mod dialog;
mod endpoint;
mod message;
mod mint;
mod timers;
#[cfg(test)]
mod torture;
mod transaction;
mod transport;
mod wire;

pub use compose::{Answer, Draft, HeaderLines, phrase};
pub use dialog::reliable::{Arrived, arrived, rack, rack_value};
pub use dialog::session_timer::{Refresher, SHORTEST, SessionPolicy, SessionTimer, TooShort, knows, min_se};
pub use dialog::{Dialog, NoDialog, OutOfOrder};
pub use endpoint::{ClientKey, Counters, Endpoint, Event, Failure, Full, Limits, Rejected, ServerKey};
pub use message::{Header, Malformed, Message};
pub use mint::{Minter, Token, owner};
pub use timers::{TimerId, Timers};
pub use transaction::timers::TimerSet;
pub use transport::{Flow, SentBy, Transmit, Transport, offered_alias, way_back_anew};
pub use wire::{
    BadStream, BadUri, CSeq, Framer, HeaderName, Method, NameAddr, NoProxyHeader, Overload, Params, Piece, ProxyHeader,
    Scan, Uri, Via, scan,
};
