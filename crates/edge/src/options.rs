//! OPTIONS both ways: the probes that control orders, and truthful answers to those of peers.
//!
//! A PBX or carrier that probes us learns what it needs for its own failover: 200 while we can place its calls, 503
//! with Retry-After when we drain or when everybody behind its route is dead (RFC 3261 §11.2). Probes leave by the very
//! socket that calls use. Refuses to know: when a probe is due or what its result means.

use act::{Nonces, Profiles, TrunkProfile};
use decide::{Facts, Load, Shape, TrunkTable};
use model::{Instant, Observed, ProbeResult, Rng, Signal, TargetId, TrunkId};
use sense::ProbeOrder;
use sip::{Answer, ClientKey, Draft, Endpoint, Failure, Flow, HeaderLines, Message, Method, Uri};

/// Seconds a peer should wait before it tries again, when we cannot place its calls.
const RETRY_AFTER_S: u32 = 10;

/// Probes on the wire.
#[derive(Debug)]
pub(crate) struct Probes {
    waiting: Vec<Waiting>,
    limit: usize,
}

#[derive(Debug)]
struct Waiting {
    client: ClientKey,
    order: ProbeOrder,
    sent: Instant,
    /// The OPTIONS, unsigned, to be sent again when it is challenged; there for trunks that we have credentials for.
    again: Option<Box<Draft>>,
}

impl Probes {
    /// At most `limit` on the wire at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self { waiting: Vec::new(), limit }
    }

    /// Sends one. A probe that cannot be sent is left to its own deadline, which is kept where it was ordered.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        nonces: &mut Nonces,
        profile: &TrunkProfile,
        order: ProbeOrder,
    ) -> bool {
        let Some(target) = profile.target(order.target.index) else { return false };
        let Some(sent_by) = endpoint.sent_by(target.socket) else { return false };
        if self.waiting.len() >= self.limit {
            return false;
        }
        let mut headers = HeaderLines::new();
        let tag = endpoint.minter().tag();
        let call_id = endpoint.minter().call_id();
        headers.push("From", format!("<sip:edge@{}>;tag={}", sent_by.host(), tag.as_str()).as_bytes());
        let uri = [b"sip:", &profile.interworking.host_at(target.addr)[..]].concat();
        headers.push("To", &[b"<", &uri[..], b">"].concat());
        headers.push("Call-ID", call_id.as_bytes());
        headers.push("CSeq", b"1 OPTIONS");
        headers.push("Contact", format!("<sip:edge@{}{}>", sent_by.host(), sent_by.parameters()).as_bytes());
        headers.push("Accept", b"application/sdp");
        let draft = Draft { headers, overload: profile.overload, ..Draft::new(Method::Options, uri) };
        let flow = Flow { socket: target.socket, peer: target.addr, transport: target.transport };
        let again = profile.auth.is_some().then(|| Box::new(draft.clone()));
        let Some(client) = request(now, (endpoint, nonces), (order.target.trunk, profile), flow, draft) else {
            return false;
        };
        self.waiting.push(Waiting { client, order, sent: now, again });
        true
    }

    /// A challenge to a probe is answered once by the trunk's credentials; what comes then is the probe's outcome. True when that was done.
    pub(crate) fn challenged(
        &mut self,
        now: Instant,
        (endpoint, nonces, rng): (&mut Endpoint, &mut Nonces, &mut Rng),
        client: ClientKey,
        profiles: &Profiles,
        response: &Message,
    ) -> bool {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.client == client) else { return false };
        let id = waiting.order.target.trunk;
        let (Some(401 | 407), Some(profile)) = (response.status(), profiles.trunk(id)) else {
            if response.status() >= Some(200) {
                nonces.accepted(id, response);
            }
            return false;
        };
        let target = profile.target(waiting.order.target.index);
        let (Some(target), Some(credentials), Some(mut draft)) = (target, &profile.auth, waiting.again.take()) else {
            return false;
        };
        if !nonces.challenged(id, credentials, response, rng) {
            return false;
        }
        draft.headers.set("CSeq", b"2 OPTIONS");
        let flow = Flow { socket: target.socket, peer: target.addr, transport: target.transport };
        let sent = request(now, (endpoint, nonces), (id, profile), flow, *draft);
        waiting.client = sent.unwrap_or(client);
        sent.is_some()
    }

    /// A response that may answer a probe.
    pub(crate) fn answered(&mut self, now: Instant, client: ClientKey, code: u16) -> Option<Signal> {
        if code < 200 {
            return None;
        }
        let waiting = self.take(client)?;
        Some(signal(now, &waiting, ProbeResult::Answered { code, rtt: now.since(waiting.sent) }))
    }

    /// What a response to a probe says about how many calls its trunk wants; when it wants none, nothing else would say
    /// that it wants some again.
    pub(crate) fn overload(
        &self,
        now: Instant,
        client: ClientKey,
        profiles: &Profiles,
        response: &Message,
    ) -> Option<Signal> {
        let target = self.waiting.iter().find(|waiting| waiting.client == client)?.order.target;
        let told = response.overload().filter(|_| profile_of(profiles, target).is_some_and(|trunk| trunk.overload))?;
        let what = Observed::Overload { wish: told.wish, validity: told.validity, seq: told.seq };
        Some(Signal { at: now, target, what })
    }

    /// A transaction that failed and may have been a probe.
    pub(crate) fn failed(&mut self, now: Instant, client: ClientKey, why: Failure) -> Option<Signal> {
        let waiting = self.take(client)?;
        match why {
            Failure::Unreachable(fault) => Some(signal(now, &waiting, ProbeResult::Unreachable { fault })),
            // Silence is told by the probe's own deadline, long before Timer F.
            Failure::NoReply => None,
        }
    }

    /// Whether the transaction is a probe of ours.
    pub(crate) fn owns(&self, client: ClientKey) -> bool {
        self.waiting.iter().any(|waiting| waiting.client == client)
    }

    fn take(&mut self, client: ClientKey) -> Option<Waiting> {
        let index = self.waiting.iter().position(|waiting| waiting.client == client)?;
        Some(self.waiting.swap_remove(index))
    }
}

/// Sends an OPTIONS, signed with what is known of the trunk's challenges.
fn request(
    now: Instant,
    (endpoint, nonces): (&mut Endpoint, &mut Nonces),
    (id, profile): (TrunkId, &TrunkProfile),
    flow: Flow,
    mut draft: Draft,
) -> Option<ClientKey> {
    nonces.sign(id, profile.auth.as_ref(), &mut draft);
    endpoint.request(now, flow, draft, &profile.timers).ok()
}

fn signal(now: Instant, waiting: &Waiting, result: ProbeResult) -> Signal {
    let what = Observed::Probe { order: waiting.order.order, result };
    Signal { at: now, target: waiting.order.target, what }
}

/// What an answer to a peer's OPTIONS depends on.
pub(crate) struct Situation<'a> {
    pub(crate) now: Instant,
    pub(crate) profiles: &'a Profiles,
    pub(crate) shape: &'a Shape,
    pub(crate) table: &'a TrunkTable,
    pub(crate) load: &'a Load,
    pub(crate) draining: bool,
}

/// The truthful answer to an OPTIONS outside a dialog.
pub(crate) fn answer(situation: &Situation<'_>, flow: Flow, request: &Message) -> Answer {
    let Some(from) = situation.profiles.admit(flow.socket, flow.peer) else {
        // Strangers learn nothing about us.
        return Answer::new(403);
    };
    if situation.draining || !can_place(situation, from, request) {
        let mut answer = Answer::new(503);
        answer.headers.push("Retry-After", RETRY_AFTER_S.to_string().as_bytes());
        return answer;
    }
    let mut answer = Answer::new(200);
    answer.headers.push("Allow", act::ALLOW);
    answer.headers.push("Accept", b"application/sdp");
    answer
}

fn can_place(situation: &Situation<'_>, from: TrunkId, request: &Message) -> bool {
    let number = Uri::parse(request.uri()).ok().and_then(|uri| core::str::from_utf8(uri.user()).ok()).unwrap_or("");
    let facts = Facts { from, number, emergency: false };
    decide::can_place(situation.shape, situation.table, situation.load, &facts, situation.now)
}

/// Whether a target exists in these profiles.
pub(crate) fn profile_of(profiles: &Profiles, target: TargetId) -> Option<&TrunkProfile> {
    profiles.trunks.get(target.trunk.index()).and_then(Option::as_ref)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::{Settings, compile};
    use decide::{Cause, Change, Decision, Subject};
    use model::{Epoch, Health, SocketId, Span};

    const TEXT: &str = "[listen.lan]\nsip = [\"udp:192.0.2.10:5060\"]\n\
        [trunk.office]\nat = \"sip:192.0.2.20:5060\"\nlisten = \"lan\"\n\
        [trunk.acme]\nat = \"sip:192.0.2.30:5060\"\nlisten = \"lan\"\nlimits = { calls = 1, cps = 1 }\n\
        [group.carriers]\ntiers = [[\"acme\"]]\n[[route]]\nfrom = [\"office\"]\nto = \"carriers\"\n";

    fn ask(settings: &Settings, table: &TrunkTable, load: &Load, draining: bool, from: &str) -> (u16, bool) {
        let flow = Flow { socket: SocketId(0), peer: from.parse().unwrap(), transport: sip::Transport::Udp };
        let text = format!(
            "OPTIONS sip:192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:192.0.2.10>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        let situation = Situation {
            now: Instant::ZERO,
            profiles: &settings.profiles,
            shape: &settings.shape,
            table,
            load,
            draining,
        };
        let answer = answer(&situation, flow, &Message::parse(text.into_bytes()).unwrap());
        (answer.code, String::from_utf8_lossy(answer.headers.as_bytes()).contains("Retry-After"))
    }

    #[test]
    fn a_peer_is_told_whether_its_calls_can_be_placed() {
        let settings = compile(TEXT, "edge.toml", &|_| None, None).settings.expect("a good configuration");
        let (mut table, mut load) = (TrunkTable::new(&settings.shape), Load::default());
        load.resize(2);
        let (office, acme, trunk) = ("192.0.2.20:5060", "192.0.2.30:5060", TrunkId(1));
        assert_eq!(ask(&settings, &table, &load, false, office), (200, false));
        assert_eq!(ask(&settings, &table, &load, true, office), (503, true), "draining");
        assert_eq!(ask(&settings, &table, &load, false, "192.0.2.99:5060"), (403, false), "a stranger");
        load.begin(Instant::ZERO, trunk);
        assert_eq!(ask(&settings, &table, &load, false, office), (503, true), "full");
        assert_eq!(
            ask(&settings, &table, &load, false, acme),
            (200, false),
            "it calls nobody, and may go on taking ours"
        );
        load.end(trunk);
        assert_eq!(ask(&settings, &table, &load, false, office), (200, false), "calls per second are over in a second");
        let subject = Subject::Target(TargetId { trunk, index: 0 });
        let change = Change::Health { from: Health::Unknown, to: Health::Down };
        table.apply(&Decision::bare(Instant::ZERO, Epoch(1), subject, change, Cause::Relapse));
        assert_eq!(ask(&settings, &table, &load, false, office), (503, true), "all that is left is a last resort");
    }

    /// Microsoft Teams serves only whose OPTIONS names it, and has the name of its certificate in Contact.
    #[test]
    fn a_probe_names_the_trunks_host_and_ours() {
        let text = TEXT.replace("[listen.lan]", "[listen.lan]\nhost = \"sbc.example.com\"");
        let text = text.replace("limits =", "host = \"pstn.example\"\nlimits =");
        let settings = compile(&text, "edge.toml", &|_| None, None).settings.expect("a good configuration");
        let mut endpoint = Endpoint::new(sip::Minter::new(1, model::ShardId(0), 1, 1), sip::Limits::default(), 1);
        settings.sockets.iter().for_each(|socket| endpoint.bind_as(socket.id, socket.seen_as()));
        let target = TargetId { trunk: TrunkId(1), index: 0 };
        let order = ProbeOrder { target, order: 1, deadline: Span::from_secs(1), fast: false };
        let profile = settings.profiles.trunk(target.trunk).expect("acme");
        assert!(Probes::new(1).send(Instant::ZERO, &mut endpoint, &mut Nonces::default(), profile, order));
        let sent = String::from_utf8(endpoint.poll_transmit().expect("it leaves").bytes).expect("text");
        assert!(sent.starts_with("OPTIONS sip:pstn.example SIP/2.0\r\n"), "{sent}");
        for line in [
            "To: <sip:pstn.example>\r\n",
            "From: <sip:edge@sbc.example.com:5060>;",
            "Contact: <sip:edge@sbc.example.com:5060>\r\n",
        ] {
            assert!(sent.contains(line), "{line} in {sent}");
        }
    }
}
