//! Reliable provisional responses on the wire (RFC 3262 §3): numbered, repeated until the PRACK, given up after 64*T1.
//!
//! Refuses to know: what is in them, and what a missing PRACK means for the call.

use super::{Endpoint, Event, Server, ServerKey, ServerMachine};
use crate::compose::Answer;
use crate::dialog::Reliable;
use crate::transaction::table::Id;
use crate::transaction::timers::Fired;
use alloc::boxed::Box;
use alloc::string::ToString;
use model::Instant;

impl Endpoint {
    /// Answers an INVITE provisionally so that it arrives: with `Require: 100rel` and the next RSeq, repeated until `acknowledge`, or until
    /// `PrackMissing` after 64*T1. False when one still waits (§3: the next may not be sent before), or no such answer can be given.
    pub fn respond_reliably(&mut self, now: Instant, server: ServerKey, mut answer: Answer) -> bool {
        let chance = self.minter.number();
        let timers = self.limits.serving;
        let Some(Server { machine: ServerMachine::Invite(machine), reliable, .. }) = self.servers.get_mut(server.0)
        else {
            self.counters.late_orders += 1;
            return false;
        };
        let reliable = reliable.get_or_insert_with(|| Box::new(Reliable::new(chance)));
        if reliable.waits() || !machine.is_pending() || !(101..200).contains(&answer.code) {
            self.counters.late_orders += 1;
            return false;
        }
        let rseq = reliable.send(now, &timers);
        answer.headers.push("Require", b"100rel");
        answer.headers.push("RSeq", rseq.to_string().as_bytes());
        self.respond(now, server, answer);
        if let Some(server) = self.servers.get_mut(server.0)
            && let Some(reliable) = server.reliable.as_mut()
        {
            reliable.bytes.clone_from(&server.last);
        }
        self.settle_server(now, server.0);
        true
    }

    /// A PRACK for the response of this number came. False when none such waits: it is answered 481 (§3).
    pub fn acknowledge(&mut self, now: Instant, server: ServerKey, rseq: u32) -> bool {
        let reliable = self.servers.get_mut(server.0).and_then(|server| server.reliable.as_mut());
        let waited = reliable.is_some_and(|reliable| reliable.acknowledge(rseq));
        if waited {
            self.settle_server(now, server.0);
        }
        waited
    }

    /// What is due of a reliable response. True when it was one's turn.
    pub(super) fn fire_reliable(&mut self, now: Instant, id: Id) -> bool {
        let Some(server) = self.servers.get_mut(id) else { return false };
        let Some(reliable) = server.reliable.as_mut() else { return false };
        if reliable.deadline().is_none_or(|at| at > now) {
            return false;
        }
        let (flow, bytes) = (server.flow, reliable.bytes.clone());
        match reliable.expire(now) {
            Fired::Nothing => {}
            Fired::Repeat => {
                self.counters.response_repeats += 1;
                self.transmit(flow, bytes);
            }
            Fired::End => {
                self.counters.pracks_missing += 1;
                self.events.push_back(Event::PrackMissing { server: ServerKey(id) });
            }
        }
        true
    }
}
