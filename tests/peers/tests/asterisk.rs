//! Asterisk as PBX and as both carriers, the built edge between: each kind of call that Asterisk can make, judged by the tones heard.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::{namespace, wait_until};
use peers::asterisk::{ANSWERS, Asterisk, Setup};
use peers::matrix::{ACME, ENOUGH_MS, FAR, GLOBEX, LAN, LIMIT, OFFICE, WAN, rests};
use peers::party::{Party, call_each_other, talk};

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;

fn office(inbound: &str) -> Asterisk {
    Asterisk::start(&Setup { inbound, ..Setup::plain("office", OFFICE, LAN, OFFICE_HZ) })
}

fn acme(inbound: &str) -> Asterisk {
    Asterisk::start(&Setup { inbound, ..Setup::plain("acme", ACME, WAN, ACME_HZ) })
}

fn globex(inbound: &str) -> Asterisk {
    Asterisk::start(&Setup { inbound, ..Setup::plain("globex", GLOBEX, WAN, GLOBEX_HZ) })
}

#[test]
fn pbx_and_carrier_call_each_other() {
    namespace::enter();
    let (office, acme, globex) = (office(ANSWERS), acme(ANSWERS), globex(ANSWERS));
    let edge = Edge::start(CONFIG);
    call_each_other(&edge, &office, &acme);
    assert!(globex.heard().is_empty(), "{:?}", globex.heard());
}

#[test]
fn a_carrier_that_refuses_or_is_gone_costs_no_call() {
    namespace::enter();
    let (office, acme) = (office(ANSWERS), acme("exten => _[+0-9]!,1,Congestion()\n"));
    let globex = globex(ANSWERS);
    let edge = Edge::start(CONFIG);
    talk(&edge, &office, FAR, &globex);
    drop(acme);
    talk(&edge, &office, FAR, &globex);
}

/// Dials through the edge with this time limit and says in the log what came of it.
const DIALS: &str = "exten => _[+0-9]!,1,Answer()\n same => n,Hangup()\nexten => dial,1,Dial(PJSIP/+4722334455@edge,LIMIT)\n \
    same => n,Log(NOTICE,it came to ${DIALSTATUS} by ${HANGUPCAUSE})\n same => n,Hangup()\n";

fn dials(office: &Asterisk) {
    office.command("channel originate Local/dial@inbound application Wait 20");
}

#[test]
fn a_busy_callee_is_busy_and_nobody_else_is_rung() {
    namespace::enter();
    let office = office(&DIALS.replace("LIMIT", "20"));
    let (_acme, globex) = (acme("exten => _[+0-9]!,1,Busy()\n"), globex(ANSWERS));
    let _edge = Edge::start(CONFIG);
    dials(&office);
    office.says("it came to BUSY by 17");
    office.rests();
    assert!(globex.heard().is_empty(), "{:?}", globex.heard());
    assert!(!globex.log().contains("Answer"), "{}", globex.log());
}

#[test]
fn a_caller_who_gives_up_leaves_nothing_behind() {
    namespace::enter();
    let office = office(&DIALS.replace("LIMIT", "2"));
    let (acme, _globex) = (acme("exten => _[+0-9]!,1,Ringing()\n same => n,Wait(40)\n"), globex(ANSWERS));
    let edge = Edge::start(CONFIG);
    dials(&office);
    office.says("it came to NOANSWER");
    acme.rests();
    rests(&edge);
}

#[test]
fn early_media_is_heard_before_the_answer() {
    namespace::enter();
    let early = "exten => _[+0-9]!,1,Progress()\n same => n,PlayTones(620)\n same => n,Wait(3)\n same => n,Answer()\n \
                 same => n,Gosub(record,s,1)\n same => n,StopPlayTones()\n same => n,PlayTones(TONE)\n same => n,Wait(30)\n";
    let rings = "exten => _[+0-9]!,1,Answer()\n same => n,Gosub(record,s,1)\n same => n,Dial(PJSIP/+4722334455@edge,20)\n \
                 [stays]\nexten => talk,1,Gosub(record,s,1)\n same => n,PlayTones(TONE)\n same => n,Wait(30)\n";
    let (office, acme, _globex) = (office(rings), acme(early), globex(ANSWERS));
    let _edge = Edge::start(CONFIG);
    // A first leg inside the PBX is where what the far side plays can be recorded before it answers.
    office.command("channel originate Local/+1@inbound/n extension talk@stays");
    wait_until("the call goes on", LIMIT, || acme.heard_of(OFFICE_HZ) >= ENOUGH_MS);
    office.command("channel request hangup all");
    office.rests();
    acme.rests();
    assert!(office.heard_of(620) >= ENOUGH_MS, "{:?}", office.heard());
}

#[test]
fn digits_arrive_each_once_and_in_order() {
    namespace::enter();
    let reads = "exten => _[+0-9]!,1,Answer()\n same => n,Read(digits,,12,,,15)\n same => n,Log(NOTICE,read ${digits})\n same => n,Hangup()\n";
    let sends = "exten => _[+0-9]!,1,Hangup()\n[digits]\nexten => send,1,Wait(1)\n same => n,SendDTMF(0123456789*5)\n same => n,Wait(5)\n";
    let (office, acme, _globex) = (office(sends), acme(reads), globex(ANSWERS));
    let _edge = Edge::start(CONFIG);
    office.command("channel originate PJSIP/+4722334455@edge extension send@digits");
    acme.says("read 0123456789*5");
}

#[test]
fn a_call_of_a_pbx_that_wants_session_timers_lives_on() {
    namespace::enter();
    let timers = "timers=always\ntimers_min_se=90\ntimers_sess_expires=90\n";
    let office = Setup { endpoint: timers, ..Setup::plain("office", OFFICE, LAN, OFFICE_HZ) };
    let acme = Setup { endpoint: timers, ..Setup::plain("acme", ACME, WAN, ACME_HZ) };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme));
    let edge = Edge::start(CONFIG);
    call_each_other(&edge, &office, &acme);
}
