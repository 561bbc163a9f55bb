//! Packets of a file as tshark reads them: another program's word on what the edge writes and counts.
//!
//! Refuses to know: what is expected of them.

use std::path::Path;
use std::process::Command;

/// What tshark prints about the file, where packets at a port of UDP are of this protocol (`udp.port==5061,sip`).
///
/// # Panics
/// When there is no tshark.
pub fn tshark(file: &Path, decode: &str, options: &[&str]) -> String {
    let out = Command::new("tshark")
        .args(["-n", "-d", decode])
        .args(options)
        .arg("-r")
        .arg(file)
        .output()
        .expect("tshark runs; scripts/install-interop installs it");
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{told}{}", String::from_utf8_lossy(&out.stderr));
    told
}

/// These fields of each packet, one packet a line.
///
/// # Panics
/// When there is no tshark.
pub fn fields(file: &Path, decode: &str, separator: char, options: &[&str], fields: &[&str]) -> String {
    let separator = format!("separator={separator}");
    let mut all = [&["-T", "fields", "-E", separator.as_str()], options].concat();
    all.extend(fields.iter().flat_map(|field| ["-e", field]));
    tshark(file, decode, &all)
}
