//! The media path by io_uring: each socket is armed once and its packets come by themselves, with their sender, into buffers that are
//! handed to the kernel beforehand; what a turn sends on leaves straight from these buffers by one submission.
//!
//! Sockets are known to the ring by their tokens (fixed files). A send never waits (`MSG_DONTWAIT`), so that it is over when its
//! submission is, and packets of a socket leave in the order in which they came. Memory is fixed. Whether the machine has all this is
//! not read from a version: [`Ring::new`] tries it with two sockets of its own. Refuses to know: where a packet goes.

use super::super::address::{ROOM, RawAddress};
use super::super::epoll::{Epoll, Trigger};
use super::super::socket::{self, Wanted};
use super::super::wake;
use super::buffers::{BUFFERS, Buffers, SPARE};
use super::{MediaCounters, Relays, Turn, count_sent};
use io_uring::types::{CancelBuilder, Fixed};
use io_uring::{IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue};
use media::{Component, Dropped, Forward, Made, Packet, PairId};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Entries submitted at once: a packet of each buffer, and as many sockets armed.
const ENTRIES: u32 = 2 * BUFFERS as u32;
/// Completions that may wait.
const COMPLETIONS: u32 = 4 * ENTRIES;
/// The one group of buffers.
const GROUP: u16 = 0;
/// Marks a completion of a send; others have the token of their socket.
const SENT: u64 = 1 << 63;
/// `IORING_ENTER_GETEVENTS`: packets that have arrived are received now.
const GET_EVENTS: u32 = 1;
/// Times that entering is tried while the kernel says that it is busy.
const TRIES: usize = 8;
/// How long a packet of the trial may take, in milliseconds.
const TRIAL_MS: i32 = 500;
/// What passes in the trial.
const TRIAL: &[u8] = b"trial";

/// The ring of one shard, used by the thread that made it and no other.
pub(super) struct Ring {
    // The first field is the first to go: the kernel lets go of the memory before it is given back.
    ring: IoUring,
    /// Told of when work waits: with work that is done on demand, the ring's own descriptor is not.
    told: OwnedFd,
    buffers: Buffers,
    /// What is asked of each packet: room for its sender's address.
    asked: Box<Asked>,
    /// Sockets to arm: new ones, and those whose packets found no buffer.
    unarmed: Vec<u64>,
    /// Buffers whose packets are queued to leave, and where to.
    leaving: Vec<u16>,
    peers: Box<[RawAddress]>,
}

struct Asked(libc::msghdr);

// SAFETY: its pointers are null.
unsafe impl Send for Asked {}

impl Ring {
    /// A ring for so many sockets, once a trial has shown that this machine has all that it needs.
    pub(super) fn new(sockets: u32) -> io::Result<Self> {
        let mut trial = Self::untried(2)?;
        trial.try_out()?;
        drop(trial);
        Self::untried(sockets)
    }

    fn untried(sockets: u32) -> io::Result<Self> {
        // One thread alone, and work that is done when that thread asks for it rather than in the middle of something else.
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS);
        let ring: IoUring = builder.build(ENTRIES)?;
        if !ring.params().is_feature_nodrop() || !ring.params().is_feature_skip_cqe_on_success() {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        ring.submitter().register_files_sparse(sockets)?;
        let told = wake::event()?;
        ring.submitter().register_eventfd(told.as_raw_fd())?;
        let buffers = Buffers::new()?;
        // SAFETY: the list holds so many entries, begins a page, and lives until the ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(buffers.list(), BUFFERS, GROUP, 0)? };
        // SAFETY: all zero is a valid msghdr: null pointers with zero lengths.
        let mut asked: libc::msghdr = unsafe { std::mem::zeroed() };
        asked.msg_namelen = ROOM;
        Ok(Self {
            ring,
            told,
            buffers,
            asked: Box::new(Asked(asked)),
            unarmed: Vec::new(),
            leaving: Vec::with_capacity(usize::from(BUFFERS + SPARE)),
            peers: vec![RawAddress::EMPTY; usize::from(BUFFERS + SPARE)].into_boxed_slice(),
        })
    }

    /// Takes in the sockets of a pair, the tokens of which follow each other.
    pub(super) fn add(&mut self, pair: PairId, rtp: &OwnedFd, rtcp: &OwnedFd) -> io::Result<()> {
        let first = token(pair, Component::Rtp);
        let place = u32::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.ring.submitter().register_files_update(place, &[rtp.as_raw_fd(), rtcp.as_raw_fd()])?;
        // So that it never grows on the path of a packet: no socket is in it twice.
        self.unarmed.reserve(place as usize + 2);
        self.unarmed.extend([first, first + 1]);
        self.arm();
        self.enter(0)
    }

    /// Relays what has arrived, without waiting, at most about `limit` packets.
    pub(super) fn turn(
        &mut self,
        limit: u32,
        counters: &mut MediaCounters,
        relays: &mut impl Relays,
    ) -> io::Result<Turn> {
        // Before the look: what comes after it is told anew.
        wake::clear(&self.told);
        let mut received = 0;
        loop {
            self.arm();
            self.enter(GET_EVENTS)?;
            self.sent();
            received += self.harvest(limit - received, counters, relays);
            if received >= limit {
                self.enter(0)?;
                self.sent();
                return Ok((received, true));
            }
            let queue = self.ring.submission();
            if queue.is_empty() && !queue.taskrun() {
                return Ok((received, !self.unarmed.is_empty()));
            }
        }
    }

    /// Queues the arming of sockets that are not; what finds no room is armed in the next round.
    fn arm(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(token) = self.unarmed.last() {
            let asked = &raw const self.asked.0;
            let receive = opcode::RecvMsgMulti::new(Fixed(*token as u32), asked, GROUP).build().user_data(*token);
            // SAFETY: what is asked lives as long as the ring.
            if unsafe { queue.push(&receive) }.is_err() {
                return;
            }
            self.unarmed.pop();
        }
    }

    /// Submits all that is queued.
    fn enter(&mut self, flags: u32) -> io::Result<()> {
        for _ in 0..TRIES {
            let queued = self.ring.submission().len() as u32;
            if queued == 0 && flags == 0 {
                return Ok(());
            }
            // SAFETY: no argument is passed; what the queued entries point to lives until they are submitted.
            let entered = unsafe { self.ring.submitter().enter::<libc::sigset_t>(queued, 0, flags, None) };
            match entered.map_err(|error| (error.raw_os_error(), error)) {
                Ok(_) if self.ring.submission().is_empty() => return Ok(()),
                Ok(_) | Err((Some(libc::EINTR | libc::EAGAIN | libc::EBUSY), _)) => {}
                Err((_, error)) => return Err(error),
            }
        }
        Err(io::Error::from(io::ErrorKind::ResourceBusy))
    }

    /// What was queued has left: the kernel may fill its buffers again.
    fn sent(&mut self) {
        for number in self.leaving.drain(..) {
            self.buffers.give(number);
        }
    }

    /// Looks at what has come, and queues what is to leave.
    fn harvest(&mut self, limit: u32, counters: &mut MediaCounters, relays: &mut impl Relays) -> u32 {
        let (submitter, queue, mut done) = self.ring.split();
        let (leaving, peers) = (&mut self.leaving, &mut self.peers);
        let mut out = Out { submitter, queue, leaving, peers, counters };
        let mut received = 0;
        while received < limit {
            let Some(one) = done.next() else { break };
            let (told, result) = (one.user_data(), one.result());
            if told & SENT != 0 {
                // Only what went wrong is told; it was counted as sent.
                out.counters.sent -= 1;
                count_sent(out.counters, Err(-result));
                continue;
            }
            if !cqueue::more(one.flags()) {
                self.unarmed.push(told);
            }
            let Some(number) = cqueue::buffer_select(one.flags()) else { continue };
            received += 1;
            let filled = usize::try_from(result).unwrap_or(0);
            let Some((from, mut packet)) = self.buffers.packet(number, filled, &self.asked.0) else {
                out.counters.dropped += 1;
                self.buffers.give(number);
                continue;
            };
            let (pair, component) = from_token(told);
            match relays.forward(pair, component, from, &mut packet) {
                Forward::Send { pair, component, to } => {
                    let (start, length) = (packet.bytes().as_ptr(), packet.bytes().len());
                    out.push(number, token(pair, component), to, (start, length));
                }
                Forward::Made => {
                    let mut free = Some(number);
                    while let Some(made) = relays.poll_made() {
                        let number = free.take().or_else(|| self.buffers.spare());
                        let number = number.or_else(|| out.make_room(&mut self.buffers));
                        let Some(number) = number else {
                            count_sent(out.counters, Err(libc::ENOBUFS));
                            continue;
                        };
                        let written = self.buffers.write(number, made.packet);
                        out.push(number, token(made.pair, made.component), made.to, written);
                    }
                    free.into_iter().for_each(|number| self.buffers.give(number));
                }
                // Taken in by `forward` itself.
                Forward::Local => self.buffers.give(number),
                Forward::Drop(_) => {
                    out.counters.dropped += 1;
                    self.buffers.give(number);
                }
            }
        }
        received
    }

    /// A packet comes to one socket and is sent on to the other, told of both times by the descriptor of the ring.
    fn try_out(&mut self) -> io::Result<()> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (one, other) = (socket::open(any, Wanted::default())?, socket::open(any, Wanted::default())?);
        let (at_one, at_other) = (socket::local(&one)?, socket::local(&other)?);
        self.add(PairId(0), &one, &other)?;
        let mut told = Epoll::new(1)?;
        told.add(self, 0, Trigger::Level)?;
        super::send(&other, at_one, TRIAL).map_err(io::Error::from_raw_os_error)?;
        let mut trial = Trial { to: at_other, passed: Vec::new() };
        for _ in 0..2 {
            if told.wait(TRIAL_MS)? == 0 {
                return Err(io::Error::other("a packet came in the trial and nobody was told"));
            }
            self.turn(u32::from(BUFFERS), &mut MediaCounters::default(), &mut trial)?;
        }
        let good = trial.passed == [(Component::Rtp, at_other, true), (Component::Rtcp, at_one, true)];
        if good { Ok(()) } else { Err(io::Error::other("a packet that was to pass in the trial did not")) }
    }
}

/// Sends on what comes to the one socket and keeps what comes to the other.
struct Trial {
    to: SocketAddr,
    passed: Vec<(Component, SocketAddr, bool)>,
}

impl Relays for Trial {
    fn forward(&mut self, pair: PairId, component: Component, from: SocketAddr, packet: &mut Packet<'_>) -> Forward {
        self.passed.push((component, from, packet.bytes() == TRIAL));
        match component {
            Component::Rtp => Forward::Send { pair, component, to: self.to },
            Component::Rtcp => Forward::Drop(Dropped::NoAnchor),
        }
    }

    fn poll_made(&mut self) -> Option<Made<'_>> {
        None
    }
}

/// What is on its way out.
struct Out<'a> {
    submitter: Submitter<'a>,
    queue: SubmissionQueue<'a>,
    leaving: &'a mut Vec<u16>,
    peers: &'a mut [RawAddress],
    counters: &'a mut MediaCounters,
}

impl Out<'_> {
    /// Queues the packet that lies in this buffer.
    #[inline]
    fn push(&mut self, number: u16, by: u64, to: SocketAddr, (start, length): (*const u8, usize)) {
        let (peer, room) = RawAddress::new(to);
        let place = &mut self.peers[self.leaving.len()];
        *place = peer;
        let send = opcode::Send::new(Fixed(by as u32), start, length as u32)
            .dest_addr((&raw const *place).cast())
            .dest_addr_len(room)
            .flags(libc::MSG_DONTWAIT)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(SENT);
        // SAFETY: buffer and address stay as they are until the submission is over.
        let queued = unsafe { self.queue.push(&send) };
        count_sent(self.counters, queued.map_err(|_| libc::ENOBUFS));
        self.leaving.push(number);
    }

    /// Submits what is queued before its time, so that there is a buffer again for one more that is made.
    #[cold]
    fn make_room(&mut self, buffers: &mut Buffers) -> Option<u16> {
        self.queue.sync();
        self.submitter.submit().ok()?;
        self.queue.sync();
        if !self.queue.is_empty() {
            return None;
        }
        self.leaving.drain(..).for_each(|number| buffers.give(number));
        buffers.spare()
    }
}

#[inline]
fn token(pair: PairId, component: Component) -> u64 {
    u64::from(pair.0) << 1 | u64::from(component == Component::Rtcp)
}

#[inline]
fn from_token(token: u64) -> (PairId, Component) {
    let component = if token & 1 == 0 { Component::Rtp } else { Component::Rtcp };
    (PairId((token >> 1) as u32), component)
}

/// Readable while packets wait.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Whatever is still armed would otherwise end some time after the memory it fills. That there is nothing to cancel is as good.
        let _none_left = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}
