//! Messages as a file of pcap, which Wireshark and its kin read.
//!
//! Whatever carried a message, here it is one packet of UDP: the transaction is what one wants to see, a stream's segments are gone, and what was
//! under TLS was never readable on the wire. Its Via says by what it came. What is written is masked. Refuses to know: files.

use super::{Passed, civil, mask};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use model::Wall;

/// Microseconds, in the order of bytes of this file.
const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: (u16, u16) = (2, 4);
/// Bytes of a packet at most.
const SNAP: u32 = 65_535;
/// LINKTYPE_RAW: packets begin with the header of IPv4 or IPv6.
const RAW: u32 = 101;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const HOPS: u8 = 64;
/// The longest message that a packet of either family holds.
const LONGEST: usize = SNAP as usize - UDP_HEADER - IPV6_HEADER;

/// A file that grows.
#[derive(Debug)]
pub struct File {
    bytes: Vec<u8>,
    zero: Wall,
    cut: usize,
}

impl File {
    /// One without packets; `zero` is the time at which instants began.
    pub fn new(zero: Wall) -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&VERSION.0.to_le_bytes());
        bytes.extend_from_slice(&VERSION.1.to_le_bytes());
        // Offset from UTC and precision of times, which nobody has ever written otherwise.
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&SNAP.to_le_bytes());
        bytes.extend_from_slice(&RAW.to_le_bytes());
        Self { bytes, zero, cut: 0 }
    }

    /// Adds a message. What of it no packet holds is cut off, and counted.
    pub fn push(&mut self, passed: &Passed<impl AsRef<[u8]>>) {
        let message = passed.bytes.as_ref();
        let message = message.get(..LONGEST).unwrap_or(message);
        let length = message.len();
        self.cut += usize::from(length < passed.bytes.as_ref().len());
        let (from, to) = (passed.from.ip().to_canonical(), passed.to.ip().to_canonical());
        let header = if from.is_ipv4() && to.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
        let packet = (header + UDP_HEADER + length) as u32;
        let (seconds, micros) = civil(self.zero, passed.at);
        for number in [seconds, micros, packet, packet] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        let datagram = (UDP_HEADER + length) as u16;
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self.ipv4(from.octets(), to.octets(), datagram),
            (from, to) => self.ipv6(v6(from), v6(to), datagram),
        }
        self.udp((passed.from, passed.to), (from, to), message);
    }

    /// RFC 791 §3.1: no options, no fragments.
    fn ipv4(&mut self, from: [u8; 4], to: [u8; 4], datagram: u16) {
        let at = self.bytes.len();
        let length = (IPV4_HEADER as u16 + datagram).to_be_bytes();
        self.bytes.extend_from_slice(&[0x45, 0, length[0], length[1], 0, 0, 0, 0, HOPS, UDP, 0, 0]);
        self.bytes.extend_from_slice(&from);
        self.bytes.extend_from_slice(&to);
        let sum = (!folded(sum(&self.bytes[at..]))).to_be_bytes();
        self.bytes[at + 10..at + 12].copy_from_slice(&sum);
    }

    /// RFC 8200 §3.
    fn ipv6(&mut self, from: Ipv6Addr, to: Ipv6Addr, datagram: u16) {
        let length = datagram.to_be_bytes();
        self.bytes.extend_from_slice(&[0x60, 0, 0, 0, length[0], length[1], UDP, HOPS]);
        self.bytes.extend_from_slice(&from.octets());
        self.bytes.extend_from_slice(&to.octets());
    }

    /// RFC 768; its sum is over the addresses too, and never written as zero, which means none.
    fn udp(&mut self, ports: (SocketAddr, SocketAddr), (from, to): (IpAddr, IpAddr), message: &[u8]) {
        let at = self.bytes.len();
        let length = (UDP_HEADER + message.len()) as u16;
        for number in [ports.0.port(), ports.1.port(), length, 0] {
            self.bytes.extend_from_slice(&number.to_be_bytes());
        }
        self.bytes.extend_from_slice(message);
        mask(&mut self.bytes[at + UDP_HEADER..]);
        let addresses = match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
            (from, to) => sum(&v6(from).octets()) + sum(&v6(to).octets()),
        };
        let total = addresses + u64::from(UDP) + u64::from(length) + sum(&self.bytes[at..]);
        let sum = match !folded(total) {
            0 => u16::MAX,
            sum => sum,
        };
        self.bytes[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
    }

    /// Messages of which the end is missing.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Of 16-bit words, an odd byte at the end being the upper half of one (RFC 1071 §1).
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|word| u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or_default()]))).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > u64::from(u16::MAX) {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;
    use alloc::vec;
    use model::Instant;

    const ZERO: Wall = Wall::from_micros(1_700_000_000_000_000);

    fn passed<'a>(from: &str, to: &str, bytes: &'a [u8]) -> Passed<&'a [u8]> {
        let address = |text: &str| text.parse().expect("an address");
        let at = Instant::from_micros(42);
        Passed { at, from: address(from), to: address(to), transport: Transport::Udp, bytes }
    }

    #[test]
    fn a_file_byte_by_byte() {
        let mut file = File::new(ZERO);
        file.push(&passed("192.0.2.1:5060", "198.51.100.2:5070", b"SIP"));
        let want: &[&[u8]] = &[
            b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\xff\xff\0\0\x65\0\0\0",
            b"\x00\xf1\x53\x65\x2a\0\0\0\x1f\0\0\0\x1f\0\0\0",
            b"\x45\0\0\x1f\0\0\0\0\x40\x11\x8e\x97\xc0\x00\x02\x01\xc6\x33\x64\x02",
            b"\x13\xc4\x13\xce\x00\x0b\x48\xc5SIP",
        ];
        assert_eq!(file.into_bytes(), want.concat());
    }

    /// What a receiver does: with the sum itself the sum of all is all ones (RFC 1071 §1).
    #[test]
    fn sums_hold_for_both_families_and_any_length() {
        for (from, to, header) in [("192.0.2.1:1", "192.0.2.2:2", 20), ("[2001:db8::1]:1", "[2001:db8::2]:65535", 40)] {
            for length in [0, 1, 2, 3, 1_499, LONGEST - 1, LONGEST] {
                let message: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                let mut file = File::new(ZERO);
                file.push(&passed(from, to, &message));
                let bytes = file.into_bytes();
                let (ip, udp) = bytes[24 + 16..].split_at(header);
                assert_eq!(udp.len(), 8 + length);
                let addresses = if header == 20 { &ip[12..] } else { &ip[8..] };
                if header == 20 {
                    assert_eq!(folded(sum(ip)), 0xffff);
                }
                assert_eq!(folded(sum(addresses) + 17 + udp.len() as u64 + sum(udp)), 0xffff, "{from} {length}");
            }
        }
    }

    #[test]
    fn no_sum_says_that_there_is_none() {
        for message in 0..=u16::MAX {
            let mut file = File::new(ZERO);
            file.push(&passed("192.0.2.1:1", "192.0.2.2:2", &message.to_be_bytes()));
            let bytes = file.into_bytes();
            assert_ne!(bytes[24 + 16 + 26..24 + 16 + 28], [0, 0], "{message}");
        }
    }

    #[test]
    fn what_no_packet_holds_is_cut_and_counted_and_keys_are_masked() {
        let mut file = File::new(ZERO);
        file.push(&passed("192.0.2.1:1", "192.0.2.2:2", &vec![b'x'; LONGEST]));
        assert_eq!(file.cut(), 0);
        file.push(&passed("192.0.2.1:1", "192.0.2.2:2", &vec![b'x'; LONGEST + 1]));
        assert_eq!((file.cut(), file.into_bytes().len()), (1, 24 + 2 * (16 + 28 + LONGEST)));
        let mut file = File::new(ZERO);
        file.push(&passed("192.0.2.1:1", "[2001:db8::2]:2", b"SIP/2.0 200 OK\r\n\r\na=crypto:1 S inline:secret\r\n"));
        assert!(file.into_bytes().ends_with(b"a=crypto:1 S inline:XXXXXX\r\n"));
    }
}
