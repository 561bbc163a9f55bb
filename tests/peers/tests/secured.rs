//! The two sides secure their audio differently, or one of them not at all: the edge ends the security of each, and each hears the other's tone.
//!
//! baresip speaks plainly and by keys in descriptions. Its handshakes are of RSA, which the edge has none of (docs/guide/media.md), so that
//! Asterisk makes those, by a certificate of the kind that browsers have.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::{http, namespace, wait_until};
use peers::asterisk::{self, Asterisk};
use peers::baresip::{Baresip, Setup};
use peers::matrix::{ACME, FAR, LAN, LIMIT, NEAR, OFFICE, WAN, rests};
use peers::party::{Party, call_each_other, hear_each_other};

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
/// What makes an endpoint of Asterisk secure its audio by a handshake.
const HANDSHAKES: &str =
    "media_encryption=dtls\ndtls_auto_generate_cert=yes\ndtls_verify=fingerprint\ndtls_setup=actpass\nrtcp_mux=yes\n";

/// How audio is secured: as a trunk has it.
#[derive(Clone, Copy)]
enum Secured {
    Plain,
    Sdes,
    Dtls,
}
use Secured::{Dtls, Plain, Sdes};

impl Secured {
    const fn of_trunk(self) -> &'static str {
        match self {
            Plain => "off",
            Sdes => "sdes",
            Dtls => "dtls",
        }
    }

    /// Who talks like that, from there.
    fn party(self, setup: Setup<'_>) -> Box<dyn Party> {
        let security = match self {
            Plain => "",
            Sdes => "srtp-mand",
            Dtls => {
                let plain = asterisk::Setup::plain(setup.name, setup.ip, setup.edge, setup.tone);
                return Box::new(Asterisk::start(&asterisk::Setup { endpoint: HANDSHAKES, ..plain }));
            }
        };
        Box::new(Baresip::start(&Setup { security, ..setup }))
    }
}

/// The configuration of an edge between them.
fn between(office: Secured, acme: Secured) -> String {
    let has = |config: &str, trunk: &str, srtp: &str| {
        config.replace(&format!("[trunk.{trunk}]\n"), &format!("[trunk.{trunk}]\nsrtp = \"{srtp}\"\n"))
    };
    has(&has(CONFIG, "office", office.of_trunk()), "acme", acme.of_trunk())
}

fn meet(office: Secured, acme: Secured) {
    namespace::enter();
    let office_phone = office.party(Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ));
    let acme_phone = acme.party(Setup::plain("acme", ACME, WAN, FAR, ACME_HZ));
    let edge = Edge::start(&between(office, acme));
    call_each_other(&edge, &*office_phone, &*acme_phone);
}

#[test]
fn plain_meets_plain() {
    meet(Plain, Plain);
}

#[test]
fn plain_meets_sdes() {
    meet(Plain, Sdes);
}

#[test]
fn plain_meets_dtls() {
    meet(Plain, Dtls);
}

#[test]
fn sdes_meets_plain() {
    meet(Sdes, Plain);
}

#[test]
fn sdes_meets_sdes() {
    meet(Sdes, Sdes);
}

#[test]
fn sdes_meets_dtls() {
    meet(Sdes, Dtls);
}

#[test]
fn dtls_meets_plain() {
    meet(Dtls, Plain);
}

#[test]
fn dtls_meets_sdes() {
    meet(Dtls, Sdes);
}

#[test]
fn dtls_meets_dtls() {
    meet(Dtls, Dtls);
}

/// As Asterisk is when nobody tells it of `rtcp_mux`: each side makes a handshake for its audio and one for its reports. What reports come by
/// the keys of the one go on by those of the other.
#[test]
fn reports_of_two_who_have_a_port_for_them_pass_by_handshakes_of_their_own() {
    namespace::enter();
    let apart = HANDSHAKES.replace("rtcp_mux=yes", "rtcp_mux=no");
    let party = |name, ip, edge, tone| {
        let plain = asterisk::Setup::plain(name, ip, edge, tone);
        Asterisk::start(&asterisk::Setup { endpoint: &apart, ..plain })
    };
    let office = party("office", OFFICE, LAN, OFFICE_HZ);
    let acme = party("acme", ACME, WAN, ACME_HZ);
    let edge = Edge::start(&between(Dtls, Dtls));
    office.calls(FAR);
    hear_each_other(&office, &acme);
    wait_until("reports pass", LIMIT, || http::metric("throughline_media_relayed_rtcp") >= 4.0);
    acme.hangs_up();
    rests(&edge);
    assert_eq!(http::metric("throughline_media_report_handshakes_failed"), 0.0);
}

/// Audio that is cut off at one interface goes on by the other. Asterisk takes another port for another handshake, and waits for it where
/// the edge has begun the first one.
#[test]
fn audio_by_keys_of_a_handshake_moves_to_another_interface() {
    namespace::enter();
    let second = "[listen.wan2]\nsip = [\"udp:127.0.0.12:5060\"]\nmedia = \"127.0.0.12:30000-37999\"\n\n[trunk.office]";
    let config = between(Plain, Dtls).replace("[trunk.office]", second);
    let config = config.replace("[trunk.acme]\n", "[trunk.acme]\nmedia = [\"wan\", \"wan2\"]\n");
    let office = Plain.party(Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ));
    let acme = Dtls.party(Setup::plain("acme", ACME, WAN, FAR, ACME_HZ));
    let edge = Edge::start(&config);
    for (nth, caller, number, callee) in [(1.0, &office, FAR, &acme), (2.0, &acme, NEAR, &office)] {
        caller.calls(number);
        hear_each_other(&**caller, &**callee);
        namespace::cut_audio(ACME, "127.0.0.11");
        wait_until("it has moved", LIMIT, || http::metric("throughline_call_audio_moved") >= nth);
        hear_each_other(&**caller, &**callee);
        callee.hangs_up();
        rests(&edge);
        namespace::heal();
    }
}
