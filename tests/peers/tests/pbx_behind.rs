//! A phone that registers through the edge at a PBX of two nodes: who it is says the PBX, where it is knows the edge, and a node that dies
//! takes nobody's calls with it.
#![allow(clippy::expect_used)]

use interop::edge::Edge;
use interop::{http, namespace, wait_until};
use peers::asterisk::{ANSWERS, Asterisk, Setup};
use peers::baresip::{self, Baresip};
use peers::matrix::{LAN, LIMIT, rests};
use peers::party::{Party, hear_each_other, talk};

const FIRST: &str = "127.0.0.21";
const SECOND: &str = "127.0.0.22";
const PHONE_HZ: u16 = 1_300;
const FIRST_HZ: u16 = 440;
const SECOND_HZ: u16 = 850;

const CONFIG: &str = r#"
[edge]
data = "DATA"

[listen.lan]
sip = ["udp:127.0.0.10:5060"]
media = "127.0.0.10:20000-20999"

[trunk.pbx]
at = ["sip:127.0.0.21:5060", "sip:127.0.0.22:5060"]
listen = "lan"
challenge = "pass"

[trunk.phones]
at = "registered"
listen = "lan"

[registrar]
listen = "lan"
realm = "127.0.0.10"
behind = "pbx"

[group.phones]
tiers = [["phones"]]
alone = true

[group.pbx]
tiers = [["pbx"]]
alone = true

[[route]]
from = ["pbx"]
to = "phones"

[[route]]
from = ["phones"]
to = "pbx"
"#;

/// What every node of the PBX has of the phone: it is asked for its password for whatever it sends, wherever that comes from.
const PHONE: &str = "[global]\ntype=global\nendpoint_identifier_order=username,ip\n\
    [201]\ntype=aor\nmax_contacts=1\nremove_existing=yes\n[201]\ntype=auth\nauth_type=userpass\nusername=201\npassword=hush\n\
    [201]\ntype=endpoint\ntransport=main\ncontext=inbound\naors=201\nauth=201\ndisallow=all\nallow=alaw,ulaw\ndirect_media=no\n";

fn node(name: &str, ip: &str, tone: u16) -> Asterisk {
    Asterisk::start(&Setup { sections: PHONE, inbound: ANSWERS, ..Setup::plain(name, ip, LAN, tone) })
}

fn knows_the_phone(node: &Asterisk) -> bool {
    node.command("pjsip show contacts").contains("201/sip:201~")
}

/// Both ways, with each heard by the other. The PBX calls the phone by where it has registered, which only an extension of its own says.
fn call_each_other(edge: &Edge, phone: &Baresip, node: &Asterisk) {
    node.command("channel originate PJSIP/201 extension talk@outbound");
    hear_each_other(phone, node);
    phone.hangs_up();
    node.rests();
    rests(edge);
    talk(edge, phone, "9", node);
}

#[test]
fn a_phone_registers_at_the_second_node_of_a_pbx_when_the_first_dies() {
    namespace::enter();
    let (first, second) = (node("first", FIRST, FIRST_HZ), node("second", SECOND, SECOND_HZ));
    let edge = Edge::start(CONFIG);
    let registers = Some(("127.0.0.10", "hush"));
    let plain = baresip::Setup::plain("phone", "127.0.0.51", LAN, "201", PHONE_HZ);
    let phone = Baresip::start(&baresip::Setup { registers, ..plain });
    wait_until("the phone has registered at the first node", LIMIT, || knows_the_phone(&first));
    call_each_other(&edge, &phone, &first);
    assert!(!knows_the_phone(&second));
    first.kill();
    // It would renew by itself, within the minute that it was granted.
    phone.command("uareg", "60 0");
    wait_until("the phone has registered at the second node", LIMIT, || knows_the_phone(&second));
    wait_until("it is told", LIMIT, || http::get("/v1/alarms").to_string().contains("registrar_moved"));
    call_each_other(&edge, &phone, &second);
    assert_eq!(http::metric("throughline_registrar_unserved"), 0.0);
}
