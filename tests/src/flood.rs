//! A flood: so many datagrams a second from many addresses, of every kind that strangers send. One thread, many sockets, whole batches.
//!
//! It keeps to its schedule by what it has sent so far, so that a machine that stood still is caught up with, and says what it has offered.
//! Refuses to know: what becomes of them.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Datagrams of one sending call.
const BATCH: usize = 32;
/// Addresses it comes from.
const SOURCES: u32 = 64;
/// Between two looks at the schedule.
const MOMENT: Duration = Duration::from_millis(2);
/// Whoever stood still does not make up for more than this at once: that would be another flood.
const ARREARS: u64 = 2_000;

/// A flood under way; it ends when it is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    offered: Arc<AtomicU64>,
    begun: Instant,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Begins it: `rate` datagrams a second of these kinds in turn, from addresses of 127.9.0.0/16, to `to`.
    #[allow(clippy::disallowed_methods, reason = "real peers live in real time")]
    pub fn start(to: SocketAddr, rate: u64, kinds: Vec<Vec<u8>>) -> Self {
        let (stop, offered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, counted) = (stop.clone(), offered.clone());
        let sources: Vec<UdpSocket> = (0..SOURCES).map(|source| connected(source, to)).collect();
        let send = move || {
            let (mut batches, mut debt, mut last) = (0_usize, 0.0_f64, Instant::now());
            while !ends.load(Ordering::Relaxed) {
                std::thread::sleep(MOMENT);
                let now = Instant::now();
                debt = (debt + now.duration_since(last).as_secs_f64() * rate as f64).min(ARREARS as f64);
                last = now;
                while debt >= BATCH as f64 {
                    let sent = batch(&sources[batches % sources.len()], &kinds, batches);
                    counted.fetch_add(sent as u64, Ordering::Relaxed);
                    debt -= BATCH as f64;
                    batches += 1;
                }
            }
        };
        let thread = Builder::new().name("flood".to_owned()).spawn(send).expect("a thread");
        Self { stop, offered, begun: Instant::now(), thread: Some(thread) }
    }

    /// Datagrams sent so far.
    pub fn offered(&self) -> u64 {
        self.offered.load(Ordering::Relaxed)
    }

    /// For how long it has been under way.
    pub fn lasted(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ended = thread.join();
        }
    }
}

fn connected(source: u32, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(format!("127.9.{}.{}:5060", source / 200, 1 + source % 200)).expect("a socket");
    socket.connect(to).expect("a way there");
    socket
}

/// Sends one batch; how many left. What a refusal of an earlier datagram costs is not sent again.
fn batch(by: &UdpSocket, kinds: &[Vec<u8>], number: usize) -> usize {
    // SAFETY: all zero is a valid iovec and mmsghdr: null pointers with zero lengths.
    let mut parts: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    for index in 0..BATCH {
        let bytes = &kinds[(number + index) % kinds.len()];
        parts[index] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        headers[index].msg_hdr.msg_iov = &raw mut parts[index];
        headers[index].msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the headers point to live parts and datagrams, which sending only reads; the socket is connected, so no name is needed.
    let sent = unsafe { libc::sendmmsg(by.as_raw_fd(), headers.as_mut_ptr(), BATCH as libc::c_uint, 0) };
    usize::try_from(sent).unwrap_or(0)
}
