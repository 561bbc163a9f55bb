//! A trunk that is broken for every call: whether calls leave it, whether they stay away while it comes and goes, whether they come back.
//!
//! Those are decisions about a trunk, made of probes and real calls, so that calls of the drill alone do not show them. Refuses to know: how
//! a fault is played, by which policy calls come back.

use super::caller::Caller;
use super::desk::Desk;
use super::lines::{self, Line, Step};
use super::plan;
use crate::say::Failure;
use model::{DrillFault, Span};

/// How long it may take until calls leave a trunk that is broken.
const AWAY: Span = Span::from_secs(60);
/// Times it is broken in all: once, and then as one that comes and goes.
const BREAKS: u32 = 3;
/// How long it is well, and how long it is broken again, while it comes and goes.
const SPELL: Span = Span::from_secs(4);
/// How often the edge is asked whom a call would try first.
const EVERY: Span = Span::from_millis(250);
/// Changes of the first trunk that are due: away, and back.
const DUE: u32 = 2;

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// From the first break to where calls tried another trunk first.
    away: Option<Span>,
    /// From the last mending to where calls tried it first again.
    back: Option<Span>,
    /// How often another trunk became the first.
    flips: u32,
}

struct Watch<'a, 'e> {
    desk: &'a Desk<'e>,
    caller: &'a Caller,
    line: &'a plan::Line,
    first: Option<String>,
    flips: u32,
}

impl Watch<'_, '_> {
    /// Asks until it is there, for so long at most: when it was.
    fn until(&mut self, limit: Span, there: &dyn Fn(bool) -> bool) -> Result<Option<Span>, Failure> {
        let began = self.caller.now();
        loop {
            self.desk.keep()?;
            let first = self.desk.first(&self.line.from, &self.line.number)?;
            if first != self.first {
                self.flips += u32::from(self.first.is_some());
                self.first = first;
            }
            let passed = self.caller.now().since(began);
            if there(self.first.as_deref() == Some(self.line.trunk.as_str())) {
                return Ok(Some(passed));
            }
            if passed >= limit {
                return Ok(None);
            }
            self.caller.pass(EVERY);
        }
    }
}

/// What the step is called.
pub(super) fn title(trunk: &str, fault: DrillFault) -> String {
    format!("{trunk} broken for every call: {}, {BREAKS} times", fault.word())
}

/// Breaks it until calls leave it, lets it come and go, mends it and waits for the calls.
pub(super) fn watch(
    desk: &Desk<'_>,
    caller: &Caller,
    line: &plan::Line,
    fault: DrillFault,
    failback: Span,
) -> Result<Step, Failure> {
    let trunk = line.trunk.as_str();
    let mut watch = Watch { desk, caller, line, first: Some(line.trunk.clone()), flips: 0 };
    desk.set(trunk, Some(fault))?;
    let away = watch.until(AWAY, &|first| !first)?;
    for _ in 1..BREAKS {
        desk.set(trunk, None)?;
        watch.until(SPELL, &|_| false)?;
        desk.set(trunk, Some(fault))?;
        watch.until(SPELL, &|_| false)?;
    }
    desk.set(trunk, None)?;
    let back = watch.until(failback, &|first| first)?;
    let seen = Seen { away, back, flips: watch.flips };
    Ok(Step {
        trunk: line.trunk.clone(),
        fault: Some(fault),
        title: title(trunk, fault),
        lines: judge(trunk, failback, seen).to_vec(),
        call: None,
        ringback: None,
        answer: None,
        why: Vec::new(),
    })
}

fn judge(trunk: &str, failback: Span, seen: Seen) -> [Line; 3] {
    let away = seen.away.map_or_else(
        || lines::line("away", false, format!("calls still try {trunk} first after {AWAY}")),
        |after| lines::line("away", true, format!("calls try another trunk first after {after}, {AWAY} at most")),
    );
    let told = format!("the first trunk changed {} times while {trunk} came and went, {DUE} at most", seen.flips);
    let flips = lines::line("flips", seen.flips <= DUE, told);
    let back = seen.back.map_or_else(
        || lines::line("failback", false, format!("calls did not come back to {trunk} within {failback}")),
        |after| lines::line("failback", true, format!("calls came back to {trunk} after {after}, {failback} at most")),
    );
    [away, flips, back]
}

#[cfg(test)]
mod tests {
    use super::super::lines::Verdict;
    use super::*;

    fn failing(seen: Seen) -> Vec<&'static str> {
        let lines = judge("acme", Span::from_secs(300), seen);
        lines.iter().filter(|line| line.verdict == Verdict::Failed).map(|line| line.check).collect()
    }

    #[test]
    fn calls_leave_once_stay_away_and_come_back() {
        let sound = Seen { away: Some(Span::from_secs(4)), back: Some(Span::from_secs(60)), flips: 2 };
        assert!(failing(sound).is_empty());
        assert_eq!(failing(Seen { away: None, ..sound }), ["away"]);
        assert_eq!(failing(Seen { flips: 6, ..sound }), ["flips"], "it followed each change");
        assert_eq!(failing(Seen { back: None, flips: 1, ..sound }), ["failback"]);
    }
}
