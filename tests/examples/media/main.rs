//! What relaying media costs: `bench/media [CALLS] [SECONDS]`, or `cargo run --release -p interop --example media -- [CALLS] [SECONDS]`.
//!
//! So many calls of G.711, 20 ms, both ways, are relayed by the built edge on one processor, by each path it has, and by rtpengine in user
//! space where that is installed; load and relay have a processor each. Needs root, for network namespaces.
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod calls;
mod load;
mod machine;
mod rtpengine;

use interop::namespace;
use load::{Load, Row};
use std::process::Child;
use std::time::Duration;

/// Where the load runs, and where the relay.
const LOAD_AT: usize = 0;
const RELAY_AT: usize = 1;

/// Who relays.
#[derive(Clone, Copy)]
enum Relay {
    Edge(&'static str),
    Rtpengine,
}

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>().expect("a number"));
    let calls = words.next().unwrap_or(1_000);
    let window = Duration::from_secs(words.next().unwrap_or(10) as u64);
    let mut relays = vec![Relay::Edge("portable"), Relay::Edge("io-uring")];
    if rtpengine::is_installed() {
        relays.push(Relay::Rtpengine);
    }
    println!("{calls} calls, {} packets a second, {} s\n", calls * 100, window.as_secs());
    println!(
        "| relay | packets | CPU a packet | share of the processor | lost | delay p50 | p99 | p99.9 | disturbed | held up |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut good = true;
    for relay in relays {
        let row = measured(relay, calls, window);
        let name = match relay {
            Relay::Edge(path) => format!("edge, {path}"),
            Relay::Rtpengine => "rtpengine, user space".to_owned(),
        };
        println!("| {name} | {row} |");
        good &= matches!(relay, Relay::Rtpengine) || row.is_good();
    }
    println!(
        "\n*Disturbed*: processors that others kept busy meanwhile; beyond 0.1 the figures are worse than the relay is. \
         *Held up*: the part of the time for which the load, alone on its processor, was stopped by the machine for more than a millisecond \
         at once; the relay's was hardly better off, and what it is late by then is not its own."
    );
    if !good {
        println!("The mark is missed: less than 0.1 % lost and p99 within 2 ms.");
        std::process::exit(1);
    }
}

fn measured(relay: Relay, calls: usize, window: Duration) -> Row {
    namespace::enter();
    machine::pin(LOAD_AT);
    let load = Load::open();
    let mut process;
    let ways = match relay {
        Relay::Edge(path) => {
            process = calls::start_edge(path);
            calls::establish(calls)
        }
        Relay::Rtpengine => {
            process = rtpengine::start();
            rtpengine::sessions(calls)
        }
    };
    let row = load.run(&ways, window, process.id());
    end(&mut process);
    row
}

/// Ends a process that we have started.
fn end(process: &mut Child) {
    // Ended already is as good.
    let _gone = process.kill();
    let _waited = process.wait();
}
