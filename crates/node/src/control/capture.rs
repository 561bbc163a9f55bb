//! What was said in a call, out of what each shard has kept of it: one file of pcap, in order of time.
//!
//! Refuses to know: how a shard keeps it, how the file travels.

use super::ControlThread;
use crate::looks::Seen;
use api::{Ask, Fault, Kind, Pcap};
use model::{CallRef, Wall};
use sip::capture::pcap::File;
use std::sync::Arc;

/// Which call's messages are asked for, and by which Call-IDs they are known when it is over.
pub(super) fn wanted(ask: &Ask) -> Option<(CallRef, Arc<[Vec<u8>]>)> {
    let Ask::Pcap { call, call_ids, .. } = ask else { return None };
    Some((*call, call_ids.iter().map(|id| id.clone().into_bytes()).collect()))
}

impl ControlThread {
    /// `over`: there is a record of the call.
    pub(super) fn pcap(&self, call: CallRef, over: bool, seen: &Seen) -> Result<Pcap, Fault> {
        if self.control.snapshot().settings.capture == 0 {
            let hint =
                "write `capture = \"16MiB\"` in `[edge]` and reload; it then keeps the messages of calls to come";
            return Err(Fault::new(Kind::Conflict, "this edge keeps no messages", hint));
        }
        if seen.said.len() < self.shards.len() {
            let hint = "ask again; look at /healthz if that does not help";
            return Err(Fault::new(Kind::Unavailable, "a shard has not answered in time", hint));
        }
        if !over && !seen.said.iter().any(|said| said.live) {
            return Err(Fault::no_call(call));
        }
        let mut messages: Vec<_> = seen.said.iter().flat_map(|said| &said.messages).collect();
        // Stable: what one shard has kept of one moment stays in its order.
        messages.sort_by_key(|message| message.at);
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
            let hint = "newer messages have taken its place, or the edge was started anew; a larger `capture` in `[edge]` keeps more calls";
            return Err(Fault::new(
                Kind::NotFound,
                format!("nothing that was said in call {call} is kept any more"),
                hint,
            ));
        };
        let zero = self.clock.zero();
        let wall = |at: model::Instant| Wall::from_micros(zero.as_micros().saturating_add_unsigned(at.as_micros()));
        let mut file = File::new(zero);
        messages.iter().for_each(|message| file.push(message));
        Ok(Pcap {
            messages: messages.len(),
            span: (wall(first.at), wall(last.at)),
            whole: seen.said.iter().any(|said| said.begins),
            cut: file.cut(),
            left_off: seen.said.iter().map(|said| said.left_off).sum(),
            file: file.into_bytes(),
        })
    }
}
