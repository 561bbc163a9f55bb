use super::*;
use crate::auth::{Credentials, Session, Signed};
use crate::wire::HeaderName;
use md5::Md5;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;

fn realm() -> Realm {
    Realm {
        name: "example.net".into(),
        algorithms: [Algorithm::Sha256, Algorithm::Md5].to_vec(),
        nonce_lifetime: Span::from_secs(300),
    }
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Span::from_secs(seconds)
}

fn password() -> Secret {
    Secret::Password("hush".into())
}

fn request(line: &str) -> Message {
    let text = format!(
        "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:201@example.net>;tag=1\r\n\
         To: <sip:201@example.net>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\n{line}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

/// The challenge as a message, so that our own client side answers it.
fn challenge(server: &mut Authenticator, realm: &Realm, now: Instant, asker: Asker, stale: bool) -> Message {
    let mut lines = HeaderLines::new();
    server.challenge(now, realm, asker, stale, &mut lines);
    let text = format!(
        "SIP/2.0 {} x\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\n\
         CSeq: 1 REGISTER\r\n{}Content-Length: 0\r\n\r\n",
        asker.code(),
        String::from_utf8(lines.as_bytes().to_vec()).unwrap()
    );
    Message::parse(text.into_bytes()).unwrap()
}

/// The line that our own client side signs with, the `count`th time it uses the nonce.
fn signed(challenged: &Message, (user, secret): (&str, &str), uri: &[u8], count: u32) -> Vec<u8> {
    let credentials = Credentials { user: user.into(), secret: secret.into(), realm: None };
    let mut session = Session::open(challenged, &credentials, "c0").unwrap().remove(0);
    let mut sign = || session.sign(&credentials, &Signed { method: "REGISTER", uri, body: b"" });
    (1..count).for_each(|_| drop(sign()));
    sign()
}

fn answered(challenged: &Message, user: &str, secret: &str, count: u32) -> Message {
    let line = signed(challenged, (user, secret), b"sip:example.net", count);
    request(&format!("{}\r\n", String::from_utf8(line).unwrap()))
}

fn ask(server: &mut Authenticator, realm: &Realm, now: Instant, message: &Message) -> Verdict {
    let secret = password();
    server.verify(now, realm, Asker::FarEnd, message, |user| (user == "201").then_some(&secret))
}

#[test]
fn our_client_answers_our_server_by_the_stronger_hash_8760_2_4() {
    let (mut server, realm) = (Authenticator::new(7, 0, 10), realm());
    let challenged = challenge(&mut server, &realm, at(0), Asker::FarEnd, false);
    let lines: Vec<_> = challenged.headers().filter(|h| h.name == HeaderName::WwwAuthenticate).collect();
    assert!(lines[0].value.ends_with(b"algorithm=SHA-256") && lines[1].value.ends_with(b"algorithm=MD5"));
    let message = answered(&challenged, "201", "hush", 1);
    assert!(memchr::memmem::find(message.bytes(), b"SHA-256").is_some());
    assert_eq!(ask(&mut server, &realm, at(1), &message), Verdict::Good { user: "201".into() });
}

#[test]
fn every_way_to_fail_has_its_verdict() {
    let (mut server, realm) = (Authenticator::new(7, 0, 10), realm());
    assert_eq!(ask(&mut server, &realm, at(0), &request("")), Verdict::Missing);
    let challenged = challenge(&mut server, &realm, at(0), Asker::FarEnd, false);
    let good = answered(&challenged, "201", "hush", 1);
    assert_eq!(ask(&mut server, &realm, at(1), &answered(&challenged, "201", "wrong", 1)), Verdict::Wrong);
    assert_eq!(ask(&mut server, &realm, at(1), &answered(&challenged, "202", "hush", 1)), Verdict::Unknown);
    assert!(matches!(ask(&mut server, &realm, at(1), &good), Verdict::Good { .. }));
    assert_eq!(ask(&mut server, &realm, at(2), &good), Verdict::Replayed);
    let next = answered(&challenged, "201", "hush", 2);
    assert!(
        matches!(ask(&mut server, &realm, at(2), &next), Verdict::Good { .. }),
        "a nonce serves again, RFC 7616 3.4"
    );
    let late = answered(&challenged, "201", "hush", 3);
    assert_eq!(ask(&mut server, &realm, at(301), &late), Verdict::Stale);
    assert_eq!(ask(&mut server, &realm, at(301), &answered(&challenged, "201", "wrong", 4)), Verdict::Wrong);
    assert_eq!(server.remembered(), 0, "what nobody can use again is forgotten");
}

#[test]
fn a_nonce_of_another_shard_or_run_is_stale_and_not_wrong_7616_3_3() {
    let (mut server, realm) = (Authenticator::new(7, 0, 10), realm());
    for (key, shard) in [(7, 1), (8, 0)] {
        let mut other = Authenticator::new(key, shard, 10);
        let challenged = challenge(&mut other, &realm, at(0), Asker::FarEnd, false);
        assert_eq!(ask(&mut server, &realm, at(1), &answered(&challenged, "201", "hush", 1)), Verdict::Stale);
    }
    assert!(crate::auth::is_stale(&challenge(&mut server, &realm, at(0), Asker::FarEnd, true)));
}

#[test]
fn a_proxy_is_answered_in_its_own_header_22_3() {
    let (mut server, realm, secret) = (Authenticator::new(7, 0, 10), realm(), password());
    let challenged = challenge(&mut server, &realm, at(0), Asker::Proxy, false);
    let message = answered(&challenged, "201", "hush", 1);
    let verdict = server.verify(at(1), &realm, Asker::Proxy, &message, |_| Some(&secret));
    assert!(matches!(verdict, Verdict::Good { .. }));
    assert_eq!(server.verify(at(1), &realm, Asker::FarEnd, &message, |_| Some(&secret)), Verdict::Missing);
}

#[test]
fn hashed_secrets_serve_and_are_not_printed() {
    let (mut server, mut realm) = (Authenticator::new(7, 0, 10), realm());
    let md5: String = hex(&Md5::digest(b"201:example.net:hush"));
    let secret = Secret::Hashed { md5: Some(md5.as_str().into()), sha256: None };
    assert!(secret.serves(Algorithm::Md5) && !secret.serves(Algorithm::Sha256));
    assert!(!format!("{secret:?}").contains(&md5));
    realm.algorithms = [Algorithm::Md5].to_vec();
    let challenged = challenge(&mut server, &realm, at(0), Asker::FarEnd, false);
    let message = answered(&challenged, "201", "hush", 1);
    assert!(matches!(server.verify(at(1), &realm, Asker::FarEnd, &message, |_| Some(&secret)), Verdict::Good { .. }));
}

#[test]
fn auth_int_covers_the_body_and_no_qop_serves_once() {
    let (mut server, mut realm) = (Authenticator::new(7, 0, 10), realm());
    realm.algorithms = [Algorithm::Md5].to_vec();
    let text = server.text(Nonce { born: 0, number: 1 });
    let hash = |text: String| hex(&Md5::digest(text.as_bytes()));
    let (first, empty) = (hash("201:example.net:hush".to_string()), hash(String::new()));
    let second = hash(format!("REGISTER:sip:example.net:{empty}"));
    let response = hash(format!("{first}:{text}:00000001:c:auth-int:{second}"));
    let common = format!("Digest username=\"201\", realm=\"example.net\", nonce=\"{text}\", uri=\"sip:example.net\"");
    let message = request(&format!(
        "Authorization: {common}, response=\"{response}\", qop=auth-int, nc=00000001, cnonce=\"c\"\r\n"
    ));
    assert!(matches!(ask(&mut server, &realm, at(1), &message), Verdict::Good { .. }));

    let text = server.text(Nonce { born: 0, number: 2 });
    let common = format!("Digest username=\"201\", realm=\"example.net\", nonce=\"{text}\", uri=\"sip:example.net\"");
    let response = hash(format!("{first}:{text}:{}", hash("REGISTER:sip:example.net".to_string())));
    let message = request(&format!("Authorization: {common}, response=\"{response}\"\r\n"));
    assert!(matches!(ask(&mut server, &realm, at(1), &message), Verdict::Good { .. }));
    assert_eq!(ask(&mut server, &realm, at(1), &message), Verdict::Replayed);
}

#[test]
fn an_answer_is_for_one_resource_7616_3_4_6() {
    let (mut server, realm) = (Authenticator::new(7, 0, 10), realm());
    let challenged = challenge(&mut server, &realm, at(0), Asker::FarEnd, false);
    let mut of = |uri: &[u8], count| {
        let line = String::from_utf8(signed(&challenged, ("201", "hush"), uri, count)).unwrap();
        ask(&mut server, &realm, at(1), &request(&format!("{line}\r\n")))
    };
    assert_eq!(of(b"sip:900@example.net", 1), Verdict::Wrong);
    assert!(matches!(of(b"sip:192.0.2.10:5060", 2), Verdict::Good { .. }));
}

#[test]
fn a_full_memory_makes_nonces_stale_and_never_good_twice() {
    let (mut server, realm) = (Authenticator::new(7, 0, 2), realm());
    let mut sent = Vec::new();
    for second in 0..3 {
        let challenged = challenge(&mut server, &realm, at(second), Asker::FarEnd, false);
        let message = answered(&challenged, "201", "hush", 1);
        assert!(matches!(ask(&mut server, &realm, at(second), &message), Verdict::Good { .. }));
        sent.push(message);
    }
    assert_eq!(server.remembered(), 2);
    assert_eq!(ask(&mut server, &realm, at(3), &sent[0]), Verdict::Stale);
    assert_eq!(ask(&mut server, &realm, at(3), &sent[1]), Verdict::Replayed);
}

proptest! {
    #[test]
    fn no_count_is_good_twice(counts in proptest::collection::vec(1u32..200, 1..300)) {
        let mut window = Counts::default();
        let mut good = std::collections::BTreeSet::new();
        for count in counts {
            if window.take(count) {
                prop_assert!(good.insert(count), "{count} was good twice");
            }
        }
    }

    #[test]
    fn noise_is_never_good(line in "[ -~]{0,200}") {
        let (mut server, realm) = (Authenticator::new(7, 0, 10), realm());
        let message = request(&format!("Authorization: Digest {line}\r\n"));
        let good = matches!(ask(&mut server, &realm, at(0), &message), Verdict::Good { .. });
        prop_assert!(!good);
    }
}
