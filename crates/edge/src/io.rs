//! Everything that enters or leaves the edge, as closed enums: two for a shard, two for the control machine.
//!
//! The live node, the simulator and the fuzzer drive the same program through these. Refuses to know: sockets,
//! threads, clocks, rings.

use crate::config::Settings;
use crate::drill::{DrillAct, DrillRefused};
use crate::guard::Whom;
use crate::kept::KeptBindings;
use crate::names::{Question, Reply};
use crate::view::{CallView, ShardView, TestCallView};
use act::{CallPlace, Drill, ServiceRoutes};
use core::net::SocketAddr;
use decide::{Barred, TrunkTable};
use explain::{CallRecord, Entry, ShutOutCause};
use media::player::Packet;
use media::{Component, PairId};
use model::{
    CallRef, ForceLength, GroupId, ListenId, Name, Paces, Qualities, ShardId, Signal, SocketId, Span, TargetId,
    TransportFault, TrunkId, Wall,
};
use sense::{NotNow, ProbeOrder, TestCallOrder};
use sip::capture::Passed;
use sip::{Flow, Transmit};
use std::sync::Arc;

pub use act::{Bound, NoVerdict, ServiceRoute, TestCallOutcome};

/// What reaches a shard.
#[derive(Debug)]
pub enum Input<'a> {
    /// A SIP message: a datagram, or one framed out of a stream.
    Datagram {
        /// Where it came from and by which socket.
        flow: Flow,
        /// The whole datagram.
        bytes: &'a [u8],
    },
    /// A SIP datagram that another shard has let in and passed on, since it belongs here.
    Passed {
        /// Where it came from and by which socket.
        flow: Flow,
        /// The whole datagram.
        bytes: &'a [u8],
    },
    /// A SIP message of another shard's own: the two halves of a transferred call speak so.
    Between {
        /// Whose.
        from: ShardId,
        /// The whole message.
        bytes: &'a [u8],
    },
    /// The network refused a SIP datagram we sent (ICMP), with as much of it as came back.
    Undeliverable {
        /// By which socket it was sent.
        socket: SocketId,
        /// To whom.
        peer: SocketAddr,
        /// The beginning of what was sent.
        sent: &'a [u8],
        /// How it was refused.
        fault: TransportFault,
    },
    /// A connection is dead.
    Broken {
        /// By which socket, and to whom.
        flow: Flow,
        /// How it ended.
        fault: TransportFault,
    },
    /// Configuration and trunk table of a new epoch.
    Update(Arc<Snapshot>),
    /// Send this probe.
    Probe(ProbeOrder),
    /// Place this test call.
    TestCall(TestCallOrder),
    /// Media port pairs, open and ready.
    Ports {
        /// For which listen.
        listen: ListenId,
        /// The pairs and the address of each one's RTP port.
        pairs: Vec<(PairId, SocketAddr)>,
    },
    /// What other shards, or the time before a restart, know of phones.
    Bindings(&'a [Bound]),
    /// An operator forgives a source.
    Forgive(Whom),
    /// Someone wants to see calls; answered by `Output::View` with the same ticket.
    Look {
        /// Number of the question.
        ticket: u64,
        /// One call, or all.
        call: Option<CallRef>,
        /// Of all: those alone that came after this one.
        after: Option<CallPlace>,
        /// So many at most.
        most: usize,
    },
    /// Someone wants to see what was said in a call; answered by `Output::Captured` with the same ticket.
    Capture {
        /// Number of the question.
        ticket: u64,
        /// The call.
        call: CallRef,
        /// Its Call-IDs, as its record has them; a shard knows those of its calls in progress.
        call_ids: Arc<[Vec<u8>]>,
    },
    /// Take no new calls from now on: the process is about to end.
    Drain,
    /// The same, and end those there are: a BYE to each side.
    Close,
    /// Time has passed.
    Tick,
}

/// What leaves a shard.
#[derive(Debug)]
pub enum Output {
    /// Send this SIP message.
    Datagram(Transmit),
    /// For another shard, as `Input::Between`. When it cannot be had, `Input::Undeliverable` says so.
    Between {
        /// Which.
        to: ShardId,
        /// The whole message.
        transmit: Transmit,
    },
    /// End this connection: whoever speaks by it is kept out.
    Close(Flow),
    /// Tell control what was seen.
    Signal(Signal),
    /// A call ended.
    Ended(Box<CallRecord>),
    /// A test call has ended, or was not placed.
    Tested(Box<Tested>),
    /// Something an operator should hear of.
    Notice(Notice),
    /// A registrar wants our calls to its target to go this way: for all shards.
    ServiceRoute(ServiceRoute),
    /// A phone's bindings have changed: for all other shards, and to be kept.
    Bound(Bound),
    /// Send this packet of ours by a media port.
    Media {
        /// By this pair.
        pair: PairId,
        /// By this port of it.
        component: Component,
        /// To this address.
        to: SocketAddr,
        /// The packet.
        packet: Box<Packet>,
    },
    /// Open more media port pairs for this listen.
    WantPorts {
        /// For which listen.
        listen: ListenId,
        /// How many are to come, with those of an earlier order that have not come.
        count: u32,
    },
    /// Answer to `Input::Look`.
    View {
        /// Number of the question.
        ticket: u64,
        /// What is there.
        view: Box<ShardView>,
        /// The calls asked for.
        calls: Vec<CallView>,
    },
    /// Tell the collector of this message, which is masked when it is written.
    Passed {
        /// The message.
        passed: Passed<Vec<u8>>,
        /// The call it belongs to.
        call: Option<CallRef>,
    },
    /// Answer to `Input::Capture`.
    Captured {
        /// Number of the question.
        ticket: u64,
        /// What was said, as far as it is kept.
        said: Captured,
    },
}

/// What a shard has kept of what was said in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The call is in progress here.
    pub live: bool,
    /// The first message is an INVITE outside a dialog: nothing of it had to make room yet.
    pub begins: bool,
    /// Oldest first.
    pub messages: Vec<Passed<Vec<u8>>>,
    /// So many more are kept than one answer may hold.
    pub left_off: usize,
}

/// What a shard has seen that an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A source is shut out.
    ShutOut {
        /// Its address, or its network for IPv6.
        source: String,
        /// What for.
        cause: ShutOutCause,
        /// How often it did it.
        count: u32,
        /// Within which time.
        within: Span,
        /// How long it is shut out.
        length: Span,
    },
    /// Somebody sent a request inside a call that is not his.
    Foreign {
        /// Who.
        source: SocketAddr,
    },
    /// A call from a trunk was refused as fraud would be.
    Barred {
        /// The trunk.
        trunk: TrunkId,
        /// Why.
        why: Barred,
    },
    /// REGISTERs of phones are served by another target of their trunk than before.
    RegistrarMoved {
        /// The trunk.
        trunk: TrunkId,
        /// The target before.
        before: SocketAddr,
        /// The one now.
        now: SocketAddr,
    },
    /// No target of their trunk serves REGISTERs of phones.
    RegistrarGone {
        /// The trunk.
        trunk: TrunkId,
    },
    /// A trunk refused our credentials.
    CredentialsRefused {
        /// The trunk.
        trunk: TrunkId,
        /// With this code.
        code: u16,
    },
}

/// The end of a test call, as its shard tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tested {
    /// Who was called.
    pub target: TargetId,
    /// Number of the order.
    pub order: u64,
    /// What came of it, or why it says nothing.
    pub outcome: Result<TestCallOutcome, NoVerdict>,
}

/// What all shards work by: one configuration and one epoch of the trunk table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The trunk table.
    pub table: Arc<TrunkTable>,
    /// How soon targets usually react; learned, and so no part of the table.
    pub paces: Arc<Paces>,
    /// How good trunks have been lately, for groups that go by it.
    pub qualities: Arc<Qualities>,
    /// The ways that registrars want our calls to go.
    pub service_routes: Arc<ServiceRoutes>,
    /// The drill under way.
    pub drill: Option<Arc<Drill>>,
}

/// What reaches the control machine.
#[derive(Debug)]
pub enum ControlInput {
    /// From a shard.
    Signal(Signal),
    /// From a shard.
    Ended(Box<CallRecord>),
    /// From a shard.
    Tested(Box<Tested>),
    /// From a shard.
    Notice(Notice),
    /// From a shard: what a registrar of ours has said.
    ServiceRoute(ServiceRoute),
    /// From a shard: a phone's bindings have changed.
    Bound {
        /// The shard that owns them.
        shard: ShardId,
        /// All of them.
        bound: Bound,
    },
    /// What the store has kept of phones, at the start.
    Restore(Vec<KeptBindings>),
    /// Someone wants a test call to a trunk now; answered by `ControlOutput::Tested` with the same ticket.
    TestNow {
        /// Which trunk.
        trunk: TrunkId,
        /// Number of the question.
        ticket: u64,
        /// By whose word.
        by: By,
    },
    /// The operator acts on a trunk.
    Operate {
        /// Which trunk.
        trunk: TrunkId,
        /// What.
        act: TrunkAct,
        /// By whose word.
        by: By,
    },
    /// The operator puts a tier of a group first.
    Force {
        /// Which group.
        group: GroupId,
        /// Which tier, 0 the best.
        tier: u8,
        /// For how long at most.
        length: ForceLength,
        /// By whose word.
        by: By,
    },
    /// The operator has the tiers of a group tried in their usual order again.
    Release {
        /// Which group.
        group: GroupId,
        /// By whose word.
        by: By,
    },
    /// Something is to be done with a drill; answered by `ControlOutput::Drill`.
    Drill(DrillAct),
    /// The operator has a webhook told that nothing is the matter: a record, whose post is its driver's to try.
    TestPost {
        /// Its name.
        webhook: Name,
        /// By whose word.
        by: By,
    },
    /// The operator forgives whom the guard keeps out.
    Forgive {
        /// Whom.
        whom: Whom,
        /// By whose word.
        by: By,
    },
    /// A new configuration that has been checked; or what was wrong with it.
    Reload(Result<Arc<Settings>, ReloadFault>),
    /// Records were lost to the journal.
    Lost {
        /// How many.
        count: u64,
        /// Why, in a few words.
        why: String,
    },
    /// An answer to a `ControlOutput::Lookup`.
    Resolved {
        /// What was asked.
        question: Question,
        /// What came of it.
        reply: Reply,
    },
    /// The whole edge begins to drain.
    Stop,
    /// Time has passed.
    Tick,
}

/// By whose word something is done.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct By {
    /// Where it came from: `api`, `signal`, `reload`.
    pub via: &'static str,
    /// Who said it, when that is known.
    pub who: String,
    /// Why, when he told.
    pub why: String,
}

impl By {
    /// By this way, nobody knows who.
    pub const fn way(via: &'static str) -> Self {
        Self { via, who: String::new(), why: String::new() }
    }
}

/// What an operator can do to a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkAct {
    /// Keep live calls, take no new ones.
    Drain,
    /// Take none.
    Out,
    /// As health allows again, preferred at once.
    Restore,
    /// Probe all its targets at once.
    Probe,
}

/// A configuration that was refused.
#[derive(Clone, Debug)]
pub struct ReloadFault {
    /// How many faults it has.
    pub faults: u32,
    /// The first of them, in one line.
    pub first: Name,
}

/// What leaves the control machine.
#[derive(Debug)]
pub enum ControlOutput {
    /// For every shard.
    Update(Arc<Snapshot>),
    /// For the shard that owns the socket towards the target.
    Probe(ProbeOrder),
    /// For the same shard.
    TestCall(TestCallOrder),
    /// Answer to `ControlInput::TestNow`, when the call is over or cannot be placed.
    Tested {
        /// Number of the question.
        ticket: u64,
        /// What came of it, or why there is none.
        answer: Result<Box<TestCallView>, NotNow>,
    },
    /// Answer to `ControlInput::Drill`.
    Drill(Result<(), DrillRefused>),
    /// Look this up; answered by `ControlInput::Resolved`, whatever comes of it.
    Lookup(Question),
    /// For every shard but the one that told it, if one did.
    Bindings {
        /// Who knows already.
        except: Option<ShardId>,
        /// What has changed.
        bound: Arc<[Bound]>,
    },
    /// For every shard's guard.
    Forgive(Whom),
    /// For the store: what a restart must know of a phone.
    Keep(KeptBindings),
    /// For the journal, in order of its number.
    Entry(Arc<Entry>),
}

/// Time as the control machine needs it: monotonic is passed beside, this is for the journal.
pub type Stamp = Wall;
