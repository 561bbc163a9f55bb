//! What Homer has of a call, as its own capture node writes it down: both legs and every attempt under one correlation.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use peers::homer::{self, Homer, Row};
use peers::matrix::{ACME, FAR, GLOBEX, LAN, LIMIT, OFFICE, recorded};
use std::collections::BTreeSet;

/// A leg as it lies in the table: `<` what the edge said to this peer, `>` what the peer said.
fn leg(rows: &[Row], peer: &str) -> Vec<String> {
    let peer = format!("{peer}:5060");
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
    let _acme = Sipp::server("server_503", ACME);
    let _globex = Sipp::server("server", GLOBEX);
    let hep = format!("[hep]\nto = \"udp:{}\"\nid = 7\npassword = \"env:HEP\"\n", homer::AT);
    let edge = Edge::start_knowing(&format!("{CONFIG}{hep}"), &[("HEP", "geheim")]);
    let mut caller = Sipp::caller("caller", OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    let call = recorded(1).remove(0)["call"].as_str().expect("its reference").to_owned();
    wait_until("all of it is taken", LIMIT, || homer.taken("BYE") >= 4);
    // A slow machine repeats.
    let mut once = BTreeSet::new();
    let all = homer.ended().into_iter().filter(|row| once.insert((row.from.clone(), row.text.clone())));
    let (rows, others): (Vec<Row>, Vec<Row>) = all.partition(|row| row.correlation == call);
    let wanted = [
        (OFFICE, vec!["> INVITE", "< 100", "< 180", "< 200", "> ACK", "> BYE", "< 200"]),
        (ACME, vec!["< INVITE", "> 503", "< ACK"]),
        (GLOBEX, vec!["< INVITE", "> 180", "> 200", "< ACK", "< BYE", "> 200"]),
    ];
    for (peer, said) in &wanted {
        assert_eq!(&leg(&rows, peer), said, "{peer}");
    }
    assert_eq!(rows.len(), wanted.iter().map(|(_, said)| said.len()).sum::<usize>(), "{rows:?}");
    assert!(rows.iter().all(|row| row.node.ends_with(":7")), "whose word it is: {rows:?}");
    let legs: BTreeSet<&str> = rows.iter().map(|row| row.call_id.as_str()).collect();
    assert_eq!(legs.len(), 3, "each leg has a Call-ID of its own, and only the correlation joins them: {legs:?}");
    assert!(others.iter().all(|row| row.text.contains(" OPTIONS\r\n") && row.correlation == row.call_id), "{others:?}");
}
