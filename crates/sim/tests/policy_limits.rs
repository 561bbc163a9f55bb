//! What the default policy must reach in the policy table, and where it does not yet, how far it is.
//!
//! A limit that is not reached stands here with today's figure: it may not become worse, and once it is reached the figure goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sim::policy::{Cells, Row, policies, rows};

/// One limit.
struct Expected {
    row: &'static str,
    what: &'static str,
    figure: fn(&Cells) -> u64,
    limit: u64,
    /// The figure where the limit is not reached.
    today: Option<u64>,
}

const NEVER: u64 = u64::MAX;

fn down_ms(cells: &Cells) -> u64 {
    cells.down.map_or(NEVER, |span| span.as_millis())
}

/// The first sign, which is when calls are moved.
fn found_ms(cells: &Cells) -> u64 {
    [cells.suspect, cells.down].into_iter().flatten().min().map_or(NEVER, |span| span.as_millis())
}

const fn changes(cells: &Cells) -> u64 {
    cells.changes as u64
}

const fn false_downs(cells: &Cells) -> u64 {
    cells.false_downs as u64
}

/// One alarm is meant; none is as far from it as two.
const fn alarms_astray(cells: &Cells) -> u64 {
    cells.alarms.abs_diff(1)
}

const EXPECTED: &[Expected] = &[
    Expected { row: "silent, 1 call/s", what: "Down, ms", figure: down_ms, limit: 3_000, today: None },
    Expected { row: "silent, no calls", what: "Down, ms", figure: down_ms, limit: 6_500, today: None },
    Expected { row: "grey, 5 calls/s", what: "found, ms", figure: found_ms, limit: 10_000, today: None },
    Expected {
        row: "grey for 30 % of calls, 5 calls/s",
        what: "found, ms",
        figure: found_ms,
        limit: 60_000,
        today: None,
    },
    Expected { row: "silent 10 s of every 20 s, 5 calls/s", what: "changes", figure: changes, limit: 2, today: None },
    Expected { row: "2 % of packets lost, 2 calls/s", what: "false Down", figure: false_downs, limit: 0, today: None },
    Expected { row: "800 ms slower for 3 s, 5 calls/s", what: "changes", figure: changes, limit: 0, today: None },
    Expected { row: "both silent, 5 calls/s", what: "changes", figure: changes, limit: 0, today: None },
    Expected { row: "both silent, 5 calls/s", what: "alarms off one", figure: alarms_astray, limit: 0, today: None },
    Expected { row: "no audio, 5 calls/s", what: "found, ms", figure: found_ms, limit: 60_000, today: None },
];

/// No caller waits longer than the hunt may last.
const HUNT_MS: u64 = 12_000;

fn ours(row: &Row) -> Cells {
    let policies = policies(&row.scenario).expect("the default policy compiles");
    row.cells(&policies[0].1).expect("it fits its scenario")
}

#[test]
fn the_default_policy_is_within_its_limits_or_as_far_off_as_is_known() {
    let measured: Vec<(&str, Cells)> = rows().iter().map(|row| (row.name, ours(row))).collect();
    let mut wrong = Vec::new();
    for Expected { row, what, figure, limit, today } in EXPECTED {
        let (_, cells) = measured.iter().find(|(name, _)| name == row).unwrap_or_else(|| panic!("no row {row}"));
        let found = figure(cells);
        match today {
            None if found > *limit => wrong.push(format!("{row}: {what} {found} is above {limit}")),
            Some(today) if found > *today => {
                wrong.push(format!("{row}: {what} {found} is worse than {today} (limit {limit})"));
            }
            Some(_) if found <= *limit => {
                wrong.push(format!("{row}: {what} {found} is within {limit}: note it as reached"))
            }
            _ => {}
        }
    }
    for (row, cells) in &measured {
        if cells.worst.as_millis() > HUNT_MS {
            wrong.push(format!("{row}: a caller waited {}", cells.worst));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
