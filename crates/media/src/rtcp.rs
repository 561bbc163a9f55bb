//! RTCP: telling it from RTP, reading and writing reports, and keeping them true when an anchor renames a source
//! (RFC 3550 §6, §7.2; RFC 5761 §4).
//!
//! Refuses to know: when a report is due, what its numbers mean.

use crate::xr;
use alloc::vec::Vec;

/// Sender report.
pub const SENDER: u8 = 200;
/// Receiver report.
pub const RECEIVER: u8 = 201;
/// Source description.
pub const DESCRIPTION: u8 = 202;
/// Goodbye.
pub const BYE: u8 = 203;
/// Header of each packet of a compound.
const HEAD: usize = 4;
/// One report block.
const BLOCK: usize = 24;
/// Blocks a report can count.
const BLOCKS_MAX: usize = 31;

/// Whether the bytes are RTCP: version 2, a packet type of 192 to 223, and a first length within the bytes.
#[inline]
pub fn is_rtcp(packet: &[u8]) -> bool {
    let Some([first, kind, high, low, ..]) = packet.first_chunk::<8>() else { return false };
    let length = HEAD + 4 * usize::from(u16::from_be_bytes([*high, *low]));
    first >> 6 == 2 && (192..=223).contains(kind) && length <= packet.len()
}

/// Whether the bytes are a whole compound that begins with a report, as they must to be believed (RFC 3550 §A.2).
pub fn is_compound(packet: &[u8]) -> bool {
    let Some([first, kind]) = packet.first_chunk() else { return false };
    let whole: usize = parts(packet).map(|part| HEAD + part.body.len()).sum();
    first & 0x20 == 0 && matches!(*kind, SENDER | RECEIVER) && whole == packet.len()
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Packet type: [`SENDER`], [`RECEIVER`], [`DESCRIPTION`], [`BYE`] or another.
    pub kind: u8,
    /// Report blocks, chunks or sources, by its type.
    pub count: u8,
    /// What follows its four bytes of header.
    pub body: &'a [u8],
}

/// What a sender says of itself (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Wall clock, seconds since 1900 in 32.32 fixed point.
    pub ntp: u64,
    /// The same moment in units of the stream's clock.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a receiver says of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Block {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the start; negative when there were duplicates.
    pub lost: i32,
    /// Highest sequence number heard, cycles above.
    pub highest: u32,
    /// Interarrival jitter in units of the stream's clock.
    pub jitter: u32,
    /// Middle of the last sender report's NTP time.
    pub last_report: u32,
    /// Time since then, in 1/65536 s.
    pub since_report: u32,
}

impl<'a> Part<'a> {
    /// The first SSRC: who reports, or the first source that leaves.
    pub fn ssrc(&self) -> Option<u32> {
        word(self.body, 0)
    }

    /// The sender's part of a sender report.
    pub fn sender_info(&self) -> Option<SenderInfo> {
        if self.kind != SENDER {
            return None;
        }
        let ntp = u64::from(word(self.body, 4)?) << 32 | u64::from(word(self.body, 8)?);
        let (timestamp, packets, octets) = (word(self.body, 12)?, word(self.body, 16)?, word(self.body, 20)?);
        Some(SenderInfo { ntp, timestamp, packets, octets })
    }

    /// The report blocks of a sender or receiver report; as many as there is room for, whatever the count says.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + 'a {
        let blocks = blocks_at(self.kind).and_then(|at| self.body.get(at - HEAD..)).unwrap_or_default();
        blocks.chunks_exact(BLOCK).take(usize::from(self.count)).filter_map(|block| {
            let losses = word(block, 4)?;
            Some(Block {
                ssrc: word(block, 0)?,
                fraction_lost: (losses >> 24) as u8,
                // Twenty-four bits with a sign.
                lost: (losses << 8) as i32 >> 8,
                highest: word(block, 8)?,
                jitter: word(block, 12)?,
                last_report: word(block, 16)?,
                since_report: word(block, 20)?,
            })
        })
    }
}

/// The packets of a compound. Ends early when one has no valid header or ends beyond the bytes.
pub fn parts(packet: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = packet;
    core::iter::from_fn(move || {
        let (count, kind, length) = head(rest)?;
        let body = &rest[HEAD..length];
        rest = &rest[length..];
        Some(Part { kind, count, body })
    })
}

/// Appends a sender report; blocks beyond 31 are left out.
pub fn push_sender(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, blocks: &[Block]) {
    let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
    push_head(out, blocks.len(), SENDER, 6 + 6 * blocks.len());
    for value in [ssrc, (info.ntp >> 32) as u32, info.ntp as u32, info.timestamp, info.packets, info.octets] {
        out.extend_from_slice(&value.to_be_bytes());
    }
    push_blocks(out, blocks);
}

/// Appends a receiver report; blocks beyond 31 are left out.
pub fn push_receiver(out: &mut Vec<u8>, ssrc: u32, blocks: &[Block]) {
    let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
    push_head(out, blocks.len(), RECEIVER, 1 + 6 * blocks.len());
    out.extend_from_slice(&ssrc.to_be_bytes());
    push_blocks(out, blocks);
}

/// Appends a source description with its one required item, the canonical name, cut at 255 bytes (RFC 3550 §6.5.1).
pub fn push_description(out: &mut Vec<u8>, ssrc: u32, cname: &[u8]) {
    let cname = &cname[..cname.len().min(255)];
    // At least one zero ends the list of items.
    let padded = (2 + cname.len() + 1).next_multiple_of(4);
    push_head(out, 1, DESCRIPTION, 1 + padded / 4);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(out.len() + padded - 2 - cname.len(), 0);
}

/// Appends a goodbye of one source.
pub fn push_bye(out: &mut Vec<u8>, ssrc: u32) {
    push_head(out, 1, BYE, 1);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

/// A source under another name: what is sent as `from` is known to the listener as `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// SSRC as sent.
    pub from: u32,
    /// SSRC as heard.
    pub to: u32,
    /// Added to each sequence number.
    pub sequence_add: u16,
    /// Added to each timestamp.
    pub timestamp_add: u32,
}

/// Makes the reports of a sender true for its listener: `sender` is how the one who reports was renamed, `heard` how the source it
/// reports on was renamed on its way to it (RFC 3550 §7.2). A goodbye is emptied, since the stream the listener knows goes on.
/// Bytes that are not a whole compound, SRTCP among them, are left as they are: returns whether they were understood.
pub fn rename(packet: &mut [u8], sender: Option<&Renamed>, heard: Option<&Renamed>) -> bool {
    let whole: usize = parts(packet).map(|part| HEAD + part.body.len()).sum();
    if whole != packet.len() {
        return false;
    }
    let mut rest = packet;
    while let Some((count, kind, length)) = head(rest) {
        let (part, after) = rest.split_at_mut(length);
        if kind == BYE {
            // A goodbye of nobody is valid and means nothing (RFC 3550 §6.6).
            part[0] &= 0xe0;
            part[HEAD..].fill(0);
        } else {
            rename_part(part, kind, count, sender, heard);
        }
        rest = after;
    }
    true
}

fn rename_part(part: &mut [u8], kind: u8, count: u8, sender: Option<&Renamed>, heard: Option<&Renamed>) {
    if let Some(sender) = sender
        && word(part, HEAD) == Some(sender.from)
    {
        put(part, HEAD, sender.to);
        if kind == SENDER
            && let Some(timestamp) = word(part, 16)
        {
            put(part, 16, timestamp.wrapping_add(sender.timestamp_add));
        }
    }
    if let (xr::EXTENDED, Some(heard), Some(body)) = (kind, heard, part.get_mut(HEAD..)) {
        return xr::rename(body, heard.to, heard.from, heard.sequence_add);
    }
    let (Some(at), Some(heard)) = (blocks_at(kind), heard) else { return };
    let Some(blocks) = part.get_mut(at..) else { return };
    for block in blocks.chunks_exact_mut(BLOCK).take(usize::from(count)) {
        if word(block, 0) == Some(heard.to) {
            put(block, 0, heard.from);
            let low = u16::from_be_bytes([block[10], block[11]]).wrapping_sub(heard.sequence_add);
            block[10..12].copy_from_slice(&low.to_be_bytes());
        }
    }
}

/// Where report blocks begin in a packet of this type.
const fn blocks_at(kind: u8) -> Option<usize> {
    match kind {
        SENDER => Some(28),
        RECEIVER => Some(8),
        _ => None,
    }
}

/// Count, type and length in bytes of the first packet.
fn head(packet: &[u8]) -> Option<(u8, u8, usize)> {
    let [first, kind, high, low] = *packet.first_chunk()?;
    let length = HEAD + 4 * usize::from(u16::from_be_bytes([high, low]));
    (first >> 6 == 2 && (192..=223).contains(&kind) && length <= packet.len()).then_some((first & 0x1f, kind, length))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(word) = bytes.get_mut(at..at + 4) {
        word.copy_from_slice(&value.to_be_bytes());
    }
}

fn push_head(out: &mut Vec<u8>, count: usize, kind: u8, words: usize) {
    out.extend_from_slice(&[0x80 | count as u8, kind]);
    out.extend_from_slice(&(words as u16).to_be_bytes());
}

fn push_blocks(out: &mut Vec<u8>, blocks: &[Block]) {
    for block in blocks {
        let losses = u32::from(block.fraction_lost) << 24 | block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        for value in [block.ssrc, losses, block.highest, block.jitter, block.last_report, block.since_report] {
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compound() -> (Vec<u8>, SenderInfo, Block) {
        let info = SenderInfo { ntp: 0x0102_0304_0506_0708, timestamp: 1_000, packets: 5, octets: 800 };
        let block = Block { ssrc: 7, fraction_lost: 3, lost: -2, highest: 0x1_fffe, jitter: 9, ..Block::default() };
        let mut out = Vec::new();
        push_sender(&mut out, 5, &info, &[block]);
        push_description(&mut out, 5, b"edge");
        push_bye(&mut out, 5);
        (out, info, block)
    }

    #[test]
    fn what_is_written_is_read_3550_6_4() {
        let (packet, info, block) = compound();
        let parts: Vec<Part<'_>> = parts(&packet).collect();
        assert_eq!(parts.iter().map(|part| part.kind).collect::<Vec<_>>(), [SENDER, DESCRIPTION, BYE]);
        assert!(is_rtcp(&packet) && parts.iter().all(|part| part.ssrc() == Some(5)));
        assert_eq!(parts[0].sender_info(), Some(info));
        assert_eq!(parts[0].blocks().collect::<Vec<_>>(), [block]);
        assert_eq!(&parts[1].body[4..], b"\x01\x04edge\0\0", "at least one zero ends the items");
        let mut receiver = Vec::new();
        push_receiver(&mut receiver, 6, &[block; 40]);
        assert_eq!(super::parts(&receiver).map(|part| part.blocks().count()).sum::<usize>(), 31);
    }

    #[test]
    fn reports_follow_a_renamed_source_3550_7_2() {
        let (mut packet, info, _) = compound();
        let sender = Renamed { from: 5, to: 50, sequence_add: 9, timestamp_add: 11 };
        let heard = Renamed { from: 70, to: 7, sequence_add: 0xffff, timestamp_add: 0 };
        assert!(rename(&mut packet, Some(&sender), Some(&heard)));
        let parts: Vec<Part<'_>> = parts(&packet).collect();
        assert_eq!((parts[0].ssrc(), parts[1].ssrc()), (Some(50), Some(50)));
        assert_eq!(parts[0].sender_info().unwrap().timestamp, info.timestamp + 11);
        let block = parts[0].blocks().next().unwrap();
        assert_eq!((block.ssrc, block.highest), (70, 0x1_ffff));
        assert_eq!((parts[2].count, parts[2].body), (0, &[0u8; 4][..]), "the stream goes on");
    }

    #[test]
    fn what_is_not_a_whole_compound_is_left_alone() {
        let (mut packet, ..) = compound();
        packet.extend([0x12; 14]);
        let before = packet.clone();
        assert!(!rename(&mut packet, Some(&Renamed { from: 5, to: 1, sequence_add: 0, timestamp_add: 0 }), None));
        assert_eq!(packet, before, "SRTCP has its index and tag behind");
        assert!(!is_rtcp(&[0x80, 200, 0, 9, 0, 0, 0, 0]), "a length beyond the end");
    }

    #[test]
    fn only_a_whole_compound_that_begins_with_a_report_is_believed_3550_a_2() {
        let (packet, ..) = compound();
        assert!(is_compound(&packet));
        assert!(!is_compound(&packet[..packet.len() - 4]), "cut");
        let mut padded = packet.clone();
        padded[0] |= 0x20;
        assert!(!is_compound(&padded), "padding is for the last alone");
        let mut bye = Vec::new();
        push_bye(&mut bye, 7);
        assert!(!is_compound(&bye) && !is_compound(&[]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..120), kind in 192u8..=223, words in 0u16..8) {
            if let Some(head) = bytes.first_chunk_mut::<4>() {
                (head[0], head[1]) = (0x80 | head[0] & 0x1f, kind);
                head[2..].copy_from_slice(&words.to_be_bytes());
            }
            for part in parts(&bytes) {
                let _ = (part.ssrc(), part.sender_info(), part.blocks().count());
            }
            let renamed = Renamed { from: 0, to: 1, sequence_add: 2, timestamp_add: 3 };
            rename(&mut bytes, Some(&renamed), Some(&renamed));
        }
    }
}
