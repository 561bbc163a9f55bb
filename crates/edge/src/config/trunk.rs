//! `[trunk.NAME]`: a peer that carries calls, with its limits and credentials.

use super::audio::AudioDraft;
use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is, needed, other, table};
use super::test_call::{self, TestCallDraft};
use super::tls::{self, TrunkTls};
use super::value::{self, Network, Secret, SipAddress};
use super::{audio, calls, codecs, dialogs, fraud, health, interworking, probe, register, timers};
use crate::names::Spot;
use act::{Challenge, DialogPolicy, InboundPolicy, Redirect, Registration, Transfer};
use decide::{AttemptPolicy, CallLimits, HealthPolicy};
use model::Span;
use sense::{BlamePolicy, ProbePolicy};
use sip::TimerSet;

pub(super) static TRUNK: Section = Section {
    title: "[trunk.NAME]",
    example: "[trunk.acme]",
    about: "A peer that carries calls. A carrier is one and a PBX is one: both directions use the same engine.",
    keys: &[
        needed(
            "at",
            "\"sip:ADDRESS:PORT\", \"sip:NAME\" or a list, or \"registered\"",
            "[\"sip:198.51.100.77:5060\"]",
            "Its targets, best first; each has its own health. By UDP; with `;transport=tcp` by TCP, with `;transport=tls` or as \"sips:\" by TLS. \
             Port 5060 when none is given, 5061 for TLS. At most 8. A name is looked up by RFC 3263 (NAPTR, SRV, addresses), again before its \
             answers end, and leads to 8 targets at most; with a port SRV is not asked, and with `;transport=` NAPTR is not. \"registered\" \
             stands for the phones that have registered here: see [registrar].",
        ),
        needed("listen", "name of a listen", "\"wan\"", "The local side it is reached from, and reaches us at."),
        other(
            "accept",
            "list of addresses and networks",
            "nobody but its targets",
            "[\"203.0.113.0/24\"]",
            "Who may send calls as this trunk, besides its targets. The narrowest claim on an address wins.",
        ),
        other(
            "host",
            "name or address",
            "its name, when `at` is one name alone; else the address that is called",
            "\"acme.pstn.example.com\"",
            "Host in the URIs that it is sent (RFC 3261 §8.1.1.1), with a port if need be. Many carriers tell their customers apart by it.",
        ),
        other(
            "ptime",
            "duration",
            "what the other side wants",
            "\"20ms\"",
            "Length of the packets it is asked for, whatever the other side asks for; never beyond the other side's `maxptime`.",
        ),
        is(
            "transcode",
            "\"when-needed\", \"never\" or \"always\"",
            "\"when-needed\"",
            "Whether the edge may make sound of one codec into another's for it. When needed: what it is offered lacks A-law and mu-law, or has \
             nothing that `allow` names. Always: it is offered all of `allow`, or PCMA and PCMU, whatever the other side has. Never: what both \
             sides have passes, the rest is left out; the same holds when the other side's trunk says so.",
        ),
        is(
            "dtmf",
            "\"auto\", \"rfc4733\", \"info\" or \"inband\"",
            "\"auto\"",
            "How it tells of digits and is told: as telephone-events (RFC 4733), by INFO (`application/dtmf-relay`), or as tones in the sound; then \
             it is shown no events unless it is `rfc4733`. Auto: as events when both sides describe them, or the other trunk wants its digits \
             otherwise; else digits pass as they come. Where the two sides differ the edge makes one of the other, each digit once. Tones need a \
             codec that the edge speaks, and sound that is not locked.",
        ),
        is(
            "srtp",
            "\"pass\", \"off\", \"sdes\" or \"dtls\"",
            "\"pass\"",
            "How its audio is secured. Pass: as both ends agree on it, untouched. Off: not at all. Sdes: SRTP by keys in descriptions (RFC \
             4568). Dtls: SRTP by keys of a handshake (RFC 5763). With anything but pass at the trunk of either side the edge ends the security \
             of each side, and who does not give what its trunk wants gets 488, or is passed over. Audio must be anchored: both listens have \
             `media`. Who speaks SIP by a WebSocket is served as browsers want it, by a handshake and ICE, whatever it says.",
        ),
        is(
            "rtcp_xr",
            "true or false",
            "false",
            "Ask it for extended reports of its audio (RFC 3611): `a=rtcp-xr` in what it is shown of audio whose reports the edge can read. What it \
             then tells of how it hears is read, shown with the call, and passes to the other side.",
        ),
        is(
            "overload",
            "true or false",
            "false",
            "Offer overload control (RFC 7339, RFC 7415) in Via and heed what its responses ask. Few carriers speak it, and one \
             that reads Via badly would refuse calls, so it is not offered unasked.",
        ),
        is(
            "transfer",
            "\"act\", \"pass\" or \"refuse\"",
            "\"act\"",
            "Its REFERs. Act: the edge calls the target by its own routes, as a call of this trunk, and joins the parties; when the target \
             cannot be had, the call goes on as it was. Pass: the other party gets the REFER, in the words of its own dialog. Refuse: 603.",
        ),
        is(
            "redirect",
            "\"follow\", \"pass\" or \"refuse\"",
            "\"follow\"",
            "Its 3xx. Follow: contacts in the order of their q, five per call, none twice; a number at the edge's own address goes by the \
             routes of this trunk, a target of any trunk is called as it stands, other hosts are not. Pass: the caller gets the contacts at the \
             edge's address. Refuse: the next trunk is tried.",
        ),
        is(
            "challenge",
            "\"answer\" or \"pass\"",
            "\"answer\"",
            "Its 401 and 407. Answer: by `auth`, and the other side never hears of them; what cannot be answered moves on to the next trunk. \
             Pass: whoever called is asked, realm and nonce as they came, and what he answers goes to this trunk and no other, inside \
             calls too.",
        ),
        is(
            "large",
            "\"udp\" or \"tcp\"",
            "\"udp\"",
            "How a request beyond 1300 bytes goes to a target that is reached by UDP. RFC 3261 §18.1.1 wants TCP, which fragments do not \
             hurt; but many carriers take UDP alone, some drop what they do not know without a word, and a call must not wait for that. So \
             it is asked for, of trunks that are known to take TCP at the same address and port. One that refuses the connection gets the \
             same request by UDP at once, and TCP is tried again after a minute.",
        ),
        other(
            "media",
            "list of names of listens",
            "its `listen`",
            "[\"wan\"]",
            "The interfaces its audio goes by: the first for new calls, the others for live ones whose audio stops there, by re-INVITE.",
        ),
        is(
            "rescue",
            "\"off\", \"on\" or \"both\"",
            "\"off\"",
            "When a party behind this trunk is lost in mid-call, the other one is kept and hears comfort noise, and the lost one is called again \
             through the next trunk. On: whom our side had called. Both: also whoever had called us. Emergency calls are rescued always.",
        ),
        table("auth", "Credentials for a trunk that asks for them."),
        table("tls", "Whom we trust when we connect by TLS."),
        table(
            "codecs",
            "Codecs it is offered, and may offer: `codecs = [\"PCMA\", \"PCMU\"]`, or a table that says more.",
        ),
        table("limits", "How much it may carry."),
        table("register", "Our registration there."),
        table("headers", "Which headers it gets and gives."),
        table("numbers", "How it writes numbers."),
        table("identity", "Whose identity it is told."),
        table("causes", "How it is told why calls fail."),
        table("fraud", "What calls from it may dial, and how many."),
        table("probe", "OPTIONS to it."),
        table("test_call", "Calls of our own to it."),
        table("calls", "How long an attempt may take."),
        table("audio", "When it counts as silent in a live call."),
        table("session", "Session timers with it."),
        table("timers", "SIP timers towards it."),
        table("health", "When its health changes."),
    ],
};

pub(super) static AUTH: Section = Section {
    title: "auth of [trunk.NAME]",
    example: "[trunk.acme.auth]",
    about: "Digest credentials for 401 and 407 from this trunk, inside calls too: MD5, SHA-256 and SHA-512-256. `user` and `secret` belong \
            together.",
    keys: &[
        other("user", "text", "no credentials", "\"u1001\"", "User name."),
        other(
            "secret",
            "\"env:NAME\"",
            "no credentials",
            "\"env:ACME_SECRET\"",
            "Environment variable that holds the password.",
        ),
        other(
            "realm",
            "text",
            "whoever asks",
            "\"sip.acme.example\"",
            "The only realm that gets an answer: a proxy on the way that asks in the name of another one is not helped to guess.",
        ),
    ],
};

pub(super) static LIMITS: Section = Section {
    title: "limits of [trunk.NAME]",
    example: "[trunk.acme.limits]",
    about: "How much the trunk may carry; beyond it calls go to the next one, and emergency calls pass. Each shard of the edge has an equal \
            part of it, so a limit smaller than the number of shards leaves some without any.",
    keys: &[
        other("calls", "count", "no limit", "200", "Calls at once."),
        other("cps", "count", "no limit", "20", "Calls offered per second; no second, wherever it begins, holds more."),
        other(
            "cps_from",
            "count",
            "no limit",
            "20",
            "Calls taken from it per second; beyond it they get 503 with Retry-After, and no other trunk pays for its haste.",
        ),
        is(
            "headroom",
            "share",
            "\"0%\"",
            "Kept of both limits for calls that another trunk has failed, and for emergency calls: on the worst day newcomers are \
             refused before those who have waited already.",
        ),
    ],
};

/// Targets of one trunk at most: a hunt tries eight candidates.
const TARGETS_MAX: usize = 8;
const TRANSFERS: &[&str] = &["act", "pass", "refuse"];
const REDIRECTS: &[&str] = &["follow", "pass", "refuse"];
const CHALLENGES: &[&str] = &["answer", "pass"];

/// `[trunk.NAME]` as read.
#[derive(Debug)]
pub(super) struct TrunkDraft {
    pub(super) name: At<String>,
    /// Everything in `at`.
    pub(super) spots: Vec<At<Spot>>,
    /// The addresses of it.
    pub(super) targets: Vec<At<SipAddress>>,
    /// Its targets are those who have registered.
    pub(super) registered: bool,
    pub(super) listen: Option<At<String>>,
    /// Besides its targets.
    pub(super) accept: Vec<At<Network>>,
    pub(super) auth: Option<(String, Secret, Option<String>)>,
    pub(super) limits: CallLimits,
    pub(super) inbound: InboundPolicy,
    pub(super) register: Option<At<Registration>>,
    pub(super) overload: bool,
    pub(super) large_by_tcp: bool,
    pub(super) probe: ProbePolicy,
    pub(super) test_call: Option<TestCallDraft>,
    pub(super) attempt: AttemptPolicy,
    pub(super) blames: BlamePolicy,
    pub(super) timers: TimerSet,
    pub(super) health: HealthPolicy,
    pub(super) session_max: Span,
    pub(super) audio: AudioDraft,
    pub(super) interworking: act::Interworking,
    pub(super) media: media::sdp::MediaPolicy,
    pub(super) dialogs: DialogPolicy,
    pub(super) transfer: Transfer,
    pub(super) redirect: Redirect,
    pub(super) challenge: Challenge,
    pub(super) tls: TrunkTls,
}

/// How secrets named `env:NAME` are looked up.
pub(super) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

pub(super) fn read(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> Vec<TrunkDraft> {
    root.named("trunk", faults).into_iter().filter_map(|(name, node)| read_one(name, node, env, faults)).collect()
}

fn read_one(name: At<String>, node: &Node<'_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<TrunkDraft> {
    let reader = Reader::open(node, &name.at, &TRUNK, faults)?;
    let registered = reader.get("at").is_some_and(|node| node.get_ref().as_str() == Some("registered"));
    let spots = if registered {
        None
    } else {
        reader.need("at", faults, |node, faults| Some(many(node, faults, super::at::spot)))
    };
    let spots = spots.unwrap_or_default();
    let listen = reader.need("listen", faults, value::text).map(|value| At { value, at: reader.place("listen") });
    let accept = reader.get("accept").map(|node| many(node, faults, value::network)).unwrap_or_default();
    let mut draft = TrunkDraft {
        targets: spots.iter().filter_map(fixed).collect(),
        spots,
        registered,
        listen,
        accept,
        auth: read_auth(&reader, env, faults),
        limits: read_limits(&reader, faults),
        inbound: fraud::read(&reader, &LIMITS, faults),
        register: register::read(&reader, faults),
        overload: reader.read("overload", faults, value::flag).unwrap_or(false),
        large_by_tcp: reader.read("large", faults, value::word(&["udp", "tcp"])) == Some("tcp"),
        probe: ProbePolicy::default(),
        test_call: test_call::read(&reader, faults),
        attempt: AttemptPolicy::default(),
        blames: BlamePolicy::default(),
        timers: TimerSet::default(),
        health: HealthPolicy::default(),
        session_max: calls::SESSION_MAX,
        audio: audio::read(&reader, faults),
        interworking: interworking::read(&reader, faults),
        media: codecs::read(&reader, faults),
        dialogs: DialogPolicy::default(),
        transfer: reader.read("transfer", faults, value::word(TRANSFERS)).map(transfer).unwrap_or_default(),
        redirect: reader.read("redirect", faults, value::word(REDIRECTS)).map(redirect).unwrap_or_default(),
        challenge: read_challenge(&reader, faults),
        tls: tls::of_trunk(&reader, faults),
        name,
    };
    probe::read(&reader, &mut draft.probe, &mut draft.health, faults);
    let limits = calls::Limits { session_max: &mut draft.session_max, dialogs: &mut draft.dialogs };
    calls::read(&reader, &mut draft.attempt, &mut draft.blames, limits, faults);
    dialogs::read(&reader, &mut draft.dialogs, faults);
    timers::read(&reader, &mut draft.timers, faults);
    health::read(&reader, &mut draft.health, faults);
    if let Some(register) = draft.register.as_ref().filter(|_| draft.registered) {
        faults.error(&register.at, "phones register at us, and we at no phone", "no `register` in this trunk", None);
    }
    targets_make_sense(&reader, &draft, faults);
    if draft.large_by_tcp && !draft.targets.iter().any(|target| target.value.transport == sip::Transport::Udp) {
        let what = "no target of this trunk is reached by UDP, so that no request is too large";
        faults.warn(&reader.place("large"), what, "", Some(String::from("leave `large` away")));
    }
    Some(draft)
}

fn fixed(spot: &At<Spot>) -> Option<At<SipAddress>> {
    match spot.value {
        Spot::At(addr, transport) => Some(At { value: SipAddress { transport, addr }, at: spot.at.clone() }),
        Spot::Named(_) => None,
    }
}

/// By its word; there are no others.
fn transfer(word: &str) -> Transfer {
    match word {
        "pass" => Transfer::Pass,
        "refuse" => Transfer::Refuse,
        _ => Transfer::Act,
    }
}

/// By its word; there are no others.
fn redirect(word: &str) -> Redirect {
    match word {
        "pass" => Redirect::Pass,
        "refuse" => Redirect::Refuse,
        _ => Redirect::Follow,
    }
}

/// Whose credentials answer: ours or the caller's, not both.
fn read_challenge(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Challenge {
    if trunk.read("challenge", faults, value::word(CHALLENGES)) != Some("pass") {
        return Challenge::Answer;
    }
    if trunk.get("auth").is_some() {
        let what = "`auth` answers the challenges that `challenge = \"pass\"` leaves to callers";
        faults.error(&trunk.place("challenge"), what, "one of them", None);
    }
    Challenge::Pass
}

fn read_auth(
    trunk: &Reader<'_, '_>,
    env: Env<'_>,
    faults: &mut Faults<'_>,
) -> Option<(String, Secret, Option<String>)> {
    let node = trunk.get("auth")?;
    let reader = Reader::open(node, &node.span(), &AUTH, faults)?;
    let user = reader.read("user", faults, value::text);
    let secret = reader.read("secret", faults, value::secret(env));
    for key in ["user", "secret"] {
        if reader.get(key).is_none() {
            let expected = "both `user` and `secret`";
            faults.error(&reader.at, format!("`{key}` is missing in {}", AUTH.title), expected, None);
        }
    }
    let realm = reader.read("realm", faults, value::text);
    user.zip(secret).map(|(user, secret)| (user, secret, realm))
}

fn read_limits(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> CallLimits {
    let Some(node) = trunk.get("limits") else { return CallLimits::default() };
    let Some(reader) = Reader::open(node, &node.span(), &LIMITS, faults) else { return CallLimits::default() };
    let limits = CallLimits {
        calls: reader.read("calls", faults, value::count(1, 1_000_000)),
        cps: reader.read("cps", faults, value::count(1, 1_000_000)),
        headroom: reader.read("headroom", faults, value::percent(0)).unwrap_or(0),
    };
    if limits.headroom > 0 && reader.get("calls").is_none() && reader.get("cps").is_none() {
        let what = "headroom of a trunk without limits keeps nothing";
        faults.warn(&reader.place("headroom"), what, "", Some(String::from("set `calls` or `cps`")));
    }
    limits
}

fn targets_make_sense(reader: &Reader<'_, '_>, draft: &TrunkDraft, faults: &mut Faults<'_>) {
    let count = draft.spots.len();
    if reader.get("at").is_some_and(|node| node.get_ref().as_array().is_some_and(|list| list.is_empty())) {
        faults.error(&reader.place("at"), "this trunk is nowhere", "\"sip:ADDRESS:PORT\"", None);
    }
    if count > TARGETS_MAX {
        let what = format!("{count} targets are more than one call ever tries");
        faults.error(&reader.place("at"), what, format!("at most {TARGETS_MAX}"), None);
    }
    for (index, spot) in draft.spots.iter().enumerate() {
        if let Spot::Named(named) = &spot.value
            && draft.spots[..index].iter().any(|earlier| earlier.value == spot.value)
        {
            faults.error(&spot.at, format!("{} is named twice", named.host), "each name once", None);
        }
    }
    for (index, target) in draft.targets.iter().enumerate() {
        if target.value.addr.ip().is_unspecified() || target.value.addr.ip().is_multicast() {
            faults.error(&target.at, format!("nobody is at {}", target.value.addr.ip()), "an address of a host", None);
        }
        if draft.targets[..index].iter().any(|earlier| earlier.value == target.value) {
            faults.error(&target.at, format!("{} is named twice", target.value), "each target once", None);
        }
    }
    let cost = draft.attempt.first_reply.times(count as u64);
    if count > 1 && cost > calls::PATIENCE && draft.attempt.first_reply <= calls::PATIENCE {
        let what = format!(
            "when trunk `{}` is silent, a caller waits {cost} on its {count} targets ({} each)",
            draft.name.value, draft.attempt.first_reply
        );
        faults.warn(&reader.place("at"), what, format!("at most {}", calls::PATIENCE), None);
    }
}
