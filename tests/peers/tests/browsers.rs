//! Phones in pages: JsSIP in Chromium by WebSocket under TLS, registered at the edge, with each other and with a carrier by UDP.
//!
//! Where the edge anchors nothing the browsers' audio goes from one to the other under keys that they agree on by descriptions which the edge
//! passes untouched. Where it anchors, each page talks to the edge by ICE and DTLS-SRTP, and the other side to it as it can.
#![allow(clippy::expect_used)]

use interop::certificates::{Authority, Valid};
use interop::edge::Edge;
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use peers::baresip::{self, Baresip};
use peers::browser::{Browser, Setup};
use peers::matrix::{ACME, ENOUGH_MS, FAR, LIMIT, WAN, attempts, recorded, rests};
use peers::party::{Party, hear_each_other};
use peers::site::Site;

const SITE: &str = "127.0.0.60:8080";
const ONE: Setup<'_> =
    Setup { user: "201", secret: "hush", realm: "phone.example", edge: "127.0.0.10:5063", tone: 440, answers: true };
/// A phone by UDP that can talk to pages.
const OUTSIDE: &str = "192.0.2.70";
const PHONE_HZ: u16 = 850;
const OTHER: Setup<'_> = Setup { user: "202", tone: 1_300, ..ONE };

/// JsSIP knows digests of MD5 alone.
const CONFIG: &str = r#"
[edge]
data = "DATA"
[listen.lan]
sip = ["udp:127.0.0.10:5060", "wss:127.0.0.10:5063"]
tls = { certificate = "FILES/lan.pem", key = "FILES/lan.key" }
origins = ["http://127.0.0.60:8080"]
[listen.wan]
sip = ["udp:127.0.0.11:5060"]
[trunk.phones]
at = "registered"
listen = "lan"
[trunk.acme]
at = "sip:127.0.0.31:5060"
listen = "wan"
[group.phones]
tiers = [["phones"]]
alone = true
[group.carriers]
tiers = [["acme"]]
alone = true
[[route]]
from = ["phones"]
prefixes = ["20"]
to = "phones"
[[route]]
from = ["phones"]
to = "carriers"
[[route]]
from = ["acme"]
to = "phones"
[registrar]
listen = "lan"
realm = "phone.example"
algorithms = ["MD5"]
users = "users.csv"
"#;

/// The edge, with certificates of this authority, both phones among its users, and its carrier here.
fn edge(authority: &Authority, carrier: &str) -> Edge {
    edge_of(authority, &CONFIG.replace("127.0.0.31", carrier))
}

/// The same, and all audio passes it; the carrier's is secured so.
fn anchoring(authority: &Authority, srtp: &str) -> Edge {
    let config = [("lan", "10:20000-20999"), ("wan", "11:30000-30999")].iter().fold(
        CONFIG.to_owned(),
        |config, (listen, media)| {
            config
                .replace(&format!("[listen.{listen}]\n"), &format!("[listen.{listen}]\nmedia = \"127.0.0.{media}\"\n"))
        },
    );
    edge_of(authority, &config.replace("[trunk.acme]\n", &format!("[trunk.acme]\nsrtp = \"{srtp}\"\n")))
}

fn edge_of(authority: &Authority, config: &str) -> Edge {
    authority.issue("lan", "127.0.0.10", Valid::Now);
    let name = format!("throughline-pages-{}-{:?}", std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("users.csv"), "201,password,hush\n202,password,hush\n").expect("users");
    Edge::start_in(folder, &config.replace("FILES", &authority.folder()))
}

/// A page that has registered.
fn phone<'a>(site: &'a Site, setup: &Setup<'_>) -> Browser<'a> {
    let phone = Browser::open(site, setup);
    phone.says("registered");
    phone
}

#[test]
fn pages_register_and_call_each_other_both_ways() {
    namespace::enter();
    let authority = Authority::new("pages");
    let (site, edge) = (Site::serve(SITE), edge(&authority, ACME));
    let (one, other) = (phone(&site, &ONE), phone(&site, &OTHER));
    for (caller, number, callee) in [(&one, "202", &other), (&other, "201", &one)] {
        caller.calls(number);
        caller.says("talks");
        hear_each_other(&one, &other);
        callee.hangs_up();
        callee.says("ended local");
        caller.says("ended remote Terminated");
        rests(&edge);
    }
    for page in [&one, &other] {
        wait_until("the audio of both calls was protected", LIMIT, || {
            let said = site.said(page.user());
            said.iter().filter(|line| line.starts_with("audio dtls connected ")).count() == 2
        });
    }
    // And the caller hangs up.
    one.calls("202");
    other.says("talks");
    hear_each_other(&one, &other);
    one.hangs_up();
    other.says("ended remote Terminated");
    rests(&edge);
    let outcomes: Vec<_> = recorded(3).iter().flat_map(attempts).collect();
    assert_eq!(outcomes, vec![("phones".to_owned(), "answered".to_owned()); 3]);
}

/// A hold is silence both ways, whoever asked for it, and ends when its side resumes.
#[test]
fn a_call_of_pages_is_held_and_resumed_by_either_side() {
    namespace::enter();
    let authority = Authority::new("pages-hold");
    let (site, edge) = (Site::serve(SITE), edge(&authority, ACME));
    let (one, other) = (phone(&site, &ONE), phone(&site, &OTHER));
    one.calls("202");
    other.says("talks");
    hear_each_other(&one, &other);
    for (holder, held) in [(&one, &other), (&other, &one)] {
        holder.told("hold");
        holder.says("holds");
        held.says("hold remote");
        holder.says("silence");
        held.says("silence");
        holder.told("resume");
        holder.says("resumed");
        held.says("unhold remote");
        hear_each_other(&one, &other);
    }
    one.hangs_up();
    other.says("ended remote Terminated");
    rests(&edge);
}

/// The page rings on; the caller gives up. The next time it refuses, and that is what the caller is told.
#[test]
fn a_page_gives_up_and_another_refuses() {
    namespace::enter();
    let authority = Authority::new("pages-refuse");
    let (site, edge) = (Site::serve(SITE), edge(&authority, ACME));
    let (one, other) = (phone(&site, &ONE), phone(&site, &Setup { answers: false, ..OTHER }));
    one.calls("202");
    one.says("progress remote");
    one.hangs_up();
    other.says("failed remote Canceled");
    one.says("failed local Canceled");
    rests(&edge);
    one.calls("202");
    one.says("progress remote");
    other.told("refuse");
    one.says("failed remote Busy");
    rests(&edge);
}

/// By WebSocket on one side and UDP on the other, and the audio is theirs alone.
#[test]
fn a_page_and_a_phone_by_udp_call_each_other() {
    namespace::enter();
    namespace::has_address(OUTSIDE);
    let authority = Authority::new("pages-phone");
    let (site, edge) = (Site::serve(SITE), edge(&authority, OUTSIDE));
    let setup = baresip::Setup::plain("acme", OUTSIDE, WAN, FAR, PHONE_HZ);
    let (one, acme) = (phone(&site, &ONE), Baresip::start_for_pages(&setup));
    one.calls(FAR);
    one.says("talks");
    hear_each_other(&one, &acme);
    one.hangs_up();
    one.says("ended local");
    rests(&edge);
    is_called_and_left(&one, &acme, &edge);
    let outcomes: Vec<_> = recorded(2).iter().flat_map(attempts).collect();
    assert_eq!(outcomes, [("acme", "answered"), ("phones", "answered")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

/// A carrier without DTLS cannot talk to a page: the page ends the call that was answered so, and refuses the one that is offered so. Both are
/// whole calls to the edge, by WebSocket on one side and UDP on the other.
#[test]
fn a_page_and_a_carrier_without_dtls_part_decently() {
    namespace::enter();
    let authority = Authority::new("pages-carrier");
    let (site, edge) = (Site::serve(SITE), edge(&authority, ACME));
    let one = phone(&site, &ONE);
    let carrier = Sipp::server("server", ACME);
    one.calls(FAR);
    one.says("failed remote Bad Media Description");
    rests(&edge);
    wait_until("the carrier's call has ended", LIMIT, || carrier.counts() == (1, 0));
    drop(carrier);
    let mut carrier = Sipp::caller("caller_expects_488", ACME, "127.0.0.11:5060", "201", 1, 1);
    one.says("failed system WebRTC Error");
    assert!(carrier.finished(LIMIT), "{}\n{}", carrier.errors(), edge.log());
    rests(&edge);
}

/// The carrier calls the page, both hear each other, and the carrier hangs up.
fn is_called_and_left(one: &Browser, acme: &Baresip, edge: &Edge) {
    acme.calls("201");
    one.says("talks");
    hear_each_other(one, acme);
    acme.hangs_up();
    one.says("ended remote Terminated");
    rests(edge);
}

/// A page and a carrier whose audio is secured so, and that speaks this codec, call each other through the anchor; the page holds and resumes.
fn anchored(srtp: &str, setup: &baresip::Setup<'_>) {
    namespace::enter();
    let authority = Authority::new(&format!("pages-{srtp}"));
    let (site, edge) = (Site::serve(SITE), anchoring(&authority, srtp));
    let (one, acme) = (phone(&site, &ONE), Baresip::start(setup));
    one.calls(FAR);
    one.says("talks");
    hear_each_other(&one, &acme);
    one.told("hold");
    one.says("holds");
    one.says("silence");
    one.told("resume");
    one.says("resumed");
    // baresip keeps what it hears until it is first held.
    one.hears(acme.tone(), ENOUGH_MS);
    one.hangs_up();
    one.says("ended local");
    rests(&edge);
    is_called_and_left(&one, &acme, &edge);
    let protected = site.said(one.user()).iter().filter(|line| line.starts_with("audio dtls connected ")).count();
    assert_eq!(protected, 2, "the page's audio of both calls is protected");
    let outcomes: Vec<_> = recorded(2).iter().flat_map(attempts).collect();
    assert_eq!(outcomes, [("acme", "answered"), ("phones", "answered")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn a_page_and_a_plain_carrier_talk_through_the_anchor() {
    anchored("off", &baresip::Setup::plain("acme", ACME, WAN, FAR, PHONE_HZ));
}

/// Nobody has said anything of security, and the page is served as it must be.
#[test]
fn a_page_and_a_carrier_with_opus_talk_through_the_anchor() {
    let setup = baresip::Setup::plain("acme", ACME, WAN, FAR, PHONE_HZ);
    anchored("pass", &baresip::Setup { codecs: "opus/48000/2", ..setup });
}

#[test]
fn a_page_and_a_carrier_with_keys_in_descriptions_talk_through_the_anchor() {
    let setup = baresip::Setup::plain("acme", ACME, WAN, FAR, PHONE_HZ);
    anchored("sdes", &baresip::Setup { security: "srtp-mand", ..setup });
}

/// Each of the two has keys of its own with the edge.
#[test]
fn pages_talk_to_each_other_through_the_anchor() {
    namespace::enter();
    let authority = Authority::new("pages-both");
    let (site, edge) = (Site::serve(SITE), anchoring(&authority, "pass"));
    let (one, other) = (phone(&site, &ONE), phone(&site, &OTHER));
    for (caller, number, callee) in [(&one, "202", &other), (&other, "201", &one)] {
        caller.calls(number);
        caller.says("talks");
        hear_each_other(&one, &other);
        callee.hangs_up();
        callee.says("ended local");
        caller.says("ended remote Terminated");
        rests(&edge);
    }
    assert!(http::metric("throughline_media_checks_total") > 0.0, "their checks were answered here");
}

/// RFC 8445 §9: a page begins ICE anew, as one does whose machine has changed its network. It is met where it is now, under the keys there are.
#[test]
fn a_page_that_begins_ice_anew_is_met_where_it_is_now() {
    namespace::enter();
    let authority = Authority::new("pages-restart");
    let (site, edge) = (Site::serve(SITE), anchoring(&authority, "pass"));
    let (one, other) = (phone(&site, &ONE), phone(&site, &OTHER));
    one.calls("202");
    one.says("talks");
    hear_each_other(&one, &other);
    for page in [&one, &other] {
        page.told("restart");
        page.says("restarted");
        hear_each_other(&one, &other);
    }
    one.hangs_up();
    other.says("ended remote Terminated");
    rests(&edge);
}

/// A page of elsewhere is loaded by the same browser in the same network, and stays out.
#[test]
fn a_page_of_another_origin_stays_out() {
    namespace::enter();
    let authority = Authority::new("pages-origin");
    let (site, _edge) = (Site::serve("127.0.0.61:8080"), edge(&authority, ACME));
    let page = Browser::open(&site, &ONE);
    page.says("disconnected");
    assert!(http::metric("throughline_streams_events_total{what=\"refused_origin\"}") >= 1.0);
    assert_eq!(http::metric("throughline_registered"), 0.0);
}
