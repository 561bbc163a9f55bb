//! Calls as people read them: names for numbers, texts for bytes, sentences for plans.
//!
//! Made when a call ends or someone looks, never while it is set up. Refuses to know: how a call runs, how a record is kept.

use crate::config::Settings;
use crate::view::{AttemptView, CallView};
use act::{EndedAttempt, EndedCall, LiveAttempt, LiveCall, Phase, Side};
use decide::{NoPlan, Plan};
use explain::words::call as words;
use explain::{AttemptRecord, CallRecord, Direction, Ending, MediaRecord, StreamRecord, ToldSound};
use media::quality::Quality;
use media::{AnchorCounters, SideCounters};
use model::{GroupId, Instant, Mos, Name, Span, TrunkId};

/// The record of a call that is over.
pub(crate) fn ended(settings: &Settings, call: EndedCall) -> CallRecord {
    let attempts: Vec<AttemptRecord> = call.attempts.into_iter().map(|attempt| over(settings, attempt)).collect();
    CallRecord {
        call: call.call,
        call_id: text(&call.call_id),
        from: trunk_name(settings, call.from),
        caller: text(&call.caller),
        called: text(&call.called),
        invited: call.invited,
        progressed: call.progressed,
        answered: call.answered,
        ended: call.ended,
        trunks: mentioned(settings, call.plan.as_ref()),
        tiers: left_out(settings, call.plan.as_ref()),
        group: group_of(call.plan.as_ref()).map(|group| group_name(settings, group)),
        plan: call.plan,
        attempts,
        ending: match call.ending {
            act::Ending::Refused(code) => Ending::Refused { code },
            act::Ending::OutOfRetries(code) => Ending::OutOfRetries { code },
            act::Ending::Cancelled => Ending::Cancelled,
            act::Ending::Bye(Side::Caller) => Ending::Bye { by: Direction::Caller },
            act::Ending::Bye(Side::Callee) => Ending::Bye { by: Direction::Callee },
            act::Ending::Ended(why) => Ending::Ended { why: why.to_owned() },
        },
        media: call.media.as_ref().map(|counted| audio(counted, call.answered, call.ended)),
        notes: call.notes,
        drilled: call.drilled,
    }
}

/// A call in progress.
pub(crate) fn live(settings: &Settings, now: Instant, call: &LiveCall) -> CallView {
    let attempts: Vec<AttemptView> = call
        .attempts
        .iter()
        .map(|attempt| match attempt {
            LiveAttempt::Over(attempt) => AttemptView::Over(over(settings, attempt.clone())),
            LiveAttempt::Waiting(trunk, sent) => {
                AttemptView::Waiting { trunk: trunk_name(settings, *trunk), since: now.since(*sent) }
            }
        })
        .collect();
    let planned = call.plan.as_ref().map(|plan| {
        let names = mentioned(settings, Ok(plan));
        words::plan(plan, Some(&group_name(settings, plan.group)), &names, call.invited)
    });
    let tried = attempts.iter().enumerate().map(|(index, attempt)| match attempt {
        AttemptView::Over(attempt) => words::attempt(index + 1, attempt),
        AttemptView::Waiting { trunk, since } => words::waiting(index + 1, trunk.as_str(), *since),
    });
    let from = trunk_name(settings, call.from);
    let to = call.to.map_or_else(|| Name::from("the callee"), |trunk| trunk_name(settings, trunk));
    let heard = call.notes.iter().map(|noted| explain::words::audio::timed(noted, call.answered, &from, &to));
    CallView {
        call: call.call,
        from: trunk_name(settings, call.from),
        to: call.to.map(|trunk| trunk_name(settings, trunk)),
        caller: text(&call.caller),
        called: text(&call.called),
        state: state(call.phase).to_owned(),
        invited: call.invited,
        age: now.since(call.invited),
        talking: call.answered.map(|answered| now.since(answered)),
        plan: call.plan.clone(),
        sentences: planned.into_iter().chain(tried).chain(heard).collect(),
        attempts,
    }
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Trying => "trying",
        Phase::Ringing => "ringing",
        Phase::Up => "answered",
    }
}

fn over(settings: &Settings, attempt: EndedAttempt) -> AttemptRecord {
    AttemptRecord {
        target: attempt.target,
        trunk: trunk_name(settings, attempt.target.trunk),
        call_id: text(&attempt.call_id),
        begun: attempt.begun,
        sent: attempt.sent,
        first_reply: attempt.first_reply,
        progress: attempt.progress,
        took: attempt.took,
        outcome: attempt.outcome,
        fault: attempt.fault,
    }
}

fn audio(counted: &AnchorCounters, answered: Option<Instant>, ended: Instant) -> MediaRecord {
    let heard = |side: &SideCounters| side.quality.as_ref().map(|quality| stream(quality, answered, ended));
    MediaRecord {
        from_caller: counted.first.relayed,
        from_callee: counted.second.relayed,
        refused: counted.first.refused + counted.second.refused,
        gap_from_caller: counted.first.longest_gap,
        gap_from_callee: counted.second.longest_gap,
        caller: heard(&counted.first),
        callee: heard(&counted.second),
    }
}

fn stream(quality: &Quality, answered: Option<Instant>, ended: Instant) -> StreamRecord {
    StreamRecord {
        packets: quality.packets,
        bytes: quality.bytes,
        expected: quality.expected,
        missing: quality.missing,
        late: quality.late,
        duplicates: quality.duplicates,
        reordered: quality.reordered,
        jitter: quality.jitter_mean,
        jitter_max: quality.jitter_max,
        bursts: quality.burstiness.bursts,
        burst_density: quality.burstiness.burst_density,
        rating: quality.rating,
        mos: quality.mos,
        level: quality.level,
        quiet_permille: quality.quiet_permille,
        clipped_permille: quality.clipped_permille,
        noise_only: quality.noise_only,
        first: quality.first.and_then(|first| Some(first.since(answered?))),
        last: quality.last.map(|last| ended.since(last)),
        source_changes: quality.source_changes,
        restarts: quality.restarts,
        timestamp_jumps: quality.timestamp_jumps,
        pauses: quality.pauses,
        skew_ppm: quality.skew_ppm,
        codec: quality.codec.map(|codec| Name::from(codec.name())),
        payload_type: quality.payload_type,
        round_trip: quality.round_trip,
        told_loss_permille: quality.told_loss_permille,
        told: quality.told.map(told),
    }
}

fn told(metrics: media::xr::Metrics) -> ToldSound {
    ToldSound {
        discarded_permille: (u32::from(metrics.discarded) * 1_000 / 256) as u16,
        burst_density: metrics.burst_density,
        end_delay: Span::from_millis(u64::from(metrics.end_delay)),
        mos: metrics.listening.map(|score| Mos::from_tenths(u16::from(score))),
    }
}

/// Names of the trunks that a plan, or its absence, speaks of.
fn mentioned(settings: &Settings, plan: Result<&Plan, &NoPlan>) -> Vec<(TrunkId, Name)> {
    let (attempts, excluded) = match plan {
        Ok(plan) => (&plan.attempts[..], &plan.excluded[..]),
        Err(NoPlan::NobodyLeft { excluded, .. }) => (&[][..], &excluded[..]),
        Err(NoPlan::NoRoute | NoPlan::Barred { .. } | NoPlan::Joined { .. }) => (&[][..], &[][..]),
    };
    let mut trunks: Vec<TrunkId> = Vec::with_capacity(attempts.len() + excluded.len());
    for trunk in attempts.iter().map(|attempt| attempt.target.trunk).chain(excluded.iter().map(|one| one.trunk)) {
        if !trunks.contains(&trunk) {
            trunks.push(trunk);
        }
    }
    trunks.into_iter().map(|trunk| (trunk, trunk_name(settings, trunk))).collect()
}

/// Tiers of the trunks that a plan left out, which its record would not tell otherwise.
fn left_out(settings: &Settings, plan: Result<&Plan, &NoPlan>) -> Vec<(TrunkId, u8)> {
    let Ok(plan) = plan else { return Vec::new() };
    let Some(group) = settings.shape.group(plan.group) else { return Vec::new() };
    let tier = |trunk: TrunkId| {
        let tier = group.tiers.iter().position(|tier| tier.iter().any(|member| member.trunk == trunk))?;
        Some((trunk, u8::try_from(tier).ok()?))
    };
    plan.excluded.iter().filter_map(|out| tier(out.trunk)).collect()
}

const fn group_of(plan: Result<&Plan, &NoPlan>) -> Option<GroupId> {
    match plan {
        Ok(plan) => Some(plan.group),
        Err(NoPlan::NobodyLeft { group, .. }) => Some(*group),
        Err(NoPlan::NoRoute | NoPlan::Barred { .. } | NoPlan::Joined { .. }) => None,
    }
}

fn trunk_name(settings: &Settings, trunk: TrunkId) -> Name {
    if trunk == TrunkId::BETWEEN_SHARDS {
        return Name::from(act::BETWEEN_SHARDS);
    }
    settings.names.trunks.get(trunk.index()).cloned().unwrap_or_else(|| Name::from("?"))
}

fn group_name(settings: &Settings, group: GroupId) -> Name {
    settings.names.groups.get(group.index()).cloned().unwrap_or_else(|| Name::from("?"))
}

/// Peers write what they like; what is no UTF-8 is shown as such.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
