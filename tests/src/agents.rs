//! Our own agents on real sockets, as carriers and phones of a test.

use agent::{AgentConfig, Behaviour};
use node::lab::LiveAgent;
use sip::TimerSet;
use std::net::SocketAddr;

/// One at `127.0.0.LAST:5060`.
pub fn agent(user: &str, last: u8, behaviour: Behaviour) -> LiveAgent {
    start(user, SocketAddr::from(([127, 0, 0, last], 5060)), behaviour)
}

/// One at this address.
pub fn start(user: &str, sip: SocketAddr, behaviour: Behaviour) -> LiveAgent {
    let config = AgentConfig {
        user: user.to_owned(),
        sip,
        media_ip: sip.ip(),
        first_port: 40_000,
        calls: 1_000,
        seed: user.bytes().map(u64::from).sum(),
        timers: TimerSet::default(),
    };
    LiveAgent::start(config, behaviour).expect("an agent on loopback")
}
