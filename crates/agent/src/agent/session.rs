//! Calls that are up: hold and resume either way, hanging up.
//!
//! Refuses to know: who placed the call.

use super::{Agent, audio::heard};
use crate::call::{Audio, Call, CallNo, State};
use crate::digits::{DigitWay, KeyPress};
use crate::offer;
use crate::report::Report;
use alloc::vec::Vec;
use media::dtmf::info::{self, Kind, Press};
use media::sdp::{Direction, Sdp, Stream};
use model::{Instant, Span};
use sip::{Answer, ClientKey, Message, Method, ServerKey};

/// How long a key is said to have been down.
const PRESSED: Span = Span::from_millis(160);

impl Agent {
    pub(super) fn in_dialog(
        &mut self,
        now: Instant,
        slot: usize,
        server: ServerKey,
        method: Method,
        message: &Message,
    ) {
        let call = &mut self.calls[slot];
        if call.dialog.as_mut().is_some_and(|dialog| dialog.accepts(message).is_err()) {
            return self.endpoint.respond(now, server, Answer::new(500));
        }
        match method {
            Method::Bye => {
                self.endpoint.respond(now, server, Answer::new(200));
                self.end(slot, false);
            }
            Method::Invite => self.reinvited(now, slot, server, message),
            Method::Info => self.informed(now, slot, server, message),
            _ => self.endpoint.respond(now, server, Answer::new(200)),
        }
    }

    /// A digit by INFO; one whose call is echoed sends it back.
    fn informed(&mut self, now: Instant, slot: usize, server: ServerKey, message: &Message) {
        let audio = &self.calls[slot].audio;
        let press = message.content_type().and_then(Kind::of).and_then(|_| info::read(message.body()).ok());
        if press.is_some() && !audio.takes(DigitWay::Info) {
            // RFC 3261 §21.4.13.
            return self.endpoint.respond(now, server, Answer::new(415));
        }
        self.endpoint.respond(now, server, Answer::new(200));
        let Some(press) = press else { return };
        let audio = &mut self.calls[slot].audio;
        audio.digits.told(press.digit, DigitWay::Info);
        if audio.echoes(now) {
            self.inform(now, slot, press);
        }
    }

    /// Tells of a digit by INFO.
    fn inform(&mut self, now: Instant, slot: usize, press: Press) {
        let contact = self.contact();
        let call = &mut self.calls[slot];
        let Some(dialog) = call.dialog.as_mut() else { return };
        let mut draft = dialog.request(Method::Info);
        draft.headers.push("Contact", contact.as_bytes());
        draft.headers.push("Content-Type", Kind::Relay.content_type().as_bytes());
        draft.body = info::write(Kind::Relay, press);
        // A digit whose request cannot be had is one that was not pressed.
        let _sent = self.endpoint.request(now, call.way(), draft, &self.config.timers);
    }

    /// The next key goes down.
    pub(super) fn press(&mut self, now: Instant, slot: usize) {
        let Some(KeyPress { digit, way, .. }) = self.calls[slot].presses.pop_front() else { return };
        match way {
            DigitWay::Event => self.calls[slot].audio.digits.press(digit),
            DigitWay::Info => self.inform(now, slot, Press { digit, duration: PRESSED }),
        }
    }

    pub(super) fn reinvited(&mut self, now: Instant, slot: usize, server: ServerKey, message: &Message) {
        if self.calls[slot].reinvite.is_some() {
            // Glare (RFC 3261 §14.2).
            return self.endpoint.respond(now, server, Answer::new(491));
        }
        if is_no_audio(message.body()) {
            // RFC 3261 §14.2: what was agreed before holds.
            return self.endpoint.respond(now, server, Answer::new(488));
        }
        let mut answer = self.dialog_answer(slot, 200);
        let call = &mut self.calls[slot];
        let offered = call.audio.learn(now, message.body());
        call.audio.direction = offered.map_or(Direction::SendRecv, offer::mirror);
        call.audio.version += 1;
        call.late_offer = message.body().is_empty();
        call.server = Some(server);
        if let Some(dialog) = call.dialog.as_mut() {
            dialog.refresh_target(message);
        }
        answer.headers.push("Content-Type", b"application/sdp");
        answer.body = call.audio.describe(call.audio.direction);
        self.endpoint.respond(now, server, answer);
    }

    pub(super) fn hold(&mut self, now: Instant, no: CallNo, hold: bool) {
        let direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
        self.reinvite(now, no, direction, |audio| audio.describe(direction));
    }

    /// It says nothing until that is answered, as one does who has begun to listen for the other fax.
    pub(super) fn fax(&mut self, now: Instant, no: CallNo) {
        self.reinvite(now, no, Direction::Inactive, |audio| {
            offer::describe_fax(audio.session, audio.version, audio.told())
        });
    }

    fn reinvite(&mut self, now: Instant, no: CallNo, direction: Direction, describe: impl Fn(&Audio) -> Vec<u8>) {
        let Some(slot) = self.find(no) else { return };
        let contact = self.contact();
        let call = &mut self.calls[slot];
        let (State::Up, Some(dialog), None) = (call.state, call.dialog.as_mut(), call.reinvite) else { return };
        call.audio.version += 1;
        let mut draft = dialog.request(Method::Invite);
        call.cseq = dialog.local_seq;
        draft.headers.push("Contact", contact.as_bytes());
        draft.headers.push("Content-Type", b"application/sdp");
        draft.body = describe(&call.audio);
        call.audio.before = Some(core::mem::replace(&mut call.audio.direction, direction));
        call.reinvite = self.endpoint.request(now, call.way(), draft, &self.config.timers).ok();
    }

    pub(super) fn reinvite_answered(&mut self, now: Instant, slot: usize, client: ClientKey, message: &Message) {
        let code = message.status().unwrap_or(0);
        if code < 200 {
            return;
        }
        let call = &mut self.calls[slot];
        call.reinvite = None;
        let no = call.no;
        let before = call.audio.before.take();
        if code >= 300 {
            call.audio.direction = before.unwrap_or(call.audio.direction);
        } else {
            call.audio.learn(now, message.body());
            if let Some(dialog) = call.dialog.as_mut() {
                dialog.refresh_target(message);
                let ack = dialog.ack(call.cseq);
                self.endpoint.ack(now, client, call.way(), ack);
            }
        }
        self.report(Report::Reinvited { call: no, code });
    }

    pub(super) fn hang_up(&mut self, now: Instant, no: CallNo) {
        let Some(slot) = self.find(no) else { return };
        let call = &mut self.calls[slot];
        match (call.state, call.client, call.dialog.as_mut()) {
            (State::Calling, Some(client), _) => {
                call.state = State::Leaving;
                call.give_up_at = None;
                self.endpoint.cancel(now, client, None);
            }
            (State::Called, _, _) => {
                if let Some(server) = call.server {
                    self.endpoint.respond(now, server, Answer::new(480));
                }
                self.remove(slot);
            }
            (State::Up | State::Accepted, _, Some(dialog)) => {
                let draft = dialog.request(Method::Bye);
                // When no transaction can be had the call is over all the same.
                let _sent = self.endpoint.request(now, call.way(), draft, &self.config.timers);
                self.end(slot, true);
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self, slot: usize, by_us: bool) {
        let call = self.remove(slot);
        self.report(Report::Ended { call: call.no, by_us, heard: heard(&call.audio) });
    }

    pub(super) fn remove(&mut self, slot: usize) -> Call {
        let call = self.calls.remove(slot);
        self.close(call.audio.local.port());
        call
    }

    pub(super) fn dialog_of(&self, message: &Message) -> Option<usize> {
        let (call_id, tag) = (message.call_id(), message.to().tag()?);
        let ours = |call: &Call| call.dialog.as_ref().is_some_and(|d| d.local_tag == tag && d.call_id == call_id);
        self.calls.iter().find(|(_, call)| ours(call)).map(|(slot, _)| slot)
    }
}

/// A description in which no audio is offered.
fn is_no_audio(body: &[u8]) -> bool {
    let is_audio = |stream: &Stream<'_>| stream.kind == b"audio" && stream.port != 0;
    Sdp::parse(body).is_ok_and(|sdp| !sdp.streams().iter().any(is_audio))
}
