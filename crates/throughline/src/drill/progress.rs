//! What a drill is about to do, a line each, where somebody watches: its calls take seconds, its waits minutes.
//!
//! Refuses to know: what comes of it.

use super::plan::Plan;
use crate::say::complain;
use std::io::IsTerminal as _;

/// How far it has come.
pub(super) struct Progress {
    shown: bool,
    done: usize,
    all: usize,
}

impl Progress {
    /// For the calls and waits of this plan; quiet when standard error is no terminal.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { shown: std::io::stderr().is_terminal(), done: 0, all: steps(plan) }
    }

    /// The next step begins.
    pub(super) fn begins(&mut self, what: &str) {
        self.done += 1;
        if self.shown {
            complain(&self.line(what));
        }
    }

    fn line(&self, what: &str) -> String {
        format!("[{}/{}] {what} …", self.done, self.all)
    }
}

/// One as it is, one for each way, one once it is mended; for every call, one way alone is played, with a wait after it.
fn steps(plan: &Plan) -> usize {
    let broken = |line: &super::plan::Line| {
        plan.ways(line).iter().map(|fault| 1 + usize::from(plan.watches(*fault))).sum::<usize>()
    };
    plan.lines.iter().map(|line| 1 + broken(line) + usize::from(!plan.all_calls)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_call_and_every_wait_is_counted() {
        let text = include_str!("../../../../examples/drill.toml");
        let mut plan = Plan::read(text, "drill.toml").0.unwrap();
        let mut progress = Progress { shown: false, done: 0, all: steps(&plan) };
        progress.begins("acme as it is");
        assert_eq!(progress.line("acme as it is"), "[1/10] acme as it is …");
        plan.all_calls = true;
        assert_eq!(steps(&plan), 3, "as it is, broken once, and until calls have come back");
    }
}
