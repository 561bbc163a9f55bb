//! A network namespace for one test: entered by the test's thread, inherited by all it starts, gone when they are.

use std::process::Command;

/// Enters a new network namespace with nothing but a loopback interface in it.
///
/// Threads and processes started afterwards live in it too.
pub fn enter() {
    // SAFETY: unshare takes no pointers; it moves only the calling thread.
    let status = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(status, 0, "a network namespace needs root: {}", std::io::Error::last_os_error());
    run("ip", &["link", "set", "lo", "up"]);
    for n in [10, 11, 20, 31, 32] {
        run("ip", &["-6", "addr", "add", &format!("fd00::{n}/128"), "dev", "lo", "nodad"]);
    }
}

/// Gives it one more address, for those to whom 127.0.0.0/8 is no network.
pub fn has_address(ip: &str) {
    run("ip", &["addr", "add", ip, "dev", "lo"]);
}

/// Drops every packet of SIP to and from this address, by whatever transport, silently: connections stay half open.
pub fn black_hole(ip: &str) {
    let sip = "meta l4proto { tcp, udp } th";
    let rules = format!(
        "table inet test {{\n chain in {{\n  type filter hook input priority 0;\n  ip daddr {ip} {sip} dport {{ 5060, 5061 }} drop\n  \
         ip saddr {ip} {sip} sport {{ 5060, 5061 }} drop\n }}\n}}\n"
    );
    run("nft", &[&rules]);
}

/// One direction of audio between this address and the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What it sends.
    From,
    /// What it is sent.
    To,
}

/// Drops audio and its reports from or to this address, silently; SIP passes.
pub fn mute(ip: &str, ways: &[Way]) {
    let rule = |way: &Way| match way {
        Way::From => format!("  ip saddr {ip} udp sport 20000-65535 drop\n"),
        Way::To => format!("  ip daddr {ip} udp dport 20000-65535 drop\n"),
    };
    let rules: String = ways.iter().map(rule).collect();
    run("nft", &[&format!("table inet mute {{\n chain in {{\n  type filter hook input priority 0;\n{rules} }}\n}}\n")]);
}

/// Drops audio and its reports between these two addresses, silently; SIP passes.
pub fn cut_audio(one: &str, other: &str) {
    let way = |from: &str, to: &str| format!("  ip saddr {from} ip daddr {to} udp dport 20000-65535 drop\n");
    let rules = way(one, other) + &way(other, one);
    run("nft", &[&format!("table inet cut {{\n chain in {{\n  type filter hook input priority 0;\n{rules} }}\n}}\n")]);
}

/// Drops audio and its reports from one address to another, silently; the other way and SIP pass.
pub fn cut_audio_to(from: &str, to: &str) {
    let rule = format!("  ip saddr {from} ip daddr {to} udp dport 20000-65535 drop\n");
    run("nft", &[&format!("table inet cut {{\n chain in {{\n  type filter hook input priority 0;\n{rule} }}\n}}\n")]);
}

/// Drops whatever says that a connection of this address ends, as a firewall does that has forgotten it: the other side learns of
/// the end by what it sends next.
pub fn forget(ip: &str) {
    let rules = format!(
        "table inet test {{\n chain in {{\n  type filter hook input priority 0;\n  ip saddr {ip} tcp flags & fin == fin drop\n }}\n}}\n"
    );
    run("nft", &[&rules]);
}

/// Drops whatever goes by the connections that are open to this address now, as a firewall does that has forgotten them; new ones pass.
pub fn forget_open(ip: &str) {
    let open = Command::new("ss").args(["-Htn", "state", "established", "dst", ip]).output().expect("ss runs");
    let open = String::from_utf8_lossy(&open.stdout).into_owned();
    let ports: Vec<&str> = open.lines().filter_map(|line| line.split_whitespace().nth(2)?.rsplit(':').next()).collect();
    assert!(!ports.is_empty(), "a connection to {ip} is open: {open}");
    let ports = ports.join(", ");
    let rules = format!(
        "table inet test {{\n chain in {{\n  type filter hook input priority 0;\n  ip daddr {ip} tcp sport {{ {ports} }} drop\n  \
         ip saddr {ip} tcp dport {{ {ports} }} drop\n }}\n}}\n"
    );
    run("nft", &[&rules]);
}

/// Ends the black hole.
pub fn heal() {
    run("nft", &["flush", "ruleset"]);
}

/// Cuts every connection of TCP to this port, as if both ends had been told that the other is gone.
pub fn cut(port: u16) {
    run("ss", &["-K", "dport", &format!(":{port}")]);
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
