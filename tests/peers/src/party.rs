//! A peer with a voice: it calls through the edge, plays a tone of its own, and tells what it has heard.
//!
//! What most calls of the matrix come to is written here once: two parties hear each other, and nothing is left behind. Refuses to know:
//! what kind of peer a party is.

use crate::matrix::{ENOUGH_MS, FAR, LIMIT, NEAR, attempts, recorded, rests};
use interop::edge::Edge;
use interop::wait_until;

/// Who can be talked to.
pub trait Party {
    /// The tone it plays.
    fn tone(&self) -> u16;

    /// Milliseconds of a tone over all that it has heard.
    fn heard_of(&self, hz: u16) -> u32;

    /// Calls a number through the edge, and talks until somebody hangs up.
    fn calls(&self, number: &str);

    /// Ends the call it has.
    fn hangs_up(&self);

    /// Waits until it has heard so much more of a tone than it has by now.
    fn hears(&self, hz: u16, ms: u32) {
        let before = self.heard_of(hz);
        wait_until(&format!("{hz} Hz is heard for {ms} ms"), LIMIT, || self.heard_of(hz) >= before + ms);
    }
}

/// Each of the two hears the other's tone, from now on.
pub fn hear_each_other(one: &dyn Party, other: &dyn Party) {
    let before = (one.heard_of(other.tone()), other.heard_of(one.tone()));
    wait_until(&format!("{} Hz and {} Hz hear each other", one.tone(), other.tone()), LIMIT, || {
        one.heard_of(other.tone()) >= before.0 + ENOUGH_MS && other.heard_of(one.tone()) >= before.1 + ENOUGH_MS
    });
}

/// One calls the other, they hear each other, and the callee hangs up.
pub fn talk(edge: &Edge, caller: &dyn Party, number: &str, callee: &dyn Party) {
    caller.calls(number);
    hear_each_other(caller, callee);
    callee.hangs_up();
    rests(edge);
}

/// The PBX, or who is in its place, calls the carrier `acme`, and is called by it. No other call has been.
pub fn call_each_other(edge: &Edge, office: &dyn Party, acme: &dyn Party) {
    talk(edge, office, FAR, acme);
    talk(edge, acme, NEAR, office);
    let answered = |trunk: &str| vec![(trunk.to_owned(), "answered".to_owned())];
    let tried: Vec<_> = recorded(2).iter().map(attempts).collect();
    assert_eq!(tried, [answered("acme"), answered("office")]);
}
