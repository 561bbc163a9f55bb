//! Asterisk as PBX and as both carriers, the built edge between: each kind of call that Asterisk can make, judged by the tones heard.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::{namespace, wait_until};
use peers::asterisk::{ANSWERS, Asterisk, Setup};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const LAN: &str = "127.0.0.10:5060";
const WAN: &str = "127.0.0.11:5060";
const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;
/// What the other side must have heard of three seconds of a tone.
const ENOUGH_MS: u32 = 1_500;

fn setup<'a>(name: &'a str, ip: &'a str, tone: u16, inbound: &'a str) -> Setup<'a> {
    let edge = if name == "office" { LAN } else { WAN };
    Setup { name, ip, edge, transport: "udp", files: "", tone, endpoint: "", sections: "", inbound }
}

fn office(inbound: &str) -> Asterisk {
    Asterisk::start(&setup("office", "127.0.0.20", OFFICE_HZ, inbound))
}

fn acme(inbound: &str) -> Asterisk {
    Asterisk::start(&setup("acme", "127.0.0.31", ACME_HZ, inbound))
}

fn globex(inbound: &str) -> Asterisk {
    Asterisk::start(&setup("globex", "127.0.0.32", GLOBEX_HZ, inbound))
}

/// Each of the two has heard the other's tone, and nothing of the third's.
fn hear_each_other(caller: (&Asterisk, u16), callee: (&Asterisk, u16)) {
    caller.0.rests();
    callee.0.rests();
    for (listener, hz) in [(caller.0, callee.1), (callee.0, caller.1)] {
        assert!(listener.heard_of(hz) >= ENOUGH_MS, "{hz} Hz: {:?}", listener.heard());
    }
}

#[test]
fn pbx_and_carrier_call_each_other() {
    namespace::enter();
    let (office, acme, _globex) = (office(ANSWERS), acme(ANSWERS), globex(ANSWERS));
    let _edge = Edge::start(CONFIG);
    office.call("+4722334455", "talk");
    wait_until("the carrier hears it", LIMIT, || acme.heard_of(OFFICE_HZ) > 0);
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    let before = office.heard_of(ACME_HZ);
    acme.call("+4799887766", "talk");
    wait_until("the PBX hears it", LIMIT, || office.heard_of(ACME_HZ) > before);
    hear_each_other((&acme, ACME_HZ), (&office, OFFICE_HZ));
}

#[test]
fn a_carrier_that_refuses_or_is_gone_costs_no_call() {
    namespace::enter();
    let (office, acme) = (office(ANSWERS), acme("exten => _[+0-9]!,1,Congestion()\n"));
    let globex = globex(ANSWERS);
    let _edge = Edge::start(CONFIG);
    office.call("+4722334455", "talk");
    wait_until("the second carrier hears it", LIMIT, || globex.heard_of(OFFICE_HZ) > 0);
    hear_each_other((&office, OFFICE_HZ), (&globex, GLOBEX_HZ));
    drop(acme);
    let before = globex.heard_of(OFFICE_HZ);
    office.call("+4722334455", "talk");
    wait_until("the second carrier hears the next one", LIMIT, || globex.heard_of(OFFICE_HZ) > before);
    hear_each_other((&office, OFFICE_HZ), (&globex, GLOBEX_HZ));
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
    wait_until("the edge rests", LIMIT, || edge.held().0 == 0.0 && edge.held().2 == 0.0);
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
    wait_until("the call goes on", LIMIT, || acme.heard_of(OFFICE_HZ) >= ENOUGH_MS / 2);
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
    let with = |name, ip, tone| Setup { endpoint: timers, ..setup(name, ip, tone, ANSWERS) };
    let office = Asterisk::start(&with("office", "127.0.0.20", OFFICE_HZ));
    let acme = Asterisk::start(&with("acme", "127.0.0.31", ACME_HZ));
    let _globex = globex(ANSWERS);
    let _edge = Edge::start(CONFIG);
    office.call("+4722334455", "talk");
    wait_until("the carrier hears it", LIMIT, || acme.heard_of(OFFICE_HZ) > 0);
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
}
