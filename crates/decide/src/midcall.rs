//! A live call: what is heard of its two parties, and what is done when one of them is heard no more.
//!
//! Audio is the truth of a call, and its signalling only tells who may be asked about it. So the steps are in this order: another source
//! of the audio is let in, the peer is asked in its dialog whether it is there, its audio is moved to another interface, the party that is
//! left is kept while the other is called again, the call is ended. Hold, fax, mute and pauses of a talker are no faults. Refuses to know:
//! packets, descriptions, how anything is asked or moved.

use model::{Mos, Span};
use serde::{Deserialize, Serialize};

/// A pause this long shows a talker whose silence is not sent (RFC 3389, RFC 3551 §4.1): packets of speech come every 20 to 60 ms.
const PAUSES: Span = Span::from_millis(300);
/// Such a talker may say nothing for so long at least.
const PAUSES_FOR: Span = Span::from_secs(10);
/// And no longer than this, whatever he has done before.
const PAUSES_MAX: Span = Span::from_secs(60);
/// Reports come every five seconds, up to half as much more, and one may be lost (RFC 3550 §6.2).
const REPORTS: Span = Span::from_secs(16);
/// How long a step has before the next one.
const PATIENCE: Span = Span::from_millis(500);
/// A peer that is heard no more and has said that it is there is asked again after this.
const ASK_AGAIN: Span = Span::from_secs(30);
/// Nobody looks more often than this, nor more seldom than that.
const LOOK: (Span, Span) = (Span::from_millis(100), Span::from_secs(3));

/// When a trunk's audio counts as lost, and what may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AudioPolicy {
    /// Nothing at all came since the answer, or since a hold ended.
    pub start: Span,
    /// It was heard, and is not any more.
    pub silence: Span,
    /// Nothing in either direction: the call is ended. Zero is never.
    pub dead: Span,
    /// Packets lost, per thousand, from which on its audio has holes.
    pub loss: u16,
    /// The estimated score below which its audio is poor. None unless it is set: an estimate rests on what the far end is thought to
    /// conceal, and some codecs have none.
    pub mos: Option<Mos>,
    /// Who may be called again.
    pub rescue: Rescue,
}

impl Default for AudioPolicy {
    fn default() -> Self {
        let limit = Span::from_secs(3);
        Self { start: limit, silence: limit, dead: Span::from_secs(60), loss: 100, mos: None, rescue: Rescue::Off }
    }
}

/// Whether a party that is lost in mid-call is called again through another trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rescue {
    /// Nobody is, unless the call is one for help.
    #[default]
    Off,
    /// Whom our side had called through this trunk.
    On,
    /// And whoever had called us through it.
    Both,
}

/// A party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Who sent the INVITE.
    Caller,
    /// Who answered it.
    Callee,
}

impl Whose {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// What is known of a peer's signalling since its audio stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Asked {
    /// Nobody has asked.
    #[default]
    No,
    /// It was asked, and so much of its time is left.
    Waiting(Span),
    /// It has said so long ago that it is there.
    Alive(Span),
    /// It did not answer, or knows the call no more.
    Dead,
}

/// What is known of one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// What its trunk has set.
    pub policy: AudioPolicy,
    /// It may be heard: neither side holds, it is no fax.
    pub expected: bool,
    /// Something came since the answer.
    pub ever: bool,
    /// Nothing came for so long, while it might have.
    pub quiet: Span,
    /// The longest pause it has made before.
    pub pause: Span,
    /// Its codec or its comfort noise says that it pauses when nobody speaks.
    pub pauses: bool,
    /// Packets lost lately, per thousand, when enough came to tell.
    pub loss: Option<u16>,
    /// What it sounded like lately by the E-model, when enough came to tell and its codec is known.
    pub mos: Option<Mos>,
    /// It was told to be poor, and not yet to be good again.
    pub poor: bool,
    /// Its last report of RTCP came so long ago.
    pub reported: Option<Span>,
    /// By its reports nothing of what it was sent has arrived for so long.
    pub unheard: Option<Span>,
    /// What its signalling says.
    pub asked: Asked,
    /// Another source of its audio was let in since it stopped.
    pub relatched: bool,
    /// So long ago something was done about it.
    pub tried: Option<Span>,
    /// Interfaces that its audio has not been tried on.
    pub interfaces: u8,
    /// Other calls say that its trunk is in doubt.
    pub doubted: bool,
    /// It may be called again, by its trunk's policy and the kind of the call.
    pub may_be_called: bool,
}

impl Party {
    /// From when on its silence is a fault. One who pauses when nobody speaks is given longer.
    pub fn limit(&self) -> Span {
        let limit = if self.ever { self.policy.silence } else { self.policy.start };
        if self.ever && (self.pauses || self.pause >= PAUSES) {
            return limit.max(self.pause.times(3).max(PAUSES_FOR).min(PAUSES_MAX));
        }
        limit
    }

    /// It should be heard and is not. Who reports all the while is there and says nothing: muted, most likely.
    pub fn is_silent(&self) -> bool {
        let reports = self.reported.is_some_and(|ago| ago < self.quiet && ago < REPORTS);
        self.expected && self.quiet >= self.limit() && !reports
    }

    /// By its reports nothing of what it is sent arrives.
    pub fn is_deaf(&self) -> bool {
        self.expected && self.unheard.is_some_and(|unheard| unheard >= self.policy.silence)
    }

    /// And nothing has arrived since something was done about it: what was reported before that says nothing of it.
    fn is_still_deaf(&self) -> bool {
        let Some(reported) = self.reported else { return false };
        self.is_deaf() && self.tried.is_none_or(|tried| tried - reported >= self.policy.silence)
    }

    /// It is heard.
    pub fn speaks(&self) -> bool {
        self.expected && self.ever && self.quiet < self.limit()
    }
}

/// A call as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Midcall {
    /// Who called.
    pub caller: Party,
    /// Who answered.
    pub callee: Party,
    /// Something else happens to it: a transfer, a re-INVITE.
    pub occupied: bool,
    /// How often one of its parties may be called again still.
    pub rescues: u8,
}

impl Midcall {
    /// One of its parties.
    pub const fn party(&self, whose: Whose) -> &Party {
        match whose {
            Whose::Caller => &self.caller,
            Whose::Callee => &self.callee,
        }
    }
}

/// What is done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Leave,
    /// Its audio is taken from whoever at its address sends it.
    Relatch(Whose),
    /// It is asked in its dialog whether it is there.
    Ask(Whose),
    /// Its audio is moved to another interface.
    Move(Whose),
    /// It is let go and called again; the other one is kept meanwhile.
    Rescue(Whose),
    /// The call is ended: it is heard no more and does not answer.
    Lost(Whose),
    /// The call is ended: nobody has been heard for the limit.
    Dead,
}

/// What is done, and when it is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is done.
    pub step: Step,
    /// After so long; what happens before makes nobody look sooner.
    pub look: Span,
}

/// What is to be done about a call. A call in which nobody was ever heard is one of signalling alone: its sessions are kept by other means.
pub fn midcall(call: &Midcall) -> Verdict {
    if !call.caller.ever && !call.callee.ever {
        return Verdict { step: Step::Leave, look: LOOK.1 };
    }
    let step = if is_dead(call) { Step::Dead } else { step(call) };
    // A step taken may lead to the next one at once.
    let look = if step == Step::Leave { look(call) } else { LOOK.0 };
    Verdict { step, look }
}

fn is_dead(call: &Midcall) -> bool {
    let gone = |party: &Party| {
        let dead = party.policy.dead;
        let reports = party.reported.is_some_and(|ago| ago < dead);
        party.expected && dead > Span::ZERO && party.quiet >= dead && !reports
    };
    gone(&call.caller) && gone(&call.callee)
}

fn step(call: &Midcall) -> Step {
    for whose in [Whose::Callee, Whose::Caller] {
        let (party, other) = (call.party(whose), call.party(whose.other()));
        let step = match party.asked {
            // Who reports need not be asked whether he is there.
            _ if !party.is_silent() && party.is_still_deaf() => alive(call, whose),
            _ if !party.is_silent() => Step::Leave,
            _ if other.speaks() && !party.relatched => Step::Relatch(whose),
            Asked::No => Step::Ask(whose),
            Asked::Waiting(_) => Step::Leave,
            Asked::Dead => lost(call, whose),
            Asked::Alive(ago) => match alive(call, whose) {
                Step::Leave if ago >= ASK_AGAIN => Step::Ask(whose),
                step => step,
            },
        };
        if step != Step::Leave {
            return step;
        }
    }
    Step::Leave
}

/// It is heard no more, and does not answer either.
fn lost(call: &Midcall, whose: Whose) -> Step {
    match can_be_rescued(call, whose) {
        _ if call.occupied => Step::Leave,
        true => Step::Rescue(whose),
        false => Step::Lost(whose),
    }
}

/// It is there, and is not heard.
fn alive(call: &Midcall, whose: Whose) -> Step {
    let (party, other) = (call.party(whose), call.party(whose.other()));
    let waits = party.tried.is_some_and(|ago| ago < PATIENCE);
    if waits || call.occupied || !other.speaks() {
        return Step::Leave;
    }
    if party.interfaces > 0 {
        return Step::Move(whose);
    }
    // Who was heard before and stops may have muted himself, unless other calls of his trunk have stopped as well.
    let is_trunks = !party.ever || party.doubted;
    if is_trunks && can_be_rescued(call, whose) { Step::Rescue(whose) } else { Step::Leave }
}

/// There is somebody to be kept, and this one may be called again.
fn can_be_rescued(call: &Midcall, whose: Whose) -> bool {
    call.rescues > 0 && call.party(whose).may_be_called && call.party(whose.other()).asked != Asked::Dead
}

fn look(call: &Midcall) -> Span {
    let due = |party: &Party| {
        let rest = |limit: Span| (limit > party.quiet).then(|| limit - party.quiet);
        let asked = match party.asked {
            Asked::Waiting(left) => left,
            _ => PATIENCE,
        };
        let silent = if party.is_silent() { Some(asked) } else { rest(party.limit()) };
        // It has said once that nothing arrives: the next reports will tell for how long.
        let limit = party.policy.silence;
        let deaf = party.unheard.map(|unheard| if unheard < limit { limit - unheard } else { PATIENCE });
        [silent, deaf, rest(party.policy.dead)].into_iter().flatten().filter(|_| party.expected).min()
    };
    let soonest = [due(&call.caller), due(&call.callee)].into_iter().flatten().min().unwrap_or(LOOK.1);
    soonest.max(LOOK.0).min(LOOK.1)
}

#[cfg(test)]
impl Party {
    /// One who is heard.
    pub(crate) fn heard() -> Self {
        Self {
            policy: AudioPolicy::default(),
            expected: true,
            ever: true,
            quiet: Span::from_millis(20),
            pause: Span::from_millis(40),
            pauses: false,
            loss: None,
            mos: None,
            poor: false,
            reported: None,
            unheard: None,
            asked: Asked::No,
            relatched: false,
            tried: None,
            interfaces: 0,
            doubted: false,
            may_be_called: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound::outcome;
    use alloc::vec::Vec;
    use model::MediaOutcome;
    use proptest::prelude::*;

    const fn ms(ms: u64) -> Span {
        Span::from_millis(ms)
    }

    fn quiet(ms: u64) -> Party {
        Party { quiet: Span::from_millis(ms), ..Party::heard() }
    }

    fn call(callee: Party) -> Midcall {
        Midcall { caller: Party::heard(), callee, occupied: false, rescues: 2 }
    }

    fn step_of(callee: Party) -> Step {
        midcall(&call(callee)).step
    }

    const CALLEE: Whose = Whose::Callee;

    #[test]
    fn nothing_is_done_while_both_are_heard_and_it_is_looked_when_the_limit_could_be_reached() {
        assert_eq!(midcall(&call(quiet(1_000))), Verdict { step: Step::Leave, look: ms(2_000) });
        assert_eq!(step_of(quiet(2_999)), Step::Leave);
        assert_eq!(step_of(quiet(3_000)), Step::Relatch(CALLEE));
    }

    #[test]
    fn the_steps_come_in_order_when_the_peer_is_there() {
        let mut party = Party { interfaces: 1, may_be_called: true, doubted: true, ..quiet(3_000) };
        assert_eq!(step_of(party), Step::Relatch(CALLEE));
        (party.relatched, party.tried) = (true, Some(ms(0)));
        assert_eq!(step_of(party), Step::Ask(CALLEE));
        party.asked = Asked::Waiting(ms(800));
        assert_eq!(midcall(&call(party)), Verdict { step: Step::Leave, look: ms(800) });
        party.asked = Asked::Alive(ms(10));
        assert_eq!(step_of(party), Step::Leave, "the source has half a second");
        party.tried = Some(ms(500));
        assert_eq!(step_of(party), Step::Move(CALLEE));
        (party.interfaces, party.tried) = (0, Some(ms(0)));
        assert_eq!(step_of(party), Step::Leave);
        party.tried = Some(ms(500));
        assert_eq!(step_of(party), Step::Rescue(CALLEE));
    }

    #[test]
    fn who_may_have_muted_himself_is_never_called_again_unless_his_trunk_is_in_doubt() {
        let party = Party {
            asked: Asked::Alive(ms(900)),
            relatched: true,
            tried: Some(ms(900)),
            may_be_called: true,
            ..quiet(9_000)
        };
        assert_eq!(step_of(party), Step::Leave);
        assert_eq!(step_of(Party { doubted: true, ..party }), Step::Rescue(CALLEE));
        assert_eq!(step_of(Party { ever: false, ..party }), Step::Rescue(CALLEE), "nothing came since the answer");
        assert_eq!(
            step_of(Party { asked: Asked::Alive(ms(30_000)), ..party }),
            Step::Ask(CALLEE),
            "he may be gone by now"
        );
        let reporting = Party { reported: Some(ms(4_000)), ..quiet(9_000) };
        assert_eq!(step_of(reporting), Step::Leave, "he reports, and so he is there");
        assert_eq!(step_of(Party { reported: Some(ms(9_100)), ..reporting }), Step::Relatch(CALLEE));
    }

    #[test]
    fn who_is_gone_is_called_again_when_that_is_allowed_and_else_the_call_ends() {
        let gone = Party { asked: Asked::Dead, relatched: true, ..quiet(4_000) };
        assert_eq!(step_of(gone), Step::Lost(CALLEE));
        let may = Party { may_be_called: true, ..gone };
        assert_eq!(step_of(may), Step::Rescue(CALLEE));
        assert_eq!(midcall(&Midcall { rescues: 0, ..call(may) }).step, Step::Lost(CALLEE));
        assert_eq!(midcall(&Midcall { occupied: true, ..call(may) }).step, Step::Leave);
        assert_eq!(
            midcall(&Midcall { caller: gone, ..call(may) }).step,
            Step::Lost(CALLEE),
            "nobody is left to be kept"
        );
    }

    #[test]
    fn one_whom_nothing_reaches_by_its_own_reports_is_blamed_and_moved() {
        let deaf = Party { unheard: Some(ms(5_000)), reported: Some(ms(100)), interfaces: 1, ..Party::heard() };
        assert_eq!(outcome(&deaf, &Party::heard()), Some(MediaOutcome::Deaf { after: ms(5_000) }));
        let soon = |unheard| midcall(&call(Party { unheard: Some(ms(unheard)), ..deaf })).look;
        assert_eq!(
            (soon(0), soon(2_000), soon(2_990)),
            (ms(2_980), ms(1_000), ms(100)),
            "when the limit may be reached"
        );
        assert_eq!(outcome(&Party { unheard: Some(ms(2_999)), ..deaf }, &Party::heard()), Some(MediaOutcome::Good));
        assert_eq!(outcome(&deaf, &quiet(3_000)), Some(MediaOutcome::Good), "it was sent nothing");
        assert_eq!(outcome(&Party::heard(), &deaf), Some(MediaOutcome::Good), "the other one has no part in it");
        assert_eq!(step_of(deaf), Step::Move(CALLEE));
        let moved = Party { interfaces: 1, tried: Some(ms(3_099)), ..deaf };
        assert_eq!(step_of(moved), Step::Leave, "nothing was reported since that would show it");
        assert_eq!(step_of(Party { tried: Some(ms(3_100)), ..moved }), Step::Move(CALLEE), "the next one");
        let nowhere = Party { interfaces: 0, may_be_called: true, ..deaf };
        assert_eq!(step_of(nowhere), Step::Leave);
        assert_eq!(step_of(Party { doubted: true, ..nowhere }), Step::Rescue(CALLEE));
        assert_eq!(step_of(Party { expected: false, doubted: true, ..nowhere }), Step::Leave, "held");
    }

    #[test]
    fn one_who_pauses_has_longer() {
        assert_eq!(Party { pause: ms(300), ..Party::heard() }.limit(), Span::from_secs(10));
        assert_eq!(Party { pauses: true, ..Party::heard() }.limit(), Span::from_secs(10));
        assert_eq!(Party { pause: Span::from_secs(5), ..Party::heard() }.limit(), Span::from_secs(15));
        assert_eq!(Party { pause: Span::from_secs(600), ..Party::heard() }.limit(), PAUSES_MAX);
        let patient = AudioPolicy { silence: Span::from_secs(90), ..AudioPolicy::default() };
        assert_eq!(Party { pause: ms(300), policy: patient, ..Party::heard() }.limit(), Span::from_secs(90));
    }

    #[test]
    fn nobody_heard_for_the_limit_ends_the_call_unless_it_is_never_to() {
        let gone = Party { asked: Asked::Alive(ms(1)), relatched: true, ..quiet(60_000) };
        let both = |party: Party| midcall(&Midcall { caller: party, ..call(party) }).step;
        assert_eq!(both(gone), Step::Dead);
        assert_eq!(both(Party { quiet: ms(59_999), ..gone }), Step::Leave);
        assert_eq!(both(Party { expected: false, ..gone }), Step::Leave, "held");
        assert_eq!(both(Party { reported: Some(ms(5_000)), ..gone }), Step::Leave, "both report");
        let never = AudioPolicy { dead: Span::ZERO, ..AudioPolicy::default() };
        assert_eq!(both(Party { policy: never, ..gone }), Step::Leave);
        assert_eq!(both(Party { ever: false, ..gone }), Step::Leave, "signalling alone");
        assert_eq!(step_of(gone), Step::Leave, "one of them is heard");
    }

    fn any_party() -> impl Strategy<Value = Party> {
        let asked = prop_oneof![
            Just(Asked::No),
            (0u64..2_000).prop_map(|left| Asked::Waiting(ms(left))),
            (0u64..90_000).prop_map(|ago| Asked::Alive(ms(ago))),
            Just(Asked::Dead)
        ];
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let spans =
            (0u64..120_000, 0u64..30_000, proptest::option::of(0u64..60_000), proptest::option::of(0u64..9_000));
        let unheard = proptest::option::of(0u64..15_000);
        (flags, spans, asked, 0u8..3, unheard).prop_map(|(flags, spans, asked, interfaces, unheard)| Party {
            policy: AudioPolicy::default(),
            expected: flags.0,
            ever: flags.1,
            quiet: ms(spans.0),
            pause: ms(spans.1),
            pauses: flags.5,
            loss: None,
            mos: None,
            poor: false,
            reported: spans.2.map(ms),
            unheard: unheard.map(ms),
            asked,
            relatched: flags.2,
            tried: spans.3.map(ms),
            interfaces,
            doubted: flags.3,
            may_be_called: flags.4,
        })
    }

    const fn about(step: Step) -> Option<Whose> {
        match step {
            Step::Relatch(whose) | Step::Ask(whose) | Step::Move(whose) | Step::Rescue(whose) | Step::Lost(whose) => {
                Some(whose)
            }
            Step::Leave | Step::Dead => None,
        }
    }

    proptest! {
        #[test]
        fn hold_fax_and_mute_never_act(caller in any_party(), callee in any_party(), occupied: bool, rescues in 0u8..3) {
            let call = Midcall { caller, callee, occupied, rescues };
            let verdict = midcall(&call);
            prop_assert!(verdict.look >= LOOK.0 && verdict.look <= LOOK.1);
            if let Some(whose) = about(verdict.step) {
                let party = call.party(whose);
                prop_assert!(party.expected);
                if !party.is_still_deaf() {
                    prop_assert!(party.quiet >= party.policy.silence.min(party.policy.start));
                    prop_assert!(party.reported.is_none_or(|ago| ago >= party.quiet || ago >= REPORTS), "he reports");
                }
            }
            if verdict.step == Step::Dead {
                prop_assert!(caller.expected && callee.expected);
            }
            match verdict.step {
                Step::Relatch(whose) => prop_assert!(!call.party(whose).relatched),
                Step::Ask(whose) => prop_assert!(matches!(call.party(whose).asked, Asked::No | Asked::Alive(_))),
                Step::Move(whose) => {
                    let party = call.party(whose);
                    prop_assert!(!occupied && party.interfaces > 0);
                    let asked = party.relatched && matches!(party.asked, Asked::Alive(_));
                    prop_assert!(asked || party.is_still_deaf(), "asked before");
                }
                Step::Rescue(whose) => {
                    prop_assert!(rescues > 0 && !occupied && call.party(whose).may_be_called);
                    prop_assert!(call.party(whose).asked == Asked::Dead || call.party(whose).interfaces == 0);
                }
                Step::Lost(whose) => prop_assert!(call.party(whose).asked == Asked::Dead && !occupied),
                Step::Leave | Step::Dead => {}
            }
        }

        /// Each step is taken as the caller of this would: no story has more of them than there are.
        #[test]
        fn no_step_is_taken_twice(callee in any_party(), alive: bool) {
            let mut call = call(Party { expected: true, relatched: false, asked: Asked::No, tried: None, reported: None, ..callee });
            let mut taken = Vec::new();
            for _ in 0..200 {
                let verdict = midcall(&call);
                let party = &mut call.callee;
                match verdict.step {
                    Step::Leave => {}
                    Step::Relatch(_) => (party.relatched, party.tried) = (true, Some(Span::ZERO)),
                    Step::Ask(_) => party.asked = if alive { Asked::Alive(Span::ZERO) } else { Asked::Dead },
                    Step::Move(_) => (party.interfaces, party.tried) = (party.interfaces - 1, Some(Span::ZERO)),
                    Step::Rescue(_) | Step::Lost(_) | Step::Dead => { taken.push(verdict.step); break }
                }
                if verdict.step != Step::Leave { taken.push(verdict.step) }
                party.quiet = party.quiet + verdict.look;
                party.tried = party.tried.map(|ago| ago + verdict.look);
            }
            let count = |step: Step| taken.iter().filter(|known| **known == step).count();
            prop_assert!(count(Step::Relatch(CALLEE)) <= 1 && count(Step::Ask(CALLEE)) <= 1, "{:?}", taken);
            prop_assert!(count(Step::Move(CALLEE)) <= usize::from(callee.interfaces), "{:?}", taken);
            prop_assert!(taken.len() <= 3 + usize::from(callee.interfaces), "{:?}", taken);
        }
    }
}
