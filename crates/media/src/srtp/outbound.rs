//! What goes to the peer. No keystream is used twice: each index of a source is protected once, and no source is ever forgotten as long as
//! its key lives (RFC 3711 §9.1).

use super::Refused;
use super::key::MasterKey;
use super::session::Session;
use super::suite::Suite;
use super::window::Window;
use crate::packet::Packet;
use crate::rtp;

/// Sources that one key may protect. The anchor makes one stream of what follows each other, so that there are few.
pub(super) const SOURCES_MAX: usize = 16;
/// Reports that one key may protect (RFC 3711 §9.2).
const REPORTS_MAX: u32 = (1 << 31) - 1;

/// What goes to the peer.
#[derive(Debug)]
pub(super) struct Outbound {
    session: Session,
    sources: [Option<(u32, Window)>; SOURCES_MAX],
    /// The next report's index: one count for all sources, so that none comes twice.
    reports: u32,
}

impl Outbound {
    pub(super) fn new(suite: Suite, ours: &MasterKey) -> Self {
        Self { session: Session::new(suite, ours), sources: [None; SOURCES_MAX], reports: 0 }
    }

    pub(super) fn renew(&mut self, new: Self) {
        if self.session.is(&new.session) {
            return;
        }
        self.session = new.session;
        // Rollover counters go on (RFC 3711 §3.3.1); so does the count of reports, which may begin anywhere.
    }

    pub(super) fn protect(&mut self, header: &rtp::Header, packet: &mut Packet<'_>) -> Result<(), Refused> {
        let known = self.sources.iter().position(|source| source.is_some_and(|(ssrc, _)| ssrc == header.ssrc));
        let place = known.or_else(|| self.sources.iter().position(Option::is_none)).ok_or(Refused::NoKey)?;
        let (_, mut window) = self.sources[place].unwrap_or_default();
        let index = window.estimate(header.sequence).filter(|index| window.is_new(*index)).ok_or(Refused::Replayed)?;
        self.session.protect(header.ssrc, index, packet)?;
        window.mark(index);
        self.sources[place] = Some((header.ssrc, window));
        Ok(())
    }

    pub(super) fn protect_report(&mut self, packet: &mut Packet<'_>) -> Result<(), Refused> {
        if self.reports >= REPORTS_MAX {
            return Err(Refused::NoKey);
        }
        self.session.protect_report(self.reports, packet)?;
        self.reports += 1;
        Ok(())
    }
}
