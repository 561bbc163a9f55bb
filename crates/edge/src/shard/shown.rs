//! What a shard shows of itself: numbers, and calls in progress.
//!
//! Refuses to know: who looks, and in which words it is told.

use super::Shard;
use crate::call_record;
use crate::io::Output;
use crate::view::ShardView;
use act::CallPlace;
use model::{CallRef, Instant};

/// Calls shown at once by `Input::Look`.
const LOOK_LIMIT: usize = 1_000;

impl Shard {
    /// The shard in numbers.
    pub fn view(&self) -> ShardView {
        let mut counters: Vec<(String, u64)> =
            self.counters.rejected.iter().map(|(reason, n)| (format!("sip_rejected_{reason}"), *n)).collect();
        counters.push(("sip_forged_ways".into(), self.counters.forged_ways));
        counters.push(("probes_unsent".into(), self.counters.probes_unsent));
        counters.push(("service_routes_ignored".into(), self.registrants.routes_ignored()));
        counters.push(("options_answered".into(), self.counters.options_answered));
        counters.push(("credentials_refused".into(), self.counters.credentials_refused));
        counters.push(("drill_signals_spared".into(), self.counters.signals_spared));
        counters.extend(self.endpoint.counters().iter().map(|(name, n)| (format!("sip_{name}"), n)));
        counters.extend(self.b2bua.counters().iter().map(|(name, n)| (format!("call_{name}"), n)));
        counters.extend(self.test_calls.counters().map(|(name, n)| (format!("test_calls_{name}"), n)));
        counters.extend(self.tap.counters().map(|(name, n)| (name.to_owned(), n)));
        counters.extend(self.guard.counters().map(|(name, n)| (name.to_owned(), n)));
        counters.extend(self.registrar.counters().iter().map(|(name, n)| (format!("registrar_{name}"), n)));
        counters.extend(self.relay.counters().iter().map(|(name, n)| (format!("media_{name}"), n)));
        let (guarded, guarded_more) = self.guard.view();
        ShardView {
            shard: self.shard.0,
            calls: self.b2bua.calls() as u64,
            transactions: self.endpoint.transactions() as u64,
            registered: self.registrar.len() as u64,
            ports_ready: self.ports.ready() as u64,
            ports_used: self.ports.used() as u64,
            ports_resting: self.ports.resting() as u64,
            epoch: self.snapshot.table.epoch(),
            trunk_calls: self.load.calls.clone(),
            counters,
            guarded,
            guarded_more,
        }
    }

    pub(super) fn look(
        &mut self,
        now: Instant,
        ticket: u64,
        call: Option<CallRef>,
        after: Option<CallPlace>,
        most: usize,
    ) {
        self.guard.pass_time(now);
        let found = match call {
            Some(call) => self.b2bua.live(call).into_iter().collect(),
            None => self.b2bua.all(after, most.min(LOOK_LIMIT)),
        };
        let calls = found.iter().map(|call| call_record::live(&self.snapshot.settings, now, call)).collect();
        self.out.push_back(Output::View { ticket, view: Box::new(self.view()), calls });
    }
}
