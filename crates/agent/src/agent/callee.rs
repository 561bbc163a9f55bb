//! Calls an agent takes: how it rings, answers, refuses or fails.
//!
//! Refuses to know: what happens once a call is up.

use super::Agent;
use crate::behaviour::Failing;
use crate::call::{Call, CallNo, Echo, State, is_foreign};
use crate::offer;
use crate::report::Report;
use alloc::collections::VecDeque;
use alloc::string::String;
use model::{Instant, Span};
use sip::{Answer, Dialog, Flow, Message, Method, ServerKey, Uri};

/// How long an echoed call hears the agent's own tone first.
const OWN_TONE: Span = Span::from_secs(1);

impl Agent {
    pub(super) fn request(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        if self.behaviour.failing == Some(Failing::Unavailable) {
            return self.endpoint.respond(now, server, Answer::new(503));
        }
        let known = message.to().tag().map(<[u8]>::to_vec);
        match (message.method(), known) {
            (Method::Options, None) => self.endpoint.respond(now, server, Answer::new(200)),
            (Method::Invite, None) => self.called(now, server, flow, message),
            (_, None) => self.endpoint.respond(now, server, Answer::new(405)),
            (method, Some(_)) => match self.dialog_of(message) {
                Some(slot) => self.in_dialog(now, slot, server, method, message),
                None => self.endpoint.respond(now, server, Answer::new(481)),
            },
        }
    }

    pub(super) fn called(&mut self, now: Instant, server: ServerKey, flow: Flow, message: &Message) {
        let behaviour = self.behaviour;
        match (behaviour.failing, behaviour.refuse) {
            // The endpoint has said 100 already, and nothing follows.
            (Some(Failing::Stall), _) => return,
            (Some(Failing::Grey), _) => return self.endpoint.respond(now, server, Answer::new(500)),
            (_, Some(code)) => return self.endpoint.respond(now, server, Answer::new(code)),
            _ => {}
        }
        // RFC 3261 §13.3.1.3: nothing that is offered can be spoken..
        if behaviour.only_law.is_some() && is_foreign(behaviour.only_law, message.body()) {
            return self.endpoint.respond(now, server, Answer::new(488));
        }
        let tag = self.endpoint.minter().tag();
        let Ok(dialog) = Dialog::uas(message, tag.as_bytes()) else {
            return self.endpoint.respond(now, server, Answer::new(400));
        };
        let Some(mut audio) = self.audio(now, behaviour.tone_hz) else {
            return self.endpoint.respond(now, server, Answer::new(486));
        };
        let late_offer = message.body().is_empty();
        if !late_offer && let Some(offered) = audio.learn(now, message.body()) {
            audio.direction = offer::mirror(offered);
        }
        let uri = Uri::parse(message.uri()).ok();
        let number = uri.map(|uri| String::from_utf8_lossy(uri.user()).into_owned()).unwrap_or_default();
        audio.echo = behaviour.echo_number.filter(|echoed| **echoed == number).map(|_| Echo::default());
        // Before the answer only early media is sent.
        audio.mute |= !behaviour.early_media;
        let no = CallNo(self.next);
        self.next += 1;
        self.calls.insert(Call {
            no,
            state: State::Called,
            flow,
            dialog: Some(dialog),
            server: Some(server),
            client: None,
            cseq: 0,
            reinvite: None,
            started: now,
            ring_at: Some(now + behaviour.ring_after),
            answer_at: behaviour.answer_after.map(|after| now + after),
            hang_up_after: behaviour.hang_up_after,
            hang_up_at: None,
            give_up_at: None,
            late_offer,
            answered: None,
            presses: VecDeque::new(),
            audio,
        });
        self.report(Report::Incoming { call: no, number });
    }

    pub(super) fn ring(&mut self, now: Instant, slot: usize) {
        let early = self.behaviour.early_media;
        let mut answer = self.dialog_answer(slot, if early { 183 } else { 180 });
        let call = &mut self.calls[slot];
        call.ring_at = None;
        if early && !call.late_offer {
            answer.headers.push("Content-Type", b"application/sdp");
            answer.body = call.audio.describe(call.audio.direction);
        }
        if let Some(server) = call.server {
            self.endpoint.respond(now, server, answer);
        }
    }

    pub(super) fn answer(&mut self, now: Instant, slot: usize) {
        let mut answer = self.dialog_answer(slot, 200);
        let mute = self.mute();
        let call = &mut self.calls[slot];
        (call.ring_at, call.answer_at) = (None, None);
        call.state = State::Accepted;
        call.audio.mute = mute;
        if let Some(echo) = &mut call.audio.echo {
            echo.from = Some(now + OWN_TONE);
        }
        answer.headers.push("Content-Type", b"application/sdp");
        answer.body = call.audio.describe(call.audio.direction);
        if let Some(server) = call.server {
            self.endpoint.respond(now, server, answer);
        }
    }

    /// A response that carries our tag and Contact.
    pub(super) fn dialog_answer(&self, slot: usize, code: u16) -> Answer {
        let mut answer = Answer::new(code);
        answer.to_tag = self.calls[slot].dialog.as_ref().map(|dialog| dialog.local_tag.clone());
        answer.headers.push("Contact", self.contact().as_bytes());
        answer
    }

    pub(super) fn acknowledged(&mut self, now: Instant, message: &Message) {
        let Some(slot) = self.dialog_of(message) else { return };
        let call = &mut self.calls[slot];
        if let Some(server) = call.server.take() {
            self.endpoint.confirm(now, server);
        }
        if call.late_offer && !message.body().is_empty() {
            call.audio.learn(now, message.body());
        }
        if call.state == State::Accepted {
            call.state = State::Up;
            call.hang_up_at = call.hang_up_after.map(|after| now + after);
            let report = Report::Answered { call: call.no, after: now.since(call.started) };
            self.report(report);
        }
    }

    pub(super) fn cancelled(&mut self, now: Instant, server: ServerKey) {
        self.endpoint.respond(now, server, Answer::new(487));
        if let Some(slot) = self.calls.iter().find(|(_, call)| call.server == Some(server)).map(|(slot, _)| slot) {
            let after = now.since(self.calls[slot].started);
            let call = self.remove(slot);
            self.report(Report::Refused { call: call.no, code: 487, after });
        }
    }
}
