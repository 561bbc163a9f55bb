//! The end of a power cut: all phones of a town come back at once, through several shards, and the calls beside them do not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crowd;

use crowd::Crowd;
use model::Span;

/// Three thousand phones behind ten addresses, all of them within three seconds of a restart that has forgotten them, at a registrar that
/// serves fifty phones a second.
#[test]
fn a_town_that_comes_back_is_served_in_the_shortest_time_and_no_call_notices() {
    let mut crowd = Crowd::new(3_000, 300, 2, "rate = 100\n");
    crowd.come(Span::from_secs(3), Span::from_secs(600));
    let outcome = &crowd.outcome;
    assert_eq!(crowd.known(), [3_000, 3_000], "every shard can call every phone: {outcome:?}");
    assert!(outcome.took < Span::from_secs(120), "60 s is the least: {outcome:?}");
    assert!(outcome.challenged < 3_600, "who was challenged is served before others are: {outcome:?}");
    assert!(outcome.put_off < 9_000, "each is told its place in the line, and few come too early: {outcome:?}");
    assert!(outcome.busiest <= 100, "{outcome:?}");
    let (begun, ended) = outcome.calls;
    assert!(begun > 300 && ended == begun, "{outcome:?}");
    assert_eq!(crowd.count("guard_shut_out"), 0, "three hundred phones behind one address are no attack");
    assert!(crowd.transactions() < 20_000, "{}", crowd.transactions());
}

/// Whoever guesses passwords is shut out, wherever his user's REGISTERs meet, and the phones behind the same address stay.
#[test]
fn a_guesser_is_shut_out_and_phones_of_his_address_stay() {
    let mut crowd = Crowd::new(40, 20, 2, "[guard]\nfailures = 5\n");
    crowd.come(Span::from_secs(3), Span::from_secs(60));
    assert_eq!(crowd.known(), [40, 40]);
    let far = "203.0.113.9:5060";
    let answers: Vec<u16> = (0..40).filter_map(|n| crowd.guess(far, n % 4)).collect();
    assert!(answers.len() < 40 && answers.iter().all(|code| *code == 401), "{answers:?}");
    assert!((0..4).all(|user| crowd.guess(far, user).is_none()), "he hears nothing more");
    // One of the first house guesses at his neighbours, by another port than that of a phone.
    let house = "10.0.0.0:9";
    let answers = (0..20).filter_map(|n| crowd.guess(house, n)).count();
    assert_eq!(answers, 20, "so many phones may mistype");
    for n in 0..60 {
        crowd.guess(house, n % 20);
    }
    assert!(crowd.guess(house, 0).is_none());
    assert_eq!(crowd.renew(3), Some(401), "a phone that is registered there is asked for its password as ever");
    assert!(crowd.count("guard_shut_out") >= 2);
}
