//! Trunks and listens as the B2BUA needs them: addresses, sockets, timers, credentials.
//!
//! Refuses to know: files, health, policy.

use crate::admission::{Cidr, Index};
use crate::dialog_policy::DialogPolicy;
use crate::interworking::{self, Crossing, Interworking};
use crate::tolls::InboundPolicy;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use media::sdp::MediaPolicy;
use model::{ListenId, Name, SocketId, Span, TrunkId};
use sip::auth::Credentials;
use sip::{TimerSet, Transport};

/// One address of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its number within its trunk: that of its `TargetId`.
    pub index: u8,
    /// Where requests go.
    pub addr: SocketAddr,
    /// By which transport.
    pub transport: Transport,
    /// By which of our sockets.
    pub socket: SocketId,
}

/// One trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkProfile {
    /// Its name.
    pub name: Name,
    /// Its addresses, best first. They are found by number, which is not their place here.
    pub targets: Vec<Target>,
    /// The listen it is reached by.
    pub listen: ListenId,
    /// The listens its audio goes by, best first; none is the one it is reached by.
    pub interfaces: Vec<ListenId>,
    /// Its SIP timers.
    pub timers: TimerSet,
    /// Who we are to it.
    pub auth: Option<Credentials>,
    /// Who else may send calls as this trunk, besides its targets.
    pub accept: Vec<Cidr>,
    /// Overload control is offered to it and its wishes are heeded (RFC 7339).
    pub overload: bool,
    /// Large requests go to its targets by TCP, though they are reached by UDP (RFC 3261 §18.1.1).
    pub large_by_tcp: bool,
    /// How its dialogs are.
    pub dialogs: DialogPolicy,
    /// A call longer than this is ended: nothing that was forgotten lives for ever.
    pub session_max: Span,
    /// Headers, numbers, identity and causes towards it and from it.
    pub interworking: Interworking,
    /// Which formats its audio has.
    pub media: MediaPolicy,
    /// What calls from it must keep to.
    pub inbound: InboundPolicy,
    /// What becomes of its REFERs.
    pub transfer: Transfer,
    /// What becomes of its 3xx.
    pub redirect: Redirect,
    /// Who answers its 401 and 407.
    pub challenge: Challenge,
}

/// Who answers a peer's challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Challenge {
    /// The edge, with its own credentials there.
    #[default]
    Answer,
    /// The caller, with his own.
    Pass,
}

/// What becomes of a peer's redirections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redirect {
    /// The edge follows them, as far as routes and trunks go.
    #[default]
    Follow,
    /// The caller follows them, and comes to the edge again.
    Pass,
    /// The next trunk is tried.
    Refuse,
}

/// What becomes of a peer's REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transfer {
    /// The edge places the call and joins the parties: nobody else need understand REFER.
    #[default]
    Act,
    /// The other party gets the REFER and acts on it.
    Pass,
    /// Nobody is transferred.
    Refuse,
}

impl TrunkProfile {
    /// A target by its number; none when its address is gone.
    pub fn target(&self, index: u8) -> Option<&Target> {
        self.targets.iter().find(|target| target.index == index)
    }

    /// The terms of the way between shards: everything passes as it came, and audio goes by ports of the first listen that has any. Its
    /// sessions are kept alive, so that a half whose other half is gone ends. A REFER that comes by it has been passed on, and is again.
    fn between_shards(listens: &[ListenProfile]) -> Self {
        let anchors = (0_u16..).zip(listens).find(|(_, listen)| listen.media_bind.is_some());
        Self {
            name: Name::from(BETWEEN_SHARDS),
            targets: Vec::new(),
            listen: ListenId(anchors.map_or(0, |(id, _)| id)),
            interfaces: Vec::new(),
            timers: TimerSet::default(),
            auth: None,
            accept: Vec::new(),
            overload: false,
            large_by_tcp: false,
            dialogs: DialogPolicy { reliable: false, ..DialogPolicy::default() },
            session_max: Span::from_secs(24 * 3_600),
            interworking: Interworking::NEUTRAL,
            media: MediaPolicy::NEUTRAL,
            inbound: InboundPolicy::default(),
            transfer: Transfer::Pass,
            redirect: Redirect::Refuse,
            challenge: Challenge::Pass,
        }
    }
}

/// What the way between shards is called where trunks are named.
pub const BETWEEN_SHARDS: &str = "another shard";

/// One listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenProfile {
    /// Its name.
    pub name: Name,
    /// Its SIP sockets.
    pub sockets: Vec<SocketId>,
    /// The address its audio is anchored at, as the far side sees it; none is signalling only.
    pub media: Option<IpAddr>,
    /// The same address as this machine has it. Between two of our own ports no NAT is crossed.
    pub media_bind: Option<IpAddr>,
}

/// All of them, and an index of who speaks for whom. Whoever changes an address in place has it made anew by `reindex`.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// By `TrunkId`; a removed trunk leaves a hole.
    pub trunks: Vec<Option<TrunkProfile>>,
    /// By `ListenId`.
    pub listens: Vec<ListenProfile>,
    /// Numbers that pass every gate, as dialled.
    pub emergency: Vec<Vec<u8>>,
    /// What a party hears while the other one of its call is reached again; none is comfort noise.
    pub announcement: Option<media::recording::Recording>,
    pub(crate) index: Index,
    /// The terms of the way between shards.
    between: Option<TrunkProfile>,
}

impl Profiles {
    /// With their index.
    pub fn new(trunks: Vec<Option<TrunkProfile>>, listens: Vec<ListenProfile>, emergency: Vec<Vec<u8>>) -> Self {
        let index = Index::new(&trunks, &listens);
        let between = Some(TrunkProfile::between_shards(&listens));
        Self { trunks, listens, emergency, announcement: None, index, between }
    }

    /// Makes the index of addresses anew.
    pub fn reindex(&mut self) {
        self.index = Index::new(&self.trunks, &self.listens);
    }

    /// A trunk, if there is one by this id.
    pub fn trunk(&self, id: TrunkId) -> Option<&TrunkProfile> {
        if id == TrunkId::BETWEEN_SHARDS {
            return self.between.as_ref();
        }
        self.trunks.get(id.index()).and_then(Option::as_ref)
    }

    /// A listen, if there is one by this id.
    pub fn listen(&self, id: ListenId) -> Option<&ListenProfile> {
        self.listens.get(id.index())
    }

    /// From the terms of one trunk to those of another; who is gone has none.
    pub(crate) fn crossing(&self, from: Option<TrunkId>, to: Option<TrunkId>, emergency: bool) -> Crossing<'_> {
        let terms = |id: Option<TrunkId>| {
            id.and_then(|id| self.trunk(id)).map_or(&interworking::NEUTRAL, |trunk| &trunk.interworking)
        };
        Crossing { from: terms(from), to: terms(to), emergency }
    }

    /// Where the audio of a trunk goes: the best of its interfaces.
    pub fn media_of(&self, trunk: TrunkId) -> Option<(ListenId, IpAddr)> {
        self.media_at(trunk, 0)
    }

    /// One of its interfaces, the best first.
    pub fn media_at(&self, trunk: TrunkId, place: usize) -> Option<(ListenId, IpAddr)> {
        let profile = self.trunk(trunk)?;
        let own = [profile.listen];
        let choices = if profile.interfaces.is_empty() { &own[..] } else { &profile.interfaces };
        let id = *choices.get(place)?;
        let listen = self.listen(id)?;
        Some((id, if trunk == TrunkId::BETWEEN_SHARDS { listen.media_bind } else { listen.media }?))
    }

    /// A call to `called` is one for help: by the number people dial, or by service (RFC 5031).
    pub fn is_emergency(&self, called: &[u8]) -> bool {
        let number = bare_number(called);
        is_sos(called) || self.emergency.iter().any(|known| known == number)
    }
}

/// A number without the parameters some put into the user part.
pub(crate) fn bare_number(user: &[u8]) -> &[u8] {
    user.split(|byte| *byte == b';').next().unwrap_or(user)
}

/// A name instead of a number, such as that of a service (RFC 5031): it goes on as it came.
pub(crate) fn is_urn(called: &[u8]) -> bool {
    called.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"urn:"))
}

/// The emergency service, or one of its kinds: `urn:service:sos.fire` (RFC 5031 §4.2).
fn is_sos(called: &[u8]) -> bool {
    const SOS: &[u8] = b"urn:service:sos";
    let is_whole = |rest: &[u8]| matches!(rest, [] | [b'.', ..]);
    called.split_at_checked(SOS.len()).is_some_and(|(name, rest)| name.eq_ignore_ascii_case(SOS) && is_whole(rest))
}
