//! A carrier by its law and its outages: what becomes of an INVITE or an OPTIONS sent to it at a given moment.
//!
//! Repeats of requests and of final responses are computed, not sent (RFC 3261 §17.1.1.2, §17.1.2.2, §17.2.1, §13.3.1.4): the answer
//! to "when is something heard" is one timetable. Refuses to know: who asks, and how long they wait.

use super::dice::Dice;
use super::kind::Kind;
use super::outage::Outage;
use super::recorded::Recording;
use super::scenario::TrunkLaw;
use model::{AttemptOutcome, Instant, ProbeResult, Span, TransportFault};

/// A server's own T1, and the longest pause between its repeats (RFC 3261 Table 4).
const T1: Span = Span::from_millis(500);
const T2: Span = Span::from_secs(4);
/// Nobody repeats anything for longer (64·T1).
const REPEATS_END: Span = Span::from_secs(32);
/// How soon the system tells of a refused packet on such a network.
const ICMP: Span = Span::from_millis(2);
/// Whom nobody picks up for, hangs up about then.
const RINGS_FOR: Span = Span::from_secs(30);
/// The longest anybody takes to the phone; beyond it the caller has hung up.
const PICK_UP_MAX: Span = Span::from_secs(60);

/// When an attempt shows what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timetable {
    /// First response of any kind.
    pub(super) reply: Option<Instant>,
    /// First provisional response other than 100.
    pub(super) progress: Option<Instant>,
    /// Final response, ICMP, or the caller's hanging up.
    pub(super) end: Option<(Instant, AttemptOutcome)>,
    /// INVITE to ringing or refusal, had nothing been wrong.
    pub(super) nominal: Span,
    /// How long they will talk, when answered.
    pub(super) talk: Span,
    /// No audio will come.
    pub(super) mute: bool,
    /// It rings, and the answer that was meant never comes through: its caller hangs up for no fault of the called party.
    pub(super) vain: bool,
    /// An outage touched it.
    pub(super) hit: bool,
}

/// How an attempt is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) sent: Instant,
    pub(super) number: &'a str,
    /// The client's T1.
    pub(super) t1: Span,
    /// How long it repeats the INVITE.
    pub(super) repeats: Span,
    /// Whether ICMP is heeded.
    pub(super) hears_icmp: bool,
}

/// What a network does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Silent,
    Refused(TransportFault),
}

/// What a server does with an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Normal,
    Code(u16, Option<Span>),
    Stall,
}

/// All outages of a moment together.
#[derive(Clone, Copy, Debug)]
struct Weather {
    way: Way,
    permille: u32,
    added: Span,
    mute: bool,
    capacity: u32,
    options: u16,
    any: bool,
    /// An outage that touches every call.
    everybody: bool,
}

/// One carrier.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    law: TrunkLaw,
    outages: Vec<Outage>,
    /// The clock's zero.
    zero: Instant,
    up: u32,
    second: u64,
    offered: u32,
    recording: Option<Recording>,
}

impl Carrier {
    pub(super) fn new(law: TrunkLaw, outages: Vec<Outage>, zero: Instant, recording: Option<Recording>) -> Self {
        Self { law, outages, zero, up: 0, second: 0, offered: 0, recording }
    }

    /// A call has left it.
    pub(super) const fn released(&mut self) {
        self.up = self.up.saturating_sub(1);
    }

    /// A call stays.
    pub(super) const fn carries(&mut self) {
        self.up += 1;
    }

    /// Whether a question sent now would be answered.
    pub(super) fn is_reachable(&self, at: Instant) -> bool {
        self.weather(at).way == Way::Open && self.recording.as_ref().is_none_or(|recording| recording.answers(at))
    }

    /// What becomes of an INVITE.
    pub(super) fn invite(&mut self, dice: &mut Dice, call: &Call<'_>) -> Timetable {
        if let Some(recording) = &self.recording {
            return recording.invite(call.sent);
        }
        let sky = self.weather(call.sent);
        let reply = dice.about(self.law.reply);
        let ring = dice.about(self.law.ring);
        let fate = self.fate(dice, call, &sky);
        let (fate, hit) = if self.is_full(call.sent, sky.capacity) {
            (Fate::Code(503, None), sky.capacity < 100)
        } else {
            (fate, fate != Fate::Normal)
        };
        let mut table = Timetable {
            reply: None,
            progress: None,
            end: None,
            nominal: reply + ring,
            talk: if self.law.talk_fixed { self.law.talk } else { dice.exponential(self.law.talk) },
            mute: sky.mute,
            vain: false,
            hit: hit || sky.everybody,
        };
        let accepted = self.knock(dice, call, reply, &mut table);
        let Some(accepted) = accepted else { return table };
        // A background fault is drawn last, so that scenarios with and without it share their other draws.
        let fate = match fate {
            Fate::Normal if dice.permille(self.law.fault_permille) => Fate::Code(503, None),
            fate => fate,
        };
        match fate {
            Fate::Stall => {}
            Fate::Code(code, retry_after) => {
                table.nominal = reply;
                let outcome = AttemptOutcome::Refused { code, q850: None, retry_after };
                self.conclude(dice, accepted, Span::from_millis(1), outcome, &mut table);
            }
            Fate::Normal => self.normal(dice, accepted, ring, &mut table),
        }
        if let Some((at, _)) = table.end {
            // Whatever comes first is the first reply.
            let heard = table.progress.map_or(at, |progress| progress.min(at));
            table.reply = Some(table.reply.map_or(heard, |reply| reply.min(heard)));
        }
        table
    }

    /// When the server first has the INVITE; notes the first reply, or the refusal by the network.
    fn knock(&self, dice: &mut Dice, call: &Call<'_>, reply: Span, table: &mut Timetable) -> Option<Instant> {
        let mut accepted = None;
        let (mut pause, mut after) = (call.t1, Span::ZERO);
        while after < call.repeats.min(REPEATS_END) {
            let sent = call.sent + after;
            let sky = self.weather(sent);
            match sky.way {
                Way::Refused(fault)
                    if accepted.is_none() && (call.hears_icmp || fault != TransportFault::PortUnreachable) =>
                {
                    table.end = Some((sent + ICMP, AttemptOutcome::Unreachable { fault }));
                    table.hit = true;
                    return None;
                }
                Way::Open if !dice.permille(sky.permille) => {
                    let heard = sent + reply + sky.added;
                    accepted.get_or_insert(sent + half(reply) + half(sky.added));
                    if self.survives(dice, heard) {
                        table.reply = Some(heard);
                        return accepted;
                    }
                }
                _ => {}
            }
            after = after + pause;
            pause = pause.times(2);
        }
        accepted
    }

    /// Busy, answered, or rung in vain.
    fn normal(&self, dice: &mut Dice, accepted: Instant, ring: Span, table: &mut Timetable) {
        let draw = dice.below(100);
        let busy = u64::from(self.law.busy);
        if draw < busy {
            let outcome = AttemptOutcome::Refused { code: 486, q850: None, retry_after: None };
            return self.conclude(dice, accepted, ring, outcome, table);
        }
        let answered = draw < busy + u64::from(self.law.answered);
        let rings = accepted + ring + half(self.law.reply) + half(self.weather(accepted + ring).added);
        if self.survives(dice, rings) {
            table.progress = Some(rings);
        }
        if answered {
            let picks_up = dice.exponential(self.law.pick_up).min(PICK_UP_MAX);
            self.conclude(dice, accepted, ring + picks_up, AttemptOutcome::Answered, table);
        }
        if table.end.is_none() && table.progress.is_some() {
            let after = dice.about(RINGS_FOR);
            table.vain = answered;
            table.end = Some((rings + after, AttemptOutcome::Abandoned { after, progressed: true }));
        }
    }

    /// The final response: repeated until it is heard, unless the server has meanwhile lost its memory.
    fn conclude(
        &self,
        dice: &mut Dice,
        accepted: Instant,
        after: Span,
        outcome: AttemptOutcome,
        table: &mut Timetable,
    ) {
        let (mut pause, mut repeated) = (T1, Span::ZERO);
        while repeated < REPEATS_END {
            let sent = accepted + after + repeated;
            let heard = sent + half(self.law.reply) + half(self.weather(sent).added);
            if self.died_between(accepted, sent) {
                return;
            }
            if self.survives(dice, heard) {
                table.end = Some((heard, outcome));
                return;
            }
            repeated = repeated + pause;
            pause = pause.times(2).min(T2);
        }
    }

    /// What becomes of an OPTIONS that is waited for so long.
    pub(super) fn options(
        &self,
        dice: &mut Dice,
        sent: Instant,
        waits: Span,
        icmp: bool,
    ) -> Option<(Instant, ProbeResult)> {
        if let Some(recording) = &self.recording {
            return recording.options(sent);
        }
        let reply = dice.about(self.law.reply);
        let (mut pause, mut after) = (T1, Span::ZERO);
        while after < waits.min(REPEATS_END) {
            let at = sent + after;
            let sky = self.weather(at);
            match sky.way {
                Way::Refused(fault) if icmp || fault != TransportFault::PortUnreachable => {
                    return Some((at + ICMP, ProbeResult::Unreachable { fault }));
                }
                Way::Open if !dice.permille(sky.permille) => {
                    let heard = at + reply + sky.added;
                    if self.survives(dice, heard) {
                        let rtt = heard.since(sent);
                        return Some((heard, ProbeResult::Answered { code: sky.options, rtt }));
                    }
                }
                _ => {}
            }
            after = after + pause;
            pause = pause.times(2).min(T2);
        }
        None
    }

    fn fate(&self, dice: &mut Dice, call: &Call<'_>, sky: &Weather) -> Fate {
        if !sky.any {
            return Fate::Normal;
        }
        let at = call.sent.since(self.zero);
        let mut fate = Fate::Normal;
        for outage in self.outages.iter().filter(|outage| outage.holds(at)) {
            match &outage.kind {
                Kind::Unavailable { retry_after } => fate = Fate::Code(503, *retry_after),
                Kind::Stall => fate = Fate::Stall,
                Kind::Grey { code, prefix, share } => {
                    let meant = prefix.as_ref().is_none_or(|prefix| call.number.starts_with(prefix.as_str()));
                    if meant && dice.below(100) < u64::from(*share) {
                        fate = Fate::Code(*code, None);
                    }
                }
                _ => {}
            }
        }
        fate
    }

    fn weather(&self, at: Instant) -> Weather {
        let mut sky = Weather {
            way: Way::Open,
            permille: 0,
            added: Span::ZERO,
            mute: false,
            capacity: 100,
            options: 200,
            any: false,
            everybody: false,
        };
        if at < self.zero {
            return sky;
        }
        let at = at.since(self.zero);
        for outage in self.outages.iter().filter(|outage| outage.holds(at)) {
            sky.any = true;
            sky.everybody |= !matches!(outage.kind, Kind::Grey { .. } | Kind::Capacity { .. });
            match &outage.kind {
                Kind::Silent => sky.way = Way::Silent,
                Kind::Refuse => sky.way = Way::Refused(TransportFault::PortUnreachable),
                Kind::Dns => sky.way = Way::Refused(TransportFault::HostUnreachable),
                Kind::Slow { added } => sky.added = sky.added + *added,
                Kind::Lossy { permille } => sky.permille = sky.permille.max(*permille),
                Kind::NoAudio => sky.mute = true,
                Kind::Capacity { share } => sky.capacity = sky.capacity.min(u32::from(*share)),
                Kind::Unavailable { .. } => sky.options = 503,
                Kind::Stall | Kind::Grey { .. } => {}
            }
        }
        sky
    }

    fn survives(&self, dice: &mut Dice, at: Instant) -> bool {
        let sky = self.weather(at);
        sky.way == Way::Open && !dice.permille(sky.permille)
    }

    /// A process that was killed knows nothing of the calls it had.
    fn died_between(&self, from: Instant, to: Instant) -> bool {
        let began = |outage: &Outage| outage.began_between(self.zero, from, to);
        self.outages.iter().any(|outage| outage.kind == Kind::Refuse && began(outage))
    }

    /// Counts one more call offered; whether that is more than it takes, with so much of its capacity left.
    fn is_full(&mut self, now: Instant, capacity: u32) -> bool {
        let second = now.as_micros() / 1_000_000;
        if second != self.second {
            (self.second, self.offered) = (second, 0);
        }
        let left = |limit: u32| (u64::from(limit) * u64::from(capacity) / 100) as u32;
        let full = self.law.calls.is_some_and(|limit| self.up >= left(limit))
            || self.law.cps.is_some_and(|limit| self.offered >= left(limit));
        self.offered += u32::from(!full);
        full
    }
}

const fn half(span: Span) -> Span {
    Span::from_micros(span.as_micros() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Span = Span::from_secs;

    fn carrier(kind: Kind, start: Span, end: Span) -> Carrier {
        let outage = Outage { trunk: "acme".into(), kind, start, end, flap: None, harmless: false };
        Carrier::new(TrunkLaw::new("acme"), vec![outage], Instant::ZERO, None)
    }

    fn call(at: Span) -> Call<'static> {
        let t1 = Span::from_millis(500);
        Call { sent: Instant::ZERO + at, number: "+4712345678", t1, repeats: S(4), hears_icmp: true }
    }

    #[test]
    fn a_repeat_gets_through_when_silence_ends() {
        let mut carrier = carrier(Kind::Silent, S(0), Span::from_millis(400));
        let table = carrier.invite(&mut Dice::new(1), &call(S(0)));
        let reply = table.reply.unwrap().since(Instant::ZERO);
        assert!(reply > Span::from_millis(500) && reply < Span::from_millis(600), "repeated after T1: {reply}");
    }

    #[test]
    fn a_silent_carrier_says_nothing_and_a_killed_one_is_refused() {
        let table = carrier(Kind::Silent, S(0), S(100)).invite(&mut Dice::new(1), &call(S(1)));
        assert_eq!((table.reply, table.progress, table.end), (None, None, None));
        let table = carrier(Kind::Refuse, S(0), S(100)).invite(&mut Dice::new(1), &call(S(1)));
        assert!(matches!(table.end, Some((_, AttemptOutcome::Unreachable { fault: TransportFault::PortUnreachable }))));
        let deaf = Call { hears_icmp: false, ..call(S(1)) };
        let table = carrier(Kind::Refuse, S(0), S(100)).invite(&mut Dice::new(1), &deaf);
        assert_eq!((table.reply, table.end), (None, None));
    }

    #[test]
    fn a_stall_shows_100_and_options_and_nothing_else() {
        let mut stalled = carrier(Kind::Stall, S(0), S(100));
        let table = stalled.invite(&mut Dice::new(1), &call(S(1)));
        assert!(table.reply.is_some() && table.progress.is_none() && table.end.is_none() && table.hit);
        let probed = stalled.options(&mut Dice::new(1), Instant::ZERO + S(1), S(1), true);
        assert!(matches!(probed, Some((_, ProbeResult::Answered { code: 200, .. }))));
    }

    #[test]
    fn two_percent_of_loss_is_repaired_nearly_always() {
        let mut lossy = carrier(Kind::Lossy { permille: 20 }, S(0), S(1_000_000));
        let mut dice = Dice::new(3);
        let quick = Call { repeats: Span::from_millis(1_000), ..call(S(1)) };
        let lost = (0..10_000).filter(|_| lossy.invite(&mut dice, &quick).reply.is_none()).count();
        assert!((5..40).contains(&lost), "4 % of 4 %: {lost} of 10 000");
    }

    #[test]
    fn a_call_that_rang_when_the_process_was_killed_is_never_answered() {
        let mut dice = Dice::new(4);
        let ringing = |kind: Kind, dice: &mut Dice| {
            let mut carrier = carrier(kind, S(1), S(3));
            let tables: Vec<Timetable> =
                (0..500).map(|_| carrier.invite(dice, &call(Span::from_millis(500)))).collect();
            let answered = |table: &&Timetable| matches!(table.end, Some((at, AttemptOutcome::Answered)) if at > Instant::ZERO + S(1));
            (tables.iter().filter(answered).count(), tables.iter().filter(|table| table.vain).count())
        };
        let (answered, vain) = ringing(Kind::Silent, &mut dice);
        assert!(answered > 300 && vain == 0, "the answer is repeated until it is heard: {answered}, {vain}");
        let (answered, vain) = ringing(Kind::Refuse, &mut dice);
        assert!(answered == 0 && vain > 300, "they ring in vain: {answered}, {vain}");
    }

    /// An outage begins with the clock unless its text says otherwise.
    #[test]
    fn a_process_killed_when_the_warm_up_ends_forgets_the_calls_of_the_warm_up() {
        let kind = Kind::Refuse;
        let outage = Outage { trunk: "acme".into(), kind, start: S(0), end: S(2), flap: None, harmless: false };
        let mut carrier = Carrier::new(TrunkLaw::new("acme"), vec![outage], Instant::ZERO + S(60), None);
        let mut dice = Dice::new(4);
        let tables: Vec<Timetable> = (0..500).map(|_| carrier.invite(&mut dice, &call(S(59)))).collect();
        let later = |table: &&Timetable| matches!(table.end, Some((at, AttemptOutcome::Answered)) if at > Instant::ZERO + S(60));
        assert_eq!(tables.iter().filter(later).count(), 0);
        assert!(tables.iter().filter(|table| table.vain).count() > 200, "they ring in vain");
    }

    #[test]
    fn half_the_capacity_takes_half_the_calls() {
        let law = TrunkLaw { cps: Some(20), ..TrunkLaw::new("acme") };
        let kind = Kind::Capacity { share: 50 };
        let outage = Outage { trunk: "acme".into(), kind, start: S(0), end: S(100), flap: None, harmless: false };
        let mut carrier = Carrier::new(law, vec![outage], Instant::ZERO, None);
        let mut dice = Dice::new(5);
        let refused = (0..30)
            .map(|_| carrier.invite(&mut dice, &call(S(1))))
            .filter(|table| matches!(table.end, Some((_, AttemptOutcome::Refused { code: 503, .. }))))
            .count();
        assert_eq!(refused, 20);
    }
}
