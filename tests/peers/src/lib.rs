//! What the matrix of foreign peers needs: Asterisk of a tree of its own, phones, proxies, and recordings judged by the tone in them.
//!
//! `make interop` installs the peers and runs all of it; what phones and proxies of a stable release can show is in `make test` too.
//! Refuses to know: what the edge does.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod asterisk;
pub mod baresip;
pub mod browser;
pub mod devtools;
pub mod homer;
pub mod kamailio;
pub mod matrix;
pub mod page;
pub mod party;
pub mod pressed;
pub mod recording;
pub mod rotel;
pub mod site;
pub mod spoken;
pub mod tshark;
pub mod way;
pub mod wire;

/// Tones that the peers play to each other; each has one of its own.
pub const TONES: [u16; 5] = [440, 620, 850, 1_000, 1_300];

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What a peer has printed, in its folder.
pub(crate) const OUT: &str = "out";

/// Starts a peer that reads nothing, and prints into its folder.
pub(crate) fn begin(command: &mut Command, folder: &Path) -> Child {
    let out = std::fs::File::create(folder.join(OUT)).expect("a file for its output");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::from(out.try_clone().expect("a second handle")))
        .stderr(Stdio::from(out))
        .spawn()
        .expect("the peer runs; `make test` and `make interop` install theirs")
}

/// Asks a peer to end, gives it a moment, and then makes it.
pub(crate) fn end(process: &mut Child) {
    if process.try_wait().is_ok_and(|status| status.is_some()) {
        return;
    }
    // SAFETY: kill takes no pointers; the process is our child and not yet waited for.
    unsafe { libc::kill(process.id() as libc::pid_t, libc::SIGTERM) };
    let limit = std::time::Duration::from_secs(5);
    if !interop::became_true(limit, || process.try_wait().is_ok_and(|status| status.is_some())) {
        // It has not heard.
        let _gone = process.kill();
        let _waited = process.wait();
    }
}

/// A folder for one peer of one test.
pub(crate) fn folder(kind: &str, name: &str) -> std::path::PathBuf {
    let unique = format!("{kind}-{}-{:?}-{name}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(unique);
    let _left_over = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for a peer");
    folder
}
