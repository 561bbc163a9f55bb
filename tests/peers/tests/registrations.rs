//! Registrations both ways: phones and a PBX at the edge, the edge at a carrier, and calls by what was registered.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::{http, namespace, wait_until};
use peers::asterisk::{ANSWERS, Asterisk, Setup};
use peers::baresip::{self, Baresip};
use peers::matrix::{
    ACME, ENOUGH_MS, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, WAN, attempts, hear_each_other, recorded, rests,
};
use std::path::PathBuf;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;
/// Another phone.
const BESIDE: &str = "+4799887700";

/// The usual edge, whose PBX is whoever registers. baresip of that age gives up on a challenge by SHA-256 in the place of passing it over.
fn config() -> String {
    let inside =
        "[[route]]\nfrom = [\"office\"]\nprefixes = [\"+479988\"]\nto = \"pbx\"\n\n[[route]]\nfrom = [\"office\"]";
    CONFIG.replace("at = \"sip:127.0.0.20:5060\"", "at = \"registered\"").replacen(
        "[[route]]\nfrom = [\"office\"]",
        inside,
        1,
    ) + "\n[registrar]\nlisten = \"lan\"\nrealm = \"127.0.0.10\"\nusers = \"users.csv\"\nalgorithms = [\"MD5\"]\n"
}

/// Its folder, with both phones in its list of users.
fn folder() -> PathBuf {
    let name = format!("throughline-users-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("users.csv"), format!("{NEAR},password,hush\n{BESIDE},password,hush\n")).expect("users");
    folder
}

fn phone<'a>(name: &'a str, ip: &'a str, user: &'a str, tone: u16, registers: Option<(&'a str, &'a str)>) -> Baresip {
    Baresip::start(&baresip::Setup { name, ip, registers, user, tone })
}

fn has_registered(count: f64) {
    wait_until("they have registered", LIMIT, || http::metric("throughline_registered") >= count);
}

#[test]
fn phones_register_and_call_each_other_and_the_world() {
    namespace::enter();
    let acme = phone("acme", ACME, FAR, ACME_HZ, None);
    let edge = Edge::start_in(folder(), &config());
    let home = Some(("127.0.0.10", "hush"));
    let one = phone("one", "127.0.0.51", NEAR, OFFICE_HZ, home);
    let other = phone("other", "127.0.0.52", BESIDE, GLOBEX_HZ, home);
    has_registered(2.0);
    for (caller, number, callee, tones) in
        [(&one, FAR, &acme, (OFFICE_HZ, ACME_HZ)), (&one, BESIDE, &other, (OFFICE_HZ, GLOBEX_HZ))]
    {
        caller.call(number, LAN);
        caller.hears(tones.1, ENOUGH_MS);
        callee.hears(tones.0, ENOUGH_MS);
        callee.command("hangup", "");
        rests(&edge);
    }
    acme.call(BESIDE, WAN);
    acme.hears(GLOBEX_HZ, ENOUGH_MS);
    other.hears(ACME_HZ, ENOUGH_MS);
    acme.command("hangup", "");
    rests(&edge);
}

/// By TCP nobody could reach the phone in any other way than by the connection it has opened.
#[test]
fn a_phone_by_tcp_is_called_by_its_connection() {
    namespace::enter();
    let acme = phone("acme", ACME, FAR, ACME_HZ, None);
    let listens = config().replace("\"udp:127.0.0.10:5060\"", "\"udp:127.0.0.10:5060\", \"tcp:127.0.0.10:5060\"");
    let edge = Edge::start_in(folder(), &listens);
    let one = phone("one", "127.0.0.51", NEAR, OFFICE_HZ, Some(("127.0.0.10;transport=tcp", "hush")));
    has_registered(1.0);
    acme.call(NEAR, WAN);
    acme.hears(OFFICE_HZ, ENOUGH_MS);
    one.hears(ACME_HZ, ENOUGH_MS);
    acme.command("hangup", "");
    rests(&edge);
    one.call(FAR, "127.0.0.10:5060;transport=tcp");
    one.hears(ACME_HZ, ENOUGH_MS);
    one.command("hangup", "");
    rests(&edge);
}

#[test]
fn a_phone_with_a_wrong_password_is_not_called() {
    namespace::enter();
    let acme = phone("acme", ACME, FAR, ACME_HZ, None);
    let edge = Edge::start_in(folder(), &config());
    let one = phone("one", "127.0.0.51", NEAR, OFFICE_HZ, Some(("127.0.0.10", "guess")));
    wait_until("it is refused", LIMIT, || http::metric("throughline_registrar_auth_failed") >= 1.0);
    acme.call(NEAR, WAN);
    acme.says("480");
    rests(&edge);
    assert_eq!((http::metric("throughline_registered"), one.heard_of(ACME_HZ)), (0.0, 0));
}

/// A PBX whose address nobody has configured is found by its registration, and its calls are taken by its password.
#[test]
fn a_pbx_registers_and_is_called_and_calls() {
    namespace::enter();
    let registers = format!(
        "[home]\ntype=auth\nauth_type=userpass\nusername={NEAR}\npassword=hush\n[home]\ntype=registration\ntransport=main\n\
         outbound_auth=home\nserver_uri=sip:{LAN}\nclient_uri=sip:{NEAR}@{LAN}\ncontact_user={NEAR}\nretry_interval=2\n"
    );
    let speaks = format!("outbound_auth=home\nfrom_user={NEAR}\nfrom_domain=127.0.0.10");
    let acme = Asterisk::start(&Setup::plain("acme", ACME, WAN, ACME_HZ));
    let edge = Edge::start_in(folder(), &config().replace("algorithms = [\"MD5\"]\n", ""));
    let office = Asterisk::start(&Setup {
        endpoint: &speaks,
        sections: &registers,
        ..Setup::plain("office", OFFICE, LAN, OFFICE_HZ)
    });
    has_registered(1.0);
    acme.call(NEAR, "talk");
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    acme.rests();
    office.rests();
    office.call(FAR, "talk");
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    office.rests();
    rests(&edge);
    let tried: Vec<_> = recorded(2).iter().flat_map(attempts).collect();
    let answered = |trunk: &str| (trunk.to_owned(), "answered".to_owned());
    assert_eq!(tried, [answered("office"), answered("acme")]);
}

/// What a carrier has of us: a place for our registration, and what it asks of us for that and for calls.
const OURS: &str =
    "[u1001]\ntype=aor\nmax_contacts=1\n[acme-auth]\ntype=auth\nauth_type=userpass\nusername=u1001\npassword=sesame\n";

fn finds_us_by_registration(inbound: &str) -> Setup<'_> {
    Setup {
        endpoint: "aors=u1001\nauth=acme-auth",
        sections: OURS,
        inbound,
        ..Setup::plain("acme", ACME, WAN, ACME_HZ)
    }
}

/// The edge, registered at that carrier.
fn registered(acme: &Asterisk) -> Edge {
    let at = "at = \"sip:127.0.0.31:5060\"";
    let more = "auth = { user = \"u1001\", secret = \"env:ACME\" }\nregister = { user = \"u1001\", domain = \"127.0.0.31\" }\n\
                calls = { progress = \"2s\" }";
    let edge = Edge::start_knowing(&CONFIG.replace(at, &format!("{at}\n{more}")), &[("ACME", "sesame")]);
    wait_until("the carrier knows where we are", LIMIT, || acme.command("pjsip show contacts").contains("u1001/sip:"));
    edge
}

#[test]
fn the_edge_registers_at_a_carrier_and_is_called_by_it() {
    namespace::enter();
    let office = Asterisk::start(&Setup::plain("office", OFFICE, LAN, OFFICE_HZ));
    let acme = Asterisk::start(&finds_us_by_registration(ANSWERS));
    let edge = registered(&acme);
    acme.call(NEAR, "talk");
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    acme.rests();
    office.rests();
    office.call(FAR, "talk");
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    office.rests();
    rests(&edge);
}

/// The carrier that we are registered at dies while a call rings there: the call goes on elsewhere.
#[test]
fn a_carrier_that_we_registered_at_dies_while_it_rings() {
    namespace::enter();
    let office = Asterisk::start(&Setup::plain("office", OFFICE, LAN, OFFICE_HZ));
    let acme = Asterisk::start(&finds_us_by_registration("exten => _[+0-9]!,1,Wait(40)\n"));
    let globex = Asterisk::start(&Setup::plain("globex", GLOBEX, WAN, GLOBEX_HZ));
    let edge = registered(&acme);
    office.call(FAR, "talk");
    wait_until("the call is at the carrier", LIMIT, || acme.channels() == 1);
    acme.kill();
    hear_each_other((&office, OFFICE_HZ), (&globex, GLOBEX_HZ));
    office.rests();
    rests(&edge);
    let tried: Vec<String> = attempts(&recorded(1)[0]).into_iter().map(|(trunk, _)| trunk).collect();
    assert_eq!(tried, ["acme", "globex"]);
}
