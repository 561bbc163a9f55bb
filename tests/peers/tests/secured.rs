//! The two sides secure their audio differently, or one of them not at all: the edge ends the security of each, and each hears the other's tone.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::namespace;
use peers::baresip::{Baresip, Setup};
use peers::matrix::{ACME, FAR, LAN, NEAR, OFFICE, WAN};
use peers::party::call_each_other;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;

/// How audio is secured, as an account of baresip has it and as a trunk has it.
struct Secured {
    account: &'static str,
    trunk: &'static str,
}

const PLAIN: Secured = Secured { account: "", trunk: "off" };
const SDES: Secured = Secured { account: "srtp-mand", trunk: "sdes" };

fn meet(office: &Secured, acme: &Secured) {
    namespace::enter();
    let setup = Setup { security: office.account, ..Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ) };
    let office_phone = Baresip::start(&setup);
    let setup = Setup { security: acme.account, ..Setup::plain("acme", ACME, WAN, FAR, ACME_HZ) };
    let acme_phone = Baresip::start(&setup);
    let has = |config: &str, trunk: &str, srtp: &str| {
        config.replace(&format!("[trunk.{trunk}]\n"), &format!("[trunk.{trunk}]\nsrtp = \"{srtp}\"\n"))
    };
    let edge = Edge::start(&has(&has(CONFIG, "office", office.trunk), "acme", acme.trunk));
    call_each_other(&edge, &office_phone, &acme_phone);
}

#[test]
fn plain_meets_sdes() {
    meet(&PLAIN, &SDES);
}

#[test]
fn sdes_meets_sdes() {
    meet(&SDES, &SDES);
}
