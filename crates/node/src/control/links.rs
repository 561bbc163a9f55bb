//! Control's ends of the rings to the other threads, and what each must still be told.
//!
//! A full ring holds up nobody: what found no room waits here and is tried again. Refuses to know: what is decided.

use crate::ring::{Receiver, Sender};
use crate::shard::{Order, Report};
use crate::streams;
use edge::config::Settings;
use edge::{Bound, Snapshot, Whom};
use std::collections::VecDeque;
use std::sync::Arc;

/// Control's ends of the rings to one shard.
pub(crate) struct ShardLink {
    /// To it.
    pub(crate) orders: Sender<Order>,
    /// From it.
    pub(crate) reports: Receiver<Report>,
    /// An update that it has not been given yet.
    pub(crate) owed: Option<Arc<Snapshot>>,
    /// What it must still be told of phones, in order.
    pub(crate) owed_bindings: VecDeque<Arc<[Bound]>>,
    /// Whom it must still be told to forgive, in order.
    pub(crate) owed_forgiven: VecDeque<Whom>,
    /// It has not been told to drain yet.
    pub(crate) owed_drain: bool,
    /// It has not been told to end its calls yet.
    pub(crate) owed_close: bool,
    /// It has opened its first ports.
    pub(crate) ready: bool,
    /// It has no calls left, since it was told to drain.
    pub(crate) idle: bool,
}

impl ShardLink {
    /// Tells it what it has not been told, as far as there is room.
    pub(super) fn pay(&mut self) {
        if let Some(snapshot) = self.owed.take()
            && let Err(Order::Update(snapshot)) = self.orders.send(Order::Update(snapshot))
        {
            self.owed = Some(snapshot);
        }
        while let Some(bound) = self.owed_bindings.pop_front() {
            if let Err(Order::Bindings(bound)) = self.orders.send(Order::Bindings(bound)) {
                self.owed_bindings.push_front(bound);
                break;
            }
        }
        while let Some(whom) = self.owed_forgiven.pop_front() {
            if self.orders.send(Order::Forgive(whom)).is_err() {
                self.owed_forgiven.push_front(whom);
                break;
            }
        }
        self.owed_drain = self.owed_drain && self.orders.send(Order::Drain).is_err();
        self.owed_close = self.owed_close && self.orders.send(Order::Close).is_err();
    }

    pub(super) fn is_owed(&self) -> bool {
        self.owed.is_some()
            || self.owed_drain
            || self.owed_close
            || !self.owed_bindings.is_empty()
            || !self.owed_forgiven.is_empty()
    }
}

/// Control's ends to the thread of connections.
pub(crate) struct StreamLink {
    /// To it.
    pub(crate) orders: Sender<streams::Order>,
    /// What it counts.
    pub(crate) counters: Arc<streams::Counters>,
    /// Certificates and trust, as read from their files.
    pub(crate) tls: streams::TlsPlan,
    /// What it has been told to work by.
    pub(crate) told: Arc<Settings>,
    /// What it has not been told yet.
    pub(crate) owed: Option<Arc<Settings>>,
}

impl StreamLink {
    /// Tells it of new settings, or of trunks that have moved.
    pub(super) fn pay(&mut self) {
        if let Some(settings) = self.owed.take() {
            let plan = streams::Plan::new(&settings, self.tls.clone());
            match self.orders.send(streams::Order::Plan(Box::new(plan))) {
                Ok(()) => self.told = settings,
                Err(_) => self.owed = Some(settings),
            }
        }
    }
}
