//! One call of an agent: dialog, audio and timers as plain data.
//!
//! Refuses to know: transactions beyond their keys, and the agent's other calls.

use crate::digits::{DigitWay, Digits, KeyPress};
use crate::ear::Ear;
use crate::offer;
use crate::reporter::Reporter;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use media::player::{Law, ToneListener, ToneTalker};
use media::sdp::{Direction, Formats, Sdp, Stream};
use model::{Instant, Span};
use sip::{ClientKey, Dialog, Flow, ServerKey};

/// Number of a call within its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNo(pub u32);

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// We were called: the INVITE waits for our answer.
    Called,
    /// We were called and have answered; the ACK is awaited.
    Accepted,
    /// We call.
    Calling,
    /// Answered and acknowledged.
    Up,
    /// Our BYE is on its way.
    Leaving,
}

/// What falls due next for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ring,
    Answer,
    HangUp,
    GiveUp,
    Press,
    Packet,
}

/// One call.
pub(crate) struct Call {
    pub(crate) no: CallNo,
    pub(crate) state: State,
    pub(crate) flow: Flow,
    pub(crate) dialog: Option<Dialog>,
    pub(crate) server: Option<ServerKey>,
    pub(crate) client: Option<ClientKey>,
    /// CSeq of our running INVITE, for its ACK.
    pub(crate) cseq: u32,
    pub(crate) reinvite: Option<ClientKey>,
    pub(crate) started: Instant,
    pub(crate) ring_at: Option<Instant>,
    pub(crate) answer_at: Option<Instant>,
    pub(crate) hang_up_after: Option<Span>,
    pub(crate) hang_up_at: Option<Instant>,
    pub(crate) give_up_at: Option<Instant>,
    /// The other side offers in its 200, and our ACK carries the answer.
    pub(crate) late_offer: bool,
    /// When the other side had answered us.
    pub(crate) answered: Option<Instant>,
    /// Keys that are still to be pressed, in order.
    pub(crate) presses: VecDeque<KeyPress>,
    pub(crate) audio: Audio,
}

impl Call {
    /// Where a request inside it goes: on a stream to the peer's Contact, since where a connection came from is no place to connect to
    /// (RFC 3261 §12.2.1.1).
    pub(crate) fn way(&self) -> Flow {
        let contact = self.dialog.as_ref().filter(|_| self.flow.transport.is_reliable());
        let peer = contact.and_then(|dialog| dialog.next_hop(self.flow.transport)).unwrap_or(self.flow.peer);
        Flow { peer, ..self.flow }
    }
}

/// The audio of a call.
pub(crate) struct Audio {
    pub(crate) local: SocketAddr,
    pub(crate) session: u64,
    pub(crate) version: u64,
    pub(crate) remote: Option<SocketAddr>,
    /// What we may do, by the last offer and answer.
    pub(crate) direction: Direction,
    /// What holds again when our offer is refused (RFC 3261 §14.1).
    pub(crate) before: Option<Direction>,
    pub(crate) mute: bool,
    pub(crate) talker: ToneTalker,
    pub(crate) listener: ToneListener,
    pub(crate) ear: Ear,
    pub(crate) next_packet: Option<Instant>,
    /// Says what it hears, if it does.
    pub(crate) reporter: Option<Reporter>,
    /// What it hears is sent back, once its own tone is over.
    pub(crate) echo: Option<Echo>,
    pub(crate) digits: Digits,
    /// Digits that are told otherwise are not taken.
    pub(crate) only_digits: Option<DigitWay>,
    /// The one law that it speaks; none is both.
    pub(crate) only_law: Option<Law>,
    /// The host that it describes in place of its own.
    pub(crate) says: Option<IpAddr>,
}

/// The echo of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Echo {
    /// When its own tone is over; none before the answer.
    pub(crate) from: Option<Instant>,
    /// Packets sent back.
    pub(crate) sequence: u16,
}

/// The stream of sound in a description, when there is one that is not refused.
fn audio_of<'s, 'a>(sdp: &'s Sdp<'a>) -> Option<&'s Stream<'a>> {
    sdp.streams().iter().find(|stream| stream.kind == b"audio" && stream.port != 0)
}

/// Whether an offer has sound that an agent of this law could not speak.
pub(crate) fn is_foreign(only: Option<Law>, body: &[u8]) -> bool {
    let sdp = Sdp::parse(body).ok();
    sdp.as_ref().and_then(audio_of).is_some_and(|stream| offer::common(only, stream).is_none())
}

impl Audio {
    /// Takes what the other side's SDP says. Returns the direction it offers, when the SDP could be read.
    pub(crate) fn learn(&mut self, now: Instant, body: &[u8]) -> Option<Direction> {
        let sdp = Sdp::parse(body).ok()?;
        let stream = audio_of(&sdp)?;
        self.remote = stream.addr.map(|ip| SocketAddr::new(ip, stream.port));
        let events = Formats::of(&sdp, stream).and_then(|formats| formats.events(8_000));
        self.digits.event_type = events.and_then(|events| match events {
            media::Digits::Events { payload_type, .. } => Some(payload_type),
            _ => None,
        });
        if let Some(law) = offer::common(self.only_law, stream) {
            self.talker = self.talker.clone().in_law(law);
        }
        if self.next_packet.is_none() {
            self.next_packet = Some(now);
        }
        Some(stream.direction)
    }

    /// Our description of it, with this direction.
    pub(crate) fn describe(&self, direction: Direction) -> Vec<u8> {
        offer::describe(self.session, self.version, self.told(), direction, self.only_law)
    }

    /// Where we say that it is.
    pub(crate) fn told(&self) -> SocketAddr {
        SocketAddr::new(self.says.unwrap_or(self.local.ip()), self.local.port())
    }

    /// Whether it takes digits told in this way.
    pub(crate) fn takes(&self, way: DigitWay) -> bool {
        self.only_digits.is_none_or(|only| only == way)
    }

    /// It sends back what it hears by now.
    pub(crate) fn echoes(&self, now: Instant) -> bool {
        self.echo.is_some_and(|echo| echo.from.is_some_and(|from| from <= now))
    }

    pub(crate) fn may_send(&self) -> bool {
        !self.mute && matches!(self.direction, Direction::SendRecv | Direction::SendOnly)
    }
}

impl Call {
    /// The earliest thing that falls due.
    pub(crate) fn due(&self) -> Option<(Instant, Due)> {
        let packet = self.audio.next_packet.filter(|_| self.audio.remote.is_some() && self.audio.may_send());
        let press = self.answered.zip(self.presses.front()).map(|(answered, press)| answered + press.after);
        [
            self.ring_at.map(|at| (at, Due::Ring)),
            self.answer_at.map(|at| (at, Due::Answer)),
            self.hang_up_at.map(|at| (at, Due::HangUp)),
            self.give_up_at.map(|at| (at, Due::GiveUp)),
            press.map(|at| (at, Due::Press)),
            packet.map(|at| (at, Due::Packet)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}
