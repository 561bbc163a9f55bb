//! The operator's desk of a large edge: what its answers cost, whether the page stays smooth, and whether calls notice.
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "real peers live in real time")]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, let_pass, namespace, wait_until};
use peers::devtools::Devtools;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const LAN: &str = "127.0.0.10:5060";
const LIMIT: Duration = Duration::from_secs(180);
/// Calls in progress; each lasts for thirty seconds, and so many a second are placed.
const CALLS: f64 = 10_000.0;
const RATE: u32 = 360;
/// What one answer may cost all threads of the edge together.
const ANSWER: Duration = Duration::from_millis(50);
/// Answers of each kind that are measured, and for how long the page is.
const ANSWERS: u32 = 40;
const WATCHED: Duration = Duration::from_secs(20);
/// Requests whose round trip is measured, and the time between them.
const PINGS: u16 = 400;
const PAUSE: Duration = Duration::from_millis(20);

/// All that the page asks for, and a scrape.
const ASKED: [&str; 8] = [
    "/v1/desk?limit=50",
    "/v1/desk?limit=50&order=calls&skip=400",
    "/v1/desk/groups?limit=20",
    "/v1/desk/live?limit=50",
    "/v1/desk/ended?limit=50",
    "/v1/timeline?limit=100",
    "/v1/trunks/far-007",
    "/metrics",
];

/// Two carriers, and five hundred of which nobody answers, in one group. Signalling alone: twenty thousand media ports would be the machine's
/// subject and not the desk's.
fn config() -> String {
    let mut config =
        CONFIG.replace("media = \"127.0.0.10:20000-27999\"\n", "").replace("media = \"127.0.0.11:30000-37999\"\n", "");
    let names: Vec<String> = (0..500).map(|trunk| format!("far-{trunk:03}")).collect();
    for (trunk, name) in names.iter().enumerate() {
        let at = format!("127.0.{}.{}", 1 + trunk / 250, 1 + trunk % 250);
        config += &format!("\n[trunk.{name}]\nat = \"sip:{at}:5060\"\nlisten = \"wan\"\n");
    }
    config
        + &format!(
            "\n[group.region]\ntiers = [{names:?}]\n\n[[route]]\nfrom = [\"globex\"]\nprefixes = [\"+1\"]\nto = \"region\"\n"
        )
}

/// Round trips of OPTIONS, which the shards answer between all else they do: the median, and the one that 99 of 100 do not reach.
fn round_trips() -> (Duration, Duration) {
    let socket = UdpSocket::bind("127.0.0.20:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
    let here = socket.local_addr().expect("an address");
    let mut took = Vec::new();
    for number in 0..PINGS {
        let request = format!(
            "OPTIONS sip:{LAN} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKping{number}-{port}\r\nMax-Forwards: 70\r\n\
             From: <sip:ping@{here}>;tag=p{number}\r\nTo: <sip:{LAN}>\r\nCall-ID: ping{number}-{port}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            port = here.port()
        );
        let sent = Instant::now();
        socket.send_to(request.as_bytes(), LAN).expect("it is sent");
        let mut answer = [0; 4_096];
        let length = socket.recv(&mut answer).expect("an answer");
        took.push(sent.elapsed());
        assert!(answer[..length].starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&answer[..length]));
        let_pass(PAUSE);
    }
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

/// What one answer costs beyond what the edge does anyway, how long it took at most, and its size.
fn answer(edge: &Edge, path: &str, at_rest: f64) -> (Duration, Duration, usize) {
    let (before, begun) = (edge.cpu_exactly(), Instant::now());
    let (mut longest, mut size) = (Duration::ZERO, 0);
    for _ in 0..ANSWERS {
        let asked = Instant::now();
        let (code, body) = http::ask("GET", path).expect("an answer");
        longest = longest.max(asked.elapsed());
        assert_eq!(code, 200, "{path}: {body}");
        size = body.len();
    }
    let own = begun.elapsed().mul_f64(at_rest);
    (edge.cpu_exactly().saturating_sub(before).saturating_sub(own) / ANSWERS, longest, size)
}

#[test]
fn ten_thousand_calls_and_five_hundred_dead_trunks_leave_the_desk_smooth_and_calls_alone() {
    namespace::enter();
    let (_acme, _globex) = (Sipp::server("server", "127.0.0.31"), Sipp::server("server", "127.0.0.32"));
    let edge = Edge::start(&config());
    let begun = Instant::now();
    // All of them at once may be our own fault, so most are held in doubt.
    wait_until("the dead are known", LIMIT, || {
        let trunks = http::get("/v1/desk?limit=1")["trunks"].take();
        trunks["down"].as_u64().zip(trunks["suspect"].as_u64()).is_some_and(|(down, doubt)| down + doubt >= 500)
    });
    println!("five hundred dead trunks are known after {:.1} s", begun.elapsed().as_secs_f64());
    let load = Sipp::caller("caller_long", "127.0.0.20", LAN, "+4722334455", 1_000_000, RATE);
    wait_until("ten thousand calls are up", LIMIT, || edge.held().0 >= CALLS);
    let (alone, alone_99) = round_trips();
    let (before, begun) = (edge.cpu_exactly(), Instant::now());
    let_pass(Duration::from_secs(5));
    let at_rest = edge.cpu_exactly().saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
    println!("calls alone take {:.1} % of a core", at_rest * 100.0);
    for path in ASKED {
        let (cost, longest, size) = answer(&edge, path, at_rest);
        println!(
            "| `{path}` | {} kB | {:.1} ms | {} ms |",
            size / 1_000,
            cost.as_secs_f64() * 1e3,
            longest.as_millis()
        );
        assert!(cost < ANSWER, "{path} costs {cost:?}");
    }
    let mut page = Devtools::start("large");
    page.screen(1_280, 900, false);
    for (view, ready) in [
        ("trunks", "document.querySelectorAll('.card').length === 50"),
        ("groups", "document.querySelectorAll('.tier li').length > 50"),
        ("timeline", "document.querySelectorAll('#entries li').length > 50"),
        ("calls", "document.querySelectorAll('#live tr').length > 20"),
    ] {
        page.open(&format!("http://127.0.0.1:8060/#{view}"));
        page.until(ready);
        page.watch();
        let (worked, begun) = (page.busy(), Instant::now());
        let_pass(WATCHED / 4);
        let share = page.busy().saturating_sub(worked).as_secs_f64() / begun.elapsed().as_secs_f64();
        let [median, most, worst] = page.frames([50, 99, 100]);
        println!("| {view} | {:.1} % of a core | {median:.0} ms | {most:.0} ms | {worst:.0} ms |", share * 100.0);
        assert!(share < 0.25, "the page's thread works for {share} of the time");
    }
    let (beside, beside_99) = round_trips();
    println!("round trip {alone:?}, 99 % {alone_99:?}; with the desk open {beside:?}, 99 % {beside_99:?}");
    assert!(edge.held().0 >= CALLS, "all the while");
    assert_eq!(load.counts().1, 0, "{}", load.errors());
    assert_eq!(http::metric("throughline_orders_lost_total"), 0.0);
    assert_eq!(page.wrong(), Vec::<String>::new());
}
