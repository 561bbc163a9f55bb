//! One call of the drill: an agent of ours dials, plays a tone, listens, hangs up, and says what it lived through.
//!
//! Refuses to know: what is broken, what counts as good.

use super::desk::Desk;
use crate::say::Failure;
use agent::{Behaviour, Dial, Digit, DigitWay, Heard, KeyPress, Report};
use model::{Instant, Span};
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What we play, in hertz: none of the tones that the far end has of its own.
pub(super) const OURS_HZ: u16 = 1_300;
/// Keys that we press, each told in another way, once the far end's own tone is over: when, which, how.
pub(super) const KEYS: [(Span, u8, DigitWay); 2] =
    [(Span::from_millis(1_500), b'5', DigitWay::Event), (Span::from_millis(1_900), b'8', DigitWay::Info)];
/// When a request inside the call is sent, after the answer: when all else has been heard, for a call may end by it.
const ASK_AFTER: Span = Span::from_millis(2_500);
/// Longest wait for an answer.
const GIVE_UP: Span = Span::from_secs(30);
/// How often the edge hears that we are still there.
const KEEP: Span = Span::from_secs(2);
/// Rounds of that until a call must be over: what it may ring, what it may talk, and its end.
const ROUNDS: usize = 30;
/// Rounds until its record must be written.
const RECORD_ROUNDS: usize = 50;
const RECORD_EVERY: Duration = Duration::from_millis(100);

/// What the caller lived through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lived {
    pub(super) ringback: Option<Span>,
    pub(super) answer: Option<Span>,
    /// The same, by the clock of what was heard.
    pub(super) answered_at: Option<Instant>,
    /// What came back to a request inside the call, when anything did.
    pub(super) reinvited: Option<u16>,
    /// The code it was refused with; none when it was answered, or by nobody.
    pub(super) refused: Option<u16>,
    pub(super) heard: Option<Heard>,
}

/// A call, as its caller and the edge tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placed {
    pub(super) lived: Lived,
    /// The edge's record of it.
    pub(super) record: Value,
    /// Why it went as it did.
    pub(super) why: Vec<String>,
}

/// Who calls.
pub(super) struct Caller {
    agent: LiveAgent,
    edge: SocketAddr,
    calls: u32,
}

impl Caller {
    /// One that reaches the edge at `edge`, from `ip` or else from wherever this machine does.
    pub(super) fn open(edge: SocketAddr, ip: Option<IpAddr>) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure(format!(
                "no call can be placed from here to {edge}: {error}; name an address of this machine with `caller`"
            ))
        };
        let own = address_towards(edge, ip).map_err(failed)?;
        let agent = LiveAgent::caller(own, Behaviour { tone_hz: OURS_HZ, ..Behaviour::default() }).map_err(failed)?;
        Ok(Self { agent, edge, calls: 0 })
    }

    /// Where its calls come from.
    pub(super) fn address(&self) -> SocketAddr {
        self.agent.address()
    }

    /// What its clock shows.
    pub(super) fn now(&self) -> Instant {
        self.agent.now()
    }

    /// Lets time pass; nothing that the agent tells meanwhile is of a call.
    pub(super) fn pass(&self, length: Span) {
        let _silence = self.agent.reports.recv_timeout(Duration::from_micros(length.as_micros()));
    }

    /// Places one and waits for its end and its record.
    pub(super) fn call(&mut self, desk: &Desk<'_>, number: &str, talk: Span) -> Result<Placed, Failure> {
        self.calls += 1;
        let mark = format!("{}{}-", desk.mark, self.calls);
        while self.agent.reports.try_recv().is_ok() {}
        self.agent.order(Order::Dial(Dial {
            to: self.edge,
            number: number.to_owned(),
            mark: mark.clone(),
            late_offer: false,
            tone_hz: OURS_HZ,
            presses: keys(),
            hang_up_after: Some(talk),
            give_up_after: Some(GIVE_UP),
        }));
        let lived = self.live(desk)?;
        let mut placed = Placed { lived, ..Placed::default() };
        for _ in 0..RECORD_ROUNDS {
            if let Some((record, why)) = desk.record(&mark)? {
                (placed.record, placed.why) = (record, why);
                break;
            }
            // Nothing follows a call that is over: this is the time until the next question.
            let _silence = self.agent.reports.recv_timeout(RECORD_EVERY);
        }
        Ok(placed)
    }

    /// What the agent tells next, until then.
    fn wait(&self, until: Instant) -> Result<Report, RecvTimeoutError> {
        let left = until.since(self.agent.now());
        self.agent.reports.recv_timeout(Duration::from_micros(left.as_micros()))
    }

    /// Until the call is over. When the edge has ended the drill meanwhile, the call still comes to its own end: nothing is left up.
    fn live(&self, desk: &Desk<'_>) -> Result<Lived, Failure> {
        let (mut lived, mut ended, mut asks) = (Lived::default(), None, None);
        for _ in 0..ROUNDS {
            let kept = self.agent.now() + KEEP;
            let over = loop {
                if let Some((call, _)) = asks.take_if(|(_, at)| *at <= self.agent.now()) {
                    // As it is, once more: whoever cannot be reached inside a call is not hung up either.
                    self.agent.order(Order::Hold(call, false));
                }
                let until = asks.map_or(kept, |(_, at)| kept.min(at));
                match self.wait(until) {
                    Ok(Report::Progress { code, after, .. }) if code >= 180 => {
                        lived.ringback.get_or_insert(after);
                    }
                    Ok(Report::Answered { call, after }) => {
                        (lived.answer, lived.answered_at) = (Some(after), Some(self.agent.now()));
                        asks = Some((call, self.agent.now() + ASK_AFTER));
                    }
                    Ok(Report::Reinvited { code, .. }) => lived.reinvited = Some(code),
                    Ok(Report::Refused { code, .. }) => {
                        lived.refused = Some(code);
                        break true;
                    }
                    Ok(Report::Failed { .. }) => break true,
                    Ok(Report::Ended { heard, .. }) => {
                        lived.heard = Some(heard);
                        break true;
                    }
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) if until < kept => {}
                    Err(RecvTimeoutError::Timeout) => break false,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(Failure(String::from("the caller of the drill has ended by itself; try again")));
                    }
                }
            };
            if over {
                return ended.map_or(Ok(lived), Err);
            }
            ended = ended.or_else(|| desk.keep().err());
        }
        ended.map_or(Ok(lived), Err)
    }
}

fn keys() -> Vec<KeyPress> {
    let press = |(after, key, way)| Digit::of_key(key).map(|digit| KeyPress { after, digit, way });
    KEYS.into_iter().filter_map(press).collect()
}

/// A port of ours that is free, at the address by which this machine reaches the edge.
fn address_towards(edge: SocketAddr, ip: Option<IpAddr>) -> std::io::Result<SocketAddr> {
    let any: IpAddr = if edge.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((ip.unwrap_or(any), 0))?;
    socket.connect(edge)?;
    socket.local_addr()
}
