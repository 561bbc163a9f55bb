//! Waking a thread that waits in epoll, at most once per wait.
//!
//! Whoever puts something into a ring calls `wake` afterwards; the sleeper calls `awake` before it empties its rings.
//! Either the sleeper sees what was put, or the waker sees that a new call is due: no wake-up is lost, and many of them
//! cost one system call. Refuses to know: rings.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes one thread. Copies wake the same.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    event: OwnedFd,
    called: AtomicBool,
}

impl Waker {
    /// A waker whose descriptor is to be watched edge-triggered, so that it need never be read.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { inner: Arc::new(Inner { event: event()?, called: AtomicBool::new(false) }) })
    }

    /// Wakes the sleeper, unless it has been called and has not looked yet.
    pub(crate) fn wake(&self) {
        if self.inner.called.swap(true, Ordering::AcqRel) {
            return;
        }
        let one = 1u64.to_ne_bytes();
        // SAFETY: the pointer and length are those of a live array. The counter would need 2^64 calls to overflow, so
        // the write cannot fail.
        unsafe { libc::write(self.inner.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// The sleeper is about to look: what is put from now on needs a new call. Must precede the look.
    pub(crate) fn awake(&self) {
        // A swap, not a store: it must see what was put before the call that it takes back.
        self.inner.called.swap(false, Ordering::AcqRel);
    }
}

/// A descriptor that can be read once somebody has written to it.
pub(crate) fn event() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let raw = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Whoever has written to it has been heard. That nobody had is as good.
pub(crate) fn clear(event: &OwnedFd) {
    let mut count = [0u8; 8];
    // SAFETY: the pointer and length are those of a live array.
    unsafe { libc::read(event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.event.as_fd()
    }
}
