//! baresip as PBX and as carrier: what people do at a phone, judged by the tones heard.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{let_pass, namespace, wait_until};
use peers::baresip::{Baresip, Setup};
use peers::matrix::{ACME, ENOUGH_MS, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, WAN, rests, was_tried};
use peers::party::{Party, call_each_other, hear_each_other};
use peers::wire::Wire;
use std::time::Duration;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;
const INITECH_HZ: u16 = 620;

fn office() -> Baresip {
    Baresip::start(&Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ))
}

fn at(name: &str, ip: &str, tone: u16) -> Baresip {
    Baresip::start(&Setup::plain(name, ip, WAN, FAR, tone))
}

fn acme() -> Baresip {
    at("acme", ACME, ACME_HZ)
}

#[test]
fn phones_call_each_other_both_ways() {
    namespace::enter();
    let (office, acme) = (office(), acme());
    let edge = Edge::start(CONFIG);
    call_each_other(&edge, &office, &acme);
}

/// What the held side is played while it is held: no more than what was on its way.
fn is_silent(wire: &Wire, hz: u16) {
    let_pass(Duration::from_millis(300));
    let before = wire.heard_of(hz);
    let_pass(Duration::from_secs(1));
    let after = wire.heard_of(hz);
    assert!(after <= before + 60, "held, and {hz} Hz is played for another {} ms", after - before);
}

#[test]
fn a_call_is_held_and_resumed_by_either_side() {
    namespace::enter();
    let (office, acme) = (office(), acme());
    let (to_office, to_acme) = (Wire::from("127.0.0.10"), Wire::from("127.0.0.11"));
    let edge = Edge::start(CONFIG);
    office.calls(FAR);
    hear_each_other(&office, &acme);
    for (holder, to_held, hz) in [(&office, &to_acme, OFFICE_HZ), (&acme, &to_office, ACME_HZ)] {
        holder.command("hold", "");
        is_silent(to_held, hz);
        holder.command("resume", "");
        to_office.carries(ACME_HZ, ENOUGH_MS);
        to_acme.carries(OFFICE_HZ, ENOUGH_MS);
    }
    office.hangs_up();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

#[test]
fn digits_arrive_each_once_and_in_order() {
    namespace::enter();
    let (office, acme) = (office(), acme());
    let edge = Edge::start(CONFIG);
    office.calls(FAR);
    hear_each_other(&office, &acme);
    for (sender, receiver, digits) in [(&office, &acme, "4711*"), (&acme, &office, "0#38")] {
        for (index, digit) in digits.char_indices() {
            sender.command("sndcode", &digit.to_string());
            wait_until("the digit arrives", LIMIT, || receiver.digits().len() == index + 1);
        }
        assert_eq!(receiver.digits(), digits);
    }
    office.hangs_up();
    rests(&edge);
}

/// RFC 5589 §6.1: the office's phone sends the carrier's caller on to the other carrier's, and is out of the call.
#[test]
fn a_phone_transfers_its_caller_blindly() {
    namespace::enter();
    let (office, acme) = (office(), acme());
    let globex = at("globex", GLOBEX, GLOBEX_HZ);
    let edge = Edge::start(&CONFIG.replace("tiers = [[\"acme\"], [\"globex\"]]", "tiers = [[\"globex\"], [\"acme\"]]"));
    acme.calls(NEAR);
    hear_each_other(&office, &acme);
    office.command("transfer", &format!("sip:{FAR}@{LAN}"));
    hear_each_other(&acme, &globex);
    office.says("terminated");
    globex.hangs_up();
    rests(&edge);
}

/// The hunt serves a transfer as it serves any call: the first trunk has no circuit, and the party is found by the next.
#[test]
fn a_transfer_whose_first_trunk_fails_goes_by_the_next() {
    namespace::enter();
    let (office, acme) = (office(), acme());
    let _full = Sipp::server("server_503", GLOBEX);
    let initech = at("initech", "127.0.0.33", INITECH_HZ);
    let third = "[trunk.initech]\nat = \"sip:127.0.0.33:5060\"\nlisten = \"wan\"\n\n[group.carriers]";
    let config = CONFIG
        .replace("[group.carriers]", third)
        .replace("tiers = [[\"acme\"], [\"globex\"]]", "tiers = [[\"globex\"], [\"initech\"]]");
    let edge = Edge::start(&config);
    acme.calls(NEAR);
    hear_each_other(&office, &acme);
    office.command("transfer", &format!("sip:{FAR}@{LAN}"));
    hear_each_other(&acme, &initech);
    office.says("terminated");
    initech.hangs_up();
    rests(&edge);
}
