//! What each name server was asked and what came of it, for /metrics.
//!
//! Refuses to know: questions, answers.

use api::MetricsSnapshot;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// Counts by server; those of servers that are asked no more are dropped.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<SocketAddr, Counts>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) late: u64,
}

/// What came from a server that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// An answer.
    InTime,
    /// An answer when another's had been taken already.
    Late,
    /// None.
    Not,
}

impl Ledger {
    /// These servers are asked from now on.
    pub(super) fn follow(&self, servers: &[SocketAddr]) {
        self.with(|counts| {
            counts.retain(|server, _| servers.contains(server));
            for server in servers {
                counts.entry(*server).or_default();
            }
        });
    }

    pub(super) fn asked(&self, server: SocketAddr) {
        self.one(server, |counts| counts.asked += 1);
    }

    pub(super) fn came(&self, server: SocketAddr, came: Came) {
        self.one(server, |counts| match came {
            Came::InTime => counts.answered += 1,
            Came::Late => counts.late += 1,
            Came::Not => counts.failed += 1,
        });
    }

    /// One that is followed no more is counted no more.
    fn one(&self, server: SocketAddr, count: impl FnOnce(&mut Counts)) {
        self.with(|counts| counts.get_mut(&server).map(count));
    }

    #[cfg(test)]
    pub(super) fn of(&self, server: SocketAddr) -> Counts {
        self.with(|counts| counts.get(&server).copied().unwrap_or_default())
    }

    pub(crate) fn measure(&self, metrics: &mut MetricsSnapshot) {
        let all: Vec<(SocketAddr, Counts)> =
            self.with(|counts| counts.iter().map(|(at, counts)| (*at, *counts)).collect());
        for (server, counts) in all {
            let labels = [("server", server.to_string())];
            let rows = [
                ("dns_asked", "Questions to the name server.", counts.asked),
                ("dns_answered", "Questions it answered in time.", counts.answered),
                ("dns_late", "Questions it answered when another server's answer had been taken.", counts.late),
                ("dns_failed", "Questions it refused, answered with something else, or did not answer.", counts.failed),
            ];
            for (name, help, count) in rows {
                metrics.counter(name, help, &labels, count);
            }
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<SocketAddr, Counts>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
