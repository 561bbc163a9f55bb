//! How an attempt is left that its own trunk has not ended: by the end of the hunt, by another one that rings.

use crate::peer::{say, sdp};
use crate::world::Lab;
use model::{AttemptOutcome, Health, Observed, Span};
use sip::Method;

const MS: fn(u64) -> Span = Span::from_millis;

/// The hunt's end is no deadline of a trunk: one that it cuts short has failed nothing, and one that had its own time has.
#[test]
fn an_attempt_that_the_hunts_end_cuts_short_is_not_its_trunks_fault() {
    for replies in [true, false] {
        let mut lab = Lab::new(3);
        for carrier in 1..=3 {
            lab.peers[carrier].steps = vec![vec![]];
            lab.attempt_policy(carrier).hunt = MS(7_000);
            lab.attempt_policy(carrier).learned = None;
        }
        lab.peers[2].dead = !replies;
        lab.attempt_policy(1).progress = MS(6_500);
        let client = lab.call("+4722");
        lab.run(20_000);
        assert_eq!(lab.peers[0].codes(client), [504]);
        lab.settle();
        let outcomes: Vec<AttemptOutcome> = lab.ended[0].attempts.iter().map(|attempt| attempt.outcome).collect();
        let [AttemptOutcome::Stalled { .. }, AttemptOutcome::CutShort { after, replied }] = outcomes[..] else {
            panic!("{outcomes:?}");
        };
        assert_eq!(replied, replies);
        assert!(after < MS(1_000), "{after}");
        let told = |seen: &Observed| matches!(seen, Observed::Attempt { outcome, .. } if *outcome == outcomes[1]);
        assert!(lab.seen(2).iter().any(told), "control lays no blame for it");
    }
}

/// One rings at a time. While the one that is heard is asked whether it still rings, an older one may begin to: it waits for its turn, and
/// is left as soon as the other says that it rings.
#[test]
fn an_older_one_that_rings_meanwhile_is_left_when_the_one_that_is_heard_lives() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(1_000, 180)]];
    lab.peers[2].steps = vec![vec![say(20, 180), sdp(4_000, 200)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(500);
    assert_eq!(lab.peers[0].codes(client), [180], "carrier 2 is heard");
    lab.hush(2, 250);
    lab.health(2, Health::Down);
    lab.run(400);
    assert_eq!(lab.peers[1].cancels(), 0, "it rings, and may yet be the only one");
    lab.run(400);
    assert_eq!((lab.peers[1].cancels(), lab.peers[2].cancels()), (1, 0));
    lab.run(4_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200]);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    let outcomes: Vec<AttemptOutcome> = lab.ended[0].attempts.iter().map(|attempt| attempt.outcome).collect();
    assert!(matches!(outcomes[..], [AttemptOutcome::Outrun { progressed: true, .. }, AttemptOutcome::Answered]));
}

/// The other way round: the one that is heard says nothing any more, and the older one that has begun to ring is heard from then on.
#[test]
fn an_older_one_that_rings_meanwhile_is_heard_when_the_other_is_lost() {
    let mut lab = Lab::new(2);
    lab.peers[1].steps = vec![vec![say(1_000, 183), sdp(4_000, 200)]];
    lab.peers[2].steps = vec![vec![say(20, 180), sdp(4_000, 200)]];
    let client = lab.call("+4722");
    lab.run(300);
    lab.health(1, Health::Down);
    lab.run(500);
    lab.peers[2].dead = true;
    lab.health(2, Health::Down);
    lab.run(5_000);
    assert_eq!(lab.peers[0].codes(client), [180, 183, 200]);
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
    assert!(matches!(lab.ended[0].attempts[1].outcome, AttemptOutcome::WentSilent { .. }));
}
