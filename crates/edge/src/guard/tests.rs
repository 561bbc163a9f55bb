use super::*;
use act::Cidr;
use model::{ShardId, Span};
use proptest::prelude::{prop_assert, proptest};
use sip::Minter;

const KEY: u64 = 99;
const STRANGER: &str = "203.0.113.9";

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn guard(change: impl FnOnce(&mut GuardPolicy)) -> Guard {
    let mut policy = GuardPolicy::default();
    change(&mut policy);
    Guard::new(Arc::new(policy), 1, 7)
}

fn request(method: &str, agent: &str, to_tag: &str) -> Vec<u8> {
    format!(
        "{method} sip:100@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:100@b>{to_tag}\r\nCall-ID: x\r\nCSeq: 1 {method}\r\nUser-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn response(branch: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch={branch}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
         Call-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    .into_bytes()
}

fn comes(guard: &mut Guard, ms: u64, from: &str, bytes: &[u8]) -> Result<(), Shut> {
    comes_as(guard, ms, from, bytes, false)
}

const NOBODY: Standing = Standing::Stranger { phones: 0 };

fn socket(from: &str) -> SocketAddr {
    from.parse().unwrap_or_else(|_| SocketAddr::new(from.parse().unwrap(), 5_060))
}

fn comes_as(guard: &mut Guard, ms: u64, from: &str, bytes: &[u8], known: bool) -> Result<(), Shut> {
    let standing = if known { Standing::Trunk } else { NOBODY };
    let from = socket(from);
    let arrival = Arrival { from, listen: Some(ListenId(0)), registers: false, standing, key: KEY, bytes };
    guard.screen(at(ms), &arrival)
}

/// The same where phones register.
fn comes_to_registrar(
    guard: &mut Guard,
    ms: u64,
    (from, standing): (&str, Standing),
    bytes: &[u8],
) -> Result<(), Shut> {
    let from = socket(from);
    let arrival = Arrival { from, listen: Some(ListenId(0)), registers: true, standing, key: KEY, bytes };
    guard.screen(at(ms), &arrival)
}

fn count(guard: &Guard, name: &str) -> u64 {
    guard.counters().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn a_scanner_is_shut_out_by_its_first_word_and_twice_as_long_the_next_time() {
    let mut guard = guard(|_| {});
    let scan = request("OPTIONS", "Friendly-Scanner", "");
    assert_eq!(comes(&mut guard, 0, STRANGER, &scan), Err(Shut::Scanner));
    let plain = request("OPTIONS", "phone", "");
    assert_eq!(comes(&mut guard, 299_999, STRANGER, &plain), Err(Shut::Banned));
    assert_eq!(comes(&mut guard, 300_000, STRANGER, &plain), Ok(()));
    assert_eq!(comes(&mut guard, 300_001, STRANGER, &scan), Err(Shut::Scanner));
    assert_eq!(comes(&mut guard, 900_000, STRANGER, &plain), Err(Shut::Banned));
    assert_eq!(comes(&mut guard, 900_001, STRANGER, &plain), Ok(()));
    let lengths = std::iter::from_fn(|| guard.poll()).map(|notice| match notice {
        Notice::ShutOut { source, cause: ShutOutCause::Scanner, length, .. } => (source, length.as_secs()),
        other => panic!("{other:?}"),
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [(STRANGER.into(), 600), (STRANGER.into(), 300)]);
    assert_eq!((count(&guard, "guard_scanners"), count(&guard, "guard_banned")), (2, 2));
    // The name in a number or a display name is no name of software.
    let called = String::from_utf8(plain).unwrap().replace("sip:100@b", "sip:sipvicious@b").into_bytes();
    assert_eq!(comes(&mut guard, 2_000_000, "203.0.113.10", &called), Ok(()));
}

#[test]
fn shut_outs_double_up_to_the_longest_and_are_forgiven_after_it() {
    let mut guard = guard(|policy| policy.longest = Span::from_secs(1_000));
    let scan = request("OPTIONS", "sipvicious", "");
    let mut now = 0;
    let mut lengths = Vec::new();
    for _ in 0..4 {
        assert_eq!(comes(&mut guard, now, STRANGER, &scan), Err(Shut::Scanner));
        let Some(Notice::ShutOut { length, .. }) = guard.poll() else { panic!("told") };
        lengths.push(length.as_secs());
        now += length.as_millis();
    }
    assert_eq!(lengths, [300, 600, 1_000, 1_000]);
    assert_eq!(comes(&mut guard, now + 1_000_000, STRANGER, &scan), Err(Shut::Scanner));
    let Some(Notice::ShutOut { length, .. }) = guard.poll() else { panic!("told") };
    assert_eq!(length.as_secs(), 300, "it has behaved for as long as the longest");
}

#[test]
fn garbage_shuts_its_source_out_within_the_window_and_not_beyond() {
    let mut guard = guard(|policy| policy.malformed = 5);
    for turn in 0..20 {
        assert_eq!(
            comes(&mut guard, turn * 2_500, STRANGER, b"\x16\x03\x01"),
            Err(Shut::Garbage),
            "four in ten seconds"
        );
    }
    for _ in 0..5 {
        assert_eq!(comes(&mut guard, 100_000, STRANGER, b"\x16\x03\x01"), Err(Shut::Garbage));
    }
    assert_eq!(comes(&mut guard, 100_001, STRANGER, &request("OPTIONS", "x", "")), Err(Shut::Banned));
    let told = guard.poll();
    assert!(matches!(told, Some(Notice::ShutOut { cause: ShutOutCause::Malformed, count: 5, .. })), "{told:?}");
    let (shown, source) = (guard.view().0, STRANGER.to_owned());
    assert_eq!((shown.len(), &shown[0].source, shown[0].times), (1, &source, 1));
    assert_eq!(comes_as(&mut guard, 500_000, "192.0.2.1", b"x", true), Ok(()));
    assert_eq!(guard.view(), (Vec::new(), 0));
}

/// An operator sees who is kept out, since when, until when, what for, and how much of his was dropped; and forgives him alone.
#[test]
fn who_is_kept_out_is_known_in_numbers_and_can_be_forgiven() {
    let mut guard = guard(|_| {});
    let scan = request("OPTIONS", "sipvicious", "");
    for from in [STRANGER, "192.0.2.9"] {
        assert_eq!(comes(&mut guard, 0, from, &scan), Err(Shut::Scanner));
    }
    for ms in 1..=41 {
        assert_eq!(comes(&mut guard, ms * 1_000, STRANGER, &scan), Err(Shut::Banned));
    }
    guard.pass_time(at(60_000));
    let shown = guard.view().0;
    let s = Span::from_secs;
    let (why, source) = (GuardedFor::ShutOut(ShutOutCause::Scanner), STRANGER.to_owned());
    assert_eq!(shown[0], GuardedView { source, why, held: s(60), left: s(240), times: 1, dropped: 42 });
    assert_eq!((shown.len(), shown[1].dropped), (2, 1), "the worst is first");
    guard.forgive(at(60_000), STRANGER.parse().unwrap());
    assert_eq!(guard.view().0.len(), 1);
    assert_eq!(comes(&mut guard, 60_001, STRANGER, &request("OPTIONS", "x", "")), Ok(()));
    assert_eq!(comes(&mut guard, 60_001, "192.0.2.9", &scan), Err(Shut::Banned));
    assert_eq!(comes(&mut guard, 61_000, STRANGER, &scan), Err(Shut::Scanner));
    let again = guard.view().0.into_iter().find(|view| view.source == STRANGER).unwrap();
    assert_eq!((again.left, again.times), (s(300), 1), "what is forgiven does not double the next one");
    assert_eq!(count(&guard, "guard_forgiven"), 1);
    guard.pass_time(at(600_000));
    assert_eq!(guard.view(), (Vec::new(), 0), "they end though nobody comes");
}

/// Who is limited is shown as well, for as long as the window lasts; a window over the limit that follows another continues it.
#[test]
fn who_is_limited_is_shown_until_his_window_ends() {
    let mut guard = guard(|policy| (policy.registers, policy.registrations) = (3, 1_000));
    let register = request("REGISTER", "phone", "");
    let send = |guard: &mut Guard, ms| {
        let from = socket(STRANGER);
        let arrival = Arrival { from, listen: None, registers: true, standing: NOBODY, key: KEY, bytes: &register };
        guard.screen(at(ms), &arrival)
    };
    let passed = (0..10).filter(|ms| send(&mut guard, *ms).is_ok()).count();
    let (shown, _) = guard.view();
    assert_eq!((passed, shown[0].why, shown[0].dropped, shown[0].times), (3, GuardedFor::Registers, 7, 0));
    guard.pass_time(at(10_000));
    assert_eq!(guard.view().0, [], "the window is over");
    let passed = (10_000..10_010).filter(|ms| send(&mut guard, *ms).is_ok()).count();
    let (shown, _) = guard.view();
    assert_eq!((passed, shown[0].dropped, shown[0].held >= Span::from_secs(10)), (3, 14, true));
}

#[test]
fn an_address_stands_for_its_subscriber_and_its_phones_and_a_port_for_one_phone() {
    let whom = |text: &str| text.parse::<Whom>();
    for (text, shown) in [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:5062", "203.0.113.9:5062"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("[2001:db8::7]:5062", "[2001:db8::7]:5062"),
    ] {
        assert_eq!(whom(text).unwrap().to_string(), shown);
    }
    for text in ["", "acme", "203.0.113.9/64", "203.0.113.0/24", "203.0.113.9:sip"] {
        assert_eq!(whom(text), Err(NoSource), "{text}");
    }
    let mut guard = guard(|policy| policy.failures = 1);
    for phone in ["203.0.113.9:5062", "203.0.113.9:5063", "203.0.113.10:5062"] {
        guard.offence(at(0), phone.parse().unwrap(), Standing::Phone, Offence::Failure);
    }
    assert!(guard.view().0.iter().all(|view| view.dropped == 0), "a guess is answered");
    guard.forgive(at(1), whom("203.0.113.9:5062").unwrap());
    assert_eq!(guard.view().0.len(), 2);
    guard.forgive(at(1), whom("203.0.113.9").unwrap());
    let left: Vec<String> = guard.view().0.into_iter().map(|view| view.source).collect();
    assert_eq!(left, ["203.0.113.10:5062"]);
}

#[test]
fn offences_found_later_count_as_well() {
    let mut guard = guard(|policy| (policy.malformed, policy.failures) = (3, 2));
    for offence in [Offence::Malformed, Offence::Malformed, Offence::Failure] {
        guard.offence(at(0), socket(STRANGER), NOBODY, offence);
    }
    assert!(guard.poll().is_none());
    guard.offence(at(1), socket(STRANGER), NOBODY, Offence::Failure);
    assert!(matches!(guard.poll(), Some(Notice::ShutOut { cause: ShutOutCause::Failures, count: 2, .. })));
}

#[test]
fn a_trunk_is_never_shut_out_and_what_bears_our_mark_passes() {
    let mut guard = guard(|policy| (policy.requests, policy.strangers) = (3, Strangers::Silent));
    for _ in 0..1_000 {
        for bytes in [&b"\x00"[..], &request("OPTIONS", "sipvicious", "")] {
            assert_eq!(comes_as(&mut guard, 0, STRANGER, bytes, true), Ok(()));
        }
    }
    let mut minter = Minter::new(1, ShardId(0), KEY, 5);
    let mine = [
        response(minter.branch().as_str()),
        request("BYE", "x", &format!(";tag={}", minter.tag().as_str())),
        request("ACK", "x", &format!(";tag={}", minter.tag().as_str())),
    ];
    for bytes in mine.iter().cycle().take(30) {
        assert_eq!(comes(&mut guard, 0, "192.0.2.55", bytes), Ok(()), "more of them than a stranger may send");
    }
    let theirs = Minter::new(1, ShardId(0), KEY + 1, 5).tag();
    let forged = request("BYE", "x", &format!(";tag={}", theirs.as_str()));
    assert_eq!(comes(&mut guard, 0, "192.0.2.56", &forged), Err(Shut::Silent));
    assert_eq!(comes(&mut guard, 0, "192.0.2.57", &response("z9hG4bKguess")), Err(Shut::Stray));
    assert_eq!(guard.poll().map(|_| ()), None);
}

#[test]
fn lists_go_before_everything_and_a_trunk_passes_that_of_its_listen() {
    let net = |addr: &str, bits| Cidr { addr: addr.parse().unwrap(), bits };
    let mut guard = guard(|policy| {
        policy.deny = [net("198.51.100.0", 24)].into_iter().collect();
        policy.allow = vec![[net("192.0.2.0", 24), net("2001:db8::", 32)].into_iter().collect()];
    });
    let plain = request("REGISTER", "phone", "");
    assert_eq!(comes(&mut guard, 0, "192.0.2.7", &plain), Ok(()));
    assert_eq!(comes(&mut guard, 0, "2001:db8::7", &plain), Ok(()));
    assert_eq!(comes(&mut guard, 0, STRANGER, &plain), Err(Shut::NotAllowed));
    assert_eq!(comes_as(&mut guard, 0, STRANGER, &plain, true), Ok(()));
    assert_eq!(comes_as(&mut guard, 0, "198.51.100.1", &plain, true), Err(Shut::Denied));
}

/// No amplification: whatever many strangers ask, answers are few.
#[test]
fn strangers_together_get_so_many_answers_a_second() {
    let mut guard = guard(|policy| policy.answers = 10);
    let mut passed = 0;
    for n in 0..10_000_u32 {
        let from = format!("203.{}.{}.1", n / 250 % 250, n % 250);
        let method = if n % 2 == 0 { "INVITE" } else { "OPTIONS" };
        passed += usize::from(comes(&mut guard, u64::from(n) / 5, &from, &request(method, "x", "")).is_ok());
    }
    assert!((25..=30).contains(&passed), "{passed} within two seconds and what was saved up");
    assert_eq!(count(&guard, "guard_unanswered"), 10_000 - passed as u64);
    assert_eq!(comes(&mut guard, 2_000, STRANGER, &request("ACK", "x", "")), Ok(()), "what needs no answer takes none");
}

#[test]
fn an_ipv6_subscriber_is_one_source() {
    let mut guard = guard(|_| {});
    let scan = request("OPTIONS", "sipcli/v1.8", "");
    assert_eq!(comes(&mut guard, 0, "2001:db8:1:2::1", &scan), Err(Shut::Scanner));
    let plain = request("OPTIONS", "x", "");
    assert_eq!(comes(&mut guard, 1, "2001:db8:1:2:ffff::9", &plain), Err(Shut::Banned));
    assert_eq!(comes(&mut guard, 1, "2001:db8:1:3::1", &plain), Ok(()));
    assert!(matches!(guard.poll(), Some(Notice::ShutOut { source, .. }) if source == "2001:db8:1:2::/64"));
}

/// A flood from made-up addresses: the table stays as large as it is, shut-outs are the last to be forgotten, and few are told.
#[test]
fn made_up_sources_fill_nothing() {
    let mut guard = guard(|_| {});
    let scan = request("OPTIONS", "sipvicious", "");
    assert_eq!(comes(&mut guard, 0, STRANGER, &scan), Err(Shut::Scanner));
    for n in 0..200_000_u32 {
        let from = core::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        let bytes = b"INVITE";
        let from = SocketAddr::new(from.into(), 5_060);
        let arrival = Arrival { from, listen: None, registers: false, standing: NOBODY, key: KEY, bytes };
        let _garbage = guard.screen(at(1 + u64::from(n) / 20), &arrival);
    }
    assert_eq!(comes(&mut guard, 20_000, STRANGER, &scan), Err(Shut::Banned), "still remembered");
    for n in 0..1_000_u32 {
        let from = format!("203.0.{}.{}", n / 250, n % 250);
        assert!(comes(&mut guard, 20_001, &from, &scan).is_err());
    }
    let told = std::iter::from_fn(|| guard.poll()).count();
    assert!(told <= 10 && count(&guard, "guard_untold") > 900, "{told} are told of a thousand");
    assert!(guard.view().0.len() <= SHOWN);
}

#[test]
fn a_new_policy_holds_at_once_and_forgives_nobody() {
    let mut guard = guard(|_| {});
    assert!(comes(&mut guard, 0, STRANGER, &request("OPTIONS", "sipvicious", "")).is_err());
    guard.install(&Arc::new(GuardPolicy { strangers: Strangers::Silent, ..GuardPolicy::default() }));
    assert_eq!(comes(&mut guard, 1, STRANGER, b"x"), Err(Shut::Banned));
    assert_eq!(comes(&mut guard, 1, "203.0.113.10", &request("OPTIONS", "x", "")), Err(Shut::Silent));
}

/// A house of phones after a power cut: far more than a stranger may say, and none of it shuts the house out; what is too much for the
/// registrar is dropped, and a house that is known goes first.
#[test]
fn a_house_of_phones_that_comes_back_is_no_attack() {
    let mut guard = guard(|policy| (policy.registrations, policy.registers) = (400, 600));
    let register = request("REGISTER", "phone", "");
    let house = |phones| ("203.0.113.77", Standing::Stranger { phones });
    let passed = (0..500).filter(|_| comes_to_registrar(&mut guard, 0, house(0), &register).is_ok()).count();
    assert_eq!((passed, count(&guard, "guard_registers_unanswered")), (300, 200), "three quarters for the unknown");
    for _ in 0..100 {
        assert_eq!(
            comes_to_registrar(&mut guard, 0, ("203.0.113.78", Standing::Stranger { phones: 3 }), &register),
            Ok(())
        );
    }
    let mut passed = 0;
    for ms in 0..2_000 {
        passed += usize::from(comes_to_registrar(&mut guard, 5_000 + ms, house(0), &register).is_ok());
    }
    assert_eq!(
        (passed, count(&guard, "guard_registers_too_many")),
        (100, 1_900),
        "500 were before, the window is ten seconds"
    );
    assert_eq!(comes_to_registrar(&mut guard, 7_001, house(100), &register), Ok(()), "each phone adds to it");
    assert_eq!(comes(&mut guard, 7_002, "203.0.113.77", &request("OPTIONS", "x", "")), Ok(()), "nor is it shut out");
    assert!(guard.poll().is_none());
    assert_eq!(
        comes_to_registrar(&mut guard, 20_000, house(0), &request("REGISTER", "sipvicious", "")),
        Err(Shut::Scanner)
    );
    assert_eq!(comes_to_registrar(&mut guard, 20_001, house(0), &register), Err(Shut::Banned));
}

#[test]
fn silence_is_for_those_who_do_not_register() {
    let mut guard = guard(|policy| (policy.strangers, policy.registrations) = (Strangers::Silent, 10));
    let nobody = (STRANGER, NOBODY);
    assert_eq!(comes_to_registrar(&mut guard, 0, nobody, &request("REGISTER", "x", "")), Ok(()));
    assert_eq!(comes_to_registrar(&mut guard, 0, nobody, &request("INVITE", "x", "")), Err(Shut::Silent));
    assert_eq!(
        comes(&mut guard, 0, STRANGER, &request("REGISTER", "x", "")),
        Err(Shut::Silent),
        "no registrar is there"
    );
    let moved = (STRANGER, Standing::Stranger { phones: 1 });
    assert_eq!(comes_to_registrar(&mut guard, 0, moved, &request("INVITE", "x", "")), Ok(()), "by another port");
}

/// A phone is no stranger: it has a limit of its own, fails for itself alone, and its calls go on whatever comes in its name.
#[test]
fn a_registered_phone_has_a_limit_of_its_own() {
    let mut guard = guard(|policy| (policy.answers, policy.requests, policy.phone, policy.failures) = (1, 1, 20, 3));
    let (phone, other) = (("203.0.113.9:40000", Standing::Phone), ("203.0.113.9:40001", Standing::Phone));
    let invite = request("INVITE", "phone", "");
    let tag = Minter::new(1, ShardId(0), KEY, 5).tag();
    let bye = request("BYE", "phone", &format!(";tag={}", tag.as_str()));
    for _ in 0..20 {
        assert_eq!(comes_to_registrar(&mut guard, 0, phone, &invite), Ok(()));
    }
    assert_eq!(comes_to_registrar(&mut guard, 0, phone, &invite), Err(Shut::Chatty));
    assert_eq!(comes_to_registrar(&mut guard, 0, phone, &bye), Ok(()));
    assert_eq!(comes_to_registrar(&mut guard, 0, other, &invite), Ok(()), "its neighbour is another");
    assert_eq!(
        comes_to_registrar(&mut guard, 10_000, phone, b"\r\n\r\n"),
        Ok(()),
        "ten seconds later, and nobody was shut out"
    );
    assert!(guard.poll().is_none());
    for _ in 0..3 {
        guard.offence(at(10_001), socket(phone.0), Standing::Phone, Offence::Failure);
    }
    assert_eq!(comes_to_registrar(&mut guard, 10_002, phone, &invite), Err(Shut::Banned));
    assert_eq!(comes_to_registrar(&mut guard, 10_002, phone, &bye), Ok(()));
    assert_eq!(comes_to_registrar(&mut guard, 10_002, other, &invite), Ok(()));
    assert!(matches!(guard.poll(), Some(Notice::ShutOut { source, .. }) if source == phone.0));
    assert_eq!(guard.view().0.len(), 1);
}

#[test]
fn behind_an_address_with_phones_each_may_mistype() {
    let mut guard = guard(|policy| policy.failures = 3);
    let standing = Standing::Stranger { phones: 40 };
    for _ in 0..42 {
        guard.offence(at(0), socket(STRANGER), standing, Offence::Failure);
    }
    assert!(guard.poll().is_none());
    guard.offence(at(0), socket(STRANGER), standing, Offence::Failure);
    assert!(matches!(guard.poll(), Some(Notice::ShutOut { cause: ShutOutCause::Failures, count: 43, .. })));
}

/// Passwords are checked where a user's REGISTERs meet, which is another shard than the one the datagrams come to.
#[test]
fn who_has_failed_here_does_not_come_in_by_another_shard() {
    let mut guard = guard(|policy| policy.failures = 1);
    let register = request("REGISTER", "x", "");
    let arrival = |from: &str, standing, bytes| Arrival {
        from: socket(from),
        listen: None,
        registers: true,
        standing,
        key: KEY,
        bytes,
    };
    assert_eq!(guard.screen_passed(at(0), &arrival(STRANGER, NOBODY, &register)), Ok(()));
    for standing in [NOBODY, Standing::Phone, Standing::Trunk] {
        guard.offence(at(0), socket(STRANGER), standing, Offence::Failure);
    }
    for standing in [NOBODY, Standing::Phone] {
        assert_eq!(guard.screen_passed(at(1), &arrival(STRANGER, standing, &register)), Err(Shut::Banned));
    }
    assert_eq!(guard.screen_passed(at(1), &arrival(STRANGER, Standing::Trunk, &register)), Ok(()));
    let tag = Minter::new(1, ShardId(0), KEY, 5).tag();
    let bye = request("BYE", "x", &format!(";tag={}", tag.as_str()));
    assert_eq!(guard.screen_passed(at(1), &arrival(STRANGER, Standing::Phone, &bye)), Ok(()));
}

proptest! {
    /// Whatever comes, a trunk is let in, and whoever is shut out has done what he is shut out for.
    #[test]
    fn nobody_is_shut_out_for_nothing(
        script in proptest::collection::vec((0u8..4, 0u64..3_000, 0u8..5), 1..200),
    ) {
        let mut guard = guard(|policy| (policy.malformed, policy.requests) = (4, 6));
        let mut done = [0u32; 4];
        let mut now = 0;
        for (who, pause, what) in script {
            now += pause;
            let from = format!("203.0.113.{who}");
            let bytes = match what {
                0 => b"nonsense".to_vec(),
                1 => request("OPTIONS", "sipvicious", ""),
                2 => response("z9hG4bKguess"),
                _ => request("INVITE", "phone", ""),
            };
            prop_assert!(comes_as(&mut guard, now, "192.0.2.1", &bytes, true).is_ok());
            let seen = comes(&mut guard, now, &from, &bytes);
            let done = &mut done[usize::from(who)];
            prop_assert!(seen != Err(Shut::Banned) || *done >= 4, "he has done {done}");
            *done += if what == 1 { 4 } else { 1 };
        }
    }
}
