//! What belongs to the whole process: signals as a descriptor, the limit of open files, chance.
//!
//! Refuses to know: what a signal means.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Signals that are read rather than handled: no code ever runs inside a signal handler.
#[derive(Debug)]
pub(crate) struct SignalFd {
    descriptor: OwnedFd,
}

impl SignalFd {
    /// Blocks these signals for this thread and all it starts from now on, and reads them instead.
    pub(crate) fn take(signals: &[i32]) -> io::Result<Self> {
        // SAFETY: all zero is a valid sigset_t, and sigemptyset makes it an empty set; the pointers are to live sets.
        let raw = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            let blocked = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            if blocked != 0 {
                return Err(io::Error::from_raw_os_error(blocked));
            }
            libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else owns it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(raw) } })
    }

    /// The next signal; none when there is none.
    pub(crate) fn next(&self) -> Option<i32> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the struct is plain integers, for which all zero is valid.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer and length are those of a live struct.
        let read = unsafe { libc::read(self.descriptor.as_raw_fd(), (&raw mut info).cast(), SIZE) };
        (read == SIZE as isize).then_some(info.ssi_signo as i32)
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Raises the limit of open descriptors to what the system lets us have; returns the limit.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to a live rlimit.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) < 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = limit.rlim_max;
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// Makes room in the table of descriptors for so many at once. Whoever opens one too many for it waits, beside other threads, for the kernel to
/// replace the table by one of twice its size: some ten milliseconds (`expand_files`, after each thread has been seen to use no old one), in
/// which a shard relays nothing. To be called before there are threads: then it takes no time. The table never becomes smaller.
pub(crate) fn make_room_for_files(count: u64) -> io::Result<()> {
    let any = std::fs::File::open("/dev/null")?;
    let last = libc::c_int::try_from(count.saturating_sub(1)).unwrap_or(libc::c_int::MAX);
    // SAFETY: takes no pointers.
    let raw = unsafe { libc::fcntl(any.as_raw_fd(), libc::F_DUPFD_CLOEXEC, last) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and nobody else owns it. The room for it stays.
    drop(unsafe { OwnedFd::from_raw_fd(raw) });
    Ok(())
}

/// How many descriptors may be open at once.
pub(crate) fn open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if told < 0 { Err(io::Error::last_os_error()) } else { Ok(limit.rlim_cur) }
}

/// A number nobody can guess: the secret of tokens, the seed of a run.
pub(crate) fn secret() -> io::Result<u64> {
    chance().map(u64::from_ne_bytes)
}

/// What a source of keys grows from.
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    chance()
}

fn chance<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0u8; N];
    // SAFETY: the pointer and length are those of a live array. So few bytes are never given in part.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == bytes.len() as isize { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::super::epoll::{Epoll, Trigger};
    use super::*;

    #[test]
    fn a_signal_is_read_and_kills_nobody() {
        let signals = SignalFd::take(&[libc::SIGUSR2]).expect("a signal descriptor");
        assert_eq!(signals.next(), None);
        let mut epoll = Epoll::new(1).expect("epoll");
        epoll.add(&signals, 0, Trigger::Level).expect("watched");
        // SAFETY: both take no pointers; the signal goes to this thread, which has blocked it.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
        assert_eq!(epoll.wait(5_000).expect("a wait"), 1);
        assert_eq!((signals.next(), signals.next()), (Some(libc::SIGUSR2), None));
    }

    #[test]
    fn the_limit_of_open_files_is_the_hard_one() {
        let limit = raise_open_files().expect("a limit");
        assert_eq!(raise_open_files().expect("a limit"), limit);
        assert!(limit >= 1_024);
    }

    #[test]
    fn there_is_room_for_files_before_they_are_opened() {
        let room = || {
            let status = std::fs::read_to_string("/proc/self/status").expect("what the kernel tells of us");
            let line = status.lines().find_map(|line| line.strip_prefix("FDSize:")).expect("how many descriptors fit");
            line.trim().parse::<u64>().expect("a number")
        };
        let wanted = raise_open_files().expect("a limit").min(8_192);
        make_room_for_files(wanted).expect("room");
        assert!(room() >= wanted, "{} of {wanted}", room());
        assert!(make_room_for_files(u64::MAX).is_err(), "more than there may be");
    }
}
