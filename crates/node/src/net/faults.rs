//! What the network refused: ICMP errors from a socket's error queue, with the packet that caused each.
//!
//! Since Linux keeps the quoted packet, a dead port is known within a round trip, and known by which request it
//! concerns (RFC 3261 §18.4: transport errors go to the transaction). Refuses to know: whose packet it was.

use super::address::{ROOM, RawAddress};
use model::TransportFault;
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// Room for the quoted packet. ICMP quotes at most one small datagram (RFC 1812 §4.3.2.3: 576 bytes in all; RFC 4443
/// §2.4: 1280).
const QUOTED: usize = 2_048;
/// Room for ancillary data, in words so that it is aligned as the kernel wants it.
const ANCILLARY_WORDS: usize = 64;

/// One refusal.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    /// To whom the packet was sent.
    pub(crate) peer: SocketAddr,
    /// The beginning of what was sent, as far as it came back.
    pub(crate) sent: &'a [u8],
    /// How it was refused.
    pub(crate) fault: TransportFault,
}

/// Room to read refusals into.
pub(crate) struct ErrorQueue {
    quoted: Box<[u8; QUOTED]>,
    ancillary: Box<[u64; ANCILLARY_WORDS]>,
}

impl ErrorQueue {
    /// Empty room.
    pub(crate) fn new() -> Self {
        Self { quoted: Box::new([0; QUOTED]), ancillary: Box::new([0; ANCILLARY_WORDS]) }
    }

    /// Takes the next refusal from the queue of `socket`; none when it is empty. A refusal that is not about a packet
    /// of ours to an address is passed over.
    pub(crate) fn next(&mut self, socket: &OwnedFd) -> Option<Refused<'_>> {
        let mut peer = RawAddress::EMPTY;
        let (length, fault) = loop {
            let (length, fault) = self.take(socket, &mut peer).ok()?;
            if let Some(fault) = fault
                && peer.get().is_some()
            {
                break (length, fault);
            }
        };
        Some(Refused { peer: peer.get()?, sent: &self.quoted[..length], fault })
    }

    fn take(&mut self, socket: &OwnedFd, peer: &mut RawAddress) -> io::Result<(usize, Option<TransportFault>)> {
        let mut part = libc::iovec { iov_base: self.quoted.as_mut_ptr().cast(), iov_len: QUOTED };
        // SAFETY: all zero is a valid msghdr: null pointers with zero lengths.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        *peer = RawAddress::EMPTY;
        header.msg_name = (&raw mut *peer).cast();
        header.msg_namelen = ROOM;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = self.ancillary.as_mut_ptr().cast();
        header.msg_controllen = size_of::<[u64; ANCILLARY_WORDS]>() as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: every pointer in the header is to live memory of the stated length.
        let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        if length < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((length as usize, extended_error(&header)))
    }
}

/// Finds the extended error among the ancillary data of a received header.
fn extended_error(header: &libc::msghdr) -> Option<TransportFault> {
    // SAFETY: the header was filled by recvmsg, so its control pointer and length describe live, aligned memory that
    // the CMSG functions walk within; data is read unaligned and only when its kind says it is an extended error.
    unsafe {
        let mut cursor = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = cursor.as_ref() {
            let kind = (control.cmsg_level, control.cmsg_type);
            if kind == (libc::IPPROTO_IP, libc::IP_RECVERR) || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) {
                let error: libc::sock_extended_err = std::ptr::read_unaligned(libc::CMSG_DATA(cursor).cast());
                return fault(&error);
            }
            cursor = libc::CMSG_NXTHDR(header, cursor);
        }
    }
    None
}

/// ICMP types and codes (RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3) in our words.
fn fault(error: &libc::sock_extended_err) -> Option<TransportFault> {
    match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => match (error.ee_type, error.ee_code) {
            (3, 3) => Some(TransportFault::PortUnreachable),
            (3, 4) => Some(TransportFault::TooLarge),
            (3, 9 | 10 | 13) => Some(TransportFault::Prohibited),
            // Time exceeded (11) is a routing loop: the host cannot be reached.
            (3 | 11, _) => Some(TransportFault::HostUnreachable),
            _ => None,
        },
        libc::SO_EE_ORIGIN_ICMP6 => match (error.ee_type, error.ee_code) {
            (1, 4) => Some(TransportFault::PortUnreachable),
            (1, 1 | 5 | 6) => Some(TransportFault::Prohibited),
            (1 | 3, _) => Some(TransportFault::HostUnreachable),
            (2, _) => Some(TransportFault::TooLarge),
            _ => None,
        },
        libc::SO_EE_ORIGIN_LOCAL => Some(local(error.ee_errno as i32)),
        _ => None,
    }
}

/// What an error of a sending call says about the datagram.
pub(crate) fn local(errno: i32) -> TransportFault {
    match errno {
        libc::EMSGSIZE => TransportFault::TooLarge,
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EHOSTDOWN => TransportFault::HostUnreachable,
        _ => TransportFault::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(origin: u8, kind: u8, code: u8, errno: i32) -> libc::sock_extended_err {
        libc::sock_extended_err {
            ee_errno: errno as u32,
            ee_origin: origin,
            ee_type: kind,
            ee_code: code,
            ee_pad: 0,
            ee_info: 0,
            ee_data: 0,
        }
    }

    #[test]
    fn icmp_in_our_words() {
        use TransportFault::{HostUnreachable, Local, PortUnreachable, Prohibited, TooLarge};
        let (v4, v6, ours) = (libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6, libc::SO_EE_ORIGIN_LOCAL);
        for (origin, kind, code, errno, want) in [
            (v4, 3, 3, 0, Some(PortUnreachable)),
            (v4, 3, 1, 0, Some(HostUnreachable)),
            (v4, 3, 4, 0, Some(TooLarge)),
            (v4, 3, 13, 0, Some(Prohibited)),
            (v4, 11, 0, 0, Some(HostUnreachable)),
            (v4, 4, 0, 0, None),
            (v6, 1, 4, 0, Some(PortUnreachable)),
            (v6, 1, 0, 0, Some(HostUnreachable)),
            (v6, 1, 1, 0, Some(Prohibited)),
            (v6, 2, 0, 0, Some(TooLarge)),
            (ours, 0, 0, libc::EMSGSIZE, Some(TooLarge)),
            (ours, 0, 0, libc::ENOBUFS, Some(Local)),
            (libc::SO_EE_ORIGIN_TIMESTAMPING, 0, 0, 0, None),
        ] {
            assert_eq!(fault(&error(origin, kind, code, errno)), want, "{origin} {kind} {code} {errno}");
        }
    }
}
