//! What one trunk is told of a call from another, clause by clause.

use super::*;
use std::string::String;
use std::{format, vec};

/// A trunk outside the trust domain.
fn stranger() -> Interworking {
    let identity = IdentityPolicy { trust: false, ..IdentityPolicy::NEUTRAL };
    Interworking { identity, ..Interworking::NEUTRAL }
}

fn numbers(form: NumberForm) -> NumberPolicy {
    NumberPolicy { form, country: b"47".to_vec(), international: b"00".to_vec(), ..NumberPolicy::NEUTRAL }
}

fn patterns(names: &[&str]) -> Vec<HeaderPattern> {
    names.iter().map(|name| HeaderPattern::new(name).unwrap()).collect()
}

fn message(start: &str, from: &str, extra: &str) -> Message {
    let method = if start.starts_with("BYE") { "BYE" } else { "INVITE" };
    let text = format!(
        "{start}\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\nFrom: {from};tag=1\r\nTo: <sip:+4755@192.0.2.10>\r\n\
         Call-ID: x\r\nCSeq: 1 {method}\r\nContact: <sip:201@10.0.0.9>;+sip.instance=\"<urn:uuid:1>\";pn-provider=apns\r\n{extra}\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

/// From and what passes of an INVITE, and whether its signature was left behind.
fn invited(from: &str, extra: &str, by: &Interworking, to: &Interworking) -> (String, bool) {
    let invite = message("INVITE sip:+4755@192.0.2.10 SIP/2.0", from, extra);
    let crossing = Crossing { from: by, to, emergency: false };
    let shown = Shown::of(&invite, &crossing, &by.numbers.read(b"+4755"), b"edge");
    let mut out = HeaderLines::new();
    shown.push_from(&crossing, b"t", &mut out);
    let broken = crossed(&invite, &crossing, Some(&shown), &mut out);
    (String::from_utf8(out.as_bytes().to_vec()).unwrap(), broken)
}

fn crossed(message: &Message, crossing: &Crossing<'_>, shown: Option<&Shown>, out: &mut HeaderLines) -> bool {
    let passing = message.headers().filter(|header| !crate::b2bua::is_of_a_leg(header.raw_name));
    cross(message, passing, crossing, shown, out)
}

const ANN: &str = "\"Ann\" <sip:+4711@10.0.0.9;x=y>";

#[test]
fn nothing_is_told_of_the_callers_host_and_contact() {
    let (text, _) = invited(ANN, "X-Account: 7\r\n folded\r\n", &Interworking::NEUTRAL, &Interworking::NEUTRAL);
    assert_eq!(text, "From: \"Ann\" <sip:+4711@edge>;tag=t\r\nX-Account: 7\r\n folded\r\n");
    let (text, _) = invited("sip:10.0.0.9", "", &Interworking::NEUTRAL, &Interworking::NEUTRAL);
    assert_eq!(text, "From: <sip:edge>;tag=t\r\n");
    let nobody = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
    let (text, _) = invited(nobody, "", &Interworking::NEUTRAL, &Interworking::NEUTRAL);
    assert_eq!(text, format!("From: {nobody};tag=t\r\n"));
}

#[test]
fn an_identity_is_asserted_inside_the_trust_domain_only_rfc_3325_5() {
    let (trusted, stranger) = (Interworking::NEUTRAL, stranger());
    let pai = "P-Asserted-Identity: \"Ann\" <sip:+4799@pbx>, <tel:+4799>\r\nP-Preferred-Identity: <sip:+4798@pbx>\r\n\
               Remote-Party-ID: <sip:+4797@pbx>;party=calling\r\nP-Charging-Vector: icid-value=1\r\n";
    let (text, _) = invited(ANN, pai, &trusted, &trusted);
    for part in pai.split("\r\n") {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (text, _) = invited(ANN, pai, &trusted, &stranger);
    assert_eq!(text, "From: \"Ann\" <sip:+4711@edge>;tag=t\r\n");
    // What a stranger asserts is not believed either; what he would like to be called is for whoever can verify it (§9.2).
    let (text, _) = invited(ANN, pai, &stranger, &trusted);
    assert_eq!(text, "From: \"Ann\" <sip:+4711@edge>;tag=t\r\nP-Preferred-Identity: <sip:+4798@pbx>\r\n");
}

#[test]
fn privacy_is_done_at_the_border_rfc_3323_4_1_1_3() {
    let (trusted, stranger) = (Interworking::NEUTRAL, stranger());
    let hidden = "Privacy: id\r\nP-Asserted-Identity: <sip:+4799@pbx>\r\nSubject: lunch\r\nDiversion: <sip:202@pbx>\r\n\
                  X-Account: 7\r\n";
    let (text, _) = invited(ANN, hidden, &trusted, &stranger);
    assert_eq!(text, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=t\r\nX-Account: 7\r\n");
    // Inside the domain everyone knows, and the wish goes along (RFC 3325 §7).
    let (text, _) = invited(ANN, hidden, &trusted, &trusted);
    assert!(
        text.contains("sip:+4711@edge") && text.contains("Privacy: id") && text.contains("sip:+4799@pbx"),
        "{text}"
    );
    // `none` is a wish too, and nothing is hidden by it.
    let (text, _) = invited(ANN, "Privacy: none\r\nSubject: lunch\r\n", &trusted, &stranger);
    assert_eq!(text, "From: \"Ann\" <sip:+4711@edge>;tag=t\r\nSubject: lunch\r\n");
    let passing = Interworking {
        identity: IdentityPolicy { honours_privacy: false, ..stranger.identity.clone() },
        ..Interworking::NEUTRAL
    };
    let (text, _) = invited(ANN, hidden, &trusted, &passing);
    assert!(text.contains("sip:+4711@edge") && text.contains("Privacy: id") && !text.contains("+4799"), "{text}");
}

#[test]
fn critical_privacy_is_done_or_the_call_refused_rfc_3323_5() {
    let (trusted, stranger) = (Interworking::NEUTRAL, stranger());
    let hides = |privacy: &str, to: &Interworking, anchored: bool| {
        let invite = message("INVITE sip:1@e SIP/2.0", ANN, &format!("Privacy: {privacy}\r\n"));
        !cannot_hide(&invite, &Crossing { from: &trusted, to, emergency: false }, anchored)
    };
    assert!(hides("id;critical", &stranger, false) && hides("header; user; critical", &stranger, false));
    assert!(hides("session;critical", &stranger, true) && !hides("session;critical", &stranger, false));
    assert!(hides("session", &stranger, false), "not insisted on");
    assert!(!hides("x-new;critical", &stranger, true) && hides("x-new;critical", &trusted, true));
}

#[test]
fn from_and_assertion_take_the_form_the_trunk_wants() {
    let with = |change: fn(&mut IdentityPolicy)| {
        let mut terms = Interworking::NEUTRAL;
        terms.identity.fallback = b"+4722334455".to_vec();
        change(&mut terms.identity);
        invited(ANN, "P-Asserted-Identity: \"A\" <sip:+4799@pbx>\r\n", &Interworking::NEUTRAL, &terms).0
    };
    assert_eq!(
        with(|identity| (identity.from, identity.pai) = (FromForm::Number, Assertion::Strip)),
        "From: <sip:+4711@edge>;tag=t\r\n"
    );
    assert_eq!(
        with(|identity| (identity.from, identity.pai) = (FromForm::Asserted, Assertion::From)),
        "From: \"A\" <sip:+4799@edge>;tag=t\r\nP-Asserted-Identity: \"A\" <sip:+4799@edge>\r\n"
    );
    assert_eq!(
        with(|identity| (identity.from, identity.pai) = (FromForm::Fallback, Assertion::Fallback)),
        "From: <sip:+4722334455@edge>;tag=t\r\nP-Asserted-Identity: <sip:+4722334455@edge>\r\n"
    );
    // 99 is ours to show there, 11 is not.
    assert_eq!(
        with(|identity| identity.callers = vec![b"+4799".to_vec()]),
        "From: <sip:+4722334455@edge>;tag=t\r\nP-Asserted-Identity: \"A\" <sip:+4799@pbx>\r\n"
    );
    let mut terms = Interworking::NEUTRAL;
    terms.identity.fallback = b"+4722334455".to_vec();
    let (text, _) = invited("<sip:201@10.0.0.9>", "", &Interworking::NEUTRAL, &terms);
    assert_eq!(text, "From: <sip:+4722334455@edge>;tag=t\r\n", "an extension is nobody outside");
}

#[test]
fn remote_party_id_becomes_an_assertion_and_back() {
    let mut old = Interworking::NEUTRAL;
    old.identity.rpid = RemoteParty::Convert;
    let said = "Remote-Party-ID: \"A\" <sip:+4799@pbx>;party=calling;privacy=full\r\n";
    let (text, _) = invited(ANN, said, &old, &Interworking::NEUTRAL);
    assert!(text.contains("P-Asserted-Identity: \"A\" <sip:+4799@pbx>\r\nPrivacy: id\r\n"), "{text}");
    assert!(!text.contains("Remote-Party-ID"), "{text}");
    let (text, _) = invited(ANN, said, &old, &stranger());
    assert_eq!(text, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=t\r\n");
    let said = "P-Asserted-Identity: <sip:+4799@pbx>\r\nPrivacy: id\r\n";
    let (text, _) = invited(ANN, said, &Interworking::NEUTRAL, &old);
    assert!(text.contains("Remote-Party-ID: <sip:+4799@pbx>;party=calling;privacy=full;screen=yes\r\n"), "{text}");
    assert!(!text.contains("P-Asserted-Identity"), "{text}");
}

#[test]
fn every_number_takes_the_form_of_its_reader() {
    let by = Interworking { numbers: numbers(NumberForm::National), ..Interworking::NEUTRAL };
    let to = Interworking { numbers: numbers(NumberForm::E164), ..Interworking::NEUTRAL };
    let extra = "P-Asserted-Identity: \"22334455\" <sip:22334455@pbx;user=phone>, <tel:004633445566>\r\n\
                 Diversion: <sip:33445566@pbx>;reason=no-answer;counter=1\r\n";
    let (text, _) = invited("\"22334455\" <sip:22334455@10.0.0.9>", extra, &by, &to);
    assert_eq!(
        text,
        "From: \"22334455\" <sip:4722334455@edge>;tag=t\r\n\
         P-Asserted-Identity: \"22334455\" <sip:4722334455@pbx;user=phone>\r\n\
         P-Asserted-Identity: <tel:4633445566>\r\n\
         Diversion: <sip:4733445566@pbx>;reason=no-answer;counter=1\r\n"
    );
}

#[test]
fn diversion_and_history_are_made_from_each_other_rfc_7544_5_6() {
    let told = |form, extra: &str| {
        let mut terms = Interworking::NEUTRAL;
        terms.identity.diversion = form;
        let text = invited(ANN, extra, &Interworking::NEUTRAL, &terms).0;
        String::from(text.split_once("\r\n").unwrap().1)
    };
    let diversion = "Diversion: <sip:+4702@pbx>;reason=user-busy\r\nDiversion: <sip:+4701@pbx>;reason=unconditional;privacy=full\r\n";
    let history = "History-Info: <sip:+4701@pbx?Privacy=history>;index=1\r\n\
                   History-Info: <sip:+4702@pbx;cause=302>;index=1.1;mp=1\r\n\
                   History-Info: <sip:+4755@edge;cause=486>;index=1.1.1;mp=1.1\r\n";
    assert_eq!(told(DiversionForm::History, diversion), history);
    assert_eq!(told(DiversionForm::Diversion, history), diversion);
    assert_eq!(told(DiversionForm::Both, diversion), [diversion, history].concat());
    assert_eq!(told(DiversionForm::Both, ""), "");
    assert_eq!(told(DiversionForm::Strip, &[diversion, history].concat()), "");
    assert_eq!(told(DiversionForm::Pass, diversion), diversion);
    assert_eq!(told(DiversionForm::Diversion, diversion), diversion);
    let many = "Diversion: <sip:+4702@pbx>;reason=away\r\n".repeat(40);
    assert_eq!(told(DiversionForm::History, &many).matches("History-Info").count(), 11, "bounded");
}

/// RFC 5853 §3.1: where a party is in the writer's own network is no business of the reader; who is nobody stays so (RFC 3323 §4.1.1.3).
#[test]
fn every_party_is_told_at_the_host_that_the_reader_knows_us_by() {
    let mut to = Interworking::NEUTRAL;
    to.identity.host = b"edge.example:5070".to_vec();
    let told = |to: &Interworking, extra: &str| {
        let text = invited(ANN, extra, &Interworking::NEUTRAL, to).0;
        String::from(text.split_once("\r\n").unwrap().1)
    };
    assert!(
        invited(ANN, "", &Interworking::NEUTRAL, &to)
            .0
            .starts_with("From: \"Ann\" <sip:+4711@edge.example:5070>;tag=t")
    );
    for (came, goes) in [
        (
            "P-Asserted-Identity: \"A\" <sip:+4799@10.0.0.9:5062;user=phone>, <tel:+4799>",
            "P-Asserted-Identity: \"A\" <sip:+4799@edge.example:5070;user=phone>\r\nP-Asserted-Identity: <tel:+4799>",
        ),
        ("P-Preferred-Identity: <sip:ann@pbx.corp>", "P-Preferred-Identity: <sip:ann@edge.example:5070>"),
        (
            "Remote-Party-ID: <sip:+4797@[2001:db8::7]:5060>;party=calling",
            "Remote-Party-ID: <sip:+4797@edge.example:5070>;party=calling",
        ),
        ("Diversion: sip:pbx.corp;reason=user-busy", "Diversion: sip:edge.example:5070;reason=user-busy"),
        (
            "History-Info: <sip:+4701@pbx.corp:5061;cause=302?Privacy=history>;index=1.1",
            "History-Info: <sip:+4701@edge.example:5070;cause=302?Privacy=history>;index=1.1",
        ),
        (
            "P-Asserted-Identity: <sip:anonymous@Anonymous.invalid>",
            "P-Asserted-Identity: <sip:anonymous@Anonymous.invalid>",
        ),
    ] {
        assert_eq!(told(&to, &format!("{came}\r\n")), format!("{goes}\r\n"));
    }
    to.identity.diversion = DiversionForm::Both;
    let both = told(&to, "Diversion: <sip:+4702@pbx.corp:5062>;reason=user-busy\r\n");
    assert!(both.contains("<sip:+4702@edge.example:5070>;index=1") && !both.contains("pbx.corp"), "{both}");
    // The other way too: what a callee asserts in its answer.
    let mut out = HeaderLines::new();
    let answer = message("SIP/2.0 200 OK", ANN, "P-Asserted-Identity: <sip:+4755@sbc.carrier:5060>\r\n");
    crossed(&answer, &Crossing { from: &Interworking::NEUTRAL, to: &to, emergency: false }, None, &mut out);
    assert_eq!(out.as_bytes(), b"P-Asserted-Identity: <sip:+4755@edge.example:5070>\r\n");
}

/// RFC 5031: a service is at nobody's address, in a history neither.
#[test]
fn a_service_stands_in_a_history_by_its_name() {
    let mut terms = Interworking::NEUTRAL;
    terms.identity.diversion = DiversionForm::History;
    let extra = "Diversion: <sip:+4702@pbx>;reason=unconditional\r\n";
    let invite = message("INVITE urn:service:sos SIP/2.0", ANN, extra);
    let crossing = Crossing { from: &Interworking::NEUTRAL, to: &terms, emergency: true };
    let shown = Shown::of(&invite, &crossing, b"urn:service:sos", b"edge");
    let mut out = HeaderLines::new();
    crossed(&invite, &crossing, Some(&shown), &mut out);
    let text = String::from_utf8(out.as_bytes().to_vec()).unwrap();
    assert!(text.contains("History-Info: <urn:service:sos;cause=302>;index=1.1;mp=1"), "{text}");
}

#[test]
fn a_signature_that_no_longer_holds_is_left_behind_rfc_8224_4_1() {
    let signed = "Identity: eyJ.x.y;info=<https://c/1>\r\nDate: Thu, 21 May 2026 13:02:03 GMT\r\n";
    let neutral = Interworking::NEUTRAL;
    let (text, broken) = invited(ANN, signed, &neutral, &neutral);
    assert!(text.contains(signed) && !broken, "{text}");
    // Another way to write the same number is the same number (RFC 8224 §8.3).
    let same = Interworking { numbers: numbers(NumberForm::E164), ..Interworking::NEUTRAL };
    assert!(!invited("<sip:+4711@h>", signed, &neutral, &same).1);
    let mut other = Interworking::NEUTRAL;
    (other.identity.fallback, other.identity.from) = (b"+4722".to_vec(), FromForm::Fallback);
    let (text, broken) = invited(ANN, &signed.replace("Identity", "y"), &neutral, &other);
    assert!(!text.contains("eyJ") && broken, "{text}");
    let called = Interworking { numbers: numbers(NumberForm::International), ..Interworking::NEUTRAL };
    assert!(invited("<sip:+4711@h>", signed, &neutral, &called).1, "00 is no part of the number that was signed");
    // Who was asserted and signed is not told to a stranger: From is another number.
    let asserted = [signed, "P-Asserted-Identity: <sip:+4799@pbx>\r\n"].concat();
    assert!(!invited(ANN, &asserted, &neutral, &neutral).1 && invited(ANN, &asserted, &neutral, &stranger()).1);
    let mut dropped = Interworking::NEUTRAL;
    dropped.identity.stir = false;
    let (text, broken) = invited(ANN, signed, &neutral, &dropped);
    assert!(!text.contains("Identity") && !broken, "{text}");
}

#[test]
fn patterns_rule_headers_in_any_case_and_compact_form_rfc_3261_7_3_3() {
    let mut to = Interworking::NEUTRAL;
    to.headers.pass = Some(patterns(&["x-*", "Subject"]));
    to.headers.strip = patterns(&["X-Internal-*"]);
    to.headers.set = vec![SetHeader::new("X-Edge", "throughline").unwrap()];
    to.headers.product = String::from("Edge");
    let mut by = Interworking::NEUTRAL;
    by.headers.ignore = patterns(&["X-ROUTE"]);
    let extra = "X-Account: 7\r\nx-internal-id: 1\r\ns: lunch\r\nX-Route: 9\r\nPriority: urgent\r\nx-edge: forged\r\n\
                 Geolocation: <cid:1>\r\nReason: Q.850;cause=16\r\n";
    let (text, _) = invited("<sip:1@h>", extra, &by, &to);
    let expected = "X-Account: 7\r\ns: lunch\r\nReason: Q.850;cause=16\r\nUser-Agent: Edge\r\nX-Edge: throughline\r\n";
    assert_eq!(text.split_once("\r\n").unwrap().1, expected);
    let invite = message("INVITE sip:112@e SIP/2.0", ANN, extra);
    let mut out = HeaderLines::new();
    crossed(&invite, &Crossing { from: &by, to: &to, emergency: true }, None, &mut out);
    assert!(String::from_utf8_lossy(out.as_bytes()).contains("Geolocation: <cid:1>"), "for help");
}

#[test]
fn names_and_values_cannot_smuggle_lines() {
    for (name, value) in [("X", "a\r\nVia: x"), ("X", "a\nb"), ("X", " "), ("X Y", "a"), ("", "a"), ("X:", "a")] {
        assert_eq!(SetHeader::new(name, value), None, "{name} {value}");
    }
    for bad in ["", "a b", "X:", "X-\r\n*"] {
        assert!(HeaderPattern::new(bad).is_none(), "{bad}");
    }
    assert!(HeaderPattern::new("*").is_some());
}

#[test]
fn what_the_call_carries_passes_intact() {
    let extra = "User-to-User: 56a390f3;encoding=hex\r\nGeolocation: <cid:a@b>\r\nGeolocation-Routing: yes\r\n\
                 Resource-Priority: ets.0\r\nAlert-Info: <http://a/b>\r\nP-Access-Network-Info: 3GPP-UTRAN-TDD\r\n";
    for (by, to) in [(Interworking::NEUTRAL, stranger()), (Interworking::NEUTRAL, Interworking::NEUTRAL)] {
        let (text, _) = invited(ANN, extra, &by, &to);
        for line in extra.split_inclusive("\r\n") {
            let kept = to.identity.trust || !line.starts_with("P-Access");
            assert_eq!(text.contains(line), kept, "{line} in {text}");
        }
    }
}

#[test]
fn a_cause_is_passed_added_or_stripped_rfc_3326() {
    let told = |start: &str, reason, extra: &str| {
        let mut to = Interworking::NEUTRAL;
        to.causes.reason = reason;
        let mut out = HeaderLines::new();
        let message = message(start, ANN, extra);
        crossed(&message, &Crossing { from: &Interworking::NEUTRAL, to: &to, emergency: false }, None, &mut out);
        String::from_utf8(out.as_bytes().to_vec()).unwrap()
    };
    let busy = "SIP/2.0 486 Busy Here";
    assert_eq!(told(busy, ReasonForm::Q850, ""), "Reason: Q.850;cause=17\r\n");
    assert_eq!(told(busy, ReasonForm::Q850, "Reason: Q.850;cause=34\r\n"), "Reason: Q.850;cause=34\r\n");
    assert_eq!(told(busy, ReasonForm::Strip, "Reason: Q.850;cause=34\r\n"), "");
    assert_eq!(told(busy, ReasonForm::Pass, ""), "");
    assert_eq!(told("SIP/2.0 180 Ringing", ReasonForm::Q850, ""), "");
    assert_eq!(told("BYE sip:1@e SIP/2.0", ReasonForm::Q850, ""), "Reason: Q.850;cause=16\r\n");
}

proptest::proptest! {
    #[test]
    fn no_header_makes_it_panic_or_write_another_line(
        value in "[ -~]{0,60}",
        name in "(P-Asserted-Identity|Privacy|Diversion|History-Info|Remote-Party-ID|Identity|Reason|P-Preferred-Identity)",
    ) {
        let extra = format!("{name}: {value}\r\n");
        let mut to = Interworking { numbers: numbers(NumberForm::National), ..stranger() };
        to.identity.host = b"edge:5070".to_vec();
        for (trust, diversion) in [(true, DiversionForm::Both), (false, DiversionForm::History), (true, DiversionForm::Diversion)] {
            (to.identity.trust, to.identity.diversion) = (trust, diversion);
            let (text, _) = invited(ANN, &extra, &Interworking::NEUTRAL, &to);
            proptest::prop_assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
