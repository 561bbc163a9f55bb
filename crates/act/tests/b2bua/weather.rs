//! Calls on a wire that loses, doubles and reorders, among carriers that do what carriers do, by seed.

use crate::peer::{Peer, Step, say, sdp};
use crate::world::{Lab, Weather};
use decide::{Cause, Hedge};
use model::{Health, Instant, Rng, Span};
use sip::{ClientKey, Method};
use std::collections::{BTreeMap, BTreeSet};

const CARRIERS: usize = 4;
const CALLS: usize = 6;

/// One call's fate: when it begins, when the caller wants something, and what.
struct Fate {
    begins: u64,
    acts: u64,
    holds: bool,
    late_offer: bool,
}

fn steps(rng: &mut Rng) -> Vec<Step> {
    match rng.below(8) {
        0 => vec![say(20, 503)],
        1 => vec![],
        2 => vec![say(30, 180), say(900, 486)],
        3 => vec![sdp(1_000 + rng.below(1_000), 200)],
        4 => vec![sdp(30, 183), sdp(1_500, 200)],
        5 => vec![say(5_900 + rng.below(200), 180), sdp(6_500, 200)],
        _ => vec![say(30, 180), sdp(700, 200)],
    }
}

fn trouble(peer: &mut Peer, rng: &mut Rng) {
    peer.steps = (0..CALLS).map(|_| steps(rng)).collect();
    peer.yields = rng.below(4) > 0;
    peer.dead = rng.below(6) == 0;
    peer.closed = rng.below(8) == 0;
}

/// What control comes to think of a carrier, rightly or not.
fn judge(lab: &mut Lab, rng: &mut Rng) {
    let carrier = 1 + rng.below(CARRIERS as u64) as u16;
    let to = [Health::Suspect, Health::Down, Health::Down, Health::Up][rng.below(4) as usize];
    let silent = Cause::CallsSilent { count: 3, limit: 3 };
    let cause = if rng.below(3) == 0 { Cause::CallsFailed { count: 3, limit: 3 } } else { silent };
    lab.health_because(carrier, to, cause);
}

/// What the caller does once its time has come: gives up, or hangs up, or holds first.
fn act(lab: &mut Lab, client: ClientKey, session: usize, holds: bool) {
    let now = lab.now;
    let office = &mut lab.peers[0];
    if office.sessions[session].over {
        return;
    }
    if !office.sessions[session].answered {
        office.endpoint.cancel(now, client, None);
    } else if holds {
        let body = office.sdp();
        office.send(now, session, Method::Invite, "application/sdp", body);
    } else {
        office.send(now, session, Method::Bye, "", vec![]);
    }
}

fn live_through(seed: u64, weather: Weather) {
    let mut rng = Rng::new(seed);
    let mut lab = Lab::seeded(CARRIERS, seed);
    lab.weather = weather;
    for carrier in 1..=CARRIERS {
        trouble(&mut lab.peers[carrier], &mut rng);
        if rng.below(2) == 0 {
            lab.pace(carrier as u16, 15 + rng.below(200));
            lab.attempt_policy(carrier).hedge = Some(Hedge { share: 100 });
        }
    }
    let fates: Vec<Fate> = (0..CALLS)
        .map(|_| Fate {
            begins: rng.below(4_000),
            acts: 300 + rng.below(12_000),
            holds: rng.below(3) == 0,
            late_offer: rng.below(4) == 0,
        })
        .collect();
    let began = lab.now;
    let at = |ms: u64| began + Span::from_millis(ms);
    let mut agenda: BTreeMap<(Instant, usize), bool> = BTreeMap::new();
    for (index, fate) in fates.iter().enumerate() {
        agenda.insert((at(fate.begins), index), true);
        agenda.insert((at(fate.begins + fate.acts), index), false);
    }
    let mut clients: BTreeMap<usize, (ClientKey, usize)> = BTreeMap::new();
    for ((when, index), begins) in agenda {
        for _ in 0..rng.below(3) {
            lab.run(when.since(lab.now).as_micros() / 2_000);
            judge(&mut lab, &mut rng);
        }
        lab.run(when.since(lab.now).as_micros().div_ceil(1_000));
        if begins {
            let offer = if fates[index].late_offer { vec![] } else { lab.peers[0].sdp() };
            let session = lab.peers[0].sessions.len();
            clients.insert(index, (lab.call_with(0, "+4722", offer, &[]), session));
        } else {
            let (client, session) = clients[&index];
            act(&mut lab, client, session, fates[index].holds);
        }
        assert!(two_legs_at_most(&lab), "seed {seed}");
    }
    // Whoever still talks hangs up.
    lab.run(20_000);
    for session in 0..CALLS {
        if lab.peers[0].sessions[session].answered {
            let (client, _) = *clients.values().find(|(_, known)| *known == session).unwrap();
            act(&mut lab, client, session, false);
        }
    }
    lab.settle();
    assert_eq!(lab.ended.len(), taken(&lab).len(), "seed {seed}: one record per call");
    for (client, _) in clients.values() {
        assert_eq!(lab.peers[0].ends(*client), 1, "seed {seed}: one end per INVITE");
    }
    for (call, finals) in taken(&lab) {
        assert_eq!(finals.len(), 1, "seed {seed}: {} got {finals:?}", String::from_utf8_lossy(&call));
    }
}

/// The relay never carries more than one pair of ports on either side of a call.
fn two_legs_at_most(lab: &Lab) -> bool {
    lab.relay.joined() <= 2 * lab.b2bua.calls()
}

/// Every INVITE of the office that the edge took: the final codes it was given.
fn taken(lab: &Lab) -> BTreeMap<Vec<u8>, BTreeSet<u16>> {
    let mut calls: BTreeMap<Vec<u8>, BTreeSet<u16>> = BTreeMap::new();
    let ours = lab
        .sent
        .iter()
        .filter(|(_, to, sent)| *to == lab.peers[0].addr && sent.method() == Method::Invite && sent.cseq().number == 7);
    for (_, _, sent) in ours {
        let Some(code) = sent.status() else { continue };
        let finals = calls.entry(sent.call_id().to_vec()).or_default();
        if code >= 200 {
            finals.insert(code);
        }
    }
    calls
}

#[test]
fn whatever_the_weather_every_call_ends_clean() {
    for seed in 1..=150 {
        live_through(seed, Weather::default());
    }
}

#[test]
fn lost_doubled_and_reordered_packets_change_nothing_of_that() {
    for seed in 1..=250 {
        live_through(seed, Weather { lost: 20 + seed % 180, doubled: 80, jitter: 60 });
    }
}

/// The same seed, the same packets.
#[test]
fn a_run_repeats_from_its_seed() {
    let run = || {
        let mut lab = Lab::seeded(2, 77);
        lab.weather = Weather { lost: 100, doubled: 100, jitter: 30 };
        lab.peers[1].steps = vec![vec![say(20, 503)]];
        lab.call("+4722");
        lab.run(5_000);
        lab.sent.iter().map(|(at, to, sent)| (*at, *to, sent.bytes().to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
