//! What has come of test calls: counted per trunk, the last one kept to be shown, and who waits for one.
//!
//! What a test call says about health is evidence and goes by `sense`; this is for people. Refuses to know: schedules, policy.

use crate::io::Tested;
use crate::view::{TestCallView, TestCallsView};
use act::{NoVerdict, TestCallOutcome};
use explain::words::test_call as words;
use model::{Instant, TestCallResult, TrunkId};
use std::collections::BTreeMap;

/// Questions that wait for a test call; more than can be under way.
const ASKED_MAX: usize = 8;

#[derive(Clone, Debug, Default)]
struct Kept {
    good: u64,
    bad: u64,
    void: u64,
    last: Option<(Instant, TestCallView)>,
}

/// Reports of all trunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestReports {
    trunks: BTreeMap<TrunkId, Kept>,
    /// Order and ticket.
    asked: Vec<(u64, u64)>,
}

impl TestReports {
    /// The end of this order answers this ticket. One that never ends is forgotten for the sake of newer ones.
    pub(crate) fn wait(&mut self, order: u64, ticket: u64) {
        if self.asked.len() >= ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push((order, ticket));
    }

    /// One has ended; the ticket that waits for it, and what it shows.
    pub(crate) fn push(
        &mut self,
        at: Instant,
        tested: &Tested,
        trunk: &str,
        target: String,
    ) -> (Option<u64>, TestCallView) {
        let kept = self.trunks.entry(tested.target.trunk).or_default();
        match &tested.outcome {
            Ok(outcome) if matches!(outcome.result, TestCallResult::Good { .. }) => kept.good += 1,
            Ok(_) => kept.bad += 1,
            Err(_) => kept.void += 1,
        }
        let shown = view(&tested.outcome, trunk, target);
        if tested.outcome.is_ok() {
            kept.last = Some((at, shown.clone()));
        }
        let waits = self.asked.iter().position(|(order, _)| *order == tested.order);
        (waits.map(|index| self.asked.remove(index).1), shown)
    }

    /// A reload: trunks without test calls are forgotten.
    pub(crate) fn retain(&mut self, stays: impl Fn(TrunkId) -> bool) {
        self.trunks.retain(|trunk, _| stays(*trunk));
    }

    /// What a trunk shows.
    pub(crate) fn of(&self, now: Instant, trunk: TrunkId) -> TestCallsView {
        let Some(kept) = self.trunks.get(&trunk) else { return TestCallsView::default() };
        let last = kept.last.as_ref().map(|(at, last)| TestCallView { ago: now.since(*at), ..last.clone() });
        TestCallsView { good: kept.good, bad: kept.bad, void: kept.void, last }
    }
}

fn view(outcome: &Result<TestCallOutcome, NoVerdict>, trunk: &str, target: String) -> TestCallView {
    match outcome {
        Ok(outcome) => {
            let heard = outcome.heard.map(|heard| words::Heard {
                loud: heard.loud,
                echo: heard.echo,
                reported_loss: heard.reported_loss,
            });
            let told = words::Told {
                result: outcome.result,
                ringback: outcome.ringback,
                answer: outcome.answer,
                code: outcome.code,
                heard,
            };
            TestCallView {
                target,
                result: Some(outcome.result),
                ringback: outcome.ringback,
                answer: outcome.answer,
                sentence: words::sentence(trunk, &told),
                ..TestCallView::default()
            }
        }
        Err(why) => TestCallView { target, sentence: words::void(trunk, reason(*why)), ..TestCallView::default() },
    }
}

const fn reason(why: NoVerdict) -> &'static str {
    match why {
        NoVerdict::Unset => "the trunk has none configured any more",
        NoVerdict::Busy => "an earlier one is still being torn down",
        NoVerdict::NoPort => "no media port is free",
        NoVerdict::NoRoom => "no SIP transaction or socket can be had for it",
        NoVerdict::Full => "the trunk carries as many calls as its limits allow",
        NoVerdict::Stopped => "the edge is draining",
    }
}
