//! Registrations both ways: phones and a PBX at the edge, the edge at a carrier, and calls by what was registered.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::{http, namespace, wait_until};
use peers::asterisk::{ANSWERS, Asterisk, Setup};
use peers::baresip::{self, Baresip};
use peers::kamailio::{self, BEHIND, Kamailio, TO_BEHIND};
use peers::matrix::{ACME, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, WAN, attempts, recorded, rests};
use peers::party::{Party, hear_each_other, talk};
use peers::way::{self, Way};
use std::path::PathBuf;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;
/// Another phone.
const BESIDE: &str = "+4799887700";

/// The usual edge, whose PBX is whoever registers.
fn config() -> String {
    registering(CONFIG, Way::v4("udp"))
}

/// The same of another edge, whose PBX would be there. baresip of that age gives up on a challenge by SHA-256 in the place of passing it over.
fn registering(edge: &str, home: Way) -> String {
    let inside =
        "[[route]]\nfrom = [\"office\"]\nprefixes = [\"+479988\"]\nto = \"pbx\"\n\n[[route]]\nfrom = [\"office\"]";
    let at = format!("at = \"sip:{}:5060\"", home.office());
    let edge = edge.replace(&at, "at = \"registered\"").replacen("[[route]]\nfrom = [\"office\"]", inside, 1);
    edge + "\n[registrar]\nlisten = \"lan\"\nrealm = \"127.0.0.10\"\nusers = \"users.csv\"\nalgorithms = [\"MD5\"]\n"
}

/// Its folder, with both phones in its list of users.
fn folder() -> PathBuf {
    let name = format!("throughline-users-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("users.csv"), format!("{NEAR},password,hush\n{BESIDE},password,hush\n")).expect("users");
    folder
}

/// A carrier that is a phone.
fn acme() -> baresip::Setup<'static> {
    baresip::Setup::plain("acme", ACME, WAN, FAR, ACME_HZ)
}

/// The phone of the first user.
fn one() -> baresip::Setup<'static> {
    let home = Some(("127.0.0.10", "hush"));
    baresip::Setup { registers: home, ..baresip::Setup::plain("one", "127.0.0.51", LAN, NEAR, OFFICE_HZ) }
}

fn has_registered(count: f64) {
    wait_until("every shard knows where they are", LIMIT, || http::least("throughline_registered{") >= count);
}

#[test]
fn phones_register_and_call_each_other_and_the_world() {
    namespace::enter();
    let acme = Baresip::start(&acme());
    let edge = Edge::start_in(folder(), &config());
    let other = baresip::Setup { name: "other", ip: "127.0.0.52", user: BESIDE, tone: GLOBEX_HZ, ..one() };
    let (one, other) = (Baresip::start(&one()), Baresip::start(&other));
    has_registered(2.0);
    talk(&edge, &one, FAR, &acme);
    talk(&edge, &one, BESIDE, &other);
    talk(&edge, &acme, BESIDE, &other);
}

/// Connections that phones have opened to the edge, and those that it has opened.
fn accepted_and_begun() -> (f64, f64) {
    let count = |what: &str| http::metric(&format!("throughline_streams_events_total{{what=\"{what}\"}}"));
    (count("accepted"), count("begun"))
}

/// By a stream nobody could reach the phone in any other way than by the connection it has opened (RFC 5626 §5.3), and calls of either
/// side leave it as it is.
fn by_its_connection(test: &str, home: Way, outside: Way) {
    namespace::enter();
    let authority = way::authority(test, home, outside);
    let by_udp = Way { transport: "udp", ..home };
    let files = authority.folder();
    let acme = Baresip::start(&baresip::Setup { ip: &outside.acme(), edge: &outside.wan(), ..acme() });
    let edge = Edge::start_in(folder(), &registering(&way::config(by_udp, outside, &files), by_udp));
    let registrar = format!("{};transport={}", home.lan(), home.transport);
    let one = baresip::Setup { files: &files, edge: &registrar, registers: Some((&registrar, "hush")), ..one() };
    let one = Baresip::start(&baresip::Setup { ip: &home.office(), ..one });
    has_registered(1.0);
    talk(&edge, &acme, NEAR, &one);
    talk(&edge, &one, FAR, &acme);
    talk(&edge, &acme, NEAR, &one);
    assert_eq!(accepted_and_begun(), (1.0, 0.0), "all by the one that the phone has opened");
}

#[test]
fn a_phone_by_tcp_is_called_by_its_connection() {
    by_its_connection("phone-tcp", Way::v4("tcp"), Way::v4("udp"));
}

#[test]
fn a_phone_by_tls_is_called_by_its_connection() {
    by_its_connection("phone-tls", Way::v4("tls"), Way::v4("udp"));
}

#[test]
fn a_phone_by_tcp_over_ipv6_is_called_by_its_connection() {
    by_its_connection("phone-tcp6", Way::v6("tcp"), Way::v4("udp"));
}

#[test]
fn a_phone_by_tls_over_ipv6_is_called_by_its_connection() {
    by_its_connection("phone-tls6", Way::v6("tls"), Way::v6("udp"));
}

/// RFC 5626 §4.2: whose flow is gone makes another one under the same number of it, and the old one is nobody's any more.
#[test]
fn a_phone_whose_connection_is_cut_is_called_by_its_next_one() {
    namespace::enter();
    let (home, outside) = (Way::v4("tls"), Way::v4("udp"));
    let authority = way::authority("phone-cut", home, outside);
    let files = authority.folder();
    let acme = Baresip::start(&acme());
    let edge = Edge::start_in(folder(), &registering(&way::config(outside, outside, &files), outside));
    let registrar = format!("{};transport=tls", home.lan());
    let flows = format!(";sipnat=outbound;outbound=\"sip:{registrar}\"");
    let one = baresip::Setup { files: &files, edge: &registrar, registers: Some((&registrar, "hush")), ..one() };
    let one = Baresip::start(&baresip::Setup { account: &flows, ..one });
    has_registered(1.0);
    talk(&edge, &acme, NEAR, &one);
    namespace::cut(5061);
    wait_until("it has connected again", LIMIT, || accepted_and_begun().0 >= 2.0);
    wait_until("its next one is its only one", LIMIT, || {
        http::metric("throughline_registrar_accepted") >= 2.0 && http::least("throughline_registered{") == 1.0
    });
    talk(&edge, &acme, NEAR, &one);
    talk(&edge, &one, FAR, &acme);
    assert_eq!(accepted_and_begun(), (2.0, 0.0));
    assert_eq!(http::least("throughline_registered{"), 1.0, "the old one is nobody's");
}

#[test]
fn a_phone_with_a_wrong_password_is_not_called() {
    namespace::enter();
    let acme = Baresip::start(&acme());
    let edge = Edge::start_in(folder(), &config());
    let one = Baresip::start(&baresip::Setup { registers: Some(("127.0.0.10", "guess")), ..one() });
    wait_until("it is refused", LIMIT, || http::metric("throughline_registrar_auth_failed") >= 1.0);
    acme.calls(NEAR);
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
    talk(&edge, &acme, NEAR, &office);
    talk(&edge, &office, FAR, &acme);
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
    talk(&edge, &acme, NEAR, &office);
    talk(&edge, &office, FAR, &acme);
}

/// A proxy of the carrier's is its registrar, and its nonces are old when we refresh: each refresh is challenged anew (RFC 7616 §3.3), and
/// the carrier's calls find us by what was registered.
#[test]
fn the_edge_registers_at_a_proxy_whose_nonces_grow_old() {
    namespace::enter();
    let keeps = "loadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\nmodparam(\"registrar\", \"min_expires\", 5)\n\
                 modparam(\"auth\", \"nonce_expire\", 3)\n";
    let asks = format!(
        "if (!is_method(\"REGISTER\")) {{ {TO_BEHIND} exit; }}\n\
         if (!pv_www_authenticate(\"acme.example\", \"sesame\", \"0\")) {{\n \
         xlog(\"L_ERR\", \"asks for $rc\\n\"); www_challenge(\"acme.example\", \"1\"); exit; }}\n\
         save(\"location\"); xlog(\"L_ERR\", \"keeps $ct\\n\");"
    );
    let finds = "if (!lookup(\"location\")) { sl_send_reply(\"480\", \"Not Registered\"); exit; } t_relay();";
    let proxy = kamailio::Setup { modules: keeps, ..kamailio::Setup::plain("acme", ACME, finds, BEHIND, &asks) };
    let proxy = Kamailio::start(&proxy);
    let far = Baresip::start(&baresip::Setup { ip: BEHIND, edge: "127.0.0.31:5060", ..acme() });
    let office = Baresip::start(&baresip::Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ));
    let at = "at = \"sip:127.0.0.31:5060\"";
    let more = format!(
        "auth = {{ user = \"u1001\", secret = \"env:ACME\" }}\n\
         register = {{ user = \"u1001\", domain = \"127.0.0.31\", contact_user = \"{NEAR}\", expires = \"10s\" }}"
    );
    let edge = Edge::start_knowing(&CONFIG.replace(at, &format!("{at}\n{more}")), &[("ACME", "sesame")]);
    wait_until("it was refreshed twice", LIMIT, || proxy.said("keeps ") >= 3);
    talk(&edge, &far, "u1001", &office);
    talk(&edge, &office, FAR, &far);
    assert!(proxy.said("asks for -4") >= 2, "{}", proxy.log());
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
    hear_each_other(&office, &globex);
    office.rests();
    rests(&edge);
    let tried: Vec<String> = attempts(&recorded(1)[0]).into_iter().map(|(trunk, _)| trunk).collect();
    assert_eq!(tried, ["acme", "globex"]);
}
