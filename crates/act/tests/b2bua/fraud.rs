//! What calls from a trunk may dial, and how many: beyond it they are refused, recorded and told of; calls for help pass.

use crate::world::Lab;
use decide::{Barred, NoPlan};
use sip::{HeaderName, Method};

fn limited(change: impl FnOnce(&mut act::InboundPolicy)) -> Lab {
    let mut lab = Lab::new(1);
    change(&mut lab.profiles.trunks[0].as_mut().unwrap().inbound);
    lab
}

#[test]
fn a_denied_number_is_403_with_a_record_and_an_alarm() {
    let mut lab = limited(|policy| policy.deny = vec!["+882".into()]);
    let client = lab.call("+88213");
    lab.run(100);
    assert_eq!((lab.peers[0].codes(client), lab.peers[1].requests(Method::Invite).len()), (vec![403], 0));
    let why = Barred::Prefix { prefix: "+882".into() };
    assert_eq!(lab.barred, [(0, why.clone())]);
    assert_eq!(lab.ended[0].plan, Err(NoPlan::Barred { why }));
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client), [180, 200], "any other number is placed");
    let (now, last) = (lab.now, lab.peers[0].sessions.len() - 1);
    lab.peers[0].send(now, last, Method::Bye, "", Vec::new());
    lab.settle();
}

#[test]
fn more_calls_than_it_may_are_603_until_one_ends_and_help_is_called_all_the_same() {
    let mut lab = limited(|policy| policy.concurrent = Some(1));
    lab.call("+4722");
    lab.run(1_000);
    let second = lab.call("+4733");
    lab.run(100);
    assert_eq!((lab.peers[0].codes(second), lab.b2bua.counters().barred), (vec![603], 1));
    assert_eq!(lab.barred, [(0, Barred::AtOnce { limit: 1, part: 1 })]);
    let help = lab.call("112");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(help), [180, 200]);
    lab.send(0, Method::Bye, "", Vec::new());
    lab.run(500);
    let third = lab.call("+4744");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(third), [180, 200], "the first has ended");
    let now = lab.now;
    for session in [2, 3] {
        lab.peers[0].send(now, session, Method::Bye, "", Vec::new());
    }
    lab.settle();
}

/// RFC 3261 §21.5.4: haste is answered 503 with Retry-After, and is no fraud.
#[test]
fn a_hasty_trunk_is_told_to_wait() {
    let mut lab = limited(|policy| policy.cps = Some(1));
    lab.call("+4722");
    let hasty = lab.call("+4733");
    lab.run(100);
    let refusal = lab.peers[0].last(hasty);
    assert_eq!(refusal.status(), Some(503));
    assert!(refusal.header(HeaderName::RetryAfter).is_some() && lab.barred.is_empty());
    lab.run(1_500);
    let later = lab.call("+4744");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(later), [180, 200]);
    let now = lab.now;
    for session in [0, 2] {
        lab.peers[0].send(now, session, Method::Bye, "", Vec::new());
    }
    lab.settle();
}
