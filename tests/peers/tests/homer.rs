//! What Homer has of a call, as its own capture node writes it down: both legs and every attempt under one correlation.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use peers::homer::{self, Homer, Row};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const OFFICE: &str = "127.0.0.20:5060";
const LIMIT: Duration = Duration::from_secs(60);

/// A leg as it lies in the table: `<` what the edge said to this peer, `>` what the peer said.
fn leg(rows: &[Row], peer: &str) -> Vec<String> {
    let said = |row: &Row| {
        let way = if row.to == peer { "<" } else { ">" };
        (row.from == peer || row.to == peer).then(|| format!("{way} {}", row.method))
    };
    rows.iter().filter_map(said).collect()
}

#[test]
fn homer_has_both_legs_of_a_call_and_the_attempt_that_failed() {
    namespace::enter();
    let homer = Homer::start();
    let _acme = Sipp::server("server_503", "127.0.0.31");
    let _globex = Sipp::server("server", "127.0.0.32");
    let hep = format!("[hep]\nto = \"udp:{}\"\nid = 7\npassword = \"env:HEP\"\n", homer::AT);
    let edge = Edge::start_knowing(&format!("{CONFIG}{hep}"), &[("HEP", "geheim")]);
    let mut caller = Sipp::caller("caller", "127.0.0.20", LAN, "+4722334455", 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    let mut call = String::new();
    wait_until("the call is recorded", LIMIT, || {
        let journal = http::get("/v1/journal?from=1&limit=1000");
        let found = journal["entries"].as_array().and_then(|all| all.iter().find_map(|one| one["record"].get("call")));
        found.map(|found| call = found["call"].as_str().expect("its reference").to_owned()).is_some()
    });
    wait_until("all of it is taken", LIMIT, || homer.taken("BYE") == 4);
    let (rows, others): (Vec<Row>, Vec<Row>) = homer.ended().into_iter().partition(|row| row.correlation == call);
    let wanted = [
        (OFFICE, vec!["> INVITE", "< 100", "< 180", "< 200", "> ACK", "> BYE", "< 200"]),
        ("127.0.0.31:5060", vec!["< INVITE", "> 503", "< ACK"]),
        ("127.0.0.32:5060", vec!["< INVITE", "> 180", "> 200", "< ACK", "< BYE", "> 200"]),
    ];
    for (peer, said) in &wanted {
        assert_eq!(&leg(&rows, peer), said, "{peer}");
    }
    assert_eq!(rows.len(), wanted.iter().map(|(_, said)| said.len()).sum::<usize>(), "{rows:?}");
    assert!(rows.iter().all(|row| row.node.ends_with(":7")), "whose word it is: {rows:?}");
    let legs: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.call_id.as_str()).collect();
    assert_eq!(legs.len(), 3, "each leg has a Call-ID of its own, and only the correlation joins them: {legs:?}");
    assert!(others.iter().all(|row| row.text.contains(" OPTIONS\r\n") && row.correlation == row.call_id), "{others:?}");
}
