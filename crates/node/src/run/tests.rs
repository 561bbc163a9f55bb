//! Two shards on real loopback sockets, driven over their rings as control does.
#![allow(clippy::expect_used, clippy::panic)]

use super::*;
use crate::net::epoll::{Epoll, Trigger};
use edge::ShardView;
use model::Span;
use std::net::UdpSocket;
use std::time::Duration;

/// Loopback addresses of this process alone, so that tests may run beside others.
fn ip(last: u8) -> String {
    let process = std::process::id();
    format!("127.{}.{}.{last}", process >> 8 & 0x7f | 0x80, process & 0xff)
}

struct Pair {
    ends: Vec<ShardLink>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    waker: Waker,
    epoll: Epoll,
    edge: String,
    trunk: UdpSocket,
}

impl Pair {
    fn start(first: u8) -> Self {
        let (edge, trunk) = (format!("{}:5060", ip(first)), ip(first + 1));
        let config = format!(
            "[edge]\nname = \"test\"\n[listen.lan]\nsip = [\"udp:{edge}\"]\nmedia = \"{}:20000-20999\"\n\
             [trunk.office]\nat = \"sip:{trunk}:5060\"\nlisten = \"lan\"\n[group.pbx]\ntiers = [[\"office\"]]\nalone = true\n",
            ip(first)
        );
        let loaded = load::text("test", &config, None).unwrap_or_else(|refused| panic!("{}", refused.text));
        let settings = Arc::new(loaded.settings);
        let clock = Clock::start();
        let control = Control::new(clock.now(), clock.wall(), settings.clone(), 1, Seq(1));
        let waker = Waker::new().expect("a waker");
        let epoll = Epoll::new(1).expect("epoll");
        epoll.add(&waker, 0, Trigger::Edge).expect("watched");
        let (links, ends) = link(2, &waker).expect("rings");
        let opened = listen::open(&settings, None, 2).expect("sockets");
        let mut threads = Vec::new();
        for (index, (links, sockets)) in links.into_iter().zip(opened).enumerate() {
            let shard = ShardId(index as u8);
            let config = ShardConfig { shard, shards: 2, node: 0, key: 7, seed: 7, limits: ShardLimits::default() };
            let manner = Manner { shards: 2, gather: Span::from_millis(1), first_stock: 8, relief: || {} };
            let thread = ShardThread::new(config, manner, clock, control.snapshot().clone(), links, sockets);
            threads.push(start(index, thread.expect("a shard"), &waker).expect("a thread"));
        }
        let trunk = UdpSocket::bind((trunk, 5060)).expect("the trunk's socket");
        trunk.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        Self { ends, threads, waker, epoll, edge, trunk }
    }

    fn order(&mut self, order: impl Fn() -> Order) {
        for end in &mut self.ends {
            end.orders.send(order()).expect("room");
        }
    }

    /// Waits until each shard has given a report that `wanted` picks.
    fn each_reports<T>(&mut self, wanted: impl Fn(Report) -> Option<T>) -> Vec<T> {
        let mut found: Vec<Option<T>> = self.ends.iter().map(|_| None).collect();
        while found.iter().any(Option::is_none) {
            self.waker.awake();
            for (end, found) in self.ends.iter_mut().zip(&mut found) {
                while found.is_none() {
                    let Some(report) = end.reports.next() else { break };
                    *found = wanted(report);
                }
            }
            if found.iter().any(Option::is_none) {
                assert_eq!(self.epoll.wait(5_000).expect("a wait"), 1, "a shard does not report");
            }
        }
        found.into_iter().flatten().collect()
    }

    fn views(&mut self) -> Vec<ShardView> {
        self.order(|| Order::Look { ticket: 1, call: None, after: None, most: 1_000 });
        self.each_reports(|report| match report {
            Report::View { view, .. } => Some(*view),
            _ => None,
        })
    }

    fn end(mut self) {
        self.order(|| Order::End);
        for thread in self.threads {
            thread.join().expect("no panic").expect("no error");
        }
        assert!(self.ends.iter_mut().all(|end| {
            while end.reports.next().is_some() {}
            end.reports.ended()
        }));
    }
}

fn count(views: &[ShardView], name: &str) -> Vec<u64> {
    let of = |view: &ShardView| view.counters.iter().find(|(known, _)| known == name).map(|(_, count)| *count);
    views.iter().map(|view| of(view).unwrap_or_else(|| panic!("{name} is not counted"))).collect()
}

fn options(edge: &str, trunk: &str, number: u32) -> Vec<u8> {
    format!(
        "OPTIONS sip:{edge} SIP/2.0\r\nVia: SIP/2.0/UDP {trunk};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:office@{trunk}>;tag=1\r\nTo: <sip:{edge}>\r\nCall-ID: call-{number}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// One peer's datagrams all reach one shard's socket; those of the other's calls go one hop, and every answer comes back
/// from the address that was asked.
#[test]
fn every_request_is_answered_whichever_shard_it_belongs_to() {
    let mut pair = Pair::start(10);
    let ready = pair.each_reports(|report| match report {
        Report::Ready { pairs, .. } => Some(pairs),
        _ => None,
    });
    assert!(ready.iter().all(|pairs| *pairs >= 8), "the first stock of both: {ready:?}");
    let trunk = pair.trunk.local_addr().expect("an address").to_string();
    let mut answered = std::collections::BTreeSet::new();
    let mut buffer = [0; 2_048];
    // A few at a time: two hundred answers at once would not fit the test's own receive buffer.
    for first in (0..200).step_by(20) {
        for number in first..first + 20 {
            pair.trunk.send_to(&options(&pair.edge, &trunk, number), &pair.edge).expect("sent");
        }
        for _ in 0..20 {
            let (length, from) = pair.trunk.recv_from(&mut buffer).expect("an answer");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert_eq!(from.to_string(), pair.edge);
            assert!(text.starts_with("SIP/2.0 200"), "{text}");
            let call = text.lines().find_map(|line| line.strip_prefix("Call-ID: ")).expect("a Call-ID").to_owned();
            assert!(answered.insert(call), "each is answered once");
        }
    }
    let views = pair.views();
    let hops: u64 = count(&views, "node_hops").iter().sum();
    assert!((60..140).contains(&hops), "about half belong to the other shard: {hops}");
    assert!(count(&views, "options_answered").iter().all(|answers| *answers >= 60), "both have worked");
    assert_eq!(count(&views, "node_datagrams_in").iter().sum::<u64>(), 200);
    pair.order(|| Order::Drain);
    pair.each_reports(|report| matches!(report, Report::Idle).then_some(()));
    pair.end();
}
