//! Who may connect at all, by the lists of the guard: asked before anything is read.
//!
//! Whoever misbehaves later is told on by the shard that reads him. Refuses to know: what is sent, how many there are.

use super::GuardPolicy;
use crate::config::Settings;
use act::Profiles;
use sip::Flow;
use std::sync::Arc;

/// The lists, and who speaks for a trunk. Of no configuration it lets everybody in.
#[derive(Clone, Debug, Default)]
pub struct Door {
    guard: Arc<GuardPolicy>,
    profiles: Arc<Profiles>,
}

impl Door {
    /// That of a configuration.
    pub fn of(settings: &Settings) -> Self {
        Self { guard: settings.guard.clone(), profiles: settings.profiles.clone() }
    }

    /// Whether whoever connects so is heard.
    pub fn admits(&self, flow: Flow) -> bool {
        let known = self.profiles.admit(flow.socket, flow.peer).is_some();
        self.guard.admits(flow.peer.ip(), self.profiles.side_of(flow.socket), known).is_ok()
    }
}
