//! What comes in: matched to transactions, checked, absorbed, answered by rule, or handed to the user.
//!
//! What is refused here is refused without a transaction (RFC 3261 8.2.7): the To tag of such an answer is a hash of the
//! request's identity, so repeats get the same answer, and the ACK that follows is known by that tag and absorbed.

use super::{
    Client, ClientKey, ClientMachine, Endpoint, Event, Failure, Fork, Rejected, Server, ServerKey, ServerMachine,
};
use crate::compose::{self, Answer};
use crate::message::{Malformed, Message};
use crate::mint::{MAGIC_COOKIE, spell_hash};
use crate::transaction::invite_client::Heard;
use crate::transaction::invite_server::{Acked, InviteServer};
use crate::transaction::key::Identity;
use crate::transaction::request_server::RequestServer;
use crate::transaction::table::Id;
use crate::transport::Flow;
use crate::wire::{HeaderName, Method};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::SocketAddr;
use memchr::memmem;
use model::{Instant, SocketId, TransportFault};
use smallvec::SmallVec;

/// Option tags we understand when a request requires them (8.2.2.3).
const KNOWN_EXTENSIONS: [&[u8]; 4] = [b"timer", b"100rel", b"replaces", b"norefersub"];

impl Endpoint {
    /// Takes one datagram, or one framed message of a stream. A response by datagram must come from the host that was asked.
    pub fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) -> Result<(), Rejected> {
        self.receive_among(now, flow, bytes, &|_, _| false)
    }

    /// The same; `is_one_peer` says of two flows of different hosts whether both are one peer's, which may answer by another address than it
    /// was asked at. A branch is hard to guess and easily overheard: whoever overhears one must not answer for our peer.
    pub fn receive_among(
        &mut self,
        now: Instant,
        flow: Flow,
        bytes: &[u8],
        is_one_peer: &dyn Fn(Flow, Flow) -> bool,
    ) -> Result<(), Rejected> {
        self.counters.received += 1;
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            // RFC 5626 3.5.1: a double CRLF on a stream is a ping. On UDP it only keeps a NAT open.
            if flow.transport.is_reliable() && bytes.len() >= 4 {
                self.transmit(flow, b"\r\n".to_vec());
            }
            return Ok(());
        }
        match Message::parse(bytes.to_vec()) {
            Ok(message) if message.is_request() => self.receive_request(now, flow, message),
            Ok(message) => self.receive_response(now, flow, message, is_one_peer),
            Err(malformed) => {
                self.counters.malformed += 1;
                self.answer_malformed(flow, bytes, malformed);
                Err(Rejected::Malformed(malformed))
            }
        }
    }

    /// The network refused a datagram of ours; `sent` is its beginning, as far as the network quoted it. The request it
    /// belongs to fails at once if nobody has answered it yet; whoever has answered was reached, and time will tell. An INVITE that was
    /// sent before may have come through then: what answers it is cancelled, or reported when it is a 2xx.
    pub fn undeliverable(
        &mut self,
        now: Instant,
        socket: SocketId,
        peer: SocketAddr,
        sent: &[u8],
        fault: TransportFault,
    ) {
        self.shun(now, socket, peer);
        let waits = |client: &Client| match &client.machine {
            ClientMachine::Invite(machine) => machine.is_unheard() && !client.failed,
            ClientMachine::Request(machine) => machine.is_pending(),
        };
        let found = own_request(sent).and_then(|(branch, is_cancel)| {
            let hash = self.client_hash(branch, is_cancel);
            self.clients.find(hash, |client| {
                client.branch.as_bytes() == branch
                    && (client.method == Method::Cancel) == is_cancel
                    && (client.flow.socket, client.flow.peer) == (socket, peer)
                    && waits(client)
            })
        });
        match found {
            Some(id) if self.fall_back(now, id) => {}
            Some(id) => self.refuse_client(id, Failure::Unreachable(fault)),
            None => self.counters.unreachable_other += 1,
        }
    }

    /// The connection of this flow is dead. What was asked by it and nobody has answered is asked once more, by the way that `anew` says
    /// for the address in its Route or URI: many a connection has been dead for long and is only found to be so by what is sent. It has
    /// the same branch, so whoever got it after all takes it as repeated (RFC 3261 §17.2.3). A peer that has fallen silent is asked
    /// again only inside a dialog, which nobody else can carry on: what has fallen silent may be a firewall that has forgotten the
    /// connection, and let a new one pass. Nobody is asked a fourth time: then it fails at once. It may have come through all the same, so that an INVITE is given up but not
    /// forgotten: what answers it is cancelled, or reported when it is a 2xx. Whoever has answered provisionally goes on, since his final
    /// answer may come by a new connection (§18.2.2).
    pub fn broken(
        &mut self,
        _now: Instant,
        flow: Flow,
        fault: TransportFault,
        anew: &dyn Fn(Option<SocketAddr>) -> Flow,
    ) {
        let unheard = self.clients.ids(|client| {
            let waits = match &client.machine {
                ClientMachine::Invite(machine) => machine.is_unheard() && !client.failed,
                ClientMachine::Request(machine) => machine.is_unheard(),
            };
            client.flow == flow && waits
        });
        for id in unheard {
            if let Some(ClientMachine::Invite(machine)) = self.clients.get_mut(id).map(|client| &mut client.machine) {
                machine.may_have_arrived();
            }
            match self.clients.get_mut(id).and_then(|client| client.once_more(fault, anew)) {
                Some((flow, bytes)) => {
                    self.counters.asked_anew += 1;
                    self.transmit(flow, bytes);
                }
                None => self.refuse_client(id, Failure::Unreachable(fault)),
            }
        }
    }

    fn receive_response(
        &mut self,
        now: Instant,
        flow: Flow,
        message: Message,
        is_one_peer: &dyn Fn(Flow, Flow) -> bool,
    ) -> Result<(), Rejected> {
        // 8.1.3.3: we put one Via on, so one must be left. Whether it is ours is known by its branch, which nobody guesses.
        if message.values(HeaderName::Via).nth(1).is_some() {
            self.counters.misrouted_responses += 1;
            return Err(Rejected::MisroutedResponse);
        }
        let method = message.cseq().method;
        let is_cancel = method == Method::Cancel;
        let via = message.via();
        let branch = via.branch().unwrap_or_default();
        // 17.1.3: branch and CSeq method.
        let found = self.clients.find(self.client_hash(branch, is_cancel), |client| {
            client.branch.as_bytes() == branch && client.method == method
        });
        let (Some(id), Some(code)) = (found, message.status()) else {
            self.counters.stray_responses += 1;
            return Err(Rejected::StrayResponse);
        };
        let asked = self.clients.get(id).map_or(flow, |client| client.flow);
        if !is_same_host(asked, flow) && !is_one_peer(asked, flow) {
            self.counters.foreign_responses += 1;
            return Err(Rejected::ForeignResponse);
        }
        self.hear(now, flow, id, code, message);
        self.send_cancel_if_due(now, id);
        self.settle_client(now, id);
        Ok(())
    }

    fn hear(&mut self, now: Instant, flow: Flow, id: Id, code: u16, message: Message) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.is_heard();
        let tell = match &mut client.machine {
            ClientMachine::Request(machine) => {
                let tell = machine.response(now, code);
                if !machine.is_pending() {
                    client.bytes = Vec::new();
                }
                tell
            }
            ClientMachine::Invite(machine) => match machine.response(now, code) {
                Heard::Tell => true,
                Heard::AckAndTell => {
                    self.acknowledge_refusal(id, &message);
                    true
                }
                Heard::AckAgain => {
                    let (to, ack) = (client.flow, client.bytes.clone());
                    self.transmit(to, ack);
                    false
                }
                Heard::Success => self.hear_success(now, id, &message),
                Heard::Absorb => false,
            },
        };
        match self.clients.get(id) {
            Some(client) if tell && client.is_silent() && !(client.failed && (200..300).contains(&code)) => {}
            _ if tell => self.events.push_back(Event::Response { client: ClientKey(id), flow, message }),
            _ => self.counters.absorbed_responses += 1,
        }
    }

    /// A 2xx to INVITE: new by its To tag and so for the user, or a repeat that gets its ACK again (13.2.2.4, RFC 6026 7.2).
    fn hear_success(&mut self, now: Instant, id: Id, message: &Message) -> bool {
        let to = message.to();
        let tag = to.tag().unwrap_or_default();
        let Some(client) = self.clients.get_mut(id) else { return false };
        // Nothing of the INVITE is repeated or cancelled any more.
        client.bytes = Vec::new();
        client.cancel_reason = None;
        if let Some(fork) = client.forks.iter().find(|fork| *fork.tag == *tag) {
            if let Some((to, ack)) = &fork.ack {
                let (to, ack) = (*to, ack.to_vec());
                self.send_ack(now, to, ack);
            }
            return false;
        }
        if client.forks.len() >= self.limits.forks {
            self.counters.forks_dropped += 1;
            return false;
        }
        client.forks.push(Fork { tag: tag.into(), ack: None });
        true
    }

    fn receive_request(&mut self, now: Instant, flow: Flow, message: Message) -> Result<(), Rejected> {
        let identity = Identity::of(&message);
        let hash = self.hasher.hash_one(identity.as_bytes());
        let known = self.servers.find(hash, |server| *server.identity == *identity.as_bytes());
        match (message.method(), known) {
            (Method::Ack, known) => self.receive_ack(now, flow, hash, known, message),
            (Method::Cancel, known) => self.receive_cancel(flow, hash, known, &message),
            (_, Some(id)) => {
                self.repeat_request(id);
                Ok(())
            }
            (_, None) => {
                let merge = self.merge_hashes(&message);
                self.screen(flow, hash, merge, &message)?;
                self.admit(now, flow, identity, hash, merge, message)
            }
        }
    }

    fn repeat_request(&mut self, id: Id) {
        self.counters.absorbed_requests += 1;
        let Some(server) = self.servers.get(id) else { return };
        let again = match &server.machine {
            ServerMachine::Invite(machine) => machine.repeated(),
            ServerMachine::Request(machine) => machine.repeated(),
        };
        if again && !server.last.is_empty() {
            let (flow, bytes) = (server.flow, server.last.clone());
            self.transmit(flow, bytes);
        }
    }

    fn receive_ack(
        &mut self,
        now: Instant,
        flow: Flow,
        hash: u64,
        known: Option<Id>,
        message: Message,
    ) -> Result<(), Rejected> {
        let acked = match known.and_then(|id| self.servers.get_mut(id)) {
            Some(Server { machine: ServerMachine::Invite(machine), last, .. }) => {
                let acked = machine.ack(now);
                if acked == Acked::Absorbed {
                    *last = Vec::new();
                }
                acked
            }
            // Our own refusal without a transaction, known by its tag.
            _ if message.to().tag() == Some(&spell_hash(hash)) => Acked::Absorbed,
            _ => Acked::ForUser,
        };
        if let Some(id) = known {
            self.settle_server(now, id);
        }
        match acked {
            Acked::Absorbed => self.counters.absorbed_acks += 1,
            Acked::ForUser => self.events.push_back(Event::Ack { flow, message }),
            Acked::Stray => {
                self.counters.stray_acks += 1;
                return Err(Rejected::StrayAck);
            }
        }
        Ok(())
    }

    /// 9.2. The CANCEL gets no transaction of its own: its answer depends only on the INVITE's, so repeats are answered alike.
    fn receive_cancel(&mut self, flow: Flow, hash: u64, known: Option<Id>, message: &Message) -> Result<(), Rejected> {
        let Some((id, server)) = known.and_then(|id| Some((id, self.servers.get_mut(id)?))) else {
            self.counters.stray_cancels += 1;
            return self.refuse(flow, hash, message, Answer::new(481), Rejected::StrayCancel);
        };
        // It is sent hop by hop, by whoever sent the INVITE (9.1), and no authentication can be asked of it (22.1).
        if !is_same_host(server.source, flow) {
            self.counters.foreign_cancels += 1;
            return self.refuse(flow, hash, message, Answer::new(481), Rejected::ForeignCancel);
        }
        if server.tag.is_empty() {
            server.tag = SmallVec::from_slice(&self.minter.tag());
        }
        let mut answer = Answer::new(200);
        answer.to_tag = Some(server.tag.to_vec());
        let pending = matches!(&server.machine, ServerMachine::Invite(machine) if machine.is_pending());
        if pending && !server.cancelled {
            server.cancelled = true;
            let reason = message.header(HeaderName::Reason).map(<[u8]>::to_vec);
            self.events.push_back(Event::Cancelled { server: ServerKey(id), reason });
        }
        self.answer(flow, message, &answer);
        Ok(())
    }

    /// The checks of 8.2.1-8.2.3 and 16.3 that need no knowledge of calls. An OPTIONS without hops left is not refused
    /// but handed on: it asks about us, for we are where it ends (11.2).
    fn screen(&mut self, flow: Flow, hash: u64, merge: (u64, u64), message: &Message) -> Result<(), Rejected> {
        if !is_served_scheme(message.uri()) {
            self.counters.unknown_schemes += 1;
            return self.refuse(flow, hash, message, Answer::new(416), Rejected::UnknownScheme);
        }
        if message.max_forwards() == Some(0) && message.method() != Method::Options {
            self.counters.too_many_hops += 1;
            return self.refuse(flow, hash, message, Answer::new(483), Rejected::TooManyHops);
        }
        // What another shard sends is ours by its Via, and goes no further than here.
        if !flow.is_between_shards() && self.was_here(message) {
            self.counters.loops += 1;
            return self.refuse(flow, hash, message, Answer::new(482), Rejected::Loop);
        }
        let outside_dialog = message.to().tag().is_none();
        if outside_dialog && self.servers.find(merge.0, |server| server.merge == merge.1).is_some() {
            self.counters.merged += 1;
            return self.refuse(flow, hash, message, Answer::new(482), Rejected::Merged);
        }
        let unknown: Vec<&[u8]> = message
            .values(HeaderName::Require)
            .filter(|tag| !tag.is_empty() && !KNOWN_EXTENSIONS.iter().any(|known| tag.eq_ignore_ascii_case(known)))
            .collect();
        // What a REGISTER may require, its registrar knows (10.3 step 2).
        if !unknown.is_empty() && message.method() != Method::Register {
            self.counters.unknown_extensions += 1;
            let mut answer = Answer::new(420);
            answer.headers.push("Unsupported", &unknown.join(&b", "[..]));
            return self.refuse(flow, hash, message, answer, Rejected::UnknownExtension);
        }
        Ok(())
    }

    /// Whether a Via of the request is ours: it passed us, and nobody between has ended it (16.3 item 4). All nodes that
    /// share the key but not the number are others.
    fn was_here(&self, message: &Message) -> bool {
        message
            .values(HeaderName::Via)
            .any(|via| memmem::find_iter(via, MAGIC_COOKIE).any(|at| self.minter.is_own(token_at(&via[at..]))))
    }

    /// Two hashes of what 8.2.2.2 compares. Together they are 128 bits, which stands for the comparison.
    fn merge_hashes(&self, message: &Message) -> (u64, u64) {
        let cseq = message.cseq();
        let from = message.from();
        let facts = (from.tag().unwrap_or_default(), message.call_id(), cseq.number, message.method_text());
        (self.hasher.hash_one((1u8, facts)), self.hasher.hash_one((2u8, facts)))
    }

    fn admit(
        &mut self,
        now: Instant,
        flow: Flow,
        identity: Identity,
        hash: u64,
        merge: (u64, u64),
        message: Message,
    ) -> Result<(), Rejected> {
        let inside_dialog = message.to().tag().is_some();
        if !self.has_room(inside_dialog && message.method() != Method::Invite) {
            self.counters.overloaded += 1;
            let mut answer = Answer::new(503);
            answer.headers.push("Retry-After", format!("{}", self.limits.retry_after_s).as_bytes());
            return self.refuse(flow, hash, &message, answer, Rejected::Overloaded);
        }
        let back = way_back(flow, &message);
        let reliable = flow.transport.is_reliable();
        let is_invite = message.method() == Method::Invite;
        let machine = if is_invite {
            ServerMachine::Invite(InviteServer::new(&self.limits.serving, reliable))
        } else {
            ServerMachine::Request(RequestServer::new(now, &self.limits.serving, reliable))
        };
        // 17.2.1: at once, since nobody can say that the user answers within 200 ms. It needs no tag (8.2.6.2).
        let last = if is_invite { self.answer(flow, &message, &Answer::new(100)) } else { Vec::new() };
        // Only the first of several merged requests is looked for, and one inside a dialog never is.
        let alias = (!inside_dialog).then_some(merge.0);
        let server = Server {
            identity: Box::from(identity.as_bytes()),
            merge: merge.1,
            flow: back,
            source: flow,
            machine,
            request: Some(message.clone()),
            last,
            tag: SmallVec::new(),
            cancelled: false,
            reliable: None,
            armed: None,
        };
        let id = self.servers.insert(hash, alias, server);
        self.counters.requests_in += 1;
        self.events.push_back(Event::Request { server: ServerKey(id), flow, message });
        self.settle_server(now, id);
        Ok(())
    }

    /// Sends a response that needs no tag of a transaction, and hands its bytes back.
    fn answer(&mut self, flow: Flow, message: &Message, answer: &Answer) -> Vec<u8> {
        let bytes = compose::response(message, flow, answer, &self.product);
        self.transmit(way_back(flow, message), bytes.clone());
        bytes
    }

    /// 400 or 505 to what can be told to be a request, back where it came from.
    fn answer_malformed(&mut self, flow: Flow, bytes: &[u8], malformed: Malformed) {
        let answer = malformed.code().and_then(|code| compose::refusal_of_unparsed(bytes, code, flow));
        if let Some(answer) = answer {
            self.transmit(flow, answer);
        }
    }

    /// Answers without a transaction.
    fn refuse(
        &mut self,
        flow: Flow,
        hash: u64,
        message: &Message,
        mut answer: Answer,
        why: Rejected,
    ) -> Result<(), Rejected> {
        answer.to_tag = Some(spell_hash(hash).to_vec());
        self.answer(flow, message, &answer);
        Err(why)
    }
}

/// Where responses go: 18.2.2 with RFC 3581 4. On a stream back the same way; on UDP to the sender's port when the client
/// asked by `rport`, else to the port it wrote; the address is the sender's, which is what `received` would say.
/// `maddr` is not followed: it would let anyone aim our answers at a third party.
fn way_back(flow: Flow, message: &Message) -> Flow {
    let via = message.via();
    if flow.transport.is_reliable() || via.has_rport() {
        return flow;
    }
    Flow { peer: SocketAddr::new(flow.peer.ip(), via.port().unwrap_or(5060)), ..flow }
}

/// On a stream too: a handshake shows that its far end is there, not that it is the one we speak with. The port may be any, since an
/// answer may come by a new connection (18.2.2).
fn is_same_host(asked: Flow, came: Flow) -> bool {
    asked.peer.ip() == came.peer.ip()
}

/// sip and sips; tel as well, because trunks send it (8.2.2.1, RFC 3966).
fn is_served_scheme(uri: &[u8]) -> bool {
    let scheme = uri.split(|&byte| byte == b':').next().unwrap_or_default();
    [&b"sip"[..], b"sips", b"tel", b"urn"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// The branch of a request of ours and whether it is a CANCEL, out of its first bytes: the Via is the first header we write.
/// `None` when it is an ACK or a response, or ends before the branch; a branch cut short matches nothing.
fn own_request(sent: &[u8]) -> Option<(&[u8], bool)> {
    if sent.starts_with(b"SIP/2.0 ") || sent.starts_with(b"ACK ") {
        return None;
    }
    let line = &sent[memchr::memchr(b'\n', sent)? + 1..];
    let branch = token_at(&line[memmem::find(line, MAGIC_COOKIE)?..]);
    Some((branch, sent.starts_with(b"CANCEL ")))
}

/// Letters and digits from the start of `text` on.
fn token_at(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}
