//! One shard's thread turned by hand, with a control that does not empty its ring.
#![allow(clippy::expect_used, clippy::panic)]

use super::*;
use crate::load;
use crate::net::wake::Waker;
use crate::ring::{Receiver, ring};
use edge::{Control, ShardLimits};
use model::Seq;

/// A listen without media, so that nothing is opened before the shard is ready.
const CONFIG: &str = "[listen.lan]\nsip = [\"udp:192.0.2.1:5060\"]\n\
    [trunk.office]\nat = \"sip:192.0.2.31:5060\"\nlisten = \"lan\"\n[group.pbx]\ntiers = [[\"office\"]]\nalone = true\n";

/// A shard without sockets whose ring to control holds one report.
fn shard(control: &Waker) -> (ShardThread, Sender<Order>, Receiver<Report>) {
    let loaded = load::text("test", CONFIG, None).unwrap_or_else(|refused| panic!("{}", refused.text));
    let clock = Clock::start();
    let snapshot = Control::new(clock.now(), clock.wall(), Arc::new(loaded.settings), 1, Seq(1)).snapshot().clone();
    let waker = Waker::new().expect("a waker");
    let (orders_in, orders) = ring(4, &waker);
    let (reports, reports_out) = ring(1, control);
    let links = Links { waker, orders, reports, hops_in: Vec::new(), hops_out: vec![None], streams: None };
    let config = ShardConfig { shard: ShardId(0), shards: 1, node: 0, key: 7, seed: 7, limits: ShardLimits::default() };
    let manner = Manner { shards: 1, gather: Span::from_millis(1), first_stock: 8, relief: || {} };
    let thread = ShardThread::new(config, manner, clock, snapshot, links, Vec::new()).expect("a shard");
    (thread, orders_in, reports_out)
}

/// A turn that need not wait.
fn turn(thread: &mut ShardThread) {
    thread.links.waker.wake();
    assert!(thread.turn().expect("a turn"), "nobody told it to end");
}

#[test]
fn what_control_waits_for_is_reported_as_soon_as_the_ring_has_room() {
    let control = Waker::new().expect("a waker");
    let (mut thread, mut orders, mut reports) = shard(&control);
    thread.report(Report::Idle);
    let soon = 0..=i32::try_from(AGAIN.as_micros() / 1_000).expect("few");
    turn(&mut thread);
    assert!(soon.contains(&thread.patience()), "tried again soon: {}", thread.patience());
    assert!(matches!(reports.next(), Some(Report::Idle)), "the one that filled the ring");
    turn(&mut thread);
    assert!(thread.patience() > *soon.end(), "nothing is owed: {}", thread.patience());
    orders.send(Order::Drain).expect("room");
    turn(&mut thread);
    assert!(soon.contains(&thread.patience()), "tried again soon: {}", thread.patience());
    assert!(matches!(reports.next(), Some(Report::Ready { .. })));
    turn(&mut thread);
    assert!(matches!(reports.next(), Some(Report::Idle)), "no call is left");
    turn(&mut thread);
    assert!(reports.next().is_none(), "each is reported once");
    assert_eq!(thread.links.reports.refused(), 0, "what is only late is not lost");
}
