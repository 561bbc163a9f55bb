//! What other products do with the same calls, as honestly as their documents, sources and our own measurements tell.
//!
//! They have no doubt, no trial, no dwell and no learned limits: a destination is active or it is not, and one counter is shared by
//! probes and calls. Refuses to know: everything the edge does.

use decide::{Candidate, Next, SoFar};
use model::{AttemptOutcome, Health, Instant, Observed, ProbeResult, Rng, Signal, Span, TargetId};

/// How a peer decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As the table calls it.
    pub name: &'static str,
    /// OPTIONS to OPTIONS; all destinations at once, no jitter.
    pub every: Span,
    /// OPTIONS to "no reply".
    pub deadline: Span,
    /// Failures in a row before a destination is inactive.
    pub fall: u32,
    /// Good OPTIONS in a row before it is active again.
    pub rise: u32,
    /// INVITE to "no reply".
    pub first_reply: Span,
    /// First provisional response to "no ringing".
    pub progress: Span,
    /// Status codes that move on, as ranges, both ends included.
    pub moves_on: &'static [(u16, u16)],
    /// Whether a destination that stalls is left for the next.
    pub leaves_stalled: bool,
    /// What failed calls do to a destination.
    pub mark: Mark,
    /// With every destination inactive, the last one is tried all the same.
    pub last_resort: bool,
}

/// What failed calls do to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: only OPTIONS tell.
    Nothing,
    /// Silence makes it inactive at once, any other failure counts like a failed OPTIONS.
    SilenceAtOnce,
}

impl Peer {
    /// Kamailio's dispatcher as its README shows it: `fr_timer` 2 s, `fr_inv_timer` 40 s, OPTIONS every 60 s, thresholds 1 and 1,
    /// failover on 500 and on silence only, no marking by calls.
    pub const fn kamailio() -> Self {
        Self {
            name: "Kamailio stock",
            every: Span::from_secs(60),
            deadline: Span::from_secs(2),
            fall: 1,
            rise: 1,
            first_reply: Span::from_secs(2),
            progress: Span::from_secs(40),
            moves_on: &[(500, 500)],
            leaves_stalled: false,
            mark: Mark::Nothing,
            last_resort: false,
        }
    }

    /// Kamailio tuned by an expert: `fr_timer` 1.5 s, `fr_inv_timer` 4 s until ringing, OPTIONS every second, thresholds 2 and 5,
    /// failover on any 5xx, 408 and silence, destinations marked by calls, `use_default`.
    pub const fn tuned_kamailio() -> Self {
        Self {
            name: "Kamailio tuned",
            every: Span::from_secs(1),
            deadline: Span::from_millis(1_500),
            fall: 2,
            rise: 5,
            first_reply: Span::from_millis(1_500),
            progress: Span::from_secs(4),
            moves_on: &[(408, 408), (500, 599)],
            leaves_stalled: true,
            mark: Mark::SilenceAtOnce,
            last_resort: true,
        }
    }

    /// A session border controller as it is mostly found: OPTIONS every 60 s with the transaction's own end (Timer F, 32 s), no 100
    /// within 6 s moves on, so does any 5xx; calls mark nothing.
    pub const fn border_controller() -> Self {
        Self {
            name: "SBC, 60 s OPTIONS",
            every: Span::from_secs(60),
            deadline: Span::from_secs(32),
            fall: 1,
            rise: 1,
            first_reply: Span::from_secs(6),
            progress: Span::from_secs(180),
            moves_on: &[(408, 408), (500, 599)],
            leaves_stalled: false,
            mark: Mark::Nothing,
            last_resort: true,
        }
    }
}

/// Pings on the way to one destination at most.
const FLYING_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
struct Destination {
    inactive: bool,
    bad: u32,
    good: u32,
    flying: Vec<(u64, Instant)>,
}

/// A peer at work.
#[derive(Clone, Debug)]
pub(super) struct PeerMind {
    pub(super) peer: Peer,
    /// Targets by tier, best first.
    tiers: Vec<Vec<TargetId>>,
    targets: Vec<(TargetId, Destination)>,
    next: Instant,
    order: u64,
    pub(super) probes: Vec<(u64, TargetId)>,
    /// Who has changed, to what, and why.
    pub(super) said: Vec<(TargetId, Health, String)>,
}

impl PeerMind {
    /// Where in the interval of its pings an outage falls is luck: consecutive seeds spread it evenly, by the golden ratio.
    pub(super) fn new(peer: Peer, tiers: Vec<Vec<TargetId>>, seed: u64) -> Self {
        let targets = tiers.iter().flatten().map(|target| (*target, Destination::default())).collect();
        let next = Instant::ZERO + peer.every.percent(seed.wrapping_mul(618) % 1_000 / 10);
        Self { peer, tiers, targets, next, order: 0, probes: Vec::new(), said: Vec::new() }
    }

    pub(super) fn signal(&mut self, signal: &Signal) {
        match signal.what {
            Observed::Probe { order, result } => {
                let Some(destination) = self.of(signal.target) else { return };
                let Some(index) = destination.flying.iter().position(|(number, _)| *number == order) else { return };
                destination.flying.remove(index);
                match result {
                    ProbeResult::Answered { code: 200..=299, .. } => self.good(signal.target),
                    _ => self.bad(signal.target, "OPTIONS"),
                }
            }
            Observed::Attempt { outcome, .. } if self.peer.mark == Mark::SilenceAtOnce => match outcome {
                AttemptOutcome::NoReply { .. } | AttemptOutcome::Unreachable { .. } => {
                    self.fall(signal.target, "a silent call")
                }
                AttemptOutcome::Stalled { .. } | AttemptOutcome::Refused { code: 408 | 500..=599, .. } => {
                    self.bad(signal.target, "calls");
                }
                _ => {}
            },
            _ => {}
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        let ends = self.targets.iter().flat_map(|(_, destination)| destination.flying.iter().map(|(_, ends)| *ends));
        ends.fold(self.next, Instant::min)
    }

    pub(super) fn tick(&mut self, now: Instant) {
        for index in 0..self.targets.len() {
            let (target, destination) = &mut self.targets[index];
            let target = *target;
            let before = destination.flying.len();
            destination.flying.retain(|(_, ends)| *ends > now);
            for _ in destination.flying.len()..before {
                self.bad(target, "OPTIONS");
            }
        }
        if now < self.next {
            return;
        }
        self.next = now + self.peer.every;
        let ends = now + self.peer.deadline;
        for (target, destination) in &mut self.targets {
            self.order += 1;
            if destination.flying.len() < FLYING_MAX {
                destination.flying.push((self.order, ends));
                self.probes.push((self.order, *target));
            }
        }
    }

    /// Active destinations, best tier first, in turn by chance inside a tier.
    pub(super) fn plan(&self, rng: &mut Rng) -> Vec<Candidate> {
        let mut plan = Vec::new();
        for (tier, targets) in (0u8..).zip(&self.tiers) {
            let mut left: Vec<TargetId> = targets.iter().copied().filter(|target| !self.is_inactive(*target)).collect();
            while !left.is_empty() {
                let target = left.remove(rng.below(left.len() as u64) as usize);
                plan.push(Candidate { target, tier, health: Health::Up });
            }
        }
        if plan.is_empty() && self.peer.last_resort {
            let tier = self.tiers.len().saturating_sub(1) as u8;
            let last = self.tiers.last().and_then(|tier| tier.last()).copied();
            plan.extend(last.map(|target| Candidate { target, tier, health: Health::Down }));
        }
        plan
    }

    pub(super) fn after(&self, outcome: &AttemptOutcome, so_far: &SoFar) -> Next {
        let moves = match outcome {
            AttemptOutcome::NoReply { .. } | AttemptOutcome::Unreachable { .. } => true,
            AttemptOutcome::Stalled { .. } => self.peer.leaves_stalled,
            AttemptOutcome::Refused { code, .. } => {
                self.peer.moves_on.iter().any(|(first, last)| (*first..=*last).contains(code))
            }
            _ => false,
        };
        if moves && so_far.left > 0 && !so_far.progress_relayed { Next::Next } else { Next::Stop { code: 503 } }
    }

    pub(super) fn is_inactive(&self, target: TargetId) -> bool {
        self.targets.iter().any(|(id, destination)| *id == target && destination.inactive)
    }

    /// The best tier with an active destination.
    pub(super) fn active(&self) -> Option<u8> {
        let active = |targets: &&Vec<TargetId>| targets.iter().any(|target| !self.is_inactive(*target));
        self.tiers.iter().position(|targets| active(&targets)).map(|tier| tier as u8)
    }

    fn of(&mut self, target: TargetId) -> Option<&mut Destination> {
        self.targets.iter_mut().find(|(id, _)| *id == target).map(|(_, destination)| destination)
    }

    fn good(&mut self, target: TargetId) {
        let rise = self.peer.rise;
        let Some(destination) = self.of(target) else { return };
        // One counter for probes and calls: a good OPTIONS erases what calls have shown.
        destination.bad = 0;
        if !destination.inactive {
            return;
        }
        destination.good += 1;
        if destination.good >= rise {
            destination.inactive = false;
            destination.good = 0;
            self.said.push((target, Health::Up, format!("active again after {rise} good OPTIONS")));
        }
    }

    fn bad(&mut self, target: TargetId, what: &str) {
        let fall = self.peer.fall;
        let Some(destination) = self.of(target) else { return };
        destination.good = 0;
        destination.bad += 1;
        if destination.bad >= fall {
            self.fall(target, what);
        }
    }

    fn fall(&mut self, target: TargetId, what: &str) {
        let Some(destination) = self.of(target) else { return };
        destination.good = 0;
        if !destination.inactive {
            destination.inactive = true;
            self.said.push((target, Health::Down, format!("inactive, by {what}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CallRef, TrunkId};

    const TARGET: TargetId = TargetId { trunk: TrunkId(0), index: 0 };

    fn mind(peer: Peer) -> PeerMind {
        PeerMind::new(peer, vec![vec![TARGET]], 1)
    }

    fn call_fails(mind: &mut PeerMind, outcome: AttemptOutcome) {
        let what = Observed::Attempt { call: CallRef(1), outcome };
        mind.signal(&Signal { at: Instant::ZERO, target: TARGET, what });
    }

    fn ping(mind: &mut PeerMind, code: u16) {
        let now = mind.next;
        mind.tick(now);
        let (order, _) = mind.probes.pop().unwrap();
        let result = ProbeResult::Answered { code, rtt: Span::from_millis(5) };
        mind.signal(&Signal { at: now, target: TARGET, what: Observed::Probe { order, result } });
    }

    #[test]
    fn one_counter_forgets_failing_calls_with_every_good_ping() {
        let mut mind = mind(Peer::tuned_kamailio());
        let grey = AttemptOutcome::Refused { code: 500, q850: None, retry_after: None };
        for _ in 0..5 {
            call_fails(&mut mind, grey);
            ping(&mut mind, 200);
        }
        assert!(mind.said.is_empty(), "{:?}", mind.said);
        call_fails(&mut mind, grey);
        call_fails(&mut mind, grey);
        assert!(mind.is_inactive(TARGET));
        (0..5).for_each(|_| ping(&mut mind, 200));
        assert!(!mind.is_inactive(TARGET), "five good OPTIONS bring back a trunk that fails every call");
    }

    #[test]
    fn stock_pings_are_all_that_tells() {
        let mut mind = mind(Peer::kamailio());
        (0..50).for_each(|_| call_fails(&mut mind, AttemptOutcome::NoReply { after: Span::from_secs(2) }));
        assert!(!mind.is_inactive(TARGET));
        let now = mind.next;
        mind.tick(now);
        assert_eq!(mind.deadline(), now + Span::from_secs(2));
        mind.tick(now + Span::from_secs(2));
        assert!(mind.is_inactive(TARGET));
        assert!(mind.plan(&mut Rng::new(1)).is_empty(), "nobody is left, and nobody is tried");
    }
}
