//! RTP both ways through a relay, sent on time from one socket for each side, and what comes of it.
//!
//! Each packet bears when it was sent; when it came is the kernel's word. Streams are spread evenly over the 20 ms.

use super::machine;
use std::fmt;
use std::mem::zeroed;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where each side has its media.
pub(crate) const SIDES: [&str; 2] = ["127.0.0.20:40000", "127.0.0.31:40000"];
/// Bytes of a packet of G.711 with 20 ms: a header of 12, and 160 samples.
const PACKET: usize = 172;
/// Time between two packets of a stream.
const PTIME: Duration = Duration::from_millis(20);
/// Packets in a system call.
const BATCH: usize = 16;
/// Before the window, so that sources are learned and the relay has found its pace.
const WARM: Duration = Duration::from_secs(2);
/// After it, for what is on its way.
const DRAIN: Duration = Duration::from_millis(500);
/// Receive buffer of each side: seconds of all streams.
const BUFFER: i32 = 64 << 20;
/// A turn of the load takes some hundred microseconds with its rest. One that took longer was held up by the machine.
const HELD_UP: Duration = Duration::from_millis(1);

/// Where each side of a call sends to.
pub(crate) type Ways = Vec<[SocketAddr; 2]>;

/// What came of a run.
pub(crate) struct Row {
    sent: u64,
    received: u64,
    used: Duration,
    window: Duration,
    /// In microseconds, sorted.
    delays: Vec<u32>,
    disturbed: f64,
    /// How long the load itself was held up, in turns of more than a millisecond: as long as that, the machine had stopped it, and the relay no less.
    held_up: Duration,
}

impl Row {
    fn lost(&self) -> f64 {
        1.0 - self.received as f64 / self.sent.max(1) as f64
    }

    fn delay(&self, share: f64) -> u32 {
        let last = self.delays.len().saturating_sub(1);
        self.delays.get((last as f64 * share) as usize).copied().unwrap_or(u32::MAX)
    }

    /// What a thousand calls must come to.
    pub(crate) fn is_good(&self) -> bool {
        self.lost() < 0.001 && self.delay(0.99) <= 2_000
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.used.as_secs_f64() * 1e6 / self.received.max(1) as f64;
        let share = self.used.as_secs_f64() / self.window.as_secs_f64() * 100.0;
        write!(out, "{} | {each:.2} µs | {share:.0} % | {:.3} %", self.sent, self.lost() * 100.0)?;
        for share in [0.5, 0.99, 0.999] {
            write!(out, " | {:.2} ms", f64::from(self.delay(share)) / 1_000.0)?;
        }
        let held_up = self.held_up.as_secs_f64() / self.window.as_secs_f64() * 100.0;
        write!(out, " | {:.2} | {held_up:.1} %", self.disturbed)
    }
}

/// Both sides.
pub(crate) struct Load {
    sides: [UdpSocket; 2],
}

impl Load {
    /// Opens both sockets.
    pub(crate) fn open() -> Self {
        let open = |at: &str| {
            let socket = UdpSocket::bind(at).expect("a socket for media");
            set(&socket, libc::SO_RCVBUFFORCE, BUFFER);
            set(&socket, libc::SO_TIMESTAMPNS, 1);
            socket
        };
        Self { sides: SIDES.map(open) }
    }

    /// Sends and receives for this long, and says what came of it.
    pub(crate) fn run(&self, ways: &Ways, window: Duration, relay: u32) -> Row {
        let mut streams: Vec<(usize, SocketAddr)> = Vec::new();
        ways.iter().for_each(|way| streams.extend([(0, way[0]), (1, way[1])]));
        let mut run = Run::new(streams);
        let start = Instant::now();
        let mut row: Option<(Duration, Duration, Duration)> = None;
        let mut turned = Duration::ZERO;
        while start.elapsed() < WARM + window + DRAIN {
            let elapsed = start.elapsed();
            run.turn_took(elapsed - turned);
            turned = elapsed;
            if row.is_none() && elapsed >= WARM {
                row = Some((machine::used(relay), machine::used(std::process::id()), machine::busy()));
                run.counts = true;
            }
            if elapsed < WARM + window {
                run.send(&self.sides, elapsed);
            } else if run.counts {
                run.counts = false;
                let (used, own, busy) = row.expect("the window has begun");
                let (used, own) = (machine::used(relay) - used, machine::used(std::process::id()) - own);
                let others = (machine::busy() - busy).saturating_sub(used + own);
                run.over = Some((used, others));
            }
            let came: usize = self.sides.iter().map(|side| run.receive(side)).sum();
            if came == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let (used, others) = run.over.expect("the window is over");
        run.delays.sort_unstable();
        let received = run.delays.len() as u64;
        let disturbed = others.as_secs_f64() / window.as_secs_f64();
        Row { sent: run.sent, received, used, window, delays: run.delays, disturbed, held_up: run.held_up }
    }
}

struct Run {
    streams: Vec<(usize, SocketAddr)>,
    /// Packets sent of all streams since the start.
    total: u64,
    counts: bool,
    sent: u64,
    delays: Vec<u32>,
    over: Option<(Duration, Duration)>,
    held_up: Duration,
    packets: Box<[[u8; PACKET]; BATCH]>,
}

impl Run {
    fn new(streams: Vec<(usize, SocketAddr)>) -> Self {
        let packets = Box::new([[0xd5; PACKET]; BATCH]);
        Self {
            streams,
            total: 0,
            counts: false,
            sent: 0,
            delays: Vec::new(),
            over: None,
            held_up: Duration::ZERO,
            packets,
        }
    }

    fn turn_took(&mut self, turn: Duration) {
        if self.counts && turn > HELD_UP {
            self.held_up += turn;
        }
    }

    /// Sends what is due: of all streams one packet in 20 ms, one after the other.
    fn send(&mut self, sides: &[UdpSocket; 2], elapsed: Duration) {
        let count = self.streams.len() as u64;
        let due = (elapsed.as_nanos() as u64).saturating_mul(count) / PTIME.as_nanos() as u64;
        while self.total < due {
            // The next packets of one side: every second stream is of the same.
            for (side, socket) in sides.iter().enumerate() {
                let last = (self.total + 2 * BATCH as u64).min(due);
                let numbers: Vec<u64> =
                    (self.total..last).filter(|n| self.streams[(n % count) as usize].0 == side).collect();
                self.send_batch(socket, &numbers, count);
            }
            self.total = (self.total + 2 * BATCH as u64).min(due);
        }
    }

    fn send_batch(&mut self, socket: &UdpSocket, numbers: &[u64], count: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
        // SAFETY: all zero is valid for these: null pointers with zero lengths.
        let (mut names, mut parts, mut headers): (
            [libc::sockaddr_in; BATCH],
            [libc::iovec; BATCH],
            [libc::mmsghdr; BATCH],
        ) = unsafe { (zeroed(), zeroed(), zeroed()) };
        for (place, number) in numbers.iter().enumerate() {
            let (stream, turn) = (number % count, number / count);
            let packet = &mut self.packets[place];
            packet[0..2].copy_from_slice(&[0x80, 8]);
            packet[2..4].copy_from_slice(&(turn as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(turn as u32).wrapping_mul(160).to_be_bytes());
            packet[8..12].copy_from_slice(&(stream as u32 + 1).to_be_bytes());
            packet[12..20].copy_from_slice(&now.to_be_bytes());
            packet[20] = u8::from(self.counts);
            let SocketAddr::V4(to) = self.streams[stream as usize].1 else { panic!("an IPv4 address") };
            names[place].sin_family = libc::AF_INET as libc::sa_family_t;
            names[place].sin_port = to.port().to_be();
            names[place].sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
            parts[place] = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: PACKET };
            let header = &mut headers[place].msg_hdr;
            header.msg_name = (&raw mut names[place]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            (header.msg_iov, header.msg_iovlen) = (&raw mut parts[place], 1);
        }
        let mut done = 0;
        while done < numbers.len() {
            let rest = &mut headers[done..numbers.len()];
            // SAFETY: the headers point to live names and packets.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
            assert!(sent > 0, "sending: {}", std::io::Error::last_os_error());
            done += sent as usize;
        }
        self.sent += if self.counts { numbers.len() as u64 } else { 0 };
    }

    /// Takes what has come, a batch at most.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        const ROOM: usize = 2 * BATCH;
        let mut packets = [[0u8; PACKET]; ROOM];
        let mut controls = [[0u64; 8]; ROOM];
        // SAFETY: as in sending.
        let (mut parts, mut headers): ([libc::iovec; ROOM], [libc::mmsghdr; ROOM]) = unsafe { (zeroed(), zeroed()) };
        for place in 0..ROOM {
            parts[place] = libc::iovec { iov_base: packets[place].as_mut_ptr().cast(), iov_len: PACKET };
            let header = &mut headers[place].msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (&raw mut parts[place], 1);
            header.msg_control = controls[place].as_mut_ptr().cast();
            header.msg_controllen = size_of_val(&controls[place]) as _;
        }
        let flags = libc::MSG_DONTWAIT as _;
        // SAFETY: the headers point to live rooms.
        let count = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), ROOM as u32, flags, std::ptr::null_mut())
        };
        let count = usize::try_from(count).unwrap_or(0);
        for place in 0..count {
            let packet = &packets[place];
            // Noise and reports of the relay itself are not ours.
            if headers[place].msg_len as usize != PACKET || packet[20] == 0 {
                continue;
            }
            let sent = u64::from_be_bytes(packet[12..20].try_into().expect("eight bytes"));
            // SAFETY: the kernel has filled the room for control data as its length says.
            let came = unsafe { time_of(&headers[place].msg_hdr) };
            self.delays.push((came.saturating_sub(sent) / 1_000) as u32);
        }
        count
    }
}

/// When the kernel has received it, in nanoseconds since 1970.
///
/// # Safety
/// The header must be one that the kernel has filled.
unsafe fn time_of(header: &libc::msghdr) -> u64 {
    // SAFETY: the caller's header has live control data; the kernel aligns what it writes.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        assert!(!control.is_null() && (*control).cmsg_type == libc::SCM_TIMESTAMPNS, "a time stamp");
        let time: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

fn set(socket: &UdpSocket, name: i32, value: i32) {
    let length = size_of::<i32>() as u32;
    // SAFETY: the pointer and length are those of a live i32.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const value).cast(), length) };
    assert_eq!(done, 0, "socket option {name}: {}", std::io::Error::last_os_error());
}
