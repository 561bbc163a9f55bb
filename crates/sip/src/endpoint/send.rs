//! What goes out: requests, their ACKs and CANCELs, and responses.

use super::large::AsDatagram;
use super::{Client, ClientKey, ClientMachine, Endpoint, Failure, Full, Server, ServerKey, ServerMachine};
use crate::compose::{self, Answer, Draft};
use crate::message::Message;
use crate::mint::Token;
use crate::transaction::invite_client::InviteClient;
use crate::transaction::request_client::RequestClient;
use crate::transaction::table::Id;
use crate::transaction::timers::TimerSet;
use crate::transport::Flow;
use crate::wire::{Method, scan};
use alloc::boxed::Box;
use alloc::vec::Vec;
use model::{Instant, TransportFault};
use smallvec::SmallVec;

impl Endpoint {
    /// Sends a request and looks after it: repeats it, and reports each response or the lack of one by the key returned.
    /// ACK and CANCEL have ways of their own (`ack`, `cancel`) and are refused here, as is
    /// a method without a name. A socket that was never bound fails
    /// the request at once, by event, like any other local fault.
    pub fn request(&mut self, now: Instant, to: Flow, draft: Draft, timers: &TimerSet) -> Result<ClientKey, Full> {
        let misused = matches!(draft.method, Method::Ack | Method::Cancel | Method::Other);
        if misused || !self.has_room(draft.method != Method::Invite) {
            self.counters.full += 1;
            return Err(Full);
        }
        self.counters.requests_out += 1;
        let branch = self.minter.branch();
        let method = draft.method;
        let bound = self.sent_by(to.socket);
        let bytes =
            bound.as_ref().map(|own| compose::request(&draft, own.transport, own.addr, &branch)).unwrap_or_default();
        let (to, bytes, as_datagram) = match self.by_stream(now, to, &bytes) {
            Some((flow, large)) => (flow, large, Some(AsDatagram::new(to, bytes, timers))),
            None => (to, bytes, None),
        };
        let reliable = to.transport.is_reliable();
        let machine = if method == Method::Invite {
            ClientMachine::Invite(InviteClient::new(now, timers, reliable))
        } else {
            ClientMachine::Request(RequestClient::new(now, timers, reliable))
        };
        let id = self.insert_client(branch, method, to, machine, bytes.clone());
        if let Some(client) = self.clients.get_mut(id) {
            client.as_datagram = as_datagram;
        }
        if bound.is_some() {
            self.transmit(to, bytes);
            self.settle_client(now, id);
        } else {
            self.fail_client(id, Failure::Unreachable(TransportFault::Local));
        }
        Ok(ClientKey(id))
    }

    fn insert_client(
        &mut self,
        branch: Token,
        method: Method,
        flow: Flow,
        machine: ClientMachine,
        bytes: Vec<u8>,
    ) -> Id {
        let hash = self.client_hash(&branch, method == Method::Cancel);
        let client = Client {
            branch,
            method,
            flow,
            machine,
            bytes,
            forks: Vec::new(),
            cancel_reason: None,
            as_datagram: None,
            failed: false,
            asked_anew: 0,
            armed: None,
        };
        self.clients.insert(hash, None, client)
    }

    /// Sends an INVITE again that has had a provisional response and waits for a final one: its server transaction, if it still
    /// lives, repeats its last provisional (17.2.1). Done only when there is reason to doubt that it does, as 17.1.1.2 ends
    /// the regular repetitions with the first provisional; on a stream, which repeats for itself, it starts none. There it asks the peer,
    /// not the network: a connection lives on when whoever was behind it is gone, and when it is dead, it is by a new one that the
    /// peer is asked. False when the INVITE is not of that kind.
    pub fn ask_again(&mut self, client: ClientKey) -> bool {
        let Some(client) = self.clients.get(client.0) else { return false };
        let ClientMachine::Invite(machine) = &client.machine else { return false };
        if !machine.is_ringing() {
            return false;
        }
        let (flow, bytes) = (client.flow, client.bytes.clone());
        self.transmit(flow, bytes);
        true
    }

    /// Gives an INVITE up (9.1). The CANCEL leaves after the first provisional; a final response that comes before makes it
    /// void, and is reported as ever: a 2xx must still be acknowledged and ended by BYE. When nothing final comes within
    /// 64*T1 after the CANCEL, `ClientFailed` with `NoReply` ends it. `reason` is the value of a Reason header (RFC 3326).
    pub fn cancel(&mut self, now: Instant, client: ClientKey, reason: Option<&[u8]>) {
        match self.clients.get_mut(client.0) {
            Some(Client { machine: ClientMachine::Invite(machine), cancel_reason, .. }) if machine.is_pending() => {
                machine.cancel();
                if cancel_reason.is_none() {
                    *cancel_reason = reason.map(Box::from);
                }
                self.send_cancel_if_due(now, client.0);
                self.settle_client(now, client.0);
            }
            _ => self.counters.late_orders += 1,
        }
    }

    pub(super) fn send_cancel_if_due(&mut self, now: Instant, id: Id) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let ClientMachine::Invite(machine) = &mut client.machine else { return };
        if !machine.cancel_due(now) {
            return;
        }
        let Some(bytes) = compose::cancel(&client.bytes, client.cancel_reason.as_deref()) else { return };
        let (branch, flow, timers) = (client.branch, client.flow, machine.timers());
        let machine = ClientMachine::Request(RequestClient::new(now, &timers, flow.transport.is_reliable()));
        let cancel = self.insert_client(branch, Method::Cancel, flow, machine, bytes.clone());
        self.transmit(flow, bytes);
        self.settle_client(now, cancel);
    }

    /// Sends the ACK for a 2xx, and again whenever that 2xx is repeated, until Timer M (13.2.2.4, RFC 6026 7.2). Which 2xx
    /// it is for is told by the draft's To tag. It has a branch of its own and goes where the dialog's requests go.
    pub fn ack(&mut self, now: Instant, client: ClientKey, to: Flow, draft: Draft) {
        let Some(own) = self.sent_by(to.socket) else {
            self.counters.late_orders += 1;
            return;
        };
        let branch = self.minter.branch();
        let bytes = compose::request(&draft, own.transport, own.addr, &branch);
        let tag: Box<[u8]> = scan(&bytes).and_then(|scan| scan.to_tag).unwrap_or_default().into();
        let fork =
            self.clients.get_mut(client.0).and_then(|client| client.forks.iter_mut().find(|fork| fork.tag == tag));
        match fork {
            Some(fork) => fork.ack = Some((to, bytes.as_slice().into())),
            // Timer M is over, yet the peer may still wait for it.
            None => self.counters.late_orders += 1,
        }
        self.send_ack(now, to, bytes);
    }

    /// Kept is the datagram, so that a stream that cannot be had is not asked for again when the 2xx comes again.
    pub(super) fn send_ack(&mut self, now: Instant, to: Flow, bytes: Vec<u8>) {
        let (to, bytes) = self.by_stream(now, to, &bytes).unwrap_or((to, bytes));
        self.transmit(to, bytes);
    }

    /// 17.1.1.3: the ACK for a 3xx-6xx goes hop by hop, on the INVITE's own branch. It replaces the INVITE as what is kept.
    pub(super) fn acknowledge_refusal(&mut self, id: Id, response: &Message) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.cancel_reason = None;
        // Never empty for an INVITE that could be sent; if it were, nothing is sent rather than the INVITE again.
        let ack = compose::ack_refusal(&client.bytes, response).unwrap_or_default();
        let flow = client.flow;
        client.bytes = ack.clone();
        self.transmit(flow, ack);
    }

    /// Answers a request. The first final response ends the answering; what comes after it is counted and dropped. A 2xx to
    /// INVITE is repeated until `confirm`, or until `AckMissing` after 64*T1 (13.3.1.4). Without a To tag in the answer the
    /// endpoint adds one, the same for all answers to this request. A 408 to any request but INVITE goes as 504 (RFC 4320 §4.2).
    pub fn respond(&mut self, now: Instant, server: ServerKey, mut answer: Answer) {
        let id = server.0;
        let minter = &mut self.minter;
        let Some(server) = self.servers.get_mut(id) else {
            self.counters.late_orders += 1;
            return;
        };
        let allowed = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.respond(now, answer.code),
            ServerMachine::Request(machine) => {
                if answer.code == 408 {
                    // RFC 4320 §4.2: to any request but INVITE it is never said. Whom we asked was too slow (RFC 3261 §21.5.5).
                    (answer.code, answer.phrase) = (504, None);
                }
                machine.respond(now, answer.code)
            }
        };
        let (true, Some(request)) = (allowed, server.request.as_ref()) else {
            self.counters.late_orders += 1;
            return;
        };
        let answer = with_tag(answer, request, &mut server.tag, || minter.tag());
        let flow = server.flow;
        let bytes = compose::response(request, server.source, &answer, &self.product);
        if answer.code >= 200 {
            server.request = None;
            if let Some(reliable) = server.reliable.as_mut() {
                // RFC 3262 §3: a final response ends the repeats.
                reliable.hush();
            }
        }
        let is_repeated = matches!(server.machine, ServerMachine::Invite(_)) || !flow.transport.is_reliable();
        server.last = if is_repeated { bytes.clone() } else { Vec::new() };
        self.transmit(flow, bytes);
        self.settle_server(now, id);
    }

    /// The ACK for the 2xx came: it is not repeated any more.
    pub fn confirm(&mut self, now: Instant, server: ServerKey) {
        let confirmed = match self.servers.get_mut(server.0) {
            Some(Server { machine: ServerMachine::Invite(machine), last, .. }) => {
                let confirmed = machine.confirm();
                if confirmed {
                    *last = Vec::new();
                }
                confirmed
            }
            _ => false,
        };
        if confirmed {
            self.settle_server(now, server.0);
        } else {
            self.counters.late_orders += 1;
        }
    }
}

/// Settles the To tag (8.2.6.2): the one given, else the one already used, else a new one; none on a 100, and none where
/// the request brought one.
fn with_tag(
    mut answer: Answer,
    request: &Message,
    known: &mut SmallVec<[u8; 24]>,
    mint: impl FnOnce() -> Token,
) -> Answer {
    if request.to().tag().is_some() || answer.code == 100 {
        answer.to_tag = None;
        return answer;
    }
    match &answer.to_tag {
        Some(tag) => *known = SmallVec::from_slice(tag),
        None => {
            if known.is_empty() {
                *known = SmallVec::from_slice(&mint());
            }
            answer.to_tag = Some(known.to_vec());
        }
    }
    answer
}
