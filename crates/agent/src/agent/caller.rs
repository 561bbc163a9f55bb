//! Calls an agent places: INVITE, its answers, ACK.
//!
//! Refuses to know: what happens once a call is up.

use super::{Agent, Dial, SOCKET};
use crate::call::{Call, CallNo, State};
use crate::offer;
use crate::report::Report;
use alloc::format;
use media::sdp::Direction;
use model::{Instant, TransportFault};
use sip::{ClientKey, Dialog, Draft, Flow, HeaderLines, Message, Method};

impl Agent {
    pub(super) fn dial(&mut self, now: Instant, dial: Dial) {
        let Some(audio) = self.audio(now, dial.tone_hz) else { return };
        let no = CallNo(self.next);
        self.next += 1;
        let tag = self.endpoint.minter().tag();
        let call_id = self.endpoint.minter().call_id();
        let mut headers = HeaderLines::new();
        headers.push("From", format!("<sip:{}@{}>;tag={}", self.config.user, self.config.sip, tag.as_str()).as_bytes());
        headers.push("To", format!("<sip:{}@{}>", dial.number, dial.to).as_bytes());
        headers.push("Call-ID", &[dial.mark.as_bytes(), call_id.as_bytes()].concat());
        headers.push("CSeq", b"1 INVITE");
        headers.push("Contact", self.contact().as_bytes());
        let mut draft =
            Draft { headers, ..Draft::new(Method::Invite, format!("sip:{}@{}", dial.number, dial.to).into_bytes()) };
        if !dial.late_offer {
            draft.headers.push("Content-Type", b"application/sdp");
            draft.body = audio.describe(Direction::SendRecv);
        }
        let flow = Flow { socket: SOCKET, peer: dial.to, transport: self.config.transport };
        let Ok(client) = self.endpoint.request(now, flow, draft, &self.config.timers) else {
            self.close(audio.local.port());
            return self.report(Report::Failed { call: no, fault: Some(TransportFault::Local) });
        };
        self.calls.insert(Call {
            no,
            state: State::Calling,
            flow,
            dialog: None,
            server: None,
            client: Some(client),
            cseq: 1,
            reinvite: None,
            started: now,
            ring_at: None,
            answer_at: None,
            hang_up_after: dial.hang_up_after,
            hang_up_at: None,
            give_up_at: dial.give_up_after.map(|after| now + after),
            late_offer: dial.late_offer,
            answered: None,
            presses: dial.presses.into(),
            audio,
        });
    }

    pub(super) fn response(&mut self, now: Instant, client: ClientKey, message: &Message) {
        let code = message.status().unwrap_or(0);
        if self.options == Some(client) && code >= 200 {
            self.options = None;
            return self.report(Report::Options { code });
        }
        let Some(slot) =
            self.calls.iter().find(|(_, c)| c.client == Some(client) || c.reinvite == Some(client)).map(|(s, _)| s)
        else {
            return;
        };
        if self.calls[slot].reinvite == Some(client) {
            return self.reinvite_answered(now, slot, client, message);
        }
        match code {
            100 => {}
            101..200 => self.progressed(now, slot, message),
            200..300 => self.call_answered(now, slot, client, message),
            _ => {
                let after = now.since(self.calls[slot].started);
                let call = self.remove(slot);
                self.report(Report::Refused { call: call.no, code, after });
            }
        }
    }

    pub(super) fn progressed(&mut self, now: Instant, slot: usize, message: &Message) {
        let call = &mut self.calls[slot];
        if !message.body().is_empty() {
            call.audio.learn(now, message.body());
        }
        let report =
            Report::Progress { call: call.no, code: message.status().unwrap_or(0), after: now.since(call.started) };
        self.report(report);
    }

    pub(super) fn call_answered(&mut self, now: Instant, slot: usize, client: ClientKey, message: &Message) {
        let call = &mut self.calls[slot];
        let Ok(dialog) = Dialog::uac(message) else { return };
        let offered = call.audio.learn(now, message.body());
        let mut ack = dialog.ack(call.cseq);
        if call.late_offer {
            let direction = offered.map_or(Direction::SendRecv, offer::mirror);
            call.audio.direction = direction;
            ack.headers.push("Content-Type", b"application/sdp");
            ack.body = call.audio.describe(direction);
        }
        let leaving = call.state == State::Leaving;
        call.dialog = Some(dialog);
        call.state = State::Up;
        call.give_up_at = None;
        call.answered = Some(now);
        call.hang_up_at = call.hang_up_after.map(|after| now + after);
        let (flow, no, after) = (call.flow, call.no, now.since(call.started));
        self.endpoint.ack(now, client, flow, ack);
        self.report(Report::Answered { call: no, after });
        if leaving {
            // Our CANCEL crossed the answer (RFC 3261 §9.1): the call is up and must be ended by BYE.
            self.hang_up(now, no);
        }
    }
}
