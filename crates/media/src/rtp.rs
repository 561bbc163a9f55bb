//! RTP headers: RFC 3550 §5.1. Reading and writing in place.

/// Shortest packet.
pub const HEADER: usize = 12;

/// The fields an anchor may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The talk spurt begins here.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Sampling time.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

/// Reads a header; `None` when the bytes cannot be RTP, RTCP on the same port included (RFC 5761 §4),
/// and contributors or an extension that end beyond the packet (RFC 3550 §A.1).
#[inline]
pub fn read(packet: &[u8]) -> Option<Header> {
    let head: &[u8; HEADER] = packet.first_chunk()?;
    let payload_type = head[1] & 0x7f;
    if head[0] >> 6 != 2 || (64..=95).contains(&payload_type) {
        return None;
    }
    // Most packets have neither contributors nor extension. Padding is not looked at: SRTP hides its length.
    if head[0] & 0x1f != 0 {
        payload(packet)?;
    }
    Some(Header {
        marker: head[1] & 0x80 != 0,
        payload_type,
        sequence: u16::from_be_bytes([head[2], head[3]]),
        timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
    })
}

/// Writes a header without extension or contributors into the first twelve bytes.
pub fn write(packet: &mut [u8; HEADER], header: &Header) {
    packet[0] = 0x80;
    packet[1] = u8::from(header.marker) << 7 | header.payload_type & 0x7f;
    packet[2..4].copy_from_slice(&header.sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    packet[8..12].copy_from_slice(&header.ssrc.to_be_bytes());
}

/// Where the payload begins, past contributors and extension; `None` when the packet ends before.
pub fn payload(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let mut at = HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let length = packet.get(at + 2..at + 4)?;
        at += 4 + 4 * usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
    packet.get(at..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let header = Header { marker: true, payload_type: 8, sequence: 65_535, timestamp: 7, ssrc: 0xdead_beef };
        let mut packet = [0; HEADER];
        write(&mut packet, &header);
        assert_eq!(read(&packet), Some(header));
    }

    #[test]
    fn rtcp_on_the_same_port_is_told_apart_5761_4() {
        let mut packet = [0u8; 28];
        (packet[0], packet[1]) = (0x80, 200);
        assert_eq!(read(&packet), None);
        assert!(crate::rtcp::is_rtcp(&packet));
    }

    #[test]
    fn the_payload_is_past_contributors_and_extension() {
        let mut packet = [0u8; 30];
        packet[0] = 0x80 | 0x10 | 1;
        (packet[18], packet[19]) = (0, 1);
        packet[24] = 42;
        assert_eq!(payload(&packet).map(|payload| payload[0]), Some(42));
        assert_eq!(payload(&packet[..15]), None);
    }

    #[test]
    fn lengths_beyond_the_end_are_no_rtp_3550_a_1() {
        let mut packet = [0u8; 20];
        packet[0] = 0x80 | 3;
        assert_eq!(read(&packet), None, "three contributors need 24 bytes");
        packet[0] = 0x80 | 2;
        assert!(read(&packet).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_a_written_header_comes_back(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            payload_type in (0u8..128).prop_filter("RTCP", |kind| !(64..=95).contains(kind)),
            (marker, sequence, timestamp, ssrc) in any::<(bool, u16, u32, u32)>(),
        ) {
            if read(&bytes).is_some() {
                prop_assert!(bytes.len() >= HEADER && payload(&bytes).is_some());
            }
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut packet = [0xff; HEADER];
            write(&mut packet, &header);
            prop_assert_eq!(read(&packet), Some(header));
        }
    }
}
