//! Digest authentication: RFC 7616, RFC 2617, RFC 8760, as RFC 3261 §22 uses it.
//!
//! One file per side. Refuses to know: whose secrets these are, and when a request is repeated.

mod asker;
mod client;
mod server;

pub use asker::Asker;
pub use client::{Credentials, Session, Signed, Unanswerable, is_stale, nonce_in};
pub use server::{Algorithm, Authenticator, Realm, Secret, Verdict};
