//! A fax in a call: two Asterisks change from audio to T.38, and the page arrives.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::namespace;
use peers::asterisk::{Asterisk, Setup};
use peers::matrix::{ACME, FAR, LAN, NEAR, OFFICE, WAN, recorded, rests};
use peers::page;

/// No way but T.38: neither side takes a fax as audio.
const BY_T38: &str = "t38_udptl=yes\nt38_udptl_ec=redundancy\nt38_udptl_maxdatagram=400";
const SENDS: &str = "exten => send,1,Wait(1)\n same => n,SendFAX(FOLDER/out.tif)\n \
                     same => n,Log(NOTICE,sent ${FAXOPT(pages)} pages ${FAXOPT(status)})\n same => n,Wait(5)\n";
const TAKES: &str = "exten => _[+0-9]!,1,Answer()\n same => n,ReceiveFAX(FOLDER/in.tif)\n \
                     same => n,Log(NOTICE,took ${FAXOPT(pages)} pages ${FAXOPT(status)})\n same => n,Wait(10)\n";

/// ITU-T T.38, RFC 3264 §8.3: whichever side of the edge the page comes from.
fn sends(sender: &Setup<'_>, receiver: &Setup<'_>, number: &str) {
    namespace::enter();
    let sender = Asterisk::start(&Setup { endpoint: BY_T38, inbound: SENDS, ..*sender });
    let receiver = Asterisk::start(&Setup { endpoint: BY_T38, inbound: TAKES, ..*receiver });
    sender.has_file("out.tif", &page::tiff(&page::striped()));
    receiver.traces();
    let edge = Edge::start(CONFIG);
    sender.command(&format!("channel originate PJSIP/{number}@edge extension send@inbound"));
    sender.says("sent 1 pages SUCCESS");
    receiver.says("took 1 pages SUCCESS");
    assert!(receiver.log().contains("m=image"), "the description was of an image");
    sender.rests();
    receiver.rests();
    rests(&edge);
    assert_eq!(recorded(1).len(), 1);
}

#[test]
fn a_page_goes_to_a_carrier_by_t38() {
    let office = Setup::plain("office", OFFICE, LAN, 1_300);
    sends(&office, &Setup::plain("acme", ACME, WAN, 440), FAR);
}

#[test]
fn a_page_comes_from_a_carrier_by_t38() {
    let office = Setup::plain("office", OFFICE, LAN, 1_300);
    sends(&Setup::plain("acme", ACME, WAN, 440), &office, NEAR);
}
