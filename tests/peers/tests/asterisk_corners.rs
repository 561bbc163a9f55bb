//! What Asterisk does in the hard corners, as PBX and as carrier: each is configured so that it must.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{let_pass, namespace, wait_until};
use peers::asterisk::{Asterisk, Setup};
use peers::baresip::{self, Baresip};
use peers::kamailio::{self, ASKS, BEHIND, Kamailio, ONCE, TO_BEHIND, TO_EDGE};
use peers::matrix::{
    ACME, ENOUGH_MS, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, WAN, attempts, recorded, rests, was_tried,
};
use peers::party::{Party, hear_each_other};
use peers::wire::Wire;
use std::time::Duration;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;

fn office() -> Setup<'static> {
    Setup::plain("office", OFFICE, LAN, OFFICE_HZ)
}

fn acme() -> Setup<'static> {
    Setup::plain("acme", ACME, WAN, ACME_HZ)
}

fn globex() -> Setup<'static> {
    Setup::plain("globex", GLOBEX, WAN, GLOBEX_HZ)
}

/// With a further line in the table of this trunk.
fn with(trunk_at: &str, line: &str) -> String {
    with_more(CONFIG, trunk_at, line)
}

fn with_more(config: &str, trunk_at: &str, line: &str) -> String {
    let at = format!("at = \"sip:{trunk_at}:5060\"");
    config.replace(&at, &format!("{at}\n{line}"))
}

/// A carrier that plays before it answers.
const EARLY: &str = "exten => _[+0-9]!,1,Progress()\n same => n,Wait(1)\n same => n,Answer()\n same => n,Gosub(record,s,1)\n \
                     same => n,PlayTones(TONE)\n same => n,Wait(30)\n";

/// RFC 3262 on one side alone: its peer on the other side is told of no reliable response.
fn acknowledged_on_one_side(office: &Setup<'_>, acme: &Setup<'_>, prack_at_office: bool) {
    namespace::enter();
    let (office, acme) = (Asterisk::start(office), Asterisk::start(acme));
    office.traces();
    acme.traces();
    let edge = Edge::start(CONFIG);
    office.call(FAR, "talk");
    hear_each_other(&office, &acme);
    let (with, without) = if prack_at_office { (&office, &acme) } else { (&acme, &office) };
    assert!(with.received("PRACK") + with.sent("PRACK") > 0, "no PRACK");
    assert_eq!(without.received("PRACK") + without.sent("PRACK"), 0, "PRACK on the other side");
    office.rests();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

#[test]
fn a_carrier_alone_requires_100rel() {
    let acme = Setup { endpoint: "100rel=required", inbound: EARLY, ..acme() };
    acknowledged_on_one_side(&Setup { endpoint: "100rel=no", ..office() }, &acme, false);
}

#[test]
fn a_pbx_alone_requires_100rel() {
    let acme = Setup { endpoint: "100rel=no", inbound: EARLY, ..acme() };
    acknowledged_on_one_side(&Setup { endpoint: "100rel=required", ..office() }, &acme, true);
}

/// RFC 4028: two refreshes of the shortest session there is on each leg, by whoever is to do it there, and both sides still hear each other.
fn lives_past_two_refreshes(
    at_office: &str,
    at_acme: &str,
    refreshed: impl Fn(&Asterisk, &Asterisk) -> (usize, usize),
) {
    namespace::enter();
    let timers = "timers=always\ntimers_min_se=90\ntimers_sess_expires=90";
    let long = "exten => _[+0-9]!,1,Answer()\n same => n,Gosub(record,s,1)\n same => n,PlayTones(TONE)\n same => n,Wait(200)\n";
    let office = Asterisk::start(&Setup { endpoint: timers, ..office() });
    let acme = Asterisk::start(&Setup { endpoint: timers, inbound: long, ..acme() });
    office.traces();
    acme.traces();
    let edge = Edge::start(&with_more(&with(OFFICE, at_office), ACME, at_acme));
    office.calls(FAR);
    hear_each_other(&office, &acme);
    wait_until("both sessions are refreshed twice", Duration::from_secs(120), || {
        let (at_office, at_acme) = refreshed(&office, &acme);
        at_office >= 2 && at_acme >= 2
    });
    hear_each_other(&office, &acme);
    acme.hangs_up();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

const BY_US: &str = "session = { expires = \"90s\", refresher = \"us\" }";
const BY_THEM: &str = "session = { expires = \"90s\", refresher = \"them\" }";

fn updates_and_offers(count: impl Fn(&str) -> usize) -> usize {
    count("UPDATE") + count("INVITE")
}

#[test]
fn the_edge_refreshes_the_carriers_session_and_the_pbx_its_own() {
    // Besides the INVITE that began the call.
    lives_past_two_refreshes(BY_THEM, BY_US, |office, acme| {
        let by_office = updates_and_offers(|method| office.sent(method)).saturating_sub(1);
        (by_office, updates_and_offers(|method| acme.received(method)).saturating_sub(1))
    });
}

#[test]
fn the_edge_refreshes_the_pbxs_session_and_the_carrier_its_own() {
    lives_past_two_refreshes(BY_US, BY_THEM, |office, acme| {
        let to_office = updates_and_offers(|method| office.received(method));
        (to_office, updates_and_offers(|method| acme.sent(method)))
    });
}

/// A phone of the PBX holds: the PBX passes it on, and what the carrier is sent falls silent.
#[test]
fn a_phone_behind_a_pbx_holds_and_resumes() {
    namespace::enter();
    let phone = "[phone]\ntype=aor\ncontact=sip:101@127.0.0.21:5060\n[phone]\ntype=identify\nendpoint=phone\nmatch=127.0.0.21\n\
                 [phone]\ntype=endpoint\ntransport=main\ncontext=inbound\naors=phone\ndisallow=all\nallow=alaw\ndirect_media=no\n\
                 moh_passthrough=yes\n";
    let dials = "exten => _[+0-9]!,1,Dial(PJSIP/${EXTEN}@edge,30)\n";
    let office = Setup { endpoint: "moh_passthrough=yes", sections: phone, inbound: dials, ..office() };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme()));
    let phone = Baresip::start(&baresip::Setup::plain("phone", "127.0.0.21", "127.0.0.20:5060", "101", 620));
    let (to_acme, to_office) = (Wire::from("127.0.0.11"), Wire::from("127.0.0.10"));
    let edge = Edge::start(CONFIG);
    phone.calls(FAR);
    to_acme.carries(620, ENOUGH_MS);
    to_office.carries(ACME_HZ, ENOUGH_MS);
    office.traces();
    phone.command("hold", "");
    office.says("a=sendonly");
    let_pass(Duration::from_millis(500));
    let before = to_acme.heard_of(620);
    let_pass(Duration::from_secs(1));
    assert!(to_acme.heard_of(620) <= before + 60, "held, and still heard");
    phone.command("resume", "");
    to_acme.carries(620, ENOUGH_MS);
    to_office.carries(ACME_HZ, ENOUGH_MS);
    phone.hangs_up();
    acme.rests();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

#[test]
fn a_call_without_an_offer_is_answered() {
    namespace::enter();
    let acme = Asterisk::start(&acme());
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller_late_offer", OFFICE, LAN, FAR, 3, 1);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), edge.log(), acme.log());
    rests(&edge);
    assert!(recorded(3).iter().all(|call| attempts(call) == [("acme".to_owned(), "answered".to_owned())]));
}

/// RFC 2046 §5.1, RFC 7433, RFC 7044: the description is found among other parts, and what the call carries arrives as it was.
#[test]
fn what_a_call_carries_arrives() {
    namespace::enter();
    let tells = "exten => _[+0-9]!,1,Log(NOTICE,carries ${PJSIP_HEADER(read,User-to-User)} and ${PJSIP_HEADER(read,Geolocation)})\n \
                 same => n,Log(NOTICE,came by ${PJSIP_HEADER(read,History-Info)})\n same => n,Answer()\n same => n,PlayTones(TONE)\n \
                 same => n,Wait(30)\n";
    let acme = Asterisk::start(&Setup { inbound: tells, ..acme() });
    acme.traces();
    let to_office = Wire::from("127.0.0.10");
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller_multipart", OFFICE, LAN, FAR, 1, 1);
    to_office.carries(ACME_HZ, ENOUGH_MS);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), edge.log(), acme.log());
    acme.says("carries 56a390f3d2b7310023;encoding=hex and <cid:here@pbx>");
    acme.says("index=1.1");
    assert!(acme.log().contains("<presence xmlns="), "the other part has arrived: {}", acme.log());
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

/// RFC 3264 §8.4, RFC 6337 §5.3: inactive, an address of zeros, and on it goes.
#[test]
fn every_form_of_hold_is_understood() {
    namespace::enter();
    let acme = Asterisk::start(&acme());
    let to_office = Wire::from("127.0.0.10");
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller_hold_forms", OFFICE, LAN, FAR, 1, 1);
    to_office.carries(ACME_HZ, ENOUGH_MS);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), edge.log(), acme.log());
    acme.rests();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

/// RFC 4028 §6: 90 s are too few for the carrier, which names its least; the call goes on with that, and the PBX learns nothing of it.
#[test]
fn a_session_that_is_too_short_is_made_longer() {
    namespace::enter();
    let least = "timers=yes\ntimers_min_se=600\ntimers_sess_expires=900";
    let (office, acme) = (Asterisk::start(&office()), Asterisk::start(&Setup { endpoint: least, ..acme() }));
    acme.traces();
    let edge = Edge::start(&with(ACME, "session = { expires = \"90s\" }"));
    office.calls(FAR);
    hear_each_other(&office, &acme);
    office.hangs_up();
    acme.rests();
    rests(&edge);
    assert!(acme.log().contains("422 Session Interval Too Small"), "{}", acme.log());
    was_tried(&[("acme", "answered")]);
}

/// T.38 is offered in the middle of a call to a PBX that has no fax: 488, and the call goes on as it was (RFC 3261 §14.1).
#[test]
fn fax_is_declined_and_the_call_goes_on() {
    namespace::enter();
    let carrier = Sipp::server("server_image", ACME);
    let office = Asterisk::start(&office());
    let to_acme = Wire::from("127.0.0.11");
    let edge = Edge::start(CONFIG);
    office.calls(FAR);
    wait_until("fax is declined", LIMIT, || carrier.logged().iter().any(|line| line.contains("no fax")));
    to_acme.carries(OFFICE_HZ, ENOUGH_MS);
    wait_until("the carrier has ended it", LIMIT, || carrier.counts() == (1, 0));
    office.rests();
    rests(&edge);
}

/// The carrier asks for a password; the PBX knows nothing of it.
#[test]
fn a_carrier_asks_for_credentials() {
    namespace::enter();
    let asks = "[acme-auth]\ntype=auth\nauth_type=userpass\nusername=throughline\npassword=sesame\n";
    let acme = Setup { endpoint: "auth=acme-auth", sections: asks, ..acme() };
    let (office, acme) = (Asterisk::start(&office()), Asterisk::start(&acme));
    acme.traces();
    let config = with(ACME, "auth = { user = \"throughline\", secret = \"env:ACME\" }");
    let edge = Edge::start_knowing(&config, &[("ACME", "sesame")]);
    office.call(FAR, "talk");
    hear_each_other(&office, &acme);
    office.rests();
    acme.rests();
    assert!(acme.log().contains("401 Unauthorized"), "{}", acme.log());
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

/// Asterisk asks about no request inside a call, so a proxy before the carrier does, with nonces that are good once: what the PBX sends in
/// mid-call is signed, and arrives (RFC 3261 §22.3).
fn asked_in_mid_call(method: &str, by: &str) {
    namespace::enter();
    let plain = kamailio::Setup::plain("acme", ACME, TO_EDGE, BEHIND, TO_BEHIND);
    let proxy = Kamailio::start(&kamailio::Setup { modules: ONCE, first: ASKS, ..plain });
    let told = format!("send_pai=yes\ntrust_id_outbound=yes\ntrust_id_inbound=yes\nconnected_line_method={by}");
    let tells = "exten => tells,1,Gosub(record,s,1)\n same => n,PlayTones(TONE)\n same => n,Wait(3)\n \
                 same => n,Set(CONNECTEDLINE(num,i)=+4755667788)\n same => n,Set(CONNECTEDLINE(pres)=allowed)\n same => n,Wait(60)\n";
    let office = Asterisk::start(&Setup { endpoint: &told, inbound: tells, ..office() });
    let acme = Asterisk::start(&Setup { ip: BEHIND, edge: "127.0.0.31:5060", endpoint: &told, ..acme() });
    acme.traces();
    let edge = Edge::start_knowing(
        &with(ACME, "auth = { user = \"throughline\", secret = \"env:ACME\" }"),
        &[("ACME", "sesame")],
    );
    office.command(&format!("channel originate PJSIP/{FAR}@edge extension tells@inbound"));
    wait_until("the carrier is told", LIMIT, || proxy.said(&format!("routes {method} of 127.0.0.11\n")) >= 1);
    hear_each_other(&office, &acme);
    office.hangs_up();
    acme.rests();
    rests(&edge);
    for asked in [method, "BYE"] {
        assert!(proxy.said(&format!("asks who sends {asked}\n")) >= 1, "{}", proxy.log());
        assert!(acme.received(asked) >= 1, "{}", acme.log());
    }
    was_tried(&[("acme", "answered")]);
}

#[test]
fn an_update_that_is_asked_about_is_signed() {
    asked_in_mid_call("UPDATE", "update");
}

#[test]
fn a_reinvite_that_is_asked_about_is_signed() {
    asked_in_mid_call("INVITE", "invite");
}

#[test]
fn digits_arrive_by_info() {
    namespace::enter();
    let reads = "exten => _[+0-9]!,1,Answer()\n same => n,Read(digits,,11,,,15)\n same => n,Log(NOTICE,read ${digits})\n same => n,Hangup()\n";
    let sends = "exten => send,1,Wait(1)\n same => n,SendDTMF(0123456789*)\n same => n,Wait(5)\n";
    let office = Asterisk::start(&Setup { endpoint: "dtmf_mode=info", inbound: sends, ..office() });
    let acme = Asterisk::start(&Setup { endpoint: "dtmf_mode=info", inbound: reads, ..acme() });
    let edge = Edge::start(CONFIG);
    office.command(&format!("channel originate PJSIP/{FAR}@edge extension send@inbound"));
    acme.says("read 0123456789*");
    office.rests();
    rests(&edge);
}

#[test]
fn a_message_outside_a_call_arrives() {
    namespace::enter();
    let sends = "exten => send,1,Set(MESSAGE(body)=the line is down)\n same => n,MessageSend(pjsip:edge/sip:+4722334455@127.0.0.10:5060,\
                 <sip:+4799887766@127.0.0.20>)\n same => n,Log(NOTICE,it was ${MESSAGE_SEND_STATUS})\n";
    let takes = "exten => _[+0-9]!,1,Log(NOTICE,it says ${MESSAGE(body)} from ${MESSAGE(from)})\n";
    let office = Asterisk::start(&Setup { inbound: sends, ..office() });
    let acme = Asterisk::start(&Setup { inbound: takes, ..acme() });
    let _edge = Edge::start(CONFIG);
    office.runs("send");
    acme.says("it says the line is down");
    office.says("it was SUCCESS");
}

/// RFC 3325, RFC 5806: who calls is asserted and withheld, and who diverted is told.
#[test]
fn a_withheld_caller_and_a_diversion_are_told_as_they_are() {
    namespace::enter();
    let dials = "exten => go,1,Set(CALLERID(num)=+4799887766)\n same => n,Set(CALLERID(pres)=prohib)\n \
                 same => n,Set(REDIRECTING(from-num)=+4799887700)\n same => n,Set(REDIRECTING(from-num-pres)=allowed)\n \
                 same => n,Set(REDIRECTING(reason)=cfb)\n same => n,Set(REDIRECTING(count)=1)\n \
                 same => n,Dial(PJSIP/+4722334455@edge,20)\n";
    let tells = "exten => _[+0-9]!,1,Log(NOTICE,caller ${CALLERID(num)} is ${CALLERID(num-pres)} and came by ${REDIRECTING(from-num)} \
                 as ${REDIRECTING(reason)})\n same => n,Busy()\n";
    let trusts = "send_pai=yes\ntrust_id_outbound=yes\ntrust_id_inbound=yes\nsend_diversion=yes";
    let office = Asterisk::start(&Setup { endpoint: trusts, inbound: dials, ..office() });
    let acme = Asterisk::start(&Setup { endpoint: trusts, inbound: tells, ..acme() });
    let edge = Edge::start(CONFIG);
    office.runs("go");
    acme.says("caller +4799887766 is prohib_not_screened and came by +4799887700 as cfb");
    office.rests();
    rests(&edge);
    was_tried(&[("acme", "486")]);
}

/// RFC 3311: the carrier says by UPDATE who is really connected, while it rings and later.
#[test]
fn a_connected_line_is_told_by_update() {
    namespace::enter();
    let changes = "exten => _[+0-9]!,1,Answer()\n same => n,Gosub(record,s,1)\n same => n,Wait(1)\n same => n,Set(CONNECTEDLINE(num,i)=+4755667788)\n \
                   same => n,Set(CONNECTEDLINE(pres)=allowed)\n same => n,PlayTones(TONE)\n same => n,Wait(30)\n";
    let told = "send_pai=yes\ntrust_id_outbound=yes\ntrust_id_inbound=yes\nconnected_line_method=update";
    let office = Asterisk::start(&Setup { endpoint: told, ..office() });
    let acme = Asterisk::start(&Setup { endpoint: told, inbound: changes, ..acme() });
    office.traces();
    let edge = Edge::start(CONFIG);
    office.call(FAR, "talk");
    hear_each_other(&office, &acme);
    assert!(office.received("UPDATE") > 0, "no UPDATE");
    office.rests();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

/// RFC 5589 §6.1: the PBX sends the carrier's caller on, and the edge calls whom it names.
#[test]
fn a_pbx_transfers_a_carriers_caller() {
    namespace::enter();
    let transfers = "exten => _[+0-9]!,1,Answer()\n same => n,Wait(1)\n same => n,Transfer(PJSIP/sip:+4722334455@127.0.0.10:5060)\n \
                     same => n,Wait(60)\n";
    let office = Asterisk::start(&Setup { inbound: transfers, ..office() });
    let (acme, globex) = (Asterisk::start(&acme()), Asterisk::start(&globex()));
    // Whom the PBX names is at the other carrier.
    let edge = Edge::start(&CONFIG.replace("tiers = [[\"acme\"], [\"globex\"]]", "tiers = [[\"globex\"], [\"acme\"]]"));
    office.traces();
    acme.calls(NEAR);
    office.is_notified("200");
    hear_each_other(&acme, &globex);
    assert_eq!(office.channels(), 0, "the PBX is out of the call");
    acme.hangs_up();
    globex.rests();
    rests(&edge);
}

/// RFC 5589 §7: the PBX has called the other carrier's party first, and joins both; then it is out of the call.
#[test]
fn a_pbx_joins_two_carriers_parties() {
    namespace::enter();
    // What names the dialog of the first call, as a Refer-To must have it.
    let joins = "exten => asks,1,Set(GLOBAL(first)=${CHANNEL(pjsip,call-id)}%3Bto-tag%3D${CHANNEL(pjsip,remote_tag)}%3Bfrom-tag%3D\
                 ${CHANNEL(pjsip,local_tag)})\n same => n,Log(NOTICE,asked)\n same => n,Wait(40)\n\
                 exten => _[+0-9]!,1,Answer()\n same => n,Wait(1)\n \
                 same => n,Transfer(PJSIP/sip:+4722334455@127.0.0.10:5060?Replaces=${GLOBAL(first)})\n \
                 same => n,Wait(60)\n";
    let office = Asterisk::start(&Setup { inbound: joins, ..office() });
    let (acme, globex) = (Asterisk::start(&acme()), Asterisk::start(&globex()));
    // In whichever shards both calls are.
    let edge = Edge::start(&CONFIG.replace("tiers = [[\"acme\"], [\"globex\"]]", "tiers = [[\"globex\"], [\"acme\"]]"));
    office.traces();
    office.command(&format!("channel originate PJSIP/{FAR}@edge extension asks@inbound"));
    office.says("asked");
    acme.calls(NEAR);
    hear_each_other(&acme, &globex);
    office.is_notified("200");
    assert!(office.log().contains("?Replaces="), "it has named a dialog");
    wait_until("the PBX is out of both calls", Duration::from_secs(15), || office.channels() == 0);
    assert_eq!((acme.channels(), globex.channels()), (1, 1), "joined, and nobody called anew");
    hear_each_other(&acme, &globex);
    acme.hangs_up();
    globex.rests();
    rests(&edge);
}
