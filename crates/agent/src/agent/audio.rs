//! Audio of an agent: a tone out, tones heard, one port per call.
//!
//! Refuses to know: SIP.

use super::{Agent, LATE_PACKET, Output, PACKET_TIME, TONES};
use crate::call::Audio;
use crate::digits::{DigitWay, Digits};
use crate::ear::Ear;
use crate::offer::EVENTS;
use crate::report::Heard;
use crate::reporter::Reporter;
use alloc::vec::Vec;
use core::net::SocketAddr;
use media::player::{ToneListener, ToneTalker};
use media::rtp;
use media::sdp::Direction;
use model::{Instant, Span};

impl Agent {
    pub(super) fn audio(&mut self, now: Instant, tone_hz: u16) -> Option<Audio> {
        let port = self.free_ports.pop_front()?;
        self.out.push_back(Output::OpenMedia(port));
        let ssrc = self.config.seed.wrapping_mul(0x9e37_79b9).wrapping_add(u64::from(self.next)) as u32;
        Some(Audio {
            local: SocketAddr::new(self.config.media_ip, port),
            session: now.as_micros() + u64::from(self.next),
            version: 1,
            remote: None,
            direction: Direction::SendRecv,
            before: None,
            mute: self.mute(),
            talker: ToneTalker::new(tone_hz, ssrc),
            listener: ToneListener::new(&TONES),
            ear: Ear::default(),
            next_packet: None,
            reporter: self.behaviour.reports.then(|| Reporter::new(ssrc)),
            echo: None,
            digits: Digits::new(),
            only_digits: self.behaviour.only_digits,
            only_law: self.behaviour.only_law,
            says: self.behaviour.says,
        })
    }

    pub(super) fn play(&mut self, now: Instant, slot: usize, at: Instant) {
        let audio = &mut self.calls[slot].audio;
        // In step with the last one, unless that was long ago: then nothing is made up for.
        let step = if now.since(at) > LATE_PACKET { now } else { at };
        audio.next_packet = Some(step + PACKET_TIME);
        if audio.echoes(now) {
            return;
        }
        let packet = audio.talker.next_packet();
        if let Some(to) = audio.remote.filter(|_| audio.may_send()) {
            let port = audio.local.port();
            let packet = audio.digits.in_place_of(&packet).unwrap_or_else(|| packet.to_vec());
            self.out.push_back(Output::Media { port, to, packet });
            let report = audio.reporter.as_mut().and_then(Reporter::sent);
            self.out.extend(report.map(|packet| Output::Media { port, to, packet }));
        }
    }

    pub(super) fn media(&mut self, now: Instant, port: u16, packet: &[u8]) {
        if let Some((_, call)) = self.calls.iter_mut().find(|(_, call)| call.audio.local.port() == port) {
            if is_event(packet) && !call.audio.takes(DigitWay::Event) {
                return;
            }
            call.audio.digits.hear(now, packet);
            let tone = call.audio.listener.feed(now, packet);
            call.audio.ear.hear(now, packet, tone);
            if let Some(reporter) = &mut call.audio.reporter {
                reporter.hear(packet);
            }
            let echoed = echo(now, &mut call.audio, packet);
            self.out.extend(echoed.map(|(to, packet)| Output::Media { port, to, packet }));
        }
    }

    pub(super) fn close(&mut self, port: u16) {
        self.free_ports.push_back(port);
        self.out.push_back(Output::CloseMedia(port));
    }
}

/// Whether a packet is of a telephone-event.
fn is_event(packet: &[u8]) -> bool {
    rtp::read(packet).is_some_and(|header| header.payload_type == EVENTS)
}

/// A packet as it goes back: the same sound, under a source and a number of its own (RFC 3550 §5.1).
fn echo(now: Instant, audio: &mut Audio, packet: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let to = audio.remote.filter(|_| audio.may_send())?;
    let echo = audio.echo.as_mut().filter(|echo| echo.from.is_some_and(|from| from <= now))?;
    let header = rtp::read(packet)?;
    echo.sequence = echo.sequence.wrapping_add(1);
    let events = audio.digits.event_type.filter(|_| is_event(packet));
    let payload_type = events.unwrap_or(header.payload_type);
    let mut back = [0; rtp::HEADER];
    rtp::write(&mut back, &rtp::Header { payload_type, sequence: echo.sequence, ssrc: !header.ssrc, ..header });
    let mut back = back.to_vec();
    back.extend_from_slice(rtp::payload(packet)?);
    Some((to, back))
}

pub(super) fn heard(audio: &Audio) -> Heard {
    let tone = audio.listener.loudest();
    Heard {
        packets: audio.listener.packets(),
        tone_hz: tone.map(|(hz, _)| hz),
        tone_for: tone.map_or(Span::ZERO, |(_, long)| long),
        longest_gap: audio.listener.longest_gap(),
        spells: audio.ear.spells.clone(),
        stream: audio.ear.stream.clone(),
        digits: audio.digits.heard.clone(),
        tones: audio.listener.heard().filter(|(_, long)| *long > Span::ZERO).collect(),
    }
}
