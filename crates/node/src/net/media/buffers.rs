//! Memory that the kernel fills with packets by itself: a ring of buffers, each large enough for any datagram.
//!
//! A buffer is either the kernel's (in the ring) or ours (taken with its packet, until it is given back). Pages that no packet reached
//! are never touched, so that 512 buffers of 64 KiB cost what small packets write to. Refuses to know: what is in the packets.

use super::super::address::{ROOM, RawAddress};
use super::{BEHIND, LARGEST};
use io_uring::types::{BufRingEntry, RecvMsgOut};
use media::Packet;
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// How many the kernel fills: a power of two, as it wants it.
pub(super) const BUFFERS: u16 = 512;
/// How many more there are for packets that are made here.
pub(super) const SPARE: u16 = 64;
/// What the kernel writes before the packet: a header of four words, and the sender's address.
const BEFORE: usize = 16 + ROOM as usize;
/// What the kernel may write to.
const FILLED: usize = BEFORE + LARGEST;
/// From one buffer to the next. No multiple of a page, so that the beginnings of all buffers do not share one set of a cache.
const STRIDE: usize = (FILLED + BEHIND).next_multiple_of(64);
/// The kernel's list of what is free; it begins a page, and so do the buffers behind it.
const LIST: usize = (BUFFERS as usize * size_of::<BufRingEntry>()).next_multiple_of(4_096);
const WHOLE: usize = LIST + (BUFFERS + SPARE) as usize * STRIDE;

/// The memory.
pub(super) struct Buffers {
    base: NonNull<u8>,
    /// Buffers given to the kernel so far, modulo 2^16.
    tail: u16,
    spare: Vec<u16>,
}

// SAFETY: the memory is owned by this value alone, and reached through it alone.
unsafe impl Send for Buffers {}

impl Buffers {
    /// All of them free, none known to a kernel's ring yet.
    pub(super) fn new() -> io::Result<Self> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: asks for new memory, nowhere in particular.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), WHOLE, access, kind, -1, 0) };
        let base = NonNull::new(base.cast::<u8>()).filter(|base| base.as_ptr().cast() != libc::MAP_FAILED);
        let mut buffers = Self { base: base.ok_or_else(io::Error::last_os_error)?, tail: 0, spare: Vec::new() };
        buffers.spare.reserve_exact(usize::from(SPARE));
        for number in 0..BUFFERS + SPARE {
            buffers.give(number);
        }
        Ok(buffers)
    }

    /// Where the list begins, for the kernel.
    pub(super) fn list(&self) -> u64 {
        self.base.as_ptr() as u64
    }

    /// A buffer for a packet of our own, until it is given back.
    pub(super) fn spare(&mut self) -> Option<u16> {
        self.spare.pop()
    }

    /// Writes a packet of our own into a buffer that is not the kernel's; where it is then, and how much of it found room.
    pub(super) fn write(&mut self, number: u16, packet: &[u8]) -> (*const u8, usize) {
        let (start, length) = (self.start(number), packet.len().min(STRIDE));
        // SAFETY: the buffer is ours, within the memory, and so long; the packet is elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(packet.as_ptr(), start, length) };
        (start, length)
    }

    /// Gives a buffer back, to the kernel if it came from there: what is in it is over.
    #[inline]
    pub(super) fn give(&mut self, number: u16) {
        if number >= BUFFERS {
            self.spare.push(number);
            return;
        }
        let list = self.base.as_ptr().cast::<BufRingEntry>();
        let start = self.start(number) as u64;
        // SAFETY: the place is within the list, which begins the memory and is aligned to a page; the kernel reads an entry only once
        // the tail says that it is there. The tail lies in a field of the first entry that the three setters leave alone.
        unsafe {
            let entry = &mut *list.add(usize::from(self.tail % BUFFERS));
            entry.set_addr(start);
            entry.set_len(FILLED as u32);
            entry.set_bid(number);
            self.tail = self.tail.wrapping_add(1);
            (*BufRingEntry::tail(list).cast::<AtomicU16>()).store(self.tail, Ordering::Release);
        }
    }

    /// The packet in a buffer that the kernel has filled with so many bytes, and its sender. None when the sender's address is of no known
    /// family.
    #[inline]
    pub(super) fn packet(
        &mut self,
        number: u16,
        filled: usize,
        asked: &libc::msghdr,
    ) -> Option<(SocketAddr, Packet<'_>)> {
        // SAFETY: a buffer that the kernel has reported is ours until it is given back, and lies within the memory.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.start(number), STRIDE) };
        let received = RecvMsgOut::parse(bytes.get(..filled.min(FILLED))?, asked).ok()?;
        let (from, length) = (RawAddress::read(received.name_data())?, received.payload_data().len());
        Some((from, Packet::new(&mut bytes[BEFORE..], length)))
    }

    #[inline]
    fn start(&self, number: u16) -> *mut u8 {
        // SAFETY: every number below that of all buffers is a place within the memory.
        unsafe { self.base.as_ptr().add(LIST + usize::from(number % (BUFFERS + SPARE)) * STRIDE) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the memory was had by mmap with this length, and whoever holds this value lets no kernel use it any longer.
        unsafe { libc::munmap(self.base.as_ptr().cast(), WHOLE) };
    }
}
