//! What passes between a shard and its peers, kept for whoever asks later what was said in a call.
//!
//! Here, behind the guard and before the sockets, all messages of a call come by, whatever carries them and whichever socket they came to.
//! Refuses to know: who asks, what is shown of it.

use super::Shard;
use super::legs::Legs;
use crate::config::Settings;
use crate::io::{Captured, Output};
use act::EndedCall;
use core::net::SocketAddr;
use model::{CallRef, Instant, SocketId};
use sip::Flow;
use sip::capture::{Passed, Ring};
use std::collections::VecDeque;

/// Bytes of messages in one answer; whoever copies them keeps the shard's calls waiting meanwhile.
const ANSWER: usize = 8 << 20;

/// The messages of the last calls.
pub(super) struct Tap {
    ring: Ring,
    size: usize,
    kept: u64,
    /// Of rings before this one.
    unfit: u64,
    /// Where each socket is, by number.
    places: Vec<Option<SocketAddr>>,
    /// A collector is told each message.
    told: bool,
    /// What it is still to be told.
    news: VecDeque<Passed<Vec<u8>>>,
    legs: Legs,
}

impl Tap {
    /// Keeps nothing until it is told how much.
    pub(super) fn new() -> Self {
        Self {
            ring: Ring::new(0),
            size: 0,
            kept: 0,
            unfit: 0,
            places: Vec::new(),
            told: false,
            news: VecDeque::new(),
            legs: Legs::default(),
        }
    }

    /// Each of `shards` has its part of the memory. Another size begins anew.
    pub(super) fn follow(&mut self, settings: &Settings, shards: u8) {
        let size = settings.capture / usize::from(shards.max(1));
        if size != self.size {
            self.size = size;
            self.unfit += self.ring.unfit();
            self.ring = Ring::new(size);
        }
        self.told = settings.hep.is_some();
        if !self.told {
            self.legs = Legs::default();
        }
        self.places.clear();
        for socket in &settings.sockets {
            // Bound to all addresses, it has none of its own; what it says of itself is the next best.
            let place = if socket.bind.ip().is_unspecified() { socket.sent_by } else { socket.bind };
            if self.places.len() <= socket.id.index() {
                self.places.resize(socket.id.index() + 1, None);
            }
            self.places[socket.id.index()] = Some(place);
        }
    }

    /// Without a socket it came from another shard and was on no wire.
    fn place(&self, socket: SocketId) -> Option<SocketAddr> {
        self.places.get(socket.index()).copied().flatten().filter(|_| self.size > 0 || self.told)
    }

    /// A message has come in.
    pub(super) fn received(&mut self, at: Instant, flow: Flow, bytes: &[u8]) {
        if let Some(to) = self.place(flow.socket) {
            self.keep(Passed { at, from: flow.peer, to, transport: flow.transport, bytes });
        }
    }

    /// A message is on its way out.
    pub(super) fn sent(&mut self, at: Instant, flow: Flow, bytes: &[u8]) {
        if let Some(from) = self.place(flow.socket) {
            self.keep(Passed { at, from, to: flow.peer, transport: flow.transport, bytes });
        }
    }

    fn keep(&mut self, passed: Passed<&[u8]>) {
        self.kept += u64::from(self.ring.keep(passed));
        if self.told {
            // As many as the messages themselves, and taken with them.
            self.news.push_back(passed.to_owned());
        }
    }

    /// A call has a leg of this Call-ID.
    pub(super) fn leg(&mut self, call: CallRef, call_id: Vec<u8>) {
        if self.told {
            self.legs.learn(call, call_id);
        }
    }

    /// A call is over.
    pub(super) fn ended(&mut self, now: Instant, call: &EndedCall) {
        if self.told {
            self.legs.ended(now, call);
        }
    }

    /// What a collector is to be told next. By now it is known whose an INVITE is that has just come.
    pub(super) fn poll(&mut self) -> Option<Output> {
        let passed = self.news.pop_front()?;
        let call = sip::scan(&passed.bytes).and_then(|scan| self.legs.of(scan.call_id));
        Some(Output::Passed { passed, call })
    }

    /// What has been counted.
    pub(super) fn counters(&self) -> [(&'static str, u64); 2] {
        [("capture_kept", self.kept), ("capture_unfit", self.unfit + self.ring.unfit())]
    }

    fn of(&self, call_ids: &[Vec<u8>], live: bool) -> Captured {
        let mut said = Captured { live, ..Captured::default() };
        let mut bytes = 0;
        for passed in self.ring.of(call_ids) {
            if said.messages.is_empty() {
                said.begins =
                    sip::scan(passed.bytes).is_some_and(|scan| scan.first == b"INVITE" && scan.to_tag.is_none());
            }
            bytes += passed.bytes.len();
            if bytes > ANSWER {
                said.left_off += 1;
            } else {
                said.messages.push(passed.to_owned());
            }
        }
        said
    }
}

impl Shard {
    /// By the Call-IDs of its record, or those of the call in progress.
    pub(super) fn capture(&mut self, ticket: u64, call: CallRef, call_ids: &[Vec<u8>]) {
        let live = self.b2bua.call_ids(call);
        let said = self.tap.of(live.as_deref().unwrap_or(call_ids), live.is_some());
        self.out.push_back(Output::Captured { ticket, said });
    }
}
