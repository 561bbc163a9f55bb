//! Words for where the names of a trunk lead.

use crate::record::{Located, LocatedTarget};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use model::Wall;

/// The trunk, each of its names with its addresses, and what it has no more.
pub(super) fn sentence(wall: Wall, located: &Located) -> String {
    let names = located.names.iter().map(|name| {
        let of_name = |target: &&LocatedTarget| target.name.as_ref() == Some(name);
        let addrs: Vec<&str> = located.targets.iter().filter(of_name).map(|target| target.addr.as_str()).collect();
        if addrs.is_empty() { format!("{name} leads nowhere") } else { format!("{name} leads to {}", list(&addrs)) }
    });
    let mut parts: Vec<String> = names.collect();
    let gone: Vec<&str> = located.gone.iter().map(String::as_str).collect();
    if !gone.is_empty() {
        let verb = if gone.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} gone", list(&gone)));
    }
    format!("trunk {} at {wall}: {}", located.trunk, parts.join("; "))
}

/// `a`, `a and b`, `a, b and c`.
fn list(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => String::from(*one),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
