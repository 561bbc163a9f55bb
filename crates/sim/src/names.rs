//! Trunks by name in the simulator: the name's answer changes under live calls, the name goes, the name service dies.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::network::Weather;
use crate::town::{CONFIG, Town};
use core::net::{IpAddr, Ipv4Addr};
use edge::names::{Kind, Record};
use explain::Record as Entry;
use model::{Health, Name, Span, TrunkId};
use std::sync::Arc;

const ACME: TrunkId = TrunkId(1);
const HOST: &str = "sbc.acme.example";

fn s(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

/// A town whose acme is at a name that leads to these hosts, by SRV and for 60 s.
fn town(hosts: &[u8]) -> Town {
    town_with("", hosts)
}

fn town_with(dns: &str, hosts: &[u8]) -> Town {
    let text = CONFIG.replace("at = \"sip:10.0.1.31:5060\"", &format!("at = \"sip:{HOST}\""));
    let text = text.replace("at = \"sip:10.0.1.32:5060\"", "at = \"sip:10.0.1.34:5060\"");
    let text = format!("{text}\n[dns]\n{dns}\n");
    let compiled = edge::config::compile(&text, "sim.toml", &|_| None, None);
    let mut town = Town::new(Arc::new(compiled.settings.unwrap()), 2, Weather::CALM, 11);
    lead(&mut town, hosts);
    town
}

fn lead(town: &mut Town, hosts: &[u8]) {
    let srv = |(priority, host): (u16, &u8)| Record::Srv {
        priority,
        weight: 0,
        port: 5060,
        host: Name::from(format!("h{host}.acme.example").as_str()),
    };
    let records = (0..).zip(hosts).map(srv).collect();
    town.zone.set(&format!("_sip._udp.{HOST}"), Kind::Srv, s(60), records);
    for host in [31, 32, 33] {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 1, host));
        town.zone.set(&format!("h{host}.acme.example"), Kind::A, s(60), vec![Record::Address(ip)]);
    }
}

fn run(town: &mut Town, seconds: u64) {
    let until = town.now() + s(seconds);
    town.run_until(until);
}

/// Ten calls a second from the office for so long.
fn load(town: &mut Town, seconds: u64) {
    for _ in 0..seconds * 10 {
        town.dial(0, "+4722000000", s(2), None, false);
        let until = town.now() + Span::from_millis(100);
        town.run_until(until);
    }
}

fn addrs(town: &Town) -> Vec<String> {
    let settings = &town.control().snapshot().settings;
    settings.profiles.trunk(ACME).unwrap().targets.iter().map(|target| target.addr.to_string()).collect()
}

fn alarms(town: &Town) -> Vec<&'static str> {
    town.control().alarms().map(|active| active.alarm.kind()).filter(|kind| *kind == "name_fails").collect()
}

/// All is over: the oracle is content, every call was answered, and the journal alone gives the live table.
fn verdict(mut town: Town, answered: usize) -> Vec<String> {
    run(&mut town, 5);
    let oracle = core::mem::take(&mut town.oracle);
    assert_eq!(oracle.answered(), answered);
    let replayed = explain::replay(&decide::Shape::default(), oracle.entries().iter());
    assert_eq!(replayed, *town.control().snapshot().table, "by the journal alone");
    let told = oracle.entries().iter().filter(|entry| matches!(entry.record, Entry::Located(_)));
    let told = told.map(explain::sentence).collect();
    assert_eq!(oracle.verdict(&[]), []);
    told
}

#[test]
fn a_trunk_without_an_address_is_passed_over_until_its_name_leads_somewhere() {
    let mut town = town(&[]);
    town.zone.dead = true;
    run(&mut town, 30);
    assert_eq!(addrs(&town), Vec::<String>::new());
    assert_eq!(alarms(&town), ["name_fails"]);
    lead(&mut town, &[31]);
    town.zone.dead = false;
    run(&mut town, 60);
    assert_eq!(addrs(&town), ["10.0.1.31:5060"]);
    assert_eq!(alarms(&town), Vec::<&str>::new());
    load(&mut town, 5);
    let told = verdict(town, 50);
    assert_eq!(told.len(), 1);
    assert!(told[0].ends_with("sbc.acme.example leads to 10.0.1.31:5060"), "{}", told[0]);
}

#[test]
fn new_addresses_take_the_calls_within_the_ttl_and_each_keeps_its_own_health() {
    let mut town = town(&[31]);
    run(&mut town, 30);
    load(&mut town, 5);
    let table = |town: &Town| town.control().snapshot().table.clone();
    let health = |town: &Town| table(town).targets(ACME).iter().map(|t| (t.index(), t.health())).collect::<Vec<_>>();
    assert_eq!(health(&town), [(0, Health::Up)]);
    // The carrier moves, in the middle of calls.
    lead(&mut town, &[32, 31]);
    load(&mut town, 62);
    assert_eq!(addrs(&town), ["10.0.1.32:5060", "10.0.1.31:5060"]);
    assert_eq!(health(&town)[1], (0, Health::Up), "its number and its health go with the address");
    lead(&mut town, &[32]);
    load(&mut town, 62);
    assert_eq!(addrs(&town), ["10.0.1.32:5060"]);
    assert_eq!(health(&town), [(1, Health::Up)]);
    let told = verdict(town, 1_290);
    assert_eq!(told.len(), 3);
    assert!(told[2].ends_with("leads to 10.0.1.32:5060; 10.0.1.31:5060 is gone"), "{}", told[2]);
}

#[test]
fn no_call_fails_while_the_name_service_is_dead() {
    let mut town = town(&[31, 32]);
    run(&mut town, 30);
    load(&mut town, 5);
    town.zone.dead = true;
    load(&mut town, 120);
    assert_eq!(addrs(&town), ["10.0.1.31:5060", "10.0.1.32:5060"]);
    assert_eq!(alarms(&town), ["name_fails"], "people hear of it");
    let asked = town.zone.count;
    run(&mut town, 300);
    // Four questions for two hosts and their service, each every 30 to 45 s.
    assert!((16..=56).contains(&(town.zone.count - asked)), "{}", town.zone.count - asked);
    town.zone.dead = false;
    run(&mut town, 60);
    assert_eq!(alarms(&town), Vec::<&str>::new());
    assert_eq!(verdict(town, 1_250).len(), 1);
}

#[test]
fn a_name_that_is_gone_takes_no_trunk_out_before_its_time_is_over() {
    let mut town = town_with("stale = \"10min\"", &[31]);
    run(&mut town, 30);
    lead(&mut town, &[]);
    load(&mut town, 90);
    assert_eq!((addrs(&town), alarms(&town)), (vec!["10.0.1.31:5060".to_owned()], vec!["name_fails"]));
    run(&mut town, 400);
    assert_eq!(addrs(&town).len(), 1, "not yet");
    run(&mut town, 300);
    assert_eq!(addrs(&town), Vec::<String>::new());
    let told = verdict(town, 900);
    assert!(told[1].ends_with("sbc.acme.example leads nowhere; 10.0.1.31:5060 is gone"), "{}", told[1]);
}
