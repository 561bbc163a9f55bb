//! Our own agents on real sockets, as carriers and phones of a test.

use agent::{AgentConfig, Behaviour, Dial, Heard, Report};
use model::Span;
use node::lab::{AgentTls, LiveAgent, Order};
use sip::{TimerSet, Transport};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a report is waited for.
const LIMIT: Duration = Duration::from_secs(60);

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

/// Plays this tone, and is well.
pub fn plays(tone_hz: u16) -> Behaviour {
    Behaviour { tone_hz, ..Behaviour::default() }
}

/// A call to an address, which the caller ends after `talk`.
pub fn dial(to: &str, tone_hz: u16, talk: Option<Span>) -> Order {
    Order::Dial(Dial {
        to: to.parse().expect("an address"),
        number: "+4722334455".to_owned(),
        mark: String::new(),
        late_offer: false,
        tone_hz,
        presses: Vec::new(),
        hang_up_after: talk,
        give_up_after: None,
    })
}

/// Waits for the report that `wanted` picks.
pub fn expect<T>(agent: &LiveAgent, what: &str, wanted: impl Fn(&Report) -> Option<T>) -> T {
    let mut others = Vec::new();
    loop {
        let Ok(report) = agent.reports.recv_timeout(LIMIT) else {
            panic!("waited in vain for {what}; the agent told {others:?}");
        };
        if let Some(found) = wanted(&report) {
            return found;
        }
        others.push(report);
    }
}

/// What was heard of a call that has ended.
pub fn ended(report: &Report) -> Option<Heard> {
    match report {
        Report::Ended { heard, .. } => Some(heard.clone()),
        _ => None,
    }
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
