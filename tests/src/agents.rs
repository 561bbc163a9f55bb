//! Our own agents on real sockets, as carriers and phones of a test.

use agent::{AgentConfig, Behaviour};
use node::lab::{AgentTls, LiveAgent};
use sip::{TimerSet, Transport};
use std::net::SocketAddr;

/// One at `127.0.0.LAST:5060`.
pub fn agent(user: &str, last: u8, behaviour: Behaviour) -> LiveAgent {
    start(user, SocketAddr::from(([127, 0, 0, last], 5060)), behaviour)
}

/// One at this address.
pub fn start(user: &str, sip: SocketAddr, behaviour: Behaviour) -> LiveAgent {
    LiveAgent::start(config(user, sip, Transport::Udp), behaviour).expect("an agent on loopback")
}

/// One that speaks TCP at `127.0.0.LAST:5060`, or TLS at port 5061.
pub fn by_stream(user: &str, last: u8, tls: Option<&AgentTls>, behaviour: Behaviour) -> LiveAgent {
    let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
    let sip = SocketAddr::from(([127, 0, 0, last], transport.default_port()));
    LiveAgent::start_by_stream(config(user, sip, transport), tls.cloned(), behaviour).expect("an agent on loopback")
}

fn config(user: &str, sip: SocketAddr, transport: Transport) -> AgentConfig {
    AgentConfig {
        user: user.to_owned(),
        sip,
        transport,
        media_ip: sip.ip(),
        first_port: 40_000,
        calls: 1_000,
        seed: user.bytes().map(u64::from).sum(),
        timers: TimerSet::default(),
    }
}
