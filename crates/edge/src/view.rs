//! What can be seen of the running edge: plain data for the API, the command line and the tests.
//!
//! Refuses to know: how it is shown.

use act::CallPlace;
use decide::Plan;
use explain::{AttemptRecord, ShutOutCause};
use model::{Admin, CallRef, Epoch, Health, Instant, Mos, Name, RegistrationState, Span, TestCallResult, Wall, Wish};
use serde::{Deserialize, Serialize};

/// One trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrunkView {
    /// Its name.
    pub name: Name,
    /// Health of its best target.
    pub health: Health,
    /// What the operator wants.
    pub admin: Admin,
    /// Its share of calls in percent.
    pub share: u8,
    /// How long it has been so.
    pub held: Span,
    /// Time left in which it asked for no calls.
    pub throttled: Option<Span>,
    /// How many calls fewer it asks for, if it does.
    #[serde(default)]
    pub wish: Option<Wish>,
    /// Calls it carries now, both directions.
    pub calls: u32,
    /// Its test calls, when it has any.
    #[serde(default)]
    pub test_calls: Option<TestCallsView>,
    /// Its names, when it has any, and how they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NameView>,
    /// Our registration there, when there is one.
    #[serde(default)]
    pub registration: Option<RegistrationView>,
    /// How its audio was in the calls that ended within five minutes, when some have.
    #[serde(default)]
    pub hearing: Option<HearingView>,
    /// Its targets.
    pub targets: Vec<TargetView>,
}

/// The audio of one trunk's calls that ended within five minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HearingView {
    /// Answered calls whose audio passed through the edge.
    pub calls: u32,
    /// Of them, those in which nothing ever came from the trunk although the other side spoke.
    pub one_way: u32,
    /// What was heard of the trunk.
    pub from: Option<HeardView>,
    /// What it was sent, as it came in from the other side: what the trunk heard was no better.
    pub to: Option<HeardView>,
}

/// One direction of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardView {
    /// Calls with sound in this direction.
    pub calls: u32,
    /// Packets missing or too late to be played, per thousand of all.
    pub loss_permille: u16,
    /// Median of the calls' mean jitters.
    pub jitter: Option<Span>,
    /// Opinion score, estimated, that nine of ten calls reach.
    pub mos_p10: Option<Mos>,
    /// Opinion score, estimated, that half of the calls reach.
    pub mos_p50: Option<Mos>,
}

/// Our registration at one trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationView {
    /// What has become of it; none before the first answer.
    pub state: Option<RegistrationState>,
    /// How long it has been so.
    pub held: Span,
    /// Until when it holds, unless it is renewed before.
    #[serde(default)]
    pub until: Option<Wall>,
    /// The same in words.
    pub sentence: String,
}

/// Test calls of one trunk since the start.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct TestCallsView {
    /// As expected.
    pub good: u64,
    /// Otherwise.
    pub bad: u64,
    /// Not placed, or broken off by us.
    pub void: u64,
    /// The last one that says something.
    pub last: Option<TestCallView>,
}

/// One test call.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct TestCallView {
    /// Address of the target.
    pub target: String,
    /// Time since its end.
    pub ago: Span,
    /// What came of it; none when it says nothing.
    pub result: Option<TestCallResult>,
    /// INVITE to ringback.
    pub ringback: Option<Span>,
    /// INVITE to answer.
    pub answer: Option<Span>,
    /// The same in one sentence.
    pub sentence: String,
}

/// One name in `at` of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameView {
    /// The name.
    pub name: Name,
    /// Time until what is known of it must be renewed.
    pub left: Span,
    /// Why it leads nowhere, or is not renewed; none when all is well.
    pub trouble: Option<String>,
    /// How long its last addresses stay in use nevertheless.
    pub kept: Option<Span>,
}

/// One target of a trunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetView {
    /// Its address.
    pub addr: String,
    /// The name in `at` that leads to it; none when `at` has its address.
    #[serde(default)]
    pub name: Option<Name>,
    /// Its turn among the targets of its trunk that are as well as it is, 0 the first.
    #[serde(default)]
    pub priority: u8,
    /// Its share among those of its turn.
    #[serde(default)]
    pub weight: u16,
    /// Its health.
    pub health: Health,
    /// How long it has been so.
    pub held: Span,
    /// Probes accepted in a row.
    pub probes_good: u32,
    /// Probes failed in a row.
    pub probes_bad: u32,
    /// Round trip of the last answered probe.
    pub rtt: Option<Span>,
    /// Attempts within the last minute.
    pub attempts: u32,
    /// Of them blamed on the trunk.
    pub blamed: u32,
}

/// One call in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallView {
    /// The call.
    pub call: CallRef,
    /// Trunk it came from.
    pub from: Name,
    /// Trunk that carries it, or is being tried.
    pub to: Option<Name>,
    /// Calling number.
    pub caller: String,
    /// Called number.
    pub called: String,
    /// `trying`, `ringing`, `answered`, `ending`.
    pub state: String,
    /// INVITE received.
    pub invited: Instant,
    /// Time since the INVITE.
    pub age: Span,
    /// Time since the answer.
    pub talking: Option<Span>,
    /// The plan it follows.
    pub plan: Option<Plan>,
    /// Attempts so far, the running one last.
    pub attempts: Vec<AttemptView>,
    /// The same in sentences.
    pub sentences: Vec<String>,
}

impl CallView {
    /// Its place among all calls.
    pub fn place(&self) -> CallPlace {
        (self.invited, self.call)
    }
}

/// One attempt of a call in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptView {
    /// It is over.
    Over(AttemptRecord),
    /// It waits.
    Waiting {
        /// On whom.
        trunk: Name,
        /// For how long.
        since: Span,
    },
}

/// One shard in numbers.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ShardView {
    /// Which.
    pub shard: u8,
    /// Calls.
    pub calls: u64,
    /// SIP transactions.
    pub transactions: u64,
    /// Addresses of phones that it knows.
    pub registered: u64,
    /// Media port pairs ready.
    pub ports_ready: u64,
    /// Media port pairs in use or in quarantine.
    pub ports_used: u64,
    /// Of these, pairs in quarantine.
    pub ports_resting: u64,
    /// Epoch of the trunk table it works by.
    pub epoch: Epoch,
    /// Calls per trunk, by trunk id.
    pub trunk_calls: Vec<u32>,
    /// Everything counted, by name.
    pub counters: Vec<(String, u64)>,
    /// Whom the guard shuts out or limits, the worst first; at most a hundred.
    #[serde(default)]
    pub guarded: Vec<GuardedView>,
    /// How many more there are.
    #[serde(default)]
    pub guarded_more: u64,
}

/// A source that the guard shuts out or limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedView {
    /// Its address, its network for IPv6, address and port of a phone.
    pub source: String,
    /// What for.
    pub why: GuardedFor,
    /// For how long by now.
    pub held: Span,
    /// For how long still.
    pub left: Span,
    /// How often it has been shut out by now.
    pub times: u8,
    /// How many messages were dropped since.
    pub dropped: u64,
}

/// Why the guard drops what a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardedFor {
    /// It is shut out: everything.
    ShutOut(ShutOutCause),
    /// More REGISTERs than a house of phones would send: the rest of the window's.
    Registers,
    /// A registered phone's messages outside calls, more than it may: the rest of the window's.
    Messages,
}

impl GuardedView {
    /// Those shut out before those limited, then those of whom most was dropped.
    pub fn worst_first(all: &mut [Self]) {
        let rank = |view: &Self| (matches!(view.why, GuardedFor::ShutOut(_)), view.dropped, view.left);
        all.sort_by(|one, other| rank(other).cmp(&rank(one)).then_with(|| one.source.cmp(&other.source)));
    }

    /// What another shard says of the same source.
    pub fn join(&mut self, other: &Self) {
        if matches!(other.why, GuardedFor::ShutOut(_)) {
            self.why = other.why;
        }
        self.held = self.held.max(other.held);
        self.left = self.left.max(other.left);
        self.times = self.times.max(other.times);
        self.dropped = self.dropped.saturating_add(other.dropped);
    }
}

/// A dry run of the routing for one number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteView {
    /// Epoch of the trunk table.
    pub epoch: Epoch,
    /// Trunks in the order in which they would be tried.
    pub order: Vec<Name>,
    /// Those left out, each with why.
    pub excluded: Vec<(Name, String)>,
    /// Every candidate is Down.
    pub last_resort: bool,
    /// The same in sentences.
    pub sentences: Vec<String>,
}
