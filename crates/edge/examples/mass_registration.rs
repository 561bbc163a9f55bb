//! Figures of a mass return: how long a hundred thousand phones take, what the shards need for it, and what a phone costs to keep.
//!
//! `cargo run --release -p edge --example mass_registration [PHONES] [SHARDS]`. Time is virtual; the CPU is measured in the shards alone, without
//! the phones' own hashing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::disallowed_methods)]

#[path = "../tests/crowd/mod.rs"]
mod crowd;

use crowd::Crowd;
use model::Span;
use std::sync::OnceLock;
use std::time::Instant;

fn nanoseconds() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Resident memory in bytes, as the kernel has it.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>().expect("a number"));
    let phones = words.next().unwrap_or(100_000);
    let shards = words.next().unwrap_or(2);
    let mut crowd = Crowd::new(phones, 500, shards as u8, "");
    crowd.clock = Some(nanoseconds);
    let before = resident();
    crowd.come(Span::from_secs(5), Span::from_secs(3_600));
    let kept = resident().saturating_sub(before);
    let outcome = &crowd.outcome;
    println!("{phones} phones, 500 behind each address, back within 5 s; {shards} shards, rate 1000/s");
    println!("all registered after            {}", outcome.took);
    println!("REGISTERs sent                  {} ({} of them repeats)", outcome.sent, outcome.repeats);
    println!("told to come again              {}", outcome.put_off);
    println!("challenged                      {}", outcome.challenged);
    println!("registered in the busiest s     {}", outcome.busiest);
    println!("calls beside, begun and ended   {} and {}", outcome.calls.0, outcome.calls.1);
    println!("CPU of all shards               {:.2} s", crowd.spent as f64 / 1e9);
    println!("  per phone registered          {:.1} us", crowd.spent as f64 / 1e3 / phones as f64);
    println!(
        "  of one core during the return {:.1} %",
        crowd.spent as f64 / 1e3 / outcome.took.as_micros() as f64 * 100.0
    );
    println!("memory grown                    {} MiB, phones of this program included", kept >> 20);
    println!("  per phone and shard           {} bytes", kept / phones as u64 / shards as u64);
}
