//! PBX and carrier share no codec: the edge stands between them, and each hears the other's tone.
//!
//! Every pair of codecs, both ways: the PBX has the one, the carrier the other.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::namespace;
use peers::baresip::{Baresip, Setup};
use peers::matrix::{ACME, FAR, LAN, NEAR, OFFICE, WAN};
use peers::party::call_each_other;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;

/// A codec, as an account of baresip has it and as a trunk has it.
struct Spoken {
    account: &'static str,
    trunk: &'static str,
}

const PCMA: Spoken = Spoken { account: "PCMA/8000/1", trunk: "PCMA" };
const PCMU: Spoken = Spoken { account: "PCMU/8000/1", trunk: "PCMU" };
const G722: Spoken = Spoken { account: "G722/16000/1", trunk: "G722" };
const OPUS: Spoken = Spoken { account: "opus/48000/2", trunk: "opus" };
const L16: Spoken = Spoken { account: "L16/16000/1", trunk: "L16" };

/// The PBX that has one codec and a carrier that has the other call each other; each trunk is told what its peer has.
fn meet(office: &Spoken, acme: &Spoken) {
    namespace::enter();
    let setup = Setup { codecs: office.account, ..Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ) };
    let office_phone = Baresip::start(&setup);
    let setup = Setup { codecs: acme.account, ..Setup::plain("acme", ACME, WAN, FAR, ACME_HZ) };
    let acme_phone = Baresip::start(&setup);
    let has = |config: &str, trunk: &str, codec: &str| {
        config.replace(&format!("[trunk.{trunk}]\n"), &format!("[trunk.{trunk}]\ncodecs = [\"{codec}\"]\n"))
    };
    let edge = Edge::start(&has(&has(CONFIG, "office", office.trunk), "acme", acme.trunk));
    call_each_other(&edge, &office_phone, &acme_phone);
}

#[test]
fn pcma_meets_pcmu() {
    meet(&PCMA, &PCMU);
}

#[test]
fn pcma_meets_g722() {
    meet(&PCMA, &G722);
}

#[test]
fn pcma_meets_opus() {
    meet(&PCMA, &OPUS);
}

#[test]
fn pcma_meets_l16() {
    meet(&PCMA, &L16);
}

#[test]
fn pcmu_meets_g722() {
    meet(&PCMU, &G722);
}

#[test]
fn pcmu_meets_opus() {
    meet(&PCMU, &OPUS);
}

#[test]
fn pcmu_meets_l16() {
    meet(&PCMU, &L16);
}

#[test]
fn g722_meets_opus() {
    meet(&G722, &OPUS);
}

#[test]
fn g722_meets_l16() {
    meet(&G722, &L16);
}

#[test]
fn opus_meets_l16() {
    meet(&OPUS, &L16);
}
