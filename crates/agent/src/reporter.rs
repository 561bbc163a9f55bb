//! Reports of an agent: how far it has come in the stream it hears (RFC 3550 §6.4.2), each second, on the port of its audio.
//!
//! While it has heard nothing it says that it hears nothing: a report without a block. No more is told: no loss, no times. Refuses to know:
//! where they go.

use alloc::vec::Vec;
use media::{rtcp, rtp};

/// Packets of its own between two reports: a second.
const EVERY: u8 = 50;

/// Says what one call hears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reporter {
    ssrc: u32,
    heard: Option<rtp::Header>,
    packets: u8,
}

impl Reporter {
    /// Of the source with this name.
    pub(crate) const fn new(ssrc: u32) -> Self {
        Self { ssrc, heard: None, packets: 0 }
    }

    /// A packet has come.
    pub(crate) fn hear(&mut self, packet: &[u8]) {
        self.heard = rtp::read(packet).or(self.heard);
    }

    /// One of its own leaves: the report that is due after it.
    pub(crate) fn sent(&mut self) -> Option<Vec<u8>> {
        self.packets = (self.packets + 1) % EVERY;
        if self.packets != 0 {
            return None;
        }
        let block = self.heard.map(|heard| rtcp::Block {
            ssrc: heard.ssrc,
            highest: u32::from(heard.sequence),
            ..rtcp::Block::default()
        });
        let mut report = Vec::new();
        rtcp::push_receiver(&mut report, self.ssrc, block.as_slice());
        rtcp::push_description(&mut report, self.ssrc, b"agent");
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_each_second_how_far_it_has_come_and_that_it_has_not_before_it_hears() {
        let mut reporter = Reporter::new(5);
        let said: Vec<Vec<u8>> = (0..200).filter_map(|_| reporter.sent()).collect();
        assert_eq!(said.len(), 4);
        assert!(
            said.iter()
                .all(|said| rtcp::is_compound(said) && rtcp::parts(said).all(|part| part.blocks().next().is_none()))
        );
        let mut packet = [0; 172];
        let header = rtp::Header { marker: false, payload_type: 8, sequence: 900, timestamp: 160, ssrc: 7 };
        rtp::write(packet.first_chunk_mut().unwrap(), &header);
        reporter.hear(&packet);
        let said: Vec<Vec<u8>> = (0..100).filter_map(|_| reporter.sent()).collect();
        assert_eq!(said.len(), 2);
        assert!(rtcp::is_compound(&said[0]));
        let block = rtcp::parts(&said[0]).next().unwrap().blocks().next().unwrap();
        assert_eq!((block.ssrc, block.highest), (7, 900));
    }
}
