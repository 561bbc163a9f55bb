//! The lab: an emulated PBX and two emulated carriers around the edge, on loopback, ready to fail on request.
//!
//! It is what `throughline run` starts without a configuration. The edge itself is the real one; only its neighbours
//! are ours. Refuses to know: how the edge works; it asks and breaks things from outside.

mod live_agent;
mod stream_port;

pub use live_agent::{LiveAgent, Order};
pub use stream_port::AgentTls;

use agent::{AgentConfig, Behaviour, Dial, Failing, Report};
use model::Span;
use serde_json::{Value, json};
use sip::TimerSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

/// The edge's configuration in the lab.
pub const CONFIG: &str = include_str!("lab.toml");

/// What to try once it runs.
const NEXT: &str = "

Now, from another terminal:
  throughline lab call                       places a call through the edge and says what tone it hears
  throughline lab fail acme --how silent     acme dies; also refuse, 503, stall, grey, no-rtp
  throughline lab call                       goes through globex
  throughline test-call acme                 a call of the edge's own through acme alone: times, and audio both ways
  throughline drill --fault silent           breaks acme for calls of its own, and proves that globex stands in
  throughline why trunk acme                 each change in one sentence
  throughline lab fail acme --how heal       acme works again
A phone or SIPp calls in at 127.0.0.10:5060.
";

/// The same with the program's name as it was called, so that each line can be copied.
pub(crate) fn next() -> String {
    let program = std::env::args().next().unwrap_or_else(|| String::from("throughline"));
    NEXT.replace("\n  throughline ", &format!("\n  {program} "))
}

/// Where phones reach the edge.
const EDGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 10)), 5060);
/// How long a call of `lab call` talks.
const TALK: Span = Span::from_secs(2);
/// How long `lab call` waits for the whole call.
const PATIENCE: Duration = Duration::from_secs(18);
/// What the office plays, in hertz.
const OFFICE_HZ: u16 = 1_000;

/// The carriers' number for test calls, as in `lab.toml`.
const ECHO_NUMBER: &str = "+4722000000";

/// A carrier of the lab.
struct Carrier {
    name: &'static str,
    tone_hz: u16,
    agent: LiveAgent,
}

/// The lab's neighbours.
pub struct Lab {
    office: LiveAgent,
    carriers: Vec<Carrier>,
}

impl Lab {
    /// Starts them.
    ///
    /// # Errors
    /// When an address of the lab is taken already, most likely by another lab.
    pub fn start() -> io::Result<Mutex<Self>> {
        let carrier = |name, last, tone_hz| -> io::Result<Carrier> {
            let behaviour = carries(tone_hz);
            Ok(Carrier { name, tone_hz, agent: LiveAgent::start(neighbour(name, last), behaviour)? })
        };
        let office = Behaviour { tone_hz: OFFICE_HZ, ..Behaviour::default() };
        Ok(Mutex::new(Self {
            carriers: vec![carrier("acme", 31, 440)?, carrier("globex", 32, 850)?],
            office: LiveAgent::start(neighbour("office", 20), office)?,
        }))
    }

    /// Answers `call` and `fail`. Waits for a whole call, so never ask from a thread that has other things to do.
    ///
    /// # Errors
    /// One sentence that says what was wrong with the question.
    pub fn ask(&self, what: &str, params: &[(String, String)]) -> Result<Value, String> {
        let param = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match what {
            "call" => Ok(self.call(param("number").unwrap_or("+4722334455"))),
            "fail" => self.fail(param("trunk").unwrap_or_default(), param("how").unwrap_or_default()),
            _ => Err(format!("the lab knows `call` and `fail`, not `{what}`")),
        }
    }

    fn fail(&self, trunk: &str, how: &str) -> Result<Value, String> {
        let carrier = self
            .carriers
            .iter()
            .find(|carrier| carrier.name == trunk)
            .ok_or_else(|| format!("the lab has the carriers acme and globex, not `{trunk}`"))?;
        let failing = match how {
            "heal" => None,
            word => Some(Failing::from_word(word).ok_or_else(|| {
                format!("`{word}` is no way to fail; try silent, refuse, 503, stall, grey, no-rtp, or heal")
            })?),
        };
        let behaviour = Behaviour { failing, ..carries(carrier.tone_hz) };
        carrier.agent.order(Order::Behave(behaviour));
        let sentence = match failing {
            Some(failing) => format!("{trunk} fails from now on: {}", failing.word()),
            None => format!("{trunk} works again"),
        };
        Ok(json!({ "trunk": trunk, "how": how, "sentences": [sentence] }))
    }

    fn call(&self, number: &str) -> Value {
        while self.office.reports.try_recv().is_ok() {}
        self.office.order(Order::Dial(Dial {
            to: EDGE,
            number: number.to_owned(),
            mark: String::new(),
            late_offer: false,
            tone_hz: OFFICE_HZ,
            presses: Vec::new(),
            hang_up_after: Some(TALK),
            give_up_after: Some(Span::from_secs(14)),
        }));
        let mut sentences = vec![format!("office calls {number} through the edge")];
        let mut answered = false;
        while let Ok(report) = self.office.reports.recv_timeout(PATIENCE) {
            match report {
                Report::Progress { code, after, .. } => sentences.push(format!("{code} after {after}")),
                Report::Answered { after, .. } => {
                    answered = true;
                    sentences.push(format!("answered after {after}"));
                }
                Report::Refused { code, after, .. } => {
                    sentences.push(format!("refused with {code} after {after}"));
                    break;
                }
                Report::Failed { fault, .. } => {
                    sentences.push(format!("no answer from the edge ({fault:?})"));
                    break;
                }
                Report::Ended { heard, .. } => {
                    sentences.push(self.heard(&heard));
                    break;
                }
                Report::Incoming { .. } | Report::Reinvited { .. } | Report::Options { .. } => {}
            }
        }
        json!({ "number": number, "answered": answered, "sentences": sentences })
    }

    fn heard(&self, heard: &agent::Heard) -> String {
        let Some(hz) = heard.tone_hz else {
            return format!("heard no tone in {} packets", heard.packets);
        };
        let whose = self.carriers.iter().find(|carrier| carrier.tone_hz == hz);
        let whose = whose.map_or("which nobody here plays", |carrier| carrier.name);
        format!("heard {hz} Hz ({whose}) for {}; longest gap {}", heard.tone_for, heard.longest_gap)
    }
}

/// A carrier that works.
fn carries(tone_hz: u16) -> Behaviour {
    Behaviour { tone_hz, echo_number: Some(ECHO_NUMBER), ..Behaviour::default() }
}

fn neighbour(user: &str, last: u8) -> AgentConfig {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    AgentConfig {
        transport: sip::Transport::Udp,
        user: user.to_owned(),
        sip: SocketAddr::new(ip, 5060),
        media_ip: ip,
        first_port: 40_000,
        calls: 200,
        seed: u64::from(last) << 32 | u64::from(std::process::id()),
        timers: TimerSet::default(),
    }
}
