//! RTCP as far as a relay must know it: telling it from RTP (RFC 3550 §6.1, RFC 5761 §4).

/// Whether the bytes are RTCP: version 2 and a packet type of 192 to 223.
#[inline]
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= 8 && packet[0] >> 6 == 2 && (192..=223).contains(&packet[1])
}
