//! The streams of a call as plain data: their ports on both sides, what descriptions say of them.
//!
//! Refuses to know: how any of it changes.

use super::locks::Locks;
use super::speech::Terms;
use core::net::SocketAddr;
use media::xr::Asked;
use media::{AnchorCounters, PairId, Peer, Shape};
use model::ListenId;
use smallvec::SmallVec;

/// The callee's side of the anchor as one attempt was offered it.
#[derive(Clone, Debug)]
pub(super) struct CalleeSide {
    pub(super) listen: Option<ListenId>,
    /// By position of the media line, as in [`Audio::streams`].
    pub(super) pairs: SmallVec<[Option<(PairId, SocketAddr)>; 2]>,
}

/// A stream's two port pairs, each with the RTP address that its side is shown: a reload may take the trunk away, and the call goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) caller: (PairId, SocketAddr),
    pub(super) callee: (PairId, SocketAddr),
}

/// What a description says of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Our pair on the writer's side.
    pub(super) writer: PairId,
    /// Our pair on the other side.
    pub(super) other: PairId,
    /// Where the writer wants its packets; none while it wants none.
    pub(super) peer: Option<Peer>,
    pub(super) shape: Shape,
    /// Extended reports that the writer asks for.
    pub(super) extended: Asked,
    /// The writer will send.
    pub(super) sends: bool,
    /// The writer will hear.
    pub(super) receives: bool,
}

/// The audio of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Audio {
    /// By position of the media line; none is a stream that is not anchored.
    pub(super) streams: SmallVec<[Option<Stream>; 2]>,
    pub(super) callee_listen: Option<ListenId>,
    /// What the writer of an offer says of its audio; holds once the offer is accepted (RFC 3261 §14.1).
    pub(super) offered: Option<SmallVec<[Told; 2]>>,
    /// What its formats have come to.
    pub(super) terms: Terms,
    /// What its security has come to, where it is ended here.
    pub(super) locks: Locks,
    /// Both listens have media addresses.
    pub(super) anchored: bool,
    /// The caller's ports are those of a call before this one, which knows where he is: a description that is written in his name does not.
    pub(super) taken_up: bool,
    /// What was counted before the ports went on in another call.
    pub(super) counted: Option<AnchorCounters>,
}
