//! What comes from the peer: by its SSRC, which packets were here (RFC 3711 §3.2.3, §3.3).
//!
//! Nothing is remembered of a packet before its tag is found true. So forged packets can neither move a window nor push a source out.

use super::Refused;
use super::key::MasterKey;
use super::session::Session;
use super::suite::Suite;
use super::window::Window;
use crate::packet::Packet;
use crate::rtp;
use alloc::boxed::Box;

/// Sources that are remembered; the one unheard for longest is forgotten for another. A peer changes its source with a transfer or a hold.
const SOURCES_MAX: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
    /// When it was heard last, in packets of all.
    heard: u64,
    /// Under the present key.
    proven: bool,
}

/// What comes from the peer.
#[derive(Debug)]
pub(super) struct Inbound {
    session: Session,
    /// Until the new keys are first heard: packets on the way are of the old ones.
    previous: Option<Box<Session>>,
    sources: [Option<Source>; SOURCES_MAX],
    packets: u64,
}

impl Inbound {
    pub(super) fn new(suite: Suite, theirs: &MasterKey) -> Self {
        Self { session: Session::new(suite, theirs), previous: None, sources: [None; SOURCES_MAX], packets: 0 }
    }

    pub(super) fn renew(&mut self, new: Self) {
        if self.session.is(&new.session) {
            return;
        }
        let old = core::mem::replace(&mut self.session, new.session);
        self.previous = Some(Box::new(old));
        for source in self.sources.iter_mut().flatten() {
            source.proven = false;
            // Reports say their index: under a new key it may be any, and none was here.
            source.rtcp = Window::default();
        }
    }

    pub(super) fn unprotect(&mut self, header: &rtp::Header, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let mut source = self.source(header.ssrc);
        let index = source.rtp.estimate(header.sequence).filter(|index| source.rtp.is_new(*index));
        let first = index.ok_or(Refused::Replayed).and_then(|index| {
            self.session.unprotect(header.ssrc, index, packet)?;
            source.rtp.mark(index);
            Ok(true)
        });
        let by_new = match first {
            Err(_) if self.previous.is_some() || !source.proven => {
                self.otherwise(header, index, &mut source, packet)?
            }
            verdict => verdict?,
        };
        if by_new {
            source.proven = true;
            self.previous = None;
        }
        self.remember(source);
        Ok(())
    }

    /// Keys have changed: the packet may be of the old ones, or of a peer that counts from zero with the new ones, though it should
    /// not (RFC 3711 §3.3.1). Says whether it is of the new keys.
    #[cold]
    fn otherwise(
        &self,
        header: &rtp::Header,
        index: Option<u64>,
        source: &mut Source,
        packet: &mut Packet<'_>,
    ) -> Result<bool, Refused> {
        if let (Some(previous), Some(index)) = (&self.previous, index)
            && previous.unprotect(header.ssrc, index, packet).is_ok()
        {
            source.rtp.mark(index);
            return Ok(false);
        }
        let zero = u64::from(header.sequence);
        if source.proven || index == Some(zero) {
            return Err(if index.is_none() { Refused::Replayed } else { Refused::Unauthentic });
        }
        self.session.unprotect(header.ssrc, zero, packet)?;
        source.rtp = Window::default();
        source.rtp.mark(zero);
        Ok(true)
    }

    pub(super) fn unprotect_report(&mut self, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let (ssrc, index) = self.session.report_index(packet.bytes()).ok_or(Refused::Unauthentic)?;
        let mut source = self.source(ssrc);
        if !source.rtcp.is_new(u64::from(index)) {
            return Err(Refused::Replayed);
        }
        // A late report of the old keys is not worth a window of its own.
        self.session.unprotect_report(packet)?;
        source.rtcp.mark(u64::from(index));
        self.remember(source);
        Ok(())
    }

    fn source(&self, ssrc: u32) -> Source {
        let known = self.sources.iter().flatten().find(|source| source.ssrc == ssrc);
        known.copied().unwrap_or(Source { ssrc, ..Source::default() })
    }

    /// Writes back what an authentic packet has changed.
    fn remember(&mut self, mut source: Source) {
        self.packets += 1;
        source.heard = self.packets;
        let place = self.sources.iter().position(|known| known.is_some_and(|known| known.ssrc == source.ssrc));
        let place = place.or_else(|| {
            let oldest = self.sources.iter().enumerate().min_by_key(|(_, known)| known.map_or(0, |known| known.heard));
            oldest.map(|(place, _)| place)
        });
        if let Some(place) = place.and_then(|place| self.sources.get_mut(place)) {
            *place = Some(source);
        }
    }
}
