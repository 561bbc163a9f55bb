//! What is played to a peer, read off the wire: some phones stop to record when a call is held, and the wire does not.
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
/// Before the audio in each packet: Ethernet, IPv4, UDP, RTP.
const PACKET_HEAD: usize = 14 + 20 + 8 + 12;

/// A capture of all audio that leaves one address.
pub struct Wire {
    process: Child,
    folder: PathBuf,
}

impl Wire {
    /// Begins to capture what this address sends to media ports.
    pub fn from(ip: &str) -> Self {
        let folder = folder("wire", ip);
        let out = std::fs::File::create(folder.join("out")).expect("a file for its output");
        let process = Command::new("tcpdump")
            .args(["-i", "lo", "-U", "--immediate-mode", "-w"])
            .arg(folder.join("audio.pcap"))
            .args(["src", ip, "and", "udp", "and", "dst", "portrange", "40000-60000"])
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

    /// Milliseconds of a tone so far.
    pub fn heard_of(&self, hz: u16) -> u32 {
        let bytes = std::fs::read(self.folder.join("audio.pcap")).unwrap_or_default();
        let mut rest = bytes.get(FILE_HEAD..).unwrap_or_default();
        let mut ms = 0;
        while let Some((head, after)) = rest.split_at_checked(RECORD_HEAD) {
            let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
            let Some((packet, after)) = after.split_at_checked(length) else { break };
            rest = after;
            let audio = packet.get(PACKET_HEAD..).unwrap_or_default();
            let frame: Vec<i16> = audio.iter().map(|code| media::g711::decode_a(*code)).collect();
            if frame.len() == 160 && media::tone::detect(&frame, &TONES) == Some(hz) {
                ms += 20;
            }
        }
        ms
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
