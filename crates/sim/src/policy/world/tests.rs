//! What the queue of events and the slots of hunts must not confuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::policy::mind::{DAY, tiers};
use crate::policy::peer::{Peer, PeerMind};
use crate::policy::{Scenario, TrunkLaw, settings};

/// A world of one good carrier in which nobody calls by himself.
fn quiet() -> World {
    let scenario = Scenario::new(vec![TrunkLaw::new("acme")]);
    let settings = settings(&scenario).unwrap();
    let names: Vec<Name> = settings.names.trunks.clone();
    let from = TrunkId(names.iter().position(|name| **name == *"office").unwrap() as u16);
    let facts = Facts { from, number: "+47", emergency: false };
    let mind = Mind::Peer(Box::new(PeerMind::new(Peer::kamailio(), tiers(&settings, &facts), 1)));
    let zero = Instant::ZERO;
    let carriers = names.iter().map(|name| Some(Carrier::new(scenario.law(name), Vec::new(), zero, None))).collect();
    World::new(Parts {
        mind,
        carriers,
        tally: Tally::new(zero, scenario.length, names.len(), Vec::new()),
        names,
        source: Source::List(Vec::new().into_iter()),
        numbers: vec!["+4712345678".to_owned()],
        from,
        patience: Span::from_secs(15),
        redial: None,
        clock: Clock { zero, shows: DAY },
        end: zero + scenario.length,
        seed: 1,
    })
}

/// A hunt can end before the event that was to be its next; whoever hunts in its slot then has only his own event.
#[test]
fn an_event_left_by_a_hunt_is_not_taken_for_one_of_the_next_in_its_slot() {
    let mut world = quiet();
    world.call(0, 0);
    world.finish(0, AttemptOutcome::Abandoned { after: Span::ZERO, progressed: false });
    world.call(0, 0);
    let steps: Vec<u64> = world
        .queue
        .iter()
        .filter(|event| matches!(event.what, What::Step { slot: 0 }))
        .map(|event| event.number)
        .collect();
    assert_eq!((steps.len(), world.hunts.len()), (2, 1), "the slot is used again while an event of the first is left");
    let turn = world.hunts[0].as_ref().unwrap().turn;
    assert_eq!(steps.iter().filter(|step| **step == turn).count(), 1);
    let stale = *steps.iter().find(|step| **step != turn).unwrap();
    world.happen(stale, What::Step { slot: 0 });
    assert_eq!(world.hunts[0].as_ref().map(|hunt| (hunt.turn, hunt.replied)), Some((turn, None)), "nothing happened");
}
