//! Printing: to standard output what was asked for, to standard error what went wrong.
//!
//! A reader that goes away (`| head`) is no fault.

use std::io::Write as _;

/// Why a command ends with exit code 1, told to people.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// To standard output, with a line end.
pub(crate) fn say(text: &str) {
    let _reader_gone = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
}

/// The same, for one line of many: whether somebody still reads.
pub(crate) fn tell(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// To standard error, with a line end.
pub(crate) fn complain(text: &str) {
    let _reader_gone = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}
