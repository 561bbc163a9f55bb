//! Test calls of one shard: placed when control orders them, carried out beside the calls of others, told of once.
//!
//! They use the shard's own endpoint, ports and sockets, and take a place on their trunk like any call, so that caps hold. Refuses to
//! know: when one is due, what its outcome means.

use crate::config::Settings;
use crate::io::{Output, Tested};
use act::{NoVerdict, TestCall, TestCallWorld};
use core::net::SocketAddr;
use decide::Load;
use media::{Component, PairId};
use model::Instant;
use sense::TestCallOrder;
use sip::{ClientKey, Failure, Message, ServerKey};
use std::collections::VecDeque;

/// At once in one shard, those that are being torn down included.
const MOST: usize = 8;

/// What the shard counts of them.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    placed: u64,
    not_placed: u64,
}

#[derive(Debug)]
struct Running {
    order: TestCallOrder,
    call: TestCall,
    /// It has its place on the trunk.
    counted: bool,
}

/// All test calls of a shard.
#[derive(Debug, Default)]
pub(crate) struct TestCalls {
    running: Vec<Running>,
    counters: Counters,
    draining: bool,
}

impl TestCalls {
    /// Places one, or says why not.
    pub(crate) fn place(
        &mut self,
        world: &mut TestCallWorld<'_>,
        settings: &Settings,
        load: &mut Load,
        order: TestCallOrder,
    ) -> Option<Output> {
        match self.try_place(world, settings, load, order) {
            Ok(call) => {
                self.counters.placed += 1;
                load.begin(world.now, order.target.trunk);
                self.running.push(Running { order, call, counted: true });
                None
            }
            Err(why) => {
                self.counters.not_placed += 1;
                Some(tested(&order, Err(why)))
            }
        }
    }

    fn try_place(
        &self,
        world: &mut TestCallWorld<'_>,
        settings: &Settings,
        load: &Load,
        order: TestCallOrder,
    ) -> Result<TestCall, NoVerdict> {
        let trunk = order.target.trunk;
        let plan = settings.test_call(trunk).ok_or(NoVerdict::Unset)?;
        let profile = settings.profiles.trunk(trunk).ok_or(NoVerdict::Unset)?;
        let target = profile.targets.get(usize::from(order.target.index)).ok_or(NoVerdict::Unset)?;
        if self.draining {
            return Err(NoVerdict::Stopped);
        }
        if self.running.len() >= MOST || self.running.iter().any(|running| running.order.target.trunk == trunk) {
            return Err(NoVerdict::Busy);
        }
        // As for any call it is this shard's part of the limits that counts.
        let limits = settings.shape.trunk(trunk).map(|shape| shape.limits).unwrap_or_default();
        if !load.has_room(world.now, trunk, &limits) {
            return Err(NoVerdict::Full);
        }
        let media = settings.profiles.media_of(trunk).map(|(listen, _)| listen);
        TestCall::place(world, &plan.script, profile, *target, media)
    }

    /// Whether the transaction is one of theirs.
    pub(crate) fn owns(&self, client: ClientKey) -> bool {
        self.running.iter().any(|running| running.call.owns(client))
    }

    /// Whether the request belongs to one of their dialogs.
    pub(crate) fn owns_dialog(&self, message: &Message) -> bool {
        self.running.iter().any(|running| running.call.owns_dialog(message))
    }

    /// A response to one of their requests.
    pub(crate) fn response(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, message: &Message) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns(client)) {
            running.call.response(world, client, message);
        }
    }

    /// One of their requests has come to nothing.
    pub(crate) fn failed(&mut self, world: &mut TestCallWorld<'_>, client: ClientKey, why: Failure) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns(client)) {
            running.call.failed(world, client, why);
        }
    }

    /// A request inside one of their dialogs.
    pub(crate) fn request(&mut self, world: &mut TestCallWorld<'_>, server: ServerKey, message: &Message) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns_dialog(message)) {
            running.call.request(world, server, message);
        }
    }

    /// A packet for us. Allocates nothing.
    pub(crate) fn media(&mut self, now: Instant, pair: PairId, component: Component, from: SocketAddr, packet: &[u8]) {
        if let Some(running) = self.running.iter_mut().find(|running| running.call.owns_pair(pair)) {
            running.call.media(now, component, from, packet);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, world: &mut TestCallWorld<'_>, out: &mut VecDeque<Output>) {
        for running in &mut self.running {
            while let Some((pair, to, packet)) = running.call.due_packet(world.now) {
                let component = Component::Rtp;
                out.push_back(Output::Media { pair, component, to, packet: Box::new(packet) });
            }
            running.call.tick(world);
        }
    }

    /// Breaks all of them off, and places no more: the process is about to end.
    pub(crate) fn drain(&mut self, world: &mut TestCallWorld<'_>) {
        self.draining = true;
        for running in &mut self.running {
            running.call.hang_up(world);
        }
    }

    /// Tells what has come of them, and forgets those that are over.
    pub(crate) fn settle(&mut self, load: &mut Load, out: &mut VecDeque<Output>) {
        for running in &mut self.running {
            out.extend(running.call.poll().map(|outcome| tested(&running.order, outcome)));
            if running.counted && !running.call.is_up() {
                running.counted = false;
                load.end(running.order.target.trunk);
            }
        }
        self.running.retain(|running| !running.call.is_over());
    }

    /// When `tick` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.running.iter().filter_map(|running| running.call.deadline()).min()
    }

    /// None is up at a target.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.iter().all(|running| !running.call.is_up())
    }

    /// By name.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 2] {
        [("placed", self.counters.placed), ("not_placed", self.counters.not_placed)]
    }
}

fn tested(order: &TestCallOrder, outcome: Result<act::TestCallOutcome, NoVerdict>) -> Output {
    Output::Tested(Box::new(Tested { target: order.target, order: order.order, outcome }))
}
