//! The compiled configuration: names resolved to numbers, text to values, defaults filled in.
//!
//! One immutable value that node, shards, control and API share; a reload makes a new one. Refuses to know: TOML.

use super::edge::{LogForm, MediaIo};
use super::numbers::TargetNumbers;
use super::streams::{ListenStreams, StreamLimits};
use super::test_call::TestCallPlan;
use super::tls::{ListenTls, TrunkTls};
use crate::names::locate::Located;
use crate::names::{DnsSettings, NamedTrunk};
use crate::window::Calendar;
use core::net::{IpAddr, SocketAddr};
use model::{GroupId, ListenId, Name, SocketId, TargetId, TrunkId};
use sense::BlamePolicy;
use sip::{Flow, SentBy, Transport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything the edge works by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this edge.
    pub name: Name,
    /// What the edge calls itself to its peers; empty when it does not.
    pub product: String,
    /// Where the HTTP API listens; none switches it off.
    pub api: Option<SocketAddr>,
    /// Who may what there.
    pub access: super::api::ApiAccess,
    /// Form of the log's lines.
    pub log: LogForm,
    /// Who is told of alarms.
    pub webhooks: Vec<super::webhook::Webhook>,
    /// Who collects traces of calls.
    pub traces: Option<super::traces::Traces>,
    /// Folder of the store; none keeps the journal in memory.
    pub data: Option<String>,
    /// Names this text in records: equal texts have equal fingerprints.
    pub fingerprint: u32,
    /// Local SIP sockets; index is `SocketId`.
    pub sockets: Vec<Socket>,
    /// Local sides of the edge; index is `ListenId`.
    pub listens: Vec<Listen>,
    /// What `act` needs of each trunk and listen.
    pub profiles: Arc<act::Profiles>,
    /// What `decide` needs.
    pub shape: Arc<decide::Shape>,
    /// Who is kept out.
    pub guard: Arc<crate::guard::GuardPolicy>,
    /// When the groups that have windows may take a trunk back.
    pub windows: Vec<(GroupId, Calendar)>,
    /// Which address of a trunk has which number, by `TrunkId`.
    pub target_numbers: Vec<TargetNumbers>,
    /// How names are looked up.
    pub dns: DnsSettings,
    /// Trunks that have names.
    pub named: BTreeMap<TrunkId, NamedTrunk>,
    /// What the entries of those trunks lead to, by entry.
    pub located: BTreeMap<TrunkId, Vec<Vec<Located>>>,
    /// How targets of a trunk are probed, and whose fault their codes are; by `TrunkId`.
    pub watches: Vec<Option<(sense::ProbePolicy, BlamePolicy)>>,
    /// How each target is probed.
    pub probes: Vec<(TargetId, sense::ProbePolicy)>,
    /// Whose fault codes are at targets that have a table of their own.
    pub blames: Vec<(TargetId, BlamePolicy)>,
    /// Test calls, by `TrunkId`; none for most.
    pub test_calls: Vec<Option<TestCallPlan>>,
    /// Limits of connections.
    pub streams: StreamLimits,
    /// Who may open connections, by `ListenId`.
    pub listen_streams: Vec<ListenStreams>,
    /// Who the edge is to those that connect by TLS, by `ListenId`.
    pub listen_tls: Vec<Option<ListenTls>>,
    /// Whom it trusts when it connects by TLS, by `TrunkId`.
    pub trunk_tls: Vec<TrunkTls>,
    /// Our registrations, by `TrunkId`; none for most.
    pub registrations: Vec<Option<act::Registration>>,
    /// Names by id.
    pub names: explain::Names,
    /// Where phones register, if they do.
    pub registrar: Option<Arc<act::RegistrarRules>>,
    /// File of more users, as written.
    pub users_file: Option<String>,
    /// File of what a party hears while the other one is reached again, as written.
    pub announcement_file: Option<String>,
    /// How packets of media pass the kernel.
    pub media_io: MediaIo,
    /// Bytes for the messages of the last calls, of all shards together; 0 keeps none.
    pub capture: usize,
    /// Who is told each SIP message.
    pub hep: Option<super::hep::Collector>,
    /// File of a second policy that runs beside this one, as written.
    pub shadow_file: Option<String>,
    /// That policy, once somebody has read it.
    pub shadow: Option<Arc<crate::shadow::ShadowPolicy>>,
}

impl Settings {
    /// Test calls of a trunk.
    pub fn test_call(&self, trunk: TrunkId) -> Option<&TestCallPlan> {
        self.test_calls.get(trunk.index())?.as_ref()
    }

    /// Targets that are reached by UDP and take large requests by TCP: either way.
    pub fn large_ways(&self) -> Vec<(Flow, Flow)> {
        let trunks = self.profiles.trunks.iter().flatten().filter(|trunk| trunk.large_by_tcp);
        let targets = trunks.flat_map(|trunk| trunk.targets.iter().map(|target| (trunk.listen, target)));
        let way = |(listen, target): (ListenId, &act::Target)| {
            let fits = |socket: &&Socket| {
                (socket.listen, socket.transport) == (listen, Transport::Tcp)
                    && socket.bind.is_ipv4() == target.addr.is_ipv4()
            };
            let from = Flow { socket: target.socket, peer: target.addr, transport: target.transport };
            let by_tcp = self.sockets.iter().find(fits).filter(|_| from.transport == Transport::Udp)?;
            Some((from, Flow { socket: by_tcp.id, transport: Transport::Tcp, ..from }))
        };
        targets.filter_map(way).collect()
    }

    /// Every target that gets test calls, and how often.
    pub fn tested(&self) -> Vec<(TargetId, sense::TestCallPace)> {
        let probed = self.probes.iter().map(|(target, _)| *target);
        probed.filter_map(|target| Some((target, self.test_call(target.trunk)?.pace))).collect()
    }
}

/// One local SIP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its number.
    pub id: SocketId,
    /// The listen it belongs to.
    pub listen: ListenId,
    /// Its transport.
    pub transport: sip::Transport,
    /// Where it is bound.
    pub bind: SocketAddr,
    /// What the far side sees (Via sent-by, Contact).
    pub sent_by: SocketAddr,
    /// The name that it sees instead in Contact and the like.
    pub host: Option<Arc<str>>,
}

impl Socket {
    /// What it says of itself.
    pub fn seen_as(&self) -> SentBy {
        SentBy { name: self.host.clone(), ..SentBy::new(self.sent_by, self.transport) }
    }
}

/// One local side of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Its name.
    pub name: Name,
    /// Where audio is anchored; none means signalling only.
    pub media: Option<MediaRange>,
}

/// UDP ports for media. RTP takes the even ones, RTCP the next odd one (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaRange {
    /// Where the ports are bound.
    pub bind: IpAddr,
    /// What the far side sees in SDP.
    pub advertised: IpAddr,
    /// First port, even.
    pub first: u16,
    /// Last port, odd.
    pub last: u16,
}
