//! What a drill changes in a shard, besides its calls: probes of trunks that are broken for all, and what is seen of its calls.
//!
//! Refuses to know: how its calls are played.

use super::Shard;
use crate::io::Output;
use model::{DrillFault, Instant, Observed, ProbeResult, Signal, Span, TransportFault};
use sense::ProbeOrder;
use sip::Flow;

impl Shard {
    /// A probe of a trunk that is broken for all is played. False when it is to be sent.
    pub(super) fn play_probe(&mut self, now: Instant, order: &ProbeOrder) -> bool {
        let fault = self.snapshot.drill.as_ref().and_then(|drill| drill.fault(order.target.trunk, false));
        let result = match fault {
            // Silence is told by the probe's own deadline.
            Some(DrillFault::Silent | DrillFault::Dns) => return true,
            Some(DrillFault::Refuse) => ProbeResult::Unreachable { fault: TransportFault::PortUnreachable },
            Some(DrillFault::Code(code)) => ProbeResult::Answered { code, rtt: Span::ZERO },
            Some(DrillFault::Stall | DrillFault::Grey | DrillFault::RtpFrom | DrillFault::RtpTo) | None => {
                return false;
            }
        };
        let what = Observed::Probe { order: order.order, result };
        self.out.push_back(Output::Signal(Signal { at: now, target: order.target, what }));
        true
    }

    /// What is seen of the drill's own calls says nothing about a trunk that it breaks for them alone, nor about any other: nobody but the
    /// drill goes by it.
    pub(super) fn is_spared(&self, signal: &Signal) -> bool {
        let for_all = self.snapshot.drill.as_ref().is_some_and(|drill| drill.all_calls);
        !for_all && signal.what.call().is_some_and(|call| self.b2bua.is_of_drill(call))
    }

    /// Whether a flow is a trunk's; whoever drills is let in as one, from the address he has announced.
    pub(super) fn is_trunks(&self, flow: Flow) -> bool {
        let mut callers = self.snapshot.drill.iter().flat_map(|drill| &drill.callers);
        let known = self.snapshot.settings.profiles.admit(flow.socket, flow.peer).is_some();
        known || callers.any(|(addr, _)| *addr == flow.peer)
    }

    /// Calls that are up keep to what the drill breaks, when that has changed.
    pub(super) fn follow_drill(&mut self, now: Instant, changed: bool) {
        if changed {
            let (b2bua, mut world) = self.split(now);
            b2bua.drill_changed(&mut world);
        }
    }
}
