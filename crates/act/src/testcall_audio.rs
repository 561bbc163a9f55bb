//! What a test call says and hears: our tone out, whatever comes in, and the proof that ours arrived.
//!
//! Two things are asked of the audio. Is the target heard: anything louder than silence, a tone, an announcement, our own echo. Is ours
//! heard there: it comes back from an echo number, or the target's RTCP reports that our packets arrive. When there is neither, nothing
//! is proven, and nothing is claimed. Feeding a packet allocates nothing. Refuses to know: SIP, sockets.

use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use media::player::{Law, Packet, ToneTalker};
use media::sdp::Sdp;
use media::tone::{self, FRAME};
use media::{Component, Latch, PairId, g711, rtcp, rtp};
use model::{Instant, Span};

/// Our tone. None that numbers for testing play (1004 and 1020 Hz, call progress, fax, calling tones), or it would pass for our echo.
const OURS_HZ: u16 = 1_700;
/// Samples that must be heard: half a second. A click or a comfort noise is no audio.
const ENOUGH: u64 = 4_000;
/// Loss that a report may tell, in 1/256: a tenth. More is an impairment, and no proof that a talker is understood.
const LOSS_MAX: u8 = 25;
/// Frames looked at in one packet: a fifth of a second, the longest packet in use.
const FRAMES_MAX: usize = 10;
/// Audio in one packet.
const PACKET_TIME: Span = Span::from_millis(20);
/// One sample at 8 kHz.
const SAMPLE_US: u64 = 125;
/// Payload types (RFC 3551 §6).
const PCMA: u8 = 8;
const PCMU: u8 = 0;

/// What a test call has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Heard {
    /// Audio louder than silence, our echo included.
    pub loud: Span,
    /// Of it, our own tone.
    pub echo: Span,
    /// Share of our packets lost on their way, in percent, as the target's last report says.
    pub reported_loss: Option<u8>,
    /// The target is heard.
    pub from_target: bool,
    /// We are heard there.
    pub to_target: bool,
}

/// The audio of one test call.
#[derive(Debug)]
pub(crate) struct Audio {
    pub(crate) pair: PairId,
    ssrc: u32,
    talker: ToneTalker,
    latch: Latch,
    /// When the next packet leaves; none before the answer.
    next: Option<Instant>,
    loud: u64,
    echo: u64,
    report: Option<rtcp::Block>,
}

impl Audio {
    pub(crate) fn new(pair: PairId, ssrc: u32) -> Self {
        Self {
            pair,
            ssrc,
            talker: ToneTalker::new(OURS_HZ, ssrc),
            latch: Latch::default(),
            next: None,
            loud: 0,
            echo: 0,
            report: None,
        }
    }

    /// Takes the SDP of the answer and begins to talk; false when there is nobody to talk to.
    pub(crate) fn begin(&mut self, now: Instant, answer: &[u8]) -> bool {
        let Some((to, law)) = read_answer(answer) else { return false };
        self.latch.expect(to);
        self.talker = ToneTalker::new(OURS_HZ, self.ssrc).in_law(law);
        self.next = Some(now);
        true
    }

    /// When the next packet leaves.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The packet due by `now` and where it goes; ask until there is none.
    pub(crate) fn due_packet(&mut self, now: Instant) -> Option<(SocketAddr, Packet)> {
        self.next.filter(|next| *next <= now)?;
        let to = self.latch.send_to()?;
        let (due, packet) = self.talker.due_packet(now)?;
        self.next = Some(due + PACKET_TIME);
        Some((to, packet))
    }

    /// A packet that came in at our pair.
    pub(crate) fn feed(&mut self, now: Instant, component: Component, from: SocketAddr, packet: &[u8]) {
        if self.next.is_none() {
            // Before the answer it is ringback at best.
            return;
        }
        match component {
            Component::Rtp => self.feed_rtp(now, from, packet),
            Component::Rtcp if rtcp::is_rtcp(packet) && self.latch.accepts_report(from) => {
                for part in rtcp::parts(packet) {
                    self.report = part.blocks().filter(|block| block.ssrc == self.ssrc).last().or(self.report);
                }
            }
            Component::Rtcp => {}
        }
    }

    fn feed_rtp(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let (Some(header), Some(payload)) = (rtp::read(packet), rtp::payload(packet)) else { return };
        let decode = match header.payload_type {
            PCMA => g711::decode_a,
            PCMU => g711::decode_u,
            _ => return,
        };
        if !self.latch.accepts(now, from, (header.ssrc, header.sequence)) {
            return;
        }
        for coded in payload.chunks(FRAME).take(FRAMES_MAX) {
            let mut frame = [0i16; FRAME];
            for (sample, code) in frame.iter_mut().zip(coded) {
                *sample = decode(*code);
            }
            let frame = &frame[..coded.len()];
            let length = coded.len() as u64;
            self.loud += if tone::is_loud(frame) { length } else { 0 };
            self.echo += if tone::detect(frame, &[OURS_HZ]).is_some() { length } else { 0 };
        }
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Heard {
        // A report that came before our first packet did says nothing.
        let report = self.report.filter(|report| report.highest != 0);
        Heard {
            loud: Span::from_micros(self.loud * SAMPLE_US),
            echo: Span::from_micros(self.echo * SAMPLE_US),
            reported_loss: report.map(|report| (u16::from(report.fraction_lost) * 100 / 256) as u8),
            from_target: self.loud >= ENOUGH,
            to_target: self.echo >= ENOUGH || report.is_some_and(|report| report.fraction_lost <= LOSS_MAX),
        }
    }
}

/// Where the audio of an answer is wanted, and in which law.
fn read_answer(answer: &[u8]) -> Option<(SocketAddr, Law)> {
    let sdp = Sdp::parse(answer).ok()?;
    let stream = sdp.streams().iter().find(|stream| stream.kind == b"audio" && stream.port != 0)?;
    let law = stream.formats.split(|byte| *byte == b' ').find_map(|format| match format {
        b"8" => Some(Law::A),
        b"0" => Some(Law::Mu),
        _ => None,
    })?;
    Some((SocketAddr::new(stream.addr?, stream.port), law))
}

/// Our offer: PCMA or PCMU, and telephone-event since some carriers refuse offers without it. Without a port it is an inactive one at the
/// discard port (RFC 863): enough for a call that is to be refused, or ended at once.
pub(crate) fn offer(session: u64, rtp: Option<SocketAddr>, ours: IpAddr) -> Vec<u8> {
    let (ip, port, direction) = rtp.map_or((ours, 9, "inactive"), |rtp| (rtp.ip(), rtp.port(), "sendrecv"));
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- {session} 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na={direction}\r\n"
    )
    .into_bytes()
}
