//! A hostile Internet: twenty thousand messages a second from strangers while a hundred calls a second are placed. Every call succeeds, and
//! memory does not grow.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::flood::Flood;
use interop::sipp::Sipp;
use interop::{became_true, http, namespace, wait_until};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const EDGE: &str = "127.0.0.10:5060";
/// Messages a second.
const RATE: u64 = 20_000;
/// Calls of one round, and how many a second.
const CALLS: (u32, u32) = (2_000, 100);
/// What the guard's table, some thousand refused transactions, the calls' own and the rings may take: 19 to 26 MB where it was measured. A hundred bytes
/// kept for each message of the flood would be seen; a transaction for each would take ten times as much.
const GROWTH_KB: u64 = 40_960;

/// A request of a stranger, as his kind sends it.
fn request(method: &str, call_id: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} sip:100@127.0.0.10 SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.0.1:5060;rport;branch=z9hG4bK{call_id}\r\n\
         From: \"sip\" <sip:100@1.1.1.1>;tag=1\r\nTo: \"sip\" <sip:100@1.1.1.1>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:100@127.9.0.1:5060>\r\nMax-Forwards: 70\r\n{extra}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// What comes: scans, garbage, guesses, and requests that nothing is wrong with but their sender.
fn kinds() -> Vec<Vec<u8>> {
    let mut kinds = vec![
        request("OPTIONS", "scan", "User-Agent: friendly-scanner\r\n"),
        request("REGISTER", "guess", "User-Agent: pplsip\r\nAuthorization: Digest username=\"100\", realm=\"x\"\r\n"),
        (0..200).map(|byte| (byte * 37 % 256) as u8).collect(),
        b"INVITE sip:100@127.0.0.10 SIP/2.0\r\nVia: broken".to_vec(),
        request("INVITE", "nothing-in-it", "").iter().copied().take(150).collect(),
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.10;branch=z9hG4bKguess\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
          Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
            .to_vec(),
    ];
    let plain = (0..26).map(|n| request(["INVITE", "OPTIONS", "BYE"][n % 3], &format!("plain{n}"), ""));
    kinds.extend(plain);
    kinds
}

/// Datagrams that the kernel has dropped for want of room in a socket of this port, in this namespace.
fn kernel_drops() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/udp").unwrap_or_default();
    let edge = table.lines().filter(|line| line.contains(":13C4 ") && line.contains("0A00007F"));
    edge.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
}

fn place(edge: &Edge, rate: u32) {
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", EDGE, "+4722334455", CALLS.0, rate);
    let good = caller.finished(Duration::from_secs(180));
    let (succeeded, failed) = caller.counts();
    println!("{succeeded} calls succeeded, {failed} failed; {} kB", edge.memory_kb());
    assert!(good && failed == 0 && succeeded == u64::from(CALLS.0), "{succeeded} and {failed}: {}", caller.errors());
}

/// One flood at a time: the machine is to be busy with this one. What is left to happen after it only waits.
static ALONE: Mutex<()> = Mutex::new(());

/// The addresses change their kind from batch to batch, so nearly all are shut out at once.
#[test]
fn calls_go_on_in_a_flood_and_memory_is_bounded() {
    hold_out("");
}

/// With shut-outs that last a second all of them are scanned anew, so that all the guard does is done again and again.
#[test]
fn calls_go_on_in_a_flood_of_strangers_who_are_soon_let_in_again() {
    hold_out("[guard]\nban = \"1s\"\nlongest = \"1s\"\nscanners = [\"friendly-scanner\"]\n");
}

fn hold_out(guard: &str) {
    namespace::enter();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(&format!("{CONFIG}{guard}"));
    // Rings and caches are filled once.
    place(&edge, 4 * CALLS.1);
    let before = edge.memory_kb();
    let flood = Flood::start(EDGE.parse().expect("an address"), RATE, kinds());
    place(&edge, CALLS.1);
    let (offered, lasted) = (flood.offered(), flood.lasted());
    let rate = offered as f64 / lasted.as_secs_f64();
    println!("{offered} messages offered in {lasted:?}: {rate:.0} a second; the kernel dropped {}", kernel_drops());
    // The calls take twenty seconds: so many were to come meanwhile, and on a machine that is busy they may come later.
    let wanted = RATE * u64::from(CALLS.0 / CALLS.1);
    assert!(became_true(Duration::from_secs(60), || flood.offered() >= wanted), "{} offered", flood.offered());
    let during = edge.memory_kb();
    drop(flood);
    println!("{before} kB before, {during} kB in the flood");
    assert!(during <= before + GROWTH_KB, "{before} kB before, {during} kB in the flood");

    let counted = |name: &str| http::metric(&format!("throughline_{name}"));
    let kept_out: f64 = ["guard_banned", "guard_scanners", "guard_garbage", "guard_unanswered", "guard_too_many"]
        .map(counted)
        .iter()
        .sum();
    println!("{kept_out} kept out, {} of them shut out", counted("guard_banned"));
    assert!(kept_out >= wanted as f64 / 2.0, "the guard saw {kept_out} of {wanted}");
    assert!(counted("guard_shut_out") >= 64.0, "every address was shut out once");
    assert!(edge.log().contains("is shut out for"), "and the operator was told: {}", edge.log());
    drop(alone);
    wait_until("strangers' transactions end", Duration::from_secs(90), || edge.held().1 <= 8.0);
}
