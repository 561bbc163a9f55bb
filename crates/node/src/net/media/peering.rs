//! An RTP socket that is connected to the one it sends to.
//!
//! The kernel keeps the route of a connected socket; for any other it looks it up with each packet, which is a seventh of what a sending
//! call costs. But a connected socket hears nobody else (udp(7)), and any packet may show that a peer is elsewhere. So a second
//! socket of the same port hears everybody else, and both are read alike. Nothing hangs on the connection but the cost: a
//! packet to another address leaves as it would without. Refuses to know: whose packet is good.

use super::super::socket;
use super::{done, retried, send};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Packets to one address before its socket is connected to it, a second of speech: streams that are over sooner would not win back what
/// it costs.
pub(super) const STEADY: u8 = 50;

/// Whether a socket is connected to where it sends, and what comes from elsewhere meanwhile.
#[derive(Debug, Default)]
pub(super) struct Peering {
    /// Where the last packet of the stream went.
    to: Option<SocketAddr>,
    stage: Stage,
    /// Of the same port: hears everybody to whom the first socket is not connected. Once open it stays, for the next call.
    others: Option<OwnedFd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not connected; so many packets have gone there.
    Counting(u8),
    Connected,
    /// Not connected, and not to be: it has failed, or there is no room for a second socket.
    Unfit,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Counting(0)
    }
}

impl Peering {
    /// Sends one packet of the stream that leaves by `socket`.
    #[inline]
    pub(super) fn send(&mut self, socket: &OwnedFd, to: SocketAddr, packet: &[u8]) -> Result<(), i32> {
        if self.to != Some(to) {
            self.turn_to(socket, to);
        }
        match self.stage {
            Stage::Connected => return retried(|| send_connected(socket, packet)),
            Stage::Counting(sent) => self.stage = Stage::Counting(sent.saturating_add(1)),
            Stage::Unfit => {}
        }
        send(socket, to, packet)
    }

    /// The stream has gone to one address for so long that connecting to it is worth its cost.
    #[inline]
    pub(super) fn is_steady(&self) -> bool {
        matches!(self.stage, Stage::Counting(STEADY..))
    }

    /// Connects `socket` to where it sends. A second socket that is opened for it, with no higher descriptor than `highest`, is given to
    /// `watch`.
    #[cold]
    pub(super) fn connect(&mut self, socket: &OwnedFd, highest: RawFd, watch: impl FnOnce(&OwnedFd) -> io::Result<()>) {
        self.stage = match self.try_to_connect(socket, highest, watch) {
            Ok(()) => Stage::Connected,
            // It works as well without.
            Err(_) => Stage::Unfit,
        };
    }

    fn try_to_connect(
        &mut self,
        socket: &OwnedFd,
        highest: RawFd,
        watch: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> io::Result<()> {
        let to = self.to.ok_or(io::ErrorKind::NotConnected)?;
        // Before the connection: there is no moment in which a packet finds nobody.
        if self.others.is_none() {
            let others = socket::open_beside(socket)?;
            if others.as_raw_fd() > highest {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            watch(&others)?;
            self.others = Some(others);
        }
        socket::connect(socket, Some(to))
    }

    /// Who is heard beside the one it is connected to.
    #[inline]
    pub(super) fn others(&self) -> Option<&OwnedFd> {
        self.others.as_ref()
    }

    /// The stream goes elsewhere.
    #[cold]
    fn turn_to(&mut self, socket: &OwnedFd, to: SocketAddr) {
        if self.stage == Stage::Connected {
            // Where that fails the connection holds, and costs nothing but what it costs to send elsewhere.
            let _kept = socket::connect(socket, None);
        }
        self.to = Some(to);
        self.stage = Stage::Counting(0);
    }
}

#[inline]
fn send_connected(socket: &OwnedFd, packet: &[u8]) -> Result<(), i32> {
    // SAFETY: pointer and length are those of a live packet.
    let sent = unsafe { libc::send(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), libc::MSG_DONTWAIT) };
    done(sent)
}

#[cfg(test)]
impl Peering {
    pub(super) fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }
}
