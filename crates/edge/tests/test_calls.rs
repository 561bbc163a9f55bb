//! Test calls and the limits of their trunk, asked of one shard.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use edge::config::compile;
use edge::{Control, Input, NoVerdict, Output, Shard, ShardConfig, ShardLimits};
use model::{Instant, Seq, ShardId, SocketId, Span, TargetId, TransportFault, TrunkId, Wall};
use sense::TestCallOrder;
use std::sync::Arc;

const ACME: TargetId = TargetId { trunk: TrunkId(1), index: 0 };

/// Shard 1 of `shards` of an edge whose acme has these limits.
fn shard(shards: u8, limits: &str) -> Shard {
    shard_with(shards, limits, "", "")
}

/// The same with more lines of the listen and of acme.
fn shard_with(shards: u8, limits: &str, listen: &str, acme: &str) -> Shard {
    let text = format!(
        r#"
[listen.wan]
sip = ["udp:192.0.2.10:5060"]
{listen}
[trunk.office]
at = ["sip:192.0.2.20:5060"]
listen = "wan"
[trunk.acme]
at = ["sip:192.0.2.31:5060"]
listen = "wan"
limits = {limits}
{acme}
test_call = {{ number = "+4721000000", tone = false }}
[group.carriers]
tiers = [["acme"]]
alone = true
[[route]]
from = ["office"]
to = "carriers"
"#
    );
    let compiled = compile(&text, "edge.toml", &|_| None, None);
    let settings = Arc::new(compiled.settings.unwrap_or_else(|| panic!("{:?}", compiled.faults)));
    let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
    let limits = ShardLimits::default();
    let config = ShardConfig { shard: ShardId(1 % shards), shards, node: 1, key: 1, seed: 1, limits };
    Shard::new(&config, control.snapshot().clone())
}

/// Orders one: the INVITEs that leave, and what is told at once.
fn order(shard: &mut Shard, now: Instant, order: u64) -> (Vec<Vec<u8>>, Vec<Option<NoVerdict>>) {
    shard.handle(
        now,
        Input::TestCall(TestCallOrder { order, target: ACME, deadline: Span::from_secs(20), asked: false }),
    );
    drain(shard)
}

fn drain(shard: &mut Shard) -> (Vec<Vec<u8>>, Vec<Option<NoVerdict>>) {
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    while let Some(output) = shard.poll() {
        match output {
            Output::Datagram(transmit) if transmit.bytes.starts_with(b"INVITE ") => sent.push(transmit.bytes),
            Output::Tested(tested) => told.push(tested.outcome.err()),
            _ => {}
        }
    }
    (sent, told)
}

#[test]
fn a_test_call_names_the_trunks_host_and_ours_as_calls_do() {
    let mut shard = shard_with(1, "{ calls = 1 }", "host = \"sbc.example.com\"", "host = \"pstn.example\"");
    let (sent, _) = order(&mut shard, Instant::ZERO, 1);
    let sent = String::from_utf8_lossy(&sent[0]);
    assert!(sent.starts_with("INVITE sip:+4721000000@pstn.example SIP/2.0\r\n"), "{sent}");
    for line in
        ["To: <sip:+4721000000@pstn.example>\r\n", "@sbc.example.com:5060>;tag=", "@sbc.example.com:5060>\r\nAllow"]
    {
        assert!(sent.contains(line), "{line} in {sent}");
    }
}

#[test]
fn a_shard_that_has_no_part_of_a_limit_places_no_test_call() {
    for (limit, placed) in [(3, 1), (2, 0)] {
        let mut shard = shard(3, &format!("{{ calls = {limit} }}"));
        let (sent, told) = order(&mut shard, Instant::ZERO, 1);
        assert_eq!(sent.len(), placed, "limit {limit}");
        assert_eq!(told, vec![Some(NoVerdict::Full); 1 - placed]);
    }
}

#[test]
fn a_test_call_counts_per_second_as_any_call_does() {
    let mut shard = shard(1, "{ cps = 1 }");
    let now = Instant::ZERO + Span::from_secs(10);
    let (sent, _) = order(&mut shard, now, 1);
    let fault = TransportFault::PortUnreachable;
    let peer = "192.0.2.31:5060".parse().unwrap();
    shard.handle(now, Input::Undeliverable { socket: SocketId(0), peer, sent: &sent[0], fault });
    assert_eq!(drain(&mut shard).1, [None], "it is over, and told");
    let (sent, told) = order(&mut shard, now + Span::from_millis(900), 2);
    assert_eq!((sent.len(), told), (0, vec![Some(NoVerdict::Full)]));
    let (sent, _) = order(&mut shard, now + Span::from_millis(1_100), 3);
    assert_eq!(sent.len(), 1);
}
