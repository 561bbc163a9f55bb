//! Words for a drill: who breaks what, for whom, and how it went.

use super::outcome::count;
use alloc::format;
use alloc::string::String;
use model::{DrillFault, Span};

/// It begins.
pub(super) fn begun(trunks: &str, all_calls: bool, limit: Span) -> String {
    let whose = if all_calls { "for every call" } else { "for its own calls only" };
    format!("it may break {trunks}, {whose}, for {limit} at most")
}

/// A trunk is broken.
pub(super) fn broken(fault: DrillFault, all_calls: bool) -> String {
    let whose = if all_calls { "for every call" } else { "for its own calls" };
    format!("{whose}, {}", meaning(fault))
}

/// It is over.
pub(super) fn ended(why: &str, passed: u32, failed: u32) -> String {
    if passed == 0 && failed == 0 {
        return String::from(why);
    }
    let lines = count(passed.saturating_add(failed), "line", "lines");
    format!("{why}; {passed} of {lines} passed")
}

/// What a fault is like.
fn meaning(fault: DrillFault) -> String {
    let words = match fault {
        DrillFault::Dns => "its names lead nowhere",
        DrillFault::Refuse => "nobody listens there",
        DrillFault::Silent => "it answers nothing",
        DrillFault::Code(code) => return format!("it refuses with {code}"),
        DrillFault::Stall => "it says 100 and nothing after",
        DrillFault::Grey => "it answers OPTIONS and refuses calls with 500",
        DrillFault::RtpFrom => "no audio comes from it",
        DrillFault::RtpTo => "no audio arrives there",
    };
    String::from(words)
}
