//! Questions to the node, each with the way back for its answer.
//!
//! Refuses to know: HTTP.

use crate::fault::Fault;
use crate::metrics::MetricsSnapshot;
use explain::{Entry, GroupView};
use model::{CallRef, DrillFault, ForceLength, Instant, Seq, Wall};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{broadcast, oneshot};

/// The way back. Dropping it unanswered tells the client that the edge is too busy or stopping.
pub type Reply<T> = oneshot::Sender<Result<T, Fault>>;

/// Answer to [`Ask::Calls`].
#[derive(Debug)]
pub struct CallsPage {
    /// A list of calls.
    pub calls: Value,
    /// The last of them, when the page is full: there may be more behind it.
    pub last: Option<(Instant, CallRef)>,
    /// Shards that have not answered in time. Their calls are not on the page, though they may belong there.
    pub missing: usize,
}

/// Answer to [`Ask::Pcap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcap {
    /// A file of pcap.
    pub file: Vec<u8>,
    /// How many messages it holds.
    pub messages: usize,
    /// When the first of them passed, and the last.
    pub span: (Wall, Wall),
    /// It holds the beginning of the call.
    pub whole: bool,
    /// Messages of which the end is missing, since no packet is so long.
    pub cut: usize,
    /// Messages that are kept, and more than one answer may hold.
    pub left_off: usize,
}

/// One question. Whoever answers must not wait for anything on the thread that took it off the queue.
#[derive(Debug)]
pub enum Ask {
    /// Every trunk. Answer: a list of trunks.
    Trunks {
        /// The way back.
        reply: Reply<Value>,
    },
    /// One trunk, with its targets.
    Trunk {
        /// Its name.
        trunk: String,
        /// The way back.
        reply: Reply<Value>,
    },
    /// The whole edge at one look: totals, alarms, a page of trunks with a line each.
    Desk {
        /// Which trunks, in which order.
        query: DeskQuery,
        /// The way back.
        reply: Reply<Value>,
    },
    /// Groups, who carries their calls now, and `more`, how many come after.
    Groups {
        /// So many are passed over.
        skip: usize,
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Value>,
    },
    /// Calls in progress, a line each.
    Live {
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Value>,
    },
    /// Calls that are over, a line each, the latest first.
    Ended {
        /// Those with numbers below this one.
        before: Option<Seq>,
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Value>,
    },
    /// Everything on record but calls, the latest first.
    Timeline {
        /// Only what concerns this one.
        trunk: Option<String>,
        /// Those with numbers below this one.
        before: Option<Seq>,
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Vec<Entry>>,
    },
    /// Calls in progress, in the order in which they came.
    Calls {
        /// 1000 at most.
        limit: usize,
        /// Behind this one: when its INVITE came, and its reference.
        after: Option<(Instant, CallRef)>,
        /// The way back.
        reply: Reply<CallsPage>,
    },
    /// One call, in progress or over.
    Call {
        /// Which.
        call: CallRef,
        /// The way back.
        reply: Reply<Value>,
    },
    /// What was said in a call, as far as it is kept.
    Pcap {
        /// Which.
        call: CallRef,
        /// Call-IDs of all its legs, from whoever knows its record; empty while it is in progress.
        call_ids: Vec<String>,
        /// The way back.
        reply: Reply<Pcap>,
    },
    /// Why a call went as it did, in sentences.
    WhyCall {
        /// Which.
        call: CallRef,
        /// The way back.
        reply: Reply<Vec<String>>,
    },
    /// Why a trunk is as it is, in sentences, oldest first.
    WhyTrunk {
        /// Its name.
        trunk: String,
        /// 1000 at most.
        limit: usize,
        /// With what a second policy would have decided.
        shadow: bool,
        /// The way back.
        reply: Reply<Vec<String>>,
    },
    /// A group as it is now.
    Group {
        /// Its name.
        group: String,
        /// The way back.
        reply: Reply<GroupView>,
    },
    /// The last records that concern a group or any of these trunks, oldest first.
    Decisions {
        /// Name of the group.
        group: String,
        /// Names of its trunks.
        trunks: Vec<String>,
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Vec<Entry>>,
    },
    /// The trunk table, bit for bit, with the fingerprint of its configuration and the number of the last record before it.
    Table {
        /// The way back.
        reply: Reply<Value>,
    },
    /// Alarms under way. Answer: a list of them.
    Alarms {
        /// The way back.
        reply: Reply<Value>,
    },
    /// Every record from now on. Who reads it too slowly loses the oldest ones and is told how many.
    Events {
        /// The way back.
        reply: Reply<broadcast::Receiver<Arc<Entry>>>,
    },
    /// A dry run of the routing.
    Route {
        /// Name of the trunk that the call would come from; any when missing.
        from: Option<String>,
        /// Called number.
        number: String,
        /// The way back.
        reply: Reply<Value>,
    },
    /// The operator's word about a trunk.
    Operate {
        /// Its name.
        trunk: String,
        /// What.
        act: TrunkAct,
        /// Whose word it is.
        word: Word,
        /// The way back.
        reply: Reply<Value>,
    },
    /// The operator's word about a group.
    OperateGroup {
        /// Its name.
        group: String,
        /// What.
        act: GroupAct,
        /// Whose word it is.
        word: Word,
        /// The way back.
        reply: Reply<Value>,
    },
    /// Whom the guard shuts out or limits: `sources`, the worst first, and `more`, how many are left off.
    Guard {
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Value>,
    },
    /// The operator forgives a source that the guard keeps out.
    Forgive {
        /// As the guard shows it.
        source: String,
        /// Whose word it is.
        word: Word,
        /// The way back.
        reply: Reply<Value>,
    },
    /// A test call now. Answer: when it is over, what came of it.
    TestCall {
        /// Name of the trunk.
        trunk: String,
        /// Whose word it is.
        word: Word,
        /// The way back.
        reply: Reply<Value>,
    },
    /// A webhook is told that nothing is the matter. Answer: what it has answered, or why it has not.
    TestPost {
        /// Name of the webhook.
        webhook: String,
        /// Whose word it is.
        word: Word,
        /// The way back.
        reply: Reply<Value>,
    },
    /// The drill under way, or something that is to be done with it. Answer: the drill.
    Drill {
        /// What.
        what: DrillAsk,
        /// The way back.
        reply: Reply<Value>,
    },
    /// Read the configuration again.
    Reload {
        /// The way back.
        reply: Reply<Value>,
    },
    /// Records in order.
    Journal {
        /// First number.
        from: Seq,
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Vec<Entry>>,
    },
    /// Calls that are over, in the order of their records, with their attempts. Answer: a list of rows, each with its `seq`.
    Cdrs {
        /// First number.
        from: Seq,
        /// Over at this time or later.
        since: Option<Wall>,
        /// 1000 at most.
        limit: usize,
        /// The way back.
        reply: Reply<Value>,
    },
    /// A question that only some nodes know, such as the lab's. Answer [`Fault::no_lab`] when it is none of yours.
    Extra {
        /// Its name: the last part of the path.
        what: String,
        /// Its parameters, as given.
        params: Vec<(String, String)>,
        /// The way back.
        reply: Reply<Value>,
    },
    /// How the process is.
    Health {
        /// The way back.
        reply: Reply<Health>,
    },
    /// Everything counted and measured.
    Metrics {
        /// The way back.
        reply: Reply<MetricsSnapshot>,
    },
}

/// What is asked of a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillAsk {
    /// How it is.
    Look,
    /// Begin one.
    Begin {
        /// Who drills, and why.
        word: Word,
        /// Names of the trunks that it may break.
        trunks: Vec<String>,
        /// Where its calls come from, and the name of the trunk that each counts as.
        callers: Vec<(SocketAddr, String)>,
        /// Trunks are broken for every call.
        all_calls: bool,
        /// Seconds until it ends at the latest.
        limit: u64,
    },
    /// Break a trunk.
    Break {
        /// Of which drill.
        id: u64,
        /// Name of the trunk.
        trunk: String,
        /// How; none mends it.
        fault: Option<DrillFault>,
    },
    /// Whoever began it is still there.
    Keep {
        /// Which drill.
        id: u64,
    },
    /// End it.
    End {
        /// Which drill.
        id: u64,
        /// Lines of it that passed.
        passed: u32,
        /// Lines of it that failed.
        failed: u32,
    },
}

/// What an operator may do to a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkAct {
    /// Keep live calls, take no new ones.
    Drain,
    /// Take none.
    Out,
    /// As health allows again, at once.
    Restore,
    /// Probe all its targets at once.
    Probe,
}

/// What an operator may do to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupAct {
    /// A tier is tried before the others.
    Force {
        /// Which, 0 the best.
        tier: u8,
        /// For how long at most.
        length: ForceLength,
    },
    /// All are tried in their usual order again.
    Release,
}

/// Who does something, and why.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Word {
    /// Name of the token, or `local`.
    pub who: String,
    /// In his own words; empty when he gave none.
    pub why: String,
}

/// Which trunks a look at the edge shows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeskQuery {
    /// Part of their names; empty for all.
    pub find: String,
    /// Only those that are not as they should be.
    pub troubled: bool,
    /// In which order.
    pub order: DeskOrder,
    /// So many are passed over.
    pub skip: usize,
    /// 1000 at most.
    pub limit: usize,
}

/// The order of trunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeskOrder {
    /// Those in trouble first.
    #[default]
    Worst,
    /// By name.
    Name,
    /// Those with most calls first.
    Calls,
}

impl TrunkAct {
    /// From the last part of the path.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "drain" => Some(Self::Drain),
            "out" => Some(Self::Out),
            "restore" => Some(Self::Restore),
            "probe" => Some(Self::Probe),
            _ => None,
        }
    }
}

/// How the process is. Both texts are one sentence for the person who reads the probe's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// None while every thread has answered lately; else which has not.
    pub silent: Option<String>,
    /// None while new calls are taken; else why not: draining, no shard.
    pub unready: Option<String>,
}
