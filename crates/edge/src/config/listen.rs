//! `[listen.NAME]`: one local side of the edge, its SIP addresses and its media ports.

use super::at;
use super::fault::Faults;
use super::reader::{At, Reader, many};
use super::schema::{Section, needed, other, table};
use super::settings::MediaRange;
use super::streams::{self, ListenStreams};
use super::tls::{self, ListenTls};
use super::value::{self, Network, SipAddress};
use core::net::IpAddr;
use std::sync::Arc;

pub(super) static LISTEN: Section = Section {
    title: "[listen.NAME]",
    example: "[listen.wan]",
    about: "One local side of the edge: where peers reach it, and where their audio passes.",
    keys: &[
        needed(
            "sip",
            "\"TRANSPORT:ADDRESS:PORT\" or a list",
            "[\"udp:198.51.100.10:5060\"]",
            "SIP addresses, each by `udp`, `tcp` or `tls`, or by `ws` or `wss` for browsers (RFC 7118). Calls to a trunk leave from the first one of its transport and address family.",
        ),
        other(
            "allow",
            "list of addresses and networks",
            "everybody is heard",
            "[\"192.0.2.0/24\"]",
            "Who may send to it, besides the trunks of this listen: what comes from anyone else is dropped before it is read.",
        ),
        other(
            "media",
            "\"ADDRESS:FIRST-LAST\"",
            "signalling only: audio goes around the edge, unseen",
            "\"198.51.100.10:30000-39999\"",
            "UDP ports for audio, two per call and side: RTP on the even one, RTCP on the next.",
        ),
        other(
            "advertise",
            "an IP address",
            "what is bound",
            "\"203.0.113.7\"",
            "What the far side sees in Via, Contact and SDP, when the edge is behind a one-to-one NAT.",
        ),
        other(
            "host",
            "host name",
            "its address",
            "\"sbc.example.com\"",
            "The name that the far side reads in Contact and From instead of that address, for trunks that know us by it, such as Microsoft Teams. \
             Via, SDP and our own registrations have the address.",
        ),
        other(
            "origins",
            "list of origins",
            "needed for `ws` and `wss`",
            "[\"https://phone.example\"]",
            "Whose pages may open a WebSocket; \"*\" is everybody's. A browser says of what page it connects, so that no foreign page can place \
             calls from the network of whoever looks at it. A client that is no browser names no origin and is heard as by TCP.",
        ),
        other(
            "proxy_protocol",
            "list of addresses and networks",
            "whoever connects is who its address says",
            "[\"192.0.2.5\"]",
            "Load balancers before this listen. They begin each connection by TCP, TLS or WebSocket with a header of HAProxy's PROXY protocol \
             (version 1 or 2), and its source counts as the peer's address; connections from elsewhere, or without it, are closed. Datagrams \
             have none.",
        ),
        table("tls", "Who the edge is to those that connect by TLS."),
    ],
};

/// `[listen.NAME]` as read.
#[derive(Debug)]
pub(super) struct ListenDraft {
    pub(super) name: At<String>,
    pub(super) sockets: Vec<At<SipAddress>>,
    pub(super) media: Option<At<MediaRange>>,
    pub(super) advertise: Option<IpAddr>,
    /// The name it goes by.
    pub(super) host: Option<Arc<str>>,
    /// Who is heard, besides trunks; empty is everybody.
    pub(super) allow: Vec<At<Network>>,
    pub(super) tls: Option<ListenTls>,
    pub(super) streams: ListenStreams,
}

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Vec<ListenDraft> {
    root.named("listen", faults).into_iter().filter_map(|(name, node)| read_one(name, node, faults)).collect()
}

fn read_one(name: At<String>, node: &super::reader::Node<'_>, faults: &mut Faults<'_>) -> Option<ListenDraft> {
    let reader = Reader::open(node, &name.at, &LISTEN, faults)?;
    let sockets = reader.need("sip", faults, |node, faults| Some(many(node, faults, value::sip_socket)));
    let advertise = reader.read("advertise", faults, value::ip);
    let media = reader.read("media", faults, value::media_range).map(|(bind, first, last)| At {
        value: MediaRange { bind, advertised: advertise.unwrap_or(bind), first, last },
        at: reader.place("media"),
    });
    let allow = reader.get("allow").map(|node| super::guard::networks(node, faults)).unwrap_or_default();
    let draft = ListenDraft {
        name,
        sockets: sockets.unwrap_or_default(),
        media,
        advertise,
        host: reader.read("host", faults, at::host_name),
        allow,
        tls: tls::of_listen(&reader, faults),
        streams: streams::of_listen(&reader, faults),
    };
    if reader.get("sip").is_some_and(|node| node.get_ref().as_array().is_some_and(|list| list.is_empty())) {
        faults.error(&reader.place("sip"), "nobody can reach this listen", "\"udp:ADDRESS:PORT\"", None);
    }
    if reader.get("media").is_none() {
        let what = format!("listen `{}` has no media ports: audio goes around the edge, unseen", draft.name.value);
        let fix = Some(String::from("add `media = \"ADDRESS:20000-29999\"`, or keep it so for signalling only"));
        faults.warn(&draft.name.at, what, "a range of media ports", fix);
    }
    encrypted(&draft, &reader, faults);
    streams::fits(&draft, &reader, faults);
    visible(&draft, &reader, faults);
    Some(draft)
}

/// TLS and its certificate need each other.
fn encrypted(draft: &ListenDraft, reader: &Reader<'_, '_>, faults: &mut Faults<'_>) {
    let encrypted = draft.sockets.iter().find(|socket| socket.value.transport.is_secure());
    match (encrypted, reader.get("tls")) {
        (Some(socket), None) => {
            let fix = Some(String::from("add `tls = { certificate = \"FILE\", key = \"FILE\" }` to this listen"));
            faults.error(&socket.at, "TLS needs a certificate", "a listen with `tls`", fix);
        }
        (None, Some(_)) => {
            let fix = Some(String::from("add \"tls:ADDRESS:5061\" to `sip`"));
            faults.warn(&reader.place("tls"), "this listen has no address for TLS", "", fix);
        }
        _ => {}
    }
}

/// Whatever the far side is told must be an address it can send to.
fn visible(draft: &ListenDraft, reader: &Reader<'_, '_>, faults: &mut Faults<'_>) {
    let fix = || Some(String::from("add `advertise = \"ADDRESS\"`, the address peers send to"));
    if let Some(ip) = draft.advertise {
        if ip.is_unspecified() || ip.is_multicast() {
            faults.error(&reader.place("advertise"), format!("nobody can send to {ip}"), "an address of a host", None);
        }
        return;
    }
    for socket in draft.sockets.iter().filter(|socket| socket.value.addr.ip().is_unspecified()) {
        let what = format!("peers would be told to answer to {}", socket.value.addr.ip());
        faults.error(&socket.at, what, "an address of this machine, or `advertise`", fix());
    }
    if let Some(media) = draft.media.as_ref().filter(|media| media.value.bind.is_unspecified()) {
        let what = format!("peers would be told to send audio to {}", media.value.bind);
        faults.error(&media.at, what, "an address of this machine, or `advertise`", fix());
    }
}
