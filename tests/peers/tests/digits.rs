//! Digits between peers that tell of them in different ways: each arrives once, in order, as long as it was pressed; and a backup that
//! differs from the primary in codec and in digits is heard and gets its digits.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::namespace;
use interop::sipp::Sipp;
use peers::asterisk::{Asterisk, Setup};
use peers::baresip::{self, Baresip};
use peers::matrix::{ACME, ENOUGH_MS, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, WAN, attempts, recorded, rests};
use peers::party::{Party, hear_each_other};
use peers::pressed::{By, pressed};
use peers::spoken::Spoken;
use peers::wire::Wire;

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;

/// All keys, and one of them twice in a row.
const KEYS: &str = "0123456789*#ABCD11";
/// The same for who takes `#` for the end.
const NUMBER: &str = "0123456789*ABCD11";
/// How long each is pressed, and how long none is afterwards.
const PRESSED_MS: u32 = 120;
const GAP_MS: u32 = 160;
/// How much longer or shorter a digit may arrive: a packet; and one more where its length is heard, in pieces of 12.75 ms by Asterisk.
const NEAR_MS: u32 = 20;
const NEAR_HEARD_MS: u32 = 40;

/// How a peer tells of digits, as Asterisk has it and as a trunk has it.
#[derive(Clone, Copy)]
struct Told {
    endpoint: &'static str,
    trunk: &'static str,
    by: By,
}

const EVENTS: Told = Told { endpoint: "dtmf_mode=rfc4733\n", trunk: "rfc4733", by: By::Events };
const INFO: Told = Told { endpoint: "dtmf_mode=info\n", trunk: "info", by: By::Info };
const TONES: Told = Told { endpoint: "dtmf_mode=inband\n", trunk: "inband", by: By::Tones };

fn trunk(config: &str, name: &str, lines: &str) -> String {
    config.replace(&format!("[trunk.{name}]\n"), &format!("[trunk.{name}]\n{lines}\n"))
}

fn dtmf(told: &Told) -> String {
    format!("dtmf = \"{}\"", told.trunk)
}

/// A call that is answered, goes through these steps, and then plays its tone.
fn answers(extension: &str, steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|step| format!(" same => n,{step}\n")).collect();
    format!(
        "exten => {extension},1,Answer()\n same => n,Gosub(record,s,1)\n{steps} same => n,PlayTones(TONE)\n same => n,Wait(60)\n"
    )
}

fn presses(keys: &str) -> String {
    format!("SendDTMF({keys},{GAP_MS},{PRESSED_MS})")
}

/// Takes whatever is pressed, `#` too, until nothing is for so many seconds.
fn reads(patience_s: u32) -> String {
    format!("Read(digits,,,t(),,{patience_s})\n same => n,Log(NOTICE,read ${{digits}} at all)")
}

/// It was told of all keys, each once and as long as it was pressed at the other side.
fn was_told(listener: &Asterisk, by: By, other: &Wire, how: By) {
    listener.says(&format!("read {KEYS} at all"));
    let (digits, sent) = (listener.digits(), pressed(other, how));
    let keys: String = digits.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, KEYS);
    let near = if by == By::Tones || how == By::Tones { NEAR_HEARD_MS } else { NEAR_MS };
    let all_near = digits.iter().zip(&sent).all(|((_, came), left)| came.abs_diff(*left) <= near);
    assert!(sent.len() >= KEYS.len() && all_near, "by {how:?} {sent:?}, by {by:?} {digits:?}");
}

/// The PBX presses all keys, then the carrier does, and both hear each other afterwards. Not both at once: an Asterisk that presses a key
/// says so once more for each packet it gets, and two of them drive each other into a storm.
fn meet(office_tells: &Told, acme_tells: &Told) {
    namespace::enter();
    // The one who waits for the carrier's keys is the more patient.
    let calls = answers("send", &["Wait(1)", &presses(KEYS), &reads(10)]);
    let takes = answers("_[+0-9]!", &[&reads(4), &presses(KEYS)]);
    // Asterisk hears nothing at all where nothing is sent: one key twice is one to it, and the last never ends. Where the edge makes the
    // tones it sees to that; where they pass as they are, the sender has to send silence.
    let silence = if office_tells.by == acme_tells.by { "transmit_silence = yes\n" } else { "" };
    let office = Setup {
        inbound: &calls,
        endpoint: office_tells.endpoint,
        options: silence,
        ..Setup::plain("office", OFFICE, LAN, OFFICE_HZ)
    };
    let acme = Setup {
        inbound: &takes,
        endpoint: acme_tells.endpoint,
        options: silence,
        ..Setup::plain("acme", ACME, WAN, ACME_HZ)
    };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme));
    let (by_office, by_acme) = (Wire::all_from(OFFICE), Wire::all_from(ACME));
    let edge = Edge::start(&trunk(&trunk(CONFIG, "office", &dtmf(office_tells)), "acme", &dtmf(acme_tells)));
    office.command(&format!("channel originate PJSIP/{FAR}@edge extension send@inbound"));
    was_told(&acme, acme_tells.by, &by_office, office_tells.by);
    was_told(&office, office_tells.by, &by_acme, acme_tells.by);
    hear_each_other(&office, &acme);
    office.hangs_up();
    rests(&edge);
}

#[test]
fn events_meet_events() {
    meet(&EVENTS, &EVENTS);
}

#[test]
fn events_meet_info() {
    meet(&EVENTS, &INFO);
}

#[test]
fn events_meet_tones() {
    meet(&EVENTS, &TONES);
}

#[test]
fn info_meets_events() {
    meet(&INFO, &EVENTS);
}

#[test]
fn info_meets_info() {
    meet(&INFO, &INFO);
}

#[test]
fn info_meets_tones() {
    meet(&INFO, &TONES);
}

#[test]
fn tones_meet_events() {
    meet(&TONES, &EVENTS);
}

#[test]
fn tones_meet_info() {
    meet(&TONES, &INFO);
}

#[test]
fn tones_meet_tones() {
    meet(&TONES, &TONES);
}

/// A phone that speaks all the while presses keys for a carrier's IVR, which reads them otherwise.
fn phone_meets(acme_tells: &Told) {
    namespace::enter();
    let office = Baresip::start(&baresip::Setup::plain("office", OFFICE, LAN, NEAR, OFFICE_HZ));
    let takes = answers("_[+0-9]!", &[&reads(4), &presses(KEYS)]);
    let acme = Setup { inbound: &takes, endpoint: acme_tells.endpoint, ..Setup::plain("acme", ACME, WAN, ACME_HZ) };
    let acme = Asterisk::start(&acme);
    let edge = Edge::start(&trunk(&trunk(CONFIG, "office", &dtmf(&EVENTS)), "acme", &dtmf(acme_tells)));
    office.calls(FAR);
    office.says("Call established");
    for (pressed, key) in KEYS.char_indices() {
        office.command("sndcode", &key.to_string());
        interop::wait_until("the digit arrives", LIMIT, || acme.digits().len() > pressed);
    }
    acme.says(&format!("read {KEYS} at all"));
    interop::wait_until("the carrier's digits arrive", LIMIT, || office.digits().len() >= KEYS.len());
    hear_each_other(&office, &acme);
    assert_eq!(office.digits(), KEYS);
    office.hangs_up();
    rests(&edge);
}

#[test]
fn a_phone_that_sends_events_meets_tones() {
    phone_meets(&TONES);
}

#[test]
fn a_phone_that_sends_events_meets_info() {
    phone_meets(&INFO);
}

/// An IVR: what is entered up to `#`.
fn enters() -> String {
    answers("_[+0-9]!", &["Read(digits,,,,,15)", "Log(NOTICE,entered ${digits} ${READSTATUS})"])
}

/// Two carriers with an IVR each: the first speaks A-law and reads events, and the second as given, in codec and digits.
fn carriers(codec: &str, allow: &str, told: &Told) -> (Asterisk, Asterisk, Edge) {
    let enters = enters();
    let acme = Setup { inbound: &enters, endpoint: EVENTS.endpoint, ..Setup::plain("acme", ACME, WAN, ACME_HZ) };
    let endpoint = format!("{}disallow=all\nallow={allow}\n", told.endpoint);
    let globex = Setup { inbound: &enters, endpoint: &endpoint, ..Setup::plain("globex", GLOBEX, WAN, GLOBEX_HZ) };
    let (acme, globex) = (Asterisk::start(&acme), Asterisk::start(&globex));
    let has = |codec: &str, told: &Told| format!("codecs = [\"{codec}\"]\n{}", dtmf(told));
    let edge = Edge::start(&trunk(&trunk(CONFIG, "acme", &has("PCMA", &EVENTS)), "globex", &has(codec, told)));
    (acme, globex, edge)
}

/// A PBX calls the IVR of the primary, which then dies, and that of the backup. (Not by tones in G.722: Asterisk finds them in G.711 alone.)
fn backup(codec: &str, allow: &str, told: &Told) {
    namespace::enter();
    let calls = answers("send", &["Wait(1)", &presses(&format!("{NUMBER}#"))]);
    let office = Setup { inbound: &calls, endpoint: EVENTS.endpoint, ..Setup::plain("office", OFFICE, LAN, OFFICE_HZ) };
    let office = Asterisk::start(&office);
    let (acme, globex, edge) = carriers(codec, allow, told);
    for (calls, (carrier, name)) in [(&acme, "acme"), (&globex, "globex")].into_iter().enumerate() {
        office.command(&format!("channel originate PJSIP/{FAR}@edge extension send@inbound"));
        carrier.says(&format!("entered {NUMBER} OK"));
        hear_each_other(&office, carrier);
        office.hangs_up();
        rests(&edge);
        let tried = recorded(calls + 1).last().map(attempts).unwrap_or_default();
        assert_eq!(tried.last(), Some(&(name.to_owned(), "answered".to_owned())), "{tried:?}");
        acme.kill();
    }
}

#[test]
fn a_backup_with_g722_and_info_is_heard_and_its_ivr_gets_its_digits() {
    backup("G722", "g722", &INFO);
}

#[test]
fn a_backup_with_mu_law_and_tones_is_heard_and_its_ivr_gets_its_digits() {
    backup("PCMU", "ulaw", &TONES);
}

#[test]
fn a_caller_of_another_maker_is_heard_by_the_ivr_of_a_backup_with_mu_law_and_tones() {
    namespace::enter();
    let (acme, globex, edge) = carriers("PCMU", "ulaw", &TONES);
    acme.kill();
    let to_caller = Wire::from("127.0.0.10");
    let pause = 200;
    let spoken = Spoken::new()
        .tone(OFFICE_HZ, 2 * ENOUGH_MS)
        .tone(0, pause)
        .keys(&format!("{NUMBER}#"), PRESSED_MS, GAP_MS)
        .tone(OFFICE_HZ, 2 * ENOUGH_MS);
    let _caller = Sipp::caller_playing("caller_plays", OFFICE, LAN, FAR, &spoken.capture());
    globex.says(&format!("entered {NUMBER} OK"));
    to_caller.carries(GLOBEX_HZ, ENOUGH_MS);
    globex.hears(OFFICE_HZ, ENOUGH_MS);
    let keys: String = globex.digits().iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, format!("{NUMBER}#"));
    assert!(globex.heard_of(OFFICE_HZ) >= 3 * ENOUGH_MS, "before and after: {:?}", globex.heard());
    globex.hangs_up();
    rests(&edge);
}
