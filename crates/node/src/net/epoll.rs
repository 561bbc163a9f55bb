//! Waiting for many descriptors at once.
//!
//! Refuses to know: what the tokens stand for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// When a descriptor is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// As long as it can be read: what one look leaves behind is told again.
    Level,
    /// Each time something new arrives.
    Edge,
    /// Each time something new arrives, or there is room again to send.
    EdgeBoth,
}

/// A set of descriptors to wait for, each with a token of ours, and room for what is reported at once.
#[derive(Debug)]
pub(crate) struct Epoll {
    set: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl Epoll {
    /// An empty set that reports up to `batch` descriptors at once.
    pub(crate) fn new(batch: usize) -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else owns it.
        let set = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Self { set, events: vec![libc::epoll_event { events: 0, u64: 0 }; batch.max(1)], ready: 0 })
    }

    /// Watches `what` for input and errors. It leaves the set by itself when it is closed.
    pub(crate) fn add(&self, what: &impl AsFd, token: u64, trigger: Trigger) -> io::Result<()> {
        let wanted = match trigger {
            Trigger::Level => libc::EPOLLIN,
            Trigger::Edge => libc::EPOLLIN | libc::EPOLLET,
            Trigger::EdgeBoth => libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET,
        };
        let mut event = libc::epoll_event { events: wanted as u32, u64: token };
        let descriptor = what.as_fd().as_raw_fd();
        // SAFETY: the pointer is that of a live event; the kernel only reads it.
        let done = unsafe { libc::epoll_ctl(self.set.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &raw mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Watches `what` no longer.
    pub(crate) fn remove(&self, what: &impl AsFd) -> io::Result<()> {
        let descriptor = what.as_fd().as_raw_fd();
        // SAFETY: a null event is allowed for removal.
        let done =
            unsafe { libc::epoll_ctl(self.set.as_raw_fd(), libc::EPOLL_CTL_DEL, descriptor, std::ptr::null_mut()) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits up to `timeout_ms` (-1: for ever) and returns how many descriptors are ready. A signal ends the wait early.
    pub(crate) fn wait(&mut self, timeout_ms: i32) -> io::Result<usize> {
        let room = self.events.len() as i32;
        // SAFETY: the pointer and length are those of a live Vec, which the kernel fills from its start.
        let ready = unsafe { libc::epoll_wait(self.set.as_raw_fd(), self.events.as_mut_ptr(), room, timeout_ms) };
        self.reported(i64::from(ready))
    }

    /// The same to the microsecond, where the kernel can (5.11); up to a millisecond longer where it cannot.
    pub(crate) fn wait_micros(&mut self, timeout_us: u64) -> io::Result<usize> {
        // Whoever asks for microseconds never means as much as a second.
        let timeout_us = timeout_us.min(999_999);
        let timeout = libc::timespec { tv_sec: 0, tv_nsec: timeout_us as libc::c_long * 1_000 };
        let (set, events) = (self.set.as_raw_fd(), self.events.as_mut_ptr());
        let (room, no_mask) = (self.events.len() as libc::c_int, std::ptr::null::<libc::sigset_t>());
        // SAFETY: as in `wait`; the time is a live one and there is no mask. By its number, since old C libraries have no name for it.
        let ready =
            unsafe { libc::syscall(libc::SYS_epoll_pwait2, set, events, room, &raw const timeout, no_mask, 0usize) };
        if ready < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
            return self.wait(timeout_us.div_ceil(1_000) as i32);
        }
        self.reported(ready)
    }

    fn reported(&mut self, ready: i64) -> io::Result<usize> {
        self.ready = usize::try_from(ready).unwrap_or(0);
        if ready < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) };
        }
        Ok(self.ready)
    }

    /// Token of the ready descriptor number `index`, and whether it has an error to tell.
    #[inline]
    pub(crate) fn event(&self, index: usize) -> (u64, bool) {
        let event = self.events[..self.ready][index];
        (event.u64, event.events & libc::EPOLLERR as u32 != 0)
    }

    /// All descriptors that could be reported were: there may be more.
    pub(crate) fn full(&self) -> bool {
        self.ready == self.events.len()
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.set.as_fd()
    }
}
