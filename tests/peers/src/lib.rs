//! What the matrix of foreign peers needs: Asterisk of a tree of its own, and recordings judged by the tone in them.
//!
//! `make interop` installs the peers and runs it; the quick tests do without. Refuses to know: what the edge does.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod asterisk;
pub mod recording;
