//! Each trunk has its terms: what a call shows to one candidate is made anew for the next.

use crate::peer::{Step, say, sdp};
use crate::world::{EDGE, Lab};
use act::{
    DiversionForm, FromForm, HeaderPattern, Interworking, NumberForm, NumberRule, ReasonForm, SetHeader, UriForm,
};
use model::{AttemptOutcome, SocketId};
use sip::auth::Credentials;
use sip::{HeaderName, Message, Method, SentBy, Transport};

fn terms(lab: &mut Lab, trunk: usize) -> &mut Interworking {
    &mut lab.profiles.trunks[trunk].as_mut().unwrap().interworking
}

fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).unwrap()
}

fn invite(lab: &Lab, peer: usize) -> String {
    text(lab.peers[peer].requests(Method::Invite)[0])
}

/// A PBX that writes national numbers, a carrier of the trust domain, and one outside it with rules of its own.
fn strict() -> Lab {
    let mut lab = Lab::new(2);
    for trunk in 0..2 {
        let numbers = &mut terms(&mut lab, trunk).numbers;
        (numbers.form, numbers.country) = (NumberForm::National, b"47".to_vec());
        numbers.international = b"00".to_vec();
    }
    terms(&mut lab, 0).numbers.from =
        vec![NumberRule { prefix: b"9".to_vec(), replace: Vec::new(), least: 9, most: 40 }];
    let trusted = terms(&mut lab, 1);
    trusted.numbers.form = NumberForm::PlusE164;
    trusted.numbers.uri = UriForm::Phone;
    let strange = terms(&mut lab, 2);
    strange.identity.trust = false;
    strange.identity.fallback = b"+4721000000".to_vec();
    strange.identity.diversion = DiversionForm::History;
    strange.numbers.form = NumberForm::E164;
    strange.headers.strip = vec![HeaderPattern::new("X-*").unwrap()];
    strange.headers.set = vec![SetHeader::new("X-Edge", "throughline").unwrap()];
    lab.peers[1].steps = vec![vec![say(10, 503)]];
    lab
}

const SAID: [(&str, &str); 4] = [
    ("P-Asserted-Identity", "<sip:22334455@pbx>"),
    ("X-Account", "7"),
    ("Diversion", "<sip:33445566@pbx>;reason=user-busy"),
    ("Identity", "eyJ.x.y;info=<https://c/1>"),
];

#[test]
fn a_reroute_to_a_stranger_derives_everything_anew() {
    let mut lab = strict();
    let offer = lab.peers[0].sdp();
    let client = lab.call_with(0, "987654321", offer, &SAID);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let trusted = invite(&lab, 1);
    assert!(trusted.starts_with("INVITE sip:+4787654321@192.0.2.21:5060;user=phone SIP/2.0\r\n"), "{trusted}");
    for line in [
        "From: \"Ann\" <sip:201@203.0.113.1:5060;user=phone>;tag=",
        "To: <sip:+4787654321@192.0.2.21:5060;user=phone>\r\n",
        "P-Asserted-Identity: <sip:+4722334455@pbx>\r\n",
        "Diversion: <sip:+4733445566@pbx>;reason=user-busy\r\n",
        "X-Account: 7\r\n",
    ] {
        assert!(trusted.contains(line), "{line} in {trusted}");
    }
    let strange = invite(&lab, 2);
    assert!(strange.starts_with("INVITE sip:4787654321@192.0.2.22:5060 SIP/2.0\r\n"), "{strange}");
    for line in [
        "From: <sip:4721000000@203.0.113.1:5060>;tag=",
        "To: <sip:4787654321@192.0.2.22:5060>\r\n",
        "History-Info: <sip:4733445566@pbx>;index=1\r\n",
        "History-Info: <sip:4787654321@203.0.113.1:5060;cause=486>;index=1.1;mp=1\r\n",
        "X-Edge: throughline\r\n",
    ] {
        assert!(strange.contains(line), "{line} in {strange}");
    }
    for absent in ["P-Asserted", "X-Account", "Diversion", "Identity:"] {
        assert!(!strange.contains(absent), "{absent} in {strange}");
    }
    // The PBX signed what it dialled; both carriers were told otherwise.
    assert_eq!(lab.b2bua.counters().signatures_dropped, 2);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert_eq!(lab.ended[0].called, b"987654321", "records keep what was dialled");
}

#[test]
fn routes_compare_the_number_as_the_edge_knows_it() {
    let mut lab = strict();
    lab.route_office(|rule| rule.prefixes = vec!["+47".into()]);
    let home = lab.call("987654321");
    let foreign = lab.call("9004687654321");
    lab.run(500);
    assert_eq!((lab.peers[0].codes(home), lab.peers[0].codes(foreign)), (vec![180, 200], vec![404]));
}

#[test]
fn a_number_for_help_is_never_rewritten() {
    let mut lab = strict();
    lab.profiles.emergency = vec![b"112".to_vec(), b"911234567".to_vec()];
    terms(&mut lab, 1).numbers.to =
        vec![NumberRule { prefix: b"1".to_vec(), replace: b"55".to_vec(), least: 1, most: 40 }];
    terms(&mut lab, 0).numbers.from.push(NumberRule { prefix: b"0".to_vec(), replace: Vec::new(), least: 4, most: 4 });
    for (dialled, sent) in [("112", "112"), ("911234567", "911234567"), ("0112", "112")] {
        let client = lab.call(dialled);
        lab.run(500);
        assert_eq!(lab.peers[0].codes(client), [180, 200]);
        for carrier in [1, 2] {
            let invite = *lab.peers[carrier].requests(Method::Invite).last().unwrap();
            assert!(invite.uri().starts_with(format!("sip:{sent}@").as_bytes()), "{}", text(invite));
        }
    }
}

#[test]
fn privacy_holds_towards_the_stranger_and_in_what_the_callee_is_told() {
    let mut lab = strict();
    terms(&mut lab, 2).identity.fallback.clear();
    let offer = lab.peers[0].sdp();
    let extra = [("P-Asserted-Identity", "<sip:22334455@pbx>"), ("Privacy", "id")];
    lab.call_with(0, "987654321", offer.clone(), &extra);
    lab.run(500);
    assert!(invite(&lab, 1).contains("Privacy: id\r\n") && invite(&lab, 1).contains("+4722334455@pbx"));
    let strange = invite(&lab, 2);
    assert!(strange.contains("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="), "{strange}");
    assert!(!strange.contains("22334455@pbx") && !strange.contains("Privacy") && !strange.contains("Ann"), "{strange}");
    // Nobody asserts anything else in the middle of the call, either way.
    lab.peers[2].inside = vec![Step { headers: vec![("P-Asserted-Identity", "<sip:666@there>")], ..sdp(10, 200) }];
    let again = lab.send_sdp(0, Method::Invite);
    lab.run(200);
    assert_eq!(lab.peers[0].last(again).header(HeaderName::PAssertedIdentity), None);
    // Who insists on what cannot be given is not shown, but refused.
    let client = lab.call_with(0, "987654321", offer, &[("Privacy", "x-new;critical")]);
    lab.run(500);
    assert_eq!((lab.peers[0].codes(client), lab.peers[2].requests(Method::Invite).len()), (vec![500], 2));
}

#[test]
fn a_challenge_is_answered_for_the_uri_that_was_sent() {
    let mut lab = strict();
    let auth = Credentials { user: "u".into(), secret: "p".into(), realm: None };
    lab.profiles.trunks[1].as_mut().unwrap().auth = Some(auth);
    let challenge = ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"");
    lab.peers[1].steps = vec![vec![Step { headers: vec![challenge], ..say(5, 401) }], vec![sdp(5, 200)]];
    let client = lab.call("987654321");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [200]);
    let second = text(lab.peers[1].requests(Method::Invite)[1]);
    assert!(second.contains("uri=\"sip:+4787654321@192.0.2.21:5060;user=phone\""), "{second}");
}

#[test]
fn the_caller_hears_causes_and_codes_of_his_trunk() {
    let mut lab = Lab::new(1);
    terms(&mut lab, 0).causes.reason = ReasonForm::Q850;
    terms(&mut lab, 0).causes.answers = vec![(480, 486)];
    for (step, code, cause) in [
        (say(5, 480), 486, "Q.850;cause=18"),
        (say(5, 603), 603, "Q.850;cause=21"),
        (Step { headers: vec![("Reason", "Q.850;cause=34")], ..say(5, 404) }, 404, "Q.850;cause=34"),
    ] {
        lab.peers[1].steps = vec![vec![step]];
        let client = lab.call("+4722");
        lab.run(200);
        let last = lab.peers[0].last(client);
        assert_eq!((last.status(), last.header(HeaderName::Reason)), (Some(code), Some(cause.as_bytes())));
    }
    lab.peers[1].steps = vec![vec![]];
    let client = lab.call("+4722");
    lab.run(20_000);
    assert_eq!(lab.peers[0].last(client).q850(), Some(102), "one of our own has a cause as well");
    let said = |call: &act::EndedCall| match call.attempts[0].outcome {
        AttemptOutcome::Refused { code, q850, .. } => (code, q850),
        _ => (0, None),
    };
    assert_eq!(
        (said(&lab.ended[0]), said(&lab.ended[2])),
        ((480, None), (404, Some(34))),
        "the record has what was said"
    );
}

#[test]
fn a_cancel_and_a_bye_say_why_unless_the_trunk_is_not_told() {
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    for (reason, told) in [(ReasonForm::Pass, Some(elsewhere)), (ReasonForm::Strip, None)] {
        let mut lab = Lab::new(1);
        terms(&mut lab, 1).causes.reason = reason;
        lab.peers[1].steps = vec![vec![say(10, 180)]];
        let client = lab.call("+4722");
        lab.run(100);
        let now = lab.now;
        lab.peers[0].endpoint.cancel(now, client, Some(elsewhere.as_bytes()));
        lab.run(200);
        let cancel = lab.sent.iter().map(|(_, _, sent)| sent).find(|sent| sent.method_text() == b"CANCEL").unwrap();
        assert_eq!(cancel.header(HeaderName::Reason), told.map(str::as_bytes));
        lab.settle();
    }
}

#[test]
fn the_product_has_a_name_only_when_it_is_given_one() {
    for (product, said) in [("", None), ("Edge", Some("Edge"))] {
        let mut lab = Lab::new(1);
        for trunk in 0..2 {
            terms(&mut lab, trunk).headers.product = product.into();
        }
        terms(&mut lab, 1).identity.from = FromForm::Number;
        let client = lab.call("+4722");
        lab.run(500);
        assert_eq!(lab.peers[1].requests(Method::Invite)[0].header(HeaderName::UserAgent), said.map(str::as_bytes));
        assert_eq!(lab.peers[0].last(client).header(HeaderName::Server), said.map(str::as_bytes));
    }
}

/// RFC 3323 §4.2, §5: privacy that is critical is given or the call is refused, and who cannot give it is passed over; the next trunk may.
#[test]
fn critical_privacy_moves_on_to_who_can_give_it() {
    for (second_is_trusted, code) in [(true, 200), (false, 500)] {
        let mut lab = Lab::new(2);
        terms(&mut lab, 1).identity.trust = false;
        terms(&mut lab, 2).identity.trust = second_is_trusted;
        let offer = lab.peers[0].sdp();
        let client = lab.call_with(0, "+4722", offer, &[("Privacy", "odd;critical")]);
        lab.run(1_000);
        let last = lab.peers[0].last(client);
        assert_eq!(last.status(), Some(code));
        let warned = last.named("Warning").is_some_and(|text| text.starts_with(b"399 "));
        assert_eq!(warned, !second_is_trusted, "why");
        assert!(lab.peers[1].requests(Method::Invite).is_empty(), "nobody is shown what was not to be");
        assert_eq!(lab.b2bua.counters().not_hidden, 1 + u64::from(!second_is_trusted));
        if second_is_trusted {
            lab.send(0, Method::Bye, "", vec![]);
        }
        lab.settle();
        assert_eq!(lab.ended[0].attempts.len(), usize::from(second_is_trusted));
    }
}

/// RFC 3261 §20.35: the name is in every answer or in none, those that the edge makes itself among them, and once.
#[test]
fn our_own_answers_bear_the_name_too() {
    for product in ["", "Edge"] {
        let mut lab = Lab::new(1);
        lab.endpoint.name(product);
        for trunk in 0..2 {
            terms(&mut lab, trunk).headers.product = product.into();
        }
        let client = lab.call("+4722");
        lab.run(500);
        lab.send(0, Method::Bye, "", vec![]);
        let refused = lab.send_in(0, 0, Method::Info, &[]);
        lab.settle();
        assert_eq!(lab.peers[0].last(refused).status(), Some(481));
        let answers = lab.sent.iter().filter(|(_, _, sent)| sent.status() > Some(0)).map(|(_, _, sent)| text(sent));
        let answers: Vec<String> = answers.collect();
        assert!(answers.len() > 4 && lab.peers[0].codes(client) == [180, 200]);
        for answer in answers {
            assert_eq!(answer.matches("Server: Edge").count(), usize::from(!product.is_empty()), "{answer}");
        }
    }
}

/// RFC 3261 §8.1.1.1, RFC 3263 §4: a carrier that wants to read its own host, and ours by name, reads them in each request and answer; packets go
/// to its address all the same, and answers come to ours.
#[test]
fn a_carrier_reads_its_host_and_our_name_in_everything_it_is_sent() {
    let mut lab = Lab::new(1);
    terms(&mut lab, 1).host = b"acme.pstn.example".to_vec();
    for (index, addr) in EDGE.iter().enumerate() {
        let by_address = SentBy::new(addr.parse().unwrap(), Transport::Udp);
        let name = (index == 1).then(|| "sbc.example.com".into());
        lab.endpoint.bind_as(SocketId(index as u16), SentBy { name, ..by_address });
    }
    let client = lab.call("+4722334455");
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    let asked = invite(&lab, 1);
    assert!(asked.starts_with("INVITE sip:+4722334455@acme.pstn.example SIP/2.0\r\n"), "{asked}");
    for line in [
        "To: <sip:+4722334455@acme.pstn.example>\r\n",
        "From: \"Ann\" <sip:201@sbc.example.com:5060>;tag=",
        "Contact: <sip:sbc.example.com:5060>\r\n",
        "Via: SIP/2.0/UDP 203.0.113.1:5060;",
    ] {
        assert!(asked.contains(line), "{line} in {asked}");
    }
    // Inside the call, both ways: a re-INVITE of the office and the answer to one of the carrier.
    lab.send_sdp(0, Method::Invite);
    lab.run(500);
    let again = text(lab.peers[1].requests(Method::Invite)[1]);
    assert!(again.contains("Contact: <sip:sbc.example.com:5060>\r\n"), "{again}");
    let theirs = lab.send_sdp(1, Method::Invite);
    lab.run(500);
    let answer = text(lab.peers[1].last(theirs));
    assert!(
        answer.starts_with("SIP/2.0 200 ") && answer.contains("Contact: <sip:sbc.example.com:5060>\r\n"),
        "{answer}"
    );
    // The office, on another side, knows nothing of it.
    let there = text(lab.peers[0].last(client));
    assert!(there.contains("Contact: <sip:198.51.100.1:5060>\r\n"), "{there}");
    lab.send(1, Method::Bye, "", vec![]);
    lab.settle();
}
