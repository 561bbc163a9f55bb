#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const ROOM: usize = 256;
const TAKEN: Tried = Tried::Taken { except: 0 };

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn post(body: impl Into<Arc<str>>) -> Post {
    Post { body: body.into(), holds: 1 }
}

#[test]
fn rests_double_and_are_drawn_between_half_and_whole() {
    let (mut line, give_up) = (Line::new(1, ROOM), Span::from_secs(3_600));
    line.push(at(0), post("a"));
    let mut now = at(0);
    let mut rests = Vec::new();
    for _ in 0..9 {
        assert_eq!(line.poll(now).as_deref(), Some("a"));
        assert_eq!((line.poll(now), line.deadline()), (None, None), "one at a time");
        line.tried(now, give_up, Tried::Later);
        let due = line.deadline().unwrap();
        rests.push(due.since(now).as_millis());
        now = due;
    }
    let bounds = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000];
    for (rest, whole) in rests.iter().zip(bounds) {
        assert!((whole / 2..=whole).contains(rest), "{rests:?}");
    }
}

#[test]
fn what_nobody_takes_is_dropped_in_time_and_the_next_has_its_turn() {
    let (mut line, give_up) = (Line::new(1, ROOM), Span::from_secs(10));
    line.push(at(0), post("a"));
    line.push(at(0), post("b"));
    let mut now = at(0);
    while line.poll(now).as_deref() == Some("a") {
        line.tried(now, give_up, Tried::Later);
        now = line.deadline().unwrap().max(now);
        assert!(now.since(at(0)) <= Span::from_secs(10));
    }
    assert_eq!(line.counts().late, 1);
    line.tried(now, give_up, TAKEN);
    assert!(line.waiting() == 0 && line.counts().taken == 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Try(Tried),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tried = prop_oneof![Just(TAKEN), Just(Tried::Later), Just(Tried::Refused)];
    let step =
        prop_oneof![6 => Just(Step::Push), 3 => tried.prop_map(Step::Try), 1 => (0..90_000_u64).prop_map(Step::Pass)];
    proptest::collection::vec(step, 0..1_500)
}

proptest! {
    #[test]
    fn posts_keep_their_order_their_limit_and_are_all_accounted_for(seed: u64, steps in steps()) {
        let (mut line, give_up) = (Line::new(seed, ROOM), Span::from_secs(600));
        let (mut now, mut pushed, mut last) = (0, 0_u64, None);
        for step in steps {
            match step {
                Step::Push => {
                    line.push(at(now), post(pushed.to_string()));
                    pushed += 1;
                }
                Step::Pass(ms) => now += ms,
                Step::Try(tried) => {
                    if let Some(body) = line.poll(at(now)) {
                        let number: u64 = body.parse().unwrap();
                        prop_assert!(last.is_none_or(|last| last <= number), "{last:?} {number}");
                        last = Some(number);
                        line.tried(at(now), give_up, tried);
                    }
                }
            }
            let counts = line.counts();
            let gone = counts.taken + counts.full + counts.late + counts.refused;
            prop_assert_eq!(gone + line.waiting() as u64, pushed);
            prop_assert!(line.waiting() <= ROOM);
            prop_assert!(line.deadline().is_none_or(|due| due <= at(now) + REST_MOST));
        }
    }

    #[test]
    fn the_one_that_is_being_tried_is_never_the_one_that_makes_room(extra in 0..600_usize) {
        let (mut line, give_up) = (Line::new(1, ROOM), Span::from_secs(600));
        line.push(at(0), post("first"));
        line.poll(at(0)).unwrap();
        (0..extra).for_each(|_| line.push(at(0), post("more")));
        line.tried(at(1), give_up, TAKEN);
        prop_assert_eq!(line.counts().taken, 1);
        let next = line.poll(at(1));
        prop_assert_ne!(next.as_deref(), Some("first"));
    }
}

#[test]
fn what_a_post_holds_is_counted_and_what_a_receiver_leaves_out_is_refused() {
    let (mut line, give_up) = (Line::new(1, 2), Span::from_secs(600));
    for (body, holds) in [("a", 7), ("b", 5), ("c", 3)] {
        line.push(at(0), Post { body: body.into(), holds });
    }
    assert_eq!((line.counts().full, line.waiting(), line.held()), (7, 2, 8), "the oldest has made room");
    assert_eq!(line.poll(at(0)).as_deref(), Some("b"));
    line.tried(at(0), give_up, Tried::Taken { except: 2 });
    assert_eq!((line.counts().taken, line.counts().refused), (3, 2));
    assert_eq!(line.poll(at(0)).as_deref(), Some("c"));
    line.tried(at(0), give_up, Tried::Taken { except: 9 });
    assert_eq!((line.counts().taken, line.counts().refused), (3, 5), "never more than it holds");
}
