//! The B2BUA among user agents of its own making, on a virtual wire by a virtual clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

mod apart;
mod audio;
mod beside;
mod browsers;
mod calls;
mod challenges;
mod deadlines;
mod digits;
mod drilled;
mod early;
mod ends;
mod fraud;
mod glare;
mod hunts;
mod inside;
mod leaving;
mod locks;
mod media;
mod peer;
mod phones;
mod redirects;
mod reliable;
mod rescue;
mod rights;
mod session;
mod shards;
mod strangers;
mod terms;
mod transfers;
mod ways;
mod weather;
mod world;
