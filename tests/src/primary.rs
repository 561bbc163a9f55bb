//! The primary carrier of a test, by UDP, TCP or TLS, and the ways in which it is lost and comes back.
//!
//! It is one of our own agents at `127.0.0.31`. Refuses to know: who calls, and what is to be seen then.

use crate::certificates::{Authority, Valid};
use crate::edge::CONFIG;
use crate::{agents, namespace};
use agent::{Behaviour, Failing};
use node::lab::{LiveAgent, Order};

const IP: &str = "127.0.0.31";

/// How the primary carrier is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its process is gone: connections are cut, and its port refuses.
    Killed,
    /// Nothing reaches it and nothing comes from it: connections stay half open.
    Silent,
    /// It takes what it is sent and never answers: connections stay open.
    Mute,
    /// Connections are cut, and new ones accepted without a word on them, of TLS or of SIP.
    Deaf,
    /// Connections are cut, and it comes back with a certificate that has expired.
    Expired,
    /// It refuses everything with 503.
    Unavailable,
    /// 100 and nothing after; its probes are fine.
    Stall,
    /// 500 for each call; its probes are fine.
    Grey,
    /// Three seconds silent, three well.
    Flapping,
}

/// How the primary carrier is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Datagrams.
    Udp,
    /// One connection.
    Tcp,
    /// One connection, and certificates.
    Tls,
}

/// The carrier.
pub struct Primary {
    /// It.
    pub agent: LiveAgent,
    /// The usual configuration of an edge that has it as `acme`.
    pub config: String,
    behaviour: Behaviour,
    /// Who issues its certificates.
    authority: Option<Authority>,
}

impl Primary {
    /// Starts it. `test` is the name of a folder for certificates.
    pub fn start(by: By, test: &str, behaviour: Behaviour) -> Self {
        let (agent, config, authority) = match by {
            By::Udp => (agents::agent("acme", 31, behaviour), CONFIG.to_owned(), None),
            By::Tcp => (agents::by_stream("acme", 31, None, behaviour), by_tcp(), None),
            By::Tls => {
                let authority = Authority::new(test);
                authority.issue("edge", "edge.example", Valid::Now);
                authority.issue("acme", "sbc.acme.example", Valid::Now);
                authority.issue("expired", "sbc.acme.example", Valid::NoMore);
                let agent = agents::by_stream("acme", 31, Some(&authority.agent("acme")), behaviour);
                (agent, by_tls(&authority.folder()), Some(authority))
            }
        };
        Self { agent, config, behaviour, authority }
    }

    /// It is lost.
    pub fn lose(&self, loss: Loss) {
        let fail = |failing| self.agent.order(Order::Behave(Behaviour { failing: Some(failing), ..self.behaviour }));
        match loss {
            Loss::Killed => fail(Failing::Closed),
            Loss::Silent | Loss::Flapping => namespace::black_hole(IP),
            Loss::Mute => fail(Failing::Silent),
            Loss::Deaf => self.agent.order(Order::Deaf(true)),
            Loss::Expired => self.shows("expired"),
            Loss::Unavailable => fail(Failing::Unavailable),
            Loss::Stall => fail(Failing::Stall),
            Loss::Grey => fail(Failing::Grey),
        }
    }

    /// It is back.
    pub fn heal(&self, loss: Loss) {
        match loss {
            Loss::Silent | Loss::Flapping => namespace::heal(),
            Loss::Deaf => self.agent.order(Order::Deaf(false)),
            Loss::Expired => self.shows("acme"),
            Loss::Killed | Loss::Mute | Loss::Unavailable | Loss::Stall | Loss::Grey => {
                self.agent.order(Order::Behave(self.behaviour));
            }
        }
    }

    fn shows(&self, certificate: &str) {
        let authority = self.authority.as_ref().expect("certificates expire under TLS alone");
        self.agent.order(Order::Become(authority.agent(certificate)));
    }
}

fn by_tcp() -> String {
    CONFIG
        .replace("\"udp:127.0.0.11:5060\"", "\"udp:127.0.0.11:5060\", \"tcp:127.0.0.11:5060\"")
        .replace("sip:127.0.0.31:5060", "sip:127.0.0.31:5060;transport=tcp")
}

/// With certificates in the folder `files`.
fn by_tls(files: &str) -> String {
    let listen = format!(
        "sip = [\"udp:127.0.0.11:5060\", \"tls:127.0.0.11:5061\"]\n\
         tls = {{ certificate = \"{files}/edge.pem\", key = \"{files}/edge.key\" }}"
    );
    let trunk = format!("at = \"sips:{IP}\"\ntls = {{ trust = \"{files}/ca.pem\", name = \"sbc.acme.example\" }}");
    CONFIG.replace("sip = [\"udp:127.0.0.11:5060\"]", &listen).replace("at = \"sip:127.0.0.31:5060\"", &trunk)
}
