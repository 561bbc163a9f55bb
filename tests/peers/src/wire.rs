//! What is played to a peer, or said by it, read off the wire: some phones stop to record when a call is held, and the wire does not.
//!
//! Audio is taken to be A-law in frames of 20 ms, as the phones here are told to speak. Refuses to know: who the peers are.

use crate::{TONES, end, folder};
use interop::wait_until;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Before the records of a capture file.
const FILE_HEAD: usize = 24;
/// Before the packet in each of them.
const RECORD_HEAD: usize = 16;
/// Before what UDP carries in each packet: Ethernet, IPv4, UDP.
const PACKET_HEAD: usize = 14 + 20 + 8;
/// Before the audio in that: RTP.
const RTP_HEAD: usize = 12;

/// A capture of what leaves one address.
pub struct Wire {
    process: Child,
    folder: PathBuf,
}

impl Wire {
    /// Begins to capture what this address sends to media ports.
    pub fn from(ip: &str) -> Self {
        Self::capture(ip, &["and", "dst", "portrange", "40000-60000"])
    }

    /// Begins to capture all that this address sends by UDP: SIP, audio, reports.
    pub fn all_from(ip: &str) -> Self {
        Self::capture(ip, &[])
    }

    fn capture(ip: &str, further: &[&str]) -> Self {
        let folder = folder("wire", ip);
        let out = std::fs::File::create(folder.join("out")).expect("a file for its output");
        let process = Command::new("tcpdump")
            .args(["-i", "lo", "-U", "--immediate-mode", "-w"])
            .arg(folder.join("audio.pcap"))
            .args(["src", ip, "and", "udp"])
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(out))
            .spawn()
            .expect("tcpdump runs; `make test` installs it");
        let wire = Self { process, folder };
        wait_until("tcpdump listens", Duration::from_secs(10), || {
            std::fs::read_to_string(wire.folder.join("out")).is_ok_and(|text| text.contains("listening on"))
        });
        wire
    }

    /// What UDP has carried so far, packet by packet.
    pub fn packets(&self) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(self.folder.join("audio.pcap")).unwrap_or_default();
        let mut rest = bytes.get(FILE_HEAD..).unwrap_or_default();
        let mut packets = Vec::new();
        while let Some((head, after)) = rest.split_at_checked(RECORD_HEAD) {
            let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
            let Some((packet, after)) = after.split_at_checked(length) else { break };
            rest = after;
            packets.push(packet.get(PACKET_HEAD..).unwrap_or_default().to_vec());
        }
        packets
    }

    /// Milliseconds of a tone so far.
    pub fn heard_of(&self, hz: u16) -> u32 {
        let frames = self.packets().into_iter().filter_map(|packet| frame(&packet));
        let of_tone = frames.filter(|frame| media::tone::detect(frame, &TONES) == Some(hz));
        20 * of_tone.count() as u32
    }

    /// Waits until so much more of a tone has passed than by now.
    pub fn carries(&self, hz: u16, ms: u32) {
        let before = self.heard_of(hz);
        wait_until(&format!("{hz} Hz passes"), Duration::from_secs(30), || self.heard_of(hz) >= before + ms);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        end(&mut self.process);
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// The sound of a packet of RTP, when it is a frame of it.
pub(crate) fn frame(packet: &[u8]) -> Option<Vec<i16>> {
    let audio = packet.get(RTP_HEAD..).filter(|audio| audio.len() == media::tone::FRAME)?;
    Some(audio.iter().map(|code| media::g711::decode_a(*code)).collect())
}
